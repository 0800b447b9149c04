/* reduce.c: reduction plans from strided tensors. */
#include "tensor/tensor.h"

sr_status sr__reduce(sr_reduce kind, const sr_tensor *x, unsigned mask, double parameter,
                     sr_tensor *out) {
  sr_reduction_plan plan = {.kind = kind,
                            .dtype = (sr_dtype)x->dtype,
                            .parameter = parameter,
                            .x = sr__data(x),
                            .out = sr__data(out)};
  if (out->numel == 0) return SR_OK;
  int64_t out_stride = out->numel;
  const int64_t *strides = sr__strides(x);
  for (int d = 0; d < x->ndim; d++) {
    if (mask >> d & 1) {
      plan.inner_size[plan.inner_ndim] = x->sizes[d];
      plan.inner_x_stride[plan.inner_ndim++] = strides[d];
    } else if (x->sizes[d] != 1) {
      out_stride /= x->sizes[d];
      plan.outer_size[plan.outer_ndim] = x->sizes[d];
      plan.outer_x_stride[plan.outer_ndim] = strides[d];
      plan.outer_out_stride[plan.outer_ndim++] = out_stride;
    }
  }
  return sr__backend_of(x)->reduce(&plan);
}

/* Which dimensions of t were repeated by broadcasting from (ndim, sizes). */
static unsigned repeated(const sr_tensor *t, int ndim, const int64_t *sizes) {
  unsigned mask = 0;
  for (int d = 0; d < t->ndim; d++) {
    int own = d - (t->ndim - ndim);
    if (own < 0 || sizes[own] != t->sizes[d]) mask |= 1u << d;
  }
  return mask;
}

sr_status sr__sum_to(const sr_tensor *t, int ndim, const int64_t *sizes, sr_tensor **out) {
  sr_tensor *sum;
  SR_TRY(sr__empty(sr__backend_of(t), (sr_dtype)t->dtype, ndim, sizes, &sum));
  sr_status status = sr__reduce(SR_REDUCE_SUM, t, repeated(t, ndim, sizes), 0, sum);
  if (status) {
    sr_tensor_release(sum);
    return status;
  }
  *out = sum;
  return SR_OK;
}
