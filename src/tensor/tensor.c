/* tensor.c: storages and headers; making, sharing, copying and reading tensors. */
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"

/* ---- storage ------------------------------------------------------------------------ */

/* Small values share the block of the storage header on backends in host memory. */
static size_t storage_block_bytes(const sr_backend *backend, size_t bytes) {
  return sizeof(sr_storage) + (backend->host_memory && bytes <= SR_INLINE_BYTES ? bytes : 0);
}

static bool is_inline(const sr_storage *s) { return s->data == s->inline_data; }

static sr_status storage_new(const sr_backend *backend, size_t bytes, sr_storage **out) {
  sr_storage *s;
  SR_TRY(sr__new(storage_block_bytes(backend, bytes), (void **)&s));
  memset(s, 0, sizeof *s);
  s->references = 1;
  s->bytes = bytes;
  s->backend = backend;
  s->data = s->inline_data;
  if (!backend->host_memory || bytes > SR_INLINE_BYTES) {
    sr_status status = backend->allocate(bytes, &s->data);
    if (status) {
      sr__free(s, storage_block_bytes(backend, bytes));
      return status;
    }
  }
  *out = s;
  return SR_OK;
}

static void storage_release(sr_storage *s) {
  if (--s->references > 0) return;
  if (s->memo.entries) s->backend->drop_memo(&s->memo);
  if (!is_inline(s)) s->backend->release(s->data, s->bytes);
  sr__free(s, storage_block_bytes(s->backend, s->bytes));
}

/* ---- headers ---------------------------------------------------------------------------- */

static size_t header_bytes(int ndim) {
  return sizeof(sr_tensor) + 2 * (size_t)ndim * sizeof(int64_t);
}

/* A header on `storage`, whose reference it takes over on success. */
static sr_status header_new(sr_storage *storage, sr_dtype dtype, int ndim, const int64_t *sizes,
                            int64_t numel, sr_tensor **out) {
  sr_tensor *t;
  SR_TRY(sr__new(header_bytes(ndim), (void **)&t));
  *t = (sr_tensor){.references = 1,
                   .dtype = (uint8_t)dtype,
                   .ndim = (uint8_t)ndim,
                   .history = storage->history,
                   .numel = numel,
                   .storage = storage};
  for (int d = 0; d < ndim; d++) t->sizes[d] = sizes[d];
  *out = t;
  return SR_OK;
}

sr_status sr__empty(const sr_backend *backend, sr_dtype dtype, int ndim, const int64_t *sizes,
                    sr_tensor **out) {
  int64_t numel;
  SR_TRY(sr__element_count(ndim, sizes, &numel));
  sr_storage *storage;
  SR_TRY(storage_new(backend, (size_t)numel * sr__element_bytes(dtype), &storage));
  sr_status status = header_new(storage, dtype, ndim, sizes, numel, out);
  if (status) {
    storage_release(storage);
    return status;
  }
  sr__dense_strides(ndim, sizes, sr__strides(*out));
  (*out)->contiguous = true;
  return SR_OK;
}

sr_status sr__empty_like(const sr_tensor *t, sr_dtype dtype, sr_tensor **out) {
  return sr__empty(sr__backend_of(t), dtype, t->ndim, t->sizes, out);
}

sr_status sr__alias(const sr_tensor *t, int ndim, const int64_t *sizes, const int64_t *strides,
                    int64_t offset, sr_tensor **out) {
  int64_t numel = 1;
  for (int d = 0; d < ndim; d++) numel *= sizes[d];
  sr_tensor *alias;
  SR_TRY(header_new(t->storage, (sr_dtype)t->dtype, ndim, sizes, numel, &alias));
  t->storage->references++;
  alias->history = t->history;
  alias->offset = offset;
  for (int d = 0; d < ndim; d++) sr__strides(alias)[d] = strides[d];
  alias->contiguous = sr__is_dense(ndim, sizes, strides);
  *out = alias;
  return SR_OK;
}

sr_status sr__alias_same(const sr_tensor *t, sr_tensor **out) {
  return sr__alias(t, t->ndim, t->sizes, sr__strides(t), t->offset, out);
}

sr_tensor *sr_tensor_retain(sr_tensor *t) {
  t->references++;
  return t;
}

void sr_tensor_release(sr_tensor *t) {
  if (!t || --t->references > 0) return;
  if (t->grad) sr_tensor_release(t->grad);
  if (t->node) sr__history_release(t);
  storage_release(t->storage);
  sr__free(t, header_bytes(t->ndim));
}

/* ---- public constructors ---------------------------------------------------------------- */

sr_status sr__number_as(const char *name, sr_dtype dtype, sr_scalar number, sr_scalar *out) {
  *out = number;
  if (dtype == SR_bool)
    *out = sr_integer(number.is_integer ? number.integer != 0 : number.number != 0);
  if (dtype != SR_int64 || number.is_integer) return SR_OK;
  double whole = trunc(number.number);
  if (!(whole >= -0x1p63 && whole < 0x1p63))
    return sr__fail(SR_ARGUMENT, "%s: %g does not fit int64", name, number.number);
  *out = sr_integer((int64_t)whole);
  return SR_OK;
}

sr_status sr_tensor_empty(sr_dtype dtype, int ndim, const int64_t *size, sr_device device,
                          sr_tensor **out) {
  return sr__empty(sr__backend(device), dtype, ndim, size, out);
}

sr_status sr_tensor_full(sr_dtype dtype, int ndim, const int64_t *size, sr_scalar value,
                         sr_device device, sr_tensor **out) {
  sr_tensor *t;
  SR_TRY(sr__number_as("full", dtype, value, &value));
  SR_TRY(sr_tensor_empty(dtype, ndim, size, device, &t));
  sr_status status = sr__fill(t, value);
  if (status) {
    sr_tensor_release(t);
    return status;
  }
  *out = t;
  return SR_OK;
}

sr_status sr__zeros(const sr_backend *backend, sr_dtype dtype, int ndim, const int64_t *sizes,
                    sr_tensor **out) {
  return sr_tensor_full(dtype, ndim, sizes, sr_integer(0), backend->device, out);
}

sr_status sr_tensor_from(sr_dtype dtype, int ndim, const int64_t *size, const void *values,
                         sr_device device, sr_tensor **out) {
  sr_tensor *t;
  SR_TRY(sr_tensor_empty(dtype, ndim, size, device, &t));
  size_t bytes = (size_t)t->numel * sr__element_bytes(dtype);
  sr_status status = bytes ? sr__backend_of(t)->from_host(sr__data(t), values, bytes) : SR_OK;
  if (status) {
    sr_tensor_release(t);
    return status;
  }
  *out = t;
  return SR_OK;
}

/* Make a host tensor, let `write` fill it, move it to the device. */
static sr_status from_host(sr_tensor *host, sr_device device, sr_tensor **out) {
  if (device == SR_CPU) {
    *out = host;
    return SR_OK;
  }
  sr_status status =
      sr_tensor_from((sr_dtype)host->dtype, host->ndim, host->sizes, sr__data(host), device, out);
  sr_tensor_release(host);
  return status;
}

/* ceil((end - start) / step), computed in integers where all three are. */
static sr_status arange_count(sr_scalar start, sr_scalar end, sr_scalar step, int64_t *count) {
  if (step.number == 0) return sr__fail(SR_ARGUMENT, "arange: step must not be 0");
  if (!isfinite(start.number) || !isfinite(end.number) || !isfinite(step.number))
    return sr__fail(SR_ARGUMENT, "arange: start, end and step must be finite");
  if ((end.number - start.number) * (step.number < 0 ? -1 : 1) < 0)
    return sr__fail(SR_ARGUMENT, "arange: step %g does not lead from %g to %g", step.number,
                    start.number, end.number);
  double exact = ceil((end.number - start.number) / step.number);
  if (exact > (double)SR_MAX_ELEMENTS)
    return sr__fail(SR_SHAPE, "arange: %g values are too many", exact);
  *count = (int64_t)exact;
  return SR_OK;
}

sr_status sr_tensor_arange(sr_dtype dtype, sr_scalar start, sr_scalar end, sr_scalar step,
                           sr_device device, sr_tensor **out) {
  int64_t count;
  SR_TRY(arange_count(start, end, step, &count));
  if (dtype == SR_bool) return sr__fail(SR_DTYPE, "arange: dtype bool is not supported");
  sr_tensor *t;
  SR_TRY(sr__empty(&sr__cpu_backend, dtype, 1, &count, &t));
  void *data = sr__data(t);
  for (int64_t i = 0; i < count; i++) {
    double x = start.number + (double)i * step.number;
    if (dtype == SR_float32) ((float *)data)[i] = (float)x;
    if (dtype == SR_float64) ((double *)data)[i] = x;
    if (dtype == SR_int64)
      ((int64_t *)data)[i] =
          start.is_integer && step.is_integer ? start.integer + i * step.integer : (int64_t)x;
  }
  return from_host(t, device, out);
}

sr_status sr_tensor_linspace(sr_dtype dtype, double start, double end, int64_t count,
                             sr_device device, sr_tensor **out) {
  if (count < 0)
    return sr__fail(SR_ARGUMENT, "linspace: a number of values is needed, got %lld",
                    (long long)count);
  if (!sr_dtype_is_floating(dtype))
    return sr__fail(SR_DTYPE, "linspace: a floating dtype is needed, got %s", sr_dtype_name(dtype));
  sr_tensor *t;
  SR_TRY(sr__empty(&sr__cpu_backend, dtype, 1, &count, &t));
  double step = count > 1 ? (end - start) / (double)(count - 1) : 0;
  for (int64_t i = 0; i < count; i++) {
    /* From the nearer end, so that both ends are exact and the values symmetric. */
    double x = i < count / 2 || count == 1 ? start + step * (double)i
                                           : end - step * (double)(count - 1 - i);
    if (dtype == SR_float32) ((float *)sr__data(t))[i] = (float)x;
    if (dtype == SR_float64) ((double *)sr__data(t))[i] = x;
  }
  return from_host(t, device, out);
}

sr_status sr_tensor_eye(sr_dtype dtype, int64_t rows, int64_t columns, sr_device device,
                        sr_tensor **out) {
  sr_tensor *t;
  SR_TRY(sr_tensor_full(dtype, 2, (int64_t[]){rows, columns}, sr_integer(0), device, &t));
  int64_t count = rows < columns ? rows : columns, stride = columns + 1;
  sr_tensor *diagonal = NULL;
  sr_status status = sr__alias(t, 1, &count, &stride, 0, &diagonal);
  if (!status) status = sr__fill(diagonal, sr_integer(1));
  sr_tensor_release(diagonal);
  if (status) {
    sr_tensor_release(t);
    return status;
  }
  *out = t;
  return SR_OK;
}

/* ---- attributes ------------------------------------------------------------------------------ */

sr_dtype sr_tensor_dtype(const sr_tensor *t) { return (sr_dtype)t->dtype; }
sr_device sr_tensor_device(const sr_tensor *t) { return t->storage->backend->device; }
int sr_tensor_ndim(const sr_tensor *t) { return t->ndim; }
const int64_t *sr_tensor_sizes(const sr_tensor *t) { return sr__sizes(t); }
const int64_t *sr_tensor_strides(const sr_tensor *t) { return sr__strides(t); }
int64_t sr_tensor_numel(const sr_tensor *t) { return t->numel; }
int64_t sr_tensor_offset(const sr_tensor *t) { return t->offset; }
size_t sr_tensor_storage_bytes(const sr_tensor *t) { return t->storage->bytes; }
bool sr_tensor_is_contiguous(const sr_tensor *t) { return t->contiguous; }
bool sr_tensor_shares_storage(const sr_tensor *a, const sr_tensor *b) {
  return a->storage == b->storage;
}
int64_t sr_tensor_version(const sr_tensor *t) { return (int64_t)t->storage->memo.version; }
void *sr_tensor_data(const sr_tensor *t) {
  return sr__backend_of(t)->host_memory ? sr__data(t) : NULL;
}
void sr_tensor_touch(sr_tensor *t) { sr__changed(t); }

/* ---- raw copies ---------------------------------------------------------------------- */

sr_status sr__fill(sr_tensor *t, sr_scalar value) {
  sr_loop loop;
  if (!sr__loop(&loop, t->ndim, t->sizes, 2, (const sr_tensor *[]){t, NULL})) return SR_OK;
  loop.number[1] = value;
  sr_dtype from = value.is_integer ? SR_int64 : SR_float64;
  return sr__backend_of(t)->copy((sr_dtype)t->dtype, from, &loop);
}

/* Between devices through host memory: both sides dense, same dtype. */
static sr_status transfer(sr_tensor *to, const sr_tensor *from) {
  size_t bytes = (size_t)from->numel * sr__element_bytes((sr_dtype)from->dtype);
  const sr_backend *source = sr__backend_of(from), *target = sr__backend_of(to);
  if (!bytes) return SR_OK;
  if (target->host_memory) return source->to_host(sr__data(to), sr__data(from), bytes);
  if (source->host_memory) return target->from_host(sr__data(to), sr__data(from), bytes);
  void *host;
  SR_TRY(sr__new(bytes, &host));
  sr_status status = source->to_host(host, sr__data(from), bytes);
  if (!status) status = target->from_host(sr__data(to), host, bytes);
  sr__free(host, bytes);
  return status;
}

/* from, dense, converted to `dtype` and moved to `backend`. */
static sr_status move_to(const sr_tensor *from, sr_dtype dtype, const sr_backend *backend,
                         sr_tensor **out) {
  sr_tensor *converted = NULL, *dense = NULL, *moved = NULL;
  sr_status status = SR_OK;
  SR_TRY_GOTO(sr__as(from, dtype, &converted), done);
  SR_TRY_GOTO(sr__dense(converted, &dense), done);
  SR_TRY_GOTO(sr__empty(backend, dtype, from->ndim, from->sizes, &moved), done);
  SR_TRY_GOTO(transfer(moved, dense), done);
  *out = sr_tensor_retain(moved);
done:
  sr_tensor_release(moved);
  sr_tensor_release(dense);
  sr_tensor_release(converted);
  return status;
}

sr_status sr__copy_into(sr_tensor *to, const sr_tensor *from) {
  if (sr__backend_of(to) != sr__backend_of(from)) {
    sr_tensor *moved;
    SR_TRY(move_to(from, (sr_dtype)to->dtype, sr__backend_of(to), &moved));
    sr_status status = sr__copy_into(to, moved);
    sr_tensor_release(moved);
    return status;
  }
  sr_loop loop;
  if (!sr__loop(&loop, to->ndim, to->sizes, 2, (const sr_tensor *[]){to, from})) return SR_OK;
  return sr__backend_of(to)->copy((sr_dtype)to->dtype, (sr_dtype)from->dtype, &loop);
}

/* A dense copy with another dtype. */
static sr_status copy_as(const sr_tensor *t, sr_dtype dtype, sr_tensor **out) {
  sr_tensor *copy;
  SR_TRY(sr__empty_like(t, dtype, &copy));
  sr_status status = sr__copy_into(copy, t);
  if (status) {
    sr_tensor_release(copy);
    return status;
  }
  *out = copy;
  return SR_OK;
}

sr_status sr__dense(const sr_tensor *t, sr_tensor **out) {
  if (!t->contiguous) return copy_as(t, (sr_dtype)t->dtype, out);
  *out = sr_tensor_retain((sr_tensor *)t);
  return SR_OK;
}

sr_status sr__as(const sr_tensor *t, sr_dtype dtype, sr_tensor **out) {
  if ((sr_dtype)t->dtype != dtype) return copy_as(t, dtype, out);
  *out = sr_tensor_retain((sr_tensor *)t);
  return SR_OK;
}

sr_status sr__moved(const sr_tensor *t, sr_dtype dtype, sr_device device, sr_tensor **out) {
  if (sr_tensor_device(t) == device) return sr__as(t, dtype, out);
  return move_to(t, dtype, sr__backend(device), out);
}

sr_status sr__copied(const sr_tensor *t, sr_tensor **out) {
  return copy_as(t, (sr_dtype)t->dtype, out);
}

/* ---- reading ------------------------------------------------------------------------- */

sr_status sr_tensor_read(const sr_tensor *t, void *values) {
  sr_tensor *dense;
  SR_TRY(sr__dense(t, &dense));
  size_t bytes = (size_t)t->numel * sr__element_bytes((sr_dtype)t->dtype);
  sr_status status = bytes ? sr__backend_of(t)->to_host(values, sr__data(dense), bytes) : SR_OK;
  sr_tensor_release(dense);
  return status;
}

sr_scalar sr__scalar_at(sr_dtype dtype, const void *value) {
  switch (dtype) {
    case SR_float32: return sr_number(*(const float *)value);
    case SR_float64: return sr_number(*(const double *)value);
    case SR_int64: return sr_integer(*(const int64_t *)value);
    default: return sr_integer(*(const uint8_t *)value);
  }
}

sr_status sr_tensor_item(const sr_tensor *t, sr_scalar *value) {
  if (t->numel != 1)
    return sr__fail(SR_SHAPE, "item: a tensor with one element is needed, got shape %s",
                    SR_SHAPE_OF(t));
  _Alignas(8) uint8_t raw[8];
  SR_TRY(sr__backend_of(t)->to_host(raw, sr__data(t), sr__element_bytes((sr_dtype)t->dtype)));
  *value = sr__scalar_at((sr_dtype)t->dtype, raw);
  return SR_OK;
}
