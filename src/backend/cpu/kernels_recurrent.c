/* kernels_recurrent.c: the gates of the recurrent modes, forward and backward.
 *
 * Compiled once per instruction set; reached through the table at the end, by
 * recurrent.c (see recurrent_rows.h). recurrent_modes.inc holds the code, once
 * for float and once for double. Rows are worked on one by one, so a sequence has
 * the same bits alone and in a batch. */
#include "backend/cpu/recurrent_rows.h"

#include "backend/formulae.h"

#define T float
#define SR_TAG f32
#include "backend/cpu/recurrent_modes.inc"
#undef T
#undef SR_TAG
#define T double
#define SR_TAG f64
#include "backend/cpu/recurrent_modes.inc"
#undef T
#undef SR_TAG

#define DIRECT_rnn_tanh false
#define DIRECT_rnn_relu false
#define DIRECT_lstm false
#define DIRECT_gru true

const sr_recurrent_kernels SR_ISA_NAME(sr__recurrent_kernels) = {
#define X(mode, gates, states) \
  [SR_##mode] = {forward_##mode##_f32, backward_##mode##_f32, DIRECT_##mode},
    .float32 = {SR_RECURRENT_LIST(X)},
#undef X
#define X(mode, gates, states) \
  [SR_##mode] = {forward_##mode##_f64, backward_##mode##_f64, DIRECT_##mode},
    .float64 = {SR_RECURRENT_LIST(X)},
#undef X
    .add_float32 = add_rows_f32,
    .add_float64 = add_rows_f64,
};
