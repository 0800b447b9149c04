/* line.c: libedit through its readline interface. */
#include "app/line.h"

#include <editline/readline.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "app/call.h"
#include "app/complete.h"
#include "app/history.h"

static bool on_terminal;
static bool cancelled;
static sigset_t outer_mask; /* of signals, outside of the editor */
static char *last_remembered;

/* ---- characters ---------------------------------------------------------------- */

static bool interrupted(void) {
  if (sr__interrupt_seen()) cancelled = true;
  return cancelled;
}

static void redraw(void) {
  putc('\r', rl_outstream);
  rl_forced_update_display();
}

/* Wait for a byte. Signals come in here and nowhere else in the editor, whose
 * data they would find half changed. False at the end of input; Ctrl-C sets
 * `cancelled`. */
static bool wait_byte(int fd, unsigned char *byte) {
  for (;;) {
    if (interrupted()) return true;
    struct pollfd input = {.fd = fd, .events = POLLIN};
    if (ppoll(&input, 1, NULL, &outer_mask) < 0) {
      if (errno != EINTR) return false;
      if (!interrupted()) redraw(); /* resumed, or another size */
      continue;
    }
    ssize_t size = read(fd, byte, 1);
    if (size == 1) return true;
    if (size == 0 || (errno != EINTR && errno != EAGAIN)) return false;
  }
}

/* The next character, for the editor. A cancelled line ends as with Enter. */
static int read_character(FILE *in) {
  mbstate_t state = {0};
  for (unsigned char byte; wait_byte(fileno(in), &byte);) {
    if (cancelled) return '\n';
    wchar_t character;
    size_t size = mbrtowc(&character, (const char *)&byte, 1, &state);
    if (size == (size_t)-2) continue; /* more bytes to come */
    return size == (size_t)-1 ? '?' : (int)character;
  }
  return EOF;
}

/* The editor needs to know how many columns a character takes. */
static void choose_locale(void) {
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

/* ---- opening and reading ----------------------------------------------------------- */

static void recall(const char *statement) { add_history(statement); }

void sr__line_open(lua_State *L, int environment, bool terminal) {
  on_terminal = terminal;
  if (!terminal) return;
  choose_locale();
  rl_readline_name = "saros";
  rl_getc_function = read_character;
  rl_catch_signals = 1;
  using_history();
  stifle_history(2000);
  sr__complete_open(L, environment);
  sr__history_load(recall);
}

static sr__line_status read_plain(char **line) {
  size_t room = 0;
  *line = NULL;
  ssize_t size = getline(line, &room, stdin);
  if (size <= 0) {
    free(*line);
    return sr__interrupt_seen() ? (clearerr(stdin), SR__LINE_CANCELLED) : SR__LINE_END;
  }
  if ((*line)[size - 1] == '\n') (*line)[size - 1] = '\0';
  return SR__LINE;
}

sr__line_status sr__line_read(const char *prompt, char **line) {
  if (!on_terminal) return read_plain(line);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGTSTP);
  sigaddset(&mask, SIGCONT);
  sigaddset(&mask, SIGWINCH);
  fflush(stdout);
  cancelled = false;
  sigprocmask(SIG_BLOCK, &mask, &outer_mask);
  *line = readline(prompt);
  sigprocmask(SIG_SETMASK, &outer_mask, NULL);
  if (sr__interrupt_seen() || cancelled) {
    free(*line);
    return SR__LINE_CANCELLED;
  }
  return *line ? SR__LINE : SR__LINE_END;
}

void sr__line_remember(const char *statement) {
  if (!on_terminal || !statement[strspn(statement, " \t\n")]) return;
  if (last_remembered && !strcmp(last_remembered, statement)) return;
  free(last_remembered);
  last_remembered = strdup(statement);
  add_history(statement);
  sr__history_append(statement);
}
