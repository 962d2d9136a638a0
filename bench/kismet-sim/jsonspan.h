/* Finds values in raw JSON text without parsing it into anything: a value is a span of the text.
 * So numbers and ill-formed UTF-8 are passed on byte for byte, which is what this program is for.
 *
 * Owns nothing. Threads: any. It never reads past the end and never recurses; what is malformed is
 * reported (NULL, false) where it is met, not looked for elsewhere. */
#pragma once

#include "text.h"

/* Where the value that begins at `at` ends; NULL when it is cut off or no value begins there. */
const char *json_end(const char *at, const char *end);
/* The single value of a whole document, without the white space around it; .at = NULL if malformed.
 */
struct span json_document(const char *at, size_t length);

struct json_walk {
    const char *at;
    const char *end;
    bool bad; /* stopped at something malformed */
};

bool json_object(struct span value, struct json_walk *walk);
/* Key without its quotes and still escaped. False at the end and when malformed (walk->bad). */
bool json_member(struct json_walk *walk, struct span *ret_key, struct span *ret_value);
bool json_array(struct span value, struct json_walk *walk);
bool json_element(struct json_walk *walk, struct span *ret_value);

/* The member `key` of an object; .at = NULL when there is none. */
struct span json_get(struct span object, const char *key);
bool json_is_string(struct span value);
bool span_is(struct span s, const char *text);
/* Unescapes a JSON string (with its quotes) into a new C string; NULL when it is not a string. */
char *json_text(struct span value);
/* False when it is not a number; an integer has no fraction and no exponent. */
bool json_integer(struct span value, int64_t *ret_number);
bool json_number(struct span value, double *ret_number);
