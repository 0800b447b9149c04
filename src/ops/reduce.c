/* reduce.c: sum, mean, prod, amax, amin, any, all over chosen dimensions.
 *
 * Below, R(x) reduces over the dimensions in the mask; its results broadcast
 * against x once these dimensions are seen again with size 1. */
#include "ops/ops.h"

/* ---- shared ------------------------------------------------------------------------------ */

sr_status sr__reducing(const char *name, const sr_tensor *x, const sr_dims *dims,
                       sr_reducing *out) {
  *out = (sr_reducing){.keepdim = dims && dims->keepdim, .count = 1};
  int n = dims ? dims->n : 0;
  if (n < 0 || n > SR_MAX_DIMS)
    return sr__fail(SR_ARGUMENT, "%s: 0 to %d dimensions can be named, not %d", name, SR_MAX_DIMS,
                    n);
  if (n == 0) out->mask = (1u << x->ndim) - 1;
  for (int i = 0; i < n; i++) {
    int d;
    SR_TRY(sr__dimension(name, dims->dim[i], x->ndim, &d));
    if (out->mask >> d & 1)
      return sr__fail(SR_ARGUMENT, "%s: dimension %d appears twice", name, d + 1);
    out->mask |= 1u << d;
  }
  for (int d = 0; d < x->ndim; d++)
    if (out->mask >> d & 1) out->count *= x->sizes[d];
  return SR_OK;
}

sr_status sr__need_elements(const char *name, const sr_tensor *x, const sr_reducing *r) {
  if (r->count > 0) return SR_OK;
  return sr__fail(SR_SHAPE, "%s: there are no elements to choose from in a tensor of shape %s",
                  name, SR_SHAPE_OF(x));
}

static sr_dtype result_dtype(sr_reduce kind, const sr_tensor *x) {
  switch (kind) {
    case SR_REDUCE_ARGMAX:
    case SR_REDUCE_ARGMIN: return SR_int64;
    case SR_REDUCE_ANY:
    case SR_REDUCE_ALL: return SR_bool;
    default: return (sr_dtype)x->dtype;
  }
}

static sr_status reduced_plain(sr_reduce kind, const sr_tensor *x, const sr_reducing *r,
                               double parameter, sr_tensor **out) {
  int ndim = 0;
  int64_t sizes[SR_MAX_DIMS];
  for (int d = 0; d < x->ndim; d++) {
    if (!(r->mask >> d & 1))
      sizes[ndim++] = x->sizes[d];
    else if (r->keepdim)
      sizes[ndim++] = 1;
  }
  sr_tensor *y;
  SR_TRY(sr__empty(sr__backend_of(x), result_dtype(kind, x), ndim, sizes, &y));
  sr_status status = sr__reduce(kind, x, r->mask, parameter, y);
  if (status) {
    sr_tensor_release(y);
    return status;
  }
  *out = y;
  return SR_OK;
}

sr_status sr__reduced(sr_reduce kind, const sr_tensor *x, const sr_reducing *r, double parameter,
                      sr_tensor **out) {
  bool kernel_takes = x->dtype != SR_bool || kind == SR_REDUCE_ANY || kind == SR_REDUCE_ALL;
  sr_tensor *number;
  SR_TRY(sr__as(x, kernel_takes ? (sr_dtype)x->dtype : SR_int64, &number));
  sr_status status = reduced_plain(kind, number, r, parameter, out);
  sr_tensor_release(number);
  return status;
}

/* ---- sum: dx = dy ------------------------------------------------------------------------- */

/* t, of R(x)'s shape, repeated to x's. */
static sr_tensor *spread(sr_work *w, const sr_node *node, const sr_reducing *r, sr_tensor *t) {
  sr_tensor *view, *kept = sr__work_kept(w, t, sr__input_ndim(node, 0), r);
  if (w->status) return NULL;
  return sr__work_keep(
      w, sr__expanded(kept, sr__input_ndim(node, 0), sr__input_sizes(node, 0), &view), &view);
}

static sr_status sum_backward(sr_node *node, sr_tensor *const *grad) {
  sr_work w = sr__work_begin();
  return sr__work_give(&w, node, 0, spread(&w, node, sr__parameters(node), grad[0]));
}
static const sr_op sum_op = {"sum", sum_backward};

sr_status sr_sum(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  sr_reducing r;
  sr_tensor *y;
  SR_TRY(sr__reducing("sum", x, dims, &r));
  SR_TRY(sr__reduced(SR_REDUCE_SUM, x, &r, 0, &y));
  return sr__finish(&sum_op, y, 1, &x, 0, NULL, &r, sizeof r, out);
}

/* ---- mean: dx = dy / n ---------------------------------------------------------------------- */

static sr_status mean_backward(sr_node *node, sr_tensor *const *grad) {
  const sr_reducing *r = sr__parameters(node);
  sr_work w = sr__work_begin();
  sr_tensor *g = sr__work_number(&w, SR_OP_div, grad[0], (double)r->count);
  return sr__work_give(&w, node, 0, spread(&w, node, r, g));
}
static const sr_op mean_op = {"mean", mean_backward};

sr_status sr_mean(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  sr_reducing r;
  sr_tensor *sum, *y;
  SR_TRY(sr__need_floating("mean", x));
  SR_TRY(sr__reducing("mean", x, dims, &r));
  SR_TRY(sr__reduced(SR_REDUCE_SUM, x, &r, 0, &sum));
  sr_work w = sr__work_begin();
  sr__work_keep(&w, SR_OK, &sum);
  SR_TRY(sr__work_take(&w, sr__work_number(&w, SR_OP_div, sum, (double)r.count), &y));
  return sr__finish(&mean_op, y, 1, &x, 0, NULL, &r, sizeof r, out);
}

/* ---- prod: dx = dy times the product of the others ------------------------------------------- */

/* With zeros taken as ones, the product of the others is prod / x, unless a zero is
 * among them: dx = (zeros of R - is zero(x)) == 0 ? dy prod / x : 0. */
static sr_status prod_backward(sr_node *node, sr_tensor *const *grad) {
  const sr_reducing *r = sr__parameters(node);
  sr_tensor *x;
  SR_TRY(sr__saved(node, 0, &x));
  sr_work w = sr__work_begin();
  sr_tensor *is_zero = sr__work_number(&w, SR_OP_eq, x, 0);
  sr_tensor *zero = sr__work_as(&w, is_zero, (sr_dtype)x->dtype);
  sr_tensor *zeros = sr__work_reduce(&w, SR_REDUCE_SUM, zero, r, 0);
  sr_tensor *others = sr__work_binary(&w, SR_OP_sub, zeros, zero);
  sr_tensor *without_zero = sr__work_number(&w, SR_OP_eq, others, 0);
  sr_tensor *factor = sr__work_where(&w, is_zero, NULL, 1, x, 0);
  sr_tensor *prod = sr__work_reduce(&w, SR_REDUCE_PROD, factor, r, 0);
  sr_tensor *g = sr__work_kept(&w, grad[0], x->ndim, r);
  sr_tensor *scaled = sr__work_binary(&w, SR_OP_mul, g, prod);
  sr_tensor *ratio = sr__work_binary(&w, SR_OP_div, scaled, factor);
  return sr__work_give(&w, node, 0, sr__work_where(&w, without_zero, ratio, 0, NULL, 0));
}
static const sr_op prod_op = {"prod", prod_backward};

sr_status sr_prod(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  sr_reducing r;
  sr_tensor *y;
  SR_TRY(sr__reducing("prod", x, dims, &r));
  SR_TRY(sr__reduced(SR_REDUCE_PROD, x, &r, 0, &y));
  return sr__finish(&prod_op, y, 1, &x, 1, &x, &r, sizeof r, out);
}

/* ---- amax, amin: dy shared equally by the elements that equal y, or are NaN as it is --- */

static sr_status extreme_backward(sr_node *node, sr_tensor *const *grad) {
  const sr_reducing *r = sr__parameters(node);
  sr_tensor *x, *y;
  SR_TRY(sr__saved(node, 0, &x));
  SR_TRY(sr__saved(node, 1, &y));
  sr_work w = sr__work_begin();
  sr_tensor *equal = sr__work_binary(&w, SR_OP_eq, x, sr__work_kept(&w, y, x->ndim, r));
  sr_tensor *chosen =
      sr__work_binary(&w, SR_OP_logical_or, equal, sr__work_unary(&w, SR_OP_isnan, x));
  sr_tensor *ones = sr__work_as(&w, chosen, (sr_dtype)x->dtype);
  sr_tensor *count = sr__work_reduce(&w, SR_REDUCE_SUM, ones, r, 0);
  sr_tensor *share = sr__work_binary(&w, SR_OP_div, sr__work_kept(&w, grad[0], x->ndim, r), count);
  return sr__work_give(&w, node, 0, sr__work_binary(&w, SR_OP_mul, ones, share));
}
static const sr_op amax_op = {"amax", extreme_backward};
static const sr_op amin_op = {"amin", extreme_backward};

static sr_status extreme(const sr_op *op, sr_reduce kind, sr_tensor *x, const sr_dims *dims,
                         sr_tensor **out) {
  sr_reducing r;
  sr_tensor *number, *y;
  SR_TRY(sr__reducing(op->name, x, dims, &r));
  SR_TRY(sr__need_elements(op->name, x, &r));
  SR_TRY(sr__reduced(kind, x, &r, 0, &number));
  sr_status status = sr__as(number, (sr_dtype)x->dtype, &y);
  sr_tensor_release(number);
  if (status) return status;
  return sr__finish(op, y, 1, &x, 2, (sr_tensor *[]){x, y}, &r, sizeof r, out);
}

sr_status sr_amax(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  return extreme(&amax_op, SR_REDUCE_MAX, x, dims, out);
}

sr_status sr_amin(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  return extreme(&amin_op, SR_REDUCE_MIN, x, dims, out);
}

/* ---- any, all: of no elements false and true ----------------------------------------- */

sr_status sr_any(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  sr_reducing r;
  SR_TRY(sr__reducing("any", x, dims, &r));
  return sr__reduced(SR_REDUCE_ANY, x, &r, 0, out);
}

sr_status sr_all(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  sr_reducing r;
  SR_TRY(sr__reducing("all", x, dims, &r));
  return sr__reduced(SR_REDUCE_ALL, x, &r, 0, out);
}
