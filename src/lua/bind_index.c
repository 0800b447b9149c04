/* bind_index.c: x[i], x[{ {1, 3}, {}, -1 }], x[ids], x[mask], x[{ {}, ids, 2 }], and assignments
 * to them. Positions and ranges make a view; tensors then choose from it. */
#include "lua/binding.h"

/* ---- reading the key ------------------------------------------------------------------ */

/* Position p of a dimension of n elements, from 0. */
static int64_t checked_position(lua_State *L, int64_t p, int item, int64_t n) {
  int64_t from0 = p > 0 ? p - 1 : p + n;
  if (p == 0) sr_error(L, "index: position 0 in dimension %d: positions count from 1", item);
  if (from0 < 0 || from0 >= n)
    sr_error(L, "index: position %lld in dimension %d of size %lld", (long long)p, item,
             (long long)n);
  return from0;
}

/* What lies on the stack while it is used: a handful of tensors for each item. */
typedef struct {
  sr_tensor *tensor; /* the view so far; x itself at first */
  int dim;           /* of the view, from 0: the next item is for it */
  int item;          /* which dimension of x that is, from 1 */
  int tensors;       /* how many stand in the key */
  sr_key key;        /* for dimensions of the view; empty as long as there is no tensor */
} view;

static void view_start(view *v, sr_tensor *x) {
  v->tensor = x;
  v->dim = v->tensors = 0;
  v->item = 1;
}

static void take_select(lua_State *L, view *v, int64_t p) {
  int64_t n = sr_tensor_sizes(v->tensor)[v->dim];
  int64_t from0 = checked_position(L, p, v->item++, n);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_select(v->tensor, v->dim, from0, y));
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
static void take_range(lua_State *L, view *v, int range) {
  lua_Unsigned items = lua_rawlen(L, range);
  int64_t n = sr_tensor_sizes(v->tensor)[v->dim];
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
  sr_raise(L, sr_slice(v->tensor, v->dim, from0, length, step, y));
  v->tensor = *y;
}

/* t stands for n dimensions of x. */
static void add_tensor(view *v, sr_tensor *t, int n) {
  if (v->tensors++ == 0) v->key = (sr_key){0};
  v->key.tensor[v->dim] = t;
  v->key.named[v->dim] = v->item;
  v->dim += n;
  v->item += n;
}

/* As in torch: a mask of no dimension is one of size 1 for a new dimension. */
static void take_single_mask(lua_State *L, view *v, sr_tensor *mask) {
  sr_tensor **one = sr_push_tensor(L), **y = sr_push_tensor(L);
  sr_raise(L, sr_unsqueeze(mask, 0, one));
  sr_raise(L, sr_unsqueeze(v->tensor, v->dim, y));
  v->tensor = *y;
  add_tensor(v, *one, 0);
  v->dim++;
}

/* A tensor with one position is that position. */
static void take_tensor(lua_State *L, view *v, sr_tensor *t) {
  int n = sr_tensor_ndim(t);
  if (n == 0 && sr_tensor_dtype(t) == SR_int64) {
    sr_scalar p;
    sr_raise(L, sr_tensor_item(t, &p));
    take_select(L, v, p.integer);
    return;
  }
  add_tensor(v, t, sr_tensor_dtype(t) == SR_bool ? n : 1);
}

static void take_number(lua_State *L, view *v, int item) {
  int is_integer;
  lua_Integer p = lua_tointegerx(L, item, &is_integer);
  if (!is_integer) sr_error(L, "index: position %s is no integer", luaL_tolstring(L, item, NULL));
  take_select(L, v, p);
}

static void need_dimension(lua_State *L, const view *v) {
  if (v->dim < sr_tensor_ndim(v->tensor)) return;
  int n = sr_tensor_ndim(sr_to_tensor(L, 1));
  if (n == 0) sr_error(L, "index: a 0-dimensional tensor has no positions");
  sr_error(L, "index: the key has more positions than the tensor's %d dimensions", n);
}

static void take_item(lua_State *L, view *v, int item) {
  sr_tensor *t = sr_to_tensor(L, item);
  int type = lua_type(L, item);
  if (t && sr_tensor_ndim(t) == 0 && sr_tensor_dtype(t) == SR_bool) {
    take_single_mask(L, v, t);
    return;
  }
  need_dimension(L, v);
  if (t) {
    take_tensor(L, v, t);
  } else if (type == LUA_TNUMBER) {
    take_number(L, v, item);
  } else if (type == LUA_TTABLE) {
    take_range(L, v, item);
    v->dim++;
    v->item++;
  } else {
    sr_error(L, "index: an integer, a range {first, last, step} or a tensor is expected, got %s",
             luaL_typename(L, item));
  }
}

static void take_items(lua_State *L, view *v) {
  lua_Unsigned n = lua_rawlen(L, 2);
  const char *stray = sr_stray_key(L, 2);
  if (stray)
    sr_error(L, "index: a list of positions and ranges has no names as keys such as '%s'", stray);
  for (lua_Unsigned k = 1; k <= n; k++) { /* stops where x has no more dimensions */
    lua_rawgeti(L, 2, (lua_Integer)k);
    take_item(L, v, lua_gettop(L));
  }
}

/* The key at index 2; what it pushes stays on the stack. */
static void read_key(lua_State *L, view *v) {
  luaL_checkstack(L, 8 * SR_MAX_DIMS, "index");
  int type = lua_type(L, 2);
  if (type == LUA_TNUMBER || sr_to_tensor(L, 2))
    take_item(L, v, 2);
  else if (type == LUA_TTABLE)
    take_items(L, v);
  else
    sr_error(L, "index: a tensor is indexed by an integer, a table or a tensor, not by %s",
             luaL_typename(L, 2));
}

/* ---- x[key] --------------------------------------------------------------------------- */

int sr_index_read(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "index", "self");
  view v;
  view_start(&v, x);
  read_key(L, &v);
  if (!v.tensors && v.tensor != x) {
    /* the view is the last tensor pushed; a copied key item may lie above it */
    while (sr_to_tensor(L, -1) != v.tensor) lua_pop(L, 1);
    return sr_filled(L, 1);
  }
  sr_tensor **y = sr_push_tensor(L);
  if (v.tensors)
    sr_raise(L, sr_index(v.tensor, &v.key, y));
  else /* x[{}]: all of it, as a view */
    sr_raise(L, sr_view(x, sr_tensor_ndim(x), sr_tensor_sizes(x), y));
  return sr_filled(L, 1);
}

/* ---- x[key] = value ------------------------------------------------------------------ */

static void read_value(lua_State *L) {
  if (lua_type(L, 3) != LUA_TTABLE) return; /* x[1] = {1, 2, 3} */
  lua_pushcfunction(L, sr_create_tensor);
  lua_pushvalue(L, 3);
  lua_call(L, 1, 1);
  lua_replace(L, 3);
}

int sr_index_write(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "index", "self");
  view v;
  luaL_checkstack(L, 20, "index");
  read_value(L);
  sr_operand value = sr_check_operand(L, 3, "index", "value");
  sr_tensor **plain = sr_push_tensor(L); /* the view is made without history */
  sr_raise(L, sr_detach(x, plain));
  view_start(&v, *plain);
  read_key(L, &v);
  if (v.tensors)
    sr_raise(L, sr_index_put_(x, v.tensor, &v.key, value));
  else
    sr_raise(L, sr_assign(x, v.tensor, value));
  return 0;
}
