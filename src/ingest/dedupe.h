/*
 * The uids of a source's last events: Kismet gives an event twice, and REST gives it again.
 *
 * Owns a fixed memory of about 80 kB. One thread: ingest's, one set a source. Full: the oldest uid
 * by time of insertion leaves; an event that comes again after KX_DEDUPE_UIDS others is passed on
 * again, and the tables' unique uid catches it. After create nothing fails.
 *
 * Asked and added apart: an event that the ring refused must not be remembered as passed on.
 */
#ifndef KX_INGEST_DEDUPE_H
#define KX_INGEST_DEDUPE_H

#include "base/error.h"
#include "record/record.h"
#include <stdbool.h>
#include <stdint.h>

enum { KX_DEDUPE_UIDS = 4096 };

struct kx_dedupe;

enum kx_code kx_dedupe_create(struct kx_dedupe **ret_dedupe, struct kx_error *err); /* NOMEM */
void kx_dedupe_destroy(struct kx_dedupe *dedupe);                                   /* NULL-safe */

/* Whether the uid is among the last KX_DEDUPE_UIDS that were added. */
bool kx_dedupe_has(const struct kx_dedupe *dedupe, const uint8_t uid[KX_UID_BYTES]);
/* Adds a uid; one that is there keeps its place. */
void kx_dedupe_add(struct kx_dedupe *dedupe, const uint8_t uid[KX_UID_BYTES]);

#endif
