/*
 * The sqlite sink.
 */
#include "config/table.h"

static const struct kx_option rows[] = {
    {.key = "path",
     .flag = "sqlite-path",
     .arg = "FILE",
     .kind = KX_OPTION_PATH,
     .scope = KX_SCOPE_SQLITE,
     .group = KX_GROUP_SQLITE,
     IN_SINK(sqlite.path),
     .fallback = "kismet.db",
     .help = "The database file"},
};
const struct kx_option_rows kx_rows_sqlite = KX_OPTION_ROWS(rows);
