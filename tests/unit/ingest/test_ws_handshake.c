/*
 * The opening handshake: the request's bytes, what may not get into it, the answer cut at every
 * byte, every refusal with its remedy, and every answer that is not believed.
 */
#include "ingest/ws.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The example of RFC 6455, sections 1.3 and 4.1. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
static const uint8_t nonce[16] = {'t', 'h', 'e', ' ', 's', 'a', 'm', 'p',
                                  'l', 'e', ' ', 'n', 'o', 'n', 'c', 'e'};

/* ------------------------------------------------------------------ the request */

static void the_request_of_the_rfc(void **state)
{
    (void)state;
    static const char *const headers[] = {"Cookie: KISMET=0123456789ABCDEF", "User-Agent: a b"};
    struct kx_buf out;
    kx_buf_init(&out, 4096);
    char key[KX_WS_KEY_BYTES];
    struct kx_error err;
    assert_int_equal(
        kx_ws_request(&out, "/devices/monitor.ws?a=b", "[::1]:2501", headers, 2, nonce, key, &err),
        KX_OK);
    assert_string_equal(key, KEY);
    static const char wanted[] = "GET /devices/monitor.ws?a=b HTTP/1.1\r\n"
                                 "Host: [::1]:2501\r\n"
                                 "Upgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Key: " KEY "\r\n"
                                 "Sec-WebSocket-Version: 13\r\n"
                                 "Cookie: KISMET=0123456789ABCDEF\r\n"
                                 "User-Agent: a b\r\n"
                                 "\r\n";
    assert_int_equal(out.length, sizeof wanted - 1);
    assert_memory_equal(out.data, wanted, sizeof wanted - 1);
    kx_buf_fini(&out);
}

static void nothing_gets_into_the_request_that_ends_it(void **state)
{
    (void)state;
    static const struct {
        const char *target, *host, *header, *wanted;
    } cases[] = {
        {"", "h", NULL, "begin with /"},
        {"devices", "h", NULL, "begin with /"},
        {"/a b", "h", NULL, "blanks"},
        {"/a\r\nX: y", "h", NULL, "blanks"},
        {"/\x7f", "h", NULL, "blanks"},
        {"/\xc3\xa4", "h", NULL, "percent"},
        {"/", "", NULL, "host"},
        {"/", "h\n", NULL, "host"},
        {"/", "h x", NULL, "host"},
        {"/", "h", "Cookie: KISMET=secret\n", "Cookie"},
        {"/", "h", "Cookie: KISMET=secret\r\nX: y", "Cookie"},
        {"/", "h", "Cookie: KISMET=\tsecret", "Cookie"},
        {"/", "h", "Cookie", "Name: value"},
        {"/", "h", "secret secret: x", "Name: value"},
        {"/", "h", "", "Name: value"},
        {"/", "h", ": secret", "Name: value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kx_buf out;
        kx_buf_init(&out, 4096);
        kx_buf_text(&out, "before");
        char key[KX_WS_KEY_BYTES] = "untouched";
        struct kx_error err;
        const char *headers[] = {"Good: one", cases[i].header};
        assert_int_equal(kx_ws_request(&out, cases[i].target, cases[i].host, headers,
                                       cases[i].header != NULL ? 2 : 1, nonce, key, &err),
                         KX_ERR_CONFIG);
        assert_non_null(strstr(err.text, cases[i].wanted));
        assert_null(strstr(err.text, "secret"));
        assert_string_equal(key, "untouched");
        assert_int_equal(out.length, 6);
        assert_false(out.failed);
        kx_buf_fini(&out);
    }
}

static void a_request_over_the_limit_is_refused(void **state)
{
    (void)state;
    char key[KX_WS_KEY_BYTES] = "untouched";
    struct kx_error err;
    struct kx_buf out;
    kx_buf_init(&out, 100);
    assert_int_equal(kx_ws_request(&out, "/", "h", NULL, 0, nonce, key, &err), KX_ERR_LIMIT);
    assert_non_null(strstr(err.text, "100 bytes"));
    assert_int_equal(out.length, 0);
    assert_string_equal(key, "untouched");
    kx_buf_fini(&out);
}

/* ------------------------------------------------------------------ the answer */

/* Reads an answer out of memory that ends where it ends, so that a sanitizer sees a byte too far.
 */
static enum kx_code
answer(const char *text, size_t length, struct kx_ws_response *response, struct kx_error *err)
{
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    const enum kx_code code = kx_ws_response(copy, length, KEY, response, err);
    free(copy);
    return code;
}

static void assert_upgraded(const char *head)
{
    struct kx_ws_response response;
    struct kx_error err = {0};
    const enum kx_code code = answer(head, strlen(head), &response, &err);
    if (code != KX_OK)
        fail_msg("%s: %s", head, err.text);
    assert_int_equal(response.status, 101);
    assert_int_equal(response.consumed, strlen(head));
}

static void good_answers(void **state)
{
    (void)state;
    assert_upgraded(SWITCHING UPGRADE ACCEPT "\r\n");
    assert_upgraded("HTTP/1.0 101\r\n" UPGRADE ACCEPT "\r\n");
    assert_upgraded("HTTP/1.1 101 \r\n" ACCEPT UPGRADE "\r\n");
    assert_upgraded(SWITCHING "UPGRADE:WebSocket\r\ncONNECTION:\tkeep-alive , uPGRADE\t \r\n"
                              "SEC-WEBSOCKET-ACCEPT:s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n\r\n");
    assert_upgraded(SWITCHING "Connection: keep-alive\r\n" UPGRADE "Server: Kismet\r\n" ACCEPT
                              "X-Empty:\r\nSec-WebSocket-Extensions:\r\n\r\n");
    assert_upgraded(SWITCHING UPGRADE "Connection: close\r\nUpgrade: h2c\r\n" ACCEPT "\r\n");
    assert_upgraded(SWITCHING UPGRADE ACCEPT "X-Latin: \xe4\xff\r\n\r\n");
}

static void an_answer_cut_at_every_byte(void **state)
{
    (void)state;
    static const char head[] = SWITCHING UPGRADE ACCEPT "Server: Kismet\r\n\r\n";
    static const char stream[] = SWITCHING UPGRADE ACCEPT "Server: Kismet\r\n\r\n"
                                                          "\x81\x05"
                                                          "hello\r\n\r\n";
    const size_t whole = sizeof head - 1;
    for (size_t length = 0; length < sizeof stream; length++) {
        struct kx_ws_response response = {.status = -7};
        struct kx_error err;
        assert_int_equal(answer(stream, length, &response, &err), KX_OK);
        assert_int_equal(response.status, length < whole ? 0 : 101);
        assert_int_equal(response.consumed, length < whole ? 0 : whole);
        assert_int_equal(response.retry_after_s, -1);
    }
}

static void refusals_say_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        enum kx_code code;
        int status;
        const char *wanted;
    } cases[] = {
        {"HTTP/1.1 401 Unauthorized\r\n\r\n", KX_ERR_AUTH, 401, "role readonly"},
        {"HTTP/1.0 403 Forbidden\r\n\r\n", KX_ERR_UNAVAILABLE, 403, "proxy"},
        {"HTTP/1.1 404 Not Found\r\n\r\n", KX_ERR_NOT_FOUND, 404, "prefix"},
        {"HTTP/1.1 200 OK\r\n\r\n", KX_ERR_UNAVAILABLE, 200, "Upgrade"},
        {"HTTP/1.1 100 Continue\r\n\r\n", KX_ERR_UNAVAILABLE, 100, "answers 100"},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", KX_ERR_UNAVAILABLE, 400, "Upgrade"},
        {"HTTP/1.1 426 Upgrade Required\r\n\r\n", KX_ERR_UNAVAILABLE, 426, "Upgrade"},
        {"HTTP/1.1 429 Slow\r\n\r\n", KX_ERR_UNAVAILABLE, 429, "busy"},
        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", KX_ERR_UNAVAILABLE, 502, "is Kismet running"},
        {"HTTP/1.1 503 Busy\r\n\r\n", KX_ERR_UNAVAILABLE, 503, "busy"},
        {"HTTP/1.1 504\r\n\r\n", KX_ERR_UNAVAILABLE, 504, "is Kismet running"},
        {"HTTP/1.1 599 ?\r\n\r\n", KX_ERR_UNAVAILABLE, 599, "answers 599"},
        /* A refusal stays one, whatever else stands there. */
        {"HTTP/1.1 401 No\r\n" UPGRADE ACCEPT "\r\nbody", KX_ERR_AUTH, 401, "role readonly"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kx_ws_response response = {0};
        struct kx_error err = {0};
        const size_t length = strlen(cases[i].head);
        assert_int_equal(answer(cases[i].head, length, &response, &err), cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(response.status, cases[i].status);
        assert_non_null(strstr(err.text, cases[i].wanted));
        assert_null(strstr(err.text, "..."));
        const char *end = strstr(cases[i].head, "\r\n\r\n");
        assert_int_equal(response.consumed, (size_t)(end - cases[i].head) + 4);
    }
}

static void retry_after_in_seconds(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int wanted;
    } cases[] = {{"0", 0},
                 {" 120 ", 120},
                 {"2147483647", INT_MAX},
                 {"2147483648", INT_MAX},
                 {"99999999999999999999", INT_MAX},
                 {"", -1},
                 {"-1", -1},
                 {"1.5", -1},
                 {"Fri, 31 Dec 2027 23:59:59 GMT", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[128];
        const int length = snprintf(head, sizeof head,
                                    "HTTP/1.1 503 Busy\r\nretry-AFTER: %s\r\n\r\n", cases[i].value);
        struct kx_ws_response response;
        assert_int_equal(answer(head, (size_t)length, &response, NULL), KX_ERR_UNAVAILABLE);
        assert_int_equal(response.retry_after_s, cases[i].wanted);
    }
}

static void a_redirect_names_its_place_but_no_secret(void **state)
{
    (void)state;
    static const struct {
        const char *location, *shown;
    } cases[] = {
        {"Location: https://k.example/x/monitor.ws\r\n", " to https://k.example/x/monitor.ws:"},
        {"Location: https://k.example/x?KISMET=secret\r\n", " to https://k.example/x:"},
        {"Location: https://u:secret@k.example/x\r\n", " to another address:"},
        {"", " to another address:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[256];
        snprintf(head, sizeof head, "HTTP/1.1 308 Moved\r\n%s\r\n", cases[i].location);
        struct kx_ws_response response;
        struct kx_error err;
        assert_int_equal(kx_ws_response(head, strlen(head), KEY, &response, &err),
                         KX_ERR_UNAVAILABLE);
        assert_non_null(strstr(err.text, cases[i].shown));
        assert_null(strstr(err.text, "secret"));
        if (cases[i].location[0] == '\0') {
            assert_null(response.location);
        } else {
            assert_int_equal(response.location_length, strlen(cases[i].location) - 12);
            assert_memory_equal(response.location, cases[i].location + 10,
                                response.location_length);
        }
    }
    static const int statuses[] = {301, 302, 303, 307};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char head[64];
        snprintf(head, sizeof head, "HTTP/1.1 %d\r\nLocation: /y\r\n\r\n", statuses[i]);
        struct kx_ws_response response;
        struct kx_error err;
        assert_int_equal(kx_ws_response(head, strlen(head), KEY, &response, &err),
                         KX_ERR_UNAVAILABLE);
        assert_non_null(strstr(err.text, " to /y:"));
    }
}

/* What a whole head of 101 is not believed for; also in pieces, where the error may come no later
 * than with the last byte. */
static void answers_that_are_not_believed(void **state)
{
    (void)state;
    static const struct {
        const char *head, *wanted;
    } cases[] = {
        {SWITCHING ACCEPT "\r\n", "without Upgrade"},
        {SWITCHING "Upgrade: websocket\r\n" ACCEPT "\r\n", "without Upgrade"},
        {SWITCHING "Connection: Upgrade\r\n" ACCEPT "\r\n", "without Upgrade"},
        {SWITCHING "Upgrade: h2c\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", "without Upgrade"},
        {SWITCHING "Upgrade: websocket\r\nConnection: Upgrades\r\n" ACCEPT "\r\n",
         "without Upgrade"},
        {SWITCHING UPGRADE "\r\n", "no Sec-WebSocket-Accept"},
        {SWITCHING UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n\r\n", "wrong"},
        {SWITCHING UPGRADE "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", "wrong"},
        {SWITCHING UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n\r\n", "wrong"},
        {SWITCHING UPGRADE "Sec-WebSocket-Accept:\r\n\r\n", "wrong"},
        {SWITCHING UPGRADE ACCEPT ACCEPT "\r\n", "two Sec-WebSocket-Accept"},
        {SWITCHING UPGRADE ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         "extension"},
        {SWITCHING UPGRADE ACCEPT "Sec-WebSocket-Protocol: kismet\r\n\r\n", "subprotocol"},
        {SWITCHING UPGRADE ACCEPT "X: a\r\n b\r\n\r\n", "folded"},
        {SWITCHING "\tX: a\r\n" UPGRADE ACCEPT "\r\n", "folded"},
        {SWITCHING UPGRADE ACCEPT "no colon\r\n\r\n", "colon"},
        {SWITCHING UPGRADE ACCEPT "word\r\n\r\n", "colon"},
        {SWITCHING UPGRADE ACCEPT ": value\r\n\r\n", "colon"},
        {SWITCHING UPGRADE ACCEPT "Name : value\r\n\r\n", "colon"},
        {SWITCHING UPGRADE ACCEPT "X: a\nY: b\r\n\r\n", "control byte"},
        {SWITCHING UPGRADE ACCEPT "X: a\rY: b\r\n\r\n", "control byte"},
        {SWITCHING UPGRADE ACCEPT "X: \x1b[31m\r\n\r\n", "control byte"},
        {"HTTP/1.2 101 x\r\n" UPGRADE ACCEPT "\r\n", "status line"},
        {"HTTP/1.1  101 x\r\n" UPGRADE ACCEPT "\r\n", "status line"},
        {"HTTP/1.1 1010\r\n" UPGRADE ACCEPT "\r\n", "status line"},
        {"HTTP/1.1 10\r\n" UPGRADE ACCEPT "\r\n", "status line"},
        {"HTTP/1.1 1x1 x\r\n" UPGRADE ACCEPT "\r\n", "status line"},
        {"HTTP/1.1 099 x\r\n\r\n", "status line"},
        {"HTTP/1.1 600 x\r\n\r\n", "status line"},
        {"HTTP/1.1\r\n\r\n", "status line"},
        {"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "not HTTP/1"},
        {"HTTP/2 101\r\n\r\n", "not HTTP/1"},
        {"\r\n\r\n", "not HTTP/1"},
        {"\x15\x03\x01\x02\x02P\r\n\r\n", "https://"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t length = strlen(cases[i].head);
        enum kx_code code = KX_OK;
        struct kx_error err = {0};
        struct kx_ws_response response = {.status = -7};
        for (size_t cut = 1; cut <= length && code == KX_OK; cut++)
            code = answer(cases[i].head, cut, &response, &err);
        if (code != KX_ERR_PROTOCOL || strstr(err.text, cases[i].wanted) == NULL)
            fail_msg("%s: %d %s", cases[i].head, (int)code, err.text);
        assert_int_equal(answer(cases[i].head, length, &response, &err), KX_ERR_PROTOCOL);
    }
}

static void an_answer_of_another_protocol_is_seen_at_its_first_byte(void **state)
{
    (void)state;
    struct kx_ws_response response = {.status = -7};
    struct kx_error err;
    assert_int_equal(answer("\x15", 1, &response, &err), KX_ERR_PROTOCOL);
    assert_int_equal(answer("S", 1, &response, &err), KX_ERR_PROTOCOL);
    assert_int_equal(response.status, -7);
}

static void a_head_of_16_kib_and_not_one_byte_more(void **state)
{
    (void)state;
    static const char start[] = SWITCHING UPGRADE ACCEPT "X: ";
    for (size_t over = 0; over <= 1; over++) {
        const size_t length = KX_WS_RESPONSE_MAX + over;
        char *head = malloc(length + 100);
        assert_non_null(head);
        memset(head, 'x', length + 100);
        memcpy(head, start, sizeof start - 1);
        memcpy(head + length - 4, "\r\n\r\n", 4);
        struct kx_ws_response response;
        struct kx_error err;
        assert_int_equal(answer(head, KX_WS_RESPONSE_MAX - 1, &response, &err), KX_OK);
        assert_int_equal(response.status, 0);
        if (over == 1) /* 16 KiB are here and no end is */
            assert_int_equal(answer(head, KX_WS_RESPONSE_MAX, &response, &err), KX_ERR_PROTOCOL);
        for (size_t behind = 0; behind <= 100; behind += 100) {
            const enum kx_code code = answer(head, length + behind, &response, &err);
            assert_int_equal(code, over == 0 ? KX_OK : KX_ERR_PROTOCOL);
            if (over == 0)
                assert_int_equal(response.consumed, KX_WS_RESPONSE_MAX);
            else
                assert_non_null(strstr(err.text, "16 KiB"));
        }
        free(head);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_of_the_rfc),
        cmocka_unit_test(nothing_gets_into_the_request_that_ends_it),
        cmocka_unit_test(a_request_over_the_limit_is_refused),
        cmocka_unit_test(good_answers),
        cmocka_unit_test(an_answer_cut_at_every_byte),
        cmocka_unit_test(refusals_say_what_to_do),
        cmocka_unit_test(retry_after_in_seconds),
        cmocka_unit_test(a_redirect_names_its_place_but_no_secret),
        cmocka_unit_test(answers_that_are_not_believed),
        cmocka_unit_test(an_answer_of_another_protocol_is_seen_at_its_first_byte),
        cmocka_unit_test(a_head_of_16_kib_and_not_one_byte_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
