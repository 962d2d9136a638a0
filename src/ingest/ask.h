/*
 * One REST request to a Kismet server, waited for: for the commands (probe, login), which have
 * nothing else to do meanwhile. The running program never waits: that is ingest/rest.h.
 *
 * Blocks its thread for at most KX_ASK_S_MAX seconds. The answer is the caller's: kx_answer_fini
 * wipes it, since it may be a key.
 */
#ifndef KX_INGEST_ASK_H
#define KX_INGEST_ASK_H

#include "base/buf.h"
#include "ingest/endpoint.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KX_ASK_S_MAX = 30, KX_ASK_BODY_MAX = 8 << 20 };

struct kx_question {
    const char *path; /* begins with '/' */
    const char *body; /* JSON for a POST; NULL = a GET */
    bool anonymous;   /* without the credential */
    size_t lines_max; /* the answer may be cut behind so many lines; 0 = all of it */
};

struct kx_answer {
    CURLcode result;       /* of the transfer; a cut answer is CURLE_OK */
    long status;           /* HTTP; 0 = none */
    struct kx_buf body;    /* KX_JSON_PADDING readable bytes behind it */
    char address[64];      /* that was connected to; empty = none */
    double resolved_s;     /* from the beginning to the name's address; 0 = not so far */
    double connected_s;    /* to the TCP connection */
    char redirect[256];    /* where a 3xx points to; empty = nowhere */
    char issuer[256];      /* of the server's certificate; empty = not known */
    int64_t expires_s;     /* that certificate, seconds since 1970; 0 = not known */
    int64_t begun_ns;      /* wall clock: the request, */
    int64_t first_byte_ns; /* and the first byte of the answer */
};

/* KX_OK = a 2xx answer. Otherwise err says what it means and what to do, and *ret_answer has what
 * is known. It is filled in either case. */
enum kx_code kx_ask(const struct kx_endpoint *endpoint,
                    const struct kx_question *question,
                    struct kx_answer *ret_answer,
                    struct kx_error *err);
void kx_answer_fini(struct kx_answer *answer);

#endif
