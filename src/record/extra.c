/* One walk over the object; values are put where their key belongs. */
#include "record/extra.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES_MAX = 64 }; /* ingest's longest has 24 */

struct walk {
    const char *at, *end; /* of the object's text */
    char *room;           /* where the next text goes; a text is never longer than its escapes */
};

static bool take(struct walk *walk, char byte)
{
    if (walk->at == walk->end || *walk->at != byte)
        return false;
    walk->at++;
    return true;
}

static bool take_word(struct walk *walk, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(walk->end - walk->at) < length || memcmp(walk->at, word, length) != 0)
        return false;
    walk->at += length;
    return true;
}

/* --- texts --- */

static int hex(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* A character below U+10000 as UTF-8, which is at most three bytes and so shorter than \uNNNN. */
static void put_character(struct walk *walk, unsigned character)
{
    if (character < 0x80) {
        *walk->room++ = (char)character;
        return;
    }
    if (character < 0x800) {
        *walk->room++ = (char)(0xc0 | character >> 6);
    } else {
        *walk->room++ = (char)(0xe0 | character >> 12);
        *walk->room++ = (char)(0x80 | (character >> 6 & 0x3f));
    }
    *walk->room++ = (char)(0x80 | (character & 0x3f));
}

/* Behind a backslash. What kx_text_json writes: " and \ behind one, else \uNNNN without
 * surrogates. */
static bool take_escape(struct walk *walk)
{
    if (walk->at < walk->end && (*walk->at == '"' || *walk->at == '\\')) {
        *walk->room++ = *walk->at++;
        return true;
    }
    if (!take(walk, 'u') || walk->end - walk->at < 4)
        return false;
    unsigned character = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex(*walk->at++);
        if (digit < 0)
            return false;
        character = character << 4 | (unsigned)digit;
    }
    if (character >= 0xd800 && character <= 0xdfff)
        return false;
    put_character(walk, character != 0 ? character : 0xfffd);
    return true;
}

static bool take_text(struct walk *walk, struct kx_extra_value *value)
{
    if (!take(walk, '"'))
        return false;
    value->text = walk->room;
    while (!take(walk, '"')) {
        if (walk->at == walk->end)
            return false;
        if (*walk->at != '\\')
            *walk->room++ = *walk->at++;
        else if (walk->at++, !take_escape(walk))
            return false;
    }
    value->length = (size_t)(walk->room - value->text);
    return true;
}

/* --- numbers --- */

/* A number's token, NUL-terminated. */
static bool take_token(struct walk *walk, char token[NUMBER_BYTES_MAX])
{
    size_t length = 0;
    size_t left = (size_t)(walk->end - walk->at);
    while (length < left && length < NUMBER_BYTES_MAX - 1 &&
           memchr("0123456789+-.eE", walk->at[length], 15) != NULL)
        length++;
    memcpy(token, walk->at, length);
    token[length] = '\0';
    walk->at += length;
    return length > 0;
}

static bool take_integer(struct walk *walk, struct kx_extra_value *value)
{
    char token[NUMBER_BYTES_MAX];
    char *end;
    if (!take_token(walk, token))
        return false;
    errno = 0;
    value->integer = strtoll(token, &end, 10);
    return *end == '\0' && errno == 0;
}

/* Nobody in this program sets a locale, so the point is a point. */
static bool take_number(struct walk *walk, struct kx_extra_value *value)
{
    char token[NUMBER_BYTES_MAX];
    char *end;
    if (!take_token(walk, token))
        return false;
    value->number = strtod(token, &end);
    return *end == '\0' && isfinite(value->number);
}

/* --- the object --- */

static bool take_value(struct walk *walk, enum kx_extra_type type, struct kx_extra_value *value)
{
    switch (type) {
    case KX_EXTRA_TEXT:
        return take_text(walk, value);
    case KX_EXTRA_INTEGER:
        return take_integer(walk, value);
    case KX_EXTRA_NUMBER:
        return take_number(walk, value);
    case KX_EXTRA_BOOL:
        value->boolean = take_word(walk, "true");
        return value->boolean || take_word(walk, "false");
    }
    return false;
}

/* Past a value that nobody wants, or that is of another type. */
static bool skip_value(struct walk *walk)
{
    struct kx_extra_value ignored;
    char token[NUMBER_BYTES_MAX];
    if (walk->at < walk->end && *walk->at == '"')
        return take_text(walk, &ignored);
    return take_word(walk, "true") || take_word(walk, "false") || take_token(walk, token);
}

static size_t column_of(const struct kx_extra_columns *columns, const char *key, size_t length)
{
    size_t i = 0;
    while (i < columns->count && (strlen(columns->items[i].name) != length ||
                                  memcmp(columns->items[i].name, key, length) != 0))
        i++;
    return i;
}

/* "key":value */
static bool
take_pair(struct walk *walk, const struct kx_extra_columns *columns, struct kx_extra_value *values)
{
    if (!take(walk, '"'))
        return false;
    const char *key = walk->at;
    const char *close = memchr(key, '"', (size_t)(walk->end - key));
    if (close == NULL)
        return false;
    size_t column = column_of(columns, key, (size_t)(close - key));
    walk->at = close + 1;
    if (!take(walk, ':'))
        return false;
    const struct walk start = *walk;
    if (column < columns->count) {
        values[column].known = take_value(walk, columns->items[column].type, &values[column]);
        if (values[column].known)
            return true;
        *walk = start;
    }
    return skip_value(walk);
}

void kx_extra_read(const struct kx_device *device,
                   const struct kx_extra_columns *columns,
                   struct kx_extra_value ret_values[KX_EXTRA_COLUMNS_MAX],
                   char room[KX_EXTRA_BYTES_MAX])
{
    for (size_t i = 0; i < columns->count; i++)
        ret_values[i] = (struct kx_extra_value){.known = false};
    if (!kx_record_has(&device->head, KX_F_EXTRA) || device->extra.length > KX_EXTRA_BYTES_MAX)
        return;
    struct walk walk = {.at = kx_record_text(&device->head, device->extra), .room = room};
    walk.end = walk.at + device->extra.length;
    if (!take(&walk, '{'))
        return;
    do {
        if (!take_pair(&walk, columns, ret_values))
            return;
    } while (take(&walk, ','));
}
