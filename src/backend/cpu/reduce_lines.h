/* reduce_lines.h: the reduction kernels of one element type and the table of them.
 * Included by kernels_reduce_*.c, which define
 *   T                element type
 *   SR_FIELD         number or integer: the field of sr__partial that holds a T
 *   SR_REDUCE_LIST   X(KIND, A, start, step, join): accumulators of type A begin as
 *                    `start` and become `step` (in s and the value v); two of them join to
 *                    `join` (in s and t)
 *   SR_REDUCE_TABLE  name of the table
 *
 * `part` keeps SR_LANES accumulators, element i going to accumulator i mod SR_LANES, and joins
 * them as a tree (below SR_LANES values there is one accumulator): the order of additions
 * follows from n alone. */
#include "backend/cpu/kernels.h"
#include "backend/formulae.h"

#define SR_PART(KIND, A, start, step, join)                                                    \
  static void part_##KIND(int64_t n, const void *values, double parameter, sr__partial *out) { \
    const T *x = values;                                                                       \
    A lanes[SR_LANES];                                                                         \
    (void)parameter;                                                                           \
    if (n < SR_LANES) {                                                                        \
      A s = start;                                                                             \
      for (int64_t k = 0; k < n; k++) {                                                        \
        const T v = x[k];                                                                      \
        s = step;                                                                              \
      }                                                                                        \
      out->SR_FIELD = s;                                                                       \
      return;                                                                                  \
    }                                                                                          \
    for (int lane = 0; lane < SR_LANES; lane++) lanes[lane] = start;                           \
    int64_t i = 0;                                                                             \
    for (; i + SR_LANES <= n; i += SR_LANES) {                                                 \
      _Pragma("omp simd") for (int lane = 0; lane < SR_LANES; lane++) {                        \
        const T v = x[i + lane];                                                               \
        const A s = lanes[lane];                                                               \
        lanes[lane] = step;                                                                    \
      }                                                                                        \
    }                                                                                          \
    for (int lane = 0; i < n; i++, lane++) {                                                   \
      const T v = x[i];                                                                        \
      const A s = lanes[lane];                                                                 \
      lanes[lane] = step;                                                                      \
    }                                                                                          \
    for (int width = SR_LANES / 2; width; width /= 2) {                                        \
      for (int lane = 0; lane < width; lane++) {                                               \
        const A s = lanes[lane], t = lanes[lane + width];                                      \
        lanes[lane] = join;                                                                    \
      }                                                                                        \
    }                                                                                          \
    out->SR_FIELD = lanes[0];                                                                  \
  }

#define SR_COLUMN_PART(KIND, A, start, step, join)                                       \
  static inline void panel_##KIND(int64_t rows, int64_t stride, int width, const T *x,   \
                                  double parameter, sr__partial *out) {                  \
    A sums[SR_COLUMNS];                                                                  \
    (void)parameter;                                                                     \
    for (int j = 0; j < width; j++) sums[j] = start;                                     \
    for (int64_t i = 0; i < rows; i++) {                                                 \
      _Pragma("omp simd") for (int j = 0; j < width; j++) {                              \
        const T v = x[i * stride + j];                                                   \
        const A s = sums[j];                                                             \
        sums[j] = step;                                                                  \
      }                                                                                  \
    }                                                                                    \
    for (int j = 0; j < width; j++) out[j].SR_FIELD = sums[j];                           \
  }                                                                                      \
  static void columns_##KIND(int64_t rows, int64_t stride, int64_t width, const void *x, \
                             double parameter, sr__partial *out) {                       \
    if (width == SR_COLUMNS)                                                             \
      panel_##KIND(rows, stride, SR_COLUMNS, x, parameter, out);                         \
    else                                                                                 \
      panel_##KIND(rows, stride, (int)width, x, parameter, out);                         \
  }

#define X(KIND, A, start, step, join) \
  SR_PART(KIND, A, start, step, join) \
  SR_COLUMN_PART(KIND, A, start, step, join)
SR_REDUCE_LIST
#undef X

static int64_t find(int64_t n, const void *values, sr__partial value) {
  const T *x = values;
  const T wanted = (T)value.SR_FIELD;
  const bool nan = SR_F(is_nan)(wanted);
  int64_t i = 0;
  for (; i + SR_LANES <= n; i += SR_LANES) {
    int found = 0;
    _Pragma("omp simd reduction(| : found)") for (int lane = 0; lane < SR_LANES; lane++) {
      const T v = x[i + lane];
      found |= (v == wanted) | (nan & SR_F(is_nan)(v));
    }
    if (found) break;
  }
  for (; i < n; i++)
    if ((x[i] == wanted) | (nan & SR_F(is_nan)(x[i]))) return i;
  return n;
}

const sr__reduce_table SR_ISA_NAME(SR_REDUCE_TABLE) = {.find = find,
#define X(KIND, ...) \
  .part[SR_REDUCE_##KIND] = part_##KIND, .columns[SR_REDUCE_##KIND] = columns_##KIND,
                                                       SR_REDUCE_LIST
#undef X
};
