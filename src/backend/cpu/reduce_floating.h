/* reduce_floating.h: the reduction kernels of a floating element type (see reduce_lines.h).
 * Sums, products and counts are kept in float64. Included by kernels_reduce_float*.c, which
 * define T, SR_TAG and SR_REDUCE_TABLE. */
#define SR_FIELD number

/* Maxima and minima: a NaN stays once it is met. */
/* clang-format off */
#define SR_REDUCE_LIST                                                \
  X(SUM, double, 0, s + v, s + t)                                     \
  X(PROD, double, 1, s * v, s * t)                                    \
  X(MAX, T, -INFINITY, SR_NAN_MAX(s, v), SR_NAN_MAX(s, t))            \
  X(MIN, T, INFINITY, SR_NAN_MIN(s, v), SR_NAN_MIN(s, t))             \
  X(ABS_SUM_POW, double, 0, s + power(v, parameter), s + t)           \
  X(ABS_MAX, T, 0, SR_NAN_MAX(s, SR_ABS(v)), SR_NAN_MAX(s, t))        \
  X(ABS_MIN, T, INFINITY, SR_NAN_MIN(s, SR_ABS(v)), SR_NAN_MIN(s, t)) \
  X(COUNT, double, 0, s + (v != 0 ? 1.0 : 0.0), s + t)
/* clang-format on */

#include "backend/cpu/kernels.h"
#include "backend/formulae.h"

/* |v|^p; 1 and 2, the usual norms, without a call. */
static inline double power(double v, double p) {
  if (p == 2) return v * v;
  return p == 1 ? fabs(v) : pow(fabs(v), p);
}

#include "backend/cpu/reduce_lines.h"
