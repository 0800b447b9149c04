/* test_random.c: the random stream against PyTorch's, bit for bit; saved states;
 * dropout keys. Numbers marked "PyTorch" come from version 1.13 after
 * manual_seed(2024). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "golden.h"

enum { N = 2000 }; /* more than two blocks of 624 words */

static sr_generator *seeded(uint64_t seed) {
  sr_generator *g = NULL;
  assert_int_equal(sr_generator_new(&g), SR_OK);
  sr_generator_seed(g, seed);
  return g;
}

static bool same_future(sr_generator *a, sr_generator *b) {
  for (int i = 0; i < N; i++)
    if (sr_generator_next32(a) != sr_generator_next32(b)) return false;
  return sr__random_next_mask(a) == sr__random_next_mask(b);
}

/* ---- the engine --------------------------------------------------------------- */

/* The C++ standard, [rand.predef]: the 10000th word after seed 5489. */
static void it_is_mt19937(void **state) {
  (void)state;
  sr_generator *g = seeded(5489);
  assert_int_equal(sr_generator_next32(g), 3499211612u);
  for (int i = 2; i < 10000; i++) sr_generator_next32(g);
  assert_int_equal(sr_generator_next32(g), 4123659995u);
  sr_generator_free(g);
}

static void the_first_word_is_the_high_half(void **state) {
  (void)state;
  sr_generator *g = seeded(2024), *words = seeded(2024);
  for (int i = 0; i < N; i++) {
    uint64_t high = sr_generator_next32(words);
    assert_true(sr_generator_next64(g) == (high << 32 | sr_generator_next32(words)));
  }
  sr_generator_free(g);
  sr_generator_free(words);
}

static void seeds_count_modulo_2_32(void **state) {
  (void)state;
  sr_generator *g = seeded(7), *same = seeded((UINT64_C(5) << 32) + 7), *other = seeded(8);
  assert_true(sr_generator_initial_seed(same) == (UINT64_C(5) << 32) + 7);
  for (int i = 0; i < N; i++) assert_int_equal(sr_generator_next32(g), sr_generator_next32(same));
  assert_false(same_future(g, other));
  sr_generator_free(g);
  sr_generator_free(same);
  sr_generator_free(other);
}

static void a_new_generator_has_pytorchs_seed(void **state) {
  (void)state;
  sr_generator *g = NULL, *same = seeded(UINT64_C(67280421310721));
  assert_int_equal(sr_generator_new(&g), SR_OK);
  assert_true(sr_generator_initial_seed(g) == UINT64_C(67280421310721));
  assert_true(same_future(g, same));
  sr_generator_free(g);
  sr_generator_free(same);
}

static void null_is_the_default_generator(void **state) {
  (void)state;
  int64_t blocks = sr_memory_stats().live_blocks;
  sr_generator *g = seeded(11);
  sr_generator_seed(NULL, 11);
  assert_true(sr_generator_initial_seed(NULL) == 11);
  assert_true(sr_generator_initial_seed(sr_generator_default()) == 11);
  assert_true(sr_generator_next64(NULL) == sr_generator_next64(g));
  assert_true(sr__random_unit(NULL) == sr__random_unit(g));
  assert_int_equal(sr_generator_next32(sr_generator_default()), sr_generator_next32(g));
  assert_true(sr__random_next_mask(NULL) == sr__random_next_mask(g));
  assert_true(same_future(NULL, g));
  sr_generator_free(g);
  sr_generator_free(NULL);
  sr_generator_free(sr_generator_default()); /* stays */
  assert_true(sr_generator_initial_seed(NULL) == 11);
  assert_int_equal(sr_memory_stats().live_blocks, blocks);
}

static void no_memory_no_generator(void **state) {
  (void)state;
  sr_generator *g = NULL;
  sr_memory_fail_at(1, false);
  assert_int_equal(sr_generator_new(&g), SR_MEMORY);
  assert_null(g);
}

/* ---- reference cases ------------------------------------------------------------ */

static void assert_floats(const golden_tensor *expected, const float *x, double tolerance) {
  const float *y = expected->data;
  for (int64_t i = 0; i < expected->numel; i++)
    if (!(fabs((double)x[i] - (double)y[i]) <= tolerance))
      fail_msg("element %lld: %.9g, expected %.9g", (long long)i, (double)x[i], (double)y[i]);
}

static void assert_integers(const golden_tensor *expected, const int64_t *x) {
  assert_string_equal(expected->dtype, "I64");
  assert_memory_equal(x, expected->data, (size_t)expected->numel * sizeof *x);
}

typedef struct {
  const char *name;
  enum { UNIFORM, INTEGERS, PERMUTATION, NORMAL } kind;
  double low, high;
} draw;

/* What the rng_seed cases draw, in their order. */
static const draw draws[] = {
    {"rand5", UNIFORM, 0, 1},
    {"rand_4x7", UNIFORM, 0, 1},
    {"randint_0_100_x20", INTEGERS, 0, 100},
    {"randperm_50", PERMUTATION, 0, 0},
    {"uniform_-0.3_0.7_x33", UNIFORM, -0.3, 0.7},
    {"randn_64", NORMAL, 0, 1},
    {"randn_19", NORMAL, 0, 1},
    {"randn_5", NORMAL, 0, 1},
};

static void check_draw(const draw *d, sr_generator *g, const golden_tensor *expected) {
  float x[64];
  int64_t integers[64], n = expected->numel;
  assert_true(n <= 64);
  switch (d->kind) {
    case UNIFORM:
      sr__random_uniform_float(g, n, x, d->low, d->high);
      assert_floats(expected, x, 0);
      break;
    case NORMAL: /* below 16 values sin, cos and log are the system's */
      sr__random_normal_float(g, n, x, d->low, d->high);
      assert_floats(expected, x, n < 16 ? 1e-6 : 0);
      break;
    case INTEGERS:
      sr__random_integers(g, n, integers, (int64_t)d->low, (int64_t)d->high);
      assert_integers(expected, integers);
      break;
    case PERMUTATION:
      sr__random_permutation(g, n, integers, 0);
      assert_integers(expected, integers);
      break;
  }
}

static golden *open_seeded(const char *kind, int seed) {
  char name[40];
  snprintf(name, sizeof name, "%s_seed%d", kind, seed);
  golden *g = golden_open(name);
  assert_int_equal(json_integer_value(json_object_get(golden_case(g), "seed")), seed);
  return g;
}

static void check_draws(int seed) {
  golden *file = open_seeded("rng", seed);
  json_t *order = json_object_get(golden_case(file), "order");
  assert_int_equal(json_array_size(order), sizeof draws / sizeof *draws);
  sr_generator_seed(NULL, (uint64_t)seed);
  for (size_t i = 0; i < sizeof draws / sizeof *draws; i++) {
    assert_string_equal(json_string_value(json_array_get(order, i)), draws[i].name);
    golden_tensor expected = golden_get(file, draws[i].name);
    check_draw(&draws[i], NULL, &expected);
  }
  golden_close(file);
}

static int64_t draw_seed(sr_generator *g) {
  int64_t seed;
  sr__random_integers(g, 1, &seed, 0, SR_RANDOM_END);
  return seed;
}

/* The order of a shuffling loader, as random.h tells it. */
static void loader_order(int64_t n, int64_t *order) {
  draw_seed(NULL);
  sr_generator *g = seeded((uint64_t)draw_seed(NULL));
  sr__random_permutation(g, n, order, 0);
  sr_generator_free(g);
}

static void check_split(int seed) {
  golden *file = open_seeded("split", seed);
  golden_tensor train = golden_get(file, "train"), test = golden_get(file, "test");
  golden_tensor expected = golden_get(file, "loader_order");
  int64_t items[97], order[23];
  assert_int_equal(train.numel + test.numel, 97);
  assert_int_equal(expected.numel, 23);

  sr_generator *g = seeded((uint64_t)seed);
  sr__random_permutation(g, 97, items, 0);
  sr_generator_free(g);
  assert_integers(&train, items);
  assert_integers(&test, items + train.numel);

  sr_generator_seed(NULL, (uint64_t)seed);
  loader_order(23, order);
  assert_integers(&expected, order);
  golden_close(file);
}

static void check_uniform(golden *file, const char *name, double bound) {
  golden_tensor expected = golden_get(file, name);
  float x[512];
  assert_true(expected.numel <= 512);
  sr__random_uniform_float(NULL, expected.numel, x, -bound, bound);
  assert_floats(&expected, x, 0);
}

static void check_recurrent(golden *file, const char *module, int layers, int directions,
                            double hidden) {
  static const char *const kinds[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
  char name[80];
  for (int i = 0; i < layers * directions; i++)
    for (int kind = 0; kind < 4; kind++) {
      snprintf(name, sizeof name, "%s.%s_l%d%s", module, kinds[kind], i / directions,
               i % directions ? "_reverse" : "");
      check_uniform(file, name, 1 / sqrt(hidden));
    }
}

/* Default initialization: uniform within 1 / sqrt(inputs or hidden size). The
 * bound of Linear's weight has its roundings (torch/nn/init.py, kaiming_uniform_). */
static void check_initial_weights(int seed) {
  golden *file = open_seeded("init", seed);
  sr_generator_seed(NULL, (uint64_t)seed);
  check_uniform(file, "linear_7_4.weight", sqrt(3.0) * (sqrt(2.0 / (1 + 5)) / sqrt(7)));
  check_uniform(file, "linear_7_4.bias", 1 / sqrt(7));
  golden_tensor embedding = golden_get(file, "embedding_9_3.weight");
  float x[27];
  assert_int_equal(embedding.numel, 27);
  sr__random_normal_float(NULL, 27, x, 0, 1);
  assert_floats(&embedding, x, 0);
  check_recurrent(file, "rnn_5_6", 1, 1, 6);
  check_recurrent(file, "lstm_3_4_2layer_bi", 2, 2, 4);
  check_recurrent(file, "gru_4_5", 1, 1, 5);
  golden_close(file);
}

static const int seeds[] = {0, 7, 2024};
enum { SEEDS = sizeof seeds / sizeof *seeds };

static void draws_are_pytorchs(void **state) {
  (void)state;
  for (int i = 0; i < SEEDS; i++) check_draws(seeds[i]);
}

static void splits_and_loaders_are_pytorchs(void **state) {
  (void)state;
  for (int i = 0; i < SEEDS; i++) check_split(seeds[i]);
}

static void initial_weights_are_pytorchs(void **state) {
  (void)state;
  for (int i = 0; i < SEEDS; i++) check_initial_weights(seeds[i]);
}

/* ---- values ----------------------------------------------------------------------- */

static void assert_doubles(const double *x, const double *expected, int n, double tolerance) {
  for (int i = 0; i < n; i++)
    if (!(fabs(x[i] - expected[i]) <= tolerance))
      fail_msg("element %d: %a, expected %a", i, x[i], expected[i]);
}

static void doubles_are_pytorchs(void **state) {
  (void)state;
  static const double uniform[] = {0x1.1315792500bc4p-3, 0x1.6fcf8ec662d20p+0, 0x1.5a289f9bf4eb4p-2,
                                   0x1.4cc2e9dc670e5p+0};
  static const double five[] = {0x1.c1e69ac2102a7p-1, 0x1.8b63f6f627d23p+2, -0x1.712e888ac953dp+0,
                                0x1.4774bc01da135p+2, 0x1.424a5ccac80fep+1};
  static const double of_19[] = {-0x1.1cb0e57fe1b3ap+0, 0x1.6be4282f2dca6p+1, 0x1.9b46ce4b45744p+1,
                                 -0x1.5fc6cf228802cp-1, 0x1.229e4e0fba406p+0};
  double x[19];
  sr_generator *g = seeded(2024);
  sr__random_uniform_double(g, 4, x, -0.5, 2);
  assert_doubles(x, uniform, 4, 0);
  sr_generator_seed(g, 2024);
  sr__random_normal_double(g, 5, x, 1, 3);
  assert_doubles(x, five, 5, 1e-14);
  sr_generator_seed(g, 2024);
  sr__random_normal_double(g, 19, x, 1, 3);
  const double some[] = {x[0], x[2], x[3], x[10], x[18]};
  assert_doubles(some, of_19, 5, 1e-14);
  sr_generator_free(g);
}

/* normal_(1, 3) of three values, then normal_() of two: the fourth value is the
 * second of a pair, kept as a standard one. */
static void the_second_normal_is_kept(void **state) {
  (void)state;
  static const double expected[] = {0.8787124752998352, 6.177976131439209, -1.4421161605285645,
                                    1.372166633605957, 0.5059648156166077};
  float x[5];
  sr_generator *g = seeded(2024), *fresh = seeded(2024);
  sr__random_normal_float(g, 3, x, 1, 3);
  sr__random_normal_float(g, 2, x + 3, 0, 1);
  for (int i = 0; i < 5; i++) assert_true(fabs(x[i] - expected[i]) < 1e-6);
  sr__random_normal_float(g, 1, x, 0, 1); /* another is kept again */
  sr_generator_seed(g, 2024);             /* and forgotten */
  sr__random_normal_float(g, 1, x, 0, 1);
  sr__random_normal_float(fresh, 1, x + 1, 0, 1);
  assert_true(x[0] == x[1]);
  sr_generator_free(g);
  sr_generator_free(fresh);
}

/* From 16 values on: n words, or n + 16 where n is no multiple of 16. */
static void normals_take_the_right_number_of_words(void **state) {
  (void)state;
  float x[100];
  for (int n = 16; n <= 100; n++) {
    sr_generator *g = seeded(3), *words = seeded(3);
    sr__random_normal_float(g, n, x, 0, 1);
    for (int i = 0; i < n + (n % 16 ? 16 : 0); i++) sr_generator_next32(words);
    assert_true(same_future(g, words));
    sr_generator_free(g);
    sr_generator_free(words);
  }
}

static void uniform_values_follow_the_words(void **state) {
  (void)state;
  float x[N];
  double y[N];
  sr_generator *g = seeded(1), *words = seeded(1);
  sr_generator_next32(g); /* so that blocks begin in the middle */
  sr_generator_next32(words);
  sr__random_uniform_float(g, N, x, 0, 1);
  for (int i = 0; i < N; i++)
    assert_true(x[i] == (float)(sr_generator_next32(words) & 0xffffff) / 16777216);
  sr__random_uniform_double(g, N, y, 0, 1);
  for (int i = 0; i < N; i++) {
    uint64_t word = sr_generator_next64(words) & ((UINT64_C(1) << 53) - 1);
    assert_true(y[i] == (double)word / 9007199254740992.0);
  }
  assert_true(sr__random_unit(g) ==
              (double)(sr_generator_next64(words) & ((UINT64_C(1) << 53) - 1)) * 0x1p-53);
  sr_generator_free(g);
  sr_generator_free(words);
}

static void pieces_and_wholes_are_equal(void **state) {
  (void)state;
  float whole[N], pieces[N];
  sr_generator *g = seeded(5), *h = seeded(5);
  sr__random_uniform_float(g, N, whole, -2, 3);
  for (int at = 0, n = 0; at < N; at += n, n = (n + 37) % 700) {
    if (n > N - at) n = N - at;
    sr__random_uniform_float(h, n, pieces + at, -2, 3);
  }
  assert_memory_equal(whole, pieces, sizeof whole);
  sr_generator_free(g);
  sr_generator_free(h);
}

static void no_values_draw_nothing(void **state) {
  (void)state;
  sr_generator *g = seeded(5), *h = seeded(5);
  sr__random_uniform_float(g, 0, NULL, 0, 1);
  sr__random_uniform_double(g, 0, NULL, 0, 1);
  sr__random_normal_float(g, 0, NULL, 0, 1);
  sr__random_normal_double(g, 0, NULL, 0, 1);
  sr__random_integers(g, 0, NULL, 0, 10);
  sr__random_permutation(g, 0, NULL, 0);
  assert_true(same_future(g, h));
  sr_generator_free(g);
  sr_generator_free(h);
}

/* Mean and variance of the mean: within five standard errors. */
static void normals_are_normal(void **state) {
  (void)state;
  enum { MANY = 1 << 20 };
  float *x = malloc(MANY * sizeof *x);
  double sum = 0, squares = 0, beyond_two = 0;
  sr_generator *g = seeded(99);
  sr__random_normal_float(g, MANY, x, 0, 1);
  for (int i = 0; i < MANY; i++) {
    assert_true(isfinite(x[i]));
    sum += x[i];
    squares += (double)x[i] * x[i];
    beyond_two += fabsf(x[i]) > 2;
  }
  assert_true(fabs(sum / MANY) < 5 / sqrt(MANY));
  assert_true(fabs(squares / MANY - 1) < 5 * sqrt(2.0 / MANY));
  assert_true(fabs(beyond_two / MANY - 0.0455003) < 5 * sqrt(0.0434 / MANY));
  free(x);
  sr_generator_free(g);
}

/* The words that stand at the ends of what log, sin and cos are asked for. */
static void normals_agree_with_the_system_library(void **state) {
  (void)state;
  float u[N], x[N];
  sr_generator *g = seeded(8), *same = seeded(8);
  sr__random_uniform_float(g, N, u, 0, 1);
  sr__random_normal_float(same, N, x, 0, 1);
  for (int i = 0; i < N; i++) {
    int j = i % 8, block = i - i % 16;
    double radius = sqrt(-2 * log(1 - (double)u[block + j]));
    double angle = 6.283185307179586 * (double)u[block + j + 8];
    double exact = radius * (i % 16 < 8 ? cos(angle) : sin(angle));
    assert_true(fabs(x[i] - exact) < 2e-6);
  }
  sr_generator_free(g);
  sr_generator_free(same);
}

/* ---- integers ------------------------------------------------------------------------ */

typedef struct {
  int64_t low, high, expected[3];
} integer_case;

static void integers_are_pytorchs(void **state) {
  (void)state;
  static const integer_case cases[] = {
      {0, SR_RANDOM_END, {1623581238383398394, 3672908012959206016, 3470791090525271588}},
      {INT64_MIN, SR_RANDOM_END, {-7599790798471377414, -5550464023895569792, 3470791090525271588}},
      {-(INT64_C(1) << 40), INT64_C(1) << 41, {587367501306, 415489755776, -980991511004}},
      {0, (INT64_C(1) << 32) - 1, {2525503112, 3251949050, 3002649184}},
      {0, INT64_C(1) << 32, {3251949050, 3172895360, 2555999780}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t x[3];
    sr_generator *g = seeded(2024);
    sr__random_integers(g, 3, x, cases[i].low, cases[i].high);
    assert_memory_equal(x, cases[i].expected, sizeof x);
    sr_generator_free(g);
  }
}

static void bernoulli_draws_are_pytorchs(void **state) {
  (void)state;
  static const bool expected[24] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1};
  sr_generator *g = seeded(2024);
  for (int i = 0; i < 24; i++) assert_int_equal(sr__random_unit(g) < 0.3, expected[i]);
  sr_generator_free(g);
}

static void integers_stay_within_their_ends(void **state) {
  (void)state;
  static const int64_t ends[][2] = {
      {0, 1},
      {-1, 0},
      {-7, 12},
      {5, 6},
      {INT64_MIN, -3},
      {INT64_MAX - 3, INT64_MAX},
      {0, 256},
      {INT64_MIN, INT64_MIN + 1},
      {INT64_MIN, INT64_MAX},
      {-5, INT64_MAX},
  };
  int64_t x[N];
  sr_generator *g = seeded(77);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    sr__random_integers(g, N, x, ends[i][0], ends[i][1]);
    for (int j = 0; j < N; j++) assert_true(x[j] >= ends[i][0] && x[j] < ends[i][1]);
  }
  sr__random_integers(g, N, x, INT64_MAX - 1, SR_RANDOM_END);
  for (int j = 0; j < N; j++) assert_true(x[j] >= INT64_MAX - 1);
  sr_generator_free(g);
}

static void every_integer_comes(void **state) {
  (void)state;
  int64_t x[N];
  int count[10] = {0};
  sr_generator *g = seeded(77);
  sr__random_integers(g, N, x, -4, 6);
  for (int j = 0; j < N; j++) count[x[j] + 4]++;
  for (int v = 0; v < 10; v++) assert_true(count[v] > N / 10 - 70 && count[v] < N / 10 + 70);
  sr_generator_free(g);
}

static void permutations_hold_each_value_once(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 2, 3, 100, N};
  int64_t x[N];
  sr_generator *g = seeded(13);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    bool seen[N] = {false};
    sr__random_permutation(g, sizes[i], x, SR_INDEX_BASE);
    for (int64_t j = 0; j < sizes[i]; j++) {
      assert_true(x[j] >= SR_INDEX_BASE && x[j] < SR_INDEX_BASE + sizes[i]);
      assert_false(seen[x[j] - SR_INDEX_BASE]);
      seen[x[j] - SR_INDEX_BASE] = true;
    }
  }
  sr_generator_free(g);
}

static void a_permutation_takes_n_minus_1_words(void **state) {
  (void)state;
  int64_t x[N];
  sr_generator *g = seeded(13), *words = seeded(13);
  sr__random_permutation(g, 1, x, 0);
  sr__random_permutation(g, 700, x, 0);
  for (int i = 0; i < 699; i++) sr_generator_next32(words);
  assert_true(same_future(g, words));
  sr_generator_free(g);
  sr_generator_free(words);
}

/* ---- saved states --------------------------------------------------------------------- */

/* A generator in the middle of everything: words, a kept normal, masks. */
static sr_generator *used_generator(void) {
  sr_generator *g = seeded(UINT64_C(0xfedcba9876543210));
  float x[3];
  for (int i = 0; i < 1000; i++) sr_generator_next32(g);
  sr__random_normal_float(g, 3, x, 0, 1);
  for (int i = 0; i < 5; i++) sr__random_next_mask(g);
  return g;
}

static void a_restored_generator_goes_on(void **state) {
  (void)state;
  uint8_t saved[SR_GENERATOR_STATE_BYTES], again[SR_GENERATOR_STATE_BYTES];
  float x[20], y[20];
  sr_generator *g = used_generator(), *h = seeded(1);
  sr_generator_save(g, saved);
  assert_int_equal(sr_generator_restore(h, saved, sizeof saved), SR_OK);
  sr_generator_save(h, again);
  assert_memory_equal(saved, again, sizeof saved);
  assert_true(sr_generator_initial_seed(h) == sr_generator_initial_seed(g));
  sr__random_normal_float(g, 3, x, 0, 1);
  sr__random_normal_float(h, 3, y, 0, 1);
  assert_memory_equal(x, y, 3 * sizeof *x);
  assert_true(same_future(g, h));
  sr_generator_free(g);
  sr_generator_free(h);
}

static void each_position_can_be_saved(void **state) {
  (void)state;
  uint8_t saved[SR_GENERATOR_STATE_BYTES];
  sr_generator *g = seeded(4), *h = seeded(1);
  for (int i = 0; i < 1300; i++, sr_generator_next32(g)) {
    sr_generator_save(g, saved);
    assert_int_equal(sr_generator_restore(h, saved, sizeof saved), SR_OK);
    uint32_t word = sr_generator_next32(h);
    assert_int_equal(sr_generator_restore(g, saved, sizeof saved), SR_OK);
    assert_int_equal(sr_generator_next32(g), word);
    assert_int_equal(sr_generator_restore(g, saved, sizeof saved), SR_OK);
  }
  sr_generator_free(g);
  sr_generator_free(h);
}

static void the_default_generator_saves_and_restores(void **state) {
  (void)state;
  uint8_t saved[SR_GENERATOR_STATE_BYTES];
  sr_generator *g = used_generator();
  sr_generator_save(g, saved);
  assert_int_equal(sr_generator_restore(NULL, saved, sizeof saved), SR_OK);
  assert_true(same_future(NULL, g));
  sr_generator_seed(NULL, 6);
  sr_generator_save(NULL, saved);
  sr_generator_seed(g, 6);
  assert_true(same_future(NULL, g));
  assert_int_equal(sr_generator_restore(g, saved, sizeof saved), SR_OK);
  sr_generator_seed(NULL, 6);
  assert_true(same_future(NULL, g));
  sr_generator_free(g);
}

static void put32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

typedef struct {
  const char *message; /* what it says, in part */
  size_t at, bytes;    /* these are overwritten */
  uint32_t value;
} damage;

static void check_refused(const uint8_t *state, size_t bytes, const char *message) {
  sr_generator *g = seeded(21), *same = seeded(21);
  assert_int_equal(sr_generator_restore(g, state, bytes), SR_FORMAT);
  if (!strstr(sr_message(), message)) fail_msg("%s: does not say %s", sr_message(), message);
  assert_true(same_future(g, same)); /* left as it was */
  sr_generator_free(g);
  sr_generator_free(same);
}

static void damaged_states_are_refused(void **state) {
  (void)state;
  static const damage damages[] = {
      {"not one", 0, 1, 0},
      {"not one", 7, 1, '4'},
      {"version 2, this saros reads version 1", 8, 4, 2},
      {"version 0", 8, 4, 0},
      {"expected 624 words, got 623", 12, 4, 623},
      {"normal number", 36, 4, 0x7ff80000}, /* NaN */
      {"normal number", 36, 4, 0xfff00000}, /* -inf */
      {"normal number", 40, 4, 2},
      {"position 625 is not in 0 .. 624", 44, 4, 625},
      {"position 4294967295 ", 44, 4, UINT32_MAX},
      {"reserved", 48, 1, 1},
      {"reserved", 63, 1, 0x80},
  };
  uint8_t good[SR_GENERATOR_STATE_BYTES], bad[SR_GENERATOR_STATE_BYTES];
  sr_generator *g = used_generator();
  sr_generator_save(g, good);
  for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
    const damage *d = &damages[i];
    uint8_t value[4];
    put32(value, d->value);
    memcpy(bad, good, sizeof bad);
    memcpy(bad + d->at, value, d->bytes);
    check_refused(bad, sizeof bad, d->message);
  }
  sr_generator_free(g);
}

static void states_of_other_sizes_are_refused(void **state) {
  (void)state;
  uint8_t bytes[SR_GENERATOR_STATE_BYTES + 1] = {0};
  sr_generator_save(NULL, bytes);
  check_refused(bytes, 0, "expected 2560 bytes, got 0");
  check_refused(NULL, 0, "got 0");
  check_refused(bytes, SR_GENERATOR_STATE_BYTES - 1, "got 2559");
  check_refused(bytes, SR_GENERATOR_STATE_BYTES + 1, "got 2561");
}

/* All words zero would draw zeros for ever; the low bits of word 0 are not used. */
static void dead_states_are_refused(void **state) {
  (void)state;
  uint8_t bytes[SR_GENERATOR_STATE_BYTES];
  sr_generator_seed(NULL, 1);
  sr_generator_save(NULL, bytes);
  memset(bytes + 64, 0, sizeof bytes - 64);
  check_refused(bytes, sizeof bytes, "all zero");
  put32(bytes + 64, 0x7fffffff);
  check_refused(bytes, sizeof bytes, "all zero");
  put32(bytes + 64, 0x80000000);
  assert_int_equal(sr_generator_restore(NULL, bytes, sizeof bytes), SR_OK);
}

/* Any damage to one byte is refused or gives a generator that can be used. */
static void no_byte_can_do_harm(void **state) {
  (void)state;
  uint8_t bytes[SR_GENERATOR_STATE_BYTES];
  float x[17];
  sr_generator *g = used_generator();
  sr_generator_save(g, bytes);
  for (size_t i = 0; i < sizeof bytes; i += i < 64 ? 1 : 61)
    for (int bit = 0; bit < 8; bit++) {
      bytes[i] ^= (uint8_t)(1 << bit);
      if (!sr_generator_restore(g, bytes, sizeof bytes)) sr__random_normal_float(g, 17, x, 0, 1);
      bytes[i] ^= (uint8_t)(1 << bit);
    }
  sr_generator_free(g);
}

/* ---- dropout ----------------------------------------------------------------------------- */

/* random.h's formula, written once more. */
static uint64_t splitmix(uint64_t z) {
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

static void mask_keys_follow_their_formula(void **state) {
  (void)state;
  const uint64_t step = UINT64_C(0x9E3779B97F4A7C15);
  sr_generator *g = seeded(0);
  for (uint64_t seed = 0; seed < 5; seed++) {
    sr_generator_seed(g, seed << 40 | seed);
    for (uint64_t k = 1; k < 20; k++) {
      uint64_t key = sr__random_next_mask(g);
      assert_true(key == splitmix(splitmix(seed << 40 | seed) + k * step));
      assert_int_equal(sr__mask_word(key, k), splitmix(key + (k + 1) * step) >> 32);
      sr_generator_next32(g); /* the other stream does not matter */
    }
  }
  sr_generator_free(g);
}

/* splitmix64 from 1234567, as its author's program prints it. */
static void the_mixing_is_splitmix64(void **state) {
  (void)state;
  assert_int_equal(sr__mask_word(1234567, 0), UINT64_C(6457827717110365317) >> 32);
  assert_int_equal(sr__mask_word(1234567, 1), UINT64_C(3203168211198807973) >> 32);
  assert_int_equal(sr__mask_word(1234567, 2), UINT64_C(9817491932198370423) >> 32);
}

static void masks_leave_the_main_stream_alone(void **state) {
  (void)state;
  sr_generator *g = seeded(2), *h = seeded(2);
  for (int i = 0; i < 10; i++) sr__random_next_mask(g);
  for (int i = 0; i < N; i++) assert_int_equal(sr_generator_next32(g), sr_generator_next32(h));
  sr_generator_free(g);
  sr_generator_free(h);
}

/* Kept elements: as many as p says, and two masks agree as independent ones do. */
static void masks_are_random(void **state) {
  (void)state;
  enum { MANY = 1 << 16 };
  const double p = 0.3;
  const uint32_t threshold = (uint32_t)(p * 4294967296.0);
  uint64_t key[4];
  sr_generator *g = seeded(0), *h = seeded(1); /* neighbours, in k and in seed */
  for (int k = 0; k < 4; k++) key[k] = sr__random_next_mask(k < 2 ? g : h);
  for (int a = 0; a < 4; a++)
    for (int b = a; b < 4; b++) {
      double both = 0, expected = a == b ? 1 - p : (1 - p) * (1 - p);
      for (uint64_t i = 0; i < MANY; i++)
        both += sr__mask_word(key[a], i) >= threshold && sr__mask_word(key[b], i) >= threshold;
      assert_true(fabs(both / MANY - expected) < 5 * sqrt(0.25 / MANY));
    }
  sr_generator_free(g);
  sr_generator_free(h);
}

static int no_block_lives(void **state) {
  (void)state;
  return sr_memory_stats().live_blocks ? -1 : 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_mt19937),
      cmocka_unit_test(the_first_word_is_the_high_half),
      cmocka_unit_test(seeds_count_modulo_2_32),
      cmocka_unit_test(a_new_generator_has_pytorchs_seed),
      cmocka_unit_test(null_is_the_default_generator),
      cmocka_unit_test(no_memory_no_generator),
      cmocka_unit_test(draws_are_pytorchs),
      cmocka_unit_test(splits_and_loaders_are_pytorchs),
      cmocka_unit_test(initial_weights_are_pytorchs),
      cmocka_unit_test(doubles_are_pytorchs),
      cmocka_unit_test(the_second_normal_is_kept),
      cmocka_unit_test(normals_take_the_right_number_of_words),
      cmocka_unit_test(uniform_values_follow_the_words),
      cmocka_unit_test(pieces_and_wholes_are_equal),
      cmocka_unit_test(no_values_draw_nothing),
      cmocka_unit_test(normals_are_normal),
      cmocka_unit_test(normals_agree_with_the_system_library),
      cmocka_unit_test(integers_are_pytorchs),
      cmocka_unit_test(bernoulli_draws_are_pytorchs),
      cmocka_unit_test(integers_stay_within_their_ends),
      cmocka_unit_test(every_integer_comes),
      cmocka_unit_test(permutations_hold_each_value_once),
      cmocka_unit_test(a_permutation_takes_n_minus_1_words),
      cmocka_unit_test(a_restored_generator_goes_on),
      cmocka_unit_test(each_position_can_be_saved),
      cmocka_unit_test(the_default_generator_saves_and_restores),
      cmocka_unit_test(damaged_states_are_refused),
      cmocka_unit_test(states_of_other_sizes_are_refused),
      cmocka_unit_test(dead_states_are_refused),
      cmocka_unit_test(no_byte_can_do_harm),
      cmocka_unit_test(mask_keys_follow_their_formula),
      cmocka_unit_test(the_mixing_is_splitmix64),
      cmocka_unit_test(masks_leave_the_main_stream_alone),
      cmocka_unit_test(masks_are_random),
  };
  return cmocka_run_group_tests(tests, NULL, no_block_lives);
}
