/* A whole record trimmed by ourselves. */
#include "ingest/simplify.h"

#include "ingest/json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char whole[] =
    "{\"kismet.device.base.key\": \"K_1\",\"kismet.device.base.macaddr\": \"AA:BB:CC:DD:EE:FF\","
    "\"noise\": [1,{\"kismet.device.base.name\": \"no\"}],\"kismet.device.base.name\": \"a "
    "\\\"b\\\" "
    "\xC3\","
    "\"kismet.device.base.signal\": {\"kismet.common.signal.type\": \"dbm\","
    "\"kismet.common.signal.last_signal\": -40,\"kismet.common.signal.peak_loc\": "
    "{\"kismet.common.location.geopoint\": [3.5, 4.5]}},"
    "\"kismet.device.base.location\": {\"kismet.common.location.avg_loc\": "
    "{\"kismet.common.location.geopoint\": [-74.006000, 40.712800],"
    "\"kismet.common.location.fix\": 3},\"kismet.common.location.last\": "
    "{\"kismet.common.location.geopoint\": [1.5, 2.5]}}}";

static void expect(enum kx_location location, const char *tail)
{
    struct kx_buf out;
    kx_buf_init(&out, 4096);
    assert_true(kx_simplify(whole, sizeof(whole) - 1, location, &out));
    kx_buf_byte(&out, '\0');
    static const char head[] = "{\"key\": \"K_1\",\"server_uuid\": 0,\"mac_addr\": "
                               "\"AA:BB:CC:DD:EE:FF\",\"name\": \"a \\\"b\\\" \xC3\",";
    assert_memory_equal(out.data, head, sizeof(head) - 1);
    assert_non_null(
        strstr(out.data, "\"signal_dbm\": -40,\"noise_dbm\": 0,\"signal_type\": \"dbm\""));
    assert_string_equal(out.data + strlen(out.data) - strlen(tail), tail);
    kx_buf_fini(&out);
}

static void values_are_copied_byte_for_byte(void **state)
{
    (void)state;
    expect(KX_LOCATION_AVG, "\"geopoint\": [-74.006000, 40.712800],\"altitude\": 0,\"fix\": 3}");
    expect(KX_LOCATION_LAST, "\"geopoint\": [1.5, 2.5],\"altitude\": 0,\"fix\": 0}");
    expect(KX_LOCATION_PEAK, "\"geopoint\": [3.5, 4.5],\"altitude\": 0,\"fix\": 0}");
}

static void what_is_no_device_is_refused(void **state)
{
    (void)state;
    static const char *const others[] = {
        "", "{", "[]", "{}", "{\"a\": 1}", "{\"a\": 1", "17", "{\"kismet.device.base.key\" 5}"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct kx_buf out;
        kx_buf_init(&out, 4096);
        kx_buf_byte(&out, 'x');
        assert_false(kx_simplify(others[i], strlen(others[i]), KX_LOCATION_AVG, &out));
        assert_int_equal(out.length, 1);
        kx_buf_fini(&out);
    }
}

static void a_full_buffer_is_said(void **state)
{
    (void)state;
    struct kx_buf out;
    kx_buf_init(&out, 100);
    assert_false(kx_simplify(whole, sizeof(whole) - 1, KX_LOCATION_AVG, &out));
    assert_int_equal(out.length, 0);
    kx_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_copied_byte_for_byte),
        cmocka_unit_test(what_is_no_device_is_refused),
        cmocka_unit_test(a_full_buffer_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
