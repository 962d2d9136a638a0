/* One transaction a batch; its statements stand in postgres_sql.c. */
#include "sinks/postgres_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_BYTES = 65536,
    BLOCK_BYTES_MAX = BLOCK_BYTES + 4 * KX_RECORD_BYTES_MAX, /* one record more, repaired */
    NARROW_BYTES_MAX = 6000, /* of a record: its row is sure to fit a page */
};

/* How a batch is made up. */
struct mix {
    uint32_t devices, events;
    uint32_t length_max; /* of a device's record */
};

static enum kx_outcome no_memory(struct kx_error *err)
{
    kx_error_set(err, KX_ERR_NOMEM, 0, "no memory to write a batch");
    return KX_RETRY;
}

/* --- prepare, fini --- */

enum kx_outcome kx_postgres_rows_prepare(struct kx_postgres_rows *rows,
                                         struct kx_postgres_db *db,
                                         const struct kx_postgres_tables *tables,
                                         struct kx_error *err)
{
    kx_postgres_rows_fini(rows);
    rows->params.pooled = db->pooled;
    rows->tables = tables;
    if (kx_postgres_sql_make(&rows->sql, &rows->params, tables, err) != KX_OK)
        return KX_RETRY;
    kx_buf_init(&rows->block, BLOCK_BYTES_MAX);
    rows->copy = (struct kx_postgres_copy){
        .mac_case = rows->mac_case,
        .compat = rows->compat,
        .fields = rows->sql.staged,
        .extra_columns = rows->extra_columns,
        .extras = rows->sql.extras,
    };
    const struct kx_postgres_table_state *devices = &tables->table[KX_PG_DEVICES];
    for (unsigned field = 0; field < KX_FIELDS; field++)
        if (kx_fields[field].type == KX_TYPE_I64 && devices->types[field] == KX_PT_INTEGER)
            rows->copy.narrow |= 1ull << field;
    enum kx_outcome outcome = KX_SENT;
    if (rows->sql.session != NULL)
        outcome = kx_postgres_exec(db, rows->sql.session, err);
    rows->ready = outcome == KX_SENT;
    return outcome;
}

void kx_postgres_rows_fini(struct kx_postgres_rows *rows)
{
    kx_postgres_sql_fini(&rows->sql);
    kx_buf_fini(&rows->block);
    rows->ready = false;
}

/* --- COPY --- */

static struct mix count_records(const struct kx_batch *batch)
{
    struct mix mix = {0, 0, 0};
    for (uint32_t i = batch->first; i < batch->end; i++) {
        const struct kx_record *record = kx_batch_record(batch, i);
        if (kx_batch_done(batch, i))
            continue;
        bool device = record->kind == KX_KIND_DEVICE;
        mix.devices += device;
        mix.events += !device;
        if (device && record->length > mix.length_max)
            mix.length_max = record->length;
    }
    return mix;
}

static enum kx_outcome
put_block(struct kx_postgres_rows *rows, struct kx_postgres_db *db, struct kx_error *err)
{
    if (rows->block.failed)
        return no_memory(err);
    enum kx_outcome outcome = kx_postgres_copy_put(db, rows->block.data, rows->block.length, err);
    kx_buf_clear(&rows->block);
    return outcome;
}

/* The records of one kind, in blocks, into the COPY that has begun. */
static enum kx_outcome copy_records(struct kx_postgres_rows *rows,
                                    struct kx_postgres_db *db,
                                    const struct kx_batch *batch,
                                    enum kx_kind kind,
                                    struct kx_error *err)
{
    enum kx_outcome outcome = KX_SENT;
    kx_buf_clear(&rows->block);
    kx_postgres_copy_head(&rows->block);
    for (uint32_t i = batch->first; i < batch->end && outcome == KX_SENT; i++) {
        const struct kx_record *record = kx_batch_record(batch, i);
        if (record->kind != kind || kx_batch_done(batch, i))
            continue;
        if (kind == KX_KIND_DEVICE)
            kx_postgres_copy_device(&rows->copy, &rows->block, kx_record_device(record), i);
        else
            kx_postgres_copy_event(&rows->copy, &rows->block, kx_record_event(record));
        if (rows->block.length >= BLOCK_BYTES)
            outcome = put_block(rows, db, err);
    }
    if (outcome != KX_SENT)
        return outcome;
    kx_postgres_copy_tail(&rows->block);
    outcome = put_block(rows, db, err);
    return outcome == KX_SENT ? kx_postgres_copy_end(db, err) : outcome;
}

/* The statement gets nine tenths of the call's time, so that the server's word comes before ours.
 */
static void
put_begin(const struct kx_postgres_rows *rows, struct kx_postgres_db *db, struct kx_buf *out)
{
    int left_ms = kx_postgres_left_ms(db);
    kx_buf_printf(out, "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = %d; %s",
                  left_ms - left_ms / 10, rows->sql.begin);
}

static enum kx_outcome stage(struct kx_postgres_rows *rows,
                             struct kx_postgres_db *db,
                             const struct kx_batch *batch,
                             struct mix mix,
                             struct kx_error *err)
{
    struct kx_buf sql;
    enum kx_outcome outcome = KX_SENT;
    kx_buf_init(&sql, BLOCK_BYTES);
    put_begin(rows, db, &sql);
    if (mix.devices > 0)
        kx_buf_text(&sql, rows->sql.copy_devices);
    kx_buf_byte(&sql, '\0');
    if (sql.failed)
        outcome = no_memory(err);
    else if (mix.devices > 0)
        outcome = kx_postgres_copy_begin(db, sql.data, err);
    else
        outcome = kx_postgres_exec(db, sql.data, err);
    kx_buf_fini(&sql);
    if (outcome == KX_SENT && mix.devices > 0)
        outcome = copy_records(rows, db, batch, KX_KIND_DEVICE, err);
    if (outcome == KX_SENT && mix.events > 0)
        outcome = kx_postgres_copy_begin(db, rows->sql.copy_events, err);
    if (outcome == KX_SENT && mix.events > 0)
        outcome = copy_records(rows, db, batch, KX_KIND_EVENT, err);
    return outcome;
}

/* --- from the temporary tables --- */

static uint64_t rows_of(PGresult *result)
{
    return result != NULL ? strtoull(PQcmdTuples(result), NULL, 10) : 0;
}

/* Some rows were not written: they say nothing new, or they came too late. */
static enum kx_outcome
look_at_stale(struct kx_postgres_rows *rows, struct kx_postgres_db *db, struct kx_error *err)
{
    PGresult *result = NULL;
    enum kx_outcome outcome = kx_postgres_results(db, rows->sql.stale, &result, 1, err);
    if (outcome != KX_SENT)
        return outcome;
    if (result != NULL && PQntuples(result) == 1)
        rows->stale = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    if (rows->stale == 0 || rows->sql.first_seen == NULL)
        return KX_SENT;
    return kx_postgres_exec(db, rows->sql.first_seen, err);
}

/* All in one message: the server goes through them without waiting for us. */
static enum kx_outcome apply(struct kx_postgres_rows *rows,
                             struct kx_postgres_db *db,
                             struct mix mix,
                             struct kx_error *err)
{
    const char *const texts[] = {mix.devices > 0 ? rows->sql.devices : NULL,
                                 mix.devices > 0 ? rows->sql.device_sources : NULL,
                                 mix.devices > 0 ? rows->sql.history : NULL,
                                 mix.events > 0 ? rows->sql.events : NULL};
    enum { COUNT = sizeof texts / sizeof texts[0] };
    PGresult *results[COUNT];
    size_t place[COUNT] = {0};
    size_t count = 0;
    kx_buf_clear(&rows->block);
    for (size_t i = 0; i < COUNT; i++) {
        if (texts[i] == NULL)
            continue;
        kx_buf_printf(&rows->block, "%s%s", count > 0 ? "; " : "", texts[i]);
        place[i] = count++;
    }
    kx_buf_byte(&rows->block, '\0');
    if (rows->block.failed)
        return no_memory(err);
    if (count == 0)
        return KX_SENT;
    enum kx_outcome outcome = kx_postgres_results(db, rows->block.data, results, count, err);
    if (outcome != KX_SENT)
        return outcome;
    bool all = mix.devices == 0 || rows_of(results[place[0]]) == mix.devices;
    if (texts[COUNT - 1] != NULL)
        rows->known = mix.events - rows_of(results[place[COUNT - 1]]);
    for (size_t i = 0; i < count; i++)
        PQclear(results[i]);
    return all ? KX_SENT : look_at_stale(rows, db, err);
}

static enum kx_outcome write_sources(const struct kx_postgres_rows *rows,
                                     struct kx_postgres_db *db,
                                     const char *sources,
                                     struct kx_error *err)
{
    if (sources == NULL || rows->sql.sources == NULL)
        return KX_SENT;
    enum kx_outcome outcome = kx_postgres_query(db, rows->sql.sources, &sources, 1, NULL, err);
    return outcome == KX_REJECTED ? KX_HOLD : outcome; /* no record can help that */
}

/* A COMMIT of a transaction that the server had given up is answered with ROLLBACK, and without an
 * error. */
static enum kx_outcome commit(struct kx_postgres_db *db, struct kx_error *err)
{
    PGresult *result = NULL;
    enum kx_outcome outcome = kx_postgres_results(db, "COMMIT", &result, 1, err);
    if (outcome != KX_SENT)
        return outcome;
    bool committed = result != NULL && strcmp(PQcmdStatus(result), "COMMIT") == 0;
    PQclear(result);
    if (committed)
        return KX_SENT;
    kx_error_set(err, KX_ERR_PROTOCOL, 0, "%s: the server did not commit", db->name);
    kx_postgres_close(db);
    return KX_RETRY;
}

enum kx_outcome kx_postgres_rows_write(struct kx_postgres_rows *rows,
                                       struct kx_postgres_db *db,
                                       const struct kx_batch *batch,
                                       const char *sources,
                                       struct kx_error *err)
{
    struct mix mix = {0, 0, 0};
    enum kx_outcome outcome = KX_SENT;
    if (batch != NULL)
        mix = count_records(batch);
    if (mix.length_max > NARROW_BYTES_MAX && !rows->params.wide) {
        rows->params.wide = true; /* from now on: who has one such record has more */
        outcome = kx_postgres_rows_prepare(rows, db, rows->tables, err);
    }
    rows->stale = rows->known = 0;
    rows->copy.out_of_range = 0;
    if (outcome == KX_SENT)
        outcome = stage(rows, db, batch, mix, err);
    if (outcome == KX_SENT)
        outcome = apply(rows, db, mix, err);
    if (outcome == KX_SENT)
        outcome = write_sources(rows, db, sources, err);
    if (outcome == KX_SENT)
        outcome = commit(db, err);
    rows->out_of_range = rows->copy.out_of_range;
    return outcome;
}
