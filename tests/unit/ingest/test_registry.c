/*
 * The registry: names, ids, generations, the clock; all of it against a plain model too.
 */
#include "ingest/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const server_a = "BFAE90F0-E6A4-11F1-B392-4B49534D4554";

static struct kx_registry *create(uint32_t max_devices)
{
    struct kx_registry *registry = NULL;
    struct kx_error err;
    assert_int_equal(kx_registry_create(&registry, max_devices, &err), KX_OK);
    assert_non_null(registry);
    return registry;
}

static struct kx_registry_name name_of(uint16_t source, const char *server, const char *key)
{
    return (struct kx_registry_name){server, strlen(server), key, strlen(key), source};
}

static struct kx_registry_entry *
find(struct kx_registry *registry, const char *key, enum kx_registry_found expected)
{
    struct kx_registry_name name = name_of(0, server_a, key);
    enum kx_registry_found found = KX_REGISTRY_KNOWN;
    struct kx_registry_entry *entry = kx_registry_find(registry, &name, &found);
    assert_non_null(entry);
    assert_int_equal(found, expected);
    return entry;
}

static struct kx_registry_entry *peek(struct kx_registry *registry, const char *key)
{
    struct kx_registry_name name = name_of(0, server_a, key);
    return kx_registry_peek(registry, &name);
}

/* A key as Kismet writes it; the number is the device. */
static const char *key_of(uint32_t number, char out[40])
{
    snprintf(out, 40, "4202770D00000000_%012X", number);
    return out;
}

static struct kx_registry_entry *
find_number(struct kx_registry *registry, uint32_t number, enum kx_registry_found expected)
{
    char key[40];
    return find(registry, key_of(number, key), expected);
}

static bool has_number(struct kx_registry *registry, uint32_t number)
{
    char key[40];
    return peek(registry, key_of(number, key)) != NULL;
}

/* --- names --- */

static void create_wants_a_sane_number(void **state)
{
    (void)state;
    struct kx_registry *registry = NULL;
    struct kx_error err = {0};
    assert_int_equal(kx_registry_create(&registry, 0, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "max_devices"));
    assert_int_equal(kx_registry_create(&registry, KX_REGISTRY_DEVICES_MAX + 1, &err),
                     KX_ERR_CONFIG);
    assert_int_equal(kx_registry_create(&registry, 0, NULL), KX_ERR_CONFIG);
    assert_null(registry);
    kx_registry_destroy(NULL);
}

static void device_is_new_once(void **state)
{
    (void)state;
    struct kx_registry *registry = create(10);
    assert_int_equal(kx_registry_count(registry), 0);
    assert_null(peek(registry, "k"));
    struct kx_registry_entry *entry = find(registry, "k", KX_REGISTRY_NEW);
    assert_int_equal(entry->id, 0);
    assert_int_equal(entry->generation, 1);
    assert_int_equal(entry->told.heard, KX_HEARD_NEVER);
    assert_int_equal(entry->mod_time_rest, 0);
    entry->told.last_seen = 7;
    assert_ptr_equal(find(registry, "k", KX_REGISTRY_KNOWN), entry);
    assert_ptr_equal(peek(registry, "k"), entry);
    assert_ptr_equal(kx_registry_at(registry, 0), entry);
    assert_int_equal(entry->generation, 1);
    assert_int_equal(entry->told.last_seen, 7);
    assert_int_equal(kx_registry_count(registry), 1);
    kx_registry_destroy(registry);
}

static void entries_lie_on_cache_lines(void **state)
{
    (void)state;
    struct kx_registry *registry = create(3);
    for (uint32_t i = 0; i < 3; i++) {
        struct kx_registry_entry *entry = find_number(registry, i, KX_REGISTRY_NEW);
        assert_int_equal(entry->id, i); /* dense */
        assert_int_equal((uintptr_t)entry % 64, 0);
    }
    kx_registry_destroy(registry);
}

static void every_part_of_a_name_counts(void **state)
{
    (void)state;
    struct kx_registry *registry = create(10);
    const struct kx_registry_name names[] = {
        name_of(0, "ab", "c"), name_of(1, "ab", "c"), name_of(0, "a", "bc"),
        name_of(0, "ab", "C"), name_of(0, "aB", "c"), name_of(0, "ab", ""),
        name_of(0, "", "abc"), {NULL, 0, NULL, 0, 0}, {NULL, 0, NULL, 0, 9},
    };
    enum { NAMES = sizeof names / sizeof names[0] };
    enum kx_registry_found found;
    for (uint32_t i = 0; i < NAMES; i++) {
        assert_null(kx_registry_peek(registry, &names[i]));
        struct kx_registry_entry *entry = kx_registry_find(registry, &names[i], &found);
        assert_int_equal(found, KX_REGISTRY_NEW);
        assert_int_equal(entry->id, i);
        assert_int_equal(entry->source, names[i].source);
    }
    for (uint32_t i = NAMES; i-- > 0;) {
        assert_int_equal(kx_registry_find(registry, &names[i], &found)->id, i);
        assert_int_equal(found, KX_REGISTRY_KNOWN);
    }
    kx_registry_destroy(registry);
}

/* Texts of these lengths that differ in their last byte only are two names. */
static const size_t lengths[] = {1, 8, 33, 35, 36, 37, 38, 63, 64, 65, 66, 255, 256, 1000};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

static void long_keys_are_told_apart(void **state)
{
    (void)state;
    char key[1024];
    struct kx_registry *registry = create(LENGTHS * 2);
    enum kx_registry_found found;
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < LENGTHS * 2; i++) {
            memset(key, 'x', sizeof key);
            key[lengths[i / 2] - 1] = i % 2 == 0 ? 'a' : 'b';
            struct kx_registry_name name = {server_a, 36, key, lengths[i / 2], 0};
            struct kx_registry_entry *entry = kx_registry_find(registry, &name, &found);
            assert_int_equal(found, round == 0 ? KX_REGISTRY_NEW : KX_REGISTRY_KNOWN);
            assert_int_equal(entry->id, i);
        }
    }
    kx_registry_destroy(registry);
}

static void long_server_uuids_are_told_apart(void **state)
{
    (void)state;
    char server[1024];
    struct kx_registry *registry = create(LENGTHS * 2);
    enum kx_registry_found found;
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < LENGTHS * 2; i++) {
            memset(server, 'x', sizeof server);
            server[lengths[i / 2] - 1] = i % 2 == 0 ? 'a' : 'b';
            struct kx_registry_name name = {server, lengths[i / 2], "key", 3, 0};
            struct kx_registry_entry *entry = kx_registry_find(registry, &name, &found);
            assert_int_equal(found, round == 0 ? KX_REGISTRY_NEW : KX_REGISTRY_KNOWN);
            assert_int_equal(entry->id, i);
        }
    }
    kx_registry_destroy(registry);
}

/* --- full --- */

static void full_registry_forgets_one(void **state)
{
    (void)state;
    struct kx_registry *registry = create(3);
    for (uint32_t i = 0; i < 3; i++) {
        struct kx_registry_entry *entry = find_number(registry, i, KX_REGISTRY_NEW);
        entry->told.heard = KX_HEARD_WATCHED;
        entry->mod_time_monitor = entry->mod_time_rest = 99;
    }
    struct kx_registry_entry *entry = find_number(registry, 100, KX_REGISTRY_EVICTED);
    assert_int_equal(entry->id, 0); /* nobody was used since: the hand's first */
    assert_int_equal(entry->generation, 2);
    assert_int_equal(entry->told.heard, KX_HEARD_NEVER);
    assert_int_equal(entry->mod_time_monitor, 0);
    assert_int_equal(entry->mod_time_rest, 0);
    assert_int_equal(kx_registry_count(registry), 3);
    assert_false(has_number(registry, 0));
    assert_true(has_number(registry, 100));
    assert_ptr_equal(find_number(registry, 100, KX_REGISTRY_KNOWN), entry);
    assert_int_equal(entry->generation, 2);
    /* The forgotten one is new again, on another id. */
    assert_int_equal(find_number(registry, 0, KX_REGISTRY_EVICTED)->id, 1);
    kx_registry_destroy(registry);
}

static void used_devices_get_a_second_chance(void **state)
{
    (void)state;
    enum { DEVICES = 200 };
    struct kx_registry *registry = create(DEVICES);
    for (uint32_t i = 0; i < DEVICES; i++)
        find_number(registry, i, KX_REGISTRY_NEW);
    for (uint32_t i = 0; i < DEVICES; i += 2)
        find_number(registry, i, KX_REGISTRY_KNOWN);
    for (uint32_t i = 0; i < DEVICES / 2; i++)
        assert_int_equal(find_number(registry, 1000 + i, KX_REGISTRY_EVICTED)->id, i * 2 + 1);
    for (uint32_t i = 0; i < DEVICES; i++)
        assert_int_equal(has_number(registry, i), i % 2 == 0);
    kx_registry_destroy(registry);
}

/* Random addresses, each seen once, cannot push out who is there. */
static void flood_pushes_out_itself(void **state)
{
    (void)state;
    enum { DEVICES = 100, HOT = 60 };
    struct kx_registry *registry = create(DEVICES);
    for (uint32_t i = 0; i < HOT; i++)
        find_number(registry, i, KX_REGISTRY_NEW);
    for (uint32_t i = 0; i < 5000; i++) {
        find_number(registry, 1000 + i, i < DEVICES - HOT ? KX_REGISTRY_NEW : KX_REGISTRY_EVICTED);
        for (uint32_t hot = i % 20; hot < HOT; hot += 20)
            find_number(registry, hot, KX_REGISTRY_KNOWN);
    }
    kx_registry_destroy(registry);
}

static void peek_neither_enters_nor_marks(void **state)
{
    (void)state;
    struct kx_registry *registry = create(2);
    find_number(registry, 0, KX_REGISTRY_NEW);
    assert_false(has_number(registry, 7));
    assert_int_equal(kx_registry_count(registry), 1);
    find_number(registry, 1, KX_REGISTRY_NEW);
    assert_true(has_number(registry, 0));
    find_number(registry, 2, KX_REGISTRY_EVICTED);
    assert_false(has_number(registry, 0));
    kx_registry_destroy(registry);
}

/* Sizes around the words of the bitmap: all used, and one must go nevertheless. */
static void clock_goes_round_at_every_size(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 63, 64, 65, 127, 128, 129, 200};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint32_t devices = sizes[s];
        struct kx_registry *registry = create(devices);
        for (uint32_t i = 0; i < devices; i++)
            find_number(registry, i, KX_REGISTRY_NEW);
        for (uint32_t i = 0; i < devices; i++)
            find_number(registry, i, KX_REGISTRY_KNOWN);
        for (uint32_t i = 0; i < devices * 2; i++)
            assert_int_equal(find_number(registry, 1000 + i, KX_REGISTRY_EVICTED)->id, i % devices);
        assert_int_equal(kx_registry_count(registry), devices);
        kx_registry_destroy(registry);
    }
}

/* A device that comes again and again is expected; whoever else comes must not be taken for it. */
static void who_came_next_is_no_proof(void **state)
{
    (void)state;
    char expected[KX_REGISTRY_KEY_INLINE];
    char longer[KX_REGISTRY_KEY_INLINE + 256]; /* the same length in the 8 bits of an entry */
    memset(expected, 'x', sizeof expected);
    memset(longer, 'x', sizeof longer);
    const struct kx_registry_name first = {server_a, 36, expected, sizeof expected, 7};
    const struct kx_registry_name others[] = {
        {server_a, 36, expected, sizeof expected - 1, 7},
        {server_a, 36, expected, 0, 7},
        {server_a, 36, longer, sizeof expected + 1, 7},
        {server_a, 36, longer, sizeof longer, 7},
        {server_a, 36, longer + 1, sizeof expected, 8},
        {server_a, 35, expected, sizeof expected, 7},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct kx_registry *registry = create(1);
        enum kx_registry_found found;
        for (int times = 0; times < 20; times++)
            kx_registry_find(registry, &first, &found);
        assert_int_equal(found, KX_REGISTRY_KNOWN);
        for (int times = 0; times < 20; times++) {
            kx_registry_find(registry, &others[i], &found);
            assert_int_equal(found, times == 0 ? KX_REGISTRY_EVICTED : KX_REGISTRY_KNOWN);
        }
        kx_registry_find(registry, &first, &found);
        assert_int_equal(found, KX_REGISTRY_EVICTED);
        kx_registry_destroy(registry);
    }
}

static void generation_wraps_past_zero(void **state)
{
    (void)state;
    struct kx_registry *registry = create(1);
    find(registry, "a", KX_REGISTRY_NEW)->generation = UINT32_MAX - 1;
    assert_int_equal(find(registry, "b", KX_REGISTRY_EVICTED)->generation, UINT32_MAX);
    /* 0 would look like an id that no delta table has met. */
    assert_int_equal(find(registry, "c", KX_REGISTRY_EVICTED)->generation, 1);
    assert_int_equal(find(registry, "d", KX_REGISTRY_EVICTED)->generation, 2);
    kx_registry_destroy(registry);
}

/* --- against a model --- */

enum { NONE = UINT32_MAX };

/* The same promises, kept the slow and plain way. */
struct model {
    uint32_t max, count, hand;
    uint32_t *id_of;      /* by key number; NONE = not there */
    uint32_t *owner;      /* by id: key number */
    uint32_t *generation; /* by id */
    bool *used;           /* by id */
};

static uint32_t model_victim(struct model *model)
{
    while (model->used[model->hand]) {
        model->used[model->hand] = false;
        model->hand = (model->hand + 1) % model->max;
    }
    uint32_t id = model->hand;
    model->hand = (model->hand + 1) % model->max;
    model->id_of[model->owner[id]] = NONE;
    return id;
}

static enum kx_registry_found model_find(struct model *model, uint32_t number)
{
    uint32_t id = model->id_of[number];
    if (id != NONE) {
        model->used[id] = true;
        return KX_REGISTRY_KNOWN;
    }
    bool full = model->count == model->max;
    id = full ? model_victim(model) : model->count++;
    model->id_of[number] = id;
    model->owner[id] = number;
    model->generation[id]++;
    model->used[id] = false;
    return full ? KX_REGISTRY_EVICTED : KX_REGISTRY_NEW;
}

static uint32_t random_below(uint64_t *random, uint32_t limit)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*random >> 33) % limit);
}

/* in_order: that share of the look-ups, in percent, asks for the key behind the last one. */
static void
compare_with_model(uint32_t max_devices, uint32_t steps, uint32_t in_order, uint64_t seed)
{
    uint32_t keys = max_devices * 3;
    struct model model = {.max = max_devices};
    model.id_of = malloc(keys * sizeof *model.id_of);
    model.owner = calloc(max_devices, sizeof *model.owner);
    model.generation = calloc(max_devices, sizeof *model.generation);
    model.used = calloc(max_devices, sizeof *model.used);
    assert_true(model.id_of && model.owner && model.generation && model.used);
    for (uint32_t i = 0; i < keys; i++)
        model.id_of[i] = NONE;

    struct kx_registry *registry = create(max_devices);
    uint32_t number = 0;
    for (uint32_t step = 0; step < steps; step++) {
        if (random_below(&seed, 100) < in_order) {
            number = (number + 1) % keys;
        } else {
            /* Half of the others go to a tenth of the keys, as on the air. */
            uint32_t range = random_below(&seed, 2) == 0 ? keys : keys / 10 + 1;
            number = random_below(&seed, range);
        }
        enum kx_registry_found expected = model_find(&model, number);
        struct kx_registry_entry *entry = find_number(registry, number, expected);
        uint32_t id = model.id_of[number];
        assert_int_equal(entry->id, id);
        assert_int_equal(entry->generation, model.generation[id]);
        if (expected != KX_REGISTRY_KNOWN)
            assert_int_equal(entry->told.total_packets, 0);
        entry->told.total_packets = number + 1;
    }
    assert_int_equal(kx_registry_count(registry), model.count);
    for (number = 0; number < keys; number++) {
        char key[40];
        struct kx_registry_entry *entry = peek(registry, key_of(number, key));
        if (model.id_of[number] == NONE) {
            assert_null(entry);
            continue;
        }
        assert_non_null(entry);
        assert_int_equal(entry->id, model.id_of[number]);
        assert_int_equal(entry->told.total_packets, number + 1);
    }
    kx_registry_destroy(registry);
    free(model.id_of);
    free(model.owner);
    free(model.generation);
    free(model.used);
}

/* A table of 16 slots: every look-up runs into others. */
static void small_tables_agree_with_a_model(void **state)
{
    (void)state;
    for (uint32_t max_devices = 1; max_devices <= 8; max_devices++)
        for (uint64_t seed = 0; seed < 20; seed++)
            compare_with_model(max_devices, 2000, 0, seed);
    compare_with_model(100, 20000, 0, 1);
}

/* Order that is kept for a while, broken, and kept again: a device that came next the last time is
 * tried first, and must be it. */
static void order_agrees_with_a_model(void **state)
{
    (void)state;
    for (uint32_t in_order = 50; in_order < 100; in_order += 7)
        for (uint32_t max_devices = 1; max_devices <= 64; max_devices = max_devices * 2 + 1)
            compare_with_model(max_devices, 5000, in_order, in_order);
    compare_with_model(1000, 100000, 99, 1);
}

/* So large that the 15 bits of hash in a slot often agree where the keys do not. */
static void large_table_agrees_with_a_model(void **state)
{
    (void)state;
    compare_with_model(65536, 700000, 10, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_wants_a_sane_number),
        cmocka_unit_test(device_is_new_once),
        cmocka_unit_test(entries_lie_on_cache_lines),
        cmocka_unit_test(every_part_of_a_name_counts),
        cmocka_unit_test(long_keys_are_told_apart),
        cmocka_unit_test(long_server_uuids_are_told_apart),
        cmocka_unit_test(full_registry_forgets_one),
        cmocka_unit_test(used_devices_get_a_second_chance),
        cmocka_unit_test(flood_pushes_out_itself),
        cmocka_unit_test(peek_neither_enters_nor_marks),
        cmocka_unit_test(clock_goes_round_at_every_size),
        cmocka_unit_test(who_came_next_is_no_proof),
        cmocka_unit_test(generation_wraps_past_zero),
        cmocka_unit_test(small_tables_agree_with_a_model),
        cmocka_unit_test(order_agrees_with_a_model),
        cmocka_unit_test(large_table_agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
