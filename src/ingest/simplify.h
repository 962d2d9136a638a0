/*
 * What Kismet does with our field list, done by ourselves: a whole device record made into a
 * trimmed one. Captures that others recorded hold whole records.
 *
 * Pure; any thread. Values are copied byte for byte; what a record does not have is the integer 0,
 * as Kismet gives it. False when the text is no device record of Kismet's or the buffer is full;
 * out is then as long as before.
 */
#ifndef KX_INGEST_SIMPLIFY_H
#define KX_INGEST_SIMPLIFY_H

#include "base/buf.h"
#include "config/config.h"
#include <stdbool.h>
#include <stddef.h>

bool kx_simplify(const char *text, size_t length, enum kx_location location, struct kx_buf *out);

#endif
