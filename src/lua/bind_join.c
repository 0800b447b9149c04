/* bind_join.c: tensors put together, taken apart, repeated and moved round. */
#include <limits.h>
#include <string.h>

#include "lua/binding.h"

static const char *const join_names[] = {"tensors", "dim", NULL};

static int cat(lua_State *L) {
  sr_arguments(L, "cat", join_names);
  int dim = sr_optional_dim(L, 2, 0, "cat", "dim"), n;
  sr_tensor **list = sr_check_tensors(L, 1, &n, "cat", "tensors");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_cat(n, list, dim, y));
  return sr_filled(L, 1);
}

static int stack(lua_State *L) {
  sr_arguments(L, "stack", join_names);
  int dim = sr_optional_dim(L, 2, 0, "stack", "dim"), n;
  sr_tensor **list = sr_check_tensors(L, 1, &n, "stack", "tensors");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_stack(n, list, dim, y));
  return sr_filled(L, 1);
}

/* Push a list of the pieces [from, from + length[k]) of dimension dim, k = 0 .. n-1. */
static int push_pieces(lua_State *L, sr_tensor *x, int dim, int64_t n,
                       int64_t (*length)(const int64_t *state, int64_t k), const int64_t *state) {
  lua_createtable(L, n < INT_MAX ? (int)n : 0, 0);
  int64_t from = 0;
  for (int64_t k = 0; k < n; k++) {
    int64_t size = length(state, k);
    sr_tensor **y = sr_push_tensor(L);
    sr_raise(L, sr_narrow(x, dim, from, size, y));
    sr_filled(L, 1);
    lua_rawseti(L, -2, k + 1);
    from += size;
  }
  return 1;
}

/* state: total size, piece size */
static int64_t equal_piece(const int64_t *state, int64_t k) {
  int64_t left = state[0] - k * state[1]; /* k * size <= total */
  return left < state[1] ? left : state[1];
}
static int64_t listed_piece(const int64_t *state, int64_t k) { return state[k]; }

static int64_t size_of(lua_State *L, const sr_tensor *x, int *dim, const char *function) {
  int n = sr_tensor_ndim(x), d = *dim < 0 ? *dim + n : *dim;
  if (d < 0 || d >= n)
    sr_error(L, "%s: dimension %d of a %d-dimensional tensor", function, *dim < 0 ? *dim : *dim + 1,
             n);
  *dim = d;
  return sr_tensor_sizes(x)[d];
}

static int push_equal(lua_State *L, sr_tensor *x, int dim, int64_t total, int64_t piece) {
  int64_t state[2] = {total, piece};
  int64_t n = total == 0 ? 1 : total / piece + (total % piece != 0);
  return push_pieces(L, x, dim, n, equal_piece, state);
}

/* split(x, size or {sizes}, dim) */
static int split(lua_State *L) {
  static const char *const names[] = {"input", "split_size", "dim", NULL};
  sr_arguments(L, "split", names);
  sr_tensor *x = sr_check_tensor(L, 1, "split", "input");
  int dim = sr_optional_dim(L, 3, 0, "split", "dim");
  int64_t total = size_of(L, x, &dim, "split"), sum = 0;
  if (lua_type(L, 2) != LUA_TTABLE) {
    int64_t piece = sr_check_integer(L, 2, "split", "split_size");
    if (piece <= 0) sr_error(L, "split: a positive size is needed, got %lld", (long long)piece);
    return push_equal(L, x, dim, total, piece);
  }
  int64_t n = (int64_t)lua_rawlen(L, 2);
  int64_t *pieces = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *pieces, 0);
  for (int64_t k = 0; k < n; k++) {
    lua_rawgeti(L, 2, k + 1);
    pieces[k] = sr_check_integer(L, -1, "split", "split_size");
    lua_pop(L, 1);
    if (pieces[k] < 0 || __builtin_add_overflow(sum, pieces[k], &sum))
      sr_error(L, "split: size %lld is not possible", (long long)pieces[k]);
  }
  if (sum != total)
    sr_error(L, "split: the sizes sum to %lld, dimension %d has %lld", (long long)sum, dim + 1,
             (long long)total);
  return push_pieces(L, x, dim, n, listed_piece, pieces);
}

/* chunk(x, n, dim): n pieces of equal size, the last may be shorter or missing */
static int chunk(lua_State *L) {
  static const char *const names[] = {"input", "chunks", "dim", NULL};
  sr_arguments(L, "chunk", names);
  sr_tensor *x = sr_check_tensor(L, 1, "chunk", "input");
  int64_t n = sr_check_integer(L, 2, "chunk", "chunks");
  int dim = sr_optional_dim(L, 3, 0, "chunk", "dim");
  int64_t total = size_of(L, x, &dim, "chunk");
  if (n <= 0) sr_error(L, "chunk: a positive number is needed, got %lld", (long long)n);
  int64_t piece = total / n + (total % n != 0);
  return push_equal(L, x, dim, total, piece ? piece : 1);
}

/* unbind(x, dim): a list of the slices */
static int unbind(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "unbind", "input");
  int dim = sr_optional_dim(L, 2, 0, "unbind", "dim");
  int64_t n = size_of(L, x, &dim, "unbind");
  lua_createtable(L, n < INT_MAX ? (int)n : 0, 0);
  for (int64_t k = 0; k < n; k++) {
    sr_tensor **y = sr_push_tensor(L);
    sr_raise(L, sr_select(x, dim, k, y));
    sr_filled(L, 1);
    lua_rawseti(L, -2, k + 1);
  }
  return 1;
}

static int flip(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "flip", "input");
  sr_dims dims;
  sr_check_dims(L, 2, &dims, "flip", "dims");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_flip(x, &dims, y));
  return sr_filled(L, 1);
}

/* repeat(x, 2, 3): a count for each dimension, and for new ones before them */
static int repeat(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "repeat", "input");
  int64_t times[SR_MAX_DIMS];
  int n = sr_check_sizes(L, 2, times, "repeat", "sizes");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_repeat(x, n, times, y));
  return sr_filled(L, 1);
}

/* tile(x, 3): as repeat, but fewer counts are those of the last dimensions */
static int tile(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "tile", "input");
  int64_t given[SR_MAX_DIMS], times[SR_MAX_DIMS];
  int n = sr_check_sizes(L, 2, given, "tile", "dims"), m = sr_tensor_ndim(x);
  int missing = m > n ? m - n : 0;
  for (int d = 0; d < missing; d++) times[d] = 1;
  memcpy(times + missing, given, (size_t)n * sizeof *times);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_repeat(x, n + missing, times, y));
  return sr_filled(L, 1);
}

/* All values as one row. */
static int roll_flat(lua_State *L, sr_tensor *x, int64_t shift) {
  sr_tensor **y = sr_push_tensor(L), **flat = sr_push_tensor(L), **moved = sr_push_tensor(L);
  sr_raise(L, sr_reshape(x, 1, (int64_t[]){-1}, flat));
  sr_raise(L, sr_roll(*flat, shift, 0, moved));
  sr_raise(L, sr_view(*moved, sr_tensor_ndim(x), sr_tensor_sizes(x), y));
  lua_pop(L, 2);
  return sr_filled(L, 1);
}

static int read_shifts(lua_State *L, int64_t shifts[SR_MAX_DIMS]) {
  if (lua_type(L, 2) == LUA_TTABLE) return sr_check_list(L, 2, shifts, "roll", "shifts");
  shifts[0] = sr_check_integer(L, 2, "roll", "shifts");
  return 1;
}

/* roll(x, 1, 2), roll(x, {1, -1}, {1, 2}), roll(x, 1) */
static int roll(lua_State *L) {
  static const char *const names[] = {"input", "shifts", "dims", NULL};
  sr_arguments(L, "roll", names);
  sr_tensor *x = sr_check_tensor(L, 1, "roll", "input");
  int64_t shifts[SR_MAX_DIMS];
  int n = read_shifts(L, shifts);
  if (lua_isnil(L, 3) && n == 1) return roll_flat(L, x, shifts[0]);
  sr_dims dims;
  sr_check_dims(L, 3, &dims, "roll", "dims");
  if (dims.n != n || n == 0)
    sr_error(L, "roll: as many dims as shifts are needed, got %d and %d", dims.n, n);
  for (int k = 0; k < n; k++) {
    sr_tensor **y = sr_push_tensor(L);
    sr_raise(L, sr_roll(x, shifts[k], dims.dim[k], y));
    x = *y;
  }
  return sr_filled(L, 1);
}

static const sr_binding functions[] = {
    {"cat", cat, false},    {"concat", cat, false},   {"stack", stack, false},
    {"split", split, true}, {"chunk", chunk, true},   {"unbind", unbind, true},
    {"flip", flip, true},   {"repeat", repeat, true}, /* a word of Lua: x["repeat"](x, 2, 1); or tile */
    {"tile", tile, true},   {"roll", roll, true},     {0},
};

void sr_bind_join(lua_State *L) { sr_register(L, functions); }
