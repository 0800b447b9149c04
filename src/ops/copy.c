/* copy.c: copies and writes: clone, contiguous, to, fill_, copy_, assign.
 *
 * What is overwritten gets gradient zero; what is written gets the gradient of
 * its place. */
#include <string.h>

#include "ops/ops.h"

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

/* Where a gradient has to go back to. */
typedef struct {
  sr_dtype dtype;
  sr_device device;
} home;

static home home_of(const sr_tensor *t) { return (home){(sr_dtype)t->dtype, sr_tensor_device(t)}; }

static sr_status to_backward(sr_node *node, sr_tensor *const *grad) {
  const home *h = sr__parameters(node);
  sr_tensor *dx;
  SR_TRY(sr__moved(grad[0], h->dtype, h->device, &dx));
  return sr__give(node, 0, dx);
}
static const sr_op to_op = {"to", to_backward};

sr_status sr_to(sr_tensor *t, sr_dtype dtype, sr_device device, sr_tensor **out) {
  home h = home_of(t);
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

static sr_status give_zeros(sr_node *node, int input) {
  sr_tensor *buffer;
  return sr__wants(node, input) ? sr__grad_buffer_zeroed(node, input, &buffer) : SR_OK;
}

static sr_status fill_backward(sr_node *node, sr_tensor *const *grad) {
  (void)grad;
  return give_zeros(node, 0);
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
static sr_status write_tensor(sr_tensor *to, const sr_tensor *from) {
  if (to->storage != from->storage) return sr__copy_into(to, from);
  sr_tensor *copy;
  SR_TRY(sr__copied(from, &copy));
  sr_status status = sr__copy_into(to, copy);
  sr_tensor_release(copy);
  return status;
}

/* Integer tensors take values, but no gradient passes through them. */
static int recorded_inputs(const sr_tensor *x) { return sr__floating(x) ? 2 : 0; }

/* ---- copy_: dx = 0, dsource = dy ----------------------------------------------------- */

static sr_status copy_into_backward(sr_node *node, sr_tensor *const *grad) {
  const home *h = sr__parameters(node);
  SR_TRY(give_zeros(node, 0));
  if (!sr__wants(node, 1)) return SR_OK;
  sr_tensor *moved;
  SR_TRY(sr__moved(grad[0], h->dtype, h->device, &moved));
  return sr__give(node, 1, moved);
}
static const sr_op copy_op = {"copy_", copy_into_backward};

sr_status sr_copy_(sr_tensor *x, sr_tensor *source) {
  sr_tensor *inputs[2] = {x, source};
  int n = recorded_inputs(x);
  home h = home_of(source);
  SR_TRY(sr__need_distinct("copy_", x));
  SR_TRY(sr__need_broadcast_to("copy_", "the source", source, x->ndim, x->sizes));
  SR_TRY(sr__check_in_place("copy_", x, n, inputs));
  SR_TRY(write_tensor(x, source));
  return sr__record_in_place(&copy_op, x, n, inputs, 0, NULL, &h, sizeof h);
}

/* ---- assign: x[region] = value ------------------------------------------------------- */

/* The region in memory, counted from the first element of x, and how x lies there. */
typedef struct {
  home value;
  int ndim;
  int64_t sizes[SR_MAX_DIMS], strides[SR_MAX_DIMS], offset;
  int64_t x_strides[SR_MAX_DIMS];
} assignment;

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

/* A copy, as the region is overwritten with zeros next. */
static sr_status give_region(sr_node *node, const sr_tensor *region, const home *h) {
  sr_tensor *copy, *moved;
  if (!sr__wants(node, 1)) return SR_OK;
  SR_TRY(sr__copied(region, &copy));
  sr_status status = sr__moved(copy, h->dtype, h->device, &moved);
  sr_tensor_release(copy);
  return status ? status : sr__give(node, 1, moved);
}

static sr_status assign_backward(sr_node *node, sr_tensor *const *grad) {
  const assignment *a = sr__parameters(node);
  sr_tensor *g, *region = NULL;
  if (grad[0]->numel == 0) {
    SR_TRY(give_zeros(node, 1));
    return sr__give_shared(node, 0, grad[0]);
  }
  SR_TRY(laid_out(grad[0], a->x_strides, &g));
  sr_status status = sr__alias(g, a->ndim, a->sizes, a->strides, g->offset + a->offset, &region);
  if (!status) status = give_region(node, region, &a->value);
  if (!status) status = sr__fill(region, sr_integer(0));
  sr_tensor_release(region);
  if (!status) status = sr__give_shared(node, 0, g);
  sr_tensor_release(g);
  return status;
}
static const sr_op assign_op = {"assign", assign_backward};

static void describe(assignment *a, const sr_tensor *x, const sr_tensor *region,
                     const sr_tensor *value) {
  *a = (assignment){.ndim = region->ndim, .offset = region->offset - x->offset};
  if (value) a->value = home_of(value);
  memcpy(a->sizes, region->sizes, (size_t)region->ndim * sizeof *a->sizes);
  memcpy(a->strides, sr__strides(region), (size_t)region->ndim * sizeof *a->strides);
  memcpy(a->x_strides, sr__strides(x), (size_t)x->ndim * sizeof *a->x_strides);
}

static sr_status write_operand(sr_tensor *region, sr_operand value) {
  if (value.tensor) return write_tensor(region, value.tensor);
  SR_TRY(sr__number_as("assign", (sr_dtype)region->dtype, value.number, &value.number));
  return sr__fill(region, value.number);
}

sr_status sr_assign(sr_tensor *x, sr_tensor *region, sr_operand value) {
  sr_tensor *inputs[2] = {x, value.tensor};
  int n = recorded_inputs(x);
  assignment a;
  if (!lies_in(region, x))
    return sr__fail(SR_ARGUMENT, "assign: the region of shape %s is not a part of the tensor",
                    SR_SHAPE_OF(region));
  SR_TRY(sr__need_distinct("assign", x));
  if (value.tensor)
    SR_TRY(sr__need_broadcast_to("assign", "the value", value.tensor, region->ndim, region->sizes));
  SR_TRY(sr__check_in_place("assign", x, n, inputs));
  describe(&a, x, region, value.tensor);
  SR_TRY(write_operand(region, value));
  return sr__record_in_place(&assign_op, x, n, inputs, 0, NULL, &a, sizeof a);
}
