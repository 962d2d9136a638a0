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

enum kx_json_result
kx_capture_parse(const char *line, size_t length, struct kx_capture_line *ret_line)
{
    struct kx_scan scan = {line, line + length};
    struct kx_json_text t = {0}, s = {0}, d = {0};
    kx_scan_space(&scan);
    if (scan.at == scan.end)
        return KX_JSON_EMPTY;
    if (!kx_scan_take(&scan, '{'))
        return KX_JSON_NOT_OBJECT;
    for (bool more = !kx_scan_take(&scan, '}'); more;) {
        struct kx_json_text key, value;
        if (!kx_scan_member(&scan, &key, &value))
            return KX_JSON_SYNTAX;
        const char name = key.length == 1 ? key.data[0] : '\0';
        struct kx_json_text *place = name == 't' ? &t : name == 's' ? &s : name == 'd' ? &d : NULL;
        if (place && !place->data)
            *place = value;
        more = kx_scan_take(&scan, ',');
        if (!more && !kx_scan_take(&scan, '}'))
            return KX_JSON_SYNTAX;
    }
    kx_scan_space(&scan);
    if (scan.at != scan.end)
        return KX_JSON_SYNTAX;
    struct kx_capture_line found = {.frame = d};
    if (!d.data || !read_seconds(&t, &found.t) || !read_plain(&s, &found.stream))
        return KX_JSON_NO_KEY;
    *ret_line = found;
    return KX_JSON_OK;
}
