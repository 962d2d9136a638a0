/* What the WebSockets are asked for, as text. */
#include "ingest/subscription.h"

#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void starts(const char *text, const char *head)
{
    assert_memory_equal(text, head, strlen(head));
}

static void everything_once_and_the_heartbeat_first(void **state)
{
    (void)state;
    char *topics[] = {(char[]){"ALERT"}, (char[]){"TIMESTAMP"}, (char[]){"NEW_DEVICE"}};
    struct kx_source_config config = {.rate_ns = KX_NS_PER_S * 3 / 2,
                                      .events = {.items = topics, .count = 3}};
    struct kx_subscription subscription;
    assert_int_equal(kx_subscription_init(&subscription, &config, NULL), KX_OK);
    assert_string_equal(subscription.monitor_path, "/devices/monitor.ws");
    assert_int_equal(subscription.monitor.count, 1);
    starts(subscription.monitor.items[0],
           "{\"monitor\":\"*\",\"request\":1,\"rate\":2,\"format\":"
           "\"json\",\"fields\":[[\"kismet.device.base.key\",\"key\"]");
    assert_int_equal(subscription.eventbus.count, 3);
    assert_string_equal(subscription.eventbus.items[0], "{\"SUBSCRIBE\":\"TIMESTAMP\"}");
    assert_string_equal(subscription.eventbus.items[1], "{\"SUBSCRIBE\":\"ALERT\"}");
    starts(subscription.eventbus.items[2],
           "{\"SUBSCRIBE\":\"NEW_DEVICE\",\"fields\":[[\"kismet.device.base.key\",\"key\"]");
    kx_subscription_fini(&subscription);
}

static void each_mac_by_itself_until_they_are_many(void **state)
{
    (void)state;
    char mac[] = "AA:BB:CC:00:00:00/FF:FF:FF:00:00:00";
    char *macs[KX_SUBSCRIPTION_MACS_MAX + 1];
    for (size_t i = 0; i < KX_SUBSCRIPTION_MACS_MAX + 1; i++)
        macs[i] = mac;
    struct kx_source_config config = {.rate_ns = 1, /* never 0: Kismet refuses that */
                                      .macs = {.items = macs, .count = KX_SUBSCRIPTION_MACS_MAX}};
    struct kx_subscription subscription;
    assert_int_equal(kx_subscription_init(&subscription, &config, NULL), KX_OK);
    assert_int_equal(subscription.monitor.count, KX_SUBSCRIPTION_MACS_MAX);
    starts(subscription.monitor.items[1], "{\"monitor\":\"AA:BB:CC:00:00:00/FF:FF:FF:00:00:00\","
                                          "\"request\":2,\"rate\":1,");
    kx_subscription_fini(&subscription);
    config.macs.count++;
    assert_int_equal(kx_subscription_init(&subscription, &config, NULL), KX_OK);
    assert_int_equal(subscription.monitor.count, 1);
    starts(subscription.monitor.items[0], "{\"monitor\":\"*\"");
    kx_subscription_fini(&subscription);
}

static void a_view_is_part_of_the_path(void **state)
{
    (void)state;
    char view[KX_SUBSCRIPTION_PATH_MAX] = "phy-IEEE802.11";
    struct kx_source_config config = {.rate_ns = KX_NS_PER_S, .view = view};
    struct kx_subscription subscription;
    assert_int_equal(kx_subscription_init(&subscription, &config, NULL), KX_OK);
    assert_string_equal(subscription.monitor_path, "/devices/views/phy-IEEE802.11/monitor.ws");
    kx_subscription_fini(&subscription);
    memset(view, 'v', sizeof(view) - 1);
    view[sizeof(view) - 1] = '\0';
    struct kx_error err;
    assert_int_equal(kx_subscription_init(&subscription, &config, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "view"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_once_and_the_heartbeat_first),
        cmocka_unit_test(each_mac_by_itself_until_they_are_many),
        cmocka_unit_test(a_view_is_part_of_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
