/* bind_shape.c: views, joins, copies. Dimensions and positions count from 1. */
#include <limits.h>
#include <string.h>

#include "lua/binding.h"

static int view(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "view", "input");
  int64_t size[SR_MAX_DIMS];
  int n = sr_check_sizes(L, 2, size, "view", "shape");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_view(x, n, size, y));
  return sr_filled(L, 1);
}

static int reshape(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "reshape", "input");
  int64_t size[SR_MAX_DIMS];
  int n = sr_check_sizes(L, 2, size, "reshape", "shape");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_reshape(x, n, size, y));
  return sr_filled(L, 1);
}

static int view_as(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "view_as", "input");
  sr_tensor *other = sr_check_tensor(L, 2, "view_as", "other");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_view(x, sr_tensor_ndim(other), sr_tensor_sizes(other), y));
  return sr_filled(L, 1);
}

static int flatten(lua_State *L) {
  static const char *const names[] = {"input", "start_dim", "end_dim", NULL};
  sr_arguments(L, "flatten", names);
  sr_tensor *x = sr_check_tensor(L, 1, "flatten", "input");
  int first = sr_optional_dim(L, 2, 0, "flatten", "start_dim");
  int last = sr_optional_dim(L, 3, -1, "flatten", "end_dim");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_flatten(x, first, last, y));
  return sr_filled(L, 1);
}

static int transpose(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "transpose", "input");
  int d0 = sr_check_dim(L, 2, "transpose", "dim0"), d1 = sr_check_dim(L, 3, "transpose", "dim1");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_transpose(x, d0, d1, y));
  return sr_filled(L, 1);
}

static int t(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "t", "input");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_t(x, y));
  return sr_filled(L, 1);
}

/* permute(2, 1, 3) or permute({2, 1, 3}) */
static int permute(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "permute", "input");
  int64_t list[SR_MAX_DIMS];
  int n = sr_check_sizes(L, 2, list, "permute", "dims"), dims[SR_MAX_DIMS];
  for (int k = 0; k < n; k++) {
    if (list[k] == 0) sr_error(L, "permute: dimensions count from 1, got 0");
    if (list[k] > SR_MAX_DIMS || list[k] < -SR_MAX_DIMS)
      sr_error(L, "permute: %lld is no dimension", (long long)list[k]);
    dims[k] = list[k] > 0 ? (int)list[k] - 1 : (int)list[k];
  }
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_permute(x, n, dims, y));
  return sr_filled(L, 1);
}

static int squeeze(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "squeeze", "input");
  sr_dims dims;
  sr_check_dims(L, 2, &dims, "squeeze", "dim");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_squeeze(x, &dims, y));
  return sr_filled(L, 1);
}

static int unsqueeze(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "unsqueeze", "input");
  int dim = sr_check_dim(L, 2, "unsqueeze", "dim");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_unsqueeze(x, dim, y));
  return sr_filled(L, 1);
}

static int expand(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "expand", "input");
  int64_t size[SR_MAX_DIMS];
  int n = sr_check_sizes(L, 2, size, "expand", "size");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_expand(x, n, size, y));
  return sr_filled(L, 1);
}

static int expand_as(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "expand_as", "input");
  sr_tensor *other = sr_check_tensor(L, 2, "expand_as", "other");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_expand(x, sr_tensor_ndim(other), sr_tensor_sizes(other), y));
  return sr_filled(L, 1);
}

/* A position as the user gives it (1 .., or negative from the end) from 0. */
static int64_t position(lua_State *L, int i, const char *function, const char *argument,
                        const sr_tensor *x, int dim) {
  int64_t p = sr_check_integer(L, i, function, argument);
  int n = sr_tensor_ndim(x), d = dim < 0 ? dim + n : dim;
  if (p == 0) sr_error(L, "%s: argument '%s' is 0: positions count from 1", function, argument);
  if (p < 0 && d >= 0 && d < n) return p + sr_tensor_sizes(x)[d];
  return p - (p > 0);
}

static int narrow(lua_State *L) {
  static const char *const names[] = {"input", "dim", "start", "length", NULL};
  sr_arguments(L, "narrow", names);
  sr_tensor *x = sr_check_tensor(L, 1, "narrow", "input");
  int dim = sr_check_dim(L, 2, "narrow", "dim");
  int64_t start = position(L, 3, "narrow", "start", x, dim);
  int64_t length = sr_check_integer(L, 4, "narrow", "length");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_narrow(x, dim, start, length, y));
  return sr_filled(L, 1);
}

static int select_(lua_State *L) {
  static const char *const names[] = {"input", "dim", "index", NULL};
  sr_arguments(L, "select", names);
  sr_tensor *x = sr_check_tensor(L, 1, "select", "input");
  int dim = sr_check_dim(L, 2, "select", "dim");
  int64_t p = position(L, 3, "select", "index", x, dim);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_select(x, dim, p, y));
  return sr_filled(L, 1);
}

static int diagonal(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "diagonal", "input");
  int d0 = sr_optional_dim(L, 2, 0, "diagonal", "dim1");
  int d1 = sr_optional_dim(L, 3, 1, "diagonal", "dim2");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_diagonal(x, d0, d1, y));
  return sr_filled(L, 1);
}

/* ---- joins --------------------------------------------------------------------------- */

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

static int repeat(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "repeat", "input");
  int64_t times[SR_MAX_DIMS];
  int n = sr_check_sizes(L, 2, times, "repeat", "sizes");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_repeat(x, n, times, y));
  return sr_filled(L, 1);
}

static int roll(lua_State *L) {
  static const char *const names[] = {"input", "shifts", "dims", NULL};
  sr_arguments(L, "roll", names);
  sr_tensor *x = sr_check_tensor(L, 1, "roll", "input");
  int64_t shift = sr_check_integer(L, 2, "roll", "shifts");
  sr_tensor **y = sr_push_tensor(L);
  if (lua_isnil(L, 3)) { /* as one row of values */
    sr_tensor **flat = sr_push_tensor(L), **moved = sr_push_tensor(L);
    sr_raise(L, sr_reshape(x, 1, (int64_t[]){-1}, flat));
    sr_raise(L, sr_roll(*flat, shift, 0, moved));
    sr_raise(L, sr_view(*moved, sr_tensor_ndim(x), sr_tensor_sizes(x), y));
    lua_pop(L, 2);
    return sr_filled(L, 1);
  }
  int dim = sr_check_dim(L, 3, "roll", "dims");
  sr_raise(L, sr_roll(x, shift, dim, y));
  return sr_filled(L, 1);
}

/* ---- copies and conversions ---------------------------------------------------------- */

static int clone(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "clone", "input");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_clone(x, y));
  return sr_filled(L, 1);
}

static int contiguous(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "contiguous", "input");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_contiguous(x, y));
  return sr_filled(L, 1);
}

static int push_converted(lua_State *L, sr_tensor *x, sr_dtype dtype, sr_device device) {
  if (dtype == sr_tensor_dtype(x) && device == sr_tensor_device(x)) {
    lua_settop(L, 1); /* nothing changes: the same tensor */
    return 1;
  }
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_to(x, dtype, device, y));
  return sr_filled(L, 1);
}

static bool names_dtype(const char *name) {
  sr_dtype dtype;
  return sr_dtype_parse(name, &dtype) == SR_OK;
}

/* to("float64"), to("cuda"), to(other), to{dtype =, device =}, to("cuda", "float64") */
static int to(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "to", "input");
  sr_dtype dtype = sr_tensor_dtype(x);
  sr_device device = sr_tensor_device(x);
  if (lua_type(L, 2) == LUA_TTABLE) {
    static const char *const names[] = {"input", "device", "dtype", NULL};
    sr_arguments(L, "to", names);
    dtype = sr_optional_dtype(L, 3, dtype, "to");
    if (!lua_isnil(L, 2)) device = sr_optional_device(L, 2, "to");
    return push_converted(L, x, dtype, device);
  }
  if (lua_gettop(L) < 2) sr_error(L, "to: a dtype, a device or a tensor is expected");
  for (int i = 2; i <= lua_gettop(L); i++) {
    sr_tensor *other = sr_to_tensor(L, i);
    if (other) {
      dtype = sr_tensor_dtype(other);
      device = sr_tensor_device(other);
    } else if (names_dtype(sr_check_string(L, i, "to", "dtype or device"))) {
      dtype = sr_optional_dtype(L, i, dtype, "to");
    } else if (sr_device_parse(lua_tostring(L, i), &device)) {
      sr_error(L,
               "to: '%s' is neither a dtype (float32, float64, int64, bool) nor a device here (%s)",
               lua_tostring(L, i), sr_message());
    }
  }
  return push_converted(L, x, dtype, device);
}

static int convert(lua_State *L, sr_dtype dtype, const char *function) {
  sr_tensor *x = sr_check_tensor(L, 1, function, "input");
  return push_converted(L, x, dtype, sr_tensor_device(x));
}

static int to_float(lua_State *L) { return convert(L, SR_float32, "float"); }
static int to_double(lua_State *L) { return convert(L, SR_float64, "double"); }
static int to_long(lua_State *L) { return convert(L, SR_int64, "long"); }
static int to_bool(lua_State *L) { return convert(L, SR_bool, "bool"); }

static int cpu(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "cpu", "input");
  return push_converted(L, x, sr_tensor_dtype(x), SR_CPU);
}

static const sr_binding functions[] = {
    {"view", view, true},
    {"view_as", view_as, true},
    {"reshape", reshape, true},
    {"flatten", flatten, true},
    {"transpose", transpose, true},
    {"t", t, true},
    {"permute", permute, true},
    {"squeeze", squeeze, true},
    {"unsqueeze", unsqueeze, true},
    {"expand", expand, true},
    {"expand_as", expand_as, true},
    {"narrow", narrow, true},
    {"select", select_, true},
    {"diagonal", diagonal, true},
    {"cat", cat, false},
    {"stack", stack, false},
    {"split", split, true},
    {"chunk", chunk, true},
    {"unbind", unbind, true},
    {"flip", flip, true},
    {"roll", roll, true},
    {"clone", clone, true},
    {"contiguous", contiguous, true},
    {"to", to, true},
    {"float", to_float, true},
    {"double", to_double, true},
    {"long", to_long, true},
    {"bool", to_bool, true},
    {"cpu", cpu, true},
    {0},
};

void sr_bind_shape(lua_State *L) {
  sr_register(L, functions);
  /* `repeat` is a word of Lua: x["repeat"](x, 2, 1) or x:tile(2, 1) */
  static const char *const others[] = {"repeat", "tile", NULL};
  for (const char *const *name = others; *name; name++) {
    lua_pushcfunction(L, repeat);
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, *name);
    lua_setfield(L, -2, *name);
  }
}
