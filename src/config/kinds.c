/*
 * The kinds of sinks: data, and how to find a row.
 */
#include "config/kinds.h"

#include "config/suggest.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { NAMES_MAX = 128 };

static const struct kx_sink_kind sink_kinds[] = {
    {"console", KX_SINK_CONSOLE, KX_SCOPE_CONSOLE, KX_SCOPES, "100", "256KiB", "100ms", "10m"},
    {"sqlite", KX_SINK_SQLITE, KX_SCOPE_SQLITE, KX_SCOPE_TABLES, "1000", "1MiB", "1s", "any"},
    {"postgres", KX_SINK_POSTGRES, KX_SCOPE_POSTGRES, KX_SCOPE_TABLES, "1000", "1MiB", "1s", "any"},
    {"influxdb", KX_SINK_INFLUXDB, KX_SCOPE_INFLUXDB, KX_SCOPE_TRANSPORT, "5000", "1MiB", "1s",
     "any"},
    {"mqtt", KX_SINK_MQTT, KX_SCOPE_MQTT, KX_SCOPE_TRANSPORT, "100", "256KiB", "100ms", "10m"},
    {"webhook", KX_SINK_WEBHOOK, KX_SCOPE_WEBHOOK, KX_SCOPE_TRANSPORT, "100", "256KiB", "1s",
     "10m"},
    {"socket", KX_SINK_SOCKET, KX_SCOPE_SOCKET, KX_SCOPE_TRANSPORT, "100", "256KiB", "100ms",
     "10m"},
};
enum { SINK_KINDS = sizeof sink_kinds / sizeof sink_kinds[0] };

size_t kx_sink_kind_count(void)
{
    return SINK_KINDS;
}

const struct kx_sink_kind *kx_sink_kind_at(size_t i)
{
    KX_ASSERT(i < SINK_KINDS);
    return &sink_kinds[i];
}

const struct kx_sink_kind *kx_sink_kind_of(enum kx_sink_type type)
{
    for (size_t i = 0; i < kx_sink_kind_count(); i++)
        if (kx_sink_kind_at(i)->type == type)
            return kx_sink_kind_at(i);
    return NULL;
}

bool kx_sink_kind_has(const struct kx_sink_kind *kind, enum kx_scope scope)
{
    while (kind->scope != scope && kind->shared != scope) {
        const struct kx_option *parent = kx_option_parent(scope);
        if (parent == NULL)
            return false;
        scope = parent->scope;
    }
    return true;
}

const struct kx_sink_kind *kx_sink_kind_of_scope(enum kx_scope scope)
{
    for (size_t i = 0; i < SINK_KINDS; i++)
        if (kx_sink_kind_has(&sink_kinds[i], scope))
            return &sink_kinds[i];
    return NULL;
}

size_t kx_sink_scopes(enum kx_scope ret_scopes[KX_SCOPES])
{
    bool taken[KX_SCOPES + 1] = {[KX_SCOPES] = true};
    size_t count = 0;
    for (size_t i = 0; i < SINK_KINDS; i++) {
        const enum kx_scope scopes[] = {sink_kinds[i].shared, sink_kinds[i].scope};
        for (size_t k = 0; k < 2; k++)
            if (!taken[scopes[k]]) {
                taken[scopes[k]] = true;
                ret_scopes[count++] = scopes[k];
            }
    }
    return count;
}

const char *kx_sink_type_name(enum kx_sink_type type)
{
    const struct kx_sink_kind *kind = kx_sink_kind_of(type);
    return kind == NULL ? "unknown" : kind->name;
}

/* "console, sqlite" */
static const char *all_sinks(char out[NAMES_MAX])
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < SINK_KINDS && length < NAMES_MAX; i++)
        length += (size_t)snprintf(out + length, NAMES_MAX - length, "%s%s", length > 0 ? ", " : "",
                                   sink_kinds[i].name);
    return out;
}

enum kx_code
kx_sink_kind_find(const char *name, const struct kx_sink_kind **ret_kind, struct kx_error *err)
{
    struct kx_suggest suggest = {.word = name};
    char all[NAMES_MAX];
    char near[KX_SUGGEST_TEXT_MAX];
    for (size_t i = 0; i < kx_sink_kind_count(); i++) {
        const struct kx_sink_kind *kind = kx_sink_kind_at(i);
        kx_suggest_offer(&suggest, kind->name);
        if (strcasecmp(kind->name, name) != 0)
            continue;
        *ret_kind = kind;
        return KX_OK;
    }
    return kx_error_set(err, KX_ERR_CONFIG, 0, "'%s' is no sink%s (sinks: %s)", name,
                        kx_suggest_text(&suggest, "", near), all_sinks(all));
}

const char *kx_sink_kind_batch(const struct kx_sink_kind *kind, const struct kx_option *option)
{
    KX_ASSERT(option->scope == KX_SCOPE_BATCH);
    if (option->offset == offsetof(struct kx_batch_config, records))
        return kind->records;
    if (option->offset == offsetof(struct kx_batch_config, bytes))
        return kind->bytes;
    return kind->interval;
}
