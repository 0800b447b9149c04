/* pointwise.h: the lines of pointwise.def as data, for the op layer and the tests. */
#ifndef SR_BACKEND_POINTWISE_H
#define SR_BACKEND_POINTWISE_H

#include "backend/backend.h"

/* Numbers of the lines, which are the op ids of saros.h: SR_OP_add. */
enum {
#define SR_UNARY(name, ...) SR_OP_##name,
#define SR_BINARY(name, ...) SR_OP_##name,
#include "backend/pointwise.def"
  SR_OPS
};

/* grad and uses of argument 1 are those of argument 0 in a unary line. uses is the mask of
 * SR_USES_* and SR_NO_GRADIENT that the line gives. */
typedef struct {
  sr_pointwise_info info;
  sr_pointwise_kind kind;
  sr_map forward, grad[2];
  int uses[2];
} sr__pointwise_record;

extern const sr__pointwise_record sr__pointwise_table[SR_OPS];

#endif
