/* Reaching a host; the contract stands in the header. */
#include "sinks/socket_dial.h"
#include "base/clock.h"
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    CONNECT_MS_MAX = 10000, /* name, TCP and TLS together */
    KEEPALIVE_IDLE_S = 15,
    KEEPALIVE_INTERVAL_S = 5,
    USER_TIMEOUT_MS = 20000, /* unacknowledged bytes this old end a connection */
    POLL_MS_MAX = 1000,      /* a suspended machine's poll does not see the time pass */
};

struct addresses {
    struct kx_dial_address *items;
    size_t count;
};

void kx_dial_init(struct kx_dial *dial,
                  const char *host,
                  uint16_t port,
                  const struct kx_tls_config *tls)
{
    *dial = (struct kx_dial){.host = host, .port = port, .tls = tls, .fd = CURL_SOCKET_BAD};
    bool ipv6 = strchr(host, ':') != NULL;
    snprintf(dial->at, sizeof dial->at, ipv6 ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
}

void kx_dial_close(struct kx_dial *dial)
{
    if (dial->easy != NULL && dial->multi != NULL)
        curl_multi_remove_handle(dial->multi, dial->easy);
    curl_easy_cleanup(dial->easy);
    curl_multi_cleanup(dial->multi);
    dial->easy = NULL;
    dial->multi = NULL;
    dial->fd = CURL_SOCKET_BAD;
}

/* --- waiting --- */

static enum kx_outcome over(const struct kx_call *call, bool stopped, struct kx_error *err)
{
    if (stopped)
        kx_error_set(err, KX_ERR_STOPPED, 0, "stopped");
    else if (call->deadline_ns != 0 && kx_clock_boot_ns() >= call->deadline_ns)
        kx_error_set(err, KX_ERR_TIMEOUT, 0, "no time left");
    else
        return KX_SENT;
    return KX_RETRY;
}

enum kx_outcome kx_dial_wait(
    int fd, short events, const struct kx_call *call, short *ret_events, struct kx_error *err)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = fd, .events = events},
            {.fd = call->stop_fd, .events = POLLIN},
        };
        int wait_ms = kx_clock_poll_ms(call->deadline_ns, kx_clock_boot_ns(), POLL_MS_MAX);
        if (poll(fds, 2, wait_ms) < 0 && errno != EINTR) {
            kx_error_set(err, KX_ERR_IO, errno, "cannot wait for a socket");
            return KX_RETRY;
        }
        enum kx_outcome outcome = over(call, fds[1].revents != 0, err);
        if (outcome != KX_SENT)
            return outcome;
        if (fds[0].revents == 0)
            continue;
        if (ret_events != NULL)
            *ret_events = fds[0].revents;
        return KX_SENT;
    }
}

/* --- libcurl --- */

/* libcurl has options for keepalive, but none for the limit on unacknowledged bytes: what notices a
 * peer that vanished while we were writing. */
static int on_socket(void *context, curl_socket_t fd, curlsocktype purpose)
{
    (void)context;
    (void)purpose;
    unsigned timeout_ms = USER_TIMEOUT_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    return CURL_SOCKOPT_OK;
}

/* Takes note of an address that libcurl would connect to, and lets it fail. */
static curl_socket_t
on_address(void *context, curlsocktype purpose, struct curl_sockaddr *candidate)
{
    struct addresses *addresses = context;
    (void)purpose;
    if (addresses->count < KX_DIAL_ADDRESSES &&
        candidate->addrlen <= sizeof addresses->items[0].bytes) {
        struct kx_dial_address *address = &addresses->items[addresses->count++];
        address->length = (socklen_t)candidate->addrlen;
        memcpy(&address->bytes, &candidate->addr, candidate->addrlen);
    }
    return CURL_SOCKET_BAD;
}

static CURLcode set_tls(CURL *easy, const struct kx_tls_config *tls)
{
    CURLcode result = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* What speaks here is no HTTP, and a strict server refuses the offer of it. */
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
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

static CURLcode set_common(const struct kx_dial *dial, const char *url)
{
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_CONNECT_ONLY, 1},
        {CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS_MAX},
        {CURLOPT_TCP_NODELAY, 1},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {CURLOPT_QUICK_EXIT, 1}, /* a resolver that hangs must not hold our own end */
    };
    CURL *easy = dial->easy;
    CURLcode result = curl_easy_setopt(easy, CURLOPT_URL, url);
    for (size_t i = 0; result == CURLE_OK && i < sizeof numbers / sizeof numbers[0]; i++)
        result = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, dial->curl_error);
    if (result == CURLE_OK && dial->tls != NULL)
        result = set_tls(easy, dial->tls);
    return result;
}

/* An easy handle in a multi handle of its own: to libcurl such a connection is idle, and it would
 * close it for another's sake. */
static enum kx_code prepare(struct kx_dial *dial, struct addresses *addresses, struct kx_error *err)
{
    char url[KX_DIAL_AT_MAX + 16];
    dial->curl_error[0] = '\0';
    snprintf(url, sizeof url, "%s://%s/", dial->tls != NULL ? "https" : "http", dial->at);
    dial->multi = curl_multi_init();
    dial->easy = curl_easy_init();
    CURLcode result = CURLE_OUT_OF_MEMORY;
    if (dial->multi != NULL && dial->easy != NULL)
        result = set_common(dial, url);
    if (result == CURLE_OK && addresses != NULL)
        result = curl_easy_setopt(dial->easy, CURLOPT_OPENSOCKETFUNCTION, on_address);
    if (result == CURLE_OK && addresses != NULL)
        result = curl_easy_setopt(dial->easy, CURLOPT_OPENSOCKETDATA, addresses);
    if (result == CURLE_OK && curl_multi_add_handle(dial->multi, dial->easy) != CURLM_OK)
        result = CURLE_OUT_OF_MEMORY;
    if (result == CURLE_OK)
        return KX_OK;
    return kx_error_set(err, KX_ERR_NOMEM, 0, "cannot prepare a connection to %s: %s", dial->at,
                        curl_easy_strerror(result));
}

enum kx_outcome kx_dial_failure(const struct kx_dial *dial, CURLcode result, struct kx_error *err)
{
    const char *text = dial->curl_error[0] != '\0' ? dial->curl_error : curl_easy_strerror(result);
    const char *at = dial->at;
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
        kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s: %s; check the sink's host", at, text);
        return KX_RETRY;
    case CURLE_COULDNT_CONNECT:
        kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                     "%s: %s; does its reader listen there, and is the port right?", at, text);
        return KX_RETRY;
    case CURLE_OPERATION_TIMEDOUT:
        kx_error_set(err, KX_ERR_TIMEOUT, 0, "%s: %s", at, text);
        return KX_RETRY;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        kx_error_set(
            err, KX_ERR_CONFIG, 0,
            "%s: its certificate is not accepted: %s; set tls.ca_file when it is signed by "
            "an authority of your own",
            at, text);
        return KX_HOLD;
    case CURLE_SSL_CERTPROBLEM:
        kx_error_set(err, KX_ERR_CONFIG, 0, "%s: our client certificate: %s; see tls.cert_file", at,
                     text);
        return KX_HOLD;
    case CURLE_SSL_CONNECT_ERROR:
        kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                     "%s: no TLS connection: %s; a reader without TLS wants protocol: tcp", at,
                     text);
        return KX_RETRY;
    default:
        break;
    }
    /* With TLS 1.3 a server refuses us only after the handshake. */
    bool refused = dial->tls != NULL && dial->tls->cert_file == NULL &&
                   (result == CURLE_SEND_ERROR || result == CURLE_RECV_ERROR);
    kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s: %s%s", at, text,
                 refused ? "; a server that wants a client certificate (tls.cert_file) ends like "
                           "this, too"
                         : "");
    return KX_RETRY;
}

/* Lets libcurl work until it is done, or the call is over. */
static enum kx_outcome
run(struct kx_dial *dial, const struct kx_call *call, CURLcode *ret_result, struct kx_error *err)
{
    for (;;) {
        int running = 0;
        int left = 0;
        CURLMcode code = curl_multi_perform(dial->multi, &running);
        const CURLMsg *message = curl_multi_info_read(dial->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            *ret_result = message->data.result;
            return KX_SENT;
        }
        struct curl_waitfd stop = {.fd = call->stop_fd, .events = CURL_WAIT_POLLIN};
        unsigned extra = call->stop_fd >= 0 ? 1 : 0;
        int wait_ms = kx_clock_poll_ms(call->deadline_ns, kx_clock_boot_ns(), POLL_MS_MAX);
        if (code == CURLM_OK)
            code = curl_multi_poll(dial->multi, &stop, extra, wait_ms, NULL);
        if (code != CURLM_OK) {
            kx_error_set(err, KX_ERR_NOMEM, 0, "%s: %s", dial->at, curl_multi_strerror(code));
            return KX_RETRY;
        }
        enum kx_outcome outcome = over(call, stop.revents != 0, err);
        if (outcome != KX_SENT) {
            kx_error_prefix(err, "%s: not connected", dial->at);
            return outcome;
        }
    }
}

enum kx_outcome
kx_dial_connect(struct kx_dial *dial, const struct kx_call *call, struct kx_error *err)
{
    CURLcode result = CURLE_OK;
    enum kx_outcome outcome = KX_RETRY;
    kx_dial_close(dial);
    if (prepare(dial, NULL, err) == KX_OK)
        outcome = run(dial, call, &result, err);
    if (outcome == KX_SENT && result != CURLE_OK)
        outcome = kx_dial_failure(dial, result, err);
    if (outcome == KX_SENT &&
        (curl_easy_getinfo(dial->easy, CURLINFO_ACTIVESOCKET, &dial->fd) != CURLE_OK ||
         dial->fd == CURL_SOCKET_BAD)) {
        kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s closed the connection at once", dial->at);
        outcome = KX_RETRY;
    }
    if (outcome != KX_SENT)
        kx_dial_close(dial);
    return outcome;
}

enum kx_outcome kx_dial_resolve(struct kx_dial *dial,
                                const struct kx_call *call,
                                struct kx_dial_address ret_addresses[KX_DIAL_ADDRESSES],
                                size_t *ret_count,
                                struct kx_error *err)
{
    struct addresses addresses = {.items = ret_addresses};
    CURLcode result = CURLE_OK;
    enum kx_outcome outcome = KX_RETRY;
    kx_dial_close(dial);
    if (prepare(dial, &addresses, err) == KX_OK)
        outcome = run(dial, call, &result, err);
    if (outcome == KX_SENT && addresses.count == 0)
        outcome = kx_dial_failure(dial, result, err);
    kx_dial_close(dial);
    *ret_count = addresses.count;
    return outcome;
}
