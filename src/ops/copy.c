/* copy.c: copies and writes of whole tensors: clone, contiguous, to, fill_, copy_. Parts are
 * written in assign.c.
 *
 * What is overwritten gets gradient zero; what is written gets the gradient of
 * its place. */
#include "ops/copy.h"

/* ---- clone, contiguous: dx = dy ------------------------------------------------------------- */

static sr_status copy_backward(sr_node *node, sr_tensor *const *grad) {
  return sr__give_shared(node, 0, grad[0]);
}
static const sr_op clone_op = {"clone", copy_backward};
static const sr_op contiguous_op = {"contiguous", copy_backward};

static sr_status copy_of(const sr_op *op, sr_tensor *x, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(sr__copied(x, &y));
  return sr__finish(op, y, 1, &x, 0, NULL, NULL, 0, out);
}

sr_status sr_clone(sr_tensor *t, sr_tensor **out) { return copy_of(&clone_op, t, out); }

sr_status sr_contiguous(sr_tensor *t, sr_tensor **out) {
  if (!t->contiguous) return copy_of(&contiguous_op, t, out);
  *out = sr_tensor_retain(t);
  return SR_OK;
}

/* ---- to: dx = dy converted back ------------------------------------------------------ */

sr_home sr__home_of(const sr_tensor *t) {
  return (sr_home){(sr_dtype)t->dtype, sr_tensor_device(t)};
}

sr_status sr__give_home(sr_node *node, int input, const sr_tensor *g, const sr_home *home) {
  sr_tensor *moved;
  if (!sr__wants(node, input)) return SR_OK;
  SR_TRY(sr__moved(g, home->dtype, home->device, &moved));
  return sr__give(node, input, moved);
}

static sr_status to_backward(sr_node *node, sr_tensor *const *grad) {
  return sr__give_home(node, 0, grad[0], sr__parameters(node));
}
static const sr_op to_op = {"to", to_backward};

sr_status sr_to(sr_tensor *t, sr_dtype dtype, sr_device device, sr_tensor **out) {
  sr_home h = sr__home_of(t);
  if (h.dtype == dtype && h.device == device) {
    *out = sr_tensor_retain(t);
    return SR_OK;
  }
  sr_tensor *y;
  SR_TRY(sr__moved(t, dtype, device, &y));
  if (sr_dtype_is_floating(dtype) && sr__floating(t))
    return sr__finish(&to_op, y, 1, &t, 0, NULL, &h, sizeof h, out);
  *out = y;
  return SR_OK;
}

/* ---- fill_: dx = 0 ------------------------------------------------------------------- */

sr_status sr__give_zeros(sr_node *node, int input) {
  sr_tensor *buffer;
  return sr__wants(node, input) ? sr__grad_buffer_zeroed(node, input, &buffer) : SR_OK;
}

static sr_status fill_backward(sr_node *node, sr_tensor *const *grad) {
  (void)grad;
  return sr__give_zeros(node, 0);
}
static const sr_op fill_op = {"fill_", fill_backward};

sr_status sr_fill_(sr_tensor *x, sr_scalar value) {
  SR_TRY(sr__need_distinct("fill_", x));
  SR_TRY(sr__number_as("fill_", (sr_dtype)x->dtype, value, &value));
  SR_TRY(sr__check_in_place("fill_", x, 1, &x));
  SR_TRY(sr__fill(x, value));
  return sr__record_in_place(&fill_op, x, 1, &x, 0, NULL, NULL, 0);
}

/* ---- writing one tensor into another ------------------------------------------------- */

/* Into a part of itself that it may overlap: through a copy. */
sr_status sr__write_tensor(sr_tensor *to, const sr_tensor *from) {
  if (to->storage != from->storage) return sr__copy_into(to, from);
  sr_tensor *copy;
  SR_TRY(sr__copied(from, &copy));
  sr_status status = sr__copy_into(to, copy);
  sr_tensor_release(copy);
  return status;
}

int sr__recorded_inputs(const sr_tensor *x) { return sr__floating(x) ? 2 : 0; }

/* ---- copy_: dx = 0, dsource = dy ----------------------------------------------------- */

static sr_status copy_into_backward(sr_node *node, sr_tensor *const *grad) {
  SR_TRY(sr__give_zeros(node, 0));
  return sr__give_home(node, 1, grad[0], sr__parameters(node));
}
static const sr_op copy_op = {"copy_", copy_into_backward};

sr_status sr_copy_(sr_tensor *x, sr_tensor *source) {
  sr_tensor *inputs[2] = {x, source};
  int n = sr__recorded_inputs(x);
  sr_home h = sr__home_of(source);
  SR_TRY(sr__need_distinct("copy_", x));
  SR_TRY(sr__need_broadcast_to("copy_", "the source", source, x->ndim, x->sizes));
  SR_TRY(sr__check_in_place("copy_", x, n, inputs));
  SR_TRY(sr__write_tensor(x, source));
  return sr__record_in_place(&copy_op, x, n, inputs, 0, NULL, &h, sizeof h);
}
