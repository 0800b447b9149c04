/* safetensors_header.h: the checked header of a file, between its two readers. */
#ifndef SR_IO_SAFETENSORS_HEADER_H
#define SR_IO_SAFETENSORS_HEADER_H

#include "base/status.h"
#include "io/safetensors.h"

/* One tensor as the header tells of it. */
typedef struct {
  const char *name; /* in the header's memory */
  const sr_file_dtype *dtype;
  int ndim;
  int64_t sizes[SR_MAX_DIMS];
  int64_t begin, end; /* bytes, from the start of the data */
} sr_file_tensor;

/* All that a file holds, in the order of the header; free with sr__file_header_free. */
typedef struct {
  void *json; /* owns the names and the metadata */
  int64_t n, n_metadata;
  size_t tensors_bytes;
  sr_file_tensor *tensors;
  const sr_file_tensor **by_offset; /* the order of their data */
} sr_file_header;

/* Parse `size` bytes of JSON. SR_FORMAT unless they describe tensors that tile exactly
 * `data_bytes` bytes. */
sr_status sr__file_header_read(const char *path, const char *text, size_t size, int64_t data_bytes,
                               sr_file_header *out);
void sr__file_header_free(sr_file_header *header);

/* Calls `visit` for each entry of __metadata__, in order. */
void sr__file_header_metadata(const sr_file_header *header,
                              void (*visit)(void *user, const char *key, const char *value),
                              void *user);

/* "load: 'path': " and, where name is not NULL, "tensor 'name': " before the message. */
sr_status sr__file_malformed(const char *path, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

#endif
