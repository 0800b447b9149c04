/* bind_index.c: x[i], x[{ {1, 3}, {}, -1 }], x[ids], x[mask], assignments to them, and
 * the index functions. */
#include <string.h>

#include "lua/binding.h"

/* ---- x[key] ------------------------------------------------------------------------------- */

/* Position p of a dimension of n elements, from 0. */
static int64_t checked_position(lua_State *L, int64_t p, int item, int64_t n) {
  int64_t from0 = p > 0 ? p - 1 : p + n;
  if (p == 0) sr_error(L, "index: position 0 in dimension %d: positions count from 1", item);
  if (from0 < 0 || from0 >= n)
    sr_error(L, "index: position %lld in dimension %d of size %lld", (long long)p, item,
             (long long)n);
  return from0;
}

typedef struct {
  sr_tensor *tensor; /* the view so far; x itself at first */
  int item;          /* which position of the key is being read: x's dimension, from 1 */
} view;

/* A view made by one step stays on the stack until the read ends: a handful at most. */
static void take_select(lua_State *L, view *v, int dim, int64_t p) {
  int64_t n = sr_tensor_sizes(v->tensor)[dim];
  int64_t from0 = checked_position(L, p, v->item, n);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_select(v->tensor, dim, from0, y));
  v->tensor = *y;
}

static int64_t range_item(lua_State *L, int range, int k, int64_t otherwise, int item) {
  int64_t value = otherwise;
  if (lua_rawgeti(L, range, k) != LUA_TNIL) {
    int is_integer;
    value = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || lua_type(L, -1) != LUA_TNUMBER)
      sr_error(L, "index: the range of dimension %d must hold integers, got %s", item,
               luaL_tolstring(L, -1, NULL));
  }
  lua_pop(L, 1);
  return value;
}

/* {} all, {i} only i (the dimension stays), {first, last}, {first, last, step} */
static void take_range(lua_State *L, view *v, int dim, int range) {
  lua_Unsigned items = lua_rawlen(L, range);
  int64_t n = sr_tensor_sizes(v->tensor)[dim];
  if (items == 0 && (lua_pushnil(L), lua_next(L, range)))
    sr_error(L, "index: a range has the form {first, last, step}");
  if (items == 0) return;
  if (items > 3)
    sr_error(L, "index: a range has at most 3 items, got %llu", (unsigned long long)items);
  int64_t first = range_item(L, range, 1, 1, v->item),
          last = range_item(L, range, 2, first, v->item);
  int64_t step = range_item(L, range, 3, 1, v->item);
  if (step <= 0)
    sr_error(L, "index: step %lld in dimension %d: it must be positive", (long long)step, v->item);
  int64_t from0 = first > 0 ? first - 1 : first + n, to0 = last >= 0 ? last - 1 : last + n;
  if (first == 0 || from0 < 0 || from0 > n || to0 >= n || to0 < from0 - 1)
    sr_error(L, "index: range {%lld, %lld} in dimension %d of size %lld", (long long)first,
             (long long)last, v->item, (long long)n);
  int64_t length = to0 < from0 ? 0 : (to0 - from0) / step + 1;
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_slice(v->tensor, dim, from0, length, step, y));
  v->tensor = *y;
}

static void take_item(lua_State *L, view *v, int *dim, int item) {
  if (*dim >= sr_tensor_ndim(v->tensor))
    sr_error(L, "index: more positions than the tensor's dimensions");
  int is_integer;
  if (lua_type(L, item) == LUA_TNUMBER) {
    lua_Integer p = lua_tointegerx(L, item, &is_integer);
    if (!is_integer) sr_error(L, "index: position %s is no integer", luaL_tolstring(L, item, NULL));
    take_select(L, v, *dim, p);
  } else if (lua_type(L, item) == LUA_TTABLE) {
    take_range(L, v, *dim, item);
    (*dim)++;
  } else {
    sr_error(L, "index: an integer or a range {first, last, step} is expected, got %s",
             luaL_typename(L, item));
  }
}

/* The view that the key at index 2 describes; temporaries lie on the stack. */
static sr_tensor *view_of(lua_State *L, sr_tensor *x) {
  view v = {x, 1};
  int dim = 0;
  luaL_checkstack(L, 4 * SR_MAX_DIMS, "index");
  if (lua_type(L, 2) == LUA_TNUMBER) {
    if (sr_tensor_ndim(x) == 0) sr_error(L, "index: a 0-dimensional tensor has no positions");
    take_item(L, &v, &dim, 2);
    return v.tensor;
  }
  lua_Unsigned n = lua_rawlen(L, 2);
  const char *stray = sr_stray_key(L, 2);
  if (stray)
    sr_error(L, "index: a list of positions and ranges has no names as keys such as '%s'", stray);
  if (n > SR_MAX_DIMS || (int)n > sr_tensor_ndim(x))
    sr_error(L, "index: %llu positions for a tensor of %d dimensions", (unsigned long long)n,
             sr_tensor_ndim(x));
  for (int k = 1; k <= (int)n; k++) {
    lua_rawgeti(L, 2, k);
    v.item = k;
    take_item(L, &v, &dim, lua_gettop(L));
  }
  return v.tensor;
}

static int refuse_key(lua_State *L) {
  return sr_error(L, "index: a tensor is indexed by an integer, a table or a tensor, not by %s",
                  luaL_typename(L, 2));
}

/* x[mask] picks elements, x[ids] rows: (ids' shape, row's shape). */
static void check_mask(lua_State *L, const sr_tensor *x, const sr_tensor *mask) {
  int n = sr_tensor_ndim(mask);
  bool fits = n == sr_tensor_ndim(x);
  for (int d = 0; fits && d < n; d++) fits = sr_tensor_sizes(mask)[d] == sr_tensor_sizes(x)[d];
  if (fits) return;
  lua_getfield(L, 1, "shape");
  const char *shape = luaL_tolstring(L, -1, NULL);
  lua_getfield(L, 2, "shape");
  sr_error(L, "index: a mask of shape %s for a tensor of shape %s", luaL_tolstring(L, -1, NULL),
           shape);
}

static int read_by_tensor(lua_State *L, sr_tensor *x, sr_tensor *key) {
  sr_tensor **y = sr_push_tensor(L);
  if (sr_tensor_dtype(key) == SR_bool) {
    check_mask(L, x, key);
    sr_raise(L, sr_masked_select(x, key, y));
    return sr_filled(L, 1);
  }
  sr_tensor **flat = sr_push_tensor(L), **rows = sr_push_tensor(L);
  sr_raise(L, sr_reshape(key, 1, (int64_t[]){-1}, flat));
  sr_raise(L, sr_index_select(x, 0, *flat, rows));
  int n = sr_tensor_ndim(key), m = sr_tensor_ndim(*rows);
  if (n + m - 1 > SR_MAX_DIMS)
    sr_error(L, "index: the result has more than %d dimensions", SR_MAX_DIMS);
  int64_t size[2 * SR_MAX_DIMS];
  memcpy(size, sr_tensor_sizes(key), (size_t)n * sizeof *size);
  memcpy(size + n, sr_tensor_sizes(*rows) + 1, (size_t)(m - 1) * sizeof *size);
  sr_raise(L, sr_view(*rows, n + m - 1, size, y));
  lua_pop(L, 2);
  return sr_filled(L, 1);
}

int sr_index_read(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "index", "self");
  sr_tensor *key = sr_to_tensor(L, 2);
  if (key) return read_by_tensor(L, x, key);
  int type = lua_type(L, 2);
  if (type != LUA_TNUMBER && type != LUA_TTABLE) return refuse_key(L);
  sr_tensor *v = view_of(L, x);
  if (v == x) { /* x[{}]: all of it, as a view */
    sr_tensor **y = sr_push_tensor(L);
    sr_raise(L, sr_view(x, sr_tensor_ndim(x), sr_tensor_sizes(x), y));
    return sr_filled(L, 1);
  }
  /* the view is the last tensor pushed; a copied key item may lie above it */
  while (sr_to_tensor(L, -1) != v) lua_pop(L, 1);
  return sr_filled(L, 1);
}

/* ---- x[key] = value ------------------------------------------------------------------ */

/* The values go to the chosen elements in order; one value goes to all of them. */
static int fill_mask(lua_State *L, sr_tensor *x, sr_tensor *mask, sr_tensor *value) {
  int64_t numel = sr_tensor_numel(x);
  sr_tensor **all = sr_push_tensor(L), **chosen = sr_push_tensor(L), **flat = sr_push_tensor(L);
  sr_tensor **values = sr_push_tensor(L), **filled = sr_push_tensor(L), **y = sr_push_tensor(L);
  sr_raise(L,
           sr_tensor_arange(SR_int64, sr_integer(SR_INDEX_BASE), sr_integer(numel + SR_INDEX_BASE),
                            sr_integer(1), sr_tensor_device(x), all));
  sr_tensor **positions = sr_push_tensor(L);
  sr_raise(L, sr_view(*all, sr_tensor_ndim(x), sr_tensor_sizes(x), positions));
  sr_raise(L, sr_masked_select(*positions, mask, chosen));
  int64_t count = sr_tensor_numel(*chosen);
  if (sr_tensor_numel(value) != 1 && sr_tensor_numel(value) != count)
    sr_error(L, "index: %lld values for the %lld elements that the mask chooses",
             (long long)sr_tensor_numel(value), (long long)count);
  sr_raise(L, sr_reshape(value, 1, (int64_t[]){-1}, flat));
  sr_raise(L, sr_expand(*flat, 1, &count, values));
  sr_tensor **row = sr_push_tensor(L), **same = sr_push_tensor(L);
  sr_raise(L, sr_reshape(x, 1, (int64_t[]){-1}, row));
  sr_raise(L, sr_to(*values, sr_tensor_dtype(x), sr_tensor_device(x), same));
  sr_raise(L, sr_scatter(*row, 0, *chosen, (sr_operand){.tensor = *same}, filled));
  sr_raise(L, sr_view(*filled, sr_tensor_ndim(x), sr_tensor_sizes(x), y));
  sr_raise(L, sr_copy_(x, *y));
  return 0;
}

static int write_by_tensor(lua_State *L, sr_tensor *x, sr_tensor *key) {
  sr_operand value = sr_check_operand(L, 3, "index", "value");
  if (sr_tensor_dtype(key) != SR_bool)
    sr_error(
        L,
        "index: assignment by positions: use x:scatter or assign row by row (a bool mask works)");
  check_mask(L, x, key);
  if (!value.tensor) {
    sr_raise(L, sr_masked_fill_(x, key, value.number));
    return 0;
  }
  return fill_mask(L, x, key, value.tensor);
}

int sr_index_write(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "index", "self");
  sr_tensor *key = sr_to_tensor(L, 2);
  if (key) return write_by_tensor(L, x, key);
  int type = lua_type(L, 2);
  if (type != LUA_TNUMBER && type != LUA_TTABLE) return refuse_key(L);
  if (lua_type(L, 3) == LUA_TTABLE) { /* x[1] = {1, 2, 3} */
    lua_pushcfunction(L, sr_create_tensor);
    lua_pushvalue(L, 3);
    lua_call(L, 1, 1);
    lua_replace(L, 3);
  }
  sr_operand value = sr_check_operand(L, 3, "index", "value");
  sr_tensor **plain = sr_push_tensor(L); /* the view is made without history */
  sr_raise(L, sr_detach(x, plain));
  sr_raise(L, sr_assign(x, view_of(L, *plain), value));
  return 0;
}

/* ---- functions ----------------------------------------------------------------------- */

static int index_select(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "index_select", "input");
  int dim = sr_check_dim(L, 2, "index_select", "dim");
  sr_tensor *index = sr_check_tensor(L, 3, "index_select", "index");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_index_select(x, dim, index, y));
  return sr_filled(L, 1);
}

static int gather(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "gather", "input");
  int dim = sr_check_dim(L, 2, "gather", "dim");
  sr_tensor *index = sr_check_tensor(L, 3, "gather", "index");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_gather(x, dim, index, y));
  return sr_filled(L, 1);
}

static int scatter(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "scatter", "input");
  int dim = sr_check_dim(L, 2, "scatter", "dim");
  sr_tensor *index = sr_check_tensor(L, 3, "scatter", "index");
  sr_operand source = sr_check_operand(L, 4, "scatter", "src");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_scatter(x, dim, index, source, y));
  return sr_filled(L, 1);
}

static int scatter_add(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "scatter_add", "input");
  int dim = sr_check_dim(L, 2, "scatter_add", "dim");
  sr_tensor *index = sr_check_tensor(L, 3, "scatter_add", "index");
  sr_tensor *source = sr_check_tensor(L, 4, "scatter_add", "src");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_scatter_add(x, dim, index, source, y));
  return sr_filled(L, 1);
}

static int masked_select(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "masked_select", "input");
  sr_tensor *mask = sr_check_tensor(L, 2, "masked_select", "mask");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_masked_select(x, mask, y));
  return sr_filled(L, 1);
}

static int nonzero(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "nonzero", "input");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_nonzero(x, y));
  return sr_filled(L, 1);
}

static int embedding(lua_State *L) {
  if (sr_is_stand_in(L, 2)) return sr_call_stand_in(L);
  sr_tensor *weight = sr_check_tensor(L, 1, "embedding", "weight");
  sr_tensor *ids = sr_check_tensor(L, 2, "embedding", "input");
  int64_t padding = sr_optional_integer(L, 3, SR_NO_PADDING, "embedding", "padding_idx");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_embedding(weight, ids, padding, y));
  return sr_filled(L, 1);
}

static int one_hot(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  static const char *const names[] = {"input", "num_classes", NULL};
  sr_arguments(L, "one_hot", names);
  sr_tensor *ids = sr_check_tensor(L, 1, "one_hot", "input");
  int64_t classes = sr_optional_integer(L, 2, 0, "one_hot", "num_classes");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_one_hot(ids, classes, y));
  return sr_filled(L, 1);
}

static const sr_binding functions[] = {
    {"index_select", index_select, true},
    {"gather", gather, true},
    {"scatter", scatter, true},
    {"scatter_add", scatter_add, true},
    {"masked_select", masked_select, true},
    {"nonzero", nonzero, true},
    {"embedding", embedding, false},
    {"one_hot", one_hot, false},
    {0},
};

void sr_bind_index(lua_State *L) { sr_register(L, functions); }
