/*
 * What a database has of our tables, and what our role may do there: read from its catalogue.
 *
 * Plain data, filled by four or five queries that lock nothing; the caller owns it; one thread. A
 * field that could not be read makes the whole reading fail, with what kx_postgres_db says of it.
 */
#ifndef KX_SINKS_POSTGRES_CATALOG_H
#define KX_SINKS_POSTGRES_CATALOG_H

#include "sinks/postgres_db.h"
#include "sinks/postgres_tables.h"

enum { KX_POSTGRES_TYPE_NAME_MAX = 48 };

/* Beside the tables: what is made only when nothing of that name is there. */
enum kx_postgres_object {
    KX_PO_ALERTS,         /* view kismet_alerts */
    KX_PO_NEW_DEVICES,    /* view new_devices */
    KX_PO_RECENT_DEVICES, /* view recent_devices */
    KX_PO_DEVICE_STATS,   /* view device_stats */
    KX_PO_LAST_SEEN,      /* index kismet_devices_last_seen */
    KX_PO_PHY_TYPE,       /* index kismet_devices_phy_type */
    KX_PO_OBJECTS
};

struct kx_postgres_seen_column {
    enum kx_postgres_type type;                /* KX_PT_NONE = not there */
    char type_name[KX_POSTGRES_TYPE_NAME_MAX]; /* as PostgreSQL writes it */
    bool writable;                             /* not generated */
    bool not_null;
};

struct kx_postgres_seen_table {
    bool exists; /* something of this name */
    char kind;   /* pg_class.relkind: r and p are tables */
    bool owned;  /* our role may ALTER it */
    bool may_select, may_insert, may_update, may_delete;
    bool has_key;
    struct kx_postgres_seen_column columns[KX_PC_COLUMNS];
    struct kx_postgres_seen_column extras[KX_POSTGRES_EXTRAS_MAX];
    /* A column that is not ours and wants a value; "" = none. */
    char stranger[KX_POSTGRES_IDENTIFIER_MAX];
};

struct kx_postgres_catalog {
    char schema[KX_POSTGRES_IDENTIFIER_MAX]; /* "" = the search_path leads nowhere */
    bool schema_exists;
    bool may_use;    /* the schema */
    bool may_create; /* in the schema, or the schema itself */
    bool may_temp;
    char role[KX_POSTGRES_IDENTIFIER_MAX];
    char database[KX_POSTGRES_IDENTIFIER_MAX];
    char timescale[KX_POSTGRES_IDENTIFIER_MAX]; /* the extension's schema; "" = not there */
    bool hypertable;                            /* kismet_device_history is one */
    int version;    /* highest schema_version of kismet_export_meta; 0 = none, or not to be read */
    int min_writer; /* the oldest writer that may write it; 0 = any */
    uint32_t objects;        /* bit (1 << enum kx_postgres_object): something of that name */
    uint32_t broken_indexes; /* those that an interrupted CREATE INDEX CONCURRENTLY left behind */
    struct kx_postgres_seen_table tables[KX_PG_TABLES];
};

const char *kx_postgres_object_name(enum kx_postgres_object object);

/* schema: NULL = where the search_path finds kismet_devices, else its first. */
enum kx_outcome kx_postgres_catalog_read(struct kx_postgres_db *db,
                                         const char *schema,
                                         const struct kx_postgres_extras *extras,
                                         struct kx_postgres_catalog *ret_catalog,
                                         struct kx_error *err);

#endif
