/* optimizers.c: the table of optimizers, made from optimizers.def. */
#include "backend/optimizers.h"

#include <string.h>

static const sr_optimizer_info table[SR_OPTIMIZERS] = {
#define SR_OPTIMIZER(name_, states_, s1, s2, s3, ...) \
  {.name = #name_, .states = states_, .state = {#s1, #s2, #s3}},
#include "backend/optimizers.def"
};

int sr_optimizer_count(void) { return SR_OPTIMIZERS; }

const sr_optimizer_info *sr_optimizer_get(sr_optimizer optimizer) {
  return optimizer >= 0 && optimizer < SR_OPTIMIZERS ? &table[optimizer] : NULL;
}

sr_optimizer sr_optimizer_find(const char *name) {
  for (int i = 0; i < SR_OPTIMIZERS; i++)
    if (strcmp(table[i].name, name) == 0) return i;
  return -1;
}
