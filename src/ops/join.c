/* join.c: copies that join or rearrange whole tensors: cat, stack, flip, roll, repeat. */
#include "base/checked.h"
#include "base/memory.h"
#include "ops/ops.h"

/* to[.., from start on, ..] = from */
static sr_status copy_to_slice(sr_tensor *to, int dim, int64_t start, const sr_tensor *from) {
  sr_tensor *part;
  if (from->numel == 0) return SR_OK;
  SR_TRY(sr__slice_of(to, dim, start, from->sizes[dim], 1, &part));
  sr_status status = sr__copy_into(part, from);
  sr_tensor_release(part);
  return status;
}

/* y if everything went well, else it is released. */
static sr_status made(sr_status status, sr_tensor *y, sr_tensor **out) {
  if (status)
    sr_tensor_release(y);
  else
    *out = y;
  return status;
}

static sr_status check_list(const char *name, int n, sr_tensor *const *x) {
  if (n < 1) return sr__fail(SR_ARGUMENT, "%s: at least one tensor is needed", name);
  return sr__same_device(name, n, (const sr_tensor *const *)x);
}

static sr_dtype common_dtype(int n, sr_tensor *const *x) {
  sr_dtype dtype = (sr_dtype)x[0]->dtype;
  for (int i = 1; i < n; i++) dtype = sr__wider(dtype, (sr_dtype)x[i]->dtype);
  return dtype;
}

/* ---- cat: dx_i is its slice of dy ---------------------------------------------------- */

/* As in PyTorch, one-dimensional tensors without elements fit everywhere. */
static bool skipped(const sr_tensor *t) { return t->ndim == 1 && t->numel == 0; }

/* start[i] is where x_i begins; x_i ends where x_(i+1) begins. */
typedef struct {
  int n, dim;
  int64_t start[];
} joints;

static sr_status cat_backward(sr_node *node, sr_tensor *const *grad) {
  const joints *j = sr__parameters(node);
  for (int i = 0; i < j->n; i++) {
    sr_tensor *dx;
    if (!sr__wants(node, i)) continue;
    int64_t length = j->start[i + 1] - j->start[i];
    if (length == 0) { /* perhaps of another number of dimensions */
      SR_TRY(sr__grad_buffer_zeroed(node, i, &dx));
      continue;
    }
    SR_TRY(sr__slice_of(grad[0], j->dim, j->start[i], length, 1, &dx));
    SR_TRY(sr__give(node, i, dx));
  }
  return SR_OK;
}
static const sr_op cat_op = {"cat", cat_backward};

/* Do a and b have equal sizes except in dimension dim? */
static bool sizes_match(const sr_tensor *a, const sr_tensor *b, int dim) {
  if (a->ndim != b->ndim) return false;
  for (int d = 0; d < a->ndim; d++)
    if (d != dim && a->sizes[d] != b->sizes[d]) return false;
  return true;
}

/* The tensor that gives the number of dimensions: the first that is not skipped. */
static sr_status cat_model(int n, sr_tensor *const *x, sr_tensor **model) {
  *model = x[0];
  for (int i = n - 1; i >= 0; i--)
    if (!skipped(x[i])) *model = x[i];
  for (int i = 0; i < n; i++)
    if (x[i]->ndim == 0)
      return sr__fail(SR_SHAPE, "cat: tensor %d is 0-dimensional (use stack)", i + 1);
  return SR_OK;
}

static sr_status fill_joints(joints *j, sr_tensor *const *x, const sr_tensor *model) {
  j->start[0] = 0;
  for (int i = 0; i < j->n; i++) {
    bool skip = skipped(x[i]);
    if (!skip && !sizes_match(x[i], model, j->dim))
      return sr__fail(SR_SHAPE,
                      "cat: tensor %d has shape %s, which does not fit %s in dimension %d", i + 1,
                      SR_SHAPE_OF(x[i]), SR_SHAPE_OF(model), j->dim + 1);
    j->start[i + 1] = j->start[i];
    if (!skip && !sr__add(&j->start[i + 1], x[i]->sizes[j->dim]))
      return sr__fail(SR_SHAPE, "cat: the result is too large");
  }
  return SR_OK;
}

static sr_status joined(const joints *j, sr_tensor *const *x, const sr_tensor *model,
                        sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS];
  for (int d = 0; d < model->ndim; d++) sizes[d] = d == j->dim ? j->start[j->n] : model->sizes[d];
  sr_tensor *y;
  sr_status status =
      sr__empty(sr__backend_of(model), common_dtype(j->n, x), model->ndim, sizes, &y);
  if (status) return sr__fail_in(status, "cat");
  for (int i = 0; i < j->n && !status; i++)
    if (!skipped(x[i])) status = copy_to_slice(y, j->dim, j->start[i], x[i]);
  return made(status, y, out);
}

sr_status sr_cat(int n, sr_tensor *const *x, int dim, sr_tensor **out) {
  sr_tensor *model, *y = NULL;
  SR_TRY(check_list("cat", n, x));
  SR_TRY(cat_model(n, x, &model));
  SR_TRY(sr__dimension("cat", dim, model->ndim, &dim));
  size_t bytes = sizeof(joints) + ((size_t)n + 1) * sizeof(int64_t);
  joints *j;
  SR_TRY(sr__new(bytes, (void **)&j));
  j->n = n;
  j->dim = dim;
  sr_status status = fill_joints(j, x, model);
  if (!status) status = joined(j, x, model, &y);
  if (!status) status = sr__finish(&cat_op, y, n, x, 0, NULL, j, bytes, out);
  sr__free(j, bytes);
  return status;
}

/* ---- stack: dx_i = dy[.., i, ..] ----------------------------------------------------- */

typedef struct {
  int n, dim;
} pile;

static sr_status stack_backward(sr_node *node, sr_tensor *const *grad) {
  const pile *p = sr__parameters(node);
  for (int i = 0; i < p->n; i++) {
    sr_tensor *dx;
    if (!sr__wants(node, i)) continue;
    SR_TRY(sr__select_of(grad[0], p->dim, i, &dx));
    SR_TRY(sr__give(node, i, dx));
  }
  return SR_OK;
}
static const sr_op stack_op = {"stack", stack_backward};

static sr_status check_equal_shapes(int n, sr_tensor *const *x) {
  for (int i = 1; i < n; i++)
    if (!sr__same_shape(x[i], x[0]))
      return sr__fail(SR_SHAPE, "stack: tensor %d has shape %s, the first has %s", i + 1,
                      SR_SHAPE_OF(x[i]), SR_SHAPE_OF(x[0]));
  return SR_OK;
}

static sr_status piled(const pile *p, sr_tensor *const *x, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS];
  for (int d = 0; d <= x[0]->ndim; d++)
    sizes[d] = d < p->dim ? x[0]->sizes[d] : d > p->dim ? x[0]->sizes[d - 1] : p->n;
  sr_tensor *y;
  sr_status status =
      sr__empty(sr__backend_of(x[0]), common_dtype(p->n, x), x[0]->ndim + 1, sizes, &y);
  if (status) return sr__fail_in(status, "stack");
  for (int i = 0; i < p->n && !status; i++) {
    sr_tensor *part;
    status = sr__select_of(y, p->dim, i, &part);
    if (status) break;
    status = sr__copy_into(part, x[i]);
    sr_tensor_release(part);
  }
  return made(status, y, out);
}

sr_status sr_stack(int n, sr_tensor *const *x, int dim, sr_tensor **out) {
  pile p = {.n = n};
  sr_tensor *y = NULL;
  SR_TRY(check_list("stack", n, x));
  SR_TRY(sr__need_room("stack", x[0]->ndim + 1));
  SR_TRY(sr__dimension("stack", dim, x[0]->ndim + 1, &p.dim));
  SR_TRY(check_equal_shapes(n, x));
  SR_TRY(piled(&p, x, &y));
  return sr__finish(&stack_op, y, n, x, 0, NULL, &p, sizeof p, out);
}

/* ---- flip: dx = flip(dy) ------------------------------------------------------------- */

/* A copy through a view with negative strides, which only the copy kernel meets. */
static sr_status flipped(const sr_tensor *x, unsigned mask, sr_tensor **out) {
  int64_t strides[SR_MAX_DIMS], offset = x->offset;
  for (int d = 0; d < x->ndim; d++) {
    int64_t stride = sr__strides(x)[d];
    bool turn = mask >> d & 1 && x->sizes[d] > 1;
    strides[d] = turn ? -stride : stride;
    if (turn) offset += (x->sizes[d] - 1) * stride;
  }
  sr_tensor *view;
  SR_TRY(sr__alias(x, x->ndim, x->sizes, strides, offset, &view));
  sr_status status = sr__copied(view, out);
  sr_tensor_release(view);
  return status;
}

static sr_status flip_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *dx;
  SR_TRY(flipped(grad[0], *(const unsigned *)sr__parameters(node), &dx));
  return sr__give(node, 0, dx);
}
static const sr_op flip_op = {"flip", flip_backward};

sr_status sr_flip(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  sr_reducing r;
  sr_tensor *y;
  SR_TRY(sr__reducing("flip", x, dims, &r));
  SR_TRY(flipped(x, r.mask, &y));
  return sr__finish(&flip_op, y, 1, &x, 0, NULL, &r.mask, sizeof r.mask, out);
}

/* ---- roll: y[i] = x[(i - shift) mod n], dx = roll(dy, -shift) ------------------------ */

typedef struct {
  int dim;
  int64_t shift; /* 0 .. n - 1 */
} rotation;

static sr_status copy_piece(sr_tensor *to, const sr_tensor *from, int dim, int64_t at,
                            int64_t start, int64_t length) {
  sr_tensor *piece;
  SR_TRY(sr__slice_of(from, dim, start, length, 1, &piece));
  sr_status status = copy_to_slice(to, dim, at, piece);
  sr_tensor_release(piece);
  return status;
}

static sr_status rolled(const sr_tensor *x, int dim, int64_t shift, sr_tensor **out) {
  sr_tensor *y;
  if (shift == 0) return sr__copied(x, out);
  int64_t n = x->sizes[dim];
  SR_TRY(sr__empty_like(x, (sr_dtype)x->dtype, &y));
  sr_status status = copy_piece(y, x, dim, shift, 0, n - shift);
  if (!status) status = copy_piece(y, x, dim, 0, n - shift, shift);
  return made(status, y, out);
}

static sr_status roll_backward(sr_node *node, sr_tensor *const *grad) {
  const rotation *r = sr__parameters(node);
  sr_tensor *dx;
  SR_TRY(rolled(grad[0], r->dim, r->shift ? grad[0]->sizes[r->dim] - r->shift : 0, &dx));
  return sr__give(node, 0, dx);
}
static const sr_op roll_op = {"roll", roll_backward};

sr_status sr_roll(sr_tensor *x, int64_t shift, int dim, sr_tensor **out) {
  rotation r = {0};
  sr_tensor *y;
  SR_TRY(sr__dimension("roll", dim, x->ndim, &r.dim));
  int64_t n = x->ndim ? x->sizes[r.dim] : 1;
  if (n > 1) r.shift = shift % n;
  if (r.shift < 0) r.shift += n;
  SR_TRY(rolled(x, r.dim, r.shift, &y));
  return sr__finish(&roll_op, y, 1, &x, 0, NULL, &r, sizeof r, out);
}

/* ---- repeat: dx is the sum of dy's repeats ------------------------------------------- */

/* t as (outer, times, n) around dimension d, summed over times. t is dense. */
static sr_status sum_repeats(const sr_tensor *t, int d, int64_t times, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS], strides[3];
  for (int i = 0; i < t->ndim; i++) sizes[i] = t->sizes[i] / (i == d ? times : 1);
  sr_rows rows = sr__rows(t, d);
  const int64_t seen[3] = {rows.outer, times, rows.n / times * rows.inner};
  sr__dense_strides(3, seen, strides);
  sr_tensor *view, *sum;
  SR_TRY(sr__alias(t, 3, seen, strides, t->offset, &view));
  sr_status status = sr__empty(sr__backend_of(t), (sr_dtype)t->dtype, t->ndim, sizes, &sum);
  if (!status) status = made(sr__reduce(SR_REDUCE_SUM, view, 1u << 1, 0, sum), sum, out);
  sr_tensor_release(view);
  return status;
}

typedef struct {
  int64_t times[SR_MAX_DIMS]; /* of each dimension of y */
} repeats;

static sr_status repeat_backward(sr_node *node, sr_tensor *const *grad) {
  const repeats *r = sr__parameters(node);
  sr_tensor *dx;
  if (grad[0]->numel == 0) return sr__wants(node, 0) ? sr__grad_buffer_zeroed(node, 0, &dx) : SR_OK;
  SR_TRY(sr__dense(grad[0], &dx));
  for (int d = 0; d < grad[0]->ndim; d++) {
    sr_tensor *sum = NULL;
    if (r->times[d] == 1) continue;
    sr_status status = sum_repeats(dx, d, r->times[d], &sum);
    sr_tensor_release(dx);
    if (status) return status;
    dx = sum;
  }
  return sr__give(node, 0, dx);
}
static const sr_op repeat_op = {"repeat", repeat_backward};

/* Repeat what stands at the beginning of y's dimension d, twice as much each time:
 * the dimensions before d are filled up to `filled`, those behind it wholly. */
static sr_status repeat_along(sr_tensor *y, const int64_t *filled, int d) {
  int64_t sizes[SR_MAX_DIMS];
  for (int i = 0; i < y->ndim; i++) sizes[i] = i < d ? filled[i] : y->sizes[i];
  sr_tensor *strip;
  SR_TRY(sr__alias(y, y->ndim, sizes, sr__strides(y), y->offset, &strip));
  sr_status status = SR_OK;
  for (int64_t done = filled[d]; done < y->sizes[d] && !status; done *= 2) {
    int64_t rest = y->sizes[d] - done;
    status = copy_piece(strip, strip, d, done, 0, rest < done ? rest : done);
  }
  sr_tensor_release(strip);
  return status;
}

static sr_status repeated_into(sr_tensor *y, const sr_tensor *x) {
  int64_t filled[SR_MAX_DIMS];
  for (int d = 0; d < y->ndim; d++) {
    int own = d - (y->ndim - x->ndim);
    filled[d] = own < 0 ? 1 : x->sizes[own];
  }
  sr_tensor *corner;
  SR_TRY(sr__alias(y, y->ndim, filled, sr__strides(y), y->offset, &corner));
  sr_status status = sr__copy_into(corner, x);
  sr_tensor_release(corner);
  for (int d = y->ndim - 1; d >= 0 && !status; d--) status = repeat_along(y, filled, d);
  return status;
}

static sr_status repeated_sizes(const sr_tensor *x, int n, const int64_t *times, int64_t *sizes) {
  SR_TRY(sr__need_room("repeat", n));
  if (n < x->ndim)
    return sr__fail(SR_ARGUMENT, "repeat: shape %s has %d dimensions, only %d counts were given",
                    SR_SHAPE_OF(x), x->ndim, n);
  for (int d = 0; d < n; d++) {
    int own = d - (n - x->ndim);
    sizes[d] = own < 0 ? 1 : x->sizes[own];
    if (times[d] < 0)
      return sr__fail(SR_ARGUMENT, "repeat: count %lld of dimension %d is negative",
                      (long long)times[d], d + 1);
    if (!sr__multiply(&sizes[d], times[d]))
      return sr__fail(SR_SHAPE, "repeat: %s times %lld in dimension %d is too large",
                      SR_SHAPE_OF(x), (long long)times[d], d + 1);
  }
  return SR_OK;
}

sr_status sr_repeat(sr_tensor *x, int n, const int64_t *times, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS];
  repeats r = {{0}};
  sr_tensor *y;
  SR_TRY(repeated_sizes(x, n, times, sizes));
  for (int d = 0; d < n; d++) r.times[d] = times[d];
  sr_status status = sr__empty(sr__backend_of(x), (sr_dtype)x->dtype, n, sizes, &y);
  if (status) return sr__fail_in(status, "repeat");
  SR_TRY(made(y->numel ? repeated_into(y, x) : SR_OK, y, &y));
  return sr__finish(&repeat_op, y, 1, &x, 0, NULL, &r, sizeof r, out);
}
