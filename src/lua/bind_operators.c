/* bind_operators.c: a + b, -a, a < b and their like. */
#include "lua/binding.h"

/* Upvalues: the operation, its name. */
static int operator_binary(lua_State *L) {
  const char *name = lua_tostring(L, lua_upvalueindex(2));
  sr_operand x[2];
  if (!sr_read_operand(L, 1, &x[0], name, "a") || !sr_read_operand(L, 2, &x[1], name, "b"))
    return sr_call_stand_in(L);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_pointwise((sr_pointwise_op)lua_tointeger(L, lua_upvalueindex(1)), x, NULL, y));
  return sr_filled(L, 1);
}

/* Lua makes the result of < and <= a boolean, so they are for single values. */
static int operator_order(lua_State *L) {
  const char *symbol = lua_tostring(L, lua_upvalueindex(2));
  for (int i = 1; i <= 2; i++) {
    sr_tensor *t = sr_to_tensor(L, i);
    if (t && sr_tensor_numel(t) != 1)
      sr_error(L, "%s: Lua can compare single values only: use a:lt(b), a:le(b), a:gt(b), a:ge(b)",
               symbol);
  }
  double a = sr_check_scalar(L, 1, symbol, "a").number,
         b = sr_check_scalar(L, 2, symbol, "b").number;
  lua_pushboolean(L, lua_toboolean(L, lua_upvalueindex(1)) ? a <= b : a < b);
  return 1;
}

/* a == b of two tensors (Lua asks only for two userdata): a boolean, so single values. */
static int operator_equal(lua_State *L) {
  sr_tensor *a = sr_to_tensor(L, 1), *b = sr_to_tensor(L, 2);
  bool equal = false;
  if (a && b) {
    if (sr_tensor_numel(a) != 1 || sr_tensor_numel(b) != 1)
      sr_error(L, "==: Lua can compare single values only: use a:eq(b), and rawequal for identity");
    sr_scalar x = sr_check_scalar(L, 1, "==", "a"), y = sr_check_scalar(L, 2, "==", "b");
    equal = x.is_integer && y.is_integer ? x.integer == y.integer : x.number == y.number;
  }
  lua_pushboolean(L, equal);
  return 1;
}

static void set_operator(lua_State *L, const char *event, const char *operation) {
  lua_pushinteger(L, sr_pointwise_find(operation));
  lua_pushstring(L, operation);
  lua_pushcclosure(L, operator_binary, 2);
  lua_setfield(L, -2, event);
}

static void set_order(lua_State *L, const char *event, const char *symbol, bool or_equal) {
  lua_pushboolean(L, or_equal);
  lua_pushstring(L, symbol);
  lua_pushcclosure(L, operator_order, 2);
  lua_setfield(L, -2, event);
}

void sr_bind_operators(lua_State *L) {
  set_operator(L, "__add", "add");
  set_operator(L, "__sub", "sub");
  set_operator(L, "__mul", "mul");
  set_operator(L, "__div", "div");
  set_operator(L, "__pow", "pow");
  set_operator(L, "__mod", "remainder");
  set_operator(L, "__idiv", "floor_divide");
  set_order(L, "__lt", "<", false);
  set_order(L, "__le", "<=", true);
  lua_pushinteger(L, sr_pointwise_find("neg"));
  lua_pushliteral(L, "neg");
  lua_pushcclosure(L, operator_binary, 2); /* Lua passes the operand twice; neg reads the first */
  lua_setfield(L, -2, "__unm");
  lua_pushcfunction(L, operator_equal);
  lua_setfield(L, -2, "__eq");
}
