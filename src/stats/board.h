/*
 * The board: what each source and each sink says of itself, in words, for people and for the sinks
 * that write source states down.
 *
 * Written by ingest (sources), senders (sinks) and main (the reload) when a state changes and about
 * once a second; read by the stats and main threads and by sinks. Guarded by one mutex, held for
 * one struct copy: nothing on the record path touches it. Sizes are fixed at creation.
 */
#ifndef KX_STATS_BOARD_H
#define KX_STATS_BOARD_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kx_source_state {
    KX_SOURCE_CONNECTING,
    KX_SOURCE_STREAMING,
    KX_SOURCE_POLLING,
    KX_SOURCE_AUTH_FAILED,
    KX_SOURCE_ENDPOINT_MISSING,
    KX_SOURCE_BACKING_OFF,
    KX_SOURCE_ENDED, /* a replay that reached its end */
};
const char *kx_source_state_name(enum kx_source_state state);

enum { KX_BOARD_NAME_MAX = 128, KX_BOARD_TEXT_MAX = 384 };

struct kx_source_status {
    char name[KX_BOARD_NAME_MAX];
    char server_uuid[64]; /* empty = not known yet */
    char version[64];     /* of the server; empty = not known yet */
    enum kx_source_state state;
    char text[KX_BOARD_TEXT_MAX]; /* why, and what to do; empty when all is well */
    int64_t since_ns;             /* wall clock of the last change of state */
    int64_t last_contact_ns;      /* wall clock of the last byte; 0 = never */
    bool skew_known;
    double clock_skew_s;    /* server's clock less ours */
    int datasources_ok;     /* running; -1 = not known */
    int datasources_failed; /* -1 = not known */
    int64_t devices;        /* that the server knows; -1 = not known */
    int64_t memory_bytes;   /* resident, of the server; 0 = not known */
};

enum kx_sink_state { KX_SINK_STARTING, KX_SINK_OK, KX_SINK_RETRYING, KX_SINK_HELD, KX_SINK_GONE };
const char *kx_sink_state_name(enum kx_sink_state state);

struct kx_sink_status {
    char name[KX_BOARD_NAME_MAX];
    enum kx_sink_state state;
    char text[KX_BOARD_TEXT_MAX];
    int64_t since_ns;
    int64_t last_delivery_ns; /* wall clock of the last confirmed batch; 0 = never */
};

/* Of the configuration: how the last reload went. */
struct kx_reload_status {
    int64_t last_ns; /* wall clock; 0 = there was none */
    bool ok;
    char text[KX_BOARD_TEXT_MAX]; /* why not; empty when it went well */
};

struct kx_board;

/* On a new board each source is connecting and each sink starting; names are empty, counts -1. An
 * index beyond what create was told is a bug of the caller's (KX_ASSERT). */
enum kx_code
kx_board_create(struct kx_board **ret_board, size_t sources, size_t sinks, struct kx_error *err);
void kx_board_destroy(struct kx_board *board);
size_t kx_board_sources(const struct kx_board *board);
size_t kx_board_sinks(const struct kx_board *board);
void kx_board_source_set(struct kx_board *board, size_t i, const struct kx_source_status *status);
void kx_board_source_get(struct kx_board *board, size_t i, struct kx_source_status *ret_status);
void kx_board_sink_set(struct kx_board *board, size_t i, const struct kx_sink_status *status);
void kx_board_sink_get(struct kx_board *board, size_t i, struct kx_sink_status *ret_status);
void kx_board_reload_set(struct kx_board *board, const struct kx_reload_status *status);
void kx_board_reload_get(struct kx_board *board, struct kx_reload_status *ret_status);

#endif
