/* random.c: mt19937, and PyTorch's rules for making values of its words.
 *
 * Guarantees the stream that random.h describes, bit for bit, on any processor
 * and with any compiler flags: where PyTorch's x86 build fuses a product and a
 * sum, fma() is called here, and no expression is left that a compiler could
 * fuse by itself. Called by the random operations, the initializers and the
 * loaders; holds no memory besides the generators themselves.
 */
#include "base/random.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { WORDS = 624, MIDDLE = 397, NORMAL_BLOCK = 16 };

#define DEFAULT_SEED UINT64_C(67280421310721)

static const double two_pi = 6.283185307179586476925;

struct sr_generator {
  uint32_t state[WORDS];
  uint32_t words[WORDS]; /* the state tempered: what is handed out */
  int position;          /* of the next word; WORDS: a new block is due */
  bool has_normal;
  double normal; /* second value of the last pair of normals */
  uint64_t seed;
  uint64_t masks; /* dropout masks drawn since it was seeded */
};

/* fma() is an instruction on every x86 processor since 2013, but compiled code
 * may use it only where it asks first. The results are the same without. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WITH_FMA __attribute__((target_clones("default", "fma")))
#else
#define WITH_FMA
#endif

/* ---- the engine ---------------------------------------------------------- */

/* Matsumoto and Nishimura 1998; aten/src/ATen/core/MT19937RNGEngine.h. */

static inline uint32_t twist(uint32_t u, uint32_t v) {
  uint32_t y = (u & UINT32_C(0x80000000)) | (v & UINT32_C(0x7fffffff));
  return (y >> 1) ^ (-(v & 1) & UINT32_C(0x9908b0df));
}

static inline uint32_t temper(uint32_t y) {
  y ^= y >> 11;
  y ^= (y << 7) & UINT32_C(0x9d2c5680);
  y ^= (y << 15) & UINT32_C(0xefc60000);
  return y ^ (y >> 18);
}

static void temper_all(sr_generator *g) {
  for (int i = 0; i < WORDS; i++) g->words[i] = temper(g->state[i]);
}

static __attribute__((noinline)) void refill(sr_generator *g) {
  uint32_t *s = g->state;
  int i = 0;
  for (; i < WORDS - MIDDLE; i++) s[i] = s[i + MIDDLE] ^ twist(s[i], s[i + 1]);
  for (; i < WORDS - 1; i++) s[i] = s[i + MIDDLE - WORDS] ^ twist(s[i], s[i + 1]);
  s[i] = s[MIDDLE - 1] ^ twist(s[i], s[0]);
  temper_all(g);
  g->position = 0;
}

static inline uint32_t next32(sr_generator *g) {
  if (g->position == WORDS) refill(g);
  return g->words[g->position++];
}

/* CPUGeneratorImpl::random64: the word drawn first is the high one. */
static inline uint64_t next64(sr_generator *g) {
  uint64_t high = next32(g);
  return high << 32 | next32(g);
}

/* random.h's uniform numbers before they are scaled; exact. */
static inline float unit_float(uint32_t word) {
  return (float)(word & UINT32_C(0xffffff)) * 0x1p-24f;
}

static inline double unit_double(uint64_t word) {
  return (double)(word & UINT64_C(0x1fffffffffffff)) * 0x1p-53;
}

static void seed_with(sr_generator *g, uint64_t seed) {
  uint32_t word = (uint32_t)seed; /* PyTorch's engine takes the low half */
  g->state[0] = word;
  for (uint32_t i = 1; i < WORDS; i++)
    g->state[i] = word = UINT32_C(1812433253) * (word ^ (word >> 30)) + i;
  g->position = WORDS;
  g->has_normal = false;
  g->normal = 0;
  g->seed = seed;
  g->masks = 0;
}

/* ---- generators ---------------------------------------------------------- */

sr_generator *sr_generator_default(void) {
  static sr_generator generator;
  static bool seeded;
  if (!seeded) seed_with(&generator, DEFAULT_SEED);
  seeded = true;
  return &generator;
}

static inline sr_generator *resolve(sr_generator *g) { return g ? g : sr_generator_default(); }

sr_status sr_generator_new(sr_generator **out) {
  void *block;
  SR_TRY(sr__new(sizeof(sr_generator), &block));
  *out = block;
  seed_with(*out, DEFAULT_SEED);
  return SR_OK;
}

void sr_generator_free(sr_generator *g) {
  if (g != sr_generator_default()) sr__free(g, sizeof *g);
}

void sr_generator_seed(sr_generator *g, uint64_t seed) { seed_with(resolve(g), seed); }

uint64_t sr_generator_initial_seed(const sr_generator *g) {
  return g ? g->seed : sr_generator_default()->seed;
}

uint32_t sr_generator_next32(sr_generator *g) { return next32(resolve(g)); }

uint64_t sr_generator_next64(sr_generator *g) { return next64(resolve(g)); }

double sr__random_unit(sr_generator *g) { return unit_double(next64(resolve(g))); }

/* ---- saved states -------------------------------------------------------- */

/* Where things stand in the bytes, all little-endian. */
enum {
  STATE_VERSION = 1,
  AT_VERSION = 8,   /* behind the magic */
  AT_COUNT = 12,    /* of words */
  AT_SEED = 16,     /* 8 bytes */
  AT_MASKS = 24,    /* 8 bytes */
  AT_NORMAL = 32,   /* the cached normal number, 8 bytes */
  AT_VALID = 40,    /* is there one: 0 or 1 */
  AT_POSITION = 44, /* of the next word */
  AT_ZEROS = 48,    /* 16 bytes for later versions */
  AT_WORDS = 64
};
static const uint8_t state_magic[AT_VERSION] = {'S', 'R', 'M', 'T', '1', '9', '9', '3'};

_Static_assert(AT_WORDS + 4 * WORDS == SR_GENERATOR_STATE_BYTES, "state layout");

static void put(uint8_t *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << 8 * i;
  return value;
}

void sr_generator_save(const sr_generator *g, uint8_t state[SR_GENERATOR_STATE_BYTES]) {
  if (!g) g = sr_generator_default();
  uint64_t normal;
  memcpy(&normal, &g->normal, sizeof normal);
  memset(state, 0, AT_WORDS);
  memcpy(state, state_magic, sizeof state_magic);
  put(state + AT_VERSION, STATE_VERSION, 4);
  put(state + AT_COUNT, WORDS, 4);
  put(state + AT_SEED, g->seed, 8);
  put(state + AT_MASKS, g->masks, 8);
  put(state + AT_NORMAL, normal, 8);
  put(state + AT_VALID, g->has_normal, 4);
  put(state + AT_POSITION, (uint64_t)g->position, 4);
  for (int i = 0; i < WORDS; i++) put(state + AT_WORDS + 4 * i, g->state[i], 4);
}

static sr_status check_header(const uint8_t *state, size_t bytes) {
  if (bytes != SR_GENERATOR_STATE_BYTES)
    return sr__fail(SR_FORMAT, "generator state: expected %d bytes, got %zu",
                    SR_GENERATOR_STATE_BYTES, bytes);
  if (memcmp(state, state_magic, sizeof state_magic))
    return sr__fail(SR_FORMAT, "generator state: these bytes are not one");
  unsigned version = (unsigned)get(state + AT_VERSION, 4);
  if (version != STATE_VERSION)
    return sr__fail(SR_FORMAT, "generator state: version %u, this saros reads version %d", version,
                    STATE_VERSION);
  unsigned count = (unsigned)get(state + AT_COUNT, 4);
  if (count != WORDS)
    return sr__fail(SR_FORMAT, "generator state: expected %d words, got %u", WORDS, count);
  return SR_OK;
}

/* From words that are all zero (but for the low 31 bits of the first, which
 * the recurrence drops) only zeros follow: no seed leads there. */
static bool is_dead(const uint32_t *words) {
  uint32_t any = words[0] & UINT32_C(0x80000000);
  for (int i = 1; i < WORDS; i++) any |= words[i];
  return any == 0;
}

static sr_status read_state(const uint8_t *state, sr_generator *g) {
  uint64_t position = get(state + AT_POSITION, 4), valid = get(state + AT_VALID, 4);
  uint64_t normal = get(state + AT_NORMAL, 8);
  memcpy(&g->normal, &normal, sizeof normal);
  if (position > WORDS)
    return sr__fail(SR_FORMAT, "generator state: position %llu is not in 0 .. %d",
                    (unsigned long long)position, WORDS);
  if (valid > 1 || !isfinite(g->normal))
    return sr__fail(SR_FORMAT, "generator state: its cached normal number is damaged");
  if (get(state + AT_ZEROS, 8) | get(state + AT_ZEROS + 8, 8))
    return sr__fail(SR_FORMAT, "generator state: its reserved bytes are not zero");
  for (int i = 0; i < WORDS; i++) g->state[i] = (uint32_t)get(state + AT_WORDS + 4 * i, 4);
  if (is_dead(g->state)) return sr__fail(SR_FORMAT, "generator state: its words are all zero");
  g->position = (int)position;
  g->has_normal = valid;
  g->seed = get(state + AT_SEED, 8);
  g->masks = get(state + AT_MASKS, 8);
  return SR_OK;
}

sr_status sr_generator_restore(sr_generator *g, const uint8_t *state, size_t bytes) {
  sr_generator restored;
  SR_TRY(check_header(state, bytes));
  SR_TRY(read_state(state, &restored));
  temper_all(&restored);
  *resolve(g) = restored;
  return SR_OK;
}

/* ---- uniform values ------------------------------------------------------- */

/* uniform_real in aten/src/ATen/core/TransformationHelper.h. */
WITH_FMA
static void scale_floats(int n, const uint32_t *words, float *out, float range, float low) {
  for (int i = 0; i < n; i++) out[i] = fmaf(unit_float(words[i]), range, low);
}

void sr__random_uniform_float(sr_generator *g, int64_t n, float *out, double low, double high) {
  g = resolve(g);
  float from = (float)low, range = (float)high - from;
  while (n > 0) {
    if (g->position == WORDS) refill(g);
    int left = WORDS - g->position, run = n < left ? (int)n : left;
    scale_floats(run, g->words + g->position, out, range, from);
    g->position += run;
    out += run;
    n -= run;
  }
}

WITH_FMA
static void scale_doubles(int64_t n, double *x, double range, double low) {
  for (int64_t i = 0; i < n; i++) x[i] = fma(x[i], range, low);
}

void sr__random_uniform_double(sr_generator *g, int64_t n, double *out, double low, double high) {
  g = resolve(g);
  for (int64_t i = 0; i < n; i++) out[i] = unit_double(next64(g));
  scale_doubles(n, out, high - low, low);
}

/* ---- normal values -------------------------------------------------------- */

/* Fewer than 16: normal_distribution<double> in DistributionsHelper.h (later
 * versions take log1p(-u2), which differs in the last place). */
static double one_normal(sr_generator *g) {
  if (g->has_normal) {
    g->has_normal = false;
    return g->normal;
  }
  double u1 = unit_double(next64(g)), u2 = unit_double(next64(g));
  double radius = sqrt(-2 * log(1 - u2)), theta = two_pi * u1;
  g->normal = radius * sin(theta);
  g->has_normal = true;
  return radius * cos(theta);
}

/* 16 and more: normal_fill in aten/src/ATen/native/cpu/DistributionTemplates.h
 * turns each block of 16 uniform numbers u into
 *   r = sqrt(-2 log(1 - u[j])), t = 2 pi u[j + 8], r cos t and r sin t, j < 8. */
static void normal_blocks_double(int64_t blocks, double *x, double mean, double std) {
  for (; blocks > 0; blocks--, x += NORMAL_BLOCK)
    for (int j = 0; j < NORMAL_BLOCK / 2; j++) {
      double radius = sqrt(-2 * log(1 - x[j])), theta = two_pi * x[j + 8];
      x[j] = fma(radius * cos(theta), std, mean);
      x[j + 8] = fma(radius * sin(theta), std, mean);
    }
}

/* Float blocks use the polynomials of Moshier's Cephes library (logf.c, sinf.c),
 * as PyTorch's AVX2 kernel does, with its order of rounding. So they depend on no
 * system's libm: error below 2 units in the last place on the ranges met here,
 * 2^-24 <= x <= 1 for the logarithm and 0 <= x < 2 pi for sine and cosine. */

/* log x = e log 2 + log m for x = m 2^e, sqrt(1/2) <= m < sqrt(2). */
static inline float log_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  int32_t exponent = (int32_t)(bits >> 23) - 126;
  bits = (bits & UINT32_C(0x7fffff)) | UINT32_C(0x3f000000); /* 1/2 <= x < 1 */
  int32_t twice = bits < UINT32_C(0x3f3504f3);               /* sqrt(1/2) */
  memcpy(&x, &bits, sizeof x);
  float e = (float)(exponent - twice);
  x = x - 1 + x * (float)twice;
  float y = 7.0376836292e-2f, square = x * x;
  y = fmaf(y, x, -1.1514610310e-1f);
  y = fmaf(y, x, 1.1676998740e-1f);
  y = fmaf(y, x, -1.2420140846e-1f);
  y = fmaf(y, x, 1.4249322787e-1f);
  y = fmaf(y, x, -1.6668057665e-1f);
  y = fmaf(y, x, 2.0000714765e-1f);
  y = fmaf(y, x, -2.4999993993e-1f);
  y = fmaf(y, x, 3.3333331174e-1f) * x;
  y = fmaf(y, square, e * -2.12194440e-4f); /* log 2 = 0.693359375 - 2.12194440e-4 */
  y = fmaf(-0.5f, square, y);
  return fmaf(e, 0.693359375f, x + y);
}

/* x is brought into [-pi/4, pi/4] by an even number of octants. */
static inline void sine_cosine_float(float x, float *sine, float *cosine) {
  int32_t octant = ((int32_t)(x * 1.27323954473516f) + 1) & ~1;
  float k = (float)octant;
  x = fmaf(k, -0.78515625f, x); /* pi/4 in three parts */
  x = fmaf(k, -2.4187564849853515625e-4f, x);
  x = fmaf(k, -3.77489497744594108e-8f, x);
  float z = x * x;
  float c = fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f);
  c = fmaf(c, z, 4.166664568298827e-2f) * z;
  c = fmaf(c, z, -0.5f * z) + 1;
  float s = fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f);
  s = fmaf(s, z, -1.6666654611e-1f) * z;
  s = fmaf(s, x, x);
  bool swap = octant & 2;
  float sin_x = swap ? c : s, cos_x = swap ? s : c;
  *sine = octant & 4 ? -sin_x : sin_x;
  *cosine = (octant + 2) & 4 ? -cos_x : cos_x;
}

/* Loops that compilers turn into vector instructions: no branch, no call. */
WITH_FMA
static void normal_blocks_float(int64_t blocks, float *x, float mean, float std) {
  enum { HALF = NORMAL_BLOCK / 2 };
  for (; blocks > 0; blocks--, x += NORMAL_BLOCK) {
    float radius[HALF], sine[HALF], cosine[HALF];
    for (int j = 0; j < HALF; j++) radius[j] = -2 * log_float(1 - x[j]);
    for (int j = 0; j < HALF; j++) radius[j] = sqrtf(radius[j]);
    for (int j = 0; j < HALF; j++)
      sine_cosine_float((float)two_pi * x[HALF + j], &sine[j], &cosine[j]);
    for (int j = 0; j < HALF; j++) x[j] = fmaf(radius[j] * cosine[j], std, mean);
    for (int j = 0; j < HALF; j++) x[HALF + j] = fmaf(radius[j] * sine[j], std, mean);
  }
}

/* All n uniform numbers are drawn before the first block is turned; where n is
 * no multiple of 16, the last 16 values are drawn and turned once more. */
void sr__random_normal_float(sr_generator *g, int64_t n, float *out, double mean, double std) {
  g = resolve(g);
  if (n < NORMAL_BLOCK) {
    for (int64_t i = 0; i < n; i++) out[i] = (float)fma(one_normal(g), std, mean);
    return;
  }
  sr__random_uniform_float(g, n, out, 0, 1);
  normal_blocks_float(n / NORMAL_BLOCK, out, (float)mean, (float)std);
  if (n % NORMAL_BLOCK == 0) return;
  out += n - NORMAL_BLOCK;
  sr__random_uniform_float(g, NORMAL_BLOCK, out, 0, 1);
  normal_blocks_float(1, out, (float)mean, (float)std);
}

void sr__random_normal_double(sr_generator *g, int64_t n, double *out, double mean, double std) {
  g = resolve(g);
  if (n < NORMAL_BLOCK) {
    for (int64_t i = 0; i < n; i++) out[i] = fma(one_normal(g), std, mean);
    return;
  }
  sr__random_uniform_double(g, n, out, 0, 1);
  normal_blocks_double(n / NORMAL_BLOCK, out, mean, std);
  if (n % NORMAL_BLOCK == 0) return;
  out += n - NORMAL_BLOCK;
  sr__random_uniform_double(g, NORMAL_BLOCK, out, 0, 1);
  normal_blocks_double(1, out, mean, std);
}

/* ---- integers and permutations -------------------------------------------- */

/* uniform_int_from_to and uniform_int_full_range in TransformationHelper.h. The
 * difference wraps to the right range for every pair of ends, to 0 for 2^64. */
void sr__random_integers(sr_generator *g, int64_t n, int64_t *out, int64_t low, int64_t high) {
  g = resolve(g);
  uint64_t range = (uint64_t)high - (uint64_t)low;
  if (range == 0)
    for (int64_t i = 0; i < n; i++) out[i] = (int64_t)next64(g);
  else if (range >> 32)
    for (int64_t i = 0; i < n; i++) out[i] = (int64_t)((uint64_t)low + next64(g) % range);
  else
    for (int64_t i = 0; i < n; i++) out[i] = (int64_t)((uint64_t)low + next32(g) % (uint32_t)range);
}

/* randperm_cpu in aten/src/ATen/native/TensorFactories.cpp: Fisher and Yates
 * from the front, one word for every element but the last. */
void sr__random_permutation(sr_generator *g, int64_t n, int64_t *out, int64_t base) {
  g = resolve(g);
  for (int64_t i = 0; i < n; i++) out[i] = base + i;
  for (int64_t i = 0; i < n - 1; i++) {
    int64_t j = i + (int64_t)(next32(g) % (uint64_t)(n - i));
    int64_t kept = out[i];
    out[i] = out[j];
    out[j] = kept;
  }
}

/* ---- dropout ---------------------------------------------------------------- */

uint64_t sr__random_next_mask(sr_generator *g) {
  g = resolve(g);
  return sr__mask_mix(sr__mask_mix(g->seed) + ++g->masks * SR_MASK_STEP);
}
