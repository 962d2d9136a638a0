/*
 * The webhook sink: each batch as one POST of JSON, signed, with a key that tells a repetition.
 *
 * One request at a time, over one connection that is kept (http.h). Delivered is what the far end
 * answered with 2xx. A batch that is sent again, because its answer got lost or was a refusal for
 * now, carries the same Idempotency-Key. Sends every record, not only the newest of a device. The
 * secret's file is read again when it is refused. One thread.
 */
#ifndef KX_SINKS_WEBHOOK_H
#define KX_SINKS_WEBHOOK_H

#include "batch/sink.h"

extern const struct kx_sink_ops kx_webhook_ops;

#endif
