/*
 * What a status means, row by row; Retry-After in both its forms; what is shown of an answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "records.h"
#include "sinks/http.h"
#include <stdio.h>

#define S(seconds) (KX_NS_PER_S * (uint64_t)(seconds))

enum { MAC_BYTES = 18 };

struct fixture {
    struct box box;
    struct kx_http *http;
    struct kx_secret secret;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    box_init(&f->box);
    for (unsigned i = 0; i < 4; i++) {
        char mac[MAC_BYTES];
        snprintf(mac, sizeof mac, "02:00:00:00:00:%02X", i);
        box_device(&f->box, &(struct device_spec){.mac = mac, .last_seen = 1737131445});
    }
    struct kx_http_params params = {.who = "http://db:8086"};
    assert_int_equal(kx_http_create(&f->http, &params, NULL), KX_OK);
    assert_int_equal(kx_secret_set(&f->secret, "tops3cret", NULL), KX_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    kx_http_destroy(f->http);
    kx_secret_fini(&f->secret);
    box_fini(&f->box);
    free(f);
    return 0;
}

static enum kx_outcome judge(struct fixture *f,
                             long status,
                             const char *body,
                             const struct kx_http_rule *own,
                             size_t own_count,
                             struct kx_error *err)
{
    struct kx_http_request request = {.url = "http://db:8086/?x", .secret = &f->secret};
    struct kx_http_answer answer = {
        .status = status, .body = body, .length = strlen(body), .retry_after_ns = S(7)};
    f->box.batch.retry_after_ns = f->box.batch.bytes_max = 0;
    f->box.batch.reason[0] = '\0';
    return kx_http_judge(f->http, &request, &answer, own, own_count, &f->box.batch, err);
}

static const struct {
    long status;
    enum kx_outcome outcome;
} rows[] = {
    {200, KX_SENT},  {201, KX_SENT},     {202, KX_SENT},     {204, KX_SENT},  {299, KX_SENT},
    {301, KX_HOLD},  {302, KX_HOLD},     {307, KX_HOLD},     {308, KX_HOLD},  {400, KX_REJECTED},
    {401, KX_HOLD},  {402, KX_HOLD},     {403, KX_HOLD},     {404, KX_HOLD},  {405, KX_HOLD},
    {406, KX_RETRY}, {407, KX_HOLD},     {408, KX_RETRY},    {409, KX_RETRY}, {410, KX_HOLD},
    {411, KX_HOLD},  {412, KX_RETRY},    {413, KX_REJECTED}, {415, KX_HOLD},  {418, KX_RETRY},
    {421, KX_RETRY}, {422, KX_REJECTED}, {425, KX_RETRY},    {429, KX_RETRY}, {499, KX_RETRY},
    {500, KX_RETRY}, {501, KX_RETRY},    {502, KX_RETRY},    {503, KX_RETRY}, {504, KX_RETRY},
    {507, KX_RETRY}, {520, KX_RETRY},    {599, KX_RETRY},    {0, KX_RETRY},   {199, KX_RETRY},
    {600, KX_RETRY}, {1000, KX_RETRY},   {-1, KX_RETRY},
};

static void test_each_status(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kx_error err = {0};
        char word[64];
        enum kx_outcome outcome = judge(f, rows[i].status, "no", NULL, 0, &err);
        if (outcome != rows[i].outcome)
            fail_msg("%ld is %d", rows[i].status, (int)outcome);
        if (outcome == KX_SENT) {
            assert_string_equal(err.text, "");
            assert_string_equal(f->box.batch.reason, "");
            continue;
        }
        snprintf(word, sizeof word, "http://db:8086 answers %ld: no", rows[i].status);
        assert_memory_equal(err.text, word, strlen(word));
        snprintf(word, sizeof word, "%ld", rows[i].status);
        assert_string_equal(f->box.batch.reason, word);
        /* Who is to be asked again is asked when it said. */
        assert_int_equal(f->box.batch.retry_after_ns, outcome == KX_RETRY ? S(7) : 0);
        assert_int_equal(err.code == KX_ERR_AUTH, rows[i].status == 401);
    }
}

static void test_too_large_is_halved(void **state)
{
    struct fixture *f = *state;
    uint64_t bytes = 0;
    for (uint32_t i = 1; i < 4; i++)
        bytes += kx_batch_record(&f->box.batch, i)->length;
    kx_batch_mark(&f->box.batch, 0); /* it was not in the body */
    assert_int_equal(judge(f, 413, "", NULL, 0, NULL), KX_REJECTED);
    assert_int_equal(f->box.batch.bytes_max, bytes / 2);
    f->box.batch.first = 3; /* one record alone */
    assert_int_equal(judge(f, 413, "", NULL, 0, NULL), KX_REJECTED);
    assert_int_equal(f->box.batch.bytes_max, 0);
}

static void test_own_rows_come_first(void **state)
{
    struct fixture *f = *state;
    static const struct kx_http_rule own[] = {
        {204, 204, KX_HTTP_SENT, NULL},
        {200, 299, KX_HTTP_HOLD, "is this an InfluxDB?"},
        {404, 404, KX_HTTP_RETRY, NULL},
    };
    struct kx_error err = {0};
    assert_int_equal(judge(f, 204, "", own, 3, &err), KX_SENT);
    assert_int_equal(judge(f, 200, "hello", own, 3, &err), KX_HOLD);
    assert_string_equal(err.text, "http://db:8086 answers 200: hello; is this an InfluxDB?");
    assert_int_equal(judge(f, 404, "", own, 3, &err), KX_RETRY);
    assert_string_equal(err.text, "http://db:8086 answers 404");
    assert_int_equal(judge(f, 401, "", own, 3, &err), KX_HOLD);
}

/* No batch: a request of idle or probe. */
static void test_without_a_batch(void **state)
{
    struct fixture *f = *state;
    struct kx_http_request request = {.url = "http://db:8086/"};
    struct kx_http_answer answer = {.status = 413, .body = ""};
    assert_int_equal(kx_http_judge(f->http, &request, &answer, NULL, 0, NULL, NULL), KX_REJECTED);
}

static void expect_shown(const char *text, const char *secret, const char *shown)
{
    struct kx_buf out;
    kx_buf_init(&out, 4096);
    kx_http_show(&out, text, strlen(text), secret);
    kx_buf_byte(&out, '\0');
    assert_string_equal(out.data, shown);
    kx_buf_fini(&out);
}

static void test_what_is_shown(void **state)
{
    (void)state;
    char lengthy[400];
    char cut[256];
    expect_shown("", NULL, "");
    expect_shown("{\"error\":\n \"no\"}\n", NULL, "{\"error\":  \"no\"}");
    expect_shown("a\033[2Jb\xe2\x80\xae", NULL, "a\\x1B[2Jb\\u202E");
    expect_shown("token tops3cret is bad: tops3cret", "tops3cret", "token *** is bad: ***");
    expect_shown("tops3cre", "tops3cret", "tops3cre");
    expect_shown("abc", "b", "abc"); /* too short to tell from any text */
    /* Repeated headers: Basic is only base64. */
    expect_shown("a: Basic dXNlcjpwYXNz, b", NULL, "a: Basic ************, b");
    expect_shown("basic dXNlcjpw", NULL, "basic ********");
    expect_shown("Basic authentication, Basic Authentication", NULL,
                 "Basic authentication, Basic Authentication");
    expect_shown("Basic ", NULL, "Basic");
    memset(lengthy, 'x', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    memset(cut, 'x', 200);
    strcpy(cut + 200, "...");
    expect_shown(lengthy, NULL, cut);
}

static void test_the_secret_is_not_in_the_error(void **state)
{
    struct fixture *f = *state;
    struct kx_error err = {0};
    judge(f, 401, "unknown token tops3cret", NULL, 0, &err);
    assert_null(strstr(err.text, "tops3cret"));
    assert_non_null(strstr(err.text, "unknown token ***"));
}

static void test_retry_after(void **state)
{
    (void)state;
    enum { NOW = 1737131445 }; /* Fri, 17 Jan 2025 16:30:45 GMT */
    static const struct {
        const char *value;
        uint64_t seconds;
    } cases[] = {
        {"0", 0},
        {"1", 1},
        {" 120 \r\n", 120},
        {"3600", 3600},
        {"3601", 3600},
        {"99999999999999999999999999", 3600},
        {"Fri, 17 Jan 2025 16:31:45 GMT\r\n", 60},
        {"Friday, 17-Jan-25 16:31:45 GMT", 60},
        {"Fri Jan 17 16:31:45 2025", 60},
        {"Fri, 17 Jan 2025 16:30:45 GMT", 0},
        {"Thu, 16 Jan 2025 16:30:45 GMT", 0},
        {"Fri, 17 Jan 2035 16:30:45 GMT", 3600},
        {"", 0},
        {"-5", 0},
        {"soon", 0},
        {"1.5", 0},
        {"12 minutes", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (kx_http_retry_after_ns(cases[i].value, NOW) != S(cases[i].seconds))
            fail_msg("%s", cases[i].value);
}

static void test_what_failed(void **state)
{
    (void)state;
    assert_int_equal(kx_http_failed(KX_ERR_TIMEOUT), KX_RETRY);
    assert_int_equal(kx_http_failed(KX_ERR_STOPPED), KX_RETRY);
    assert_int_equal(kx_http_failed(KX_ERR_UNAVAILABLE), KX_RETRY);
    assert_int_equal(kx_http_failed(KX_ERR_NOMEM), KX_RETRY);
    assert_int_equal(kx_http_failed(KX_ERR_AUTH), KX_HOLD);
    assert_int_equal(kx_http_failed(KX_ERR_CONFIG), KX_HOLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_status),
        cmocka_unit_test(test_too_large_is_halved),
        cmocka_unit_test(test_own_rows_come_first),
        cmocka_unit_test(test_without_a_batch),
        cmocka_unit_test(test_what_is_shown),
        cmocka_unit_test(test_the_secret_is_not_in_the_error),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_what_failed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
