/*
 * gzip of a whole body: one compressor, used again and again.
 *
 * Owns zlib's state (about 260 KiB) and the compressed bytes. One thread. The result is valid until
 * the next call.
 */
#ifndef KX_SINKS_GZIP_H
#define KX_SINKS_GZIP_H

#include "base/error.h"
#include <stddef.h>

struct kx_span {
    const void *bytes;
    size_t length;
};

struct kx_gzip;

enum kx_code kx_gzip_create(struct kx_gzip **ret_gzip, struct kx_error *err);
void kx_gzip_destroy(struct kx_gzip *gzip); /* NULL-safe */
/* Compresses length bytes (under 4 GiB) at zlib's quickest level: a body goes to a server once, and
 * bytes saved beyond that cost the sensor more than the line. */
enum kx_code kx_gzip_body(struct kx_gzip *gzip,
                          const void *bytes,
                          size_t length,
                          struct kx_span *ret_body,
                          struct kx_error *err);

#endif
