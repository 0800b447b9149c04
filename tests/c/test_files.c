/* test_files.c: saving and loading when the n-th call of the system or request for memory
 * fails, and loading files that were changed. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "folder.h"

#include "io/file.h"

/* ---- what the system does ----------------------------------------------------------------- */

enum { FAIL, INTERRUPT, SHORT, DIE }; /* how the chosen call goes wrong */
static int countdown, failure_errno, failure_kind;

/* Does this call go wrong? Not all of them can be interrupted. */
static bool fails(bool interruptible) {
  if (--countdown != 0 || failure_kind == SHORT) return false;
  if (failure_kind == INTERRUPT && !interruptible) return false;
  if (failure_kind == DIE) raise(SIGKILL);
  errno = failure_kind == INTERRUPT ? EINTR : failure_errno;
  return true;
}

/* How much of `count` a call moves that does not fail. */
static size_t part_of(size_t count) {
  return failure_kind == SHORT && countdown == 0 ? (count + 1) / 2 : count;
}

static int failing_open(const char *path, int flags, mode_t mode) {
  return fails(true) ? -1 : sr__system_file_calls.open(path, flags, mode);
}
static int failing_fstat(int fd, struct stat *s) {
  return fails(false) ? -1 : sr__system_file_calls.fstat(fd, s);
}
static int failing_lstat(const char *path, struct stat *s) {
  return fails(false) ? -1 : sr__system_file_calls.lstat(path, s);
}
static ssize_t failing_read(int fd, void *bytes, size_t count) {
  return fails(true) ? -1 : sr__system_file_calls.read(fd, bytes, part_of(count));
}
/* Before it fails, some of it reaches the disk. */
static ssize_t failing_write(int fd, const void *bytes, size_t count) {
  if (!fails(true)) return sr__system_file_calls.write(fd, bytes, part_of(count));
  int error = errno;
  if (error != EINTR) assert_true(sr__system_file_calls.write(fd, bytes, count / 2) >= 0);
  errno = error;
  return -1;
}
static int failing_fsync(int fd) { return fails(true) ? -1 : sr__system_file_calls.fsync(fd); }
/* The descriptor is gone, whatever close says. */
static int failing_close(int fd) {
  int result = sr__system_file_calls.close(fd);
  return fails(true) ? -1 : result;
}
static int failing_rename(const char *from, const char *to) {
  return fails(false) ? -1 : sr__system_file_calls.rename(from, to);
}
/* A file that cannot be removed is not the runtime's to remove. */
static int counted_unlink(const char *path) { return sr__system_file_calls.unlink(path); }

static const sr_file_calls failing_calls = {failing_open,  failing_fstat,  failing_lstat,
                                            failing_read,  failing_write,  failing_fsync,
                                            failing_close, failing_rename, counted_unlink};

static void fail_call(int n, int kind, int error) {
  countdown = n;
  failure_kind = kind;
  failure_errno = error;
  sr__use_file_calls(&failing_calls);
}

/* Each call of a save fails: the old file stays and nothing is left beside it. */
static void failing_saves(void **state) {
  (void)state;
  static const int errors[] = {ENOSPC, EIO, EACCES, EMFILE};
  const char *path = in_folder("kept");
  for (size_t e = 0; e < sizeof errors / sizeof *errors; e++)
    for (int n = 1;; n++) {
      assert_true(n < 100);
      OK(save_value(path, 1));
      fail_call(n, FAIL, errors[e]);
      sr_status status = save_value(path, 2);
      bool reached = countdown <= 0;
      sr__use_file_calls(NULL);
      double value = value_in(path);
      assert_int_equal(files_in_folder(false), 1);
      if (!reached) {
        assert_true(status == SR_OK && value == 2 && n > 8);
        break;
      }
      /* Only what comes after the new file is in place can fail with it there. */
      bool in_place = status == SR_OK || strstr(sr_message(), "the new file is in place");
      assert_true(value == (in_place ? 2 : 1));
      if (status) assert_int_equal(status, SR_IO);
    }
}

/* Interrupted calls are made again, short ones go on: a save works. */
static void interrupted_saves(void **state) {
  (void)state;
  const char *path = in_folder("again");
  for (int kind = INTERRUPT; kind <= SHORT; kind++)
    for (int n = 1; n == 1 || countdown <= 0; n++) {
      fail_call(n, kind, 0);
      OK(save_value(path, n));
      sr__use_file_calls(NULL);
      assert_true(value_in(path) == n);
      assert_int_equal(files_in_folder(false), 1);
    }
}

/* The process is killed before each call of a save: the old file or the new one is there. */
static void killed_saves(void **state) {
  (void)state;
  const char *path = in_folder("survives");
  int seen[3] = {0};
  OK(save_value(path, 1));
  for (int n = 1, status = 1; status != 0; n++) {
    assert_true(n < 100);
    OK(save_value(path, 1));
    pid_t child = fork();
    if (child == 0) {
      fail_call(n, DIE, 0);
      _exit(save_value(path, 2) != SR_OK);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(status == 0 || WIFSIGNALED(status));
    double value = value_in(path);
    assert_true(value == 1 || value == 2);
    seen[(int)value]++;
  }
  assert_true(seen[1] > 5 && seen[2] > 1);
}

static void failing_loads(void **state) {
  (void)state;
  const char *path = in_folder("read");
  OK(save_value(path, 5));
  for (int kind = FAIL; kind <= SHORT; kind++)
    for (int n = 1; n == 1 || countdown <= 0; n++) {
      sr_archive *archive = NULL;
      fail_call(n, kind, EIO);
      sr_status status = sr_load(path, SR_CPU, &archive);
      sr__use_file_calls(NULL);
      if (kind != FAIL) OK(status);
      if (status) assert_int_equal(status, SR_IO);
      if (!status) sr_archive_free(archive);
    }
}

/* A file that shrinks after its size was asked. */
static const char *shrinking_path;
static int shrink(int fd, struct stat *s) {
  int result = sr__system_file_calls.fstat(fd, s);
  return truncate(shrinking_path, s->st_size - 2) ? -1 : result;
}

static void shrinking_file(void **state) {
  (void)state;
  shrinking_path = in_folder("shrinking");
  OK(save_value(shrinking_path, 5));
  sr_file_calls calls = sr__system_file_calls;
  calls.fstat = shrink;
  sr__use_file_calls(&calls);
  sr_archive *archive;
  FAILS(sr_load(shrinking_path, SR_CPU, &archive), SR_FORMAT, "the file ends 2 bytes too early");
  sr__use_file_calls(NULL);
}

/* Each request for memory fails in a save and a load. */
static void failing_memory(void **state) {
  (void)state;
  const char *path = in_folder("memory");
  for (int64_t n = 1;; n++) {
    OK(save_value(path, 1));
    sr_memory_fail_at(n, false);
    sr_status saved = save_value(path, 2);
    sr_memory_fail_at(0, false);
    assert_true(value_in(path) == (saved ? 1 : 2));
    assert_int_equal(files_in_folder(false), 1);
    if (!saved) break;
    assert_int_equal(saved, SR_MEMORY);
  }
  for (int64_t n = 1;; n++) {
    sr_archive *archive;
    int64_t blocks = sr_memory_stats().live_blocks;
    sr_memory_fail_at(n, true);
    sr_status status = sr_load(path, SR_CPU, &archive);
    sr_memory_fail_at(0, false);
    if (!status) {
      sr_archive_free(archive);
      break;
    }
    assert_int_equal(status, SR_MEMORY);
    assert_int_equal(sr_memory_stats().live_blocks, blocks);
  }
}

/* ---- mutated files ------------------------------------------------------------------------ */

/* A file in memory, so that many can be tried. */
static const unsigned char *memory_file;
static size_t memory_size, memory_at;

static int memory_open(const char *path, int flags, mode_t mode) {
  (void)path, (void)flags, (void)mode;
  memory_at = 0;
  return 1000;
}
static int memory_fstat(int fd, struct stat *s) {
  assert_int_equal(fd, 1000);
  *s = (struct stat){.st_mode = S_IFREG, .st_size = (off_t)memory_size};
  return 0;
}
static ssize_t memory_read(int fd, void *bytes, size_t count) {
  assert_int_equal(fd, 1000);
  if (count > memory_size - memory_at) count = memory_size - memory_at;
  memcpy(bytes, memory_file + memory_at, count);
  memory_at += count;
  return (ssize_t)count;
}
static int memory_close(int fd) { return fd - 1000; }

static uint32_t below(sr_generator *g, uint32_t n) { return sr_generator_next32(g) % n; }

/* One change to the header: a byte, a digit, a piece left out, doubled or overwritten. */
static size_t mutate(sr_generator *g, unsigned char *text, size_t size, size_t room) {
  static const char bytes[] = "0123456789{}[]\",:-+.eE \\u\xff\x80\x01tFIB";
  size_t at = below(g, (uint32_t)size), from = below(g, (uint32_t)size), length = below(g, 12);
  switch (below(g, 5)) {
    case 0: text[at] = (unsigned char)bytes[below(g, sizeof bytes - 1)]; return size;
    case 1:
      while (at < size && (text[at] < '0' || text[at] > '9')) at++;
      if (at < size) text[at] = (unsigned char)('0' + below(g, 10));
      return size;
    case 2:
      if (at + length > size) return size;
      memmove(text + at, text + at + length, size - at - length);
      return size - length;
    case 3:
      if (size + length > room || at + length > size) return size;
      memmove(text + at + length, text + at, size - at);
      return size + length;
    default:
      if (from + length <= size && at + length <= size) memmove(text + at, text + from, length);
      return size;
  }
}

static void expect_same_archives(const sr_archive *one, const sr_archive *other) {
  assert_int_equal(one->n, other->n);
  for (int64_t i = 0; i < one->n; i++) {
    const sr_tensor *a = one->tensors[i].tensor, *b = other->tensors[i].tensor;
    assert_string_equal(one->tensors[i].name, other->tensors[i].name);
    assert_int_equal(sr_tensor_dtype(a), sr_tensor_dtype(b));
    assert_int_equal(sr_tensor_numel(a), sr_tensor_numel(b));
    size_t bytes = (size_t)sr_tensor_numel(a) * sr_dtype_bytes(sr_tensor_dtype(a));
    assert_memory_equal(sr_tensor_data(a), sr_tensor_data(b), bytes);
  }
}

/* Loads what lies in memory; what loads can be saved, and then loads the same. */
static bool try_memory_file(const unsigned char *bytes, size_t size) {
  static const sr_file_calls calls = {
      .open = memory_open, .fstat = memory_fstat, .read = memory_read, .close = memory_close};
  sr_archive *archive, *again;
  memory_file = bytes;
  memory_size = size;
  sr__use_file_calls(&calls);
  sr_status status = sr_load("memory", SR_CPU, &archive);
  sr__use_file_calls(NULL);
  if (status) {
    assert_int_equal(status, SR_FORMAT);
    return false;
  }
  const char *path = in_folder("mutated");
  OK(sr_save(path, archive->n, archive->tensors, archive->n_metadata, archive->metadata));
  OK(sr_load(path, SR_CPU, &again));
  expect_same_archives(archive, again);
  sr_archive_free(again);
  sr_archive_free(archive);
  return true;
}

/* SAROS_FUZZ=n tries n thousand files instead of 20 thousand. */
static void mutated_files(void **state) {
  (void)state;
  static const char text[] =
      "{\"__metadata__\":{\"a\":\"b\"},"
      "\"x\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
      "\"y\":{\"dtype\":\"I16\",\"shape\":[],\"data_offsets\":[24,26]},"
      "\"z\":{\"dtype\":\"BOOL\",\"shape\":[1,1,6,1],\"data_offsets\":[26,32]}}";
  enum { DATA = 32, ROOM = 1024 };
  const char *asked = getenv("SAROS_FUZZ");
  int64_t files = 1000 * (asked ? atoll(asked) : 20), accepted = 0;
  sr_generator *g;
  OK(sr_generator_new(&g));
  for (int64_t i = 0; i < files; i++) {
    unsigned char bytes[8 + ROOM + DATA] = {0};
    size_t size = sizeof text - 1;
    memcpy(bytes + 8, text, size);
    for (uint32_t n = 1 + below(g, 3); n > 0; n--) size = mutate(g, bytes + 8, size, ROOM);
    uint64_t told = below(g, 50) ? size : below(g, 2 * (uint32_t)size);
    memcpy(bytes, &told, 8);
    size_t data = below(g, 50) ? DATA : below(g, DATA + 1);
    for (size_t k = 0; k < data; k++) bytes[8 + size + k] = (unsigned char)below(g, 2);
    accepted += try_memory_file(bytes, 8 + size + data);
  }
  assert_true(accepted > files / 100);
  sr_generator_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FILE_TEST(failing_saves), FILE_TEST(interrupted_saves), FILE_TEST(killed_saves),
      FILE_TEST(failing_loads), FILE_TEST(shrinking_file),    FILE_TEST(failing_memory),
      FILE_TEST(mutated_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
