/* recurrent.c: the steps of a recurrent layer, forward and backward, all modes.
 *
 * A step is one product of the states before it with the packed weight_hh and one
 * gate kernel (recurrent_rows.h); with a projection, one more product. Rows of a step are the
 * sequences still alive, the longest first, so nothing is copied as sequences end: the states
 * before a step are rows of `output` and `cells` written in the step before, followed (walking
 * in reverse, where sequences enter late) by rows of h0 and c0. The directions of a layer are
 * walked side by side. cpu.c's table calls in here. */
#include "backend/cpu/panel.h"
#include "backend/cpu/products.h"
#include "backend/cpu/recurrent_rows.h"
#include "backend/cpu/threads.h"
#include "backend/recurrent_modes.h"

#include "base/memory.h"

#include <string.h>

typedef struct {
  const sr_recurrent_plan *plan;
  const sr_recurrent_mode_info *mode;
  sr_recurrent_mode_kernels kernels;
  sr__add_rows *add_rows;
  bool backward;
  int64_t width;            /* G H */
  size_t element;           /* bytes of a number */
  sr_panels weight;         /* weight_hh packed; backward may use it as it is */
  sr_panels projection;     /* weight_hr packed, for forward */
  const void *zeros, *bias; /* (G H) */
  char *hidden_gates;       /* (B, G H) where the mode splits its gates */
  char *grad_raw;           /* (B, H) with a projection */
  char *grad_h, *grad_c;    /* (B, P), (B, H) */
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

/* Row `row` of an array whose rows lie `distance` elements apart; NULL for NULL. */
static char *row_of(const walk *w, const void *array, int64_t row, int64_t distance) {
  return array ? (char *)array + (size_t)(row * distance) * w->element : NULL;
}

/* Rows first .. end - 1 of n numbers, into the dense array `to`; from NULL for zeros. */
static void copy_rows(const walk *w, void *to, const void *from, int64_t from_row, int64_t first,
                      int64_t end, int64_t n) {
  if (!to) return;
  size_t bytes = (size_t)n * w->element;
  for (int64_t i = first; i < end; i++) {
    void *row = row_of(w, to, i, n);
    if (from)
      memcpy(row, row_of(w, from, i, from_row), bytes);
    else
      memset(row, 0, bytes);
  }
}

/* ---- scratch ----------------------------------------------------------------------- */

/* `numbers` elements of scratch memory, which *used counts; without memory only counted. */
static char *part_of(const walk *w, size_t *used, int64_t numbers) {
  char *at = w->scratch ? (char *)w->scratch + *used : NULL;
  *used += (size_t)numbers * w->element;
  return at;
}

/* Zeros, hidden-side sums and the running gradients that the caller does not want. */
static size_t lay_out(walk *w) {
  const sr_recurrent_plan *p = w->plan;
  size_t used = 0;
  char *zeros = part_of(w, &used, w->width);
  w->zeros = zeros;
  if (!w->backward) {
    w->bias = p->bias_hh ? p->bias_hh : w->zeros;
    if (w->mode->splits_gates) w->hidden_gates = part_of(w, &used, p->batch * w->width);
    return used;
  }
  w->grad_h = p->grad_h0 ? p->grad_h0 : part_of(w, &used, p->batch * p->state);
  if (w->mode->states > 1)
    w->grad_c = p->grad_c0 ? p->grad_c0 : part_of(w, &used, p->batch * p->hidden);
  if (p->weight_hr) w->grad_raw = part_of(w, &used, p->batch * p->hidden);
  return used;
}

static sr_status open_scratch(walk *w) {
  w->scratch_bytes = lay_out(w);
  SR_TRY(sr__new(w->scratch_bytes, &w->scratch));
  lay_out(w);
  memset(w->scratch, 0, (size_t)w->width * w->element); /* zeros come first */
  return SR_OK;
}

/* Backward reads weight_hh in the order it has in memory: packed or not, the results are
 * the same, and up to this many bytes so is the speed. */
enum { PACK_BYTES = 1 << 19 };

static sr_status open_weights(walk *w) {
  const sr_recurrent_plan *p = w->plan;
  if (w->backward) {
    if ((size_t)(p->state * w->width) * w->element <= PACK_BYTES) return SR_OK;
    return sr__panel_get(p->memo_hh, p->dtype, w->width, p->state, p->weight_hh, p->state, 1,
                         &w->weight);
  }
  if (p->weight_hr)
    SR_TRY(sr__panel_get(p->memo_hr, p->dtype, p->hidden, p->state, p->weight_hr, 1, p->hidden,
                         &w->projection));
  return sr__panel_get(p->memo_hh, p->dtype, p->state, w->width, p->weight_hh, 1, p->state,
                       &w->weight);
}

static void close_walk(walk *w) {
  sr__panel_release(&w->weight);
  sr__panel_release(&w->projection);
  if (w->scratch) sr__free(w->scratch, w->scratch_bytes);
}

/* What was opened is to be closed, on failure, too. */
static sr_status open_walk(walk *w, const sr_recurrent_plan *p, bool backward) {
  const sr_recurrent_kernels *all = sr__recurrent_kernels();
  bool single = p->dtype == SR_float32;
  *w = (walk){.plan = p, .mode = &sr__recurrent_modes[p->mode], .backward = backward};
  w->kernels = single ? all->float32[p->mode] : all->float64[p->mode];
  w->add_rows = single ? all->add_float32 : all->add_float64;
  w->width = w->mode->gates * p->hidden;
  w->element = sr_dtype_bytes(p->dtype);
  SR_TRY(open_scratch(w));
  return open_weights(w);
}

/* ---- forward ------------------------------------------------------------------------- */

/* The hidden-side sums of the rows of a step. */
static void hidden_sums(const walk *w, const sr_recurrent_rows *r, bool odd) {
  bool split = w->mode->splits_gates;
  void *sums = split ? w->hidden_gates : r->gates;
  if (!r->h_before) {
    if (split) memset(sums, 0, (size_t)(r->rows * w->width) * w->element);
    return;
  }
  sr_product product = {.m = r->rows,
                        .n = w->width,
                        .k = w->plan->state,
                        .x = r->h_before,
                        .x_row = r->h_before_row,
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

/* output = raw W_hr^T in the rows of a step */
static void project(const walk *w, int64_t row, int64_t rows) {
  const sr_recurrent_plan *p = w->plan;
  sr_product product = {.m = rows,
                        .n = p->state,
                        .k = p->hidden,
                        .x = row_of(w, p->raw, row, p->cells_row),
                        .x_row = p->cells_row,
                        .x_column = 1,
                        .b = w->projection.panels,
                        .packed = true,
                        .c = row_of(w, p->output, row, p->output_row),
                        .c_row = p->output_row};
  sr__panel_multiply(p->dtype, &product);
}

/* States before a step: of rows of the arrays, or of h0 and c0. NULL for zeros. */
typedef struct {
  const void *h, *c;
  int64_t h_row, c_row;
} states;

static states carried_states(const walk *w, const step *s) {
  const sr_recurrent_plan *p = w->plan;
  int64_t row = p->offset[s->before];
  return (states){row_of(w, p->output, row, p->output_row), row_of(w, p->cells, row, p->cells_row),
                  p->output_row, p->cells_row};
}

static states initial_states(const walk *w, const step *s) {
  const sr_recurrent_plan *p = w->plan;
  return (states){row_of(w, p->h0, s->carried, p->state), row_of(w, p->c0, s->carried, p->hidden),
                  p->state, p->hidden};
}

/* The rows first .. end - 1 of a step, from the states before, as both directions need them. */
static sr_recurrent_rows rows_of(const walk *w, const step *s, int64_t first, int64_t end,
                                 states before) {
  const sr_recurrent_plan *p = w->plan;
  int64_t row = p->offset[s->t] + first;
  return (sr_recurrent_rows){.rows = end - first,
                             .hidden = p->hidden,
                             .h_before = before.h,
                             .h_before_row = before.h_row,
                             .c_before = before.c,
                             .c_before_row = before.c_row,
                             .zeros = w->zeros,
                             .gates = row_of(w, p->gates, row, w->width),
                             .h = row_of(w, p->output, row, p->output_row),
                             .h_row = p->output_row,
                             .c = row_of(w, p->cells, row, p->cells_row),
                             .c_row = p->cells_row};
}

static void forward_rows(const walk *w, const step *s, int64_t first, int64_t end, states before) {
  if (end <= first) return;
  const sr_recurrent_plan *p = w->plan;
  int64_t row = p->offset[s->t] + first;
  sr_recurrent_rows rows = rows_of(w, s, first, end, before);
  rows.hidden_gates = w->hidden_gates;
  rows.bias = w->bias;
  if (p->weight_hr) {
    rows.h = row_of(w, p->raw, row, p->cells_row);
    rows.h_row = p->cells_row;
  }
  hidden_sums(w, &rows, s->t & 1);
  w->kernels.forward(&rows);
  if (p->weight_hr) project(w, row, rows.rows);
}

static void forward_step(const walk *w, const step *s) {
  if (s->carried) forward_rows(w, s, 0, s->carried, carried_states(w, s));
  forward_rows(w, s, s->carried, s->alive, initial_states(w, s));
}

/* Final states: rows first .. end - 1 of step t. */
static void finish_rows(const walk *w, int64_t t, int64_t first, int64_t end) {
  const sr_recurrent_plan *p = w->plan;
  int64_t row = p->offset[t];
  copy_rows(w, p->hn, row_of(w, p->output, row, p->output_row), p->output_row, first, end,
            p->state);
  copy_rows(w, p->cn, row_of(w, p->cells, row, p->cells_row), p->cells_row, first, end, p->hidden);
}

static void walk_forward(const walk *w) {
  const sr_recurrent_plan *p = w->plan;
  int64_t longest = p->steps > 0 ? p->batch_sizes[0] : 0;
  for (int64_t i = 0; i < p->steps; i++) {
    step s = step_at(p, i);
    forward_step(w, &s);
    if (!p->reverse && i > 0) finish_rows(w, s.before, s.alive, p->batch_sizes[s.before]);
  }
  if (p->steps > 0) {
    int64_t last = p->reverse ? 0 : p->steps - 1;
    finish_rows(w, last, 0, p->batch_sizes[last]);
  }
  copy_rows(w, p->hn, p->h0, p->state, longest, p->batch, p->state);
  copy_rows(w, p->cn, p->c0, p->hidden, longest, p->batch, p->hidden);
}

/* ---- backward -------------------------------------------------------------------------- */

/* Through the projection: the gradient of output rows, in grad_projected, gives that of raw. */
static void project_back(const walk *w, sr_recurrent_rows *r, int64_t row) {
  const sr_recurrent_plan *p = w->plan;
  void *grad = row_of(w, p->grad_projected, row, p->state);
  w->add_rows(r->rows, p->state, r->grad_h, p->state, r->grad_output, r->grad_output_row, grad,
              p->state);
  sr_product product = {.m = r->rows,
                        .n = p->hidden,
                        .k = p->state,
                        .x = grad,
                        .x_row = p->state,
                        .x_column = 1,
                        .b = p->weight_hr,
                        .b_row = p->hidden,
                        .b_column = 1,
                        .c = w->grad_raw,
                        .c_row = p->hidden};
  sr__panel_multiply(p->dtype, &product);
  r->grad_h = w->grad_raw;
  r->grad_output = NULL;
}

static void backward_rows(const walk *w, const step *s, int64_t first, int64_t end, states before) {
  if (end <= first) return;
  const sr_recurrent_plan *p = w->plan;
  int64_t row = p->offset[s->t] + first;
  sr_recurrent_rows rows = rows_of(w, s, first, end, before);
  rows.grad_output = row_of(w, p->grad_output, row, p->output_row);
  rows.grad_output_row = p->output_row;
  rows.grad_h = row_of(w, w->grad_h, first, p->state);
  rows.grad_c = row_of(w, w->grad_c, first, p->hidden);
  rows.grad_gates = row_of(w, p->grad_gates, row, w->width);
  rows.grad_hidden_gates = row_of(w, p->grad_hidden_gates, row, w->width);
  if (p->weight_hr) project_back(w, &rows, row);
  if (p->grad_cells)
    w->add_rows(rows.rows, p->hidden, rows.grad_c, p->hidden,
                row_of(w, p->grad_cells, row, p->cells_row), p->cells_row, rows.grad_c, p->hidden);
  w->kernels.backward(&rows);
}

/* grad_h of the first `rows` rows: through weight_hh to the step before. */
static void hidden_gradient(const walk *w, const step *s, int64_t rows) {
  if (rows == 0) return;
  const sr_recurrent_plan *p = w->plan;
  const void *gates = w->mode->splits_gates ? p->grad_hidden_gates : p->grad_gates;
  bool packed = w->weight.panels != NULL;
  sr_product product = {.m = rows,
                        .n = p->state,
                        .k = w->width,
                        .x = row_of(w, gates, p->offset[s->t], w->width),
                        .x_row = w->width,
                        .x_column = 1,
                        .b = packed ? w->weight.panels : p->weight_hh,
                        .b_row = p->state,
                        .b_column = 1,
                        .packed = packed,
                        .c = w->grad_h,
                        .c_row = p->state,
                        .start = w->kernels.direct ? w->grad_h : NULL,
                        .start_row = p->state,
                        .from_last = s->t & 1};
  sr__panel_multiply(p->dtype, &product);
}

static void backward_step(const walk *w, const step *s) {
  if (s->carried) backward_rows(w, s, 0, s->carried, carried_states(w, s));
  backward_rows(w, s, s->carried, s->alive, initial_states(w, s));
  /* Rows that began here have their gradient in grad_h0, if that is asked for. */
  hidden_gradient(w, s, w->plan->grad_h0 ? s->alive : s->carried);
}

static void walk_backward(const walk *w) {
  const sr_recurrent_plan *p = w->plan;
  copy_rows(w, w->grad_h, p->grad_hn, p->state, 0, p->batch, p->state);
  copy_rows(w, w->grad_c, p->grad_cn, p->hidden, 0, p->batch, p->hidden);
  for (int64_t i = p->steps - 1; i >= 0; i--) {
    step s = step_at(p, i);
    backward_step(w, &s);
  }
}

/* ---- directions ------------------------------------------------------------------------- */

/* Do the walks get a thread each? Not where a single step keeps all threads busy. */
static bool worth_threads(int n, const walk *w) {
  if (n < 2 || sr_num_threads() < 2) return false;
  double of_a_row = (double)w->width * (double)w->plan->state;
  bool busy = sr_num_threads() > n &&
              sr__threads_for(of_a_row * (double)w->plan->batch) == sr_num_threads();
  return !busy && sr__threads_for(n * of_a_row * (double)w->plan->rows) >= n;
}

static void walk_all(void *walks, int k) {
  const walk *w = (const walk *)walks + k;
  if (w->backward)
    walk_backward(w);
  else
    walk_forward(w);
}

enum { DIRECTIONS = 2 };

static sr_status run(int n, const sr_recurrent_plan *plans, bool backward) {
  walk walks[DIRECTIONS] = {0};
  sr_status status = SR_OK;
  for (int k = 0; k < n && !status; k++) status = open_walk(&walks[k], &plans[k], backward);
  if (!status && worth_threads(n, walks))
    sr__side_by_side(n, walk_all, walks);
  else
    for (int k = 0; k < n && !status; k++) walk_all(walks, k);
  for (int k = 0; k < n; k++) close_walk(&walks[k]);
  return status;
}

sr_status sr__cpu_recurrent(int n, const sr_recurrent_plan *plans) { return run(n, plans, false); }

sr_status sr__cpu_recurrent_grad(int n, const sr_recurrent_plan *plans) {
  return run(n, plans, true);
}
