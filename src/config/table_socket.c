/*
 * The socket sink.
 */
#include "config/table.h"

#include "config/check.h"

static const char *const protocols[] = {"tcp", "tls", "udp", NULL};
static const char *const formats[] = {"json", "csv", "simple", NULL};

static const struct kx_option rows[] = {
    {.key = "host",
     .flag = "server-host",
     .arg = "HOST",
     .kind = KX_OPTION_TEXT,
     .scope = KX_SCOPE_SOCKET,
     .group = KX_GROUP_SOCKET,
     IN_SINK(socket.host),
     .check = kx_check_host,
     .reload = KX_RELOAD_REOPEN,
     .fallback_words = "none: it must be given",
     .help = "The host whose program listens: a name or an address"},
    {.key = "port",
     .flag = "server-port",
     .arg = "PORT",
     .kind = KX_OPTION_INTEGER,
     .scope = KX_SCOPE_SOCKET,
     .group = KX_GROUP_SOCKET,
     IN_SINK(socket.port),
     .reload = KX_RELOAD_REOPEN,
     .min = 1,
     .max = 65535,
     .fallback = "9999",
     .help = "Its port"},
    {.key = "protocol",
     .flag = "server-protocol",
     .arg = "PROTOCOL",
     .kind = KX_OPTION_CHOICE,
     .scope = KX_SCOPE_SOCKET,
     .group = KX_GROUP_SOCKET,
     IN_SINK(socket.protocol),
     .reload = KX_RELOAD_REOPEN,
     .choices = protocols,
     .fallback = "tcp",
     .help = "How lines travel: tls is TCP with a verified certificate; udp loses some"},
    {.key = "format",
     .kind = KX_OPTION_CHOICE,
     .scope = KX_SCOPE_SOCKET,
     IN_SINK(socket.format),
     .reload = KX_RELOAD_REOPEN,
     .choices = formats,
     .fallback = "json",
     .help = "What a line looks like"},
    {.key = "formula_guard",
     .kind = KX_OPTION_BOOL,
     .scope = KX_SCOPE_SOCKET,
     IN_SINK(socket.formula_guard),
     .reload = KX_RELOAD_REOPEN,
     .fallback = "true",
     .help = "In csv, a ' before a text that a spreadsheet would run as a formula"},
};
const struct kx_option_rows kx_rows_socket = KX_OPTION_ROWS(rows);
