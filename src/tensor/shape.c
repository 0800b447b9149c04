/* shape.c: arithmetic on sizes and strides, messages about shapes, loop nests. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "tensor/tensor.h"

const char *sr__shape_text(int ndim, const int64_t *sizes, char text[SR_SHAPE_TEXT]) {
  int used = snprintf(text, SR_SHAPE_TEXT, "[");
  for (int d = 0; d < ndim; d++)
    used += snprintf(text + used, (size_t)(SR_SHAPE_TEXT - used), d ? ", %lld" : "%lld",
                     (long long)sizes[d]);
  snprintf(text + used, (size_t)(SR_SHAPE_TEXT - used), "]");
  return text;
}

sr_status sr__element_count(int ndim, const int64_t *sizes, int64_t *out) {
  if (ndim < 0 || ndim > SR_MAX_DIMS)
    return sr__fail(SR_SHAPE, "a tensor has 0 to %d dimensions, not %d", SR_MAX_DIMS, ndim);
  /* A zero makes the product 0, but the other sizes must still make sense. */
  int64_t count = 1, numel = 1;
  for (int d = 0; d < ndim; d++) {
    if (sizes[d] < 0)
      return sr__fail(SR_SHAPE, "size %lld of dimension %d is negative", (long long)sizes[d],
                      d + 1);
    if (!sr__multiply(&count, sizes[d] ? sizes[d] : 1) || count > SR_MAX_ELEMENTS)
      return sr__fail(SR_SHAPE, "shape %s is too large: a tensor has at most 2^48 elements",
                      sr__shape_text(ndim, sizes, (char[SR_SHAPE_TEXT]){0}));
    if (sizes[d] == 0) numel = 0;
  }
  *out = numel ? count : 0;
  return SR_OK;
}

bool sr__is_dense(int ndim, const int64_t *sizes, const int64_t *strides) {
  int64_t expected = 1;
  bool dense = true;
  for (int d = ndim - 1; d >= 0; d--) {
    if (sizes[d] == 0) return true;
    if (sizes[d] != 1 && strides[d] != expected) dense = false;
    expected *= sizes[d];
  }
  return dense;
}

void sr__dense_strides(int ndim, const int64_t *sizes, int64_t *strides) {
  int64_t stride = 1;
  for (int d = ndim - 1; d >= 0; d--) {
    strides[d] = stride;
    stride *= sizes[d] ? sizes[d] : 1;
  }
}

sr_status sr__dimension(const char *name, int d, int ndim, int *out) {
  int range = ndim ? ndim : 1;
  if (d < -range || d >= range) {
    /* As the caller wrote it: dimensions count from 1, negative ones from the end. */
    return sr__fail(SR_INDEX,
                    "%s: dimension %lld of a %d-dimensional tensor (1 to %d, or -%d to -1)", name,
                    d >= 0 ? d + 1LL : d, ndim, range, range);
  }
  *out = d < 0 ? d + range : d;
  return SR_OK;
}

sr_status sr__broadcast(const char *name, const sr_tensor *a, const sr_tensor *b, int *ndim,
                        int64_t sizes[SR_MAX_DIMS]) {
  int n = a->ndim > b->ndim ? a->ndim : b->ndim;
  for (int d = 0; d < n; d++) { /* counted from the last dimension */
    int64_t size_a = d < a->ndim ? a->sizes[a->ndim - 1 - d] : 1;
    int64_t size_b = d < b->ndim ? b->sizes[b->ndim - 1 - d] : 1;
    if (size_a != size_b && size_a != 1 && size_b != 1)
      return sr__fail(
          SR_SHAPE, "%s: shapes %s and %s do not broadcast: %lld against %lld in dimension -%d",
          name, SR_SHAPE_OF(a), SR_SHAPE_OF(b), (long long)size_a, (long long)size_b, d + 1);
    sizes[n - 1 - d] = size_a == 1 ? size_b : size_a;
  }
  *ndim = n;
  return SR_OK;
}

sr_rows sr__rows(const sr_tensor *t, int d) {
  sr_rows rows = {1, t->ndim ? t->sizes[d] : 1, 1};
  for (int i = 0; i < t->ndim; i++) {
    if (i < d) rows.outer *= t->sizes[i];
    if (i > d) rows.inner *= t->sizes[i];
  }
  return rows;
}

sr_status sr__same_device(const char *name, int n, const sr_tensor *const *t) {
  const sr_tensor *first = NULL;
  for (int i = 0; i < n; i++) {
    if (!t[i]) continue;
    if (!first) first = t[i];
    if (sr__backend_of(t[i]) != sr__backend_of(first)) {
      char a[16], b[16];
      return sr__fail(SR_DEVICE, "%s: tensors on different devices, %s and %s: use x:to(device)",
                      name, sr_device_name(sr_tensor_device(first), a),
                      sr_device_name(sr_tensor_device(t[i]), b));
    }
  }
  return SR_OK;
}

/* ---- loops ------------------------------------------------------------------------ */

/* Stride of operand t in dimension d of an output with ndim dimensions. */
static int64_t broadcast_stride(const sr_tensor *t, int ndim, int d) {
  int own = d - (ndim - t->ndim);
  if (own < 0 || t->sizes[own] == 1) return 0;
  return sr__strides(t)[own];
}

/* Can dimension d of the loop (outer) be walked as one with the dimension after it? */
static bool joins(const sr_loop *loop, int d) {
  for (int k = 0; k < loop->operands; k++)
    if (loop->stride[k][d] != loop->stride[k][d + 1] * loop->size[d + 1]) return false;
  return true;
}

static void join_dimensions(sr_loop *loop) {
  int kept = 0; /* dimensions 0 .. kept are joined so far */
  for (int d = 1; d < loop->ndim; d++) {
    loop->size[kept + 1] = loop->size[d];
    for (int k = 0; k < loop->operands; k++) loop->stride[k][kept + 1] = loop->stride[k][d];
    if (joins(loop, kept)) {
      loop->size[kept] *= loop->size[d];
      for (int k = 0; k < loop->operands; k++) loop->stride[k][kept] = loop->stride[k][d];
    } else {
      kept++;
    }
  }
  loop->ndim = kept + 1;
}

bool sr__loop(sr_loop *loop, int ndim, const int64_t *sizes, int operands,
              const sr_tensor *const *operand) {
  loop->operands = operands;
  int64_t numel = 1;
  for (int d = 0; d < ndim; d++) numel *= sizes[d];
  if (numel == 0) return false;

  bool flat = true; /* all dense and of the output's shape, or numbers */
  for (int k = 0; k < operands; k++) {
    const sr_tensor *t = operand[k];
    loop->data[k] = t ? sr__data(t) : NULL;
    if (t && (!t->contiguous || t->numel != numel) && t->numel != 1) flat = false;
  }
  if (flat) {
    loop->ndim = 1;
    loop->size[0] = numel;
    for (int k = 0; k < operands; k++)
      loop->stride[k][0] = operand[k] && operand[k]->numel == numel && numel > 1;
    return true;
  }

  loop->ndim = 0;
  for (int d = 0; d < ndim; d++) {
    if (sizes[d] == 1) continue;
    loop->size[loop->ndim] = sizes[d];
    for (int k = 0; k < operands; k++)
      loop->stride[k][loop->ndim] = operand[k] ? broadcast_stride(operand[k], ndim, d) : 0;
    loop->ndim++;
  }
  join_dimensions(loop);
  return true;
}
