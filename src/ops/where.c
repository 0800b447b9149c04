/* where.c: choosing between values with a bool tensor: where, masked_fill, masked_fill_. */
#include "ops/ops.h"

/* y = condition ? a : b into y; tensors of y's dtype, or numbers that it can hold. */
static sr_status choose_into(sr_tensor *y, const sr_tensor *condition, const sr_operand *a,
                             const sr_operand *b) {
  sr_loop loop;
  const sr_tensor *operand[4] = {y, condition, a->tensor, b->tensor};
  if (!sr__loop(&loop, y->ndim, y->sizes, 4, operand)) return SR_OK;
  loop.number[2] = a->number;
  loop.number[3] = b->number;
  return sr__backend_of(y)->where((sr_dtype)y->dtype, &loop);
}

static sr_status choose(const sr_tensor *condition, const sr_operand *a, const sr_operand *b,
                        sr_dtype dtype, int ndim, const int64_t *sizes, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(sr__empty(sr__backend_of(condition), dtype, ndim, sizes, &y));
  sr_status status = choose_into(y, condition, a, b);
  if (status)
    sr_tensor_release(y);
  else
    *out = y;
  return status;
}

/* dx = dy where the condition is `chosen`, else 0 */
static sr_status give_chosen(sr_node *node, int input, const sr_tensor *condition, bool chosen,
                             sr_tensor *g) {
  if (!sr__wants(node, input)) return SR_OK;
  const sr_operand value = {.tensor = g}, zero = {.number = sr_integer(0)};
  sr_tensor *dx;
  SR_TRY(choose(condition, chosen ? &value : &zero, chosen ? &zero : &value, (sr_dtype)g->dtype,
                g->ndim, g->sizes, &dx));
  return sr__give(node, input, dx);
}

/* ---- where --------------------------------------------------------------------------------- */

static sr_status where_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *condition;
  SR_TRY(sr__saved(node, 0, &condition));
  SR_TRY(give_chosen(node, 0, condition, true, grad[0]));
  return give_chosen(node, 1, condition, false, grad[0]);
}
static const sr_op where_op = {"where", where_backward};

/* The common shape of two or three tensors (b, c may be NULL). */
static sr_status common_shape(const char *name, const sr_tensor *a, const sr_tensor *b,
                              const sr_tensor *c, int *ndim, int64_t sizes[SR_MAX_DIMS]) {
  const sr_tensor *others[2] = {b, c};
  *ndim = a->ndim;
  for (int d = 0; d < a->ndim; d++) sizes[d] = a->sizes[d];
  SR_TRY(sr__same_device(name, 3, (const sr_tensor *[]){a, b, c}));
  for (int i = 0; i < 2; i++) {
    if (!others[i]) continue;
    sr_tensor *so_far;
    SR_TRY(sr__expanded(a, *ndim, sizes, &so_far));
    sr_status status = sr__broadcast(name, so_far, others[i], ndim, sizes);
    sr_tensor_release(so_far);
    if (status) return status;
  }
  return SR_OK;
}

/* x as an operand of the kernel: a converted tensor (a reference of our own) or number. */
static sr_status convert(const char *name, sr_operand x, sr_dtype dtype, sr_operand *out) {
  *out = (sr_operand){0};
  if (!x.tensor) return sr__number_as(name, dtype, x.number, &out->number);
  return sr__as(x.tensor, dtype, &out->tensor);
}

sr_status sr_where(sr_tensor *condition, sr_operand a, sr_operand b, sr_tensor **out) {
  const sr_operand pair[2] = {a, b};
  sr_dtype dtype = sr__promoted(2, pair);
  int ndim;
  int64_t sizes[SR_MAX_DIMS];
  SR_TRY(sr__need_bool("where", "the condition", condition));
  SR_TRY(common_shape("where", condition, a.tensor, b.tensor, &ndim, sizes));
  sr_operand x, z;
  sr_tensor *y;
  SR_TRY(convert("where", a, dtype, &x));
  sr_status status = convert("where", b, dtype, &z);
  if (!status) {
    status = choose(condition, &x, &z, dtype, ndim, sizes, &y);
    sr_tensor_release(z.tensor);
  }
  sr_tensor_release(x.tensor);
  if (status) return status;
  return sr__finish(&where_op, y, 2, (sr_tensor *[]){a.tensor, b.tensor}, 1, &condition, NULL, 0,
                    out);
}

/* ---- masked_fill, masked_fill_ ------------------------------------------------------- */

static sr_status masked_fill_backward(sr_node *node, sr_tensor *const *grad) {
  sr_tensor *mask;
  SR_TRY(sr__saved(node, 0, &mask));
  return give_chosen(node, 0, mask, false, grad[0]);
}
static const sr_op masked_fill_op = {"masked_fill", masked_fill_backward};
static const sr_op masked_fill__op = {"masked_fill_", masked_fill_backward};

static sr_status filled(const char *name, sr_tensor *x, const sr_tensor *mask, sr_scalar value,
                        sr_tensor **out) {
  int ndim;
  int64_t sizes[SR_MAX_DIMS];
  sr_operand number = {0}, tensor = {.tensor = x};
  SR_TRY(sr__need_bool(name, "the mask", mask));
  SR_TRY(common_shape(name, x, mask, NULL, &ndim, sizes));
  SR_TRY(sr__number_as(name, (sr_dtype)x->dtype, value, &number.number));
  return choose(mask, &number, &tensor, (sr_dtype)x->dtype, ndim, sizes, out);
}

sr_status sr_masked_fill(sr_tensor *x, sr_tensor *mask, sr_scalar value, sr_tensor **out) {
  sr_tensor *y;
  SR_TRY(filled("masked_fill", x, mask, value, &y));
  return sr__finish(&masked_fill_op, y, 1, &x, 1, &mask, NULL, 0, out);
}

sr_status sr_masked_fill_(sr_tensor *x, sr_tensor *mask, sr_scalar value) {
  sr_tensor *y;
  SR_TRY(sr__need_distinct("masked_fill_", x));
  SR_TRY(sr__need_broadcast_to("masked_fill_", "the mask", mask, x->ndim, x->sizes));
  SR_TRY(sr__check_in_place("masked_fill_", x, 1, &x));
  SR_TRY(filled("masked_fill_", x, mask, value, &y));
  sr_status status = sr__copy_into(x, y);
  sr_tensor_release(y);
  if (status) return status;
  return sr__record_in_place(&masked_fill__op, x, 1, &x, 1, &mask, NULL, 0);
}
