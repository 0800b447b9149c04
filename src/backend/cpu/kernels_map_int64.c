/* kernels_map_int64.c: pointwise kernels on int64 elements (see map_lines.h).
 * Arithmetic wraps around (-fwrapv). */
#include <stdint.h>

/* Bounds given as floating numbers, held to the range of int64. */
static inline int64_t saturated(double x) {
  if (x >= 0x1p63) return INT64_MAX;
  return x >= -0x1p63 ? (int64_t)x : INT64_MIN;
}

#define T int64_t
#define SR_TAG i64
#define SR_PARAMETER(i) saturated(parameters[i])
#define SR_MAKE_FLOAT 0
#define SR_MAKE_NUMBER 1
#define SR_MAKE_GRADIENTS 0
#define SR_MAP_TABLE sr__map_int64
#include "backend/cpu/map_lines.h"
