/* bind_product.c: matrix products. */
#include "lua/binding.h"

/* Functions of two tensors come from this list. */
static const struct {
  const char *name;
  sr_status (*run)(sr_tensor *a, sr_tensor *b, sr_tensor **out);
} products[] = {
    {"matmul", sr_matmul}, {"mm", sr_mm},   {"bmm", sr_bmm},
    {"mv", sr_mv},         {"dot", sr_dot}, {"outer", sr_outer},
};

static int product(lua_State *L) {
  lua_Integer which = lua_tointeger(L, lua_upvalueindex(1));
  const char *name = products[which].name;
  sr_tensor *a = sr_check_tensor(L, 1, name, "input"), *b = sr_check_tensor(L, 2, name, "other");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, products[which].run(a, b, y));
  return sr_filled(L, 1);
}

static int linear(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  sr_tensor *x = sr_check_tensor(L, 1, "linear", "input");
  sr_tensor *weight = sr_check_tensor(L, 2, "linear", "weight");
  sr_tensor *bias = sr_optional_tensor(L, 3, "linear", "bias");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_linear(x, weight, bias, y));
  return sr_filled(L, 1);
}

/* einsum("ij,jk->ik", a, b) or einsum("ij,jk->ik", {a, b}) */
static int einsum(lua_State *L) {
  const char *equation = sr_check_string(L, 1, "einsum", "equation");
  int n = lua_gettop(L) - 1;
  if (lua_type(L, 2) != LUA_TTABLE) {
    lua_createtable(L, n, 0);
    for (int k = 1; k <= n; k++) {
      lua_pushvalue(L, k + 1);
      lua_rawseti(L, -2, k);
    }
    lua_insert(L, 2);
  }
  sr_tensor **list = sr_check_tensors(L, 2, &n, "einsum", "operands");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_einsum(equation, n, list, y));
  return sr_filled(L, 1);
}

static const sr_binding functions[] = {
    {"linear", linear, false},
    {"einsum", einsum, false},
    {0},
};

void sr_bind_product(lua_State *L) {
  sr_register(L, functions);
  for (size_t k = 0; k < sizeof products / sizeof *products; k++) {
    lua_pushinteger(L, (lua_Integer)k);
    lua_pushcclosure(L, product, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, products[k].name);
    lua_setfield(L, -2, products[k].name);
  }
}
