/* test_ops_reduce.c: sums, statistics, extremes, sorting: values as PyTorch's,
 * gradients by finite differences, messages. */
#include "gradcheck.h"

static sr_dims dims_of(int n, int first, int second, bool keepdim) {
  return (sr_dims){.n = n, .dim = {first, second}, .keepdim = keepdim};
}
#define ALONG(d) (&(sr_dims){.n = 1, .dim = {d}})
#define KEEPING(d) (&(sr_dims){.n = 1, .dim = {d}, .keepdim = true})

/* (2, 3): 1 .. 6 */
static sr_tensor *six(sr_dtype dtype) { return counting(dtype, SIZES(2, 3)); }

/* ---- values ------------------------------------------------------------------------ */

static void sums(void **state) {
  (void)state;
  for (int dtype = 0; dtype <= SR_int64; dtype++) {
    sr_tensor *x = six((sr_dtype)dtype), *y;
    OK(sr_sum(x, NULL, &y));
    EXPECT(y, (sr_dtype)dtype, SCALAR, VALUES(21));
    OK(sr_sum(x, ALONG(0), &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(3), VALUES(5, 7, 9));
    OK(sr_sum(x, KEEPING(-1), &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 1), VALUES(6, 15));
    sr_dims both = dims_of(2, 1, 0, true);
    OK(sr_sum(x, &both, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(1, 1), VALUES(21));
    OK(sr_prod(x, ALONG(1), &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2), VALUES(6, 120));
    OK(sr_cumsum(x, 1, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 3), VALUES(1, 3, 6, 4, 9, 15));
    sr_tensor_release(x);
  }
  sr_tensor *b = tensor(SR_bool, SIZES(2, 2), VALUES(1, 1, 1, 0)), *y;
  OK(sr_sum(b, NULL, &y));
  EXPECT(y, SR_int64, SCALAR, VALUES(3));
  OK(sr_prod(b, ALONG(1), &y));
  EXPECT(y, SR_int64, SIZES(2), VALUES(1, 0));
  OK(sr_cumsum(b, 0, &y));
  EXPECT(y, SR_int64, SIZES(2, 2), VALUES(1, 1, 2, 1));
  sr_tensor_release(b);
}

static void of_zero_dimensions(void **state) {
  (void)state;
  sr_tensor *x = tensor(SR_float32, SCALAR, VALUES(5)), *y, *p;
  OK(sr_sum(x, ALONG(-1), &y));
  EXPECT(y, SR_float32, SCALAR, VALUES(5));
  OK(sr_argmax(x, ALONG(0), &y));
  EXPECT(y, SR_int64, SCALAR, VALUES(1));
  OK(sr_max_dim(x, 0, true, &y, &p));
  EXPECT(y, SR_float32, SCALAR, VALUES(5));
  EXPECT(p, SR_int64, SCALAR, VALUES(1));
  OK(sr_cumsum(x, 0, &y));
  EXPECT(y, SR_float32, SCALAR, VALUES(5));
  OK(sr_sort(x, 0, true, &y, &p));
  EXPECT(y, SR_float32, SCALAR, VALUES(5));
  EXPECT(p, SR_int64, SCALAR, VALUES(1));
  OK(sr_topk(x, 1, 0, true, &y, &p));
  EXPECT(y, SR_float32, SCALAR, VALUES(5));
  EXPECT(p, SR_int64, SCALAR, VALUES(1));
  OK(sr_logsumexp(x, ALONG(0), &y));
  EXPECT(y, SR_float32, SCALAR, VALUES(5));
  FAILS(sr_topk(x, 0, 0, true, &y, &p), SR_ARGUMENT, "0-dimensional");
  FAILS(sr_sum(x, ALONG(1), &y), SR_INDEX, "sum: dimension 2 of a 0-dimensional tensor");
  sr_tensor_release(x);
}

static void of_no_elements(void **state) {
  (void)state;
  sr_tensor *x = empty(SR_float32, SIZES(2, 0)), *y, *p;
  OK(sr_sum(x, NULL, &y));
  EXPECT(y, SR_float32, SCALAR, VALUES(0));
  OK(sr_prod(x, ALONG(1), &y));
  EXPECT(y, SR_float32, SIZES(2), VALUES(1, 1));
  OK(sr_mean(x, NULL, &y));
  EXPECT(y, SR_float32, SCALAR, VALUES(NAN));
  OK(sr_var(x, 1, NULL, &y));
  EXPECT(y, SR_float32, SCALAR, VALUES(NAN));
  OK(sr_norm(x, 2, NULL, &y));
  EXPECT(y, SR_float32, SCALAR, VALUES(0));
  OK(sr_logsumexp(x, ALONG(1), &y));
  EXPECT(y, SR_float32, SIZES(2), VALUES(-INFINITY, -INFINITY));
  OK(sr_logsumexp(x, KEEPING(1), &y));
  EXPECT(y, SR_float32, SIZES(2, 1), VALUES(-INFINITY, -INFINITY));
  OK(sr_any(x, ALONG(1), &y));
  EXPECT(y, SR_bool, SIZES(2), VALUES(0, 0));
  OK(sr_all(x, ALONG(1), &y));
  EXPECT(y, SR_bool, SIZES(2), VALUES(1, 1));
  OK(sr_sum(x, ALONG(0), &y));
  EXPECT(y, SR_float32, SIZES(0), NOTHING);
  OK(sr_amax(x, ALONG(0), &y));
  EXPECT(y, SR_float32, SIZES(0), NOTHING);
  OK(sr_cumsum(x, 1, &y));
  EXPECT(y, SR_float32, SIZES(2, 0), NOTHING);
  OK(sr_sort(x, 1, false, &y, &p));
  EXPECT(y, SR_float32, SIZES(2, 0), NOTHING);
  EXPECT(p, SR_int64, SIZES(2, 0), NOTHING);
  FAILS(sr_amax(x, NULL, &y), SR_SHAPE, "amax: there are no elements");
  FAILS(sr_amin(x, ALONG(1), &y), SR_SHAPE, "amin: there are no elements");
  FAILS(sr_argmax(x, NULL, &y), SR_SHAPE, "argmax: there are no elements");
  FAILS(sr_max_dim(x, 1, false, &y, &p), SR_SHAPE, "[2, 0]");
  FAILS(sr_norm(x, INFINITY, NULL, &y), SR_SHAPE, "norm: there are no elements");
  sr_tensor_release(x);
}

static void extremes(void **state) {
  (void)state;
  for (int dtype = 0; dtype <= SR_int64; dtype++) {
    sr_tensor *x = tensor((sr_dtype)dtype, SIZES(2, 3), VALUES(3, -1, 3, 0, 7, -5)), *y, *p;
    OK(sr_amax(x, NULL, &y));
    EXPECT(y, (sr_dtype)dtype, SCALAR, VALUES(7));
    OK(sr_amin(x, ALONG(0), &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(3), VALUES(0, -1, -5));
    OK(sr_max_dim(x, 1, false, &y, &p));
    EXPECT(y, (sr_dtype)dtype, SIZES(2), VALUES(3, 7));
    EXPECT(p, SR_int64, SIZES(2), VALUES(1, 2)); /* the first of equal ones */
    OK(sr_min_dim(x, 0, true, &y, &p));
    EXPECT(y, (sr_dtype)dtype, SIZES(1, 3), VALUES(0, -1, -5));
    EXPECT(p, SR_int64, SIZES(1, 3), VALUES(2, 1, 2));
    OK(sr_argmax(x, NULL, &y));
    EXPECT(y, SR_int64, SCALAR, VALUES(5));
    OK(sr_argmin(x, KEEPING(1), &y));
    EXPECT(y, SR_int64, SIZES(2, 1), VALUES(2, 3));
    sr_tensor_release(x);
  }
  sr_tensor *b = tensor(SR_bool, SIZES(3), VALUES(0, 1, 1)), *y, *p;
  OK(sr_amax(b, NULL, &y));
  EXPECT(y, SR_bool, SCALAR, VALUES(1));
  OK(sr_min_dim(b, 0, false, &y, &p));
  EXPECT(y, SR_bool, SCALAR, VALUES(0));
  EXPECT(p, SR_int64, SCALAR, VALUES(1));
  OK(sr_argmax(b, NULL, &y));
  EXPECT(y, SR_int64, SCALAR, VALUES(2));
  OK(sr_any(b, NULL, &y));
  EXPECT(y, SR_bool, SCALAR, VALUES(1));
  OK(sr_all(b, KEEPING(0), &y));
  EXPECT(y, SR_bool, SIZES(1), VALUES(0));
  sr_tensor_release(b);
}

static void nan_is_largest_and_smallest(void **state) {
  (void)state;
  sr_tensor *x = tensor(SR_float64, SIZES(4), VALUES(1, NAN, 9, NAN)), *y, *p;
  OK(sr_amax(x, NULL, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(NAN));
  OK(sr_min_dim(x, 0, false, &y, &p));
  EXPECT(y, SR_float64, SCALAR, VALUES(NAN));
  EXPECT(p, SR_int64, SCALAR, VALUES(2));
  OK(sr_sort(x, 0, false, &y, &p));
  EXPECT(y, SR_float64, SIZES(4), VALUES(1, 9, NAN, NAN));
  EXPECT(p, SR_int64, SIZES(4), VALUES(1, 3, 2, 4));
  OK(sr_topk(x, 3, 0, true, &y, &p));
  EXPECT(y, SR_float64, SIZES(3), VALUES(NAN, NAN, 9));
  EXPECT(p, SR_int64, SIZES(3), VALUES(2, 4, 3));
  OK(sr_any(x, NULL, &y));
  EXPECT(y, SR_bool, SCALAR, VALUES(1));
  sr_tensor_release(x);
}

static void statistics(void **state) {
  (void)state;
  sr_tensor *x = six(SR_float64), *y;
  OK(sr_mean(x, ALONG(1), &y));
  EXPECT(y, SR_float64, SIZES(2), VALUES(2, 5));
  OK(sr_var(x, 1, NULL, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(3.5));
  OK(sr_var(x, 0, KEEPING(1), &y));
  EXPECT(y, SR_float64, SIZES(2, 1), VALUES(2. / 3, 2. / 3));
  OK(sr_std(x, 1, ALONG(0), &y));
  EXPECT(y, SR_float64, SIZES(3), VALUES(sqrt(4.5), sqrt(4.5), sqrt(4.5)));
  OK(sr_norm(x, 2, ALONG(1), &y));
  EXPECT(y, SR_float64, SIZES(2), VALUES(sqrt(14), sqrt(77)));
  OK(sr_norm(x, 1, NULL, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(21));
  OK(sr_norm(x, 3, NULL, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(cbrt(441)));
  OK(sr_norm(x, INFINITY, KEEPING(0), &y));
  EXPECT(y, SR_float64, SIZES(1, 3), VALUES(4, 5, 6));
  OK(sr_norm(x, -INFINITY, NULL, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(1));
  OK(sr_norm(x, 0, ALONG(1), &y));
  EXPECT(y, SR_float64, SIZES(2), VALUES(3, 3));
  OK(sr_logsumexp(x, ALONG(0), &y));
  EXPECT(y, SR_float64, SIZES(3),
         VALUES(4 + log1p(exp(-3)), 5 + log1p(exp(-3)), 6 + log1p(exp(-3))));
  sr_tensor_release(x);
  x = tensor(SR_float64, SIZES(1), VALUES(3));
  OK(sr_var(x, 1, NULL, &y)); /* no degree of freedom is left */
  EXPECT(y, SR_float64, SCALAR, VALUES(NAN));
  sr_tensor_release(x);
  x = tensor(SR_float64, SIZES(2, 2), VALUES(1000, 1000, -INFINITY, INFINITY));
  OK(sr_logsumexp(x, ALONG(1), &y));
  EXPECT(y, SR_float64, SIZES(2), VALUES(1000 + log(2), INFINITY));
  sr_tensor_release(x);
}

static void sorting(void **state) {
  (void)state;
  for (int dtype = 0; dtype <= SR_int64; dtype++) {
    sr_tensor *x = tensor((sr_dtype)dtype, SIZES(2, 4), VALUES(3, 1, 3, 2, 0, 0, -1, 5)), *v, *p;
    OK(sr_sort(x, 1, false, &v, &p));
    EXPECT(v, (sr_dtype)dtype, SIZES(2, 4), VALUES(1, 2, 3, 3, -1, 0, 0, 5));
    EXPECT(p, SR_int64, SIZES(2, 4), VALUES(2, 4, 1, 3, 3, 1, 2, 4));
    OK(sr_sort(x, -1, true, &v, &p));
    EXPECT(v, (sr_dtype)dtype, SIZES(2, 4), VALUES(3, 3, 2, 1, 5, 0, 0, -1));
    EXPECT(p, SR_int64, SIZES(2, 4), VALUES(1, 3, 4, 2, 4, 1, 2, 3));
    OK(sr_sort(x, 0, false, &v, &p));
    EXPECT(v, (sr_dtype)dtype, SIZES(2, 4), VALUES(0, 0, -1, 2, 3, 1, 3, 5));
    EXPECT(p, SR_int64, SIZES(2, 4), VALUES(2, 2, 2, 1, 1, 1, 1, 2));
    OK(sr_topk(x, 2, 1, true, &v, &p));
    EXPECT(v, (sr_dtype)dtype, SIZES(2, 2), VALUES(3, 3, 5, 0));
    EXPECT(p, SR_int64, SIZES(2, 2), VALUES(1, 3, 4, 1));
    OK(sr_topk(x, 1, 1, false, &v, &p));
    EXPECT(v, (sr_dtype)dtype, SIZES(2, 1), VALUES(1, -1));
    EXPECT(p, SR_int64, SIZES(2, 1), VALUES(2, 3));
    OK(sr_topk(x, 0, 1, false, &v, &p));
    EXPECT(v, (sr_dtype)dtype, SIZES(2, 0), NOTHING);
    EXPECT(p, SR_int64, SIZES(2, 0), NOTHING);
    FAILS(sr_topk(x, 5, 1, true, &v, &p), SR_ARGUMENT,
          "topk: k = 5 is not in 0..4, the size of dimension 2");
    FAILS(sr_topk(x, -1, 1, true, &v, &p), SR_ARGUMENT, "topk: k = -1");
    sr_tensor_release(x);
  }
  sr_tensor *b = tensor(SR_bool, SIZES(3), VALUES(1, 0, 1)), *v, *p;
  OK(sr_sort(b, 0, false, &v, &p));
  EXPECT(v, SR_bool, SIZES(3), VALUES(0, 1, 1));
  EXPECT(p, SR_int64, SIZES(3), VALUES(2, 1, 3));
  sr_tensor_release(b);
}

/* Large and strided, so that kernels take their blocked paths. */
static void large_sums(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_int64, SIZES(300, 70)), *t, *y, *full;
  OK(sr_transpose(x, 0, 1, &t));
  OK(sr_sum(t, NULL, &y));
  EXPECT(y, SR_int64, SCALAR, VALUES(21000. * 21001 / 2));
  OK(sr_argmax(t, NULL, &y));
  EXPECT(y, SR_int64, SCALAR, VALUES(21000));
  OK(sr_argmin(t, NULL, &y));
  EXPECT(y, SR_int64, SCALAR, VALUES(1));
  OK(sr_sum(t, ALONG(1), &y));
  OK(sr_sum(x, ALONG(0), &full));
  assert_memory_equal(sr_tensor_data(y), sr_tensor_data(full), 70 * sizeof(int64_t));
  sr_tensor_release(y);
  sr_tensor_release(full);
  sr_tensor_release(t);
  sr_tensor_release(x);
}

/* ---- messages ------------------------------------------------------------------------ */

static void messages(void **state) {
  (void)state;
  sr_tensor *x = six(SR_float32), *i = six(SR_int64), *y, *p;
  sr_dims twice = dims_of(2, 1, -1, false), three = dims_of(2, 0, 1, false);
  FAILS(sr_sum(x, &twice, &y), SR_ARGUMENT, "sum: dimension 2 appears twice");
  FAILS(sr_mean(x, ALONG(2), &y), SR_INDEX, "mean: dimension 3 of a 2-dimensional tensor");
  FAILS(sr_mean(x, ALONG(-3), &y), SR_INDEX, "mean: dimension -3");
  FAILS(sr_mean(i, NULL, &y), SR_DTYPE, "mean: a floating dtype is needed, got int64");
  FAILS(sr_var(i, 1, NULL, &y), SR_DTYPE, "var: a floating");
  FAILS(sr_std(i, 1, NULL, &y), SR_DTYPE, "std: a floating");
  FAILS(sr_norm(i, 2, NULL, &y), SR_DTYPE, "norm: a floating");
  FAILS(sr_logsumexp(i, NULL, &y), SR_DTYPE, "logsumexp: a floating");
  FAILS(sr_norm(x, NAN, NULL, &y), SR_ARGUMENT, "norm: p");
  FAILS(sr_var(x, INFINITY, NULL, &y), SR_ARGUMENT, "var: correction");
  FAILS(sr_argmax(x, &three, &y), SR_ARGUMENT, "argmax: one dimension or none, got 2");
  FAILS(sr_max_dim(x, 2, false, &y, &p), SR_INDEX, "max: dimension 3");
  FAILS(sr_cumsum(x, 5, &y), SR_INDEX, "cumsum: dimension 6");
  FAILS(sr_sort(x, -4, false, &y, &p), SR_INDEX, "sort: dimension -4");
  sr_dims many = {.n = 9};
  FAILS(sr_sum(x, &many, &y), SR_ARGUMENT, "sum: 0 to 8 dimensions");
  sr_tensor_release(x);
  sr_tensor_release(i);
}

/* ---- gradients at particular places -------------------------------------------------------- */

static void check_grad(sr_tensor *x, sr_tensor *y, int ndim, const int64_t *size,
                       const double *expected) {
  OK(sr_backward(y, NULL, false));
  sr_tensor_release(y);
  EXPECT(sr_tensor_retain(sr_grad(x)), SR_float64, ndim, size, expected);
  OK(sr_set_grad(x, NULL));
}

static void gradients_at_zeros_and_ties(void **state) {
  (void)state;
  sr_tensor *x = leaf(tensor(SR_float64, SIZES(3), VALUES(2, 0, 3))), *y;
  OK(sr_prod(x, NULL, &y));
  check_grad(x, y, SIZES(3), VALUES(0, 6, 0));
  sr_tensor_release(x);
  x = leaf(tensor(SR_float64, SIZES(3), VALUES(0, 0, 3)));
  OK(sr_prod(x, NULL, &y));
  check_grad(x, y, SIZES(3), VALUES(0, 0, 0));
  sr_tensor_release(x);
  x = leaf(tensor(SR_float64, SIZES(3), VALUES(0, 0, 0)));
  OK(sr_norm(x, 2, NULL, &y));
  check_grad(x, y, SIZES(3), VALUES(0, 0, 0));
  OK(sr_norm(x, 3, NULL, &y));
  check_grad(x, y, SIZES(3), VALUES(0, 0, 0));
  OK(sr_norm(x, 0.5, NULL, &y));
  check_grad(x, y, SIZES(3), VALUES(0, 0, 0));
  OK(sr_norm(x, 0, NULL, &y));
  check_grad(x, y, SIZES(3), VALUES(0, 0, 0));
  OK(sr_std(x, 1, NULL, &y));
  check_grad(x, y, SIZES(3), VALUES(0, 0, 0));
  sr_tensor_release(x);
  x = leaf(tensor(SR_float64, SIZES(4), VALUES(5, 1, 5, -5)));
  OK(sr_amax(x, NULL, &y));
  check_grad(x, y, SIZES(4), VALUES(0.5, 0, 0.5, 0));
  OK(sr_norm(x, INFINITY, NULL, &y));
  check_grad(x, y, SIZES(4), VALUES(1. / 3, 0, 1. / 3, -1. / 3));
  sr_tensor_release(x);
}

static void gradients_at_infinity(void **state) {
  (void)state;
  sr_tensor *x = leaf(tensor(SR_float64, SIZES(2), VALUES(-INFINITY, 0))), *y;
  OK(sr_logsumexp(x, NULL, &y));
  check_grad(x, y, SIZES(2), VALUES(0, 1));
  sr_tensor_release(x);
  x = leaf(tensor(SR_float64, SIZES(2), VALUES(-INFINITY, -INFINITY)));
  OK(sr_logsumexp(x, NULL, &y));
  check_grad(x, y, SIZES(2), VALUES(0, 0));
  sr_tensor_release(x);
}

static void positions_have_no_gradient(void **state) {
  (void)state;
  sr_tensor *x = leaf(six(SR_float64)), *v, *p;
  OK(sr_max_dim(x, 1, false, &v, &p));
  assert_true(sr_requires_grad(v));
  assert_false(sr_requires_grad(p));
  sr_tensor_release(v);
  sr_tensor_release(p);
  OK(sr_argmax(x, NULL, &p));
  assert_false(sr_requires_grad(p));
  sr_tensor_release(p);
  OK(sr_any(x, NULL, &p));
  assert_false(sr_requires_grad(p));
  sr_tensor_release(p);
  sr_tensor_release(x);
}

/* ---- gradients by differences ---------------------------------------------------------------- */

#define CASE(name, call) \
  static sr_status name(sr_tensor *const *x, sr_tensor **y) { return call; }

static sr_status second_released(sr_status status, sr_tensor *indices) {
  if (!status) sr_tensor_release(indices);
  return status;
}
#define CASE_WITH_POSITIONS(name, call)                       \
  static sr_status name(sr_tensor *const *x, sr_tensor **y) { \
    sr_tensor *p = NULL;                                      \
    sr_status status = call;                                  \
    return second_released(status, p);                        \
  }

static const sr_dims outer_two = {.n = 2, .dim = {0, 2}};

CASE(sum_all, sr_sum(x[0], NULL, y))
CASE(sum_two, sr_sum(x[0], &outer_two, y))
CASE(sum_kept, sr_sum(x[0], KEEPING(1), y))
CASE(mean_all, sr_mean(x[0], NULL, y))
CASE(mean_last, sr_mean(x[0], ALONG(-1), y))
CASE(prod_all, sr_prod(x[0], NULL, y))
CASE(prod_two, sr_prod(x[0], &outer_two, y))
CASE(norm_two, sr_norm(x[0], 2, NULL, y))
CASE(norm_two_along, sr_norm(x[0], 2, ALONG(1), y))
CASE(norm_one, sr_norm(x[0], 1, &outer_two, y))
CASE(norm_three, sr_norm(x[0], 3, KEEPING(0), y))
CASE(norm_half, sr_norm(x[0], 0.5, ALONG(2), y))
CASE(norm_one_and_half, sr_norm(x[0], 1.5, ALONG(2), y))
CASE(norm_largest, sr_norm(x[0], INFINITY, ALONG(1), y))
CASE(norm_smallest, sr_norm(x[0], -INFINITY, ALONG(1), y))
CASE(norm_negative, sr_norm(x[0], -1, ALONG(1), y))
CASE(var_all, sr_var(x[0], 1, NULL, y))
CASE(var_biased, sr_var(x[0], 0, &outer_two, y))
CASE(std_last, sr_std(x[0], 1, KEEPING(2), y))
CASE(std_half, sr_std(x[0], 0.5, ALONG(0), y))
CASE(logsumexp_all, sr_logsumexp(x[0], NULL, y))
CASE(logsumexp_two, sr_logsumexp(x[0], &outer_two, y))
CASE(logsumexp_kept, sr_logsumexp(x[0], KEEPING(1), y))
CASE(amax_all, sr_amax(x[0], NULL, y))
CASE(amax_two, sr_amax(x[0], &outer_two, y))
CASE(amin_kept, sr_amin(x[0], KEEPING(1), y))
CASE(cumsum_first, sr_cumsum(x[0], 0, y))
CASE(cumsum_middle, sr_cumsum(x[0], 1, y))
CASE(cumsum_last, sr_cumsum(x[0], -1, y))
CASE_WITH_POSITIONS(max_middle, sr_max_dim(x[0], 1, false, y, &p))
CASE_WITH_POSITIONS(min_kept, sr_min_dim(x[0], 0, true, y, &p))
CASE_WITH_POSITIONS(sort_last, sr_sort(x[0], -1, true, y, &p))
CASE_WITH_POSITIONS(sort_first, sr_sort(x[0], 0, false, y, &p))
CASE_WITH_POSITIONS(topk_middle, sr_topk(x[0], 2, 1, true, y, &p))

#define CUBE .n = 1, .input = {{3, {2, 3, 4}}}
#define VECTOR .n = 1, .input = {{1, {5}}}
#define SINGLE .n = 1, .input = {{0, {0}}}

static void differences(void **state) {
  (void)state;
  const gradcheck_case cases[] = {
      {"sum", sum_all, CUBE},
      {"sum of two", sum_two, CUBE},
      {"sum kept", sum_kept, CUBE},
      {"sum of a vector", sum_all, VECTOR},
      {"sum of a number", sum_all, SINGLE},
      {"mean", mean_all, CUBE},
      {"mean of the last", mean_last, CUBE},
      {"prod", prod_all, VECTOR},
      {"prod of two", prod_two, CUBE},
      {"norm 2", norm_two, CUBE},
      {"norm 2 along 1", norm_two_along, CUBE},
      {"norm 1", norm_one, CUBE},
      {"norm 3", norm_three, CUBE},
      {"norm 0.5", norm_half, CUBE, .low = 0.5, .high = 2},
      {"norm 1.5", norm_one_and_half, CUBE, .low = 0.5, .high = 2},
      {"norm -1", norm_negative, CUBE, .low = 0.5, .high = 2},
      {"norm inf", norm_largest, CUBE, .layouts = NO_TIES},
      {"norm -inf", norm_smallest, CUBE, .layouts = NO_TIES},
      {"var", var_all, CUBE},
      {"var biased", var_biased, CUBE},
      {"std", std_last, CUBE},
      {"std 0.5", std_half, CUBE, .layouts = NO_TIES},
      {"logsumexp", logsumexp_all, CUBE},
      {"logsumexp of two", logsumexp_two, CUBE},
      {"logsumexp kept", logsumexp_kept, CUBE},
      {"amax", amax_all, CUBE},
      {"amax of two", amax_two, CUBE},
      {"amin kept", amin_kept, CUBE},
      {"cumsum of the first", cumsum_first, CUBE},
      {"cumsum of the middle", cumsum_middle, CUBE},
      {"cumsum of the last", cumsum_last, CUBE},
      {"max", max_middle, CUBE},
      {"min kept", min_kept, CUBE},
      {"sort last", sort_last, CUBE},
      {"sort first", sort_first, CUBE},
      {"topk", topk_middle, CUBE},
  };
  GRADCHECK_ALL(cases);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(sums),
      TEST(of_zero_dimensions),
      TEST(of_no_elements),
      TEST(extremes),
      TEST(nan_is_largest_and_smallest),
      TEST(statistics),
      TEST(sorting),
      TEST(large_sums),
      TEST(messages),
      TEST(gradients_at_zeros_and_ties),
      TEST(gradients_at_infinity),
      TEST(positions_have_no_gradient),
      TEST(differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
