/*
 * The device parser: real frames against values written down by hand, every kind of value in every
 * kind of field, every result, every repair.
 */
#include "messages.h"

#include "base/clock.h"
#include <float.h>
#include <math.h>

/* What the next message is read with; its texts live until the next. */
static struct kx_json *json;
static char *message;
static struct kx_json_device device;
static struct kx_json_notes notes;

static enum kx_json_result read_bytes(const char *text, size_t length, char padding)
{
    free(message);
    message = message_copy(text, length, padding);
    memset(&device, 0xa5, sizeof device);
    memset(&notes, 0xa5, sizeof notes);
    return kx_json_device(json, message, length, &device, &notes);
}

static enum kx_json_result read_text(const char *text)
{
    return read_bytes(text, strlen(text), 0);
}

/* A device with key and MAC and these fields behind them. */
static enum kx_json_result read_fields(const char *fields)
{
    char text[4096];
    const int length = snprintf(text, sizeof text, "{\"key\":\"K\",\"mac_addr\":\"M\",%s}", fields);
    assert_true(length > 0 && (size_t)length < sizeof text);
    return read_bytes(text, (size_t)length, 0);
}

static bool has(enum kx_json_field field)
{
    return (device.has >> field & 1) != 0;
}

static void assert_notes(struct kx_json_notes expected)
{
    assert_int_equal(notes.utf8, expected.utf8);
    assert_int_equal(notes.nul, expected.nul);
    assert_int_equal(notes.surrogate, expected.surrogate);
    assert_int_equal(notes.wrong_type, expected.wrong_type);
    assert_int_equal(notes.range, expected.range);
    assert_int_equal(notes.reordered, expected.reordered);
}

static void assert_double(double value, double expected)
{
    assert_memory_equal(&value, &expected, sizeof value);
}

static int setup(void **state)
{
    (void)state;
    json = kx_json_create();
    return json == NULL;
}

static int teardown(void **state)
{
    (void)state;
    kx_json_destroy(json);
    kx_json_destroy(NULL);
    free(message);
    return 0;
}

/* --- real frames --- */

static const char access_point[] =
    "{\"key\": \"4202770D00000000_360000B45A3C\","
    "\"server_uuid\": \"BFAE90F0-E6A4-11F1-B392-4B49534D4554\",\"mac_addr\": "
    "\"3C:5A:B4:00:00:36\",\"name\": \"net-54\",\"common_name\": \"net-54\",\"username\": 0,"
    "\"phy_type\": \"IEEE802.11\",\"manufacturer\": \"Unknown\",\"device_type\": \"Wi-Fi AP\","
    "\"crypt\": \"WPA2 WPA2-PSK AES-CCMP\",\"first_seen\": 1763000000,\"last_seen\": 1763000002,"
    "\"mod_time\": 1795374348,\"channel\": \"149\",\"frequency\": 5745000,\"total_packets\": 1,"
    "\"tx_packets\": 1,\"rx_packets\": 0,\"data_size\": 0,\"num_alerts\": 0,\"signal_dbm\": -81,"
    "\"noise_dbm\": -95,\"geopoint\": [-74.006000, 40.712800],\"altitude\": 10.500000,\"fix\": 3}";

static void a_frame_field_by_field(void **state)
{
    (void)state;
    assert_int_equal(read_text(access_point), KX_JSON_OK);
    assert_text(device.key, "4202770D00000000_360000B45A3C");
    assert_text(device.server_uuid, "BFAE90F0-E6A4-11F1-B392-4B49534D4554");
    assert_text(device.mac_addr, "3C:5A:B4:00:00:36");
    assert_text(device.name, "net-54");
    assert_text(device.common_name, "net-54");
    assert_null(device.username.data);
    assert_text(device.phy_type, "IEEE802.11");
    assert_text(device.manufacturer, "Unknown");
    assert_text(device.device_type, "Wi-Fi AP");
    assert_text(device.crypt, "WPA2 WPA2-PSK AES-CCMP");
    assert_text(device.channel, "149");
    assert_null(device.signal_type.data);
    assert_int_equal(device.has, (2u << KX_J_GEOPOINT) - 1);
    assert_int_equal(device.first_seen, 1763000000);
    assert_int_equal(device.last_seen, 1763000002);
    assert_int_equal(device.mod_time, 1795374348);
    assert_int_equal(device.frequency, 5745000);
    assert_int_equal(device.total_packets, 1);
    assert_int_equal(device.tx_packets, 1);
    assert_int_equal(device.rx_packets, 0);
    assert_int_equal(device.data_size, 0);
    assert_int_equal(device.num_alerts, 0);
    assert_int_equal(device.signal_dbm, -81);
    assert_int_equal(device.noise_dbm, -95);
    assert_int_equal(device.fix, 3);
    assert_double(device.longitude, -74.006);
    assert_double(device.latitude, 40.7128);
    assert_double(device.altitude, 10.5);
    assert_notes((struct kx_json_notes){0});
}

/* A whole capture. */
static void a_capture(void **state)
{
    (void)state;
    struct capture_file file = capture_read("neighbourhood-fields.ndjson.zst");
    static const char monitor[] = "\"s\":\"monitor\",\"d\":";
    const char *line;
    size_t length;
    size_t frames = 0, without_place = 0, at = 0;
    int64_t packets = 0;
    while (capture_line(&file, &at, &line, &length)) {
        const char *frame = memmem(line, length, monitor, sizeof monitor - 1);
        if (frame == NULL)
            continue;
        frame += sizeof monitor - 1;
        assert_int_equal(read_bytes(frame, (size_t)(line + length - 1 - frame), ','), KX_JSON_OK);
        assert_notes((struct kx_json_notes){0});
        char named[128];
        snprintf(named, sizeof named, "{\"key\": \"%.*s\",", (int)device.key.length,
                 device.key.data);
        assert_memory_equal(frame, named, strlen(named));
        snprintf(named, sizeof named, "\"mac_addr\": \"%.*s\",", (int)device.mac_addr.length,
                 device.mac_addr.data);
        assert_non_null(memmem(frame, length, named, strlen(named)));
        packets += device.total_packets;
        without_place += !has(KX_J_GEOPOINT);
        frames++;
    }
    assert_int_equal(frames, 8474);
    /* Both counted by another parser. */
    assert_int_equal(packets, 60516);
    assert_int_equal(without_place, 184);
    free(file.bytes);
}

static void hostile_names(void **state)
{
    (void)state;
    static const struct {
        size_t line;
        const char *name;
        uint32_t repairs;
    } expected[] = {
        {6, "a,b=c d\\\\n", 0},
        {13, "quote\\\"quote", 0},
        {31,
         "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
         "beyond",
         8},
        {35, "{\\\"j\\\":1}", 0},
        {52, "\xEF\xBF\xBD\xEF\xBF\xBDoverlong", 4},
        {63, "new\\nline", 0},
        {73, "back\\\\slash", 0},
        {90, "tab\\there", 0},
        {106, "\\u001b[31mred\\u001b[0m", 0},
        {147, "'; DROP TABLE kismet_devices;--", 0},
    };
    struct capture_file file = capture_read("hostile-names.itjson.zst");
    const char *line;
    size_t length, at = 0, next = 0, lines = 0;
    for (; capture_line(&file, &at, &line, &length); lines++) {
        assert_int_equal(read_bytes(line, length, '"'), KX_JSON_OK);
        const bool known =
            next < sizeof expected / sizeof expected[0] && expected[next].line == lines;
        assert_notes((struct kx_json_notes){.utf8 = known ? expected[next].repairs : 0});
        if (known) {
            assert_text(device.name, expected[next].name);
            assert_text(device.common_name, expected[next].name);
            next++;
        }
    }
    assert_int_equal(lines, 150);
    assert_int_equal(next, sizeof expected / sizeof expected[0]);
    free(file.bytes);
}

/* --- results --- */

static void results(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kx_json_result result;
    } cases[] = {
        {"", KX_JSON_EMPTY},
        {" \t\r\n ", KX_JSON_EMPTY},
        {"[]", KX_JSON_NOT_OBJECT},
        {"[{\"key\":\"a\"}]", KX_JSON_NOT_OBJECT},
        {"\"text\"", KX_JSON_NOT_OBJECT},
        {" 5", KX_JSON_NOT_OBJECT},
        {"-5.5e3", KX_JSON_NOT_OBJECT},
        {"true", KX_JSON_NOT_OBJECT},
        {"null", KX_JSON_NOT_OBJECT},
        {"<html>", KX_JSON_SYNTAX},
        {"}", KX_JSON_SYNTAX},
        {"{", KX_JSON_SYNTAX},
        {"{\"key\"", KX_JSON_SYNTAX},
        {"{\"key\"}", KX_JSON_SYNTAX},
        {"{\"key\":}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\"", KX_JSON_SYNTAX},
        {"{\"key\":\"K", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\",}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\" \"mac_addr\":\"M\"}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\" \"M\"}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\"}}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\"} x", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\"}{}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\",\"other\":{\"a\":1}", KX_JSON_SYNTAX},
        {"{key:\"K\",\"mac_addr\":\"M\"}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\x01\",\"mac_addr\":\"M\"}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\n\",\"mac_addr\":\"M\"}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\\x\",\"mac_addr\":\"M\"}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\\u12g4\",\"mac_addr\":\"M\"}", KX_JSON_SYNTAX},
        {"{\"key\":tru,\"mac_addr\":\"M\"}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\",\"first_seen\":01}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\",\"first_seen\":1.}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\",\"first_seen\":+1}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\",\"altitude\":1e}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\",\"altitude\":NaN}", KX_JSON_SYNTAX},
        {"{\"key\":\"K\",\"mac_addr\":\"M\",\"geopoint\":[1 2]}", KX_JSON_SYNTAX},
        {"{}", KX_JSON_NO_KEY},
        {"{\"key\":\"K\"}", KX_JSON_NO_KEY},
        {"{\"mac_addr\":\"M\"}", KX_JSON_NO_KEY},
        {"{\"key\":\"\",\"mac_addr\":\"M\"}", KX_JSON_NO_KEY},
        {"{\"key\":\"K\",\"mac_addr\":\"\"}", KX_JSON_NO_KEY},
        {"{\"key\":0,\"mac_addr\":\"M\"}", KX_JSON_NO_KEY},
        {"{\"key\":\"K\",\"mac_addr\":\"M\"}", KX_JSON_OK},
        {" { \"key\" : \"K\" , \"mac_addr\" : \"M\" } \n", KX_JSON_OK},
        {"{\"Key\":\"\",\"key\":\"K\",\"mac_addr\":\"M\"}", KX_JSON_OK},
    };
    /* What lies behind a message must never complete or spoil it. */
    static const char paddings[] = {0, '}', ']', '"', ',', ':', '{', ' ', '1', '\\', '\xFF'};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t p = 0; p < sizeof paddings; p++) {
            const enum kx_json_result result =
                read_bytes(cases[i].text, strlen(cases[i].text), paddings[p]);
            if (result != cases[i].result)
                fail_msg("%s before 0x%02x gives %d, not %d", cases[i].text,
                         (unsigned char)paddings[p], result, cases[i].result);
        }
    }
}

/* Every way to cut a real frame short is a fault, and the parser lives on. */
static void truncated_frames(void **state)
{
    (void)state;
    const size_t length = sizeof access_point - 1;
    static const char paddings[] = {0, '}', '"'};
    for (size_t p = 0; p < sizeof paddings; p++) {
        for (size_t cut = 1; cut < length; cut++)
            assert_int_equal(read_bytes(access_point, cut, paddings[p]), KX_JSON_SYNTAX);
        assert_int_equal(read_bytes(access_point, length, paddings[p]), KX_JSON_OK);
    }
}

/* --- order --- */

static void another_order(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"fix\":3,\"geopoint\":[1.5,2.5],\"mac_addr\":\"M\","
                               "\"first_seen\":7,\"key\":\"K\",\"channel\":\"6\"}"),
                     KX_JSON_OK);
    assert_text(device.key, "K");
    assert_text(device.mac_addr, "M");
    assert_text(device.channel, "6");
    assert_int_equal(device.has, 1u << KX_J_FIX | 1u << KX_J_GEOPOINT | 1u << KX_J_FIRST_SEEN);
    assert_int_equal(device.first_seen, 7);
    assert_int_equal(device.fix, 3);
    assert_double(device.longitude, 1.5);
    assert_double(device.latitude, 2.5);
    assert_notes((struct kx_json_notes){.reordered = true});
}

/* Keys that are not ours, and absent ones, are no other order. */
static void strangers_and_gaps(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"key\":\"K\",\"mac_addr\":\"M\",\"channel\":\"6\",\"fix\":2,"
                               "\"extra\":{\"key\":\"wrong\",\"fix\":9},\"more\":[1,[2]]}"),
                     KX_JSON_OK);
    assert_text(device.key, "K");
    assert_text(device.channel, "6");
    assert_int_equal(device.fix, 2);
    assert_notes((struct kx_json_notes){0});
    /* Names that only resemble ours. */
    assert_int_equal(read_text("{\"keys\":\"no\",\"key\":\"K\",\"ke\":\"no\",\"KEY\":\"no\","
                               "\"\":\"no\",\"mac_add\":\"no\",\"mac_addr\":\"M\","
                               "\"manufacturer_\":\"no\",\"k\\u0065y\":\"no\"}"),
                     KX_JSON_OK);
    assert_text(device.key, "K");
    assert_text(device.mac_addr, "M");
    assert_null(device.manufacturer.data);
    assert_notes((struct kx_json_notes){0});
}

static void the_first_of_equal_keys(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"key\":\"K\",\"key\":\"no\",\"mac_addr\":\"M\",\"fix\":2,"
                               "\"mac_addr\":\"no\",\"fix\":[]}"),
                     KX_JSON_OK);
    assert_text(device.key, "K");
    assert_text(device.mac_addr, "M");
    assert_int_equal(device.fix, 2);
    assert_int_equal(notes.wrong_type, 0);
    /* Also when the first was of the wrong type. */
    assert_int_equal(read_fields("\"fix\":\"x\",\"fix\":3"), KX_JSON_OK);
    assert_false(has(KX_J_FIX));
    assert_int_equal(notes.wrong_type, 1);
}

/* --- types --- */

static void texts(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *text; /* NULL = absent */
        uint32_t wrong_type;
    } cases[] = {
        {"\"x\"", "x", 0},    {"\"\"", "", 0},
        {"0", NULL, 0},       {"null", NULL, 0},
        {" 0 ", NULL, 0},     {"6", NULL, 1},
        {"-0", NULL, 1},      {"0.0", NULL, 1},
        {"1e999", NULL, 1},   {"true", NULL, 1},
        {"false", NULL, 1},   {"[]", NULL, 1},
        {"[\"x\"]", NULL, 1}, {"{\"a\":\"x\"}", NULL, 1},
        {" \"y\" ", "y", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[64];
        snprintf(fields, sizeof fields, "\"channel\":%s,\"fix\":2", cases[i].value);
        assert_int_equal(read_fields(fields), KX_JSON_OK);
        if (cases[i].text != NULL)
            assert_text(device.channel, cases[i].text);
        else
            assert_null(device.channel.data);
        assert_int_equal(device.fix, 2); /* what follows is found in any case */
        assert_notes((struct kx_json_notes){.wrong_type = cases[i].wrong_type});
    }
}

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool has;
        int64_t integer;
        struct kx_json_notes notes;
    } cases[] = {
        {"0", true, 0, {0}},
        {"-0", true, 0, {0}},
        {"-81", true, -81, {0}},
        {"9223372036854775807", true, INT64_MAX, {0}},
        {"-9223372036854775808", true, INT64_MIN, {0}},
        {"9223372036854775808", false, 0, {.range = 1}},
        {"18446744073709551616", false, 0, {.range = 1}},
        {"-9223372036854775809", false, 0, {.range = 1}},
        {"6.0", true, 6, {0}},
        {"-6.000000", true, -6, {0}},
        {"1e3", true, 1000, {0}},
        {"9007199254740992.0", true, 9007199254740992, {0}},
        {"1e16", false, 0, {.range = 1}},
        {"1e400", false, 0, {.range = 1}},
        {"-1e400", false, 0, {.range = 1}},
        {"6.5", false, 0, {.wrong_type = 1}},
        {"1e-400", true, 0, {0}},
        {"\"6\"", false, 0, {.wrong_type = 1}},
        {"true", false, 0, {.wrong_type = 1}},
        {"null", false, 0, {0}},
        {"[6]", false, 0, {.wrong_type = 1}},
        {"{\"fix\":9}", false, 0, {.wrong_type = 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[96];
        snprintf(fields, sizeof fields, "\"frequency\":%s,\"fix\":2", cases[i].value);
        assert_int_equal(read_fields(fields), KX_JSON_OK);
        if (has(KX_J_FREQUENCY) != cases[i].has || device.frequency != cases[i].integer)
            fail_msg("%s is %lld", cases[i].value, (long long)device.frequency);
        assert_true(has(KX_J_FIX));
        assert_notes(cases[i].notes);
    }
}

static void doubles(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool has;
        double number;
        struct kx_json_notes notes;
    } cases[] = {
        {"0", true, 0, {0}},
        {"12", true, 12, {0}},
        {"-10.500000", true, -10.5, {0}},
        {"1.7976931348623157e308", true, DBL_MAX, {0}},
        {"1.7976931348623159e308", false, 0, {.range = 1}},
        {"1e400", false, 0, {.range = 1}},
        {"-1e400", false, 0, {.range = 1}},
        {"1e-400", true, 0, {0}},
        {"123456789012345678901234567890", true, 123456789012345678901234567890.0, {0}},
        {"\"12\"", false, 0, {.wrong_type = 1}},
        {"[12]", false, 0, {.wrong_type = 1}},
        {"null", false, 0, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[96];
        snprintf(fields, sizeof fields, "\"altitude\":%s,\"fix\":2", cases[i].value);
        assert_int_equal(read_fields(fields), KX_JSON_OK);
        assert_int_equal(has(KX_J_ALTITUDE), cases[i].has);
        assert_double(device.altitude, cases[i].number);
        assert_true(has(KX_J_FIX));
        assert_notes(cases[i].notes);
    }
}

static void geopoints(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool has;
        struct kx_json_notes notes;
    } cases[] = {
        {"[-74.006, 40.7128]", true, {0}},
        {"0", false, {0}},
        {"null", false, {0}},
        {"[]", false, {.wrong_type = 1}},
        {"[-74.006]", false, {.wrong_type = 1}},
        {"[-74.006, 40.7128, 10]", false, {.wrong_type = 1}},
        {"[\"-74.006\", 40.7128]", false, {.wrong_type = 1}},
        {"[-74.006, [40.7128]]", false, {.wrong_type = 1}},
        {"[-74.006, null]", false, {.wrong_type = 1}},
        {"[1e400, 40.7128]", false, {.range = 1}},
        {"{\"lon\":1,\"lat\":2}", false, {.wrong_type = 1}},
        {"\"-74.006, 40.7128\"", false, {.wrong_type = 1}},
        {"1", false, {.wrong_type = 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[96];
        snprintf(fields, sizeof fields, "\"geopoint\":%s,\"fix\":2", cases[i].value);
        assert_int_equal(read_fields(fields), KX_JSON_OK);
        if (has(KX_J_GEOPOINT) != cases[i].has)
            fail_msg("%s", cases[i].value);
        assert_double(device.longitude, cases[i].has ? -74.006 : 0);
        assert_double(device.latitude, cases[i].has ? 40.7128 : 0);
        assert_true(has(KX_J_FIX));
        assert_notes(cases[i].notes);
    }
}

/* --- repairs --- */

#define FFFD "\xEF\xBF\xBD"

static void escapes(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *text;
        struct kx_json_notes notes;
    } cases[] = {
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", {0}},
        {"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00", "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", {0}},
        {"a\\\"", "a\"", {0}},
        {"\\\"", "\"", {0}},
        {"\\u0000", FFFD, {.nul = 1}},
        {"a\\u0000b\\u0000\\u00001", "a" FFFD "b" FFFD FFFD "1", {.nul = 3}},
        {"\\ud83d", FFFD, {.surrogate = 1}},
        {"\\ude00", FFFD, {.surrogate = 1}},
        {"\\ud83dx", FFFD "x", {.surrogate = 1}},
        {"\\ud83d\\n", FFFD "\n", {.surrogate = 1}},
        {"\\ud83d\\u0041", FFFD "A", {.surrogate = 1}},
        {"\\ud83d\\ud83d\\ude00", FFFD "\xF0\x9F\x98\x80", {.surrogate = 1}},
        {"\\ude00\\ud83d", FFFD FFFD, {.surrogate = 2}},
        {"\\ude00\\ude01", FFFD FFFD, {.surrogate = 2}},
        {"\\ud83d\\u0000", FFFD FFFD, {.nul = 1, .surrogate = 1}},
        {"\\ud83d\\\\ude00", FFFD "\\ude00", {.surrogate = 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[256];
        snprintf(fields, sizeof fields, "\"name\":\"%s\",\"common_name\":\"%s\",\"crypt\":\"c\"",
                 cases[i].value, cases[i].value);
        assert_int_equal(read_fields(fields), KX_JSON_OK);
        assert_text(device.name, cases[i].text);
        assert_text(device.common_name, cases[i].text);
        assert_text(device.crypt, "c");
        assert_int_equal(notes.nul, 2 * cases[i].notes.nul);
        assert_int_equal(notes.surrogate, 2 * cases[i].notes.surrogate);
        assert_int_equal(notes.wrong_type, 0);
    }
    static const char *const bad[] = {"\\",      "\\x",          "\\u",           "\\u12",
                                      "\\u123g", "\\ud83d\\u12", "\\ud83d\\u12g4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char fields[64];
        snprintf(fields, sizeof fields, "\"name\":\"%s\",\"crypt\":\"c\"", bad[i]);
        assert_int_equal(read_fields(fields), KX_JSON_SYNTAX);
    }
}

static void ill_formed_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *text;
        uint32_t repairs;
    } cases[] = {
        {"caf\xC3\xA9", "caf\xC3\xA9", 0},
        {"\xC0\x80", FFFD FFFD, 2},
        {"\xF5\x80\x80\x80", FFFD FFFD FFFD FFFD, 4},
        {"\xED\xA0\x80", FFFD FFFD FFFD, 3},
        {"\xE2\x82", FFFD, 1},
        {"\xFF\\ud83d", FFFD FFFD, 1},
        {"x\xC3", "x" FFFD, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[256];
        snprintf(fields, sizeof fields, "\"name\":\"%s\",\"crypt\":\"c\"", cases[i].value);
        assert_int_equal(read_fields(fields), KX_JSON_OK);
        assert_text(device.name, cases[i].text);
        assert_text(device.crypt, "c");
        assert_int_equal(notes.utf8, cases[i].repairs);
    }
    /* Each byte that is none of ASCII's, alone in a name. */
    for (unsigned byte = 0x80; byte <= 0xFF; byte++) {
        char fields[64];
        snprintf(fields, sizeof fields, "\"name\":\"<%c>\"", (int)byte);
        assert_int_equal(read_fields(fields), KX_JSON_OK);
        assert_text(device.name, "<" FFFD ">");
        assert_int_equal(notes.utf8, 1);
    }
    /* Ill-formed bytes outside a string are no name: no repair makes JSON of them. */
    assert_int_equal(read_text("{\"key\":\"K\",\xFF\"mac_addr\":\"M\"}"), KX_JSON_SYNTAX);
    /* And the next message is read as if nothing had been. */
    assert_int_equal(read_text(access_point), KX_JSON_OK);
    assert_notes((struct kx_json_notes){0});
}

/* --- size --- */

/* A name of 8 MiB, plain, with an escape, and ill-formed: read whole, and the memory is not kept
 * for ever (the small messages in between let it go). */
static void eight_mebibytes(void **state)
{
    (void)state;
    const size_t size = 8 << 20;
    static const char head[] = "{\"key\":\"K\",\"mac_addr\":\"M\",\"name\":\"";
    static const char tail[] = "\",\"crypt\":\"c\"}";
    char *text = malloc(size + sizeof head + sizeof tail + 16);
    assert_non_null(text);
    static const char *const ends[] = {"", "\\n", "\\ud83d", "\xFF"};
    static const size_t lengths[] = {0, 1, 3, 3};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char *to = text;
        to += sprintf(to, "%s", head);
        memset(to, 'x', size);
        to += size;
        to += sprintf(to, "%s%s", ends[i], tail);
        assert_int_equal(read_bytes(text, (size_t)(to - text), '}'), KX_JSON_OK);
        assert_int_equal(device.name.length, size + lengths[i]);
        for (size_t at = 0; at < size; at++)
            assert_true(device.name.data[at] == 'x');
        assert_text(device.crypt, "c");
        assert_int_equal(read_text(access_point), KX_JSON_OK);
        assert_text(device.name, "net-54");
    }
    free(text);
}

/* Values that nobody asked for are passed by without recursion, however deep. */
static void deep_strangers(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc(2 * DEPTH + 128);
    assert_non_null(text);
    char *to = text + sprintf(text, "{\"key\":\"K\",\"mac_addr\":\"M\",\"other\":");
    memset(to, '[', DEPTH);
    memset(to + DEPTH, ']', DEPTH);
    to += 2 * DEPTH;
    to += sprintf(to, ",\"fix\":2}");
    assert_int_equal(read_bytes(text, (size_t)(to - text), ']'), KX_JSON_OK);
    assert_int_equal(device.fix, 2);
    free(text);
}

static void names_its_kernel(void **state)
{
    (void)state;
    const char *kernel = kx_json_kernel();
    assert_non_null(kernel);
    assert_true(strlen(kernel) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_field_by_field),
        cmocka_unit_test(a_capture),
        cmocka_unit_test(hostile_names),
        cmocka_unit_test(results),
        cmocka_unit_test(truncated_frames),
        cmocka_unit_test(another_order),
        cmocka_unit_test(strangers_and_gaps),
        cmocka_unit_test(the_first_of_equal_keys),
        cmocka_unit_test(texts),
        cmocka_unit_test(integers),
        cmocka_unit_test(doubles),
        cmocka_unit_test(geopoints),
        cmocka_unit_test(escapes),
        cmocka_unit_test(ill_formed_utf8),
        cmocka_unit_test(eight_mebibytes),
        cmocka_unit_test(deep_strangers),
        cmocka_unit_test(names_its_kernel),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
