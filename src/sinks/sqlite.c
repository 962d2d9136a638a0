/*
 * The SQLite sink's life: ready, one transaction, committed or not at all.
 */
#include "sinks/sqlite.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/columns.h"
#include "sinks/sqlite_db.h"
#include "sinks/sqlite_extras.h"
#include "sinks/sqlite_probe.h"
#include "sinks/sqlite_rows.h"
#include "sinks/sqlite_schema.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    REFUSED_MAX = 64, /* rows refused in one batch; more are the table's fault, not theirs */
    UPKEEP_S = 60,    /* sources are written and history expires at least so often */
    LOG_BYTES_WARN = 256 << 20,
};

struct sqlite_sink {
    const char *name; /* borrowed from the configuration, as the path is */
    struct kx_sqlite_db db;
    struct kx_sqlite_rows rows;
    struct kx_counters *counters;
    struct kx_board *board;
    size_t source_count;
    enum kx_source_state *states; /* as last written, by source */
    uint64_t sources_due_ns;      /* boot clock */
    uint64_t expire_due_ns;
    uint64_t log_look_ns;
    struct kx_log_limit log_limit;
    size_t refused_count;
    uint32_t refused[REFUSED_MAX]; /* records of the present batch */
    struct kx_error refused_err;
};

/* --- open, close --- */

/* The directory must be there: a typing error shall not wait for the first batch. */
static enum kx_code check_path(const struct kx_sink_config *config, struct kx_error *err)
{
    char directory[PATH_MAX];
    struct stat status;
    const char *path = config->sqlite.path;
    if (path == NULL || path[0] == '\0' || path[0] == ':' || strlen(path) >= sizeof directory)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "sink %s: `path` must name a database file",
                            config->name);
    strcpy(directory, path);
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        strcpy(directory, ".");
    else
        slash[slash == directory ? 1 : 0] = '\0';
    if (stat(directory, &status) != 0)
        return kx_error_set(err, KX_ERR_CONFIG, errno,
                            "sink %s: no directory %s for the database; make it, or set `path`",
                            config->name, directory);
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return kx_error_set(err, KX_ERR_CONFIG, 0, "sink %s: %s is not a file; set `path`",
                            config->name, path);
    return KX_OK;
}

static void disconnect(struct sqlite_sink *sink)
{
    kx_sqlite_rows_fini(&sink->rows);
    kx_sqlite_close(&sink->db);
}

static void sqlite_close(void *self)
{
    struct sqlite_sink *sink = self;
    if (sink == NULL)
        return;
    disconnect(sink);
    free(sink->states);
    free(sink);
}

static enum kx_code sqlite_open(const struct kx_sink_config *config,
                                const struct kx_sink_env *env,
                                void **ret_self,
                                struct kx_error *err)
{
    enum kx_code code = check_path(config, err);
    if (code != KX_OK)
        return code;
    size_t sources = env->board != NULL ? kx_board_sources(env->board) : 0;
    struct sqlite_sink *sink = calloc(1, sizeof *sink);
    if (sink != NULL)
        sink->states = calloc(sources + 1, sizeof *sink->states);
    if (sink == NULL || sink->states == NULL) {
        free(sink);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory", config->name);
    }
    sink->name = config->name;
    sink->db.path = config->sqlite.path;
    sink->counters = env->counters;
    sink->board = env->board;
    sink->source_count = sources;
    sink->rows.mac_case = config->mac_case;
    sink->rows.fields = (uint32_t)kx_sink_fields(config);
    if ((sink->rows.fields & 1u << KX_F_EXTRA) != 0 && env->config != NULL)
        kx_columns_get(env->config, &sink->rows.extras);
    sink->rows.history = &config->tables.history;
    sink->rows.per_source = config->tables.per_source == KX_ON ||
                            (config->tables.per_source == KX_AUTO && env->config->source_count > 1);
    *ret_self = sink;
    return KX_OK;
}

/* --- ready --- */

/* Whether the call is over before it began. */
static bool is_over(const struct kx_call *call, struct kx_error *err)
{
    struct pollfd stop = {.fd = call->stop_fd, .events = POLLIN};
    if (poll(&stop, 1, 0) > 0) {
        kx_error_set(err, KX_ERR_STOPPED, 0, "stopped before the database was written");
        return true;
    }
    if (call->deadline_ns == 0 || kx_clock_boot_ns() < call->deadline_ns)
        return false;
    kx_error_set(err, KX_ERR_TIMEOUT, 0, "no time left to write the database");
    return true;
}

/* Only records are refused. A constraint that stops anything else is not their fault. */
static enum kx_outcome not_the_records(enum kx_outcome outcome)
{
    return outcome == KX_REJECTED ? KX_HOLD : outcome;
}

/* An open file with our tables and prepared statements. */
static enum kx_outcome get_ready(struct sqlite_sink *sink, struct kx_error *err)
{
    if (kx_sqlite_moved(&sink->db)) {
        kx_sqlite_rows_fini(&sink->rows);
        kx_sqlite_part(&sink->db);
    }
    if (sink->db.handle != NULL)
        return KX_SENT;
    enum kx_outcome outcome = kx_sqlite_open(&sink->db, err);
    if (outcome == KX_SENT)
        outcome = kx_sqlite_schema_apply(&sink->db, err);
    if (outcome == KX_SENT)
        outcome = kx_sqlite_extras_apply(&sink->db, &sink->rows.extras, err);
    if (outcome == KX_SENT)
        outcome = kx_sqlite_rows_prepare(&sink->rows, &sink->db, err);
    sink->sources_due_ns = 0; /* a new file knows no sources */
    return not_the_records(outcome);
}

/*
 * After a failure: nothing of the transaction stays. A lock is waited for with the connection as it
 * is; whatever else went wrong is met with a new one, which looks at the tables again.
 */
static enum kx_outcome
give_up(struct sqlite_sink *sink, enum kx_outcome outcome, struct kx_error *err)
{
    kx_sqlite_rollback(&sink->db);
    if (sink->db.broken) {
        kx_sqlite_rows_fini(&sink->rows);
        return kx_sqlite_set_aside(&sink->db, err);
    }
    if (err->code != KX_ERR_TIMEOUT || sink->rows.expire == NULL)
        disconnect(sink);
    return outcome;
}

/* --- upkeep: what is written beside the records --- */

static bool sources_due(struct sqlite_sink *sink, uint64_t now_ns)
{
    if (now_ns >= sink->sources_due_ns)
        return sink->source_count > 0;
    for (size_t i = 0; i < sink->source_count; i++) {
        struct kx_source_status status;
        kx_board_source_get(sink->board, i, &status);
        if (status.state != sink->states[i])
            return true;
    }
    return false;
}

static int write_sources(struct sqlite_sink *sink, uint64_t now_ns)
{
    int result = SQLITE_DONE;
    for (size_t i = 0; i < sink->source_count && result == SQLITE_DONE; i++) {
        struct kx_source_status status;
        kx_board_source_get(sink->board, i, &status);
        result = kx_sqlite_rows_source(&sink->rows, &status);
        sink->states[i] = status.state;
    }
    sink->sources_due_ns = now_ns + UPKEEP_S * KX_NS_PER_S;
    return result;
}

static bool expire_due(const struct sqlite_sink *sink, uint64_t now_ns)
{
    return sink->rows.history->on && sink->rows.history->retention_ns > 0 &&
           now_ns >= sink->expire_due_ns;
}

/* Deletes a batch; the next one comes with the next call while there is more. */
static int expire(struct sqlite_sink *sink, uint64_t now_ns)
{
    int deleted = 0;
    int result = kx_sqlite_rows_expire(&sink->rows, &deleted);
    bool more = deleted == KX_SQLITE_EXPIRE_ROWS;
    sink->expire_due_ns = more ? now_ns : now_ns + UPKEEP_S * KX_NS_PER_S;
    return result;
}

/* Inside a transaction. */
static enum kx_outcome upkeep(struct sqlite_sink *sink, uint64_t now_ns, struct kx_error *err)
{
    int result = SQLITE_DONE;
    if (sources_due(sink, now_ns))
        result = write_sources(sink, now_ns);
    if (result == SQLITE_DONE && expire_due(sink, now_ns))
        result = expire(sink, now_ns);
    return kx_sqlite_fault(&sink->db, result, err);
}

/* A reader that never ends keeps the write-ahead log from being used again, and it grows with every
 * batch. No call fails by that, so nobody else would say it. */
static void look_at_log(struct sqlite_sink *sink, uint64_t now_ns)
{
    char path[PATH_MAX + 8];
    struct stat status;
    if (now_ns < sink->log_look_ns)
        return;
    sink->log_look_ns = now_ns + UPKEEP_S * KX_NS_PER_S;
    snprintf(path, sizeof path, "%s-wal", sink->db.path);
    if (stat(path, &status) != 0 || status.st_size < LOG_BYTES_WARN)
        return;
    char component[64];
    snprintf(component, sizeof component, "sink %s", sink->name);
    kx_log_limited(&sink->log_limit, now_ns, KX_LOG_WARNING, component,
                   "%s has grown to %lld MiB: a program that reads the database holds an old "
                   "state of it; end that program",
                   path, (long long)(status.st_size >> 20));
}

/* --- deliver, idle --- */

static bool is_refused(const struct sqlite_sink *sink, uint32_t i)
{
    for (size_t k = 0; k < sink->refused_count; k++)
        if (sink->refused[k] == i)
            return true;
    return false;
}

/* A row that cannot be stored does not cost its neighbours: its statement alone is undone. */
static enum kx_outcome refuse(
    struct sqlite_sink *sink, struct kx_batch *batch, uint32_t i, int result, struct kx_error *err)
{
    if (sink->refused_count == REFUSED_MAX)
        return KX_REJECTED;
    if (sink->refused_count == 0) {
        snprintf(batch->reason, sizeof batch->reason, "sqlite %d", result);
        sink->refused_err = *err;
    }
    sink->refused[sink->refused_count++] = i;
    return KX_SENT;
}

static enum kx_outcome
write_records(struct sqlite_sink *sink, struct kx_batch *batch, struct kx_error *err)
{
    sink->refused_count = 0;
    for (uint32_t i = batch->first; i < batch->end; i++) {
        if (kx_batch_done(batch, i))
            continue;
        int result = kx_sqlite_rows_record(&sink->rows, kx_batch_record(batch, i));
        enum kx_outcome outcome = kx_sqlite_fault(&sink->db, result, err);
        if (outcome == KX_REJECTED)
            outcome = refuse(sink, batch, i, result, err);
        if (outcome != KX_SENT)
            return outcome;
    }
    return KX_SENT;
}

/* batch is NULL when there is only upkeep. */
static enum kx_outcome
transact(struct sqlite_sink *sink, struct kx_batch *batch, uint64_t now_ns, struct kx_error *err)
{
    kx_sqlite_rows_begin(&sink->rows, kx_clock_wall_ns());
    enum kx_outcome outcome = kx_sqlite_exec(&sink->db, "BEGIN IMMEDIATE", err);
    if (outcome == KX_SENT && batch != NULL)
        outcome = write_records(sink, batch, err);
    if (outcome == KX_SENT)
        outcome = not_the_records(upkeep(sink, now_ns, err));
    if (outcome == KX_SENT)
        outcome = not_the_records(kx_sqlite_exec(&sink->db, "COMMIT", err));
    if (outcome == KX_SENT) {
        kx_count(sink->counters, KX_C_ROWS_STALE, sink->rows.stale);
        kx_count(sink->counters, KX_C_EVENTS_KNOWN, sink->rows.known);
    }
    return outcome;
}

static enum kx_outcome
sqlite_deliver(void *self, struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    struct sqlite_sink *sink = self;
    if (is_over(call, err))
        return KX_RETRY;
    sink->db.call = call;
    uint64_t now_ns = kx_clock_boot_ns();
    enum kx_outcome outcome = get_ready(sink, err);
    if (outcome == KX_SENT)
        outcome = transact(sink, batch, now_ns, err);
    if (outcome != KX_SENT)
        outcome = give_up(sink, outcome, err);
    sink->db.call = NULL;
    if (outcome != KX_SENT)
        return outcome;
    for (uint32_t i = batch->first; i < batch->end; i++)
        if (!is_refused(sink, i))
            kx_batch_mark(batch, i);
    look_at_log(sink, now_ns);
    if (sink->refused_count == 0)
        return KX_SENT;
    *err = sink->refused_err;
    return KX_REJECTED;
}

static enum kx_outcome sqlite_idle(void *self, const struct kx_call *call, struct kx_error *err)
{
    struct sqlite_sink *sink = self;
    if (is_over(call, err))
        return KX_RETRY;
    sink->db.call = call;
    uint64_t now_ns = kx_clock_boot_ns();
    enum kx_outcome outcome = get_ready(sink, err);
    if (outcome == KX_SENT && (sources_due(sink, now_ns) || expire_due(sink, now_ns)))
        outcome = transact(sink, NULL, now_ns, err);
    if (outcome == KX_SENT)
        look_at_log(sink, now_ns);
    else
        outcome = give_up(sink, outcome, err);
    sink->db.call = NULL;
    return outcome;
}

static enum kx_code sqlite_probe(void *self, struct kx_probe *probe)
{
    const struct sqlite_sink *sink = self;
    kx_sqlite_probe(sink->db.path, &sink->rows.extras, probe);
    return KX_OK;
}

const struct kx_sink_ops kx_sqlite_ops = {
    .type = "sqlite",
    .newest_per_device = true,
    .open = sqlite_open,
    .deliver = sqlite_deliver,
    .idle = sqlite_idle,
    .probe = sqlite_probe,
    .close = sqlite_close,
};
