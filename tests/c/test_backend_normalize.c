/* Normalized rows on the CPU, forward and gradients. Plain loops in long double are the
 * reference, for rows whose mean is far larger than their deviation, too; the number of
 * threads changes no bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend_values.h"

enum { ROOM = 150000, WIDTH = 300 };
static _Alignas(64) char x[ROOM * 8], g[ROOM * 8], y[ROOM * 8], dx[ROOM * 8], other[ROOM * 8];
static char weight[WIDTH * 8], bias[WIDTH * 8], dweight[WIDTH * 8], dbias[WIDTH * 8];
static double moments[2 * ROOM];

typedef struct {
  sr_dtype dtype;
  int64_t rows, n;
  bool weighted, shifted; /* with weight, with bias */
  double offset;          /* of the values from 0 */
} test_case;

static void draw_values(const test_case *t) {
  for (int64_t i = 0; i < t->rows * t->n; i++) {
    set(t->dtype, x, i, t->offset + draw() * 2 - 1);
    set(t->dtype, g, i, draw() * 2 - 1);
  }
  for (int64_t j = 0; j < t->n; j++) {
    set(t->dtype, weight, j, draw() * 3 - 1);
    set(t->dtype, bias, j, draw() * 2 - 1);
    set(t->dtype, dweight, j, 2 + (double)j);
    set(t->dtype, dbias, j, 3 + (double)j);
  }
}

/* So that what an earlier run left does not pass for a result. */
static void spoil_results(void) {
  memset(y, 77, sizeof y);
  memset(dx, 77, sizeof dx);
  memset(moments, 77, sizeof moments);
  memset(dweight, 77, sizeof dweight);
  memset(dbias, 77, sizeof dbias);
}

static sr_normalize plan_of(const test_case *t) {
  return (sr_normalize){.dtype = t->dtype,
                        .rows = t->rows,
                        .n = t->n,
                        .eps = 1e-5,
                        .x = x,
                        .weight = t->weighted ? weight : NULL,
                        .bias = t->shifted ? bias : NULL,
                        .y = y,
                        .moments = moments,
                        .grad = g,
                        .grad_x = dx,
                        .grad_weight = dweight,
                        .grad_bias = dbias};
}

/* ---- the reference ---------------------------------------------------------------------------- */

typedef struct {
  double mean, rstd;
  double slack; /* rounding that results may have, relative to what they are made of */
} row_moments;

static row_moments moments_of(const test_case *t, int64_t row) {
  long double sum = 0, squares = 0;
  for (int64_t j = 0; j < t->n; j++) sum += (long double)get(t->dtype, x, row * t->n + j);
  const long double mean = sum / t->n;
  for (int64_t j = 0; j < t->n; j++) {
    long double d = (long double)get(t->dtype, x, row * t->n + j) - mean;
    squares += d * d;
  }
  row_moments m = {(double)mean, (double)(1 / sqrtl(squares / t->n + 1e-5L)), 0};
  double unit = t->dtype == SR_float32 ? 0x1p-24 : 0x1p-53;
  m.slack = 8 * unit + 8 * 0x1p-53 * fabs(m.mean) * m.rstd;
  return m;
}

static void expect_near(double got, double right, double slack, double size, const char *what) {
  if (fabs(got - right) <= slack * (size + fabs(right))) return;
  fail_msg("%s on %s: %.17g, not %.17g", what, sr_cpu_kernels(), got, right);
}

static double normalized(const test_case *t, const row_moments *m, int64_t at) {
  return (get(t->dtype, x, at) - m->mean) * m->rstd;
}

static double scaled_grad(const test_case *t, int64_t at) {
  return get(t->dtype, g, at) * (t->weighted ? get(t->dtype, weight, at % t->n) : 1);
}

static void check_row(const test_case *t, int64_t row) {
  const row_moments m = moments_of(t, row);
  const int64_t first = row * t->n, last = first + t->n;
  expect_near(moments[2 * row], m.mean, 1e-15, 0, "mean");
  expect_near(moments[2 * row + 1], m.rstd, m.slack, 0, "1 / deviation");
  long double sum = 0, product = 0;
  for (int64_t i = first; i < last; i++) {
    double w = t->weighted ? get(t->dtype, weight, i % t->n) : 1;
    double b = t->shifted ? get(t->dtype, bias, i % t->n) : 0;
    double v = normalized(t, &m, i);
    expect_near(get(t->dtype, y, i), v * w + b, m.slack, fabs(b) + fabs(w), "y");
    sum += (long double)scaled_grad(t, i);
    product += (long double)(scaled_grad(t, i) * v);
  }
  for (int64_t i = first; i < last; i++) {
    double a = scaled_grad(t, i), mean_a = (double)sum / (double)t->n;
    double part = normalized(t, &m, i) * (double)product / (double)t->n;
    expect_near(get(t->dtype, dx, i), m.rstd * (a - mean_a - part), m.slack,
                m.rstd * (1 + fabs(a) + fabs(mean_a) + fabs(part)), "gradient of x");
  }
}

/* Gradients of the parameters, which `added` to what draw_values left there or replaced it. */
static void check_column(const test_case *t, int64_t j, bool added) {
  double sum = 0, product = 0, size = 0, slack = 0;
  for (int64_t i = 0; i < t->rows; i++) {
    const row_moments m = moments_of(t, i);
    const double gi = get(t->dtype, g, i * t->n + j), v = normalized(t, &m, i * t->n + j);
    sum += gi;
    product += gi * v;
    size += fabs(gi) + fabs(gi * v);
    slack = fmax(slack, m.slack);
  }
  if (added) product += 2 + (double)j, sum += 3 + (double)j;
  expect_near(get(t->dtype, dweight, j), product, slack, size, "gradient of weight");
  expect_near(get(t->dtype, dbias, j), sum, slack, size, "gradient of bias");
}

static void check_case(const test_case *t, bool added) {
  spoil_results();
  draw_values(t);
  sr_normalize plan = plan_of(t);
  plan.add_weight = plan.add_bias = added;
  ok(sr__cpu_normalize(&plan));
  ok(sr__cpu_normalize_grad(&plan));
  for (int64_t row = 0; row < t->rows && t->n; row++) check_row(t, row);
  for (int64_t j = 0; j < t->n; j++) check_column(t, j, added);
}

/* ---- values ------------------------------------------------------------------------------------ */

static void test_values(void **state) {
  USE_ISA(state);
  static const int64_t shapes[][2] = {{1, 1},  {3, 2},   {5, 15},   {4, 16}, {4, 17}, {2, 257},
                                      {7, 64}, {3, 129}, {300, 70}, {90, 3}, {0, 5},  {2, 0}};
  for (int dtype = SR_float32; dtype <= SR_float64; dtype++)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
      for (int how = 0; how < 8; how++) {
        test_case t = {(sr_dtype)dtype, shapes[s][0], shapes[s][1], how & 1, how & 2, 0};
        check_case(&t, how & 4);
      }
}

/* 1e4 + noise: float32 has 1e-3 between neighbours there, the noise 0.6. */
static void test_large_mean(void **state) {
  USE_ISA(state);
  for (int dtype = SR_float32; dtype <= SR_float64; dtype++) {
    check_case(&(test_case){(sr_dtype)dtype, 6, 200, true, true, 1e4}, false);
    check_case(&(test_case){(sr_dtype)dtype, 6, 21, false, true, -3e5}, false);
  }
}

static void test_special(void **state) {
  USE_ISA(state);
  float *v = (float *)(void *)x, *w = (float *)(void *)y, *shift = (float *)(void *)bias;
  enum { N = 20 };
  for (int i = 0; i < 5 * N; i++) v[i] = (float)(i % 3);
  for (int j = 0; j < N; j++) shift[j] = (float)j;
  v[3] = NAN;
  v[N + 19] = INFINITY;
  for (int j = 0; j < N; j++) v[2 * N + j] = 0.1f; /* all equal: nothing but the bias */
  for (int j = 0; j < N; j++) v[3 * N + j] = j % 2 ? 1e30f : -1e30f; /* squares beyond float32 */
  sr_normalize plan = plan_of(&(test_case){SR_float32, 5, N, false, true, 0});
  ok(sr__cpu_normalize(&plan));
  for (int j = 0; j < N; j++) {
    assert_true(isnan(w[j]) && isnan(w[N + j]));
    assert_true(w[2 * N + j] == (float)j);
    assert_true(fabsf(w[3 * N + j] - (float)j - (j % 2 ? 1 : -1)) < 1e-5f);
    assert_true(isfinite(w[4 * N + j]));
  }
}

/* What is not asked for is not written. */
static void test_parts(void **state) {
  USE_ISA(state);
  const test_case t = {SR_float64, 9, 33, true, true, 0};
  draw_values(&t);
  sr_normalize plan = plan_of(&t);
  ok(sr__cpu_normalize(&plan));
  memcpy(other, y, 9 * 33 * 8);
  spoil_results();
  plan.moments = NULL;
  ok(sr__cpu_normalize(&plan));
  assert_memory_equal(y, other, 9 * 33 * 8);
  for (size_t i = 0; i < sizeof moments; i++) assert_int_equal(((char *)moments)[i], 77);
  plan.moments = moments;
  ok(sr__cpu_normalize(&plan));
  ok(sr__cpu_normalize_grad(&plan));
  memcpy(other, dweight, 33 * 8);
  memcpy(other + 33 * 8, dbias, 33 * 8);
  memset(dx, 77, 8);
  memset(dweight, 77, 33 * 8);
  memset(dbias, 77, 33 * 8);
  plan.grad_x = plan.grad_bias = NULL;
  ok(sr__cpu_normalize_grad(&plan));
  assert_memory_equal(dweight, other, 33 * 8);
  assert_int_equal(dx[0], 77);
  assert_int_equal(dbias[0], 77);
  plan.grad_weight = NULL;
  plan.grad_bias = dbias;
  ok(sr__cpu_normalize_grad(&plan));
  assert_memory_equal(dbias, other + 33 * 8, 33 * 8);
}

/* ---- threads ------------------------------------------------------------------------------------ */

/* Results of the plan one after the other in `other`. */
static size_t keep_results(const test_case *t) {
  size_t all = (size_t)(t->rows * t->n) * bytes_of(t->dtype), row = (size_t)t->n * 8, at = 0;
  const struct {
    const void *from;
    size_t bytes;
  } parts[] = {{y, all}, {dx, all}, {dweight, row}, {dbias, row}, {moments, (size_t)t->rows * 16}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    assert_true(at + parts[i].bytes <= sizeof other);
    memcpy(other + at, parts[i].from, parts[i].bytes);
    at += parts[i].bytes;
  }
  return at;
}

static void run_with(int threads, const sr_normalize *plan) {
  ok(sr_set_num_threads(threads));
  spoil_results();
  ok(sr__cpu_normalize(plan));
  ok(sr__cpu_normalize_grad(plan));
  ok(sr_set_num_threads(1));
}

/* Cut as threads may cut it, whether or not the machine has room for threads. */
static void run_cut(const sr_normalize *plan, int64_t rows, int64_t columns) {
  const sr__normalize_table *kernels =
      plan->dtype == SR_float32 ? sr__normalize_float32() : sr__normalize_float64();
  spoil_results();
  kernels->rows(plan, rows, plan->rows);
  kernels->rows(plan, 0, rows);
  kernels->rows_grad(plan, rows, plan->rows);
  kernels->rows_grad(plan, 0, rows);
  kernels->columns_grad(plan, columns, plan->n);
  kernels->columns_grad(plan, 0, columns);
}

static void test_threads(void **state) {
  USE_ISA(state);
  static char kept[sizeof other];
  for (int dtype = SR_float32; dtype <= SR_float64; dtype++) {
    const test_case t = {(sr_dtype)dtype, 520, 131, true, true, 3};
    draw_values(&t);
    sr_normalize plan = plan_of(&t);
    run_with(1, &plan);
    size_t bytes = keep_results(&t), row = (size_t)t.n * bytes_of(t.dtype);
    memcpy(kept, other, bytes);
    run_with(3, &plan);
    keep_results(&t);
    assert_memory_equal(kept, other, bytes);
    run_cut(&plan, 201, SR_COLUMNS);
    keep_results(&t);
    assert_memory_equal(kept, other, bytes);
    /* a row alone */
    plan.rows = 1;
    plan.x = x + 7 * row;
    plan.grad = g + 7 * row;
    run_with(1, &plan);
    assert_memory_equal(y, kept + 7 * row, row);
    assert_memory_equal(dx, kept + (size_t)t.rows * row + 7 * row, row);
  }
}

#define X(isa)                  \
  FOR_ISA(test_values, isa)     \
  FOR_ISA(test_large_mean, isa) \
  FOR_ISA(test_special, isa) FOR_ISA(test_parts, isa) FOR_ISA(test_threads, isa)

int main(void) {
  const struct CMUnitTest tests[] = {SR_ISA_LIST(X)};
  return cmocka_run_group_tests(tests, start, NULL);
}
