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

void sr_raise(lua_State *L, sr_status status) {
  if (status) raise(L, sr_message());
}

void sr_raise_in(lua_State *L, sr_status status, const char *function) {
  if (!status) return;
  size_t n = strlen(function);
  const char *message = sr_message();
  if (!strncmp(message, function, n)) raise(L, message);
  sr_error(L, "%s: %s", function, message);
}

int sr_error(lua_State *L, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return raise(L, text);
}
