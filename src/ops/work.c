/* work.c: sequences of raw operations that release their temporaries; raw parts. */
#include "ops/ops.h"

/* ---- work ------------------------------------------------------------------------------- */

sr_work sr__work_begin(void) { return (sr_work){.recording = sr_set_grad_enabled(false)}; }

sr_tensor *sr__work_keep(sr_work *w, sr_status status, sr_tensor *const *made) {
  if (!w->status && !status && w->n == SR_WORK_TENSORS) {
    sr_tensor_release(*made);
    status = sr__fail(SR_STATE, "a gradient needs more than %d temporaries", SR_WORK_TENSORS);
  }
  if (!w->status) w->status = status;
  if (status) return NULL;
  return w->kept[w->n++] = *made;
}

sr_tensor *sr__work_unary(sr_work *w, sr_pointwise_op line, sr_tensor *x) {
  sr_tensor *y;
  if (w->status) return NULL;
  return sr__work_keep(w, sr_pointwise(line, &(sr_operand){.tensor = x}, NULL, &y), &y);
}

sr_tensor *sr__work_binary(sr_work *w, sr_pointwise_op line, sr_tensor *a, sr_tensor *b) {
  sr_tensor *y;
  if (w->status) return NULL;
  const sr_operand x[2] = {{.tensor = a}, {.tensor = b}};
  return sr__work_keep(w, sr_pointwise(line, x, NULL, &y), &y);
}

sr_tensor *sr__work_number(sr_work *w, sr_pointwise_op line, sr_tensor *x, double number) {
  sr_tensor *y;
  if (w->status) return NULL;
  const sr_operand operands[2] = {{.tensor = x}, {.number = sr_number(number)}};
  return sr__work_keep(w, sr_pointwise(line, operands, NULL, &y), &y);
}

sr_tensor *sr__work_where(sr_work *w, sr_tensor *condition, sr_tensor *a, double number_a,
                          sr_tensor *b, double number_b) {
  sr_tensor *y;
  if (w->status) return NULL;
  sr_operand x = {a, sr_number(number_a)}, z = {b, sr_number(number_b)};
  return sr__work_keep(w, sr_where(condition, x, z, &y), &y);
}

sr_tensor *sr__work_as(sr_work *w, sr_tensor *x, sr_dtype dtype) {
  sr_tensor *y;
  if (w->status) return NULL;
  return sr__work_keep(w, sr__as(x, dtype, &y), &y);
}

sr_tensor *sr__work_reduce(sr_work *w, sr_reduce kind, sr_tensor *x, const sr_reducing *r,
                           double parameter) {
  sr_tensor *y;
  if (w->status) return NULL;
  sr_reducing kept = *r;
  kept.keepdim = true;
  return sr__work_keep(w, sr__reduced(kind, x, &kept, parameter, &y), &y);
}

sr_tensor *sr__work_kept(sr_work *w, sr_tensor *y, int ndim, const sr_reducing *r) {
  sr_tensor *view;
  if (w->status) return NULL;
  if (r->keepdim || ndim == 0) return y;
  int64_t sizes[SR_MAX_DIMS], strides[SR_MAX_DIMS];
  for (int d = 0, own = 0; d < ndim; d++) {
    bool reduced = r->mask >> d & 1;
    sizes[d] = reduced ? 1 : y->sizes[own];
    strides[d] = reduced ? 0 : sr__strides(y)[own];
    if (!reduced) own++;
  }
  return sr__work_keep(w, sr__alias(y, ndim, sizes, strides, y->offset, &view), &view);
}

sr_status sr__work_end(sr_work *w) {
  while (w->n) sr_tensor_release(w->kept[--w->n]);
  sr_set_grad_enabled(w->recording);
  return w->status;
}

sr_status sr__work_take(sr_work *w, sr_tensor *t, sr_tensor **out) {
  if (!w->status) *out = sr_tensor_retain(t);
  return sr__work_end(w);
}

sr_status sr__work_give(sr_work *w, sr_node *node, int input, sr_tensor *t) {
  sr_tensor *g = NULL;
  SR_TRY(sr__work_take(w, t, &g));
  return sr__give(node, input, g);
}

/* ---- parts and views ------------------------------------------------------------------------ */

static void shape_of(const sr_tensor *x, int64_t *sizes, int64_t *strides) {
  for (int d = 0; d < x->ndim; d++) {
    sizes[d] = x->sizes[d];
    strides[d] = sr__strides(x)[d];
  }
}

sr_status sr__slice_of(const sr_tensor *x, int dim, int64_t start, int64_t length, int64_t step,
                       sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS], strides[SR_MAX_DIMS];
  shape_of(x, sizes, strides);
  int64_t offset = x->offset + start * strides[dim];
  sizes[dim] = length;
  /* No step is taken where there is one element: the product could overflow. */
  if (length > 1) strides[dim] *= step;
  return sr__alias(x, x->ndim, sizes, strides, offset, out);
}

sr_status sr__select_of(const sr_tensor *x, int dim, int64_t position, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS], strides[SR_MAX_DIMS];
  shape_of(x, sizes, strides);
  int64_t offset = x->offset + position * strides[dim];
  for (int d = dim; d + 1 < x->ndim; d++) {
    sizes[d] = sizes[d + 1];
    strides[d] = strides[d + 1];
  }
  return sr__alias(x, x->ndim - 1, sizes, strides, offset, out);
}

sr_status sr__expanded(const sr_tensor *t, int ndim, const int64_t *sizes, sr_tensor **out) {
  int64_t strides[SR_MAX_DIMS];
  for (int d = 0; d < ndim; d++) {
    int own = d - (ndim - t->ndim);
    strides[d] = own < 0 || t->sizes[own] != sizes[d] ? 0 : sr__strides(t)[own];
  }
  return sr__alias(t, ndim, sizes, strides, t->offset, out);
}

sr_status sr__dense_number(const sr_tensor *x, sr_tensor **out) {
  return x->dtype == SR_bool ? sr__as(x, SR_int64, out) : sr__dense(x, out);
}

sr_status sr__add_to(sr_tensor *sum, const sr_tensor *t) {
  sr_loop loop;
  if (!sr__loop(&loop, sum->ndim, sum->sizes, 3, (const sr_tensor *[]){sum, sum, t})) return SR_OK;
  sr__changed(sum);
  return sr__backend_of(sum)->map(SR_MAP_add, (sr_dtype)sum->dtype, &loop, (double[2]){0});
}
