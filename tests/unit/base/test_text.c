/* Strangers' text: everything short or rare against Python's decoder by digest, the well-known
 * cases by hand, MACs and word distances. */
#include "base/text.h"

#include "base/buf.h"
#include "base/hash.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 32, DIGEST_BYTES_MAX = 64 << 20 };

/* What the four functions make of many texts, a line each. */
struct outputs {
    struct kx_buf valid, repair, terminal, json;
    /* Texts stand against the end of a heap block, so that ASan sees a read behind them; so does
     * the room that repair may fill. */
    char *text_end, *out_end;
};

static int setup(void **state)
{
    struct outputs *outputs = calloc(1, sizeof *outputs);
    if (outputs == NULL)
        return -1;
    char *text = malloc(TEXT_MAX);
    char *out = malloc(3 * TEXT_MAX);
    outputs->text_end = text + TEXT_MAX;
    outputs->out_end = out + 3 * TEXT_MAX;
    kx_buf_init(&outputs->valid, DIGEST_BYTES_MAX);
    kx_buf_init(&outputs->repair, DIGEST_BYTES_MAX);
    kx_buf_init(&outputs->terminal, DIGEST_BYTES_MAX);
    kx_buf_init(&outputs->json, DIGEST_BYTES_MAX);
    *state = outputs;
    return text != NULL && out != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    struct outputs *outputs = *state;
    free(outputs->text_end - TEXT_MAX);
    free(outputs->out_end - 3 * TEXT_MAX);
    kx_buf_fini(&outputs->valid);
    kx_buf_fini(&outputs->repair);
    kx_buf_fini(&outputs->terminal);
    kx_buf_fini(&outputs->json);
    free(outputs);
    return 0;
}

static void take(struct outputs *outputs, const char *bytes, size_t length)
{
    char *text = outputs->text_end - length;
    memcpy(text, bytes, length);
    size_t valid = kx_text_utf8_valid(text, length);
    kx_buf_u64(&outputs->valid, valid);
    kx_buf_byte(&outputs->valid, '\n');

    char *out = outputs->out_end - 3 * length;
    size_t repairs = 99;
    size_t repaired = kx_text_utf8_repair(text, length, out, &repairs);
    kx_buf_bytes(&outputs->repair, out, repaired);
    kx_buf_byte(&outputs->repair, '\n');
    /* Called a million times: cmocka is asked only when there is something to say. */
    if ((repairs == 0) != (valid == length) || kx_text_utf8_valid(out, repaired) != repaired)
        fail_msg("valid %zu of %zu, %zu repairs", valid, length, repairs);

    kx_text_terminal(&outputs->terminal, text, length);
    kx_buf_byte(&outputs->terminal, '\n');
    kx_text_json(&outputs->json, text, length);
    kx_buf_byte(&outputs->json, '\n');
}

static void expect_digest(struct kx_buf *buf, const char *expected)
{
    uint8_t hash[32];
    char text[65];
    assert_false(buf->failed);
    kx_hash_sha256(&(struct kx_hash_part){buf->data, buf->length}, 1, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    assert_string_equal(text, expected);
}

/* A short text number i, with i % 9 letters before and i % 10 behind: each offset in a word. */
static void take_padded(struct outputs *outputs, size_t i, const unsigned char *part, size_t length)
{
    char text[TEXT_MAX];
    size_t before = i % 9;
    size_t behind = i % 10;
    memset(text, 'a', before);
    memcpy(text + before, part, length);
    memset(text + before + length, 'z', behind);
    take(outputs, text, before + length + behind);
}

/* The digests are printed by text_digests.py, which goes through the same texts. */
static void test_short_texts_as_python(void **state)
{
    static const unsigned char edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                          0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                          0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    struct outputs *outputs = *state;
    size_t i = 0;
    unsigned char part[4] = {0};
    take_padded(outputs, i++, part, 0);
    for (unsigned a = 0; a < 256; a++) {
        part[0] = (unsigned char)a;
        take_padded(outputs, i++, part, 1);
    }
    for (unsigned pair = 0; pair < 65536; pair++) {
        part[0] = (unsigned char)(pair >> 8);
        part[1] = (unsigned char)pair;
        take_padded(outputs, i++, part, 2);
    }
    for (size_t length = 3; length <= 4; length++) {
        size_t count = sizeof edges * sizeof edges * sizeof edges;
        if (length == 4)
            count *= sizeof edges;
        for (size_t n = 0; n < count; n++) {
            size_t rest = n;
            for (size_t at = length; at-- > 0; rest /= sizeof edges)
                part[at] = edges[rest % sizeof edges];
            take_padded(outputs, i++, part, length);
        }
    }
    expect_digest(&outputs->valid,
                  "7f603557f3b5cf2c8c0bdebb949af00a403347e6aa7e04ce197824500cae2a08");
    expect_digest(&outputs->repair,
                  "880b14d1e7d0ba14fb4e39c1fc7d02f22c5a7ab180e71a24a92da1a0d8dda044");
    expect_digest(&outputs->terminal,
                  "56cdaabc96210a2416be1683021393d08d79ae91f0836ee328f1a2a27ade321b");
    expect_digest(&outputs->json,
                  "e9d506c4c3bff904c087f3004a1667cb7ce6096a77b069a71875d3c5c51511de");
}

static void test_every_code_point_as_python(void **state)
{
    struct outputs *outputs = *state;
    for (unsigned point = 0; point < 0x110000; point++) { /* surrogates too, which are ill-formed */
        unsigned char text[4];
        size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        unsigned rest = point;
        for (size_t at = length; at-- > 1; rest >>= 6)
            text[at] = (unsigned char)(0x80 | (rest & 0x3f));
        text[0] = (unsigned char)(length == 1 ? rest : (0xf00u >> length & 0xff) | rest);
        take(outputs, (const char *)text, length);
    }
    expect_digest(&outputs->valid,
                  "6f21c8075696dbab3f9ec68af184dc5df949da0f5be790a9198b2f6ccf1d8304");
    expect_digest(&outputs->repair,
                  "54263faa1a72152d8691f90779d85003bcb8933db6b13d5ecbf94421b9249f64");
    expect_digest(&outputs->terminal,
                  "9c6f3701ad3c9621a0d3c0cc52e38dd413fdba7575bc436d2e5ab06f0f3c11fc");
    expect_digest(&outputs->json,
                  "f211cc5af4f8958a6f95c830d14591d5c48f67ad0360f5edde1068099c96b487");
}

#define FFFD "\xef\xbf\xbd"

/* The ones that decoders get wrong, in the open. */
static void test_repair(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *repaired;
        size_t repairs;
    } rows[] = {
        {"", "", 0},
        {"plain ASCII, longer than a word", "plain ASCII, longer than a word", 0},
        {"caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80", 0},
        {"\xc0\x80", FFFD FFFD, 2},                   /* overlong NUL */
        {"\xe0\x80\xaf", FFFD FFFD FFFD, 3},          /* overlong slash */
        {"\xed\xa0\x80", FFFD FFFD FFFD, 3},          /* surrogate */
        {"\xf5\x80\x80\x80", FFFD FFFD FFFD FFFD, 4}, /* no such lead */
        {"\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD, 4}, /* above U+10FFFF */
        {"\xe2\x82", FFFD, 1},                        /* cut off: one part */
        {"\xf0\x9f\x98", FFFD, 1},                    /* cut off: one part */
        {"\xf0\x9f\x98x", FFFD "x", 1},               /* and the x survives */
        {"\xe2\x82\xe2\x82\xac", FFFD "\xe2\x82\xac", 1},
        {"\xff\xfe", FFFD FFFD, 2},
        {"12345678\x80zzzzzzzzz", "12345678" FFFD "zzzzzzzzz", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[128];
        size_t repairs = 99;
        size_t length = strlen(rows[i].text);
        size_t written = kx_text_utf8_repair(rows[i].text, length, out, &repairs);
        assert_int_equal(written, strlen(rows[i].repaired));
        assert_memory_equal(out, rows[i].repaired, written);
        assert_int_equal(repairs, rows[i].repairs);
        assert_int_equal(kx_text_utf8_repair(rows[i].text, length, out, NULL), written);
    }
    assert_int_equal(kx_text_utf8_valid("ab\xe2\x82", 4), 2);
    assert_int_equal(kx_text_utf8_valid("12345678abc\xff", 12), 11);
    assert_int_equal(kx_text_utf8_valid(NULL, 0), 0);
}

static void test_cut(void **state)
{
    (void)state;
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"; /* 1 2 3 4 1 bytes */
    static const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t limit = 0; limit < sizeof cuts / sizeof cuts[0]; limit++)
        assert_int_equal(kx_text_utf8_cut(text, 11, limit), cuts[limit]);
    /* Not UTF-8: no boundary, but never more than the limit, and never far below it. */
    assert_int_equal(kx_text_utf8_cut("\x80\x80\x80\x80\x80\x80\x80", 7, 5), 5);
    assert_int_equal(kx_text_utf8_cut("a\x80\x80\x80\x80\x80\x80", 7, 6), 6);
    assert_int_equal(kx_text_utf8_cut("\x80\x80", 2, 1), 1);
    assert_int_equal(kx_text_utf8_cut("\x80\x80", 2, 0), 0);
    assert_int_equal(kx_text_utf8_cut("", 0, 0), 0);
}

static void expect_terminal(const char *text, size_t length, const char *expected)
{
    struct kx_buf buf = {.limit = 4096};
    kx_text_terminal(&buf, text, length);
    assert_false(buf.failed);
    assert_int_equal(buf.length, strlen(expected));
    assert_memory_equal(buf.data, expected, buf.length);
    kx_buf_fini(&buf);
}

static void test_terminal(void **state)
{
    (void)state;
#define TEXT(literal) literal, sizeof(literal) - 1
    expect_terminal(TEXT("harmless \\x1B caf\xc3\xa9 \xf0\x9f\x98\x80"),
                    "harmless \\x1B caf\xc3\xa9 \xf0\x9f\x98\x80");
    expect_terminal(TEXT("a\x1b[2Jb"), "a\\x1B[2Jb");
    expect_terminal(TEXT("a\0b\r\n\t\x7f"), "a\\x00b\\x0D\\x0A\\x09\\x7F");
    expect_terminal(TEXT("\xc2\x9b"
                         "2J\xc2\x85\xc2\xa0"),
                    "\\u009B2J\\u0085\xc2\xa0");
    expect_terminal(TEXT("\x9b"
                         "2J"),
                    FFFD "2J");
    expect_terminal(TEXT("x\xe2\x80\xaey\xe2\x81\xa6\xe2\x80\x8f\xd8\x9c"),
                    "x\\u202Ey\\u2066\\u200F\\u061C");
    expect_terminal(TEXT("\xef\xbb\xbf\xe2\x80\x8b\xe2\x80\x8d\xe2\x80\xa8"),
                    "\\uFEFF\\u200B\\u200D\\u2028");
    expect_terminal(TEXT("\xf3\xa0\x80\x81\xf3\xa0\x81\xbf"), "\\U000E0001\\U000E007F");
    expect_terminal(TEXT("\xe2\x82"), FFFD);
    expect_terminal("", 0, "");
}

static void test_json(void **state)
{
    (void)state;
    struct kx_buf buf = {.limit = 4096};
    kx_text_json(&buf,
                 TEXT("say \"hi\" \\ <b>&\n\x01\x7f \xe2\x80\xa8\xe2\x80\xa9 caf\xc3\xa9 \xff."));
    static const char expected[] =
        "say \\\"hi\\\" \\\\ \\u003Cb\\u003E\\u0026\\u000A\\u0001\\u007F "
        "\\u2028\\u2029 caf\xc3\xa9 " FFFD ".";
    assert_int_equal(buf.length, sizeof expected - 1);
    assert_memory_equal(buf.data, expected, buf.length);
    kx_buf_fini(&buf);
}

/* What a terminal would obey is an escape of JSON's own; the document stays the same. */
static void test_json_terminal(void **state)
{
    (void)state;
    struct kx_buf buf = {.limit = 4096};
    kx_text_json_terminal(
        &buf,
        TEXT("{\"a\":\"<\\u001b \xe2\x80\xae \x7f \xc2\x9b caf\xc3\xa9 \xff \xf3\xa0\x80\x81\"}"));
    static const char expected[] =
        "{\"a\":\"<\\u001b \\u202E \\u007F \\u009B caf\xc3\xa9 " FFFD " \\uDB40\\uDC01\"}";
    assert_int_equal(buf.length, sizeof expected - 1);
    assert_memory_equal(buf.data, expected, buf.length);
    kx_buf_fini(&buf);
}

/* One special byte at each place of 40, among harmless ones: none is jumped over. */
static void test_specials_at_every_place(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 0x80; byte++) {
        for (size_t place = 0; place < 40; place++) {
            char text[40];
            memset(text, '=', sizeof text);
            text[place] = (char)byte;
            struct kx_buf terminal = {.limit = 256};
            struct kx_buf json = {.limit = 256};
            kx_text_terminal(&terminal, text, sizeof text);
            kx_text_json(&json, text, sizeof text);
            size_t shown = byte < 0x20 || byte == 0x7f ? 4 : 1;
            size_t quoted = byte == '"' || byte == '\\' ? 2 : shown == 4 ? 6 : 1;
            if (byte != 0 && strchr("<>&", (int)byte) != NULL)
                quoted = 6;
            assert_int_equal(terminal.length, 39 + shown);
            assert_int_equal(json.length, 39 + quoted);
            assert_int_equal(terminal.data[place], shown == 1 ? (char)byte : '\\');
            assert_int_equal(json.data[place], quoted == 1 ? (char)byte : '\\');
            kx_buf_fini(&terminal);
            kx_buf_fini(&json);
        }
    }
}

static void test_filters_obey_the_limit(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 12; limit++) {
        struct kx_buf buf = {.limit = limit};
        kx_text_terminal(&buf, "ab\ncdefg", 8); /* 11 bytes */
        assert_int_equal(buf.failed, limit < 11);
        assert_true(buf.length <= limit);
        kx_buf_clear(&buf);
        kx_text_json(&buf, "ab\"cd<", 6); /* 12 bytes */
        assert_true(buf.failed);
        kx_buf_fini(&buf);
    }
}

static void test_mac(void **state)
{
    (void)state;
    static const char *good[] = {"AA:BB:CC:DD:0E:9F", "aa:bb:cc:dd:0e:9f", "aA-Bb-cC-dD-0e-9F",
                                 "AABBCCDD0E9f"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t mac = 0;
        assert_true(kx_text_mac(good[i], strlen(good[i]), &mac));
        assert_int_equal(mac, 0xaabbccdd0e9f);
    }
    uint64_t zero = 1;
    assert_true(kx_text_mac("00:00:00:00:00:00", 17, &zero));
    assert_int_equal(zero, 0);

    static const char *bad[] = {
        "",
        "AA",
        "AA:BB:CC:DD:EE",
        "AA:BB:CC:DD:EE:F",
        "AA:BB:CC:DD:EE:FF:",
        "AA:BB:CC:DD:EE:FF:00",
        "AA:BB-CC:DD:EE:FF",
        "AA:BB:CC:DD:EE-FF",
        "AA.BB.CC.DD.EE.FF",
        "AABBCCDDEEFG",
        "AABBCCDDEEF",
        "AABBCCDDEEFFF",
        "AA:BB:CC:DD:EE:F ",
        "/A:BB:CC:DD:EE:FF",
        "AA:B@:CC:DD:EE:FF",
        "AA:BB:C`:DD:EE:FF",
        "AA:BB:CC:DD:EE:\xc3\xa9",
        "00:11:22:33:44:5:",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t mac = 4711;
        assert_false(kx_text_mac(bad[i], strlen(bad[i]), &mac));
        assert_int_equal(mac, 4711);
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[] = "000000000000";
        uint64_t mac = 0;
        text[11] = (char)byte;
        bool digit = byte != 0 && strchr("0123456789abcdefABCDEF", (int)byte) != NULL;
        assert_int_equal(kx_text_mac(text, 12, &mac), digit);
        if (digit)
            assert_int_equal(mac, strtoul((char[]){(char)byte, 0}, NULL, 16));
    }
}

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},
        {"a", "", 1},
        {"host", "host", 0},
        {"hots", "host", 2},
        {"kitten", "sitting", 3},
        {"flaw", "lawn", 2},
        {"batch", "bath", 1},
        {"bath", "batch", 1},
        {"xhost", "host", 1},
        {"abc", "xyz", 3},
        {"intention", "execution", 5},
        {"abcd", "cdab", 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t limit = 0; limit < 9; limit++) {
            size_t expected = rows[i].distance <= limit ? rows[i].distance : limit + 1;
            assert_int_equal(kx_text_distance(rows[i].a, rows[i].b, limit), expected);
            assert_int_equal(kx_text_distance(rows[i].b, rows[i].a, limit), expected);
        }
    }
    char longest[KX_TEXT_WORD_MAX + 2];
    memset(longest, 'w', sizeof longest);
    longest[KX_TEXT_WORD_MAX] = '\0';
    assert_int_equal(kx_text_distance(longest, longest, 2), 0);
    assert_int_equal(kx_text_distance(longest + 1, longest, 2), 1);
    longest[KX_TEXT_WORD_MAX] = 'w';
    longest[KX_TEXT_WORD_MAX + 1] = '\0';
    assert_int_equal(kx_text_distance(longest, longest, 2), 3);
    assert_int_equal(kx_text_distance(longest, longest + 1, 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_short_texts_as_python, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_code_point_as_python, setup, teardown),
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_terminal),
        cmocka_unit_test(test_specials_at_every_place),
        cmocka_unit_test(test_filters_obey_the_limit),
        cmocka_unit_test(test_mac),
        cmocka_unit_test(test_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
