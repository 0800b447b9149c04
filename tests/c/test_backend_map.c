/* Pointwise kernels of the CPU: every function, dtype and instruction set against a plain
 * loop; every layout, place and thread count against the dense result, bit by bit.
 * Copies, conversions, selection, dropout and SGD. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/kernels.h"
#include "backend/pointwise.h"
#include "backend_reference.h"
#include "base/random.h"

enum { LARGEST = 1000, MANY = 70001, ELEMENT = 8 };
static const int64_t lengths[] = {1, 3, 15, 16, 17, 64, 255, 256, 257, LARGEST};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static void ok(sr_status status) {
  if (status) fail_msg("%s", sr_message());
}

/* Uniform in [0, 1), the same in each run. */
static double draw(void) {
  static uint64_t i;
  return sr__mask_word(7, i++) * 0x1p-32;
}

/* ---- one function on one dtype ------------------------------------------------------------ */

typedef struct {
  const sr__pointwise_record *record;
  sr_map map;
  int inputs;
  bool gradient;
  sr_dtype dtype;
  const double *parameters;
} function;

static size_t bytes_of(sr_dtype dtype) { return sr__cpu_bytes[dtype]; }
static sr_dtype result_dtype(const function *f) {
  return f->record->info.returns_bool ? SR_bool : f->dtype;
}

static void set(sr_dtype dtype, void *x, int64_t i, double v) {
  switch (dtype) {
    case SR_float32: ((float *)x)[i] = (float)v; break;
    case SR_float64: ((double *)x)[i] = v; break;
    case SR_int64: ((int64_t *)x)[i] = (int64_t)v; break;
    default: ((uint8_t *)x)[i] = (uint8_t)v;
  }
}

static double get(sr_dtype dtype, const void *x, int64_t i) {
  switch (dtype) {
    case SR_float32: return (double)((const float *)x)[i];
    case SR_float64: return ((const double *)x)[i];
    case SR_int64: return (double)((const int64_t *)x)[i];
    default: return ((const uint8_t *)x)[i];
  }
}

/* An argument from the range of the line; integers a little wider, and never 0 where
 * they divide or negative where they are exponents. */
static double argument(const function *f) {
  const sr_pointwise_info *info = &f->record->info;
  if (f->dtype == SR_bool) return draw() < 0.5;
  if (f->dtype == SR_int64) {
    bool positive = f->map == SR_MAP_pow || f->map == SR_MAP_floor_divide;
    double v = floor(draw() * 9) + (positive || f->map == SR_MAP_remainder ? 1 : -4);
    return f->map == SR_MAP_remainder && draw() < 0.5 ? -v : v;
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
    if (f->dtype == SR_int64 || f->dtype == SR_bool) {
      int64_t whole[3] = {(int64_t)in[0], (int64_t)in[1], (int64_t)in[2]};
      right = (double)reference_integer(f->map, whole, INT64_MIN, INT64_MAX).integer;
    } else {
      if (f->dtype == SR_float32) p = (double)(float)p, q = (double)(float)q;
      value v = reference_floating(f->map, in, p, q);
      right = result == SR_bool ? (double)v.integer : v.number;
    }
    bool floating = f->dtype == SR_float32 || f->dtype == SR_float64;
    double tolerance = floating && result != SR_bool ? allowed(f, right) : 0;
    if (!(fabs(got - right) <= tolerance))
      fail_msg("%s (map %d) %s on %s, element %d of %d: (%.17g, %.17g, %.17g) gave %.17g, not %.17g",
               f->record->info.name, f->map, sr_dtype_name(f->dtype), sr_cpu_kernels(), (int)i,
               (int)n, in[0], in[1], in[2], got, right);
  }
}

/* ---- layouts: the same bits as the dense result ------------------------------------------------- */

static void expect_same(const function *f, int64_t n, const void *got, const void *right,
                        const char *layout) {
  size_t bytes = bytes_of(result_dtype(f));
  for (int64_t i = 0; i < n; i++)
    if (memcmp((const char *)got + (size_t)i * bytes, (const char *)right + (size_t)i * bytes, bytes))
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
             a.in[k] + (size_t)(how == 0 ? j : how == 1 ? i : 0) * bytes, bytes);
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
    case SR_LOSS: return sr_dtype_is_floating(f->dtype);
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
  sr_isa isa = (sr_isa)(intptr_t)*state;
  if (sr__cpu_use_isa(isa)) skip();
  ok(sr_set_num_threads(1));
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
  (void)state;
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
  static const sr_map keep_nan[] = {SR_MAP_neg,    SR_MAP_abs,     SR_MAP_exp,     SR_MAP_expm1,
                                    SR_MAP_log,    SR_MAP_log2,    SR_MAP_log1p,   SR_MAP_sqrt,
                                    SR_MAP_sin,    SR_MAP_cos,     SR_MAP_tanh,    SR_MAP_erf,
                                    SR_MAP_sigmoid, SR_MAP_gelu,   SR_MAP_silu,    SR_MAP_logsigmoid,
                                    SR_MAP_floor,  SR_MAP_clamp,   SR_MAP_elu};
  for (size_t i = 0; i < sizeof keep_nan / sizeof *keep_nan; i++) {
    double d[1] = {NAN}, e[1];
    unary(keep_nan[i], SR_float32, 1, y, x);
    unary(keep_nan[i], SR_float64, 1, e, d);
    if (!isnan(y[0]) || !isnan(e[0])) fail_msg("map %d loses NaN", keep_nan[i]);
  }
}

static void test_signs_of_division(void **state) {
  (void)state;
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
  (void)state;
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
  (void)state;
  int64_t x[3] = {1, 2, 3}, z[3] = {1, 0, 2}, y[3] = {42, 42, 42};
  sr_loop loop = {.ndim = 1, .operands = 3, .size = {3}, .stride = {{1}, {1}, {1}},
                  .data = {y, x, z}};
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

/* ---- copies ------------------------------------------------------------------------------------------- */

static void check_copy(sr_dtype to, sr_dtype from, const sr_loop *layout) {
  sr_loop loop = *layout;
  loop.data[0] = a.out;
  loop.data[1] = a.in[0];
  ok(sr__cpu_copy(to, from, &loop));
  int64_t index[SR_MAX_DIMS] = {0};
  for (int d = 0; d >= 0;) {
    int64_t at[2] = {0, 0};
    for (int k = 0; k < 2; k++)
      for (int i = 0; i < loop.ndim; i++) at[k] += index[i] * loop.stride[k][i];
    double x = get(from, a.in[0], at[1]), y = get(to, a.out, at[0]);
    double right = to == SR_bool ? x != 0 : to == SR_int64 ? trunc(x) : x;
    if (to == SR_float32) right = (double)(float)right;
    if (y != right) fail_msg("copy %d from %d: %g became %g", to, from, x, y);
    for (d = loop.ndim - 1; d >= 0 && ++index[d] == loop.size[d]; d--) index[d] = 0;
  }
}

static const sr_loop layouts[] = {
    {.ndim = 1, .operands = 2, .size = {1}, .stride = {{1}, {1}}},
    {.ndim = 1, .operands = 2, .size = {257}, .stride = {{1}, {1}}},
    {.ndim = 1, .operands = 2, .size = {65}, .stride = {{1}, {0}}},
    {.ndim = 1, .operands = 2, .size = {65}, .stride = {{3}, {2}}},
    {.ndim = 2, .operands = 2, .size = {33, 47}, .stride = {{47, 1}, {1, 33}}},
    {.ndim = 2, .operands = 2, .size = {33, 47}, .stride = {{1, 33}, {47, 1}}},
    {.ndim = 2, .operands = 2, .size = {33, 47}, .stride = {{1, 33}, {1, 35}}},
    {.ndim = 2, .operands = 2, .size = {5, 3}, .stride = {{3, 1}, {1, 5}}},
    {.ndim = 2, .operands = 2, .size = {20, 30}, .stride = {{30, 1}, {0, 1}}},
    {.ndim = 2, .operands = 2, .size = {20, 30}, .stride = {{30, 1}, {1, 0}}},
    {.ndim = 3, .operands = 2, .size = {7, 19, 23}, .stride = {{437, 23, 1}, {1, 161, 7}}},
    {.ndim = 3, .operands = 2, .size = {7, 19, 23}, .stride = {{437, 23, 1}, {23, 161, 1}}},
    {.ndim = 3, .operands = 2, .size = {7, 19, 23}, .stride = {{1, 7, 133}, {437, 1, 19}}},
    {.ndim = 2, .operands = 2, .size = {260, 256}, .stride = {{256, 1}, {1, 260}}},
};

static void test_copy(void **state) {
  sr_isa isa = (sr_isa)(intptr_t)*state;
  if (sr__cpu_use_isa(isa)) skip();
  for (int threads = 1; threads <= 2; threads++) {
    ok(sr_set_num_threads(threads));
    for (int from = 0; from < SR_DTYPES; from++) {
      for (int64_t i = 0; i < MANY; i++)
        set((sr_dtype)from, a.in[0], i, from == SR_bool ? draw() < 0.5 : floor(draw() * 40 - 20) / 4);
      for (int to = 0; to < SR_DTYPES; to++)
        for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
          check_copy((sr_dtype)to, (sr_dtype)from, &layouts[i]);
    }
  }
  ok(sr_set_num_threads(1));
}

static void test_convert_special(void **state) {
  (void)state;
  double x[5] = {NAN, INFINITY, -1e300, -2.9, 0x1p62};
  int64_t y[5];
  sr_loop loop = {.ndim = 1, .operands = 2, .size = {5}, .stride = {{1}, {1}}, .data = {y, x}};
  ok(sr__cpu_copy(SR_int64, SR_float64, &loop));
  assert_memory_equal(y, ((int64_t[5]){INT64_MIN, INT64_MIN, INT64_MIN, -2, INT64_C(1) << 62}),
                      sizeof y);
  uint8_t b[5];
  loop.data[0] = b;
  ok(sr__cpu_copy(SR_bool, SR_float64, &loop));
  assert_memory_equal(b, ((uint8_t[5]){1, 1, 1, 1, 1}), 5);
  uint8_t odd[5] = {0, 1, 2, 255, 0}; /* any byte but 0 is true */
  loop.data[1] = odd;
  ok(sr__cpu_copy(SR_int64, SR_bool, &(sr_loop){.ndim = 1, .operands = 2, .size = {5},
                                                .stride = {{1}, {1}}, .data = {y, odd}}));
  assert_memory_equal(y, ((int64_t[5]){0, 1, 1, 1, 0}), sizeof y);
}

static void test_fill(void **state) {
  (void)state;
  int64_t whole[20];
  sr_loop loop = {.ndim = 1, .operands = 2, .size = {10}, .stride = {{2}, {0}}, .data = {whole}};
  memset(whole, 0, sizeof whole);
  loop.number[1] = sr_integer(INT64_MAX);
  ok(sr__cpu_copy(SR_int64, SR_int64, &loop));
  for (int i = 0; i < 20; i++) assert_true(whole[i] == (i % 2 ? 0 : INT64_MAX));
  float x[20] = {0};
  loop.data[0] = x;
  loop.number[1] = sr_number(0.5);
  ok(sr__cpu_copy(SR_float32, SR_float32, &loop));
  for (int i = 0; i < 20; i++) assert_true(x[i] == (i % 2 ? 0 : 0.5f));
}

static void test_where(void **state) {
  sr_isa isa = (sr_isa)(intptr_t)*state;
  if (sr__cpu_use_isa(isa)) skip();
  for (int dtype = 0; dtype < SR_DTYPES; dtype++) {
    for (int64_t i = 0; i < LARGEST; i++) {
      a.in[0][i] = draw() < 0.5 ? 0 : 1;
      set((sr_dtype)dtype, a.in[1], i, floor(draw() * 2));
      set((sr_dtype)dtype, a.in[2], i, floor(draw() * 2));
    }
    sr_loop loop = {.ndim = 1, .operands = 4, .size = {LARGEST}, .stride = {{1}, {1}, {1}, {1}},
                    .data = {a.out, a.in[0], a.in[1], a.in[2]}};
    for (int number = 0; number < 2; number++) {
      if (number) loop.data[3] = NULL, loop.number[3] = sr_integer(1);
      ok(sr__cpu_where((sr_dtype)dtype, &loop));
      for (int64_t i = 0; i < LARGEST; i++) {
        double other = number ? 1 : get((sr_dtype)dtype, a.in[2], i);
        double right = a.in[0][i] ? get((sr_dtype)dtype, a.in[1], i) : other;
        assert_true(get((sr_dtype)dtype, a.out, i) == right);
      }
    }
  }
}

/* ---- dropout and SGD ------------------------------------------------------------------------------------ */

static void test_dropout(void **state) {
  sr_isa isa = (sr_isa)(intptr_t)*state;
  if (sr__cpu_use_isa(isa)) skip();
  float *x = (float *)(void *)a.in[0], *y = (float *)(void *)a.out;
  for (int64_t i = 0; i < MANY; i++) x[i] = (float)draw() + 1;
  for (int threads = 1; threads <= 2; threads++) {
    ok(sr_set_num_threads(threads));
    ok(sr__cpu_dropout(SR_float32, MANY, 1234, UINT32_C(1) << 30, 4.0 / 3, x, y));
    int64_t dropped = 0;
    for (int64_t i = 0; i < MANY; i++) {
      bool keep = sr__mask_word(1234, (uint64_t)i) >= UINT32_C(1) << 30;
      dropped += !keep;
      assert_true(y[i] == (keep ? x[i] * (float)(4.0 / 3) : 0));
    }
    assert_true(labs((long)dropped - MANY / 4) < 500);
  }
  ok(sr_set_num_threads(1));
}

static void check_sgd(const sr_sgd_options *o, bool buffered) {
  enum { N = 37 };
  double p[N], g[N], b[N], right_p[N], right_b[N];
  for (int i = 0; i < N; i++) {
    p[i] = right_p[i] = draw(), g[i] = draw() - 0.5;
    b[i] = right_b[i] = o->first ? NAN : draw();
    double d = (o->maximize ? -g[i] : g[i]) + o->weight_decay * p[i];
    if (buffered) {
      right_b[i] = o->first ? d : o->momentum * b[i] + (1 - o->dampening) * d;
      d = o->nesterov ? d + o->momentum * right_b[i] : right_b[i];
    }
    right_p[i] -= o->lr * d;
  }
  ok(sr__cpu_sgd(SR_float64, N, p, g, buffered ? b : NULL, o));
  for (int i = 0; i < N; i++) {
    assert_true(fabs(p[i] - right_p[i]) < 1e-15);
    if (buffered) assert_true(fabs(b[i] - right_b[i]) < 1e-15);
  }
}

static void test_sgd(void **state) {
  sr_isa isa = (sr_isa)(intptr_t)*state;
  if (sr__cpu_use_isa(isa)) skip();
  for (int flags = 0; flags < 16; flags++) {
    sr_sgd_options o = {.lr = 0.1, .momentum = 0.9, .weight_decay = flags & 1 ? 0.01 : 0};
    o.maximize = flags & 2, o.first = flags & 4, o.nesterov = flags & 8;
    o.dampening = o.nesterov ? 0 : 0.3;
    check_sgd(&o, true);
    o.momentum = 0;
    check_sgd(&o, false);
  }
}

/* ---- the table -------------------------------------------------------------------------------------------- */

static void test_table(void **state) {
  (void)state;
  assert_int_equal(sr_pointwise_count(), SR_OPS);
  assert_int_equal(sr_pointwise_find("add"), SR_OP_add);
  assert_int_equal(sr_pointwise_find("nothing"), -1);
  assert_null(sr_pointwise_get(SR_OPS));
  const sr_pointwise_info *info = sr_pointwise_get(SR_OP_leaky_relu);
  assert_true(info->parameters == 1 && info->defaults[0] == 0.01 && info->arity == 1);
  assert_false(sr_pointwise_get(SR_OP_eq)->differentiable);
  assert_true(sr_pointwise_get(SR_OP_eq)->returns_bool);
  assert_false(sr_pointwise_get(SR_OP_squared_error)->in_place);
  const sr__pointwise_record *mul = &sr__pointwise_table[SR_OP_mul];
  assert_true(mul->uses[0] == SR_USES_B && mul->uses[1] == SR_USES_A);
}

static void test_devices(void **state) {
  (void)state;
  sr_device device = 7;
  char name[16];
  ok(sr_device_parse("cpu", &device));
  assert_int_equal(device, SR_CPU);
  assert_string_equal(sr_device_name(SR_CPU, name), "cpu");
  assert_string_equal(sr_device_name(2, name), "cuda:1");
  static const char *const wrong[] = {"", "gpu", "cuda:", "cuda:x", "cuda:1x", "CPU", "cuda:-1"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(sr_device_parse(wrong[i], &device), SR_DEVICE);
  assert_int_equal(sr_device_count("cpu"), 1);
  if (sr_device_count("cuda") == 0) {
    assert_int_equal(sr_device_parse("cuda", &device), SR_DEVICE);
    assert_non_null(strstr(sr_message(), "no CUDA backend"));
  }
}

static void test_threads(void **state) {
  (void)state;
  assert_int_equal(sr_set_num_threads(0), SR_ARGUMENT);
  assert_int_equal(sr_set_num_threads(1025), SR_ARGUMENT);
  ok(sr_set_num_threads(3));
  assert_int_equal(sr_num_threads(), 3);
  ok(sr_set_num_threads(1));
}

static int start(void **state) {
  (void)state;
  return sr_start() != SR_OK;
}

#define FOR_ISA(test, isa) \
  { #test "_" #isa, test, NULL, NULL, (void *)(intptr_t)SR_ISA_##isa },
#define X(isa)                                                                            \
  FOR_ISA(test_functions, isa) FOR_ISA(test_copy, isa) FOR_ISA(test_where, isa)           \
  FOR_ISA(test_dropout, isa) FOR_ISA(test_sgd, isa)

int main(void) {
  const struct CMUnitTest tests[] = {
      SR_ISA_LIST(X)
      cmocka_unit_test(test_nan),
      cmocka_unit_test(test_signs_of_division),
      cmocka_unit_test(test_integers),
      cmocka_unit_test(test_integer_errors),
      cmocka_unit_test(test_convert_special),
      cmocka_unit_test(test_fill),
      cmocka_unit_test(test_table),
      cmocka_unit_test(test_devices),
      cmocka_unit_test(test_threads),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
