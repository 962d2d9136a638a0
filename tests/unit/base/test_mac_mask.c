/* MACs with masks: what is one, and which addresses a list holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mac_mask.h"
#include "base/text.h"
#include <string.h>

static void parse(void **state)
{
    (void)state;
    struct kx_mac_mask mask = {1, 2};
    static const char *const bad[] = {"",
                                      "AA:BB:CC:DD:EE",
                                      "AA:BB:CC:DD:EE:FF/",
                                      "AA:BB:CC:DD:EE:FF/FF:FF",
                                      "/FF:FF:FF:00:00:00",
                                      "AA:BB:CC:DD:EE:FF/FF:FF:FF:00:00:00/",
                                      "AA:BB:CC:DD:EE:FF "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(kx_mac_mask_parse(bad[i], &mask));
    assert_true(mask.mac == 1 && mask.mask == 2);
    assert_true(kx_mac_mask_parse("aa-bb-cc-dd-ee-ff", &mask));
    assert_true(mask.mac == 0xaabbccddeeff && mask.mask == UINT64_MAX);
    assert_true(kx_mac_mask_parse("AA:BB:CC:DD:EE:FF/FF:FF:FF:00:00:00", &mask));
    assert_true(mask.mac == 0xaabbcc000000 && mask.mask == 0xffffff000000);
}

static void none(void **state)
{
    (void)state;
    struct kx_mac_masks masks;
    assert_true(kx_mac_masks_init(&masks, NULL, 0));
    assert_int_equal(masks.count, 0);
    assert_false(kx_mac_masks_have(&masks, 0xaabbccddeeff));
    kx_mac_masks_fini(&masks);
}

static void lists(void **state)
{
    (void)state;
    static char one[] = "aa-bb-cc-dd-ee-ff";
    static char two[] = "7A:11:C0:FF:FF:FF/FF:FF:FF:00:00:00"; /* bits beyond its mask */
    static char three[] = "00:00:00:00:00:01/00:00:00:00:00:01";
    static char *const texts[] = {one, two, three};
    struct kx_mac_masks masks;
    assert_true(kx_mac_masks_init(&masks, texts, 3));
    static const struct {
        const char *mac;
        bool in;
    } cases[] = {
        {"AA:BB:CC:DD:EE:FF", true},  {"AA:BB:CC:DD:EE:FE", false}, {"7A:11:C0:00:00:02", true},
        {"7A:11:C1:00:00:02", false}, {"02:00:00:00:00:03", true},  {"00:00:00:00:00:00", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t mac;
        assert_true(kx_text_mac(cases[i].mac, strlen(cases[i].mac), &mac));
        if (kx_mac_masks_have(&masks, mac) != cases[i].in)
            fail_msg("%s", cases[i].mac);
    }
    kx_mac_masks_fini(&masks);
    assert_null(masks.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parse), cmocka_unit_test(none),
                                       cmocka_unit_test(lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
