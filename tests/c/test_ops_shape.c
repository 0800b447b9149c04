/* test_ops_shape.c: views, parts and joins: values, what shares memory, gradients by
 * finite differences, messages. */
#include "gradcheck.h"

static sr_tensor *six(void) { return counting(SR_float64, SIZES(2, 3)); }
static sr_tensor *cube(void) { return counting(SR_float64, SIZES(2, 3, 4)); }

/* ---- views ---------------------------------------------------------------------------- */

static void views_share_memory(void **state) {
  (void)state;
  sr_tensor *x = six(), *y, *z;
  OK(sr_view(x, SIZES(3, -1), &y));
  assert_true(sr_tensor_shares_storage(x, y));
  EXPECT(y, SR_float64, SIZES(3, 2), VALUES(1, 2, 3, 4, 5, 6));
  OK(sr_transpose(x, 0, -1, &y));
  assert_true(sr_tensor_shares_storage(x, y));
  OK(sr_reshape(y, SIZES(6), &z));
  assert_false(sr_tensor_shares_storage(x, z));
  EXPECT(z, SR_float64, SIZES(6), VALUES(1, 4, 2, 5, 3, 6));
  FAILS(sr_view(y, SIZES(6), &z), SR_SHAPE, "use reshape");
  OK(sr_view(y, SIZES(3, 1, 2, 1), &z)); /* the strides allow it */
  assert_true(sr_tensor_shares_storage(x, z));
  EXPECT(z, SR_float64, SIZES(3, 1, 2, 1), VALUES(1, 4, 2, 5, 3, 6));
  EXPECT(y, SR_float64, SIZES(3, 2), VALUES(1, 4, 2, 5, 3, 6));
  sr_tensor_release(x);
}

/* (2, 3, 4) permuted so that two dimensions stay evenly spaced together. */
static void views_of_runs(void **state) {
  (void)state;
  sr_tensor *x = cube(), *p, *y;
  OK(sr_permute(x, 3, (const int[]){1, 2, 0}, &p));
  OK(sr_view(p, SIZES(12, 2), &y));
  assert_true(sr_tensor_shares_storage(x, y));
  const int64_t *strides = sr_tensor_strides(y);
  assert_true(strides[0] == 1 && strides[1] == 12);
  sr_tensor_release(y);
  OK(sr_view(p, SIZES(2, 6, 2), &y));
  sr_tensor_release(y);
  FAILS(sr_view(p, SIZES(24), &y), SR_SHAPE, "view: shape [24]");
  FAILS(sr_view(p, SIZES(3, 8), &y), SR_SHAPE, "view: shape [3, 8]");
  sr_tensor_release(p);
  OK(sr_expand(x, SIZES(5, 2, 3, 4), &p));
  OK(sr_view(p, SIZES(5, 24), &y));
  sr_tensor_release(y);
  FAILS(sr_view(p, SIZES(120), &y), SR_SHAPE, "use reshape");
  sr_tensor_release(p);
  sr_tensor_release(x);
}

static void sizes_are_inferred(void **state) {
  (void)state;
  sr_tensor *x = six(), *none = empty(SR_float32, SIZES(0, 3)), *y;
  OK(sr_reshape(x, SIZES(-1), &y));
  EXPECT(y, SR_float64, SIZES(6), VALUES(1, 2, 3, 4, 5, 6));
  OK(sr_view(none, SIZES(3, 0, 7), &y));
  EXPECT(y, SR_float32, SIZES(3, 0, 7), NOTHING);
  OK(sr_view(none, SIZES(-1, 3), &y));
  EXPECT(y, SR_float32, SIZES(0, 3), NOTHING);
  FAILS(sr_view(none, SIZES(-1, 0), &y), SR_SHAPE, "-1 of shape [-1, 0] is not determined");
  FAILS(sr_view(x, SIZES(-1, 0), &y), SR_SHAPE, "not determined");
  FAILS(sr_view(x, SIZES(-1, -1), &y), SR_SHAPE, "view: only one size may be -1");
  FAILS(sr_view(x, SIZES(-1, 4), &y), SR_SHAPE,
        "view: shape [-1, 4] does not fit the 6 elements of shape [2, 3]");
  FAILS(sr_reshape(x, SIZES(7), &y), SR_SHAPE, "reshape: shape [7] does not fit");
  FAILS(sr_reshape(x, SIZES(-2, -3), &y), SR_SHAPE, "reshape: size -2 of dimension 1 is negative");
  FAILS(sr_reshape(x, SIZES(INT64_MAX, INT64_MAX), &y), SR_SHAPE, "too large");
  FAILS(sr_reshape(x, SIZES(-1, INT64_MAX, INT64_MAX), &y), SR_SHAPE, "too large");
  FAILS(sr_reshape(none, SIZES(INT64_MAX, 4, 0), &y), SR_SHAPE, "too large");
  FAILS(sr_reshape(x, SIZES(1, 1, 1, 1, 1, 1, 1, 2, 3), &y), SR_SHAPE, "9 dimensions");
  FAILS(sr_reshape(x, -1, (const int64_t[]){6}, &y), SR_SHAPE, "reshape:");
  sr_tensor_release(x);
  sr_tensor_release(none);
}

static void dimensions_come_and_go(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float64, SIZES(1, 3, 1)), *y;
  OK(sr_squeeze(x, NULL, &y));
  EXPECT(y, SR_float64, SIZES(3), VALUES(1, 2, 3));
  OK(sr_squeeze(x, &(sr_dims){.n = 2, .dim = {-1, 1}}, &y)); /* size 3 stays */
  EXPECT(y, SR_float64, SIZES(1, 3), VALUES(1, 2, 3));
  OK(sr_unsqueeze(x, -1, &y));
  EXPECT(y, SR_float64, SIZES(1, 3, 1, 1), VALUES(1, 2, 3));
  OK(sr_unsqueeze(x, 1, &y));
  EXPECT(y, SR_float64, SIZES(1, 1, 3, 1), VALUES(1, 2, 3));
  OK(sr_flatten(x, 0, 1, &y));
  EXPECT(y, SR_float64, SIZES(3, 1), VALUES(1, 2, 3));
  OK(sr_flatten(x, 0, -1, &y));
  EXPECT(y, SR_float64, SIZES(3), VALUES(1, 2, 3));
  FAILS(sr_flatten(x, 2, 0, &y), SR_ARGUMENT, "flatten: the first dimension 3");
  FAILS(sr_unsqueeze(x, 4, &y), SR_INDEX, "unsqueeze: dimension 5");
  FAILS(sr_unsqueeze(x, -5, &y), SR_INDEX, "unsqueeze: dimension -5");
  FAILS(sr_squeeze(x, &(sr_dims){.n = 2, .dim = {0, -3}}, &y), SR_ARGUMENT, "appears twice");
  sr_tensor_release(x);
  x = tensor(SR_float64, SCALAR, VALUES(7));
  OK(sr_flatten(x, 0, -1, &y));
  EXPECT(y, SR_float64, SIZES(1), VALUES(7));
  OK(sr_unsqueeze(x, 0, &y));
  EXPECT(y, SR_float64, SIZES(1), VALUES(7));
  OK(sr_squeeze(x, NULL, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(7));
  OK(sr_t(x, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(7));
  OK(sr_transpose(x, 0, -1, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(7));
  OK(sr_reshape(x, SIZES(1, 1), &y));
  EXPECT(y, SR_float64, SIZES(1, 1), VALUES(7));
  OK(sr_expand(x, SIZES(2, 2), &y));
  EXPECT(y, SR_float64, SIZES(2, 2), VALUES(7, 7, 7, 7));
  sr_tensor_release(x);
  x = empty(SR_float32, SIZES(1, 1, 1, 1, 1, 1, 1, 1));
  FAILS(sr_unsqueeze(x, 0, &y), SR_SHAPE, "unsqueeze: the result would have 9 dimensions");
  sr_tensor_release(x);
}

static void permutations(void **state) {
  (void)state;
  sr_tensor *x = six(), *y;
  OK(sr_t(x, &y));
  EXPECT(y, SR_float64, SIZES(3, 2), VALUES(1, 4, 2, 5, 3, 6));
  OK(sr_permute(x, 2, (const int[]){-1, 0}, &y));
  EXPECT(y, SR_float64, SIZES(3, 2), VALUES(1, 4, 2, 5, 3, 6));
  FAILS(sr_permute(x, 2, (const int[]){0, -2}, &y), SR_ARGUMENT,
        "permute: dimension 1 appears twice");
  FAILS(sr_permute(x, 1, (const int[]){0}, &y), SR_ARGUMENT, "has 2 dimensions, 1 were named");
  FAILS(sr_permute(x, 2, (const int[]){0, 2}, &y), SR_INDEX, "permute: dimension 3");
  FAILS(sr_transpose(x, 0, 2, &y), SR_INDEX, "transpose: dimension 3");
  sr_tensor_release(x);
  x = cube();
  FAILS(sr_t(x, &y), SR_SHAPE, "t: at most 2 dimensions, got shape [2, 3, 4]");
  sr_tensor_release(x);
}

static void expansion(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float64, SIZES(3, 1)), *y;
  OK(sr_expand(x, SIZES(2, -1, 2), &y));
  EXPECT(y, SR_float64, SIZES(2, 3, 2), VALUES(1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3));
  OK(sr_expand(x, SIZES(3, 0), &y));
  EXPECT(y, SR_float64, SIZES(3, 0), NOTHING);
  FAILS(sr_expand(x, SIZES(4, 1), &y), SR_SHAPE,
        "expand: shape [3, 1] cannot be repeated to [4, 1]");
  FAILS(sr_expand(x, SIZES(-1, 3, 1), &y), SR_SHAPE, "expand: shape");
  FAILS(sr_expand(x, SIZES(1), &y), SR_SHAPE, "expand: shape");
  FAILS(sr_expand(x, SIZES(3, INT64_MAX), &y), SR_SHAPE, "too large");
  FAILS(sr_expand(x, SIZES(3, -2), &y), SR_SHAPE, "expand: shape");
  OK(sr_expand(x, SIZES(3, 4), &y));
  FAILS(sr_fill_(y, sr_number(0)), SR_STATE, "fill_: an expanded tensor");
  FAILS(sr_copy_(y, x), SR_STATE, "copy_: an expanded tensor");
  FAILS(sr_assign(y, y, (sr_operand){.number = sr_number(0)}), SR_STATE,
        "assign: an expanded tensor");
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* ---- parts -------------------------------------------------------------------------------- */

static void parts(void **state) {
  (void)state;
  sr_tensor *x = cube(), *y;
  OK(sr_select(x, 1, -1, &y));
  assert_true(sr_tensor_shares_storage(x, y));
  EXPECT(y, SR_float64, SIZES(2, 4), VALUES(9, 10, 11, 12, 21, 22, 23, 24));
  OK(sr_narrow(x, 2, 1, 2, &y));
  EXPECT(y, SR_float64, SIZES(2, 3, 2), VALUES(2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23));
  OK(sr_narrow(x, 1, -1, 1, &y));
  EXPECT(y, SR_float64, SIZES(2, 1, 4), VALUES(9, 10, 11, 12, 21, 22, 23, 24));
  OK(sr_narrow(x, 0, 2, 0, &y));
  EXPECT(y, SR_float64, SIZES(0, 3, 4), NOTHING);
  OK(sr_slice(x, 2, 1, 2, 2, &y));
  EXPECT(y, SR_float64, SIZES(2, 3, 2), VALUES(2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24));
  OK(sr_slice(x, 2, 3, 1, INT64_MAX, &y)); /* no step is taken */
  EXPECT(y, SR_float64, SIZES(2, 3, 1), VALUES(4, 8, 12, 16, 20, 24));
  OK(sr_diagonal(x, 0, 1, &y));
  EXPECT(y, SR_float64, SIZES(4, 2), VALUES(1, 17, 2, 18, 3, 19, 4, 20));
  sr_tensor_release(x);
}

static void parts_have_bounds(void **state) {
  (void)state;
  sr_tensor *x = six(), *number = tensor(SR_float32, SCALAR, VALUES(1)), *y;
  FAILS(sr_select(x, 1, 3, &y), SR_INDEX, "select: position 4 in dimension 2 of size 3");
  FAILS(sr_select(x, 1, -4, &y), SR_INDEX, "select: position -4 in dimension 2 of size 3");
  FAILS(sr_select(x, 2, 0, &y), SR_INDEX, "select: dimension 3");
  FAILS(sr_select(number, 0, 0, &y), SR_SHAPE, "select: a 0-dimensional");
  FAILS(sr_narrow(x, 1, 2, 2, &y), SR_INDEX, "narrow: 2 elements from position 3");
  FAILS(sr_narrow(x, 1, 0, -1, &y), SR_ARGUMENT, "narrow: length -1");
  FAILS(sr_narrow(x, 1, 4, 0, &y), SR_INDEX, "narrow: 0 elements from position 5");
  FAILS(sr_narrow(x, 1, INT64_MIN, 1, &y), SR_INDEX, "narrow: 1 elements");
  FAILS(sr_narrow(x, 1, 1, INT64_MAX, &y), SR_INDEX, "narrow:");
  FAILS(sr_narrow(number, 0, 0, 1, &y), SR_SHAPE, "narrow: a 0-dimensional");
  FAILS(sr_slice(x, 1, 0, 3, 2, &y), SR_INDEX, "slice: 3 elements from position 1 with step 2");
  FAILS(sr_slice(x, 1, 0, 2, INT64_MAX, &y), SR_INDEX, "slice:");
  FAILS(sr_slice(x, 1, 0, 1, 0, &y), SR_ARGUMENT, "slice: step 0");
  FAILS(sr_slice(x, 1, 2, 3, -1, &y), SR_ARGUMENT, "slice: step -1");
  FAILS(sr_diagonal(x, 1, -1, &y), SR_ARGUMENT, "diagonal: two different");
  FAILS(sr_diagonal(number, 0, 0, &y), SR_SHAPE, "diagonal: a 0-dimensional");
  sr_tensor_release(number);
  sr_tensor_release(x);
}

/* ---- joins ---------------------------------------------------------------------------------- */

static void cat_joins(void **state) {
  (void)state;
  sr_tensor *x = six(), *i = counting(SR_int64, SIZES(2, 1)), *none = empty(SR_float32, SIZES(0));
  sr_tensor *t, *y;
  OK(sr_cat(3, (sr_tensor *[]){none, x, i}, -1, &y));
  EXPECT(y, SR_float64, SIZES(2, 4), VALUES(1, 2, 3, 1, 4, 5, 6, 2));
  OK(sr_cat(2, (sr_tensor *[]){x, x}, 0, &y));
  EXPECT(y, SR_float64, SIZES(4, 3), VALUES(1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6));
  OK(sr_cat(2, (sr_tensor *[]){none, none}, 0, &y));
  EXPECT(y, SR_float32, SIZES(0), NOTHING);
  OK(sr_t(x, &t));
  FAILS(sr_cat(2, (sr_tensor *[]){x, t}, 1, &y), SR_SHAPE,
        "cat: tensor 2 has shape [3, 2], which does not fit [2, 3] in dimension 2");
  FAILS(sr_cat(0, NULL, 0, &y), SR_ARGUMENT, "cat: at least one tensor");
  FAILS(sr_cat(1, &x, 2, &y), SR_INDEX, "cat: dimension 3");
  sr_tensor_release(t);
  t = tensor(SR_float32, SCALAR, VALUES(1));
  FAILS(sr_cat(2, (sr_tensor *[]){x, t}, 0, &y), SR_SHAPE, "cat: tensor 2 is 0-dimensional");
  sr_tensor_release(t);
  sr_tensor_release(none);
  sr_tensor_release(i);
  sr_tensor_release(x);
}

static void stack_piles(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_int64, SIZES(2)), *b = tensor(SR_bool, SIZES(2), VALUES(1, 0)), *y;
  OK(sr_stack(2, (sr_tensor *[]){x, b}, 0, &y));
  EXPECT(y, SR_int64, SIZES(2, 2), VALUES(1, 2, 1, 0));
  OK(sr_stack(2, (sr_tensor *[]){x, b}, -1, &y));
  EXPECT(y, SR_int64, SIZES(2, 2), VALUES(1, 1, 2, 0));
  FAILS(sr_stack(1, &x, 2, &y), SR_INDEX, "stack: dimension 3");
  sr_tensor_release(b);
  b = empty(SR_bool, SIZES(1, 2));
  FAILS(sr_stack(2, (sr_tensor *[]){x, b}, 0, &y), SR_SHAPE,
        "stack: tensor 2 has shape [1, 2], the first has [2]");
  sr_tensor_release(b);
  sr_tensor_release(x);
  x = tensor(SR_float32, SCALAR, VALUES(3));
  OK(sr_stack(2, (sr_tensor *[]){x, x}, 0, &y));
  EXPECT(y, SR_float32, SIZES(2), VALUES(3, 3));
  sr_tensor_release(x);
}

static void turns(void **state) {
  (void)state;
  for (int dtype = 0; dtype < SR_DTYPES; dtype++) {
    sr_tensor *x = tensor((sr_dtype)dtype, SIZES(2, 3), VALUES(1, 0, 0, 1, 1, 0)), *t, *y;
    OK(sr_flip(x, NULL, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 3), VALUES(0, 1, 1, 0, 0, 1));
    OK(sr_flip(x, &(sr_dims){.n = 1, .dim = {-1}}, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 3), VALUES(0, 0, 1, 0, 1, 1));
    OK(sr_t(x, &t));
    OK(sr_flip(t, &(sr_dims){.n = 1, .dim = {0}}, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(3, 2), VALUES(0, 0, 0, 1, 1, 1));
    OK(sr_roll(x, 1, 1, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 3), VALUES(0, 1, 0, 0, 1, 1));
    OK(sr_roll(x, -7, 1, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 3), VALUES(0, 0, 1, 1, 0, 1));
    OK(sr_roll(x, INT64_MIN, 0, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 3), VALUES(1, 0, 0, 1, 1, 0));
    sr_tensor_release(t);
    sr_tensor_release(x);
  }
  sr_tensor *none = empty(SR_float32, SIZES(0, 2)), *y;
  OK(sr_flip(none, NULL, &y));
  EXPECT(y, SR_float32, SIZES(0, 2), NOTHING);
  OK(sr_roll(none, 3, 0, &y));
  EXPECT(y, SR_float32, SIZES(0, 2), NOTHING);
  sr_tensor_release(none);
}

/* Long rows: kernels must walk negative strides in blocks. */
static void flip_of_many(void **state) {
  (void)state;
  enum { N = 1003 };
  sr_tensor *x = counting(SR_float32, SIZES(3, N)), *y;
  OK(sr_flip(x, NULL, &y));
  const float *values = sr_tensor_data(y);
  for (int i = 0; i < 3 * N; i++) assert_true(values[i] == 3 * N - i);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

static void repeats(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_int64, SIZES(1, 2)), *y;
  OK(sr_repeat(x, SIZES(2, 3), &y));
  EXPECT(y, SR_int64, SIZES(2, 6), VALUES(1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2));
  OK(sr_repeat(x, SIZES(2, 1, 1), &y));
  EXPECT(y, SR_int64, SIZES(2, 1, 2), VALUES(1, 2, 1, 2));
  OK(sr_repeat(x, SIZES(0, 2), &y));
  EXPECT(y, SR_int64, SIZES(0, 4), NOTHING);
  FAILS(sr_repeat(x, SIZES(2), &y), SR_ARGUMENT, "repeat: shape [1, 2] has 2 dimensions, only 1");
  FAILS(sr_repeat(x, SIZES(2, -1), &y), SR_ARGUMENT, "repeat: count -1 of dimension 2");
  FAILS(sr_repeat(x, SIZES(1, INT64_MAX), &y), SR_SHAPE, "too large");
  FAILS(sr_repeat(x, SIZES(INT64_MAX / 2, 1), &y), SR_SHAPE, "too large");
  FAILS(sr_repeat(x, SIZES(1, 1, 1, 1, 1, 1, 1, 1, 1), &y), SR_SHAPE, "9 dimensions");
  sr_tensor_release(x);
  x = counting(SR_float32, SIZES(2, 2));
  OK(sr_repeat(x, SIZES(5, 7), &y));
  const float *values = sr_tensor_data(y);
  for (int i = 0; i < 10; i++)
    for (int j = 0; j < 14; j++) assert_true(values[i * 14 + j] == i % 2 * 2 + j % 2 + 1);
  sr_tensor_release(y);
  OK(sr_repeat(x, SIZES(1, 1, 2, 1, 1, 1, 1, 1), &y));
  assert_true(sr_tensor_numel(y) == 8 && sr_tensor_sizes(y)[2] == 2);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* ---- what parts cost ------------------------------------------------------------------------ */

static sr_tensor *read_by_rows(sr_tensor *x, int64_t n) {
  sr_tensor *sum = tensor(SR_float64, SIZES(1), VALUES(0)), *row, *next;
  for (int64_t i = 0; i < n; i++) {
    OK(sr_select(x, 0, i, &row));
    OK(sr_binary("add", sum, row, &next));
    sr_tensor_release(row);
    sr_tensor_release(sum);
    sum = next;
  }
  return sum;
}

/* Reading T rows makes one gradient of the whole and T of a row: no second tensor of the
 * whole's size is ever made. */
static void parts_cost_their_size(void **state) {
  (void)state;
  enum { T = 500, D = 64 };
  sr_tensor *x = leaf(counting(SR_float64, SIZES(T, D))), *sum = read_by_rows(x, T), *total;
  OK(sr_sum(sum, NULL, &total));
  int64_t bytes = sr_memory_stats().live_bytes, before = sr_memory_stats().allocations;
  OK(sr_backward(total, NULL, false));
  assert_true(sr_memory_stats().allocations - before < 20 * T);
  assert_true(sr_memory_stats().peak_bytes < bytes + 3 * T * D * 8 / 2);
  const double *grad = sr_tensor_data(sr_grad(x));
  for (int i = 0; i < T * D; i++) assert_true(grad[i] == 1);
  sr_tensor_release(total);
  sr_tensor_release(sum);
  sr_tensor_release(x);
}

/* ---- gradients by differences ------------------------------------------------------------------- */

#define CASE(name, call) \
  static sr_status name(sr_tensor *const *x, sr_tensor **y) { return call; }

CASE(view_case, sr_reshape(x[0], SIZES(4, -1), y))
CASE(flatten_case, sr_flatten(x[0], 1, 2, y))
CASE(transpose_case, sr_transpose(x[0], 0, 2, y))
CASE(t_case, sr_t(x[0], y))
CASE(permute_case, sr_permute(x[0], 3, (const int[]){1, 2, 0}, y))
CASE(squeeze_case, sr_squeeze(x[0], NULL, y))
CASE(unsqueeze_case, sr_unsqueeze(x[0], 1, y))
CASE(expand_case, sr_expand(x[0], SIZES(2, 3, 4, 5), y))
CASE(narrow_case, sr_narrow(x[0], 2, 1, 2, y))
CASE(slice_case, sr_slice(x[0], 2, 1, 2, 2, y))
CASE(select_case, sr_select(x[0], 1, 2, y))
CASE(diagonal_case, sr_diagonal(x[0], 0, 2, y))
CASE(cat_case, sr_cat(3, (sr_tensor *[]){x[0], x[1], x[0]}, 1, y))
CASE(stack_case, sr_stack(3, (sr_tensor *[]){x[0], x[1], x[0]}, 1, y))
CASE(flip_case, sr_flip(x[0], &(sr_dims){.n = 2, .dim = {0, 2}}, y))
CASE(roll_case, sr_roll(x[0], 3, 2, y))
CASE(repeat_case, sr_repeat(x[0], SIZES(2, 1, 3, 2), y))
CASE(repeat_wide_case, sr_repeat(x[0], SIZES(1, 2, 1, 1, 1, 1, 3, 2), y))
#define CUBE .n = 1, .input = {{3, {2, 3, 4}}}
#define MATRIX .n = 1, .input = {{2, {2, 3}}}
#define TWO_CUBES .n = 2, .input = {{3, {2, 3, 4}}, {3, {2, 3, 4}}}

static void differences(void **state) {
  (void)state;
  const gradcheck_case cases[] = {
      {"reshape", view_case, CUBE},
      {"flatten", flatten_case, CUBE},
      {"transpose", transpose_case, CUBE},
      {"t", t_case, MATRIX},
      {"permute", permute_case, CUBE},
      {"squeeze", squeeze_case, .n = 1, .input = {{3, {1, 3, 1}}}},
      {"unsqueeze", unsqueeze_case, CUBE},
      {"expand", expand_case, .n = 1, .input = {{3, {3, 1, 5}}}},
      {"narrow", narrow_case, CUBE},
      {"slice", slice_case, CUBE},
      {"select", select_case, CUBE},
      {"diagonal", diagonal_case, CUBE},
      {"cat", cat_case, .n = 2, .input = {{3, {2, 3, 4}}, {3, {2, 2, 4}}}},
      {"stack", stack_case, TWO_CUBES},
      {"flip", flip_case, CUBE},
      {"roll", roll_case, CUBE},
      {"repeat", repeat_case, CUBE},
      {"repeat of 8 dimensions", repeat_wide_case, MATRIX},
  };
  GRADCHECK_ALL(cases);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(views_share_memory),
      TEST(views_of_runs),
      TEST(sizes_are_inferred),
      TEST(dimensions_come_and_go),
      TEST(permutations),
      TEST(expansion),
      TEST(parts),
      TEST(parts_have_bounds),
      TEST(cat_joins),
      TEST(stack_piles),
      TEST(turns),
      TEST(flip_of_many),
      TEST(repeats),
      TEST(parts_cost_their_size),
      TEST(differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
