/* The extra fields of all sources, as columns of one table. */
#include "config/columns.h"

#include <string.h>

/* Columns beside the fields of a record, and names that SQLite or PostgreSQL give to every table.
 */
static const char *const taken[] = {"last_updated", "created_at", "updated_at", "rowid",
                                    "_rowid_",      "oid",        "tableoid",   "xmin",
                                    "xmax",         "cmin",       "cmax",       "ctid"};

bool kx_columns_reserved(const char *as)
{
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(taken[i], as) == 0)
            return true;
    return kx_field_find(as, strlen(as)) != KX_FIELDS;
}

/* The column of that name, or NULL. */
static const struct kx_extra_column *find(const struct kx_extra_columns *columns, const char *name)
{
    for (size_t i = 0; i < columns->count; i++)
        if (strcmp(columns->items[i].name, name) == 0)
            return &columns->items[i];
    return NULL;
}

/* Adds the columns that are new in a source; the field that cannot be one, or NULL. */
static const struct kx_extra_field *add(struct kx_extra_columns *columns,
                                        const struct kx_extra_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct kx_extra_field *field = &fields->items[i];
        const struct kx_extra_column *there = find(columns, field->as);
        if (there != NULL && there->type == field->type)
            continue;
        if (there != NULL || columns->count == KX_EXTRA_COLUMNS_MAX)
            return field;
        columns->items[columns->count++] =
            (struct kx_extra_column){.name = field->as, .type = field->type};
    }
    return NULL;
}

enum kx_code kx_columns_check(const struct kx_config *config, struct kx_error *err)
{
    struct kx_extra_columns columns = {.count = 0};
    for (size_t i = 0; i < config->source_count; i++) {
        const struct kx_source_config *source = &config->sources[i];
        const struct kx_extra_field *bad = add(&columns, &source->extra);
        if (bad == NULL)
            continue;
        if (find(&columns, bad->as) != NULL)
            kx_error_set(err, KX_ERR_CONFIG, 0,
                         "source %s: the extra field '%s' has another type in another source, and "
                         "one column cannot be both: give it one type, or another name",
                         source->name, bad->as);
        else
            kx_error_set(err, KX_ERR_CONFIG, 0,
                         "source %s: the extra field '%s' is one too many: all sources together "
                         "may ask for %d different ones",
                         source->name, bad->as, KX_EXTRA_COLUMNS_MAX);
        if (config->path != NULL && source->line > 0)
            kx_error_prefix(err, "%s:%u", config->path, source->line);
        return KX_ERR_CONFIG;
    }
    return KX_OK;
}

void kx_columns_get(const struct kx_config *config, struct kx_extra_columns *ret_columns)
{
    ret_columns->count = 0;
    for (size_t i = 0; i < config->source_count; i++)
        (void)add(ret_columns, &config->sources[i].extra);
}
