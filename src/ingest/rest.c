/* Streaming REST transfers; the contract stands in the header. */
#include "ingest/rest.h"

#include "base/clock.h"
#include "ingest/json.h"
#include <stdlib.h>
#include <string.h>

enum {
    STALL_S = 30, /* this long under one byte a second ends a transfer */
    GET_S_MAX = 30,
    ERROR_BODY_MAX = 4096, /* of an answer that is not 2xx: nothing is read out of it */
    SHRINK_BYTES = 1 << 20,
    RETRY_AFTER_S_MAX = 3600,
};

struct kx_rest {
    CURLM *multi;
    const struct kx_endpoint *endpoint;
    const struct kx_rest_ops *ops;
    void *context;
    CURL *easy; /* NULL = idle */
    struct curl_slist *headers;
    bool by_line;
    bool paused;
    bool ending;         /* the transfer is over, its last lines wait for room */
    bool skipping;       /* inside a line over the limit */
    struct kx_buf bytes; /* the unfinished line, or the body; padding is reserved behind it */
    size_t given;        /* bytes at its front that were handed over already */
    uint64_t begun_ns;
    struct kx_rest_result result;
    char path[256];
    char curl_error[CURL_ERROR_SIZE];
    struct kx_error failure; /* could not begin; code KX_OK = none */
};

/* --- answers --- */

static bool give_line(struct kx_rest *rest, size_t start, size_t end)
{
    size_t length = end - start;
    if (length > 0 && rest->bytes.data[end - 1] == '\r')
        length--;
    if (length == 0)
        return true;
    if (!rest->ops->line(rest->context, rest->bytes.data + start, length, kx_clock_wall_ns()))
        return false;
    rest->result.lines++;
    return true;
}

/* Hands over the complete lines in the buffer; what is left moves to its front. Returns false when
 * the owner has no room. */
static bool give_lines(struct kx_rest *rest, bool last)
{
    struct kx_buf *bytes = &rest->bytes;
    size_t start = rest->given;
    bool room = true;
    while (start < bytes->length) {
        const char *end = memchr(bytes->data + start, '\n', bytes->length - start);
        if (end == NULL && !last)
            break;
        size_t stop = end != NULL ? (size_t)(end - bytes->data) : bytes->length;
        room = give_line(rest, start, stop);
        if (!room)
            break;
        start = end != NULL ? stop + 1 : stop;
    }
    if (start >= bytes->length) {
        kx_buf_clear(bytes);
        rest->given = 0;
    } else if (start > bytes->length / 2) {
        kx_buf_consume(bytes, start);
        rest->given = 0;
    } else {
        rest->given = start;
    }
    return room;
}

/* Appends with the parser's padding reserved behind. False = no memory, or over the limit. */
static bool keep(struct kx_rest *rest, const char *data, size_t length)
{
    kx_buf_bytes(&rest->bytes, data, length);
    return kx_buf_reserve(&rest->bytes, KX_JSON_PADDING) != NULL;
}

/* The rest of a line over the limit is passed by; what follows its end is kept. */
static size_t skip(struct kx_rest *rest, const char *data, size_t length)
{
    const char *end = memchr(data, '\n', length);
    if (end == NULL)
        return length;
    rest->skipping = false;
    return (size_t)(end - data) + 1;
}

static size_t on_lines(struct kx_rest *rest, const char *data, size_t length)
{
    size_t from = rest->skipping ? skip(rest, data, length) : 0;
    if (from == length)
        return length;
    if (!keep(rest, data + from, length - from))
        return 0;
    rest->paused = !give_lines(rest, false);
    size_t open_line = rest->bytes.length - rest->given;
    if (!rest->paused && open_line > KX_REST_LINE_MAX) {
        rest->result.skipped++;
        rest->skipping = true;
        kx_buf_clear(&rest->bytes);
        rest->given = 0;
    }
    return length;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct kx_rest *rest = context;
    size_t length = size * count;
    if (rest->paused) /* the same bytes come again after the resume */
        return CURL_WRITEFUNC_PAUSE;
    long status = 0;
    curl_easy_getinfo(rest->easy, CURLINFO_RESPONSE_CODE, &status);
    rest->result.bytes += length;
    if (status < 200 || status > 299)
        return rest->result.bytes > ERROR_BODY_MAX ? 0 : length;
    if (rest->by_line)
        return on_lines(rest, data, length);
    if (rest->bytes.length + length > KX_REST_BODY_MAX)
        return 0;
    return keep(rest, data, length) ? length : 0;
}

/* --- begin and end --- */

enum kx_code kx_rest_create(struct kx_rest **ret_rest,
                            CURLM *multi,
                            const struct kx_endpoint *endpoint,
                            const struct kx_rest_ops *ops,
                            void *context,
                            struct kx_error *err)
{
    struct kx_rest *rest = calloc(1, sizeof(*rest));
    if (rest == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a request");
    rest->multi = multi;
    rest->endpoint = endpoint;
    rest->ops = ops;
    rest->context = context;
    kx_buf_init(&rest->bytes, (size_t)KX_REST_LINE_MAX * 2);
    *ret_rest = rest;
    return KX_OK;
}

static void shut(struct kx_rest *rest)
{
    if (rest->easy != NULL) {
        curl_multi_remove_handle(rest->multi, rest->easy);
        curl_easy_cleanup(rest->easy);
    }
    curl_slist_free_all(rest->headers);
    rest->easy = NULL;
    rest->headers = NULL;
    rest->paused = false;
    rest->ending = false;
    rest->skipping = false;
    rest->given = 0;
    if (rest->bytes.capacity > SHRINK_BYTES)
        kx_buf_fini(&rest->bytes);
    kx_buf_clear(&rest->bytes);
}

void kx_rest_destroy(struct kx_rest *rest)
{
    if (rest == NULL)
        return;
    shut(rest);
    kx_buf_fini(&rest->bytes);
    free(rest);
}

static enum kx_code begin(struct kx_rest *rest, const char *body, struct kx_error *err)
{
    enum kx_code code =
        kx_endpoint_easy(rest->endpoint, rest->path, rest->curl_error, &rest->easy, err);
    if (code == KX_OK)
        code = kx_endpoint_authorize(rest->endpoint, rest->easy, err);
    if (code != KX_OK)
        return code;
    CURL *easy = rest->easy;
    CURLcode result = curl_easy_setopt(easy, CURLOPT_PRIVATE, rest);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_WRITEDATA, rest);
    if (result == CURLE_OK && body == NULL)
        result = curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)GET_S_MAX);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    if (result == CURLE_OK && body != NULL) {
        rest->headers = curl_slist_append(NULL, "Content-Type: application/json");
        struct curl_slist *more = curl_slist_append(rest->headers, "Expect:");
        if (rest->headers == NULL || more == NULL)
            return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a request");
        result = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, rest->headers);
        if (result == CURLE_OK)
            result = curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body);
    }
    if (result != CURLE_OK || curl_multi_add_handle(rest->multi, easy) != CURLM_OK)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "libcurl cannot prepare a request");
    return KX_OK;
}

static void request(struct kx_rest *rest, const char *path, const char *body, uint64_t now_ns)
{
    KX_ASSERT(!kx_rest_busy(rest));
    KX_ASSERT(strlen(path) < sizeof(rest->path));
    strcpy(rest->path, path);
    rest->by_line = body != NULL;
    rest->begun_ns = now_ns;
    rest->result = (struct kx_rest_result){0};
    struct kx_error err;
    if (begin(rest, body, &err) == KX_OK)
        return;
    /* Reported from tick: the owner is in the middle of asking. */
    if (rest->easy != NULL)
        curl_easy_cleanup(rest->easy); /* it never reached the multi */
    rest->easy = NULL;
    rest->failure = err;
}

void kx_rest_get(struct kx_rest *rest, const char *path, uint64_t now_ns)
{
    request(rest, path, NULL, now_ns);
}

void kx_rest_post_lines(struct kx_rest *rest, const char *path, const char *body, uint64_t now_ns)
{
    request(rest, path, body, now_ns);
}

bool kx_rest_busy(const struct kx_rest *rest)
{
    return rest->easy != NULL || rest->failure.code != KX_OK;
}

bool kx_rest_paused(const struct kx_rest *rest)
{
    return rest->paused;
}

void kx_rest_cancel(struct kx_rest *rest)
{
    rest->failure.code = KX_OK;
    shut(rest);
}

static void finish(struct kx_rest *rest, const struct kx_error *err)
{
    struct kx_rest_result result = rest->result;
    /* The body outlives the transfer: the owner may begin the next request inside `done`. */
    struct kx_buf body = rest->bytes;
    kx_buf_init(&rest->bytes, body.limit);
    if (!rest->by_line && result.code == KX_OK) {
        result.body = body.data;
        result.body_length = body.length;
    }
    shut(rest);
    rest->ops->done(rest->context, &result, err);
    if (rest->bytes.data == NULL && body.capacity <= SHRINK_BYTES) {
        rest->bytes = body;
        kx_buf_clear(&rest->bytes);
    } else {
        kx_buf_fini(&body);
    }
}

void kx_rest_resume(struct kx_rest *rest)
{
    if (!rest->paused || !give_lines(rest, rest->ending))
        return;
    rest->paused = false;
    if (rest->ending)
        finish(rest, NULL);
    else
        curl_easy_pause(rest->easy, CURLPAUSE_CONT);
}

void kx_rest_ended(CURL *easy, CURLcode result, uint64_t now_ns)
{
    char *private = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct kx_rest *rest = (struct kx_rest *)(void *)private;
    struct kx_error err = {0};
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &rest->result.status);
    rest->result.took_ns = now_ns - rest->begun_ns;
    curl_off_t wait_s = 0; /* of Retry-After, a date too */
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &wait_s);
    rest->result.retry_after_s =
        (unsigned)(wait_s < RETRY_AFTER_S_MAX ? wait_s : RETRY_AFTER_S_MAX);
    long status = rest->result.status;
    enum kx_code code = KX_OK;
    if (status != 0 && (status < 200 || status > 299))
        code = kx_endpoint_status(rest->endpoint, rest->path, status, &err);
    else if (result != CURLE_OK)
        code = kx_endpoint_failure(rest->endpoint, result, rest->curl_error, &err);
    rest->result.code = code;
    if (code == KX_OK && rest->by_line && !give_lines(rest, true)) {
        rest->paused = rest->ending = true;
        return;
    }
    finish(rest, &err);
}

void kx_rest_tick(struct kx_rest *rest, uint64_t now_ns)
{
    if (rest->failure.code == KX_OK)
        return;
    struct kx_error err = rest->failure;
    rest->failure.code = KX_OK;
    rest->result.code = err.code;
    rest->result.took_ns = now_ns - rest->begun_ns;
    finish(rest, &err);
}
