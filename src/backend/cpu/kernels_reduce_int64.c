/* kernels_reduce_int64.c: reductions of int64 elements (see reduce_lines.h). Sums and
 * products wrap around (-fwrapv). */
#define T int64_t
#define SR_TAG i64
#define SR_FIELD integer
#define SR_REDUCE_TABLE sr__reduce_int64

/* clang-format off */
#define SR_REDUCE_LIST                                                       \
  X(SUM, int64_t, 0, s + v, s + t)                                           \
  X(PROD, int64_t, 1, s * v, s * t)                                          \
  X(MAX, int64_t, INT64_MIN, SR_NAN_MAX(s, v), SR_NAN_MAX(s, t))             \
  X(MIN, int64_t, INT64_MAX, SR_NAN_MIN(s, v), SR_NAN_MIN(s, t))             \
  X(ABS_MAX, int64_t, 0, SR_NAN_MAX(s, SR_ABS(v)), SR_NAN_MAX(s, t))         \
  X(ABS_MIN, int64_t, INT64_MAX, SR_NAN_MIN(s, SR_ABS(v)), SR_NAN_MIN(s, t)) \
  X(COUNT, int64_t, 0, s + (v != 0), s + t)
/* clang-format on */

#include "backend/cpu/reduce_lines.h"
