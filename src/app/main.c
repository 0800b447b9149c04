/* main.c: the program `saros`: stock `lua`, with the library inside.
 *
 * Options, exit status and messages are stock Lua 5.4's (its manual, section 7), but Ctrl-C ends a
 * script with one line and status 130; `require "saros"` works from any place. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/call.h"
#include "app/options.h"
#include "app/repl.h"
#include "lua/lua_saros.h"
#include "saros.h"

static const char version_text[] = "saros " SR_VERSION " (" LUA_RELEASE ")";

static bool fail(const char *format, const char *what) {
  fputs("saros: ", stderr);
  fprintf(stderr, format, what);
  fputc('\n', stderr);
  return false;
}

/* Run the chunk that a load left on top, if it did. */
static bool run_loaded(lua_State *L, int status, int n_arguments) {
  if (status == LUA_OK) {
    lua_insert(L, -1 - n_arguments);
    status = sr__call(L, n_arguments, 0);
  }
  return sr__report(L, status);
}

static bool run_string(lua_State *L, const char *text, const char *name) {
  return run_loaded(L, luaL_loadbuffer(L, text, strlen(text), name), 0);
}

static bool run_file(lua_State *L, const char *name) {
  return run_loaded(L, luaL_loadfile(L, name), 0);
}

/* ---- steps, in the order of stock Lua --------------------------------------------- */

/* `arg`: the script at 0, its arguments from 1, what came before it below 0. */
static void make_arg(lua_State *L, char **argv, const sr__options *options) {
  int count = 0;
  while (argv[count]) count++;
  int script = options->script ? options->first_free : 0;
  lua_createtable(L, count - script, script + 1);
  for (int i = 0; i < count; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

static bool run_init(lua_State *L) {
  const char *name = "=LUA_INIT_" LUA_VERSION_MAJOR "_" LUA_VERSION_MINOR;
  const char *init = getenv(name + 1);
  if (!init) init = getenv((name = "=LUA_INIT") + 1);
  if (!init) return true;
  return init[0] == '@' ? run_file(L, init + 1) : run_string(L, init, name);
}

/* require "saros"[function](the value on top), which is popped. */
static bool configure(lua_State *L, const char *function) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "saros");
  int status = sr__call(L, 1, 1);
  if (status == LUA_OK) {
    lua_getfield(L, -1, function);
    lua_pushvalue(L, -3);
    status = sr__call(L, 1, 0);
  }
  bool good = sr__report(L, status);
  lua_settop(L, 0);
  return good;
}

static bool configure_integer(lua_State *L, const char *function, const char *text) {
  int is_integer = 0;
  if (lua_stringtonumber(L, text)) lua_tointegerx(L, -1, &is_integer);
  if (!is_integer) return fail("an integer expected, got '%s'", text);
  return configure(L, function);
}

static bool run_configuration(lua_State *L, const sr__options *options) {
  if (options->device) {
    lua_pushstring(L, options->device);
    if (!configure(L, "set_default_device")) return false;
  }
  if (options->threads && !configure_integer(L, "set_num_threads", options->threads)) return false;
  return !options->seed || configure_integer(L, "manual_seed", options->seed);
}

/* require "saros.doctor".run(): whether all is well. */
static bool run_doctor(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "saros.doctor");
  int status = sr__call(L, 1, 1);
  if (status == LUA_OK) {
    lua_getfield(L, -1, "run");
    status = sr__call(L, 0, 1);
  }
  return sr__report(L, status) && lua_toboolean(L, -1);
}

/* -l mod, -l g=mod; "mod-v2" becomes the global "mod". */
static bool run_require(lua_State *L, const char *what) {
  const char *equals = strchr(what, '=');
  const char *module = equals ? equals + 1 : what;
  size_t name_size = equals ? (size_t)(equals - what) : strcspn(what, "-");
  lua_pushlstring(L, what, name_size);
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  int status = sr__call(L, 1, 1);
  if (status == LUA_OK) lua_setglobal(L, lua_tostring(L, -2));
  bool good = sr__report(L, status);
  lua_settop(L, 0);
  return good;
}

static bool run_actions(lua_State *L, char **argv, const sr__options *options) {
  for (int i = 1; i < options->first_free;) {
    const char *value;
    bool good = true;
    switch (sr__options_action(argv, &i, &value)) {
      case 'e': good = run_string(L, value, "=(command line)"); break;
      case 'l': good = run_require(L, value); break;
      case 'W': lua_warning(L, "@on", 0); break;
      default: break;
    }
    if (!good) return false;
  }
  return true;
}

/* The script gets what follows it as `...`, from `arg` as it is by now. */
static int push_arguments(lua_State *L) {
  if (lua_getglobal(L, "arg") != LUA_TTABLE) luaL_error(L, "'arg' is not a table");
  int n = (int)luaL_len(L, -1);
  luaL_checkstack(L, n + 3, "too many arguments to script");
  for (int i = 1; i <= n; i++) lua_rawgeti(L, -i, i);
  lua_remove(L, -1 - n);
  return n;
}

static bool run_script(lua_State *L, char **argv, const sr__options *options) {
  const char *name = argv[options->first_free];
  bool from_stdin = !strcmp(name, "-") && strcmp(argv[options->first_free - 1], "--") != 0;
  int status = luaL_loadfile(L, from_stdin ? NULL : name);
  if (status != LUA_OK) return sr__report(L, status);
  int n = push_arguments(L);
  return sr__report(L, sr__call(L, n, 0));
}

static bool run_rest(lua_State *L, const sr__options *options) {
  if (options->interactive) return sr__repl_run(L), true;
  if (options->script || options->execute || options->show_version) return true;
  if (isatty(STDIN_FILENO)) return sr__repl_run(L), true;
  return run_file(L, NULL);
}

/* Runs protected: argv as a light userdata; leaves whether all went well. */
static int protected_main(lua_State *L) {
  char **argv = lua_touserdata(L, 1);
  lua_settop(L, 0);
  sr__options options;
  const char *wrong = NULL;
  if (!sr__options_read(argv, &options, &wrong)) {
    fail(wrong[1] == 'e' || wrong[1] == 'l' ? "'%s' needs argument" : "unrecognized option '%s'",
         wrong);
    fputs(sr__options_usage, stderr);
    return 0;
  }
  if (options.help) return fputs(sr__options_usage, stdout), lua_pushboolean(L, 1), 1;
  if (options.show_version || options.only_version) puts(version_text);
  if (options.only_version) return lua_pushboolean(L, 1), 1;
  if (options.no_env) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV"); /* read by luaL_openlibs */
  }
  luaL_openlibs(L);
  /* As stock lua: most tensors die young, and a data set in memory is not walked
   * again for each of them. */
  lua_gc(L, LUA_GCGEN, 0, 0);
  sr_lua_preload(L);
  make_arg(L, argv, &options);
  if (options.doctor) {
    lua_pushboolean(L, run_configuration(L, &options) && run_doctor(L));
    return 1;
  }
  bool good = (options.no_env || run_init(L)) && run_configuration(L, &options) &&
              run_actions(L, argv, &options) &&
              (!options.script || run_script(L, argv, &options)) && run_rest(L, &options);
  lua_pushboolean(L, good);
  return 1;
}

int main(int argc, char **argv) {
  (void)argc;
  lua_State *L = luaL_newstate();
  if (!L) {
    fail("%s", "cannot create state: not enough memory");
    return EXIT_FAILURE;
  }
  lua_pushcfunction(L, protected_main);
  lua_pushlightuserdata(L, argv);
  bool good = sr__report(L, lua_pcall(L, 1, 1, 0)) && lua_toboolean(L, -1);
  lua_close(L);
  return sr__exit_status(good);
}
