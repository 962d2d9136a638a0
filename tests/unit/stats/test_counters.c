/* Counters: the table that counters.def spells, and a block under its writer and a reader. */
#include "stats/counters.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

static bool is_name(const char *name)
{
    return name[0] != '\0' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

/* What Prometheus and the frozen names ask of each row. */
static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < KX_COUNTERS; i++) {
        const struct kx_counter_info *row = &kx_counter_infos[i];
        assert_non_null(row->metric);
        assert_true(row->scope <= KX_SCOPE_SENDER);
        assert_true(is_name(row->metric));
        assert_true(strlen(row->metric) > 6);
        assert_string_equal(row->metric + strlen(row->metric) - 6, "_total");
        assert_int_equal(row->label[0] == '\0', row->value[0] == '\0');
        if (row->label[0] != '\0') {
            assert_true(is_name(row->label));
            assert_true(is_name(row->value));
        }
    }
}

/* A metric's first row carries its help, the others none; within a scope its rows stand together,
 * share a label and differ in its value. */
static void test_rows_of_a_metric(void **state)
{
    (void)state;
    for (size_t i = 0; i < KX_COUNTERS; i++) {
        const struct kx_counter_info *row = &kx_counter_infos[i];
        bool first = true;
        for (size_t j = 0; j < i; j++) {
            const struct kx_counter_info *earlier = &kx_counter_infos[j];
            if (strcmp(earlier->metric, row->metric) != 0)
                continue;
            first = false;
            assert_string_equal(earlier->label, row->label);
            assert_string_not_equal(row->label, "");
            if (earlier->scope == row->scope) {
                assert_string_not_equal(earlier->value, row->value);
                assert_string_equal(kx_counter_infos[i - 1].metric, row->metric);
            }
        }
        assert_int_equal(row->help[0] != '\0', first);
    }
}

static void test_rows_are_where_the_enum_says(void **state)
{
    (void)state;
    assert_string_equal(kx_counter_infos[KX_C_FRAMES_MONITOR].metric, "frames_total");
    assert_string_equal(kx_counter_infos[KX_C_FRAMES_MONITOR].value, "monitor");
    assert_int_equal(kx_counter_infos[KX_C_FRAMES_MONITOR].scope, KX_SCOPE_SOURCE);
    assert_string_equal(kx_counter_infos[KX_C_RECEIVED].metric, "records_received_total");
    assert_int_equal(kx_counter_infos[KX_C_RECEIVED].scope, KX_SCOPE_WORKER);
    assert_string_equal(kx_counter_infos[KX_C_DELIVERED].metric, "records_delivered_total");
    assert_int_equal(kx_counter_infos[KX_C_DELIVERED].scope, KX_SCOPE_SENDER);
    assert_int_equal(kx_counter_infos[KX_C_RECORD_TOO_BIG].scope, KX_SCOPE_PROCESS);
}

static void test_block(void **state)
{
    (void)state;
    struct kx_counters *a = kx_counters_create();
    struct kx_counters *b = kx_counters_create();
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal((uintptr_t)a % 128, 0);
    assert_int_equal((uintptr_t)b % 128, 0);
    assert_int_equal(sizeof *a % 128, 0); /* so that no neighbour shares its last line */
    for (int i = 0; i < KX_COUNTERS; i++) {
        assert_int_equal(kx_counter_get(a, (enum kx_counter)i), 0);
        kx_count(a, (enum kx_counter)i, (uint64_t)i + 1);
        kx_count(a, (enum kx_counter)i, 1);
    }
    for (int i = 0; i < KX_COUNTERS; i++) {
        assert_int_equal(kx_counter_get(a, (enum kx_counter)i), i + 2);
        assert_int_equal(kx_counter_get(b, (enum kx_counter)i), 0);
    }
    kx_count(b, KX_C_BYTES, UINT64_MAX);
    assert_int_equal(kx_counter_get(b, KX_C_BYTES), UINT64_MAX);
    kx_count(b, KX_C_BYTES, 3); /* wraps, as Prometheus expects of a counter that began anew */
    assert_int_equal(kx_counter_get(b, KX_C_BYTES), 2);
    kx_counters_destroy(a);
    kx_counters_destroy(b);
    kx_counters_destroy(NULL);
}

enum { COUNTS = 200000 };

static void *count_many(void *counters)
{
    for (int i = 0; i < COUNTS; i++)
        kx_count(counters, KX_C_DELIVERED, 2);
    return NULL;
}

static void test_a_reader_beside_the_writer(void **state)
{
    (void)state;
    struct kx_counters *counters = kx_counters_create();
    assert_non_null(counters);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, count_many, counters), 0);
    uint64_t seen = 0;
    bool good = true;
    for (int i = 0; i < COUNTS; i++) {
        uint64_t now = kx_counter_get(counters, KX_C_DELIVERED);
        good = good && now >= seen && now % 2 == 0;
        seen = now;
    }
    pthread_join(writer, NULL);
    assert_true(good);
    assert_int_equal(kx_counter_get(counters, KX_C_DELIVERED), 2 * COUNTS);
    kx_counters_destroy(counters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_of_a_metric),
        cmocka_unit_test(test_rows_are_where_the_enum_says),
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_a_reader_beside_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
