/*
 * Records in, the bytes of their JSON out.
 */
#include "encode/json.h"
#include "golden.h"
#include <math.h>
#include <time.h>

static void encode(struct kx_buf *out, enum kx_compat compat, enum kx_mac_case mac_case)
{
    struct box box;
    struct kx_encode_json json;
    box_init(&box);
    golden_records(&box);
    kx_encode_json_init(&json, compat, mac_case, UINT64_MAX);
    for (uint32_t i = 0; i < box.batch.end; i++) {
        const struct kx_record *record = kx_batch_record(&box.batch, i);
        if (kx_record_device(record) != NULL)
            kx_encode_json_device(&json, out, kx_record_device(record));
        else
            kx_encode_json_event(&json, out, kx_record_event(record));
        kx_buf_byte(out, '\n');
    }
    box_fini(&box);
}

static void test_json(void **state)
{
    (void)state;
    struct kx_buf out;
    kx_buf_init(&out, GOLDEN_BYTES_MAX);
    encode(&out, KX_COMPAT_NONE, KX_MAC_UPPER);
    golden_compare("json.txt", &out);
    kx_buf_fini(&out);
}

/* Naive local times: half past three hours east of Greenwich. */
static void test_json_of_the_script(void **state)
{
    (void)state;
    struct kx_buf out;
    setenv("TZ", "XXX-3:30", 1);
    tzset();
    kx_buf_init(&out, GOLDEN_BYTES_MAX);
    encode(&out, KX_COMPAT_SCRIPT, KX_MAC_LOWER);
    golden_compare("json_script.txt", &out);
    kx_buf_fini(&out);
}

/* What no JSON number can say is unknown, and the object stays whole. */
static void test_infinities(void **state)
{
    (void)state;
    static const double values[] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct box box;
        struct kx_encode_json json;
        struct kx_buf out;
        box_init(&box);
        box_device(&box, &(struct device_spec){
                             .mac = "02:00:00:00:00:01", .location = true, .latitude = values[i]});
        kx_encode_json_init(&json, KX_COMPAT_NONE, KX_MAC_UPPER, UINT64_MAX);
        kx_buf_init(&out, GOLDEN_BYTES_MAX);
        kx_encode_json_device(&json, &out, kx_record_device(kx_batch_record(&box.batch, 0)));
        kx_buf_byte(&out, '\0');
        assert_false(out.failed);
        assert_non_null(strstr(out.data, "\"latitude\":null,\"longitude\":0,"));
        kx_buf_fini(&out);
        box_fini(&box);
    }
}

/* Without room the buffer fails, at whatever byte the room ends; never a whole wrong object. */
static void test_no_room(void **state)
{
    (void)state;
    struct box box;
    struct kx_encode_json json;
    struct kx_buf whole;
    box_init(&box);
    golden_records(&box);
    kx_encode_json_init(&json, KX_COMPAT_NONE, KX_MAC_UPPER, UINT64_MAX);
    kx_buf_init(&whole, GOLDEN_BYTES_MAX);
    const struct kx_device *device = kx_record_device(kx_batch_record(&box.batch, 0));
    kx_encode_json_device(&json, &whole, device);
    for (size_t limit = 0; limit < whole.length + 64; limit++) {
        struct kx_buf out;
        kx_buf_init(&out, limit);
        kx_encode_json_device(&json, &out, device);
        assert_true(out.length <= limit);
        assert_true(out.failed || out.length == whole.length);
        assert_true(out.failed || limit >= whole.length);
        if (out.length > 0)
            assert_memory_equal(out.data, whole.data, out.length);
        kx_buf_fini(&out);
    }
    kx_buf_fini(&whole);
    box_fini(&box);
}

/* Those asked for, in the order of all; an event is whole whatever is asked for. */
static void test_fields(void **state)
{
    (void)state;
    struct box box;
    struct kx_encode_json json;
    struct kx_buf out;
    uint64_t fields = 1ull << KX_F_MAC_ADDR | 1ull << KX_F_LATITUDE | 1ull << KX_F_SOURCE;
    box_init(&box);
    box_device(&box, &(struct device_spec){.mac = "02:00:00:00:00:01", .name = "x"});
    const struct kx_device *device = kx_record_device(kx_batch_record(&box.batch, 0));
    kx_buf_init(&out, GOLDEN_BYTES_MAX);
    kx_encode_json_init(&json, KX_COMPAT_NONE, KX_MAC_UPPER, fields);
    kx_encode_json_device(&json, &out, device);
    kx_encode_json_init(&json, KX_COMPAT_SCRIPT, KX_MAC_LOWER, fields);
    kx_encode_json_device(&json, &out, device);
    kx_buf_byte(&out, '\0');
    assert_string_equal(out.data, "{\"mac_addr\":\"02:00:00:00:00:01\",\"latitude\":null,"
                                  "\"source\":\"kitchen\"}"
                                  "{\"mac_addr\":\"02:00:00:00:00:01\",\"latitude\":0}");
    kx_buf_fini(&out);
    box_fini(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),       cmocka_unit_test(test_json_of_the_script),
        cmocka_unit_test(test_infinities), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
