/* bind_packing.c: layouts of sequences of different lengths: positional, for
 * saros.nn.packing, which has the options. */
#include <string.h>

#include "lua/binding.h"

/* `function` is what the script called: the library's name of it. */
static void raise_in(lua_State *L, sr_status status, const char *function) {
  static const char own[] = "PackedSequence: ";
  const char *message = sr_message();
  if (!status) return;
  sr_error(L, "%s: %s", function,
           message + (strncmp(message, own, sizeof own - 1) ? 0 : sizeof own - 1));
}

/* Values of an int64 tensor of one dimension, in a userdata pushed on the stack. */
static const int64_t *check_values(lua_State *L, int i, int64_t *n, const char *function,
                                   const char *argument) {
  sr_tensor *t = sr_check_tensor(L, i, function, argument);
  if (sr_tensor_dtype(t) != SR_int64 || sr_tensor_ndim(t) != 1)
    sr_error(L, "%s: %s must be an int64 tensor of one dimension", function, argument);
  *n = sr_tensor_numel(t);
  int64_t *values = lua_newuserdatauv(L, ((size_t)*n + 1) * sizeof *values, 0);
  sr_raise(L, sr_tensor_read(t, values));
  return values;
}

/* The arguments batch_sizes, sorted_indices (or nil), batch at i, i + 1, i + 2. */
static sr_packing check_packing(lua_State *L, int i, const char *function) {
  sr_packing p = {.batch = sr_check_integer(L, i + 2, function, "batch")};
  int64_t sequences = p.batch;
  p.batch_sizes = check_values(L, i, &p.steps, function, "batch_sizes");
  if (!lua_isnil(L, i + 1))
    p.sorted = check_values(L, i + 1, &sequences, function, "sorted_indices");
  if (sequences != p.batch)
    sr_error(L, "%s: %lld sorted_indices for a batch of %lld", function, (long long)sequences,
             (long long)p.batch);
  return p;
}

static sr_layout check_layout(lua_State *L, int i) {
  static const char *const layouts[] = {[SR_PACKED] = "packed",
                                        [SR_CHAINED] = "chained",
                                        [SR_TIME_FIRST] = "time_first",
                                        [SR_BATCH_FIRST] = "batch_first",
                                        NULL};
  return (sr_layout)luaL_checkoption(L, i, NULL, layouts);
}

/* repack(function, x, from, to, batch_sizes, sorted, batch, length, padding) -> tensor */
static int repack(lua_State *L) {
  const char *f = sr_check_string(L, 1, "repack", "function");
  lua_settop(L, 9);
  sr_tensor *x = sr_check_tensor(L, 2, f, "input");
  sr_layout from = check_layout(L, 3), to = check_layout(L, 4);
  int64_t length = sr_optional_integer(L, 8, 0, f, "total_length");
  sr_scalar padding = lua_isnil(L, 9) ? sr_integer(0) : sr_check_scalar(L, 9, f, "padding_value");
  sr_packing p = check_packing(L, 5, f);
  sr_tensor **y = sr_push_tensor(L);
  raise_in(L, sr_repack(x, from, to, &p, length, padding, y), f);
  return sr_filled(L, 1);
}

/* packing_of(function, lengths, sort) -> batch_sizes, sorted_indices or nil */
static int packing_of(lua_State *L) {
  const char *f = sr_check_string(L, 1, "packing_of", "function");
  sr_tensor *lengths = sr_check_tensor(L, 2, f, "lengths");
  bool sort = sr_optional_boolean(L, 3, false, f, "sort");
  sr_tensor **batch_sizes = sr_push_tensor(L), **sorted = sr_push_tensor(L);
  raise_in(L, sr_packing_of(lengths, sort, batch_sizes, sorted), f);
  lua_settop(L, sort ? -1 : -2);
  return sr_filled(L, sort ? 2 : 1);
}

/* packing_lengths(function, batch_sizes, sorted, batch) -> lengths */
static int packing_lengths(lua_State *L) {
  const char *f = sr_check_string(L, 1, "packing_lengths", "function");
  lua_settop(L, 4);
  sr_packing p = check_packing(L, 2, f);
  sr_tensor **lengths = sr_push_tensor(L);
  raise_in(L, sr_packing_lengths(&p, lengths), f);
  return sr_filled(L, 1);
}

/* packing_check(function, data, batch_sizes, sorted, batch) */
static int packing_check(lua_State *L) {
  const char *f = sr_check_string(L, 1, "packing_check", "function");
  lua_settop(L, 5);
  sr_tensor *data = sr_check_tensor(L, 2, f, "data");
  sr_packing p = check_packing(L, 3, f);
  raise_in(L, sr_packing_check(&p, data), f);
  return 0;
}

static const sr_binding functions[] = {
    {"repack", repack, false},
    {"packing_of", packing_of, false},
    {"packing_lengths", packing_lengths, false},
    {"packing_check", packing_check, false},
    {0},
};

void sr_bind_packing(lua_State *L) { sr_register(L, functions); }
