/* softmax_lines.h: softmax, log softmax and their gradients for one element type.
 * Included by kernels_softmax_*.c, which define T, SR_TAG and SR_SOFTMAX_TABLE.
 *
 *   softmax      y = e^(x - m) / s, m = max x, s = sum e^(x - m)       dx = y (g - sum g y)
 *   log softmax  y = x - m - log s                                     dx = g - e^y sum g
 *
 * A row with a NaN or +inf, or of -inf alone, gives NaN, as in PyTorch. Sums are
 * kept in float64. All values go through vectors of SR_LANES: those that do not fill one are
 * taken with values before them, or put into one (`rest`) where the row is short. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "backend/formulae.h"

#define SR_LANE_LOOP _Pragma("omp simd") for (int lane = 0; lane < SR_LANES; lane++)

/* n < SR_LANES values from x to a vector; the other lanes are `fill`. */
static inline const T *load_rest(const T *x, int64_t n, T fill, T rest[SR_LANES]) {
  SR_LANE_LOOP rest[lane] = fill;
  memcpy(rest, x, (size_t)n * sizeof *x);
  return rest;
}

static inline double joined(const double lanes[SR_LANES]) {
  double s[SR_LANES];
  memcpy(s, lanes, sizeof s);
  for (int width = SR_LANES / 2; width; width /= 2)
    for (int lane = 0; lane < width; lane++) s[lane] += s[lane + width];
  return s[0];
}

/* ---- rows: full vectors, then the last SR_LANES values once more ------------------------- */

/* A NaN is passed over: it makes its power and with it the sum and every result NaN. */
static inline void max_lanes(const T *x, T *max) {
  SR_LANE_LOOP max[lane] = x[lane] > max[lane] ? x[lane] : max[lane];
}

static inline void exp_lanes(const T *x, T max, T *e, double *sums) {
  SR_LANE_LOOP {
    e[lane] = SR_F(exp)(x[lane] - max);
    sums[lane] += (double)e[lane];
  }
}

/* The same for the vector at the end of a row, whose first `done` lanes have been added. */
static inline void exp_last(const T *x, int done, T max, T *e, double *sums) {
  T values[SR_LANES];
  SR_LANE_LOOP values[lane] = lane < done ? -INFINITY : x[lane];
  SR_LANE_LOOP values[lane] = SR_F(exp)(values[lane] - max);
  SR_LANE_LOOP {
    sums[lane] += (double)values[lane];
    e[lane] = lane < done ? e[lane] : values[lane];
  }
}

static T row_max(int64_t n, const T *x) {
  T lanes[SR_LANES], rest[SR_LANES];
  SR_LANE_LOOP lanes[lane] = -INFINITY;
  for (int64_t i = 0; i + SR_LANES <= n; i += SR_LANES) max_lanes(x + i, lanes);
  max_lanes(n < SR_LANES ? load_rest(x, n, -INFINITY, rest) : x + n - SR_LANES, lanes);
  for (int width = SR_LANES / 2; width; width /= 2)
    for (int lane = 0; lane < width; lane++)
      lanes[lane] = lanes[lane + width] > lanes[lane] ? lanes[lane + width] : lanes[lane];
  return lanes[0];
}

static void softmax_row(int64_t n, const T *x, T *y) {
  T e[SR_LANES], rest[SR_LANES];
  double sums[SR_LANES];
  const T max = row_max(n, x);
  int64_t i = 0;
  SR_LANE_LOOP sums[lane] = 0;
  for (; i + SR_LANES <= n; i += SR_LANES) exp_lanes(x + i, max, y + i, sums);
  if (n < SR_LANES) {
    exp_lanes(load_rest(x, n, -INFINITY, rest), max, e, sums);
    memcpy(y, e, (size_t)n * sizeof *y);
  } else if (i < n) {
    exp_last(x + n - SR_LANES, (int)(SR_LANES - (n - i)), max, y + n - SR_LANES, sums);
  }
  const T scale = (T)(1 / joined(sums));
  _Pragma("omp simd") for (int64_t k = 0; k < n; k++) y[k] *= scale;
}

static void log_softmax_row(int64_t n, const T *x, T *y) {
  T e[SR_LANES], rest[SR_LANES];
  double sums[SR_LANES];
  const T max = row_max(n, x);
  int64_t i = 0;
  SR_LANE_LOOP sums[lane] = 0;
  for (; i + SR_LANES <= n; i += SR_LANES) exp_lanes(x + i, max, e, sums);
  if (n < SR_LANES)
    exp_lanes(load_rest(x, n, -INFINITY, rest), max, e, sums);
  else if (i < n)
    exp_last(x + n - SR_LANES, (int)(SR_LANES - (n - i)), max, e, sums);
  const T log_sum = (T)SR_NAME(f64, log)(joined(sums));
  _Pragma("omp simd") for (int64_t k = 0; k < n; k++) y[k] = x[k] - max - log_sum;
}

static void row(int64_t n, bool log, const void *x, void *y) {
  if (log)
    log_softmax_row(n, x, y);
  else
    softmax_row(n, x, y);
}

static inline void log_grad_lanes(const T *g, const T *y, T sum, T *dx) {
  SR_LANE_LOOP dx[lane] = g[lane] - SR_F(exp)(y[lane]) * sum;
}

static void log_softmax_row_grad(int64_t n, const T *g, const T *y, T *dx) {
  T rest_g[SR_LANES], rest_y[SR_LANES], d[SR_LANES];
  double sums[SR_LANES];
  int64_t i = 0;
  SR_LANE_LOOP sums[lane] = 0;
  for (; i + SR_LANES <= n; i += SR_LANES) SR_LANE_LOOP sums[lane] += (double)g[i + lane];
  for (int lane = 0; i + lane < n; lane++) sums[lane] += (double)g[i + lane];
  const T sum = (T)joined(sums);
  for (i = 0; i + SR_LANES <= n; i += SR_LANES) log_grad_lanes(g + i, y + i, sum, dx + i);
  if (n < SR_LANES) {
    log_grad_lanes(load_rest(g, n, 0, rest_g), load_rest(y, n, 0, rest_y), sum, d);
    memcpy(dx, d, (size_t)n * sizeof *dx);
  } else if (i < n) {
    i = n - SR_LANES;
    log_grad_lanes(g + i, y + i, sum, dx + i);
  }
}

static void softmax_row_grad(int64_t n, const T *g, const T *y, T *dx) {
  double sums[SR_LANES];
  int64_t i = 0;
  SR_LANE_LOOP sums[lane] = 0;
  for (; i + SR_LANES <= n; i += SR_LANES)
    SR_LANE_LOOP sums[lane] += (double)g[i + lane] * (double)y[i + lane];
  for (int lane = 0; i + lane < n; lane++) sums[lane] += (double)g[i + lane] * (double)y[i + lane];
  const T sum = (T)joined(sums);
  _Pragma("omp simd") for (int64_t k = 0; k < n; k++) dx[k] = y[k] * (g[k] - sum);
}

static void row_grad(int64_t n, bool log, const void *g, const void *y, void *dx) {
  if (log)
    log_softmax_row_grad(n, g, y, dx);
  else
    softmax_row_grad(n, g, y, dx);
}

/* ---- columns: lane j is column j. A panel has SR_LANES of them, or fewer (`width`) ---------- */

static inline const T *load(const T *x, int64_t width, T rest[SR_LANES]) {
  return width == SR_LANES ? x : load_rest(x, width, 0, rest);
}

static inline void store(T *y, int64_t width, const T values[SR_LANES]) {
  memcpy(y, values, (size_t)width * sizeof *y);
}

static inline void panel(int64_t n, int64_t stride, int64_t width, bool log, const T *x, T *y) {
  T max[SR_LANES], e[SR_LANES], rest[SR_LANES], scale[SR_LANES];
  double sums[SR_LANES];
  SR_LANE_LOOP max[lane] = -INFINITY;
  SR_LANE_LOOP sums[lane] = 0;
  for (int64_t i = 0; i < n; i++) max_lanes(load(x + i * stride, width, rest), max);
  for (int64_t i = 0; i < n; i++) {
    const T *v = load(x + i * stride, width, rest);
    SR_LANE_LOOP {
      e[lane] = SR_F(exp)(v[lane] - max[lane]);
      sums[lane] += (double)e[lane];
    }
    if (!log) store(y + i * stride, width, e);
  }
  for (int lane = 0; lane < SR_LANES; lane++)
    scale[lane] = (T)(log ? SR_NAME(f64, log)(sums[lane]) : 1 / sums[lane]);
  for (int64_t i = 0; i < n; i++) {
    const T *v = load((log ? x : y) + i * stride, width, rest);
    if (log) {
      SR_LANE_LOOP e[lane] = v[lane] - max[lane] - scale[lane];
    } else {
      SR_LANE_LOOP e[lane] = v[lane] * scale[lane];
    }
    store(y + i * stride, width, e);
  }
}

static void columns(int64_t n, int64_t stride, int64_t width, bool log, const void *x, void *y) {
  if (width == SR_LANES)
    panel(n, stride, SR_LANES, log, x, y);
  else
    panel(n, stride, width, log, x, y);
}

static inline void panel_grad(int64_t n, int64_t stride, int64_t width, bool log, const T *g,
                              const T *y, T *dx) {
  T rest_g[SR_LANES], rest_y[SR_LANES], d[SR_LANES], sum[SR_LANES];
  double sums[SR_LANES];
  SR_LANE_LOOP sums[lane] = 0;
  for (int64_t i = 0; i < n; i++) {
    const T *vg = load(g + i * stride, width, rest_g);
    const T *vy = load(y + i * stride, width, rest_y);
    SR_LANE_LOOP sums[lane] += log ? (double)vg[lane] : (double)vg[lane] * (double)vy[lane];
  }
  SR_LANE_LOOP sum[lane] = (T)sums[lane];
  for (int64_t i = 0; i < n; i++) {
    const T *vg = load(g + i * stride, width, rest_g);
    const T *vy = load(y + i * stride, width, rest_y);
    if (log) {
      SR_LANE_LOOP d[lane] = vg[lane] - SR_F(exp)(vy[lane]) * sum[lane];
    } else {
      SR_LANE_LOOP d[lane] = vy[lane] * (vg[lane] - sum[lane]);
    }
    store(dx + i * stride, width, d);
  }
}

static void columns_grad(int64_t n, int64_t stride, int64_t width, bool log, const void *g,
                         const void *y, void *dx) {
  if (width == SR_LANES)
    panel_grad(n, stride, SR_LANES, log, g, y, dx);
  else
    panel_grad(n, stride, width, log, g, y, dx);
}

const sr__softmax_table SR_ISA_NAME(SR_SOFTMAX_TABLE) = {row, row_grad, columns, columns_grad};
