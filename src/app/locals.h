/* locals.h: `local x = 5` stays known on the next line of the REPL.
 *
 * Each line is a chunk of its own, so a true local would be gone at its end.
 * Local declarations outside of any block are therefore rewritten into plain
 * assignments, and the assigned names are kept in the REPL's environment, in
 * front of the globals: `local string = "a"` hides the library `string` from
 * the lines that follow and from nobody else.
 *
 * Limits: <const> is dropped; a line that declares <close> is left as it is;
 * `local x` hides no global x until a value is assigned. */
#ifndef SR_APP_LOCALS_H
#define SR_APP_LOCALS_H

#include <lua.h>
#include <stddef.h>

/* Pushes the environment: reads fall through to the globals; writes go to them
 * unless the name was declared local. */
void sr__locals_new_environment(lua_State *L);

/* Pushes the rewritten text and a table {name = true} of the names it declares. */
void sr__locals_rewrite(lua_State *L, const char *text, size_t size);

/* From now on the names of the table on top, which is popped, are locals of the
 * environment at index. */
void sr__locals_declare(lua_State *L, int environment);

#endif
