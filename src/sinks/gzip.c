/* gzip over zlib; the contract stands in the header. */
#include "sinks/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST /* what is compressed is only read */
#include <zlib.h>

enum {
    LEVEL = Z_BEST_SPEED,
    WINDOW_BITS = 15 + 16, /* 16: gzip's frame instead of zlib's */
    MEMORY_LEVEL = 8,
};

struct kx_gzip {
    z_stream stream;
    unsigned char *out;
    size_t capacity;
};

enum kx_code kx_gzip_create(struct kx_gzip **ret_gzip, struct kx_error *err)
{
    struct kx_gzip *gzip = calloc(1, sizeof *gzip);
    if (gzip == NULL || deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
                                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(gzip);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for gzip");
    }
    *ret_gzip = gzip;
    return KX_OK;
}

void kx_gzip_destroy(struct kx_gzip *gzip)
{
    if (gzip == NULL)
        return;
    deflateEnd(&gzip->stream);
    free(gzip->out);
    free(gzip);
}

enum kx_code kx_gzip_body(struct kx_gzip *gzip,
                          const void *bytes,
                          size_t length,
                          struct kx_span *ret_body,
                          struct kx_error *err)
{
    z_stream *stream = &gzip->stream;
    if (length > UINT_MAX / 2)
        return kx_error_set(err, KX_ERR_LIMIT, 0, "a body of %zu bytes is too large for gzip",
                            length);
    deflateReset(stream);
    size_t most = deflateBound(stream, (uLong)length);
    if (most > gzip->capacity) {
        unsigned char *out = realloc(gzip->out, most);
        if (out == NULL)
            return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a compressed body");
        gzip->out = out;
        gzip->capacity = most;
    }
    stream->next_in = bytes;
    stream->avail_in = (uInt)length;
    stream->next_out = gzip->out;
    stream->avail_out = (uInt)gzip->capacity;
    if (deflate(stream, Z_FINISH) != Z_STREAM_END)
        return kx_error_set(err, KX_ERR_BUG, 0, "zlib did not end a body within its own bound");
    *ret_body = (struct kx_span){gzip->out, gzip->capacity - stream->avail_out};
    return KX_OK;
}
