/* optimizer.c: fused optimizer steps and gradient clipping. In place, never recorded. */
#include <math.h>

#include "base/memory.h"
#include "ops/ops.h"

/* ---- steps -------------------------------------------------------------------------------- */

/* The tensors of a step: parameter, gradient, states. */
enum { PARAMETER, GRAD, STATE, OPERANDS = STATE + SR_OPTIMIZER_STATES };
typedef struct {
  const char *name; /* of the optimizer */
  int n;
  sr_tensor *tensor[OPERANDS];
  const char *what[OPERANDS];
} step;

static sr_status check_like_parameter(const step *s, int i) {
  const sr_tensor *p = s->tensor[PARAMETER], *t = s->tensor[i];
  if (!t) return sr__fail(SR_ARGUMENT, "%s: the %s is missing", s->name, s->what[i]);
  if (!sr__same_shape(p, t))
    return sr__fail(SR_SHAPE, "%s: the parameter has shape %s, its %s %s", s->name, SR_SHAPE_OF(p),
                    s->what[i], SR_SHAPE_OF(t));
  if (p->dtype != t->dtype)
    return sr__fail(SR_DTYPE, "%s: the parameter is %s, its %s %s", s->name, SR_DTYPE_OF(p),
                    s->what[i], SR_DTYPE_OF(t));
  if (i >= STATE) SR_TRY(sr__need_distinct(s->name, t));
  return sr__same_device(s->name, 2, (const sr_tensor *[]){p, t});
}

static sr_status check_step(const step *s) {
  SR_TRY(sr__need_floating(s->name, s->tensor[PARAMETER]));
  SR_TRY(sr__need_distinct(s->name, s->tensor[PARAMETER]));
  for (int i = GRAD; i < s->n; i++) SR_TRY(check_like_parameter(s, i));
  return SR_OK;
}

/* Write a dense copy back to where it came from. */
static sr_status put_back(sr_tensor *t, sr_tensor *dense) {
  sr__changed(t);
  return t == dense ? SR_OK : sr__copy_into(t, dense);
}

static sr_status take_step(const step *s, sr_optimizer_plan *plan) {
  sr_tensor *dense[OPERANDS] = {0};
  sr_status status = SR_OK;
  for (int i = 0; !status && i < s->n; i++) status = sr__dense(s->tensor[i], &dense[i]);
  if (!status) {
    plan->parameter = sr__data(dense[PARAMETER]);
    plan->grad = sr__data(dense[GRAD]);
    for (int i = STATE; i < s->n; i++) plan->state[i - STATE] = sr__data(dense[i]);
    status = sr__backend_of(dense[PARAMETER])->optimize(plan);
  }
  for (int i = 0; !status && i < s->n; i++)
    if (i != GRAD) status = put_back(s->tensor[i], dense[i]);
  for (int i = 0; i < s->n; i++) sr_tensor_release(dense[i]);
  return status;
}

sr_status sr_optimizer_step(sr_optimizer optimizer, sr_tensor *parameter, sr_tensor *grad,
                            sr_tensor *const *state, const sr_optimizer_numbers *numbers) {
  const sr_optimizer_info *info = sr_optimizer_get(optimizer);
  if (!info) return sr__fail(SR_ARGUMENT, "optimizer_step: no optimizer %d", optimizer);
  step s = {info->name, STATE + info->states, {parameter, grad}, {"parameter", "gradient"}};
  for (int i = 0; i < info->states; i++) {
    s.tensor[STATE + i] = state[i];
    s.what[STATE + i] = info->state[i];
  }
  SR_TRY(check_step(&s));
  sr_optimizer_plan plan = {.optimizer = optimizer,
                            .dtype = (sr_dtype)parameter->dtype,
                            .n = parameter->numel,
                            .numbers = numbers};
  return plan.n ? take_step(&s, &plan) : SR_OK;
}

/* ---- clipping ----------------------------------------------------------------------------- */

static sr_status check_grads(const char *name, int n, sr_tensor *const *grads) {
  for (int i = 0; i < n; i++) {
    if (!grads[i]) continue;
    SR_TRY(sr__need_floating(name, grads[i]));
    SR_TRY(sr__need_distinct(name, grads[i]));
  }
  return SR_OK;
}

static sr_reduce kind_of_norm(double p) {
  if (p == 0) return SR_REDUCE_COUNT;
  if (isinf(p)) return p > 0 ? SR_REDUCE_ABS_MAX : SR_REDUCE_ABS_MIN;
  return SR_REDUCE_ABS_SUM_POW;
}

/* parts[i] of a device tensor gets the sum (or extreme) of gradient i. */
static sr_status reduce_to(const sr_tensor *parts, int64_t i, const sr_tensor *grad, double p) {
  const int64_t one = 1;
  sr_tensor *part;
  SR_TRY(sr__alias(parts, 0, &one, &one, i, &part));
  sr_status status = sr__reduce(kind_of_norm(p), grad, (1u << grad->ndim) - 1, p, part);
  sr_tensor_release(part);
  return status;
}

static bool same_kind(const sr_tensor *a, const sr_tensor *b) {
  return a->dtype == b->dtype && sr__backend_of(a) == sr__backend_of(b);
}

/* Sums of grads[*first], .. as long as dtype and device stay the same, read in one
 * transfer; values[] gets `count` of them and *first moves on. */
static sr_status sums_of_run(int n, sr_tensor *const *grads, double p, int *first, double *values,
                             int *count) {
  const sr_tensor *like = grads[*first];
  const int64_t room = n - *first;
  sr_tensor *parts, *wide = NULL;
  *count = 0;
  SR_TRY(sr__empty(sr__backend_of(like), (sr_dtype)like->dtype, 1, &room, &parts));
  sr_status status = sr__fill(parts, sr_integer(0));
  for (; !status && *first < n; ++*first) {
    const sr_tensor *g = grads[*first];
    if (g && !same_kind(g, like)) break;
    if (g && g->numel) status = reduce_to(parts, (*count)++, g, p);
  }
  if (!status) status = sr__as(parts, SR_float64, &wide);
  if (!status) status = sr_tensor_read(wide, values);
  sr_tensor_release(wide);
  sr_tensor_release(parts);
  return status;
}

/* The norm of all from those of the parts: a sum of p-th powers or an extreme. As in
 * PyTorch, the 0-norm is that of the 0-norms: how many parts have a value that is not 0. */
typedef struct {
  double p, sum;
  bool any;
} joint_norm;

static void join(joint_norm *norm, double part) {
  bool first = !norm->any;
  norm->any = true;
  if (isnan(part) || isnan(norm->sum))
    norm->sum = NAN;
  else if (norm->p == 0)
    norm->sum += part != 0;
  else if (!isinf(norm->p))
    norm->sum += part;
  else if (first || (norm->p > 0 ? part > norm->sum : part < norm->sum))
    norm->sum = part;
}

static double finished(const joint_norm *norm) {
  if (norm->p == 0 || isinf(norm->p)) return norm->sum;
  return norm->p == 2 ? sqrt(norm->sum) : pow(norm->sum, 1 / norm->p);
}

static sr_status joint_norm_of(int n, sr_tensor *const *grads, double p, double *out) {
  joint_norm norm = {.p = p};
  double *values;
  size_t bytes = (size_t)(n > 0 ? n : 1) * sizeof *values;
  SR_TRY(sr__new(bytes, (void **)&values));
  sr_status status = SR_OK;
  for (int i = 0; !status && i < n;) {
    if (!grads[i]) {
      i++;
      continue;
    }
    int count;
    status = sums_of_run(n, grads, p, &i, values, &count);
    for (int k = 0; !status && k < count; k++) join(&norm, values[k]);
  }
  sr__free(values, bytes);
  *out = finished(&norm);
  return status;
}

/* t = line(t, ..) in place */
static sr_status change(sr_map map, sr_tensor *t, int operands, double number,
                        const double parameters[2]) {
  sr_loop loop;
  if (!sr__loop(&loop, t->ndim, t->sizes, operands, (const sr_tensor *[]){t, t, NULL}))
    return SR_OK;
  loop.number[2] = sr_number(number);
  sr__changed(t);
  return sr__backend_of(t)->map(map, (sr_dtype)t->dtype, &loop, parameters);
}

sr_status sr_clip_grad_norm(int n, sr_tensor *const *grads, double max_norm, double norm_type,
                            double *norm) {
  static const char name[] = "clip_grad_norm";
  if (!(max_norm >= 0))
    return sr__fail(SR_ARGUMENT, "%s: max_norm must not be negative, got %g", name, max_norm);
  if (isnan(norm_type)) return sr__fail(SR_ARGUMENT, "%s: norm_type is not a number", name);
  SR_TRY(check_grads(name, n, grads));
  double joint;
  SR_TRY(joint_norm_of(n, grads, norm_type, &joint));
  /* As PyTorch: a norm that is not finite goes on into the gradients. */
  double factor = max_norm / (joint + 1e-6);
  for (int i = 0; i < n && !(factor >= 1); i++)
    if (grads[i]) SR_TRY(change(SR_MAP_mul, grads[i], 3, factor, (double[2]){0}));
  *norm = joint;
  return SR_OK;
}

sr_status sr_clip_grad_value(int n, sr_tensor *const *grads, double limit) {
  if (!(limit >= 0))
    return sr__fail(SR_ARGUMENT, "clip_grad_value: the limit must not be negative, got %g", limit);
  SR_TRY(check_grads("clip_grad_value", n, grads));
  for (int i = 0; i < n; i++)
    if (grads[i]) SR_TRY(change(SR_MAP_clamp, grads[i], 2, 0, (double[2]){-limit, limit}));
  return SR_OK;
}
