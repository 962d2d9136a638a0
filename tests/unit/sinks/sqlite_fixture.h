/*
 * A SQLite sink in a directory of its own, and a second connection that looks at its file.
 *
 * cmocka's setup makes one for each test; every check is made by the second connection, so it sees
 * what is committed and nothing else.
 */
#ifndef KX_TESTS_SQLITE_FIXTURE_H
#define KX_TESTS_SQLITE_FIXTURE_H

#include "base/clock.h"
#include "records.h"
#include "sinks/sqlite.h"
#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[64];
    char path[128];
    char name[8];
    struct kx_config config;
    struct kx_source_config sources[2];
    struct kx_sink_config sink_config;
    struct kx_sink_env env;
    void *sink;
    struct kx_error err;
    struct box box;
};

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -1;
    strcpy(f->directory, "/tmp/kx-test-sqlite-XXXXXX");
    if (mkdtemp(f->directory) == NULL)
        return -1;
    snprintf(f->path, sizeof f->path, "%s/kismet.db", f->directory);
    strcpy(f->name, "db");
    f->config.sources = f->sources;
    f->config.source_count = 1;
    f->sink_config = (struct kx_sink_config){
        .name = f->name, .type = KX_SINK_SQLITE, .sqlite = {.path = f->path}};
    f->env = (struct kx_sink_env){.config = &f->config, .counters = kx_counters_create()};
    box_init(&f->box);
    *state = f;
    return f->env.counters != NULL ? 0 : -1;
}

static inline void fixture_open(struct fixture *f)
{
    assert_int_equal(kx_sqlite_ops.open(&f->sink_config, &f->env, &f->sink, &f->err), KX_OK);
}

static inline void fixture_close(struct fixture *f)
{
    kx_sqlite_ops.close(f->sink);
    f->sink = NULL;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    DIR *directory = opendir(f->directory);
    struct dirent *entry;
    char path[PATH_MAX];
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", f->directory, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (directory != NULL)
        closedir(directory);
    rmdir(f->directory);
    kx_counters_destroy(f->env.counters);
    box_fini(&f->box);
    free(f);
    return 0;
}

/* Delivers what is in the box, within ten seconds. */
static inline enum kx_outcome fixture_deliver(struct fixture *f)
{
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 10 * KX_NS_PER_S, .stop_fd = -1};
    f->err = (struct kx_error){.code = KX_OK};
    if (f->sink == NULL)
        fixture_open(f);
    return kx_sqlite_ops.deliver(f->sink, &f->box.batch, &call, &f->err);
}

static inline enum kx_outcome fixture_idle(struct fixture *f)
{
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 10 * KX_NS_PER_S, .stop_fd = -1};
    f->err = (struct kx_error){.code = KX_OK};
    if (f->sink == NULL)
        fixture_open(f);
    return kx_sqlite_ops.idle(f->sink, &call, &f->err);
}

/* One device in a batch of its own, which must be taken. */
static inline void fixture_send(struct fixture *f, const struct device_spec *spec)
{
    box_clear(&f->box);
    box_device(&f->box, spec);
    enum kx_outcome outcome = fixture_deliver(f);
    if (outcome != KX_SENT)
        print_error("%s\n", f->err.text);
    assert_int_equal(outcome, KX_SENT);
    assert_true(kx_batch_done(&f->box.batch, 0));
}

static inline uint64_t fixture_count(const struct fixture *f, enum kx_counter counter)
{
    return kx_counter_get(f->env.counters, counter);
}

static inline sqlite3 *file_open(const char *path)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    return db;
}

static inline void file_run(const char *path, const char *sql)
{
    sqlite3 *db = file_open(path);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        print_error("%s: %s\n", sql, message);
    assert_null(message);
    sqlite3_close(db);
}

/* The rows of a query as text: columns between '|', NULL as "NULL", a newline a row. */
static inline void rows_of(const char *path, const char *sql, char *out, size_t size)
{
    sqlite3 *db = file_open(path);
    sqlite3_stmt *statement = NULL;
    size_t used = 0;
    out[0] = '\0';
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        print_error("%s: %s\n", sql, sqlite3_errmsg(db));
    assert_non_null(statement);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        int columns = sqlite3_column_count(statement);
        for (int i = 0; i < columns; i++) {
            const unsigned char *text = sqlite3_column_text(statement, i);
            used += (size_t)snprintf(out + used, size - used, "%s%s",
                                     text != NULL ? (const char *)text : "NULL",
                                     i + 1 < columns ? "|" : "\n");
            assert_true(used < size);
        }
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static inline void expect_rows_in(const char *path, const char *sql, const char *expected)
{
    char rows[16384];
    rows_of(path, sql, rows, sizeof rows);
    assert_string_equal(rows, expected);
}

static inline void expect_rows(struct fixture *f, const char *sql, const char *expected)
{
    expect_rows_in(f->path, sql, expected);
}

#endif
