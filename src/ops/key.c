/* key.c: x[key] with tensors in the key: which elements it chooses (sr__choose), and reading
 * them (index). They are written by index_put_ in assign.c.
 *
 * The tensors of the key, masks as positions, are joined into one: the position of a row
 * in memory, for each row of the result in turn. So a key that chooses little costs little,
 * however x lies in memory, and one kernel reads (take), adds gradients (take_add) and
 * writes (put). */
#include "ops/key.h"

#include <string.h>

/* ---- reading the key ----------------------------------------------------------------- */

/* Positions in the dimensions dim .. dim + dims - 1 of x, several counted as one. */
typedef struct {
  sr_tensor *ids; /* int64, any shape, from SR_INDEX_BASE */
  int dim, dims;
} indices;

typedef struct {
  const char *name;
  sr_tensor *x;
  const sr_key *key;
  int n;
  indices list[SR_MAX_DIMS];
  bool indexed[SR_MAX_DIMS]; /* x's dimensions that the list stands for */
  int first, end;            /* the first of them, behind the last */
  bool together;             /* no other dimension lies between them */
  int ndim;                  /* the common shape of the tensors */
  int64_t sizes[SR_MAX_DIMS];
  int64_t count; /* elements of x[key] */
} reading;

static void reading_start(reading *r, const char *name, sr_tensor *x, const sr_key *key) {
  r->name = name;
  r->x = x;
  r->key = key;
  r->n = r->ndim = 0;
  memset(r->indexed, 0, sizeof r->indexed);
}

static void reading_end(reading *r) {
  while (r->n) sr_tensor_release(r->list[--r->n].ids);
}

/* As messages count. */
static int name_of(const reading *r, int dim) {
  return r->key->named[dim] ? r->key->named[dim] : dim + 1;
}

static sr_status no_common_shape(const reading *r, const sr_tensor *t) {
  return sr__fail(SR_SHAPE, "%s: the index tensors have shapes %s and %s, which do not broadcast",
                  r->name, sr__shape_text(r->ndim, r->sizes, (char[SR_SHAPE_TEXT]){0}),
                  SR_SHAPE_OF(t));
}

/* The common shape becomes wide enough for t. */
static sr_status widen(reading *r, const sr_tensor *t) {
  int64_t sizes[SR_MAX_DIMS];
  int ndim = t->ndim > r->ndim ? t->ndim : r->ndim;
  for (int d = 1; d <= ndim; d++) { /* counted from the last dimension */
    int64_t a = d <= r->ndim ? r->sizes[r->ndim - d] : 1;
    int64_t b = d <= t->ndim ? t->sizes[t->ndim - d] : 1;
    if (a != b && a != 1 && b != 1) return no_common_shape(r, t);
    sizes[ndim - d] = a == 1 ? b : a;
  }
  r->ndim = ndim;
  memcpy(r->sizes, sizes, (size_t)ndim * sizeof *sizes);
  return SR_OK;
}

/* Takes over the reference to ids. */
static sr_status add_ids(reading *r, sr_tensor *ids, int dim, int dims) {
  r->list[r->n++] = (indices){ids, dim, dims};
  for (int k = 0; k < dims; k++) r->indexed[dim + k] = true;
  return widen(r, ids);
}

static sr_status check_mask(const reading *r, int dim, const sr_tensor *mask) {
  int n = mask->ndim, left = r->x->ndim - dim, last = n < left ? n : left;
  const int64_t *sizes = r->x->sizes + dim;
  bool fits = n > 0 && n <= left;
  for (int k = 0; fits && k < n; k++) fits = mask->sizes[k] == sizes[k] && !r->indexed[dim + k];
  if (fits) return SR_OK;
  return sr__fail(SR_SHAPE, "%s: a mask of shape %s where from dimension %d on the sizes are %s",
                  r->name, SR_SHAPE_OF(mask), name_of(r, dim),
                  sr__shape_text(last, sizes, (char[SR_SHAPE_TEXT]){0}));
}

/* Where x's dimensions can be joined into one, so are the mask's. */
static sr_status add_mask(reading *r, int dim, sr_tensor *mask) {
  SR_TRY(check_mask(r, dim, mask));
  sr_tensor *places, *column;
  if (mask->ndim == 1 || r->x->contiguous) {
    SR_TRY(sr__true_positions(mask, &places));
    return add_ids(r, places, dim, mask->ndim);
  }
  SR_TRY(sr_nonzero(mask, &places));
  sr_status status = SR_OK;
  for (int k = 0; !status && k < mask->ndim; k++) {
    status = sr__select_of(places, 1, k, &column);
    if (!status) status = add_ids(r, column, dim + k, 1);
  }
  sr_tensor_release(places);
  return status;
}

static sr_status add_tensor(reading *r, int dim, sr_tensor *t) {
  SR_TRY(sr__same_device(r->name, 2, (const sr_tensor *[]){r->x, t}));
  if (r->indexed[dim])
    return sr__fail(SR_ARGUMENT, "%s: a mask and another tensor for dimension %d", r->name,
                    name_of(r, dim));
  if (t->dtype == SR_bool) return add_mask(r, dim, t);
  SR_TRY(sr__need_int64(r->name, "index", t));
  return add_ids(r, sr_tensor_retain(t), dim, 1);
}

/* ---- the shape of the result --------------------------------------------------------- */

/* The common dimensions of the tensors as dimensions n, n + 1, .. of `sizes`; returns the next. */
static int append_common(const reading *r, int n, int64_t sizes[SR_MAX_DIMS]) {
  memcpy(sizes + n, r->sizes, (size_t)r->ndim * sizeof *sizes);
  return n + r->ndim;
}

/* What dimensions head .. tail - 1 of x become, those with tensors among them; *at: where the
 * common dimensions of the tensors stand. Returns how many there are. */
static int result_sizes(const reading *r, int head, int tail, int64_t sizes[SR_MAX_DIMS], int *at) {
  int n = r->together ? 0 : append_common(r, 0, sizes);
  *at = 0;
  for (int d = head; d < tail; d++) {
    if (r->together && d == r->first) {
      *at = n;
      n = append_common(r, n, sizes);
    }
    if (!r->indexed[d]) sizes[n++] = r->x->sizes[d];
  }
  return n;
}

/* Where the tensors stand, and whether the result is possible. */
static sr_status survey(reading *r) {
  int ndim = r->x->ndim, others = 0, at;
  int64_t sizes[SR_MAX_DIMS];
  for (r->first = 0; !r->indexed[r->first];) r->first++;
  for (r->end = ndim; !r->indexed[r->end - 1];) r->end--;
  for (int d = 0; d < ndim; d++) others += !r->indexed[d];
  r->together = r->first + ndim - r->end == others;
  SR_TRY(sr__need_room(r->name, r->ndim + others));
  sr_status status = sr__element_count(result_sizes(r, 0, ndim, sizes, &at), sizes, &r->count);
  return status ? sr__fail_in(status, r->name) : SR_OK;
}

static sr_status read_key(reading *r) {
  for (int d = 0; d < r->x->ndim; d++)
    if (r->key->tensor[d]) SR_TRY(add_tensor(r, d, r->key->tensor[d]));
  if (r->n == 0) return sr__fail(SR_ARGUMENT, "%s: a key without tensors", r->name);
  return survey(r);
}

/* ---- rows of memory ------------------------------------------------------------------ */

/* Dimensions before `head` are the blocks, those from `tail` on the inside of a row; positions
 * are for those between. */
typedef struct {
  int64_t strides[SR_MAX_DIMS];
  sr_rows rows;
  int head, tail;
} layout;

/* From one position of dimension d to the next, in rows; where rows are empty, it does not matter. */
static int64_t row_stride(const layout *l, int d) {
  return l->rows.inner ? l->strides[d] / l->rows.inner : 1;
}

static int64_t product(const int64_t *sizes, int first, int end) {
  int64_t count = 1;
  for (int d = first; d < end; d++) count *= sizes[d];
  return count;
}

/* The longest dense run of last dimensions without tensors, if all rows then begin at
 * multiples of its length; else rows of one element. */
static void find_rows(const reading *r, layout *l) {
  const int64_t *sizes = r->x->sizes, *strides = l->strides;
  int64_t inner = 1;
  l->tail = r->x->ndim;
  for (int d = l->tail - 1; d >= r->end && (sizes[d] == 1 || strides[d] == inner); d--) {
    inner *= sizes[d];
    l->tail = d;
  }
  bool aligned = inner > 0;
  for (int d = 0; aligned && d < l->tail; d++) aligned = sizes[d] <= 1 || strides[d] % inner == 0;
  if (!aligned) {
    inner = 1;
    l->tail = r->x->ndim;
  }
  l->head = 0;
  l->rows = (sr_rows){1, 1, inner};
  for (int d = 0; d < l->tail; d++) l->rows.n += (sizes[d] - 1) * row_stride(l, d);
}

static void lay_out(const reading *r, const int64_t *strides, layout *l) {
  int ndim = r->x->ndim;
  const int64_t *sizes = r->x->sizes;
  bool dense = sr__is_dense(ndim, sizes, strides);
  memcpy(l->strides, strides, (size_t)ndim * sizeof *strides);
  if (dense) sr__dense_strides(ndim, sizes, l->strides); /* also where a size is 1 */
  if (!dense || !r->together) {
    find_rows(r, l);
    return;
  }
  l->head = r->first;
  l->tail = r->end;
  l->rows = (sr_rows){product(sizes, 0, l->head), product(sizes, l->head, l->tail),
                      product(sizes, l->tail, ndim)};
}

/* ---- joining positions --------------------------------------------------------------- */

/* sum += stride (ids from 0), with ids' dimensions before the last `behind` of sum. */
static sr_status add_places(const reading *r, const indices *of, int64_t stride, int behind,
                            sr_tensor *sum) {
  sr_tensor *dense = NULL, *places = NULL, *view = NULL;
  int64_t sizes[SR_MAX_DIMS], strides[SR_MAX_DIMS], found = 0;
  int64_t n = product(r->x->sizes, of->dim, of->dim + of->dims);
  sr_status status;
  SR_TRY_GOTO(sr__dense(of->ids, &dense), done);
  SR_TRY_GOTO(sr__empty_like(dense, SR_int64, &places), done);
  const sr_placing placing = {dense->numel, n, stride, sr__data(dense), sr__data(places)};
  status = sr__backend_of(dense)->place(&placing, &found);
  SR_TRY_GOTO(sr__followed(status, r->name, found, name_of(r, of->dim) - 1, n), done);
  for (int d = 0; d < dense->ndim + behind; d++) sizes[d] = d < dense->ndim ? dense->sizes[d] : 1;
  sr__dense_strides(dense->ndim + behind, sizes, strides);
  SR_TRY_GOTO(sr__alias(places, dense->ndim + behind, sizes, strides, 0, &view), done);
  status = sr__add_to(sum, view);
done:
  sr_tensor_release(view);
  sr_tensor_release(places);
  sr_tensor_release(dense);
  return status;
}

/* A dimension without a tensor counts as one with all its positions. */
static sr_status add_all(const reading *r, int dim, int64_t stride, int behind, sr_tensor *sum) {
  indices all = {.dim = dim, .dims = 1};
  sr_scalar first = sr_integer(SR_INDEX_BASE), end = sr_integer(r->x->sizes[dim] + SR_INDEX_BASE);
  SR_TRY(sr_tensor_arange(SR_int64, first, end, sr_integer(1), sr_tensor_device(r->x), &all.ids));
  sr_status status = add_places(r, &all, stride, behind, sum);
  sr_tensor_release(all.ids);
  return status;
}

/* sum: of the sizes that head .. tail - 1 become, with the tensors' common dimensions at `at`. */
static sr_status join(const reading *r, const layout *l, int at, sr_tensor *sum) {
  int place = r->together ? 0 : r->ndim; /* dimensions of sum so far */
  SR_TRY(sr__fill(sum, sr_integer(SR_INDEX_BASE)));
  for (int k = 0; k < r->n; k++) {
    int last = r->list[k].dim + r->list[k].dims - 1;
    SR_TRY(add_places(r, &r->list[k], row_stride(l, last), sum->ndim - at - r->ndim, sum));
  }
  for (int d = l->head; d < l->tail; d++) {
    if (r->together && d == r->first) place += r->ndim;
    if (r->indexed[d]) continue;
    SR_TRY(add_all(r, d, row_stride(l, d), sum->ndim - ++place, sum));
  }
  return SR_OK;
}

/* Positions in the only dimension between head and tail, whose rows lie next to each other, are
 * those of the rows: the kernel will look at them. */
static bool are_rows(const reading *r, const layout *l, int ndim) {
  int last = r->list[0].dim + r->list[0].dims - 1;
  return r->n == 1 && ndim == r->ndim && row_stride(l, last) == 1;
}

static sr_status choose(const reading *r, const int64_t *strides, sr_chosen *c) {
  layout l;
  int at;
  int64_t sizes[SR_MAX_DIMS];
  lay_out(r, strides, &l);
  c->ndim = result_sizes(r, 0, r->x->ndim, c->sizes, &at);
  c->rows = l.rows;
  c->dim = name_of(r, r->list[0].dim) - 1;
  int ndim = result_sizes(r, l.head, l.tail, sizes, &at);
  if (are_rows(r, &l, ndim)) return sr__dense(r->list[0].ids, &c->positions);
  sr_tensor *sum;
  SR_TRY(sr__empty(sr__backend_of(r->x), SR_int64, ndim, sizes, &sum));
  sr_status status = join(r, &l, at, sum);
  if (status)
    sr_tensor_release(sum);
  else
    c->positions = sum;
  return status;
}

static sr_status choose_dense(const reading *r, sr_chosen *c) {
  int64_t strides[SR_MAX_DIMS];
  sr__dense_strides(r->x->ndim, r->x->sizes, strides);
  return choose(r, strides, c);
}

sr_status sr__choose(const char *name, sr_tensor *x, const sr_key *key, sr_chosen *out) {
  reading r;
  reading_start(&r, name, x, key);
  sr_status status = read_key(&r);
  if (!status) status = choose(&r, sr__strides(x), out);
  reading_end(&r);
  return status;
}

/* ---- index: dx[key] += dy ------------------------------------------------------------ */

sr_status sr__take_chosen(const char *name, const sr_chosen *c, const void *x, sr_tensor *out) {
  int64_t found = 0;
  const sr_take take = {.dtype = (sr_dtype)out->dtype,
                        .rows = c->rows,
                        .count = c->positions->numel,
                        .index = sr__data(c->positions),
                        .x = x,
                        .out = sr__data(out),
                        .zero_id = SR_NO_PADDING};
  if (take.count == 0) return SR_OK;
  sr_status status = sr__backend_of(out)->take(&take, &found);
  return sr__followed(status, name, found, c->dim, c->rows.n);
}

static sr_status index_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *positions, *buffer, *g;
  int64_t found;
  SR_TRY(sr__saved(node, 0, &positions));
  if (!sr__wants(node, 0)) return SR_OK;
  SR_TRY(sr__grad_buffer_zeroed(node, 0, &buffer));
  if (grad[0]->numel == 0) return SR_OK;
  SR_TRY(sr__dense(grad[0], &g));
  const sr_take take = {.dtype = (sr_dtype)g->dtype,
                        .rows = *(const sr_rows *)sr__parameters(node),
                        .count = positions->numel,
                        .index = sr__data(positions),
                        .x = sr__data(g),
                        .out = sr__data(buffer),
                        .zero_id = SR_NO_PADDING};
  sr_status status = sr__backend_of(g)->take_add(&take, &found);
  sr_tensor_release(g);
  return status;
}
static const sr_op index_op = {"index", index_backward};

static sr_status read_chosen(const sr_tensor *x, const sr_chosen *c, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(sr__empty(sr__backend_of(x), (sr_dtype)x->dtype, c->ndim, c->sizes, &y));
  sr_status status = sr__take_chosen("index", c, sr__data(x), y);
  if (status)
    sr_tensor_release(y);
  else
    *out = y;
  return status;
}

/* x, or a dense copy if that is not larger than the result: its elements are found faster. */
static sr_status seen_as(const reading *r, sr_tensor **out) {
  if (r->count >= r->x->numel) return sr__dense(r->x, out);
  *out = sr_tensor_retain(r->x);
  return SR_OK;
}

/* Of x, seen as `seen`; dense: the positions in a dense tensor of x's shape, as its gradient is, if
 * those of `own` are others and they are needed. */
static sr_status index_of(const reading *r, const sr_tensor *seen, sr_chosen *own, sr_chosen *dense,
                          sr_tensor **y) {
  SR_TRY(choose(r, sr__strides(seen), own));
  if (!seen->contiguous && sr__records(1, &r->x)) SR_TRY(choose_dense(r, dense));
  return read_chosen(seen, own, y);
}

sr_status sr_index(sr_tensor *x, const sr_key *key, sr_tensor **out) {
  reading r;
  sr_chosen own, dense;
  sr_tensor *seen = NULL, *y;
  reading_start(&r, "index", x, key);
  own.positions = dense.positions = NULL;
  sr_status status = read_key(&r);
  if (!status) status = seen_as(&r, &seen);
  if (!status) status = index_of(&r, seen, &own, &dense, &y);
  if (!status) {
    const sr_chosen *c = seen->contiguous ? &own : &dense;
    status = sr__finish(&index_op, y, 1, &x, 1, &c->positions, &c->rows, sizeof c->rows, out);
  }
  sr_tensor_release(dense.positions);
  sr_tensor_release(own.positions);
  sr_tensor_release(seen);
  reading_end(&r);
  return status;
}
