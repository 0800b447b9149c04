/* options.h: the command line of the program, read once by main.c. */
#ifndef SR_APP_OPTIONS_H
#define SR_APP_OPTIONS_H

#include <stdbool.h>

typedef struct {
  bool interactive;  /* -i */
  bool show_version; /* -v */
  bool execute;      /* some -e was given */
  bool no_env;       /* -E */
  bool help;         /* --help */
  bool only_version; /* --version: nothing else is done */
  bool doctor;       /* --doctor: the same */
  int first_free;    /* options end before this one; argv[first_free] is the script, if any */
  bool script;       /* there is one */
  const char *device, *seed, *threads; /* NULL where not given */
} sr__options;

/* False, and *wrong set to the option that is not understood. */
bool sr__options_read(char **argv, sr__options *options, const char **wrong);

/* If argv[*i] is one of -e, -l, -W returns its letter, with its argument (NULL for -W)
 * in *value; 0 for any other option. *i moves behind the option and its argument. */
char sr__options_action(char **argv, int *i, const char **value);

extern const char sr__options_usage[];

#endif
