/* safetensors_write.c: sr_save. The header is made first, so that what cannot be
 * written is refused before a file is touched. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "tensor/tensor.h"

/* ---- checks ------------------------------------------------------------------------------- */

static sr_status check_utf8(const char *path, const char *what, const char *text) {
  size_t size = strlen(text), at = 0;
  int32_t code_point;
  while (at < size)
    if (sr_utf8_next(text, size, &at, &code_point))
      return sr__fail(SR_ARGUMENT, "save: '%.400s': %s is not valid UTF-8 at byte %zu", path, what,
                      at);
  return SR_OK;
}

static int compare(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* SR_ARGUMENT if one of the names is there twice; sorts them. */
static sr_status check_distinct(const char *path, const char *what, const char **names, int64_t n) {
  qsort(names, (size_t)n, sizeof *names, compare);
  for (int64_t i = 1; i < n; i++)
    if (!strcmp(names[i - 1], names[i]))
      return sr__fail(SR_ARGUMENT, "save: '%.400s': %s '%.200s' is there twice", path, what,
                      names[i]);
  return SR_OK;
}

static sr_status check_tensors(const char *path, int64_t n, const sr_named_tensor *tensors,
                               const char **names) {
  for (int64_t i = 0; i < n; i++) {
    const char *name = tensors[i].name;
    if (!strcmp(name, "__metadata__"))
      return sr__fail(SR_ARGUMENT, "save: '%.400s': no tensor can have the name '__metadata__'",
                      path);
    if (strlen(name) > SR_FILE_NAME_BYTES)
      return sr__fail(SR_ARGUMENT,
                      "save: '%.400s': tensor '%.40s..': the name is longer than %d bytes", path,
                      name, SR_FILE_NAME_BYTES);
    SR_TRY(check_utf8(path, "the name of a tensor", name));
    names[i] = name;
  }
  return check_distinct(path, "tensor", names, n);
}

static sr_status check_metadata(const char *path, int64_t n, const sr_metadata *metadata,
                                const char **keys) {
  for (int64_t i = 0; i < n; i++) {
    SR_TRY(check_utf8(path, "a metadata key", metadata[i].key));
    SR_TRY(check_utf8(path, "a metadata value", metadata[i].value));
    keys[i] = metadata[i].key;
  }
  return check_distinct(path, "metadata key", keys, n);
}

static sr_status check_count(const char *path, const char *what, int64_t n) {
  if (n >= 0 && n <= SR_FILE_TENSORS) return SR_OK;
  return sr__fail(SR_ARGUMENT, "save: '%.400s': %lld %s; at most %d are possible", path,
                  (long long)n, what, SR_FILE_TENSORS);
}

static sr_status check_contents(const char *path, int64_t n, const sr_named_tensor *tensors,
                                int64_t n_metadata, const sr_metadata *metadata) {
  SR_TRY(check_count(path, "tensors", n));
  SR_TRY(check_count(path, "metadata entries", n_metadata));
  const char **names;
  size_t bytes = (size_t)(1 + (n > n_metadata ? n : n_metadata)) * sizeof *names;
  SR_TRY(sr__new(bytes, (void **)&names));
  sr_status status = check_tensors(path, n, tensors, names);
  if (!status) status = check_metadata(path, n_metadata, metadata, names);
  sr__free(names, bytes);
  return status;
}

/* ---- header ------------------------------------------------------------------------------- */

static sr_status add(sr_text *text, const char *s) { return sr__text_add(text, s, strlen(s)); }

/* A JSON string: only quotes, backslashes and control characters need escapes. */
static sr_status add_string(sr_text *text, const char *s) {
  SR_TRY(add(text, "\""));
  for (const char *at = s; *at;) {
    size_t plain = 0;
    while ((unsigned char)at[plain] >= ' ' && at[plain] != '"' && at[plain] != '\\') plain++;
    if (plain) SR_TRY(sr__text_add(text, at, plain));
    at += plain;
    if (*at) SR_TRY(sr__text_format(text, "\\u%04x", (unsigned)(unsigned char)*at++));
  }
  return add(text, "\"");
}

static sr_status add_metadata(sr_text *text, int64_t n, const sr_metadata *metadata) {
  SR_TRY(add(text, "\"__metadata__\":{"));
  for (int64_t i = 0; i < n; i++) {
    if (i) SR_TRY(add(text, ","));
    SR_TRY(add_string(text, metadata[i].key));
    SR_TRY(add(text, ":"));
    SR_TRY(add_string(text, metadata[i].value));
  }
  return add(text, "}");
}

static sr_status add_tensor(sr_text *text, const sr_named_tensor *named, int64_t *offset) {
  const sr_tensor *t = named->tensor;
  const sr_file_dtype *dtype = sr__file_dtype_of((sr_dtype)t->dtype);
  SR_TRY(add_string(text, named->name));
  SR_TRY(sr__text_format(text, ":{\"dtype\":\"%s\",\"shape\":[", dtype->name));
  for (int d = 0; d < t->ndim; d++)
    SR_TRY(sr__text_format(text, d ? ",%lld" : "%lld", (long long)t->sizes[d]));
  int64_t begin = *offset;
  if (!sr__add(offset, t->numel * dtype->bytes))
    return sr__fail(SR_ARGUMENT, "save: the tensors are too large for a file");
  return sr__text_format(text, "],\"data_offsets\":[%lld,%lld]}", (long long)begin,
                         (long long)*offset);
}

static sr_status make_header(const char *path, int64_t n, const sr_named_tensor *tensors,
                             int64_t n_metadata, const sr_metadata *metadata, sr_text *text) {
  int64_t offset = 0;
  SR_TRY(add(text, "{"));
  if (n_metadata) SR_TRY(add_metadata(text, n_metadata, metadata));
  for (int64_t i = 0; i < n; i++) {
    if (i || n_metadata) SR_TRY(add(text, ","));
    SR_TRY(add_tensor(text, &tensors[i], &offset));
  }
  SR_TRY(add(text, "}"));
  while (text->size % SR_FILE_PREFIX_BYTES) SR_TRY(add(text, " "));
  if (text->size <= (size_t)sr__header_limit()) return SR_OK;
  return sr__fail(SR_ARGUMENT,
                  "save: '%.400s': the header would have %zu bytes, at most %lld are read", path,
                  text->size, (long long)sr__header_limit());
}

/* ---- writing ------------------------------------------------------------------------- */

static sr_status write_header(sr_file_writer *file, const sr_text *header) {
  uint64_t length = header->size;
  SR_TRY(sr__file_write(file, &length, sizeof length));
  return sr__file_write(file, header->bytes, header->size);
}

static sr_status write_dense(sr_file_writer *file, const sr_tensor *t) {
  const sr_backend *backend = sr__backend_of(t);
  size_t bytes = (size_t)t->numel * sr__element_bytes((sr_dtype)t->dtype);
  if (backend->host_memory) return sr__file_write(file, sr__data(t), bytes);
  void *host;
  SR_TRY(sr__new(bytes, &host));
  sr_status status = backend->to_host(host, sr__data(t), bytes);
  if (!status) status = sr__file_write(file, host, bytes);
  sr__free(host, bytes);
  return status;
}

static sr_status write_tensor(sr_file_writer *file, const sr_tensor *t) {
  sr_tensor *dense;
  if (!t->numel) return SR_OK;
  SR_TRY(sr__dense(t, &dense));
  sr_status status = write_dense(file, dense);
  sr_tensor_release(dense);
  return status;
}

static sr_status write_file(const char *path, int64_t n, const sr_named_tensor *tensors,
                            const sr_text *header) {
  sr_file_writer file;
  SR_TRY(sr__file_create("save", path, &file));
  sr_status status = write_header(&file, header);
  for (int64_t i = 0; !status && i < n; i++) status = write_tensor(&file, tensors[i].tensor);
  if (!status) return sr__file_commit(&file);
  sr__file_abandon(&file);
  return status;
}

sr_status sr_save(const char *path, int64_t n, const sr_named_tensor *tensors, int64_t n_metadata,
                  const sr_metadata *metadata) {
  SR_TRY(check_contents(path, n, tensors, n_metadata, metadata));
  sr_text header = {0};
  sr_status status = make_header(path, n, tensors, n_metadata, metadata, &header);
  if (!status) status = write_file(path, n, tensors, &header);
  sr_text_free(&header);
  return status;
}
