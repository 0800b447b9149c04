/* lua_saros.h: the way from Lua into the runtime.
 *
 * Called by src/app (the program) and by stock Lua's `require "saros"`. */
#ifndef SR_LUA_SAROS_H
#define SR_LUA_SAROS_H

#include <lua.h>

/* The only symbol that saros.so exports. Leaves the module table `saros`. */
__attribute__((visibility("default"))) int luaopen_saros(lua_State *L);

/* Enter "saros" and its embedded parts into package.preload, so that
 * require finds them wherever a script lies. Runs none of them. */
void sr_lua_preload(lua_State *L);

#endif
