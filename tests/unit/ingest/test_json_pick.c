/*
 * Values by name out of a small answer.
 */
#include "messages.h"

static struct kx_json *json;
static char *message;
static struct kx_json_pick picks[3];

static enum kx_json_result pick(const char *text)
{
    free(message);
    message = message_copy(text, strlen(text), '"');
    memset(picks, 0xa5, sizeof picks);
    picks[0].key = "a";
    picks[1].key = "kismet.system.timestamp.sec";
    picks[2].key = "b\\\"c";
    return kx_json_pick(json, message, strlen(text), picks, 3);
}

static int setup(void **state)
{
    (void)state;
    json = kx_json_create();
    return json == NULL;
}

static int teardown(void **state)
{
    (void)state;
    kx_json_destroy(json);
    free(message);
    return 0;
}

static void assert_number(const struct kx_json_pick *seen, double expected)
{
    assert_true(seen->has_number);
    assert_null(seen->text.data);
    assert_memory_equal(&seen->number, &expected, sizeof expected);
}

static void assert_nothing(const struct kx_json_pick *seen)
{
    assert_false(seen->has_number);
    assert_null(seen->text.data);
}

static void texts_and_numbers(void **state)
{
    (void)state;
    assert_int_equal(pick("{\"x\":{\"a\":1},\"kismet.system.timestamp.sec\": 1795374347.5 ,"
                          "\"a\":\"\\ud800 text\",\"b\\\"c\":-3}"),
                     KX_JSON_OK);
    assert_text(picks[0].text, "\xEF\xBF\xBD text");
    assert_false(picks[0].has_number);
    assert_number(&picks[1], 1795374347.5);
    assert_number(&picks[2], -3);
}

static void nothing(void **state)
{
    (void)state;
    static const char *const values[] = {"{}",    "[1]",           "null",   "true",
                                         "1e400", "{\"a\":\"x\"}", "[\"x\"]"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"a\":%s,\"aa\":1,\"A\":1,\"kismet.system.timestamp.sec\":7}",
                 values[i]);
        assert_int_equal(pick(text), KX_JSON_OK);
        assert_nothing(&picks[0]);
        assert_number(&picks[1], 7);
        assert_nothing(&picks[2]);
    }
    assert_int_equal(pick("{}"), KX_JSON_OK);
    for (size_t i = 0; i < 3; i++)
        assert_nothing(&picks[i]);
}

static void faults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kx_json_result result;
    } cases[] = {
        {"", KX_JSON_EMPTY},
        {"[1]", KX_JSON_NOT_OBJECT},
        {"<html>", KX_JSON_SYNTAX},
        {"{\"a\":1", KX_JSON_SYNTAX},
        {"{\"a\":1}}", KX_JSON_SYNTAX},
        {"{\"a\":\"\\x\"}", KX_JSON_SYNTAX},
        {"{\"a\":1,}", KX_JSON_SYNTAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(pick(cases[i].text), cases[i].result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_numbers),
        cmocka_unit_test(nothing),
        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
