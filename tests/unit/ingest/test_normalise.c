/*
 * The normaliser: what a device's fields become. Its times are test_normalise_time.c.
 */
#include "normalise_fixture.h"

#include <math.h>

enum { ANY_FIX = 2, FIX = 3 };
#define BEYOND 1e-9 /* degrees */

static uint64_t bits(unsigned count, const enum kx_field *fields)
{
    uint64_t present = 0;
    for (unsigned i = 0; i < count; i++)
        present |= (uint64_t)1 << fields[i];
    return present;
}

static void bare_device_is_nearly_all_absent(void **state)
{
    (void)state;
    static const enum kx_field expected[] = {KX_F_TIMESTAMP, KX_F_MAC_ADDR, KX_F_SOURCE,
                                             KX_F_SERVER_UUID, KX_F_DEVICE_KEY};
    struct kx_json_device in = bare_device();
    const struct kx_device *device = normalise_alone(&in);
    assert_true(device->head.present == bits(5, expected));
    assert_int_equal(device->head.source, 3);
    assert_int_equal(device->head.device_id, 5);
    assert_int_equal(device->head.generation, 9);
    assert_int_equal(device->head.sequence, 77);
    assert_true(device->head.received_ns == NOW_S * S);
    assert_int_equal(device->mod_time, 0);
    assert_true(device->mac_bits == 0xb827eb000028);
    assert_field(device, KX_F_SOURCE, "kitchen");
    assert_field(device, KX_F_DEVICE_KEY, KEY);
    assert_int_equal(notes.range, 0);
    assert_int_equal(notes.text_cut, 0);
    assert_false(notes.clock_ahead);
    assert_false(notes.new_life);
}

/* Numbers without their bit are not looked at. */
static void values_without_their_bit_are_absent(void **state)
{
    (void)state;
    struct kx_json_device in = bare_device();
    const struct kx_device *device = normalise_alone(&in);
    uint64_t before = device->head.present;
    in.first_seen = in.last_seen = in.mod_time = in.frequency = in.total_packets = 5;
    in.tx_packets = in.rx_packets = in.data_size = in.num_alerts = 5;
    in.signal_dbm = in.noise_dbm = -5;
    in.fix = FIX;
    in.altitude = in.longitude = in.latitude = 5;
    device = normalise_alone(&in);
    assert_true(device->head.present == before);
    assert_int_equal(device->mod_time, 0);
}

static void full_device_keeps_everything(void **state)
{
    (void)state;
    struct kx_json_device in = {
        .has = (1u << (KX_J_GEOPOINT + 1)) - 1,
        .key = text(KEY),
        .server_uuid = text("other-uuid"),
        .mac_addr = text("ba:27:eb:00:00:28"),
        .name = text("kettle"),
        .common_name = text("common"),
        .username = text("Ann"),
        .phy_type = text("IEEE802.11"),
        .manufacturer = text("Raspberry Pi"),
        .device_type = text("Wi-Fi AP"),
        .crypt = text("WPA2"),
        .channel = text("149"),
        .signal_type = text("dbm"),
        .first_seen = NOW_S - 100,
        .last_seen = NOW_S - 1,
        .mod_time = NOW_S + 7,
        .frequency = 5745000,
        .total_packets = 9,
        .tx_packets = 5,
        .rx_packets = 4,
        .data_size = 1 << 20,
        .num_alerts = 2,
        .signal_dbm = -45,
        .noise_dbm = -95,
        .fix = FIX,
        .altitude = 10.5,
        .longitude = -74.006,
        .latitude = 40.7128,
    };
    const struct kx_device *device = normalise_alone(&in);
    assert_true(device->head.present ==
                (((uint64_t)1 << KX_FIELDS) - 1 - ((uint64_t)1 << KX_F_EXTRA)));
    assert_field(device, KX_F_MAC_ADDR, "BA:27:EB:00:00:28");
    assert_field(device, KX_F_NAME, "kettle");
    assert_field(device, KX_F_USERNAME, "Ann");
    assert_field(device, KX_F_PHY_TYPE, "IEEE802.11");
    assert_field(device, KX_F_MANUFACTURER, "Raspberry Pi");
    assert_field(device, KX_F_CHANNEL, "149");
    assert_field(device, KX_F_SERVER_UUID, "other-uuid");
    assert_field(device, KX_F_DEVICE_TYPE, "Wi-Fi AP");
    assert_field(device, KX_F_CRYPT, "WPA2");
    assert_int_equal(device->first_seen, NOW_S - 100);
    assert_int_equal(device->last_seen, NOW_S - 1);
    assert_int_equal(device->mod_time, NOW_S + 7);
    assert_int_equal(device->frequency, 5745000);
    assert_int_equal(device->total_packets, 9);
    assert_int_equal(device->tx_packets, 5);
    assert_int_equal(device->rx_packets, 4);
    assert_int_equal(device->data_size, 1 << 20);
    assert_int_equal(device->num_alerts, 2);
    assert_int_equal(device->signal_dbm, -45);
    assert_int_equal(device->noise_dbm, -95);
    assert_int_equal(device->snr_db, 50);
    assert_true(device->latitude == 40.7128 && device->longitude == -74.006);
    assert_true(device->altitude == 10.5);
    assert_true(device->mac_random);
    assert_int_equal(notes.range, 0);
}

/* --- texts --- */

static void empty_texts_are_absent(void **state)
{
    (void)state;
    struct kx_json_device in = bare_device();
    in.name = in.common_name = in.username = in.phy_type = in.manufacturer = text("");
    in.device_type = in.crypt = in.channel = in.signal_type = in.server_uuid = text("");
    const struct kx_device *device = normalise_alone(&in);
    static const enum kx_field absent[] = {KX_F_NAME,         KX_F_USERNAME,    KX_F_PHY_TYPE,
                                           KX_F_MANUFACTURER, KX_F_DEVICE_TYPE, KX_F_CRYPT,
                                           KX_F_CHANNEL};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_field(device, absent[i], NULL);
    assert_field(device, KX_F_SERVER_UUID, SERVER); /* the connection's */
}

static void unknown_server_is_absent(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    ctx.server_uuid = (struct kx_json_text){NULL, 0};
    struct kx_registry_entry entry = {.id = 0};
    struct kx_json_device in = bare_device();
    assert_field(normalise(&ctx, &in, &entry), KX_F_SERVER_UUID, NULL);
}

static void long_texts_are_cut_and_counted(void **state)
{
    (void)state;
    char long_text[KX_TEXT_BYTES_MAX + 2];
    memset(long_text, 'x', sizeof long_text);
    struct kx_json_device in = bare_device();
    in.name = (struct kx_json_text){long_text, KX_TEXT_BYTES_MAX};
    const struct kx_device *device = normalise_alone(&in);
    assert_int_equal(device->name.length, KX_TEXT_BYTES_MAX);
    assert_int_equal(notes.text_cut, 0);
    in.name.length = KX_TEXT_BYTES_MAX + 1;
    in.crypt = (struct kx_json_text){long_text, KX_TEXT_BYTES_MAX + 2};
    device = normalise_alone(&in);
    assert_int_equal(device->name.length, KX_TEXT_BYTES_MAX);
    assert_int_equal(device->crypt.length, KX_TEXT_BYTES_MAX);
    assert_int_equal(notes.text_cut, 2);
}

static const char *name_given(const char *name, const char *common_name, const char *mac)
{
    static char out[64];
    struct kx_json_device in = bare_device();
    if (name != NULL)
        in.name = text(name);
    if (common_name != NULL)
        in.common_name = text(common_name);
    in.mac_addr = text(mac);
    const struct kx_device *device = normalise_alone(&in);
    if (!kx_record_has(&device->head, KX_F_NAME))
        return "(absent)";
    memcpy(out, kx_record_text(&device->head, device->name), device->name.length);
    out[device->name.length] = '\0';
    return out;
}

static void name_falls_back_unless_it_is_the_mac(void **state)
{
    (void)state;
    assert_string_equal(name_given("kettle", "common", MAC), "kettle");
    assert_string_equal(name_given(NULL, "common", MAC), "common");
    assert_string_equal(name_given("", "common", MAC), "common");
    assert_string_equal(name_given(NULL, NULL, MAC), "(absent)");
    assert_string_equal(name_given(NULL, "", MAC), "(absent)");
    assert_string_equal(name_given(NULL, MAC, MAC), "(absent)");
    assert_string_equal(name_given(NULL, "b8:27:eb:00:00:28", MAC), "(absent)");
    assert_string_equal(name_given(NULL, "b8-27-EB-00-00-28", MAC), "(absent)");
    assert_string_equal(name_given(NULL, "b827eb000028", MAC), "(absent)");
    assert_string_equal(name_given(NULL, MAC, "b8-27-eb-00-00-28"), "(absent)");
    /* Another device's MAC is a name that somebody chose, and so is the MAC as name itself. */
    assert_string_equal(name_given(NULL, "B8:27:EB:00:00:29", MAC), "B8:27:EB:00:00:29");
    assert_string_equal(name_given(MAC, MAC, MAC), MAC);
    /* An address that is no MAC. */
    assert_string_equal(name_given(NULL, "meter-1", "meter-1"), "(absent)");
    assert_string_equal(name_given(NULL, "meter-2", "meter-1"), "meter-2");
    assert_string_equal(name_given(NULL, MAC, "meter-1"), MAC);
}

/* --- addresses --- */

static const struct kx_device *mac_given(const char *mac, const char *phy, enum kx_mac_case letters)
{
    struct kx_normalise ctx = context();
    struct kx_registry_entry entry = {.id = 0};
    struct kx_json_device in = bare_device();
    ctx.mac_case = letters;
    in.mac_addr = text(mac);
    in.phy_type = text(phy);
    return normalise(&ctx, &in, &entry);
}

static void mac_is_written_in_the_asked_case(void **state)
{
    (void)state;
    const struct kx_device *device = mac_given("aA:bB:cC:dD:eE:f0", "", KX_MAC_UPPER);
    assert_field(device, KX_F_MAC_ADDR, "AA:BB:CC:DD:EE:F0");
    assert_true(device->mac_bits == 0xaabbccddeef0);
    device = mac_given("aA:bB:cC:dD:eE:f0", "", KX_MAC_LOWER);
    assert_field(device, KX_F_MAC_ADDR, "aa:bb:cc:dd:ee:f0");
    assert_true(device->mac_bits == 0xaabbccddeef0);
    device = mac_given("Aa-19-00-dd-ee-Ff", "", KX_MAC_LOWER);
    assert_field(device, KX_F_MAC_ADDR, "aa-19-00-dd-ee-ff");
    device = mac_given("aabbccddeeff", "", KX_MAC_UPPER);
    assert_field(device, KX_F_MAC_ADDR, "AABBCCDDEEFF");
    /* Not a MAC: as it came, and no bits. */
    device = mac_given("aG:bb:cc:dd:ee:ff", "IEEE802.11", KX_MAC_UPPER);
    assert_field(device, KX_F_MAC_ADDR, "aG:bb:cc:dd:ee:ff");
    assert_true(device->mac_bits == 0);
    assert_absent(device, KX_F_MAC_RANDOM);
}

static void mac_random_is_told_of_wifi_and_bluetooth(void **state)
{
    (void)state;
    static const struct {
        const char *phy;
        bool told;
    } phys[] = {
        {"IEEE802.11", true},    {"IEEE802.11ah", true},
        {"Bluetooth", true},     {"BTLE", true},
        {"BTLE-2", true},        {"IEEE802.1", false},
        {"IEEE802.15.4", false}, {"RTL433", false},
        {"BTL", false},          {"", false},
    };
    for (size_t i = 0; i < sizeof phys / sizeof phys[0]; i++) {
        const struct kx_device *device = mac_given("02:00:00:00:00:00", phys[i].phy, KX_MAC_UPPER);
        assert_int_equal(kx_record_has(&device->head, KX_F_MAC_RANDOM), phys[i].told);
        assert_int_equal(device->mac_random, phys[i].told);
        device = mac_given("FD:FF:FF:FF:FF:FF", phys[i].phy, KX_MAC_UPPER);
        assert_int_equal(kx_record_has(&device->head, KX_F_MAC_RANDOM), phys[i].told);
        assert_false(device->mac_random);
    }
}

/* --- numbers --- */

static void counters_may_be_zero_but_not_negative(void **state)
{
    (void)state;
    struct {
        enum kx_json_field from;
        enum kx_field to;
        size_t offset;
        bool zero_is_known;
    } rows[] = {
        {KX_J_FIRST_SEEN, KX_F_FIRST_SEEN, offsetof(struct kx_json_device, first_seen), false},
        {KX_J_LAST_SEEN, KX_F_LAST_SEEN, offsetof(struct kx_json_device, last_seen), false},
        {KX_J_FREQUENCY, KX_F_FREQUENCY, offsetof(struct kx_json_device, frequency), false},
        {KX_J_TOTAL_PACKETS, KX_F_TOTAL_PACKETS, offsetof(struct kx_json_device, total_packets),
         true},
        {KX_J_TX_PACKETS, KX_F_TX_PACKETS, offsetof(struct kx_json_device, tx_packets), true},
        {KX_J_RX_PACKETS, KX_F_RX_PACKETS, offsetof(struct kx_json_device, rx_packets), true},
        {KX_J_DATA_SIZE, KX_F_DATA_SIZE, offsetof(struct kx_json_device, data_size), true},
        {KX_J_NUM_ALERTS, KX_F_NUM_ALERTS, offsetof(struct kx_json_device, num_alerts), true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kx_json_device in = bare_device();
        int64_t *value = (int64_t *)(void *)((char *)&in + rows[i].offset);
        set(&in, rows[i].from);
        static const int64_t values[] = {INT64_MIN, -1, 0, 1, NOW_S};
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            *value = values[v];
            const struct kx_device *device = normalise_alone(&in);
            bool known = values[v] > 0 || (values[v] == 0 && rows[i].zero_is_known);
            int64_t told;
            memcpy(&told, (const char *)device + kx_fields[rows[i].to].offset, sizeof told);
            assert_int_equal(kx_record_has(&device->head, rows[i].to), known);
            assert_true(told == (known ? values[v] : 0));
            assert_int_equal(notes.range, values[v] < 0);
        }
    }
    struct kx_json_device in = bare_device();
    set(&in, KX_J_DATA_SIZE);
    in.data_size = INT64_MAX;
    assert_true(normalise_alone(&in)->data_size == INT64_MAX);
}

static void mod_time_is_kept_beside(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_registry_entry entry = {.id = 0};
    struct kx_json_device in = bare_device();
    set(&in, KX_J_MOD_TIME);
    in.mod_time = 55;
    assert_int_equal(normalise(&ctx, &in, &entry)->mod_time, 55);
    assert_int_equal(entry.told.mod_time, 55);
    in.mod_time = -1;
    assert_int_equal(normalise(&ctx, &in, &entry)->mod_time, 0);
    assert_int_equal(entry.told.mod_time, 55); /* what is not told is not forgotten */
    in.mod_time = 54;                          /* the server's clock was set back */
    assert_int_equal(normalise(&ctx, &in, &entry)->mod_time, 54);
    assert_int_equal(entry.told.mod_time, 54);
}

static const struct kx_device *signal_given(int64_t signal, int64_t noise, const char *type)
{
    struct kx_json_device in = bare_device();
    set(&in, KX_J_SIGNAL);
    set(&in, KX_J_NOISE);
    in.signal_dbm = signal;
    in.noise_dbm = noise;
    if (type != NULL)
        in.signal_type = text(type);
    return normalise_alone(&in);
}

static void assert_signal(const struct kx_device *device, bool signal, bool noise, bool snr)
{
    assert_int_equal(kx_record_has(&device->head, KX_F_SIGNAL_DBM), signal);
    assert_int_equal(kx_record_has(&device->head, KX_F_NOISE_DBM), noise);
    assert_int_equal(kx_record_has(&device->head, KX_F_SNR_DB), snr);
}

static void signal_zero_is_unknown(void **state)
{
    (void)state;
    assert_signal(signal_given(-40, -95, "dbm"), true, true, true);
    assert_signal(signal_given(-40, 0, "dbm"), true, false, false);
    assert_signal(signal_given(0, -95, "dbm"), false, true, false);
    assert_signal(signal_given(0, 0, "dbm"), false, false, false);
    const struct kx_device *device = signal_given(-95, -95, "dbm");
    assert_signal(device, true, true, true);
    assert_int_equal(device->snr_db, 0); /* computed, so 0 is known */
    device = signal_given(1, -1, "dbm");
    assert_int_equal(device->signal_dbm, 1);
    assert_int_equal(device->snr_db, 2);
}

static void signal_counts_only_in_dbm(void **state)
{
    (void)state;
    assert_signal(signal_given(-40, -95, NULL), true, true, true); /* an old capture */
    assert_signal(signal_given(-40, -95, ""), true, true, true);
    assert_signal(signal_given(-40, -95, "none"), false, false, false);
    assert_signal(signal_given(-40, -95, "rssi"), false, false, false);
    assert_signal(signal_given(-40, -95, "dbm2"), false, false, false);
    assert_signal(signal_given(-40, -95, "db"), false, false, false);
    assert_int_equal(notes.range, 0);
}

static void signal_fits_its_column(void **state)
{
    (void)state;
    const struct kx_device *device = signal_given(INT32_MIN, 0, NULL);
    assert_int_equal(device->signal_dbm, INT32_MIN);
    assert_int_equal(notes.range, 0);
    device = signal_given(INT32_MAX, 0, NULL);
    assert_int_equal(device->signal_dbm, INT32_MAX);
    assert_int_equal(notes.range, 0);
    assert_signal(signal_given((int64_t)INT32_MIN - 1, -95, NULL), false, true, false);
    assert_int_equal(notes.range, 1);
    assert_signal(signal_given(-40, (int64_t)INT32_MAX + 1, NULL), true, false, false);
    assert_int_equal(notes.range, 1);
    assert_signal(signal_given(INT64_MAX, INT64_MIN, NULL), false, false, false);
    assert_int_equal(notes.range, 2);
    /* Both fit, their difference does not. */
    assert_signal(signal_given(INT32_MAX, -1, NULL), true, true, false);
    assert_int_equal(notes.range, 1);
    assert_signal(signal_given(INT32_MAX - 1, -1, NULL), true, true, true);
}

/* --- location --- */

/* 1 = a place, 0 = unknown, -1 = unknown and counted as out of range. */
static int place_given(double latitude, double longitude)
{
    struct kx_json_device in = bare_device();
    set(&in, KX_J_GEOPOINT);
    in.latitude = latitude;
    in.longitude = longitude;
    const struct kx_device *device = normalise_alone(&in);
    bool known = kx_record_has(&device->head, KX_F_LATITUDE);
    assert_int_equal(kx_record_has(&device->head, KX_F_LONGITUDE), known);
    assert_true(device->latitude == (known ? latitude : 0));
    assert_true(device->longitude == (known ? longitude : 0));
    return known ? 1 : -(int)notes.range;
}

static void place_is_on_the_globe(void **state)
{
    (void)state;
    assert_int_equal(place_given(40.7128, -74.006), 1);
    assert_int_equal(place_given(90, 180), 1);
    assert_int_equal(place_given(-90, -180), 1);
    assert_int_equal(place_given(90 + BEYOND, 0), -1);
    assert_int_equal(place_given(-90 - BEYOND, 0), -1);
    assert_int_equal(place_given(0, 180 + BEYOND), -1);
    assert_int_equal(place_given(0, -180 - BEYOND), -1);
    assert_int_equal(place_given((double)NAN, 0), -1);
    assert_int_equal(place_given(1, (double)NAN), -1);
    assert_int_equal(place_given((double)INFINITY, 1), -1);
    assert_int_equal(place_given(0, 0), 0);
    assert_int_equal(place_given(-0.0, 0), 0);
    assert_int_equal(place_given(0, 0.0001), 1); /* Greenwich and the equator are places */
    assert_int_equal(place_given(0.0001, 0), 1);
}

static void altitude_wants_a_fix_in_3d(void **state)
{
    (void)state;
    struct kx_json_device in = bare_device();
    set(&in, KX_J_ALTITUDE);
    in.altitude = -12.5;
    in.fix = FIX; /* but not told */
    assert_absent(normalise_alone(&in), KX_F_ALTITUDE);
    set(&in, KX_J_FIX);
    const struct kx_device *device = normalise_alone(&in);
    assert_true(kx_record_has(&device->head, KX_F_ALTITUDE));
    assert_true(device->altitude == -12.5);
    in.altitude = 0; /* sea level is known */
    assert_true(kx_record_has(&normalise_alone(&in)->head, KX_F_ALTITUDE));
    in.fix = ANY_FIX;
    assert_absent(normalise_alone(&in), KX_F_ALTITUDE);
    in.fix = FIX + 1;
    assert_absent(normalise_alone(&in), KX_F_ALTITUDE);
    assert_int_equal(notes.range, 0);
    in.fix = FIX;
    in.altitude = (double)NAN;
    assert_absent(normalise_alone(&in), KX_F_ALTITUDE);
    assert_int_equal(notes.range, 1);
}

/* --- room --- */

static void record_that_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_registry_entry entry = {.id = 4, .generation = 2};
    struct kx_registry_entry before = entry;
    struct kx_json_device in = bare_device();
    set(&in, KX_J_LAST_SEEN);
    in.last_seen = NOW_S;
    size_t whole = kx_normalise_device(&ctx, &in, &entry, memory, sizeof memory, &notes);
    assert_true(whole > sizeof(struct kx_device));
    entry = before;
    size_t too_small[] = {0, sizeof(struct kx_device) - 1, sizeof(struct kx_device), whole - 1};
    for (size_t i = 0; i < sizeof too_small / sizeof too_small[0]; i++) {
        assert_int_equal(kx_normalise_device(&ctx, &in, &entry, memory, too_small[i], &notes), 0);
        assert_true(notes.too_big);
        assert_memory_equal(&entry, &before, sizeof entry);
    }
    assert_int_equal(kx_normalise_device(&ctx, &in, &entry, memory, whole, &notes), whole);
    assert_false(notes.too_big);
    assert_int_equal(entry.told.last_seen, NOW_S);
}

static void largest_device_fits(void **state)
{
    (void)state;
    static char long_text[KX_TEXT_BYTES_MAX * 2];
    memset(long_text, 'x', sizeof long_text);
    struct kx_json_text big = {long_text, sizeof long_text};
    struct kx_json_device in = {.key = big,
                                .server_uuid = big,
                                .mac_addr = big,
                                .name = big,
                                .username = big,
                                .phy_type = big,
                                .manufacturer = big,
                                .device_type = big,
                                .crypt = big,
                                .channel = big};
    normalise_alone(&in);
    assert_int_equal(notes.text_cut, 10);
}

static void registry_knows_the_device_by_its_server(void **state)
{
    (void)state;
    struct kx_normalise ctx = context();
    struct kx_registry_name name = kx_normalise_name(&ctx, text("own"), text(KEY));
    assert_int_equal(name.source, 3);
    assert_int_equal(name.server_uuid_length, 3);
    assert_memory_equal(name.server_uuid, "own", 3);
    assert_int_equal(name.key_length, strlen(KEY));
    assert_memory_equal(name.key, KEY, strlen(KEY));
    name = kx_normalise_name(&ctx, (struct kx_json_text){NULL, 0}, text(KEY));
    assert_int_equal(name.server_uuid_length, strlen(SERVER));
    assert_memory_equal(name.server_uuid, SERVER, strlen(SERVER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bare_device_is_nearly_all_absent),
        cmocka_unit_test(values_without_their_bit_are_absent),
        cmocka_unit_test(full_device_keeps_everything),
        cmocka_unit_test(empty_texts_are_absent),
        cmocka_unit_test(unknown_server_is_absent),
        cmocka_unit_test(long_texts_are_cut_and_counted),
        cmocka_unit_test(name_falls_back_unless_it_is_the_mac),
        cmocka_unit_test(mac_is_written_in_the_asked_case),
        cmocka_unit_test(mac_random_is_told_of_wifi_and_bluetooth),
        cmocka_unit_test(counters_may_be_zero_but_not_negative),
        cmocka_unit_test(mod_time_is_kept_beside),
        cmocka_unit_test(signal_zero_is_unknown),
        cmocka_unit_test(signal_counts_only_in_dbm),
        cmocka_unit_test(signal_fits_its_column),
        cmocka_unit_test(place_is_on_the_globe),
        cmocka_unit_test(altitude_wants_a_fix_in_3d),
        cmocka_unit_test(record_that_does_not_fit_changes_nothing),
        cmocka_unit_test(largest_device_fits),
        cmocka_unit_test(registry_knows_the_device_by_its_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
