/* test_ops_random.c: fills from a generator and multinomial: layouts, gradients, messages. */
#include "gradcheck.h"

/* ---- random fills ------------------------------------------------------------------------- */

/* Elements in logical order are drawn in that order, whatever the strides. */
static void strided_fills(void **state) {
  (void)state;
  sr_tensor *dense = empty(SR_float32, SIZES(5, 7)), *base = empty(SR_float32, SIZES(7, 5)), *t;
  OK(sr_transpose(base, 0, 1, &t));
  for (int k = 0; k < 4; k++) {
    for (int i = 0; i < 2; i++) {
      sr_tensor *x = i ? t : dense;
      sr_generator_seed(sr_generator_default(), 11);
      if (k == 0) OK(sr_uniform_(x, -1, 2, NULL));
      if (k == 1) OK(sr_normal_(x, 1, 3, NULL));
      if (k == 2) OK(sr_random_(x, -5, 5, NULL));
      if (k == 3) OK(sr_bernoulli_(x, 0.4, NULL));
    }
    float values[35];
    OK(sr_tensor_read(t, values));
    assert_memory_equal(sr_tensor_data(dense), values, sizeof values);
  }
  sr_tensor_release(t);
  sr_tensor_release(base);
  sr_tensor_release(dense);
}

static void random_errors(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float32, SIZES(3)), *ids = counting(SR_int64, SIZES(3)), *wide, *y;
  OK(sr_expand(x, SIZES(2, 3), &wide));
  FAILS(sr_uniform_(x, 2, 1, NULL), SR_ARGUMENT, "uniform_: expected low <= high, got 2 and 1");
  FAILS(sr_uniform_(x, 0, INFINITY, NULL), SR_ARGUMENT, "uniform_");
  FAILS(sr_uniform_(ids, 0, 1, NULL), SR_DTYPE, "uniform_: a floating dtype is needed");
  FAILS(sr_normal_(x, 0, -1, NULL), SR_ARGUMENT, "must not be negative");
  FAILS(sr_random_(ids, 3, 3, NULL), SR_ARGUMENT, "random_: expected low < high, got 3 and 3");
  FAILS(sr_bernoulli_(x, 2, NULL), SR_ARGUMENT, "from 0 to 1");
  FAILS(sr_normal_(wide, 0, 1, NULL), SR_STATE, "normal_");
  FAILS(sr_randperm(-1, SR_CPU, NULL, &y), SR_ARGUMENT, "randperm");
  OK(sr_set_requires_grad(x, true));
  FAILS(sr_normal_(x, 0, 1, NULL), SR_STATE, "normal_: a leaf that requires gradients");
  bool recording = sr_set_grad_enabled(false);
  OK(sr_normal_(x, 0, 1, NULL));
  sr_set_grad_enabled(recording);
  sr_tensor_release(wide);
  sr_tensor_release(ids);
  sr_tensor_release(x);
}

/* What was filled over gets no gradient. */
static void fills_cut_gradients(void **state) {
  (void)state;
  sr_tensor *x = leaf(counting(SR_float32, SIZES(3))), *y, *sum, *more;
  OK(sr_unary("exp", x, &y));
  int64_t version = sr_tensor_version(y);
  OK(sr_uniform_(y, 0, 1, NULL));
  assert_true(sr_tensor_version(y) > version);
  OK(sr_binary("add", y, x, &more));
  OK(sr_sum(more, NULL, &sum));
  OK(sr_backward(sum, NULL, false));
  EXPECT(sr_tensor_retain(sr_grad(x)), SR_float32, SIZES(3), VALUES(1, 1, 1));
  sr_tensor *all[] = {sum, more, y, x};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

static void permutations(void **state) {
  (void)state;
  sr_tensor *y;
  int seen[101] = {0};
  OK(sr_randperm(100, SR_CPU, NULL, &y));
  for (int i = 0; i < 100; i++) seen[((int64_t *)sr_tensor_data(y))[i]]++;
  for (int i = 1; i <= 100; i++) assert_int_equal(seen[i], 1);
  sr_tensor_release(y);
  OK(sr_randperm(0, SR_CPU, NULL, &y));
  EXPECT(y, SR_int64, SIZES(0), NOTHING);
}

/* ---- multinomial -------------------------------------------------------------------------- */

static void multinomial(void **state) {
  (void)state;
  enum { SAMPLES = 40000 };
  sr_tensor *w = tensor(SR_float32, SIZES(2, 4), VALUES(1, 0, 2, 1, 0, 5, 0, 0)), *y;
  OK(sr_multinomial(w, SAMPLES, true, NULL, &y));
  const int64_t *drawn = sr_tensor_data(y);
  int count[2][5] = {{0}};
  for (int i = 0; i < 2 * SAMPLES; i++) {
    assert_in_range(drawn[i], 1, 4);
    count[i / SAMPLES][drawn[i]]++;
  }
  assert_int_equal(count[0][2], 0);
  assert_in_range(count[0][3], SAMPLES * 49 / 100, SAMPLES * 51 / 100);
  assert_int_equal(count[1][2], SAMPLES);
  sr_tensor_release(y);
  sr_tensor_release(w);
}

static void multinomial_without_replacement(void **state) {
  (void)state;
  sr_tensor *w = tensor(SR_float64, SIZES(5), VALUES(1, 0, 8, 1, 3)), *y;
  int first[6] = {0};
  for (int i = 0; i < 4000; i++) {
    OK(sr_multinomial(w, 4, false, NULL, &y));
    const int64_t *drawn = sr_tensor_data(y);
    int seen = 0;
    for (int k = 0; k < 4; k++) seen |= 1 << drawn[k];
    assert_int_equal(seen, 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5);
    first[drawn[0]]++;
    sr_tensor_release(y);
  }
  assert_in_range(first[3], 2300, 2620); /* 8 / 13 */
  OK(sr_multinomial(w, 1, true, NULL, &y));
  assert_int_equal(sr_tensor_numel(y), 1);
  sr_tensor_release(y);
  FAILS(sr_multinomial(w, 5, false, NULL, &y), SR_ARGUMENT,
        "multinomial: 5 positive weights are needed, row 1 has 4");
  FAILS(sr_multinomial(w, 6, false, NULL, &y), SR_ARGUMENT, "6 samples without replacement of 5");
  sr_tensor *deep = counting(SR_float64, SIZES(1, 1, 2));
  FAILS(sr_multinomial(deep, 1, false, NULL, &y), SR_SHAPE, "expected weights (n) or (rows, n)");
  sr_tensor_release(deep);
  FAILS(sr_multinomial(w, 0, false, NULL, &y), SR_ARGUMENT, "0 samples");
  ((double *)sr_tensor_data(w))[1] = -1;
  FAILS(sr_multinomial(w, 1, false, NULL, &y), SR_ARGUMENT, "got -1 at position 2 of row 1");
  ((double *)sr_tensor_data(w))[1] = INFINITY;
  FAILS(sr_multinomial(w, 1, true, NULL, &y), SR_ARGUMENT, "got inf at position 2");
  sr_tensor_release(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(strided_fills), TEST(random_errors), TEST(fills_cut_gradients),
      TEST(permutations),  TEST(multinomial),   TEST(multinomial_without_replacement),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
