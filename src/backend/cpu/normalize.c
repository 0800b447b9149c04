/* normalize.c: the table's normalization of rows, forward and gradient.
 *
 * Threads share out rows and, for the gradients of weight and bias, panels of SR_COLUMNS
 * columns: each row and each column is added up by one thread in one order, so results do
 * not depend on the number of threads. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/threads.h"

typedef struct {
  const sr__normalize_table *kernels;
  const sr_normalize *normalize;
} work;

static work begin(const sr_normalize *n) {
  return (work){n->dtype == SR_float32 ? sr__normalize_float32() : sr__normalize_float64(), n};
}

static void rows(void *context, int64_t first, int64_t last) {
  const work *w = context;
  w->kernels->rows(w->normalize, first, last);
}

static void rows_grad(void *context, int64_t first, int64_t last) {
  const work *w = context;
  w->kernels->rows_grad(w->normalize, first, last);
}

static void columns_grad(void *context, int64_t first, int64_t last) {
  const work *w = context;
  w->kernels->columns_grad(w->normalize, first, last);
}

sr_status sr__cpu_normalize(const sr_normalize *n) {
  if (n->n == 0) return SR_OK;
  work w = begin(n);
  sr__parallel(n->rows, 1 + SR_GRAIN / n->n, 1, rows, &w);
  return SR_OK;
}

sr_status sr__cpu_normalize_grad(const sr_normalize *n) {
  if (n->n == 0) return SR_OK;
  work w = begin(n);
  if (n->grad_x) sr__parallel(n->rows, 1 + SR_GRAIN / n->n, 1, rows_grad, &w);
  if (n->grad_weight || n->grad_bias)
    sr__parallel(n->n, 1 + SR_GRAIN / (n->rows + 1), SR_COLUMNS, columns_grad, &w);
  return SR_OK;
}
