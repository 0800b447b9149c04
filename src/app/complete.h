/* complete.h: what Tab offers in the REPL.
 *
 * Names and keywords, fields after `.`, methods after `:`, file names inside
 * strings; two blanks at the start of a line. Only raw reads of tables (and of
 * tables that __index names), so no code of the user runs and nothing fails. */
#ifndef SR_APP_COMPLETE_H
#define SR_APP_COMPLETE_H

#include <lua.h>

/* Complete from the table at index `environment` and, behind it, the globals. */
void sr__complete_open(lua_State *L, int environment);

#endif
