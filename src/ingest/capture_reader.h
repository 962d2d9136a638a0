/*
 * The lines of a capture file, plain or zstd (by content, not by name), one after the other.
 *
 * Owns the file and its buffers. One thread. A file that ends in the middle of a zstd frame was cut
 * off while it was recorded: what is there is read, and kx_capture_reader_cut_off says so. Failure:
 * KX_ERR_IO, KX_ERR_PARSE (damaged) or KX_ERR_LIMIT (a line over 20 MiB); the reader is of no more
 * use then.
 */
#ifndef KX_INGEST_CAPTURE_READER_H
#define KX_INGEST_CAPTURE_READER_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

struct kx_capture_reader;

enum kx_code kx_capture_reader_create(struct kx_capture_reader **ret_reader,
                                      const char *path, /* borrowed */
                                      struct kx_error *err);
void kx_capture_reader_destroy(struct kx_capture_reader *reader);

/* The line that is next, without its end, KX_JSON_PADDING readable bytes behind it; the same one
 * again until kx_capture_reader_next. *ret_line NULL = the end of the file. */
enum kx_code kx_capture_reader_line(struct kx_capture_reader *reader,
                                    const char **ret_line,
                                    size_t *ret_length,
                                    struct kx_error *err);
void kx_capture_reader_next(struct kx_capture_reader *reader);
/* At the end: the file stops in mid-recording. *ret_partial: with a line begun and left out. */
bool kx_capture_reader_cut_off(const struct kx_capture_reader *reader, bool *ret_partial);

#endif
