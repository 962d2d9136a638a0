/*
 * A PostgreSQL sink over an empty database, and a second connection that looks at it.
 *
 * KX_TEST_POSTGRES in the environment names a database that may be emptied; it is before each test.
 * Every check is made by the second connection, so it sees what is committed and nothing else.
 */
#ifndef KX_TESTS_POSTGRES_FIXTURE_H
#define KX_TESTS_POSTGRES_FIXTURE_H

#include "../unit/sinks/records.h"
#include "base/clock.h"
#include "sinks/postgres.h"
#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
    char name[8];
    struct kx_source_config sources[2];
    struct kx_config config;
    struct kx_sink_config sink_config;
    struct kx_sink_env env;
    void *sink;
    struct kx_error err;
    struct box box;
    PGconn *watcher;
};

/* Runs statements over the second connection. */
static inline void run_sql(struct fixture *f, const char *sql)
{
    PGresult *result = PQexec(f->watcher, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        print_error("%s: %s\n", sql, PQerrorMessage(f->watcher));
    assert_true(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK);
    PQclear(result);
}

static inline void on_watcher_notice(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *conninfo = getenv("KX_TEST_POSTGRES");
    if (f == NULL || conninfo == NULL)
        return -1;
    f->watcher = PQconnectdb(conninfo);
    if (PQstatus(f->watcher) != CONNECTION_OK) {
        print_error("%s\n", PQerrorMessage(f->watcher));
        return -1;
    }
    PQsetNoticeProcessor(f->watcher, on_watcher_notice, NULL);
    run_sql(f, "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; SET timezone = 'UTC'");
    strcpy(f->name, "db");
    f->config.sources = f->sources;
    f->config.source_count = 1;
    f->sink_config = (struct kx_sink_config){.name = f->name, .type = KX_SINK_POSTGRES};
    f->sink_config.postgres.pooler = getenv("KX_TEST_POOLED") != NULL ? KX_ON : KX_AUTO;
    f->env = (struct kx_sink_env){.config = &f->config, .counters = kx_counters_create()};
    box_init(&f->box);
    *state = f;
    if (f->env.counters == NULL)
        return -1;
    return kx_secret_set(&f->sink_config.postgres.conn, conninfo, &f->err) == KX_OK ? 0 : -1;
}

static inline void fixture_open(struct fixture *f)
{
    assert_int_equal(kx_postgres_ops.open(&f->sink_config, &f->env, &f->sink, &f->err), KX_OK);
}

static inline void fixture_close(struct fixture *f)
{
    kx_postgres_ops.close(f->sink);
    f->sink = NULL;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    PQfinish(f->watcher);
    kx_secret_fini(&f->sink_config.postgres.conn);
    kx_counters_destroy(f->env.counters);
    box_fini(&f->box);
    free(f);
    return 0;
}

/* Delivers what is in the box, within twenty seconds. */
static inline enum kx_outcome fixture_deliver(struct fixture *f)
{
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 20 * KX_NS_PER_S, .stop_fd = -1};
    f->err = (struct kx_error){.code = KX_OK};
    if (f->sink == NULL)
        fixture_open(f);
    enum kx_outcome outcome = kx_postgres_ops.deliver(f->sink, &f->box.batch, &call, &f->err);
    if (outcome == KX_SENT) /* as the engine does */
        for (uint32_t i = f->box.batch.first; i < f->box.batch.end; i++)
            kx_batch_mark(&f->box.batch, i);
    return outcome;
}

static inline enum kx_outcome fixture_idle(struct fixture *f)
{
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 20 * KX_NS_PER_S, .stop_fd = -1};
    f->err = (struct kx_error){.code = KX_OK};
    if (f->sink == NULL)
        fixture_open(f);
    return kx_postgres_ops.idle(f->sink, &call, &f->err);
}

/* What is in the box must be taken. */
static inline void fixture_take(struct fixture *f)
{
    enum kx_outcome outcome = fixture_deliver(f);
    if (outcome != KX_SENT)
        print_error("%s\n", f->err.text);
    assert_int_equal(outcome, KX_SENT);
}

/* One device in a batch of its own, which must be taken. */
static inline void fixture_send(struct fixture *f, const struct device_spec *spec)
{
    box_clear(&f->box);
    box_device(&f->box, spec);
    fixture_take(f);
}

static inline uint64_t fixture_count(const struct fixture *f, enum kx_counter counter)
{
    return kx_counter_get(f->env.counters, counter);
}

/* The rows of a query as text: columns between '|', NULL as "NULL", a newline a row. */
static inline void expect_rows(struct fixture *f, const char *sql, const char *expected)
{
    char rows[16384] = "";
    size_t used = 0;
    PGresult *result = PQexec(f->watcher, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        print_error("%s: %s\n", sql, PQerrorMessage(f->watcher));
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    for (int i = 0; i < PQntuples(result); i++)
        for (int k = 0; k < PQnfields(result); k++) {
            used += (size_t)snprintf(rows + used, sizeof rows - used, "%s%s",
                                     PQgetisnull(result, i, k) ? "NULL" : PQgetvalue(result, i, k),
                                     k + 1 < PQnfields(result) ? "|" : "\n");
            assert_true(used < sizeof rows);
        }
    PQclear(result);
    assert_string_equal(rows, expected);
}

#endif
