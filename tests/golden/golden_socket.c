/*
 * Records in, the socket sink's lines out.
 */
#include "golden.h"
#include "sinks/socket_encode.h"
#include <time.h>

static void compare(const char *name, enum kx_socket_format format, enum kx_compat compat)
{
    static char sink_name[] = "line";
    struct kx_sink_config config = {.name = sink_name, .compat = compat};
    struct kx_socket_encode line;
    struct kx_buf out;
    struct box box;
    setenv("TZ", "XXX-3:30", 1);
    tzset();
    kx_buf_init(&out, GOLDEN_BYTES_MAX);
    box_init(&box);
    golden_records(&box);
    kx_socket_encode_init(&line, &config, format, true);
    for (uint32_t i = box.batch.first; i < box.batch.end; i++)
        kx_socket_encode(&line, &out, kx_batch_record(&box.batch, i), false);
    golden_compare(name, &out);
    box_fini(&box);
    kx_buf_fini(&out);
}

static void test_json(void **state)
{
    (void)state;
    compare("socket_json.txt", KX_SOCKET_JSON, KX_COMPAT_NONE);
}

static void test_json_of_the_script(void **state)
{
    (void)state;
    compare("socket_json_script.txt", KX_SOCKET_JSON, KX_COMPAT_SCRIPT);
}

static void test_csv(void **state)
{
    (void)state;
    compare("socket_csv.txt", KX_SOCKET_CSV, KX_COMPAT_NONE);
}

static void test_csv_of_the_script(void **state)
{
    (void)state;
    compare("socket_csv_script.txt", KX_SOCKET_CSV, KX_COMPAT_SCRIPT);
}

static void test_simple(void **state)
{
    (void)state;
    compare("socket_simple.txt", KX_SOCKET_SIMPLE, KX_COMPAT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),   cmocka_unit_test(test_json_of_the_script),
        cmocka_unit_test(test_csv),    cmocka_unit_test(test_csv_of_the_script),
        cmocka_unit_test(test_simple),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
