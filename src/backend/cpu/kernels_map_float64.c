/* kernels_map_float64.c: pointwise kernels on float64 elements (see map_lines.h). */
#define T double
#define SR_TAG f64
#define SR_PARAMETER(i) (parameters[i])
#define SR_MAKE_FLOAT 1
#define SR_MAKE_NUMBER 1
#define SR_MAKE_GRADIENTS 1
#define SR_MAP_TABLE sr__map_float64
#include "backend/cpu/map_lines.h"
