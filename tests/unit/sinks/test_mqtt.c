/*
 * The mqtt sink's parts that need no broker: topics, payloads, what is in flight.
 */
#include "records.h"
#include "sinks/mqtt_payload.h"
#include "sinks/mqtt_reply.h"
#include "sinks/mqtt_topic.h"
#include "sinks/mqtt_window.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct box box, other;

static struct kx_sink_config config(const char *topic)
{
    static char prefix[] = "kismet", name[] = "mqtt";
    static char model[512];
    struct kx_sink_config sink = {.name = name, .type = KX_SINK_MQTT};
    snprintf(model, sizeof model, "%s", topic != NULL ? topic : "");
    sink.mqtt.prefix = prefix;
    sink.mqtt.topic = topic != NULL ? model : NULL;
    return sink;
}

static const struct kx_device *device(struct box *in, const struct device_spec *spec)
{
    box_device(in, spec);
    return kx_record_device(kx_batch_record(&in->batch, in->batch.end - 1));
}

static void setup_boxes(void)
{
    box_clear(&box);
    box_clear(&other);
}

static void topics(void **state)
{
    (void)state;
    setup_boxes();
    struct kx_mqtt_topics made;
    struct kx_error err;
    char topic[KX_MQTT_TOPIC_SIZE];
    struct kx_sink_config sink = config(NULL);
    assert_int_equal(kx_mqtt_topics_init(&made, &sink, "my sensor/1", &err), KX_OK);
    assert_string_equal(made.status, "kismet/status/my%20sensor%2F1");
    assert_string_equal(made.events, "kismet/events");
    assert_true(kx_mqtt_topic_device(
        &made, device(&box, &(struct device_spec){.mac = "AA:BB:CC:DD:EE:FF"}), topic));
    assert_string_equal(topic, "kismet/devices/AA_BB_CC_DD_EE_FF");
    assert_true(kx_mqtt_topic_device(&made, device(&box, &(struct device_spec){0}), topic));
    assert_string_equal(topic, "kismet/devices/unknown");
    sink = config("{prefix}/{phy}/{source}/{mac}");
    sink.mac_case = KX_MAC_LOWER;
    assert_int_equal(kx_mqtt_topics_init(&made, &sink, "s", &err), KX_OK);
    const struct device_spec hostile = {
        .mac = "AA:BB:CC:DD:EE:FF", .phy = "+/#$%\n\xc3\xa9~", .source = "a.b_c-d"};
    assert_true(kx_mqtt_topic_device(&made, device(&box, &hostile), topic));
    assert_string_equal(topic, "kismet/%2B%2F%23%24%25%0A%C3%A9%7E/a.b_c-d/aa_bb_cc_dd_ee_ff");
    char text[101];
    memset(text, ' ', 100);
    text[100] = '\0';
    assert_false(kx_mqtt_topic_device(
        &made, device(&box, &(struct device_spec){.mac = "x", .phy = text}), topic));
}

static void topics_that_cannot_be(void **state)
{
    (void)state;
    static const char *const rows[] = {"$a/{mac}", "a//{mac}", "/a/{mac}",    "a/+/{mac}", "a/#",
                                       "a/{max}",  "a/{mac}/", "a\x01/{mac}", "\xff/{mac}"};
    struct kx_mqtt_topics made;
    struct kx_error err;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kx_sink_config sink = config(rows[i]);
        assert_int_equal(kx_mqtt_topics_init(&made, &sink, "s", &err), KX_ERR_CONFIG);
    }
}

static void only_what_changed(void **state)
{
    (void)state;
    setup_boxes();
    struct kx_mqtt_payload payload;
    struct kx_sink_config sink = config(NULL);
    sink.mqtt.payload = KX_MQTT_DELTA;
    kx_mqtt_payload_init(&payload, &sink);
    const struct device_spec spec = {
        .mac = "AA:BB:CC:DD:EE:FF", .name = "x", .signal = -50, .last_seen = 1700000000};
    kx_mqtt_payload_delta(&payload, device(&box, &spec),
                          1ull << KX_F_SIGNAL_DBM | 1ull << KX_F_CHANNEL);
    kx_buf_byte(&payload.buf, '\0');
    assert_string_equal(payload.buf.data,
                        "{\"timestamp\":\"2023-11-14T22:13:20.000000+00:00\",\"mac_addr\":"
                        "\"AA:BB:CC:DD:EE:FF\",\"channel\":null,\"signal_dbm\":-50}");
    kx_mqtt_payload_delta(&payload, device(&box, &spec), 0);
    kx_buf_byte(&payload.buf, '\0');
    assert_string_equal(payload.buf.data,
                        "{\"timestamp\":\"2023-11-14T22:13:20.000000+00:00\",\"mac_addr\":"
                        "\"AA:BB:CC:DD:EE:FF\"}");
    kx_mqtt_payload_fini(&payload);
}

static void in_flight(void **state)
{
    (void)state;
    setup_boxes();
    struct kx_mqtt_window window = {0};
    for (int i = 0; i < 100; i++)
        device(&box, &(struct device_spec){.mac = "AA:BB:CC:DD:EE:FF"});
    struct kx_mqtt_flight *flight = kx_mqtt_window_begin(&window, &box.batch, NULL);
    assert_int_equal(kx_mqtt_flight_next(flight, 100), 0);
    kx_mqtt_flight_sent(flight, 0, 3);
    assert_int_equal(kx_mqtt_flight_next(flight, 100), 3);
    kx_mqtt_flight_back(flight, 0, 2, true);
    kx_mqtt_flight_back(flight, 2, 3, false);
    assert_true(kx_batch_done(&box.batch, 0) && kx_batch_done(&box.batch, 1));
    assert_false(kx_batch_done(&box.batch, 2));
    assert_int_equal(flight->out_count, 0);
    kx_mqtt_flight_back(flight, 5, 6, true); /* was not out */
    assert_false(kx_batch_done(&box.batch, 5));
    kx_mqtt_flight_refuse(flight, 2);
    assert_true(kx_mqtt_flight_settled(flight, 0, 3));
    assert_false(kx_mqtt_flight_settled(flight, 0, 4));
    assert_ptr_equal(kx_mqtt_window_begin(&window, &box.batch, NULL), flight);
    assert_int_equal(kx_mqtt_flight_next(flight, 100), 3);
    /* The engine has it back, with nothing out: it may become another batch. */
    kx_mqtt_window_end(&window);
    assert_null(flight->batch.done);
    kx_mqtt_window_fini(&window);
}

static void no_older_state_behind_a_newer_one(void **state)
{
    (void)state;
    setup_boxes();
    struct kx_mqtt_window window = {0};
    for (uint32_t i = 0; i < 3; i++) {
        box_device(&box, &(struct device_spec){.mac = "x"});
        box_device(&other, &(struct device_spec){.mac = "x"});
    }
    struct box *boxes[] = {&box, &other};
    for (size_t b = 0; b < 2; b++)
        for (uint32_t i = 0; i < 3; i++) {
            struct kx_record *record =
                (struct kx_record *)(void *)(boxes[b]->bytes + boxes[b]->offsets[i]);
            record->device_id = i;
            record->generation = 1;
            record->sequence = b * 3 + i + 1;
        }
    struct kx_mqtt_flight *now = kx_mqtt_window_begin(&window, &box.batch, NULL);
    struct kx_mqtt_flight *next = kx_mqtt_window_begin(&window, &other.batch, now);
    assert_ptr_not_equal(now, next);
    kx_mqtt_flight_sent(now, 0, 3);
    kx_mqtt_flight_sent(next, 0, 3);
    kx_mqtt_flight_back(now, 0, 1, true);
    kx_mqtt_flight_back(next, 1, 2, true); /* the newer state of device 1 */
    kx_mqtt_flight_back(now, 1, 3, false);
    kx_mqtt_flight_back(next, 2, 3, false);
    assert_int_equal(kx_mqtt_window_lost(&window), 1);
    assert_true(kx_batch_done(&box.batch, 1));
    assert_false(kx_batch_done(&box.batch, 2)); /* to be sent again, before its newer state */
    assert_false(kx_batch_done(&other.batch, 2));
    assert_int_equal(now->out_count + next->out_count, 0);
    kx_mqtt_window_fini(&window);
}

/* Each event stands for itself, and a device of one life says nothing of the next life's. */
static void only_the_same_device_supersedes(void **state)
{
    (void)state;
    setup_boxes();
    struct kx_mqtt_window window = {0};
    const struct event_spec event = {.type = "ALERT", .uid = 1};
    box_event(&box, &event);
    box_event(&box, &event);
    box_device(&box, &(struct device_spec){.mac = "x"});
    box_device(&box, &(struct device_spec){.mac = "x"});
    for (uint32_t i = 0; i < 4; i++) {
        struct kx_record *record = (struct kx_record *)(void *)(box.bytes + box.offsets[i]);
        record->device_id = 7;
        record->generation = i == 3 ? 2 : 1;
        record->sequence = i + 1;
    }
    struct kx_mqtt_flight *flight = kx_mqtt_window_begin(&window, &box.batch, NULL);
    kx_mqtt_flight_sent(flight, 0, 4);
    kx_mqtt_flight_back(flight, 1, 2, true);
    kx_mqtt_flight_back(flight, 3, 4, true);
    assert_int_equal(kx_mqtt_window_lost(&window), 0);
    assert_false(kx_batch_done(&box.batch, 0));
    assert_false(kx_batch_done(&box.batch, 2));
    kx_mqtt_window_fini(&window);
}

static void answers(void **state)
{
    (void)state;
    static const struct {
        int code;
        enum kx_outcome outcome;
    } rows[] = {{3, KX_RETRY},    {4, KX_HOLD},        {5, KX_HOLD},     {0x86, KX_HOLD},
                {0x87, KX_HOLD},  {0x88, KX_RETRY},    {0x8e, KX_RETRY}, {0x95, KX_REJECTED},
                {0x97, KX_RETRY}, {0x99, KX_REJECTED}, {0x9b, KX_HOLD},  {0xfe, KX_RETRY}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(kx_mqtt_reply(rows[i].code)->outcome, rows[i].outcome);
        assert_non_null(kx_mqtt_reply(rows[i].code)->words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics),
        cmocka_unit_test(topics_that_cannot_be),
        cmocka_unit_test(only_what_changed),
        cmocka_unit_test(in_flight),
        cmocka_unit_test(no_older_state_behind_a_newer_one),
        cmocka_unit_test(only_the_same_device_supersedes),
        cmocka_unit_test(answers),
    };
    box_init(&box);
    box_init(&other);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    box_fini(&box);
    box_fini(&other);
    return failed;
}
