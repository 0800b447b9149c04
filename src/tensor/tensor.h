/* tensor.h: the insides of a tensor, for the runtime above the backends.
 *
 * A tensor is a small header (dtype, sizes, strides, offset) on a storage. Views
 * share the storage. Headers never change shape once made; in-place operations
 * change the storage and its version. Both are counted references. */
#ifndef SR_TENSOR_TENSOR_H
#define SR_TENSOR_TENSOR_H

#include "backend/backend.h"
#include "base/status.h"

typedef struct sr_node sr_node; /* autograd/autograd.h */

/* Storages of at most this many bytes lie in the block of their header. */
enum { SR_INLINE_BYTES = 64 };

typedef struct sr_storage {
  int32_t references;
  /* Recorded in-place changes so far; a header made before the last of them by
   * somebody else does not know the history of its values (see sr__record). */
  uint32_t history;
  size_t bytes;
  void *data;
  const sr_backend *backend;
  sr_memo memo; /* memo.version counts all in-place changes */
  _Alignas(64) uint8_t inline_data[];
} sr_storage;

struct sr_tensor {
  int32_t references;
  uint8_t dtype; /* sr_dtype */
  uint8_t ndim;
  bool requires_grad : 1; /* of a leaf; a result has a node */
  bool contiguous : 1;
  bool no_grad_view : 1; /* made with recording off, of a tensor that requires gradients */
  uint32_t history;      /* the storage's when this header was made or recorded */
  uint32_t output;       /* which output of node */
  int64_t offset, numel;
  sr_storage *storage;
  sr_node *node;   /* what computed it, or NULL */
  sr_tensor *grad; /* of a leaf or a retained result */
  int64_t sizes[]; /* ndim sizes, then ndim strides */
};

static inline int64_t *sr__sizes(const sr_tensor *t) { return (int64_t *)t->sizes; }
static inline int64_t *sr__strides(const sr_tensor *t) { return (int64_t *)t->sizes + t->ndim; }
static inline const sr_backend *sr__backend_of(const sr_tensor *t) { return t->storage->backend; }
static inline size_t sr__element_bytes(sr_dtype dtype) {
  return dtype == SR_bool ? 1 : dtype == SR_float32 ? 4 : 8;
}
static inline void *sr__data(const sr_tensor *t) {
  return (char *)t->storage->data + (size_t)t->offset * sr__element_bytes((sr_dtype)t->dtype);
}
static inline bool sr__floating(const sr_tensor *t) { return t->dtype <= SR_float64; }
static inline bool sr__same_shape(const sr_tensor *a, const sr_tensor *b) {
  if (a->ndim != b->ndim) return false;
  for (int d = 0; d < a->ndim; d++)
    if (a->sizes[d] != b->sizes[d]) return false;
  return true;
}
/* Count an in-place change. */
static inline void sr__changed(sr_tensor *t) { t->storage->memo.version++; }

/* ---- making tensors ------------------------------------------------------------ */

/* Uninitialised, dense, on the backend; sizes must have been checked (they come
 * from other tensors) except for their product, which is checked here. */
sr_status sr__empty(const sr_backend *backend, sr_dtype dtype, int ndim, const int64_t *sizes,
                    sr_tensor **out);
sr_status sr__empty_like(const sr_tensor *t, sr_dtype dtype, sr_tensor **out); /* dense */
sr_status sr__zeros(const sr_backend *backend, sr_dtype dtype, int ndim, const int64_t *sizes,
                    sr_tensor **out);
/* A header on t's storage, without history: the caller vouches for the bounds. */
sr_status sr__alias(const sr_tensor *t, int ndim, const int64_t *sizes, const int64_t *strides,
                    int64_t offset, sr_tensor **out);
sr_status sr__alias_same(const sr_tensor *t, sr_tensor **out);

/* Provided by the tape (autograd/tape.c): t, which has a node, is going away. */
void sr__history_release(sr_tensor *t);

/* ---- raw work: no gradient is recorded by these -------------------------------------- */

sr_status sr__copy_into(sr_tensor *to, const sr_tensor *from); /* broadcasts, converts */
sr_status sr__fill(sr_tensor *t, sr_scalar value);
/* The number as a tensor of `dtype` holds it; SR_ARGUMENT where int64 cannot. */
sr_status sr__number_as(const char *name, sr_dtype dtype, sr_scalar number, sr_scalar *out);
/* t itself (a new reference) if dense, else a dense copy. */
sr_status sr__dense(const sr_tensor *t, sr_tensor **out);
/* t itself or a conversion. */
sr_status sr__as(const sr_tensor *t, sr_dtype dtype, sr_tensor **out);
/* A dense copy, always. */
sr_status sr__copied(const sr_tensor *t, sr_tensor **out);
/* t itself, or converted and moved to another device. */
sr_status sr__moved(const sr_tensor *t, sr_dtype dtype, sr_device device, sr_tensor **out);
/* The value at an address in host memory. */
sr_scalar sr__scalar_at(sr_dtype dtype, const void *value);
/* The sum of t over what broadcasting to t's shape repeated: back to (ndim, sizes). */
sr_status sr__sum_to(const sr_tensor *t, int ndim, const int64_t *sizes, sr_tensor **out);

/* Reduce x over the dimensions in `mask` (bit d) into `out`, dense, with as many elements as
 * the other dimensions have. x is not bool, except for ANY, ALL. */
sr_status sr__reduce(sr_reduce kind, const sr_tensor *x, unsigned mask, double parameter,
                     sr_tensor *out);

/* ---- shapes --------------------------------------------------------------------------------- */

/* d in -ndim .. ndim-1 made 0 .. ndim-1; a message "name: dimension ..." otherwise.
 * A 0-dimensional tensor has dimension 0 (and -1) for this purpose. Messages count
 * dimensions as the user does, from 1. */
sr_status sr__dimension(const char *name, int d, int ndim, int *out);
/* The shape that both broadcast to; SR_SHAPE with both shapes otherwise. */
sr_status sr__broadcast(const char *name, const sr_tensor *a, const sr_tensor *b, int *ndim,
                        int64_t sizes[SR_MAX_DIMS]);
/* "[2, 3]" into a buffer, for messages. */
enum { SR_SHAPE_TEXT = 200 };
const char *sr__shape_text(int ndim, const int64_t *sizes, char text[SR_SHAPE_TEXT]);
#define SR_SHAPE_OF(t) sr__shape_text((t)->ndim, (t)->sizes, (char[SR_SHAPE_TEXT]){0})
#define SR_DTYPE_OF(t) sr_dtype_name((sr_dtype)(t)->dtype)
/* Product of sizes, checked against SR_MAX_ELEMENTS and negative sizes. */
sr_status sr__element_count(int ndim, const int64_t *sizes, int64_t *out);
bool sr__is_dense(int ndim, const int64_t *sizes, const int64_t *strides);
void sr__dense_strides(int ndim, const int64_t *sizes, int64_t *strides);

/* ---- loops --------------------------------------------------------------------------- */

/* Fill `loop` for an output shape and operands that broadcast to it: operand[0] is the
 * output; a NULL operand is a number to be set by the caller. Drops and joins dimensions.
 * False if the shape is empty (nothing to do). */
bool sr__loop(sr_loop *loop, int ndim, const int64_t *sizes, int operands,
              const sr_tensor *const *operand);

/* A dense tensor as (outer, n, inner) around dimension d. */
sr_rows sr__rows(const sr_tensor *t, int d);

/* Same device for all, or SR_DEVICE naming both. NULL entries are skipped. */
sr_status sr__same_device(const char *name, int n, const sr_tensor *const *t);

#endif
