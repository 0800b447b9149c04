/* node.h: the layout of a tape node, shared by the files of this folder only. */
#ifndef SR_AUTOGRAD_NODE_H
#define SR_AUTOGRAD_NODE_H

#include "autograd/autograd.h"

/* Where an input came from: output `output` of another node, or a leaf, or
 * nowhere (no gradient is wanted). Holds a reference. */
typedef struct {
  sr_node *node;
  sr_tensor *leaf;
  uint32_t output;
  bool fresh; /* its gradient buffer is being written for the first time */
} sr_edge;

/* An output's shape, its gradient while a pass runs, and the header that asked
 * to keep it (borrowed: the header clears it when it dies). */
typedef struct {
  sr_tensor *grad;
  sr_tensor *retained;
  const sr_backend *backend;
  int64_t *sizes;
  uint8_t ndim, dtype;
} sr_output;

typedef struct {
  sr_tensor *tensor; /* an alias without history */
  uint64_t version;  /* of its storage when it was kept */
} sr_saved;

/* One block of memory: the node, its outputs, edges, saved tensors, output
 * sizes and parameters. */
struct sr_node {
  const sr_op *op;
  size_t bytes;
  int32_t references;
  uint32_t n_outputs, n_inputs, n_saved;
  bool released;   /* what it kept was freed by a backward pass */
  bool visited;    /* belongs to the running pass, */
  bool captured;   /* which was asked for a gradient of its outputs, */
  bool runs;       /* calls its backward, */
  bool wanted;     /* sends it gradients: it runs or is captured */
  uint64_t order;  /* edges lead to nodes of lower order */
  int64_t waiting; /* users whose gradient has not come yet */
  sr_node *next;   /* in the list of ready nodes, or of nodes to free */
  sr_node *all;    /* in the list of nodes of the pass */
  sr_output *outputs;
  sr_edge *edges;
  sr_saved *saved;
  void *parameters;
};

static inline bool sr__edge_leads(const sr_edge *edge) { return edge->node || edge->leaf; }
void sr__node_free_saved(sr_node *node);

/* ---- between backward.c, which runs the pass, and give.c ---------------------------------- */

/* sr_gradients asks for gradients of these instead of accumulating in leaves. */
typedef struct {
  int n;
  sr_tensor *const *inputs;
  sr_tensor **grads;
} sr_capture;

/* Where the running pass puts gradients; NULL: into the leaves' grad. */
void sr__capture_into(const sr_capture *capture);
/* What has arrived at the edge so far, or NULL. */
const sr_tensor *sr__edge_gradient(const sr_edge *edge);
/* After a node's backward returned `status`: buffers (sr__grad_buffer) that a failure left
 * unwritten are not taken for gradients. */
void sr__settle_buffers(sr_node *node, sr_status status);

#endif
