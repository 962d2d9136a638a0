/* One POST; the contract stands in the header. */
#include "sinks/webhook_post.h"

#include "base/clock.h"
#include "sinks/webhook_body.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HEADERS_BYTES_MAX = 256 << 10,
    LINES_OF_OURS = 5,
    SECRET_SHORTEST = 6 /* shorter ones are words of any answer */
};

/* Where the shared table does not know enough. */
static const struct kx_http_rule rules[] = {
    {401, 401, KX_HTTP_HOLD, "it refuses the signature or a credential: see secret_file, headers"},
    {403, 403, KX_HTTP_HOLD, "it forbids this: see secret_file, headers and `url`"},
    {404, 404, KX_HTTP_HOLD, "nobody receives there: is the path in `url` right?"},
    {409, 409, KX_HTTP_RETRY, NULL}, /* the first of two with one key is still under way */
};
enum { RULES = sizeof rules / sizeof rules[0] };

/* --- open, close --- */

void kx_webhook_post_close(struct kx_webhook_post *post)
{
    kx_http_destroy(post->http);
    kx_gzip_destroy(post->gzip);
    kx_secret_fini(&post->secret);
    if (post->headers.data != NULL)
        explicit_bzero(post->headers.data, post->headers.capacity);
    kx_buf_fini(&post->headers);
    *post = (struct kx_webhook_post){0};
}

/* "X-Foo=bar" of the configuration as "X-Foo: bar". */
static bool write_headers(struct kx_webhook_post *post)
{
    static const char type[] = "content-type";
    const struct kx_strings *list = &post->config->webhook.headers;
    kx_buf_init(&post->headers, HEADERS_BYTES_MAX);
    /* Now, so that no piece of a value stays behind in memory that was outgrown. */
    if (list->count > 0 && kx_buf_reserve(&post->headers, HEADERS_BYTES_MAX) == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '='); /* it was checked */
        size_t length = (size_t)(equals - list->items[i]);
        kx_buf_bytes(&post->headers, list->items[i], length);
        kx_buf_text(&post->headers, ": ");
        kx_buf_text(&post->headers, equals + 1);
        kx_buf_byte(&post->headers, '\0');
        if (length == sizeof type - 1 && strncasecmp(list->items[i], type, length) == 0)
            post->own_type = true;
    }
    return !post->headers.failed;
}

enum kx_code kx_webhook_post_open(struct kx_webhook_post *post,
                                  const struct kx_sink_config *config,
                                  bool certificate,
                                  struct kx_error *err)
{
    *post = (struct kx_webhook_post){.config = config};
    kx_url_origin(config->webhook.url, post->who);
    struct kx_http_params params = {
        .who = post->who, .tls = &config->tls, .certificate = certificate};
    enum kx_code code = kx_secret_copy(&post->secret, &config->webhook.secret, err);
    if (code == KX_OK && !write_headers(post))
        code = kx_error_set(err, KX_ERR_CONFIG, 0,
                            "sink %s: its headers have more than %d bytes, or there is no memory",
                            config->name, HEADERS_BYTES_MAX);
    if (code == KX_OK && config->webhook.gzip)
        code = kx_gzip_create(&post->gzip, err);
    if (code == KX_OK)
        code = kx_http_create(&post->http, &params, err);
    if (code != KX_OK)
        kx_webhook_post_close(post);
    return code;
}

/* --- the request --- */

struct lines {
    const char *items[KX_WEBHOOK_HEADERS_MAX + LINES_OF_OURS];
    size_t count;
    char key[64], timestamp[64], signature[128];
};

static void add(struct lines *lines, const char *line)
{
    KX_ASSERT(lines->count < sizeof lines->items / sizeof lines->items[0]);
    lines->items[lines->count++] = line;
}

static void add_own(const struct kx_webhook_post *post, struct lines *lines)
{
    const char *end = post->headers.data + post->headers.length;
    for (const char *line = post->headers.data; line < end; line += strlen(line) + 1)
        add(lines, line);
}

/* Over the body as it travels: who verifies it does so before he unpacks it. */
static void
add_signature(struct kx_webhook_post *post, const struct kx_span *body, struct lines *lines)
{
    char timestamp[32];
    char signature[KX_WEBHOOK_SIGNATURE_MAX];
    if (!kx_secret_is_set(&post->secret))
        return;
    snprintf(timestamp, sizeof timestamp, "%" PRId64, kx_clock_wall_ns() / (int64_t)KX_NS_PER_S);
    kx_webhook_sign(kx_secret_reveal(&post->secret), timestamp, body->bytes, body->length,
                    signature);
    snprintf(lines->timestamp, sizeof lines->timestamp, "X-Timestamp: %s", timestamp);
    snprintf(lines->signature, sizeof lines->signature, "X-Signature-256: %s", signature);
    add(lines, lines->timestamp);
    add(lines, lines->signature);
}

enum kx_code kx_webhook_post_send(struct kx_webhook_post *post,
                                  const char *method,
                                  const struct kx_span *body,
                                  const char *key,
                                  const struct kx_call *call,
                                  struct kx_http_answer *ret_answer,
                                  struct kx_error *err)
{
    bool array = post->config->webhook.format == KX_WEBHOOK_ARRAY;
    struct lines lines = {0};
    struct kx_span sent = {0};
    add_own(post, &lines);
    if (body != NULL) {
        sent = *body;
        if (!post->own_type)
            add(&lines,
                array ? "Content-Type: application/json" : "Content-Type: application/x-ndjson");
        if (post->gzip != NULL) {
            enum kx_code code = kx_gzip_body(post->gzip, body->bytes, body->length, &sent, err);
            if (code != KX_OK)
                return code;
            add(&lines, "Content-Encoding: gzip");
        }
        add_signature(post, &sent, &lines);
    }
    if (key != NULL) {
        snprintf(lines.key, sizeof lines.key, "Idempotency-Key: %s", key);
        add(&lines, lines.key);
    }
    struct kx_http_request request = {
        .url = post->config->webhook.url,
        .method = method,
        .headers = lines.items,
        .header_count = lines.count,
        .body = sent.bytes,
        .length = sent.length,
    };
    return kx_http_send(post->http, &request, call, ret_answer, err);
}

/* --- the answer --- */

/* Each of the words becomes stars in text. */
static void hide(char *text, size_t length, const char *words)
{
    static const char between[] = " \t/?&=,;:\"'";
    while (*(words += strspn(words, between)) != '\0') {
        size_t width = strcspn(words, between);
        char *at = width < SECRET_SHORTEST ? NULL : text;
        while (at != NULL && (at = memmem(at, length - (size_t)(at - text), words, width)) != NULL)
            for (size_t i = 0; i < width; i++)
                *at++ = '*';
        words += width;
    }
}

/* What the far end said without what it knows from us: some repeat the address or the headers. NULL
 * without memory. */
static char *without_secrets(const struct kx_webhook_post *post,
                             const struct kx_http_answer *answer)
{
    const struct kx_strings *list = &post->config->webhook.headers;
    char *text = malloc(answer->length + 1);
    if (text == NULL)
        return NULL;
    memcpy(text, answer->body, answer->length);
    text[answer->length] = '\0';
    for (size_t i = 0; i < list->count; i++)
        hide(text, answer->length, strchr(list->items[i], '=') + 1);
    hide(text, answer->length, post->config->webhook.url + strlen(post->who));
    return text;
}

enum kx_outcome kx_webhook_post_judge(struct kx_webhook_post *post,
                                      const struct kx_http_answer *answer,
                                      struct kx_batch *batch,
                                      struct kx_error *err)
{
    const struct kx_http_request request = {0};
    struct kx_http_answer shown = *answer;
    char *text = without_secrets(post, answer);
    shown.body = text != NULL ? text : "";
    shown.length = text != NULL ? answer->length : 0;
    enum kx_outcome outcome = kx_http_judge(post->http, &request, &shown, rules, RULES, batch, err);
    free(text);
    /* Somebody may have put a new secret into the file; the old one stays when he has not. */
    if (answer->status == 401 || answer->status == 403)
        (void)kx_secret_reload(&post->secret, NULL);
    return outcome;
}
