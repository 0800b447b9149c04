/* recurrent_modes.c: the table of recurrent_modes.h. A mode that is new in
 * SR_RECURRENT_LIST needs its line here. */
#include "backend/recurrent_modes.h"

/* The derivative of tanh and relu follows from the output. */
#define KEPT_rnn_tanh .keeps_gates = false
#define KEPT_rnn_relu .keeps_gates = false
/* The activated gates, and c. */
#define KEPT_lstm .keeps_gates = true, .keeps_cells = true
/* The activated gates, and in the cells the hidden side's sums of n. */
#define KEPT_gru .keeps_gates = true, .keeps_cells = true, .splits_gates = true

const sr_recurrent_mode_info sr__recurrent_modes[SR_RECURRENT_MODES] = {
#define X(mode, gate_blocks, state_count) \
  [SR_##mode] = {.name = #mode, .gates = gate_blocks, .states = state_count, KEPT_##mode},
    SR_RECURRENT_LIST(X)
#undef X
};
