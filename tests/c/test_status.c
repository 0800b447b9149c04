/* test_status.c: status names and messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/status.h"

/* Runs first: no call has failed yet. */
static void no_message_at_first(void **state) {
  (void)state;
  assert_string_equal(sr_message(), "");
}

static void every_status_has_a_name(void **state) {
  (void)state;
#define X(name, text) assert_string_equal(sr_status_name(SR_##name), text);
  SR_STATUS_LIST(X)
#undef X
  assert_int_equal(SR_OK, 0);
}

static void unknown_statuses_are_named_so(void **state) {
  (void)state;
  assert_string_equal(sr_status_name((sr_status)(SR_INTERRUPTED + 1)), "unknown status");
  assert_string_equal(sr_status_name((sr_status)-1), "unknown status");
  assert_string_equal(sr_status_name((sr_status)9999), "unknown status");
}

static void fail_keeps_the_message(void **state) {
  (void)state;
  assert_int_equal(sr__fail(SR_SHAPE, "mm: expected %d columns, got %s", 3, "[2, 4]"), SR_SHAPE);
  assert_string_equal(sr_message(), "mm: expected 3 columns, got [2, 4]");
}

static void the_last_message_stays(void **state) {
  (void)state;
  sr__fail(SR_IO, "first");
  sr__fail(SR_FORMAT, "second");
  assert_string_equal(sr_message(), "second");
}

static void fail_in_names_the_operation(void **state) {
  (void)state;
  sr__fail(SR_DTYPE, "expected float32, got int64");
  assert_int_equal(sr__fail_in(SR_DTYPE, "lstm"), SR_DTYPE);
  assert_int_equal(sr__fail_in(SR_DTYPE, "model.encoder"), SR_DTYPE);
  assert_string_equal(sr_message(), "model.encoder: lstm: expected float32, got int64");
}

static void an_argument_may_be_the_old_message(void **state) {
  (void)state;
  sr__fail(SR_IO, "abcdef");
  sr__fail(SR_IO, "<%s|%s>", sr_message(), sr_message() + 3);
  assert_string_equal(sr_message(), "<abcdef|def>");
}

static void long_messages_are_cut(void **state) {
  (void)state;
  char text[5000];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  sr__fail(SR_ARGUMENT, "%s", text);
  size_t kept = strlen(sr_message());
  assert_true(kept >= 500 && kept < sizeof text);
  assert_memory_equal(sr_message(), text, kept);
  for (int i = 0; i < 300; i++) sr__fail_in(SR_ARGUMENT, "deeply.nested");
  assert_true(strlen(sr_message()) <= kept);
  assert_memory_equal(sr_message(), "deeply.nested: deeply.nested: ", 30);
}

static sr_status halve(int value, int *half) {
  if (value % 2) return sr__fail(SR_ARGUMENT, "halve: %d is odd", value);
  *half = value / 2;
  return SR_OK;
}

static sr_status quarter(int value, int *out) {
  SR_TRY(halve(value, &value));
  SR_TRY(halve(value, &value));
  *out = value;
  return SR_OK;
}

static sr_status quarter_and_count(int value, int *out, int *left) {
  sr_status status;
  SR_TRY_GOTO(quarter(value, out), done);
  *out += 1000;
done:
  ++*left;
  return status;
}

static void try_leaves_at_the_first_failure(void **state) {
  (void)state;
  int out = -1, left = 0;
  assert_int_equal(quarter(12, &out), SR_OK);
  assert_int_equal(out, 3);
  assert_int_equal(quarter(6, &out), SR_ARGUMENT);
  assert_int_equal(out, 3);
  assert_string_equal(sr_message(), "halve: 3 is odd");
  assert_int_equal(quarter_and_count(8, &out, &left), SR_OK);
  assert_int_equal(out, 1002);
  assert_int_equal(quarter_and_count(5, &out, &left), SR_ARGUMENT);
  assert_int_equal(out, 1002);
  assert_int_equal(left, 2);
}

static void *fail_elsewhere(void *was_empty) {
  *(bool *)was_empty = sr_message()[0] == '\0';
  sr__fail(SR_IO, "the other thread's");
  return NULL;
}

static void each_thread_has_its_message(void **state) {
  (void)state;
  bool was_empty = false;
  pthread_t thread;
  sr__fail(SR_IO, "this thread's");
  assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &was_empty), 0);
  pthread_join(thread, NULL);
  assert_true(was_empty);
  assert_string_equal(sr_message(), "this thread's");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_message_at_first),
      cmocka_unit_test(every_status_has_a_name),
      cmocka_unit_test(unknown_statuses_are_named_so),
      cmocka_unit_test(fail_keeps_the_message),
      cmocka_unit_test(the_last_message_stays),
      cmocka_unit_test(fail_in_names_the_operation),
      cmocka_unit_test(an_argument_may_be_the_old_message),
      cmocka_unit_test(long_messages_are_cut),
      cmocka_unit_test(try_leaves_at_the_first_failure),
      cmocka_unit_test(each_thread_has_its_message),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
