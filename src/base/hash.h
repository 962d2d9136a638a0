/*
 * Hashes: SipHash-2-4 for tables that strangers fill, SHA-256 (OpenSSL) for identities, random
 * bytes.
 *
 * No state; any thread.
 */
#ifndef KX_BASE_HASH_H
#define KX_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct kx_hash_key {
    uint64_t k0, k1;
};

/* 64-bit SipHash-2-4 (Aumasson, Bernstein 2012) of bytes under key. */
uint64_t kx_hash_sip(const struct kx_hash_key *key, const void *bytes, size_t length);

/* A 64-bit hash under key in a fraction of SipHash's time: to tell changed from unchanged, not for
 * tables that strangers fill. Not the same on every machine. */
uint64_t kx_hash_quick(const struct kx_hash_key *key, const void *bytes, size_t length);

/* Fills out with getrandom(2) bytes. Ends the program when the kernel has none: nothing works then.
 */
void kx_hash_random(void *out, size_t length);

/* One part of a message; kx_hash_sha256 hashes parts as if joined. Ends the program when OpenSSL
 * cannot: without memory, or with a configuration that forbids it. */
struct kx_hash_part {
    const void *bytes;
    size_t length;
};
void kx_hash_sha256(const struct kx_hash_part *parts, size_t count, uint8_t out[32]);
/* HMAC-SHA-256 (RFC 2104) of the parts as if joined, under a key of any length. Ends the program as
 * kx_hash_sha256 does. */
void kx_hash_hmac_sha256(const void *key,
                         size_t key_length,
                         const struct kx_hash_part *parts,
                         size_t count,
                         uint8_t out[32]);

#endif
