/* kernels_normalize_float32.c: normalized rows of float32 (see normalize_lines.h). */
#define T float
#define SR_TAG f32
#define SR_NORMALIZE_TABLE sr__normalize_float32
#include "backend/cpu/normalize_lines.h"
