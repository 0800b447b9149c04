/* options.c: stock Lua's options, and those of saros with two dashes. */
#include "app/options.h"

#include <stddef.h>
#include <string.h>

const char sr__options_usage[] =
    "usage: saros [options] [script [args]]\n"
    "  -e stat        execute string 'stat'\n"
    "  -i             enter interactive mode after executing 'script'\n"
    "  -l mod         require library 'mod' into global 'mod'\n"
    "  -l g=mod       require library 'mod' into global 'g'\n"
    "  -v             show version information\n"
    "  -E             ignore environment variables\n"
    "  -W             turn warnings on\n"
    "  --device NAME  make tensors on this device: cpu, cuda, cuda:1\n"
    "  --seed N       seed the random numbers\n"
    "  --threads N    threads that a large operation may use\n"
    "  --doctor       check the kernels, show devices, data and surroundings, and stop\n"
    "  --version      show version information and stop\n"
    "  --help         show this and stop\n"
    "  --             stop handling options\n"
    "  -              stop handling options and execute stdin\n";

/* The value of "--name value" or "--name=value"; NULL if argv[*i] is another option.
 * *i moves onto the last word used. A value that is missing gives "". */
static const char *long_value(char **argv, int *i, const char *name) {
  const char *word = argv[*i] + 2;
  size_t size = strlen(name);
  if (strncmp(word, name, size) != 0) return NULL;
  if (word[size] == '=') return word + size + 1;
  if (word[size] != '\0') return NULL;
  return argv[*i + 1] ? argv[++*i] : "";
}

static bool read_long(char **argv, int *i, sr__options *options) {
  static const struct {
    const char *name;
    size_t field;
  } values[] = {{"device", offsetof(sr__options, device)},
                {"seed", offsetof(sr__options, seed)},
                {"threads", offsetof(sr__options, threads)}};
  if (!strcmp(argv[*i], "--help")) return options->help = true;
  if (!strcmp(argv[*i], "--version")) return options->only_version = true;
  if (!strcmp(argv[*i], "--doctor")) return options->doctor = true;
  for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
    const char *value = long_value(argv, i, values[k].name);
    if (!value) continue;
    *(const char **)((char *)options + values[k].field) = value;
    return *value != '\0';
  }
  return false;
}

/* One option of stock Lua. -e and -l take the rest of the word or the next word. */
static bool read_short(char **argv, int *i, sr__options *options) {
  const char *word = argv[*i];
  if (word[1] == 'e' || word[1] == 'l') {
    if (word[1] == 'e') options->execute = true;
    if (word[2] != '\0') return true;
    return argv[*i + 1] && argv[*i + 1][0] != '-' && ++*i;
  }
  if (word[2] != '\0') return false;
  switch (word[1]) {
    case 'E': return options->no_env = true;
    case 'W': return true;
    case 'i': return options->interactive = true;
    case 'v': return options->show_version = true;
    default: return false;
  }
}

bool sr__options_read(char **argv, sr__options *options, const char **wrong) {
  *options = (sr__options){0};
  int i = argv[0] ? 1 : 0;
  for (; argv[i]; i++) {
    const char *word = argv[i];
    *wrong = word;
    if (word[0] != '-' || word[1] == '\0') break; /* a script, or "-" */
    if (!strcmp(word, "--")) {
      i++;
      break;
    }
    bool known = word[1] == '-' ? read_long(argv, &i, options) : read_short(argv, &i, options);
    if (!known) return false;
  }
  options->first_free = i;
  options->script = argv[i] != NULL;
  return true;
}

char sr__options_action(char **argv, int *i, const char **value) {
  const char *word = argv[(*i)++];
  *value = NULL;
  if (word[1] == '-') { /* was found right: a value of its own follows unless it has "=" */
    if (strcmp(word, "--") && !strchr(word, '=')) ++*i; /* those without value stop before */
    return 0;
  }
  if (word[1] == 'W') return 'W';
  if (word[1] != 'e' && word[1] != 'l') return 0;
  *value = word[2] ? word + 2 : argv[(*i)++];
  return word[1];
}
