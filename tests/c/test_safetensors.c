/* test_safetensors.c: saving and loading: round trips, a broken file for each rule of the
 * reader, and the n-th call of the system or request for memory failing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "golden_case.h"

#include "io/file.h"
#include "io/safetensors.h"

/* ---- a folder of its own for each test ---------------------------------------------------- */

static char folder[64];

static const char *in_folder(const char *name) {
  static char paths[4][400];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof *paths, "%s/%s", folder, name);
  return path;
}

static int files_in_folder(bool remove_them) {
  DIR *dir = opendir(folder);
  int count = 0;
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    count++;
    if (remove_them) remove(in_folder(entry->d_name));
  }
  if (dir) closedir(dir);
  return count;
}

static int open_folder(void **state) {
  strcpy(folder, "/tmp/saros-test-XXXXXX");
  return mkdtemp(folder) ? count_blocks(state) : -1;
}

static int close_folder(void **state) {
  files_in_folder(true);
  rmdir(folder);
  return check_blocks(state);
}
#define FILE_TEST(function) cmocka_unit_test_setup_teardown(function, open_folder, close_folder)

static void write_file(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

/* ---- round trips -------------------------------------------------------------------------- */

static const sr_named_tensor *find(const sr_archive *archive, const char *name) {
  for (int64_t i = 0; i < archive->n; i++)
    if (!strcmp(archive->tensors[i].name, name)) return &archive->tensors[i];
  fail_msg("no %s", name);
  return NULL;
}

static sr_tensor *loaded(const sr_archive *archive, const char *name) {
  return sr_tensor_retain(find(archive, name)->tensor);
}

static void round_trip(void **state) {
  (void)state;
  sr_tensor *matrix = counting(SR_float32, SIZES(2, 3)), *transposed;
  OK(sr_transpose(matrix, 0, 1, &transposed));
  sr_named_tensor tensors[] = {
      {"zuerst", transposed},
      {"double", tensor(SR_float64, SIZES(2), VALUES(1e300, -0.0))},
      {"ids", tensor(SR_int64, SIZES(1, 2, 1), VALUES(-5, (double)(INT64_C(1) << 62)))},
      {"mask", tensor(SR_bool, SIZES(3), VALUES(1, 0, 1))},
      {"number", tensor(SR_float32, SCALAR, VALUES(7))},
      {"none", empty(SR_float32, SIZES(3, 0, 2))},
      {"Gr\xc3\xb6\xc3\x9f"
       "e \"\\\n\x01\x7f/",
       tensor(SR_bool, SCALAR, VALUES(1))},
      {"", tensor(SR_float64, SIZES(1), VALUES(3))},
      {"deep", tensor(SR_float32, SIZES(1, 1, 1, 1, 1, 1, 1, 1), VALUES(4))}};
  enum { N = sizeof tensors / sizeof *tensors };
  const sr_metadata metadata[] = {{"epoch", "12"}, {"", ""}, {"q\"", "\t\xe2\x82\xac"}};
  const char *path = in_folder("a.safetensors");
  OK(sr_save(path, N, tensors, 3, metadata));
  sr_archive *archive;
  OK(sr_load(path, SR_CPU, &archive));
  assert_int_equal(archive->n, N);
  for (int i = 0; i < N; i++) assert_string_equal(archive->tensors[i].name, tensors[i].name);
  assert_int_equal(archive->n_metadata, 3);
  for (int i = 0; i < 3; i++) {
    assert_string_equal(archive->metadata[i].key, metadata[i].key);
    assert_string_equal(archive->metadata[i].value, metadata[i].value);
  }
  EXPECT(loaded(archive, "zuerst"), SR_float32, SIZES(3, 2), VALUES(1, 4, 2, 5, 3, 6));
  EXPECT(loaded(archive, "double"), SR_float64, SIZES(2), VALUES(1e300, -0.0));
  EXPECT(loaded(archive, "ids"), SR_int64, SIZES(1, 2, 1), VALUES(-5, (double)(INT64_C(1) << 62)));
  EXPECT(loaded(archive, "mask"), SR_bool, SIZES(3), VALUES(1, 0, 1));
  EXPECT(loaded(archive, "number"), SR_float32, SCALAR, VALUES(7));
  EXPECT(loaded(archive, "none"), SR_float32, SIZES(3, 0, 2), NOTHING);
  EXPECT(loaded(archive, ""), SR_float64, SIZES(1), VALUES(3));
  sr_archive_free(archive);
  for (int i = 0; i < N; i++) sr_tensor_release(tensors[i].tensor);
  sr_tensor_release(matrix);
}

static void nothing_to_save(void **state) {
  (void)state;
  const char *path = in_folder("empty");
  sr_archive *archive;
  OK(sr_save(path, 0, NULL, 0, NULL));
  OK(sr_load(path, SR_CPU, &archive));
  assert_int_equal(archive->n, 0);
  assert_int_equal(archive->n_metadata, 0);
  sr_archive_free(archive);
  sr_archive_free(NULL);
}

/* Written by PyTorch; read by the tests' own reader too. */
static void files_of_pytorch(void **state) {
  (void)state;
  char path[1024];
  snprintf(path, sizeof path, "%.*s../golden", (int)(strrchr(__FILE__, '/') + 1 - __FILE__),
           __FILE__);
  DIR *dir = opendir(path);
  int count = 0;
  assert_non_null(dir);
  for (struct dirent *entry; (entry = readdir(dir));) {
    char *ending = strstr(entry->d_name, ".safetensors");
    if (!ending) continue;
    snprintf(path, sizeof path, "%.*s../golden/%s", (int)(strrchr(__FILE__, '/') + 1 - __FILE__),
             __FILE__, entry->d_name);
    sr_archive *archive;
    OK(sr_load(path, SR_CPU, &archive));
    *ending = '\0';
    golden *g = golden_open(entry->d_name);
    for (int64_t i = 0; i < archive->n; i++) {
      golden_tensor t = golden_get(g, archive->tensors[i].name);
      size_t bytes = (size_t)t.numel * golden_dtype_bytes(t.dtype);
      assert_memory_equal(sr_tensor_data(archive->tensors[i].tensor), t.data, bytes);
    }
    assert_string_equal(archive->metadata[0].key, "case");
    golden_close(g);
    sr_archive_free(archive);
    count++;
  }
  closedir(dir);
  assert_true(count > 60);
}

/* ---- broken files ------------------------------------------------------------------------------
 */

/* A file with this header and `data_bytes` zeros behind it. */
static const char *made_file(const char *header, size_t header_bytes, size_t data_bytes) {
  const char *path = in_folder("broken");
  size_t size = 8 + header_bytes + data_bytes;
  char *bytes = calloc(size, 1);
  for (int i = 0; i < 8; i++) bytes[i] = (char)(header_bytes >> 8 * i);
  memcpy(bytes + 8, header, header_bytes);
  write_file(path, bytes, size);
  free(bytes);
  return path;
}

static void expect_broken(const char *header, size_t data_bytes, const char *text) {
  sr_archive *archive;
  const char *path = made_file(header, strlen(header), data_bytes);
  sr_status status = sr_load(path, SR_CPU, &archive);
  char start[160];
  snprintf(start, sizeof start, "load: '%s': ", path);
  if (status == SR_FORMAT && strstr(sr_message(), text) &&
      strstr(sr_message(), start) == sr_message())
    return;
  fail_msg("%s\n  expected %s, got %s: %s", header, text, sr_status_name(status),
           status ? sr_message() : "");
}

#define ONE(dtype, shape, offsets) \
  "{\"x\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void broken_headers(void **state) {
  (void)state;
  static const struct {
    const char *header;
    size_t data_bytes;
    const char *text;
  } cases[] = {
      {"", 0, "the header does not begin with '{'"},
      {" {}", 0, "the header does not begin with '{'"},
      {"[]", 0, "the header does not begin with '{'"},
      {"{", 0, "is not valid JSON"},
      {"{}x", 0, "is not valid JSON"},
      {"{\"x\":{\"dtype\":\"\xff\"}}", 0, "is not valid JSON"},
      {"{\"\xc3\":1}", 0, "is not valid JSON"},
      {"{\"a\\u0000b\":1}", 0, "is not valid JSON"},
      {"{\"x\":[[[[1]]]]}", 0, "nested deeper than 4"},
      {"{\"x\":{},\"x\":{}}", 0, "duplicate"},
      {"{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, "duplicate"},
      {"{\"x\":3}", 0, "tensor 'x': is not an object"},
      {"{\"x\":{}}", 0, "tensor 'x': 0 properties instead of dtype, shape and data_offsets"},
      {"{\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"more\":1}}", 4,
       "tensor 'x': 4 properties"},
      {"{\"x\":{\"dtype\":\"F32\",\"shape\":[],\"offsets\":[0,4]}}", 4,
       "tensor 'x': data_offsets is not an array"},
      {"{\"x\":{\"dtype\":5,\"shape\":[],\"data_offsets\":[0,4]}}", 4, "dtype is not a string"},
      {ONE("F8_E4M3", "[]", "[0,1]"), 1, "tensor 'x': dtype F8_E4M3 is not supported"},
      {ONE("f32", "[]", "[0,4]"), 4, "dtype f32 is not supported"},
      {ONE("U64", "[]", "[0,8]"), 8, "dtype U64 is not supported"},
      {ONE("F32", "1", "[0,4]"), 4, "tensor 'x': shape is not an array"},
      {ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "9 dimensions; at most 8"},
      {ONE("F32", "[-1]", "[0,4]"), 4,
       "tensor 'x': shape holds something else than numbers from 0"},
      {ONE("F32", "[1.0]", "[0,4]"), 4, "shape holds something else"},
      {ONE("F32", "[\"1\"]", "[0,4]"), 4, "shape holds something else"},
      {ONE("F32", "[true]", "[0,4]"), 4, "shape holds something else"},
      {ONE("F32", "[1e0]", "[0,4]"), 4, "shape holds something else"},
      {ONE("F32", "[9223372036854775808]", "[0,4]"), 4, "too big integer"},
      {ONE("F32", "[9223372036854775807,2]", "[0,4]"), 4, "too large"},
      {ONE("F32", "[4294967296,4294967296]", "[0,0]"), 0, "too large"},
      {ONE("F32", "[0,4294967296,4294967296]", "[0,0]"), 0, "too large"},
      {ONE("F32", "[1]", "{}"), 4, "data_offsets is not an array of two numbers"},
      {ONE("F32", "[1]", "[0]"), 4, "data_offsets is not an array of two numbers"},
      {ONE("F32", "[1]", "[0,4,4]"), 4, "data_offsets is not an array of two numbers"},
      {ONE("F32", "[1]", "[0,4.0]"), 4, "data_offsets holds something else"},
      {ONE("F32", "[1]", "[-4,0]"), 4, "data_offsets holds something else"},
      {ONE("F32", "[1]", "[4,0]"), 4, "data_offsets [4, 0] of 4 bytes"},
      {ONE("F32", "[1]", "[0,8]"), 4, "data_offsets [0, 8] of 4 bytes"},
      {ONE("F32", "[1]", "[0,9223372036854775807]"), 4, "of 4 bytes"},
      {ONE("F32", "[2]", "[0,4]"), 4, "shape [2] of F32 needs 8 bytes, but has 4"},
      {ONE("F32", "[0]", "[0,4]"), 4, "needs 0 bytes, but has 4"},
      {ONE("F32", "[1]", "[4,8]"), 8, "tensor 'x': data begins at 4 instead of 0"},
      {ONE("F32", "[1]", "[0,4]"), 5, "1 bytes behind the last tensor"},
      {"{}", 1, "1 bytes behind the last tensor"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
       7, "tensor 'b': data begins at 3 instead of 4"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
       1, "instead of 1"},
      {"{\"__metadata__\":5}", 0, "__metadata__ is not an object"},
      {"{\"__metadata__\":{\"k\":5}}", 0, "metadata 'k' is not a string"},
      {"{\"__metadata__\":{\"k\":\"a\",\"k\":\"b\"}}", 0, "duplicate"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    expect_broken(cases[i].header, cases[i].data_bytes, cases[i].text);
}

static void broken_prefixes(void **state) {
  (void)state;
  static const unsigned char lengths[][8] = {
      {3}, {0, 0, 0, 0, 0, 0, 0, 0x80}, {1, 0, 0, 1}, {255, 255, 255, 255, 255, 255, 255, 255}};
  const char *path = in_folder("short");
  sr_archive *archive;
  write_file(path, "", 0);
  FAILS(sr_load(path, SR_CPU, &archive), SR_FORMAT, "0 bytes are no safetensors file");
  write_file(path, "1234567", 7);
  FAILS(sr_load(path, SR_CPU, &archive), SR_FORMAT, "7 bytes are no safetensors file");
  write_file(path, lengths[0], 8);
  FAILS(sr_load(path, SR_CPU, &archive), SR_FORMAT, "a header of 3 bytes in a file of 8");
  for (int i = 1; i < 4; i++) {
    write_file(path, lengths[i], 8);
    FAILS(sr_load(path, SR_CPU, &archive), SR_FORMAT, "bytes; at most 16777216 are read");
  }
  sr__set_header_limit(INT64_MAX);
  FAILS(sr_load(path, SR_CPU, &archive), SR_FORMAT, "at most 100000000 are read");
  sr__set_header_limit(SR_FILE_HEADER_BYTES);
}

static void long_names(void **state) {
  (void)state;
  char header[800], name[514];
  sr_archive *archive;
  memset(name, 'n', sizeof name);
  for (int length = 512; length <= 513; length++) {
    snprintf(header, sizeof header,
             "{\"%.*s\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[0,1]}}", length, name);
    if (length == 512) {
      OK(sr_load(made_file(header, strlen(header), 1), SR_CPU, &archive));
      sr_archive_free(archive);
    } else {
      expect_broken(header, 1, "..': the name is longer than 512 bytes");
    }
  }
}

/* "[1,1,1,..": many values or tensors, to be refused before they cost memory. */
static void crowded_headers(void **state) {
  (void)state;
  size_t size = 4 << 20;
  char *header = malloc(size);
  sr_archive *archive;
  memcpy(header, "{\"x\":[", 6);
  for (size_t i = 6; i < size; i++) header[i] = i % 2 ? ',' : '1';
  FAILS(sr_load(made_file(header, size, 0), SR_CPU, &archive), SR_FORMAT,
        "more than 1800000 values");
  size_t used = 1;
  for (int i = 0; i < 100001; i++)
    used += (size_t)sprintf(header + used, "%s\"%d\":{}", i ? "," : "", i);
  header[used++] = '}';
  FAILS(sr_load(made_file(header, used, 0), SR_CPU, &archive), SR_FORMAT,
        "100001 tensors; at most 100000");
  used = (size_t)sprintf(header, "{\"__metadata__\":{");
  for (int i = 0; i < 100001; i++)
    used += (size_t)sprintf(header + used, "%s\"%d\":\"\"", i ? "," : "", i);
  used += (size_t)sprintf(header + used, "}}");
  FAILS(sr_load(made_file(header, used, 0), SR_CPU, &archive), SR_FORMAT,
        "100001 metadata entries; at most 100000");
  free(header);
}

static void wrong_truths(void **state) {
  (void)state;
  const char *header = ONE("BOOL", "[3]", "[0,3]"), *path = in_folder("bool");
  unsigned char bytes[100] = {(unsigned char)strlen(header)};
  size_t size = 8 + strlen(header);
  sr_archive *archive;
  memcpy(bytes + 8, header, strlen(header));
  memcpy(bytes + size, "\1\0\2", 3);
  write_file(path, bytes, size + 3);
  FAILS(sr_load(path, SR_CPU, &archive), SR_FORMAT, "tensor 'x': value 2 at 2 is neither 0 nor 1");
}

static void no_regular_files(void **state) {
  (void)state;
  sr_archive *archive;
  const char *pipe_path = in_folder("pipe"), *link = in_folder("link");
  FAILS(sr_load(in_folder("missing"), SR_CPU, &archive), SR_IO, "No such file");
  FAILS(sr_load(folder, SR_CPU, &archive), SR_IO, "is not a regular file");
  assert_int_equal(mkfifo(pipe_path, 0600), 0);
  FAILS(sr_load(pipe_path, SR_CPU, &archive), SR_IO, "is not a regular file");
  FAILS(sr_load("/dev/zero", SR_CPU, &archive), SR_IO, "is not a regular file");
  FAILS(sr_save(pipe_path, 0, NULL, 0, NULL), SR_IO, "is not a regular file");
  FAILS(sr_save("/dev/null", 0, NULL, 0, NULL), SR_IO, "is not a regular file");
  FAILS(sr_save(folder, 0, NULL, 0, NULL), SR_IO, "is not a regular file");
  FAILS(sr_save(in_folder("no/such"), 0, NULL, 0, NULL), SR_IO, "No such file");
  FAILS(sr_save("", 0, NULL, 0, NULL), SR_IO, "No such file");
  assert_int_equal(symlink("nowhere", link), 0);
  FAILS(sr_save(link, 0, NULL, 0, NULL), SR_IO, "No such file");
  char path[8192];
  memset(path, 'p', sizeof path);
  path[sizeof path - 1] = '\0';
  FAILS(sr_save(path, 0, NULL, 0, NULL), SR_IO, "File name too long");
  FAILS(sr_load(path, SR_CPU, &archive), SR_IO, "File name too long");
  path[4094] = '\0'; /* fits, but its temporary name or itself does not */
  FAILS(sr_save(path, 0, NULL, 0, NULL), SR_IO, "ame too long");
}

/* ---- other number formats ----------------------------------------------------------------- */

typedef struct {
  const char *dtype;
  size_t bytes; /* of an element */
  sr_dtype as;
  int n;
  uint64_t bits[8];
  double values[8];
} format_case;

static void number_formats(void **state) {
  (void)state;
  static const format_case cases[] = {
      {"F16",
       2,
       SR_float32,
       8,
       {0x3c00, 0xc000, 0x7bff, 0x0001, 0x8400, 0x7c00, 0x7e00, 0x03ff},
       {1, -2, 65504, 0x1p-24, -0x1p-14, INFINITY, NAN, 0x1.ff8p-15}},
      {"BF16", 2, SR_float32, 4, {0x3f80, 0xc040, 0x7f80, 0x0001}, {1, -3, INFINITY, 0x1p-133}},
      {"I32", 4, SR_int64, 2, {0xffffffff, 0x7fffffff}, {-1, 2147483647}},
      {"I16", 2, SR_int64, 2, {0xffff, 0x8000}, {-1, -32768}},
      {"I8", 1, SR_int64, 2, {0xff, 0x7f}, {-1, 127}},
      {"U32", 4, SR_int64, 1, {0xffffffff}, {4294967295.}},
      {"U16", 2, SR_int64, 1, {0xffff}, {65535}},
      {"U8", 1, SR_int64, 1, {0xff}, {255}}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const format_case *c = &cases[i];
    unsigned char bytes[200] = {0};
    int header = sprintf((char *)bytes + 8,
                         "{\"x\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[0,%d]}}",
                         c->dtype, c->n, c->n * (int)c->bytes);
    bytes[0] = (unsigned char)header;
    for (int k = 0; k < c->n; k++)
      memcpy(bytes + 8 + header + (size_t)k * c->bytes, &c->bits[k], c->bytes);
    const char *path = in_folder("format");
    write_file(path, bytes, 8 + (size_t)header + (size_t)c->n * c->bytes);
    sr_archive *archive;
    OK(sr_load(path, SR_CPU, &archive));
    EXPECT(loaded(archive, "x"), c->as, SIZES(c->n), c->values);
    sr_archive_free(archive);
  }
}

/* More elements than the conversion's buffer holds. */
static void long_conversion(void **state) {
  (void)state;
  enum { N = 100001 };
  char header[100];
  int size = sprintf(header, "{\"x\":{\"dtype\":\"I16\",\"shape\":[%d],\"data_offsets\":[0,%d]}}",
                     N, 2 * N);
  char *bytes = calloc(1, 8 + (size_t)size + 2 * N);
  bytes[0] = (char)size;
  memcpy(bytes + 8, header, (size_t)size);
  for (int i = 0; i < N; i++) {
    int16_t value = (int16_t)(i % 30000 - 15000);
    memcpy(bytes + 8 + size + 2 * i, &value, 2);
  }
  write_file(in_folder("long"), bytes, 8 + (size_t)size + 2 * N);
  free(bytes);
  sr_archive *archive;
  OK(sr_load(in_folder("long"), SR_CPU, &archive));
  const int64_t *values = sr_tensor_data(archive->tensors[0].tensor);
  for (int i = 0; i < N; i++) assert_int_equal(values[i], i % 30000 - 15000);
  sr_archive_free(archive);
}

/* The order of the data need not be that of the names. */
static void data_in_another_order(void **state) {
  (void)state;
  const char *header =
      "{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]},"
      "\"none\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]},"
      "\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}   ";
  unsigned char bytes[300] = {(unsigned char)strlen(header)};
  size_t size = 8 + strlen(header);
  memcpy(bytes + 8, header, strlen(header));
  memcpy(bytes + size, "\1\2\3", 3);
  write_file(in_folder("order"), bytes, size + 3);
  sr_archive *archive;
  OK(sr_load(in_folder("order"), SR_CPU, &archive));
  assert_string_equal(archive->tensors[0].name, "b");
  EXPECT(loaded(archive, "b"), SR_int64, SIZES(2), VALUES(2, 3));
  EXPECT(loaded(archive, "a"), SR_int64, SCALAR, VALUES(1));
  EXPECT(loaded(archive, "none"), SR_int64, SIZES(0), NOTHING);
  sr_archive_free(archive);
}

/* ---- what cannot be saved ----------------------------------------------------------------- */

static void refused_contents(void **state) {
  (void)state;
  sr_tensor *t = counting(SR_float32, SIZES(2));
  char name[514];
  memset(name, 'n', sizeof name);
  name[513] = '\0';
  const char *path = in_folder("refused");
  sr_named_tensor twice[] = {{"a", t}, {"b", t}, {"a", t}}, reserved = {"__metadata__", t};
  sr_named_tensor bad = {"a\xff", t}, longer = {name, t};
  sr_metadata keys[] = {{"k", "1"}, {"k", "2"}}, bad_value = {"k", "\xc3"}, bad_key = {"\x80", ""};
  FAILS(sr_save(path, 3, twice, 0, NULL), SR_ARGUMENT, "tensor 'a' is there twice");
  FAILS(sr_save(path, 1, &reserved, 0, NULL), SR_ARGUMENT, "__metadata__");
  FAILS(sr_save(path, 1, &bad, 0, NULL), SR_ARGUMENT, "the name of a tensor is not valid UTF-8");
  FAILS(sr_save(path, 1, &longer, 0, NULL), SR_ARGUMENT, "longer than 512 bytes");
  FAILS(sr_save(path, 0, NULL, 2, keys), SR_ARGUMENT, "metadata key 'k' is there twice");
  FAILS(sr_save(path, 0, NULL, 1, &bad_value), SR_ARGUMENT, "a metadata value is not valid UTF-8");
  FAILS(sr_save(path, 0, NULL, 1, &bad_key), SR_ARGUMENT, "a metadata key is not valid UTF-8");
  FAILS(sr_save(path, 100001, twice, 0, NULL), SR_ARGUMENT, "at most 100000");
  FAILS(sr_save(path, -1, twice, 0, NULL), SR_ARGUMENT, "-1 tensors");
  char *text = malloc(SR_FILE_HEADER_BYTES + 1);
  memset(text, 't', SR_FILE_HEADER_BYTES);
  text[SR_FILE_HEADER_BYTES] = '\0';
  sr_metadata large = {"k", text};
  FAILS(sr_save(path, 0, NULL, 1, &large), SR_ARGUMENT, "at most 16777216 are read");
  free(text);
  assert_int_equal(files_in_folder(false), 0);
  sr_tensor_release(t);
}

/* ---- what the system does ----------------------------------------------------------------- */

enum { FAIL, INTERRUPT, SHORT }; /* how the chosen call goes wrong */
static int countdown, failure_errno, failure_kind;

/* Does this call go wrong? Not all of them can be interrupted. */
static bool fails(bool interruptible) {
  if (--countdown != 0 || failure_kind == SHORT) return false;
  if (failure_kind == INTERRUPT && !interruptible) return false;
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

/* The value of the only tensor of a file. */
static double value_in(const char *path) {
  sr_archive *archive;
  sr_scalar value;
  OK(sr_load(path, SR_CPU, &archive));
  assert_int_equal(archive->n, 1);
  OK(sr_tensor_item(archive->tensors[0].tensor, &value));
  sr_archive_free(archive);
  return value.number;
}

static sr_status save_value(const char *path, double value) {
  sr_tensor *t;
  sr_status status = sr_tensor_full(SR_float32, SCALAR, sr_number(value), SR_CPU, &t);
  if (status) return status;
  sr_metadata metadata = {"key", "value"};
  status = sr_save(path, 1, &(sr_named_tensor){"x", t}, 1, &metadata);
  sr_tensor_release(t);
  return status;
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

/* ---- the file that is made ---------------------------------------------------------------- */

static void links_and_permissions(void **state) {
  (void)state;
  const char *path = in_folder("target"), *link = in_folder("link");
  struct stat status;
  mode_t before = umask(027);
  OK(save_value(path, 1));
  umask(before);
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0640);
  assert_int_equal(symlink("target", link), 0);
  OK(save_value(link, 2));
  assert_int_equal(lstat(link, &status), 0);
  assert_true(S_ISLNK(status.st_mode));
  assert_true(value_in(path) == 2);
}

static void layout(void **state) {
  (void)state;
  const char *path = in_folder("layout");
  static const char header[] =
      "{\"__metadata__\":{\"key\":\"value\"},"
      "\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}";
  unsigned char bytes[256];
  OK(save_value(path, 1.5));
  FILE *file = fopen(path, "rb");
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  size_t padded = (sizeof header - 1 + 7) / 8 * 8;
  assert_int_equal(size, 8 + padded + 4);
  assert_int_equal(bytes[0], padded);
  assert_memory_equal(bytes + 8, header, sizeof header - 1);
  for (size_t i = sizeof header - 1; i < padded; i++) assert_int_equal(bytes[8 + i], ' ');
  assert_memory_equal(bytes + 8 + padded, &(float){1.5f}, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FILE_TEST(round_trip),       FILE_TEST(nothing_to_save), FILE_TEST(files_of_pytorch),
      FILE_TEST(broken_headers),   FILE_TEST(broken_prefixes), FILE_TEST(long_names),
      FILE_TEST(crowded_headers),  FILE_TEST(wrong_truths),    FILE_TEST(no_regular_files),
      FILE_TEST(number_formats),   FILE_TEST(long_conversion), FILE_TEST(data_in_another_order),
      FILE_TEST(refused_contents), FILE_TEST(failing_saves),   FILE_TEST(interrupted_saves),
      FILE_TEST(failing_loads),    FILE_TEST(shrinking_file),  FILE_TEST(failing_memory),
      FILE_TEST(mutated_files),    FILE_TEST(layout),          FILE_TEST(links_and_permissions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
