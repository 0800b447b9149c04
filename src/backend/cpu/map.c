/* map.c: the table's `map`: picks the kernel of a pointwise function and runs it. */
#include "backend/cpu/cpu.h"

#include "backend/cpu/loop.h"
#include "backend/pointwise.h"
#include "base/status.h"

static const sr__map_table *table_of(sr_dtype dtype) {
  switch (dtype) {
    case SR_float32: return sr__map_float32();
    case SR_float64: return sr__map_float64();
    case SR_int64: return sr__map_int64();
    default: return sr__map_bool();
  }
}

/* true: the result is bool. From the lines, gradients have the operands' dtype. */
static const bool gives_bool[SR_MAPS] = {
#define SR_UNARY(name, kind, ...) [SR_MAP_##name] = (kind) == SR_TEST || (kind) == SR_LOGIC,
#define SR_BINARY(name, kind, ...) [SR_MAP_##name] = (kind) == SR_TEST || (kind) == SR_LOGIC,
#include "backend/pointwise.def"
};

static const char *name_of(sr_map map) {
  int op = SR_OPS - 1;
  while (op > 0 && sr__pointwise_table[op].forward > map) op--;
  return sr__pointwise_table[op].info.name;
}

/* ---- integer operands that have no result ------------------------------------------- */

static bool has(const sr_loop *loop, bool (*wrong)(int64_t b), int d, const int64_t *b) {
  if (d == loop->ndim) return wrong(*b);
  for (int64_t i = 0; i < loop->size[d]; i++)
    if (has(loop, wrong, d + 1, b + i * loop->stride[2][d])) return true;
  return false;
}

static bool is_zero(int64_t b) { return b == 0; }
static bool is_negative(int64_t b) { return b < 0; }

/* The second operand of an integer division or power is looked at before anything is
 * written; the kernels could only trap or invent a value. */
static sr_status check_integers(sr_map map, const sr_loop *loop, const uint64_t *number) {
  bool divides = map == SR_MAP_floor_divide || map == SR_MAP_remainder || map == SR_MAP_fmod;
  if (!divides && map != SR_MAP_pow) return SR_OK;
  bool (*wrong)(int64_t) = divides ? is_zero : is_negative;
  const int64_t *b = loop->data[2];
  bool found = b ? has(loop, wrong, 0, b) : wrong((int64_t)*number);
  if (!found) return SR_OK;
  if (divides) return sr__fail(SR_ARGUMENT, "division by zero");
  return sr__fail(SR_ARGUMENT, "an integer to a negative power; use a floating dtype");
}

/* ---- the entry ----------------------------------------------------------------------- */

sr_status sr__cpu_map(sr_map map, sr_dtype dtype, const sr_loop *loop, const double parameters[2]) {
  static const double none[2] = {0, 0};
  sr__loop_job job = {.kernel = table_of(dtype)->map[map],
                      .parameters = parameters ? parameters : none,
                      .operands = loop->operands};
  if (!job.kernel)
    return sr__fail(SR_DTYPE, "%s: not for %s operands", name_of(map), sr_dtype_name(dtype));
  int bytes = (int)sr__cpu_bytes[dtype];
  job.bytes[0] = gives_bool[map] ? 1 : bytes;
  for (int k = 1; k < loop->operands; k++) {
    job.bytes[k] = bytes;
    if (!loop->data[k]) job.number[k] = sr__scalar_bits(dtype, loop->number[k]);
  }
  if (dtype == SR_int64) SR_TRY(check_integers(map, loop, &job.number[2]));
  sr__run_loop(loop, &job);
  return SR_OK;
}
