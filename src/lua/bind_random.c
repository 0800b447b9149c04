/* bind_random.c: generators and the in-place random fills. */
#include <string.h>

#include "lua/binding.h"

static const char generator_key; /* its address is the registry key of the metatable */

/* ---- generators --------------------------------------------------------------------------- */

typedef struct {
  sr_generator *generator;
} generator_box;

static sr_generator *to_generator(lua_State *L, int i) {
  if (lua_type(L, i) != LUA_TUSERDATA || !lua_getmetatable(L, i)) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &generator_key);
  bool ours = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return ours ? ((generator_box *)lua_touserdata(L, i))->generator : NULL;
}

sr_generator *sr_optional_generator(lua_State *L, int i, const char *function) {
  if (lua_isnoneornil(L, i)) return NULL;
  sr_generator *g = to_generator(L, i);
  if (!g)
    sr_error(L, "%s: argument 'generator' must be a Generator, got %s", function,
             luaL_typename(L, i));
  return g;
}

static sr_generator *check_generator(lua_State *L, const char *method) {
  sr_generator *g = to_generator(L, 1);
  if (!g) sr_error(L, "%s: a Generator is needed: call it with ':'", method);
  return g;
}

static int generator_new(lua_State *L) {
  generator_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->generator = NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &generator_key);
  lua_setmetatable(L, -2);
  sr_raise(L, sr_generator_new(&box->generator));
  return 1;
}

static int generator_gc(lua_State *L) {
  generator_box *box = lua_touserdata(L, 1);
  if (box->generator) sr_generator_free(box->generator);
  box->generator = NULL;
  return 0;
}

/* A seed is an integer; its bits are taken as they are (PyTorch allows -2^63 .. 2^64 - 1). */
static uint64_t check_seed(lua_State *L, int i, const char *function) {
  return (uint64_t)sr_check_integer(L, i, function, "seed");
}

static int generator_manual_seed(lua_State *L) {
  sr_generator *g = check_generator(L, "manual_seed");
  sr_generator_seed(g, check_seed(L, 2, "manual_seed"));
  lua_settop(L, 1);
  return 1;
}

static int generator_initial_seed(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sr_generator_initial_seed(check_generator(L, "initial_seed")));
  return 1;
}

static int generator_random64(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sr_generator_next64(check_generator(L, "random64")));
  return 1;
}

static int push_state(lua_State *L, const sr_generator *g) {
  uint8_t state[SR_GENERATOR_STATE_BYTES];
  sr_generator_save(g, state);
  lua_pushlstring(L, (const char *)state, sizeof state);
  return 1;
}

static void set_state(lua_State *L, sr_generator *g, int i, const char *function) {
  size_t size;
  sr_check_string(L, i, function, "state");
  const char *state = lua_tolstring(L, i, &size);
  sr_raise(L, sr_generator_restore(g, (const uint8_t *)state, size));
}

static int generator_get_state(lua_State *L) {
  return push_state(L, check_generator(L, "get_state"));
}

static int generator_set_state(lua_State *L) {
  set_state(L, check_generator(L, "set_state"), 2, "set_state");
  lua_settop(L, 1);
  return 1;
}

static int generator_tostring(lua_State *L) {
  lua_pushfstring(L, "Generator(seed=%I)",
                  (lua_Integer)sr_generator_initial_seed(check_generator(L, "tostring")));
  return 1;
}

/* ---- the default generator ----------------------------------------------------------- */

static int manual_seed(lua_State *L) {
  sr_generator_seed(NULL, check_seed(L, 1, "manual_seed"));
  return 0;
}

static int initial_seed(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sr_generator_initial_seed(NULL));
  return 1;
}

static int get_rng_state(lua_State *L) { return push_state(L, sr_generator_default()); }

static int set_rng_state(lua_State *L) {
  set_state(L, sr_generator_default(), 1, "set_rng_state");
  return 0;
}

/* What torch.empty((), dtype=int64).random_() draws: 0 .. 2^63 - 1. */
static int random_int64(lua_State *L) {
  sr_generator *g = sr_optional_generator(L, 1, "random_int64");
  lua_pushinteger(L, (lua_Integer)(sr_generator_next64(g) & INT64_MAX));
  return 1;
}

/* ---- fills --------------------------------------------------------------------------- */

static const char *const uniform_names[] = {"input", "from", "to", "generator", NULL};

static int uniform(lua_State *L) {
  sr_arguments(L, "uniform_", uniform_names);
  sr_tensor *x = sr_check_tensor(L, 1, "uniform_", "input");
  double low = sr_optional_number(L, 2, 0, "uniform_", "from");
  double high = sr_optional_number(L, 3, 1, "uniform_", "to");
  sr_raise(L, sr_uniform_(x, low, high, sr_optional_generator(L, 4, "uniform_")));
  lua_settop(L, 1);
  return 1;
}

static int normal(lua_State *L) {
  static const char *const names[] = {"input", "mean", "std", "generator", NULL};
  sr_arguments(L, "normal_", names);
  sr_tensor *x = sr_check_tensor(L, 1, "normal_", "input");
  double mean = sr_optional_number(L, 2, 0, "normal_", "mean");
  double std = sr_optional_number(L, 3, 1, "normal_", "std");
  sr_raise(L, sr_normal_(x, mean, std, sr_optional_generator(L, 4, "normal_")));
  lua_settop(L, 1);
  return 1;
}

/* random_(from, to): from <= value < to */
static int random_(lua_State *L) {
  sr_arguments(L, "random_", uniform_names);
  sr_tensor *x = sr_check_tensor(L, 1, "random_", "input");
  int64_t low = sr_check_integer(L, 2, "random_", "from");
  int64_t high = sr_check_integer(L, 3, "random_", "to");
  sr_raise(L, sr_random_(x, low, high, sr_optional_generator(L, 4, "random_")));
  lua_settop(L, 1);
  return 1;
}

static int bernoulli(lua_State *L) {
  static const char *const names[] = {"input", "p", "generator", NULL};
  sr_arguments(L, "bernoulli_", names);
  sr_tensor *x = sr_check_tensor(L, 1, "bernoulli_", "input");
  double p = sr_optional_number(L, 2, 0.5, "bernoulli_", "p");
  sr_raise(L, sr_bernoulli_(x, p, sr_optional_generator(L, 3, "bernoulli_")));
  lua_settop(L, 1);
  return 1;
}

static int multinomial(lua_State *L) {
  static const char *const names[] = {"input", "num_samples", "replacement", "generator", NULL};
  sr_arguments(L, "multinomial", names);
  sr_tensor *weights = sr_check_tensor(L, 1, "multinomial", "input");
  int64_t n = sr_check_integer(L, 2, "multinomial", "num_samples");
  bool replacement = sr_optional_boolean(L, 3, false, "multinomial", "replacement");
  sr_generator *g = sr_optional_generator(L, 4, "multinomial");
  sr_tensor **y = sr_push_tensor(L);
  sr_raise(L, sr_multinomial(weights, n, replacement, g, y));
  return sr_filled(L, 1);
}

static const sr_binding functions[] = {
    {"Generator", generator_new, false},
    {"manual_seed", manual_seed, false},
    {"initial_seed", initial_seed, false},
    {"get_rng_state", get_rng_state, false},
    {"set_rng_state", set_rng_state, false},
    {"random_int64", random_int64, false},
    {"uniform_", uniform, true},
    {"normal_", normal, true},
    {"random_", random_, true},
    {"bernoulli_", bernoulli, true},
    {"multinomial", multinomial, true},
    {0},
};

void sr_bind_random(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"manual_seed", generator_manual_seed}, {"initial_seed", generator_initial_seed},
      {"random64", generator_random64},       {"get_state", generator_get_state},
      {"set_state", generator_set_state},     {NULL, NULL}};
  sr_register(L, functions);
  lua_newtable(L);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, generator_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, generator_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "Generator");
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &generator_key);
}
