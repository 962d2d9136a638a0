/*
 * Rules for text that strangers chose: whoever is in radio range names a device.
 *
 * Pure functions over bytes; no state, any thread. `text` arguments need no NUL.
 */
#ifndef KX_BASE_TEXT_H
#define KX_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kx_buf;

/* Length of the well-formed UTF-8 prefix (Unicode table 3-7: no overlong forms, surrogates, or
 * values above U+10FFFF). Equal to length when all of it is well-formed. */
size_t kx_text_utf8_valid(const char *text, size_t length);

/* Copies text to out, each maximal ill-formed part replaced by one U+FFFD (the practice that the
 * Unicode standard recommends, and what Python's errors="replace" does). out needs 3 * length
 * bytes. Returns the bytes written; *ret_repairs (may be NULL) counts the replacements. */
size_t kx_text_utf8_repair(const char *text, size_t length, char *out, size_t *ret_repairs);

/* The largest length <= limit that cuts well-formed UTF-8 on a character boundary. */
size_t kx_text_utf8_cut(const char *text, size_t length, size_t limit);

/* Appends text made safe for a terminal, a log line or any other human output: C0, DEL, C1, line
 * and paragraph separators, bidi and other invisible format controls, and ill-formed bytes each
 * become a visible replacement: U+FFFD for ill-formed bytes, \xNN text for C0 and DEL, \uNNNN (from
 * U+10000 \UNNNNNNNN) for the others, upper case. Printable text stays as it is, backslashes too.
 */
void kx_text_terminal(struct kx_buf *buf, const char *text, size_t length);

/* Appends a JSON document with what kx_text_terminal replaces as \uNNNN: the same document to any
 * JSON parser, and harmless to look at. Line breaks between its tokens are not expected. */
void kx_text_json_terminal(struct kx_buf *buf, const char *json, size_t length);

/* Appends text as the inside of a JSON string (no quotes): " and \ behind a backslash; C0, DEL and,
 * so that a careless viewer cannot be scripted, < > & U+2028 U+2029 as \uNNNN, upper case. Text
 * should be well-formed UTF-8; each maximal ill-formed part becomes U+FFFD. */
void kx_text_json(struct kx_buf *buf, const char *text, size_t length);

/* "AA:BB:CC:DD:EE:FF" in any case, with ':' or '-' or nothing between: the 48 bits, most
 * significant octet first. False when it is not a MAC; then *ret_mac is untouched. */
bool kx_text_mac(const char *text, size_t length, uint64_t *ret_mac);

enum { KX_TEXT_WORD_MAX = 127 };
/* Edit distance (insert, delete, replace) of at most `limit` between two NUL-terminated words, else
 * limit + 1: for "did you mean". A b above KX_TEXT_WORD_MAX bytes is unlike everything. */
size_t kx_text_distance(const char *a, const char *b, size_t limit);

#endif
