/* kernels_copy.c: conversions between dtypes, selection and dropout. Compiled once per instruction set; reached through the table at the end. */
#include "backend/cpu/kernels.h"

#include "base/random.h"

#undef bool /* a macro that would be expanded where the dtype's name is pasted */

#define SR_BLOCKS(statement)                                          \
  for (int64_t start = 0; start < n; start += SR_LANES) {             \
    _Pragma("omp simd") for (int lane = 0; lane < SR_LANES; lane++) { \
      const int64_t i = start + lane;                                 \
      statement;                                                      \
    }                                                                 \
  }

/* ---- conversions ------------------------------------------------------------------ */

/* Toward 0; what does not fit (and NaN) gives INT64_MIN, as the instruction of x86 does. */
static inline int64_t to_integer(double x) {
  return ((x >= -0x1p63) & (x < 0x1p63)) ? (int64_t)x : INT64_MIN;
}

#define SR_TO_float32(x) ((float)(x))
#define SR_TO_float64(x) ((double)(x))
#define SR_TO_int64_FROM_float32(x) to_integer(x)
#define SR_TO_int64_FROM_float64(x) to_integer(x)
#define SR_TO_int64_FROM_int64(x) (x)
#define SR_TO_int64_FROM_bool(x) ((int64_t)((x) != 0))
#define SR_TO_bool(x) ((uint8_t)((x) != 0))

#define SR_CONVERT(to_name, to_type, from_name, from_type, expression)                           \
  static void to_name##_from_##from_name(int64_t n, void *out, const void *in0, const void *in1, \
                                         const void *in2, const double *parameters) {            \
    to_type *to = out;                                                                           \
    const from_type *from = in0;                                                                 \
    (void)in1, (void)in2, (void)parameters;                                                      \
    SR_BLOCKS(const from_type x = from[i]; to[i] = expression)                                   \
  }
#define X(name, type, floating)                                      \
  SR_CONVERT(float32, float, name, type, SR_TO_float32(x))           \
  SR_CONVERT(float64, double, name, type, SR_TO_float64(x))          \
  SR_CONVERT(int64, int64_t, name, type, SR_TO_int64_FROM_##name(x)) \
  SR_CONVERT(bool, uint8_t, name, type, SR_TO_bool(x))
SR_DTYPE_LIST(X)
#undef X

/* ---- selection --------------------------------------------------------------------- */

#define SR_WHERE(bytes, type)                                                              \
  static void where_##bytes(int64_t n, void *out, const void *condition, const void *in_a, \
                            const void *in_b, const double *parameters) {                  \
    type *to = out;                                                                        \
    const uint8_t *c = condition;                                                          \
    const type *a = in_a, *b = in_b;                                                       \
    (void)parameters;                                                                      \
    SR_BLOCKS(const type if_true = a[i]; const type if_false = b[i];                       \
              to[i] = c[i] ? if_true : if_false)                                           \
  }
SR_WHERE(1, uint8_t)
SR_WHERE(4, uint32_t)
SR_WHERE(8, uint64_t)

/* ---- dropout ------------------------------------------------------------------------- */

#define SR_DROPOUT(name, type)                                                           \
  static void dropout_##name(int64_t first, int64_t n, uint64_t key, uint32_t threshold, \
                             double scale, const void *in, void *out) {                  \
    const type *x = in;                                                                  \
    type *y = out;                                                                       \
    const type factor = (type)scale;                                                     \
    _Pragma("omp simd") for (int64_t i = first; i < first + n; i++) {                    \
      const type scaled = x[i] * factor;                                                 \
      y[i] = sr__mask_word(key, (uint64_t)i) >= threshold ? scaled : 0;                  \
    }                                                                                    \
  }
SR_DROPOUT(float32, float)
SR_DROPOUT(float64, double)

/* ---- the table ---------------------------------------------------------------------------- */

const sr__copy_table SR_ISA_NAME(sr__copy) = {
    .convert =
        {
#define X(name, type, floating)                                                                 \
  [SR_float32][SR_##name] = float32_from_##name, [SR_float64][SR_##name] = float64_from_##name, \
  [SR_int64][SR_##name] = int64_from_##name, [SR_bool][SR_##name] = bool_from_##name,
            SR_DTYPE_LIST(X)
#undef X
        },
    .where_1 = where_1,
    .where_4 = where_4,
    .where_8 = where_8,
    .dropout = {dropout_float32, dropout_float64},
};
