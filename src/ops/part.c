/* part.c: views of parts: narrow, slice, select, diagonal.
 *
 * The gradient of a part is added, in place, into that part of the gradient of
 * the whole: reading x[t] in T steps costs O(T) altogether. */
#include "ops/ops.h"

/* Adds g into the part that `of` shows of input 0's gradient. */
static sr_status give_part(sr_node *node, const sr_tensor *g, const void *parameters,
                           sr_status (*of)(const sr_tensor *whole, const void *parameters,
                                           sr_tensor **part)) {
  sr_tensor *buffer, *part;
  if (!sr__wants(node, 0)) return SR_OK;
  SR_TRY(sr__grad_buffer_zeroed(node, 0, &buffer));
  SR_TRY(of(buffer, parameters, &part));
  sr_status status = sr__add_to(part, g);
  sr_tensor_release(part);
  return status;
}

/* Dimension d of a tensor that has any. */
static sr_status existing_dimension(const char *name, const sr_tensor *x, int dim, int *d) {
  if (x->ndim == 0)
    return sr__fail(SR_SHAPE, "%s: a 0-dimensional tensor has no dimension to read a part of",
                    name);
  return sr__dimension(name, dim, x->ndim, d);
}

/* ---- narrow, slice ------------------------------------------------------------------- */

typedef struct {
  int dim;
  int64_t start, length, step;
} range;

static sr_status range_of(const sr_tensor *x, const void *parameters, sr_tensor **part) {
  const range *r = parameters;
  return sr__slice_of(x, r->dim, r->start, r->length, r->step, part);
}

static sr_status range_backward(sr_node *node, sr_tensor *const *grad) {
  return give_part(node, grad[0], sr__parameters(node), range_of);
}

static const sr_op narrow_op = {"narrow", range_backward};
static const sr_op slice_op = {"slice", range_backward};

/* As a user counts: from 1, or from the end. */
static long long as_written(int64_t position) {
  return (long long)(position < 0 || position == INT64_MAX ? position : position + 1);
}

static sr_status check_range(const char *name, const sr_tensor *x, range *r) {
  int64_t size = x->sizes[r->dim], start = r->start < 0 ? r->start + size : r->start;
  if (r->length < 0)
    return sr__fail(SR_ARGUMENT, "%s: length %lld is negative", name, (long long)r->length);
  if (r->step < 1)
    return sr__fail(SR_ARGUMENT, "%s: step %lld is not positive", name, (long long)r->step);
  bool fits = start >= 0 && start <= size;
  if (fits && r->length > 0) fits = start < size && r->length - 1 <= (size - 1 - start) / r->step;
  if (!fits)
    return sr__fail(SR_INDEX,
                    "%s: %lld elements from position %lld with step %lld do not lie in dimension "
                    "%d of size %lld",
                    name, (long long)r->length, as_written(r->start), (long long)r->step,
                    r->dim + 1, (long long)size);
  r->start = start;
  return SR_OK;
}

static sr_status read_range(const sr_op *op, sr_tensor *x, range r, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(existing_dimension(op->name, x, r.dim, &r.dim));
  SR_TRY(check_range(op->name, x, &r));
  SR_TRY(range_of(x, &r, &y));
  return sr__finish(op, y, 1, &x, 0, NULL, &r, sizeof r, out);
}

sr_status sr_narrow(sr_tensor *x, int dim, int64_t start, int64_t length, sr_tensor **out) {
  return read_range(&narrow_op, x, (range){dim, start, length, 1}, out);
}

sr_status sr_slice(sr_tensor *x, int dim, int64_t start, int64_t length, int64_t step,
                   sr_tensor **out) {
  return read_range(&slice_op, x, (range){dim, start, length, step}, out);
}

/* ---- select -------------------------------------------------------------------------- */

typedef struct {
  int dim;
  int64_t position;
} place;

static sr_status place_of(const sr_tensor *x, const void *parameters, sr_tensor **part) {
  const place *p = parameters;
  return sr__select_of(x, p->dim, p->position, part);
}

static sr_status select_backward(sr_node *node, sr_tensor *const *grad) {
  return give_part(node, grad[0], sr__parameters(node), place_of);
}
static const sr_op select_op = {"select", select_backward};

sr_status sr_select(sr_tensor *x, int dim, int64_t position, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(existing_dimension("select", x, dim, &dim));
  int64_t size = x->sizes[dim];
  if (position >= size || position < -size)
    return sr__fail(SR_INDEX, "select: position %lld in dimension %d of size %lld",
                    as_written(position), dim + 1, (long long)size);
  place p = {dim, position < 0 ? position + size : position};
  SR_TRY(place_of(x, &p, &y));
  return sr__finish(&select_op, y, 1, &x, 0, NULL, &p, sizeof p, out);
}

/* ---- diagonal: y[.., i] = x[.., i, .., i, ..] ---------------------------------------- */

typedef struct {
  int dim0, dim1;
} plane;

static sr_status diagonal_of(const sr_tensor *x, const void *parameters, sr_tensor **part) {
  const plane *p = parameters;
  int64_t sizes[SR_MAX_DIMS], strides[SR_MAX_DIMS];
  int ndim = 0;
  for (int d = 0; d < x->ndim; d++) {
    if (d == p->dim0 || d == p->dim1) continue;
    sizes[ndim] = x->sizes[d];
    strides[ndim++] = sr__strides(x)[d];
  }
  int64_t a = x->sizes[p->dim0], b = x->sizes[p->dim1];
  sizes[ndim] = a < b ? a : b;
  strides[ndim++] = sr__strides(x)[p->dim0] + sr__strides(x)[p->dim1];
  return sr__alias(x, ndim, sizes, strides, x->offset, part);
}

static sr_status diagonal_backward(sr_node *node, sr_tensor *const *grad) {
  return give_part(node, grad[0], sr__parameters(node), diagonal_of);
}
static const sr_op diagonal_op = {"diagonal", diagonal_backward};

sr_status sr_diagonal(sr_tensor *x, int dim0, int dim1, sr_tensor **out) {
  plane p;
  sr_tensor *y;
  SR_TRY(existing_dimension("diagonal", x, dim0, &p.dim0));
  SR_TRY(existing_dimension("diagonal", x, dim1, &p.dim1));
  if (p.dim0 == p.dim1)
    return sr__fail(SR_ARGUMENT, "diagonal: two different dimensions are needed, got %d twice",
                    p.dim0 + 1);
  SR_TRY(diagonal_of(x, &p, &y));
  return sr__finish(&diagonal_op, y, 1, &x, 0, NULL, &p, sizeof p, out);
}
