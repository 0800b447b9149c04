/* dropout.c: zeroes with probability p and scales the rest by 1 / (1 - p).
 *
 * The mask is a function of a key (base/random.h), so it is made again for the gradient
 * instead of being kept. */
#include "base/random.h"
#include "ops/ops.h"

typedef struct {
  uint64_t key;
  uint32_t threshold;
  bool all; /* p = 1: nothing is kept */
  double scale;
} dropout_mask;

/* y = x under the mask, dense */
static sr_status masked(const dropout_mask *mask, const sr_tensor *x, sr_tensor **out) {
  if (mask->all) return sr__zeros(sr__backend_of(x), (sr_dtype)x->dtype, x->ndim, x->sizes, out);
  sr_tensor *dense, *y;
  SR_TRY(sr__dense(x, &dense));
  sr_status status = sr__empty_like(x, (sr_dtype)x->dtype, &y);
  if (!status) {
    status = sr__backend_of(x)->dropout((sr_dtype)x->dtype, x->numel, mask->key, mask->threshold,
                                        mask->scale, sr__data(dense), sr__data(y));
    if (status) {
      sr_tensor_release(y);
    } else {
      *out = y;
    }
  }
  sr_tensor_release(dense);
  return status;
}

static sr_status dropout_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *dx;
  SR_TRY(masked(sr__parameters(node), grad[0], &dx));
  return sr__give(node, 0, dx);
}

static const sr_op dropout_op = {"dropout", dropout_backward};

sr_status sr_dropout(sr_tensor *x, double p, sr_generator *g, sr_tensor **out) {
  if (!(p >= 0 && p <= 1))
    return sr__fail(SR_ARGUMENT, "dropout: the probability must be from 0 to 1, got %g", p);
  SR_TRY(sr__need_floating("dropout", x));
  if (p == 0 || !x->numel) {
    *out = sr_tensor_retain(x);
    return SR_OK;
  }
  dropout_mask mask = {.all = p == 1};
  if (!mask.all) {
    mask.key = sr__random_next_mask(g);
    mask.threshold = (uint32_t)(p * 0x1p32);
    mask.scale = 1 / (1 - p);
  }
  sr_tensor *y;
  SR_TRY(masked(&mask, x, &y));
  return sr__finish(&dropout_op, y, 1, &x, 0, NULL, &mask, sizeof mask, out);
}
