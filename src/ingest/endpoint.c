/* libcurl options that every connection to a Kismet server shares. */
#include "ingest/endpoint.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    KEEPALIVE_IDLE_S = 15,
    KEEPALIVE_INTERVAL_S = 5,
    USER_TIMEOUT_MS = 20000, /* unacknowledged bytes this old end a connection */
    CREDENTIAL_MAX = 16384,
};

enum kx_code kx_credential_init(struct kx_credential *credential,
                                const struct kx_source_config *config,
                                struct kx_error *err)
{
    *credential = (struct kx_credential){0};
    enum kx_code code = kx_secret_copy(&credential->api_key, &config->api_key, err);
    if (code == KX_OK)
        code = kx_secret_copy(&credential->password, &config->password, err);
    if (code == KX_OK && config->user != NULL && (credential->user = strdup(config->user)) == NULL)
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a credential");
    if (code != KX_OK)
        kx_credential_fini(credential);
    return code;
}

void kx_credential_fini(struct kx_credential *credential)
{
    kx_secret_fini(&credential->api_key);
    kx_secret_fini(&credential->password);
    free(credential->user);
    *credential = (struct kx_credential){0};
}

enum kx_code kx_endpoint_init(struct kx_endpoint *endpoint,
                              const struct kx_source_config *config,
                              struct kx_error *err)
{
    *endpoint = (struct kx_endpoint){.config = config};
    enum kx_code code = kx_url_parse(config->url, &endpoint->url, err);
    if (code == KX_OK)
        code = kx_credential_init(&endpoint->credential, config, err);
    if (code != KX_OK) {
        kx_endpoint_fini(endpoint);
        return code;
    }
    bool ipv6 = strchr(endpoint->url.host, ':') != NULL;
    snprintf(endpoint->authority, sizeof(endpoint->authority), ipv6 ? "[%s]:%u" : "%s:%u",
             endpoint->url.host, (unsigned)endpoint->url.port);
    return KX_OK;
}

void kx_endpoint_fini(struct kx_endpoint *endpoint)
{
    kx_credential_fini(&endpoint->credential);
}

enum kx_code kx_endpoint_reload(struct kx_endpoint *endpoint, struct kx_error *err)
{
    enum kx_code code = kx_secret_reload(&endpoint->credential.api_key, err);
    return code == KX_OK ? kx_secret_reload(&endpoint->credential.password, err) : code;
}

/* libcurl has options for keepalive, but none for the limit on unacknowledged bytes: what notices a
 * peer that vanished while we were writing. */
static int on_socket(void *context, curl_socket_t socket, curlsocktype purpose)
{
    (void)context;
    (void)purpose;
    unsigned timeout_ms = USER_TIMEOUT_MS;
    /* Not fatal where a kernel or a unix socket lacks it: our own pings notice it too, later. */
    (void)setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
    return CURL_SOCKOPT_OK;
}

static CURLcode set_tls(CURL *easy, const struct kx_tls_config *tls)
{
    CURLcode result = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (result == CURLE_OK && tls->ca_file != NULL)
        result = curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca_file);
    if (result == CURLE_OK && tls->cert_file != NULL)
        result = curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->cert_file);
    if (result == CURLE_OK && tls->key_file != NULL)
        result = curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->key_file);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->insecure ? 0L : 1L);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->insecure ? 0L : 2L);
    return result;
}

static CURLcode set_common(CURL *easy, const char *url, char *error_text)
{
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_FOLLOWLOCATION, 0}, /* a redirect would carry the key elsewhere */
        {CURLOPT_CONNECTTIMEOUT, KX_CONNECT_S_MAX},
        {CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1},
        {CURLOPT_TCP_NODELAY, 1},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {CURLOPT_QUICK_EXIT, 1}, /* a resolver that hangs must not hold our own end */
    };
    CURLcode result = curl_easy_setopt(easy, CURLOPT_URL, url);
    for (size_t i = 0; result == CURLE_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++)
        result = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text);
    return result;
}

enum kx_code kx_endpoint_easy(const struct kx_endpoint *endpoint,
                              const char *path,
                              char *error_text,
                              CURL **ret_easy,
                              struct kx_error *err)
{
    struct kx_buf url;
    kx_buf_init(&url, 4096);
    kx_buf_printf(&url, "%s://%s%s%s", endpoint->url.tls ? "https" : "http", endpoint->authority,
                  endpoint->url.prefix, path);
    kx_buf_byte(&url, '\0');
    CURL *easy = url.failed ? NULL : curl_easy_init();
    CURLcode result = CURLE_OUT_OF_MEMORY;
    if (easy != NULL) {
        error_text[0] = '\0';
        result = set_common(easy, url.data, error_text);
        if (result == CURLE_OK)
            result = set_tls(easy, &endpoint->config->tls);
    }
    kx_buf_fini(&url);
    if (result != CURLE_OK) {
        curl_easy_cleanup(easy);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "cannot prepare a transfer: %s",
                            curl_easy_strerror(result));
    }
    *ret_easy = easy;
    return KX_OK;
}

enum kx_code
kx_endpoint_authorize(const struct kx_endpoint *endpoint, CURL *easy, struct kx_error *err)
{
    CURLcode result = CURLE_OK;
    if (kx_secret_is_set(&endpoint->credential.api_key)) {
        struct kx_buf cookie;
        kx_buf_init(&cookie, CREDENTIAL_MAX);
        kx_buf_text(&cookie, "KISMET=");
        kx_buf_text(&cookie, kx_secret_reveal(&endpoint->credential.api_key));
        kx_buf_byte(&cookie, '\0');
        result = cookie.failed ? CURLE_OUT_OF_MEMORY
                               : curl_easy_setopt(easy, CURLOPT_COOKIE, cookie.data);
        if (cookie.data != NULL)
            explicit_bzero(cookie.data, cookie.capacity);
        kx_buf_fini(&cookie);
    } else if (endpoint->credential.user != NULL &&
               kx_secret_is_set(&endpoint->credential.password)) {
        result = curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        if (result == CURLE_OK)
            result = curl_easy_setopt(easy, CURLOPT_USERNAME, endpoint->credential.user);
        if (result == CURLE_OK)
            result = curl_easy_setopt(easy, CURLOPT_PASSWORD,
                                      kx_secret_reveal(&endpoint->credential.password));
    }
    if (result != CURLE_OK)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "cannot set the credential");
    return KX_OK;
}

static void append_basic(struct kx_buf *out, const char *user, const char *password)
{
    struct kx_buf plain;
    kx_buf_init(&plain, CREDENTIAL_MAX);
    kx_buf_text(&plain, user);
    kx_buf_byte(&plain, ':');
    kx_buf_text(&plain, password);
    size_t encoded = (plain.length + 2) / 3 * 4 + 1;
    kx_buf_text(out, "Authorization: Basic ");
    char *place = plain.failed ? NULL : kx_buf_reserve(out, encoded);
    if (place != NULL)
        out->length += (size_t)EVP_EncodeBlock(
            (unsigned char *)place, (const unsigned char *)plain.data, (int)plain.length);
    if (plain.data != NULL)
        explicit_bzero(plain.data, plain.capacity);
    out->failed |= plain.failed;
    kx_buf_fini(&plain);
}

enum kx_code
kx_endpoint_header(const struct kx_endpoint *endpoint, struct kx_buf *out, struct kx_error *err)
{
    if (kx_secret_is_set(&endpoint->credential.api_key)) {
        kx_buf_text(out, "Cookie: KISMET=");
        kx_buf_text(out, kx_secret_reveal(&endpoint->credential.api_key));
    } else if (endpoint->credential.user != NULL &&
               kx_secret_is_set(&endpoint->credential.password)) {
        append_basic(out, endpoint->credential.user,
                     kx_secret_reveal(&endpoint->credential.password));
    } else {
        return KX_OK;
    }
    kx_buf_byte(out, '\0');
    if (out->failed)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the credential");
    return KX_OK;
}

enum kx_code kx_endpoint_failure(const struct kx_endpoint *endpoint,
                                 CURLcode result,
                                 const char *error_text,
                                 struct kx_error *err)
{
    const char *text = error_text[0] != '\0' ? error_text : curl_easy_strerror(result);
    const char *at = endpoint->authority;
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "%s: %s; check the host name in the source's url", at, text);
    case CURLE_COULDNT_CONNECT:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "%s: %s; is Kismet running there, and is the port right?", at, text);
    case CURLE_OPERATION_TIMEDOUT:
        return kx_error_set(err, KX_ERR_TIMEOUT, 0, "%s: %s", at, text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "%s: its certificate is not accepted: %s; set tls.ca_file when it is "
                            "signed by an authority of your own",
                            at, text);
    case CURLE_SSL_CONNECT_ERROR:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "%s: no TLS connection: %s; a Kismet without a proxy before it speaks "
                            "http://",
                            at, text);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        /* With TLS 1.3 a server refuses us only after the handshake. */
        if (endpoint->url.tls && endpoint->config->tls.cert_file == NULL)
            return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                                "%s: %s; a server that wants a client certificate (tls.cert_file) "
                                "ends like this, too",
                                at, text);
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s: %s", at, text);
    default:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s: %s", at, text);
    }
}

enum kx_code kx_endpoint_status(const struct kx_endpoint *endpoint,
                                const char *path,
                                long status,
                                struct kx_error *err)
{
    const char *at = endpoint->authority;
    switch (status) {
    case 401:
        return kx_error_set(err, KX_ERR_AUTH, 0,
                            "%s answers 401: it refuses the credential, or its role; run "
                            "kismet-export login for an API key of role readonly, and give it as "
                            "api_key_file",
                            at);
    case 403: /* Kismet says 401 for whatever it refuses */
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "%s answers 403 to %s: a proxy before Kismet forbids it; it must let "
                            "this host in",
                            at, path);
    case 404:
        return kx_error_set(err, KX_ERR_NOT_FOUND, 0,
                            "%s has no %s%s: it is no Kismet of 2021 or later, or the path prefix "
                            "of a proxy is missing in the url",
                            at, endpoint->url.prefix, path);
    default:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s answers %ld to %s", at, status, path);
    }
}
