/*
 * Our tables in PostgreSQL as data: their columns, keys and types; and what a database has of them.
 *
 * Constant data, and plain structs that the caller owns; no database in here, so that what is to be
 * done about a database (postgres_plan.h) is decided by pure functions. A column of a device has
 * its enum kx_field as number, the others follow.
 */
#ifndef KX_SINKS_POSTGRES_TABLES_H
#define KX_SINKS_POSTGRES_TABLES_H

#include "base/buf.h"
#include "base/error.h"
#include "record/record.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kx_postgres_table {
    KX_PG_DEVICES,        /* kismet_devices */
    KX_PG_DEVICE_SOURCES, /* kismet_device_sources */
    KX_PG_HISTORY,        /* kismet_device_history */
    KX_PG_EVENTS,         /* kismet_events */
    KX_PG_SOURCES,        /* kismet_sources */
    KX_PG_META,           /* kismet_export_meta */
    KX_PG_TABLES
};

/* Numbers of columns: below KX_FIELDS those of a record. (source, device_key and server_uuid are
 * fields in every table.) */
enum kx_postgres_column {
    KX_PC_LAST_UPDATED = KX_FIELDS,
    KX_PC_UPDATED_AT,
    KX_PC_CREATED_AT,
    KX_PC_TIME,
    KX_PC_ID,
    KX_PC_EVENT_UID,
    KX_PC_EVENT_TYPE,
    KX_PC_EVENT_TIME,
    KX_PC_DEVICE_MAC,
    KX_PC_EVENT_DATA,
    KX_PC_STATE,
    KX_PC_LAST_CONTACT,
    KX_PC_DATASOURCES_OK,
    KX_PC_CLOCK_SKEW_S,
    KX_PC_VERSION,
    KX_PC_SCHEMA_VERSION,
    KX_PC_APPLIED_AT,
    KX_PC_APPLIED_BY,
    KX_PC_MIN_WRITER,
    KX_PC_COLUMNS
};
#define KX_PC_BIT(column) (1ull << (column))
static inline bool kx_postgres_is_field(unsigned column)
{
    return column < KX_FIELDS;
}

enum kx_postgres_type {
    KX_PT_NONE, /* the column is not there */
    KX_PT_TEXT, /* and varchar: what does not fit is refused, never cut */
    KX_PT_INTEGER,
    KX_PT_BIGINT,
    KX_PT_NUMERIC, /* without a precision: takes any number as it is */
    KX_PT_DOUBLE,
    KX_PT_BOOLEAN,
    KX_PT_TIMESTAMP,
    KX_PT_TIMESTAMPTZ,
    KX_PT_JSON,
    KX_PT_JSONB,
    KX_PT_OTHER,
};

enum {
    KX_POSTGRES_SCHEMA_VERSION = 1, /* of the tables below */
    KX_POSTGRES_IDENTIFIER_MAX = 64,
    KX_POSTGRES_PREFIX_MAX = 2 * KX_POSTGRES_IDENTIFIER_MAX + 4,
};

struct kx_postgres_column_info {
    unsigned column; /* enum kx_field or enum kx_postgres_column */
    const char *name;
    const char *declared; /* type and more, as CREATE TABLE says it */
    enum kx_postgres_type type;
    bool fixed; /* no other type is taken, though a cast would do */
    bool key;   /* a part of the table's key */
};

struct kx_postgres_table_info {
    const char *name;
    const char *key;     /* the columns of the unique key, in the order of its index */
    const char *key_set; /* the same in the alphabet's */
    const char *tail;    /* behind the columns in CREATE TABLE */
    const char *with;    /* behind its parenthesis */
    const struct kx_postgres_column_info *columns;
    size_t count;
};

const struct kx_postgres_table_info *kx_postgres_table(enum kx_postgres_table table);
/* By name; NULL = the table of ours has none such. */
const struct kx_postgres_column_info *kx_postgres_column(enum kx_postgres_table table,
                                                         const char *name);
/* "TIMESTAMPTZ" */
const char *kx_postgres_type_name(enum kx_postgres_type type);
/* By the number that PostgreSQL has for a built-in type. modified = it has a length or precision.
 */
enum kx_postgres_type kx_postgres_type_of(uint32_t oid, bool modified);
/* Whether every value of ours gets into such a column as it is, or is refused. */
bool kx_postgres_type_takes(const struct kx_postgres_column_info *column,
                            enum kx_postgres_type type);

/* A column that the configuration asks for beside ours (extra_fields), in the devices' tables. */
enum { KX_POSTGRES_EXTRAS_MAX = 64 };
struct kx_postgres_extra {
    const char *name;
    enum kx_postgres_type type;
};
struct kx_postgres_extras {
    const struct kx_postgres_extra *items;
    size_t count; /* at most KX_POSTGRES_EXTRAS_MAX */
};

/* What a database has of one table. */
struct kx_postgres_table_state {
    bool exists;
    bool has_key;    /* a unique index on exactly our key */
    bool hypertable; /* TimescaleDB's */
    bool owned;      /* our role is its owner */
    bool may_delete;
    uint64_t columns;             /* KX_PC_BIT of those that exist and can be written */
    uint64_t extras;              /* bit i: the column of extras.items[i] */
    uint8_t types[KX_PC_COLUMNS]; /* enum kx_postgres_type; KX_PT_NONE = not there */
};

/* What a writer may name. */
struct kx_postgres_tables {
    char prefix[KX_POSTGRES_PREFIX_MAX]; /* "\"public\".": before every table's name */
    struct kx_postgres_table_state table[KX_PG_TABLES];
    char timescale[KX_POSTGRES_IDENTIFIER_MAX]; /* the extension's schema; "" = it is not there */
    char
        warning[KX_ERROR_TEXT_MAX]; /* what is not as it should be, though it works; "" = nothing */
};

/* Puts an identifier in double quotes. */
void kx_postgres_put_identifier(struct kx_buf *sql, const char *name);
/* Puts a text that is made of two parts in single quotes. */
void kx_postgres_put_literal(struct kx_buf *sql, const char *first, const char *second);

#endif
