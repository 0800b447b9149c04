/* threads.h: how large CPU kernels use several threads. */
#ifndef SR_BACKEND_CPU_THREADS_H
#define SR_BACKEND_CPU_THREADS_H

#include <stdint.h>

/* Elements of cheap work, and multiply-adds, that are worth a thread: 20 and 35 us. */
enum { SR_GRAIN = 32768, SR_PRODUCT_GRAIN = 2000000 };

/* Calls body(context, first, last) for parts that make up 0 .. n - 1, on as many threads as
 * are allowed and have at least `grain` units each. Parts begin at multiples of `unit`.
 * body must not allocate, and what it writes must not depend on how n was cut. */
typedef void sr__range_body(void *context, int64_t first, int64_t last);
void sr__parallel(int64_t n, int64_t grain, int64_t unit, sr__range_body *body, void *context);

/* How many threads matrix products of so many multiply-adds are worth. */
int sr__threads_for(double multiply_adds);

/* Calls body(context, part) for parts 0 .. parts - 1, about equally long, each on a thread
 * of its own. The same conditions hold. */
typedef void sr__part_body(void *context, int part);
void sr__side_by_side(int parts, sr__part_body *body, void *context);

#endif
