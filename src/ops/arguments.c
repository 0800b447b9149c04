/* arguments.c: checks of what users pass, with messages that say what was found. */

#include "ops/ops.h"

sr_status sr__need_floating(const char *name, const sr_tensor *x) {
  if (sr__floating(x)) return SR_OK;
  return sr__fail(SR_DTYPE, "%s: a floating dtype is needed, got %s (use x:to('float32'))", name,
                  SR_DTYPE_OF(x));
}

sr_status sr__need_int64(const char *name, const char *what, const sr_tensor *x) {
  if (x->dtype == SR_int64) return SR_OK;
  return sr__fail(SR_DTYPE, "%s: %s must be int64, got %s", name, what, SR_DTYPE_OF(x));
}

sr_status sr__need_bool(const char *name, const char *what, const sr_tensor *x) {
  if (x->dtype == SR_bool) return SR_OK;
  return sr__fail(SR_DTYPE, "%s: %s must be bool, got %s (a comparison such as x:gt(0) gives one)",
                  name, what, SR_DTYPE_OF(x));
}

sr_status sr__need_room(const char *name, int ndim) {
  if (ndim <= SR_MAX_DIMS) return SR_OK;
  return sr__fail(SR_SHAPE, "%s: the result would have %d dimensions; at most %d are possible",
                  name, ndim, SR_MAX_DIMS);
}

sr_status sr__followed(sr_status status, const char *name, int64_t found, int dim, int64_t size) {
  if (status != SR_INDEX) return status;
  return sr__fail(SR_INDEX, "%s: index %lld in dimension %d of size %lld%s", name, (long long)found,
                  dim + 1, (long long)size, found == 0 ? ": positions count from 1" : "");
}

sr_status sr__need_broadcast_to(const char *name, const char *what, const sr_tensor *t, int ndim,
                                const int64_t *sizes) {
  bool fits = true;
  for (int d = 1; d <= t->ndim; d++) { /* counted from the last dimension */
    int64_t own = t->sizes[t->ndim - d];
    if (own != 1 && (d > ndim || own != sizes[ndim - d])) fits = false;
  }
  if (fits) return SR_OK;
  return sr__fail(SR_SHAPE, "%s: %s has shape %s, which does not broadcast to %s", name, what,
                  SR_SHAPE_OF(t), sr__shape_text(ndim, sizes, (char[SR_SHAPE_TEXT]){0}));
}

sr_status sr__need_distinct(const char *name, const sr_tensor *x) {
  for (int d = 0; d < x->ndim; d++)
    if (sr__strides(x)[d] == 0 && x->sizes[d] > 1)
      return sr__fail(
          SR_STATE, "%s: an expanded tensor repeats its elements in memory: clone it first", name);
  return SR_OK;
}

int sr__category(sr_dtype dtype) { return dtype == SR_bool ? 0 : dtype == SR_int64 ? 1 : 2; }

sr_dtype sr__wider(sr_dtype a, sr_dtype b) {
  if (sr__category(a) != sr__category(b)) return sr__category(a) > sr__category(b) ? a : b;
  return a == SR_float64 || b == SR_float64 ? SR_float64 : a;
}

sr_dtype sr__promoted(int n, const sr_operand *x) {
  sr_dtype best[3] = {SR_bool, SR_bool, SR_bool}; /* tensors with dimensions, without, numbers */
  bool any[3] = {false, false, false};
  for (int i = 0; i < n; i++) {
    const sr_tensor *t = x[i].tensor;
    int kind = !t ? 2 : t->ndim ? 0 : 1;
    sr_dtype dtype = t ? (sr_dtype)t->dtype : x[i].number.is_integer ? SR_int64 : SR_float32;
    best[kind] = any[kind] ? sr__wider(best[kind], dtype) : dtype;
    any[kind] = true;
  }
  sr_dtype result = SR_bool;
  bool decided = false;
  for (int kind = 0; kind < 3; kind++) {
    if (!any[kind]) continue;
    if (!decided || sr__category(best[kind]) > sr__category(result)) result = best[kind];
    decided = true;
  }
  return result;
}
