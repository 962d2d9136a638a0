/* The texts of our subscriptions; the contract stands in the header. */
#include "ingest/subscription.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "ingest/fields.h"
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 65536 };

/* Adds what text holds to list and frees it. */
static bool add(struct kx_strings *list, struct kx_buf *text)
{
    kx_buf_byte(text, '\0'); /* strndup stops before it, but ASan's strict checks look for it */
    bool added = !text->failed && kx_strings_add(list, text->data, text->length - 1);
    kx_buf_fini(text);
    return added;
}

/* target: "*", or a MAC with a mask. */
static bool add_monitor(struct kx_subscription *subscription,
                        const struct kx_source_config *config,
                        const char *target)
{
    struct kx_buf text;
    kx_buf_init(&text, TEXT_BYTES_MAX);
    unsigned rate_s = (unsigned)((config->rate_ns + KX_NS_PER_S - 1) / KX_NS_PER_S);
    kx_buf_printf(&text, "{\"monitor\":\"%s\",\"request\":%zu,\"rate\":%u", target,
                  subscription->monitor.count + 1, rate_s > 0 ? rate_s : 1);
    kx_buf_text(&text, ",\"format\":\"json\",\"fields\":");
    kx_fields_source_json(&text, config);
    kx_buf_byte(&text, '}');
    return add(&subscription->monitor, &text);
}

static bool add_topic(struct kx_subscription *subscription,
                      const struct kx_source_config *config,
                      const char *topic)
{
    struct kx_buf text;
    kx_buf_init(&text, TEXT_BYTES_MAX);
    kx_buf_text(&text, "{\"SUBSCRIBE\":\"");
    kx_text_json(&text, topic, strlen(topic));
    kx_buf_byte(&text, '"');
    size_t plain = text.length;
    kx_buf_text(&text, ",\"fields\":");
    if (!kx_fields_topic_json(&text, topic, config->location))
        kx_buf_truncate(&text, plain);
    kx_buf_byte(&text, '}');
    return add(&subscription->eventbus, &text);
}

static bool add_all(struct kx_subscription *subscription, const struct kx_source_config *config)
{
    bool each = config->macs.count > 0 && config->macs.count <= KX_SUBSCRIPTION_MACS_MAX;
    bool added = each || add_monitor(subscription, config, "*");
    for (size_t i = 0; each && added && i < config->macs.count; i++)
        added = add_monitor(subscription, config, config->macs.items[i]);
    added = added && add_topic(subscription, config, "TIMESTAMP");
    for (size_t i = 0; added && i < config->events.count; i++)
        added = strcmp(config->events.items[i], "TIMESTAMP") == 0 ||
                add_topic(subscription, config, config->events.items[i]);
    return added;
}

enum kx_code kx_subscription_init(struct kx_subscription *subscription,
                                  const struct kx_source_config *config,
                                  struct kx_error *err)
{
    *subscription = (struct kx_subscription){0};
    char *path = subscription->monitor_path;
    int length = config->view == NULL
                     ? snprintf(path, KX_SUBSCRIPTION_PATH_MAX, "/devices/monitor.ws")
                     : snprintf(path, KX_SUBSCRIPTION_PATH_MAX, "/devices/views/%s/monitor.ws",
                                config->view);
    if (length < 0 || length >= KX_SUBSCRIPTION_PATH_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the name of the view is too long");
    if (add_all(subscription, config))
        return KX_OK;
    kx_subscription_fini(subscription);
    return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a subscription");
}

void kx_subscription_fini(struct kx_subscription *subscription)
{
    kx_strings_fini(&subscription->monitor);
    kx_strings_fini(&subscription->eventbus);
}
