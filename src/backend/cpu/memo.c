/* memo.c: packed weights, kept in the memo of their storage.
 *
 * An entry belongs to one view of the storage (address, sizes, strides, dtype) and
 * remembers the version of the bytes that it was packed from; an outdated one is
 * packed again in place. So a weight is packed once per optimizer step, however
 * many products use it. Callers are affine.c and recurrent.c, through panel.h. */
#include "backend/cpu/panel.h"
#include "backend/cpu/products.h"

#include "base/memory.h"

/* A storage that is used through ever other views (rows of a table) keeps this
 * many packed forms. */
enum { MOST_ENTRIES = 16 };

typedef struct {
  const void *data;
  int64_t k, n, row, column;
  sr_dtype dtype;
} view;

typedef struct entry {
  struct entry *next;
  view key;
  uint64_t version;
  size_t bytes; /* of this block, the panels included */
  _Alignas(64) char panels[];
} entry;

static bool same_view(const view *a, const view *b) {
  return a->data == b->data && a->k == b->k && a->n == b->n && a->row == b->row &&
         a->column == b->column && a->dtype == b->dtype;
}

static void pack(const view *v, void *panels) {
  sr__panel_kernels_for(v->dtype)->pack(v->k, v->n, v->data, v->row, v->column, panels);
}

/* Frees outdated entries and those beyond the MOST_ENTRIES - 1 newest. */
static void make_room(sr_memo *memo) {
  int kept = 0;
  for (entry **link = (entry **)&memo->entries; *link;) {
    entry *e = *link;
    if (e->version == memo->version && ++kept < MOST_ENTRIES) {
      link = &e->next;
    } else {
      *link = e->next;
      sr__free(e, e->bytes);
    }
  }
}

static sr_status add_entry(sr_memo *memo, const view *v, size_t panel_bytes, entry **out) {
  make_room(memo);
  size_t bytes = sizeof(entry) + panel_bytes;
  void *block;
  SR_TRY(sr__new(bytes, &block));
  entry *e = block;
  e->next = memo->entries;
  e->key = *v;
  e->bytes = bytes;
  memo->entries = e;
  *out = e;
  return SR_OK;
}

sr_status sr__panel_get(sr_memo *memo, sr_dtype dtype, int64_t k, int64_t n, const void *b,
                        int64_t row, int64_t column, sr_panels *out) {
  view v = {b, k, n, row, column, dtype};
  *out = (sr_panels){0};
  if (!memo) {
    out->bytes = sr__panel_bytes(dtype, k, n);
    SR_TRY(sr__new(out->bytes, &out->owned));
    pack(&v, out->owned);
    out->panels = out->owned;
    return SR_OK;
  }
  entry *e = memo->entries;
  while (e && !same_view(&e->key, &v)) e = e->next;
  if (!e || e->version != memo->version) {
    if (!e) SR_TRY(add_entry(memo, &v, sr__panel_bytes(dtype, k, n), &e));
    pack(&v, e->panels);
    e->version = memo->version;
  }
  out->panels = e->panels;
  return SR_OK;
}

void sr__panel_release(sr_panels *panels) {
  sr__free(panels->owned, panels->bytes);
  *panels = (sr_panels){0};
}

void sr__cpu_drop_memo(sr_memo *memo) {
  entry *e = memo->entries;
  while (e) {
    entry *next = e->next;
    sr__free(e, e->bytes);
    e = next;
  }
  memo->entries = NULL;
}
