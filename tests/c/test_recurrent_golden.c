/* test_recurrent_golden.c: the recurrent layer operation against reference cases: stacks of
 * layers, both directions, packed batches, cells. */
#include "golden_case.h"

static void release_all(int n, sr_tensor *const *t) {
  for (int i = 0; i < n; i++) sr_tensor_release(t[i]);
}

/* ---- reference cases: stacks of layers ---------------------------------------------------- */

enum { MAX_PARAMETERS = 24, MAX_STEPS = 64 };

typedef struct {
  golden_case_tensors c;
  sr_recurrent_layer layer; /* what all layers share */
  bool batch_first, both;
  int layers;
  int n; /* parameters in use */
  struct {
    char name[80];
    sr_tensor *tensor;
  } parameters[MAX_PARAMETERS];
} stack;

static bool option(stack *s, const char *name) {
  return json_is_true(json_object_get(json_object_get(golden_case(s->c.file), "options"), name));
}

static sr_recurrent_mode mode_of(stack *s) {
  json_t *all = golden_case(s->c.file);
  const char *module = json_string_value(json_object_get(all, "module"));
  const char *nonlinearity =
      json_string_value(json_object_get(json_object_get(all, "options"), "nonlinearity"));
  if (!strncmp(module, "LSTM", 4)) return SR_lstm;
  if (!strncmp(module, "GRU", 3)) return SR_gru;
  return nonlinearity && !strcmp(nonlinearity, "relu") ? SR_rnn_relu : SR_rnn_tanh;
}

static void open_stack(stack *s, const char *name) {
  *s = (stack){.c = golden_case_open(name)};
  json_t *options = json_object_get(golden_case(s->c.file), "options");
  json_t *layers = json_object_get(options, "num_layers");
  s->layers = layers ? (int)json_integer_value(layers) : 1;
  s->both = option(s, "bidirectional");
  s->batch_first = option(s, "batch_first");
  s->layer.mode = mode_of(s);
}

static void close_stack(stack *s) { golden_case_close(&s->c); }

static sr_tensor *parameter(stack *s, const char *what, int layer, bool reverse) {
  char name[64], given[80];
  snprintf(name, sizeof name, "%s_l%d%s", what, layer, reverse ? "_reverse" : "");
  snprintf(given, sizeof given, "weight.%s", name);
  sr_tensor *t = golden_optional(&s->c, given);
  if (!t) return NULL;
  assert_true(s->n < MAX_PARAMETERS);
  snprintf(s->parameters[s->n].name, sizeof s->parameters->name, "grad.%s", name);
  return s->parameters[s->n++].tensor = t;
}

static void expect_gradients(stack *s) {
  for (int i = 0; i < s->n; i++)
    golden_expect_grad(&s->c, s->parameters[i].name, s->parameters[i].tensor);
  assert_true(s->n >= 2);
}

/* h0 and c0 (L D, B, H) or NULL; this is number `state` of the L D. */
static void run_direction(stack *s, sr_tensor *x, int layer, bool reverse, sr_tensor *h0,
                          sr_tensor *c0, int state, sr_tensor **output, sr_tensor **hn,
                          sr_tensor **cn) {
  sr_recurrent_layer l = s->layer;
  l.x = x;
  l.reverse = reverse;
  l.weight_ih = parameter(s, "weight_ih", layer, reverse);
  l.weight_hh = parameter(s, "weight_hh", layer, reverse);
  l.bias_ih = parameter(s, "bias_ih", layer, reverse);
  l.bias_hh = parameter(s, "bias_hh", layer, reverse);
  if (h0) OK(sr_select(h0, 0, state, &l.h0));
  if (c0) OK(sr_select(c0, 0, state, &l.c0));
  OK(sr_recurrent(&l, output, hn, cn));
  sr_tensor_release(l.h0);
  sr_tensor_release(l.c0);
}

/* All layers and directions over rows x (N, I): output (N, D H), hn and cn (L D, B, H); cn is
 * NULL where the mode has none. */
static void run_stack(stack *s, sr_tensor *x, sr_tensor *h0, sr_tensor *c0, sr_tensor **output,
                      sr_tensor **hn, sr_tensor **cn) {
  sr_tensor *states[8], *cells[8] = {0}, *parts[2];
  int n = 0;
  *output = sr_tensor_retain(x);
  for (int layer = 0; layer < s->layers; layer++) {
    for (int d = 0; d < 1 + s->both; d++, n++)
      run_direction(s, *output, layer, d, h0, c0, n, &parts[d], &states[n], &cells[n]);
    sr_tensor_release(*output);
    OK(sr_cat(1 + s->both, parts, -1, output));
    release_all(1 + s->both, parts);
  }
  OK(sr_stack(n, states, 0, hn));
  release_all(n, states);
  *cn = NULL;
  if (cells[0]) OK(sr_stack(n, cells, 0, cn));
  release_all(n, cells);
}

/* Backward through y, hn and, where there is one, cn; then all values and gradients. */
static void expect_case(stack *s, sr_tensor *y, sr_tensor *hn, sr_tensor *cn, sr_tensor *x,
                        sr_tensor *h0, sr_tensor *c0) {
  golden_backward(&s->c, cn ? 3 : 2, (sr_tensor *[]){y, hn, cn},
                  (const char *[]){"cot.y", "cot.hn", "cot.cn"});
  golden_compare(&s->c, "y", y);
  golden_compare(&s->c, "hn", hn);
  if (cn) golden_compare(&s->c, "cn", cn);
  golden_expect_grad(&s->c, "grad.x", x);
  golden_expect_grad(&s->c, "grad.h0", h0);
  golden_expect_grad(&s->c, "grad.c0", c0);
  expect_gradients(s);
}

/* The first two dimensions swapped, where the case has the batch first. */
static sr_tensor *steps_first(const stack *s, sr_tensor *x) {
  sr_tensor *y;
  if (s->batch_first)
    OK(sr_transpose(x, 0, 1, &y));
  else
    y = sr_tensor_retain(x);
  return y;
}

static void padded_case(const char *name) {
  stack s;
  open_stack(&s, name);
  int64_t sizes[MAX_STEPS];
  sr_tensor *x = golden_input(&s.c, "x"), *h0 = golden_optional(&s.c, "h0"), *rows, *output, *hn;
  sr_tensor *c0 = golden_optional(&s.c, "c0"), *cn;
  sr_tensor *steps = steps_first(&s, x), *shaped;
  const int64_t *shape = sr_tensor_sizes(steps);
  for (int64_t t = 0; t < shape[0]; t++) sizes[t] = shape[1];
  s.layer.steps = shape[0];
  s.layer.batch_sizes = sizes;
  OK(sr_flatten(steps, 0, 1, &rows));
  run_stack(&s, rows, h0, c0, &output, &hn, &cn);
  OK(sr_view(output, 3, (int64_t[]){shape[0], shape[1], sr_tensor_sizes(output)[1]}, &shaped));
  sr_tensor *y = steps_first(&s, shaped);

  expect_case(&s, y, hn, cn, x, h0, c0);
  release_all(7, (sr_tensor *[]){steps, rows, output, hn, cn, shaped, y});
  close_stack(&s);
}

static const char *const modules[] = {"RNN", "LSTM", "GRU"};
enum { MODULES = 3 };

static void golden_padded(void **state) {
  (void)state;
  static const char *const kinds[] = {"plain", "b1_t1", "bf_2layer", "bi", "bi_3layer_nobias",
                                      "wide"};
  for (int m = 0; m < MODULES; m++)
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
      char name[64];
      snprintf(name, sizeof name, "%s_%s", modules[m], kinds[i]);
      padded_case(name);
    }
  padded_case("RNN_relu");
}

/* ---- reference cases: packed batches ------------------------------------------------------ */

/* Lengths of the case, and the batch in falling order of length. */
typedef struct {
  int64_t batch, steps, rows;
  int64_t length[16], order[16]; /* order[j]: which sequence is the j-th longest */
  int64_t batch_sizes[MAX_STEPS], offset[MAX_STEPS];
} packing;

static packing packing_of(stack *s) {
  packing p = {.batch = 0};
  size_t i;
  json_t *length;
  json_array_foreach(json_object_get(golden_case(s->c.file), "lengths"), i, length) {
    p.length[p.batch] = json_integer_value(length);
    int64_t j = p.batch++;
    for (; j > 0 && p.length[p.order[j - 1]] < p.length[i]; j--) p.order[j] = p.order[j - 1];
    p.order[j] = (int64_t)i;
  }
  p.steps = p.length[p.order[0]];
  for (int64_t t = 0; t < p.steps; t++) {
    p.offset[t] = p.rows;
    while (p.batch_sizes[t] < p.batch && p.length[p.order[p.batch_sizes[t]]] > t)
      p.batch_sizes[t]++;
    p.rows += p.batch_sizes[t];
  }
  return p;
}

/* x.index_select(dim, index), index counting from 0 */
static sr_tensor *pick(sr_tensor *x, int dim, int64_t n, const int64_t *index) {
  int64_t positions[512];
  sr_tensor *ids, *y;
  assert_true(n <= 512);
  for (int64_t i = 0; i < n; i++) positions[i] = index[i] + 1;
  OK(sr_tensor_from(SR_int64, 1, &n, positions, SR_CPU, &ids));
  OK(sr_index_select(x, dim, ids, &y));
  sr_tensor_release(ids);
  return y;
}

/* Row of the padded (T, B) tensor for each packed row. */
static void packed_rows(const packing *p, int64_t *index) {
  for (int64_t t = 0; t < p->steps; t++)
    for (int64_t j = 0; j < p->batch_sizes[t]; j++)
      index[p->offset[t] + j] = t * p->batch + p->order[j];
}

/* Packed row for each padded one; one behind the last for padding. */
static void padded_rows(const packing *p, int64_t *index) {
  int64_t packed[512];
  for (int64_t i = 0; i < p->steps * p->batch; i++) index[i] = p->rows;
  packed_rows(p, packed);
  for (int64_t r = 0; r < p->rows; r++) index[packed[r]] = r;
}

static sr_tensor *pack(stack *s, const packing *p, sr_tensor *x) {
  int64_t index[512];
  sr_tensor *steps = steps_first(s, x), *rows;
  OK(sr_flatten(steps, 0, 1, &rows));
  packed_rows(p, index);
  sr_tensor *packed = pick(rows, 0, p->rows, index);
  release_all(2, (sr_tensor *[]){steps, rows});
  return packed;
}

static sr_tensor *pad(stack *s, const packing *p, sr_tensor *output) {
  int64_t index[512], width = sr_tensor_sizes(output)[1];
  sr_tensor *zeros, *extended, *shaped;
  OK(sr_tensor_full(SR_float32, SIZES(1, width), sr_number(0), SR_CPU, &zeros));
  OK(sr_cat(2, (sr_tensor *[]){output, zeros}, 0, &extended));
  padded_rows(p, index);
  sr_tensor *rows = pick(extended, 0, p->steps * p->batch, index);
  OK(sr_view(rows, 3, (int64_t[]){p->steps, p->batch, width}, &shaped));
  sr_tensor *y = steps_first(s, shaped);
  release_all(4, (sr_tensor *[]){zeros, extended, rows, shaped});
  return y;
}

static void packed_case(const char *name) {
  stack s;
  open_stack(&s, name);
  packing p = packing_of(&s);
  golden_tensor sizes = golden_get(s.c.file, "packed.batch_sizes");
  assert_int_equal(sizes.numel, p.steps);
  assert_memory_equal(sizes.data, p.batch_sizes, (size_t)p.steps * sizeof(int64_t));
  s.layer.steps = p.steps;
  s.layer.batch_sizes = p.batch_sizes;

  sr_tensor *x = golden_input(&s.c, "x"), *packed = pack(&s, &p, x), *output, *hn, *cn;
  sr_tensor *h0 = golden_optional(&s.c, "h0"), *h0_sorted = NULL;
  sr_tensor *c0 = golden_optional(&s.c, "c0"), *c0_sorted = NULL;
  if (h0) h0_sorted = pick(h0, 1, p.batch, p.order);
  if (c0) c0_sorted = pick(c0, 1, p.batch, p.order);
  golden_compare(&s.c, "packed.data", packed);
  run_stack(&s, packed, h0_sorted, c0_sorted, &output, &hn, &cn);
  golden_compare(&s.c, "packed.out", output);
  int64_t inverse[16];
  for (int64_t j = 0; j < p.batch; j++) inverse[p.order[j]] = j;
  sr_tensor *hn_case = pick(hn, 1, p.batch, inverse), *y = pad(&s, &p, output);
  sr_tensor *cn_case = cn ? pick(cn, 1, p.batch, inverse) : NULL;

  expect_case(&s, y, hn_case, cn_case, x, h0, c0);
  release_all(9,
              (sr_tensor *[]){packed, h0_sorted, c0_sorted, output, hn, cn, hn_case, cn_case, y});
  close_stack(&s);
}

static void golden_packed(void **state) {
  (void)state;
  for (int m = 0; m < MODULES; m++)
    for (int both = 0; both < 2; both++) {
      char name[64];
      snprintf(name, sizeof name, "%s_packed%s", modules[m], both ? "_bi2" : "");
      packed_case(name);
    }
}

/* Cells are a sequence of one step, called again and again. */
static void cell_case(const char *name, sr_recurrent_mode mode) {
  golden_case_tensors c = golden_case_open(name);
  sr_tensor *x = golden_input(&c, "x"), *h0 = golden_input(&c, "h0"), *outputs[16], *states[17];
  sr_tensor *c0 = golden_optional(&c, "c0"), *cells[17] = {0};
  sr_recurrent_layer l = {.mode = mode,
                          .steps = 1,
                          .batch_sizes = &sr_tensor_sizes(x)[1],
                          .weight_ih = golden_input(&c, "weight.weight_ih"),
                          .weight_hh = golden_input(&c, "weight.weight_hh"),
                          .bias_ih = golden_optional(&c, "weight.bias_ih"),
                          .bias_hh = golden_optional(&c, "weight.bias_hh")};
  int steps = (int)sr_tensor_sizes(x)[0];
  states[0] = sr_tensor_retain(h0);
  if (c0) cells[0] = sr_tensor_retain(c0);
  for (int t = 0; t < steps; t++) {
    OK(sr_select(x, 0, t, &l.x));
    l.h0 = states[t];
    l.c0 = cells[t];
    OK(sr_recurrent(&l, &outputs[t], &states[t + 1], &cells[t + 1]));
    sr_tensor_release(l.x);
  }
  sr_tensor *y;
  OK(sr_stack(steps, &states[1], 0, &y));
  golden_backward(&c, c0 ? 2 : 1, (sr_tensor *[]){y, cells[steps]},
                  (const char *[]){"cot.y", "cot.cn"});
  golden_expect(&c, "y", y);
  if (c0) golden_compare(&c, "cn", cells[steps]);
  golden_expect_grad(&c, "grad.x", x);
  golden_expect_grad(&c, "grad.h0", h0);
  golden_expect_grad(&c, "grad.c0", c0);
  golden_expect_grad(&c, "grad.weight_ih", l.weight_ih);
  golden_expect_grad(&c, "grad.weight_hh", l.weight_hh);
  golden_expect_grad(&c, "grad.bias_ih", l.bias_ih);
  golden_expect_grad(&c, "grad.bias_hh", l.bias_hh);
  release_all(steps, outputs);
  release_all(steps + 1, states);
  release_all(steps + 1, cells);
  golden_case_close(&c);
}

static void golden_cells(void **state) {
  (void)state;
  cell_case("RNNCell_plain", SR_rnn_tanh);
  cell_case("RNNCell_relu_False", SR_rnn_relu);
  cell_case("LSTMCell_plain", SR_lstm);
  cell_case("GRUCell_plain", SR_gru);
  cell_case("GRUCell_False", SR_gru);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(golden_padded),
      TEST(golden_packed),
      TEST(golden_cells),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
