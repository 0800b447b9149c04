/* history.h: the lines of earlier sessions, for the line editor.
 *
 * A text file of the user's own ($XDG_STATE_HOME/saros/history, else
 * ~/.local/state/saros/history), one statement a line; line breaks inside one
 * are written \n and a backslash \\. Statements are appended as they are
 * entered, so sessions side by side and crashes lose nothing. Without a place
 * to write, the history lasts as long as the session. */
#ifndef SR_APP_HISTORY_H
#define SR_APP_HISTORY_H

/* Read the file, calling remember for each statement, oldest first. */
void sr__history_load(void (*remember)(const char *statement));

void sr__history_append(const char *statement);

#endif
