/* sort.c: what orders elements or walks them in order along one dimension: max and
 * min with positions, argmax, argmin, sort, topk.
 *
 * Positions are int64 and count from SR_INDEX_BASE. Values picked by position send
 * their gradient back to it. Kernels do not take bool: it goes through int64. */
#include "ops/ops.h"

/* Give values back x's dtype (bool); takes t over. */
static sr_status restore_dtype(const sr_tensor *x, sr_tensor **t) {
  sr_tensor *converted = NULL;
  sr_status status = sr__as(*t, (sr_dtype)x->dtype, &converted);
  sr_tensor_release(*t);
  *t = converted;
  return status;
}

/* ---- the gradient of picking ---------------------------------------------------------------- */

static sr_status pick_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *index;
  SR_TRY(sr__saved(node, 0, &index));
  return sr__give_at(node, *(const int *)sr__parameters(node), index, grad[0]);
}

/* Record values and hand both results out; releases both on failure. */
static sr_status finish_pick(const sr_op *op, sr_tensor *x, int dim, sr_tensor *picked,
                             sr_tensor *index, sr_tensor **values, sr_tensor **indices) {
  sr_status status = sr__finish(op, picked, 1, &x, 1, &index, &dim, sizeof dim, values);
  if (status)
    sr_tensor_release(index);
  else
    *indices = index;
  return status;
}

/* ---- max, min along a dimension ------------------------------------------------------ */

static const sr_op max_op = {"max", pick_backward};
static const sr_op min_op = {"min", pick_backward};

static sr_status best_and_where(const sr_tensor *x, bool largest, const sr_reducing *r,
                                sr_tensor **best, sr_tensor **where) {
  SR_TRY(sr__reduced(largest ? SR_REDUCE_MAX : SR_REDUCE_MIN, x, r, 0, best));
  SR_TRY(restore_dtype(x, best));
  sr_status status = sr__reduced(largest ? SR_REDUCE_ARGMAX : SR_REDUCE_ARGMIN, x, r, 0, where);
  if (status) sr_tensor_release(*best);
  return status;
}

static sr_status extreme_along(const sr_op *op, sr_tensor *x, int dim, bool keepdim,
                               sr_tensor **values, sr_tensor **indices) {
  sr_reducing r;
  sr_tensor *best, *where;
  SR_TRY(sr__reducing(op->name, x, &(sr_dims){.n = 1, .dim = {dim}, .keepdim = keepdim}, &r));
  SR_TRY(sr__need_elements(op->name, x, &r));
  SR_TRY(sr__dimension(op->name, dim, x->ndim, &dim));
  SR_TRY(best_and_where(x, op == &max_op, &r, &best, &where));
  return finish_pick(op, x, dim, best, where, values, indices);
}

sr_status sr_max_dim(sr_tensor *x, int dim, bool keepdim, sr_tensor **values, sr_tensor **indices) {
  return extreme_along(&max_op, x, dim, keepdim, values, indices);
}

sr_status sr_min_dim(sr_tensor *x, int dim, bool keepdim, sr_tensor **values, sr_tensor **indices) {
  return extreme_along(&min_op, x, dim, keepdim, values, indices);
}

/* ---- argmax, argmin: no gradient ----------------------------------------------------- */

static sr_status position_of(const char *name, sr_reduce kind, const sr_tensor *x,
                             const sr_dims *dims, sr_tensor **out) {
  sr_reducing r;
  SR_TRY(sr__reducing(name, x, dims, &r));
  if (dims && dims->n > 1)
    return sr__fail(SR_ARGUMENT, "%s: one dimension or none, got %d", name, dims->n);
  SR_TRY(sr__need_elements(name, x, &r));
  return sr__reduced(kind, x, &r, 0, out);
}

sr_status sr_argmax(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  return position_of("argmax", SR_REDUCE_ARGMAX, x, dims, out);
}

sr_status sr_argmin(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  return position_of("argmin", SR_REDUCE_ARGMIN, x, dims, out);
}

/* ---- sort, topk ---------------------------------------------------------------------- */

static const sr_op sort_op = {"sort", pick_backward};
static const sr_op topk_op = {"topk", pick_backward};

/* The first k along dim, in order. */
static sr_status first_in_order(const sr_tensor *x, int dim, bool descending, int64_t k,
                                sr_tensor **values, sr_tensor **positions) {
  sr_tensor *dense = NULL, *v = NULL, *p = NULL;
  int64_t sizes[SR_MAX_DIMS];
  for (int d = 0; d < x->ndim; d++) sizes[d] = d == dim ? k : x->sizes[d];
  sr_status status = SR_OK;
  SR_TRY_GOTO(sr__dense_number(x, &dense), done);
  SR_TRY_GOTO(sr__empty(sr__backend_of(x), (sr_dtype)dense->dtype, x->ndim, sizes, &v), done);
  SR_TRY_GOTO(sr__empty(sr__backend_of(x), SR_int64, x->ndim, sizes, &p), done);
  if (v->numel) {
    sr_rows rows = sr__rows(dense, dim);
    SR_TRY_GOTO(sr__backend_of(x)->sort((sr_dtype)dense->dtype, &rows, descending, k,
                                        sr__data(dense), sr__data(v), sr__data(p)),
                done);
  }
  SR_TRY_GOTO(restore_dtype(x, &v), done);
  *values = v;
  *positions = p;
done:
  sr_tensor_release(dense);
  if (status) {
    sr_tensor_release(v);
    sr_tensor_release(p);
  }
  return status;
}

sr_status sr_sort(sr_tensor *x, int dim, bool descending, sr_tensor **values, sr_tensor **indices) {
  sr_tensor *sorted, *positions;
  SR_TRY(sr__dimension("sort", dim, x->ndim, &dim));
  int64_t n = x->ndim ? x->sizes[dim] : 1;
  SR_TRY(first_in_order(x, dim, descending, n, &sorted, &positions));
  return finish_pick(&sort_op, x, dim, sorted, positions, values, indices);
}

sr_status sr_topk(sr_tensor *x, int64_t k, int dim, bool largest, sr_tensor **values,
                  sr_tensor **indices) {
  sr_tensor *best, *positions;
  SR_TRY(sr__dimension("topk", dim, x->ndim, &dim));
  int64_t n = x->ndim ? x->sizes[dim] : 1;
  if (k < 0 || k > n)
    return sr__fail(SR_ARGUMENT, "topk: k = %lld is not in 0..%lld, the size of dimension %d",
                    (long long)k, (long long)n, dim + 1);
  if (x->ndim == 0 && k == 0) return sr__fail(SR_ARGUMENT, "topk: k = 0 of a 0-dimensional tensor");
  SR_TRY(first_in_order(x, dim, largest, k, &best, &positions));
  return finish_pick(&topk_op, x, dim, best, positions, values, indices);
}
