/* test_utf8.c: normal forms, lower case, case folding, marks, characters, grapheme clusters,
 * and what is not UTF-8. Expected texts are Python's (unicodedata, str.lower, str.casefold). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef sr_status (*text_call)(const char *s, size_t size, sr_text *out);

static sr_status nfc(const char *s, size_t size, sr_text *out) {
  return sr_utf8_normalize(s, size, SR_NFC, out);
}
static sr_status nfd(const char *s, size_t size, sr_text *out) {
  return sr_utf8_normalize(s, size, SR_NFD, out);
}
static sr_status nfkc(const char *s, size_t size, sr_text *out) {
  return sr_utf8_normalize(s, size, SR_NFKC, out);
}
static sr_status nfkd(const char *s, size_t size, sr_text *out) {
  return sr_utf8_normalize(s, size, SR_NFKD, out);
}

static const struct {
  const char *name;
  text_call call;
} calls[] = {
    {"normalize", nfc},
    {"normalize", nfd},
    {"normalize", nfkc},
    {"normalize", nfkd},
    {"lower", sr_utf8_lower},
    {"casefold", sr_utf8_casefold},
    {"strip_marks", sr_utf8_strip_marks},
};
enum { CALLS = sizeof calls / sizeof *calls };

static void check_bytes(text_call call, const char *s, size_t size, const char *expected,
                        size_t expected_size) {
  sr_text out;
  if (call(s, size, &out)) fail_msg("%s", sr_message());
  if (out.size != expected_size || memcmp(out.bytes, expected, expected_size))
    fail_msg("\"%s\" gives \"%s\", expected \"%s\"", s, out.bytes, expected);
  assert_int_equal(out.bytes[out.size], '\0');
  sr_text_free(&out);
}

static void check(text_call call, const char *s, const char *expected) {
  check_bytes(call, s, strlen(s), expected, strlen(expected));
}

/* ---- normal forms ------------------------------------------------------------ */

static void normal_forms(void **state) {
  (void)state;
  static const char *const cases[][5] = {
      /* text, NFC, NFD, NFKC, NFKD */
      {"plain text", "plain text", "plain text", "plain text", "plain text"},
      {"\u00e9", "\u00e9", "e\u0301", "\u00e9", "e\u0301"},
      {"e\u0301", "\u00e9", "e\u0301", "\u00e9", "e\u0301"},
      {"\ufb01", "\ufb01", "\ufb01", "fi", "fi"},
      {"x\u00b2", "x\u00b2", "x\u00b2", "x2", "x2"},
      {"\u2126", "\u03a9", "\u03a9", "\u03a9", "\u03a9"},
      {"\u212b", "\u00c5", "A\u030a", "\u00c5", "A\u030a"},
      {"\u1e9b\u0323", "\u1e9b\u0323", "\u017f\u0323\u0307", "\u1e69", "s\u0323\u0307"},
      {"q\u0307\u0323", "q\u0323\u0307", "q\u0323\u0307", "q\u0323\u0307", "q\u0323\u0307"},
      {"\u0958", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c"}, /* excluded */
      {"\u0344", "\u0308\u0301", "\u0308\u0301", "\u0308\u0301", "\u0308\u0301"},
      {"<\u0338", "\u226e", "<\u0338", "\u226e", "<\u0338"},
      {"\uff21\uff8a\uff9f", "\uff21\uff8a\uff9f", "\uff21\uff8a\uff9f", "A\u30d1",
       "A\u30cf\u309a"},
      {"\U0001d15e", "\U0001d157\U0001d165", "\U0001d157\U0001d165", "\U0001d157\U0001d165",
       "\U0001d157\U0001d165"},
      {"\u4e2d\u6587", "\u4e2d\u6587", "\u4e2d\u6587", "\u4e2d\u6587", "\u4e2d\u6587"},
      {"\U0002f800", "\u4e3d", "\u4e3d", "\u4e3d", "\u4e3d"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int form = 0; form < 4; form++) check(calls[form].call, cases[i][0], cases[i][form + 1]);
}

static void hangul(void **state) {
  (void)state;
  check(nfd, "\ud55c\uae00", "\u1112\u1161\u11ab\u1100\u1173\u11af");
  check(nfc, "\u1112\u1161\u11ab\u1100\u1173\u11af", "\ud55c\uae00");
  check(nfc, "\uac00\u11a8", "\uac01");
  check(nfc, "\uac00\u11c2", "\uac1b");
  check(nfc, "\uac00\u11c3", "\uac00\u11c3");
  check(nfc, "\u1100\uac00\u11a8", "\u1100\uac01");
  check(nfkc, "\uffa1\uffc2", "\uac00"); /* half width */
}

/* The vowel before the first final consonant is no final. */
static void hangul_vowel_11a7_stays(void **state) {
  (void)state;
  check(nfc, "\uac00\u11a7", "\uac00\u11a7");
  check(nfkc, "x\u1100\u1161\u11a7\u11a7e\u0301", "x\uac00\u11a7\u11a7\u00e9");
  check(nfc, "\u11a7\u11a7", "\u11a7\u11a7");
}

/* U+FDFA decomposes into 18 code points, more than any other. */
static void the_longest_decomposition(void **state) {
  (void)state;
  static const char expected[] =
      "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 "
      "\u0639\u0644\u064a\u0647 \u0648\u0633\u0644\u0645";
  enum { TIMES = 3000 };
  size_t size = sizeof expected - 1;
  char *s = malloc(3 * TIMES), *long_expected = malloc(size * TIMES);
  check(nfkd, "\ufdfa", expected);
  for (size_t i = 0; i < TIMES; i++) {
    memcpy(s + 3 * i, "\ufdfa", 3);
    memcpy(long_expected + size * i, expected, size);
  }
  check_bytes(nfkd, s, 3 * TIMES, long_expected, size * TIMES);
  free(s);
  free(long_expected);
}

static void an_unknown_form_is_refused(void **state) {
  (void)state;
  sr_text out;
  assert_int_equal(sr_utf8_normalize("a", 1, (sr_normal_form)4, &out), SR_ARGUMENT);
  assert_string_equal(sr_message(), "normalize: there is no normal form 4");
  assert_int_equal(sr_utf8_normalize("a", 1, (sr_normal_form)-1, &out), SR_ARGUMENT);
}

/* ---- lower case ------------------------------------------------------------------ */

static void lower(void **state) {
  (void)state;
  check(sr_utf8_lower, "ABC xyz [@`{] 09", "abc xyz [@`{] 09");
  check(sr_utf8_lower, "Stra\u00dfe STRA\u1e9eE", "stra\u00dfe stra\u00dfe");
  check(sr_utf8_lower, "\u0130", "i\u0307");
  check(sr_utf8_lower, "\u01c4\u01c5", "\u01c6\u01c6");
  check(sr_utf8_lower, "\u00c9\u0152\u0416\u13a0", "\u00e9\u0153\u0436\uab70");
  check(sr_utf8_lower, "\u2160\u24b6\U00010400", "\u2170\u24d0\U00010428");
}

static void a_sigma_that_ends_a_word(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"\u03a3", "\u03c3"},
      {"A\u03a3", "a\u03c2"},
      {"A\u03a3B", "a\u03c3b"},
      {"A\u03a3 B", "a\u03c2 b"},
      {"\u03a3\u03a3\u03a3", "\u03c3\u03c3\u03c2"},
      {"A'\u03a3", "a'\u03c2"}, /* what stands within words does not count */
      {"A\u0301\u03a3:\u00adB", "a\u0301\u03c3:\u00adb"},
      {"A\u03a3.", "a\u03c2."},
      {"1\u03a3", "1\u03c3"},
      {".\u03a3", ".\u03c3"},
      {"\u00aa\u03a3", "\u00aa\u03c2"}, /* cased, without being letters of a case */
      {"\U0001f149\u03a3 \U0001f14a\u03a3", "\U0001f149\u03c2 \U0001f14a\u03c3"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check(sr_utf8_lower, cases[i][0], cases[i][1]);
}

/* Sigmas among a million marks, across pieces; looking around each must not take forever. */
static void sigmas_far_apart(void **state) {
  (void)state;
  enum { TIMES = 20000 };
  static const char unit[] = "\u03a3.......................................................",
                    small[] = "\u03c3.......................................................";
  size_t n = sizeof unit - 1;
  char *s = malloc(n * TIMES + 1), *expected = malloc(n * TIMES + 1);
  for (size_t i = 0; i < TIMES; i++) {
    memcpy(s + i * n, unit, n + 1);
    memcpy(expected + i * n, small, n + 1);
  }
  memcpy(expected + (TIMES - 1) * n, "\u03c2", 2); /* the last ends the word */
  check_bytes(sr_utf8_lower, s, n * TIMES, expected, n * TIMES);
  free(s);
  free(expected);
}

/* ---- case folding and marks ----------------------------------------------------- */

static void casefold(void **state) {
  (void)state;
  check(sr_utf8_casefold, "ABC xyz [@`{] 09", "abc xyz [@`{] 09");
  check(sr_utf8_casefold, "Stra\u00dfe", "strasse");
  check(sr_utf8_casefold, "STRA\u1e9eE", "strasse");
  check(sr_utf8_casefold, "\u0130stanbul", "i\u0307stanbul");    /* capital I with dot */
  check(sr_utf8_casefold, "D\u0131YARBAKIR", "d\u0131yarbakir"); /* dotless i stays, I is i */
  check(sr_utf8_casefold, "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
        "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3");
  check(sr_utf8_casefold, "\ufb03", "ffi");
  check(sr_utf8_casefold, "\u01c4\u01c5", "\u01c6\u01c6");
  check(sr_utf8_casefold, "\u0390", "\u03b9\u0308\u0301");
  check(sr_utf8_casefold, "\u13a0\uab70", "\u13a0\u13a0"); /* Cherokee folds upwards */
  check(sr_utf8_casefold, "\U00010400", "\U00010428");
  check(sr_utf8_casefold, "\u00e9e\u0301", "\u00e9e\u0301"); /* does not normalize */
}

static void strip_marks(void **state) {
  (void)state;
  check(sr_utf8_strip_marks, "\u015alus\u00e0rski", "Slusarski");
  check(sr_utf8_strip_marks, "O'N\u00e9\u00e0l", "O'Neal");
  check(sr_utf8_strip_marks, "na\u00efve caf\u00e9", "naive cafe");
  check(sr_utf8_strip_marks, "\u1eaalementary", "Alementary");
  check(sr_utf8_strip_marks, "\u0141\u00f3d\u017a \u00d8", "\u0141odz \u00d8"); /* no marks */
  check(sr_utf8_strip_marks, "\u0301\u0302", "");
  check(sr_utf8_strip_marks, "a\u0301\u0316\u0302z", "az");
  check(sr_utf8_strip_marks, "\ud55c", "\u1112\u1161\u11ab");             /* stays decomposed */
  check(sr_utf8_strip_marks, "\u0915\u093e\u20dd", "\u0915\u093e\u20dd"); /* Mc and Me stay */
  check(sr_utf8_strip_marks, "\ufb01", "\ufb01");
}

/* ---- canonical order of many marks ------------------------------------------------- */

/* Falling classes: 230 (U+0301) and 220 (U+0316) in turn. Sorting them one by one
 * would take minutes. */
static void many_marks_on_one_letter(void **state) {
  (void)state;
  enum { PAIRS = 300000, MARK = 2 };
  size_t size = 1 + 2 * MARK * (size_t)PAIRS;
  char *s = malloc(size), *expected = malloc(size);
  s[0] = expected[0] = 'a';
  for (size_t i = 0; i < PAIRS; i++) {
    memcpy(s + 1 + 2 * MARK * i, "\u0301\u0316", 2 * MARK);
    memcpy(expected + 1 + MARK * i, "\u0316", MARK);
    memcpy(expected + 1 + MARK * (PAIRS + i), "\u0301", MARK);
  }
  check_bytes(nfd, s, size, expected, size);
  check_bytes(sr_utf8_strip_marks, s, size, "a", 1);
  free(s);
  free(expected);
}

/* Marks of equal class keep their order, in short and in long runs. */
static void equal_marks_keep_their_order(void **state) {
  (void)state;
  check(nfd, "a\u0302\u0301\u0302\u0301", "a\u0302\u0301\u0302\u0301");
  check(nfd, "a\u0302\u0316\u0301\u0317", "a\u0316\u0317\u0302\u0301");
  check(nfd,
        "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309"
        "\u030a\u030b\u030c\u030d\u030e\u030f\u0310\u0316\u0311",
        "a\u0316\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309"
        "\u030a\u030b\u030c\u030d\u030e\u030f\u0310\u0311");
}

/* ---- long texts ----------------------------------------------------------------------- */

/* Texts are worked on in pieces: the result must not show where they meet. */
static void pieces_leave_no_seam(void **state) {
  (void)state;
  static const char unit[] = "e\u0301", composed[] = "\u00e9";
  enum { UNITS = 5000, PAD = 3 };
  char *s = malloc(UNITS * 3 + PAD), *expected = malloc(UNITS * 2 + PAD);
  for (size_t pad = 0; pad < PAD; pad++) {
    memset(s, 'x', pad);
    memset(expected, 'x', pad);
    for (size_t i = 0; i < UNITS; i++) {
      memcpy(s + pad + 3 * i, unit, 3);
      memcpy(expected + pad + 2 * i, composed, 2);
    }
    check_bytes(nfc, s, pad + 3 * UNITS, expected, pad + 2 * UNITS);
    check_bytes(nfd, expected, pad + 2 * UNITS, s, pad + 3 * UNITS);
  }
  free(s);
  free(expected);
}

static void ascii_passes_through(void **state) {
  (void)state;
  enum { SIZE = 100000 };
  char *s = malloc(SIZE + 2), *expected = malloc(SIZE + 2);
  for (size_t i = 0; i < SIZE; i++) s[i] = (char)(i % 128);
  for (int i = 0; i < CALLS; i++)
    if (calls[i].call != sr_utf8_casefold && calls[i].call != sr_utf8_lower)
      check_bytes(calls[i].call, s, SIZE, s, SIZE);
  memset(s, 'e', SIZE);
  memcpy(s + SIZE, "\u0301", 2); /* joins the last ASCII letter */
  memset(expected, 'e', SIZE);
  memcpy(expected + SIZE - 1, "\u00e9", 2);
  check_bytes(nfc, s, SIZE + 2, expected, SIZE + 1);
  free(s);
  free(expected);
}

static void empty_texts_and_nul(void **state) {
  (void)state;
  for (int i = 0; i < CALLS; i++) {
    check_bytes(calls[i].call, "", 0, "", 0);
    check_bytes(calls[i].call, NULL, 0, "", 0);
    check_bytes(calls[i].call, "\0", 1, "\0", 1);
    check_bytes(calls[i].call, "a\0\u4e2d\0", 6, "a\0\u4e2d\0", 6);
  }
}

/* ---- what is not UTF-8 ------------------------------------------------------------------- */

typedef struct {
  const char *bytes;
  size_t wrong_at;
} invalid_case;

static const invalid_case invalid_cases[] = {
    {"\x80", 0}, /* continuation without a start */
    {"abc\xbf", 3},
    {"\xc3", 0}, /* truncated */
    {"ab\xe2\x82", 2},
    {"ab\xe2\x82z", 2},
    {"\xf0\x9f\x98", 0},
    {"\u00e9\xf0\x9f", 2},
    {"x\xc3y", 1}, /* no continuation */
    {"\xe2\x28\xa1", 0},
    {"\xe2\x82\xc3\xa9", 0},
    {"\xc0\xaf", 0}, /* overlong */
    {"a\xc1\xbf", 1},
    {"ab\xe0\x9f\xbf", 2},
    {"abc\xf0\x8f\xbf\xbf", 3},
    {"\xed\xa0\x80", 0}, /* surrogates */
    {"ab\xed\xbf\xbf", 2},
    {"\xed\xa0\xbd\xed\xb8\x80", 0},
    {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
    {"a\xf5\x80\x80\x80", 1},
    {"\xf8\x88\x80\x80\x80", 0}, /* five and six bytes */
    {"\xfc\x84\x80\x80\x80\x80", 0},
    {"\xfe", 0},
    {"a\xff", 1},
    {"\u4e2d\u6587\xe4\xb8", 6},
};

static void check_invalid(const char *name, sr_status status, size_t wrong_at) {
  char expected[80];
  snprintf(expected, sizeof expected, "%s: invalid UTF-8 at byte %zu", name, wrong_at);
  assert_int_equal(status, SR_ARGUMENT);
  assert_string_equal(sr_message(), expected);
}

static void invalid_texts_are_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof invalid_cases / sizeof *invalid_cases; i++)
    for (int call = 0; call < CALLS; call++) {
      const char *s = invalid_cases[i].bytes;
      sr_text out = {(char *)s, 123, 456}, before = out;
      check_invalid(calls[call].name, calls[call].call(s, strlen(s), &out),
                    invalid_cases[i].wrong_at);
      assert_memory_equal(&out, &before, sizeof out); /* not written */
    }
}

/* Copies of exact size, so that a sanitizer sees a read beyond the end. */
static void a_text_may_end_anywhere(void **state) {
  (void)state;
  static const char s[] = "a\u00e9\u4e2d\U0001f600";
  static const size_t wrong_at[] = {9, 9, 1, 9, 3, 3, 9, 6, 6, 6, 9};
  for (size_t size = 1; size < sizeof s; size++) {
    char *copy = malloc(size);
    sr_text out;
    memcpy(copy, s, size);
    if (wrong_at[size] < 9) {
      check_invalid("normalize", nfc(copy, size, &out), wrong_at[size]);
    } else {
      check_bytes(nfc, copy, size, s, size);
    }
    free(copy);
  }
}

static void offsets_count_from_the_beginning(void **state) {
  (void)state;
  enum { SIZE = 20000 };
  char *s = malloc(SIZE);
  for (size_t at = 0; at < SIZE; at += 997) {
    sr_text out;
    memset(s, 'x', SIZE);
    s[at] = '\xff';
    check_invalid("casefold", sr_utf8_casefold(s, SIZE, &out), at);
    check_invalid("strip_marks", sr_utf8_strip_marks(s, SIZE, &out), at);
    check_invalid("lower", sr_utf8_lower(s, SIZE, &out), at);
  }
  free(s);
}

/* ---- characters ---------------------------------------------------------------------------- */

static void next_walks_over_code_points(void **state) {
  (void)state;
  static const char s[] = "a\0\u00e9\u4e2d\U0001f600\U0010ffff";
  static const int32_t expected[] = {'a', 0, 0xe9, 0x4e2d, 0x1f600, 0x10ffff};
  size_t at = 0, size = sizeof s - 1;
  int32_t c;
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    assert_int_equal(sr_utf8_next(s, size, &at, &c), SR_OK);
    assert_int_equal(c, expected[i]);
  }
  assert_int_equal(at, size);
  assert_int_equal(sr_utf8_next(s, size, &at, &c), SR_ARGUMENT);
  assert_string_equal(sr_message(), "utf8_next: no character at byte 15 of a text of 15");
  assert_int_equal(at, size);
}

static void next_refuses_what_is_not_utf8(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof invalid_cases / sizeof *invalid_cases; i++) {
    const char *s = invalid_cases[i].bytes;
    size_t at = 0, wrong_at = invalid_cases[i].wrong_at;
    int32_t c = -7;
    while (at < wrong_at) assert_int_equal(sr_utf8_next(s, strlen(s), &at, &c), SR_OK);
    c = -7;
    check_invalid("utf8_next", sr_utf8_next(s, strlen(s), &at, &c), wrong_at);
    assert_int_equal(at, wrong_at);
    assert_int_equal(c, -7);
  }
  size_t far = SIZE_MAX;
  int32_t c;
  assert_int_equal(sr_utf8_next("a", 1, &far, &c), SR_ARGUMENT);
}

/* Clusters are divided by | in the expected text. */
static void check_graphemes(const char *divided) {
  char s[200], found[400] = "";
  size_t size = 0, at = 0, n = 0;
  for (const char *p = divided; *p; p++)
    if (*p != '|') s[size++] = *p;
  while (at < size) {
    size_t start = at;
    assert_int_equal(sr_utf8_next_grapheme(s, size, &at), SR_OK);
    assert_true(at > start);
    if (start) found[n++] = '|';
    memcpy(found + n, s + start, at - start);
    n += at - start;
  }
  found[n] = '\0';
  assert_string_equal(found, divided);
}

static void grapheme_clusters(void **state) {
  (void)state;
  check_graphemes("a|b|c");
  check_graphemes("e\u0301|e|\u00e9");
  check_graphemes("\r\n|\n|\r|a|\n|\u0301"); /* a mark does not join a line end */
  check_graphemes("a\u0301\u0316\u0302|b");
  check_graphemes("\u1112\u1161\u11ab|\u1100\u1173\u11af|\ud55c");
  check_graphemes("\u0915\u093e|\u0928");
  check_graphemes("\u4e2d|\u6587");
}

static void emoji_clusters(void **state) {
  (void)state;
  /* a family joined by ZWJ, a skin tone, a rainbow flag */
  check_graphemes("\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466|x");
  check_graphemes("\U0001f44d\U0001f3fd|\U0001f44d");
  check_graphemes("\U0001f3f3\ufe0f\u200d\U0001f308|!");
  check_graphemes("\u2764\ufe0f|1\ufe0f\u20e3");
  /* flags are pairs: FI, SE, a lone F */
  check_graphemes("\U0001f1eb\U0001f1ee|\U0001f1f8\U0001f1ea|\U0001f1eb");
  check_graphemes("a|\U0001f1eb\U0001f1ee|b");
  /* ZWJ joins emoji only */
  check_graphemes("a\u200d|\U0001f469");
}

static void graphemes_refuse_what_is_not_utf8(void **state) {
  (void)state;
  static const char s[] = "e\u0301\u0302\xed\xa0\x80";
  size_t at = 0;
  check_invalid("utf8_next_grapheme", sr_utf8_next_grapheme(s, sizeof s - 1, &at), 5);
  assert_int_equal(at, 0);
  at = 5;
  check_invalid("utf8_next_grapheme", sr_utf8_next_grapheme(s, sizeof s - 1, &at), 5);
  at = sizeof s - 1;
  assert_int_equal(sr_utf8_next_grapheme(s, sizeof s - 1, &at), SR_ARGUMENT);
  assert_int_equal(at, sizeof s - 1);
}

static void categories(void **state) {
  (void)state;
  static const struct {
    int32_t code_point;
    const char *category;
  } cases[] = {
      {'A', "Lu"},   {'a', "Ll"},      {0x1c5, "Lt"},     {0x2b0, "Lm"},     {0x4e2d, "Lo"},
      {0x301, "Mn"}, {0x93e, "Mc"},    {0x20dd, "Me"},    {'7', "Nd"},       {0x2167, "Nl"},
      {0xb2, "No"},  {'_', "Pc"},      {'-', "Pd"},       {'(', "Ps"},       {')', "Pe"},
      {0xab, "Pi"},  {0xbb, "Pf"},     {'!', "Po"},       {'+', "Sm"},       {0x20ac, "Sc"},
      {'^', "Sk"},   {0xa9, "So"},     {' ', "Zs"},       {0x2028, "Zl"},    {0x2029, "Zp"},
      {'\n', "Cc"},  {0x200d, "Cf"},   {0xd800, "Cs"},    {0xe000, "Co"},    {0x378, "Cn"},
      {-1, "Cn"},    {0x110000, "Cn"}, {INT32_MAX, "Cn"}, {INT32_MIN, "Cn"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_string_equal(sr_utf8_category(cases[i].code_point), cases[i].category);
}

/* ---- memory -------------------------------------------------------------------------- */

/* Every allocation is made to fail, one after another: nothing is written,
 * nothing leaks, and the next call succeeds. */
static void each_allocation_may_fail(void **state) {
  (void)state;
  enum { SIZE = 30000 };
  char *s = malloc(SIZE);
  s[0] = 'a';
  for (size_t i = 1; i + 1 < SIZE; i += 2) memcpy(s + i, i / 2 % 2 ? "\u0316" : "\u0301", 2);
  int64_t blocks = sr_memory_stats().live_blocks;
  for (int call = 0; call < CALLS; call++)
    for (int64_t n = 1;; n++) {
      sr_text out = {NULL, 77, 0};
      sr_memory_fail_at(n, false);
      sr_status status = calls[call].call(s, SIZE - 1, &out);
      sr_memory_fail_at(0, false);
      if (!status) {
        assert_true(n > 2);
        sr_text_free(&out);
        break;
      }
      assert_int_equal(status, SR_MEMORY);
      assert_int_equal(out.size, 77);
      assert_int_equal(sr_memory_stats().live_blocks, blocks);
    }
  free(s);
}

static int no_block_lives(void **state) {
  (void)state;
  return sr_memory_stats().live_blocks ? -1 : 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(normal_forms),
      cmocka_unit_test(hangul),
      cmocka_unit_test(hangul_vowel_11a7_stays),
      cmocka_unit_test(the_longest_decomposition),
      cmocka_unit_test(an_unknown_form_is_refused),
      cmocka_unit_test(lower),
      cmocka_unit_test(a_sigma_that_ends_a_word),
      cmocka_unit_test(sigmas_far_apart),
      cmocka_unit_test(casefold),
      cmocka_unit_test(strip_marks),
      cmocka_unit_test(many_marks_on_one_letter),
      cmocka_unit_test(equal_marks_keep_their_order),
      cmocka_unit_test(pieces_leave_no_seam),
      cmocka_unit_test(ascii_passes_through),
      cmocka_unit_test(empty_texts_and_nul),
      cmocka_unit_test(invalid_texts_are_refused),
      cmocka_unit_test(a_text_may_end_anywhere),
      cmocka_unit_test(offsets_count_from_the_beginning),
      cmocka_unit_test(next_walks_over_code_points),
      cmocka_unit_test(next_refuses_what_is_not_utf8),
      cmocka_unit_test(grapheme_clusters),
      cmocka_unit_test(emoji_clusters),
      cmocka_unit_test(graphemes_refuse_what_is_not_utf8),
      cmocka_unit_test(categories),
      cmocka_unit_test(each_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, no_block_lives);
}
