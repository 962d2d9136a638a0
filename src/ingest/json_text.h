/*
 * What of JSON we read ourselves, because simdjson refuses it and Kismet's users still want it: a
 * text with half a surrogate pair or a NUL, and the question whether a number that no type of ours
 * holds is a number at all.
 *
 * Pure; any thread.
 */
#ifndef KX_INGEST_JSON_TEXT_H
#define KX_INGEST_JSON_TEXT_H

#include "ingest/json.h"

/*
 * Decodes the inside of a JSON string (raw, length: no quotes, well-formed UTF-8) to out, which
 * needs length bytes. A lone surrogate and \u0000 become U+FFFD and are counted in notes. False for
 * an escape that JSON does not know.
 */
bool kx_json_unescape(
    const char *raw, size_t length, char *out, size_t *ret_length, struct kx_json_notes *notes);

/* Bytes from behind a JSON string's opening quote to its closing one, which must be there;
 * *ret_escaped says whether there are escapes between. */
size_t kx_json_raw_length(const char *raw, bool *ret_escaped);

/* Whether text is one number of JSON's grammar, whatever its size. */
bool kx_json_number_valid(const char *text, size_t length);

#endif
