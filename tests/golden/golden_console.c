/*
 * Records in, the console's lines out.
 */
#include "base/clock.h"
#include "golden.h"
#include "sinks/console.h"
#include <time.h>
#include <unistd.h>

/* What the sink writes to a file, appended to out. */
static void print(struct kx_buf *out, enum kx_format format, enum kx_compat compat)
{
    static char name[] = "con";
    struct kx_sink_config config = {.name = name, .compat = compat, .console = {.format = format}};
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 10 * KX_NS_PER_S, .stop_fd = -1};
    struct kx_error err;
    struct box box;
    void *sink = NULL;
    char bytes[4096];
    ssize_t got;
    char path[] = "/tmp/kx-golden-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    box_init(&box);
    golden_records(&box);
    assert_int_equal(kx_console_open(&config, fd, &sink, &err), KX_OK);
    assert_int_equal(kx_console_ops.deliver(sink, &box.batch, &call, &err), KX_SENT);
    kx_console_ops.close(sink);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    while ((got = read(fd, bytes, sizeof bytes)) > 0)
        kx_buf_bytes(out, bytes, (size_t)got);
    close(fd);
    box_fini(&box);
}

static void compare(const char *name, enum kx_format format, enum kx_compat compat)
{
    struct kx_buf out;
    setenv("TZ", "XXX-3:30", 1);
    tzset();
    kx_buf_init(&out, GOLDEN_BYTES_MAX);
    print(&out, format, compat);
    golden_compare(name, &out);
    kx_buf_fini(&out);
}

static void test_text(void **state)
{
    (void)state;
    compare("console.txt", KX_FORMAT_TEXT, KX_COMPAT_NONE);
}

static void test_text_of_the_script(void **state)
{
    (void)state;
    compare("console_script.txt", KX_FORMAT_TEXT, KX_COMPAT_SCRIPT);
}

static void test_json(void **state)
{
    (void)state;
    compare("console_json.txt", KX_FORMAT_JSON, KX_COMPAT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_of_the_script),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
