/* golden.h: reads the reference cases in tests/golden/.
 *
 * For tests only: whatever is wrong with a file fails the test that opened it.
 * Include it after cmocka.h.
 *
 *   golden *g = golden_open("rng_seed7");
 *   golden_tensor t = golden_get(g, "randperm_50"); t.dtype "I64", t.data ...
 *   json_t *order = json_object_get(golden_case(g), "order");
 *   golden_close(g);
 */
#ifndef SR_TESTS_GOLDEN_H
#define SR_TESTS_GOLDEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GOLDEN_MAX_DIMS = 8 };

typedef struct {
  const char *dtype; /* as in the file: "F32", "F64", "I64", "BOOL" */
  int ndim;
  int64_t size[GOLDEN_MAX_DIMS];
  int64_t numel;
  const void *data; /* row by row, aligned; lives until golden_close */
} golden_tensor;

typedef struct golden_copy {
  struct golden_copy *next;
  double values[]; /* aligned for each dtype; a file may hold them anywhere */
} golden_copy;

typedef struct {
  char *bytes;
  size_t size;
  json_t *header, *case_object;
  const char *values; /* behind the header */
  size_t value_bytes;
  golden_copy *copies;
} golden;

/* Tests run in the root of the project. */
#define GOLDEN_FOLDER "tests/golden"

static inline FILE *golden_file(const char *name) {
  char path[1024];
  snprintf(path, sizeof path, GOLDEN_FOLDER "/%s.safetensors", name);
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("no reference case %s", path);
  return file;
}

static inline void golden_read(golden *g, FILE *file) {
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  long size = ftell(file);
  assert_true(size >= 8);
  rewind(file);
  g->size = (size_t)size;
  g->bytes = malloc(g->size);
  assert_non_null(g->bytes);
  assert_int_equal(fread(g->bytes, 1, g->size, file), g->size);
  fclose(file);
}

/* 8 bytes little-endian length, a JSON object, the values. */
static inline golden *golden_open(const char *name) {
  golden *g = calloc(1, sizeof *g);
  assert_non_null(g);
  golden_read(g, golden_file(name));
  uint64_t header = 0;
  for (int i = 0; i < 8; i++) header |= (uint64_t)(unsigned char)g->bytes[i] << 8 * i;
  assert_true(header <= g->size - 8);
  g->header = json_loadb(g->bytes + 8, (size_t)header, 0, NULL);
  assert_non_null(g->header);
  g->values = g->bytes + 8 + header;
  g->value_bytes = g->size - 8 - (size_t)header;
  return g;
}

static inline void golden_close(golden *g) {
  while (g->copies) {
    golden_copy *copy = g->copies;
    g->copies = copy->next;
    free(copy);
  }
  json_decref(g->case_object);
  json_decref(g->header);
  free(g->bytes);
  free(g);
}

static inline bool golden_has(const golden *g, const char *name) {
  return json_object_get(g->header, name) != NULL;
}

/* Metadata under `key`; NULL if there is none. */
static inline const char *golden_metadata(const golden *g, const char *key) {
  return json_string_value(json_object_get(json_object_get(g->header, "__metadata__"), key));
}

/* The JSON object that the metadata has under "case". Stays the file's. */
static inline json_t *golden_case(golden *g) {
  const char *text = golden_metadata(g, "case");
  assert_non_null(text);
  if (!g->case_object) g->case_object = json_loads(text, 0, NULL);
  assert_non_null(g->case_object);
  return g->case_object;
}

static inline size_t golden_dtype_bytes(const char *dtype) {
  if (!strcmp(dtype, "F64") || !strcmp(dtype, "I64")) return 8;
  if (!strcmp(dtype, "F32")) return 4;
  if (!strcmp(dtype, "BOOL") || !strcmp(dtype, "U8")) return 1;
  fail_msg("reference case with dtype %s", dtype);
  return 0;
}

static inline const void *golden_copy_values(golden *g, const json_t *offsets, size_t bytes) {
  size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0));
  size_t end = (size_t)json_integer_value(json_array_get(offsets, 1));
  assert_true(begin <= end && end <= g->value_bytes);
  assert_int_equal(end - begin, bytes);
  golden_copy *copy = malloc(sizeof *copy + bytes);
  assert_non_null(copy);
  memcpy(copy->values, g->values + begin, bytes);
  copy->next = g->copies;
  g->copies = copy;
  return copy->values;
}

static inline golden_tensor golden_get(golden *g, const char *name) {
  json_t *entry = json_object_get(g->header, name), *shape = json_object_get(entry, "shape");
  if (!entry) fail_msg("reference case without %s", name);
  golden_tensor t = {.dtype = json_string_value(json_object_get(entry, "dtype")), .numel = 1};
  assert_true(t.dtype && json_array_size(shape) <= GOLDEN_MAX_DIMS);
  t.ndim = (int)json_array_size(shape);
  for (int i = 0; i < t.ndim; i++) {
    t.size[i] = json_integer_value(json_array_get(shape, (size_t)i));
    t.numel *= t.size[i];
  }
  size_t bytes = (size_t)t.numel * golden_dtype_bytes(t.dtype);
  t.data = golden_copy_values(g, json_object_get(entry, "data_offsets"), bytes);
  return t;
}

#endif
