/* scan.c: cumsum and cumprod: what the values so far along one dimension sum or multiply
 * up to. */
#include "ops/ops.h"

static sr_status scanned(sr_scan kind, const sr_tensor *x, int dim, bool backwards,
                         sr_tensor **out) {
  sr_tensor *dense, *y = NULL;
  SR_TRY(sr__dense_number(x, &dense));
  sr_status status = sr__empty_like(dense, (sr_dtype)dense->dtype, &y);
  if (!status && y->numel) {
    sr_rows rows = sr__rows(dense, dim);
    status = sr__backend_of(y)->scan(kind, (sr_dtype)y->dtype, &rows, sr__data(dense), sr__data(y),
                                     backwards);
  }
  sr_tensor_release(dense);
  if (status)
    sr_tensor_release(y);
  else
    *out = y;
  return status;
}

/* ---- cumsum: dx[i] = dy[i] + dy[i+1] + ... ------------------------------------------- */

static sr_status cumsum_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *dx;
  SR_TRY(scanned(SR_SCAN_SUM, grad[0], *(const int *)sr__parameters(node), true, &dx));
  return sr__give(node, 0, dx);
}
static const sr_op cumsum_op = {"cumsum", cumsum_backward};

sr_status sr_cumsum(sr_tensor *x, int dim, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(sr__dimension("cumsum", dim, x->ndim, &dim));
  SR_TRY(scanned(SR_SCAN_SUM, x, dim, false, &y));
  return sr__finish(&cumsum_op, y, 1, &x, 0, NULL, &dim, sizeof dim, out);
}

/* ---- cumprod --------------------------------------------------------------------------- */

static sr_tensor *scan(sr_work *w, sr_scan kind, sr_tensor *x, int dim, bool backwards) {
  sr_tensor *y;
  return w->status ? NULL : sr__work_keep(w, scanned(kind, x, dim, backwards, &y), &y);
}

/* y[i] holds x[k] as a factor for i >= k, so
 *   dx[k] = sum of dy[i] y[i] / x[k] over i >= k       before the first zero of x,
 *   dx[k] = the same sum with x[k] taken as 1          at the first zero,
 *   dx[k] = 0                                          behind it. */
static sr_status cumprod_backward(sr_node *node, sr_tensor *const *grad) {
  int dim = *(const int *)sr__parameters(node);
  sr_tensor *x, *y;
  SR_TRY(sr__saved(node, 0, &x));
  SR_TRY(sr__saved(node, 1, &y));
  sr_work w = sr__work_begin();
  sr_tensor *is_zero = sr__work_number(&w, SR_OP_eq, x, 0);
  sr_tensor *zeros = scan(&w, SR_SCAN_SUM, is_zero, dim, false);
  sr_tensor *before = sr__work_number(&w, SR_OP_eq, zeros, 0);
  sr_tensor *first =
      sr__work_binary(&w, SR_OP_logical_and, is_zero, sr__work_number(&w, SR_OP_eq, zeros, 1));
  sr_tensor *sums = scan(&w, SR_SCAN_SUM, sr__work_binary(&w, SR_OP_mul, grad[0], y), dim, true);
  sr_tensor *ratio = sr__work_binary(&w, SR_OP_div, sums, x);
  sr_tensor *products =
      scan(&w, SR_SCAN_PROD, sr__work_where(&w, first, NULL, 1, x, 0), dim, false);
  sr_tensor *others =
      scan(&w, SR_SCAN_SUM, sr__work_binary(&w, SR_OP_mul, grad[0], products), dim, true);
  sr_tensor *at_first = sr__work_where(&w, first, others, 0, NULL, 0);
  return sr__work_give(&w, node, 0, sr__work_where(&w, before, ratio, 0, at_first, 0));
}
static const sr_op cumprod_op = {"cumprod", cumprod_backward};

sr_status sr_cumprod(sr_tensor *x, int dim, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(sr__dimension("cumprod", dim, x->ndim, &dim));
  SR_TRY(scanned(SR_SCAN_PROD, x, dim, false, &y));
  return sr__finish(&cumprod_op, y, 1, &x, 2, (sr_tensor *[]){x, y}, &dim, sizeof dim, out);
}
