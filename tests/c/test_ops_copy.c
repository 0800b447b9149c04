/* test_ops_copy.c: copies, conversions, choices, and writes in place: values, gradients
 * by finite differences, what a write may and may not touch. */
#include "gradcheck.h"

static sr_tensor *six(void) { return counting(SR_float64, SIZES(2, 3)); }
#define NUMBER(x) ((sr_operand){.number = sr_number(x)})
#define INTEGER(x) ((sr_operand){.number = sr_integer(x)})
#define TENSOR(x) ((sr_operand){.tensor = (x)})

/* ---- copies and writes ------------------------------------------------------------------------ */

static void copies(void **state) {
  (void)state;
  sr_tensor *x = six(), *t, *y;
  OK(sr_clone(x, &y));
  assert_false(sr_tensor_shares_storage(x, y));
  sr_tensor_release(y);
  OK(sr_contiguous(x, &y));
  assert_ptr_equal(x, y);
  sr_tensor_release(y);
  OK(sr_t(x, &t));
  OK(sr_contiguous(t, &y));
  assert_true(sr_tensor_is_contiguous(y));
  EXPECT(y, SR_float64, SIZES(3, 2), VALUES(1, 4, 2, 5, 3, 6));
  sr_tensor_release(t);
  OK(sr_to(x, SR_float64, SR_CPU, &y));
  assert_ptr_equal(x, y);
  sr_tensor_release(y);
  OK(sr_to(leaf(x), SR_int64, SR_CPU, &y));
  assert_false(sr_requires_grad(y));
  EXPECT(y, SR_int64, SIZES(2, 3), VALUES(1, 2, 3, 4, 5, 6));
  sr_tensor_release(x);
}

static void writes(void **state) {
  (void)state;
  sr_tensor *x = six(), *i = counting(SR_int64, SIZES(3)), *y;
  OK(sr_fill_(i, sr_number(-2.9)));
  EXPECT(sr_tensor_retain(i), SR_int64, SIZES(3), VALUES(-2, -2, -2));
  FAILS(sr_fill_(i, sr_number(NAN)), SR_ARGUMENT, "fill_: nan does not fit int64");
  FAILS(sr_fill_(i, sr_number(1e30)), SR_ARGUMENT, "does not fit int64");
  FAILS(sr_fill_(i, sr_number(0x1p63)), SR_ARGUMENT, "does not fit int64");
  OK(sr_copy_(x, i));
  EXPECT(sr_tensor_retain(x), SR_float64, SIZES(2, 3), VALUES(-2, -2, -2, -2, -2, -2));
  FAILS(sr_copy_(i, x), SR_SHAPE, "copy_: the source has shape [2, 3], which does not broadcast");
  OK(sr_slice(x, 1, 0, 2, 2, &y));
  OK(sr_assign(x, y, NUMBER(1)));
  EXPECT(sr_tensor_retain(x), SR_float64, SIZES(2, 3), VALUES(1, -2, 1, 1, -2, 1));
  sr_tensor_release(y);
  OK(sr_select(x, 0, 1, &y));
  sr_tensor *row = counting(SR_float32, SIZES(1, 1, 3)); /* leading ones are no matter */
  OK(sr_assign(x, y, TENSOR(row)));
  EXPECT(sr_tensor_retain(x), SR_float64, SIZES(2, 3), VALUES(1, -2, 1, 1, 2, 3));
  FAILS(sr_assign(x, y, TENSOR(x)), SR_SHAPE, "assign: the value has shape [2, 3]");
  FAILS(sr_assign(x, i, NUMBER(1)), SR_ARGUMENT, "assign: the region of shape [3] is not a part");
  FAILS(sr_assign(y, x, NUMBER(1)), SR_ARGUMENT, "not a part");
  FAILS(sr_assign(i, i, NUMBER(INFINITY)), SR_ARGUMENT, "assign: inf does not fit int64");
  sr_tensor_release(row);
  sr_tensor_release(y);
  sr_tensor_release(i);
  sr_tensor_release(x);
}

static void overlapping_writes(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float32, SIZES(6)), *to, *from;
  OK(sr_narrow(x, 0, 1, 5, &to));
  OK(sr_narrow(x, 0, 0, 5, &from));
  OK(sr_assign(x, to, TENSOR(from)));
  EXPECT(sr_tensor_retain(x), SR_float32, SIZES(6), VALUES(1, 1, 2, 3, 4, 5));
  OK(sr_copy_(from, to));
  EXPECT(sr_tensor_retain(x), SR_float32, SIZES(6), VALUES(1, 2, 3, 4, 5, 5));
  sr_tensor_release(to);
  sr_tensor_release(from);
  sr_tensor_release(x);
  enum { N = 40 };
  x = counting(SR_int64, SIZES(N, N));
  OK(sr_t(x, &from));
  OK(sr_copy_(x, from)); /* elements change places */
  const int64_t *values = sr_tensor_data(x);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) assert_true(values[i * N + j] == j * N + i + 1);
  sr_tensor_release(from);
  sr_tensor_release(x);
}

static void choices(void **state) {
  (void)state;
  sr_tensor *c = tensor(SR_bool, SIZES(3), VALUES(1, 0, 1)), *x = six(), *y;
  sr_tensor *i = counting(SR_int64, SIZES(2, 1));
  OK(sr_where(c, TENSOR(x), TENSOR(i), &y));
  EXPECT(y, SR_float64, SIZES(2, 3), VALUES(1, 1, 3, 4, 2, 6));
  OK(sr_where(c, INTEGER(1), INTEGER(2), &y));
  EXPECT(y, SR_int64, SIZES(3), VALUES(1, 2, 1));
  OK(sr_where(c, NUMBER(0.5), INTEGER(2), &y));
  EXPECT(y, SR_float32, SIZES(3), VALUES(0.5, 2, 0.5));
  OK(sr_where(c, TENSOR(i), NUMBER(0.5), &y));
  EXPECT(y, SR_float32, SIZES(2, 3), VALUES(1, 0.5, 1, 2, 0.5, 2));
  OK(sr_where(c, TENSOR(c), INTEGER(0), &y));
  EXPECT(y, SR_int64, SIZES(3), VALUES(1, 0, 1));
  FAILS(sr_where(x, TENSOR(x), TENSOR(x), &y), SR_DTYPE,
        "where: the condition must be bool, got float64");
  sr_tensor *four = counting(SR_float64, SIZES(4));
  FAILS(sr_where(c, TENSOR(x), TENSOR(four), &y), SR_SHAPE, "where: shapes [2, 3] and [4]");
  OK(sr_masked_fill(x, c, sr_number(9), &y));
  EXPECT(y, SR_float64, SIZES(2, 3), VALUES(9, 2, 9, 9, 5, 9));
  OK(sr_masked_fill(i, c, sr_number(-1.5), &y)); /* the shape grows */
  EXPECT(y, SR_int64, SIZES(2, 3), VALUES(-1, 1, -1, -1, 2, -1));
  OK(sr_masked_fill_(x, c, sr_integer(0)));
  EXPECT(sr_tensor_retain(x), SR_float64, SIZES(2, 3), VALUES(0, 2, 0, 0, 5, 0));
  FAILS(sr_masked_fill_(i, c, sr_integer(0)), SR_SHAPE,
        "masked_fill_: the mask has shape [3], which does not broadcast to [2, 1]");
  FAILS(sr_masked_fill_(x, i, sr_integer(0)), SR_DTYPE, "masked_fill_: the mask must be bool");
  FAILS(sr_masked_fill(i, c, sr_number(NAN), &y), SR_ARGUMENT, "masked_fill: nan");
  sr_tensor_release(four);
  sr_tensor_release(i);
  sr_tensor_release(x);
  sr_tensor_release(c);
}

/* ---- in place and gradients --------------------------------------------------------------------- */

static void leaves_are_protected(void **state) {
  (void)state;
  sr_tensor *x = leaf(six()), *region, *c = tensor(SR_bool, SIZES(3), VALUES(1, 0, 1));
  FAILS(sr_fill_(x, sr_number(0)), SR_STATE, "fill_: a leaf");
  FAILS(sr_copy_(x, x), SR_STATE, "copy_: a leaf");
  FAILS(sr_masked_fill_(x, c, sr_number(0)), SR_STATE, "masked_fill_: a leaf");
  sr_set_grad_enabled(false);
  OK(sr_select(x, 0, 0, &region));
  OK(sr_fill_(region, sr_number(0))); /* inside no_grad */
  sr_set_grad_enabled(true);
  FAILS(sr_assign(x, region, NUMBER(0)), SR_STATE, "assign: a leaf");
  EXPECT(sr_tensor_retain(x), SR_float64, SIZES(2, 3), VALUES(0, 0, 0, 4, 5, 6));
  sr_tensor_release(region);
  sr_tensor_release(c);
  sr_tensor_release(x);
}

/* Values of other dtypes take values but no gradient. */
static void integers_take_no_gradient(void **state) {
  (void)state;
  sr_tensor *x = leaf(six()), *i = counting(SR_int64, SIZES(2, 3));
  OK(sr_copy_(i, x));
  assert_false(sr_requires_grad(i));
  OK(sr_assign(i, i, TENSOR(x)));
  assert_false(sr_requires_grad(i));
  sr_tensor_release(i);
  sr_tensor_release(x);
}

static void fill_rows(sr_tensor *x, sr_tensor *value, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    sr_tensor *row;
    sr_set_grad_enabled(false);
    OK(sr_select(x, 0, i, &row));
    sr_set_grad_enabled(true);
    OK(sr_assign(x, row, TENSOR(value)));
    sr_tensor_release(row);
  }
}

/* Writing T rows makes no second gradient of the whole either. */
static void assignments_cost_their_size(void **state) {
  (void)state;
  enum { T = 500, D = 64 };
  sr_tensor *x = counting(SR_float64, SIZES(T, D)), *v = leaf(counting(SR_float64, SIZES(D)));
  sr_tensor *total;
  fill_rows(x, v, T);
  OK(sr_sum(x, NULL, &total));
  int64_t before = sr_memory_stats().live_bytes;
  OK(sr_backward(total, NULL, false));
  assert_true(sr_memory_stats().peak_bytes < before + 3 * T * D * 8 / 2);
  const double *grad = sr_tensor_data(sr_grad(v));
  for (int i = 0; i < D; i++) assert_true(grad[i] == T);
  sr_tensor_release(total);
  sr_tensor_release(v);
  sr_tensor_release(x);
}

/* What is wholly overwritten was used all the same: its gradient is 0, not absent. */
static void overwritten_values_have_gradient_zero(void **state) {
  (void)state;
  for (int by = 0; by < 3; by++) {
    sr_tensor *a = leaf(six()), *x, *g, *value = six();
    OK(sr_clone(a, &x));
    if (by == 0) OK(sr_fill_(x, sr_number(1)));
    if (by == 1) OK(sr_copy_(x, value));
    if (by == 2) OK(sr_assign(x, x, NUMBER(1)));
    OK(sr_gradients(1, &x, &value, 1, &a, false, false, &g));
    EXPECT(g, SR_float64, SIZES(2, 3), VALUES(0, 0, 0, 0, 0, 0));
    sr_tensor_release(value);
    sr_tensor_release(x);
    sr_tensor_release(a);
  }
}

/* The gradient that a caller keeps is not written to. */
static void kept_gradients_stay(void **state) {
  (void)state;
  sr_tensor *a = leaf(six()), *x, *region, *total, *g;
  OK(sr_clone(a, &x));
  sr_set_grad_enabled(false);
  OK(sr_select(x, 0, 0, &region));
  sr_set_grad_enabled(true);
  OK(sr_assign(x, region, NUMBER(0)));
  OK(sr_retain_grad(x));
  OK(sr_sum(x, NULL, &total));
  OK(sr_gradients(1, &total, NULL, 1, &x, true, false, &g));
  EXPECT(g, SR_float64, SIZES(2, 3), VALUES(1, 1, 1, 1, 1, 1));
  OK(sr_backward(total, NULL, false));
  EXPECT(sr_tensor_retain(sr_grad(x)), SR_float64, SIZES(2, 3), VALUES(1, 1, 1, 1, 1, 1));
  EXPECT(sr_tensor_retain(sr_grad(a)), SR_float64, SIZES(2, 3), VALUES(0, 0, 0, 1, 1, 1));
  sr_tensor_release(total);
  sr_tensor_release(region);
  sr_tensor_release(x);
  sr_tensor_release(a);
}

static void a_given_gradient_stays(void **state) {
  (void)state;
  sr_tensor *a = leaf(six()), *x, *region, *g = six();
  OK(sr_clone(a, &x));
  sr_set_grad_enabled(false);
  OK(sr_select(x, 1, 0, &region));
  sr_set_grad_enabled(true);
  OK(sr_assign(x, region, NUMBER(0)));
  OK(sr_backward(x, g, false));
  EXPECT(g, SR_float64, SIZES(2, 3), VALUES(1, 2, 3, 4, 5, 6));
  EXPECT(sr_tensor_retain(sr_grad(a)), SR_float64, SIZES(2, 3), VALUES(0, 2, 3, 0, 5, 6));
  sr_tensor_release(region);
  sr_tensor_release(x);
  sr_tensor_release(a);
}

/* ---- gradients by differences --------------------------------------------------------------- */

#define CASE(name, call) \
  static sr_status name(sr_tensor *const *x, sr_tensor **y) { return call; }

CASE(clone_case, sr_clone(x[0], y))
CASE(contiguous_case, sr_contiguous(x[0], y))

static const uint8_t mask_bytes[12] = {1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0};

static sr_status with_mask(int ndim, const int64_t *size, sr_tensor **mask) {
  return sr_tensor_from(SR_bool, ndim, size, mask_bytes, SR_CPU, mask);
}

static sr_status where_case(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *c;
  sr_status status = with_mask(SIZES(3, 4), &c);
  if (status) return status;
  status = sr_where(c, TENSOR(x[0]), TENSOR(x[1]), y);
  sr_tensor_release(c);
  return status;
}

static sr_status where_number_case(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *c;
  sr_status status = with_mask(SIZES(2, 1, 4), &c);
  if (status) return status;
  status = sr_where(c, NUMBER(0.5), TENSOR(x[0]), y);
  sr_tensor_release(c);
  return status;
}

static sr_status masked_fill_case(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *c;
  sr_status status = with_mask(SIZES(2, 3, 1, 2), &c);
  if (status) return status;
  status = sr_masked_fill(x[0], c, sr_number(3), y);
  sr_tensor_release(c);
  return status;
}

/* What in-place operations are tried on: x squared, whose gradient needs x as it was. */
static sr_status squared(sr_tensor *x, sr_tensor **y) { return sr_unary("square", x, y); }

static sr_status after(sr_status status, sr_tensor **y) {
  if (!status) return status;
  sr_tensor_release(*y);
  *y = NULL;
  return status;
}

static sr_status masked_fill_in_place(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *c;
  sr_status status = squared(x[0], y);
  if (status) return status;
  status = with_mask(SIZES(3, 4), &c);
  if (status) return after(status, y);
  status = sr_masked_fill_(*y, c, sr_number(3));
  sr_tensor_release(c);
  return after(status, y);
}

static sr_status fill_in_place(sr_tensor *const *x, sr_tensor **y) {
  sr_status status = squared(x[0], y);
  if (status) return status;
  return after(sr_fill_(*y, sr_number(3)), y);
}

static sr_status copy_in_place(sr_tensor *const *x, sr_tensor **y) {
  sr_status status = squared(x[0], y);
  if (status) return status;
  return after(sr_copy_(*y, x[1]), y);
}

/* y = x0^2 [permuted]; y[.., 2, ..][.., 1:4:2] = x1; y[0] = 5 y[1]'s old value */
static sr_status assign_to(sr_tensor *y, sr_tensor *value) {
  sr_tensor *row = NULL, *region = NULL;
  bool recording = sr_set_grad_enabled(false);
  sr_status status = sr_select(y, 1, 2, &row);
  if (!status) status = sr_slice(row, 1, 1, 2, 2, &region);
  sr_set_grad_enabled(recording);
  sr_tensor_release(row);
  if (!status) status = sr_assign(y, region, TENSOR(value));
  sr_tensor_release(region);
  return status;
}

/* y[0] = y[1], after which y is read again */
static sr_status assign_row(sr_tensor *y) {
  sr_tensor *to = NULL, *from = NULL;
  bool recording = sr_set_grad_enabled(false);
  sr_status status = sr_select(y, 0, 0, &to);
  sr_set_grad_enabled(recording);
  if (!status) status = sr_select(y, 0, 1, &from);
  if (!status) status = sr_assign(y, to, TENSOR(from));
  sr_tensor_release(to);
  sr_tensor_release(from);
  return status;
}

static sr_status assign_case(sr_tensor *const *x, sr_tensor **y) {
  sr_status status = squared(x[0], y);
  if (status) return status;
  status = assign_to(*y, x[1]);
  if (!status) status = assign_row(*y);
  return after(status, y);
}

/* The same where y is a permuted view of what was computed. */
static sr_status assign_permuted_case(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *square;
  sr_status status = squared(x[0], &square);
  if (status) return status;
  status = sr_permute(square, 3, (const int[]){2, 1, 0}, y);
  sr_tensor_release(square);
  if (status) return status;
  status = assign_to(*y, x[1]);
  if (!status) status = assign_row(*y);
  return after(status, y);
}

/* A view of a part, with memory around it, that is written to. */
static sr_status assign_part_case(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *square;
  sr_status status = squared(x[0], &square);
  if (status) return status;
  status = sr_narrow(square, 1, 1, 3, y);
  sr_tensor_release(square);
  if (status) return status;
  status = assign_to(*y, x[1]);
  return after(status, y);
}

/* float64 -> float32 -> float64 has steps of 1e-7, too coarse for differences: exact numbers */
static void gradient_of_to(void **state) {
  (void)state;
  sr_tensor *x = leaf(six()), *single, *scaled,
            *g = tensor(SR_float32, SIZES(2, 3), VALUES(1, 2, 3, 4, 5, 6));
  OK(sr_to(x, SR_float32, SR_CPU, &single));
  OK(sr_binary("mul", single, g, &scaled));
  OK(sr_backward(scaled, g, false));
  EXPECT(sr_tensor_retain(sr_grad(x)), SR_float64, SIZES(2, 3), VALUES(1, 4, 9, 16, 25, 36));
  sr_tensor_release(scaled);
  sr_tensor_release(single);
  sr_tensor_release(g);
  sr_tensor_release(x);
}

/* A float32 value written into a float64 tensor gets a float32 gradient. */
static void gradient_of_converted_values(void **state) {
  (void)state;
  sr_tensor *v = leaf(counting(SR_float32, SIZES(3))), *x = six();
  OK(sr_copy_(x, v));
  OK(sr_backward(x, x, false));
  EXPECT(sr_tensor_retain(sr_grad(v)), SR_float32, SIZES(3), VALUES(2, 4, 6));
  sr_tensor_release(x);
  sr_tensor_release(v);
}

#define CUBE .n = 1, .input = {{3, {2, 3, 4}}}

static void differences(void **state) {
  (void)state;
  const gradcheck_case cases[] = {
      {"clone", clone_case, CUBE},
      {"contiguous", contiguous_case, CUBE},
      {"where", where_case, .n = 2, .input = {{3, {2, 3, 4}}, {1, {4}}}},
      {"where with a number", where_number_case, CUBE},
      {"masked_fill", masked_fill_case, .n = 1, .input = {{2, {4, 1}}}},
      {"masked_fill_", masked_fill_in_place, CUBE},
      {"fill_", fill_in_place, CUBE},
      {"copy_", copy_in_place, .n = 2, .input = {{3, {2, 3, 4}}, {2, {3, 1}}}},
      {"assign", assign_case, .n = 2, .input = {{3, {2, 3, 4}}, {2, {2, 2}}}},
      {"assign broadcast", assign_case, .n = 2, .input = {{3, {2, 3, 4}}, {3, {1, 1, 2}}}},
      {"assign permuted", assign_permuted_case, .n = 2, .input = {{3, {4, 3, 2}}, {1, {1}}}},
      {"assign to a part", assign_part_case, .n = 2, .input = {{3, {2, 5, 4}}, {1, {2}}}},
  };
  GRADCHECK_ALL(cases);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(copies),
      TEST(writes),
      TEST(overlapping_writes),
      TEST(choices),
      TEST(leaves_are_protected),
      TEST(integers_take_no_gradient),
      TEST(assignments_cost_their_size),
      TEST(overwritten_values_have_gradient_zero),
      TEST(kept_gradients_stay),
      TEST(a_given_gradient_stays),
      TEST(gradient_of_to),
      TEST(gradient_of_converted_values),
      TEST(differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
