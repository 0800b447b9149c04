/* bind_optimizer.c: optimizer steps and clipping, for saros.optim and nn.utils. */
#include "lua/binding.h"

/* ---- steps ---------------------------------------------------------------------------- */

static const sr_optimizer_info *check_optimizer(lua_State *L, const char *function,
                                                sr_optimizer *optimizer) {
  const char *name = sr_check_string(L, 1, function, "name");
  *optimizer = sr_optimizer_find(name);
  if (*optimizer < 0) sr_error(L, "%s: there is no optimizer '%s'", function, name);
  return sr_optimizer_get(*optimizer);
}

/* optimizer_states(name) -> names of the tensors that it keeps for each parameter */
static int optimizer_states(lua_State *L) {
  sr_optimizer optimizer;
  const sr_optimizer_info *info = check_optimizer(L, "optimizer_states", &optimizer);
  lua_createtable(L, info->states, 0);
  for (int i = 0; i < info->states; i++) {
    lua_pushstring(L, info->state[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* The number under a name in the table at 5. */
static double number_field(lua_State *L, const char *name, double otherwise) {
  lua_getfield(L, 5, name);
  double value = sr_optional_number(L, -1, otherwise, "optimizer_step", name);
  lua_pop(L, 1);
  return value;
}

static bool boolean_field(lua_State *L, const char *name) {
  lua_getfield(L, 5, name);
  bool value = sr_optional_boolean(L, -1, false, "optimizer_step", name);
  lua_pop(L, 1);
  return value;
}

/* optimizer_step(name, parameter, grad, state, numbers): state has the tensors of
 * optimizer_states by name, numbers those of sr_optimizer_numbers */
static int optimizer_step(lua_State *L) {
  static const char f[] = "optimizer_step";
  sr_optimizer optimizer;
  const sr_optimizer_info *info = check_optimizer(L, f, &optimizer);
  sr_tensor *p = sr_check_tensor(L, 2, f, "parameter"), *g = sr_check_tensor(L, 3, f, "grad");
  luaL_checktype(L, 4, LUA_TTABLE);
  luaL_checktype(L, 5, LUA_TTABLE);
  sr_tensor *state[SR_OPTIMIZER_STATES];
  for (int i = 0; i < info->states; i++) { /* the table at 4 keeps them alive */
    lua_getfield(L, 4, info->state[i]);
    state[i] = sr_check_tensor(L, -1, f, info->state[i]);
    lua_pop(L, 1);
  }
  sr_optimizer_numbers numbers = {.maximize = boolean_field(L, "maximize")};
#define X(name, otherwise) numbers.name = number_field(L, #name, otherwise);
  SR_OPTIMIZER_NUMBERS(X)
#undef X
  sr_raise(L, sr_optimizer_step(optimizer, p, g, state, &numbers));
  return 0;
}

/* ---- clipping ------------------------------------------------------------------------- */

static int clip_grad_norm(lua_State *L) {
  int n;
  double max_norm = sr_check_number(L, 2, "clip_grad_norm_", "max_norm");
  double type = sr_optional_number(L, 3, 2, "clip_grad_norm_", "norm_type"), norm;
  sr_tensor **grads = sr_check_tensors(L, 1, &n, "clip_grad_norm_", "parameters");
  sr_raise(L, sr_clip_grad_norm(n, grads, max_norm, type, &norm));
  lua_pushnumber(L, norm);
  return 1;
}

static int clip_grad_value(lua_State *L) {
  int n;
  double limit = sr_check_number(L, 2, "clip_grad_value_", "clip_value");
  sr_tensor **grads = sr_check_tensors(L, 1, &n, "clip_grad_value_", "parameters");
  sr_raise(L, sr_clip_grad_value(n, grads, limit));
  return 0;
}

static const sr_binding functions[] = {
    {"optimizer_states", optimizer_states, false},
    {"optimizer_step", optimizer_step, false},
    {"clip_grad_norm", clip_grad_norm, false},
    {"clip_grad_value", clip_grad_value, false},
    {0},
};

void sr_bind_optimizer(lua_State *L) { sr_register(L, functions); }
