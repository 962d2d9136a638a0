/* The worker between a ring and a queue, its time injected. */
#include "fake.h"
#include "no_memory.h"

#include "batch/queue.h"
#include "batch/totals.h"
#include "batch/worker.h"
#include "ring/ring.h"
#include <malloc.h>
#include <poll.h>

static struct kx_ring *ring;
static struct kx_wake *sender_wake;
static struct kx_queue *queue;
static struct kx_counters *counters, *sender_counters, *process;
static struct kx_worker *worker;
static struct kx_sink_settings settings;
static uint64_t now_ns, offered, serial;
static uint64_t taken[1 << 16];
static size_t taken_count;

static const struct kx_sink_settings *settings_now(void *context)
{
    (void)context;
    return &settings;
}

static void begin(uint32_t records, uint64_t bytes, bool newest, bool patient, uint32_t max_devices)
{
    settings = (struct kx_sink_settings){.serial = ++serial,
                                         .batch = {records, bytes, S(1)},
                                         .filter = {.idle = true},
                                         .delta = {.mode = KX_DELTA_OFF}};
    now_ns = S(1000);
    offered = taken_count = 0;
    assert_int_equal(kx_ring_create(&ring, KX_RING_BYTES_MIN, 1, 0, NULL), KX_OK);
    assert_int_equal(kx_wake_create(&sender_wake, NULL), KX_OK);
    assert_int_equal(kx_queue_create(&queue, kx_ring_wake(ring, 0), sender_wake, NULL), KX_OK);
    counters = kx_counters_create();
    sender_counters = kx_counters_create();
    process = kx_counters_create();
    assert_true(counters != NULL && sender_counters != NULL && process != NULL);
    struct kx_worker_params params = {.settings = settings_now,
                                      .newest_per_device = newest,
                                      .patient = patient,
                                      .max_devices = max_devices,
                                      .ring = ring,
                                      .reader = 0,
                                      .queue = queue,
                                      .counters = counters,
                                      .process = process};
    assert_int_equal(kx_worker_create(&worker, &params, NULL), KX_OK);
}

static void end(void)
{
    kx_worker_destroy(worker);
    kx_worker_destroy(NULL);
    kx_queue_destroy(queue);
    kx_wake_destroy(sender_wake);
    kx_ring_destroy(ring);
    kx_counters_destroy(counters);
    kx_counters_destroy(sender_counters);
    kx_counters_destroy(process);
}

static uint64_t count_of(enum kx_counter counter)
{
    return kx_counter_get(counters, counter);
}

/* Offers a record to the ring as ingest does: what it refuses is counted. */
static bool offer(const struct kx_record *record)
{
    offered++;
    void *place = kx_ring_reserve(ring, record->length);
    if (place == NULL) {
        kx_count(process,
                 record->kind == KX_KIND_EVENT ? KX_C_RING_REFUSED_EVENT : KX_C_RING_REFUSED_DEVICE,
                 1);
        return false;
    }
    memcpy(place, record, record->length);
    kx_ring_commit(ring, record->length);
    return true;
}

static void offer_devices(uint32_t count, uint32_t ids)
{
    union made made;
    for (uint32_t i = 0; i < count; i++)
        offer(made_device(&made, i % ids, 1, offered + 1, 10));
    kx_ring_publish(ring);
}

static void offer_events(uint32_t count)
{
    union made made;
    for (uint32_t i = 0; i < count; i++)
        offer(made_event(&made, offered + 1, 1000));
    kx_ring_publish(ring);
}

/* Steps until the worker wants to sleep or ends. Returns until when it sleeps; UINT64_MAX = end. */
static uint64_t run(void)
{
    for (int steps = 0; steps < 100000; steps++) {
        uint64_t until_ns = 12345;
        enum kx_step step = kx_worker_step(worker, now_ns, &until_ns);
        if (step == KX_STEP_END)
            return UINT64_MAX;
        if (step == KX_STEP_SLEEP) {
            assert_int_not_equal(until_ns, 12345);
            assert_true(until_ns == 0 || until_ns > now_ns);
            assert_false(kx_worker_ready(worker)); /* it would never sleep */
            uint64_t alive_ns = kx_worker_alive_ns(worker);
            assert_true(alive_ns > now_ns && alive_ns <= now_ns + S(10));
            return until_ns;
        }
    }
    fail_msg("the worker does not come to rest");
    return 0;
}

/* Delivers the first batch as a sender would. */
static uint32_t deliver(void)
{
    struct kx_sealed *first = kx_queue_first(queue);
    assert_non_null(first);
    for (uint32_t i = 0; i < first->records; i++)
        taken[taken_count++] = kx_batch_record(&first->view, i)->sequence;
    uint32_t records = kx_sealed_settle_rest(first, sender_counters, KX_C_DELIVERED);
    kx_queue_settled(queue, records);
    kx_queue_finish(queue);
    return records;
}

static void expect_conservation(void)
{
    struct kx_sink_totals totals = kx_sink_totals_sum(
        counters, sender_counters, kx_worker_pending(worker) + kx_queue_pending(queue));
    assert_true(kx_conservation(&totals));
    assert_int_equal(totals.received, offered);
    for (size_t i = 1; i < taken_count; i++)
        assert_true(taken[i] > taken[i - 1]);
}

static void test_drains_and_seals(void **state)
{
    (void)state;
    begin(100, 1 << 20, false, false, 1000);
    assert_int_equal(run(), 0);
    offer_devices(250, 1000);
    assert_true(kx_worker_ready(worker));
    assert_int_equal(run(), now_ns + S(1));
    assert_int_equal(kx_ring_used(ring), 0); /* released to the end */
    assert_int_equal(count_of(KX_C_RECEIVED), 250);
    assert_int_equal(count_of(KX_C_SEALED), 2);
    assert_int_equal(kx_worker_pending(worker), 50);
    assert_int_equal(kx_queue_pending(queue), 200);
    expect_conservation();
    now_ns += S(1) - 1;
    assert_int_equal(run(), now_ns + 1);
    now_ns += 1;
    assert_int_equal(run(), 0); /* by age */
    assert_int_equal(count_of(KX_C_SEALED), 3);
    assert_int_equal(deliver(), 100);
    assert_int_equal(deliver(), 100);
    assert_int_equal(deliver(), 50);
    expect_conservation();
    end();
}

static void test_bytes(void **state)
{
    (void)state;
    begin(1000, 10000, false, false, 1000);
    offer_events(30); /* of 1,088 bytes: nine fit */
    run();
    assert_int_equal(count_of(KX_C_SEALED), 3);
    for (int i = 0; i < 3; i++) {
        assert_true(kx_queue_first(queue)->store.used <= 10000);
        assert_int_equal(deliver(), 9);
    }
    kx_queue_set_bytes_max(queue, 5000); /* the far end takes less */
    offer_events(4);
    run();
    assert_int_equal(kx_queue_first(queue)->records, 4);
    end();
}

/* More than a slice: the ring is given back as the worker goes, and a batch is not kept from its
 * time by records that keep coming. */
static void test_slices(void **state)
{
    (void)state;
    begin(1000, 1 << 20, true, false, 1000);
    offer_devices(10, 3);
    run();
    offer_devices(1000, 3); /* some 230 kB; never 1,000 different devices */
    size_t before = kx_ring_used(ring);
    uint64_t until_ns;
    now_ns += S(1);
    assert_int_equal(kx_worker_step(worker, now_ns, &until_ns), KX_STEP_AGAIN);
    size_t after = kx_ring_used(ring);
    assert_true(before - after >= 65536 && before - after < 65536 + KX_RECORD_BYTES_MAX);
    assert_int_equal(count_of(KX_C_SEALED), 1);
    run();
    deliver();
    expect_conservation();
    end();
}

static void test_pressure(void **state)
{
    (void)state;
    begin(10, 1 << 20, false, false, 1000);
    offer_devices(40, 1000);
    run();
    assert_false(kx_worker_pressure(worker));
    assert_int_equal(count_of(KX_C_SEALED), 4); /* every place is taken */
    offer_devices(9, 1000);
    assert_int_equal(run(), now_ns + S(1));
    now_ns += S(1);
    assert_int_equal(run(), 0); /* due, but no place: only a signal helps */
    assert_false(kx_worker_pressure(worker));
    for (int i = 0; i < 50; i++) /* no limit in time */
        offer_devices(25, 25), run();
    assert_true(kx_worker_pressure(worker));
    assert_int_equal(count_of(KX_C_PRESSURE), 1);
    assert_int_equal(kx_worker_pending(worker), 25);
    assert_int_equal(kx_ring_used(ring), 0); /* a slow sink holds nobody up */
    expect_conservation();
    kx_wake_prepare(kx_ring_wake(ring, 0));
    deliver();
    struct pollfd poll_fd = {.fd = kx_wake_fd(kx_ring_wake(ring, 0)), .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 0), 1); /* the place is announced */
    assert_true(kx_worker_ready(worker));
    kx_wake_cancel(kx_ring_wake(ring, 0));
    run();
    assert_int_equal(kx_queue_pending(queue), 40); /* a batch of ten, not one of 25 */
    assert_int_equal(kx_worker_pending(worker), 15);
    for (int i = 0; i < 2; i++)
        deliver(), run();
    assert_false(kx_worker_pressure(worker));
    assert_int_equal(kx_worker_pending(worker), 0); /* the rest was due by age at once */
    while (kx_queue_first(queue) != NULL)
        deliver();
    expect_conservation();
    assert_int_equal(count_of(KX_C_COALESCED), offered - 65);
    end();
}

/* A record that would not fit any more, with a place and without. */
static void test_pressure_by_bytes(void **state)
{
    (void)state;
    begin(1000, 10000, false, false, 1000);
    offer_events(4 * 9 + 9);
    run();
    assert_false(kx_worker_pressure(worker));
    offer_events(1);
    run();
    assert_true(kx_worker_pressure(worker));
    for (int i = 0; i < 10; i++)
        offer_events(50), run();
    /* Events are kept up to their bound, here that of one largest record; the oldest went. */
    assert_int_equal(kx_worker_pending(worker), KX_RECORD_BYTES_MAX / 1088);
    assert_int_equal(count_of(KX_C_DROPPED_PRESSURE), 510 - KX_RECORD_BYTES_MAX / 1088);
    while (kx_queue_first(queue) != NULL)
        deliver(), run();
    expect_conservation();
    end();
}

static void test_ring_refuses(void **state)
{
    (void)state;
    begin(100, 1 << 20, true, false, 1000);
    offer_events(300); /* more than the ring holds */
    uint64_t refused = kx_counter_get(process, KX_C_RING_REFUSED_EVENT);
    assert_true(refused > 0);
    run();
    assert_int_equal(count_of(KX_C_DROPPED_RING), refused);
    offer_devices(2000, 1000);
    run();
    assert_int_equal(count_of(KX_C_DROPPED_RING),
                     refused + kx_counter_get(process, KX_C_RING_REFUSED_DEVICE));
    expect_conservation();
    end();
    begin(100, 1 << 20, true, false, 1000);
    struct kx_worker *alone;
    struct kx_worker_params params = {.settings = settings_now,
                                      .max_devices = 1,
                                      .ring = ring,
                                      .queue = queue,
                                      .counters = counters}; /* nobody counts refusals */
    assert_int_equal(kx_worker_create(&alone, &params, NULL), KX_OK);
    uint64_t until_ns;
    assert_int_equal(kx_worker_step(alone, now_ns, &until_ns), KX_STEP_SLEEP);
    kx_worker_destroy(alone);
    end();
}

static void test_gone(void **state)
{
    (void)state;
    begin(100, 1 << 20, true, false, 1000);
    offer_devices(50, 1000);
    run();
    kx_queue_set_gone(queue);
    offer_devices(500, 1000);
    run();
    assert_int_equal(count_of(KX_C_DROPPED_GONE), 550);
    assert_int_equal(kx_ring_used(ring), 0);
    assert_int_equal(kx_worker_pending(worker), 0);
    expect_conservation();
    kx_ring_close(ring);
    assert_true(run() == UINT64_MAX);
    expect_conservation();
    end();
}

static void test_end_of_the_ring(void **state)
{
    (void)state;
    begin(10, 1 << 20, false, false, 1000);
    offer_devices(5, 1000);
    kx_ring_close(ring);
    assert_true(run() == UINT64_MAX);
    assert_true(kx_worker_alive_ns(worker) == UINT64_MAX);
    assert_false(kx_queue_ended(queue));
    deliver();
    assert_true(kx_queue_ended(queue));
    expect_conservation();
    end();
    begin(10, 1 << 20, false, false, 1000);
    kx_ring_close(ring); /* with nothing at all */
    assert_true(run() == UINT64_MAX);
    assert_true(kx_queue_ended(queue));
    end();
}

static void test_end_waits_for_places(void **state)
{
    (void)state;
    begin(10, 1 << 20, false, false, 1000);
    offer_devices(95, 1000); /* 4 x 10 in the queue, 55 left */
    kx_ring_close(ring);
    assert_int_equal(run(), 0); /* without a stop it waits as long as it takes */
    uint64_t deadline_ns = now_ns + S(6);
    kx_wake_prepare(kx_ring_wake(ring, 0));
    kx_worker_stop(worker, deadline_ns);
    struct pollfd poll_fd = {.fd = kx_wake_fd(kx_ring_wake(ring, 0)), .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 0), 1);
    kx_wake_cancel(kx_ring_wake(ring, 0));
    assert_true(kx_worker_ready(worker));
    assert_int_equal(run(), deadline_ns);
    deliver();
    assert_true(kx_worker_ready(worker));
    assert_int_equal(run(), deadline_ns);
    assert_int_equal(kx_worker_pending(worker), 45);
    deliver();
    now_ns = deadline_ns; /* what still finds a place goes, the rest is dropped */
    assert_true(run() == UINT64_MAX);
    assert_int_equal(count_of(KX_C_DROPPED_STOP), 35);
    while (kx_queue_first(queue) != NULL)
        deliver();
    assert_true(kx_queue_ended(queue));
    assert_int_equal(taken_count, 60);
    expect_conservation();
    end();
}

/* Ingest hangs and never closes the ring. */
static void test_stop_without_an_end(void **state)
{
    (void)state;
    begin(10, 1 << 20, false, false, 1000);
    offer_devices(45, 1000);
    run();
    kx_worker_stop(worker, now_ns + S(6));
    assert_int_equal(run(), now_ns + S(1));
    now_ns += S(1);
    assert_int_equal(run(), now_ns + S(5)); /* due and no place: the stop is what it waits for */
    now_ns += S(5);
    offer_devices(700, 1000);
    assert_true(run() == UINT64_MAX);
    assert_int_equal(kx_ring_used(ring), 0);
    assert_int_equal(count_of(KX_C_DROPPED_STOP), 705);
    expect_conservation();
    end();
}

static void test_patient(void **state)
{
    (void)state;
    begin(10, 2000, false, true, 1000);
    offer_devices(100, 2);
    assert_int_equal(run(), 0);
    assert_int_equal(count_of(KX_C_SEALED), 4);
    size_t left = kx_ring_used(ring);
    assert_true(left > 0); /* the rest is left where it is: the replay waits */
    size_t sealed = 0;
    uint64_t received = count_of(KX_C_RECEIVED);
    while (kx_queue_first(queue) != NULL) {
        sealed += deliver();
        /* Four sealed batches and an open one, and the record that did not fit; nothing more. */
        assert_true(received <= 5 * sealed + 1);
        received = 0;
        assert_true(kx_worker_ready(worker) || kx_ring_used(ring) == 0);
        run();
        now_ns += S(1);
        run();
    }
    assert_int_equal(sealed, 100); /* nothing coalesced, nothing dropped */
    assert_int_equal(kx_ring_used(ring), 0);
    assert_int_equal(count_of(KX_C_PRESSURE), 0);
    expect_conservation();
    /* But at a stop it lets go. */
    offer_devices(200, 2);
    run();
    kx_worker_stop(worker, now_ns + S(1));
    now_ns += S(1);
    assert_true(run() == UINT64_MAX);
    assert_int_equal(kx_ring_used(ring), 0);
    assert_true(count_of(KX_C_DROPPED_STOP) > 0);
    expect_conservation();
    end();
}

/* No memory for a piece: the worker looks again a second later, and does not spin until then. */
static void test_no_memory(void **state)
{
    (void)state;
    begin(10, 1 << 20, false, false, 1000);
    offer_devices(40, 1000);
    run();
    offer_devices(25, 25);
    run();
    assert_true(kx_worker_pressure(worker));
    deliver(); /* its memory is free to be used, but holds ten records' slots only */
    struct kx_sealed *blank = kx_queue_blank(queue);
    kx_store_fini(&blank->store);
    kx_queue_give_back(queue, blank);
    no_memory = true;
    assert_int_equal(run(), 0); /* run() also asserts that it is not ready */
    no_memory = false;
    assert_int_equal(kx_worker_pending(worker), 25);
    run();
    assert_int_equal(kx_worker_pending(worker), 15);
    expect_conservation();
    end();
}

static void test_totals(void **state)
{
    (void)state;
    begin(10, 1 << 20, false, false, 1000);
    kx_count(counters, KX_C_RECEIVED, 8957);
    kx_count(counters, KX_C_COALESCED, 7000);
    kx_count(sender_counters, KX_C_DELIVERED, 1907);
    kx_count(sender_counters, KX_C_DELIVERED_EVENTS, 7);
    char line[KX_TOTALS_LINE_MAX];
    struct kx_sink_totals totals = kx_sink_totals_sum(counters, sender_counters, 50);
    assert_true(kx_conservation(&totals));
    assert_int_equal(totals.events_delivered, 7);
    kx_sink_totals_line(&totals, line);
    assert_string_equal(line, "received 8957 = filtered 0 + unchanged 0 + coalesced 7000 + "
                              "delivered 1907 + pending 50 + dropped 0 + dead_lettered 0");
    /* Each term and each reason counts, from its own thread's block. */
    static const enum kx_counter of_worker[] = {
        KX_C_FILTERED_MAC,     KX_C_FILTERED_EVENT, KX_C_UNCHANGED,    KX_C_DROPPED_RING,
        KX_C_DROPPED_PRESSURE, KX_C_DROPPED_MEMORY, KX_C_DROPPED_GONE, KX_C_DROPPED_STOP};
    static const enum kx_counter of_sender[] = {KX_C_SENDER_DROPPED_STOP, KX_C_SENDER_DROPPED_GONE,
                                                KX_C_SENDER_DROPPED_REJECTED, KX_C_DEAD_LETTERED};
    for (size_t i = 0; i < sizeof of_worker / sizeof *of_worker; i++) {
        kx_count(counters, of_worker[i], 1);
        totals = kx_sink_totals_sum(counters, sender_counters, 50);
        assert_false(kx_conservation(&totals));
        kx_count(counters, KX_C_RECEIVED, 1);
        totals = kx_sink_totals_sum(counters, sender_counters, 50);
        assert_true(kx_conservation(&totals));
    }
    for (size_t i = 0; i < sizeof of_sender / sizeof *of_sender; i++) {
        kx_count(sender_counters, of_sender[i], 1);
        totals = kx_sink_totals_sum(counters, sender_counters, 50);
        assert_false(kx_conservation(&totals));
        kx_count(counters, KX_C_RECEIVED, 1);
        totals = kx_sink_totals_sum(counters, sender_counters, 50);
        assert_true(kx_conservation(&totals));
    }
    assert_int_equal(totals.dropped, 8);
    totals.pending++;
    kx_sink_totals_line(&totals, line);
    assert_non_null(strstr(line, "does not add up"));
    memset(&totals, 0xff, sizeof totals);
    kx_sink_totals_line(&totals, line);
    assert_non_null(strstr(line, "does not add up")); /* the longest line fits */
    end();
}

/* --- filter, delta and what is parked --- */

static void take_all(void)
{
    while (kx_queue_first(queue) != NULL)
        deliver();
}

static void use(const struct kx_sink_settings *other)
{
    settings = *other;
    settings.serial = ++serial;
}

static struct kx_sink_settings watching(uint64_t min_interval_ns)
{
    struct kx_sink_settings made = settings;
    made.delta = (struct kx_delta_rules){.mode = KX_DELTA_CHANGED,
                                         .fields = (1ull << KX_FIELDS) - 2,
                                         .watched = (1ull << KX_FIELDS) - 2,
                                         .min_interval_ns = min_interval_ns};
    return made;
}

/* One state of a device: its packets are what can change. */
static void offer_state(uint32_t id, uint32_t generation, int64_t packets, uint64_t sequence)
{
    union made made;
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, &made, sizeof made);
    device->head.device_id = id;
    device->head.generation = generation;
    device->head.sequence = sequence;
    device->total_packets = packets;
    device->head.present |= 1ull << KX_F_TOTAL_PACKETS;
    kx_builder_field(&builder, KX_F_NAME, "a device's name that is long enough", 30);
    assert_true(kx_builder_finish(&builder) > 0);
    offer(&made.record);
    kx_ring_publish(ring);
}

static void test_filter_stands_before_delta(void **state)
{
    (void)state;
    begin(100, 1 << 20, true, false, 1000);
    struct kx_sink_config config = {.filter = {.min_signal_dbm = {-50, true}}};
    struct kx_sink_settings other = watching(0);
    use(&other);
    assert_int_equal(kx_filter_init(&settings.filter, &config, NULL), KX_OK);
    offer_devices(30, 1000);
    run();
    assert_int_equal(count_of(KX_C_FILTERED_SIGNAL), 30);
    kx_filter_fini(&settings.filter);
    use(&other);
    offer_devices(30, 1000);
    offer_devices(30, 1000);
    run();
    assert_int_equal(count_of(KX_C_UNCHANGED), 30);
    assert_int_equal(kx_worker_pending(worker), 30);
    expect_conservation();
    end();
}

/* Nothing more comes, and still the newest state is sent when the interval is over. */
static void test_parked_by_timer(void **state)
{
    (void)state;
    begin(1, 1 << 20, true, false, 1000);
    struct kx_sink_settings other = watching(S(30));
    use(&other);
    offer_state(1, 1, 10, 1);
    run();
    take_all();
    assert_int_equal(taken_count, 1);
    now_ns += S(10);
    offer_state(1, 1, 11, 2);
    offer_state(1, 1, 12, 3);
    assert_int_equal(run(), now_ns + S(20));
    assert_int_equal(kx_worker_pending(worker), 1);
    assert_int_equal(count_of(KX_C_COALESCED), 1);
    expect_conservation();
    now_ns += S(20) - 1;
    run();
    take_all();
    assert_int_equal(taken_count, 1);
    now_ns += 1;
    run();
    take_all();
    assert_int_equal(taken_count, 2);
    assert_int_equal(taken[1], 3);
    expect_conservation();
    end();
}

/* The id changed hands: what was parked of its first owner is sent before the second's, even when
 * the second is filtered. */
static void test_parked_of_an_older_generation(void **state)
{
    (void)state;
    begin(1, 1 << 20, true, false, 1000);
    struct kx_sink_settings other = watching(S(30));
    use(&other);
    offer_state(1, 1, 10, 1);
    offer_state(1, 1, 11, 2);
    offer_state(1, 2, 5, 3);
    offer_state(1, 2, 6, 4);
    run();
    take_all();
    assert_int_equal(taken_count, 3);
    assert_int_equal(taken[1], 2);
    assert_int_equal(taken[2], 3);
    struct kx_sink_config config = {.filter = {.min_signal_dbm = {-50, true}}};
    use(&other);
    assert_int_equal(kx_filter_init(&settings.filter, &config, NULL), KX_OK);
    offer_state(1, 3, 7, 5);
    run();
    take_all();
    assert_int_equal(taken_count, 4);
    assert_int_equal(taken[3], 4);
    assert_int_equal(count_of(KX_C_FILTERED_SIGNAL), 1);
    kx_filter_fini(&settings.filter);
    use(&other);
    expect_conservation();
    end();
}

static void test_parked_are_flushed_at_the_end(void **state)
{
    (void)state;
    begin(10, 1 << 20, true, false, 1000);
    struct kx_sink_settings other = watching(S(3600));
    use(&other);
    for (uint32_t round = 1; round <= 3; round++)
        for (uint32_t id = 0; id < 25; id++)
            offer_state(id, 1, round, round * 100 + id);
    run();
    take_all();
    assert_int_equal(taken_count, 20);
    kx_ring_close(ring);
    uint64_t until_ns = run();
    while (until_ns != UINT64_MAX) {
        take_all();
        until_ns = run();
    }
    take_all();
    assert_int_equal(taken_count, 50);
    assert_int_equal(count_of(KX_C_COALESCED), 25);
    for (size_t i = 25; i < 50; i++)
        assert_int_equal(taken[i] / 100, 3);
    expect_conservation();
    end();
}

/* What the far end refused for good is told again when it is heard again, changed or not. */
static void test_lost_is_told_again(void **state)
{
    (void)state;
    begin(1, 1 << 20, true, false, 1000);
    struct kx_sink_settings other = watching(0);
    use(&other);
    union made made;
    for (uint64_t i = 1; i <= 3; i++) {
        offer_state(1, 1, 10, 10 * i);
        offer_state(2, 1, 10, 10 * i + 1);
        run();
        take_all();
        if (i == 2)
            kx_queue_lose(queue, made_device(&made, 1, 1, 0, 0));
    }
    assert_int_equal(taken_count, 3); /* each of both, and the lost one again */
    assert_int_equal(taken[2], 30);
    for (uint32_t i = 0; i <= KX_QUEUE_LOST_MAX; i++) /* more than anybody remembers: all */
        kx_queue_lose(queue, made_device(&made, 500, 1, 0, 0));
    offer_state(1, 1, 10, 40);
    offer_state(2, 1, 10, 41);
    run();
    take_all();
    assert_int_equal(taken_count, 5);
    expect_conservation();
    end();
}

/* Ten minutes without a sink and without a spool: 10,000 devices change each second. Memory is what
 * the devices need, not the time, and the newest state of each is there when the sink comes back.
 */
static void test_ten_minutes_without_a_sink(void **state)
{
    (void)state;
    enum { DEVICES = 10000, SECONDS = 600, CHUNK = 100 };
    begin(1000, 1 << 20, true, false, DEVICES);
    struct kx_sink_settings other = watching(0);
    use(&other);
    uint64_t warm = 0;
    for (uint64_t second = 1; second <= SECONDS; second++) {
        for (uint32_t id = 0; id < DEVICES; id += CHUNK) {
            for (uint32_t i = id; i < id + CHUNK; i++)
                offer_state(i, 1, (int64_t)second, second * DEVICES + i);
            run();
        }
        now_ns += S(1);
        if (second == 60)
            warm = mallinfo2().uordblks + mallinfo2().hblkhd;
    }
    assert_int_equal(count_of(KX_C_DROPPED_RING) + count_of(KX_C_DROPPED_PRESSURE), 0);
    uint64_t most = mallinfo2().uordblks + mallinfo2().hblkhd;
    if (warm > 0) /* a sanitizer's allocator does not say */
        assert_true(most <= warm + (1 << 20));
    assert_true(kx_worker_pending(worker) <= DEVICES);
    expect_conservation();
    while (kx_queue_pending(queue) > 0) {
        take_all();
        run();
        now_ns += S(1);
        run();
    }
    static uint64_t newest[DEVICES];
    memset(newest, 0, sizeof newest);
    for (size_t i = 0; i < taken_count; i++) {
        uint64_t *of = &newest[taken[i] % DEVICES];
        assert_true(taken[i] > *of); /* never an older one behind a newer one */
        *of = taken[i];
    }
    for (uint32_t id = 0; id < DEVICES; id++)
        assert_int_equal(newest[id], (uint64_t)SECONDS * DEVICES + id);
    expect_conservation();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drains_and_seals),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_pressure_by_bytes),
        cmocka_unit_test(test_ring_refuses),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_end_of_the_ring),
        cmocka_unit_test(test_end_waits_for_places),
        cmocka_unit_test(test_stop_without_an_end),
        cmocka_unit_test(test_patient),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_totals),
        cmocka_unit_test(test_filter_stands_before_delta),
        cmocka_unit_test(test_parked_by_timer),
        cmocka_unit_test(test_parked_of_an_older_generation),
        cmocka_unit_test(test_parked_are_flushed_at_the_end),
        cmocka_unit_test(test_lost_is_told_again),
        cmocka_unit_test(test_ten_minutes_without_a_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
