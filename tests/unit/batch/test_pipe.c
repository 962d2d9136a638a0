/* Both threads together: a torture with slow ends, ends that hang, starts that fail, log lines. */
#include "fake.h"

#include "base/clock.h"
#include "base/log.h"
#include "batch/pipe.h"
#include "ring/ring.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { PIPES = 3, DEVICES = 2000, WAIT_S = 20 };

/* pthread_create that fails when a test says so: after that many successes. */
static int threads_left = -1;

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (next == NULL) {
        void *symbol = dlsym(RTLD_NEXT, "pthread_create");
        memcpy(&next, &symbol, sizeof next);
    }
    if (threads_left == 0)
        return EAGAIN;
    if (threads_left > 0)
        threads_left--;
    return next(thread, attr, run, arg);
}

/* One end; its sender's thread writes it, main reads it after the join or where atomic. */
struct far_end {
    int slow_ms;         /* a call takes up to this long */
    bool moody;          /* now and then something else than KX_SENT */
    int hang_fd;         /* >= 0: deliver blocks until it can read a byte, whatever the deadline */
    bool wait_for_abort; /* deliver waits for stop_fd alone */
    _Atomic int answer;  /* enum kx_outcome of deliver */
    _Atomic uint64_t calls;
    uint64_t random;
    uint64_t delivered, events;
    uint64_t last[DEVICES]; /* newest sequence that came for the device */
    uint64_t last_event;
};
static struct far_end ends[PIPES];
static struct kx_sink_config sinks[PIPES];
static char names[PIPES][64];
static struct kx_config config;
static struct kx_board *board;
static struct kx_ring *ring;
static struct kx_pipe *pipes[PIPES];
static struct kx_counters *process;
static size_t pipe_count;
static uint64_t offered, offered_sequence;
static _Atomic int closed; /* sinks, by their threads */

static enum kx_code end_open(const struct kx_sink_config *sink,
                             const struct kx_sink_env *env,
                             void **ret_self,
                             struct kx_error *err)
{
    (void)env;
    if (fake.open != KX_OK)
        return kx_error_set(err, fake.open, 0, "no such place");
    *ret_self = &ends[sink - sinks];
    return KX_OK;
}

/* As long as the call may take, a readable stop_fd ends it. */
static bool told_to_stop(const struct kx_call *call, int ms)
{
    struct pollfd poll_fd = {.fd = call->stop_fd, .events = POLLIN};
    return poll(&poll_fd, 1, ms) == 1;
}

static void end_take(struct far_end *end, struct kx_batch *batch, uint32_t i)
{
    if (kx_batch_done(batch, i))
        return;
    const struct kx_record *record = kx_batch_record(batch, i);
    uint64_t *last = &end->last_event;
    if (record->kind == KX_KIND_DEVICE)
        last = &end->last[record->device_id];
    else
        end->events++;
    if (record->sequence <= *last)
        abort(); /* an older state after a newer one; cmocka's assertions are not for threads */
    *last = record->sequence;
    kx_batch_mark(batch, i);
    end->delivered++;
}

static enum kx_outcome
end_deliver(void *self, struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    struct far_end *end = self;
    atomic_fetch_add(&end->calls, 1);
    if (end->hang_fd >= 0) {
        char byte;
        while (read(end->hang_fd, &byte, 1) < 0 && errno == EINTR)
            ;
    }
    if (end->wait_for_abort && told_to_stop(call, WAIT_S * 1000))
        return KX_RETRY;
    if (end->slow_ms > 0 &&
        told_to_stop(call, (int)random_below(&end->random, (uint64_t)end->slow_ms + 1)))
        return KX_RETRY;
    enum kx_outcome outcome = (enum kx_outcome)atomic_load(&end->answer);
    uint64_t dice = end->moody ? random_below(&end->random, 20) : 20;
    if (dice == 0)
        outcome = KX_HOLD; /* main pokes */
    else if (dice == 1)
        outcome = KX_RETRY;
    for (uint32_t i = batch->first; end->moody && i < batch->end; i++)
        if (kx_batch_record(batch, i)->sequence % 997 == 0 && !kx_batch_done(batch, i))
            outcome = KX_REJECTED;
    if (outcome == KX_SENT)
        for (uint32_t i = batch->first; i < batch->end; i++)
            end_take(end, batch, i);
    else if (outcome == KX_RETRY) { /* some of it arrived */
        end_take(end, batch, batch->first);
        batch->retry_after_ns = MS(1);
    }
    kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "the end says %d", (int)outcome);
    return outcome;
}

static void end_close(void *self)
{
    (void)self;
    atomic_fetch_add(&closed, 1);
}

static const struct kx_sink_ops table_ops = {.type = "table",
                                             .newest_per_device = true,
                                             .open = end_open,
                                             .deliver = end_deliver,
                                             .close = end_close};
static const struct kx_sink_ops series_ops = {
    .type = "series", .open = end_open, .deliver = end_deliver, .close = end_close};

static bool quit(const struct kx_pipe *pipe)
{
    return kx_pipe_alive_ns(pipe) == UINT64_MAX;
}

static void begin(size_t count)
{
    memset(ends, 0, sizeof ends);
    memset(pipes, 0, sizeof pipes);
    fake_reset();
    atomic_store(&closed, 0);
    config = (struct kx_config){.command = KX_COMMAND_RUN, .max_devices = DEVICES};
    pipe_count = count;
    offered = offered_sequence = 0;
    assert_int_equal(kx_board_create(&board, 0, count, NULL), KX_OK);
    assert_int_equal(kx_ring_create(&ring, KX_RING_BYTES_MIN, (unsigned)count, 0, NULL), KX_OK);
    process = kx_counters_create();
    assert_non_null(process);
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "end-%zu-with-a-long-name", i);
        sinks[i] = (struct kx_sink_config){
            .name = names[i],
            .batch = {.records = 100, .bytes = 65536, .interval_ns = MS(10)},
            .delta = {.mode = KX_DELTA_OFF}};
        ends[i].hang_fd = -1;
        ends[i].random = i + 1;
    }
}

static enum kx_code create(size_t i, const struct kx_sink_ops *ops, struct kx_error *err)
{
    struct kx_pipe_params params = {.config = &config,
                                    .sink = &sinks[i],
                                    .ops = ops,
                                    .board = board,
                                    .index = i,
                                    .ring = ring,
                                    .reader = (unsigned)i,
                                    .process = process};
    return kx_pipe_create(&pipes[i], &params, err);
}

static void start(size_t i, const struct kx_sink_ops *ops)
{
    assert_int_equal(create(i, ops, NULL), KX_OK);
    assert_true(quit(pipes[i]));
    assert_int_equal(kx_pipe_start(pipes[i], NULL), KX_OK);
}

static void end(void)
{
    for (size_t i = 0; i < pipe_count; i++)
        kx_pipe_destroy(pipes[i]);
    kx_pipe_destroy(NULL);
    kx_ring_destroy(ring);
    kx_board_destroy(board);
    kx_counters_destroy(process);
}

static void offer(union made *made, uint64_t *random)
{
    bool event = random_below(random, 10) == 0;
    size_t text = random_below(random, 300);
    const struct kx_record *record =
        event ? made_event(made, ++offered_sequence, text)
              : made_device(made, (uint32_t)random_below(random, DEVICES), 1, ++offered_sequence,
                            text);
    offered++;
    void *place = kx_ring_reserve(ring, record->length);
    if (place == NULL) {
        kx_count(process, event ? KX_C_RING_REFUSED_EVENT : KX_C_RING_REFUSED_DEVICE, 1);
        return;
    }
    memcpy(place, record, record->length);
    kx_ring_commit(ring, record->length);
}

static void offer_some(unsigned count)
{
    union made made;
    uint64_t random = 5;
    for (unsigned i = 0; i < count; i++)
        offer(&made, &random);
    kx_ring_publish(ring);
}

/* After the threads' end the account is exact, and the far end agrees. */
static void expect_account(size_t i)
{
    struct kx_sink_totals totals = kx_pipe_totals(pipes[i]);
    char line[KX_TOTALS_LINE_MAX];
    kx_sink_totals_line(&totals, line);
    print_message("%s: %s\n", names[i], line);
    assert_true(kx_conservation(&totals));
    assert_int_equal(totals.received, offered);
    assert_int_equal(totals.pending, 0);
    assert_int_equal(totals.delivered, ends[i].delivered);
    assert_int_equal(totals.events_delivered, ends[i].events);
    assert_true(quit(pipes[i]));
}

static void join(size_t i)
{
    struct kx_error err;
    if (kx_pipe_join(pipes[i], kx_clock_boot_ns() + S(WAIT_S), &err) != KX_OK)
        fail_msg("%s", err.text);
}

/* Waits until the expression is true, no longer than WAIT_S. */
#define WAIT(expression)                                                                           \
    do {                                                                                           \
        uint64_t deadline_ns = kx_clock_boot_ns() + S(WAIT_S);                                     \
        while (!(expression) && kx_clock_boot_ns() < deadline_ns)                                  \
            poll(NULL, 0, 1);                                                                      \
        assert_true(expression);                                                                   \
    } while (0)

/* A writer at full speed, a slow end, a moody one, a table, for two seconds. */
static void test_torture(void **state)
{
    (void)state;
    begin(3);
    ends[0].slow_ms = 20;
    ends[1].moody = true;
    ends[1].slow_ms = 1;
    start(0, &series_ops);
    start(1, &series_ops);
    start(2, &table_ops);
    union made made;
    uint64_t random = 99, until_ns = kx_clock_boot_ns() + S(2);
    while (kx_clock_boot_ns() < until_ns) {
        for (int i = 0; i < 200; i++)
            offer(&made, &random);
        kx_ring_publish(ring);
        kx_pipe_poke(pipes[1]);
        for (size_t i = 0; i < 3; i++) { /* as a scrape and the watchdog would */
            struct kx_sink_totals totals = kx_pipe_totals(pipes[i]);
            assert_true(totals.received <= offered);
            assert_true(kx_pipe_alive_ns(pipes[i]) > until_ns - S(2));
            struct kx_sink_status status;
            kx_board_sink_get(board, i, &status);
        }
        if (random_below(&random, 4) == 0) /* let them sleep now and then */
            poll(NULL, 0, 2);
    }
    kx_ring_close(ring);
    uint64_t now_ns = kx_clock_boot_ns();
    for (size_t i = 0; i < 3; i++)
        kx_pipe_stop(pipes[i], now_ns + S(6), now_ns + S(8));
    for (size_t i = 0; i < 3; i++) {
        join(i);
        expect_account(i);
        assert_true(ends[i].delivered > 0);
    }
    end();
    assert_int_equal(atomic_load(&closed), 3);
}

/* The ring ends and nobody stops anything: everything arrives, however long it takes. */
static void replay(bool patient)
{
    begin(2);
    config.command = patient ? KX_COMMAND_REPLAY : KX_COMMAND_RUN;
    ends[0].slow_ms = 5;
    start(0, &series_ops);
    start(1, &series_ops);
    union made made;
    uint64_t random = 3;
    for (int i = 0; i < 3000; i++) {
        if (i % 100 == 0)
            WAIT(kx_ring_has_room(ring));
        offer(&made, &random);
        if (i % 100 == 99)
            kx_ring_publish(ring);
    }
    kx_ring_close(ring);
    for (size_t i = 0; i < 2; i++) {
        join(i);
        expect_account(i);
        assert_true(!patient || ends[i].delivered == 3000);
    }
    end();
}

static void test_replay(void **state)
{
    (void)state;
    replay(true);
    replay(false);
}

static void test_abort(void **state)
{
    (void)state;
    begin(1);
    ends[0].wait_for_abort = true;
    start(0, &series_ops);
    offer_some(500);
    WAIT(atomic_load(&ends[0].calls) > 0);
    kx_ring_close(ring);
    uint64_t now_ns = kx_clock_boot_ns();
    assert_true(kx_pipe_alive_ns(pipes[0]) > now_ns);
    kx_pipe_stop(pipes[0], now_ns + MS(20), now_ns + MS(60));
    join(0);
    expect_account(0);
    assert_int_equal(ends[0].delivered, 0);
    end();
}

/* A call that nothing ends: its thread is left behind and said so; later it comes back. */
static void test_left_behind(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    begin(1);
    ends[0].hang_fd = fds[0];
    start(0, &series_ops);
    offer_some(50);
    WAIT(atomic_load(&ends[0].calls) > 0);
    kx_ring_close(ring);
    uint64_t now_ns = kx_clock_boot_ns();
    kx_pipe_stop(pipes[0], now_ns, now_ns);
    struct kx_error err;
    assert_int_equal(kx_pipe_join(pipes[0], now_ns + MS(50), &err), KX_ERR_TIMEOUT);
    assert_non_null(strstr(err.text, "s:end-0-with-a-"));
    assert_non_null(strstr(err.text, "sink end-0-with-a-long-name"));
    struct kx_sink_totals totals = kx_pipe_totals(pipes[0]);
    assert_true(totals.pending > 0);
    assert_true(kx_conservation(&totals)); /* nobody touches its records */
    kx_pipe_destroy(pipes[0]);             /* does nothing */
    assert_int_equal(close(fds[1]), 0);
    join(0);
    expect_account(0);
    close(fds[0]);
    end();
}

static void test_starts_that_fail(void **state)
{
    (void)state;
    struct kx_error err;
    begin(1);
    fake.open = KX_ERR_CONFIG;
    assert_int_equal(create(0, &series_ops, &err), KX_ERR_CONFIG);
    assert_string_equal(err.text, "no such place");
    fake.open = KX_OK;
    for (int threads = 0; threads < 2; threads++) {
        assert_int_equal(create(0, &series_ops, &err), KX_OK);
        threads_left = threads;
        assert_int_equal(kx_pipe_start(pipes[0], &err), KX_ERR_IO);
        threads_left = -1;
        assert_non_null(strstr(err.text, threads == 0 ? "s:end-0-with-a-" : "w:end-0-with-a-"));
        kx_pipe_destroy(pipes[0]);
        assert_int_equal(atomic_load(&closed), threads + 1);
    }
    /* A pipe that never started. */
    assert_int_equal(create(0, &series_ops, &err), KX_OK);
    assert_int_equal(kx_pipe_join(pipes[0], 1, &err), KX_OK);
    end();
    assert_int_equal(atomic_load(&closed), 3);
}

static bool thread_named(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(tasks)) != NULL;) {
        char path[300], text[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        found = fgets(text, sizeof text, file) != NULL && strncmp(text, name, strlen(name)) == 0 &&
                text[strlen(name)] == '\n';
        fclose(file);
    }
    closedir(tasks);
    return found;
}

/* Standard error goes into a file meanwhile. */
static FILE *log_file;
static int log_saved;

static void log_begin(void)
{
    log_file = tmpfile();
    log_saved = dup(STDERR_FILENO);
    assert_non_null(log_file);
    assert_true(dup2(fileno(log_file), STDERR_FILENO) >= 0);
    kx_log_level_set(KX_LOG_DEBUG);
}

static void log_end(void)
{
    dup2(log_saved, STDERR_FILENO);
    close(log_saved);
    kx_log_level_set(KX_LOG_ERROR);
    fclose(log_file);
}

static size_t lines_with(const char *what)
{
    char path[64], line[KX_LOG_LINE_MAX];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(log_file));
    FILE *file = fopen(path, "r"); /* with a position of its own */
    assert_non_null(file);
    size_t count = 0;
    while (fgets(line, sizeof line, file) != NULL)
        count += strstr(line, what) != NULL;
    fclose(file);
    return count;
}

static bool state_is(enum kx_sink_state wanted)
{
    struct kx_sink_status status;
    kx_board_sink_get(board, 0, &status);
    return status.state == wanted;
}

/* Each change of state is one line; names of threads. */
static void test_lines_and_names(void **state)
{
    (void)state;
    log_begin();
    begin(1);
    start(0, &series_ops);
    WAIT(thread_named("s:end-0-with-a-") && thread_named("w:end-0-with-a-"));
    offer_some(10);
    WAIT(lines_with("delivering") == 1);
    assert_int_equal(lines_with("delivering again"), 0);
    assert_true(state_is(KX_SINK_OK));
    atomic_store(&ends[0].answer, KX_HOLD);
    offer_some(10);
    WAIT(state_is(KX_SINK_HELD));
    uint64_t calls = atomic_load(&ends[0].calls);
    kx_pipe_poke(pipes[0]); /* still held: no second line */
    WAIT(atomic_load(&ends[0].calls) > calls);
    atomic_store(&ends[0].answer, KX_SENT);
    kx_pipe_poke(pipes[0]);
    WAIT(state_is(KX_SINK_OK));
    atomic_store(&ends[0].answer, KX_GONE);
    offer_some(10);
    WAIT(state_is(KX_SINK_GONE));
    kx_ring_close(ring);
    join(0);
    assert_true(lines_with("sink end-0-with-a-long-name: ") >= 4);
    assert_int_equal(lines_with("delivering"), 2);
    assert_int_equal(lines_with("delivering again"), 1);
    assert_int_equal(lines_with("held, tried again"), 1);
    assert_int_equal(lines_with("SIGHUP: the end says 2"), 1);
    assert_int_equal(lines_with("over, what still comes"), 1);
    assert_true(lines_with("batch 1: ") == 1 && lines_with(" records sent in ") >= 2);
    log_end();
    expect_account(0);
    end();
}

/* An end that comes and goes is not a novel: four lines each ten seconds, and nothing is lost. */
static void test_lines_are_limited(void **state)
{
    (void)state;
    log_begin();
    begin(1);
    uint64_t begun_ns = kx_clock_boot_ns();
    start(0, &series_ops);
    for (int i = 0; i < 20; i++) {
        atomic_store(&ends[0].answer, KX_RETRY);
        WAIT((offer_some(1), state_is(KX_SINK_RETRYING)));
        atomic_store(&ends[0].answer, KX_SENT);
        WAIT((offer_some(1), state_is(KX_SINK_OK)));
    }
    kx_ring_close(ring);
    join(0);
    size_t windows = 1 + (size_t)((kx_clock_boot_ns() - begun_ns) / S(10));
    size_t lines = lines_with("cannot deliver, trying again") + lines_with(": delivering");
    assert_true(lines >= 4 && lines <= 4 * windows);
    log_end();
    expect_account(0);
    end();
}

static void test_pressure_lines(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    log_begin();
    begin(1);
    ends[0].hang_fd = fds[0];
    start(0, &series_ops);
    WAIT((offer_some(50), lines_with("slower than its input") > 0));
    close(fds[1]);
    WAIT((offer_some(1), lines_with("keeps up again") > 0));
    kx_ring_close(ring);
    join(0);
    assert_int_equal(lines_with("slower than its input: 4 batches wait"), 1);
    log_end();
    close(fds[0]);
    expect_account(0);
    end();
}

/* Every record on its own, on its way through two threads that sleep: were one wake-up in four
 * lost, or meant for another's reader, the second that a sleep lasts at most would add up. */
static void test_wake_ups(void **state)
{
    (void)state;
    begin(2);
    start(0, &series_ops);
    start(1, &table_ops);
    uint64_t deadline_ns = kx_clock_boot_ns() + S(WAIT_S);
    for (uint64_t round = 1; round <= 80; round++) {
        offer_some(1);
        for (size_t i = 0; i < 2; i++)
            while (kx_pipe_totals(pipes[i]).delivered < round) {
                assert_true(kx_clock_boot_ns() < deadline_ns);
                poll(NULL, 0, 1);
            }
    }
    kx_ring_close(ring);
    for (size_t i = 0; i < 2; i++) {
        join(i);
        expect_account(i);
    }
    end();
}

/* Nothing to do costs nothing: the processor's time, not the clock's. */
static void test_idle_does_not_spin(void **state)
{
    (void)state;
    begin(1);
    start(0, &series_ops);
    offer_some(5); /* both threads have had work, and none is left */
    WAIT(state_is(KX_SINK_OK));
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    poll(NULL, 0, 1300); /* beyond the longest sleep: a second */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    int64_t used_ns =
        (int64_t)(after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
    assert_true(used_ns < (int64_t)MS(100));
    kx_ring_close(ring);
    join(0);
    end();
}

int main(void)
{
    kx_log_configure(KX_LOG_ERROR, KX_LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torture),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_left_behind),
        cmocka_unit_test(test_starts_that_fail),
        cmocka_unit_test(test_lines_and_names),
        cmocka_unit_test(test_lines_are_limited),
        cmocka_unit_test(test_pressure_lines),
        cmocka_unit_test(test_wake_ups),
        cmocka_unit_test(test_idle_does_not_spin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
