/*
 * Default names, uniqueness, and pairs of values that must fit together.
 */
#include "config/finish.h"

#include "config/columns.h"
#include "config/finish_sink.h"
#include "config/kinds.h"
#include "config/state.h"
#include "config/url.h"
#include "config/value.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum kx_code no_memory(struct kx_error *err)
{
    return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the configuration");
}

/* Puts file and line of a source or sink before an error. */
static enum kx_code at_line(const struct kx_config *config, unsigned line, struct kx_error *err)
{
    if (config->path != NULL && line > 0)
        kx_error_prefix(err, "%s:%u", config->path, line);
    return KX_ERR_CONFIG;
}

static enum kx_code name_sensor(struct kx_config *config, struct kx_error *err)
{
    char host[KX_NAME_BYTES_MAX + 1];
    if (config->sensor != NULL)
        return KX_OK;
    if (gethostname(host, sizeof host) != 0 || host[0] == '\0')
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "this machine has no host name to call the sensor by: give sensor "
                            "(--sensor)");
    host[sizeof host - 1] = '\0';
    config->sensor = strdup(host);
    return config->sensor == NULL ? no_memory(err) : KX_OK;
}

/* The sensor's name when Kismet runs beside us, else where it runs. */
static enum kx_code
name_source(const struct kx_config *config, struct kx_source_config *source, struct kx_error *err)
{
    char authority[KX_URL_HOST_MAX + 8];
    const char *name = config->sensor;
    struct kx_url url;
    if (source->name != NULL)
        return KX_OK;
    if (source->url != NULL) {
        enum kx_code code = kx_url_parse(source->url, &url, err);
        if (code != KX_OK)
            return code;
        if (!kx_url_is_loopback(&url)) {
            kx_url_authority(&url, authority);
            name = authority;
        }
    }
    if (strlen(name) > KX_NAME_BYTES_MAX) {
        kx_error_set(err, KX_ERR_CONFIG, 0,
                     "the address is too long to be the source's name: give it a name");
        return at_line(config, source->line, err);
    }
    source->name = strdup(name);
    return source->name == NULL ? no_memory(err) : KX_OK;
}

static bool sink_name_taken(const struct kx_config *config, const char *name)
{
    for (size_t i = 0; i < config->sink_count; i++)
        if (config->sinks[i].name != NULL && strcmp(config->sinks[i].name, name) == 0)
            return true;
    return false;
}

/* "sqlite", or "sqlite-2" when that is taken. */
static enum kx_code
name_sink(const struct kx_config *config, struct kx_sink_config *sink, struct kx_error *err)
{
    char name[KX_NAME_BYTES_MAX + 1];
    if (sink->name != NULL)
        return KX_OK;
    snprintf(name, sizeof name, "%s", kx_sink_type_name(sink->type));
    for (unsigned i = 2; sink_name_taken(config, name); i++)
        snprintf(name, sizeof name, "%s-%u", kx_sink_type_name(sink->type), i);
    sink->name = strdup(name);
    return sink->name == NULL ? no_memory(err) : KX_OK;
}

static enum kx_code place_letters(struct kx_sink_config *sink, struct kx_error *err)
{
    if (sink->dead_letter.path != NULL)
        return KX_OK;
    return kx_state_path(sink->name, ".dead-letter.ndjson", &sink->dead_letter.path, err);
}

/* Whether two sinks would write one file of dead letters. */
static bool share_letters(const struct kx_sink_config *a, const struct kx_sink_config *b)
{
    return a->dead_letter.on && b->dead_letter.on && a->dead_letter.path != NULL &&
           b->dead_letter.path != NULL && strcmp(a->dead_letter.path, b->dead_letter.path) == 0;
}

static enum kx_code
check_tls(struct kx_config *config, const struct kx_source_config *source, struct kx_error *err)
{
    const struct kx_tls_config *tls = &source->tls;
    bool https = source->url != NULL && strncmp(source->url, "https:", 6) == 0;
    bool any = tls->ca_file != NULL || tls->cert_file != NULL || tls->key_file != NULL;
    if ((tls->cert_file == NULL) != (tls->key_file == NULL)) {
        kx_error_set(err, KX_ERR_CONFIG, 0,
                     "source %s: cert_file and key_file belong together: give both or none",
                     source->name);
        return at_line(config, source->line, err);
    }
    if (any && !https) {
        kx_error_set(err, KX_ERR_CONFIG, 0, "source %s: tls is for https: write url: https://...",
                     source->name);
        return at_line(config, source->line, err);
    }
    if (tls->insecure && https &&
        !kx_strings_addf(&config->warnings,
                         "source %s: tls is insecure: whoever sits between can read and change "
                         "everything; use ca_file instead",
                         source->name))
        return no_memory(err);
    return KX_OK;
}

/* monitor.ws knows no expressions, so a source that has some is read by REST. */
static enum kx_code
settle_mode(const struct kx_config *config, struct kx_source_config *source, struct kx_error *err)
{
    if (source->regex.count == 0)
        return KX_OK;
    if (source->mode != KX_MODE_MONITOR) {
        source->mode = KX_MODE_POLL;
        return KX_OK;
    }
    kx_error_set(err, KX_ERR_CONFIG, 0,
                 "source %s: regex works by REST only: leave out mode, or write mode: poll",
                 source->name);
    return at_line(config, source->line, err);
}

static enum kx_code check_source(struct kx_config *config, size_t at, struct kx_error *err)
{
    const struct kx_source_config *source = &config->sources[at];
    char words[KX_VALUE_TEXT_MAX];
    for (size_t i = 0; i < at; i++) {
        if (strcmp(config->sources[i].name, source->name) != 0)
            continue;
        kx_error_set(err, KX_ERR_CONFIG, 0,
                     "two sources are named '%s', the other in line %u: give each its own name",
                     source->name, config->sources[i].line);
        return at_line(config, source->line, err);
    }
    if (source->reconnect_min_ns > source->reconnect_max_ns) {
        kx_error_set(err, KX_ERR_CONFIG, 0,
                     "source %s: reconnect.min is more than reconnect.max, which is %s",
                     source->name, kx_value_duration_text(source->reconnect_max_ns, words));
        return at_line(config, source->line, err);
    }
    enum kx_code code = settle_mode(config, &config->sources[at], err);
    return code == KX_OK ? check_tls(config, source, err) : code;
}

/* A geofence is a circle or a box, whole, and not both. */
static enum kx_code
check_fence(const struct kx_config *config, const struct kx_sink_config *sink, struct kx_error *err)
{
    const struct kx_geofence_config *fence = &sink->filter.geofence;
    int circle = fence->lat.given + fence->lon.given + (fence->radius_m > 0);
    int box =
        fence->lat_min.given + fence->lat_max.given + fence->lon_min.given + fence->lon_max.given;
    const char *fault = NULL;
    if (fence->line == 0)
        return KX_OK;
    if (circle > 0 && box > 0)
        fault = "a circle and a box at once: keep lat, lon and radius_m, or the four edges";
    else if (circle + box == 0)
        fault = "no place: write lat, lon and radius_m, or lat_min, lat_max, lon_min and lon_max";
    else if (circle > 0 && circle < 3)
        fault = "half a circle: it wants lat, lon and radius_m";
    else if (box > 0 && box < 4)
        fault = "half a box: it wants lat_min, lat_max, lon_min and lon_max";
    else if (box > 0 && fence->lat_min.value >= fence->lat_max.value)
        fault = "nothing is north of lat_min and south of lat_max: swap them";
    else if (box > 0 && fence->lon_min.value == fence->lon_max.value)
        fault = "nothing is east of lon_min and west of lon_max: they are equal";
    if (fault == NULL)
        return KX_OK;
    kx_error_set(err, KX_ERR_CONFIG, 0, "sink %s: geofence: %s", sink->name, fault);
    return at_line(config, fence->line, err);
}

static bool has_text(const struct kx_strings *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

/* What can be written down, but hardly be meant. */
static enum kx_code
warn_of_delta(struct kx_config *config, const struct kx_sink_config *sink, struct kx_error *err)
{
    const struct kx_delta_config *delta = &sink->delta;
    const struct kx_geofence_config *fence = &sink->filter.geofence;
    bool added = true;
    if (delta->mode != KX_DELTA_OFF && has_text(&delta->ignore, "last_seen") &&
        delta->heartbeat_ns == 0)
        added = kx_strings_addf(&config->warnings,
                                "sink %s: last_seen is ignored and there is no heartbeat: a device "
                                "that is there but does not change looks as if it had gone; add "
                                "'heartbeat: 5m' to its delta",
                                sink->name);
    if (added && fence->lon_min.given && fence->lon_min.value > fence->lon_max.value)
        added = kx_strings_addf(&config->warnings,
                                "sink %s: the geofence goes over the 180th meridian, from %g east "
                                "to %g: if that is not meant, swap lon_min and lon_max",
                                sink->name, fence->lon_min.value, fence->lon_max.value);
    return added ? KX_OK : kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a warning");
}

/* In a replay everything is old, and who asks once wants what there is. */
static void settle_age(const struct kx_config *config, struct kx_sink_config *sink)
{
    if (config->command == KX_COMMAND_REPLAY || config->once)
        sink->delta.max_age_ns = 0;
}

static enum kx_code check_sink(const struct kx_config *config, size_t at, struct kx_error *err)
{
    const struct kx_sink_config *sink = &config->sinks[at];
    for (size_t i = 0; i < at; i++) {
        const struct kx_sink_config *other = &config->sinks[i];
        if (strcmp(other->name, sink->name) == 0) {
            kx_error_set(err, KX_ERR_CONFIG, 0,
                         "two sinks are named '%s', the other in line %u: give each its own name",
                         sink->name, other->line);
            return at_line(config, sink->line, err);
        }
        if (share_letters(sink, other)) {
            kx_error_set(err, KX_ERR_CONFIG, 0,
                         "the sinks '%s' and '%s' write the same dead letters %s: give each its "
                         "own dead_letter.path",
                         other->name, sink->name, sink->dead_letter.path);
            return at_line(config, sink->line, err);
        }
        if (sink->type == KX_SINK_SQLITE && other->type == KX_SINK_SQLITE &&
            strcmp(sink->sqlite.path, other->sqlite.path) == 0) {
            kx_error_set(err, KX_ERR_CONFIG, 0,
                         "the sinks '%s' and '%s' write the same file %s: give each its own path",
                         other->name, sink->name, sink->sqlite.path);
            return at_line(config, sink->line, err);
        }
    }
    return check_fence(config, sink, err);
}

static bool writes_to_terminal(const struct kx_config *config)
{
    for (size_t i = 0; i < config->sink_count; i++)
        if (config->sinks[i].type == KX_SINK_CONSOLE)
            return isatty(STDOUT_FILENO) == 1;
    return false;
}

/* Whoever asked for a level wants a log, and devices that scroll leave no place for anything else.
 */
static void settle_log(struct kx_config *config)
{
    bool runs = config->command == KX_COMMAND_RUN || config->command == KX_COMMAND_REPLAY;
    config->progress = runs && !config->no_progress && config->log_choice == KX_LOG_CHOICE_AUTO &&
                       config->log_format == KX_LOG_TEXT && isatty(STDERR_FILENO) == 1 &&
                       !writes_to_terminal(config);
    if (config->log_choice == KX_LOG_CHOICE_AUTO)
        config->log_level = config->progress ? KX_LOG_WARNING : KX_LOG_INFO;
    else
        config->log_level = (enum kx_log_level)config->log_choice;
}

static_assert((int)KX_LOG_CHOICE_DEBUG == (int)KX_LOG_DEBUG, "the same order");

/* The ring wants a power of two. */
static uint64_t round_up(uint64_t bytes)
{
    uint64_t power = 1;
    while (power < bytes)
        power *= 2;
    return power;
}

enum kx_code kx_config_finish(struct kx_config *config, struct kx_error *err)
{
    enum kx_code code = name_sensor(config, err);
    for (size_t i = 0; i < config->source_count && code == KX_OK; i++)
        code = name_source(config, &config->sources[i], err);
    for (size_t i = 0; i < config->source_count && code == KX_OK; i++)
        code = check_source(config, i, err);
    if (code == KX_OK)
        code = kx_columns_check(config, err);
    for (size_t i = 0; i < config->sink_count && code == KX_OK; i++)
        code = name_sink(config, &config->sinks[i], err);
    for (size_t i = 0; i < config->sink_count && code == KX_OK; i++)
        code = place_letters(&config->sinks[i], err);
    for (size_t i = 0; i < config->sink_count && code == KX_OK; i++)
        code = check_sink(config, i, err);
    for (size_t i = 0; i < config->sink_count && code == KX_OK; i++) {
        settle_age(config, &config->sinks[i]);
        code = warn_of_delta(config, &config->sinks[i], err);
        if (code == KX_OK && (code = kx_finish_sink(config, &config->sinks[i], err)) != KX_OK)
            at_line(config, config->sinks[i].line, err);
    }
    config->ring_bytes = round_up(config->ring_bytes);
    settle_log(config);
    return code;
}
