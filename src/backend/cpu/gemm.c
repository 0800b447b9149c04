/* gemm.c: C = alpha A B + beta C of the CPU backend, and BLIS.
 *
 * The only file that knows BLIS. BLIS takes the large products; small ones, for which
 * a call of BLIS (1.6 us) is long, run on the own kernels of panel.h. BLIS ends the
 * process on operands it does not like, so each is checked first and copied into
 * a dense matrix where its strides overlap or none is 1. No sum over k is ever split
 * among threads: results do not depend on their number. cpu.c's table calls
 * sr__cpu_gemm. */
#include "backend/cpu/panel.h"
#include "backend/cpu/threads.h"
#include "backend/cpu/products.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <blis.h>

/* ---- a product as seen by one matrix of the batch --------------------------------- */

/* Element (i, j) at data[i * row + j * column]. */
typedef struct {
  char *data;
  int64_t rows, columns, row, column;
} matrix;

typedef struct {
  sr_dtype dtype;
  size_t size; /* of an element */
  double alpha, beta;
  matrix a, b, c; /* of the first of the batch */
  int64_t m, n, k, batch;
  const int64_t *a_offset, *b_offset, *c_offset;
} problem;

static matrix transposed(matrix x) { return (matrix){x.data, x.columns, x.rows, x.column, x.row}; }

static matrix at_offset(matrix x, const int64_t *offset, int64_t i, size_t size) {
  if (offset) x.data += offset[i] * (int64_t)size;
  return x;
}

/* A stride along a dimension of size 1 means nothing: take the one of a dense matrix. */
static void settle_strides(matrix *x) {
  if (x->columns == 1) x->column = x->row == 1 && x->rows > 1 ? x->rows : 1;
  if (x->rows == 1) x->row = x->column == 1 ? x->columns : 1;
}

static problem problem_of(const sr_gemm *g) {
  problem p = {.dtype = g->dtype,
               .size = sr_dtype_bytes(g->dtype),
               .alpha = g->alpha,
               .beta = g->beta,
               .a = {(char *)g->a, g->m, g->k, g->a_row, g->a_column},
               .b = {(char *)g->b, g->k, g->n, g->b_row, g->b_column},
               .c = {g->c, g->m, g->n, g->c_row, g->c_column},
               .m = g->m,
               .n = g->n,
               .k = g->k,
               .batch = g->batch,
               .a_offset = g->a_offset,
               .b_offset = g->b_offset,
               .c_offset = g->c_offset};
  bool columns_apart = g->c_row == 1 && g->c_column != 1;
  if (g->m > 1 && (g->n == 1 || columns_apart)) { /* C^T = B^T A^T has them side by side */
    matrix a = p.a;
    p.a = transposed(p.b);
    p.b = transposed(a);
    p.c = transposed(p.c);
    p.m = g->n;
    p.n = g->m;
    p.a_offset = g->b_offset;
    p.b_offset = g->a_offset;
  }
  settle_strides(&p.a);
  settle_strides(&p.b);
  settle_strides(&p.c);
  return p;
}

/* ---- elementwise helpers ------------------------------------------------------------- */

static double get(const void *data, sr_dtype dtype, int64_t i) {
  return dtype == SR_float32 ? ((const float *)data)[i] : ((const double *)data)[i];
}

static void put(void *data, sr_dtype dtype, int64_t i, double value) {
  if (dtype == SR_float32)
    ((float *)data)[i] = (float)value;
  else
    ((double *)data)[i] = value;
}

/* to = factor from; a factor of 0 gives zeros whatever `from` holds. */
static void scale(sr_dtype dtype, matrix to, matrix from, double factor) {
  for (int64_t i = 0; i < to.rows; i++)
    for (int64_t j = 0; j < to.columns; j++) {
      double x = factor == 0 ? 0 : get(from.data, dtype, i * from.row + j * from.column);
      put(to.data, dtype, i * to.row + j * to.column, factor * x);
    }
}

static matrix dense(void *data, matrix shape) {
  return (matrix){data, shape.rows, shape.columns, shape.columns, 1};
}

static size_t bytes_of(const problem *p, matrix x) {
  size_t bytes = (size_t)x.rows * (size_t)x.columns * p->size;
  return (bytes + 63) & ~(size_t)63;
}

/* ---- BLIS ------------------------------------------------------------------------------- */

static bool blis_works;

bool sr__cpu_products_use_blis(void) { return blis_works; }

static void call_blis(const problem *p, matrix a, matrix b, matrix c, int threads) {
  rntm_t rntm = BLIS_RNTM_INITIALIZER; /* not what the environment says */
  bli_rntm_set_num_threads(threads, &rntm);
  if (p->dtype == SR_float32) {
    float alpha = (float)p->alpha, beta = (float)p->beta;
    bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, p->m, p->n, p->k, &alpha, (float *)a.data,
                 a.row, a.column, (float *)b.data, b.row, b.column, &beta, (float *)c.data, c.row,
                 c.column, NULL, &rntm);
  } else {
    double alpha = p->alpha, beta = p->beta;
    bli_dgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, p->m, p->n, p->k, &alpha, (double *)a.data,
                 a.row, a.column, (double *)b.data, b.row, b.column, &beta, (double *)c.data, c.row,
                 c.column, NULL, &rntm);
  }
}

/* One stride is 1 and the other steps over a whole row or column. */
static bool is_dense(matrix x) {
  return (x.column == 1 && x.row >= x.columns) || (x.row == 1 && x.column >= x.rows);
}

/* ---- the ways to do one matrix of the batch ------------------------------------------------ */

typedef enum { DIRECT, DOTS, PACKED, BLIS } way;

/* How the problem is done and the scratch that one matrix of the batch needs. */
typedef struct {
  way way;
  bool copy_a, copy_b, copy_c;
  size_t a_bytes, b_bytes, c_bytes, bytes;
  int threads;       /* within a matrix */
  int batch_threads; /* over the batch */
} method;

/* BLIS wins, or is as good, where no side is shorter (tests/bench/products.c). The
 * baseline kernels are slow beside what BLIS has for most processors. */
static const int64_t blis_side[SR_ISAS] = {
    [SR_ISA_baseline] = 32,
#if defined(__x86_64__)
    [SR_ISA_avx2] = 256,
    [SR_ISA_avx512] = 256,
#endif
};

static bool suits_blis(const problem *p) {
  int64_t side = blis_side[sr__cpu_isa()];
  return blis_works && p->m >= side && p->n >= side && p->k >= side;
}

static double work_of(const problem *p) { return (double)p->m * (double)p->n * (double)p->k; }

static way choose_way(const problem *p) {
  if (suits_blis(p)) return BLIS;
  if (p->b.column == 1) return DIRECT;
  if (p->b.row == 1 && p->a.column == 1 && p->m <= 4) return DOTS;
  return PACKED;
}

static method method_of(const problem *p) {
  method how = {.way = choose_way(p), .threads = 1, .batch_threads = 1};
  if (how.way == BLIS) {
    how.copy_a = !is_dense(p->a);
    how.copy_b = !is_dense(p->b);
    how.copy_c = !is_dense(p->c);
  } else {
    how.copy_a = p->alpha != 1;
    how.copy_c = p->c.column != 1;
  }
  if (how.copy_a) how.a_bytes = bytes_of(p, p->a);
  if (how.copy_b) how.b_bytes = bytes_of(p, p->b);
  if (how.way == PACKED) how.b_bytes = (sr__panel_bytes(p->dtype, p->k, p->n) + 63) & ~(size_t)63;
  if (how.copy_c) how.c_bytes = bytes_of(p, p->c);
  how.bytes = how.a_bytes + how.b_bytes + how.c_bytes;
  int threads = sr__threads_for(work_of(p) * (double)p->batch);
  if (p->batch >= threads)
    how.batch_threads = threads;
  else
    how.threads = threads;
  return how;
}

/* Own kernels: alpha 1 (A is scaled), beta 0 or 1 (C is scaled). */
static void own_product(const problem *p, const method *how, matrix a, matrix b, matrix c,
                        void *panels) {
  const sr_panel_kernels_of *kernels = sr__panel_kernels_for(p->dtype);
  if (p->beta != 0 && p->beta != 1) scale(p->dtype, c, c, p->beta);
  sr_product product = {.m = p->m,
                        .n = p->n,
                        .k = p->k,
                        .x = a.data,
                        .x_row = a.row,
                        .x_column = a.column,
                        .b = b.data,
                        .b_row = b.row,
                        .b_column = b.column,
                        .c = c.data,
                        .c_row = c.row,
                        .start = p->beta == 0 ? NULL : c.data,
                        .start_row = c.row};
  if (how->way == DOTS) {
    kernels->dots(&product);
    return;
  }
  if (how->way == PACKED) {
    kernels->pack(p->k, p->n, b.data, b.row, b.column, panels);
    product.b = panels;
    product.packed = true;
  }
  if (how->threads > 1)
    sr__panel_multiply(p->dtype, &product);
  else
    kernels->multiply(&product);
}

static void do_matrix(const problem *p, const method *how, int64_t i, char *scratch) {
  matrix a = at_offset(p->a, p->a_offset, i, p->size);
  matrix b = at_offset(p->b, p->b_offset, i, p->size);
  matrix c = at_offset(p->c, p->c_offset, i, p->size), result = c;
  char *panels = scratch + how->a_bytes;
  if (how->copy_a) {
    a = dense(scratch, a);
    scale(p->dtype, a, at_offset(p->a, p->a_offset, i, p->size), how->way == BLIS ? 1 : p->alpha);
  }
  if (how->copy_b) {
    matrix copy = dense(panels, b);
    scale(p->dtype, copy, b, 1);
    b = copy;
  }
  if (how->copy_c) {
    c = dense(panels + how->b_bytes, c);
    if (p->beta != 0) scale(p->dtype, c, result, 1);
  }
  if (how->way == BLIS)
    call_blis(p, a, b, c, how->threads);
  else
    own_product(p, how, a, b, c, panels);
  if (how->copy_c) scale(p->dtype, result, c, 1);
}

typedef struct {
  const problem *problem;
  const method *how;
  char *scratch;
} batch_work;

/* The matrices of a thread. */
static void do_part(void *context, int part) {
  const batch_work *w = context;
  int64_t batch = w->problem->batch, parts = w->how->batch_threads;
  for (int64_t i = batch * part / parts; i < batch * (part + 1) / parts; i++)
    do_matrix(w->problem, w->how, i, w->scratch + (size_t)part * w->how->bytes);
}

static sr_status do_batch(const problem *p, const method *how) {
  batch_work work = {.problem = p, .how = how};
  size_t bytes = how->bytes * (size_t)how->batch_threads;
  void *scratch = NULL;
  if (bytes) SR_TRY(sr__new(bytes, &scratch));
  work.scratch = scratch;
  sr__side_by_side(how->batch_threads, do_part, &work);
  sr__free(scratch, bytes);
  return SR_OK;
}

sr_status sr__cpu_gemm(const sr_gemm *g) {
  if (g->dtype != SR_float32 && g->dtype != SR_float64)
    return sr__fail(SR_DTYPE, "gemm: float32 or float64 expected, got %s", sr_dtype_name(g->dtype));
  if (g->m <= 0 || g->n <= 0 || g->batch <= 0) return SR_OK;
  problem p = problem_of(g);
  if (p.k <= 0 || p.alpha == 0) {
    for (int64_t i = 0; i < p.batch; i++) {
      matrix c = at_offset(p.c, p.c_offset, i, p.size);
      if (p.beta != 1) scale(p.dtype, c, c, p.beta);
    }
    return SR_OK;
  }
  method how = method_of(&p);
  return do_batch(&p, &how);
}

/* ---- start -------------------------------------------------------------------------------- */

enum { TEST_M = 64, TEST_N = 512, TEST_K = 128 };

/* One of +-1 for each column. */
static double sign_of(int64_t j) { return (uint32_t)j * 2654435769u >> 31 ? 1 : -1; }

/* A product with a vector v of signs tells a wrong C from a right one: C v = A (B v).
 * Returns the largest difference. */
static double product_error(const sr_gemm *g) {
  const float *a = g->a, *b = g->b, *c = g->c;
  double bv[TEST_K], worst = 0;
  for (int64_t l = 0; l < g->k; l++) {
    bv[l] = 0;
    for (int64_t j = 0; j < g->n; j++)
      bv[l] += sign_of(j) * (double)b[l * g->b_row + j * g->b_column];
  }
  for (int64_t i = 0; i < g->m; i++) {
    double difference = 0;
    for (int64_t j = 0; j < g->n; j++) difference += sign_of(j) * (double)c[i * g->n + j];
    for (int64_t l = 0; l < g->k; l++)
      difference -= (double)a[i * g->a_row + l * g->a_column] * bv[l];
    if (!(fabs(difference) <= worst)) worst = fabs(difference);
  }
  return worst;
}

/* Values in [-1, 1]; sums of 512 products of 128 of them are right to 1e-2. */
static bool products_are_right(float *room, bool with_blis) {
  static const struct {
    int64_t m, n, k;
    bool turned; /* B is given as its transpose */
  } sizes[] = {{1, 33, 65, true}, {7, 128, 58, false}, {33, 65, 40, true}, {64, 512, 128, true}};
  float *a = room, *b = a + TEST_M * TEST_K, *c = b + TEST_K * TEST_N;
  uint32_t word = 1;
  for (float *x = a; x < c; x++) {
    word = word * 1664525u + 1013904223u;
    *x = (float)(int32_t)word / 2147483648.0f;
  }
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int64_t m = sizes[i].m, n = sizes[i].n, k = sizes[i].k;
    sr_gemm g = {.dtype = SR_float32,
                 .m = m,
                 .n = n,
                 .k = k,
                 .a_row = k,
                 .a_column = 1,
                 .b_row = sizes[i].turned ? 1 : n,
                 .b_column = sizes[i].turned ? k : 1,
                 .c_row = n,
                 .c_column = 1,
                 .alpha = 1,
                 .a = a,
                 .b = b,
                 .c = c,
                 .batch = 1};
    problem p = problem_of(&g);
    method how = {.way = PACKED, .threads = 1};
    memset(c, 0xff, (size_t)(m * n) * sizeof(float)); /* NaN: beta 0 must not read it */
    if (with_blis)
      call_blis(&p, p.a, p.b, p.c, 1);
    else
      own_product(&p, &how, p.a, p.b, p.c, c + TEST_M * TEST_N);
    if (!(product_error(&g) < 1e-2)) return false;
  }
  return true;
}

sr_status sr__cpu_products_start(void) {
  enum { ROOM = TEST_M * TEST_K + 2 * TEST_K * TEST_N + TEST_M * TEST_N };
  void *room;
  SR_TRY(sr__new(ROOM * sizeof(float), &room));
  bli_init();
  bli_pack_set_pack_a(false); /* later releases are wrong with packing forced */
  bli_pack_set_pack_b(false);
  blis_works = products_are_right(room, true);
  bool own_work = products_are_right(room, false);
  sr__free(room, ROOM * sizeof(float));
  if (!own_work) return sr__fail(SR_STATE, "start: the product kernels give wrong results here");
  return SR_OK;
}

const char *sr_product_library(void) {
  static char text[96];
  if (!blis_works) return "own kernels (BLIS gives wrong results here)";
  snprintf(text, sizeof text, "BLIS %s, %s", bli_info_get_version_str(),
           bli_arch_string(bli_arch_query_id()));
  return text;
}
