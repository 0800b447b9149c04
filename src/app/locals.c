/* locals.c: a small scanner of Lua that finds the local declarations of a chunk
 * that stand outside of any block. It trusts nothing: where the text is not
 * what it expects, it changes nothing, and the compiler says what is wrong. */
#include "app/locals.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* ---- scanner ------------------------------------------------------------------ */

typedef struct {
  const char *at, *end;
} scanner;

typedef struct {
  const char *begin;
  size_t size; /* 0 at the end of the text */
  bool name;   /* or keyword */
} token;

static bool is(token t, const char *word) {
  return t.size == strlen(word) && !memcmp(t.begin, word, t.size);
}

/* Level of the long bracket "[==[" at s->at, or -1. */
static int long_bracket(const scanner *s) {
  const char *p = s->at;
  if (p == s->end || *p++ != '[') return -1;
  int level = 0;
  for (; p < s->end && *p == '='; p++) level++;
  return p < s->end && *p == '[' ? level : -1;
}

static void skip_long(scanner *s, int level) {
  s->at += level + 2;
  for (; s->at < s->end; s->at++) {
    if (*s->at != ']' || s->end - s->at < level + 2) continue;
    const char *p = s->at + 1;
    while (*p == '=' && p < s->at + 1 + level) p++;
    if (p != s->at + 1 + level || *p != ']') continue;
    s->at = p + 1;
    return;
  }
}

static void skip_comment(scanner *s) {
  s->at += 2;
  int level = long_bracket(s);
  if (level >= 0) {
    skip_long(s, level);
    return;
  }
  while (s->at < s->end && *s->at != '\n') s->at++;
}

static void skip_blank(scanner *s) {
  while (s->at < s->end) {
    if (isspace((unsigned char)*s->at))
      s->at++;
    else if (s->end - s->at >= 2 && s->at[0] == '-' && s->at[1] == '-')
      skip_comment(s);
    else
      return;
  }
}

static void skip_string(scanner *s) {
  char quote = *s->at++;
  while (s->at < s->end && *s->at != quote) s->at += s->at[0] == '\\' && s->at + 1 < s->end ? 2 : 1;
  if (s->at < s->end) s->at++;
}

static bool is_word(const scanner *s) {
  return s->at < s->end && (isalnum((unsigned char)*s->at) || *s->at == '_');
}

static token next(scanner *s) {
  skip_blank(s);
  token t = {s->at, 0, false};
  if (s->at == s->end) return t;
  if (is_word(s)) {
    t.name = !isdigit((unsigned char)*s->at);
    while (is_word(s)) s->at++;
  } else if (*s->at == '"' || *s->at == '\'') {
    skip_string(s);
  } else if (long_bracket(s) >= 0) {
    skip_long(s, long_bracket(s));
  } else if (s->end - s->at >= 2 && s->at[1] == '=' && strchr("=~<>", *s->at)) {
    s->at += 2; /* so that "=" alone means assignment */
  } else {
    s->at++;
  }
  t.size = (size_t)(s->at - t.begin);
  return t;
}

/* ---- rewriting ------------------------------------------------------------------- */

typedef struct {
  lua_State *L;
  int names;          /* index of the table of declared names */
  luaL_Buffer *text;  /* the result */
  const char *copied; /* the source is in the result up to here */
} rewriter;

static void copy_until(rewriter *r, const char *end) {
  luaL_addlstring(r->text, r->copied, (size_t)(end - r->copied));
  r->copied = end;
}

static void declare(rewriter *r, token name) {
  lua_pushlstring(r->L, name.begin, name.size);
  lua_pushboolean(r->L, 1);
  lua_rawset(r->L, r->names);
}

/* Can "name [<attribute>] {, name [<attribute>]}" at s be rewritten? */
static bool plain_names(scanner s) {
  for (;;) {
    if (!next(&s).name) return false;
    scanner behind = s;
    token t = next(&s);
    if (is(t, "<")) {
      if (!is(next(&s), "const") || !is(next(&s), ">")) return false;
      behind = s;
      t = next(&s);
    }
    if (is(t, ",")) continue;
    return behind.at != NULL;
  }
}

/* s is behind `local`, which is already left out. */
static void rewrite_names(rewriter *r, scanner *s) {
  for (;;) {
    declare(r, next(s));
    scanner behind = *s;
    token t = next(s);
    if (is(t, "<")) {
      copy_until(r, t.begin);
      next(s);
      t = next(s);
      behind = *s;
      r->copied = s->at;
      t = next(s);
    }
    if (is(t, ",")) continue;
    *s = behind;
    if (is(t, "=")) return;
    copy_until(r, behind.at);
    luaL_addstring(r->text, " = nil");
    return;
  }
}

static void rewrite_local(rewriter *r, token local, scanner *s) {
  scanner look = *s;
  bool function = is(next(&look), "function");
  if (!function && !plain_names(*s)) return;
  copy_until(r, local.begin);
  r->copied = s->at;
  if (function)
    declare(r, next(&look)); /* `function` itself is left to the caller */
  else
    rewrite_names(r, s);
}

static int depth_change(token t) {
  if (is(t, "function") || is(t, "do") || is(t, "if") || is(t, "repeat")) return 1;
  return is(t, "end") || is(t, "until") ? -1 : 0;
}

void sr__locals_rewrite(lua_State *L, const char *text, size_t size) {
  luaL_Buffer buffer;
  lua_newtable(L);
  rewriter r = {L, lua_gettop(L), &buffer, text};
  luaL_buffinit(L, &buffer);
  scanner s = {text, text + size};
  int depth = 0;
  for (token t; (t = next(&s)).size;) {
    if (!t.name) continue;
    depth += depth_change(t);
    if (depth == 0 && is(t, "local")) rewrite_local(&r, t, &s);
  }
  copy_until(&r, text + size);
  luaL_pushresult(&buffer);
  lua_insert(L, -2);
}

/* ---- environment -------------------------------------------------------------------- */

/* __newindex; upvalues: the declared names, the globals. */
static int assign(lua_State *L) {
  lua_pushvalue(L, 2);
  bool local = lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL;
  lua_pop(L, 1);
  if (local)
    lua_rawset(L, 1);
  else
    lua_settable(L, lua_upvalueindex(2));
  return 0;
}

void sr__locals_new_environment(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 3);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "declared");
  lua_pushglobaltable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -4, "__index");
  lua_pushcclosure(L, assign, 2);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
}

void sr__locals_declare(lua_State *L, int environment) {
  luaL_getmetafield(L, environment, "declared");
  for (lua_pushnil(L); lua_next(L, -3);) {
    lua_pushvalue(L, -2); /* declared, name, true, name */
    lua_insert(L, -2);    /* declared, name, name, true */
    lua_rawset(L, -4);
  }
  lua_pop(L, 2);
}
