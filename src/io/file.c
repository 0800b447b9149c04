/* file.c: see file.h. Every call of the system goes through `calls`. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

static int system_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static int system_fstat(int fd, struct stat *status) { return fstat(fd, status); }
static int system_lstat(const char *path, struct stat *status) { return lstat(path, status); }

const sr_file_calls sr__system_file_calls = {.open = system_open,
                                             .fstat = system_fstat,
                                             .lstat = system_lstat,
                                             .read = read,
                                             .write = write,
                                             .fsync = fsync,
                                             .close = close,
                                             .rename = rename,
                                             .unlink = unlink};

static const sr_file_calls *calls = &sr__system_file_calls;

void sr__use_file_calls(const sr_file_calls *chosen) {
  calls = chosen ? chosen : &sr__system_file_calls;
}

static sr_status system_failure(const char *doing, const char *path) {
  return sr__fail(SR_IO, "%s: '%.400s': %s", doing, path, strerror(errno));
}

static int open_again(const char *path, int flags, mode_t mode) {
  int fd;
  do fd = calls->open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

/* ---- reading ------------------------------------------------------------------------------ */

sr_status sr__file_open(const char *doing, const char *path, sr_file_reader *out) {
  /* Not blocking: opening a pipe must not wait for a writer. */
  int fd = open_again(path, O_RDONLY | O_NONBLOCK, 0);
  if (fd < 0) return system_failure(doing, path);
  struct stat status;
  if (calls->fstat(fd, &status)) {
    sr_status failure = system_failure(doing, path);
    calls->close(fd);
    return failure;
  }
  if (!S_ISREG(status.st_mode)) {
    calls->close(fd);
    return sr__fail(SR_IO, "%s: '%.400s' is not a regular file", doing, path);
  }
  *out = (sr_file_reader){doing, path, fd, status.st_size};
  return SR_OK;
}

sr_status sr__file_read(sr_file_reader *file, void *bytes, size_t count) {
  char *at = bytes;
  while (count > 0) {
    ssize_t got = calls->read(file->fd, at, count < SSIZE_MAX ? count : SSIZE_MAX);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure(file->doing, file->path);
    if (got == 0)
      return sr__fail(SR_FORMAT, "%s: '%.400s': the file ends %zu bytes too early", file->doing,
                      file->path, count);
    at += got;
    count -= (size_t)got;
  }
  return SR_OK;
}

void sr__file_close(sr_file_reader *file) { calls->close(file->fd); }

/* ---- writing ------------------------------------------------------------------------------ */

enum { NAMES_BYTES = 2 * PATH_MAX, TEMPORARY_TRIES = 1000 };

static sr_status too_long(const sr_file_writer *file) {
  return sr__fail(SR_IO, "%s: '%.400s': the path is too long", file->doing, file->path);
}

/* The file behind links, so that a link stays one; the path itself if there is nothing yet. */
static sr_status find_target(sr_file_writer *file) {
  struct stat status;
  if (calls->lstat(file->path, &status)) {
    if (errno != ENOENT) return system_failure(file->doing, file->path);
    if (strlen(file->path) >= PATH_MAX) return too_long(file);
    strcpy(file->target, file->path);
    return SR_OK;
  }
  if (S_ISLNK(status.st_mode)) {
    char resolved[PATH_MAX];
    if (!realpath(file->path, resolved) || calls->lstat(resolved, &status))
      return system_failure(file->doing, file->path);
    strcpy(file->target, resolved);
  } else {
    if (strlen(file->path) >= PATH_MAX) return too_long(file);
    strcpy(file->target, file->path);
  }
  if (S_ISREG(status.st_mode)) return SR_OK;
  return sr__fail(SR_IO, "%s: '%.400s' is not a regular file", file->doing, file->path);
}

/* Length of the part of a path before its file name: "a/b" gives 2, "b" gives 0. */
static int folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (int)(slash - path) + 1 : 0;
}

static sr_status open_temporary(sr_file_writer *file) {
  static unsigned number;
  for (int i = 0; i < TEMPORARY_TRIES; i++) {
    int length = snprintf(file->temporary, PATH_MAX, "%.*s.saros-%ld-%u.tmp",
                          folder_length(file->target), file->target, (long)getpid(), ++number);
    if (length >= PATH_MAX) return too_long(file);
    file->fd = open_again(file->temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (file->fd >= 0) return SR_OK;
    if (errno != EEXIST) break;
  }
  return system_failure(file->doing, file->path);
}

static void free_names(sr_file_writer *file) { sr__free(file->target, NAMES_BYTES); }

sr_status sr__file_create(const char *doing, const char *path, sr_file_writer *out) {
  void *names;
  SR_TRY(sr__new(NAMES_BYTES, &names));
  *out = (sr_file_writer){doing, path, names, (char *)names + PATH_MAX, -1};
  sr_status status = find_target(out);
  if (!status) status = open_temporary(out);
  if (status) free_names(out);
  return status;
}

sr_status sr__file_write(sr_file_writer *file, const void *bytes, size_t count) {
  const char *at = bytes;
  while (count > 0) {
    ssize_t put = calls->write(file->fd, at, count < SSIZE_MAX ? count : SSIZE_MAX);
    if (put < 0 && errno == EINTR) continue;
    if (put == 0) errno = EIO;
    if (put <= 0) return system_failure(file->doing, file->path);
    at += put;
    count -= (size_t)put;
  }
  return SR_OK;
}

void sr__file_abandon(sr_file_writer *file) {
  if (file->fd >= 0) calls->close(file->fd);
  calls->unlink(file->temporary);
  free_names(file);
}

static sr_status force(sr_file_writer *file, int fd) {
  while (calls->fsync(fd)) {
    if (errno == EINTR) continue;
    return system_failure(file->doing, file->path);
  }
  return SR_OK;
}

/* Descriptor of the folder that holds the file, opened while a failure changes nothing. */
static sr_status open_folder(sr_file_writer *file, int *fd) {
  char folder[PATH_MAX];
  int length = folder_length(file->target);
  snprintf(folder, sizeof folder, "%.*s", length ? length : 1, length ? file->target : ".");
  *fd = open_again(folder, O_RDONLY | O_DIRECTORY, 0);
  return *fd < 0 ? system_failure(file->doing, file->path) : SR_OK;
}

/* Closing can report a write that failed late; the descriptor is gone either way. */
static sr_status close_written(sr_file_writer *file) {
  int fd = file->fd;
  file->fd = -1;
  if (calls->close(fd) && errno != EINTR) return system_failure(file->doing, file->path);
  return SR_OK;
}

static sr_status put_in_place(sr_file_writer *file) {
  SR_TRY(force(file, file->fd));
  SR_TRY(close_written(file));
  if (calls->rename(file->temporary, file->target)) return system_failure(file->doing, file->path);
  return SR_OK;
}

/* A folder whose file system cannot force it (EINVAL) keeps its name changes in order. */
static sr_status force_folder(sr_file_writer *file, int folder) {
  int failed;
  do failed = calls->fsync(folder);
  while (failed && errno == EINTR);
  if (!failed || errno == EINVAL) return SR_OK;
  return sr__fail(SR_IO,
                  "%s: '%.400s': the new file is in place, but may not survive a power cut: %s",
                  file->doing, file->path, strerror(errno));
}

sr_status sr__file_commit(sr_file_writer *file) {
  int folder = -1;
  sr_status status = open_folder(file, &folder);
  if (!status) status = put_in_place(file);
  if (status) {
    if (folder >= 0) calls->close(folder);
    sr__file_abandon(file);
    return status;
  }
  status = force_folder(file, folder);
  calls->close(folder);
  free_names(file);
  return status;
}
