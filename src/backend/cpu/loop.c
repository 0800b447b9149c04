/* loop.c: strided loops over block kernels.
 *
 * Rows whose operands lie side by side (or repeat one element) are given to the kernel
 * where they are; other operands go through blocks of BLOCK elements. What is left of a
 * row after full vectors is computed in such a block as well, so the bits of a result
 * depend on its operands alone: not on where it stands, nor on the number of threads (but
 * for the sign and payload of a NaN). */
#include "backend/cpu/loop.h"

#include <string.h>

#include "backend/cpu/threads.h"

enum {
  BLOCK = 512,    /* at least SHORT_ROW SR_LANES */
  TILE = 16,      /* TILE^2 fits a block */
  LINE = 64,      /* bytes of a cache line */
  SHORT_ROW = 32, /* rows below this are joined in blocks */
  ELEMENT_BYTES = 8
};

typedef struct {
  _Alignas(64) char bytes[BLOCK * ELEMENT_BYTES];
} block;

/* ---- moving elements ------------------------------------------------------------- */

#define SR_MOVES(type)                                                                \
  static void gather_##type(int64_t n, type *to, const type *from, int64_t stride) {  \
    for (int64_t i = 0; i < n; i++) to[i] = from[i * stride];                         \
  }                                                                                   \
  static void scatter_##type(int64_t n, type *to, int64_t stride, const type *from) { \
    for (int64_t i = 0; i < n; i++) to[i * stride] = from[i];                         \
  }                                                                                   \
  static void splat_##type(int64_t n, type *to, const void *element) {                \
    type value;                                                                       \
    memcpy(&value, element, sizeof value);                                            \
    for (int64_t i = 0; i < n; i++) to[i] = value;                                    \
  }
SR_MOVES(uint8_t)
SR_MOVES(uint32_t)
SR_MOVES(uint64_t)

void sr__splat(int64_t n, int bytes, void *to, const void *element) {
  if (bytes == 4)
    splat_uint32_t(n, to, element);
  else if (bytes == 8)
    splat_uint64_t(n, to, element);
  else
    splat_uint8_t(n, to, element);
}

void sr__gather_strided(int64_t n, int bytes, void *to, const void *from, int64_t stride) {
  if (stride == 1)
    memcpy(to, from, (size_t)(n * bytes));
  else if (bytes == 4)
    gather_uint32_t(n, to, from, stride);
  else if (bytes == 8)
    gather_uint64_t(n, to, from, stride);
  else
    gather_uint8_t(n, to, from, stride);
}

void sr__scatter_strided(int64_t n, int bytes, void *to, int64_t stride, const void *from) {
  if (stride == 1)
    memcpy(to, from, (size_t)(n * bytes));
  else if (bytes == 4)
    scatter_uint32_t(n, to, stride, from);
  else if (bytes == 8)
    scatter_uint64_t(n, to, stride, from);
  else
    scatter_uint8_t(n, to, stride, from);
}

/* memcpy of less than 128 bytes without a call. */
#define SR_COPY_PIECE(piece)   \
  if (n & (piece)) {           \
    memcpy(to, from, (piece)); \
    to += (piece);             \
    from += (piece);           \
  }
static inline void copy_few(char *to, const char *from, size_t n) {
  SR_COPY_PIECE(64)
  SR_COPY_PIECE(32)
  SR_COPY_PIECE(16)
  SR_COPY_PIECE(8)
  SR_COPY_PIECE(4)
  SR_COPY_PIECE(2)
  SR_COPY_PIECE(1)
}

/* n < SR_LANES elements and copies of the first of them in the lanes behind. */
static inline void load_few(int64_t n, int bytes, char *lanes, const char *from) {
  if (bytes == 4)
    splat_uint32_t(SR_LANES, (uint32_t *)(void *)lanes, from);
  else if (bytes == 8)
    splat_uint64_t(SR_LANES, (uint64_t *)(void *)lanes, from);
  else
    splat_uint8_t(SR_LANES, (uint8_t *)lanes, from);
  copy_few(lanes, from, (size_t)(n * bytes));
}

uint64_t sr__scalar_bits(sr_dtype dtype, sr_scalar number) {
  uint64_t bits = 0;
  float single = (float)number.number;
  switch (dtype) {
    case SR_float32: memcpy(&bits, &single, sizeof single); break;
    case SR_float64: memcpy(&bits, &number.number, sizeof number.number); break;
    case SR_bool: bits = number.is_integer ? number.integer != 0 : number.number != 0; break;
    default:
      if (number.is_integer)
        bits = (uint64_t)number.integer;
      else if (number.number >= -0x1p63 && number.number < 0x1p63)
        bits = (uint64_t)(int64_t)number.number;
      else
        bits = UINT64_C(1) << 63; /* what the conversion instruction of x86 gives */
  }
  return bits;
}

/* ---- rows in place ------------------------------------------------------------------ */

/* `step` is a stride in bytes. Operands that the job does not have are NULL. */
static inline void call(const sr__loop_job *job, int64_t n, char *const at[]) {
  job->kernel(n, at[0], at[1], at[2], at[3], job->parameters);
}

/* The last n < SR_LANES elements of a row, which begin at element `first`, in blocks. */
static void run_rest(const sr__loop_job *job, int64_t first, int64_t n, char *const data[],
                     const int64_t step[]) {
  _Alignas(64) char lanes[SR_LOOP_OPERANDS][SR_LANES * ELEMENT_BYTES];
  char *at[SR_LOOP_OPERANDS] = {lanes[0], lanes[1], lanes[2], lanes[3]};
  for (int k = 1; k < job->operands; k++)
    load_few(step[k] ? n : 1, job->bytes[k], lanes[k], data[k] + first * step[k]);
  call(job, SR_LANES, at);
  copy_few(data[0] + first * step[0], lanes[0], (size_t)(n * job->bytes[0]));
}

/* Rows with repeated elements: these are spread over a block once. */
static void run_spread(const sr__loop_job *job, int64_t n, char *const data[],
                       const int64_t step[]) {
  block spread[SR_LOOP_OPERANDS];
  char *at[SR_LOOP_OPERANDS];
  memcpy(at, data, sizeof at);
  for (int k = 1; k < job->operands; k++) {
    if (step[k]) continue;
    sr__splat(n < BLOCK ? n : BLOCK, job->bytes[k], spread[k].bytes, data[k]);
    at[k] = spread[k].bytes;
  }
  for (int64_t i = 0; i < n; i += BLOCK) {
    call(job, n - i < BLOCK ? n - i : BLOCK, at);
    for (int k = 0; k < job->operands; k++)
      if (step[k]) at[k] += BLOCK * job->bytes[k];
  }
}

/* A row of n elements; every step is one element or, for inputs that repeat one, 0. */
static inline void run_row(const sr__loop_job *job, int64_t n, bool repeats, char *const data[],
                           const int64_t step[]) {
  int64_t bulk = n & -(int64_t)SR_LANES;
  if (bulk && repeats)
    run_spread(job, bulk, data, step);
  else if (bulk)
    call(job, bulk, data);
  if (bulk < n) run_rest(job, bulk, n - bulk, data, step);
}

/* Most calls: one row of not many elements. false: it is not, and nothing was done. */
static inline bool run_small(const sr_loop *loop, const sr__loop_job *job) {
  if (loop->ndim != 1 || loop->size[0] >= SR_GRAIN) return false;
  bool one = loop->size[0] == 1; /* whatever the strides */
  if (!one && loop->stride[0][0] != 1) return false;
  char *data[SR_LOOP_OPERANDS] = {loop->data[0]};
  int64_t step[SR_LOOP_OPERANDS] = {job->bytes[0]};
  bool repeats = false;
  for (int k = 1; k < job->operands; k++) {
    int64_t stride = loop->data[k] && !one ? loop->stride[k][0] : 0;
    if (stride != 0 && stride != 1) return false;
    data[k] = loop->data[k] ? loop->data[k] : (char *)(uintptr_t)&job->number[k];
    step[k] = stride ? job->bytes[k] : 0;
    repeats |= stride == 0;
  }
  run_row(job, loop->size[0], repeats, data, step);
  return true;
}

/* ---- walking the loop ------------------------------------------------------------------ */

typedef struct {
  const sr__loop_job *job;
  int ndim;
  int64_t size[SR_MAX_DIMS];
  int64_t step[SR_LOOP_OPERANDS][SR_MAX_DIMS];
  char *data[SR_LOOP_OPERANDS];
  bool constant[SR_LOOP_OPERANDS]; /* one element for the whole loop */
  bool row[SR_LOOP_OPERANDS];      /* the same row again and again */
  bool dense[SR_LOOP_OPERANDS];    /* its elements lie in the order of the loop */
  int64_t chunk;                   /* elements that go through blocks at a time */
} run;

/* Where dimension-by-dimension counting stands: `at` points to the present elements. */
typedef struct {
  int64_t index[SR_MAX_DIMS];
  char *at[SR_LOOP_OPERANDS];
} place;

/* The place of element (or row, with dims = ndim - 1) number `i` in row-major order. */
static place find_place(const run *r, int dims, int64_t i) {
  place p;
  memcpy(p.at, r->data, sizeof p.at);
  for (int d = dims - 1; d >= 0; d--) {
    p.index[d] = i % r->size[d];
    i /= r->size[d];
    for (int k = 0; k < SR_LOOP_OPERANDS; k++) p.at[k] += p.index[d] * r->step[k][d];
  }
  return p;
}

/* To the next index of dimension `d`, carrying into those before it. */
static void advance(const run *r, place *p, int d) {
  for (; d >= 0; d--) {
    for (int k = 0; k < SR_LOOP_OPERANDS; k++) p->at[k] += r->step[k][d];
    if (++p->index[d] < r->size[d]) return;
    for (int k = 0; k < SR_LOOP_OPERANDS; k++) p->at[k] -= r->step[k][d] * r->size[d];
    p->index[d] = 0;
  }
}

/* Does an input repeat one element along rows? */
static bool repeats_element(const run *r) {
  bool repeats = false;
  for (int k = 1; k < r->job->operands; k++) repeats |= r->step[k][r->ndim - 1] == 0;
  return repeats;
}

static void run_rows(void *context, int64_t first, int64_t last) {
  const run *r = context;
  int inner = r->ndim - 1;
  int64_t step[SR_LOOP_OPERANDS];
  for (int k = 0; k < SR_LOOP_OPERANDS; k++) step[k] = r->step[k][inner];
  bool repeats = repeats_element(r);
  place p = find_place(r, inner, first);
  for (int64_t row = first; row < last; row++) {
    run_row(r->job, r->size[inner], repeats, p.at, step);
    advance(r, &p, inner - 1);
  }
}

/* ---- through blocks ----------------------------------------------------------------------- */

/* n elements of an operand into a block */
static void pack(int64_t n, int bytes, char *packed, const char *element, int64_t step) {
  if (step == 0)
    sr__splat(n, bytes, packed, element);
  else if (step == bytes && n < SR_LANES)
    copy_few(packed, element, (size_t)(n * bytes));
  else
    sr__gather_strided(n, bytes, packed, element, step / bytes);
}

/* Elements `at` .. + n of the loop into blocks of the operands in `packs` (a mask), or
 * out of the result's block where unpack is set. */
static void move_block(const run *r, place p, int64_t n, unsigned packs, bool unpack,
                       block *blocks) {
  int inner = r->ndim - 1;
  for (int64_t done = 0; done < n;) {
    int64_t piece = r->size[inner] - p.index[inner];
    if (piece > n - done) piece = n - done;
    for (int k = 1; k < r->job->operands; k++) {
      if (!(packs >> k & 1)) continue;
      int bytes = r->job->bytes[k];
      pack(piece, bytes, blocks[k].bytes + done * bytes, p.at[k], r->step[k][inner]);
    }
    if (unpack) {
      int bytes = r->job->bytes[0];
      sr__scatter_strided(piece, bytes, p.at[0], r->step[0][inner] / bytes,
                          blocks[0].bytes + done * bytes);
    }
    for (int k = 0; k < SR_LOOP_OPERANDS; k++) p.at[k] += (piece - 1) * r->step[k][inner];
    p.index[inner] += piece - 1;
    advance(r, &p, inner);
    done += piece;
  }
}

/* Fills the lanes behind n elements with copies of the last one. */
static void pad_block(const run *r, int64_t n, int64_t padded, block *blocks) {
  for (int k = 1; k < r->job->operands; k++) {
    int bytes = r->job->bytes[k];
    char *end = blocks[k].bytes + n * bytes;
    sr__splat(padded - n, bytes, end, end - bytes);
  }
}

static void fill_constants(const run *r, block *blocks) {
  for (int k = 1; k < r->job->operands; k++)
    if (r->constant[k]) sr__splat(BLOCK, r->job->bytes[k], blocks[k].bytes, r->data[k]);
}

/* The operands of one chunk that have to be packed, as a mask, and where the kernel finds all
 * of them. Dense ones are used where they are if they fill vectors. */
static unsigned choose_packed(const run *r, const place *p, bool full_vectors, block *blocks,
                              char *at[]) {
  unsigned packs = 0;
  for (int k = 0; k < SR_LOOP_OPERANDS; k++) {
    bool direct = r->dense[k] && full_vectors;
    at[k] = direct ? p->at[k] : blocks[k].bytes;
    if (!direct && !r->constant[k] && !r->row[k] && k < r->job->operands) packs |= 1u << k;
  }
  return packs;
}

/* Elements first .. last - 1 of any loop, by chunks. first is a multiple of the chunk, and
 * where rows are short that is one of the row, so repeated rows are packed once. */
static void run_blocks(void *context, int64_t first, int64_t last) {
  const run *r = context;
  block blocks[SR_LOOP_OPERANDS];
  unsigned rows = 0;
  fill_constants(r, blocks);
  for (int k = 1; k < r->job->operands; k++) rows |= (unsigned)r->row[k] << k;
  int64_t most = last - first < r->chunk ? last - first : r->chunk;
  if (rows) move_block(r, find_place(r, r->ndim, first), most, rows, false, blocks);
  for (int64_t i = first; i < last; i += r->chunk) {
    int64_t n = last - i < r->chunk ? last - i : r->chunk;
    int64_t padded = (n + SR_LANES - 1) & -(int64_t)SR_LANES;
    place p = find_place(r, r->ndim, i);
    char *at[SR_LOOP_OPERANDS];
    unsigned packs = choose_packed(r, &p, n == padded, blocks, at);
    if (packs >> 1) move_block(r, p, n, packs, false, blocks);
    if (n < padded) pad_block(r, n, padded, blocks);
    call(r->job, padded, at);
    if (packs & 1) move_block(r, p, n, 0, true, blocks);
  }
}

/* ---- by tiles ------------------------------------------------------------------------------ */

/* Tiles along dimension d, the last one perhaps smaller. */
static int64_t tiles(const run *r, int d) { return (r->size[d] + TILE - 1) / TILE; }

static int64_t tile_size(const run *r, int d, int64_t tile) {
  int64_t rest = r->size[d] - tile * TILE;
  return rest < TILE ? rest : TILE;
}

static void run_tile(const run *r, char *const first[], int64_t rows, int64_t columns,
                     block *blocks) {
  int inner = r->ndim - 1;
  int64_t n = rows * columns, padded = (n + SR_LANES - 1) & -(int64_t)SR_LANES;
  char *at[SR_LOOP_OPERANDS];
  for (int k = 0; k < SR_LOOP_OPERANDS; k++) {
    at[k] = blocks[k].bytes;
    if (k == 0 || k >= r->job->operands || r->constant[k]) continue;
    for (int64_t i = 0; i < rows; i++)
      pack(columns, r->job->bytes[k], at[k] + i * columns * r->job->bytes[k],
           first[k] + i * r->step[k][inner - 1], r->step[k][inner]);
  }
  if (n < padded) pad_block(r, n, padded, blocks);
  call(r->job, padded, at);
  int bytes = r->job->bytes[0];
  for (int64_t i = 0; i < rows; i++)
    sr__scatter_strided(columns, bytes, first[0] + i * r->step[0][inner - 1],
                        r->step[0][inner] / bytes, at[0] + i * columns * bytes);
}

/* Squares of the last two dimensions: each fills the cache lines of operands that are
 * dense along the one and of those that are dense along the other. */
static void run_tiles(void *context, int64_t first, int64_t last) {
  const run *r = context;
  block blocks[SR_LOOP_OPERANDS];
  fill_constants(r, blocks);
  int inner = r->ndim - 1;
  int64_t across = tiles(r, inner), down = tiles(r, inner - 1);
  for (int64_t t = first; t < last; t++) {
    int64_t column = t % across, row = t / across % down;
    place p = find_place(r, inner - 1, t / across / down);
    for (int k = 0; k < SR_LOOP_OPERANDS; k++)
      p.at[k] += TILE * (row * r->step[k][inner - 1] + column * r->step[k][inner]);
    run_tile(r, p.at, tile_size(r, inner - 1, row), tile_size(r, inner, column), blocks);
  }
}

/* ---- choosing -------------------------------------------------------------------------- */

static void run_elements(void *context, int64_t first, int64_t last) {
  const run *r = context;
  char *data[SR_LOOP_OPERANDS];
  int64_t step[SR_LOOP_OPERANDS];
  for (int k = 0; k < SR_LOOP_OPERANDS; k++) {
    step[k] = r->step[k][0];
    data[k] = r->data[k] + first * step[k];
  }
  run_row(r->job, last - first, repeats_element(r), data, step);
}

/* Can the kernel work on rows where they are? */
static bool rows_are_dense(const run *r) {
  int inner = r->ndim - 1;
  if (r->step[0][inner] != r->job->bytes[0]) return false;
  for (int k = 1; k < r->job->operands; k++)
    if (r->step[k][inner] != 0 && r->step[k][inner] != r->job->bytes[k]) return false;
  return true;
}

static void set_up_operand(run *r, const sr_loop *loop, const sr__loop_job *job, int k) {
  bool present = k < job->operands, given = present && loop->data[k];
  int inner = loop->ndim - 1;
  int64_t dense_step = job->bytes[k];
  r->data[k] = given ? loop->data[k] : present ? (char *)(uintptr_t)&job->number[k] : NULL;
  r->row[k] = present && k > 0;
  r->dense[k] = given;
  for (int d = inner; d >= 0; d--) {
    r->step[k][d] = given ? loop->stride[k][d] * job->bytes[k] : 0;
    r->row[k] &= d == inner || r->step[k][d] == 0 || r->size[d] == 1;
    r->dense[k] &= r->step[k][d] == dense_step || r->size[d] == 1;
    dense_step *= r->size[d];
  }
  r->constant[k] = r->row[k] && (r->step[k][inner] == 0 || r->size[inner] == 1);
  r->row[k] &= !r->constant[k] && r->size[inner] < SHORT_ROW;
}

/* Operands that the job does not have are NULL, with steps 0. */
static void set_up(run *r, const sr_loop *loop, const sr__loop_job *job) {
  r->job = job;
  r->ndim = loop->ndim;
  for (int d = 0; d < loop->ndim; d++) r->size[d] = loop->size[d];
  for (int k = 0; k < SR_LOOP_OPERANDS; k++) set_up_operand(r, loop, job, k);
  int64_t row = r->size[r->ndim - 1];
  r->chunk = BLOCK;
  if (row < SHORT_ROW) { /* whole rows that fill vectors */
    int64_t odd = row >> __builtin_ctzll((uint64_t)row | SR_LANES);
    r->chunk = BLOCK / (odd * SR_LANES) * (odd * SR_LANES);
  }
}

static void swap_dimensions(run *r, int a, int b) {
  int64_t size = r->size[a];
  r->size[a] = r->size[b];
  r->size[b] = size;
  for (int k = 0; k < SR_LOOP_OPERANDS; k++) {
    int64_t step = r->step[k][a];
    r->step[k][a] = r->step[k][b];
    r->step[k][b] = step;
  }
}

/* A transposed operand would be read one element a cache line. Is there one? Then the
 * dimension that it is dense along is brought before the last. */
static bool has_transposed(run *r) {
  int inner = r->ndim - 1, along = -1;
  if (r->ndim < 2 || r->size[inner] < TILE) return false;
  for (int k = 0; k < r->job->operands; k++)
    for (int d = 0; d < inner; d++)
      if (r->step[k][inner] >= LINE && r->step[k][d] == r->job->bytes[k] && r->size[d] >= TILE)
        along = d;
  if (along < 0) return false;
  swap_dimensions(r, along, inner - 1);
  return true;
}

void sr__run_loop(const sr_loop *loop, const sr__loop_job *job) {
  if (run_small(loop, job)) return;
  run r;
  set_up(&r, loop, job);
  bool dense_rows = rows_are_dense(&r);
  int64_t row = r.size[r.ndim - 1], rows = 1;
  for (int d = 0; d < r.ndim - 1; d++) rows *= r.size[d];
  if (dense_rows && r.ndim == 1) {
    sr__parallel(row, SR_GRAIN, 64, run_elements, &r);
  } else if (dense_rows && row >= SHORT_ROW) {
    sr__parallel(rows, 1 + SR_GRAIN / row, 1, run_rows, &r);
  } else if (has_transposed(&r)) {
    sr__parallel(tiles(&r, r.ndim - 2) * tiles(&r, r.ndim - 1) * (rows / r.size[r.ndim - 2]),
                 SR_GRAIN / (TILE * TILE), 1, run_tiles, &r);
  } else {
    sr__parallel(rows * row, SR_GRAIN, r.chunk, run_blocks, &r);
  }
}
