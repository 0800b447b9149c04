/* repl.h: the interactive loop. */
#ifndef SR_APP_REPL_H
#define SR_APP_REPL_H

#include <lua.h>

/* Read, run and print lines of stdin until it ends. Prompts, banner, colours,
 * history and completion only if stdin is a terminal. Makes the globals saros,
 * nn, optim, data and text where they are free. Lua errors of the user never
 * leave it. */
void sr__repl_run(lua_State *L);

#endif
