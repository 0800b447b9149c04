/* recurrent_modes.c: the table of recurrent_modes.h. A mode that is new in
 * SR_RECURRENT_LIST needs its line here. */
#include "backend/recurrent_modes.h"

/* The derivative of tanh and relu follows from the output. */
#define TRAITS_rnn_tanh .title = "RNN", .keeps_gates = false
#define TRAITS_rnn_relu .title = "RNN", .keeps_gates = false
/* The activated gates, and c. */
#define TRAITS_lstm .title = "LSTM", .keeps_gates = true, .keeps_cells = true
/* The activated gates, and in the cells the hidden side's sums of n. */
#define TRAITS_gru .title = "GRU", .keeps_gates = true, .keeps_cells = true, .splits_gates = true

const sr_recurrent_mode_info sr__recurrent_modes[SR_RECURRENT_MODES] = {
#define X(mode, gate_blocks, state_count) \
  [SR_##mode] = {.name = #mode, .gates = gate_blocks, .states = state_count, TRAITS_##mode},
    SR_RECURRENT_LIST(X)
#undef X
};
