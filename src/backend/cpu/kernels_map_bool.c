/* kernels_map_bool.c: pointwise kernels on bool elements (see map_lines.h). */
#define T uint8_t
#define SR_PARAMETER(i) (parameters[i] != 0)
#define SR_MAKE_FLOAT 0
#define SR_MAKE_NUMBER 0
#define SR_MAKE_GRADIENTS 0
#define SR_MAP_TABLE sr__map_bool
#include "backend/cpu/map_lines.h"
