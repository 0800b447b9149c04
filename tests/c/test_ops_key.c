/* test_ops_key.c: index and index_put_, reading and writing by keys with several tensors:
 * values, messages, gradients by finite differences. Keys of all kinds are compared with plain
 * loops in tests/lua/test_index.lua. */
#include "gradcheck.h"

#define NUMBER(x) ((sr_operand){.number = sr_number(x)})
#define TENSOR(x) ((sr_operand){.tensor = (x)})

static sr_tensor *ids_of(int ndim, const int64_t *size, const double *values) {
  return tensor(SR_int64, ndim, size, values);
}

static sr_tensor *mask_of(int ndim, const int64_t *size, const double *values) {
  return tensor(SR_bool, ndim, size, values);
}

/* ---- values --------------------------------------------------------------------------- */

static void pairs(void **state) {
  (void)state;
  for (int dtype = 0; dtype <= SR_int64; dtype++) {
    sr_tensor *x = counting((sr_dtype)dtype, SIZES(2, 3)), *t, *y;
    sr_tensor *i = ids_of(SIZES(3), VALUES(1, -1, 1)), *j = ids_of(SIZES(3), VALUES(3, 1, -2));
    const sr_key key = {.tensor = {i, j}}, turned = {.tensor = {j, i}};
    OK(sr_index(x, &key, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(3), VALUES(3, 4, 2));
    OK(sr_t(x, &t));
    OK(sr_index(t, &turned, &y));
    EXPECT(y, (sr_dtype)dtype, SIZES(3), VALUES(3, 4, 2));
    OK(sr_index_put_(x, x, &key, NUMBER(9)));
    EXPECT(sr_tensor_retain(x), (sr_dtype)dtype, SIZES(2, 3), VALUES(1, 9, 9, 9, 5, 6));
    OK(sr_index_put_(t, t, &turned, TENSOR(i))); /* converts */
    EXPECT(sr_tensor_retain(x), (sr_dtype)dtype, SIZES(2, 3), VALUES(1, 1, 1, -1, 5, 6));
    sr_tensor_release(t);
    sr_tensor_release(i);
    sr_tensor_release(j);
    sr_tensor_release(x);
  }
}

/* (2, 3, 2) at tensors for the first and last dimension: theirs come first. */
static void apart(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float32, SIZES(2, 3, 2)), *y;
  sr_tensor *i = ids_of(SIZES(2, 1), VALUES(2, 1)), *m = mask_of(SIZES(2), VALUES(1, 1));
  const sr_key key = {.tensor = {i, NULL, m}};
  OK(sr_index(x, &key, &y));
  EXPECT(y, SR_float32, SIZES(2, 2, 3), VALUES(7, 9, 11, 8, 10, 12, 1, 3, 5, 2, 4, 6));
  OK(sr_index_put_(x, x, &key, TENSOR(i)));
  EXPECT(x, SR_float32, SIZES(2, 3, 2), VALUES(2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1));
  sr_tensor_release(m);
  sr_tensor_release(i);
}

/* Masks of two dimensions, which lie apart in memory in the second tensor. */
static void wide_masks(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float64, SIZES(2, 2, 3)), *turned, *y;
  sr_tensor *m = mask_of(SIZES(2, 3), VALUES(0, 1, 0, 1, 0, 1));
  const sr_key last = {.tensor = {NULL, m}}, first = {.tensor = {m}};
  OK(sr_index(x, &last, &y));
  EXPECT(y, SR_float64, SIZES(2, 3), VALUES(2, 4, 6, 8, 10, 12));
  OK(sr_permute(x, 3, (const int[]){1, 2, 0}, &turned));
  OK(sr_index(turned, &first, &y));
  EXPECT(y, SR_float64, SIZES(3, 2), VALUES(2, 8, 4, 10, 6, 12));
  OK(sr_index_put_(turned, turned, &first, NUMBER(0)));
  EXPECT(x, SR_float64, SIZES(2, 2, 3), VALUES(1, 0, 3, 0, 5, 0, 7, 0, 9, 0, 11, 0));
  sr_tensor_release(turned);
  sr_tensor_release(m);
}

/* The positions are x itself, and so is the value. */
static void x_by_itself(void **state) {
  (void)state;
  sr_tensor *x = ids_of(SIZES(3), VALUES(2, 3, 1)), *y;
  const sr_key key = {.tensor = {x}};
  OK(sr_index(x, &key, &y));
  EXPECT(y, SR_int64, SIZES(3), VALUES(3, 1, 2));
  OK(sr_index_put_(x, x, &key, TENSOR(x)));
  EXPECT(x, SR_int64, SIZES(3), VALUES(1, 2, 3));
}

static void nothing_chosen(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float32, SIZES(2, 3)), *none = empty(SR_int64, SIZES(0)), *y;
  sr_tensor *one = ids_of(SIZES(1), VALUES(1)), *m = mask_of(SIZES(3), VALUES(0, 0, 0));
  const sr_key row = {.tensor = {none}}, both = {.tensor = {one, none}}, by_mask = {{NULL, m}, {0}};
  OK(sr_index(x, &row, &y));
  EXPECT(y, SR_float32, SIZES(0, 3), NOTHING);
  OK(sr_index(x, &both, &y));
  EXPECT(y, SR_float32, SIZES(0), NOTHING);
  OK(sr_index(x, &by_mask, &y));
  EXPECT(y, SR_float32, SIZES(2, 0), NOTHING);
  OK(sr_index_put_(x, x, &both, TENSOR(one)));
  EXPECT(x, SR_float32, SIZES(2, 3), VALUES(1, 2, 3, 4, 5, 6));
  x = empty(SR_float32, SIZES(3, 0, 2));
  const sr_key apart_ = {.tensor = {one, NULL, one}}, column = {.tensor = {one}};
  OK(sr_index(x, &apart_, &y));
  EXPECT(y, SR_float32, SIZES(1, 0), NOTHING);
  OK(sr_index(x, &column, &y));
  EXPECT(y, SR_float32, SIZES(1, 0, 2), NOTHING);
  sr_tensor_release(x);
  sr_tensor_release(m);
  sr_tensor_release(one);
  sr_tensor_release(none);
}

/* ---- messages ------------------------------------------------------------------------- */

static void messages(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float32, SIZES(2, 3)), *y;
  sr_tensor *i = ids_of(SIZES(2), VALUES(1, 2)), *three = ids_of(SIZES(3), VALUES(1, 2, 3));
  sr_tensor *zero = ids_of(SIZES(2), VALUES(2, 0)), *far = ids_of(SIZES(2), VALUES(1, -4));
  sr_tensor *m = mask_of(SIZES(2), VALUES(1, 0)),
            *all = mask_of(SIZES(2, 3, 1), VALUES(0, 0, 0, 0, 0, 0));
  sr_tensor *truth = mask_of(SCALAR, VALUES(1));
#define KEY(...) (&(sr_key){.tensor = {__VA_ARGS__}})
  FAILS(sr_index(x, KEY(three), &y), SR_INDEX, "index: index 3 in dimension 1 of size 2");
  FAILS(sr_index(x, KEY(i, far), &y), SR_INDEX, "index: index -4 in dimension 2 of size 3");
  FAILS(sr_index(x, KEY(NULL, zero), &y), SR_INDEX,
        "index: index 0 in dimension 2 of size 3: positions count from 1");
  FAILS(sr_index(x, (&(sr_key){.tensor = {NULL, far}, .named = {0, 5}}), &y), SR_INDEX,
        "index -4 in dimension 5 of size 3");
  FAILS(sr_index(x, KEY(i, three), &y), SR_SHAPE,
        "index: the index tensors have shapes [2] and [3], which do not broadcast");
  FAILS(sr_index(x, KEY(NULL, m), &y), SR_SHAPE,
        "index: a mask of shape [2] where from dimension 2 on the sizes are [3]");
  FAILS(sr_index(x, KEY(all), &y), SR_SHAPE,
        "index: a mask of shape [2, 3, 1] where from dimension 1 on the sizes are [2, 3]");
  FAILS(sr_index(x, KEY(truth), &y), SR_SHAPE, "index: a mask of shape []");
  FAILS(sr_index(x, KEY(x), &y), SR_DTYPE, "index: index must be int64, got float32");
  FAILS(sr_index(x, KEY(NULL), &y), SR_ARGUMENT, "index: a key without tensors");
  FAILS(sr_index_put_(x, x, KEY(far), NUMBER(0)), SR_INDEX, "index_put_: index -4 in dimension 1");
  FAILS(sr_index_put_(x, x, KEY(i, zero), NUMBER(0)), SR_INDEX, "index_put_: index 0 in dim");
  FAILS(sr_index_put_(x, x, KEY(i), TENSOR(i)), SR_SHAPE,
        "index_put_: the value has shape [2], which does not broadcast to [2, 3]");
  FAILS(sr_index_put_(x, i, KEY(i), NUMBER(0)), SR_ARGUMENT, "index_put_: the region of shape [2]");
  EXPECT(sr_tensor_retain(x), SR_float32, SIZES(2, 3), VALUES(1, 2, 3, 4, 5, 6)); /* untouched */
  FAILS(sr_index_put_(i, i, KEY(i), NUMBER(NAN)), SR_ARGUMENT, "index_put_: nan");
  sr_tensor *wide;
  OK(sr_expand(i, 2, (const int64_t[]){3, 2}, &wide));
  FAILS(sr_index_put_(wide, wide, KEY(i), NUMBER(0)), SR_STATE, "index_put_: an expanded tensor");
  sr_tensor_release(wide);
  sr_tensor_release(truth);
  sr_tensor_release(all);
  sr_tensor_release(m);
  sr_tensor_release(far);
  sr_tensor_release(zero);
  sr_tensor_release(three);
  sr_tensor_release(i);
  sr_tensor_release(x);
}

/* A mask and a tensor for one of its dimensions; results with too many dimensions. */
static void impossible_keys(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float32, SIZES(2, 2)), *y, *wide;
  sr_tensor *m = mask_of(SIZES(2, 2), VALUES(1, 0, 0, 1)), *i = ids_of(SIZES(2), VALUES(1, 2));
  FAILS(sr_index(x, KEY(m, i), &y), SR_ARGUMENT, "a mask and another tensor for dimension 2");
  OK(sr_view(i, 8, (const int64_t[]){1, 1, 1, 1, 1, 1, 1, 2}, &wide));
  FAILS(sr_index(x, KEY(wide), &y), SR_SHAPE, "index: the result would have 9 dimensions");
  OK(sr_index(x, KEY(wide, i), &y));
  EXPECT(y, SR_float32, SIZES(1, 1, 1, 1, 1, 1, 1, 2), VALUES(1, 4));
  sr_tensor_release(wide);
  sr_tensor_release(i);
  sr_tensor_release(m);
  sr_tensor_release(x);
}

/* ---- gradients ------------------------------------------------------------------------ */

static void leaves_are_protected(void **state) {
  (void)state;
  sr_tensor *x = leaf(counting(SR_float64, SIZES(2, 2))), *y, *i = ids_of(SIZES(1), VALUES(1));
  FAILS(sr_index_put_(x, x, KEY(i), NUMBER(0)), SR_STATE, "index_put_: a leaf");
  EXPECT(sr_tensor_retain(x), SR_float64, SIZES(2, 2), VALUES(1, 2, 3, 4));
  OK(sr_index(x, KEY(i), &y));
  OK(sr_fill_(i, sr_integer(2)));
  sr_tensor *g = counting(SR_float64, SIZES(1, 2));
  FAILS(sr_backward(y, g, false), SR_STATE, "gradient of index was changed in place");
  sr_tensor_release(g);
  sr_tensor_release(y);
  sr_tensor_release(i);
  sr_tensor_release(x);
}

/* What is written into integers passes no gradient on; a float32 value gets float32. */
static void values_of_other_dtypes(void **state) {
  (void)state;
  sr_tensor *v = leaf(counting(SR_float32, SIZES(2))), *x = counting(SR_float64, SIZES(3));
  sr_tensor *n = counting(SR_int64, SIZES(3)), *i = ids_of(SIZES(2), VALUES(3, 1));
  OK(sr_index_put_(n, n, KEY(i), TENSOR(v)));
  assert_false(sr_requires_grad(n));
  EXPECT(n, SR_int64, SIZES(3), VALUES(2, 2, 1));
  OK(sr_index_put_(x, x, KEY(i), TENSOR(v)));
  sr_tensor *g = counting(SR_float64, SIZES(3));
  OK(sr_backward(x, g, false));
  EXPECT(sr_tensor_retain(sr_grad(v)), SR_float32, SIZES(2), VALUES(3, 1));
  sr_tensor_release(g);
  sr_tensor_release(i);
  sr_tensor_release(x);
  sr_tensor_release(v);
}

static const int64_t some_ids[] = {2, -1, 2, 1}, others[] = {3, 3, -1, 1};
static const uint8_t some_mask[] = {1, 0, 0, 1, 1, 0};

/* Tensors for a key; they are released by the call that uses it. */
typedef struct {
  sr_key key;
  int n;
  sr_tensor *made[2];
  sr_status status;
} holder;

static sr_tensor *held(holder *h, sr_dtype dtype, int ndim, const int64_t *size,
                       const void *values) {
  if (h->status) return NULL;
  h->status = sr_tensor_from(dtype, ndim, size, values, SR_CPU, &h->made[h->n]);
  return h->status ? NULL : h->made[h->n++];
}

static void release(holder *h) {
  while (h->n) sr_tensor_release(h->made[--h->n]);
}

typedef enum { PAIR, APART, ONE, MASK, MASK_AND_IDS } kind;

/* For x of shape (3, 3, 2), APART (3, 2, 3). */
static holder key_of(kind k) {
  holder h = {0};
  sr_tensor **t = h.key.tensor;
  switch (k) {
    case PAIR:
      t[0] = held(&h, SR_int64, SIZES(4), some_ids);
      t[1] = held(&h, SR_int64, SIZES(4), others);
      break;
    case APART:
      t[0] = held(&h, SR_int64, SIZES(2, 2), others);
      t[2] = held(&h, SR_int64, SIZES(2, 1), some_ids);
      break;
    case ONE: t[1] = held(&h, SR_int64, SIZES(2, 2), others); break;
    case MASK: t[1] = held(&h, SR_bool, SIZES(3, 2), some_mask); break;
    default:
      t[0] = held(&h, SR_bool, SIZES(3), some_mask);
      t[1] = held(&h, SR_int64, SIZES(4, 1), some_ids);
  }
  return h;
}

static sr_status read_by(kind k, sr_tensor *x, sr_tensor **y) {
  holder h = key_of(k);
  sr_status status = h.status ? h.status : sr_index(x, &h.key, y);
  release(&h);
  return status;
}

static sr_status write_by(kind k, sr_tensor *x, sr_tensor *value) {
  holder h = key_of(k);
  sr_operand v = value ? TENSOR(value) : NUMBER(3);
  sr_status status = h.status ? h.status : sr_index_put_(x, x, &h.key, v);
  release(&h);
  return status;
}

#define READS(name, kind) \
  static sr_status name(sr_tensor *const *x, sr_tensor **y) { return read_by(kind, x[0], y); }
READS(read_pair, PAIR)
READS(read_apart, APART)
READS(read_one, ONE)
READS(read_mask, MASK)
READS(read_mask_and_ids, MASK_AND_IDS)

static sr_status after(sr_status status, sr_tensor **y) {
  if (!status) return status;
  sr_tensor_release(*y);
  *y = NULL;
  return status;
}

/* y = x0^2, permuted if asked for, after which y[key] = x1 */
static sr_status written(kind k, bool permuted, sr_tensor *x, sr_tensor *value, sr_tensor **y) {
  sr_tensor *square;
  sr_status status = sr_unary("square", x, &square);
  if (status) return status;
  status = sr_permute(square, 3, permuted ? (const int[]){2, 0, 1} : (const int[]){0, 1, 2}, y);
  sr_tensor_release(square);
  return status ? status : after(write_by(k, *y, value), y);
}

#define WRITES(name, kind, permuted)                                   \
  static sr_status name(sr_tensor *const *x, sr_tensor **y) {          \
    return written(kind, permuted, x[0], x[1], y);                     \
  }                                                                    \
  static sr_status name##_number(sr_tensor *const *x, sr_tensor **y) { \
    return written(kind, permuted, x[0], NULL, y);                     \
  }
WRITES(write_pair, PAIR, false)
WRITES(write_apart, APART, false)
WRITES(write_one, ONE, true)
WRITES(write_mask, MASK, true)

/* y = x0^2; y[2:4, :, 1][.., ids] = x1 */
static sr_status write_region(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *rows = NULL, *region = NULL;
  sr_status status = sr_unary("square", x[0], y);
  if (status) return status;
  bool recording = sr_set_grad_enabled(false);
  status = sr_slice(*y, 0, 1, 2, 1, &rows);
  if (!status) status = sr_select(rows, 2, 1, &region);
  sr_set_grad_enabled(recording);
  holder h = {.status = status};
  h.key.tensor[1] = held(&h, SR_int64, SIZES(4), others);
  status = h.status ? h.status : sr_index_put_(*y, region, &h.key, TENSOR(x[1]));
  release(&h);
  sr_tensor_release(region);
  sr_tensor_release(rows);
  return after(status, y);
}

static void differences(void **state) {
  (void)state;
  const gradcheck_case cases[] = {
      {"index, a pair", read_pair, .n = 1, .input = {{3, {3, 3, 2}}}},
      {"index, apart", read_apart, .n = 1, .input = {{3, {3, 2, 3}}}},
      {"index, one", read_one, .n = 1, .input = {{3, {3, 3, 2}}}},
      {"index, a mask", read_mask, .n = 1, .input = {{3, {3, 3, 2}}}},
      {"index, a mask and ids", read_mask_and_ids, .n = 1, .input = {{3, {3, 3, 2}}}},
      {"index_put_, a pair", write_pair, .n = 2, .input = {{3, {3, 3, 2}}, {2, {4, 2}}}},
      {"index_put_, apart", write_apart, .n = 2, .input = {{3, {3, 2, 3}}, {2, {2, 1}}}},
      {"index_put_, permuted", write_one, .n = 2, .input = {{3, {3, 2, 3}}, {3, {2, 2, 2}}}},
      {"index_put_, a mask", write_mask, .n = 2, .input = {{3, {3, 2, 3}}, {1, {1}}}},
      {"index_put_, a number", write_pair_number, .n = 1, .input = {{3, {3, 3, 2}}}},
      {"index_put_, a number apart", write_apart_number, .n = 1, .input = {{3, {3, 2, 3}}}},
      {"index_put_, a number permuted", write_one_number, .n = 1, .input = {{3, {3, 2, 3}}}},
      {"index_put_, a number by mask", write_mask_number, .n = 1, .input = {{3, {3, 2, 3}}}},
      {"index_put_, a part", write_region, .n = 2, .input = {{3, {3, 3, 2}}, {2, {2, 4}}}},
  };
  GRADCHECK_ALL(cases);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(pairs),
      TEST(apart),
      TEST(wide_masks),
      TEST(x_by_itself),
      TEST(nothing_chosen),
      TEST(messages),
      TEST(impossible_keys),
      TEST(leaves_are_protected),
      TEST(values_of_other_dtypes),
      TEST(differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
