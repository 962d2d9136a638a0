/*
 * What the sinks that keep tables have: sqlite and postgres.
 */
#include "config/table.h"

#include <assert.h>

static const char *const switches[] = {"auto", "on", "off", NULL};

static_assert(offsetof(struct kx_history_config, on) == 0, "history: true sets the first member");

static const struct kx_option rows[] = {
    {.key = "per_source",
     .kind = KX_OPTION_CHOICE,
     .scope = KX_SCOPE_TABLES,
     IN_SINK(tables.per_source),
     .reload = KX_RELOAD_REOPEN,
     .choices = switches,
     .fallback = "auto",
     .help = "Fill kismet_device_sources too; auto is when there are several sources"},
    {.key = "history",
     .flag = "history",
     .kind = KX_OPTION_SECTION,
     .scope = KX_SCOPE_TABLES,
     .child = KX_SCOPE_HISTORY,
     .group = KX_GROUP_TABLES,
     .shorthand = true,
     IN_SINK(tables.history),
     .reload = KX_RELOAD_REOPEN,
     .fallback_words = "off",
     .help = "Keep the past of each device in kismet_device_history"},
    {.key = "min_interval",
     .kind = KX_OPTION_DURATION,
     .scope = KX_SCOPE_HISTORY,
     IN_HISTORY(min_interval_ns),
     .min = SECOND,
     .max = 7 * DAY,
     .fallback = "60s",
     .help = "Time between two rows of one device, at least"},
    {.key = "retention",
     .kind = KX_OPTION_DURATION,
     .scope = KX_SCOPE_HISTORY,
     IN_HISTORY(retention_ns),
     .min = HOUR,
     .max = 3650 * DAY,
     .zero = "forever",
     .fallback = "30d",
     .help = "How long a row is kept, or forever"},
};
const struct kx_option_rows kx_rows_tables = KX_OPTION_ROWS(rows);
