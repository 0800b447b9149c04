/* index.c: reading and writing by positions along one dimension: index_select,
 * gather, scatter, scatter_add, and the last two in place.
 *
 * Index tensors are int64 and count from SR_INDEX_BASE; negative positions count
 * from the end. Kernels refuse other positions and name the first they found. */
#include <string.h>

#include "ops/ops.h"

/* ---- shared -------------------------------------------------------------------------------- */

/* A 0-dimensional tensor is indexed as one of size 1. */
static int plan_shape(const sr_tensor *t, int64_t sizes[SR_MAX_DIMS]) {
  sizes[0] = 1;
  for (int d = 0; d < t->ndim; d++) sizes[d] = t->sizes[d];
  return t->ndim ? t->ndim : 1;
}

/* One of gather, scatter, scatter_add with dense tensors: `x` is read (NULL: the number),
 * `out` written; both are index's shape or larger. */
static sr_status run_plan(sr_gather_kind kind, int dim, const sr_tensor *index, const sr_tensor *x,
                          sr_scalar number, sr_tensor *out, int64_t *found) {
  if (index->numel == 0) return SR_OK;
  sr_gather_plan plan = {.kind = kind,
                         .dtype = (sr_dtype)out->dtype,
                         .dim = dim,
                         .index = sr__data(index),
                         .x = x ? sr__data(x) : NULL,
                         .out = sr__data(out),
                         .number = number};
  plan.ndim = plan_shape(index, plan.index_size);
  plan_shape(x ? x : index, plan.x_size);
  plan_shape(out, plan.out_size);
  return sr__backend_of(out)->gather(&plan, found);
}

static bool fits_in(const sr_tensor *index, const sr_tensor *t, int except) {
  if (index->ndim != t->ndim) return false;
  for (int d = 0; d < index->ndim; d++)
    if (d != except && index->sizes[d] > t->sizes[d]) return false;
  return true;
}

/* The checks of gather and scatter; `dim` becomes 0 .. ndim - 1. */
static sr_status check_index(const char *name, const sr_tensor *x, const sr_tensor *index,
                             int *dim) {
  SR_TRY(sr__need_int64(name, "index", index));
  SR_TRY(sr__same_device(name, 2, (const sr_tensor *[]){x, index}));
  SR_TRY(sr__dimension(name, *dim, x->ndim, dim));
  if (index->numel == 0 || fits_in(index, x, *dim)) return SR_OK;
  return sr__fail(SR_SHAPE,
                  "%s: index of shape %s does not fit in shape %s (as many dimensions, and outside "
                  "dimension %d no size larger)",
                  name, SR_SHAPE_OF(index), SR_SHAPE_OF(x), *dim + 1);
}

/* Index and another tensor (may be NULL) dense. */
static sr_status both_dense(const sr_tensor *index, const sr_tensor *x, sr_tensor **dense_index,
                            sr_tensor **dense_x) {
  *dense_x = NULL;
  SR_TRY(sr__dense(index, dense_index));
  sr_status status = x ? sr__dense(x, dense_x) : SR_OK;
  if (status) sr_tensor_release(*dense_index);
  return status;
}

/* ---- index_select: dx[.., index[i], ..] += dy[.., i, ..] ----------------------------- */

static void plan_take(sr_take *take, const sr_tensor *whole, int dim, const sr_tensor *index) {
  *take = (sr_take){.dtype = (sr_dtype)whole->dtype,
                    .rows = sr__rows(whole, dim),
                    .count = index->numel,
                    .index = sr__data(index),
                    .zero_id = SR_NO_PADDING};
}

static sr_status index_select_backward(sr_node *node, sr_tensor *const *grad) {
  int dim = *(const int *)sr__parameters(node);
  sr_tensor *index, *buffer, *g;
  SR_TRY(sr__saved(node, 0, &index));
  if (!sr__wants(node, 0)) return SR_OK;
  SR_TRY(sr__grad_buffer_zeroed(node, 0, &buffer));
  if (grad[0]->numel == 0) return SR_OK;
  SR_TRY(sr__dense(grad[0], &g));
  sr_take take;
  int64_t found;
  plan_take(&take, buffer, dim, index);
  take.x = sr__data(g);
  take.out = sr__data(buffer);
  sr_status status = sr__backend_of(g)->take_add(&take, &found);
  sr_tensor_release(g);
  return status;
}
static const sr_op index_select_op = {"index_select", index_select_backward};

/* x and index are dense. */
static sr_status taken(const sr_tensor *x, int dim, const sr_tensor *index, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS], found = 0;
  for (int d = 0; d < x->ndim; d++) sizes[d] = d == dim ? index->numel : x->sizes[d];
  sr_tensor *y;
  SR_TRY(sr__empty(sr__backend_of(x), (sr_dtype)x->dtype, x->ndim, sizes, &y));
  sr_take take;
  plan_take(&take, x, dim, index);
  take.x = sr__data(x);
  take.out = sr__data(y);
  sr_status status = index->numel ? sr__backend_of(x)->take(&take, &found) : SR_OK;
  if (status) {
    sr_tensor_release(y);
    return sr__followed(status, "index_select", found, dim, x->sizes[dim]);
  }
  *out = y;
  return SR_OK;
}

sr_status sr_index_select(sr_tensor *x, int dim, sr_tensor *index, sr_tensor **out) {
  sr_tensor *positions, *dense, *y = NULL;
  SR_TRY(sr__need_int64("index_select", "index", index));
  SR_TRY(sr__same_device("index_select", 2, (const sr_tensor *[]){x, index}));
  if (x->ndim == 0 || index->ndim > 1)
    return sr__fail(SR_SHAPE,
                    "index_select: a tensor with dimensions and an index with at most one are "
                    "needed, got shapes %s and %s",
                    SR_SHAPE_OF(x), SR_SHAPE_OF(index));
  SR_TRY(sr__dimension("index_select", dim, x->ndim, &dim));
  SR_TRY(both_dense(index, x, &positions, &dense));
  sr_status status = taken(dense, dim, positions, &y);
  if (!status)
    status = sr__finish(&index_select_op, y, 1, &x, 1, &positions, &dim, sizeof dim, out);
  sr_tensor_release(positions);
  sr_tensor_release(dense);
  return status;
}

/* ---- gather: dx[index] += dy --------------------------------------------------------- */

/* y = x[index], where x is at least of index's shape outside dim. */
static sr_status gathered(const char *name, const sr_tensor *x, int dim, const sr_tensor *index,
                          sr_tensor **out) {
  sr_tensor *y, *positions, *dense;
  int64_t found = 0;
  SR_TRY(both_dense(index, x, &positions, &dense));
  sr_status status = sr__empty_like(index, (sr_dtype)x->dtype, &y);
  if (!status) {
    status = run_plan(SR_GATHER, dim, positions, dense, sr_integer(0), y, &found);
    if (status) sr_tensor_release(y);
  }
  sr_tensor_release(positions);
  sr_tensor_release(dense);
  if (status) return sr__followed(status, name, found, dim, x->ndim ? x->sizes[dim] : 1);
  *out = y;
  return SR_OK;
}

static sr_status gather_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *index, *buffer, *positions, *g;
  int64_t found;
  SR_TRY(sr__saved(node, 0, &index));
  if (!sr__wants(node, 0)) return SR_OK;
  SR_TRY(sr__grad_buffer_zeroed(node, 0, &buffer));
  SR_TRY(both_dense(index, grad[0], &positions, &g));
  sr_status status = run_plan(SR_SCATTER_ADD, *(const int *)sr__parameters(node), positions, g,
                              sr_integer(0), buffer, &found);
  sr_tensor_release(positions);
  sr_tensor_release(g);
  return status;
}
static const sr_op gather_op = {"gather", gather_backward};

sr_status sr_gather(sr_tensor *x, int dim, sr_tensor *index, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(check_index("gather", x, index, &dim));
  SR_TRY(gathered("gather", x, dim, index, &y));
  return sr__finish(&gather_op, y, 1, &x, 1, &index, &dim, sizeof dim, out);
}

sr_status sr__give_at(sr_node *node, int dim, const sr_tensor *index, const sr_tensor *g) {
  sr_tensor *buffer, *dense;
  int64_t found;
  if (!sr__wants(node, 0)) return SR_OK;
  SR_TRY(sr__grad_buffer_zeroed(node, 0, &buffer));
  if (g->numel == 0) return SR_OK;
  SR_TRY(sr__dense(g, &dense));
  sr_rows rows = sr__rows(buffer, dim);
  int64_t k = g->numel / (rows.outer * rows.inner);
  sr_gather_plan plan = {.kind = SR_SCATTER_ADD,
                         .dtype = (sr_dtype)buffer->dtype,
                         .ndim = 3,
                         .dim = 1,
                         .x_size = {rows.outer, k, rows.inner},
                         .index_size = {rows.outer, k, rows.inner},
                         .out_size = {rows.outer, rows.n, rows.inner},
                         .index = sr__data(index),
                         .x = sr__data(dense),
                         .out = sr__data(buffer)};
  sr_status status = sr__backend_of(buffer)->gather(&plan, &found);
  sr_tensor_release(dense);
  return status;
}

/* ---- scatter, scatter_add ------------------------------------------------------------ */

/* out = a copy of x with source (NULL: the number) written or added at index. */
static sr_status scattered(const char *name, sr_gather_kind kind, const sr_tensor *x, int dim,
                           const sr_tensor *index, const sr_tensor *source, sr_scalar number,
                           sr_tensor **out) {
  sr_tensor *y, *positions, *dense;
  int64_t found = 0;
  SR_TRY(both_dense(index, source, &positions, &dense));
  sr_status status = sr__copied(x, &y);
  if (!status) {
    status = run_plan(kind, dim, positions, dense, number, y, &found);
    if (status) sr_tensor_release(y);
  }
  sr_tensor_release(positions);
  sr_tensor_release(dense);
  if (status) return sr__followed(status, name, found, dim, x->ndim ? x->sizes[dim] : 1);
  *out = y;
  return SR_OK;
}

/* t into the corner of input 1's gradient that the index covered. */
static sr_status give_corner(sr_node *node, const sr_tensor *t) {
  sr_tensor *buffer, *corner;
  SR_TRY(sr__grad_buffer_zeroed(node, 1, &buffer));
  if (t->numel == 0) return SR_OK;
  SR_TRY(sr__alias(buffer, t->ndim, t->sizes, sr__strides(buffer), buffer->offset, &corner));
  sr_status status = sr__add_to(corner, t);
  sr_tensor_release(corner);
  return status;
}

/* dsource = dy[index] */
static sr_status give_source(sr_node *node, int dim, const sr_tensor *index, const sr_tensor *g) {
  sr_tensor *t;
  if (!sr__wants(node, 1)) return SR_OK;
  SR_TRY(gathered("scatter", g, dim, index, &t));
  sr_status status = give_corner(node, t);
  sr_tensor_release(t);
  return status;
}

/* dx = dy, and for scatter 0 where it was written to */
static sr_status scatter_backward(sr_node *node, sr_tensor *const *grad) {
  int dim = *(const int *)sr__parameters(node);
  sr_tensor *index, *dx;
  SR_TRY(sr__saved(node, 0, &index));
  SR_TRY(give_source(node, dim, index, grad[0]));
  if (!sr__wants(node, 0)) return SR_OK;
  SR_TRY(scattered("scatter", SR_SCATTER, grad[0], dim, index, NULL, sr_integer(0), &dx));
  return sr__give(node, 0, dx);
}
static const sr_op scatter_op = {"scatter", scatter_backward};

static sr_status scatter_add_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *index;
  SR_TRY(sr__saved(node, 0, &index));
  SR_TRY(give_source(node, *(const int *)sr__parameters(node), index, grad[0]));
  return sr__give_shared(node, 0, grad[0]);
}
static const sr_op scatter_add_op = {"scatter_add", scatter_add_backward};

static sr_status check_source(const char *name, const sr_tensor *x, const sr_tensor *index,
                              const sr_tensor *source) {
  if (!source) return SR_OK;
  SR_TRY(sr__same_device(name, 2, (const sr_tensor *[]){x, source}));
  if (source->dtype != x->dtype)
    return sr__fail(SR_DTYPE, "%s: the source must have the tensor's dtype %s, got %s", name,
                    SR_DTYPE_OF(x), SR_DTYPE_OF(source));
  if (index->numel == 0 || fits_in(index, source, -1)) return SR_OK;
  return sr__fail(SR_SHAPE, "%s: index of shape %s is larger than the source of shape %s", name,
                  SR_SHAPE_OF(index), SR_SHAPE_OF(source));
}

/* A call of scatter or scatter_add, `_` or not, with its arguments checked. */
typedef struct {
  const char *name;
  sr_gather_kind kind;
  const sr_op *op;
} scatter_form;

static sr_status check_scatter(const scatter_form *f, const sr_tensor *x, int *dim,
                               const sr_tensor *index, sr_operand *source) {
  SR_TRY(check_index(f->name, x, index, dim));
  SR_TRY(check_source(f->name, x, index, source->tensor));
  if (f->kind == SR_SCATTER_ADD && x->dtype == SR_bool)
    return sr__fail(SR_DTYPE, "%s: dtype bool cannot be added", f->name);
  if (source->tensor) return SR_OK;
  return sr__number_as(f->name, (sr_dtype)x->dtype, source->number, &source->number);
}

static sr_status scatter(const scatter_form *f, sr_tensor *x, int dim, sr_tensor *index,
                         sr_operand source, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(check_scatter(f, x, &dim, index, &source));
  SR_TRY(scattered(f->name, f->kind, x, dim, index, source.tensor, source.number, &y));
  return sr__finish(f->op, y, 2, (sr_tensor *[]){x, source.tensor}, 1, &index, &dim, sizeof dim,
                    out);
}

/* Into x itself where it is dense and not read from at the same time. */
static sr_status write_at(const scatter_form *f, sr_tensor *x, int dim, const sr_tensor *index,
                          sr_operand source) {
  bool reads_x =
      index->storage == x->storage || (source.tensor && source.tensor->storage == x->storage);
  sr_tensor *y, *positions, *dense;
  if (reads_x || !x->contiguous) {
    SR_TRY(scattered(f->name, f->kind, x, dim, index, source.tensor, source.number, &y));
    sr_status status = sr__copy_into(x, y);
    sr_tensor_release(y);
    return status;
  }
  int64_t found = 0;
  SR_TRY(both_dense(index, source.tensor, &positions, &dense));
  sr_status status = run_plan(f->kind, dim, positions, dense, source.number, x, &found);
  sr_tensor_release(positions);
  sr_tensor_release(dense);
  return sr__followed(status, f->name, found, dim, x->ndim ? x->sizes[dim] : 1);
}

static sr_status scatter_in_place(const scatter_form *f, sr_tensor *x, int dim, sr_tensor *index,
                                  sr_operand source) {
  sr_tensor *inputs[2] = {x, source.tensor};
  SR_TRY(check_scatter(f, x, &dim, index, &source));
  SR_TRY(sr__need_distinct(f->name, x));
  SR_TRY(sr__check_in_place(f->name, x, 2, inputs));
  SR_TRY(write_at(f, x, dim, index, source));
  return sr__record_in_place(f->op, x, 2, inputs, 1, &index, &dim, sizeof dim);
}

sr_status sr_scatter(sr_tensor *x, int dim, sr_tensor *index, sr_operand source, sr_tensor **out) {
  static const scatter_form form = {"scatter", SR_SCATTER, &scatter_op};
  return scatter(&form, x, dim, index, source, out);
}

sr_status sr_scatter_(sr_tensor *x, int dim, sr_tensor *index, sr_operand source) {
  static const scatter_form form = {"scatter_", SR_SCATTER, &scatter_op};
  return scatter_in_place(&form, x, dim, index, source);
}

sr_status sr_scatter_add(sr_tensor *x, int dim, sr_tensor *index, sr_tensor *source,
                         sr_tensor **out) {
  static const scatter_form form = {"scatter_add", SR_SCATTER_ADD, &scatter_add_op};
  return scatter(&form, x, dim, index, (sr_operand){.tensor = source}, out);
}

sr_status sr_scatter_add_(sr_tensor *x, int dim, sr_tensor *index, sr_tensor *source) {
  static const scatter_form form = {"scatter_add_", SR_SCATTER_ADD, &scatter_add_op};
  return scatter_in_place(&form, x, dim, index, (sr_operand){.tensor = source});
}
