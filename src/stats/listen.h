/*
 * Where the stats port listens: an address and port, a unix socket, or nowhere.
 *
 *   127.0.0.1:2502   [::1]:2502   0.0.0.0:2502   /run/kismet-export/stats.sock   off
 *
 * Owns nothing but what kx_listen_open returns: a listening, non-blocking descriptor for its
 * caller. Addresses are numbers (or localhost): no name server is asked. A unix socket that nobody
 * listens on any more is replaced, one that somebody does is in use; it is made with mode 660.
 */
#ifndef KX_STATS_LISTEN_H
#define KX_STATS_LISTEN_H

#include "base/error.h"
#include <stdbool.h>
#include <sys/socket.h>

#define KX_LISTEN_DEFAULT "127.0.0.1:2502"
enum { KX_LISTEN_TEXT_MAX = 128 };

struct kx_listen {
    bool off;
    struct sockaddr_storage address;
    socklen_t length;
};

/* KX_ERR_CONFIG with the remedy. */
enum kx_code kx_listen_parse(const char *text, struct kx_listen *ret_listen, struct kx_error *err);
/* Not of `off`. words gets where it listens, with the port that was chosen for a port 0:
 * "http://127.0.0.1:2502/" (secure: "https://..."), "unix:/run/...". */
enum kx_code kx_listen_open(const struct kx_listen *listen,
                            bool secure,
                            int *ret_fd,
                            char words[KX_LISTEN_TEXT_MAX],
                            struct kx_error *err);
/* Closes the descriptor (-1: somebody else has), and removes a unix socket. */
void kx_listen_close(const struct kx_listen *listen, int fd);

#endif
