/* copy.h: what the operations that write values into tensors share. */
#ifndef SR_OPS_COPY_H
#define SR_OPS_COPY_H

#include "ops/ops.h"

/* Where a gradient has to go back to: the dtype and device of a value that was converted. */
typedef struct {
  sr_dtype dtype;
  sr_device device;
} sr_home;

sr_home sr__home_of(const sr_tensor *t);
/* Hand the gradient g, which the caller keeps, to the input that lives there. */
sr_status sr__give_home(sr_node *node, int input, const sr_tensor *g, const sr_home *home);
/* What was overwritten is given a gradient of zeros, so that it is not absent. */
sr_status sr__give_zeros(sr_node *node, int input);

/* to = from, broadcast and converted, also where one is a part of the other. */
sr_status sr__write_tensor(sr_tensor *to, const sr_tensor *from);
/* How many of the inputs {x, value} are recorded where value is written into x: integer
 * tensors take values, but no gradient passes through them. */
int sr__recorded_inputs(const sr_tensor *x);

#endif
