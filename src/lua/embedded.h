/* embedded.h: the Lua library inside the program.
 *
 * The build makes the table from lua/ (cmake/embed.c); lua_saros.c turns each
 * entry into a package.preload function. */
#ifndef SR_LUA_EMBEDDED_H
#define SR_LUA_EMBEDDED_H

#include <stddef.h>

typedef struct {
  const char *name;   /* Lua module name: "saros.nn.rnn" */
  const char *source; /* `size` bytes, then a NUL */
  size_t size;
} sr_embedded;

/* Ends with an entry whose name is NULL. */
extern const sr_embedded sr_embedded_modules[];

#endif
