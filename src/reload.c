/* A reload, from the file to the threads. */
#include "reload.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"
#include "config/reload.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One sink's part of a reload; all NULL = it stays as it is. */
struct change {
    struct kx_sink_config *config; /* as it will hold */
    struct kx_sink_config *opened; /* the sink's own copy, when it is to be opened anew */
    struct kx_sink_settings *settings;
};

struct kx_reload {
    struct kx_reload_params params;
    struct kx_strings warned;      /* what the last configuration warned of */
    struct kx_sink_config **sinks; /* as they hold now; NULL = as at the start */
    struct change *changes;        /* of the reload that is under way */
    struct kx_config *fresh;       /* the same */
    struct kx_loop_news *news;     /* the same */
};

enum kx_code kx_reload_create(struct kx_reload **ret_reload,
                              const struct kx_reload_params *params,
                              struct kx_error *err)
{
    struct kx_reload *reload = calloc(1, sizeof *reload);
    if (reload != NULL) {
        reload->params = *params;
        reload->sinks = calloc(params->start->sink_count, sizeof(struct kx_sink_config *));
        reload->changes = calloc(params->start->sink_count, sizeof *reload->changes);
    }
    if (reload == NULL || reload->sinks == NULL || reload->changes == NULL) {
        kx_reload_destroy(reload);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for reloads");
    }
    *ret_reload = reload;
    return KX_OK;
}

void kx_reload_destroy(struct kx_reload *reload)
{
    if (reload == NULL)
        return;
    for (size_t i = 0; reload->sinks != NULL && i < reload->params.start->sink_count; i++)
        kx_sink_config_destroy(reload->sinks[i]);
    kx_strings_fini(&reload->warned);
    free(reload->sinks);
    free(reload->changes);
    free(reload);
}

/* --- what can fail --- */

static const struct kx_sink_config *running_sink(const struct kx_reload *reload, size_t i)
{
    return reload->sinks[i] != NULL ? reload->sinks[i] : &reload->params.start->sinks[i];
}

static enum kx_code prepare_sink(struct kx_reload *reload, size_t i, struct kx_error *err)
{
    struct change *change = &reload->changes[i];
    const struct kx_sink_config *running = running_sink(reload, i);
    const struct kx_sink_config *fresh = kx_config_sink(reload->fresh, running->name);
    bool reopen = false;
    if (fresh == NULL || fresh->type != running->type)
        return KX_OK;
    enum kx_code code = kx_sink_config_merge(running, fresh, &change->config, &reopen, err);
    if (code == KX_OK)
        code = kx_sink_settings_compile(change->config, &change->settings, err);
    if (code == KX_OK && reopen)
        code = kx_sink_config_merge(change->config, change->config, &change->opened, &reopen, err);
    if (code == KX_ERR_CONFIG && fresh->line > 0)
        kx_error_prefix(err, "%s:%u: sink %s", reload->fresh->path, fresh->line, fresh->name);
    return code;
}

static enum kx_code prepare(struct kx_reload *reload, struct kx_error *err)
{
    enum kx_code code = kx_config_reload(reload->params.start, &reload->fresh, err);
    for (size_t i = 0; i < reload->params.start->sink_count && code == KX_OK; i++)
        code = prepare_sink(reload, i, err);
    if (code == KX_OK)
        code = kx_loop_news_create(&reload->news, reload->params.start, reload->fresh, err);
    return code;
}

/* --- what cannot --- */

/* Gives each worker its settings; afterwards changes[].settings are those before, and nobody's. */
static void publish_settings(struct kx_reload *reload)
{
    for (size_t i = 0; i < reload->params.start->sink_count; i++)
        if (reload->changes[i].settings != NULL)
            reload->changes[i].settings =
                kx_pipe_publish(reload->params.pipes[i], reload->changes[i].settings);
    kx_rcu_wait();
}

static void publish(struct kx_reload *reload)
{
    publish_settings(reload);
    for (size_t i = 0; i < reload->params.start->sink_count; i++) {
        struct change *change = &reload->changes[i];
        if (change->opened != NULL)
            kx_pipe_reopen(reload->params.pipes[i], change->opened);
        change->opened = NULL;
        if (change->config == NULL)
            continue;
        struct kx_sink_config *before = reload->sinks[i];
        reload->sinks[i] = change->config;
        change->config = before;
    }
    kx_loop_reload(reload->params.loop, reload->news);
    reload->news = NULL;
    kx_log_level_set(reload->fresh->log_level);
}

/* What a reload that went well has replaced, or one that did not has made. */
static void discard(struct kx_reload *reload)
{
    for (size_t i = 0; i < reload->params.start->sink_count; i++) {
        struct change *change = &reload->changes[i];
        kx_sink_config_destroy(change->config);
        kx_sink_config_destroy(change->opened);
        kx_sink_settings_destroy(change->settings);
        *change = (struct change){0};
    }
    kx_loop_news_destroy(reload->news);
    reload->news = NULL;
    kx_config_destroy(reload->fresh);
    reload->fresh = NULL;
}

/* --- what is said --- */

static bool is_in(const struct kx_strings *lines, const char *line)
{
    for (size_t i = 0; i < lines->count; i++)
        if (strcmp(lines->items[i], line) == 0)
            return true;
    return false;
}

/* Warnings that the last configuration, or at first the start's, did not have. */
static void warn(struct kx_reload *reload)
{
    struct kx_strings *lines = &reload->fresh->warnings;
    const struct kx_strings *before = kx_counter_get(reload->params.counters, KX_C_RELOADS_OK) == 0
                                          ? &reload->params.start->warnings
                                          : &reload->warned;
    for (size_t i = 0; i < lines->count; i++)
        if (!is_in(before, lines->items[i]))
            kx_log(KX_LOG_WARNING, "config", "%s", lines->items[i]);
    kx_strings_fini(&reload->warned);
    reload->warned = *lines;
    *lines = (struct kx_strings){0};
}

static void name_restarts(const struct kx_reload *reload)
{
    struct kx_strings lines = {0};
    if (!kx_config_restarts(reload->params.start, reload->fresh, &lines))
        kx_log(KX_LOG_WARNING, "config", "no memory to say what else has changed");
    for (size_t i = 0; i < lines.count; i++)
        kx_log(KX_LOG_WARNING, "config", "%s", lines.items[i]);
    kx_strings_fini(&lines);
}

void kx_reload_run(struct kx_reload *reload)
{
    struct kx_error err = {0};
    struct kx_reload_status status = {.last_ns = kx_clock_wall_ns()};
    status.ok = prepare(reload, &err) == KX_OK;
    if (status.ok) {
        publish(reload);
        name_restarts(reload);
        warn(reload);
        kx_log(KX_LOG_INFO, "config", "reloaded%s%s", reload->fresh->path == NULL ? "" : " from ",
               reload->fresh->path == NULL ? "" : reload->fresh->path);
    } else {
        snprintf(status.text, sizeof status.text, "%.*s", (int)sizeof status.text - 1, err.text);
        kx_log(KX_LOG_ERROR, "config", "not reloaded, everything stays as it was: %s", err.text);
    }
    kx_count(reload->params.counters, status.ok ? KX_C_RELOADS_OK : KX_C_RELOADS_FAILED, 1);
    kx_board_reload_set(reload->params.board, &status);
    discard(reload);
    /* After the new settings: they may be what a held sink was waiting for. */
    for (size_t i = 0; i < reload->params.start->sink_count; i++)
        kx_pipe_poke(reload->params.pipes[i]);
}
