/* Lines ahead of their writing; the contract stands in the header. */
#include "sinks/socket_lines.h"

#include <string.h>

static const uint32_t NO_INDEX = UINT32_MAX;

enum kx_code kx_socket_lines_init(struct kx_socket_lines *lines, struct kx_error *err)
{
    lines->written = lines->handed = lines->count = 0;
    kx_buf_init(&lines->out, KX_SOCKET_BYTES_SOFT + 2 * KX_SOCKET_LINE_MAX);
    /* Pages are touched when they are used. */
    if (kx_buf_reserve(&lines->out, lines->out.limit) == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for lines");
    return KX_OK;
}

void kx_socket_lines_fini(struct kx_socket_lines *lines)
{
    kx_buf_fini(&lines->out);
}

void kx_socket_lines_forget(struct kx_socket_lines *lines)
{
    kx_buf_clear(&lines->out);
    lines->written = lines->handed = lines->count = 0;
}

void kx_socket_lines_begin(struct kx_socket_lines *lines, const struct kx_batch *batch)
{
    uint32_t from = batch->first; /* lines lie in the order of their records */
    for (size_t k = 0; k < lines->count; k++) {
        struct kx_socket_line *line = &lines->lines[k];
        uint32_t i = from;
        while (i < batch->end && kx_batch_record(batch, i)->sequence != line->sequence)
            i++;
        line->index = NO_INDEX;
        if (i == batch->end)
            continue;
        from = i + 1;
        if (!kx_batch_done(batch, i))
            line->index = i;
    }
}

static bool is_begun(const struct kx_socket_lines *lines, size_t begun, uint32_t index)
{
    for (size_t k = 0; k < begun; k++)
        if (lines->lines[k].index == index)
            return true;
    return false;
}

void kx_socket_lines_fill(struct kx_socket_lines *lines,
                          const struct kx_socket_encode *encode,
                          const struct kx_batch *batch,
                          uint32_t *next)
{
    size_t begun = lines->count;
    for (; *next < batch->end; ++*next) {
        if (lines->count == KX_SOCKET_LINES || lines->out.length >= KX_SOCKET_BYTES_SOFT)
            return;
        if (kx_batch_done(batch, *next) || is_begun(lines, begun, *next))
            continue;
        const struct kx_record *record = kx_batch_record(batch, *next);
        kx_socket_encode(encode, &lines->out, record, false);
        KX_ASSERT(!lines->out.failed);
        lines->lines[lines->count++] = (struct kx_socket_line){
            .end = lines->out.length, .sequence = record->sequence, .index = *next};
    }
}

void kx_socket_lines_settle(struct kx_socket_lines *lines, struct kx_batch *batch)
{
    size_t out = 0;   /* lines that are */
    size_t begun = 0; /* these and those that are kept */
    for (size_t begin = 0; begun < lines->count; begin = lines->lines[begun++].end) {
        const struct kx_socket_line *line = &lines->lines[begun];
        if (line->end <= lines->written) {
            if (line->index != NO_INDEX)
                kx_batch_mark(batch, line->index);
            out++;
        } else if (begin >= lines->handed) {
            break;
        }
    }
    if (begun == out) {
        kx_socket_lines_forget(lines);
        return;
    }
    kx_buf_truncate(&lines->out, lines->lines[begun - 1].end);
    memmove(lines->lines, lines->lines + out, (begun - out) * sizeof lines->lines[0]);
    lines->count = begun - out;
}
