/* tape.c: recording operations; the life of nodes.
 *
 * Called by every operation (sr__record, sr__finish) and by tensors that go
 * away. Nothing here recurses over the graph. */
#include <string.h>

#include "autograd/node.h"
#include "base/memory.h"

static bool grad_enabled = true;

bool sr_grad_enabled(void) { return grad_enabled; }

bool sr_set_grad_enabled(bool enabled) {
  bool before = grad_enabled;
  grad_enabled = enabled;
  return before;
}

bool sr_requires_grad(const sr_tensor *t) { return t->requires_grad || t->node; }
bool sr_is_leaf(const sr_tensor *t) { return !t->node; }
const char *sr_grad_fn(const sr_tensor *t) { return t->node ? t->node->op->name : NULL; }

/* A header that does not know of a recorded change of its storage. */
static bool lost_history(const sr_tensor *t) { return t->history != t->storage->history; }

bool sr__records(int n, sr_tensor *const *inputs) {
  if (!grad_enabled) return false;
  for (int i = 0; i < n; i++)
    if (inputs[i] && (sr_requires_grad(inputs[i]) || lost_history(inputs[i]))) return true;
  return false;
}

/* ---- making nodes ------------------------------------------------------------------ */

static size_t rounded(size_t bytes) { return (bytes + 15) & ~(size_t)15; }

static sr_status node_new(const sr_op *op, int n_outputs, sr_tensor *const *outputs, int n_inputs,
                          int n_saved, size_t parameter_bytes, sr_node **out) {
  size_t dims = 0;
  for (int k = 0; k < n_outputs; k++) dims += outputs[k]->ndim;
  size_t outputs_at = rounded(sizeof(sr_node));
  size_t edges_at = outputs_at + rounded((size_t)n_outputs * sizeof(sr_output));
  size_t saved_at = edges_at + rounded((size_t)n_inputs * sizeof(sr_edge));
  size_t sizes_at = saved_at + rounded((size_t)n_saved * sizeof(sr_saved));
  size_t parameters_at = sizes_at + rounded(dims * sizeof(int64_t));
  size_t bytes = parameters_at + parameter_bytes;

  static uint64_t nodes_made;
  char *block;
  SR_TRY(sr__new(bytes, (void **)&block));
  sr_node *node = (sr_node *)block;
  *node = (sr_node){.op = op,
                    .order = nodes_made++,
                    .bytes = bytes,
                    .references = 1,
                    .n_outputs = (uint32_t)n_outputs,
                    .n_inputs = (uint32_t)n_inputs,
                    .n_saved = (uint32_t)n_saved,
                    .outputs = (sr_output *)(block + outputs_at),
                    .edges = (sr_edge *)(block + edges_at),
                    .saved = (sr_saved *)(block + saved_at),
                    .parameters = block + parameters_at};
  int64_t *sizes = (int64_t *)(block + sizes_at);
  for (int k = 0; k < n_outputs; k++) {
    const sr_tensor *t = outputs[k];
    node->outputs[k] = (sr_output){
        .backend = sr__backend_of(t), .sizes = sizes, .ndim = t->ndim, .dtype = t->dtype};
    for (int d = 0; d < t->ndim; d++) *sizes++ = t->sizes[d];
  }
  for (int i = 0; i < n_saved; i++) node->saved[i] = (sr_saved){0};
  *out = node;
  return SR_OK;
}

static void add_edges(sr_node *node, sr_tensor *const *inputs) {
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    sr_tensor *t = inputs[i];
    sr_edge *edge = &node->edges[i];
    *edge = (sr_edge){0};
    if (!t) continue;
    if (t->node) {
      edge->node = t->node;
      edge->output = t->output;
      t->node->references++;
    } else if (t->requires_grad) {
      edge->leaf = sr_tensor_retain(t);
    }
  }
}

static sr_status add_saved(sr_node *node, sr_tensor *const *saved) {
  for (uint32_t i = 0; i < node->n_saved; i++) {
    if (!saved[i]) continue;
    SR_TRY(sr__alias_same(saved[i], &node->saved[i].tensor));
    node->saved[i].version = saved[i]->storage->memo.version;
  }
  return SR_OK;
}

static sr_status check_histories(const char *name, int n, sr_tensor *const *inputs) {
  for (int i = 0; i < n; i++)
    if (inputs[i] && lost_history(inputs[i]))
      return sr__fail(SR_STATE,
                      "%s: argument %d shares its values with a view that was changed in place by "
                      "an operation with gradient: assign through one tensor, x[i] = value, or "
                      "take the view again after the change",
                      name, i + 1);
  return SR_OK;
}

static sr_status make_node(const sr_op *op, int n_outputs, sr_tensor *const *outputs, int n_inputs,
                           sr_tensor *const *inputs, int n_saved, sr_tensor *const *saved,
                           const void *parameters, size_t parameter_bytes, sr_node **out) {
  SR_TRY(check_histories(op->name, n_inputs, inputs));
  sr_node *node;
  SR_TRY(node_new(op, n_outputs, outputs, n_inputs, n_saved, parameter_bytes, &node));
  add_edges(node, inputs);
  if (parameter_bytes) memcpy(node->parameters, parameters, parameter_bytes);
  sr_status status = add_saved(node, saved);
  if (status) {
    sr__node_release(node);
    return status;
  }
  *out = node;
  return SR_OK;
}

/* A view that is not recorded would let its base be changed unseen: note whose it is. */
static void note_view(sr_tensor *y, int n_inputs, sr_tensor *const *inputs) {
  const sr_tensor *x = n_inputs ? inputs[0] : NULL;
  if (!x || x->storage != y->storage) return;
  y->no_grad_view = x->no_grad_view || (!grad_enabled && sr_requires_grad(x));
}

sr_status sr__record(const sr_op *op, int n_outputs, sr_tensor *const *outputs, int n_inputs,
                     sr_tensor *const *inputs, int n_saved, sr_tensor *const *saved,
                     const void *parameters, size_t parameter_bytes) {
  if (!sr__records(n_inputs, inputs)) {
    note_view(outputs[0], n_inputs, inputs);
    return SR_OK;
  }
  sr_node *node;
  SR_TRY(make_node(op, n_outputs, outputs, n_inputs, inputs, n_saved, saved, parameters,
                   parameter_bytes, &node));
  node->references = n_outputs;
  for (int k = 0; k < n_outputs; k++) {
    outputs[k]->node = node;
    outputs[k]->output = (uint32_t)k;
  }
  return SR_OK;
}

sr_status sr__finish(const sr_op *op, sr_tensor *y, int n_inputs, sr_tensor *const *inputs,
                     int n_saved, sr_tensor *const *saved, const void *parameters,
                     size_t parameter_bytes, sr_tensor **out) {
  sr_status status =
      sr__record(op, 1, &y, n_inputs, inputs, n_saved, saved, parameters, parameter_bytes);
  if (status) {
    sr_tensor_release(y);
    return status;
  }
  *out = y;
  return SR_OK;
}

/* ---- in place --------------------------------------------------------------------------- */

/* Is x a view, through at most a few views, of a leaf that requires gradients? */
static bool views_leaf(const sr_tensor *x) {
  enum { MOST_VIEWS = 16 };
  const sr_node *node = x->node;
  for (int k = 0; node && node->n_inputs && k < MOST_VIEWS; k++) {
    const sr_edge *edge = &node->edges[0];
    if (edge->leaf) return edge->leaf->storage == x->storage;
    node = edge->node;
  }
  return false;
}

sr_status sr__check_in_place(const char *name, sr_tensor *x, int n_inputs,
                             sr_tensor *const *inputs) {
  if (grad_enabled && x->no_grad_view)
    return sr__fail(SR_STATE,
                    "%s: this view was made inside no_grad and would be changed outside, unseen by "
                    "the tensor it is a part of: do both inside no_grad or both outside, or take "
                    "it from x:detach()",
                    name);
  if (!sr__records(n_inputs, inputs)) return SR_OK;
  if ((!x->node && x->requires_grad) || views_leaf(x))
    return sr__fail(SR_STATE,
                    "%s: a leaf that requires gradients, or a view of one, cannot be changed in "
                    "place: do it inside no_grad",
                    name);
  if (lost_history(x))
    return sr__fail(SR_STATE,
                    "%s: this tensor shares its values with one that was changed in place by an "
                    "operation with gradient: take the view again",
                    name);
  return check_histories(name, n_inputs, inputs); /* before anything is written */
}

sr_status sr__record_in_place(const sr_op *op, sr_tensor *x, int n_inputs, sr_tensor *const *inputs,
                              int n_saved, sr_tensor *const *saved, const void *parameters,
                              size_t parameter_bytes) {
  sr__changed(x);
  if (!sr__records(n_inputs, inputs)) return SR_OK;
  sr_node *node;
  sr_status status =
      make_node(op, 1, &x, n_inputs, inputs, n_saved, saved, parameters, parameter_bytes, &node);
  if (status) { /* x is written: without this change its history would be untrue, so it is lost */
    ++x->storage->history;
    return status;
  }
  if (x->node) sr__history_release(x);
  x->node = node;
  x->output = 0;
  x->history = ++x->storage->history;
  return SR_OK;
}

/* ---- the end of nodes ------------------------------------------------------------------------ */

void sr__node_free_saved(sr_node *node) {
  for (uint32_t i = 0; i < node->n_saved; i++) {
    sr_tensor_release(node->saved[i].tensor);
    node->saved[i].tensor = NULL;
  }
}

/* Nodes without references wait in this list while one of them is taken apart: what
 * it refers to may lose its last reference too, to any depth. */
static sr_node *dying;
static bool taking_apart;

static void take_apart(sr_node *node) {
  sr__node_free_saved(node);
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    if (node->edges[i].node) sr__node_release(node->edges[i].node);
    sr_tensor_release(node->edges[i].leaf);
  }
  for (uint32_t k = 0; k < node->n_outputs; k++) sr_tensor_release(node->outputs[k].grad);
  sr__free(node, node->bytes);
}

void sr__node_release(sr_node *node) {
  if (--node->references > 0) return;
  node->next = dying;
  dying = node;
  if (taking_apart) return;
  taking_apart = true;
  while (dying) {
    sr_node *first = dying;
    dying = first->next;
    take_apart(first);
  }
  taking_apart = false;
}

void sr__history_release(sr_tensor *t) {
  sr_node *node = t->node;
  if (node->outputs[t->output].retained == t) node->outputs[t->output].retained = NULL;
  t->node = NULL;
  sr__node_release(node);
}

/* ---- leaves -------------------------------------------------------------------------- */

sr_status sr_set_requires_grad(sr_tensor *t, bool requires_grad) {
  if (t->node) {
    if (requires_grad) return SR_OK;
    return sr__fail(SR_STATE,
                    "requires_grad: a result of recorded operations cannot be changed: use "
                    "x:detach()");
  }
  if (requires_grad && !sr__floating(t))
    return sr__fail(SR_DTYPE, "requires_grad: only floating tensors have gradients, not %s",
                    SR_DTYPE_OF(t));
  t->requires_grad = requires_grad;
  return SR_OK;
}

sr_tensor *sr_grad(const sr_tensor *t) { return t->grad; }

sr_status sr_set_grad(sr_tensor *t, sr_tensor *grad) {
  sr_tensor *kept = NULL;
  if (grad) {
    if (!sr__same_shape(t, grad))
      return sr__fail(SR_SHAPE, "grad: expected shape %s, got %s", SR_SHAPE_OF(t),
                      SR_SHAPE_OF(grad));
    if (t->dtype != grad->dtype)
      return sr__fail(SR_DTYPE, "grad: expected dtype %s, got %s", SR_DTYPE_OF(t),
                      SR_DTYPE_OF(grad));
    SR_TRY(sr__same_device("grad", 2, (const sr_tensor *[]){t, grad}));
    /* backward adds into it, so its elements must not overlap, nor be those of t */
    bool own = grad->contiguous && grad->storage != t->storage;
    SR_TRY(own ? sr__alias_same(grad, &kept) : sr__copied(grad, &kept));
  }
  sr_tensor_release(t->grad);
  t->grad = kept;
  return SR_OK;
}

sr_status sr_retain_grad(sr_tensor *t) {
  if (!sr_requires_grad(t))
    return sr__fail(SR_STATE, "retain_grad: the tensor does not require gradients");
  if (t->node) t->node->outputs[t->output].retained = t;
  return SR_OK;
}

sr_status sr_detach(sr_tensor *t, sr_tensor **out) { return sr__alias_same(t, out); }

sr_status sr_detach_(sr_tensor *t) {
  if (t->node) sr__history_release(t);
  t->requires_grad = false;
  return SR_OK;
}
