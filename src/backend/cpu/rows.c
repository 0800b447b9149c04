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

/* ---- cumulative sums and products ---------------------------------------------------------- */

enum { SCANS = 64 }; /* columns that run side by side */

/* `width` columns of n rows `stride` apart; float32 values are gathered in float64, integer
 * ones wrap around. step is stride, or -stride from the last row on. */
#define SR_SCAN(name, type, wide, start, op)                                             \
  static void name(int64_t n, int64_t step, int64_t width, const void *from, void *to) { \
    const type *x = from;                                                                \
    type *out = to;                                                                      \
    wide so_far[SCANS];                                                                  \
    for (int64_t j = 0; j < width; j++) so_far[j] = start;                               \
    for (int64_t i = 0; i < n; i++)                                                      \
      for (int64_t j = 0; j < width; j++) {                                              \
        so_far[j] = so_far[j] op(wide) x[i * step + j];                                  \
        out[i * step + j] = (type)so_far[j];                                             \
      }                                                                                  \
  }
SR_SCAN(sum_float32, float, double, 0, +)
SR_SCAN(sum_float64, double, double, 0, +)
SR_SCAN(sum_int64, int64_t, uint64_t, 0, +)
SR_SCAN(prod_float32, float, double, 1, *)
SR_SCAN(prod_float64, double, double, 1, *)
SR_SCAN(prod_int64, int64_t, uint64_t, 1, *)

typedef void scan_columns(int64_t n, int64_t step, int64_t width, const void *from, void *to);

sr_status sr__cpu_scan(sr_scan kind, sr_dtype dtype, const sr_rows *rows, const void *x, void *out,
                       bool backwards) {
  static scan_columns *const kernels[][SR_DTYPES] = {
      [SR_SCAN_SUM] =
          {[SR_float32] = sum_float32, [SR_float64] = sum_float64, [SR_int64] = sum_int64},
      [SR_SCAN_PROD] =
          {[SR_float32] = prod_float32, [SR_float64] = prod_float64, [SR_int64] = prod_int64},
  };
  int64_t bytes = sr__cpu_bytes[dtype], n = rows->n, inner = rows->inner;
  if (n == 0) return SR_OK;
  for (int64_t o = 0; o < rows->outer; o++)
    for (int64_t j = 0; j < inner; j += SCANS) {
      int64_t width = inner - j < SCANS ? inner - j : SCANS, step = backwards ? -inner : inner;
      int64_t at = (o * n * inner + (backwards ? (n - 1) * inner : 0) + j) * bytes;
      kernels[kind][dtype](n, step, width, (const char *)x + at, (char *)out + at);
    }
  return SR_OK;
}
