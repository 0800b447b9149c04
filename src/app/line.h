/* line.h: where the REPL's lines come from: the line editor on a terminal,
 * plain reading elsewhere. The only file that knows libedit is line.c. */
#ifndef SR_APP_LINE_H
#define SR_APP_LINE_H

#include <lua.h>
#include <stdbool.h>

typedef enum { SR__LINE, SR__LINE_CANCELLED, SR__LINE_END } sr__line_status;

/* On a terminal: prompts, editing, history, and Tab completes the names of the
 * table at index `environment`, which must stay where it is in L. */
void sr__line_open(lua_State *L, int environment, bool terminal);

/* *line (free it) holds no line end. Cancelled: Ctrl-C. */
sr__line_status sr__line_read(const char *prompt, char **line);

/* A statement, however many lines it has, becomes one entry of the history. */
void sr__line_remember(const char *statement);

#endif
