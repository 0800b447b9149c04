/* folder.h: a folder of its own for each test that writes files. */
#ifndef FOLDER_H
#define FOLDER_H

#include <dirent.h>
#include <unistd.h>

#include "gradcheck.h"

static char test_folder[64];

static inline const char *in_folder(const char *name) {
  static char paths[4][400];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof *paths, "%s/%s", test_folder, name);
  return path;
}

static inline int files_in_folder(bool remove_them) {
  DIR *dir = opendir(test_folder);
  int count = 0;
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    count++;
    if (remove_them) remove(in_folder(entry->d_name));
  }
  if (dir) closedir(dir);
  return count;
}

static inline int open_folder(void **state) {
  strcpy(test_folder, "/tmp/saros-test-XXXXXX");
  return mkdtemp(test_folder) ? count_blocks(state) : -1;
}

static inline int close_folder(void **state) {
  files_in_folder(true);
  rmdir(test_folder);
  return check_blocks(state);
}
#define FILE_TEST(function) cmocka_unit_test_setup_teardown(function, open_folder, close_folder)

static inline void write_file(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

/* The value of the only tensor of a file. */
static inline double value_in(const char *path) {
  sr_archive *archive;
  sr_scalar value;
  OK(sr_load(path, SR_CPU, &archive));
  assert_int_equal(archive->n, 1);
  OK(sr_tensor_item(archive->tensors[0].tensor, &value));
  sr_archive_free(archive);
  return value.number;
}

static inline sr_status save_value(const char *path, double value) {
  sr_tensor *t;
  sr_status status = sr_tensor_full(SR_float32, SCALAR, sr_number(value), SR_CPU, &t);
  if (status) return status;
  sr_metadata metadata = {"key", "value"};
  status = sr_save(path, 1, &(sr_named_tensor){"x", t}, 1, &metadata);
  sr_tensor_release(t);
  return status;
}

#endif
