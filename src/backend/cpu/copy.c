/* copy.c: the table's `copy`, `where` and `dropout`.
 *
 * Copies without conversion move bytes: whole arrays and rows with memcpy, transposed
 * ones by square tiles, so that both sides are touched a cache line at a time. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/loop.h"
#include "backend/cpu/threads.h"

enum { TILE = 16 };

/* A copy of elements of one size. Dimension `inner` is the last of the loop. */
typedef struct {
  int ndim, bytes;
  int64_t size[SR_MAX_DIMS], to_stride[SR_MAX_DIMS], from_stride[SR_MAX_DIMS];
  char *to;
  const char *from;
  bool tiled; /* the last two dimensions are transposed: from runs along the first of them */
} move;

/* ---- tiles ---------------------------------------------------------------------------- */

/* to[i * to_row + j] = from[j * from_row + i], i < rows, j < columns */
#define SR_TRANSPOSE(type)                                                               \
  static void transpose_##type(int64_t rows, int64_t columns, type *to, int64_t to_row,  \
                               const type *from, int64_t from_row) {                     \
    for (int64_t i = 0; i < rows; i++)                                                   \
      for (int64_t j = 0; j < columns; j++) to[i * to_row + j] = from[j * from_row + i]; \
  }
SR_TRANSPOSE(uint8_t)
SR_TRANSPOSE(uint32_t)
SR_TRANSPOSE(uint64_t)

static void transpose_tile(const move *m, int64_t rows, int64_t columns, char *to,
                           const char *from) {
  int64_t to_row = m->to_stride[m->ndim - 2], from_row = m->from_stride[m->ndim - 1];
  if (m->bytes == 4)
    transpose_uint32_t(rows, columns, (uint32_t *)(void *)to, to_row,
                       (const uint32_t *)(const void *)from, from_row);
  else if (m->bytes == 8)
    transpose_uint64_t(rows, columns, (uint64_t *)(void *)to, to_row,
                       (const uint64_t *)(const void *)from, from_row);
  else
    transpose_uint8_t(rows, columns, (uint8_t *)to, to_row, (const uint8_t *)from, from_row);
}

/* TILE rows (fewer at the end) from row `first` on */
static void transpose_band(const move *m, int64_t first, char *to, const char *from) {
  int64_t rows = m->size[m->ndim - 2] - first, columns = m->size[m->ndim - 1];
  if (rows > TILE) rows = TILE;
  to += first * m->to_stride[m->ndim - 2] * m->bytes;
  from += first * m->bytes;
  for (int64_t j = 0; j < columns; j += TILE) {
    int64_t width = columns - j < TILE ? columns - j : TILE;
    transpose_tile(m, rows, width, to + j * m->bytes,
                   from + j * m->from_stride[m->ndim - 1] * m->bytes);
  }
}

/* ---- rows ------------------------------------------------------------------------------- */

static void move_row(const move *m, char *to, const char *from) {
  int inner = m->ndim - 1;
  int64_t n = m->size[inner], out = m->to_stride[inner], in = m->from_stride[inner];
  if (in == 0 && out == 1)
    sr__splat(n, m->bytes, to, from);
  else if (out == 1)
    sr__gather_strided(n, m->bytes, to, from, in);
  else if (in == 1)
    sr__scatter_strided(n, m->bytes, to, out, from);
  else
    for (int64_t i = 0; i < n; i++)
      memcpy(to + i * out * m->bytes, from + i * in * m->bytes, (size_t)m->bytes);
}

/* Work is counted in rows of the last dimension, or in bands of TILE such rows. */
static int64_t lines(const move *m, int d) {
  return m->tiled && d == m->ndim - 2 ? (m->size[d] + TILE - 1) / TILE : m->size[d];
}

static void move_lines(void *context, int64_t first, int64_t last) {
  const move *m = context;
  for (int64_t line = first; line < last; line++) {
    char *to = m->to;
    const char *from = m->from;
    int64_t rest = line, band = 0;
    for (int d = m->ndim - 2; d >= 0; d--) {
      int64_t i = rest % lines(m, d);
      rest /= lines(m, d);
      if (m->tiled && d == m->ndim - 2) {
        band = i;
        continue;
      }
      to += i * m->to_stride[d] * m->bytes;
      from += i * m->from_stride[d] * m->bytes;
    }
    if (m->tiled)
      transpose_band(m, band * TILE, to, from);
    else
      move_row(m, to, from);
  }
}

static void move_elements(void *context, int64_t first, int64_t last) {
  const move *m = context;
  move part = *m;
  part.size[0] = last - first;
  part.to += first * m->to_stride[0] * m->bytes;
  part.from += first * m->from_stride[0] * m->bytes;
  move_row(&part, part.to, part.from);
}

/* ---- choosing ----------------------------------------------------------------------------- */

static void swap(int64_t *a, int64_t *b) {
  int64_t old = *a;
  *a = *b;
  *b = old;
}

static void swap_dimensions(move *m, int a, int b) {
  swap(&m->size[a], &m->size[b]);
  swap(&m->to_stride[a], &m->to_stride[b]);
  swap(&m->from_stride[a], &m->from_stride[b]);
}

/* Elements can be moved in any order: bring a dimension along which `to` is dense to
 * the end, and one along which `from` is dense before it. */
static void arrange(move *m) {
  int inner = m->ndim - 1;
  for (int d = 0; d < inner; d++)
    if (m->to_stride[d] == 1 && m->to_stride[inner] != 1) swap_dimensions(m, d, inner);
  m->tiled = false;
  if (m->to_stride[inner] != 1 || m->from_stride[inner] <= 1 || m->size[inner] < 4) return;
  for (int d = 0; d < inner && !m->tiled; d++) {
    if (m->from_stride[d] != 1 || m->size[d] < 4) continue;
    swap_dimensions(m, d, inner - 1);
    m->tiled = true;
  }
}

static void run_move(move *m) {
  arrange(m);
  if (m->ndim == 1) {
    sr__parallel(m->size[0], 4 * SR_GRAIN, 64, move_elements, m);
    return;
  }
  int64_t n = 1, total = m->size[m->ndim - 1];
  for (int d = 0; d < m->ndim - 1; d++) {
    n *= lines(m, d);
    total *= m->size[d];
  }
  sr__parallel(n, 1 + SR_GRAIN * n / total, 1, move_lines, m);
}

static void move_loop(int bytes, const sr_loop *loop, const uint64_t *number) {
  move m = {.ndim = loop->ndim, .bytes = bytes, .to = loop->data[0]};
  m.from = loop->data[1] ? loop->data[1] : (const void *)number;
  for (int d = 0; d < loop->ndim; d++) {
    m.size[d] = loop->size[d];
    m.to_stride[d] = loop->stride[0][d];
    m.from_stride[d] = loop->data[1] ? loop->stride[1][d] : 0;
  }
  run_move(&m);
}

/* ---- the entries --------------------------------------------------------------------------- */

sr_status sr__cpu_copy(sr_dtype to, sr_dtype from, const sr_loop *loop) {
  bool dense = loop->ndim == 1 && loop->stride[0][0] == 1 && loop->stride[1][0] == 1;
  if (to == from && dense && loop->data[1] && loop->size[0] < SR_GRAIN) { /* most calls */
    memcpy(loop->data[0], loop->data[1], (size_t)(loop->size[0] * sr__cpu_bytes[to]));
    return SR_OK;
  }
  uint64_t number = loop->data[1] ? 0 : sr__scalar_bits(to, loop->number[1]);
  if (to == from || !loop->data[1]) {
    move_loop(sr__cpu_bytes[to], loop, &number);
    return SR_OK;
  }
  sr__loop_job job = {.kernel = sr__copy()->convert[to][from],
                      .operands = 2,
                      .bytes = {sr__cpu_bytes[to], sr__cpu_bytes[from]}};
  sr__run_loop(loop, &job);
  return SR_OK;
}

sr_status sr__cpu_where(sr_dtype dtype, const sr_loop *loop) {
  const sr__copy_table *kernels = sr__copy();
  int bytes = sr__cpu_bytes[dtype];
  sr__loop_job job = {.operands = 4, .bytes = {bytes, 1, bytes, bytes}};
  job.kernel = bytes == 4 ? kernels->where_4 : bytes == 8 ? kernels->where_8 : kernels->where_1;
  for (int k = 1; k < 4; k++)
    if (!loop->data[k]) job.number[k] = sr__scalar_bits(k == 1 ? SR_bool : dtype, loop->number[k]);
  sr__run_loop(loop, &job);
  return SR_OK;
}

typedef struct {
  sr_dtype dtype;
  uint64_t key;
  uint32_t threshold;
  double scale;
  const void *x;
  void *y;
} dropout_work;

static void dropout_range(void *context, int64_t first, int64_t last) {
  const dropout_work *w = context;
  sr__copy()->dropout[w->dtype](first, last - first, w->key, w->threshold, w->scale, w->x, w->y);
}

sr_status sr__cpu_dropout(sr_dtype dtype, int64_t n, uint64_t key, uint32_t threshold, double scale,
                          const void *x, void *y) {
  dropout_work work = {dtype, key, threshold, scale, x, y};
  sr__parallel(n, SR_GRAIN, 64, dropout_range, &work);
  return SR_OK;
}
