/* loss.c: losses of elements: squared, absolute, smooth and binary errors.
 *
 * The elements are lines of kind SR_LOSS of backend/pointwise.def; here they are checked,
 * weighted and reduced. */
#include "ops/compose.h"

static sr_status check_shapes(const char *name, const sr_tensor *x, const sr_tensor *target) {
  if (sr__same_shape(x, target)) return SR_OK;
  return sr__fail(SR_SHAPE, "%s: the shapes of input and target must be equal, got %s and %s", name,
                  SR_SHAPE_OF(x), SR_SHAPE_OF(target));
}

static sr_tensor *reduced(sr_work *w, sr_tensor *x, sr_reduction reduction) {
  sr_tensor *made;
  if (reduction == SR_NONE) return x;
  const sr_dims all = {0};
  if (reduction == SR_SUM) return SR_COMPOSE(w, sr_sum(x, &all, &made));
  return SR_COMPOSE(w, sr_mean(x, &all, &made));
}

static sr_tensor *errors(sr_work *w, sr_pointwise_op line, sr_tensor *x, sr_tensor *target,
                         const double *parameters) {
  sr_tensor *made;
  const sr_operand operands[2] = {{.tensor = x}, {.tensor = target}};
  return SR_COMPOSE(w, sr_pointwise(line, operands, parameters, &made));
}

static sr_status element_loss(const char *name, sr_pointwise_op line, sr_tensor *x,
                              sr_tensor *target, const double *parameters, sr_reduction reduction,
                              sr_tensor **out) {
  SR_TRY(check_shapes(name, x, target));
  sr_work w = sr__compose();
  sr_tensor *elements = errors(&w, line, x, target, parameters);
  return sr__work_take(&w, reduced(&w, elements, reduction), out);
}

sr_status sr_mse_loss(sr_tensor *x, sr_tensor *target, sr_reduction reduction, sr_tensor **out) {
  return element_loss("mse_loss", SR_OP_squared_error, x, target, NULL, reduction, out);
}

sr_status sr_l1_loss(sr_tensor *x, sr_tensor *target, sr_reduction reduction, sr_tensor **out) {
  return element_loss("l1_loss", SR_OP_absolute_error, x, target, NULL, reduction, out);
}

sr_status sr_smooth_l1_loss(sr_tensor *x, sr_tensor *target, sr_reduction reduction, double beta,
                            sr_tensor **out) {
  if (!(beta >= 0))
    return sr__fail(SR_ARGUMENT, "smooth_l1_loss: beta must not be negative, got %g", beta);
  return element_loss("smooth_l1_loss", SR_OP_smooth_error, x, target, (double[2]){beta, 0},
                      reduction, out);
}

/* ---- binary cross entropy ----------------------------------------------------------------- */

static sr_status extreme(sr_reduce kind, const sr_tensor *x, double *out) {
  sr_tensor *result;
  sr_scalar value = {0};
  SR_TRY(sr__empty(sr__backend_of(x), (sr_dtype)x->dtype, 0, NULL, &result));
  sr_status status = sr__reduce(kind, x, (1u << x->ndim) - 1, 0, result);
  if (!status) status = sr_tensor_item(result, &value);
  sr_tensor_release(result);
  *out = value.number;
  return status;
}

static sr_status check_probabilities(const char *name, const sr_tensor *x) {
  double low, high;
  SR_TRY(sr__need_floating(name, x));
  if (!x->numel) return SR_OK;
  SR_TRY(extreme(SR_REDUCE_MIN, x, &low));
  SR_TRY(extreme(SR_REDUCE_MAX, x, &high));
  if (low >= 0 && high <= 1) return SR_OK;
  return sr__fail(SR_ARGUMENT, "%s: the input must be from 0 to 1, got %g (a sigmoid is missing?)",
                  name, low >= 0 ? high : low);
}

static sr_status check_binary(const char *name, const sr_tensor *x, const sr_tensor *target,
                              const sr_tensor *weight) {
  SR_TRY(check_shapes(name, x, target));
  return weight ? sr__need_broadcast_to(name, "weight", weight, x->ndim, x->sizes) : SR_OK;
}

static sr_tensor *weighted(sr_work *w, sr_tensor *x, sr_tensor *weight) {
  return weight ? sr__work_binary(w, SR_OP_mul, x, weight) : x;
}

sr_status sr_binary_cross_entropy(sr_tensor *x, sr_tensor *target, sr_tensor *weight,
                                  sr_reduction reduction, sr_tensor **out) {
  SR_TRY(check_binary("binary_cross_entropy", x, target, weight));
  SR_TRY(check_probabilities("binary_cross_entropy", x));
  sr_work w = sr__compose();
  sr_tensor *elements = errors(&w, SR_OP_binary_entropy, x, target, NULL);
  return sr__work_take(&w, reduced(&w, weighted(&w, elements, weight), reduction), out);
}

/* (1 - t) x - (1 + (p - 1) t) log sigmoid(x), p the weight of positive targets */
static sr_tensor *positive_weighted(sr_work *w, sr_tensor *x, sr_tensor *t, sr_tensor *p) {
  sr_tensor *rest = sr__work_number(w, SR_OP_add, sr__work_unary(w, SR_OP_neg, t), 1);
  sr_tensor *more = sr__work_binary(w, SR_OP_mul, sr__work_number(w, SR_OP_sub, p, 1), t);
  sr_tensor *factor = sr__work_number(w, SR_OP_add, more, 1);
  sr_tensor *log_sigmoid = sr__work_unary(w, SR_OP_logsigmoid, x);
  return sr__work_binary(w, SR_OP_sub, sr__work_binary(w, SR_OP_mul, rest, x),
                         sr__work_binary(w, SR_OP_mul, factor, log_sigmoid));
}

sr_status sr_binary_cross_entropy_with_logits(sr_tensor *x, sr_tensor *target, sr_tensor *weight,
                                              sr_tensor *pos_weight, sr_reduction reduction,
                                              sr_tensor **out) {
  static const char name[] = "binary_cross_entropy_with_logits";
  SR_TRY(check_binary(name, x, target, weight));
  if (pos_weight) SR_TRY(sr__need_broadcast_to(name, "pos_weight", pos_weight, x->ndim, x->sizes));
  sr_work w = sr__compose();
  sr_tensor *elements = pos_weight ? positive_weighted(&w, x, target, pos_weight)
                                   : errors(&w, SR_OP_binary_entropy_logits, x, target, NULL);
  return sr__work_take(&w, reduced(&w, weighted(&w, elements, weight), reduction), out);
}
