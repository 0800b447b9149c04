/* golden_case.h: reference cases as tensors: inputs with gradients, results compared.
 *
 *   golden_case c = golden_case_open("bmm");
 *   sr_tensor *a = golden_input(&c, "a"), *b = golden_input(&c, "b"), *y;
 *   OK(sr_bmm(a, b, &y));
 *   golden_expect(&c, "y", y);
 *   golden_backward(&c, 1, &y, (const char *[]){"cot.y"});
 *   golden_expect_grad(&c, "grad.a", a);  ..  golden_case_close(&c) releases the inputs
 */
#ifndef GOLDEN_CASE_H
#define GOLDEN_CASE_H

#include "gradcheck.h"

#include "golden.h"

enum { GOLDEN_INPUTS = 48 };

typedef struct {
  golden *file;
  const char *name;
  int n;
  sr_tensor *kept[GOLDEN_INPUTS];
} golden_case_tensors;

static inline golden_case_tensors golden_case_open(const char *name) {
  return (golden_case_tensors){.file = golden_open(name), .name = name};
}

static inline void golden_case_close(golden_case_tensors *c) {
  for (int i = 0; i < c->n; i++) sr_tensor_release(c->kept[i]);
  golden_close(c->file);
}

static inline sr_tensor *golden_keep(golden_case_tensors *c, sr_tensor *t) {
  assert_true(c->n < GOLDEN_INPUTS);
  return c->kept[c->n++] = t;
}

/* Positions are 0-based in the files: int64 values get `shift` added. */
static inline sr_tensor *golden_plain(golden_case_tensors *c, const char *name, int64_t shift) {
  golden_tensor t = golden_get(c->file, name);
  sr_dtype dtype = !strcmp(t.dtype, "I64") ? SR_int64 : SR_float32;
  sr_tensor *made;
  OK(sr_tensor_from(dtype, t.ndim, t.size, t.data, SR_CPU, &made));
  for (int64_t i = 0; dtype == SR_int64 && i < t.numel; i++)
    ((int64_t *)sr_tensor_data(made))[i] += shift;
  return golden_keep(c, made);
}

static inline sr_tensor *golden_input(golden_case_tensors *c, const char *name) {
  return leaf(golden_plain(c, name, 0));
}

/* As golden_input, or NULL where the case has no such tensor. */
static inline sr_tensor *golden_optional(golden_case_tensors *c, const char *name) {
  return golden_has(c->file, name) ? golden_input(c, name) : NULL;
}

/* The dtype-independent measure of the project: relative to the largest element. */
static inline void golden_compare(golden_case_tensors *c, const char *name, const sr_tensor *t) {
  golden_tensor expected = golden_get(c->file, name);
  const float *values = expected.data;
  if (!t) fail_msg("%s: no %s", c->name, name);
  assert_int_equal(sr_tensor_numel(t), expected.numel);
  assert_int_equal(sr_tensor_ndim(t), expected.ndim);
  assert_memory_equal(sr_tensor_sizes(t), expected.size, (size_t)expected.ndim * sizeof(int64_t));
  float *got = malloc((size_t)expected.numel * sizeof *got + 1);
  OK(sr_tensor_read(t, got));
  double largest = 0, worst = 0;
  for (int64_t i = 0; i < expected.numel; i++) {
    largest = fmax(largest, fabs((double)values[i]));
    worst = fmax(worst, fabs((double)got[i] - (double)values[i]));
    if (isnan(got[i])) worst = INFINITY;
  }
  free(got);
  if (worst > 1e-5 * largest) fail_msg("%s: %s differs by %g of %g", c->name, name, worst, largest);
}

/* Compares and releases. */
static inline void golden_expect(golden_case_tensors *c, const char *name, sr_tensor *t) {
  golden_compare(c, name, t);
  sr_tensor_release(t);
}

static inline void golden_expect_grad(golden_case_tensors *c, const char *name,
                                      const sr_tensor *t) {
  if (t) golden_compare(c, name, sr_grad(t));
}

/* Backward of the sum of outputs times their cotangents. */
static inline void golden_backward(golden_case_tensors *c, int n, sr_tensor *const *outputs,
                                   const char *const *cotangents) {
  sr_tensor *loss = NULL;
  for (int i = 0; i < n; i++) {
    sr_tensor *product, *sum, *total;
    OK(sr_binary("mul", outputs[i], golden_plain(c, cotangents[i], 0), &product));
    OK(sr_sum(product, NULL, &sum));
    sr_tensor_release(product);
    if (loss) {
      OK(sr_binary("add", loss, sum, &total));
      sr_tensor_release(loss);
      sr_tensor_release(sum);
      sum = total;
    }
    loss = sum;
  }
  OK(sr_backward(loss, NULL, false));
  sr_tensor_release(loss);
}

/* ---- short forms -------------------------------------------------------------------------- */

/* A function and a case for gradcheck. */
#define FUNCTION(name, call) \
  static sr_status name(sr_tensor *const *x, sr_tensor **y) { return call; }
#define CASE(label, call, count, ...)                                     \
  {                                                                       \
    .name = label, .function = call, .n = count, .input = { __VA_ARGS__ } \
  }

/* The only value of t, which is released. */
static inline double item(sr_tensor *t) {
  sr_scalar value;
  OK(sr_tensor_item(t, &value));
  sr_tensor_release(t);
  return value.number;
}

static inline void expect_item(sr_tensor *t, double expected) {
  double got = item(t);
  if (!close_enough(got, expected, 1e-12)) fail_msg("%.17g is not %.17g", got, expected);
}

#endif
