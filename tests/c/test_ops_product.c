/* test_ops_product.c: matmul and its relatives, linear, einsum: values, gradients, shapes,
 * strides and messages. */
#include "golden_case.h"

/* ---- reference cases ---------------------------------------------------------------------- */

static void golden_products(void **state) {
  (void)state;
  static const struct {
    const char *name;
    sr_status (*function)(sr_tensor *, sr_tensor *, sr_tensor **);
  } cases[] = {{"bmm", sr_bmm}, {"matmul_broadcast", sr_matmul}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    golden_case_tensors c = golden_case_open(cases[i].name);
    sr_tensor *a = golden_input(&c, "a"), *b = golden_input(&c, "b"), *y;
    OK(cases[i].function(a, b, &y));
    golden_backward(&c, 1, &y, (const char *[]){"cot.y"});
    golden_expect(&c, "y", y);
    golden_expect_grad(&c, "grad.a", a);
    golden_expect_grad(&c, "grad.b", b);
    golden_case_close(&c);
  }
}

static void golden_linear(void **state) {
  (void)state;
  golden_case_tensors c = golden_case_open("linear_3d");
  sr_tensor *x = golden_input(&c, "x"), *w = golden_input(&c, "w"), *b = golden_input(&c, "b"), *y;
  OK(sr_linear(x, w, b, &y));
  golden_backward(&c, 1, &y, (const char *[]){"cot.y"});
  golden_expect(&c, "y", y);
  golden_expect_grad(&c, "grad.x", x);
  golden_expect_grad(&c, "grad.w", w);
  golden_expect_grad(&c, "grad.b", b);
  golden_case_close(&c);
}

/* ---- gradients ---------------------------------------------------------------------------- */

FUNCTION(matmul_of, sr_matmul(x[0], x[1], y))
FUNCTION(mm_of, sr_mm(x[0], x[1], y))
FUNCTION(bmm_of, sr_bmm(x[0], x[1], y))
FUNCTION(mv_of, sr_mv(x[0], x[1], y))
FUNCTION(dot_of, sr_dot(x[0], x[1], y))
FUNCTION(outer_of, sr_outer(x[0], x[1], y))
FUNCTION(square_of, sr_mm(x[0], x[0], y))
FUNCTION(linear_of, sr_linear(x[0], x[1], x[2], y))
FUNCTION(linear_without_bias, sr_linear(x[0], x[1], NULL, y))

/* The weight serves twice: its gradient is accumulated. */
static sr_status linear_twice(sr_tensor *const *x, sr_tensor **y) {
  sr_tensor *first;
  sr_status status = sr_linear(x[0], x[1], x[2], &first);
  if (status) return status;
  status = sr_linear(first, x[1], x[2], y);
  sr_tensor_release(first);
  return status;
}

static void product_gradients(void **state) {
  (void)state;
  static const gradcheck_case cases[] = {
      CASE("matmul 1 1", matmul_of, 2, {1, {4}}, {1, {4}}),
      CASE("matmul 1 2", matmul_of, 2, {1, {4}}, {2, {4, 3}}),
      CASE("matmul 2 1", matmul_of, 2, {2, {3, 4}}, {1, {4}}),
      CASE("matmul 2 2", matmul_of, 2, {2, {3, 4}}, {2, {4, 2}}),
      CASE("matmul 1 3", matmul_of, 2, {1, {4}}, {3, {2, 4, 3}}),
      CASE("matmul 3 1", matmul_of, 2, {3, {2, 3, 4}}, {1, {4}}),
      CASE("matmul 3 2", matmul_of, 2, {3, {2, 3, 4}}, {2, {4, 5}}),
      CASE("matmul 2 3", matmul_of, 2, {2, {3, 4}}, {3, {2, 4, 5}}),
      CASE("matmul 3 3", matmul_of, 2, {3, {2, 3, 4}}, {3, {2, 4, 5}}),
      CASE("matmul 4 3", matmul_of, 2, {4, {2, 1, 3, 4}}, {3, {3, 4, 2}}),
      CASE("matmul 3 4", matmul_of, 2, {3, {1, 3, 4}}, {4, {2, 3, 4, 2}}),
      CASE("matmul both batches", matmul_of, 2, {4, {3, 1, 2, 3}}, {4, {1, 2, 3, 2}}),
      CASE("matmul rows of one", matmul_of, 2, {3, {3, 1, 4}}, {2, {4, 2}}),
      CASE("matmul empty batch", matmul_of, 2, {3, {0, 3, 4}}, {2, {4, 2}}),
      CASE("matmul empty sum", matmul_of, 2, {2, {3, 0}}, {2, {0, 2}}),
      CASE("mm", mm_of, 2, {2, {3, 4}}, {2, {4, 5}}),
      CASE("mm with itself", square_of, 1, {2, {4, 4}}),
      CASE("bmm", bmm_of, 2, {3, {2, 3, 4}}, {3, {2, 4, 5}}),
      CASE("mv", mv_of, 2, {2, {3, 4}}, {1, {4}}),
      CASE("dot", dot_of, 2, {1, {5}}, {1, {5}}),
      CASE("outer", outer_of, 2, {1, {3}}, {1, {4}}),
      CASE("linear 1", linear_of, 3, {1, {4}}, {2, {3, 4}}, {1, {3}}),
      CASE("linear 2", linear_of, 3, {2, {5, 4}}, {2, {3, 4}}, {1, {3}}),
      CASE("linear 2, one row", linear_of, 3, {2, {1, 4}}, {2, {3, 4}}, {1, {3}}),
      CASE("linear 3", linear_of, 3, {3, {2, 5, 4}}, {2, {3, 4}}, {1, {3}}),
      CASE("linear 3, one row", linear_of, 3, {3, {1, 1, 4}}, {2, {3, 4}}, {1, {3}}),
      CASE("linear empty", linear_of, 3, {2, {0, 4}}, {2, {3, 4}}, {1, {3}}),
      CASE("linear without inputs", linear_of, 3, {2, {2, 0}}, {2, {3, 0}}, {1, {3}}),
      CASE("linear without bias", linear_without_bias, 2, {2, {5, 4}}, {2, {3, 4}}),
      CASE("linear twice", linear_twice, 3, {2, {2, 3}}, {2, {3, 3}}, {1, {3}}),
  };
  GRADCHECK_ALL(cases);
}

/* ---- einsum -------------------------------------------------------------------------- */

FUNCTION(einsum_product, sr_einsum("ij,jk->ik", 2, x, y))
FUNCTION(einsum_batch, sr_einsum("bij,bjk->bik", 2, x, y))
FUNCTION(einsum_implied, sr_einsum("ba, cb", 2, x, y)) /* ac */
FUNCTION(einsum_outer, sr_einsum("i,j->ji", 2, x, y))
FUNCTION(einsum_trace, sr_einsum("ii", 1, x, y))
FUNCTION(einsum_diagonal, sr_einsum("iji->ji", 1, x, y))
FUNCTION(einsum_transpose, sr_einsum("ij->ji", 1, x, y))
FUNCTION(einsum_sum, sr_einsum("ijk->k", 1, x, y))
FUNCTION(einsum_three, sr_einsum("bn,anm,bm->ba", 3, x, y))
FUNCTION(einsum_lonely, sr_einsum("ij,kl->il", 2, x, y))
FUNCTION(einsum_element, sr_einsum("ij,ij->ij", 2, x, y))
FUNCTION(einsum_attention, sr_einsum("bqd,bkd->bqk", 2, x, y))
FUNCTION(einsum_number, sr_einsum(",ij->ij", 2, x, y))

static void einsum_gradients(void **state) {
  (void)state;
  static const gradcheck_case cases[] = {
      CASE("einsum product", einsum_product, 2, {2, {3, 4}}, {2, {4, 2}}),
      CASE("einsum batch", einsum_batch, 2, {3, {2, 3, 4}}, {3, {2, 4, 2}}),
      CASE("einsum broadcast batch", einsum_batch, 2, {3, {1, 3, 4}}, {3, {2, 4, 2}}),
      CASE("einsum implied", einsum_implied, 2, {2, {2, 3}}, {2, {4, 2}}),
      CASE("einsum outer", einsum_outer, 2, {1, {2}}, {1, {3}}),
      CASE("einsum trace", einsum_trace, 1, {2, {3, 3}}),
      CASE("einsum diagonal", einsum_diagonal, 1, {3, {3, 2, 3}}),
      CASE("einsum transpose", einsum_transpose, 1, {2, {2, 3}}),
      CASE("einsum sum", einsum_sum, 1, {3, {2, 3, 2}}),
      CASE("einsum three", einsum_three, 3, {2, {2, 3}}, {3, {4, 3, 2}}, {2, {2, 2}}),
      CASE("einsum lonely", einsum_lonely, 2, {2, {2, 3}}, {2, {3, 2}}),
      CASE("einsum element", einsum_element, 2, {2, {2, 3}}, {2, {2, 3}}),
      CASE("einsum attention", einsum_attention, 2, {3, {2, 2, 3}}, {3, {2, 4, 3}}),
      CASE("einsum number", einsum_number, 2, {0}, {2, {2, 3}}),
  };
  GRADCHECK_ALL(cases);
}

static void einsum_values(void **state) {
  (void)state;
  sr_tensor *a = counting(SR_float64, SIZES(2, 3)), *b = counting(SR_float64, SIZES(3, 2));
  sr_tensor *square = counting(SR_float64, SIZES(2, 2)), *y;
  OK(sr_einsum("ij,jk->ik", 2, (sr_tensor *[]){a, b}, &y));
  EXPECT(y, SR_float64, SIZES(2, 2), VALUES(22, 28, 49, 64));
  OK(sr_einsum(" i j , j k ", 2, (sr_tensor *[]){a, b}, &y));
  EXPECT(y, SR_float64, SIZES(2, 2), VALUES(22, 28, 49, 64));
  OK(sr_einsum("ij,jk->ki", 2, (sr_tensor *[]){a, b}, &y));
  EXPECT(y, SR_float64, SIZES(2, 2), VALUES(22, 49, 28, 64));
  OK(sr_einsum("ba", 1, &a, &y));
  EXPECT(y, SR_float64, SIZES(3, 2), VALUES(1, 4, 2, 5, 3, 6));
  OK(sr_einsum("ii->i", 1, &square, &y));
  EXPECT(y, SR_float64, SIZES(2), VALUES(1, 4));
  OK(sr_einsum("ii", 1, &square, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(5));
  OK(sr_einsum("ij->", 1, &a, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(21));
  OK(sr_einsum("ij,ij,ij->j", 3, (sr_tensor *[]){a, a, a}, &y));
  EXPECT(y, SR_float64, SIZES(3), VALUES(65, 133, 243));
  sr_tensor_release(square);
  sr_tensor_release(b);
  sr_tensor_release(a);
}

static void einsum_errors(void **state) {
  (void)state;
  sr_tensor *a = counting(SR_float64, SIZES(2, 3)), *y;
  sr_tensor *two[] = {a, a}, *many[40];
  for (int i = 0; i < 40; i++) many[i] = a;
  FAILS(sr_einsum("i..", 1, &a, &y), SR_ARGUMENT, "'.' that is not part of '...'");
  FAILS(sr_einsum("i1", 1, &a, &y), SR_ARGUMENT, "labels are letters, got '1'");
  FAILS(sr_einsum("i\xff", 1, &a, &y), SR_ARGUMENT, "got '?'");
  FAILS(sr_einsum("ij-ij", 1, &a, &y), SR_ARGUMENT, "expected '->'");
  FAILS(sr_einsum("ij->i,j", 1, &a, &y), SR_ARGUMENT, "nothing may follow");
  FAILS(sr_einsum("ij->ii", 1, &a, &y), SR_ARGUMENT, "twice");
  FAILS(sr_einsum("ij->ik", 1, &a, &y), SR_ARGUMENT, "'k' of the result is in no operand");
  FAILS(sr_einsum("ij,jk", 1, &a, &y), SR_ARGUMENT, "has 2 operands, got 1 tensors");
  FAILS(sr_einsum("ijk", 1, &a, &y), SR_SHAPE, "operand 1 of 'ijk' has 3 labels, but shape [2, 3]");
  FAILS(sr_einsum("ij,jk", 2, two, &y), SR_SHAPE, "label 'j' of 'ij,jk' has sizes 3 and 2");
  FAILS(sr_einsum("ii", 1, &a, &y), SR_SHAPE, "label 'i' of 'ii' has sizes 2 and 3");
  sr_tensor *row = counting(SR_float64, SIZES(1, 3)),
            *five = counting(SR_float64, SIZES(1, 1, 1, 1, 1));
  sr_tensor *three[] = {five, five, counting(SR_float64, SIZES(1, 1, 1, 1, 1, 1, 1, 1))};
  FAILS(sr_einsum("ii", 1, &row, &y), SR_SHAPE, "label 'i' of 'ii' has sizes 1 and 3");
  FAILS(sr_einsum("abcde,fghij,abcdefgh->ij", 3, three, &y), SR_SHAPE,
        "a product on the way has 10 dimensions, more than 8");
  sr_tensor_release(three[2]);
  sr_tensor_release(five);
  sr_tensor_release(row);
  FAILS(sr_einsum("abcdefghi", 1, &a, &y), SR_ARGUMENT, "more than 8 labels");
  FAILS(
      sr_einsum("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,a,b,c,d,e,f,g", 33, many, &y),
      SR_ARGUMENT, "more than 32 operands");
  FAILS(sr_einsum("ab,cd,ef,gh,ij", 5, many, &y), SR_ARGUMENT, "more than 8 dimensions");
  OK(sr_einsum("ab,cd,ef,gh,ij->", 5, many, &y));
  EXPECT(y, SR_float64, SCALAR, VALUES(21. * 21 * 21 * 21 * 21));
  sr_tensor_release(a);
}

/* ---- strides ------------------------------------------------------------------------------ */

static double at(const sr_tensor *t, const int64_t *index) {
  int64_t offset = 0;
  for (int d = 0; d < sr_tensor_ndim(t); d++)
    offset += sr_tensor_sizes(t)[d] == 1 ? 0 : index[d] * sr_tensor_strides(t)[d];
  return ((const float *)sr_tensor_data(t))[offset];
}

/* y (2, 3, m, n) is a (.., m, k) times b (.., k, n) with batches that broadcast to (2, 3). */
static void expect_product(const sr_tensor *y, const sr_tensor *a, const sr_tensor *b, int64_t k) {
  const int64_t *size = sr_tensor_sizes(y);
  for (int64_t i = 0; i < size[0]; i++)
    for (int64_t j = 0; j < size[1]; j++)
      for (int64_t r = 0; r < size[2]; r++)
        for (int64_t c = 0; c < size[3]; c++) {
          double sum = 0;
          for (int64_t l = 0; l < k; l++)
            sum += at(a, (int64_t[]){i, j, r, l}) * at(b, (int64_t[]){i, j, l, c});
          double got = at(y, (int64_t[]){i, j, r, c});
          if (fabs(got - sum) > 1e-4 * fmax(1, fabs(sum))) fail_msg("%g is not %g", got, sum);
        }
}

/* A (2 or 1, 3 or 1, rows, columns) view of new memory in one of several layouts. */
static sr_tensor *laid_out(int layout, bool first, bool second, int64_t rows, int64_t columns) {
  static const int orders[][4] = {{0, 1, 2, 3}, {0, 1, 3, 2}, {1, 0, 2, 3},
                                  {2, 0, 1, 3}, {3, 2, 1, 0}, {2, 3, 0, 1}};
  const int *order = orders[layout % 6];
  int64_t wanted[4] = {first ? 2 : 1, second ? 3 : 1, rows, columns}, size[4];
  int inverse[4];
  for (int d = 0; d < 4; d++) {
    size[d] = wanted[order[d]];
    inverse[order[d]] = d;
  }
  bool expanded = layout >= 6 && layout < 12, sliced = layout >= 12;
  if (expanded) size[inverse[layout % 4]] = 1;
  if (sliced) size[3] *= 2;
  sr_tensor *base = empty(SR_float32, 4, size), *part, *permuted, *out;
  OK(sr_uniform_(base, -1, 1, NULL));
  if (sliced)
    OK(sr_slice(base, 3, 1, size[3] / 2, 2, &part));
  else
    part = sr_tensor_retain(base);
  OK(sr_permute(part, 4, inverse, &permuted));
  OK(sr_expand(permuted, 4, wanted, &out));
  sr_tensor_release(permuted);
  sr_tensor_release(part);
  sr_tensor_release(base);
  return out;
}

static void any_strides(void **state) {
  (void)state;
  static const int64_t sizes[][3] = {{3, 4, 5}, {1, 7, 4}, {5, 1, 1}, {1, 1, 6}, {17, 9, 33}};
  enum { LAYOUTS = 18 };
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (int i = 0; i < LAYOUTS * LAYOUTS; i++) {
      int64_t m = sizes[s][0], k = sizes[s][1], n = sizes[s][2];
      sr_tensor *a = laid_out(i % LAYOUTS, true, i % 3 != 1, m, k);
      sr_tensor *b = laid_out(i / LAYOUTS, i % 2, i % 3 == 1 || i % 5 < 3, k, n), *y;
      OK(sr_matmul(a, b, &y));
      expect_product(y, a, b, k);
      sr_tensor_release(y);
      sr_tensor_release(b);
      sr_tensor_release(a);
    }
}

/* Large enough for the library behind gemm, in every layout. */
static void large_strides(void **state) {
  (void)state;
  for (int i = 0; i < 36; i++) {
    sr_tensor *a = laid_out(i % 6 * 3, false, false, 130, 96), *y;
    sr_tensor *b = laid_out(i / 6 * 3, false, false, 96, 121);
    OK(sr_matmul(a, b, &y));
    expect_product(y, a, b, 96);
    sr_tensor_release(y);
    sr_tensor_release(b);
    sr_tensor_release(a);
  }
}

/* ---- what is kept, what is refused -------------------------------------------------------- */

/* Rows of x that lie apart are read where they are; other strides too. */
static void linear_strides(void **state) {
  (void)state;
  sr_tensor *base = counting(SR_float64, SIZES(5, 6)), *w = counting(SR_float64, SIZES(4, 3));
  sr_tensor *b = counting(SR_float64, SIZES(4)), *w_wide, *w_part;
  OK(sr_repeat(w, 2, (int64_t[]){1, 2}, &w_wide));
  OK(sr_narrow(w_wide, 1, 3, 3, &w_part));
  for (int step = 1; step <= 2; step++)
    for (int strided_weight = 0; strided_weight < 2; strided_weight++) {
      sr_tensor *x, *dense, *y, *expected;
      OK(sr_slice(base, 1, 1, 3, step, &x));
      OK(sr_contiguous(x, &dense));
      OK(sr_linear(x, strided_weight ? w_part : w, b, &y));
      OK(sr_linear(dense, w, b, &expected));
      assert_memory_equal(sr_tensor_data(y), sr_tensor_data(expected), 20 * sizeof(double));
      sr_tensor *all[] = {x, dense, y, expected};
      for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
    }
  sr_tensor *all[] = {base, w, b, w_wide, w_part};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* Gradients of many examples go into one buffer of the weight's size. */
static void weight_gradient_makes_no_temporary(void **state) {
  (void)state;
  enum { N = 512 };
  sr_tensor *x = counting(SR_float32, SIZES(1, N)), *w = leaf(empty(SR_float32, SIZES(N, N))), *y;
  FAILS(sr_uniform_(w, -1, 1, NULL), SR_STATE, "leaf");
  sr_tensor *loss = NULL;
  for (int i = 0; i < 8; i++) {
    sr_tensor *sum, *total;
    OK(sr_linear(x, w, NULL, &y));
    OK(sr_sum(y, NULL, &sum));
    sr_tensor_release(y);
    total = sum;
    if (loss) {
      OK(sr_binary("add", loss, sum, &total));
      sr_tensor_release(sum);
      sr_tensor_release(loss);
    }
    loss = total;
  }
  int64_t before = sr_memory_stats().live_bytes;
  OK(sr_backward(loss, NULL, false));
  int64_t weight_bytes = N * N * 4;
  assert_true(sr_memory_stats().peak_bytes - before < weight_bytes + weight_bytes / 2);
  assert_true(((float *)sr_tensor_data(sr_grad(w)))[N + 2] == 8 * 3);
  sr_tensor_release(loss);
  sr_tensor_release(w);
  sr_tensor_release(x);
}

/* A factor without gradient does not keep the other one. */
static void only_needed_factors_are_kept(void **state) {
  (void)state;
  sr_tensor *a = leaf(counting(SR_float32, SIZES(2, 2))), *b = counting(SR_float32, SIZES(2, 2)),
            *y;
  sr_tensor *sum;
  OK(sr_mm(a, b, &y));
  bool recording = sr_set_grad_enabled(false);
  OK(sr_fill_(a, sr_number(0))); /* not read by the gradient of a */
  sr_set_grad_enabled(recording);
  OK(sr_sum(y, NULL, &sum));
  OK(sr_backward(sum, NULL, true));
  OK(sr_fill_(b, sr_number(0)));
  FAILS(sr_backward(sum, NULL, false), SR_STATE, "mm was changed in place");
  sr_tensor_release(sum);
  sr_tensor_release(y);
  sr_tensor_release(b);
  sr_tensor_release(a);
}

/* The gradient that backward starts from is the grad that it adds to. */
static void backward_from_a_grad(void **state) {
  (void)state;
  enum { N = 70 };
  sr_tensor *x[2], *w = empty(SR_float64, SIZES(N, N)), *g = counting(SR_float64, SIZES(2, N)), *y;
  OK(sr_uniform_(w, -1, 1, NULL));
  for (int i = 0; i < 2; i++) {
    x[i] = leaf(counting(SR_float64, SIZES(2, N)));
    sr_tensor *own;
    OK(sr_clone(g, &own));
    OK(sr_set_grad(x[i], own));
    sr_tensor_release(own);
    OK(sr_mm(x[i], w, &y));
    OK(sr_backward(y, i ? sr_grad(x[i]) : g, false));
    sr_tensor_release(y);
  }
  assert_memory_equal(sr_tensor_data(sr_grad(x[0])), sr_tensor_data(sr_grad(x[1])),
                      2 * N * sizeof(double));
  sr_tensor *all[] = {x[0], x[1], w, g};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

static void product_errors(void **state) {
  (void)state;
  sr_tensor *y, *scalar = counting(SR_float32, SCALAR), *v = counting(SR_float32, SIZES(3));
  sr_tensor *a = counting(SR_float32, SIZES(2, 3)), *ids = counting(SR_int64, SIZES(3, 2));
  sr_tensor *wide = counting(SR_float64, SIZES(3, 2)), *c = counting(SR_float32, SIZES(2, 2, 3));
  sr_tensor *d = counting(SR_float32, SIZES(3, 3, 3)), *b = counting(SR_float32, SIZES(4));
  FAILS(sr_matmul(scalar, a, &y), SR_SHAPE, "matmul: both tensors need a dimension");
  FAILS(sr_matmul(a, a, &y), SR_SHAPE,
        "matmul: shapes [2, 3] and [2, 3] do not fit: inner sizes 3 and 2");
  FAILS(sr_matmul(c, d, &y), SR_SHAPE, "matmul: the batches of [2, 2, 3] and [3, 3, 3]");
  FAILS(sr_mm(a, ids, &y), SR_DTYPE,
        "mm: two tensors of the same floating dtype are needed, got "
        "float32 and int64");
  FAILS(sr_mm(ids, ids, &y), SR_DTYPE, "got int64 and int64");
  FAILS(sr_mm(a, wide, &y), SR_DTYPE, "got float32 and float64");
  FAILS(sr_mm(a, v, &y), SR_SHAPE,
        "mm: expected a 2- and a 2-dimensional tensor, got shapes [2, 3] "
        "and [3]");
  FAILS(sr_bmm(a, c, &y), SR_SHAPE, "bmm: expected a 3-");
  FAILS(sr_bmm(c, d, &y), SR_SHAPE, "bmm: batches differ");
  FAILS(sr_mv(v, a, &y), SR_SHAPE, "mv: expected a 2- and a 1-");
  FAILS(sr_dot(a, v, &y), SR_SHAPE, "dot: expected");
  FAILS(sr_dot(b, v, &y), SR_SHAPE, "dot: shapes [4] and [3] do not fit");
  FAILS(sr_outer(a, v, &y), SR_SHAPE, "outer: expected");
  FAILS(sr_linear(v, v, NULL, &y), SR_SHAPE, "linear: expected weight (out, in), got shape [3]");
  FAILS(sr_linear(b, a, NULL, &y), SR_SHAPE,
        "linear: expected x (.., 3) for weight [2, 3], got "
        "shape [4]");
  FAILS(sr_linear(scalar, a, NULL, &y), SR_SHAPE, "got shape []");
  FAILS(sr_linear(v, a, b, &y), SR_SHAPE,
        "linear: expected bias (2) for weight [2, 3], got shape [4]");
  sr_tensor *wide_bias = counting(SR_float64, SIZES(2));
  FAILS(sr_linear(v, a, wide_bias, &y), SR_DTYPE, "linear: bias is float64, x is float32");
  sr_tensor_release(wide_bias);
  sr_tensor *all[] = {scalar, v, a, ids, wide, c, d, b};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

/* Sums of nothing are 0, and their gradients too. */
static void empty_products(void **state) {
  (void)state;
  sr_tensor *a = counting(SR_float32, SIZES(2, 0)), *b = counting(SR_float32, SIZES(0, 3)), *y;
  OK(sr_mm(a, b, &y));
  EXPECT(y, SR_float32, SIZES(2, 3), VALUES(0, 0, 0, 0, 0, 0));
  sr_tensor *w = counting(SR_float32, SIZES(3, 0)), *bias = counting(SR_float32, SIZES(3));
  OK(sr_linear(a, w, bias, &y));
  EXPECT(y, SR_float32, SIZES(2, 3), VALUES(1, 2, 3, 1, 2, 3));
  OK(sr_linear(a, w, NULL, &y));
  EXPECT(y, SR_float32, SIZES(2, 3), VALUES(0, 0, 0, 0, 0, 0));
  sr_tensor *v = counting(SR_float32, SIZES(0));
  OK(sr_dot(v, v, &y));
  EXPECT(y, SR_float32, SCALAR, VALUES(0));
  sr_tensor_release(v);
  sr_tensor_release(bias);
  sr_tensor_release(w);
  sr_tensor_release(b);
  sr_tensor_release(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(golden_products),      TEST(golden_linear),
      TEST(product_gradients),    TEST(einsum_gradients),
      TEST(einsum_values),        TEST(einsum_errors),
      TEST(any_strides),          TEST(large_strides),
      TEST(empty_products),       TEST(weight_gradient_makes_no_temporary),
      TEST(product_errors),       TEST(linear_strides),
      TEST(backward_from_a_grad), TEST(only_needed_factors_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
