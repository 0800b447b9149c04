/* errors.c: raising errors at the user's line. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lua/binding.h"

/* Chunks of the embedded library are named "=saros/...". */
static bool of_library(const lua_Debug *frame) { return !strncmp(frame->source, "=saros/", 7); }

/* Push "script.lua:12: " for the innermost Lua function that is not of the library. */
static void push_where(lua_State *L) {
  lua_Debug frame;
  for (int level = 1; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    if (frame.currentline > 0 && !of_library(&frame)) {
      lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
      return;
    }
  }
  lua_pushliteral(L, "");
}

static int raise(lua_State *L, const char *text) {
  push_where(L);
  lua_pushstring(L, text);
  lua_concat(L, 2);
  return lua_error(L);
}

/* ---- naming the function ---------------------------------------------------------------- */

/* Push the table of our functions that a script can name: saros.core, or its methods. */
static bool push_names(lua_State *L, bool methods) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "saros.core") != LUA_TTABLE) return false; /* being opened */
  return !methods || lua_getfield(L, -1, "methods") == LUA_TTABLE;
}

/* The name in the table on top whose value is the function at index `function`: `wanted` if it
 * is that one's (several may be), or else the first in the alphabet; it stays on the stack. */
static const char *name_in_table(lua_State *L, int function, const char *wanted) {
  int table = lua_gettop(L);
  if (wanted) {
    lua_getfield(L, table, wanted);
    if (lua_rawequal(L, -1, function)) return wanted;
  }
  const char *found = NULL;
  lua_settop(L, table);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_rawequal(L, -1, function)) continue;
    const char *name = lua_tostring(L, -2); /* the table keeps it */
    if (!found || strcmp(name, found) < 0) found = name;
  }
  return found;
}

/* How a script calls the C function that is running: "add_"; "index" for x[i] and assignments to
 * it; NULL if it does not know. *how: what it may say in place of the name in a message. */
typedef enum { ANYTHING, FUNCTIONS, NOTHING } replacing;

static const char *running_metamethod(lua_State *L, const lua_Debug *frame, replacing *how) {
  if (strcmp(frame->namewhat, "metamethod") != 0) return NULL;
  bool indexes = !strcmp(frame->name, "index") || !strcmp(frame->name, "newindex");
  *how = indexes ? ANYTHING : NOTHING;
  if (!indexes) return frame->name;
  return lua_type(L, 2) == LUA_TSTRING ? NULL : "index"; /* an attribute, such as x.grad */
}

static const char *running_function(lua_State *L, replacing *how) {
  lua_Debug frame;
  const char *name = NULL;
  if (!lua_getstack(L, 0, &frame)) return NULL;
  lua_getinfo(L, "fn", &frame);
  int function = lua_gettop(L);
  for (int methods = 0; !name && methods <= 1; methods++)
    if (push_names(L, methods)) name = name_in_table(L, function, frame.name);
  lua_settop(L, function - 1);
  *how = FUNCTIONS;
  return name ? name : running_metamethod(L, &frame, how);
}

/* "matmul: " or "LSTM: " at the start of a message: the length of the name, or 0. */
static size_t prefix_of(const char *message) {
  static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
  size_t n = strspn(message, name);
  return n && message[n] == ':' && message[n + 1] == ' ' ? n : 0;
}

static bool names_a_function(lua_State *L, const char *name, size_t size) {
  int top = lua_gettop(L);
  lua_pushlstring(L, name, size);
  bool found = push_names(L, false) && lua_getfield(L, -1, lua_tostring(L, top + 1)) != LUA_TNIL;
  lua_settop(L, top);
  return found;
}

/* A message of the runtime speaks of the operation that failed. Where that was a part of what
 * the script called (amax of max, matmul of einsum, add of add_), or no operation is named, it
 * is to speak of what the script called. */
void sr_raise(lua_State *L, sr_status status) {
  if (!status) return;
  luaL_checkstack(L, 12, NULL);
  replacing how = NOTHING;
  char message[1024];
  snprintf(message, sizeof message, "%s", sr_message());
  const char *name = running_function(L, &how);
  size_t prefix = prefix_of(message);
  bool replaces = how == ANYTHING || (how == FUNCTIONS && names_a_function(L, message, prefix));
  if (!name || (prefix && !replaces)) raise(L, message);
  lua_pushfstring(L, "%s: %s", name, message + (prefix ? prefix + 2 : 0));
  raise(L, lua_tostring(L, -1));
}

int sr_error(lua_State *L, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return raise(L, text);
}
