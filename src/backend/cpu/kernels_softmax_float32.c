/* kernels_softmax_float32.c: softmax rows of float32 (see softmax_lines.h). */
#define T float
#define SR_TAG f32
#define SR_SOFTMAX_TABLE sr__softmax_float32
#include "backend/cpu/softmax_lines.h"
