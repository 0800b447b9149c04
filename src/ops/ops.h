/* ops.h: what the operation files share.
 *
 * Arguments read with messages, raw views and parts, and sequences of raw
 * operations that release their temporaries by themselves (sr_work): most
 * gradients are a few lines of these. Everything here is raw: it records
 * nothing. For the files in ops/ and recurrent/ only. */
#ifndef SR_OPS_OPS_H
#define SR_OPS_OPS_H

#include "autograd/autograd.h"
#include "backend/pointwise.h"

/* ---- arguments ----------------------------------------------------------------------- */

/* SR_DTYPE with the dtype found, unless x is floating. */
sr_status sr__need_floating(const char *name, const sr_tensor *x);
/* For positions: "name: what must be int64, got float32". */
sr_status sr__need_int64(const char *name, const char *what, const sr_tensor *x);
sr_status sr__need_bool(const char *name, const char *what, const sr_tensor *x);
/* What a kernel that follows indices returned, with the message for an index that it refused:
 * `found` in dimension `dim` (from 0) of that size. */
sr_status sr__followed(sr_status status, const char *name, int64_t found, int dim, int64_t size);
/* SR_SHAPE unless a result with `ndim` dimensions is allowed. */
sr_status sr__need_room(const char *name, int ndim);
/* SR_SHAPE unless t broadcasts to the shape (leading dimensions of size 1 are ignored). */
sr_status sr__need_broadcast_to(const char *name, const char *what, const sr_tensor *t, int ndim,
                                const int64_t *sizes);
/* SR_STATE if x repeats elements in memory (expanded) and so cannot be written. */
sr_status sr__need_distinct(const char *name, const sr_tensor *x);
/* bool 0 < int64 1 < floating 2: what decides the dtype of the result when kinds are mixed. */
int sr__category(sr_dtype dtype);
/* Of two dtypes of tensors with dimensions the one that holds both: bool < int64 < floating. */
sr_dtype sr__wider(sr_dtype a, sr_dtype b);
/* PyTorch's promotion: tensors with dimensions decide; 0-dimensional ones and numbers
 * only where they are of a higher category. */
sr_dtype sr__promoted(int n, const sr_operand *x);

/* ---- reductions ------------------------------------------------------------------------ */

/* Which dimensions of x are reduced; the node parameters of most reductions. */
typedef struct {
  unsigned mask; /* bit d: dimension d */
  bool keepdim;
  int64_t count; /* elements that make one result */
  double number; /* the operation's own: p, correction */
} sr_reducing;

/* Reads dims (NULL: all, not kept); refuses a dimension named twice. */
sr_status sr__reducing(const char *name, const sr_tensor *x, const sr_dims *dims, sr_reducing *out);
/* SR_SHAPE where `count` is 0: there is no largest of no elements. */
sr_status sr__need_elements(const char *name, const sr_tensor *x, const sr_reducing *r);
/* A new tensor: x (bool as int64, except for any and all) reduced, its reduced dimensions
 * kept with size 1 or dropped. */
sr_status sr__reduced(sr_reduce kind, const sr_tensor *x, const sr_reducing *r, double parameter,
                      sr_tensor **out);

/* ---- parts and views --------------------------------------------------------------------- */

/* x[.., start, start + step, .., ..] (length of them) along dim, checked by the caller. */
sr_status sr__slice_of(const sr_tensor *x, int dim, int64_t start, int64_t length, int64_t step,
                       sr_tensor **out);
/* x[.., position, ..] without that dimension. */
sr_status sr__select_of(const sr_tensor *x, int dim, int64_t position, sr_tensor **out);
/* t as a tensor broadcast to the shape. */
sr_status sr__expanded(const sr_tensor *t, int ndim, const int64_t *sizes, sr_tensor **out);
/* x dense, bool as int64: for kernels that do not take bool. */
sr_status sr__dense_number(const sr_tensor *x, sr_tensor **out);
/* sum += t, in place; sum may be a part of a tensor. t broadcasts to it. */
sr_status sr__add_to(sr_tensor *sum, const sr_tensor *t);

/* Where x is not 0: (count) positions in row-major order, from SR_INDEX_BASE. */
sr_status sr__true_positions(const sr_tensor *x, sr_tensor **out);

/* Gradient of operations that picked positions along a dimension: adds g [.., k, ..] to
 * the gradient [.., n, ..] of input 0 at `index` (dense, of g's number of elements). */
sr_status sr__give_at(sr_node *node, int dim, const sr_tensor *index, const sr_tensor *g);

/* ---- work ---------------------------------------------------------------------------------- */

/* A sequence of raw operations. Each returns a tensor that the work keeps, or NULL once
 * one has failed: the rest then does nothing and the end returns the first failure.
 *
 *   sr_work w = sr__work_begin();
 *   sr_tensor *d = sr__work_binary(&w, SR_OP_sub, x, y);
 *   return sr__work_give(&w, node, 0, sr__work_binary(&w, SR_OP_mul, d, g));
 */
enum { SR_WORK_TENSORS = 16 };
typedef struct {
  sr_status status;
  bool recording; /* as it was before */
  int n;
  sr_tensor *kept[SR_WORK_TENSORS];
} sr_work;

sr_work sr__work_begin(void);
/* Keep what a call made: sr__work_keep(&w, sr__dense(x, &y), &y). Skips after a failure
 * are the caller's: the other calls of this list skip by themselves. */
sr_tensor *sr__work_keep(sr_work *w, sr_status status, sr_tensor *const *made);
sr_tensor *sr__work_unary(sr_work *w, sr_pointwise_op line, sr_tensor *x);
sr_tensor *sr__work_binary(sr_work *w, sr_pointwise_op line, sr_tensor *a, sr_tensor *b);
/* line(x, number) */
sr_tensor *sr__work_number(sr_work *w, sr_pointwise_op line, sr_tensor *x, double number);
/* condition ? a : b, where a NULL tensor is the number. */
sr_tensor *sr__work_where(sr_work *w, sr_tensor *condition, sr_tensor *a, double number_a,
                          sr_tensor *b, double number_b);
sr_tensor *sr__work_as(sr_work *w, sr_tensor *x, sr_dtype dtype);
/* x reduced over r->mask, with those dimensions kept: it broadcasts against x. */
sr_tensor *sr__work_reduce(sr_work *w, sr_reduce kind, sr_tensor *x, const sr_reducing *r,
                           double parameter);
/* y, a result of reducing an ndim-dimensional tensor: seen with the reduced dimensions kept. */
sr_tensor *sr__work_kept(sr_work *w, sr_tensor *y, int ndim, const sr_reducing *r);

/* Ends: release all, and hand over t (kept or borrowed) if nothing failed. */
sr_status sr__work_give(sr_work *w, sr_node *node, int input, sr_tensor *t);
sr_status sr__work_take(sr_work *w, sr_tensor *t, sr_tensor **out);
sr_status sr__work_end(sr_work *w);

#endif
