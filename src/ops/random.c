/* random.c: filling tensors from a generator.
 *
 * Values are drawn in host memory, in the logical order of the elements, by the
 * rules of base/random.h, so a seed gives the same values on every device and for
 * every layout. What a tensor held before gets gradient zero. */
#include "base/random.h"

#include <math.h>

#include "base/memory.h"
#include "ops/ops.h"

/* ---- filling in place --------------------------------------------------------------------- */

static sr_status filled_backward(sr_node *node, sr_tensor *const *grad) {
  (void)node, (void)grad;
  return SR_OK;
}

/* What to draw; a and b mean what the distribution takes. */
typedef struct {
  sr_op op;
  void (*draw_float)(sr_generator *g, int64_t n, float *out, double a, double b);
  void (*draw_double)(sr_generator *g, int64_t n, double *out, double a, double b);
} distribution;

static void draw(const distribution *d, sr_generator *g, sr_tensor *host, double a, double b) {
  if (host->dtype == SR_float32)
    d->draw_float(g, host->numel, sr__data(host), a, b);
  else
    d->draw_double(g, host->numel, sr__data(host), a, b);
}

/* t, where the host can write it row by row, or a dense host tensor of its shape. */
static sr_status host_target(sr_tensor *t, sr_dtype dtype, sr_tensor **out) {
  if (t->contiguous && (sr_dtype)t->dtype == dtype && sr__backend_of(t)->host_memory) {
    *out = sr_tensor_retain(t);
    return SR_OK;
  }
  return sr__empty(&sr__cpu_backend, dtype, t->ndim, t->sizes, out);
}

/* The end of every fill: bring the drawn values home and record. Takes over `host`. */
static sr_status settle(const sr_op *op, sr_tensor *t, sr_tensor *host) {
  sr_status status = host == t ? SR_OK : sr__copy_into(t, host);
  sr_tensor_release(host);
  if (status) return status;
  return sr__record_in_place(op, t, 1, &t, 0, NULL, NULL, 0);
}

static sr_status check_target(const char *name, sr_tensor *t) {
  SR_TRY(sr__need_distinct(name, t));
  return sr__check_in_place(name, t, 1, &t);
}

static sr_status fill(const distribution *d, sr_tensor *t, double a, double b, sr_generator *g) {
  SR_TRY(sr__need_floating(d->op.name, t));
  SR_TRY(check_target(d->op.name, t));
  sr_tensor *host;
  SR_TRY(host_target(t, (sr_dtype)t->dtype, &host));
  draw(d, g, host, a, b);
  return settle(&d->op, t, host);
}

static const distribution uniform = {
    {"uniform_", filled_backward}, sr__random_uniform_float, sr__random_uniform_double};

sr_status sr_uniform_(sr_tensor *t, double low, double high, sr_generator *g) {
  if (!(low <= high && isfinite(high - low)))
    return sr__fail(SR_ARGUMENT, "uniform_: expected low <= high, got %g and %g", low, high);
  return fill(&uniform, t, low, high, g);
}

static const distribution normal = {
    {"normal_", filled_backward}, sr__random_normal_float, sr__random_normal_double};

sr_status sr_normal_(sr_tensor *t, double mean, double std, sr_generator *g) {
  if (!(std >= 0))
    return sr__fail(SR_ARGUMENT, "normal_: the deviation must not be negative, got %g", std);
  return fill(&normal, t, mean, std, g);
}

static const sr_op random_op = {"random_", filled_backward};

sr_status sr_random_(sr_tensor *t, int64_t low, int64_t high, sr_generator *g) {
  if (low >= high && high != SR_RANDOM_END)
    return sr__fail(SR_ARGUMENT, "random_: expected low < high, got %lld and %lld", (long long)low,
                    (long long)high);
  SR_TRY(check_target("random_", t));
  sr_tensor *host;
  SR_TRY(host_target(t, SR_int64, &host));
  sr__random_integers(g, host->numel, sr__data(host), low, high);
  return settle(&random_op, t, host);
}

static const sr_op bernoulli_op = {"bernoulli_", filled_backward};

sr_status sr_bernoulli_(sr_tensor *t, double p, sr_generator *g) {
  if (!(p >= 0 && p <= 1))
    return sr__fail(SR_ARGUMENT, "bernoulli_: the probability must be from 0 to 1, got %g", p);
  SR_TRY(check_target("bernoulli_", t));
  sr_tensor *host;
  SR_TRY(host_target(t, SR_bool, &host));
  uint8_t *values = sr__data(host);
  for (int64_t i = 0; i < host->numel; i++) values[i] = sr__random_unit(g) < p;
  return settle(&bernoulli_op, t, host);
}

/* ---- permutations ------------------------------------------------------------------------- */

/* Moves a host tensor to the device; takes it over. */
static sr_status send(sr_tensor *host, sr_device device, sr_tensor **out) {
  sr_status status = sr__moved(host, (sr_dtype)host->dtype, device, out);
  sr_tensor_release(host);
  return status;
}

sr_status sr_randperm(int64_t n, sr_device device, sr_generator *g, sr_tensor **out) {
  if (n < 0) return sr__fail(SR_ARGUMENT, "randperm: a count is needed, got %lld", (long long)n);
  sr_tensor *host;
  SR_TRY(sr__empty(&sr__cpu_backend, SR_int64, 1, &n, &host));
  sr__random_permutation(g, n, sr__data(host), SR_INDEX_BASE);
  return send(host, device, out);
}

/* ---- multinomial -------------------------------------------------------------------------- */

/* As torch.multinomial draws. One sample, or samples without replacement: the largest
 * w / e with e exponential. With replacement: the first cumulated weight that is not
 * below a uniform number. */
typedef struct {
  int64_t n, samples;
  bool replacement, single; /* weights are float32: arithmetic rounds to it */
  const double *weights;    /* of the row */
  double *scratch;          /* n */
  int64_t *out;
} sampling;

static double rounded(const sampling *s, double x) { return s->single ? (double)(float)x : x; }

static sr_status check_row(const sampling *s, int64_t row) {
  int64_t positive = 0;
  for (int64_t i = 0; i < s->n; i++) {
    double weight = s->weights[i];
    if (!(weight >= 0) || !isfinite(weight))
      return sr__fail(SR_ARGUMENT,
                      "multinomial: weights must be finite and not negative, got %g at position "
                      "%lld of row %lld",
                      weight, (long long)i + 1, (long long)row + 1);
    if (weight > 0) positive++;
  }
  int64_t needed = s->replacement ? 1 : s->samples;
  if (positive >= needed) return SR_OK;
  return sr__fail(SR_ARGUMENT, "multinomial: %lld positive weights are needed, row %lld has %lld",
                  (long long)needed, (long long)row + 1, (long long)positive);
}

static double exponential(sr_generator *g) { return -log(1 - sr__random_unit(g)); }

/* scratch[i] = w / e, which orders the positions as if drawn one after the other. */
static void sample_largest(const sampling *s, sr_generator *g) {
  double *score = s->scratch;
  for (int64_t i = 0; i < s->n; i++)
    score[i] = rounded(s, s->weights[i] / rounded(s, exponential(g)));
  for (int64_t k = 0; k < s->samples; k++) {
    int64_t best = 0;
    for (int64_t i = 1; i < s->n; i++)
      if (score[i] > score[best]) best = i;
    s->out[k] = best + SR_INDEX_BASE;
    score[best] = -1;
  }
}

static int64_t first_not_below(const double *cumulated, int64_t n, double u) {
  int64_t low = 0, high = n;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (cumulated[middle] < u)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void sample_cumulated(const sampling *s, sr_generator *g) {
  double *cumulated = s->scratch, sum = 0;
  for (int64_t i = 0; i < s->n; i++) cumulated[i] = sum = rounded(s, sum + s->weights[i]);
  if (sum > 1.00001 || sum < 0.99999)
    for (int64_t i = 0; i < s->n; i++) cumulated[i] = rounded(s, cumulated[i] / sum);
  /* Rounding must not leave the last bucket below 1, nor lead to one without weight. */
  int64_t last = s->n - 1;
  while (last > 0 && s->weights[last] == 0) last--;
  for (int64_t i = last; i < s->n; i++) cumulated[i] = 1;
  for (int64_t k = 0; k < s->samples; k++)
    s->out[k] = first_not_below(cumulated, s->n, sr__random_unit(g)) + SR_INDEX_BASE;
}

static sr_status sample_rows(sampling *s, int64_t rows, sr_generator *g) {
  const double *weights = s->weights;
  for (int64_t r = 0; r < rows; r++) {
    s->weights = weights + r * s->n;
    SR_TRY(check_row(s, r));
  }
  for (int64_t r = 0; r < rows; r++, s->out += s->samples) {
    s->weights = weights + r * s->n;
    if (s->replacement && s->samples > 1)
      sample_cumulated(s, g);
    else
      sample_largest(s, g);
  }
  return SR_OK;
}

static sr_status check_multinomial(const sr_tensor *weights, int64_t samples, bool replacement) {
  SR_TRY(sr__need_floating("multinomial", weights));
  if (weights->ndim != 1 && weights->ndim != 2)
    return sr__fail(SR_SHAPE, "multinomial: expected weights (n) or (rows, n), got shape %s",
                    SR_SHAPE_OF(weights));
  int64_t n = weights->sizes[weights->ndim - 1];
  if (samples < 1 || n < 1)
    return sr__fail(SR_ARGUMENT, "multinomial: %lld samples of weights with shape %s",
                    (long long)samples, SR_SHAPE_OF(weights));
  if (!replacement && samples > n)
    return sr__fail(SR_ARGUMENT, "multinomial: %lld samples without replacement of %lld positions",
                    (long long)samples, (long long)n);
  return SR_OK;
}

/* The weights as doubles in host memory, with room for one row more. */
static sr_status read_weights(const sr_tensor *weights, int64_t n, double **out) {
  sr_tensor *wide;
  void *room;
  SR_TRY(sr__as(weights, SR_float64, &wide));
  sr_status status = sr__new((size_t)(weights->numel + n) * sizeof(double), &room);
  if (!status) {
    status = sr_tensor_read(wide, room);
    if (status) sr__free(room, (size_t)(weights->numel + n) * sizeof(double));
  }
  sr_tensor_release(wide);
  if (!status) *out = room;
  return status;
}

sr_status sr_multinomial(sr_tensor *weights, int64_t samples, bool replacement, sr_generator *g,
                         sr_tensor **out) {
  SR_TRY(check_multinomial(weights, samples, replacement));
  int64_t n = weights->sizes[weights->ndim - 1], rows = weights->numel / n;
  int64_t sizes[2] = {rows, samples};
  bool one_row = weights->ndim == 1;
  sr_tensor *host;
  SR_TRY(sr__empty(&sr__cpu_backend, SR_int64, one_row ? 1 : 2, one_row ? &samples : sizes, &host));
  double *values;
  sr_status status = read_weights(weights, n, &values);
  if (!status) {
    sampling s = {.n = n,
                  .samples = samples,
                  .replacement = replacement,
                  .single = weights->dtype == SR_float32,
                  .weights = values,
                  .scratch = values + weights->numel,
                  .out = sr__data(host)};
    status = sample_rows(&s, rows, g);
    sr__free(values, (size_t)(weights->numel + n) * sizeof(double));
  }
  if (status) {
    sr_tensor_release(host);
    return status;
  }
  return send(host, sr_tensor_device(weights), out);
}
