/* assign.c: writes to parts of a tensor: x[region] = value (assign), and with tensors in the
 * key, x[region][key] = value (index_put_).
 *
 * What is overwritten gets gradient zero; what is written gets the gradient of its place. */
#include <string.h>

#include "ops/compose.h"
#include "ops/copy.h"
#include "ops/key.h"

/* ---- regions of memory --------------------------------------------------------------- */

/* Where a region begins, counted from the first element of x, how x lies in memory, and where
 * the value came from. */
typedef struct {
  sr_home value;
  int64_t offset, x_strides[SR_MAX_DIMS];
} ground;

static ground ground_of(const sr_tensor *x, const sr_tensor *region, const sr_tensor *value) {
  ground g = {.offset = region->offset - x->offset};
  if (value) g.value = sr__home_of(value);
  memcpy(g.x_strides, sr__strides(x), (size_t)x->ndim * sizeof *g.x_strides);
  return g;
}

/* Elements from the first to the last in memory, of a tensor that has any. */
static int64_t extent(int ndim, const int64_t *sizes, const int64_t *strides) {
  int64_t last = 0;
  for (int d = 0; d < ndim; d++) last += (sizes[d] - 1) * strides[d];
  return last + 1;
}

static bool lies_in(const sr_tensor *region, const sr_tensor *x) {
  if (region->storage != x->storage || region->offset < x->offset) return false;
  if (region->numel == 0 || x->numel == 0) return region->numel == 0;
  return region->offset - x->offset + extent(region->ndim, region->sizes, sr__strides(region)) <=
         extent(x->ndim, x->sizes, sr__strides(x));
}

static sr_status need_part(const char *name, const sr_tensor *region, const sr_tensor *x) {
  if (lies_in(region, x)) return SR_OK;
  return sr__fail(SR_ARGUMENT, "%s: the region of shape %s is not a part of the tensor", name,
                  SR_SHAPE_OF(region));
}

/* g, to be written to, with its elements in memory as x's are. This is g itself where
 * nobody else sees it, so that T assignments to parts of x do not copy T gradients. */
static sr_status laid_out(sr_tensor *g, const int64_t *x_strides, sr_tensor **out) {
  if (sr__is_dense(g->ndim, g->sizes, x_strides)) {
    if (!g->contiguous || g->references > 1 || g->storage->references > 1)
      return sr__copied(g, out);
    *out = sr_tensor_retain(g);
    return SR_OK;
  }
  sr_tensor *memory, *view;
  int64_t count = extent(g->ndim, g->sizes, x_strides);
  SR_TRY(sr__empty(sr__backend_of(g), (sr_dtype)g->dtype, 1, &count, &memory));
  sr_status status = sr__alias(memory, g->ndim, g->sizes, x_strides, 0, &view);
  sr_tensor_release(memory);
  if (status) return status;
  status = sr__copy_into(view, g);
  if (status)
    sr_tensor_release(view);
  else
    *out = view;
  return status;
}

/* Of an empty x there is only an empty region. */
static sr_status give_empty(sr_node *node, sr_tensor *g) {
  SR_TRY(sr__give_zeros(node, 1));
  return sr__give_shared(node, 0, g);
}

/* ---- assign: x[region] = value ------------------------------------------------------- */

typedef struct {
  ground ground;
  int ndim;
  int64_t sizes[SR_MAX_DIMS], strides[SR_MAX_DIMS];
} assignment;

/* A copy, as the region is overwritten with zeros next. */
static sr_status give_region(sr_node *node, const sr_tensor *region, const sr_home *home) {
  sr_tensor *copy;
  if (!sr__wants(node, 1)) return SR_OK;
  SR_TRY(sr__copied(region, &copy));
  sr_status status = sr__give_home(node, 1, copy, home);
  sr_tensor_release(copy);
  return status;
}

static sr_status assign_backward(sr_node *node, sr_tensor *const *grad) {
  const assignment *a = sr__parameters(node);
  sr_tensor *g, *region = NULL;
  if (grad[0]->numel == 0) return give_empty(node, grad[0]);
  SR_TRY(laid_out(grad[0], a->ground.x_strides, &g));
  sr_status status =
      sr__alias(g, a->ndim, a->sizes, a->strides, g->offset + a->ground.offset, &region);
  if (!status) status = give_region(node, region, &a->ground.value);
  if (!status) status = sr__fill(region, sr_integer(0));
  sr_tensor_release(region);
  if (!status) status = sr__give_shared(node, 0, g);
  sr_tensor_release(g);
  return status;
}
static const sr_op assign_op = {"assign", assign_backward};

static sr_status write_operand(sr_tensor *region, sr_operand value) {
  if (value.tensor) return sr__write_tensor(region, value.tensor);
  SR_TRY(sr__number_as("assign", (sr_dtype)region->dtype, value.number, &value.number));
  return sr__fill(region, value.number);
}

sr_status sr_assign(sr_tensor *x, sr_tensor *region, sr_operand value) {
  sr_tensor *inputs[2] = {x, value.tensor};
  int n = sr__recorded_inputs(x);
  assignment a = {.ndim = region->ndim};
  SR_TRY(need_part("assign", region, x));
  SR_TRY(sr__need_distinct("assign", x));
  if (value.tensor)
    SR_TRY(sr__need_broadcast_to("assign", "the value", value.tensor, region->ndim, region->sizes));
  SR_TRY(sr__check_in_place("assign", x, n, inputs));
  a.ground = ground_of(x, region, value.tensor);
  memcpy(a.sizes, region->sizes, (size_t)region->ndim * sizeof *a.sizes);
  memcpy(a.strides, sr__strides(region), (size_t)region->ndim * sizeof *a.strides);
  SR_TRY(write_operand(region, value));
  return sr__record_in_place(&assign_op, x, n, inputs, 0, NULL, &a, sizeof a);
}

/* ---- index_put_: x[region][key] = value ---------------------------------------------- */

typedef struct {
  ground ground;
  sr_chosen chosen; /* its positions are saved apart */
} placement;

/* Write x, dense (NULL: the number), to the chosen elements of memory that begins at `to`. */
static sr_status put(const sr_chosen *c, sr_dtype dtype, const sr_tensor *x, sr_scalar number,
                     void *to) {
  int64_t found = 0;
  const sr_take take = {.dtype = dtype,
                        .rows = c->rows,
                        .count = c->positions->numel,
                        .index = sr__data(c->positions),
                        .x = x ? sr__data(x) : NULL,
                        .out = to,
                        .zero_id = SR_NO_PADDING,
                        .number = number};
  if (take.count == 0) return SR_OK;
  sr_status status = sr__backend_of(c->positions)->put(&take, &found);
  return sr__followed(status, "index_put_", found, c->dim, c->rows.n);
}

/* Which rows stayed: each writes its number to its position; the last one's is found there. */
static sr_tensor *last_writers(sr_work *w, const sr_chosen *c) {
  int64_t n = c->positions->numel;
  sr_device device = sr_tensor_device(c->positions);
  sr_tensor *made;
  sr_tensor *order = SR_COMPOSE(
      w, sr_tensor_arange(SR_int64, sr_integer(0), sr_integer(n), sr_integer(1), device, &made));
  sr_tensor *marks = SR_COMPOSE(w, sr_tensor_empty(SR_int64, 1, &c->rows.n, device, &made));
  sr_tensor *positions = SR_COMPOSE(w, sr_view(c->positions, 1, &n, &made));
  if (!w->status) w->status = sr_scatter_(marks, 0, positions, (sr_operand){.tensor = order});
  sr_tensor *found = SR_COMPOSE(w, sr_index_select(marks, 0, positions, &made));
  return sr__work_binary(w, SR_OP_eq, found, order);
}

/* g, of the shape of x[key], with zeros in the rows that a later one wrote over. */
static sr_tensor *keep_last(sr_work *w, const sr_chosen *c, sr_tensor *g) {
  int64_t n = c->positions->numel;
  sr_tensor *made, *last = last_writers(w, c);
  last = SR_COMPOSE(w, sr_view(last, 2, (int64_t[]){n, 1}, &made));
  g = SR_COMPOSE(w, sr_view(g, 3, (int64_t[]){c->rows.outer, n, c->rows.inner}, &made));
  g = sr__work_where(w, last, g, 0, NULL, 0);
  return SR_COMPOSE(w, sr_view(g, c->ndim, c->sizes, &made));
}

/* The gradient of the value, from memory that holds x's: where it was written and stayed. */
static sr_status give_chosen(sr_node *node, const sr_chosen *c, sr_dtype dtype, const void *memory,
                             const sr_home *home) {
  if (!sr__wants(node, 1)) return SR_OK;
  sr_work w = sr__work_begin();
  sr_tensor *made, *g;
  g = SR_COMPOSE(&w,
                 sr_tensor_empty(dtype, c->ndim, c->sizes, sr_tensor_device(c->positions), &made));
  if (!w.status) w.status = sr__take_chosen("index_put_", c, memory, g);
  if (c->positions->numel > 1) g = keep_last(&w, c, g);
  if (!w.status) w.status = sr__give_home(node, 1, g, home);
  return sr__work_end(&w);
}

static sr_status index_put_backward(sr_node *node, sr_tensor *const *grad) {
  const placement *p = sr__parameters(node);
  sr_chosen chosen = p->chosen;
  sr_dtype dtype = (sr_dtype)grad[0]->dtype;
  sr_tensor *g;
  SR_TRY(sr__saved(node, 0, &chosen.positions));
  if (grad[0]->numel == 0) return give_empty(node, grad[0]);
  SR_TRY(laid_out(grad[0], p->ground.x_strides, &g));
  void *memory = (char *)sr__data(g) + (size_t)p->ground.offset * sr__element_bytes(dtype);
  sr_status status = give_chosen(node, &chosen, dtype, memory, &p->ground.value);
  if (!status) status = put(&chosen, dtype, NULL, sr_integer(0), memory);
  if (!status) status = sr__give_shared(node, 0, g);
  sr_tensor_release(g);
  return status;
}
static const sr_op index_put_op = {"index_put_", index_put_backward};

/* The value as x takes it: dense, of the shape of x[key], and not part of x. */
static sr_status source_of(const sr_tensor *x, const sr_chosen *c, const sr_tensor *value,
                           sr_tensor **out) {
  sr_tensor *moved, *wide;
  SR_TRY(sr__moved(value, (sr_dtype)x->dtype, sr_tensor_device(x), &moved));
  sr_status status = sr__expanded(moved, c->ndim, c->sizes, &wide);
  sr_tensor_release(moved);
  if (status) return status;
  status = wide->storage == x->storage ? sr__copied(wide, out) : sr__dense(wide, out);
  sr_tensor_release(wide);
  return status;
}

static sr_status write_chosen(sr_tensor *region, const sr_chosen *c, sr_operand value) {
  sr_dtype dtype = (sr_dtype)region->dtype;
  if (!value.tensor) {
    SR_TRY(sr__number_as("index_put_", dtype, value.number, &value.number));
    return put(c, dtype, NULL, value.number, sr__data(region));
  }
  sr_tensor *source;
  SR_TRY(source_of(region, c, value.tensor, &source));
  sr_status status = put(c, dtype, source, value.number, sr__data(region));
  sr_tensor_release(source);
  return status;
}

/* The rest of the call, where c's positions are the caller's. */
static sr_status put_value(sr_tensor *x, sr_tensor *region, sr_chosen *c, sr_operand value) {
  sr_tensor *inputs[2] = {x, value.tensor}, *positions = c->positions;
  int n = sr__recorded_inputs(x);
  if (value.tensor)
    SR_TRY(sr__need_broadcast_to("index_put_", "the value", value.tensor, c->ndim, c->sizes));
  SR_TRY(sr__check_in_place("index_put_", x, n, inputs));
  SR_TRY(write_chosen(region, c, value));
  placement p = {ground_of(x, region, value.tensor), *c};
  return sr__record_in_place(&index_put_op, x, n, inputs, 1, &positions, &p, sizeof p);
}

/* x[ids] = value where ids are x itself: positions that the write does not change. */
static sr_status keep_apart(const sr_tensor *x, sr_chosen *c) {
  sr_tensor *copy;
  if (c->positions->storage != x->storage) return SR_OK;
  SR_TRY(sr__copied(c->positions, &copy));
  sr_tensor_release(c->positions);
  c->positions = copy;
  return SR_OK;
}

/* The mask that the key consists of, if it is for all of x's elements from some dimension on. */
static sr_tensor *only_mask(const sr_tensor *x, const sr_key *key) {
  sr_tensor *mask = NULL;
  int dim = 0;
  for (int d = 0; d < x->ndim; d++) {
    if (!key->tensor[d]) continue;
    if (mask) return NULL;
    mask = key->tensor[d];
    dim = d;
  }
  bool fits = mask && mask->dtype == SR_bool && mask->ndim == x->ndim - dim;
  for (int k = 0; fits && k < mask->ndim; k++) fits = mask->sizes[k] == x->sizes[dim + k];
  return fits ? mask : NULL;
}

sr_status sr_index_put_(sr_tensor *x, sr_tensor *region, const sr_key *key, sr_operand value) {
  sr_chosen c;
  SR_TRY(need_part("index_put_", region, x));
  SR_TRY(sr__need_distinct("index_put_", x));
  sr_tensor *mask = value.tensor || !sr__same_shape(region, x) ? NULL : only_mask(x, key);
  if (mask) return sr_masked_fill_(x, mask, value.number); /* needs no positions */
  SR_TRY(sr__choose("index_put_", region, key, &c));
  sr_status status = keep_apart(x, &c);
  if (!status) status = put_value(x, region, &c, value);
  sr_tensor_release(c.positions);
  return status;
}
