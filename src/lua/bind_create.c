/* bind_create.c: making tensors from sizes, tables and numbers. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "lua/binding.h"

/* What a script set with set_default_dtype and set_default_device. */
static sr_dtype default_dtype = SR_float32;
static sr_device default_device = SR_CPU;

sr_device sr_optional_device(lua_State *L, int i, const char *function) {
  if (lua_isnoneornil(L, i)) return default_device;
  sr_device device;
  sr_raise(L, sr_device_parse(sr_check_string(L, i, function, "device"), &device));
  return device;
}

static int set_default_dtype(lua_State *L) {
  sr_dtype dtype = sr_optional_dtype(L, 1, SR_float32, "set_default_dtype");
  if (!sr_dtype_is_floating(dtype))
    sr_error(L, "set_default_dtype: a floating dtype is needed, got %s", sr_dtype_name(dtype));
  default_dtype = dtype;
  return 0;
}

static int get_default_dtype(lua_State *L) {
  lua_pushstring(L, sr_dtype_name(default_dtype));
  return 1;
}

static int set_default_device(lua_State *L) {
  default_device = sr_optional_device(L, 1, "set_default_device");
  return 0;
}

static int get_default_device(lua_State *L) {
  char name[16];
  lua_pushstring(L, sr_device_name(default_device, name));
  return 1;
}

/* ---- sizes and options --------------------------------------------------------------------- */

typedef struct {
  const char *function; /* for messages */
  int ndim;
  int64_t size[SR_MAX_DIMS];
  sr_dtype dtype;
  sr_device device;
  bool requires_grad;
  sr_generator *generator;
} making;

static const char *const making_names[] = {"dtype", "device", "requires_grad", "generator", NULL};

/* If there is an argument behind the first `least` and the last is a table with string keys,
 * take dtype, device, ... from it and remove it. (A list of sizes has none.) */
static void read_options_after(lua_State *L, int least, const char *function, making *m,
                               sr_dtype otherwise) {
  int top = lua_gettop(L);
  m->function = function;
  m->dtype = otherwise;
  m->device = default_device;
  m->requires_grad = false;
  m->generator = NULL;
  if (top > 1 && lua_isnil(L, top)) lua_settop(L, --top); /* no options */
  if (top <= least || lua_type(L, top) != LUA_TTABLE || lua_rawlen(L, top) > 0) return;
  lua_pushnil(L);
  while (lua_next(L, top)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    int value = lua_gettop(L);
    if (!strcmp(name, "dtype"))
      m->dtype = sr_optional_dtype(L, value, otherwise, function);
    else if (!strcmp(name, "device"))
      m->device = sr_optional_device(L, value, function);
    else if (!strcmp(name, "requires_grad"))
      m->requires_grad = sr_optional_boolean(L, value, false, function, name);
    else if (!strcmp(name, "generator"))
      m->generator = sr_optional_generator(L, value, function);
    else {
      const char *closest = sr_closest(name, making_names);
      sr_error(L, "%s: unknown option '%s'%s%s%s", function, name,
               closest ? ", did you mean '" : "", closest ? closest : "", closest ? "'?" : "");
    }
    lua_pop(L, 1);
  }
  lua_settop(L, top - 1);
}

static void read_options(lua_State *L, const char *function, making *m, sr_dtype otherwise) {
  read_options_after(L, 0, function, m, otherwise);
}

static void read_making(lua_State *L, int first, const char *function, making *m,
                        sr_dtype otherwise) {
  read_options(L, function, m, otherwise);
  m->ndim = sr_check_sizes(L, first, m->size, function, "size");
}

static int finish(lua_State *L, const making *m, sr_tensor *t) {
  if (m->requires_grad) sr_raise(L, sr_set_requires_grad(t, true));
  return sr_filled(L, 1);
}

static int make_full(lua_State *L, const making *m, sr_scalar value) {
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_tensor_full(m->dtype, m->ndim, m->size, value, m->device, y));
  return finish(L, m, *y);
}

static int create_zeros(lua_State *L) {
  making m;
  read_making(L, 1, "zeros", &m, default_dtype);
  return make_full(L, &m, sr_integer(0));
}

static int create_ones(lua_State *L) {
  making m;
  read_making(L, 1, "ones", &m, default_dtype);
  return make_full(L, &m, sr_integer(1));
}

static int create_empty(lua_State *L) {
  making m;
  read_making(L, 1, "empty", &m, default_dtype);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_tensor_empty(m.dtype, m.ndim, m.size, m.device, y));
  return finish(L, &m, *y);
}

static sr_dtype dtype_of_value(lua_State *L, int i, sr_scalar value) {
  if (lua_type(L, i) == LUA_TBOOLEAN) return SR_bool;
  return value.is_integer ? SR_int64 : default_dtype;
}

/* full({2, 3}, value) */
static int create_full(lua_State *L) {
  making m;
  sr_scalar value = sr_check_scalar(L, 2, "full", "fill_value");
  read_options(L, "full", &m, dtype_of_value(L, 2, value));
  m.ndim = sr_check_list(L, 1, m.size, "full", "size");
  return make_full(L, &m, value);
}

/* ---- like another -------------------------------------------------------------------- */

static void read_like(lua_State *L, const char *function, making *m) {
  sr_tensor *t = sr_check_tensor(L, 1, function, "input");
  read_options(L, function, m, sr_tensor_dtype(t));
  m->ndim = sr_tensor_ndim(t);
  memcpy(m->size, sr_tensor_sizes(t), (size_t)m->ndim * sizeof *m->size);
  m->device = m->device == default_device ? sr_tensor_device(t) : m->device;
}

static int create_zeros_like(lua_State *L) {
  making m;
  read_like(L, "zeros_like", &m);
  return make_full(L, &m, sr_integer(0));
}

static int create_ones_like(lua_State *L) {
  making m;
  read_like(L, "ones_like", &m);
  return make_full(L, &m, sr_integer(1));
}

static int create_full_like(lua_State *L) {
  making m;
  sr_scalar value = sr_check_scalar(L, 2, "full_like", "fill_value");
  read_like(L, "full_like", &m);
  return make_full(L, &m, value);
}

static int create_empty_like(lua_State *L) {
  making m;
  read_like(L, "empty_like", &m);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_tensor_empty(m.dtype, m.ndim, m.size, m.device, y));
  return finish(L, &m, *y);
}

/* ---- random -------------------------------------------------------------------------- */

static int make_random(lua_State *L, const making *m, bool normal) {
  if (!sr_dtype_is_floating(m->dtype))
    sr_error(L, "%s: a floating dtype is needed, got %s", normal ? "randn" : "rand",
             sr_dtype_name(m->dtype));
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_tensor_empty(m->dtype, m->ndim, m->size, m->device, y));
  sr_raise(L, normal ? sr_normal_(*y, 0, 1, m->generator) : sr_uniform_(*y, 0, 1, m->generator));
  return finish(L, m, *y);
}

static int create_rand(lua_State *L) {
  making m;
  read_making(L, 1, "rand", &m, default_dtype);
  return make_random(L, &m, false);
}

static int create_randn(lua_State *L) {
  making m;
  read_making(L, 1, "randn", &m, default_dtype);
  return make_random(L, &m, true);
}

static int create_rand_like(lua_State *L) {
  making m;
  read_like(L, "rand_like", &m);
  return make_random(L, &m, false);
}

static int create_randn_like(lua_State *L) {
  making m;
  read_like(L, "randn_like", &m);
  return make_random(L, &m, true);
}

/* randint(low, high, {sizes}) or randint(high, {sizes}): low <= value < high */
static int create_randint(lua_State *L) {
  making m;
  int sizes_at = lua_type(L, 2) == LUA_TTABLE ? 2 : 3;
  read_options_after(L, sizes_at, "randint", &m, SR_int64);
  if (lua_gettop(L) == 2) {
    lua_pushinteger(L, 0);
    lua_insert(L, 1);
  }
  int64_t low = sr_check_integer(L, 1, "randint", "low");
  int64_t high = sr_check_integer(L, 2, "randint", "high");
  m.ndim = sr_check_list(L, 3, m.size, "randint", "size");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_tensor_empty(m.dtype, m.ndim, m.size, m.device, y));
  sr_raise(L, sr_random_(*y, low, high, m.generator));
  return finish(L, &m, *y);
}

static int create_randperm(lua_State *L) {
  making m;
  read_options(L, "randperm", &m, SR_int64);
  int64_t n = sr_check_integer(L, 1, "randperm", "n");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_randperm(n, m.device, m.generator, y));
  return finish(L, &m, *y);
}

/* ---- sequences ----------------------------------------------------------------------- */

/* arange(stop), arange(start, stop) or arange(start, stop, step); PyTorch's: stop is not
 * included, one argument counts from 0. */
static int create_arange(lua_State *L) {
  making m;
  read_options(L, "arange", &m, SR_DTYPES);
  int n = lua_gettop(L);
  sr_scalar start = sr_integer(0), step = sr_integer(1), end;
  if (n >= 2) start = sr_check_scalar(L, 1, "arange", "start");
  end = sr_check_scalar(L, n >= 2 ? 2 : 1, "arange", "end");
  if (n >= 3) step = sr_check_scalar(L, 3, "arange", "step");
  if (m.dtype == SR_DTYPES)
    m.dtype = start.is_integer && end.is_integer && step.is_integer ? SR_int64 : default_dtype;
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_tensor_arange(m.dtype, start, end, step, m.device, y));
  return finish(L, &m, *y);
}

static int create_linspace(lua_State *L) {
  making m;
  read_options(L, "linspace", &m, default_dtype);
  double start = sr_check_number(L, 1, "linspace", "start");
  double end = sr_check_number(L, 2, "linspace", "end");
  int64_t steps = sr_check_integer(L, 3, "linspace", "steps");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_tensor_linspace(m.dtype, start, end, steps, m.device, y));
  return finish(L, &m, *y);
}

static int create_eye(lua_State *L) {
  making m;
  read_options(L, "eye", &m, default_dtype);
  int64_t rows = sr_check_integer(L, 1, "eye", "n");
  int64_t columns = sr_optional_integer(L, 2, rows, "eye", "m");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_tensor_eye(m.dtype, rows, columns, m.device, y));
  return finish(L, &m, *y);
}

/* ---- from tables --------------------------------------------------------------------- */

/* The kinds of numbers met in a table: what its dtype follows from. */
enum { SEEN_BOOLEAN = 1, SEEN_INTEGER = 2, SEEN_FLOAT = 4 };

/* Sizes along the first items; deeper than SR_MAX_DIMS is refused, so that a table
 * that contains itself is too. */
static void measure_table(lua_State *L, making *m) {
  int depth = 0;
  m->ndim = 0;
  while (lua_type(L, -1) == LUA_TTABLE) {
    if (m->ndim == SR_MAX_DIMS) sr_error(L, "tensor: tables nested deeper than %d", SR_MAX_DIMS);
    m->size[m->ndim++] = (int64_t)lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
    depth++;
  }
  lua_pop(L, depth);
}

static void refuse_value(lua_State *L) {
  if (sr_to_tensor(L, -1))
    sr_error(L, "tensor: items must be numbers, got a tensor: saros.stack joins tensors");
  sr_error(L, "tensor: items must be numbers, booleans or tables of them, got %s",
           luaL_typename(L, -1));
}

/* Check that the value on top has shape m->size[d..] and see its kinds of numbers. */
static int check_table(lua_State *L, const making *m, int d) {
  int seen = 0;
  if (d == m->ndim) {
    if (lua_type(L, -1) == LUA_TBOOLEAN) return SEEN_BOOLEAN;
    if (lua_type(L, -1) != LUA_TNUMBER) refuse_value(L);
    return lua_isinteger(L, -1) ? SEEN_INTEGER : SEEN_FLOAT;
  }
  if (lua_type(L, -1) != LUA_TTABLE) refuse_value(L);
  const char *stray = sr_stray_key(L, lua_gettop(L));
  if (stray)
    sr_error(L, "tensor: a table of values is a list, without names as keys such as '%s'", stray);
  if ((int64_t)lua_rawlen(L, -1) != m->size[d])
    sr_error(L, "tensor: ragged table: %llu items at depth %d where the first has %lld",
             (unsigned long long)lua_rawlen(L, -1), d + 1, (long long)m->size[d]);
  for (int64_t i = 1; i <= m->size[d]; i++) {
    lua_rawgeti(L, -1, i);
    seen |= check_table(L, m, d + 1);
    lua_pop(L, 1);
  }
  return seen;
}

static void store_value(lua_State *L, sr_dtype dtype, char *at) {
  bool boolean = lua_type(L, -1) == LUA_TBOOLEAN;
  double number = boolean ? lua_toboolean(L, -1) : lua_tonumber(L, -1);
  switch (dtype) {
    case SR_float32: *(float *)at = (float)number; break;
    case SR_float64: *(double *)at = number; break;
    case SR_bool: *(uint8_t *)at = number != 0; break;
    default:
      if (!boolean && lua_isinteger(L, -1)) {
        *(int64_t *)at = lua_tointeger(L, -1);
      } else {
        if (!(number >= -0x1p63 && number < 0x1p63))
          sr_error(L, "tensor: %g does not fit int64", number);
        *(int64_t *)at = (int64_t)number;
      }
  }
}

static void store_table(lua_State *L, const making *m, int d, char **at) {
  if (d == m->ndim) {
    store_value(L, m->dtype, *at);
    *at += sr_dtype_bytes(m->dtype);
    return;
  }
  for (int64_t i = 1; i <= m->size[d]; i++) {
    lua_rawgeti(L, -1, i);
    store_table(L, m, d + 1, at);
    lua_pop(L, 1);
  }
}

static size_t count_bytes(lua_State *L, const making *m) {
  size_t bytes = sr_dtype_bytes(m->dtype);
  for (int d = 0; d < m->ndim; d++)
    if (__builtin_mul_overflow(bytes, (size_t)m->size[d], &bytes)) sr_error(L, "tensor: too large");
  return bytes;
}

static sr_dtype natural_dtype(int seen) {
  if (seen & SEEN_FLOAT || seen == 0) return default_dtype;
  return seen & SEEN_INTEGER ? SR_int64 : SR_bool;
}

static int copy_of_tensor(lua_State *L, making *m, sr_tensor *t) {
  sr_dtype dtype = m->dtype == SR_DTYPES ? sr_tensor_dtype(t) : m->dtype;
  bool recording = sr_set_grad_enabled(false);
  sr_tensor **moved = sr_push_tensor(L);
  sr_status status = sr_to(t, dtype, m->device, moved);
  sr_tensor **y = sr_push_tensor(L);
  if (!status) status = sr_clone(*moved, y);
  sr_set_grad_enabled(recording);
  sr_raise(L, status);
  return finish(L, m, *y);
}

/* tensor(value, {dtype, device, requires_grad}): value a number, a boolean, a table of
 * them of any depth, or a tensor (copied). */
int sr_create_tensor(lua_State *L) {
  making m;
  if (lua_gettop(L) >= 2) {
    read_options(L, "tensor", &m, SR_DTYPES);
    if (lua_gettop(L) > 1) sr_error(L, "tensor: one value and a table of options are expected");
  } else {
    m = (making){.function = "tensor", .dtype = SR_DTYPES, .device = default_device};
  }
  sr_tensor *t = sr_to_tensor(L, 1);
  if (t) return copy_of_tensor(L, &m, t);
  luaL_checkstack(L, 3 * SR_MAX_DIMS + 8, "tensor");
  lua_settop(L, 1);
  measure_table(L, &m);
  int seen = check_table(L, &m, 0);
  if (m.dtype == SR_DTYPES) m.dtype = natural_dtype(seen);
  char *values = lua_newuserdatauv(L, count_bytes(L, &m) + 1, 0), *at = values;
  lua_pushvalue(L, 1);
  store_table(L, &m, 0, &at);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_tensor_from(m.dtype, m.ndim, m.size, values, m.device, y));
  return finish(L, &m, *y);
}

static const sr_binding functions[] = {
    {"tensor", sr_create_tensor, false},
    {"zeros", create_zeros, false},
    {"ones", create_ones, false},
    {"empty", create_empty, false},
    {"full", create_full, false},
    {"zeros_like", create_zeros_like, false},
    {"ones_like", create_ones_like, false},
    {"full_like", create_full_like, false},
    {"empty_like", create_empty_like, false},
    {"rand", create_rand, false},
    {"randn", create_randn, false},
    {"rand_like", create_rand_like, false},
    {"randn_like", create_randn_like, false},
    {"randint", create_randint, false},
    {"randperm", create_randperm, false},
    {"arange", create_arange, false},
    {"linspace", create_linspace, false},
    {"eye", create_eye, false},
    {"set_default_dtype", set_default_dtype, false},
    {"get_default_dtype", get_default_dtype, false},
    {"set_default_device", set_default_device, false},
    {"get_default_device", get_default_device, false},
    {0},
};

void sr_bind_create(lua_State *L) { sr_register(L, functions); }
