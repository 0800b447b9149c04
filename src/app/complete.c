/* complete.c: candidates for the word before the cursor. */
#include "app/complete.h"

#include <ctype.h>
#include <editline/readline.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lua_State *state;
static int environment_index;

/* Everything that does not belong to a path such as "model.rnn:forw". */
static char break_characters[] = " \t\n\"'`@$><=;|&{}()[]+-*/%^~#,\\!?";

enum { MOST_LINKS = 100 }; /* of __index, against cycles */

/* ---- collecting: L holds at `found` a table {candidate = true} ---------------------- */

typedef struct {
  const char *word;   /* "model.rnn:forw" */
  const char *prefix; /* "forw", inside word */
  bool methods;       /* after ':' */
  char **matches;     /* the result, for libedit */
} request;

static bool is_name(const char *s) {
  if (!isalpha((unsigned char)*s) && *s != '_') return false;
  while (isalnum((unsigned char)*s) || *s == '_') s++;
  return *s == '\0';
}

/* Is the value on top a function or a table that can be called? */
static bool callable(lua_State *L) {
  if (lua_isfunction(L, -1)) return true;
  if (luaL_getmetafield(L, -1, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

static void add_candidate(lua_State *L, int found, const request *r, const char *name) {
  if (strncmp(name, r->prefix, strlen(r->prefix)) != 0 || !is_name(name)) return;
  if (*name == '_' && *r->prefix != '_') return; /* not what one looks for */
  lua_pushlstring(L, r->word, (size_t)(r->prefix - r->word));
  lua_pushstring(L, name);
  lua_concat(L, 2);
  lua_pushboolean(L, 1);
  lua_rawset(L, found);
}

static void add_keys(lua_State *L, int found, const request *r, int table) {
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && (!r->methods || callable(L)))
      add_candidate(L, found, r, lua_tostring(L, -2));
}

/* The names that a namespace of the library loads when they are asked for. */
static void add_loadable(lua_State *L, int found, const request *r) {
  int type = luaL_getmetafield(L, -1, "__loaders");
  if (type == LUA_TTABLE) add_keys(L, found, r, lua_gettop(L));
  if (type != LUA_TNIL) lua_pop(L, 1);
}

/* A tensor's __index is a C function; what it looks in are its upvalues. */
static void add_upvalues(lua_State *L, int found, const request *r) {
  if (luaL_getmetafield(L, -1, "__index") == LUA_TNIL) return;
  for (int i = 1; lua_iscfunction(L, -1) && lua_getupvalue(L, -1, i); i++) {
    if (lua_istable(L, -1)) add_keys(L, found, r, lua_gettop(L));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Replace the value on top by the table where its missing fields are looked up:
 * __index or, where that is a function, the metatable itself. */
static bool step_to_index(lua_State *L) {
  int slot = lua_gettop(L);
  if (!lua_getmetatable(L, slot)) return false;
  lua_pushliteral(L, "__index");
  lua_rawget(L, -2);
  if (!lua_istable(L, -1)) lua_pop(L, 1);
  lua_copy(L, -1, slot);
  lua_settop(L, slot);
  return true;
}

/* Add the fields of the value on top, which is popped. */
static void add_fields(lua_State *L, int found, const request *r) {
  for (int links = 0; links < MOST_LINKS; links++) {
    if (lua_istable(L, -1)) add_keys(L, found, r, lua_gettop(L));
    add_loadable(L, found, r);
    add_upvalues(L, found, r);
    if (!step_to_index(L)) break;
  }
  lua_pop(L, 1);
}

/* Push what a namespace loads under this name, if it does. */
static bool load_field(lua_State *L, int slot, const char *name, size_t size) {
  if (luaL_getmetafield(L, slot, "__loaders") == LUA_TNIL) return false;
  lua_pushlstring(L, name, size);
  bool known = lua_istable(L, -2) && lua_rawget(L, -2) != LUA_TNIL;
  lua_settop(L, slot);
  if (!known) return false;
  lua_pushlstring(L, name, size);
  lua_gettable(L, slot);
  return true;
}

/* Replace the value on top by its field. */
static void step_to_field(lua_State *L, const char *name, size_t size) {
  int slot = lua_gettop(L);
  for (int links = 0; links < MOST_LINKS; links++) {
    if (lua_istable(L, slot)) {
      lua_pushlstring(L, name, size);
      if (lua_rawget(L, slot) != LUA_TNIL) break;
      lua_pop(L, 1);
      if (load_field(L, slot, name, size)) break;
    }
    if (!step_to_index(L)) break;
  }
  if (lua_gettop(L) == slot) lua_pushnil(L);
  lua_replace(L, slot);
}

static void add_keywords(lua_State *L, int found, const request *r) {
  static const char *const keywords[] = {"and",   "break", "do",       "else", "elseif", "end",
                                         "false", "for",   "function", "goto", "if",     "in",
                                         "local", "nil",   "not",      "or",   "repeat", "return",
                                         "then",  "true",  "until",    "while"};
  for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
    add_candidate(L, found, r, keywords[i]);
}

/* ---- the list that libedit wants ------------------------------------------------------ */

static int compare(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t common_size(const char *a, const char *b) {
  size_t size = 0;
  while (a[size] && a[size] == b[size]) size++;
  return size;
}

/* matches[0] is what all have in common, then all of them, then NULL. */
static char **make_list(size_t count, char **matches) {
  qsort(matches + 1, count, sizeof *matches, compare);
  matches[0] = strndup(matches[1], common_size(matches[1], matches[count]));
  matches[count + 1] = NULL;
  return matches;
}

static size_t count_keys(lua_State *L, int table) {
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) count++;
  return count;
}

/* Runs protected, for want of memory only: the request is argument 1. */
static int collect(lua_State *L) {
  request *r = lua_touserdata(L, 1);
  lua_newtable(L);
  int found = lua_gettop(L);
  lua_pushvalue(L, 2);
  const char *at = r->word;
  for (const char *dot; (dot = strpbrk(at, ".:")); at = dot + 1)
    step_to_field(L, at, (size_t)(dot - at));
  r->prefix = at;
  r->methods = at > r->word && at[-1] == ':';
  if (at == r->word) add_keywords(L, found, r);
  add_fields(L, found, r);
  size_t count = count_keys(L, found);
  if (count == 0 || !(r->matches = calloc(count + 2, sizeof *r->matches))) return 0;
  size_t i = 1;
  for (lua_pushnil(L); lua_next(L, found); lua_pop(L, 1))
    r->matches[i++] = strdup(lua_tostring(L, -2));
  r->matches = make_list(count, r->matches);
  return 0;
}

static char **complete_name(const char *word) {
  request r = {.word = word};
  lua_pushcfunction(state, collect);
  lua_pushlightuserdata(state, &r);
  lua_pushvalue(state, environment_index);
  if (lua_pcall(state, 2, 0, 0) != LUA_OK) lua_pop(state, 1);
  return r.matches;
}

static char **single_match(const char *text) {
  char **matches = calloc(3, sizeof *matches);
  if (!matches) return NULL;
  matches[0] = strdup(text);
  matches[1] = strdup(text);
  return matches;
}

/* ---- file names ---------------------------------------------------------------------------- */

/* The quote that is open before the cursor, or NULL. */
static const char *open_quote(const char *line, int cursor) {
  const char *quote = NULL;
  for (const char *c = line; c < line + cursor && *c; c++) {
    if (*c == '\\' && c[1])
      c++;
    else if (quote)
      quote = *c == *quote ? NULL : quote;
    else if (*c == '"' || *c == '\'')
      quote = c;
  }
  return quote;
}

/* The word is the end of the path: what stands before it is cut off. */
static char **complete_file(const char *path, size_t cut) {
  size_t count = 0, room = 0;
  char **matches = NULL, *match;
  for (; (match = rl_filename_completion_function(path, count > 0)); count++) {
    if (count + 2 >= room) {
      char **larger = realloc(matches, (room = 2 * room + 16) * sizeof *matches);
      if (!larger) return free(match), matches;
      matches = larger;
    }
    memmove(match, match + cut, strlen(match + cut) + 1);
    matches[count + 1] = match;
  }
  return count ? make_list(count, matches) : NULL;
}

/* ---- called by libedit --------------------------------------------------------------- */

static char **attempt(const char *word, int start, int end) {
  rl_attempted_completion_over = 1;
  size_t before = strspn(rl_line_buffer, " \t");
  if ((size_t)end <= before && !*word) return single_match("  ");
  const char *quote = open_quote(rl_line_buffer, end);
  if (!quote) return complete_name(word);
  size_t size = (size_t)(rl_line_buffer + end - (quote + 1));
  char *path = strndup(quote + 1, size);
  if (!path) return NULL;
  char **matches = complete_file(path, (size_t)(rl_line_buffer + start - (quote + 1)));
  free(path);
  return matches;
}

void sr__complete_open(lua_State *L, int environment) {
  state = L;
  environment_index = lua_absindex(L, environment);
  rl_completer_word_break_characters = break_characters;
  rl_completion_append_character = '\0';
  rl_attempted_completion_function = attempt;
}
