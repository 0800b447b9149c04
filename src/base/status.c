/* status.c: status names and the message of the last failure. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 };
static _Thread_local char message[MESSAGE_BYTES];

const char *sr_status_name(sr_status status) {
  static const char *const names[] = {
#define X(name, text) [SR_##name] = text,
      SR_STATUS_LIST(X)
#undef X
  };
  size_t n = sizeof names / sizeof *names;
  return (size_t)status < n ? names[status] : "unknown status";
}

const char *sr_message(void) { return message; }

sr_status sr__fail(sr_status status, const char *format, ...) {
  char text[MESSAGE_BYTES]; /* the arguments may point into `message` */
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  memcpy(message, text, sizeof message);
  return status;
}

sr_status sr__fail_in(sr_status status, const char *name) {
  return sr__fail(status, "%s: %s", name, message);
}
