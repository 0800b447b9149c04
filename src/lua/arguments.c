/* arguments.c: reading and checking what a script passed. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "lua/binding.h"

/* ---- nearest names ----------------------------------------------------------------- */

enum { LONGEST_NAME = 40 };

/* Levenshtein distance of two short words. */
static size_t distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  if (n > LONGEST_NAME || m > LONGEST_NAME) return LONGEST_NAME;
  size_t row[LONGEST_NAME + 1];
  for (size_t j = 0; j <= m; j++) row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t best = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[m];
}

const char *sr_closest(const char *word, const char *const *names) {
  const char *closest = NULL;
  size_t best = strlen(word) / 2 + 1; /* further away it would puzzle more than help */
  for (; *names; names++) {
    size_t d = distance(word, *names);
    if (d < best) {
      best = d;
      closest = *names;
    }
  }
  return closest;
}

/* ---- positions and names ------------------------------------------------------------- */

static int position_of(const char *name, const char *const *names) {
  for (int k = 0; names[k]; k++)
    if (!strcmp(names[k], name)) return k + 1;
  return 0;
}

/* A long list cannot be meant as options; looking through it would cost. */
enum { MOST_LIST_ITEMS = 16 };

const char *sr_stray_key(lua_State *L, int i) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, i);
  if (n > 0)
    lua_pushinteger(L, n); /* what comes behind the list */
  else
    lua_pushnil(L);
  while (lua_next(L, i)) {
    lua_pop(L, 1);
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1 || lua_tointeger(L, -1) > n)
      return luaL_tolstring(L, -1, NULL);
  }
  return NULL;
}

/* A table with names as keys; an empty one too where it is not the first argument. Objects
 * are none. */
static bool is_options(lua_State *L, int i) {
  if (lua_getmetatable(L, i)) {
    lua_pop(L, 1);
    return false;
  }
  lua_Unsigned items = lua_rawlen(L, i);
  if (items > MOST_LIST_ITEMS) return false;
  bool empty = true;
  lua_pushnil(L);
  while (lua_next(L, i)) {
    lua_pop(L, 1);
    empty = false;
    if (lua_type(L, -1) == LUA_TSTRING) {
      lua_pop(L, 1);
      return true;
    }
  }
  return empty && i > 1;
}

static void refuse_option(lua_State *L, const char *function, const char *name,
                          const char *const *names) {
  const char *closest = sr_closest(name, names);
  if (closest) sr_error(L, "%s: unknown option '%s', did you mean '%s'?", function, name, closest);
  sr_error(L, "%s: unknown option '%s'", function, name);
}

/* Spread the options table at `table` over the positions 1 .. n. */
static void spread(lua_State *L, int table, int given, const char *function,
                   const char *const *names) {
  lua_pushnil(L);
  while (lua_next(L, table)) {
    int target;
    if (lua_type(L, -2) == LUA_TSTRING) {
      const char *name = lua_tostring(L, -2);
      target = position_of(name, names);
      if (!target) refuse_option(L, function, name, names);
    } else {
      /* {1, keepdim = true}: list items take the positions after those given */
      lua_Integer item = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
      target = given + (int)(item > MOST_LIST_ITEMS ? 0 : item);
      if (target <= given || target >= table)
        sr_error(L, "%s: an options table has names as keys", function);
    }
    if (!lua_isnil(L, target))
      sr_error(L, "%s: argument '%s' is given twice", function, names[target - 1]);
    lua_replace(L, target);
  }
}

void sr_arguments(lua_State *L, const char *function, const char *const *names) {
  int n = 0, given = lua_gettop(L);
  while (names[n]) n++;
  bool named = given > 0 && lua_type(L, given) == LUA_TTABLE && is_options(L, given);
  if (given - named > n)
    sr_error(L, "%s: takes at most %d argument%s, got %d", function, n, n == 1 ? "" : "s", given);
  if (!named) {
    lua_settop(L, n);
    return;
  }
  /* [1 .. given - 1] arguments, [given] the table: fill up with nils and move the table
   * behind position n. */
  luaL_checkstack(L, n + 6, function);
  lua_settop(L, n + 1);
  if (given != n + 1) {
    lua_pushvalue(L, given);
    lua_replace(L, n + 1);
    lua_pushnil(L);
    lua_replace(L, given);
  }
  spread(L, n + 1, given - 1, function, names);
  lua_settop(L, n);
}

/* ---- single arguments --------------------------------------------------------------------- */

/* What is at i, in the words of a message; may push it. */
static const char *found(lua_State *L, int i) {
  if (sr_to_tensor(L, i)) return "tensor";
  if (lua_type(L, i) == LUA_TTABLE && luaL_getmetafield(L, i, "__shown") == LUA_TSTRING)
    return lua_tostring(L, -1);
  return lua_isnoneornil(L, i) ? "nil" : luaL_typename(L, i);
}

static int wrong(lua_State *L, int i, const char *function, const char *argument,
                 const char *expected) {
  const char *got = found(L, i);
  if (i == 1 && lua_isnoneornil(L, i)) got = "nil (was a method called with '.' instead of ':'?)";
  if (lua_type(L, i) == LUA_TNUMBER)
    return sr_error(L, "%s: argument '%s' must be %s, got %s", function, argument, expected,
                    luaL_tolstring(L, i, NULL));
  return sr_error(L, "%s: argument '%s' must be %s, got %s", function, argument, expected, got);
}

sr_tensor *sr_check_tensor(lua_State *L, int i, const char *function, const char *argument) {
  sr_tensor *t = sr_to_tensor(L, i);
  if (!t) wrong(L, i, function, argument, "a tensor");
  return t;
}

sr_tensor *sr_optional_tensor(lua_State *L, int i, const char *function, const char *argument) {
  return lua_isnoneornil(L, i) ? NULL : sr_check_tensor(L, i, function, argument);
}

int64_t sr_check_integer(lua_State *L, int i, const char *function, const char *argument) {
  int is_integer = 0;
  lua_Integer value = lua_type(L, i) == LUA_TNUMBER ? lua_tointegerx(L, i, &is_integer) : 0;
  if (!is_integer) wrong(L, i, function, argument, "an integer");
  return value;
}

int64_t sr_optional_integer(lua_State *L, int i, int64_t otherwise, const char *function,
                            const char *argument) {
  return lua_isnoneornil(L, i) ? otherwise : sr_check_integer(L, i, function, argument);
}

double sr_check_number(lua_State *L, int i, const char *function, const char *argument) {
  if (lua_type(L, i) != LUA_TNUMBER) wrong(L, i, function, argument, "a number");
  return lua_tonumber(L, i);
}

double sr_optional_number(lua_State *L, int i, double otherwise, const char *function,
                          const char *argument) {
  return lua_isnoneornil(L, i) ? otherwise : sr_check_number(L, i, function, argument);
}

bool sr_optional_boolean(lua_State *L, int i, bool otherwise, const char *function,
                         const char *argument) {
  if (lua_isnoneornil(L, i)) return otherwise;
  if (lua_type(L, i) != LUA_TBOOLEAN) wrong(L, i, function, argument, "a boolean");
  return lua_toboolean(L, i);
}

const char *sr_check_string(lua_State *L, int i, const char *function, const char *argument) {
  if (lua_type(L, i) != LUA_TSTRING) wrong(L, i, function, argument, "a string");
  return lua_tostring(L, i);
}

static sr_scalar scalar_of(lua_State *L, int i) {
  if (lua_isinteger(L, i)) return sr_integer(lua_tointeger(L, i));
  return sr_number(lua_tonumber(L, i));
}

sr_scalar sr_check_scalar(lua_State *L, int i, const char *function, const char *argument) {
  if (lua_type(L, i) == LUA_TBOOLEAN) return sr_integer(lua_toboolean(L, i));
  sr_tensor *t = sr_to_tensor(L, i);
  if (t && sr_tensor_numel(t) == 1) {
    sr_scalar value;
    sr_raise(L, sr_tensor_item(t, &value));
    return value;
  }
  if (lua_type(L, i) != LUA_TNUMBER) wrong(L, i, function, argument, "a number");
  return scalar_of(L, i);
}

bool sr_read_operand(lua_State *L, int i, sr_operand *x, const char *function,
                     const char *argument) {
  *x = (sr_operand){.tensor = sr_to_tensor(L, i)};
  if (x->tensor) return true;
  if (sr_is_stand_in(L, i)) return false;
  if (lua_type(L, i) == LUA_TBOOLEAN)
    x->number = sr_integer(lua_toboolean(L, i));
  else if (lua_type(L, i) == LUA_TNUMBER)
    x->number = scalar_of(L, i);
  else
    wrong(L, i, function, argument, "a tensor or a number");
  return true;
}

sr_operand sr_check_operand(lua_State *L, int i, const char *function, const char *argument) {
  sr_operand x;
  if (!sr_read_operand(L, i, &x, function, argument))
    wrong(L, i, function, argument, "a tensor or a number");
  return x;
}

/* ---- dimensions and sizes -------------------------------------------------------------------- */

static int dimension(lua_State *L, int64_t d, const char *function, const char *argument) {
  if (d == 0) sr_error(L, "%s: argument '%s' is 0: dimensions count from 1", function, argument);
  if (d > INT_MAX || d < -INT_MAX)
    sr_error(L, "%s: argument '%s' is %lld, no dimension", function, argument, (long long)d);
  return d > 0 ? (int)d - 1 : (int)d;
}

int sr_check_dim(lua_State *L, int i, const char *function, const char *argument) {
  return dimension(L, sr_check_integer(L, i, function, argument), function, argument);
}

int sr_optional_dim(lua_State *L, int i, int otherwise, const char *function,
                    const char *argument) {
  return lua_isnoneornil(L, i) ? otherwise : sr_check_dim(L, i, function, argument);
}

/* Integers of the list at i into out; returns how many. */
int sr_check_list(lua_State *L, int i, int64_t out[SR_MAX_DIMS], const char *function,
                  const char *argument) {
  if (lua_type(L, i) != LUA_TTABLE) wrong(L, i, function, argument, "a list of integers");
  lua_Unsigned n = lua_rawlen(L, i);
  if (n > SR_MAX_DIMS)
    sr_error(L, "%s: argument '%s' has %llu items, a tensor has at most %d dimensions", function,
             argument, (unsigned long long)n, SR_MAX_DIMS);
  for (int k = 0; k < (int)n; k++) {
    lua_rawgeti(L, i, k + 1);
    int is_integer;
    out[k] = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || lua_type(L, -1) != LUA_TNUMBER)
      sr_error(L, "%s: item %d of argument '%s' must be an integer, got %s", function, k + 1,
               argument, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
  }
  return (int)n;
}

void sr_check_dims(lua_State *L, int i, sr_dims *dims, const char *function, const char *argument) {
  *dims = (sr_dims){0};
  if (lua_isnoneornil(L, i)) return;
  int64_t list[SR_MAX_DIMS];
  if (lua_type(L, i) == LUA_TTABLE) {
    dims->n = sr_check_list(L, i, list, function, argument);
  } else {
    list[0] = sr_check_integer(L, i, function, argument);
    dims->n = 1;
  }
  for (int k = 0; k < dims->n; k++) dims->dim[k] = dimension(L, list[k], function, argument);
}

int sr_check_sizes(lua_State *L, int i, int64_t sizes[SR_MAX_DIMS], const char *function,
                   const char *argument) {
  int n = lua_gettop(L) - i + 1;
  if (lua_type(L, i) == LUA_TTABLE) {
    if (n > 1) sr_error(L, "%s: a list of sizes and %d arguments behind it", function, n - 1);
    return sr_check_list(L, i, sizes, function, argument);
  }
  if (n > SR_MAX_DIMS)
    sr_error(L, "%s: %d sizes, a tensor has at most %d dimensions", function, n, SR_MAX_DIMS);
  for (int k = 0; k < n; k++) sizes[k] = sr_check_integer(L, i + k, function, argument);
  return n > 0 ? n : 0;
}

/* ---- dtypes, devices, names ---------------------------------------------------------- */

sr_dtype sr_optional_dtype(lua_State *L, int i, sr_dtype otherwise, const char *function) {
  if (lua_isnoneornil(L, i)) return otherwise;
  sr_dtype dtype;
  sr_raise(L, sr_dtype_parse(sr_check_string(L, i, function, "dtype"), &dtype));
  return dtype;
}

int sr_check_word(lua_State *L, int i, const char *function, const char *argument,
                  const char *const *words) {
  const char *word = sr_check_string(L, i, function, argument);
  int k = position_of(word, words);
  if (k) return k - 1;
  lua_pushfstring(L, "%s: %s must be one of '%s'", function, argument, words[0]);
  for (k = 1; words[k]; k++) lua_pushfstring(L, ", '%s'", words[k]);
  lua_concat(L, k);
  const char *closest = sr_closest(word, words);
  if (!closest) return sr_error(L, "%s, got '%s'", lua_tostring(L, -1), word);
  return sr_error(L, "%s, got '%s', did you mean '%s'?", lua_tostring(L, -1), word, closest);
}

sr_reduction sr_optional_reduction(lua_State *L, int i, const char *function) {
  static const char *const words[] = {
      [SR_MEAN] = "mean", [SR_SUM] = "sum", [SR_NONE] = "none", NULL};
  if (lua_isnoneornil(L, i)) return SR_MEAN;
  return (sr_reduction)sr_check_word(L, i, function, "reduction", words);
}

sr_tensor **sr_check_tensors(lua_State *L, int i, int *n, const char *function,
                             const char *argument) {
  if (lua_type(L, i) != LUA_TTABLE) wrong(L, i, function, argument, "a list of tensors");
  lua_Unsigned count = lua_rawlen(L, i);
  if (count > INT_MAX / sizeof(sr_tensor *)) sr_error(L, "%s: too many tensors", function);
  sr_tensor **list = lua_newuserdatauv(L, (count + 1) * sizeof *list, 0);
  for (lua_Unsigned k = 0; k < count; k++) {
    lua_rawgeti(L, i, (lua_Integer)k + 1);
    list[k] = sr_to_tensor(L, -1);
    if (!list[k])
      sr_error(L, "%s: item %llu of argument '%s' must be a tensor, got %s", function,
               (unsigned long long)k + 1, argument, found(L, -1));
    lua_pop(L, 1); /* the list at i keeps it alive */
  }
  *n = (int)count;
  return list;
}
