/* threads.c: the number of threads, and loops over ranges on them. */
#include "backend/cpu/threads.h"

#include <omp.h>
#include <time.h>

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

/* ---- crowded machines -------------------------------------------------------------------- */

/* Where other programs want the cores, too, a thread of ours waits for its turn, and we wait for
 * the thread: milliseconds for work of microseconds. This is noticed by the time that the first
 * thread waited for the others, before and after its own part: if longer than PATIENCE and
 * than its part took, everything runs on one thread for the next CROWDED seconds. Results
 * do not depend on the number of threads. */
static const double PATIENCE = 100e-6, CROWDED = 250e-3;
static double crowded_until;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void note_waiting(double seconds, double own_seconds) {
  double waited = seconds - own_seconds;
  if (waited > PATIENCE && waited > own_seconds) crowded_until = now() + CROWDED;
}

/* Threads to use where `wanted` of them would have enough to do. */
static int allowed(double wanted) {
  int n = sr_num_threads();
  if (wanted < n) n = (int)wanted;
  if (n < 2) return 1;
  return crowded_until > 0 && now() < crowded_until ? 1 : n;
}

/* ---- parallel loops ------------------------------------------------------------------------ */

void sr__side_by_side(int parts, sr__part_body *body, void *context) {
  if (parts == 1 || omp_in_parallel()) {
    for (int part = 0; part < parts; part++) body(context, part);
    return;
  }
  double start = now(), own_seconds = 0;
#pragma omp parallel for num_threads(parts) schedule(static)
  for (int part = 0; part < parts; part++) {
    double own_start = part == 0 ? now() : 0;
    body(context, part);
    if (part == 0) own_seconds = now() - own_start;
  }
  note_waiting(now() - start, own_seconds);
}

int sr__threads_for(double multiply_adds) { return allowed(multiply_adds / SR_PRODUCT_GRAIN); }

typedef struct {
  int64_t n, unit;
  int parts;
  sr__range_body *body;
  void *context;
} range;

static void range_part(void *context, int part) {
  const range *r = context;
  int64_t units = (r->n + r->unit - 1) / r->unit;
  int64_t first = units * part / r->parts * r->unit;
  int64_t last = units * (part + 1) / r->parts * r->unit;
  if (last > r->n) last = r->n;
  if (first < last) r->body(r->context, first, last);
}

void sr__parallel(int64_t n, int64_t grain, int64_t unit, sr__range_body *body, void *context) {
  int parts = n < 2 * grain ? 1 : allowed((double)(n / grain));
  if (parts == 1) {
    body(context, 0, n);
    return;
  }
  range r = {.n = n, .unit = unit, .parts = parts, .body = body, .context = context};
  sr__side_by_side(parts, range_part, &r);
}
