/* test_products.c: gemm, affine, packed panels and the memo of the CPU backend
 * against plain loops in double precision. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/panel.h"
#include "backend/cpu/products.h"

static uint32_t random_word = 1;

static int64_t draw(int64_t below) {
  random_word = random_word * 1664525u + 1013904223u;
  return (int64_t)((random_word >> 8) % (uint32_t)below);
}

static double draw_value(void) { return (double)draw(2001) / 1000 - 1; }

static double get(sr_dtype dtype, const void *x, int64_t i) {
  return dtype == SR_float32 ? ((const float *)x)[i] : ((const double *)x)[i];
}

static void put(sr_dtype dtype, void *x, int64_t i, double value) {
  if (dtype == SR_float32)
    ((float *)x)[i] = (float)value;
  else
    ((double *)x)[i] = value;
}

/* Exactly `count` values, so that AddressSanitizer sees a read beyond. */
static void *values(sr_dtype dtype, int64_t count) {
  void *x = malloc((size_t)(count ? count : 1) * sr_dtype_bytes(dtype));
  for (int64_t i = 0; i < count; i++) put(dtype, x, i, draw_value());
  return x;
}

static double epsilon_of(sr_dtype dtype) { return dtype == SR_float32 ? FLT_EPSILON : DBL_EPSILON; }

/* ---- gemm ------------------------------------------------------------------------- */

/* Ways to lay out a matrix; the last three are for inputs only. */
enum { ROWS, COLUMNS, ROWS_APART, COLUMNS_APART, GENERAL, SAME_ROW, SAME_COLUMN, OVERLAP, LAYOUTS };

typedef struct {
  int64_t row, column, count; /* count of values from the first to the last */
} layout;

static layout lay_out(int kind, int64_t rows, int64_t columns) {
  layout to = {columns, 1, 0};
  if (kind == COLUMNS) to = (layout){1, rows, 0};
  if (kind == ROWS_APART) to = (layout){columns + 3, 1, 0};
  if (kind == COLUMNS_APART) to = (layout){1, rows + 2, 0};
  if (kind == GENERAL) to = (layout){2 * columns + 1, 2, 0};
  if (kind == SAME_ROW) to = (layout){0, 1, 0};
  if (kind == SAME_COLUMN) to = (layout){1, 0, 0};
  if (kind == OVERLAP) to = (layout){1, 1, 0};
  to.count = rows && columns ? (rows - 1) * to.row + (columns - 1) * to.column + 1 : 0;
  return to;
}

typedef struct {
  sr_gemm gemm;
  int64_t c_count;
  int64_t a_offset[3], b_offset[3], c_offset[3];
  void *before; /* C before the product */
} gemm_case;

static void open_case(gemm_case *t, sr_dtype dtype, int64_t m, int64_t n, int64_t k, int a_kind,
                      int b_kind, int c_kind, int64_t batch) {
  layout a = lay_out(a_kind, m, k), b = lay_out(b_kind, k, n), c = lay_out(c_kind, m, n);
  *t = (gemm_case){.gemm = {.dtype = dtype,
                            .m = m,
                            .n = n,
                            .k = k,
                            .batch = batch,
                            .a_row = a.row,
                            .a_column = a.column,
                            .b_row = b.row,
                            .b_column = b.column,
                            .c_row = c.row,
                            .c_column = c.column}};
  for (int64_t i = 0; i < batch; i++) {
    t->a_offset[i] = i * a.count;
    t->b_offset[i] = (batch - 1 - i) * b.count;
    t->c_offset[i] = i * c.count;
  }
  t->c_count = batch * c.count;
  t->gemm.a = values(dtype, batch * a.count);
  t->gemm.b = values(dtype, batch * b.count);
  t->gemm.c = values(dtype, t->c_count);
  if (batch > 1) {
    t->gemm.a_offset = t->a_offset;
    t->gemm.b_offset = t->b_offset;
    t->gemm.c_offset = t->c_offset;
  }
  t->before = malloc((size_t)t->c_count * sr_dtype_bytes(dtype) + 1);
}

static void keep_c(gemm_case *t) {
  memcpy(t->before, t->gemm.c, (size_t)t->c_count * sr_dtype_bytes(t->gemm.dtype));
}

static void close_case(gemm_case *t) {
  free((void *)t->gemm.a);
  free((void *)t->gemm.b);
  free(t->gemm.c);
  free(t->before);
}

/* Every element (of large products, of some rows) within the rounding of a sum of k products
 * in any order. */
static void check_gemm(const gemm_case *t) {
  const sr_gemm *g = &t->gemm;
  for (int64_t batch = 0; batch < g->batch; batch++)
    for (int64_t i = 0; i<g->m; i += g->m> 64 ? 1 + draw(20) : 1)
      for (int64_t j = 0; j < g->n; j++) {
        double sum = 0, size = 0;
        for (int64_t l = 0; l < g->k; l++) {
          double a = get(g->dtype, g->a, t->a_offset[batch] + i * g->a_row + l * g->a_column);
          double b = get(g->dtype, g->b, t->b_offset[batch] + l * g->b_row + j * g->b_column);
          sum += a * b;
          size += fabs(a * b);
        }
        int64_t at = t->c_offset[batch] + i * g->c_row + j * g->c_column;
        double old = g->beta == 0 ? 0 : get(g->dtype, t->before, at);
        double expected = g->alpha * sum + g->beta * old;
        double bound = (double)(g->k + 4) * epsilon_of(g->dtype) *
                       (fabs(g->alpha) * size + fabs(g->beta * old));
        double got = get(g->dtype, g->c, at);
        if (!(fabs(got - expected) <= bound + 1e-300))
          fail_msg(
              "gemm %lldx%lldx%lld alpha %g beta %g strides %lld,%lld %lld,%lld %lld,%lld: "
              "(%lld, %lld) is %.9g, expected %.9g",
              (long long)g->m, (long long)g->n, (long long)g->k, g->alpha, g->beta,
              (long long)g->a_row, (long long)g->a_column, (long long)g->b_row,
              (long long)g->b_column, (long long)g->c_row, (long long)g->c_column, (long long)i,
              (long long)j, got, expected);
      }
}

static void run_case(sr_dtype dtype, int64_t m, int64_t n, int64_t k, int a, int b, int c,
                     int64_t batch, double alpha, double beta) {
  gemm_case t;
  open_case(&t, dtype, m, n, k, a, b, c, batch);
  t.gemm.alpha = alpha;
  t.gemm.beta = beta;
  if (beta == 0)
    for (int64_t i = 0; i < t.c_count; i++) put(dtype, t.gemm.c, i, NAN);
  keep_c(&t);
  assert_int_equal(sr__cpu_gemm(&t.gemm), SR_OK);
  check_gemm(&t);
  close_case(&t);
}

#define PICK(list) list[draw((int64_t)(sizeof list / sizeof *list))]

static void gemm_small_shapes(void **state) {
  (void)state;
  static const int64_t m[] = {1, 2, 3, 4, 5, 6, 7, 8, 13, 40}, k[] = {1, 2, 7, 18, 33, 128},
                       n[] = {1, 2, 8, 15, 16, 17, 18, 58, 64, 65, 128, 130},
                       batch[] = {1, 1, 2, 3};
  static const double alpha[] = {1, 1, -0.5}, beta[] = {0, 1, 0.25};
  for (int i = 0; i < 6000; i++)
    run_case(i & 1 ? SR_float64 : SR_float32, PICK(m), PICK(n), PICK(k), (int)draw(LAYOUTS),
             (int)draw(LAYOUTS), (int)draw(GENERAL + 1), PICK(batch), PICK(alpha), PICK(beta));
}

/* Past the border to BLIS, on one thread and several. */
static void gemm_large_shapes(void **state) {
  (void)state;
  static const int64_t size[] = {7, 100, 256, 256, 270};
  static const double alpha[] = {1, -0.5}, beta[] = {0, 1, 0.25};
  for (int i = 0; i < 48; i++) {
    sr_set_num_threads(1 + i % 3);
    run_case(i & 1 ? SR_float64 : SR_float32, PICK(size), PICK(size), PICK(size),
             (int)draw(LAYOUTS), (int)draw(LAYOUTS), (int)draw(GENERAL + 1), 1 + draw(2),
             PICK(alpha), PICK(beta));
  }
  sr_set_num_threads(1);
}

static void gemm_shapes_of_the_names_network(void **state) {
  (void)state;
  run_case(SR_float32, 128, 128, 7, COLUMNS, ROWS, ROWS, 1, 1, 1);
  run_case(SR_float32, 128, 58, 7, COLUMNS, ROWS, ROWS, 1, 1, 1);
  run_case(SR_float32, 1, 128, 18, ROWS, ROWS, ROWS, 1, 1, 0);
  run_case(SR_float32, 1, 18, 128, ROWS, COLUMNS, ROWS, 1, 1, 0);
  run_case(SR_float32, 18, 128, 1, COLUMNS, ROWS, ROWS, 1, 1, 1);
  run_case(SR_float32, 128, 1, 128, ROWS, ROWS, ROWS, 1, 1, 0);
  run_case(SR_float32, 128, 1, 128, COLUMNS, ROWS, GENERAL, 1, 1, 1);
}

/* With no k, or alpha 0, C is only scaled, whatever A and B hold. */
static void gemm_zero_sizes(void **state) {
  (void)state;
  run_case(SR_float32, 0, 5, 3, ROWS, ROWS, ROWS, 1, 1, 0);
  run_case(SR_float64, 5, 0, 3, ROWS, ROWS, ROWS, 1, 1, 0);
  run_case(SR_float32, 5, 4, 3, ROWS, ROWS, ROWS, 0, 1, 0);
  static const double beta[] = {0, 1, 0.25};
  for (int i = 0; i < 3; i++) {
    run_case(SR_float32, 5, 4, 0, ROWS, ROWS, COLUMNS, 2, 1, beta[i]);
    run_case(SR_float64, 5, 4, 3, ROWS, ROWS, GENERAL, 1, 0, beta[i]);
  }
}

static void gemm_keeps_nan_of_inputs(void **state) {
  (void)state;
  for (int64_t n = 1; n < 200; n += 66) {
    gemm_case t;
    open_case(&t, SR_float32, 100, n, 100, ROWS, COLUMNS, ROWS, 1);
    t.gemm.alpha = 1;
    ((float *)t.gemm.a)[37 * 100 + 5] = NAN;
    assert_int_equal(sr__cpu_gemm(&t.gemm), SR_OK);
    for (int64_t i = 0; i < 100; i++)
      for (int64_t j = 0; j < n; j++)
        assert_true(isnan(((float *)t.gemm.c)[i * n + j]) == (i == 37));
    close_case(&t);
  }
}

static void threads_do_not_change_results(void **state) {
  (void)state;
  static const int64_t sizes[][4] = {{63, 1000, 777, 1}, {300, 300, 300, 1}, {1, 3000, 900, 1},
                                     {1000, 18, 400, 1}, {64, 64, 300, 3},   {2000, 40, 60, 1}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (int kind = ROWS; kind <= COLUMNS; kind++)
      for (int dtype = SR_float32; dtype <= SR_float64; dtype++) {
        gemm_case t;
        open_case(&t, dtype, sizes[s][0], sizes[s][1], sizes[s][2], ROWS, kind, ROWS, sizes[s][3]);
        t.gemm.alpha = 1;
        for (int threads = 1; threads <= 5; threads++) {
          sr_set_num_threads(threads);
          assert_int_equal(sr__cpu_gemm(&t.gemm), SR_OK);
          if (threads == 1) keep_c(&t);
          assert_memory_equal(t.gemm.c, t.before, (size_t)t.c_count * sr_dtype_bytes(dtype));
        }
        close_case(&t);
      }
  sr_set_num_threads(1);
}

static void gemm_fails_without_memory(void **state) {
  (void)state;
  gemm_case t;
  open_case(&t, SR_float32, 9, 10, 11, GENERAL, COLUMNS, GENERAL, 1);
  t.gemm.alpha = 2;
  sr_memory_fail_at(1, true);
  assert_int_equal(sr__cpu_gemm(&t.gemm), SR_MEMORY);
  sr_memory_fail_at(0, false);
  close_case(&t);
}

/* ---- affine ------------------------------------------------------------------------------ */

static void check_affine(sr_dtype dtype, int64_t m, int64_t n, int64_t k, sr_memo *memo,
                         bool with_bias) {
  int64_t x_row = k + draw(3);
  size_t size = sr_dtype_bytes(dtype), row = (size_t)n * size;
  void *x = values(dtype, m ? (m - 1) * x_row + k : 0), *weight = values(dtype, n * k);
  void *bias = values(dtype, n), *y = values(dtype, m * n), *alone = values(dtype, n);
  sr_affine a = {dtype, m, n, k, x_row, x, weight, with_bias ? bias : NULL, y, memo};
  if (memo) memo->version++;
  assert_int_equal(sr__cpu_affine(&a), SR_OK);
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < n; j++) {
      double sum = with_bias ? get(dtype, bias, j) : 0, bound = fabs(sum);
      for (int64_t l = 0; l < k; l++) {
        double term = get(dtype, x, i * x_row + l) * get(dtype, weight, j * k + l);
        sum += term;
        bound += fabs(term);
      }
      if (!(fabs(get(dtype, y, i * n + j) - sum) <= (double)(k + 2) * epsilon_of(dtype) * bound))
        fail_msg("affine %lldx%lldx%lld at (%lld, %lld)", (long long)m, (long long)n, (long long)k,
                 (long long)i, (long long)j);
    }
    sr_affine one = a; /* the row alone has the same bits */
    one.m = 1;
    one.x = (char *)x + (size_t)(i * x_row) * size;
    one.y = alone;
    assert_int_equal(sr__cpu_affine(&one), SR_OK);
    assert_memory_equal(alone, (char *)y + (size_t)i * row, row);
  }
  if (memo) sr__cpu_drop_memo(memo);
  free(x), free(weight), free(bias), free(y), free(alone);
}

static void affine_rows(void **state) {
  (void)state;
  static const int64_t n[] = {1, 7, 16, 18, 33, 63, 64, 65, 128, 150},
                       k[] = {1, 5, 16, 31, 58, 128};
  sr_memo memo = {0};
  for (int64_t m = 1; m <= 40; m++)
    for (int i = 0; i < 6; i++)
      check_affine(i & 1 ? SR_float64 : SR_float32, m, PICK(n), PICK(k), i & 2 ? NULL : &memo,
                   draw(2));
  for (int threads = 1; threads <= 3; threads++) {
    sr_set_num_threads(threads);
    check_affine(SR_float32, 200, 200, 100, &memo, true);
    check_affine(SR_float32, 40, 513, 200, &memo, false);
  }
  sr_set_num_threads(1);
}

static void affine_zero_sizes(void **state) {
  (void)state;
  sr_memo memo = {0};
  check_affine(SR_float32, 0, 4, 3, &memo, true);
  check_affine(SR_float32, 4, 0, 3, &memo, true);
  check_affine(SR_float32, 4, 3, 0, &memo, true);
  check_affine(SR_float64, 4, 3, 0, NULL, false);
  assert_null(memo.entries);
}

/* ---- the memo ---------------------------------------------------------------------- */

static void memo_follows_the_version(void **state) {
  (void)state;
  int64_t blocks = sr_memory_stats().live_blocks;
  float weight[4] = {1, 2, 3, 4}, x[2] = {1, 10}, y[2];
  sr_memo memo = {.version = 7};
  sr_affine a = {SR_float32, 1, 2, 2, 2, x, weight, NULL, y, &memo};
  assert_int_equal(sr__cpu_affine(&a), SR_OK);
  assert_true(y[0] == 21 && y[1] == 43);
  void *entry = memo.entries;
  assert_non_null(entry);
  weight[0] = 5;
  memo.version++;
  assert_int_equal(sr__cpu_affine(&a), SR_OK);
  assert_true(y[0] == 25 && y[1] == 43);
  assert_ptr_equal(memo.entries, entry); /* packed again in place */
  weight[0] = 6;                         /* not told: the packed form is used */
  assert_int_equal(sr__cpu_affine(&a), SR_OK);
  assert_true(y[0] == 25);
  assert_int_equal(sr_memory_stats().live_blocks, blocks + 1);
  sr__cpu_drop_memo(&memo);
  assert_null(memo.entries);
  assert_int_equal(sr_memory_stats().live_blocks, blocks);
  sr__cpu_drop_memo(&memo);
}

static void memo_tells_views_apart(void **state) {
  (void)state;
  enum { VIEWS = 100 };
  int64_t blocks = sr_memory_stats().live_blocks;
  float weight[VIEWS + 6], x[3] = {1, 2, 3}, y[3];
  for (int i = 0; i < VIEWS + 6; i++) weight[i] = (float)i;
  sr_memo memo = {0};
  for (int i = 0; i < VIEWS; i++) {
    sr_affine a = {SR_float32, 1, 2, 3, 3, x, weight + i, NULL, y, &memo};
    for (int again = 0; again < 2; again++) {
      assert_int_equal(sr__cpu_affine(&a), SR_OK);
      assert_true(y[0] == (float)(6 * i + 8) && y[1] == (float)(6 * i + 26));
    }
    sr_affine other = {SR_float32, 1, 3, 2, 2, x, weight + i, NULL, y, &memo};
    assert_int_equal(sr__cpu_affine(&other), SR_OK);
    assert_true(y[2] == (float)(3 * i + 14));
  }
  assert_true(sr_memory_stats().live_blocks < blocks + 20); /* a bounded number is kept */
  sr__cpu_drop_memo(&memo);
  assert_int_equal(sr_memory_stats().live_blocks, blocks);
}

static void memo_without_memory(void **state) {
  (void)state;
  int64_t blocks = sr_memory_stats().live_blocks;
  float weight[4] = {1, 2, 3, 4}, x[2] = {1, 10}, y[2];
  sr_memo memo = {0};
  sr_affine a = {SR_float32, 1, 2, 2, 2, x, weight, NULL, y, &memo};
  for (int i = 0; i < 2; i++, a.memo = NULL) {
    sr_memory_fail_at(1, true);
    assert_int_equal(sr__cpu_affine(&a), SR_MEMORY);
    sr_memory_fail_at(0, false);
    assert_null(memo.entries);
    assert_int_equal(sr_memory_stats().live_blocks, blocks);
  }
}

static int start(void **state) {
  (void)state;
  return sr_start() == SR_OK && sr_set_num_threads(1) == SR_OK ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gemm_small_shapes),
      cmocka_unit_test(gemm_large_shapes),
      cmocka_unit_test(gemm_shapes_of_the_names_network),
      cmocka_unit_test(gemm_zero_sizes),
      cmocka_unit_test(gemm_keeps_nan_of_inputs),
      cmocka_unit_test(threads_do_not_change_results),
      cmocka_unit_test(gemm_fails_without_memory),
      cmocka_unit_test(affine_rows),
      cmocka_unit_test(affine_zero_sizes),
      cmocka_unit_test(memo_follows_the_version),
      cmocka_unit_test(memo_tells_views_apart),
      cmocka_unit_test(memo_without_memory),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
