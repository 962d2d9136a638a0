/* The ring: order, wrap of memory and of the 64-bit position, full, several readers, and a torture
 * run with readers that stall, with and without wake-ups (an eventfd would hide a wrong publish
 * from the race detector). */
#include "ring/ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

enum { SMALL = KX_RING_BYTES_MIN };

/* Record n: its length, its filling and its sequence follow from n, so a reader can check each
 * byte. */
static size_t length_of(uint64_t n)
{
    uint64_t mixed = n * 0x9E3779B97F4A7C15ull;
    size_t extra = (size_t)(mixed >> 56) * 8;
    if (n % 97 == 0)
        extra = 40000 + (size_t)(mixed >> 50) / 8 * 8 % 20000;
    return sizeof(struct kx_record) + extra;
}

static bool put(struct kx_ring *ring, uint64_t n)
{
    size_t length = length_of(n);
    struct kx_record *record = kx_ring_reserve(ring, length);
    if (record == NULL)
        return false;
    memset(record, (int)(n & 0xFF), length);
    record->length = (uint32_t)length;
    record->kind = KX_KIND_DEVICE;
    record->sequence = n;
    kx_ring_commit(ring, length);
    return true;
}

static bool intact(const struct kx_record *record, uint64_t n)
{
    if (record->sequence != n || record->length != length_of(n) || record->kind != KX_KIND_DEVICE)
        return false;
    const unsigned char *bytes = (const unsigned char *)record;
    for (size_t i = sizeof(*record); i < record->length; i++)
        if (bytes[i] != (n & 0xFF))
            return false;
    return true;
}

static void create_refuses_bad_sizes(void **state)
{
    (void)state;
    struct kx_ring *ring = NULL;
    struct kx_error err = {0};
    assert_int_equal(kx_ring_create(&ring, SMALL - 1, 1, 0, &err), KX_ERR_CONFIG);
    assert_int_equal(kx_ring_create(&ring, SMALL + 8, 1, 0, &err), KX_ERR_CONFIG);
    assert_int_equal(kx_ring_create(&ring, SMALL, 0, 0, &err), KX_ERR_BUG);
    assert_int_equal(kx_ring_create(&ring, SMALL, KX_RING_READERS_MAX + 1, 0, &err), KX_ERR_BUG);
    assert_null(ring);
    kx_ring_destroy(NULL);
}

static void nothing_is_seen_before_publish(void **state)
{
    (void)state;
    struct kx_ring *ring;
    assert_int_equal(kx_ring_create(&ring, SMALL, 2, 0, NULL), KX_OK);
    const struct kx_record *record;
    assert_int_equal(kx_ring_read(ring, 0, &record), KX_RING_EMPTY);
    assert_true(put(ring, 1));
    assert_int_equal(kx_ring_read(ring, 0, &record), KX_RING_EMPTY);
    assert_false(kx_ring_pending(ring, 0));
    kx_ring_publish(ring);
    assert_true(kx_ring_pending(ring, 0));
    for (unsigned reader = 0; reader < 2; reader++) {
        assert_int_equal(kx_ring_read(ring, reader, &record), KX_RING_RECORD);
        assert_true(intact(record, 1));
        assert_int_equal(kx_ring_read(ring, reader, &record), KX_RING_EMPTY);
    }
    kx_ring_destroy(ring);
}

static void a_second_reserve_gives_the_same_place(void **state)
{
    (void)state;
    struct kx_ring *ring;
    assert_int_equal(kx_ring_create(&ring, SMALL, 1, 0, NULL), KX_OK);
    void *first = kx_ring_reserve(ring, 1000);
    assert_ptr_equal(first, kx_ring_reserve(ring, 64));
    kx_ring_destroy(ring);
}

static void full_is_refused_until_the_slowest_reader_moves(void **state)
{
    (void)state;
    struct kx_ring *ring;
    assert_int_equal(kx_ring_create(&ring, SMALL, 2, 0, NULL), KX_OK);
    uint64_t put_count = 0;
    while (put(ring, put_count + 1))
        put_count++;
    assert_true(put_count > 50);
    kx_ring_publish(ring);
    const struct kx_record *record;
    for (uint64_t n = 1; n <= put_count; n++) {
        assert_int_equal(kx_ring_read(ring, 0, &record), KX_RING_RECORD);
        assert_true(intact(record, n));
    }
    kx_ring_release(ring, 0);
    assert_false(put(ring, put_count + 1)); /* reader 1 has not moved */
    assert_true(kx_ring_used(ring) > SMALL / 2);
    assert_false(kx_ring_has_room(ring));
    for (uint64_t n = 1; n <= put_count; n++)
        assert_int_equal(kx_ring_read(ring, 1, &record), KX_RING_RECORD);
    assert_false(put(ring, put_count + 1)); /* read, but not released */
    kx_ring_release(ring, 1);
    assert_int_equal(kx_ring_used(ring), 0);
    assert_true(kx_ring_has_room(ring));
    assert_true(put(ring, put_count + 1));
    kx_ring_destroy(ring);
}

static void wraps_from(uint64_t start)
{
    struct kx_ring *ring;
    assert_int_equal(kx_ring_create(&ring, SMALL, 1, start, NULL), KX_OK);
    const struct kx_record *record;
    uint64_t written = 0, seen = 0;
    for (int lap = 0; lap < 400; lap++) {
        for (int i = 0; i < 20 && put(ring, written + 1); i++)
            written++;
        kx_ring_publish(ring);
        while (kx_ring_read(ring, 0, &record) == KX_RING_RECORD)
            assert_true(intact(record, ++seen));
        kx_ring_release(ring, 0);
        assert_int_equal(seen, written);
    }
    assert_true(written > 4000);
    kx_ring_close(ring);
    assert_int_equal(kx_ring_read(ring, 0, &record), KX_RING_END);
    kx_ring_destroy(ring);
}

static void records_survive_the_end_of_the_memory(void **state)
{
    (void)state;
    wraps_from(0);
}

static void positions_survive_the_end_of_64_bits(void **state)
{
    (void)state;
    for (uint64_t before = 8; before < 4 * SMALL; before = before * 2 + 8)
        wraps_from(0 - before);
}

static void end_comes_after_the_last_record(void **state)
{
    (void)state;
    struct kx_ring *ring;
    assert_int_equal(kx_ring_create(&ring, SMALL, 1, 0, NULL), KX_OK);
    assert_true(put(ring, 1));
    kx_ring_close(ring); /* publishes what was committed */
    const struct kx_record *record;
    assert_true(kx_ring_pending(ring, 0));
    assert_int_equal(kx_ring_read(ring, 0, &record), KX_RING_RECORD);
    assert_int_equal(kx_ring_read(ring, 0, &record), KX_RING_END);
    assert_true(kx_ring_pending(ring, 0));
    kx_ring_destroy(ring);
}

/* --- torture: one writer, four readers of different temper --- */

enum { READERS = 4 };
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { TORTURE_RECORDS = 200000 };
#else
enum { TORTURE_RECORDS = 1000000 };
#endif

struct torture {
    struct kx_ring *ring;
    unsigned reader;
    bool sleeps;  /* waits by wake-up; otherwise it polls */
    bool dawdles; /* lets the writer run into a full ring again and again */
    uint64_t seen;
    uint64_t broken;
};

static void *torture_reader(void *argument)
{
    struct torture *torture = argument;
    const struct kx_record *record;
    uint64_t held = 0;
    for (;;) {
        enum kx_ring_result result = kx_ring_read(torture->ring, torture->reader, &record);
        if (result == KX_RING_END)
            break;
        if (result == KX_RING_RECORD) {
            torture->broken += !intact(record, ++torture->seen);
            held += record->length;
            if (!torture->dawdles || held > SMALL / 2) {
                kx_ring_release(torture->ring, torture->reader);
                held = 0;
            }
            continue;
        }
        kx_ring_release(torture->ring, torture->reader);
        held = 0;
        if (!torture->sleeps) {
            sched_yield();
            continue;
        }
        struct kx_wake *wake = kx_ring_wake(torture->ring, torture->reader);
        kx_wake_prepare(wake);
        if (kx_ring_pending(torture->ring, torture->reader))
            kx_wake_cancel(wake);
        else
            /* No deadline but the wake's own second: a lost wake-up shows as a run that takes for
             * ever. */
            kx_wake_sleep(wake, 0);
    }
    kx_ring_release(torture->ring, torture->reader);
    return NULL;
}

static void torture_run(bool sleeps)
{
    struct kx_ring *ring;
    assert_int_equal(kx_ring_create(&ring, SMALL, READERS, 0 - (uint64_t)SMALL * 3, NULL), KX_OK);
    pthread_t threads[READERS];
    struct torture torture[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        torture[i] = (struct torture){
            .ring = ring, .reader = i, .sleeps = sleeps && i != 3, .dawdles = i % 2 == 1};
        assert_int_equal(pthread_create(&threads[i], NULL, torture_reader, &torture[i]), 0);
    }
    uint64_t refused = 0;
    for (uint64_t n = 1; n <= TORTURE_RECORDS;) {
        if (put(ring, n)) {
            if (n % 7 == 0)
                kx_ring_publish(ring);
            n++;
            continue;
        }
        refused++;
        kx_ring_publish(ring);
        if (!sleeps) {
            sched_yield();
            continue;
        }
        struct kx_wake *room = kx_ring_room_wake(ring);
        kx_wake_prepare(room);
        if (kx_ring_has_room(ring))
            kx_wake_cancel(room);
        else
            kx_wake_sleep(room, 0);
    }
    kx_ring_close(ring);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(torture[i].broken, 0);
        assert_int_equal(torture[i].seen, TORTURE_RECORDS);
    }
    assert_true(refused > 0);
    kx_ring_destroy(ring);
}

static void torture_with_wake_ups(void **state)
{
    (void)state;
    torture_run(true);
}

static void torture_without_wake_ups(void **state)
{
    (void)state;
    torture_run(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_refuses_bad_sizes),
        cmocka_unit_test(nothing_is_seen_before_publish),
        cmocka_unit_test(a_second_reserve_gives_the_same_place),
        cmocka_unit_test(full_is_refused_until_the_slowest_reader_moves),
        cmocka_unit_test(records_survive_the_end_of_the_memory),
        cmocka_unit_test(positions_survive_the_end_of_64_bits),
        cmocka_unit_test(end_comes_after_the_last_record),
        cmocka_unit_test(torture_with_wake_ups),
        cmocka_unit_test(torture_without_wake_ups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
