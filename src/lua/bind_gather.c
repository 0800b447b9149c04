/* bind_gather.c: the functions that read and write by positions. */
#include "lua/binding.h"

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

/* scatter(x, dim, index, src) and its in-place form */
static int scatter(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "scatter", "input");
  int dim = sr_check_dim(L, 2, "scatter", "dim");
  sr_tensor *index = sr_check_tensor(L, 3, "scatter", "index");
  sr_operand source = sr_check_operand(L, 4, "scatter", "src");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_scatter(x, dim, index, source, y));
  return sr_filled(L, 1);
}

static int scatter_in_place(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "scatter_", "input");
  int dim = sr_check_dim(L, 2, "scatter_", "dim");
  sr_tensor *index = sr_check_tensor(L, 3, "scatter_", "index");
  sr_raise(L, sr_scatter_(x, dim, index, sr_check_operand(L, 4, "scatter_", "src")));
  lua_settop(L, 1);
  return 1;
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

static int scatter_add_in_place(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "scatter_add_", "input");
  int dim = sr_check_dim(L, 2, "scatter_add_", "dim");
  sr_tensor *index = sr_check_tensor(L, 3, "scatter_add_", "index");
  sr_raise(L, sr_scatter_add_(x, dim, index, sr_check_tensor(L, 4, "scatter_add_", "src")));
  lua_settop(L, 1);
  return 1;
}

static int masked_select(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "masked_select", "input");
  sr_tensor *mask = sr_check_tensor(L, 2, "masked_select", "mask");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_masked_select(x, mask, y));
  return sr_filled(L, 1);
}

/* Positions of the true elements: a tensor for each dimension (one for a 0-dimensional one). */
static int push_places(lua_State *L, sr_tensor *x) {
  luaL_checkstack(L, SR_MAX_DIMS + 4, "where");
  if (sr_tensor_ndim(x) == 0) {
    sr_tensor **one = sr_push_tensor(L);
    sr_raise(L, sr_view(x, 1, (int64_t[]){1}, one));
    x = *one;
  }
  int n = sr_tensor_ndim(x);
  sr_tensor **pairs = sr_push_tensor(L);
  sr_raise(L, sr_nonzero(x, pairs));
  for (int d = 0; d < n; d++) {
    sr_tensor **places = sr_push_tensor(L);
    sr_raise(L, sr_select(*pairs, 1, d, places));
  }
  return sr_filled(L, n);
}

/* nonzero(x): (count, ndim); nonzero(x, {as_tuple = true}): ndim tensors */
static int nonzero(lua_State *L) {
  static const char *const names[] = {"input", "as_tuple", NULL};
  sr_arguments(L, "nonzero", names);
  sr_tensor *x = sr_check_tensor(L, 1, "nonzero", "input");
  if (sr_optional_boolean(L, 2, false, "nonzero", "as_tuple")) return push_places(L, x);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_nonzero(x, y));
  return sr_filled(L, 1);
}

/* where(condition, a, b); where(condition): as nonzero(condition, {as_tuple = true}) */
static int where(lua_State *L) {
  static const char *const names[] = {"condition", "input", "other", NULL};
  sr_arguments(L, "where", names);
  sr_tensor *condition = sr_check_tensor(L, 1, "where", "condition");
  if (lua_isnil(L, 2) && lua_isnil(L, 3)) return push_places(L, condition);
  sr_operand a = sr_check_operand(L, 2, "where", "input");
  sr_operand b = sr_check_operand(L, 3, "where", "other");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_where(condition, a, b, y));
  return sr_filled(L, 1);
}

/* x:where(condition, other): x where the condition holds */
static int where_method(lua_State *L) {
  sr_operand x = sr_check_operand(L, 1, "where", "input");
  sr_tensor *condition = sr_check_tensor(L, 2, "where", "condition");
  sr_operand other = sr_check_operand(L, 3, "where", "other");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_where(condition, x, other, y));
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
    {"scatter_", scatter_in_place, true},
    {"scatter_add", scatter_add, true},
    {"scatter_add_", scatter_add_in_place, true},
    {"masked_select", masked_select, true},
    {"nonzero", nonzero, true},
    {"where", where, false},
    {"embedding", embedding, false},
    {"one_hot", one_hot, false},
    {0},
};

void sr_bind_index(lua_State *L) {
  sr_register(L, functions);
  lua_pushcfunction(L, where_method);
  lua_setfield(L, -3, "where");
}
