/*
 * Presence: home, not_home, unknown, by injected time.
 */
#include "batch/presence.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S KX_NS_PER_S
#define AWAY (180 * S)
#define WALL 1737131445000000000

static char *macs[] = {(char[]){"aa:bb:cc:dd:ee:ff"}, (char[]){"02-00-00-00-00-01"}};
static const uint64_t phone = 0xaabbccddeeff;

static struct kx_presence *make(size_t sources)
{
    struct kx_presence *presence = NULL;
    const struct kx_presence_config config = {.macs = {.items = macs, .count = 2},
                                              .away_after_ns = AWAY};
    assert_int_equal(kx_presence_create(&presence, &config, sources, NULL), KX_OK);
    assert_int_equal(kx_presence_count(presence), 2);
    assert_true(kx_presence_mac(presence, 0) == phone);
    return presence;
}

/* A record that came at now, of a device that was heard age before. */
static void
hear(struct kx_presence *presence, uint64_t mac, uint16_t source, uint64_t now, uint64_t age)
{
    struct kx_device device = {.head = {.kind = KX_KIND_DEVICE, .source = source}, .mac_bits = mac};
    device.head.received_ns = WALL + (int64_t)now;
    device.heard_at_ns = device.head.received_ns - (int64_t)age;
    kx_presence_hear(presence, &device.head, now);
}

static void heard_and_away(void **state)
{
    (void)state;
    struct kx_presence *presence = make(1);
    kx_presence_source(presence, 0, true, 10 * S);
    assert_int_equal(kx_presence_look(presence, 0, 11 * S), KX_PRESENCE_UNSAID);
    hear(presence, phone, 0, 20 * S, 0);
    hear(presence, 0x1234, 0, 20 * S, 0); /* watched by nobody */
    assert_int_equal(kx_presence_look(presence, 0, 20 * S), KX_PRESENCE_HOME);
    assert_int_equal(kx_presence_look(presence, 0, 20 * S + AWAY), KX_PRESENCE_HOME);
    assert_int_equal(kx_presence_look(presence, 0, 20 * S + AWAY + 1), KX_PRESENCE_NOT_HOME);
    /* never heard: away_after from when somebody could */
    assert_int_equal(kx_presence_look(presence, 1, 10 * S + AWAY), KX_PRESENCE_UNSAID);
    assert_int_equal(kx_presence_look(presence, 1, 10 * S + AWAY + 1), KX_PRESENCE_NOT_HOME);
    hear(presence, phone, 0, 400 * S, 0);
    assert_int_equal(kx_presence_look(presence, 0, 400 * S), KX_PRESENCE_HOME);
    kx_presence_destroy(presence);
}

static void old_states_keep_nobody_at_home(void **state)
{
    (void)state;
    struct kx_presence *presence = make(1);
    kx_presence_source(presence, 0, true, 1 * S);
    hear(presence, phone, 0, 1000 * S, 0);
    for (uint64_t at = 1001; at < 1300; at++) { /* the same state, each second */
        hear(presence, phone, 0, at * S, (at - 1000) * S);
        assert_int_equal(kx_presence_look(presence, 0, at * S),
                         at * S <= 1000 * S + AWAY ? KX_PRESENCE_HOME : KX_PRESENCE_NOT_HOME);
    }
    /* caught up after a gap: heard 100 s ago */
    hear(presence, phone, 0, 2000 * S, 100 * S);
    assert_int_equal(kx_presence_look(presence, 0, 2000 * S), KX_PRESENCE_HOME);
    assert_int_equal(kx_presence_look(presence, 0, 2081 * S), KX_PRESENCE_NOT_HOME);
    kx_presence_destroy(presence);
}

static void unknown_while_nobody_listens(void **state)
{
    (void)state;
    struct kx_presence *presence = make(2);
    kx_presence_source(presence, 0, true, 1 * S);
    kx_presence_source(presence, 1, true, 1 * S);
    hear(presence, phone, 0, 100 * S, 0);
    assert_int_equal(kx_presence_look(presence, 0, 100 * S), KX_PRESENCE_HOME);
    kx_presence_source(presence, 0, false, 200 * S); /* who heard it; the other never did */
    assert_int_equal(kx_presence_look(presence, 0, 250 * S), KX_PRESENCE_HOME);
    assert_int_equal(kx_presence_look(presence, 0, 281 * S), KX_PRESENCE_UNKNOWN);
    /* back: it gets its time before it is away */
    kx_presence_source(presence, 0, true, 500 * S);
    assert_int_equal(kx_presence_look(presence, 0, 500 * S + AWAY), KX_PRESENCE_UNKNOWN);
    assert_int_equal(kx_presence_look(presence, 0, 501 * S + AWAY), KX_PRESENCE_NOT_HOME);
    kx_presence_destroy(presence);
}

static void a_moment_without_a_source_decides_nothing(void **state)
{
    (void)state;
    struct kx_presence *presence = make(1);
    kx_presence_source(presence, 0, true, 1 * S);
    hear(presence, phone, 0, 100 * S, 0);
    assert_int_equal(kx_presence_look(presence, 0, 100 * S), KX_PRESENCE_HOME);
    kx_presence_source(presence, 0, false, 279 * S);
    assert_int_equal(kx_presence_look(presence, 0, 285 * S), KX_PRESENCE_HOME);
    kx_presence_source(presence, 0, true, 286 * S);
    assert_int_equal(kx_presence_look(presence, 0, 286 * S), KX_PRESENCE_NOT_HOME);
    kx_presence_source(presence, 0, false, 300 * S);
    assert_int_equal(kx_presence_look(presence, 0, 310 * S), KX_PRESENCE_NOT_HOME);
    assert_int_equal(kx_presence_look(presence, 0, 311 * S), KX_PRESENCE_UNKNOWN);
    kx_presence_destroy(presence);
}

static void at_the_start_nothing_is_known(void **state)
{
    (void)state;
    struct kx_presence *presence = make(1);
    kx_presence_source(presence, 0, false, 1 * S);
    assert_int_equal(kx_presence_look(presence, 0, 100 * S), KX_PRESENCE_UNSAID);
    assert_int_equal(kx_presence_look(presence, 0, 2 * S + AWAY + KX_PRESENCE_GRACE_NS),
                     KX_PRESENCE_UNKNOWN);
    assert_null(kx_presence_word(KX_PRESENCE_UNSAID));
    assert_string_equal(kx_presence_word(KX_PRESENCE_NOT_HOME), "not_home");
    kx_presence_destroy(presence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heard_and_away),
        cmocka_unit_test(old_states_keep_nobody_at_home),
        cmocka_unit_test(unknown_while_nobody_listens),
        cmocka_unit_test(a_moment_without_a_source_decides_nothing),
        cmocka_unit_test(at_the_start_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
