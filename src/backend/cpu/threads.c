/* threads.c: the number of threads, and loops over ranges on them. */
#include "backend/cpu/threads.h"

#include <omp.h>

#include "base/status.h"

enum { MAX_THREADS = 1024 };
static int threads; /* 0: not set yet */

sr_status sr_set_num_threads(int n) {
  if (n < 1 || n > MAX_THREADS)
    return sr__fail(SR_ARGUMENT, "set_num_threads: expected 1 to %d, got %d", MAX_THREADS, n);
  threads = n;
  return SR_OK;
}

int sr_num_threads(void) {
  if (threads == 0) {
    int n = omp_get_max_threads(); /* heeds OMP_NUM_THREADS */
    threads = n < MAX_THREADS ? n : MAX_THREADS;
  }
  return threads;
}

void sr__parallel(int64_t n, int64_t grain, int64_t unit, sr__range_body *body, void *context) {
  int64_t wanted = n / grain;
  if (wanted < 2 || sr_num_threads() == 1) {
    body(context, 0, n);
    return;
  }
  int parts = wanted < sr_num_threads() ? (int)wanted : sr_num_threads();
  int64_t units = (n + unit - 1) / unit;
#pragma omp parallel for num_threads(parts) schedule(static)
  for (int part = 0; part < parts; part++) {
    int64_t first = units * part / parts * unit, last = units * (part + 1) / parts * unit;
    if (last > n) last = n;
    if (first < last) body(context, first, last);
  }
}
