/*
 * Records in, a webhook's bodies out.
 */
#include "base/run.h"
#include "golden.h"
#include "sinks/webhook_body.h"

static void compare(const char *name, enum kx_webhook_format format)
{
    struct kx_encode_json json;
    struct kx_buf out, fixed;
    struct box box;
    kx_buf_init(&out, GOLDEN_BYTES_MAX);
    kx_buf_init(&fixed, GOLDEN_BYTES_MAX);
    box_init(&box);
    golden_records(&box);
    kx_encode_json_init(&json, KX_COMPAT_NONE, KX_MAC_UPPER, (1ull << KX_FIELDS) - 1);
    assert_int_equal(kx_webhook_body(&json, format, &box.batch, &out), box.batch.end);
    /* The run's name is another one in each run. */
    struct kx_buf run;
    kx_buf_init(&run, 64);
    kx_buf_hex(&run, kx_run_id(), KX_RUN_BYTES);
    const char *end = out.data + out.length;
    for (const char *at = out.data; at < end;) {
        bool is_run = (size_t)(end - at) >= run.length && memcmp(at, run.data, run.length) == 0;
        kx_buf_bytes(&fixed, is_run ? "RUN" : at, is_run ? 3 : 1);
        at += is_run ? run.length : 1;
    }
    golden_compare(name, &fixed);
    box_fini(&box);
    kx_buf_fini(&run);
    kx_buf_fini(&out);
    kx_buf_fini(&fixed);
}

static void test_array(void **state)
{
    (void)state;
    compare("webhook_array.txt", KX_WEBHOOK_ARRAY);
}

static void test_ndjson(void **state)
{
    (void)state;
    compare("webhook_ndjson.txt", KX_WEBHOOK_NDJSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_array),
        cmocka_unit_test(test_ndjson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
