/* The open batch against a model, its bounds, and the account of a sealed one. */
#include "fake.h"
#include "no_memory.h"

#include "batch/open_batch.h"
#include "batch/sealed.h"
#include "batch/store.h"

static struct kx_counters *counters;
static struct kx_open_batch open_batch;
static struct kx_sealed sealed;
static union made made;

static void begin(uint32_t records, uint64_t bytes, bool newest, uint32_t max_devices)
{
    struct kx_batch_config limits = {records, bytes, S(1)};
    counters = kx_counters_create();
    assert_non_null(counters);
    kx_open_init(&open_batch, &limits, newest, max_devices, counters);
    memset(&sealed, 0, sizeof sealed);
}

static void end(void)
{
    kx_open_fini(&open_batch);
    kx_store_fini(&sealed.store);
    kx_counters_destroy(counters);
}

static uint64_t count_of(enum kx_counter counter)
{
    return kx_counter_get(counters, counter);
}

static void add_device(uint32_t id, uint32_t generation, uint64_t sequence)
{
    kx_open_add(&open_batch, made_device(&made, id, generation, sequence, 10), UINT64_MAX, S(1));
}

/* Seals and compares the sequences, in order; 0 ends the list. */
static void expect_sealed(const uint64_t *sequences)
{
    kx_store_clear(&sealed.store);
    assert_true(kx_open_seal(&open_batch, &sealed));
    uint32_t i = 0;
    for (; sequences[i] != 0; i++) {
        assert_true(i < sealed.records);
        assert_int_equal(kx_batch_record(&sealed.view, i)->sequence, sequences[i]);
    }
    assert_int_equal(sealed.records, i);
}

#define EXPECT_SEALED(...) expect_sealed((const uint64_t[]){__VA_ARGS__, 0})

static void test_store(void **state)
{
    (void)state;
    struct kx_store store = {0};
    for (uint64_t i = 1; i <= 1000; i++)
        assert_true(kx_store_append(&store, made_device(&made, 0, 0, i, i % 100), 0));
    assert_int_equal(store.slots, 1000);
    assert_true(store.slot_capacity % 64 == 0);
    for (uint32_t slot = 0; slot < 1000; slot++)
        if (slot % 3 != 0)
            store.offsets[slot] = KX_STORE_DEAD;
    kx_store_compact(&store);
    assert_int_equal(store.slots, 334);
    size_t used = 0;
    for (uint32_t slot = 0; slot < 334; slot++) {
        const struct kx_record *record = kx_store_record(&store, slot);
        assert_int_equal(store.offsets[slot], used);
        assert_int_equal(record->sequence, slot * 3 + 1);
        assert_true(kx_record_valid(record, record->length));
        used += record->length;
    }
    assert_int_equal(store.used, used);
    store.offsets[0] = store.offsets[333] = KX_STORE_DEAD;
    kx_store_squeeze(&store);
    assert_int_equal(store.slots, 332);
    assert_int_equal(kx_store_record(&store, 0)->sequence, 4);
    assert_int_equal(store.used, used);
    size_t capacity = store.capacity;
    kx_store_trim(&store, capacity);
    assert_int_equal(store.capacity, capacity);
    kx_store_trim(&store, 1);
    assert_int_equal(store.capacity, used);
    assert_int_equal(kx_store_record(&store, 331)->sequence, 997);
    kx_store_clear(&store);
    assert_int_equal(store.used, 0);
    assert_false(kx_store_reserve(&store, UINT32_MAX, 1));
    assert_false(kx_store_reserve(&store, 1, (size_t)UINT32_MAX));
    kx_store_fini(&store);
}

static void test_limits(void **state)
{
    (void)state;
    begin(3, 1000, false, 100);
    assert_int_equal(kx_open_due_ns(&open_batch), 0);
    assert_true(kx_open_fits(&open_batch, 5000)); /* an empty one takes any record */
    kx_open_add(&open_batch, made_event(&made, 1, 2), UINT64_MAX, S(7));
    assert_int_equal(kx_open_due_ns(&open_batch), S(8));
    kx_open_add(&open_batch, made_event(&made, 2, 2), UINT64_MAX, S(8));
    assert_int_equal(kx_open_due_ns(&open_batch), S(8)); /* of the oldest */
    assert_false(kx_open_full(&open_batch));
    size_t used = 2 * made.record.length;
    assert_true(kx_open_fits(&open_batch, 1000 - used));
    assert_false(kx_open_fits(&open_batch, 1000 - used + 1));
    kx_open_add(&open_batch, made_event(&made, 3, 2), UINT64_MAX, S(8));
    assert_true(kx_open_full(&open_batch)); /* by count */
    assert_false(kx_open_fits(&open_batch, 1));
    EXPECT_SEALED(1, 2, 3);
    assert_int_equal(sealed.opened_ns, S(7));
    assert_int_equal(sealed.events, 3);
    assert_int_equal(kx_open_live(&open_batch), 0);
    kx_open_add(&open_batch, made_event(&made, 4, 920), UINT64_MAX, S(9));
    assert_true(kx_open_full(&open_batch)); /* by bytes */
    EXPECT_SEALED(4);
    /* A limit that the far end made known counts from now on, and only downwards. */
    kx_open_limit_bytes(&open_batch, 200);
    kx_open_limit_bytes(&open_batch, 0);
    kx_open_limit_bytes(&open_batch, 300);
    assert_int_equal(open_batch.limits.bytes, 200);
    end();
    begin(1 << 30, UINT64_MAX, false, 10);
    assert_int_equal(open_batch.limits.bytes, 128 << 20); /* four of them are the bound */
    assert_int_equal(open_batch.limits.records, 1 << 24);
    end();
    begin(0, 0, false, 0); /* limits of nothing become limits of one */
    assert_int_equal(open_batch.limits.bytes, 1);
    kx_open_add(&open_batch, made_event(&made, 1, 2), UINT64_MAX, S(1));
    assert_true(kx_open_full(&open_batch));
    EXPECT_SEALED(1);
    end();
}

static void test_coalesce(void **state)
{
    (void)state;
    begin(100, 1 << 20, true, 5000);
    add_device(7, 1, 1);
    add_device(8, 1, 2);
    add_device(7, 1, 3); /* replaces 1 and goes to its own place in the order */
    add_device(9, 1, 4);
    add_device(8, 2, 5); /* another device under the same id: replaces nothing */
    add_device(8, 2, 6); /* replaces 5 */
    kx_open_add(&open_batch, made_event(&made, 7, 2), UINT64_MAX, S(1));
    kx_open_add(&open_batch, made_event(&made, 8, 2), UINT64_MAX, S(1));
    add_device(4999, 1, 9); /* the index grows */
    add_device(4999, 1, 10);
    assert_int_equal(open_batch.index_size, 5000);
    add_device(5000, 1, 11); /* no such id: never replaced */
    add_device(5000, 1, 12);
    add_device(KX_DEVICE_NONE, 0, 13);
    add_device(KX_DEVICE_NONE, 0, 14);
    EXPECT_SEALED(2, 3, 4, 6, 7, 8, 10, 11, 12, 13, 14);
    assert_int_equal(count_of(KX_C_COALESCED), 3);
    assert_int_equal(sealed.events, 2);
    /* What was sealed is not replaced any more. */
    add_device(7, 1, 15);
    add_device(7, 1, 16);
    EXPECT_SEALED(16);
    /* Nor is anything in a sink that keeps every record. */
    end();
    begin(100, 1 << 20, false, 5000);
    add_device(7, 1, 1);
    add_device(7, 1, 2);
    EXPECT_SEALED(1, 2);
    end();
}

static void test_epoch_wrap(void **state)
{
    (void)state;
    begin(100, 1 << 20, true, 100);
    add_device(7, 1, 1);
    EXPECT_SEALED(1); /* the entry of 7 carries epoch 1 */
    open_batch.epoch = UINT32_MAX;
    add_device(8, 1, 2);
    EXPECT_SEALED(2); /* the epoch wraps to 1: the old entry must not look valid */
    assert_int_equal(open_batch.epoch, 1);
    add_device(9, 1, 3);
    add_device(7, 1, 4);
    EXPECT_SEALED(3, 4);
    end();
}

static void test_pressure_starts_and_ends(void **state)
{
    (void)state;
    begin(4, 1 << 20, false, 100);
    add_device(1, 1, 1);
    add_device(2, 1, 2);
    add_device(1, 1, 3);
    kx_open_press(&open_batch); /* what is there already is coalesced too */
    kx_open_press(&open_batch);
    assert_int_equal(count_of(KX_C_COALESCED), 1);
    add_device(2, 1, 4);
    for (uint32_t id = 10; id < 17; id++)
        add_device(id, 1, id);
    assert_int_equal(kx_open_live(&open_batch), 9);
    EXPECT_SEALED(3, 4, 10, 11); /* the oldest, as many as a batch may hold */
    assert_true(open_batch.pressure);
    add_device(10, 1, 20); /* sealed already: not replaced */
    add_device(12, 1, 21); /* not yet: replaced */
    EXPECT_SEALED(13, 14, 15, 16);
    assert_false(open_batch.pressure); /* back under the limits */
    add_device(10, 1, 22);             /* and every record is kept again */
    EXPECT_SEALED(20, 21, 22);
    assert_int_equal(count_of(KX_C_COALESCED), 3);
    end();
}

static void test_pressure_bounds(void **state)
{
    (void)state;
    enum { LIMIT = 32768, DEVICES = 500 };
    begin(100, LIMIT, false, DEVICES);
    kx_open_press(&open_batch);
    uint64_t adds = 0;
    for (uint32_t round = 0; round < 50; round++)
        for (uint32_t id = 0; id < DEVICES; id++) {
            /* Each round the ids belong to new devices: nothing can be replaced. */
            kx_open_add(&open_batch, made_device(&made, id, round, ++adds, 20), UINT64_MAX, S(1));
            kx_open_add(&open_batch, made_event(&made, ++adds, 40), UINT64_MAX, S(1));
            assert_true(open_batch.devices.records <= DEVICES);
            assert_true(open_batch.events.bytes <= 4 * LIMIT);
            uint64_t live = open_batch.devices.bytes + open_batch.events.bytes;
            assert_true(open_batch.store.used <= 2 * live + KX_RECORD_BYTES_MAX);
        }
    assert_int_equal(count_of(KX_C_COALESCED), 0);
    assert_int_equal(count_of(KX_C_DROPPED_PRESSURE) + kx_open_live(&open_batch), adds);
    /* 4 x bytes is full of the newest events, and the newest device records are there. */
    assert_int_equal(open_batch.events.records, 4 * LIMIT / made.record.length);
    assert_int_equal(open_batch.devices.records, DEVICES);
    size_t peak = open_batch.store.capacity;
    uint64_t last = 0, sealed_records = 0;
    while (kx_open_live(&open_batch) > 0) {
        kx_store_clear(&sealed.store);
        assert_true(kx_open_seal(&open_batch, &sealed));
        assert_true(sealed.records <= 100 && sealed.store.used <= LIMIT);
        /* The memory is given back as soon as pressure ends. */
        assert_true(open_batch.pressure ||
                    open_batch.store.capacity <= 2 * (LIMIT + KX_RECORD_BYTES_MAX));
        for (uint32_t i = 0; i < sealed.records; i++) {
            uint64_t sequence = kx_batch_record(&sealed.view, i)->sequence;
            assert_true(sequence > last);
            last = sequence;
        }
        sealed_records += sealed.records;
    }
    assert_int_equal(last, adds);
    assert_int_equal(count_of(KX_C_DROPPED_PRESSURE) + sealed_records, adds);
    assert_true(peak > 2 * (LIMIT + KX_RECORD_BYTES_MAX));
    assert_true(open_batch.store.capacity <= 2 * (LIMIT + KX_RECORD_BYTES_MAX));
    assert_true(sealed.store.capacity <= 2 * (LIMIT + KX_RECORD_BYTES_MAX));
    end();
}

/* A device heard all day in one batch must not make it grow. */
static void test_holes_are_closed(void **state)
{
    (void)state;
    begin(1000, 10000, true, 10);
    for (uint64_t i = 1; i <= 100000; i++) {
        kx_open_add(&open_batch, made_device(&made, i % 3 == 0 ? 1 : 2, 1, i, 300), UINT64_MAX,
                    S(1));
        assert_true(open_batch.store.used <= 10000 + 2 * sizeof made);
    }
    EXPECT_SEALED(99999, 100000);
    assert_int_equal(count_of(KX_C_COALESCED), 99998);
    end();
}

static void test_drop(void **state)
{
    (void)state;
    begin(4, 1 << 20, true, 100);
    for (uint32_t id = 0; id < 3; id++)
        add_device(id, 1, id + 1);
    kx_open_press(&open_batch);
    kx_open_drop(&open_batch, KX_C_DROPPED_GONE);
    assert_int_equal(count_of(KX_C_DROPPED_GONE), 3);
    assert_int_equal(kx_open_live(&open_batch), 0);
    assert_false(open_batch.pressure);
    add_device(1, 1, 9);
    EXPECT_SEALED(9);
    end();
}

static void test_no_memory(void **state)
{
    (void)state;
    begin(100000, 1 << 20, true, 100000);
    add_device(1, 1, 1);
    no_memory = true;
    add_device(50000, 1, 2); /* no memory for the index: kept, but not replaced */
    add_device(50000, 1, 3);
    uint64_t adds = 3;
    while (count_of(KX_C_DROPPED_MEMORY) == 0)
        kx_open_add(&open_batch, made_device(&made, 1, (uint32_t)adds, adds, 1000), UINT64_MAX,
                    S(1)),
            adds++;
    no_memory = false;
    /* Under pressure a piece has to be copied; without memory nothing happens to it. */
    open_batch.limits.records = 2;
    uint32_t live = kx_open_live(&open_batch);
    no_memory = true;
    assert_false(kx_open_seal(&open_batch, &sealed));
    no_memory = false;
    assert_int_equal(kx_open_live(&open_batch), live);
    EXPECT_SEALED(1, 2);
    assert_int_equal(kx_open_live(&open_batch), live - 2);
    end();
    /* The slots' three arrays, one after the other, and a trim that fails. */
    struct kx_store store = {0};
    assert_true(kx_store_append(&store, made_event(&made, 1, 2), 0));
    for (memory_left = 0; memory_left < 3; memory_left++) {
        int left = memory_left;
        no_memory = true;
        assert_false(kx_store_reserve(&store, 10, 100000));
        assert_int_equal(store.slot_capacity, 64);
        memory_left = left;
    }
    memory_left = 0;
    size_t capacity = store.capacity;
    kx_store_trim(&store, 100);
    no_memory = false;
    assert_int_equal(store.capacity, capacity);
    assert_int_equal(kx_store_record(&store, 0)->sequence, 1);
    kx_store_fini(&store);
}

/* --- the model: a plain list --- */

struct item {
    uint32_t id, generation, length;
    uint64_t sequence;
    bool event;
};

enum { ITEMS_MAX = 20000 };
static struct item items[ITEMS_MAX];
static size_t item_count;
static uint64_t model_coalesced, model_dropped;

static void item_remove(size_t at)
{
    memmove(items + at, items + at + 1, (item_count - at - 1) * sizeof *items);
    item_count--;
}

/* Takes out the newest record of the same device before `at`, if it is of the same generation. */
static bool model_replace(size_t at, uint32_t max_devices)
{
    struct item newer = items[at];
    if (newer.event || newer.id >= max_devices)
        return false;
    for (size_t i = at; i-- > 0;) {
        if (items[i].event || items[i].id != newer.id)
            continue;
        if (items[i].generation != newer.generation)
            return false;
        item_remove(i);
        model_coalesced++;
        return true;
    }
    return false;
}

static void model_bound(bool event, uint64_t bytes_max, uint64_t records_max)
{
    for (;;) {
        uint64_t bytes = 0, records = 0;
        size_t oldest = SIZE_MAX;
        for (size_t i = 0; i < item_count; i++)
            if (items[i].event == event) {
                if (oldest == SIZE_MAX)
                    oldest = i;
                bytes += items[i].length;
                records++;
            }
        if (bytes <= bytes_max && records <= records_max)
            return;
        item_remove(oldest);
        model_dropped++;
    }
}

static size_t model_seal(struct item *ret_items, uint32_t records, uint64_t bytes_max)
{
    size_t count = 0;
    uint64_t bytes = 0;
    while (count < item_count && count < records &&
           (count == 0 || bytes + items[count].length <= bytes_max))
        bytes += items[count++].length;
    memcpy(ret_items, items, count * sizeof *items);
    memmove(items, items + count, (item_count - count) * sizeof *items);
    item_count -= count;
    return count;
}

static void model_run(uint64_t seed, bool newest, uint32_t max_devices)
{
    enum { RECORDS = 40, BYTES = 12000, STEPS = 6000, IDS = 300 };
    static struct item expected[ITEMS_MAX];
    uint32_t generations[IDS] = {0};
    begin(RECORDS, BYTES, newest, max_devices);
    item_count = 0;
    model_coalesced = model_dropped = 0;
    uint64_t sequence = 0, sealed_count = 0;
    for (int step = 0; step < STEPS; step++) {
        uint64_t dice = random_below(&seed, 100);
        if (dice < 95) {
            bool event = random_below(&seed, 5) == 0;
            uint32_t id = (uint32_t)random_below(&seed, IDS);
            if (random_below(&seed, 50) == 0)
                generations[id]++;
            size_t text = random_below(&seed, 400);
            const struct kx_record *record =
                event ? made_event(&made, ++sequence, text)
                      : made_device(&made, id, generations[id], ++sequence, text);
            kx_open_add(&open_batch, record, UINT64_MAX, S(1));
            items[item_count++] =
                (struct item){id, generations[id], record->length, sequence, event};
            if (newest || open_batch.pressure)
                model_replace(item_count - 1, max_devices);
            if (open_batch.pressure)
                model_bound(event,
                            event ? open_batch.events.bytes_max : open_batch.devices.bytes_max,
                            event ? UINT64_MAX : max_devices);
        } else if (dice < 97) {
            if (!newest && !open_batch.pressure)
                for (size_t i = 0; i < item_count;)
                    i += model_replace(i, max_devices) ? 0 : 1;
            kx_open_press(&open_batch);
        } else if (item_count > 0) {
            size_t count = model_seal(expected, RECORDS, BYTES);
            kx_store_clear(&sealed.store);
            assert_true(kx_open_seal(&open_batch, &sealed));
            assert_int_equal(sealed.records, count);
            uint32_t events = 0;
            for (uint32_t i = 0; i < count; i++) {
                const struct kx_record *record = kx_batch_record(&sealed.view, i);
                assert_int_equal(record->sequence, expected[i].sequence);
                assert_int_equal(record->length, expected[i].length);
                events += expected[i].event;
            }
            assert_int_equal(sealed.events, events);
            sealed_count += count;
        }
        assert_int_equal(kx_open_live(&open_batch), item_count);
        assert_int_equal(count_of(KX_C_COALESCED), model_coalesced);
        assert_int_equal(count_of(KX_C_DROPPED_PRESSURE), model_dropped);
    }
    assert_int_equal(sequence, sealed_count + item_count + model_coalesced + model_dropped);
    assert_true(sealed_count > 0 && model_coalesced > 0);
    end();
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        model_run(seed, true, 1000);
        model_run(seed, false, 1000);
        model_run(seed, true, 40); /* fewer places than ids: some cannot be replaced, some go */
        model_run(seed, false, 200);
    }
}

/* --- the account --- */

static void gather(uint32_t devices, uint32_t events)
{
    begin(1000, 1 << 20, false, 1000);
    uint64_t sequence = 0;
    for (uint32_t i = 0; i < devices || i < events; i++) {
        if (i < devices)
            add_device(i, 1, ++sequence);
        if (i < events)
            kx_open_add(&open_batch, made_event(&made, ++sequence, 2), UINT64_MAX, S(1));
    }
    assert_true(kx_open_seal(&open_batch, &sealed));
}

static void test_settle(void **state)
{
    (void)state;
    gather(100, 30); /* 130 records: three words, the last with two bits */
    assert_int_equal(sealed.pending, 130);
    assert_int_equal(kx_sealed_settle_done(&sealed, counters), 0);
    kx_batch_mark(&sealed.view, 0); /* a device */
    kx_batch_mark(&sealed.view, 1); /* an event */
    kx_batch_mark(&sealed.view, 129);
    assert_int_equal(kx_sealed_settle_done(&sealed, counters), 3);
    assert_int_equal(kx_sealed_settle_done(&sealed, counters), 0); /* never twice */
    assert_int_equal(count_of(KX_C_DELIVERED), 3);
    assert_int_equal(count_of(KX_C_DELIVERED_EVENTS), 1);
    assert_true(kx_sealed_settle(&sealed, 64, counters, KX_C_SENDER_DROPPED_REJECTED));
    assert_false(kx_sealed_settle(&sealed, 64, counters, KX_C_SENDER_DROPPED_REJECTED));
    assert_false(kx_sealed_settle(&sealed, 129, counters, KX_C_SENDER_DROPPED_REJECTED));
    assert_true(kx_batch_done(&sealed.view, 64));                  /* never sent again */
    assert_int_equal(kx_sealed_settle_done(&sealed, counters), 0); /* nor delivered */
    assert_int_equal(sealed.pending, 126);
    assert_int_equal(kx_sealed_settle_rest(&sealed, counters, KX_C_SENDER_DROPPED_STOP), 126);
    assert_int_equal(sealed.pending, 0);
    assert_int_equal(sealed.delivered, 3);
    assert_int_equal(count_of(KX_C_DELIVERED) + count_of(KX_C_SENDER_DROPPED_REJECTED) +
                         count_of(KX_C_SENDER_DROPPED_STOP),
                     130);
    end();
}

/* A sink that marks beyond its view's end does not invent records. */
static void test_settle_kinds(void **state)
{
    (void)state;
    gather(100, 30);
    sealed.store.done[2] = UINT64_MAX;
    assert_int_equal(kx_sealed_settle_done(&sealed, counters), 2);
    assert_int_equal(kx_sealed_settle_rest(&sealed, counters, KX_C_SENDER_DROPPED_STOP), 128);
    end();
    gather(64, 0);
    sealed.store.done[0] = UINT64_MAX;
    assert_int_equal(kx_sealed_settle_done(&sealed, counters), 64);
    assert_int_equal(count_of(KX_C_DELIVERED_EVENTS), 0);
    end();
    gather(0, 63);
    sealed.store.done[0] = UINT64_MAX;
    assert_int_equal(kx_sealed_settle_done(&sealed, counters), 63);
    assert_int_equal(count_of(KX_C_DELIVERED_EVENTS), 63);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_coalesce),
        cmocka_unit_test(test_epoch_wrap),
        cmocka_unit_test(test_pressure_starts_and_ends),
        cmocka_unit_test(test_pressure_bounds),
        cmocka_unit_test(test_holes_are_closed),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_settle),
        cmocka_unit_test(test_settle_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
