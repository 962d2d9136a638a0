/*
 * The field list: the table of Kismet's names is written down here once more, by hand.
 */
#include "ingest/fields.h"
#include "messages.h"

/* Without the location's three. */
#define COMMON                                                                                     \
    "[[\"kismet.device.base.key\",\"key\"],"                                                       \
    "[\"kismet.server.uuid\",\"server_uuid\"],"                                                    \
    "[\"kismet.device.base.macaddr\",\"mac_addr\"],"                                               \
    "[\"kismet.device.base.name\",\"name\"],"                                                      \
    "[\"kismet.device.base.commonname\",\"common_name\"],"                                         \
    "[\"kismet.device.base.username\",\"username\"],"                                              \
    "[\"kismet.device.base.phyname\",\"phy_type\"],"                                               \
    "[\"kismet.device.base.manuf\",\"manufacturer\"],"                                             \
    "[\"kismet.device.base.type\",\"device_type\"],"                                               \
    "[\"kismet.device.base.crypt\",\"crypt\"],"                                                    \
    "[\"kismet.device.base.first_time\",\"first_seen\"],"                                          \
    "[\"kismet.device.base.last_time\",\"last_seen\"],"                                            \
    "[\"kismet.device.base.mod_time\",\"mod_time\"],"                                              \
    "[\"kismet.device.base.channel\",\"channel\"],"                                                \
    "[\"kismet.device.base.frequency\",\"frequency\"],"                                            \
    "[\"kismet.device.base.packets.total\",\"total_packets\"],"                                    \
    "[\"kismet.device.base.packets.tx_total\",\"tx_packets\"],"                                    \
    "[\"kismet.device.base.packets.rx_total\",\"rx_packets\"],"                                    \
    "[\"kismet.device.base.datasize\",\"data_size\"],"                                             \
    "[\"kismet.device.base.num_alerts\",\"num_alerts\"],"                                          \
    "[\"kismet.device.base.signal/kismet.common.signal.last_signal\",\"signal_dbm\"],"             \
    "[\"kismet.device.base.signal/kismet.common.signal.last_noise\",\"noise_dbm\"],"               \
    "[\"kismet.device.base.signal/kismet.common.signal.type\",\"signal_type\"]"

#define LOCATION(path)                                                                             \
    ",[\"" path "/kismet.common.location.geopoint\",\"geopoint\"]"                                 \
    ",[\"" path "/kismet.common.location.alt\",\"altitude\"]"                                      \
    ",[\"" path "/kismet.common.location.fix\",\"fix\"]"

#define AVERAGE LOCATION("kismet.device.base.location/kismet.common.location.avg_loc")
#define LAST LOCATION("kismet.device.base.location/kismet.common.location.last")
#define PEAK LOCATION("kismet.device.base.signal/kismet.common.signal.peak_loc")

static void check(const struct kx_buf *buf, const char *expected)
{
    assert_false(buf->failed);
    assert_int_equal(buf->length, strlen(expected));
    assert_memory_equal(buf->data, expected, buf->length);
}

static void devices_by_location(void **state)
{
    (void)state;
    static const char *const expected[] = {
        [KX_LOCATION_AVG] = COMMON AVERAGE "]",
        [KX_LOCATION_LAST] = COMMON LAST "]",
        [KX_LOCATION_PEAK] = COMMON PEAK "]",
    };
    struct kx_buf buf;
    kx_buf_init(&buf, 1 << 16);
    for (enum kx_location location = KX_LOCATION_AVG; location <= KX_LOCATION_PEAK; location++) {
        kx_buf_clear(&buf);
        kx_fields_json(&buf, location);
        check(&buf, expected[location]);
    }
    kx_buf_fini(&buf);
}

static void appends_behind_what_is_there(void **state)
{
    (void)state;
    struct kx_buf buf;
    kx_buf_init(&buf, 1 << 16);
    kx_buf_text(&buf, "x");
    kx_fields_json(&buf, KX_LOCATION_LAST);
    check(&buf, "x" COMMON LAST "]");
    kx_buf_fini(&buf);
}

static void topics(void **state)
{
    (void)state;
    struct kx_buf buf;
    kx_buf_init(&buf, 1 << 16);
    assert_true(kx_fields_topic_json(&buf, "NEW_DEVICE", KX_LOCATION_AVG));
    check(&buf, COMMON AVERAGE "]");

    static const char *const ssid_topics[] = {"DOT11_ADVERTISED_SSID", "DOT11_PROBED_SSID",
                                              "DOT11_RESPONSE_SSID", "DOT11_WPA_HANDSHAKE"};
    for (size_t i = 0; i < sizeof ssid_topics / sizeof ssid_topics[0]; i++) {
        kx_buf_clear(&buf);
        assert_true(kx_fields_topic_json(&buf, ssid_topics[i], KX_LOCATION_PEAK));
        check(&buf, COMMON PEAK
              ",\"dot11.advertisedssid.ssid\",\"dot11.advertisedssid.channel\""
              ",\"dot11.advertisedssid.crypt_string\",\"dot11.advertisedssid.first_time\""
              ",\"dot11.probedssid.ssid\",\"dot11.probedssid.crypt_string\""
              ",\"dot11.probedssid.first_time\"]");
    }

    kx_buf_clear(&buf);
    static const char *const whole[] = {"ALERT",       "TIMESTAMP", "NEW_DATASOURCE",
                                        "NEW_DEVICES", "DOT11",     ""};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        assert_false(kx_fields_topic_json(&buf, whole[i], KX_LOCATION_AVG));
    check(&buf, "");
    kx_buf_fini(&buf);
}

static void a_source_adds_its_own(void **state)
{
    (void)state;
    char path[] = "dot11.device/dot11.device.last_bssid", as[] = "bssid", other[] = "kismet.x";
    struct kx_extra_field items[] = {{.path = path, .as = as}, {.path = other, .as = as}};
    struct kx_source_config source = {.extra = {items, 2}, .location = KX_LOCATION_LAST};
    struct kx_buf ours, all;
    kx_buf_init(&ours, 1 << 16);
    kx_buf_init(&all, 1 << 16);
    kx_fields_json(&ours, KX_LOCATION_LAST);
    kx_fields_source_json(&all, &source);
    assert_memory_equal(all.data, ours.data, ours.length - 1);
    kx_buf_byte(&all, '\0');
    assert_string_equal(all.data + ours.length - 1,
                        ",[\"dot11.device/dot11.device.last_bssid\",\"extra_0\"],"
                        "[\"kismet.x\",\"extra_1\"]]");
    source.extra.count = 0;
    kx_buf_clear(&all);
    kx_fields_source_json(&all, &source);
    assert_int_equal(all.length, ours.length);
    kx_buf_fini(&ours);
    kx_buf_fini(&all);
}

static void a_full_buffer_fails(void **state)
{
    (void)state;
    struct kx_buf buf;
    kx_buf_init(&buf, 100);
    kx_fields_json(&buf, KX_LOCATION_AVG);
    assert_true(buf.failed);
    assert_true(buf.length <= 100);
    kx_buf_fini(&buf);
}

/* What is asked for is what the parser reads in order: a device with each alias, in the list's
 * order, leaves none absent. */
static void every_alias_is_read(void **state)
{
    (void)state;
    static const char device[] =
        "{\"key\":\"k\",\"server_uuid\":\"u\",\"mac_addr\":\"m\",\"name\":\"n\","
        "\"common_name\":\"c\",\"username\":\"w\",\"phy_type\":\"p\",\"manufacturer\":\"f\","
        "\"device_type\":\"t\",\"crypt\":\"y\",\"first_seen\":1,\"last_seen\":2,\"mod_time\":3,"
        "\"channel\":\"6\",\"frequency\":4,\"total_packets\":5,\"tx_packets\":6,\"rx_packets\":7,"
        "\"data_size\":8,\"num_alerts\":9,\"signal_dbm\":-10,\"noise_dbm\":-11,"
        "\"signal_type\":\"dbm\",\"geopoint\":[1.5,2.5],\"altitude\":3.5,\"fix\":3}";
    struct kx_buf list;
    kx_buf_init(&list, 1 << 16);
    kx_fields_json(&list, KX_LOCATION_AVG);
    kx_buf_byte(&list, '\0');
    /* Each key of the device stands in the list, behind the one before it. */
    const char *in_list = list.data;
    size_t keys = 0;
    for (const char *at = device; (at = strpbrk(at, "{,")) != NULL; at++) {
        if (at[1] != '"')
            continue;
        const char *end = strchr(at + 2, '"');
        char alias[64];
        snprintf(alias, sizeof alias, ",\"%.*s\"]", (int)(end - at - 2), at + 2);
        in_list = strstr(in_list, alias);
        assert_non_null(in_list);
        keys++;
    }
    assert_int_equal(keys, 26);
    kx_buf_fini(&list);

    struct kx_json *json = kx_json_create();
    assert_non_null(json);
    char *message = message_copy(device, sizeof device - 1, 0);
    struct kx_json_device read;
    struct kx_json_notes notes;
    assert_int_equal(kx_json_device(json, message, sizeof device - 1, &read, &notes), KX_JSON_OK);
    assert_false(notes.reordered);
    const struct kx_json_text *const texts[] = {
        &read.key,         &read.server_uuid, &read.mac_addr, &read.name,
        &read.common_name, &read.username,    &read.phy_type, &read.manufacturer,
        &read.device_type, &read.crypt,       &read.channel,  &read.signal_type,
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_true(texts[i]->length > 0);
    assert_int_equal(read.has, (2u << KX_J_GEOPOINT) - 1);
    free(message);
    kx_json_destroy(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_by_location),
        cmocka_unit_test(appends_behind_what_is_there),
        cmocka_unit_test(topics),
        cmocka_unit_test(a_source_adds_its_own),
        cmocka_unit_test(a_full_buffer_fails),
        cmocka_unit_test(every_alias_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
