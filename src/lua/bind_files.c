/* bind_files.c: safetensors files, whole files and folders for the Lua library.
 *
 * save and load raise errors. The calls on files and folders return nil and a message
 * instead, as Lua's io library does, for callers that try several places. What they hold
 * (descriptors, listings, archives) belongs to a userdata before anything can raise. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "lua/binding.h"

/* ---- arguments and results -------------------------------------------------------------- */

/* The string at i without NUL, which C would take for its end. */
static const char *check_plain(lua_State *L, int i, const char *function, const char *argument) {
  const char *s = sr_check_string(L, i, function, argument);
  if (strlen(s) != lua_rawlen(L, i))
    sr_error(L, "%s: argument '%s' contains a NUL byte", function, argument);
  return s;
}

static const char *check_path(lua_State *L, int i, const char *function) {
  const char *path = check_plain(L, i, function, "path");
  if (!*path) sr_error(L, "%s: argument 'path' is empty", function);
  return path;
}

static const char *only_path(lua_State *L, const char *function) {
  static const char *const names[] = {"path", NULL};
  sr_arguments(L, function, names);
  return check_path(L, 1, function);
}

/* nil, "cannot read 'x': No such file or directory" */
static int push_reason(lua_State *L, const char *doing, const char *path, const char *reason) {
  lua_pushnil(L);
  lua_pushfstring(L, "cannot %s '%s': %s", doing, path, reason);
  return 2;
}

static int push_failure(lua_State *L, const char *doing, const char *path, int error) {
  return push_reason(L, doing, path, strerror(error));
}

static int push_true(lua_State *L) {
  lua_pushboolean(L, true);
  return 1;
}

/* ---- owners ----------------------------------------------------------------------------- */

/* A userdata of `bytes` zeros whose __gc is `release`. */
static void *push_owner(lua_State *L, size_t bytes, const char *name, lua_CFunction release) {
  void *owner = memset(lua_newuserdatauv(L, bytes, 0), 0, bytes);
  if (luaL_newmetatable(L, name)) {
    lua_pushcfunction(L, release);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return owner;
}

typedef struct {
  bool open;
  int file;
} descriptor;

static int close_descriptor(lua_State *L) {
  descriptor *d = lua_touserdata(L, 1);
  if (d->open) close(d->file);
  d->open = false;
  return 0;
}

static descriptor *push_descriptor(lua_State *L) {
  return push_owner(L, sizeof(descriptor), "saros.descriptor", close_descriptor);
}

typedef struct {
  sr_archive *archive;
} archive_owner;

static int free_archive(lua_State *L) {
  archive_owner *owner = lua_touserdata(L, 1);
  if (owner->archive) sr_archive_free(owner->archive);
  owner->archive = NULL;
  return 0;
}

typedef struct {
  struct dirent **entries;
  int n;
} listing;

static int free_listing(lua_State *L) {
  listing *l = lua_touserdata(L, 1);
  for (int i = 0; i < l->n; i++) free(l->entries[i]);
  free(l->entries);
  *l = (listing){0};
  return 0;
}

/* ---- save ------------------------------------------------------------------------------- */

static void check_table(lua_State *L, int i, const char *function, const char *argument) {
  if (lua_type(L, i) != LUA_TTABLE)
    sr_error(L, "%s: argument '%s' must be a table, got %s", function, argument,
             lua_isnoneornil(L, i) ? "nil" : luaL_typename(L, i));
}

/* The string on top, which a table keeps alive; popped. */
static const char *pop_plain(lua_State *L, const char *what) {
  if (lua_type(L, -1) != LUA_TSTRING)
    sr_error(L, "save: %s must be a string, got %s", what, luaL_typename(L, -1));
  const char *s = lua_tostring(L, -1);
  if (strlen(s) != lua_rawlen(L, -1)) sr_error(L, "save: %s '%s' contains a NUL byte", what, s);
  lua_pop(L, 1);
  return s;
}

/* The lists of names at i and of tensors behind it, as an array on the stack. */
static sr_named_tensor *check_named(lua_State *L, int i, int64_t *n) {
  check_table(L, i, "save", "names");
  check_table(L, i + 1, "save", "tensors");
  *n = (int64_t)lua_rawlen(L, i);
  if ((int64_t)lua_rawlen(L, i + 1) != *n)
    sr_error(L, "save: %lld names for %lld tensors", (long long)*n,
             (long long)lua_rawlen(L, i + 1));
  sr_named_tensor *named = lua_newuserdatauv(L, ((size_t)*n + 1) * sizeof *named, 0);
  for (int64_t k = 0; k < *n; k++) {
    lua_rawgeti(L, i, k + 1);
    named[k].name = pop_plain(L, "a tensor's name");
    lua_rawgeti(L, i + 1, k + 1);
    named[k].tensor = sr_to_tensor(L, -1);
    if (!named[k].tensor)
      sr_error(L, "save: '%s' must be a tensor, got %s", named[k].name, luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  return named;
}

static int64_t count_pairs(lua_State *L, int table) {
  int64_t n = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) n++;
  return n;
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const sr_metadata *)a)->key, ((const sr_metadata *)b)->key);
}

/* The strings of the table at i (or nil), in the order of their keys, so that equal
 * metadata make equal files. */
static sr_metadata *check_metadata(lua_State *L, int i, int64_t *n) {
  *n = 0;
  if (lua_isnil(L, i)) return NULL;
  check_table(L, i, "save", "metadata");
  int64_t room = count_pairs(L, i);
  sr_metadata *metadata = lua_newuserdatauv(L, ((size_t)room + 1) * sizeof *metadata, 0);
  for (lua_pushnil(L); *n < room && lua_next(L, i); ++*n) {
    lua_pushvalue(L, -2);
    metadata[*n].key = pop_plain(L, "a key of metadata");
    metadata[*n].value = pop_plain(L, "a value of metadata");
  }
  qsort(metadata, (size_t)*n, sizeof *metadata, by_key);
  return metadata;
}

/* save(path, names, tensors, metadata): two lists of the same length */
static int save(lua_State *L) {
  lua_settop(L, 4); /* not sr_arguments: the tables are no options */
  const char *path = check_path(L, 1, "save");
  int64_t n, n_metadata;
  sr_named_tensor *tensors = check_named(L, 2, &n);
  sr_metadata *metadata = check_metadata(L, 4, &n_metadata);
  sr_raise(L, sr_save(path, n, tensors, n_metadata, metadata));
  return 0;
}

/* ---- load ------------------------------------------------------------------------------- */

static void push_names(lua_State *L, const sr_archive *archive) {
  lua_newtable(L);
  for (int64_t k = 0; k < archive->n; k++) {
    lua_pushstring(L, archive->tensors[k].name);
    lua_rawseti(L, -2, k + 1);
  }
}

static void push_tensors(lua_State *L, const sr_archive *archive) {
  lua_newtable(L);
  for (int64_t k = 0; k < archive->n; k++) {
    sr_push_shared(L, archive->tensors[k].tensor);
    sr_filled(L, 1);
    lua_setfield(L, -2, archive->tensors[k].name);
  }
}

static void push_metadata(lua_State *L, const sr_archive *archive) {
  lua_newtable(L);
  for (int64_t k = 0; k < archive->n_metadata; k++) {
    lua_pushstring(L, archive->metadata[k].value);
    lua_setfield(L, -2, archive->metadata[k].key);
  }
}

static bool is_empty_table(lua_State *L, int i) {
  if (lua_type(L, i) != LUA_TTABLE) return false;
  lua_pushnil(L);
  if (!lua_next(L, i)) return true;
  lua_pop(L, 2);
  return false;
}

/* load(path, device) -> names in the order of the file, tensors by name, metadata */
static int load(lua_State *L) {
  static const char *const names[] = {"path", "device", NULL};
  if (is_empty_table(L, 2)) lua_settop(L, 1); /* {device = nil} */
  sr_arguments(L, "load", names);
  const char *path = check_path(L, 1, "load");
  sr_device device = sr_optional_device(L, 2, "load");
  archive_owner *owner = push_owner(L, sizeof *owner, "saros.archive", free_archive);
  sr_raise(L, sr_load(path, device, &owner->archive));
  push_names(L, owner->archive);
  push_tensors(L, owner->archive);
  push_metadata(L, owner->archive);
  sr_archive_free(owner->archive);
  owner->archive = NULL;
  return 3;
}

/* ---- folders ---------------------------------------------------------------------------- */

static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *entry) {
  return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* list_directory(path) -> sorted names, or nil and a message */
static int list_directory(lua_State *L) {
  const char *path = only_path(L, "list_directory");
  listing *l = push_owner(L, sizeof *l, "saros.listing", free_listing);
  int n = scandir(path, &l->entries, no_dots, by_name);
  if (n < 0) return push_failure(L, "list", path, errno);
  l->n = n;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, l->entries[i]->d_name);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* file_exists(path) -> "file", "directory", "other" or nil */
static int file_exists(lua_State *L) {
  struct stat info;
  if (stat(only_path(L, "file_exists"), &info))
    lua_pushnil(L);
  else
    lua_pushstring(L, S_ISREG(info.st_mode)   ? "file"
                      : S_ISDIR(info.st_mode) ? "directory"
                                              : "other");
  return 1;
}

static bool is_directory(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISDIR(info.st_mode);
}

/* NULL, or why there is no folder. */
static const char *make_one(const char *path) {
  if (!mkdir(path, 0777)) return NULL;
  int error = errno;
  if (error != EEXIST) return strerror(error);
  return is_directory(path) ? NULL : "it is a file, not a folder";
}

/* make_directory(path), with the folders above it -> true, or nil and a message */
static int make_directory(lua_State *L) {
  const char *path = only_path(L, "make_directory");
  size_t size = lua_rawlen(L, 1) + 1;
  char *part = memcpy(lua_newuserdatauv(L, size, 0), path, size);
  for (char *at = part + 1; (at = strchr(at, '/')); at++) {
    *at = '\0';
    const char *reason = make_one(part);
    if (reason) return push_reason(L, "make folder", part, reason);
    *at = '/';
  }
  const char *reason = make_one(path);
  return reason ? push_reason(L, "make folder", path, reason) : push_true(L);
}

/* ---- whole files ------------------------------------------------------------------------ */

enum { READ_PIECE = 1 << 16 };

/* The size of a regular file, else one piece. A file may grow meanwhile. */
static size_t expected_size(int file) {
  struct stat info;
  bool known = !fstat(file, &info) && S_ISREG(info.st_mode) && info.st_size > 0;
  return known ? (size_t)info.st_size + 1 : READ_PIECE;
}

/* Read into the buffer up to the end; 0 or errno. */
static int read_all(int file, luaL_Buffer *buffer, char *room, size_t size) {
  for (;;) {
    ssize_t n = read(file, room, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return 0;
    luaL_addsize(buffer, (size_t)n);
    room += n;
    size -= (size_t)n;
    if (size > 0) continue;
    size = READ_PIECE;
    room = luaL_prepbuffsize(buffer, size);
  }
}

/* read_file(path) -> its bytes, or nil and a message */
static int read_file(lua_State *L) {
  const char *path = only_path(L, "read_file");
  descriptor *d = push_descriptor(L);
  d->file = open(path, O_RDONLY | O_CLOEXEC);
  if (d->file < 0) return push_failure(L, "read", path, errno);
  d->open = true;
  luaL_Buffer buffer;
  size_t size = expected_size(d->file);
  int error = read_all(d->file, &buffer, luaL_buffinitsize(L, &buffer, size), size);
  close(d->file);
  d->open = false;
  luaL_pushresult(&buffer);
  return error ? push_failure(L, "read", path, error) : 1;
}

static sr_status write_whole(const char *path, const char *bytes, size_t size) {
  sr_file_writer file;
  sr_status status = sr__file_create("write_file", path, &file);
  if (status) return status;
  status = sr__file_write(&file, bytes, size);
  if (!status) return sr__file_commit(&file);
  sr__file_abandon(&file);
  return status;
}

/* write_file(path, bytes): all or nothing -> true, or nil and a message */
static int write_file(lua_State *L) {
  static const char *const names[] = {"path", "bytes", NULL};
  sr_arguments(L, "write_file", names);
  const char *path = check_path(L, 1, "write_file");
  const char *bytes = sr_check_string(L, 2, "write_file", "bytes");
  if (!write_whole(path, bytes, lua_rawlen(L, 2))) return push_true(L);
  lua_pushnil(L);
  lua_pushstring(L, sr_message());
  return 2;
}

void sr_bind_files(lua_State *L) {
  static const sr_binding functions[] = {{"save", save, false},
                                         {"load", load, false},
                                         {"list_directory", list_directory, false},
                                         {"file_exists", file_exists, false},
                                         {"make_directory", make_directory, false},
                                         {"read_file", read_file, false},
                                         {"write_file", write_file, false},
                                         {NULL, NULL, false}};
  sr_register(L, functions);
}
