/* backward.c: the backward pass.
 *
 * 1. discover: from the roots along the edges, count for every node the users
 *    that will send it a gradient.
 * 2. prune, where gradients of certain tensors are asked for (sr_gradients): what
 *    does not lead to them neither runs nor is sent anything.
 * 3. run: take a node all of whose users are done, call its operation's
 *    backward, which gives gradients to its edges.
 * Lists run through the nodes themselves, so neither depth nor memory limits
 * the length of a chain. */
#include <math.h>
#include <signal.h>

#include "autograd/node.h"
#include "base/memory.h"

typedef struct {
  bool retain_graph;
  const sr_capture *capture; /* NULL: into the leaves' grad */
  uint64_t oldest;           /* order of the first node that matters */
  sr_node *ready, *all;
} pass;

static bool running;
static bool detect_anomaly;
static volatile sig_atomic_t interrupted;

void sr_interrupt(void) { interrupted = 1; }
void sr_set_detect_anomaly(bool on) { detect_anomaly = on; }

/* ---- the pass ------------------------------------------------------------------------ */

static void push_ready(pass *p, sr_node *node) {
  node->next = p->ready;
  p->ready = node;
}

static sr_node *pop_ready(pass *p) {
  sr_node *node = p->ready;
  p->ready = node->next;
  return node;
}

static void visit(pass *p, sr_node *node) {
  if (node->visited) return;
  node->visited = true;
  node->runs = node->wanted = !p->capture;
  node->references++; /* the pass's own */
  node->waiting = 0;
  node->all = p->all;
  p->all = node;
  push_ready(p, node);
}

/* Reaches every node behind those in p->ready, which is empty afterwards. */
static void discover(pass *p) {
  while (p->ready) {
    sr_node *node = pop_ready(p);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
      sr_node *behind = node->edges[i].node;
      if (!behind || behind->order < p->oldest) continue;
      visit(p, behind);
      behind->waiting++;
    }
  }
}

/* Nodes that wait for nobody are ready. */
static void collect_ready(pass *p) {
  for (sr_node *node = p->all; node; node = node->all)
    if (node->waiting == 0 && node->wanted) push_ready(p, node);
}

static void user_done(pass *p, sr_node *node) {
  if (--node->waiting == 0) push_ready(p, node);
}

/* ---- pruning ---------------------------------------------------------------------- */

/* Nothing older than all inputs can lead to one; a leaf may hang on any node. */
static uint64_t oldest_input(const sr_capture *c) {
  uint64_t oldest = UINT64_MAX;
  for (int i = 0; i < c->n; i++) {
    uint64_t order = c->inputs[i]->node ? c->inputs[i]->node->order : 0;
    if (order < oldest) oldest = order;
  }
  return oldest;
}

/* All nodes in a list through `next`, each before its users. Uses up `waiting`. */
static sr_node *sources_first(pass *p) {
  sr_node *list = NULL;
  for (sr_node *node = p->all; node; node = node->all)
    if (node->waiting == 0) push_ready(p, node);
  while (p->ready) {
    sr_node *node = pop_ready(p);
    node->next = list;
    list = node;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
      sr_node *behind = node->edges[i].node;
      if (behind && behind->visited) user_done(p, behind);
    }
  }
  return list;
}

static bool wants_any(const sr_node *node) {
  for (uint32_t i = 0; i < node->n_inputs; i++)
    if (sr__wants(node, (int)i)) return true;
  return false;
}

static void prune(pass *p) {
  for (int i = 0; i < p->capture->n; i++) {
    sr_node *node = p->capture->inputs[i]->node;
    if (node && node->visited) node->captured = node->wanted = true;
  }
  for (sr_node *node = sources_first(p); node; node = node->next) {
    node->runs = wants_any(node);
    if (node->runs) node->wanted = true;
  }
  for (sr_node *node = p->all; node; node = node->all)
    for (uint32_t i = 0; node->runs && i < node->n_inputs; i++) {
      sr_node *behind = node->edges[i].node;
      if (behind && behind->wanted) behind->waiting++;
    }
}

/* ---- running ---------------------------------------------------------------------- */

static sr_status capture_outputs(const pass *p, sr_node *node) {
  for (uint32_t k = 0; k < node->n_outputs; k++) {
    sr_output *o = &node->outputs[k];
    if (o->retained && o->grad) {
      sr_tensor *copy;
      SR_TRY(sr__copied(o->grad, &copy));
      sr_tensor_release(o->retained->grad);
      o->retained->grad = copy;
    }
    for (int i = 0; node->captured && i < p->capture->n; i++) {
      const sr_tensor *t = p->capture->inputs[i];
      if (t->node != node || t->output != k || !o->grad) continue;
      sr_tensor_release(p->capture->grads[i]);
      p->capture->grads[i] = sr_tensor_retain(o->grad);
    }
  }
  return SR_OK;
}

static sr_status check_numbers(const sr_node *node, const sr_tensor *g) {
  sr_tensor *count = NULL;
  SR_TRY(sr__empty(sr__backend_of(g), (sr_dtype)g->dtype, 0, NULL, &count));
  sr_scalar sum = {0};
  sr_status status = sr__reduce(SR_REDUCE_SUM, g, (1u << g->ndim) - 1, 0, count);
  if (!status) status = sr_tensor_item(count, &sum);
  sr_tensor_release(count);
  if (!status && isnan(sum.number))
    status = sr__fail(SR_STATE, "backward: the gradient of %s has NaN", node->op->name);
  return status;
}

static sr_status check_edges(const sr_node *node) {
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    if (!sr__wants(node, (int)i)) continue;
    const sr_tensor *g = sr__edge_gradient(&node->edges[i]);
    if (g) SR_TRY(check_numbers(node, g));
  }
  return SR_OK;
}

enum { FEW_OUTPUTS = 8 };

static sr_status call_backward(sr_node *node) {
  sr_tensor *few[FEW_OUTPUTS], **grads = few;
  size_t bytes = node->n_outputs * sizeof *grads;
  if (node->n_outputs > FEW_OUTPUTS) SR_TRY(sr__new(bytes, (void **)&grads));
  bool any = false;
  for (uint32_t k = 0; k < node->n_outputs; k++) {
    grads[k] = node->outputs[k].grad;
    node->outputs[k].grad = NULL;
    if (grads[k]) any = true;
  }
  sr_status status = any ? node->op->backward(node, grads) : SR_OK;
  sr__settle_buffers(node, status);
  for (uint32_t k = 0; k < node->n_outputs; k++) sr_tensor_release(grads[k]);
  if (grads != few) sr__free(grads, bytes);
  if (!status && detect_anomaly) status = check_edges(node);
  return status;
}

static sr_status run_node(pass *p, sr_node *node) {
  SR_TRY(call_backward(node));
  if (!p->retain_graph && node->n_saved) {
    sr__node_free_saved(node);
    node->released = true;
  }
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    sr_node *behind = node->edges[i].node;
    if (behind && behind->wanted) user_done(p, behind);
  }
  return SR_OK;
}

static sr_status run(pass *p) {
  while (p->ready) {
    sr_node *node = pop_ready(p);
    if (interrupted) return sr__fail(SR_INTERRUPTED, "backward: interrupted");
    SR_TRY(capture_outputs(p, node));
    if (node->runs) SR_TRY(run_node(p, node));
  }
  return SR_OK;
}

static void finish(pass *p) {
  while (p->all) {
    sr_node *node = p->all;
    p->all = node->all;
    node->visited = node->captured = node->runs = node->wanted = false;
    for (uint32_t k = 0; k < node->n_outputs; k++) {
      sr_tensor_release(node->outputs[k].grad);
      node->outputs[k].grad = NULL;
    }
    sr__node_release(node);
  }
}

/* ---- roots --------------------------------------------------------------------------- */

static sr_status first_gradient(const sr_tensor *output, sr_tensor *gradient, sr_tensor **out) {
  if (!gradient) {
    if (output->numel != 1)
      return sr__fail(SR_SHAPE,
                      "backward: a gradient is needed for an output of shape %s (only one with one "
                      "element has an implied one)",
                      SR_SHAPE_OF(output));
    SR_TRY(sr__empty_like(output, (sr_dtype)output->dtype, out));
    sr_status status = sr__fill(*out, sr_integer(1));
    if (status) sr_tensor_release(*out);
    return status;
  }
  if (!sr__same_shape(output, gradient))
    return sr__fail(SR_SHAPE, "backward: the gradient's shape %s is not the output's %s",
                    SR_SHAPE_OF(gradient), SR_SHAPE_OF(output));
  SR_TRY(sr__same_device("backward", 2, (const sr_tensor *[]){output, gradient}));
  /* It may be the grad of a leaf, which the pass adds into while this is read. */
  if (gradient->dtype == output->dtype) return sr__copied(gradient, out);
  return sr__as(gradient, (sr_dtype)output->dtype, out);
}

/* Give a root its gradient as if a user had: through an edge of its own. */
static sr_status seed(sr_tensor *output, sr_tensor *gradient) {
  if (!sr_requires_grad(output))
    return sr__fail(SR_STATE,
                    "backward: the tensor does not require gradients and nothing it was computed "
                    "from does (was it computed inside no_grad, or detached?)");
  sr_tensor *g;
  SR_TRY(first_gradient(output, gradient, &g));
  sr_edge edge = {
      .node = output->node, .leaf = output->node ? NULL : output, .output = output->output};
  sr_node root = {.n_inputs = 1, .edges = &edge};
  return sr__give(&root, 0, g);
}

static sr_status start(pass *p, int n, sr_tensor *const *outputs, sr_tensor *const *gradients) {
  for (int i = 0; i < n; i++) {
    if (outputs[i]->history != outputs[i]->storage->history)
      return sr__fail(SR_STATE,
                      "backward: the tensor shares its values with one that was changed "
                      "in place by an operation with gradient");
    if (outputs[i]->node) visit(p, outputs[i]->node);
  }
  discover(p);
  if (p->capture) prune(p);
  for (int i = 0; i < n; i++) SR_TRY(seed(outputs[i], gradients ? gradients[i] : NULL));
  collect_ready(p);
  return SR_OK;
}

static sr_status run_pass(pass *p, int n, sr_tensor *const *outputs, sr_tensor *const *gradients) {
  if (running) return sr__fail(SR_STATE, "backward: called from inside a backward pass");
  running = true;
  interrupted = 0;
  sr__capture_into(p->capture);
  bool recording = sr_set_grad_enabled(false);
  sr_status status = start(p, n, outputs, gradients);
  if (!status) status = run(p);
  finish(p);
  sr_set_grad_enabled(recording);
  sr__capture_into(NULL);
  running = false;
  return status;
}

sr_status sr_backward(sr_tensor *t, sr_tensor *gradient, bool retain_graph) {
  pass p = {.retain_graph = retain_graph};
  return run_pass(&p, 1, &t, &gradient);
}

/* An input that is asked for twice was found once. */
static void share_repeated(const sr_capture *c) {
  for (int i = 1; i < c->n; i++)
    for (int j = 0; j < i && !c->grads[i]; j++)
      if (c->inputs[i] == c->inputs[j] && c->grads[j]) c->grads[i] = sr_tensor_retain(c->grads[j]);
}

static sr_status check_all_reached(int n, sr_tensor *const *grads) {
  for (int i = 0; i < n; i++)
    if (!grads[i])
      return sr__fail(
          SR_STATE,
          "grad: input %d was not used to compute the outputs: use {allow_unused = true} "
          "to get nil for it",
          i + 1);
  return SR_OK;
}

sr_status sr_gradients(int n_outputs, sr_tensor *const *outputs, sr_tensor *const *gradients,
                       int n_inputs, sr_tensor *const *inputs, bool retain_graph, bool allow_unused,
                       sr_tensor **out) {
  for (int i = 0; i < n_inputs; i++) {
    out[i] = NULL;
    if (!sr_requires_grad(inputs[i]))
      return sr__fail(SR_STATE, "grad: input %d does not require gradients", i + 1);
  }
  sr_capture capture = {n_inputs, inputs, out};
  pass p = {.retain_graph = retain_graph, .capture = &capture, .oldest = oldest_input(&capture)};
  sr_status status = run_pass(&p, n_outputs, outputs, gradients);
  if (!status) share_repeated(&capture);
  if (!status && !allow_unused) status = check_all_reached(n_inputs, out);
  for (int i = 0; status && i < n_inputs; i++) {
    sr_tensor_release(out[i]);
    out[i] = NULL;
  }
  return status;
}
