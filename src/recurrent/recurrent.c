/* recurrent.c: one recurrent layer over a packed sequence, in one direction or both, as one
 * operation (sr_recurrent in saros.h).
 *
 * The products with the inputs of all steps are one affine call; the steps are the
 * backend's. What differs between modes is in backend/recurrent_modes.h. */
#include "recurrent/recurrent.h"

#include <string.h>

#include "base/checked.h"
#include "base/memory.h"

/* ---- checks ------------------------------------------------------------------------------- */

/* expected: sizes, -1 for any. A NULL tensor passes. */
static sr_status check_argument(const char *mode, const char *what, const sr_tensor *t, int ndim,
                                const int64_t *expected, const sr_tensor *x) {
  if (!t) return SR_OK;
  bool fits = t->ndim == ndim;
  for (int d = 0; fits && d < ndim; d++) fits = expected[d] < 0 || t->sizes[d] == expected[d];
  if (!fits)
    return sr__fail(SR_SHAPE, "%s: expected %s %s, got %s", mode, what,
                    sr__shape_text(ndim, expected, (char[SR_SHAPE_TEXT]){0}), SR_SHAPE_OF(t));
  if (t->dtype != x->dtype)
    return sr__fail(SR_DTYPE, "%s: %s is %s, x is %s", mode, what, SR_DTYPE_OF(t), SR_DTYPE_OF(x));
  return sr__same_device(mode, 2, (const sr_tensor *[]){x, t});
}

static sr_status check_matrix(const char *mode, const char *what, const sr_tensor *t) {
  if (t->ndim == 2 && t->numel) return SR_OK;
  return sr__fail(SR_SHAPE, "%s: expected %s with 2 dimensions and elements, got %s", mode, what,
                  SR_SHAPE_OF(t));
}

/* Is x (T, B, I), with the same batch at every step? */
static bool is_padded(const sr_recurrent_layer *l) { return !l->batch_sizes; }
static int64_t steps_of(const sr_recurrent_layer *l) {
  return is_padded(l) ? l->x->sizes[0] : l->steps;
}
static int64_t batch_at(const sr_recurrent_layer *l, int64_t t) {
  return is_padded(l) ? l->x->sizes[1] : l->batch_sizes[t];
}

static int64_t batch_of(const sr_recurrent_layer *l) {
  if (is_padded(l)) return l->x->sizes[1];
  return l->batch || !l->steps ? l->batch : l->batch_sizes[0];
}
static int directions_of(const sr_recurrent_layer *l) { return l->weights[1].weight_ih ? 2 : 1; }

static sr_status check_padded(const char *mode, const sr_recurrent_layer *l, int64_t *rows) {
  if (l->x->ndim != 3)
    return sr__fail(SR_SHAPE, "%s: expected x (steps, batch, inputs) or batch sizes, got %s", mode,
                    SR_SHAPE_OF(l->x));
  if (l->x->sizes[0] < 1)
    return sr__fail(SR_SHAPE, "%s: a sequence has at least 1 step, got 0", mode);
  *rows = l->x->sizes[0] * l->x->sizes[1]; /* sizes of one tensor: no overflow */
  return SR_OK;
}

static sr_status check_packed(const char *mode, const sr_recurrent_layer *l, int64_t *rows) {
  if (l->steps < (l->batch ? 0 : 1) || l->batch < 0)
    return sr__fail(SR_SHAPE, "%s: a sequence has at least 1 step, got %lld", mode,
                    (long long)l->steps);
  *rows = 0;
  for (int64_t t = 0; t < l->steps; t++) {
    int64_t size = l->batch_sizes[t];
    if (size < 1 || (t && size > l->batch_sizes[t - 1]) || !sr__add(rows, size))
      return sr__fail(SR_SHAPE,
                      "%s: batch sizes must be positive and not grow, got %lld at step %lld", mode,
                      (long long)size, (long long)t + 1);
  }
  if (l->steps && l->batch && l->batch_sizes[0] > l->batch)
    return sr__fail(SR_SHAPE, "%s: %lld rows in step 1 of a batch of %lld", mode,
                    (long long)l->batch_sizes[0], (long long)l->batch);
  return SR_OK;
}

/* Those of direction k against the sizes that direction 0 has. */
static sr_status check_weights(const char *mode, const sr_recurrent_layer *l, int k) {
  const sr_recurrent_weights *first = &l->weights[0], *w = &l->weights[k];
  const sr_tensor *x = l->x;
  int64_t gates = sr__recurrent_modes[l->mode].gates, inputs = first->weight_ih->sizes[1];
  int64_t state = first->weight_hh->sizes[1];
  int64_t hidden = first->weight_hr ? first->weight_hr->sizes[1] : state, width = gates * hidden;
  SR_TRY(check_argument(mode, "weight_hh", w->weight_hh, 2, (int64_t[]){width, state}, x));
  SR_TRY(check_argument(mode, "weight_ih", w->weight_ih, 2, (int64_t[]){width, inputs}, x));
  SR_TRY(check_argument(mode, "weight_hr", w->weight_hr, 2, (int64_t[]){state, hidden}, x));
  SR_TRY(check_argument(mode, "bias_ih", w->bias_ih, 1, (int64_t[]){width}, x));
  SR_TRY(check_argument(mode, "bias_hh", w->bias_hh, 1, (int64_t[]){width}, x));
  if (!w->weight_hr == !first->weight_hr) return SR_OK;
  return sr__fail(SR_ARGUMENT, "%s: weight_hr is given for one direction only", mode);
}

static sr_status check_shapes(const char *mode, const sr_recurrent_layer *l, int64_t rows) {
  const sr_recurrent_weights *first = &l->weights[0];
  const sr_tensor *x = l->x;
  int64_t inputs = first->weight_ih->sizes[1], state = first->weight_hh->sizes[1];
  int64_t hidden = first->weight_hr ? first->weight_hr->sizes[1] : state;
  int64_t directions = directions_of(l), batch = batch_of(l);
  if (is_padded(l))
    SR_TRY(check_argument(mode, "x", x, 3, (int64_t[]){x->sizes[0], batch, inputs}, x));
  else
    SR_TRY(check_argument(mode, "x", x, 2, (int64_t[]){rows, inputs}, x));
  for (int k = 0; k < directions; k++) SR_TRY(check_weights(mode, l, k));
  SR_TRY(check_argument(mode, "h0", l->h0, 3, (int64_t[]){directions, batch, state}, x));
  return check_argument(mode, "c0", l->c0, 3, (int64_t[]){directions, batch, hidden}, x);
}

static sr_status check_layer(const sr_recurrent_layer *l, bool cells, int64_t *rows) {
  if ((unsigned)l->mode >= SR_RECURRENT_MODES)
    return sr__fail(SR_ARGUMENT, "recurrent: no mode %d", (int)l->mode);
  const sr_recurrent_mode_info *info = &sr__recurrent_modes[l->mode];
  if (!sr__floating(l->x))
    return sr__fail(SR_DTYPE, "%s: a floating x is needed, got %s", info->title, SR_DTYPE_OF(l->x));
  if ((l->c0 || cells) && info->states < 2)
    return sr__fail(SR_ARGUMENT, "%s: has no cell state, but %s", info->title,
                    l->c0 ? "c0 was given" : "cells are asked for");
  for (int k = 0; k < directions_of(l); k++) {
    SR_TRY(check_matrix(info->title, "weight_ih", l->weights[k].weight_ih));
    SR_TRY(check_matrix(info->title, "weight_hh", l->weights[k].weight_hh));
    if (!l->weights[k].weight_hr) continue;
    SR_TRY(check_matrix(info->title, "weight_hr", l->weights[k].weight_hr));
    if (info->states < 2)
      return sr__fail(SR_ARGUMENT, "%s: has no projection, but weight_hr was given", info->title);
  }
  SR_TRY((is_padded(l) ? check_padded : check_packed)(info->title, l, rows));
  return check_shapes(info->title, l, *rows);
}

/* ---- the shape as node parameters --------------------------------------------------------- */

enum { FEW_STEPS = 64 };

/* Room for the shape of a short sequence; longer ones are allocated. */
typedef struct {
  sr_recurrent_shape *shape;
  size_t bytes;
  bool allocated;
  _Alignas(
      sr_recurrent_shape) char few[sizeof(sr_recurrent_shape) + 2 * FEW_STEPS * sizeof(int64_t)];
} shape_room;

static sr_status open_shape(shape_room *room, const sr_recurrent_layer *l, bool cells,
                            int64_t rows) {
  int64_t steps = steps_of(l), offset = 0;
  room->bytes = sizeof(sr_recurrent_shape) + 2 * (size_t)steps * sizeof(int64_t);
  room->allocated = steps > FEW_STEPS;
  room->shape = (sr_recurrent_shape *)room->few;
  if (room->allocated) SR_TRY(sr__new(room->bytes, (void **)&room->shape));
  sr_recurrent_shape *s = room->shape;
  memset(s, 0, sizeof *s);
  const sr_recurrent_weights *w = &l->weights[0];
  s->mode = l->mode;
  s->reverse = l->reverse;
  s->cells = cells;
  s->directions = directions_of(l);
  s->steps = steps;
  s->rows = rows;
  s->batch = batch_of(l);
  s->constant = steps > 0 && rows == steps * s->batch;
  s->state = w->weight_hh->sizes[1];
  s->hidden = w->weight_hr ? w->weight_hr->sizes[1] : s->state;
  s->inputs = w->weight_ih->sizes[1];
  for (int64_t t = 0; t < steps; t++) {
    s->numbers[t] = batch_at(l, t);
    s->numbers[steps + t] = offset;
    offset += batch_at(l, t);
  }
  return SR_OK;
}

static void close_shape(shape_room *room) {
  if (room->allocated) sr__free(room->shape, room->bytes);
}

/* ---- forward ------------------------------------------------------------------------- */

/* Inputs as the kernels take them, and results: references of our own. */
typedef struct {
  const sr_recurrent_shape *shape;
  const sr_recurrent_mode_info *mode;
  sr_tensor *x, *h0, *c0;
  sr_tensor *weights[2][WEIGHTS], *gates[2];
  sr_tensor *cells, *raw;
  sr_tensor *results[OUTPUTS]; /* cells only where asked for */
} layer_work;

static void release_all(int n, sr_tensor *const *tensors) {
  for (int i = 0; i < n; i++) sr_tensor_release(tensors[i]);
}

static void release(layer_work *w) {
  release_all(7, (sr_tensor *[]){w->x, w->h0, w->c0, w->gates[0], w->gates[1], w->cells, w->raw});
  for (int k = 0; k < w->shape->directions; k++) release_all(WEIGHTS, w->weights[k]);
  release_all(OUTPUTS, w->results);
}

static sr_status dense(sr_tensor *t, sr_tensor **out) { return t ? sr__dense(t, out) : SR_OK; }

/* Rows of x may lie apart, but each must be dense. */
static sr_status dense_rows(sr_tensor *x, sr_tensor **out) {
  if (x->ndim == 3) return sr__dense(x, out);
  bool even = (x->sizes[1] == 1 || sr__strides(x)[1] == 1) && sr__strides(x)[0] >= x->sizes[1];
  if (!even) return sr__dense(x, out);
  *out = sr_tensor_retain(x);
  return SR_OK;
}

/* The parameters of a direction as a list. */
static void list_weights(const sr_recurrent_weights *w, sr_tensor *list[WEIGHTS]) {
  list[WEIGHT_IH] = w->weight_ih;
  list[WEIGHT_HH] = w->weight_hh;
  list[BIAS_IH] = w->bias_ih;
  list[BIAS_HH] = w->bias_hh;
  list[WEIGHT_HR] = w->weight_hr;
}

static sr_status take_inputs(layer_work *w, const sr_recurrent_layer *l) {
  SR_TRY(dense_rows(l->x, &w->x));
  SR_TRY(dense(l->h0, &w->h0));
  SR_TRY(dense(l->c0, &w->c0));
  for (int k = 0; k < w->shape->directions; k++) {
    sr_tensor *list[WEIGHTS];
    list_weights(&l->weights[k], list);
    for (int i = 0; i < WEIGHTS; i++) SR_TRY(dense(list[i], &w->weights[k][i]));
  }
  return SR_OK;
}

static sr_status new_tensor(const layer_work *w, int ndim, const int64_t *sizes, sr_tensor **out) {
  return sr__empty(sr__backend_of(w->x), (sr_dtype)w->x->dtype, ndim, sizes, out);
}

/* Numbers of each step as the user gets them: (N, columns), or (T, B, columns) for x (T, B, I). */
static sr_status new_steps(const layer_work *w, int64_t columns, sr_tensor **out) {
  const sr_recurrent_shape *s = w->shape;
  columns *= s->directions;
  if (w->x->ndim == 2) return new_tensor(w, 2, (int64_t[]){s->rows, columns}, out);
  return new_tensor(w, 3, (int64_t[]){s->steps, s->batch, columns}, out);
}

static sr_status make_results(layer_work *w) {
  const sr_recurrent_shape *s = w->shape;
  int64_t width = w->mode->gates * s->hidden, directions = s->directions;
  for (int k = 0; k < directions; k++)
    SR_TRY(new_tensor(w, 2, (int64_t[]){s->rows, width}, &w->gates[k]));
  SR_TRY(new_steps(w, s->state, &w->results[OUT_OUTPUT]));
  SR_TRY(new_tensor(w, 3, (int64_t[]){directions, s->batch, s->state}, &w->results[OUT_HN]));
  if (w->mode->states > 1)
    SR_TRY(new_tensor(w, 3, (int64_t[]){directions, s->batch, s->hidden}, &w->results[OUT_CN]));
  if (w->mode->keeps_cells) SR_TRY(new_steps(w, s->hidden, &w->cells));
  if (s->cells) w->results[OUT_CELLS] = sr_tensor_retain(w->cells);
  return w->weights[0][WEIGHT_HR] ? new_steps(w, s->hidden, &w->raw) : SR_OK;
}

static sr_memo *memo_of(const sr_tensor *t) { return t ? &t->storage->memo : NULL; }

/* gates = x W_ih^T + b_ih */
static sr_status input_products(const layer_work *w, int k) {
  const sr_recurrent_shape *s = w->shape;
  sr_tensor *const *weights = w->weights[k];
  sr_affine affine = {.dtype = (sr_dtype)w->x->dtype,
                      .m = s->rows,
                      .n = w->mode->gates * s->hidden,
                      .k = s->inputs,
                      .x_row = sr__row_stride(w->x),
                      .x = sr__data(w->x),
                      .weight = sr__data(weights[WEIGHT_IH]),
                      .bias = sr__part(weights[BIAS_IH], 0),
                      .y = sr__data(w->gates[k]),
                      .memo = memo_of(weights[WEIGHT_IH])};
  return sr__backend_of(w->x)->affine(&affine);
}

static sr_recurrent_plan plan_of(const layer_work *w, int k) {
  const sr_recurrent_shape *s = w->shape;
  sr_tensor *const *weights = w->weights[k];
  sr_recurrent_plan plan = sr__plan(s, k, (sr_dtype)w->x->dtype);
  plan.weight_hh = sr__data(weights[WEIGHT_HH]);
  plan.weight_hr = sr__part(weights[WEIGHT_HR], 0);
  plan.memo_hh = memo_of(weights[WEIGHT_HH]);
  plan.memo_hr = memo_of(weights[WEIGHT_HR]);
  plan.bias_hh = sr__part(weights[BIAS_HH], 0);
  plan.h0 = sr__part(w->h0, k * s->batch * s->state);
  plan.c0 = sr__part(w->c0, k * s->batch * s->hidden);
  plan.gates = sr__data(w->gates[k]);
  plan.output = sr__part(w->results[OUT_OUTPUT], k * s->state);
  plan.hn = sr__part(w->results[OUT_HN], k * s->batch * s->state);
  plan.cn = sr__part(w->results[OUT_CN], k * s->batch * s->hidden);
  plan.cells = sr__part(w->cells, k * s->hidden);
  plan.raw = sr__part(w->raw, k * s->hidden);
  return plan;
}

static sr_status run_steps(const layer_work *w) {
  sr_recurrent_plan plans[2];
  for (int k = 0; k < w->shape->directions; k++) {
    SR_TRY(input_products(w, k));
    plans[k] = plan_of(w, k);
  }
  return sr__backend_of(w->x)->recurrent(w->shape->directions, plans);
}

/* ---- recording ---------------------------------------------------------------------------- */

static const sr_op recurrent_ops[SR_RECURRENT_MODES] = {
#define X(mode, gates, states) [SR_##mode] = {#mode, sr__recurrent_backward},
    SR_RECURRENT_LIST(X)
#undef X
};

static sr_status record(const layer_work *w, const sr_recurrent_layer *l, size_t shape_bytes) {
  sr_tensor *inputs[INPUTS] = {[IN_X] = l->x, [IN_H0] = l->h0, [IN_C0] = l->c0};
  sr_tensor *kept[KEPT_TENSORS] = {[KEPT_H0] = w->h0,
                                   [KEPT_C0] = w->c0,
                                   [KEPT_OUTPUT] = w->results[OUT_OUTPUT],
                                   [KEPT_CELLS] = w->cells,
                                   [KEPT_RAW] = w->raw};
  int directions = w->shape->directions;
  for (int k = 0; k < directions; k++) {
    list_weights(&l->weights[k], inputs + IN_WEIGHTS + k * WEIGHTS);
    sr_tensor **own = kept + KEPT_OF_DIRECTION + k * KEPT_EACH;
    if (sr_requires_grad(l->weights[k].weight_ih)) kept[KEPT_X] = w->x;
    own[KEPT_WEIGHT_IH] = sr_requires_grad(l->x) ? w->weights[k][WEIGHT_IH] : NULL;
    own[KEPT_WEIGHT_HH] = w->weights[k][WEIGHT_HH];
    own[KEPT_WEIGHT_HR] = w->weights[k][WEIGHT_HR];
    own[KEPT_GATES] = w->mode->keeps_gates ? w->gates[k] : NULL;
  }
  int outputs = w->results[OUT_CELLS] ? 4 : w->results[OUT_CN] ? 3 : 2;
  return sr__record(&recurrent_ops[l->mode], outputs, w->results, IN_WEIGHTS + directions * WEIGHTS,
                    inputs, KEPT_OF_DIRECTION + directions * KEPT_EACH, kept, w->shape,
                    shape_bytes);
}

static sr_status run(layer_work *w, const sr_recurrent_layer *l, size_t shape_bytes) {
  SR_TRY(take_inputs(w, l));
  SR_TRY(make_results(w));
  SR_TRY(run_steps(w));
  return record(w, l, shape_bytes);
}

sr_status sr_recurrent(const sr_recurrent_layer *layer, sr_tensor **output, sr_tensor **hn,
                       sr_tensor **cn, sr_tensor **cells) {
  int64_t rows = 0;
  shape_room room;
  SR_TRY(check_layer(layer, cells != NULL, &rows));
  SR_TRY(open_shape(&room, layer, cells != NULL, rows));
  layer_work w = {.shape = room.shape, .mode = &sr__recurrent_modes[layer->mode]};
  sr_status status = run(&w, layer, room.bytes);
  if (!status) {
    sr_tensor **out[OUTPUTS] = {output, hn, cn, cells};
    for (int i = 0; i < OUTPUTS; i++)
      if (out[i] && w.results[i]) *out[i] = sr_tensor_retain(w.results[i]);
  }
  release(&w);
  close_shape(&room);
  return status;
}
