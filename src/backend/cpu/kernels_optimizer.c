/* kernels_optimizer.c: the steps of optimizers.def, each one pass over the parameter, its
 * gradient and its state. Compiled once per instruction set; reached through the table at
 * the end, by optimizer.c. */
#include "backend/cpu/kernels.h"
#include "backend/formulae.h"

#define T float
#define SR_TAG f32
#include "backend/cpu/optimizer_steps.inc"
#undef T
#undef SR_TAG
#define T double
#define SR_TAG f64
#include "backend/cpu/optimizer_steps.inc"
#undef T
#undef SR_TAG

const sr__optimizer_table SR_ISA_NAME(sr__optimizer) = {
#define SR_OPTIMIZER(name, ...) [SR_OPTIMIZER_##name] = {name##_f32, name##_f64},
    .step = {
#include "backend/optimizers.def"
    }};
