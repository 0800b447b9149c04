/* kernels.h: the tables of kernels that are compiled once per instruction set.
 *
 * The kernels_*.c files define them; map.c, copy.c, reduce.c, rows.c, normalize.c and
 * optimizer.c call them. */
#ifndef SR_BACKEND_CPU_KERNELS_H
#define SR_BACKEND_CPU_KERNELS_H

#include "backend/backend.h"
#include "backend/cpu/isa.h"
#include "backend/optimizers.h"

/* Choose the kernels of one instruction set; SR_DEVICE if this processor does not
 * have it. For sr__cpu_start and tests. */
sr_status sr__cpu_use_isa(sr_isa isa);
const char *sr__cpu_isa_name(sr_isa isa);

/* ---- blocks ------------------------------------------------------------------- */

/* Pointwise kernels take dense arrays of a multiple of SR_LANES elements, so that every
 * element goes through the same vector instructions wherever it stands: callers copy
 * what is left over into a full block (loop.c). out may equal an input. */
enum { SR_LANES = 16 };
typedef void sr__kernel(int64_t n, void *out, const void *a, const void *b, const void *c,
                        const double *parameters);

/* NULL where a function does not exist for the dtype. */
typedef struct {
  sr__kernel *map[SR_MAPS];
} sr__map_table;
SR_ISA_DECLARE(sr__map_table, sr__map_float32)
SR_ISA_DECLARE(sr__map_table, sr__map_float64)
SR_ISA_DECLARE(sr__map_table, sr__map_int64)
SR_ISA_DECLARE(sr__map_table, sr__map_bool)

/* convert[to][from]; where_1, 4, 8: out = a (bool) ? b : c by element bytes. */
typedef struct {
  sr__kernel *convert[SR_DTYPES][SR_DTYPES];
  sr__kernel *where_1, *where_4, *where_8;
  /* Any n: y = x scale or 0 (sr_backend.dropout) for the elements from `first` on. */
  void (*dropout[2])(int64_t first, int64_t n, uint64_t key, uint32_t threshold, double scale,
                     const void *x, void *y);
} sr__copy_table;
SR_ISA_DECLARE(sr__copy_table, sr__copy)

/* ---- reductions ------------------------------------------------------------------ */

/* What a reduction of some values has come to: `number` for floating operands,
 * `integer` for the others. */
typedef union {
  double number;
  int64_t integer;
} sr__partial;

enum { SR_COLUMNS = 64 }; /* columns a `columns` kernel takes at most */

/* By kind; NULL where there is none for the dtype (ARGMAX and ARGMIN use MAX and MIN,
 * ANY and ALL use COUNT).
 *   part     reduces n dense values
 *   columns  reduces `width` columns side by side: column j of row i at x[i * stride + j]
 *   find     position of the first value equal to `value` (any NaN for NaN), or n */
typedef struct {
  void (*part[SR_REDUCE_COUNT + 1])(int64_t n, const void *x, double parameter, sr__partial *out);
  void (*columns[SR_REDUCE_COUNT + 1])(int64_t rows, int64_t stride, int64_t width, const void *x,
                                       double parameter, sr__partial *out);
  int64_t (*find)(int64_t n, const void *x, sr__partial value);
} sr__reduce_table;
SR_ISA_DECLARE(sr__reduce_table, sr__reduce_float32)
SR_ISA_DECLARE(sr__reduce_table, sr__reduce_float64)
SR_ISA_DECLARE(sr__reduce_table, sr__reduce_int64)
SR_ISA_DECLARE(sr__reduce_table, sr__reduce_bool)

/* ---- softmax ----------------------------------------------------------------------- */

/* row: n dense values. column: up to SR_LANES columns (`width`) of n rows `stride` apart. */
typedef struct {
  void (*row)(int64_t n, bool log, const void *x, void *y);
  void (*row_grad)(int64_t n, bool log, const void *g, const void *y, void *dx);
  void (*columns)(int64_t n, int64_t stride, int64_t width, bool log, const void *x, void *y);
  void (*columns_grad)(int64_t n, int64_t stride, int64_t width, bool log, const void *g,
                       const void *y, void *dx);
} sr__softmax_table;
SR_ISA_DECLARE(sr__softmax_table, sr__softmax_float32)
SR_ISA_DECLARE(sr__softmax_table, sr__softmax_float64)

/* ---- normalization ------------------------------------------------------------------ */

/* rows, rows_grad: y or grad_x of rows first .. last - 1. columns_grad: grad_weight and grad_bias
 * of columns first .. last - 1, `first` being a multiple of SR_COLUMNS. */
typedef struct {
  void (*rows)(const sr_normalize *normalize, int64_t first, int64_t last);
  void (*rows_grad)(const sr_normalize *normalize, int64_t first, int64_t last);
  void (*columns_grad)(const sr_normalize *normalize, int64_t first, int64_t last);
} sr__normalize_table;
SR_ISA_DECLARE(sr__normalize_table, sr__normalize_float32)
SR_ISA_DECLARE(sr__normalize_table, sr__normalize_float64)

/* ---- optimizers -------------------------------------------------------------------- */

/* By optimizer and dtype (float32, float64): a step on elements first .. last - 1. */
typedef struct {
  void (*step[SR_OPTIMIZERS][2])(const sr_optimizer_plan *plan, int64_t first, int64_t last);
} sr__optimizer_table;
SR_ISA_DECLARE(sr__optimizer_table, sr__optimizer)

#endif
