/* shape.c: views of whole tensors: view, reshape, flatten, transpose, t, permute,
 * squeeze, unsqueeze, expand.
 *
 * A view shares the storage. Its gradient is a view of the incoming gradient
 * (reshaping one that is not dense may copy). Views of parts are in part.c. */
#include <string.h>

#include "base/checked.h"
#include "ops/ops.h"

/* ---- other sizes, same elements in the same order ----------------------------------------- */

static sr_status other_count(const char *name, const sr_tensor *x, int ndim, const int64_t *asked) {
  return sr__fail(SR_SHAPE, "%s: shape %s does not fit the %lld elements of shape %s", name,
                  sr__shape_text(ndim, asked, (char[SR_SHAPE_TEXT]){0}), (long long)x->numel,
                  SR_SHAPE_OF(x));
}

/* The sizes asked for, with a -1 replaced by what makes them fit. */
static sr_status infer_sizes(const char *name, const sr_tensor *x, int ndim, const int64_t *asked,
                             int64_t sizes[SR_MAX_DIMS]) {
  int unknown = -1;
  int64_t count;
  SR_TRY(sr__need_room(name, ndim));
  for (int d = 0; d < ndim; d++) {
    sizes[d] = asked[d];
    if (asked[d] != -1) continue;
    if (unknown >= 0) return sr__fail(SR_SHAPE, "%s: only one size may be -1", name);
    unknown = d;
    sizes[d] = 1;
  }
  sr_status status = sr__element_count(ndim, sizes, &count);
  if (status) return sr__fail_in(status, name);
  if (unknown >= 0) {
    if (count == 0)
      return sr__fail(SR_SHAPE, "%s: the size -1 of shape %s is not determined: it has no elements",
                      name, sr__shape_text(ndim, asked, (char[SR_SHAPE_TEXT]){0}));
    sizes[unknown] = x->numel / count;
    count *= sizes[unknown];
  }
  return count == x->numel ? SR_OK : other_count(name, x, ndim, asked);
}

/* Is dimension d of x the first of a run that is evenly spaced in memory? */
static bool run_ends(const sr_tensor *x, int d, int64_t numel, int64_t stride) {
  return d == 0 || (x->sizes[d - 1] != 1 && sr__strides(x)[d - 1] != numel * stride);
}

/* Strides that show x, which is not empty, in these sizes; false if there are none. From
 * the last dimension on: runs of x's dimensions that are evenly spaced in memory must be
 * filled exactly by new dimensions. */
static bool view_strides(const sr_tensor *x, int ndim, const int64_t *sizes, int64_t *strides) {
  int new = ndim - 1;
  int64_t stride = x->ndim ? sr__strides(x)[x->ndim - 1] : 1, numel = 1, new_numel = 1;
  for (int d = x->ndim - 1; d >= 0; d--) {
    numel *= x->sizes[d];
    if (!run_ends(x, d, numel, stride)) continue;
    for (; new >= 0 && (new_numel < numel || sizes[new] == 1); new --) {
      strides[new] = new_numel * stride;
      new_numel *= sizes[new];
    }
    if (new_numel != numel) return false;
    if (d > 0) stride = sr__strides(x)[d - 1];
    numel = new_numel = 1;
  }
  for (; new >= 0; new --) strides[new] = 1; /* of a 0-dimensional x: sizes are 1 */
  return true;
}

/* x in other sizes: a view where possible, else (may_copy) of a dense copy. */
static sr_status resized(const char *name, const sr_tensor *x, int ndim, const int64_t *sizes,
                         bool may_copy, sr_tensor **out) {
  int64_t strides[SR_MAX_DIMS];
  sr__dense_strides(ndim, sizes, strides);
  if (x->contiguous || view_strides(x, ndim, sizes, strides))
    return sr__alias(x, ndim, sizes, strides, x->offset, out);
  if (!may_copy)
    return sr__fail(SR_SHAPE,
                    "%s: shape %s needs a copy of this tensor of shape %s, whose elements are not "
                    "in that order in memory: use reshape",
                    name, sr__shape_text(ndim, sizes, (char[SR_SHAPE_TEXT]){0}), SR_SHAPE_OF(x));
  sr_tensor *dense;
  SR_TRY(sr__copied(x, &dense));
  sr__dense_strides(ndim, sizes, strides);
  sr_status status = sr__alias(dense, ndim, sizes, strides, 0, out);
  sr_tensor_release(dense);
  return status;
}

/* dx = dy in x's sizes */
static sr_status resized_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *dx;
  SR_TRY(resized("reshape", grad[0], sr__input_ndim(node, 0), sr__input_sizes(node, 0), true, &dx));
  return sr__give(node, 0, dx);
}

static sr_status resize(const sr_op *op, sr_tensor *x, int ndim, const int64_t *sizes,
                        bool may_copy, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(resized(op->name, x, ndim, sizes, may_copy, &y));
  return sr__finish(op, y, 1, &x, 0, NULL, NULL, 0, out);
}

static const sr_op view_op = {"view", resized_backward};
static const sr_op reshape_op = {"reshape", resized_backward};
static const sr_op flatten_op = {"flatten", resized_backward};
static const sr_op squeeze_op = {"squeeze", resized_backward};
static const sr_op unsqueeze_op = {"unsqueeze", resized_backward};

sr_status sr_view(sr_tensor *x, int ndim, const int64_t *size, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS];
  SR_TRY(infer_sizes("view", x, ndim, size, sizes));
  return resize(&view_op, x, ndim, sizes, false, out);
}

sr_status sr_reshape(sr_tensor *x, int ndim, const int64_t *size, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS];
  SR_TRY(infer_sizes("reshape", x, ndim, size, sizes));
  return resize(&reshape_op, x, ndim, sizes, true, out);
}

sr_status sr_flatten(sr_tensor *x, int first_dim, int last_dim, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS], joined = 1;
  int first, last, ndim = 0;
  SR_TRY(sr__dimension("flatten", first_dim, x->ndim, &first));
  SR_TRY(sr__dimension("flatten", last_dim, x->ndim, &last));
  if (first > last)
    return sr__fail(SR_ARGUMENT, "flatten: the first dimension %d comes after the last, %d",
                    first + 1, last + 1);
  for (int d = 0; d < first; d++) sizes[ndim++] = x->sizes[d];
  for (int d = first; d <= last && d < x->ndim; d++) joined *= x->sizes[d];
  sizes[ndim++] = joined;
  for (int d = last + 1; d < x->ndim; d++) sizes[ndim++] = x->sizes[d];
  return resize(&flatten_op, x, ndim, sizes, true, out);
}

/* ---- squeeze, unsqueeze -------------------------------------------------------------- */

sr_status sr_squeeze(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  sr_reducing r;
  int64_t sizes[SR_MAX_DIMS];
  int ndim = 0;
  SR_TRY(sr__reducing("squeeze", x, dims, &r));
  for (int d = 0; d < x->ndim; d++)
    if (x->sizes[d] != 1 || !(r.mask >> d & 1)) sizes[ndim++] = x->sizes[d];
  return resize(&squeeze_op, x, ndim, sizes, true, out);
}

sr_status sr_unsqueeze(sr_tensor *x, int dim, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS];
  SR_TRY(sr__need_room("unsqueeze", x->ndim + 1));
  SR_TRY(sr__dimension("unsqueeze", dim, x->ndim + 1, &dim));
  for (int d = 0; d <= x->ndim; d++)
    sizes[d] = d < dim ? x->sizes[d] : d > dim ? x->sizes[d - 1] : 1;
  return resize(&unsqueeze_op, x, x->ndim + 1, sizes, true, out);
}

/* ---- permute: y's dimension d is x's dimension order[d] ------------------------------ */

typedef struct {
  int order[SR_MAX_DIMS];
} permutation;

static sr_status permuted(const sr_tensor *x, const int *order, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS], strides[SR_MAX_DIMS];
  for (int d = 0; d < x->ndim; d++) {
    sizes[d] = x->sizes[order[d]];
    strides[d] = sr__strides(x)[order[d]];
  }
  return sr__alias(x, x->ndim, sizes, strides, x->offset, out);
}

static sr_status permute_backward(sr_node *node, sr_tensor *const *grad) {
  const permutation *p = sr__parameters(node);
  int back[SR_MAX_DIMS];
  for (int d = 0; d < grad[0]->ndim; d++) back[p->order[d]] = d;
  sr_tensor *dx;
  SR_TRY(permuted(grad[0], back, &dx));
  return sr__give(node, 0, dx);
}

static const sr_op transpose_op = {"transpose", permute_backward};
static const sr_op t_op = {"t", permute_backward};
static const sr_op permute_op = {"permute", permute_backward};

static sr_status permute(const sr_op *op, sr_tensor *x, const permutation *p, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(permuted(x, p->order, &y));
  return sr__finish(op, y, 1, &x, 0, NULL, p, sizeof *p, out);
}

static sr_status swap_dimensions(const sr_op *op, sr_tensor *x, int a, int b, sr_tensor **out) {
  permutation p;
  for (int d = 0; d < SR_MAX_DIMS; d++) p.order[d] = d == a ? b : d == b ? a : d;
  return permute(op, x, &p, out);
}

sr_status sr_transpose(sr_tensor *x, int dim0, int dim1, sr_tensor **out) {
  SR_TRY(sr__dimension("transpose", dim0, x->ndim, &dim0));
  SR_TRY(sr__dimension("transpose", dim1, x->ndim, &dim1));
  return swap_dimensions(&transpose_op, x, dim0, dim1, out);
}

sr_status sr_t(sr_tensor *x, sr_tensor **out) {
  if (x->ndim > 2)
    return sr__fail(SR_SHAPE, "t: at most 2 dimensions, got shape %s (use transpose)",
                    SR_SHAPE_OF(x));
  return swap_dimensions(&t_op, x, 0, x->ndim == 2 ? 1 : 0, out);
}

sr_status sr_permute(sr_tensor *x, int n, const int *dims, sr_tensor **out) {
  permutation p = {{0}};
  unsigned seen = 0;
  if (n != x->ndim)
    return sr__fail(SR_ARGUMENT, "permute: a tensor of shape %s has %d dimensions, %d were named",
                    SR_SHAPE_OF(x), x->ndim, n);
  for (int i = 0; i < n; i++) {
    SR_TRY(sr__dimension("permute", dims[i], n, &p.order[i]));
    if (seen >> p.order[i] & 1)
      return sr__fail(SR_ARGUMENT, "permute: dimension %d appears twice", p.order[i] + 1);
    seen |= 1u << p.order[i];
  }
  return permute(&permute_op, x, &p, out);
}

/* ---- expand: dx = dy summed over the repeats ----------------------------------------- */

static sr_status expand_backward(sr_node *node, sr_tensor *const *grad) {
  return sr__give_shared(node, 0, grad[0]);
}
static const sr_op expand_op = {"expand", expand_backward};

static sr_status expanded_sizes(const sr_tensor *x, int ndim, const int64_t *asked,
                                int64_t sizes[SR_MAX_DIMS]) {
  char text[SR_SHAPE_TEXT];
  SR_TRY(sr__need_room("expand", ndim));
  bool fits = ndim >= x->ndim;
  for (int d = 0; fits && d < ndim; d++) {
    int own = d - (ndim - x->ndim);
    sizes[d] = asked[d] == -1 && own >= 0 ? x->sizes[own] : asked[d];
    fits = sizes[d] >= 0 && (own < 0 || x->sizes[own] == 1 || x->sizes[own] == sizes[d]);
  }
  if (fits) return SR_OK;
  return sr__fail(SR_SHAPE,
                  "expand: shape %s cannot be repeated to %s (dimensions of size 1 and new leading "
                  "ones can; -1 keeps a size)",
                  SR_SHAPE_OF(x), sr__shape_text(ndim > 0 ? ndim : 0, asked, text));
}

sr_status sr_expand(sr_tensor *x, int ndim, const int64_t *size, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS], count;
  SR_TRY(expanded_sizes(x, ndim, size, sizes));
  sr_status status = sr__element_count(ndim, sizes, &count);
  if (status) return sr__fail_in(status, "expand");
  sr_tensor *y;
  SR_TRY(sr__expanded(x, ndim, sizes, &y));
  return sr__finish(&expand_op, y, 1, &x, 0, NULL, NULL, 0, out);
}
