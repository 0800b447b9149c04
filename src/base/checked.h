/* checked.h: size arithmetic that cannot wrap around. */
#ifndef SR_BASE_CHECKED_H
#define SR_BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

/* No tensor has more elements than this, so offsets and byte counts of 8-byte
 * elements fit int64_t with room to spare. */
#define SR_MAX_ELEMENTS (INT64_C(1) << 48)

/* *product *= factor; false (and *product unchanged) on overflow. */
static inline bool sr__multiply(int64_t *product, int64_t factor) {
  int64_t result;
  if (__builtin_mul_overflow(*product, factor, &result)) return false;
  *product = result;
  return true;
}

static inline bool sr__add(int64_t *sum, int64_t term) {
  int64_t result;
  if (__builtin_add_overflow(*sum, term, &result)) return false;
  *sum = result;
  return true;
}

#endif
