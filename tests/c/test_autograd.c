/* test_autograd.c: the tape: leaves, accumulation, freed graphs, sr_gradients, in-place
 * changes, long chains, interruption, and failing memory. */
#include "gradcheck.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static sr_tensor *three(void) { return counting(SR_float64, SIZES(3)); }

static sr_tensor *unary(const char *name, sr_tensor *x) {
  sr_tensor *y;
  OK(sr_unary(name, x, &y));
  return y;
}

static sr_tensor *binary(const char *name, sr_tensor *a, sr_tensor *b) {
  sr_tensor *y;
  OK(sr_binary(name, a, b, &y));
  return y;
}

static sr_tensor *sum(sr_tensor *x) {
  sr_tensor *y;
  OK(sr_sum(x, NULL, &y));
  return y;
}

/* Releases x after use: for chains of calls. */
static sr_tensor *then(sr_tensor *(*f)(sr_tensor *), sr_tensor *x) {
  sr_tensor *y = f(x);
  sr_tensor_release(x);
  return y;
}
static sr_tensor *squared(sr_tensor *x) { return unary("square", x); }

static sr_status change(const char *name, sr_tensor *x, double number) {
  const sr_operand operands[2] = {{.tensor = x}, {.number = sr_number(number)}};
  return sr_pointwise_(sr_pointwise_find(name), operands, NULL);
}

#define EXPECT_GRAD(x, ...) EXPECT(sr_tensor_retain(sr_grad(x)), __VA_ARGS__)

/* ---- leaves ------------------------------------------------------------------------ */

static void leaves_and_results(void **state) {
  (void)state;
  sr_tensor *x = three(), *i = counting(SR_int64, SIZES(3)), *y;
  assert_true(sr_is_leaf(x) && !sr_requires_grad(x) && !sr_grad_fn(x));
  y = squared(x);
  assert_true(sr_is_leaf(y) && !sr_requires_grad(y)); /* nothing to record */
  sr_tensor_release(y);
  leaf(x);
  y = squared(x);
  assert_true(!sr_is_leaf(y) && sr_requires_grad(y));
  assert_string_equal(sr_grad_fn(y), "square");
  OK(sr_set_requires_grad(y, true));
  FAILS(sr_set_requires_grad(y, false), SR_STATE, "use x:detach()");
  FAILS(sr_set_requires_grad(i, true), SR_DTYPE, "only floating tensors have gradients, not int64");
  OK(sr_set_requires_grad(i, false));
  OK(sr_detach_(y));
  assert_true(sr_is_leaf(y) && !sr_requires_grad(y));
  sr_tensor_release(y);
  sr_tensor_release(i);
  sr_tensor_release(x);
}

static void recording_can_be_off(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y;
  assert_true(sr_set_grad_enabled(false));
  assert_false(sr_grad_enabled());
  y = squared(x);
  assert_false(sr_requires_grad(y));
  assert_false(sr_set_grad_enabled(true));
  FAILS(sr_backward(y, NULL, false), SR_STATE, "no_grad");
  sr_tensor_release(y);
  OK(sr_detach(x, &y));
  assert_false(sr_requires_grad(y));
  assert_true(sr_tensor_shares_storage(x, y));
  sr_tensor_release(y);
  sr_tensor_release(x);
}

static void a_leaf_is_its_own_root(void **state) {
  (void)state;
  sr_tensor *x = leaf(tensor(SR_float64, SCALAR, VALUES(3))), *g;
  OK(sr_backward(x, NULL, false));
  OK(sr_backward(x, NULL, false));
  EXPECT_GRAD(x, SR_float64, SCALAR, VALUES(2));
  OK(sr_gradients(1, &x, NULL, 1, &x, false, false, &g));
  EXPECT(g, SR_float64, SCALAR, VALUES(1));
  EXPECT_GRAD(x, SR_float64, SCALAR, VALUES(2));
  sr_tensor_release(x);
}

static void gradients_accumulate(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y;
  for (int pass = 1; pass <= 3; pass++) {
    y = then(sum, squared(x));
    OK(sr_backward(y, NULL, false));
    EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(2 * pass, 4 * pass, 6 * pass));
    sr_tensor_release(y);
  }
  sr_tensor *kept = sr_grad(x);
  y = then(sum, squared(x));
  OK(sr_backward(y, NULL, false));
  assert_ptr_equal(kept, sr_grad(x)); /* added in place */
  OK(sr_set_grad(x, NULL));
  assert_null(sr_grad(x));
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* The gradient given is not taken over: the leaf's is its own. */
static void grads_do_not_alias(void **state) {
  (void)state;
  sr_tensor *a = leaf(three()), *b = leaf(three()), *g = three(), *y = binary("add", a, b);
  OK(sr_backward(y, g, false));
  assert_false(sr_tensor_shares_storage(sr_grad(a), g));
  assert_false(sr_tensor_shares_storage(sr_grad(b), g));
  assert_false(sr_tensor_shares_storage(sr_grad(a), sr_grad(b)));
  sr_tensor_release(y);
  sr_tensor_release(g);
  sr_tensor_release(b);
  sr_tensor_release(a);
}

static void grad_can_be_set(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *g = three(), *wrong = counting(SR_float64, SIZES(2));
  sr_tensor *single = counting(SR_float32, SIZES(3));
  FAILS(sr_set_grad(x, wrong), SR_SHAPE, "grad: expected shape [3], got [2]");
  FAILS(sr_set_grad(x, single), SR_DTYPE, "grad: expected dtype float64, got float32");
  OK(sr_set_grad(x, g));
  sr_tensor *y = then(sum, squared(x));
  OK(sr_backward(y, NULL, false));
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(3, 6, 9));
  sr_tensor_release(y);
  sr_tensor_release(single);
  sr_tensor_release(wrong);
  sr_tensor_release(g);
  sr_tensor_release(x);
}

/* ---- what a backward pass is given --------------------------------------------------------- */

static void roots_are_checked(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = squared(x), *two = counting(SR_float64, SIZES(2));
  sr_tensor *single = counting(SR_float32, SIZES(3)), *plain = three();
  FAILS(sr_backward(y, NULL, false), SR_SHAPE, "a gradient is needed for an output of shape [3]");
  FAILS(sr_backward(y, two, false), SR_SHAPE, "the gradient's shape [2] is not the output's [3]");
  FAILS(sr_backward(plain, NULL, false), SR_STATE, "does not require gradients");
  assert_null(sr_grad(x));
  OK(sr_backward(y, single, false)); /* converted */
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(2, 8, 18));
  sr_tensor_release(plain);
  sr_tensor_release(single);
  sr_tensor_release(two);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

static void a_graph_is_freed(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = then(sum, squared(x));
  OK(sr_backward(y, NULL, true));
  OK(sr_backward(y, NULL, false));
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(4, 8, 12));
  FAILS(sr_backward(y, NULL, false), SR_STATE, "through square a second time");
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(4, 8, 12));
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* Releasing results before backward releases what they kept. */
static void unused_graphs_vanish(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = squared(x);
  int64_t before = sr_memory_stats().live_blocks;
  sr_tensor *z = then(squared, then(squared, squared(y)));
  sr_tensor_release(z);
  assert_int_equal(sr_memory_stats().live_blocks, before);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* ---- graphs ----------------------------------------------------------------------------------- */

/* y = x^2; z = y (y + x) y: every tensor is used more than once. */
static void diamonds(void **state) {
  (void)state;
  sr_tensor *x = leaf(tensor(SR_float64, SCALAR, VALUES(2)));
  sr_tensor *y = squared(x), *s = binary("add", y, x), *p = binary("mul", y, s);
  sr_tensor *z = binary("mul", p, y);
  OK(sr_backward(z, NULL, false)); /* z = x^6 + x^5 */
  EXPECT_GRAD(x, SR_float64, SCALAR, VALUES(6 * 32 + 5 * 16));
  sr_tensor_release(z);
  sr_tensor_release(p);
  sr_tensor_release(s);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* Doubling by y = y + y: 2^50 paths, 50 nodes. */
static void many_paths(void **state) {
  (void)state;
  sr_tensor *x = leaf(tensor(SR_float64, SCALAR, VALUES(1))), *y = sr_tensor_retain(x);
  for (int i = 0; i < 50; i++) {
    sr_tensor *next = binary("add", y, y);
    sr_tensor_release(y);
    y = next;
  }
  OK(sr_backward(y, NULL, false));
  EXPECT_GRAD(x, SR_float64, SCALAR, VALUES(0x1p50));
  sr_tensor_release(y);
  sr_tensor_release(x);
}

static void only_what_needs_gradients(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *c = three(), *y = binary("mul", x, c), *z = then(sum, y);
  OK(sr_backward(z, NULL, false));
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(1, 2, 3));
  assert_null(sr_grad(c));
  sr_tensor_release(z);
  sr_tensor_release(c);
  sr_tensor_release(x);
}

static void dtypes_mix(void **state) {
  (void)state;
  sr_tensor *a = leaf(counting(SR_float32, SIZES(3))), *b = leaf(three());
  sr_tensor *y = then(sum, binary("mul", a, b));
  assert_int_equal(sr_tensor_dtype(y), SR_float64);
  OK(sr_backward(y, NULL, false));
  EXPECT_GRAD(a, SR_float32, SIZES(3), VALUES(1, 2, 3));
  EXPECT_GRAD(b, SR_float64, SIZES(3), VALUES(1, 2, 3));
  sr_tensor_release(y);
  sr_tensor_release(b);
  sr_tensor_release(a);
}

static void broadcasts_are_summed(void **state) {
  (void)state;
  sr_tensor *row = leaf(three()), *column = leaf(counting(SR_float64, SIZES(2, 1)));
  sr_tensor *y = then(sum, binary("mul", row, column));
  OK(sr_backward(y, NULL, false));
  EXPECT_GRAD(row, SR_float64, SIZES(3), VALUES(3, 3, 3));
  EXPECT_GRAD(column, SR_float64, SIZES(2, 1), VALUES(6, 6));
  sr_tensor_release(y);
  sr_tensor_release(column);
  sr_tensor_release(row);
}

/* Gradients arrive as parts added in place and as whole tensors, in either order. */
static void parts_and_wholes_add_up(void **state) {
  (void)state;
  for (int order = 0; order < 2; order++) {
    sr_tensor *a = leaf(three()), *x = squared(a), *g = three(), *part, *product, *y;
    OK(sr_select(x, 0, 1, &part));
    product = binary("mul", x, x);
    y = order ? binary("add", product, part) : binary("add", part, product);
    OK(sr_backward(y, g, false)); /* g . (x^2 + x[2]), x = a^2 */
    EXPECT_GRAD(a, SR_float64, SIZES(3), VALUES(4, 2 * 32 + 6 * 4, 3 * 108));
    sr_tensor_release(product);
    sr_tensor_release(part);
    sr_tensor_release(y);
    sr_tensor_release(g);
    sr_tensor_release(x);
    sr_tensor_release(a);
  }
}

/* ---- sr_gradients -------------------------------------------------------------------------------- */

static void gradients_are_returned(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = squared(x), *z = then(sum, squared(y)), *g[2];
  sr_tensor *inputs[2] = {x, y};
  OK(sr_gradients(1, &z, NULL, 2, inputs, false, false, g)); /* z = sum y^2, y = x^2 */
  EXPECT(g[0], SR_float64, SIZES(3), VALUES(4, 32, 108));
  EXPECT(g[1], SR_float64, SIZES(3), VALUES(2, 8, 18));
  assert_null(sr_grad(x));
  sr_tensor_release(z);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* The same input twice, and an output that is an input. */
static void inputs_may_repeat(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = squared(x), *g[4];
  sr_tensor *inputs[4] = {x, y, x, y}, *weights = three();
  OK(sr_gradients(1, &y, &weights, 4, inputs, false, false, g));
  EXPECT(g[0], SR_float64, SIZES(3), VALUES(2, 8, 18));
  EXPECT(g[1], SR_float64, SIZES(3), VALUES(1, 2, 3));
  EXPECT(g[2], SR_float64, SIZES(3), VALUES(2, 8, 18));
  EXPECT(g[3], SR_float64, SIZES(3), VALUES(1, 2, 3));
  sr_tensor_release(weights);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

static void several_outputs(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = squared(x), *z = then(sum, unary("neg", x)), *g;
  sr_tensor *outputs[3] = {y, z, z}, *weights[3] = {three(), NULL, NULL};
  OK(sr_gradients(3, outputs, weights, 1, &x, false, false, &g));
  EXPECT(g, SR_float64, SIZES(3), VALUES(0, 6, 16));
  sr_tensor_release(weights[0]);
  sr_tensor_release(z);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

static void unused_inputs(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *other = leaf(three()), *y = then(sum, squared(x)), *g[2];
  sr_tensor *inputs[2] = {x, other}, *plain = three();
  FAILS(sr_gradients(1, &y, NULL, 2, inputs, true, false, g), SR_STATE, "input 2 was not used");
  assert_true(!g[0] && !g[1]);
  OK(sr_gradients(1, &y, NULL, 2, inputs, true, true, g));
  EXPECT(g[0], SR_float64, SIZES(3), VALUES(2, 4, 6));
  assert_null(g[1]);
  inputs[1] = plain;
  FAILS(sr_gradients(1, &y, NULL, 2, inputs, true, true, g), SR_STATE,
        "input 2 does not require gradients");
  assert_null(sr_grad(x));
  sr_tensor_release(plain);
  sr_tensor_release(y);
  sr_tensor_release(other);
  sr_tensor_release(x);
}

/* Only gradients of `scale` are asked for: parts of x must not look for a place to go. */
static void parts_that_nobody_asks_for(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *scale = leaf(tensor(SR_float64, SCALAR, VALUES(2))), *part, *g;
  sr_tensor *ids = counting(SR_int64, SIZES(2)), *wide, *rows;
  OK(sr_select(x, 0, 1, &part));
  OK(sr_index_select(x, 0, ids, &rows));
  wide = binary("mul", rows, part);
  sr_tensor *y = then(sum, binary("mul", wide, scale));
  OK(sr_gradients(1, &y, NULL, 1, &scale, false, false, &g));
  EXPECT(g, SR_float64, SCALAR, VALUES(6));
  assert_null(sr_grad(x));
  sr_tensor_release(y);
  sr_tensor_release(wide);
  sr_tensor_release(rows);
  sr_tensor_release(ids);
  sr_tensor_release(part);
  sr_tensor_release(scale);
  sr_tensor_release(x);
}

/* What lies behind the inputs, or leads elsewhere, neither runs nor loses what it keeps. */
static void only_what_leads_to_the_inputs(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = squared(x), *w = leaf(three()), *v = squared(w), *g[2];
  sr_tensor *squares = squared(y), *z = then(sum, binary("mul", squares, v)); /* sum x^4 w^2 */
  OK(sr_retain_grad(v));
  OK(sr_gradients(1, &z, NULL, 1, &y, true, false, g));
  EXPECT(g[0], SR_float64, SIZES(3), VALUES(2, 32, 162)); /* 2 y v */
  assert_null(sr_grad(v));
  OK(sr_gradients(1, &z, NULL, 1, &y, false, false, g));
  sr_tensor_release(g[0]);
  FAILS(sr_gradients(1, &z, NULL, 1, &y, false, false, g), SR_STATE, "mul a second time");
  sr_tensor *again[2] = {then(sum, y), then(sum, v)}; /* neither square was freed */
  OK(sr_gradients(1, &again[0], NULL, 1, &x, false, false, g));
  EXPECT(g[0], SR_float64, SIZES(3), VALUES(2, 4, 6));
  OK(sr_gradients(1, &again[1], NULL, 1, &w, true, false, g));
  EXPECT(g[0], SR_float64, SIZES(3), VALUES(2, 4, 6));
  sr_tensor_release(again[0]);
  sr_tensor_release(again[1]);
  sr_tensor_release(z);
  sr_tensor_release(squares);
  sr_tensor_release(w);
  sr_tensor_release(x);
}

/* An input in the middle of what leads to another one, and one before a fork. */
static void inputs_at_all_depths(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = squared(x), *a = unary("neg", y), *b = squared(y), *g[3];
  sr_tensor *inputs[3] = {b, y, x};
  sr_tensor *z = binary("add", a, b); /* -y + y^2 */
  sr_tensor *total = sum(z);
  OK(sr_gradients(1, &total, NULL, 3, inputs, true, false, g));
  EXPECT(g[0], SR_float64, SIZES(3), VALUES(1, 1, 1));
  EXPECT(g[1], SR_float64, SIZES(3), VALUES(1, 7, 17));
  EXPECT(g[2], SR_float64, SIZES(3), VALUES(2, 28, 102));
  OK(sr_gradients(1, &total, NULL, 1, &y, true, false, g));
  EXPECT(g[0], SR_float64, SIZES(3), VALUES(1, 7, 17));
  FAILS(sr_gradients(1, &y, (sr_tensor *[]){z}, 1, &b, true, false, g), SR_STATE,
        "input 1 was not used"); /* b is made of y, not y of b */
  OK(sr_backward(total, NULL, false));
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(2, 28, 102));
  sr_tensor_release(total);
  sr_tensor_release(z);
  sr_tensor_release(a);
  sr_tensor_release(b);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

static void results_can_retain(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = squared(x), *z = then(sum, squared(y));
  OK(sr_retain_grad(y));
  OK(sr_retain_grad(x));
  OK(sr_backward(z, NULL, true));
  EXPECT_GRAD(y, SR_float64, SIZES(3), VALUES(2, 8, 18));
  sr_tensor_release(y); /* before the pass: nothing is left to write to */
  OK(sr_backward(z, NULL, false));
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(8, 64, 216));
  sr_tensor *plain = three();
  FAILS(sr_retain_grad(plain), SR_STATE, "retain_grad");
  sr_tensor_release(plain);
  sr_tensor_release(z);
  sr_tensor_release(x);
}

/* ---- in place --------------------------------------------------------------------------------------- */

static void kept_values_are_watched(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = squared(x), *z = then(sum, squared(y));
  OK(change("mul", y, 2)); /* z's square had kept y */
  FAILS(sr_backward(z, NULL, false), SR_STATE,
        "a tensor needed for the gradient of square was changed in place (shape [3], version 1, "
        "expected 0)");
  assert_null(sr_grad(x));
  sr_tensor_release(z);
  z = then(sum, squared(y)); /* (2 x^2)^2 */
  OK(sr_backward(z, NULL, false));
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(16, 128, 432));
  sr_tensor_release(z);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

static void leaves_change_only_unrecorded(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y;
  FAILS(change("mul", x, 2), SR_STATE, "do it inside no_grad");
  y = squared(x);
  sr_set_grad_enabled(false);
  OK(change("mul", x, 2));
  sr_set_grad_enabled(true);
  sr_tensor *z = then(sum, y);
  FAILS(sr_backward(z, NULL, false), SR_STATE, "was changed in place");
  sr_tensor_release(z);
  z = then(sum, squared(x));
  OK(sr_backward(z, NULL, false));
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(4, 8, 12));
  sr_tensor_release(z);
  sr_tensor_release(x);
}

static void a_chain_of_changes(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y;
  OK(sr_clone(x, &y));
  OK(change("mul", y, 2));
  OK(change("add", y, 1));
  OK(change("mul", y, 5));
  assert_string_equal(sr_grad_fn(y), "mul");
  OK(sr_backward(y, x, false));
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(10, 20, 30));
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* A view taken before a recorded change of what it shows does not know of it. */
static void stale_views_are_refused(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y, *view, *z;
  OK(sr_clone(x, &y));
  OK(sr_view(y, SIZES(3, 1), &view));
  OK(change("mul", y, 2));
  FAILS(sr_unary("square", view, &z), SR_STATE, "square: argument 1 shares its values with a view");
  FAILS(sr_backward(view, NULL, false), SR_STATE, "backward: the tensor shares its values");
  FAILS(change("mul", view, 2), SR_STATE, "take the view again");
  sr_tensor_release(view);
  OK(sr_view(y, SIZES(3, 1), &view));
  z = then(sum, squared(view)); /* (2x)^2 */
  OK(sr_backward(z, NULL, false));
  EXPECT_GRAD(x, SR_float64, SIZES(3), VALUES(8, 16, 24));
  sr_tensor_release(z);
  sr_tensor_release(view);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* A value with a stale history is refused before anything is written. */
static void refused_writes_change_nothing(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y, *stale, *to = tensor(SR_float64, SIZES(3), VALUES(7, 8, 9));
  OK(sr_clone(x, &y));
  OK(sr_view(y, SIZES(3), &stale));
  OK(change("mul", y, 2));
  FAILS(sr_copy_(to, stale), SR_STATE, "copy_:");
  FAILS(sr_assign(to, to, (sr_operand){.tensor = stale}), SR_STATE, "assign:");
  FAILS(sr_pointwise_(sr_pointwise_find("add"), (sr_operand[]){{.tensor = to}, {.tensor = stale}},
                      NULL),
        SR_STATE, "add:");
  EXPECT(to, SR_float64, SIZES(3), VALUES(7, 8, 9));
  sr_tensor_release(stale);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* ---- long chains ----------------------------------------------------------------------------------------- */

enum { CHAIN = 1000000, SMALL_STACK = 256 * 1024 };

static sr_tensor *chain(sr_tensor *x, int64_t n) {
  sr_tensor *y = sr_tensor_retain(x);
  for (int64_t i = 0; i < n; i++) {
    sr_tensor *next = unary("neg", y);
    sr_tensor_release(y);
    y = next;
  }
  return y;
}

static void *run_chain(void *context) {
  sr_tensor *x = context, *y = chain(x, CHAIN);
  OK(sr_backward(y, NULL, false));
  sr_tensor_release(y); /* a million nodes die at once */
  y = chain(x, CHAIN);
  sr_tensor_release(y); /* and without a pass */
  return NULL;
}

static void long_chains_need_no_stack(void **state) {
  (void)state;
  sr_tensor *x = leaf(tensor(SR_float64, SCALAR, VALUES(1)));
  pthread_attr_t attributes;
  pthread_t thread;
  assert_int_equal(pthread_attr_init(&attributes), 0);
  assert_int_equal(pthread_attr_setstacksize(&attributes, SMALL_STACK), 0);
  assert_int_equal(pthread_create(&thread, &attributes, run_chain, x), 0);
  pthread_join(thread, NULL);
  pthread_attr_destroy(&attributes);
  EXPECT_GRAD(x, SR_float64, SCALAR, VALUES(1));
  sr_tensor_release(x);
}

static void on_alarm(int signal_number) {
  (void)signal_number;
  sr_interrupt();
}

static void passes_can_be_interrupted(void **state) {
  (void)state;
  sr_tensor *x = leaf(tensor(SR_float64, SCALAR, VALUES(1))), *y = chain(x, CHAIN);
  struct sigaction action = {.sa_handler = on_alarm}, before;
  const struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
  sigaction(SIGALRM, &action, &before);
  setitimer(ITIMER_REAL, &often, NULL);
  sr_status status = sr_backward(y, NULL, true);
  setitimer(ITIMER_REAL, &never, NULL);
  sigaction(SIGALRM, &before, NULL);
  FAILS(status, SR_INTERRUPTED, "interrupted");
  assert_null(sr_grad(x));
  OK(sr_backward(y, NULL, false)); /* nothing is left of the first pass */
  EXPECT_GRAD(x, SR_float64, SCALAR, VALUES(1));
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* ---- anomalies ---------------------------------------------------------------------------------------------- */

static void anomalies_are_named(void **state) {
  (void)state;
  sr_tensor *x = leaf(tensor(SR_float64, SIZES(2), VALUES(0, 1))), *y, *z;
  y = unary("sqrt", x);
  z = binary("mul", y, x); /* 0 * (1 / 0) */
  z = then(sum, then(squared, z));
  sr_set_detect_anomaly(true);
  FAILS(sr_backward(z, NULL, true), SR_STATE, "the gradient of sqrt has NaN");
  sr_set_detect_anomaly(false);
  OK(sr_backward(z, NULL, false));
  sr_tensor_release(z);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* A small recurrent computation with all kinds of nodes: h = tanh(h w + x[t] u),
 * y[t] = h, then a loss over y. */
static sr_status step(sr_tensor *const *x, int64_t t, sr_tensor *y, sr_tensor **h) {
  sr_tensor *row = NULL, *region = NULL, *a = NULL, *b = NULL, *s = NULL, *next = NULL;
  sr_status status = sr_select(x[0], 0, t, &row);
  if (!status) status = sr_binary("mul", row, x[2], &a);
  if (!status) status = sr_binary("mul", *h, x[1], &b);
  if (!status) status = sr_binary("add", a, b, &s);
  if (!status) status = sr_unary("tanh", s, &next);
  bool recording = sr_set_grad_enabled(false);
  if (!status) status = sr_select(y, 0, t, &region);
  sr_set_grad_enabled(recording);
  if (!status) status = sr_assign(y, region, (sr_operand){.tensor = next});
  sr_tensor *const used[] = {row, region, a, b, s, *h};
  for (size_t i = 0; i < sizeof used / sizeof *used; i++) sr_tensor_release(used[i]);
  *h = next;
  return status;
}

static sr_status recurrence(sr_tensor *const *x, sr_tensor **out) {
  sr_tensor *y = NULL, *h = NULL;
  sr_status status =
      sr_tensor_full(SR_float64, 2, (const int64_t[]){3, 2}, sr_number(0), SR_CPU, &y);
  if (!status)
    status = sr_tensor_full(SR_float64, 1, (const int64_t[]){2}, sr_number(0.5), SR_CPU, &h);
  for (int64_t t = 0; t < 3 && !status; t++) status = step(x, t, y, &h);
  if (!status) status = sr_logsumexp(y, &(sr_dims){.n = 1, .dim = {1}}, out);
  sr_tensor_release(h);
  sr_tensor_release(y);
  return status;
}

static void a_recurrence(void **state) {
  (void)state;
  const gradcheck_case c = {"recurrence", recurrence, .n = 3,
                            .input = {{2, {3, 2}}, {1, {2}}, {1, {1}}}};
  gradcheck(&c);
}

/* sr_gradients under failing memory gives nothing and leaves nothing. */
static void gradients_without_memory(void **state) {
  (void)state;
  sr_tensor *x = leaf(three()), *y = squared(x), *z = then(sum, squared(y)), *g[2];
  sr_tensor *inputs[2] = {y, x};
  int64_t before = sr_memory_stats().live_blocks;
  sr_status status = SR_MEMORY;
  for (int64_t n = 1; status; n++) {
    sr_memory_fail_at(n, false);
    status = sr_gradients(1, &z, NULL, 2, inputs, true, false, g);
    sr_memory_fail_at(0, false);
    if (!status) break;
    assert_int_equal(status, SR_MEMORY);
    assert_true(!g[0] && !g[1]);
    assert_int_equal(sr_memory_stats().live_blocks, before);
  }
  EXPECT(g[0], SR_float64, SIZES(3), VALUES(2, 8, 18));
  EXPECT(g[1], SR_float64, SIZES(3), VALUES(4, 32, 108));
  sr_tensor_release(z);
  sr_tensor_release(y);
  sr_tensor_release(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(leaves_and_results),
      TEST(recording_can_be_off),
      TEST(a_leaf_is_its_own_root),
      TEST(gradients_accumulate),
      TEST(grads_do_not_alias),
      TEST(grad_can_be_set),
      TEST(roots_are_checked),
      TEST(a_graph_is_freed),
      TEST(unused_graphs_vanish),
      TEST(diamonds),
      TEST(many_paths),
      TEST(only_what_needs_gradients),
      TEST(dtypes_mix),
      TEST(broadcasts_are_summed),
      TEST(parts_and_wholes_add_up),
      TEST(gradients_are_returned),
      TEST(inputs_may_repeat),
      TEST(several_outputs),
      TEST(unused_inputs),
      TEST(parts_that_nobody_asks_for),
      TEST(only_what_leads_to_the_inputs),
      TEST(inputs_at_all_depths),
      TEST(results_can_retain),
      TEST(kept_values_are_watched),
      TEST(leaves_change_only_unrecorded),
      TEST(a_chain_of_changes),
      TEST(stale_views_are_refused),
      TEST(refused_writes_change_nothing),
      TEST(long_chains_need_no_stack),
      TEST(passes_can_be_interrupted),
      TEST(anomalies_are_named),
      TEST(a_recurrence),
      TEST(gradients_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
