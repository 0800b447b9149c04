/* bind_reduce.c: sum, mean, max, sort and their like. */
#include <math.h>
#include <string.h>

#include "lua/binding.h"

static const char *const dims_names[] = {"input", "dim", "keepdim", NULL};

/* input, dims and keepdim, by position or name. */
static sr_tensor *read_dims(lua_State *L, const char *function, sr_dims *dims) {
  sr_arguments(L, function, dims_names);
  sr_tensor *x = sr_check_tensor(L, 1, function, "input");
  sr_check_dims(L, 2, dims, function, "dim");
  dims->keepdim = sr_optional_boolean(L, 3, false, function, "keepdim");
  return x;
}

/* Functions of (input, dim, keepdim) with one result come from this list. */
static const struct {
  const char *name;
  sr_status (*run)(sr_tensor *x, const sr_dims *dims, sr_tensor **out);
} simple[] = {
    {"sum", sr_sum},       {"mean", sr_mean},     {"prod", sr_prod}, {"logsumexp", sr_logsumexp},
    {"amax", sr_amax},     {"amin", sr_amin},     {"any", sr_any},   {"all", sr_all},
    {"argmax", sr_argmax}, {"argmin", sr_argmin},
};

static int reduce(lua_State *L) {
  lua_Integer which = lua_tointeger(L, lua_upvalueindex(1));
  sr_dims dims;
  sr_tensor *x = read_dims(L, simple[which].name, &dims);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, simple[which].run(x, &dims, y));
  return sr_filled(L, 1);
}

/* max(x): the largest value; max(x, dim): values and positions; max(a, b): as maximum. */
static int extreme(lua_State *L, const char *name, const char *pair,
                   sr_status (*all)(sr_tensor *, const sr_dims *, sr_tensor **),
                   sr_status (*along)(sr_tensor *, int, bool, sr_tensor **, sr_tensor **)) {
  if (sr_to_tensor(L, 2)) {
    sr_tensor **y = sr_push_tensor(L);
    sr_raise(L, sr_binary(pair, sr_check_tensor(L, 1, name, "input"), sr_to_tensor(L, 2), y));
    return sr_filled(L, 1);
  }
  sr_dims dims;
  sr_tensor *x = read_dims(L, name, &dims);
  sr_tensor **values = sr_push_tensor(L);
  if (lua_isnil(L, 2)) {
    sr_raise(L, all(x, &dims, values));
    return sr_filled(L, 1);
  }
  if (dims.n != 1)
    sr_error(L, "%s: one dimension is expected, got %d (amax takes several)", name, dims.n);
  sr_tensor **indices = sr_push_tensor(L);
  sr_raise(L, along(x, dims.dim[0], dims.keepdim, values, indices));
  return sr_filled(L, 2);
}

static int max(lua_State *L) { return extreme(L, "max", "maximum", sr_amax, sr_max_dim); }
static int min(lua_State *L) { return extreme(L, "min", "minimum", sr_amin, sr_min_dim); }

/* norm(x, p, dim, keepdim); p may be math.huge or "fro". */
static int norm(lua_State *L) {
  static const char *const names[] = {"input", "p", "dim", "keepdim", NULL};
  sr_arguments(L, "norm", names);
  sr_tensor *x = sr_check_tensor(L, 1, "norm", "input");
  double p = 2;
  if (lua_type(L, 2) == LUA_TSTRING && !strcmp(lua_tostring(L, 2), "fro"))
    p = 2;
  else
    p = sr_optional_number(L, 2, 2, "norm", "p");
  sr_dims dims;
  sr_check_dims(L, 3, &dims, "norm", "dim");
  dims.keepdim = sr_optional_boolean(L, 4, false, "norm", "keepdim");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_norm(x, p, &dims, y));
  return sr_filled(L, 1);
}

/* var(x, dim, {correction = 1, keepdim}); unbiased = false is correction 0. */
static int spread(lua_State *L, const char *name,
                  sr_status (*run)(sr_tensor *, double, const sr_dims *, sr_tensor **)) {
  static const char *const names[] = {"input", "dim", "unbiased", "keepdim", "correction", NULL};
  sr_arguments(L, name, names);
  sr_tensor *x = sr_check_tensor(L, 1, name, "input");
  sr_dims dims;
  sr_check_dims(L, 2, &dims, name, "dim");
  bool unbiased = sr_optional_boolean(L, 3, true, name, "unbiased");
  dims.keepdim = sr_optional_boolean(L, 4, false, name, "keepdim");
  double correction = sr_optional_number(L, 5, unbiased ? 1 : 0, name, "correction");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, run(x, correction, &dims, y));
  return sr_filled(L, 1);
}

static int var(lua_State *L) { return spread(L, "var", sr_var); }
static int std(lua_State *L) { return spread(L, "std", sr_std); }

static int scan(lua_State *L, const char *name, sr_status (*run)(sr_tensor *, int, sr_tensor **)) {
  static const char *const names[] = {"input", "dim", NULL};
  sr_arguments(L, name, names);
  sr_tensor *x = sr_check_tensor(L, 1, name, "input");
  int dim = sr_check_dim(L, 2, name, "dim");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, run(x, dim, y));
  return sr_filled(L, 1);
}

static int cumsum(lua_State *L) { return scan(L, "cumsum", sr_cumsum); }
static int cumprod(lua_State *L) { return scan(L, "cumprod", sr_cumprod); }

static const char *const sort_names[] = {"input", "dim", "descending", NULL};

static int sort(lua_State *L) {
  sr_arguments(L, "sort", sort_names);
  sr_tensor *x = sr_check_tensor(L, 1, "sort", "input");
  int dim = sr_optional_dim(L, 2, -1, "sort", "dim");
  bool descending = sr_optional_boolean(L, 3, false, "sort", "descending");
  sr_tensor **values = sr_push_tensor(L), **indices = sr_push_tensor(L);
  sr_raise(L, sr_sort(x, dim, descending, values, indices));
  return sr_filled(L, 2);
}

static int argsort(lua_State *L) {
  sr_arguments(L, "argsort", sort_names);
  sr_tensor *x = sr_check_tensor(L, 1, "argsort", "input");
  int dim = sr_optional_dim(L, 2, -1, "argsort", "dim");
  bool descending = sr_optional_boolean(L, 3, false, "argsort", "descending");
  sr_tensor **values = sr_push_tensor(L), **indices = sr_push_tensor(L);
  sr_raise(L, sr_sort(x, dim, descending, values, indices));
  return sr_filled(L, 1);
}

static int topk(lua_State *L) {
  static const char *const names[] = {"input", "k", "dim", "largest", "sorted", NULL};
  sr_arguments(L, "topk", names);
  sr_tensor *x = sr_check_tensor(L, 1, "topk", "input");
  int64_t k = sr_check_integer(L, 2, "topk", "k");
  int dim = sr_optional_dim(L, 3, -1, "topk", "dim");
  bool largest = sr_optional_boolean(L, 4, true, "topk", "largest");
  sr_tensor **values = sr_push_tensor(L), **indices = sr_push_tensor(L);
  sr_raise(L, sr_topk(x, k, dim, largest, values, indices));
  return sr_filled(L, 2);
}

static const sr_binding functions[] = {
    {"max", max, true},
    {"min", min, true},
    {"norm", norm, true},
    {"var", var, true},
    {"std", std, true},
    {"cumsum", cumsum, true},
    {"cumprod", cumprod, true},
    {"sort", sort, true},
    {"argsort", argsort, true},
    {"topk", topk, true},
    {0},
};

void sr_bind_reduce(lua_State *L) {
  sr_register(L, functions);
  for (size_t k = 0; k < sizeof simple / sizeof *simple; k++) {
    lua_pushinteger(L, (lua_Integer)k);
    lua_pushcclosure(L, reduce, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, simple[k].name);
    lua_setfield(L, -2, simple[k].name);
  }
}
