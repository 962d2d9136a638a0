/*
 * The field list of our subscriptions: what monitor, eventbus and REST are asked for.
 *
 * Pure; any thread. The table is fields.def, which json.cpp reads too, so the order asked for and
 * the order parsed cannot drift apart. A buffer that is full fails as buf.h says.
 */
#ifndef KX_INGEST_FIELDS_H
#define KX_INGEST_FIELDS_H

#include "base/buf.h"
#include "config/config.h"
#include <stdbool.h>
#include <stddef.h>

/* Appends the value of a request's "fields" key: [["path","alias"],...]. For devices: the monitor,
 * REST, and the topic NEW_DEVICE. */
void kx_fields_json(struct kx_buf *out, enum kx_location location);

/* The same, and behind them a source's own: [["path","extra_0"],...], so that no name that somebody
 * chose can be taken for one of ours. */
void kx_fields_source_json(struct kx_buf *out, const struct kx_source_config *source);

/* The same for an event topic. The DOT11 topics carry a second record beside the device's, and
 * Kismet trims both with one list: theirs also keeps what was advertised, probed or answered.
 * Appends nothing and returns false for a topic that is small enough to come whole. */
bool kx_fields_topic_json(struct kx_buf *out, const char *topic, enum kx_location location);

/* A field of the list by itself: for a record that Kismet did not trim. */
struct kx_field_path {
    const char *alias;
    const char *record; /* path of the record that the path begins in, NULL = the device's own */
    const char *path;   /* names joined by '/' */
};
size_t kx_fields_count(void);
struct kx_field_path kx_fields_at(size_t i, enum kx_location location);

#endif
