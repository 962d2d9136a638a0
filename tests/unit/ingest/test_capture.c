/*
 * A line of a capture: the frame byte for byte, and every line that is none.
 */
#include "ingest/capture.h"
#include "messages.h"

static struct kx_capture_line line;

/* In memory of just that size: the scanner has no padding. */
static enum kx_json_result parse(const char *text, size_t length, char **ret_copy)
{
    *ret_copy = malloc(length > 0 ? length : 1);
    assert_non_null(*ret_copy);
    memcpy(*ret_copy, text, length);
    return kx_capture_parse(*ret_copy, length, &line);
}

static void lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double t;
        const char *stream;
        const char *frame;
    } cases[] = {
        {"{\"t\":1.700989,\"s\":\"monitor\",\"d\":{\"key\": \"K\"}}", 1.700989, "monitor",
         "{\"key\": \"K\"}"},
        {" { \"d\" : [1, \"}\", {}] , \"s\" : \"eventbus\" , \"t\" : 0 } \r\n", 0, "eventbus",
         "[1, \"}\", {}]"},
        {"{\"t\":12,\"s\":\"\",\"d\":\"a\\\"}\\\\\"}", 12, "", "\"a\\\"}\\\\\""},
        {"{\"v\":{\"d\":1,\"t\":\"}\"},\"t\":3600.25,\"s\":\"monitor\",\"d\":{},\"z\":null}",
         3600.25, "monitor", "{}"},
        {"{\"t\":1,\"t\":2,\"s\":\"a\",\"s\":\"b\",\"d\":1,\"d\":2}", 1, "a", "1"},
        {"{\"t\":1,\"s\":\"a\",\"d\":{\"n\":\"\xC0\x80\xFF\"}}", 1, "a",
         "{\"n\":\"\xC0\x80\xFF\"}"},
        {"{\"t\":1,\"s\":\"a\",\"d\":{\"n\":}}", 1, "a", "{\"n\":}"}, /* its parser's business */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *copy;
        assert_int_equal(parse(cases[i].text, strlen(cases[i].text), &copy), KX_JSON_OK);
        assert_memory_equal(&line.t, &cases[i].t, sizeof line.t);
        assert_text(line.stream, cases[i].stream);
        assert_text(line.frame, cases[i].frame);
        free(copy);
    }
}

static void no_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kx_json_result result;
    } cases[] = {
        {"", KX_JSON_EMPTY},
        {" \t\r\n", KX_JSON_EMPTY},
        {"[]", KX_JSON_NOT_OBJECT},
        {"x", KX_JSON_NOT_OBJECT},
        {"{}", KX_JSON_NO_KEY},
        {"{\"key\":\"K\",\"mac_addr\":\"M\"}", KX_JSON_NO_KEY},
        {"{\"t\":1,\"s\":\"a\"}", KX_JSON_NO_KEY},
        {"{\"t\":1,\"d\":{}}", KX_JSON_NO_KEY},
        {"{\"s\":\"a\",\"d\":{}}", KX_JSON_NO_KEY},
        {"{\"t\":\"1\",\"s\":\"a\",\"d\":{}}", KX_JSON_NO_KEY},
        {"{\"t\":-1,\"s\":\"a\",\"d\":{}}", KX_JSON_NO_KEY},
        {"{\"t\":1e3,\"s\":\"a\",\"d\":{}}", KX_JSON_NO_KEY},
        {"{\"t\":1.2.3,\"s\":\"a\",\"d\":{}}", KX_JSON_NO_KEY},
        {"{\"t\":1,\"s\":5,\"d\":{}}", KX_JSON_NO_KEY},
        {"{\"t\":1,\"s\":\"a\\u0062\",\"d\":{}}", KX_JSON_NO_KEY},
        {"{", KX_JSON_SYNTAX},
        {"{,}", KX_JSON_SYNTAX},
        {"{\"t\"}", KX_JSON_SYNTAX},
        {"{\"t\":}", KX_JSON_SYNTAX},
        {"{\"t\":1,}", KX_JSON_SYNTAX},
        {"{t:1}", KX_JSON_SYNTAX},
        {"{\"t\":1", KX_JSON_SYNTAX},
        {"{\"t\":1,\"s\":\"a\",\"d\":{}", KX_JSON_SYNTAX},
        {"{\"t\":1,\"s\":\"a\",\"d\":{\"x\":[}", KX_JSON_SYNTAX},
        {"{\"t\":1,\"s\":\"a\",\"d\":\"x}", KX_JSON_SYNTAX},
        {"{\"t\":1,\"s\":\"a\",\"d\":\"x\\", KX_JSON_SYNTAX},
        {"{\"t\":1,\"s\":\"a\",\"d\":{}}}", KX_JSON_SYNTAX},
        {"{\"t\":1,\"s\":\"a\",\"d\":{}} {}", KX_JSON_SYNTAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *copy;
        line.t = 42;
        const enum kx_json_result result = parse(cases[i].text, strlen(cases[i].text), &copy);
        if (result != cases[i].result)
            fail_msg("%s gives %d, not %d", cases[i].text, result, cases[i].result);
        assert_true(line.t > 41 && line.t < 43);
        free(copy);
    }
}

/* A time with more digits than any number holds. */
static void endless_digits(void **state)
{
    (void)state;
    char text[1024] = "{\"s\":\"a\",\"d\":1,\"t\":0.";
    memset(text + strlen(text), '9', 700);
    strcat(text, "}");
    char *copy;
    assert_int_equal(parse(text, strlen(text), &copy), KX_JSON_NO_KEY);
    free(copy);
}

/* The frame of every line of a real capture is what stands between "d": and the last brace. */
static void a_capture(void **state)
{
    (void)state;
    struct capture_file file = capture_read("neighbourhood-fields.ndjson.zst");
    const char *text;
    size_t length, at = 0, monitor = 0, eventbus = 0;
    double last = 0;
    while (capture_line(&file, &at, &text, &length)) {
        assert_int_equal(kx_capture_parse(text, length, &line), KX_JSON_OK);
        const char *frame = memmem(text, length, "\"d\":", 4);
        assert_non_null(frame);
        assert_ptr_equal(line.frame.data, frame + 4);
        assert_int_equal(line.frame.length, length - 1 - (size_t)(frame + 4 - text));
        assert_true(line.t >= last && line.t < 3600);
        last = line.t;
        monitor += text_is(line.stream, "monitor");
        eventbus += text_is(line.stream, "eventbus");
    }
    assert_int_equal(monitor, 8474);
    assert_int_equal(eventbus, 483);
    free(file.bytes);
}

/* A frame that no line can hold as it is, and the source of one. */
static void digits_and_sources(void **state)
{
    (void)state;
    static const char text[] = "{\"t\":1,\"s\":\"rest\",\"n\":\"so\\\"uth\",\"x\":\"00fFA\"}";
    char *copy;
    char bytes[3] = {1, 2, 3};
    assert_int_equal(parse(text, sizeof text - 1, &copy), KX_JSON_OK);
    assert_true(line.hex);
    assert_text(line.frame, "00fFA");
    assert_text(line.source, "so\\\"uth");
    assert_false(kx_capture_unhex(line.frame, bytes)); /* half a byte */
    line.frame.length--;
    assert_true(kx_capture_unhex(line.frame, bytes));
    assert_memory_equal(bytes, "\0\xFF\3", 3);
    assert_false(kx_capture_unhex((struct kx_json_text){"0g", 2}, bytes));
    assert_false(kx_capture_unhex((struct kx_json_text){"@0", 2}, bytes));
    assert_true(kx_capture_unhex((struct kx_json_text){"", 0}, bytes));
    free(copy);
    static const char both[] = "{\"t\":1,\"s\":\"a\",\"x\":\"00\",\"d\":{},\"n\":5}";
    assert_int_equal(parse(both, sizeof both - 1, &copy), KX_JSON_OK);
    assert_false(line.hex);
    assert_text(line.frame, "{}");
    assert_null(line.source.data);
    free(copy);
    static const char none[] = "{\"t\":1,\"s\":\"a\",\"x\":{}}";
    assert_int_equal(parse(none, sizeof none - 1, &copy), KX_JSON_NO_KEY);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(no_lines),
        cmocka_unit_test(endless_digits),
        cmocka_unit_test(a_capture),
        cmocka_unit_test(digits_and_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
