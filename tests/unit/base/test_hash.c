/* Hashes against their authors' vectors; random bytes as far as a test can judge them. */
#include "base/hash.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* SipHash-2-4 of 00, 00 01, ... under the key 00 01 .. 0f, as the paper's authors publish them; the
 * one of 15 bytes is worked out in its appendix. */
static const uint64_t sip_vectors[64] = {
    0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
    0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
    0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
    0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
    0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
    0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
    0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad,
    0xde4daaaca71dc9a5, 0xa6a2506687956571, 0xad87a3535c49ef28, 0x32d892fad841c342,
    0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
    0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
    0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95,
    0xf935451de4f21df2, 0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
    0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72, 0xa192d576b245165a,
    0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea, 0x245731c13ca42499,
    0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
    0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572};

static const struct kx_hash_key sip_key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

static void test_sip_vectors(void **state)
{
    (void)state;
    unsigned char room[80];
    /* At every offset: no alignment is asked for. */
    for (size_t offset = 0; offset < 8; offset++) {
        for (size_t i = 0; i < 64; i++)
            room[offset + i] = (unsigned char)i;
        for (size_t length = 0; length < 64; length++)
            assert_int_equal(kx_hash_sip(&sip_key, room + offset, length), sip_vectors[length]);
    }
    assert_int_equal(kx_hash_sip(&sip_key, NULL, 0), sip_vectors[0]);
}

static void test_sip_of_long_input(void **state)
{
    (void)state;
    /* By OpenSSL's SipHash; the length counts modulo 256. */
    unsigned char bytes[1000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(kx_hash_sip(&sip_key, bytes, 200), 0x10849fe512591651);
    assert_int_equal(kx_hash_sip(&sip_key, bytes, 256), 0x999d0526d2a7bfd7);
    assert_int_equal(kx_hash_sip(&sip_key, bytes, 1000), 0xdb9b3ed69e31c9a6);

    unsigned char zeros[512] = {0};
    assert_int_not_equal(kx_hash_sip(&sip_key, zeros, 256), kx_hash_sip(&sip_key, zeros, 0));
    assert_int_not_equal(kx_hash_sip(&sip_key, zeros, 256), kx_hash_sip(&sip_key, zeros, 512));
    struct kx_hash_key other = {sip_key.k0, sip_key.k1 ^ 1};
    assert_int_not_equal(kx_hash_sip(&sip_key, zeros, 9), kx_hash_sip(&other, zeros, 9));
    other = (struct kx_hash_key){sip_key.k0 ^ 1, sip_key.k1};
    assert_int_not_equal(kx_hash_sip(&sip_key, zeros, 9), kx_hash_sip(&other, zeros, 9));
}

static void expect_sha256(const struct kx_hash_part *parts, size_t count, const char *expected)
{
    uint8_t out[32];
    char text[65];
    kx_hash_sha256(parts, count, out);
    for (size_t i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", out[i]);
    assert_string_equal(text, expected);
}

/* FIPS 180-4's examples. */
static void test_sha256(void **state)
{
    (void)state;
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    static const char none[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    expect_sha256(NULL, 0, none);
    expect_sha256(&(struct kx_hash_part){"", 0}, 1, none);
    expect_sha256(&(struct kx_hash_part){"abc", 3}, 1, abc);
    expect_sha256((struct kx_hash_part[]){{"a", 1}, {"", 0}, {"bc", 2}}, 3, abc);
    expect_sha256(
        &(struct kx_hash_part){"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56}, 1,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    static char as[1000];
    memset(as, 'a', sizeof as);
    struct kx_hash_part parts[1000];
    for (size_t i = 0; i < 1000; i++)
        parts[i] = (struct kx_hash_part){as, sizeof as};
    expect_sha256(parts, 1000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void *hash_many(void *unused)
{
    (void)unused;
    uint8_t first[32];
    kx_hash_sha256(&(struct kx_hash_part){"abc", 3}, 1, first);
    for (int i = 0; i < 1000; i++) {
        uint8_t out[32];
        kx_hash_sha256(&(struct kx_hash_part){"abc", 3}, 1, out);
        if (memcmp(out, first, sizeof out) != 0)
            return NULL;
    }
    return first[0] == 0xba && first[31] == 0xad ? (void *)1 : NULL;
}

static void test_sha256_in_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_many, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        void *good = NULL;
        pthread_join(threads[i], &good);
        assert_non_null(good);
    }
}

static bool kernel_is_stingy;

/* In place of the C library's: a kernel that is interrupted and gives seven bytes at a time. */
ssize_t getrandom(void *out, size_t length, unsigned flags)
{
    static unsigned calls;
    if (!kernel_is_stingy)
        return syscall(SYS_getrandom, out, length, flags);
    if (calls++ % 3 == 0) {
        errno = EINTR;
        return -1;
    }
    size_t given = length < 7 ? length : 7;
    memset(out, 0x77, given);
    return (ssize_t)given;
}

/* Every bit of up to 40 bytes, and every length, makes another hash, under every key. */
/* RFC 4231, cases 2, 3 and 6: a short key, binary, and a key longer than a block. */
static void test_hmac(void **state)
{
    (void)state;
    unsigned char key[131], data[50], out[32];
    static const unsigned char wanted[3][8] = {
        {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e},
        {0x77, 0x3e, 0xa9, 0x1e, 0x36, 0x80, 0x0e, 0x46},
        {0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f},
    };
    static const char what[] = "what do ya want for nothing?";
    static const char larger[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    const struct kx_hash_part parts[] = {{what, 7}, {what + 7, 0}, {what + 7, sizeof what - 8}};
    kx_hash_hmac_sha256("Jefe", 4, parts, 3, out);
    assert_memory_equal(out, wanted[0], 8);
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    kx_hash_hmac_sha256(key, 20, &(struct kx_hash_part){data, sizeof data}, 1, out);
    assert_memory_equal(out, wanted[1], 8);
    kx_hash_hmac_sha256(key, sizeof key, &(struct kx_hash_part){larger, sizeof larger - 1}, 1, out);
    assert_memory_equal(out, wanted[2], 8);
}

static void test_quick(void **state)
{
    (void)state;
    struct kx_hash_key key = {0x243f6a8885a308d3, 0x13198a2e03707344};
    struct kx_hash_key other = {0x243f6a8885a308d3, 0x13198a2e03707345};
    unsigned char bytes[200] = {0}; /* past what is taken in lanes, more than once */
    for (size_t length = 0; length <= sizeof bytes; length++) {
        uint64_t hash = kx_hash_quick(&key, bytes, length);
        assert_true(length == 0 || hash != kx_hash_quick(&key, bytes, length - 1));
        assert_true(hash != kx_hash_quick(&other, bytes, length));
        for (size_t bit = 0; bit < length * 8; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_true(hash != kx_hash_quick(&key, bytes, length));
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
    }
}

static void test_random(void **state)
{
    (void)state;
    unsigned char a[1000] = {0};
    unsigned char b[1000] = {0};
    kx_hash_random(a, 0);
    assert_int_equal(a[0], 0);
    kx_hash_random(a + 1, 998);
    kx_hash_random(b, sizeof b);
    assert_int_equal(a[0], 0); /* nothing before, nothing behind */
    assert_int_equal(a[999], 0);
    assert_memory_not_equal(a + 1, b + 1, 32);
    /* All of it is filled: each byte of 1,000 is 0 with chance 1/256; 40 zeros never happen. */
    unsigned zeros = 0;
    for (size_t i = 0; i < sizeof b; i++)
        zeros += b[i] == 0;
    assert_true(zeros < 40);
    assert_memory_not_equal(b, b + 500, 32);
}

static void test_random_in_parts(void **state)
{
    (void)state;
    unsigned char bytes[1000] = {0};
    kernel_is_stingy = true;
    kx_hash_random(bytes, 999);
    kernel_is_stingy = false;
    for (size_t i = 0; i < 999; i++)
        assert_int_equal(bytes[i], 0x77);
    assert_int_equal(bytes[999], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sip_vectors),     cmocka_unit_test(test_sip_of_long_input),
        cmocka_unit_test(test_sha256),          cmocka_unit_test(test_sha256_in_threads),
        cmocka_unit_test(test_quick),           cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_in_parts), cmocka_unit_test(test_hmac),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
