/* test_ops_network.c: softmax, losses, normalisation, dropout and random fills: reference
 * cases, gradients, options and messages. */
#include "golden_case.h"

#define FUNCTION(name, call) \
  static sr_status name(sr_tensor *const *x, sr_tensor **y) { return call; }
#define CASE(label, call, count, ...)                                     \
  {                                                                       \
    .name = label, .function = call, .n = count, .input = { __VA_ARGS__ } \
  }

static double item(sr_tensor *t) {
  sr_scalar value;
  OK(sr_tensor_item(t, &value));
  sr_tensor_release(t);
  return value.number;
}

static void expect_item(sr_tensor *t, double expected) {
  double got = item(t);
  if (!close_enough(got, expected, 1e-12)) fail_msg("%.17g is not %.17g", got, expected);
}

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

static void golden_layer_norm(void **state) {
  (void)state;
  golden_case_tensors c = golden_case_open("layer_norm");
  sr_tensor *x = golden_input(&c, "x"), *w = golden_input(&c, "w"), *b = golden_input(&c, "b"), *y;
  OK(sr_layer_norm(x, SIZES(6), w, b, 1e-5, &y));
  golden_backward(&c, 1, &y, (const char *[]){"cot.y"});
  golden_expect(&c, "y", y);
  golden_expect_grad(&c, "grad.x", x);
  golden_expect_grad(&c, "grad.w", w);
  golden_expect_grad(&c, "grad.b", b);
  golden_case_close(&c);
}

static void golden_batch_norm(void **state) {
  (void)state;
  golden_case_tensors c = golden_case_open("batch_norm_1d");
  sr_tensor *x = golden_input(&c, "x"), *y;
  sr_tensor *w = golden_input(&c, "weight.weight"), *b = golden_input(&c, "weight.bias");
  sr_tensor *mean, *var;
  OK(sr_tensor_full(SR_float32, SIZES(6), sr_number(0), SR_CPU, &mean));
  OK(sr_tensor_full(SR_float32, SIZES(6), sr_number(1), SR_CPU, &var));
  OK(sr_batch_norm(x, mean, var, w, b, true, 0.1, 1e-5, &y));
  golden_backward(&c, 1, &y, (const char *[]){"cot.y"});
  golden_expect(&c, "y", y);
  golden_compare(&c, "running_mean", mean);
  golden_compare(&c, "running_var", var);
  golden_expect_grad(&c, "grad.x", x);
  golden_expect_grad(&c, "grad.weight", w);
  golden_expect_grad(&c, "grad.bias", b);
  OK(sr_batch_norm(x, mean, var, w, b, false, 0.1, 1e-5, &y));
  golden_expect(&c, "y_eval", y);
  sr_tensor_release(var);
  sr_tensor_release(mean);
  golden_case_close(&c);
}

static void golden_embedding(void **state) {
  (void)state;
  golden_case_tensors c = golden_case_open("embedding_padding");
  sr_tensor *weight = golden_input(&c, "weight"), *y;
  OK(sr_embedding(weight, golden_plain(&c, "ids", 1), 4, &y));
  golden_backward(&c, 1, &y, (const char *[]){"cot.y"});
  golden_expect(&c, "y", y);
  golden_expect_grad(&c, "grad.weight", weight);
  golden_case_close(&c);
}

/* Bahdanau: scores Va tanh(Wa q + Ua keys), softmax over keys, weighted sum of the keys. */
static void golden_attention(void **state) {
  (void)state;
  golden_case_tensors c = golden_case_open("attention");
  sr_tensor *q = golden_input(&c, "q"), *keys = golden_input(&c, "keys");
  sr_tensor *wa = golden_input(&c, "Wa"), *ua = golden_input(&c, "Ua"),
            *va = golden_input(&c, "Va");
  sr_tensor *a, *b, *sum, *tanh, *scores, *row, *weights, *y;
  OK(sr_linear(q, wa, NULL, &a));
  OK(sr_linear(keys, ua, NULL, &b));
  OK(sr_binary("add", a, b, &sum));
  OK(sr_unary("tanh", sum, &tanh));
  OK(sr_linear(tanh, va, NULL, &scores)); /* (3, 6, 1) */
  OK(sr_transpose(scores, 1, 2, &row));
  OK(sr_softmax(row, -1, &weights));
  OK(sr_bmm(weights, keys, &y));
  sr_tensor *all[] = {a, b, sum, tanh, scores, row, weights};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
  golden_backward(&c, 1, &y, (const char *[]){"cot.y"});
  golden_expect(&c, "y", y);
  golden_expect_grad(&c, "grad.q", q);
  golden_expect_grad(&c, "grad.keys", keys);
  golden_expect_grad(&c, "grad.Wa", wa);
  golden_expect_grad(&c, "grad.Ua", ua);
  golden_expect_grad(&c, "grad.Va", va);
  golden_case_close(&c);
}

/* (a b + c).tanh() / (1 + a.exp()) */
static void golden_broadcast(void **state) {
  (void)state;
  golden_case_tensors t = golden_case_open("broadcast_chain");
  sr_tensor *a = golden_input(&t, "a"), *b = golden_input(&t, "b"), *c = golden_input(&t, "c");
  sr_tensor *ab, *sum, *tanh, *exp, *more, *y;
  OK(sr_binary("mul", a, b, &ab));
  OK(sr_binary("add", ab, c, &sum));
  OK(sr_unary("tanh", sum, &tanh));
  OK(sr_unary("exp", a, &exp));
  OK(sr_pointwise(sr_pointwise_find("add"),
                  (sr_operand[]){{.number = sr_number(1)}, {.tensor = exp}}, NULL, &more));
  OK(sr_binary("div", tanh, more, &y));
  sr_tensor *all[] = {ab, sum, tanh, exp, more};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
  golden_backward(&t, 1, &y, (const char *[]){"cot.y"});
  golden_expect(&t, "y", y);
  golden_expect_grad(&t, "grad.a", a);
  golden_expect_grad(&t, "grad.b", b);
  golden_expect_grad(&t, "grad.c", c);
  golden_case_close(&t);
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

FUNCTION(layer_norm_of, sr_layer_norm(x[0], SIZES(4), x[1], x[2], 1e-5, y))
FUNCTION(layer_norm_two, sr_layer_norm(x[0], SIZES(3, 4), x[1], NULL, 1e-3, y))
FUNCTION(layer_norm_bare, sr_layer_norm(x[0], SIZES(4), NULL, NULL, 1e-5, y))
FUNCTION(batch_norm_of, sr_batch_norm(x[0], NULL, NULL, x[1], x[2], true, 0.1, 1e-5, y))
FUNCTION(batch_norm_bare, sr_batch_norm(x[0], NULL, NULL, NULL, NULL, true, 0.1, 1e-5, y))

static sr_status batch_norm_fixed(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *mean = NULL, *var = NULL;
  sr_status status = sr_tensor_full(SR_float64, SIZES(3), sr_number(0.3), SR_CPU, &mean);
  if (!status) status = sr_tensor_full(SR_float64, SIZES(3), sr_number(2), SR_CPU, &var);
  if (!status) status = sr_batch_norm(x[0], mean, var, x[1], x[2], false, 0.1, 1e-5, y);
  sr_tensor_release(mean);
  sr_tensor_release(var);
  return status;
}

static void norm_gradients(void **state) {
  (void)state;
  static const gradcheck_case cases[] = {
      CASE("layer_norm", layer_norm_of, 3, {3, {2, 3, 4}}, {1, {4}}, {1, {4}}),
      CASE("layer_norm two", layer_norm_two, 2, {3, {2, 3, 4}}, {2, {3, 4}}),
      CASE("layer_norm bare", layer_norm_bare, 1, {2, {3, 4}}),
      {.name = "batch_norm",
       .function = batch_norm_of,
       .n = 3,
       .input = {{2, {4, 3}}, {1, {3}}, {1, {3}}},
       .layouts = NO_TIES},
      CASE("batch_norm 3d", batch_norm_of, 3, {3, {2, 3, 2}}, {1, {3}}, {1, {3}}),
      CASE("batch_norm bare", batch_norm_bare, 1, {3, {2, 3, 4}}),
      CASE("batch_norm fixed", batch_norm_fixed, 3, {3, {2, 3, 4}}, {1, {3}}, {1, {3}}),
      CASE("batch_norm fixed 2d", batch_norm_fixed, 3, {2, {2, 3}}, {1, {3}}, {1, {3}}),
  };
  GRADCHECK_ALL(cases);
}

/* ---- nll_loss and cross_entropy -----------------------------------------------------------------
 */

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
  FAILS(sr_cross_entropy(x, x, NULL, SR_MEAN, 3, 0, &y), SR_ARGUMENT, "ignore_index needs");
  FAILS(sr_cross_entropy(x, good, NULL, SR_MEAN, 3, 1.5, &y), SR_ARGUMENT, "label_smoothing");
  FAILS(sr_cross_entropy(x, good, NULL, SR_MEAN, 3, NAN, &y), SR_ARGUMENT, "label_smoothing");
  FAILS(sr_softmax(x, 2, &y), SR_INDEX, "softmax: dimension 3 of a 2-dimensional tensor");
  FAILS(sr_log_softmax(ids, 0, &y), SR_DTYPE,
        "log_softmax: a floating tensor is needed, got int64");
  sr_tensor *all[] = {x, v, above, zero, below, least, one, scalar, wide, ids, good, wide_x};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* ---- element losses ----------------------------------------------------------------------------
 */

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

/* ---- normalisation ------------------------------------------------------------------------ */

static void norm_errors(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float32, SIZES(2, 3)), *one = counting(SR_float32, SIZES(1, 3)), *y;
  sr_tensor *w = counting(SR_float32, SIZES(2)), *good = counting(SR_float32, SIZES(3));
  sr_tensor *wide = counting(SR_float64, SIZES(3)), *deep = counting(SR_float32, SIZES(1, 2, 3, 4));
  FAILS(sr_layer_norm(x, SIZES(2), NULL, NULL, 1e-5, &y), SR_SHAPE,
        "layer_norm: x [2, 3] does not end in the normalized shape [2]");
  FAILS(sr_layer_norm(x, SIZES(1, 2, 3), NULL, NULL, 1e-5, &y), SR_SHAPE, "[1, 2, 3]");
  FAILS(sr_layer_norm(x, 0, NULL, NULL, NULL, 1e-5, &y), SR_SHAPE, "layer_norm");
  FAILS(sr_layer_norm(x, 99, NULL, NULL, NULL, 1e-5, &y), SR_SHAPE, "layer_norm");
  FAILS(sr_layer_norm(x, SIZES(3), w, NULL, 1e-5, &y), SR_SHAPE,
        "expected weight [3] for x [2, 3]");
  FAILS(sr_layer_norm(x, SIZES(3), NULL, wide, 1e-5, &y), SR_DTYPE,
        "bias is float64, x is float32");
  FAILS(sr_batch_norm(one, NULL, NULL, NULL, NULL, true, 0.1, 1e-5, &y), SR_SHAPE,
        "batch_norm: more than 1 value per channel is needed when training, got shape [1, 3]");
  FAILS(sr_batch_norm(deep, NULL, NULL, NULL, NULL, true, 0.1, 1e-5, &y), SR_SHAPE, "(N, C, L)");
  FAILS(sr_batch_norm(x, NULL, NULL, NULL, NULL, false, 0.1, 1e-5, &y), SR_ARGUMENT, "when not");
  FAILS(sr_batch_norm(x, good, NULL, NULL, NULL, true, 0.1, 1e-5, &y), SR_ARGUMENT, "together");
  FAILS(sr_batch_norm(x, w, w, NULL, NULL, true, 0.1, 1e-5, &y), SR_SHAPE, "running_mean [3]");
  sr_tensor *all[] = {x, one, w, good, wide, deep};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* When memory fails, the running values stay what they were. */
static void running_values_change_last(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float64, SIZES(4, 2));
  for (int64_t n = 1;; n++) {
    sr_tensor *mean, *var, *y;
    OK(sr_tensor_full(SR_float64, SIZES(2), sr_number(0), SR_CPU, &mean));
    OK(sr_tensor_full(SR_float64, SIZES(2), sr_number(1), SR_CPU, &var));
    sr_memory_fail_at(n, false);
    sr_status status = sr_batch_norm(x, mean, var, NULL, NULL, true, 0.1, 1e-5, &y);
    sr_memory_fail_at(0, false);
    double m = *(double *)sr_tensor_data(mean), v = *(double *)sr_tensor_data(var);
    if (status)
      assert_true(m == 0 && v == 1);
    else
      assert_true(m > 0 && v > 1);
    if (!status) sr_tensor_release(y);
    sr_tensor_release(var);
    sr_tensor_release(mean);
    if (!status) break;
  }
  sr_tensor_release(x);
}

/* ---- dropout ------------------------------------------------------------------------------ */

static void dropout(void **state) {
  (void)state;
  enum { N = 20000 };
  sr_generator *g;
  sr_tensor *x, *y, *sum;
  OK(sr_generator_new(&g));
  OK(sr_tensor_full(SR_float32, SIZES(N), sr_number(3), SR_CPU, &x));
  OK(sr_set_requires_grad(x, true));
  OK(sr_dropout(x, 0.25, g, &y));
  OK(sr_sum(y, NULL, &sum));
  OK(sr_backward(sum, NULL, false));
  const float *values = sr_tensor_data(y), *grad = sr_tensor_data(sr_grad(x));
  int kept = 0;
  for (int i = 0; i < N; i++) {
    assert_true(values[i] == 0 || values[i] == 4);
    assert_true(grad[i] == values[i] / 3);
    kept += values[i] != 0;
  }
  assert_in_range(kept, N * 74 / 100, N * 76 / 100);
  sr_tensor_release(sum);
  sr_tensor_release(y);
  OK(sr_dropout(x, 0, g, &y));
  assert_ptr_equal(x, y);
  sr_tensor_release(y);
  OK(sr_dropout(x, 1, g, &y));
  OK(sr_sum(y, NULL, &sum));
  OK(sr_set_grad(x, NULL));
  OK(sr_backward(sum, NULL, false));
  assert_true(((float *)sr_tensor_data(sr_grad(x)))[5] == 0);
  expect_item(sum, 0);
  sr_tensor_release(y);
  FAILS(sr_dropout(x, 1.5, g, &y), SR_ARGUMENT, "dropout: the probability must be from 0 to 1");
  FAILS(sr_dropout(x, NAN, g, &y), SR_ARGUMENT, "got nan");
  sr_tensor_release(x);
  sr_generator_free(g);
}

/* The same mask for any layout of x, and another one each time. */
static void dropout_masks(void **state) {
  (void)state;
  sr_generator *g;
  sr_tensor *x = counting(SR_float64, SIZES(20, 30)), *t, *copy, *a, *b, *c;
  OK(sr_generator_new(&g));
  OK(sr_transpose(x, 0, 1, &t));
  OK(sr_contiguous(t, &copy));
  sr_generator_seed(g, 5);
  OK(sr_dropout(t, 0.5, g, &a));
  OK(sr_dropout(t, 0.5, g, &c));
  sr_generator_seed(g, 5);
  OK(sr_dropout(copy, 0.5, g, &b));
  assert_memory_equal(sr_tensor_data(a), sr_tensor_data(b), 600 * sizeof(double));
  assert_true(memcmp(sr_tensor_data(a), sr_tensor_data(c), 600 * sizeof(double)) != 0);
  sr_tensor *all[] = {x, t, copy, a, b, c};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
  sr_generator_free(g);
}

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
  FAILS(sr_multinomial(w, 0, false, NULL, &y), SR_ARGUMENT, "0 samples");
  ((double *)sr_tensor_data(w))[1] = -1;
  FAILS(sr_multinomial(w, 1, false, NULL, &y), SR_ARGUMENT, "got -1 at position 2 of row 1");
  ((double *)sr_tensor_data(w))[1] = INFINITY;
  FAILS(sr_multinomial(w, 1, true, NULL, &y), SR_ARGUMENT, "got inf at position 2");
  sr_tensor_release(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(golden_functions),
      TEST(golden_nll),
      TEST(golden_layer_norm),
      TEST(golden_batch_norm),
      TEST(golden_embedding),
      TEST(golden_attention),
      TEST(golden_broadcast),
      TEST(softmax_gradients),
      TEST(class_loss_gradients),
      TEST(element_loss_gradients),
      TEST(norm_gradients),
      TEST(nll_values),
      TEST(nll_empty),
      TEST(class_loss_errors),
      TEST(element_losses),
      TEST(positive_weights),
      TEST(norm_errors),
      TEST(running_values_change_last),
      TEST(dropout),
      TEST(dropout_masks),
      TEST(strided_fills),
      TEST(random_errors),
      TEST(fills_cut_gradients),
      TEST(multinomial),
      TEST(multinomial_without_replacement),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
