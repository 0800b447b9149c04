/* kernels_map_float32.c: pointwise kernels on float32 elements (see map_lines.h). */
#define T float
#define SR_TAG f32
#define SR_PARAMETER(i) ((float)parameters[i])
#define SR_MAKE_FLOAT 1
#define SR_MAKE_NUMBER 1
#define SR_MAKE_GRADIENTS 1
#define SR_MAP_TABLE sr__map_float32
#include "backend/cpu/map_lines.h"
