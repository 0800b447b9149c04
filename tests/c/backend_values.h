/* backend_values.h: what the tests of CPU kernels share. Include it after cmocka.h. */
#ifndef SR_TESTS_BACKEND_VALUES_H
#define SR_TESTS_BACKEND_VALUES_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/kernels.h"
#include "base/random.h"

static inline void ok(sr_status status) {
  if (status) fail_msg("%s", sr_message());
}

/* Uniform in [0, 1), the same in each run. */
static inline double draw(void) {
  static uint64_t i;
  return sr__mask_word(7, i++) * 0x1p-32;
}

static inline size_t bytes_of(sr_dtype dtype) { return sr__cpu_bytes[dtype]; }
static inline bool is_floating(sr_dtype dtype) {
  return dtype == SR_float32 || dtype == SR_float64;
}

/* Element i of an array as a double. */
static inline void set(sr_dtype dtype, void *x, int64_t i, double v) {
  switch (dtype) {
    case SR_float32: ((float *)x)[i] = (float)v; break;
    case SR_float64: ((double *)x)[i] = v; break;
    case SR_int64: ((int64_t *)x)[i] = (int64_t)v; break;
    default: ((uint8_t *)x)[i] = (uint8_t)v;
  }
}

static inline double get(sr_dtype dtype, const void *x, int64_t i) {
  switch (dtype) {
    case SR_float32: return (double)((const float *)x)[i];
    case SR_float64: return ((const double *)x)[i];
    case SR_int64: return (double)((const int64_t *)x)[i];
    default: return ((const uint8_t *)x)[i];
  }
}

/* A test that runs once per instruction set: FOR_ISA(test, isa) in the list, and
 * USE_ISA(state) first, which skips the test on processors without the set. */
#define FOR_ISA(test, isa) {#test "_" #isa, test, NULL, NULL, (void *)(intptr_t)SR_ISA_##isa},
#define USE_ISA(state)                                         \
  do {                                                         \
    if (sr__cpu_use_isa((sr_isa)(intptr_t) * (state))) skip(); \
    ok(sr_set_num_threads(1));                                 \
  } while (0)

static inline int start(void **state) {
  (void)state;
  return sr_start() != SR_OK;
}

#endif
