/* softmax.c: softmax and log_softmax along one dimension.
 *
 * With y the result and g its gradient:
 *   softmax      dx = y (g - sum(g y))
 *   log_softmax  dx = g - exp(y) sum(g)
 * Both read y only. */
#include "autograd/autograd.h"

static sr_status give_gradient(sr_node *node, const sr_tensor *grad, bool log) {
  int dim = *(const int *)sr__parameters(node);
  sr_tensor *y, *g, *dx;
  SR_TRY(sr__saved(node, 0, &y));
  SR_TRY(sr__dense(grad, &g));
  sr_status status = sr__empty_like(y, (sr_dtype)y->dtype, &dx);
  if (!status) {
    sr_rows rows = sr__rows(y, dim);
    if (y->numel)
      status = sr__backend_of(y)->softmax_grad((sr_dtype)y->dtype, log, &rows, sr__data(g),
                                               sr__data(y), sr__data(dx));
    if (status) {
      sr_tensor_release(dx);
    } else {
      status = sr__give(node, 0, dx);
    }
  }
  sr_tensor_release(g);
  return status;
}

static sr_status softmax_backward(sr_node *node, sr_tensor *const *grad) {
  return give_gradient(node, grad[0], false);
}

static sr_status log_softmax_backward(sr_node *node, sr_tensor *const *grad) {
  return give_gradient(node, grad[0], true);
}

static sr_status run(const sr_tensor *x, int dim, bool log, sr_tensor **out) {
  sr_tensor *dense, *y;
  SR_TRY(sr__dense(x, &dense));
  sr_status status = sr__empty_like(x, (sr_dtype)x->dtype, &y);
  if (!status && x->numel) {
    sr_rows rows = sr__rows(x, dim);
    status =
        sr__backend_of(x)->softmax((sr_dtype)x->dtype, log, &rows, sr__data(dense), sr__data(y));
    if (status) sr_tensor_release(y);
  }
  sr_tensor_release(dense);
  if (!status) *out = y;
  return status;
}

static sr_status apply(const sr_op *op, bool log, sr_tensor *x, int dim, sr_tensor **out) {
  SR_TRY(sr__dimension(op->name, dim, x->ndim, &dim));
  if (!sr__floating(x))
    return sr__fail(SR_DTYPE, "%s: a floating tensor is needed, got %s", op->name, SR_DTYPE_OF(x));
  sr_tensor *y;
  SR_TRY(run(x, dim, log, &y));
  return sr__finish(op, y, 1, &x, 1, &y, &dim, sizeof dim, out);
}

static const sr_op softmax_op = {"softmax", softmax_backward};

sr_status sr_softmax(sr_tensor *x, int dim, sr_tensor **out) {
  return apply(&softmax_op, false, x, dim, out);
}

static const sr_op log_softmax_op = {"log_softmax", log_softmax_backward};

sr_status sr_log_softmax(sr_tensor *x, int dim, sr_tensor **out) {
  return apply(&log_softmax_op, true, x, dim, out);
}
