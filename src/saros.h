/* saros.h: the C door of the saros runtime.
 *
 * Tensors, autograd, recurrent sequences, random numbers, files and text for
 * the CPU and other backends. No Lua in here: the Lua binding is one client,
 * the C tests are another.
 *
 * Conventions
 *   - A call that can fail returns sr_status; SR_OK is 0. sr_message() tells
 *     what was asked and what was found. A failing call writes no result.
 *   - Results come through the last argument(s). A tensor so returned is the
 *     caller's: give it back with sr_tensor_release. Arguments stay the
 *     caller's; the runtime takes references of its own where it needs them.
 *   - Sizes and strides are int64_t, in elements. Dimensions count from 0 in C,
 *     negative ones from the end. POSITIONS HELD IN INDEX TENSORS (token ids,
 *     class targets, what argmax, topk, sort or randperm return) count from
 *     SR_INDEX_BASE, which is 1: they are what a Lua user reads and writes.
 *   - One thread calls the runtime at a time; it uses threads inside kernels.
 */
#ifndef SAROS_H
#define SAROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SR_VERSION "0.1.0"
#define SR_MAX_DIMS 8
#define SR_INDEX_BASE 1

/* ---- status ------------------------------------------------------------- */

/* X(name, value text): the list that the enum and sr_status_name come from. */
#define SR_STATUS_LIST(X)        \
  X(OK, "ok")                    \
  X(ARGUMENT, "bad argument")    \
  X(SHAPE, "shapes do not fit")  \
  X(DTYPE, "wrong dtype")        \
  X(INDEX, "index out of range") \
  X(MEMORY, "not enough memory") \
  X(IO, "file error")            \
  X(FORMAT, "malformed file")    \
  X(STATE, "wrong state")        \
  X(DEVICE, "device error")      \
  X(INTERRUPTED, "interrupted")

typedef enum {
#define X(name, text) SR_##name,
  SR_STATUS_LIST(X)
#undef X
} sr_status;

const char *sr_status_name(sr_status status);

/* What the last failing call of this thread said; "" if none failed. Valid
 * until the next failure. */
const char *sr_message(void);

/* ---- memory ------------------------------------------------------------- */

/* All memory of the runtime comes from one allocator. Like lua_Alloc: a resize
 * to 0 frees and returns NULL; a block is aligned to 64 bytes. */
typedef struct {
  void *(*resize)(void *user, void *block, size_t old_bytes, size_t new_bytes);
  void *user;
} sr_allocator;

/* Replace the allocator; NULL restores the standard one. Only while no block
 * is alive (SR_STATE otherwise). */
sr_status sr_memory_set_allocator(const sr_allocator *allocator);

typedef struct {
  int64_t live_bytes, live_blocks; /* handed out and not given back */
  int64_t peak_bytes;              /* largest live_bytes so far */
  int64_t cached_bytes;            /* freed blocks kept for the next request */
  int64_t allocations;             /* requests so far, cache hits included */
} sr_memory_info;

sr_memory_info sr_memory_stats(void);

/* Make the n-th request from now fail (1 is the next one), and with `onwards`
 * all after it; 0 switches off. Requests served from the cache count too. */
void sr_memory_fail_at(int64_t n, bool onwards);

/* Give the cached blocks back to the system. */
void sr_memory_trim(void);

/* Called when the system refuses memory, before the request is tried a last
 * time: a chance to drop what nobody uses (the Lua binding runs its collector). */
void sr_memory_on_pressure(void (*release_some)(void *user), void *user);

/* ---- runtime ------------------------------------------------------------ */

/* Choose kernels for this processor and check them (a few products, exp and
 * tanh, the rounding mode). Called once before anything else; again is harmless. */
sr_status sr_start(void);

/* Instruction set in use: "avx512", "avx2" or "baseline". */
const char *sr_cpu_kernels(void);
/* What computes large products on the CPU: "BLIS 0.9.0, zen3". */
const char *sr_product_library(void);

/* Threads that a large kernel may use; results do not depend on it. */
sr_status sr_set_num_threads(int n);
int sr_num_threads(void);

/* Ask a running backward pass to stop at its next node with SR_INTERRUPTED.
 * May be called from a signal handler. */
void sr_interrupt(void);

/* 0 is the CPU, 1 + i the i-th CUDA device. */
typedef int sr_device;
#define SR_CPU 0

/* "cpu", "cuda", "cuda:1". SR_DEVICE if there is no such device here. */
sr_status sr_device_parse(const char *name, sr_device *device);
/* Writes "cpu" or "cuda:N" into buffer (16 bytes). */
const char *sr_device_name(sr_device device, char buffer[16]);
int sr_device_count(const char *kind); /* "cpu" or "cuda" */

/* ---- tensors ------------------------------------------------------------ */

/* X(name, C type, is floating) */
#define SR_DTYPE_LIST(X)   \
  X(float32, float, true)  \
  X(float64, double, true) \
  X(int64, int64_t, false) \
  X(bool, uint8_t, false)

typedef enum {
#define X(name, type, floating) SR_##name,
  SR_DTYPE_LIST(X)
#undef X
      SR_DTYPES /* how many */
} sr_dtype;

const char *sr_dtype_name(sr_dtype dtype);                   /* "float32" */
sr_status sr_dtype_parse(const char *name, sr_dtype *dtype); /* also "float", "long", ... */
size_t sr_dtype_bytes(sr_dtype dtype);
bool sr_dtype_is_floating(sr_dtype dtype);

/* A number on its way into or out of a tensor; integers keep all their bits. */
typedef struct {
  bool is_integer;
  double number;   /* always set */
  int64_t integer; /* set where is_integer */
} sr_scalar;

static inline sr_scalar sr_number(double x) { return (sr_scalar){false, x, 0}; }
static inline sr_scalar sr_integer(int64_t i) { return (sr_scalar){true, (double)i, i}; }

typedef struct sr_tensor sr_tensor;

/* Uninitialised values. ndim 0..SR_MAX_DIMS; sizes >= 0. */
sr_status sr_tensor_empty(sr_dtype dtype, int ndim, const int64_t *size, sr_device device,
                          sr_tensor **out);
sr_status sr_tensor_full(sr_dtype dtype, int ndim, const int64_t *size, sr_scalar value,
                         sr_device device, sr_tensor **out);
/* Copies numel values of dtype, row by row, from host memory. */
sr_status sr_tensor_from(sr_dtype dtype, int ndim, const int64_t *size, const void *values,
                         sr_device device, sr_tensor **out);
/* start, start + step, ... below (above, for a negative step) end: PyTorch's arange. */
sr_status sr_tensor_arange(sr_dtype dtype, sr_scalar start, sr_scalar end, sr_scalar step,
                           sr_device device, sr_tensor **out);
/* count values from start to end, both included. */
sr_status sr_tensor_linspace(sr_dtype dtype, double start, double end, int64_t count,
                             sr_device device, sr_tensor **out);
/* (rows, columns) with ones on the diagonal. */
sr_status sr_tensor_eye(sr_dtype dtype, int64_t rows, int64_t columns, sr_device device,
                        sr_tensor **out);

sr_tensor *sr_tensor_retain(sr_tensor *t); /* returns t */
void sr_tensor_release(sr_tensor *t);      /* NULL is fine */

sr_dtype sr_tensor_dtype(const sr_tensor *t);
sr_device sr_tensor_device(const sr_tensor *t);
int sr_tensor_ndim(const sr_tensor *t);
const int64_t *sr_tensor_sizes(const sr_tensor *t);
const int64_t *sr_tensor_strides(const sr_tensor *t);
int64_t sr_tensor_numel(const sr_tensor *t);
int64_t sr_tensor_offset(const sr_tensor *t);       /* in elements, into its storage */
size_t sr_tensor_storage_bytes(const sr_tensor *t); /* of the whole storage */
bool sr_tensor_is_contiguous(const sr_tensor *t);
bool sr_tensor_shares_storage(const sr_tensor *a, const sr_tensor *b);
int64_t sr_tensor_version(const sr_tensor *t); /* in-place changes so far */

/* The first element of a CPU tensor, for reading and writing through strides;
 * NULL on other devices. Writers call sr_tensor_touch afterwards. */
void *sr_tensor_data(const sr_tensor *t);
void sr_tensor_touch(sr_tensor *t);

/* The only value of a tensor with one element. */
sr_status sr_tensor_item(const sr_tensor *t, sr_scalar *value);
/* All values, row by row, into host memory of numel elements. */
sr_status sr_tensor_read(const sr_tensor *t, void *values);

/* A dense copy (clone), a tensor that is dense already or a copy (contiguous),
 * another dtype or device (the same tensor where nothing changes). Differentiable. */
sr_status sr_clone(sr_tensor *t, sr_tensor **out);
sr_status sr_contiguous(sr_tensor *t, sr_tensor **out);
sr_status sr_to(sr_tensor *t, sr_dtype dtype, sr_device device, sr_tensor **out);

/* Text as PyTorch prints it, under a header line with shape, dtype, device.
 * Free with sr_text_free. */
typedef struct {
  char *bytes; /* NUL-terminated */
  size_t size;
  size_t room;
} sr_text;
typedef struct {
  int precision;  /* digits after the point, 4 */
  int threshold;  /* more elements than this are summarized, 1000 */
  int edge_items; /* at each end of a summarized dimension, 3 */
  int line_width; /* 80 */
  bool header;    /* the line with shape, dtype and device */
} sr_print_options;
extern const sr_print_options sr_print_defaults;
sr_status sr_tensor_format(const sr_tensor *t, const sr_print_options *options, sr_text *out);
void sr_text_free(sr_text *text);

/* ---- random numbers ------------------------------------------------------ */

/* PyTorch's CPU generator: mt19937 and how values are drawn from it. Every
 * argument `g` below may be NULL for the default generator. */
typedef struct sr_generator sr_generator;
sr_status sr_generator_new(sr_generator **out); /* seeded with 67280421310721 */
void sr_generator_free(sr_generator *g);
sr_generator *sr_generator_default(void);
void sr_generator_seed(sr_generator *g, uint64_t seed);
uint64_t sr_generator_initial_seed(const sr_generator *g);
uint32_t sr_generator_next32(sr_generator *g);
uint64_t sr_generator_next64(sr_generator *g);
/* The whole state as bytes, for checkpoints. */
#define SR_GENERATOR_STATE_BYTES 2560
void sr_generator_save(const sr_generator *g, uint8_t state[SR_GENERATOR_STATE_BYTES]);
sr_status sr_generator_restore(sr_generator *g, const uint8_t *state, size_t bytes);

/* In place; floating tensors (random_ and randint also int64). Not recorded. */
sr_status sr_uniform_(sr_tensor *t, double low, double high, sr_generator *g);
sr_status sr_normal_(sr_tensor *t, double mean, double std, sr_generator *g);
/* Integers low <= v < high. */
sr_status sr_random_(sr_tensor *t, int64_t low, int64_t high, sr_generator *g);
sr_status sr_bernoulli_(sr_tensor *t, double p, sr_generator *g);
/* A permutation of SR_INDEX_BASE .. n, int64. */
sr_status sr_randperm(int64_t n, sr_device device, sr_generator *g, sr_tensor **out);
/* Rows of non-negative weights (.., n) -> positions (.., samples), int64. */
sr_status sr_multinomial(sr_tensor *weights, int64_t samples, bool replacement, sr_generator *g,
                         sr_tensor **out);

/* ---- autograd ------------------------------------------------------------ */

bool sr_grad_enabled(void);
bool sr_set_grad_enabled(bool enabled); /* returns what it was */

bool sr_requires_grad(const sr_tensor *t);
/* On a leaf of floating dtype; SR_STATE on a result of recorded operations. */
sr_status sr_set_requires_grad(sr_tensor *t, bool requires_grad);
bool sr_is_leaf(const sr_tensor *t);
const char *sr_grad_fn(const sr_tensor *t);           /* "tanh", or NULL on a leaf */
sr_tensor *sr_grad(const sr_tensor *t);               /* borrowed, or NULL */
sr_status sr_set_grad(sr_tensor *t, sr_tensor *grad); /* NULL clears */
sr_status sr_retain_grad(sr_tensor *t);
sr_status sr_detach(sr_tensor *t, sr_tensor **out); /* shares the storage */
sr_status sr_detach_(sr_tensor *t);

/* Gradients of t with respect to every leaf that it was computed from are
 * added to their grad. `gradient` has t's shape; NULL for a one-element t. */
sr_status sr_backward(sr_tensor *t, sr_tensor *gradient, bool retain_graph);
/* d outputs / d inputs, returned instead of accumulated. gradients may be NULL,
 * and so may each of it. With allow_unused an input without path gives NULL. */
sr_status sr_gradients(int n_outputs, sr_tensor *const *outputs, sr_tensor *const *gradients,
                       int n_inputs, sr_tensor *const *inputs, bool retain_graph, bool allow_unused,
                       sr_tensor **out);
/* Where a NaN first appears, backward names the operation. Off by default. */
void sr_set_detect_anomaly(bool on);

/* ---- pointwise operations ------------------------------------------------ */

/* The operations are the lines of backend/pointwise.def. */
typedef int sr_pointwise_op;
typedef struct {
  const char *name;       /* PyTorch's */
  int arity;              /* tensors (or numbers) it takes: 1 or 2 */
  int parameters;         /* numbers it takes behind them (leaky_relu: 1) */
  const double *defaults; /* of the parameters */
  bool differentiable;
  bool in_place; /* has a form with _ */
  bool internal; /* for the operations above only: no method of that name */
  bool returns_bool;
  double low, high; /* where the tests draw arguments from */
} sr_pointwise_info;

int sr_pointwise_count(void);
const sr_pointwise_info *sr_pointwise_get(sr_pointwise_op op);
sr_pointwise_op sr_pointwise_find(const char *name); /* -1 if there is none */

/* An argument: a tensor, or a number where tensor is NULL. */
typedef struct {
  sr_tensor *tensor;
  sr_scalar number;
} sr_operand;

/* y = op(x) or op(a, b), broadcast. parameters may be NULL for the defaults. */
sr_status sr_pointwise(sr_pointwise_op op, const sr_operand *arguments, const double *parameters,
                       sr_tensor **out);
/* The first argument, a tensor, takes the result. */
sr_status sr_pointwise_(sr_pointwise_op op, const sr_operand *arguments, const double *parameters);
/* By name, for callers that are not in a hurry. */
sr_status sr_unary(const char *name, sr_tensor *x, sr_tensor **out);
sr_status sr_binary(const char *name, sr_tensor *a, sr_tensor *b, sr_tensor **out);

/* condition (bool) ? a : b, broadcast; a and b may be numbers. */
sr_status sr_where(sr_tensor *condition, sr_operand a, sr_operand b, sr_tensor **out);
sr_status sr_masked_fill(sr_tensor *x, sr_tensor *mask, sr_scalar value, sr_tensor **out);
sr_status sr_masked_fill_(sr_tensor *x, sr_tensor *mask, sr_scalar value);
sr_status sr_fill_(sr_tensor *x, sr_scalar value);
sr_status sr_copy_(sr_tensor *x, sr_tensor *source); /* broadcasts, converts */

/* ---- reductions ----------------------------------------------------------- */

/* Which dimensions: n = 0 means all of them. */
typedef struct {
  int n;
  int dim[SR_MAX_DIMS];
  bool keepdim;
} sr_dims;

sr_status sr_sum(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
sr_status sr_mean(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
sr_status sr_prod(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
/* (sum |x|^p)^(1/p); p may be infinite or 0. */
sr_status sr_norm(sr_tensor *x, double p, const sr_dims *dims, sr_tensor **out);
/* correction 1 is the unbiased estimate. */
sr_status sr_var(sr_tensor *x, double correction, const sr_dims *dims, sr_tensor **out);
sr_status sr_std(sr_tensor *x, double correction, const sr_dims *dims, sr_tensor **out);
sr_status sr_logsumexp(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
sr_status sr_amax(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
sr_status sr_amin(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
sr_status sr_any(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
sr_status sr_all(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
/* Along one dimension, with the positions (int64). */
sr_status sr_max_dim(sr_tensor *x, int dim, bool keepdim, sr_tensor **values, sr_tensor **indices);
sr_status sr_min_dim(sr_tensor *x, int dim, bool keepdim, sr_tensor **values, sr_tensor **indices);
/* dims->n is 0 (position in the flattened tensor) or 1. */
sr_status sr_argmax(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
sr_status sr_argmin(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
sr_status sr_cumsum(sr_tensor *x, int dim, sr_tensor **out);
sr_status sr_cumprod(sr_tensor *x, int dim, sr_tensor **out);
sr_status sr_sort(sr_tensor *x, int dim, bool descending, sr_tensor **values,
                  sr_tensor **indices); /* stable */
sr_status sr_topk(sr_tensor *x, int64_t k, int dim, bool largest, sr_tensor **values,
                  sr_tensor **indices);

/* ---- shape ----------------------------------------------------------------- */

/* Views share the storage. In view and reshape one size may be -1. */
sr_status sr_view(sr_tensor *x, int ndim, const int64_t *size, sr_tensor **out);
sr_status sr_reshape(sr_tensor *x, int ndim, const int64_t *size, sr_tensor **out);
sr_status sr_flatten(sr_tensor *x, int first_dim, int last_dim, sr_tensor **out);
sr_status sr_transpose(sr_tensor *x, int dim0, int dim1, sr_tensor **out);
sr_status sr_t(sr_tensor *x, sr_tensor **out); /* at most 2 dimensions */
sr_status sr_permute(sr_tensor *x, int n, const int *dims, sr_tensor **out);
sr_status sr_squeeze(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
sr_status sr_unsqueeze(sr_tensor *x, int dim, sr_tensor **out);
sr_status sr_expand(sr_tensor *x, int ndim, const int64_t *size, sr_tensor **out); /* -1 keeps */
sr_status sr_narrow(sr_tensor *x, int dim, int64_t start, int64_t length, sr_tensor **out);
/* start, start + step, .. (length of them); start counts from 0 in C. */
sr_status sr_slice(sr_tensor *x, int dim, int64_t start, int64_t length, int64_t step,
                   sr_tensor **out);
sr_status sr_select(sr_tensor *x, int dim, int64_t position, sr_tensor **out); /* from 0 in C */
sr_status sr_diagonal(sr_tensor *x, int dim0, int dim1, sr_tensor **out);
/* Copies. */
sr_status sr_cat(int n, sr_tensor *const *x, int dim, sr_tensor **out);
sr_status sr_stack(int n, sr_tensor *const *x, int dim, sr_tensor **out);
sr_status sr_flip(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
sr_status sr_repeat(sr_tensor *x, int n, const int64_t *times, sr_tensor **out);
sr_status sr_roll(sr_tensor *x, int64_t shift, int dim, sr_tensor **out);
/* x[region] = value, where `region` is a view made of x by select, narrow and
 * slice calls without gradient; value broadcasts to it. Gradients flow to both. */
sr_status sr_assign(sr_tensor *x, sr_tensor *region, sr_operand value);

/* ---- indexing ---------------------------------------------------------------- */

/* x[key] with tensors in the key. tensor[d] stands for dimension d of x: int64 positions of any
 * shape, or a bool mask, for dimension d and those behind it that it has sizes of (their entries
 * are NULL); NULL: all of the dimension. A mask counts as the positions of its true elements, one
 * tensor (count) for each of its dimensions. All tensors broadcast together; their common
 * dimensions stand where the tensors stood, or first of all where a dimension without a tensor lies
 * between them (as in torch). named[d]: what messages call dimension d, counted from 1, for views
 * that lost some; 0 for d + 1. */
typedef struct {
  sr_tensor *tensor[SR_MAX_DIMS];
  int named[SR_MAX_DIMS];
} sr_key;

/* x[key], a copy; the gradient is added to the chosen elements. SR_INDEX names the dimension of a
 * position that is out of range, SR_SHAPE a mask that does not have x's sizes, or tensors that do
 * not broadcast together. */
sr_status sr_index(sr_tensor *x, const sr_key *key, sr_tensor **out);
/* region[key] = value, in place, where `region` is a view as for sr_assign; value broadcasts to
 * the shape of region[key]. Of several values for one element the last in row-major order stays,
 * and it alone gets the element's gradient. */
sr_status sr_index_put_(sr_tensor *x, sr_tensor *region, const sr_key *key, sr_operand value);
sr_status sr_index_select(sr_tensor *x, int dim, sr_tensor *index, sr_tensor **out);
sr_status sr_gather(sr_tensor *x, int dim, sr_tensor *index, sr_tensor **out);
sr_status sr_scatter(sr_tensor *x, int dim, sr_tensor *index, sr_operand source, sr_tensor **out);
sr_status sr_scatter_(sr_tensor *x, int dim, sr_tensor *index, sr_operand source);
sr_status sr_scatter_add(sr_tensor *x, int dim, sr_tensor *index, sr_tensor *source,
                         sr_tensor **out);
sr_status sr_scatter_add_(sr_tensor *x, int dim, sr_tensor *index, sr_tensor *source);
sr_status sr_masked_select(sr_tensor *x, sr_tensor *mask, sr_tensor **out);
sr_status sr_nonzero(sr_tensor *x, sr_tensor **out); /* (count, ndim) int64 positions */
/* weight (V, D), ids (..) int64 -> (.., D). A position of padding_id (SR_NO_PADDING
 * for none; 0 is allowed) gets no gradient; id 0 gives a zero row where padding_id is 0. */
#define SR_NO_PADDING INT64_MIN
sr_status sr_embedding(sr_tensor *weight, sr_tensor *ids, int64_t padding_id, sr_tensor **out);
sr_status sr_one_hot(sr_tensor *ids, int64_t classes /* 0: the largest id */, sr_tensor **out);

/* ---- products ------------------------------------------------------------------ */

sr_status sr_matmul(sr_tensor *a, sr_tensor *b, sr_tensor **out); /* torch.matmul's rules */
sr_status sr_mm(sr_tensor *a, sr_tensor *b, sr_tensor **out);
sr_status sr_bmm(sr_tensor *a, sr_tensor *b, sr_tensor **out);
sr_status sr_mv(sr_tensor *a, sr_tensor *x, sr_tensor **out);
sr_status sr_dot(sr_tensor *a, sr_tensor *b, sr_tensor **out);
sr_status sr_outer(sr_tensor *a, sr_tensor *b, sr_tensor **out);
sr_status sr_einsum(const char *equation, int n, sr_tensor *const *x, sr_tensor **out);
/* x (.., in), weight (out, in), bias (out) or NULL -> (.., out). */
sr_status sr_linear(sr_tensor *x, sr_tensor *weight, sr_tensor *bias, sr_tensor **out);

/* ---- network operations ----------------------------------------------------------- */

typedef enum { SR_MEAN, SR_SUM, SR_NONE } sr_reduction;

sr_status sr_softmax(sr_tensor *x, int dim, sr_tensor **out);
sr_status sr_log_softmax(sr_tensor *x, int dim, sr_tensor **out);
/* log_probabilities (N, C, ..) or (C), target (N, ..) or () int64 from 1 to C,
 * weight (C) or NULL. ignore_index: SR_NO_IGNORE for none. */
#define SR_NO_IGNORE INT64_MIN
sr_status sr_nll_loss(sr_tensor *log_probabilities, sr_tensor *target, sr_tensor *weight,
                      sr_reduction reduction, int64_t ignore_index, sr_tensor **out);
/* logits as above; target class positions, or probabilities of the logits' shape (for which
 * ignore_index means nothing). */
sr_status sr_cross_entropy(sr_tensor *logits, sr_tensor *target, sr_tensor *weight,
                           sr_reduction reduction, int64_t ignore_index, double label_smoothing,
                           sr_tensor **out);
sr_status sr_mse_loss(sr_tensor *x, sr_tensor *target, sr_reduction reduction, sr_tensor **out);
sr_status sr_l1_loss(sr_tensor *x, sr_tensor *target, sr_reduction reduction, sr_tensor **out);
sr_status sr_smooth_l1_loss(sr_tensor *x, sr_tensor *target, sr_reduction reduction, double beta,
                            sr_tensor **out);
/* x: probabilities; logarithms are held at -100 as in PyTorch. weight broadcasts, or NULL. */
sr_status sr_binary_cross_entropy(sr_tensor *x, sr_tensor *target, sr_tensor *weight,
                                  sr_reduction reduction, sr_tensor **out);
sr_status sr_binary_cross_entropy_with_logits(sr_tensor *x, sr_tensor *target, sr_tensor *weight,
                                              sr_tensor *pos_weight, sr_reduction reduction,
                                              sr_tensor **out);
/* Zeroes with probability p, scales the rest by 1 / (1 - p). Its mask comes from
 * a counter-based stream of the generator (see base/random.h), not from mt19937. */
sr_status sr_dropout(sr_tensor *x, double p, sr_generator *g, sr_tensor **out);
/* Over the last n dimensions, whose sizes `size` has; weight and bias have that shape, or NULL:
 *   y = (x - mean) / sqrt(var + eps) * weight + bias, with the biased var
 * (Ba, Kiros & Hinton, "Layer Normalization", 2016). One operation, in which sums and means are
 * kept in float64: a float32 x whose mean is large keeps its digits. x must stay as it is until
 * the backward pass. SR_SHAPE where x does not end in `size` or a parameter has another shape,
 * SR_DTYPE where x is not floating or a parameter has another dtype. */
sr_status sr_layer_norm(sr_tensor *x, int n, const int64_t *size, sr_tensor *weight,
                        sr_tensor *bias, double eps, sr_tensor **out);
/* x (N, C) or (N, C, L). running_mean and running_var (C) are used, and changed
 * in place when training; both may be NULL. */
sr_status sr_batch_norm(sr_tensor *x, sr_tensor *running_mean, sr_tensor *running_var,
                        sr_tensor *weight, sr_tensor *bias, bool training, double momentum,
                        double eps, sr_tensor **out);

/* ---- recurrent sequences ---------------------------------------------------------- */

/* X(name, gates, states): gate blocks in weight rows; states h (and c). */
#define SR_RECURRENT_LIST(X) \
  X(rnn_tanh, 1, 1)          \
  X(rnn_relu, 1, 1)          \
  X(lstm, 4, 2)              \
  X(gru, 3, 1)

typedef enum {
#define X(name, gates, states) SR_##name,
  SR_RECURRENT_LIST(X)
#undef X
      SR_RECURRENT_MODES
} sr_recurrent_mode;

/* The parameters of a layer in one direction, as in PyTorch: weight_ih (G H, I), weight_hh
 * (G H, P), biases (G H) or NULL, weight_hr (P, H) or NULL. With weight_hr, for LSTMs, the state
 * h is projected to P numbers (LSTM with proj_size); without it P = H. */
typedef struct {
  sr_tensor *weight_ih, *weight_hh, *bias_ih, *bias_hh, *weight_hr;
} sr_recurrent_weights;

/* One layer over a packed sequence, in D = 1 or 2 directions.
 *   x            (N, I): rows of step 1, then of step 2, ...; N = sum of batch_sizes
 *   batch_sizes  `steps` falling sizes
 *   batch        B, the number of sequences; 0 for batch_sizes[0]. More than that
 *                many: the last ones have no steps, their final state is the first one
 *   or x (T, B, I) and batch_sizes NULL: every step has B rows (steps, batch are not read)
 *   h0, c0       (D, B, P) and (D, B, H), NULL for zeros
 *   reverse      the first direction walks from the last step to the first
 *   weights[1]   of the second direction, which walks the other way; weight_ih NULL: D = 1
 * gives output (N, D P), for x (T, B, I) (T, B, D P), and the states after each row's last
 * real step, hn (D, B, P) and cn (D, B, H) (LSTM); and on request the LSTM's c after each
 * step, `cells` (N, D H) or (T, B, D H). cn and cells may be NULL. */
typedef struct {
  sr_recurrent_mode mode;
  bool reverse;
  int64_t steps, batch;
  const int64_t *batch_sizes;
  sr_tensor *x, *h0, *c0;
  sr_recurrent_weights weights[2];
} sr_recurrent_layer;

sr_status sr_recurrent(const sr_recurrent_layer *layer, sr_tensor **output, sr_tensor **hn,
                       sr_tensor **cn, sr_tensor **cells);

/* ---- packed sequences --------------------------------------------------------------- */

/* A batch of sequences of different lengths. Step t of a sequence is one row. */
typedef struct {
  int64_t batch;              /* sequences, those of length 0 too */
  int64_t steps;              /* of the longest */
  const int64_t *batch_sizes; /* for each step: how many sequences have it; not growing */
  const int64_t *sorted;      /* the batch's positions, longest first; NULL: they come so */
} sr_packing;

/* Where the rows lie (N = sum of batch_sizes):
 *   packed       (N, ..): those of step 1, longest sequence first, then those of step 2, ...
 *   chained      (N, ..): sequence 1, sequence 2, ...
 *   time first   (T, B, ..), batch first (B, T, ..): padded, T >= steps */
typedef enum { SR_PACKED, SR_CHAINED, SR_TIME_FIRST, SR_BATCH_FIRST } sr_layout;

/* The same rows in another layout. Padded ones get `length` steps, and `padding` where a
 * sequence has no step. Differentiable. */
sr_status sr_repack(sr_tensor *x, sr_layout from, sr_layout to, const sr_packing *packing,
                    int64_t length, sr_scalar padding, sr_tensor **out);
/* lengths (B) int64 -> batch_sizes (T) and, with `sort`, positions (B) of the longest first (else
 * NULL, and lengths must not grow), both int64 on the CPU. */
sr_status sr_packing_of(sr_tensor *lengths, bool sort, sr_tensor **batch_sizes, sr_tensor **sorted);
/* The way back: lengths (B) int64 on the CPU. */
sr_status sr_packing_lengths(const sr_packing *packing, sr_tensor **lengths);
/* Do sizes and positions make sense, and has data (N, ..) as many rows? */
sr_status sr_packing_check(const sr_packing *packing, const sr_tensor *data);

/* ---- optimizers --------------------------------------------------------------------- */

/* The optimizers are the lines of backend/optimizers.def, which has their equations. */
#define SR_OPTIMIZER_STATES 3
typedef int sr_optimizer;
typedef struct {
  const char *name;
  int states;                             /* tensors kept for each parameter */
  const char *state[SR_OPTIMIZER_STATES]; /* their names, PyTorch's */
} sr_optimizer_info;

int sr_optimizer_count(void);
const sr_optimizer_info *sr_optimizer_get(sr_optimizer optimizer);
sr_optimizer sr_optimizer_find(const char *name); /* -1 if there is none */

/* X(name, value where it has no effect): the numbers of the equations.
 *   lr             rate of the step, with the correction for bias that the optimizer has
 *   weight_decay   this times p is added to the gradient
 *   shrink         p is multiplied by it first (AdamW)
 *   beta1, rest1   mean of gradients: beta1 mean + rest1 g
 *   beta2, rest2   mean of their squares, likewise
 *   correction     divides the root of that mean
 *   eps            is added to a denominator */
#define SR_OPTIMIZER_NUMBERS(X) \
  X(lr, 0)                      \
  X(weight_decay, 0)            \
  X(shrink, 1)                  \
  X(beta1, 0)                   \
  X(rest1, 1)                   \
  X(beta2, 0)                   \
  X(rest2, 1)                   \
  X(correction, 1)              \
  X(eps, 0)
typedef struct {
  bool maximize; /* the gradient is negated */
#define X(name, otherwise) double name;
  SR_OPTIMIZER_NUMBERS(X)
#undef X
} sr_optimizer_numbers;

/* One fused step on one parameter, in place and not recorded. state: the tensors of
 * sr_optimizer_info in its order, shaped as the parameter, zeros before the first step (the sum
 * of Adagrad may start above). When it fails nothing has changed. */
sr_status sr_optimizer_step(sr_optimizer optimizer, sr_tensor *parameter, sr_tensor *grad,
                            sr_tensor *const *state, const sr_optimizer_numbers *numbers);

/* Scale the gradients in place so that their joint norm is at most max_norm
 * (torch.nn.utils.clip_grad_norm_); writes the norm before. NULL entries are skipped. */
sr_status sr_clip_grad_norm(int n, sr_tensor *const *grads, double max_norm, double norm_type,
                            double *norm);
sr_status sr_clip_grad_value(int n, sr_tensor *const *grads, double limit);

/* ---- files ---------------------------------------------------------------------------- */

/* safetensors. A file is written beside its place and renamed into it. */
typedef struct {
  const char *name;
  sr_tensor *tensor;
} sr_named_tensor;
typedef struct {
  const char *key, *value;
} sr_metadata;

sr_status sr_save(const char *path, int64_t n, const sr_named_tensor *tensors, int64_t n_metadata,
                  const sr_metadata *metadata);
/* What was read: free with sr_archive_free, which releases the tensors. F16,
 * BF16 come as float32; other integer types as int64. */
typedef struct {
  int64_t n;
  sr_named_tensor *tensors;
  int64_t n_metadata;
  sr_metadata *metadata;
} sr_archive;
sr_status sr_load(const char *path, sr_device device, sr_archive **out);
void sr_archive_free(sr_archive *archive);

/* ---- text -------------------------------------------------------------------------------- */

typedef enum { SR_NFC, SR_NFD, SR_NFKC, SR_NFKD } sr_normal_form;
/* Offsets in messages are bytes from 0. Every call refuses invalid UTF-8 (SR_ARGUMENT) with the offset of
 * its first wrong byte. Results are the caller's: sr_text_free. */
sr_status sr_utf8_normalize(const char *s, size_t size, sr_normal_form form, sr_text *out);
/* Lower case by the full mapping of Unicode, in no language: Python's str.lower. */
sr_status sr_utf8_lower(const char *s, size_t size, sr_text *out);
sr_status sr_utf8_casefold(const char *s, size_t size, sr_text *out);
/* Decomposed (NFD) without the marks of category Mn. */
sr_status sr_utf8_strip_marks(const char *s, size_t size, sr_text *out);
/* The code point at byte *at (moved behind it); SR_ARGUMENT if it is not valid. */
sr_status sr_utf8_next(const char *s, size_t size, size_t *at, int32_t *code_point);
/* The end of the grapheme cluster that starts at byte *at. */
sr_status sr_utf8_next_grapheme(const char *s, size_t size, size_t *at);
const char *sr_utf8_category(int32_t code_point); /* "Lu", "Mn", ... */

#ifdef __cplusplus
}
#endif
#endif
