/* dtype.c: the names and sizes of element types, from the list in saros.h. */
#include <string.h>

#include "base/status.h"

const char *sr_dtype_name(sr_dtype dtype) {
  static const char *const names[] = {
#define X(name, type, floating) #name,
      SR_DTYPE_LIST(X)
#undef X
  };
  return (unsigned)dtype < SR_DTYPES ? names[dtype] : "?";
}

size_t sr_dtype_bytes(sr_dtype dtype) {
  static const size_t bytes[] = {
#define X(name, type, floating) sizeof(type),
      SR_DTYPE_LIST(X)
#undef X
  };
  return bytes[dtype];
}

bool sr_dtype_is_floating(sr_dtype dtype) {
  static const bool is_floating[] = {
#define X(name, type, floating) floating,
      SR_DTYPE_LIST(X)
#undef X
  };
  return is_floating[dtype];
}

sr_status sr_dtype_parse(const char *name, sr_dtype *dtype) {
  static const struct {
    const char *name;
    sr_dtype dtype;
  } others[] = {{"float", SR_float32}, {"double", SR_float64}, {"long", SR_int64}};
  for (int i = 0; i < SR_DTYPES; i++)
    if (!strcmp(name, sr_dtype_name((sr_dtype)i))) {
      *dtype = (sr_dtype)i;
      return SR_OK;
    }
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (!strcmp(name, others[i].name)) {
      *dtype = others[i].dtype;
      return SR_OK;
    }
  return sr__fail(SR_DTYPE, "unknown dtype '%s': use float32, float64, int64 or bool", name);
}
