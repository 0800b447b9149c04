/* panel.c: the part of packed products that is the same for all instruction sets:
 * sizes and threads. affine.c, gemm.c and recurrent.c call it (see panel.h). */
#include "backend/cpu/panel.h"

/* Fewer multiply-adds than this (35 us at full speed) are not worth a thread. */
static const int64_t thread_work = 2000000;

size_t sr__panel_bytes(sr_dtype dtype, int64_t k, int64_t n) {
  int64_t lanes = sr__panel_kernels_for(dtype)->lanes;
  return (size_t)((n + lanes - 1) / lanes * lanes * k) * sr_dtype_bytes(dtype);
}

/* Columns or rows first .. first + count - 1 of a product. */
static sr_product columns_of(const sr_product *p, size_t size, int64_t first, int64_t count) {
  sr_product part = *p;
  part.n = count;
  part.b = (const char *)p->b + (size_t)(first * (p->packed ? p->k : p->b_column)) * size;
  part.c = (char *)p->c + (size_t)first * size;
  if (p->start) part.start = (const char *)p->start + (size_t)first * size;
  return part;
}

static sr_product rows_of(const sr_product *p, size_t size, int64_t first, int64_t count) {
  sr_product part = *p;
  part.m = count;
  part.x = (const char *)p->x + (size_t)(first * p->x_row) * size;
  part.c = (char *)p->c + (size_t)(first * p->c_row) * size;
  if (p->start) part.start = (const char *)p->start + (size_t)(first * p->start_row) * size;
  return part;
}

static int threads_for(const sr_product *p) {
  double work = (double)p->m * (double)p->n * (double)p->k / (double)thread_work;
  if (work < 2) return 1;
  int threads = sr_num_threads();
  return work < threads ? (int)work : threads;
}

void sr__panel_multiply(sr_dtype dtype, const sr_product *p) {
  const sr_panel_kernels_of *kernels = sr__panel_kernels_for(dtype);
  int threads = threads_for(p);
  if (threads < 2) {
    kernels->multiply(p);
    return;
  }
  size_t size = sr_dtype_bytes(dtype);
  /* Whole panels, the same ones at each call, so that a core finds its weights
   * in its cache; rows where there are many, or too few panels to share out. */
  int64_t panels = (p->n + kernels->columns - 1) / kernels->columns;
  bool few_panels = panels % threads != 0 && panels < 8 * threads;
  bool by_rows = p->m >= 96 * threads || (few_panels && p->m >= 4 * threads);
  int64_t unit = by_rows ? 1 : kernels->columns;
  int64_t units = by_rows ? p->m : panels, all = by_rows ? p->m : p->n;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int i = 0; i < threads; i++) {
    int64_t first = units * i / threads * unit, end = units * (i + 1) / threads * unit;
    if (end > all) end = all;
    if (end <= first) continue;
    sr_product part =
        by_rows ? rows_of(p, size, first, end - first) : columns_of(p, size, first, end - first);
    kernels->multiply(&part);
  }
}
