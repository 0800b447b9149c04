/* autograd.h: the tape.
 *
 * An operation on tensors that need gradients leaves a node: which operation,
 * where its inputs came from (edges), what its gradient needs (saved tensors and
 * a parameter block). sr_backward walks the nodes without recursion, each after
 * all that used its outputs, and calls the operation's `backward`, which hands a
 * gradient to each edge. Nodes are counted references held by the tensors they
 * computed and by the nodes behind them.
 *
 * An operation file looks like this (see ops/product.c for real ones):
 *
 *   static sr_status thing_backward(sr_node *node, sr_tensor *const *grad) {
 *     sr_tensor *x;                                      // grad[0]: d loss / d output 0
 *     SR_TRY(sr__saved(node, 0, &x));                    // checked: not changed since
 *     if (sr__wants(node, 0)) { ... sr__give(node, 0, gradient_of_x) }
 *   }
 *   static const sr_op thing_op = {"thing", thing_backward};
 *
 *   sr_status sr_thing(sr_tensor *x, sr_tensor **out) {
 *     ... check, allocate y, compute ...
 *     return sr__finish(&thing_op, y, 1, (sr_tensor *[]){x}, 1, (sr_tensor *[]){x}, NULL, 0, out);
 *   }
 */
#ifndef SR_AUTOGRAD_AUTOGRAD_H
#define SR_AUTOGRAD_AUTOGRAD_H

#include "tensor/tensor.h"

/* grad[k] is the gradient of output k: of its shape and dtype, dense or not; NULL
 * where nothing reached that output (never NULL for an operation with one output).
 * Runs with recording off. */
typedef struct {
  const char *name; /* as in messages and grad_fn */
  sr_status (*backward)(sr_node *node, sr_tensor *const *grad);
} sr_op;

enum { SR_MAX_SAVED = 16 };

/* Does an operation on these inputs (NULLs skipped) have to be recorded? */
bool sr__records(int n, sr_tensor *const *inputs);

/* Record: gives the outputs (fresh tensors without history) a node. `inputs` become the edges in
 * order (NULL: an absent optional input), `saved` are kept as aliases without history (NULL
 * allowed), `parameters` is copied. Does nothing but return SR_OK where
 * sr__records(inputs) is false. Fails with SR_STATE on an input whose storage got a
 * recorded in-place change through another header. */
sr_status sr__record(const sr_op *op, int n_outputs, sr_tensor *const *outputs, int n_inputs,
                     sr_tensor *const *inputs, int n_saved, sr_tensor *const *saved,
                     const void *parameters, size_t parameter_bytes);

/* The usual end of an operation with one output: record, then *out = y; on failure
 * release y. */
sr_status sr__finish(const sr_op *op, sr_tensor *y, int n_inputs, sr_tensor *const *inputs,
                     int n_saved, sr_tensor *const *saved, const void *parameters,
                     size_t parameter_bytes, sr_tensor **out);

/* ---- in place --------------------------------------------------------------------------- */

/* Before an in-place operation on x that reads the other inputs: refuses a leaf that
 * requires gradients, views whose history cannot be kept, and, outside no_grad, views that were
 * made inside. */
sr_status sr__check_in_place(const char *name, sr_tensor *x, int n_inputs,
                             sr_tensor *const *inputs);
/* After it: counts the change, and, if it has to be recorded, makes x the output of a new
 * node (inputs, saved as in sr__record; x's own former history is the edge where inputs has x). */
sr_status sr__record_in_place(const sr_op *op, sr_tensor *x, int n_inputs, sr_tensor *const *inputs,
                              int n_saved, sr_tensor *const *saved, const void *parameters,
                              size_t parameter_bytes);

/* ---- inside backward ----------------------------------------------------------------------- */

bool sr__wants(const sr_node *node, int input); /* is there an edge to feed? */
/* The i-th saved tensor (borrowed; NULL if NULL was saved). SR_STATE if it was changed in place
 * since. */
sr_status sr__saved(const sr_node *node, int i, sr_tensor **out);
const void *sr__parameters(const sr_node *node);
/* Shape of input i as it was recorded. */
int sr__input_ndim(const sr_node *node, int input);
const int64_t *sr__input_sizes(const sr_node *node, int input);

/* Hand over gradient `g` (ownership passes, also on failure; g may be NULL, which gives nothing).
 * It is summed over broadcast dimensions to the input's shape, converted to its dtype, and added to
 * what came before. */
sr_status sr__give(sr_node *node, int input, sr_tensor *g);
/* The same for a gradient that the caller keeps (adds a reference). */
sr_status sr__give_shared(sr_node *node, int input, sr_tensor *g);
/* A dense tensor of the input's shape and dtype that the caller adds its gradient into, in place:
 * *fresh tells that it is uninitialised and must be written instead. Borrowed. For weights
 * (products with beta) and for reads of parts (select, narrow, embedding): no full-size temporary.
 */
sr_status sr__grad_buffer(sr_node *node, int input, sr_tensor **buffer, bool *fresh);
/* The same, zeroed if fresh. */
sr_status sr__grad_buffer_zeroed(sr_node *node, int input, sr_tensor **buffer);

void sr__node_release(sr_node *node); /* for tensors; walks without recursion */
/* Called when a header dies that a node may point to (retain_grad). */
void sr__forget_retained(sr_tensor *t);

#endif
