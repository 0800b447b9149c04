/* test_memory.c: the allocator's classes and counters, failure injection, own
 * allocators, memory pressure, and the growing text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* A request that is too large returns NULL under AddressSanitizer too. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

/* Under a sanitizer freed blocks go back at once, so that a use after free is seen. */
static bool caches(void) {
  sr__free(sr__allocate(1), 1);
  return sr_memory_stats().cached_bytes > 0;
}

static int64_t live_bytes(void) { return sr_memory_stats().live_bytes; }

/* Every test starts and ends with no block alive and the standard allocator. */
static int check_empty(void **state) {
  (void)state;
  sr_memory_fail_at(0, false);
  sr_memory_on_pressure(NULL, NULL);
  sr_memory_info info = sr_memory_stats();
  if (info.live_bytes || info.live_blocks) return -1;
  sr_memory_trim();
  return sr_memory_stats().cached_bytes ? -1 : (int)sr_memory_set_allocator(NULL);
}

/* ---- blocks ----------------------------------------------------------------- */

static void blocks_are_aligned_and_apart(void **state) {
  (void)state;
  enum { N = 200 };
  unsigned char *block[N];
  for (size_t i = 0; i < N; i++) {
    block[i] = sr__allocate(i * i);
    assert_non_null(block[i]);
    assert_int_equal((uintptr_t)block[i] % 64, 0);
    memset(block[i], (int)i, i * i);
  }
  for (size_t i = 0; i < N; i++) {
    for (size_t at = 0; at < i * i; at++) assert_int_equal(block[i][at], i);
    sr__free(block[i], i * i);
  }
}

static void classes_are_four_per_power_of_two(void **state) {
  (void)state;
  static const int64_t classes[] = {64, 80, 96, 112, 128, 160, 192, 224, 256, 320};
  size_t class_at = 0;
  for (size_t bytes = 0; bytes <= 320; bytes++) {
    if ((int64_t)bytes > classes[class_at]) class_at++;
    void *block = sr__allocate(bytes);
    assert_int_equal(live_bytes(), classes[class_at]);
    sr__free(block, bytes);
  }
}

/* No request gets less than it asks for, or a quarter more and 64 bytes. */
static void rounding_wastes_little(void **state) {
  (void)state;
  for (size_t bytes = 1; bytes < (size_t)1 << 24; bytes += bytes / 7 + 1) {
    void *block = sr__allocate(bytes);
    assert_true(live_bytes() >= (int64_t)bytes);
    assert_true(live_bytes() <= (int64_t)(bytes + bytes / 4 + 64));
    sr__free(block, bytes);
    assert_int_equal(live_bytes(), 0);
  }
}

static void counters_balance(void **state) {
  (void)state;
  bool cached = caches();
  sr_memory_trim();
  sr_memory_info before = sr_memory_stats();
  void *a = sr__allocate(100), *b = sr__allocate(1000);
  sr_memory_info both = sr_memory_stats();
  assert_int_equal(both.live_blocks, 2);
  assert_int_equal(both.live_bytes, 112 + 1024);
  assert_int_equal(both.allocations, before.allocations + 2);
  assert_true(both.peak_bytes >= both.live_bytes);
  sr__free(a, 100);
  sr__free(b, 1000);
  sr_memory_info after = sr_memory_stats();
  assert_int_equal(after.live_blocks, 0);
  assert_int_equal(after.live_bytes, 0);
  assert_int_equal(after.peak_bytes, both.peak_bytes);
  assert_int_equal(after.cached_bytes, cached ? 112 + 1024 : 0);
}

static void freeing_null_is_nothing(void **state) {
  (void)state;
  sr_memory_info before = sr_memory_stats();
  sr__free(NULL, 0);
  sr__free(NULL, 123456);
  sr_memory_info after = sr_memory_stats();
  assert_memory_equal(&before, &after, sizeof before);
}

static void a_freed_block_comes_again(void **state) {
  (void)state;
  if (!caches()) skip();
  sr_memory_trim();
  void *first = sr__allocate(700);
  sr__free(first, 700);
  assert_true(sr_memory_stats().cached_bytes > 0);
  void *second = sr__allocate(690); /* of the same class */
  assert_ptr_equal(first, second);
  assert_int_equal(sr_memory_stats().cached_bytes, 0);
  sr__free(second, 690);
  sr_memory_trim();
  assert_int_equal(sr_memory_stats().cached_bytes, 0);
}

static void the_cache_is_bounded(void **state) {
  (void)state;
  enum { BLOCKS = 20, MIB = 1 << 20 };
  void *block[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) assert_non_null(block[i] = sr__allocate(32 * (size_t)MIB));
  for (int i = 0; i < BLOCKS; i++) sr__free(block[i], 32 * (size_t)MIB);
  assert_true(sr_memory_stats().cached_bytes <= 256 * (int64_t)MIB);
}

static void new_reports_a_status(void **state) {
  (void)state;
  void *block = &block;
  sr_memory_fail_at(1, false);
  assert_int_equal(sr__new(10, &block), SR_MEMORY);
  assert_ptr_equal(block, &block); /* not written */
  assert_int_equal(sr__new(10, &block), SR_OK);
  sr__free(block, 10);
}

/* ---- requests that cannot be met ---------------------------------------------- */

static void huge_requests_fail_cleanly(void **state) {
  (void)state;
  static const size_t sizes[] = {SIZE_MAX,         SIZE_MAX - 1,         SIZE_MAX - 63,
                                 SIZE_MAX - 64,    SIZE_MAX - 127,       SIZE_MAX / 2,
                                 SIZE_MAX / 2 + 1, (size_t)INT64_MAX,    (size_t)1 << 62,
                                 (size_t)1 << 50,  ((size_t)1 << 47) + 1};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char asked[32];
    snprintf(asked, sizeof asked, "%zu bytes", sizes[i]);
    assert_null(sr__allocate(sizes[i]));
    assert_non_null(strstr(sr_message(), "not enough memory"));
    assert_non_null(strstr(sr_message(), asked));
    assert_int_equal(live_bytes(), 0);
    assert_int_equal(sr_memory_stats().live_blocks, 0);
  }
}

static int failures(int requests) {
  int failed = 0;
  for (int i = 0; i < requests; i++) {
    void *block = sr__allocate(64);
    failed += block == NULL;
    sr__free(block, 64);
  }
  return failed;
}

static void the_nth_request_fails_once(void **state) {
  (void)state;
  for (int64_t n = 1; n <= 5; n++) {
    sr_memory_fail_at(n, false);
    assert_int_equal(failures((int)n - 1), 0);
    assert_int_equal(failures(1), 1);
    assert_int_equal(failures(10), 0);
  }
}

static void all_requests_fail_from_the_nth_on(void **state) {
  (void)state;
  sr_memory_fail_at(3, true);
  assert_int_equal(failures(2), 0);
  assert_int_equal(failures(10), 10);
  assert_non_null(strstr(sr_message(), "not enough memory"));
  sr_memory_fail_at(0, false);
  assert_int_equal(failures(10), 0);
}

static void an_injected_failure_changes_no_counter(void **state) {
  (void)state;
  void *kept = sr__allocate(500);
  sr_memory_info before = sr_memory_stats();
  sr_memory_fail_at(1, false);
  assert_null(sr__allocate(500));
  sr_memory_info after = sr_memory_stats();
  assert_int_equal(after.allocations, before.allocations + 1);
  after.allocations = before.allocations;
  assert_memory_equal(&before, &after, sizeof before);
  sr__free(kept, 500);
}

/* ---- own allocators ------------------------------------------------------------- */

typedef struct {
  int given, taken;
  size_t bytes; /* out now */
  size_t limit; /* more is refused */
} counting;

static void *count_resize(void *user, void *block, size_t old_bytes, size_t new_bytes) {
  counting *c = user;
  if (new_bytes == 0) {
    c->taken++;
    c->bytes -= old_bytes;
    free(block);
    return NULL;
  }
  assert_null(block);
  if (c->bytes + new_bytes > c->limit) return NULL;
  c->given++;
  c->bytes += new_bytes;
  return aligned_alloc(64, new_bytes);
}

static void an_own_allocator_is_asked_for_all(void **state) {
  (void)state;
  counting c = {.limit = SIZE_MAX};
  assert_int_equal(sr_memory_set_allocator(&(sr_allocator){count_resize, &c}), SR_OK);
  for (size_t bytes = 1; bytes < 100000; bytes += 777) sr__free(sr__allocate(bytes), bytes);
  void *large = sr__allocate(((size_t)1 << 30) + 5); /* above the largest class */
  sr__free(large, ((size_t)1 << 30) + 5);
  assert_true(c.given > 0);
  assert_int_equal(sr_memory_set_allocator(NULL), SR_OK); /* gives the cache back */
  assert_int_equal(c.given, c.taken);
  assert_int_equal(c.bytes, 0);
}

static void it_cannot_change_under_living_blocks(void **state) {
  (void)state;
  counting c = {.limit = SIZE_MAX};
  void *block = sr__allocate(1);
  assert_int_equal(sr_memory_set_allocator(&(sr_allocator){count_resize, &c}), SR_STATE);
  assert_string_equal(sr_message(), "set_allocator: 1 blocks are still in use");
  assert_int_equal(sr_memory_set_allocator(NULL), SR_STATE);
  sr__free(block, 1);
  assert_int_equal(c.given, 0);
}

static void refusal_empties_the_cache_first(void **state) {
  (void)state;
  if (!caches()) skip();
  sr_memory_trim();
  counting c = {.limit = 4096};
  assert_int_equal(sr_memory_set_allocator(&(sr_allocator){count_resize, &c}), SR_OK);
  sr__free(sr__allocate(3000), 3000); /* now cached, and in the way */
  void *block = sr__allocate(4096);
  assert_non_null(block);
  assert_null(sr__allocate(64));
  sr__free(block, 4096);
  assert_int_equal(sr_memory_set_allocator(NULL), SR_OK);
}

typedef struct {
  int calls;
  void *block;
} hoard;

static void give_up_hoard(void *user) {
  hoard *h = user;
  h->calls++;
  sr__free(h->block, 3000);
  h->block = NULL;
}

static void pressure_releases_what_nobody_uses(void **state) {
  (void)state;
  counting c = {.limit = 4096};
  assert_int_equal(sr_memory_set_allocator(&(sr_allocator){count_resize, &c}), SR_OK);
  hoard h = {0, sr__allocate(3000)};
  sr_memory_on_pressure(give_up_hoard, &h);
  void *block = sr__allocate(4000);
  assert_non_null(block);
  assert_int_equal(h.calls, 1);
  assert_null(sr__allocate(4000)); /* asked again, has no more */
  assert_int_equal(h.calls, 2);
  sr__free(block, 4000);
  assert_int_equal(sr_memory_set_allocator(NULL), SR_OK);
}

/* ---- text ------------------------------------------------------------------------- */

static void text_grows(void **state) {
  (void)state;
  sr_text text = {0};
  char expected[6000];
  size_t size = 0;
  for (int i = 0; size < 5000; i++) {
    char piece[40];
    int n = snprintf(piece, sizeof piece, "%d, ", i);
    memcpy(expected + size, piece, (size_t)n);
    size += (size_t)n;
    assert_int_equal(sr__text_format(&text, "%d, ", i), SR_OK);
    assert_int_equal(text.size, size);
    assert_int_equal(text.bytes[size], '\0');
    assert_true(text.room > text.size);
  }
  assert_memory_equal(text.bytes, expected, size);
  sr_text_free(&text);
  assert_null(text.bytes);
  assert_int_equal(live_bytes(), 0);
  sr_text_free(&text); /* again is harmless */
}

static void text_takes_bytes_and_nothing(void **state) {
  (void)state;
  sr_text text = {0};
  assert_int_equal(sr__text_add(&text, "", 0), SR_OK);
  assert_string_equal(text.bytes, "");
  assert_int_equal(sr__text_add(&text, "a\0b", 3), SR_OK);
  assert_int_equal(sr__text_add(&text, "", 0), SR_OK);
  assert_int_equal(text.size, 3);
  assert_memory_equal(text.bytes, "a\0b", 4);
  sr_text_free(&text);
}

static void text_survives_failures(void **state) {
  (void)state;
  sr_text text = {0};
  char more[300];
  memset(more, 'x', sizeof more);
  sr_memory_fail_at(1, false);
  assert_int_equal(sr__text_add(&text, "abc", 3), SR_MEMORY);
  assert_null(text.bytes);
  assert_int_equal(sr__text_add(&text, "abc", 3), SR_OK);
  sr_memory_fail_at(1, false);
  assert_int_equal(sr__text_add(&text, more, sizeof more), SR_MEMORY);
  assert_string_equal(text.bytes, "abc");
  assert_int_equal(text.size, 3);
  assert_int_equal(sr__text_add(&text, "x", SIZE_MAX - 2), SR_MEMORY);
  assert_int_equal(sr__text_add(&text, "x", SIZE_MAX / 2), SR_MEMORY);
  assert_string_equal(text.bytes, "abc");
  sr_text_free(&text);
}

static void a_piece_that_does_not_fit_is_refused(void **state) {
  (void)state;
  sr_text text = {0};
  char word[2000];
  memset(word, 'w', sizeof word - 1);
  word[sizeof word - 1] = '\0';
  assert_int_equal(sr__text_format(&text, "%s", word), SR_ARGUMENT);
  assert_null(text.bytes);
  assert_int_equal(sr__text_add(&text, word, strlen(word)), SR_OK);
  assert_string_equal(text.bytes, word);
  sr_text_free(&text);
}

#define memory_test(f) cmocka_unit_test_setup_teardown(f, check_empty, check_empty)

int main(void) {
  const struct CMUnitTest tests[] = {
      memory_test(blocks_are_aligned_and_apart),
      memory_test(classes_are_four_per_power_of_two),
      memory_test(rounding_wastes_little),
      memory_test(counters_balance),
      memory_test(freeing_null_is_nothing),
      memory_test(a_freed_block_comes_again),
      memory_test(the_cache_is_bounded),
      memory_test(new_reports_a_status),
      memory_test(huge_requests_fail_cleanly),
      memory_test(the_nth_request_fails_once),
      memory_test(all_requests_fail_from_the_nth_on),
      memory_test(an_injected_failure_changes_no_counter),
      memory_test(an_own_allocator_is_asked_for_all),
      memory_test(it_cannot_change_under_living_blocks),
      memory_test(refusal_empties_the_cache_first),
      memory_test(pressure_releases_what_nobody_uses),
      memory_test(text_grows),
      memory_test(text_takes_bytes_and_nothing),
      memory_test(text_survives_failures),
      memory_test(a_piece_that_does_not_fit_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
