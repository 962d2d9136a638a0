/*
 * Every build of the parser that this processor can run gives the same answers: over the frames
 * and events of the captures, whole, cut short, and with a byte broken. In a build without
 * optimisation there is one, and this shows no more than that it survives.
 */
#include "ingest/json_kernel.h"
#include "messages.h"

#include <stddef.h>

enum { KERNELS_MAX = 4 };

static const struct kx_json_kernel *kernels[KERNELS_MAX];
static void *states[KERNELS_MAX];
static size_t kernel_count;

static int setup(void **state)
{
    (void)state;
    for (const struct kx_json_kernel *const *kernel = kx_json_kernels(); *kernel; kernel++) {
        assert_true(kernel_count < KERNELS_MAX);
        kernels[kernel_count] = *kernel;
        states[kernel_count] = (*kernel)->create();
        assert_non_null(states[kernel_count]);
        kernel_count++;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < kernel_count; i++)
        kernels[i]->destroy(states[i]);
    return 0;
}

static void append(struct kx_buf *log, struct kx_json_text text)
{
    kx_buf_u64(log, text.data == NULL ? 99999999 : text.length);
    kx_buf_bytes(log, text.data, text.length);
}

static void append_notes(struct kx_buf *log, const struct kx_json_notes *notes)
{
    kx_buf_printf(log, "|%u %u %u %u %u %d\n", notes->utf8, notes->nul, notes->surrogate,
                  notes->wrong_type, notes->range, notes->reordered);
}

/* All that one kernel says of a message, as text. */
static void describe(size_t kernel, const char *message, size_t length, struct kx_buf *log)
{
    struct kx_json_device device;
    struct kx_json_event event;
    struct kx_json_notes notes;
    enum kx_json_result result =
        kernels[kernel]->device(states[kernel], message, length, &device, &notes);
    kx_buf_u64(log, result);
    if (result == KX_JSON_OK) {
        const struct kx_json_text texts[] = {
            device.key,      device.server_uuid, device.mac_addr,     device.name,
            device.username, device.common_name, device.manufacturer, device.device_type,
            device.crypt,    device.channel,     device.signal_type,  device.phy_type};
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
            append(log, texts[i]);
        kx_buf_u64(log, device.has);
        kx_buf_bytes(log, &device.first_seen,
                     sizeof device - offsetof(struct kx_json_device, first_seen));
        append_notes(log, &notes);
    }
    result = kernels[kernel]->event(states[kernel], message, length, log, &event, &notes);
    kx_buf_u64(log, result);
    if (result == KX_JSON_OK) {
        append(log, event.topic);
        append(log, event.server_uuid);
        append(log, event.device_key);
        append(log, event.device_mac);
        append(log, event.alert_hash);
        kx_buf_bytes(log, &event.time, sizeof event.time);
        kx_buf_i64(log, event.severity);
        append_notes(log, &notes);
    }
}

static void compare(const char *text, size_t length)
{
    struct kx_buf logs[KERNELS_MAX];
    char *message = message_copy(text, length, ',');
    for (size_t i = 0; i < kernel_count; i++) {
        kx_buf_init(&logs[i], 1 << 24);
        describe(i, message, length, &logs[i]);
        assert_false(logs[i].failed);
        if (logs[i].length != logs[0].length ||
            memcmp(logs[i].data, logs[0].data, logs[0].length) != 0)
            fail_msg("%s and %s differ on %.*s", kernels[i]->name, kernels[0]->name, (int)length,
                     text);
    }
    for (size_t i = 0; i < kernel_count; i++)
        kx_buf_fini(&logs[i]);
    free(message);
}

/* A line as it is, cut short, and with one byte broken; where is the line's own number, so that
 * each is treated another way and every run the same. */
static void compare_line(const char *line, size_t length, size_t number)
{
    compare(line, length);
    const size_t place = number * 7919 % length;
    compare(line, place);
    char *broken = malloc(length);
    assert_non_null(broken);
    memcpy(broken, line, length);
    broken[place] = (char)(number * 31);
    compare(broken, length);
    free(broken);
}

static void compare_capture(const char *name, size_t step)
{
    struct capture_file file = capture_read(name);
    const char *line;
    size_t length, at = 0, number = 0;
    while (capture_line(&file, &at, &line, &length)) {
        if (number++ % step != 0)
            continue;
        const char *frame = memmem(line, length, "\"d\":", 4);
        const bool wrapped = frame != NULL && frame - line < 64;
        if (wrapped)
            compare_line(frame + 4, (size_t)(line + length - 1 - (frame + 4)), number);
        else
            compare_line(line, length, number);
    }
    assert_true(number > 100);
    free(file.bytes);
}

static void devices(void **state)
{
    (void)state;
    compare_capture("neighbourhood-fields.ndjson.zst", 1);
}

static void whole_records(void **state)
{
    (void)state;
    compare_capture("neighbourhood-full.ndjson.zst", 20);
}

static void hostile_names(void **state)
{
    (void)state;
    compare_capture("hostile-names.itjson.zst", 1);
}

/* Numbers and texts of every length, since kernels work in blocks. */
static void lengths(void **state)
{
    (void)state;
    char text[1024];
    for (int length = 0; length < 200; length++) {
        const int size =
            snprintf(text, sizeof text,
                     "{\"key\":\"%0*d\",\"mac_addr\":\"M\",\"name\":\"%*s\\n\xC3\xA9\","
                     "\"first_seen\":%.*s,\"altitude\":0.%0*d}",
                     length, 1, length, "x", length % 19 + 1, "1234567890123456789", length, 5);
        assert_true(size > 0 && (size_t)size < sizeof text);
        compare(text, (size_t)size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices),
        cmocka_unit_test(whole_records),
        cmocka_unit_test(hostile_names),
        cmocka_unit_test(lengths),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
