/* test_optimizer.c: optimizer steps and gradient clipping: reference cases, layouts, limits. */
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

static sr_tensor *zeros(int ndim, const int64_t *size) {
  sr_tensor *t;
  OK(sr_tensor_full(SR_float32, ndim, size, sr_number(0), SR_CPU, &t));
  return t;
}

/* A line of optimizers.def by name. */
static sr_optimizer line(const char *name) {
  sr_optimizer found = sr_optimizer_find(name);
  assert_true(found >= 0);
  return found;
}

static void sgd_case(const char *name, sr_optimizer optimizer) {
  golden_case_tensors c = golden_case_open(name);
  json_t *options = json_object_get(golden_case(c.file), "options");
  int steps = (int)json_integer_value(json_object_get(golden_case(c.file), "steps"));
  sr_tensor *x = golden_plain(&c, "X", 0), *y = golden_plain(&c, "Y", 0);
  sr_tensor *p[2] = {golden_input(&c, "weight.weight"), golden_input(&c, "weight.bias")};
  sr_tensor *buffer[2] = {zeros(SIZES(3, 5)), zeros(SIZES(3))};
  const float *losses = golden_get(c.file, "losses").data;
  sr_optimizer_numbers o = {.lr = number_of(options, "lr"),
                            .weight_decay = number_of(options, "weight_decay"),
                            .beta1 = number_of(options, "momentum"),
                            .rest1 = 1};
  for (int step = 0; step < steps; step++) {
    double loss = train_step(x, y, p[0], p[1]);
    assert_true(close_enough(loss, losses[step], 1e-5));
    for (int i = 0; i < 2; i++) {
      OK(sr_optimizer_step(optimizer, p[i], sr_grad(p[i]), &buffer[i], &o));
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
  sgd_case("optim_sgd", line("sgd"));
  sgd_case("optim_sgd_mom_wd_nesterov", line("sgd_nesterov"));
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

/* ---- steps -------------------------------------------------------------------------------- */

static void lines(void **state) {
  (void)state;
  assert_int_equal(sr_optimizer_find("sdg"), -1);
  assert_null(sr_optimizer_get(-1));
  assert_null(sr_optimizer_get(sr_optimizer_count()));
  const sr_optimizer_info *info = sr_optimizer_get(line("adam_amsgrad"));
  assert_int_equal(info->states, 3);
  assert_string_equal(info->state[2], "max_exp_avg_sq");
}

static void layouts(void **state) {
  (void)state;
  sr_tensor *base = counting(SR_float32, SIZES(2, 3)), *p,
            *buffers = counting(SR_float32, SIZES(3, 4)), *b;
  sr_tensor *number = tensor(SR_float32, SIZES(1, 1), VALUES(2)), *g;
  OK(sr_transpose(base, 0, 1, &p));
  OK(sr_slice(buffers, 1, 0, 2, 2, &b));
  OK(sr_expand(number, SIZES(3, 2), &g));
  sr_optimizer_numbers o = {.lr = 1, .beta1 = 0, .rest1 = 1};
  OK(sr_optimizer_step(line("sgd_momentum"), p, g, &b, &o));
  EXPECT(base, SR_float32, SIZES(2, 3), VALUES(-1, 0, 1, 2, 3, 4));
  EXPECT(buffers, SR_float32, SIZES(3, 4), VALUES(2, 2, 2, 4, 2, 6, 2, 8, 2, 10, 2, 12));
  sr_tensor *all[] = {p, b, number, g};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* A step counts as a change: what was packed or saved from the parameter is not used again. */
static void step_changes_the_version(void **state) {
  (void)state;
  sr_tensor *p = leaf(counting(SR_float32, SIZES(2))), *g = counting(SR_float32, SIZES(2));
  int64_t before = sr_tensor_version(p);
  OK(sr_optimizer_step(line("sgd"), p, g, NULL, &(sr_optimizer_numbers){.lr = 1}));
  assert_true(sr_tensor_version(p) > before);
  EXPECT(p, SR_float32, SIZES(2), VALUES(0, 0));
  sr_tensor_release(g);
}

static void step_errors(void **state) {
  (void)state;
  sr_tensor *p = counting(SR_float32, SIZES(2)), *g = counting(SR_float32, SIZES(3)), *wide;
  sr_tensor *d = counting(SR_float64, SIZES(2)), *ids = counting(SR_int64, SIZES(2));
  sr_tensor *none = NULL;
  sr_optimizer_numbers o = {.lr = 1, .beta1 = 0.9, .rest1 = 1};
  sr_optimizer sgd = line("sgd"), momentum = line("sgd_momentum");
  OK(sr_expand(p, SIZES(2, 2), &wide));
  FAILS(sr_optimizer_step(sgd, p, g, NULL, &o), SR_SHAPE,
        "sgd: the parameter has shape [2], its gradient [3]");
  FAILS(sr_optimizer_step(sgd, p, d, NULL, &o), SR_DTYPE, "its gradient float64");
  FAILS(sr_optimizer_step(sgd, p, NULL, NULL, &o), SR_ARGUMENT, "sgd: the gradient is missing");
  FAILS(sr_optimizer_step(momentum, p, p, &g, &o), SR_SHAPE, "its momentum_buffer [3]");
  FAILS(sr_optimizer_step(momentum, p, p, &none, &o), SR_ARGUMENT,
        "sgd_momentum: the momentum_buffer is missing");
  FAILS(sr_optimizer_step(sgd, ids, ids, NULL, &o), SR_DTYPE, "sgd: a floating dtype is needed");
  FAILS(sr_optimizer_step(sgd, wide, wide, NULL, &o), SR_STATE, "sgd");
  FAILS(sr_optimizer_step(99, p, p, NULL, &o), SR_ARGUMENT, "optimizer_step: no optimizer 99");
  sr_tensor *all[] = {p, g, wide, d, ids};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* When memory fails, parameter and state are what they were. */
static void step_is_all_or_nothing(void **state) {
  (void)state;
  for (int64_t n = 1;; n++) {
    sr_tensor *base[3], *t[3];
    for (int i = 0; i < 3; i++) {
      base[i] = counting(SR_float32, SIZES(2, 3));
      OK(sr_transpose(base[i], 0, 1, &t[i]));
    }
    sr_memory_fail_at(n, true);
    sr_optimizer_numbers o = {.lr = 1, .correction = 1};
    sr_status status = sr_optimizer_step(line("adam"), t[0], t[0], &t[1], &o);
    sr_memory_fail_at(0, false);
    for (int i = 0; i < 3; i++) sr_tensor_release(t[i]);
    if (status) assert_int_equal(status, SR_MEMORY);
    for (int i = 0; i < 3; i++) {
      if (status)
        EXPECT(base[i], SR_float32, SIZES(2, 3), VALUES(1, 2, 3, 4, 5, 6));
      else
        sr_tensor_release(base[i]);
    }
    if (!status) {
      assert_true(n > 3);
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
      TEST(lines),
      TEST(layouts),
      TEST(step_changes_the_version),
      TEST(step_errors),
      TEST(step_is_all_or_nothing),
      TEST(norms),
      TEST(norms_that_are_not_finite),
      TEST(values),
      TEST(clip_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
