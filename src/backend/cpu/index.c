/* index.c: the table's kernels that follow indices: take, take_add, put, place, gather,
 * scatter, scatter_add and true_positions.
 *
 * Every index is looked at before anything is written. Additions and writes to one place
 * happen in the order of the indices, whatever the number of threads: these share out columns. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/loop.h"
#include "backend/cpu/threads.h"
#include "base/status.h"

/* Position from 0 of an index into n, or -1. */
static inline int64_t resolve(int64_t index, int64_t n) {
  if (index >= SR_INDEX_BASE && index < n + SR_INDEX_BASE) return index - SR_INDEX_BASE;
  return index < 0 && index >= -n ? index + n : -1;
}

/* Are all indices positions (or 0, where zero_fits)? If not, *found is the first that is none. */
static bool all_fit(int64_t count, const int64_t *index, int64_t n, bool zero_fits,
                    int64_t *found) {
  for (int64_t i = 0; i < count; i++) {
    if ((zero_fits && index[i] == 0) || resolve(index[i], n) >= 0) continue;
    *found = index[i];
    return false;
  }
  return true;
}

/* ---- take ---------------------------------------------------------------------------------- */

/* Position 0.. of the rows that zero_id names; -1 for none of them (id 0 has no row). */
static int64_t zero_position(const sr_take *t) {
  return t->zero_id == SR_NO_PADDING ? -1 : resolve(t->zero_id, t->rows.n);
}

static bool is_zero_id(const sr_take *t, int64_t index) { return index == 0 && t->zero_id == 0; }

static bool indices_fit(const sr_take *t, int64_t *found) {
  return all_fit(t->count, t->index, t->rows.n, t->zero_id == 0, found);
}

/* Rows of one element are frequent (x[:, ids]), and a call of memcpy costs more than they do. */
static inline void copy_row(char *to, const char *from, size_t row) {
  switch (row) {
    case 4: memcpy(to, from, 4); break;
    case 8: memcpy(to, from, 8); break;
    default: memcpy(to, from, row);
  }
}

static void take_rows(void *context, int64_t first, int64_t last) {
  const sr_take *t = context;
  size_t row = (size_t)(t->rows.inner * sr__cpu_bytes[t->dtype]);
  int64_t outer = first / t->count, k = first % t->count;
  for (int64_t i = first; i < last; i++) {
    int64_t index = t->index[k], from = outer * t->rows.n + resolve(index, t->rows.n);
    char *to = (char *)t->out + (size_t)i * row;
    if (is_zero_id(t, index))
      memset(to, 0, row);
    else
      copy_row(to, (const char *)t->x + (size_t)from * row, row);
    if (++k < t->count) continue;
    k = 0;
    outer++;
  }
}

sr_status sr__cpu_take(const sr_take *take, int64_t *found) {
  if (!indices_fit(take, found)) return SR_INDEX;
  if (take->rows.inner == 0 || take->count == 0) return SR_OK;
  sr_take t = *take;
  sr__parallel(t.rows.outer * t.count, 1 + 4 * SR_GRAIN / t.rows.inner, 1, take_rows, &t);
  return SR_OK;
}

/* Columns first .. last - 1 of `inner`, for all rows. */
#define SR_TAKE_ADD(name, type, sum_type)                                                        \
  static void take_add_##name(const sr_take *t, int64_t first, int64_t last) {                   \
    int64_t inner = t->rows.inner, zero = zero_position(t);                                      \
    for (int64_t i = 0; i < t->rows.outer * t->count; i++) {                                     \
      int64_t index = t->index[i % t->count], position = resolve(index, t->rows.n);              \
      if (is_zero_id(t, index) || (zero >= 0 && position == zero)) continue;                     \
      type *out = (type *)t->out + (i / t->count * t->rows.n + position) * inner;                \
      const type *x = (const type *)t->x + i * inner;                                            \
      for (int64_t j = first; j < last; j++) out[j] = (type)((sum_type)out[j] + (sum_type)x[j]); \
    }                                                                                            \
  }
SR_TAKE_ADD(float32, float, float)
SR_TAKE_ADD(float64, double, double)
SR_TAKE_ADD(int64, int64_t, uint64_t) /* wraps around */

static void take_add_columns(void *context, int64_t first, int64_t last) {
  const sr_take *t = context;
  if (t->dtype == SR_float32)
    take_add_float32(t, first, last);
  else if (t->dtype == SR_float64)
    take_add_float64(t, first, last);
  else
    take_add_int64(t, first, last);
}

sr_status sr__cpu_take_add(const sr_take *take, int64_t *found) {
  if (!indices_fit(take, found)) return SR_INDEX;
  int64_t rows = take->rows.outer * take->count;
  if (rows == 0) return SR_OK;
  sr_take t = *take;
  sr__parallel(t.rows.inner, 16 + SR_GRAIN / rows, 16, take_add_columns, &t);
  return SR_OK;
}

/* ---- put, place -------------------------------------------------------------------------------- */

/* Columns first .. last - 1 of `inner`, for all rows. */
#define SR_PUT(type)                                                             \
  static void put_##type(const sr_take *t, int64_t first, int64_t last) {        \
    int64_t n = t->rows.n, inner = t->rows.inner;                                \
    const type *x = t->x, number = (type)sr__scalar_bits(t->dtype, t->number);   \
    for (int64_t o = 0; o < t->rows.outer; o++)                                  \
      for (int64_t i = 0; i < t->count; i++) {                                   \
        type *out = (type *)t->out + (o * n + resolve(t->index[i], n)) * inner;  \
        const type *from = x ? x + (o * t->count + i) * inner : NULL;            \
        for (int64_t j = first; j < last; j++) out[j] = from ? from[j] : number; \
      }                                                                          \
  }
SR_PUT(uint8_t)
SR_PUT(uint32_t)
SR_PUT(uint64_t)

static void put_columns(void *context, int64_t first, int64_t last) {
  const sr_take *t = context;
  switch (sr__cpu_bytes[t->dtype]) {
    case 4: put_uint32_t(t, first, last); break;
    case 8: put_uint64_t(t, first, last); break;
    default: put_uint8_t(t, first, last);
  }
}

sr_status sr__cpu_put(const sr_take *take, int64_t *found) {
  if (!all_fit(take->count, take->index, take->rows.n, false, found)) return SR_INDEX;
  int64_t rows = take->rows.outer * take->count;
  if (rows == 0) return SR_OK;
  sr_take t = *take;
  sr__parallel(t.rows.inner, 16 + SR_GRAIN / rows, 16, put_columns, &t);
  return SR_OK;
}

sr_status sr__cpu_place(const sr_placing *p, int64_t *found) {
  if (!all_fit(p->count, p->index, p->n, false, found)) return SR_INDEX;
  for (int64_t i = 0; i < p->count; i++) p->out[i] = p->stride * resolve(p->index[i], p->n);
  return SR_OK;
}

/* ---- gather and scatter ------------------------------------------------------------------------ */

/* A walk over the index tensor. Elements of the other two tensors at the same indices,
 * with dimension `dim` at 0 for the one that is indexed. */
typedef struct {
  int64_t index[SR_MAX_DIMS];
  int64_t own, far; /* offsets: in the tensor walked along, in the tensor indexed */
} walk;

typedef struct {
  const sr_gather_plan *plan;
  int64_t count, n; /* indices; positions along dim of the indexed tensor */
  int64_t own_stride[SR_MAX_DIMS], far_stride[SR_MAX_DIMS];
} work;

static void dense_strides(int ndim, const int64_t *size, int64_t *stride) {
  int64_t product = 1;
  for (int d = ndim - 1; d >= 0; d--) {
    stride[d] = product;
    product *= size[d];
  }
}

static void advance(const work *w, walk *at) {
  for (int d = w->plan->ndim - 1; d >= 0; d--) {
    int64_t far = d == w->plan->dim ? 0 : w->far_stride[d];
    at->own += w->own_stride[d];
    at->far += far;
    if (++at->index[d] < w->plan->index_size[d]) return;
    at->own -= w->own_stride[d] * w->plan->index_size[d];
    at->far -= far * w->plan->index_size[d];
    at->index[d] = 0;
  }
}

/* Each statement sees `far` and `own`, offsets of the two elements. */
#define SR_WALK(w, statement)                                                                      \
  do {                                                                                             \
    const sr_gather_plan *p = (w)->plan;                                                           \
    walk at = {{0}, 0, 0};                                                                         \
    for (int64_t i = 0; i < (w)->count; i++, advance((w), &at)) {                                  \
      int64_t far = at.far + resolve(p->index[i], (w)->n) * (w)->far_stride[p->dim], own = at.own; \
      statement;                                                                                   \
    }                                                                                              \
  } while (0)

#define SR_GATHERS(type)                                  \
  static void gather_##type(const work *w) {              \
    const type *x = w->plan->x;                           \
    type *out = w->plan->out;                             \
    SR_WALK(w, out[own] = x[far]);                        \
  }                                                       \
  static void scatter_##type(const work *w) {             \
    const type *x = w->plan->x;                           \
    type *out = w->plan->out;                             \
    SR_WALK(w, out[far] = x[own]);                        \
  }                                                       \
  static void fill_##type(const work *w, uint64_t bits) { \
    type *out = w->plan->out;                             \
    const type number = (type)bits;                       \
    SR_WALK(w, (void)own; out[far] = number);             \
  }
SR_GATHERS(uint8_t)
SR_GATHERS(uint32_t)
SR_GATHERS(uint64_t)

#define SR_SCATTER_ADD_TO(type)                   \
  static void scatter_add_##type(const work *w) { \
    const type *x = w->plan->x;                   \
    type *out = w->plan->out;                     \
    SR_WALK(w, out[far] += x[own]);               \
  }
SR_SCATTER_ADD_TO(float)
SR_SCATTER_ADD_TO(double)
SR_SCATTER_ADD_TO(uint64_t) /* int64, wrapping around */

static void run_gather(const work *w) {
  switch (sr__cpu_bytes[w->plan->dtype]) {
    case 4: gather_uint32_t(w); break;
    case 8: gather_uint64_t(w); break;
    default: gather_uint8_t(w);
  }
}

static void run_scatter(const work *w) {
  uint64_t bits = sr__scalar_bits(w->plan->dtype, w->plan->number);
  bool fill = !w->plan->x;
  switch (sr__cpu_bytes[w->plan->dtype]) {
    case 4: fill ? fill_uint32_t(w, bits) : scatter_uint32_t(w); break;
    case 8: fill ? fill_uint64_t(w, bits) : scatter_uint64_t(w); break;
    default: fill ? fill_uint8_t(w, bits) : scatter_uint8_t(w);
  }
}

static sr_status run_scatter_add(const work *w) {
  switch (w->plan->dtype) {
    case SR_float32: scatter_add_float(w); break;
    case SR_float64: scatter_add_double(w); break;
    case SR_int64: scatter_add_uint64_t(w); break;
    default: return sr__fail(SR_DTYPE, "scatter_add: not for bool");
  }
  return SR_OK;
}

sr_status sr__cpu_gather(const sr_gather_plan *plan, int64_t *found) {
  bool gathers = plan->kind == SR_GATHER;
  const int64_t *far_size = gathers ? plan->x_size : plan->out_size;
  work w = {.plan = plan, .count = 1, .n = far_size[plan->dim]};
  for (int d = 0; d < plan->ndim; d++) w.count *= plan->index_size[d];
  if (!all_fit(w.count, plan->index, w.n, false, found)) return SR_INDEX;
  dense_strides(plan->ndim, far_size, w.far_stride);
  dense_strides(plan->ndim, gathers ? plan->index_size : plan->x_size, w.own_stride);
  if (plan->kind == SR_SCATTER_ADD) return run_scatter_add(&w);
  if (gathers)
    run_gather(&w);
  else
    run_scatter(&w);
  return SR_OK;
}

/* ---- masks --------------------------------------------------------------------------------------- */

sr_status sr__cpu_true_positions(int64_t n, const void *mask, int64_t *positions, int64_t *count) {
  const uint8_t *is_true = mask;
  int64_t found = 0;
  if (!positions) {
    for (int64_t i = 0; i < n; i++) found += is_true[i] != 0;
  } else {
    for (int64_t i = 0; i < n; i++)
      if (is_true[i]) positions[found++] = i;
  }
  *count = found;
  return SR_OK;
}
