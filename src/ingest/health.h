/*
 * How a Kismet server is doing, asked for by REST: who it is, how many devices it knows, and
 * whether its datasources (radios) run. A dead radio behind a live Kismet is the commonest failure
 * in the field, and nothing on the WebSockets says so.
 *
 * Owns one REST transfer. One thread (ingest). `ended` is called once for each round.
 */
#ifndef KX_INGEST_HEALTH_H
#define KX_INGEST_HEALTH_H

#include "ingest/json.h"
#include "ingest/rest.h"
#include "stats/board.h"
#include "stats/counters.h"
#include <stdbool.h>
#include <stdint.h>

enum { KX_HEALTH_S = 30 }; /* between two rounds */

struct kx_health_parts {
    CURLM *multi;
    const struct kx_endpoint *endpoint;
    struct kx_json *json;
    struct kx_counters *counters;
    struct kx_source_status *status; /* what was learnt is written here */
    void (*ended)(void *context, enum kx_code code, const struct kx_error *err);
    void *context;
};

struct kx_health;

enum kx_code kx_health_create(struct kx_health **ret_health,
                              const struct kx_health_parts *parts,
                              struct kx_error *err);
void kx_health_destroy(struct kx_health *health);

/* Asks who the server is; with datasources, whether they run too. Not while busy. */
void kx_health_begin(struct kx_health *health, bool datasources, uint64_t now_ns);
/* For how long the last refusal asked us to stay away; 0 = it did not. */
unsigned kx_health_retry_after_s(const struct kx_health *health);
bool kx_health_busy(const struct kx_health *health);
void kx_health_cancel(struct kx_health *health);
void kx_health_tick(struct kx_health *health, uint64_t now_ns);

#endif
