/* kernels_reduce_bool.c: reductions of bool elements (see reduce_lines.h). */
#define T uint8_t
#define SR_TAG i64
#define SR_FIELD integer
#define SR_REDUCE_TABLE sr__reduce_bool

#define SR_REDUCE_LIST                    \
  X(MAX, uint8_t, 0, s | (v != 0), s | t) \
  X(MIN, uint8_t, 1, s &(v != 0), s &t)   \
  X(COUNT, int64_t, 0, s + (v != 0), s + t)

#include "backend/cpu/reduce_lines.h"
