/* cpu.h: the entries of the CPU's table (backend.h says what they do) and what its files
 * share. */
#ifndef SR_BACKEND_CPU_CPU_H
#define SR_BACKEND_CPU_CPU_H

#include "backend/backend.h"

/* Bytes of an element; sr_dtype_bytes without a call. */
static const uint8_t sr__cpu_bytes[SR_DTYPES] = {
#define X(name, type, floating) [SR_##name] = sizeof(type),
    SR_DTYPE_LIST(X)
#undef X
};

sr_status sr__cpu_map(sr_map map, sr_dtype dtype, const sr_loop *loop, const double parameters[2]);
sr_status sr__cpu_where(sr_dtype dtype, const sr_loop *loop);
sr_status sr__cpu_copy(sr_dtype to, sr_dtype from, const sr_loop *loop);

sr_status sr__cpu_reduce(const sr_reduction_plan *plan);
sr_status sr__cpu_scan(sr_scan kind, sr_dtype dtype, const sr_rows *rows, const void *x, void *out,
                       bool backwards);
sr_status sr__cpu_sort(sr_dtype dtype, const sr_rows *rows, bool descending, int64_t k,
                       const void *x, void *values, int64_t *positions);

sr_status sr__cpu_softmax(sr_dtype dtype, bool log, const sr_rows *rows, const void *x, void *y);
sr_status sr__cpu_softmax_grad(sr_dtype dtype, bool log, const sr_rows *rows, const void *g,
                               const void *y, void *dx);

sr_status sr__cpu_normalize(const sr_normalize *normalize);
sr_status sr__cpu_normalize_grad(const sr_normalize *normalize);

sr_status sr__cpu_take(const sr_take *take, int64_t *found);
sr_status sr__cpu_take_add(const sr_take *take, int64_t *found);
sr_status sr__cpu_put(const sr_take *take, int64_t *found);
sr_status sr__cpu_place(const sr_placing *placing, int64_t *found);
sr_status sr__cpu_gather(const sr_gather_plan *plan, int64_t *found);
sr_status sr__cpu_true_positions(int64_t n, const void *mask, int64_t *positions, int64_t *count);

sr_status sr__cpu_nll(const sr_nll *nll, int64_t *found);
sr_status sr__cpu_nll_grad(const sr_nll *nll);
sr_status sr__cpu_dropout(sr_dtype dtype, int64_t n, uint64_t key, uint32_t threshold, double scale,
                          const void *x, void *y);
sr_status sr__cpu_optimize(const sr_optimizer_plan *plan);

#endif
