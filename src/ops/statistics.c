/* statistics.c: norm, var, std and logsumexp over chosen dimensions. */
#include <math.h>

#include "ops/ops.h"

/* The reduced y = R(x) and the incoming gradient, both broadcasting against x. */
typedef struct {
  const sr_reducing *r;
  sr_tensor *x, *y, *g;
} reduced;

static sr_status open_gradient(const sr_node *node, sr_tensor *const *grad, sr_work *w,
                               reduced *s) {
  s->r = sr__parameters(node);
  SR_TRY(sr__saved(node, 0, &s->x));
  SR_TRY(sr__saved(node, 1, &s->y));
  *w = sr__work_begin();
  s->y = sr__work_kept(w, s->y, s->x->ndim, s->r);
  s->g = sr__work_kept(w, grad[0], s->x->ndim, s->r);
  return SR_OK;
}

/* number == t ? 0 : value */
static sr_tensor *zero_where(sr_work *w, sr_tensor *t, double number, sr_tensor *value) {
  return sr__work_where(w, sr__work_number(w, SR_OP_eq, t, number), NULL, 0, value, 0);
}

/* ---- norm: y = (sum |x|^p)^(1/p) ------------------------------------------------------------ */

/* p = 2: x dy / y, and 0 at y = 0 */
static sr_tensor *euclidean_gradient(sr_work *w, const reduced *s) {
  sr_tensor *ratio = sr__work_binary(w, SR_OP_div, s->g, s->y);
  return sr__work_binary(w, SR_OP_mul, s->x, zero_where(w, s->y, 0, ratio));
}

/* p = inf, -inf: sign(x) dy, shared equally by the elements with |x| = y */
static sr_tensor *extreme_gradient(sr_work *w, const reduced *s) {
  sr_tensor *size = sr__work_unary(w, SR_OP_abs, s->x);
  sr_tensor *chosen = sr__work_binary(w, SR_OP_eq, size, s->y);
  sr_tensor *ones = sr__work_as(w, chosen, (sr_dtype)s->x->dtype);
  sr_tensor *count = sr__work_reduce(w, SR_REDUCE_SUM, ones, s->r, 0);
  sr_tensor *share = sr__work_binary(w, SR_OP_div, s->g, count);
  sr_tensor *sign = sr__work_unary(w, SR_OP_sign, s->x);
  return sr__work_binary(w, SR_OP_mul, sr__work_binary(w, SR_OP_mul, ones, sign), share);
}

/* sign(x) |x|^(p-1) y^(1-p) dy, and 0 where x or y is 0 */
static sr_tensor *power_gradient(sr_work *w, const reduced *s) {
  double p = s->r->number;
  sr_tensor *size = sr__work_unary(w, SR_OP_abs, s->x);
  sr_tensor *power = zero_where(w, s->x, 0, sr__work_number(w, SR_OP_pow, size, p - 1));
  sr_tensor *sign = sr__work_unary(w, SR_OP_sign, s->x);
  sr_tensor *scale = sr__work_number(w, SR_OP_pow, s->y, 1 - p);
  scale = zero_where(w, s->y, 0, sr__work_binary(w, SR_OP_mul, s->g, scale));
  return sr__work_binary(w, SR_OP_mul, sr__work_binary(w, SR_OP_mul, sign, power), scale);
}

static sr_status norm_backward(sr_node *node, sr_tensor *const *grad) {
  reduced s;
  sr_work w;
  SR_TRY(open_gradient(node, grad, &w, &s));
  double p = s.r->number;
  sr_tensor *dx;
  if (p == 0)
    dx = sr__work_number(&w, SR_OP_mul, s.x, 0); /* a count does not change */
  else if (p == 2)
    dx = euclidean_gradient(&w, &s);
  else
    dx = isinf(p) ? extreme_gradient(&w, &s) : power_gradient(&w, &s);
  return sr__work_give(&w, node, 0, dx);
}
static const sr_op norm_op = {"norm", norm_backward};

static sr_tensor *reduce_as_asked(sr_work *w, sr_reduce kind, sr_tensor *x, const sr_reducing *r,
                                  double parameter) {
  sr_tensor *y;
  if (w->status) return NULL;
  return sr__work_keep(w, sr__reduced(kind, x, r, parameter, &y), &y);
}

static sr_tensor *norm_of(sr_work *w, sr_tensor *x, const sr_reducing *r) {
  double p = r->number;
  if (p == 0) return reduce_as_asked(w, SR_REDUCE_COUNT, x, r, 0);
  if (isinf(p)) return reduce_as_asked(w, p > 0 ? SR_REDUCE_ABS_MAX : SR_REDUCE_ABS_MIN, x, r, 0);
  sr_tensor *sum = reduce_as_asked(w, SR_REDUCE_ABS_SUM_POW, x, r, p);
  if (p == 1) return sum;
  if (p == 2) return sr__work_unary(w, SR_OP_sqrt, sum);
  return sr__work_number(w, SR_OP_pow, sum, 1 / p);
}

sr_status sr_norm(sr_tensor *x, double p, const sr_dims *dims, sr_tensor **out) {
  sr_reducing r;
  sr_tensor *y;
  SR_TRY(sr__need_floating("norm", x));
  if (isnan(p)) return sr__fail(SR_ARGUMENT, "norm: p is not a number");
  SR_TRY(sr__reducing("norm", x, dims, &r));
  if (isinf(p)) SR_TRY(sr__need_elements("norm", x, &r));
  r.number = p;
  sr_work w = sr__work_begin();
  SR_TRY(sr__work_take(&w, norm_of(&w, x, &r), &y));
  return sr__finish(&norm_op, y, 1, &x, 2, (sr_tensor *[]){x, y}, &r, sizeof r, out);
}

/* ---- var: y = sum (x - mean)^2 / max(0, n - correction) ------------------------------ */

static double freedom(const sr_reducing *r) { return fmax(0, (double)r->count - r->number); }

static sr_tensor *deviation(sr_work *w, sr_tensor *x, const sr_reducing *r) {
  sr_tensor *sum = sr__work_reduce(w, SR_REDUCE_SUM, x, r, 0);
  sr_tensor *mean = sr__work_number(w, SR_OP_div, sum, (double)r->count);
  return sr__work_binary(w, SR_OP_sub, x, mean);
}

static sr_tensor *variance(sr_work *w, sr_tensor *x, const sr_reducing *r) {
  sr_tensor *squares = reduce_as_asked(w, SR_REDUCE_ABS_SUM_POW, deviation(w, x, r), r, 2);
  return sr__work_number(w, SR_OP_div, squares, freedom(r));
}

/* dx = 2 (x - mean) dy / max(0, n - correction), given dy */
static sr_tensor *variance_gradient(sr_work *w, const reduced *s, sr_tensor *g) {
  sr_tensor *scale = sr__work_number(w, SR_OP_mul, g, 2 / freedom(s->r));
  return sr__work_binary(w, SR_OP_mul, deviation(w, s->x, s->r), scale);
}

static sr_status var_backward(sr_node *node, sr_tensor *const *grad) {
  reduced s;
  sr_work w;
  SR_TRY(open_gradient(node, grad, &w, &s));
  return sr__work_give(&w, node, 0, variance_gradient(&w, &s, s.g));
}
static const sr_op var_op = {"var", var_backward};

/* var's, with dy / (2 y) for dy, and 0 at y = 0 */
static sr_status std_backward(sr_node *node, sr_tensor *const *grad) {
  reduced s;
  sr_work w;
  SR_TRY(open_gradient(node, grad, &w, &s));
  sr_tensor *half = sr__work_number(&w, SR_OP_mul, s.g, 0.5);
  sr_tensor *g = zero_where(&w, s.y, 0, sr__work_binary(&w, SR_OP_div, half, s.y));
  return sr__work_give(&w, node, 0, variance_gradient(&w, &s, g));
}
static const sr_op std_op = {"std", std_backward};

static sr_status spread_of(const sr_op *op, sr_tensor *x, double correction, const sr_dims *dims,
                           sr_tensor **out) {
  sr_reducing r;
  sr_tensor *y;
  SR_TRY(sr__need_floating(op->name, x));
  if (!isfinite(correction)) return sr__fail(SR_ARGUMENT, "%s: correction is not finite", op->name);
  SR_TRY(sr__reducing(op->name, x, dims, &r));
  r.number = correction;
  sr_work w = sr__work_begin();
  sr_tensor *result = variance(&w, x, &r);
  if (op == &std_op) result = sr__work_unary(&w, SR_OP_sqrt, result);
  SR_TRY(sr__work_take(&w, result, &y));
  return sr__finish(op, y, 1, &x, 2, (sr_tensor *[]){x, y}, &r, sizeof r, out);
}

sr_status sr_var(sr_tensor *x, double correction, const sr_dims *dims, sr_tensor **out) {
  return spread_of(&var_op, x, correction, dims, out);
}

sr_status sr_std(sr_tensor *x, double correction, const sr_dims *dims, sr_tensor **out) {
  return spread_of(&std_op, x, correction, dims, out);
}

/* ---- logsumexp: y = m + log sum exp(x - m), m the maximum ---------------------------- */

/* dx = dy exp(x - y); y = -inf (all x are) counts as 0, so that dx is 0 and not NaN */
static sr_status logsumexp_backward(sr_node *node, sr_tensor *const *grad) {
  reduced s;
  sr_work w;
  SR_TRY(open_gradient(node, grad, &w, &s));
  sr_tensor *y = zero_where(&w, s.y, -INFINITY, s.y);
  sr_tensor *share = sr__work_unary(&w, SR_OP_exp, sr__work_binary(&w, SR_OP_sub, s.x, y));
  return sr__work_give(&w, node, 0, sr__work_binary(&w, SR_OP_mul, share, s.g));
}
static const sr_op logsumexp_op = {"logsumexp", logsumexp_backward};

/* An infinite maximum is not subtracted: inf - inf is NaN. */
static sr_tensor *logsumexp_of(sr_work *w, sr_tensor *x, const sr_reducing *r) {
  if (r->count == 0) /* log 0 */
    return sr__work_unary(w, SR_OP_log, reduce_as_asked(w, SR_REDUCE_SUM, x, r, 0));
  sr_tensor *max = sr__work_reduce(w, SR_REDUCE_MAX, x, r, 0);
  sr_tensor *m = zero_where(w, sr__work_unary(w, SR_OP_abs, max), INFINITY, max);
  sr_tensor *powers = sr__work_unary(w, SR_OP_exp, sr__work_binary(w, SR_OP_sub, x, m));
  sr_tensor *sum = sr__work_reduce(w, SR_REDUCE_SUM, powers, r, 0);
  return sr__work_binary(w, SR_OP_add, sr__work_unary(w, SR_OP_log, sum), m);
}

/* y without its reduced dimensions unless they are to be kept. */
static sr_tensor *drop_reduced(sr_work *w, sr_tensor *y, const sr_reducing *r) {
  if (w->status || r->keepdim) return y;
  int ndim = 0;
  int64_t sizes[SR_MAX_DIMS], strides[SR_MAX_DIMS];
  for (int d = 0; d < y->ndim; d++) {
    if (r->mask >> d & 1) continue;
    sizes[ndim] = y->sizes[d];
    strides[ndim++] = sr__strides(y)[d];
  }
  sr_tensor *view;
  return sr__work_keep(w, sr__alias(y, ndim, sizes, strides, y->offset, &view), &view);
}

sr_status sr_logsumexp(sr_tensor *x, const sr_dims *dims, sr_tensor **out) {
  sr_reducing r;
  sr_tensor *y;
  SR_TRY(sr__need_floating("logsumexp", x));
  SR_TRY(sr__reducing("logsumexp", x, dims, &r));
  sr_work w = sr__work_begin();
  sr_tensor *full = logsumexp_of(&w, x, &r);
  SR_TRY(sr__work_take(&w, r.count ? drop_reduced(&w, full, &r) : full, &y));
  return sr__finish(&logsumexp_op, y, 1, &x, 2, (sr_tensor *[]){x, y}, &r, sizeof r, out);
}
