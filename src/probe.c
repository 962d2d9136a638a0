/* The probe command; the contract stands in the header. */
#include "probe.h"

#include "base/probe.h"
#include "ingest/probe_source.h"
#include "sinks/sinks.h"
#include <signal.h>
#include <unistd.h>

static void probe_sink(struct kx_probe *probe, const struct kx_config *config, size_t i)
{
    const struct kx_sink_config *sink = &config->sinks[i];
    const struct kx_sink_ops *ops = kx_sinks_find(sink->type);
    const struct kx_sink_env env = {.config = config};
    struct kx_error err;
    void *self = NULL;
    kx_probe_subject(probe, "sink", sink->name);
    if (ops->probe == NULL) {
        kx_probe_ok(probe, "nothing to test");
        return;
    }
    if (ops->open(sink, &env, &self, &err) != KX_OK) {
        kx_probe_fail(probe, NULL, "%s", err.text);
        return;
    }
    ops->probe(self, probe);
    ops->close(self);
}

enum kx_code kx_probe_run(const struct kx_config *config, struct kx_error *err)
{
    struct kx_identity *identity = NULL;
    struct kx_probe probe;
    signal(SIGPIPE, SIG_IGN); /* a server that hangs up is a finding, not our end */
    enum kx_code code = kx_identity_create(&identity, config, err);
    if (code != KX_OK)
        return code;
    kx_probe_init(&probe, STDOUT_FILENO);
    for (size_t i = 0; i < config->source_count; i++)
        kx_probe_source(&probe, config, i, identity);
    for (size_t i = 0; i < config->sink_count; i++)
        probe_sink(&probe, config, i);
    kx_identity_destroy(identity);
    if (probe.failures == 0)
        return KX_OK;
    return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "probe: %u failed, %u warnings", probe.failures,
                        probe.warnings);
}
