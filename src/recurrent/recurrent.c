/* recurrent.c: one recurrent layer in one direction over a packed sequence, as one
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

static sr_status check_steps(const char *mode, const sr_recurrent_layer *l, int64_t *rows) {
  *rows = 0;
  if (is_padded(l) && l->x->ndim != 3)
    return sr__fail(SR_SHAPE, "%s: expected x (steps, batch, inputs) or batch sizes, got %s", mode,
                    SR_SHAPE_OF(l->x));
  if (steps_of(l) < 1)
    return sr__fail(SR_SHAPE, "%s: a sequence has at least 1 step, got %lld", mode,
                    (long long)steps_of(l));
  if (is_padded(l) && l->x->sizes[1] > 0) {
    *rows = l->x->sizes[0] * l->x->sizes[1]; /* sizes of one tensor: no overflow */
    return SR_OK;
  }
  for (int64_t t = 0; t < steps_of(l); t++) {
    int64_t size = batch_at(l, t);
    if (size < 1 || (t && size > batch_at(l, t - 1)) || !sr__add(rows, size))
      return sr__fail(SR_SHAPE,
                      "%s: batch sizes must be positive and not grow, got %lld at step %lld", mode,
                      (long long)size, (long long)t + 1);
  }
  return SR_OK;
}

static sr_status check_shapes(const char *mode, const sr_recurrent_layer *l, int64_t rows) {
  int64_t gates = sr__recurrent_modes[l->mode].gates, hidden = l->weight_hh->sizes[1];
  int64_t inputs = l->weight_ih->sizes[1], batch = batch_at(l, 0);
  const sr_tensor *x = l->x;
  if (is_padded(l))
    SR_TRY(check_argument(mode, "x", x, 3, (int64_t[]){x->sizes[0], batch, inputs}, x));
  else
    SR_TRY(check_argument(mode, "x", x, 2, (int64_t[]){rows, inputs}, x));
  SR_TRY(
      check_argument(mode, "weight_hh", l->weight_hh, 2, (int64_t[]){gates * hidden, hidden}, x));
  SR_TRY(
      check_argument(mode, "weight_ih", l->weight_ih, 2, (int64_t[]){gates * hidden, inputs}, x));
  SR_TRY(check_argument(mode, "bias_ih", l->bias_ih, 1, (int64_t[]){gates * hidden}, x));
  SR_TRY(check_argument(mode, "bias_hh", l->bias_hh, 1, (int64_t[]){gates * hidden}, x));
  SR_TRY(check_argument(mode, "h0", l->h0, 2, (int64_t[]){batch, hidden}, x));
  return check_argument(mode, "c0", l->c0, 2, (int64_t[]){batch, hidden}, x);
}

static sr_status check_layer(const sr_recurrent_layer *l, int64_t *rows) {
  if ((unsigned)l->mode >= SR_RECURRENT_MODES)
    return sr__fail(SR_ARGUMENT, "recurrent: no mode %d", (int)l->mode);
  const sr_recurrent_mode_info *info = &sr__recurrent_modes[l->mode];
  if (!sr__floating(l->x))
    return sr__fail(SR_DTYPE, "%s: a floating x is needed, got %s", info->name, SR_DTYPE_OF(l->x));
  if (l->c0 && info->states < 2)
    return sr__fail(SR_ARGUMENT, "%s: has no cell state, but c0 was given", info->name);
  SR_TRY(check_matrix(info->name, "weight_ih", l->weight_ih));
  SR_TRY(check_matrix(info->name, "weight_hh", l->weight_hh));
  SR_TRY(check_steps(info->name, l, rows));
  return check_shapes(info->name, l, *rows);
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

static sr_status open_shape(shape_room *room, const sr_recurrent_layer *l, int64_t rows) {
  int64_t steps = steps_of(l), offset = 0;
  room->bytes = sizeof(sr_recurrent_shape) + 2 * (size_t)steps * sizeof(int64_t);
  room->allocated = steps > FEW_STEPS;
  room->shape = (sr_recurrent_shape *)room->few;
  if (room->allocated) SR_TRY(sr__new(room->bytes, (void **)&room->shape));
  sr_recurrent_shape *s = room->shape;
  memset(s, 0, sizeof *s);
  s->mode = l->mode;
  s->reverse = l->reverse;
  s->constant = batch_at(l, 0) == batch_at(l, steps - 1);
  s->steps = steps;
  s->rows = rows;
  s->batch = batch_at(l, 0);
  s->hidden = l->weight_hh->sizes[1];
  s->inputs = l->weight_ih->sizes[1];
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
  sr_tensor *x, *weight_ih, *weight_hh, *bias_ih, *bias_hh, *h0, *c0;
  sr_tensor *gates, *cells, *output, *hn, *cn;
} layer_work;

static void release(layer_work *w) {
  sr_tensor *all[] = {w->x,  w->weight_ih, w->weight_hh, w->bias_ih, w->bias_hh, w->h0,
                      w->c0, w->gates,     w->cells,     w->output,  w->hn,      w->cn};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
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

static sr_status take_inputs(layer_work *w, const sr_recurrent_layer *l) {
  SR_TRY(dense_rows(l->x, &w->x));
  SR_TRY(dense(l->weight_ih, &w->weight_ih));
  SR_TRY(dense(l->weight_hh, &w->weight_hh));
  SR_TRY(dense(l->bias_ih, &w->bias_ih));
  SR_TRY(dense(l->bias_hh, &w->bias_hh));
  SR_TRY(dense(l->h0, &w->h0));
  return dense(l->c0, &w->c0);
}

static sr_status new_rows(const layer_work *w, int64_t rows, int64_t columns, sr_tensor **out) {
  return sr__empty(sr__backend_of(w->x), (sr_dtype)w->x->dtype, 2, (int64_t[]){rows, columns}, out);
}

/* Rows as the user gets them: (rows, H), or (rows / B, B, H) for x (T, B, I). */
static sr_status new_result(const layer_work *w, int64_t rows, sr_tensor **out) {
  const sr_recurrent_shape *s = w->shape;
  if (w->x->ndim == 2) return new_rows(w, rows, s->hidden, out);
  return sr__empty(sr__backend_of(w->x), (sr_dtype)w->x->dtype, 3,
                   (int64_t[]){rows / s->batch, s->batch, s->hidden}, out);
}

static sr_status make_results(layer_work *w) {
  const sr_recurrent_shape *s = w->shape;
  SR_TRY(new_rows(w, s->rows, w->mode->gates * s->hidden, &w->gates));
  SR_TRY(new_result(w, s->rows, &w->output));
  SR_TRY(new_result(w, s->batch, &w->hn));
  if (w->mode->states > 1) SR_TRY(new_result(w, s->batch, &w->cn));
  if (w->mode->keeps_cells) SR_TRY(new_rows(w, s->rows, s->hidden, &w->cells));
  return SR_OK;
}

static void *data_of(const sr_tensor *t) { return t ? sr__data(t) : NULL; }

/* gates = x W_ih^T + b_ih */
static sr_status input_products(const layer_work *w) {
  const sr_recurrent_shape *s = w->shape;
  sr_affine affine = {.dtype = (sr_dtype)w->x->dtype,
                      .m = s->rows,
                      .n = w->mode->gates * s->hidden,
                      .k = s->inputs,
                      .x_row = sr__row_stride(w->x),
                      .x = sr__data(w->x),
                      .weight = sr__data(w->weight_ih),
                      .bias = data_of(w->bias_ih),
                      .y = sr__data(w->gates),
                      .memo = &w->weight_ih->storage->memo};
  return sr__backend_of(w->x)->affine(&affine);
}

static sr_status run_steps(const layer_work *w) {
  const sr_recurrent_shape *s = w->shape;
  sr_recurrent_plan plan = {.mode = s->mode,
                            .dtype = (sr_dtype)w->x->dtype,
                            .reverse = s->reverse,
                            .steps = s->steps,
                            .rows = s->rows,
                            .batch = s->batch,
                            .hidden = s->hidden,
                            .batch_sizes = sr__batch_sizes(s),
                            .offset = sr__offsets(s),
                            .weight_hh = sr__data(w->weight_hh),
                            .memo = &w->weight_hh->storage->memo,
                            .bias_hh = data_of(w->bias_hh),
                            .h0 = data_of(w->h0),
                            .c0 = data_of(w->c0),
                            .gates = sr__data(w->gates),
                            .output = sr__data(w->output),
                            .hn = sr__data(w->hn),
                            .cells = data_of(w->cells),
                            .cn = data_of(w->cn)};
  return sr__backend_of(w->x)->recurrent(&plan);
}

/* ---- recording ---------------------------------------------------------------------------- */

static const sr_op recurrent_ops[SR_RECURRENT_MODES] = {
#define X(mode, gates, states) [SR_##mode] = {#mode, sr__recurrent_backward},
    SR_RECURRENT_LIST(X)
#undef X
};

static sr_status record(const layer_work *w, const sr_recurrent_layer *l, size_t shape_bytes) {
  sr_tensor *inputs[INPUTS] = {[IN_X] = l->x,
                               [IN_WEIGHT_IH] = l->weight_ih,
                               [IN_WEIGHT_HH] = l->weight_hh,
                               [IN_BIAS_IH] = l->bias_ih,
                               [IN_BIAS_HH] = l->bias_hh,
                               [IN_H0] = l->h0,
                               [IN_C0] = l->c0};
  sr_tensor *kept[KEPT_TENSORS] = {[KEPT_X] = sr_requires_grad(l->weight_ih) ? w->x : NULL,
                                   [KEPT_WEIGHT_IH] = sr_requires_grad(l->x) ? w->weight_ih : NULL,
                                   [KEPT_WEIGHT_HH] = w->weight_hh,
                                   [KEPT_OUTPUT] = w->output,
                                   [KEPT_H0] = w->h0,
                                   [KEPT_C0] = w->c0,
                                   [KEPT_GATES] = w->mode->keeps_gates ? w->gates : NULL,
                                   [KEPT_CELLS] = w->cells};
  sr_tensor *outputs[] = {w->output, w->hn, w->cn};
  return sr__record(&recurrent_ops[l->mode], w->mode->states > 1 ? 3 : 2, outputs, INPUTS, inputs,
                    KEPT_TENSORS, kept, w->shape, shape_bytes);
}

static sr_status run(layer_work *w, const sr_recurrent_layer *l, size_t shape_bytes) {
  SR_TRY(take_inputs(w, l));
  SR_TRY(make_results(w));
  SR_TRY(input_products(w));
  SR_TRY(run_steps(w));
  return record(w, l, shape_bytes);
}

sr_status sr_recurrent(const sr_recurrent_layer *layer, sr_tensor **output, sr_tensor **hn,
                       sr_tensor **cn) {
  int64_t rows = 0;
  shape_room room;
  SR_TRY(check_layer(layer, &rows));
  SR_TRY(open_shape(&room, layer, rows));
  layer_work w = {.shape = room.shape, .mode = &sr__recurrent_modes[layer->mode]};
  sr_status status = run(&w, layer, room.bytes);
  if (!status) {
    *output = sr_tensor_retain(w.output);
    *hn = sr_tensor_retain(w.hn);
    if (w.cn && cn) *cn = sr_tensor_retain(w.cn);
  }
  release(&w);
  close_shape(&room);
  return status;
}
