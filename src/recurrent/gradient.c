/* gradient.c: the backward pass of a recurrent layer.
 *
 * The backend walks the steps back and gives the gradients of the gate sums, of the input
 * side (D) and of the hidden side (E; the same as D unless the mode splits them), and of what a
 * projection gave (S). With P the state h before each row and R the h before its projection:
 *   dW_ih += D^T x    db_ih = sum of D's rows    dx = D W_ih
 *   dW_hh += E^T P    db_hh = sum of E's rows    dW_hr += S^T R
 * so each weight takes one product over all steps. */
#include <string.h>

#include "recurrent/recurrent.h"

/* What belongs to one direction. */
typedef struct {
  sr_tensor *const *kept;                      /* KEPT_EACH, borrowed */
  sr_tensor *gates, *hidden_gates, *projected; /* D, E and S */
} direction_work;

typedef struct {
  sr_node *node;
  const sr_recurrent_shape *shape;
  const sr_recurrent_mode_info *mode;
  const sr_backend *backend;
  sr_dtype dtype;
  int64_t width;                 /* gates x hidden */
  sr_tensor *kept[KEPT_TENSORS]; /* borrowed */
  sr_tensor *grad[OUTPUTS];      /* dense gradients of the outputs, or NULL */
  direction_work direction[2];
  sr_tensor *h0, *c0;
} gradient_work;

static void release(gradient_work *w) {
  for (int i = 0; i < OUTPUTS; i++) sr_tensor_release(w->grad[i]);
  for (int k = 0; k < 2; k++) {
    sr_tensor_release(w->direction[k].gates);
    sr_tensor_release(w->direction[k].hidden_gates);
    sr_tensor_release(w->direction[k].projected);
  }
  sr_tensor_release(w->h0);
  sr_tensor_release(w->c0);
}

static sr_status new_rows(const gradient_work *w, int64_t rows, int64_t columns, sr_tensor **out) {
  return sr__empty(w->backend, w->dtype, 2, (int64_t[]){rows, columns}, out);
}

static int weight_input(int k, int weight) { return IN_WEIGHTS + k * WEIGHTS + weight; }

/* ---- through the steps -------------------------------------------------------------------- */

static sr_status make_direction(const gradient_work *w, direction_work *d) {
  const sr_recurrent_shape *s = w->shape;
  SR_TRY(new_rows(w, s->rows, w->width, &d->gates));
  if (w->mode->splits_gates)
    SR_TRY(new_rows(w, s->rows, w->width, &d->hidden_gates));
  else
    d->hidden_gates = sr_tensor_retain(d->gates);
  return d->kept[KEPT_WEIGHT_HR] ? new_rows(w, s->rows, s->state, &d->projected) : SR_OK;
}

/* The gradient of an initial state of `columns` numbers, if it is asked for. */
static sr_status make_state(const gradient_work *w, int input, int64_t columns, sr_tensor **out) {
  const sr_recurrent_shape *s = w->shape;
  if (!sr__wants(w->node, input)) return SR_OK;
  return sr__empty(w->backend, w->dtype, 3, (int64_t[]){s->directions, s->batch, columns}, out);
}

static sr_status make_gradients(gradient_work *w, sr_tensor *const *grad) {
  const sr_recurrent_shape *s = w->shape;
  int outputs = s->cells ? OUTPUTS : 1 + w->mode->states;
  for (int i = 0; i < outputs; i++)
    if (grad[i]) SR_TRY(sr__dense(grad[i], &w->grad[i]));
  for (int k = 0; k < s->directions; k++) {
    w->direction[k].kept = w->kept + KEPT_OF_DIRECTION + k * KEPT_EACH;
    SR_TRY(make_direction(w, &w->direction[k]));
  }
  SR_TRY(make_state(w, IN_H0, s->state, &w->h0));
  return make_state(w, IN_C0, s->hidden, &w->c0);
}

static sr_recurrent_plan plan_of(const gradient_work *w, int k) {
  const sr_recurrent_shape *s = w->shape;
  const direction_work *d = &w->direction[k];
  int64_t h = k * s->batch * s->state, c = k * s->batch * s->hidden; /* states of direction k */
  sr_recurrent_plan plan = sr__plan(s, k, w->dtype);
  plan.weight_hh = sr__data(d->kept[KEPT_WEIGHT_HH]);
  plan.memo_hh = &d->kept[KEPT_WEIGHT_HH]->storage->memo;
  plan.weight_hr = sr__part(d->kept[KEPT_WEIGHT_HR], 0);
  plan.h0 = sr__part(w->kept[KEPT_H0], h);
  plan.c0 = sr__part(w->kept[KEPT_C0], c);
  plan.gates = sr__part(d->kept[KEPT_GATES], 0);
  plan.output = sr__part(w->kept[KEPT_OUTPUT], k * s->state);
  plan.cells = sr__part(w->kept[KEPT_CELLS], k * s->hidden);
  plan.grad_output = sr__part(w->grad[OUT_OUTPUT], k * s->state);
  plan.grad_hn = sr__part(w->grad[OUT_HN], h);
  plan.grad_cn = sr__part(w->grad[OUT_CN], c);
  plan.grad_cells = sr__part(w->grad[OUT_CELLS], k * s->hidden);
  plan.grad_gates = sr__data(d->gates);
  plan.grad_hidden_gates = w->mode->splits_gates ? sr__data(d->hidden_gates) : NULL;
  plan.grad_projected = sr__part(d->projected, 0);
  plan.grad_h0 = sr__part(w->h0, h);
  plan.grad_c0 = sr__part(w->c0, c);
  return plan;
}

static sr_status run_steps(const gradient_work *w) {
  sr_recurrent_plan plans[2];
  for (int k = 0; k < w->shape->directions; k++) plans[k] = plan_of(w, k);
  return w->backend->recurrent_grad(w->shape->directions, plans);
}

/* ---- weights ------------------------------------------------------------------------------ */

/* Rows of a matrix in memory, `stride` elements apart, from element `first` on. */
typedef struct {
  const sr_tensor *tensor;
  int64_t first, stride;
} matrix_rows;

/* buffer (m, n) = D^T R + beta buffer over `count` rows of D (m columns) and R (n columns) */
static sr_status add_product(const gradient_work *w, sr_tensor *buffer, matrix_rows d,
                             matrix_rows r, int64_t count, double beta) {
  sr_gemm gemm = {.dtype = w->dtype,
                  .m = buffer->sizes[0],
                  .n = buffer->sizes[1],
                  .k = count,
                  .a_row = 1,
                  .a_column = d.stride,
                  .b_row = r.stride,
                  .b_column = 1,
                  .c_row = buffer->sizes[1],
                  .c_column = 1,
                  .alpha = 1,
                  .beta = beta,
                  .a = sr__part(d.tensor, d.first),
                  .b = sr__part(r.tensor, r.first),
                  .c = sr__data(buffer),
                  .batch = 1};
  return w->backend->gemm(&gemm);
}

static sr_status give_weight_ih(gradient_work *w, int k) {
  sr_tensor *x = w->kept[KEPT_X], *buffer;
  bool fresh;
  if (!x || !sr__wants(w->node, weight_input(k, WEIGHT_IH))) return SR_OK;
  SR_TRY(sr__grad_buffer(w->node, weight_input(k, WEIGHT_IH), &buffer, &fresh));
  return add_product(w, buffer, (matrix_rows){w->direction[k].gates, 0, w->width},
                     (matrix_rows){x, 0, sr__row_stride(x)}, w->shape->rows, fresh ? 0 : 1);
}

static sr_status give_weight_hr(gradient_work *w, int k) {
  const sr_recurrent_shape *s = w->shape;
  sr_tensor *buffer;
  bool fresh;
  if (!sr__wants(w->node, weight_input(k, WEIGHT_HR))) return SR_OK;
  SR_TRY(sr__grad_buffer(w->node, weight_input(k, WEIGHT_HR), &buffer, &fresh));
  return add_product(w, buffer, (matrix_rows){w->direction[k].projected, 0, s->state},
                     (matrix_rows){w->kept[KEPT_RAW], k * s->hidden, s->directions * s->hidden},
                     s->rows, fresh ? 0 : 1);
}

/* The batch is the same at all steps: the states before are the output rows moved by
 * one step, and h0 for the step that is walked first. */
static sr_status add_shifted(gradient_work *w, int k, sr_tensor *buffer, double beta) {
  const sr_recurrent_shape *s = w->shape;
  const sr_tensor *gates = w->direction[k].hidden_gates, *h0 = w->kept[KEPT_H0];
  int64_t moved = s->rows - s->batch, row = s->directions * s->state;
  bool reverse = sr__walks_back(s, k);
  int64_t later = reverse ? 0 : s->batch, earlier = reverse ? s->batch : 0;
  if (moved || !h0) {
    SR_TRY(add_product(w, buffer, (matrix_rows){gates, later * w->width, w->width},
                       (matrix_rows){w->kept[KEPT_OUTPUT], earlier * row + k * s->state, row},
                       moved, beta));
    beta = 1;
  }
  if (!h0) return SR_OK;
  return add_product(w, buffer, (matrix_rows){gates, (reverse ? moved : 0) * w->width, w->width},
                     (matrix_rows){h0, k * s->batch * s->state, s->state}, s->batch, beta);
}

/* ---- weight_hh of a ragged batch ---------------------------------------------------------- */

/* Positions from 1, on the host: for each row that of the output row before it, 0 where the
 * sequence begins; and for each sequence that of the row it begins at, 0 where it has none. */
static void find_rows(const sr_recurrent_shape *s, bool reverse, int64_t *before, int64_t *begins) {
  const int64_t *sizes = sr__batch_sizes(s), *offset = sr__offsets(s);
  memset(begins, 0, (size_t)s->batch * sizeof *begins);
  for (int64_t t = 0; t < s->steps; t++) {
    int64_t other = reverse ? t + 1 : t - 1;
    int64_t carried = other < 0 || other == s->steps ? 0 : sizes[other];
    for (int64_t i = 0; i < sizes[t]; i++) {
      before[offset[t] + i] = i < carried ? offset[other] + i + 1 : 0;
      if (i >= carried) begins[i] = offset[t] + i + 1;
    }
  }
}

/* Both lists as one tensor on the device: (rows + batch). */
static sr_status row_positions(const gradient_work *w, int direction, sr_tensor **out) {
  const sr_recurrent_shape *s = w->shape;
  const int64_t count = s->rows + s->batch;
  sr_tensor *host;
  SR_TRY(sr__empty(&sr__cpu_backend, SR_int64, 1, &count, &host));
  int64_t *positions = sr__data(host);
  find_rows(s, sr__walks_back(s, direction), positions, positions + s->rows);
  sr_status status = sr__moved(host, SR_int64, w->backend->device, out);
  sr_tensor_release(host);
  return status;
}

/* Rows `index` (count of them, from 1; 0 for zeros) of dense x with `columns` columns, as a new
 * tensor. */
static sr_status take_rows(const gradient_work *w, const sr_tensor *x, int64_t columns,
                           const int64_t *index, int64_t count, sr_tensor **out) {
  sr_tensor *taken;
  SR_TRY(new_rows(w, count, columns, &taken));
  int64_t found;
  sr_take take = {.dtype = w->dtype,
                  .rows = {1, w->shape->rows, columns},
                  .count = count,
                  .index = index,
                  .x = sr__data(x),
                  .out = sr__data(taken),
                  .zero_id = 0};
  sr_status status = w->backend->take(&take, &found);
  if (status) {
    sr_tensor_release(taken);
    return status;
  }
  *out = taken;
  return SR_OK;
}

static sr_status add_ragged(gradient_work *w, int k, sr_tensor *buffer, double beta) {
  const sr_recurrent_shape *s = w->shape;
  const sr_tensor *gates = w->direction[k].hidden_gates, *h0 = w->kept[KEPT_H0];
  int64_t row = s->directions * s->state;
  sr_tensor *positions = NULL, *before = NULL, *first = NULL;
  sr_status status = SR_OK;
  SR_TRY_GOTO(row_positions(w, k, &positions), done);
  const int64_t *index = sr__data(positions);
  SR_TRY_GOTO(take_rows(w, w->kept[KEPT_OUTPUT], row, index, s->rows, &before), done);
  SR_TRY_GOTO(add_product(w, buffer, (matrix_rows){gates, 0, w->width},
                          (matrix_rows){before, k * s->state, row}, s->rows, beta),
              done);
  if (!h0) goto done;
  SR_TRY_GOTO(take_rows(w, gates, w->width, index + s->rows, s->batch, &first), done);
  status = add_product(w, buffer, (matrix_rows){first, 0, w->width},
                       (matrix_rows){h0, k * s->batch * s->state, s->state}, s->batch, 1);
done:
  sr_tensor_release(first);
  sr_tensor_release(before);
  sr_tensor_release(positions);
  return status;
}

static sr_status give_weight_hh(gradient_work *w, int k) {
  sr_tensor *buffer;
  bool fresh;
  if (!sr__wants(w->node, weight_input(k, WEIGHT_HH))) return SR_OK;
  SR_TRY(sr__grad_buffer(w->node, weight_input(k, WEIGHT_HH), &buffer, &fresh));
  double beta = fresh ? 0 : 1;
  return w->shape->constant ? add_shifted(w, k, buffer, beta) : add_ragged(w, k, buffer, beta);
}

/* ---- biases and x -------------------------------------------------------------------- */

static sr_status give_biases(gradient_work *w, int k) {
  const direction_work *d = &w->direction[k];
  int bias_ih = weight_input(k, BIAS_IH), bias_hh = weight_input(k, BIAS_HH);
  bool ih = sr__wants(w->node, bias_ih), hh = sr__wants(w->node, bias_hh);
  bool same = ih && hh && !w->mode->splits_gates;
  sr_tensor *sum;
  if (ih) {
    SR_TRY(sr__sum_to(d->gates, 1, &w->width, &sum));
    if (same) {
      sr_status status = sr__give_shared(w->node, bias_hh, sum);
      if (status) {
        sr_tensor_release(sum);
        return status;
      }
    }
    SR_TRY(sr__give(w->node, bias_ih, sum));
  }
  if (!hh || same) return SR_OK;
  SR_TRY(sr__sum_to(d->hidden_gates, 1, &w->width, &sum));
  return sr__give(w->node, bias_hh, sum);
}

static sr_status give_x(gradient_work *w, int k) {
  const direction_work *d = &w->direction[k];
  sr_tensor *weight = d->kept[KEPT_WEIGHT_IH], *buffer;
  bool fresh;
  if (!weight || !sr__wants(w->node, IN_X)) return SR_OK;
  SR_TRY(sr__grad_buffer(w->node, IN_X, &buffer, &fresh));
  sr_gemm gemm = {.dtype = w->dtype,
                  .m = w->shape->rows,
                  .n = w->shape->inputs,
                  .k = w->width,
                  .a_row = w->width,
                  .a_column = 1,
                  .b_row = w->shape->inputs,
                  .b_column = 1,
                  .c_row = w->shape->inputs,
                  .c_column = 1,
                  .alpha = 1,
                  .beta = fresh ? 0 : 1,
                  .a = sr__data(d->gates),
                  .b = sr__data(weight),
                  .c = sr__data(buffer),
                  .batch = 1};
  return w->backend->gemm(&gemm);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static sr_status give_direction(gradient_work *w, int k) {
  SR_TRY(give_weight_ih(w, k));
  SR_TRY(give_weight_hh(w, k));
  SR_TRY(give_weight_hr(w, k));
  SR_TRY(give_biases(w, k));
  return give_x(w, k);
}

/* The node takes the gradient of an initial state over. */
static sr_status give_state(gradient_work *w, int input, sr_tensor **state) {
  sr_tensor *g = *state;
  *state = NULL;
  return sr__give(w->node, input, g);
}

static sr_status run(gradient_work *w, sr_tensor *const *grad) {
  const int directions = w->shape->directions, kept = KEPT_OF_DIRECTION + directions * KEPT_EACH;
  for (int i = 0; i < kept; i++) SR_TRY(sr__saved(w->node, i, &w->kept[i]));
  w->backend = sr__backend_of(w->kept[KEPT_OUTPUT]);
  w->dtype = (sr_dtype)w->kept[KEPT_OUTPUT]->dtype;
  SR_TRY(make_gradients(w, grad));
  SR_TRY(run_steps(w));
  for (int k = 0; k < directions; k++) SR_TRY(give_direction(w, k));
  SR_TRY(give_state(w, IN_H0, &w->h0));
  return give_state(w, IN_C0, &w->c0);
}

sr_status sr__recurrent_backward(sr_node *node, sr_tensor *const *grad) {
  const sr_recurrent_shape *shape = sr__parameters(node);
  const sr_recurrent_mode_info *mode = &sr__recurrent_modes[shape->mode];
  gradient_work w = {
      .node = node, .shape = shape, .mode = mode, .width = mode->gates * shape->hidden};
  sr_status status = run(&w, grad);
  release(&w);
  return status;
}
