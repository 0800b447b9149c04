/* bind_tensor.c: the tensor userdata: its life, attributes, values. */
#include <string.h>

#include "lua/binding.h"

static const char tag;           /* its address marks our userdata */
static const char metatable_key; /* its address is the registry key of the metatable */

/* ---- life --------------------------------------------------------------------------------- */

sr_tensor *sr_to_tensor(lua_State *L, int i) {
  if (lua_type(L, i) != LUA_TUSERDATA || lua_rawlen(L, i) != sizeof(sr_lua_tensor)) return NULL;
  sr_lua_tensor *u = lua_touserdata(L, i);
  return u->tag == &tag ? u->tensor : NULL;
}

sr_tensor **sr_push_tensor(lua_State *L) {
  sr_lua_tensor *u = lua_newuserdatauv(L, sizeof *u, 0);
  *u = (sr_lua_tensor){.tag = &tag};
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
  lua_setmetatable(L, -2);
  return &u->tensor;
}

/* Lua sees 56 bytes a tensor, whatever it holds, so the binding decides when to collect: a
 * step of the collector, which in generational mode takes what was made and dropped since the
 * last one, so that the memory of a small training loop is used again while it is in the
 * processor's cache. The best moment is the end of a backward pass, when the tensors of its
 * forward pass have become garbage: what a step finds alive twice gets old, and waits for a
 * full collection. So a step comes after `young_limit` bytes of new tensors if none of them
 * belongs to a graph, after PATIENCE times as many if some do, and at the end of a backward
 * pass that follows at least LEAST_PASS bytes. A step that leaves most of them alive (a data
 * set being read) doubles the limit. What got old before it was dropped is taken by a full
 * collection when the memory in use has doubled. */
enum { LEAST_YOUNG = 1 << 19, MOST_YOUNG = 64 << 20, PATIENCE = 8, LEAST_PASS = 1 << 17 };
enum { SLACK = 16 << 20, HEADER_BYTES = 256 };
static int64_t young_bytes, young_limit = LEAST_YOUNG;
static bool young_graph;
static int64_t live_after_step, live_after_full;

static void collect_step(lua_State *L) {
  bool doubled = sr_memory_stats().live_bytes > 2 * live_after_full + SLACK;
  lua_gc(L, doubled ? LUA_GCCOLLECT : LUA_GCSTEP, 0);
  int64_t live = sr_memory_stats().live_bytes, kept = live - live_after_step;
  if (kept > young_bytes / 2 && young_limit < MOST_YOUNG) young_limit *= 2;
  if (kept < young_bytes / 4 && young_limit > LEAST_YOUNG) young_limit /= 2;
  if (doubled) live_after_full = live;
  live_after_step = live;
  young_bytes = 0;
  young_graph = false;
}

int sr_filled(lua_State *L, int n) {
  for (int i = 1; i <= n; i++) {
    sr_tensor *t = sr_to_tensor(L, -i);
    if (!t) continue;
    young_bytes += HEADER_BYTES + (int64_t)sr_tensor_storage_bytes(t);
    young_graph = young_graph || (sr_requires_grad(t) && !sr_is_leaf(t));
  }
  if (young_bytes > (young_graph ? PATIENCE * young_limit : young_limit)) collect_step(L);
  return n;
}

void sr_pass_ended(lua_State *L) {
  if (young_bytes > LEAST_PASS) collect_step(L);
}

void sr_push_shared(lua_State *L, sr_tensor *t) {
  if (!t) {
    lua_pushnil(L);
    return;
  }
  sr_tensor **slot = sr_push_tensor(L);
  *slot = sr_tensor_retain(t);
}

static int tensor_gc(lua_State *L) {
  sr_lua_tensor *u = lua_touserdata(L, 1);
  sr_tensor *t = u->tensor;
  u->tensor = NULL;
  sr_tensor_release(t);
  return 0;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static int shape_tostring(lua_State *L) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '[');
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer k = 1; k <= n; k++) {
    if (k > 1) luaL_addstring(&b, ", ");
    lua_rawgeti(L, 1, k);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    luaL_addvalue(&b);
  }
  luaL_addchar(&b, ']');
  luaL_pushresult(&b);
  return 1;
}

static int shape_eq(lua_State *L) {
  bool equal = lua_type(L, 1) == LUA_TTABLE && lua_type(L, 2) == LUA_TTABLE &&
               lua_rawlen(L, 1) == lua_rawlen(L, 2);
  for (lua_Integer k = 1; equal && k <= (lua_Integer)lua_rawlen(L, 1); k++) {
    lua_rawgeti(L, 1, k);
    lua_rawgeti(L, 2, k);
    equal = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  lua_pushboolean(L, equal);
  return 1;
}

/* A list of integers that prints as [2, 3] and compares by value. */
static int push_list(lua_State *L, int n, const int64_t *values) {
  lua_createtable(L, n, 0);
  for (int k = 0; k < n; k++) {
    lua_pushinteger(L, values[k]);
    lua_rawseti(L, -2, k + 1);
  }
  if (luaL_newmetatable(L, "saros.shape")) {
    lua_pushcfunction(L, shape_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, shape_eq);
    lua_setfield(L, -2, "__eq");
  }
  lua_setmetatable(L, -2);
  return 1;
}

static int get_shape(lua_State *L, sr_tensor *t) {
  return push_list(L, sr_tensor_ndim(t), sr_tensor_sizes(t));
}
static int get_dtype(lua_State *L, sr_tensor *t) {
  lua_pushstring(L, sr_dtype_name(sr_tensor_dtype(t)));
  return 1;
}
static int get_device(lua_State *L, sr_tensor *t) {
  char name[16];
  lua_pushstring(L, sr_device_name(sr_tensor_device(t), name));
  return 1;
}
static int get_ndim(lua_State *L, sr_tensor *t) {
  lua_pushinteger(L, sr_tensor_ndim(t));
  return 1;
}
static int get_grad(lua_State *L, sr_tensor *t) {
  sr_push_shared(L, sr_grad(t));
  return 1;
}
static int get_requires_grad(lua_State *L, sr_tensor *t) {
  lua_pushboolean(L, sr_requires_grad(t));
  return 1;
}
static int get_is_leaf(lua_State *L, sr_tensor *t) {
  lua_pushboolean(L, sr_is_leaf(t));
  return 1;
}
static int get_grad_fn(lua_State *L, sr_tensor *t) {
  lua_pushstring(L, sr_grad_fn(t)); /* nil on a leaf */
  return 1;
}
static int get_is_parameter(lua_State *L, sr_tensor *t) {
  (void)t;
  lua_pushboolean(L, ((sr_lua_tensor *)lua_touserdata(L, 1))->is_parameter);
  return 1;
}
static int get_version(lua_State *L, sr_tensor *t) {
  lua_pushinteger(L, sr_tensor_version(t));
  return 1;
}
static int get_T(lua_State *L, sr_tensor *t) {
  sr_tensor **y = sr_push_tensor(L);
  int n = sr_tensor_ndim(t), dims[SR_MAX_DIMS];
  for (int d = 0; d < n; d++) dims[d] = n - 1 - d;
  sr_raise(L, sr_permute(t, n, dims, y));
  return sr_filled(L, 1);
}

static const struct {
  const char *name;
  int (*get)(lua_State *L, sr_tensor *t);
} attributes[] = {
    {"shape", get_shape},
    {"dtype", get_dtype},
    {"device", get_device},
    {"ndim", get_ndim},
    {"grad", get_grad},
    {"requires_grad", get_requires_grad},
    {"is_leaf", get_is_leaf},
    {"grad_fn", get_grad_fn},
    {"is_parameter", get_is_parameter},
    {"T", get_T},
    {"_version", get_version},
};

/* Upvalues as in tensor_index, whose tables have the known names. */
static void refuse_field(lua_State *L, const char *name) {
  enum { MOST = 512 };
  const char *known[MOST + 1];
  int n = 0;
  for (int table = 1; table <= 2; table++) {
    lua_pushnil(L);
    while (n < MOST && lua_next(L, lua_upvalueindex(table))) {
      lua_pop(L, 1);
      known[n++] = lua_tostring(L, -1); /* the table keeps it */
    }
    lua_settop(L, 2);
  }
  known[n] = NULL;
  const char *closest = sr_closest(name, known);
  if (closest)
    sr_error(L, "a tensor has no attribute or method '%s', did you mean '%s'?", name, closest);
  sr_error(L, "a tensor has no attribute or method '%s'", name);
}

/* Upvalues: methods, attributes (name -> position in the list). Methods come first:
 * they are looked up most. */
static int tensor_index(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) return sr_index_read(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL) refuse_field(L, lua_tostring(L, 2));
  sr_tensor *t = sr_check_tensor(L, 1, "index", "self");
  return attributes[lua_tointeger(L, -1)].get(L, t);
}

static int tensor_newindex(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) return sr_index_write(L);
  const char *name = lua_tostring(L, 2);
  sr_tensor *t = sr_check_tensor(L, 1, "index", "self");
  if (!strcmp(name, "grad"))
    sr_raise(L, sr_set_grad(t, sr_optional_tensor(L, 3, "grad", "value")));
  else if (!strcmp(name, "requires_grad"))
    sr_raise(L,
             sr_set_requires_grad(t, sr_optional_boolean(L, 3, false, "requires_grad", "value")));
  else if (!strcmp(name, "is_parameter"))
    ((sr_lua_tensor *)lua_touserdata(L, 1))->is_parameter = lua_toboolean(L, 3);
  else
    sr_error(L, "a tensor's attribute '%s' cannot be set (grad and requires_grad can)", name);
  return 0;
}

/* ---- values -------------------------------------------------------------------------- */

static int push_scalar(lua_State *L, const sr_tensor *t, sr_scalar value) {
  if (sr_tensor_dtype(t) == SR_bool)
    lua_pushboolean(L, value.integer != 0);
  else if (value.is_integer)
    lua_pushinteger(L, value.integer);
  else
    lua_pushnumber(L, value.number);
  return 1;
}

static int tensor_item(lua_State *L) {
  sr_tensor *t = sr_check_tensor(L, 1, "item", "self");
  sr_scalar value;
  sr_raise(L, sr_tensor_item(t, &value));
  return push_scalar(L, t, value);
}

static void push_element(lua_State *L, sr_dtype dtype, const char *value) {
  switch (dtype) {
    case SR_float32: lua_pushnumber(L, *(const float *)value); break;
    case SR_float64: lua_pushnumber(L, *(const double *)value); break;
    case SR_int64: lua_pushinteger(L, *(const int64_t *)value); break;
    default: lua_pushboolean(L, *(const uint8_t *)value); break;
  }
}

/* Nested tables, row by row; `values` moves on. At most SR_MAX_DIMS deep. */
static void push_nested(lua_State *L, const sr_tensor *t, int d, const char **values) {
  sr_dtype dtype = sr_tensor_dtype(t);
  if (d == sr_tensor_ndim(t)) {
    push_element(L, dtype, *values);
    *values += sr_dtype_bytes(dtype);
    return;
  }
  int64_t n = sr_tensor_sizes(t)[d];
  lua_createtable(L, n < 1 << 20 ? (int)n : 0, 0);
  for (int64_t i = 1; i <= n; i++) {
    push_nested(L, t, d + 1, values);
    lua_rawseti(L, -2, i);
  }
}

static int tensor_totable(lua_State *L) {
  sr_tensor *t = sr_check_tensor(L, 1, "totable", "self");
  luaL_checkstack(L, SR_MAX_DIMS + 4, "totable");
  size_t bytes = (size_t)sr_tensor_numel(t) * sr_dtype_bytes(sr_tensor_dtype(t));
  char *values = lua_newuserdatauv(L, bytes + 1, 0);
  sr_raise(L, sr_tensor_read(t, values));
  const char *at = values;
  push_nested(L, t, 0, &at);
  return 1;
}

static int text_gc(lua_State *L) {
  sr_text_free(lua_touserdata(L, 1));
  return 0;
}

static int tensor_tostring(lua_State *L) {
  sr_tensor *t = sr_to_tensor(L, 1);
  if (!t) {
    lua_pushliteral(L, "tensor (released)");
    return 1;
  }
  sr_text *text = lua_newuserdatauv(L, sizeof *text, 0); /* freed by its __gc */
  *text = (sr_text){0};
  if (luaL_newmetatable(L, "saros.text")) {
    lua_pushcfunction(L, text_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  sr_raise(L, sr_tensor_format(t, &sr_print_defaults, text));
  lua_pushlstring(L, text->bytes, text->size);
  sr_text_free(text);
  return 1;
}

static int tensor_concat(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

static int tensor_len(lua_State *L) {
  sr_tensor *t = sr_check_tensor(L, 1, "#", "self");
  if (sr_tensor_ndim(t) == 0) sr_error(L, "#: a 0-dimensional tensor has no length");
  lua_pushinteger(L, sr_tensor_sizes(t)[0]);
  return 1;
}

static int tensor_size(lua_State *L) {
  sr_tensor *t = sr_check_tensor(L, 1, "size", "self");
  if (lua_isnoneornil(L, 2)) return get_shape(L, t);
  int d = sr_check_dim(L, 2, "size", "dim"), n = sr_tensor_ndim(t);
  if (d >= n || d < -n)
    sr_error(L, "size: dimension %lld of a %d-dimensional tensor", (long long)lua_tointeger(L, 2),
             n);
  lua_pushinteger(L, sr_tensor_sizes(t)[d < 0 ? d + n : d]);
  return 1;
}

static int tensor_stride(lua_State *L) {
  sr_tensor *t = sr_check_tensor(L, 1, "stride", "self");
  return push_list(L, sr_tensor_ndim(t), sr_tensor_strides(t));
}

static int tensor_dim(lua_State *L) { return get_ndim(L, sr_check_tensor(L, 1, "dim", "self")); }

static int tensor_numel(lua_State *L) {
  lua_pushinteger(L, sr_tensor_numel(sr_check_tensor(L, 1, "numel", "self")));
  return 1;
}

static int tensor_is_contiguous(lua_State *L) {
  lua_pushboolean(L, sr_tensor_is_contiguous(sr_check_tensor(L, 1, "is_contiguous", "self")));
  return 1;
}

static int tensor_is_floating_point(lua_State *L) {
  sr_tensor *t = sr_check_tensor(L, 1, "is_floating_point", "self");
  lua_pushboolean(L, sr_dtype_is_floating(sr_tensor_dtype(t)));
  return 1;
}

static int is_tensor(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, sr_to_tensor(L, 1) != NULL);
  return 1;
}

/* for i, row in x:rows() do */
static int next_row(lua_State *L) {
  sr_tensor *t = sr_check_tensor(L, 1, "rows", "self");
  lua_Integer i = luaL_checkinteger(L, 2);
  if (i >= sr_tensor_sizes(t)[0]) return 0;
  lua_pushinteger(L, i + 1);
  sr_tensor **row = sr_push_tensor(L);
  sr_raise(L, sr_select(t, 0, i, row));
  sr_filled(L, 1);
  return 2;
}

static int tensor_rows(lua_State *L) {
  sr_tensor *t = sr_check_tensor(L, 1, "rows", "self");
  if (sr_tensor_ndim(t) == 0) sr_error(L, "rows: a 0-dimensional tensor has no rows");
  lua_pushcfunction(L, next_row);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

/* ---- set-up -------------------------------------------------------------------------- */

static const sr_binding functions[] = {
    {"item", tensor_item, true},
    {"totable", tensor_totable, true},
    {"tolist", tensor_totable, true},
    {"size", tensor_size, true},
    {"stride", tensor_stride, true},
    {"dim", tensor_dim, true},
    {"ndimension", tensor_dim, true},
    {"numel", tensor_numel, true},
    {"nelement", tensor_numel, true},
    {"is_contiguous", tensor_is_contiguous, true},
    {"is_floating_point", tensor_is_floating_point, true},
    {"rows", tensor_rows, true},
    {"is_tensor", is_tensor, false},
    {0},
};

void sr_register(lua_State *L, const sr_binding *list) {
  for (; list->name; list++) {
    lua_pushcfunction(L, list->function);
    if (list->method) {
      lua_pushvalue(L, -1);
      lua_setfield(L, -4, list->name);
    }
    lua_setfield(L, -2, list->name);
  }
}

static void push_attributes(lua_State *L) {
  lua_newtable(L);
  for (size_t k = 0; k < sizeof attributes / sizeof *attributes; k++) {
    lua_pushinteger(L, (lua_Integer)k);
    lua_setfield(L, -2, attributes[k].name);
  }
}

void sr_bind_tensor(lua_State *L) {
  sr_register(L, functions);
  int methods = lua_gettop(L) - 1;
  lua_newtable(L); /* the metatable */
  lua_pushvalue(L, methods);
  push_attributes(L);
  lua_pushcclosure(L, tensor_index, 2);
  lua_setfield(L, -2, "__index");
  static const luaL_Reg events[] = {{"__newindex", tensor_newindex},
                                    {"__gc", tensor_gc},
                                    {"__close", tensor_gc},
                                    {"__tostring", tensor_tostring},
                                    {"__concat", tensor_concat},
                                    {"__len", tensor_len},
                                    {NULL, NULL}};
  luaL_setfuncs(L, events, 0);
  sr_bind_operators(L);
  lua_pushliteral(L, "tensor");
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "tensor");
  lua_setfield(L, -2, "__metatable"); /* a script cannot take it apart */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}
