/* test_ops_loss.c: softmax and losses: reference cases, gradients, options and messages. */
#include "golden_case.h"

/* ---- reference cases ---------------------------------------------------------------------- */

typedef sr_status (*with_targets)(sr_tensor *x, sr_tensor *target, sr_tensor **y);

#define TARGETS(name, call) \
  static sr_status name(sr_tensor *x, sr_tensor *target, sr_tensor **y) { return call; }
TARGETS(mse, sr_mse_loss(x, target, SR_MEAN, y))
TARGETS(l1, sr_l1_loss(x, target, SR_MEAN, y))
TARGETS(smooth_l1, sr_smooth_l1_loss(x, target, SR_MEAN, 1, y))
TARGETS(bce_logits, sr_binary_cross_entropy_with_logits(x, target, NULL, NULL, SR_MEAN, y))
TARGETS(cross_entropy, sr_cross_entropy(x, target, NULL, SR_MEAN, SR_NO_IGNORE, 0, y))
TARGETS(cross_entropy_smooth, sr_cross_entropy(x, target, NULL, SR_MEAN, 2, 0.1, y))
TARGETS(log_softmax_last, target ? SR_STATE : sr_log_softmax(x, -1, y))
TARGETS(softmax_middle, target ? SR_STATE : sr_softmax(x, 1, y))

static void golden_functions(void **state) {
  (void)state;
  static const struct {
    const char *name;
    with_targets function;
  } cases[] = {{"mse_loss", mse},
               {"l1_loss", l1},
               {"smooth_l1_loss", smooth_l1},
               {"binary_cross_entropy_with_logits", bce_logits},
               {"cross_entropy", cross_entropy},
               {"cross_entropy_ignore_smooth", cross_entropy_smooth},
               {"log_softmax", log_softmax_last},
               {"softmax_dim1_3d", softmax_middle}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    golden_case_tensors c = golden_case_open(cases[i].name);
    sr_tensor *x = golden_input(&c, "x"), *y;
    sr_tensor *target = golden_has(c.file, "target") ? golden_plain(&c, "target", 1) : NULL;
    OK(cases[i].function(x, target, &y));
    golden_backward(&c, 1, &y, (const char *[]){"cot.y"});
    golden_expect(&c, "y", y);
    golden_expect_grad(&c, "grad.x", x);
    golden_case_close(&c);
  }
}

static void golden_nll(void **state) {
  (void)state;
  golden_case_tensors c = golden_case_open("nll_weight_sum");
  sr_tensor *x = golden_input(&c, "x"), *target = golden_plain(&c, "target", 1), *y;
  OK(sr_nll_loss(x, target, golden_plain(&c, "weight", 0), SR_SUM, SR_NO_IGNORE, &y));
  golden_backward(&c, 1, &y, (const char *[]){"cot.y"});
  golden_expect(&c, "y", y);
  golden_expect_grad(&c, "grad.x", x);
  golden_case_close(&c);
}

/* ---- gradients ---------------------------------------------------------------------------- */

FUNCTION(softmax_first, sr_softmax(x[0], 0, y))
FUNCTION(softmax_last, sr_softmax(x[0], -1, y))
FUNCTION(log_softmax_first, sr_log_softmax(x[0], 0, y))
FUNCTION(log_softmax_of, sr_log_softmax(x[0], 1, y))

static void softmax_gradients(void **state) {
  (void)state;
  static const gradcheck_case cases[] = {
      CASE("softmax first", softmax_first, 1, {3, {3, 2, 2}}),
      CASE("softmax last", softmax_last, 1, {3, {2, 2, 3}}),
      CASE("softmax vector", softmax_first, 1, {1, {4}}),
      CASE("softmax number", softmax_first, 1, {0}),
      CASE("softmax empty", softmax_last, 1, {2, {0, 3}}),
      CASE("log_softmax first", log_softmax_first, 1, {2, {3, 4}}),
      CASE("log_softmax middle", log_softmax_of, 1, {3, {2, 3, 2}}),
  };
  GRADCHECK_ALL(cases);
}

/* Targets that some losses below are given: (N), (N, L) or () from 1 to 4. */
static sr_status with_target(int ndim, const int64_t *size, sr_tensor **out) {
  static const int64_t positions[] = {2, 4, 1, 2, 3, 4};
  return sr_tensor_from(SR_int64, ndim, size, positions, SR_CPU, out);
}

static sr_status with_weight(sr_tensor **out) {
  return sr_tensor_from(SR_float64, SIZES(4), VALUES(0.5, 2, 1.5, 0.25), SR_CPU, out);
}

typedef struct {
  bool cross_entropy, weight;
  sr_reduction reduction;
  int64_t ignore_index;
  double smoothing;
} class_loss;

static sr_status apply_class_loss(const class_loss *l, sr_tensor *x, sr_tensor **y) {
  sr_tensor *target = NULL, *weight = NULL;
  const int64_t *size = sr_tensor_sizes(x);
  int64_t sizes[] = {size[0], sr_tensor_ndim(x) > 2 ? size[2] : 0};
  sr_status status = with_target(sr_tensor_ndim(x) - 1, sizes, &target);
  if (!status && l->weight) status = with_weight(&weight);
  if (!status && l->cross_entropy)
    status = sr_cross_entropy(x, target, weight, l->reduction, l->ignore_index, l->smoothing, y);
  else if (!status)
    status = sr_nll_loss(x, target, weight, l->reduction, l->ignore_index, y);
  sr_tensor_release(weight);
  sr_tensor_release(target);
  return status;
}

#define CLASS_LOSS(name, ...) FUNCTION(name, apply_class_loss(&(class_loss){__VA_ARGS__}, x[0], y))
CLASS_LOSS(nll_mean, false, false, SR_MEAN, SR_NO_IGNORE, 0)
CLASS_LOSS(nll_sum, false, true, SR_SUM, SR_NO_IGNORE, 0)
CLASS_LOSS(nll_none, false, true, SR_NONE, 2, 0)
CLASS_LOSS(nll_all, false, true, SR_MEAN, 2, 0)
CLASS_LOSS(ce_mean, true, false, SR_MEAN, SR_NO_IGNORE, 0)
CLASS_LOSS(ce_all, true, true, SR_MEAN, 2, 0.2)
CLASS_LOSS(ce_none, true, true, SR_NONE, 2, 0.2)
CLASS_LOSS(ce_sum, true, false, SR_SUM, 2, 0.2)

static sr_status ce_probabilities(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *weight;
  sr_status status = with_weight(&weight);
  if (status) return status;
  status = sr_cross_entropy(x[0], x[1], weight, SR_MEAN, SR_NO_IGNORE, 0.1, y);
  sr_tensor_release(weight);
  return status;
}
FUNCTION(ce_probabilities_sum, sr_cross_entropy(x[0], x[1], NULL, SR_SUM, SR_NO_IGNORE, 0, y))
FUNCTION(ce_probabilities_none, sr_cross_entropy(x[0], x[1], NULL, SR_NONE, SR_NO_IGNORE, 0.3, y))

static void class_loss_gradients(void **state) {
  (void)state;
  static const gradcheck_case cases[] = {
      CASE("nll mean", nll_mean, 1, {2, {3, 4}}),
      CASE("nll one", nll_mean, 1, {2, {1, 4}}),
      CASE("nll vector", nll_mean, 1, {1, {4}}),
      CASE("nll vector none", nll_none, 1, {1, {4}}),
      CASE("nll sum", nll_sum, 1, {2, {3, 4}}),
      CASE("nll sum one", nll_sum, 1, {2, {1, 4}}),
      CASE("nll none", nll_none, 1, {2, {3, 4}}),
      CASE("nll all", nll_all, 1, {2, {3, 4}}),
      CASE("nll 3d", nll_all, 1, {3, {2, 4, 3}}),
      CASE("nll 3d none", nll_none, 1, {3, {2, 4, 3}}),
      CASE("cross_entropy mean", ce_mean, 1, {2, {3, 4}}),
      CASE("cross_entropy vector", ce_mean, 1, {1, {4}}),
      CASE("cross_entropy all", ce_all, 1, {2, {3, 4}}),
      CASE("cross_entropy 3d", ce_all, 1, {3, {2, 4, 3}}),
      CASE("cross_entropy none", ce_none, 1, {2, {3, 4}}),
      CASE("cross_entropy none 3d", ce_none, 1, {3, {2, 4, 3}}),
      CASE("cross_entropy sum", ce_sum, 1, {2, {3, 4}}),
      CASE("cross_entropy probabilities", ce_probabilities, 2, {2, {3, 4}}, {2, {3, 4}}),
      CASE("cross_entropy probabilities 3d", ce_probabilities, 2, {3, {2, 4, 2}}, {3, {2, 4, 2}}),
      CASE("cross_entropy probabilities sum", ce_probabilities_sum, 2, {1, {4}}, {1, {4}}),
      CASE("cross_entropy probabilities none", ce_probabilities_none, 2, {2, {3, 4}}, {2, {3, 4}}),
  };
  GRADCHECK_ALL(cases);
}

FUNCTION(mse_mean, sr_mse_loss(x[0], x[1], SR_MEAN, y))
FUNCTION(mse_none, sr_mse_loss(x[0], x[1], SR_NONE, y))
FUNCTION(l1_sum, sr_l1_loss(x[0], x[1], SR_SUM, y))
FUNCTION(smooth_mean, sr_smooth_l1_loss(x[0], x[1], SR_MEAN, 0.7, y))
FUNCTION(bce_mean, sr_binary_cross_entropy(x[0], x[1], NULL, SR_MEAN, y))
FUNCTION(bce_weight, sr_binary_cross_entropy(x[0], x[1], x[2], SR_SUM, y))
FUNCTION(bcel_mean, sr_binary_cross_entropy_with_logits(x[0], x[1], NULL, NULL, SR_MEAN, y))
FUNCTION(bcel_weights, sr_binary_cross_entropy_with_logits(x[0], x[1], x[2], x[3], SR_NONE, y))

static void element_loss_gradients(void **state) {
  (void)state;
  static const gradcheck_case cases[] = {
      CASE("mse", mse_mean, 2, {2, {3, 2}}, {2, {3, 2}}),
      CASE("mse number", mse_mean, 2, {0}, {0}),
      CASE("mse none", mse_none, 2, {2, {3, 2}}, {2, {3, 2}}),
      CASE("l1", l1_sum, 2, {2, {3, 2}}, {2, {3, 2}}),
      CASE("smooth_l1", smooth_mean, 2, {2, {3, 2}}, {2, {3, 2}}),
      CASE("bce_with_logits", bcel_mean, 2, {2, {3, 2}}, {2, {3, 2}}),
      CASE("bce_with_logits weights", bcel_weights, 4, {2, {3, 2}}, {2, {3, 2}}, {1, {2}},
           {2, {3, 1}}),
      {.name = "bce",
       .function = bce_mean,
       .n = 2,
       .input = {{2, {3, 2}}, {2, {3, 2}}},
       .low = 0.1,
       .high = 0.9},
      {.name = "bce weight",
       .function = bce_weight,
       .n = 3,
       .input = {{2, {3, 2}}, {2, {3, 2}}, {1, {2}}},
       .low = 0.1,
       .high = 0.9},
  };
  GRADCHECK_ALL(cases);
}

/* ---- nll_loss and cross_entropy ------------------------------------------------------ */

static void nll_values(void **state) {
  (void)state;
  sr_tensor *logp = tensor(SR_float64, SIZES(3, 2), VALUES(-1, -2, -3, -4, -5, -6)), *y;
  sr_tensor *target = tensor(SR_int64, SIZES(3), VALUES(1, 2, 1));
  sr_tensor *weight = tensor(SR_float64, SIZES(2), VALUES(3, 0.5));
  OK(sr_nll_loss(logp, target, NULL, SR_MEAN, SR_NO_IGNORE, &y));
  expect_item(y, 10. / 3);
  OK(sr_nll_loss(logp, target, weight, SR_MEAN, SR_NO_IGNORE, &y));
  expect_item(y, (3 + 2 + 15) / 6.5);
  OK(sr_nll_loss(logp, target, weight, SR_NONE, SR_NO_IGNORE, &y));
  EXPECT(y, SR_float64, SIZES(3), VALUES(3, 2, 15));
  OK(sr_nll_loss(logp, target, weight, SR_SUM, SR_NO_IGNORE, &y));
  expect_item(y, 20);
  OK(sr_nll_loss(logp, target, NULL, SR_MEAN, 1, &y));
  expect_item(y, 4);
  OK(sr_nll_loss(logp, target, weight, SR_NONE, 1, &y));
  EXPECT(y, SR_float64, SIZES(3), VALUES(0, 2, 0));
  sr_tensor *ignored = tensor(SR_int64, SIZES(3), VALUES(0, 0, 0));
  OK(sr_nll_loss(logp, ignored, NULL, SR_MEAN, 0, &y));
  assert_true(isnan(item(y)));
  OK(sr_nll_loss(logp, ignored, NULL, SR_SUM, 0, &y));
  expect_item(y, 0);
  sr_tensor *far = tensor(SR_int64, SIZES(3), VALUES(-100, 2, -100));
  OK(sr_nll_loss(logp, far, NULL, SR_MEAN, -100, &y));
  expect_item(y, 4);
  sr_tensor *all[] = {logp, target, weight, ignored, far};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

static void nll_empty(void **state) {
  (void)state;
  sr_tensor *logp = leaf(empty(SR_float32, SIZES(0, 4))), *target = empty(SR_int64, SIZES(0)), *y;
  OK(sr_nll_loss(logp, target, NULL, SR_SUM, SR_NO_IGNORE, &y));
  OK(sr_backward(y, NULL, false));
  expect_item(y, 0);
  OK(sr_nll_loss(logp, target, NULL, SR_MEAN, SR_NO_IGNORE, &y));
  assert_true(isnan(item(y)));
  OK(sr_nll_loss(logp, target, NULL, SR_NONE, SR_NO_IGNORE, &y));
  EXPECT(y, SR_float32, SIZES(0), NOTHING);
  sr_tensor_release(target);
  sr_tensor_release(logp);
}

static sr_tensor *targets(int n, const double *values) {
  return tensor(SR_int64, 1, (int64_t[]){n}, values);
}

static void class_loss_errors(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float32, SIZES(2, 18)), *y, *v = counting(SR_float32, SIZES(3));
  sr_tensor *above = targets(2, VALUES(18, 19)), *zero = targets(2, VALUES(0, 1));
  sr_tensor *below = targets(2, VALUES(1, -1)), *least = targets(2, VALUES(1, (double)INT64_MIN));
  sr_tensor *one = targets(1, VALUES(1)), *scalar = counting(SR_float32, SCALAR);
  sr_tensor *wide = counting(SR_float64, SIZES(18)), *ids = counting(SR_int64, SIZES(2, 18));
  sr_tensor *good = targets(2, VALUES(1, 2)), *wide_x = counting(SR_float64, SIZES(2, 18));
  FAILS(sr_nll_loss(x, above, NULL, SR_MEAN, SR_NO_IGNORE, &y), SR_INDEX,
        "nll_loss: target 19 is not in 1..18");
  FAILS(sr_nll_loss(x, zero, NULL, SR_MEAN, SR_NO_IGNORE, &y), SR_INDEX,
        "nll_loss: target 0: classes count from 1 (0 needs ignore_index = 0; data.from0 shifts "
        "0-based labels)");
  FAILS(sr_nll_loss(x, below, NULL, SR_MEAN, SR_NO_IGNORE, &y), SR_INDEX,
        "nll_loss: target -1 is not in 1..18");
  FAILS(sr_nll_loss(x, least, NULL, SR_MEAN, 0, &y), SR_INDEX, "is not in 1..18");
  FAILS(sr_nll_loss(x, least, NULL, SR_MEAN, SR_NO_IGNORE, &y), SR_INDEX, "is not in 1..18");
  FAILS(sr_cross_entropy(x, above, NULL, SR_MEAN, SR_NO_IGNORE, 0.1, &y), SR_INDEX,
        "cross_entropy: target 19 is not in 1..18");
  FAILS(sr_nll_loss(x, one, NULL, SR_MEAN, SR_NO_IGNORE, &y), SR_SHAPE,
        "nll_loss: expected target [2] for scores [2, 18], got shape [1]");
  FAILS(sr_nll_loss(v, one, NULL, SR_MEAN, SR_NO_IGNORE, &y), SR_SHAPE,
        "nll_loss: expected target [] for scores [3], got shape [1]");
  FAILS(sr_nll_loss(x, v, NULL, SR_MEAN, SR_NO_IGNORE, &y), SR_DTYPE,
        "nll_loss: target must be int64, got float32");
  FAILS(sr_nll_loss(ids, good, NULL, SR_MEAN, SR_NO_IGNORE, &y), SR_DTYPE, "floating");
  FAILS(sr_nll_loss(scalar, good, NULL, SR_MEAN, SR_NO_IGNORE, &y), SR_SHAPE, "got shape []");
  FAILS(sr_nll_loss(x, good, v, SR_MEAN, SR_NO_IGNORE, &y), SR_SHAPE,
        "nll_loss: expected weight (18) for scores [2, 18], got shape [3]");
  FAILS(sr_nll_loss(x, good, wide, SR_MEAN, SR_NO_IGNORE, &y), SR_DTYPE,
        "weight is float64, the scores are float32");
  FAILS(sr_cross_entropy(x, v, NULL, SR_MEAN, SR_NO_IGNORE, 0, &y), SR_SHAPE,
        "a floating target is probabilities");
  FAILS(sr_cross_entropy(x, wide_x, NULL, SR_MEAN, SR_NO_IGNORE, 0, &y), SR_DTYPE,
        "target is float64, the logits are float32");
  FAILS(sr_cross_entropy(x, good, NULL, SR_MEAN, 3, 1.5, &y), SR_ARGUMENT, "label_smoothing");
  FAILS(sr_cross_entropy(x, good, NULL, SR_MEAN, 3, NAN, &y), SR_ARGUMENT, "label_smoothing");
  FAILS(sr_softmax(x, 2, &y), SR_INDEX, "softmax: dimension 3 of a 2-dimensional tensor");
  FAILS(sr_log_softmax(ids, 0, &y), SR_DTYPE,
        "log_softmax: a floating tensor is needed, got int64");
  sr_tensor *all[] = {x, v, above, zero, below, least, one, scalar, wide, ids, good, wide_x};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* ---- element losses ------------------------------------------------------------------ */

static void element_losses(void **state) {
  (void)state;
  sr_tensor *x = tensor(SR_float64, SIZES(4), VALUES(0, 0.25, 0.5, 1)), *y;
  sr_tensor *t = tensor(SR_float64, SIZES(4), VALUES(0, 1, 2, 0)),
            *column = counting(SR_float64, SIZES(4, 1));
  OK(sr_l1_loss(x, t, SR_NONE, &y));
  EXPECT(y, SR_float64, SIZES(4), VALUES(0, 0.75, 1.5, 1));
  OK(sr_smooth_l1_loss(x, t, SR_SUM, 0, &y));
  expect_item(y, 3.25);
  OK(sr_smooth_l1_loss(x, t, SR_NONE, 1, &y));
  EXPECT(y, SR_float64, SIZES(4), VALUES(0, 0.28125, 1, 0.5));
  OK(sr_binary_cross_entropy(x, t, NULL, SR_NONE, &y)); /* logarithms held at -100 */
  EXPECT(y, SR_float64, SIZES(4), VALUES(0, -log(0.25), -2 * log(0.5) + log(0.5), 100));
  FAILS(sr_mse_loss(x, column, SR_MEAN, &y), SR_SHAPE,
        "mse_loss: the shapes of input and target must be equal, got [4] and [4, 1]");
  FAILS(sr_smooth_l1_loss(x, t, SR_MEAN, -1, &y), SR_ARGUMENT, "beta must not be negative");
  FAILS(sr_binary_cross_entropy(t, t, NULL, SR_MEAN, &y), SR_ARGUMENT,
        "the input must be from 0 to 1, got 2");
  FAILS(sr_binary_cross_entropy(x, t, column, SR_MEAN, &y), SR_SHAPE,
        "weight has shape [4, 1], which does not broadcast to [4]");
  FAILS(sr_binary_cross_entropy_with_logits(x, t, NULL, column, SR_MEAN, &y), SR_SHAPE,
        "pos_weight");
  ((double *)sr_tensor_data(x))[2] = NAN;
  FAILS(sr_binary_cross_entropy(x, t, NULL, SR_MEAN, &y), SR_ARGUMENT, "got nan");
  sr_tensor_release(column);
  sr_tensor_release(t);
  sr_tensor_release(x);
}

/* -(p t log s(x) + (1 - t) log(1 - s(x))) */
static void positive_weights(void **state) {
  (void)state;
  sr_tensor *x = tensor(SR_float64, SIZES(3), VALUES(-50, 0.5, 40)), *y;
  sr_tensor *t = tensor(SR_float64, SIZES(3), VALUES(1, 0.25, 0)),
            *p = tensor(SR_float64, SCALAR, VALUES(3));
  double s = 1 / (1 + exp(-0.5));
  OK(sr_binary_cross_entropy_with_logits(x, t, NULL, p, SR_NONE, &y));
  EXPECT(y, SR_float64, SIZES(3), VALUES(150, -(0.75 * log(s) + 0.75 * log(1 - s)), 40));
  sr_tensor_release(p);
  sr_tensor_release(t);
  sr_tensor_release(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(golden_functions),
      TEST(golden_nll),
      TEST(softmax_gradients),
      TEST(class_loss_gradients),
      TEST(element_loss_gradients),
      TEST(nll_values),
      TEST(nll_empty),
      TEST(class_loss_errors),
      TEST(element_losses),
      TEST(positive_weights),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
