/*
 * The event parser: topics, what identifies an event, its data re-serialised byte for byte, depth,
 * and the faults that leave the buffer as it was.
 */
#include "messages.h"

/* What the next message is read with; its texts live until the next. */
static struct kx_json *json;
static char *message;
static struct kx_buf out;
static struct kx_json_event event;
static struct kx_json_notes notes;

static enum kx_json_result read_bytes(const char *text, size_t length)
{
    free(message);
    message = message_copy(text, length, '}');
    memset(&event, 0xa5, sizeof event);
    memset(&notes, 0xa5, sizeof notes);
    kx_buf_clear(&out);
    return kx_json_event(json, message, length, &out, &event, &notes);
}

static enum kx_json_result read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static void assert_data(const char *expected)
{
    assert_false(out.failed);
    if (out.length != strlen(expected) || memcmp(out.data, expected, out.length) != 0)
        fail_msg("data is %.*s, not %s", (int)out.length, out.data, expected);
}

static void assert_time(double expected)
{
    if (event.time < expected || event.time > expected)
        fail_msg("time is %.9f, not %.9f", event.time, expected);
}

static int setup(void **state)
{
    (void)state;
    kx_buf_init(&out, 64 << 20);
    json = kx_json_create();
    return json == NULL;
}

static int teardown(void **state)
{
    (void)state;
    kx_json_destroy(json);
    kx_buf_fini(&out);
    free(message);
    return 0;
}

/* --- topics --- */

static void topics(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *topic;
        const char *data;
    } cases[] = {
        {"{\"MESSAGE\": {\"a\": 1}}", "MESSAGE", "{\"a\":1}"},
        {"{\"X\":{}}", "X", "{}"},
        {" { \"X\" : { } } ", "X", "{}"},
        /* data is an object in any case */
        {"{\"DATASOURCE_OPENED\":\"4E1D07C3\"}", "DATASOURCE_OPENED",
         "{\"DATASOURCE_OPENED\":\"4E1D07C3\"}"},
        {"{\"X\":[{\"a\":1}]}", "X", "{\"X\":[{\"a\":1}]}"},
        {"{\"X\":null}", "X", "{\"X\":null}"},
        /* two records */
        {"{\"DOT11_NEW_SSID_BASEDEV\":{\"a\":1},\"DOT11_PROBED_SSID\":{\"b\":2}}",
         "DOT11_PROBED_SSID",
         "{\"DOT11_NEW_SSID_BASEDEV\":{\"a\":1},\"DOT11_PROBED_SSID\":{\"b\":2}}"},
        {"{\"DOT11_ADVERTISED_SSID\":{\"b\":2},\"DOT11_NEW_SSID_BASEDEV\":{\"a\":1}}",
         "DOT11_ADVERTISED_SSID",
         "{\"DOT11_ADVERTISED_SSID\":{\"b\":2},\"DOT11_NEW_SSID_BASEDEV\":{\"a\":1}}"},
        {"{\"DOT11_NEW_SSID_BASEDEV\":{\"a\":1}}", "DOT11_NEW_SSID_BASEDEV", "{\"a\":1}"},
        {"{\"DOT11_WPA_HANDSHAKE_BASEDEV\":{},\"DOT11_WPA_HANDSHAKE_DOT11\":{}}",
         "DOT11_WPA_HANDSHAKE",
         "{\"DOT11_WPA_HANDSHAKE_BASEDEV\":{},\"DOT11_WPA_HANDSHAKE_DOT11\":{}}"},
        {"{\"DOT11_WPA_HANDSHAKE_DOT11\":{},\"DOT11_WPA_HANDSHAKE_BASE\":{}}",
         "DOT11_WPA_HANDSHAKE",
         "{\"DOT11_WPA_HANDSHAKE_DOT11\":{},\"DOT11_WPA_HANDSHAKE_BASE\":{}}"},
        {"{\"DOT11_WPA_HANDSHAKE_BASEDEV\":{},\"DOT11_WPA_HANDSHAKE\":{}}", "DOT11_WPA_HANDSHAKE",
         "{\"DOT11_WPA_HANDSHAKE_BASEDEV\":{},\"DOT11_WPA_HANDSHAKE\":{}}"},
        {"{\"A\":{},\"B\":{}}", "A", "{\"A\":{},\"B\":{}}"},
        {"{\"A\\u0042\":{}}", "AB", "{}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_text(cases[i].text), KX_JSON_OK);
        /* The topic is the parser's own, not the message's. */
        memset(message, 'z', strlen(cases[i].text));
        assert_text(event.topic, cases[i].topic);
        assert_data(cases[i].data);
        assert_int_equal(event.severity, -1);
        assert_null(event.alert_hash.data);
    }
}

static void appends_behind_what_is_there(void **state)
{
    (void)state;
    free(message);
    message = message_copy("{\"X\":{\"a\":[1,2]}}", 17, 0);
    kx_buf_clear(&out);
    kx_buf_text(&out, "before");
    assert_int_equal(kx_json_event(json, message, 17, &out, &event, &notes), KX_JSON_OK);
    assert_data("before{\"a\":[1,2]}");
    assert_int_equal(kx_json_event(json, message, 9, &out, &event, &notes), KX_JSON_SYNTAX);
    assert_data("before{\"a\":[1,2]}");
}

/* --- what identifies an event --- */

static void an_alert(void **state)
{
    (void)state;
    static const char text[] =
        "{\"ALERT\": {\"kismet.alert.device_key\": \"00_0\",\"kismet.alert.header\": \"LABALERT\","
        "\"kismet.alert.class\": \"PROBE\",\"kismet.alert.hash\": 1717770093,"
        "\"kismet.alert.severity\": 10,\"kismet.alert.phy_id\": 4294967295,"
        "\"kismet.alert.timestamp\": 1795374348.093407,"
        "\"kismet.alert.transmitter_mac\": \"00:00:00:00:00:00\","
        "\"kismet.alert.source_mac\": \"DC:4D:CA:18:25:30\","
        "\"kismet.alert.dest_mac\": \"00:00:00:00:00:00\",\"kismet.alert.channel\": \"6\","
        "\"kismet.alert.text\": \"'quoted' , = \\\\ \xE2\x98\x83 </script>\","
        "\"kismet.alert.location\": {\"kismet.common.location.geopoint\": "
        "[-74.006000, 40.712800],\"kismet.common.location.alt\": 10.500000,"
        "\"kismet.common.location.time_sec\": 1795374399}}}";
    assert_int_equal(read_text(text), KX_JSON_OK);
    assert_text(event.topic, "ALERT");
    assert_text(event.device_key, "00_0");
    assert_text(event.device_mac, "DC:4D:CA:18:25:30");
    assert_text(event.alert_hash, "1717770093");
    assert_null(event.server_uuid.data);
    assert_int_equal(event.severity, 10);
    assert_time(1795374348.093407);
    assert_non_null(memmem(out.data, out.length, "\"kismet.alert.phy_id\":4294967295,", 33));
    assert_non_null(memmem(out.data, out.length, "[-74.006,40.7128]", 17));
    assert_non_null(memmem(out.data, out.length, "\\u003C/script\\u003E", 19));
    assert_memory_equal(out.data, "{\"kismet.alert.device_key\":\"00_0\",", 34);
}

static void whose_mac(void **state)
{
    (void)state;
#define NOBODY "00:00:00:00:00:00"
    static const struct {
        const char *record;
        const char *mac; /* NULL = none */
    } cases[] = {
        {"\"kismet.alert.transmitter_mac\":\"T\",\"kismet.alert.source_mac\":\"S\"", "T"},
        {"\"kismet.alert.source_mac\":\"S\",\"kismet.alert.transmitter_mac\":\"T\"", "T"},
        {"\"kismet.alert.transmitter_mac\":\"" NOBODY "\",\"kismet.alert.source_mac\":\"S\"", "S"},
        {"\"kismet.alert.transmitter_mac\":0,\"kismet.alert.source_mac\":\"S\"", "S"},
        {"\"kismet.alert.transmitter_mac\":\"\",\"kismet.alert.source_mac\":\"S\"", "S"},
        {"\"kismet.alert.transmitter_mac\":\"" NOBODY "\",\"kismet.alert.source_mac\":\"" NOBODY
         "\"",
         NULL},
        {"\"kismet.device.base.macaddr\":\"D\"", "D"},
        {"\"mac_addr\":\"A\"", "A"},
        {"\"mac_addr\":0", NULL},
        {"\"mac_addr\":\"A\",\"mac_addr\":\"B\"", "A"},
        {"\"mac_addr\":\"A\",\"kismet.alert.source_mac\":\"S\"", "S"},
        {"\"inner\":{\"mac_addr\":\"A\"}", NULL}, /* another device's */
        {"\"a\":1", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"X\":{%s}}", cases[i].record);
        assert_int_equal(read_text(text), KX_JSON_OK);
        if (cases[i].mac != NULL)
            assert_text(event.device_mac, cases[i].mac);
        else
            assert_null(event.device_mac.data);
    }
}

static void which_time(void **state)
{
    (void)state;
    static const struct {
        const char *record;
        double time;
    } cases[] = {
        {"\"a\":1", 0},
        {"\"kismet.alert.timestamp\":5.25", 5.25},
        {"\"kismet.messagebus.message_time\":6", 6},
        {"\"kismet.device.base.first_time\":7", 7},
        {"\"first_seen\":7", 7},
        {"\"first_seen\":0", 0},
        {"\"first_seen\":-7", 0},
        {"\"first_seen\":\"7\"", 0},
        {"\"first_seen\":1e400", 0},
        {"\"first_seen\":0,\"first_seen\":8", 8},
        {"\"dot11.probedssid.first_time\":9,\"first_seen\":7", 9},
        {"\"first_seen\":7,\"dot11.advertisedssid.first_time\":9", 9},
        {"\"kismet.common.location.time_sec\":8", 8},
        {"\"kismet.common.location.time_usec\":500000,\"kismet.common.location.time_sec\":8", 8.5},
        {"\"kismet.common.location.time_sec\":8,\"kismet.common.location.time_usec\":1000000", 8},
        {"\"kismet.common.location.time_sec\":8,\"kismet.common.location.time_usec\":-1", 8},
        {"\"kismet.system.timestamp.usec\":250000,\"kismet.system.timestamp.sec\":9", 9.25},
        {"\"kismet.system.timestamp.sec\":9,\"kismet.common.location.time_sec\":8", 8},
        {"\"kismet.messagebus.message_time\":6,\"kismet.alert.timestamp\":5.25,\"first_seen\":7",
         5.25},
        {"\"inner\":{\"first_seen\":7}", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"X\":{%s}}", cases[i].record);
        assert_int_equal(read_text(text), KX_JSON_OK);
        assert_time(cases[i].time);
    }
}

static void keys_uuids_hashes(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("{\"A\":{\"kismet.device.base.key\":\"K1\","
                  "\"kismet.server.uuid\":\"U1\",\"kismet.alert.device_key\":\"K2\"}}"),
        KX_JSON_OK);
    assert_text(event.device_key, "K2");
    assert_text(event.server_uuid, "U1");
    assert_int_equal(read_text("{\"DOT11_NEW_SSID_BASEDEV\":{\"key\":\"K\",\"server_uuid\":\"U\","
                               "\"mac_addr\":\"M\"},\"DOT11_PROBED_SSID\":{\"key\":0,"
                               "\"server_uuid\":0,\"mac_addr\":0,"
                               "\"dot11.probedssid.ssid\":\"net\"}}"),
                     KX_JSON_OK);
    assert_text(event.device_key, "K");
    assert_text(event.server_uuid, "U");
    assert_text(event.device_mac, "M");

    static const struct {
        const char *record;
        const char *hash; /* NULL = none */
        int64_t severity;
    } cases[] = {
        {"\"kismet.alert.hash\":0,\"kismet.alert.severity\":0", "0", 0},
        {"\"kismet.alert.hash\": 4294967295 ,\"kismet.alert.severity\": 20 ", "4294967295", 20},
        {"\"kismet.alert.hash\":18446744073709551615", "18446744073709551615", -1},
        {"\"kismet.alert.hash\":\"5\",\"kismet.alert.severity\":\"5\"", NULL, -1},
        {"\"kismet.alert.hash\":1234567890123456789012345,\"kismet.alert.severity\":-1", NULL, -1},
        {"\"kismet.alert.severity\":1e300", NULL, -1},
        {"\"kismet.alert.severity\":1e400", NULL, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"ALERT\":{%s}}", cases[i].record);
        assert_int_equal(read_text(text), KX_JSON_OK);
        memset(message, 'z', strlen(text));
        if (cases[i].hash != NULL)
            assert_text(event.alert_hash, cases[i].hash);
        else
            assert_null(event.alert_hash.data);
        assert_int_equal(event.severity, cases[i].severity);
    }
}

/* --- data --- */

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *data;
        struct kx_json_notes notes;
    } cases[] = {
        {"0", "0", {0}},
        {"-0", "0", {0}},
        {"-9223372036854775808", "-9223372036854775808", {0}},
        {"9223372036854775807", "9223372036854775807", {0}},
        {"9223372036854775808", "9223372036854775808", {0}},
        {"18446744073709551615", "18446744073709551615", {0}},
        {"100000000000000000000", "1e+20", {0}},
        {"-74.006000", "-74.006", {0}},
        {"7.833333", "7.833333", {0}},
        {"1e3", "1000", {0}},
        {"1e400", "null", {.range = 1}},
        {"-1e400", "null", {.range = 1}},
        {"true", "true", {0}},
        {"false", "false", {0}},
        {"null", "null", {0}},
        {"[ ]", "[]", {0}},
        {"{ }", "{}", {0}},
        {"[ 1 , [ 2 , { \"b\" : [ ] } ] , \"x\" ]", "[1,[2,{\"b\":[]}],\"x\"]", {0}},
        {"\"\"", "\"\"", {0}},
        {"\"a\\/b\\n\\u0041\"", "\"a/b\\u000AA\"", {0}},
        {"\"\\u0000\\ud800\"", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"", {.nul = 1, .surrogate = 1}},
        {"\"\xFF\"", "\"\xEF\xBF\xBD\"", {.utf8 = 1}},
        {"{\"\\ud800\\n\":1,\"\\u0000\":2}",
         "{\"\xEF\xBF\xBD\\u000A\":1,\"\xEF\xBF\xBD\":2}",
         {.nul = 1, .surrogate = 1}},
        {"{\"b\":1,\"b\":2}", "{\"b\":1,\"b\":2}", {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256], data[256];
        snprintf(text, sizeof text, "{\"X\":{\"a\":%s,\"z\":9}}", cases[i].value);
        snprintf(data, sizeof data, "{\"a\":%s,\"z\":9}", cases[i].data);
        assert_int_equal(read_text(text), KX_JSON_OK);
        assert_data(data);
        assert_int_equal(notes.utf8, cases[i].notes.utf8);
        assert_int_equal(notes.nul, cases[i].notes.nul);
        assert_int_equal(notes.surrogate, cases[i].notes.surrogate);
        assert_int_equal(notes.range, cases[i].notes.range);
        assert_int_equal(notes.wrong_type, 0);
    }
}

static void faults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kx_json_result result;
    } cases[] = {
        {"", KX_JSON_EMPTY},
        {"\n", KX_JSON_EMPTY},
        {"[]", KX_JSON_NOT_OBJECT},
        {"\"x\"", KX_JSON_NOT_OBJECT},
        {"{}", KX_JSON_NO_KEY},
        {"{\"\":{}}", KX_JSON_NO_KEY},
        {"{\"X\":{}", KX_JSON_SYNTAX},
        {"{\"X\":{}}}", KX_JSON_SYNTAX},
        {"{\"X\":{}} {}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":1,}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\"}}", KX_JSON_SYNTAX},
        {"{\"X\":{a:1}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":[1,]}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":[1 2]}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":[1}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":[1}]}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":{\"b\":1]}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":tru}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":nulll}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":falsey}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":01}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":1.}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":-}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":NaN}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":\"\\x\"}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"\\x\":1}}", KX_JSON_SYNTAX},
        {"{\"\\x\":{}}", KX_JSON_SYNTAX},
        {"{\"X\":{\"a\":\"\x1F\"}}", KX_JSON_SYNTAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const enum kx_json_result result = read_text(cases[i].text);
        if (result != cases[i].result)
            fail_msg("%s gives %d, not %d", cases[i].text, result, cases[i].result);
        assert_data("");
    }
}

/* The message has depth 1, its record 2; a container in it 3 and so on. */
static size_t nest(char *text, unsigned depth, char open, char close)
{
    char *to = text + sprintf(text, "{\"X\":{\"a\":");
    for (unsigned i = 3; i <= depth; i++)
        to += open == '{' ? sprintf(to, "{\"a\":") : sprintf(to, "[");
    *to++ = '1';
    for (unsigned i = 3; i <= depth; i++)
        *to++ = close;
    to += sprintf(to, "}}");
    return (size_t)(to - text);
}

static void depth(void **state)
{
    (void)state;
    static char text[1 << 20];
    for (unsigned levels = 62; levels <= 66; levels++) {
        const enum kx_json_result expected =
            levels <= KX_JSON_DEPTH_MAX ? KX_JSON_OK : KX_JSON_DEPTH;
        size_t length = nest(text, levels, '[', ']');
        assert_int_equal(read_bytes(text, length), expected);
        assert_int_equal(out.length, expected == KX_JSON_OK ? length - 6 : 0);
        length = nest(text, levels, '{', '}');
        assert_int_equal(read_bytes(text, length), expected);
        assert_int_equal(out.length, expected == KX_JSON_OK ? length - 6 : 0);
    }
    assert_int_equal(read_bytes(text, nest(text, 100000, '[', ']')), KX_JSON_DEPTH);
    assert_int_equal(read_bytes(text, nest(text, 100000, '{', '}')), KX_JSON_DEPTH);
    assert_int_equal(read_text("{\"X\":{}}"), KX_JSON_OK);
}

/* An event that does not fit its buffer is whole for the parser; the buffer tells. */
static void a_full_buffer(void **state)
{
    (void)state;
    static const char text[] =
        "{\"X\":{\"mac_addr\":\"M\",\"a\":\"0123456789012345678901234567\"}}";
    struct kx_buf small;
    for (size_t limit = 0; limit < 80; limit++) {
        kx_buf_init(&small, limit);
        free(message);
        message = message_copy(text, sizeof text - 1, 0);
        assert_int_equal(kx_json_event(json, message, sizeof text - 1, &small, &event, &notes),
                         KX_JSON_OK);
        assert_text(event.topic, "X");
        assert_text(event.device_mac, "M");
        /* The whole message is written before its record is cut out. */
        assert_int_equal(small.failed, limit < sizeof text - 1);
        kx_buf_fini(&small);
    }
}

static void a_large_event(void **state)
{
    (void)state;
    enum { COUNT = 1 << 20 };
    char *text = malloc(9 * COUNT + 64);
    assert_non_null(text);
    char *to = text + sprintf(text, "{\"X\":{\"a\":[");
    for (unsigned i = 0; i < COUNT; i++)
        to += sprintf(to, "%s%u", i == 0 ? "" : ",", i);
    to += sprintf(to, "]}}");
    assert_int_equal(read_bytes(text, (size_t)(to - text)), KX_JSON_OK);
    assert_int_equal(out.length, (size_t)(to - text) - 6);
    assert_memory_equal(out.data, text + 5, out.length);
    free(text);
}

/* --- real events --- */

/* Every event of a capture: the data is JSON that reads back as itself. */
static void a_capture(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        size_t count;
    } expected[] = {
        {"ALERT", 18},
        {"BATTERY", 11},
        {"DOT11_ADVERTISED_SSID", 10},
        {"DOT11_PROBED_SSID", 114},
        {"GPS_LOCATION", 13},
        {"MESSAGE", 62},
        {"NEW_DEVICE", 34},
        {"PACKETCHAIN_STATS", 10},
        {"STATISTICS", 11},
        {"TIMESTAMP", 11},
    };
    enum { TOPICS = sizeof expected / sizeof expected[0] };
    static const char eventbus[] = "\"s\":\"eventbus\",\"d\":";
    size_t counts[TOPICS] = {0}, at = 0, length;
    struct capture_file file = capture_read("neighbourhood-full.ndjson.zst");
    const char *line;
    struct kx_buf once;
    kx_buf_init(&once, 1 << 20);
    while (capture_line(&file, &at, &line, &length)) {
        const char *frame = memmem(line, length < 64 ? length : 64, eventbus, sizeof eventbus - 1);
        if (frame == NULL)
            continue;
        frame += sizeof eventbus - 1;
        assert_int_equal(read_bytes(frame, (size_t)(line + length - 1 - frame)), KX_JSON_OK);
        size_t topic = 0;
        while (topic < TOPICS && !text_is(event.topic, expected[topic].topic))
            topic++;
        assert_true(topic < TOPICS);
        counts[topic]++;
        const bool timeless = strcmp(expected[topic].topic, "BATTERY") == 0 ||
                              strcmp(expected[topic].topic, "STATISTICS") == 0 ||
                              strcmp(expected[topic].topic, "PACKETCHAIN_STATS") == 0;
        assert_int_equal(event.time < 1.7e9, timeless);
        const bool of_device = strncmp(expected[topic].topic, "DOT11", 5) == 0 ||
                               strcmp(expected[topic].topic, "NEW_DEVICE") == 0;
        assert_int_equal(event.server_uuid.length, of_device ? 36 : 0);
        assert_int_equal(event.device_mac.length == 17,
                         of_device || strcmp(expected[topic].topic, "ALERT") == 0);
        /* Again, with what was written as the record of a message. */
        kx_buf_clear(&once);
        kx_buf_bytes(&once, out.data, out.length);
        char *wrapped = malloc(out.length + 16);
        assert_non_null(wrapped);
        const int size = sprintf(wrapped, "{\"X\":%.*s}", (int)out.length, out.data);
        assert_int_equal(read_bytes(wrapped, (size_t)size), KX_JSON_OK);
        assert_int_equal(out.length, once.length);
        assert_memory_equal(out.data, once.data, once.length);
        free(wrapped);
    }
    for (size_t topic = 0; topic < TOPICS; topic++)
        assert_int_equal(counts[topic], expected[topic].count);
    kx_buf_fini(&once);
    free(file.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics),        cmocka_unit_test(appends_behind_what_is_there),
        cmocka_unit_test(an_alert),      cmocka_unit_test(whose_mac),
        cmocka_unit_test(which_time),    cmocka_unit_test(keys_uuids_hashes),
        cmocka_unit_test(values),        cmocka_unit_test(faults),
        cmocka_unit_test(depth),         cmocka_unit_test(a_full_buffer),
        cmocka_unit_test(a_large_event), cmocka_unit_test(a_capture),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
