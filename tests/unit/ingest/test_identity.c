/* Which server answers for which source: each mix-up is told, once. */
#include "ingest/identity.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char north[] = "north", south[] = "south", east[] = "east";
static char north_url[] = "http://north:2501", south_url[] = "http://south:2501",
            east_url[] = "http://east:2501";
static struct kx_source_config sources[] = {
    {.name = north, .url = north_url},
    {.name = south, .url = south_url},
    {.name = east, .url = east_url},
};
static const struct kx_config config = {.sources = sources, .source_count = 3};

static int set_up(void **state)
{
    struct kx_identity *identity = NULL;
    struct kx_error err;
    assert_int_equal(kx_identity_create(&identity, &config, &err), KX_OK);
    *state = identity;
    return 0;
}

static int tear_down(void **state)
{
    kx_identity_destroy(*state);
    return 0;
}

static void servers_of_their_own_are_not_spoken_of(void **state)
{
    char text[KX_IDENTITY_TEXT_MAX];
    for (int round = 0; round < 3; round++) {
        assert_false(kx_identity_learn(*state, 0, "U0", text));
        assert_false(kx_identity_learn(*state, 1, "U1", text));
        assert_false(kx_identity_learn(*state, 2, "U2", text));
    }
}

static void a_server_that_does_not_say_who_it_is_is_nobody(void **state)
{
    char text[KX_IDENTITY_TEXT_MAX];
    assert_false(kx_identity_learn(*state, 0, "", text));
    assert_false(kx_identity_learn(*state, 1, "", text));
    assert_false(kx_identity_learn(*state, 0, "U", text));
    assert_false(kx_identity_learn(*state, 0, "", text)); /* forgets nothing */
    assert_true(kx_identity_learn(*state, 0, "V", text));
}

static void a_copy_is_told_once_a_pair(void **state)
{
    char text[KX_IDENTITY_TEXT_MAX];
    assert_false(kx_identity_learn(*state, 0, "U", text));
    assert_true(kx_identity_learn(*state, 1, "U", text));
    assert_non_null(strstr(text, "same server_uuid U"));
    assert_non_null(strstr(text, "north"));
    assert_non_null(strstr(text, north_url));
    assert_false(kx_identity_learn(*state, 0, "U", text));
    assert_false(kx_identity_learn(*state, 1, "U", text));
    assert_true(kx_identity_learn(*state, 2, "U", text)); /* one more copy */
    assert_false(kx_identity_learn(*state, 2, "U", text));
}

static void another_server_under_a_name_is_told_once(void **state)
{
    char text[KX_IDENTITY_TEXT_MAX];
    assert_false(kx_identity_learn(*state, 0, "U", text));
    assert_true(kx_identity_learn(*state, 0, "V", text));
    assert_non_null(strstr(text, "server_uuid V"));
    assert_non_null(strstr(text, "U did before"));
    assert_false(kx_identity_learn(*state, 0, "U", text)); /* to and fro, as a balancer does */
    assert_false(kx_identity_learn(*state, 0, "V", text));
}

static void both_at_once_are_told_one_after_the_other(void **state)
{
    char text[KX_IDENTITY_TEXT_MAX];
    assert_false(kx_identity_learn(*state, 0, "U", text));
    assert_false(kx_identity_learn(*state, 1, "V", text));
    assert_true(kx_identity_learn(*state, 1, "U", text));
    assert_non_null(strstr(text, "two servers under one name"));
    assert_true(kx_identity_learn(*state, 1, "U", text));
    assert_non_null(strstr(text, "same server_uuid"));
    assert_false(kx_identity_learn(*state, 1, "U", text));
}

static void a_long_uuid_is_cut_and_still_the_same(void **state)
{
    char text[KX_IDENTITY_TEXT_MAX];
    char uuid[200];
    memset(uuid, 'x', sizeof uuid - 1);
    uuid[sizeof uuid - 1] = '\0';
    assert_false(kx_identity_learn(*state, 0, uuid, text));
    assert_false(kx_identity_learn(*state, 0, uuid, text));
    assert_true(kx_identity_learn(*state, 1, uuid, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(servers_of_their_own_are_not_spoken_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_does_not_say_who_it_is_is_nobody, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_copy_is_told_once_a_pair, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_server_under_a_name_is_told_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(both_at_once_are_told_one_after_the_other, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_long_uuid_is_cut_and_still_the_same, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
