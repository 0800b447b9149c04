/* test_packing.c: rows of sequences in every layout, into every other: values, gradients by
 * finite differences, messages. */
#include "gradcheck.h"

/* Lengths 2, 0, 3, 2: the longest is the third. Rows are 10 s + t. */
static const int64_t batch_sizes[] = {3, 3, 1}, sorted[] = {3, 1, 4, 2};
static const sr_packing four = {
    .batch = 4, .steps = 3, .batch_sizes = batch_sizes, .sorted = sorted};

enum { LAYOUTS = SR_BATCH_FIRST + 1, PADDING = -1 };
static const int64_t shapes[LAYOUTS][2] = {{7}, {7}, {3, 4}, {4, 3}};
static const double values[LAYOUTS][12] = {
    [SR_PACKED] = {31, 11, 41, 32, 12, 42, 33},
    [SR_CHAINED] = {11, 12, 31, 32, 33, 41, 42},
    [SR_TIME_FIRST] = {11, -1, 31, 41, 12, -1, 32, 42, -1, -1, 33, -1},
    [SR_BATCH_FIRST] = {11, 12, -1, -1, -1, -1, 31, 32, 33, 41, 42, -1}};

static int dims(int layout) { return layout >= SR_TIME_FIRST ? 2 : 1; }

static void every_layout(void **state) {
  (void)state;
  for (int from = 0; from < LAYOUTS; from++)
    for (int to = 0; to < LAYOUTS; to++) {
      sr_tensor *y, *x = tensor(SR_float64, dims(from), shapes[from], values[from]);
      OK(sr_repack(x, (sr_layout)from, (sr_layout)to, &four, 3, sr_number(PADDING), &y));
      EXPECT(y, SR_float64, dims(to), shapes[to], values[to]);
      sr_tensor_release(x);
    }
}

static void longer_batches(void **state) {
  (void)state;
  static const int64_t two_sizes[] = {2, 1};
  const sr_packing two = {.batch = 2, .steps = 2, .batch_sizes = two_sizes};
  sr_tensor *x = counting(SR_int64, SIZES(2, 4)), *y;
  OK(sr_repack(x, SR_BATCH_FIRST, SR_PACKED, &two, 0, sr_integer(0), &y));
  EXPECT(y, SR_int64, SIZES(3), VALUES(1, 5, 2));
  OK(sr_repack(x, SR_BATCH_FIRST, SR_TIME_FIRST, &two, 3, sr_integer(9), &y));
  EXPECT(y, SR_int64, SIZES(3, 2), VALUES(1, 5, 2, 9, 9, 9));
  sr_tensor_release(x);
}

static void lengths_and_sizes(void **state) {
  (void)state;
  sr_tensor *lengths = tensor(SR_int64, SIZES(4), VALUES(2, 0, 3, 2)), *sizes, *order;
  OK(sr_packing_of(lengths, true, &sizes, &order));
  EXPECT(sizes, SR_int64, SIZES(3), VALUES(3, 3, 1));
  EXPECT(order, SR_int64, SIZES(4), VALUES(3, 1, 4, 2));
  FAILS(sr_packing_of(lengths, false, &sizes, &order), SR_ARGUMENT, "got 3 at 3");
  sr_tensor_release(lengths);
  OK(sr_packing_lengths(&four, &lengths));
  EXPECT(lengths, SR_int64, SIZES(4), VALUES(2, 0, 3, 2));
  lengths = tensor(SR_int64, SIZES(2), VALUES(0, 0));
  OK(sr_packing_of(lengths, false, &sizes, &order));
  assert_null(order);
  EXPECT(sizes, SR_int64, SIZES(0), NOTHING);
  sr_tensor_release(lengths);
  lengths = tensor(SR_int64, SIZES(2), VALUES(3, -1));
  FAILS(sr_packing_of(lengths, true, &sizes, &order), SR_ARGUMENT, "got -1 at 2");
  sr_tensor_release(lengths);
  lengths = counting(SR_float32, SIZES(2));
  FAILS(sr_packing_of(lengths, true, &sizes, &order), SR_DTYPE, "lengths must be int64");
  sr_tensor_release(lengths);
  lengths = counting(SR_int64, SIZES(2, 1));
  FAILS(sr_packing_of(lengths, true, &sizes, &order), SR_SHAPE, "[2, 1]");
  sr_tensor_release(lengths);
}

static void messages(void **state) {
  (void)state;
  static const int64_t growing[] = {2, 3}, zero[] = {3, 0}, large[] = {INT64_MAX, INT64_MAX};
  static const int64_t twice[] = {3, 1, 3, 2}, far[] = {3, 1, 5, 2}, near[] = {0, 1, 3, 2};
  sr_tensor *x = counting(SR_float32, SIZES(7, 2)), *y, *none = counting(SR_float32, SCALAR);
  sr_tensor *padded = counting(SR_float32, SIZES(3, 4));
#define WRONG(change, status, text)                                                        \
  do {                                                                                     \
    sr_packing p = four;                                                                   \
    change;                                                                                \
    FAILS(sr_repack(x, SR_PACKED, SR_TIME_FIRST, &p, 3, sr_integer(0), &y), status, text); \
    FAILS(sr_packing_check(&p, x), status, text);                                          \
  } while (0)
  WRONG(p.batch = -1, SR_ARGUMENT, "-1 sequences");
  WRONG(p.batch = INT64_MAX, SR_ARGUMENT, "sequences of 3 steps");
  WRONG(p.steps = -1, SR_ARGUMENT, "-1 steps");
  WRONG(p.batch = 2, SR_ARGUMENT, "at most the batch of 2, got 3 at step 1");
  WRONG((p.steps = 2, p.batch_sizes = growing), SR_ARGUMENT, "got 3 at step 2");
  WRONG((p.steps = 2, p.batch_sizes = zero), SR_ARGUMENT, "got 0 at step 2");
  WRONG((p.steps = 2, p.batch_sizes = large), SR_ARGUMENT, "at step 1");
  WRONG(p.steps = 2, SR_SHAPE, "2 batch_sizes sum to 6 rows, the data has shape [7, 2]");
  WRONG(p.sorted = twice, SR_ARGUMENT, "each of 1 to 4 once, got 3 at 3");
  WRONG(p.sorted = far, SR_ARGUMENT, "got 5 at 3");
  WRONG(p.sorted = near, SR_ARGUMENT, "got 0 at 1");
  const sr_scalar nought = sr_integer(0);
  FAILS(sr_repack(x, SR_PACKED, SR_TIME_FIRST, &four, 2, nought, &y), SR_ARGUMENT, "length of 2");
  FAILS(sr_repack(x, SR_PACKED, SR_TIME_FIRST, &four, INT64_MAX, nought, &y), SR_SHAPE, "large");
  FAILS(sr_repack(none, SR_PACKED, SR_CHAINED, &four, 0, nought, &y), SR_SHAPE, "shape []");
  FAILS(sr_repack(padded, SR_BATCH_FIRST, SR_PACKED, &four, 0, nought, &y), SR_SHAPE,
        "4 sequences of up to 3 steps do not fit in a padded batch of shape [3, 4]");
  FAILS(sr_repack(x, SR_PACKED, (sr_layout)9, &four, 3, nought, &y), SR_ARGUMENT, "no layout");
  sr_tensor_release(x);
  sr_tensor_release(none);
  sr_tensor_release(padded);
}

#define REPACK(name, from, to)                                         \
  static sr_status name(sr_tensor *const *x, sr_tensor **y) {          \
    return sr_repack(x[0], from, to, &four, 5, sr_number(PADDING), y); \
  }
REPACK(pack, SR_TIME_FIRST, SR_PACKED)
REPACK(pack_batch_first, SR_BATCH_FIRST, SR_PACKED)
REPACK(pad, SR_PACKED, SR_TIME_FIRST)
REPACK(chain, SR_PACKED, SR_CHAINED)
REPACK(pad_chained, SR_CHAINED, SR_BATCH_FIRST)

static void differences(void **state) {
  (void)state;
  const gradcheck_case cases[] = {
      {"pack", pack, .n = 1, .input = {{3, {4, 4, 2}}}},
      {"pack, batch first", pack_batch_first, .n = 1, .input = {{2, {4, 3}}}},
      {"pad", pad, .n = 1, .input = {{2, {7, 2}}}},
      {"chain", chain, .n = 1, .input = {{1, {7}}}},
      {"pad chained", pad_chained, .n = 1, .input = {{2, {7, 2}}}},
  };
  GRADCHECK_ALL(cases);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(every_layout), TEST(longer_batches), TEST(lengths_and_sizes),
      TEST(messages),     TEST(differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
