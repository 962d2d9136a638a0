/*
 * One POST to a webhook: its headers, its signature, and what the answer means.
 *
 * Owns the connection, the headers' texts and the compressed body. One thread. No text from a
 * header's value and no query of the address is ever shown.
 */
#ifndef KX_SINKS_WEBHOOK_POST_H
#define KX_SINKS_WEBHOOK_POST_H

#include "base/buf.h"
#include "batch/sink.h"
#include "config/url.h"
#include "sinks/gzip.h"
#include "sinks/http.h"

struct kx_webhook_post {
    const struct kx_sink_config *config; /* borrowed */
    char who[KX_URL_ORIGIN_MAX];         /* scheme://host:port */
    struct kx_http *http;
    struct kx_gzip *gzip; /* NULL = off */
    struct kx_secret secret;
    struct kx_buf headers; /* those of the configuration, "Name: value" and NUL each */
    bool own_type;         /* ... have a Content-Type */
};

/* certificate: answers say who signed it. Failure leaves nothing behind. */
enum kx_code kx_webhook_post_open(struct kx_webhook_post *post,
                                  const struct kx_sink_config *config,
                                  bool certificate,
                                  struct kx_error *err);
void kx_webhook_post_close(struct kx_webhook_post *post); /* also of one that is zeroed */

/* method: NULL = POST. body: NULL = none, and then nothing is signed. KX_OK: there is an answer. */
enum kx_code kx_webhook_post_send(struct kx_webhook_post *post,
                                  const char *method,
                                  const struct kx_span *body,
                                  const char *key,
                                  const struct kx_call *call,
                                  struct kx_http_answer *ret_answer,
                                  struct kx_error *err);
/* What an answer means; batch may be NULL. */
enum kx_outcome kx_webhook_post_judge(struct kx_webhook_post *post,
                                      const struct kx_http_answer *answer,
                                      struct kx_batch *batch,
                                      struct kx_error *err);

#endif
