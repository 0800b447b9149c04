/* core.c: the module saros.core, and how the embedded library is found. */
#include "lua/binding.h"
#include "lua/embedded.h"
#include "lua/lua_saros.h"

/* Before memory is refused: drop what no script can reach. */
static void collect(void *L) { lua_gc(L, LUA_GCCOLLECT); }

static int forget_state(lua_State *L) {
  (void)L;
  sr_memory_on_pressure(NULL, NULL);
  return 0;
}

/* For as long as this state lives: a userdata in its registry ends it. */
static void collect_under_pressure(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main_thread = lua_tothread(L, -1);
  lua_newuserdatauv(L, 0, 0);
  lua_newtable(L);
  lua_pushcfunction(L, forget_state);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  luaL_ref(L, LUA_REGISTRYINDEX);
  sr_memory_on_pressure(collect, main_thread);
}

/* library_sources(): {module = text} of the embedded library, for its documentation. */
static int library_sources(lua_State *L) {
  lua_newtable(L);
  for (const sr_embedded *module = sr_embedded_modules; module->name; module++) {
    lua_pushlstring(L, module->source, module->size);
    lua_setfield(L, -2, module->name);
  }
  return 1;
}

static int open_core(lua_State *L) {
  sr_raise(L, sr_start());
  collect_under_pressure(L);
  lua_settop(L, 0);
  lua_newtable(L); /* methods */
  lua_newtable(L); /* core */
  sr_bind_tensor(L);
  sr_bind_create(L);
  sr_bind_pointwise(L);
  sr_bind_reduce(L);
  sr_bind_shape(L);
  sr_bind_join(L);
  sr_bind_convert(L);
  sr_bind_index(L);
  sr_bind_product(L);
  sr_bind_network(L);
  sr_bind_packing(L);
  sr_bind_optimizer(L);
  sr_bind_random(L);
  sr_bind_autograd(L);
  sr_bind_files(L);
  sr_bind_text(L);
  sr_bind_system(L);
  lua_pushcfunction(L, library_sources);
  lua_setfield(L, -2, "library_sources");
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "methods"); /* the library adds to them */
  return 1;
}

/* package.preload function of an embedded module: upvalue 1 is its entry. */
static int open_embedded(lua_State *L) {
  const sr_embedded *module = lua_touserdata(L, lua_upvalueindex(1));
  char chunk[128];
  const char *name = module->name;
  size_t n = 0;
  chunk[n++] = '='; /* "=saros/nn/rnn": errors.c knows the library by it */
  for (; *name && n < sizeof chunk - 6; name++) chunk[n++] = *name == '.' ? '/' : *name;
  if (n == sizeof "=saros" - 1) {
    for (const char *rest = "/init"; *rest; rest++) chunk[n++] = *rest;
  }
  chunk[n] = '\0';
  if (luaL_loadbufferx(L, module->source, module->size, chunk, "t")) return lua_error(L);
  lua_pushstring(L, module->name);
  lua_call(L, 1, 1);
  return 1;
}

void sr_lua_preload(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_core);
  lua_setfield(L, -2, "saros.core");
  for (const sr_embedded *module = sr_embedded_modules; module->name; module++) {
    lua_pushlightuserdata(L, (void *)module);
    lua_pushcclosure(L, open_embedded, 1);
    lua_setfield(L, -2, module->name);
  }
  lua_pop(L, 1);
}

/* Stock Lua's require "saros": enter everything, then run the module's own chunk. */
int luaopen_saros(lua_State *L) {
  sr_lua_preload(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_getfield(L, -1, "saros");
  lua_pushliteral(L, "saros");
  lua_call(L, 1, 1);
  return 1;
}
