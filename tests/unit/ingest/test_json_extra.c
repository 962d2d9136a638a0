/* The fields beside ours: typed, in one object, and never at the cost of the device. */
#include "config/config.h"
#include "ingest/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char name_text[] = "ssid", name_integer[] = "khz", name_number[] = "ratio",
            name_bool[] = "wps";
static struct kx_extra_field items[] = {{.as = name_text, .type = KX_EXTRA_TEXT},
                                        {.as = name_integer, .type = KX_EXTRA_INTEGER},
                                        {.as = name_number, .type = KX_EXTRA_NUMBER},
                                        {.as = name_bool, .type = KX_EXTRA_BOOL}};
static const struct kx_extra_fields extra = {items, 4};

struct answer {
    enum kx_json_result result;
    struct kx_json_device device;
    struct kx_json_notes notes;
    char text[512];
};

/* A device whose other keys are `more`, which begins with a comma. */
static struct answer parse(struct kx_json *json, const char *more)
{
    char document[2048];
    struct answer answer = {0};
    memset(document, 0, sizeof document);
    int length = snprintf(document, sizeof document - KX_JSON_PADDING,
                          "{\"key\":\"1\",\"mac_addr\":\"02:00:00:00:00:01\"%s}", more);
    assert_in_range(length, 1, sizeof document - KX_JSON_PADDING - 1);
    answer.result = kx_json_device(json, document, (size_t)length, &answer.device, &answer.notes);
    if (answer.device.extra.length > 0)
        memcpy(answer.text, answer.device.extra.data, answer.device.extra.length);
    return answer;
}

static void values_of_each_type(void **state)
{
    static const struct {
        const char *more, *text;
        uint32_t wrong_type, range;
    } rows[] = {
        {",\"extra_0\":\"a\\\"\\u0007b\",\"extra_1\":-5,\"extra_2\":0.25,\"extra_3\":true",
         "{\"ssid\":\"a\\\"\\u0007b\",\"khz\":-5,\"ratio\":0.25,\"wps\":true}", 0, 0},
        {",\"extra_3\":0,\"extra_0\":\"\"", "{\"wps\":false,\"ssid\":\"\"}", 0, 0},
        {",\"extra_3\":1,\"extra_2\":7", "{\"wps\":true,\"ratio\":7}", 0, 0},
        {",\"extra_1\":6.0", "{\"khz\":6}", 0, 0},
        /* Kismet's 0 for what it does not have, and null, are not worth a note. */
        {",\"extra_0\":0,\"extra_1\":null,\"extra_2\":null,\"extra_3\":null", "", 0, 0},
        {",\"extra_0\":7,\"extra_1\":\"x\",\"extra_2\":[1],\"extra_3\":2", "", 4, 0},
        {",\"extra_0\":{\"a\":[1,{}]},\"extra_1\":5", "{\"khz\":5}", 1, 0},
        {",\"extra_1\":1.5,\"extra_0\":true", "", 2, 0},
        {",\"extra_1\":99999999999999999999,\"extra_2\":1e999", "", 0, 2},
        /* Of equal keys the first counts; others are nobody's. */
        {",\"extra_1\":1,\"extra_1\":2", "{\"khz\":1}", 0, 0},
        {",\"extra_4\":1,\"extra_\":2,\"extra_1x\":3,\"extra_001\":4,\"extra\":5", "", 0, 0},
        {"", "", 0, 0},
    };
    (void)state;
    struct kx_json *json = kx_json_create();
    assert_non_null(json);
    kx_json_expect(json, &extra);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer = parse(json, rows[i].more);
        assert_int_equal(answer.result, KX_JSON_OK);
        assert_string_equal(answer.text, rows[i].text);
        assert_int_equal(answer.notes.wrong_type, rows[i].wrong_type);
        assert_int_equal(answer.notes.range, rows[i].range);
    }
    kx_json_destroy(json);
}

static void nobody_asked(void **state)
{
    (void)state;
    struct kx_json *json = kx_json_create();
    struct answer answer = parse(json, ",\"extra_0\":\"a\"");
    assert_int_equal(answer.result, KX_JSON_OK);
    assert_int_equal(answer.device.extra.length, 0);
    kx_json_expect(json, &extra);
    kx_json_expect(json, NULL);
    answer = parse(json, ",\"extra_0\":\"a\"");
    assert_int_equal(answer.device.extra.length, 0);
    kx_json_destroy(json);
}

/* A broken message leaves nothing for the next one, and ours are read among theirs. */
static void faults_and_order(void **state)
{
    (void)state;
    struct kx_json *json = kx_json_create();
    kx_json_expect(json, &extra);
    assert_int_equal(parse(json, ",\"extra_0\":\"a\",\"extra_1\":tru").result, KX_JSON_SYNTAX);
    struct answer answer = parse(json, ",\"extra_1\":3,\"last_seen\":9");
    assert_int_equal(answer.result, KX_JSON_OK);
    assert_string_equal(answer.text, "{\"khz\":3}");
    assert_int_equal(answer.device.last_seen, 9);
    kx_json_destroy(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_each_type),
        cmocka_unit_test(nobody_asked),
        cmocka_unit_test(faults_and_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
