/* file.h: reading files whole and writing them so that a crash leaves the old one.
 *
 * A file is written beside its place under a temporary name, forced to disk and renamed
 * over the old one; on any failure the temporary file is removed and the old one is as it
 * was. Interrupted calls are repeated and short writes continued. */
#ifndef SR_IO_FILE_H
#define SR_IO_FILE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/status.h"

/* The calls of the system that are used here, so that tests can make one of them fail. */
typedef struct {
  int (*open)(const char *path, int flags, mode_t mode);
  int (*fstat)(int fd, struct stat *status);
  int (*lstat)(const char *path, struct stat *status);
  ssize_t (*read)(int fd, void *bytes, size_t count);
  ssize_t (*write)(int fd, const void *bytes, size_t count);
  int (*fsync)(int fd);
  int (*close)(int fd);
  int (*rename)(const char *from, const char *to);
  int (*unlink)(const char *path);
} sr_file_calls;

extern const sr_file_calls sr__system_file_calls;
void sr__use_file_calls(const sr_file_calls *calls); /* NULL: those of the system */

/* ---- reading ------------------------------------------------------------------------------ */

/* `doing` stands at the start of messages: "load: 'path': ...". path is borrowed. */
typedef struct {
  const char *doing, *path;
  int fd;
  int64_t size;
} sr_file_reader;

/* Regular files only: directories, pipes and devices are refused. */
sr_status sr__file_open(const char *doing, const char *path, sr_file_reader *out);
/* The next `count` bytes; SR_FORMAT if there are fewer. */
sr_status sr__file_read(sr_file_reader *file, void *bytes, size_t count);
void sr__file_close(sr_file_reader *file);

/* ---- writing ------------------------------------------------------------------------------ */

typedef struct {
  const char *doing, *path; /* as the caller gave it, borrowed */
  char *target, *temporary; /* of PATH_MAX bytes each, in one block */
  int fd;
} sr_file_writer;

sr_status sr__file_create(const char *doing, const char *path, sr_file_writer *out);
sr_status sr__file_write(sr_file_writer *file, const void *bytes, size_t count);
/* Ends the writing: with SR_OK the new file is in place and on disk. */
sr_status sr__file_commit(sr_file_writer *file);
/* Ends it too: nothing has happened. */
void sr__file_abandon(sr_file_writer *file);

#endif
