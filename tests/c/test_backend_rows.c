/* Kernels along one dimension and by index, on the CPU: softmax, sort, take, put, gather
 * and scatter, masks, negative log likelihood. Plain loops are the reference; a bad index
 * writes nothing; the number of threads changes no bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend_values.h"

enum { ROOM = 150000 };
static _Alignas(64) char x[ROOM * 8], g[ROOM * 8], y[ROOM * 8], dx[ROOM * 8], other[ROOM * 8];
static int64_t index_[ROOM], positions[ROOM];

/* ---- softmax --------------------------------------------------------------------------------- */

static void expect_near(sr_dtype dtype, double got, double right, const char *what) {
  double tolerance = (dtype == SR_float32 ? 6e-7 : 1e-14) * (0.1 + fabs(right));
  if (isnan(right) ? isnan(got) : got == right || fabs(got - right) <= tolerance) return;
  fail_msg("%s on %s: %.17g, not %.17g", what, sr_cpu_kernels(), got, right);
}

/* The row that starts at `at`, by the formulae. */
static void check_softmax_row(sr_dtype dtype, bool log_, const sr_rows *r, int64_t at) {
  double max = -INFINITY, sum = 0, sum_g = 0;
  for (int64_t i = 0; i < r->n; i++) {
    double v = get(dtype, x, at + i * r->inner);
    max = isnan(v) || isnan(max) ? NAN : fmax(max, v);
  }
  for (int64_t i = 0; i < r->n; i++) sum += exp(get(dtype, x, at + i * r->inner) - max);
  for (int64_t i = 0; i < r->n; i++) {
    double d = get(dtype, x, at + i * r->inner) - max, yi = get(dtype, y, at + i * r->inner);
    expect_near(dtype, yi, log_ ? d - log(sum) : exp(d) / sum, "softmax");
    sum_g += get(dtype, g, at + i * r->inner) * (log_ ? 1 : yi);
  }
  for (int64_t i = 0; i < r->n; i++) {
    int64_t k = at + i * r->inner;
    double yi = get(dtype, y, k), gi = get(dtype, g, k);
    double right = log_ ? gi - exp(yi) * sum_g : yi * (gi - sum_g);
    double got = get(dtype, dx, k),
           size = log_ ? fabs(gi) + fabs(right - gi) : fabs(yi) * (1 + fabs(sum_g));
    double tolerance = (dtype == SR_float32 ? 1e-6 : 1e-14) * (size + 1e-3);
    if (!isnan(right) && !(fabs(got - right) <= tolerance))
      fail_msg("softmax gradient: %.17g, not %.17g", got, right);
  }
}

static void check_softmax(sr_dtype dtype, bool log_, sr_rows r) {
  int64_t total = r.outer * r.n * r.inner;
  for (int64_t i = 0; i < total; i++) {
    set(dtype, x, i, draw() * 20 - 10);
    set(dtype, g, i, draw() * 2 - 1);
  }
  ok(sr__cpu_softmax(dtype, log_, &r, x, y));
  ok(sr__cpu_softmax_grad(dtype, log_, &r, g, y, dx));
  for (int64_t o = 0; o < r.outer; o++)
    for (int64_t j = 0; j < r.inner; j++) check_softmax_row(dtype, log_, &r, o * r.n * r.inner + j);
}

static const sr_rows softmax_shapes[] = {
    {1, 1, 1},  {3, 2, 1},  {5, 15, 1}, {4, 16, 1}, {4, 17, 1}, {2, 257, 1}, {3, 5, 3},
    {2, 7, 16}, {2, 9, 50}, {2, 1, 5},  {0, 3, 2},  {2, 0, 1},  {4, 1000, 1}};

static void test_softmax(void **state) {
  USE_ISA(state);
  for (int dtype = SR_float32; dtype <= SR_float64; dtype++)
    for (int log_ = 0; log_ < 2; log_++)
      for (size_t i = 0; i < sizeof softmax_shapes / sizeof *softmax_shapes; i++)
        check_softmax((sr_dtype)dtype, log_, softmax_shapes[i]);
}

/* A row gives the same bits alone, among others, and as a column. */
static void test_softmax_place(void **state) {
  USE_ISA(state);
  enum { ROWS = 1100, N = 67 };
  for (int dtype = SR_float32; dtype <= SR_float64; dtype++) {
    size_t row = N * bytes_of((sr_dtype)dtype);
    for (int64_t i = 0; i < ROWS * N; i++) set((sr_dtype)dtype, x, i, draw() * 8 - 4);
    for (int log_ = 0; log_ < 2; log_++) {
      ok(sr__cpu_softmax((sr_dtype)dtype, log_, &(sr_rows){ROWS, N, 1}, x, y));
      ok(sr_set_num_threads(2));
      ok(sr__cpu_softmax((sr_dtype)dtype, log_, &(sr_rows){ROWS, N, 1}, x, other));
      ok(sr_set_num_threads(1));
      assert_memory_equal(y, other, ROWS * row);
      ok(sr__cpu_softmax((sr_dtype)dtype, log_, &(sr_rows){1, N, 1}, x + 7 * row, other));
      assert_memory_equal(y + 7 * row, other, row);
    }
  }
}

static void test_softmax_special(void **state) {
  USE_ISA(state);
  for (int inner = 1; inner < 3; inner++) {
    sr_rows r = {2, 4, inner};
    float *v = (float *)(void *)x, *w = (float *)(void *)y;
    for (int i = 0; i < 8 * inner; i++) v[i] = i < 4 * inner ? -INFINITY : -5;
    v[4 * inner] = -INFINITY;
    ok(sr__cpu_softmax(SR_float32, false, &r, v, w));
    assert_true(isnan(w[0]) && isnan(w[3 * inner])); /* nothing but -inf, as PyTorch */
    assert_true(w[4 * inner] == 0 && fabsf(w[5 * inner] - 1.0f / 3) < 1e-7f);
    v[5 * inner] = NAN;
    v[0] = INFINITY;
    ok(sr__cpu_softmax(SR_float32, true, &r, v, w));
    for (int i = 0; i < 8; i++) assert_true(isnan(w[i * inner]));
  }
}

/* ---- sort --------------------------------------------------------------------------------------- */

static bool precedes(double a, double b, bool descending) {
  if (descending) return isnan(a) ? !isnan(b) : !isnan(b) && a > b;
  return isnan(b) ? !isnan(a) : !isnan(a) && a < b;
}

static void check_sort(sr_dtype dtype, sr_rows r, bool descending, int64_t k) {
  int64_t total = r.outer * r.n * r.inner;
  for (int64_t i = 0; i < total; i++) {
    double v = floor(draw() * 9) - 4;
    if (dtype == SR_bool) v = v > 0;
    bool nan = (dtype == SR_float32 || dtype == SR_float64) && draw() < 0.1;
    set(dtype, x, i, nan ? NAN : v == 0 && draw() < 0.5 ? -0.0 : v);
  }
  ok(sr__cpu_sort(dtype, &r, descending, k, x, y, positions));
  for (int64_t row = 0; row < r.outer * r.inner; row++) {
    int64_t from = row / r.inner * r.n * r.inner + row % r.inner;
    int64_t to = row / r.inner * k * r.inner + row % r.inner;
    for (int64_t i = 0; i < k; i++) {
      int64_t p = positions[to + i * r.inner] - SR_INDEX_BASE;
      double v = get(dtype, y, to + i * r.inner);
      assert_true(p >= 0 && p < r.n);
      assert_memory_equal(y + (size_t)(to + i * r.inner) * bytes_of(dtype),
                          x + (size_t)(from + p * r.inner) * bytes_of(dtype), bytes_of(dtype));
      /* as many come before it as its rank says: all that precede, and equal ones on the left */
      int64_t rank = 0;
      for (int64_t j = 0; j < r.n; j++) {
        double u = get(dtype, x, from + j * r.inner);
        rank += precedes(u, v, descending) || (!precedes(v, u, descending) && j < p);
      }
      assert_int_equal(rank, i);
    }
  }
}

static void test_sort(void **state) {
  (void)state;
  static const struct {
    sr_rows rows;
    int64_t k;
  } cases[] = {{{1, 1, 1}, 1},     {{2, 5, 1}, 5},   {{2, 16, 3}, 16}, {{1, 17, 1}, 17},
               {{1, 500, 1}, 500}, {{1, 500, 1}, 7}, {{2, 100, 3}, 1}, {{1, 40, 2}, 39},
               {{1, 40, 1}, 0},    {{0, 3, 1}, 3}};
  for (int dtype = 0; dtype < SR_DTYPES; dtype++)
    for (int descending = 0; descending < 2; descending++)
      for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_sort((sr_dtype)dtype, cases[i].rows, descending, cases[i].k);
  int64_t extreme[3] = {INT64_MIN, INT64_MAX, 0}, sorted[3];
  ok(sr__cpu_sort(SR_int64, &(sr_rows){1, 3, 1}, false, 3, extreme, sorted, positions));
  assert_true(positions[0] == 1 && positions[1] == 3 && positions[2] == 2);
}

static void test_sort_memory(void **state) {
  (void)state;
  memset(y, 77, 80);
  sr_memory_fail_at(1, false);
  assert_int_equal(sr__cpu_sort(SR_float32, &(sr_rows){1, 10, 1}, false, 10, x, y, positions),
                   SR_MEMORY);
  sr_memory_fail_at(0, false);
  for (int i = 0; i < 80; i++) assert_int_equal(y[i], 77);
}

/* ---- take ----------------------------------------------------------------------------------------- */

static void check_take(sr_dtype dtype, sr_rows r, int64_t count, int64_t zero_id) {
  sr_take t = {dtype, r, count, index_, x, y, zero_id, sr_integer(0)};
  int64_t found = 99, total = r.outer * count * r.inner;
  for (int64_t i = 0; i < r.outer * r.n * r.inner; i++) set(dtype, x, i, floor(draw() * 50));
  for (int64_t i = 0; i < count; i++) {
    index_[i] = 1 + (int64_t)(draw() * (double)r.n);
    if (draw() < 0.3) index_[i] -= r.n + 1; /* from the end */
    if (zero_id == 0 && draw() < 0.3) index_[i] = 0;
  }
  ok(sr__cpu_take(&t, &found));
  for (int64_t i = 0; i < total; i++) {
    int64_t at = index_[i / r.inner % count];
    int64_t p = at < 0 ? at + r.n : at - 1, o = i / r.inner / count;
    double right = at == 0 ? 0 : get(dtype, x, (o * r.n + p) * r.inner + i % r.inner);
    assert_true(get(dtype, y, i) == right);
  }
  if (dtype == SR_bool) return;
  /* the gradient: y back into rows */
  memset(other, 0, sizeof other);
  memset(dx, 0, (size_t)(r.outer * r.n * r.inner) * 8);
  sr_take back = {dtype, r, count, index_, y, dx, zero_id, sr_integer(0)};
  ok(sr__cpu_take_add(&back, &found));
  for (int64_t i = 0; i < total; i++) {
    int64_t at = index_[i / r.inner % count], zero = zero_id < 0 ? zero_id + r.n : zero_id - 1;
    int64_t p = at < 0 ? at + r.n : at - 1, o = i / r.inner / count;
    if (at == 0 || (zero_id != SR_NO_PADDING && p == zero)) continue;
    int64_t to = (o * r.n + p) * r.inner + i % r.inner;
    set(dtype, other, to, get(dtype, other, to) + get(dtype, y, i));
  }
  assert_memory_equal(dx, other, (size_t)(r.outer * r.n * r.inner) * bytes_of(dtype));
}

static void test_take(void **state) {
  (void)state;
  static const sr_rows shapes[] = {{1, 10, 1}, {1, 10, 64}, {3, 7, 5}, {2, 1, 3}, {1, 20, 33}};
  static const int64_t zeros[] = {SR_NO_PADDING, 0, 1, -1};
  for (int threads = 1; threads < 3; threads++) {
    ok(sr_set_num_threads(threads));
    for (int dtype = 0; dtype < SR_DTYPES; dtype++)
      for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t z = 0; z < sizeof zeros / sizeof *zeros; z++) {
          check_take((sr_dtype)dtype, shapes[s], 40, zeros[z]);
          check_take((sr_dtype)dtype, shapes[s], 0, zeros[z]);
        }
    check_take(SR_float32, (sr_rows){1, 30, 100}, 1400, SR_NO_PADDING);
  }
  ok(sr_set_num_threads(1));
}

/* Rows of x (number: the number 1) over those of y; the last one for a position stays. */
static void check_put(sr_dtype dtype, sr_rows r, int64_t count, bool number) {
  sr_take t = {dtype, r, count, index_, number ? NULL : x, y, SR_NO_PADDING, sr_number(1)};
  int64_t found, total = r.outer * count * r.inner, size = r.outer * r.n * r.inner;
  for (int64_t i = 0; i < total; i++) set(dtype, x, i, floor(draw() * 50));
  for (int64_t i = 0; i < size; i++) set(dtype, y, i, floor(draw() * 50));
  memcpy(other, y, (size_t)size * bytes_of(dtype));
  for (int64_t i = 0; i < count; i++)
    index_[i] = 1 + (int64_t)(draw() * (double)r.n) - (draw() < 0.3) * (r.n + 1);
  ok(sr__cpu_put(&t, &found));
  for (int64_t i = 0; i < total; i++) {
    int64_t at = index_[i / r.inner % count], p = at < 0 ? at + r.n : at - 1;
    int64_t to = (i / r.inner / count * r.n + p) * r.inner + i % r.inner;
    set(dtype, other, to, number ? 1 : get(dtype, x, i));
  }
  assert_memory_equal(y, other, (size_t)size * bytes_of(dtype));
}

static void test_put(void **state) {
  (void)state;
  static const sr_rows shapes[] = {{1, 10, 1}, {1, 10, 64}, {3, 7, 5}, {2, 1, 3},
                                   {1, 0, 3},  {0, 4, 3},   {2, 3, 0}};
  for (int threads = 1; threads < 3; threads++) {
    ok(sr_set_num_threads(threads));
    for (int dtype = 0; dtype < SR_DTYPES; dtype++)
      for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int number = 0; number < 2; number++) {
          check_put((sr_dtype)dtype, shapes[s], shapes[s].n ? 40 : 0, number);
          check_put((sr_dtype)dtype, shapes[s], 0, number);
        }
    check_put(SR_float32, (sr_rows){1, 30, 100}, 1400, false);
  }
  ok(sr_set_num_threads(1));
}

static void test_place(void **state) {
  (void)state;
  int64_t ids[5] = {1, 4, -1, -4, 2}, out[5], found;
  static const int64_t right[5] = {0, 21, 21, 0, 7};
  ok(sr__cpu_place(&(sr_placing){5, 4, 7, ids, out}, &found));
  assert_memory_equal(out, right, sizeof right);
  ok(sr__cpu_place(&(sr_placing){0, 0, 7, NULL, NULL}, &found));
}

static void test_bad_indices(void **state) {
  (void)state;
  static const int64_t bad[] = {0, 6, -6, INT64_MAX, INT64_MIN};
  float v[15] = {0}, w[9];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int64_t ids[3] = {1, 5, bad[i]}, found = 99;
    memset(w, 77, sizeof w);
    sr_take t = {SR_float32, {1, 5, 3}, 3, ids, v, w, SR_NO_PADDING, sr_integer(0)};
    assert_int_equal(sr__cpu_take(&t, &found), SR_INDEX);
    assert_true(found == bad[i]);
    assert_int_equal(sr__cpu_take_add(&t, &found), SR_INDEX);
    found = 99;
    assert_int_equal(sr__cpu_put(&t, &found), SR_INDEX);
    assert_true(found == bad[i]);
    found = 99;
    const sr_placing place = {3, 5, 2, ids, (int64_t *)(void *)y};
    assert_int_equal(sr__cpu_place(&place, &found), SR_INDEX);
    assert_true(found == bad[i]);
    sr_gather_plan p = {.kind = SR_GATHER,
                        .dtype = SR_float32,
                        .ndim = 1,
                        .x_size = {5},
                        .index_size = {3},
                        .out_size = {3},
                        .index = ids,
                        .x = v,
                        .out = w};
    for (int kind = SR_GATHER; kind <= SR_SCATTER_ADD; kind++) {
      p.kind = (sr_gather_kind)kind;
      if (kind != SR_GATHER) p.out_size[0] = 5, p.x_size[0] = 3;
      found = 99;
      assert_int_equal(sr__cpu_gather(&p, &found), SR_INDEX);
      assert_true(found == bad[i]);
    }
    for (size_t k = 0; k < sizeof w; k++) assert_int_equal(((char *)w)[k], 77);
  }
}

/* ---- gather and scatter ------------------------------------------------------------------------------ */

static int64_t flat(const int64_t *size, int64_t i, int64_t j, int64_t k) {
  return (i * size[1] + j) * size[2] + k;
}

static void check_gather(sr_dtype dtype, int dim) {
  int64_t big[3] = {4, 5, 6}, small[3] = {3, 4, 5}, found;
  small[dim] = 9;
  for (int64_t i = 0; i < 4 * 9 * 9; i++) {
    set(dtype, x, i, floor(draw() * 50));
    index_[i] = 1 + (int64_t)(draw() * (double)big[dim]);
    if (draw() < 0.3) index_[i] -= big[dim] + 1;
  }
  sr_gather_plan p = {
      .kind = SR_GATHER, .dtype = dtype, .ndim = 3, .dim = dim, .index = index_, .x = x, .out = y};
  memcpy(p.x_size, big, sizeof big);
  memcpy(p.index_size, small, sizeof small);
  memcpy(p.out_size, small, sizeof small);
  ok(sr__cpu_gather(&p, &found));
  for (int pass = SR_GATHER; pass <= SR_SCATTER_ADD + 1; pass++) {
    bool number = pass > SR_SCATTER_ADD;
    if (pass == SR_SCATTER_ADD && dtype == SR_bool) continue;
    if (pass != SR_GATHER) {
      p.kind = number ? SR_SCATTER : (sr_gather_kind)pass;
      p.x = number ? NULL : x;
      p.number = sr_integer(1);
      memcpy(p.x_size, small, sizeof small);
      memcpy(p.out_size, big, sizeof big);
      memset(y, 0, 120 * 8);
      ok(sr__cpu_gather(&p, &found));
      memset(other, 0, 120 * 8);
    }
    for (int64_t i = 0; i < small[0]; i++)
      for (int64_t j = 0; j < small[1]; j++)
        for (int64_t k = 0; k < small[2]; k++) {
          int64_t own = flat(small, i, j, k), at = index_[own], place[3] = {i, j, k};
          place[dim] = at < 0 ? at + big[dim] : at - 1;
          int64_t far = flat(big, place[0], place[1], place[2]);
          double v = number ? 1 : get(dtype, x, own);
          if (pass == SR_GATHER)
            assert_true(get(dtype, y, own) == get(dtype, x, far));
          else
            set(dtype, other, far, pass == SR_SCATTER_ADD ? get(dtype, other, far) + v : v);
        }
    if (pass != SR_GATHER) assert_memory_equal(y, other, 120 * bytes_of(dtype));
  }
}

static void test_gather(void **state) {
  (void)state;
  for (int dtype = 0; dtype < SR_DTYPES; dtype++)
    for (int dim = 0; dim < 3; dim++) check_gather((sr_dtype)dtype, dim);
}

static void test_true_positions(void **state) {
  (void)state;
  uint8_t mask[7] = {0, 1, 0, 0, 255, 1, 0};
  int64_t count = 0, at[3];
  ok(sr__cpu_true_positions(7, mask, NULL, &count));
  assert_int_equal(count, 3);
  ok(sr__cpu_true_positions(7, mask, at, &count));
  assert_true(count == 3 && at[0] == 1 && at[1] == 4 && at[2] == 5);
  ok(sr__cpu_true_positions(0, mask, at, &count));
  assert_int_equal(count, 0);
}

/* ---- negative log likelihood ------------------------------------------------------------------------------ */

static void check_nll(sr_dtype dtype, sr_rows r, bool weighted, bool one_g) {
  enum { IGNORED = -100 };
  double weight[8];
  int64_t n = r.outer * r.inner, found;
  for (int64_t i = 0; i < n * r.n; i++) set(dtype, x, i, -draw());
  for (int c = 0; c < 8; c++) weight[c] = floor(draw() * 8) / 4, set(dtype, other, c, weight[c]);
  for (int64_t i = 0; i < n; i++) {
    index_[i] = draw() < 0.2 ? IGNORED : 1 + (int64_t)(draw() * (double)r.n);
    set(dtype, g, i, draw());
  }
  sr_nll l = {.dtype = dtype,
              .rows = r,
              .log_probabilities = x,
              .weight = weighted ? other : NULL,
              .target = index_,
              .ignore_index = IGNORED,
              .loss = y,
              .weights = y + 4000 * 8,
              .grad = g,
              .grad_stride = !one_g,
              .grad_x = dx};
  ok(sr__cpu_nll(&l, &found));
  memset(dx, 77, (size_t)(n * r.n) * 8);
  ok(sr__cpu_nll_grad(&l));
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < r.n; c++) {
      int64_t at = (i / r.inner * r.n + c) * r.inner + i % r.inner;
      bool hit = index_[i] == c + 1;
      double w = weighted ? weight[c] : 1, d = hit ? -w * get(dtype, g, one_g ? 0 : i) : 0;
      assert_true(fabs(get(dtype, dx, at) - d) < 1e-6);
      if (hit) assert_true(fabs(get(dtype, y, i) + w * get(dtype, x, at)) < 1e-6);
      if (hit) assert_true(get(dtype, y + 4000 * 8, i) == w);
      if (index_[i] == IGNORED)
        assert_true(get(dtype, y, i) == 0 && get(dtype, y + 4000 * 8, i) == 0);
    }
}

static void test_nll(void **state) {
  (void)state;
  for (int dtype = SR_float32; dtype <= SR_float64; dtype++)
    for (int how = 0; how < 4; how++) {
      check_nll((sr_dtype)dtype, (sr_rows){20, 5, 1}, how & 1, how & 2);
      check_nll((sr_dtype)dtype, (sr_rows){4, 8, 6}, how & 1, how & 2);
      check_nll((sr_dtype)dtype, (sr_rows){1, 3, 1}, how & 1, how & 2);
    }
  static const int64_t bad[] = {0, 4, -1, INT64_MIN};
  for (int i = 0; i < 4; i++) {
    int64_t target[2] = {2, bad[i]}, found = 99;
    float loss[2] = {7, 7}, weights[2] = {7, 7};
    sr_nll l = {.dtype = SR_float32,
                .rows = {2, 3, 1},
                .log_probabilities = x,
                .target = target,
                .ignore_index = -100,
                .loss = loss,
                .weights = weights};
    assert_int_equal(sr__cpu_nll(&l, &found), SR_INDEX);
    assert_true(found == bad[i] && loss[0] == 7 && weights[0] == 7);
  }
}

#define X(isa) \
  FOR_ISA(test_softmax, isa) FOR_ISA(test_softmax_place, isa) FOR_ISA(test_softmax_special, isa)

int main(void) {
  const struct CMUnitTest tests[] = {
      SR_ISA_LIST(X) cmocka_unit_test(test_sort),
      cmocka_unit_test(test_sort_memory),
      cmocka_unit_test(test_take),
      cmocka_unit_test(test_put),
      cmocka_unit_test(test_place),
      cmocka_unit_test(test_bad_indices),
      cmocka_unit_test(test_gather),
      cmocka_unit_test(test_true_positions),
      cmocka_unit_test(test_nll),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
