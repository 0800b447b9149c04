/* history.c: the history file. Failures are silent: a history is a comfort. */
#include "app/history.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT = 2000, SHORTEN_ABOVE = 2 * KEPT }; /* statements */

static char path[PATH_MAX]; /* "" where there is no place */

static bool choose_path(void) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  int size = -1;
  if (state && *state == '/')
    size = snprintf(path, sizeof path, "%s/saros/history", state);
  else if (home && *home == '/')
    size = snprintf(path, sizeof path, "%s/.local/state/saros/history", home);
  if (size < 0 || (size_t)size >= sizeof path) path[0] = '\0';
  return path[0] != '\0';
}

static void make_folders(void) {
  for (char *slash = path + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
    *slash = '\0';
    mkdir(path, 0700);
  }
}

/* Decode a line in place. */
static void unescape(char *line) {
  char *out = line;
  for (const char *in = line; *in && *in != '\n'; in++) {
    if (*in == '\\' && in[1]) {
      in++;
      *out++ = *in == 'n' ? '\n' : *in;
    } else {
      *out++ = *in;
    }
  }
  *out = '\0';
}

/* Keep the last lines only; the new file takes the place of the old at once. */
static void shorten(FILE *file, long lines) {
  char fresh[PATH_MAX + 8];
  snprintf(fresh, sizeof fresh, "%s.XXXXXX", path);
  int fd = mkstemp(fresh);
  FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
  if (!out) return;
  rewind(file);
  char *line = NULL;
  size_t room = 0;
  for (long i = 0; getline(&line, &room, file) > 0; i++)
    if (i >= lines - KEPT) fputs(line, out);
  free(line);
  if (fclose(out) != 0 || rename(fresh, path) != 0) unlink(fresh);
}

void sr__history_load(void (*remember)(const char *statement)) {
  FILE *file = choose_path() ? fopen(path, "re") : NULL;
  if (!file) return;
  char *line = NULL;
  size_t room = 0;
  long lines = 0;
  for (; getline(&line, &room, file) > 0; lines++) {
    unescape(line);
    if (*line) remember(line);
  }
  free(line);
  if (lines > SHORTEN_ABOVE) shorten(file, lines);
  fclose(file);
}

void sr__history_append(const char *statement) {
  if (!path[0]) return;
  make_folders();
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "a");
  if (!file) return;
  for (const char *c = statement; *c; c++) {
    if (*c == '\n' || *c == '\\') putc('\\', file);
    putc(*c == '\n' ? 'n' : *c, file);
  }
  putc('\n', file);
  fclose(file);
}
