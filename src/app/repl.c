/* repl.c: reads a statement over as many lines as it takes, runs it, prints its values. */
#include "app/repl.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/call.h"
#include "app/line.h"
#include "app/locals.h"
#include "saros.h"

enum { ENVIRONMENT = 1 }; /* its place on the stack of the loop */

static const char chunk_name[] = "=stdin";
static const double slow_seconds = 1.0;

/* ---- compiling -------------------------------------------------------------------- */

/* Like lua_load, with the REPL's environment; leaves the function or the message. */
static int load(lua_State *L, const char *text, size_t size) {
  int status = luaL_loadbufferx(L, text, size, chunk_name, "t");
  if (status == LUA_OK) {
    lua_pushvalue(L, ENVIRONMENT);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return status;
}

static bool incomplete(lua_State *L, int status) {
  if (status != LUA_ERRSYNTAX) return false;
  size_t size;
  const char *message = lua_tolstring(L, -1, &size);
  return size >= 5 && !strcmp(message + size - 5, "<eof>");
}

/* In the scope of a <close> variable a call is no tail call: the user's line
 * stays on the stack, for messages to point at. */
static int load_expression(lua_State *L, const char *text) {
  lua_pushfstring(L, "local __ <close> = nil return %s", text);
  size_t size;
  const char *source = lua_tolstring(L, -1, &size);
  int status = load(L, source, size);
  lua_remove(L, -2);
  return status;
}

static int load_statement(lua_State *L, const char *text) {
  int base = lua_gettop(L);
  sr__locals_rewrite(L, text, strlen(text)); /* text, names */
  size_t size;
  const char *source = lua_tolstring(L, -2, &size);
  int status = load(L, source, size);
  if (status == LUA_OK) {
    lua_insert(L, base + 1); /* function, text, names */
    sr__locals_declare(L, ENVIRONMENT);
  } else { /* messages speak of what was typed */
    status = load(L, text, strlen(text));
    lua_insert(L, base + 1);
  }
  lua_settop(L, base + 1);
  return status;
}

/* What was typed, as Lua: "=x" is "return x" (as in stock Lua), "?x" is "help(x)". */
static const char *push_source(lua_State *L, const char *typed) {
  typed += strspn(typed, " \t\n");
  if (*typed == '=') return lua_pushfstring(L, "return %s", typed + 1);
  if (*typed == '?') return lua_pushfstring(L, "help(%s)", typed + 1);
  return lua_pushstring(L, typed);
}

/* Leaves a function or a message. *more: the text is the beginning of a chunk. */
static int compile(lua_State *L, const char *typed, bool *more) {
  const char *text = push_source(L, typed);
  int status = load_expression(L, text);
  if (status != LUA_OK) {
    *more = incomplete(L, status);
    lua_pop(L, 1);
    status = load_statement(L, text);
    if (incomplete(L, status)) *more = true;
    if (status == LUA_OK) *more = false;
  } else {
    *more = false;
  }
  lua_remove(L, -2);
  return status;
}

/* ---- reading ------------------------------------------------------------------------ */

typedef struct {
  char *text; /* lines so far, or NULL */
  bool pasted_prompts;
} statement;

/* The user's _PROMPT and _PROMPT2, as in stock Lua. Valid until the next call. */
static const char *prompt(lua_State *L, bool first) {
  static char text[80];
  const char *chosen = first ? "> " : ">> ";
  if (lua_getglobal(L, first ? "_PROMPT" : "_PROMPT2") == LUA_TSTRING) chosen = lua_tostring(L, -1);
  snprintf(text, sizeof text, "%s", chosen);
  lua_pop(L, 1);
  return text;
}

/* Text copied from a session has our prompts: no Lua line begins with '>'. Only
 * where the first line has one they are dropped from those that follow. */
static const char *without_prompt(const char *line, statement *s) {
  if (s->text && !s->pasted_prompts) return line;
  const char *rest = line;
  while (*rest == '>') rest++;
  bool found = rest > line && rest <= line + 2 && (*rest == ' ' || *rest == '\0');
  if (!s->text) s->pasted_prompts = found;
  return found ? rest + (*rest == ' ') : line;
}

static bool append_line(statement *s, const char *line) {
  line = without_prompt(line, s);
  size_t size = s->text ? strlen(s->text) : 0;
  char *longer = realloc(s->text, size + strlen(line) + 2);
  if (!longer) return false;
  if (size || s->text) longer[size++] = '\n';
  strcpy(longer + size, line);
  s->text = longer;
  return true;
}

/* Read until a chunk is complete or wrong: leaves what compile left, status in *status. */
static sr__line_status read_statement(lua_State *L, statement *s, int *status) {
  for (bool more = true; more;) {
    char *line;
    sr__line_status got = sr__line_read(prompt(L, !s->text), &line);
    if (got == SR__LINE_END && s->text) { /* report what is missing */
      *status = compile(L, s->text, &more);
      return SR__LINE;
    }
    if (got != SR__LINE) return got;
    bool appended = append_line(s, line);
    free(line);
    if (!appended) return SR__LINE_CANCELLED;
    *status = compile(L, s->text, &more);
    if (more) lua_pop(L, 1);
  }
  return SR__LINE;
}

/* ---- running ------------------------------------------------------------------------- */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void show_seconds(double seconds) {
  bool dim = sr__colours(STDOUT_FILENO);
  printf("%s(%.2f s)%s\n", dim ? "\033[2m" : "", seconds, dim ? "\033[0m" : "");
}

static bool silenced(const char *text) {
  size_t size = strlen(text);
  while (size && strchr(" \t\n", text[size - 1])) size--;
  return size && text[size - 1] == ';';
}

/* The arguments through `print`: on one line, or where one of them takes several
 * lines (a tensor), each on its own. Protected: __tostring is the user's. */
static int print_values(lua_State *L) {
  int n = lua_gettop(L);
  bool one_line = true;
  for (int i = 1; i <= n; i++) {
    if (strchr(luaL_tolstring(L, i, NULL), '\n')) one_line = false;
    lua_replace(L, i);
  }
  luaL_checkstack(L, n + 1, "too many results to print");
  for (int i = 1; i <= n; i += one_line ? n : 1) {
    lua_getglobal(L, "print");
    for (int k = i; k < (one_line ? n + 1 : i + 1); k++) lua_pushvalue(L, k);
    lua_call(L, one_line ? n : 1, 0);
  }
  return 0;
}

/* Show the n values on top, which are popped, and keep the first as `_`. */
static void show_results(lua_State *L, int n, bool silent) {
  if (n == 0) return;
  luaL_checkstack(L, 2, "too many results");
  lua_pushliteral(L, "_");
  lua_pushvalue(L, -1 - n);
  lua_rawset(L, ENVIRONMENT);
  if (silent) {
    lua_pop(L, n);
    return;
  }
  lua_pushcfunction(L, print_values);
  lua_insert(L, -1 - n);
  sr__report(L, sr__call(L, n, 0));
}

static void run_statement(lua_State *L, const statement *s, int status) {
  int base = lua_gettop(L) - 1;
  bool good = status == LUA_OK;
  double seconds = 0;
  if (good) {
    double start = now();
    status = sr__call(L, 0, LUA_MULTRET);
    seconds = now() - start;
  }
  if (sr__report(L, status)) show_results(L, lua_gettop(L) - base, silenced(s->text));
  fflush(stdout);
  if (seconds > slow_seconds && isatty(STDIN_FILENO)) show_seconds(seconds);
  lua_settop(L, base);
}

/* ---- session -------------------------------------------------------------------------- */

/* Set a global that has no value yet to the field of the table on top. */
static void offer_global(lua_State *L, const char *name) {
  if (lua_getglobal(L, name) == LUA_TNIL && lua_getfield(L, -2, name) != LUA_TNIL) {
    lua_setglobal(L, name);
    lua_pop(L, 1);
    return;
  }
  lua_settop(L, ENVIRONMENT + 1);
}

/* Argument 1 is the environment; protected. `saros.repl`, if the library has it,
 * is given the environment, to add help, who and the like. */
static int make_globals(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "saros");
  lua_call(L, 1, 1);
  static const char *const names[] = {"nn", "optim", "data", "text"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) offer_global(L, names[i]);
  lua_setglobal(L, "saros");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  if (lua_getfield(L, -1, "saros.repl") == LUA_TNIL) return 0;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "saros.repl");
  lua_call(L, 1, 1);
  if (!lua_istable(L, -1) || lua_getfield(L, -1, "install") != LUA_TFUNCTION) return 0;
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

/* "cpu", or what was chosen with --device. */
static int push_device(lua_State *L) {
  lua_getglobal(L, "saros");
  lua_getfield(L, -1, "get_default_device");
  lua_call(L, 0, 1);
  luaL_tolstring(L, -1, NULL);
  return 1;
}

static void show_banner(lua_State *L) {
  lua_pushcfunction(L, push_device);
  const char *device = lua_pcall(L, 0, 1, 0) == LUA_OK ? lua_tostring(L, -1) : "cpu";
  int threads = sr_num_threads();
  printf("saros %s, %s; %s kernels, %d thread%s, device %s. help() explains, Ctrl-D leaves.\n",
         SR_VERSION, LUA_RELEASE, sr_cpu_kernels(), threads, threads == 1 ? "" : "s", device);
  lua_pop(L, 1);
}

static void loop(lua_State *L) {
  for (;;) {
    statement s = {0};
    int status = LUA_OK;
    sr__line_status got = read_statement(L, &s, &status);
    if (got == SR__LINE) {
      sr__line_remember(s.text);
      run_statement(L, &s, status);
    }
    free(s.text);
    lua_settop(L, ENVIRONMENT);
    if (got == SR__LINE_END) return;
  }
}

/* On a stack of its own, so that the environment has a fixed place. */
static int run(lua_State *L) {
  bool terminal = isatty(STDIN_FILENO);
  sr__locals_new_environment(L);
  lua_pushcfunction(L, make_globals);
  lua_pushvalue(L, ENVIRONMENT);
  sr__report(L, sr__call(L, 1, 0));
  if (terminal) show_banner(L);
  sr__line_open(L, ENVIRONMENT, terminal);
  loop(L);
  if (terminal) putchar('\n');
  return 0;
}

void sr__repl_run(lua_State *L) {
  sr__call_interactive(true);
  lua_pushcfunction(L, run);
  sr__report(L, lua_pcall(L, 0, 0, 0)); /* memory errors of the loop itself */
  sr__call_interactive(false);
}
