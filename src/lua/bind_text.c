/* bind_text.c: core.utf8, Unicode text for scripts.
 *
 * Strings are bytes, as everywhere in Lua; positions are byte positions from 1. What is
 * not UTF-8 is refused with the position of its first wrong byte. */
#include <string.h>

#include "lua/binding.h"

/* ---- results ---------------------------------------------------------------------------- */

static int free_text(lua_State *L) {
  sr_text_free(lua_touserdata(L, 1));
  return 0;
}

/* Push the one text that results pass through, empty: it owns their bytes, so that nothing
 * leaks where Lua has no memory for the string. */
static sr_text *push_owner(lua_State *L) {
  static const char key = 0;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TUSERDATA) {
    sr_text *text = lua_touserdata(L, -1);
    sr_text_free(text);
    return text;
  }
  lua_pop(L, 1);
  sr_text *text = lua_newuserdatauv(L, sizeof *text, 0);
  *text = (sr_text){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, free_text);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  return text;
}

/* Push the text's bytes and give back its memory. */
static int push_text(lua_State *L, sr_text *text) {
  lua_pushlstring(L, text->bytes ? text->bytes : "", text->size);
  sr_text_free(text);
  return 1;
}

/* ---- arguments -------------------------------------------------------------------------- */

static const char *check_text(lua_State *L, int i, size_t *size, const char *function) {
  sr_check_string(L, i, function, "s");
  return lua_tolstring(L, i, size);
}

/* Raise the error of the first wrong byte at or after `at`, if there is one. */
static void check_valid(lua_State *L, const char *s, size_t size, size_t at, const char *function) {
  int32_t c;
  while (at < size && sr_utf8_next(s, size, &at, &c) == SR_OK) continue;
  if (at < size)
    sr_error(L, "%s: invalid UTF-8 at byte %llu (0x%02x)", function, (unsigned long long)at + 1,
             (unsigned)(unsigned char)s[at]);
}

/* Raise the error of a failed call: about the text if that is invalid. */
static void raise_text(lua_State *L, sr_status status, const char *s, size_t size, size_t at,
                       const char *function) {
  if (status == SR_ARGUMENT) check_valid(L, s, size, at, function);
  sr_raise(L, status);
}

static sr_normal_form check_form(lua_State *L, int i) {
  static const char *const names[] = {"NFC", "NFD", "NFKC", "NFKD", NULL};
  return (sr_normal_form)sr_check_word(L, i, "normalize", "form", names);
}

/* A byte position 1 .. size + 1 as an offset from 0. */
static size_t check_position(lua_State *L, int i, size_t size, const char *function) {
  int64_t position = sr_optional_integer(L, i, 1, function, "i");
  if (position < 1 || (uint64_t)position > size + 1)
    sr_error(L, "%s: position %lld is outside of a string of %llu bytes", function,
             (long long)position, (unsigned long long)size);
  return (size_t)position - 1;
}

/* ---- functions -------------------------------------------------------------------------- */

/* normalize(s, form) -> string */
static int normalize(lua_State *L) {
  static const char *const names[] = {"s", "form", NULL};
  sr_arguments(L, "normalize", names);
  size_t size;
  const char *s = check_text(L, 1, &size, "normalize");
  sr_normal_form form = check_form(L, 2);
  sr_text *text = push_owner(L);
  raise_text(L, sr_utf8_normalize(s, size, form, text), s, size, 0, "normalize");
  return push_text(L, text);
}

static int map_text(lua_State *L, const char *function,
                    sr_status (*map)(const char *s, size_t size, sr_text *out)) {
  static const char *const names[] = {"s", NULL};
  sr_arguments(L, function, names);
  size_t size;
  const char *s = check_text(L, 1, &size, function);
  sr_text *text = push_owner(L);
  raise_text(L, map(s, size, text), s, size, 0, function);
  return push_text(L, text);
}

/* lower(s), casefold(s), strip_marks(s) -> string */
static int lower(lua_State *L) { return map_text(L, "lower", sr_utf8_lower); }
static int casefold(lua_State *L) { return map_text(L, "casefold", sr_utf8_casefold); }
static int strip_marks(lua_State *L) { return map_text(L, "strip_marks", sr_utf8_strip_marks); }

/* The only character of the string at i. */
static int32_t check_character(lua_State *L, int i, const char *function) {
  size_t size, at = 0;
  int32_t c = 0;
  const char *s = lua_tolstring(L, i, &size);
  check_valid(L, s, size, 0, function);
  if (!size || sr_utf8_next(s, size, &at, &c) || at < size)
    sr_error(L, "%s: one character is needed, got a string of %llu bytes", function,
             (unsigned long long)size);
  return c;
}

static int32_t check_code_point(lua_State *L, int i, const char *function) {
  if (lua_type(L, i) == LUA_TSTRING) return check_character(L, i, function);
  int64_t c = sr_check_integer(L, i, function, "character");
  if (c < 0 || c > 0x10FFFF)
    sr_error(L, "%s: %lld is no code point (0 .. 0x10FFFF)", function, (long long)c);
  return (int32_t)c;
}

/* category(code point or character) -> "Lu", "Mn", ... */
static int category(lua_State *L) {
  static const char *const names[] = {"character", NULL};
  sr_arguments(L, "category", names);
  lua_pushstring(L, sr_utf8_category(check_code_point(L, 1, "category")));
  return 1;
}

static const char *const position_names[] = {"s", "i", NULL};

/* next(s, i) -> code point, position of the next one; nil at the end */
static int next(lua_State *L) {
  sr_arguments(L, "next", position_names);
  size_t size;
  const char *s = check_text(L, 1, &size, "next");
  size_t start = check_position(L, 2, size, "next"), at = start;
  int32_t c;
  lua_pushnil(L);
  if (at == size) return 1;
  raise_text(L, sr_utf8_next(s, size, &at, &c), s, size, start, "next");
  lua_pushinteger(L, c);
  lua_pushinteger(L, (lua_Integer)at + 1);
  return 2;
}

/* next_grapheme(s, i) -> position behind the grapheme cluster at i; nil at the end */
static int next_grapheme(lua_State *L) {
  sr_arguments(L, "next_grapheme", position_names);
  size_t size;
  const char *s = check_text(L, 1, &size, "next_grapheme");
  size_t start = check_position(L, 2, size, "next_grapheme"), at = start;
  lua_pushnil(L);
  if (at == size) return 1;
  raise_text(L, sr_utf8_next_grapheme(s, size, &at), s, size, start, "next_grapheme");
  lua_pushinteger(L, (lua_Integer)at + 1);
  return 1;
}

/* split(s, separators) -> list of the runs between any of the separators, ASCII characters */
static int split(lua_State *L) {
  static const char *const names[] = {"s", "separators", NULL};
  sr_arguments(L, "split", names);
  size_t size, n_separators;
  const char *s = check_text(L, 1, &size, "split");
  const char *separators = sr_check_string(L, 2, "split", "separators");
  lua_tolstring(L, 2, &n_separators);
  bool separates[256] = {false};
  for (size_t i = 0; i < n_separators; i++) {
    if ((unsigned char)separators[i] >= 0x80)
      sr_error(L, "split: separators must be ASCII characters, byte %llu is 0x%02x",
               (unsigned long long)i + 1, (unsigned)(unsigned char)separators[i]);
    separates[(unsigned char)separators[i]] = true;
  }
  lua_createtable(L, size < 1024 ? (int)size / 6 : 0, 0);
  lua_Integer n = 0;
  for (size_t at = 0, end; at < size; at = end) {
    for (; at < size && separates[(unsigned char)s[at]]; at++) continue;
    for (end = at; end < size && !separates[(unsigned char)s[end]]; end++) continue;
    if (end == at) break;
    lua_pushlstring(L, s + at, end - at);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

void sr_bind_text(lua_State *L) {
  static const luaL_Reg functions[] = {{"normalize", normalize},
                                       {"lower", lower},
                                       {"casefold", casefold},
                                       {"strip_marks", strip_marks},
                                       {"category", category},
                                       {"split", split},
                                       {"next", next},
                                       {"next_grapheme", next_grapheme},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "utf8");
}
