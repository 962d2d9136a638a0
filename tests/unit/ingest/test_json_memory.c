/*
 * The parsers without memory: every allocation of ours that can fail is made to fail once. (What
 * simdjson allocates itself it asks for right after we have asked for more.)
 */
#include "messages.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

/* Allocations still granted; negative = no limit. */
static int granted = -1;

void *__wrap_malloc(size_t size)
{
    if (granted == 0)
        return NULL;
    if (granted > 0)
        granted--;
    return __real_malloc(size);
}

static void creation(void **state)
{
    (void)state;
    unsigned failures = 0;
    struct kx_json *json = NULL;
    for (int grants = 0; json == NULL; grants++) {
        granted = grants;
        json = kx_json_create();
        granted = -1;
        failures += json == NULL;
    }
    assert_int_equal(failures, 1);
    kx_json_destroy(json);
}

/* Reads a device while only so many allocations are granted; then again with enough of them. */
static void read_both(struct kx_json *json, const char *text, size_t length, int grants)
{
    struct kx_json_device device;
    struct kx_json_event event;
    struct kx_json_notes notes;
    struct kx_buf out;
    char *message = message_copy(text, length, 0);
    kx_buf_init(&out, 1 << 24);
    granted = grants;
    assert_int_equal(kx_json_device(json, message, length, &device, &notes), KX_JSON_NOMEM);
    granted = grants;
    assert_int_equal(kx_json_event(json, message, length, &out, &event, &notes), KX_JSON_NOMEM);
    assert_int_equal(out.length, 0);
    granted = -1;
    assert_int_equal(kx_json_device(json, message, length, &device, &notes), KX_JSON_OK);
    assert_int_equal(kx_json_event(json, message, length, &out, &event, &notes), KX_JSON_OK);
    kx_buf_fini(&out);
    free(message);
}

static void mending(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"key\":\"K\",\"mac_addr\":\"M\",\"name\":\"\\ud800\"}", /* a text */
        "{\"key\":\"K\",\"mac_addr\":\"M\",\"name\":\"\xFF\"}",    /* the message */
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct kx_json *json = kx_json_create();
        assert_non_null(json);
        read_both(json, texts[i], strlen(texts[i]), 0);
        kx_json_destroy(json);
    }
}

static void growing(void **state)
{
    (void)state;
    static const char head[] = "{\"key\":\"K\",\"mac_addr\":\"M\",\"name\":\"";
    const size_t length = 100000;
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, 'x', length);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + length - 2, "\"}", 2);
    struct kx_json *json = kx_json_create();
    assert_non_null(json);
    read_both(json, text, length, 0);
    kx_json_destroy(json);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation),
        cmocka_unit_test(mending),
        cmocka_unit_test(growing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
