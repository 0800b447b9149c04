/* kernels_reduce_float32.c: reductions of float32 elements. */
#define T float
#define SR_TAG f32
#define SR_REDUCE_TABLE sr__reduce_float32
#include "backend/cpu/reduce_floating.h"
