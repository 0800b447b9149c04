/* recurrent.h: what the forward pass of a recurrent layer (recurrent.c) leaves for the
 * backward pass (gradient.c). */
#ifndef SR_RECURRENT_RECURRENT_H
#define SR_RECURRENT_RECURRENT_H

#include "autograd/autograd.h"
#include "backend/recurrent_modes.h"

/* Inputs and saved tensors of the node, in order. */
enum { IN_X, IN_WEIGHT_IH, IN_WEIGHT_HH, IN_BIAS_IH, IN_BIAS_HH, IN_H0, IN_C0, INPUTS };
enum {
  KEPT_X,         /* for weight_ih's gradient only */
  KEPT_WEIGHT_IH, /* for x's gradient only */
  KEPT_WEIGHT_HH,
  KEPT_OUTPUT,
  KEPT_H0,
  KEPT_C0,
  KEPT_GATES, /* where the mode keeps them */
  KEPT_CELLS,
  KEPT_TENSORS
};

/* Parameters of the node. */
typedef struct {
  sr_recurrent_mode mode;
  bool reverse;
  bool constant; /* all steps have the same batch */
  int64_t steps, rows, batch, hidden, inputs;
  int64_t numbers[]; /* steps batch sizes, then steps row offsets */
} sr_recurrent_shape;

/* Distance of the rows of x, (N, I) or dense (T, B, I). */
static inline int64_t sr__row_stride(const sr_tensor *x) {
  return x->ndim == 3 ? x->sizes[2] : sr__strides(x)[0];
}

static inline const int64_t *sr__batch_sizes(const sr_recurrent_shape *s) { return s->numbers; }
static inline const int64_t *sr__offsets(const sr_recurrent_shape *s) {
  return s->numbers + s->steps;
}

sr_status sr__recurrent_backward(sr_node *node, sr_tensor *const *grad);

#endif
