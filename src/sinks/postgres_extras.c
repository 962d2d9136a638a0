/* Types of extra fields and of columns. */
#include "sinks/postgres_extras.h"

static_assert((size_t)KX_EXTRA_COLUMNS_MAX <= (size_t)KX_POSTGRES_EXTRAS_MAX, "a column each");

struct kx_postgres_extras kx_postgres_extras_get(struct kx_postgres_extra_set *set,
                                                 const struct kx_config *config,
                                                 const struct kx_sink_config *sink)
{
    static const enum kx_postgres_type types[] = {
        [KX_EXTRA_TEXT] = KX_PT_TEXT,
        [KX_EXTRA_INTEGER] = KX_PT_BIGINT,
        [KX_EXTRA_NUMBER] = KX_PT_DOUBLE,
        [KX_EXTRA_BOOL] = KX_PT_BOOLEAN,
    };
    set->columns.count = 0;
    if ((kx_sink_fields(sink) & 1ull << KX_F_EXTRA) != 0)
        kx_columns_get(config, &set->columns);
    for (size_t i = 0; i < set->columns.count; i++)
        set->items[i] = (struct kx_postgres_extra){.name = set->columns.items[i].name,
                                                   .type = types[set->columns.items[i].type]};
    return (struct kx_postgres_extras){.items = set->items, .count = set->columns.count};
}
