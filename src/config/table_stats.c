/* Rows of the stats port. */
#include "config/table.h"

#define IN_STATS(member) MEMBER(struct kx_stats_config, member)

static const struct kx_option rows[] = {
    {.key = "stats",
     .kind = KX_OPTION_SECTION,
     .scope = KX_SCOPE_TOP,
     .child = KX_SCOPE_STATS,
     IN_CONFIG(stats),
     .help = "What can be seen of the program, by HTTP"},
    {.key = "listen",
     .flag = "stats-listen",
     .arg = "WHERE",
     .kind = KX_OPTION_TEXT,
     .scope = KX_SCOPE_STATS,
     .group = KX_GROUP_PROGRAM,
     IN_STATS(listen),
     .commands = 1u << KX_COMMAND_RUN | 1u << KX_COMMAND_REPLAY,
     .fallback_words = "127.0.0.1:2502; off in a replay and with --once",
     .help = "Serve /metrics, /healthz, /readyz, /status.json and a page at this address:port, or "
             "at the /path of a unix socket; or off"},
    {.key = "token_file",
     .kind = KX_OPTION_PATH,
     .scope = KX_SCOPE_STATS,
     IN_STATS(token_file),
     .help = "File with a token that all but the page and /healthz then want (Authorization: "
             "Bearer)"},
    {.key = "cert_file",
     .kind = KX_OPTION_PATH,
     .scope = KX_SCOPE_STATS,
     IN_STATS(cert_file),
     .fallback_words = "plain HTTP",
     .help = "Certificate (PEM) to serve it by HTTPS"},
    {.key = "key_file",
     .kind = KX_OPTION_PATH,
     .scope = KX_SCOPE_STATS,
     IN_STATS(key_file),
     .help = "The key (PEM) of the certificate"},
    {.key = "client_ca_file",
     .kind = KX_OPTION_PATH,
     .scope = KX_SCOPE_STATS,
     IN_STATS(client_ca_file),
     .fallback_words = "clients need none",
     .help = "Ask clients for a certificate of this CA (PEM)"},
};
const struct kx_option_rows kx_rows_stats = KX_OPTION_ROWS(rows);
