/* Replay of a capture file; the contract stands in the header. */
#include "ingest/replay.h"

#include "base/clock.h"
#include "ingest/capture.h"
#include "ingest/capture_reader.h"
#include "ingest/simplify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAME_BYTES_MAX = 10 << 20,
    FRAMES_A_TURN = 512, /* then the loop looks at its stop */
};

/* How well it is known what the wall clock said at t = 0. */
enum epoch {
    EPOCH_UNKNOWN,
    EPOCH_BY_DEVICES, /* not before the newest mod_time: a bound that rises */
    EPOCH_BY_EVENTS,  /* Kismet's clock, told by TIMESTAMP */
    EPOCH_RECORDED,   /* a header: the recorder's own clock */
};

/* A source that was recorded. */
struct part {
    struct kx_origin origin;
    char name[KX_NAME_BYTES_MAX * 4 + 1];
    char *escaped; /* its name as the lines have it; NULL = lines without one */
};

struct kx_replay {
    const struct kx_replay_config *config;
    struct kx_intake *intake;
    struct kx_ring *ring;
    struct kx_board *board;
    struct kx_counters *counters;
    const struct kx_strings *topics;
    struct kx_capture_reader *reader;
    struct part **parts; /* one, and one more for each source that a line names */
    size_t part_count;
    enum epoch epoch;
    int64_t epoch_us; /* wall clock at t = 0 */
    bool finished;
    bool failed;
    bool paused;
    bool started;
    double first_t;
    uint64_t begun_ns;
    struct kx_buf frame;   /* of hex digits */
    struct kx_buf trimmed; /* of a whole record */
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

/* The last line was taken. */
static void end_of_file(struct kx_replay *replay)
{
    bool partial;
    if (kx_capture_reader_cut_off(replay->reader, &partial)) {
        kx_log(KX_LOG_WARNING, replay->component,
               "the file was cut off while it was recorded; what is there was replayed");
        kx_count(replay->counters, KX_C_PARSE_PARTIAL, partial ? 1 : 0);
    }
    end(replay, NULL);
}

/* --- sources --- */

static enum kx_code add_part(struct kx_replay *replay, const char *name, struct kx_error *err)
{
    struct part **parts =
        reallocarray(replay->parts, replay->part_count + 1, sizeof(struct part *));
    if (parts == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a replay");
    replay->parts = parts;
    struct part *part = calloc(1, sizeof(*part));
    if (part == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a replay");
    snprintf(part->name, sizeof(part->name), "%s", name);
    part->origin = (struct kx_origin){.index = (uint16_t)replay->part_count,
                                      .name = part->name,
                                      .topics = replay->topics,
                                      .counters = replay->counters,
                                      .epoch = 1};
    enum kx_code code = kx_dedupe_create(&part->origin.dedupe, err);
    if (code != KX_OK) {
        free(part);
        return code;
    }
    replay->parts[replay->part_count++] = part;
    return KX_OK;
}

static void free_part(struct part *part)
{
    kx_dedupe_destroy(part->origin.dedupe);
    free(part->escaped);
    free(part);
}

/* The source of a line. The first line that names one gives part 0 its name; beyond
 * KX_SOURCES_MAX, or without memory, all others are one source. */
static struct part *
part_of(struct kx_replay *replay, const struct kx_capture_line *line, const char *text, size_t size)
{
    const struct kx_json_text *escaped = &line->source;
    for (size_t i = 0; i < replay->part_count; i++) {
        struct part *part = replay->parts[i];
        if (escaped->data == NULL ||
            (part->escaped != NULL && strlen(part->escaped) == escaped->length &&
             memcmp(part->escaped, escaped->data, escaped->length) == 0))
            return part;
    }
    struct kx_json_pick pick = {.key = "n"};
    struct kx_json *json = kx_intake_json(replay->intake);
    if (kx_json_pick(json, text, size, &pick, 1) != KX_JSON_OK || pick.text.length == 0)
        pick.text = *escaped; /* the frame behind it is no JSON */
    struct part *last = replay->parts[replay->part_count - 1];
    if (last->escaped != NULL) {
        if (replay->part_count == KX_SOURCES_MAX || add_part(replay, "", NULL) != KX_OK)
            return last;
        last = replay->parts[replay->part_count - 1];
    }
    last->escaped = strndup(escaped->data, escaped->length);
    snprintf(last->name, sizeof(last->name), "%.*s", (int)pick.text.length, pick.text.data);
    return last;
}

/* --- the clock --- */

static int64_t micros(double seconds)
{
    return (int64_t)(seconds * 1e6 + 0.5);
}

/* Kismet said what time it is. Nobody knows the wall clock of a capture without a header better. */
static void learn(struct kx_replay *replay, enum epoch how, double t, int64_t clock_us)
{
    int64_t epoch_us = clock_us - micros(t);
    if (how < replay->epoch || (how == replay->epoch && epoch_us <= replay->epoch_us))
        return; /* what was told late is told at its time or after it */
    replay->epoch = how;
    replay->epoch_us = epoch_us;
}

static void learn_from_device(struct kx_replay *replay, const struct kx_capture_line *line)
{
    if (replay->config->time == KX_TIME_NOW || replay->epoch > EPOCH_BY_DEVICES)
        return;
    struct kx_json_pick picks[] = {{.key = "mod_time"}, {.key = "kismet.device.base.mod_time"}};
    struct kx_json *json = kx_intake_json(replay->intake);
    if (kx_json_pick(json, line->frame.data, line->frame.length, picks, 2) != KX_JSON_OK)
        return;
    const struct kx_json_pick *pick = picks[0].has_number ? &picks[0] : &picks[1];
    if (pick->has_number && pick->number >= 1 && pick->number < 9e9)
        learn(replay, EPOCH_BY_DEVICES, line->t, micros(pick->number));
}

static int64_t received_ns(const struct kx_replay *replay, double t)
{
    if (replay->config->time == KX_TIME_NOW || replay->epoch == EPOCH_UNKNOWN)
        return kx_clock_wall_ns();
    return (replay->epoch_us + micros(t)) * 1000;
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

/* A frame that is kept as hex digits, as it was; the parser's padding behind it. */
static bool unhex(struct kx_replay *replay, struct kx_capture_line *line)
{
    kx_buf_clear(&replay->frame);
    char *place = kx_buf_reserve(&replay->frame, line->frame.length / 2 + KX_JSON_PADDING);
    if (place == NULL || !kx_capture_unhex(line->frame, place))
        return false;
    memset(place + line->frame.length / 2, 0, KX_JSON_PADDING);
    line->frame = (struct kx_json_text){place, line->frame.length / 2};
    return true;
}

static void take_header(struct kx_replay *replay, const struct kx_capture_line *line)
{
    struct kx_json_pick picks[] = {{.key = "epoch_start"}, {.key = "source"}};
    struct kx_json *json = kx_intake_json(replay->intake);
    if (kx_json_pick(json, line->frame.data, line->frame.length, picks, 2) != KX_JSON_OK) {
        kx_count(replay->counters, KX_C_PARSE_SYNTAX, 1);
        return;
    }
    if (picks[0].has_number && picks[0].number >= 0 && picks[0].number < 9e9) {
        replay->epoch = EPOCH_RECORDED;
        replay->epoch_us = micros(picks[0].number);
    }
    struct part *part = replay->parts[0];
    if (picks[1].text.length > 0 && part->escaped == NULL)
        snprintf(part->name, sizeof(part->name), "%.*s", (int)picks[1].text.length,
                 picks[1].text.data);
}

/* The recorder began to read this source, or did so again: then nobody watched it meanwhile. */
static void
take_session(struct kx_replay *replay, struct kx_origin *origin, const struct kx_capture_line *line)
{
    struct kx_json_pick pick = {.key = "server_uuid"};
    struct kx_json *json = kx_intake_json(replay->intake);
    origin->epoch++;
    if (kx_json_pick(json, line->frame.data, line->frame.length, &pick, 1) == KX_JSON_OK &&
        pick.text.data != NULL)
        snprintf(origin->server_uuid, sizeof(origin->server_uuid), "%.*s", (int)pick.text.length,
                 pick.text.data);
}

static void
take_event(struct kx_replay *replay, struct kx_origin *origin, const struct kx_capture_line *line)
{
    int64_t heartbeat_ns = 0;
    int64_t now_ns = received_ns(replay, line->t);
    kx_intake_event(replay->intake, origin, line->frame.data, line->frame.length, now_ns,
                    &heartbeat_ns);
    if (heartbeat_ns == 0 || replay->config->time == KX_TIME_NOW)
        return;
    learn(replay, EPOCH_BY_EVENTS, line->t, heartbeat_ns / 1000);
    origin->skew_known = true;
    origin->skew_ns = heartbeat_ns - received_ns(replay, line->t);
}

/* Captures that others made hold whole records; ours were trimmed by Kismet. */
static void trim(struct kx_replay *replay, struct kx_capture_line *line)
{
    struct kx_buf *trimmed = &replay->trimmed;
    kx_buf_clear(trimmed);
    if (kx_simplify(line->frame.data, line->frame.length, KX_LOCATION_AVG, trimmed) &&
        kx_buf_reserve(trimmed, KX_JSON_PADDING) != NULL)
        line->frame = (struct kx_json_text){trimmed->data, trimmed->length};
}

static void take_frame(struct kx_replay *replay,
                       struct kx_origin *origin,
                       struct kx_capture_line *line,
                       enum kx_via via)
{
    trim(replay, line);
    learn_from_device(replay, line);
    kx_intake_device(replay->intake, origin, via, line->frame.data, line->frame.length,
                     received_ns(replay, line->t));
}

static void
take(struct kx_replay *replay, struct kx_capture_line *line, const char *text, size_t length)
{
    struct kx_origin *origin = &part_of(replay, line, text, length)->origin;
    if (is(&line->stream, "header")) {
        take_header(replay, line);
        return;
    }
    if (is(&line->stream, "session")) {
        take_session(replay, origin, line);
        return;
    }
    if (line->hex && !unhex(replay, line)) {
        kx_count(replay->counters, KX_C_PARSE_SYNTAX, 1);
        return;
    }
    kx_count(replay->counters, KX_C_FRAMES_REPLAY, 1);
    kx_count(replay->counters, KX_C_BYTES, line->frame.length);
    if (is(&line->stream, "eventbus") || is(&line->stream, "alert"))
        take_event(replay, origin, line);
    else if (is(&line->stream, "monitor"))
        take_frame(replay, origin, line, KX_VIA_REPLAY);
    else if (is(&line->stream, "rest"))
        take_frame(replay, origin, line, KX_VIA_REST);
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
    for (int i = 0; i < FRAMES_A_TURN && !replay->finished; i++) {
        /* Asked for each frame: half of the smallest ring holds two of the largest records. */
        replay->paused = !kx_ring_has_room(replay->ring);
        if (replay->paused)
            return UINT64_MAX;
        struct kx_error err;
        const char *text = NULL;
        size_t length = 0;
        if (kx_capture_reader_line(replay->reader, &text, &length, &err) != KX_OK) {
            end(replay, &err);
            break;
        }
        if (text == NULL) {
            end_of_file(replay);
            return 0;
        }
        struct kx_capture_line line;
        enum kx_json_result result = read_line(replay, text, length, &line);
        uint64_t due = result == KX_JSON_OK ? due_ns(replay, line.t, now_ns) : now_ns;
        if (due > now_ns)
            return due; /* the same line is found again then */
        if (result == KX_JSON_OK)
            take(replay, &line, text, length);
        else if (length > 0)
            kx_count(replay->counters, KX_C_PARSE_SYNTAX, 1);
        kx_capture_reader_next(replay->reader);
    }
    return replay->finished ? UINT64_MAX : 0;
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
    replay->counters = counters;
    replay->topics = topics;
    snprintf(replay->component, sizeof(replay->component), "replay %s", config->path);
    snprintf(replay->status.name, sizeof(replay->status.name), "%s", source_name);
    replay->status.datasources_ok = replay->status.datasources_failed = -1;
    replay->status.devices = -1;
    kx_buf_init(&replay->frame, FRAME_BYTES_MAX);
    kx_buf_init(&replay->trimmed, 1 << 20);
    enum kx_code code = kx_capture_reader_create(&replay->reader, config->path, err);
    if (code == KX_OK)
        code = add_part(replay, source_name, err);
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
    kx_capture_reader_destroy(replay->reader);
    for (size_t i = 0; i < replay->part_count; i++)
        free_part(replay->parts[i]);
    free(replay->parts);
    kx_buf_fini(&replay->frame);
    kx_buf_fini(&replay->trimmed);
    free(replay);
}
