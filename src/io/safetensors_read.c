/* safetensors_read.c: sr_load. The header is checked against the size of the file before
 * memory for tensors is asked for; an archive comes whole or not at all. */
#include <string.h>

#include "base/memory.h"
#include "io/file.h"
#include "io/safetensors_header.h"
#include "tensor/tensor.h"

/* ---- archives ----------------------------------------------------------------------------- */

/* One block: the public part, its lists and all text. */
typedef struct {
  sr_archive archive;
  size_t bytes;
  char *text; /* where the next string goes */
} archive_box;

static void count_metadata(void *user, const char *key, const char *value) {
  *(size_t *)user += strlen(key) + strlen(value) + 2;
}

static const char *keep_text(archive_box *box, const char *text) {
  size_t size = strlen(text) + 1;
  char *kept = memcpy(box->text, text, size);
  box->text += size;
  return kept;
}

static void keep_metadata(void *user, const char *key, const char *value) {
  archive_box *box = user;
  sr_metadata *entry = &box->archive.metadata[box->archive.n_metadata++];
  entry->key = keep_text(box, key);
  entry->value = keep_text(box, value);
}

/* Names and metadata are in place, the tensors are still NULL. */
static sr_status archive_new(const sr_file_header *h, archive_box **out) {
  size_t text = 0;
  sr__file_header_metadata(h, count_metadata, &text);
  for (int64_t i = 0; i < h->n; i++) text += strlen(h->tensors[i].name) + 1;
  size_t tensors = (size_t)h->n * sizeof(sr_named_tensor);
  size_t metadata = (size_t)h->n_metadata * sizeof(sr_metadata);
  size_t bytes = sizeof(archive_box) + tensors + metadata + text;
  archive_box *box;
  SR_TRY(sr__new(bytes, (void **)&box));
  *box = (archive_box){.bytes = bytes};
  char *lists = (char *)(box + 1);
  box->archive.tensors = (sr_named_tensor *)lists;
  box->archive.metadata = (sr_metadata *)(lists + tensors);
  box->text = lists + tensors + metadata;
  sr__file_header_metadata(h, keep_metadata, box);
  box->archive.n = h->n;
  for (int64_t i = 0; i < h->n; i++)
    box->archive.tensors[i] = (sr_named_tensor){keep_text(box, h->tensors[i].name), NULL};
  *out = box;
  return SR_OK;
}

void sr_archive_free(sr_archive *archive) {
  if (!archive) return;
  archive_box *box = (archive_box *)archive; /* its first member */
  for (int64_t i = 0; i < archive->n; i++) sr_tensor_release(archive->tensors[i].tensor);
  sr__free(box, box->bytes);
}

/* ---- data --------------------------------------------------------------------------------- */

enum { CHUNK_BYTES = 1 << 16 };

/* Through a small buffer, so that a conversion needs no second copy of the data. */
static sr_status read_converted(sr_file_reader *file, const sr_file_tensor *entry, int64_t count,
                                char *to) {
  void *chunk;
  SR_TRY(sr__new(CHUNK_BYTES, &chunk));
  sr_status status = SR_OK;
  const int64_t room = CHUNK_BYTES / entry->dtype->bytes;
  for (int64_t done = 0; !status && done < count; done += room) {
    int64_t n = count - done < room ? count - done : room;
    status = sr__file_read(file, chunk, (size_t)(n * entry->dtype->bytes));
    if (!status)
      entry->dtype->convert(n, chunk, to + (size_t)done * sr__element_bytes(entry->dtype->dtype));
  }
  sr__free(chunk, CHUNK_BYTES);
  return status;
}

static sr_status check_truths(const sr_file_reader *file, const sr_file_tensor *entry,
                              const uint8_t *values, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (values[i] > 1)
      return sr__file_malformed(file->path, entry->name, "value %d at %lld is neither 0 nor 1",
                                values[i], (long long)i);
  return SR_OK;
}

static sr_status read_values(sr_file_reader *file, const sr_file_tensor *entry, sr_tensor *t) {
  if (entry->dtype->convert) return read_converted(file, entry, t->numel, sr__data(t));
  SR_TRY(sr__file_read(file, sr__data(t), (size_t)(entry->end - entry->begin)));
  return t->dtype == SR_bool ? check_truths(file, entry, sr__data(t), t->numel) : SR_OK;
}

static sr_status read_tensor(sr_file_reader *file, const sr_file_tensor *entry, sr_device device,
                             sr_tensor **out) {
  sr_tensor *host;
  SR_TRY(sr__empty(&sr__cpu_backend, entry->dtype->dtype, entry->ndim, entry->sizes, &host));
  sr_status status = read_values(file, entry, host);
  if (!status) status = sr__moved(host, (sr_dtype)host->dtype, device, out);
  sr_tensor_release(host);
  return status;
}

/* In the order of the file: it is read from front to end. */
static sr_status read_tensors(sr_file_reader *file, const sr_file_header *h, sr_device device,
                              sr_archive *archive) {
  for (int64_t i = 0; i < h->n; i++) {
    const sr_file_tensor *entry = h->by_offset[i];
    SR_TRY(read_tensor(file, entry, device, &archive->tensors[entry - h->tensors].tensor));
  }
  return SR_OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static sr_status read_length(sr_file_reader *file, int64_t *out) {
  uint64_t length;
  if (file->size < SR_FILE_PREFIX_BYTES)
    return sr__file_malformed(file->path, NULL, "%lld bytes are no safetensors file",
                              (long long)file->size);
  SR_TRY(sr__file_read(file, &length, sizeof length));
  if (length > (uint64_t)sr__header_limit())
    return sr__file_malformed(file->path, NULL, "a header of %llu bytes; at most %lld are read",
                              (unsigned long long)length, (long long)sr__header_limit());
  if ((int64_t)length > file->size - SR_FILE_PREFIX_BYTES)
    return sr__file_malformed(file->path, NULL, "a header of %llu bytes in a file of %lld",
                              (unsigned long long)length, (long long)file->size);
  *out = (int64_t)length;
  return SR_OK;
}

static sr_status read_header(sr_file_reader *file, sr_file_header *out) {
  int64_t length = 0;
  SR_TRY(read_length(file, &length));
  char *text;
  SR_TRY(sr__new((size_t)length + 1, (void **)&text));
  sr_status status = sr__file_read(file, text, (size_t)length);
  if (!status && (!length || text[0] != '{'))
    status = sr__file_malformed(file->path, NULL, "the header does not begin with '{'");
  if (!status)
    status = sr__file_header_read(file->path, text, (size_t)length,
                                  file->size - SR_FILE_PREFIX_BYTES - length, out);
  sr__free(text, (size_t)length + 1);
  return status;
}

static sr_status read_file(sr_file_reader *file, sr_device device, sr_archive **out) {
  sr_file_header header;
  SR_TRY(read_header(file, &header));
  archive_box *box = NULL;
  sr_status status = archive_new(&header, &box);
  if (!status) status = read_tensors(file, &header, device, &box->archive);
  sr__file_header_free(&header);
  if (status) {
    sr_archive_free((sr_archive *)box);
    return status;
  }
  *out = &box->archive;
  return SR_OK;
}

sr_status sr_load(const char *path, sr_device device, sr_archive **out) {
  sr_file_reader file;
  SR_TRY(sr__file_open("load", path, &file));
  sr_status status = read_file(&file, device, out);
  sr__file_close(&file);
  return status;
}
