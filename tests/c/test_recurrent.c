/* test_recurrent.c: the recurrent layer operation: gradients by finite differences, packed and
 * padded batches, layouts and messages. */
#include "gradcheck.h"

static void release_all(int n, sr_tensor *const *t) {
  for (int i = 0; i < n; i++) sr_tensor_release(t[i]);
}

/* ---- gradients ---------------------------------------------------------------------------- */

/* I = 3, H = 2, or with a projection to P = 2, H = 3. Batches of 3 sequences, or one that grows
 * shorter. */
static const int64_t constant[] = {3, 3}, ragged[] = {3, 2, 2, 1}, single[] = {1, 1, 1};
enum { INPUTS = 3, STATE = 2 };

typedef struct {
  sr_recurrent_mode mode;
  bool reverse, from_zero, only_hn, only_output;
  bool padded;          /* x as (T, B, I) */
  bool both, projected; /* two directions; LSTM */
  bool cells;           /* as a result, LSTM */
  int64_t steps, batch; /* batch 0: batch_sizes[0] */
  const int64_t *batch_sizes;
} layer_case;

/* What sizes follow from the case. */
typedef struct {
  int64_t rows, batch, directions, hidden, width;
} case_sizes;

static case_sizes sizes_of(const layer_case *c) {
  static const int64_t gates[] = {
#define X(name, count, states) [SR_##name] = count,
      SR_RECURRENT_LIST(X)
#undef X
  };
  case_sizes s = {.batch = c->batch ? c->batch : c->batch_sizes[0], .directions = c->both ? 2 : 1};
  s.hidden = c->projected ? STATE + 1 : STATE;
  s.width = gates[c->mode] * s.hidden;
  for (int64_t t = 0; t < c->steps; t++) s.rows += c->batch_sizes[t];
  return s;
}

/* What is not under test: fixed numbers. */
static sr_status fixed(int ndim, const int64_t *size, int seed, sr_tensor **out) {
  sr_status status = sr_tensor_empty(SR_float64, ndim, size, SR_CPU, out);
  for (int64_t i = 0; !status && i < sr_tensor_numel(*out); i++)
    ((double *)sr_tensor_data(*out))[i] = gradcheck_unit(i + seed) - 0.4;
  return status;
}

/* output, hn, cn, cells as lists of numbers, whether x is given as rows or padded. */
static sr_status run_layer(const layer_case *c, const sr_recurrent_layer *l, sr_tensor *parts[4]) {
  sr_recurrent_layer layer = *l;
  sr_tensor *results[4] = {0};
  sr_status status = SR_OK;
  if (c->padded) {
    layer.batch_sizes = NULL;
    status = sr_reshape(l->x, SIZES(c->steps, c->batch_sizes[0], INPUTS), &layer.x);
    if (status) return status;
  }
  status =
      sr_recurrent(&layer, &results[0], &results[1], &results[2], c->cells ? &results[3] : NULL);
  for (int i = 0; i < 4 && !status; i++)
    if (results[i]) status = sr_flatten(results[i], 0, -1, &parts[i]);
  release_all(4, results);
  if (c->padded) sr_tensor_release(layer.x);
  return status;
}

/* (output, hn, cn, cells) as one list */
static sr_status all_outputs(const layer_case *c, const sr_recurrent_layer *l, sr_tensor **y) {
  sr_tensor *parts[4] = {0};
  sr_status status = run_layer(c, l, parts);
  if (!status && (c->only_hn || c->only_output))
    *y = sr_tensor_retain(parts[c->only_hn]);
  else if (!status)
    status = sr_cat(parts[3] ? 4 : parts[2] ? 3 : 2, parts, 0, y);
  release_all(4, parts);
  return status;
}

static sr_recurrent_layer layer_of(const layer_case *c) {
  return (sr_recurrent_layer){.mode = c->mode,
                              .reverse = c->reverse,
                              .steps = c->steps,
                              .batch = c->batch,
                              .batch_sizes = c->batch_sizes};
}

/* Those of weights[k] that are not there yet. */
static sr_status fix_weights(const layer_case *c, int k, sr_recurrent_weights *w) {
  case_sizes s = sizes_of(c);
  sr_status status = SR_OK;
  if (!w->weight_ih) status = fixed(SIZES(s.width, INPUTS), 30 + k, &w->weight_ih);
  if (!status && !w->weight_hh) status = fixed(SIZES(s.width, STATE), 60 + k, &w->weight_hh);
  if (!status && !w->bias_ih) status = fixed(SIZES(s.width), 1 + k, &w->bias_ih);
  if (!status && !w->bias_hh) status = fixed(SIZES(s.width), 7 + k, &w->bias_hh);
  if (!status && c->projected && !w->weight_hr)
    status = fixed(SIZES(STATE, s.hidden), 4 + k, &w->weight_hr);
  return status;
}

/* The layer, whose weights and states that are set stay the caller's. */
static sr_status run_fixed(const layer_case *c, sr_recurrent_layer l, sr_tensor **y) {
  const sr_recurrent_layer given = l;
  case_sizes s = sizes_of(c);
  sr_status status = SR_OK;
  if (!l.x) status = fixed(SIZES(s.rows, INPUTS), 1, &l.x);
  for (int k = 0; k < s.directions && !status; k++) status = fix_weights(c, k, &l.weights[k]);
  if (!status && c->mode == SR_lstm && !l.c0)
    status = fixed(SIZES(s.directions, s.batch, s.hidden), 3, &l.c0);
  if (!status) status = all_outputs(c, &l, y);
  if (!given.x) sr_tensor_release(l.x);
  if (!given.c0) sr_tensor_release(l.c0);
  for (int k = 0; k < s.directions; k++) {
    sr_tensor *const *before = (sr_tensor *const *)&given.weights[k];
    sr_tensor *const *after = (sr_tensor *const *)&l.weights[k];
    for (size_t i = 0; i < sizeof l.weights[k] / sizeof *after; i++)
      if (!before[i]) sr_tensor_release(after[i]);
  }
  return status;
}

/* Inputs x, h0, and of the last direction weight_ih, weight_hh, with a projection weight_hr. */
static sr_status of_weights(const layer_case *c, sr_tensor *const *x, sr_tensor **y) {
  sr_recurrent_layer l = layer_of(c);
  sr_recurrent_weights *last = &l.weights[c->both];
  l.x = x[0];
  if (!c->from_zero) l.h0 = x[1];
  last->weight_ih = x[2];
  last->weight_hh = x[3];
  if (c->projected) last->weight_hr = x[4];
  return run_fixed(c, l, y);
}

/* Inputs h0, bias_ih and bias_hh of the first direction, c0. */
static sr_status of_states(const layer_case *c, sr_tensor *const *x, sr_tensor **y) {
  sr_recurrent_layer l = layer_of(c);
  l.h0 = x[0];
  l.weights[0].bias_ih = x[1];
  l.weights[0].bias_hh = x[2];
  if (c->mode == SR_lstm) l.c0 = x[3];
  return run_fixed(c, l, y);
}

/* What gradcheck calls has no room for the case. */
static const layer_case *under_test;
static sr_status weights_under_test(sr_tensor *const *x, sr_tensor **y) {
  return of_weights(under_test, x, y);
}
static sr_status states_under_test(sr_tensor *const *x, sr_tensor **y) {
  return of_states(under_test, x, y);
}

static void check_layer(const char *name, const layer_case *c) {
  case_sizes s = sizes_of(c);
  under_test = c;
  gradcheck(&(gradcheck_case){.name = name,
                              .function = weights_under_test,
                              .n = c->projected ? 5 : 4,
                              .input = {{2, {s.rows, INPUTS}},
                                        {3, {s.directions, s.batch, STATE}},
                                        {2, {s.width, INPUTS}},
                                        {2, {s.width, STATE}},
                                        {2, {STATE, s.hidden}}}});
  gradcheck(&(gradcheck_case){.name = name,
                              .function = states_under_test,
                              .n = c->mode == SR_lstm ? 4 : 3,
                              .input = {{3, {s.directions, s.batch, STATE}},
                                        {1, {s.width}},
                                        {1, {s.width}},
                                        {3, {s.directions, s.batch, s.hidden}}}});
}

static const char *const mode_names[] = {
#define X(name, gates, states) [SR_##name] = #name,
    SR_RECURRENT_LIST(X)
#undef X
};

static void check_cases(int mode, size_t n, const layer_case *cases) {
  for (size_t i = 0; i < n; i++) {
    layer_case c = cases[i];
    char name[64];
    c.mode = (sr_recurrent_mode)mode;
    snprintf(name, sizeof name, "%s %zu", mode_names[mode], i);
    check_layer(name, &c);
  }
}

static void gradients(void **state) {
  (void)state;
  static const layer_case cases[] = {
      {.steps = 2, .batch_sizes = constant},
      {.reverse = true, .steps = 2, .batch_sizes = constant},
      {.from_zero = true, .steps = 2, .batch_sizes = constant},
      {.from_zero = true, .reverse = true, .steps = 2, .batch_sizes = constant},
      {.steps = 4, .batch_sizes = ragged},
      {.reverse = true, .steps = 4, .batch_sizes = ragged},
      {.from_zero = true, .steps = 4, .batch_sizes = ragged},
      {.from_zero = true, .reverse = true, .steps = 4, .batch_sizes = ragged},
      {.padded = true, .steps = 2, .batch_sizes = constant},
      {.padded = true, .reverse = true, .from_zero = true, .steps = 2, .batch_sizes = constant},
      {.steps = 3, .batch_sizes = single},
      {.steps = 1, .batch_sizes = single},
      {.from_zero = true, .steps = 1, .batch_sizes = single},
      {.only_hn = true, .steps = 4, .batch_sizes = ragged},
      {.only_output = true, .reverse = true, .steps = 4, .batch_sizes = ragged},
      {.both = true, .steps = 4, .batch_sizes = ragged},
      {.both = true, .from_zero = true, .steps = 4, .batch_sizes = ragged},
      {.both = true, .padded = true, .steps = 2, .batch_sizes = constant},
      {.both = true, .reverse = true, .only_output = true, .steps = 2, .batch_sizes = constant},
      {.batch = 5, .steps = 4, .batch_sizes = ragged},
      {.both = true, .batch = 4, .steps = 2, .batch_sizes = constant}};
  for (int mode = 0; mode < SR_RECURRENT_MODES; mode++)
    check_cases(mode, sizeof cases / sizeof *cases, cases);
}

/* What only LSTMs have. */
static void gradients_lstm(void **state) {
  (void)state;
  static const layer_case cases[] = {
      {.projected = true, .steps = 2, .batch_sizes = constant},
      {.projected = true, .reverse = true, .steps = 4, .batch_sizes = ragged},
      {.projected = true, .from_zero = true, .only_hn = true, .steps = 4, .batch_sizes = ragged},
      {.projected = true, .both = true, .batch = 4, .steps = 4, .batch_sizes = ragged},
      {.projected = true, .both = true, .padded = true, .steps = 2, .batch_sizes = constant},
      {.cells = true, .steps = 2, .batch_sizes = constant},
      {.cells = true, .padded = true, .both = true, .steps = 2, .batch_sizes = constant},
      {.cells = true, .projected = true, .both = true, .steps = 4, .batch_sizes = ragged}};
  check_cases(SR_lstm, sizeof cases / sizeof *cases, cases);
}

/* ---- no rows ------------------------------------------------------------------------------ */

/* Sequences without steps keep their states, and all their gradient goes there. */
static void no_steps(void **state) {
  (void)state;
  sr_tensor *h = leaf(counting(SR_float64, SIZES(1, 2, 3))),
            *c = counting(SR_float64, SIZES(1, 2, 3));
  sr_tensor *w = counting(SR_float64, SIZES(12, 4)), *u = leaf(counting(SR_float64, SIZES(12, 3)));
  sr_tensor *x = empty(SR_float64, SIZES(0, 4)), *y, *hn, *cn, *sum;
  sr_recurrent_layer l = {.mode = SR_lstm,
                          .batch = 2,
                          .batch_sizes = constant,
                          .x = x,
                          .h0 = h,
                          .c0 = c,
                          .weights = {{.weight_ih = w, .weight_hh = u}}};
  OK(sr_recurrent(&l, &y, &hn, &cn, NULL));
  assert_int_equal(sr_tensor_numel(y), 0);
  EXPECT(sr_tensor_retain(hn), SR_float64, SIZES(1, 2, 3), VALUES(1, 2, 3, 4, 5, 6));
  EXPECT(sr_tensor_retain(cn), SR_float64, SIZES(1, 2, 3), VALUES(1, 2, 3, 4, 5, 6));
  OK(sr_sum(hn, NULL, &sum));
  OK(sr_backward(sum, NULL, false));
  EXPECT(sr_tensor_retain(sr_grad(h)), SR_float64, SIZES(1, 2, 3), VALUES(1, 1, 1, 1, 1, 1));
  release_all(9, (sr_tensor *[]){sum, y, hn, cn, x, h, c, w, u});
}

/* A batch without sequences, as PyTorch has it: nothing comes out. */
static void empty_batch(void **state) {
  (void)state;
  sr_tensor *w = leaf(counting(SR_float32, SIZES(3, 4))), *u = counting(SR_float32, SIZES(3, 3));
  sr_tensor *x = empty(SR_float32, SIZES(5, 0, 4)), *y, *hn, *sum;
  sr_recurrent_layer l = {
      .mode = SR_rnn_tanh, .x = x, .weights = {{.weight_ih = w, .weight_hh = u}}};
  OK(sr_recurrent(&l, &y, &hn, NULL, NULL));
  assert_int_equal(sr_tensor_sizes(y)[0], 5);
  assert_int_equal(sr_tensor_sizes(hn)[2], 3);
  OK(sr_sum(y, NULL, &sum));
  OK(sr_backward(sum, NULL, false));
  EXPECT(sr_tensor_retain(sr_grad(w)), SR_float32, SIZES(3, 4),
         VALUES(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  release_all(6, (sr_tensor *[]){sum, y, hn, x, w, u});
}

/* ---- packed equals alone ------------------------------------------------------------- */

/* Each sequence of a ragged batch gives the values it gives on its own. */
static void packed_equals_alone(void **state) {
  (void)state;
  enum { I = 5, H = 7, B = 3 };
  sr_tensor *x = empty(SR_float64, SIZES(8, I)), *w = empty(SR_float64, SIZES(H, I));
  sr_tensor *u = empty(SR_float64, SIZES(H, H)), *output, *hn;
  OK(sr_uniform_(x, -1, 1, NULL));
  OK(sr_uniform_(w, -1, 1, NULL));
  OK(sr_uniform_(u, -1, 1, NULL));
  for (int reverse = 0; reverse < 2; reverse++) {
    sr_recurrent_layer l = {.mode = SR_rnn_relu,
                            .reverse = reverse,
                            .steps = 4,
                            .batch_sizes = ragged,
                            .x = x,
                            .weights = {{.weight_ih = w, .weight_hh = u}}};
    OK(sr_recurrent(&l, &output, &hn, NULL, NULL));
    for (int b = 0; b < B; b++) {
      static const int64_t ones[] = {1, 1, 1, 1};
      sr_tensor *rows[4], *own, *alone, *state_alone;
      int64_t length = 0, offset = 0;
      for (int t = 0; t < 4; offset += ragged[t++])
        if (b < ragged[t]) OK(sr_narrow(x, 0, offset + b, 1, &rows[length++]));
      OK(sr_cat((int)length, rows, 0, &own));
      release_all((int)length, rows);
      sr_recurrent_layer single_layer = l;
      single_layer.x = own;
      single_layer.steps = length;
      single_layer.batch_sizes = ones;
      OK(sr_recurrent(&single_layer, &alone, &state_alone, NULL, NULL));
      offset = 0;
      for (int t = 0; t < length; offset += ragged[t++])
        for (int j = 0; j < H; j++)
          assert_true(close_enough(((double *)sr_tensor_data(alone))[t * H + j],
                                   ((double *)sr_tensor_data(output))[(offset + b) * H + j],
                                   1e-14));
      for (int j = 0; j < H; j++)
        assert_true(close_enough(((double *)sr_tensor_data(state_alone))[j],
                                 ((double *)sr_tensor_data(hn))[b * H + j], 1e-14));
      release_all(3, (sr_tensor *[]){own, alone, state_alone});
    }
    release_all(2, (sr_tensor *[]){output, hn});
  }
  release_all(3, (sr_tensor *[]){x, w, u});
}

/* ---- more steps than fit the stack -------------------------------------------------------- */

static void long_sequence(void **state) {
  (void)state;
  enum { T = 300 };
  int64_t sizes[T];
  for (int t = 0; t < T; t++) sizes[t] = t < 200 ? 2 : 1;
  sr_tensor *x = empty(SR_float32, SIZES(500, 1)), *output, *hn, *sum;
  sr_tensor *w = leaf(tensor(SR_float32, SIZES(1, 1), VALUES(0.5)));
  sr_tensor *u = leaf(tensor(SR_float32, SIZES(1, 1), VALUES(0.5)));
  OK(sr_fill_(x, sr_number(1)));
  sr_recurrent_layer l = {.mode = SR_rnn_relu,
                          .steps = T,
                          .batch_sizes = sizes,
                          .x = x,
                          .weights = {{.weight_ih = w, .weight_hh = u}}};
  OK(sr_recurrent(&l, &output, &hn, NULL, NULL));
  EXPECT(hn, SR_float32, SIZES(1, 2, 1), VALUES(1, 1));
  OK(sr_sum(output, NULL, &sum));
  OK(sr_backward(sum, NULL, false));
  release_all(5, (sr_tensor *[]){sum, output, x, w, u});
}

/* ---- what a user can get wrong ------------------------------------------------------------ */

static void messages(void **state) {
  (void)state;
  sr_tensor *x = counting(SR_float32, SIZES(7, 58)), *narrow = counting(SR_float32, SIZES(7, 60));
  sr_tensor *w = counting(SR_float32, SIZES(4, 58)), *u = counting(SR_float32, SIZES(4, 4));
  sr_tensor *b = counting(SR_float32, SIZES(4)), *h = counting(SR_float32, SIZES(1, 1, 4)), *y, *hn;
  sr_tensor *wide = counting(SR_float64, SIZES(4)), *none = counting(SR_float32, SIZES(0, 0));
  sr_tensor *ids = counting(SR_int64, SIZES(7, 58)), *flat = counting(SR_float32, SIZES(58));
  sr_tensor *deep = counting(SR_float32, SIZES(2, 1, 60));
  sr_tensor *no_steps = empty(SR_float32, SIZES(0, 1, 58));
  static const int64_t sizes[] = {1, 1, 1, 1, 1, 1, 1}, growing[] = {1, 2, 4};
  static const int64_t huge[] = {INT64_MAX, INT64_MAX}, negative[] = {-1}, two[] = {4, 3};
  const sr_recurrent_layer good = {
      .mode = SR_rnn_tanh,
      .steps = 7,
      .batch_sizes = sizes,
      .x = x,
      .h0 = h,
      .weights = {{.weight_ih = w, .weight_hh = u, .bias_ih = b, .bias_hh = b}}};
#define WRONG(change, status, text)                             \
  do {                                                          \
    sr_recurrent_layer l = good;                                \
    change;                                                     \
    FAILS(sr_recurrent(&l, &y, &hn, NULL, NULL), status, text); \
  } while (0)
  WRONG(l.x = narrow, SR_SHAPE, "RNN: expected x [7, 58], got [7, 60]");
  WRONG(l.x = flat, SR_SHAPE, "RNN: expected x [7, 58], got [58]");
  WRONG(l.x = ids, SR_DTYPE, "RNN: a floating x is needed, got int64");
  WRONG(l.weights[0].weight_ih = u, SR_SHAPE, "RNN: expected x [7, 4], got [7, 58]");
  WRONG(l.weights[0].weight_hh = w, SR_SHAPE, "expected weight_hh [58, 58], got [4, 58]");
  WRONG(l.weights[0].weight_hh = none, SR_SHAPE,
        "expected weight_hh with 2 dimensions and elements, got [0, 0]");
  WRONG(l.weights[0].weight_ih = b, SR_SHAPE, "expected weight_ih with 2 dimensions");
  WRONG(l.weights[0].bias_ih = h, SR_SHAPE, "expected bias_ih [4], got [1, 1, 4]");
  WRONG(l.weights[0].bias_hh = wide, SR_DTYPE, "bias_hh is float64, x is float32");
  WRONG(l.h0 = u, SR_SHAPE, "expected h0 [1, 1, 4], got [4, 4]");
  WRONG(l.c0 = h, SR_ARGUMENT, "RNN: has no cell state, but c0 was given");
  WRONG(l.steps = 0, SR_SHAPE, "a sequence has at least 1 step, got 0");
  WRONG((l.steps = 3, l.batch_sizes = growing), SR_SHAPE, "not grow, got 2 at step 2");
  WRONG((l.steps = 1, l.batch_sizes = negative), SR_SHAPE, "must be positive");
  WRONG((l.steps = 2, l.batch_sizes = huge), SR_SHAPE, "at step 2");
  WRONG((l.steps = 2, l.batch_sizes = two), SR_SHAPE, "expected h0 [1, 4, 4], got [1, 1, 4]");
  WRONG(l.batch_sizes = NULL, SR_SHAPE,
        "expected x (steps, batch, inputs) or batch sizes, got [7, 58]");
  WRONG((l.batch_sizes = NULL, l.x = deep), SR_SHAPE, "expected x [2, 1, 58], got [2, 1, 60]");
  WRONG(l.batch = -1, SR_SHAPE, "at least 1 step");
  WRONG((l.steps = 1, l.batch_sizes = two, l.batch = 3), SR_SHAPE,
        "4 rows in step 1 of a batch of 3");
  WRONG(l.weights[0].weight_hr = u, SR_ARGUMENT, "has no projection");
  WRONG((l.weights[1] = l.weights[0], l.weights[1].weight_hh = w), SR_SHAPE,
        "expected weight_hh [4, 4], got [4, 58]");
  WRONG((l.batch_sizes = NULL, l.x = no_steps), SR_SHAPE, "at least 1 step, got 0");
  WRONG(l.steps = 6, SR_SHAPE, "expected x [6, 58], got [7, 58]");
  WRONG(l.mode = (sr_recurrent_mode)99, SR_ARGUMENT, "recurrent: no mode 99");
  release_all(12, (sr_tensor *[]){x, narrow, w, u, b, h, wide, none, ids, flat, deep, no_steps});
}

/* A weight that changes between forward and backward is noticed. */
static void changed_weight(void **state) {
  (void)state;
  static const int64_t sizes[] = {1};
  sr_tensor *x = counting(SR_float32, SIZES(1, 2)), *w = leaf(counting(SR_float32, SIZES(2, 2)));
  sr_tensor *u = leaf(counting(SR_float32, SIZES(2, 2))), *y, *hn, *sum;
  sr_recurrent_layer l = {.mode = SR_rnn_tanh,
                          .steps = 1,
                          .batch_sizes = sizes,
                          .x = x,
                          .weights = {{.weight_ih = w, .weight_hh = u}}};
  OK(sr_recurrent(&l, &y, &hn, NULL, NULL));
  OK(sr_sum(hn, NULL, &sum));
  assert_string_equal(sr_grad_fn(y), "rnn_tanh");
  bool recording = sr_set_grad_enabled(false);
  OK(sr_fill_(u, sr_number(0)));
  sr_set_grad_enabled(recording);
  FAILS(sr_backward(sum, NULL, false), SR_STATE, "rnn_tanh was changed in place");
  release_all(6, (sr_tensor *[]){sum, y, hn, x, w, u});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(gradients),           TEST(gradients_lstm), TEST(no_steps), TEST(empty_batch),
      TEST(packed_equals_alone), TEST(long_sequence),  TEST(messages), TEST(changed_weight),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
