/*
 * REST requests to a Kismet server, one at a time: answers are handed over line by line while they
 * arrive (an answer of any size needs the memory of its longest line) or as one small body.
 *
 * Runs on the ingest loop's multi handle for REST. Owns its easy handle and buffers; borrows the
 * rest. One thread. A line over KX_REST_LINE_MAX is left out and counted in `skipped`. Failure:
 * `done` is called exactly once for each begun request, also after a refusal; nothing is retried
 * here.
 *
 * The owner may say in `line` that it has no room (false): the transfer pauses with that line kept
 * and goes on after kx_rest_resume. Kismet has the whole answer in memory by then, so a pause costs
 * it nothing that it does not hold already.
 */
#ifndef KX_INGEST_REST_H
#define KX_INGEST_REST_H

#include "ingest/endpoint.h"
#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KX_REST_LINE_MAX = 8 << 20, /* bytes; a whole device record has 14 kB */
    KX_REST_BODY_MAX = 4 << 20, /* bytes of an answer that is wanted whole */
};

struct kx_rest_result {
    enum kx_code code;      /* KX_OK = a 2xx answer, read to its end */
    long status;            /* HTTP status, 0 = none */
    uint64_t bytes;         /* of the body */
    uint64_t lines;         /* handed over */
    uint64_t skipped;       /* lines over the limit */
    uint64_t took_ns;       /* from begin to end */
    unsigned retry_after_s; /* what a refusal asked for, at most an hour; 0 = nothing */
    char *body; /* of kx_rest_get; valid during the call; KX_JSON_PADDING bytes behind it */
    size_t body_length;
};

struct kx_rest_ops {
    /* One line without its end, KX_JSON_PADDING readable bytes behind it. False = no room: pause.
     */
    bool (*line)(void *context, const char *line, size_t length, int64_t received_ns);
    void (*done)(void *context, const struct kx_rest_result *result, const struct kx_error *err);
};

struct kx_rest;

enum kx_code kx_rest_create(struct kx_rest **ret_rest,
                            CURLM *multi,
                            const struct kx_endpoint *endpoint,
                            const struct kx_rest_ops *ops,
                            void *context,
                            struct kx_error *err);
void kx_rest_destroy(struct kx_rest *rest);

/* Begins a GET whose answer is wanted whole, or a POST of a JSON body whose answer is wanted by
 * lines. Not while busy. Deadline: connecting KX_CONNECT_S_MAX, then 30 s without a byte per second
 * end it. A failure here is reported by `done` from kx_rest_tick. */
void kx_rest_get(struct kx_rest *rest, const char *path, uint64_t now_ns);
void kx_rest_post_lines(struct kx_rest *rest, const char *path, const char *body, uint64_t now_ns);
bool kx_rest_busy(const struct kx_rest *rest);
bool kx_rest_paused(const struct kx_rest *rest);
/* Gives the kept line again and, when it is taken, goes on. */
void kx_rest_resume(struct kx_rest *rest);
/* Ends a request without a word: no `done`. */
void kx_rest_cancel(struct kx_rest *rest);

/* The loop's: a transfer of this multi ended. */
void kx_rest_ended(CURL *easy, CURLcode result, uint64_t now_ns);
/* The loop's: reports requests that could not begin. */
void kx_rest_tick(struct kx_rest *rest, uint64_t now_ns);

#endif
