/* Tensors as text: PyTorch's layout, the header, views, large tensors, lack of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format_cases.h"
#include "tensor/tensor.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void ok(sr_status status) {
  if (status) fail_msg("%s", sr_message());
}

static const sr_print_options bare = {
    .precision = 4, .threshold = 1000, .edge_items = 3, .line_width = 80, .header = false};

/* Takes the tensor over. */
static void expect(sr_tensor *t, const sr_print_options *options, const char *text) {
  sr_text got = {0};
  ok(sr_tensor_format(t, options, &got));
  assert_string_equal(got.bytes, text);
  assert_int_equal(got.size, strlen(text));
  sr_text_free(&got);
  sr_tensor_release(t);
}

static int64_t numel(const format_case *c) {
  int64_t n = 1;
  for (int d = 0; d < c->ndim; d++) n *= c->sizes[d];
  return n;
}

static sr_tensor *range(sr_dtype dtype, int ndim, const int64_t *sizes, int64_t n) {
  sr_tensor *flat, *shaped;
  ok(sr_tensor_arange(dtype, sr_integer(0), sr_integer(n), sr_integer(1), SR_CPU, &flat));
  int64_t strides[SR_MAX_DIMS], stride = 1;
  for (int d = ndim - 1; d >= 0; stride *= sizes[d--]) strides[d] = stride;
  ok(sr__alias(flat, ndim, sizes, strides, 0, &shaped));
  sr_tensor_release(flat);
  return shaped;
}

static sr_tensor *tensor_of(const format_case *c) {
  if (!c->values) return range(c->dtype, c->ndim, c->sizes, numel(c));
  sr_tensor *t;
  ok(sr_tensor_from(c->dtype, c->ndim, c->sizes, c->values, SR_CPU, &t));
  return t;
}

static void prints_as_pytorch(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(format_cases); i++) {
    print_message("%s\n", format_cases[i].name);
    expect(tensor_of(&format_cases[i]), &bare, format_cases[i].text);
  }
}

/* Each case again through strides: sizes reversed in memory, every second element used. */
static void prints_views(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(format_cases); i++) {
    const format_case *c = &format_cases[i];
    sr_tensor *source = tensor_of(c), *room, *view;
    int64_t n = 2 * numel(c) + 3, strides[SR_MAX_DIMS], stride = 2;
    for (int d = 0; d < c->ndim; stride *= c->sizes[d++]) strides[d] = stride;
    ok(sr_tensor_full(c->dtype, 1, &n, sr_integer(1), SR_CPU, &room));
    ok(sr__alias(room, c->ndim, c->sizes, strides, 3, &view));
    ok(sr__copy_into(view, source));
    sr_tensor_release(source);
    sr_tensor_release(room);
    expect(view, &bare, c->text);
  }
}

/* ---- header ----------------------------------------------------------------------------- */

static sr_tensor *floats(int64_t n, const float *values) {
  sr_tensor *t;
  ok(sr_tensor_from(SR_float32, 1, &n, values, SR_CPU, &t));
  return t;
}

static sr_tensor *full(sr_dtype dtype, int ndim, const int64_t *sizes, double value) {
  sr_tensor *t;
  ok(sr_tensor_full(dtype, ndim, sizes, sr_number(value), SR_CPU, &t));
  return t;
}

static void header_names_dtype_and_shape(void **state) {
  (void)state;
  expect(range(SR_float32, 2, (int64_t[]){2, 2}, 4), NULL,
         "float32 [2, 2]\n[[0., 1.],\n [2., 3.]]");
  expect(range(SR_int64, 1, (int64_t[]){3}, 3), NULL, "int64 [3]\n[0, 1, 2]");
  expect(full(SR_float64, 2, (int64_t[]){2, 0}, 0), NULL, "float64 [2, 0]\n[]");
  expect(full(SR_bool, 1, (int64_t[]){2}, 1), NULL, "bool [2]\n[true, true]");
  expect(full(SR_float64, 0, NULL, 0.53123), NULL, "0.5312");
}

static void header_counts_odd_values(void **state) {
  (void)state;
  expect(floats(2, (float[]){NAN, 1}), NULL, "float32 [2] (1 nan)\n[nan, 1.]");
  expect(floats(2, (float[]){INFINITY, -INFINITY}), NULL, "float32 [2] (2 inf)\n[inf, -inf]");
  expect(floats(3, (float[]){NAN, -NAN, INFINITY}), NULL,
         "float32 [3] (2 nan, 1 inf)\n[nan, nan, inf]");
}

static void header_counts_what_is_not_shown(void **state) {
  (void)state;
  int64_t n = 200000;
  sr_tensor *t = full(SR_float64, 1, &n, 1), *matrix, *turned;
  double *x = sr_tensor_data(t);
  x[100000] = x[150001] = NAN;
  x[99999] = INFINITY;
  ok(sr__alias(t, 2, (int64_t[]){400, 500}, (int64_t[]){500, 1}, 0, &matrix));
  ok(sr__alias(t, 2, (int64_t[]){500, 400}, (int64_t[]){1, 500}, 0, &turned));
  expect(t, NULL, "float64 [200000] (2 nan, 1 inf)\n[1., 1., 1.,  ..., 1., 1., 1.]");
  sr_tensor *both[] = {matrix, turned};
  for (int i = 0; i < 2; i++) {
    sr_text text = {0};
    ok(sr_tensor_format(both[i], NULL, &text));
    assert_non_null(strstr(text.bytes, "] (2 nan, 1 inf)\n"));
    sr_text_free(&text);
    sr_tensor_release(both[i]);
  }
}

static void header_tells_gradient(void **state) {
  (void)state;
  sr_tensor *x = floats(1, (float[]){0}), *y, *number;
  ok(sr_set_requires_grad(x, true));
  ok(sr_unary("tanh", x, &y));
  ok(sr_sum(y, &(sr_dims){0}, &number));
  expect(number, NULL, "0.");
  expect(y, NULL, "float32 [1] grad_fn=tanh\n[0.]");
  expect(x, NULL, "float32 [1] requires_grad\n[0.]");
}

/* ---- large tensors ---------------------------------------------------------------------- */

/* One value repeated 2^40 times: only what is shown is read. */
static void huge_tensor_prints_at_once(void **state) {
  (void)state;
  sr_tensor *one = full(SR_float32, 1, (int64_t[]){1}, NAN), *huge;
  int64_t side = INT64_C(1) << 20;
  ok(sr__alias(one, 2, (int64_t[]){side, side}, (int64_t[]){0, 0}, 0, &huge));
  sr_tensor_release(one);
  const char row[] = "[nan, nan, nan,  ..., nan, nan, nan]";
  char text[1000];
  snprintf(text, sizeof text,
           "float32 [1048576, 1048576] (36 nan among those shown)\n[%s,\n %s,\n %s,\n ...,\n %s,\n"
           " %s,\n %s]",
           row, row, row, row, row, row);
  expect(huge, NULL, text);
}

static void threshold_is_1000(void **state) {
  (void)state;
  for (int64_t n = 1000; n <= 1001; n++) {
    sr_text text = {0};
    sr_tensor *t = range(SR_int64, 1, &n, n);
    ok(sr_tensor_format(t, NULL, &text));
    assert_int_equal(strstr(text.bytes, "...") != NULL, n > 1000);
    sr_text_free(&text);
    sr_tensor_release(t);
  }
}

/* Values that are not shown have no part in the choice of the style. */
static void hidden_values_do_not_count(void **state) {
  (void)state;
  int64_t n = 1200;
  sr_tensor *t = full(SR_float32, 1, &n, 2);
  ((float *)sr_tensor_data(t))[600] = 1e9f;
  ((float *)sr_tensor_data(t))[500] = 0.5f;
  expect(t, &bare, "[2., 2., 2.,  ..., 2., 2., 2.]");
}

/* ---- options ---------------------------------------------------------------------------- */

static void takes_options(void **state) {
  (void)state;
  sr_print_options o = bare;
  o.precision = 2;
  expect(floats(2, (float[]){0.126f, -1}), &o, "[ 0.13, -1.00]");
  o.threshold = 5;
  o.edge_items = 1;
  expect(range(SR_int64, 1, (int64_t[]){6}, 6), &o, "[0,  ..., 5]");
  o.threshold = 1000;
  o.line_width = 10;
  expect(range(SR_int64, 1, (int64_t[]){6}, 6), &o, "[0, 1, 2,\n 3, 4, 5]");
}

static void takes_strange_options(void **state) {
  (void)state;
  sr_print_options o = {.precision = -1, .threshold = -1, .edge_items = -5, .line_width = -3};
  expect(floats(3, (float[]){0.6f, 2, 3}), &o, "[1,\n  ...,\n 3]");
  o = (sr_print_options){.precision = 1000000, .threshold = 5, .edge_items = 1, .line_width = 1};
  expect(floats(1, (float[]){0.5f}), &o, "[0.5000000000000000000000000000000000000000]");
}

/* ---- lack of memory --------------------------------------------------------------------- */

static void fails_without_memory(void **state) {
  (void)state;
  sr_tensor *t = range(SR_float32, 2, (int64_t[]){50, 40}, 2000);
  int64_t before = sr_memory_stats().live_blocks;
  int64_t failures = 0;
  for (sr_status status = SR_MEMORY; status; failures++) {
    sr_text text = {0};
    sr_memory_fail_at(failures + 1, true);
    status = sr_tensor_format(t, NULL, &text);
    sr_memory_fail_at(0, false);
    if (status) assert_int_equal(status, SR_MEMORY);
    if (status) assert_null(text.bytes);
    sr_text_free(&text);
    assert_int_equal(sr_memory_stats().live_blocks, before);
  }
  assert_true(failures > 3);
  sr_tensor_release(t);
}

static int start(void **state) {
  (void)state;
  return sr_start();
}

static int nothing_left(void **state) {
  (void)state;
  return sr_memory_stats().live_blocks != 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(prints_as_pytorch),
      cmocka_unit_test(prints_views),
      cmocka_unit_test(header_names_dtype_and_shape),
      cmocka_unit_test(header_counts_odd_values),
      cmocka_unit_test(header_counts_what_is_not_shown),
      cmocka_unit_test(header_tells_gradient),
      cmocka_unit_test(huge_tensor_prints_at_once),
      cmocka_unit_test(threshold_is_1000),
      cmocka_unit_test(hidden_values_do_not_count),
      cmocka_unit_test(takes_options),
      cmocka_unit_test(takes_strange_options),
      cmocka_unit_test(fails_without_memory),
  };
  return cmocka_run_group_tests(tests, start, nothing_left);
}
