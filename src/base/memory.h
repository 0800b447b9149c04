/* memory.h: the one allocator of the runtime.
 *
 * Blocks come in size classes (four per power of two). A freed block is kept
 * in its class's list and handed out again in a few instructions, so tensors,
 * headers and tape nodes need no pools of their own. Callers pass the size
 * back when they free, as with lua_Alloc. */
#ifndef SR_BASE_MEMORY_H
#define SR_BASE_MEMORY_H

#include "base/status.h"

/* Uninitialised, aligned to 64 bytes; NULL if there is none (and the message is set). */
void *sr__allocate(size_t bytes);
void sr__free(void *block, size_t bytes);

/* sr__allocate for a call chain that returns status: sets *out or fails. */
static inline sr_status sr__new(size_t bytes, void **out) {
  void *block = sr__allocate(bytes);
  if (!block) return SR_MEMORY;
  *out = block;
  return SR_OK;
}

/* A growing text; on failure the text stays as it was. */
sr_status sr__text_add(sr_text *text, const char *bytes, size_t size);
sr_status sr__text_format(sr_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
