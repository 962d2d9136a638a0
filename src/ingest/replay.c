/* Replay of a capture file; the contract stands in the header. */
#include "ingest/replay.h"

#include "base/clock.h"
#include "ingest/capture.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum {
    LINE_BYTES_MAX = 16 << 20,
    READ_BYTES = 131072,
    WINDOW_LOG_MAX = 27, /* 128 MiB: a file must not make us take more */
    FRAMES_A_TURN = 512, /* then the loop looks at the ring and at its stop */
};

struct kx_replay {
    const struct kx_replay_config *config;
    struct kx_intake *intake;
    struct kx_ring *ring;
    struct kx_board *board;
    struct kx_origin origin;
    int fd;
    bool compressed;
    bool input_over; /* the file is read to its end */
    bool finished;
    bool failed;
    bool paused;
    ZSTD_DStream *stream;
    char *input;
    ZSTD_inBuffer in;
    struct kx_buf text; /* lines not taken yet; the parser's padding is reserved behind */
    size_t taken;       /* bytes at the front of text that are done with */
    bool started;
    double first_t;
    uint64_t begun_ns;
    char component[160];
    struct kx_source_status status;
};

static void show(struct kx_replay *replay, enum kx_source_state state, const char *text)
{
    replay->status.state = state;
    replay->status.since_ns = kx_clock_wall_ns();
    snprintf(replay->status.text, sizeof(replay->status.text), "%s", text);
    kx_board_source_set(replay->board, 0, &replay->status);
}

static void end(struct kx_replay *replay, const struct kx_error *err)
{
    replay->finished = true;
    replay->failed = err != NULL;
    replay->status.last_contact_ns = kx_clock_wall_ns();
    if (err != NULL)
        kx_log(KX_LOG_ERROR, replay->component, "%s", err->text);
    show(replay, KX_SOURCE_ENDED, err != NULL ? err->text : "");
}

/* --- reading --- */

static enum kx_code fill_input(struct kx_replay *replay, struct kx_error *err)
{
    ssize_t got;
    do
        got = read(replay->fd, replay->input, READ_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return kx_error_set(err, KX_ERR_IO, errno, "cannot read %s", replay->config->path);
    replay->in = (ZSTD_inBuffer){.src = replay->input, .size = (size_t)got};
    replay->input_over = got == 0;
    return KX_OK;
}

static enum kx_code out_of_room(struct kx_replay *replay, struct kx_error *err)
{
    return kx_error_set(err, KX_ERR_LIMIT, 0, "%s has a line over %d bytes", replay->config->path,
                        LINE_BYTES_MAX);
}

/* Adds some text to the buffer. */
static enum kx_code fill_text(struct kx_replay *replay, struct kx_error *err)
{
    kx_buf_consume(&replay->text, replay->taken);
    replay->taken = 0;
    enum kx_code code = KX_OK;
    if (replay->in.pos == replay->in.size)
        code = fill_input(replay, err);
    if (code != KX_OK || replay->input_over)
        return code;
    char *place = kx_buf_reserve(&replay->text, READ_BYTES * 2 + KX_JSON_PADDING);
    if (place == NULL)
        return out_of_room(replay, err);
    size_t length = replay->in.size;
    if (!replay->compressed) {
        memcpy(place, replay->in.src, length);
        replay->in.pos = length;
    } else {
        ZSTD_outBuffer out = {.dst = place, .size = READ_BYTES * 2};
        size_t result = ZSTD_decompressStream(replay->stream, &out, &replay->in);
        if (ZSTD_isError(result))
            return kx_error_set(err, KX_ERR_PARSE, 0, "%s is damaged: %s", replay->config->path,
                                ZSTD_getErrorName(result));
        length = out.pos;
    }
    replay->text.length += length;
    return KX_OK;
}

/* The next line, without its end; length 0 with finished = the end of the file. */
static enum kx_code
next_line(struct kx_replay *replay, const char **ret_line, size_t *ret_length, struct kx_error *err)
{
    size_t looked = 0;
    for (;;) {
        const char *start = replay->text.data + replay->taken;
        size_t have = replay->text.length - replay->taken;
        const char *stop = have > looked ? memchr(start + looked, '\n', have - looked) : NULL;
        if (stop != NULL || (replay->input_over && have > 0)) {
            *ret_line = start;
            *ret_length = stop != NULL ? (size_t)(stop - start) : have;
            return KX_OK;
        }
        if (replay->input_over) {
            *ret_length = 0;
            end(replay, NULL);
            return KX_OK;
        }
        looked = have;
        enum kx_code code = fill_text(replay, err);
        if (code != KX_OK)
            return code;
    }
}

/* --- taking --- */

static bool is(const struct kx_json_text *text, const char *word)
{
    return text->length == strlen(word) && memcmp(text->data, word, text->length) == 0;
}

/* One line of the file: a recorded frame, a bare device, or nothing that we know. */
static enum kx_json_result
read_line(struct kx_replay *replay, const char *text, size_t length, struct kx_capture_line *line)
{
    enum kx_json_result result = kx_capture_parse(text, length, line);
    if (result != KX_JSON_NO_KEY)
        return result;
    *line = (struct kx_capture_line){.t = replay->first_t,
                                     .stream = {.data = "monitor", .length = 7},
                                     .frame = {.data = text, .length = length}};
    return KX_JSON_OK;
}

static void take(struct kx_replay *replay, const struct kx_capture_line *line)
{
    int64_t received_ns = kx_clock_wall_ns();
    kx_count(replay->origin.counters, KX_C_FRAMES_REPLAY, 1);
    kx_count(replay->origin.counters, KX_C_BYTES, line->frame.length);
    if (is(&line->stream, "eventbus"))
        kx_intake_event(replay->intake, &replay->origin, line->frame.data, line->frame.length,
                        received_ns, NULL);
    else if (is(&line->stream, "monitor"))
        kx_intake_device(replay->intake, &replay->origin, KX_VIA_REPLAY, line->frame.data,
                         line->frame.length, received_ns);
}

/* When a frame recorded at t is due. */
static uint64_t due_ns(struct kx_replay *replay, double t, uint64_t now_ns)
{
    if (replay->config->speed <= 0)
        return now_ns;
    if (!replay->started) {
        replay->started = true;
        replay->first_t = t;
        replay->begun_ns = now_ns;
    }
    double wait_s = (t - replay->first_t) / replay->config->speed;
    return wait_s <= 0 ? replay->begun_ns : replay->begun_ns + (uint64_t)(wait_s * 1e9);
}

uint64_t kx_replay_tick(struct kx_replay *replay, uint64_t now_ns)
{
    if (replay->finished)
        return UINT64_MAX;
    replay->paused = !kx_ring_has_room(replay->ring);
    if (replay->paused)
        return UINT64_MAX;
    for (int i = 0; i < FRAMES_A_TURN; i++) {
        struct kx_error err;
        const char *text = NULL;
        size_t length = 0;
        if (next_line(replay, &text, &length, &err) != KX_OK) {
            end(replay, &err);
            return UINT64_MAX;
        }
        if (replay->finished)
            return 0;
        struct kx_capture_line line;
        enum kx_json_result result = read_line(replay, text, length, &line);
        uint64_t due = result == KX_JSON_OK ? due_ns(replay, line.t, now_ns) : now_ns;
        if (due > now_ns)
            return due; /* the same line is found again then */
        if (result == KX_JSON_OK)
            take(replay, &line);
        else if (length > 0)
            kx_count(replay->origin.counters, KX_C_PARSE_SYNTAX, 1);
        replay->taken += length;
        if (replay->taken < replay->text.length)
            replay->taken++; /* the line's end */
    }
    return 0;
}

bool kx_replay_paused(const struct kx_replay *replay)
{
    return replay->paused;
}

bool kx_replay_finished(const struct kx_replay *replay, bool *ret_complete)
{
    *ret_complete = !replay->failed;
    return replay->finished;
}

/* --- life --- */

static enum kx_code open_file(struct kx_replay *replay, struct kx_error *err)
{
    const char *path = replay->config->path;
    replay->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (replay->fd < 0)
        return kx_error_set(err, KX_ERR_CONFIG, errno, "cannot open the capture %s", path);
    replay->input = malloc(READ_BYTES);
    if (replay->input == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a replay");
    enum kx_code code = fill_input(replay, err);
    if (code != KX_OK)
        return code;
    static const unsigned char magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
    replay->compressed = replay->in.size >= 4 && memcmp(replay->input, magic, 4) == 0;
    if (!replay->compressed)
        return KX_OK;
    replay->stream = ZSTD_createDStream();
    if (replay->stream == NULL ||
        ZSTD_isError(ZSTD_DCtx_setParameter(replay->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory to decompress %s", path);
    return KX_OK;
}

enum kx_code kx_replay_create(struct kx_replay **ret_replay,
                              const struct kx_replay_config *config,
                              const char *source_name,
                              const struct kx_strings *topics,
                              struct kx_intake *intake,
                              struct kx_ring *ring,
                              struct kx_board *board,
                              struct kx_counters *counters,
                              struct kx_error *err)
{
    struct kx_replay *replay = calloc(1, sizeof(*replay));
    if (replay == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a replay");
    replay->config = config;
    replay->intake = intake;
    replay->ring = ring;
    replay->board = board;
    replay->fd = -1;
    replay->origin =
        (struct kx_origin){.name = source_name, .topics = topics, .counters = counters, .epoch = 1};
    snprintf(replay->component, sizeof(replay->component), "replay %s", config->path);
    snprintf(replay->status.name, sizeof(replay->status.name), "%s", source_name);
    replay->status.datasources_ok = replay->status.datasources_failed = -1;
    replay->status.devices = -1;
    kx_buf_init(&replay->text, LINE_BYTES_MAX);
    enum kx_code code = open_file(replay, err);
    if (code == KX_OK)
        code = kx_dedupe_create(&replay->origin.dedupe, err);
    if (code != KX_OK) {
        kx_replay_destroy(replay);
        return code;
    }
    show(replay, KX_SOURCE_STREAMING, "");
    *ret_replay = replay;
    return KX_OK;
}

void kx_replay_destroy(struct kx_replay *replay)
{
    if (replay == NULL)
        return;
    if (replay->fd >= 0)
        close(replay->fd);
    ZSTD_freeDStream(replay->stream);
    free(replay->input);
    kx_buf_fini(&replay->text);
    kx_dedupe_destroy(replay->origin.dedupe);
    free(replay);
}
