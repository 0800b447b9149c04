/* map_lines.h: the pointwise kernels of one element type and the table of them,
 * made from the lines of pointwise.def. Included by kernels_map_*.c, which define
 *   T, SR_TAG          see formulae.h
 *   SR_PARAMETER(i)    parameter i as a T
 *   SR_MAKE_FLOAT, SR_MAKE_NUMBER   1 to make forward kernels of such lines
 *   SR_MAKE_GRADIENTS  1 to make gradient kernels
 *   SR_MAP_TABLE       name of the table
 *
 * The inner loop has a fixed length and says that its elements are independent, so it
 * becomes vector code without a scalar rest and allows out to be one of the inputs. */
#include "backend/cpu/kernels.h"
#include "backend/formulae.h"

/* One kernel: `loads` declares what `expression` reads. */
#define SR_MAP_KERNEL(name, result, loads, expression)                                      \
  static void name(int64_t n, void *out, const void *in0, const void *in1, const void *in2, \
                   const double *parameters) {                                              \
    result *to = out;                                                                       \
    const T *in_a = in0, *in_b = in1, *in_c = in2;                                          \
    const T p = SR_PARAMETER(0), q = SR_PARAMETER(1);                                       \
    (void)in_a, (void)in_b, (void)in_c, (void)p, (void)q;                                   \
    for (int64_t start = 0; start < n; start += SR_LANES) {                                 \
      _Pragma("omp simd") for (int lane = 0; lane < SR_LANES; lane++) {                     \
        const int64_t i = start + lane;                                                     \
        loads to[i] = (result)(expression);                                                 \
      }                                                                                     \
    }                                                                                       \
  }

#define SR_LOAD_X const T x = in_a[i];
#define SR_LOAD_AB const T a = in_a[i], b = in_b[i];
#define SR_LOAD_GXY                              \
  const T g = in_a[i], x = in_b[i], y = in_c[i]; \
  (void)g, (void)x, (void)y;
#define SR_LOAD_GAB                              \
  const T g = in_a[i], a = in_b[i], b = in_c[i]; \
  (void)g, (void)a, (void)b;
#define SR_LOAD_TRUTH_X const bool x = in_a[i] != 0;
#define SR_LOAD_TRUTH_AB const bool a = in_a[i] != 0, b = in_b[i] != 0;

/* By kind: SR_UNARY_SR_FLOAT(name, forward, gradient) and so on. */
#if SR_MAKE_GRADIENTS
#define SR_UNARY_GRADIENT(name, gradient) SR_MAP_KERNEL(name##_grad, T, SR_LOAD_GXY, gradient)
#define SR_BINARY_GRADIENT(name, grad_a, grad_b)       \
  SR_MAP_KERNEL(name##_grad_a, T, SR_LOAD_GAB, grad_a) \
  SR_MAP_KERNEL(name##_grad_b, T, SR_LOAD_GAB, grad_b)
#define SR_UNARY_GRADIENT_ENTRY(name) [SR_MAP_##name##_grad] = name##_grad,
#define SR_BINARY_GRADIENT_ENTRY(name) \
  [SR_MAP_##name##_grad_a] = name##_grad_a, [SR_MAP_##name##_grad_b] = name##_grad_b,
#else
#define SR_UNARY_GRADIENT(name, gradient)
#define SR_BINARY_GRADIENT(name, grad_a, grad_b)
#define SR_UNARY_GRADIENT_ENTRY(name)
#define SR_BINARY_GRADIENT_ENTRY(name)
#endif

#define SR_ENTRY(name) [SR_MAP_##name] = name##_forward,

#if SR_MAKE_NUMBER
#define SR_UNARY_SR_NUMBER(name, forward, gradient)    \
  SR_MAP_KERNEL(name##_forward, T, SR_LOAD_X, forward) \
  SR_UNARY_GRADIENT(name, gradient)
#define SR_BINARY_SR_NUMBER(name, forward, grad_a, grad_b) \
  SR_MAP_KERNEL(name##_forward, T, SR_LOAD_AB, forward)    \
  SR_BINARY_GRADIENT(name, grad_a, grad_b)
#define SR_UNARY_ENTRY_SR_NUMBER(name) SR_ENTRY(name) SR_UNARY_GRADIENT_ENTRY(name)
#define SR_BINARY_ENTRY_SR_NUMBER(name) SR_ENTRY(name) SR_BINARY_GRADIENT_ENTRY(name)
#else
#define SR_UNARY_SR_NUMBER(name, forward, gradient)
#define SR_BINARY_SR_NUMBER(name, forward, grad_a, grad_b)
#define SR_UNARY_ENTRY_SR_NUMBER(name)
#define SR_BINARY_ENTRY_SR_NUMBER(name)
#endif

#if SR_MAKE_FLOAT
#define SR_UNARY_SR_FLOAT SR_UNARY_SR_NUMBER
#define SR_BINARY_SR_FLOAT SR_BINARY_SR_NUMBER
#define SR_UNARY_SR_INNER SR_UNARY_SR_NUMBER
#define SR_BINARY_SR_INNER SR_BINARY_SR_NUMBER
#define SR_UNARY_ENTRY_SR_FLOAT SR_UNARY_ENTRY_SR_NUMBER
#define SR_BINARY_ENTRY_SR_FLOAT SR_BINARY_ENTRY_SR_NUMBER
#define SR_UNARY_ENTRY_SR_INNER SR_UNARY_ENTRY_SR_NUMBER
#define SR_BINARY_ENTRY_SR_INNER SR_BINARY_ENTRY_SR_NUMBER
#else
#define SR_UNARY_SR_FLOAT(name, forward, gradient)
#define SR_BINARY_SR_FLOAT(name, forward, grad_a, grad_b)
#define SR_UNARY_SR_INNER(name, forward, gradient)
#define SR_BINARY_SR_INNER(name, forward, grad_a, grad_b)
#define SR_UNARY_ENTRY_SR_FLOAT(name)
#define SR_BINARY_ENTRY_SR_FLOAT(name)
#define SR_UNARY_ENTRY_SR_INNER(name)
#define SR_BINARY_ENTRY_SR_INNER(name)
#endif

#define SR_UNARY_SR_TEST(name, forward, gradient) \
  SR_MAP_KERNEL(name##_forward, uint8_t, SR_LOAD_X, forward)
#define SR_BINARY_SR_TEST(name, forward, grad_a, grad_b) \
  SR_MAP_KERNEL(name##_forward, uint8_t, SR_LOAD_AB, forward)
#define SR_UNARY_SR_LOGIC(name, forward, gradient) \
  SR_MAP_KERNEL(name##_forward, uint8_t, SR_LOAD_TRUTH_X, forward)
#define SR_BINARY_SR_LOGIC(name, forward, grad_a, grad_b) \
  SR_MAP_KERNEL(name##_forward, uint8_t, SR_LOAD_TRUTH_AB, forward)
#define SR_UNARY_ENTRY_SR_TEST SR_ENTRY
#define SR_BINARY_ENTRY_SR_TEST SR_ENTRY
#define SR_UNARY_ENTRY_SR_LOGIC SR_ENTRY
#define SR_BINARY_ENTRY_SR_LOGIC SR_ENTRY

#define SR_UNARY(name, kind, forward, gradient, ...) SR_UNARY_##kind(name, forward, gradient)
#define SR_BINARY(name, kind, forward, grad_a, uses_a, grad_b, ...) \
  SR_BINARY_##kind(name, forward, grad_a, grad_b)
#include "backend/pointwise.def"

#define SR_UNARY(name, kind, ...) SR_UNARY_ENTRY_##kind(name)
#define SR_BINARY(name, kind, ...) SR_BINARY_ENTRY_##kind(name)
const sr__map_table SR_ISA_NAME(SR_MAP_TABLE) = {.map = {
#include "backend/pointwise.def"
                                                 }};
