/* loop.c: strided loops over block kernels.
 *
 * Rows whose operands lie side by side (or repeat one element) are given to the kernel
 * where they are; other operands go through blocks of BLOCK elements. What is left of a
 * row after full vectors is computed in such a block as well, so the bits of a result
 * depend on its operands alone: not on where it stands, nor on the number of threads. */
#include "backend/cpu/loop.h"

#include <string.h>

#include "backend/cpu/threads.h"

enum { BLOCK = 256, SHORT_ROW = 32, ELEMENT_BYTES = 8 };

typedef struct {
  _Alignas(64) char bytes[BLOCK * ELEMENT_BYTES];
} block;

/* ---- moving elements ------------------------------------------------------------- */

#define SR_MOVES(type)                                                                          \
  static void gather_##type(int64_t n, type *to, const type *from, int64_t stride) {            \
    for (int64_t i = 0; i < n; i++) to[i] = from[i * stride];                                   \
  }                                                                                             \
  static void scatter_##type(int64_t n, type *to, int64_t stride, const type *from) {           \
    for (int64_t i = 0; i < n; i++) to[i * stride] = from[i];                                   \
  }                                                                                             \
  static void splat_##type(int64_t n, type *to, const void *element) {                          \
    type value;                                                                                 \
    memcpy(&value, element, sizeof value);                                                      \
    for (int64_t i = 0; i < n; i++) to[i] = value;                                              \
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
static inline void copy_few(char *to, const char *from, size_t n) {
  for (size_t piece = 64; piece; piece /= 2) {
    if (!(n & piece)) continue;
    switch (piece) {
      case 64: memcpy(to, from, 64); break;
      case 32: memcpy(to, from, 32); break;
      case 16: memcpy(to, from, 16); break;
      case 8: memcpy(to, from, 8); break;
      case 4: memcpy(to, from, 4); break;
      case 2: memcpy(to, from, 2); break;
      default: *to = *from;
    }
    to += piece, from += piece;
  }
}

static inline void splat_lanes(int bytes, char *to, const char *element) {
  if (bytes == 4)
    splat_uint32_t(SR_LANES, (uint32_t *)(void *)to, element);
  else
    sr__splat(SR_LANES, bytes, to, element);
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

typedef struct {
  const sr__loop_job *job;
  int ndim, operands;
  int64_t size[SR_MAX_DIMS];
  int64_t step[SR_LOOP_OPERANDS][SR_MAX_DIMS]; /* strides in bytes */
  char *data[SR_LOOP_OPERANDS];
  bool constant[SR_LOOP_OPERANDS]; /* one element for the whole loop */
} run;

static inline void call(const sr__loop_job *job, int64_t n, char *const at[]) {
  job->kernel(n, at[0], at[1], at[2], at[3], job->parameters);
}

/* The last n < SR_LANES elements of a row, in blocks. step 0: one element for all. */
static void run_rest(const run *r, int64_t n, char *const data[], const int64_t step[]) {
  _Alignas(64) char lanes[SR_LOOP_OPERANDS][SR_LANES * ELEMENT_BYTES];
  char *at[SR_LOOP_OPERANDS] = {lanes[0], lanes[1], lanes[2], lanes[3]};
  for (int k = 1; k < r->operands; k++) {
    int bytes = r->job->bytes[k];
    splat_lanes(bytes, lanes[k], data[k]);
    if (step[k]) copy_few(lanes[k], data[k], (size_t)(n * bytes));
  }
  call(r->job, SR_LANES, at);
  copy_few(data[0], lanes[0], (size_t)(n * r->job->bytes[0]));
}

/* Rows with repeated elements: these are spread over a block once. */
static void run_spread(const run *r, int64_t n, char *const data[], const int64_t step[]) {
  block spread[SR_LOOP_OPERANDS];
  char *at[SR_LOOP_OPERANDS];
  memcpy(at, data, sizeof at);
  for (int k = 1; k < r->operands; k++) {
    if (step[k]) continue;
    sr__splat(n < BLOCK ? n : BLOCK, r->job->bytes[k], spread[k].bytes, data[k]);
    at[k] = spread[k].bytes;
  }
  for (int64_t i = 0; i < n; i += BLOCK) {
    call(r->job, n - i < BLOCK ? n - i : BLOCK, at);
    for (int k = 0; k < r->operands; k++)
      if (step[k]) at[k] += BLOCK * r->job->bytes[k];
  }
}

/* A row of n elements; every step is one element or (inputs only) 0. */
static void run_row(const run *r, int64_t n, char *const data[], const int64_t step[]) {
  int64_t bulk = n & -(int64_t)SR_LANES;
  if (bulk) {
    bool repeats = false;
    for (int k = 1; k < r->operands; k++) repeats |= step[k] == 0;
    if (repeats)
      run_spread(r, bulk, data, step);
    else
      call(r->job, bulk, data);
  }
  if (bulk == n) return;
  char *rest[SR_LOOP_OPERANDS];
  for (int k = 0; k < SR_LOOP_OPERANDS; k++) rest[k] = data[k] + bulk * step[k];
  run_rest(r, n - bulk, rest, step);
}

/* ---- walking the loop ------------------------------------------------------------------ */

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
    for (int k = 0; k < r->operands; k++) p.at[k] += p.index[d] * r->step[k][d];
  }
  return p;
}

/* To the next index of dimension `d`, carrying into those before it. */
static void advance(const run *r, place *p, int d) {
  for (; d >= 0; d--) {
    for (int k = 0; k < r->operands; k++) p->at[k] += r->step[k][d];
    if (++p->index[d] < r->size[d]) return;
    for (int k = 0; k < r->operands; k++) p->at[k] -= r->step[k][d] * r->size[d];
    p->index[d] = 0;
  }
}

static void run_rows(void *context, int64_t first, int64_t last) {
  const run *r = context;
  int inner = r->ndim - 1;
  int64_t step[SR_LOOP_OPERANDS];
  for (int k = 0; k < SR_LOOP_OPERANDS; k++) step[k] = r->step[k][inner];
  place p = find_place(r, inner, first);
  for (int64_t row = first; row < last; row++) {
    run_row(r, r->size[inner], p.at, step);
    advance(r, &p, inner - 1);
  }
}

/* Moves n elements between the loop and a block, from place p on, for one operand. */
typedef void move_row(int64_t n, int bytes, char *element, int64_t step, char *packed);
static void pack_row(int64_t n, int bytes, char *element, int64_t step, char *packed) {
  if (step == 0)
    sr__splat(n, bytes, packed, element);
  else
    sr__gather_strided(n, bytes, packed, element, step / bytes);
}
static void unpack_row(int64_t n, int bytes, char *element, int64_t step, char *packed) {
  sr__scatter_strided(n, bytes, element, step / bytes, packed);
}

static void move_block(const run *r, place p, int64_t n, int from, int to, block *blocks,
                       move_row *move) {
  int inner = r->ndim - 1;
  for (int64_t done = 0; done < n;) {
    int64_t piece = r->size[inner] - p.index[inner];
    if (piece > n - done) piece = n - done;
    for (int k = from; k < to; k++) {
      int bytes = r->job->bytes[k];
      if (!r->constant[k])
        move(piece, bytes, p.at[k], r->step[k][inner], blocks[k].bytes + done * bytes);
      p.at[k] += (piece - 1) * r->step[k][inner];
    }
    p.index[inner] += piece - 1;
    advance(r, &p, inner);
    done += piece;
  }
}

/* Elements first .. last - 1 of any loop, by blocks. */
static void run_blocks(void *context, int64_t first, int64_t last) {
  const run *r = context;
  block blocks[SR_LOOP_OPERANDS];
  char *at[SR_LOOP_OPERANDS];
  for (int k = 0; k < SR_LOOP_OPERANDS; k++) {
    at[k] = blocks[k].bytes;
    if (r->constant[k]) sr__splat(BLOCK, r->job->bytes[k], at[k], r->data[k]);
  }
  for (int64_t i = first; i < last; i += BLOCK) {
    int64_t n = last - i < BLOCK ? last - i : BLOCK;
    int64_t padded = (n + SR_LANES - 1) & -(int64_t)SR_LANES;
    place p = find_place(r, r->ndim, i);
    move_block(r, p, n, 1, r->operands, blocks, pack_row);
    for (int k = 1; k < r->operands; k++) {
      int bytes = r->job->bytes[k];
      char *end = at[k] + n * bytes;
      sr__splat(padded - n, bytes, end, end - bytes);
    }
    call(r->job, padded, at);
    move_block(r, p, n, 0, 1, blocks, unpack_row);
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
  run_row(r, last - first, data, step);
}

/* Can the kernel work on rows where they are? */
static bool rows_are_dense(const run *r) {
  int inner = r->ndim - 1;
  if (r->step[0][inner] != r->job->bytes[0]) return false;
  for (int k = 1; k < r->operands; k++)
    if (r->step[k][inner] != 0 && r->step[k][inner] != r->job->bytes[k]) return false;
  return true;
}

static void set_up(run *r, const sr_loop *loop, const sr__loop_job *job) {
  r->job = job;
  r->ndim = loop->ndim;
  r->operands = loop->operands;
  for (int d = 0; d < loop->ndim; d++) r->size[d] = loop->size[d];
  for (int k = 0; k < loop->operands; k++) {
    bool given = loop->data[k] != NULL;
    r->data[k] = given ? loop->data[k] : (char *)(uintptr_t)&job->number[k];
    r->constant[k] = k > 0;
    for (int d = 0; d < loop->ndim; d++) {
      r->step[k][d] = given ? loop->stride[k][d] * job->bytes[k] : 0;
      r->constant[k] &= r->step[k][d] == 0 || r->size[d] == 1;
    }
  }
  for (int k = loop->operands; k < SR_LOOP_OPERANDS; k++) { /* not read */
    r->data[k] = NULL;
    r->constant[k] = false;
    for (int d = 0; d < loop->ndim; d++) r->step[k][d] = 0;
  }
}

void sr__run_loop(const sr_loop *loop, const sr__loop_job *job) {
  run r;
  set_up(&r, loop, job);
  bool dense = rows_are_dense(&r);
  if (dense && r.ndim == 1) {
    sr__parallel(r.size[0], SR_GRAIN, 64, run_elements, &r);
    return;
  }
  int64_t row = r.size[r.ndim - 1], rows = 1;
  for (int d = 0; d < r.ndim - 1; d++) rows *= r.size[d];
  if (dense && row >= SHORT_ROW)
    sr__parallel(rows, 1 + SR_GRAIN / row, 1, run_rows, &r);
  else
    sr__parallel(rows * row, SR_GRAIN, BLOCK, run_blocks, &r);
}
