/* optimizer.c: the table's `optimize`. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/threads.h"

static void step_range(void *context, int64_t first, int64_t last) {
  const sr_optimizer_plan *plan = context;
  sr__optimizer()->step[plan->optimizer][plan->dtype](plan, first, last);
}

sr_status sr__cpu_optimize(const sr_optimizer_plan *plan) {
  sr__parallel(plan->n, SR_GRAIN, 64, step_range, (void *)plan);
  return SR_OK;
}
