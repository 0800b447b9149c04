/* kernels_normalize_float64.c: normalized rows of float64 (see normalize_lines.h). */
#define T double
#define SR_TAG f64
#define SR_NORMALIZE_TABLE sr__normalize_float64
#include "backend/cpu/normalize_lines.h"
