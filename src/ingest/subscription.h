/*
 * What a source asks its WebSockets for: the texts that are sent when they open.
 *
 * Made once from the configuration, constant afterwards. Owns its texts; init/fini in place. One
 * thread (ingest). The monitor is asked once for every device, or once for each configured MAC; the
 * eventbus once for each topic, TIMESTAMP first: it is the heartbeat.
 */
#ifndef KX_INGEST_SUBSCRIPTION_H
#define KX_INGEST_SUBSCRIPTION_H

#include "base/error.h"
#include "config/config.h"
#include "config/strings.h"

enum {
    KX_SUBSCRIPTION_PATH_MAX = 320,
    KX_SUBSCRIPTION_MACS_MAX = 16, /* more: every device is asked for, and the intake picks, since
                                      Kismet goes through all its devices for each request */
};

struct kx_subscription {
    char monitor_path[KX_SUBSCRIPTION_PATH_MAX];
    struct kx_strings monitor;
    struct kx_strings eventbus;
};

/* KX_ERR_NOMEM, or KX_ERR_CONFIG for a view whose name is too long. */
enum kx_code kx_subscription_init(struct kx_subscription *subscription,
                                  const struct kx_source_config *config,
                                  struct kx_error *err);
void kx_subscription_fini(struct kx_subscription *subscription);

#endif
