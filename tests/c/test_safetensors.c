/* test_safetensors.c: saving and loading: round trips, a broken file for each rule of the
 * reader, number formats, what is refused. */
#include <errno.h>
#include <sys/stat.h>

#include "folder.h"
#include "golden_case.h"

#include "io/safetensors.h"

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
  DIR *dir = opendir(GOLDEN_FOLDER);
  int count = 0;
  assert_non_null(dir);
  for (struct dirent *entry; (entry = readdir(dir));) {
    char *ending = strstr(entry->d_name, ".safetensors");
    if (!ending) continue;
    snprintf(path, sizeof path, GOLDEN_FOLDER "/%s", entry->d_name);
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

/* ---- broken files -------------------------------------------------------------------- */

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
  FAILS(sr_load(test_folder, SR_CPU, &archive), SR_IO, "is not a regular file");
  assert_int_equal(mkfifo(pipe_path, 0600), 0);
  FAILS(sr_load(pipe_path, SR_CPU, &archive), SR_IO, "is not a regular file");
  FAILS(sr_load("/dev/zero", SR_CPU, &archive), SR_IO, "is not a regular file");
  FAILS(sr_save(pipe_path, 0, NULL, 0, NULL), SR_IO, "is not a regular file");
  FAILS(sr_save("/dev/null", 0, NULL, 0, NULL), SR_IO, "is not a regular file");
  FAILS(sr_save(test_folder, 0, NULL, 0, NULL), SR_IO, "is not a regular file");
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
      FILE_TEST(round_trip),       FILE_TEST(nothing_to_save),
      FILE_TEST(files_of_pytorch), FILE_TEST(broken_headers),
      FILE_TEST(broken_prefixes),  FILE_TEST(long_names),
      FILE_TEST(crowded_headers),  FILE_TEST(wrong_truths),
      FILE_TEST(no_regular_files), FILE_TEST(number_formats),
      FILE_TEST(long_conversion),  FILE_TEST(data_in_another_order),
      FILE_TEST(refused_contents), FILE_TEST(links_and_permissions),
      FILE_TEST(layout),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
