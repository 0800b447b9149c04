/* nll.c: negative log likelihood and cross entropy.
 *
 * With w the class weights (1 where there are none), t the targets, and sums over the
 * targets that are not ignored:
 *   none   loss[i] = -w[t[i]] logp[i, t[i]]
 *   sum    sum of loss[i]
 *   mean   sum of loss[i] / sum of w[t[i]]
 * and cross entropy is that of log_softmax(logits). */
#include "ops/compose.h"

/* ---- arguments ---------------------------------------------------------------------------- */

static int class_dim(const sr_tensor *x) { return x->ndim > 1; }
static int64_t classes_of(const sr_tensor *x) { return x->sizes[class_dim(x)]; }

/* The shape of x without its classes. */
static int target_shape(const sr_tensor *x, int64_t sizes[SR_MAX_DIMS]) {
  int n = 0;
  for (int d = 0; d < x->ndim; d++)
    if (d != class_dim(x)) sizes[n++] = x->sizes[d];
  return n;
}

static sr_status check_scores(const char *name, const sr_tensor *x, const sr_tensor *target,
                              const sr_tensor *weight) {
  SR_TRY(sr__need_floating(name, x));
  SR_TRY(sr__same_device(name, 3, (const sr_tensor *[]){x, target, weight}));
  if (!x->ndim)
    return sr__fail(SR_SHAPE, "%s: expected scores (N, classes, ..) or (classes), got shape []",
                    name);
  if (!weight) return SR_OK;
  if (weight->ndim != 1 || weight->sizes[0] != classes_of(x))
    return sr__fail(SR_SHAPE, "%s: expected weight (%lld) for scores %s, got shape %s", name,
                    (long long)classes_of(x), SR_SHAPE_OF(x), SR_SHAPE_OF(weight));
  if (weight->dtype != x->dtype)
    return sr__fail(SR_DTYPE, "%s: weight is %s, the scores are %s", name, SR_DTYPE_OF(weight),
                    SR_DTYPE_OF(x));
  return SR_OK;
}

static sr_status check_target(const char *name, const sr_tensor *x, const sr_tensor *target) {
  SR_TRY(sr__need_int64(name, "target", target));
  int64_t sizes[SR_MAX_DIMS];
  int n = target_shape(x, sizes);
  bool fits = target->ndim == n;
  for (int d = 0; fits && d < n; d++) fits = target->sizes[d] == sizes[d];
  if (fits) return SR_OK;
  return sr__fail(SR_SHAPE, "%s: expected target %s for scores %s, got shape %s", name,
                  sr__shape_text(n, sizes, (char[SR_SHAPE_TEXT]){0}), SR_SHAPE_OF(x),
                  SR_SHAPE_OF(target));
}

static sr_status wrong_target(const char *name, int64_t found, int64_t classes) {
  if (found == 0)
    return sr__fail(SR_INDEX,
                    "%s: target 0: classes count from 1 (0 needs ignore_index = 0; data.from0 "
                    "shifts 0-based labels)",
                    name);
  return sr__fail(SR_INDEX, "%s: target %lld is not in 1..%lld", name, (long long)found,
                  (long long)classes);
}

/* ---- forward ------------------------------------------------------------------------------ */

typedef struct {
  sr_reduction reduction;
  int64_t ignore_index;
  sr_rows rows;
  int64_t count; /* targets */
} nll_parameters;

/* Dense inputs and what is computed from them (references of our own). `total` is the sum
 * of weights that a mean divides by; NULL where that is known to be `count`. */
typedef struct {
  const char *name;
  nll_parameters parameters;
  sr_tensor *x, *target, *weight;
  sr_tensor *losses, *weights, *total;
} nll_work;

static void release(nll_work *w) {
  sr_tensor_release(w->x);
  sr_tensor_release(w->target);
  sr_tensor_release(w->weight);
  sr_tensor_release(w->losses);
  sr_tensor_release(w->weights);
  sr_tensor_release(w->total);
}

static sr_status run_kernel(nll_work *w) {
  if (!w->parameters.count) return SR_OK;
  int64_t found = 0;
  sr_nll nll = {.dtype = (sr_dtype)w->x->dtype,
                .rows = w->parameters.rows,
                .log_probabilities = sr__data(w->x),
                .weight = w->weight ? sr__data(w->weight) : NULL,
                .target = sr__data(w->target),
                .ignore_index = w->parameters.ignore_index,
                .loss = sr__data(w->losses),
                .weights = w->weights ? sr__data(w->weights) : NULL};
  sr_status status = sr__backend_of(w->x)->nll(&nll, &found);
  return status == SR_INDEX ? wrong_target(w->name, found, w->parameters.rows.n) : status;
}

/* sum of t, as a tensor without dimensions */
static sr_status total_of(const sr_tensor *t, sr_tensor **out) {
  sr_tensor *sum;
  SR_TRY(sr__empty(sr__backend_of(t), (sr_dtype)t->dtype, 0, NULL, &sum));
  sr_status status = sr__reduce(SR_REDUCE_SUM, t, (1u << t->ndim) - 1, 0, sum);
  if (status) {
    sr_tensor_release(sum);
    return status;
  }
  *out = sum;
  return SR_OK;
}

/* x / total, or x / count; x may be the result. */
static sr_status divide(sr_tensor *y, const sr_tensor *x, const sr_tensor *total, int64_t count) {
  sr_loop loop;
  if (!sr__loop(&loop, y->ndim, y->sizes, 3, (const sr_tensor *[]){y, x, total})) return SR_OK;
  loop.number[2] = sr_number((double)count);
  return sr__backend_of(y)->map(SR_MAP_div, (sr_dtype)y->dtype, &loop, (double[2]){0});
}

/* From losses to the result. One target's loss is its own sum. */
static sr_status reduce(nll_work *w) {
  const nll_parameters *p = &w->parameters;
  if (p->reduction == SR_NONE) return SR_OK;
  if (p->count != 1) {
    sr_tensor *sum;
    SR_TRY(total_of(w->losses, &sum));
    sr_tensor_release(w->losses);
    w->losses = sum;
  }
  if (p->reduction == SR_SUM) return SR_OK;
  if (w->weights) SR_TRY(total_of(w->weights, &w->total));
  if (!w->total && p->count == 1) return SR_OK;
  return divide(w->losses, w->losses, w->total, p->count);
}

static sr_status compute(nll_work *w, sr_tensor *x, sr_tensor *target, sr_tensor *weight) {
  nll_parameters *p = &w->parameters;
  p->rows = sr__rows(x, class_dim(x));
  p->count = target->numel;
  SR_TRY(sr__dense(x, &w->x));
  SR_TRY(sr__dense(target, &w->target));
  if (weight) SR_TRY(sr__dense(weight, &w->weight));
  bool single = p->reduction != SR_NONE && p->count == 1;
  const sr_backend *backend = sr__backend_of(x);
  SR_TRY(
      sr__empty(backend, (sr_dtype)x->dtype, single ? 0 : target->ndim, target->sizes, &w->losses));
  if (p->reduction == SR_MEAN && (weight || p->ignore_index != SR_NO_IGNORE))
    SR_TRY(sr__empty_like(target, (sr_dtype)x->dtype, &w->weights));
  SR_TRY(run_kernel(w));
  return reduce(w);
}

/* ---- gradient ------------------------------------------------------------------------ */

static sr_status run_gradient(const nll_parameters *p, const sr_tensor *target,
                              const sr_tensor *weight, const sr_tensor *g, sr_tensor *dx) {
  if (!dx->numel) return SR_OK;
  sr_nll nll = {.dtype = (sr_dtype)dx->dtype,
                .rows = p->rows,
                .weight = weight ? sr__data(weight) : NULL,
                .target = sr__data(target),
                .ignore_index = p->ignore_index,
                .grad = sr__data(g),
                .grad_stride = p->reduction == SR_NONE,
                .grad_x = sr__data(dx)};
  return sr__backend_of(dx)->nll_grad(&nll);
}

/* g as the kernel takes it: dense, divided where the loss was a mean. */
static sr_status kernel_gradient(const nll_parameters *p, const sr_tensor *grad,
                                 const sr_tensor *total, sr_tensor **out) {
  if (p->reduction != SR_MEAN || (!total && p->count == 1)) return sr__dense(grad, out);
  sr_tensor *scaled;
  SR_TRY(sr__empty_like(grad, (sr_dtype)grad->dtype, &scaled));
  sr_status status = divide(scaled, grad, total, p->count);
  if (status) {
    sr_tensor_release(scaled);
    return status;
  }
  *out = scaled;
  return SR_OK;
}

static sr_status nll_backward(sr_node *node, sr_tensor *const *grad) {
  const nll_parameters *p = sr__parameters(node);
  sr_tensor *target, *weight, *total, *g, *dx;
  SR_TRY(sr__saved(node, 0, &target));
  SR_TRY(sr__saved(node, 1, &weight));
  SR_TRY(sr__saved(node, 2, &total));
  SR_TRY(kernel_gradient(p, grad[0], total, &g));
  sr_status status = sr__empty(sr__backend_of(g), (sr_dtype)g->dtype, sr__input_ndim(node, 0),
                               sr__input_sizes(node, 0), &dx);
  if (!status) {
    status = run_gradient(p, target, weight, g, dx);
    if (status) {
      sr_tensor_release(dx);
    } else {
      status = sr__give(node, 0, dx);
    }
  }
  sr_tensor_release(g);
  return status;
}

static const sr_op nll_op = {"nll_loss", nll_backward};

/* *total (may be NULL) gets what a mean was divided by, as in nll_work. */
static sr_status nll(const char *name, sr_tensor *x, sr_tensor *target, sr_tensor *weight,
                     sr_reduction reduction, int64_t ignore_index, sr_tensor **total,
                     sr_tensor **out) {
  nll_work w = {.name = name, .parameters = {.reduction = reduction, .ignore_index = ignore_index}};
  sr_status status = compute(&w, x, target, weight);
  if (!status) {
    sr_tensor *saved[3] = {w.target, w.weight, w.total};
    status = sr__finish(&nll_op, sr_tensor_retain(w.losses), 1, &x, 3, saved, &w.parameters,
                        sizeof w.parameters, out);
    if (!status && total) *total = w.total ? sr_tensor_retain(w.total) : NULL;
  }
  release(&w);
  return status;
}

sr_status sr_nll_loss(sr_tensor *log_probabilities, sr_tensor *target, sr_tensor *weight,
                      sr_reduction reduction, int64_t ignore_index, sr_tensor **out) {
  SR_TRY(check_scores("nll_loss", log_probabilities, target, weight));
  SR_TRY(check_target("nll_loss", log_probabilities, target));
  return nll("nll_loss", log_probabilities, target, weight, reduction, ignore_index, NULL, out);
}

/* ---- cross entropy ------------------------------------------------------------------------ */

/* weight (C) against scores (N, C, ..): (C, 1, ..). */
static sr_status weight_column(const sr_tensor *weight, const sr_tensor *x, sr_tensor **out) {
  int64_t sizes[SR_MAX_DIMS] = {weight->sizes[0]}, strides[SR_MAX_DIMS] = {sr__strides(weight)[0]};
  int ndim = x->ndim - class_dim(x);
  for (int d = 1; d < ndim; d++) {
    sizes[d] = 1;
    strides[d] = 0;
  }
  return sr__alias(weight, ndim, sizes, strides, weight->offset, out);
}

/* logp, times the class weights if there are any */
static sr_tensor *weighted(sr_work *w, sr_tensor *logp, sr_tensor *weight) {
  sr_tensor *made;
  if (!weight) return logp;
  sr_tensor *column = SR_COMPOSE(w, weight_column(weight, logp, &made));
  return sr__work_binary(w, SR_OP_mul, logp, column);
}

/* minus the sum over the classes */
static sr_tensor *minus_sum(sr_work *w, sr_tensor *x, int dim) {
  sr_tensor *made;
  sr_dims dims = {.n = 1, .dim = {dim}};
  return sr__work_unary(w, SR_OP_neg, SR_COMPOSE(w, sr_sum(x, &dims, &made)));
}

static sr_tensor *reduced(sr_work *w, sr_tensor *x, sr_reduction reduction, sr_tensor *total,
                          double count) {
  sr_tensor *made;
  if (reduction == SR_NONE) return x;
  sr_tensor *sum = SR_COMPOSE(w, sr_sum(x, &(sr_dims){0}, &made));
  if (reduction == SR_SUM) return sum;
  return total ? sr__work_binary(w, SR_OP_div, sum, total)
               : sr__work_number(w, SR_OP_div, sum, count);
}

/* (1 - e) nll + e / C (-sum over classes of w logp), ignored targets left out of both. */
static sr_status smoothed(sr_tensor *logp, sr_tensor *target, sr_tensor *weight,
                          sr_reduction reduction, int64_t ignore_index, double e, sr_tensor **out) {
  sr_work w = sr__compose();
  sr_tensor *made, *total = NULL;
  sr_tensor *likely = SR_COMPOSE(
      &w, nll("cross_entropy", logp, target, weight, reduction, ignore_index, &total, &made));
  if (total) sr__work_keep(&w, SR_OK, &total);
  sr_tensor *smooth = minus_sum(&w, weighted(&w, logp, weight), class_dim(logp));
  if (ignore_index != SR_NO_IGNORE) {
    sr_operand compared[2] = {{.tensor = target}, {.number = sr_integer(ignore_index)}};
    sr_tensor *ignored = SR_COMPOSE(&w, sr_pointwise(SR_OP_eq, compared, NULL, &made));
    smooth = SR_COMPOSE(&w, sr_masked_fill(smooth, ignored, sr_number(0), &made));
  }
  smooth = reduced(&w, smooth, reduction, total, (double)target->numel);
  double share = e / (double)classes_of(logp);
  sr_tensor *sum = sr__work_binary(&w, SR_OP_add, sr__work_number(&w, SR_OP_mul, likely, 1 - e),
                                   sr__work_number(&w, SR_OP_mul, smooth, share));
  return sr__work_take(&w, sum, out);
}

/* Targets are probabilities: -sum over classes of w t logp, divided by the rows for a mean. */
static sr_status of_probabilities(sr_tensor *logp, sr_tensor *target, sr_tensor *weight,
                                  sr_reduction reduction, double e, sr_tensor **out) {
  sr_work w = sr__compose();
  double classes = (double)classes_of(logp);
  if (e > 0)
    target =
        sr__work_number(&w, SR_OP_add, sr__work_number(&w, SR_OP_mul, target, 1 - e), e / classes);
  sr_tensor *products = sr__work_binary(&w, SR_OP_mul, weighted(&w, logp, weight), target);
  sr_tensor *losses = minus_sum(&w, products, class_dim(logp));
  double rows = (double)logp->numel / classes;
  return sr__work_take(&w, reduced(&w, losses, reduction, NULL, rows), out);
}

static sr_status check_cross_entropy(const sr_tensor *x, const sr_tensor *target,
                                     const sr_tensor *weight, double e) {
  static const char name[] = "cross_entropy";
  SR_TRY(check_scores(name, x, target, weight));
  if (!(e >= 0 && e <= 1))
    return sr__fail(SR_ARGUMENT, "%s: label_smoothing must be from 0 to 1, got %g", name, e);
  if (!sr__floating(target)) return check_target(name, x, target);
  if (!sr__same_shape(x, target))
    return sr__fail(SR_SHAPE,
                    "%s: a floating target is probabilities, of the logits' shape %s; got shape %s "
                    "(class positions are int64)",
                    name, SR_SHAPE_OF(x), SR_SHAPE_OF(target));
  if (target->dtype != x->dtype)
    return sr__fail(SR_DTYPE, "%s: target is %s, the logits are %s", name, SR_DTYPE_OF(target),
                    SR_DTYPE_OF(x));
  return SR_OK;
}

sr_status sr_cross_entropy(sr_tensor *logits, sr_tensor *target, sr_tensor *weight,
                           sr_reduction reduction, int64_t ignore_index, double label_smoothing,
                           sr_tensor **out) {
  SR_TRY(check_cross_entropy(logits, target, weight, label_smoothing));
  sr_tensor *logp;
  SR_TRY(sr_log_softmax(logits, class_dim(logits), &logp));
  sr_status status;
  if (sr__floating(target))
    status = of_probabilities(logp, target, weight, reduction, label_smoothing, out);
  else if (label_smoothing > 0)
    status = smoothed(logp, target, weight, reduction, ignore_index, label_smoothing, out);
  else
    status = nll("cross_entropy", logp, target, weight, reduction, ignore_index, NULL, out);
  sr_tensor_release(logp);
  return status;
}
