/* products.h: matrix products and recurrent sequences of the CPU backend, with the
 * signatures of its table (backend.h says what they do). cpu.c calls them. */
#ifndef SR_BACKEND_CPU_PRODUCTS_H
#define SR_BACKEND_CPU_PRODUCTS_H

#include "backend/backend.h"

/* Start BLIS and check it and the own kernels on a few products (under 1 ms). Where
 * BLIS is wrong all products go through the own kernels; where these are wrong
 * the call fails with SR_STATE. Before this call BLIS is not used. */
sr_status sr__cpu_products_start(void);
bool sr__cpu_products_use_blis(void);

sr_status sr__cpu_gemm(const sr_gemm *gemm);
sr_status sr__cpu_affine(const sr_affine *affine);
sr_status sr__cpu_recurrent(int n, const sr_recurrent_plan *plans);
sr_status sr__cpu_recurrent_grad(int n, const sr_recurrent_plan *plans);
void sr__cpu_drop_memo(sr_memo *memo);

#endif
