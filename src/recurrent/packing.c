/* packing.c: batches of sequences of different lengths and the layouts of their steps
 * (sr_packing, sr_layout in saros.h).
 *
 * A step of a sequence is one row (of all further dimensions). In every layout the row of step
 * t of the k-th longest sequence is step[t] + sequence[k]. A change of layout is one take of
 * rows, out[i] = x[map[i]], where 0 in the map gives a row of padding; its gradient is the take
 * with the inverse map: a row goes to one place only, so nothing is added up. */
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "ops/ops.h"

static bool is_padded(sr_layout layout) { return layout >= SR_TIME_FIRST; }
/* Dimensions that make the rows. */
static int leading(sr_layout layout) { return is_padded(layout) ? 2 : 1; }

/* ---- checks ------------------------------------------------------------------------------- */

static sr_status check_batch_sizes(const sr_packing *p, int64_t *rows) {
  *rows = 0;
  if (p->batch < 0 || p->batch > SR_MAX_ELEMENTS || p->steps < 0 || p->steps > SR_MAX_ELEMENTS)
    return sr__fail(SR_ARGUMENT, "PackedSequence: %lld sequences of %lld steps",
                    (long long)p->batch, (long long)p->steps);
  int64_t most = p->batch;
  for (int64_t t = 0; t < p->steps; t++) {
    int64_t size = p->batch_sizes[t];
    if (size < 1 || size > most || !sr__add(rows, size))
      return sr__fail(SR_ARGUMENT,
                      "PackedSequence: batch_sizes must be positive, not grow and begin with at "
                      "most the batch of %lld, got %lld at step %lld",
                      (long long)p->batch, (long long)size, (long long)t + 1);
    most = size;
  }
  return SR_OK;
}

/* Are the sizes of x those of a batch in this layout? */
static bool fits(const sr_tensor *x, sr_layout layout, const sr_packing *p, int64_t rows) {
  if (x->ndim < leading(layout)) return false;
  if (!is_padded(layout)) return x->sizes[0] == rows;
  int time = layout == SR_BATCH_FIRST;
  return x->sizes[time] >= p->steps && x->sizes[1 - time] == p->batch;
}

static sr_status check_input(const sr_tensor *x, sr_layout layout, const sr_packing *p,
                             int64_t rows) {
  if (fits(x, layout, p, rows)) return SR_OK;
  if (!is_padded(layout))
    return sr__fail(SR_SHAPE,
                    "PackedSequence: the %lld batch_sizes sum to %lld rows, the data has shape %s",
                    (long long)p->steps, (long long)rows, SR_SHAPE_OF(x));
  return sr__fail(SR_SHAPE,
                  "PackedSequence: %lld sequences of up to %lld steps do not fit in a padded "
                  "batch of shape %s",
                  (long long)p->batch, (long long)p->steps, SR_SHAPE_OF(x));
}

static sr_status bad_order(const sr_packing *p, int64_t k) {
  return sr__fail(SR_ARGUMENT,
                  "PackedSequence: sorted_indices must hold each of 1 to %lld once, got %lld at "
                  "%lld",
                  (long long)p->batch, (long long)p->sorted[k], (long long)k + 1);
}

/* ---- where the rows are -------------------------------------------------------------------- */

typedef struct {
  int64_t *step, *sequence;
} places;

typedef struct {
  const sr_packing *packing;
  int64_t rows;   /* of all sequences */
  int64_t *order; /* the k-th longest sequence, from 0 */
  int64_t *start; /* of each sequence, where they lie one behind the other */
  places from, to;
  size_t bytes;
} room;

static sr_status open_room(room *r, const sr_packing *p) {
  int64_t numbers = 4 * p->batch + 2 * p->steps;
  r->packing = p;
  r->bytes = (size_t)(numbers + 1) * sizeof(int64_t);
  SR_TRY(sr__new(r->bytes, (void **)&r->order));
  r->start = r->order + p->batch;
  r->from.sequence = r->start + p->batch;
  r->to.sequence = r->from.sequence + p->batch;
  r->from.step = r->to.sequence + p->batch;
  r->to.step = r->from.step + p->steps;
  return SR_OK;
}

static void close_room(room *r) { sr__free(r->order, r->bytes); }

/* Length of the k-th longest sequence; *t comes down from the number of steps. */
static int64_t length_of(const sr_packing *p, int64_t k, int64_t *t) {
  while (*t > 0 && p->batch_sizes[*t - 1] <= k) --*t;
  return *t;
}

static sr_status order_sequences(room *r) {
  const sr_packing *p = r->packing;
  int64_t t = p->steps, at = 0;
  for (int64_t s = 0; s < p->batch; s++) r->start[s] = -1; /* not seen */
  for (int64_t k = 0; k < p->batch; k++) {
    int64_t s = p->sorted ? p->sorted[k] - SR_INDEX_BASE : k;
    if (s < 0 || s >= p->batch || r->start[s] >= 0) return bad_order(p, k);
    r->order[k] = s;
    r->start[s] = length_of(p, k, &t);
  }
  for (int64_t s = 0; s < p->batch; s++) {
    int64_t length = r->start[s];
    r->start[s] = at;
    at += length;
  }
  return SR_OK;
}

/* `length`: steps of a padded layout. */
static void find_places(const room *r, sr_layout layout, int64_t length, const places *out) {
  const sr_packing *p = r->packing;
  int64_t offset = 0;
  for (int64_t t = 0; t < p->steps; t++) {
    out->step[t] = layout == SR_PACKED ? offset : layout == SR_TIME_FIRST ? t * p->batch : t;
    offset += p->batch_sizes[t];
  }
  for (int64_t k = 0; k < p->batch; k++) {
    int64_t s = r->order[k];
    out->sequence[k] = layout == SR_PACKED       ? k
                       : layout == SR_CHAINED    ? r->start[s]
                       : layout == SR_TIME_FIRST ? s
                                                 : s * length;
  }
}

/* map[place in `to`] = place in `from`, as positions; 0 where there is none. */
static sr_status new_map(const room *r, const places *to, const places *from, int64_t to_rows,
                         sr_device device, sr_tensor **out) {
  sr_tensor *host;
  SR_TRY(sr__empty(sr__backend(SR_CPU), SR_int64, 1, &to_rows, &host));
  int64_t *map = sr__data(host);
  if (to_rows > r->rows) memset(map, 0, (size_t)to_rows * sizeof *map);
  for (int64_t t = 0; t < r->packing->steps; t++)
    for (int64_t k = 0; k < r->packing->batch_sizes[t]; k++)
      map[to->step[t] + to->sequence[k]] = from->step[t] + from->sequence[k] + SR_INDEX_BASE;
  sr_status status = sr__moved(host, SR_int64, device, out);
  sr_tensor_release(host);
  return status;
}

/* ---- rows by a map --------------------------------------------------------------------------- */

static int64_t product(int first, int last, const int64_t *sizes) {
  int64_t n = 1;
  for (int d = first; d < last; d++) n *= sizes[d];
  return n;
}

/* out[i] = x[map[i]], zero where map[i] is 0. Rows of out (ndim, sizes) are what its first
 * `lead` dimensions count. */
static sr_status taken(const sr_tensor *x, const sr_tensor *map, int lead, int ndim,
                       const int64_t *sizes, sr_tensor **out) {
  sr_tensor *dense, *y = NULL;
  int64_t found, inner = product(lead, ndim, sizes);
  SR_TRY(sr__dense(x, &dense));
  sr_status status = sr__empty(sr__backend_of(x), (sr_dtype)x->dtype, ndim, sizes, &y);
  if (!status && y->numel) {
    const sr_take take = {.dtype = (sr_dtype)x->dtype,
                          .rows = {1, x->numel / inner, inner},
                          .count = map->numel,
                          .index = sr__data(map),
                          .x = sr__data(dense),
                          .out = sr__data(y),
                          .zero_id = 0};
    status = sr__backend_of(x)->take(&take, &found);
  }
  sr_tensor_release(dense);
  if (status)
    sr_tensor_release(y);
  else
    *out = y;
  return status;
}

/* *y with another value than 0 where the map is 0. */
static sr_status fill_padding(sr_tensor **y, int lead, sr_tensor *map, sr_scalar padding) {
  const sr_operand is_zero[2] = {{.tensor = map}, {.number = sr_integer(0)}};
  sr_tensor *mask, *view, *filled;
  int64_t sizes[SR_MAX_DIMS];
  for (int d = 0; d < (*y)->ndim; d++) sizes[d] = d < lead ? (*y)->sizes[d] : 1;
  sr_work w = sr__work_begin();
  sr__work_keep(&w, sr_pointwise(SR_OP_eq, is_zero, NULL, &mask), &mask);
  if (!w.status) sr__work_keep(&w, sr_view(mask, (*y)->ndim, sizes, &view), &view);
  if (!w.status) w.status = sr_masked_fill(*y, view, padding, &filled);
  SR_TRY(sr__work_end(&w));
  sr_tensor_release(*y);
  *y = filled;
  return SR_OK;
}

/* ---- the operation: dx = dy by the inverse map -------------------------------------------------- */

static sr_status repack_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *inverse, *dx;
  SR_TRY(sr__saved(node, 0, &inverse));
  SR_TRY(taken(grad[0], inverse, *(const int *)sr__parameters(node), sr__input_ndim(node, 0),
               sr__input_sizes(node, 0), &dx));
  return sr__give(node, 0, dx);
}
static const sr_op repack_op = {"repack", repack_backward};

/* Shape of the result. */
static sr_status result_shape(const room *r, const sr_tensor *x, sr_layout from, sr_layout to,
                              int64_t length, int *ndim, int64_t sizes[SR_MAX_DIMS]) {
  int lead = leading(to), rest = x->ndim - leading(from);
  SR_TRY(sr__need_room("packed sequence", lead + rest));
  sizes[0] = r->rows;
  if (is_padded(to)) {
    sizes[to == SR_BATCH_FIRST] = length;
    sizes[to != SR_BATCH_FIRST] = r->packing->batch;
  }
  for (int d = 0; d < rest; d++) sizes[lead + d] = x->sizes[leading(from) + d];
  *ndim = lead + rest;
  int64_t count;
  return sr__element_count(*ndim, sizes, &count);
}

static sr_status repack(room *r, sr_tensor *x, sr_layout from, sr_layout to, int64_t length,
                        sr_scalar padding, sr_tensor **out) {
  int ndim, lead = leading(from);
  int64_t sizes[SR_MAX_DIMS];
  sr_tensor *map = NULL, *inverse = NULL, *y = NULL;
  sr_device device = sr_tensor_device(x);
  sr_status status;
  SR_TRY(result_shape(r, x, from, to, length, &ndim, sizes));
  SR_TRY(order_sequences(r));
  find_places(r, from, is_padded(from) ? x->sizes[from == SR_BATCH_FIRST] : 0, &r->from);
  find_places(r, to, length, &r->to);
  int64_t to_rows = product(0, leading(to), sizes), from_rows = product(0, lead, x->sizes);
  SR_TRY_GOTO(new_map(r, &r->to, &r->from, to_rows, device, &map), done);
  if (sr__records(1, &x))
    SR_TRY_GOTO(new_map(r, &r->from, &r->to, from_rows, device, &inverse), done);
  SR_TRY_GOTO(taken(x, map, leading(to), ndim, sizes, &y), done);
  if (padding.number != 0 && to_rows > r->rows && y->numel)
    SR_TRY_GOTO(fill_padding(&y, leading(to), map, padding), done);
  status = sr__finish(&repack_op, sr_tensor_retain(y), 1, &x, 1, &inverse, &lead, sizeof lead, out);
done:
  sr_tensor_release(y);
  sr_tensor_release(inverse);
  sr_tensor_release(map);
  return status;
}

sr_status sr_repack(sr_tensor *x, sr_layout from, sr_layout to, const sr_packing *p, int64_t length,
                    sr_scalar padding, sr_tensor **out) {
  room r;
  int64_t rows;
  if ((unsigned)from > SR_BATCH_FIRST || (unsigned)to > SR_BATCH_FIRST)
    return sr__fail(SR_ARGUMENT, "PackedSequence: no layout %d or %d", (int)from, (int)to);
  SR_TRY(check_batch_sizes(p, &rows));
  SR_TRY(check_input(x, from, p, rows));
  if (is_padded(to) && length < p->steps)
    return sr__fail(SR_ARGUMENT, "PackedSequence: a length of %lld for sequences of %lld steps",
                    (long long)length, (long long)p->steps);
  SR_TRY(open_room(&r, p));
  r.rows = rows;
  sr_status status = repack(&r, x, from, to, length, padding, out);
  close_room(&r);
  return status;
}

/* ---- lengths --------------------------------------------------------------------------------- */

sr_status sr_packing_check(const sr_packing *p, const sr_tensor *data) {
  room r;
  SR_TRY(check_batch_sizes(p, &r.rows));
  SR_TRY(check_input(data, SR_PACKED, p, r.rows));
  SR_TRY(open_room(&r, p));
  sr_status status = order_sequences(&r);
  close_room(&r);
  return status;
}

sr_status sr_packing_lengths(const sr_packing *p, sr_tensor **out) {
  int64_t rows, t = p->steps;
  room r;
  SR_TRY(check_batch_sizes(p, &rows));
  SR_TRY(open_room(&r, p));
  sr_tensor *lengths = NULL;
  sr_status status = order_sequences(&r);
  if (!status) status = sr__empty(sr__backend(SR_CPU), SR_int64, 1, &p->batch, &lengths);
  if (!status) {
    int64_t *values = sr__data(lengths);
    for (int64_t k = 0; k < p->batch; k++) values[r.order[k]] = length_of(p, k, &t);
    *out = lengths;
  }
  close_room(&r);
  return status;
}

/* Steps of falling lengths: how many are longer than t, for each t. */
static sr_status count_steps(const sr_tensor *falling, sr_tensor **out) {
  const int64_t *length = sr__data(falling);
  int64_t batch = falling->numel, steps = batch ? length[0] : 0, alive = batch;
  for (int64_t k = 0; k < batch; k++)
    if (length[k] < 0 || (k && length[k] > length[k - 1]))
      return sr__fail(SR_ARGUMENT,
                      "PackedSequence: lengths must not be negative and not grow, got %lld at %lld",
                      (long long)length[k], (long long)k + 1);
  SR_TRY(sr__empty(sr__backend(SR_CPU), SR_int64, 1, &steps, out));
  int64_t *sizes = sr__data(*out);
  for (int64_t t = 0; t < steps; t++) {
    while (length[alive - 1] <= t) alive--;
    sizes[t] = alive;
  }
  return SR_OK;
}

sr_status sr_packing_of(sr_tensor *lengths, bool sort, sr_tensor **batch_sizes,
                        sr_tensor **sorted) {
  sr_tensor *host = NULL, *falling = NULL, *order = NULL, *dense = NULL;
  sr_status status;
  SR_TRY(sr__need_int64("packed sequence", "lengths", lengths));
  if (lengths->ndim != 1)
    return sr__fail(SR_SHAPE, "PackedSequence: lengths must have one dimension, got shape %s",
                    SR_SHAPE_OF(lengths));
  SR_TRY_GOTO(sr__moved(lengths, SR_int64, SR_CPU, &host), done);
  if (sort)
    SR_TRY_GOTO(sr_sort(host, 0, true, &falling, &order), done);
  else
    falling = sr_tensor_retain(host);
  SR_TRY_GOTO(sr__dense(falling, &dense), done);
  SR_TRY_GOTO(count_steps(dense, batch_sizes), done);
  *sorted = order ? sr_tensor_retain(order) : NULL;
done:
  sr_tensor_release(dense);
  sr_tensor_release(order);
  sr_tensor_release(falling);
  sr_tensor_release(host);
  return status;
}
