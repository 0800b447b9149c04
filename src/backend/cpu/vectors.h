/* vectors.h: SIMD vectors of float and double for the product kernels.
 *
 * One spelling for all instruction sets: gcc's vector types, plus what they lack:
 * unaligned loads, loads and stores of the first lanes only (no byte beyond is
 * touched) and constant shuffles. kernels_panel.c uses it. */
#ifndef SR_BACKEND_CPU_VECTORS_H
#define SR_BACKEND_CPU_VECTORS_H

#include <stdint.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define SR_VECTOR_BYTES 64
#define SR_VECTOR_REGISTERS 32
#elif defined(__AVX__)
#define SR_VECTOR_BYTES 32
#define SR_VECTOR_REGISTERS 16
#else
#define SR_VECTOR_BYTES 16
#define SR_VECTOR_REGISTERS 16
#endif

enum { SR_LANES_float = SR_VECTOR_BYTES / 4, SR_LANES_double = SR_VECTOR_BYTES / 8 };

typedef float sr_vector_float __attribute__((vector_size(SR_VECTOR_BYTES)));
typedef double sr_vector_double __attribute__((vector_size(SR_VECTOR_BYTES)));
typedef int32_t sr_lanes_float __attribute__((vector_size(SR_VECTOR_BYTES)));
typedef int64_t sr_lanes_double __attribute__((vector_size(SR_VECTOR_BYTES)));
typedef sr_vector_float sr_loose_float __attribute__((aligned(4), may_alias));
typedef sr_vector_double sr_loose_double __attribute__((aligned(8), may_alias));

static inline sr_vector_float sr__load_float(const float *p) { return *(const sr_loose_float *)p; }
static inline sr_vector_double sr__load_double(const double *p) {
  return *(const sr_loose_double *)p;
}
static inline void sr__store_float(float *p, sr_vector_float v) { *(sr_loose_float *)p = v; }
static inline void sr__store_double(double *p, sr_vector_double v) { *(sr_loose_double *)p = v; }

/* Lane i is lane from[i] of a and b laid side by side. */
static inline __attribute__((always_inline)) sr_vector_float sr__shuffle_float(
    sr_vector_float a, sr_vector_float b, sr_lanes_float from) {
#if defined(__clang__)
  sr_vector_float to = a;
  for (int i = 0; i < SR_LANES_float; i++)
    to[i] = from[i] < SR_LANES_float ? a[from[i]] : b[from[i] - SR_LANES_float];
  return to;
#else
  return __builtin_shuffle(a, b, from);
#endif
}
static inline __attribute__((always_inline)) sr_vector_double sr__shuffle_double(
    sr_vector_double a, sr_vector_double b, sr_lanes_double from) {
#if defined(__clang__)
  sr_vector_double to = a;
  for (int i = 0; i < SR_LANES_double; i++)
    to[i] = from[i] < SR_LANES_double ? a[from[i]] : b[from[i] - SR_LANES_double];
  return to;
#else
  return __builtin_shuffle(a, b, from);
#endif
}

/* f(0, d), f(1, d), .. for every lane: the list of a constant shuffle. */
#define SR_FIRST_2(f, d) f(0, d), f(1, d)
#define SR_FIRST_4(f, d) SR_FIRST_2(f, d), f(2, d), f(3, d)
#define SR_FIRST_8(f, d) SR_FIRST_4(f, d), f(4, d), f(5, d), f(6, d), f(7, d)
#define SR_FIRST_16(f, d) \
  SR_FIRST_8(f, d), f(8, d), f(9, d), f(10, d), f(11, d), f(12, d), f(13, d), f(14, d), f(15, d)
#if SR_VECTOR_BYTES == 64
#define SR_EACH_LANE_float SR_FIRST_16
#define SR_EACH_LANE_double SR_FIRST_8
#elif SR_VECTOR_BYTES == 32
#define SR_EACH_LANE_float SR_FIRST_8
#define SR_EACH_LANE_double SR_FIRST_4
#else
#define SR_EACH_LANE_float SR_FIRST_4
#define SR_EACH_LANE_double SR_FIRST_2
#endif

/* Which lanes a partial load or store touches: the first `count`. */
#if defined(__AVX512F__)
typedef __mmask16 sr_part_float;
typedef __mmask8 sr_part_double;
static inline sr_part_float sr__part_float(int64_t count) { return (__mmask16)((1u << count) - 1); }
static inline sr_part_double sr__part_double(int64_t count) {
  return (__mmask8)((1u << count) - 1);
}
static inline sr_vector_float sr__load_part_float(const float *p, sr_part_float part) {
  return (sr_vector_float)_mm512_maskz_loadu_ps(part, p);
}
static inline sr_vector_double sr__load_part_double(const double *p, sr_part_double part) {
  return (sr_vector_double)_mm512_maskz_loadu_pd(part, p);
}
static inline void sr__store_part_float(float *p, sr_part_float part, sr_vector_float v) {
  _mm512_mask_storeu_ps(p, part, (__m512)v);
}
static inline void sr__store_part_double(double *p, sr_part_double part, sr_vector_double v) {
  _mm512_mask_storeu_pd(p, part, (__m512d)v);
}
#elif defined(__AVX__)
typedef __m256i sr_part_float;
typedef __m256i sr_part_double;
static inline sr_part_float sr__part_float(int64_t count) {
  const sr_lanes_float lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return (__m256i)(lane < (int32_t)count);
}
static inline sr_part_double sr__part_double(int64_t count) {
  const sr_lanes_double lane = {0, 1, 2, 3};
  return (__m256i)(lane < count);
}
static inline sr_vector_float sr__load_part_float(const float *p, sr_part_float part) {
  return (sr_vector_float)_mm256_maskload_ps(p, part);
}
static inline sr_vector_double sr__load_part_double(const double *p, sr_part_double part) {
  return (sr_vector_double)_mm256_maskload_pd(p, part);
}
static inline void sr__store_part_float(float *p, sr_part_float part, sr_vector_float v) {
  _mm256_maskstore_ps(p, part, (__m256)v);
}
static inline void sr__store_part_double(double *p, sr_part_double part, sr_vector_double v) {
  _mm256_maskstore_pd(p, part, (__m256d)v);
}
#else
typedef int64_t sr_part_float;
typedef int64_t sr_part_double;
static inline sr_part_float sr__part_float(int64_t count) { return count; }
static inline sr_part_double sr__part_double(int64_t count) { return count; }
static inline sr_vector_float sr__load_part_float(const float *p, sr_part_float part) {
  return (sr_vector_float){p[0], part > 1 ? p[1] : 0, part > 2 ? p[2] : 0, part > 3 ? p[3] : 0};
}
static inline sr_vector_double sr__load_part_double(const double *p, sr_part_double part) {
  return (sr_vector_double){p[0], part > 1 ? p[1] : 0};
}
static inline void sr__store_part_float(float *p, sr_part_float part, sr_vector_float v) {
  for (int64_t i = 0; i < part; i++) p[i] = v[i];
}
static inline void sr__store_part_double(double *p, sr_part_double part, sr_vector_double v) {
  for (int64_t i = 0; i < part; i++) p[i] = v[i];
}
#endif

#endif
