/* format.c: tensors as text.
 *
 * The values stand as torch/_tensor_str.py lays them out: one width for all, found from
 * the values shown; whole floats as `1.`; powers of ten where the values are too far apart;
 * the edges only of a large tensor. Above them stands a header line that says what the
 * tensor is:
 *
 *   float32 [2, 3] grad_fn=tanh (1 nan)
 *   [[ 0.5000, -1.2500,     nan],
 *    [ 3.0000,  0.0000,  2.0000]]
 *
 * Only the values that are shown are read, and, for the count of NaN and infinity, those
 * of a tensor of up to COUNT_LIMIT elements. No gradient is recorded. */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/memory.h"

const sr_print_options sr_print_defaults = {
    .precision = 4, .threshold = 1000, .edge_items = 3, .line_width = 80, .header = true};

enum {
  COUNT_LIMIT = 1 << 24, /* larger tensors: count among the values shown */
  COUNT_PIECE = 1 << 16, /* elements read at a time */
  MAX_PRECISION = 40,
  NUMBER_TEXT = 400 /* the longest number: 1.8e308 with all its digits and 40 behind */
};

typedef enum { AS_INTEGER, AS_WHOLE, AS_FIXED, AS_SCIENTIFIC } number_style;

typedef struct {
  const sr_tensor *t;
  sr_print_options options;
  int64_t shown[SR_MAX_DIMS]; /* how many positions of each dimension */
  int64_t count;              /* product of them */
  char *values;               /* in row order */
  size_t value_bytes;         /* of one */
  number_style style;
  int width;
  int64_t next; /* value to be written */
  sr_text *text;
} printer;

/* ---- which values are shown ------------------------------------------------------------- */

static bool is_cut(const printer *p, int d) { return p->shown[d] < p->t->sizes[d]; }

/* The position of shown row i. */
static int64_t position_of(const printer *p, int d, int64_t i) {
  return is_cut(p, d) && i >= p->options.edge_items ? p->t->sizes[d] - (p->shown[d] - i) : i;
}

static void choose_shown(printer *p) {
  int64_t ends = 2 * (int64_t)p->options.edge_items;
  bool summarize = p->t->numel > p->options.threshold;
  p->count = 1;
  for (int d = 0; d < p->t->ndim; d++) {
    int64_t size = p->t->sizes[d];
    p->shown[d] = summarize && size > ends ? ends : size;
    p->count *= p->shown[d];
  }
}

/* Read the part of t from dimension d on that begins at `offset`. */
static sr_status read_block(const sr_tensor *t, int d, int64_t offset, void *values) {
  sr_tensor *block;
  SR_TRY(sr__alias(t, t->ndim - d, t->sizes + d, sr__strides(t) + d, offset, &block));
  sr_status status = sr_tensor_read(block, values);
  sr_tensor_release(block);
  return status;
}

/* The first dimension from which on nothing is left out. */
static int whole_from(const printer *p) {
  int d = p->t->ndim;
  while (d > 0 && !is_cut(p, d - 1)) d--;
  return d;
}

/* Read what is shown of dimensions d.. to p->values + *filled. */
static sr_status read_shown(printer *p, int d, int whole, int64_t offset, size_t *filled) {
  if (d == whole) {
    SR_TRY(read_block(p->t, d, offset, p->values + *filled));
    int64_t count = 1;
    for (; d < p->t->ndim; d++) count *= p->shown[d];
    *filled += (size_t)count * p->value_bytes;
    return SR_OK;
  }
  for (int64_t i = 0; i < p->shown[d]; i++) {
    int64_t start = offset + position_of(p, d, i) * sr__strides(p->t)[d];
    SR_TRY(read_shown(p, d + 1, whole, start, filled));
  }
  return SR_OK;
}

static sr_scalar value_at(const printer *p, int64_t i) {
  return sr__scalar_at((sr_dtype)p->t->dtype, p->values + (size_t)i * p->value_bytes);
}

/* ---- one number ------------------------------------------------------------------------- */

static int write_float(const printer *p, double x, char text[NUMBER_TEXT]) {
  int precision = p->options.precision;
  if (isnan(x)) return snprintf(text, NUMBER_TEXT, "nan");
  if (isinf(x)) return snprintf(text, NUMBER_TEXT, x < 0 ? "-inf" : "inf");
  if (p->style == AS_WHOLE) return snprintf(text, NUMBER_TEXT, "%.0f.", x);
  if (p->style == AS_FIXED) return snprintf(text, NUMBER_TEXT, "%.*f", precision, x);
  return snprintf(text, NUMBER_TEXT, "%.*e", precision, x);
}

static int write_number(const printer *p, sr_scalar value, char text[NUMBER_TEXT]) {
  if (!value.is_integer) return write_float(p, value.number, text);
  if (p->t->dtype == SR_bool) return snprintf(text, NUMBER_TEXT, value.integer ? "true" : "false");
  return snprintf(text, NUMBER_TEXT, "%" PRId64, value.integer);
}

/* ---- style and width of all numbers ----------------------------------------------------- */

static bool decides(sr_scalar value) {
  return value.is_integer || (isfinite(value.number) && value.number != 0);
}

/* PyTorch's rule, over the values that are finite and not 0. */
static number_style choose_style(const printer *p) {
  double least = INFINITY, most = 0;
  bool whole = true;
  for (int64_t i = 0; i < p->count; i++) {
    sr_scalar value = value_at(p, i);
    if (!decides(value)) continue;
    double size = fabs(value.number);
    least = fmin(least, size);
    most = fmax(most, size);
    whole = whole && value.number == ceil(value.number);
  }
  if (most == 0) return AS_WHOLE;
  if (most / least > 1000 || most > 1e8 || (!whole && least < 1e-4)) return AS_SCIENTIFIC;
  return whole ? AS_WHOLE : AS_FIXED;
}

static int choose_width(const printer *p) {
  char text[NUMBER_TEXT];
  int width = 1;
  for (int64_t i = 0; i < p->count; i++) {
    sr_scalar value = value_at(p, i);
    int size = decides(value) ? write_number(p, value, text) : 0;
    if (size > width) width = size;
  }
  return width;
}

/* ---- layout ----------------------------------------------------------------------------- */

/* `lines` line ends, then `spaces`. */
static sr_status add_break(const printer *p, int lines, int spaces) {
  for (int i = 0; i < lines; i++) SR_TRY(sr__text_add(p->text, "\n", 1));
  return sr__text_format(p->text, "%*s", spaces, "");
}

static sr_status add_next_value(printer *p) {
  char text[NUMBER_TEXT];
  write_number(p, value_at(p, p->next++), text);
  return sr__text_format(p->text, "%*s", p->width, text);
}

/* [1., 2., 3.], broken where the line is full. */
static sr_status add_row(printer *p, int d, int indent) {
  int cut = is_cut(p, d), per_line = (p->options.line_width - indent) / (p->width + 2);
  if (per_line < 1) per_line = 1;
  SR_TRY(sr__text_add(p->text, "[", 1));
  for (int64_t i = 0; i < p->shown[d] + cut; i++) {
    if (i > 0) SR_TRY(sr__text_add(p->text, ", ", i % per_line ? 2 : 1));
    if (i > 0 && i % per_line == 0) SR_TRY(add_break(p, 1, indent + 1));
    if (cut && i == p->options.edge_items)
      SR_TRY(sr__text_add(p->text, " ...", 4));
    else
      SR_TRY(add_next_value(p));
  }
  return sr__text_add(p->text, "]", 1);
}

/* Rows, one below the other; blank lines between matrices and larger blocks. */
static sr_status add_block(printer *p, int d, int indent) {
  int inner = p->t->ndim - d - 1, cut = is_cut(p, d);
  if (inner == 0) return add_row(p, d, indent);
  SR_TRY(sr__text_add(p->text, "[", 1));
  for (int64_t i = 0; i < p->shown[d] + cut; i++) {
    if (i > 0) SR_TRY(sr__text_add(p->text, ",", 1));
    if (i > 0) SR_TRY(add_break(p, inner, indent + 1));
    if (cut && i == p->options.edge_items)
      SR_TRY(sr__text_add(p->text, "...", 3));
    else
      SR_TRY(add_block(p, d + 1, indent + 1));
  }
  return sr__text_add(p->text, "]", 1);
}

static sr_status add_values(printer *p) {
  bool floating = sr__floating(p->t);
  p->style = floating ? choose_style(p) : AS_INTEGER;
  p->width = choose_width(p);
  if (p->t->ndim == 0) return add_next_value(p);
  return p->count ? add_block(p, 0, 0) : sr__text_add(p->text, "[]", 2);
}

/* ---- NaN and infinity ------------------------------------------------------------------- */

typedef struct {
  int64_t nan, inf;
} odd_values;

static void count_odd(sr_dtype dtype, const void *values, int64_t n, odd_values *odd) {
  const float *f = values;
  const double *g = values;
  if (dtype == SR_float32)
    for (int64_t i = 0; i < n; i++) odd->nan += isnan(f[i]) != 0, odd->inf += isinf(f[i]) != 0;
  if (dtype == SR_float64)
    for (int64_t i = 0; i < n; i++) odd->nan += isnan(g[i]) != 0, odd->inf += isinf(g[i]) != 0;
}

static int longest_dimension(const sr_tensor *t) {
  int longest = 0;
  for (int d = 1; d < t->ndim; d++)
    if (t->sizes[d] > t->sizes[longest]) longest = d;
  return longest;
}

/* Halve t until a piece fits into the buffer. */
static sr_status count_pieces(const sr_tensor *t, void *buffer, odd_values *odd) {
  if (t->numel <= COUNT_PIECE) {
    SR_TRY(sr_tensor_read(t, buffer));
    count_odd((sr_dtype)t->dtype, buffer, t->numel, odd);
    return SR_OK;
  }
  int d = longest_dimension(t);
  int64_t half = t->sizes[d] / 2, sizes[SR_MAX_DIMS];
  for (int part = 0; part < 2; part++) {
    for (int k = 0; k < t->ndim; k++) sizes[k] = t->sizes[k];
    sizes[d] = part ? t->sizes[d] - half : half;
    int64_t offset = t->offset + (part ? half * sr__strides(t)[d] : 0);
    sr_tensor *piece;
    SR_TRY(sr__alias(t, t->ndim, sizes, sr__strides(t), offset, &piece));
    sr_status status = count_pieces(piece, buffer, odd);
    sr_tensor_release(piece);
    SR_TRY(status);
  }
  return SR_OK;
}

static sr_status count_all(const sr_tensor *t, odd_values *odd) {
  size_t bytes = COUNT_PIECE * sr__element_bytes((sr_dtype)t->dtype);
  void *buffer;
  SR_TRY(sr__new(bytes, &buffer));
  sr_status status = count_pieces(t, buffer, odd);
  sr__free(buffer, bytes);
  return status;
}

static sr_status add_odd_values(printer *p) {
  const sr_tensor *t = p->t;
  odd_values odd = {0, 0};
  bool all_shown = p->count == t->numel, count_shown = all_shown || t->numel > COUNT_LIMIT;
  if (!sr__floating(t)) return SR_OK;
  if (count_shown)
    count_odd((sr_dtype)t->dtype, p->values, p->count, &odd);
  else
    SR_TRY(count_all(t, &odd));
  if (!odd.nan && !odd.inf) return SR_OK;
  SR_TRY(sr__text_add(p->text, " (", 2));
  if (odd.nan) SR_TRY(sr__text_format(p->text, "%" PRId64 " nan", odd.nan));
  if (odd.nan && odd.inf) SR_TRY(sr__text_add(p->text, ", ", 2));
  if (odd.inf) SR_TRY(sr__text_format(p->text, "%" PRId64 " inf", odd.inf));
  return sr__text_format(p->text, "%s)", count_shown && !all_shown ? " among those shown" : "");
}

/* ---- header ----------------------------------------------------------------------------- */

static sr_status add_header(printer *p) {
  const sr_tensor *t = p->t;
  char device[16];
  const char *grad_fn = sr_grad_fn(t);
  SR_TRY(sr__text_format(p->text, "%s %s", SR_DTYPE_OF(t), SR_SHAPE_OF(t)));
  if (sr_tensor_device(t) != SR_CPU)
    SR_TRY(sr__text_format(p->text, " %s", sr_device_name(sr_tensor_device(t), device)));
  if (grad_fn)
    SR_TRY(sr__text_format(p->text, " grad_fn=%s", grad_fn));
  else if (t->requires_grad)
    SR_TRY(sr__text_format(p->text, " requires_grad"));
  SR_TRY(add_odd_values(p));
  return sr__text_add(p->text, "\n", 1);
}

/* ---- the call --------------------------------------------------------------------------- */

static int between(int low, int x, int high) { return x < low ? low : x > high ? high : x; }

static sr_print_options sane(const sr_print_options *options) {
  sr_print_options o = options ? *options : sr_print_defaults;
  o.precision = between(0, o.precision, MAX_PRECISION);
  o.edge_items = between(1, o.edge_items, o.edge_items);
  return o;
}

static sr_status write_all(printer *p) {
  size_t filled = 0;
  if (p->count) SR_TRY(read_shown(p, 0, whole_from(p), p->t->offset, &filled));
  if (p->options.header && p->t->ndim > 0) SR_TRY(add_header(p));
  return add_values(p);
}

sr_status sr_tensor_format(const sr_tensor *t, const sr_print_options *options, sr_text *out) {
  sr_text text = {0};
  printer p = {.t = t, .options = sane(options), .text = &text};
  choose_shown(&p);
  p.value_bytes = sr__element_bytes((sr_dtype)t->dtype);
  size_t bytes = (size_t)(p.count ? p.count : 1) * p.value_bytes;
  SR_TRY(sr__new(bytes, (void **)&p.values));
  sr_status status = write_all(&p);
  sr__free(p.values, bytes);
  if (status)
    sr_text_free(&text);
  else
    *out = text;
  return status;
}
