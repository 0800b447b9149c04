/* test_optimizer.c: SGD steps and gradient clipping: reference cases, layouts, limits. */
#include "golden_case.h"

static double number_of(json_t *options, const char *name) {
  return json_number_value(json_object_get(options, name));
}

/* ---- reference cases ---------------------------------------------------------------------- */

static double train_step(sr_tensor *x, sr_tensor *y, sr_tensor *weight, sr_tensor *bias) {
  sr_tensor *out, *loss;
  sr_scalar value;
  OK(sr_linear(x, weight, bias, &out));
  OK(sr_mse_loss(out, y, SR_MEAN, &loss));
  OK(sr_tensor_item(loss, &value));
  OK(sr_backward(loss, NULL, false));
  sr_tensor_release(loss);
  sr_tensor_release(out);
  return value.number;
}

static void sgd_case(const char *name) {
  golden_case_tensors c = golden_case_open(name);
  json_t *options = json_object_get(golden_case(c.file), "options");
  int steps = (int)json_integer_value(json_object_get(golden_case(c.file), "steps"));
  sr_tensor *x = golden_plain(&c, "X", 0), *y = golden_plain(&c, "Y", 0);
  sr_tensor *p[2] = {golden_input(&c, "weight.weight"), golden_input(&c, "weight.bias")};
  sr_tensor *buffer[2] = {empty(SR_float32, SIZES(3, 5)), empty(SR_float32, SIZES(3))};
  const float *losses = golden_get(c.file, "losses").data;
  sr_sgd_options o = {.lr = number_of(options, "lr"),
                      .momentum = number_of(options, "momentum"),
                      .dampening = number_of(options, "dampening"),
                      .weight_decay = number_of(options, "weight_decay"),
                      .nesterov = json_is_true(json_object_get(options, "nesterov")),
                      .maximize = json_is_true(json_object_get(options, "maximize"))};
  for (int step = 0; step < steps; step++) {
    double loss = train_step(x, y, p[0], p[1]);
    assert_true(close_enough(loss, losses[step], 1e-5));
    o.first = step == 0;
    for (int i = 0; i < 2; i++) {
      OK(sr_sgd_step(p[i], sr_grad(p[i]), buffer[i], &o));
      OK(sr_set_grad(p[i], NULL));
    }
  }
  golden_compare(&c, "after.weight", p[0]);
  golden_compare(&c, "after.bias", p[1]);
  sr_tensor_release(buffer[0]);
  sr_tensor_release(buffer[1]);
  golden_case_close(&c);
}

static void golden_sgd(void **state) {
  (void)state;
  sgd_case("optim_sgd");
  sgd_case("optim_sgd_mom_wd_nesterov");
}

static void golden_clip(void **state) {
  (void)state;
  golden_case_tensors c = golden_case_open("clip_grad_norm");
  sr_tensor *grads[] = {golden_plain(&c, "g0", 0), NULL, golden_plain(&c, "g1", 0)};
  double norm;
  OK(sr_clip_grad_norm(3, grads, 3, 2, &norm));
  double expected = *(const float *)golden_get(c.file, "total_norm").data;
  assert_true(close_enough(norm, expected, 1e-6));
  golden_compare(&c, "clipped0", grads[0]);
  golden_compare(&c, "clipped1", grads[2]);
  golden_case_close(&c);
}

/* ---- SGD ---------------------------------------------------------------------------------- */

/* Every option at once, against the formula. */
static void sgd_formula(void **state) {
  (void)state;
  sr_tensor *p = tensor(SR_float64, SIZES(2), VALUES(1, -2)),
            *g = tensor(SR_float64, SIZES(2), VALUES(0.5, 3));
  sr_tensor *b = tensor(SR_float64, SIZES(2), VALUES(9, 9));
  sr_sgd_options o = {.lr = 0.1,
                      .momentum = 0.9,
                      .dampening = 0.25,
                      .weight_decay = 0.01,
                      .maximize = true,
                      .first = true};
  double x[2] = {1, -2}, m[2] = {0};
  for (int step = 0; step < 3; step++, o.first = false) {
    o.nesterov = step == 2;
    for (int i = 0; i < 2; i++) {
      double d = -(i ? 3 : 0.5) + 0.01 * x[i];
      m[i] = step ? 0.9 * m[i] + 0.75 * d : d;
      x[i] -= 0.1 * (o.nesterov ? d + 0.9 * m[i] : m[i]);
    }
    OK(sr_sgd_step(p, g, b, &o));
  }
  EXPECT(p, SR_float64, SIZES(2), VALUES(x[0], x[1]));
  EXPECT(b, SR_float64, SIZES(2), VALUES(m[0], m[1]));
  sr_tensor_release(g);
}

static void sgd_layouts(void **state) {
  (void)state;
  sr_tensor *base = counting(SR_float32, SIZES(2, 3)), *p,
            *buffers = counting(SR_float32, SIZES(3, 4)), *b;
  sr_tensor *number = tensor(SR_float32, SIZES(1, 1), VALUES(2)), *g;
  OK(sr_transpose(base, 0, 1, &p));
  OK(sr_slice(buffers, 1, 0, 2, 2, &b));
  OK(sr_expand(number, SIZES(3, 2), &g));
  sr_sgd_options o = {.lr = 1, .momentum = 0.5, .first = true};
  OK(sr_sgd_step(p, g, b, &o));
  EXPECT(base, SR_float32, SIZES(2, 3), VALUES(-1, 0, 1, 2, 3, 4));
  EXPECT(buffers, SR_float32, SIZES(3, 4), VALUES(2, 2, 2, 4, 2, 6, 2, 8, 2, 10, 2, 12));
  sr_tensor *all[] = {p, b, number, g};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* A step counts as a change: what was packed or saved from the parameter is not used again. */
static void sgd_changes_the_version(void **state) {
  (void)state;
  sr_tensor *p = leaf(counting(SR_float32, SIZES(2))), *g = counting(SR_float32, SIZES(2));
  int64_t before = sr_tensor_version(p);
  OK(sr_sgd_step(p, g, NULL, &(sr_sgd_options){.lr = 1}));
  assert_true(sr_tensor_version(p) > before);
  EXPECT(p, SR_float32, SIZES(2), VALUES(0, 0));
  sr_tensor_release(g);
}

static void sgd_errors(void **state) {
  (void)state;
  sr_tensor *p = counting(SR_float32, SIZES(2)), *g = counting(SR_float32, SIZES(3)), *wide;
  sr_tensor *d = counting(SR_float64, SIZES(2)), *ids = counting(SR_int64, SIZES(2));
  sr_sgd_options o = {.lr = 1, .momentum = 0.9};
  OK(sr_expand(p, SIZES(2, 2), &wide));
  FAILS(sr_sgd_step(p, g, NULL, &o), SR_SHAPE,
        "sgd_step: the parameter has shape [2], its gradient [3]");
  FAILS(sr_sgd_step(p, d, NULL, &o), SR_DTYPE, "its gradient float64");
  FAILS(sr_sgd_step(p, p, g, &o), SR_SHAPE, "its momentum buffer [3]");
  FAILS(sr_sgd_step(p, p, NULL, &o), SR_ARGUMENT, "momentum 0.9 needs a buffer");
  FAILS(sr_sgd_step(ids, ids, NULL, &o), SR_DTYPE, "sgd_step: a floating dtype is needed");
  FAILS(sr_sgd_step(wide, wide, wide, &o), SR_STATE, "sgd_step");
  sr_tensor *all[] = {p, g, wide, d, ids};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* When memory fails, parameter and buffer are what they were. */
static void sgd_is_all_or_nothing(void **state) {
  (void)state;
  for (int64_t n = 1;; n++) {
    sr_tensor *base = counting(SR_float32, SIZES(2, 3)), *p, *b,
              *other = counting(SR_float32, SIZES(2, 3));
    OK(sr_transpose(base, 0, 1, &p));
    OK(sr_transpose(other, 0, 1, &b));
    sr_memory_fail_at(n, true);
    sr_status status = sr_sgd_step(p, p, b, &(sr_sgd_options){.lr = 1, .momentum = 0.5});
    sr_memory_fail_at(0, false);
    sr_tensor_release(p);
    sr_tensor_release(b);
    sr_tensor *changed = status ? NULL : base;
    if (status) {
      assert_int_equal(status, SR_MEMORY);
      EXPECT(base, SR_float32, SIZES(2, 3), VALUES(1, 2, 3, 4, 5, 6));
      EXPECT(other, SR_float32, SIZES(2, 3), VALUES(1, 2, 3, 4, 5, 6));
    } else {
      sr_tensor_release(changed);
      sr_tensor_release(other);
      return;
    }
  }
}

/* ---- clipping ----------------------------------------------------------------------------- */

static void norms(void **state) {
  (void)state;
  sr_tensor *a = tensor(SR_float64, SIZES(3), VALUES(3, -4, 0)),
            *b = tensor(SR_float32, SIZES(1), VALUES(-12));
  sr_tensor *nothing = empty(SR_float64, SIZES(0)), *grads[] = {NULL, a, b, nothing, NULL};
  static const struct {
    double p, norm;
  } cases[] = {{2, 13}, {1, 19}, {3, 12.20705}, {0, 2}, {INFINITY, 12}, {-INFINITY, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double norm = -1;
    OK(sr_clip_grad_norm(5, grads, 1000, cases[i].p, &norm));
    if (!close_enough(norm, cases[i].norm, 1e-4)) fail_msg("p %g: %g", cases[i].p, norm);
  }
  double norm;
  OK(sr_clip_grad_norm(5, grads, 6.5, 2, &norm));
  double factor = 6.5 / (13 + 1e-6);
  EXPECT(a, SR_float64, SIZES(3), VALUES(3 * factor, -4 * factor, 0));
  EXPECT(b, SR_float32, SIZES(1), VALUES(-12 * factor));
  OK(sr_clip_grad_norm(1, &nothing, 1, 2, &norm));
  assert_true(norm == 0);
  OK(sr_clip_grad_norm(0, NULL, 1, 2, &norm));
  assert_true(norm == 0);
  sr_tensor_release(nothing);
}

static void norms_that_are_not_finite(void **state) {
  (void)state;
  sr_tensor *a = tensor(SR_float32, SIZES(2), VALUES(1, NAN)), *b = counting(SR_float32, SIZES(2));
  double norm;
  OK(sr_clip_grad_norm(2, (sr_tensor *[]){a, b}, 1, 2, &norm));
  assert_true(isnan(norm));
  EXPECT(b, SR_float32, SIZES(2), VALUES(NAN, NAN));
  sr_tensor_release(a);
  a = tensor(SR_float32, SIZES(2), VALUES(1, INFINITY));
  OK(sr_clip_grad_norm(1, &a, 1, INFINITY, &norm));
  assert_true(isinf(norm));
  EXPECT(a, SR_float32, SIZES(2), VALUES(0, NAN));
}

static void values(void **state) {
  (void)state;
  sr_tensor *a = tensor(SR_float32, SIZES(4), VALUES(-3, -0.5, 2, NAN));
  OK(sr_clip_grad_value(2, (sr_tensor *[]){a, NULL}, 1));
  EXPECT(a, SR_float32, SIZES(4), VALUES(-1, -0.5, 1, NAN));
}

static void clip_errors(void **state) {
  (void)state;
  sr_tensor *a = counting(SR_float32, SIZES(2)), *ids = counting(SR_int64, SIZES(2)), *wide;
  double norm = 7;
  OK(sr_expand(a, SIZES(2, 2), &wide));
  FAILS(sr_clip_grad_norm(1, &a, -1, 2, &norm), SR_ARGUMENT,
        "max_norm must not be negative, got -1");
  FAILS(sr_clip_grad_norm(1, &a, NAN, 2, &norm), SR_ARGUMENT, "max_norm");
  FAILS(sr_clip_grad_norm(1, &a, 1, NAN, &norm), SR_ARGUMENT, "norm_type");
  FAILS(sr_clip_grad_norm(1, &ids, 1, 2, &norm), SR_DTYPE, "clip_grad_norm: a floating dtype");
  FAILS(sr_clip_grad_norm(1, &wide, 1, 2, &norm), SR_STATE, "clip_grad_norm");
  FAILS(sr_clip_grad_value(1, &a, -1), SR_ARGUMENT, "clip_grad_value: the limit");
  assert_true(norm == 7);
  sr_tensor *all[] = {a, ids, wide};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(golden_sgd),
      TEST(golden_clip),
      TEST(sgd_formula),
      TEST(sgd_layouts),
      TEST(sgd_changes_the_version),
      TEST(sgd_errors),
      TEST(sgd_is_all_or_nothing),
      TEST(norms),
      TEST(norms_that_are_not_finite),
      TEST(values),
      TEST(clip_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
