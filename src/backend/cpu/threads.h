/* threads.h: how large CPU kernels use several threads. */
#ifndef SR_BACKEND_CPU_THREADS_H
#define SR_BACKEND_CPU_THREADS_H

#include <stdint.h>

/* Elements of cheap work that are worth a thread: about 20 us. */
enum { SR_GRAIN = 32768 };

/* Calls body(context, first, last) for parts that make up 0 .. n - 1, on as many threads as
 * are allowed and have at least `grain` units each. Parts begin at multiples of `unit`.
 * body must not allocate, and what it writes must not depend on how n was cut. */
typedef void sr__range_body(void *context, int64_t first, int64_t last);
void sr__parallel(int64_t n, int64_t grain, int64_t unit, sr__range_body *body, void *context);

#endif
