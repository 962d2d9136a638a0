/*
 * Calls kx_postgres_schema_apply (or _print) once, as the sink does, and says what came of it: the
 * outcome, then the warning or the error, then a line a table.
 *
 *   kx-postgres-tables CONNINFO [migrate=auto|check|off] [schema=NAME] [per_source] [history]
 *                      [index=COLUMN]... [without=FIELD]... [extra=NAME:TYPE]... [print]
 *                      [devices=SECONDS] [past=SECONDS] [events=SECONDS]
 *
 * With the last three, retention runs until it is through: a line "expired ROWS" each step.
 */
#include "base/clock.h"
#include "sinks/postgres_retention.h"
#include "sinks/postgres_schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *value_of(const char *word, const char *key)
{
    size_t length = strlen(key);
    return strncmp(word, key, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static enum kx_migrate migrate_of(const char *word)
{
    return strcmp(word, "auto") == 0    ? KX_MIGRATE_AUTO
           : strcmp(word, "check") == 0 ? KX_MIGRATE_CHECK
                                        : KX_MIGRATE_OFF;
}

static struct kx_postgres_extra items[KX_POSTGRES_EXTRAS_MAX];
static struct kx_strings indexes;
static struct kx_retention_config ages;
static const struct kx_history_config no_history;

static void take_extra(struct kx_postgres_schema_params *params, char *text)
{
    char *type = strchr(text, ':');
    struct kx_postgres_extra *item = &items[params->extras.count++];
    *type++ = '\0';
    item->name = text;
    for (enum kx_postgres_type i = KX_PT_TEXT; i < KX_PT_OTHER; i++)
        if (strcmp(kx_postgres_type_name(i), type) == 0)
            item->type = i;
}

static void take(struct kx_postgres_schema_params *params, char *word, bool *print)
{
    const char *value;
    if ((value = value_of(word, "migrate")) != NULL)
        params->migrate = migrate_of(value);
    else if ((value = value_of(word, "schema")) != NULL)
        params->schema = value;
    else if ((value = value_of(word, "index")) != NULL)
        kx_strings_add(&indexes, value, strlen(value));
    else if ((value = value_of(word, "without")) != NULL)
        params->fields &= ~(1ull << kx_field_find(value, strlen(value)));
    else if (value_of(word, "extra") != NULL)
        take_extra(params, strchr(word, '=') + 1);
    else if ((value = value_of(word, "devices")) != NULL)
        ages.devices_ns = strtoull(value, NULL, 10) * KX_NS_PER_S;
    else if ((value = value_of(word, "past")) != NULL)
        ages.history_ns = strtoull(value, NULL, 10) * KX_NS_PER_S;
    else if ((value = value_of(word, "events")) != NULL)
        ages.events_ns = strtoull(value, NULL, 10) * KX_NS_PER_S;
    else if (strcmp(word, "per_source") == 0)
        params->per_source = true;
    else if (strcmp(word, "history") == 0)
        params->history = true;
    else if (strcmp(word, "print") == 0)
        *print = true;
}

static void say_tables(const struct kx_postgres_tables *tables)
{
    for (enum kx_postgres_table table = 0; table < KX_PG_TABLES; table++) {
        const struct kx_postgres_table_info *info = kx_postgres_table(table);
        const struct kx_postgres_table_state *state = &tables->table[table];
        if (!state->exists)
            continue;
        printf("%s%s key=%d hypertable=%d extras=%jx", tables->prefix, info->name, state->has_key,
               state->hypertable, (uintmax_t)state->extras);
        for (size_t i = 0; i < info->count; i++)
            if ((state->columns & KX_PC_BIT(info->columns[i].column)) != 0)
                printf(" %s:%s", info->columns[i].name,
                       kx_postgres_type_name(state->types[info->columns[i].column]));
        printf("\n");
    }
}

static enum kx_outcome expire(struct kx_postgres_retention *retention,
                              struct kx_postgres_db *db,
                              const struct kx_postgres_tables *tables,
                              struct kx_error *err)
{
    enum kx_outcome outcome = KX_SENT;
    while (outcome == KX_SENT && kx_postgres_retention_due(retention, 1)) {
        uint64_t rows;
        outcome = kx_postgres_retention_step(retention, db, tables, 1, &rows, err);
        printf("expired %ju\n", (uintmax_t)rows);
    }
    return outcome;
}

int main(int argc, char **argv)
{
    static const char *const outcomes[] = {"sent", "retry", "hold", "rejected", "gone"};
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 60 * KX_NS_PER_S, .stop_fd = -1};
    struct kx_postgres_db db = {.call = &call};
    struct kx_postgres_tables tables;
    struct kx_error err = {0};
    struct kx_buf sql;
    bool print = false;
    struct kx_postgres_schema_params params = {
        .fields = ~0ull, .events = true, .indexes = &indexes, .extras = {.items = items}};
    for (int i = 2; i < argc; i++)
        take(&params, argv[i], &print);
    struct kx_postgres_retention retention = {.config = &ages, .history = &no_history};
    params.expires = kx_postgres_retention_tables(&retention);
    struct kx_postgres_target target = {.conninfo = argc > 1 ? argv[1] : ""};
    enum kx_outcome outcome = kx_postgres_connect(&db, &target, &err);
    kx_buf_init(&sql, KX_POSTGRES_PLAN_BYTES_MAX);
    if (outcome == KX_SENT)
        outcome = print ? kx_postgres_schema_print(&db, &params, &sql, &err)
                        : kx_postgres_schema_apply(&db, &params, &tables, &err);
    if (outcome != KX_SENT)
        printf("%s %s\n", outcomes[outcome], err.text);
    else if (print)
        printf("%.*s", (int)sql.length, sql.data != NULL ? sql.data : "");
    else
        printf("%s %s\n", outcomes[outcome], tables.warning);
    if (outcome == KX_SENT && !print)
        say_tables(&tables);
    if (outcome == KX_SENT && !print)
        outcome = expire(&retention, &db, &tables, &err);
    kx_buf_fini(&sql);
    kx_strings_fini(&indexes);
    kx_postgres_close(&db);
    return outcome == KX_SENT ? 0 : 1;
}
