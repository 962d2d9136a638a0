/* The dead-letter file: its bytes, its limits, and every way in which it may not be written. */
#include "fake.h"

#include "batch/deadletter.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHEN 1737131445123456789 /* 2025-01-17T16:30:45 */
#define WHEN_TEXT "2025-01-17T16:30:45.123456+00:00"

enum { BYTES_MAX = 1 << 20, READ_MAX = 4 << 20 };

static char folder[64];
static char path[128], older[136];
static struct kx_sink_config sink;
static struct kx_counters *counters;
static struct kx_dead_letters *letters;
static struct kx_error err;
static char *content; /* of the file that was read last */
static size_t content_length;
static int sync_fails; /* so many calls of fdatasync from now */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    if (sync_fails == 0)
        return __real_fdatasync(fd);
    sync_fails--;
    errno = EIO;
    return -1;
}

/* So many times another process turns the file over before we lock it, after so many locks. */
static unsigned swaps, locks_before;

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __wrap_flock(int fd, int operation)
{
    if (locks_before > 0) {
        locks_before--;
    } else if (swaps > 0) {
        swaps--;
        assert_int_equal(rename(path, older), 0);
        int other = open(path, O_WRONLY | O_CREAT, 0600);
        assert_true(other >= 0);
        assert_int_equal(close(other), 0);
    }
    return __real_flock(fd, operation);
}

static void open_letters(void)
{
    kx_dead_letters_destroy(letters);
    assert_int_equal(kx_dead_letters_create(&letters, &sink, counters, &err), KX_OK);
}

static int setup(void **state)
{
    (void)state;
    static char name[] = "db";
    strcpy(folder, "/tmp/kx-dead-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/state/db.ndjson", folder);
    snprintf(older, sizeof older, "%s.1", path);
    sink = (struct kx_sink_config){.name = name,
                                   .dead_letter = {.on = true, .path = path, .bytes = BYTES_MAX}};
    counters = kx_counters_create();
    assert_non_null(counters);
    content = malloc(READ_MAX + 1);
    assert_non_null(content);
    sync_fails = 0;
    swaps = locks_before = 0;
    open_letters();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[96];
    kx_dead_letters_destroy(letters);
    letters = NULL;
    kx_dead_letters_destroy(NULL);
    kx_counters_destroy(counters);
    free(content);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static uint64_t count_of(enum kx_counter counter)
{
    return kx_counter_get(counters, counter);
}

/* Into content, with a NUL behind it. False: there is no such file. */
static bool read_file(const char *name)
{
    FILE *file = fopen(name, "r");
    content_length = file == NULL ? 0 : fread(content, 1, READ_MAX, file);
    content[content_length] = '\0';
    return file != NULL && fclose(file) == 0;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void expect_content(const char *name, const char *text)
{
    assert_true(read_file(name));
    assert_string_equal(content, text);
}

static const struct kx_record *device(union made *made, uint64_t sequence, const char *name)
{
    struct kx_builder builder;
    struct kx_device *built = kx_builder_device(&builder, made, sizeof *made);
    built->head.sequence = sequence;
    kx_builder_field(&builder, KX_F_MAC_ADDR, "AA:BB:CC:DD:EE:FF", 17);
    kx_builder_field(&builder, KX_F_NAME, name, strlen(name));
    kx_builder_field(&builder, KX_F_SOURCE, "attic", 5);
    assert_true(kx_builder_finish(&builder) > 0);
    return &made->record;
}

static const struct kx_record *event(union made *made, uint64_t sequence)
{
    struct kx_builder builder;
    struct kx_event *built = kx_builder_event(&builder, made, sizeof *made);
    built->head.sequence = sequence;
    built->time_ns = WHEN;
    kx_builder_text(&builder, &built->type, "ALERT", 5, KX_TEXT_BYTES_MAX);
    kx_builder_text(&builder, &built->data, "{\"a\":1}", 7, KX_TEXT_BYTES_MAX);
    assert_true(kx_builder_finish(&builder) > 0);
    return &made->record;
}

/* One letter about a device. Returns whether it is kept. */
static bool write_one(uint64_t sequence, const char *name)
{
    union made made;
    const struct kx_dead_letter letter = {device(&made, sequence, name), "23514", "no"};
    err = (struct kx_error){0};
    return kx_dead_letters_write(letters, &letter, 1, WHEN, &err) == 1;
}

/* That many letters of about 1.2 kB in one call. Returns how many are kept. */
static uint32_t write_many(uint64_t sequence, uint32_t count)
{
    static union made made[64];
    struct kx_dead_letter list[64];
    char name[1001];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_true(count <= 64);
    for (uint32_t i = 0; i < count; i++)
        list[i] = (struct kx_dead_letter){device(&made[i], sequence + i, name), "23514", "no"};
    err = (struct kx_error){0};
    return kx_dead_letters_write(letters, list, count, WHEN, &err);
}

/* The file holds whole lines of these sequences, each next one above the last. Returns how many. */
static uint32_t expect_lines(const char *name, uint64_t *next)
{
    uint32_t lines = 0;
    assert_true(read_file(name));
    for (char *at = content; *at != '\0'; lines++) {
        char key[64];
        char *end = strchr(at, '\n');
        assert_non_null(end);
        *end = '\0';
        snprintf(key, sizeof key, "\"sequence\":%llu,", (unsigned long long)(*next)++);
        assert_non_null(strstr(at, key));
        assert_true(strncmp(at, "{\"when\":\"", 9) == 0 && end[-1] == '}' && end[-2] == '}');
        at = end + 1;
    }
    return lines;
}

#define LINE(sequence, name)                                                                       \
    "{\"when\":\"" WHEN_TEXT "\",\"sink\":\"db\",\"reason\":\"23514\",\"error\":\"no\",\"kind\":"  \
    "\"device\",\"source\":\"attic\",\"sequence\":" sequence                                       \
    ",\"record\":{\"mac_addr\":\"AA:BB:CC:DD:EE:FF\",\"name\":\"" name "\"}}\n"

static void choose_fields(void)
{
    static char field[] = "name";
    static char *fields[] = {field};
    sink.fields = (struct kx_strings){.items = fields, .count = 1};
    open_letters();
}

static void test_lines(void **state)
{
    (void)state;
    union made made[2];
    choose_fields();
    const struct kx_dead_letter list[] = {
        {device(&made[0], 7, "a \"b\" </script> \x1b[2J \xe2\x80\xae"), "", "bad:\n\"x\""},
        {event(&made[1], 8), "limit", "too large"}};
    assert_int_equal(kx_dead_letters_write(letters, list, 2, WHEN, &err), 2);
    expect_content(
        path, "{\"when\":\"" WHEN_TEXT "\",\"sink\":\"db\",\"reason\":\"\",\"error\":\"bad:\\u000A"
              "\\\"x\\\"\",\"kind\":\"device\",\"source\":\"attic\",\"sequence\":7,\"record\":{"
              "\"mac_addr\":\"AA:BB:CC:DD:EE:FF\",\"name\":\"a \\\"b\\\" \\u003C/script\\u003E "
              "\\u001B[2J \\u202E\"}}\n"
              "{\"when\":\"" WHEN_TEXT "\",\"sink\":\"db\",\"reason\":\"limit\",\"error\":\"too "
              "large\",\"kind\":\"event\",\"source\":null,\"sequence\":8,\"record\":{\"event_type\""
              ":\"ALERT\",\"timestamp\":\"" WHEN_TEXT
              "\",\"device_key\":null,\"event_data\":{\"a\":1},\"device_mac\":null,\"source\":null,"
              "\"server_uuid\":null,\"event_uid\":\"00000000000000000000000000000000\"}}\n");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    *strrchr(path, '/') = '\0';
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
}

static void test_compat_and_case(void **state)
{
    (void)state;
    sink.compat = KX_COMPAT_SCRIPT;
    sink.mac_case = KX_MAC_LOWER;
    open_letters();
    assert_true(write_one(1, "x"));
    assert_true(read_file(path));
    assert_non_null(strstr(content, "\"mac_addr\":\"aa:bb:cc:dd:ee:ff\",\"name\":\"x\","));
    assert_non_null(strstr(content, "\"username\":null,")); /* not "", as the script sent it */
}

static void test_off(void **state)
{
    (void)state;
    sink.dead_letter.on = false;
    open_letters();
    assert_null(letters);
    assert_false(write_one(1, "x"));
    assert_int_equal(err.code, KX_OK);
    assert_false(read_file(path));
    assert_int_equal(count_of(KX_C_DEAD_LETTER_FAILED), 0);
}

static void test_appends(void **state)
{
    (void)state;
    choose_fields();
    assert_true(write_one(1, "x"));
    open_letters();
    assert_true(write_one(2, "y"));
    expect_content(path, LINE("1", "x") LINE("2", "y"));
    assert_int_equal(chmod(path, 0640), 0); /* its owner's wish */
    /* Somebody takes the file to look at it. */
    assert_int_equal(rename(path, older), 0);
    assert_true(write_one(3, "z"));
    expect_content(path, LINE("3", "z"));
    expect_content(older, LINE("1", "x") LINE("2", "y"));
    assert_int_equal(count_of(KX_C_DEAD_LETTER_ROTATIONS), 0);
    assert_int_equal(count_of(KX_C_DEAD_LETTER_REPAIRS), 0);
}

static void test_torn_line(void **state)
{
    (void)state;
    choose_fields();
    assert_true(write_one(1, "x"));
    write_file(path, "{\"when\":\"20");
    assert_true(write_one(2, "y"));
    assert_true(write_one(3, "z"));
    expect_content(path, "{\"when\":\"20\n" LINE("2", "y") LINE("3", "z"));
    assert_int_equal(count_of(KX_C_DEAD_LETTER_REPAIRS), 1);
}

/* Both files keep the order, none passes the limit, and of the rest only the oldest are lost. */
static void test_turns_over(void **state)
{
    (void)state;
    uint64_t next = 1;
    struct stat status;
    for (unsigned i = 0; i < 3 * BYTES_MAX / (64 * 1000); i++, next += 64) {
        assert_int_equal(write_many(next, 64), 64);
        assert_int_equal(stat(path, &status), 0);
        assert_true(status.st_size <= BYTES_MAX);
        if (stat(older, &status) == 0)
            assert_true(status.st_size <= BYTES_MAX && status.st_size > BYTES_MAX - 4096);
    }
    assert_true(count_of(KX_C_DEAD_LETTER_ROTATIONS) >= 2);
    assert_true(read_file(older));
    uint64_t first = strtoull(strstr(content, "\"sequence\":") + 11, NULL, 10);
    assert_true(first > 1);
    assert_true(expect_lines(older, &first) > 500);
    assert_true(expect_lines(path, &first) > 0);
    assert_int_equal(first, next);
    assert_int_equal(count_of(KX_C_DEAD_LETTER_FAILED), 0);
}

static void refuse(const char *why)
{
    uint64_t before = count_of(KX_C_DEAD_LETTER_FAILED);
    assert_false(write_one(1, "x"));
    assert_non_null(strstr(err.text, why));
    assert_int_equal(count_of(KX_C_DEAD_LETTER_FAILED), before + 1);
}

static void test_places_that_are_none(void **state)
{
    (void)state;
    char target[128];
    assert_true(write_one(1, "x"));
    snprintf(target, sizeof target, "%s/target", folder);
    write_file(target, "precious");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
    refuse("it is a symbolic link, which is not followed");
    expect_content(target, "precious");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse("it is no regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    refuse("Is a directory");
    char null[] = "/dev/null";
    sink.dead_letter.path = null;
    open_letters();
    refuse("it is no regular file");
    snprintf(path, sizeof path, "%s/target/deeper/db.ndjson", folder);
    sink.dead_letter.path = path;
    open_letters();
    refuse("Not a directory");
    sink.dead_letter.path = NULL;
    open_letters();
    refuse("there is no place for dead letters: neither $STATE_DIRECTORY nor $HOME");
}

/* The older file cannot be replaced: nothing more fits, and nothing is lost. */
static void test_cannot_turn_over(void **state)
{
    (void)state;
    char inside[160];
    uint64_t next = 1;
    assert_true(write_one(next++, "x"));
    assert_int_equal(mkdir(older, 0700), 0);
    snprintf(inside, sizeof inside, "%s/x", older);
    write_file(inside, "");
    uint32_t kept = 64;
    while (kept == 64) {
        kept = write_many(next, 64);
        next += kept;
    }
    assert_true(next > 500);
    assert_non_null(strstr(err.text, "cannot keep dead letters in"));
    uint64_t first = 1;
    expect_lines(path, &first);
    assert_int_equal(first, next);
    assert_int_equal(count_of(KX_C_DEAD_LETTER_FAILED), 64 - kept);
    assert_int_equal(count_of(KX_C_DEAD_LETTER_ROTATIONS), 0);
}

static void limit_files(uint64_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A write that comes to an end in the middle of a line: the lines before it are kept, and only they
 * are in the file. */
static void test_full(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    limit_files(10000);
    uint32_t kept = write_many(1, 64);
    assert_in_range(kept, 5, 9);
    assert_non_null(strstr(err.text, "No space left on device"));
    uint64_t next = 1;
    assert_int_equal(expect_lines(path, &next), kept);
    assert_int_equal(write_many(kept + 1, 1), 0);
    limit_files(0);
    assert_int_equal(write_many(kept + 1, 10), 10);
    next = 1;
    assert_int_equal(expect_lines(path, &next), kept + 10);
    assert_int_equal(count_of(KX_C_DEAD_LETTER_FAILED), 64 - kept + 1);
    assert_int_equal(count_of(KX_C_DEAD_LETTER_REPAIRS), 0);
}

/* What may not be on the disk is not called kept, and is taken back. */
static void test_disk_that_fails(void **state)
{
    (void)state;
    uint64_t next = 1;
    assert_int_equal(write_many(1, 3), 3);
    sync_fails = 1; /* and the next one, of the same bytes, would succeed */
    assert_int_equal(write_many(4, 3), 0);
    assert_non_null(strstr(err.text, "Input/output error"));
    assert_int_equal(expect_lines(path, &next), 3);
    /* The same before the file is turned over. */
    while (count_of(KX_C_DEAD_LETTER_ROTATIONS) == 0) {
        sync_fails = 0;
        assert_int_equal(write_many(next, 64), 64);
        next += 64;
    }
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    while (status.st_size < BYTES_MAX - 20000) {
        assert_int_equal(write_many(next, 8), 8);
        next += 8;
        assert_int_equal(stat(path, &status), 0);
    }
    sync_fails = 1;
    assert_int_equal(write_many(next, 64), 0);
    uint64_t size = (uint64_t)status.st_size;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, size);
    assert_int_equal(count_of(KX_C_DEAD_LETTER_ROTATIONS), 1);
    assert_int_equal(write_many(next, 64), 64);
    assert_int_equal(count_of(KX_C_DEAD_LETTER_ROTATIONS), 2);
}

/* Another process has the lock: lines go beside its own, but its file is not cut or turned over. */
static void test_shared_file(void **state)
{
    (void)state;
    choose_fields();
    assert_true(write_one(1, "x"));
    int fd = open(path, O_RDWR | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(write(fd, "half a line", 11), 11);
    assert_true(write_one(2, "y"));
    expect_content(path, LINE("1", "x") "half a line" LINE("2", "y"));
    assert_int_equal(ftruncate(fd, BYTES_MAX - 10), 0);
    refuse("another program holds its lock");
    assert_int_equal(close(fd), 0);
    assert_true(write_one(3, "z"));
    expect_content(path, LINE("3", "z"));
    assert_int_equal(count_of(KX_C_DEAD_LETTER_ROTATIONS), 1);
}

/* Another process turns the file over between our open and our lock. */
static void test_turned_over_under_way(void **state)
{
    (void)state;
    choose_fields();
    assert_true(write_one(1, "x"));
    swaps = 1;
    assert_true(write_one(2, "y"));
    expect_content(path, LINE("2", "y"));
    expect_content(older, LINE("1", "x"));
    swaps = 100;
    refuse("another program holds its lock");
    swaps = 0;
    /* The same when it is we who turn it over: what is in the older file is kept. */
    sink.fields = (struct kx_strings){0};
    open_letters();
    assert_int_equal(truncate(path, BYTES_MAX - 10000), 0);
    locks_before = 1;
    swaps = 100;
    uint32_t kept = write_many(10, 64);
    assert_in_range(kept, 5, 9);
    swaps = 0;
}

/* The largest record that there can be, every byte of it escaped. */
static void test_largest(void **state)
{
    (void)state;
    size_t length = KX_RECORD_BYTES_MAX - sizeof(struct kx_event) - 64;
    void *memory = aligned_alloc(KX_RECORD_ALIGN, KX_RECORD_BYTES_MAX);
    char *data = malloc(length);
    assert_true(memory != NULL && data != NULL);
    memset(data, '\x7f', length);
    data[0] = data[length - 1] = '"';
    struct kx_builder builder;
    struct kx_event *built = kx_builder_event(&builder, memory, KX_RECORD_BYTES_MAX);
    built->head.sequence = 1;
    kx_builder_text(&builder, &built->data, data, length, length);
    assert_true(kx_builder_finish(&builder) > 0);
    const struct kx_dead_letter letter = {&built->head, "big", "no"};
    assert_int_equal(kx_dead_letters_write(letters, &letter, 1, WHEN, &err), 1);
    uint64_t next = 1;
    assert_int_equal(expect_lines(path, &next), 1);
    assert_true(content_length > 6 * (length - 2));
    free(data);
    free(memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lines),
        TEST(test_compat_and_case),
        TEST(test_off),
        TEST(test_appends),
        TEST(test_torn_line),
        TEST(test_turns_over),
        TEST(test_places_that_are_none),
        TEST(test_cannot_turn_over),
        TEST(test_full),
        TEST(test_disk_that_fails),
        TEST(test_shared_file),
        TEST(test_turned_over_under_way),
        TEST(test_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
