/*
 * Records in, line protocol out: every mode's bytes, and what no golden file can show.
 */
#include "encode/line.h"
#include "golden.h"
#include <math.h>

enum { SEEN = 1737131445 };

static void encode_all(struct kx_buf *out, const struct kx_sink_config *config)
{
    struct kx_encode_line line;
    struct box box;
    box_init(&box);
    golden_records(&box);
    kx_encode_line_init(&line, config, (1ull << KX_FIELDS) - 1);
    for (uint32_t i = 0; i < box.batch.end; i++) {
        const struct kx_record *record = kx_batch_record(&box.batch, i);
        if (record->kind == KX_KIND_EVENT)
            kx_encode_line_event(&line, out, kx_record_event(record));
        else
            kx_encode_line_device(&line, out, kx_record_device(record), UINT64_MAX);
    }
    box_fini(&box);
}

static void compare(const char *name, const struct kx_sink_config *config)
{
    struct kx_buf out;
    kx_buf_init(&out, GOLDEN_BYTES_MAX);
    encode_all(&out, config);
    golden_compare(name, &out);
    kx_buf_fini(&out);
}

static void test_line(void **state)
{
    (void)state;
    compare("line.txt", &(struct kx_sink_config){0});
}

static void test_line_of_the_script(void **state)
{
    (void)state;
    compare("line_script.txt", &(struct kx_sink_config){.compat = KX_COMPAT_SCRIPT});
}

static void test_mac_as_a_field(void **state)
{
    (void)state;
    compare("line_mac_field.txt",
            &(struct kx_sink_config){
                .mac_case = KX_MAC_LOWER,
                .influxdb = {.mac_as = KX_INFLUX_MAC_FIELD, .precision = KX_INFLUX_US}});
}

static void test_mac_as_both_by_time_received(void **state)
{
    (void)state;
    compare("line_mac_both.txt",
            &(struct kx_sink_config){.influxdb = {.mac_as = KX_INFLUX_MAC_BOTH,
                                                  .timestamp = KX_INFLUX_RECEIVED,
                                                  .precision = KX_INFLUX_MS}});
}

/* The line of one device. */
static void expect_line(const struct device_spec *spec,
                        const struct kx_sink_config *config,
                        uint64_t fields,
                        uint64_t changed,
                        const char *wanted)
{
    struct kx_encode_line line;
    struct kx_buf out;
    struct box box;
    box_init(&box);
    box_device(&box, spec);
    kx_buf_init(&out, GOLDEN_BYTES_MAX);
    kx_encode_line_init(&line, config, fields);
    kx_encode_line_device(&line, &out, kx_record_device(kx_batch_record(&box.batch, 0)), changed);
    kx_buf_byte(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.data, wanted);
    kx_buf_fini(&out);
    box_fini(&box);
}

static const struct kx_sink_config plain = {0};
#define ALL ((1ull << KX_FIELDS) - 1)
#define BIT(field) (1ull << (field))
#define MAC "02:00:00:00:00:01"
#define TIME " 1737131445000000000\n"

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *tag, *field;
    } cases[] = {
        {"plain", "plain", "plain"},
        {"exactly8", "exactly8", "exactly8"},
        {"exactly8,and more", "exactly8\\,and\\ more", "exactly8,and more"},
        {"a,b=c d", "a\\,b\\=c\\ d", "a,b=c d"},
        {" ", "\\ ", " "},
        {"\\", "_", "\\\\"},
        {"ends in \\", "ends\\ in\\ _", "ends in \\\\"},
        {"a\\,b", "a_\\,b", "a\\\\,b"},
        {"a\nadmin,x=1 y=1", "a_admin\\,x\\=1\\ y\\=1", "a_admin,x=1 y=1"},
        {"\r\t\x01\x1f\x7f|", "_____|", "_____|"},
        {"\"quoted\"", "\"quoted\"", "\\\"quoted\\\""},
        {"1234567\"", "1234567\"", "1234567\\\""},
        {"caf\xc3\xa9 \xe2\x80\xa8 \xc2\x85", "caf\xc3\xa9\\ \xe2\x80\xa8\\ \xc2\x85",
         "caf\xc3\xa9 \xe2\x80\xa8 \xc2\x85"},
        {"12345678\x80", "12345678\x80", "12345678\x80"}, /* no byte is taken for a control */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char wanted[512];
        snprintf(wanted, sizeof wanted,
                 "device_metrics,mac_addr=" MAC ",manufacturer=%s,source=kitchen name=\"%s\"" TIME,
                 cases[i].tag, cases[i].field);
        expect_line(&(struct device_spec){.mac = MAC,
                                          .name = cases[i].text,
                                          .manufacturer = cases[i].text,
                                          .last_seen = SEEN},
                    &plain, ALL & ~BIT(KX_F_LAST_SEEN), ALL, wanted);
    }
}

/* Every byte at every place of a word, against the slow rule. */
static void test_each_byte_at_each_place(void **state)
{
    (void)state;
    for (unsigned byte = 1; byte < 256; byte++)
        for (unsigned at = 0; at < 9; at++) {
            char text[] = "xxxxxxxxx", wanted[256], tag[4] = "", field[4] = "";
            char c = (char)byte;
            bool control = byte < 0x20 || byte == 0x7f;
            text[at] = c;
            snprintf(tag, sizeof tag, "%s%c", strchr(",= ", c) != NULL ? "\\" : "",
                     control || c == '\\' ? '_' : c);
            snprintf(field, sizeof field, "%s%c", strchr("\"\\", c) != NULL ? "\\" : "",
                     control ? '_' : c);
            snprintf(wanted, sizeof wanted,
                     "device_metrics,mac_addr=" MAC
                     ",manufacturer=%.*s%s%s,source=kitchen name=\"%.*s%s%s\"" TIME,
                     (int)at, text, tag, text + at + 1, (int)at, text, field, text + at + 1);
            expect_line(
                &(struct device_spec){
                    .mac = MAC, .name = text, .manufacturer = text, .last_seen = SEEN},
                &plain, ALL & ~BIT(KX_F_LAST_SEEN), ALL, wanted);
        }
}

/* A line has a field, whatever is known, wanted or changed. */
static void test_at_least_one_field(void **state)
{
    (void)state;
    const struct device_spec known = {
        .mac = MAC, .phy = "X", .last_seen = SEEN, .packets = 7, .signal = -40};
    expect_line(&known, &plain, ALL, BIT(KX_F_TOTAL_PACKETS),
                "device_metrics,mac_addr=" MAC ",phy_type=X,source=kitchen total_packets=7i" TIME);
    /* Only a tag changed: the point would be empty, so it is whole. */
    expect_line(&known, &plain, ALL, BIT(KX_F_PHY_TYPE),
                "device_metrics,mac_addr=" MAC ",phy_type=X,source=kitchen "
                "last_seen=1737131445i,total_packets=7i,signal_dbm=-40i" TIME);
    /* What changed has become unknown. */
    expect_line(&known, &plain, ALL, BIT(KX_F_NOISE_DBM),
                "device_metrics,mac_addr=" MAC ",phy_type=X,source=kitchen "
                "last_seen=1737131445i,total_packets=7i,signal_dbm=-40i" TIME);
    expect_line(&known, &plain, BIT(KX_F_MAC_ADDR) | BIT(KX_F_NAME), ALL,
                "device_metrics,mac_addr=" MAC " last_seen=1737131445i" TIME);
    expect_line(&(struct device_spec){.mac = MAC, .received_ns = 5000000001}, &plain,
                BIT(KX_F_MAC_ADDR), ALL,
                "device_metrics,mac_addr=" MAC " last_seen=5i 5000000001\n");
    /* Infinities are unknown, alone or not. */
    const double values[] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < 3; i++)
        expect_line(
            &(struct device_spec){
                .mac = MAC, .last_seen = SEEN, .location = true, .latitude = values[i]},
            &plain, BIT(KX_F_LATITUDE) | BIT(KX_F_LONGITUDE), ALL,
            "device_metrics,mac_addr=" MAC " longitude=0" TIME);
    expect_line(
        &(struct device_spec){
            .mac = MAC, .last_seen = SEEN, .location = true, .latitude = INFINITY},
        &plain, BIT(KX_F_LATITUDE), ALL,
        "device_metrics,mac_addr=" MAC " last_seen=1737131445i" TIME);
}

static int64_t time_of(const struct kx_sink_config *config,
                       const char *mac,
                       const char *server,
                       int64_t last_seen,
                       int64_t received_ns)
{
    struct kx_encode_line line;
    struct box box;
    box_init(&box);
    box_device(&box, &(struct device_spec){.mac = mac,
                                           .server_uuid = server,
                                           .last_seen = last_seen,
                                           .received_ns = received_ns});
    kx_encode_line_init(&line, config, ALL);
    int64_t time_ns = kx_encode_line_time_ns(&line, kx_batch_record(&box.batch, 0));
    box_fini(&box);
    return time_ns;
}

/* Without the MAC as a tag each device has its own place in a second, the same at any time. */
static void test_places(void **state)
{
    (void)state;
    const int64_t second = 1000000000;
    const struct kx_sink_config field = {.influxdb = {.mac_as = KX_INFLUX_MAC_FIELD}};
    int64_t a = time_of(&field, MAC, "u", SEEN, 1);
    int64_t b = time_of(&field, "02:00:00:00:00:02", "u", SEEN, 1);
    int64_t c = time_of(&field, MAC, "v", SEEN, 1);
    assert_true(a != b && a != c && b != c);
    assert_true(a / second == SEEN && b / second == SEEN && c / second == SEEN);
    assert_int_equal(a % second, 666523594); /* for good: points written yesterday have it */
    assert_int_equal(time_of(&field, MAC, "u", SEEN + 10, 2) - a, 10 * second);
    assert_int_equal(time_of(&plain, MAC, "u", SEEN, 1), SEEN * second);
    /* Times that ns cannot hold are the receive time's. */
    assert_int_equal(time_of(&plain, MAC, "u", INT64_MAX, 77), 77);
    assert_int_equal(time_of(&plain, MAC, "u", INT64_MIN, 77), 77);
    assert_int_equal(time_of(&plain, MAC, "u", 9223372036, 77), 77);
    assert_true(time_of(&field, MAC, "u", -5, 1) / second == -4); /* within second -5 */
    const struct kx_sink_config received = {.influxdb = {.timestamp = KX_INFLUX_RECEIVED}};
    assert_int_equal(time_of(&received, MAC, "u", SEEN, 123), 123);
}

/* Without room the buffer fails and holds whole lines. */
static void test_no_room(void **state)
{
    (void)state;
    struct kx_buf whole;
    kx_buf_init(&whole, GOLDEN_BYTES_MAX);
    encode_all(&whole, &plain);
    for (size_t limit = 0; limit < 3 * whole.length; limit += 101) {
        struct kx_buf out;
        kx_buf_init(&out, limit);
        encode_all(&out, &plain);
        assert_true(out.length <= limit);
        assert_true(out.failed || out.length == whole.length);
        if (out.length > 0) {
            assert_memory_equal(out.data, whole.data, out.length);
            assert_int_equal(out.data[out.length - 1], '\n');
        }
        kx_buf_fini(&out);
    }
    kx_buf_fini(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_line_of_the_script),
        cmocka_unit_test(test_mac_as_a_field),
        cmocka_unit_test(test_mac_as_both_by_time_received),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_each_byte_at_each_place),
        cmocka_unit_test(test_at_least_one_field),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
