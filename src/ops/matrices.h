/* matrices.h: products of batches of strided matrices, shared by product.c and
 * matrices.c.
 *
 * A tensor is seen as matrices by telling which of its last dimensions are rows and
 * columns; what is before them are batch dimensions, which broadcast. */
#ifndef SR_OPS_MATRICES_H
#define SR_OPS_MATRICES_H

#include "tensor/tensor.h"

/* The batch dimensions that the operands of a product broadcast to. */
typedef struct {
  int ndim;
  int64_t sizes[SR_MAX_DIMS];
} sr_batch;

typedef struct {
  const sr_tensor *tensor;
  int64_t rows, columns; /* 1 where the tensor has no such dimension */
  int64_t row_stride, column_stride;
  int64_t batch_stride[SR_MAX_DIMS]; /* 0 where repeated */
} sr_matrices;

/* Which dimensions of a tensor are rows and columns. */
typedef struct {
  bool rows, columns;
} sr_matrix_form;

sr_matrices sr__matrices(const sr_tensor *t, sr_matrix_form form, const sr_batch *batch);
sr_matrices sr__transposed(sr_matrices x);

/* C = A B + beta C with beta 0 or 1. Where C is repeated in a batch dimension, the products are
 * summed. The caller has checked dtypes, devices and sizes. */
sr_status sr__product(const sr_matrices *c, const sr_matrices *a, const sr_matrices *b,
                      const sr_batch *batch, double beta);

#endif
