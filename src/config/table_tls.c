/*
 * How TLS is spoken to one end: to a Kismet, and, with the same words, from a network sink.
 */
#include "config/table.h"

#define ROWS(in_scope, when)                                                                       \
    {.key = "ca_file",                                                                             \
     .kind = KX_OPTION_PATH,                                                                       \
     .scope = (in_scope),                                                                          \
     IN_TLS(ca_file),                                                                              \
     .reload = (when),                                                                             \
     .fallback_words = "the system's",                                                             \
     .help = "PEM file of the authorities to trust"},                                              \
        {.key = "cert_file",                                                                       \
         .kind = KX_OPTION_PATH,                                                                   \
         .scope = (in_scope),                                                                      \
         IN_TLS(cert_file),                                                                        \
         .reload = (when),                                                                         \
         .help = "PEM file of our own certificate"},                                               \
        {.key = "key_file",                                                                        \
         .kind = KX_OPTION_PATH,                                                                   \
         .scope = (in_scope),                                                                      \
         IN_TLS(key_file),                                                                         \
         .reload = (when),                                                                         \
         .help = "PEM file of its key"},                                                           \
    {                                                                                              \
        .key = "insecure", .kind = KX_OPTION_BOOL, .scope = (in_scope), IN_TLS(insecure),          \
        .reload = (when), .fallback = "false", .help = "Verify nothing"                            \
    }

static const struct kx_option rows[] = {ROWS(KX_SCOPE_TLS, KX_RELOAD_RESTART)};
const struct kx_option_rows kx_rows_source_tls = KX_OPTION_ROWS(rows);

/* Of the sinks that speak HTTP, MQTT or TCP. */
static const struct kx_option transport[] = {
    {.key = "tls",
     .kind = KX_OPTION_SECTION,
     .scope = KX_SCOPE_TRANSPORT,
     .child = KX_SCOPE_SINK_TLS,
     IN_SINK(tls),
     .reload = KX_RELOAD_REOPEN,
     .help = "How the far end is verified"},
    ROWS(KX_SCOPE_SINK_TLS, KX_RELOAD_REOPEN),
};
const struct kx_option_rows kx_rows_transport = KX_OPTION_ROWS(transport);
