/* pointwise.c: the operations of backend/pointwise.def, forward and gradient.
 *
 * One function serves all of them: it brings the operands to a common dtype and
 * shape, calls the kernel of the line, and records what the line's gradient
 * reads. Numbers stay numbers; no tensor is made of them. */
#include <string.h>

#include "ops/ops.h"

/* ---- dtypes ---------------------------------------------------------------------------- */

/* What a line is of bool operands alone, where that is a bool again. */
static sr_map of_bools(sr_map forward) {
  switch (forward) {
    case SR_MAP_add:
    case SR_MAP_maximum: return SR_MAP_logical_or;
    case SR_MAP_mul:
    case SR_MAP_minimum: return SR_MAP_logical_and;
    default: return forward;
  }
}

/* The dtype that the kernel computes in. */
static sr_dtype compute_dtype(const sr__pointwise_record *r, sr_dtype dtype) {
  switch (r->kind) {
    case SR_FLOAT:
    case SR_INNER: return sr_dtype_is_floating(dtype) ? dtype : SR_float32;
    case SR_LOGIC: return SR_bool;
    default: return dtype == SR_bool && of_bools(r->forward) == r->forward ? SR_int64 : dtype;
  }
}

/* ---- operands ---------------------------------------------------------------------------- */

/* The operands of one call: tensors in the compute dtype (references of our own) or
 * numbers, and the common shape. */
typedef struct {
  const sr__pointwise_record *record;
  sr_dtype dtype;
  int ndim;
  int64_t sizes[SR_MAX_DIMS];
  const sr_backend *backend;
  sr_tensor *tensor[2];
  sr_scalar number[2];
} operands;

static void release_operands(operands *o) {
  sr_tensor_release(o->tensor[0]);
  sr_tensor_release(o->tensor[1]);
}

static sr_status convert_operand(operands *o, int i, const sr_operand *x) {
  o->number[i] = x->number;
  if (!x->tensor) return SR_OK;
  return sr__as(x->tensor, o->dtype, &o->tensor[i]);
}

static sr_status common_shape(operands *o, const sr_operand *x) {
  const char *name = o->record->info.name;
  const sr_tensor *a = x[0].tensor, *b = o->record->info.arity > 1 ? x[1].tensor : NULL;
  if (a && b && !sr__same_shape(a, b)) {
    SR_TRY(sr__same_device(name, 2, (const sr_tensor *[]){a, b}));
    return sr__broadcast(name, a, b, &o->ndim, o->sizes);
  }
  if (a && b) SR_TRY(sr__same_device(name, 2, (const sr_tensor *[]){a, b}));
  const sr_tensor *only = a ? a : b;
  o->ndim = only->ndim;
  memcpy(o->sizes, only->sizes, (size_t)only->ndim * sizeof *o->sizes);
  return SR_OK;
}

/* An in-place result keeps the target's dtype where it is of the same kind or a wider one. */
static sr_dtype in_place_dtype(sr_dtype dtype, const sr_tensor *target) {
  if (!target || sr__category(dtype) > sr__category((sr_dtype)target->dtype)) return dtype;
  return target->dtype == SR_bool ? dtype : (sr_dtype)target->dtype;
}

static sr_status prepare(operands *o, sr_pointwise_op op, const sr_operand *x,
                         const sr_tensor *target) {
  if (op < 0 || op >= sr_pointwise_count()) return sr__fail(SR_ARGUMENT, "no pointwise op %d", op);
  o->record = &sr__pointwise_table[op];
  o->tensor[0] = o->tensor[1] = NULL;
  int arity = o->record->info.arity;
  if (!x[0].tensor && (arity < 2 || !x[1].tensor))
    return sr__fail(SR_ARGUMENT, "%s: a tensor is needed", o->record->info.name);
  SR_TRY(common_shape(o, x));
  o->backend = sr__backend_of(x[0].tensor ? x[0].tensor : x[1].tensor);
  o->dtype = in_place_dtype(compute_dtype(o->record, sr__promoted(arity, x)), target);
  sr_status status = convert_operand(o, 0, &x[0]);
  if (!status && arity > 1) status = convert_operand(o, 1, &x[1]);
  if (status) release_operands(o);
  return status;
}

static const double *parameters_or_defaults(const sr__pointwise_record *r, const double *given) {
  static const double none[2] = {0, 0};
  if (given) return given;
  return r->info.parameters ? r->info.defaults : none;
}

static sr_status run_kernel(const operands *o, const double *parameters, sr_tensor *y) {
  sr_loop loop;
  int n = 1 + o->record->info.arity;
  const sr_tensor *operand[3] = {y, o->tensor[0], o->tensor[1]};
  if (!sr__loop(&loop, o->ndim, o->sizes, n, operand)) return SR_OK;
  loop.number[1] = o->number[0];
  loop.number[2] = o->number[1];
  sr_map map = o->dtype == SR_bool ? of_bools(o->record->forward) : o->record->forward;
  sr_status status = o->backend->map(map, o->dtype, &loop, parameters);
  return status ? sr__fail_in(status, o->record->info.name) : SR_OK;
}

/* ---- gradient -------------------------------------------------------------------------------- */

typedef struct {
  const sr__pointwise_record *record;
  sr_dtype dtype;
  double parameters[2];
  sr_scalar number[2];
} node_parameters;

/* Gradients that are the incoming one itself. */
static bool passes_through(sr_map map) {
  return map == SR_MAP_add_grad_a || map == SR_MAP_add_grad_b || map == SR_MAP_sub_grad_a ||
         map == SR_MAP_remainder_grad_a;
}

static sr_status run_gradient(const node_parameters *p, int i, sr_tensor *g,
                              sr_tensor *const saved[2], sr_tensor **out) {
  sr_tensor *d;
  SR_TRY(sr__empty_like(g, p->dtype, &d));
  sr_loop loop;
  sr_status status = SR_OK;
  if (sr__loop(&loop, g->ndim, g->sizes, 4, (const sr_tensor *[]){d, g, saved[0], saved[1]})) {
    loop.number[2] = p->number[0];
    loop.number[3] = p->number[1];
    status = sr__backend_of(g)->map(p->record->grad[i], p->dtype, &loop, p->parameters);
  }
  if (status) {
    sr_tensor_release(d);
    return status;
  }
  *out = d;
  return SR_OK;
}

/* Output and compute dtype agree for every line that has a gradient. */
static sr_status pointwise_backward(sr_node *node, sr_tensor *const *grad) {
  const node_parameters *p = sr__parameters(node);
  sr_tensor *saved[2];
  for (int i = 0; i < 2; i++) SR_TRY(sr__saved(node, i, &saved[i]));
  for (int i = 0; i < p->record->info.arity; i++) {
    if (!sr__wants(node, i)) continue;
    if (passes_through(p->record->grad[i])) {
      SR_TRY(sr__give_shared(node, i, grad[0]));
      continue;
    }
    sr_tensor *d;
    SR_TRY(run_gradient(p, i, grad[0], saved, &d));
    SR_TRY(sr__give(node, i, d));
  }
  return SR_OK;
}

/* One record a line, so that messages and grad_fn carry the line's name. */
static const sr_op pointwise_ops[] = {
#define SR_UNARY(name, ...) {#name, pointwise_backward},
#define SR_BINARY(name, ...) {#name, pointwise_backward},
#include "backend/pointwise.def"
};

static const sr_op *op_of(const sr__pointwise_record *r) {
  return &pointwise_ops[r - sr__pointwise_table];
}

/* What the gradients of the arguments that need one will read: bits SR_USES_*. */
static int uses_of(const sr__pointwise_record *r, const sr_operand *x) {
  int uses = 0;
  for (int i = 0; i < r->info.arity; i++)
    if (x[i].tensor && sr_requires_grad(x[i].tensor)) uses |= r->uses[i];
  return uses;
}

static void fill_parameters(node_parameters *p, const operands *o, const double *parameters) {
  *p = (node_parameters){.record = o->record,
                         .dtype = o->dtype,
                         .parameters = {parameters[0], parameters[1]},
                         .number = {o->number[0], o->number[1]}};
}

/* Unary lines keep (x, y), binary ones (a, b); each only if it is read. */
static void choose_saved(const operands *o, int uses, sr_tensor *y, sr_tensor *saved[2]) {
  sr_tensor *second = o->record->info.arity > 1 ? o->tensor[1] : y;
  saved[0] = uses & SR_USES_X ? o->tensor[0] : NULL;
  saved[1] = uses & SR_USES_Y ? second : NULL;
}

static sr_status record(const operands *o, const sr_operand *x, const double *parameters,
                        sr_tensor *y, sr_tensor **out) {
  sr_tensor *inputs[2] = {x[0].tensor, o->record->info.arity > 1 ? x[1].tensor : NULL};
  if (!o->record->info.differentiable || !sr__records(o->record->info.arity, inputs)) {
    *out = y;
    return SR_OK;
  }
  node_parameters p;
  fill_parameters(&p, o, parameters);
  sr_tensor *saved[2];
  choose_saved(o, uses_of(o->record, x), y, saved);
  return sr__finish(op_of(o->record), y, o->record->info.arity, inputs, 2, saved, &p, sizeof p,
                    out);
}

/* ---- public -------------------------------------------------------------------------- */

sr_status sr_pointwise(sr_pointwise_op op, const sr_operand *x, const double *parameters,
                       sr_tensor **out) {
  operands o;
  SR_TRY(prepare(&o, op, x, NULL));
  parameters = parameters_or_defaults(o.record, parameters);
  sr_tensor *y;
  sr_dtype dtype = o.record->info.returns_bool ? SR_bool : o.dtype;
  sr_status status = sr__empty(o.backend, dtype, o.ndim, o.sizes, &y);
  if (status) goto done;
  status = run_kernel(&o, parameters, y);
  if (status) {
    sr_tensor_release(y);
    goto done;
  }
  status = record(&o, x, parameters, y, out);
done:
  release_operands(&o);
  return status;
}

/* ---- in place ------------------------------------------------------------------------ */

static sr_status check_target(const char *name, const sr_tensor *x, const operands *o) {
  SR_TRY(sr__need_distinct(name, x));
  bool fits = o->ndim == x->ndim;
  for (int d = 0; fits && d < x->ndim; d++) fits = o->sizes[d] == x->sizes[d];
  if (!fits)
    return sr__fail(SR_SHAPE, "%s_: the result has shape %s, which does not fit the tensor's %s",
                    name, sr__shape_text(o->ndim, o->sizes, (char[SR_SHAPE_TEXT]){0}),
                    SR_SHAPE_OF(x));
  if (o->dtype != (sr_dtype)x->dtype)
    return sr__fail(SR_DTYPE, "%s_: a %s result does not fit a tensor of %s", name,
                    sr_dtype_name(o->dtype), SR_DTYPE_OF(x));
  return SR_OK;
}

/* An operand that overlaps the target, or whose value before the change the gradient
 * reads, is replaced by a copy. */
static sr_status protect_operands(operands *o, const sr_tensor *x, int uses) {
  for (int i = 0; i < o->record->info.arity; i++) {
    sr_tensor *t = o->tensor[i];
    if (!t || t->storage != x->storage) continue;
    bool is_x = t->offset == x->offset && sr__same_shape(t, x) &&
                !memcmp(sr__strides(t), sr__strides(x), (size_t)x->ndim * sizeof(int64_t));
    bool kept = uses & (i ? SR_USES_B : SR_USES_A) && !(i && o->record->info.arity == 1);
    if (is_x && !kept) continue;
    sr_tensor *copy;
    SR_TRY(sr__copied(t, &copy));
    sr_tensor_release(t);
    o->tensor[i] = copy;
  }
  return SR_OK;
}

static sr_status change(operands *o, const sr_operand *x, const double *parameters) {
  const sr__pointwise_record *r = o->record;
  sr_tensor *target = x[0].tensor;
  sr_tensor *inputs[2] = {target, r->info.arity > 1 ? x[1].tensor : NULL};
  SR_TRY(check_target(r->info.name, target, o));
  SR_TRY(sr__check_in_place(r->info.name, target, r->info.arity, inputs));
  int uses = sr_grad_enabled() ? uses_of(r, x) : 0;
  SR_TRY(protect_operands(o, target, uses));
  SR_TRY(run_kernel(o, parameters, target));
  node_parameters p;
  fill_parameters(&p, o, parameters);
  sr_tensor *saved[2];
  choose_saved(o, uses, target, saved);
  return sr__record_in_place(op_of(r), target, r->info.arity, inputs, 2, saved, &p, sizeof p);
}

sr_status sr_pointwise_(sr_pointwise_op op, const sr_operand *x, const double *parameters) {
  operands o;
  SR_TRY(prepare(&o, op, x, x[0].tensor));
  sr_status status;
  if (!o.record->info.in_place || !x[0].tensor)
    status = sr__fail(SR_ARGUMENT, "%s has no in-place form", o.record->info.name);
  else
    status = change(&o, x, parameters_or_defaults(o.record, parameters));
  release_operands(&o);
  return status;
}

/* ---- by name ------------------------------------------------------------------------- */

static sr_status find(const char *name, int arity, sr_pointwise_op *op) {
  *op = sr_pointwise_find(name);
  if (*op < 0 || sr_pointwise_get(*op)->arity != arity)
    return sr__fail(SR_ARGUMENT, "there is no pointwise operation '%s' of %d arguments", name,
                    arity);
  return SR_OK;
}

sr_status sr_unary(const char *name, sr_tensor *x, sr_tensor **out) {
  sr_pointwise_op op;
  SR_TRY(find(name, 1, &op));
  return sr_pointwise(op, &(sr_operand){.tensor = x}, NULL, out);
}

sr_status sr_binary(const char *name, sr_tensor *a, sr_tensor *b, sr_tensor **out) {
  sr_pointwise_op op;
  SR_TRY(find(name, 2, &op));
  return sr_pointwise(op, (sr_operand[]){{.tensor = a}, {.tensor = b}}, NULL, out);
}
