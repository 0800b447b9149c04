/* cpu.c: the CPU backend: its table, the choice of instruction set and the self-test. */
#include "backend/cpu/cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "backend/cpu/kernels.h"
#include "backend/cpu/products.h"
#include "base/memory.h"

/* ---- instruction sets ------------------------------------------------------------------ */

sr_isa sr__cpu_isa_in_use = SR_ISA_baseline;

static const char *const isa_names[SR_ISAS] = {
#define X(isa) #isa,
    SR_ISA_LIST(X)
#undef X
};

const char *sr__cpu_isa_name(sr_isa isa) { return isa_names[isa]; }
const char *sr_cpu_kernels(void) { return isa_names[sr__cpu_isa_in_use]; }

/* The levels of the x86-64 psABI that CMakeLists.txt compiles the kernels for. Clang learned
 * their names late: the newest instructions of each tell as much. */
#if defined(__clang__)
#define SR_SUPPORTS(feature) __builtin_cpu_supports(feature)
#define SR_SUPPORTS_V3 (SR_SUPPORTS("avx2") && SR_SUPPORTS("fma") && SR_SUPPORTS("bmi2"))
#define SR_SUPPORTS_V4                                                    \
  (SR_SUPPORTS_V3 && SR_SUPPORTS("avx512f") && SR_SUPPORTS("avx512bw") && \
   SR_SUPPORTS("avx512cd") && SR_SUPPORTS("avx512dq") && SR_SUPPORTS("avx512vl"))
#else
#define SR_SUPPORTS_V3 __builtin_cpu_supports("x86-64-v3")
#define SR_SUPPORTS_V4 __builtin_cpu_supports("x86-64-v4")
#endif

static sr_isa best_isa(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (SR_SUPPORTS_V4) return SR_ISA_avx512;
  if (SR_SUPPORTS_V3) return SR_ISA_avx2;
#endif
  return SR_ISA_baseline;
}

sr_status sr__cpu_use_isa(sr_isa isa) {
  if (isa > best_isa())
    return sr__fail(SR_DEVICE, "instruction set '%s': this processor has '%s' at most",
                    isa_names[isa], isa_names[best_isa()]);
  sr__cpu_isa_in_use = isa;
  return SR_OK;
}

static sr_status choose_isa(void) {
  const char *asked = getenv("SAROS_ISA");
  if (!asked || !*asked) return sr__cpu_use_isa(best_isa());
  for (int isa = 0; isa < SR_ISAS; isa++)
    if (strcmp(asked, isa_names[isa]) == 0) return sr__cpu_use_isa((sr_isa)isa);
  return sr__fail(SR_ARGUMENT, "SAROS_ISA: no instruction set '%s' (baseline, avx2, avx512)",
                  asked);
}

/* ---- self-test --------------------------------------------------------------------------- */

/* The error bounds of formulae.h and the order of additions hold in the standard
 * floating mode; libraries built with -ffast-math are known to change it. */
static sr_status check_floating_mode(void) {
#if defined(__x86_64__)
  unsigned mode = _mm_getcsr();
  if (mode & 0x6000)
    return sr__fail(SR_STATE, "this thread does not round to nearest (MXCSR %#x)", mode);
  if (mode & 0x8040)
    return sr__fail(SR_STATE, "this thread flushes subnormal numbers to 0 (MXCSR %#x)", mode);
#endif
  return SR_OK;
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static sr_status check_map(sr_map map, double (*expected)(double)) {
  enum { POINTS = 23 }; /* a full vector and a rest */
  float x[POINTS], y[POINTS];
  for (int i = 0; i < POINTS; i++) x[i] = 0.01f + 0.37f * (float)i;
  sr_loop loop = {.ndim = 1, .operands = 2, .size = {POINTS}, .stride = {{1}, {1}}, .data = {y, x}};
  SR_TRY(sr__cpu_map(map, SR_float32, &loop, NULL));
  for (int i = 0; i < POINTS; i++) {
    double right = expected((double)x[i]);
    if (!(fabs((double)y[i] - right) <= 4e-7 * fabs(right)))
      return sr__fail(SR_STATE, "self-test of the %s kernels: map %d of %.9g gave %.9g, not %.9g",
                      sr_cpu_kernels(), (int)map, (double)x[i], (double)y[i], right);
  }
  return SR_OK;
}

sr_status sr__cpu_start(void) {
  static bool started;
  if (started) return SR_OK;
  SR_TRY(choose_isa());
  SR_TRY(check_floating_mode());
  SR_TRY(check_map(SR_MAP_exp, exp));
  SR_TRY(check_map(SR_MAP_tanh, tanh));
  SR_TRY(check_map(SR_MAP_sigmoid, sigmoid));
  SR_TRY(check_map(SR_MAP_sin, sin));
  SR_TRY(sr__cpu_products_start());
  started = true;
  return SR_OK;
}

/* ---- memory -------------------------------------------------------------------------------- */

static sr_status copy_bytes(void *to, const void *from, size_t bytes) {
  if (bytes) memcpy(to, from, bytes);
  return SR_OK;
}

static sr_status synchronize(void) { return SR_OK; }

/* ---- the table ------------------------------------------------------------------------------- */

const sr_backend sr__cpu_backend = {
    .name = "cpu",
    .device = SR_CPU,
    .host_memory = true,
    .allocate = sr__new,
    .release = sr__free,
    .to_host = copy_bytes,
    .from_host = copy_bytes,
    .synchronize = synchronize,
    .drop_memo = sr__cpu_drop_memo,
    .map = sr__cpu_map,
    .where = sr__cpu_where,
    .copy = sr__cpu_copy,
    .reduce = sr__cpu_reduce,
    .scan = sr__cpu_scan,
    .sort = sr__cpu_sort,
    .gemm = sr__cpu_gemm,
    .affine = sr__cpu_affine,
    .softmax = sr__cpu_softmax,
    .softmax_grad = sr__cpu_softmax_grad,
    .normalize = sr__cpu_normalize,
    .normalize_grad = sr__cpu_normalize_grad,
    .take = sr__cpu_take,
    .take_add = sr__cpu_take_add,
    .put = sr__cpu_put,
    .place = sr__cpu_place,
    .gather = sr__cpu_gather,
    .true_positions = sr__cpu_true_positions,
    .nll = sr__cpu_nll,
    .nll_grad = sr__cpu_nll_grad,
    .dropout = sr__cpu_dropout,
    .recurrent = sr__cpu_recurrent,
    .recurrent_grad = sr__cpu_recurrent_grad,
    .optimize = sr__cpu_optimize,
};
