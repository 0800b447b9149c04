/* random.h: PyTorch's CPU random stream.
 *
 * mt19937 with PyTorch's rules for turning its 32-bit words into values, so
 * that a seed gives the numbers of PyTorch 1.13 on an x86 processor with AVX2,
 * bit for bit (aten/src/ATen/core/DistributionsHelper.h, TransformationHelper.h,
 * native/cpu/DistributionTemplates.h, native/TensorFactories.cpp):
 *
 *   seed            its low 32 bits start the engine; the second normal value
 *                   kept from before and the count of masks are forgotten
 *   next64          two words, the first drawn is the high half
 *   float uniform   fma((next32 % 2^24) 2^-24, high - low, low), ends as floats
 *   double uniform  fma((next64 % 2^53) 2^-53, high - low, low)
 *   integers        low + next32 % range, next64 % range for ranges from 2^32 on
 *                   (later versions change over at 2^28)
 *   normal          Box-Muller: from 16 values on in blocks of 16; below that in
 *                   double, one pair at a time, with the second value kept for
 *                   the next such call
 *   permutation     for i = 0 .. n - 2: swap element i with i + next32 % (n - i)
 *
 * What other draws are made of:
 *   bernoulli_(p)        one sr__random_unit(g) < p for each element
 *   exponential_(l)      -1 / l log(1 - sr__random_unit(g)), in double
 *   random_()            integers 0 <= v < R, R being SR_RANDOM_END for int64,
 *                        2^53 + 1 for float64, 2^24 + 1 for float32, 2 for bool
 *   random_split(ends)   one permutation of all items, cut in the order of the parts
 *
 * A loader (torch/utils/data/dataloader.py, sampler.py), every time an iteration
 * begins, with D the default generator and "a seed" an integer 0 <= v <
 * SR_RANDOM_END, which takes one next64:
 *   1. A seed is drawn from the loader's generator (D if it has none): the base
 *      seed of the workers. Also without workers, and without shuffling.
 *   2. When the first item is asked for, if the loader shuffles:
 *      without a generator of its own, a second seed is drawn from D, a new
 *      generator is seeded with it, and the order is a permutation by that one;
 *      with its own, the order is a permutation drawn from that generator itself.
 *   3. When the sampler is asked for an item after the last, one more
 *      permutation is drawn in the same way and dropped. It is seen only in a
 *      generator of the loader's own, as step 2's new one is dropped with it.
 *      (Without drop_last this is before the last batch if that is a short one,
 *      after it otherwise.)
 *
 * Dropout has a stream of its own, which is not PyTorch's: the k-th mask
 * (k = 1, 2, ...) drawn from a generator since it was seeded has the key
 *   K = mix(mix(seed) + k s),  s = 0x9E3779B97F4A7C15,  mix as in splitmix64,
 * and keeps element i = 0, 1, ... where
 *   floor(mix(K + (i + 1) s) / 2^32) >= floor(p 2^32):
 * a function of (seed, k, i) alone, the same for any device and thread count. */
#ifndef SR_BASE_RANDOM_H
#define SR_BASE_RANDOM_H

#include "base/status.h"

/* As `high` of sr__random_integers this stands for 2^63, so that the largest
 * int64 can be drawn: the difference high - low is taken modulo 2^64. */
#define SR_RANDOM_END INT64_MIN

/* Fill host memory. They write exactly what the matching PyTorch call writes
 * into a contiguous tensor of n elements; g may be NULL for the default. */
void sr__random_uniform_float(sr_generator *g, int64_t n, float *out, double low, double high);
void sr__random_uniform_double(sr_generator *g, int64_t n, double *out, double low, double high);
void sr__random_normal_float(sr_generator *g, int64_t n, float *out, double mean, double std);
void sr__random_normal_double(sr_generator *g, int64_t n, double *out, double mean, double std);
/* low <= v < high; low < high, or high = SR_RANDOM_END. All of int64 is
 * INT64_MIN .. SR_RANDOM_END. */
void sr__random_integers(sr_generator *g, int64_t n, int64_t *out, int64_t low, int64_t high);
/* A permutation of base .. base + n - 1, as torch.randperm draws it. */
void sr__random_permutation(sr_generator *g, int64_t n, int64_t *out, int64_t base);
/* One number 0 <= u < 1 with 53 bits. */
double sr__random_unit(sr_generator *g);

/* Key K of the next dropout mask: backends keep element i where
 * sr__mask_word(K, i) >= threshold, threshold = (uint32_t)(p 2^32), p < 1. */
uint64_t sr__random_next_mask(sr_generator *g);

#define SR_MASK_STEP UINT64_C(0x9E3779B97F4A7C15)
static inline uint64_t sr__mask_mix(uint64_t z) {
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}
static inline uint32_t sr__mask_word(uint64_t key, uint64_t i) {
  return (uint32_t)(sr__mask_mix(key + (i + 1) * SR_MASK_STEP) >> 32);
}

#endif
