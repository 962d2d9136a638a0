/*
 * What the files of option rows share. For them and table.c alone.
 *
 * Each file table_*.c holds the rows of one concept, a sink's among them, and ends in its kx_rows_;
 * table.c joins them in the order of the documentation.
 */
#ifndef KX_CONFIG_TABLE_H
#define KX_CONFIG_TABLE_H

#include "base/clock.h"
#include "config/options.h"
#include <stddef.h>

struct kx_option_rows {
    const struct kx_option *rows;
    size_t count;
};
#define KX_OPTION_ROWS(array)                                                                      \
    {                                                                                              \
        (array), sizeof(array) / sizeof(array)[0]                                                  \
    }
extern const struct kx_option_rows kx_rows_program, kx_rows_stats, kx_rows_source,
    kx_rows_source_tls, kx_rows_sink, kx_rows_filter, kx_rows_delta, kx_rows_tables,
    kx_rows_transport, kx_rows_console, kx_rows_sqlite, kx_rows_postgres, kx_rows_influxdb,
    kx_rows_mqtt, kx_rows_webhook, kx_rows_socket;

/* The words of `type` and --export-type, in the order of enum kx_sink_type. */
extern const char *const kx_sink_types[];

/* Macros, because offset and size of one member are two facts that must not part. */
#define IN_INVOCATION(member) MEMBER(struct kx_invocation, member)
#define IN_CONFIG(member) MEMBER(struct kx_config, member)
#define IN_SOURCE(member) MEMBER(struct kx_source_config, member)
#define IN_CAPTURE(member) MEMBER(struct kx_capture_config, member)
#define IN_EXTRA(member) MEMBER(struct kx_extra_field, member)
#define IN_TLS(member) MEMBER(struct kx_tls_config, member)
#define IN_SINK(member) MEMBER(struct kx_sink_config, member)
#define IN_BATCH(member) MEMBER(struct kx_batch_config, member)
#define IN_FILTER(member) MEMBER(struct kx_filter_config, member)
#define IN_FENCE(member) MEMBER(struct kx_geofence_config, member)
#define IN_DELTA(member) MEMBER(struct kx_delta_config, member)
#define IN_DEAD_LETTER(member) MEMBER(struct kx_dead_letter_config, member)
#define IN_HISTORY(member) MEMBER(struct kx_history_config, member)
#define IN_RETENTION(member) MEMBER(struct kx_retention_config, member)
#define IN_PRESENCE(member) MEMBER(struct kx_presence_config, member)
#define MEMBER(type, member)                                                                       \
    .offset = offsetof(type, member), .width = sizeof(((type *)NULL)->member)
#define MS KX_NS_PER_MS
#define SECOND KX_NS_PER_S
#define HOUR (3600 * KX_NS_PER_S)
#define DAY (24 * HOUR)
#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

#endif
