/* binding.h: what the binding files share: tensors as userdata, arguments, errors.
 *
 * The rule of every binding: read and check all arguments; make the userdata of the
 * results, empty; call the runtime, which fills them; raise if it failed. Nothing
 * that would leak is held where a Lua error can be raised. */
#ifndef SR_LUA_BINDING_H
#define SR_LUA_BINDING_H

#include <lauxlib.h>
#include <lua.h>

#include "saros.h"

/* ---- tensors -------------------------------------------------------------------------- */

/* The userdata. tag tells it from any other; tensor is NULL until it is filled, and after
 * __gc. */
typedef struct {
  const void *tag;
  sr_tensor *tensor;
  bool is_parameter;
} sr_lua_tensor;

/* The tensor at stack index i; an error naming the function and the argument otherwise. */
sr_tensor *sr_check_tensor(lua_State *L, int i, const char *function, const char *argument);
/* NULL if there is no tensor at i (nothing is raised). */
sr_tensor *sr_to_tensor(lua_State *L, int i);
sr_tensor *sr_optional_tensor(lua_State *L, int i, const char *function, const char *argument);

/* Push an empty tensor userdata; its slot is to be filled by the runtime:
 *   sr_tensor **y = sr_push_tensor(L);
 *   sr_raise(L, sr_tanh(x, y));
 *   return sr_filled(L, 1);                                                  */
sr_tensor **sr_push_tensor(lua_State *L);
/* Tell the collector how much the top n values, filled tensors, hold; returns n. */
int sr_filled(lua_State *L, int n);
/* Tell the collector that a backward pass has ended. */
void sr_pass_ended(lua_State *L);
/* Push a userdata for a tensor that lives elsewhere (takes a reference); nil for NULL. */
void sr_push_shared(lua_State *L, sr_tensor *t);

/* ---- errors ------------------------------------------------------------------------------ */

/* If status is not SR_OK, raise sr_message() at the user's line, with the name of the function
 * that the script called before it. */
void sr_raise(lua_State *L, sr_status status);
/* Raise a message at the user's line: the innermost Lua function that is not of the library. */
int sr_error(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- arguments ------------------------------------------------------------------------------- */

/* Bring the arguments into the order of `names` (NULL-terminated): position k + 1 then holds
 * argument k or nil. Arguments may come by position or, in a last table with string keys, by name;
 * unknown names are refused with the closest known one. Too many arguments: an error.
 *   x:sum(2, true)   x:sum(2, {keepdim = true})   x:sum{dim = 2, keepdim = true}  */
void sr_arguments(lua_State *L, const char *function, const char *const *names);

/* tensor(value, options): as a script calls it. */
int sr_create_tensor(lua_State *L);

/* Closest name for a message, or NULL if none is near. */
const char *sr_closest(const char *word, const char *const *names);
/* A key of the table at i that is no position of its list, as text (it stays on the stack
 * with what else was pushed: for a message); NULL if there is none. */
const char *sr_stray_key(lua_State *L, int i);

int64_t sr_check_integer(lua_State *L, int i, const char *function, const char *argument);
int64_t sr_optional_integer(lua_State *L, int i, int64_t otherwise, const char *function,
                            const char *argument);
double sr_check_number(lua_State *L, int i, const char *function, const char *argument);
double sr_optional_number(lua_State *L, int i, double otherwise, const char *function,
                          const char *argument);
bool sr_optional_boolean(lua_State *L, int i, bool otherwise, const char *function,
                         const char *argument);
/* The place, from 0, of the string at i in the NULL-terminated `words`. */
int sr_check_word(lua_State *L, int i, const char *function, const char *argument,
                  const char *const *words);
const char *sr_check_string(lua_State *L, int i, const char *function, const char *argument);
/* A number or a one-element tensor's value. */
sr_scalar sr_check_scalar(lua_State *L, int i, const char *function, const char *argument);
/* A tensor or a number; false for a stand-in (see below). */
bool sr_read_operand(lua_State *L, int i, sr_operand *x, const char *function,
                     const char *argument);
/* The same where stand-ins are refused. */
sr_operand sr_check_operand(lua_State *L, int i, const char *function, const char *argument);

/* A dimension: 1.. in Lua, 0.. in C; negative ones stay. */
int sr_check_dim(lua_State *L, int i, const char *function, const char *argument);
int sr_optional_dim(lua_State *L, int i, int otherwise, const char *function, const char *argument);
/* nil (all), a dimension or a list of them. */
void sr_check_dims(lua_State *L, int i, sr_dims *dims, const char *function, const char *argument);
/* Integers from a list table at i. Returns how many. */
int sr_check_list(lua_State *L, int i, int64_t list[SR_MAX_DIMS], const char *function,
                  const char *argument);
/* Sizes, the last arguments: a list table at i, or the positions i .. top. */
int sr_check_sizes(lua_State *L, int i, int64_t sizes[SR_MAX_DIMS], const char *function,
                   const char *argument);
sr_dtype sr_optional_dtype(lua_State *L, int i, sr_dtype otherwise, const char *function);
sr_device sr_optional_device(lua_State *L, int i, const char *function); /* default device */
sr_reduction sr_optional_reduction(lua_State *L, int i, const char *function);
/* The generator at i, or NULL (default) for nil. */
sr_generator *sr_optional_generator(lua_State *L, int i, const char *function);

/* A list of tensors at i as an array that lives in a userdata pushed on the stack
 * (so that nothing leaks); *n of them. nil entries are refused. */
sr_tensor **sr_check_tensors(lua_State *L, int i, int *n, const char *function,
                             const char *argument);

/* ---- stand-ins ------------------------------------------------------------------------ */

/* A table whose metatable has __tensor_function stands for a tensor (as an object that has
 * __torch_function__ does in PyTorch). A function that allows one begins with
 *   if (sr_is_stand_in(L, 1)) return sr_call_stand_in(L);
 * and gives what __tensor_function(itself, ...) gives, for its first or second argument.
 * Messages of those that refuse it show it as __shown. */
bool sr_has_tensor_function(lua_State *L, int i);
static inline bool sr_is_stand_in(lua_State *L, int i) {
  return lua_type(L, i) == LUA_TTABLE && sr_has_tensor_function(L, i);
}
int sr_call_stand_in(lua_State *L);

/* ---- the parts of saros.core --------------------------------------------------------- */

/* Each adds its functions to the table `core` at the top of the stack; those that are
 * methods too go into the table `methods` just below it. Both stay. */
void sr_bind_tensor(lua_State *L);
void sr_bind_create(lua_State *L);
void sr_bind_pointwise(lua_State *L);
void sr_bind_reduce(lua_State *L);
void sr_bind_shape(lua_State *L);
void sr_bind_join(lua_State *L);
void sr_bind_convert(lua_State *L);
void sr_bind_index(lua_State *L);
void sr_bind_product(lua_State *L);
void sr_bind_network(lua_State *L);
void sr_bind_packing(lua_State *L);
void sr_bind_optimizer(lua_State *L);
void sr_bind_random(lua_State *L);
void sr_bind_autograd(lua_State *L);
void sr_bind_files(lua_State *L);
void sr_bind_text(lua_State *L);
void sr_bind_system(lua_State *L);

typedef struct {
  const char *name;
  lua_CFunction function;
  bool method; /* also x:name(...) */
} sr_binding;
/* Register a NULL-terminated list (core on top, methods below). */
void sr_register(lua_State *L, const sr_binding *list);

/* Add the operators to the metatable of tensors, on top. */
void sr_bind_operators(lua_State *L);
/* x[key] and x[key] = value for positions, tables and tensors; stack as in __index, __newindex. */
int sr_index_read(lua_State *L);
int sr_index_write(lua_State *L);

#endif
