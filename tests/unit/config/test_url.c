/* Addresses: what is taken, what it becomes, and what is refused with which advice. */
#include "config/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void good_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *full, *host;
        unsigned port;
        bool given, loopback;
    } rows[] = {
        {"localhost", "http://localhost:2501", "localhost", 2501, false, true},
        {"http://pi.local", "http://pi.local:2501", "pi.local", 2501, false, false},
        {"HTTP://pi.local:80/", "http://pi.local:80", "pi.local", 80, true, false},
        {"https://x.example/kismet/", "https://x.example:443/kismet", "x.example", 443, false,
         false},
        {"https://x.example:8443/a/b//", "https://x.example:8443/a/b", "x.example", 8443, true,
         false},
        {"127.8.9.1:65535", "http://127.8.9.1:65535", "127.8.9.1", 65535, true, true},
        {"128.0.0.1:1", "http://128.0.0.1:1", "128.0.0.1", 1, true, false},
        {"http://[::1]:2501/", "http://[::1]:2501", "::1", 2501, true, true},
        {"[2001:db8::7]", "http://[2001:db8::7]:2501", "2001:db8::7", 2501, false, false},
        {"fe80::1", "http://[fe80::1]:2501", "fe80::1", 2501, false, false},
        {"http://[fe80::1%eth0]:2502", "http://[fe80::1%eth0]:2502", "fe80::1%eth0", 2502, true,
         false},
        {"LOCALHOST", "http://LOCALHOST:2501", "LOCALHOST", 2501, false, true},
        {"h/a%20b", "http://h:2501/a%20b", "h", 2501, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kx_url url;
        struct kx_url again;
        struct kx_error err = {0};
        char text[KX_URL_TEXT_MAX];
        if (kx_url_parse(rows[i].text, &url, &err) != KX_OK)
            fail_msg("%s: %s", rows[i].text, err.text);
        kx_url_text(&url, text);
        assert_string_equal(text, rows[i].full);
        assert_string_equal(url.host, rows[i].host);
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.port_given, rows[i].given);
        assert_int_equal(url.tls, strncmp(rows[i].full, "https", 5) == 0);
        assert_int_equal(kx_url_is_loopback(&url), rows[i].loopback);
        assert_int_equal(kx_url_parse(text, &again, &err), KX_OK); /* the full form is stable */
        assert_string_equal(again.prefix, url.prefix);
    }
}

static void bad_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "the host name is missing"},
        {"http://", "the host name is missing"},
        {"http:///path", "the host name is missing"},
        {"http://:2501", "the host name is missing"},
        {"ws://pi", "write http://"},
        {"wss://pi", "write https://"},
        {"WSS://pi", "write https://"},
        {"ftp://pi", "begins with http:// or https://"},
        {"http://me:hunter2@pi:2501", "api_key_file"},
        {"me@pi", "user and password_file"},
        {"http://pi:", "the port after ':' is missing"},
        {"http://pi:0", "from 1 to 65535"},
        {"http://pi:65536", "from 1 to 65535"},
        {"http://pi:99999999999999999999", "from 1 to 65535"},
        {"http://pi:25o1", "from 1 to 65535"},
        {"http://pi:+1", "from 1 to 65535"},
        {"http://[::1", "'[' without ']'"},
        {"http://[::1]2501", "after ']' comes ':'"},
        {"http://[pi]", "no IPv6 address"},
        {"http://[1:2:3:4:5:6:7:8:1:2:3:4:5:6:7:8:1:2:3:4:5:6:7:8]", "no IPv6 address"},
        {"http://[]", "the host name is missing"},
        {"http://[::1%]", "no IPv6 address"},
        {"1:2:3", "no IPv6 address"},
        {"http://pi_\xc3\xa4", "no host name"},
        {"http://-pi", "no host name"},
        {"http://pi?KISMET=abc", "has no '?'"},
        {"http://pi/x#y", "has no '#'"},
        {"http://pi/a\"b", "%22"},
        {"http://pi/\xc3\xa4", "%C3"},
        {"http://pi\r\nCookie: x", "control byte"},
        {"http://p i", "a space or a control byte"},
        {"http://pi/\x7f", "control byte"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kx_url url = {.port = 7};
        struct kx_error err = {0};
        if (kx_url_parse(rows[i].text, &url, &err) != KX_ERR_CONFIG)
            fail_msg("'%s' was taken", rows[i].text);
        if (strstr(err.text, rows[i].words) == NULL)
            fail_msg("'%s': %s", rows[i].text, err.text);
        assert_int_equal(url.port, 7);
        assert_null(strstr(err.text, "hunter2"));
    }
}

/* A host or prefix one byte too long, and the longest that fits. */
static void lengths(void **state)
{
    (void)state;
    char text[2048];
    struct kx_url url;
    struct kx_error err = {0};
    for (int more = 0; more < 2; more++) {
        enum kx_code wanted = more == 0 ? KX_OK : KX_ERR_CONFIG;
        char filler[1024];
        memset(filler, 'a', sizeof filler);
        snprintf(text, sizeof text, "http://%.*s", KX_URL_HOST_MAX - 1 + more, filler);
        assert_int_equal(kx_url_parse(text, &url, &err), wanted);
        snprintf(text, sizeof text, "http://h/%.*s", KX_URL_PREFIX_MAX - 2 + more, filler);
        assert_int_equal(kx_url_parse(text, &url, &err), wanted);
    }
    char full[KX_URL_TEXT_MAX];
    snprintf(text, sizeof text, "http://h");
    assert_int_equal(kx_url_parse(text, &url, &err), KX_OK);
    memset(url.host, 'h', sizeof url.host - 1); /* the longest full form is not cut */
    memset(url.prefix, 'p', sizeof url.prefix - 1);
    url.tls = true;
    url.port = 65535;
    kx_url_text(&url, full);
    assert_int_equal(strlen(full),
                     strlen("https://:65535") + KX_URL_HOST_MAX - 1 + KX_URL_PREFIX_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses),
        cmocka_unit_test(bad_addresses),
        cmocka_unit_test(lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
