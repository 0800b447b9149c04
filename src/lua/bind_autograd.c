/* bind_autograd.c: backward, grad, no_grad and what belongs to leaves. */
#include "lua/binding.h"

/* x:backward(gradient, {retain_graph = true}) */
static int backward(lua_State *L) {
  static const char *const names[] = {"input", "gradient", "retain_graph", NULL};
  sr_arguments(L, "backward", names);
  sr_tensor *x = sr_check_tensor(L, 1, "backward", "input");
  sr_tensor *gradient = sr_optional_tensor(L, 2, "backward", "gradient");
  bool retain = sr_optional_boolean(L, 3, false, "backward", "retain_graph");
  sr_raise(L, sr_backward(x, gradient, retain));
  sr_pass_ended(L);
  return 0;
}

/* Make a list of one of a single tensor at i. */
static void as_list(lua_State *L, int i) {
  if (!sr_to_tensor(L, i)) return;
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, i);
  lua_rawseti(L, -2, 1);
  lua_replace(L, i);
}

/* The gradients given for the outputs, NULL where nil or false; in a userdata on the stack. */
static sr_tensor **check_gradients(lua_State *L, int i, int n) {
  if (lua_isnil(L, i)) return NULL;
  as_list(L, i);
  if (lua_type(L, i) != LUA_TTABLE)
    sr_error(L, "grad: argument 'grad_outputs' must be a tensor or a list, got %s",
             luaL_typename(L, i));
  sr_tensor **list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    list[k] = lua_toboolean(L, -1) ? sr_check_tensor(L, -1, "grad", "grad_outputs") : NULL;
    lua_pop(L, 1);
  }
  return list;
}

/* grad(outputs, inputs, grad_outputs, {retain_graph, allow_unused}) -> one result per input */
static int grad(lua_State *L) {
  static const char *const names[] = {"outputs",      "inputs",       "grad_outputs",
                                      "retain_graph", "allow_unused", NULL};
  sr_arguments(L, "grad", names);
  bool retain = sr_optional_boolean(L, 4, false, "grad", "retain_graph");
  bool unused = sr_optional_boolean(L, 5, false, "grad", "allow_unused");
  int n_outputs, n_inputs;
  as_list(L, 1);
  as_list(L, 2);
  sr_tensor **outputs = sr_check_tensors(L, 1, &n_outputs, "grad", "outputs");
  sr_tensor **inputs = sr_check_tensors(L, 2, &n_inputs, "grad", "inputs");
  sr_tensor **gradients = check_gradients(L, 3, n_outputs);
  luaL_checkstack(L, n_inputs + 4, "grad");
  sr_tensor **found = lua_newuserdatauv(L, ((size_t)n_inputs + 1) * sizeof *found, 0);
  /* Where the results will go is made first, so that nothing can fail while we own them. */
  int first = lua_gettop(L) + 1;
  for (int k = 0; k < n_inputs; k++) sr_push_tensor(L);
  sr_raise(L, sr_gradients(n_outputs, outputs, gradients, n_inputs, inputs, retain, unused, found));
  for (int k = 0; k < n_inputs; k++) {
    ((sr_lua_tensor *)lua_touserdata(L, first + k))->tensor = found[k];
    if (found[k]) continue;
    lua_pushnil(L);
    lua_replace(L, first + k);
  }
  return sr_filled(L, n_inputs);
}

static int detach(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "detach", "input");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_detach(x, y));
  return sr_filled(L, 1);
}

static int detach_in_place(lua_State *L) {
  sr_raise(L, sr_detach_(sr_check_tensor(L, 1, "detach_", "input")));
  lua_settop(L, 1);
  return 1;
}

static int requires_grad(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "requires_grad_", "input");
  sr_raise(L, sr_set_requires_grad(
                  x, sr_optional_boolean(L, 2, true, "requires_grad_", "requires_grad")));
  lua_settop(L, 1);
  return 1;
}

static int retain_grad(lua_State *L) {
  sr_raise(L, sr_retain_grad(sr_check_tensor(L, 1, "retain_grad", "input")));
  return 0;
}

static int is_grad_enabled(lua_State *L) {
  lua_pushboolean(L, sr_grad_enabled());
  return 1;
}

static int set_grad_enabled(lua_State *L) {
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  lua_pushboolean(L, sr_set_grad_enabled(lua_toboolean(L, 1)));
  return 1;
}

static int set_detect_anomaly(lua_State *L) {
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  sr_set_detect_anomaly(lua_toboolean(L, 1));
  return 0;
}

/* ---- no_grad(f, ...) and local _ <close> = no_grad() ----------------------------------------- */

/* The guard remembers the mode to go back to: 0, 1, or -1 when that is done. */
static int guard_close(lua_State *L) {
  int *before = lua_touserdata(L, 1);
  if (*before >= 0) sr_set_grad_enabled(*before);
  *before = -1;
  return 0;
}

static void push_guard(lua_State *L, bool mode) {
  int *before = lua_newuserdatauv(L, sizeof *before, 0);
  *before = -1;
  if (luaL_newmetatable(L, "saros.grad_mode")) {
    lua_pushcfunction(L, guard_close);
    lua_setfield(L, -2, "__close");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
  *before = sr_set_grad_enabled(mode);
}

/* The guard is at 1: closed when this function returns, or by an error on its way up. */
static int call_done(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L) - 1;
}

/* Call the function at 1 with the other arguments in the given mode. */
static int call_in_mode(lua_State *L, bool mode) {
  if (!lua_isnone(L, 1) && lua_type(L, 1) != LUA_TFUNCTION)
    sr_error(L, "%s: a function is expected, got %s (or use it as: local _ <close> = saros.%s())",
             mode ? "enable_grad" : "no_grad", luaL_typename(L, 1),
             mode ? "enable_grad" : "no_grad");
  push_guard(L, mode);
  if (lua_gettop(L) == 1) return 1;
  lua_insert(L, 1);
  lua_toclose(L, 1);
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, call_done);
  return call_done(L, LUA_OK, 0);
}

static int no_grad(lua_State *L) { return call_in_mode(L, false); }
static int enable_grad(lua_State *L) { return call_in_mode(L, true); }

static const sr_binding functions[] = {
    {"backward", backward, true},
    {"grad", grad, false},
    {"detach", detach, true},
    {"detach_", detach_in_place, true},
    {"requires_grad_", requires_grad, true},
    {"retain_grad", retain_grad, true},
    {"no_grad", no_grad, false},
    {"enable_grad", enable_grad, false},
    {"is_grad_enabled", is_grad_enabled, false},
    {"set_grad_enabled", set_grad_enabled, false},
    {"set_detect_anomaly", set_detect_anomaly, false},
    {0},
};

void sr_bind_autograd(lua_State *L) { sr_register(L, functions); }
