/*
 * The kinds of sinks: their names, their own keys, their default batch.
 *
 * Constant data, owns nothing, any thread.
 */
#ifndef KX_CONFIG_KINDS_H
#define KX_CONFIG_KINDS_H

#include "config/options.h"

struct kx_sink_kind {
    const char *name;
    enum kx_sink_type type;
    enum kx_scope scope;                    /* its own keys */
    enum kx_scope shared;                   /* those of several kinds; KX_SCOPES = none */
    const char *records, *bytes, *interval; /* default batch */
    const char *max_age;                    /* default of delta */
};

size_t kx_sink_kind_count(void);
const struct kx_sink_kind *kx_sink_kind_at(size_t i);
const struct kx_sink_kind *kx_sink_kind_of(enum kx_sink_type type);
/* The kind by its name, in any case. KX_ERR_CONFIG: unknown. */
enum kx_code
kx_sink_kind_find(const char *name, const struct kx_sink_kind **ret_kind, struct kx_error *err);
/* Whether a scope holds keys of that kind, or a section among them. */
bool kx_sink_kind_has(const struct kx_sink_kind *kind, enum kx_scope scope);
/* The first kind that has the scope; NULL = none, it is not about kinds. */
const struct kx_sink_kind *kx_sink_kind_of_scope(enum kx_scope scope);
/* The scopes beside KX_SCOPE_SINK that a sink's struct has members for, each once. Returns how
 * many. */
size_t kx_sink_scopes(enum kx_scope ret_scopes[KX_SCOPES]);
/* Its default of a row of the batch section. */
const char *kx_sink_kind_batch(const struct kx_sink_kind *kind, const struct kx_option *option);

#endif
