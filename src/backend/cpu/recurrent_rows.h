/* recurrent_rows.h: what happens in a step besides the products, mode by mode.
 *
 * recurrent.c walks the steps and calls these kernels on blocks of rows (one row
 * is one sequence). A recurrent mode is a forward and a backward function here, and
 * a line in backend/recurrent_modes.c. */
#ifndef SR_BACKEND_CPU_RECURRENT_ROWS_H
#define SR_BACKEND_CPU_RECURRENT_ROWS_H

#include "backend/backend.h"
#include "backend/cpu/isa.h"

/* `rows` sequences in one step. The gates (G H), the running gradients (H) and bias are dense;
 * rows of the others lie `.._row` elements apart. */
typedef struct {
  int64_t rows, hidden;
  const void *h_before, *c_before; /* states before the step; NULL for zeros */
  int64_t h_before_row, c_before_row;
  const void *zeros; /* H of them */

  /* forward: the sums of both sides in `gates`, save bias_hh; modes that split their
   * gates find the hidden-side sums in hidden_gates. Leaves in gates and c what
   * backward needs, the new states in h and c. */
  void *gates;
  const void *hidden_gates, *bias; /* bias_hh (G H), never NULL */
  void *h, *c;
  int64_t h_row, c_row;

  /* backward: grad_h and grad_c hold what comes from the step after, grad_output
   * (or NULL) is added to grad_h. Writes grad_gates (and grad_hidden_gates), the
   * gradient of c_before to grad_c, and to grad_h the part of the gradient of h_before
   * that does not go through weight_hh (only modes with `direct`). */
  const void *grad_output;
  int64_t grad_output_row;
  void *grad_h, *grad_c, *grad_gates, *grad_hidden_gates;
} sr_recurrent_rows;

typedef struct {
  void (*forward)(const sr_recurrent_rows *);
  void (*backward)(const sr_recurrent_rows *);
  bool direct;
} sr_recurrent_mode_kernels;

/* Rows of n numbers: sum = a + b, of which b may be NULL for zeros and a may be sum. */
typedef void sr__add_rows(int64_t rows, int64_t n, const void *a, int64_t a_row, const void *b,
                          int64_t b_row, void *sum, int64_t sum_row);

typedef struct {
  sr_recurrent_mode_kernels float32[SR_RECURRENT_MODES], float64[SR_RECURRENT_MODES];
  sr__add_rows *add_float32, *add_float64;
} sr_recurrent_kernels;

SR_ISA_DECLARE(sr_recurrent_kernels, sr__recurrent_kernels)

#endif
