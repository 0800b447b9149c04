/* test_ops_index.c: reading and writing by position: values, gradients by finite
 * differences, messages for positions out of bounds. */
#include "gradcheck.h"

static sr_tensor *six(sr_dtype dtype) { return counting(dtype, SIZES(2, 3)); }
#define NUMBER(x) ((sr_operand){.number = sr_number(x)})
#define TENSOR(x) ((sr_operand){.tensor = (x)})

static sr_tensor *ids_of(int ndim, const int64_t *size, const double *values) {
  return tensor(SR_int64, ndim, size, values);
}

/* ---- index_select, gather ------------------------------------------------------------- */

static void selection(void **state) {
  (void)state;
  for (int dtype = 0; dtype < SR_DTYPES; dtype++) {
    sr_tensor *x = tensor((sr_dtype)dtype, SIZES(2, 3), VALUES(0, 1, 1, 1, 0, 0)), *t, *y;
    sr_tensor *i = ids_of(SIZES(4), VALUES(3, -3, 2, -1));
    OK(sr_index_select(x, 1, i, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 4), VALUES(1, 0, 1, 1, 0, 1, 0, 0));
    OK(sr_t(x, &t));
    OK(sr_index_select(t, 0, i, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(4, 2), VALUES(1, 0, 0, 1, 1, 0, 1, 0));
    sr_tensor_release(t);
    sr_tensor_release(i);
    i = ids_of(SCALAR, VALUES(2));
    OK(sr_index_select(x, 0, i, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(1, 3), VALUES(1, 0, 0));
    sr_tensor_release(i);
    i = empty(SR_int64, SIZES(0));
    OK(sr_index_select(x, 0, i, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(0, 3), NOTHING);
    sr_tensor_release(i);
    sr_tensor_release(x);
  }
}

static void selection_messages(void **state) {
  (void)state;
  sr_tensor *x = six(SR_float32), *i = ids_of(SIZES(2), VALUES(1, 4)), *y;
  sr_tensor *f = counting(SR_float32, SIZES(2)), *number = tensor(SR_float32, SCALAR, VALUES(1));
  FAILS(sr_index_select(x, 1, i, &y), SR_INDEX, "index_select: index 4 in dimension 2 of size 3");
  FAILS(sr_index_select(x, 1, f, &y), SR_DTYPE, "index_select: index must be int64, got float32");
  FAILS(sr_index_select(x, 2, i, &y), SR_INDEX, "index_select: dimension 3");
  FAILS(sr_index_select(number, 0, i, &y), SR_SHAPE, "index_select: a tensor with dimensions");
  sr_tensor_release(i);
  i = ids_of(SIZES(1, 2), VALUES(1, 2));
  FAILS(sr_index_select(x, 1, i, &y), SR_SHAPE, "got shapes [2, 3] and [1, 2]");
  sr_tensor_release(i);
  const int64_t wrong[] = {0, -4, INT64_MIN, INT64_MAX};
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
    OK(sr_tensor_from(SR_int64, SIZES(1), &wrong[k], SR_CPU, &i));
    FAILS(sr_index_select(x, 1, i, &y), SR_INDEX, "in dimension 2 of size 3");
    sr_tensor_release(i);
  }
  sr_tensor *none = empty(SR_float32, SIZES(0, 3));
  i = ids_of(SIZES(1), VALUES(1));
  FAILS(sr_index_select(none, 0, i, &y), SR_INDEX, "index 1 in dimension 1 of size 0");
  sr_tensor_release(i);
  sr_tensor_release(none);
  sr_tensor_release(number);
  sr_tensor_release(f);
  sr_tensor_release(x);
}

static void gathering(void **state) {
  (void)state;
  for (int dtype = 0; dtype <= SR_int64; dtype++) {
    sr_tensor *x = six((sr_dtype)dtype), *y, *t;
    sr_tensor *i = ids_of(SIZES(2, 2), VALUES(3, 1, -1, 2));
    OK(sr_gather(x, 1, i, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 2), VALUES(3, 1, 6, 5));
    OK(sr_t(i, &t));
    OK(sr_gather(x, -1, t, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 2), VALUES(3, 3, 4, 5));
    sr_tensor_release(t);
    sr_tensor_release(i);
    i = ids_of(SIZES(1, 2), VALUES(2, 1)); /* smaller in the other dimension */
    OK(sr_gather(x, 0, i, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(1, 2), VALUES(4, 2));
    FAILS(sr_gather(i, 0, x, &y), dtype == SR_int64 ? SR_SHAPE : SR_DTYPE, "gather: index");
    sr_tensor_release(i);
    i = ids_of(SIZES(2, 1), VALUES(4, 1));
    FAILS(sr_gather(x, 1, i, &y), SR_INDEX, "gather: index 4 in dimension 2 of size 3");
    sr_tensor_release(i);
    sr_tensor_release(x);
  }
  sr_tensor *x = tensor(SR_float32, SCALAR, VALUES(5)), *i = ids_of(SCALAR, VALUES(1)), *y;
  OK(sr_gather(x, 0, i, &y));
  EXPECT(y, SR_float32, SCALAR, VALUES(5));
  sr_tensor_release(i);
  i = ids_of(SIZES(1), VALUES(1));
  FAILS(sr_gather(x, 0, i, &y), SR_SHAPE, "gather: index of shape [1] does not fit in shape []");
  sr_tensor_release(i);
  sr_tensor_release(x);
}

/* ---- scatter ---------------------------------------------------------------------------- */

static void scattering(void **state) {
  (void)state;
  for (int dtype = 0; dtype <= SR_int64; dtype++) {
    sr_tensor *x = six((sr_dtype)dtype), *source = counting((sr_dtype)dtype, SIZES(3, 3)), *y;
    sr_tensor *i = ids_of(SIZES(2, 2), VALUES(3, 1, -1, -1));
    OK(sr_scatter(x, 1, i, TENSOR(source), &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 3), VALUES(2, 2, 1, 4, 5, 5)); /* the last wins */
    OK(sr_scatter(x, 1, i, NUMBER(9), &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 3), VALUES(9, 2, 9, 4, 5, 9));
    OK(sr_scatter_add(x, 1, i, source, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 3), VALUES(3, 2, 4, 4, 5, 15));
    sr_tensor_release(i);
    i = ids_of(SIZES(1, 4), VALUES(1, 2, 3, 1));
    FAILS(sr_scatter(x, 1, i, TENSOR(source), &y), SR_SHAPE,
          "scatter: index of shape [1, 4] is larger than the source of shape [3, 3]");
    OK(sr_scatter(x, 1, i, NUMBER(0), &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(2, 3), VALUES(0, 0, 0, 4, 5, 6));
    FAILS(sr_scatter_add(x, 0, i, source, &y), SR_SHAPE, "scatter_add: index of shape [1, 4]");
    sr_tensor_release(i);
    i = ids_of(SIZES(1, 1), VALUES(0));
    FAILS(sr_scatter(x, 1, i, NUMBER(0), &y), SR_INDEX,
          "scatter: index 0 in dimension 2 of size 3");
    sr_tensor_release(i);
    EXPECT(x, (sr_dtype)dtype, SIZES(2, 3), VALUES(1, 2, 3, 4, 5, 6)); /* untouched */
    sr_tensor_release(source);
  }
  sr_tensor *x = six(SR_float32), *i = ids_of(SIZES(1, 1), VALUES(1)), *y;
  sr_tensor *other = six(SR_float64), *b = tensor(SR_bool, SIZES(2, 1), VALUES(0, 1));
  FAILS(sr_scatter(x, 1, i, TENSOR(other), &y), SR_DTYPE,
        "scatter: the source must have the tensor's dtype float32, got float64");
  FAILS(sr_scatter_add(b, 0, i, b, &y), SR_DTYPE, "scatter_add: dtype bool");
  OK(sr_scatter(b, 0, i, NUMBER(0.5), &y));
  EXPECT(y, SR_bool, SIZES(2, 1), VALUES(1, 1));
  FAILS(sr_scatter(i, 0, i, NUMBER(NAN), &y), SR_ARGUMENT, "scatter: nan does not fit int64");
  sr_tensor_release(b);
  sr_tensor_release(other);
  sr_tensor_release(i);
  sr_tensor_release(x);
}

/* ---- ids ---------------------------------------------------------------------------------- */

static void embeddings(void **state) {
  (void)state;
  sr_tensor *w = counting(SR_float32, SIZES(3, 2)), *i = ids_of(SIZES(2, 2), VALUES(3, 1, 1, 2)),
            *y;
  OK(sr_embedding(w, i, SR_NO_PADDING, &y));
  EXPECT(y, SR_float32, SIZES(2, 2, 2), VALUES(5, 6, 1, 2, 1, 2, 3, 4));
  OK(sr_embedding(w, i, 1, &y)); /* only its gradient is dropped */
  EXPECT(y, SR_float32, SIZES(2, 2, 2), VALUES(5, 6, 1, 2, 1, 2, 3, 4));
  sr_tensor_release(i);
  i = ids_of(SIZES(2), VALUES(0, 3));
  OK(sr_embedding(w, i, 0, &y));
  EXPECT(y, SR_float32, SIZES(2, 2), VALUES(0, 0, 5, 6));
  FAILS(sr_embedding(w, i, SR_NO_PADDING, &y), SR_INDEX,
        "embedding: id 0 is not in 1..3 (0 needs padding_idx = 0)");
  FAILS(sr_embedding(w, i, 4, &y), SR_ARGUMENT, "embedding: padding_idx 4 is not in 0..3");
  sr_tensor_release(i);
  i = ids_of(SIZES(2), VALUES(1, -1));
  FAILS(sr_embedding(w, i, SR_NO_PADDING, &y), SR_INDEX, "embedding: id -1 is not in 1..3");
  sr_tensor_release(i);
  i = ids_of(SIZES(1), VALUES(4));
  FAILS(sr_embedding(w, i, 0, &y), SR_INDEX, "embedding: id 4 is not in 0..3");
  FAILS(sr_embedding(i, i, 0, &y), SR_SHAPE, "embedding: the weight must be (rows, columns)");
  FAILS(sr_embedding(w, w, 0, &y), SR_DTYPE, "embedding: ids must be int64, got float32");
  sr_tensor_release(i);
  i = empty(SR_int64, SIZES(0));
  OK(sr_embedding(w, i, 0, &y));
  EXPECT(y, SR_float32, SIZES(0, 2), NOTHING);
  sr_tensor_release(i);
  sr_tensor_release(w);
}

static void embedding_gradient(void **state) {
  (void)state;
  const int64_t paddings[] = {SR_NO_PADDING, 1, -3};
  for (int k = 0; k < 3; k++) {
    sr_tensor *w = leaf(counting(SR_float64, SIZES(3, 2))), *y;
    sr_tensor *i = ids_of(SIZES(3), VALUES(2, 1, 2)), *g = counting(SR_float64, SIZES(3, 2));
    OK(sr_embedding(w, i, paddings[k], &y));
    OK(sr_backward(y, g, true));
    OK(sr_backward(y, g, false)); /* a second time into the same gradient */
    double first = k ? 0 : 1;
    EXPECT(sr_tensor_retain(sr_grad(w)), SR_float64, SIZES(3, 2),
           VALUES(6 * first, 8 * first, 12, 16, 0, 0));
    sr_tensor_release(y);
    sr_tensor_release(g);
    sr_tensor_release(i);
    sr_tensor_release(w);
  }
  sr_tensor *w = leaf(counting(SR_float64, SIZES(2, 1))), *y;
  sr_tensor *i = ids_of(SIZES(3), VALUES(0, 2, 0)), *g = counting(SR_float64, SIZES(3, 1));
  OK(sr_embedding(w, i, 0, &y));
  OK(sr_backward(y, g, false));
  EXPECT(sr_tensor_retain(sr_grad(w)), SR_float64, SIZES(2, 1), VALUES(0, 2));
  sr_tensor_release(y);
  sr_tensor_release(g);
  sr_tensor_release(i);
  sr_tensor_release(w);
}

/* A 0-dimensional tensor is indexed as one of size 1. */
static void gradients_of_zero_dimensions(void **state) {
  (void)state;
  sr_tensor *x = leaf(tensor(SR_float64, SCALAR, VALUES(5))), *i = ids_of(SCALAR, VALUES(-1)), *y,
            *z;
  OK(sr_gather(x, 0, i, &y));
  OK(sr_scatter_add(x, 0, i, y, &z));
  EXPECT(sr_tensor_retain(z), SR_float64, SCALAR, VALUES(10));
  OK(sr_backward(z, NULL, false));
  EXPECT(sr_tensor_retain(sr_grad(x)), SR_float64, SCALAR, VALUES(2));
  sr_tensor_release(z);
  sr_tensor_release(y);
  OK(sr_scatter(x, 0, i, NUMBER(3), &z));
  OK(sr_backward(z, NULL, false));
  EXPECT(sr_tensor_retain(sr_grad(x)), SR_float64, SCALAR, VALUES(2));
  sr_tensor_release(z);
  sr_tensor_release(i);
  sr_tensor_release(x);
}

static void changed_ids_are_noticed(void **state) {
  (void)state;
  sr_tensor *w = leaf(counting(SR_float64, SIZES(2, 1))), *y, *i = ids_of(SIZES(1), VALUES(1));
  OK(sr_embedding(w, i, SR_NO_PADDING, &y));
  OK(sr_fill_(i, sr_integer(1000000)));
  FAILS(sr_backward(y, NULL, false), SR_STATE, "gradient of embedding was changed in place");
  sr_tensor_release(y);
  sr_tensor_release(i);
  sr_tensor_release(w);
}

static void one_hots(void **state) {
  (void)state;
  sr_tensor *i = ids_of(SIZES(2, 1), VALUES(2, 1)), *y;
  OK(sr_one_hot(i, 0, &y));
  EXPECT(y, SR_int64, SIZES(2, 1, 2), VALUES(0, 1, 1, 0));
  OK(sr_one_hot(i, 3, &y));
  EXPECT(y, SR_int64, SIZES(2, 1, 3), VALUES(0, 1, 0, 1, 0, 0));
  FAILS(sr_one_hot(i, 1, &y), SR_INDEX, "one_hot: id 2 is not in 1..1");
  FAILS(sr_one_hot(i, -1, &y), SR_ARGUMENT, "one_hot: the number of classes -1");
  sr_tensor_release(i);
  i = ids_of(SIZES(2), VALUES(-1, 2));
  FAILS(sr_one_hot(i, 0, &y), SR_INDEX, "one_hot: id -1 is not in 1..2");
  FAILS(sr_one_hot(i, 5, &y), SR_INDEX, "one_hot: id -1 is not in 1..5");
  sr_tensor_release(i);
  i = ids_of(SIZES(1), VALUES(0));
  FAILS(sr_one_hot(i, 0, &y), SR_INDEX, "one_hot: id 0");
  sr_tensor_release(i);
  i = empty(SR_int64, SIZES(0));
  FAILS(sr_one_hot(i, 0, &y), SR_ARGUMENT, "one_hot: of no ids");
  OK(sr_one_hot(i, 4, &y));
  EXPECT(y, SR_int64, SIZES(0, 4), NOTHING);
  sr_tensor_release(i);
  i = ids_of(SCALAR, VALUES(2));
  OK(sr_one_hot(i, 2, &y));
  EXPECT(y, SR_int64, SIZES(2), VALUES(0, 1));
  sr_tensor_release(i);
  i = ids_of(SIZES(2), VALUES(1, 0x1p60));
  FAILS(sr_one_hot(i, 0, &y), SR_SHAPE, "too large");
  sr_tensor_release(i);
}

/* ---- masks ---------------------------------------------------------------------------------- */

static void masks(void **state) {
  (void)state;
  sr_tensor *x = six(SR_float32), *row = tensor(SR_bool, SIZES(3), VALUES(1, 0, 1)), *y;
  sr_tensor *column = tensor(SR_bool, SIZES(2, 1), VALUES(0, 1)), *v = counting(SR_int64, SIZES(3));
  OK(sr_masked_select(x, row, &y));
  EXPECT(y, SR_float32, SIZES(4), VALUES(1, 3, 4, 6));
  OK(sr_masked_select(x, column, &y));
  EXPECT(y, SR_float32, SIZES(3), VALUES(4, 5, 6));
  OK(sr_masked_select(v, column, &y)); /* both grow */
  EXPECT(y, SR_int64, SIZES(3), VALUES(1, 2, 3));
  FAILS(sr_masked_select(x, x, &y), SR_DTYPE, "masked_select: the mask must be bool, got float32");
  sr_tensor_release(row);
  row = tensor(SR_bool, SIZES(2), VALUES(1, 0));
  FAILS(sr_masked_select(x, row, &y), SR_SHAPE, "masked_select: shapes [2, 3] and [2]");
  sr_tensor_release(row);
  row = tensor(SR_bool, SCALAR, VALUES(0));
  OK(sr_masked_select(x, row, &y));
  EXPECT(y, SR_float32, SIZES(0), NOTHING);
  sr_tensor_release(row);
  sr_tensor_release(v);
  sr_tensor_release(column);
  sr_tensor_release(x);
}

static void nonzeros(void **state) {
  (void)state;
  sr_tensor *x = tensor(SR_float32, SIZES(2, 3), VALUES(0, 2, 0, NAN, 0, -1)), *t, *y;
  OK(sr_nonzero(x, &y));
  EXPECT(y, SR_int64, SIZES(3, 2), VALUES(1, 2, 2, 1, 2, 3));
  OK(sr_t(x, &t));
  OK(sr_nonzero(t, &y));
  EXPECT(y, SR_int64, SIZES(3, 2), VALUES(1, 2, 2, 1, 3, 2));
  sr_tensor_release(t);
  sr_tensor_release(x);
  x = tensor(SR_int64, SCALAR, VALUES(7));
  OK(sr_nonzero(x, &y));
  EXPECT(y, SR_int64, SIZES(1, 0), NOTHING);
  sr_tensor_release(x);
  x = empty(SR_bool, SIZES(0, 2));
  OK(sr_nonzero(x, &y));
  EXPECT(y, SR_int64, SIZES(0, 2), NOTHING);
  sr_tensor_release(x);
}

/* ---- gradients by differences ---------------------------------------------------------------- */

static const int64_t few_ids[] = {2, -1, 2, 1, 3, 3, -3, 1};

#define CASE_WITH_IDS(name, shape, call)                                     \
  static sr_status name(sr_tensor *const *x, sr_tensor **y) {                \
    sr_tensor *i;                                                            \
    sr_status status = sr_tensor_from(SR_int64, shape, few_ids, SR_CPU, &i); \
    if (status) return status;                                               \
    status = call;                                                           \
    sr_tensor_release(i);                                                    \
    return status;                                                           \
  }

CASE_WITH_IDS(select_case, SIZES(4), sr_index_select(x[0], 1, i, y))
CASE_WITH_IDS(gather_case, SIZES(1, 4, 2), sr_gather(x[0], 1, i, y))
CASE_WITH_IDS(scatter_number_case, SIZES(1, 4, 2), sr_scatter(x[0], 1, i, NUMBER(2), y))
CASE_WITH_IDS(scatter_add_case, SIZES(1, 4, 2), sr_scatter_add(x[0], 1, i, x[1], y))

static sr_status embedding_case(sr_tensor *const *x, sr_tensor **y) {
  static const int64_t ids[] = {2, 1, 0, 3, 3, 1};
  sr_tensor *i;
  sr_status status = sr_tensor_from(SR_int64, SIZES(2, 3), ids, SR_CPU, &i);
  if (status) return status;
  status = sr_embedding(x[0], i, 0, y);
  sr_tensor_release(i);
  return status;
}

/* Positions that differ: those written twice have no gradient to speak of. */
static sr_status scatter_case(sr_tensor *const *x, sr_tensor **y) {
  static const int64_t ids[] = {2, 1, -1, 2};
  sr_tensor *i;
  sr_status status = sr_tensor_from(SR_int64, SIZES(1, 2, 2), ids, SR_CPU, &i);
  if (status) return status;
  status = sr_scatter(x[0], 1, i, TENSOR(x[1]), y);
  sr_tensor_release(i);
  return status;
}

static sr_status masked_select_case(sr_tensor *const *x, sr_tensor **y) {
  static const uint8_t bytes[] = {1, 0, 1, 1, 0, 1};
  sr_tensor *mask;
  sr_status status = sr_tensor_from(SR_bool, SIZES(2, 3, 1), bytes, SR_CPU, &mask);
  if (status) return status;
  status = sr_masked_select(x[0], mask, y);
  sr_tensor_release(mask);
  return status;
}

#define CUBE .n = 1, .input = {{3, {2, 3, 4}}}

static void differences(void **state) {
  (void)state;
  const gradcheck_case cases[] = {
      {"index_select", select_case, CUBE},
      {"gather", gather_case, CUBE},
      {"scatter", scatter_case, .n = 2, .input = {{3, {2, 3, 4}}, {3, {1, 3, 2}}}},
      {"scatter of a number", scatter_number_case, CUBE},
      {"scatter_add", scatter_add_case, .n = 2, .input = {{3, {2, 3, 4}}, {3, {2, 4, 3}}}},
      {"embedding", embedding_case, .n = 1, .input = {{2, {3, 2}}}},
      {"masked_select", masked_select_case, CUBE},
      {"masked_select broadcast", masked_select_case, .n = 1, .input = {{2, {3, 4}}}},
  };
  GRADCHECK_ALL(cases);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(selection),
      TEST(selection_messages),
      TEST(gathering),
      TEST(scattering),
      TEST(embeddings),
      TEST(embedding_gradient),
      TEST(gradients_of_zero_dimensions),
      TEST(changed_ids_are_noticed),
      TEST(one_hots),
      TEST(masks),
      TEST(nonzeros),
      TEST(differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
