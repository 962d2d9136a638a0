/* The columns of extra fields; the contract stands in the header. */
#include "sinks/sqlite_extras.h"

#include <stdio.h>
#include <string.h>

static const char *const tables[] = {"kismet_devices", "kismet_device_sources"};
enum { TABLES = sizeof tables / sizeof tables[0] };

static const char *const types[] = {[KX_EXTRA_TEXT] = "TEXT",
                                    [KX_EXTRA_INTEGER] = "BIGINT",
                                    [KX_EXTRA_NUMBER] = "DOUBLE PRECISION",
                                    [KX_EXTRA_BOOL] = "BOOLEAN"};

/* What a value becomes in a column, by the declared type's affinity
 * (https://www.sqlite.org/datatype3.html#determination_of_column_affinity). */
enum affinity { INTEGER, TEXT, BLOB, REAL, NUMERIC };

static bool contains(const char *type, const char *part)
{
    return sqlite3_strlike(part, type, 0) == 0; /* without regard to case */
}

static enum affinity affinity_of(const char *type)
{
    if (contains(type, "%INT%"))
        return INTEGER;
    if (contains(type, "%CHAR%") || contains(type, "%CLOB%") || contains(type, "%TEXT%"))
        return TEXT;
    if (type[0] == '\0' || contains(type, "%BLOB%"))
        return BLOB;
    return contains(type, "%REAL%") || contains(type, "%FLOA%") || contains(type, "%DOUB%")
               ? REAL
               : NUMERIC;
}

/* Whether the column gives back what was put in. */
static bool fits(enum kx_extra_type wanted, const char *type)
{
    enum affinity affinity = affinity_of(type);
    if (affinity == BLOB || affinity == NUMERIC)
        return affinity == BLOB || wanted != KX_EXTRA_TEXT;
    if (wanted == KX_EXTRA_TEXT)
        return affinity == TEXT;
    return affinity == (wanted == KX_EXTRA_NUMBER ? REAL : INTEGER);
}

/* Whether the table has the column; KX_HOLD when it is another kind of column. */
static enum kx_outcome look(struct kx_sqlite_db *db,
                            const char *table,
                            const struct kx_extra_column *column,
                            bool *ret_found,
                            struct kx_error *err)
{
    static const char sql[] =
        "SELECT type, hidden FROM pragma_table_xinfo(?1) WHERE lower(name) = ?2";
    sqlite3_stmt *statement = NULL;
    enum kx_outcome outcome = kx_sqlite_prepare(db, sql, &statement, err);
    if (outcome != KX_SENT)
        return outcome;
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, column->name, -1, SQLITE_STATIC);
    int result = sqlite3_step(statement);
    outcome = kx_sqlite_fault(db, result, err);
    *ret_found = result == SQLITE_ROW;
    if (result == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(statement, 0);
        bool computed = sqlite3_column_int(statement, 1) != 0;
        if (type == NULL || computed || !fits(column->type, type)) {
            kx_error_set(err, KX_ERR_CONFIG, 0,
                         "%s: column %s of %s is %s%s, the extra field of that name wants %s: give "
                         "the field another name (`as`), or drop the column",
                         db->path, column->name, table, computed ? "computed " : "",
                         type != NULL ? type : "unknown", types[column->type]);
            outcome = KX_HOLD;
        }
    }
    sqlite3_finalize(statement);
    return outcome;
}

/* Calls `add` of what is missing, if there is one, and counts. */
static enum kx_outcome each_missing(struct kx_sqlite_db *db,
                                    const struct kx_extra_columns *columns,
                                    enum kx_outcome (*add)(struct kx_sqlite_db *,
                                                           const char *,
                                                           const struct kx_extra_column *,
                                                           struct kx_error *),
                                    unsigned *ret_missing,
                                    struct kx_error *err)
{
    enum kx_outcome outcome = KX_SENT;
    *ret_missing = 0;
    for (size_t i = 0; outcome == KX_SENT && i < TABLES * columns->count; i++) {
        const struct kx_extra_column *column = &columns->items[i / TABLES];
        bool found = false;
        outcome = look(db, tables[i % TABLES], column, &found, err);
        if (outcome != KX_SENT || found)
            continue;
        ++*ret_missing;
        if (add != NULL)
            outcome = add(db, tables[i % TABLES], column, err);
    }
    return outcome;
}

enum kx_outcome kx_sqlite_extras_missing(struct kx_sqlite_db *db,
                                         const struct kx_extra_columns *columns,
                                         unsigned *ret_missing,
                                         struct kx_error *err)
{
    return each_missing(db, columns, NULL, ret_missing, err);
}

static enum kx_outcome add_column(struct kx_sqlite_db *db,
                                  const char *table,
                                  const struct kx_extra_column *column,
                                  struct kx_error *err)
{
    char sql[160]; /* quoted: a key may be a word of SQL, or begin with a digit */
    snprintf(sql, sizeof sql, "ALTER TABLE %s ADD COLUMN \"%s\" %s", table, column->name,
             types[column->type]);
    return kx_sqlite_exec(db, sql, err);
}

enum kx_outcome kx_sqlite_extras_apply(struct kx_sqlite_db *db,
                                       const struct kx_extra_columns *columns,
                                       struct kx_error *err)
{
    unsigned missing = 0;
    enum kx_outcome outcome = kx_sqlite_extras_missing(db, columns, &missing, err);
    if (outcome != KX_SENT || missing == 0)
        return outcome;
    outcome = kx_sqlite_exec(db, "BEGIN IMMEDIATE", err);
    if (outcome == KX_SENT) /* once more: another program may have been quicker */
        outcome = each_missing(db, columns, add_column, &missing, err);
    if (outcome == KX_SENT)
        outcome = kx_sqlite_exec(db, "COMMIT", err);
    return outcome; /* the caller rolls back */
}
