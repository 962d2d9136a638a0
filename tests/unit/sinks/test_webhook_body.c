/*
 * Keys that tell a repetition, signatures that others can verify, bodies of what is not done.
 */
#include "records.h"
#include "sinks/webhook_body.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { T0 = 1737131445, COUNT = 8 };

static void fill(struct box *box)
{
    box_init(box);
    for (int i = 0; i < COUNT; i++)
        box_device(box, &(struct device_spec){.mac = "AA:BB:CC:00:00:01", .last_seen = T0});
}

static void the_key_is_that_of_the_records(void **state)
{
    (void)state;
    char key[KX_WEBHOOK_KEY_MAX], again[KX_WEBHOOK_KEY_MAX];
    struct box box;
    fill(&box);
    kx_webhook_key(&box.batch, key);
    assert_int_equal(strlen(key), KX_WEBHOOK_KEY_MAX - 1);
    box.batch.tries = 5; /* another try */
    kx_webhook_key(&box.batch, again);
    assert_string_equal(key, again);
    /* The same undone records seen through another view. */
    kx_batch_mark(&box.batch, 0);
    kx_webhook_key(&box.batch, key);
    assert_string_not_equal(key, again);
    box.batch.first = 1;
    kx_webhook_key(&box.batch, again);
    assert_string_equal(key, again);
    box.batch.end--;
    kx_webhook_key(&box.batch, again);
    assert_string_not_equal(key, again);
    box_fini(&box);
}

static void halves_have_keys_of_their_own(void **state)
{
    (void)state;
    char keys[COUNT][KX_WEBHOOK_KEY_MAX];
    struct box box;
    fill(&box);
    for (uint32_t i = 0; i < COUNT; i++) {
        box.batch.first = i;
        box.batch.end = i + 1;
        kx_webhook_key(&box.batch, keys[i]);
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(keys[i], keys[k]);
    }
    box_fini(&box);
}

static void done_records_are_left_out(void **state)
{
    (void)state;
    struct kx_encode_json json;
    struct kx_buf out;
    struct box box;
    fill(&box);
    kx_buf_init(&out, 1 << 20);
    kx_encode_json_init(&json, KX_COMPAT_NONE, KX_MAC_UPPER, 1ull << KX_F_MAC_ADDR);
    kx_batch_mark(&box.batch, 0);
    kx_batch_mark(&box.batch, 3);
    assert_int_equal(kx_webhook_body(&json, KX_WEBHOOK_ARRAY, &box.batch, &out), COUNT - 2);
    kx_buf_byte(&out, '\0');
    assert_int_equal(strncmp(out.data, "[{\"v\":1,", 8), 0);
    assert_null(strstr(out.data, ",]"));
    assert_null(strstr(out.data, "-1\""));
    assert_non_null(strstr(out.data, "-2\",\"type\":\"device\",\"data\":{\"mac_addr\":"));
    for (uint32_t i = 0; i < COUNT; i++)
        kx_batch_mark(&box.batch, i);
    kx_buf_clear(&out);
    assert_int_equal(kx_webhook_body(&json, KX_WEBHOOK_NDJSON, &box.batch, &out), 0);
    assert_int_equal(out.length, 0);
    box_fini(&box);
    kx_buf_fini(&out);
}

/* Python: hmac.new(b"It's a Secret", b"1737131445." + body, "sha256").hexdigest() */
static void signatures_are_as_python_makes_them(void **state)
{
    (void)state;
    static const char body[] = "[{\"v\":1}]";
    char signature[KX_WEBHOOK_SIGNATURE_MAX];
    kx_webhook_sign("It's a Secret", "1737131445", body, strlen(body), signature);
    assert_string_equal(signature,
                        "sha256="
                        "5e78156104f8cdc5e6b7131f8812c50a52c1a6f4a4b160a302b558bdac9df0c5");
    kx_webhook_sign("It's a Secret", "1737131446", body, strlen(body), signature);
    assert_null(
        strstr(signature, "5e78156104f8cdc5e6b7131f8812c50a52c1a6f4a4b160a302b558bdac9df0c5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_is_that_of_the_records),
        cmocka_unit_test(halves_have_keys_of_their_own),
        cmocka_unit_test(done_records_are_left_out),
        cmocka_unit_test(signatures_are_as_python_makes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
