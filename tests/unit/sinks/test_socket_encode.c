/*
 * Lines of the socket sink: quoting, formulas, what is left out, and that one record is one line.
 */
#include "records.h"
#include "sinks/socket_encode.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { T0 = 1737131445 };

static char sink_name[] = "line";

/* The line of one device with that radio, NUL-terminated; the caller frees. */
static char *line_of(enum kx_socket_format format, bool guard, const char *phy, int signal)
{
    struct kx_sink_config config = {.name = sink_name};
    struct kx_socket_encode line;
    struct kx_buf out;
    struct box box;
    kx_buf_init(&out, 1 << 20);
    box_init(&box);
    box_device(&box, &(struct device_spec){.mac = "AA:BB:CC:00:00:01",
                                           .phy = phy,
                                           .signal = signal,
                                           .last_seen = T0,
                                           .packets = 7});
    kx_socket_encode_init(&line, &config, format, guard);
    kx_socket_encode(&line, &out, kx_batch_record(&box.batch, 0), false);
    kx_buf_byte(&out, '\0');
    assert_false(out.failed);
    box_fini(&box);
    return out.data;
}

static void expect(enum kx_socket_format format, bool guard, const char *phy, const char *wanted)
{
    char *line = line_of(format, guard, phy, -45);
    assert_string_equal(line, wanted);
    free(line);
}

static void csv_quotes_where_it_must(void **state)
{
    (void)state;
#define CSV(text) "DEVICE,AA:BB:CC:00:00:01," text ",-45,7,2025-01-17T16:30:45.000000+00:00\n"
    expect(KX_SOCKET_CSV, true, "IEEE802.11", CSV("IEEE802.11"));
    expect(KX_SOCKET_CSV, true, "a,b", CSV("\"a,b\""));
    expect(KX_SOCKET_CSV, true, "\"", CSV("\"\"\"\""));
    expect(KX_SOCKET_CSV, true, "a \"b\", c", CSV("\"a \"\"b\"\", c\""));
    expect(KX_SOCKET_CSV, true, "a\r\nb\x01\x7f", CSV("a\\x0D\\x0Ab\\x01\\x7F"));
    expect(KX_SOCKET_CSV, true, "\xe2\x80\xa8", CSV("\\u2028"));
    expect(KX_SOCKET_CSV, true, NULL, CSV(""));
}

static void csv_disarms_formulas(void **state)
{
    (void)state;
    expect(KX_SOCKET_CSV, true, "=1+1", CSV("'=1+1"));
    expect(KX_SOCKET_CSV, true, "+1", CSV("'+1"));
    expect(KX_SOCKET_CSV, true, "-1", CSV("'-1"));
    expect(KX_SOCKET_CSV, true, "@SUM(1)", CSV("'@SUM(1)"));
    expect(KX_SOCKET_CSV, true, "=HYPERLINK(\"x\",1)", CSV("\"'=HYPERLINK(\"\"x\"\",1)\""));
    expect(KX_SOCKET_CSV, true, "\t=1", CSV("\\x09=1"));
    expect(KX_SOCKET_CSV, false, "=1+1", CSV("=1+1"));
}

static void simple_keeps_its_bars(void **state)
{
    (void)state;
#define SIMPLE(text) "DEVICE|AA:BB:CC:00:00:01|" text "|-45|7\n"
    expect(KX_SOCKET_SIMPLE, true, "IEEE802.11", SIMPLE("IEEE802.11"));
    expect(KX_SOCKET_SIMPLE, true, "a|b|", SIMPLE("a\\x7Cb\\x7C"));
    expect(KX_SOCKET_SIMPLE, true, "=1,\"x\"", SIMPLE("=1,\"x\""));
    expect(KX_SOCKET_SIMPLE, true, "a\nDEVICE|x", SIMPLE("a\\x0ADEVICE\\x7Cx"));
}

static void unknown_is_empty(void **state)
{
    (void)state;
    char *line = line_of(KX_SOCKET_SIMPLE, true, NULL, 0);
    assert_string_equal(line, "DEVICE|AA:BB:CC:00:00:01|||7\n");
    free(line);
}

/* Whatever a name holds: one line, in every format. */
static void hostile_names_are_one_line(void **state)
{
    (void)state;
    struct kx_sink_config config = {.name = sink_name};
    struct box box;
    box_init(&box);
    for (size_t i = 0; i < HOSTILE_NAMES; i++) {
        box_device(&box, &(struct device_spec){.mac = "AA:BB:CC:00:00:01",
                                               .name = hostile_names[i],
                                               .phy = hostile_names[i],
                                               .last_seen = T0});
        box_event(&box, &(struct event_spec){.type = hostile_names[i],
                                             .source = hostile_names[i],
                                             .key = hostile_names[i],
                                             .time_ns = T0});
    }
    for (int format = KX_SOCKET_JSON; format <= KX_SOCKET_SIMPLE; format++) {
        struct kx_socket_encode line;
        kx_socket_encode_init(&line, &config, (enum kx_socket_format)format, true);
        for (uint32_t i = 0; i < box.batch.end; i++) {
            struct kx_buf out;
            kx_buf_init(&out, 1 << 20);
            kx_socket_encode(&line, &out, kx_batch_record(&box.batch, i), false);
            assert_false(out.failed);
            assert_ptr_equal(memchr(out.data, '\n', out.length), out.data + out.length - 1);
            for (size_t k = 0; k + 1 < out.length; k++)
                assert_true((unsigned char)out.data[k] >= 0x20 && out.data[k] != 0x7f);
            kx_buf_fini(&out);
        }
    }
    box_fini(&box);
}

static void brief_leaves_out_extra(void **state)
{
    (void)state;
    struct kx_sink_config config = {.name = sink_name};
    struct kx_socket_encode line;
    struct kx_buf whole, brief;
    struct box box;
    kx_buf_init(&whole, 1 << 20);
    kx_buf_init(&brief, 1 << 20);
    box_init(&box);
    box_device(&box, &(struct device_spec){
                         .mac = "AA:BB:CC:00:00:01", .extra = "{\"a\":1}", .last_seen = T0});
    kx_socket_encode_init(&line, &config, KX_SOCKET_JSON, true);
    kx_socket_encode(&line, &whole, kx_batch_record(&box.batch, 0), false);
    kx_socket_encode(&line, &brief, kx_batch_record(&box.batch, 0), true);
    assert_non_null(memmem(whole.data, whole.length, ",\"extra\":{\"a\":1}}", 17));
    assert_null(memmem(brief.data, brief.length, "extra", 5));
    assert_int_equal(brief.length + strlen(",\"extra\":{\"a\":1}"), whole.length);
    box_fini(&box);
    kx_buf_fini(&whole);
    kx_buf_fini(&brief);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_quotes_where_it_must),   cmocka_unit_test(csv_disarms_formulas),
        cmocka_unit_test(simple_keeps_its_bars),      cmocka_unit_test(unknown_is_empty),
        cmocka_unit_test(hostile_names_are_one_line), cmocka_unit_test(brief_leaves_out_extra),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
