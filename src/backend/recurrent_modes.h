/* recurrent_modes.h: what the op layer must know of a recurrent mode to give a
 * backend the right buffers (sr_recurrent_plan in backend.h). */
#ifndef SR_BACKEND_RECURRENT_MODES_H
#define SR_BACKEND_RECURRENT_MODES_H

#include "saros.h"

typedef struct {
  const char *name;
  const char *title; /* what users call it, in messages */
  int gates, states;
  bool keeps_gates;  /* backward reads what forward left in plan->gates */
  bool keeps_cells;  /* forward writes plan->cells (N, H) and backward reads it */
  bool splits_gates; /* backward also writes plan->grad_hidden_gates */
} sr_recurrent_mode_info;

extern const sr_recurrent_mode_info sr__recurrent_modes[SR_RECURRENT_MODES];

#endif
