/*
 * HTTP for sinks: the one libcurl wrapper, and the one place that says what a status means.
 *
 * A kx_http is one sender's connection: one easy handle in a multi handle of its own, kept alive
 * between requests. It verifies TLS (1.2 at least; `insecure` turns that off, the configuration
 * warns), follows no redirect, speaks http and https only, asks for no `100 Continue`, takes a
 * proxy from the environment as curl does, and names its end, never a secret, in what it says.
 *
 * Owns the connection, the answer's bytes and the compressed body. One thread. A request ends at
 * its call's deadline, at once when stop_fd becomes readable, and after 20 s without a byte; the
 * connection is then closed, whether the far end took the request is unknown. An answer's body is
 * read to its end, so that the connection can be used again, and its first 64 KiB are kept; after
 * 1 MiB the connection is closed instead. Failure leaves a handle that can be used again.
 */
#ifndef KX_SINKS_HTTP_H
#define KX_SINKS_HTTP_H

#include "base/error.h"
#include "batch/sink.h"
#include "config/config.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kx_buf;
struct kx_http;

enum {
    KX_HTTP_ANSWER_MAX = 64 << 10, /* bytes kept of a body */
    KX_HTTP_HEADERS_MAX = 32,
    KX_HTTP_WHO_MAX = 320,
};

struct kx_http_params {
    const char *who;                 /* the end as errors name it: "http://db:8086"; copied */
    const struct kx_tls_config *tls; /* borrowed for the handle's life; NULL = the defaults */
    bool certificate;                /* answers say who signed the far end's certificate: a probe */
};

/* Checks that libcurl resolves names in a thread of its own; no network. */
enum kx_code kx_http_create(struct kx_http **ret_http,
                            const struct kx_http_params *params,
                            struct kx_error *err);
void kx_http_destroy(struct kx_http *http); /* NULL-safe */

/* All borrowed for the call. */
struct kx_http_request {
    const char *url;            /* with its query; never repeated in an error */
    const char *method;         /* NULL = POST with a body, GET without */
    const char *const *headers; /* "Name: value"; one with a control byte is KX_ERR_CONFIG */
    size_t header_count;
    const void *body; /* NULL = none */
    size_t length;
    bool gzip; /* the body, with Content-Encoding */
    /* The credential: "Authorization: SCHEME SECRET", or with a user instead of a scheme HTTP
     * Basic. A text that repeats the secret shows *** instead. NULL or not set = none. */
    const struct kx_secret *secret;
    const char *scheme;
    const char *user;
};

struct kx_http_answer {
    long status;
    uint64_t retry_after_ns; /* as Retry-After says, an hour at most; 0 = it does not */
    const char *body; /* NUL-terminated, also when there is none; valid until the next call */
    size_t length;
    bool cut; /* the body was longer */
    char issuer[256];
    int64_t certificate_ends_s; /* 0 = unknown */
};

/*
 * One request. KX_OK: there is an answer, whatever its status. Else err says what happened:
 * KX_ERR_STOPPED, KX_ERR_TIMEOUT (both: unknown whether it was taken), KX_ERR_UNAVAILABLE (no
 * connection, or it broke), KX_ERR_AUTH (a certificate or key that one of the two does not accept),
 * KX_ERR_CONFIG (the request cannot be made like this), KX_ERR_NOMEM.
 */
enum kx_code kx_http_send(struct kx_http *http,
                          const struct kx_http_request *request,
                          const struct kx_call *call,
                          struct kx_http_answer *ret_answer,
                          struct kx_error *err);

/* The end's name, as it was given. */
const char *kx_http_who(const struct kx_http *http);

/* --- what an answer means --- */

enum kx_http_meaning {
    KX_HTTP_SENT,
    KX_HTTP_RETRY, /* after Retry-After, when it is there */
    KX_HTTP_HOLD,
    KX_HTTP_REJECTED,
    KX_HTTP_HALVE, /* too large: half of the view's bytes is the limit from now on */
};

/* One row; the first that holds the status counts. */
struct kx_http_rule {
    long first, last; /* status */
    enum kx_http_meaning meaning;
    const char *remedy; /* stands behind the answer in the error's text; NULL = none */
};

/* The meaning of a status: the sink's own rows first, then those that all sinks share (2xx sent,
 * 400 and 422 rejected, 413 halve, 3xx and what wants an operator held, else retry). */
const struct kx_http_rule *
kx_http_rule(const struct kx_http_rule *own, size_t own_count, long status);

/* The outcome of an answer that kx_http_send brought: fills err ("WHO answers 401: BODY; REMEDY")
 * unless KX_SENT, and in the batch (NULL for none) reason, retry_after_ns and bytes_max. */
enum kx_outcome kx_http_judge(const struct kx_http *http,
                              const struct kx_http_request *request,
                              const struct kx_http_answer *answer,
                              const struct kx_http_rule *own,
                              size_t own_count,
                              struct kx_batch *batch,
                              struct kx_error *err);
/* The outcome of a request that brought none, by kx_http_send's code. */
enum kx_outcome kx_http_failed(enum kx_code code);

/* Appends what a far end said: the beginning of it, on one line, safe to show, the secret (NULL =
 * none) as ***. */
void kx_http_show(struct kx_buf *out, const char *text, size_t length, const char *secret);

/* Retry-After: seconds, or an HTTP date against wall_s. Clamped to 0..1 h; 0 when it is neither. */
uint64_t kx_http_retry_after_ns(const char *value, int64_t wall_s);

#endif
