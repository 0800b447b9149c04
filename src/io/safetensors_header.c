/* safetensors_header.c: from JSON to a checked list of tensors. The only user of jansson.
 *
 * A header comes from anywhere, so its nesting and number of values are limited before
 * jansson sees it, and each value is used only after a check. */
#include "io/safetensors_header.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/checked.h"
#include "base/memory.h"
#include "tensor/tensor.h"

sr_status sr__file_malformed(const char *path, const char *name, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (name) return sr__fail(SR_FORMAT, "load: '%.400s': tensor '%.200s': %s", path, name, text);
  return sr__fail(SR_FORMAT, "load: '%.400s': %s", path, text);
}

/* ---- JSON --------------------------------------------------------------------------------- */

enum { MAX_DEPTH = 4, MAX_VALUES = 18 * SR_FILE_TENSORS };

/* Nesting and commas outside of strings. */
static sr_status check_nesting(const char *path, const char *text, size_t size) {
  int depth = 0, commas = 0;
  bool in_string = false;
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') i++;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (c == ',') commas++;
    if (depth > MAX_DEPTH)
      return sr__file_malformed(path, NULL, "the header is nested deeper than %d", MAX_DEPTH);
    if (commas > MAX_VALUES)
      return sr__file_malformed(path, NULL, "the header has more than %d values", MAX_VALUES);
  }
  return SR_OK;
}

static sr_status parse(const char *path, const char *text, size_t size, json_t **out) {
  json_error_t error;
  SR_TRY(check_nesting(path, text, size));
  *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
  if (!*out && json_error_code(&error) == json_error_out_of_memory)
    return sr__fail(SR_MEMORY, "load: '%.400s': not enough memory for the header", path);
  if (!*out)
    return sr__file_malformed(path, NULL, "the header is not valid JSON at byte %d: %s",
                              error.position, error.text);
  if (json_is_object(*out)) return SR_OK;
  return sr__file_malformed(path, NULL, "the header is not a JSON object");
}

/* ---- one tensor ---------------------------------------------------------------------- */

/* What is being read, for messages. */
typedef struct {
  const char *path, *name;
  int64_t data_bytes;
} place;

/* list[i], a whole number that is not negative */
static sr_status read_number(const place *p, const char *key, const json_t *list, size_t i,
                             int64_t *out) {
  const json_t *value = json_array_get(list, i);
  if (!json_is_integer(value) || json_integer_value(value) < 0)
    return sr__file_malformed(p->path, p->name, "%s holds something else than numbers from 0", key);
  *out = json_integer_value(value);
  return SR_OK;
}

static sr_status read_dtype(const place *p, const json_t *value, sr_file_tensor *t) {
  if (!json_is_string(value)) return sr__file_malformed(p->path, p->name, "dtype is not a string");
  t->dtype = sr__file_dtype_named(json_string_value(value));
  if (t->dtype) return SR_OK;
  return sr__file_malformed(p->path, p->name, "dtype %.40s is not supported",
                            json_string_value(value));
}

static sr_status read_shape(const place *p, const json_t *value, sr_file_tensor *t) {
  if (!json_is_array(value)) return sr__file_malformed(p->path, p->name, "shape is not an array");
  size_t ndim = json_array_size(value);
  if (ndim > SR_MAX_DIMS)
    return sr__file_malformed(p->path, p->name, "%zu dimensions; at most %d are possible", ndim,
                              SR_MAX_DIMS);
  t->ndim = (int)ndim;
  for (size_t d = 0; d < ndim; d++) SR_TRY(read_number(p, "shape", value, d, &t->sizes[d]));
  return SR_OK;
}

static sr_status read_offsets(const place *p, const json_t *value, sr_file_tensor *t) {
  if (!json_is_array(value) || json_array_size(value) != 2)
    return sr__file_malformed(p->path, p->name, "data_offsets is not an array of two numbers");
  SR_TRY(read_number(p, "data_offsets", value, 0, &t->begin));
  SR_TRY(read_number(p, "data_offsets", value, 1, &t->end));
  if (t->begin <= t->end && t->end <= p->data_bytes) return SR_OK;
  return sr__file_malformed(p->path, p->name, "data_offsets [%lld, %lld] of %lld bytes of data%s",
                            (long long)t->begin, (long long)t->end, (long long)p->data_bytes,
                            t->end > p->data_bytes ? ": the file is cut short" : "");
}

static sr_status check_bytes(const place *p, const sr_file_tensor *t) {
  int64_t count, bytes;
  if (sr__element_count(t->ndim, t->sizes, &count))
    return sr__file_malformed(p->path, p->name, "%s", sr_message());
  bytes = count;
  if (sr__multiply(&bytes, t->dtype->bytes) && bytes == t->end - t->begin) return SR_OK;
  return sr__file_malformed(p->path, p->name, "shape %s of %s needs %lld bytes, but has %lld",
                            sr__shape_text(t->ndim, t->sizes, (char[SR_SHAPE_TEXT]){0}),
                            t->dtype->name, (long long)bytes, (long long)(t->end - t->begin));
}

static sr_status read_tensor(const place *p, const json_t *value, sr_file_tensor *t) {
  if (strlen(p->name) > SR_FILE_NAME_BYTES)
    return sr__file_malformed(p->path, NULL, "tensor '%.40s..': the name is longer than %d bytes",
                              p->name, SR_FILE_NAME_BYTES);
  if (!json_is_object(value)) return sr__file_malformed(p->path, p->name, "is not an object");
  if (json_object_size(value) != 3)
    return sr__file_malformed(p->path, p->name,
                              "%zu properties instead of dtype, shape and data_offsets",
                              json_object_size(value));
  t->name = p->name;
  SR_TRY(read_dtype(p, json_object_get(value, "dtype"), t));
  SR_TRY(read_shape(p, json_object_get(value, "shape"), t));
  SR_TRY(read_offsets(p, json_object_get(value, "data_offsets"), t));
  return check_bytes(p, t);
}

/* ---- all of them -------------------------------------------------------------------------- */

static const char metadata_key[] = "__metadata__";

static sr_status check_metadata(const char *path, json_t *metadata) {
  const char *key;
  json_t *value;
  if (!json_is_object(metadata))
    return sr__file_malformed(path, NULL, "__metadata__ is not an object");
  if (json_object_size(metadata) > SR_FILE_TENSORS)
    return sr__file_malformed(path, NULL, "%zu metadata entries; at most %d are possible",
                              json_object_size(metadata), SR_FILE_TENSORS);
  json_object_foreach(metadata, key, value) {
    if (!json_is_string(value))
      return sr__file_malformed(path, NULL, "metadata '%.40s' is not a string", key);
  }
  return SR_OK;
}

static sr_status read_tensors(const char *path, int64_t data_bytes, sr_file_header *h) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)h->json, key, value) {
    if (!strcmp(key, metadata_key)) continue;
    place p = {path, key, data_bytes};
    SR_TRY(read_tensor(&p, value, &h->tensors[h->n]));
    h->by_offset[h->n] = &h->tensors[h->n];
    h->n++;
  }
  return SR_OK;
}

static int compare_offsets(const void *a, const void *b) {
  const sr_file_tensor *x = *(const sr_file_tensor *const *)a;
  const sr_file_tensor *y = *(const sr_file_tensor *const *)b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end == y->end ? 0 : x->end < y->end ? -1 : 1;
}

/* The data lies without gaps and overlaps, to the end of the file. */
static sr_status check_tiling(const char *path, int64_t data_bytes, const sr_file_header *h) {
  int64_t expected = 0;
  qsort(h->by_offset, (size_t)h->n, sizeof *h->by_offset, compare_offsets);
  for (int64_t i = 0; i < h->n; i++) {
    const sr_file_tensor *t = h->by_offset[i];
    if (t->begin != expected)
      return sr__file_malformed(path, t->name,
                                "data begins at %lld instead of %lld: a gap or overlap",
                                (long long)t->begin, (long long)expected);
    expected = t->end;
  }
  if (expected == data_bytes) return SR_OK;
  return sr__file_malformed(path, NULL, "%lld bytes behind the last tensor",
                            (long long)(data_bytes - expected));
}

static sr_status make_room(sr_file_header *h, size_t n) {
  char *block;
  h->tensors_bytes = (n + 1) * (sizeof *h->tensors + sizeof *h->by_offset);
  SR_TRY(sr__new(h->tensors_bytes, (void **)&block));
  h->tensors = (sr_file_tensor *)block;
  h->by_offset = (const sr_file_tensor **)(block + (n + 1) * sizeof *h->tensors);
  return SR_OK;
}

static sr_status read_header(const char *path, const char *text, size_t size, int64_t data_bytes,
                             sr_file_header *h) {
  json_t *root = NULL;
  sr_status status = parse(path, text, size, &root);
  h->json = root;
  if (status) return status;
  json_t *metadata = json_object_get(root, metadata_key);
  if (metadata) {
    SR_TRY(check_metadata(path, metadata));
    h->n_metadata = (int64_t)json_object_size(metadata);
  }
  size_t n = json_object_size(root) - (metadata ? 1 : 0);
  if (n > SR_FILE_TENSORS)
    return sr__file_malformed(path, NULL, "%zu tensors; at most %d are possible", n,
                              SR_FILE_TENSORS);
  SR_TRY(make_room(h, n));
  SR_TRY(read_tensors(path, data_bytes, h));
  return check_tiling(path, data_bytes, h);
}

sr_status sr__file_header_read(const char *path, const char *text, size_t size, int64_t data_bytes,
                               sr_file_header *out) {
  *out = (sr_file_header){0};
  sr_status status = read_header(path, text, size, data_bytes, out);
  if (status) sr__file_header_free(out);
  return status;
}

void sr__file_header_free(sr_file_header *header) {
  sr__free(header->tensors, header->tensors_bytes);
  json_decref(header->json);
  *header = (sr_file_header){0};
}

void sr__file_header_metadata(const sr_file_header *header,
                              void (*visit)(void *user, const char *key, const char *value),
                              void *user) {
  const char *key;
  json_t *value;
  json_t *metadata = json_object_get(header->json, metadata_key);
  json_object_foreach(metadata, key, value) visit(user, key, json_string_value(value));
}
