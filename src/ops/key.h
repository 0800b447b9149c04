/* key.h: which elements of x a key with tensors (sr_key) chooses, and where they lie. */
#ifndef SR_OPS_KEY_H
#define SR_OPS_KEY_H

#include "ops/ops.h"

/* The chosen elements as rows of memory: of each of rows.outer blocks of rows.n rows, those at
 * `positions`, of rows.inner elements each. In that order they are x[key], row by row. */
typedef struct {
  sr_rows rows;
  sr_tensor *positions; /* int64, dense, from SR_INDEX_BASE; the holder's to release */
  int dim;              /* the one that positions not looked at yet are in, for messages */
  int ndim;             /* of x[key] */
  int64_t sizes[SR_MAX_DIMS];
} sr_chosen;

/* In memory from x's first element on. `name` is for messages. */
sr_status sr__choose(const char *name, sr_tensor *x, const sr_key *key, sr_chosen *out);

/* out = the chosen elements, dense, of memory that begins at x; of any dtype. */
sr_status sr__take_chosen(const char *name, const sr_chosen *c, const void *x, sr_tensor *out);

#endif
