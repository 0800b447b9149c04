/* bind_shape.c: views. Dimensions and positions count from 1. */
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

static int reshape_as(lua_State *L) {
  sr_tensor *x = sr_check_tensor(L, 1, "reshape_as", "input");
  sr_tensor *other = sr_check_tensor(L, 2, "reshape_as", "other");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_reshape(x, sr_tensor_ndim(other), sr_tensor_sizes(other), y));
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

/* ---- in place ------------------------------------------------------------------------ */

/* The tensor at index 1 becomes the view on top: another shape on the same values. Others that
 * share the values keep theirs. */
static int become(lua_State *L, const char *function) {
  sr_lua_tensor *self = lua_touserdata(L, 1), *view = lua_touserdata(L, -1);
  bool leaf = sr_is_leaf(self->tensor) && sr_requires_grad(self->tensor);
  if (leaf || (sr_requires_grad(self->tensor) && !sr_grad_enabled()))
    sr_error(L, "%s: a tensor that requires gradients keeps its shape%s: use %.*s", function,
             leaf ? "" : " inside no_grad", (int)strlen(function) - 1, function);
  sr_tensor *before = self->tensor;
  self->tensor = sr_tensor_retain(view->tensor);
  sr_tensor_release(before);
  lua_settop(L, 1);
  return 1;
}

static int squeeze_in_place(lua_State *L) {
  squeeze(L);
  return become(L, "squeeze_");
}

static int unsqueeze_in_place(lua_State *L) {
  unsqueeze(L);
  return become(L, "unsqueeze_");
}

static int t_in_place(lua_State *L) {
  t(L);
  return become(L, "t_");
}

static int transpose_in_place(lua_State *L) {
  transpose(L);
  return become(L, "transpose_");
}

static const sr_binding functions[] = {
    {"view", view, true},
    {"view_as", view_as, true},
    {"reshape", reshape, true},
    {"reshape_as", reshape_as, true},
    {"flatten", flatten, true},
    {"transpose", transpose, true},
    {"transpose_", transpose_in_place, true},
    {"swapaxes", transpose, true},
    {"swapdims", transpose, true},
    {"t", t, true},
    {"t_", t_in_place, true},
    {"permute", permute, true},
    {"squeeze", squeeze, true},
    {"squeeze_", squeeze_in_place, true},
    {"unsqueeze", unsqueeze, true},
    {"unsqueeze_", unsqueeze_in_place, true},
    {"expand", expand, true},
    {"expand_as", expand_as, true},
    {"broadcast_to", expand, true},
    {"narrow", narrow, true},
    {"select", select_, true},
    {"diagonal", diagonal, true},
    {0},
};

void sr_bind_shape(lua_State *L) { sr_register(L, functions); }
