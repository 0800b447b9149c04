/* kernels_softmax_float64.c: softmax rows of float64 (see softmax_lines.h). */
#define T double
#define SR_TAG f64
#define SR_SOFTMAX_TABLE sr__softmax_float64
#include "backend/cpu/softmax_lines.h"
