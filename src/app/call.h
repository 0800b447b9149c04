/* call.h: calling Lua from the program: errors, tracebacks and Ctrl-C.
 *
 * A failed call leaves one value, the message with a traceback that starts at
 * the user's own lines. Frames of C are left out; those of the Lua library
 * inside the program come last (scripts) or not at all (REPL). */
#ifndef SR_APP_CALL_H
#define SR_APP_CALL_H

#include <lua.h>
#include <stdbool.h>

/* In the REPL a second Ctrl-C must not end the process, and tracebacks are short. */
void sr__call_interactive(bool on);

/* lua_pcall of the function under its n_arguments, while Ctrl-C raises the error
 * "interrupted!" at the next instruction and stops a running backward pass. A
 * coroutine is not interrupted itself: the error comes when it gives control back. */
int sr__call(lua_State *L, int n_arguments, int n_results);

/* Print the message on top and pop it, if status is not LUA_OK; returns status == LUA_OK. */
bool sr__report(lua_State *L, int status);

/* Of the program: 130 if the last sr__call was ended by Ctrl-C, else success or failure. */
int sr__exit_status(bool good);

/* Was Ctrl-C pressed since the last question? For the time outside of sr__call. */
bool sr__interrupt_seen(void);

/* May escape sequences be written to this stream? */
bool sr__colours(int file);

#endif
