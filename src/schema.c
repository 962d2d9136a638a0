/* The schema command; the contract stands in the header. */
#include "schema.h"

#include "base/buf.h"
#include "base/clock.h"
#include "sinks/postgres_extras.h"
#include "sinks/postgres_schema.h"
#include <stdio.h>
#include <string.h>

enum { WAIT_S = 15 };

/* The sink of that name, or the only one that has a schema to print. */
static enum kx_code find_sink(const struct kx_config *config,
                              const struct kx_sink_config **ret_sink,
                              struct kx_error *err)
{
    const struct kx_sink_config *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct kx_sink_config *sink = &config->sinks[i];
        bool named = config->schema_sink != NULL && strcmp(config->schema_sink, sink->name) == 0;
        if (named && sink->type != KX_SINK_POSTGRES)
            return kx_error_set(err, KX_ERR_USAGE, 0,
                                "sink %s is no postgres sink: the others make what they need",
                                sink->name);
        if (sink->type != KX_SINK_POSTGRES || (config->schema_sink != NULL && !named))
            continue;
        found = sink;
        count++;
    }
    if (count == 0 && config->schema_sink != NULL)
        return kx_error_set(err, KX_ERR_USAGE, 0, "there is no sink %.64s: see `check`",
                            config->schema_sink);
    if (count == 0)
        return kx_error_set(err, KX_ERR_USAGE, 0,
                            "there is no postgres sink: write --export-type postgres, or -c FILE");
    if (count > 1)
        return kx_error_set(err, KX_ERR_USAGE, 0,
                            "there are %zu postgres sinks: write --sink NAME for one of them",
                            count);
    *ret_sink = found;
    return KX_OK;
}

static void
put_head(struct kx_buf *out, const struct kx_sink_config *sink, const struct kx_postgres_db *db)
{
    kx_buf_printf(out, "-- kismet-export %s, sink %s: ", KX_VERSION, sink->name);
    if (db->handle != NULL)
        kx_buf_printf(out, "what %s wants now\n", db->name);
    else
        kx_buf_text(out, "everything, as for a new database\n");
}

enum kx_code kx_schema_run(const struct kx_config *config, struct kx_error *err)
{
    const struct kx_sink_config *sink = NULL;
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + WAIT_S * KX_NS_PER_S, .stop_fd = -1};
    struct kx_postgres_db db = {.call = &call};
    struct kx_postgres_schema_params params;
    struct kx_buf out;
    enum kx_code code = find_sink(config, &sink, err);
    if (code != KX_OK)
        return code;
    KX_ASSERT(sink != NULL); /* which gcc 12 does not see with -fsanitize=thread */
    const struct kx_postgres_target target = {.conninfo = kx_secret_reveal(&sink->postgres.conn),
                                              .password =
                                                  kx_secret_reveal(&sink->postgres.password),
                                              .pooler = sink->postgres.pooler};
    if (kx_postgres_connect(&db, &target, err) != KX_SENT) {
        fprintf(stderr, "kismet-export: %s; this is the SQL of a new database\n", err->text);
        kx_postgres_close(&db);
    }
    kx_buf_init(&out, 2 * KX_POSTGRES_PLAN_BYTES_MAX);
    put_head(&out, sink, &db);
    size_t head = out.length;
    struct kx_postgres_extra_set extras;
    kx_postgres_schema_params_init(&params, sink, config);
    params.extras = kx_postgres_extras_get(&extras, config, sink);
    enum kx_outcome outcome = kx_postgres_schema_print(&db, &params, &out, err);
    if (outcome == KX_SENT && out.length == head)
        kx_buf_printf(&out, "-- nothing: the tables are whole, of version %d\n",
                      KX_POSTGRES_SCHEMA_VERSION);
    if (outcome == KX_SENT)
        fwrite(out.data, 1, out.length, stdout);
    else
        code = kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s", err->text);
    kx_buf_fini(&out);
    kx_postgres_close(&db);
    return code;
}
