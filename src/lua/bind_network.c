/* bind_network.c: softmax, losses, normalization, dropout, recurrence:
 * positional, for the Lua library, which has the options. */
#include <string.h>

#include "lua/binding.h"

static int softmax_along(lua_State *L, const char *name,
                         sr_status (*run)(sr_tensor *, int, sr_tensor **)) {
  static const char *const names[] = {"input", "dim", NULL};
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  sr_arguments(L, name, names);
  sr_tensor *x = sr_check_tensor(L, 1, name, "input");
  if (lua_isnil(L, 2))
    sr_error(L, "%s: the dimension is missing: x:%s(-1) is along the last one", name, name);
  int dim = sr_check_dim(L, 2, name, "dim");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, run(x, dim, y));
  return sr_filled(L, 1);
}

static int softmax(lua_State *L) { return softmax_along(L, "softmax", sr_softmax); }
static int log_softmax(lua_State *L) { return softmax_along(L, "log_softmax", sr_log_softmax); }

/* ---- losses ----------------------------------------------------------------------------- */

static int nll_loss(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  static const char *const names[] = {"input",     "target",       "weight",
                                      "reduction", "ignore_index", NULL};
  sr_arguments(L, "nll_loss", names);
  sr_tensor *x = sr_check_tensor(L, 1, "nll_loss", "input");
  sr_tensor *target = sr_check_tensor(L, 2, "nll_loss", "target");
  sr_tensor *weight = sr_optional_tensor(L, 3, "nll_loss", "weight");
  sr_reduction reduction = sr_optional_reduction(L, 4, "nll_loss");
  int64_t ignore = sr_optional_integer(L, 5, SR_NO_IGNORE, "nll_loss", "ignore_index");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_nll_loss(x, target, weight, reduction, ignore, y));
  return sr_filled(L, 1);
}

static int cross_entropy(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  static const char *const names[] = {"input",        "target",          "weight", "reduction",
                                      "ignore_index", "label_smoothing", NULL};
  sr_arguments(L, "cross_entropy", names);
  sr_tensor *x = sr_check_tensor(L, 1, "cross_entropy", "input");
  sr_tensor *target = sr_check_tensor(L, 2, "cross_entropy", "target");
  sr_tensor *weight = sr_optional_tensor(L, 3, "cross_entropy", "weight");
  sr_reduction reduction = sr_optional_reduction(L, 4, "cross_entropy");
  int64_t ignore = sr_optional_integer(L, 5, SR_NO_IGNORE, "cross_entropy", "ignore_index");
  double smoothing = sr_optional_number(L, 6, 0, "cross_entropy", "label_smoothing");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_cross_entropy(x, target, weight, reduction, ignore, smoothing, y));
  return sr_filled(L, 1);
}

static const char *const error_names[] = {"input", "target", "reduction", "beta", NULL};

static int mse_loss(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  sr_arguments(L, "mse_loss", error_names);
  sr_tensor *x = sr_check_tensor(L, 1, "mse_loss", "input");
  sr_tensor *target = sr_check_tensor(L, 2, "mse_loss", "target");
  sr_reduction reduction = sr_optional_reduction(L, 3, "mse_loss");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_mse_loss(x, target, reduction, y));
  return sr_filled(L, 1);
}

static int l1_loss(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  sr_arguments(L, "l1_loss", error_names);
  sr_tensor *x = sr_check_tensor(L, 1, "l1_loss", "input");
  sr_tensor *target = sr_check_tensor(L, 2, "l1_loss", "target");
  sr_reduction reduction = sr_optional_reduction(L, 3, "l1_loss");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_l1_loss(x, target, reduction, y));
  return sr_filled(L, 1);
}

static int smooth_l1_loss(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  sr_arguments(L, "smooth_l1_loss", error_names);
  sr_tensor *x = sr_check_tensor(L, 1, "smooth_l1_loss", "input");
  sr_tensor *target = sr_check_tensor(L, 2, "smooth_l1_loss", "target");
  sr_reduction reduction = sr_optional_reduction(L, 3, "smooth_l1_loss");
  double beta = sr_optional_number(L, 4, 1, "smooth_l1_loss", "beta");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_smooth_l1_loss(x, target, reduction, beta, y));
  return sr_filled(L, 1);
}

static int binary_cross_entropy(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  static const char *const names[] = {"input", "target", "weight", "reduction", NULL};
  sr_arguments(L, "binary_cross_entropy", names);
  sr_tensor *x = sr_check_tensor(L, 1, "binary_cross_entropy", "input");
  sr_tensor *target = sr_check_tensor(L, 2, "binary_cross_entropy", "target");
  sr_tensor *weight = sr_optional_tensor(L, 3, "binary_cross_entropy", "weight");
  sr_reduction reduction = sr_optional_reduction(L, 4, "binary_cross_entropy");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_binary_cross_entropy(x, target, weight, reduction, y));
  return sr_filled(L, 1);
}

static int binary_cross_entropy_with_logits(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  static const char *const names[] = {"input", "target", "weight", "pos_weight", "reduction", NULL};
  const char *f = "binary_cross_entropy_with_logits";
  sr_arguments(L, f, names);
  sr_tensor *x = sr_check_tensor(L, 1, f, "input");
  sr_tensor *target = sr_check_tensor(L, 2, f, "target");
  sr_tensor *weight = sr_optional_tensor(L, 3, f, "weight");
  sr_tensor *pos_weight = sr_optional_tensor(L, 4, f, "pos_weight");
  sr_reduction reduction = sr_optional_reduction(L, 5, f);
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_binary_cross_entropy_with_logits(x, target, weight, pos_weight, reduction, y));
  return sr_filled(L, 1);
}

/* ---- layers -------------------------------------------------------------------------- */

/* dropout(x, p, training): x itself where training is false */
static int dropout(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  static const char *const names[] = {"input", "p", "training", "generator", NULL};
  sr_arguments(L, "dropout", names);
  sr_tensor *x = sr_check_tensor(L, 1, "dropout", "input");
  double p = sr_optional_number(L, 2, 0.5, "dropout", "p");
  if (!(p >= 0 && p <= 1)) sr_error(L, "dropout: p must be between 0 and 1, got %g", p);
  if (!sr_optional_boolean(L, 3, true, "dropout", "training") || p == 0) {
    lua_settop(L, 1);
    return 1;
  }
  sr_generator *g = sr_optional_generator(L, 4, "dropout");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_dropout(x, p, g, y));
  return sr_filled(L, 1);
}

static int layer_norm(lua_State *L) {
  if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
  static const char *const names[] = {"input", "normalized_shape", "weight", "bias", "eps", NULL};
  sr_arguments(L, "layer_norm", names);
  sr_tensor *x = sr_check_tensor(L, 1, "layer_norm", "input");
  int64_t size[SR_MAX_DIMS];
  int n = 1;
  if (lua_type(L, 2) == LUA_TTABLE)
    n = sr_check_list(L, 2, size, "layer_norm", "normalized_shape");
  else
    size[0] = sr_check_integer(L, 2, "layer_norm", "normalized_shape");
  sr_tensor *weight = sr_optional_tensor(L, 3, "layer_norm", "weight");
  sr_tensor *bias = sr_optional_tensor(L, 4, "layer_norm", "bias");
  double eps = sr_optional_number(L, 5, 1e-5, "layer_norm", "eps");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_layer_norm(x, n, size, weight, bias, eps, y));
  return sr_filled(L, 1);
}

static int batch_norm(lua_State *L) {
  static const char *const names[] = {"input",    "running_mean", "running_var", "weight", "bias",
                                      "training", "momentum",     "eps",         NULL};
  sr_arguments(L, "batch_norm", names);
  sr_tensor *x = sr_check_tensor(L, 1, "batch_norm", "input");
  sr_tensor *mean = sr_optional_tensor(L, 2, "batch_norm", "running_mean");
  sr_tensor *var = sr_optional_tensor(L, 3, "batch_norm", "running_var");
  sr_tensor *weight = sr_optional_tensor(L, 4, "batch_norm", "weight");
  sr_tensor *bias = sr_optional_tensor(L, 5, "batch_norm", "bias");
  bool training = sr_optional_boolean(L, 6, false, "batch_norm", "training");
  double momentum = sr_optional_number(L, 7, 0.1, "batch_norm", "momentum");
  double eps = sr_optional_number(L, 8, 1e-5, "batch_norm", "eps");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_batch_norm(x, mean, var, weight, bias, training, momentum, eps, y));
  return sr_filled(L, 1);
}

/* ---- recurrence ---------------------------------------------------------------------- */

static sr_recurrent_mode check_mode(lua_State *L, int i) {
  static const char *const modes[] = {
#define X(name, gates, states) #name,
      SR_RECURRENT_LIST(X)
#undef X
          NULL};
  const char *name = sr_check_string(L, i, "recurrent", "mode");
  for (int k = 0; modes[k]; k++)
    if (!strcmp(modes[k], name)) return (sr_recurrent_mode)k;
  sr_error(L, "recurrent: there is no mode '%s'", name);
  return 0;
}

static int states_of(sr_recurrent_mode mode) {
  static const int states[] = {
#define X(name, gates, count) [SR_##name] = count,
      SR_RECURRENT_LIST(X)
#undef X
  };
  return states[mode];
}

/* Sizes of the batch at each step, in a userdata pushed on the stack: from a list, an
 * int64 tensor, or one integer B for N / B steps of B rows. NULL for nil: x is (T, B, I). */
static const int64_t *check_batch_sizes(lua_State *L, int i, int64_t rows, int64_t *steps) {
  if (lua_isnil(L, i)) return NULL;
  sr_tensor *t = sr_to_tensor(L, i);
  int64_t constant = 0;
  if (t) {
    if (sr_tensor_dtype(t) != SR_int64 || sr_tensor_ndim(t) != 1)
      sr_error(L, "recurrent: batch_sizes must be an int64 tensor of one dimension");
    *steps = sr_tensor_numel(t);
  } else if (lua_type(L, i) == LUA_TTABLE) {
    *steps = (int64_t)lua_rawlen(L, i);
  } else {
    constant = sr_check_integer(L, i, "recurrent", "batch_sizes");
    if (constant <= 0 || rows % constant)
      sr_error(L, "recurrent: %lld rows are no whole steps of a batch of %lld", (long long)rows,
               (long long)constant);
    *steps = rows / constant;
  }
  int64_t *sizes = lua_newuserdatauv(L, ((size_t)*steps + 1) * sizeof *sizes, 0);
  if (t) sr_raise(L, sr_tensor_read(t, sizes));
  for (int64_t k = 0; !t && k < *steps; k++) {
    if (constant) {
      sizes[k] = constant;
      continue;
    }
    lua_rawgeti(L, i, k + 1);
    sizes[k] = sr_check_integer(L, -1, "recurrent", "batch_sizes");
    lua_pop(L, 1);
  }
  return sizes;
}

static sr_recurrent_weights check_weights(lua_State *L, int first) {
  const char *f = "recurrent";
  return (sr_recurrent_weights){.weight_ih = sr_check_tensor(L, first, f, "weight_ih"),
                                .weight_hh = sr_check_tensor(L, first + 1, f, "weight_hh"),
                                .bias_ih = sr_optional_tensor(L, first + 2, f, "bias_ih"),
                                .bias_hh = sr_optional_tensor(L, first + 3, f, "bias_hh"),
                                .weight_hr = sr_optional_tensor(L, first + 4, f, "weight_hr")};
}

/* recurrent(mode, x, batch_sizes, batch, h0, c0, cells, w_ih, w_hh, b_ih, b_hh, w_hr, and these
 * five for a second direction) -> output, hn, and for an LSTM cn and, asked for, cells.
 * batch: see sr_recurrent_layer. */
static int recurrent(lua_State *L) {
  enum { FIRST = 8, SECOND = FIRST + 5, LAST = SECOND + 4 };
  sr_recurrent_layer layer = {.mode = check_mode(L, 1)};
  const char *f = "recurrent";
  lua_settop(L, LAST);
  layer.x = sr_check_tensor(L, 2, f, "x");
  int64_t rows = sr_tensor_ndim(layer.x) ? sr_tensor_sizes(layer.x)[0] : 0;
  layer.batch_sizes = check_batch_sizes(L, 3, rows, &layer.steps);
  layer.batch = sr_optional_integer(L, 4, 0, f, "batch");
  layer.h0 = sr_optional_tensor(L, 5, f, "h0");
  layer.c0 = sr_optional_tensor(L, 6, f, "c0");
  bool cells = sr_optional_boolean(L, 7, false, f, "cells");
  layer.weights[0] = check_weights(L, FIRST);
  if (!lua_isnil(L, SECOND)) layer.weights[1] = check_weights(L, SECOND);
  int results = 1 + states_of(layer.mode) + (cells ? 1 : 0);
  sr_tensor **output = sr_push_tensor(L), **hn = sr_push_tensor(L);
  sr_tensor **cn = results > 2 ? sr_push_tensor(L) : NULL;
  sr_raise(L, sr_recurrent(&layer, output, hn, cn, cells ? sr_push_tensor(L) : NULL));
  return sr_filled(L, results);
}

static const sr_binding functions[] = {
    {"softmax", softmax, true},
    {"log_softmax", log_softmax, true},
    {"nll_loss", nll_loss, false},
    {"cross_entropy", cross_entropy, false},
    {"mse_loss", mse_loss, false},
    {"l1_loss", l1_loss, false},
    {"smooth_l1_loss", smooth_l1_loss, false},
    {"binary_cross_entropy", binary_cross_entropy, false},
    {"binary_cross_entropy_with_logits", binary_cross_entropy_with_logits, false},
    {"dropout", dropout, false},
    {"layer_norm", layer_norm, false},
    {"batch_norm", batch_norm, false},
    {"recurrent", recurrent, false},
    {0},
};

void sr_bind_network(lua_State *L) { sr_register(L, functions); }
