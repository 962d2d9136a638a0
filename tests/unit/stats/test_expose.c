/* The exposition formats: shape, escaping, sums over threads; families stand together, once. */
#include "feeding.h"
#include "stats/expose.h"

#include <stdlib.h>

struct pair {
    struct feeding f;
    struct kx_snapshot *snapshot;
    struct kx_buf out;
};

static int setup(void **state)
{
    static struct pair pair;
    feeding_init(&pair.f, "ga\"rd\\en\nx");
    assert_int_equal(kx_snapshot_create(&pair.snapshot, &pair.f.feed, 5, NULL), KX_OK);
    kx_buf_init(&pair.out, 1 << 20);
    *state = &pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;
    kx_buf_fini(&pair->out);
    kx_snapshot_destroy(pair->snapshot);
    feeding_fini(&pair->f);
    return 0;
}

static const char *expose(struct pair *pair, enum kx_exposition format)
{
    kx_snapshot_take(pair->snapshot, 10, 20);
    kx_buf_clear(&pair->out);
    kx_expose(&pair->out, pair->snapshot, format);
    kx_buf_byte(&pair->out, '\0');
    assert_false(pair->out.failed);
    return pair->out.data;
}

static void has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("there is no %s", line);
}

static size_t times(const char *text, const char *words)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
        count++;
    return count;
}

static void test_text(void **state)
{
    struct pair *pair = *state;
    kx_count(pair->f.blocks[0], KX_C_FRAMES_REST, 7);
    kx_count(pair->f.blocks[4], KX_C_DROPPED_GONE, 5);
    kx_count(pair->f.blocks[5], KX_C_SENDER_DROPPED_GONE, 6);
    pair->f.pending[1] = 3;
    const char *text = expose(pair, KX_EXPOSE_TEXT);
    has(text, "# HELP kismet_export_frames_total WebSocket messages received\n"
              "# TYPE kismet_export_frames_total counter\n"
              "kismet_export_frames_total{source=\"attic\",kind=\"monitor\"} 0\n");
    has(text, "\nkismet_export_frames_total{source=\"attic\",kind=\"rest\"} 7\n");
    has(text, "\nkismet_export_frames_total{source=\"ga\\\"rd\\\\en\\nx\",kind=\"rest\"} 0\n");
    /* Two threads of one sink under one name. */
    has(text, "\nkismet_export_records_dropped_total{sink=\"lines\",reason=\"sink_gone\"} 11\n");
    assert_int_equal(times(text, "{sink=\"lines\",reason=\"sink_gone\"}"), 1);
    has(text, "\nkismet_export_records_pending{sink=\"lines\"} 3\n");
    has(text, "\nkismet_export_tls_insecure{source=\"attic\"} 0\n");
    has(text, "\nkismet_export_thread_late_seconds{thread=\"w:db\"} 0\n");
    has(text, "\nkismet_export_build_info{version=\"");
    assert_int_equal(times(text, "kismet_export_clock_skew_seconds{"), 0); /* not known */
    assert_int_equal(times(text, "# EOF"), 0);
}

static void test_histogram(void **state)
{
    struct pair *pair = *state;
    kx_histogram_observe(pair->f.histograms[0], KX_H_LATENCY, 150000, 2);       /* 0.15 ms */
    kx_histogram_observe(pair->f.histograms[0], KX_H_LATENCY, 200000000000, 1); /* 200 s */
    const char *text = expose(pair, KX_EXPOSE_TEXT);
    has(text, "# TYPE kismet_export_delivery_latency_seconds histogram\n");
    has(text, "\nkismet_export_delivery_latency_seconds_bucket{sink=\"db\",le=\"0.0001\"} 0\n"
              "kismet_export_delivery_latency_seconds_bucket{sink=\"db\",le=\"0.0002\"} 2\n");
    has(text, "{sink=\"db\",le=\"1\"} 2\n");
    has(text, "{sink=\"db\",le=\"100\"} 2\n"
              "kismet_export_delivery_latency_seconds_bucket{sink=\"db\",le=\"+Inf\"} 3\n"
              "kismet_export_delivery_latency_seconds_sum{sink=\"db\"} 200.0003\n"
              "kismet_export_delivery_latency_seconds_count{sink=\"db\"} 3\n");
}

static void test_open_metrics(void **state)
{
    struct pair *pair = *state;
    const char *text = expose(pair, KX_EXPOSE_OPENMETRICS);
    has(text, "# TYPE kismet_export_frames counter\n"
              "kismet_export_frames_total{source=\"attic\",kind=\"monitor\"} 0\n");
    has(text, "{sink=\"db\",le=\"1.0\"} 0\n");
    has(text, "{sink=\"db\",le=\"0.001\"} 0\n");
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    assert_int_equal(times(text, "# EOF"), 1);
    assert_non_null(strstr(kx_expose_content_type(KX_EXPOSE_OPENMETRICS), "version=1.0.0"));
    assert_non_null(strstr(kx_expose_content_type(KX_EXPOSE_TEXT), "version=0.0.4"));
}

/* No family twice, no series twice, and the series of a family behind its head. */
static void test_families(void **state)
{
    struct pair *pair = *state;
    char *text = strdup(expose(pair, KX_EXPOSE_TEXT));
    char *lines[4096];
    size_t count = 0;
    assert_non_null(text);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL && count < 4096;)
        lines[count++] = line;
    const char *family = "";
    for (size_t i = 0; i + 1 < count; i++) {
        for (size_t j = 0; j < i; j++)
            if (strcmp(lines[i], lines[j]) == 0)
                fail_msg("twice: %s", lines[i]);
        if (strncmp(lines[i], "# HELP ", 7) == 0)
            family = lines[i] + 7;
        else if (lines[i][0] != '#')
            assert_int_equal(strncmp(lines[i], family, strcspn(family, " ")), 0);
    }
    free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_text),
        TEST(test_histogram),
        TEST(test_open_metrics),
        TEST(test_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
