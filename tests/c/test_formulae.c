/* The float32 functions of formulae.h over the whole range of arguments: error bounds in
 * units in the last place, and what C99 asks for zeros, infinities and NaN.
 *
 * Every 509th float32 number is tried, or all of them with SAROS_EXHAUSTIVE=1 (20 minutes). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/kernels.h"

enum { BATCH = 4096 };

static float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static double spacing(double right) {
  int e;
  double size = fabs(right) > (double)FLT_MAX ? (double)FLT_MAX : fabs(right);
  if (size < (double)FLT_MIN) return 0x1p-149;
  frexp(size, &e);
  return ldexp(1, e - 24);
}

/* Error in ulp; infinite where a special value is wrong. */
static double error_of(float got, double right) {
  float rounded = (float)right;
  if (isnan(right)) return isnan(got) ? 0 : INFINITY;
  if (isinf(right)) return (double)got == right ? 0 : INFINITY;
  if (right == 0) return got == 0 && signbit(got) == signbit(rounded) ? 0 : INFINITY;
  if (isinf(got)) return isinf(rounded) ? 0 : fabs((double)FLT_MAX - right) / spacing(right);
  return fabs((double)got - right) / spacing(right);
}

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }

typedef struct {
  const char *name;
  sr_map map;
  double (*right)(double);
  double bound;
  double flushed; /* results below it may come out as 0 */
} function;

static const function functions[] = {
    {"exp", SR_MAP_exp, exp, 1.02, 0},
    {"expm1", SR_MAP_expm1, expm1, 1.6, 0},
    {"log", SR_MAP_log, log, 0.85, 0},
    {"tanh", SR_MAP_tanh, tanh, 2.5, 0},
    {"sigmoid", SR_MAP_sigmoid, sigmoid, 2.5, (double)FLT_MIN},
};

static double error_at(const function *f, float x, float got) {
  double right = f->right((double)x);
  if (got == 0 && right >= 0 && right < f->flushed) return 0;
  return error_of(got, right);
}

static void check(const function *f, uint32_t step) {
  static float x[BATCH], y[BATCH];
  double worst = 0;
  float at = 0;
  for (uint64_t start = 0; start < UINT64_C(1) << 32; start += (uint64_t)BATCH * step) {
    for (uint32_t i = 0; i < BATCH; i++) x[i] = from_bits((uint32_t)start + i * step);
    sr_loop loop = {
        .ndim = 1, .operands = 2, .size = {BATCH}, .stride = {{1}, {1}}, .data = {y, x}};
    assert_int_equal(sr__cpu_map(f->map, SR_float32, &loop, NULL), SR_OK);
    for (int i = 0; i < BATCH; i++) {
      double error = error_at(f, x[i], y[i]);
      if (!(error <= worst)) worst = error, at = x[i];
    }
  }
  printf("%-8s on %s: %.3f ulp at %a\n", f->name, sr_cpu_kernels(), worst, (double)at);
  if (!(worst <= f->bound)) fail_msg("%s: %g ulp at %a", f->name, worst, (double)at);
}

static void test_bounds(void **state) {
  if (sr__cpu_use_isa((sr_isa)(intptr_t)*state)) skip();
  const char *exhaustive = getenv("SAROS_EXHAUSTIVE");
  uint32_t step = exhaustive && *exhaustive == '1' ? 1 : 509;
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) check(&functions[i], step);
}

static void test_special(void **state) {
  if (sr__cpu_use_isa((sr_isa)(intptr_t)*state)) skip();
  static const float special[] = {
      0.0f,     -0.0f,    INFINITY,  -INFINITY,  NAN,        -NAN,      FLT_MAX,   -FLT_MAX,
      FLT_MIN,  -FLT_MIN, 0x1p-149f, -0x1p-149f, 88.72283f,  88.72284f, -87.3365f, -103.97f,
      -103.98f, 1.0f,     89.0f,     -104.0f,    -17.32868f, 9.01f,     10.0f,     -10.0f};
  enum { N = sizeof special / sizeof *special };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    float y[N];
    sr_loop loop = {.ndim = 1,
                    .operands = 2,
                    .size = {N},
                    .stride = {{1}, {1}},
                    .data = {y, (void *)(uintptr_t)special}};
    assert_int_equal(sr__cpu_map(functions[i].map, SR_float32, &loop, NULL), SR_OK);
    for (int k = 0; k < N; k++) {
      double error = error_at(&functions[i], special[k], y[k]);
      if (!(error <= functions[i].bound))
        fail_msg("%s(%a) is %a", functions[i].name, (double)special[k], (double)y[k]);
    }
  }
}

static int start(void **state) {
  (void)state;
  return sr_start() != SR_OK;
}

#define FOR_ISA(test, isa) {#test "_" #isa, test, NULL, NULL, (void *)(intptr_t)SR_ISA_##isa},
#define X(isa) FOR_ISA(test_special, isa) FOR_ISA(test_bounds, isa)

int main(void) {
  const struct CMUnitTest tests[] = {SR_ISA_LIST(X)};
  return cmocka_run_group_tests(tests, start, NULL);
}
