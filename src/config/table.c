/*
 * The option table: the files of rows, joined in the order of the documentation.
 */
#include "config/table.h"

const char *const kx_sink_types[] = {"console", "sqlite",  "postgres", "influxdb",
                                     "mqtt",    "webhook", "socket",   NULL};

static const struct kx_option_rows *const groups[] = {
    &kx_rows_program,
    &kx_rows_stats,
    /* a source */
    &kx_rows_source,
    &kx_rows_source_tls,
    /* every sink */
    &kx_rows_sink,
    &kx_rows_filter,
    &kx_rows_delta,
    /* several kinds of sinks */
    &kx_rows_tables,
    &kx_rows_transport,
    /* one kind each */
    &kx_rows_console,
    &kx_rows_sqlite,
    &kx_rows_postgres,
    &kx_rows_influxdb,
    &kx_rows_mqtt,
    &kx_rows_webhook,
    &kx_rows_socket,
};
enum { GROUPS = sizeof groups / sizeof groups[0] };

size_t kx_option_count(void)
{
    size_t count = 0;
    for (size_t g = 0; g < GROUPS; g++)
        count += groups[g]->count;
    KX_ASSERT(count <= KX_OPTIONS_MAX);
    return count;
}

const struct kx_option *kx_option_at(size_t i)
{
    size_t g = 0;
    while (g < GROUPS && i >= groups[g]->count)
        i -= groups[g++]->count;
    KX_ASSERT(g < GROUPS);
    return &groups[g]->rows[i];
}

size_t kx_option_index(const struct kx_option *option)
{
    size_t before = 0;
    for (size_t g = 0; g < GROUPS; before += groups[g++]->count)
        if (option >= groups[g]->rows && option < groups[g]->rows + groups[g]->count)
            return before + (size_t)(option - groups[g]->rows);
    kx_assert_failed(__FILE__, __LINE__, "a row of the table");
}
