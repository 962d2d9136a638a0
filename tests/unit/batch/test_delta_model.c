/*
 * The delta against a plain model: random streams of updates, all options, options that change
 * under way. The model keeps whole records and walks the field table; it shares no code with the
 * delta. Same records out in the same order, same counters, same fields named as changed.
 *
 * KX_DELTA_UPDATES in the environment: how many updates (100,000 otherwise).
 */
#include "fake.h"

#include "batch/delta.h"
#include <math.h>

enum { IDS = 48, MAX_DEVICES = 40, STATES = 6 };

#define BIT(field) (1ull << (field))

/* --- records --- */

static const enum kx_field texts[] = {KX_F_MAC_ADDR,    KX_F_NAME,         KX_F_USERNAME,
                                      KX_F_PHY_TYPE,    KX_F_MANUFACTURER, KX_F_CHANNEL,
                                      KX_F_SOURCE,      KX_F_SERVER_UUID,  KX_F_DEVICE_KEY,
                                      KX_F_DEVICE_TYPE, KX_F_CRYPT,        KX_F_EXTRA};
enum { TEXTS = sizeof texts / sizeof texts[0] };

/* What a device is at the moment; each update moves some of it. */
static struct now {
    uint32_t generation;
    unsigned text[TEXTS]; /* 0 = absent */
    int64_t number[KX_FIELDS];
    bool absent[KX_FIELDS];
    int64_t heard_ms;
} devices[IDS];

static bool is_number(enum kx_field field)
{
    enum kx_type type = kx_fields[field].type;
    return type == KX_TYPE_I64 || type == KX_TYPE_I32 || type == KX_TYPE_F64;
}

static void put_number(struct kx_device *device, enum kx_field field, int64_t number)
{
    char *at = (char *)device + kx_fields[field].offset;
    int32_t small = (int32_t)number;
    double real = (double)number / 8;
    if (kx_fields[field].type == KX_TYPE_I64)
        memcpy(at, &number, sizeof number);
    else if (kx_fields[field].type == KX_TYPE_I32)
        memcpy(at, &small, sizeof small);
    else
        memcpy(at, &real, sizeof real);
    device->head.present |= BIT(field);
}

static double get_number(const struct kx_record *record, enum kx_field field)
{
    const char *at = (const char *)record + kx_fields[field].offset;
    int64_t number;
    int32_t small;
    double real;
    if (kx_fields[field].type == KX_TYPE_I64)
        return memcpy(&number, at, sizeof number), (double)number;
    if (kx_fields[field].type == KX_TYPE_I32)
        return memcpy(&small, at, sizeof small), (double)small;
    memcpy(&real, at, sizeof real);
    return real;
}

static const struct kx_record *make(union made *made, uint32_t id, uint64_t sequence)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    const struct now *now = &devices[id];
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, made, sizeof *made);
    device->head.device_id = id;
    device->head.generation = now->generation;
    device->head.sequence = sequence;
    device->heard_at_ns = now->heard_ms * 1000000;
    for (enum kx_field field = 0; field < KX_FIELDS; field++)
        if (is_number(field) && !now->absent[field])
            put_number(device, field, now->number[field]);
    if (!now->absent[KX_F_MAC_RANDOM]) {
        device->mac_random = now->number[KX_F_MAC_RANDOM] != 0;
        device->head.present |= BIT(KX_F_MAC_RANDOM);
    }
    for (unsigned i = 0; i < TEXTS; i++)
        if (now->text[i] > 0)
            kx_builder_field(&builder, texts[i], letters + now->text[i], now->text[i] * 3);
    assert_true(kx_builder_finish(&builder) > 0);
    return &made->record;
}

static uint64_t seed;

static bool chance(unsigned in)
{
    return random_below(&seed, in) == 0;
}

static void mutate(struct now *now)
{
    if (chance(400))
        now->generation++;
    if (chance(3))
        return; /* told again as it was */
    if (!chance(3))
        now->number[KX_F_LAST_SEEN]++;
    if (chance(20)) /* watched or corrected; far from the second that decides */
        now->heard_ms += chance(2) ? 300 : chance(2) ? 1200 : -1200;
    if (chance(300))
        now->number[KX_F_FIRST_SEEN]++;
    static const enum kx_field counters[] = {KX_F_TOTAL_PACKETS, KX_F_TX_PACKETS, KX_F_RX_PACKETS,
                                             KX_F_DATA_SIZE};
    if (chance(3))
        now->number[counters[random_below(&seed, 4)]] += chance(20) ? -3 : 5;
    if (chance(3)) { /* a walk, so that deadbands hold some of it back */
        enum kx_field field = (enum kx_field)random_below(&seed, KX_FIELDS);
        if (is_number(field) && field != KX_F_FIRST_SEEN)
            now->number[field] += (int64_t)random_below(&seed, 5) - 2;
    }
    if (chance(30))
        now->number[KX_F_MAC_RANDOM] ^= 1;
    if (chance(40)) {
        enum kx_field field = (enum kx_field)random_below(&seed, KX_FIELDS);
        now->absent[field] = !now->absent[field];
    }
    if (chance(20))
        now->text[random_below(&seed, TEXTS)] = (unsigned)random_below(&seed, STATES);
}

/* --- the model --- */

static struct model {
    struct {
        bool known, has_parked;
        uint32_t generation;
        uint64_t sent_ns, due_ns, order;
        union made exported, parked;
    } devices[MAX_DEVICES];
    struct kx_delta_rules rules;
    uint64_t order, unchanged, coalesced, dropped, parked_count;
    uint64_t allowance, allowance_ns; /* of max_rate, in billionths of a record */
    bool started;
} model;

static bool has(const struct kx_record *record, enum kx_field field)
{
    return (record->present & BIT(field)) != 0;
}

/* The stream holds devices only. */
static const struct kx_device *device_of(const struct kx_record *record)
{
    return (const struct kx_device *)(const void *)record;
}

static bool differs(const struct kx_record *a, const struct kx_record *b, enum kx_field field)
{
    /* Not has(a) != has(b): gcc 12's -O1 on x86-64, with a call between the two, may turn that into
     * has(b) alone (its bt-and-jump pattern forgets what it compares with). */
    if (((a->present ^ b->present) & BIT(field)) != 0)
        return true;
    if (!has(a, field))
        return false;
    if (is_number(field))
        return get_number(a, field) != get_number(b, field);
    if (field == KX_F_MAC_RANDOM)
        return device_of(a)->mac_random != device_of(b)->mac_random;
    struct kx_text x, y;
    memcpy(&x, (const char *)a + kx_fields[field].offset, sizeof x);
    memcpy(&y, (const char *)b + kx_fields[field].offset, sizeof y);
    return x.length != y.length ||
           memcmp(kx_record_text(a, x), kx_record_text(b, y), x.length) != 0;
}

static bool model_new_life(const struct kx_record *old, const struct kx_record *new)
{
    static const enum kx_field up[] = {KX_F_TOTAL_PACKETS, KX_F_TX_PACKETS, KX_F_RX_PACKETS,
                                       KX_F_DATA_SIZE};
    if (has(old, KX_F_FIRST_SEEN) && has(new, KX_F_FIRST_SEEN) &&
        differs(old, new, KX_F_FIRST_SEEN))
        return true;
    for (unsigned i = 0; i < 4; i++)
        if (has(old, up[i]) && has(new, up[i]) && get_number(new, up[i]) < get_number(old, up[i]))
            return true;
    return false;
}

static bool model_corrected(const struct kx_record *old, const struct kx_record *new)
{
    int64_t moved = device_of(new)->heard_at_ns - device_of(old)->heard_at_ns;
    return !differs(old, new, KX_F_LAST_SEEN) && llabs(moved) > 1000000000;
}

static bool model_matters(const struct kx_record *old, const struct kx_record *new)
{
    if (model_new_life(old, new))
        return true;
    if ((model.rules.watched & BIT(KX_F_LAST_SEEN)) != 0 && model_corrected(old, new))
        return true;
    for (enum kx_field field = 1; field < KX_FIELDS; field++) {
        if ((model.rules.watched & BIT(field)) == 0 || !differs(old, new, field))
            continue;
        bool both = has(old, field) && has(new, field);
        if (both && is_number(field) &&
            fabs(get_number(old, field) - get_number(new, field)) <= model.rules.deadband[field])
            continue;
        return true;
    }
    return false;
}

static bool model_allowed(uint64_t now_ns)
{
    uint64_t rate = model.rules.rate_max;
    if (rate == 0)
        return true;
    uint64_t most = rate >= 10 ? rate * 100000000 : 1000000000;
    if (!model.started || now_ns - model.allowance_ns >= S(1))
        model.allowance = most;
    else
        model.allowance += (now_ns - model.allowance_ns) * rate;
    if (model.allowance > most)
        model.allowance = most;
    model.started = true;
    model.allowance_ns = now_ns;
    if (model.allowance < 1000000000)
        return false;
    model.allowance -= 1000000000;
    return true;
}

static uint64_t model_export(uint32_t id, const struct kx_record *record, uint64_t now_ns)
{
    uint64_t changed = UINT64_MAX;
    if (model.rules.mode == KX_DELTA_FIELDS && model.devices[id].known &&
        !model_new_life(&model.devices[id].exported.record, record)) {
        changed = BIT(KX_F_TIMESTAMP);
        for (enum kx_field field = 1; field < KX_FIELDS; field++)
            if ((model.rules.fields & BIT(field)) != 0 &&
                (differs(&model.devices[id].exported.record, record, field) ||
                 (field == KX_F_LAST_SEEN &&
                  model_corrected(&model.devices[id].exported.record, record))))
                changed |= BIT(field);
    }
    memmove(&model.devices[id].exported, record, record->length);
    model.devices[id].known = true;
    model.devices[id].sent_ns = now_ns;
    return changed;
}

static void model_unpark(uint32_t id)
{
    model.devices[id].has_parked = false;
    model.parked_count--;
}

/* True = it passes. */
static bool model_offer(const struct kx_record *record, uint64_t now_ns, uint64_t *ret_changed)
{
    uint32_t id = record->device_id;
    *ret_changed = UINT64_MAX;
    if (id >= MAX_DEVICES)
        return true;
    if (model.devices[id].generation != record->generation) {
        assert_false(model.devices[id].has_parked);
        model.devices[id].generation = record->generation;
        model.devices[id].known = false;
        model.devices[id].sent_ns = 0;
    }
    bool known = model.devices[id].known;
    const struct kx_record *old = &model.devices[id].exported.record;
    bool matters = !known || model.rules.mode == KX_DELTA_OFF || model_matters(old, record);
    bool heard = has(record, KX_F_LAST_SEEN) && (!known || differs(old, record, KX_F_LAST_SEEN));
    bool beats = model.rules.heartbeat_ns > 0 && heard;
    if (!matters && !beats) {
        model.unchanged++;
        if (model.devices[id].has_parked) {
            model.coalesced++;
            model_unpark(id);
        }
        return false;
    }
    uint64_t wait = matters ? model.rules.min_interval_ns : UINT64_MAX;
    if (beats && model.rules.heartbeat_ns < wait)
        wait = model.rules.heartbeat_ns;
    uint64_t due = model.devices[id].sent_ns == 0 ? 0 : model.devices[id].sent_ns + wait;
    if (due <= now_ns && model_allowed(now_ns)) {
        if (model.devices[id].has_parked) {
            model.coalesced++;
            model_unpark(id);
        }
        *ret_changed = model_export(id, record, now_ns);
        return true;
    }
    if (model.devices[id].has_parked) {
        model.coalesced++;
    } else {
        model.devices[id].has_parked = true;
        model.devices[id].order = model.order++;
        model.parked_count++;
    }
    memcpy(&model.devices[id].parked, record, record->length);
    model.devices[id].due_ns = due;
    return false;
}

/* The next that is due; MAX_DEVICES = none. */
static uint32_t model_first(void)
{
    uint32_t first = MAX_DEVICES;
    for (uint32_t id = 0; id < MAX_DEVICES; id++) {
        if (!model.devices[id].has_parked)
            continue;
        if (first == MAX_DEVICES || model.devices[id].due_ns < model.devices[first].due_ns ||
            (model.devices[id].due_ns == model.devices[first].due_ns &&
             model.devices[id].order < model.devices[first].order))
            first = id;
    }
    return first;
}

static void model_set_rules(const struct kx_delta_rules *rules)
{
    bool others = rules->mode != model.rules.mode || rules->fields != model.rules.fields ||
                  rules->watched != model.rules.watched;
    bool pace = others || rules->min_interval_ns != model.rules.min_interval_ns ||
                rules->heartbeat_ns != model.rules.heartbeat_ns ||
                rules->rate_max != model.rules.rate_max;
    model.rules = *rules;
    for (uint32_t id = 0; id < MAX_DEVICES; id++) {
        if (others)
            model.devices[id].known = false;
        if (pace)
            model.devices[id].due_ns = 0;
    }
    if (pace)
        model.started = false;
}

/* --- both --- */

static struct kx_delta *delta;
static struct kx_counters *counters;
static uint64_t offered, passed;

static void expect_record(const struct kx_record *got, const struct kx_record *wanted)
{
    assert_non_null(got);
    assert_int_equal(got->length, wanted->length);
    assert_memory_equal(got, wanted, wanted->length);
}

static void release(uint64_t now_ns, bool all)
{
    for (;;) {
        uint64_t changed = 0;
        const struct kx_record *got = kx_delta_due(delta, now_ns, all, &changed);
        uint32_t id = model_first();
        if (id == MAX_DEVICES ||
            (!all && (model.devices[id].due_ns > now_ns || !model_allowed(now_ns)))) {
            assert_null(got);
            return;
        }
        model_unpark(id);
        expect_record(got, &model.devices[id].parked.record);
        union made copy = model.devices[id].parked;
        assert_int_equal(changed, model_export(id, &copy.record, now_ns));
        passed++;
    }
}

static void update(uint64_t now_ns)
{
    union made made;
    uint32_t id = (uint32_t)random_below(&seed, IDS);
    mutate(&devices[id]);
    const struct kx_record *record = make(&made, id, ++offered);
    const struct kx_record *older = kx_delta_displaced(delta, record);
    if (id < MAX_DEVICES && model.devices[id].has_parked &&
        model.devices[id].generation != record->generation) {
        expect_record(older, &model.devices[id].parked.record);
        model_unpark(id);
        passed++;
    } else {
        assert_null(older);
    }
    uint64_t changed = 0, wanted = 0;
    bool passes = model_offer(record, now_ns, &wanted);
    assert_int_equal(kx_delta_offer(delta, record, now_ns, &changed) == KX_DELTA_PASS, passes);
    if (passes)
        assert_int_equal(changed, wanted);
    passed += passes;
}

static void draw_rules(struct kx_delta_rules *rules)
{
    static const uint64_t waits[] = {0, 0, MS(300), S(1), S(3)};
    *rules = (struct kx_delta_rules){.mode = (enum kx_delta_mode)random_below(&seed, 3)};
    rules->fields = (BIT(KX_FIELDS) - 1) & ~BIT(KX_F_TIMESTAMP);
    if (chance(3))
        rules->fields &= random_next(&seed);
    rules->watched = rules->fields;
    if (chance(2))
        rules->watched &= random_next(&seed) | random_next(&seed);
    if (chance(2))
        rules->watched &= ~BIT(KX_F_LAST_SEEN);
    for (enum kx_field field = 1; field < KX_FIELDS; field++)
        if (is_number(field) && chance(3))
            rules->deadband[field] = (double)random_below(&seed, 4);
    rules->heartbeat_ns = waits[random_below(&seed, 5)];
    rules->min_interval_ns = waits[random_below(&seed, 5)];
    rules->rate_max = chance(2) ? 0 : 1 + (uint32_t)random_below(&seed, 60);
}

static void disturb(void)
{
    if (chance(1000)) {
        struct kx_delta_rules rules;
        draw_rules(&rules);
        kx_delta_set_rules(delta, &rules);
        model_set_rules(&rules);
    }
    if (chance(300)) {
        uint32_t id = (uint32_t)random_below(&seed, IDS);
        uint32_t generation = devices[id].generation - (chance(2) ? 0 : 1);
        kx_delta_forget(delta, id, generation);
        if (id < MAX_DEVICES && model.devices[id].generation == generation)
            model.devices[id].known = false;
    }
    if (chance(5000)) {
        kx_delta_invalidate(delta);
        for (uint32_t id = 0; id < MAX_DEVICES; id++)
            model.devices[id].known = false;
    }
    if (chance(10000)) {
        kx_delta_drop(delta, KX_C_DROPPED_GONE);
        for (uint32_t id = 0; id < MAX_DEVICES; id++)
            if (model.devices[id].has_parked) {
                model.dropped++;
                model_unpark(id);
            }
    }
}

static void expect_account(void)
{
    assert_int_equal(kx_counter_get(counters, KX_C_UNCHANGED), model.unchanged);
    assert_int_equal(kx_counter_get(counters, KX_C_COALESCED), model.coalesced);
    assert_int_equal(kx_counter_get(counters, KX_C_DROPPED_GONE), model.dropped);
    assert_int_equal(kx_delta_parked(delta), model.parked_count);
    assert_int_equal(offered, passed + model.unchanged + model.coalesced + model.dropped +
                                  model.parked_count);
}

static void same_as_the_model(void **state)
{
    (void)state;
    const char *asked = getenv("KX_DELTA_UPDATES");
    unsigned long updates = asked != NULL ? strtoul(asked, NULL, 10) : 100000;
    struct kx_delta_rules rules;
    seed = 20240229;
    uint64_t now_ns = S(1000), parked_most = 0, released = 0;
    counters = kx_counters_create();
    assert_non_null(counters);
    assert_int_equal(kx_delta_create(&delta, MAX_DEVICES, counters, NULL), KX_OK);
    for (uint32_t id = 0; id < IDS; id++)
        devices[id].generation = 1;
    draw_rules(&rules);
    kx_delta_set_rules(delta, &rules);
    model.rules = rules;
    for (unsigned long i = 0; i < updates; i++) {
        now_ns += random_below(&seed, MS(40));
        disturb();
        uint64_t before = passed;
        release(now_ns, chance(20000));
        released += passed - before;
        update(now_ns);
        if (kx_delta_parked(delta) > parked_most)
            parked_most = kx_delta_parked(delta);
        uint64_t due_ns = kx_delta_due_ns(delta, now_ns);
        assert_int_equal(due_ns == 0, model.parked_count == 0);
        assert_true(due_ns == 0 || due_ns >= now_ns + KX_DELTA_TICK_NS);
        if (i % 64 == 0)
            expect_account();
    }
    release(now_ns, true);
    expect_account();
    assert_int_equal(model.parked_count, 0);
    print_message("%lu updates: %llu passed (%llu of them parked before), %llu unchanged, %llu "
                  "coalesced, %llu dropped, at most %llu parked\n",
                  updates, (unsigned long long)passed, (unsigned long long)released,
                  (unsigned long long)model.unchanged, (unsigned long long)model.coalesced,
                  (unsigned long long)model.dropped, (unsigned long long)parked_most);
    /* The stream has something of everything. */
    assert_true(released > 0 && model.unchanged > 0 && model.coalesced > 0 && parked_most > 5);
    kx_delta_destroy(delta);
    kx_counters_destroy(counters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_the_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
