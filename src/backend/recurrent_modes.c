/* recurrent_modes.c: the table of recurrent_modes.h. A mode that is new in
 * SR_RECURRENT_LIST needs its line here. */
#include "backend/recurrent_modes.h"

/* The derivative of tanh and relu follows from the output. */
#define KEPT_rnn_tanh .keeps_gates = false
#define KEPT_rnn_relu .keeps_gates = false

const sr_recurrent_mode_info sr__recurrent_modes[SR_RECURRENT_MODES] = {
#define X(mode, gate_blocks, state_count) \
  [SR_##mode] = {.name = #mode, .gates = gate_blocks, .states = state_count, KEPT_##mode},
    SR_RECURRENT_LIST(X)
#undef X
};
