/* give.c: what an operation's backward function calls: it reads what the node kept and
 * hands gradients to the edges.
 *
 * An edge leads to a slot: the gradient of another node's output while the pass runs, the
 * grad of a leaf, or the place in a list that sr_gradients asked for. */
#include "autograd/node.h"
#include "base/memory.h"

/* ---- where gradients go ---------------------------------------------------------------- */

typedef struct {
  sr_tensor **slot; /* NULL: not wanted */
  const sr_backend *backend;
  const int64_t *sizes;
  uint8_t ndim, dtype;
  bool leaf;
} target;

static const sr_capture *capturing; /* of the running pass */

void sr__capture_into(const sr_capture *capture) { capturing = capture; }

static sr_tensor **leaf_slot(sr_tensor *leaf) {
  if (!capturing) return &leaf->grad;
  for (int i = 0; i < capturing->n; i++)
    if (capturing->inputs[i] == leaf) return &capturing->grads[i];
  return NULL;
}

static target target_of(const sr_edge *edge) {
  if (edge->node) {
    sr_output *o = &edge->node->outputs[edge->output];
    sr_tensor **slot = edge->node->wanted ? &o->grad : NULL;
    return (target){slot, o->backend, o->sizes, o->ndim, o->dtype, false};
  }
  sr_tensor *t = edge->leaf;
  return (target){leaf_slot(t), sr__backend_of(t), t->sizes, t->ndim, t->dtype, true};
}

/* Nobody else sees its values, and adding in place cannot alias. */
static bool exclusive(const sr_tensor *t) {
  return t->references == 1 && t->storage->references == 1 && t->contiguous;
}

/* sum += g, in place. */
static sr_status add_into(sr_tensor *sum, const sr_tensor *g) {
  sr_loop loop;
  if (!sr__loop(&loop, sum->ndim, sum->sizes, 3, (const sr_tensor *[]){sum, sum, g})) return SR_OK;
  sr__changed(sum);
  return sr__backend_of(sum)->map(SR_MAP_add, (sr_dtype)sum->dtype, &loop, (double[2]){0});
}

static bool target_has_shape(const target *to, const sr_tensor *g) {
  if (to->ndim != g->ndim) return false;
  for (int d = 0; d < g->ndim; d++)
    if (to->sizes[d] != g->sizes[d]) return false;
  return true;
}

/* g in the target's shape and dtype; takes over and gives one reference. */
static sr_status fit(const target *to, sr_tensor **g) {
  sr_tensor *fitted = NULL;
  sr_status status = SR_OK;
  if (!target_has_shape(to, *g)) {
    status = sr__sum_to(*g, to->ndim, to->sizes, &fitted);
    sr_tensor_release(*g);
    *g = fitted;
    if (status) return status;
  }
  if ((*g)->dtype != to->dtype) {
    status = sr__as(*g, (sr_dtype)to->dtype, &fitted);
    sr_tensor_release(*g);
    *g = fitted;
  }
  return status;
}

/* The first gradient of a slot: a leaf keeps it as its grad, so it must be its own. */
static sr_status store(const target *to, sr_tensor *g) {
  if (to->leaf && !exclusive(g)) {
    sr_tensor *copy;
    sr_status status = sr__copied(g, &copy);
    sr_tensor_release(g);
    if (status) return status;
    g = copy;
  }
  *to->slot = g;
  return SR_OK;
}

/* Make the slot's tensor one that may be added into. A leaf's grad is: adding to
 * it is what backward is for. */
static sr_status own(const target *to) {
  if (to->leaf || exclusive(*to->slot)) return SR_OK;
  sr_tensor *copy;
  SR_TRY(sr__copied(*to->slot, &copy));
  sr_tensor_release(*to->slot);
  *to->slot = copy;
  return SR_OK;
}

sr_status sr__give(sr_node *node, int input, sr_tensor *g) {
  const sr_edge *edge = &node->edges[input];
  if (!g) return SR_OK;
  if (!sr__edge_leads(edge)) {
    sr_tensor_release(g);
    return SR_OK;
  }
  target to = target_of(edge);
  if (!to.slot) {
    sr_tensor_release(g);
    return SR_OK;
  }
  sr_status status = fit(&to, &g);
  if (status) return status;
  if (!*to.slot) return store(&to, g);
  status = own(&to);
  if (!status) status = add_into(*to.slot, g);
  sr_tensor_release(g);
  return status;
}

sr_status sr__give_shared(sr_node *node, int input, sr_tensor *g) {
  return sr__give(node, input, g ? sr_tensor_retain(g) : NULL);
}

sr_status sr__grad_buffer(sr_node *node, int input, sr_tensor **buffer, bool *fresh) {
  sr_edge *edge = &node->edges[input];
  target to = target_of(edge);
  *fresh = !*to.slot;
  if (*fresh) {
    SR_TRY(sr__empty(to.backend, (sr_dtype)to.dtype, to.ndim, to.sizes, to.slot));
    edge->fresh = true;
  } else {
    SR_TRY(own(&to));
    sr__changed(*to.slot);
  }
  *buffer = *to.slot;
  return SR_OK;
}

sr_status sr__grad_buffer_zeroed(sr_node *node, int input, sr_tensor **buffer) {
  bool fresh;
  SR_TRY(sr__grad_buffer(node, input, buffer, &fresh));
  return fresh ? sr__fill(*buffer, sr_integer(0)) : SR_OK;
}

const sr_tensor *sr__edge_gradient(const sr_edge *edge) {
  target to = target_of(edge);
  return to.slot ? *to.slot : NULL;
}

/* Buffers that an interrupted backward left unwritten must not be taken for gradients. */
void sr__settle_buffers(sr_node *node, sr_status status) {
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    sr_edge *edge = &node->edges[i];
    if (!edge->fresh) continue;
    edge->fresh = false;
    target to = target_of(edge);
    if (!status || !to.slot) continue;
    sr_tensor_release(*to.slot);
    *to.slot = NULL;
  }
}

bool sr__wants(const sr_node *node, int input) {
  const sr_edge *edge = &node->edges[input];
  if (edge->node) return edge->node->wanted;
  return edge->leaf && leaf_slot(edge->leaf);
}

/* ---- what a backward function reads -------------------------------------------------- */

sr_status sr__saved(const sr_node *node, int i, sr_tensor **out) {
  if (node->released)
    return sr__fail(SR_STATE,
                    "backward: through %s a second time: what it kept was freed by the first "
                    "backward; use {retain_graph = true} there",
                    node->op->name);
  const sr_saved *saved = &node->saved[i];
  if (saved->tensor && saved->tensor->storage->memo.version != saved->version)
    return sr__fail(SR_STATE,
                    "backward: a tensor needed for the gradient of %s was changed in place "
                    "(shape %s, version %lld, expected %lld)",
                    node->op->name, SR_SHAPE_OF(saved->tensor),
                    (long long)saved->tensor->storage->memo.version, (long long)saved->version);
  *out = saved->tensor;
  return SR_OK;
}

const void *sr__parameters(const sr_node *node) { return node->parameters; }

int sr__input_ndim(const sr_node *node, int input) { return target_of(&node->edges[input]).ndim; }

const int64_t *sr__input_sizes(const sr_node *node, int input) {
  return target_of(&node->edges[input]).sizes;
}
