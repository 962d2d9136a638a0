/*
 * One Kismet server as libcurl is to reach it: address, credential, TLS. Everything that our two
 * kinds of connection (WebSocket and REST) have in common is set here once.
 *
 * Borrows the source's configuration, but for the credential, which a reload may change. One thread
 * (ingest). The credential goes into a cookie, or Basic when user and password are given; never
 * into a URI, which proxies log.
 */
#ifndef KX_INGEST_ENDPOINT_H
#define KX_INGEST_ENDPOINT_H

#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "config/url.h"
#include <curl/curl.h>

/* Who we are to a server: a key, or a user and his password, or nobody. Owns its texts. */
struct kx_credential {
    struct kx_secret api_key;
    char *user;
    struct kx_secret password;
};

/* A copy of the source's. Failure leaves nothing behind. */
enum kx_code kx_credential_init(struct kx_credential *credential,
                                const struct kx_source_config *config,
                                struct kx_error *err);
void kx_credential_fini(struct kx_credential *credential);

struct kx_endpoint {
    const struct kx_source_config *config;
    struct kx_credential credential; /* our own copy: a key file is read again when it is refused */
    struct kx_url url;
    char authority[300]; /* "host:port" as a Host header has it */
};

enum { KX_CONNECT_S_MAX = 10 }; /* TCP, TLS and WebSocket handshake together */

enum kx_code kx_endpoint_init(struct kx_endpoint *endpoint,
                              const struct kx_source_config *config,
                              struct kx_error *err);

void kx_endpoint_fini(struct kx_endpoint *endpoint);
/* Reads the key and password files again, if the credential came from files. */
enum kx_code kx_endpoint_reload(struct kx_endpoint *endpoint, struct kx_error *err);

/* An easy handle for path (begins with '/'; the url's prefix is put before it): URL, TLS,
 * protocols, keepalive, deadlines, no redirects, no signals. error_text (CURL_ERROR_SIZE bytes)
 * must outlive it. */
enum kx_code kx_endpoint_easy(const struct kx_endpoint *endpoint,
                              const char *path,
                              char *error_text,
                              CURL **ret_easy,
                              struct kx_error *err);

/* Sets the credential of a REST transfer. Again before each request: the key may have been re-read.
 */
enum kx_code
kx_endpoint_authorize(const struct kx_endpoint *endpoint, CURL *easy, struct kx_error *err);

/* Appends the credential's header line for a WebSocket handshake, NUL-terminated, or nothing when
 * there is none. The caller wipes the buffer. */
enum kx_code
kx_endpoint_header(const struct kx_endpoint *endpoint, struct kx_buf *out, struct kx_error *err);

/* What a failed transfer means, with the remedy. error_text as given to kx_endpoint_easy. */
enum kx_code kx_endpoint_failure(const struct kx_endpoint *endpoint,
                                 CURLcode result,
                                 const char *error_text,
                                 struct kx_error *err);
/* What an HTTP status other than 2xx means, with the remedy. */
enum kx_code kx_endpoint_status(const struct kx_endpoint *endpoint,
                                const char *path,
                                long status,
                                struct kx_error *err);

#endif
