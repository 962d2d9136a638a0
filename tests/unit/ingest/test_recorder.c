/*
 * Recording: what is written is what came, in every shape that a frame can have; a slow disk, a
 * full one and one that hangs cost frames of the capture and nothing else; files turn over; the
 * reader gives it all back.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "ingest/capture.h"
#include "ingest/capture_reader.h"
#include "ingest/recorder.h"
#include "messages.h"
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { S = 1000000000, DEADLINE_S = 60 };
static const int64_t WALL_NS = 1763847600ll * S + 123456789;
static const uint64_t BOOT_NS = 5000ull * S;

static char folder[] = "/tmp/kx-recorder-XXXXXX";
static char path[64];

static char *north = (char[]){"north"};
static char *south = (char[]){"so\"uth"};

/* A disk that hangs while the gate is closed, and is full when its room is used up. */
static sem_t gate;
static _Atomic bool gated;
static _Atomic long disk_room;

static ssize_t disk(int fd, const void *bytes, size_t length)
{
    while (gated && sem_wait(&gate) != 0)
        ;
    long room = disk_room;
    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (length > (size_t)room)
        length = (size_t)room;
    if (room != LONG_MAX)
        disk_room = room - (long)length;
    return write(fd, bytes, length);
}

struct rig {
    struct kx_capture_config config;
    struct kx_source_config sources[2];
    struct kx_counters *counters;
    struct kx_recorder *recorder;
};

static void older(char out[80], unsigned age)
{
    snprintf(out, 80, age == 0 ? "%s" : "%s.%u", path, age);
}

static int setup(void **state)
{
    static struct rig rig;
    for (unsigned age = 0; age < 6; age++) {
        char name[80];
        older(name, age);
        unlink(name);
    }
    rig = (struct rig){.config = {.path = path, .bytes = 1ull << 30, .files = 4}};
    rig.sources[0].name = north;
    rig.sources[1].name = south;
    rig.counters = kx_counters_create();
    gated = false;
    disk_room = LONG_MAX;
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    kx_counters_destroy(rig->counters);
    return 0;
}

static void begin(struct rig *rig, size_t sources)
{
    struct kx_error err = {0};
    const struct kx_recorder_params params = {.config = &rig->config,
                                              .sources = rig->sources,
                                              .source_count = sources,
                                              .buffer_bytes = 1 << 20,
                                              .process = rig->counters,
                                              .wall_ns = WALL_NS,
                                              .boot_ns = BOOT_NS,
                                              .write = disk};
    if (kx_recorder_create(&rig->recorder, &params, &err) != KX_OK ||
        kx_recorder_start(rig->recorder, &err) != KX_OK)
        fail_msg("%s", err.text);
}

static void finish(struct rig *rig)
{
    kx_recorder_finish(rig->recorder);
    kx_recorder_destroy(rig->recorder);
    rig->recorder = NULL;
}

static void put(struct rig *rig, enum kx_stream stream, const char *text, size_t length, int64_t at)
{
    kx_recorder_frame(rig->recorder, 0, stream, text, length, WALL_NS + at);
}

static uint64_t counted(const struct rig *rig, enum kx_counter counter)
{
    return kx_counter_get(rig->counters, counter);
}

/* --- reading back --- */

struct file {
    struct kx_capture_reader *reader;
    struct kx_capture_line line;
};

static void open_file(struct file *file, unsigned age)
{
    static char name[80];
    struct kx_error err;
    older(name, age);
    if (kx_capture_reader_create(&file->reader, name, &err) != KX_OK)
        fail_msg("%s", err.text);
}

/* False at the end. */
static bool next(struct file *file)
{
    struct kx_error err;
    const char *text;
    size_t length;
    kx_capture_reader_next(file->reader);
    if (kx_capture_reader_line(file->reader, &text, &length, &err) != KX_OK)
        fail_msg("%s", err.text);
    if (text == NULL)
        return false;
    assert_int_equal(kx_capture_parse(text, length, &file->line), KX_JSON_OK);
    return true;
}

static void close_file(struct file *file, bool cut_off)
{
    bool partial;
    assert_int_equal(kx_capture_reader_cut_off(file->reader, &partial), cut_off);
    assert_false(partial);
    kx_capture_reader_destroy(file->reader);
}

static void is_header(struct file *file, const char *about)
{
    assert_true(next(file));
    assert_text(file->line.stream, "header");
    char *text = strndup(file->line.frame.data, file->line.frame.length);
    assert_non_null(text);
    if (strstr(text, about) == NULL)
        fail_msg("no %s in %s", about, text);
    free(text);
}

/* --- tests --- */

static void a_recording(void **state)
{
    struct rig *rig = *state;
    begin(rig, 1);
    kx_recorder_session(rig->recorder, 0, "UUID", WALL_NS);
    put(rig, KX_STREAM_MONITOR, "{\"key\": 1}", 10, 1500000 * 1000ll);
    put(rig, KX_STREAM_EVENTBUS, "{\"ALERT\":{}}", 12, 1500001 * 1000ll);
    put(rig, KX_STREAM_REST, "{}", 2, -5ll * S); /* before it began: nobody can have */
    put(rig, KX_STREAM_ALERT, "{\"ALERT\":1}", 11, 2ll * S);
    finish(rig);
    struct file file;
    open_file(&file, 0);
    is_header(&file, "{\"version\":1,\"epoch_start\":1763847600.123456,\"program\":"
                     "\"kismet-export " KX_VERSION "\",\"source\":\"north\",\"fields\":[[");
    assert_true(file.line.t == 0); /* as it is written */
    static const struct {
        double t;
        const char *stream, *frame;
    } expected[] = {{0, "session", "{\"server_uuid\":\"UUID\"}"},
                    {1.5, "monitor", "{\"key\": 1}"},
                    {1.500001, "eventbus", "{\"ALERT\":{}}"},
                    {0, "rest", "{}"},
                    {2, "alert", "{\"ALERT\":1}"}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(next(&file));
        assert_float_equal(file.line.t, expected[i].t, 1e-7);
        assert_text(file.line.stream, expected[i].stream);
        assert_text(file.line.frame, expected[i].frame);
        assert_null(file.line.source.data);
    }
    assert_false(next(&file));
    close_file(&file, false);
    assert_int_equal(counted(rig, KX_C_CAPTURE_FRAMES), 4);
    assert_int_equal(counted(rig, KX_C_CAPTURE_ESCAPED), 0);
    struct stat stat_of;
    assert_int_equal(stat(path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0600);
}

static void several_sources(void **state)
{
    struct rig *rig = *state;
    begin(rig, 2);
    kx_recorder_frame(rig->recorder, 0, KX_STREAM_REST, "{}", 2, WALL_NS);
    kx_recorder_frame(rig->recorder, 1, KX_STREAM_REST, "{}", 2, WALL_NS);
    finish(rig);
    struct file file;
    open_file(&file, 0);
    is_header(&file, "\"sources\":[\"north\",\"so\\\"uth\"],\"fields\":[");
    assert_true(next(&file));
    assert_text(file.line.source, "north");
    assert_true(next(&file));
    assert_text(file.line.source, "so\\\"uth");
    assert_false(next(&file));
    close_file(&file, false);
}

/* Byte for byte, whatever it is; and a line stays a line. */
static void odd_frames(void **state)
{
    struct rig *rig = *state;
    static const struct {
        const char *text;
        size_t length;
        bool plain;
    } frames[] = {
#define FRAME(text, plain) {text, sizeof(text) - 1, plain}
        FRAME("", false),
        FRAME(" ", false),
        FRAME("{", false),
        FRAME("{}", true),
        FRAME(" {}", false),
        FRAME("{} ", false),
        FRAME("{} {}", false),
        FRAME("{}}", false),
        FRAME("{\"a\":1]", false),
        FRAME("[1,2]", false),
        FRAME("17", false),
        FRAME("not json", false),
        FRAME("{\"a\":\n1}", false),
        FRAME("{\"a\":\r1}", false),
        FRAME("{\"a\":\"}\"}", true),
        FRAME("{\"a\":\"}", false),
        FRAME("{\"a\":\"\\\"}", false),
        FRAME("{\"a\":\"\\\\\"}", true),
        FRAME("{\"a\":[{\"b\":[]}]}", true),
        FRAME("{\"a\":\"\xC0\x80\xF5\x80\x80\x80\"}", true),
        FRAME("\0\1\xFF", false),
        FRAME("{\"a\":\"\0\"}", true),
        FRAME("{\"d\":1},\"d\":{\"x\":2}", false),
#undef FRAME
    };
    enum { FRAMES = sizeof frames / sizeof frames[0] };
    begin(rig, 1);
    size_t escaped = 0;
    for (size_t i = 0; i < FRAMES; i++) {
        put(rig, KX_STREAM_MONITOR, frames[i].text, frames[i].length, 0);
        escaped += !frames[i].plain;
    }
    char *big = malloc(100001); /* more than is turned into digits at a time */
    assert_non_null(big);
    for (size_t i = 0; i < 100001; i++)
        big[i] = (char)(i * 7);
    put(rig, KX_STREAM_EVENTBUS, big, 100001, 0);
    finish(rig);
    struct file file;
    open_file(&file, 0);
    is_header(&file, "");
    for (size_t i = 0; i <= FRAMES; i++) {
        const char *text = i < FRAMES ? frames[i].text : big;
        size_t length = i < FRAMES ? frames[i].length : 100001;
        assert_true(next(&file));
        assert_int_equal(file.line.hex, i == FRAMES || !frames[i].plain);
        char *bytes = malloc(length + 1);
        assert_non_null(bytes);
        assert_int_equal(file.line.frame.length, file.line.hex ? 2 * length : length);
        if (file.line.hex)
            assert_true(kx_capture_unhex(file.line.frame, bytes));
        else
            memcpy(bytes, file.line.frame.data, length);
        assert_memory_equal(bytes, text, length);
        free(bytes);
    }
    assert_false(next(&file));
    close_file(&file, false);
    free(big);
    assert_int_equal(counted(rig, KX_C_CAPTURE_FRAMES), FRAMES + 1);
    assert_int_equal(counted(rig, KX_C_CAPTURE_ESCAPED), escaped + 1);
}

/* The wall clock is set while we record: t keeps its pace, and epoch + t is the new time. */
static void a_clock_that_is_set(void **state)
{
    struct rig *rig = *state;
    begin(rig, 1);
    kx_recorder_tick(rig->recorder, BOOT_NS);
    put(rig, KX_STREAM_MONITOR, "{}", 2, 0);
    kx_recorder_tick(rig->recorder, BOOT_NS + S);
    put(rig, KX_STREAM_MONITOR, "{}", 2, 2ll * S); /* a second of lag is nothing */
    kx_recorder_tick(rig->recorder, BOOT_NS + 3ull * S);
    put(rig, KX_STREAM_MONITOR, "{}", 2, 3603ll * S);
    put(rig, KX_STREAM_REST, "{}", 2, 3ll * S); /* had waited: no reason to turn back */
    kx_recorder_tick(rig->recorder, BOOT_NS + 4ull * S);
    put(rig, KX_STREAM_MONITOR, "{}", 2, 4ll * S); /* and set back */
    finish(rig);
    struct file file;
    open_file(&file, 0);
    is_header(&file, "\"epoch_start\":1763847600.123456,");
    assert_true(next(&file) && next(&file));
    assert_float_equal(file.line.t, 2, 1e-7);
    is_header(&file, "\"epoch_start\":1763851200.123456,");
    assert_true(next(&file));
    assert_float_equal(file.line.t, 3, 1e-7);
    assert_true(next(&file));
    assert_text(file.line.stream, "rest");
    is_header(&file, "\"epoch_start\":1763847600.123456,");
    assert_true(next(&file));
    assert_float_equal(file.line.t, 4, 1e-7);
    assert_false(next(&file));
    close_file(&file, false);
}

static bool expired(uint64_t begun_ns)
{
    sched_yield();
    return kx_clock_boot_ns() - begun_ns > (uint64_t)DEADLINE_S * S;
}

/* What was flushed can be read while the recording goes on, and after it was killed. */
static void flushed_each_second(void **state)
{
    struct rig *rig = *state;
    begin(rig, 1);
    kx_recorder_tick(rig->recorder, BOOT_NS);
    assert_true(kx_recorder_tick(rig->recorder, BOOT_NS) == UINT64_MAX);
    put(rig, KX_STREAM_MONITOR, "{}", 2, 0);
    assert_true(kx_recorder_tick(rig->recorder, BOOT_NS) == BOOT_NS + S);
    put(rig, KX_STREAM_MONITOR, "{}", 2, 1);
    assert_true(kx_recorder_tick(rig->recorder, BOOT_NS + S) == UINT64_MAX);
    put(rig, KX_STREAM_MONITOR, "{}", 2, 2); /* not flushed */
    uint64_t begun_ns = kx_clock_boot_ns();
    struct stat stat_of = {0};
    while (stat_of.st_size == 0 && !expired(begun_ns))
        stat(path, &stat_of);
    struct file file;
    open_file(&file, 0);
    is_header(&file, "");
    assert_true(next(&file) && next(&file));
    assert_false(next(&file));
    close_file(&file, true);
    finish(rig);
}

/* Frame i: a number and noise that does not shrink. */
static size_t noise(char *out, size_t length, unsigned i)
{
    size_t at = (size_t)sprintf(out, "{\"i\":%u,\"noise\":\"", i);
    uint64_t random = i * 2654435761u + 12345;
    for (; at < length - 2; at++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        out[at] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"[random >> 58];
    }
    out[at++] = '"';
    out[at++] = '}';
    return at;
}

static unsigned number_of(const struct file *file)
{
    return (unsigned)strtoul(file->line.frame.data + 5, NULL, 10);
}

static void files_turn_over(void **state)
{
    struct rig *rig = *state;
    rig->config.bytes = 65536;
    rig->config.files = 3;
    begin(rig, 1);
    char *frame = malloc(20000);
    assert_non_null(frame);
    unsigned frames = 0;
    ino_t inode = 0;
    uint64_t begun_ns = kx_clock_boot_ns();
    for (unsigned turns = 0; turns < 6 && !expired(begun_ns);) {
        struct stat stat_of;
        if (stat(path, &stat_of) == 0 && stat_of.st_ino != inode) {
            inode = stat_of.st_ino;
            turns++;
        }
        uint64_t dropped = counted(rig, KX_C_CAPTURE_DROPPED_FULL);
        put(rig, KX_STREAM_MONITOR, frame, noise(frame, 20000, frames), frames);
        frames += dropped == counted(rig, KX_C_CAPTURE_DROPPED_FULL);
    }
    finish(rig);
    free(frame);
    char name[80];
    older(name, 3);
    assert_int_not_equal(access(name, F_OK), 0);
    unsigned expected = 0;
    for (unsigned age = 3; age-- > 0;) {
        struct file file;
        open_file(&file, age);
        is_header(&file, "\"epoch_start\":1763847600.123456,");
        bool first = age == 2;
        while (next(&file)) {
            if (first)
                expected = number_of(&file);
            first = false;
            assert_int_equal(number_of(&file), expected++);
        }
        close_file(&file, false);
    }
    assert_int_equal(expected, frames);
    assert_true(frames > 15); /* of 3 files of at least 64 KiB */
}

/* The disk keeps up: each file has its size. */
static void files_have_their_size(void **state)
{
    struct rig *rig = *state;
    rig->config.bytes = 65536;
    begin(rig, 1);
    char *frame = malloc(20000);
    assert_non_null(frame);
    uint64_t begun_ns = kx_clock_boot_ns();
    for (unsigned i = 0; i < 20; i++) {
        put(rig, KX_STREAM_MONITOR, frame, noise(frame, 20000, i), 0);
        kx_recorder_tick(rig->recorder, BOOT_NS + (i + 1ull) * S * 2);
        for (long last = -1; last != i && !expired(begun_ns);) {
            struct file file;
            bool partial;
            open_file(&file, 0);
            while (next(&file))
                last = file.line.frame.data[2] == 'i' ? (long)number_of(&file) : last;
            kx_capture_reader_cut_off(file.reader, &partial);
            kx_capture_reader_destroy(file.reader);
        }
    }
    finish(rig);
    free(frame);
    for (unsigned age = 1; age < 4; age++) {
        char name[80];
        struct stat stat_of;
        older(name, age);
        assert_int_equal(stat(name, &stat_of), 0);
        assert_in_range(stat_of.st_size, 65536, 65536 + 2 * 20000); /* one is not out yet */
    }
}

/* The disk is behind: the end of the old file and the beginning of the new one wait together, and
 * the new one grows until the disk has come to it. */
static void a_turn_that_waits(void **state)
{
    struct rig *rig = *state;
    rig->config.bytes = 65536;
    gated = true;
    begin(rig, 1);
    char *frame = malloc(20000);
    assert_non_null(frame);
    for (unsigned i = 0; i < 30; i++)
        put(rig, KX_STREAM_MONITOR, frame, noise(frame, 20000, i), 0);
    assert_int_equal(counted(rig, KX_C_CAPTURE_FRAMES), 30);
    gated = false;
    sem_post(&gate);
    finish(rig);
    free(frame);
    unsigned expected = 0;
    for (unsigned age = 2; age-- > 0;) {
        struct file file;
        open_file(&file, age);
        is_header(&file, "");
        while (next(&file))
            assert_int_equal(number_of(&file), expected++);
        close_file(&file, false);
        assert_in_range(expected, age == 1 ? 4 : 30, age == 1 ? 15 : 30);
    }
    char name[80];
    older(name, 2);
    assert_int_not_equal(access(name, F_OK), 0);
}

static void a_restart_overwrites_nothing(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++) {
        begin(rig, 1);
        put(rig, KX_STREAM_MONITOR, i == 0 ? "{\"run\":0}" : "{\"run\":1}", 9, 0);
        finish(rig);
    }
    for (unsigned age = 0; age < 2; age++) {
        struct file file;
        open_file(&file, age);
        is_header(&file, "");
        assert_true(next(&file));
        assert_text(file.line.frame, age == 1 ? "{\"run\":0}" : "{\"run\":1}");
        close_file(&file, false);
    }
}

/* A disk that hangs: no call waits, what finds no room is counted, and the file is whole. */
static void a_disk_that_hangs(void **state)
{
    struct rig *rig = *state;
    gated = true;
    begin(rig, 1);
    char *frame = malloc(50000);
    assert_non_null(frame);
    for (unsigned i = 0; i < 100; i++)
        put(rig, KX_STREAM_MONITOR, frame, noise(frame, 50000, i), 0);
    kx_recorder_tick(rig->recorder, BOOT_NS + 2ull * S);
    kx_recorder_session(rig->recorder, 0, "UUID", WALL_NS); /* no room, no harm */
    uint64_t kept = counted(rig, KX_C_CAPTURE_FRAMES);
    uint64_t dropped = counted(rig, KX_C_CAPTURE_DROPPED_FULL);
    assert_in_range(kept, 5, 25); /* a buffer of 1 MiB, less what zstd may hold */
    assert_int_equal(kept + dropped, 101);
    gated = false;
    for (int i = 0; i < 1000; i++)
        sem_post(&gate);
    uint64_t begun_ns = kx_clock_boot_ns();
    uint64_t now_ns = BOOT_NS + 2ull * S;
    while (kx_recorder_tick(rig->recorder, now_ns += S) != UINT64_MAX && !expired(begun_ns))
        ; /* until there is room to flush */
    finish(rig);
    struct file file;
    open_file(&file, 0);
    is_header(&file, "");
    unsigned lines = 0;
    while (next(&file))
        assert_int_equal(number_of(&file), lines++);
    close_file(&file, false);
    assert_int_equal(lines, kept);
    free(frame);
}

static void a_full_disk(void **state)
{
    struct rig *rig = *state;
    disk_room = 100000;
    begin(rig, 1);
    char *frame = malloc(20000);
    assert_non_null(frame);
    uint64_t begun_ns = kx_clock_boot_ns();
    uint64_t now_ns = BOOT_NS;
    for (unsigned i = 0; counted(rig, KX_C_CAPTURE_DROPPED_FAILED) < 3 && !expired(begun_ns); i++) {
        put(rig, KX_STREAM_MONITOR, frame, noise(frame, 20000, i), 0);
        kx_recorder_tick(rig->recorder, now_ns += S / 1000);
    }
    assert_int_equal(counted(rig, KX_C_CAPTURE_DROPPED_FAILED), 3);
    assert_true(kx_recorder_tick(rig->recorder, now_ns + 5ull * S) == UINT64_MAX);
    finish(rig);
    struct file file;
    open_file(&file, 0);
    is_header(&file, "");
    unsigned lines = 0;
    while (next(&file)) /* up to where the disk was full, in the middle of a line */
        assert_int_equal(number_of(&file), lines++);
    assert_int_equal(lines, 6);
    bool partial;
    assert_true(kx_capture_reader_cut_off(file.reader, &partial));
    assert_true(partial);
    kx_capture_reader_destroy(file.reader);
    free(frame);
}

/* Text that shrinks a thousandfold: more comes out of a few bytes than one read has room for. */
static void lines_that_shrink(void **state)
{
    struct rig *rig = *state;
    begin(rig, 1);
    size_t length = 700000;
    char *frame = malloc(length);
    assert_non_null(frame);
    memset(frame, '0', length);
    memcpy(frame, "{\"a\":\"", 6);
    memcpy(frame + length - 2, "\"}", 2);
    unsigned frames = 0;
    uint64_t begun_ns = kx_clock_boot_ns();
    while (counted(rig, KX_C_CAPTURE_FRAMES) < 20 && !expired(begun_ns)) {
        put(rig, KX_STREAM_MONITOR, frame, length, 0);
        frames++;
    }
    finish(rig);
    struct file file;
    open_file(&file, 0);
    is_header(&file, "");
    for (frames = 0; next(&file); frames++) {
        assert_int_equal(file.line.frame.length, length);
        assert_memory_equal(file.line.frame.data, frame, length);
    }
    close_file(&file, false);
    assert_int_equal(frames, 20);
    free(frame);
}

static size_t lines_of_file(void)
{
    struct kx_capture_reader *reader;
    struct kx_error err;
    const char *line;
    size_t length, found = 0;
    assert_int_equal(kx_capture_reader_create(&reader, path, &err), KX_OK);
    for (;; found++) {
        kx_capture_reader_next(reader);
        assert_int_equal(kx_capture_reader_line(reader, &line, &length, &err), KX_OK);
        if (line == NULL)
            break;
    }
    kx_capture_reader_destroy(reader);
    return found;
}

/* However the lines lie in zstd's blocks, and whether the file was completed or only flushed: what
 * is decompressed and found no room at first is not forgotten. */
static void the_end_of_a_file(void **state)
{
    (void)state;
    enum { LINE = 32768, LINES = 24 };
    char *text = malloc(LINE * LINES);
    size_t room = ZSTD_compressBound(LINE * LINES);
    char *packed = malloc(room);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    assert_non_null(text);
    assert_non_null(packed);
    assert_non_null(zstd);
    memset(text, 'a', LINE * LINES);
    for (size_t i = 1; i <= LINES; i++)
        text[i * LINE - 1] = '\n';
    for (size_t i = 0; i < 2 * LINES; i++) {
        size_t lines = i / 2 + 1;
        ZSTD_inBuffer in = {text, lines * LINE, 0};
        ZSTD_outBuffer out = {packed, room, 0};
        assert_int_equal(
            ZSTD_compressStream2(zstd, &out, &in, i % 2 == 0 ? ZSTD_e_end : ZSTD_e_flush), 0);
        ZSTD_CCtx_reset(zstd, ZSTD_reset_session_only);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(packed, 1, out.pos, file), out.pos);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(lines_of_file(), lines);
    }
    ZSTD_freeCCtx(zstd);
    free(text);
    free(packed);
}

static void refusals(void **state)
{
    struct rig *rig = *state;
    struct kx_error err;
    struct kx_recorder_params params = {.config = &rig->config,
                                        .sources = rig->sources,
                                        .source_count = 1,
                                        .buffer_bytes = 1 << 20,
                                        .process = rig->counters};
    static const char *const bad[] = {"/nowhere/at/all", "/dev/null", "/tmp"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s", bad[i]);
        rig->config.path = name;
        assert_int_equal(kx_recorder_create(&rig->recorder, &params, &err), KX_ERR_CONFIG);
        assert_non_null(strstr(err.text, bad[i]));
    }
    rig->config.path = path;
    /* Nobody captures. */
    kx_recorder_frame(NULL, 0, KX_STREAM_REST, "{}", 2, 0);
    kx_recorder_session(NULL, 0, "", 0);
    assert_true(kx_recorder_tick(NULL, 0) == UINT64_MAX);
    assert_int_equal(kx_recorder_start(NULL, &err), KX_OK);
    kx_recorder_finish(NULL);
    kx_recorder_destroy(NULL);
    /* Made, and never started. */
    assert_int_equal(kx_recorder_create(&rig->recorder, &params, &err), KX_OK);
    finish(rig);
}

/* The last test: its thread is left behind, as in a program that ends. */
static void a_disk_that_never_comes_back(void **state)
{
    struct rig *rig = *state;
    gated = true;
    begin(rig, 1);
    put(rig, KX_STREAM_MONITOR, "{}", 2, 0);
    finish(rig); /* returns */
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/capture.zst", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_recording, setup, teardown),
        cmocka_unit_test_setup_teardown(several_sources, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_is_set, setup, teardown),
        cmocka_unit_test_setup_teardown(flushed_each_second, setup, teardown),
        cmocka_unit_test_setup_teardown(files_turn_over, setup, teardown),
        cmocka_unit_test_setup_teardown(files_have_their_size, setup, teardown),
        cmocka_unit_test_setup_teardown(a_turn_that_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_overwrites_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_hangs, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_that_shrink, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_never_comes_back, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (unsigned age = 0; age < 6; age++) {
        char name[80];
        older(name, age);
        unlink(name);
    }
    rmdir(folder);
    return failed;
}
