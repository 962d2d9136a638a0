/* What /status.json, /readyz and /healthz say; MACs in texts; the rates' ring. */
#include "base/clock.h"
#include "feeding.h"
#include "stats/status.h"

struct pair {
    struct feeding f;
    struct kx_snapshot *snapshot;
    struct kx_rates *rates;
    struct kx_buf out;
};

static int setup(void **state)
{
    static struct pair pair;
    feeding_init(&pair.f, "gar\"den");
    assert_int_equal(kx_snapshot_create(&pair.snapshot, &pair.f.feed, 5, NULL), KX_OK);
    assert_int_equal(kx_rates_create(&pair.rates, kx_status_series(&pair.f.feed), NULL), KX_OK);
    kx_buf_init(&pair.out, 1 << 20);
    for (size_t i = 0; i < 2; i++) {
        feeding_source(&pair.f, i, KX_SOURCE_STREAMING, "");
        feeding_sink(&pair.f, i, KX_SINK_OK, "");
    }
    *state = &pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;
    kx_buf_fini(&pair->out);
    kx_rates_destroy(pair->rates);
    kx_snapshot_destroy(pair->snapshot);
    feeding_fini(&pair->f);
    return 0;
}

static const char *ended(struct pair *pair)
{
    kx_buf_byte(&pair->out, '\0');
    assert_false(pair->out.failed);
    return pair->out.data;
}

static const char *status(struct pair *pair)
{
    kx_snapshot_take(pair->snapshot, 10, 20);
    kx_buf_clear(&pair->out);
    kx_status_write(&pair->out, pair->snapshot, pair->rates);
    return ended(pair);
}

static void has(const char *text, const char *words)
{
    if (strstr(text, words) == NULL)
        fail_msg("there is no %s in %s", words, text);
}

static void test_ready(void **state)
{
    struct pair *pair = *state;
    kx_snapshot_take(pair->snapshot, 10, 20);
    assert_true(kx_status_ready(&pair->out, pair->snapshot));
    assert_string_equal(ended(pair), "{\"reasons\":[],\"ready\":true}\n");
    feeding_sink(&pair->f, 1, KX_SINK_HELD, "no <such> \"table\"");
    feeding_source(&pair->f, 1, KX_SOURCE_AUTH_FAILED, "HTTP 401");
    kx_snapshot_take(pair->snapshot, 10, 20);
    kx_buf_clear(&pair->out);
    assert_false(kx_status_ready(&pair->out, pair->snapshot));
    const char *text = ended(pair);
    has(text, "{\"kind\":\"source\",\"name\":\"gar\\\"den\",\"state\":\"auth_failed\","
              "\"text\":\"HTTP 401\",\"advice\":\"Kismet refuses");
    has(text, "{\"kind\":\"sink\",\"name\":\"lines\",\"state\":\"held\","
              "\"text\":\"no \\u003Csuch\\u003E \\\"table\\\"\",\"advice\":\"mend what");
    has(text, "\"ready\":false}\n");
}

static void test_healthy(void **state)
{
    struct pair *pair = *state;
    pair->f.alive[1] = KX_NS_PER_S;
    kx_snapshot_take_threads(pair->snapshot, KX_NS_PER_S);
    assert_true(kx_status_healthy(&pair->out, pair->snapshot));
    assert_string_equal(ended(pair), "{\"late\":[],\"healthy\":true}\n");
    kx_snapshot_take_threads(pair->snapshot, 5 * KX_NS_PER_S);
    kx_snapshot_take_threads(pair->snapshot, 8 * KX_NS_PER_S + 100000000);
    kx_buf_clear(&pair->out);
    assert_false(kx_status_healthy(&pair->out, pair->snapshot));
    assert_string_equal(ended(pair),
                        "{\"late\":[{\"thread\":\"w:db\",\"seconds\":7.1}],\"healthy\":false}\n");
}

static void test_status(void **state)
{
    struct pair *pair = *state;
    kx_count(pair->f.blocks[2], KX_C_RECEIVED, 12);
    kx_count(pair->f.blocks[2], KX_C_DROPPED_RING, 2);
    kx_count(pair->f.blocks[3], KX_C_DELIVERED, 9);
    pair->f.pending[0] = 1;
    const char *text = status(pair);
    has(text, "\"received\":12,\"filtered\":0,\"unchanged\":0,\"coalesced\":0,\"delivered\":9,"
              "\"pending\":1,\"dropped\":2,\"dropped_by_reason\":{\"ring_full\":2},"
              "\"dead_lettered\":0,");
    has(text, "\"clock_skew_s\":null,");
    has(text,
        "\"ready\":true,\"sources\":[{\"name\":\"attic\",\"state\":\"streaming\",\"well\":true");
    has(text, "\"records_each_step\":[]");
    has(text, "\"reload\":{\"last\":null,\"ok\":true,\"text\":\"\"}}\n");
}

static void test_no_mac_in_texts(void **state)
{
    struct pair *pair = *state;
    feeding_sink(&pair->f, 0, KX_SINK_RETRYING,
                 "AA:BB:CC:dd:ee:01: key (aa-bb-cc-dd-ee-02) or aabbccddee03, AA:BB:CC:DD:EE:04");
    const char *text = status(pair);
    has(text, "\"text\":\"[mac]: key ([mac]) or [mac], [mac]\"");
    /* What is no MAC stays: a digest, a port, a date. */
    feeding_sink(&pair->f, 0, KX_SINK_RETRYING,
                 "aabbccddee0312 at 10.0.0.1:5432 2026-11-28 00:11:22");
    has(status(pair), "\"text\":\"aabbccddee0312 at 10.0.0.1:5432 2026-11-28 00:11:22\"");
}

static void sample(struct pair *pair, uint64_t now_ns)
{
    uint64_t values[16];
    assert_true(kx_status_series(&pair->f.feed) <= 16);
    kx_snapshot_take(pair->snapshot, 10, 20);
    kx_status_sample(pair->snapshot, values);
    kx_rates_sample(pair->rates, now_ns, values);
}

static void test_rates(void **state)
{
    struct pair *pair = *state;
    assert_int_equal(kx_rates_steps(pair->rates), 0);
    assert_true(kx_rates_due_ns(pair->rates) == 0);
    sample(pair, 1000);
    assert_int_equal(kx_rates_steps(pair->rates), 0);
    assert_true(kx_rates_due_ns(pair->rates) == 1000 + 5 * KX_NS_PER_S);
    for (uint64_t i = 1; i <= 3; i++) {
        kx_count(pair->f.blocks[2], KX_C_RECEIVED, 10 * i);
        kx_count(pair->f.blocks[3], KX_C_DELIVERED, i);
        kx_count(pair->f.blocks[1], KX_C_RECORDS_EVENT, i);
        pair->f.pending[0] += 9 * i;
        /* A little late each time: the next is due at its own time all the same. */
        sample(pair, 1000 + i * 5 * KX_NS_PER_S + 7);
        assert_true(kx_rates_due_ns(pair->rates) == 1000 + (i + 1) * 5 * KX_NS_PER_S);
    }
    const char *text = status(pair);
    has(text, "\"received_each_step\":[10,20,30],\"delivered_each_step\":[1,2,3],"
              "\"pending_at_step\":[9,27,54]");
    has(text, "\"records_each_step\":[0,0,0]");
    has(text, "\"records_each_step\":[1,2,3]");
    /* Very late: one step, and the next in five seconds. */
    sample(pair, 1000 * KX_NS_PER_S);
    assert_true(kx_rates_due_ns(pair->rates) == 1005 * KX_NS_PER_S);
    assert_int_equal(kx_rates_steps(pair->rates), 4);
}

static void test_rates_are_bounded(void **state)
{
    struct pair *pair = *state;
    struct kx_rates *rates;
    (void)pair;
    assert_int_equal(kx_rates_create(&rates, 1, NULL), KX_OK);
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t value = i * i;
        kx_rates_sample(rates, i, &value);
    }
    assert_int_equal(kx_rates_steps(rates), KX_RATES_STEPS);
    for (size_t i = 0; i < KX_RATES_STEPS; i++) {
        uint64_t at = 500 - KX_RATES_STEPS + i;
        assert_int_equal(kx_rates_level(rates, 0, i), at * at);
        assert_int_equal(kx_rates_growth(rates, 0, i), at * at - (at - 1) * (at - 1));
    }
    kx_rates_destroy(rates);
    kx_rates_destroy(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_ready),           TEST(test_healthy), TEST(test_status),
        TEST(test_no_mac_in_texts), TEST(test_rates),   TEST(test_rates_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
