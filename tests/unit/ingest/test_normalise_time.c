/*
 * The normaliser's times: when a device was heard, a clock ahead of ours, a new life.
 */
#include "normalise_fixture.h"

/* One device as it is told again and again. */
struct story {
    struct kx_normalise ctx;
    struct kx_json_device in;
    struct kx_registry_entry entry;
};

static struct story story_start(void)
{
    struct story story = {.ctx = context(), .in = bare_device()};
    set(&story.in, KX_J_FIRST_SEEN);
    set(&story.in, KX_J_LAST_SEEN);
    set(&story.in, KX_J_TOTAL_PACKETS);
    story.in.first_seen = NOW_S - 1000;
    story.in.last_seen = NOW_S - 100;
    story.in.total_packets = 10;
    return story;
}

/* Told after_s seconds later than the last time; the record. */
static const struct kx_device *tell(struct story *story, int64_t after_s)
{
    story->ctx.received_ns += after_s * S;
    return normalise(&story->ctx, &story->in, &story->entry);
}

static void assert_heard(const struct story *story,
                         const struct kx_device *device,
                         int64_t expected_s,
                         enum kx_heard how)
{
    assert_true(device->heard_at_ns == expected_s * S);
    assert_true(story->entry.told.heard_at_ns == expected_s * S);
    assert_int_equal(story->entry.told.heard, how);
    assert_int_equal(story->entry.told.epoch, story->ctx.epoch);
}

/* --- heard --- */

static void first_sight_takes_the_servers_word(void **state)
{
    (void)state;
    struct story story = story_start();
    assert_heard(&story, tell(&story, 0), NOW_S - 100, KX_HEARD_ASSUMED);
    assert_false(notes.new_life);

    story = story_start();
    story.ctx.skew_known = true;
    story.ctx.skew_ns = 30 * S; /* the server is ahead */
    assert_heard(&story, tell(&story, 0), NOW_S - 130, KX_HEARD_COMPUTED);

    story = story_start();
    story.ctx.skew_known = true;
    story.ctx.skew_ns = -30 * S;
    assert_heard(&story, tell(&story, 0), NOW_S - 70, KX_HEARD_COMPUTED);

    story = story_start();
    story.ctx.skew_ns = 30 * S; /* but nobody says that it is known */
    assert_heard(&story, tell(&story, 0), NOW_S - 100, KX_HEARD_ASSUMED);
}

static void never_heard_after_it_was_told(void **state)
{
    (void)state;
    struct story story = story_start();
    story.in.last_seen = NOW_S + 1;
    assert_heard(&story, tell(&story, 0), NOW_S, KX_HEARD_ASSUMED);
    story = story_start();
    story.ctx.skew_known = true;
    story.ctx.skew_ns = -100 * S;
    assert_heard(&story, tell(&story, 0), NOW_S, KX_HEARD_COMPUTED);
    story = story_start();
    story.ctx.skew_known = true;
    story.ctx.skew_ns = -101 * S;
    assert_heard(&story, tell(&story, 0), NOW_S, KX_HEARD_COMPUTED);
    /* Our own clock was set back: what was heard is not in the future either. */
    assert_heard(&story, tell(&story, -500), NOW_S - 500, KX_HEARD_COMPUTED);
}

static void absurd_numbers_stay_in_bounds(void **state)
{
    (void)state;
    static const int64_t seen[] = {1, NOW_S, INT64_MAX / S, INT64_MAX / S + 1, INT64_MAX};
    static const int64_t skews[] = {INT64_MIN, -S, 0, S, INT64_MAX};
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 5; k++) {
            struct story story = story_start();
            story.in.last_seen = seen[i];
            story.ctx.skew_known = true;
            story.ctx.skew_ns = skews[k];
            const struct kx_device *device = tell(&story, 0);
            assert_in_range((uintmax_t)device->heard_at_ns, 0, (uintmax_t)NOW_S * S);
        }
}

static void watched_advance_is_heard_now(void **state)
{
    (void)state;
    struct story story = story_start();
    tell(&story, 0);
    story.in.last_seen += 1;
    assert_heard(&story, tell(&story, 5), NOW_S + 5, KX_HEARD_WATCHED);
    /* Resent, not heard again. */
    assert_heard(&story, tell(&story, 5), NOW_S + 5, KX_HEARD_WATCHED);
    story.in.last_seen += 1;
    assert_heard(&story, tell(&story, 5), NOW_S + 15, KX_HEARD_WATCHED);
}

static void idle_device_keeps_its_time(void **state)
{
    (void)state;
    struct story story = story_start();
    tell(&story, 0);
    assert_heard(&story, tell(&story, 5), NOW_S - 100, KX_HEARD_ASSUMED);
    story.ctx.epoch++;
    assert_heard(&story, tell(&story, 5), NOW_S - 100, KX_HEARD_ASSUMED);
}

static void gap_breaks_the_watch(void **state)
{
    (void)state;
    struct story story = story_start();
    tell(&story, 0);
    story.ctx.epoch++;
    story.ctx.skew_known = true;
    story.in.last_seen = NOW_S + 40; /* some time in the gap */
    assert_heard(&story, tell(&story, 60), NOW_S + 40, KX_HEARD_COMPUTED);
    story.in.last_seen = NOW_S + 61; /* watched again */
    assert_heard(&story, tell(&story, 5), NOW_S + 65, KX_HEARD_WATCHED);
}

static void idle_across_a_gap_is_watched_from_then_on(void **state)
{
    (void)state;
    struct story story = story_start();
    tell(&story, 0);
    story.ctx.epoch++;
    tell(&story, 5);
    story.in.last_seen++;
    assert_heard(&story, tell(&story, 5), NOW_S + 10, KX_HEARD_WATCHED);
}

static void heard_time_does_not_go_back(void **state)
{
    (void)state;
    struct story story = story_start();
    tell(&story, 0);
    story.in.last_seen = NOW_S;
    tell(&story, 5);
    story.ctx.epoch++; /* by the server's word now, and its clock is said to be 10 s ahead */
    story.ctx.skew_known = true;
    story.ctx.skew_ns = 10 * S;
    story.in.last_seen = NOW_S + 6;
    assert_heard(&story, tell(&story, 5), NOW_S + 5, KX_HEARD_COMPUTED);
}

static void skew_that_becomes_known_corrects(void **state)
{
    (void)state;
    /* The server is an hour behind: an idle device seemed to be long gone. */
    struct story story = story_start();
    story.in.last_seen = NOW_S - 3700;
    assert_heard(&story, tell(&story, 0), NOW_S - 3700, KX_HEARD_ASSUMED);
    story.ctx.skew_known = true;
    story.ctx.skew_ns = -3600 * S;
    assert_heard(&story, tell(&story, 5), NOW_S - 100, KX_HEARD_COMPUTED);
    story.ctx.skew_ns = -3601 * S; /* a better estimate: not each time anew */
    assert_heard(&story, tell(&story, 5), NOW_S - 100, KX_HEARD_COMPUTED);

    /* It is ahead: the device seemed to be heard when it was told. */
    story = story_start();
    story.in.last_seen = NOW_S + 3500;
    assert_heard(&story, tell(&story, 0), NOW_S, KX_HEARD_ASSUMED);
    story.ctx.skew_known = true;
    story.ctx.skew_ns = 3600 * S;
    story.ctx.epoch++;
    story.in.last_seen = NOW_S + 3510;
    assert_heard(&story, tell(&story, 5), NOW_S - 90, KX_HEARD_COMPUTED);
}

static void what_was_watched_needs_no_skew(void **state)
{
    (void)state;
    struct story story = story_start();
    tell(&story, 0);
    story.in.last_seen++;
    tell(&story, 5);
    story.ctx.skew_known = true;
    story.ctx.skew_ns = 3600 * S;
    assert_heard(&story, tell(&story, 5), NOW_S + 5, KX_HEARD_WATCHED);
}

static void without_last_seen_the_first_sight_counts(void **state)
{
    (void)state;
    struct story story = story_start();
    story.in.has &= ~((uint32_t)1 << KX_J_LAST_SEEN);
    assert_heard(&story, tell(&story, 0), NOW_S, KX_HEARD_ASSUMED);
    assert_heard(&story, tell(&story, 5), NOW_S, KX_HEARD_ASSUMED);
    story.ctx.skew_known = true; /* nothing to compute from */
    assert_heard(&story, tell(&story, 5), NOW_S, KX_HEARD_ASSUMED);
    assert_absent(tell(&story, 0), KX_F_LAST_SEEN);
    /* Its first last_seen is told, not watched. */
    set(&story.in, KX_J_LAST_SEEN);
    assert_heard(&story, tell(&story, 5), NOW_S - 100, KX_HEARD_COMPUTED);
    /* And one that is left out later changes nothing. */
    story.in.has &= ~((uint32_t)1 << KX_J_LAST_SEEN);
    assert_heard(&story, tell(&story, 5), NOW_S - 100, KX_HEARD_COMPUTED);
    assert_int_equal(story.entry.told.last_seen, NOW_S - 100);
    /* The same while the skew is not known: the server's word beats our guess. */
    story = story_start();
    story.in.has &= ~((uint32_t)1 << KX_J_LAST_SEEN);
    tell(&story, 0);
    set(&story.in, KX_J_LAST_SEEN);
    assert_heard(&story, tell(&story, 5), NOW_S - 100, KX_HEARD_ASSUMED);
}

static void clock_set_back_is_not_idleness(void **state)
{
    (void)state;
    struct story story = story_start();
    tell(&story, 0);
    story.in.last_seen -= 50;
    /* No packet more: an older state, nothing was heard. */
    assert_heard(&story, tell(&story, 5), NOW_S - 100, KX_HEARD_ASSUMED);
    assert_int_equal(story.entry.told.last_seen, NOW_S - 100);
    story.in.total_packets++;
    assert_heard(&story, tell(&story, 5), NOW_S + 10, KX_HEARD_WATCHED);
    assert_int_equal(story.entry.told.last_seen, NOW_S - 150);
    assert_false(notes.new_life);
}

/* --- a new life --- */

static void moved_first_seen_is_a_new_life(void **state)
{
    (void)state;
    for (int64_t by = -1; by <= 1; by += 2) {
        struct story story = story_start();
        tell(&story, 0);
        story.in.last_seen = NOW_S;
        tell(&story, 5);
        story.in.first_seen += by;
        story.in.last_seen = NOW_S - 20; /* older than what we watched: another life's */
        assert_heard(&story, tell(&story, 5), NOW_S - 20, KX_HEARD_ASSUMED);
        assert_true(notes.new_life);
        assert_int_equal(story.entry.told.first_seen, story.in.first_seen);
        assert_int_equal(story.entry.told.last_seen, NOW_S - 20);
        assert_heard(&story, tell(&story, 5), NOW_S - 20, KX_HEARD_ASSUMED);
        assert_false(notes.new_life);
        story.in.last_seen++;
        assert_heard(&story, tell(&story, 5), NOW_S + 20, KX_HEARD_WATCHED);
    }
}

static void fewer_packets_are_a_new_life(void **state)
{
    (void)state;
    struct story story = story_start();
    set(&story.in, KX_J_MOD_TIME);
    story.in.mod_time = 123;
    tell(&story, 0);
    assert_int_equal(story.entry.told.total_packets, 10);
    story.in.total_packets = 10;
    tell(&story, 0);
    assert_false(notes.new_life);
    story.in.total_packets = 9;
    story.in.has &= ~((uint32_t)1 << KX_J_MOD_TIME);
    tell(&story, 0);
    assert_true(notes.new_life);
    assert_int_equal(story.entry.told.total_packets, 9);
    assert_int_equal(story.entry.told.mod_time, 123); /* the server's clock goes on */
    story.in.total_packets = 0;
    tell(&story, 0);
    assert_true(notes.new_life);
}

static void what_is_unknown_is_no_new_life(void **state)
{
    (void)state;
    struct story story = story_start();
    tell(&story, 0);
    story.in.first_seen = 0;
    story.in.total_packets = -1;
    tell(&story, 0);
    assert_false(notes.new_life);
    story.in.has = 0;
    tell(&story, 0);
    assert_false(notes.new_life);
    assert_int_equal(story.entry.told.first_seen, NOW_S - 1000);
    assert_int_equal(story.entry.told.total_packets, 10);
    /* Unknown at first, told later. */
    struct story other = story_start();
    other.in.has = 0;
    tell(&other, 0);
    set(&other.in, KX_J_FIRST_SEEN);
    set(&other.in, KX_J_TOTAL_PACKETS);
    tell(&other, 0);
    assert_false(notes.new_life);
    assert_int_equal(other.entry.told.first_seen, NOW_S - 1000);
}

/* --- a clock ahead of ours --- */

static void last_seen_may_be_five_minutes_ahead(void **state)
{
    (void)state;
    struct story story = story_start();
    story.in.last_seen = NOW_S + KX_CLOCK_AHEAD_S;
    assert_int_equal(tell(&story, 0)->last_seen, NOW_S + KX_CLOCK_AHEAD_S);
    assert_false(notes.clock_ahead);

    story = story_start();
    story.in.last_seen = NOW_S + KX_CLOCK_AHEAD_S + 1;
    assert_int_equal(tell(&story, 0)->last_seen, NOW_S);
    assert_true(notes.clock_ahead);
    assert_int_equal(notes.range, 0);
    assert_int_equal(story.entry.told.last_seen, NOW_S + KX_CLOCK_AHEAD_S + 1);

    story = story_start(); /* half a second does not carry it over */
    story.ctx.received_ns += S / 2;
    story.in.last_seen = NOW_S + KX_CLOCK_AHEAD_S;
    tell(&story, 0);
    assert_false(notes.clock_ahead);
    story.in.last_seen++;
    assert_int_equal(tell(&story, 0)->last_seen, NOW_S);
    assert_true(notes.clock_ahead);
}

static void clamped_time_stays_while_nothing_is_heard(void **state)
{
    (void)state;
    struct story story = story_start();
    story.in.last_seen = NOW_S + 100000;
    assert_int_equal(tell(&story, 0)->last_seen, NOW_S);
    assert_int_equal(tell(&story, 5)->last_seen, NOW_S);
    assert_true(notes.clock_ahead);
    story.in.last_seen++;
    assert_int_equal(tell(&story, 5)->last_seen, NOW_S + 10);
    assert_int_equal(tell(&story, 5)->last_seen, NOW_S + 10);
}

static void clamped_time_uses_a_known_skew(void **state)
{
    (void)state;
    struct story story = story_start();
    story.ctx.skew_known = true;
    story.ctx.skew_ns = 100000 * S;
    story.in.last_seen = NOW_S + 100000 - 600; /* heard ten minutes ago */
    assert_int_equal(tell(&story, 0)->last_seen, NOW_S - 600);
    assert_true(notes.clock_ahead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_sight_takes_the_servers_word),
        cmocka_unit_test(never_heard_after_it_was_told),
        cmocka_unit_test(absurd_numbers_stay_in_bounds),
        cmocka_unit_test(watched_advance_is_heard_now),
        cmocka_unit_test(idle_device_keeps_its_time),
        cmocka_unit_test(gap_breaks_the_watch),
        cmocka_unit_test(idle_across_a_gap_is_watched_from_then_on),
        cmocka_unit_test(heard_time_does_not_go_back),
        cmocka_unit_test(skew_that_becomes_known_corrects),
        cmocka_unit_test(what_was_watched_needs_no_skew),
        cmocka_unit_test(without_last_seen_the_first_sight_counts),
        cmocka_unit_test(clock_set_back_is_not_idleness),
        cmocka_unit_test(moved_first_seen_is_a_new_life),
        cmocka_unit_test(fewer_packets_are_a_new_life),
        cmocka_unit_test(what_is_unknown_is_no_new_life),
        cmocka_unit_test(last_seen_may_be_five_minutes_ahead),
        cmocka_unit_test(clamped_time_stays_while_nothing_is_heard),
        cmocka_unit_test(clamped_time_uses_a_known_skew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
