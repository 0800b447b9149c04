/* backend_reference.h: the lines of pointwise.def computed one number at a time, for the
 * tests of the kernels. Floating lines in double, integer ones in int64. */
#ifndef SR_TESTS_BACKEND_REFERENCE_H
#define SR_TESTS_BACKEND_REFERENCE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/formulae.h"

typedef union {
  double number;
  int64_t integer;
} value;

/* ---- floating operands: in = {x}, {a, b}, {g, x, y} or {g, a, b} ------------------------- */

#define T double
#define SR_TAG f64
#define SR_UNARY_SR_FLOAT(name, forward, gradient) \
  case SR_MAP_##name: {                            \
    const T x = in[0];                             \
    r.number = (forward);                          \
    break;                                         \
  }                                                \
  case SR_MAP_##name##_grad: {                     \
    const T g = in[0], x = in[1], y = in[2];       \
    (void)g, (void)x, (void)y;                     \
    r.number = (gradient);                         \
    break;                                         \
  }
#define SR_BINARY_SR_FLOAT(name, forward, grad_a, grad_b) \
  case SR_MAP_##name: {                                   \
    const T a = in[0], b = in[1];                         \
    r.number = (forward);                                 \
    break;                                                \
  }                                                       \
  case SR_MAP_##name##_grad_a: {                          \
    const T g = in[0], a = in[1], b = in[2];              \
    (void)g, (void)a, (void)b;                            \
    r.number = (grad_a);                                  \
    break;                                                \
  }                                                       \
  case SR_MAP_##name##_grad_b: {                          \
    const T g = in[0], a = in[1], b = in[2];              \
    (void)g, (void)a, (void)b;                            \
    r.number = (grad_b);                                  \
    break;                                                \
  }
#define SR_UNARY_SR_NUMBER SR_UNARY_SR_FLOAT
#define SR_BINARY_SR_NUMBER SR_BINARY_SR_FLOAT
#define SR_UNARY_SR_INNER SR_UNARY_SR_FLOAT
#define SR_BINARY_SR_INNER SR_BINARY_SR_FLOAT
#define SR_UNARY_SR_TEST(name, forward, gradient) \
  case SR_MAP_##name: {                           \
    const T x = in[0];                            \
    r.integer = (forward);                        \
    break;                                        \
  }
#define SR_BINARY_SR_TEST(name, forward, grad_a, grad_b) \
  case SR_MAP_##name: {                                  \
    const T a = in[0], b = in[1];                        \
    r.integer = (forward);                               \
    break;                                               \
  }
#define SR_UNARY_SR_LOGIC(name, forward, gradient) \
  case SR_MAP_##name: {                            \
    const bool x = in[0] != 0;                     \
    r.integer = (forward);                         \
    break;                                         \
  }
#define SR_BINARY_SR_LOGIC(name, forward, grad_a, grad_b) \
  case SR_MAP_##name: {                                   \
    const bool a = in[0] != 0, b = in[1] != 0;            \
    r.integer = (forward);                                \
    break;                                                \
  }
#define SR_UNARY(name, kind, forward, gradient, ...) SR_UNARY_##kind(name, forward, gradient)
#define SR_BINARY(name, kind, forward, grad_a, uses_a, grad_b, ...) \
  SR_BINARY_##kind(name, forward, grad_a, grad_b)

static inline value reference_floating(sr_map map, const double in[3], double p, double q) {
  value r = {0};
  (void)q;
  switch (map) {
#include "backend/pointwise.def"
    default: break;
  }
  return r;
}

/* ---- integer operands (and bool ones, for tests and logic) --------------------------------- */

#undef T
#undef SR_TAG
#undef SR_UNARY_SR_FLOAT
#undef SR_BINARY_SR_FLOAT
#undef SR_UNARY_SR_NUMBER
#undef SR_BINARY_SR_NUMBER
#undef SR_UNARY_SR_INNER
#undef SR_BINARY_SR_INNER
#define T int64_t
#define SR_TAG i64
#define SR_UNARY_SR_FLOAT(name, forward, gradient)
#define SR_BINARY_SR_FLOAT(name, forward, grad_a, grad_b)
#define SR_UNARY_SR_INNER(name, forward, gradient)
#define SR_BINARY_SR_INNER(name, forward, grad_a, grad_b)
#define SR_UNARY_SR_NUMBER SR_UNARY_SR_TEST
#define SR_BINARY_SR_NUMBER SR_BINARY_SR_TEST
#define SR_UNARY(name, kind, forward, gradient, ...) SR_UNARY_##kind(name, forward, gradient)
#define SR_BINARY(name, kind, forward, grad_a, uses_a, grad_b, ...) \
  SR_BINARY_##kind(name, forward, grad_a, grad_b)

static inline value reference_integer(sr_map map, const int64_t in[3], int64_t p, int64_t q) {
  value r = {0};
  switch (map) {
#include "backend/pointwise.def"
    default: break;
  }
  return r;
}
#undef T
#undef SR_TAG

#endif
