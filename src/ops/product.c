/* product.c: matmul and its special cases, and linear.
 *
 * All are C = A B on batches of matrices (ops/matrices.h), with the gradients
 *   dA += dC B^T,  dB += A^T dC
 * added straight into the gradients of the inputs, so that no temporary of their
 * size is made and broadcast batches are summed on the way. */
#include "autograd/autograd.h"
#include "ops/matrices.h"

/* ---- checks ------------------------------------------------------------------------------- */

static sr_status check_operands(const char *name, const sr_tensor *a, const sr_tensor *b) {
  SR_TRY(sr__same_device(name, 2, (const sr_tensor *[]){a, b}));
  if (a->dtype == b->dtype && sr__floating(a)) return SR_OK;
  return sr__fail(SR_DTYPE, "%s: two tensors of the same floating dtype are needed, got %s and %s",
                  name, SR_DTYPE_OF(a), SR_DTYPE_OF(b));
}

static sr_status check_ranks(const char *name, const sr_tensor *a, int a_ndim, const sr_tensor *b,
                             int b_ndim) {
  if (a->ndim == a_ndim && b->ndim == b_ndim) return SR_OK;
  return sr__fail(SR_SHAPE, "%s: expected a %d- and a %d-dimensional tensor, got shapes %s and %s",
                  name, a_ndim, b_ndim, SR_SHAPE_OF(a), SR_SHAPE_OF(b));
}

/* ---- the general product ------------------------------------------------------------------ */

/* How the operands are seen; the result has a's rows and b's columns. */
typedef struct {
  sr_matrix_form a, b;
} product_form;

static sr_batch batch_of(const sr_tensor *t, sr_matrix_form form) {
  sr_batch batch = {.ndim = t->ndim - form.rows - form.columns};
  for (int d = 0; d < batch.ndim; d++) batch.sizes[d] = t->sizes[d];
  return batch;
}

static sr_status product_backward(sr_node *node, sr_tensor *const *grad) {
  const product_form *form = sr__parameters(node);
  sr_matrix_form c_form = {form->a.rows, form->b.columns};
  sr_batch batch = batch_of(grad[0], c_form);
  sr_matrices g = sr__matrices(grad[0], c_form, &batch);
  sr_tensor *a, *b, *buffer;
  bool fresh;
  SR_TRY(sr__saved(node, 0, &a));
  SR_TRY(sr__saved(node, 1, &b));
  if (b && sr__wants(node, 0)) {
    SR_TRY(sr__grad_buffer(node, 0, &buffer, &fresh));
    sr_matrices da = sr__matrices(buffer, form->a, &batch);
    sr_matrices b_t = sr__transposed(sr__matrices(b, form->b, &batch));
    SR_TRY(sr__product(&da, &g, &b_t, &batch, fresh ? 0 : 1));
  }
  if (a && sr__wants(node, 1)) {
    SR_TRY(sr__grad_buffer(node, 1, &buffer, &fresh));
    sr_matrices db = sr__matrices(buffer, form->b, &batch);
    sr_matrices a_t = sr__transposed(sr__matrices(a, form->a, &batch));
    SR_TRY(sr__product(&db, &a_t, &g, &batch, fresh ? 0 : 1));
  }
  return SR_OK;
}

static sr_status join_batches(const char *name, const sr_tensor *a, const sr_batch *of_a,
                              const sr_tensor *b, const sr_batch *of_b, sr_batch *out) {
  out->ndim = of_a->ndim > of_b->ndim ? of_a->ndim : of_b->ndim;
  for (int d = 1; d <= out->ndim; d++) { /* counted from the last */
    int64_t x = d <= of_a->ndim ? of_a->sizes[of_a->ndim - d] : 1;
    int64_t y = d <= of_b->ndim ? of_b->sizes[of_b->ndim - d] : 1;
    if (x != y && x != 1 && y != 1)
      return sr__fail(SR_SHAPE, "%s: the batches of %s and %s do not broadcast: %lld against %lld",
                      name, SR_SHAPE_OF(a), SR_SHAPE_OF(b), (long long)x, (long long)y);
    out->sizes[out->ndim - d] = x == 1 ? y : x;
  }
  return SR_OK;
}

static sr_status new_product(const sr_tensor *like, const product_form *form, const sr_batch *batch,
                             int64_t rows, int64_t columns, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS + 2];
  int ndim = 0;
  for (int d = 0; d < batch->ndim; d++) sizes[ndim++] = batch->sizes[d];
  if (form->a.rows) sizes[ndim++] = rows;
  if (form->b.columns) sizes[ndim++] = columns;
  return sr__empty(sr__backend_of(like), (sr_dtype)like->dtype, ndim, sizes, out);
}

static sr_status product(const sr_op *op, sr_tensor *a, sr_tensor *b, product_form form,
                         sr_tensor **out) {
  SR_TRY(check_operands(op->name, a, b));
  sr_batch of_a = batch_of(a, form.a), of_b = batch_of(b, form.b), batch;
  SR_TRY(join_batches(op->name, a, &of_a, b, &of_b, &batch));
  sr_matrices left = sr__matrices(a, form.a, &batch), right = sr__matrices(b, form.b, &batch);
  if (left.columns != right.rows)
    return sr__fail(SR_SHAPE, "%s: shapes %s and %s do not fit: inner sizes %lld and %lld",
                    op->name, SR_SHAPE_OF(a), SR_SHAPE_OF(b), (long long)left.columns,
                    (long long)right.rows);
  sr_tensor *y;
  SR_TRY(new_product(a, &form, &batch, left.rows, right.columns, &y));
  sr_matrix_form y_form = {form.a.rows, form.b.columns};
  sr_matrices result = sr__matrices(y, y_form, &batch);
  sr_status status = sr__product(&result, &left, &right, &batch, 0);
  if (status) {
    sr_tensor_release(y);
    return status;
  }
  /* Each factor is kept for the gradient of the other. */
  sr_tensor *saved[2] = {sr_requires_grad(b) ? a : NULL, sr_requires_grad(a) ? b : NULL};
  return sr__finish(op, y, 2, (sr_tensor *[]){a, b}, 2, saved, &form, sizeof form, out);
}

static const sr_matrix_form matrix = {true, true}, row_vector = {false, true},
                            column_vector = {true, false};

/* ---- matmul -------------------------------------------------------------------------- */

static const sr_op matmul_op = {"matmul", product_backward};

sr_status sr_matmul(sr_tensor *a, sr_tensor *b, sr_tensor **out) {
  if (!a->ndim || !b->ndim)
    return sr__fail(SR_SHAPE, "matmul: both tensors need a dimension, got shapes %s and %s",
                    SR_SHAPE_OF(a), SR_SHAPE_OF(b));
  product_form form = {a->ndim == 1 ? row_vector : matrix, b->ndim == 1 ? column_vector : matrix};
  return product(&matmul_op, a, b, form, out);
}

static const sr_op mm_op = {"mm", product_backward};

sr_status sr_mm(sr_tensor *a, sr_tensor *b, sr_tensor **out) {
  SR_TRY(check_ranks("mm", a, 2, b, 2));
  return product(&mm_op, a, b, (product_form){matrix, matrix}, out);
}

static const sr_op bmm_op = {"bmm", product_backward};

sr_status sr_bmm(sr_tensor *a, sr_tensor *b, sr_tensor **out) {
  SR_TRY(check_ranks("bmm", a, 3, b, 3));
  if (a->sizes[0] != b->sizes[0])
    return sr__fail(SR_SHAPE, "bmm: batches differ in shapes %s and %s", SR_SHAPE_OF(a),
                    SR_SHAPE_OF(b));
  return product(&bmm_op, a, b, (product_form){matrix, matrix}, out);
}

static const sr_op mv_op = {"mv", product_backward};

sr_status sr_mv(sr_tensor *a, sr_tensor *x, sr_tensor **out) {
  SR_TRY(check_ranks("mv", a, 2, x, 1));
  return product(&mv_op, a, x, (product_form){matrix, column_vector}, out);
}

static const sr_op dot_op = {"dot", product_backward};

sr_status sr_dot(sr_tensor *a, sr_tensor *b, sr_tensor **out) {
  SR_TRY(check_ranks("dot", a, 1, b, 1));
  return product(&dot_op, a, b, (product_form){row_vector, column_vector}, out);
}

static const sr_op outer_op = {"outer", product_backward};

sr_status sr_outer(sr_tensor *a, sr_tensor *b, sr_tensor **out) {
  SR_TRY(check_ranks("outer", a, 1, b, 1));
  return product(&outer_op, a, b, (product_form){column_vector, row_vector}, out);
}

/* ---- linear: y = x W^T + b ----------------------------------------------------------- */

static sr_matrix_form rows_of(const sr_tensor *x) { return x->ndim == 1 ? row_vector : matrix; }

/* db = sum of g over its rows. A single row is the gradient itself. */
static sr_status give_bias(sr_node *node, int input, sr_tensor *g) {
  if (g->ndim == 1 || g->numel != g->sizes[g->ndim - 1]) return sr__give_shared(node, input, g);
  sr_tensor *row;
  int last = g->ndim - 1;
  SR_TRY(sr__alias(g, 1, &g->sizes[last], &sr__strides(g)[last], g->offset, &row));
  return sr__give(node, input, row);
}

/* dx = g W, dW = g^T x, db for g with joined rows. */
static sr_status give_linear(sr_node *node, sr_tensor *grad) {
  sr_batch batch = batch_of(grad, rows_of(grad));
  sr_matrices g = sr__matrices(grad, rows_of(grad), &batch);
  sr_tensor *x, *weight, *buffer;
  bool fresh;
  SR_TRY(sr__saved(node, 0, &x));
  SR_TRY(sr__saved(node, 1, &weight));
  if (weight && sr__wants(node, 0)) {
    SR_TRY(sr__grad_buffer(node, 0, &buffer, &fresh));
    sr_matrices dx = sr__matrices(buffer, rows_of(buffer), &batch);
    sr_matrices w = sr__matrices(weight, matrix, &batch);
    SR_TRY(sr__product(&dx, &g, &w, &batch, fresh ? 0 : 1));
  }
  if (x && sr__wants(node, 1)) {
    SR_TRY(sr__grad_buffer(node, 1, &buffer, &fresh));
    sr_matrices dw = sr__matrices(buffer, matrix, &batch), g_t = sr__transposed(g);
    sr_matrices rows = sr__matrices(x, rows_of(x), &batch);
    SR_TRY(sr__product(&dw, &g_t, &rows, &batch, fresh ? 0 : 1));
  }
  return sr__wants(node, 2) ? give_bias(node, 2, grad) : SR_OK;
}

/* With x (B, T, K) that is a view of (T, B, K), as batch-first layers give it, the rows of x are
 * not evenly spaced: each b would be a product of its own, which packs the weight B times. The
 * same holds for g. A dense copy costs far less. */
static bool needs_copy(const sr_tensor *x) { return x->ndim > 2 && !x->contiguous; }

static sr_status linear_backward(sr_node *node, sr_tensor *const *grad) {
  if (!needs_copy(grad[0])) return give_linear(node, grad[0]);
  sr_tensor *dense;
  SR_TRY(sr_contiguous(grad[0], &dense));
  sr_status status = give_linear(node, dense);
  sr_tensor_release(dense);
  return status;
}

static const sr_op linear_op = {"linear", linear_backward};

static sr_status check_linear(const sr_tensor *x, const sr_tensor *weight, const sr_tensor *bias) {
  SR_TRY(check_operands("linear", x, weight));
  SR_TRY(sr__same_device("linear", 2, (const sr_tensor *[]){x, bias}));
  if (weight->ndim != 2)
    return sr__fail(SR_SHAPE, "linear: expected weight (out, in), got shape %s",
                    SR_SHAPE_OF(weight));
  if (!x->ndim || x->sizes[x->ndim - 1] != weight->sizes[1])
    return sr__fail(SR_SHAPE, "linear: expected x (.., %lld) for weight %s, got shape %s",
                    (long long)weight->sizes[1], SR_SHAPE_OF(weight), SR_SHAPE_OF(x));
  if (!bias) return SR_OK;
  if (bias->ndim != 1 || bias->sizes[0] != weight->sizes[0])
    return sr__fail(SR_SHAPE, "linear: expected bias (%lld) for weight %s, got shape %s",
                    (long long)weight->sizes[0], SR_SHAPE_OF(weight), SR_SHAPE_OF(bias));
  if (bias->dtype != x->dtype)
    return sr__fail(SR_DTYPE, "linear: bias is %s, x is %s", SR_DTYPE_OF(bias), SR_DTYPE_OF(x));
  return SR_OK;
}

/* Are the rows of x evenly spaced and each dense? */
static bool even_rows(const sr_tensor *x, int64_t *stride) {
  int64_t columns = x->sizes[x->ndim - 1];
  *stride = columns;
  if (x->contiguous) return true;
  if (x->ndim != 2 || (columns > 1 && sr__strides(x)[1] != 1)) return false;
  *stride = sr__strides(x)[0];
  return *stride >= columns;
}

/* y = x W^T + b by the affine kernel: x with even rows, W and b dense. */
static sr_status run_affine(const sr_tensor *x, int64_t x_row, const sr_tensor *weight,
                            const sr_tensor *bias, sr_tensor *y) {
  int64_t n = weight->sizes[0], k = weight->sizes[1];
  sr_affine affine = {.dtype = (sr_dtype)x->dtype,
                      .m = y->numel / n,
                      .n = n,
                      .k = k,
                      .x_row = x_row,
                      .x = sr__data(x),
                      .weight = sr__data(weight),
                      .bias = bias ? sr__data(bias) : NULL,
                      .y = sr__data(y),
                      .memo = &weight->storage->memo};
  return sr__backend_of(x)->affine(&affine);
}

/* Any strides: y = b in every row, then y += x W^T. */
static sr_status run_strided(const sr_tensor *x, const sr_tensor *weight, const sr_tensor *bias,
                             sr_tensor *y) {
  if (bias) SR_TRY(sr__copy_into(y, bias));
  sr_batch batch = batch_of(y, rows_of(y));
  sr_matrices result = sr__matrices(y, rows_of(y), &batch);
  sr_matrices left = sr__matrices(x, rows_of(x), &batch);
  sr_matrices right = sr__transposed(sr__matrices(weight, matrix, &batch));
  return sr__product(&result, &left, &right, &batch, bias ? 1 : 0);
}

static sr_status run_linear(const sr_tensor *x, const sr_tensor *weight, const sr_tensor *bias,
                            sr_tensor *y) {
  int64_t x_row;
  bool dense = weight->contiguous && (!bias || bias->contiguous) && weight->numel;
  if (!y->numel) return SR_OK;
  if (dense && even_rows(x, &x_row)) return run_affine(x, x_row, weight, bias, y);
  return run_strided(x, weight, bias, y);
}

static sr_status linear(sr_tensor *x, sr_tensor *weight, sr_tensor *bias, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS];
  for (int d = 0; d < x->ndim; d++) sizes[d] = x->sizes[d];
  sizes[x->ndim - 1] = weight->sizes[0];
  sr_tensor *y;
  SR_TRY(sr__empty(sr__backend_of(x), (sr_dtype)x->dtype, x->ndim, sizes, &y));
  sr_status status = run_linear(x, weight, bias, y);
  if (status) {
    sr_tensor_release(y);
    return status;
  }
  sr_tensor *saved[2] = {sr_requires_grad(weight) ? x : NULL, sr_requires_grad(x) ? weight : NULL};
  return sr__finish(&linear_op, y, 3, (sr_tensor *[]){x, weight, bias}, 2, saved, NULL, 0, out);
}

sr_status sr_linear(sr_tensor *x, sr_tensor *weight, sr_tensor *bias, sr_tensor **out) {
  SR_TRY(check_linear(x, weight, bias));
  if (!needs_copy(x)) return linear(x, weight, bias, out);
  sr_tensor *dense;
  SR_TRY(sr_contiguous(x, &dense));
  sr_status status = linear(dense, weight, bias, out);
  sr_tensor_release(dense);
  return status;
}
