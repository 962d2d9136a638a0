/*
 * The set of the last events' uids.
 */
#include "ingest/dedupe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct uid {
    uint8_t bytes[KX_UID_BYTES];
};

static struct uid uid_of(uint32_t number)
{
    struct uid uid = {{0}};
    memcpy(uid.bytes + KX_UID_BYTES - sizeof number, &number, sizeof number);
    return uid;
}

static struct kx_dedupe *create(void)
{
    struct kx_dedupe *dedupe = NULL;
    assert_int_equal(kx_dedupe_create(&dedupe, NULL), KX_OK);
    return dedupe;
}

static bool has(const struct kx_dedupe *dedupe, uint32_t number)
{
    return kx_dedupe_has(dedupe, uid_of(number).bytes);
}

static void add(struct kx_dedupe *dedupe, uint32_t number)
{
    kx_dedupe_add(dedupe, uid_of(number).bytes);
}

static void has_what_was_added(void **state)
{
    (void)state;
    struct kx_dedupe *dedupe = create();
    assert_false(has(dedupe, 0)); /* sixteen zero bytes are a uid like any other */
    add(dedupe, 0);
    assert_true(has(dedupe, 0));
    assert_false(has(dedupe, 1));
    uint8_t first_byte[KX_UID_BYTES] = {1};
    assert_false(kx_dedupe_has(dedupe, first_byte));
    kx_dedupe_destroy(dedupe);
    kx_dedupe_destroy(NULL);
}

static void asking_adds_nothing(void **state)
{
    (void)state;
    struct kx_dedupe *dedupe = create();
    assert_false(has(dedupe, 5));
    assert_false(has(dedupe, 5));
    kx_dedupe_destroy(dedupe);
}

static void oldest_leaves_first(void **state)
{
    (void)state;
    struct kx_dedupe *dedupe = create();
    for (uint32_t i = 0; i < KX_DEDUPE_UIDS; i++)
        add(dedupe, i);
    for (uint32_t i = 0; i < KX_DEDUPE_UIDS; i++)
        assert_true(has(dedupe, i));
    /* Twice around the ring. */
    for (uint32_t i = 0; i < KX_DEDUPE_UIDS * 2; i++) {
        assert_true(has(dedupe, i));
        add(dedupe, KX_DEDUPE_UIDS + i);
        assert_false(has(dedupe, i));
        assert_true(has(dedupe, i + 1));
        assert_true(has(dedupe, KX_DEDUPE_UIDS + i));
    }
    kx_dedupe_destroy(dedupe);
}

static void second_time_keeps_the_place(void **state)
{
    (void)state;
    struct kx_dedupe *dedupe = create();
    for (uint32_t i = 0; i < KX_DEDUPE_UIDS; i++)
        add(dedupe, i);
    add(dedupe, 0);
    assert_true(has(dedupe, 1)); /* it took nobody's place */
    add(dedupe, KX_DEDUPE_UIDS);
    assert_false(has(dedupe, 0));
    assert_true(has(dedupe, 1));
    kx_dedupe_destroy(dedupe);
}

/* Random uids, of which many come again, against the plain rule: there if among the last 4,096
 * additions. */
static void agrees_with_a_model(void **state)
{
    (void)state;
    enum { NUMBERS = 12000, STEPS = 100000 };
    uint32_t *added_at = calloc(NUMBERS, sizeof *added_at); /* 0 = never */
    assert_non_null(added_at);
    struct kx_dedupe *dedupe = create();
    uint32_t added = 0;
    uint64_t random = 1;
    for (uint32_t step = 0; step < STEPS; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t number = (uint32_t)((random >> 33) % NUMBERS);
        bool expected = added_at[number] != 0 && added - added_at[number] < KX_DEDUPE_UIDS;
        assert_int_equal(has(dedupe, number), expected);
        add(dedupe, number);
        if (!expected)
            added_at[number] = ++added;
    }
    kx_dedupe_destroy(dedupe);
    free(added_at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_what_was_added),  cmocka_unit_test(asking_adds_nothing),
        cmocka_unit_test(oldest_leaves_first), cmocka_unit_test(second_time_keeps_the_place),
        cmocka_unit_test(agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
