/* loss.c: the table's negative log likelihood, forward and gradient. Targets are looked
 * at before anything is written. */
#include <string.h>

#include "backend/cpu/cpu.h"

static bool targets_fit(const sr_nll *l, int64_t *found) {
  int64_t n = l->rows.outer * l->rows.inner, last = l->rows.n - 1 + SR_INDEX_BASE;
  for (int64_t i = 0; i < n; i++) {
    int64_t t = l->target[i];
    bool ignored = t == l->ignore_index && t != SR_NO_IGNORE;
    if (ignored || (t >= SR_INDEX_BASE && t <= last)) continue;
    *found = t;
    return false;
  }
  return true;
}

/* Number i of (outer, inner) has class c at log_probabilities[position(..)]. */
static int64_t position(const sr_rows *rows, int64_t i, int64_t c) {
  return (i / rows->inner * rows->n + c) * rows->inner + i % rows->inner;
}

#define SR_NLL(name, type)                                                              \
  static void forward_##name(const sr_nll *l) {                                         \
    const type *logp = l->log_probabilities, *weight = l->weight;                       \
    type *loss = l->loss, *weights = l->weights;                                        \
    int64_t n = l->rows.outer * l->rows.inner;                                          \
    for (int64_t i = 0; i < n; i++) {                                                   \
      int64_t c = l->target[i] - SR_INDEX_BASE;                                         \
      bool ignored = l->target[i] == l->ignore_index;                                   \
      type w = ignored ? 0 : weight ? weight[c] : 1;                                    \
      if (weights) weights[i] = w;                                                      \
      loss[i] = ignored ? 0 : -w * logp[position(&l->rows, i, c)];                      \
    }                                                                                   \
  }                                                                                     \
  static void backward_##name(const sr_nll *l) {                                        \
    const type *weight = l->weight, *g = l->grad;                                       \
    type *dx = l->grad_x;                                                               \
    int64_t n = l->rows.outer * l->rows.inner;                                          \
    memset(dx, 0, (size_t)(n * l->rows.n) * sizeof *dx);                                \
    for (int64_t i = 0; i < n; i++) {                                                   \
      int64_t c = l->target[i] - SR_INDEX_BASE;                                         \
      if (l->target[i] == l->ignore_index) continue;                                    \
      dx[position(&l->rows, i, c)] = -(weight ? weight[c] : 1) * g[i * l->grad_stride]; \
    }                                                                                   \
  }
SR_NLL(float32, float)
SR_NLL(float64, double)

sr_status sr__cpu_nll(const sr_nll *nll, int64_t *found) {
  if (!targets_fit(nll, found)) return SR_INDEX;
  if (nll->dtype == SR_float32)
    forward_float32(nll);
  else
    forward_float64(nll);
  return SR_OK;
}

sr_status sr__cpu_nll_grad(const sr_nll *nll) {
  if (nll->dtype == SR_float32)
    backward_float32(nll);
  else
    backward_float64(nll);
  return SR_OK;
}
