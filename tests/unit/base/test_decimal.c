/* Numbers as text: against printf and strtod, at every edge, at random, and under a locale with a
 * comma. */
#include "base/decimal.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The double `steps` above (or below) in the order of all of that sign; not past 0. */
static double neighbour(double value, int64_t steps)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += (uint64_t)steps;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void check_integer(uint64_t value)
{
    char expected[KX_DECIMAL_MAX];
    char out[KX_DECIMAL_MAX];
    int length = snprintf(expected, sizeof expected, "%" PRIu64, value);
    assert_int_equal(kx_decimal_u64(value, out), length);
    assert_memory_equal(out, expected, (size_t)length);
    length = snprintf(expected, sizeof expected, "%" PRId64, (int64_t)value);
    assert_int_equal(kx_decimal_i64((int64_t)value, out), length);
    assert_memory_equal(out, expected, (size_t)length);
}

static void test_integers(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (uint64_t value = 0; value < 20000; value++)
        check_integer(value);
    for (uint64_t power = 1;; power *= 10) {
        for (uint64_t near = 0; near < 3; near++) {
            check_integer(power + near);
            check_integer(power - near);
            check_integer(0 - power + near);
            check_integer(0 - power - near);
        }
        if (power == 10000000000000000000u)
            break;
    }
    check_integer(UINT64_MAX);
    check_integer((uint64_t)INT64_MIN);
    check_integer((uint64_t)INT64_MAX);
    for (int i = 0; i < 100000; i++) {
        uint64_t value = next_random(&random);
        check_integer(value >> (value & 63));
    }
}

static size_t check_f64(double value, char text[KX_DECIMAL_MAX + 1])
{
    size_t length = kx_decimal_f64(value, text);
    assert_in_range(length, 1, KX_DECIMAL_MAX);
    text[length] = '\0';
    assert_int_equal(strspn(text, "0123456789.e+-"), length);
    assert_true(text[0] == '-' || (text[0] >= '0' && text[0] <= '9'));
    char *end;
    double back = strtod(text, &end);
    assert_int_equal(*end, '\0');
    if (value == 0)
        assert_string_equal(text, "0");
    else
        assert_memory_equal(&back, &value, sizeof value);
    return length;
}

static void test_doubles_as_text(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {-1, "-1"},
        {0.5, "0.5"},
        {-0.1, "-0.1"},
        {10, "10"},
        {51.1234567, "51.1234567"},
        {-122.0000001, "-122.0000001"},
        {179.99, "179.99"},
        {1e-7, "0.0000001"},
        {1.5e-7, "1.5e-07"},
        {1e-8, "1e-08"},
        {-5e-324, "-4.94065645841247e-324"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.33333333333333331"},
        {51.12345678, "51.12345678"},
        {900719924.0, "900719924"},
        {900719923.5, "900719923.5"},
        {900719926.25, "900719926.25"},
        {9007199254740991.0, "9007199254740991"},
        {9007199254740992.0, "9007199254740992"},
        {-9007199254740992.0, "-9007199254740992"},
        {9007199254740994.0, "9007199254740994"},
        {1e15, "1000000000000000"},
        {1e16, "1e+16"},
        {1e22, "1e+22"},
        {-1.7976931348623157e308, "-1.7976931348623157e+308"},
        {1736000000.123456, "1736000000.123456"},
    };
    char text[KX_DECIMAL_MAX + 1];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_f64(rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
    assert_int_equal(kx_decimal_f64((double)NAN, text), 0);
    assert_int_equal(kx_decimal_f64((double)INFINITY, text), 0);
    assert_int_equal(kx_decimal_f64(-(double)INFINITY, text), 0);
}

/* A coordinate as people write it comes out as they wrote it. */
static void test_coordinates(void **state)
{
    (void)state;
    uint64_t random = 2463534242u;
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = next_random(&random);
        unsigned decimals = (unsigned)(bits >> 60) % 8;
        char expected[64];
        char text[KX_DECIMAL_MAX + 1];
        int length = snprintf(expected, sizeof expected, "%s%u.%07u", bits & 1 ? "-" : "",
                              (unsigned)(bits >> 8) % 181, (unsigned)(bits >> 20) % 10000000);
        length -= 7 - (int)decimals;
        expected[length] = '\0';
        double value = strtod(expected, NULL);
        if (strchr(expected, '.') != NULL) {
            while (expected[length - 1] == '0')
                expected[--length] = '\0';
            if (expected[length - 1] == '.')
                expected[--length] = '\0';
        }
        check_f64(value, text);
        if (value == 0)
            assert_string_equal(text, "0");
        else
            assert_string_equal(text, expected);
    }
}

/* The smallest steps of a coordinate stay in fixed point. */
static void test_small_steps(void **state)
{
    (void)state;
    for (unsigned step = 1; step < 10000; step++) {
        char expected[32];
        char text[KX_DECIMAL_MAX + 1];
        int length = snprintf(expected, sizeof expected, "0.000%04u", step);
        double value = strtod(expected, NULL);
        while (expected[length - 1] == '0')
            expected[--length] = '\0';
        check_f64(value, text);
        assert_string_equal(text, expected);
    }
}

static void test_doubles_read_back(void **state)
{
    (void)state;
    char text[KX_DECIMAL_MAX + 1];
    uint64_t random = 1234567890123u;
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = next_random(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            check_f64(value, text);
        /* The neighbours of short decimals, where scaling is nearly exact. */
        double near = (double)(int64_t)(bits % 18000000000u) / 1e7;
        check_f64(near, text);
        check_f64(neighbour(near, 1), text);
        check_f64(neighbour(near + 1, -1), text);
        check_f64(ldexp((double)(bits >> 11), (int)(bits % 80) - 60), text);
    }
    for (int exponent = -1074; exponent < 1024; exponent++) {
        check_f64(ldexp(1, exponent), text);
        check_f64(-neighbour(ldexp(1, exponent), -1), text);
    }
    /* Both sides of the largest number that is scaled. */
    double edge = 900719925.4740992;
    for (int i = 0; i < 1000; i++) {
        check_f64(edge - i * 0x1p-23, text);
        check_f64(edge + i * 0x1p-23, text);
        check_f64(edge - 1 - i * 0x1p-23, text);
        check_f64(edge - 1 + i * 0x1p-23, text);
    }
}

static void test_point_of_any_locale(void **state)
{
    (void)state;
    static const char *rows[][2] = {
        {"1.5", "1.5"},
        {"1,5", "1.5"},
        {"-1,5e-07", "-1.5e-07"},
        {"1\xd9\xab"
         "5e+22",
         "1.5e+22"},
        {"1'5", "1.5"},
        {"12", "12"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[32];
        strcpy(text, rows[i][0]);
        size_t length = kx_decimal_point(text, strlen(text));
        assert_int_equal(length, strlen(rows[i][1]));
        assert_memory_equal(text, rows[i][1], length);
    }
}

/* A locale with a comma: one that is installed, else one made for this test. */
static bool set_comma_locale(char *directory)
{
    static const char *names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "nl_NL.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (setlocale(LC_ALL, names[i]) != NULL)
            return true;
    char command[256];
    if (mkdtemp(directory) == NULL)
        return false;
    snprintf(command, sizeof command, "localedef -c -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/out 2>&1",
             directory, directory);
    int status = system(command);
    setenv("LOCPATH", directory, 1);
    return status == 0 && setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

static void test_comma_locale(void **state)
{
    (void)state;
    char directory[] = "/tmp/kx-locale-XXXXXX";
    bool found = set_comma_locale(directory);
    char text[KX_DECIMAL_MAX + 1] = "";
    char printed[32] = "";
    size_t lengths[4] = {0};
    char texts[4][KX_DECIMAL_MAX + 1] = {{0}};
    static const double values[4] = {1.0 / 3, 1.5e-7, 51.1234567, -1.7976931348623157e308};
    if (found) {
        snprintf(printed, sizeof printed, "%g", 0.5);
        for (size_t i = 0; i < 4; i++)
            lengths[i] = kx_decimal_f64(values[i], texts[i]);
    }
    setlocale(LC_ALL, "C"); /* before any assertion may leave this function */
    snprintf(text, sizeof text, "rm -rf %.24s", directory);
    if (system(text) != 0 || !found) {
        print_message("no locale with a comma here, and localedef makes none\n");
        skip();
    }
    assert_string_equal(printed, "0,5"); /* else this test proves nothing */
    static const char *expected[4] = {"0.33333333333333331", "1.5e-07", "51.1234567",
                                      "-1.7976931348623157e+308"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(lengths[i], strlen(expected[i]));
        assert_memory_equal(texts[i], expected[i], lengths[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),          cmocka_unit_test(test_doubles_as_text),
        cmocka_unit_test(test_coordinates),       cmocka_unit_test(test_small_steps),
        cmocka_unit_test(test_doubles_read_back), cmocka_unit_test(test_point_of_any_locale),
        cmocka_unit_test(test_comma_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
