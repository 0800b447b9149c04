/* memory.c: size-class allocator with counters and failure injection. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under AddressSanitizer every block comes from the system, so that a use
 * after free is seen. */
#if !defined(__has_feature)
#define __has_feature(feature) 0 /* clang's way of telling; gcc defines a macro */
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { CACHE_BLOCKS = 0 };
#else
enum { CACHE_BLOCKS = 1 };
#endif

enum {
  ALIGNMENT = 64,
  SMALLEST_LOG2 = 6, /* 64 bytes */
  LARGEST_LOG2 = 30, /* blocks above 1 GiB are not cached */
  STEPS = 4,         /* size classes per power of two */
  CLASSES = (LARGEST_LOG2 - SMALLEST_LOG2) * STEPS + 1
};
static const int64_t cache_limit = INT64_C(256) << 20;

typedef struct free_block {
  struct free_block *next;
} free_block;

static void *standard_resize(void *user, void *block, size_t old_bytes, size_t new_bytes) {
  (void)user;
  if (new_bytes == 0) {
    free(block);
    return NULL;
  }
  void *fresh = aligned_alloc(ALIGNMENT, new_bytes);
  if (fresh && block) {
    memcpy(fresh, block, old_bytes < new_bytes ? old_bytes : new_bytes);
    free(block);
  }
  return fresh;
}

static struct {
  sr_allocator system;
  sr_memory_info info;
  free_block *cache[CLASSES];
  int64_t fail_in; /* requests until the failing one; 0 is off */
  bool fail_onwards;
  void (*release_some)(void *user);
  void *release_user;
} memory = {.system = {standard_resize, NULL}};

/* The class of a request and the bytes that it gets: the smallest of
 * 64, 80, 96, 112, 128, 160, ... that holds it. -1 above the largest class. */
static int size_class(size_t bytes, size_t *rounded) {
  if (bytes <= (size_t)1 << SMALLEST_LOG2) {
    *rounded = (size_t)1 << SMALLEST_LOG2;
    return 0;
  }
  if (bytes > (size_t)1 << LARGEST_LOG2) {
    *rounded =
        bytes > SIZE_MAX - ALIGNMENT ? 0 : (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    return -1;
  }
  int log2 = 63 - __builtin_clzll(bytes - 1); /* 2^log2 < bytes <= 2^(log2 + 1) */
  size_t step = ((size_t)1 << log2) / STEPS;
  size_t steps = (bytes - ((size_t)1 << log2) + step - 1) / step;
  *rounded = ((size_t)1 << log2) + steps * step;
  return (log2 - SMALLEST_LOG2) * STEPS + (int)steps;
}

static size_t system_bytes(size_t rounded) {
  return (rounded + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static bool injected_failure(void) {
  if (!memory.fail_in) return false;
  if (memory.fail_in > 1) {
    memory.fail_in--;
    return false;
  }
  if (!memory.fail_onwards) memory.fail_in = 0;
  return true;
}

/* Linux hands out more than there is and kills who uses it: ask before a large request. */
static bool machine_has(size_t bytes) {
  enum { LARGE = 64 << 20 };
  if (bytes < LARGE) return true;
  FILE *file = fopen("/proc/meminfo", "r");
  if (!file) return true;
  char line[128];
  unsigned long long kilobytes = UINT64_MAX / 1024;
  while (fgets(line, sizeof line, file) && sscanf(line, "MemAvailable: %llu", &kilobytes) != 1) {
  }
  fclose(file);
  return bytes / 1024 < kilobytes;
}

static void *ask_system(size_t bytes) {
  if (!machine_has(bytes)) return NULL;
  return memory.system.resize(memory.system.user, NULL, 0, bytes);
}

static void *from_system(size_t bytes) {
  void *block = ask_system(bytes);
  if (block) return block;
  sr_memory_trim();
  if (memory.release_some) memory.release_some(memory.release_user);
  sr_memory_trim();
  return ask_system(bytes);
}

static void *out_of_memory(size_t bytes) {
  sr__fail(SR_MEMORY, "not enough memory: %zu bytes asked, %lld in use", bytes,
           (long long)memory.info.live_bytes);
  return NULL;
}

void *sr__allocate(size_t bytes) {
  memory.info.allocations++;
  size_t rounded;
  int class = size_class(bytes, &rounded);
  if (__builtin_expect(memory.fail_in != 0, 0) && injected_failure()) return out_of_memory(bytes);
  free_block *block = class >= 0 ? memory.cache[class] : NULL;
  if (block) {
    memory.cache[class] = block->next;
    memory.info.cached_bytes -= (int64_t)rounded;
  } else {
    if (rounded == 0) return out_of_memory(bytes);
    block = from_system(system_bytes(rounded));
    if (!block) return out_of_memory(bytes);
  }
  memory.info.live_blocks++;
  memory.info.live_bytes += (int64_t)rounded;
  if (memory.info.live_bytes > memory.info.peak_bytes)
    memory.info.peak_bytes = memory.info.live_bytes;
  return block;
}

void sr__free(void *pointer, size_t bytes) {
  if (!pointer) return;
  size_t rounded;
  int class = size_class(bytes, &rounded);
  memory.info.live_blocks--;
  memory.info.live_bytes -= (int64_t)rounded;
  if (!CACHE_BLOCKS || class < 0 || memory.info.cached_bytes + (int64_t)rounded > cache_limit) {
    memory.system.resize(memory.system.user, pointer, system_bytes(rounded), 0);
    return;
  }
  free_block *block = pointer;
  block->next = memory.cache[class];
  memory.cache[class] = block;
  memory.info.cached_bytes += (int64_t)rounded;
}

void sr_memory_trim(void) {
  for (int class = 0; class < CLASSES; class ++) {
    size_t octave = (size_t)1 << (SMALLEST_LOG2 + class / STEPS);
    size_t rounded = octave + octave / STEPS * (size_t)(class % STEPS);
    while (memory.cache[class]) {
      free_block *block = memory.cache[class];
      memory.cache[class] = block->next;
      memory.info.cached_bytes -= (int64_t)rounded;
      memory.system.resize(memory.system.user, block, system_bytes(rounded), 0);
    }
  }
}

sr_status sr_memory_set_allocator(const sr_allocator *allocator) {
  if (memory.info.live_blocks)
    return sr__fail(SR_STATE, "set_allocator: %lld blocks are still in use",
                    (long long)memory.info.live_blocks);
  sr_memory_trim();
  memory.system = allocator ? *allocator : (sr_allocator){standard_resize, NULL};
  return SR_OK;
}

sr_memory_info sr_memory_stats(void) { return memory.info; }

void sr_memory_fail_at(int64_t n, bool onwards) {
  memory.fail_in = n;
  memory.fail_onwards = onwards;
}

void sr_memory_on_pressure(void (*release_some)(void *user), void *user) {
  memory.release_some = release_some;
  memory.release_user = user;
}

/* ---- text --------------------------------------------------------------- */

static sr_status text_reserve(sr_text *text, size_t more) {
  if (text->room - text->size > more && text->bytes) return SR_OK;
  size_t room = text->room ? text->room : 64;
  while (room - text->size <= more) {
    if (room > SIZE_MAX / 2) return sr__fail(SR_MEMORY, "text too long");
    room *= 2;
  }
  char *bytes = sr__allocate(room);
  if (!bytes) return SR_MEMORY;
  if (text->bytes) memcpy(bytes, text->bytes, text->size);
  sr__free(text->bytes, text->room);
  text->bytes = bytes;
  text->room = room;
  return SR_OK;
}

sr_status sr__text_add(sr_text *text, const char *bytes, size_t size) {
  SR_TRY(text_reserve(text, size));
  memcpy(text->bytes + text->size, bytes, size);
  text->size += size;
  text->bytes[text->size] = '\0';
  return SR_OK;
}

sr_status sr__text_format(sr_text *text, const char *format, ...) {
  char line[512]; /* numbers, shapes and names: longer pieces go through sr__text_add */
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (size < 0 || (size_t)size >= sizeof line)
    return sr__fail(SR_ARGUMENT, "text piece longer than %zu bytes", sizeof line);
  return sr__text_add(text, line, (size_t)size);
}

void sr_text_free(sr_text *text) {
  sr__free(text->bytes, text->room);
  *text = (sr_text){0};
}
