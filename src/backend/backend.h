/* backend.h: what the op layer asks of a device.
 *
 * A backend is one constant table of memory calls and kernels on strided views.
 * The op layer has checked shapes, dtypes and devices, has allocated the results
 * and knows nothing else about the device; kernels know nothing about tensors or
 * gradients. Sizes and strides are in elements unless a name says bytes. Kernels
 * do not alias their output with an input unless the entry allows it. */
#ifndef SR_BACKEND_BACKEND_H
#define SR_BACKEND_BACKEND_H

#include "saros.h"

/* ---- strided loops ---------------------------------------------------------- */

/* A loop nest over up to SR_LOOP_OPERANDS operands; operand 0 is the output. The
 * op layer drops dimensions of size 1 and joins those that are contiguous for
 * all operands, so most calls have ndim 1 with strides 1 or 0. The LAST
 * dimension is the innermost. All sizes are at least 1 (empty loops are not
 * sent). Stride 0 repeats an operand (broadcast). */
#define SR_LOOP_OPERANDS 4
typedef struct {
  int ndim; /* at least 1 */
  int operands;
  int64_t size[SR_MAX_DIMS];
  int64_t stride[SR_LOOP_OPERANDS][SR_MAX_DIMS];
  void *data[SR_LOOP_OPERANDS]; /* NULL: the operand is `number` */
  sr_scalar number[SR_LOOP_OPERANDS];
} sr_loop;

/* ---- pointwise kernels -------------------------------------------------------- */

typedef enum { SR_FLOAT, SR_NUMBER, SR_TEST, SR_LOGIC, SR_INNER } sr_pointwise_kind;
enum {
  SR_USES_NONE = 0,
  SR_USES_X = 1,
  SR_USES_Y = 2,
  SR_USES_A = 1,
  SR_USES_B = 2,
  SR_NO_GRADIENT = 4
};

/* Three kernels a line: f computes y; fa and fb the gradients of the first and
 * second argument (a unary line has no fb). */
typedef enum {
#define SR_UNARY(name, ...) SR_MAP_##name, SR_MAP_##name##_grad,
#define SR_BINARY(name, ...) SR_MAP_##name, SR_MAP_##name##_grad_a, SR_MAP_##name##_grad_b,
#include "backend/pointwise.def"
  SR_MAPS
} sr_map;

/* ---- reductions ------------------------------------------------------------------ */

/* Results: ARGMAX, ARGMIN int64 positions from SR_INDEX_BASE; ANY, ALL bool;
 * the others the operand's dtype (floating or int64). A NaN is the largest and the
 * smallest value (as in PyTorch); the first of equal values wins. ABS_SUM_POW
 * is sum |x|^p, ABS_MAX is max |x|. Over no values the sums are 0, PROD 1, ANY false, ALL
 * true, ABS_MAX 0; the other kinds fail. bool operands: ANY, ALL, MAX and MIN only. */
typedef enum {
  SR_REDUCE_SUM,
  SR_REDUCE_PROD,
  SR_REDUCE_MAX,
  SR_REDUCE_MIN,
  SR_REDUCE_ARGMAX,
  SR_REDUCE_ARGMIN,
  SR_REDUCE_ANY,
  SR_REDUCE_ALL,
  SR_REDUCE_ABS_SUM_POW, /* parameter: p */
  SR_REDUCE_ABS_MAX,
  SR_REDUCE_ABS_MIN,
  SR_REDUCE_COUNT /* of values that are not 0, in the operand's dtype */
} sr_reduce;

/* Results lie at out[sum of i_d out_stride[d]] for i over `outer`; each reduces
 * x over `inner` (walked in row-major order, last dimension fastest, which is the
 * order that positions count in). inner may have ndim 0 (one element) and sizes 0. */
typedef struct {
  sr_reduce kind;
  sr_dtype dtype; /* of x */
  double parameter;
  int outer_ndim, inner_ndim;
  int64_t outer_size[SR_MAX_DIMS], outer_x_stride[SR_MAX_DIMS], outer_out_stride[SR_MAX_DIMS];
  int64_t inner_size[SR_MAX_DIMS], inner_x_stride[SR_MAX_DIMS];
  const void *x;
  void *out;
} sr_reduction_plan;

/* ---- products --------------------------------------------------------------------- */

/* A place where a backend keeps what it made from the bytes of a storage (packed
 * weights) as long as these do not change: `version` counts the changes. The
 * storage owns the memo and has it dropped with `drop_memo`. */
typedef struct {
  void *entries; /* the backend's */
  uint64_t version;
} sr_memo;

/* C = alpha A B + beta C, `batch` of them: element (i, j) of operand X at
 * x[i * row + j * column], the b-th matrix of operand X starts x_offset[b] elements on
 * (NULL: all at 0). dtype float32 or float64. beta 0 does not read C. */
typedef struct {
  sr_dtype dtype;
  int64_t m, n, k;
  int64_t a_row, a_column, b_row, b_column, c_row, c_column;
  double alpha, beta;
  const void *a, *b;
  void *c;
  int64_t batch;
  const int64_t *a_offset, *b_offset, *c_offset;
} sr_gemm;

/* y = x W^T + bias: x (m, k) rows x_row apart, W (n, k) contiguous rows, y (m, n)
 * contiguous, bias (n) or NULL. memo belongs to W's storage, may be NULL. */
typedef struct {
  sr_dtype dtype;
  int64_t m, n, k, x_row;
  const void *x, *weight, *bias;
  void *y;
  sr_memo *memo;
} sr_affine;

/* ---- rows of a dimension ------------------------------------------------------------ */

/* A dense tensor seen as (outer, n, inner), the middle dimension being worked on. */
typedef struct {
  int64_t outer, n, inner;
} sr_rows;

typedef enum { SR_SCAN_SUM, SR_SCAN_PROD } sr_scan;

/* ---- indices --------------------------------------------------------------------------- */

/* Indices are int64 from SR_INDEX_BASE, negative ones count from the end (-1 is
 * the last). A kernel that meets another one writes nothing and returns SR_INDEX
 * with *found set; the op layer makes the message. */

/* With dense x and out, index dense of `count`:
 *   take      out[o, i, r] = x[o, index[i], r]
 *   take_add  out[o, index[i], r] += x[o, i, r]
 *   put       out[o, index[i], r] = x[o, i, r]    (x NULL: number); the last i stays
 * `zero_id`: an id (0 or one that is also a position) whose rows are given as zeros and not
 * added to; SR_NO_PADDING for none (always for put). For zero_id > 0, take copies the row all
 * the same: only its gradient is dropped. */
typedef struct {
  sr_dtype dtype;
  sr_rows rows; /* of the indexed tensor: rows.n positions */
  int64_t count;
  const int64_t *index;
  const void *x;
  void *out;
  int64_t zero_id;
  sr_scalar number;
} sr_take;

/* out[i] = stride * (the position from 0 that index[i] means among n), dense of `count`. */
typedef struct {
  int64_t count, n, stride;
  const int64_t *index;
  int64_t *out;
} sr_placing;

/* Along dimension `dim` of dense tensors (sizes given for each):
 *   gather      out[i,j,k] = x[i, index[i,j,k], k]      over index's shape
 *   scatter     out[i, index[i,j,k], k] = x[i,j,k]      (x NULL: number)
 *   scatter_add out[i, index[i,j,k], k] += x[i,j,k] */
typedef enum { SR_GATHER, SR_SCATTER, SR_SCATTER_ADD } sr_gather_kind;
typedef struct {
  sr_gather_kind kind;
  sr_dtype dtype;
  int ndim, dim;
  int64_t x_size[SR_MAX_DIMS], index_size[SR_MAX_DIMS], out_size[SR_MAX_DIMS];
  const int64_t *index;
  const void *x;
  void *out;
  sr_scalar number;
} sr_gather_plan;

/* ---- normalization ----------------------------------------------------------------------- */

/* The rows of a dense x (rows, n) brought to mean 0 and variance 1, then scaled and shifted
 * (Ba, Kiros & Hinton, "Layer Normalization", 2016). With m the mean and s^2 the biased variance
 * of a row, rstd = 1 / sqrt(s^2 + eps) and v = (x - m) rstd:
 *   forward   y = v weight + bias
 *   backward, of grad g and with a = g weight; means are over a row, sums over the rows:
 *             grad_x = rstd (a - mean(a) - v mean(a v))
 *             grad_weight = sum(g v), grad_bias = sum(g)
 * `moments` (rows, 2) are m and rstd, in float64 for any dtype: rounded to float32, m would cost
 * v the digits of a row whose mean is much larger than its s. No rows: gradients of the
 * parameters are 0. */
typedef struct {
  sr_dtype dtype;
  int64_t rows, n;
  double eps;
  const void *x, *weight, *bias;          /* weight and bias (n) dense, or NULL for 1 and 0 */
  void *y;                                /* forward */
  double *moments;                        /* written by forward unless NULL, read by backward */
  const void *grad;                       /* backward: of y, dense */
  void *grad_x, *grad_weight, *grad_bias; /* NULL: not asked for */
  bool add_weight, add_bias;              /* added to what is there; else written */
} sr_normalize;

/* ---- losses ------------------------------------------------------------------------------ */

/* Negative log likelihood: logp dense (outer, classes, inner), target dense
 * (outer, inner). forward: loss[o, i] = -w[t] logp[o, t, i] (0 where ignored) and
 * weights[o, i] = w[t] (0 where ignored). backward: dlogp[o, t, i] = -w[t] g[o, i]
 * (g_stride 0: one g for all), dlogp zero elsewhere. */
typedef struct {
  sr_dtype dtype;
  sr_rows rows;                           /* n = classes */
  const void *log_probabilities, *weight; /* weight (classes) or NULL */
  const int64_t *target;
  int64_t ignore_index;
  void *loss, *weights; /* forward; weights NULL: not asked for */
  const void *grad;     /* backward */
  int64_t grad_stride;
  void *grad_x;
} sr_nll;

/* ---- recurrent sequences --------------------------------------------------------------------- */

/* The steps of one layer in one direction (see sr_recurrent in saros.h); the op
 * layer has done the products over all steps. G = gates of the mode, P = numbers of a state h:
 * H, or where weight_hr is given its rows. Rows of step t start at row offset[t] of all
 * (N, ..) arrays and there are batch_sizes[t]. Rows of output and grad_output lie output_row
 * elements apart, those of cells, raw and grad_cells cells_row; other arrays are dense.
 *
 * forward: `gates` (N, G H) holds x W_ih^T + b_ih and is overwritten with what
 *   backward needs; `output` (N, P) gets h after each step, `hn` (B, P) the
 *   final states, `cells` (N, H) the c after each step and `cn` (B, H) where states = 2;
 *   `raw` (N, H) the h before the projection.
 * backward: from grad_output (N, P) or NULL, grad_hn (B, P) or NULL, grad_cn, grad_cells,
 *   writes grad_gates (N, G H), the gradient of the input-side sums, grad_hidden_gates likewise
 *   of the hidden-side sums where the mode keeps them apart (GRU; NULL otherwise),
 *   grad_projected (N, P), that of what weight_hr gave, grad_h0, grad_c0. */
typedef struct {
  sr_recurrent_mode mode;
  sr_dtype dtype;
  bool reverse;
  int64_t steps, rows, batch, hidden, state; /* P */
  const int64_t *batch_sizes, *offset;
  const void *weight_hh;      /* (G H, P) dense */
  const void *weight_hr;      /* (P, H) dense or NULL */
  sr_memo *memo_hh, *memo_hr; /* of their storages, or NULL */
  const void *bias_hh;        /* (G H) or NULL */
  const void *h0, *c0;        /* (B, P), (B, H) dense or NULL for zeros */
  int64_t output_row, cells_row;
  void *gates, *output, *hn, *cells, *cn, *raw;
  const void *grad_output, *grad_hn, *grad_cn, *grad_cells;
  void *grad_gates, *grad_hidden_gates, *grad_projected, *grad_h0, *grad_c0;
} sr_recurrent_plan;

/* ---- optimizers --------------------------------------------------------------------------- */

/* One step of an optimizer (a line of optimizers.def) on dense arrays of n elements. dtype is
 * floating. States that the line does not have are NULL. */
typedef struct {
  sr_optimizer optimizer;
  sr_dtype dtype;
  int64_t n;
  void *parameter;
  const void *grad;
  void *state[SR_OPTIMIZER_STATES];
  const sr_optimizer_numbers *numbers;
} sr_optimizer_plan;

/* ---- the table -------------------------------------------------------------------------------- */

typedef struct sr_backend {
  const char *name;
  sr_device device;
  bool host_memory; /* data pointers can be read by the host */

  /* Memory. allocate fails with SR_MEMORY. Transfers are between this device and the host. */
  sr_status (*allocate)(size_t bytes, void **out);
  void (*release)(void *data, size_t bytes);
  sr_status (*to_host)(void *host, const void *data, size_t bytes);
  sr_status (*from_host)(void *data, const void *host, size_t bytes);
  sr_status (*synchronize)(void);
  void (*drop_memo)(sr_memo *memo);

  /* data[0] = f(data[1], ..). The output may be one of the inputs (same strides).
   * Forward operands: (y, x) or (y, a, b); gradients: (dx, g, x, y) or (da, g, a, b),
   * where what is not used may be a NULL number. dtype is that of the inputs; the
   * output of SR_TEST and SR_LOGIC lines is bool. parameters: p, q. */
  sr_status (*map)(sr_map map, sr_dtype dtype, const sr_loop *loop, const double parameters[2]);
  /* data[0] = data[1] (bool) ? data[2] : data[3] */
  sr_status (*where)(sr_dtype dtype, const sr_loop *loop);
  /* data[0] = data[1] converted from `from` to `to`; data[1] NULL fills with the number.
   * Floating to int64 truncates toward 0; to bool is != 0. */
  sr_status (*copy)(sr_dtype to, sr_dtype from, const sr_loop *loop);

  sr_status (*reduce)(const sr_reduction_plan *plan);
  /* Sums or products of the first 1, 2, .. values of a row (backwards: of the last). */
  sr_status (*scan)(sr_scan kind, sr_dtype dtype, const sr_rows *rows, const void *x, void *out,
                    bool backwards);
  /* Stable; NaN is largest. values and positions (int64) dense, k of n kept. */
  sr_status (*sort)(sr_dtype dtype, const sr_rows *rows, bool descending, int64_t k, const void *x,
                    void *values, int64_t *positions);

  sr_status (*gemm)(const sr_gemm *gemm);
  sr_status (*affine)(const sr_affine *affine);

  /* y = softmax or log softmax over the middle dimension; dx from g and y. */
  sr_status (*softmax)(sr_dtype dtype, bool log, const sr_rows *rows, const void *x, void *y);
  sr_status (*softmax_grad)(sr_dtype dtype, bool log, const sr_rows *rows, const void *g,
                            const void *y, void *dx);

  sr_status (*normalize)(const sr_normalize *normalize);
  sr_status (*normalize_grad)(const sr_normalize *normalize);

  sr_status (*take)(const sr_take *take, int64_t *found);
  sr_status (*take_add)(const sr_take *take, int64_t *found); /* order fixed: deterministic */
  sr_status (*put)(const sr_take *take, int64_t *found);
  sr_status (*place)(const sr_placing *placing, int64_t *found);
  sr_status (*gather)(const sr_gather_plan *plan, int64_t *found);
  /* Positions of true elements of a dense bool tensor: *count of them, written to
   * positions (NULL: only counted) as 0-based flat offsets. */
  sr_status (*true_positions)(int64_t n, const void *mask, int64_t *positions, int64_t *count);

  sr_status (*nll)(const sr_nll *nll, int64_t *found);
  sr_status (*nll_grad)(const sr_nll *nll);

  /* mask element i: keep where sr__mask_word(key, i) >= threshold. y = x scale or 0; x
   * and y dense. Backward is the same call on the gradient. */
  sr_status (*dropout)(sr_dtype dtype, int64_t n, uint64_t key, uint32_t threshold, double scale,
                       const void *x, void *y);

  /* n plans that do not depend on each other: the directions of a layer. */
  sr_status (*recurrent)(int n, const sr_recurrent_plan *plans);
  sr_status (*recurrent_grad)(int n, const sr_recurrent_plan *plans);

  sr_status (*optimize)(const sr_optimizer_plan *plan);
} sr_backend;

/* The backend of a device that sr_device_parse accepted. */
const sr_backend *sr__backend(sr_device device);
/* Adds the table of the next CUDA device (devices 1, 2, ..), which must stay alive. */
sr_status sr__backend_register(const sr_backend *backend);
extern const sr_backend sr__cpu_backend;
sr_status sr__cpu_start(void); /* choose kernels, self-test */

#endif
