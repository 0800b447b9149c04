/* sort.c: the table's `sort`: stable, NaN largest, the first k of n.
 *
 * Values become unsigned keys whose order is the order asked for; equal keys are told
 * apart by their positions, so any comparison sort is stable. All n are merge sorted,
 * or a heap keeps the best k where these are few. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/memory.h"

typedef struct {
  uint64_t key;
  int64_t position; /* from 0 */
} entry;

enum { RUN = 16 }; /* sorted by insertion before merging */

static inline bool before(const entry *a, const entry *b) {
  return a->key < b->key || (a->key == b->key && a->position < b->position);
}

/* ---- keys ------------------------------------------------------------------------------- */

/* Floating numbers in sign and magnitude: flip all bits of negative ones, the sign of the
 * others. -0 is 0, NaN is the largest key. */
static uint64_t number_key(double x) {
  uint64_t bits;
  if (x != x) return UINT64_MAX;
  x = x == 0 ? 0 : x;
  memcpy(&bits, &x, sizeof bits);
  return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static uint64_t key_at(sr_dtype dtype, const void *x, int64_t i) {
  switch (dtype) {
    case SR_float32: return number_key((double)((const float *)x)[i]);
    case SR_float64: return number_key(((const double *)x)[i]);
    case SR_int64: return (uint64_t)((const int64_t *)x)[i] ^ UINT64_C(1) << 63;
    default: return ((const uint8_t *)x)[i] != 0;
  }
}

/* ---- all of them ------------------------------------------------------------------------ */

static void insertion_sort(entry *e, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    entry moved = e[i];
    int64_t j = i;
    for (; j > 0 && before(&moved, &e[j - 1]); j--) e[j] = e[j - 1];
    e[j] = moved;
  }
}

static void merge(const entry *a, int64_t n_a, const entry *b, int64_t n_b, entry *to) {
  const entry *end_a = a + n_a, *end_b = b + n_b;
  while (a < end_a && b < end_b) *to++ = before(b, a) ? *b++ : *a++;
  memcpy(to, a, (size_t)(end_a - a) * sizeof *a);
  memcpy(to + (end_a - a), b, (size_t)(end_b - b) * sizeof *b);
}

/* Sorts e with n more entries at `other`; returns where the result is. */
static entry *merge_sort(entry *e, entry *other, int64_t n) {
  for (int64_t i = 0; i < n; i += RUN) insertion_sort(e + i, n - i < RUN ? n - i : RUN);
  for (int64_t width = RUN; width < n; width *= 2) {
    for (int64_t i = 0; i < n; i += 2 * width) {
      int64_t left = n - i < width ? n - i : width;
      int64_t right = n - i - left < width ? n - i - left : width;
      merge(e + i, left, e + i + left, right, other + i);
    }
    entry *old = e;
    e = other;
    other = old;
  }
  return e;
}

/* ---- the best k ---------------------------------------------------------------------------- */

/* Restore the heap whose root is its last entry in order, below place i of k. */
static void sift_down(entry *heap, int64_t i, int64_t k) {
  entry moved = heap[i];
  for (int64_t child; (child = 2 * i + 1) < k; i = child) {
    if (child + 1 < k && before(&heap[child], &heap[child + 1])) child++;
    if (!before(&moved, &heap[child])) break;
    heap[i] = heap[child];
  }
  heap[i] = moved;
}

static void keep_best(entry *heap, int64_t k, entry candidate) {
  if (!before(&candidate, &heap[0])) return;
  heap[0] = candidate;
  sift_down(heap, 0, k);
}

/* ---- rows ------------------------------------------------------------------------------------ */

typedef struct {
  sr_dtype dtype;
  bool descending;
  int64_t n, k, inner;
  entry *entries, *other; /* n of each, or k where few are kept */
} work;

static entry entry_at(const work *w, const void *x, int64_t i) {
  uint64_t key = key_at(w->dtype, x, i * w->inner);
  return (entry){w->descending ? ~key : key, i};
}

static bool keeps_few(int64_t n, int64_t k) { return k < n / 8; }

static const entry *sort_row(const work *w, const void *x) {
  int64_t loaded = keeps_few(w->n, w->k) ? w->k : w->n;
  for (int64_t i = 0; i < loaded; i++) w->entries[i] = entry_at(w, x, i);
  if (loaded < w->n) {
    for (int64_t i = w->k / 2 - 1; i >= 0; i--) sift_down(w->entries, i, w->k);
    for (int64_t i = w->k; i < w->n; i++) keep_best(w->entries, w->k, entry_at(w, x, i));
  }
  return merge_sort(w->entries, w->other, loaded);
}

static void store_row(const work *w, const entry *e, const char *x, char *values,
                      int64_t *positions) {
  int64_t bytes = sr__cpu_bytes[w->dtype];
  for (int64_t i = 0; i < w->k; i++) {
    memcpy(values + i * w->inner * bytes, x + e[i].position * w->inner * bytes, (size_t)bytes);
    positions[i * w->inner] = e[i].position + SR_INDEX_BASE;
  }
}

sr_status sr__cpu_sort(sr_dtype dtype, const sr_rows *rows, bool descending, int64_t k,
                       const void *x, void *values, int64_t *positions) {
  work w = {.dtype = dtype, .descending = descending, .n = rows->n, .k = k, .inner = rows->inner};
  if (k == 0 || rows->outer == 0 || rows->inner == 0) return SR_OK;
  int64_t bytes = sr__cpu_bytes[dtype], loaded = keeps_few(w.n, k) ? k : w.n;
  size_t room = (size_t)loaded * 2 * sizeof(entry);
  void *memory;
  SR_TRY(sr__new(room, &memory));
  w.entries = memory;
  w.other = w.entries + loaded;
  for (int64_t row = 0; row < rows->outer * rows->inner; row++) {
    int64_t outer = row / rows->inner, inner = row % rows->inner;
    int64_t from = outer * w.n * w.inner + inner, to = outer * k * w.inner + inner;
    const char *row_x = (const char *)x + from * bytes;
    store_row(&w, sort_row(&w, row_x), row_x, (char *)values + to * bytes, positions + to);
  }
  sr__free(memory, room);
  return SR_OK;
}
