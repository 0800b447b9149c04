/* kernels_panel.c: packing and the innermost loops of products.
 *
 * Compiled once per instruction set; reached through the table at the end, by
 * affine.c, gemm.c and recurrent.c (see panel.h). panel_tiles.inc holds the code,
 * once for float and once for double. A tile of ROWS x VECTORS sums stays in
 * registers, next to one row of the panel and one broadcast element of X. */
#include "backend/cpu/panel.h"

#include "backend/cpu/vectors.h"

enum { VECTORS = 4, ROWS = SR_VECTOR_REGISTERS == 32 ? 6 : 3 };

/* What is worked on at a time: rows of X, bytes of such a row; and rows of a copy of X,
 * made where the values of a row lie as far apart as FAR_BYTES (measured). */
enum { ROW_BLOCK = 96, K_BLOCK_BYTES = 2048, TURNED_ROWS = 24, FAR_BYTES = 2048 };

/* X(rows, vectors): the tiles that are compiled. */
#define TILE_ROW(X, rows) X(rows, 1) X(rows, 2) X(rows, 3) X(rows, 4)
#if SR_VECTOR_REGISTERS == 32
#define TILE_LIST(X) \
  TILE_ROW(X, 1) TILE_ROW(X, 2) TILE_ROW(X, 3) TILE_ROW(X, 4) TILE_ROW(X, 5) TILE_ROW(X, 6)
#else
#define TILE_LIST(X) TILE_ROW(X, 1) TILE_ROW(X, 2) TILE_ROW(X, 3)
#endif

#define INLINE static inline __attribute__((always_inline))

#define REAL float
#include "backend/cpu/panel_tiles.inc"
#undef REAL
#define REAL double
#include "backend/cpu/panel_tiles.inc"
#undef REAL

const sr_panel_kernels SR_ISA_NAME(sr__panel_kernels) = {
    .float32 = {ROWS, VECTORS *SR_LANES_float, SR_LANES_float, pack_float, multiply_float,
                dots_float},
    .float64 = {ROWS, VECTORS *SR_LANES_double, SR_LANES_double, pack_double, multiply_double,
                dots_double},
};
