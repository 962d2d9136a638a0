/*
 * SipHash-2-4 from its paper; SHA-256 by OpenSSL; random bytes by the kernel.
 */
#include "base/hash.h"
#include "base/error.h"
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

/* count (at most 8) bytes, the first the least significant, whatever the machine's order. */
static uint64_t load_little(const unsigned char *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

static uint64_t load_little8(const unsigned char *bytes)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
#else
    return load_little(bytes, 8);
#endif
}

uint64_t kx_hash_sip(const struct kx_hash_key *key, const void *bytes, size_t length)
{
    /* The constants spell "somepseudorandomlygeneratedbytes". */
    struct sip s = {
        .v0 = key->k0 ^ 0x736f6d6570736575u,
        .v1 = key->k1 ^ 0x646f72616e646f6du,
        .v2 = key->k0 ^ 0x6c7967656e657261u,
        .v3 = key->k1 ^ 0x7465646279746573u,
    };
    const unsigned char *at = bytes;
    size_t left = length;
    for (; left >= 8; at += 8, left -= 8)
        sip_word(&s, load_little8(at));
    sip_word(&s, load_little(at, left) | (uint64_t)(length & 0xff) << 56);
    s.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* The two halves of the product, folded: every bit of either factor reaches every bit. */
static uint64_t fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX), high = (a >> 32) * (b >> 32);
    uint64_t one = (a >> 32) * (b & UINT32_MAX), two = (a & UINT32_MAX) * (b >> 32);
    uint64_t middle = (low >> 32) + (one & UINT32_MAX) + (two & UINT32_MAX);
    low = (low & UINT32_MAX) | middle << 32;
    high += (one >> 32) + (two >> 32) + (middle >> 32);
    return low ^ high;
#endif
}

/* Long texts in four lanes that do not wait for one another: a fold takes the processor five times
 * as long to finish as to begin. */
uint64_t kx_hash_quick(const struct kx_hash_key *key, const void *bytes, size_t length)
{
    const char *at = bytes;
    uint64_t hash = key->k0 ^ length, pair[2], eight[8];
    if (length >= sizeof eight) {
        uint64_t one = hash, two = ~hash, three = hash + key->k1, four = hash - key->k1;
        for (; length >= sizeof eight; at += sizeof eight, length -= sizeof eight) {
            memcpy(eight, at, sizeof eight);
            one = fold(one ^ eight[0], key->k1 ^ eight[1]);
            two = fold(two ^ eight[2], key->k1 ^ eight[3]);
            three = fold(three ^ eight[4], key->k1 ^ eight[5]);
            four = fold(four ^ eight[6], key->k1 ^ eight[7]);
        }
        hash = fold(one ^ key->k0, two ^ key->k1) ^ fold(three ^ key->k1, four ^ key->k0);
    }
    for (; length >= sizeof pair; at += sizeof pair, length -= sizeof pair) {
        memcpy(pair, at, sizeof pair);
        hash = fold(hash ^ pair[0], key->k1 ^ pair[1]);
    }
    if (length > 0) { /* zeros behind the rest; that they are none of it is said by the length */
        pair[0] = pair[1] = 0;
        memcpy(pair, at, length);
        hash = fold(hash ^ pair[0], key->k1 ^ pair[1]);
    }
    return fold(hash, key->k0 ^ key->k1);
}

void kx_hash_random(void *out, size_t length)
{
    unsigned char *at = out;
    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            fprintf(stderr, "kismet-export: the kernel gives no random bytes: %s\n",
                    strerror(errno));
            exit(70);
        }
        at += got;
        length -= (size_t)got;
    }
}

static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256_method; /* looked up once and kept: a look-up costs more than a short hash */

static void sha256_fetch(void)
{
    sha256_method = EVP_MD_fetch(NULL, "SHA256", NULL);
}

_Noreturn static void no_sha256(void)
{
    fputs("kismet-export: OpenSSL cannot make a SHA-256: no memory, or its configuration forbids "
          "it\n",
          stderr);
    exit(70);
}

void kx_hash_sha256(const struct kx_hash_part *parts, size_t count, uint8_t out[32])
{
    pthread_once(&sha256_once, sha256_fetch);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int good = sha256_method != NULL && context != NULL &&
               EVP_DigestInit_ex2(context, sha256_method, NULL) == 1;
    for (size_t i = 0; good && i < count; i++)
        good = EVP_DigestUpdate(context, parts[i].bytes, parts[i].length) == 1;
    good = good && EVP_DigestFinal_ex(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!good)
        no_sha256();
}

void kx_hash_hmac_sha256(const void *key,
                         size_t key_length,
                         const struct kx_hash_part *parts,
                         size_t count,
                         uint8_t out[32])
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    size_t length = 0;
    EVP_MAC *method = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = method != NULL ? EVP_MAC_CTX_new(method) : NULL;
    int good = context != NULL && EVP_MAC_init(context, key, key_length, params) == 1;
    for (size_t i = 0; good && i < count; i++)
        good = EVP_MAC_update(context, parts[i].bytes, parts[i].length) == 1;
    good = good && EVP_MAC_final(context, out, &length, 32) == 1 && length == 32;
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(method);
    if (!good)
        no_sha256();
}
