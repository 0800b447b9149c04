/* bind_pointwise.c: the functions and methods of backend/pointwise.def, all made from
 * its table: tanh(x), x:tanh(), x:tanh_(), x:add(y), x:clamp(0, 1), ... */
#include <math.h>
#include <string.h>

#include "lua/binding.h"

/* Names of parameters where PyTorch has them; others go by position. */
static const struct {
  const char *function, *names[2];
} parameter_names[] = {
    {"leaky_relu", {"negative_slope", NULL}},
    {"elu", {"alpha", NULL}},
    {"softplus", {"beta", "threshold"}},
    {"clamp", {"min", "max"}},
};

static const char *parameter_name(const char *function, int k) {
  for (size_t i = 0; i < sizeof parameter_names / sizeof *parameter_names; i++)
    if (!strcmp(parameter_names[i].function, function)) return parameter_names[i].names[k];
  return k ? "q" : "p";
}

/* The arguments of one call, brought into order. Upvalues: the operation, the function's name. */
typedef struct {
  sr_pointwise_op op;
  sr_operand x[2];
  double parameters[2];
} call;

/* False if a stand-in is among them. */
static bool read_call(lua_State *L, call *c) {
  c->op = (sr_pointwise_op)lua_tointeger(L, lua_upvalueindex(1));
  const sr_pointwise_info *info = sr_pointwise_get(c->op);
  const char *function = lua_tostring(L, lua_upvalueindex(2));
  int arity = info->arity;
  if (info->parameters || lua_gettop(L) != arity) {
    const char *names[5] = {"input", "other"};
    for (int k = 0; k < info->parameters; k++) names[arity + k] = parameter_name(info->name, k);
    names[arity + info->parameters] = NULL;
    sr_arguments(L, function, names);
  }
  if (!sr_read_operand(L, 1, &c->x[0], function, "input")) return false;
  if (arity > 1 && !sr_read_operand(L, 2, &c->x[1], function, "other")) return false;
  for (int k = 0; k < info->parameters; k++)
    c->parameters[k] = sr_optional_number(L, arity + 1 + k, info->defaults[k], function,
                                          parameter_name(info->name, k));
  return true;
}

static int pointwise(lua_State *L) {
  call c;
  if (!read_call(L, &c)) return sr_call_stand_in(L);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_pointwise(c.op, c.x, c.parameters, y));
  return sr_filled(L, 1);
}

static int pointwise_in_place(lua_State *L) {
  call c;
  if (!read_call(L, &c)) return sr_call_stand_in(L);
  sr_raise(L, sr_pointwise_(c.op, c.x, c.parameters));
  lua_settop(L, 1);
  return 1;
}

/* ---- more than the list says ------------------------------------------------------------ */

/* What the steps below ended in: the target of an in-place function, or the tensor on top. */
static int finish_steps(lua_State *L, bool in_place) {
  if (!in_place) return sr_filled(L, 1);
  lua_settop(L, 1);
  return 1;
}

/* One operation after others; *x becomes its result. */
static void step(lua_State *L, bool in_place, const char *operation, sr_operand *x, sr_operand b) {
  sr_pointwise_op op = sr_pointwise_find(operation);
  sr_operand operands[2] = {*x, b};
  if (in_place) {
    sr_raise(L, sr_pointwise_(op, operands, NULL));
    return;
  }
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_pointwise(op, operands, NULL, y));
  x->tensor = *y;
}

/* clamp(x, min, max): numbers go to the kernel, tensors broadcast. */
static int clamp_steps(lua_State *L, bool in_place) {
  static const char *const names[] = {"input", "min", "max", NULL};
  const char *function = lua_tostring(L, lua_upvalueindex(2));
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  sr_arguments(L, function, names);
  if (lua_isnil(L, 2) && lua_isnil(L, 3))
    sr_error(L, "%s: at least one of 'min' and 'max' is needed", function);
  if (!sr_to_tensor(L, 2) && !sr_to_tensor(L, 3))
    return in_place ? pointwise_in_place(L) : pointwise(L);
  sr_operand x = sr_check_operand(L, 1, function, "input"), low = {0}, high = {0};
  if (!lua_isnil(L, 2)) low = sr_check_operand(L, 2, function, "min");
  if (!lua_isnil(L, 3)) high = sr_check_operand(L, 3, function, "max");
  if (!lua_isnil(L, 2)) step(L, in_place, "clamp_min", &x, low);
  if (!lua_isnil(L, 3)) step(L, in_place, "clamp_max", &x, high);
  return finish_steps(L, in_place);
}

static int clamp(lua_State *L) { return clamp_steps(L, false); }
static int clamp_in_place(lua_State *L) { return clamp_steps(L, true); }

/* The quotient without its fraction, of integers exactly: (a - fmod(a, b)) / b. */
static void truncated(lua_State *L, sr_operand *x, sr_operand b) {
  sr_operand a = *x;
  step(L, false, "fmod", x, b);
  if (sr_tensor_dtype(x->tensor) == SR_int64) {
    sr_operand remainder = *x;
    *x = a;
    step(L, false, "sub", x, remainder);
    step(L, false, "floor_divide", x, b);
    return;
  }
  *x = a;
  step(L, false, "div", x, b);
  step(L, false, "trunc", x, (sr_operand){0});
}

/* div(a, b, {rounding_mode = "trunc" or "floor"}) */
static int divide_steps(lua_State *L, bool in_place) {
  static const char *const names[] = {"input", "other", "rounding_mode", NULL};
  const char *function = lua_tostring(L, lua_upvalueindex(2));
  if (sr_is_stand_in(L, 1) || sr_is_stand_in(L, 2)) return sr_call_stand_in(L);
  sr_arguments(L, function, names);
  if (lua_isnil(L, 3)) {
    lua_settop(L, 2);
    return in_place ? pointwise_in_place(L) : pointwise(L);
  }
  static const char *const modes[] = {"floor", "trunc", NULL};
  bool truncates = sr_check_word(L, 3, function, "rounding_mode", modes) == 1;
  sr_operand x = sr_check_operand(L, 1, function, "input");
  sr_operand b = sr_check_operand(L, 2, function, "other");
  if (!x.tensor && (in_place || !b.tensor)) sr_error(L, "%s: a tensor is needed", function);
  if (!truncates) {
    step(L, in_place, "floor_divide", &x, b);
  } else {
    sr_operand target = x;
    truncated(L, &x, b);
    if (in_place) sr_raise(L, sr_copy_(target.tensor, x.tensor));
  }
  return finish_steps(L, in_place);
}

static int divide(lua_State *L) { return divide_steps(L, false); }
static int divide_in_place(lua_State *L) { return divide_steps(L, true); }

/* gelu(x, {approximate = "none" or "tanh"}) */
static int gelu(lua_State *L) {
  static const char *const names[] = {"input", "approximate", NULL};
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  sr_arguments(L, "gelu", names);
  sr_operand x = {.tensor = sr_check_tensor(L, 1, "gelu", "input")};
  static const char *const ways[] = {"none", "tanh", NULL};
  bool by_tanh = !lua_isnil(L, 2) && sr_check_word(L, 2, "gelu", "approximate", ways) == 1;
  step(L, false, by_tanh ? "gelu_tanh" : "gelu", &x, (sr_operand){0});
  return sr_filled(L, 1);
}

/* ---- masks, fills ---------------------------------------------------------------- */

static int masked_fill(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "masked_fill", "input");
  sr_tensor *mask = sr_check_tensor(L, 2, "masked_fill", "mask");
  sr_scalar value = sr_check_scalar(L, 3, "masked_fill", "value");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_masked_fill(x, mask, value, y));
  return sr_filled(L, 1);
}

static int masked_fill_in_place(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "masked_fill_", "input");
  sr_tensor *mask = sr_check_tensor(L, 2, "masked_fill_", "mask");
  sr_raise(L, sr_masked_fill_(x, mask, sr_check_scalar(L, 3, "masked_fill_", "value")));
  lua_settop(L, 1);
  return 1;
}

static int fill(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "fill_", "input");
  sr_raise(L, sr_fill_(x, sr_check_scalar(L, 2, "fill_", "value")));
  lua_settop(L, 1);
  return 1;
}

static int zero(lua_State *L) {
  sr_raise(L, sr_fill_(sr_check_tensor(L, 1, "zero_", "input"), sr_integer(0)));
  lua_settop(L, 1);
  return 1;
}

static int copy(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  sr_tensor *x = sr_check_tensor(L, 1, "copy_", "input");
  sr_raise(L, sr_copy_(x, sr_check_tensor(L, 2, "copy_", "source")));
  lua_settop(L, 1);
  return 1;
}

/* addcmul-like shorthand: x:add(y, {alpha = 2}) is x + 2 y. */
static int add_scaled(lua_State *L, bool in_place, const char *function) {
  static const char *const names[] = {"input", "other", "alpha", NULL};
  sr_arguments(L, function, names);
  bool subtract = !strncmp(function, "sub", 3);
  sr_operand x[2];
  if (!sr_read_operand(L, 1, &x[0], function, "input") ||
      !sr_read_operand(L, 2, &x[1], function, "other"))
    return sr_call_stand_in(L);
  if (!lua_isnoneornil(L, 3)) {
    sr_operand scaled[2] = {x[1], {.number = sr_check_scalar(L, 3, function, "alpha")}};
    if (x[1].tensor) {
      sr_tensor **product = sr_push_tensor(L);
      sr_raise(L, sr_pointwise(sr_pointwise_find("mul"), scaled, NULL, product));
      x[1].tensor = *product;
    } else {
      x[1].number = sr_number(x[1].number.number * scaled[1].number.number);
    }
  }
  sr_pointwise_op op = (sr_pointwise_op)lua_tointeger(L, lua_upvalueindex(subtract ? 2 : 1));
  if (in_place) {
    sr_raise(L, sr_pointwise_(op, x, NULL));
    lua_settop(L, 1);
    return 1;
  }
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_pointwise(op, x, NULL, y));
  return sr_filled(L, 1);
}

static int add(lua_State *L) { return add_scaled(L, false, "add"); }
static int add_in_place(lua_State *L) { return add_scaled(L, true, "add_"); }
static int sub(lua_State *L) { return add_scaled(L, false, "sub"); }
static int sub_in_place(lua_State *L) { return add_scaled(L, true, "sub_"); }

/* ---- set-up --------------------------------------------------------------------------------- */

static const sr_binding functions[] = {
    {"masked_fill", masked_fill, true},
    {"masked_fill_", masked_fill_in_place, true},
    {"fill_", fill, true},
    {"zero_", zero, true},
    {"copy_", copy, true},
    {0},
};

/* Set core[name] and methods[name] (below it) to the closure on top. */
static void register_closure(lua_State *L, const char *name) {
  lua_pushvalue(L, -1);
  lua_setfield(L, -4, name);
  lua_setfield(L, -2, name);
}

static void register_call(lua_State *L, sr_pointwise_op op, const char *name,
                          lua_CFunction function) {
  lua_pushinteger(L, op);
  lua_pushstring(L, name);
  lua_pushcclosure(L, function, 2);
  register_closure(L, name);
}

static void register_operation(lua_State *L, sr_pointwise_op op) {
  const sr_pointwise_info *info = sr_pointwise_get(op);
  register_call(L, op, info->name, pointwise);
  char name[64];
  int size = snprintf(name, sizeof name, "%s_", info->name);
  if (info->in_place && size > 0 && (size_t)size < sizeof name)
    register_call(L, op, name, pointwise_in_place);
}

static void register_scaled(lua_State *L, const char *name, lua_CFunction function) {
  lua_pushinteger(L, sr_pointwise_find("add"));
  lua_pushinteger(L, sr_pointwise_find("sub"));
  lua_pushcclosure(L, function, 2);
  register_closure(L, name);
}

/* Another name for what is there. */
static void alias(lua_State *L, const char *name, const char *of) {
  lua_getfield(L, -1, of);
  register_closure(L, name);
}

/* The list for tests: {name, arity, parameters, differentiable, in_place, returns_bool, low,
 * high, call}, internal ones too. */
static void push_list(lua_State *L) {
  lua_newtable(L);
  for (sr_pointwise_op op = 0; op < sr_pointwise_count(); op++) {
    const sr_pointwise_info *info = sr_pointwise_get(op);
    lua_createtable(L, 0, 9);
    lua_pushstring(L, info->name);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, info->arity);
    lua_setfield(L, -2, "arity");
    lua_pushinteger(L, info->parameters);
    lua_setfield(L, -2, "parameters");
    lua_pushboolean(L, info->differentiable);
    lua_setfield(L, -2, "differentiable");
    lua_pushboolean(L, info->in_place);
    lua_setfield(L, -2, "in_place");
    lua_pushboolean(L, info->returns_bool);
    lua_setfield(L, -2, "returns_bool");
    lua_pushnumber(L, info->low);
    lua_setfield(L, -2, "low");
    lua_pushnumber(L, info->high);
    lua_setfield(L, -2, "high");
    lua_pushinteger(L, op);
    lua_pushstring(L, info->name);
    lua_pushcclosure(L, pointwise, 2);
    lua_setfield(L, -2, "call");
    lua_rawseti(L, -2, op + 1);
  }
}

void sr_bind_pointwise(lua_State *L) {
  for (sr_pointwise_op op = 0; op < sr_pointwise_count(); op++)
    if (!sr_pointwise_get(op)->internal) register_operation(L, op);
  register_scaled(L, "add", add);
  register_scaled(L, "add_", add_in_place);
  register_scaled(L, "sub", sub);
  register_scaled(L, "sub_", sub_in_place);
  register_call(L, sr_pointwise_find("clamp"), "clamp", clamp);
  register_call(L, sr_pointwise_find("clamp"), "clamp_", clamp_in_place);
  register_call(L, sr_pointwise_find("div"), "div", divide);
  register_call(L, sr_pointwise_find("div"), "div_", divide_in_place);
  register_call(L, sr_pointwise_find("gelu"), "gelu", gelu);
  alias(L, "clip", "clamp");
  alias(L, "clip_", "clamp_");
  alias(L, "absolute", "abs");
  alias(L, "absolute_", "abs_");
  alias(L, "negative", "neg");
  alias(L, "divide", "div");
  alias(L, "multiply", "mul");
  alias(L, "subtract", "sub");
  alias(L, "true_divide", "div");
  sr_register(L, functions);
  push_list(L);
  lua_setfield(L, -2, "pointwise_operations");
}
