/*
 * The webhook sink's life: encode, post, and what the answer means.
 */
#include "sinks/webhook.h"
#include "sinks/webhook_body.h"
#include "sinks/webhook_post.h"
#include "sinks/webhook_probe.h"
#include <stdlib.h>

enum { BODY_BYTES_MAX = 512 << 20 };

struct webhook_sink {
    const struct kx_sink_config *config; /* borrowed */
    struct kx_webhook_post post;
    struct kx_encode_json json;
    struct kx_buf body;
};

static void webhook_close(void *self)
{
    struct webhook_sink *sink = self;
    if (sink == NULL)
        return;
    kx_webhook_post_close(&sink->post);
    kx_buf_fini(&sink->body);
    free(sink);
}

static enum kx_code webhook_open(const struct kx_sink_config *config,
                                 const struct kx_sink_env *env,
                                 void **ret_self,
                                 struct kx_error *err)
{
    (void)env;
    struct webhook_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory", config->name);
    sink->config = config;
    kx_buf_init(&sink->body, BODY_BYTES_MAX);
    kx_encode_json_init(&sink->json, config->compat, config->mac_case, kx_sink_fields(config));
    enum kx_code code = kx_webhook_post_open(&sink->post, config, false, err);
    if (code != KX_OK) {
        webhook_close(sink);
        return code;
    }
    *ret_self = sink;
    return KX_OK;
}

/* A body that does not fit into memory is sent in halves. */
static enum kx_outcome
no_room(const struct webhook_sink *sink, struct kx_batch *batch, struct kx_error *err)
{
    uint64_t bytes = 0;
    for (uint32_t i = batch->first; i < batch->end; i++)
        bytes += kx_batch_done(batch, i) ? 0 : kx_batch_record(batch, i)->length;
    if (batch->end - batch->first > 1)
        batch->bytes_max = bytes / 2;
    kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory for a request of %u records",
                 sink->config->name, (unsigned)(batch->end - batch->first));
    return KX_RETRY;
}

static enum kx_outcome webhook_deliver(void *self,
                                       struct kx_batch *batch,
                                       const struct kx_call *call,
                                       struct kx_error *err)
{
    struct webhook_sink *sink = self;
    struct kx_http_answer answer;
    char key[KX_WEBHOOK_KEY_MAX];
    kx_buf_clear(&sink->body);
    if (kx_webhook_body(&sink->json, sink->config->webhook.format, batch, &sink->body) == 0)
        return KX_SENT;
    if (sink->body.failed)
        return no_room(sink, batch, err);
    kx_webhook_key(batch, key);
    const struct kx_span body = {sink->body.data, sink->body.length};
    enum kx_code code = kx_webhook_post_send(&sink->post, NULL, &body, key, call, &answer, err);
    if (code != KX_OK)
        return kx_http_failed(code);
    return kx_webhook_post_judge(&sink->post, &answer, batch, err);
}

static enum kx_code webhook_probe(void *self, struct kx_probe *probe)
{
    const struct webhook_sink *sink = self;
    return kx_webhook_probe(sink->config, probe);
}

const struct kx_sink_ops kx_webhook_ops = {
    .type = "webhook",
    .newest_per_device = false,
    .open = webhook_open,
    .deliver = webhook_deliver,
    .idle = NULL,
    .probe = webhook_probe,
    .close = webhook_close,
};
