/* Bytes of a file into lines; the contract stands in the header. */
#include "ingest/capture_reader.h"

#include "base/buf.h"
#include "ingest/json.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum {
    LINE_BYTES_MAX = 20 << 20, /* 8 MiB of a message, as hex digits */
    READ_BYTES = 131072,
    WINDOW_LOG_MAX = 27, /* 128 MiB: a file must not make us take more */
};

struct kx_capture_reader {
    const char *path;
    int fd;
    bool compressed;
    bool input_over; /* the file is read to its end */
    bool held_back;  /* the decompressor has more than there was room for */
    bool mid_frame;  /* the compressed stream goes on */
    ZSTD_DStream *stream;
    char *input;
    ZSTD_inBuffer in;
    struct kx_buf text; /* lines not taken yet; the parser's padding is reserved behind */
    size_t taken;       /* bytes at the front of text that are done with */
    size_t line;        /* length of the line that was given last */
};

static enum kx_code fill_input(struct kx_capture_reader *reader, struct kx_error *err)
{
    ssize_t got;
    do
        got = read(reader->fd, reader->input, READ_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return kx_error_set(err, KX_ERR_IO, errno, "cannot read %s", reader->path);
    reader->in = (ZSTD_inBuffer){.src = reader->input, .size = (size_t)got};
    reader->input_over = got == 0;
    return KX_OK;
}

/* Adds some text to the buffer. */
static enum kx_code fill_text(struct kx_capture_reader *reader, struct kx_error *err)
{
    kx_buf_consume(&reader->text, reader->taken);
    reader->taken = 0;
    enum kx_code code = KX_OK;
    if (reader->in.pos == reader->in.size && !reader->held_back)
        code = fill_input(reader, err);
    if (code != KX_OK || reader->input_over)
        return code;
    char *place = kx_buf_reserve(&reader->text, READ_BYTES * 2 + KX_JSON_PADDING);
    if (place == NULL)
        return kx_error_set(err, KX_ERR_LIMIT, 0, "%s has a line over %d bytes", reader->path,
                            LINE_BYTES_MAX);
    size_t length = reader->in.size;
    if (!reader->compressed) {
        memcpy(place, reader->in.src, length);
        reader->in.pos = length;
    } else {
        ZSTD_outBuffer out = {.dst = place, .size = READ_BYTES * 2};
        size_t result = ZSTD_decompressStream(reader->stream, &out, &reader->in);
        if (ZSTD_isError(result))
            return kx_error_set(err, KX_ERR_PARSE, 0, "%s is damaged: %s", reader->path,
                                ZSTD_getErrorName(result));
        length = out.pos;
        reader->held_back = out.pos == out.size;
        reader->mid_frame = result != 0;
    }
    reader->text.length += length;
    return KX_OK;
}

enum kx_code kx_capture_reader_line(struct kx_capture_reader *reader,
                                    const char **ret_line,
                                    size_t *ret_length,
                                    struct kx_error *err)
{
    size_t looked = 0;
    for (;;) {
        const char *start = reader->text.data + reader->taken;
        size_t have = reader->text.length - reader->taken;
        const char *stop = have > looked ? memchr(start + looked, '\n', have - looked) : NULL;
        bool last = reader->input_over && have > 0 && !reader->mid_frame;
        if (stop != NULL || last) {
            reader->line = stop != NULL ? (size_t)(stop - start) : have;
            *ret_line = start;
            *ret_length = reader->line;
            return KX_OK;
        }
        if (reader->input_over) {
            *ret_line = NULL;
            *ret_length = 0;
            return KX_OK;
        }
        looked = have;
        enum kx_code code = fill_text(reader, err);
        if (code != KX_OK)
            return code;
    }
}

void kx_capture_reader_next(struct kx_capture_reader *reader)
{
    reader->taken += reader->line;
    if (reader->taken < reader->text.length)
        reader->taken++; /* the line's end */
    reader->line = 0;
}

bool kx_capture_reader_cut_off(const struct kx_capture_reader *reader, bool *ret_partial)
{
    *ret_partial = reader->mid_frame && reader->taken < reader->text.length;
    return reader->mid_frame;
}

/* --- life --- */

static enum kx_code open_file(struct kx_capture_reader *reader, struct kx_error *err)
{
    reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0)
        return kx_error_set(err, KX_ERR_CONFIG, errno, "cannot open the capture %s", reader->path);
    reader->input = malloc(READ_BYTES);
    if (reader->input == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a replay");
    enum kx_code code = fill_input(reader, err);
    if (code != KX_OK)
        return code;
    static const unsigned char magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
    reader->compressed = reader->in.size >= 4 && memcmp(reader->input, magic, 4) == 0;
    if (!reader->compressed)
        return KX_OK;
    reader->stream = ZSTD_createDStream();
    if (reader->stream == NULL ||
        ZSTD_isError(ZSTD_DCtx_setParameter(reader->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory to decompress %s", reader->path);
    return KX_OK;
}

enum kx_code kx_capture_reader_create(struct kx_capture_reader **ret_reader,
                                      const char *path,
                                      struct kx_error *err)
{
    struct kx_capture_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a replay");
    reader->path = path;
    reader->fd = -1;
    kx_buf_init(&reader->text, LINE_BYTES_MAX);
    enum kx_code code = open_file(reader, err);
    if (code != KX_OK) {
        kx_capture_reader_destroy(reader);
        return code;
    }
    *ret_reader = reader;
    return KX_OK;
}

void kx_capture_reader_destroy(struct kx_capture_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->fd >= 0)
        close(reader->fd);
    ZSTD_freeDStream(reader->stream);
    free(reader->input);
    kx_buf_fini(&reader->text);
    free(reader);
}
