/* panel.c: the part of packed products that is the same for all instruction sets:
 * sizes and threads. affine.c, gemm.c and recurrent.c call it (see panel.h). */
#include "backend/cpu/panel.h"

#include "backend/cpu/threads.h"

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

/* A product cut into parts: into columns, whole panels, the same ones at each call, so that
 * a core finds its weights in its cache; into rows where there are many, or too few panels. */
typedef struct {
  const sr_product *product;
  const sr_panel_kernels_of *kernels;
  size_t size;
  bool by_rows;
  int64_t units, unit; /* to share out; rows or columns of one */
  int parts;
} shared_product;

static void multiply_part(void *context, int k) {
  const shared_product *s = context;
  const sr_product *p = s->product;
  int64_t all = s->by_rows ? p->m : p->n;
  int64_t first = s->units * k / s->parts * s->unit, end = s->units * (k + 1) / s->parts * s->unit;
  if (end > all) end = all;
  if (end <= first) return;
  sr_product part = s->by_rows ? rows_of(p, s->size, first, end - first)
                               : columns_of(p, s->size, first, end - first);
  s->kernels->multiply(&part);
}

void sr__panel_multiply(sr_dtype dtype, const sr_product *p) {
  const sr_panel_kernels_of *kernels = sr__panel_kernels_for(dtype);
  int threads = sr__threads_for((double)p->m * (double)p->n * (double)p->k);
  if (threads < 2) {
    kernels->multiply(p);
    return;
  }
  int64_t panels = (p->n + kernels->columns - 1) / kernels->columns;
  bool few_panels = panels % threads != 0 && panels < 8 * threads;
  bool by_rows = p->m >= 96 * threads || (few_panels && p->m >= 4 * threads);
  shared_product shared = {.product = p,
                           .kernels = kernels,
                           .size = sr_dtype_bytes(dtype),
                           .by_rows = by_rows,
                           .units = by_rows ? p->m : panels,
                           .unit = by_rows ? 1 : kernels->columns,
                           .parts = threads};
  sr__side_by_side(threads, multiply_part, &shared);
}
