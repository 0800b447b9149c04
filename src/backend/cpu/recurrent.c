/* recurrent.c: the steps of a recurrent layer, forward and backward, all modes.
 *
 * A step is one product of the states before it with the packed weight_hh and one
 * gate kernel (recurrent_rows.h). Rows of a step are the sequences still alive, the
 * longest first, so nothing is copied as sequences end: the states before a step
 * are rows of `output` and `cells` written in the step before, followed (walking
 * in reverse, where sequences enter late) by rows of h0 and c0.
 * cpu.c's table calls in here. */
#include "backend/cpu/panel.h"
#include "backend/cpu/products.h"
#include "backend/cpu/recurrent_rows.h"
#include "backend/recurrent_modes.h"

#include "base/memory.h"

#include <string.h>

typedef struct {
  const sr_recurrent_plan *plan;
  const sr_recurrent_mode_info *mode;
  sr_recurrent_mode_kernels kernels;
  int64_t width;               /* G H */
  size_t state_row, gates_row; /* bytes of H and G H numbers */
  sr_panels weight;            /* packed; backward may use plan->weight_hh as it is */
  const void *zeros, *bias;    /* (G H) */
  char *hidden_gates;          /* (B, G H) where the mode splits its gates */
  char *grad_h, *grad_c;       /* (B, H) */
  void *scratch;
  size_t scratch_bytes;
} walk;

/* One step of the walk: time t, `alive` rows, of which the first `carried` go on
 * from step `before` and the others begin. */
typedef struct {
  int64_t t, before, alive, carried;
} step;

static step step_at(const sr_recurrent_plan *p, int64_t i) {
  step s = {.t = p->reverse ? p->steps - 1 - i : i};
  s.before = p->reverse ? s.t + 1 : s.t - 1;
  s.alive = p->batch_sizes[s.t];
  if (i > 0) s.carried = p->batch_sizes[s.before];
  if (s.carried > s.alive) s.carried = s.alive;
  return s;
}

static char *row_of(const void *array, int64_t row, size_t bytes) {
  return array ? (char *)array + (size_t)row * bytes : NULL;
}

static void copy_rows(void *to, const void *from, int64_t first, int64_t end, size_t bytes) {
  if (!to || end <= first) return;
  void *rows = row_of(to, first, bytes);
  if (from)
    memcpy(rows, row_of(from, first, bytes), (size_t)(end - first) * bytes);
  else
    memset(rows, 0, (size_t)(end - first) * bytes);
}

/* ---- scratch ----------------------------------------------------------------------- */

/* Room for zeros, hidden-side sums and the running gradients that the caller does not want. */
static sr_status open_scratch(walk *w, bool backward) {
  const sr_recurrent_plan *p = w->plan;
  size_t batch = (size_t)p->batch, states = batch * w->state_row;
  size_t hidden = !backward && w->mode->splits_gates ? batch * w->gates_row : 0;
  size_t grad_h = backward && !p->grad_h0 ? states : 0;
  size_t grad_c = backward && w->mode->states > 1 && !p->grad_c0 ? states : 0;
  w->scratch_bytes = w->gates_row + hidden + grad_h + grad_c;
  SR_TRY(sr__new(w->scratch_bytes, &w->scratch));
  char *at = w->scratch;
  w->zeros = memset(at, 0, w->gates_row);
  w->bias = p->bias_hh ? p->bias_hh : w->zeros;
  w->hidden_gates = at += w->gates_row;
  at += hidden;
  w->grad_h = grad_h ? at : p->grad_h0;
  at += grad_h;
  w->grad_c = grad_c ? at : p->grad_c0;
  return SR_OK;
}

/* Backward reads weight_hh in the order it has in memory: packed or not, the results are
 * the same, and up to this many bytes so is the speed. */
enum { PACK_BYTES = 1 << 19 };

static sr_status open_weight(walk *w, bool backward) {
  const sr_recurrent_plan *p = w->plan;
  if (!backward)
    return sr__panel_get(p->memo, p->dtype, p->hidden, w->width, p->weight_hh, 1, p->hidden,
                         &w->weight);
  if ((size_t)p->hidden * w->gates_row <= PACK_BYTES) return SR_OK;
  return sr__panel_get(p->memo, p->dtype, w->width, p->hidden, p->weight_hh, p->hidden, 1,
                       &w->weight);
}

static sr_status open_walk(walk *w, const sr_recurrent_plan *p, bool backward) {
  size_t size = sr_dtype_bytes(p->dtype);
  const sr_recurrent_kernels *all = sr__recurrent_kernels();
  *w = (walk){.plan = p, .mode = &sr__recurrent_modes[p->mode]};
  w->kernels = p->dtype == SR_float32 ? all->float32[p->mode] : all->float64[p->mode];
  w->width = w->mode->gates * p->hidden;
  w->state_row = (size_t)p->hidden * size;
  w->gates_row = (size_t)w->width * size;
  SR_TRY(open_scratch(w, backward));
  sr_status status = open_weight(w, backward);
  if (status) sr__free(w->scratch, w->scratch_bytes);
  return status;
}

static void close_walk(walk *w) {
  sr__panel_release(&w->weight);
  sr__free(w->scratch, w->scratch_bytes);
}

/* ---- forward ------------------------------------------------------------------------- */

/* The hidden-side sums of rows first .. first + rows - 1 of a step. */
static void hidden_sums(const walk *w, const sr_recurrent_rows *r, bool odd) {
  bool split = w->mode->splits_gates;
  void *sums = split ? w->hidden_gates : r->gates;
  if (!r->h_before) {
    if (split) memset(sums, 0, (size_t)r->rows * w->gates_row);
    return;
  }
  sr_product product = {.m = r->rows,
                        .n = w->width,
                        .k = r->hidden,
                        .x = r->h_before,
                        .x_row = r->hidden,
                        .x_column = 1,
                        .b = w->weight.panels,
                        .packed = true,
                        .c = sums,
                        .c_row = w->width,
                        .start = split ? NULL : sums,
                        .start_row = w->width,
                        /* the panels read last are still near */
                        .from_last = odd};
  sr__panel_multiply(w->plan->dtype, &product);
}

static void forward_rows(const walk *w, const step *s, int64_t first, int64_t end,
                         const void *h_before, const void *c_before) {
  if (end <= first) return;
  const sr_recurrent_plan *p = w->plan;
  int64_t row = p->offset[s->t] + first;
  sr_recurrent_rows rows = {.rows = end - first,
                            .hidden = p->hidden,
                            .h_before = h_before,
                            .c_before = c_before,
                            .zeros = w->zeros,
                            .gates = row_of(p->gates, row, w->gates_row),
                            .hidden_gates = w->hidden_gates,
                            .bias = w->bias,
                            .h = row_of(p->output, row, w->state_row),
                            .c = row_of(p->cells, row, w->state_row)};
  hidden_sums(w, &rows, s->t & 1);
  w->kernels.forward(&rows);
}

static void forward_step(const walk *w, const step *s) {
  const sr_recurrent_plan *p = w->plan;
  if (s->carried) {
    int64_t before = p->offset[s->before];
    forward_rows(w, s, 0, s->carried, row_of(p->output, before, w->state_row),
                 row_of(p->cells, before, w->state_row));
  }
  forward_rows(w, s, s->carried, s->alive, row_of(p->h0, s->carried, w->state_row),
               row_of(p->c0, s->carried, w->state_row));
}

/* Final states: rows first .. end - 1 of step t. */
static void finish_rows(const walk *w, int64_t t, int64_t first, int64_t end) {
  const sr_recurrent_plan *p = w->plan;
  int64_t row = p->offset[t];
  copy_rows(p->hn, row_of(p->output, row, w->state_row), first, end, w->state_row);
  if (w->mode->states > 1)
    copy_rows(p->cn, row_of(p->cells, row, w->state_row), first, end, w->state_row);
}

sr_status sr__cpu_recurrent(const sr_recurrent_plan *p) {
  walk w;
  SR_TRY(open_walk(&w, p, false));
  int64_t longest = p->steps > 0 ? p->batch_sizes[0] : 0;
  for (int64_t i = 0; i < p->steps; i++) {
    step s = step_at(p, i);
    forward_step(&w, &s);
    if (!p->reverse && i > 0) finish_rows(&w, s.before, s.alive, p->batch_sizes[s.before]);
  }
  if (p->steps > 0) {
    int64_t last = p->reverse ? 0 : p->steps - 1;
    finish_rows(&w, last, 0, p->batch_sizes[last]);
  }
  copy_rows(p->hn, p->h0, longest, p->batch, w.state_row);
  if (w.mode->states > 1) copy_rows(p->cn, p->c0, longest, p->batch, w.state_row);
  close_walk(&w);
  return SR_OK;
}

/* ---- backward -------------------------------------------------------------------------- */

static void backward_rows(const walk *w, const step *s, int64_t first, int64_t end,
                          const void *h_before, const void *c_before) {
  if (end <= first) return;
  const sr_recurrent_plan *p = w->plan;
  int64_t row = p->offset[s->t] + first;
  sr_recurrent_rows rows = {.rows = end - first,
                            .hidden = p->hidden,
                            .h_before = h_before,
                            .c_before = c_before,
                            .zeros = w->zeros,
                            .gates = row_of(p->gates, row, w->gates_row),
                            .h = row_of(p->output, row, w->state_row),
                            .c = row_of(p->cells, row, w->state_row),
                            .grad_output = row_of(p->grad_output, row, w->state_row),
                            .grad_h = row_of(w->grad_h, first, w->state_row),
                            .grad_c = row_of(w->grad_c, first, w->state_row),
                            .grad_gates = row_of(p->grad_gates, row, w->gates_row),
                            .grad_hidden_gates = row_of(p->grad_hidden_gates, row, w->gates_row)};
  w->kernels.backward(&rows);
}

/* grad_h of the first `rows` rows: through weight_hh to the step before. */
static void hidden_gradient(const walk *w, const step *s, int64_t rows) {
  if (rows == 0) return;
  const sr_recurrent_plan *p = w->plan;
  const void *gates = w->mode->splits_gates ? p->grad_hidden_gates : p->grad_gates;
  bool packed = w->weight.panels != NULL;
  sr_product product = {.m = rows,
                        .n = p->hidden,
                        .k = w->width,
                        .x = row_of(gates, p->offset[s->t], w->gates_row),
                        .x_row = w->width,
                        .x_column = 1,
                        .b = packed ? w->weight.panels : p->weight_hh,
                        .b_row = p->hidden,
                        .b_column = 1,
                        .packed = packed,
                        .c = w->grad_h,
                        .c_row = p->hidden,
                        .start = w->kernels.direct ? w->grad_h : NULL,
                        .start_row = p->hidden,
                        .from_last = s->t & 1};
  sr__panel_multiply(p->dtype, &product);
}

static void backward_step(const walk *w, const step *s) {
  const sr_recurrent_plan *p = w->plan;
  if (s->carried) {
    int64_t before = p->offset[s->before];
    backward_rows(w, s, 0, s->carried, row_of(p->output, before, w->state_row),
                  row_of(p->cells, before, w->state_row));
  }
  backward_rows(w, s, s->carried, s->alive, row_of(p->h0, s->carried, w->state_row),
                row_of(p->c0, s->carried, w->state_row));
  /* Rows that began here have their gradient in grad_h0, if that is asked for. */
  hidden_gradient(w, s, p->grad_h0 ? s->alive : s->carried);
}

sr_status sr__cpu_recurrent_grad(const sr_recurrent_plan *p) {
  walk w;
  SR_TRY(open_walk(&w, p, true));
  copy_rows(w.grad_h, p->grad_hn, 0, p->batch, w.state_row);
  if (w.mode->states > 1) copy_rows(w.grad_c, p->grad_cn, 0, p->batch, w.state_row);
  for (int64_t i = p->steps - 1; i >= 0; i--) {
    step s = step_at(p, i);
    backward_step(&w, &s);
  }
  close_walk(&w);
  return SR_OK;
}
