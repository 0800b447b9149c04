/* call.c: protected calls, messages, tracebacks, Ctrl-C. */
#include "app/call.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "saros.h"

static bool interactive;
static lua_State *volatile running; /* whom Ctrl-C stops */
static volatile sig_atomic_t interrupt_seen;
static volatile sig_atomic_t unheard;   /* Ctrl-C since the call began, or was interrupted */
static bool raised, ended_by_interrupt; /* in the last call */

/* ---- Ctrl-C --------------------------------------------------------------- */

static const char interrupted[] = "interrupted!";

static void raise_interrupted(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  unheard = 0;
  raised = true;
  lua_pushstring(L, interrupted);
  lua_error(L);
}

/* What runs is no Lua that can be stopped: a long operation, or a coroutine. */
static void offer_the_end(void) {
  static const char offer[] = "\nstill busy: Ctrl-C once more ends saros\n";
  signal(SIGINT, SIG_DFL);
  if (write(STDERR_FILENO, offer, sizeof offer - 1) < 0) return; /* nobody to tell */
}

static void on_interrupt(int number) {
  enum { PATIENCE = 3 };
  (void)number;
  interrupt_seen = 1;
  sr_interrupt();
  if (!running) return;
  lua_sethook(running, raise_interrupted, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT,
              1);
  if (++unheard == PATIENCE && interactive) offer_the_end();
}

bool sr__interrupt_seen(void) {
  bool seen = interrupt_seen;
  interrupt_seen = 0;
  return seen;
}

/* No SA_RESTART: a script that waits for input must notice. A script that does
 * not stop at the first Ctrl-C is killed by the second, the REPL by the fourth. */
static void catch_interrupts(bool on) {
  struct sigaction action = {.sa_handler = on ? on_interrupt : SIG_DFL};
  if (!interactive) action.sa_flags = SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
}

void sr__call_interactive(bool on) {
  interactive = on;
  catch_interrupts(on);
}

/* ---- traceback ------------------------------------------------------------ */

typedef enum { FRAME_C, FRAME_LIBRARY, FRAME_USER } frame_kind;

enum { SHOWN_AT_EACH_END = 10, SCANNED_AT_EACH_END = 50 }; /* frames of a deep stack */

static bool from_library(const char *source) {
  return (source[0] == '=' || source[0] == '@') && !strncmp(source + 1, "saros/", 6);
}

static frame_kind kind_of(const lua_Debug *ar) {
  if (*ar->what == 'C') return FRAME_C;
  return from_library(ar->source) ? FRAME_LIBRARY : FRAME_USER;
}

/* "saros/nn/rnn:55: " at the start of a message: its length, or 0. */
static size_t library_position(const char *message) {
  if (strncmp(message, "saros/", 6) != 0) return 0;
  size_t colon = strcspn(message, ": \n");
  if (message[colon] != ':') return 0;
  size_t digits = strspn(message + colon + 1, "0123456789");
  size_t end = colon + 1 + digits;
  return digits && !strncmp(message + end, ": ", 2) ? end + 2 : 0;
}

/* Replace the string on top, but for its first `skip` bytes, by one that points at the
 * innermost line of the user; in the REPL there may be none (a tail call). */
static void point_at_user(lua_State *L, size_t skip) {
  lua_Debug ar;
  for (int level = 0; level < SCANNED_AT_EACH_END && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (kind_of(&ar) != FRAME_USER || ar.currentline < 1) continue;
    lua_pushfstring(L, "%s:%d: %s", ar.short_src, ar.currentline, lua_tostring(L, -1) + skip);
    lua_remove(L, -2);
    return;
  }
  if (!interactive) return;
  lua_pushstring(L, lua_tostring(L, -1) + skip);
  lua_remove(L, -2);
}

static void push_frame(lua_State *L, const lua_Debug *ar) {
  lua_pushfstring(L, "\n\t%s:%d: in ", ar->short_src, ar->currentline);
  if (*ar->namewhat)
    lua_pushfstring(L, "%s '%s'", ar->namewhat, ar->name);
  else if (*ar->what == 'm')
    lua_pushliteral(L, "main chunk");
  else
    lua_pushfstring(L, "function <%s:%d>", ar->short_src, ar->linedefined);
  lua_concat(L, 2);
}

/* lua_getstack takes time in proportion to the level, so of a stack that
 * overflowed only both ends are looked at. */
static int last_level(lua_State *L) {
  lua_Debug ar;
  int below = 0, above = 1;
  while (lua_getstack(L, above, &ar)) below = above, above *= 2;
  while (above - below > 1) {
    int middle = below + (above - below) / 2;
    *(lua_getstack(L, middle, &ar) ? &below : &above) = middle;
  }
  return below;
}

static int next_level(int level, int last) {
  bool jump = level == SCANNED_AT_EACH_END && last > 2 * SCANNED_AT_EACH_END;
  return jump ? last - SCANNED_AT_EACH_END : level + 1;
}

static int count_frames(lua_State *L, frame_kind kind) {
  lua_Debug ar;
  int count = 0, last = last_level(L);
  for (int level = 0; lua_getstack(L, level, &ar); level = next_level(level, last)) {
    lua_getinfo(L, "S", &ar);
    count += kind_of(&ar) == kind;
  }
  return count;
}

/* Append the frames of one kind to the string on top. */
static void add_frames(lua_State *L, frame_kind kind, const char *title) {
  int count = count_frames(L, kind), last = last_level(L), nth = 0;
  if (!count) return;
  lua_pushstring(L, title);
  lua_concat(L, 2);
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level = next_level(level, last)) {
    lua_getinfo(L, "Sln", &ar);
    if (kind_of(&ar) != kind) continue;
    nth++;
    if (nth > SHOWN_AT_EACH_END && nth <= count - SHOWN_AT_EACH_END) {
      if (nth > SHOWN_AT_EACH_END + 1) continue;
      lua_pushliteral(L, "\n\t...");
    } else {
      push_frame(L, &ar);
    }
    lua_concat(L, 2);
  }
}

/* The user knows why it stopped; where is told by one line. The error may have been caught and
 * raised again, with a position. */
static bool report_interrupt(lua_State *L) {
  const char *end = raised ? strstr(lua_tostring(L, -1), interrupted) : NULL;
  if (!end || end[strlen(interrupted)]) return false;
  ended_by_interrupt = true;
  if (end == lua_tostring(L, -1)) point_at_user(L, 0);
  return true;
}

/* Message handler. An error value that is no string speaks through __tostring
 * or is named by its type, as in stock Lua. */
static int add_traceback(lua_State *L) {
  if (!lua_tostring(L, 1)) {
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return 1;
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  } else {
    lua_pushvalue(L, 1);
  }
  if (report_interrupt(L)) return 1;
  size_t skip = library_position(lua_tostring(L, -1));
  if (skip) point_at_user(L, skip);
  if (interactive && count_frames(L, FRAME_USER) < 2) return 1; /* the message says the line */
  add_frames(L, FRAME_USER, "\nstack traceback:");
  if (!interactive) add_frames(L, FRAME_LIBRARY, "\ninside saros:");
  return 1;
}

int sr__call(lua_State *L, int n_arguments, int n_results) {
  int handler = lua_gettop(L) - n_arguments;
  lua_pushcfunction(L, add_traceback);
  lua_insert(L, handler);
  running = L;
  raised = ended_by_interrupt = false;
  unheard = 0;
  catch_interrupts(true);
  int status = lua_pcall(L, n_arguments, n_results, handler);
  catch_interrupts(interactive);
  running = NULL;
  lua_sethook(L, NULL, 0, 0); /* an interrupt that came too late */
  interrupt_seen = 0;
  lua_remove(L, handler);
  return status;
}

/* ---- messages --------------------------------------------------------------- */

int sr__exit_status(bool good) {
  enum { INTERRUPTED = 128 + SIGINT }; /* as shells have it */
  return good ? EXIT_SUCCESS : ended_by_interrupt ? INTERRUPTED : EXIT_FAILURE;
}

bool sr__colours(int file) {
  const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
  return isatty(file) && !(no_color && *no_color) && terminal && strcmp(terminal, "dumb") != 0;
}

bool sr__report(lua_State *L, int status) {
  if (status == LUA_OK) return true;
  const char *message = lua_tostring(L, -1);
  if (!message) message = "(error message is not a string)";
  bool red = interactive && sr__colours(STDERR_FILENO);
  int first_line = (int)strcspn(message, "\n");
  fflush(stdout);
  if (ended_by_interrupt && !interactive && isatty(STDERR_FILENO)) fputc('\n', stderr); /* ^C */
  fprintf(stderr, "%s%s%.*s%s%s\n", interactive ? "" : "saros: ", red ? "\033[31m" : "", first_line,
          message, red ? "\033[0m" : "", message + first_line);
  fflush(stderr);
  lua_pop(L, 1);
  return false;
}
