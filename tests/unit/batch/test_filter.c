/* The rules of a filter: each by itself, their order, and what they make of what is not known. */
#include "fake.h"

#include "batch/filter.h"

static struct kx_sink_config config;
static struct kx_filter filter;
static union made made;
static struct kx_device *device;

static void text(struct kx_builder *builder, enum kx_field field, const char *value)
{
    kx_builder_field(builder, field, value, strlen(value));
}

/* A device that has everything. */
static void a_device(void)
{
    struct kx_builder builder;
    device = kx_builder_device(&builder, &made, sizeof made);
    device->mac_bits = 0xaabbcc000001;
    device->signal_dbm = -60;
    device->latitude = 52.52;
    device->longitude = 13.405;
    device->mac_random = true;
    device->head.received_ns = (int64_t)S(1000);
    device->heard_at_ns = (int64_t)S(995);
    device->head.present |= 1ull << KX_F_SIGNAL_DBM | 1ull << KX_F_LATITUDE |
                            1ull << KX_F_LONGITUDE | 1ull << KX_F_MAC_RANDOM;
    text(&builder, KX_F_MAC_ADDR, "AA:BB:CC:00:00:01");
    text(&builder, KX_F_NAME, "Caf\xc3\xa9 Free");
    text(&builder, KX_F_PHY_TYPE, "IEEE802.11");
    text(&builder, KX_F_DEVICE_TYPE, "Wi-Fi AP");
    assert_true(kx_builder_finish(&builder) > 0);
}

static void an_event(const char *type, const char *mac, uint8_t severity)
{
    struct kx_builder builder;
    struct kx_event *event = kx_builder_event(&builder, &made, sizeof made);
    kx_builder_text(&builder, &event->type, type, strlen(type), KX_TEXT_BYTES_MAX);
    kx_builder_text(&builder, &event->device_mac, mac, strlen(mac), KX_TEXT_BYTES_MAX);
    event->head.severity = severity;
    assert_true(kx_builder_finish(&builder) > 0);
}

static enum kx_counter match(void)
{
    struct kx_error err;
    assert_int_equal(kx_filter_init(&filter, &config, &err), KX_OK);
    enum kx_counter reason = kx_filter_match(&filter, &made.record);
    kx_filter_fini(&filter);
    return reason;
}

static void absent(enum kx_field field)
{
    made.record.present &= ~(1ull << field);
}

static int begin(void **state)
{
    (void)state;
    config = (struct kx_sink_config){0};
    a_device();
    return 0;
}

#define PASSES() assert_int_equal(match(), KX_COUNTERS)
#define HELD_BY(reason) assert_int_equal(match(), KX_C_FILTERED_##reason)
#define LIST(...)                                                                                  \
    (struct kx_strings)                                                                            \
    {                                                                                              \
        (char *[]){__VA_ARGS__}, sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)                  \
    }
/* Literals that may be written to, as a configuration's are. */
static char wifi[] = "ieee802.11", bluetooth[] = "Bluetooth", ap[] = "Wi-Fi AP", client[] = "x";
static char block[] = "AA:BB:CC:00:00:00/FF:FF:FF:00:00:00", one[] = "AA:BB:CC:00:00:01";
static char other[] = "AA:BB:CC:00:00:02", alert[] = "ALERT", none[] = "none";

static void nothing_holds_nothing(void **state)
{
    (void)state;
    PASSES();
    an_event("ALERT", "", 1);
    PASSES();
    assert_int_equal(kx_filter_init(&filter, &config, NULL), KX_OK);
    assert_true(filter.idle);
    kx_filter_fini(&filter);
}

static void words(void **state)
{
    (void)state;
    config.filter.phy_type = LIST(bluetooth, wifi); /* in any case */
    PASSES();
    config.filter.phy_type = LIST(bluetooth);
    HELD_BY(PHY);
    config.filter.phy_type = LIST(wifi);
    absent(KX_F_PHY_TYPE);
    HELD_BY(PHY);
    a_device();
    config.filter.device_type = LIST(client, ap);
    PASSES();
    config.filter.device_type = LIST(client);
    HELD_BY(TYPE);
    an_event("ALERT", "", 0); /* no rule of theirs */
    PASSES();
}

static void macs(void **state)
{
    (void)state;
    config.filter.macs_allow = LIST(other, block);
    PASSES();
    config.filter.macs_deny = LIST(one); /* before allow */
    HELD_BY(MAC);
    config.filter.macs_deny = LIST(other);
    PASSES();
    config.filter.macs_allow = LIST(other);
    HELD_BY(MAC);
    device->mac_bits = 0; /* no MAC at all: nothing that was allowed, nor denied */
    HELD_BY(MAC);
    config.filter.macs_allow = LIST(block);
    config.filter.macs_deny = LIST(block);
    HELD_BY(MAC);
    config.filter.macs_allow = (struct kx_strings){0};
    PASSES();
    an_event("ALERT", "aa-bb-cc-00-00-01", 0);
    HELD_BY(MAC);
    an_event("NEW_DATASOURCE", "", 0);
    PASSES();
    config.filter.macs_deny = (struct kx_strings){0};
    config.filter.macs_allow = LIST(other);
    PASSES();
    an_event("ALERT", "AA:BB:CC:00:00:01", 0);
    HELD_BY(MAC);
    an_event("ALERT", "AA:BB:CC:00:00:02", 0);
    PASSES();
}

static void random_macs(void **state)
{
    (void)state;
    config.filter.mac_random = KX_RANDOM_ONLY;
    PASSES();
    config.filter.mac_random = KX_RANDOM_NEVER;
    HELD_BY(RANDOM);
    absent(KX_F_MAC_RANDOM); /* of a radio whose addresses are not */
    PASSES();
    config.filter.mac_random = KX_RANDOM_ONLY;
    HELD_BY(RANDOM);
}

static void signals(void **state)
{
    (void)state;
    config.filter.min_signal_dbm = (struct kx_real){-60, true};
    PASSES();
    config.filter.min_signal_dbm.value = -59.5;
    HELD_BY(SIGNAL);
    config.filter.min_signal_dbm.value = -90;
    absent(KX_F_SIGNAL_DBM);
    HELD_BY(SIGNAL);
}

static void circle(void **state)
{
    (void)state;
    /* 5,290 m north of the device, by the length of a degree of latitude. */
    config.filter.geofence = (struct kx_geofence_config){
        .line = 1, .lat = {52.56757, true}, .lon = {13.405, true}, .radius_m = 5300};
    PASSES();
    config.filter.geofence.radius_m = 5280;
    HELD_BY(GEOFENCE);
    /* 0.1 degree east: 11.1 km at the equator, 6.77 km here. */
    config.filter.geofence.lat.value = 52.52;
    config.filter.geofence.lon.value = 13.505;
    config.filter.geofence.radius_m = 6800;
    PASSES();
    config.filter.geofence.radius_m = 6700;
    HELD_BY(GEOFENCE);
    /* Over the 180th meridian. */
    config.filter.geofence.lat.value = 0;
    config.filter.geofence.lon.value = 179.99;
    config.filter.geofence.radius_m = 3000;
    device->latitude = 0;
    device->longitude = -179.99;
    PASSES();
    /* The other side of the world. */
    config.filter.geofence.lon.value = 0;
    device->longitude = 180;
    HELD_BY(GEOFENCE);
    config.filter.geofence.radius_m = 20000000;
    device->longitude = 179;
    PASSES();
    absent(KX_F_LONGITUDE);
    HELD_BY(GEOFENCE);
    config.filter.geofence.unknown = KX_FENCE_PASS;
    PASSES();
}

static void box(void **state)
{
    (void)state;
    config.filter.geofence = (struct kx_geofence_config){.line = 1,
                                                         .lat_min = {52.52, true},
                                                         .lat_max = {53, true},
                                                         .lon_min = {13, true},
                                                         .lon_max = {13.405, true}};
    PASSES(); /* its edges are in it */
    config.filter.geofence.lon_max.value = 13.4;
    HELD_BY(GEOFENCE);
    config.filter.geofence.lon_max.value = 14;
    config.filter.geofence.lat_min.value = 52.6;
    HELD_BY(GEOFENCE);
    config.filter.geofence.lat_min.value = -20; /* Fiji and what is around */
    config.filter.geofence.lon_min.value = 177;
    config.filter.geofence.lon_max.value = -178;
    HELD_BY(GEOFENCE);
    device->longitude = 179;
    PASSES();
    device->longitude = -179;
    PASSES();
}

static void names(void **state)
{
    (void)state;
    static char pattern[] = "^Caf.\\sFree$", broken[] = "(";
    config.filter.name = pattern;
    PASSES();
    absent(KX_F_NAME);
    HELD_BY(NAME);
    struct kx_error err;
    config.filter.name = broken;
    config.filter.phy_type = LIST(wifi);
    assert_int_equal(kx_filter_init(&filter, &config, &err), KX_ERR_CONFIG);
    assert_null(filter.phys.items);
}

static void events(void **state)
{
    (void)state;
    config.filter.topics = LIST(alert);
    an_event("ALERT", "", 0);
    PASSES();
    an_event("NEW_DEVICE", "", 0);
    HELD_BY(EVENT);
    config.filter.topics = LIST(none);
    HELD_BY(EVENT);
    config.filter.topics = (struct kx_strings){0};
    config.filter.min_severity = KX_SEVERITY_HIGH;
    PASSES(); /* it has no severity that could be too low */
    an_event("ALERT", "", 16);
    PASSES();
    an_event("ALERT", "", 21);
    PASSES();
    an_event("ALERT", "", 11);
    HELD_BY(EVENT);
    a_device();
    PASSES();
}

static void age(void **state)
{
    (void)state;
    config.delta.max_age_ns = S(5);
    PASSES();
    config.delta.max_age_ns = S(5) - 1;
    HELD_BY(MAX_AGE);
    device->heard_at_ns = (int64_t)S(2000); /* a clock that is ahead */
    PASSES();
    device->heard_at_ns = INT64_MIN;
    HELD_BY(MAX_AGE);
}

/* Of several rules that say no, the first is counted. */
static void order(void **state)
{
    (void)state;
    static char pattern[] = "nothing";
    static const enum kx_counter reasons[] = {
        KX_C_FILTERED_PHY,    KX_C_FILTERED_TYPE,     KX_C_FILTERED_MAC,  KX_C_FILTERED_RANDOM,
        KX_C_FILTERED_SIGNAL, KX_C_FILTERED_GEOFENCE, KX_C_FILTERED_NAME, KX_C_FILTERED_MAX_AGE};
    config.delta.max_age_ns = 1;
    config.filter = (struct kx_filter_config){
        .phy_type = LIST(bluetooth),
        .device_type = LIST(client),
        .macs_deny = LIST(one),
        .mac_random = KX_RANDOM_NEVER,
        .min_signal_dbm = {-10, true},
        .geofence = {.line = 1, .lat = {0, true}, .lon = {0, true}, .radius_m = 1},
        .name = pattern};
    for (unsigned i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        assert_int_equal(match(), reasons[i]);
        switch (i) {
        case 0:
            config.filter.phy_type.count = 0;
            break;
        case 1:
            config.filter.device_type.count = 0;
            break;
        case 2:
            config.filter.macs_deny.count = 0;
            break;
        case 3:
            config.filter.mac_random = KX_RANDOM_ANY;
            break;
        case 4:
            config.filter.min_signal_dbm.given = false;
            break;
        case 5:
            config.filter.geofence = (struct kx_geofence_config){0};
            break;
        case 6:
            config.filter.name = NULL;
            break;
        default:
            config.delta.max_age_ns = 0;
        }
    }
    PASSES();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_holds_nothing, begin),
        cmocka_unit_test_setup(words, begin),
        cmocka_unit_test_setup(macs, begin),
        cmocka_unit_test_setup(random_macs, begin),
        cmocka_unit_test_setup(signals, begin),
        cmocka_unit_test_setup(circle, begin),
        cmocka_unit_test_setup(box, begin),
        cmocka_unit_test_setup(names, begin),
        cmocka_unit_test_setup(events, begin),
        cmocka_unit_test_setup(age, begin),
        cmocka_unit_test_setup(order, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
