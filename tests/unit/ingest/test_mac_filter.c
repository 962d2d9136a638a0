/* Which devices a list of MACs lets through. */
#include "ingest/mac_filter.h"
#include "messages.h"

static bool has(const struct kx_mac_filter *filter, const char *mac)
{
    return kx_mac_filter_has(filter, mac, strlen(mac));
}

static void no_list_is_everything(void **state)
{
    (void)state;
    struct kx_mac_filter filter;
    const struct kx_strings none = {0};
    assert_int_equal(kx_mac_filter_init(&filter, &none, NULL), KX_OK);
    assert_true(has(&filter, "AA:BB:CC:DD:EE:FF"));
    assert_true(has(&filter, "no address"));
    kx_mac_filter_fini(&filter);
}

static void masks(void **state)
{
    (void)state;
    struct kx_strings list = {0};
    struct kx_mac_filter filter;
    assert_true(kx_strings_addf(&list, "aa-bb-cc-dd-ee-ff"));
    assert_true(
        kx_strings_addf(&list, "7A:11:C0:FF:FF:FF/FF:FF:FF:00:00:00")); /* beyond its mask */
    assert_true(kx_strings_addf(&list, "00:00:00:00:00:01/00:00:00:00:00:01"));
    assert_int_equal(kx_mac_filter_init(&filter, &list, NULL), KX_OK);
    kx_strings_fini(&list);
    static const struct {
        const char *mac;
        bool in;
    } cases[] = {
        {"AA:BB:CC:DD:EE:FF", true},  {"aabbccddeeff", true},
        {"AA:BB:CC:DD:EE:FE", false}, {"7A:11:C0:00:00:02", true},
        {"7A:11:C1:00:00:02", false}, {"02:00:00:00:00:03", true},
        {"00:00:00:00:00:00", false}, {"", false},
        {"7A:11:C0", false},          {"7A:11:C0:00:00:02 ", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (has(&filter, cases[i].mac) != cases[i].in)
            fail_msg("%s", cases[i].mac);
    kx_mac_filter_fini(&filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_list_is_everything),
                                       cmocka_unit_test(masks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
