/* test_optimizer_kernels.c: the kernels of optimizers.def on every instruction set, against
 * the same lines computed one element at a time in double; threads and ends. (The lines
 * themselves are compared with PyTorch's numbers in tests/lua/test_optim.lua.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend/formulae.h"
#include "backend_values.h"

enum { ARRAYS = 2 + SR_OPTIMIZER_STATES, MOST = 100003 };
enum { PARAMETER, GRAD, STATE };

static const sr_optimizer_numbers plain_numbers = {.lr = 0.1,
                                                   .shrink = 1,
                                                   .beta1 = 0.9,
                                                   .rest1 = 0.1,
                                                   .beta2 = 0.99,
                                                   .rest2 = 0.01,
                                                   .correction = 0.3,
                                                   .eps = 1e-3};
static const sr_optimizer_numbers full_numbers = {.maximize = true,
                                                  .lr = 0.03,
                                                  .weight_decay = 0.2,
                                                  .shrink = 0.95,
                                                  .beta1 = 0.7,
                                                  .rest1 = 0.4,
                                                  .beta2 = 0.8,
                                                  .rest2 = 0.2,
                                                  .correction = 0.6,
                                                  .eps = 1e-2};

/* ---- one element ---------------------------------------------------------------------------- */

#define T double
#define SR_TAG f64
static void reference(sr_optimizer optimizer, const sr_optimizer_numbers *o, double x[ARRAYS]) {
#define X(name, otherwise)     \
  const double name = o->name; \
  (void)name;
  SR_OPTIMIZER_NUMBERS(X)
#undef X
  double p = x[PARAMETER], g = (o->maximize ? -1 : 1) * x[GRAD] + weight_decay * p;
  switch (optimizer) {
#define SR_OPTIMIZER(name, states, s1, s2, s3, ...)                        \
  case SR_OPTIMIZER_##name: {                                              \
    double s1 = x[STATE], s2 = x[STATE + 1], s3 = x[STATE + 2];            \
    __VA_ARGS__;                                                           \
    x[PARAMETER] = p, x[STATE] = s1, x[STATE + 1] = s2, x[STATE + 2] = s3; \
    break;                                                                 \
  }
#include "backend/optimizers.def"
    default: fail_msg("no optimizer %d", optimizer);
  }
}
#undef T
#undef SR_TAG

/* ---- arrays --------------------------------------------------------------------------------- */

/* Parameters and gradients in -1 .. 1. States are what the means of such gradients are: squares
 * (and the other states) are above the square of the mean of gradients, so no root is of a
 * negative number. One element is kept behind the end. */
typedef struct {
  sr_dtype dtype;
  int64_t n;
  char *array[ARRAYS], *before[ARRAYS];
} arrays;

static double first_value(const char *name, int k) {
  if (k < STATE) return 2 * draw() - 1;
  if (!strcmp(name, "exp_avg") || !strcmp(name, "grad_avg") || !strcmp(name, "momentum_buffer"))
    return draw() / 4;
  return 0.5 + draw();
}

static arrays make(sr_optimizer optimizer, sr_dtype dtype, int64_t n) {
  const sr_optimizer_info *info = sr_optimizer_get(optimizer);
  arrays a = {.dtype = dtype, .n = n};
  for (int k = 0; k < STATE + info->states; k++) {
    size_t bytes = (size_t)(n + 1) * bytes_of(dtype);
    a.array[k] = malloc(bytes);
    a.before[k] = malloc(bytes);
    for (int64_t i = 0; i <= n; i++)
      set(dtype, a.array[k], i, first_value(k < STATE ? "" : info->state[k - STATE], k));
    memcpy(a.before[k], a.array[k], bytes);
  }
  return a;
}

static void drop(arrays *a) {
  for (int k = 0; k < ARRAYS; k++) {
    free(a->array[k]);
    free(a->before[k]);
  }
}

static void take_step(sr_optimizer optimizer, const sr_optimizer_numbers *numbers, arrays *a) {
  sr_optimizer_plan plan = {optimizer,      a->dtype,
                            a->n,           a->array[PARAMETER],
                            a->array[GRAD], {a->array[2], a->array[3], a->array[4]},
                            numbers};
  ok(sr__cpu_optimize(&plan));
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void compare(sr_optimizer optimizer, const sr_optimizer_numbers *numbers, const arrays *a) {
  double tolerance = a->dtype == SR_float32 ? 2e-6 : 4e-15;
  for (int64_t i = 0; i <= a->n; i++) {
    double x[ARRAYS] = {0};
    for (int k = 0; k < ARRAYS; k++)
      if (a->before[k]) x[k] = get(a->dtype, a->before[k], i);
    if (i < a->n) reference(optimizer, numbers, x);
    for (int k = 0; k < ARRAYS; k++) {
      if (!a->array[k]) continue;
      double got = get(a->dtype, a->array[k], i);
      if (i < a->n && k != GRAD) {
        if (!(fabs(got - x[k]) <= tolerance * fmax(1, fabs(x[k]))))
          fail_msg("%s: array %d, element %d of %d: %.9g, not %.9g",
                   sr_optimizer_get(optimizer)->name, k, (int)i, (int)a->n, got, x[k]);
      } else if (got != x[k]) {
        fail_msg("%s: array %d was written at %d of %d", sr_optimizer_get(optimizer)->name, k,
                 (int)i, (int)a->n);
      }
    }
  }
}

static void check(sr_optimizer optimizer, sr_dtype dtype, int64_t n,
                  const sr_optimizer_numbers *numbers) {
  arrays a = make(optimizer, dtype, n);
  take_step(optimizer, numbers, &a);
  compare(optimizer, numbers, &a);
  drop(&a);
}

static void test_steps(void **state) {
  USE_ISA(state);
  static const int64_t sizes[] = {1, 2, 7, 16, 33, 1000};
  for (sr_optimizer optimizer = 0; optimizer < sr_optimizer_count(); optimizer++)
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
      check(optimizer, SR_float32, sizes[k], &plain_numbers);
      check(optimizer, SR_float32, sizes[k], &full_numbers);
      check(optimizer, SR_float64, sizes[k], &plain_numbers);
      check(optimizer, SR_float64, sizes[k], &full_numbers);
    }
}

/* The same bits with any number of threads. */
static void test_threads(void **state) {
  USE_ISA(state);
  for (sr_optimizer optimizer = 0; optimizer < sr_optimizer_count(); optimizer++) {
    arrays a = make(optimizer, SR_float32, MOST), b = {.dtype = SR_float32, .n = MOST};
    for (int k = 0; k < ARRAYS && a.array[k]; k++) {
      b.array[k] = malloc((MOST + 1) * sizeof(float));
      memcpy(b.array[k], a.array[k], (MOST + 1) * sizeof(float));
    }
    take_step(optimizer, &full_numbers, &a);
    ok(sr_set_num_threads(3));
    take_step(optimizer, &full_numbers, &b);
    ok(sr_set_num_threads(1));
    for (int k = 0; k < ARRAYS && a.array[k]; k++)
      assert_memory_equal(a.array[k], b.array[k], (MOST + 1) * sizeof(float));
    compare(optimizer, &full_numbers, &a);
    drop(&a);
    drop(&b);
  }
}

/* A NaN stays where it is; the largest mean of squares keeps one, as torch.maximum; without
 * weight decay an infinite parameter does not get into the gradient. */
static void test_special(void **state) {
  USE_ISA(state);
  float p[20], g[20], m[20], v[20], most[20];
  for (int i = 0; i < 20; i++) p[i] = g[i] = m[i] = v[i] = most[i] = 0.5f;
  g[3] = NAN;
  most[7] = NAN;
  p[17] = INFINITY;
  sr_optimizer_plan plan = {
      SR_OPTIMIZER_adam_amsgrad, SR_float32, 20, p, g, {m, v, most}, &plain_numbers};
  ok(sr__cpu_optimize(&plan));
  for (int i = 0; i < 20; i++) {
    assert_true(isnan(p[i]) == (i == 3 || i == 7));
    assert_true(isnan(most[i]) == (i == 3 || i == 7));
    assert_true(isnan(m[i]) == (i == 3));
  }
  assert_true(isinf(p[17]));
}

#define X(isa) FOR_ISA(test_steps, isa) FOR_ISA(test_threads, isa) FOR_ISA(test_special, isa)

int main(void) {
  const struct CMUnitTest tests[] = {SR_ISA_LIST(X)};
  return cmocka_run_group_tests(tests, start, NULL);
}
