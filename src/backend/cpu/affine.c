/* affine.c: y = x W^T + bias with packed weights, for cpu.c's table.
 *
 * A row of y has the same bits alone and in any batch. */
#include "backend/cpu/panel.h"
#include "backend/cpu/products.h"

#include "base/status.h"

#include <string.h>

static void bias_rows(const sr_affine *a) {
  size_t row = (size_t)a->n * sr_dtype_bytes(a->dtype);
  for (int64_t i = 0; i < a->m; i++) {
    void *y = (char *)a->y + (size_t)i * row;
    if (a->bias)
      memcpy(y, a->bias, row);
    else
      memset(y, 0, row);
  }
}

sr_status sr__cpu_affine(const sr_affine *a) {
  if (a->m <= 0 || a->n <= 0) return SR_OK;
  if (a->k <= 0) {
    bias_rows(a);
    return SR_OK;
  }
  sr_panels weight;
  SR_TRY(sr__panel_get(a->memo, a->dtype, a->k, a->n, a->weight, 1, a->k, &weight));
  sr_product product = {.m = a->m,
                        .n = a->n,
                        .k = a->k,
                        .x = a->x,
                        .x_row = a->x_row,
                        .x_column = 1,
                        .b = weight.panels,
                        .packed = true,
                        .c = a->y,
                        .c_row = a->n,
                        .start = a->bias};
  sr__panel_multiply(a->dtype, &product);
  sr__panel_release(&weight);
  return SR_OK;
}
