/* softmax_lines.h: softmax, log softmax and their gradients for one element type.
 * Included by kernels_softmax_*.c, which define T, SR_TAG and SR_SOFTMAX_TABLE.
 *
 *   softmax      y = e^(x - m) / s with m = max x, s = sum e^(x - m)   dx = y (g - sum g y)
 *   log softmax  y = x - m - log s                                     dx = g - e^y sum g
 *
 * A row with a NaN or +inf, or of -inf alone, gives NaN, as in PyTorch. Sums are
 * kept in float64. Values that do not fill a vector are put into one (`rest`), so
 * all of them go through the same instructions. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "backend/formulae.h"

#define SR_LANE_LOOP _Pragma("omp simd") for (int lane = 0; lane < SR_LANES; lane++)

/* SR_LANES values from x, of which n are there; the others are `fill`. */
static inline const T *whole(const T *x, int64_t n, T fill, T rest[SR_LANES]) {
  if (n >= SR_LANES) return x;
  for (int lane = 0; lane < SR_LANES; lane++) rest[lane] = fill;
  for (int64_t i = 0; i < n; i++) rest[i] = x[i];
  return rest;
}

static inline void put(T *y, int64_t n, const T values[SR_LANES]) {
  if (n >= SR_LANES)
    memcpy(y, values, SR_LANES * sizeof *y);
  else
    for (int64_t i = 0; i < n; i++) y[i] = values[i];
}

static inline double joined(const double lanes[SR_LANES]) {
  double s[SR_LANES];
  memcpy(s, lanes, sizeof s);
  for (int width = SR_LANES / 2; width; width /= 2)
    for (int lane = 0; lane < width; lane++) s[lane] += s[lane + width];
  return s[0];
}

/* ---- rows ------------------------------------------------------------------------------ */

static T row_max(int64_t n, const T *x) {
  T lanes[SR_LANES], rest[SR_LANES];
  SR_LANE_LOOP lanes[lane] = -INFINITY;
  for (int64_t i = 0; i < n; i += SR_LANES) {
    const T *v = whole(x + i, n - i, -INFINITY, rest);
    SR_LANE_LOOP lanes[lane] = SR_NAN_MAX(lanes[lane], v[lane]);
  }
  T max = lanes[0];
  for (int lane = 1; lane < SR_LANES; lane++) max = SR_NAN_MAX(max, lanes[lane]);
  return max;
}

static void row(int64_t n, bool log, const void *in, void *out) {
  const T *x = in;
  T *y = out;
  T e[SR_LANES], rest[SR_LANES];
  double sums[SR_LANES];
  const T max = row_max(n, x);
  SR_LANE_LOOP sums[lane] = 0;
  for (int64_t i = 0; i < n; i += SR_LANES) {
    const T *v = whole(x + i, n - i, -INFINITY, rest);
    SR_LANE_LOOP {
      e[lane] = SR_F(exp)(v[lane] - max);
      sums[lane] += (double)e[lane];
    }
    if (!log) put(y + i, n - i, e);
  }
  double sum = joined(sums);
  if (log) {
    T log_sum = (T)SR_NAME(f64, log)(sum);
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) y[i] = x[i] - max - log_sum;
  } else {
    T divisor = (T)sum;
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) y[i] /= divisor;
  }
}

static void row_grad(int64_t n, bool log, const void *in_g, const void *in_y, void *out) {
  const T *g = in_g, *y = in_y;
  T *dx = out;
  double sums[SR_LANES];
  T rest_g[SR_LANES], rest_y[SR_LANES], d[SR_LANES];
  SR_LANE_LOOP sums[lane] = 0;
  for (int64_t i = 0; i < n; i += SR_LANES) {
    const T *vg = whole(g + i, n - i, 0, rest_g), *vy = whole(y + i, n - i, 0, rest_y);
    if (log) {
      SR_LANE_LOOP sums[lane] += (double)vg[lane];
    } else {
      SR_LANE_LOOP sums[lane] += (double)vg[lane] * (double)vy[lane];
    }
  }
  const T sum = (T)joined(sums);
  for (int64_t i = 0; i < n; i += SR_LANES) {
    const T *vg = whole(g + i, n - i, 0, rest_g), *vy = whole(y + i, n - i, 0, rest_y);
    if (log) {
      SR_LANE_LOOP d[lane] = vg[lane] - SR_F(exp)(vy[lane]) * sum;
    } else {
      SR_LANE_LOOP d[lane] = vy[lane] * (vg[lane] - sum);
    }
    put(dx + i, n - i, d);
  }
}

/* ---- columns: lane j is column j ---------------------------------------------------------- */

static void columns(int64_t n, int64_t stride, int64_t width, bool log, const void *in, void *out) {
  const T *x = in;
  T *y = out;
  T max[SR_LANES], e[SR_LANES], rest[SR_LANES], scale[SR_LANES];
  double sums[SR_LANES];
  SR_LANE_LOOP max[lane] = -INFINITY;
  SR_LANE_LOOP sums[lane] = 0;
  for (int64_t i = 0; i < n; i++) {
    const T *v = whole(x + i * stride, width, 0, rest);
    SR_LANE_LOOP max[lane] = SR_NAN_MAX(max[lane], v[lane]);
  }
  for (int64_t i = 0; i < n; i++) {
    const T *v = whole(x + i * stride, width, 0, rest);
    SR_LANE_LOOP {
      e[lane] = SR_F(exp)(v[lane] - max[lane]);
      sums[lane] += (double)e[lane];
    }
    if (!log) put(y + i * stride, width, e);
  }
  for (int lane = 0; lane < SR_LANES; lane++)
    scale[lane] = log ? (T)SR_NAME(f64, log)(sums[lane]) : (T)sums[lane];
  for (int64_t i = 0; i < n; i++) {
    const T *v = whole((log ? x : y) + i * stride, width, 0, rest);
    if (log) {
      SR_LANE_LOOP e[lane] = v[lane] - max[lane] - scale[lane];
    } else {
      SR_LANE_LOOP e[lane] = v[lane] / scale[lane];
    }
    put(y + i * stride, width, e);
  }
}

static void columns_grad(int64_t n, int64_t stride, int64_t width, bool log, const void *in_g,
                         const void *in_y, void *out) {
  const T *g = in_g, *y = in_y;
  T *dx = out;
  T rest_g[SR_LANES], rest_y[SR_LANES], d[SR_LANES], sum[SR_LANES];
  double sums[SR_LANES];
  SR_LANE_LOOP sums[lane] = 0;
  for (int64_t i = 0; i < n; i++) {
    const T *vg = whole(g + i * stride, width, 0, rest_g);
    const T *vy = whole(y + i * stride, width, 0, rest_y);
    SR_LANE_LOOP sums[lane] += log ? (double)vg[lane] : (double)vg[lane] * (double)vy[lane];
  }
  SR_LANE_LOOP sum[lane] = (T)sums[lane];
  for (int64_t i = 0; i < n; i++) {
    const T *vg = whole(g + i * stride, width, 0, rest_g);
    const T *vy = whole(y + i * stride, width, 0, rest_y);
    if (log) {
      SR_LANE_LOOP d[lane] = vg[lane] - SR_F(exp)(vy[lane]) * sum[lane];
    } else {
      SR_LANE_LOOP d[lane] = vy[lane] * (vg[lane] - sum[lane]);
    }
    put(dx + i * stride, width, d);
  }
}

const sr__softmax_table SR_ISA_NAME(SR_SOFTMAX_TABLE) = {row, row_grad, columns, columns_grad};
