/* Pointwise kernels of the CPU: every function, dtype and instruction set against a plain
 * loop; every layout, place and thread count against the dense result, bit by bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend/pointwise.h"
#include "backend_reference.h"
#include "backend_values.h"

enum { LARGEST = 1000, MANY = 70001, ELEMENT = 8 };
static const int64_t lengths[] = {1, 3, 15, 16, 17, 64, 255, 256, 257, LARGEST};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

/* ---- one function on one dtype ------------------------------------------------------------ */

typedef struct {
  const sr__pointwise_record *record;
  sr_map map;
  int inputs;
  bool gradient;
  sr_dtype dtype;
  const double *parameters;
} function;

static sr_dtype result_dtype(const function *f) {
  return f->record->info.returns_bool ? SR_bool : f->dtype;
}

/* An argument from the range of the line; integers a little wider, and never 0 where
 * they divide or negative where they are exponents. */
static double argument(const function *f) {
  const sr_pointwise_info *info = &f->record->info;
  if (f->dtype == SR_bool) return draw() < 0.5;
  if (f->dtype == SR_int64) {
    bool positive = f->map == SR_MAP_pow || f->map == SR_MAP_floor_divide;
    bool not_zero = f->map == SR_MAP_remainder || f->map == SR_MAP_fmod;
    double v = floor(draw() * 9) + (positive || not_zero ? 1 : -4);
    return not_zero && draw() < 0.5 ? -v : v;
  }
  return info->low + draw() * (info->high - info->low);
}

static void run(const function *f, const sr_loop *loop) {
  ok(sr__cpu_map(f->map, f->dtype, loop, f->parameters));
}

static void run_dense(const function *f, int64_t n, void *out, void *const in[3]) {
  sr_loop loop = {.ndim = 1, .operands = 1 + f->inputs, .size = {n}, .data = {out}};
  loop.stride[0][0] = 1;
  for (int k = 0; k < f->inputs; k++) {
    loop.stride[1 + k][0] = 1;
    loop.data[1 + k] = in[k];
  }
  run(f, &loop);
}

typedef struct {
  _Alignas(64) char in[3][MANY * ELEMENT], out[MANY * ELEMENT], other[MANY * ELEMENT];
} arrays;
static arrays a;
static void *const inputs[3] = {a.in[0], a.in[1], a.in[2]};

/* Arguments for n elements; y of a gradient is what the function gave. */
static void fill(const function *f, int64_t n) {
  for (int k = 0; k < f->inputs; k++)
    for (int64_t i = 0; i < n; i++)
      set(f->dtype, a.in[k], i, f->gradient && k == 0 ? 2 * draw() - 1 : argument(f));
  if (!f->gradient || f->record->info.arity != 1) return;
  function forward = *f;
  forward.map = f->record->forward;
  forward.inputs = 1;
  run_dense(&forward, n, a.in[2], (void *const[3]){a.in[1]});
}

/* ---- against the plain loop ------------------------------------------------------------------ */

static double ulp(sr_dtype dtype, double x) {
  int e;
  frexp(x, &e);
  return dtype == SR_float32 ? ldexp(1, (e < -125 ? -125 : e) - 24) : ldexp(1, e - 53);
}

/* Single functions are held to their bound in ulp; the others are sums and products of
 * numbers near 1, so a bound relative to 1 + |result| holds. */
static double allowed(const function *f, double right) {
  bool single = f->dtype == SR_float32 && !f->gradient;
  switch (single ? f->map : SR_MAPS) {
    case SR_MAP_exp: return 1.1 * ulp(SR_float32, right);
    case SR_MAP_expm1: return 2 * ulp(SR_float32, right);
    case SR_MAP_log: return 1 * ulp(SR_float32, right);
    case SR_MAP_tanh:
    case SR_MAP_sigmoid: return 3 * ulp(SR_float32, right);
    case SR_MAP_sin:
    case SR_MAP_cos:
    case SR_MAP_erf:
    case SR_MAP_log1p:
    case SR_MAP_pow: return 4 * ulp(SR_float32, right);
    case SR_MAP_add:
    case SR_MAP_sub:
    case SR_MAP_mul:
    case SR_MAP_div:
    case SR_MAP_sqrt: return 0.5 * ulp(SR_float32, right);
    default: return (f->dtype == SR_float32 ? 3e-6 : 1e-13) * (1 + fabs(right));
  }
}

static void compare(const function *f, int64_t n) {
  sr_dtype result = result_dtype(f);
  double p = f->parameters[0], q = f->parameters[1];
  for (int64_t i = 0; i < n; i++) {
    double in[3] = {0}, right;
    for (int k = 0; k < f->inputs; k++) in[k] = get(f->dtype, a.in[k], i);
    double got = get(result, a.out, i);
    if (!is_floating(f->dtype)) {
      int64_t whole[3] = {(int64_t)in[0], (int64_t)in[1], (int64_t)in[2]};
      right = (double)reference_integer(f->map, whole, INT64_MIN, INT64_MAX).integer;
    } else {
      if (f->dtype == SR_float32) p = (double)(float)p, q = (double)(float)q;
      value v = reference_floating(f->map, in, p, q);
      right = result == SR_bool ? (double)v.integer : v.number;
    }
    double tolerance = is_floating(f->dtype) && result != SR_bool ? allowed(f, right) : 0;
    if (!(fabs(got - right) <= tolerance))
      fail_msg(
          "%s (map %d) %s on %s, element %d of %d: (%.17g, %.17g, %.17g) gave %.17g, not %.17g",
          f->record->info.name, f->map, sr_dtype_name(f->dtype), sr_cpu_kernels(), (int)i, (int)n,
          in[0], in[1], in[2], got, right);
  }
}

/* ---- layouts: the same bits as the dense result ------------------------------------------------- */

static void expect_same(const function *f, int64_t n, const void *got, const void *right,
                        const char *layout) {
  size_t bytes = bytes_of(result_dtype(f));
  for (int64_t i = 0; i < n; i++)
    if (memcmp((const char *)got + (size_t)i * bytes, (const char *)right + (size_t)i * bytes,
               bytes))
      fail_msg("%s (map %d) on %s: element %d of %d differs, %s", f->record->info.name, f->map,
               sr_dtype_name(f->dtype), (int)i, (int)n, layout);
}

/* Each element alone, and all from an odd address on. */
static void check_places(const function *f, int64_t n) {
  size_t bytes = bytes_of(f->dtype), out = bytes_of(result_dtype(f));
  for (int64_t i = 0; i < n; i += 1 + n / 20) {
    void *in[3];
    for (int k = 0; k < f->inputs; k++) in[k] = a.in[k] + (size_t)i * bytes;
    run_dense(f, 1, a.other + (size_t)i * out, in);
    if (memcmp(a.other + (size_t)i * out, a.out + (size_t)i * out, out))
      fail_msg("%s: element %d of %d differs alone", f->record->info.name, (int)i, (int)n);
  }
  if (n < 2) return;
  void *in[3];
  for (int k = 0; k < f->inputs; k++) in[k] = a.in[k] + bytes;
  run_dense(f, n - 1, a.other, in);
  expect_same(f, n - 1, a.other, a.out + out, "from the second element on");
}

static void check_in_place(const function *f, int64_t n) {
  if (result_dtype(f) != f->dtype) return;
  size_t bytes = (size_t)n * bytes_of(f->dtype);
  for (int k = 0; k < f->inputs; k++) {
    void *in[3] = {inputs[0], inputs[1], inputs[2]};
    memcpy(a.other, a.in[k], bytes);
    in[k] = a.other;
    run_dense(f, n, a.other, in);
    expect_same(f, n, a.other, a.out, "in place");
  }
}

/* rows x columns with rows * columns <= n: operand `which` transposed (or all of them). */
static void check_transposed(const function *f, int64_t rows, int64_t columns, int which) {
  static arrays b;
  sr_loop loop = {.ndim = 2, .operands = 1 + f->inputs, .size = {rows, columns}};
  for (int k = 0; k <= f->inputs; k++) {
    bool turned = k == which || which < 0;
    size_t bytes = bytes_of(k ? f->dtype : result_dtype(f));
    loop.stride[k][0] = turned ? 1 : columns;
    loop.stride[k][1] = turned ? rows : 1;
    char *to = k ? b.in[k - 1] : b.out;
    loop.data[k] = to;
    if (!k) continue;
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < columns; j++)
        memcpy(to + (size_t)(i * loop.stride[k][0] + j * loop.stride[k][1]) * bytes,
               a.in[k - 1] + (size_t)(i * columns + j) * bytes, bytes);
  }
  run(f, &loop);
  size_t bytes = bytes_of(result_dtype(f));
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      memcpy(a.other + (size_t)(i * columns + j) * bytes,
             b.out + (size_t)(i * loop.stride[0][0] + j * loop.stride[0][1]) * bytes, bytes);
  expect_same(f, rows * columns, a.other, a.out, "transposed");
}

/* Operand k repeated along rows (stride 0, 1), along columns (1, 0), everywhere, or a number. */
static void check_repeated(const function *f, int64_t rows, int64_t columns, int k, int how) {
  static arrays b;
  size_t bytes = bytes_of(f->dtype);
  sr_loop loop = {.ndim = 2, .operands = 1 + f->inputs, .size = {rows, columns}, .data = {a.other}};
  loop.stride[0][0] = columns, loop.stride[0][1] = 1;
  void *dense[3] = {inputs[0], inputs[1], inputs[2]};
  for (int i = 0; i < f->inputs; i++) {
    loop.stride[1 + i][0] = columns, loop.stride[1 + i][1] = 1;
    loop.data[1 + i] = inputs[i];
  }
  loop.stride[1 + k][0] = how == 1, loop.stride[1 + k][1] = how == 0;
  if (how == 3) {
    loop.data[1 + k] = NULL;
    loop.number[1 + k] = f->dtype == SR_int64 ? sr_integer((int64_t)get(f->dtype, a.in[k], 0))
                                              : sr_number(get(f->dtype, a.in[k], 0));
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      memcpy(b.in[k] + (size_t)(i * columns + j) * bytes,
             a.in[k] + (size_t)(how == 0   ? j
                                : how == 1 ? i
                                           : 0) *
                           bytes,
             bytes);
  dense[k] = b.in[k];
  run_dense(f, rows * columns, b.out, dense);
  run(f, &loop);
  expect_same(f, rows * columns, a.other, b.out, "repeated");
}

static void check_threads(const function *f) {
  if (f->dtype != SR_float32) return;
  fill(f, MANY);
  run_dense(f, MANY, a.out, inputs);
  ok(sr_set_num_threads(2));
  run_dense(f, MANY, a.other, inputs);
  expect_same(f, MANY, a.other, a.out, "two threads");
  check_transposed(f, 35, 2000, 1);
  check_repeated(f, 100, 700, 0, 0);
  check_repeated(f, 14000, 5, f->inputs - 1, 0);
  check_repeated(f, 14000, 5, 0, 1);
  ok(sr_set_num_threads(1));
}

static void check_layouts(const function *f, int64_t n) {
  check_places(f, n);
  check_in_place(f, n);
  if (n == 64)
    for (int which = -1; which <= f->inputs; which++) check_transposed(f, 4, 16, which);
  if (n != 255 && n != LARGEST) return;
  int64_t rows = n == 255 ? 17 : 7, columns = n == 255 ? 15 : 130;
  for (int which = -1; which <= f->inputs; which++) check_transposed(f, rows, columns, which);
  for (int k = 0; k < f->inputs; k++)
    for (int how = 0; how < 4; how++) check_repeated(f, rows, columns, k, how);
}

/* ---- all functions -------------------------------------------------------------------------------- */

static void check_function(const function *f) {
  for (int i = 0; i < LENGTHS; i++) {
    fill(f, lengths[i]);
    run_dense(f, lengths[i], a.out, inputs);
    compare(f, lengths[i]);
    check_layouts(f, lengths[i]);
  }
  check_threads(f);
}

static bool exists(const function *f) {
  switch (f->record->kind) {
    case SR_FLOAT:
    case SR_INNER: return sr_dtype_is_floating(f->dtype);
    case SR_NUMBER: return f->dtype != SR_bool && (!f->gradient || f->dtype != SR_int64);
    default: return !f->gradient;
  }
}

static void check_all(sr_dtype dtype) {
  for (int op = 0; op < SR_OPS; op++) {
    const sr__pointwise_record *r = &sr__pointwise_table[op];
    function f = {r, r->forward, r->info.arity, false, dtype, r->info.defaults};
    if (exists(&f)) check_function(&f);
    f.gradient = true;
    f.inputs = 3;
    for (int k = 0; k < r->info.arity; k++) {
      f.map = r->grad[k];
      if (exists(&f) && !(r->uses[k] & SR_NO_GRADIENT)) check_function(&f);
    }
  }
}

static void test_functions(void **state) {
  USE_ISA(state);
  check_all(SR_float32);
  check_all(SR_float64);
  check_all(SR_int64);
  check_all(SR_bool);
}

/* ---- special values ---------------------------------------------------------------------------------- */

static void unary(sr_map map, sr_dtype dtype, int64_t n, void *y, void *x) {
  function f = {&sr__pointwise_table[0], map, 1, false, dtype, (const double[2]){0, 0}};
  run_dense(&f, n, y, (void *const[3]){x});
}

static void binary(sr_map map, sr_dtype dtype, int64_t n, void *y, void *x, void *z) {
  function f = {&sr__pointwise_table[0], map, 2, false, dtype, (const double[2]){0, 0}};
  run_dense(&f, n, y, (void *const[3]){x, z});
}

static void test_nan(void **state) {
  USE_ISA(state);
  float x[4] = {NAN, 1, NAN, -1}, z[4] = {0, NAN, NAN, 2}, y[4];
  binary(SR_MAP_minimum, SR_float32, 4, y, x, z);
  assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]) && y[3] == -1);
  binary(SR_MAP_maximum, SR_float32, 4, y, x, z);
  assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]) && y[3] == 2);
  unary(SR_MAP_relu, SR_float32, 4, y, x);
  assert_true(isnan(y[0]) && y[1] == 1 && isnan(y[2]) && y[3] == 0);
  uint8_t test[4];
  unary(SR_MAP_isnan, SR_float32, 4, test, x);
  assert_memory_equal(test, ((uint8_t[4]){1, 0, 1, 0}), 4);
  float s[4] = {INFINITY, -INFINITY, NAN, 3};
  unary(SR_MAP_isinf, SR_float32, 4, test, s);
  assert_memory_equal(test, ((uint8_t[4]){1, 1, 0, 0}), 4);
  unary(SR_MAP_isfinite, SR_float32, 4, test, s);
  assert_memory_equal(test, ((uint8_t[4]){0, 0, 0, 1}), 4);
  static const sr_map keep_nan[] = {SR_MAP_neg,     SR_MAP_abs,   SR_MAP_exp,   SR_MAP_expm1,
                                    SR_MAP_log,     SR_MAP_log2,  SR_MAP_log1p, SR_MAP_sqrt,
                                    SR_MAP_sin,     SR_MAP_cos,   SR_MAP_tanh,  SR_MAP_erf,
                                    SR_MAP_sigmoid, SR_MAP_gelu,  SR_MAP_silu,  SR_MAP_logsigmoid,
                                    SR_MAP_floor,   SR_MAP_clamp, SR_MAP_elu};
  for (size_t i = 0; i < sizeof keep_nan / sizeof *keep_nan; i++) {
    double d[1] = {NAN}, e[1];
    unary(keep_nan[i], SR_float32, 1, y, x);
    unary(keep_nan[i], SR_float64, 1, e, d);
    if (!isnan(y[0]) || !isnan(e[0])) fail_msg("map %d loses NaN", keep_nan[i]);
  }
}

static void test_signs_of_division(void **state) {
  USE_ISA(state);
  /* Python's and Lua's: the remainder has the sign of the divisor. */
  int64_t x[6] = {7, -7, 7, -7, INT64_MIN, 6}, z[6] = {2, 2, -2, -2, -1, 3}, y[6];
  binary(SR_MAP_floor_divide, SR_int64, 6, y, x, z);
  assert_memory_equal(y, ((int64_t[6]){3, -4, -4, 3, INT64_MIN, 2}), sizeof y);
  binary(SR_MAP_remainder, SR_int64, 6, y, x, z);
  assert_memory_equal(y, ((int64_t[6]){1, 1, -1, -1, 0, 0}), sizeof y);
  double a_[6] = {7, -7, 7, -7, 1, 5.5}, b_[6] = {2, 2, -2, -2, 0.1, -INFINITY}, c[6];
  binary(SR_MAP_floor_divide, SR_float64, 6, c, a_, b_);
  assert_memory_equal(c, ((double[6]){3, -4, -4, 3, 9, -1}), sizeof c);
  binary(SR_MAP_remainder, SR_float64, 4, c, a_, b_);
  assert_memory_equal(c, ((double[4]){1, 1, -1, -1}), 4 * sizeof *c);
  float f[3] = {1, -1, 0}, zero[3] = {0, 0, 0}, g[3];
  binary(SR_MAP_floor_divide, SR_float32, 3, g, f, zero);
  assert_true(g[0] == INFINITY && g[1] == -INFINITY && isnan(g[2]));
  binary(SR_MAP_remainder, SR_float32, 3, g, f, zero);
  assert_true(isnan(g[0]) && isnan(g[1]) && isnan(g[2]));
}

static void test_integers(void **state) {
  USE_ISA(state);
  int64_t x[4] = {INT64_MAX, INT64_MIN, 3, -2}, z[4] = {1, -1, 5, 3}, y[4];
  binary(SR_MAP_add, SR_int64, 4, y, x, z);
  assert_memory_equal(y, ((int64_t[4]){INT64_MIN, INT64_MAX, 8, 1}), sizeof y);
  unary(SR_MAP_neg, SR_int64, 2, y, x);
  assert_true(y[0] == -INT64_MAX && y[1] == INT64_MIN);
  unary(SR_MAP_abs, SR_int64, 2, y, x);
  assert_true(y[0] == INT64_MAX && y[1] == INT64_MIN);
  unary(SR_MAP_square, SR_int64, 1, y, x);
  assert_true(y[0] == 1);
  binary(SR_MAP_pow, SR_int64, 2, y, x + 2, z + 2);
  assert_true(y[0] == 243 && y[1] == -8);
}

/* Errors leave the result alone. */
static void test_integer_errors(void **state) {
  USE_ISA(state);
  int64_t x[3] = {1, 2, 3}, z[3] = {1, 0, 2}, y[3] = {42, 42, 42};
  sr_loop loop = {
      .ndim = 1, .operands = 3, .size = {3}, .stride = {{1}, {1}, {1}}, .data = {y, x, z}};
  assert_int_equal(sr__cpu_map(SR_MAP_floor_divide, SR_int64, &loop, NULL), SR_ARGUMENT);
  assert_non_null(strstr(sr_message(), "division by zero"));
  assert_int_equal(sr__cpu_map(SR_MAP_remainder, SR_int64, &loop, NULL), SR_ARGUMENT);
  z[1] = -1;
  assert_int_equal(sr__cpu_map(SR_MAP_pow, SR_int64, &loop, NULL), SR_ARGUMENT);
  loop.data[2] = NULL;
  loop.number[2] = sr_integer(0);
  assert_int_equal(sr__cpu_map(SR_MAP_remainder, SR_int64, &loop, NULL), SR_ARGUMENT);
  assert_int_equal(sr__cpu_map(SR_MAP_exp, SR_int64, &loop, NULL), SR_DTYPE);
  assert_non_null(strstr(sr_message(), "exp"));
  assert_true(y[0] == 42 && y[1] == 42 && y[2] == 42);
}

#define X(isa)                 \
  FOR_ISA(test_functions, isa) \
  FOR_ISA(test_nan, isa)       \
  FOR_ISA(test_integers, isa) FOR_ISA(test_signs_of_division, isa) FOR_ISA(test_integer_errors, isa)

int main(void) {
  const struct CMUnitTest tests[] = {SR_ISA_LIST(X)};
  return cmocka_run_group_tests(tests, start, NULL);
}
