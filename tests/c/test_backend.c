/* The table of pointwise functions, names of devices, the number of threads, and the choice
 * of instruction set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend/pointwise.h"
#include "backend_values.h"

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

static void test_isa(void **state) {
  (void)state;
  sr_isa best = sr__cpu_isa();
  ok(sr__cpu_use_isa(SR_ISA_baseline));
  assert_string_equal(sr_cpu_kernels(), "baseline");
  ok(sr__cpu_use_isa(best));
  assert_string_equal(sr_cpu_kernels(), sr__cpu_isa_name(best));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table),
      cmocka_unit_test(test_devices),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_isa),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
