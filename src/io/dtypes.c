/* dtypes.c: the number formats of safetensors files, and the limits of its headers. */
#include <string.h>

#include "io/safetensors.h"

static int64_t header_limit = SR_FILE_HEADER_BYTES;

void sr__set_header_limit(int64_t bytes) {
  header_limit = bytes < SR_FILE_HEADER_LIMIT ? bytes : SR_FILE_HEADER_LIMIT;
}

int64_t sr__header_limit(void) { return header_limit; }

/* ---- conversions -------------------------------------------------------------------------- */

static float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float half_value(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, digits = half & 1023;
  if (exponent == 31) return float_of_bits(sign | 0x7f800000 | digits << 13);
  if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | digits << 13);
  float small = (float)digits * 0x1p-24f;
  return sign ? -small : small;
}

static void from_f16(int64_t n, const void *from, void *to) {
  for (int64_t i = 0; i < n; i++) ((float *)to)[i] = half_value(((const uint16_t *)from)[i]);
}

static void from_bf16(int64_t n, const void *from, void *to) {
  for (int64_t i = 0; i < n; i++)
    ((float *)to)[i] = float_of_bits((uint32_t)((const uint16_t *)from)[i] << 16);
}

#define INTEGERS(type)                                                                \
  static void from_##type(int64_t n, const void *from, void *to) {                    \
    for (int64_t i = 0; i < n; i++) ((int64_t *)to)[i] = ((const type##_t *)from)[i]; \
  }
INTEGERS(int32)
INTEGERS(int16)
INTEGERS(int8)
INTEGERS(uint32)
INTEGERS(uint16)
INTEGERS(uint8)

/* ---- the list ----------------------------------------------------------------------------- */

static const sr_file_dtype dtypes[] = {
    {"F32", 4, SR_float32, NULL},      {"F64", 8, SR_float64, NULL},
    {"I64", 8, SR_int64, NULL},        {"BOOL", 1, SR_bool, NULL},
    {"F16", 2, SR_float32, from_f16},  {"BF16", 2, SR_float32, from_bf16},
    {"I32", 4, SR_int64, from_int32},  {"I16", 2, SR_int64, from_int16},
    {"I8", 1, SR_int64, from_int8},    {"U32", 4, SR_int64, from_uint32},
    {"U16", 2, SR_int64, from_uint16}, {"U8", 1, SR_int64, from_uint8},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

const sr_file_dtype *sr__file_dtype_named(const char *name) {
  for (int i = 0; i < DTYPES; i++)
    if (!strcmp(dtypes[i].name, name)) return &dtypes[i];
  return NULL;
}

const sr_file_dtype *sr__file_dtype_of(sr_dtype dtype) {
  for (int i = 0; i < DTYPES; i++)
    if (dtypes[i].dtype == dtype && !dtypes[i].convert) return &dtypes[i];
  return NULL;
}
