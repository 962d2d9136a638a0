/*
 * A scanner over JSON text that looks for quotes and brackets only, and hands out values byte for
 * byte.
 *
 * For what no parser may refuse (a recorded frame with ill-formed UTF-8) and for cutting an array
 * into its elements. Whether a value is JSON is its parser's business. Pure; no allocation, any
 * thread; the texts lie in the caller's bytes. A failed step leaves the scan somewhere in the text:
 * give it up.
 */
#ifndef KX_INGEST_JSON_SCAN_H
#define KX_INGEST_JSON_SCAN_H

#include "ingest/json.h"

struct kx_scan {
    const char *at;
    const char *end;
};

void kx_scan_space(struct kx_scan *scan);
/* Skips white space and then that byte, if it is there. */
bool kx_scan_take(struct kx_scan *scan, char byte);
/* Whether all of text is one object or what looks like it, from its first byte to its last, and on
 * one line: then it may stand in a line of NDJSON as it is. */
bool kx_scan_is_object_line(const char *text, size_t length);
/* One value, whatever it is, without the white space around it. */
bool kx_scan_value(struct kx_scan *scan, struct kx_json_text *ret_text);
/* "key": value; the key without its quotes. */
bool kx_scan_member(struct kx_scan *scan,
                    struct kx_json_text *ret_key,
                    struct kx_json_text *ret_value);
/* Steps into an array: the text's own, or the one that the text's object has under key (may be
 * NULL).
 */
bool kx_scan_array(struct kx_scan *scan, const char *key);
/* The array's next element; false at its end. */
bool kx_scan_element(struct kx_scan *scan, struct kx_json_text *ret_value);

#endif
