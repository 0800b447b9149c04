/* formulae.h: the scalar functions that the expressions of pointwise.def call.
 *
 * A file that instantiates pointwise.def for an element type defines, before it
 * expands a line,
 *   T        float, double or int64_t
 *   SR_TAG   f32, f64 or i64            (C only; CUDA picks by overloading)
 * and SR_F(f) is then the function f for T, SR_C(c) a constant of T. The fused
 * recurrent kernels call sr__f32_tanh and its like by name.
 *
 * Float32 exp, expm1, log, tanh and sigmoid are written here, without branches,
 * so that the loop around them becomes vector code on any processor. Largest error in
 * units in the last place over ALL 2^32 arguments, against the function in float64, and
 * time per element in ns (Zen 4 on a shared machine, 4096 elements):
 *
 *             with FMA   without     AVX2   AVX-512
 *   exp         1.01       0.98      0.46    0.29
 *   expm1       1.44       1.51      0.45    0.28
 *   log         0.83       0.82      0.82    0.46
 *   tanh        2.42       2.42      0.52    0.35
 *   sigmoid     2.40       2.40      0.51    0.35
 *
 * (tests/c/test_formulae.c). Infinities, NaN, signed zeros, overflow to infinity and
 * gradual underflow are as C99 asks, but for sigmoid, whose results below 2^-126 may
 * become 0. Polynomials: minimax fits (Remez exchange) in the scheme of Cephes' expf and
 * logf (S. Moshier, netlib.org/cephes).
 *
 * The other functions are libm's; on x86-64 glibc they have vector forms in
 * libmvec (at most 4 ulp), which the declarations below let the compiler use. */
#ifndef SR_BACKEND_FORMULAE_H
#define SR_BACKEND_FORMULAE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SR_C(constant) ((T)(constant))
#define SR_ABS(x) SR_F(abs)(x)
#define SR_SIGN(x) ((T)(((x) > 0) - ((x) < 0)))
/* A NaN in the first argument stays. */
#define SR_MIN(x, bound) SR_F(min)((x), (bound))
#define SR_MAX(x, bound) SR_F(max)((x), (bound))
/* A NaN in either argument wins, as in torch.minimum. */
#define SR_NAN_MIN(a, b) SR_F(nan_min)((a), (b))
#define SR_NAN_MAX(a, b) SR_F(nan_max)((a), (b))
#define SR_FLOOR_DIVIDE(a, b) SR_F(floor_divide)((a), (b))
#define SR_REMAINDER(a, b) SR_F(remainder)((a), (b))

#ifdef __CUDACC__
#define SR_F(f) sr__##f
#define SR_FORMULA static __device__ __forceinline__
#define SR_NAME(tag, f) sr__##f
#else
#define SR_PASTE_F(tag, f) sr__##tag##_##f
#define SR_EXPAND_F(tag, f) SR_PASTE_F(tag, f)
#define SR_F(f) SR_EXPAND_F(SR_TAG, f)
#define SR_FORMULA static inline
#define SR_NAME(tag, f) sr__##tag##_##f
#endif

/* ---- libm ------------------------------------------------------------------ */

#if !defined(__CUDACC__) && defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#if __GLIBC_PREREQ(2, 35)
#define SR_VECTOR_FORM __attribute__((simd("notinbranch"), const))
SR_VECTOR_FORM double exp(double);
SR_VECTOR_FORM double expm1(double);
SR_VECTOR_FORM double log(double);
SR_VECTOR_FORM double log1p(double);
SR_VECTOR_FORM double sin(double);
SR_VECTOR_FORM double cos(double);
SR_VECTOR_FORM double tanh(double);
SR_VECTOR_FORM double erf(double);
SR_VECTOR_FORM double pow(double, double);
SR_VECTOR_FORM float log1pf(float);
SR_VECTOR_FORM float sinf(float);
SR_VECTOR_FORM float cosf(float);
SR_VECTOR_FORM float erff(float);
SR_VECTOR_FORM float powf(float, float);
#endif
#endif

#define SR_LIBM_FLOAT64(name) \
  SR_FORMULA double SR_NAME(f64, name)(double x) { return name(x); }
#define SR_LIBM(name)                                                 \
  SR_FORMULA float SR_NAME(f32, name)(float x) { return name##f(x); } \
  SR_LIBM_FLOAT64(name)
#ifdef __CUDACC__
#define SR_LIBM_OR_BELOW SR_LIBM
#else
#define SR_LIBM_OR_BELOW SR_LIBM_FLOAT64 /* the CPU's float32 function is written below */
#endif

SR_LIBM_OR_BELOW(exp)
SR_LIBM_OR_BELOW(expm1)
SR_LIBM_OR_BELOW(log)
SR_LIBM_OR_BELOW(tanh)
SR_LIBM(log1p)
SR_LIBM(sqrt)
SR_LIBM(sin)
SR_LIBM(cos)
SR_LIBM(erf)
SR_LIBM(floor)
SR_LIBM(ceil)
SR_LIBM(rint)
SR_LIBM(trunc)
#undef SR_LIBM_OR_BELOW
#undef SR_LIBM
#undef SR_LIBM_FLOAT64

SR_FORMULA float SR_NAME(f32, pow)(float a, float b) { return powf(a, b); }
SR_FORMULA double SR_NAME(f64, pow)(double a, double b) { return pow(a, b); }
SR_FORMULA float SR_NAME(f32, abs)(float x) { return fabsf(x); }
SR_FORMULA double SR_NAME(f64, abs)(double x) { return fabs(x); }
SR_FORMULA float SR_NAME(f32, fmod)(float a, float b) { return fmodf(a, b); }
SR_FORMULA double SR_NAME(f64, fmod)(double a, double b) { return fmod(a, b); }

/* ---- the same text for every element type ------------------------------------- */

#define SR_FORMULAE_COMPARE(type, tag)                                                           \
  SR_FORMULA type SR_NAME(tag, min)(type x, type bound) { return x > bound ? bound : x; }        \
  SR_FORMULA type SR_NAME(tag, max)(type x, type bound) { return x < bound ? bound : x; }        \
  SR_FORMULA bool SR_NAME(tag, is_nan)(type x) { return x != x; }                                \
  SR_FORMULA type SR_NAME(tag, nan_min)(type a, type b) { return ((a < b) | (a != a)) ? a : b; } \
  SR_FORMULA type SR_NAME(tag, nan_max)(type a, type b) { return ((a > b) | (a != a)) ? a : b; }

/* a = b q + r with r between 0 and b: q is floor_divide, r remainder (Python's rules,
 * as torch.floor_divide and torch.remainder). fmod is exact; the quotient
 * (a - r) / b is within a rounding of an integer. */
#define SR_FORMULAE_DIVIDE(type, tag)                                   \
  SR_FORMULA type SR_NAME(tag, remainder)(type a, type b) {             \
    type r = SR_NAME(tag, fmod)(a, b);                                  \
    return ((r != 0) & ((b < 0) != (r < 0))) ? r + b : r;               \
  }                                                                     \
  SR_FORMULA type SR_NAME(tag, floor_divide)(type a, type b) {          \
    type r = SR_NAME(tag, fmod)(a, b);                                  \
    type q = (a - r) / b - (((r != 0) & ((b < 0) != (r < 0))) ? 1 : 0); \
    type whole = SR_NAME(tag, floor)(q);                                \
    whole = q - whole > (type)0.5 ? whole + 1 : whole;                  \
    return b == 0 ? a / b : q != 0 ? whole : (type)0 * (a / b);         \
  }

SR_FORMULAE_COMPARE(float, f32)
SR_FORMULAE_COMPARE(double, f64)
SR_FORMULAE_DIVIDE(float, f32)
SR_FORMULAE_DIVIDE(double, f64)

/* 1 / (1 + e^-x) with e^-|x| alone, which cannot overflow. */
SR_FORMULA double SR_NAME(f64, sigmoid)(double x) {
  double e = exp(-fabs(x));
  return (x < 0 ? e : 1.0) / (1.0 + e);
}

#ifdef __CUDACC__
SR_FORMULA float SR_NAME(f32, sigmoid)(float x) {
  float e = expf(-fabsf(x));
  return (x < 0 ? e : 1.0f) / (1.0f + e);
}
#else

/* ---- float32 on the CPU --------------------------------------------------------- */

static inline uint32_t sr__f32_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float sr__f32_from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Bounds of the arguments below: {89, -104, -88, -30, 20}. The compiler must not know their
 * values: it would make a second path for the arguments beyond them, and join the two by
 * blends, instead of one min or max instruction (formulae.c). */
enum { SR_EXP_HIGHEST, SR_EXP_LOWEST, SR_EXP_NORMAL, SR_EXPM1_LOWEST, SR_TANH_HIGHEST, SR_BOUNDS };
extern const float sr__f32_bounds[SR_BOUNDS];

static inline float sr__f32_at_most(float x, int bound) {
  return x > sr__f32_bounds[bound] ? sr__f32_bounds[bound] : x;
}

static inline float sr__f32_at_least(float x, int bound) {
  return x < sr__f32_bounds[bound] ? sr__f32_bounds[bound] : x;
}

/* x = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 2^23 rounds x / ln 2 to the integer n, which
 * then stands in the low bits of the sum; 127 more make it the exponent of 2^n. ln 2 is
 * in two parts, the first of 9 bits, so that n times it is exact. */
typedef struct {
  uint32_t bits; /* ends in the bits of n + 127 */
  float r;
} sr__f32_reduced;

static inline sr__f32_reduced sr__f32_reduce(float x) {
  const float round = 12582912.0f + 127.0f;
  float shifted = x * 1.44269504f + round, n = shifted - round;
  sr__f32_reduced to = {sr__f32_bits(shifted), x - n * 0.693359375f};
  to.r = to.r - n * -2.12194440e-4f;
  return to;
}

/* 2^n for n from -126 to 127, and 0 for n = -127 */
static inline float sr__f32_power(sr__f32_reduced to) { return sr__f32_from_bits(to.bits << 23); }

/* e^r, |r| <= ln 2 / 2, relative error of the polynomial 4e-9 */
static inline float sr__f32_exp_reduced(float r) {
  float p = 1.38145406e-3f;
  p = p * r + 8.36874545e-3f;
  p = p * r + 4.16683890e-2f;
  p = p * r + 1.66665211e-1f;
  p = p * r + 4.99999940e-1f;
  return (p * (r * r) + r) + 1.0f;
}

/* e^r - 1, |r| <= ln 2 / 2, relative error of the polynomial 3e-10 */
static inline float sr__f32_expm1_reduced(float r) {
  float p = 1.99622707e-4f;
  p = p * r + 1.39432540e-3f;
  p = p * r + 8.33322015e-3f;
  p = p * r + 4.16663252e-2f;
  p = p * r + 1.66666672e-1f;
  p = p * r + 0.5f;
  return p * (r * r) + r;
}

/* e^x = e^r 2^n. 2^n in two factors: n reaches -150, where results are subnormal, and 128.
 * floor(n / 2) needs n's sign, hence a bias that the shift halves. */
static inline float sr__f32_exp(float x) {
  x = sr__f32_at_least(sr__f32_at_most(x, SR_EXP_HIGHEST), SR_EXP_LOWEST);
  sr__f32_reduced to = sr__f32_reduce(x);
  uint32_t n = to.bits - 0x4B400000u - 127u + 256u; /* n + 256 */
  uint32_t half = n >> 1, rest = n - half;          /* each with 128 too much */
  float p = sr__f32_exp_reduced(to.r);
  return p * sr__f32_from_bits((half - 1u) << 23) * sr__f32_from_bits((rest - 1u) << 23);
}

/* e^x - 1 = 2 (2^(n-1) (e^r - 1) + (2^(n-1) - 1/2)), n - 1 <= 127 */
static inline float sr__f32_expm1(float x) {
  float held = sr__f32_at_least(sr__f32_at_most(x, SR_EXP_HIGHEST), SR_EXPM1_LOWEST);
  sr__f32_reduced to = sr__f32_reduce(held);
  float half = sr__f32_from_bits((to.bits - 1u) << 23);
  float y = half * sr__f32_expm1_reduced(to.r) + (half - 0.5f);
  return x == 0 ? x : y + y; /* keeps -0 */
}

/* tanh |x| = E / (E + 2) with E = e^(2 |x|) - 1, which is accurate near 0 too;
 * it rounds to 1 from 2 |x| = 18.1 on. */
static inline float sr__f32_tanh(float x) {
  sr__f32_reduced to = sr__f32_reduce(sr__f32_at_most(fabsf(x) * 2.0f, SR_TANH_HIGHEST));
  float power = sr__f32_power(to);
  float e = power * sr__f32_expm1_reduced(to.r) + (power - 1.0f);
  float y = e / (e + 2.0f);
  return sr__f32_from_bits(sr__f32_bits(y) | (sr__f32_bits(x) & 0x80000000u));
}

/* With e = e^-|x|: 1 / (1 + e), or e / (1 + e) where x < 0. From x = -87.7 down it is 0. */
static inline float sr__f32_sigmoid(float x) {
  sr__f32_reduced to = sr__f32_reduce(sr__f32_at_least(-fabsf(x), SR_EXP_NORMAL));
  float e = sr__f32_exp_reduced(to.r) * sr__f32_power(to);
  return (x < 0 ? e : 1.0f) / (1.0f + e);
}

/* x = 2^e (1 + f), f in [sqrt(1/2) - 1, sqrt(2) - 1);
 * log(1 + f) = f - f^2 / 2 + f^3 Q(f), relative error of the polynomial 8e-10 */
static inline float sr__f32_log(float x) {
  int tiny = x < 1.17549435e-38f;
  float scaled = tiny ? x * 8388608.0f : x;
  uint32_t i = sr__f32_bits(scaled) - 0x3F3504F3u; /* sqrt(1/2) */
  float e = (float)((int32_t)i >> 23) - (tiny ? 23.0f : 0.0f);
  float f = sr__f32_from_bits((i & 0x7FFFFFu) + 0x3F3504F3u) - 1.0f;
  float q = 6.74663410e-2f;
  q = q * f - 1.16756454e-1f;
  q = q * f + 1.18881620e-1f;
  q = q * f - 1.24055900e-1f;
  q = q * f + 1.42195523e-1f;
  q = q * f - 1.66679963e-1f;
  q = q * f + 2.00021192e-1f;
  q = q * f - 2.50000089e-1f;
  q = q * f + 3.33333135e-1f;
  float square = f * f;
  float y = q * f * square + e * -2.12194440e-4f;
  y = (y - 0.5f * square) + f + e * 0.693359375f;
  y = x < INFINITY ? y : x;
  return x > 0 ? y : x == 0 ? -INFINITY : NAN;
}

/* ---- int64: arithmetic wraps around ------------------------------------------------ */

static inline int64_t sr__i64_floor(int64_t x) { return x; }
static inline int64_t sr__i64_ceil(int64_t x) { return x; }
static inline int64_t sr__i64_rint(int64_t x) { return x; }
static inline int64_t sr__i64_trunc(int64_t x) { return x; }
static inline int64_t sr__i64_abs(int64_t x) { return x < 0 ? (int64_t)(0 - (uint64_t)x) : x; }
static inline bool sr__i64_is_nan(int64_t x) {
  (void)x;
  return false;
}
static inline int64_t sr__i64_nan_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t sr__i64_nan_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* b is not 0 (callers have looked). By -1 the quotient of INT64_MIN would trap. */
static inline int64_t sr__i64_floor_divide(int64_t a, int64_t b) {
  if (b == -1) return (int64_t)(0 - (uint64_t)a);
  return a / b - ((a % b != 0) & ((a < 0) != (b < 0)));
}

static inline int64_t sr__i64_remainder(int64_t a, int64_t b) {
  if (b == -1) return 0;
  int64_t r = a % b;
  return ((r != 0) & ((r < 0) != (b < 0))) ? r + b : r;
}

static inline int64_t sr__i64_fmod(int64_t a, int64_t b) { return b == -1 ? 0 : a % b; }

/* b >= 0, by squaring */
static inline int64_t sr__i64_pow(int64_t a, int64_t b) {
  uint64_t power = 1, square = (uint64_t)a;
  for (uint64_t rest = (uint64_t)b; rest; rest >>= 1) {
    if (rest & 1) power *= square;
    square *= square;
  }
  return (int64_t)power;
}

#endif
#endif
