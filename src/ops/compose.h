/* compose.h: operations made of public, differentiable ones.
 *
 * A sr_work (ops.h) with recording left as it is: gradients come from the parts,
 * and temporaries are released by the end of the work. */
#ifndef SR_OPS_COMPOSE_H
#define SR_OPS_COMPOSE_H

#include "ops/ops.h"

static inline sr_work sr__compose(void) {
  sr_work w = sr__work_begin();
  sr_set_grad_enabled(w.recording);
  return w;
}

/* Keep what a public operation makes, unless something has failed before:
 *   sr_tensor *y = SR_COMPOSE(&w, sr_sum(x, &dims, &made)); */
#define SR_COMPOSE(work, call) ((work)->status ? NULL : sr__compose_keep((work), (call), &made))

static inline sr_tensor *sr__compose_keep(sr_work *w, sr_status status, sr_tensor *const *made) {
  return sr__work_keep(w, status, made);
}

#endif
