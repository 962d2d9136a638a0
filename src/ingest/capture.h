/*
 * One line of a capture file: {"t":seconds,"s":stream,"d":<the frame>}, with "n":source where there
 * are several. A frame that is no JSON object on one line stands as "x":"<hex digits>" instead.
 *
 * Streams: monitor and eventbus (WebSocket messages), rest (a device's line of a REST answer),
 * alert (an alert that REST told after a gap, as the eventbus would have sent it), session (ours: a
 * source begins to be read: {"server_uuid":text}) and header (ours: the
 * first line of each file: {"version":1,"epoch_start":seconds since 1970 at t = 0,...}; again where
 * the clock was set).
 *
 * Pure: no state, no allocation, any thread. The frame may be anything that Kismet sent, also JSON
 * that no parser takes (ill-formed UTF-8), so this is a scanner that looks for quotes and brackets
 * and hands out the frame byte for byte. The texts lie in the caller's line. Failure leaves
 * *ret_line untouched.
 */
#ifndef KX_INGEST_CAPTURE_H
#define KX_INGEST_CAPTURE_H

#include "ingest/json.h"

struct kx_capture_line {
    double t; /* seconds since the capture began */
    struct kx_json_text stream;
    struct kx_json_text frame;  /* hex digits when `hex` */
    struct kx_json_text source; /* as it is escaped; absent = the only one */
    bool hex;
};

/* The bytes that hex digits of either case stand for, into out (length / 2 bytes). False: these are
 * none. */
bool kx_capture_unhex(struct kx_json_text digits, char *out);

/* Keys in any order, unknown ones skipped, the first of equal ones taken. KX_JSON_EMPTY: white
 * space only. KX_JSON_NOT_OBJECT: does not begin with a brace. KX_JSON_NO_KEY: an object, but t, s
 * or d and x are missing or of another type. KX_JSON_SYNTAX: quotes or brackets that do not close,
 * or more behind the end. */
enum kx_json_result
kx_capture_parse(const char *line, size_t length, struct kx_capture_line *ret_line);

#endif
