/* optimizers.h: the lines of optimizers.def as data, for the op layer and the backends. */
#ifndef SR_BACKEND_OPTIMIZERS_H
#define SR_BACKEND_OPTIMIZERS_H

#include "saros.h"

/* Numbers of the lines, which are the sr_optimizer of saros.h: SR_OPTIMIZER_adam. */
enum {
#define SR_OPTIMIZER(name, ...) SR_OPTIMIZER_##name,
#include "backend/optimizers.def"
  SR_OPTIMIZERS
};

#endif
