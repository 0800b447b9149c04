/* recurrent.h: what the forward pass of a recurrent layer (recurrent.c) leaves for the
 * backward pass (gradient.c). */
#ifndef SR_RECURRENT_RECURRENT_H
#define SR_RECURRENT_RECURRENT_H

#include "autograd/autograd.h"
#include "backend/recurrent_modes.h"

/* Parameters of a direction, in the order of sr_recurrent_weights. */
enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH, WEIGHT_HR, WEIGHTS };

/* Inputs, outputs and saved tensors of the node, in order; those of a direction k follow
 * from IN_WEIGHTS + k WEIGHTS and KEPT_OF_DIRECTION + k KEPT_EACH on. */
enum { IN_X, IN_H0, IN_C0, IN_WEIGHTS, INPUTS = IN_WEIGHTS + 2 * WEIGHTS };
enum { OUT_OUTPUT, OUT_HN, OUT_CN, OUT_CELLS, OUTPUTS };
enum { KEPT_X, KEPT_H0, KEPT_C0, KEPT_OUTPUT, KEPT_CELLS, KEPT_RAW, KEPT_OF_DIRECTION };
enum {
  KEPT_WEIGHT_IH, /* for x's gradient only */
  KEPT_WEIGHT_HH,
  KEPT_WEIGHT_HR,
  KEPT_GATES, /* where the mode keeps them */
  KEPT_EACH,
  KEPT_TENSORS = KEPT_OF_DIRECTION + 2 * KEPT_EACH
};

/* Parameters of the node. */
typedef struct {
  sr_recurrent_mode mode;
  bool reverse;
  bool constant; /* all steps have the same batch */
  bool cells;    /* are an output */
  int directions;
  int64_t steps, rows, batch, hidden, inputs;
  int64_t state;     /* P: numbers of h */
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

/* Does direction k walk from the last step to the first? */
static inline bool sr__walks_back(const sr_recurrent_shape *s, int k) {
  return s->reverse != (k == 1);
}

/* Element `first` of a tensor; NULL for no tensor. */
static inline void *sr__part(const sr_tensor *t, int64_t first) {
  if (!t) return NULL;
  return (char *)sr__data(t) + first * (int64_t)sr__element_bytes((sr_dtype)t->dtype);
}

/* What forward and backward have in common of direction k's plan. */
static inline sr_recurrent_plan sr__plan(const sr_recurrent_shape *s, int k, sr_dtype dtype) {
  return (sr_recurrent_plan){.mode = s->mode,
                             .dtype = dtype,
                             .reverse = sr__walks_back(s, k),
                             .steps = s->steps,
                             .rows = s->rows,
                             .batch = s->batch,
                             .hidden = s->hidden,
                             .state = s->state,
                             .batch_sizes = sr__batch_sizes(s),
                             .offset = sr__offsets(s),
                             .output_row = s->directions * s->state,
                             .cells_row = s->directions * s->hidden};
}

sr_status sr__recurrent_backward(sr_node *node, sr_tensor *const *grad);

#endif
