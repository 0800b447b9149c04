/* Reductions and cumulative sums of the CPU: every kind, dtype, layout and instruction set
 * against a plain loop in double; the same bits for any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend_values.h"

enum { ROOM = 300000 };
static _Alignas(64) char x[ROOM * 8], out[ROOM * 8], other[ROOM * 8];

static sr_dtype result_dtype(const sr_reduction_plan *p) {
  switch (p->kind) {
    case SR_REDUCE_ARGMAX:
    case SR_REDUCE_ARGMIN: return SR_int64;
    case SR_REDUCE_ANY:
    case SR_REDUCE_ALL: return SR_bool;
    default: return p->dtype;
  }
}

static bool exists(sr_reduce kind, sr_dtype dtype) {
  if (kind == SR_REDUCE_ABS_SUM_POW) return is_floating(dtype);
  if (dtype != SR_bool) return true;
  return kind == SR_REDUCE_ANY || kind == SR_REDUCE_ALL || kind == SR_REDUCE_MAX ||
         kind == SR_REDUCE_MIN || kind == SR_REDUCE_ARGMAX || kind == SR_REDUCE_ARGMIN;
}

/* ---- the plain loop ---------------------------------------------------------------------- */

typedef struct {
  long double value, scale; /* scale: of the terms of a sum */
} right_result;

static bool larger(long double a, long double b) { return isnan(b) ? false : isnan(a) || a > b; }
static bool smaller(long double a, long double b) { return isnan(b) ? false : isnan(a) || a < b; }

static void take_in(const sr_reduction_plan *p, right_result *r, double v, int64_t i,
                    double *best) {
  switch (p->kind) {
    case SR_REDUCE_SUM: r->value += v, r->scale += fabs(v); break;
    case SR_REDUCE_PROD: r->value = i ? r->value * v : v, r->scale = fabsl(r->value); break;
    case SR_REDUCE_MAX:
      if (!i || larger(v, r->value)) r->value = v;
      break;
    case SR_REDUCE_MIN:
      if (!i || smaller(v, r->value)) r->value = v;
      break;
    case SR_REDUCE_ARGMAX:
      if (!i || larger(v, *best)) *best = v, r->value = (double)(i + 1);
      break;
    case SR_REDUCE_ARGMIN:
      if (!i || smaller(v, *best)) *best = v, r->value = (double)(i + 1);
      break;
    case SR_REDUCE_ANY: r->value = r->value != 0 || v != 0; break;
    case SR_REDUCE_ALL: r->value = (i == 0 || r->value != 0) && v != 0; break;
    case SR_REDUCE_ABS_SUM_POW:
      r->value += pow(fabs(v), p->parameter);
      r->scale = r->value;
      break;
    case SR_REDUCE_ABS_MAX:
      if (!i || larger(fabs(v), r->value)) r->value = fabs(v);
      break;
    case SR_REDUCE_ABS_MIN:
      if (!i || smaller(fabs(v), r->value)) r->value = fabs(v);
      break;
    default: r->value += v != 0;
  }
}

/* Row-major walk: the offset of element i. */
static int64_t offset_of(int ndim, const int64_t *size, const int64_t *stride, int64_t i) {
  int64_t offset = 0;
  for (int d = ndim - 1; d >= 0; d--) {
    offset += i % size[d] * stride[d];
    i /= size[d];
  }
  return offset;
}

static int64_t product(int ndim, const int64_t *size) {
  int64_t n = 1;
  for (int d = 0; d < ndim; d++) n *= size[d];
  return n;
}

/* One rounding of a float32 result; float64 differs by the order of operations. */
static double tolerance(const sr_reduction_plan *p, int64_t values) {
  if (!is_floating(p->dtype)) return 0;
  if (p->dtype == SR_float32) return 6e-8;
  return p->kind == SR_REDUCE_PROD ? 2.3e-16 * (double)values : 1e-14;
}

static void check(const sr_reduction_plan *p) {
  ok(sr__cpu_reduce(p));
  int64_t results = product(p->outer_ndim, p->outer_size);
  int64_t values = product(p->inner_ndim, p->inner_size);
  for (int64_t o = 0; o < results; o++) {
    int64_t base = offset_of(p->outer_ndim, p->outer_size, p->outer_x_stride, o);
    right_result r = {0, 0};
    double best = 0;
    for (int64_t i = 0; i < values; i++) {
      int64_t at = base + offset_of(p->inner_ndim, p->inner_size, p->inner_x_stride, i);
      take_in(p, &r, get(p->dtype, x, at), i, &best);
    }
    int64_t to = offset_of(p->outer_ndim, p->outer_size, p->outer_out_stride, o);
    double got = get(result_dtype(p), p->out, to);
    bool close = (long double)got == r.value ||
                 fabsl((long double)got - r.value) <= r.scale * (long double)tolerance(p, values);
    if (isnan(r.value) ? !isnan(got) : !close)
      fail_msg("kind %d of dtype %d on %s: result %d of %d over %d values is %.17g, not %.17g",
               p->kind, p->dtype, sr_cpu_kernels(), (int)o, (int)results, (int)values, got,
               (double)r.value);
  }
}

/* ---- layouts ------------------------------------------------------------------------------- */

/* X(outer sizes, x strides, out strides; inner sizes, x strides) */
static const sr_reduction_plan plans[] = {
    {.inner_ndim = 1, .inner_size = {1}, .inner_x_stride = {1}},
    {.inner_ndim = 0}, /* one element */
    {.inner_ndim = 1, .inner_size = {3}, .inner_x_stride = {1}},
    {.inner_ndim = 1, .inner_size = {16}, .inner_x_stride = {1}},
    {.inner_ndim = 1, .inner_size = {17}, .inner_x_stride = {5}},
    {.inner_ndim = 1, .inner_size = {4095}, .inner_x_stride = {1}},
    {.inner_ndim = 1, .inner_size = {4097}, .inner_x_stride = {3}},
    {.inner_ndim = 1, .inner_size = {140001}, .inner_x_stride = {1}},
    {.inner_ndim = 2, .inner_size = {300, 301}, .inner_x_stride = {1, 300}},
    /* rows */
    {.outer_ndim = 1,
     .outer_size = {20},
     .outer_x_stride = {37},
     .outer_out_stride = {1},
     .inner_ndim = 1,
     .inner_size = {37},
     .inner_x_stride = {1}},
    {.outer_ndim = 1,
     .outer_size = {3},
     .outer_x_stride = {5000},
     .outer_out_stride = {4},
     .inner_ndim = 1,
     .inner_size = {5000},
     .inner_x_stride = {1}},
    /* columns */
    {.outer_ndim = 1,
     .outer_size = {7},
     .outer_x_stride = {1},
     .outer_out_stride = {1},
     .inner_ndim = 1,
     .inner_size = {30},
     .inner_x_stride = {7}},
    {.outer_ndim = 1,
     .outer_size = {200},
     .outer_x_stride = {1},
     .outer_out_stride = {2},
     .inner_ndim = 1,
     .inner_size = {700},
     .inner_x_stride = {200}},
    /* the middle one of three dimensions */
    {.outer_ndim = 2,
     .outer_size = {5, 65},
     .outer_x_stride = {585, 1},
     .outer_out_stride = {65, 1},
     .inner_ndim = 1,
     .inner_size = {9},
     .inner_x_stride = {65}},
    /* the first and the last of three */
    {.outer_ndim = 1,
     .outer_size = {9},
     .outer_x_stride = {65},
     .outer_out_stride = {1},
     .inner_ndim = 2,
     .inner_size = {5, 65},
     .inner_x_stride = {585, 1}},
    {.outer_ndim = 1,
     .outer_size = {9},
     .outer_x_stride = {700},
     .outer_out_stride = {1},
     .inner_ndim = 2,
     .inner_size = {15, 690},
     .inner_x_stride = {6300, 1}},
    /* size 1 and repeated elements */
    {.outer_ndim = 2,
     .outer_size = {1, 6},
     .outer_x_stride = {99, 0},
     .outer_out_stride = {6, 1},
     .inner_ndim = 3,
     .inner_size = {1, 5, 1},
     .inner_x_stride = {3, 7, 2}},
    {.outer_ndim = 1,
     .outer_size = {4},
     .outer_x_stride = {1},
     .outer_out_stride = {1},
     .inner_ndim = 1,
     .inner_size = {6},
     .inner_x_stride = {0}},
};
enum { PLANS = sizeof plans / sizeof *plans };

static double value_for(sr_reduce kind, sr_dtype dtype) {
  if (dtype == SR_bool) return draw() < 0.7;
  if (kind == SR_REDUCE_PROD)
    return dtype == SR_int64 ? (draw() < 0.5 ? 1 : -1) : 0.9 + 0.2 * draw();
  if (dtype == SR_int64 || kind == SR_REDUCE_COUNT) return floor(draw() * 7) - 3;
  return draw() * 6 - 3;
}

static void test_kinds(void **state) {
  USE_ISA(state);
  ok(sr_set_num_threads(1));
  for (int kind = 0; kind <= SR_REDUCE_COUNT; kind++)
    for (int dtype = 0; dtype < SR_DTYPES; dtype++) {
      if (!exists((sr_reduce)kind, (sr_dtype)dtype)) continue;
      for (int64_t i = 0; i < ROOM; i++)
        set((sr_dtype)dtype, x, i, value_for((sr_reduce)kind, (sr_dtype)dtype));
      for (int i = 0; i < PLANS; i++) {
        sr_reduction_plan p = plans[i];
        p.kind = (sr_reduce)kind, p.dtype = (sr_dtype)dtype, p.x = x, p.out = out;
        p.parameter = (double[]){2, 1, 3, 0.5}[i % 4];
        if (kind == SR_REDUCE_PROD && product(p.inner_ndim, p.inner_size) > 20000) continue;
        check(&p);
      }
    }
}

/* NaN at each place of rows and columns; infinities; all equal values. */
static void test_nan(void **state) {
  USE_ISA(state);
  static const sr_reduce kinds[] = {
      SR_REDUCE_SUM,     SR_REDUCE_MAX,     SR_REDUCE_MIN, SR_REDUCE_ARGMAX, SR_REDUCE_ARGMIN,
      SR_REDUCE_ABS_MAX, SR_REDUCE_ABS_MIN, SR_REDUCE_ANY, SR_REDUCE_ALL,    SR_REDUCE_COUNT};
  for (int dtype = SR_float32; dtype <= SR_float64; dtype++)
    for (int64_t at = 0; at < 40; at++) {
      for (int64_t i = 0; i < 80; i++) set((sr_dtype)dtype, x, i, i % 3 ? 1 : -INFINITY);
      set((sr_dtype)dtype, x, at, NAN);
      set((sr_dtype)dtype, x, at + 20, NAN);
      for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        sr_reduction_plan p = {.kind = kinds[k],
                               .dtype = (sr_dtype)dtype,
                               .x = x,
                               .out = out,
                               .outer_ndim = 1,
                               .outer_size = {2},
                               .outer_x_stride = {40},
                               .outer_out_stride = {1},
                               .inner_ndim = 1,
                               .inner_size = {40},
                               .inner_x_stride = {1}};
        check(&p);
        p.outer_x_stride[0] = 1, p.inner_x_stride[0] = 2;
        check(&p);
      }
    }
}

static void test_first_of_equals(void **state) {
  USE_ISA(state);
  float *v = (float *)(void *)x;
  for (int64_t i = 0; i < 10000; i++) v[i] = 0;
  v[4500] = v[4501] = v[9000] = 5;
  v[30] = v[4097] = -5;
  sr_reduction_plan p = {.kind = SR_REDUCE_ARGMAX,
                         .dtype = SR_float32,
                         .x = x,
                         .out = out,
                         .inner_ndim = 1,
                         .inner_size = {10000},
                         .inner_x_stride = {1}};
  ok(sr__cpu_reduce(&p));
  assert_int_equal(*(int64_t *)(void *)out, 4501);
  p.kind = SR_REDUCE_ARGMIN;
  ok(sr__cpu_reduce(&p));
  assert_int_equal(*(int64_t *)(void *)out, 31);
}

/* A sum of 10^7 float32 numbers near 0.1: one rounding. */
static void test_accuracy(void **state) {
  USE_ISA(state);
  enum { N = 1000000 };
  float *v = malloc(N * sizeof *v);
  long double sum = 0;
  for (int i = 0; i < N; i++) sum += v[i] = 0.1f + (float)draw() * 0.001f;
  sr_reduction_plan p = {.kind = SR_REDUCE_SUM,
                         .dtype = SR_float32,
                         .x = v,
                         .out = out,
                         .inner_ndim = 1,
                         .inner_size = {N},
                         .inner_x_stride = {1}};
  ok(sr__cpu_reduce(&p));
  assert_true(*(float *)(void *)out == (float)sum);
  double *w = malloc(N * sizeof *w);
  sum = 0;
  for (int i = 0; i < N; i++) sum += w[i] = draw();
  p.dtype = SR_float64, p.x = w;
  ok(sr__cpu_reduce(&p));
  assert_true(fabsl((long double)*(double *)(void *)out - sum) < 2e-15L * sum);
  free(v);
  free(w);
}

static void test_threads(void **state) {
  USE_ISA(state);
  for (int64_t i = 0; i < ROOM; i++) set(SR_float64, x, i, draw() - 0.5);
  static const int64_t shapes[][4] = {/* results, x stride, values, x stride */
                                      {1, 0, ROOM, 1},
                                      {300, 1000, 1000, 1},
                                      {1000, 1, 300, 1000},
                                      {3, 100000, 100000, 1},
                                      {30, 1, 10000, 30}};
  for (int kind = 0; kind <= SR_REDUCE_COUNT; kind++)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
      memset(out, 0, sizeof out);
      memset(other, 0, sizeof other);
      sr_reduction_plan p = {.kind = (sr_reduce)kind,
                             .dtype = SR_float64,
                             .x = x,
                             .out = out,
                             .parameter = 2,
                             .outer_ndim = 1,
                             .outer_size = {shapes[s][0]},
                             .outer_x_stride = {shapes[s][1]},
                             .outer_out_stride = {1},
                             .inner_ndim = 1,
                             .inner_size = {shapes[s][2]},
                             .inner_x_stride = {shapes[s][3]}};
      ok(sr_set_num_threads(1));
      ok(sr__cpu_reduce(&p));
      for (int threads = 2; threads < 5; threads++) {
        ok(sr_set_num_threads(threads));
        p.out = other;
        ok(sr__cpu_reduce(&p));
        assert_memory_equal(out, other, (size_t)shapes[s][0] * 8);
      }
    }
  ok(sr_set_num_threads(1));
}

static void test_empty(void **state) {
  (void)state;
  double y[2] = {7, 7};
  sr_reduction_plan p = {.kind = SR_REDUCE_SUM,
                         .dtype = SR_float64,
                         .x = x,
                         .out = y,
                         .outer_ndim = 1,
                         .outer_size = {2},
                         .outer_x_stride = {0},
                         .outer_out_stride = {1},
                         .inner_ndim = 2,
                         .inner_size = {3, 0},
                         .inner_x_stride = {0, 1}};
  ok(sr__cpu_reduce(&p));
  assert_true(y[0] == 0 && y[1] == 0);
  p.kind = SR_REDUCE_PROD;
  ok(sr__cpu_reduce(&p));
  assert_true(y[0] == 1 && y[1] == 1);
  p.kind = SR_REDUCE_MAX;
  assert_int_equal(sr__cpu_reduce(&p), SR_SHAPE);
  p.kind = SR_REDUCE_ALL;
  ok(sr__cpu_reduce(&p));
  assert_int_equal(*(uint8_t *)y, 1);
  p.kind = SR_REDUCE_ANY;
  ok(sr__cpu_reduce(&p));
  assert_int_equal(*(uint8_t *)y, 0);
  p.outer_size[0] = 0;
  p.kind = SR_REDUCE_MAX;
  ok(sr__cpu_reduce(&p));
  p.outer_size[0] = 1;
  p.kind = SR_REDUCE_SUM;
  p.dtype = SR_bool;
  assert_int_equal(sr__cpu_reduce(&p), SR_DTYPE);
}

/* ---- cumulative sums and products ----------------------------------------------------------- */

/* Values whose sums or products (powers of two) are exact. */
static double scan_value(sr_scan kind, sr_dtype dtype) {
  if (kind == SR_SCAN_SUM) return floor(draw() * 2000 - 1000) / (dtype == SR_int64 ? 1 : 1024);
  static const double factors[] = {-2, -1, 1, 2, 0.5, -0.5};
  return factors[(int)(draw() * (dtype == SR_int64 ? 4 : 6))];
}

static void check_scan(sr_scan kind, sr_dtype dtype, sr_rows rows, bool backwards) {
  int64_t total = rows.outer * rows.n * rows.inner;
  for (int64_t i = 0; i < total; i++) set(dtype, x, i, scan_value(kind, dtype));
  ok(sr__cpu_scan(kind, dtype, &rows, x, out, backwards));
  for (int64_t o = 0; o < rows.outer; o++)
    for (int64_t j = 0; j < rows.inner; j++) {
      double so_far = kind == SR_SCAN_SUM ? 0 : 1;
      for (int64_t i = 0; i < rows.n; i++) {
        int64_t at = (o * rows.n + (backwards ? rows.n - 1 - i : i)) * rows.inner + j;
        double value = get(dtype, x, at);
        so_far = kind == SR_SCAN_SUM ? so_far + value : so_far * value;
        double right = dtype == SR_float32 ? (double)(float)so_far : so_far;
        assert_true(get(dtype, out, at) == right);
      }
    }
}

static void test_scans(void **state) {
  (void)state;
  static const sr_rows shapes[] = {{3, 17, 1}, {2, 5, 7}, {2, 50, 130}, {1, 1, 1}, {2, 0, 3}};
  for (int kind = SR_SCAN_SUM; kind <= SR_SCAN_PROD; kind++)
    for (int dtype = SR_float32; dtype <= SR_int64; dtype++)
      for (int backwards = 0; backwards < 2; backwards++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
          check_scan((sr_scan)kind, (sr_dtype)dtype, shapes[i], backwards);
}

#define X(isa)             \
  FOR_ISA(test_kinds, isa) \
  FOR_ISA(test_nan, isa)   \
  FOR_ISA(test_first_of_equals, isa) FOR_ISA(test_accuracy, isa) FOR_ISA(test_threads, isa)

int main(void) {
  const struct CMUnitTest tests[] = {
      SR_ISA_LIST(X) cmocka_unit_test(test_empty),
      cmocka_unit_test(test_scans),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
