/* norm.c: layer and batch normalisation.
 *
 *   y = (x - mean) / sqrt(var + eps) * weight + bias
 * with mean and biased var over the last dimensions (layer: one kernel, whose gradient
 * backend.h has) or over all but the channels (batch: composed of differentiable operations). */
#include "ops/compose.h"

/* ---- arguments --------------------------------------------------------------------------- */

static sr_status check_parameter(const char *name, const char *what, const sr_tensor *t,
                                 const sr_tensor *x, int ndim, const int64_t *sizes) {
  if (!t) return SR_OK;
  bool fits = t->ndim == ndim;
  for (int d = 0; fits && d < ndim; d++) fits = t->sizes[d] == sizes[d];
  if (!fits)
    return sr__fail(SR_SHAPE, "%s: expected %s %s for x %s, got shape %s", name, what,
                    sr__shape_text(ndim, sizes, (char[SR_SHAPE_TEXT]){0}), SR_SHAPE_OF(x),
                    SR_SHAPE_OF(t));
  if (t->dtype != x->dtype)
    return sr__fail(SR_DTYPE, "%s: %s is %s, x is %s", name, what, SR_DTYPE_OF(t), SR_DTYPE_OF(x));
  return sr__same_device(name, 2, (const sr_tensor *[]){x, t});
}

/* ---- layer_norm --------------------------------------------------------------------------- */

static sr_status check_layer(const sr_tensor *x, int n, const int64_t *size,
                             const sr_tensor *weight, const sr_tensor *bias) {
  SR_TRY(sr__need_floating("layer_norm", x));
  bool fits = n >= 1 && n <= x->ndim;
  for (int d = 0; fits && d < n; d++) fits = x->sizes[x->ndim - n + d] == size[d];
  if (!fits)
    return sr__fail(
        SR_SHAPE, "layer_norm: x %s does not end in the normalized shape %s", SR_SHAPE_OF(x),
        n < 0 || n > SR_MAX_DIMS ? "(?)" : sr__shape_text(n, size, (char[SR_SHAPE_TEXT]){0}));
  SR_TRY(check_parameter("layer_norm", "weight", weight, x, n, size));
  return check_parameter("layer_norm", "bias", bias, x, n, size);
}

/* The last dimensions as one: x is (rows, columns). */
typedef struct {
  int64_t rows, columns;
} layer_shape;

static layer_shape shape_of(const sr_tensor *x, int n) {
  layer_shape s = {1, 1};
  for (int d = 0; d < x->ndim; d++) *(d < x->ndim - n ? &s.rows : &s.columns) *= x->sizes[d];
  return s;
}

static void *data_or_null(const sr_tensor *t) { return t ? sr__data(t) : NULL; }

static sr_normalize plan_of(const layer_shape *s, const sr_tensor *x, const sr_tensor *weight,
                            const sr_tensor *moments) {
  return (sr_normalize){.dtype = (sr_dtype)x->dtype,
                        .rows = s->rows,
                        .n = s->columns,
                        .x = sr__data(x),
                        .weight = data_or_null(weight),
                        .moments = data_or_null(moments)};
}

/* Gradient of x, where it is wanted. */
static sr_status new_grad_x(sr_node *node, const sr_tensor *x, sr_normalize *plan,
                            sr_tensor **out) {
  if (!sr__wants(node, 0)) return SR_OK;
  SR_TRY(sr__empty(sr__backend_of(x), (sr_dtype)x->dtype, sr__input_ndim(node, 0),
                   sr__input_sizes(node, 0), out));
  plan->grad_x = sr__data(*out);
  return SR_OK;
}

/* Where the gradient of weight or bias is added to, if it is wanted. */
static sr_status grad_of(sr_node *node, int input, void **data, bool *add) {
  sr_tensor *buffer;
  bool fresh;
  if (!sr__wants(node, input)) return SR_OK;
  SR_TRY(sr__grad_buffer(node, input, &buffer, &fresh));
  *data = sr__data(buffer);
  *add = !fresh;
  return SR_OK;
}

static sr_status layer_gradients(sr_node *node, const sr_tensor *g, sr_tensor **grad_x) {
  sr_tensor *x, *weight, *moments;
  SR_TRY(sr__saved(node, 0, &x));
  SR_TRY(sr__saved(node, 1, &weight));
  SR_TRY(sr__saved(node, 2, &moments));
  sr_normalize plan = plan_of(sr__parameters(node), x, weight, moments);
  plan.grad = sr__data(g);
  SR_TRY(new_grad_x(node, x, &plan, grad_x));
  SR_TRY(grad_of(node, 1, &plan.grad_weight, &plan.add_weight));
  SR_TRY(grad_of(node, 2, &plan.grad_bias, &plan.add_bias));
  return sr__backend_of(x)->normalize_grad(&plan);
}

static sr_status layer_norm_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *g, *grad_x = NULL;
  SR_TRY(sr__dense(grad[0], &g));
  sr_status status = layer_gradients(node, g, &grad_x);
  sr_tensor_release(g);
  if (!status) return sr__give(node, 0, grad_x);
  sr_tensor_release(grad_x);
  return status;
}

static const sr_op layer_norm_op = {"layer_norm", layer_norm_backward};

static sr_tensor *dense(sr_work *w, sr_tensor *t) {
  sr_tensor *made;
  return t ? SR_COMPOSE(w, sr__dense(t, &made)) : NULL;
}

/* For the gradient: made only where there will be one. */
static sr_tensor *new_moments(sr_work *w, const sr_tensor *x, int64_t rows, bool recorded) {
  sr_tensor *made;
  if (!recorded) return NULL;
  return SR_COMPOSE(w, sr__empty(sr__backend_of(x), SR_float64, 2, (int64_t[]){rows, 2}, &made));
}

sr_status sr_layer_norm(sr_tensor *x, int n, const int64_t *size, sr_tensor *weight,
                        sr_tensor *bias, double eps, sr_tensor **out) {
  SR_TRY(check_layer(x, n, size, weight, bias));
  sr_tensor *inputs[3] = {x, weight, bias}, *made;
  layer_shape s = shape_of(x, n);
  sr_work w = sr__compose();
  sr_tensor *saved[3] = {dense(&w, x), dense(&w, weight),
                         new_moments(&w, x, s.rows, sr__records(3, inputs))};
  sr_tensor *shift = dense(&w, bias);
  sr_tensor *y = SR_COMPOSE(&w, sr__empty_like(x, (sr_dtype)x->dtype, &made));
  if (!w.status) {
    sr_normalize plan = plan_of(&s, saved[0], saved[1], saved[2]);
    plan.eps = eps;
    plan.bias = data_or_null(shift);
    plan.y = sr__data(y);
    w.status = sr__backend_of(x)->normalize(&plan);
  }
  if (!w.status)
    w.status =
        sr__finish(&layer_norm_op, sr_tensor_retain(y), 3, inputs, 3, saved, &s, sizeof s, out);
  return sr__work_end(&w);
}

/* ---- batch_norm: parts --------------------------------------------------------------------- */

static sr_tensor *mean_over(sr_work *w, sr_tensor *x, const sr_dims *dims) {
  sr_tensor *made;
  return SR_COMPOSE(w, sr_mean(x, dims, &made));
}

/* centered / sqrt(var + eps) */
static sr_tensor *scaled(sr_work *w, sr_tensor *centered, sr_tensor *var, double eps) {
  sr_tensor *inverse = sr__work_unary(w, SR_OP_rsqrt, sr__work_number(w, SR_OP_add, var, eps));
  return sr__work_binary(w, SR_OP_mul, centered, inverse);
}

static sr_tensor *affine(sr_work *w, sr_tensor *x, sr_tensor *weight, sr_tensor *bias) {
  if (weight) x = sr__work_binary(w, SR_OP_mul, x, weight);
  if (bias) x = sr__work_binary(w, SR_OP_add, x, bias);
  return x;
}

/* ---- batch_norm --------------------------------------------------------------------------- */

static sr_status check_batch(const sr_tensor *x, const sr_tensor *running_mean,
                             const sr_tensor *running_var, const sr_tensor *weight,
                             const sr_tensor *bias, bool training) {
  static const char name[] = "batch_norm";
  SR_TRY(sr__need_floating(name, x));
  if (x->ndim != 2 && x->ndim != 3)
    return sr__fail(SR_SHAPE, "%s: expected x (N, C) or (N, C, L), got shape %s", name,
                    SR_SHAPE_OF(x));
  const int64_t *channels = &x->sizes[1];
  SR_TRY(check_parameter(name, "running_mean", running_mean, x, 1, channels));
  SR_TRY(check_parameter(name, "running_var", running_var, x, 1, channels));
  SR_TRY(check_parameter(name, "weight", weight, x, 1, channels));
  SR_TRY(check_parameter(name, "bias", bias, x, 1, channels));
  if (!running_mean != !running_var)
    return sr__fail(SR_ARGUMENT, "%s: running_mean and running_var come together", name);
  if (!training && !running_mean)
    return sr__fail(SR_ARGUMENT, "%s: running_mean and running_var are needed when not training",
                    name);
  if (training && *channels && x->numel / *channels <= 1)
    return sr__fail(SR_SHAPE,
                    "%s: more than 1 value per channel is needed when training, got shape %s", name,
                    SR_SHAPE_OF(x));
  return SR_OK;
}

/* t (C) against x (N, C, L): (C, 1), a view. */
static sr_tensor *channel_view(sr_work *w, sr_tensor *t, const sr_tensor *x) {
  sr_tensor *made;
  if (!t || x->ndim == 2) return t;
  return SR_COMPOSE(w, sr_view(t, 2, (int64_t[]){x->sizes[1], 1}, &made));
}

/* (1 - momentum) running + momentum seen */
static sr_tensor *mixed(sr_work *w, sr_tensor *running, sr_tensor *seen, double momentum) {
  sr_tensor *made;
  sr_tensor *flat = SR_COMPOSE(w, sr_view(seen, 1, running->sizes, &made));
  return sr__work_binary(w, SR_OP_add, sr__work_number(w, SR_OP_mul, running, 1 - momentum),
                         sr__work_number(w, SR_OP_mul, flat, momentum));
}

/* The running variance is that of the unbiased estimate. Both are computed before one of
 * them is written; nothing is recorded. */
static sr_status update_running(sr_tensor *running_mean, sr_tensor *running_var, const sr_tensor *x,
                                sr_tensor *mean, sr_tensor *var, double momentum) {
  sr_work w = sr__work_begin();
  double count = (double)(x->numel / x->sizes[1]);
  sr_tensor *unbiased = sr__work_number(&w, SR_OP_mul, var, count / (count - 1));
  sr_tensor *next_mean = mixed(&w, running_mean, mean, momentum);
  sr_tensor *next_var = mixed(&w, running_var, unbiased, momentum);
  if (!w.status) w.status = sr_copy_(running_mean, next_mean);
  if (!w.status) w.status = sr_copy_(running_var, next_var);
  return sr__work_end(&w);
}

/* Mean and biased variance of each channel, with the dimensions of x. */
static void batch_moments(sr_work *w, sr_tensor *x, sr_tensor **mean, sr_tensor **var) {
  sr_dims dims = {.n = x->ndim - 1, .dim = {0, 2}, .keepdim = true};
  *mean = mean_over(w, x, &dims);
  sr_tensor *centered = sr__work_binary(w, SR_OP_sub, x, *mean);
  *var = mean_over(w, sr__work_unary(w, SR_OP_square, centered), &dims);
}

sr_status sr_batch_norm(sr_tensor *x, sr_tensor *running_mean, sr_tensor *running_var,
                        sr_tensor *weight, sr_tensor *bias, bool training, double momentum,
                        double eps, sr_tensor **out) {
  SR_TRY(check_batch(x, running_mean, running_var, weight, bias, training));
  sr_work w = sr__compose();
  sr_tensor *mean, *var;
  if (training) {
    batch_moments(&w, x, &mean, &var);
  } else {
    mean = channel_view(&w, running_mean, x);
    var = channel_view(&w, running_var, x);
  }
  sr_tensor *y = scaled(&w, sr__work_binary(&w, SR_OP_sub, x, mean), var, eps);
  sr_tensor *scale = channel_view(&w, weight, x), *shift = channel_view(&w, bias, x);
  y = affine(&w, y, scale, shift);
  if (training && running_mean && !w.status && x->sizes[1])
    w.status = update_running(running_mean, running_var, x, mean, var, momentum);
  return sr__work_take(&w, y, out);
}
