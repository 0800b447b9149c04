/* bind_index.c: x[i], x[{ {1, 3}, {}, -1 }], x[ids], x[mask], and assignments to them. */
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
  } else if (sr_to_tensor(L, item)) {
    sr_error(L,
             "index: a tensor stands alone, as x[ids]: along dimension %d use "
             "x:index_select(%d, ids), for one position of each row x:gather",
             v->item, v->item);
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

/* ---- x[ids], x[mask] ------------------------------------------------------------------ */

/* x[mask] picks elements, or, where the mask has the first dimensions of x only, parts. */
static void check_mask(lua_State *L, const sr_tensor *x, const sr_tensor *mask) {
  int n = sr_tensor_ndim(mask);
  bool fits = n <= sr_tensor_ndim(x) && (n > 0 || sr_tensor_ndim(x) == 0);
  for (int d = 0; fits && d < n; d++) fits = sr_tensor_sizes(mask)[d] == sr_tensor_sizes(x)[d];
  if (fits) return;
  lua_getfield(L, 1, "shape");
  const char *shape = luaL_tolstring(L, -1, NULL);
  lua_getfield(L, 2, "shape");
  sr_error(L, "index: a mask of shape %s for a tensor of shape %s", luaL_tolstring(L, -1, NULL),
           shape);
}

/* The rows of x at the positions in `key`: (key's shape, a row's shape). */
static int read_rows(lua_State *L, sr_tensor *x, sr_tensor *key) {
  sr_tensor **y = sr_push_tensor(L), **flat = sr_push_tensor(L), **rows = sr_push_tensor(L);
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

/* Push the positions of the true elements, counted through the whole mask: (count). */
static sr_tensor *push_positions(lua_State *L, sr_tensor *mask) {
  sr_tensor **ids = sr_push_tensor(L), **flat = sr_push_tensor(L), **pairs = sr_push_tensor(L);
  sr_raise(L, sr_reshape(mask, 1, (int64_t[]){-1}, flat));
  sr_raise(L, sr_nonzero(*flat, pairs));
  sr_raise(L, sr_view(*pairs, 1, (int64_t[]){sr_tensor_sizes(*pairs)[0]}, ids));
  lua_pop(L, 2);
  return *ids;
}

/* Push x with the dimensions of the mask, its first, joined into one. */
static sr_tensor *push_joined(lua_State *L, sr_tensor *x, const sr_tensor *mask) {
  int n = sr_tensor_ndim(mask), m = sr_tensor_ndim(x) - n;
  int64_t size[SR_MAX_DIMS + 1] = {sr_tensor_numel(mask)};
  memcpy(size + 1, sr_tensor_sizes(x) + n, (size_t)m * sizeof *size);
  sr_tensor **rows = sr_push_tensor(L);
  sr_raise(L, sr_reshape(x, m + 1, size, rows));
  return *rows;
}

static int read_by_tensor(lua_State *L, sr_tensor *x, sr_tensor *key) {
  if (sr_tensor_dtype(key) != SR_bool) return read_rows(L, x, key);
  check_mask(L, x, key);
  if (sr_tensor_ndim(key) < sr_tensor_ndim(x)) {
    sr_tensor *ids = push_positions(L, key);
    return read_rows(L, push_joined(L, x, key), ids);
  }
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_masked_select(x, key, y));
  return sr_filled(L, 1);
}

/* ---- x[key] --------------------------------------------------------------------------- */

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

/* Push t viewed with as many dimensions of size 1 behind its own as x has more. */
static sr_tensor *push_like(lua_State *L, const sr_tensor *x, sr_tensor *t) {
  int n = sr_tensor_ndim(t), m = sr_tensor_ndim(x);
  int64_t size[SR_MAX_DIMS];
  for (int d = 0; d < m; d++) size[d] = d < n ? sr_tensor_sizes(t)[d] : 1;
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_view(t, m, size, y));
  return *y;
}

/* The index of a scatter along dimension 1 that sets whole rows of x: (positions, a row's shape). */
static sr_tensor *push_row_index(lua_State *L, const sr_tensor *x, sr_tensor *key) {
  int n = sr_tensor_ndim(x);
  int64_t size[SR_MAX_DIMS] = {sr_tensor_numel(key)};
  for (int d = 1; d < n; d++) size[d] = sr_tensor_sizes(x)[d];
  sr_tensor **flat = sr_push_tensor(L), **index = sr_push_tensor(L);
  sr_raise(L, sr_reshape(key, 1, (int64_t[]){-1}, flat));
  sr_raise(L, sr_expand(push_like(L, x, *flat), n, size, index));
  return *index;
}

static bool broadcasts(const sr_tensor *t, int ndim, const int64_t *size) {
  int n = sr_tensor_ndim(t);
  bool fits = n <= ndim;
  for (int d = 1; fits && d <= n; d++) { /* from the last dimension */
    int64_t own = sr_tensor_sizes(t)[n - d];
    fits = own == 1 || own == size[ndim - d];
  }
  return fits;
}

static void refuse_value(lua_State *L, int ndim, const int64_t *size) {
  luaL_Buffer shape;
  luaL_buffinit(L, &shape);
  for (int d = 0; d < ndim; d++) {
    if (d) luaL_addstring(&shape, ", ");
    lua_pushinteger(L, size[d]);
    luaL_addvalue(&shape);
  }
  luaL_pushresult(&shape);
  const char *wanted = lua_tostring(L, -1);
  lua_getfield(L, 3, "shape");
  sr_error(L, "index: a value of shape %s does not broadcast to [%s], the shape of what is set",
           luaL_tolstring(L, -1, NULL), wanted);
}

/* What it writes: the value broadcast to (key's shape, a row's shape), as rows. */
static sr_operand push_rows(lua_State *L, const sr_tensor *x, const sr_tensor *key,
                            sr_operand value) {
  int n = sr_tensor_ndim(key), m = sr_tensor_ndim(x) - 1;
  if (!value.tensor) return value;
  if (n + m > SR_MAX_DIMS)
    sr_error(L, "index: the part that is set has more than %d dimensions", SR_MAX_DIMS);
  int64_t part[2 * SR_MAX_DIMS], rows[SR_MAX_DIMS] = {sr_tensor_numel(key)};
  memcpy(part, sr_tensor_sizes(key), (size_t)n * sizeof *part);
  memcpy(part + n, sr_tensor_sizes(x) + 1, (size_t)m * sizeof *part);
  memcpy(rows + 1, sr_tensor_sizes(x) + 1, (size_t)m * sizeof *rows);
  if (!broadcasts(value.tensor, n + m, part)) refuse_value(L, n + m, part);
  sr_tensor **same = sr_push_tensor(L), **wide = sr_push_tensor(L), **source = sr_push_tensor(L);
  sr_raise(L, sr_to(value.tensor, sr_tensor_dtype(x), sr_tensor_device(x), same));
  sr_raise(L, sr_expand(*same, n + m, part, wide));
  sr_raise(L, sr_reshape(*wide, m + 1, rows, source));
  return (sr_operand){.tensor = *source};
}

/* x[ids] = value. Of several values for the same row the last stays. */
static int write_rows(lua_State *L, sr_tensor *x, sr_tensor *key, sr_operand value) {
  if (sr_tensor_ndim(x) == 0) sr_error(L, "index: a 0-dimensional tensor has no positions");
  sr_operand source = push_rows(L, x, key, value);
  sr_raise(L, sr_scatter_(x, 0, push_row_index(L, x, key), source));
  return 0;
}

/* A mask that chooses elements: a value for each, in order, or one for all. */
static sr_tensor *push_values(lua_State *L, sr_tensor *value, int64_t count) {
  int64_t values = sr_tensor_numel(value);
  if (values != 1 && values != count)
    sr_error(L, "index: %lld values for the %lld elements that the mask chooses", (long long)values,
             (long long)count);
  sr_tensor **flat = sr_push_tensor(L);
  sr_raise(L, sr_reshape(value, 1, (int64_t[]){-1}, flat));
  return *flat;
}

/* x[mask] = value: as rows of x with the mask's dimensions joined. */
static int write_mask(lua_State *L, sr_tensor *x, sr_tensor *mask, sr_tensor *value) {
  sr_tensor *rows = push_joined(L, x, mask), *ids = push_positions(L, mask);
  if (sr_tensor_ndim(mask) == sr_tensor_ndim(x))
    value = push_values(L, value, sr_tensor_numel(ids));
  sr_operand source = push_rows(L, rows, ids, (sr_operand){.tensor = value});
  sr_tensor *index = push_row_index(L, rows, ids);
  sr_tensor **changed = sr_push_tensor(L), **y = sr_push_tensor(L);
  sr_raise(L, sr_scatter(rows, 0, index, source, changed));
  sr_raise(L, sr_view(*changed, sr_tensor_ndim(x), sr_tensor_sizes(x), y));
  sr_raise(L, sr_copy_(x, *y));
  return 0;
}

static int write_by_tensor(lua_State *L, sr_tensor *x, sr_tensor *key) {
  sr_operand value = sr_check_operand(L, 3, "index", "value");
  if (sr_tensor_dtype(key) != SR_bool) return write_rows(L, x, key, value);
  check_mask(L, x, key);
  if (value.tensor) return write_mask(L, x, key, value.tensor);
  sr_raise(L, sr_masked_fill_(x, push_like(L, x, key), value.number));
  return 0;
}

static void read_value(lua_State *L) {
  if (lua_type(L, 3) != LUA_TTABLE) return; /* x[1] = {1, 2, 3} */
  lua_pushcfunction(L, sr_create_tensor);
  lua_pushvalue(L, 3);
  lua_call(L, 1, 1);
  lua_replace(L, 3);
}

int sr_index_write(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "index", "self");
  sr_tensor *key = sr_to_tensor(L, 2);
  luaL_checkstack(L, 20, "index");
  read_value(L);
  if (key) return write_by_tensor(L, x, key);
  int type = lua_type(L, 2);
  if (type != LUA_TNUMBER && type != LUA_TTABLE) return refuse_key(L);
  sr_operand value = sr_check_operand(L, 3, "index", "value");
  sr_tensor **plain = sr_push_tensor(L); /* the view is made without history */
  sr_raise(L, sr_detach(x, plain));
  sr_raise(L, sr_assign(x, view_of(L, *plain), value));
  return 0;
}
