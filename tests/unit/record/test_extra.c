/*
 * Values out of `extra`: each type, what is absent or of another type, escapes, and objects that
 * ingest would not write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/text.h"
#include "record/extra.h"
#include <stdlib.h>
#include <string.h>

static const struct kx_extra_columns columns = {.items = {{"bssid", KX_EXTRA_TEXT},
                                                          {"channels", KX_EXTRA_INTEGER},
                                                          {"rate", KX_EXTRA_NUMBER},
                                                          {"hidden", KX_EXTRA_BOOL}},
                                                .count = 4};
enum { BSSID, CHANNELS, RATE, HIDDEN };

static struct kx_extra_value values[KX_EXTRA_COLUMNS_MAX];
static char room[KX_EXTRA_BYTES_MAX];

/* Reads an object that ends where readable memory ends, so that a step beyond is seen. */
static void read_object(const char *json, size_t length)
{
    struct kx_builder builder;
    size_t capacity = (sizeof(struct kx_device) + length + 7) / 8 * 8;
    char *memory = malloc(capacity);
    assert_non_null(memory);
    struct kx_device *device = kx_builder_device(&builder, memory, capacity);
    kx_builder_field(&builder, KX_F_EXTRA, json, length);
    assert_int_equal(kx_builder_finish(&builder), capacity);
    memset(values, 0xa5, sizeof values);
    kx_extra_read(device, &columns, values, room);
    free(memory);
}

static void read_text(const char *json)
{
    read_object(json, strlen(json));
}

static void expect_known(bool bssid, bool channels, bool rate, bool hidden)
{
    assert_int_equal(values[BSSID].known, bssid);
    assert_int_equal(values[CHANNELS].known, channels);
    assert_int_equal(values[RATE].known, rate);
    assert_int_equal(values[HIDDEN].known, hidden);
}

static void expect_bssid(const char *text)
{
    assert_true(values[BSSID].known);
    assert_int_equal(values[BSSID].length, strlen(text));
    assert_memory_equal(values[BSSID].text, text, strlen(text));
}

static void each_type(void **state)
{
    (void)state;
    read_text("{\"bssid\":\"AA:BB\",\"channels\":-3,\"rate\":1.5e3,\"hidden\":true}");
    expect_known(true, true, true, true);
    expect_bssid("AA:BB");
    assert_int_equal(values[CHANNELS].integer, -3);
    assert_true(values[RATE].number > 1499.9 && values[RATE].number < 1500.1);
    assert_true(values[HIDDEN].boolean);
    read_text("{\"hidden\":false,\"rate\":7,\"channels\":9223372036854775807,\"bssid\":\"\"}");
    expect_known(true, true, true, true); /* in any order */
    expect_bssid("");
    assert_true(values[CHANNELS].integer == INT64_MAX);
    assert_true(values[RATE].number > 6.9 && values[RATE].number < 7.1);
    assert_false(values[HIDDEN].boolean);
}

static void what_is_not_there(void **state)
{
    (void)state;
    read_text("{\"channels\":1}");
    expect_known(false, true, false, false);
    /* Keys that no column has, of every type, do not stop the walk; names are compared whole. */
    read_text("{\"x\":\"a\\\"b\",\"bssi\":\"1\",\"bssid2\":2,\"y\":true,\"z\":-1.5,\"rate\":2}");
    expect_known(false, false, true, false);
    struct kx_builder builder;
    union {
        uint64_t align;
        char bytes[512];
    } memory;
    struct kx_device *device = kx_builder_device(&builder, &memory, sizeof memory);
    assert_true(kx_builder_finish(&builder) > 0);
    memset(values, 0xa5, sizeof values);
    kx_extra_read(device, &columns, values, room);
    expect_known(false, false, false, false);
}

/* Two sources may have been started with other types than a spooled record had. */
static void another_type_is_absent(void **state)
{
    (void)state;
    read_text("{\"bssid\":1,\"channels\":\"1\",\"rate\":true,\"hidden\":1}");
    expect_known(false, false, false, false);
    read_text("{\"channels\":1.5,\"rate\":\"x\",\"hidden\":\"true\",\"bssid\":\"end\"}");
    expect_known(true, false, false, false);
    expect_bssid("end");
    read_text("{\"channels\":9223372036854775808,\"rate\":1e999,\"bssid\":\"end\"}");
    expect_known(true, false, false, false);
}

/* What base/text writes is what this reads. */
static void texts_come_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\"\\/", "\x01\x1f\x7f\t\n", "<a href='&'>",
        "gr\xc3\xbc\xc3\x9f \xe2\x80\xa8\xe2\x80\xa9 \xf0\x9f\x90\x9d",
        "\xc2\x80\xdf\xbf\xe0\xa0\x80"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct kx_buf buf;
        kx_buf_init(&buf, 1024);
        kx_buf_text(&buf, "{\"bssid\":\"");
        kx_text_json(&buf, texts[i], strlen(texts[i]));
        kx_buf_text(&buf, "\",\"channels\":4}");
        assert_false(buf.failed);
        read_object(buf.data, buf.length);
        kx_buf_fini(&buf);
        expect_known(true, true, false, false);
        expect_bssid(texts[i]);
    }
    read_text("{\"bssid\":\"a\\u0000b\\u00fc\\u07FF\\u20ac\"}");
    expect_bssid("a\xef\xbf\xbd"
                 "b\xc3\xbc\xdf\xbf\xe2\x82\xac");
}

/* The rest is absent, and nothing outside of the object is read (ASan looks on). */
static void not_as_written(void **state)
{
    (void)state;
    static const char *const objects[] = {"{\"channels\":1,\"bssid\":\"\\n\"}",
                                          "{\"channels\":1,\"bssid\":\"\\uD800\"}",
                                          "{\"channels\":1,\"bssid\":\"\\u12\"}",
                                          "{\"channels\":1,\"bssid\":\"\\u00zz\"}",
                                          "{\"channels\":1,\"bssid\":\"open",
                                          "{\"channels\":1,\"bssid\":\"\\",
                                          "{\"channels\":1,\"bssid\":{}}",
                                          "{\"channels\":1,\"x\":[],\"bssid\":\"late\"}",
                                          "{\"channels\":1,\"x\":null,\"bssid\":\"late\"}",
                                          "{\"channels\":1, \"bssid\":\"spaced\"}",
                                          "{\"channels\":1,\"bssid",
                                          "{\"channels\":1,\"bssid\"",
                                          "{\"channels\":1,\"bssid\":",
                                          "{\"channels\":1,",
                                          "{\"channels\":1"};
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        read_text(objects[i]);
        expect_known(false, true, false, false);
        assert_int_equal(values[CHANNELS].integer, 1);
    }
    static const char *const nothing[] = {"", "{", "{}", "[]", "{\"", "null", "{\"channels\":"};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        read_text(nothing[i]);
        expect_known(false, false, false, false);
    }
}

/* However often an object names a column, its texts fit the room. */
static void the_room_is_enough(void **state)
{
    (void)state;
    static const char pair[] = "\"bssid\":\"0123456789abcdef\",";
    static char json[KX_EXTRA_BYTES_MAX];
    size_t length = 1;
    json[0] = '{';
    for (; length + sizeof pair <= sizeof json; length += sizeof pair - 1)
        memcpy(json + length, pair, sizeof pair - 1);
    read_object(json, length);
    expect_bssid("0123456789abcdef");
    assert_true(values[BSSID].text + values[BSSID].length <= room + sizeof room);
    /* Tried as a text and then skipped, which is twice; ASan looks on. */
    memset(json, 'x', sizeof json);
    memcpy(json, "{\"bssid\":\"", 10);
    read_object(json, sizeof json);
    expect_known(false, false, false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type),
        cmocka_unit_test(what_is_not_there),
        cmocka_unit_test(another_type_is_absent),
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(not_as_written),
        cmocka_unit_test(the_room_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
