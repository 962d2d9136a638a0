/*
 * The normaliser: events and their uids.
 */
#include "normalise_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct kx_event *event_of(const struct kx_normalise *ctx,
                                       const struct kx_json_event *in,
                                       struct kx_json_text data,
                                       const struct kx_registry_entry *entry)
{
    memset(memory, 0xa5, sizeof memory);
    memset(&notes, 0xa5, sizeof notes);
    size_t length = kx_normalise_event(ctx, in, data, entry, memory, sizeof memory, &notes);
    assert_true(kx_record_valid(memory, length));
    assert_false(notes.too_big);
    assert_int_equal(((const struct kx_record *)memory)->kind, KX_KIND_EVENT);
    return (const struct kx_event *)memory;
}

static struct kx_json_event new_device(void)
{
    return (struct kx_json_event){
        .topic = text("NEW_DEVICE"),
        .device_key = text(KEY),
        .device_mac = text(MAC),
        .time = 1795374348.093407,
        .severity = -1,
    };
}

static const struct kx_event *event_alone(const struct kx_json_event *in)
{
    struct kx_normalise ctx = context();
    return event_of(&ctx, in, text("{\"a\":1}"), NULL);
}

static void event_keeps_everything(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_registry_entry entry = {.id = 5, .generation = 9};
    struct kx_json_event in = new_device();
    const struct kx_event *event = event_of(&ctx, &in, text("{\"a\":1}"), &entry);
    assert_int_equal(event->head.source, 3);
    assert_int_equal(event->head.device_id, 5);
    assert_int_equal(event->head.generation, 9);
    assert_int_equal(event->head.sequence, 77);
    assert_true(event->head.received_ns == NOW_S * S);
    assert_true(event->head.present == 0);
    assert_true(event->time_ns == INT64_C(1795374348093407000));
    assert_text(&event->head, event->type, "NEW_DEVICE");
    assert_text(&event->head, event->source, "kitchen");
    assert_text(&event->head, event->server_uuid, SERVER);
    assert_text(&event->head, event->device_key, KEY);
    assert_text(&event->head, event->device_mac, MAC);
    assert_text(&event->head, event->data, "{\"a\":1}");
    assert_int_equal(notes.range, 0);
    assert_int_equal(notes.text_cut, 0);
}

static void event_of_no_device_has_no_id(void **state)
{
    (void)state;
    struct kx_json_event in = new_device();
    const struct kx_event *event = event_alone(&in);
    assert_int_equal(event->head.device_id, KX_DEVICE_NONE);
    assert_int_equal(event->head.generation, 0);
}

static void own_server_uuid_wins(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_json_event in = new_device();
    in.server_uuid = text("own");
    const struct kx_event *event = event_of(&ctx, &in, text("{}"), NULL);
    assert_text(&event->head, event->server_uuid, "own");
    in.server_uuid = ctx.server_uuid = (struct kx_json_text){NULL, 0};
    event = event_of(&ctx, &in, text("{}"), NULL);
    assert_int_equal(event->server_uuid.length, 0);
}

static void no_device_in_any_spelling(void **state)
{
    (void)state;
    static const char *const none[] = {"", "0", "00_0", "0_0", "0000000000000000_000000000000"};
    static const char *const keys[] = {"1", "00_1", "0x0", KEY};
    static const char *const zeros[] = {"", "00:00:00:00:00:00", "00-00-00-00-00-00",
                                        "000000000000"};
    struct kx_json_event in = new_device();
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        in.device_key = text(none[i]);
        assert_int_equal(event_alone(&in)->device_key.length, 0);
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        in.device_key = text(keys[i]);
        const struct kx_event *event = event_alone(&in);
        assert_text(&event->head, event->device_key, keys[i]);
    }
    for (size_t i = 0; i < sizeof zeros / sizeof zeros[0]; i++) {
        in.device_mac = text(zeros[i]);
        assert_int_equal(event_alone(&in)->device_mac.length, 0);
    }
    in.device_mac = in.device_key = (struct kx_json_text){NULL, 0};
    assert_int_equal(event_alone(&in)->device_mac.length, 0);
    assert_int_equal(event_alone(&in)->device_key.length, 0);
}

static void mac_is_cased_as_in_devices(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_json_event in = new_device();
    in.device_mac = text("00:00:00:00:00:aB");
    const struct kx_event *event = event_of(&ctx, &in, text("{}"), NULL);
    assert_text(&event->head, event->device_mac, "00:00:00:00:00:AB");
    ctx.mac_case = KX_MAC_LOWER;
    event = event_of(&ctx, &in, text("{}"), NULL);
    assert_text(&event->head, event->device_mac, "00:00:00:00:00:ab");
    in.device_mac = text("Meter 1");
    event = event_of(&ctx, &in, text("{}"), NULL);
    assert_text(&event->head, event->device_mac, "Meter 1");
}

static void time_is_the_events_own_or_ours(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        int64_t expected_ns; /* 0 = the receive time */
        unsigned range;
    } rows[] = {
        {0, 0, 0},
        {1, S, 0},
        {1795374348, 1795374348 * S, 0},
        {1795374348.0934071, INT64_C(1795374348093407000), 0}, /* to the nearest microsecond */
        {0.0000005, 1000, 0},
        {0.0000004, 0, 0},
        {-1, 0, 1},
        {9223372036.0, INT64_C(9223372036000000000), 0},
        {9223372037.0, 0, 1},
        {1e300, 0, 1},
        {(double)INFINITY, 0, 1},
        {(double)NAN, 0, 1},
    };
    struct kx_json_event in = new_device();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        in.time = rows[i].seconds;
        int64_t time_ns = event_alone(&in)->time_ns;
        assert_true(time_ns == (rows[i].expected_ns != 0 ? rows[i].expected_ns : NOW_S * S));
        assert_int_equal(notes.range, rows[i].range);
    }
}

static void long_topic_is_cut(void **state)
{
    (void)state;
    char long_text[KX_TEXT_BYTES_MAX + 1];
    memset(long_text, 'T', sizeof long_text);
    struct kx_json_event in = new_device();
    in.topic = (struct kx_json_text){long_text, sizeof long_text};
    assert_int_equal(event_alone(&in)->type.length, KX_TEXT_BYTES_MAX);
    assert_int_equal(notes.text_cut, 1);
}

static void data_is_whole_or_refused(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_json_event in = new_device();
    size_t rest = sizeof(struct kx_event) + strlen("NEW_DEVICE"
                                                   "kitchen" SERVER KEY MAC);
    size_t room = KX_RECORD_BYTES_MAX - rest;
    char *data = malloc(room + 1);
    assert_non_null(data);
    memset(data, ' ', room + 1);
    const struct kx_event *event = event_of(&ctx, &in, (struct kx_json_text){data, room}, NULL);
    assert_int_equal(event->data.length, room);
    assert_int_equal(notes.text_cut, 0);
    struct kx_json_text too_big = {data, room + 1};
    assert_int_equal(kx_normalise_event(&ctx, &in, too_big, NULL, memory, sizeof memory, &notes),
                     0);
    assert_true(notes.too_big);
    free(data);
    assert_int_equal(kx_normalise_event(&ctx, &in, text("{}"), NULL, memory, 40, &notes), 0);
    assert_true(notes.too_big);
}

/* --- uids --- */

static void assert_uid(const struct kx_event *event, const char *expected_hex)
{
    char hex[KX_UID_BYTES * 2 + 1];
    for (size_t i = 0; i < KX_UID_BYTES; i++)
        snprintf(hex + i * 2, 3, "%02x", event->uid[i]);
    assert_string_equal(hex, expected_hex);
}

/* Computed apart, from the layout in the header. */
static void uid_is_the_documented_hash(void **state)
{
    (void)state;
    struct kx_json_event in = new_device();
    assert_uid(event_alone(&in), "d775807ecbcc75ece821a577d1f403aa");
    in.topic = text("ALERT");
    in.alert_hash = text("1717770093");
    assert_uid(event_alone(&in), "e2ef53753ce91fa3a417aec14bed23d4");
    struct kx_normalise ctx = context();
    ctx.server_uuid = (struct kx_json_text){NULL, 0};
    struct kx_json_event bare = {.topic = text("MESSAGE")};
    assert_uid(event_of(&ctx, &bare, text("{}"), NULL), "4c6302ae55258b859fabb3233b845d8e");
}

struct uid {
    uint8_t bytes[KX_UID_BYTES];
};

static struct uid
uid_of(const struct kx_normalise *ctx, const struct kx_json_event *in, const char *data)
{
    struct uid uid;
    memcpy(uid.bytes, event_of(ctx, in, text(data), NULL)->uid, sizeof uid.bytes);
    return uid;
}

static bool same(struct uid a, struct uid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

static void uid_does_not_depend_on_the_way(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_json_event in = new_device();
    struct uid first = uid_of(&ctx, &in, "{}");
    struct kx_normalise later = ctx;
    later.received_ns += 7;
    later.sequence++;
    later.epoch++;
    later.mac_case = KX_MAC_LOWER;
    later.source = text("renamed");
    assert_true(same(uid_of(&later, &in, "{}"), first));
    later.server_uuid = (struct kx_json_text){NULL, 0};
    in.server_uuid = text(SERVER); /* REST gives it in the record */
    assert_true(same(uid_of(&later, &in, "{}"), first));
}

/* Sent twice at once it is one event; a second later it happened again. */
static void uid_without_a_time_lasts_a_second(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_json_event in = {.topic = text("DATASOURCE_OPENED")};
    struct uid first = uid_of(&ctx, &in, "{}");
    ctx.received_ns += S - 1;
    assert_true(same(uid_of(&ctx, &in, "{}"), first));
    ctx.received_ns += 1;
    assert_false(same(uid_of(&ctx, &in, "{}"), first));
}

static void uid_depends_on_what_happened(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_json_event in = new_device();
    struct uid first = uid_of(&ctx, &in, "{}");
    assert_false(same(uid_of(&ctx, &in, "{ }"), first));
    struct kx_json_event other = in;
    other.topic = text("NEW_DEVICE2");
    assert_false(same(uid_of(&ctx, &other, "{}"), first));
    other = in;
    other.time += 0.000001;
    assert_false(same(uid_of(&ctx, &other, "{}"), first));
    struct kx_normalise elsewhere = ctx;
    elsewhere.server_uuid = text("BFAE90F0-E6A4-11F1-B392-4B49534D4555");
    assert_false(same(uid_of(&elsewhere, &in, "{}"), first));
}

static void uid_of_an_alert_is_its_hash(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_json_event in = new_device();
    in.topic = text("ALERT");
    in.alert_hash = text("1717770093");
    struct uid first = uid_of(&ctx, &in, "{\"by\":\"eventbus\"}");
    assert_true(same(uid_of(&ctx, &in, "{\"by\":\"rest\"}"), first));
    in.alert_hash = text("1717770094");
    assert_false(same(uid_of(&ctx, &in, "{\"by\":\"rest\"}"), first));
    in.alert_hash = text("1717770093");
    in.time += 1;
    assert_false(same(uid_of(&ctx, &in, "{\"by\":\"rest\"}"), first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_keeps_everything),
        cmocka_unit_test(event_of_no_device_has_no_id),
        cmocka_unit_test(own_server_uuid_wins),
        cmocka_unit_test(no_device_in_any_spelling),
        cmocka_unit_test(mac_is_cased_as_in_devices),
        cmocka_unit_test(time_is_the_events_own_or_ours),
        cmocka_unit_test(long_topic_is_cut),
        cmocka_unit_test(data_is_whole_or_refused),
        cmocka_unit_test(uid_is_the_documented_hash),
        cmocka_unit_test(uid_does_not_depend_on_the_way),
        cmocka_unit_test(uid_without_a_time_lasts_a_second),
        cmocka_unit_test(uid_depends_on_what_happened),
        cmocka_unit_test(uid_of_an_alert_is_its_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
