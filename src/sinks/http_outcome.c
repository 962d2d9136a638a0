/*
 * What a status means: one table for all sinks, so that they do not disagree.
 */
#include "sinks/http.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    SHOWN_BYTES = 200,   /* of an answer, in an error's text */
    SECRET_SHORTEST = 4, /* below it every text would hold "the secret" */
};
#define RETRY_AFTER_MAX_NS (3600 * KX_NS_PER_S)

static const struct kx_http_rule shared[] = {
    {200, 299, KX_HTTP_SENT, NULL},
    /* Not followed: a redirect would carry the credential and the data elsewhere. */
    {300, 399, KX_HTTP_HOLD, "redirects are not followed: set `url` to the right address"},
    {400, 400, KX_HTTP_REJECTED, NULL},
    {401, 401, KX_HTTP_HOLD, "it refuses the credential, or wants one"},
    {402, 402, KX_HTTP_HOLD, NULL},
    {403, 403, KX_HTTP_HOLD, "the credential has no right to write there"},
    {404, 404, KX_HTTP_HOLD, "what it is to write into does not exist, or `url` has a wrong path"},
    {405, 405, KX_HTTP_HOLD, "`url` has a wrong path"},
    {407, 407, KX_HTTP_HOLD, "the proxy wants a credential"},
    {410, 410, KX_HTTP_HOLD, "it has gone for good: set another `url`, or remove this sink"},
    {411, 411, KX_HTTP_HOLD, NULL},
    {413, 413, KX_HTTP_HALVE, NULL},
    {415, 415, KX_HTTP_HOLD, "it does not take this kind of body; when gzip is on, turn it off"},
    {422, 422, KX_HTTP_REJECTED, NULL},
    {0, 999, KX_HTTP_RETRY, NULL},
};

const struct kx_http_rule *
kx_http_rule(const struct kx_http_rule *own, size_t own_count, long status)
{
    for (size_t i = 0; i < own_count; i++)
        if (status >= own[i].first && status <= own[i].last)
            return &own[i];
    enum { ROWS = sizeof shared / sizeof shared[0] };
    for (size_t i = 0; i < ROWS - 1; i++)
        if (status >= shared[i].first && status <= shared[i].last)
            return &shared[i];
    return &shared[ROWS - 1];
}

/* --- the answer in words --- */

/* Copies text with every occurrence of the secret as "***". */
static void redact(struct kx_buf *out, const char *text, size_t length, const char *secret)
{
    size_t width = secret != NULL ? strlen(secret) : 0;
    while (width >= SECRET_SHORTEST && length >= width) {
        const char *at = memmem(text, length, secret, width);
        if (at == NULL)
            break;
        kx_buf_bytes(out, text, (size_t)(at - text));
        kx_buf_text(out, "***");
        length -= (size_t)(at - text) + width;
        text = at + width;
    }
    kx_buf_bytes(out, text, length);
}

/* The length of the base64 that text begins with; 0 when it may as well be a word. */
static size_t base64_length(const char *text, size_t length)
{
    enum { SHORTEST = 8 };
    size_t run = 0;
    bool word = true; /* no capital and no digit behind its first letter */
    for (; run < length && text[run] != '\0'; run++) {
        unsigned char c = (unsigned char)text[run];
        if (!isalnum(c) && strchr("+/=", c) == NULL)
            break;
        word = word && (run == 0 || islower(c));
    }
    return word || run < SHORTEST ? 0 : run;
}

/* A far end may repeat our headers: what stands behind "Basic " is user and password, readable. */
static void redact_basic(char *text, size_t length)
{
    static const char scheme[] = "basic ";
    enum { WIDTH = sizeof scheme - 1 };
    for (size_t i = 0; i + WIDTH < length; i++)
        if (strncasecmp(text + i, scheme, WIDTH) == 0)
            memset(text + i + WIDTH, '*', base64_length(text + i + WIDTH, length - i - WIDTH));
}

void kx_http_show(struct kx_buf *out, const char *text, size_t length, const char *secret)
{
    struct kx_buf plain;
    kx_buf_init(&plain, 4 * KX_HTTP_ANSWER_MAX);
    redact(&plain, text, length, secret);
    redact_basic(plain.data, plain.length);
    while (plain.length > 0 && (unsigned char)plain.data[plain.length - 1] <= ' ')
        plain.length--;
    size_t shown = kx_text_utf8_cut(plain.data, plain.length, SHOWN_BYTES);
    /* Line breaks are an answer's own layout: one space says as much. */
    for (size_t i = 0; i < shown; i++)
        if (plain.data[i] == '\n' || plain.data[i] == '\r' || plain.data[i] == '\t')
            plain.data[i] = ' ';
    kx_text_terminal(out, plain.data, shown);
    if (shown < plain.length)
        kx_buf_text(out, "...");
    kx_buf_fini(&plain);
}

static void describe(const struct kx_http *http,
                     const struct kx_http_request *request,
                     const struct kx_http_answer *answer,
                     const struct kx_http_rule *rule,
                     enum kx_code code,
                     struct kx_error *err)
{
    struct kx_buf said;
    const char *secret = request->secret != NULL ? kx_secret_reveal(request->secret) : NULL;
    kx_buf_init(&said, 4096);
    if (answer->length > 0)
        kx_buf_text(&said, ": ");
    kx_http_show(&said, answer->body, answer->length, secret);
    kx_error_set(err, code, 0, "%s answers %ld%.*s%s%s", kx_http_who(http), answer->status,
                 (int)said.length, said.data != NULL ? said.data : "",
                 rule->remedy != NULL ? "; " : "", rule->remedy != NULL ? rule->remedy : "");
    kx_buf_fini(&said);
}

static uint64_t view_bytes(const struct kx_batch *batch)
{
    uint64_t bytes = 0;
    for (uint32_t i = batch->first; i < batch->end; i++)
        if (!kx_batch_done(batch, i))
            bytes += kx_batch_record(batch, i)->length;
    return bytes;
}

/* Half of what was refused. One record has no half: it is refused, and teaches nothing. */
static void halve(struct kx_batch *batch)
{
    if (batch->end - batch->first > 1)
        batch->bytes_max = view_bytes(batch) / 2;
}

enum kx_outcome kx_http_judge(const struct kx_http *http,
                              const struct kx_http_request *request,
                              const struct kx_http_answer *answer,
                              const struct kx_http_rule *own,
                              size_t own_count,
                              struct kx_batch *batch,
                              struct kx_error *err)
{
    static const struct {
        enum kx_outcome outcome;
        enum kx_code code;
    } of[] = {
        [KX_HTTP_SENT] = {KX_SENT, KX_OK},
        [KX_HTTP_RETRY] = {KX_RETRY, KX_ERR_UNAVAILABLE},
        [KX_HTTP_HOLD] = {KX_HOLD, KX_ERR_CONFIG},
        [KX_HTTP_REJECTED] = {KX_REJECTED, KX_ERR_PROTOCOL},
        [KX_HTTP_HALVE] = {KX_REJECTED, KX_ERR_LIMIT},
    };
    const struct kx_http_rule *rule = kx_http_rule(own, own_count, answer->status);
    enum kx_code code = answer->status == 401 ? KX_ERR_AUTH : of[rule->meaning].code;
    if (rule->meaning == KX_HTTP_SENT)
        return KX_SENT;
    describe(http, request, answer, rule, code, err);
    if (batch != NULL) {
        snprintf(batch->reason, sizeof batch->reason, "%ld", answer->status);
        if (rule->meaning == KX_HTTP_RETRY)
            batch->retry_after_ns = answer->retry_after_ns;
        if (rule->meaning == KX_HTTP_HALVE)
            halve(batch);
    }
    return of[rule->meaning].outcome;
}

enum kx_outcome kx_http_failed(enum kx_code code)
{
    return code == KX_ERR_AUTH || code == KX_ERR_CONFIG ? KX_HOLD : KX_RETRY;
}

/* --- Retry-After --- */

uint64_t kx_http_retry_after_ns(const char *value, int64_t wall_s)
{
    while (*value == ' ' || *value == '\t')
        value++;
    uint64_t seconds = 0;
    size_t digits = 0;
    for (; value[digits] >= '0' && value[digits] <= '9'; digits++)
        if (seconds < RETRY_AFTER_MAX_NS)
            seconds = seconds * 10 + (uint64_t)(value[digits] - '0');
    size_t rest = digits + strspn(value + digits, " \t\r\n");
    if (digits == 0) {
        int64_t date = (int64_t)curl_getdate(value, NULL);
        seconds = date > wall_s ? (uint64_t)(date - wall_s) : 0;
    } else if (value[rest] != '\0') {
        return 0;
    }
    return seconds > RETRY_AFTER_MAX_NS / KX_NS_PER_S ? RETRY_AFTER_MAX_NS : seconds * KX_NS_PER_S;
}
