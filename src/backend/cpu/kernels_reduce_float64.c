/* kernels_reduce_float64.c: reductions of float64 elements. */
#define T double
#define SR_TAG f64
#define SR_REDUCE_TABLE sr__reduce_float64
#include "backend/cpu/reduce_floating.h"
