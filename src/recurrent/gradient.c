/* gradient.c: the backward pass of a recurrent layer.
 *
 * The backend walks the steps back and gives the gradients of the gate sums, of the input
 * side (D) and of the hidden side (E; the same as D unless the mode splits them). With P the
 * hidden state before each row:
 *   dW_ih += D^T x    db_ih = sum of D's rows    dx = D W_ih
 *   dW_hh += E^T P    db_hh = sum of E's rows
 * so each weight takes one product over all steps. */
#include "recurrent/recurrent.h"

typedef struct {
  sr_node *node;
  const sr_recurrent_shape *shape;
  const sr_recurrent_mode_info *mode;
  const sr_backend *backend;
  sr_dtype dtype;
  int64_t width;                   /* gates x hidden */
  sr_tensor *kept[KEPT_TENSORS];   /* borrowed */
  sr_tensor *grad[3];              /* dense gradients of the outputs, or NULL */
  sr_tensor *gates, *hidden_gates; /* D and E */
  sr_tensor *h0, *c0;
} gradient_work;

static void release(gradient_work *w) {
  sr_tensor *all[] = {w->grad[0], w->grad[1], w->grad[2], w->gates, w->hidden_gates, w->h0, w->c0};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sr_tensor_release(all[i]);
}

static void *data_of(const sr_tensor *t) { return t ? sr__data(t) : NULL; }

static sr_status new_rows(const gradient_work *w, int64_t rows, int64_t columns, sr_tensor **out) {
  return sr__empty(w->backend, w->dtype, 2, (int64_t[]){rows, columns}, out);
}

/* ---- through the steps -------------------------------------------------------------------- */

static sr_status make_gradients(gradient_work *w, sr_tensor *const *grad) {
  const sr_recurrent_shape *s = w->shape;
  for (int i = 0; i < 1 + w->mode->states; i++)
    if (grad[i]) SR_TRY(sr__dense(grad[i], &w->grad[i]));
  SR_TRY(new_rows(w, s->rows, w->width, &w->gates));
  if (w->mode->splits_gates)
    SR_TRY(new_rows(w, s->rows, w->width, &w->hidden_gates));
  else
    w->hidden_gates = sr_tensor_retain(w->gates);
  if (sr__wants(w->node, IN_H0)) SR_TRY(new_rows(w, s->batch, s->hidden, &w->h0));
  if (sr__wants(w->node, IN_C0)) SR_TRY(new_rows(w, s->batch, s->hidden, &w->c0));
  return SR_OK;
}

static sr_status run_steps(const gradient_work *w) {
  const sr_recurrent_shape *s = w->shape;
  sr_recurrent_plan plan = {
      .mode = s->mode,
      .dtype = w->dtype,
      .reverse = s->reverse,
      .steps = s->steps,
      .rows = s->rows,
      .batch = s->batch,
      .hidden = s->hidden,
      .batch_sizes = sr__batch_sizes(s),
      .offset = sr__offsets(s),
      .weight_hh = sr__data(w->kept[KEPT_WEIGHT_HH]),
      .memo = &w->kept[KEPT_WEIGHT_HH]->storage->memo,
      .h0 = data_of(w->kept[KEPT_H0]),
      .c0 = data_of(w->kept[KEPT_C0]),
      .gates = data_of(w->kept[KEPT_GATES]),
      .output = sr__data(w->kept[KEPT_OUTPUT]),
      .cells = data_of(w->kept[KEPT_CELLS]),
      .grad_output = data_of(w->grad[0]),
      .grad_hn = data_of(w->grad[1]),
      .grad_cn = data_of(w->grad[2]),
      .grad_gates = sr__data(w->gates),
      .grad_hidden_gates = w->mode->splits_gates ? sr__data(w->hidden_gates) : NULL,
      .grad_h0 = data_of(w->h0),
      .grad_c0 = data_of(w->c0)};
  return w->backend->recurrent_grad(&plan);
}

/* ---- weights ------------------------------------------------------------------------------ */

/* Rows of a matrix in memory, `stride` elements apart. */
typedef struct {
  const sr_tensor *tensor;
  int64_t first, stride;
} matrix_rows;

static const void *address(const gradient_work *w, matrix_rows r) {
  return (const char *)sr__data(r.tensor) +
         r.first * r.stride * (int64_t)sr__element_bytes(w->dtype);
}

/* buffer (width, columns) = D^T R + beta buffer over `count` rows of D and R */
static sr_status add_product(const gradient_work *w, sr_tensor *buffer, matrix_rows d,
                             matrix_rows r, int64_t count, double beta) {
  sr_gemm gemm = {.dtype = w->dtype,
                  .m = w->width,
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
                  .a = address(w, d),
                  .b = address(w, r),
                  .c = sr__data(buffer),
                  .batch = 1};
  return w->backend->gemm(&gemm);
}

static sr_status give_weight_ih(gradient_work *w) {
  sr_tensor *x = w->kept[KEPT_X], *buffer;
  bool fresh;
  if (!x || !sr__wants(w->node, IN_WEIGHT_IH)) return SR_OK;
  SR_TRY(sr__grad_buffer(w->node, IN_WEIGHT_IH, &buffer, &fresh));
  return add_product(w, buffer, (matrix_rows){w->gates, 0, w->width},
                     (matrix_rows){x, 0, sr__row_stride(x)}, w->shape->rows, fresh ? 0 : 1);
}

/* The batch is the same at all steps: the states before are the output rows moved by
 * one step, and h0 for the step that is walked first. */
static sr_status add_shifted(gradient_work *w, sr_tensor *buffer, double beta) {
  const sr_recurrent_shape *s = w->shape;
  sr_tensor *output = w->kept[KEPT_OUTPUT], *h0 = w->kept[KEPT_H0];
  int64_t moved = s->rows - s->batch;
  int64_t later = s->reverse ? 0 : s->batch, earlier = s->reverse ? s->batch : 0;
  if (moved || !h0) {
    SR_TRY(add_product(w, buffer, (matrix_rows){w->hidden_gates, later, w->width},
                       (matrix_rows){output, earlier, s->hidden}, moved, beta));
    beta = 1;
  }
  if (!h0) return SR_OK;
  return add_product(w, buffer, (matrix_rows){w->hidden_gates, s->reverse ? moved : 0, w->width},
                     (matrix_rows){h0, 0, s->hidden}, s->batch, beta);
}

/* ---- weight_hh of a ragged batch ---------------------------------------------------------- */

/* Positions from 1, on the host: for each row that of the output row before it, 0 where the
 * sequence begins; and for each sequence that of the row it begins at. */
static void find_rows(const sr_recurrent_shape *s, int64_t *before, int64_t *begins) {
  const int64_t *sizes = sr__batch_sizes(s), *offset = sr__offsets(s);
  for (int64_t t = 0; t < s->steps; t++) {
    int64_t other = s->reverse ? t + 1 : t - 1;
    int64_t carried = other < 0 || other == s->steps ? 0 : sizes[other];
    for (int64_t i = 0; i < sizes[t]; i++) {
      before[offset[t] + i] = i < carried ? offset[other] + i + 1 : 0;
      if (i >= carried) begins[i] = offset[t] + i + 1;
    }
  }
}

/* Both lists as one tensor on the device: (rows + batch). */
static sr_status row_positions(const gradient_work *w, sr_tensor **out) {
  const sr_recurrent_shape *s = w->shape;
  const int64_t count = s->rows + s->batch;
  sr_tensor *host;
  SR_TRY(sr__empty(&sr__cpu_backend, SR_int64, 1, &count, &host));
  int64_t *positions = sr__data(host);
  find_rows(s, positions, positions + s->rows);
  sr_status status = sr__moved(host, SR_int64, w->backend->device, out);
  sr_tensor_release(host);
  return status;
}

/* Rows `index` (count of them, from 1; 0 for zeros) of x (rows, columns), as a new tensor. */
static sr_status take_rows(const gradient_work *w, const sr_tensor *x, const int64_t *index,
                           int64_t count, sr_tensor **out) {
  sr_tensor *taken;
  SR_TRY(new_rows(w, count, x->sizes[1], &taken));
  int64_t found;
  sr_take take = {.dtype = w->dtype,
                  .rows = {1, x->sizes[0], x->sizes[1]},
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

static sr_status add_ragged(gradient_work *w, sr_tensor *buffer, double beta) {
  const sr_recurrent_shape *s = w->shape;
  sr_tensor *h0 = w->kept[KEPT_H0], *positions = NULL, *before = NULL, *first = NULL;
  sr_status status = SR_OK;
  SR_TRY_GOTO(row_positions(w, &positions), done);
  const int64_t *index = sr__data(positions);
  SR_TRY_GOTO(take_rows(w, w->kept[KEPT_OUTPUT], index, s->rows, &before), done);
  SR_TRY_GOTO(add_product(w, buffer, (matrix_rows){w->hidden_gates, 0, w->width},
                          (matrix_rows){before, 0, s->hidden}, s->rows, beta),
              done);
  if (!h0) goto done;
  SR_TRY_GOTO(take_rows(w, w->hidden_gates, index + s->rows, s->batch, &first), done);
  status = add_product(w, buffer, (matrix_rows){first, 0, w->width},
                       (matrix_rows){h0, 0, s->hidden}, s->batch, 1);
done:
  sr_tensor_release(first);
  sr_tensor_release(before);
  sr_tensor_release(positions);
  return status;
}

static sr_status give_weight_hh(gradient_work *w) {
  sr_tensor *buffer;
  bool fresh;
  if (!sr__wants(w->node, IN_WEIGHT_HH)) return SR_OK;
  SR_TRY(sr__grad_buffer(w->node, IN_WEIGHT_HH, &buffer, &fresh));
  double beta = fresh ? 0 : 1;
  return w->shape->constant ? add_shifted(w, buffer, beta) : add_ragged(w, buffer, beta);
}

/* ---- biases and x -------------------------------------------------------------------- */

static sr_status give_biases(gradient_work *w) {
  bool ih = sr__wants(w->node, IN_BIAS_IH), hh = sr__wants(w->node, IN_BIAS_HH);
  bool same = ih && hh && !w->mode->splits_gates;
  sr_tensor *sum;
  if (ih) {
    SR_TRY(sr__sum_to(w->gates, 1, &w->width, &sum));
    if (same) {
      sr_status status = sr__give_shared(w->node, IN_BIAS_HH, sum);
      if (status) {
        sr_tensor_release(sum);
        return status;
      }
    }
    SR_TRY(sr__give(w->node, IN_BIAS_IH, sum));
  }
  if (!hh || same) return SR_OK;
  SR_TRY(sr__sum_to(w->hidden_gates, 1, &w->width, &sum));
  return sr__give(w->node, IN_BIAS_HH, sum);
}

static sr_status give_x(gradient_work *w) {
  sr_tensor *weight = w->kept[KEPT_WEIGHT_IH], *buffer;
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
                  .a = sr__data(w->gates),
                  .b = sr__data(weight),
                  .c = sr__data(buffer),
                  .batch = 1};
  return w->backend->gemm(&gemm);
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* The node takes the gradient of an initial state over. */
static sr_status give_state(gradient_work *w, int input, sr_tensor **state) {
  sr_tensor *g = *state;
  *state = NULL;
  return sr__give(w->node, input, g);
}

static sr_status run(gradient_work *w, sr_tensor *const *grad) {
  for (int i = 0; i < KEPT_TENSORS; i++) SR_TRY(sr__saved(w->node, i, &w->kept[i]));
  w->backend = sr__backend_of(w->kept[KEPT_OUTPUT]);
  w->dtype = (sr_dtype)w->kept[KEPT_OUTPUT]->dtype;
  SR_TRY(make_gradients(w, grad));
  SR_TRY(run_steps(w));
  SR_TRY(give_weight_ih(w));
  SR_TRY(give_weight_hh(w));
  SR_TRY(give_biases(w));
  SR_TRY(give_x(w));
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
