/* test_recurrent_kernels.c: the recurrent kernels of the CPU backend, forward against
 * plain loops in double precision, backward against finite differences. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/products.h"
#include "backend/recurrent_modes.h"

static uint32_t random_word = 1;

static int64_t draw(int64_t below) {
  random_word = random_word * 1664525u + 1013904223u;
  return (int64_t)((random_word >> 8) % (uint32_t)below);
}

/* Never a round number: at a kink of relu differences would give half the slope. */
static double draw_value(void) { return ((double)draw(1 << 24) + 0.37) / (1 << 23) - 1; }

/* ---- arrays of either dtype ----------------------------------------------------- */

typedef struct {
  sr_dtype dtype;
  int64_t count;
  void *data; /* NULL: absent */
} array;

static array blank(sr_dtype dtype, int64_t count) {
  return (array){dtype, count, calloc((size_t)count + 1, sr_dtype_bytes(dtype))};
}

static double get(array x, int64_t i) {
  if (!x.data) return 0;
  return x.dtype == SR_float32 ? ((const float *)x.data)[i] : ((const double *)x.data)[i];
}

static void put(array x, int64_t i, double value) {
  if (x.dtype == SR_float32)
    ((float *)x.data)[i] = (float)value;
  else
    ((double *)x.data)[i] = value;
}

static array noise(sr_dtype dtype, int64_t count, double size) {
  array x = blank(dtype, count);
  for (int64_t i = 0; i < count; i++) put(x, i, size * draw_value());
  return x;
}

static array copy(array x, sr_dtype dtype) {
  if (!x.data) return (array){dtype, x.count, NULL};
  array to = blank(dtype, x.count);
  for (int64_t i = 0; i < x.count; i++) put(to, i, get(x, i));
  return to;
}

static double dot(array x, array y) {
  double sum = 0;
  for (int64_t i = 0; i < x.count; i++) sum += get(x, i) * get(y, i);
  return sum;
}

/* ---- a layer --------------------------------------------------------------------------- */

enum { MOST_STEPS = 20 };

/* Everything that goes into a plan. Results are made anew by forward(). */
typedef struct {
  sr_recurrent_mode mode;
  const sr_recurrent_mode_info *info;
  sr_dtype dtype;
  bool reverse;
  int64_t steps, rows, batch, hidden, width;
  int64_t batch_sizes[MOST_STEPS], offset[MOST_STEPS];
  array sums, weight, bias, h0, c0;                /* inputs */
  array grad_output, grad_hn, grad_cn;             /* NULL: absent */
  array gates, output, hn, cells, cn;              /* results of forward */
  array grad_gates, grad_hidden, grad_h0, grad_c0; /* results of backward */
  sr_memo *memo;
} layer;

static void set_sizes(layer *l, int64_t steps, int64_t batch, bool ragged) {
  l->steps = steps;
  l->batch = batch;
  l->rows = 0;
  int64_t alive = batch;
  if (ragged && batch > 1) alive -= draw(2); /* a sequence of length 0 */
  for (int64_t t = 0; t < steps; t++) {
    if (ragged && t > 0) alive -= draw(alive) * draw(2) / 2;
    l->batch_sizes[t] = alive;
    l->offset[t] = l->rows;
    l->rows += alive;
  }
}

static int64_t length_of(const layer *l, int64_t b) {
  int64_t length = 0;
  while (length < l->steps && l->batch_sizes[length] > b) length++;
  return length;
}

static void fill_layer(layer *l, sr_recurrent_mode mode, sr_dtype dtype, int64_t hidden,
                       bool with_h0, bool with_bias) {
  l->mode = mode;
  l->info = &sr__recurrent_modes[mode];
  l->dtype = dtype;
  l->hidden = hidden;
  l->width = l->info->gates * hidden;
  l->sums = noise(dtype, l->rows * l->width, 2);
  l->weight = noise(dtype, l->width * hidden, 1.5 / sqrt((double)hidden));
  l->bias = with_bias ? noise(dtype, l->width, 0.5) : (array){dtype, l->width, NULL};
  l->h0 = with_h0 ? noise(dtype, l->batch * hidden, 1) : (array){dtype, l->batch * hidden, NULL};
  l->c0 = with_h0 ? noise(dtype, l->batch * hidden, 1) : (array){dtype, l->batch * hidden, NULL};
  l->grad_output = noise(dtype, l->rows * hidden, 1);
  l->grad_hn = noise(dtype, l->batch * hidden, 1);
  l->grad_cn = noise(dtype, l->batch * hidden, 1);
}

static void make_results(layer *l) {
  int64_t states = l->batch * l->hidden;
  l->gates = copy(l->sums, l->dtype);
  l->output = blank(l->dtype, l->rows * l->hidden);
  l->cells = blank(l->dtype, l->rows * l->hidden);
  l->hn = blank(l->dtype, states);
  l->cn = blank(l->dtype, states);
  l->grad_gates = blank(l->dtype, l->rows * l->width);
  l->grad_hidden = blank(l->dtype, l->rows * l->width);
  l->grad_h0 = blank(l->dtype, states);
  l->grad_c0 = blank(l->dtype, states);
}

static void free_results(layer *l) {
  array *all[] = {&l->gates,      &l->output,      &l->hn,      &l->cells,  &l->cn,
                  &l->grad_gates, &l->grad_hidden, &l->grad_h0, &l->grad_c0};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->data), all[i]->data = NULL;
}

static void free_layer(layer *l) {
  array *all[] = {&l->sums, &l->weight,      &l->bias,    &l->h0,
                  &l->c0,   &l->grad_output, &l->grad_hn, &l->grad_cn};
  free_results(l);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->data);
}

static sr_recurrent_plan plan_of(const layer *l) {
  bool cell = l->info->states > 1;
  return (sr_recurrent_plan){
      .mode = l->mode,
      .dtype = l->dtype,
      .reverse = l->reverse,
      .steps = l->steps,
      .rows = l->rows,
      .batch = l->batch,
      .hidden = l->hidden,
      .state = l->hidden,
      .output_row = l->hidden,
      .cells_row = l->hidden,
      .batch_sizes = l->batch_sizes,
      .offset = l->offset,
      .weight_hh = l->weight.data,
      .memo_hh = l->memo,
      .bias_hh = l->bias.data,
      .h0 = l->h0.data,
      .c0 = cell ? l->c0.data : NULL,
      .gates = l->gates.data,
      .output = l->output.data,
      .hn = l->hn.data,
      .cells = l->info->keeps_cells ? l->cells.data : NULL,
      .cn = cell ? l->cn.data : NULL,
      .grad_output = l->grad_output.data,
      .grad_hn = l->grad_hn.data,
      .grad_cn = cell ? l->grad_cn.data : NULL,
      .grad_gates = l->grad_gates.data,
      .grad_hidden_gates = l->info->splits_gates ? l->grad_hidden.data : NULL,
      .grad_h0 = l->grad_h0.data,
      .grad_c0 = cell ? l->grad_c0.data : NULL};
}

static void forward(layer *l) {
  make_results(l);
  sr_recurrent_plan plan = plan_of(l);
  assert_int_equal(sr__cpu_recurrent(1, &plan), SR_OK);
}

static void backward(layer *l) {
  sr_recurrent_plan plan = plan_of(l);
  assert_int_equal(sr__cpu_recurrent_grad(1, &plan), SR_OK);
}

/* ---- forward against plain loops ---------------------------------------------------------- */

static bool is_mode(const layer *l, const char *name) { return strcmp(l->info->name, name) == 0; }

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* One step of one unit: s and u are the input and hidden side of its gates. */
static double unit(const layer *l, const double *s, const double *u, double h, double *c) {
  if (is_mode(l, "rnn_tanh")) return tanh(s[0] + u[0]);
  if (is_mode(l, "rnn_relu")) return fmax(s[0] + u[0], 0);
  if (is_mode(l, "lstm")) {
    *c = sigmoid(s[1] + u[1]) * *c + sigmoid(s[0] + u[0]) * tanh(s[2] + u[2]);
    return sigmoid(s[3] + u[3]) * tanh(*c);
  }
  if (is_mode(l, "gru")) {
    double r = sigmoid(s[0] + u[0]), z = sigmoid(s[1] + u[1]), n = tanh(s[2] + r * u[2]);
    return (1 - z) * n + z * h;
  }
  fail_msg("no reference for mode %s", l->info->name);
  return 0;
}

static void check_close(const layer *l, const char *what, array x, int64_t i, double expected) {
  double bound = l->dtype == SR_float32 ? 2e-4 : 1e-11;
  if (!(fabs(get(x, i) - expected) <= bound * (1 + fabs(expected))))
    fail_msg("%s %s reverse %d T %lld B %lld H %lld: %s[%lld] is %.9g, expected %.9g",
             l->info->name, sr_dtype_name(l->dtype), l->reverse, (long long)l->steps,
             (long long)l->batch, (long long)l->hidden, what, (long long)i, get(x, i), expected);
}

/* The steps of sequence b, by itself. */
static void check_sequence(const layer *l, int64_t b) {
  int64_t length = length_of(l, b), H = l->hidden;
  double *h = malloc((size_t)H * sizeof *h), *c = malloc((size_t)H * sizeof *c);
  double *next = malloc((size_t)H * sizeof *next);
  for (int64_t j = 0; j < H; j++) h[j] = get(l->h0, b * H + j), c[j] = get(l->c0, b * H + j);
  for (int64_t i = 0; i < length; i++) {
    int64_t row = l->offset[l->reverse ? length - 1 - i : i] + b;
    for (int64_t j = 0; j < H; j++) {
      double s[4] = {0}, u[4] = {0};
      for (int64_t g = 0; g < l->info->gates; g++) {
        int64_t at = g * H + j;
        s[g] = get(l->sums, row * l->width + at);
        u[g] = get(l->bias, at);
        for (int64_t q = 0; q < H; q++) u[g] += get(l->weight, at * H + q) * h[q];
      }
      next[j] = unit(l, s, u, h[j], &c[j]);
      check_close(l, "output", l->output, row * H + j, next[j]);
      if (l->info->states > 1) check_close(l, "cells", l->cells, row * H + j, c[j]);
    }
    memcpy(h, next, (size_t)H * sizeof *h);
  }
  for (int64_t j = 0; j < H; j++) {
    check_close(l, "hn", l->hn, b * H + j, h[j]);
    if (l->info->states > 1) check_close(l, "cn", l->cn, b * H + j, c[j]);
  }
  free(h), free(c), free(next);
}

/* Calls body on layers of all kinds: modes, padded and ragged, reverse, without h0. */
static void each_layer(sr_dtype dtype, int64_t largest_hidden, int rounds, void (*body)(layer *)) {
  for (int mode = 0; mode < SR_RECURRENT_MODES; mode++)
    for (int i = 0; i < rounds; i++) {
      sr_memo memo = {0};
      layer l = {.reverse = i & 1, .memo = i & 8 ? NULL : &memo};
      set_sizes(&l, 1 + draw(MOST_STEPS), 1 + draw(9), i & 2);
      fill_layer(&l, (sr_recurrent_mode)mode, dtype, 1 + draw(largest_hidden), i & 4, draw(2));
      body(&l);
      free_layer(&l);
      sr__cpu_drop_memo(&memo);
    }
}

static void check_forward(layer *l) {
  forward(l);
  for (int64_t b = 0; b < l->batch; b++) check_sequence(l, b);
}

static void forward_is_right(void **state) {
  (void)state;
  each_layer(SR_float32, 70, 64, check_forward);
  each_layer(SR_float64, 70, 32, check_forward);
}

/* ---- backward ------------------------------------------------------------------------------- */

/* sum of grad_output output + grad_hn hn + grad_cn cn: the function that is differentiated */
static double loss(layer *l) {
  forward(l);
  double sum = dot(l->output, l->grad_output) + dot(l->hn, l->grad_hn);
  if (l->info->states > 1) sum += dot(l->cn, l->grad_cn);
  free_results(l);
  return sum;
}

/* The slope of the loss along `direction` of one input. */
static double slope(layer *l, array input, array direction, double step) {
  array kept = copy(input, input.dtype);
  double side[2];
  for (int s = 0; s < 2; s++) {
    for (int64_t i = 0; i < input.count; i++)
      put(input, i, get(kept, i) + (s ? -step : step) * get(direction, i));
    if (l->memo) l->memo->version++;
    side[s] = loss(l);
  }
  memcpy(input.data, kept.data, (size_t)input.count * sr_dtype_bytes(input.dtype));
  if (l->memo) l->memo->version++;
  free(kept.data);
  return (side[0] - side[1]) / (2 * step);
}

static void check_slope(layer *l, const char *what, array input, array gradient) {
  for (int i = 0; input.data && i < 3; i++) {
    array direction = noise(l->dtype, input.count, 1);
    double expected = dot(gradient, direction), got = 0;
    double bound = 1e-5 * (1 + fabs(expected) + sqrt((double)input.count));
    bool close = false; /* the kink of a relu may lie within a step: then a smaller one */
    for (double step = 1e-6; step > 1e-8 && !close; step /= 8) {
      got = slope(l, input, direction, step);
      close = fabs(expected - got) <= bound;
    }
    if (!close)
      fail_msg(
          "%s reverse %d T %lld B %lld H %lld: gradient of %s gives slope %.9g, "
          "differences %.9g",
          l->info->name, l->reverse, (long long)l->steps, (long long)l->batch, (long long)l->hidden,
          what, expected, got);
    free(direction.data);
  }
}

/* The hidden state before row b of step t. */
static double state_before(const layer *l, int64_t t, int64_t b, int64_t j) {
  bool first = l->reverse ? t == length_of(l, b) - 1 : t == 0;
  if (first) return get(l->h0, b * l->hidden + j);
  return get(l->output, (l->offset[l->reverse ? t + 1 : t - 1] + b) * l->hidden + j);
}

/* Gradients of weight_hh and bias_hh, as the op layer makes them from the hidden side's. */
static void weight_gradients(const layer *l, array hidden_side, array weight, array bias) {
  for (int64_t t = 0; t < l->steps; t++)
    for (int64_t b = 0; b < l->batch_sizes[t]; b++)
      for (int64_t i = 0; i < l->width; i++) {
        double g = get(hidden_side, (l->offset[t] + b) * l->width + i);
        put(bias, i, get(bias, i) + g);
        for (int64_t j = 0; j < l->hidden; j++) {
          int64_t at = i * l->hidden + j;
          put(weight, at, get(weight, at) + g * state_before(l, t, b, j));
        }
      }
}

static void check_backward(layer *l) {
  if (l->batch & 1) { /* what has no gradient counts as zeros */
    array *absent = draw(2) ? &l->grad_output : &l->grad_hn;
    free(absent->data);
    absent->data = NULL;
  }
  forward(l);
  backward(l);
  layer done = *l;
  array weight = blank(l->dtype, l->weight.count), bias = blank(l->dtype, l->width);
  weight_gradients(&done, l->info->splits_gates ? l->grad_hidden : l->grad_gates, weight, bias);
  check_slope(l, "gates", l->sums, done.grad_gates);
  check_slope(l, "h0", l->h0, done.grad_h0);
  if (l->info->states > 1) check_slope(l, "c0", l->c0, done.grad_c0);
  check_slope(l, "weight_hh", l->weight, weight);
  check_slope(l, "bias_hh", l->bias, bias);
  free(weight.data), free(bias.data);
  free_results(&done);
}

static void backward_agrees_with_differences(void **state) {
  (void)state;
  each_layer(SR_float64, 40, 48, check_backward);
}

/* Past the size up to which weight_hh is used unpacked. */
static void large_weights(void **state) {
  (void)state;
  sr_memo memo = {0};
  for (int mode = 0; mode < SR_RECURRENT_MODES; mode++) {
    layer l = {.memo = mode & 1 ? NULL : &memo};
    set_sizes(&l, 3, 2, true);
    fill_layer(&l, (sr_recurrent_mode)mode, SR_float64, 400, true, true);
    check_forward(&l);
    free_results(&l);
    check_backward(&l);
    free_layer(&l);
    sr__cpu_drop_memo(&memo);
  }
}

/* Float32 against float64, which the finite differences check. */
static void check_float32(layer *l) {
  layer wide = *l;
  array *from[] = {&l->sums, &l->weight,      &l->bias,    &l->h0,
                   &l->c0,   &l->grad_output, &l->grad_hn, &l->grad_cn};
  array *to[] = {&wide.sums, &wide.weight,      &wide.bias,    &wide.h0,
                 &wide.c0,   &wide.grad_output, &wide.grad_hn, &wide.grad_cn};
  for (size_t i = 0; i < sizeof to / sizeof *to; i++) *to[i] = copy(*from[i], SR_float64);
  wide.dtype = SR_float64;
  forward(l);
  forward(&wide);
  /* The same states for both, or relu units near 0 could differ. */
  for (int64_t i = 0; i < l->output.count; i++) put(wide.output, i, get(l->output, i));
  backward(l);
  backward(&wide);
  double size = 1;
  for (int64_t i = 0; i < wide.grad_gates.count; i++)
    size = fmax(size, fabs(get(wide.grad_gates, i)));
  for (int64_t i = 0; i < l->grad_gates.count; i++)
    if (!(fabs(get(l->grad_gates, i) - get(wide.grad_gates, i)) < 2e-4 * size))
      fail_msg("%s: grad_gates[%lld]", l->info->name, (long long)i);
  for (int64_t i = 0; i < l->grad_h0.count; i++)
    if (!(fabs(get(l->grad_h0, i) - get(wide.grad_h0, i)) < 2e-4 * size))
      fail_msg("%s: grad_h0[%lld]", l->info->name, (long long)i);
  free_layer(&wide);
}

static void float32_agrees_with_float64(void **state) {
  (void)state;
  each_layer(SR_float32, 70, 48, check_float32);
}

/* grad_h0 NULL leaves the gradients of the gates as they are. */
static void check_without_grad_h0(layer *l) {
  forward(l);
  backward(l);
  array kept = copy(l->grad_gates, l->dtype);
  sr_recurrent_plan plan = plan_of(l);
  plan.grad_h0 = plan.grad_c0 = NULL;
  memset(l->grad_gates.data, 0, (size_t)l->grad_gates.count * sr_dtype_bytes(l->dtype));
  assert_int_equal(sr__cpu_recurrent_grad(1, &plan), SR_OK);
  assert_memory_equal(kept.data, l->grad_gates.data, (size_t)kept.count * sr_dtype_bytes(l->dtype));
  free(kept.data);
}

static void grad_h0_is_optional(void **state) {
  (void)state;
  each_layer(SR_float32, 40, 16, check_without_grad_h0);
}

/* ---- bits ---------------------------------------------------------------------------- */

static void gather_rows(const layer *l, int64_t b, array from, array to, int64_t width) {
  size_t size = (size_t)width * sr_dtype_bytes(l->dtype);
  for (int64_t t = 0; from.data && t < length_of(l, b); t++)
    memcpy((char *)to.data + (size_t)t * size,
           (char *)from.data + (size_t)(l->offset[t] + b) * size, size);
}

static void assert_rows_equal(const layer *l, int64_t b, array all, array alone, int64_t width) {
  size_t size = (size_t)width * sr_dtype_bytes(l->dtype);
  for (int64_t t = 0; t < length_of(l, b); t++)
    assert_memory_equal((char *)alone.data + (size_t)t * size,
                        (char *)all.data + (size_t)(l->offset[t] + b) * size, size);
}

/* A sequence alone has the bits that it has in the batch. */
static void check_alone(layer *l) {
  forward(l);
  backward(l);
  size_t state = (size_t)l->hidden * sizeof(float);
  for (int64_t b = 0; b < l->batch; b++) {
    layer one = {.reverse = l->reverse};
    if (!length_of(l, b)) continue;
    set_sizes(&one, length_of(l, b), 1, false);
    fill_layer(&one, l->mode, l->dtype, l->hidden, l->h0.data, l->bias.data);
    gather_rows(l, b, l->sums, one.sums, l->width);
    gather_rows(l, b, l->grad_output, one.grad_output, l->hidden);
    memcpy(one.weight.data, l->weight.data, (size_t)l->width * state);
    if (l->bias.data) memcpy(one.bias.data, l->bias.data, (size_t)l->width * sizeof(float));
    array *from[] = {&l->h0, &l->c0, &l->grad_hn, &l->grad_cn};
    array *to[] = {&one.h0, &one.c0, &one.grad_hn, &one.grad_cn};
    for (int i = 0; i < 4; i++)
      if (from[i]->data) memcpy(to[i]->data, (char *)from[i]->data + (size_t)b * state, state);
    forward(&one);
    backward(&one);
    assert_rows_equal(l, b, l->output, one.output, l->hidden);
    assert_rows_equal(l, b, l->grad_gates, one.grad_gates, l->width);
    assert_memory_equal(one.hn.data, (char *)l->hn.data + (size_t)b * state, state);
    assert_memory_equal(one.grad_h0.data, (char *)l->grad_h0.data + (size_t)b * state, state);
    free_layer(&one);
  }
}

static void alone_as_in_a_batch(void **state) {
  (void)state;
  each_layer(SR_float32, 70, 48, check_alone);
}

static void threads_do_not_change_results(void **state) {
  (void)state;
  for (int mode = 0; mode < SR_RECURRENT_MODES; mode++) {
    layer l = {0};
    set_sizes(&l, 3, 40, true);
    fill_layer(&l, (sr_recurrent_mode)mode, SR_float32, 300, true, true);
    array output = {0}, gradient = {0};
    for (int threads = 1; threads <= 4; threads++) {
      sr_set_num_threads(threads);
      forward(&l);
      backward(&l);
      size_t bytes = (size_t)l.output.count * sizeof(float);
      if (threads == 1) {
        output = copy(l.output, l.dtype);
        gradient = copy(l.grad_gates, l.dtype);
      }
      assert_memory_equal(output.data, l.output.data, bytes);
      assert_memory_equal(gradient.data, l.grad_gates.data, bytes * (size_t)l.info->gates);
      free_results(&l);
    }
    free(output.data), free(gradient.data);
    free_layer(&l);
  }
  sr_set_num_threads(1);
}

/* ---- memory -------------------------------------------------------------------------- */

/* Every request fails once; nothing leaks and the memo stays good. */
static void check_failing_allocations(layer *l) {
  int64_t blocks = sr_memory_stats().live_blocks;
  make_results(l);
  sr_recurrent_plan plan = plan_of(l);
  plan.grad_h0 = plan.grad_c0 = NULL;
  for (int pass = 0; pass < 2; pass++) {
    sr_status status = SR_MEMORY;
    for (int64_t n = 1; status != SR_OK; n++) {
      assert_true(n < 10);
      sr_memory_fail_at(n, false);
      status = pass ? sr__cpu_recurrent_grad(1, &plan) : sr__cpu_recurrent(1, &plan);
      assert_true(status == SR_OK || status == SR_MEMORY);
    }
    sr_memory_fail_at(0, false);
  }
  if (l->memo) sr__cpu_drop_memo(l->memo);
  assert_int_equal(sr_memory_stats().live_blocks, blocks);
}

static void failing_allocations(void **state) {
  (void)state;
  each_layer(SR_float32, 30, 16, check_failing_allocations);
}

/* Steady state: packed weights stay, scratch comes from the allocator's cache. */
static void steady_state_takes_no_new_memory(void **state) {
  (void)state;
  sr_memo memo = {0};
  layer l = {.memo = &memo};
  set_sizes(&l, 7, 1, false);
  fill_layer(&l, SR_rnn_tanh, SR_float32, 128, false, true);
  make_results(&l);
  sr_recurrent_plan plan = plan_of(&l);
  sr_memory_info info[2];
  for (int i = 0; i < 2; i++) {
    assert_int_equal(sr__cpu_recurrent(1, &plan), SR_OK);
    assert_int_equal(sr__cpu_recurrent_grad(1, &plan), SR_OK);
    info[i] = sr_memory_stats();
  }
  assert_int_equal(info[0].live_blocks, info[1].live_blocks);
  assert_int_equal(info[0].live_bytes + info[0].cached_bytes,
                   info[1].live_bytes + info[1].cached_bytes);
  sr__cpu_drop_memo(&memo);
  free_layer(&l);
}

/* Nothing to do but hand the states on. */
static void no_steps(void **state) {
  (void)state;
  layer l = {0};
  set_sizes(&l, 0, 3, false);
  fill_layer(&l, SR_rnn_tanh, SR_float32, 5, true, true);
  forward(&l);
  backward(&l);
  assert_memory_equal(l.hn.data, l.h0.data, 15 * sizeof(float));
  assert_memory_equal(l.grad_h0.data, l.grad_hn.data, 15 * sizeof(float));
  free_layer(&l);
}

static int start(void **state) {
  (void)state;
  return sr_start() == SR_OK && sr_set_num_threads(1) == SR_OK ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(forward_is_right),
      cmocka_unit_test(backward_agrees_with_differences),
      cmocka_unit_test(large_weights),
      cmocka_unit_test(float32_agrees_with_float64),
      cmocka_unit_test(grad_h0_is_optional),
      cmocka_unit_test(alone_as_in_a_batch),
      cmocka_unit_test(threads_do_not_change_results),
      cmocka_unit_test(failing_allocations),
      cmocka_unit_test(steady_state_takes_no_new_memory),
      cmocka_unit_test(no_steps),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
