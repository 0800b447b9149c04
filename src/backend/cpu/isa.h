/* isa.h: the instruction sets that the CPU kernels are compiled for.
 *
 * Each kernels_*.c is compiled once per instruction set with -DSR_ISA=<name> and
 * defines its functions static, plus one constant table named
 * SR_ISA_NAME(sr__xyz_kernels). Callers pick a table with SR_ISA_PICK. */
#ifndef SR_BACKEND_CPU_ISA_H
#define SR_BACKEND_CPU_ISA_H

/* From the least to the most able; on other processors only baseline exists. */
#if defined(__x86_64__)
#define SR_ISA_LIST(X) X(baseline) X(avx2) X(avx512)
#else
#define SR_ISA_LIST(X) X(baseline)
#endif

typedef enum {
#define X(isa) SR_ISA_##isa,
  SR_ISA_LIST(X)
#undef X
      SR_ISAS
} sr_isa;

/* The best set this processor has; fixed by sr__cpu_start (SAROS_ISA in the
 * environment can lower it, for tests). */
extern sr_isa sr__cpu_isa_in_use;
static inline sr_isa sr__cpu_isa(void) { return sr__cpu_isa_in_use; }

#define SR_ISA_PASTE(name, isa) name##_##isa
#define SR_ISA_PASTE_EXPANDED(name, isa) SR_ISA_PASTE(name, isa)
#define SR_ISA_NAME(name) SR_ISA_PASTE_EXPANDED(name, SR_ISA)

/* Declares `const type name_baseline, name_avx2, ..` and a static inline name()
 * that gives the one in use. */
#define SR_ISA_DECLARE(type, name)                                   \
  SR_ISA_LIST_DECLARE(type, name)                                    \
  static inline const type *name(void) {                             \
    static const type *const tables[SR_ISAS] = {SR_ISA_TABLE(name)}; \
    return tables[sr__cpu_isa()];                                    \
  }
#if defined(__x86_64__)
#define SR_ISA_LIST_DECLARE(type, name) \
  extern const type name##_baseline, name##_avx2, name##_avx512;
#define SR_ISA_TABLE(name) &name##_baseline, &name##_avx2, &name##_avx512
#else
#define SR_ISA_LIST_DECLARE(type, name) extern const type name##_baseline;
#define SR_ISA_TABLE(name) &name##_baseline
#endif

#endif
