/* bind_system.c: clocks, the terminal, Ctrl-C, memory, threads and devices for the Lua library. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lua/binding.h"

static const char *const no_names[] = {NULL};

/* ---- time ------------------------------------------------------------------------------- */

static int push_seconds(lua_State *L, clockid_t clock_id) {
  struct timespec now = {0};
  clock_gettime(clock_id, &now);
  lua_pushnumber(L, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
  return 1;
}

/* clock(): seconds that never go back, from an arbitrary start */
static int monotonic_clock(lua_State *L) { return push_seconds(L, CLOCK_MONOTONIC); }

/* cpu_time(): seconds of processor time of all threads */
static int cpu_time(lua_State *L) { return push_seconds(L, CLOCK_PROCESS_CPUTIME_ID); }

/* ---- terminal --------------------------------------------------------------------------- */

static int check_stream(lua_State *L, int i, const char *function) {
  static const char *const names[] = {"stdin", "stdout", "stderr", NULL}; /* 0, 1, 2 */
  return sr_check_word(L, i, function, "stream", names);
}

/* is_terminal("stdin" | "stdout" | "stderr") */
static int is_terminal(lua_State *L) {
  static const char *const names[] = {"stream", NULL};
  sr_arguments(L, "is_terminal", names);
  lua_pushboolean(L, isatty(check_stream(L, 1, "is_terminal")));
  return 1;
}

/* terminal_width(): columns of the terminal on stdout or stderr, else $COLUMNS, else 80 */
static int terminal_width(lua_State *L) {
  const char *columns = getenv("COLUMNS");
  long width = columns ? strtol(columns, NULL, 10) : 0;
  struct winsize size;
  for (int file = STDERR_FILENO; file >= STDOUT_FILENO; file--)
    if (!ioctl(file, TIOCGWINSZ, &size) && size.ws_col > 0) width = size.ws_col;
  lua_pushinteger(L, width > 0 && width < 100000 ? width : 80);
  return 1;
}

/* ---- Ctrl-C ----------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupt_came;
static bool interrupts_held;
static struct sigaction not_held; /* what Ctrl-C does otherwise */

static void note_interrupt(int number) {
  (void)number;
  interrupt_came = 1;
}

/* hold_interrupts(on): while on, the first Ctrl-C is only noted, so that the script can end at
 * a place of its own choice; a second one ends the process. Works in any host. */
static int hold_interrupts(lua_State *L) {
  static const char *const names[] = {"on", NULL};
  sr_arguments(L, "hold_interrupts", names);
  bool on = sr_optional_boolean(L, 1, true, "hold_interrupts", "on");
  if (on == interrupts_held) return 0;
  struct sigaction hold = {.sa_handler = note_interrupt, .sa_flags = SA_RESTART | SA_RESETHAND};
  sigemptyset(&hold.sa_mask);
  if (on) interrupt_came = 0;
  if (sigaction(SIGINT, on ? &hold : &not_held, on ? &not_held : NULL))
    sr_error(L, "hold_interrupts: the system refuses");
  interrupts_held = on;
  return 0;
}

/* interrupt_seen(): was Ctrl-C pressed since interrupts were last held? */
static int interrupt_seen(lua_State *L) {
  sr_arguments(L, "interrupt_seen", no_names);
  lua_pushboolean(L, interrupt_came != 0);
  return 1;
}

/* ---- memory -------------------------------------------------------------------------- */

static void set_count(lua_State *L, const char *name, int64_t count) {
  lua_pushinteger(L, count);
  lua_setfield(L, -2, name);
}

/* memory(): what the runtime holds (Lua's own memory is not in it) */
static int memory(lua_State *L) {
  sr_memory_info info = sr_memory_stats();
  lua_createtable(L, 0, 5);
  set_count(L, "live_bytes", info.live_bytes);
  set_count(L, "live_blocks", info.live_blocks);
  set_count(L, "peak_bytes", info.peak_bytes);
  set_count(L, "cached_bytes", info.cached_bytes);
  set_count(L, "allocations", info.allocations);
  return 1;
}

/* memory_fail_at(n, onwards): for tests; the n-th request from now fails, 0 switches off */
static int memory_fail_at(lua_State *L) {
  static const char *const names[] = {"n", "onwards", NULL};
  sr_arguments(L, "memory_fail_at", names);
  int64_t n = sr_check_integer(L, 1, "memory_fail_at", "n");
  bool onwards = sr_optional_boolean(L, 2, false, "memory_fail_at", "onwards");
  if (n < 0) sr_error(L, "memory_fail_at: argument 'n' is %lld, below 0", (long long)n);
  sr_memory_fail_at(n, onwards);
  return 0;
}

/* memory_trim(): give cached blocks back to the system */
static int memory_trim(lua_State *L) {
  (void)L;
  sr_memory_trim();
  return 0;
}

/* peak_rss(): the most memory of the process so far, in bytes */
static int peak_rss(lua_State *L) {
  struct rusage usage = {0};
  getrusage(RUSAGE_SELF, &usage);
  lua_pushinteger(L, (lua_Integer)usage.ru_maxrss * 1024);
  return 1;
}

/* ---- processor and devices ----------------------------------------------------------- */

static int set_num_threads(lua_State *L) {
  static const char *const names[] = {"n", NULL};
  sr_arguments(L, "set_num_threads", names);
  int64_t n = sr_check_integer(L, 1, "set_num_threads", "n");
  if (n < 1 || n > 65536)
    sr_error(L, "set_num_threads: argument 'n' is %lld: a number of threads is needed",
             (long long)n);
  sr_raise(L, sr_set_num_threads((int)n));
  return 0;
}

static int get_num_threads(lua_State *L) {
  lua_pushinteger(L, sr_num_threads());
  return 1;
}

/* cpu_kernels(): the instruction set in use */
static int cpu_kernels(lua_State *L) {
  lua_pushstring(L, sr_cpu_kernels());
  return 1;
}

/* product_library(): what computes large products on the CPU */
static int product_library(lua_State *L) {
  lua_pushstring(L, sr_product_library());
  return 1;
}

static int cuda_device_count(lua_State *L) {
  sr_arguments(L, "device_count", no_names);
  lua_pushinteger(L, sr_device_count("cuda"));
  return 1;
}

static int cuda_is_available(lua_State *L) {
  sr_arguments(L, "is_available", no_names);
  lua_pushboolean(L, sr_device_count("cuda") > 0);
  return 1;
}

void sr_bind_system(lua_State *L) {
  static const sr_binding functions[] = {{"clock", monotonic_clock, false},
                                         {"cpu_time", cpu_time, false},
                                         {"is_terminal", is_terminal, false},
                                         {"terminal_width", terminal_width, false},
                                         {"hold_interrupts", hold_interrupts, false},
                                         {"interrupt_seen", interrupt_seen, false},
                                         {"memory", memory, false},
                                         {"memory_fail_at", memory_fail_at, false},
                                         {"memory_trim", memory_trim, false},
                                         {"peak_rss", peak_rss, false},
                                         {"set_num_threads", set_num_threads, false},
                                         {"get_num_threads", get_num_threads, false},
                                         {"cpu_kernels", cpu_kernels, false},
                                         {"product_library", product_library, false},
                                         {NULL, NULL, false}};
  static const luaL_Reg cuda[] = {
      {"is_available", cuda_is_available}, {"device_count", cuda_device_count}, {NULL, NULL}};
  sr_register(L, functions);
  lua_pushliteral(L, SR_VERSION);
  lua_setfield(L, -2, "version");
  luaL_newlib(L, cuda);
  lua_setfield(L, -2, "cuda");
}
