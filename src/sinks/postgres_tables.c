/*
 * The tables' text. The names, and what they mean, are those of sqlite_schema.c.
 */
#include "sinks/postgres_tables.h"

#include <string.h>

#define FIELD(id, text, what)                                                                      \
    {                                                                                              \
        .column = (id), .name = (text), .declared = #what, .type = KX_PT_##what                    \
    }
#define DOUBLE_FIELD(id, text)                                                                     \
    {                                                                                              \
        .column = (id), .name = (text), .declared = "DOUBLE PRECISION", .type = KX_PT_DOUBLE       \
    }
#define KEY(id, text, what, more)                                                                  \
    {                                                                                              \
        .column = (id), .name = (text), .declared = more, .type = KX_PT_##what, .key = true        \
    }

/* In the order in which users of the Python script know them, then our additions. */
#define DEVICE_COLUMNS                                                                             \
    FIELD(KX_F_NAME, "name", TEXT), FIELD(KX_F_USERNAME, "username", TEXT),                        \
        FIELD(KX_F_PHY_TYPE, "phy_type", TEXT), FIELD(KX_F_MANUFACTURER, "manufacturer", TEXT),    \
        FIELD(KX_F_FIRST_SEEN, "first_seen", BIGINT), FIELD(KX_F_LAST_SEEN, "last_seen", BIGINT),  \
        STATE_COLUMNS,                                                                             \
    {                                                                                              \
        .column = KX_PC_LAST_UPDATED, .name = "last_updated",                                      \
        .declared = "TIMESTAMP DEFAULT NOW()", .type = KX_PT_TIMESTAMP                             \
    }
#define STATE_COLUMNS                                                                              \
    FIELD(KX_F_CHANNEL, "channel", TEXT), FIELD(KX_F_FREQUENCY, "frequency", BIGINT),              \
        FIELD(KX_F_TOTAL_PACKETS, "total_packets", BIGINT),                                        \
        FIELD(KX_F_TX_PACKETS, "tx_packets", BIGINT),                                              \
        FIELD(KX_F_RX_PACKETS, "rx_packets", BIGINT), FIELD(KX_F_DATA_SIZE, "data_size", BIGINT),  \
        FIELD(KX_F_SIGNAL_DBM, "signal_dbm", INTEGER),                                             \
        FIELD(KX_F_NOISE_DBM, "noise_dbm", INTEGER), FIELD(KX_F_SNR_DB, "snr_db", INTEGER),        \
        DOUBLE_FIELD(KX_F_LATITUDE, "latitude"), DOUBLE_FIELD(KX_F_LONGITUDE, "longitude"),        \
        DOUBLE_FIELD(KX_F_ALTITUDE, "altitude")
/* created_at has no default: it would tell every row of an adopted table to be new. extra is
 * compared with what is there, which json and text cannot be. */
#define DEVICE_ADDITIONS                                                                           \
    FIELD(KX_F_SERVER_UUID, "server_uuid", TEXT), FIELD(KX_F_DEVICE_KEY, "device_key", TEXT),      \
        FIELD(KX_F_DEVICE_TYPE, "device_type", TEXT), FIELD(KX_F_CRYPT, "crypt", TEXT),            \
        FIELD(KX_F_NUM_ALERTS, "num_alerts", BIGINT),                                              \
        FIELD(KX_F_MAC_RANDOM, "mac_random", BOOLEAN),                                             \
        {.column = KX_F_EXTRA,                                                                     \
         .name = "extra",                                                                          \
         .declared = "JSONB",                                                                      \
         .type = KX_PT_JSONB,                                                                      \
         .fixed = true},                                                                           \
        FIELD(KX_PC_CREATED_AT, "created_at", TIMESTAMPTZ),                                        \
        FIELD(KX_PC_UPDATED_AT, "updated_at", TIMESTAMPTZ)

static const struct kx_postgres_column_info devices[] = {
    KEY(KX_F_MAC_ADDR, "mac_addr", TEXT, "TEXT PRIMARY KEY"),
    DEVICE_COLUMNS,
    FIELD(KX_F_SOURCE, "source", TEXT),
    DEVICE_ADDITIONS,
};

static const struct kx_postgres_column_info device_sources[] = {
    KEY(KX_F_SOURCE, "source", TEXT, "TEXT NOT NULL"),
    KEY(KX_F_MAC_ADDR, "mac_addr", TEXT, "TEXT NOT NULL"),
    DEVICE_COLUMNS,
    DEVICE_ADDITIONS,
};

static const struct kx_postgres_column_info history[] = {
    {.column = KX_PC_TIME,
     .name = "time",
     .declared = "TIMESTAMPTZ NOT NULL",
     .type = KX_PT_TIMESTAMPTZ,
     .fixed = true, /* naive, it would repeat an hour each autumn */
     .key = true},
    KEY(KX_F_SOURCE, "source", TEXT, "TEXT NOT NULL"),
    KEY(KX_F_MAC_ADDR, "mac_addr", TEXT, "TEXT NOT NULL"),
    STATE_COLUMNS,
};

static const struct kx_postgres_column_info events[] = {
    /* An identity, and no serial: nobody needs a right on its sequence. */
    {.column = KX_PC_ID,
     .name = "id",
     .declared = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
     .type = KX_PT_BIGINT},
    KEY(KX_PC_EVENT_UID, "event_uid", TEXT, "TEXT"),
    FIELD(KX_PC_EVENT_TYPE, "event_type", TEXT),
    FIELD(KX_PC_EVENT_TIME, "event_time", TIMESTAMPTZ),
    FIELD(KX_F_SOURCE, "source", TEXT),
    FIELD(KX_F_DEVICE_KEY, "device_key", TEXT),
    FIELD(KX_PC_DEVICE_MAC, "device_mac", TEXT),
    FIELD(KX_PC_EVENT_DATA, "event_data", JSONB),
    FIELD(KX_PC_CREATED_AT, "created_at", TIMESTAMPTZ),
};

static const struct kx_postgres_column_info sources[] = {
    KEY(KX_F_SOURCE, "source", TEXT, "TEXT PRIMARY KEY"),
    FIELD(KX_F_SERVER_UUID, "server_uuid", TEXT),
    FIELD(KX_PC_STATE, "state", TEXT),
    FIELD(KX_PC_LAST_CONTACT, "last_contact", TIMESTAMPTZ),
    FIELD(KX_PC_DATASOURCES_OK, "datasources_ok", INTEGER),
    DOUBLE_FIELD(KX_PC_CLOCK_SKEW_S, "clock_skew_s"),
    FIELD(KX_PC_VERSION, "version", TEXT),
    FIELD(KX_PC_UPDATED_AT, "updated_at", TIMESTAMPTZ),
};

static const struct kx_postgres_column_info meta[] = {
    KEY(KX_PC_SCHEMA_VERSION, "schema_version", INTEGER, "INTEGER PRIMARY KEY"),
    {.column = KX_PC_APPLIED_AT,
     .name = "applied_at",
     .declared = "TIMESTAMPTZ NOT NULL DEFAULT NOW()",
     .type = KX_PT_TIMESTAMPTZ},
    FIELD(KX_PC_APPLIED_BY, "applied_by", TEXT),
    FIELD(KX_PC_MIN_WRITER, "min_writer", INTEGER),
};

/* Half of the rows of a batch are updates of few bytes: with room on their page, and no index on
 * what changes, they cost no index entry (HOT). */
#define ROOM_ON_THE_PAGE " WITH (fillfactor = 60)"
#define TABLE(rows) .columns = (rows), .count = sizeof(rows) / sizeof(rows)[0]

static const struct kx_postgres_table_info tables[KX_PG_TABLES] = {
    [KX_PG_DEVICES] = {.name = "kismet_devices",
                       .key = "mac_addr",
                       .key_set = "mac_addr",
                       .tail = "",
                       .with = ROOM_ON_THE_PAGE,
                       TABLE(devices)},
    [KX_PG_DEVICE_SOURCES] = {.name = "kismet_device_sources",
                              .key = "source, mac_addr",
                              .key_set = "mac_addr, source",
                              .tail = "PRIMARY KEY (source, mac_addr)",
                              .with = ROOM_ON_THE_PAGE,
                              TABLE(device_sources)},
    [KX_PG_HISTORY] = {.name = "kismet_device_history",
                       .key = "source, mac_addr, time",
                       .key_set = "mac_addr, source, time",
                       .tail = "UNIQUE (source, mac_addr, time)",
                       .with = "",
                       TABLE(history)},
    [KX_PG_EVENTS] = {.name = "kismet_events",
                      .key = "event_uid",
                      .key_set = "event_uid",
                      .tail = "",
                      .with = "",
                      TABLE(events)},
    [KX_PG_SOURCES] = {.name = "kismet_sources",
                       .key = "source",
                       .key_set = "source",
                       .tail = "",
                       .with = "",
                       TABLE(sources)},
    [KX_PG_META] = {.name = "kismet_export_meta",
                    .key = "schema_version",
                    .key_set = "schema_version",
                    .tail = "",
                    .with = "",
                    TABLE(meta)},
};

static_assert(KX_PC_COLUMNS <= 64, "a bit each");

const struct kx_postgres_table_info *kx_postgres_table(enum kx_postgres_table table)
{
    KX_ASSERT((unsigned)table < KX_PG_TABLES);
    return &tables[table];
}

const struct kx_postgres_column_info *kx_postgres_column(enum kx_postgres_table table,
                                                         const char *name)
{
    const struct kx_postgres_table_info *info = kx_postgres_table(table);
    for (size_t i = 0; i < info->count; i++)
        if (strcmp(info->columns[i].name, name) == 0)
            return &info->columns[i];
    return NULL;
}

/* --- types --- */

const char *kx_postgres_type_name(enum kx_postgres_type type)
{
    static const char *const names[] = {
        [KX_PT_NONE] = "nothing",
        [KX_PT_TEXT] = "TEXT",
        [KX_PT_INTEGER] = "INTEGER",
        [KX_PT_BIGINT] = "BIGINT",
        [KX_PT_NUMERIC] = "NUMERIC",
        [KX_PT_DOUBLE] = "DOUBLE PRECISION",
        [KX_PT_BOOLEAN] = "BOOLEAN",
        [KX_PT_TIMESTAMP] = "TIMESTAMP",
        [KX_PT_TIMESTAMPTZ] = "TIMESTAMPTZ",
        [KX_PT_JSON] = "JSON",
        [KX_PT_JSONB] = "JSONB",
        [KX_PT_OTHER] = "another type",
    };
    return names[type];
}

enum kx_postgres_type kx_postgres_type_of(uint32_t oid, bool modified)
{
    switch (oid) { /* pg_type.dat: these numbers never change */
    case 25:
    case 1043:
        return KX_PT_TEXT;
    case 23:
        return KX_PT_INTEGER;
    case 20:
        return KX_PT_BIGINT;
    case 1700:
        return modified ? KX_PT_OTHER : KX_PT_NUMERIC; /* with a scale it rounds */
    case 701:
        return KX_PT_DOUBLE;
    case 16:
        return KX_PT_BOOLEAN;
    case 1114:
        return modified ? KX_PT_OTHER : KX_PT_TIMESTAMP;
    case 1184:
        return modified ? KX_PT_OTHER : KX_PT_TIMESTAMPTZ;
    case 114:
        return KX_PT_JSON;
    case 3802:
        return KX_PT_JSONB;
    default:
        return KX_PT_OTHER;
    }
}

bool kx_postgres_type_takes(const struct kx_postgres_column_info *column,
                            enum kx_postgres_type type)
{
    if (type == column->type || column->fixed)
        return type == column->type;
    switch (column->type) {
    case KX_PT_INTEGER:
        return type == KX_PT_BIGINT || type == KX_PT_NUMERIC;
    case KX_PT_BIGINT:
    case KX_PT_DOUBLE:
        return type == KX_PT_NUMERIC;
    case KX_PT_TIMESTAMP:
        return type == KX_PT_TIMESTAMPTZ;
    case KX_PT_TIMESTAMPTZ:
        return type == KX_PT_TIMESTAMP;
    case KX_PT_JSONB:
        return type == KX_PT_JSON || type == KX_PT_TEXT;
    default:
        return false;
    }
}

void kx_postgres_put_identifier(struct kx_buf *sql, const char *name)
{
    kx_buf_byte(sql, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            kx_buf_byte(sql, '"');
        kx_buf_byte(sql, *name);
    }
    kx_buf_byte(sql, '"');
}

void kx_postgres_put_literal(struct kx_buf *sql, const char *first, const char *second)
{
    const char *const parts[] = {first, second};
    kx_buf_byte(sql, '\'');
    for (size_t i = 0; i < 2; i++)
        for (const char *at = parts[i]; *at != '\0'; at++) {
            if (*at == '\'')
                kx_buf_byte(sql, '\'');
            kx_buf_byte(sql, *at);
        }
    kx_buf_byte(sql, '\'');
}
