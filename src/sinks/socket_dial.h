/*
 * Reaching a host by libcurl: its name resolved by a thread of libcurl's, its addresses tried, TLS
 * spoken and its certificate compared with the name, all within a call's limits.
 *
 * A dial owns its handles and, once connected, the connection: bytes go by curl_easy_send and
 * curl_easy_recv, the descriptor is for waiting only. Proxies are never used: these are no web
 * servers. One thread. Failure: nothing stays open, KX_RETRY or, when an operator is wanted
 * (a certificate), KX_HOLD, and the error names the address and the remedy.
 */
#ifndef KX_SINKS_SOCKET_DIAL_H
#define KX_SINKS_SOCKET_DIAL_H

#include "batch/sink.h"
#include <curl/curl.h>
#include <sys/socket.h>

enum { KX_DIAL_AT_MAX = 300, KX_DIAL_ADDRESSES = 8 };

struct kx_dial {
    const char *host; /* borrowed, as tls is */
    uint16_t port;
    const struct kx_tls_config *tls; /* NULL = plain */
    char at[KX_DIAL_AT_MAX];         /* "host:port" for people */
    char curl_error[CURL_ERROR_SIZE];
    CURLM *multi;
    CURL *easy;
    curl_socket_t fd; /* CURL_SOCKET_BAD = not connected */
};

struct kx_dial_address {
    socklen_t length;
    struct sockaddr_storage bytes;
};

void kx_dial_init(struct kx_dial *dial,
                  const char *host,
                  uint16_t port,
                  const struct kx_tls_config *tls);
/* KX_SENT: connected. */
enum kx_outcome
kx_dial_connect(struct kx_dial *dial, const struct kx_call *call, struct kx_error *err);
/* Only finds out the addresses, in the order in which to try them; *ret_count of them, one at
 * least. */
enum kx_outcome kx_dial_resolve(struct kx_dial *dial,
                                const struct kx_call *call,
                                struct kx_dial_address ret_addresses[KX_DIAL_ADDRESSES],
                                size_t *ret_count,
                                struct kx_error *err);
/* Safe when nothing is open. */
void kx_dial_close(struct kx_dial *dial);
static inline bool kx_dial_is_open(const struct kx_dial *dial)
{
    return dial->fd != CURL_SOCKET_BAD;
}
/* What libcurl's result means for this address. */
enum kx_outcome kx_dial_failure(const struct kx_dial *dial, CURLcode result, struct kx_error *err);
/* Waits until fd has one of `events`. KX_SENT, or KX_RETRY when the call is over; *ret_events (may
 * be NULL) is what came. */
enum kx_outcome kx_dial_wait(
    int fd, short events, const struct kx_call *call, short *ret_events, struct kx_error *err);

#endif
