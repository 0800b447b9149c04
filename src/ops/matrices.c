/* matrices.c: any product of strided, broadcast batches as few gemm calls as possible.
 *
 * Batch dimensions that can be walked together with the rows, the columns or the
 * inner dimension become part of it, so (B, T, K) x (K, N) is one product of B T
 * rows, and its weight gradient one sum over B T. The others become offsets. No
 * operand is copied. */
#include "ops/matrices.h"

#include "base/memory.h"

sr_matrices sr__matrices(const sr_tensor *t, sr_matrix_form form, const sr_batch *batch) {
  sr_matrices x = {.tensor = t, .rows = 1, .columns = 1};
  const int64_t *strides = sr__strides(t);
  int d = t->ndim;
  if (form.columns) {
    x.columns = t->sizes[--d];
    x.column_stride = strides[d];
  }
  if (form.rows) {
    x.rows = t->sizes[--d];
    x.row_stride = strides[d];
  }
  for (int b = batch->ndim - 1; b >= 0; b--) {
    bool own = --d >= 0 && t->sizes[d] != 1;
    x.batch_stride[b] = own ? strides[d] : 0;
  }
  return x;
}

sr_matrices sr__transposed(sr_matrices x) {
  sr_matrices t = x;
  t.rows = x.columns;
  t.columns = x.rows;
  t.row_stride = x.column_stride;
  t.column_stride = x.row_stride;
  return t;
}

/* ---- joining batch dimensions ------------------------------------------------------------- */

/* What is left of the batch: strides of a, b, c. */
typedef struct {
  int ndim;
  int64_t sizes[SR_MAX_DIMS], a[SR_MAX_DIMS], b[SR_MAX_DIMS], c[SR_MAX_DIMS];
} remaining;

/* Walk `n` steps of strides outer_x, outer_y as part of the dimension (*size, *x, *y). */
static bool join(int64_t *size, int64_t *x, int64_t *y, int64_t n, int64_t outer_x,
                 int64_t outer_y) {
  if (*size == 1) {
    *x = outer_x;
    *y = outer_y;
  } else if (outer_x != *size * *x || outer_y != *size * *y) {
    return false;
  }
  *size *= n;
  return true;
}

static bool joins(sr_gemm *g, int64_t n, int64_t a, int64_t b, int64_t c) {
  if (!b && c && join(&g->m, &g->a_row, &g->c_row, n, a, c)) return true;
  if (!a && c && join(&g->n, &g->b_column, &g->c_column, n, b, c)) return true;
  return !c && join(&g->k, &g->a_column, &g->b_row, n, a, b);
}

static void join_batch(sr_gemm *g, remaining *left, const sr_matrices *c, const sr_matrices *a,
                       const sr_matrices *b, const sr_batch *batch) {
  left->ndim = 0;
  for (int d = batch->ndim - 1; d >= 0; d--) {
    int64_t n = batch->sizes[d], sa = a->batch_stride[d], sb = b->batch_stride[d],
            sc = c->batch_stride[d];
    if (n == 1 || joins(g, n, sa, sb, sc)) continue;
    int i = left->ndim++;
    left->sizes[i] = n;
    left->a[i] = sa;
    left->b[i] = sb;
    left->c[i] = sc;
  }
}

/* ---- the rest of the batch ---------------------------------------------------------------- */

/* A place in the batch, counted like an odometer. */
typedef struct {
  int64_t index[SR_MAX_DIMS];
  int64_t a, b, c;
} place;

static void step(place *p, const remaining *left) {
  for (int d = 0; d < left->ndim; d++) {
    p->a += left->a[d];
    p->b += left->b[d];
    p->c += left->c[d];
    if (++p->index[d] < left->sizes[d]) return;
    p->a -= left->a[d] * left->sizes[d];
    p->b -= left->b[d] * left->sizes[d];
    p->c -= left->c[d] * left->sizes[d];
    p->index[d] = 0;
  }
}

/* Has this matrix of C not been written by an earlier place? */
static bool first_visit(const place *p, const remaining *left) {
  for (int d = 0; d < left->ndim; d++)
    if (!left->c[d] && p->index[d]) return false;
  return true;
}

static bool sums(const remaining *left) {
  for (int d = 0; d < left->ndim; d++)
    if (!left->c[d]) return true;
  return false;
}

/* C is repeated: one product after the other adds to it, in a fixed order. */
static sr_status run_in_turn(const sr_backend *backend, sr_gemm *g, const remaining *left,
                             int64_t count) {
  place p = {.a = 0};
  double beta = g->beta;
  for (int64_t i = 0; i < count; i++, step(&p, left)) {
    g->a_offset = &p.a;
    g->b_offset = &p.b;
    g->c_offset = &p.c;
    g->beta = first_visit(&p, left) ? beta : 1;
    SR_TRY(backend->gemm(g));
  }
  return SR_OK;
}

static sr_status run_together(const sr_backend *backend, sr_gemm *g, const remaining *left,
                              int64_t count) {
  int64_t *offsets;
  size_t bytes = 3 * (size_t)count * sizeof *offsets;
  SR_TRY(sr__new(bytes, (void **)&offsets));
  int64_t *a = offsets, *b = offsets + count, *c = offsets + 2 * count;
  place p = {.a = 0};
  for (int64_t i = 0; i < count; i++, step(&p, left)) {
    a[i] = p.a;
    b[i] = p.b;
    c[i] = p.c;
  }
  g->batch = count;
  g->a_offset = a;
  g->b_offset = b;
  g->c_offset = c;
  sr_status status = backend->gemm(g);
  sr__free(offsets, bytes);
  return status;
}

sr_status sr__product(const sr_matrices *c, const sr_matrices *a, const sr_matrices *b,
                      const sr_batch *batch, double beta) {
  const sr_backend *backend = sr__backend_of(c->tensor);
  sr_gemm g = {.dtype = (sr_dtype)c->tensor->dtype,
               .m = c->rows,
               .n = c->columns,
               .k = a->columns,
               .a_row = a->row_stride,
               .a_column = a->column_stride,
               .b_row = b->row_stride,
               .b_column = b->column_stride,
               .c_row = c->row_stride,
               .c_column = c->column_stride,
               .alpha = 1,
               .beta = beta,
               .a = sr__data(a->tensor),
               .b = sr__data(b->tensor),
               .c = sr__data(c->tensor),
               .batch = 1};
  int64_t count = 1;
  for (int d = 0; d < batch->ndim; d++) count *= batch->sizes[d];
  /* A sum of nothing is 0. */
  if (!count || !g.m || !g.n || !g.k)
    return beta == 0 ? sr__fill((sr_tensor *)c->tensor, sr_integer(0)) : SR_OK;
  remaining left;
  join_batch(&g, &left, c, a, b, batch);
  if (!left.ndim) return backend->gemm(&g);
  count = 1;
  for (int d = 0; d < left.ndim; d++) count *= left.sizes[d];
  return sums(&left) ? run_in_turn(backend, &g, &left, count)
                     : run_together(backend, &g, &left, count);
}
