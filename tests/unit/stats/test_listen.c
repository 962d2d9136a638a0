/* Places to listen: what is one, what is taken, what is left behind; the page's policy. */
#include "stats/listen.h"
#include "stats/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_places(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1:2502", "[::1]:0",     "0.0.0.0:65535",
                                       "localhost:1",    "/run/x.sock", "off"};
    static const char *const bad[] = {"",
                                      "x",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:x",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:-1",
                                      "127.0.0.1: 1",
                                      "example.net:1",
                                      ":2502",
                                      "[::1]",
                                      "[x]:1",
                                      "::1:2502",
                                      "http://127.0.0.1:1",
                                      "[:1",
                                      "127.0.0.1:99999999999999999999"};
    struct kx_listen listen;
    struct kx_error err = {0};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(kx_listen_parse(good[i], &listen, &err), KX_OK);
        assert_int_equal(listen.off, strcmp(good[i], "off") == 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (kx_listen_parse(bad[i], &listen, &err) != KX_ERR_CONFIG)
            fail_msg("%s is taken", bad[i]);
        assert_non_null(strstr(err.text, "or off"));
    }
    char path[200];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(kx_listen_parse(path, &listen, &err), KX_ERR_CONFIG);
}

static void test_a_port(void **state)
{
    (void)state;
    struct kx_listen listen;
    struct kx_error err;
    char words[KX_LISTEN_TEXT_MAX];
    int first, second;
    assert_int_equal(kx_listen_parse("127.0.0.1:0", &listen, &err), KX_OK);
    assert_int_equal(kx_listen_open(&listen, false, &first, words, &err), KX_OK);
    unsigned port = 0;
    assert_int_equal(sscanf(words, "http://127.0.0.1:%u/", &port), 1);
    assert_true(port > 0);
    char text[64];
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    struct kx_listen same;
    assert_int_equal(kx_listen_parse(text, &same, &err), KX_OK);
    assert_int_equal(kx_listen_open(&same, true, &second, words, &err), KX_ERR_UNAVAILABLE);
    kx_listen_close(&listen, first);
    assert_int_equal(kx_listen_open(&same, true, &second, words, &err), KX_OK);
    assert_int_equal(strncmp(words, "https://127.0.0.1:", 18), 0);
    kx_listen_close(&same, second);
}

static void test_a_unix_socket(void **state)
{
    (void)state;
    char folder[] = "/tmp/kx-listen-XXXXXX";
    char path[64];
    char words[KX_LISTEN_TEXT_MAX];
    struct kx_listen listen;
    struct kx_error err;
    struct stat status;
    int first, second;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/stats.sock", folder);
    assert_int_equal(kx_listen_parse(path, &listen, &err), KX_OK);
    assert_int_equal(kx_listen_open(&listen, false, &first, words, &err), KX_OK);
    assert_int_equal(strncmp(words, "unix:/tmp/", 10), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    /* Somebody listens: it stays his. */
    assert_int_equal(kx_listen_open(&listen, false, &second, words, &err), KX_ERR_UNAVAILABLE);
    assert_int_equal(stat(path, &status), 0);
    /* Left behind by somebody who is gone: taken over. */
    close(first);
    assert_int_equal(kx_listen_open(&listen, false, &second, words, &err), KX_OK);
    kx_listen_close(&listen, second);
    assert_int_equal(stat(path, &status), -1);
    /* A file that is no socket is nobody's to remove. */
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(kx_listen_open(&listen, false, &second, words, &err), KX_ERR_UNAVAILABLE);
    assert_int_equal(unlink(path), 0);
    rmdir(folder);
}

static void policy(const char *html, const char *expected)
{
    struct kx_buf out;
    kx_buf_init(&out, 4096);
    kx_page_policy(&out, html, strlen(html));
    kx_buf_byte(&out, '\0');
    assert_false(out.failed);
    if (strstr(out.data, expected) == NULL)
        fail_msg("no %s in %s", expected, out.data);
    assert_null(strstr(out.data, "unsafe"));
    kx_buf_fini(&out);
}

static void test_page_policy(void **state)
{
    (void)state;
    policy("<p>", "default-src 'none'; script-src 'none'; style-src 'none'; connect-src 'self'");
    /* printf 'alert(1)' | openssl dgst -sha256 -binary | base64 */
    policy("<script>alert(1)</script><style></style>",
           "script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='; style-src 'sha256-"
           "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; ");
    policy("<script>alert(1)", "script-src 'none'; ");
    assert_true(kx_page_html_length > 100);
    assert_int_equal(memcmp(kx_page_html, "<!DOCTYPE html>", 15), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_a_port),
        cmocka_unit_test(test_a_unix_socket),
        cmocka_unit_test(test_page_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
