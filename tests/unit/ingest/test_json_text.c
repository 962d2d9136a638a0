/*
 * What of JSON we read ourselves: escapes and the number grammar.
 */
#include "ingest/json_text.h"
#include "messages.h"

#define FFFD "\xEF\xBF\xBD"

/* Decodes into memory of just the promised size, for a sanitizer to watch. */
static bool unescape(const char *raw, size_t length, char **ret_text, size_t *ret_length)
{
    struct kx_json_notes notes = {0};
    char *copy = malloc(length > 0 ? length : 1);
    *ret_text = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    assert_non_null(*ret_text);
    memcpy(copy, raw, length);
    const bool good = kx_json_unescape(copy, length, *ret_text, ret_length, &notes);
    free(copy);
    return good;
}

static void every_code_unit(void **state)
{
    (void)state;
    for (unsigned unit = 0; unit <= 0xFFFF; unit++) {
        char raw[8], expected[5];
        snprintf(raw, sizeof raw, unit % 2 == 0 ? "\\u%04x" : "\\u%04X", unit);
        size_t length = 0;
        if (unit == 0 || (unit >= 0xD800 && unit < 0xE000)) {
            memcpy(expected, FFFD, 3);
            length = 3;
        } else if (unit < 0x80) {
            expected[length++] = (char)unit;
        } else if (unit < 0x800) {
            expected[length++] = (char)(0xC0 + unit / 64);
            expected[length++] = (char)(0x80 + unit % 64);
        } else {
            expected[length++] = (char)(0xE0 + unit / 4096);
            expected[length++] = (char)(0x80 + unit / 64 % 64);
            expected[length++] = (char)(0x80 + unit % 64);
        }
        char *text;
        size_t found;
        assert_true(unescape(raw, 6, &text, &found));
        assert_int_equal(found, length);
        assert_memory_equal(text, expected, length);
        free(text);
    }
}

/* The corners of the pairs: U+10000, U+103FF, U+10FC00, U+10FFFF. */
static void pairs(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        const char *text;
    } cases[] = {
        {"\\ud800\\udc00", "\xF0\x90\x80\x80"},
        {"\\ud800\\udfff", "\xF0\x90\x8F\xBF"},
        {"\\udbff\\udc00", "\xF4\x8F\xB0\x80"},
        {"\\uDBFF\\uDFFF", "\xF4\x8F\xBF\xBF"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text;
        size_t length;
        assert_true(unescape(cases[i].raw, strlen(cases[i].raw), &text, &length));
        assert_int_equal(length, 4);
        assert_memory_equal(text, cases[i].text, 4);
        free(text);
    }
}

static void every_letter(void **state)
{
    (void)state;
    static const char known[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    for (unsigned byte = 0; byte <= 0xFF; byte++) {
        const char raw[2] = {'\\', (char)byte};
        const char *at = byte == 0 ? NULL : strchr(known, (char)byte);
        char *text;
        size_t length = 0;
        assert_int_equal(unescape(raw, 2, &text, &length), at != NULL);
        if (at != NULL) {
            assert_int_equal(length, 1);
            assert_int_equal(text[0], meanings[at - known]);
        }
        free(text);
    }
}

static void broken_escapes(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "\\",      "x\\",     "\\u",       "\\u1",          "\\u12",      "\\u123",
        "\\u123g", "\\u 123", "\\u-123",   "\\u0x12",       "\\ud800\\u", "\\ud800\\u1",
        "\\u12:4", "\\u12/4", "\\u12@4",   "\\u12`4",       "\\ud800\\",  "\\ud800\\x",
        "\\u123G", "\\U0041", "\\u00\x80", "\\ud800\\ud80",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char *text;
        size_t length;
        if (unescape(broken[i], strlen(broken[i]), &text, &length))
            fail_msg("%s", broken[i]);
        free(text);
    }
}

static void raw_length(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        size_t length;
        bool escaped;
    } cases[] = {
        {"\"", 0, false},        {"abc\"def\"", 3, false}, {"a\\\"b\"", 4, true},
        {"a\\\\\"b\"", 3, true}, {"\\\"\"", 2, true},      {"\\\\\\\"\"", 4, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool escaped = !cases[i].escaped;
        assert_int_equal(kx_json_raw_length(cases[i].raw, &escaped), cases[i].length);
        assert_int_equal(escaped, cases[i].escaped);
    }
}

static void numbers(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0",     "-0",    "1",    "10",     "-9",
        "0.0",   "-0.5",  "1.25", "1e5",    "1E5",
        "1e+5",  "1e-05", "0e0",  "1.5e10", "1234567890123456789012345",
        "1e400",
    };
    static const char *const bad[] = {
        "",      "-",   "+1",  "01",  "00",  "-01",      ".5",        "5.",    "-.5",      "1e",
        "1e+",   "1e-", "e5",  "1 ",  " 1",  "1x",       "0x10",      "1,5",   "1.5.5",    "1e5.5",
        "1e5e5", "--1", "NaN", "nan", "inf", "Infinity", "-Infinity", "1_000", "\xD9\xA1",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!kx_json_number_valid(good[i], strlen(good[i])))
            fail_msg("\"%s\" is a number", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (kx_json_number_valid(bad[i], strlen(bad[i])))
            fail_msg("\"%s\" is no number", bad[i]);
    }
    assert_true(kx_json_number_valid("123x", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_unit), cmocka_unit_test(pairs),
        cmocka_unit_test(every_letter),    cmocka_unit_test(broken_escapes),
        cmocka_unit_test(raw_length),      cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
