/* safetensors.h: the file format of sr_save and sr_load.
 *
 *   8 bytes     length of the header, little-endian
 *   header      JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..,
 *               "__metadata__": {"key": "value", ..}}, padded with spaces
 *   data        the tensors, dense, little-endian; offsets count from its start
 *
 * The reader takes nothing on trust: every number is checked against the size of the file
 * before memory is asked for, and the tensors must tile the data exactly. */
#ifndef SR_IO_SAFETENSORS_H
#define SR_IO_SAFETENSORS_H

#include "saros.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian, and so must this machine be"
#endif

enum {
  SR_FILE_TENSORS = 100000,         /* tensors in a file; as many metadata entries */
  SR_FILE_NAME_BYTES = 512,         /* of a tensor */
  SR_FILE_HEADER_BYTES = 16 << 20,  /* unless raised */
  SR_FILE_HEADER_LIMIT = 100000000, /* the format's own */
  SR_FILE_PREFIX_BYTES = 8
};

/* Largest header that is read and written; at most SR_FILE_HEADER_LIMIT. */
void sr__set_header_limit(int64_t bytes);
int64_t sr__header_limit(void);

/* How a dtype of the format is kept: `convert` turns n elements of the file into those of
 * `dtype`, NULL where they are the same bytes. */
typedef struct {
  const char *name;
  int64_t bytes;
  sr_dtype dtype;
  void (*convert)(int64_t n, const void *from, void *to);
} sr_file_dtype;

const sr_file_dtype *sr__file_dtype_named(const char *name); /* NULL if there is none */
const sr_file_dtype *sr__file_dtype_of(sr_dtype dtype);

#endif
