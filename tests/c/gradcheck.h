/* gradcheck.h: gradients against central finite differences, and small helpers of
 * the tests of operations.
 *
 * A function under test makes one tensor y of float64 inputs by public calls. It is
 * checked through the scalar sum(w y), w fixed numbers, for each element of each
 * input, with the inputs in several memory layouts. Then its graph is built and run
 * again with the n-th request for memory failing, n = 1, 2, 3, ... */
#ifndef GRADCHECK_H
#define GRADCHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saros.h"

/* ---- calls ----------------------------------------------------------------------- */

static inline void must(sr_status status, const char *call, const char *file, int line) {
  if (!status) return;
  print_error("%s:%d: %s: %s: %s\n", file, line, call, sr_status_name(status), sr_message());
  fail();
}
#define OK(call) must((call), #call, __FILE__, __LINE__)

/* The call fails with this status, and its message has this text in it. */
static inline void must_fail(sr_status status, sr_status expected, const char *text,
                             const char *call, const char *file, int line) {
  if (status == expected && strstr(sr_message(), text)) return;
  print_error("%s:%d: %s: expected %s with '%s', got %s: %s\n", file, line, call,
              sr_status_name(expected), text, sr_status_name(status), status ? sr_message() : "");
  fail();
}
#define FAILS(call, status, text) must_fail((call), (status), (text), #call, __FILE__, __LINE__)

/* Every test ends with as many blocks as it began with. */
static int64_t blocks_before;
static inline int count_blocks(void **state) {
  (void)state;
  if (sr_start()) return -1;
  sr_memory_fail_at(0, false);
  blocks_before = sr_memory_stats().live_blocks;
  return 0;
}
static inline int check_blocks(void **state) {
  (void)state;
  int64_t left = sr_memory_stats().live_blocks - blocks_before;
  if (left) print_error("%lld blocks were not given back\n", (long long)left);
  return left ? -1 : 0;
}
#define TEST(function) cmocka_unit_test_setup_teardown(function, count_blocks, check_blocks)

/* ---- tensors ---------------------------------------------------------------------- */

#define SIZES(...) \
  (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) { __VA_ARGS__ }

static inline sr_tensor *empty(sr_dtype dtype, int ndim, const int64_t *size) {
  sr_tensor *t;
  OK(sr_tensor_empty(dtype, ndim, size, SR_CPU, &t));
  return t;
}

/* Of shape SIZES(..) with these values converted to dtype. */
static inline sr_tensor *tensor(sr_dtype dtype, int ndim, const int64_t *size,
                                const double *values) {
  sr_tensor *t = empty(dtype, ndim, size);
  for (int64_t i = 0; i < sr_tensor_numel(t); i++) {
    if (dtype == SR_float32) ((float *)sr_tensor_data(t))[i] = (float)values[i];
    if (dtype == SR_float64) ((double *)sr_tensor_data(t))[i] = values[i];
    if (dtype == SR_int64) ((int64_t *)sr_tensor_data(t))[i] = (int64_t)values[i];
    if (dtype == SR_bool) ((uint8_t *)sr_tensor_data(t))[i] = values[i] != 0;
  }
  return t;
}
#define VALUES(...) \
  (const double[]) { __VA_ARGS__ }

/* 1, 2, 3, .. */
static inline sr_tensor *counting(sr_dtype dtype, int ndim, const int64_t *size) {
  sr_tensor *t = empty(dtype, ndim, size);
  int64_t n = sr_tensor_numel(t);
  double *values = malloc((size_t)(n + 1) * sizeof *values);
  for (int64_t i = 0; i < n; i++) values[i] = (double)(i + 1);
  sr_tensor_release(t);
  t = tensor(dtype, ndim, size, values);
  free(values);
  return t;
}

static inline sr_tensor *leaf(sr_tensor *t) {
  OK(sr_set_requires_grad(t, true));
  return t;
}

static inline double read_value(sr_dtype dtype, const void *values, int64_t i) {
  if (dtype == SR_float32) return ((const float *)values)[i];
  if (dtype == SR_float64) return ((const double *)values)[i];
  if (dtype == SR_int64) return (double)((const int64_t *)values)[i];
  return ((const uint8_t *)values)[i];
}

static inline bool close_enough(double a, double b, double tolerance) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
  return a == b || fabs(a - b) <= tolerance * fmax(1, fabs(b));
}

/* t has this dtype, shape and these values; releases t. */
static inline void expect_at(sr_tensor *t, sr_dtype dtype, int ndim, const int64_t *size,
                             const double *values, const char *file, int line) {
  bool same = sr_tensor_dtype(t) == dtype && sr_tensor_ndim(t) == ndim &&
              !memcmp(sr_tensor_sizes(t), size, (size_t)ndim * sizeof *size);
  if (!same) {
    print_error("%s:%d: dtype %s, %d dimensions, first size %lld\n", file, line,
                sr_dtype_name(sr_tensor_dtype(t)), sr_tensor_ndim(t),
                sr_tensor_ndim(t) ? (long long)sr_tensor_sizes(t)[0] : -1);
    fail();
  }
  int64_t n = sr_tensor_numel(t);
  void *read = malloc((size_t)n * 8 + 8);
  OK(sr_tensor_read(t, read));
  for (int64_t i = 0; i < n; i++) {
    double got = read_value(dtype, read, i);
    if (close_enough(got, values[i], dtype == SR_float32 ? 1e-6 : 1e-12)) continue;
    print_error("%s:%d: element %lld is %.17g, expected %.17g\n", file, line, (long long)i, got,
                values[i]);
    fail();
  }
  free(read);
  sr_tensor_release(t);
}
/* Values in a shape: EXPECT(t, SR_int64, SIZES(2), VALUES(1, 2)) */
#define EXPECT(t, dtype, ...) expect_at((t), (dtype), __VA_ARGS__, __FILE__, __LINE__)
#define SCALAR \
  0, (const int64_t[]) { 0 }
#define NOTHING \
  (const double[]) { 0 }

/* ---- functions under test ------------------------------------------------------------ */

/* Layouts of inputs: where a leaf's elements stand in memory. */
enum {
  CONTIGUOUS = 1,
  TRANSPOSED = 2, /* dimensions in reverse order */
  STRIDED = 4,    /* every second element of the last dimension */
  EXPANDED = 8,   /* the first dimension repeats one slice */
  NO_TIES = CONTIGUOUS | TRANSPOSED | STRIDED,
  ALL_LAYOUTS = 15
};

enum { GRADCHECK_INPUTS = 5 };

typedef struct {
  int ndim;
  int64_t size[SR_MAX_DIMS];
} gradcheck_shape;

typedef struct {
  const char *name;
  sr_status (*function)(sr_tensor *const *x, sr_tensor **y);
  int n;
  gradcheck_shape input[GRADCHECK_INPUTS];
  unsigned layouts; /* 0: all */
  double low, high; /* 0, 0: -2 to 2 */
} gradcheck_case;

/* Numbers that differ from each other, evenly spread over 0 .. 1, in no order. */
static inline double gradcheck_unit(int64_t i) {
  return fmod((double)(i + 1) * 0.6180339887498949, 1.0);
}

static inline sr_status gradcheck_leaf(const gradcheck_case *c, int i, unsigned layout,
                                       sr_tensor **out) {
  const gradcheck_shape *shape = &c->input[i];
  int64_t size[SR_MAX_DIMS];
  for (int d = 0; d < shape->ndim; d++)
    size[d] = shape->size[layout == TRANSPOSED ? shape->ndim - 1 - d : d];
  if (layout == STRIDED && shape->ndim) size[shape->ndim - 1] *= 2;
  if (layout == EXPANDED && shape->ndim && size[0]) size[0] = 1;
  sr_status status = sr_tensor_empty(SR_float64, shape->ndim, size, SR_CPU, out);
  if (status) return status;
  double low = c->low || c->high ? c->low : -2, high = c->low || c->high ? c->high : 2;
  double *values = sr_tensor_data(*out);
  for (int64_t k = 0; k < sr_tensor_numel(*out); k++)
    values[k] = low + (high - low) * gradcheck_unit(k + 100 * i);
  return sr_set_requires_grad(*out, true);
}

static inline sr_status gradcheck_view(const gradcheck_case *c, int i, unsigned layout,
                                       sr_tensor *leaf_tensor, sr_tensor **out) {
  const gradcheck_shape *shape = &c->input[i];
  int reversed[SR_MAX_DIMS];
  for (int d = 0; d < shape->ndim; d++) reversed[d] = shape->ndim - 1 - d;
  if (layout == TRANSPOSED) return sr_permute(leaf_tensor, shape->ndim, reversed, out);
  if (layout == STRIDED && shape->ndim)
    return sr_slice(leaf_tensor, -1, 0, shape->size[shape->ndim - 1], 2, out);
  if (layout == EXPANDED) return sr_expand(leaf_tensor, shape->ndim, shape->size, out);
  *out = sr_tensor_retain(leaf_tensor);
  return SR_OK;
}

/* sum(w y) */
static inline sr_status gradcheck_sum(sr_tensor *y, sr_tensor **out) {
  sr_tensor *w, *product;
  sr_status status = sr_tensor_empty(SR_float64, sr_tensor_ndim(y), sr_tensor_sizes(y), SR_CPU, &w);
  if (status) return status;
  for (int64_t k = 0; k < sr_tensor_numel(w); k++)
    ((double *)sr_tensor_data(w))[k] = 2 * gradcheck_unit(k + 1000) - 0.5;
  status = sr_binary("mul", w, y, &product);
  sr_tensor_release(w);
  if (status) return status;
  status = sr_sum(product, NULL, out);
  sr_tensor_release(product);
  return status;
}

static inline sr_status gradcheck_apply(const gradcheck_case *c, unsigned layout,
                                        sr_tensor *const *leaves, sr_tensor **out) {
  sr_tensor *x[GRADCHECK_INPUTS] = {0}, *y = NULL;
  sr_status status = SR_OK;
  for (int i = 0; i < c->n && !status; i++) status = gradcheck_view(c, i, layout, leaves[i], &x[i]);
  if (!status) status = c->function(x, &y);
  if (!status) status = gradcheck_sum(y, out);
  for (int i = 0; i < c->n; i++) sr_tensor_release(x[i]);
  sr_tensor_release(y);
  return status;
}

static inline double gradcheck_value(const gradcheck_case *c, unsigned layout,
                                     sr_tensor *const *leaves) {
  sr_tensor *y;
  sr_scalar value;
  bool recording = sr_set_grad_enabled(false);
  OK(gradcheck_apply(c, layout, leaves, &y));
  sr_set_grad_enabled(recording);
  OK(sr_tensor_item(y, &value));
  sr_tensor_release(y);
  return value.number;
}

static inline void gradcheck_input(const gradcheck_case *c, unsigned layout,
                                   sr_tensor *const *leaves, int i) {
  const double step = 1e-6;
  double *values = sr_tensor_data(leaves[i]);
  for (int64_t k = 0; k < sr_tensor_numel(leaves[i]); k++) {
    double before = values[k], grad = 0;
    values[k] = before + step;
    sr_tensor_touch(leaves[i]);
    double above = gradcheck_value(c, layout, leaves);
    values[k] = before - step;
    sr_tensor_touch(leaves[i]);
    double below = gradcheck_value(c, layout, leaves);
    values[k] = before;
    sr_tensor_touch(leaves[i]);
    double expected = (above - below) / (2 * step);
    if (sr_grad(leaves[i])) grad = ((const double *)sr_tensor_data(sr_grad(leaves[i])))[k];
    if (close_enough(grad, expected, 1e-7)) continue;
    print_error("%s, layout %u, input %d, element %lld: gradient %.12g, differences %.12g\n",
                c->name, layout, i, (long long)k, grad, expected);
    fail();
  }
}

/* Make the leaves, run forward and backward; everything is released on failure. */
static inline sr_status gradcheck_pass(const gradcheck_case *c, unsigned layout,
                                       sr_tensor *leaves[GRADCHECK_INPUTS]) {
  sr_tensor *y = NULL;
  sr_status status = SR_OK;
  for (int i = 0; i < GRADCHECK_INPUTS; i++) leaves[i] = NULL;
  for (int i = 0; i < c->n && !status; i++) status = gradcheck_leaf(c, i, layout, &leaves[i]);
  if (!status) status = gradcheck_apply(c, layout, leaves, &y);
  if (!status) status = sr_backward(y, NULL, false);
  sr_tensor_release(y);
  for (int i = 0; status && i < c->n; i++) sr_tensor_release(leaves[i]);
  return status;
}

/* The layout makes no difference to values: f of views is f of copies of them. */
static inline void gradcheck_copies(const gradcheck_case *c, unsigned layout,
                                    sr_tensor *const *leaves) {
  sr_tensor *views[GRADCHECK_INPUTS], *copies[GRADCHECK_INPUTS], *of_views, *of_copies;
  bool recording = sr_set_grad_enabled(false);
  for (int i = 0; i < c->n; i++) {
    OK(gradcheck_view(c, i, layout, leaves[i], &views[i]));
    OK(sr_clone(views[i], &copies[i]));
  }
  OK(c->function(views, &of_views));
  OK(c->function(copies, &of_copies));
  sr_set_grad_enabled(recording);
  int64_t n = sr_tensor_numel(of_copies);
  double *values = malloc((size_t)(n + 1) * sizeof *values);
  OK(sr_tensor_read(of_copies, values));
  EXPECT(of_views, SR_float64, sr_tensor_ndim(of_copies), sr_tensor_sizes(of_copies), values);
  free(values);
  sr_tensor_release(of_copies);
  for (int i = 0; i < c->n; i++) {
    sr_tensor_release(copies[i]);
    sr_tensor_release(views[i]);
  }
}

static inline void gradcheck_layout(const gradcheck_case *c, unsigned layout) {
  sr_tensor *leaves[GRADCHECK_INPUTS];
  OK(gradcheck_pass(c, layout, leaves));
  for (int i = 0; i < c->n; i++) gradcheck_input(c, layout, leaves, i);
  gradcheck_copies(c, layout, leaves);
  for (int i = 0; i < c->n; i++) sr_tensor_release(leaves[i]);
}

/* The n-th request fails, and with `onwards` all after it: the pass says so and leaves
 * nothing behind, for each n until there are not so many requests. */
static inline void gradcheck_failures(const gradcheck_case *c, unsigned layout, bool onwards) {
  for (int64_t n = 1;; n++) {
    sr_tensor *leaves[GRADCHECK_INPUTS];
    int64_t before = sr_memory_stats().live_blocks;
    sr_memory_fail_at(n, onwards);
    sr_status status = gradcheck_pass(c, layout, leaves);
    sr_memory_fail_at(0, false);
    for (int i = 0; !status && i < c->n; i++) sr_tensor_release(leaves[i]);
    int64_t left = sr_memory_stats().live_blocks - before;
    if (left || (status && status != SR_MEMORY)) {
      print_error("%s: request %lld failed: %s, %lld blocks left\n", c->name, (long long)n,
                  status ? sr_message() : "ok", (long long)left);
      fail();
    }
    if (!status) return;
  }
}

static inline void gradcheck(const gradcheck_case *c) {
  for (unsigned layout = CONTIGUOUS; layout <= EXPANDED; layout *= 2)
    if (!c->layouts || c->layouts & layout) gradcheck_layout(c, layout);
  gradcheck_failures(c, CONTIGUOUS, false);
  gradcheck_failures(c, TRANSPOSED, true);
}

static inline void gradcheck_all(int n, const gradcheck_case *cases) {
  for (int i = 0; i < n; i++) gradcheck(&cases[i]);
}
#define GRADCHECK_ALL(cases) gradcheck_all((int)(sizeof(cases) / sizeof *(cases)), (cases))

#endif
