/* utf8.c: Unicode text, on utf8proc (this is the only file that includes it).
 *
 * Normal forms, lower case, case folding, removal of marks, code points, grapheme clusters.
 * Any bytes may come in: what is not UTF-8 (truncated, overlong, a surrogate,
 * above U+10FFFF) is refused with the offset where the wrong sequence begins.
 * NUL is a character like others. Time is linear in the text: a piece of it at a
 * time is decoded into code points, mapped, put in canonical order and encoded.
 */
#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"

enum {
  PIECE_BYTES = 1024,
  LONGEST = 32,   /* code points that one can decompose into: 18, U+FDFA */
  FEW_MARKS = 16, /* up to here insertion sorts them well */
  FIRST_MARK = 0x300,
  ASCII = 0x80
};

/* What to make of each code point, and then of the sequence. */
typedef struct {
  const char *name; /* for messages */
  int options;      /* of utf8proc_decompose_char */
  bool order, compose, strip;
  bool lower; /* small letters: all there is to do if options is 0 */
} recipe;

typedef struct {
  int32_t *at;
  size_t size, room;
} code_points;

/* ---- decoding -------------------------------------------------------------- */

/* The code point at *at, which is below size. utf8proc_iterate is strict. */
static sr_status decode(const char *name, const char *s, size_t size, size_t *at,
                        int32_t *code_point) {
  size_t left = size - *at;
  utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s + *at,
                                        left < 4 ? (utf8proc_ssize_t)left : 4, code_point);
  if (n <= 0) return sr__fail(SR_ARGUMENT, "%s: invalid UTF-8 at byte %zu", name, *at);
  *at += (size_t)n;
  return SR_OK;
}

static sr_status reserve(code_points *p, size_t more) {
  if (p->room - p->size >= more) return SR_OK;
  size_t room = p->room ? 2 * p->room : 2 * PIECE_BYTES;
  if (room > SIZE_MAX / (2 * sizeof *p->at)) return sr__fail(SR_MEMORY, "text too long");
  void *block;
  SR_TRY(sr__new(room * sizeof *p->at, &block));
  if (p->size) memcpy(block, p->at, p->size * sizeof *p->at);
  sr__free(p->at, p->room * sizeof *p->at);
  p->at = block;
  p->room = room;
  return SR_OK;
}

static int32_t ascii_lower(int32_t c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; }

static sr_status map_one(const recipe *r, int32_t c, code_points *p) {
  SR_TRY(reserve(p, LONGEST));
  if (c < ASCII) {
    p->at[p->size++] = r->lower ? ascii_lower(c) : c;
    return SR_OK;
  }
  int boundary = 0; /* asked for, but used for other options only */
  utf8proc_ssize_t n = utf8proc_decompose_char(c, p->at + p->size, LONGEST,
                                               (utf8proc_option_t)r->options, &boundary);
  if (n < 0 || n > LONGEST)
    return sr__fail(SR_ARGUMENT, "%s: cannot decompose U+%04X", r->name, (unsigned)c);
  p->size += (size_t)n;
  return SR_OK;
}

/* ---- canonical order ------------------------------------------------------- */

/* Canonical combining class, 0 .. 254 (Unicode standard, section 3.11). */
static int combining_class(int32_t c) {
  return c < FIRST_MARK ? 0 : utf8proc_get_property(c)->combining_class;
}

static void sort_few(int32_t *marks, size_t n) {
  for (size_t i = 1; i < n; i++) {
    int32_t mark = marks[i];
    int rank = combining_class(mark);
    size_t j = i;
    for (; j > 0 && combining_class(marks[j - 1]) > rank; j--) marks[j] = marks[j - 1];
    marks[j] = mark;
  }
}

/* By counting: a hostile text may pile a million marks on one letter. */
static sr_status sort_many(int32_t *marks, size_t n) {
  size_t start[256] = {0};
  void *block;
  SR_TRY(sr__new(n * sizeof *marks, &block));
  int32_t *copy = memcpy(block, marks, n * sizeof *marks);
  for (size_t i = 0; i < n; i++) start[combining_class(copy[i]) + 1]++;
  for (int rank = 1; rank < 256; rank++) start[rank] += start[rank - 1];
  for (size_t i = 0; i < n; i++) marks[start[combining_class(copy[i])]++] = copy[i];
  sr__free(block, n * sizeof *marks);
  return SR_OK;
}

static sr_status sort_marks(int32_t *marks, size_t n) {
  if (n > FEW_MARKS) return sort_many(marks, n);
  sort_few(marks, n);
  return SR_OK;
}

/* Each run of marks is sorted by class; equal ones keep their order. */
static sr_status order_marks(code_points *p) {
  for (size_t i = 0, end; i < p->size; i = end) {
    for (end = i; end < p->size && combining_class(p->at[end]); end++) continue;
    SR_TRY(sort_marks(p->at + i, end - i));
    if (end == i) end++;
  }
  return SR_OK;
}

static void drop_marks(code_points *p) {
  size_t kept = 0;
  for (size_t i = 0; i < p->size; i++)
    if (utf8proc_category(p->at[i]) != UTF8PROC_CATEGORY_MN) p->at[kept++] = p->at[i];
  p->size = kept;
}

/* utf8proc takes the vowel U+11A7 after a Hangul syllable for an absent final
 * consonant and loses it (mended after 2.11: JuliaStrings/utf8proc#317). It joins
 * nothing before it, so each stretch that begins with it is composed alone. */
enum { HANGUL_BEFORE_FINALS = 0x11A7 };

static sr_status compose(const recipe *r, code_points *p) {
  size_t kept = 0;
  for (size_t i = 0, end; i < p->size; i = end) {
    for (end = i + 1; end < p->size && p->at[end] != HANGUL_BEFORE_FINALS; end++) continue;
    utf8proc_ssize_t n = utf8proc_normalize_utf32(p->at + i, (utf8proc_ssize_t)(end - i),
                                                  UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (n < 0) return sr__fail(SR_ARGUMENT, "%s: %s", r->name, utf8proc_errmsg(n));
    memmove(p->at + kept, p->at + i, (size_t)n * sizeof *p->at);
    kept += (size_t)n;
  }
  p->size = kept;
  return SR_OK;
}

/* ---- lower case ----------------------------------------------------------------- */

enum {
  CAPITAL_I_WITH_DOT = 0x130,
  DOT_ABOVE = 0x307,
  CAPITAL_SIGMA = 0x3A3,
  SMALL_SIGMA = 0x3C3,
  FINAL_SIGMA = 0x3C2
};

/* Skipped when a word is looked for (Unicode's Case_Ignorable): marks, modifiers, format
 * characters, and punctuation that stands within words. */
static bool is_case_ignorable(int32_t c) {
  static const int32_t within_words[] = {'\'',   '.',    ':',    0xB7,   0x387,  0x55F,
                                         0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                         0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
  for (size_t i = 0; i < sizeof within_words / sizeof *within_words; i++)
    if (c == within_words[i]) return true;
  utf8proc_category_t kind = utf8proc_category(c);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME ||
         kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_LM ||
         kind == UTF8PROC_CATEGORY_SK;
}

/* Letters in squares: three alphabets of 26, 32 code points apart. */
static bool is_squared_letter(int32_t c) {
  return c >= 0x1F130 && c <= 0x1F189 && (c - 0x1F130) % 32 < 26;
}

/* Letters with a case, and signs made of them: ordinals, roman numerals, letters in circles
 * and squares. */
static bool is_cased(int32_t c) {
  utf8proc_category_t kind = utf8proc_category(c);
  return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL ||
         kind == UTF8PROC_CATEGORY_LT || utf8proc_tolower(c) != c || utf8proc_toupper(c) != c ||
         c == 0xAA || c == 0xBA || is_squared_letter(c);
}

/* Is the first character before `at` that counts a cased one? All before is valid. */
static bool cased_before(const char *s, size_t size, size_t at) {
  while (at > 0) {
    size_t start = at - 1, after;
    while (start > 0 && ((unsigned char)s[start] & 0xC0) == 0x80) start--;
    int32_t c;
    after = start;
    if (decode("lower", s, size, &after, &c)) return false;
    if (!is_case_ignorable(c)) return is_cased(c);
    at = start;
  }
  return false;
}

static bool cased_after(const char *s, size_t size, size_t at) {
  int32_t c;
  while (at < size && decode("lower", s, size, &at, &c) == SR_OK)
    if (!is_case_ignorable(c)) return is_cased(c);
  return false;
}

/* The character at start .. end - 1 in lower case. A capital sigma that ends a word becomes
 * the final one (Final_Sigma, Unicode standard, section 3.13). The walks from one sigma stop
 * at the next, so time stays linear. */
static sr_status lower_one(const char *s, size_t size, size_t start, size_t end, int32_t c,
                           code_points *p) {
  SR_TRY(reserve(p, 2));
  if (c == CAPITAL_SIGMA) {
    bool final = cased_before(s, size, start) && !cased_after(s, size, end);
    p->at[p->size++] = final ? FINAL_SIGMA : SMALL_SIGMA;
  } else if (c == CAPITAL_I_WITH_DOT) {
    p->at[p->size++] = 'i';
    p->at[p->size++] = DOT_ABOVE;
  } else {
    p->at[p->size++] = utf8proc_tolower(c);
  }
  return SR_OK;
}

/* ---- whole texts ------------------------------------------------------------- */

static sr_status encode(const code_points *p, sr_text *text) {
  utf8proc_uint8_t bytes[512];
  size_t n = 0;
  for (size_t i = 0; i < p->size; i++) {
    n += (size_t)utf8proc_encode_char(p->at[i], bytes + n);
    if (n <= sizeof bytes - 4) continue;
    SR_TRY(sr__text_add(text, (const char *)bytes, n));
    n = 0;
  }
  return sr__text_add(text, (const char *)bytes, n);
}

/* The end of the piece that starts at `at`. It ends before an ASCII character:
 * none of them joins what stands before it, in any normal form. */
static size_t piece_end(const char *s, size_t size, size_t at) {
  if (size - at <= PIECE_BYTES) return size;
  at += PIECE_BYTES;
  while (at < size && (unsigned char)s[at] >= ASCII) at++;
  return at;
}

static bool is_ascii(const char *s, size_t size) {
  unsigned char all = 0;
  for (size_t i = 0; i < size; i++) all |= (unsigned char)s[i];
  return all < ASCII;
}

/* ASCII bytes, made small if the recipe says so. */
static sr_status add_ascii(const recipe *r, const char *s, size_t size, sr_text *text) {
  char small[PIECE_BYTES];
  if (!r->lower) return sr__text_add(text, s, size);
  for (size_t at = 0, n; at < size; at += n) {
    for (n = 0; n < sizeof small && at + n < size; n++) small[n] = (char)ascii_lower(s[at + n]);
    SR_TRY(sr__text_add(text, small, n));
  }
  return SR_OK;
}

static sr_status map_piece(const recipe *r, const char *s, size_t size, size_t at, size_t end,
                           code_points *p, sr_text *text) {
  if (is_ascii(s + at, end - at)) return add_ascii(r, s + at, end - at, text);
  p->size = 0;
  while (at < end) {
    size_t start = at;
    int32_t c;
    SR_TRY(decode(r->name, s, end, &at, &c));
    SR_TRY(r->options ? map_one(r, c, p) : lower_one(s, size, start, at, c, p));
  }
  if (r->order) SR_TRY(order_marks(p));
  if (r->compose) SR_TRY(compose(r, p));
  if (r->strip) drop_marks(p);
  return encode(p, text);
}

static sr_status map_text(const recipe *r, const char *s, size_t size, sr_text *out) {
  sr_text text = {0};
  code_points p = {0};
  sr_status status;
  SR_TRY_GOTO(sr__text_add(&text, "", 0), done);
  for (size_t at = 0, end; at < size; at = end) {
    end = piece_end(s, size, at);
    SR_TRY_GOTO(map_piece(r, s, size, at, end, &p, &text), done);
  }
done:
  sr__free(p.at, p.room * sizeof *p.at);
  if (!status) *out = text;
  if (status) sr_text_free(&text);
  return status;
}

enum {
  CANONICAL = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
  COMPATIBLE = CANONICAL | UTF8PROC_COMPAT,
};

sr_status sr_utf8_normalize(const char *s, size_t size, sr_normal_form form, sr_text *out) {
  static const recipe forms[] = {
      [SR_NFC] = {"normalize", CANONICAL, .order = true, .compose = true},
      [SR_NFD] = {"normalize", CANONICAL, .order = true},
      [SR_NFKC] = {"normalize", COMPATIBLE, .order = true, .compose = true},
      [SR_NFKD] = {"normalize", COMPATIBLE, .order = true},
  };
  if ((size_t)form >= sizeof forms / sizeof *forms)
    return sr__fail(SR_ARGUMENT, "normalize: there is no normal form %d", (int)form);
  return map_text(&forms[form], s, size, out);
}

sr_status sr_utf8_casefold(const char *s, size_t size, sr_text *out) {
  static const recipe casefold = {"casefold", UTF8PROC_CASEFOLD, .lower = true};
  return map_text(&casefold, s, size, out);
}

sr_status sr_utf8_lower(const char *s, size_t size, sr_text *out) {
  static const recipe lower = {"lower", 0, .lower = true};
  return map_text(&lower, s, size, out);
}

sr_status sr_utf8_strip_marks(const char *s, size_t size, sr_text *out) {
  static const recipe strip_marks = {"strip_marks", CANONICAL, .order = true, .strip = true};
  return map_text(&strip_marks, s, size, out);
}

/* ---- characters ------------------------------------------------------------------ */

static sr_status decode_next(const char *name, const char *s, size_t size, size_t *at,
                             int32_t *code_point) {
  if (*at >= size)
    return sr__fail(SR_ARGUMENT, "%s: no character at byte %zu of a text of %zu", name, *at, size);
  return decode(name, s, size, at, code_point);
}

sr_status sr_utf8_next(const char *s, size_t size, size_t *at, int32_t *code_point) {
  size_t end = *at;
  int32_t c;
  SR_TRY(decode_next("utf8_next", s, size, &end, &c));
  *at = end;
  *code_point = c;
  return SR_OK;
}

/* Extended grapheme clusters, Unicode standard annex 29. */
sr_status sr_utf8_next_grapheme(const char *s, size_t size, size_t *at) {
  static const char name[] = "utf8_next_grapheme";
  size_t end = *at;
  int32_t before, after, state = 0;
  SR_TRY(decode_next(name, s, size, &end, &before));
  for (size_t next = end; next < size; end = next, before = after) {
    SR_TRY(decode(name, s, size, &next, &after));
    if (utf8proc_grapheme_break_stateful(before, after, &state)) break;
  }
  *at = end;
  return SR_OK;
}

const char *sr_utf8_category(int32_t code_point) { return utf8proc_category_string(code_point); }
