/* lookup.c: embedding and one_hot, which read ids; masked_select and nonzero, which
 * find positions. Ids and positions are int64 and count from SR_INDEX_BASE. */
#include "ops/ops.h"

/* ---- embedding: dweight[id] += dy[id's place] ----------------------------------------------- */

static sr_status embedding_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *ids, *buffer, *g;
  SR_TRY(sr__saved(node, 0, &ids));
  if (!sr__wants(node, 0)) return SR_OK;
  SR_TRY(sr__grad_buffer_zeroed(node, 0, &buffer));
  if (grad[0]->numel == 0) return SR_OK;
  SR_TRY(sr__dense(grad[0], &g));
  int64_t found;
  const sr_take take = {.dtype = (sr_dtype)g->dtype,
                        .rows = sr__rows(buffer, 0),
                        .count = ids->numel,
                        .index = sr__data(ids),
                        .x = sr__data(g),
                        .out = sr__data(buffer),
                        .zero_id = *(const int64_t *)sr__parameters(node)};
  sr_status status = sr__backend_of(g)->take_add(&take, &found);
  sr_tensor_release(g);
  return status;
}
static const sr_op embedding_op = {"embedding", embedding_backward};

static sr_status bad_id(int64_t found, int64_t rows, int64_t padding_id) {
  return sr__fail(SR_INDEX, "embedding: id %lld is not in %d..%lld%s", (long long)found,
                  padding_id == 0 ? 0 : SR_INDEX_BASE, (long long)rows,
                  found == 0 ? " (0 needs padding_idx = 0)" : "");
}

/* The smallest or largest of ids, which are not empty. */
static sr_status extreme_id(sr_reduce kind, const sr_tensor *ids, int64_t *out) {
  const sr_reducing all = {.mask = (1u << ids->ndim) - 1};
  sr_tensor *extreme;
  sr_scalar value;
  SR_TRY(sr__reduced(kind, ids, &all, 0, &extreme));
  sr_status status = sr_tensor_item(extreme, &value);
  sr_tensor_release(extreme);
  if (!status) *out = value.integer;
  return status;
}

/* Kernels count negative positions from the end; ids do not. */
static sr_status refuse_negative(const sr_tensor *ids, int64_t rows, int64_t padding_id) {
  int64_t smallest;
  SR_TRY(extreme_id(SR_REDUCE_MIN, ids, &smallest));
  return smallest < 0 ? bad_id(smallest, rows, padding_id) : SR_OK;
}

static sr_status look_up(const sr_tensor *weight, const sr_tensor *ids, int64_t padding_id,
                         sr_tensor *y) {
  int64_t found = 0;
  if (ids->numel == 0) return SR_OK;
  SR_TRY(refuse_negative(ids, weight->sizes[0], padding_id));
  const sr_take take = {.dtype = (sr_dtype)weight->dtype,
                        .rows = sr__rows(weight, 0),
                        .count = ids->numel,
                        .index = sr__data(ids),
                        .x = sr__data(weight),
                        .out = sr__data(y),
                        .zero_id = padding_id};
  sr_status status = sr__backend_of(weight)->take(&take, &found);
  return status == SR_INDEX ? bad_id(found, weight->sizes[0], padding_id) : status;
}

/* weight and ids are dense. */
static sr_status looked_up(const sr_tensor *weight, const sr_tensor *ids, int64_t padding_id,
                           sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS];
  for (int d = 0; d < ids->ndim; d++) sizes[d] = ids->sizes[d];
  sizes[ids->ndim] = weight->sizes[1];
  sr_tensor *y;
  SR_TRY(sr__empty(sr__backend_of(weight), (sr_dtype)weight->dtype, ids->ndim + 1, sizes, &y));
  sr_status status = look_up(weight, ids, padding_id, y);
  if (status)
    sr_tensor_release(y);
  else
    *out = y;
  return status;
}

static sr_status check_embedding(const sr_tensor *weight, const sr_tensor *ids,
                                 int64_t *padding_id) {
  SR_TRY(sr__need_int64("embedding", "ids", ids));
  SR_TRY(sr__same_device("embedding", 2, (const sr_tensor *[]){weight, ids}));
  if (weight->ndim != 2)
    return sr__fail(SR_SHAPE, "embedding: the weight must be (rows, columns), got shape %s",
                    SR_SHAPE_OF(weight));
  SR_TRY(sr__need_room("embedding", ids->ndim + 1));
  if (*padding_id == SR_NO_PADDING) return SR_OK;
  int64_t rows = weight->sizes[0];
  if (*padding_id > rows || *padding_id < -rows)
    return sr__fail(SR_ARGUMENT, "embedding: padding_idx %lld is not in 0..%lld",
                    (long long)*padding_id, (long long)rows);
  if (*padding_id < 0) *padding_id += rows + SR_INDEX_BASE;
  return SR_OK;
}

sr_status sr_embedding(sr_tensor *weight, sr_tensor *ids, int64_t padding_id, sr_tensor **out) {
  sr_tensor *dense_ids = NULL, *dense_weight = NULL, *y;
  sr_status status;
  SR_TRY(check_embedding(weight, ids, &padding_id));
  SR_TRY_GOTO(sr__dense(ids, &dense_ids), done);
  SR_TRY_GOTO(sr__dense(weight, &dense_weight), done);
  SR_TRY_GOTO(looked_up(dense_weight, dense_ids, padding_id, &y), done);
  status =
      sr__finish(&embedding_op, y, 1, &weight, 1, &dense_ids, &padding_id, sizeof padding_id, out);
done:
  sr_tensor_release(dense_weight);
  sr_tensor_release(dense_ids);
  return status;
}

/* ---- one_hot ------------------------------------------------------------------------- */

static sr_status count_classes(const sr_tensor *ids, int64_t *classes) {
  int64_t smallest = SR_INDEX_BASE, largest = *classes;
  if (*classes < 0)
    return sr__fail(SR_ARGUMENT, "one_hot: the number of classes %lld is negative",
                    (long long)*classes);
  if (ids->numel) {
    SR_TRY(extreme_id(SR_REDUCE_MIN, ids, &smallest));
    SR_TRY(extreme_id(SR_REDUCE_MAX, ids, &largest));
  } else if (*classes == 0) {
    return sr__fail(SR_ARGUMENT, "one_hot: of no ids the number of classes must be given");
  }
  if (*classes == 0 && largest > 0) *classes = largest;
  if (smallest >= SR_INDEX_BASE && largest <= *classes) return SR_OK;
  int64_t found = smallest < SR_INDEX_BASE ? smallest : largest;
  if (*classes == 0)
    return sr__fail(SR_INDEX, "one_hot: id %lld; ids count from %d", (long long)found,
                    SR_INDEX_BASE);
  return sr__fail(SR_INDEX, "one_hot: id %lld is not in %d..%lld", (long long)found, SR_INDEX_BASE,
                  (long long)*classes);
}

static sr_status mark_ids(const sr_tensor *ids, int64_t classes, sr_tensor *y) {
  int64_t found;
  if (ids->numel == 0) return SR_OK;
  const sr_gather_plan plan = {.kind = SR_SCATTER,
                               .dtype = SR_int64,
                               .ndim = 2,
                               .dim = 1,
                               .x_size = {ids->numel, 1},
                               .index_size = {ids->numel, 1},
                               .out_size = {ids->numel, classes},
                               .index = sr__data(ids),
                               .out = sr__data(y),
                               .number = sr_integer(1)};
  return sr__backend_of(y)->gather(&plan, &found);
}

sr_status sr_one_hot(sr_tensor *ids, int64_t classes, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS];
  sr_tensor *dense, *y = NULL;
  SR_TRY(sr__need_int64("one_hot", "ids", ids));
  SR_TRY(sr__need_room("one_hot", ids->ndim + 1));
  SR_TRY(count_classes(ids, &classes));
  for (int d = 0; d < ids->ndim; d++) sizes[d] = ids->sizes[d];
  sizes[ids->ndim] = classes;
  SR_TRY(sr__dense(ids, &dense));
  sr_status status = sr__zeros(sr__backend_of(ids), SR_int64, ids->ndim + 1, sizes, &y);
  if (!status) status = mark_ids(dense, classes, y);
  sr_tensor_release(dense);
  if (status)
    sr_tensor_release(y);
  else
    *out = y;
  return status;
}

/* ---- where a mask is true ------------------------------------------------------------ */

/* Offsets from 0, in row-major order, of what is not 0 in x. */
static sr_status true_offsets(const sr_tensor *x, sr_tensor **out) {
  sr_tensor *mask = NULL, *dense = NULL, *offsets = NULL;
  int64_t count = 0;
  sr_status status;
  SR_TRY_GOTO(sr__as(x, SR_bool, &mask), done);
  SR_TRY_GOTO(sr__dense(mask, &dense), done);
  const sr_backend *backend = sr__backend_of(x);
  if (x->numel) SR_TRY_GOTO(backend->true_positions(x->numel, sr__data(dense), NULL, &count), done);
  SR_TRY_GOTO(sr__empty(backend, SR_int64, 1, &count, &offsets), done);
  if (count)
    SR_TRY_GOTO(backend->true_positions(x->numel, sr__data(dense), sr__data(offsets), &count),
                done);
  *out = sr_tensor_retain(offsets);
done:
  sr_tensor_release(offsets);
  sr_tensor_release(dense);
  sr_tensor_release(mask);
  return status;
}

static sr_tensor *work_integer(sr_work *w, sr_pointwise_op line, sr_tensor *x, int64_t number) {
  sr_tensor *y;
  if (w->status) return NULL;
  const sr_operand operands[2] = {{.tensor = x}, {.number = sr_integer(number)}};
  return sr__work_keep(w, sr_pointwise(line, operands, NULL, &y), &y);
}

sr_status sr__true_positions(const sr_tensor *x, sr_tensor **out) {
  sr_tensor *offsets;
  sr_work w = sr__work_begin();
  sr__work_keep(&w, true_offsets(x, &offsets), &offsets);
  return sr__work_take(&w, work_integer(&w, SR_OP_add, offsets, SR_INDEX_BASE), out);
}

/* ---- masked_select: dx where the mask is true = dy ----------------------------------- */

/* dx in the common shape of x and mask; giving it sums over what was broadcast. */
typedef struct {
  int ndim;
  int64_t sizes[SR_MAX_DIMS];
} common;

static sr_status put_back(const sr_tensor *positions, const sr_tensor *g, sr_tensor *dx) {
  sr_tensor *dense;
  int64_t found;
  if (g->numel == 0) return SR_OK;
  SR_TRY(sr__dense(g, &dense));
  const sr_take take = {.dtype = (sr_dtype)g->dtype,
                        .rows = {1, dx->numel, 1},
                        .count = g->numel,
                        .index = sr__data(positions),
                        .x = sr__data(dense),
                        .out = sr__data(dx),
                        .zero_id = SR_NO_PADDING};
  sr_status status = sr__backend_of(dx)->take_add(&take, &found);
  sr_tensor_release(dense);
  return status;
}

static sr_status masked_select_backward(sr_node *node, sr_tensor *const *grad) {
  const common *c = sr__parameters(node);
  sr_tensor *positions, *dx;
  SR_TRY(sr__saved(node, 0, &positions));
  SR_TRY(sr__zeros(sr__backend_of(grad[0]), (sr_dtype)grad[0]->dtype, c->ndim, c->sizes, &dx));
  sr_status status = put_back(positions, grad[0], dx);
  if (!status) return sr__give(node, 0, dx);
  sr_tensor_release(dx);
  return status;
}
static const sr_op masked_select_op = {"masked_select", masked_select_backward};

/* x, broadcast to the common shape, at positions (from SR_INDEX_BASE) in it. */
static sr_status taken_flat(const sr_tensor *x, const common *c, const sr_tensor *positions,
                            sr_tensor **out) {
  sr_tensor *view = NULL, *dense = NULL, *y = NULL;
  int64_t found;
  sr_status status;
  SR_TRY_GOTO(sr__expanded(x, c->ndim, c->sizes, &view), done);
  SR_TRY_GOTO(sr__dense(view, &dense), done);
  SR_TRY_GOTO(sr__empty_like(positions, (sr_dtype)x->dtype, &y), done);
  const sr_take take = {.dtype = (sr_dtype)x->dtype,
                        .rows = {1, dense->numel, 1},
                        .count = positions->numel,
                        .index = sr__data(positions),
                        .x = sr__data(dense),
                        .out = sr__data(y),
                        .zero_id = SR_NO_PADDING};
  if (y->numel) SR_TRY_GOTO(sr__backend_of(x)->take(&take, &found), done);
  *out = sr_tensor_retain(y);
done:
  sr_tensor_release(y);
  sr_tensor_release(dense);
  sr_tensor_release(view);
  return status;
}

sr_status sr_masked_select(sr_tensor *x, sr_tensor *mask, sr_tensor **out) {
  common c;
  SR_TRY(sr__need_bool("masked_select", "the mask", mask));
  SR_TRY(sr__same_device("masked_select", 2, (const sr_tensor *[]){x, mask}));
  SR_TRY(sr__broadcast("masked_select", x, mask, &c.ndim, c.sizes));
  sr_tensor *full, *positions, *y;
  SR_TRY(sr__expanded(mask, c.ndim, c.sizes, &full));
  sr_status status = sr__true_positions(full, &positions);
  sr_tensor_release(full);
  if (status) return status;
  status = taken_flat(x, &c, positions, &y);
  if (!status) status = sr__finish(&masked_select_op, y, 1, &x, 1, &positions, &c, sizeof c, out);
  sr_tensor_release(positions);
  return status;
}

/* ---- nonzero ------------------------------------------------------------------------- */

/* Column d of coordinates: (offset / stride of d) mod size of d, from SR_INDEX_BASE. */
static void write_column(sr_work *w, sr_tensor *offsets, const sr_tensor *x, int d,
                         const int64_t *strides, sr_tensor *y) {
  sr_tensor *place = work_integer(w, SR_OP_floor_divide, offsets, strides[d]);
  place = work_integer(w, SR_OP_remainder, place, x->sizes[d]);
  place = work_integer(w, SR_OP_add, place, SR_INDEX_BASE);
  sr_tensor *column = NULL;
  if (w->status) return;
  w->status = sr__select_of(y, 1, d, &column);
  if (!w->status) w->status = sr__copy_into(column, place);
  sr_tensor_release(column);
}

static sr_status coordinates(const sr_tensor *x, sr_tensor *offsets, sr_tensor *y) {
  int64_t strides[SR_MAX_DIMS];
  sr__dense_strides(x->ndim, x->sizes, strides);
  for (int d = 0; d < x->ndim && offsets->numel; d++) {
    sr_work w = sr__work_begin();
    write_column(&w, offsets, x, d, strides, y);
    SR_TRY(sr__work_end(&w));
  }
  return SR_OK;
}

sr_status sr_nonzero(sr_tensor *x, sr_tensor **out) {
  sr_tensor *offsets, *y = NULL;
  SR_TRY(true_offsets(x, &offsets));
  sr_status status =
      sr__empty(sr__backend_of(x), SR_int64, 2, (int64_t[]){offsets->numel, x->ndim}, &y);
  if (!status) status = coordinates(x, offsets, y);
  sr_tensor_release(offsets);
  if (status)
    sr_tensor_release(y);
  else
    *out = y;
  return status;
}
