/* Copies, conversions, fills, selection and dropout of the CPU, each against a plain
 * loop, on every instruction set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend_values.h"

enum { LARGEST = 1000, MANY = 70001 };

typedef struct {
  _Alignas(64) char in[3][MANY * 8], out[MANY * 8];
} arrays;
static arrays a;

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
  USE_ISA(state);
  for (int threads = 1; threads <= 2; threads++) {
    ok(sr_set_num_threads(threads));
    for (int from = 0; from < SR_DTYPES; from++) {
      for (int64_t i = 0; i < MANY; i++)
        set((sr_dtype)from, a.in[0], i,
            from == SR_bool ? draw() < 0.5 : floor(draw() * 40 - 20) / 4);
      for (int to = 0; to < SR_DTYPES; to++)
        for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
          check_copy((sr_dtype)to, (sr_dtype)from, &layouts[i]);
    }
  }
  ok(sr_set_num_threads(1));
}

static void test_convert_special(void **state) {
  USE_ISA(state);
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
  ok(sr__cpu_copy(
      SR_int64, SR_bool,
      &(sr_loop){.ndim = 1, .operands = 2, .size = {5}, .stride = {{1}, {1}}, .data = {y, odd}}));
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
  USE_ISA(state);
  for (int dtype = 0; dtype < SR_DTYPES; dtype++) {
    for (int64_t i = 0; i < LARGEST; i++) {
      a.in[0][i] = draw() < 0.5 ? 0 : 1;
      set((sr_dtype)dtype, a.in[1], i, floor(draw() * 2));
      set((sr_dtype)dtype, a.in[2], i, floor(draw() * 2));
    }
    sr_loop loop = {.ndim = 1,
                    .operands = 4,
                    .size = {LARGEST},
                    .stride = {{1}, {1}, {1}, {1}},
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
  USE_ISA(state);
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

#define X(isa)                       \
  FOR_ISA(test_copy, isa)            \
  FOR_ISA(test_convert_special, isa) \
  FOR_ISA(test_where, isa) FOR_ISA(test_dropout, isa)

int main(void) {
  const struct CMUnitTest tests[] = {SR_ISA_LIST(X) cmocka_unit_test(test_fill)};
  return cmocka_run_group_tests(tests, start, NULL);
}
