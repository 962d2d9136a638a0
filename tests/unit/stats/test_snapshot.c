/* Snapshots: the account of a sink while it is counted, gauges that are known or not, verdicts. */
#include "base/clock.h"
#include "feeding.h"
#include "stats/snapshot.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

struct pair {
    struct feeding f;
    struct kx_snapshot *snapshot;
};

static int setup(void **state)
{
    static struct pair pair;
    feeding_init(&pair.f, "garden");
    assert_int_equal(kx_snapshot_create(&pair.snapshot, &pair.f.feed, 5, NULL), KX_OK);
    *state = &pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;
    kx_snapshot_destroy(pair->snapshot);
    kx_snapshot_destroy(NULL);
    feeding_fini(&pair->f);
    return 0;
}

static void test_account_sums_every_reason(void **state)
{
    struct pair *pair = *state;
    struct kx_snapshot_account account;
    struct kx_counters *worker = pair->f.blocks[2], *sender = pair->f.blocks[3];
    kx_count(worker, KX_C_RECEIVED, 100);
    kx_count(worker, KX_C_FILTERED_PHY, 1);
    kx_count(worker, KX_C_FILTERED_MAX_AGE, 2);
    kx_count(worker, KX_C_UNCHANGED, 3);
    kx_count(worker, KX_C_COALESCED, 4);
    kx_count(worker, KX_C_DROPPED_GONE, 5);
    kx_count(sender, KX_C_SENDER_DROPPED_GONE, 6);
    kx_count(sender, KX_C_DELIVERED, 70);
    kx_count(sender, KX_C_DEAD_LETTERED, 2);
    pair->f.pending[0] = 7;
    kx_snapshot_take(pair->snapshot, 10, 20);
    kx_snapshot_account(&pair->snapshot->sinks[0], &account);
    assert_int_equal(account.received, 100);
    assert_int_equal(account.filtered, 3);
    assert_int_equal(account.unchanged, 3);
    assert_int_equal(account.coalesced, 4);
    assert_int_equal(account.dropped, 11);
    assert_int_equal(account.delivered, 70);
    assert_int_equal(account.dead_lettered, 2);
    assert_int_equal(account.pending, 7);
    assert_false(pair->snapshot->sinks[0].torn);
    kx_snapshot_account(&pair->snapshot->sinks[1], &account);
    assert_int_equal(account.received, 0);
}

/* Moves records as worker and sender do, in one thread and without rest between. */
struct mover {
    struct feeding *f;
    _Atomic uint64_t pending;
    _Atomic bool stop;
};

static uint64_t pending_of(const void *of)
{
    const struct mover *mover = of;
    return atomic_load_explicit(&mover->pending, memory_order_relaxed);
}

enum { BATCH = 64 };

static void *move(void *of)
{
    struct mover *mover = of;
    while (!atomic_load_explicit(&mover->stop, memory_order_relaxed)) {
        for (int i = 0; i < BATCH; i++) {
            kx_count(mover->f->blocks[2], KX_C_RECEIVED, 1);
            atomic_fetch_add_explicit(&mover->pending, 1, memory_order_relaxed);
            /* What a record costs, so that a reader may see two readings that agree. */
            for (int spin = 0; spin < 200; spin++)
                atomic_load_explicit(&mover->stop, memory_order_relaxed);
        }
        kx_count(mover->f->blocks[3], KX_C_DELIVERED, BATCH);
        atomic_fetch_sub_explicit(&mover->pending, BATCH, memory_order_relaxed);
    }
    return NULL;
}

static void test_account_balances_under_way(void **state)
{
    struct pair *pair = *state;
    struct mover mover = {.f = &pair->f};
    pthread_t thread;
    pair->f.sinks[0].pending = pending_of;
    pair->f.sinks[0].of = &mover;
    assert_int_equal(pthread_create(&thread, NULL, move, &mover), 0);
    uint64_t last = 0, worst = 0, torn = 0;
    for (int i = 0; i < 2000; i++) {
        struct kx_snapshot_account a;
        kx_snapshot_take(pair->snapshot, 10, 20);
        kx_snapshot_account(&pair->snapshot->sinks[0], &a);
        uint64_t rest = a.delivered + a.pending;
        uint64_t off = rest > a.received ? rest - a.received : a.received - rest;
        torn += pair->snapshot->sinks[0].torn;
        if (!pair->snapshot->sinks[0].torn)
            worst = off > worst ? off : worst;
        if (a.received < last)
            worst = UINT64_MAX;
        last = a.received;
    }
    atomic_store_explicit(&mover.stop, true, memory_order_relaxed);
    pthread_join(thread, NULL);
    /* One record between its counter and the gauge, or one batch between its settlement and it. */
    assert_true(worst <= BATCH);
    assert_true(torn < 2000);
    assert_true(last > 0);
}

/* The reader loses its processor in the middle of a reading, `times` times, and a thousand records
 * are delivered meanwhile. */
struct interruption {
    struct feeding *f;
    uint64_t times, pending;
};

static uint64_t interrupted(const void *of)
{
    struct interruption *i = (struct interruption *)(uintptr_t)of;
    if (i->times > 0) {
        i->times--;
        i->pending -= 1000;
        kx_count(i->f->blocks[3], KX_C_DELIVERED, 1000);
    }
    return i->pending;
}

static void test_account_is_of_one_moment(void **state)
{
    struct pair *pair = *state;
    struct kx_snapshot_account a;
    struct interruption i = {.f = &pair->f, .times = 3, .pending = 1000000};
    pair->f.sinks[0].pending = interrupted;
    pair->f.sinks[0].of = &i;
    kx_count(pair->f.blocks[2], KX_C_RECEIVED, 1000000);
    kx_snapshot_take(pair->snapshot, 10, 20);
    kx_snapshot_account(&pair->snapshot->sinks[0], &a);
    assert_int_equal(i.times, 0);
    assert_false(pair->snapshot->sinks[0].torn);
    assert_int_equal(a.received, a.delivered + a.pending);
    /* Never a rest: it says so, and goes on. */
    i.times = 500;
    kx_snapshot_take(pair->snapshot, 10, 20);
    assert_true(pair->snapshot->sinks[0].torn);
    assert_true(i.times > 0);
}

static void test_unknown_is_not_a_number(void **state)
{
    struct pair *pair = *state;
    kx_snapshot_take(pair->snapshot, 10, 20);
    const double *gauges = pair->snapshot->sources[0].gauges;
    assert_true(isnan(gauges[KX_G_CLOCK_SKEW]));
    assert_true(isnan(gauges[KX_G_DATASOURCES_RUNNING]));
    assert_true(isnan(gauges[KX_G_KISMET_MEMORY]));
    assert_true(isnan(gauges[KX_G_LAST_CONTACT]));
    assert_true(gauges[KX_G_SOURCE_CONNECTING] == 1 && gauges[KX_G_SOURCE_STREAMING] == 0);
    assert_true(gauges[KX_G_MODE_AUTO] == 1 && gauges[KX_G_MODE_POLL] == 0);
    struct kx_source_status status = {.state = KX_SOURCE_POLLING,
                                      .skew_known = true,
                                      .clock_skew_s = -2,
                                      .datasources_ok = 0,
                                      .datasources_failed = 1,
                                      .devices = 0,
                                      .memory_bytes = 1024,
                                      .last_contact_ns = 1500000000};
    kx_board_source_set(pair->f.feed.board, 0, &status);
    kx_snapshot_take(pair->snapshot, 10, 20);
    assert_true(gauges[KX_G_CLOCK_SKEW] == -2);
    assert_true(gauges[KX_G_DATASOURCES_RUNNING] == 0 && gauges[KX_G_DATASOURCES_FAILED] == 1);
    assert_true(gauges[KX_G_KISMET_DEVICES] == 0 && gauges[KX_G_KISMET_MEMORY] == 1024);
    assert_true(gauges[KX_G_LAST_CONTACT] == 1.5);
    assert_true(gauges[KX_G_SOURCE_POLLING] == 1 && gauges[KX_G_SOURCE_CONNECTING] == 0);
    assert_true(pair->snapshot->sources[1].gauges[KX_G_SOURCE_INSECURE] == 1);
}

static void test_who_is_well(void **state)
{
    struct pair *pair = *state;
    static const bool source_well[] = {false, true, true, false, false, false, true};
    for (int s = KX_SOURCE_CONNECTING; s <= KX_SOURCE_ENDED; s++) {
        feeding_source(&pair->f, 0, (enum kx_source_state)s, "");
        kx_snapshot_take(pair->snapshot, 10, 20);
        assert_int_equal(kx_snapshot_source_well(&pair->snapshot->sources[0]), source_well[s]);
    }
    static const bool sink_well[] = {true, true, false, false, false};
    for (int s = KX_SINK_STARTING; s <= KX_SINK_GONE; s++) {
        feeding_sink(&pair->f, 1, (enum kx_sink_state)s, "");
        kx_snapshot_take(pair->snapshot, 10, 20);
        assert_int_equal(kx_snapshot_sink_well(&pair->snapshot->sinks[1]), sink_well[s]);
    }
}

static void test_threads(void **state)
{
    struct pair *pair = *state;
    pair->f.alive[0] = 1000;
    kx_snapshot_take_threads(pair->snapshot, 1700);
    assert_true(pair->snapshot->threads[0].late_ns == 0);
    kx_snapshot_take_threads(pair->snapshot, 1700 + KX_NS_PER_S);
    assert_true(pair->snapshot->threads[0].late_ns == 700 + KX_NS_PER_S);
    assert_true(pair->snapshot->threads[1].late_ns == 0);
}

static void test_process(void **state)
{
    struct pair *pair = *state;
    pair->f.ring = 4096;
    pair->f.devices = 12;
    kx_count(pair->f.blocks[6], KX_C_REGISTRY_EVICTED, 3);
    kx_count(pair->f.blocks[7], KX_C_RELOADS_OK, 2);
    kx_snapshot_take(pair->snapshot, 10, 20);
    const struct kx_snapshot *s = pair->snapshot;
    assert_int_equal(s->counters[KX_C_REGISTRY_EVICTED], 3);
    assert_int_equal(s->counters[KX_C_RELOADS_OK], 2);
    assert_true(s->gauges[KX_G_RING_USED] == 4096 && s->gauges[KX_G_DEVICES_TRACKED] == 12);
    assert_true(s->gauges[KX_G_RELOAD_OK] == 1);
    assert_true(s->usage.resident_bytes > 0 && s->usage.open_fds > 0 && s->usage.threads >= 1);
    assert_true(s->usage.started_s > 1.5e9);
    const struct kx_reload_status reload = {.last_ns = 3000000000, .ok = false};
    kx_board_reload_set(pair->f.feed.board, &reload);
    kx_snapshot_take(pair->snapshot, 10, 20);
    assert_true(s->gauges[KX_G_RELOAD_OK] == 0 && s->gauges[KX_G_RELOAD_TIME] == 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_account_sums_every_reason),
        TEST(test_account_balances_under_way),
        TEST(test_account_is_of_one_moment),
        TEST(test_unknown_is_not_a_number),
        TEST(test_who_is_well),
        TEST(test_threads),
        TEST(test_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
