/* pointwise.c: the table of pointwise functions, made from pointwise.def. */
#include "backend/pointwise.h"

#include <math.h>
#include <string.h>

#define SR_HAS_METHOD(kind) ((kind) != SR_TEST && (kind) != SR_LOGIC && (kind) != SR_INNER)

#define SR_UNARY(name_, kind_, forward_, gradient_, uses_, parameters_, p_, q_, low_, high_) \
  {.info = {.name = #name_,                                                                  \
            .arity = 1,                                                                      \
            .parameters = parameters_,                                                       \
            .defaults = (const double[2]){p_, q_},                                           \
            .differentiable = !((uses_)&SR_NO_GRADIENT),                                     \
            .in_place = SR_HAS_METHOD(kind_),                                                \
            .internal = (kind_) == SR_INNER,                                                 \
            .returns_bool = (kind_) == SR_TEST || (kind_) == SR_LOGIC,                       \
            .low = low_,                                                                     \
            .high = high_},                                                                  \
   .kind = kind_,                                                                            \
   .forward = SR_MAP_##name_,                                                                \
   .grad = {SR_MAP_##name_##_grad, SR_MAP_##name_##_grad},                                   \
   .uses = {uses_, uses_}},

#define SR_BINARY(name_, kind_, forward_, grad_a_, uses_a_, grad_b_, uses_b_, parameters_, p_, q_, \
                  low_, high_)                                                                     \
  {.info = {.name = #name_,                                                                        \
            .arity = 2,                                                                            \
            .parameters = parameters_,                                                             \
            .defaults = (const double[2]){p_, q_},                                                 \
            .differentiable = !((uses_a_) & (uses_b_)&SR_NO_GRADIENT),                             \
            .in_place = SR_HAS_METHOD(kind_),                                                      \
            .internal = (kind_) == SR_INNER,                                                       \
            .returns_bool = (kind_) == SR_TEST || (kind_) == SR_LOGIC,                             \
            .low = low_,                                                                           \
            .high = high_},                                                                        \
   .kind = kind_,                                                                                  \
   .forward = SR_MAP_##name_,                                                                      \
   .grad = {SR_MAP_##name_##_grad_a, SR_MAP_##name_##_grad_b},                                     \
   .uses = {uses_a_, uses_b_}},

const sr__pointwise_record sr__pointwise_table[SR_OPS] = {
#include "backend/pointwise.def"
};

int sr_pointwise_count(void) { return SR_OPS; }

const sr_pointwise_info *sr_pointwise_get(sr_pointwise_op op) {
  return op >= 0 && op < SR_OPS ? &sr__pointwise_table[op].info : NULL;
}

sr_pointwise_op sr_pointwise_find(const char *name) {
  for (int op = 0; op < SR_OPS; op++)
    if (strcmp(sr__pointwise_table[op].info.name, name) == 0) return op;
  return -1;
}
