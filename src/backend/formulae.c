/* formulae.c: argument bounds of the float32 functions of formulae.h, kept in a file
 * of their own so that no kernel is compiled with their values. */
#include "backend/formulae.h"

const float sr__f32_bounds[SR_BOUNDS] = {
    [SR_EXP_HIGHEST] = 89.0f,   /* e^89 overflows */
    [SR_EXP_LOWEST] = -104.0f,  /* e^-104 is less than half the smallest subnormal */
    [SR_EXP_NORMAL] = -88.0f,   /* n = -127, for which 2^n is taken as 0 */
    [SR_EXPM1_LOWEST] = -30.0f, /* e^-30 - 1 rounds to -1 */
    [SR_TANH_HIGHEST] = 20.0f,  /* tanh 10 rounds to 1 */
};
