/* einsum.c: torch.einsum, contracted pairwise from the left.
 *
 * Each step is diagonal, sum, permute, reshape and bmm on public operations, so
 * that gradients come by themselves. A label is a letter; "..." stands for the
 * dimensions that have none, which get labels of their own behind the letters',
 * counted from the last one. An operand of size 1 in a dimension that others have larger is taken to be
 * without that label, which is what broadcasting means here. */
#include <ctype.h>
#include <string.h>

#include "autograd/autograd.h"

enum { LETTERS = 52, LABELS = LETTERS + SR_MAX_DIMS, MAX_OPERANDS = 32 };

/* A tensor (a reference of our own) and the label of each of its dimensions. */
typedef struct {
  sr_tensor *tensor;
  int n;
  int dots; /* how many labels stand before "...", -1 without it */
  uint8_t label[SR_MAX_DIMS];
} term;

/* A set of labels as bits. */
typedef uint64_t label_set;
#define BIT(label) (UINT64_C(1) << (label))

typedef struct {
  int n;
  term terms[MAX_OPERANDS];
  int most_dots; /* dimensions that "..." stands for at most */
  bool explicit;
  term output; /* labels only */
} equation;

static int label_of(char c) { return c >= 'a' ? 26 + c - 'a' : c - 'A'; }
static const char *label_text(int label, char text[4]) {
  if (label >= LETTERS) return "...";
  text[0] = (char)(label < 26 ? 'A' + label : 'a' + label - 26);
  return text;
}
#define LABEL_TEXT(label) label_text((label), (char[4]){0})
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static label_set labels_of(const term *t) {
  label_set set = 0;
  for (int d = 0; d < t->n; d++) set |= BIT(t->label[d]);
  return set;
}

/* ---- reading the equation ----------------------------------------------------------------- */

static sr_status read_dots(const char *text, const char **at, term *t) {
  if (strncmp(*at, "...", 3) != 0)
    return sr__fail(SR_ARGUMENT, "einsum: a '.' that is not part of '...', in '%s'", text);
  if (t->dots >= 0) return sr__fail(SR_ARGUMENT, "einsum: '...' twice for a tensor, in '%s'", text);
  t->dots = t->n;
  *at += 2;
  return SR_OK;
}

/* Letters and "..." up to ',', '-' or the end, at most SR_MAX_DIMS letters. */
static sr_status read_labels(const char *text, const char **at, term *t) {
  t->n = 0;
  t->dots = -1;
  for (;; ++*at) {
    char c = **at;
    if (c == ' ') continue;
    if (c == '\0' || c == ',' || c == '-') return SR_OK;
    if (c == '.') {
      SR_TRY(read_dots(text, at, t));
      continue;
    }
    if (!is_letter(c))
      return sr__fail(SR_ARGUMENT, "einsum: labels are letters, got '%c' in '%s'",
                      isprint((unsigned char)c) ? c : '?', text);
    if (t->n == SR_MAX_DIMS)
      return sr__fail(SR_ARGUMENT, "einsum: more than %d labels for a tensor in '%s'", SR_MAX_DIMS,
                      text);
    t->label[t->n++] = (uint8_t)label_of(c);
  }
}

static sr_status read_equation(const char *text, equation *e) {
  const char *at = text;
  for (e->n = 0;; at++) {
    if (e->n == MAX_OPERANDS)
      return sr__fail(SR_ARGUMENT, "einsum: more than %d operands", MAX_OPERANDS);
    SR_TRY(read_labels(text, &at, &e->terms[e->n++]));
    if (*at != ',') break;
  }
  e->output = (term){.dots = -1};
  e->explicit = *at != '\0';
  if (!e->explicit) return SR_OK;
  if (at[1] != '>') return sr__fail(SR_ARGUMENT, "einsum: expected '->' in '%s'", text);
  at += 2;
  SR_TRY(read_labels(text, &at, &e->output));
  if (*at) return sr__fail(SR_ARGUMENT, "einsum: nothing may follow the result in '%s'", text);
  return SR_OK;
}

/* ---- labels for "..." ----------------------------------------------------------------- */

static sr_status insert_dots(const char *text, term *t, int count) {
  if (t->dots < 0) return SR_OK;
  if (t->n + count > SR_MAX_DIMS)
    return sr__fail(SR_ARGUMENT, "einsum: the result of '%s' has more than %d dimensions", text,
                    SR_MAX_DIMS);
  for (int d = t->n - 1; d >= t->dots; d--) t->label[d + count] = t->label[d];
  for (int k = 0; k < count; k++) t->label[t->dots + k] = (uint8_t)(LETTERS + count - 1 - k);
  t->n += count;
  return SR_OK;
}

/* Every dimension of every operand gets a label. */
static sr_status label_operands(const char *text, equation *e) {
  for (int i = 0; i < e->n; i++) {
    term *t = &e->terms[i];
    int without = t->tensor->ndim - t->n;
    if (without < 0 || (without > 0 && t->dots < 0))
      return sr__fail(SR_SHAPE, "einsum: operand %d of '%s' has %d labels, but shape %s", i + 1,
                      text, t->n, SR_SHAPE_OF(t->tensor));
    SR_TRY(insert_dots(text, t, without));
    if (t->dots >= 0 && without > e->most_dots) e->most_dots = without;
  }
  return SR_OK;
}

/* Without "->": what "..." stands for, then the letters that occur once, in their order. */
static sr_status implied_output(const char *text, equation *e) {
  int count[LABELS] = {0};
  for (int i = 0; i < e->n; i++)
    for (int d = 0; d < e->terms[i].n; d++) count[e->terms[i].label[d]]++;
  e->output.dots = 0;
  for (int label = 0; label < LETTERS; label++) {
    if (count[label] != 1) continue;
    if (e->output.n == SR_MAX_DIMS)
      return sr__fail(SR_ARGUMENT, "einsum: the result of '%s' has more than %d dimensions", text,
                      SR_MAX_DIMS);
    e->output.label[e->output.n++] = (uint8_t)label;
  }
  return SR_OK;
}

static sr_status check_output(const char *text, const equation *e) {
  label_set inputs = 0, seen = 0;
  for (int i = 0; i < e->n; i++) inputs |= labels_of(&e->terms[i]);
  for (int d = 0; d < e->output.n; d++) {
    int label = e->output.label[d];
    if (seen & BIT(label))
      return sr__fail(SR_ARGUMENT, "einsum: label '%s' is twice in the result of '%s'",
                      LABEL_TEXT(label), text);
    if (!(inputs & BIT(label)))
      return sr__fail(SR_ARGUMENT, "einsum: label '%s' of the result is in no operand of '%s'",
                      LABEL_TEXT(label), text);
    seen |= BIT(label);
  }
  return SR_OK;
}

static sr_status label_all(const char *text, equation *e) {
  SR_TRY(label_operands(text, e));
  if (!e->explicit) SR_TRY(implied_output(text, e));
  SR_TRY(check_output(text, e));
  return insert_dots(text, &e->output, e->most_dots);
}

static sr_status check_sizes(const char *text, const equation *e, int64_t sizes[LABELS]) {
  for (int label = 0; label < LABELS; label++) sizes[label] = 1;
  for (int i = 0; i < e->n; i++) {
    const term *t = &e->terms[i];
    for (int d = 0; d < t->n; d++) {
      int64_t size = t->tensor->sizes[d], *known = &sizes[t->label[d]];
      if (size != *known && size != 1 && *known != 1)
        return sr__fail(SR_SHAPE, "einsum: label '%s' of '%s' has sizes %lld and %lld",
                        LABEL_TEXT(t->label[d]), text, (long long)*known, (long long)size);
      if (size != 1) *known = size;
    }
  }
  return SR_OK;
}

/* ---- steps on one term -------------------------------------------------------------------- */

/* Put `next` in the place of the term's tensor. */
static void replace(term *t, sr_tensor *next) {
  sr_tensor_release(t->tensor);
  t->tensor = next;
}

static void remove_label(term *t, int d) {
  for (int i = d; i + 1 < t->n; i++) t->label[i] = t->label[i + 1];
  t->n--;
}

/* "ii": the diagonal of both dimensions, which becomes the last one. */
static sr_status take_diagonals(const char *text, term *t) {
  for (int i = 0; i < t->n; i++)
    for (int j = i + 1; j < t->n; j++) {
      if (t->label[i] != t->label[j]) continue;
      int label = t->label[i];
      if (t->tensor->sizes[i] != t->tensor->sizes[j])
        return sr__fail(SR_SHAPE, "einsum: label '%s' of '%s' has sizes %lld and %lld",
                        LABEL_TEXT(label), text, (long long)t->tensor->sizes[i],
                        (long long)t->tensor->sizes[j]);
      sr_tensor *next;
      SR_TRY(sr_diagonal(t->tensor, i, j, &next));
      replace(t, next);
      remove_label(t, j);
      remove_label(t, i);
      t->label[t->n++] = (uint8_t)label;
      return take_diagonals(text, t); /* at most SR_MAX_DIMS deep */
    }
  return SR_OK;
}

/* Dimensions that others have larger. */
static sr_status drop_repeated(term *t, const int64_t sizes[LABELS]) {
  sr_dims dims = {.n = 0};
  for (int d = 0; d < t->n; d++)
    if (t->tensor->sizes[d] == 1 && sizes[t->label[d]] != 1) dims.dim[dims.n++] = d;
  if (!dims.n) return SR_OK;
  sr_tensor *next;
  SR_TRY(sr_squeeze(t->tensor, &dims, &next));
  replace(t, next);
  for (int i = dims.n - 1; i >= 0; i--) remove_label(t, dims.dim[i]);
  return SR_OK;
}

/* Sum over the labels that are not in `kept`. */
static sr_status sum_out(term *t, label_set kept) {
  sr_dims dims = {.n = 0};
  for (int d = 0; d < t->n; d++)
    if (!(kept & BIT(t->label[d]))) dims.dim[dims.n++] = d;
  if (!dims.n) return SR_OK;
  sr_tensor *next;
  SR_TRY(sr_sum(t->tensor, &dims, &next));
  replace(t, next);
  for (int i = dims.n - 1; i >= 0; i--) remove_label(t, dims.dim[i]);
  return SR_OK;
}

static int find_label(const term *t, int label) {
  for (int d = 0; d < t->n; d++)
    if (t->label[d] == label) return d;
  return -1;
}

/* Bring the dimensions into the order of `labels`, which are the term's. */
static sr_status order(term *t, int n, const uint8_t *labels) {
  int dims[SR_MAX_DIMS];
  bool same = true;
  for (int i = 0; i < n; i++) {
    dims[i] = find_label(t, labels[i]);
    if (dims[i] != i) same = false;
  }
  if (same) return SR_OK;
  sr_tensor *next;
  SR_TRY(sr_permute(t->tensor, n, dims, &next));
  replace(t, next);
  memcpy(t->label, labels, (size_t)n);
  return SR_OK;
}

/* ---- the product of two terms -------------------------------------------------------- */

/* Labels that belong together: those of `t` in `wanted`, appended to `list`. */
static int64_t append(const term *t, label_set wanted, uint8_t *list, int *n) {
  int64_t count = 1;
  for (int d = 0; d < t->n; d++) {
    if (!(wanted & BIT(t->label[d]))) continue;
    list[(*n)++] = t->label[d];
    count *= t->tensor->sizes[d];
  }
  return count;
}

static sr_status as_matrices(term *t, int64_t batch, int64_t rows, int64_t columns,
                             sr_tensor **out) {
  return sr_reshape(t->tensor, 3, (int64_t[]){batch, rows, columns}, out);
}

/* (batch, a's own, shared) x (batch, shared, b's own), the result in a. */
static sr_status contract(term *a, term *b, label_set needed, const int64_t sizes[LABELS]) {
  label_set in_a = labels_of(a), in_b = labels_of(b);
  SR_TRY(sum_out(a, needed | in_b));
  SR_TRY(sum_out(b, needed | in_a));
  label_set both = in_a & in_b, shared = both & ~needed, batch = both & needed;
  uint8_t list_a[SR_MAX_DIMS], list_b[SR_MAX_DIMS], list[3 * SR_MAX_DIMS];
  int n_a = 0, n_b = 0, n = 0;
  int64_t n_batch = append(a, batch, list_a, &n_a);
  int64_t rows = append(a, ~both, list_a, &n_a);
  memcpy(list, list_a, (size_t)n_a);
  n = n_a;
  int64_t inner = append(a, shared, list_a, &n_a);
  /* b takes the order of the common labels from a. */
  append(a, batch, list_b, &n_b);
  append(a, shared, list_b, &n_b);
  int64_t columns = append(b, ~both, list_b, &n_b);
  append(b, ~both, list, &n);
  if (n > SR_MAX_DIMS)
    return sr__fail(SR_SHAPE, "einsum: a product on the way has %d dimensions, more than %d", n,
                    SR_MAX_DIMS);
  SR_TRY(order(a, n_a, list_a));
  SR_TRY(order(b, n_b, list_b));

  int64_t shape[SR_MAX_DIMS];
  for (int d = 0; d < n; d++) shape[d] = sizes[list[d]];
  sr_tensor *left = NULL, *right = NULL, *y = NULL, *shaped = NULL;
  sr_status status = SR_OK;
  SR_TRY_GOTO(as_matrices(a, n_batch, rows, inner, &left), done);
  SR_TRY_GOTO(as_matrices(b, n_batch, inner, columns, &right), done);
  SR_TRY_GOTO(sr_bmm(left, right, &y), done);
  SR_TRY_GOTO(sr_reshape(y, n, shape, &shaped), done);
  replace(a, shaped);
  memcpy(a->label, list, (size_t)n);
  a->n = n;
done:
  sr_tensor_release(y);
  sr_tensor_release(right);
  sr_tensor_release(left);
  return status;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static sr_status evaluate(const char *text, equation *e) {
  int64_t sizes[LABELS];
  SR_TRY(label_all(text, e));
  SR_TRY(check_sizes(text, e, sizes));
  label_set output = labels_of(&e->output);
  for (int i = 0; i < e->n; i++) {
    SR_TRY(take_diagonals(text, &e->terms[i]));
    SR_TRY(drop_repeated(&e->terms[i], sizes));
  }
  term *result = &e->terms[0];
  for (int i = 1; i < e->n; i++) {
    label_set needed = output;
    for (int j = i + 1; j < e->n; j++) needed |= labels_of(&e->terms[j]);
    SR_TRY(contract(result, &e->terms[i], needed, sizes));
  }
  SR_TRY(sum_out(result, output));
  return order(result, e->output.n, e->output.label);
}

sr_status sr_einsum(const char *text, int n, sr_tensor *const *x, sr_tensor **out) {
  equation e = {.n = 0};
  SR_TRY(read_equation(text, &e));
  if (n != e.n)
    return sr__fail(SR_ARGUMENT, "einsum: '%s' has %d operands, got %d tensors", text, e.n, n);
  SR_TRY(sr__same_device("einsum", n, (const sr_tensor *const *)x));
  for (int i = 0; i < n; i++) e.terms[i].tensor = sr_tensor_retain(x[i]);
  sr_status status = evaluate(text, &e);
  if (!status) *out = sr_tensor_retain(e.terms[0].tensor);
  for (int i = 0; i < n; i++) sr_tensor_release(e.terms[i].tensor);
  return status;
}
