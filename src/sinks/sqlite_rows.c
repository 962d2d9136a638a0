/*
 * The statements. A field of a record is parameter number enum kx_field in every one of them, so
 * one function binds them all; what is no field follows from P_HEARD on.
 */
#include "sinks/sqlite_rows.h"
#include "base/buf.h"
#include "base/clock.h"
#include "encode/mac.h"
#include <inttypes.h>
#include <string.h>

static_assert(KX_F_TIMESTAMP == 0, "parameters begin at 1; the receive time is no column");

/* Parameters beside the fields. */
enum {
    P_HEARD = KX_FIELDS, /* text: last_updated */
    P_HEARD_LESS,        /* text: a second less, see put_changed */
    P_RECEIVED,          /* text: when the record came */
    P_NOW,               /* text */
    P_AHEAD,             /* seconds: a last_seen beyond it is a wrong clock's */
    P_TIME,              /* text: a history row's time */
    P_AFTER,             /* text: and the ends of its interval */
    P_BEFORE,
    P_EXTRA, /* and on: the extra fields' columns */
};

enum { SQL_BYTES_MAX = 32768, AHEAD_S_MAX = 300 };
static const int64_t YEAR_2000_S = 946684800;

#define FIELD_BIT(field) (1u << (field))
static const uint32_t HISTORY_FIELDS =
    FIELD_BIT(KX_F_MAC_ADDR) | FIELD_BIT(KX_F_SOURCE) | FIELD_BIT(KX_F_CHANNEL) |
    FIELD_BIT(KX_F_FREQUENCY) | FIELD_BIT(KX_F_TOTAL_PACKETS) | FIELD_BIT(KX_F_TX_PACKETS) |
    FIELD_BIT(KX_F_RX_PACKETS) | FIELD_BIT(KX_F_DATA_SIZE) | FIELD_BIT(KX_F_SIGNAL_DBM) |
    FIELD_BIT(KX_F_NOISE_DBM) | FIELD_BIT(KX_F_SNR_DB) | FIELD_BIT(KX_F_LATITUDE) |
    FIELD_BIT(KX_F_LONGITUDE) | FIELD_BIT(KX_F_ALTITUDE);
static const uint32_t DEVICE_FIELDS = (1u << KX_FIELDS) - (1u << KX_F_MAC_ADDR);
static const uint32_t KEY_FIELDS = FIELD_BIT(KX_F_MAC_ADDR) | FIELD_BIT(KX_F_SOURCE);

/* --- the text of the statements --- */

/* ", name" of each field in the set, or ", name = excluded.name". */
static void put_fields(struct kx_buf *sql, uint32_t fields, const char *before, const char *between)
{
    for (enum kx_field field = 0; field < KX_FIELDS; field++) {
        if ((fields & FIELD_BIT(field)) == 0)
            continue;
        kx_buf_printf(sql, ", %s%s", before, kx_fields[field].name);
        if (between != NULL)
            kx_buf_printf(sql, "%s%s", between, kx_fields[field].name);
    }
}

/* The same of the extra fields' columns. Quoted: such a name may be a word of SQL. */
static void put_extras(struct kx_buf *sql,
                       const struct kx_extra_columns *extras,
                       const char *before,
                       const char *between)
{
    for (size_t i = 0; i < extras->count; i++) {
        kx_buf_printf(sql, ", %s\"%s\"", before, extras->items[i].name);
        if (between != NULL)
            kx_buf_printf(sql, "%s\"%s\"", between, extras->items[i].name);
    }
}

static void put_parameters(struct kx_buf *sql, uint32_t fields)
{
    for (enum kx_field field = 0; field < KX_FIELDS; field++)
        if ((fields & FIELD_BIT(field)) != 0)
            kx_buf_printf(sql, ", ?%d", (int)field);
}

/*
 * When a row gives way: it knows no last_seen, the record's is as new, or the row's is a wrong
 * clock's. Or when the device began a new life at the same source (Kismet restarted: first_seen
 * moved or the packets were counted anew) while the sensor's clock went back. Or when only that
 * clock went back: the record was heard later, by our own reckoning. An older state of the same
 * life looks the same but for one thing: it came before the row was last heard.
 *
 * A column that is not written proves nothing. Without last_seen the last hearing decides.
 */
static void put_newer(struct kx_buf *sql, uint32_t columns)
{
    if ((columns & FIELD_BIT(KX_F_LAST_SEEN)) == 0) {
        kx_buf_printf(sql, "?%d >= ifnull(last_updated, '')", P_HEARD);
        return;
    }
    kx_buf_printf(sql,
                  "(last_seen IS NULL OR ?%d >= last_seen OR last_seen > ?%d OR (source IS ?%d"
                  " AND ?%d >= ifnull(last_updated, '') AND (",
                  KX_F_LAST_SEEN, P_AHEAD, KX_F_SOURCE, P_RECEIVED);
    if ((columns & FIELD_BIT(KX_F_FIRST_SEEN)) != 0)
        kx_buf_printf(sql, "first_seen IS NOT ?%d OR ", KX_F_FIRST_SEEN);
    if ((columns & FIELD_BIT(KX_F_TOTAL_PACKETS)) != 0)
        kx_buf_printf(sql, "?%d < total_packets OR ", KX_F_TOTAL_PACKETS);
    kx_buf_printf(sql, "?%d > last_updated)))", P_HEARD);
}

/* The smallest first_seen; one before 2000 is none (the record's is bound NULL then). */
static void put_first_seen(struct kx_buf *sql)
{
    kx_buf_printf(sql,
                  "CASE WHEN first_seen >= %" PRId64
                  " THEN min(first_seen, ifnull(?%d, first_seen)) ELSE ?%d END",
                  YEAR_2000_S, KX_F_FIRST_SEEN, KX_F_FIRST_SEEN);
}

/* " AND ...": whether anything changed, beginning with what nearly always did. heard_at belongs to
 * last_seen; beside it, it counts from a second on: it is corrected when the server's clock becomes
 * known. */
static void put_changed(struct kx_buf *sql,
                        uint32_t columns,
                        uint32_t values,
                        const struct kx_extra_columns *extras)
{
    bool first_seen = (columns & FIELD_BIT(KX_F_FIRST_SEEN)) != 0;
    bool last_seen = (columns & FIELD_BIT(KX_F_LAST_SEEN)) != 0;
    values &= ~FIELD_BIT(KX_F_LAST_SEEN);
    kx_buf_text(sql, " AND (");
    if (last_seen)
        kx_buf_text(sql, "last_seen IS NOT excluded.last_seen");
    else
        kx_buf_printf(sql, "?%d > ifnull(last_updated, '')", P_HEARD);
    kx_buf_text(sql, " OR (created_at");
    if (first_seen)
        kx_buf_text(sql, ", first_seen");
    put_fields(sql, values, "", NULL);
    put_extras(sql, extras, "", NULL);
    kx_buf_text(sql, ") IS NOT (created_at"); /* equal: so that there is one at least */
    if (first_seen) {
        kx_buf_text(sql, ", ");
        put_first_seen(sql);
    }
    put_fields(sql, values, "excluded.", NULL);
    put_extras(sql, extras, "excluded.", NULL);
    kx_buf_byte(sql, ')');
    if (last_seen)
        kx_buf_printf(sql, " OR ?%d > ifnull(last_updated, '')", P_HEARD_LESS);
    kx_buf_byte(sql, ')');
}

/* A state that comes too late may still know a smaller first_seen: another sensor's. */
static void put_earlier(struct kx_buf *sql)
{
    kx_buf_printf(sql,
                  "UPDATE kismet_devices SET first_seen = ?%d WHERE mac_addr = ?%d AND"
                  " ifnull(first_seen < %" PRId64 " OR ?%d < first_seen, 1)",
                  KX_F_FIRST_SEEN, KX_F_MAC_ADDR, YEAR_2000_S, KX_F_FIRST_SEEN);
}

/* In an upsert a bare column is the row that is there, excluded.column the one that comes. */
static void put_upsert(struct kx_buf *sql,
                       const char *table,
                       const char *key,
                       uint32_t key_fields,
                       uint32_t columns,
                       const struct kx_extra_columns *extras)
{
    uint32_t values = columns & ~key_fields & ~FIELD_BIT(KX_F_FIRST_SEEN);
    kx_buf_printf(sql, "INSERT INTO %s (created_at, last_updated, updated_at", table);
    put_fields(sql, columns, "", NULL);
    put_extras(sql, extras, "", NULL);
    kx_buf_printf(sql, ") VALUES (?%d, ?%d, ?%d", P_NOW, P_HEARD, P_HEARD);
    put_parameters(sql, columns);
    for (size_t i = 0; i < extras->count; i++)
        kx_buf_printf(sql, ", ?%d", P_EXTRA + (int)i);
    kx_buf_printf(sql,
                  ") ON CONFLICT (%s) DO UPDATE SET"
                  " last_updated = max(ifnull(last_updated, ''), ?%d)"
                  ", updated_at = max(ifnull(updated_at, ''), ?%d)",
                  key, P_HEARD, P_HEARD);
    if ((columns & FIELD_BIT(KX_F_FIRST_SEEN)) != 0) {
        kx_buf_text(sql, ", first_seen = ");
        put_first_seen(sql);
    }
    put_fields(sql, values, "", " = excluded.");
    put_extras(sql, extras, "", " = excluded.");
    kx_buf_text(sql, " WHERE ");
    put_newer(sql, columns);
    put_changed(sql, columns, values, extras);
}

static void put_history(struct kx_buf *sql, uint32_t columns)
{
    columns &= HISTORY_FIELDS;
    kx_buf_text(sql, "INSERT INTO kismet_device_history (time");
    put_fields(sql, columns, "", NULL);
    kx_buf_printf(sql, ") SELECT ?%d", P_TIME);
    put_parameters(sql, columns);
    /* min_interval: the table itself knows when the last row was, after a restart too. */
    kx_buf_printf(sql,
                  " WHERE NOT EXISTS (SELECT 1 FROM kismet_device_history"
                  " WHERE source = ?%d AND mac_addr = ?%d AND time > ?%d AND time < ?%d)"
                  " ON CONFLICT DO NOTHING",
                  KX_F_SOURCE, KX_F_MAC_ADDR, P_AFTER, P_BEFORE);
}

static const char event_sql[] =
    "INSERT INTO kismet_events (event_uid, event_type, event_time, source, device_key, device_mac,"
    " event_data, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
    " ON CONFLICT (event_uid) DO NOTHING";

static const char source_sql[] =
    "INSERT INTO kismet_sources (source, server_uuid, state, last_contact, datasources_ok,"
    " clock_skew_s, version, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
    " ON CONFLICT (source) DO UPDATE SET server_uuid = excluded.server_uuid,"
    " state = excluded.state, last_contact = excluded.last_contact,"
    " datasources_ok = excluded.datasources_ok, clock_skew_s = excluded.clock_skew_s,"
    " version = excluded.version, updated_at = excluded.updated_at";

static const char expire_sql[] =
    "DELETE FROM kismet_device_history WHERE rowid IN (SELECT rowid FROM kismet_device_history"
    " WHERE time < ?1 ORDER BY time LIMIT ?2)";

/* --- prepare, fini --- */

static enum kx_outcome prepare_built(struct kx_sqlite_db *db,
                                     struct kx_buf *sql,
                                     sqlite3_stmt **ret_statement,
                                     struct kx_error *err)
{
    kx_buf_byte(sql, '\0');
    if (sql->failed) {
        kx_error_set(err, KX_ERR_NOMEM, 0, "%s: no memory for a statement", db->path);
        return KX_RETRY;
    }
    enum kx_outcome outcome = kx_sqlite_prepare(db, sql->data, ret_statement, err);
    kx_buf_clear(sql);
    return outcome;
}

enum kx_outcome
kx_sqlite_rows_prepare(struct kx_sqlite_rows *rows, struct kx_sqlite_db *db, struct kx_error *err)
{
    struct kx_buf sql;
    uint32_t columns = (rows->fields | KEY_FIELDS) & DEVICE_FIELDS;
    kx_buf_init(&sql, SQL_BYTES_MAX);
    put_upsert(&sql, "kismet_devices", "mac_addr", FIELD_BIT(KX_F_MAC_ADDR), columns,
               &rows->extras);
    enum kx_outcome outcome = prepare_built(db, &sql, &rows->device, err);
    if (outcome == KX_SENT) {
        put_upsert(&sql, "kismet_device_sources", "source, mac_addr", KEY_FIELDS, columns,
                   &rows->extras);
        outcome = prepare_built(db, &sql, &rows->device_source, err);
    }
    if (outcome == KX_SENT) {
        kx_buf_printf(&sql, "SELECT 1 FROM kismet_devices WHERE mac_addr = ?%d AND NOT ifnull(",
                      KX_F_MAC_ADDR);
        put_newer(&sql, columns);
        kx_buf_text(&sql, ", 0)");
        outcome = prepare_built(db, &sql, &rows->is_stale, err);
    }
    if (outcome == KX_SENT && (columns & FIELD_BIT(KX_F_FIRST_SEEN)) != 0) {
        put_earlier(&sql);
        outcome = prepare_built(db, &sql, &rows->earlier, err);
    }
    if (outcome == KX_SENT) {
        put_history(&sql, columns);
        outcome = prepare_built(db, &sql, &rows->history_row, err);
    }
    kx_buf_fini(&sql);
    if (outcome == KX_SENT)
        outcome = kx_sqlite_prepare(db, event_sql, &rows->event, err);
    if (outcome == KX_SENT)
        outcome = kx_sqlite_prepare(db, source_sql, &rows->source, err);
    if (outcome == KX_SENT)
        outcome = kx_sqlite_prepare(db, expire_sql, &rows->expire, err);
    return outcome;
}

void kx_sqlite_rows_fini(struct kx_sqlite_rows *rows)
{
    sqlite3_stmt **const statements[] = {&rows->device,  &rows->device_source, &rows->history_row,
                                         &rows->event,   &rows->source,        &rows->is_stale,
                                         &rows->earlier, &rows->expire};
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        sqlite3_finalize(*statements[i]);
        *statements[i] = NULL;
    }
}

void kx_sqlite_rows_begin(struct kx_sqlite_rows *rows, int64_t now_ns)
{
    rows->now_ns = now_ns;
    rows->stale = 0;
    rows->known = 0;
}

/* --- binding --- */

/* A statement that was bound is run once; what it had borrowed may go away afterwards. */
static int run(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result;
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text, size_t length)
{
    sqlite3_bind_text(statement, at, text, (int)length, SQLITE_STATIC);
}

/* A time as text in memory that lives until the statement has run. */
static void
bind_time(sqlite3_stmt *statement, int at, int64_t wall_ns, char text[KX_CLOCK_RFC3339_MAX])
{
    bind_text(statement, at, text, kx_clock_sql(wall_ns, text));
}

static void bind_field(sqlite3_stmt *statement, const struct kx_device *device, enum kx_field field)
{
    int parameter = (int)field;
    const void *at = (const char *)device + kx_fields[field].offset;
    const struct kx_text *text = at;
    if (!kx_record_has(&device->head, field)) {
        sqlite3_bind_null(statement, parameter);
        return;
    }
    switch (kx_fields[field].type) {
    case KX_TYPE_TEXT:
    case KX_TYPE_JSON:
        bind_text(statement, parameter, kx_record_text(&device->head, *text), text->length);
        break;
    case KX_TYPE_TIME:
    case KX_TYPE_I64:
        sqlite3_bind_int64(statement, parameter, *(const int64_t *)at);
        break;
    case KX_TYPE_I32:
        sqlite3_bind_int(statement, parameter, *(const int32_t *)at);
        break;
    case KX_TYPE_F64:
        sqlite3_bind_double(statement, parameter, *(const double *)at);
        break;
    case KX_TYPE_BOOL:
        sqlite3_bind_int(statement, parameter, *(const bool *)at);
        break;
    }
}

static void bind_extra(sqlite3_stmt *statement,
                       int at,
                       enum kx_extra_type type,
                       const struct kx_extra_value *value)
{
    if (!value->known) {
        sqlite3_bind_null(statement, at);
        return;
    }
    switch (type) {
    case KX_EXTRA_TEXT:
        bind_text(statement, at, value->text, value->length);
        break;
    case KX_EXTRA_INTEGER:
        sqlite3_bind_int64(statement, at, value->integer);
        break;
    case KX_EXTRA_NUMBER:
        sqlite3_bind_double(statement, at, value->number);
        break;
    case KX_EXTRA_BOOL:
        sqlite3_bind_int(statement, at, value->boolean);
        break;
    }
}

/* What kx_extra_read has found in the present record. */
static void bind_extras(struct kx_sqlite_rows *rows, sqlite3_stmt *statement)
{
    for (size_t i = 0; i < rows->extras.count; i++)
        bind_extra(statement, P_EXTRA + (int)i, rows->extras.items[i].type, &rows->extra_values[i]);
}

/* The texts that are bound and stand in no record. */
struct scratch {
    char mac[KX_ENCODE_MAC_MAX];
    char heard[KX_CLOCK_RFC3339_MAX], heard_less[KX_CLOCK_RFC3339_MAX];
    char received[KX_CLOCK_RFC3339_MAX], now[KX_CLOCK_RFC3339_MAX];
};

static void bind_fields(struct kx_sqlite_rows *rows,
                        sqlite3_stmt *statement,
                        const struct kx_device *device,
                        uint32_t fields,
                        struct scratch *scratch)
{
    for (enum kx_field field = 0; field < KX_FIELDS; field++)
        if ((fields & FIELD_BIT(field)) != 0)
            bind_field(statement, device, field);
    const char *mac = kx_encode_mac(rows->mac_case, kx_record_text(&device->head, device->mac_addr),
                                    device->mac_addr.length, scratch->mac);
    bind_text(statement, KX_F_MAC_ADDR, mac, device->mac_addr.length);
    if (!kx_record_has(&device->head, KX_F_SOURCE))
        bind_text(statement, KX_F_SOURCE, "", 0); /* a key: no two NULLs are the same */
    if (device->first_seen < YEAR_2000_S)
        sqlite3_bind_null(statement, KX_F_FIRST_SEEN);
}

static void bind_device(struct kx_sqlite_rows *rows,
                        sqlite3_stmt *statement,
                        const struct kx_device *device,
                        struct scratch *scratch)
{
    bind_fields(rows, statement, device, DEVICE_FIELDS, scratch);
    bind_time(statement, P_HEARD, device->heard_at_ns, scratch->heard);
    bind_time(statement, P_HEARD_LESS, device->heard_at_ns - (int64_t)KX_NS_PER_S,
              scratch->heard_less);
    bind_time(statement, P_RECEIVED, device->head.received_ns, scratch->received);
    bind_time(statement, P_NOW, rows->now_ns, scratch->now);
    sqlite3_bind_int64(statement, P_AHEAD, rows->now_ns / (int64_t)KX_NS_PER_S + AHEAD_S_MAX);
}

/* --- rows --- */

static int write_history(struct kx_sqlite_rows *rows, const struct kx_device *device)
{
    struct scratch scratch;
    int64_t time_ns;
    int64_t after_ns;
    int64_t before_ns;
    if (!kx_record_has(&device->head, KX_F_LAST_SEEN) ||
        __builtin_mul_overflow(device->last_seen, (int64_t)KX_NS_PER_S, &time_ns) ||
        __builtin_sub_overflow(time_ns, rows->history->min_interval_ns, &after_ns) ||
        __builtin_add_overflow(time_ns, rows->history->min_interval_ns, &before_ns))
        return SQLITE_DONE; /* a row of no time that a clock could show */
    sqlite3_stmt *statement = rows->history_row;
    bind_fields(rows, statement, device, HISTORY_FIELDS, &scratch);
    bind_time(statement, P_TIME, time_ns, scratch.now);
    bind_time(statement, P_AFTER, after_ns, scratch.heard);
    bind_time(statement, P_BEFORE, before_ns, scratch.received);
    return run(statement);
}

/* The row was not written: the record says nothing new, or it came too late. */
static int look_at_stale(struct kx_sqlite_rows *rows, const struct kx_device *device)
{
    struct scratch scratch;
    bind_device(rows, rows->is_stale, device, &scratch);
    int result = run(rows->is_stale);
    if (result != SQLITE_ROW)
        return result;
    rows->stale++;
    if (rows->earlier == NULL || device->first_seen < YEAR_2000_S)
        return SQLITE_DONE;
    bind_fields(rows, rows->earlier, device, FIELD_BIT(KX_F_FIRST_SEEN), &scratch);
    return run(rows->earlier);
}

static int write_device(struct kx_sqlite_rows *rows, const struct kx_device *device)
{
    struct scratch scratch;
    if (!kx_record_has(&device->head, KX_F_MAC_ADDR) || device->mac_addr.length == 0)
        return SQLITE_MISMATCH;
    if (rows->extras.count > 0)
        kx_extra_read(device, &rows->extras, rows->extra_values, rows->extra_room);
    bind_device(rows, rows->device, device, &scratch);
    bind_extras(rows, rows->device);
    int result = run(rows->device);
    if (result == SQLITE_DONE && sqlite3_changes(sqlite3_db_handle(rows->device)) == 0)
        result = look_at_stale(rows, device);
    if (result == SQLITE_DONE && rows->per_source) {
        bind_device(rows, rows->device_source, device, &scratch);
        bind_extras(rows, rows->device_source);
        result = run(rows->device_source);
    }
    if (result == SQLITE_DONE && rows->history->on)
        result = write_history(rows, device);
    return result;
}

static int write_event(struct kx_sqlite_rows *rows, const struct kx_event *event)
{
    static const char digits[] = "0123456789abcdef";
    char uid[2 * KX_UID_BYTES];
    char mac_text[KX_ENCODE_MAC_MAX];
    char time_text[KX_CLOCK_RFC3339_MAX];
    char now_text[KX_CLOCK_RFC3339_MAX];
    for (size_t i = 0; i < KX_UID_BYTES; i++) {
        uid[2 * i] = digits[event->uid[i] >> 4];
        uid[2 * i + 1] = digits[event->uid[i] & 15];
    }
    const struct kx_text texts[] = {event->type, event->source, event->device_key,
                                    event->device_mac, event->data};
    static const int parameters[] = {2, 4, 5, 6, 7};
    sqlite3_stmt *statement = rows->event;
    bind_text(statement, 1, uid, sizeof uid);
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        const char *text = kx_record_text(&event->head, texts[i]);
        if (parameters[i] == 6)
            text = kx_encode_mac(rows->mac_case, text, texts[i].length, mac_text);
        if (texts[i].length > 0)
            bind_text(statement, parameters[i], text, texts[i].length);
        else
            sqlite3_bind_null(statement, parameters[i]);
    }
    bind_time(statement, 3, event->time_ns, time_text);
    bind_time(statement, 8, rows->now_ns, now_text);
    int result = run(statement);
    if (result == SQLITE_DONE && sqlite3_changes(sqlite3_db_handle(statement)) == 0)
        rows->known++;
    return result;
}

int kx_sqlite_rows_record(struct kx_sqlite_rows *rows, const struct kx_record *record)
{
    const struct kx_device *device = kx_record_device(record);
    const struct kx_event *event = kx_record_event(record);
    if (device != NULL)
        return write_device(rows, device);
    return event != NULL ? write_event(rows, event) : SQLITE_MISMATCH;
}

int kx_sqlite_rows_source(struct kx_sqlite_rows *rows, const struct kx_source_status *status)
{
    char contact[KX_CLOCK_RFC3339_MAX];
    char now[KX_CLOCK_RFC3339_MAX];
    sqlite3_stmt *statement = rows->source;
    sqlite3_clear_bindings(statement); /* what is not known stays NULL */
    bind_text(statement, 1, status->name, strlen(status->name));
    if (status->server_uuid[0] != '\0')
        bind_text(statement, 2, status->server_uuid, strlen(status->server_uuid));
    const char *state = kx_source_state_name(status->state);
    bind_text(statement, 3, state, strlen(state));
    if (status->last_contact_ns != 0)
        bind_time(statement, 4, status->last_contact_ns, contact);
    if (status->datasources_ok >= 0)
        sqlite3_bind_int(statement, 5, status->datasources_ok);
    if (status->skew_known)
        sqlite3_bind_double(statement, 6, status->clock_skew_s);
    if (status->version[0] != '\0')
        bind_text(statement, 7, status->version, strlen(status->version));
    bind_time(statement, 8, rows->now_ns, now);
    return run(statement);
}

int kx_sqlite_rows_expire(struct kx_sqlite_rows *rows, int *ret_deleted)
{
    char limit[KX_CLOCK_RFC3339_MAX];
    bind_time(rows->expire, 1, rows->now_ns - (int64_t)rows->history->retention_ns, limit);
    sqlite3_bind_int(rows->expire, 2, KX_SQLITE_EXPIRE_ROWS);
    int result = run(rows->expire);
    *ret_deleted = sqlite3_changes(sqlite3_db_handle(rows->expire));
    return result;
}
