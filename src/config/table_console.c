/*
 * The console sink.
 */
#include "config/table.h"

static const char *const console_formats[] = {"text", "json", NULL};

static const struct kx_option rows[] = {
    {.key = "format",
     .kind = KX_OPTION_CHOICE,
     .scope = KX_SCOPE_CONSOLE,
     IN_SINK(console.format),
     .reload = KX_RELOAD_REOPEN,
     .choices = console_formats,
     .fallback = "text",
     .help = "What the console sink prints"},
};
const struct kx_option_rows kx_rows_console = KX_OPTION_ROWS(rows);
