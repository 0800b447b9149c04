/* test_ops_network.c: normalisation, dropout, and reference cases that take several
 * operations: reference cases, gradients, options and messages. */
#include "golden_case.h"

/* ---- reference cases ---------------------------------------------------------------------- */

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

FUNCTION(layer_norm_of, sr_layer_norm(x[0], SIZES(4), x[1], x[2], 1e-5, y))
FUNCTION(layer_norm_two, sr_layer_norm(x[0], SIZES(3, 4), x[1], NULL, 1e-3, y))
FUNCTION(layer_norm_bare, sr_layer_norm(x[0], SIZES(4), NULL, NULL, 1e-5, y))
FUNCTION(layer_norm_shift, sr_layer_norm(x[0], SIZES(2, 3), NULL, x[1], 1e-5, y))
FUNCTION(layer_norm_column, sr_layer_norm(x[0], SIZES(1), x[1], x[2], 1e-5, y))
FUNCTION(layer_norm_same, sr_layer_norm(x[0], SIZES(4), x[1], x[1], 1e-5, y))
FUNCTION(batch_norm_of, sr_batch_norm(x[0], NULL, NULL, x[1], x[2], true, 0.1, 1e-5, y))
FUNCTION(batch_norm_bare, sr_batch_norm(x[0], NULL, NULL, NULL, NULL, true, 0.1, 1e-5, y))

/* Both parameters twice: gradients are added to what is there. */
static sr_status layer_norm_again(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *once;
  sr_status status = sr_layer_norm(x[0], SIZES(4), x[1], x[2], 1e-5, &once);
  if (status) return status;
  status = sr_layer_norm(once, SIZES(4), x[1], x[2], 1e-5, y);
  sr_tensor_release(once);
  return status;
}

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
      CASE("layer_norm all", layer_norm_of, 3, {1, {4}}, {1, {4}}, {1, {4}}),
      CASE("layer_norm 4d", layer_norm_shift, 2, {4, {2, 2, 2, 3}}, {2, {2, 3}}),
      CASE("layer_norm column", layer_norm_column, 3, {2, {5, 1}}, {1, {1}}, {1, {1}}),
      CASE("layer_norm no rows", layer_norm_of, 3, {2, {0, 4}}, {1, {4}}, {1, {4}}),
      CASE("layer_norm same", layer_norm_same, 2, {2, {3, 4}}, {1, {4}}),
      {.name = "layer_norm again",
       .function = layer_norm_again,
       .n = 3,
       .input = {{2, {3, 4}}, {1, {4}}, {1, {4}}},
       .layouts = NO_TIES},
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

/* The layer's formula by other operations: last dimension of x. */
static void composed_layer_norm(sr_tensor *x, sr_tensor *weight, sr_tensor *bias, sr_tensor **out) {
  const sr_dims last = {.n = 1, .dim = {-1}, .keepdim = true};
  sr_tensor *mean, *centred, *square, *var, *sum, *scale, *v, *scaled;
  OK(sr_mean(x, &last, &mean));
  OK(sr_binary("sub", x, mean, &centred));
  OK(sr_unary("square", centred, &square));
  OK(sr_mean(square, &last, &var));
  OK(sr_pointwise(sr_pointwise_find("add"),
                  (sr_operand[]){{.tensor = var}, {.number = sr_number(1e-5)}}, NULL, &sum));
  OK(sr_unary("rsqrt", sum, &scale));
  OK(sr_binary("mul", centred, scale, &v));
  OK(sr_binary("mul", v, weight, &scaled));
  OK(sr_binary("add", scaled, bias, out));
  sr_tensor *all[] = {mean, centred, square, var, sum, scale, v, scaled};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* (rows, n): numbers between offset - 1 and offset + 1 that float32 has exactly. */
static sr_tensor *around(sr_dtype dtype, double offset, int64_t rows, int64_t n) {
  double *values = malloc((size_t)(rows * n) * sizeof *values);
  for (int64_t i = 0; i < rows * n; i++)
    values[i] = (double)(float)(offset + 2 * gradcheck_unit(i) - 1);
  sr_tensor *t = tensor(dtype, rows > 1 ? 2 : 1, rows > 1 ? (int64_t[]){rows, n} : &n, values);
  free(values);
  return t;
}

enum { NORM_ROWS = 21, NORM_SIZE = 37 };

typedef struct {
  sr_tensor *x, *weight, *bias, *y;
} norm_case;

/* y and the gradients of a norm of x about `offset`. */
static norm_case norm_run(sr_dtype dtype, double offset, bool composed) {
  norm_case c = {leaf(around(dtype, offset, NORM_ROWS, NORM_SIZE)),
                 leaf(around(dtype, 1, 1, NORM_SIZE)), leaf(around(dtype, 0.5, 1, NORM_SIZE)),
                 NULL};
  sr_tensor *g = around(dtype, 0.25, NORM_ROWS, NORM_SIZE);
  if (composed)
    composed_layer_norm(c.x, c.weight, c.bias, &c.y);
  else
    OK(sr_layer_norm(c.x, SIZES(NORM_SIZE), c.weight, c.bias, 1e-5, &c.y));
  OK(sr_backward(c.y, g, false));
  sr_tensor_release(g);
  return c;
}

static void norm_release(norm_case *c) {
  sr_tensor *all[] = {c->x, c->weight, c->bias, c->y};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* Relative to the largest element. */
static void expect_close(const sr_tensor *a, const sr_tensor *b, double tolerance) {
  double largest = 0, worst = 0;
  for (int64_t i = 0; i < sr_tensor_numel(b); i++) {
    double va = read_value(sr_tensor_dtype(a), sr_tensor_data((sr_tensor *)a), i);
    double vb = read_value(sr_tensor_dtype(b), sr_tensor_data((sr_tensor *)b), i);
    largest = fmax(largest, fabs(vb));
    worst = isnan(va) ? INFINITY : fmax(worst, fabs(va - vb));
  }
  if (!(worst <= tolerance * largest)) fail_msg("differs by %g of %g", worst, largest);
}

static void expect_same_norm(norm_case a, norm_case b, double tolerance) {
  expect_close(a.y, b.y, tolerance);
  expect_close(sr_grad(a.x), sr_grad(b.x), tolerance);
  expect_close(sr_grad(a.weight), sr_grad(b.weight), tolerance);
  expect_close(sr_grad(a.bias), sr_grad(b.bias), tolerance);
  norm_release(&a);
  norm_release(&b);
}

static void layer_norm_composed(void **state) {
  (void)state;
  expect_same_norm(norm_run(SR_float64, 0, false), norm_run(SR_float64, 0, true), 1e-13);
  expect_same_norm(norm_run(SR_float32, 0, false), norm_run(SR_float32, 0, true), 2e-6);
}

/* Rows whose mean is 1e4 times their deviation lose nothing in float32. */
static void layer_norm_large_mean(void **state) {
  (void)state;
  expect_same_norm(norm_run(SR_float32, 1e4, false), norm_run(SR_float64, 1e4, true), 1e-6);
}

/* Shapes without elements, parameters alone with gradients, and x changed too early. */
static void layer_norm_edges(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float32, SIZES(3, 0)), *y;
  OK(sr_layer_norm(x, SIZES(0), NULL, NULL, 1e-5, &y));
  EXPECT(y, SR_float32, SIZES(3, 0), NOTHING);
  sr_tensor_release(x);
  x = tensor(SR_float64, SIZES(2, 2), VALUES(1, 3, 5, 1));
  sr_tensor *w = leaf(tensor(SR_float64, SIZES(2), VALUES(3, 4))), *sum;
  OK(sr_layer_norm(x, SIZES(2), w, NULL, 0, &y));
  assert_string_equal(sr_grad_fn(y), "layer_norm");
  OK(sr_sum(y, NULL, &sum));
  OK(sr_backward(sum, NULL, false));
  sr_tensor_release(sum);
  assert_null(sr_grad(x));
  EXPECT(sr_tensor_retain(sr_grad(w)), SR_float64, SIZES(2), VALUES(0, 0));
  EXPECT(y, SR_float64, SIZES(2, 2), VALUES(-3, 4, 3, -4));
  OK(sr_layer_norm(x, SIZES(2), w, NULL, 0, &y));
  OK(sr_sum(y, NULL, &sum));
  sr_tensor_release(y);
  OK(sr_fill_(x, sr_number(1)));
  FAILS(sr_backward(sum, NULL, false), SR_STATE, "layer_norm was changed in place");
  sr_tensor_release(sum);
  sr_tensor_release(w);
  sr_tensor_release(x);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(golden_layer_norm), TEST(golden_batch_norm),          TEST(golden_embedding),
      TEST(golden_attention),  TEST(golden_broadcast),           TEST(norm_gradients),
      TEST(norm_errors),       TEST(running_values_change_last), TEST(dropout),
      TEST(dropout_masks),     TEST(layer_norm_composed),        TEST(layer_norm_large_mean),
      TEST(layer_norm_edges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
