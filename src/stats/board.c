/*
 * The board: two arrays of plain structs and the mutex that their copies are made under.
 */
#include "stats/board.h"
#include <pthread.h>
#include <stdlib.h>

struct kx_board {
    pthread_mutex_t mutex; /* guards what the two arrays hold; the rest is fixed at creation */
    size_t source_count;
    size_t sink_count;
    struct kx_source_status *sources;
    struct kx_sink_status *sinks;
    struct kx_reload_status reload;
};

const char *kx_source_state_name(enum kx_source_state state)
{
    switch (state) {
    case KX_SOURCE_CONNECTING:
        return "connecting";
    case KX_SOURCE_STREAMING:
        return "streaming";
    case KX_SOURCE_POLLING:
        return "polling";
    case KX_SOURCE_AUTH_FAILED:
        return "auth_failed";
    case KX_SOURCE_ENDPOINT_MISSING:
        return "endpoint_missing";
    case KX_SOURCE_BACKING_OFF:
        return "backing_off";
    case KX_SOURCE_ENDED:
        return "ended";
    }
    return "unknown";
}

const char *kx_sink_state_name(enum kx_sink_state state)
{
    switch (state) {
    case KX_SINK_STARTING:
        return "starting";
    case KX_SINK_OK:
        return "ok";
    case KX_SINK_RETRYING:
        return "retrying";
    case KX_SINK_HELD:
        return "held";
    case KX_SINK_GONE:
        return "gone";
    }
    return "unknown";
}

enum kx_code
kx_board_create(struct kx_board **ret_board, size_t sources, size_t sinks, struct kx_error *err)
{
    struct kx_board *board = calloc(1, sizeof *board);
    if (board == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the status board");
    /* One more than asked for: calloc(0) may be NULL, and that is no failure. */
    board->sources = sources < SIZE_MAX ? calloc(sources + 1, sizeof *board->sources) : NULL;
    board->sinks = sinks < SIZE_MAX ? calloc(sinks + 1, sizeof *board->sinks) : NULL;
    if (board->sources == NULL || board->sinks == NULL ||
        pthread_mutex_init(&board->mutex, NULL) != 0) {
        free(board->sources);
        free(board->sinks);
        free(board);
        return kx_error_set(err, KX_ERR_NOMEM, 0,
                            "no memory for the status of %zu sources and %zu sinks", sources,
                            sinks);
    }
    board->source_count = sources;
    board->sink_count = sinks;
    for (size_t i = 0; i < sources; i++) {
        board->sources[i].datasources_ok = -1;
        board->sources[i].datasources_failed = -1;
        board->sources[i].devices = -1;
    }
    *ret_board = board;
    return KX_OK;
}

void kx_board_destroy(struct kx_board *board)
{
    if (board == NULL)
        return;
    pthread_mutex_destroy(&board->mutex);
    free(board->sources);
    free(board->sinks);
    free(board);
}

size_t kx_board_sources(const struct kx_board *board)
{
    return board->source_count;
}

size_t kx_board_sinks(const struct kx_board *board)
{
    return board->sink_count;
}

void kx_board_source_set(struct kx_board *board, size_t i, const struct kx_source_status *status)
{
    KX_ASSERT(i < board->source_count);
    pthread_mutex_lock(&board->mutex);
    board->sources[i] = *status;
    pthread_mutex_unlock(&board->mutex);
}

void kx_board_source_get(struct kx_board *board, size_t i, struct kx_source_status *ret_status)
{
    KX_ASSERT(i < board->source_count);
    pthread_mutex_lock(&board->mutex);
    *ret_status = board->sources[i];
    pthread_mutex_unlock(&board->mutex);
}

void kx_board_sink_set(struct kx_board *board, size_t i, const struct kx_sink_status *status)
{
    KX_ASSERT(i < board->sink_count);
    pthread_mutex_lock(&board->mutex);
    board->sinks[i] = *status;
    pthread_mutex_unlock(&board->mutex);
}

void kx_board_sink_get(struct kx_board *board, size_t i, struct kx_sink_status *ret_status)
{
    KX_ASSERT(i < board->sink_count);
    pthread_mutex_lock(&board->mutex);
    *ret_status = board->sinks[i];
    pthread_mutex_unlock(&board->mutex);
}

void kx_board_reload_set(struct kx_board *board, const struct kx_reload_status *status)
{
    pthread_mutex_lock(&board->mutex);
    board->reload = *status;
    pthread_mutex_unlock(&board->mutex);
}

void kx_board_reload_get(struct kx_board *board, struct kx_reload_status *ret_status)
{
    pthread_mutex_lock(&board->mutex);
    *ret_status = board->reload;
    pthread_mutex_unlock(&board->mutex);
}
