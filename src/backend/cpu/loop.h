/* loop.h: runs a kernel on dense blocks (kernels.h) over any strided loop. */
#ifndef SR_BACKEND_CPU_LOOP_H
#define SR_BACKEND_CPU_LOOP_H

#include "backend/cpu/kernels.h"

typedef struct {
  sr__kernel *kernel;
  const double *parameters;
  int operands;
  int bytes[SR_LOOP_OPERANDS];       /* of an element: 1, 4 or 8 */
  uint64_t number[SR_LOOP_OPERANDS]; /* what stands for operands without data: its bits */
} sr__loop_job;

void sr__run_loop(const sr_loop *loop, const sr__loop_job *job);

/* The bits of a number as an element of dtype. */
uint64_t sr__scalar_bits(sr_dtype dtype, sr_scalar number);

/* to[i] = from[i * stride] and to[i * stride] = from[i] for elements of 1, 4 or 8 bytes. */
void sr__gather_strided(int64_t n, int bytes, void *to, const void *from, int64_t stride);
void sr__scatter_strided(int64_t n, int bytes, void *to, int64_t stride, const void *from);
/* n copies of one element */
void sr__splat(int64_t n, int bytes, void *to, const void *element);

#endif
