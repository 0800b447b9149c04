/* reduce.c: the table's `reduce`.
 *
 * The values of one result are taken in chunks of CHUNK, in row-major order; a kernel
 * reduces each chunk and the chunks are joined pairwise, as a binary tree over their
 * numbers. Which values share a chunk, and the tree, follow from the plan alone, so
 * results do not depend on the number of threads, which share out results or, for a
 * single large one, groups of chunks.
 *
 * Values that lie side by side go to the kernel where they are. Where results rather
 * than values lie side by side (column sums) kernels work on panels of columns. All
 * other layouts are copied into a buffer chunk by chunk. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/loop.h"
#include "backend/cpu/threads.h"
#include "base/memory.h"

enum {
  CHUNK = 4096,
  GROUP = 16,        /* chunks that one thread takes together; a power of two */
  COLUMN_ROWS = 256, /* rows of a column chunk */
  LEVELS = 48
};

/* ---- the plan, simplified ------------------------------------------------------------- */

typedef struct {
  const sr__reduce_table *kernels;
  sr_reduce kind;   /* of the result */
  sr_reduce kernel; /* of the kernel: MAX for ARGMAX, COUNT for ANY */
  sr_dtype dtype;
  int bytes; /* of an operand's element */
  double parameter;
  const char *x;
  char *out;
  int outer_ndim, inner_ndim; /* dimensions of size 1 dropped, neighbours joined */
  int64_t outer_size[SR_MAX_DIMS], outer_x[SR_MAX_DIMS], outer_out[SR_MAX_DIMS];
  int64_t inner_size[SR_MAX_DIMS], inner_x[SR_MAX_DIMS];
  int64_t results, values; /* values of each result */
  sr__partial *groups;     /* of a single large result */
} work;

static void simplify(work *w, const sr_reduction_plan *plan) {
  w->results = w->values = 1;
  w->outer_ndim = w->inner_ndim = 0;
  for (int d = 0; d < plan->outer_ndim; d++) {
    int64_t size = plan->outer_size[d], x = plan->outer_x_stride[d],
            out = plan->outer_out_stride[d];
    w->results *= size;
    if (size == 1) continue;
    int last = w->outer_ndim - 1;
    if (last >= 0 && w->outer_x[last] == x * size && w->outer_out[last] == out * size) {
      w->outer_size[last] *= size;
      w->outer_x[last] = x;
      w->outer_out[last] = out;
      continue;
    }
    w->outer_size[++last] = size;
    w->outer_x[last] = x;
    w->outer_out[last] = out;
    w->outer_ndim = last + 1;
  }
  for (int d = 0; d < plan->inner_ndim; d++) {
    int64_t size = plan->inner_size[d], x = plan->inner_x_stride[d];
    w->values *= size;
    if (size == 1) continue;
    int last = w->inner_ndim - 1;
    if (last >= 0 && w->inner_x[last] == x * size) {
      w->inner_size[last] *= size;
      w->inner_x[last] = x;
      continue;
    }
    w->inner_size[++last] = size;
    w->inner_x[last] = x;
    w->inner_ndim = last + 1;
  }
  if (w->inner_ndim == 0) { /* one value */
    w->inner_ndim = 1;
    w->inner_size[0] = w->inner_x[0] = 1;
  }
}

static sr_reduce kernel_kind(sr_reduce kind) {
  switch (kind) {
    case SR_REDUCE_ARGMAX: return SR_REDUCE_MAX;
    case SR_REDUCE_ARGMIN: return SR_REDUCE_MIN;
    case SR_REDUCE_ANY:
    case SR_REDUCE_ALL: return SR_REDUCE_COUNT;
    default: return kind;
  }
}

static bool is_floating(const work *w) { return w->dtype == SR_float32 || w->dtype == SR_float64; }

/* ---- joining ------------------------------------------------------------------------------ */

static double join_numbers(sr_reduce kind, double s, double t) {
  switch (kind) {
    case SR_REDUCE_PROD: return s * t;
    case SR_REDUCE_MAX:
    case SR_REDUCE_ABS_MAX: return t > s || t != t ? t : s;
    case SR_REDUCE_MIN:
    case SR_REDUCE_ABS_MIN: return t < s || t != t ? t : s;
    default: return s + t;
  }
}

static int64_t join_integers(sr_reduce kind, int64_t s, int64_t t) {
  switch (kind) {
    case SR_REDUCE_PROD: return (int64_t)((uint64_t)s * (uint64_t)t);
    case SR_REDUCE_MAX:
    case SR_REDUCE_ABS_MAX: return t > s ? t : s;
    case SR_REDUCE_MIN:
    case SR_REDUCE_ABS_MIN: return t < s ? t : s;
    default: return (int64_t)((uint64_t)s + (uint64_t)t);
  }
}

static sr__partial join(const work *w, sr__partial s, sr__partial t) {
  sr__partial result;
  if (is_floating(w))
    result.number = join_numbers(w->kernel, s.number, t.number);
  else
    result.integer = join_integers(w->kernel, s.integer, t.integer);
  return result;
}

/* A binary tree over partial results that come one after the other: level i holds
 * the join of 2^i of them. */
typedef struct {
  uint64_t count;
  sr__partial level[LEVELS];
} tree;

static void tree_add(const work *w, tree *t, sr__partial p) {
  int i = 0;
  for (uint64_t c = t->count; c & 1; c >>= 1) p = join(w, t->level[i++], p);
  t->level[i] = p;
  t->count++;
}

static sr__partial tree_result(const work *w, const tree *t) {
  int i = __builtin_ctzll(t->count);
  sr__partial result = t->level[i];
  for (i++; t->count >> i; i++)
    if (t->count >> i & 1) result = join(w, t->level[i], result);
  return result;
}

/* ---- results ------------------------------------------------------------------------------- */

static void store(const work *w, char *out, sr__partial p) {
  if (w->kind == SR_REDUCE_ANY || w->kind == SR_REDUCE_ALL) {
    bool all = is_floating(w) ? p.number == (double)w->values : p.integer == w->values;
    bool any = is_floating(w) ? p.number > 0 : p.integer > 0;
    *(uint8_t *)out = w->kind == SR_REDUCE_ANY ? any : all;
    return;
  }
  switch (w->dtype) {
    case SR_float32: *(float *)(void *)out = (float)p.number; break;
    case SR_float64: *(double *)(void *)out = p.number; break;
    case SR_int64: *(int64_t *)(void *)out = p.integer; break;
    default: *(uint8_t *)out = (uint8_t)p.integer;
  }
}

static int result_bytes(const work *w) {
  switch (w->kind) {
    case SR_REDUCE_ARGMAX:
    case SR_REDUCE_ARGMIN: return 8;
    case SR_REDUCE_ANY:
    case SR_REDUCE_ALL: return 1;
    default: return w->bytes;
  }
}

/* Where result number i lies, and its first value. */
static char *locate(const work *w, int64_t i, const char **x) {
  int64_t to = 0, from = 0;
  for (int d = w->outer_ndim - 1; d >= 0; d--) {
    int64_t index = i % w->outer_size[d];
    i /= w->outer_size[d];
    to += index * w->outer_out[d];
    from += index * w->outer_x[d];
  }
  *x = w->x + from * w->bytes;
  return w->out + to * result_bytes(w);
}

/* ---- one result ------------------------------------------------------------------------------ */

typedef struct {
  _Alignas(64) char bytes[CHUNK * 8];
} chunk_buffer;

/* Values first .. first + n - 1 of a result, side by side: where they are or in `buffer`. */
static const void *values_of(const work *w, const char *x, int64_t first, int64_t n,
                             chunk_buffer *buffer) {
  int inner = w->inner_ndim - 1;
  if (inner == 0 && (w->inner_x[0] == 1 || n == 1)) return x + first * w->inner_x[0] * w->bytes;
  for (int64_t done = 0; done < n;) {
    int64_t rest = (first + done) / w->inner_size[inner];
    int64_t start = (first + done) % w->inner_size[inner];
    int64_t piece = w->inner_size[inner] - start;
    if (piece > n - done) piece = n - done;
    int64_t offset = start * w->inner_x[inner];
    for (int d = inner - 1; d >= 0; d--) {
      offset += rest % w->inner_size[d] * w->inner_x[d];
      rest /= w->inner_size[d];
    }
    sr__gather_strided(piece, w->bytes, buffer->bytes + done * w->bytes, x + offset * w->bytes,
                       w->inner_x[inner]);
    done += piece;
  }
  return buffer->bytes;
}

static sr__partial reduce_values(const work *w, const char *x, int64_t first, int64_t last,
                                 chunk_buffer *buffer) {
  tree t;
  t.count = 0;
  for (int64_t i = first; i < last; i += CHUNK) {
    int64_t n = last - i < CHUNK ? last - i : CHUNK;
    sr__partial p;
    w->kernels->part[w->kernel](n, values_of(w, x, i, n, buffer), w->parameter, &p);
    if (n == w->values) return p;
    tree_add(w, &t, p);
  }
  return tree_result(w, &t);
}

/* Is `p` better than what was best so far? A NaN is better than a number. */
static bool better(const work *w, sr__partial p, sr__partial best) {
  bool larger = w->kernel == SR_REDUCE_MAX;
  if (!is_floating(w)) return larger ? p.integer > best.integer : p.integer < best.integer;
  if (best.number != best.number) return false;
  return p.number != p.number || (larger ? p.number > best.number : p.number < best.number);
}

static int64_t find_best(const work *w, const char *x, chunk_buffer *buffer) {
  sr__partial best = {0};
  int64_t position = 0;
  for (int64_t i = 0; i < w->values; i += CHUNK) {
    int64_t n = w->values - i < CHUNK ? w->values - i : CHUNK;
    const void *values = values_of(w, x, i, n, buffer);
    sr__partial p;
    w->kernels->part[w->kernel](n, values, 0, &p);
    if (i > 0 && !better(w, p, best)) continue;
    best = p;
    position = i + w->kernels->find(n, values, p);
  }
  return position;
}

static void reduce_results(void *context, int64_t first, int64_t last) {
  const work *w = context;
  chunk_buffer buffer;
  for (int64_t i = first; i < last; i++) {
    const char *x;
    char *out = locate(w, i, &x);
    if (w->kind == SR_REDUCE_ARGMAX || w->kind == SR_REDUCE_ARGMIN)
      *(int64_t *)(void *)out = SR_INDEX_BASE + find_best(w, x, &buffer);
    else
      store(w, out, reduce_values(w, x, 0, w->values, &buffer));
  }
}

/* ---- a single large result ----------------------------------------------------------------- */

static void reduce_groups(void *context, int64_t first, int64_t last) {
  const work *w = context;
  chunk_buffer buffer;
  for (int64_t g = first; g < last; g++) {
    int64_t start = g * GROUP * CHUNK, end = start + GROUP * CHUNK;
    if (end > w->values) end = w->values;
    w->groups[g] = reduce_values(w, w->x, start, end, &buffer);
  }
}

static sr_status reduce_large(work *w) {
  int64_t groups = (w->values + GROUP * CHUNK - 1) / (GROUP * CHUNK);
  size_t bytes = (size_t)groups * sizeof *w->groups;
  void *memory;
  SR_TRY(sr__new(bytes, &memory));
  w->groups = memory;
  sr__parallel(groups, 1, 1, reduce_groups, w);
  tree t;
  t.count = 0;
  for (int64_t g = 0; g < groups; g++) tree_add(w, &t, w->groups[g]);
  store(w, w->out, tree_result(w, &t));
  sr__free(memory, bytes);
  return SR_OK;
}

/* ---- columns ------------------------------------------------------------------------------------ */

/* Results that lie side by side in x: `width` of them from column `j` of the last outer dimension. */
static void reduce_panel(const work *w, const char *x, int64_t width, sr__partial *total) {
  sr__partial part[SR_COLUMNS];
  int64_t rows = w->inner_size[0], stride = w->inner_x[0];
  for (int64_t i = 0; i < rows; i += COLUMN_ROWS) {
    int64_t n = rows - i < COLUMN_ROWS ? rows - i : COLUMN_ROWS;
    w->kernels->columns[w->kernel](n, stride, width, x + i * stride * w->bytes, w->parameter,
                                   i ? part : total);
    if (!i) continue;
    for (int64_t j = 0; j < width; j++) total[j] = join(w, total[j], part[j]);
  }
}

static int64_t panels_of(const work *w) {
  return (w->outer_size[w->outer_ndim - 1] + SR_COLUMNS - 1) / SR_COLUMNS;
}

static void reduce_panels(void *context, int64_t first, int64_t last) {
  const work *w = context;
  int inner = w->outer_ndim - 1;
  for (int64_t p = first; p < last; p++) {
    int64_t column = p % panels_of(w) * SR_COLUMNS, width = w->outer_size[inner] - column;
    if (width > SR_COLUMNS) width = SR_COLUMNS;
    const char *x;
    char *out = locate(w, p / panels_of(w) * w->outer_size[inner] + column, &x);
    sr__partial total[SR_COLUMNS];
    reduce_panel(w, x, width, total);
    for (int64_t j = 0; j < width; j++)
      store(w, out + j * w->outer_out[inner] * result_bytes(w), total[j]);
  }
}

static bool is_by_columns(const work *w) {
  return w->outer_ndim > 0 && w->outer_x[w->outer_ndim - 1] == 1 && w->inner_ndim == 1 &&
         w->inner_x[0] != 1 && w->kind != SR_REDUCE_ARGMAX && w->kind != SR_REDUCE_ARGMIN;
}

/* ---- the entry ---------------------------------------------------------------------------------- */

static const sr__reduce_table *table_of(sr_dtype dtype) {
  switch (dtype) {
    case SR_float32: return sr__reduce_float32();
    case SR_float64: return sr__reduce_float64();
    case SR_int64: return sr__reduce_int64();
    default: return sr__reduce_bool();
  }
}

static const char *name_of(sr_reduce kind) {
  static const char *const names[] = {"sum", "prod", "max",  "min",  "argmax", "argmin",
                                      "any", "all",  "norm", "norm", "norm",   "count"};
  return names[kind];
}

/* Results of no values */
static sr_status reduce_nothing(const work *w) {
  sr__partial p = {0};
  switch (w->kind) {
    case SR_REDUCE_MAX:
    case SR_REDUCE_MIN:
    case SR_REDUCE_ARGMAX:
    case SR_REDUCE_ARGMIN:
    case SR_REDUCE_ABS_MIN: return sr__fail(SR_SHAPE, "%s of no elements", name_of(w->kind));
    case SR_REDUCE_PROD:
      if (is_floating(w))
        p.number = 1;
      else
        p.integer = 1;
      break;
    default: break;
  }
  const char *x;
  for (int64_t i = 0; i < w->results; i++) store(w, locate(w, i, &x), p);
  return SR_OK;
}

sr_status sr__cpu_reduce(const sr_reduction_plan *plan) {
  work w; /* large: no initialiser, for the sake of small reductions */
  w.kernels = table_of(plan->dtype);
  w.kind = plan->kind;
  w.kernel = kernel_kind(plan->kind);
  w.dtype = plan->dtype;
  w.bytes = sr__cpu_bytes[plan->dtype];
  w.parameter = plan->parameter;
  w.x = plan->x;
  w.out = plan->out;
  if (!w.kernels->part[w.kernel] || (w.dtype == SR_bool && w.kind == SR_REDUCE_COUNT))
    return sr__fail(SR_DTYPE, "%s: not for %s", name_of(w.kind), sr_dtype_name(w.dtype));
  simplify(&w, plan);
  if (w.results == 0) return SR_OK;
  if (w.values == 0) return reduce_nothing(&w);
  if (is_by_columns(&w)) {
    int64_t panels = w.results / w.outer_size[w.outer_ndim - 1] * panels_of(&w);
    sr__parallel(panels, 1 + SR_GRAIN / (SR_COLUMNS * w.values), 1, reduce_panels, &w);
    return SR_OK;
  }
  bool is_sequence = w.kind == SR_REDUCE_ARGMAX || w.kind == SR_REDUCE_ARGMIN;
  if (w.results == 1 && w.values > GROUP * CHUNK && !is_sequence) return reduce_large(&w);
  sr__parallel(w.results, 1 + SR_GRAIN / w.values, 1, reduce_results, &w);
  return SR_OK;
}
