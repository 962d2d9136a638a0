/* Lines and their compression; the contract stands in the header. */
#include "ingest/recorder.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "ingest/capture_file.h"
#include "ingest/fields.h"
#include "ingest/json_scan.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum {
    LEVEL = 1,
    /* What zstd may hold back, compressed or not: two of its blocks. */
    HELD_BYTES = 2 * ZSTD_BLOCKSIZE_MAX,
    LINE_BYTES = 512,  /* of a line beside its frame and its source's name */
    HEX_BYTES = 2048,  /* of a frame, turned into digits at a time */
    EPOCH_STEP_S = 2,  /* the wall clock was set when it leaves the other by more */
    TEXT_BYTES = 65536 /* of the header line at most */
};
static const char COMPONENT[] = "capture";
static const char *const stream_names[] = {"monitor", "eventbus", "rest", "alert"};

struct kx_recorder {
    const struct kx_capture_config *config;
    struct kx_counters *process;
    struct kx_capture_file *file;
    ZSTD_CCtx *zstd;
    char *out;
    size_t out_bytes;
    char **names; /* of each source: ,"n":"its name"; all empty when there is one */
    size_t source_count;
    struct kx_buf about; /* the header from behind epoch_start */
    struct kx_buf line;
    int64_t epoch_us;      /* wall clock at t = 0 */
    int64_t clocks_ns;     /* wall clock less CLOCK_BOOTTIME, as the epoch supposes */
    uint64_t now_ns;       /* of the last tick */
    uint64_t flush_due_ns; /* 0 = nothing to flush */
    uint64_t file_bytes;   /* of this file so far */
    bool begun;            /* a first line was put */
    bool open;             /* a zstd frame is under way */
    bool over;             /* the disk failed */
    struct kx_log_limit full_log;
};

/* --- bytes --- */

static void give_up(struct kx_recorder *recorder, int sys, const char *why)
{
    struct kx_error err;
    kx_error_set(&err, KX_ERR_IO, sys, "cannot write %s%s", recorder->config->path, why);
    kx_log(KX_LOG_ERROR, COMPONENT, "%s; the capture ends here, exporting goes on", err.text);
    recorder->over = true;
}

static void
squeeze(struct kx_recorder *recorder, const void *bytes, size_t length, ZSTD_EndDirective directive)
{
    ZSTD_inBuffer in = {.src = bytes, .size = length};
    size_t left = 1;
    while (!recorder->over && (directive == ZSTD_e_continue ? in.pos < in.size : left > 0)) {
        ZSTD_outBuffer out = {.dst = recorder->out, .size = recorder->out_bytes};
        left = ZSTD_compressStream2(recorder->zstd, &out, &in, directive);
        if (ZSTD_isError(left)) {
            give_up(recorder, 0, ZSTD_getErrorName(left));
            return;
        }
        if (out.pos > 0)
            kx_capture_file_put(recorder->file, out.dst, out.pos);
        recorder->file_bytes += out.pos;
    }
}

/* Whether a line of this many bytes, and what is held back, is sure to find room. */
static bool has_room(const struct kx_recorder *recorder, size_t bytes)
{
    return kx_capture_file_room(recorder->file) >= ZSTD_compressBound(bytes + HELD_BYTES);
}

/* --- lines --- */

static void append_micros(struct kx_buf *out, int64_t us)
{
    char digits[7];
    kx_buf_u64(out, (uint64_t)us / 1000000);
    snprintf(digits, sizeof(digits), "%06u", (unsigned)((uint64_t)us % 1000000));
    kx_buf_byte(out, '.');
    kx_buf_text(out, digits);
}

static int64_t t_of(const struct kx_recorder *recorder, int64_t wall_ns)
{
    int64_t us = wall_ns / 1000 - recorder->epoch_us;
    return us > 0 ? us : 0;
}

/* {"t":1.234567,"s":"stream" */
static void begin_line(struct kx_recorder *recorder, const char *stream, int64_t t_us)
{
    kx_buf_clear(&recorder->line);
    kx_buf_text(&recorder->line, "{\"t\":");
    append_micros(&recorder->line, t_us);
    kx_buf_text(&recorder->line, ",\"s\":\"");
    kx_buf_text(&recorder->line, stream);
    kx_buf_byte(&recorder->line, '"');
}

static void put_line(struct kx_recorder *recorder)
{
    KX_ASSERT(!recorder->line.failed);
    squeeze(recorder, recorder->line.data, recorder->line.length, ZSTD_e_continue);
}

static void put_header(struct kx_recorder *recorder, int64_t t_us)
{
    struct kx_buf *line = &recorder->line;
    begin_line(recorder, "header", t_us);
    kx_buf_text(line, ",\"d\":{\"version\":1,\"epoch_start\":");
    append_micros(line, recorder->epoch_us);
    kx_buf_bytes(line, recorder->about.data, recorder->about.length);
    put_line(recorder);
}

/* Between two frames the wall clock was set (a Pi without a clock of its own, minutes after its
 * start): t goes on at its pace, and a new header says what it counts from now. */
static void follow_clock(struct kx_recorder *recorder, int64_t received_ns)
{
    int64_t step_ns = received_ns - (int64_t)recorder->now_ns - recorder->clocks_ns;
    int64_t most_ns = EPOCH_STEP_S * (int64_t)KX_NS_PER_S;
    if (step_ns <= most_ns && step_ns >= -most_ns)
        return;
    recorder->clocks_ns += step_ns;
    recorder->epoch_us += step_ns / 1000;
    if (recorder->epoch_us < 0)
        recorder->epoch_us = 0;
    if (recorder->open)
        put_header(recorder, t_of(recorder, received_ns));
}

/* Whether a line may be put now; then the file has its header. */
static bool ready(struct kx_recorder *recorder, size_t bytes, int64_t t_us)
{
    if (recorder->over) {
        kx_count(recorder->process, KX_C_CAPTURE_DROPPED_FAILED, 1);
        return false;
    }
    /* Two headers: one of a new file, one after the clock was set. */
    if (!has_room(recorder, bytes + 2 * (recorder->about.length + LINE_BYTES))) {
        kx_count(recorder->process, KX_C_CAPTURE_DROPPED_FULL, 1);
        kx_log_limited(&recorder->full_log, recorder->now_ns, KX_LOG_WARNING, COMPONENT,
                       "the disk of %s is too slow: frames are left out of the capture",
                       recorder->config->path);
        return false;
    }
    if (!recorder->open) {
        /* The first line of all is the beginning itself. */
        put_header(recorder, recorder->begun ? t_us : 0);
        recorder->open = recorder->begun = true;
    }
    return true;
}

/* A line was put. */
static void settle(struct kx_recorder *recorder)
{
    kx_count(recorder->process, KX_C_CAPTURE_FRAMES, 1);
    if (recorder->flush_due_ns == 0)
        recorder->flush_due_ns = recorder->now_ns + KX_NS_PER_S;
    /* Its end belongs to the old file; while the disk has not come to the last cut, it grows. */
    if (recorder->file_bytes < recorder->config->bytes || !has_room(recorder, 0) ||
        kx_capture_file_cutting(recorder->file))
        return;
    kx_recorder_finish(recorder);
    kx_capture_file_cut(recorder->file);
    recorder->file_bytes = 0;
}

static void put_hex(struct kx_recorder *recorder, const char *data, size_t length)
{
    for (size_t at = 0; at < length; at += HEX_BYTES) {
        kx_buf_clear(&recorder->line);
        kx_buf_hex(&recorder->line, data + at, length - at < HEX_BYTES ? length - at : HEX_BYTES);
        put_line(recorder);
    }
}

void kx_recorder_frame(struct kx_recorder *recorder,
                       uint16_t source,
                       enum kx_stream stream,
                       const char *data,
                       size_t length,
                       int64_t received_ns)
{
    if (recorder == NULL)
        return;
    bool plain = kx_scan_is_object_line(data, length);
    size_t bytes = (plain ? length : 2 * length) + strlen(recorder->names[source]) + LINE_BYTES;
    /* A REST line may have waited for room in the ring since it came. */
    if (!recorder->over && stream != KX_STREAM_REST && has_room(recorder, HELD_BYTES))
        follow_clock(recorder, received_ns);
    int64_t t_us = t_of(recorder, received_ns);
    if (!ready(recorder, bytes, t_us))
        return;
    begin_line(recorder, stream_names[stream], t_us);
    kx_buf_text(&recorder->line, recorder->names[source]);
    kx_buf_text(&recorder->line, plain ? ",\"d\":" : ",\"x\":\"");
    put_line(recorder);
    if (plain)
        squeeze(recorder, data, length, ZSTD_e_continue);
    else
        put_hex(recorder, data, length);
    squeeze(recorder, "\"}\n" + (plain ? 1 : 0), plain ? 2 : 3, ZSTD_e_continue);
    if (!plain)
        kx_count(recorder->process, KX_C_CAPTURE_ESCAPED, 1);
    settle(recorder);
}

void kx_recorder_session(struct kx_recorder *recorder,
                         uint16_t source,
                         const char *server_uuid,
                         int64_t now_wall_ns)
{
    if (recorder == NULL)
        return;
    struct kx_buf data;
    kx_buf_init(&data, 4096);
    kx_buf_text(&data, "{\"server_uuid\":\"");
    kx_text_json(&data, server_uuid, strlen(server_uuid));
    kx_buf_text(&data, "\"}");
    int64_t t_us = t_of(recorder, now_wall_ns);
    if (!data.failed && ready(recorder, data.length + LINE_BYTES, t_us)) {
        begin_line(recorder, "session", t_us);
        kx_buf_text(&recorder->line, recorder->names[source]);
        kx_buf_text(&recorder->line, ",\"d\":");
        kx_buf_bytes(&recorder->line, data.data, data.length);
        kx_buf_text(&recorder->line, "}\n");
        put_line(recorder);
        if (recorder->flush_due_ns == 0)
            recorder->flush_due_ns = recorder->now_ns + KX_NS_PER_S;
    }
    kx_buf_fini(&data);
}

uint64_t kx_recorder_tick(struct kx_recorder *recorder, uint64_t now_ns)
{
    if (recorder == NULL || recorder->over)
        return UINT64_MAX;
    recorder->now_ns = now_ns;
    int failed = kx_capture_file_failed(recorder->file);
    if (failed != 0) {
        give_up(recorder, failed, "");
        return UINT64_MAX;
    }
    if (recorder->flush_due_ns == 0)
        return UINT64_MAX;
    if (now_ns >= recorder->flush_due_ns) {
        bool room = has_room(recorder, 0);
        if (room)
            squeeze(recorder, NULL, 0, ZSTD_e_flush);
        recorder->flush_due_ns = room ? 0 : now_ns + KX_NS_PER_S;
    }
    return recorder->flush_due_ns == 0 ? UINT64_MAX : recorder->flush_due_ns;
}

void kx_recorder_finish(struct kx_recorder *recorder)
{
    if (recorder == NULL || recorder->over || !recorder->open || !has_room(recorder, 0))
        return;
    squeeze(recorder, NULL, 0, ZSTD_e_end);
    recorder->open = false;
    recorder->flush_due_ns = 0;
}

/* --- life --- */

static void append_text(struct kx_buf *out, const char *text)
{
    kx_buf_byte(out, '"');
    kx_text_json(out, text, strlen(text));
    kx_buf_byte(out, '"');
}

static enum kx_code no_memory(struct kx_error *err)
{
    return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a capture");
}

/* What is the same in every header and every line of a source. */
static enum kx_code write_constants(struct kx_recorder *recorder,
                                    const struct kx_recorder_params *params,
                                    struct kx_error *err)
{
    struct kx_buf *about = &recorder->about;
    kx_buf_text(about, ",\"program\":\"kismet-export " KX_VERSION "\",");
    kx_buf_text(about, params->source_count == 1 ? "\"source\":" : "\"sources\":[");
    recorder->names = calloc(params->source_count, sizeof(*recorder->names));
    if (recorder->names == NULL)
        return no_memory(err);
    for (size_t i = 0; i < params->source_count; i++) {
        struct kx_buf name;
        kx_buf_init(&name, 4096);
        if (params->source_count > 1) {
            kx_buf_text(&name, ",\"n\":");
            append_text(&name, params->sources[i].name);
        }
        kx_buf_byte(&name, '\0');
        recorder->names[i] = name.failed ? NULL : strdup(name.data);
        kx_buf_fini(&name);
        if (recorder->names[i] == NULL)
            return no_memory(err);
        recorder->source_count++;
        if (i > 0)
            kx_buf_byte(about, ',');
        append_text(about, params->sources[i].name);
    }
    kx_buf_text(about, params->source_count == 1 ? ",\"fields\":" : "],\"fields\":");
    kx_fields_json(about, params->sources[0].location);
    kx_buf_text(about, "}}\n");
    return about->failed ? no_memory(err) : KX_OK;
}

enum kx_code kx_recorder_create(struct kx_recorder **ret_recorder,
                                const struct kx_recorder_params *params,
                                struct kx_error *err)
{
    struct kx_recorder *recorder = calloc(1, sizeof(*recorder));
    if (recorder == NULL)
        return no_memory(err);
    recorder->config = params->config;
    recorder->process = params->process;
    recorder->epoch_us = params->wall_ns / 1000;
    recorder->clocks_ns = params->wall_ns - (int64_t)params->boot_ns;
    recorder->now_ns = params->boot_ns;
    kx_buf_init(&recorder->about, TEXT_BYTES);
    kx_buf_init(&recorder->line, TEXT_BYTES + LINE_BYTES);
    recorder->out_bytes = ZSTD_CStreamOutSize();
    recorder->out = malloc(recorder->out_bytes);
    recorder->zstd = ZSTD_createCCtx();
    enum kx_code code = write_constants(recorder, params, err);
    if (code == KX_OK &&
        (recorder->out == NULL || recorder->zstd == NULL ||
         ZSTD_isError(ZSTD_CCtx_setParameter(recorder->zstd, ZSTD_c_compressionLevel, LEVEL))))
        code = no_memory(err);
    const struct kx_capture_file_params file = {.path = params->config->path,
                                                .files = params->config->files,
                                                .capacity = params->buffer_bytes,
                                                .write = params->write};
    if (code == KX_OK)
        code = kx_capture_file_create(&recorder->file, &file, err);
    if (code != KX_OK) {
        kx_recorder_destroy(recorder);
        return code;
    }
    *ret_recorder = recorder;
    return KX_OK;
}

enum kx_code kx_recorder_start(struct kx_recorder *recorder, struct kx_error *err)
{
    return recorder == NULL ? KX_OK : kx_capture_file_start(recorder->file, err);
}

void kx_recorder_destroy(struct kx_recorder *recorder)
{
    if (recorder == NULL)
        return;
    uint64_t deadline_ns = kx_clock_boot_ns() + KX_RECORDER_STOP_S * KX_NS_PER_S;
    if (!kx_capture_file_destroy(recorder->file, deadline_ns))
        kx_log(KX_LOG_ERROR, COMPONENT, "left behind: %s cannot be written to its end",
               recorder->config->path);
    for (size_t i = 0; i < recorder->source_count; i++)
        free(recorder->names[i]);
    free(recorder->names);
    ZSTD_freeCCtx(recorder->zstd);
    free(recorder->out);
    kx_buf_fini(&recorder->about);
    kx_buf_fini(&recorder->line);
    free(recorder);
}
