/* products.c: speed of the product kernels and of a recurrent layer, beside BLIS.
 *
 * For each shape: the own kernels on the operands as they are (`plain`; sums along
 * contiguous k where B is transposed), with packing in the call (`pack`), with B packed
 * before (`packed`), bli_sgemm, and what sr__cpu_gemm chooses. The columns are timed
 * in turns, the best of several rounds each, since a shared machine is not
 * steady. One thread, or the number given as argument. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <blis.h>

#include "backend/cpu/panel.h"
#include "backend/cpu/products.h"
#include "backend/recurrent_modes.h"
#include "base/memory.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
  int64_t m, n, k;
  bool a_turned, b_turned; /* given as their transposes */
  int beta;
  const char *what;
} shape;

static const shape shapes[] = {
    {128, 128, 7, true, false, 1, "dW hidden, names"},
    {128, 58, 7, true, false, 1, "dW input, names"},
    {18, 128, 1, true, false, 1, "dW decoder, names"},
    {1, 128, 18, false, false, 0, "dx decoder, names"},
    {1, 18, 128, false, true, 0, "decoder, names"},
    {1, 128, 128, false, true, 1, "step, names"},
    {7, 128, 58, false, true, 0, "input, names"},
    {7, 128, 128, false, false, 0, ""},
    {16, 128, 32, false, false, 0, ""},
    {32, 32, 32, false, false, 0, ""},
    {64, 64, 64, false, false, 0, ""},
    {64, 64, 64, false, true, 0, ""},
    {96, 96, 96, false, true, 0, ""},
    {128, 128, 128, false, false, 0, ""},
    {128, 128, 128, false, true, 0, ""},
    {128, 128, 128, true, false, 0, ""},
    {1, 128, 128, false, false, 0, "step backward, names"},
    {1, 512, 128, false, true, 0, "LSTM step b1"},
    {8, 512, 128, false, true, 0, "LSTM step b8"},
    {32, 1024, 256, false, true, 0, "LSTM step b32"},
    {32, 2048, 512, false, true, 0, "LSTM step b32"},
    {64, 512, 128, false, true, 0, "LSTM step b64"},
    {64, 4096, 1024, false, true, 0, "LSTM step b64"},
    {64, 1024, 4096, false, false, 0, "LSTM step b64, backward"},
    {2240, 512, 128, false, true, 0, "LSTM input"},
    {512, 128, 2240, true, false, 0, "LSTM dW"},
    {256, 256, 256, false, false, 0, ""},
    {512, 512, 512, false, false, 0, ""},
    {512, 512, 512, false, true, 0, ""},
    {1024, 1024, 1024, false, false, 0, ""},
};

typedef struct {
  shape s;
  float *a, *b, *c, *panels;
  int threads;
} work;

enum { PLAIN, PACK, PACKED, BLIS, CHOSEN, WAYS };
static const char *const way_names[] = {"plain", "pack", "packed", "blis", "gemm"};

static void run(const work *w, int way) {
  const shape *s = &w->s;
  int64_t a_row = s->a_turned ? 1 : s->k, a_column = s->a_turned ? s->m : 1;
  int64_t b_row = s->b_turned ? 1 : s->n, b_column = s->b_turned ? s->k : 1;
  float one = 1, beta = (float)s->beta;
  sr_product p = {.m = s->m,
                  .n = s->n,
                  .k = s->k,
                  .x = w->a,
                  .x_row = a_row,
                  .x_column = a_column,
                  .b = w->b,
                  .b_row = b_row,
                  .b_column = b_column,
                  .c = w->c,
                  .c_row = s->n,
                  .start = s->beta ? w->c : NULL,
                  .start_row = s->n};
  const sr_panel_kernels_of *kernels = sr__panel_kernels_for(SR_float32);
  if (way == PACK) kernels->pack(s->k, s->n, w->b, b_row, b_column, w->panels);
  if (way == PACK || way == PACKED) {
    p.packed = true;
    p.b = w->panels;
  }
  if (way == PLAIN && s->b_turned) {
    kernels->dots(&p);
  } else if (way == BLIS) {
    rntm_t rntm = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_num_threads(w->threads, &rntm);
    bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, s->m, s->n, s->k, &one, w->a, a_row,
                 a_column, w->b, b_row, b_column, &beta, w->c, s->n, 1, NULL, &rntm);
  } else if (way == CHOSEN) {
    sr_gemm g = {.dtype = SR_float32,
                 .m = s->m,
                 .n = s->n,
                 .k = s->k,
                 .a_row = a_row,
                 .a_column = a_column,
                 .b_row = b_row,
                 .b_column = b_column,
                 .c_row = s->n,
                 .c_column = 1,
                 .alpha = 1,
                 .beta = beta,
                 .a = w->a,
                 .b = w->b,
                 .c = w->c,
                 .batch = 1};
    sr__cpu_gemm(&g);
  } else {
    sr__panel_multiply(SR_float32, &p);
  }
}

static void bench_shape(work *w) {
  double flops = 2.0 * (double)w->s.m * (double)w->s.n * (double)w->s.k, best[WAYS];
  int calls = 1 + (int)(1e7 / (flops + 1e4));
  for (int way = 0; way < WAYS; way++) best[way] = 1e9;
  for (int round = 0; round < 9; round++)
    for (int way = 0; way < WAYS; way++) {
      run(w, way);
      double from = now();
      for (int i = 0; i < calls; i++) run(w, way);
      double each = (now() - from) / calls;
      if (each < best[way]) best[way] = each;
    }
  printf("%5lld %5lld %5lld %c%c%c", (long long)w->s.m, (long long)w->s.n, (long long)w->s.k,
         w->s.a_turned ? 't' : ' ', w->s.b_turned ? 't' : ' ', w->s.beta ? '+' : ' ');
  for (int way = 0; way < WAYS; way++)
    printf(" %10.2f us %5.1f", best[way] * 1e6, flops / best[way] * 1e-9);
  printf("  %s\n", w->s.what);
}

static float *numbers(int64_t count) {
  void *x;
  if (sr__new((size_t)count * sizeof(float), &x)) exit(1);
  for (int64_t i = 0; i < count; i++) ((float *)x)[i] = (float)(i * 7919 % 101) / 1000 - 0.05f;
  return x;
}

/* ---- a recurrent layer ---------------------------------------------------------------- */

static void pack_weights(const sr_recurrent_plan *p) {
  int64_t width = sr__recurrent_modes[p->mode].gates * p->hidden;
  sr_panels panels;
  p->memo_hh->version++;
  if (sr__panel_get(p->memo_hh, p->dtype, p->hidden, width, p->weight_hh, 1, p->hidden, &panels))
    exit(1);
}

static void bench_recurrent(int64_t batch, int64_t hidden, int64_t steps, int64_t mode) {
  int64_t rows = batch * steps, width = hidden * 4;
  int64_t *sizes = malloc((size_t)steps * sizeof *sizes), *offset = malloc((size_t)steps * 8);
  for (int64_t t = 0; t < steps; t++) sizes[t] = batch, offset[t] = t * batch;
  sr_memo memo = {0};
  sr_recurrent_plan p = {.mode = (sr_recurrent_mode)mode,
                         .dtype = SR_float32,
                         .steps = steps,
                         .rows = rows,
                         .batch = batch,
                         .hidden = hidden,
                         .state = hidden,
                         .output_row = hidden,
                         .cells_row = hidden,
                         .batch_sizes = sizes,
                         .offset = offset,
                         .weight_hh = numbers(width * hidden),
                         .memo_hh = &memo,
                         .bias_hh = numbers(width),
                         .gates = numbers(rows * width),
                         .output = numbers(rows * hidden),
                         .hn = numbers(batch * hidden),
                         .cells = numbers(rows * hidden),
                         .cn = numbers(batch * hidden),
                         .grad_output = numbers(rows * hidden),
                         .grad_hn = numbers(batch * hidden),
                         .grad_cn = numbers(batch * hidden),
                         .grad_gates = numbers(rows * width),
                         .grad_hidden_gates = numbers(rows * width)};
  double forward = 1e9, backward = 1e9, packing = 1e9;
  int calls = 1 + (int)(2e7 / (double)(rows * hidden * hidden));
  for (int round = 0; round < 15; round++) {
    double t0 = now();
    for (int i = 0; i < calls; i++) sr__cpu_recurrent(1, &p);
    double t1 = now();
    for (int i = 0; i < calls; i++) sr__cpu_recurrent_grad(1, &p);
    double t2 = now();
    for (int i = 0; i < calls; i++) pack_weights(&p);
    double t3 = now();
    if (t1 - t0 < forward) forward = t1 - t0;
    if (t2 - t1 < backward) backward = t2 - t1;
    if (t3 - t2 < packing) packing = t3 - t2;
  }
  double step = 1e6 / (double)(calls * steps);
  printf(
      "batch %3lld hidden %4lld steps %3lld: forward %8.3f us/step, backward %8.3f us/step, "
      "packing %8.3f us\n",
      (long long)batch, (long long)hidden, (long long)steps, forward * step, backward * step,
      packing * 1e6 / calls);
  sr__cpu_drop_memo(&memo);
  free(sizes);
  free(offset); /* the arrays end with the process */
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  if (sr_start() || sr_set_num_threads(threads)) return 1;
  printf("kernels %s, %d threads\n    m     n     k    ", sr_cpu_kernels(), threads);
  for (int way = 0; way < WAYS; way++) printf(" %10s      GF/s", way_names[way]);
  printf("\n");
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    shape s = shapes[i];
    size_t bytes = sr__panel_bytes(SR_float32, s.k, s.n);
    work w = {s,
              numbers(s.m * s.k),
              numbers(s.k * s.n),
              numbers(s.m * s.n),
              numbers((int64_t)(bytes / sizeof(float))),
              threads};
    bench_shape(&w);
    sr__free(w.a, (size_t)(s.m * s.k) * sizeof(float));
    sr__free(w.b, (size_t)(s.k * s.n) * sizeof(float));
    sr__free(w.c, (size_t)(s.m * s.n) * sizeof(float));
    sr__free(w.panels, bytes);
  }
  for (int mode = 0; mode < SR_RECURRENT_MODES; mode++) {
    printf("%s\n", sr__recurrent_modes[mode].name);
    bench_recurrent(1, 128, 7, mode);
    bench_recurrent(1, 128, 35, mode);
    bench_recurrent(8, 128, 35, mode);
    bench_recurrent(32, 256, 35, mode);
    bench_recurrent(32, 512, 35, mode);
    bench_recurrent(64, 1024, 10, mode);
  }
  return 0;
}
