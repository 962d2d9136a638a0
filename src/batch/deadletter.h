/*
 * Dead letters: the records that a sink's far end can never take, kept in a file for people.
 *
 *     FILE      {"when":..,"sink":..,"reason":..,"error":..,"kind":..,"source":..,"sequence":..,
 *                "record":{..}}\n ...                       up to `bytes`, then it becomes
 *     FILE.1    the one before it, which is replaced
 *
 * One line a record, always one whole JSON object, harmless to look at. Owns path and buffers; no
 * descriptor between two calls: the file is opened for each write, so that it may be moved away or
 * deleted at any time. Two processes may share a file: lines are appended whole, and whoever turns
 * it over holds its lock (flock). The sender's thread only; main may create and destroy.
 *
 * Full: turned over, counted. A line that a crash has torn gets its newline from the next write,
 * counted. Durable when write returns: fdatasync once a call (and before turning over), fsync of
 * the directory when the file is new. Failure (no place, no permission, a full disk): what is not
 * written is taken back, and the caller drops the record; nothing here waits for better times.
 */
#ifndef KX_BATCH_DEADLETTER_H
#define KX_BATCH_DEADLETTER_H

#include "base/error.h"
#include "config/config.h"
#include "record/record.h"
#include "stats/counters.h"
#include <stdint.h>

struct kx_dead_letters;

struct kx_dead_letter {
    const struct kx_record *record;
    const char *reason; /* a short word: an SQLSTATE, a status */
    const char *text;   /* what the far end said */
};

/* sink is read here and not kept. *ret_letters is NULL when the sink is to have none. */
enum kx_code kx_dead_letters_create(struct kx_dead_letters **ret_letters,
                                    const struct kx_sink_config *sink,
                                    struct kx_counters *counters,
                                    struct kx_error *err);
void kx_dead_letters_destroy(struct kx_dead_letters *letters); /* NULL-safe */
/* Writes them in their order. Returns how many of the first are kept for good; err says why not
 * all. NULL keeps none, without an error. */
uint32_t kx_dead_letters_write(struct kx_dead_letters *letters,
                               const struct kx_dead_letter *first,
                               uint32_t count,
                               int64_t wall_ns,
                               struct kx_error *err);

#endif
