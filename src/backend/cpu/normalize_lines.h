/* normalize_lines.h: normalized rows and their gradients for one element type.
 * Included by kernels_normalize_*.c, which define T, SR_TAG and SR_NORMALIZE_TABLE.
 * sr_normalize in backend.h has the formulae.
 *
 * The variance is that of the values less their mean, in a second pass over the row: one pass
 * that adds up x and x^2 would lose it where the mean is large. Sums are kept in float64. The
 * mean is subtracted in two parts (`centre`), so that float32 values less their mean are right
 * to the last bit. */
#include <math.h>

#include "backend/cpu/kernels.h"
#include "backend/formulae.h"

#define SR_LANE_LOOP _Pragma("omp simd") for (int lane = 0; lane < SR_LANES; lane++)

/* What sums of lanes begin as. Adding leaves it as it is, like 0, but filling an array with 0
 * becomes a call, which takes as long as a short row. */
static const double NOTHING = -0.0;

static inline double joined(const double lanes[SR_LANES]) {
  double s[SR_LANES / 2];
  _Pragma("omp simd") for (int lane = 0; lane < SR_LANES / 2; lane++) {
    s[lane] = lanes[lane] + lanes[lane + SR_LANES / 2];
  }
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* A mean as a T and what that lacks of it. */
typedef struct {
  T high, low;
} centre;

static inline centre centre_of(double mean) {
  centre c = {(T)mean, 0};
  c.low = (T)(mean - (double)c.high);
  return c;
}

/* x - mean. Near the mean the first difference is exact (Sterbenz, 1974). */
static inline T centred(T x, centre c) { return (x - c.high) - c.low; }

/* ---- rows ------------------------------------------------------------------------------- */

static double row_sum(int64_t n, const T *x) {
  double sums[SR_LANES];
  int64_t i = 0;
  SR_LANE_LOOP sums[lane] = NOTHING;
  for (; i + SR_LANES <= n; i += SR_LANES) SR_LANE_LOOP sums[lane] += (double)x[i + lane];
  for (int lane = 0; i + lane < n; lane++) sums[lane] += (double)x[i + lane];
  return joined(sums);
}

static inline void add_square(T x, centre c, double *sum) {
  const double d = (double)centred(x, c);
  *sum += d * d;
}

static double row_squares(int64_t n, const T *x, centre c) {
  double sums[SR_LANES];
  int64_t i = 0;
  SR_LANE_LOOP sums[lane] = NOTHING;
  for (; i + SR_LANES <= n; i += SR_LANES) SR_LANE_LOOP add_square(x[i + lane], c, &sums[lane]);
  for (int lane = 0; i + lane < n; lane++) add_square(x[i + lane], c, &sums[lane]);
  return joined(sums);
}

static void row(int64_t n, const T *x, centre c, T rstd, const T *weight, const T *bias, T *y) {
  _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {
    const T v = centred(x[i], c) * rstd, scaled = weight ? v * weight[i] : v;
    y[i] = bias ? scaled + bias[i] : scaled;
  }
}

static void rows(const sr_normalize *p, int64_t first, int64_t last) {
  const int64_t n = p->n;
  for (int64_t i = first; i < last; i++) {
    const T *x = (const T *)p->x + i * n;
    const double mean = row_sum(n, x) / (double)n;
    const centre c = centre_of(mean);
    const double rstd = 1 / sqrt(row_squares(n, x, c) / (double)n + p->eps);
    row(n, x, c, (T)rstd, p->weight, p->bias, (T *)p->y + i * n);
    if (!p->moments) continue;
    p->moments[2 * i] = mean;
    p->moments[2 * i + 1] = rstd;
  }
}

/* ---- gradient of the rows ----------------------------------------------------------------- */

static inline void add_grad(T a, T v, double *sum, double *product) {
  *sum += (double)a;
  *product += (double)a * (double)v;
}

/* mean(a) and mean(a v) of a row. */
static void row_grad_means(int64_t n, const T *g, const T *x, centre c, T rstd, const T *weight,
                           T means[2]) {
  double sums[SR_LANES], products[SR_LANES];
  int64_t i = 0;
  SR_LANE_LOOP sums[lane] = products[lane] = NOTHING;
  for (; i + SR_LANES <= n; i += SR_LANES) SR_LANE_LOOP {
      const T a = weight ? g[i + lane] * weight[i + lane] : g[i + lane];
      add_grad(a, centred(x[i + lane], c) * rstd, &sums[lane], &products[lane]);
    }
  for (int lane = 0; i + lane < n; lane++) {
    const T a = weight ? g[i + lane] * weight[i + lane] : g[i + lane];
    add_grad(a, centred(x[i + lane], c) * rstd, &sums[lane], &products[lane]);
  }
  means[0] = (T)(joined(sums) / (double)n);
  means[1] = (T)(joined(products) / (double)n);
}

static void row_grad(int64_t n, const T *g, const T *x, centre c, T rstd, const T *weight,
                     const T means[2], T *dx) {
  const T mean_a = means[0], mean_av = means[1];
  _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {
    const T v = centred(x[i], c) * rstd, a = weight ? g[i] * weight[i] : g[i];
    dx[i] = rstd * (a - mean_a - v * mean_av);
  }
}

static void rows_grad(const sr_normalize *p, int64_t first, int64_t last) {
  const int64_t n = p->n;
  for (int64_t i = first; i < last; i++) {
    const T *x = (const T *)p->x + i * n, *g = (const T *)p->grad + i * n;
    const centre c = centre_of(p->moments[2 * i]);
    const T rstd = (T)p->moments[2 * i + 1];
    T means[2];
    row_grad_means(n, g, x, c, rstd, p->weight, means);
    row_grad(n, g, x, c, rstd, p->weight, means, (T *)p->grad_x + i * n);
  }
}

/* ---- gradients of weight and bias --------------------------------------------------------- */

enum { COLUMN_ROWS = 256 }; /* rows whose sums are taken together */

/* Adds the sums over rows first .. last - 1 of the `width` columns from `column` on. */
static inline void panel_sums(const sr_normalize *p, int64_t column, int width, int64_t first,
                              int64_t last, double *weight, double *bias) {
  double products[SR_COLUMNS], sums[SR_COLUMNS];
  for (int j = 0; j < width; j++) products[j] = sums[j] = 0;
  for (int64_t i = first; i < last; i++) {
    const T *x = (const T *)p->x + i * p->n + column, *g = (const T *)p->grad + i * p->n + column;
    const centre c = centre_of(p->moments[2 * i]);
    const T rstd = (T)p->moments[2 * i + 1];
    _Pragma("omp simd") for (int j = 0; j < width; j++) {
      products[j] += (double)g[j] * (double)(centred(x[j], c) * rstd);
      sums[j] += (double)g[j];
    }
  }
  for (int j = 0; j < width; j++) weight[j] += products[j];
  for (int j = 0; j < width; j++) bias[j] += sums[j];
}

static void store_sums(int width, const double *sums, bool add, T *out) {
  for (int j = 0; j < width; j++) out[j] = (add ? out[j] : 0) + (T)sums[j];
}

static void panel_grad(const sr_normalize *p, int64_t column, int width) {
  double weight[SR_COLUMNS] = {0}, bias[SR_COLUMNS] = {0};
  for (int64_t i = 0; i < p->rows; i += COLUMN_ROWS) {
    int64_t last = p->rows - i < COLUMN_ROWS ? p->rows : i + COLUMN_ROWS;
    if (width == SR_COLUMNS)
      panel_sums(p, column, SR_COLUMNS, i, last, weight, bias);
    else
      panel_sums(p, column, width, i, last, weight, bias);
  }
  if (p->grad_weight) store_sums(width, weight, p->add_weight, (T *)p->grad_weight + column);
  if (p->grad_bias) store_sums(width, bias, p->add_bias, (T *)p->grad_bias + column);
}

static void columns_grad(const sr_normalize *p, int64_t first, int64_t last) {
  for (int64_t column = first; column < last; column += SR_COLUMNS)
    panel_grad(p, column, (int)(last - column < SR_COLUMNS ? last - column : SR_COLUMNS));
}

const sr__normalize_table SR_ISA_NAME(SR_NORMALIZE_TABLE) = {rows, rows_grad, columns_grad};
