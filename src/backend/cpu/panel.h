/* panel.h: products with packed weights.
 *
 * The right operand of C = start + X B, B (k, n), is packed into panels: `columns`
 * columns of B each, one row of k after the other, so that the innermost loop reads
 * memory in order. The last panel is as narrow as whole vectors allow, its missing
 * columns are zeros. Every output is one chain of fused multiply-adds over k = 0, 1,
 * ..: it has the same bits for any m, any split into threads, packed or not. */
#ifndef SR_BACKEND_CPU_PANEL_H
#define SR_BACKEND_CPU_PANEL_H

#include "backend/backend.h"
#include "backend/cpu/isa.h"

/* C (m, n) = start + X (m, k) B (k, n); C's columns lie side by side. */
typedef struct {
  int64_t m, n, k;
  const void *x;
  int64_t x_row, x_column;
  const void *b;
  int64_t b_row, b_column; /* not used where packed */
  bool packed;             /* b points to panels */
  void *c;
  int64_t c_row;
  const void *start; /* rows start_row apart (0: one row for all); NULL: zeros. May be c. */
  int64_t start_row;
  bool from_last; /* walk the panels from the last one to the first */
} sr_product;

/* Kernels of one dtype; k >= 1, m >= 1, n >= 1. */
typedef struct {
  int rows, columns, lanes; /* of a tile; of a vector */
  /* B (k, n) with element (i, j) at b[i * row + j * column] into panels. */
  void (*pack)(int64_t k, int64_t n, const void *b, int64_t row, int64_t column, void *panels);
  /* Packed panels, or b_column 1. */
  void (*multiply)(const sr_product *product);
  /* x_column 1 and b_row 1: sums run along contiguous k, in another order. */
  void (*dots)(const sr_product *product);
} sr_panel_kernels_of;

typedef struct {
  sr_panel_kernels_of float32, float64;
} sr_panel_kernels;

SR_ISA_DECLARE(sr_panel_kernels, sr__panel_kernels)

static inline const sr_panel_kernels_of *sr__panel_kernels_for(sr_dtype dtype) {
  return dtype == SR_float32 ? &sr__panel_kernels()->float32 : &sr__panel_kernels()->float64;
}

/* Bytes of the panels of B (k, n). */
size_t sr__panel_bytes(sr_dtype dtype, int64_t k, int64_t n);

/* kernels->multiply, on several threads where that pays. */
void sr__panel_multiply(sr_dtype dtype, const sr_product *product);

/* Packed weights: panels of B (k, n), element (i, j) at b[i * row + j * column], taken
 * from the memo or made now. Give it back with sr__panel_release before the memo
 * can be dropped. */
typedef struct {
  const void *panels;
  void *owned; /* where there is no memo */
  size_t bytes;
} sr_panels;

sr_status sr__panel_get(sr_memo *memo, sr_dtype dtype, int64_t k, int64_t n, const void *b,
                        int64_t row, int64_t column, sr_panels *out);
void sr__panel_release(sr_panels *panels);

#endif
