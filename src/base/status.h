/* status.h: how the runtime says what went wrong. */
#ifndef SR_BASE_STATUS_H
#define SR_BASE_STATUS_H

#include "saros.h"

/* Keep the message for sr_message() and return `status`:
 *   return sr__fail(SR_SHAPE, "mm: expected ..., got %s", text);
 * Messages begin with the operation and say what was found. */
sr_status sr__fail(sr_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Put "name: " before the present message, for callers that know the operation. */
sr_status sr__fail_in(sr_status status, const char *name) __attribute__((cold));

/* Return from the enclosing function if `call` fails. */
#define SR_TRY(call)                         \
  do {                                       \
    sr_status sr_try_status = (call);        \
    if (sr_try_status) return sr_try_status; \
  } while (0)

/* Set `status` (a local) and jump to `label` if `call` fails. */
#define SR_TRY_GOTO(call, label) \
  do {                           \
    status = (call);             \
    if (status) goto label;      \
  } while (0)

#endif
