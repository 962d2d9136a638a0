/*
 * The PostgreSQL sink's life: connected, its tables known, one transaction, committed or not at
 * all.
 */
#include "sinks/postgres.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "sinks/postgres_extras.h"
#include "sinks/postgres_probe.h"
#include "sinks/postgres_retention.h"
#include "sinks/postgres_rows.h"
#include "sinks/postgres_schema.h"
#include "sinks/postgres_tls.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SOURCES_S = 60,      /* sources are written at least so often */
    OTHER_TRIES_MAX = 5, /* of one batch, with an SQLSTATE that stands in no row */
    SOURCES_BYTES_MAX = 1 << 20,
};

struct postgres_sink {
    const char *name; /* borrowed from the configuration */
    struct kx_postgres_db db;
    struct kx_postgres_rows rows;
    struct kx_postgres_schema_params schema;
    struct kx_postgres_extra_set extras;
    struct kx_postgres_tables tables; /* of the present connection */
    struct kx_postgres_retention retention;
    struct kx_secret conn, password; /* read again when the server refuses them */
    enum kx_switch pooler;
    struct kx_counters *counters;
    struct kx_board *board;
    size_t source_count;
    enum kx_source_state *states; /* as last written, by source */
    uint64_t sources_due_ns;      /* boot clock */
    struct kx_buf sources;        /* what is written of them, as JSON */
    bool looked_again;       /* a table or column was missing, and the schema was looked at since */
    uint64_t other_sequence; /* first record of the batch that failed in a way we do not know */
    uint32_t other_tries;
    bool tls_told;                  /* that the connection is weak */
    char warned[KX_ERROR_TEXT_MAX]; /* the last warning about the tables: each is said once */
};

/* --- open, close --- */

static void postgres_close(void *self)
{
    struct postgres_sink *sink = self;
    if (sink == NULL)
        return;
    kx_postgres_rows_fini(&sink->rows);
    kx_postgres_close(&sink->db);
    kx_secret_fini(&sink->conn);
    kx_secret_fini(&sink->password);
    kx_buf_fini(&sink->sources);
    free(sink->states);
    free(sink);
}

static void set_up(struct postgres_sink *sink,
                   const struct kx_sink_config *config,
                   const struct kx_sink_env *env)
{
    bool per_source = config->tables.per_source == KX_ON ||
                      (config->tables.per_source == KX_AUTO && env->config->source_count > 1);
    sink->name = config->name;
    sink->pooler = config->postgres.pooler;
    sink->counters = env->counters;
    sink->board = env->board;
    sink->source_count = env->board != NULL ? kx_board_sources(env->board) : 0;
    sink->rows.mac_case = config->mac_case;
    sink->rows.compat = config->compat;
    sink->rows.params = (struct kx_postgres_sql_params){
        .fields = kx_sink_fields(config),
        .per_source = per_source,
        .history = &config->tables.history,
        .synchronous_commit = config->postgres.synchronous_commit,
    };
    kx_postgres_schema_params_init(&sink->schema, config, env->config);
    sink->schema.extras = kx_postgres_extras_get(&sink->extras, env->config, config);
    sink->rows.params.extras = sink->schema.extras;
    sink->rows.extra_columns = &sink->extras.columns;
    sink->retention = (struct kx_postgres_retention){.config = &config->postgres.retention,
                                                     .history = &config->tables.history};
    kx_buf_init(&sink->sources, SOURCES_BYTES_MAX);
}

static enum kx_code postgres_open(const struct kx_sink_config *config,
                                  const struct kx_sink_env *env,
                                  void **ret_self,
                                  struct kx_error *err)
{
    const char *conninfo = kx_secret_reveal(&config->postgres.conn);
    if (conninfo != NULL && kx_postgres_check(conninfo, err) != KX_OK)
        return kx_error_prefix(err, "sink %s", config->name);
    struct postgres_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory", config->name);
    set_up(sink, config, env);
    sink->states = calloc(sink->source_count + 1, sizeof *sink->states);
    enum kx_code code = KX_OK;
    if (sink->states == NULL)
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory", config->name);
    if (code == KX_OK)
        code = kx_secret_copy(&sink->conn, &config->postgres.conn, err);
    if (code == KX_OK)
        code = kx_secret_copy(&sink->password, &config->postgres.password, err);
    if (code != KX_OK) {
        postgres_close(sink);
        return code;
    }
    *ret_self = sink;
    return KX_OK;
}

/* --- ready --- */

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

/* Only records are refused. What else the server does not take is not their fault. */
static enum kx_outcome not_the_records(enum kx_outcome outcome)
{
    return outcome == KX_REJECTED ? KX_HOLD : outcome;
}

static void warn(struct postgres_sink *sink, const char *text)
{
    char component[80];
    if (text[0] == '\0' || strcmp(text, sink->warned) == 0)
        return;
    snprintf(sink->warned, sizeof sink->warned, "%s", text);
    snprintf(component, sizeof component, "sink %s", sink->name);
    kx_log(KX_LOG_WARNING, component, "%s", text);
}

/* Who may listen, or pretend to be the server. */
static void warn_of_tls(struct postgres_sink *sink)
{
    char text[KX_ERROR_TEXT_MAX];
    PQconninfoOption *options = PQconninfo(sink->db.handle);
    if (options != NULL && !sink->tls_told && kx_postgres_tls_weak(options, text, sizeof text)) {
        sink->tls_told = true;
        warn(sink, text);
    }
    PQconninfoFree(options);
}

/* A connection with our tables, and statements that name what they have. */
static enum kx_outcome get_ready(struct postgres_sink *sink, struct kx_error *err)
{
    const struct kx_postgres_target target = {.conninfo = kx_secret_reveal(&sink->conn),
                                              .password = kx_secret_reveal(&sink->password),
                                              .pooler = sink->pooler};
    if (sink->db.handle == NULL || PQstatus(sink->db.handle) != CONNECTION_OK)
        kx_postgres_rows_fini(&sink->rows);
    enum kx_outcome outcome = kx_postgres_connect(&sink->db, &target, err);
    if (outcome != KX_SENT || sink->rows.ready)
        return not_the_records(outcome);
    warn_of_tls(sink);
    outcome = kx_postgres_schema_apply(&sink->db, &sink->schema, &sink->tables, err);
    if (outcome == KX_SENT)
        outcome = kx_postgres_rows_prepare(&sink->rows, &sink->db, &sink->tables, err);
    if (outcome == KX_SENT)
        warn(sink, sink->tables.warning);
    sink->sources_due_ns = 0; /* another server may not know them */
    return not_the_records(outcome);
}

/* --- sources --- */

static bool sources_due(const struct postgres_sink *sink, uint64_t now_ns)
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

static void put_member(struct kx_buf *out, const char *key, const char *text)
{
    if (text[0] == '\0')
        return;
    kx_buf_printf(out, ",\"%s\":\"", key);
    kx_text_json(out, text, strlen(text));
    kx_buf_byte(out, '"');
}

static void put_source(struct kx_buf *out, const struct kx_source_status *status)
{
    char time_text[KX_CLOCK_RFC3339_MAX];
    kx_buf_text(out, "{\"source\":\"");
    kx_text_json(out, status->name, strlen(status->name));
    kx_buf_byte(out, '"');
    put_member(out, "server_uuid", status->server_uuid);
    put_member(out, "state", kx_source_state_name(status->state));
    put_member(out, "version", status->version);
    if (status->last_contact_ns != 0) {
        kx_clock_iso8601(status->last_contact_ns, time_text);
        put_member(out, "last_contact", time_text);
    }
    if (status->datasources_ok >= 0)
        kx_buf_printf(out, ",\"datasources_ok\":%d", status->datasources_ok);
    if (status->skew_known) {
        kx_buf_text(out, ",\"clock_skew_s\":");
        kx_buf_f64(out, status->clock_skew_s);
    }
    kx_buf_byte(out, '}');
}

/* What the board says of the sources, when it is time to write it; NULL otherwise. */
static const char *sources_text(struct postgres_sink *sink, uint64_t now_ns)
{
    struct kx_buf *out = &sink->sources;
    if (!sources_due(sink, now_ns))
        return NULL;
    kx_buf_clear(out);
    for (size_t i = 0; i < sink->source_count; i++) {
        struct kx_source_status status;
        kx_board_source_get(sink->board, i, &status);
        kx_buf_byte(out, i == 0 ? '[' : ',');
        put_source(out, &status);
        sink->states[i] = status.state;
    }
    kx_buf_text(out, "]");
    kx_buf_byte(out, '\0');
    sink->sources_due_ns = now_ns + SOURCES_S * KX_NS_PER_S;
    return out->failed ? NULL : out->data;
}

/* --- deliver, idle --- */

static enum kx_outcome
transact(struct postgres_sink *sink, struct kx_batch *batch, uint64_t now_ns, struct kx_error *err)
{
    const char *sources = sources_text(sink, now_ns);
    if (batch == NULL && sources == NULL)
        return KX_SENT;
    enum kx_outcome outcome = kx_postgres_rows_write(&sink->rows, &sink->db, batch, sources, err);
    if (outcome != KX_SENT)
        return outcome;
    kx_count(sink->counters, KX_C_ROWS_STALE, sink->rows.stale);
    kx_count(sink->counters, KX_C_EVENTS_KNOWN, sink->rows.known);
    kx_count(sink->counters, KX_C_VALUES_OUT_OF_RANGE, sink->rows.out_of_range);
    return KX_SENT;
}

/* Old rows go beside the records, in a transaction of their own: what fails there is told, and
 * costs no record. */
static void expire(struct postgres_sink *sink, uint64_t now_ns)
{
    struct kx_error err;
    uint64_t rows = 0;
    if (!kx_postgres_retention_due(&sink->retention, now_ns) ||
        kx_postgres_retention_step(&sink->retention, &sink->db, &sink->tables, now_ns, &rows,
                                   &err) == KX_SENT)
        return;
    kx_error_prefix(&err, "old rows are not deleted");
    warn(sink, err.text);
}

/* The server refuses who we are: a secret in a file may have been changed since we read it. Whether
 * one was. */
static bool read_secrets(struct postgres_sink *sink)
{
    struct kx_secret *const secrets[] = {&sink->conn, &sink->password};
    bool changed = false;
    for (size_t i = 0; i < 2; i++) {
        struct kx_secret before = {.bytes = NULL};
        if (secrets[i]->file == NULL || kx_secret_copy(&before, secrets[i], NULL) != KX_OK)
            continue;
        if (kx_secret_reload(secrets[i], NULL) == KX_OK)
            changed =
                changed || strcmp(kx_secret_reveal(&before), kx_secret_reveal(secrets[i])) != 0;
        kx_secret_fini(&before);
    }
    return changed;
}

/* A failure that is in no row of the table gets a few tries of the same batch. */
static enum kx_outcome other_failure(struct postgres_sink *sink, const struct kx_batch *batch)
{
    uint64_t sequence = batch != NULL ? kx_batch_record(batch, batch->first)->sequence : 0;
    if (sequence != sink->other_sequence)
        sink->other_tries = 0;
    sink->other_sequence = sequence;
    if (batch == NULL || ++sink->other_tries < OTHER_TRIES_MAX)
        return KX_RETRY;
    sink->other_tries = 0;
    return KX_REJECTED;
}

/*
 * After a failure: nothing of the transaction stays. Where the table of SQLSTATEs is not enough:
 * a refused secret is read again, a missing table is looked for again, once, and what is unknown
 * is refused in the end.
 */
static enum kx_outcome
give_up(struct postgres_sink *sink, struct kx_batch *batch, enum kx_outcome outcome)
{
    struct kx_postgres_db *db = &sink->db;
    bool missing = strcmp(db->sqlstate, "42P01") == 0 || strcmp(db->sqlstate, "42703") == 0;
    kx_postgres_rollback(db);
    sink->sources_due_ns = 0;
    if (batch != NULL)
        snprintf(batch->reason, sizeof batch->reason, "%s", db->sqlstate);
    if (outcome == KX_HOLD && strncmp(db->sqlstate, "28", 2) == 0 && read_secrets(sink))
        return KX_RETRY;
    if (outcome == KX_HOLD && missing && !sink->looked_again) {
        sink->looked_again = true;
        return KX_RETRY;
    }
    if (outcome == KX_RETRY && db->sqlstate[0] != '\0' && !kx_postgres_fault_known(db->fault))
        return other_failure(sink, batch);
    return outcome;
}

static enum kx_outcome call(struct postgres_sink *sink,
                            struct kx_batch *batch,
                            const struct kx_call *limits,
                            struct kx_error *err)
{
    if (is_over(limits, err))
        return KX_RETRY;
    sink->db.call = limits;
    sink->db.sqlstate[0] = '\0';
    enum kx_outcome outcome = get_ready(sink, err);
    if (outcome == KX_SENT)
        outcome = transact(sink, batch, kx_clock_boot_ns(), err);
    if (outcome == KX_SENT) {
        sink->looked_again = false;
        expire(sink, kx_clock_boot_ns());
    } else {
        outcome = give_up(sink, batch, outcome);
    }
    sink->db.call = NULL;
    return outcome;
}

static enum kx_outcome postgres_deliver(void *self,
                                        struct kx_batch *batch,
                                        const struct kx_call *limits,
                                        struct kx_error *err)
{
    return call(self, batch, limits, err);
}

static enum kx_outcome postgres_idle(void *self, const struct kx_call *limits, struct kx_error *err)
{
    return call(self, NULL, limits, err);
}

static enum kx_code postgres_probe(void *self, struct kx_probe *probe)
{
    const struct postgres_sink *sink = self;
    const struct kx_postgres_target target = {.conninfo = kx_secret_reveal(&sink->conn),
                                              .password = kx_secret_reveal(&sink->password),
                                              .pooler = sink->pooler};
    kx_postgres_probe(&target, &sink->schema, probe);
    return KX_OK;
}

/* Within a batch the newest of a device is enough, also for history: its min_interval is never
 * shorter than a second, and a batch is rarely older. */
const struct kx_sink_ops kx_postgres_ops = {
    .type = "postgres",
    .newest_per_device = true,
    .open = postgres_open,
    .deliver = postgres_deliver,
    .idle = postgres_idle,
    .probe = postgres_probe,
    .close = postgres_close,
};
