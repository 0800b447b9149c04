/* stand_in.c: tables that stand for tensors: nn.utils.rnn.PackedSequence. */
#include "lua/binding.h"

bool sr_has_tensor_function(lua_State *L, int i) {
  if (luaL_getmetafield(L, i, "__tensor_function") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

int sr_call_stand_in(lua_State *L) {
  lua_Debug running;
  int arguments = lua_gettop(L);
  luaL_checkstack(L, 4, "a call with stand-ins");
  luaL_getmetafield(L, sr_is_stand_in(L, 1) ? 1 : 2, "__tensor_function");
  lua_getstack(L, 0, &running);
  lua_getinfo(L, "f", &running);
  lua_rotate(L, 1, 2);
  lua_call(L, arguments + 1, 1);
  return 1;
}
