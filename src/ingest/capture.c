/*
 * The scanner for a line of a capture: values are skipped by counting brackets outside strings.
 */
#include "ingest/capture.h"
#include "ingest/json_scan.h"
#include "ingest/json_text.h"
#include <string.h>

/* Seconds as the recorder writes them: digits with a fraction. strtod would ask the locale. */
static bool read_seconds(const struct kx_json_text *text, double *ret_seconds)
{
    if (!text->data || !kx_json_number_valid(text->data, text->length))
        return false;
    double value = 0;
    double unit = 1;
    bool fraction = false;
    for (size_t i = 0; i < text->length; i++) {
        const char c = text->data[i];
        if (c == '.') {
            fraction = true;
        } else if (c >= '0' && c <= '9') {
            value = value * 10 + (c - '0');
            unit *= fraction ? 10 : 1;
        } else {
            return false; /* a sign or an exponent: nobody recorded before he began */
        }
    }
    *ret_seconds = value / unit;
    return unit < 1e300 && value < 1e300;
}

/* The inside of a text without escapes. */
static bool read_plain(const struct kx_json_text *text, struct kx_json_text *ret_inside)
{
    if (!text->data || text->length < 2 || text->data[0] != '"' ||
        memchr(text->data, '\\', text->length))
        return false;
    *ret_inside = (struct kx_json_text){text->data + 1, text->length - 2};
    return true;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool kx_capture_unhex(struct kx_json_text digits, char *out)
{
    if (digits.length % 2 != 0)
        return false;
    for (size_t i = 0; i < digits.length; i += 2) {
        int high = digit(digits.data[i]);
        int low = digit(digits.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (char)(high << 4 | low);
    }
    return true;
}

/* What the keys of a line said; absent = not there. */
struct values {
    struct kx_json_text t, s, d, x, n;
};

static struct kx_json_text *place_of(struct values *values, const struct kx_json_text *key)
{
    switch (key->length == 1 ? key->data[0] : '\0') {
    case 't':
        return &values->t;
    case 's':
        return &values->s;
    case 'd':
        return &values->d;
    case 'x':
        return &values->x;
    case 'n':
        return &values->n;
    default:
        return NULL;
    }
}

/* The inside of a text, as it is escaped. */
static void read_inside(const struct kx_json_text *text, struct kx_json_text *ret_inside)
{
    if (text->data && text->length >= 2 && text->data[0] == '"')
        *ret_inside = (struct kx_json_text){text->data + 1, text->length - 2};
}

enum kx_json_result
kx_capture_parse(const char *line, size_t length, struct kx_capture_line *ret_line)
{
    struct kx_scan scan = {line, line + length};
    struct values values = {0};
    kx_scan_space(&scan);
    if (scan.at == scan.end)
        return KX_JSON_EMPTY;
    if (!kx_scan_take(&scan, '{'))
        return KX_JSON_NOT_OBJECT;
    for (bool more = !kx_scan_take(&scan, '}'); more;) {
        struct kx_json_text key, value;
        if (!kx_scan_member(&scan, &key, &value))
            return KX_JSON_SYNTAX;
        struct kx_json_text *place = place_of(&values, &key);
        if (place && !place->data)
            *place = value;
        more = kx_scan_take(&scan, ',');
        if (!more && !kx_scan_take(&scan, '}'))
            return KX_JSON_SYNTAX;
    }
    kx_scan_space(&scan);
    if (scan.at != scan.end)
        return KX_JSON_SYNTAX;
    struct kx_capture_line found = {.frame = values.d, .hex = values.d.data == NULL};
    if (!read_seconds(&values.t, &found.t) || !read_plain(&values.s, &found.stream) ||
        (found.hex && !read_plain(&values.x, &found.frame)))
        return KX_JSON_NO_KEY;
    read_inside(&values.n, &found.source);
    *ret_line = found;
    return KX_JSON_OK;
}
