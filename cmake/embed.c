/* embed.c: turns .lua files into one C file; run by the build (embed.cmake).
 *
 *   embed OUTPUT ROOT LIST
 *
 * LIST names one file a line, all under ROOT. ROOT/a/b.lua becomes the module
 * "a.b", ROOT/a/init.lua the module "a". Any bytes are kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_or_exit(const char *path, const char *mode) {
  FILE *file = fopen(path, mode);
  if (file) return file;
  perror(path);
  exit(1);
}

/* "saros/nn/init.lua" -> "saros.nn", in place. */
static void module_name(char *name) {
  size_t size = strlen(name);
  if (size > 4 && !strcmp(name + size - 4, ".lua")) name[size -= 4] = '\0';
  if (size > 5 && !strcmp(name + size - 5, "/init")) name[size - 5] = '\0';
  for (; *name; name++)
    if (*name == '/') *name = '.';
}

static long write_bytes(FILE *out, const char *path, long index) {
  FILE *in = open_or_exit(path, "rb");
  fprintf(out, "static const unsigned char source_%ld[] = {", index);
  long size = 0;
  for (int c; (c = getc(in)) != EOF; size++) fprintf(out, size % 24 ? "%d," : "\n%d,", c);
  fputs("\n0};\n", out); /* the NUL also keeps an empty file legal */
  fclose(in);
  return size;
}

int main(int argc, char **argv) {
  if (argc != 4) return fputs("usage: embed OUTPUT ROOT LIST\n", stderr), 1;
  FILE *out = open_or_exit(argv[1], "wb");
  FILE *list = open_or_exit(argv[3], "r");
  FILE *table = tmpfile();
  if (!table) return perror("tmpfile"), 1;
  fputs("/* Made by cmake/embed.c from lua/: do not edit. */\n#include \"lua/embedded.h\"\n", out);
  char path[4096];
  for (long index = 0; fgets(path, sizeof path, list);) {
    path[strcspn(path, "\n")] = '\0';
    if (!*path) continue;
    long size = write_bytes(out, path, index);
    char *name = path + strlen(argv[2]) + 1;
    module_name(name);
    fprintf(table, "  {\"%s\", (const char *)source_%ld, %ld},\n", name, index++, size);
  }
  fputs("const sr_embedded sr_embedded_modules[] = {\n", out);
  rewind(table);
  for (int c; (c = getc(table)) != EOF;) putc(c, out);
  fputs("  {0, 0, 0}};\n", out);
  return fclose(out) != 0;
}
