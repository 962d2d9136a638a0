/* From a sink's configuration to what its worker runs by. */
#include "batch/settings.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BIT(field) ((uint64_t)1 << (field))

static enum kx_code
find_field(const char *name, size_t length, enum kx_field *ret_field, struct kx_error *err)
{
    enum kx_field field = kx_field_find(name, length);
    if (field == KX_FIELDS)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "'%.*s' is no field of a device", (int)length,
                            name);
    *ret_field = field;
    return KX_OK;
}

/* "signal_dbm=3" */
static enum kx_code set_band(struct kx_delta_rules *rules, const char *pair, struct kx_error *err)
{
    size_t length = strcspn(pair, "=");
    enum kx_field field = KX_FIELDS;
    enum kx_code code = find_field(pair, length, &field, err);
    if (code == KX_OK)
        rules->deadband[field] = strtod(pair + length + 1, NULL); /* config/check.c took it */
    return code;
}

static enum kx_code compile_delta(struct kx_sink_settings *settings,
                                  const struct kx_delta_config *config,
                                  struct kx_error *err)
{
    struct kx_delta_rules *rules = &settings->delta;
    enum kx_code code = KX_OK;
    *rules = (struct kx_delta_rules){.mode = config->mode,
                                     .fields = settings->fields & ~BIT(KX_F_TIMESTAMP),
                                     .heartbeat_ns = config->heartbeat_ns,
                                     .min_interval_ns = config->min_interval_ns,
                                     .rate_max = config->max_rate};
    rules->watched = rules->fields;
    for (size_t i = 0; i < config->ignore.count && code == KX_OK; i++) {
        enum kx_field field = KX_FIELDS;
        code = find_field(config->ignore.items[i], strlen(config->ignore.items[i]), &field, err);
        if (code == KX_OK)
            rules->watched &= ~BIT(field);
    }
    for (size_t i = 0; i < config->deadband.count && code == KX_OK; i++)
        code = set_band(rules, config->deadband.items[i], err);
    return code;
}

enum kx_code kx_sink_settings_compile(const struct kx_sink_config *config,
                                      struct kx_sink_settings **ret_settings,
                                      struct kx_error *err)
{
    static _Atomic uint64_t serial;
    struct kx_sink_settings *settings = calloc(1, sizeof *settings);
    if (settings == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a sink's settings");
    settings->batch = config->batch;
    settings->fields = kx_sink_fields(config);
    enum kx_code code = compile_delta(settings, &config->delta, err);
    if (code == KX_OK)
        code = kx_filter_init(&settings->filter, config, err);
    if (code != KX_OK) {
        free(settings);
        return code;
    }
    settings->serial = atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed) + 1;
    *ret_settings = settings;
    return KX_OK;
}

void kx_sink_settings_destroy(struct kx_sink_settings *settings)
{
    if (settings == NULL)
        return;
    kx_filter_fini(&settings->filter);
    free(settings);
}
