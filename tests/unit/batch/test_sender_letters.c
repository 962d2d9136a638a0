/* What becomes of refused records: dead letters, in order, and none while all are refused. */
#include "sending.h"

#include "batch/isolate.h"
#include "config/reload.h"
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[128], other[128];

static int setup_letters(void **state)
{
    strcpy(folder, "/tmp/kx-sender-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/db.ndjson", folder);
    snprintf(other, sizeof other, "%s/other.ndjson", folder);
    dead_letter = (struct kx_dead_letter_config){.on = true, .path = path, .bytes = 1 << 20};
    return setup(state);
}

static int teardown_letters(void **state)
{
    unlink(path);
    unlink(other);
    rmdir(path);
    assert_int_equal(rmdir(folder), 0);
    return teardown(state);
}

/* The file holds a letter of each of these records, in this order, each with its own error. */
static void expect_letters(const char *file_path, const uint64_t *sequences, size_t count)
{
    static char line[1 << 16];
    FILE *file = fopen(file_path, "r");
    if (file == NULL) {
        assert_int_equal(count, 0);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char number[64], error[64];
        assert_non_null(fgets(line, sizeof line, file));
        snprintf(number, sizeof number, "\"sequence\":%u,", (unsigned)sequences[i]);
        snprintf(error, sizeof error, "\"error\":\"refused, it holds record %u\"",
                 (unsigned)sequences[i]);
        assert_non_null(strstr(line, number));
        assert_non_null(strstr(line, error));
        assert_non_null(strstr(line, "\"reason\":\"R0\""));
        assert_non_null(strstr(line, "\"when\":\"1970-01-01T")); /* the clock that it was told */
    }
    assert_null(fgets(line, sizeof line, file));
    assert_int_equal(fclose(file), 0);
}

static void test_one_in_a_thousand(void **state)
{
    (void)state;
    static const uint64_t letters[] = {777};
    fake.poison[777] = true;
    push(1000);
    run();
    expect_taken_in_order();
    expect_account(999, 0, 0, 0);
    assert_int_equal(count_of(KX_C_DEAD_LETTERED), 1);
    expect_letters(path, letters, 1);
    expect_state(KX_SINK_OK, "");
}

/* Events and devices; a run of one reason, each with what was said of it alone. */
static void test_several(void **state)
{
    (void)state;
    static const uint64_t letters[] = {3, 4, 5, 20, 40, 41};
    for (size_t i = 0; i < 6; i++)
        fake.poison[letters[i]] = true;
    push(30);
    push(30);
    run();
    expect_account(54, 0, 0, 0);
    expect_letters(path, letters, 6);
    assert_int_equal(complaints, 0);
}

/* Nothing is written of what may be the configuration's fault; once the far end takes a record, the
 * bad ones before it are written, and then those behind it. */
static void test_none_while_all_is_refused(void **state)
{
    (void)state;
    static const uint64_t letters[] = {1, 3, 90};
    fake.then = KX_REJECTED;
    push(100);
    for (int hour = 0; hour < 60; hour++) {
        now_ns = run();
        expect_state(KX_SINK_HELD, "rejected_all: every record is refused: refused, it holds");
        expect_letters(path, NULL, 0);
        expect_account(0, 0, 0, 100);
    }
    assert_int_equal(count_of(KX_C_HOLDS), 60);
    fake.then = KX_SENT;
    for (size_t i = 0; i < 3; i++)
        fake.poison[letters[i]] = true;
    kx_sender_poke(sender);
    run();
    expect_taken_in_order();
    expect_account(97, 0, 0, 0);
    expect_letters(path, letters, 3);
    expect_state(KX_SINK_OK, "");
}

/* The hold that comes in the middle of a batch keeps what it had set aside, too. */
static void test_none_of_a_run(void **state)
{
    (void)state;
    static const uint64_t letters[] = {50, 120};
    fake.poison[50] = true; /* the records behind it are taken: bad */
    for (uint32_t i = 101; i <= 100 + KX_REJECTED_RUN; i++)
        fake.poison[i] = true;
    push(200);
    now_ns = run();
    expect_state(KX_SINK_HELD, "rejected_all");
    expect_letters(path, letters, 1);
    expect_account(99, 0, 0, 100);
    memset(fake.poison, 0, sizeof fake.poison);
    fake.poison[120] = true;
    run();
    expect_account(198, 0, 0, 0);
    expect_letters(path, letters, 2);
}

/* A sink that takes the good records at once leaves the bad ones to be tried one behind the other:
 * that is no run, since good ones were between them. */
static void test_many_bad_ones_behind_good_ones(void **state)
{
    (void)state;
    uint64_t letters[120];
    fake.good_first = true;
    for (uint32_t i = 0; i < 120; i++)
        fake.poison[letters[i] = 3 + 8 * (uint64_t)i + i % 3] = true;
    push(1000);
    assert_int_equal(run(), 0);
    expect_account(880, 0, 0, 0);
    expect_letters(path, letters, 120);
    assert_int_equal(count_of(KX_C_HOLDS), 0);
    expect_state(KX_SINK_OK, "");
}

/* But where none was between them it is one, also behind others; and what was taken before the hold
 * is no sign that the far end takes records now. */
static void test_a_run_behind_good_ones(void **state)
{
    (void)state;
    static const uint64_t letters[] = {10, 20, 30};
    fake.good_first = true;
    fake.poison[10] = fake.poison[20] = fake.poison[30] = true;
    for (uint32_t i = 101; i <= 100 + KX_REJECTED_RUN; i++)
        fake.poison[i] = true;
    push(200);
    now_ns = run();
    expect_state(KX_SINK_HELD, "rejected_all");
    expect_account(147, 0, 0, 50);
    expect_letters(path, letters, 3);
    for (int i = 0; i < 3; i++) {
        now_ns = run();
        expect_state(KX_SINK_HELD, "rejected_all");
        expect_account(147, 0, 0, 50);
    }
    memset(fake.poison, 0, sizeof fake.poison);
    run();
    expect_account(197, 0, 0, 0);
    expect_letters(path, letters, 3);
}

/* Every other record is confirmed before an operator is wanted; then nothing is taken any more. */
static enum kx_outcome
half_then_none(struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    (void)call;
    bool first = fake.call_count++ == 0;
    for (uint32_t i = batch->first; first && i < batch->end; i += 2)
        fake_confirm(batch, i);
    return first ? KX_HOLD : fake_reject(batch, err);
}

static void test_what_was_taken_before_a_hold(void **state)
{
    (void)state;
    fake.deliver = half_then_none;
    push(200);
    for (int i = 0; i < 4; i++) {
        now_ns = run();
        expect_account(100, 0, 0, 100);
        expect_letters(path, NULL, 0);
    }
    expect_state(KX_SINK_HELD, "rejected_all");
    fake.deliver = NULL;
    run();
    expect_account(200, 0, 0, 0);
}

static enum kx_outcome
late_confirmation(struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    (void)call;
    if (fake.call_count++ < 2)
        return fake_reject(batch, err);
    fake_confirm(batch, 0);
    for (uint32_t i = batch->first; i < batch->end; i++)
        fake_confirm(batch, i);
    return KX_SENT;
}

/* A broker confirms what it seemed to refuse: delivered it is, and no dead letter. */
static void test_confirmed_after_all(void **state)
{
    (void)state;
    fake.deliver = late_confirmation;
    push(3);
    run();
    assert_int_equal(fake.call_count, 3);
    expect_account(3, 0, 0, 0);
    expect_letters(path, NULL, 0);
}

/* A refused record is an answer: what was wrong before is over. */
static void test_state_after_a_refusal(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_RETRY, KX_REJECTED, KX_HOLD, KX_REJECTED};
    static const enum kx_sink_state states[] = {KX_SINK_RETRYING, KX_SINK_HELD};
    fake.script = script;
    fake.script_length = 4;
    for (int i = 0; i < 2; i++) {
        push(1);
        now_ns = run();
        expect_state(states[i], "outcome");
        assert_int_equal(run(), 0);
        expect_state(KX_SINK_OK, "");
    }
    assert_int_equal(count_of(KX_C_DEAD_LETTERED), 2);
    /* The good ones of a batch are one too. */
    fake.good_first = true;
    fake.script = (const enum kx_outcome[]){KX_HOLD};
    fake.script_length = 1;
    fake.call_count = 0;
    fake.poison[4] = fake.poison[5] = true;
    push(10);
    now_ns = run();
    expect_state(KX_SINK_HELD, "outcome");
    uint64_t until_ns;
    kx_sender_step(sender, now_ns, 1, &until_ns);
    kx_sender_step(sender, now_ns, 1, &until_ns);
    expect_state(KX_SINK_OK, "");
    run();
    assert_int_equal(count_of(KX_C_DEAD_LETTERED), 4);
}

/* Refused, but never found to be alone in it: it was not delivered, and is no dead letter. */
static void test_stop_before_the_verdict(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_REJECTED, KX_REJECTED};
    fake.script = script;
    fake.script_length = 2;
    fake.then = KX_RETRY;
    push(2);
    run();
    expect_account(0, 0, 0, 2);
    uint64_t deadline_ns = now_ns + S(6);
    kx_sender_stop(sender, deadline_ns);
    run();
    now_ns = deadline_ns;
    run();
    close_and_end();
    expect_account(0, 0, 2, 0);
    expect_letters(path, NULL, 0);
}

/* No place: delivery goes on, the records are dropped and counted, and it is said once. */
static void test_no_place(void **state)
{
    (void)state;
    static const uint64_t letters[] = {35};
    assert_int_equal(mkdir(path, 0700), 0);
    for (uint32_t i = 5; i <= 65; i += 10)
        fake.poison[i] = true;
    for (int i = 0; i < 3; i++) {
        push(10);
        run();
    }
    expect_account(27, 3, 0, 0);
    assert_int_equal(complaints, 1);
    assert_int_equal(count_of(KX_C_DEAD_LETTER_FAILED), 3);
    assert_int_equal(rmdir(path), 0);
    push(10);
    run();
    expect_account(36, 3, 0, 0);
    expect_letters(path, letters, 1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 0; i < 3; i++) {
        push(10);
        run();
    }
    expect_account(63, 6, 0, 0);
    assert_int_equal(complaints, 2); /* of another time */
    expect_state(KX_SINK_OK, "");
}

static void reopen_with(const char *to)
{
    static char name[] = "db";
    char copied[128];
    strcpy(copied, to);
    const struct kx_sink_config config = {
        .name = name, .dead_letter = {.on = true, .path = copied, .bytes = 1 << 20}};
    struct kx_sink_config *copy = NULL;
    bool anew;
    assert_int_equal(kx_sink_config_merge(&config, &config, &copy, &anew, NULL), KX_OK);
    kx_sender_reopen(sender, copy);
}

/* A reload may send them elsewhere; one that fails leaves them where they were. */
static void test_reopened(void **state)
{
    (void)state;
    static const uint64_t letters[] = {2, 22, 12};
    for (size_t i = 0; i < 3; i++)
        fake.poison[letters[i]] = true;
    push(10);
    run();
    reopen_with(other);
    run();
    push(10);
    run();
    fake.open = KX_ERR_CONFIG;
    reopen_with(path);
    run();
    push(10);
    run();
    fake.open = KX_OK;
    expect_account(27, 0, 0, 0);
    expect_letters(path, letters, 1);
    expect_letters(other, (const uint64_t[]){12, 22}, 2);
}

#define TEST_LETTERS(name) cmocka_unit_test_setup_teardown(name, setup_letters, teardown_letters)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_LETTERS(test_one_in_a_thousand),
        TEST_LETTERS(test_several),
        TEST_LETTERS(test_none_while_all_is_refused),
        TEST_LETTERS(test_none_of_a_run),
        TEST_LETTERS(test_many_bad_ones_behind_good_ones),
        TEST_LETTERS(test_a_run_behind_good_ones),
        TEST_LETTERS(test_what_was_taken_before_a_hold),
        TEST_LETTERS(test_confirmed_after_all),
        TEST_LETTERS(test_state_after_a_refusal),
        TEST_LETTERS(test_stop_before_the_verdict),
        TEST_LETTERS(test_no_place),
        TEST_LETTERS(test_reopened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
