/* rows.c: the table's kernels along one dimension of a dense tensor seen as (outer, n,
 * inner): softmax, log softmax and their gradients, and cumulative sums. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/threads.h"

/* ---- softmax ---------------------------------------------------------------------------- */

typedef struct {
  const sr__softmax_table *kernels;
  sr_rows rows;
  int64_t bytes, panels; /* panels of SR_LANES columns in `inner` */
  bool log;
  const char *x, *y; /* y only for the gradient, where x is g */
  char *out;
} work;

static void softmax_rows(void *context, int64_t first, int64_t last) {
  const work *w = context;
  for (int64_t row = first; row < last; row++) {
    int64_t at = row * w->rows.n * w->bytes;
    if (w->y)
      w->kernels->row_grad(w->rows.n, w->log, w->x + at, w->y + at, w->out + at);
    else
      w->kernels->row(w->rows.n, w->log, w->x + at, w->out + at);
  }
}

static void softmax_panels(void *context, int64_t first, int64_t last) {
  const work *w = context;
  int64_t n = w->rows.n, inner = w->rows.inner;
  for (int64_t p = first; p < last; p++) {
    int64_t column = p % w->panels * SR_LANES;
    int64_t width = inner - column < SR_LANES ? inner - column : SR_LANES;
    int64_t at = (p / w->panels * n * inner + column) * w->bytes;
    if (w->y)
      w->kernels->columns_grad(n, inner, width, w->log, w->x + at, w->y + at, w->out + at);
    else
      w->kernels->columns(n, inner, width, w->log, w->x + at, w->out + at);
  }
}

static sr_status run_softmax(work *w, sr_dtype dtype, const sr_rows *rows) {
  w->kernels = dtype == SR_float32 ? sr__softmax_float32() : sr__softmax_float64();
  w->rows = *rows;
  w->bytes = sr__cpu_bytes[dtype];
  w->panels = (rows->inner + SR_LANES - 1) / SR_LANES;
  if (rows->n == 0 || rows->inner == 0) return SR_OK;
  if (rows->inner == 1)
    sr__parallel(rows->outer, 1 + SR_GRAIN / rows->n, 1, softmax_rows, w);
  else
    sr__parallel(rows->outer * w->panels, 1 + SR_GRAIN / (rows->n * SR_LANES), 1, softmax_panels,
                 w);
  return SR_OK;
}

sr_status sr__cpu_softmax(sr_dtype dtype, bool log, const sr_rows *rows, const void *x, void *y) {
  work w = {.log = log, .x = x, .out = y};
  return run_softmax(&w, dtype, rows);
}

sr_status sr__cpu_softmax_grad(sr_dtype dtype, bool log, const sr_rows *rows, const void *g,
                               const void *y, void *dx) {
  work w = {.log = log, .x = g, .y = y, .out = dx};
  return run_softmax(&w, dtype, rows);
}

/* ---- cumulative sums ----------------------------------------------------------------------- */

enum { SUMS = 64 }; /* columns that run side by side */

/* `width` columns of n rows `stride` apart; float32 sums are kept in float64, integer
 * ones wrap around. step is stride, or -stride from the last row on. */
#define SR_CUMSUM(name, type, sum_type)                                                           \
  static void cumsum_##name(int64_t n, int64_t step, int64_t width, const void *from, void *to) { \
    const type *x = from;                                                                         \
    type *out = to;                                                                               \
    sum_type sum[SUMS] = {0};                                                                     \
    for (int64_t i = 0; i < n; i++)                                                               \
      for (int64_t j = 0; j < width; j++) {                                                       \
        sum[j] += (sum_type)x[i * step + j];                                                      \
        out[i * step + j] = (type)sum[j];                                                         \
      }                                                                                           \
  }
SR_CUMSUM(float32, float, double)
SR_CUMSUM(float64, double, double)
SR_CUMSUM(int64, int64_t, uint64_t)

sr_status sr__cpu_cumsum(sr_dtype dtype, const sr_rows *rows, const void *x, void *out,
                         bool backwards) {
  int64_t bytes = sr__cpu_bytes[dtype], n = rows->n, inner = rows->inner;
  if (n == 0) return SR_OK;
  for (int64_t o = 0; o < rows->outer; o++) {
    for (int64_t j = 0; j < inner; j += SUMS) {
      int64_t width = inner - j < SUMS ? inner - j : SUMS, step = backwards ? -inner : inner;
      int64_t at = (o * n * inner + (backwards ? (n - 1) * inner : 0) + j) * bytes;
      const char *from = (const char *)x + at;
      char *to = (char *)out + at;
      if (dtype == SR_float32)
        cumsum_float32(n, step, width, from, to);
      else if (dtype == SR_float64)
        cumsum_float64(n, step, width, from, to);
      else
        cumsum_int64(n, step, width, from, to);
    }
  }
  return SR_OK;
}
