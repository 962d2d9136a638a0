/*
 * Strangers' text: checked and repaired as UTF-8, made safe for people and for JSON.
 *
 * Nearly all of it is plain ASCII, so each loop looks at eight bytes at once and leaves them by
 * their whole run; only what needs care is looked at byte by byte.
 */
#include "base/text.h"
#include "base/buf.h"
#include <string.h>

static const uint64_t ONES = 0x0101010101010101u; /* times b: b in each of the eight bytes */
static const uint64_t HIGHS = 0x8080808080808080u;
static const char REPLACEMENT[3] = "\xef\xbf\xbd"; /* U+FFFD */

/* Eight bytes, the first the least significant, whatever the machine's order. */
static uint64_t load8(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/*
 * Each mark_x sets the high bit of the bytes that it looks for. A carry or borrow may mark others
 * too, but only above a byte that is marked rightly: the first mark is always right.
 */
static uint64_t mark_zero(uint64_t word)
{
    return (word - ONES) & ~word & HIGHS;
}

/* All but 0x20..0x7e. */
static uint64_t mark_unprintable(uint64_t word)
{
    return (word | (word + ONES) | ((word - ONES * 0x20) & ~word)) & HIGHS;
}

/* " & < > and \. */
static uint64_t mark_json_special(uint64_t word)
{
    return mark_zero((word | (ONES * 0x04)) ^ (ONES * 0x26)) | /* " is &, less bit 2 */
           mark_zero((word | (ONES * 0x02)) ^ (ONES * 0x3e)) | /* < is >, less bit 1 */
           mark_zero(word ^ (ONES * 0x5c));
}

static size_t first_mark(uint64_t marks)
{
    return (size_t)__builtin_ctzll(marks) / 8;
}

/* One character, or one maximal ill-formed part, at a byte above 0x7f. */
struct unit {
    size_t length;
    bool valid;
    uint32_t point; /* when valid */
};

/* Unicode 15, table 3-7: the lead byte says how many follow and narrows the first of them. */
static struct unit read_unit(const unsigned char *at, size_t left)
{
    unsigned lead = at[0];
    struct unit unit = {.length = 1};
    if (lead < 0xc2 || lead > 0xf4)
        return unit;
    size_t needed = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    unit.point = lead & (0xffu >> (needed + 1));
    while (unit.length < needed && unit.length < left) {
        unsigned next = at[unit.length];
        if (next < low || next > high)
            return unit;
        unit.point = unit.point << 6 | (next & 0x3f);
        unit.length++;
        low = 0x80;
        high = 0xbf;
    }
    unit.valid = unit.length == needed;
    return unit;
}

static struct unit unit_at(const char *text, size_t at, size_t length)
{
    return read_unit((const unsigned char *)text + at, length - at);
}

static size_t skip_ascii(const char *text, size_t at, size_t length)
{
    for (; length - at >= 8; at += 8) {
        uint64_t marks = load8(text + at) & HIGHS;
        if (marks != 0)
            return at + first_mark(marks);
    }
    while (at < length && (unsigned char)text[at] < 0x80)
        at++;
    return at;
}

size_t kx_text_utf8_valid(const char *text, size_t length)
{
    size_t at = 0;
    while ((at = skip_ascii(text, at, length)) < length) {
        struct unit unit = unit_at(text, at, length);
        if (!unit.valid)
            break;
        at += unit.length;
    }
    return at;
}

size_t kx_text_utf8_repair(const char *text, size_t length, char *out, size_t *ret_repairs)
{
    size_t repairs = 0;
    size_t written = 0;
    size_t at = 0;
    while (at < length) {
        size_t good = kx_text_utf8_valid(text + at, length - at);
        memcpy(out + written, text + at, good);
        written += good;
        at += good;
        if (at == length)
            break;
        memcpy(out + written, REPLACEMENT, sizeof REPLACEMENT);
        written += sizeof REPLACEMENT;
        at += unit_at(text, at, length).length;
        repairs++;
    }
    if (ret_repairs != NULL)
        *ret_repairs = repairs;
    return written;
}

size_t kx_text_utf8_cut(const char *text, size_t length, size_t limit)
{
    if (length <= limit)
        return length;
    for (size_t back = 0; back < 4 && back <= limit; back++)
        if (((unsigned char)text[limit - back] & 0xc0) != 0x80)
            return limit - back;
    return limit; /* not UTF-8: there is no boundary to keep */
}

/* What a terminal obeys or a reader cannot see. */
static bool is_hidden(uint32_t point)
{
    if (point < 0xa0) /* C1; 0x80..0x9f is all that comes here */
        return true;
    if (point < 0x2000)
        return point == 0xad || point == 0x061c || point == 0x180e;
    if (point < 0x2070)
        return (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
               point >= 0x2060;
    return point == 0xfeff || (point >= 0xfff9 && point <= 0xfffb) ||
           (point >= 0xe0000 && point <= 0xe007f);
}

/* A backslash, the letter, and the point in so many hexadecimal digits. */
static void put_escape(struct kx_buf *buf, char letter, uint32_t point, size_t digits)
{
    char text[10] = {'\\', letter};
    for (size_t i = digits; i > 0; i--, point >>= 4)
        text[1 + i] = "0123456789ABCDEF"[point & 15];
    kx_buf_bytes(buf, text, 2 + digits);
}

static void put_visible(struct kx_buf *buf, uint32_t point)
{
    if (point < 0x80)
        put_escape(buf, 'x', point, 2);
    else if (point < 0x10000)
        put_escape(buf, 'u', point, 4);
    else
        put_escape(buf, 'U', point, 8);
}

/* The same as what JSON calls an escape; a surrogate pair above U+FFFF. */
static void put_json_escape(struct kx_buf *buf, uint32_t point)
{
    if (point >= 0x10000) {
        put_escape(buf, 'u', 0xd7c0 + (point >> 10), 4);
        point = 0xdc00 | (point & 0x3ff);
    }
    put_escape(buf, 'u', point, 4);
}

static bool is_printable(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f;
}

static size_t skip_printable(const char *text, size_t at, size_t length)
{
    for (; length - at >= 8; at += 8) {
        uint64_t marks = mark_unprintable(load8(text + at));
        if (marks != 0)
            return at + first_mark(marks);
    }
    while (at < length && is_printable((unsigned char)text[at]))
        at++;
    return at;
}

/* Copies text but for what a terminal obeys; put writes that in its stead. */
static void put_harmless(struct kx_buf *buf,
                         const char *text,
                         size_t length,
                         void (*put)(struct kx_buf *, uint32_t))
{
    size_t run = 0; /* from here to `at` all is harmless and not yet copied */
    size_t at = 0;
    while ((at = skip_printable(text, at, length)) < length) {
        unsigned char byte = (unsigned char)text[at];
        struct unit unit = {.length = 1, .valid = true, .point = byte};
        if (byte >= 0x80)
            unit = unit_at(text, at, length);
        if (byte >= 0x80 && unit.valid && !is_hidden(unit.point)) {
            at += unit.length;
            continue;
        }
        kx_buf_bytes(buf, text + run, at - run);
        if (unit.valid)
            put(buf, unit.point);
        else
            kx_buf_bytes(buf, REPLACEMENT, sizeof REPLACEMENT);
        at += unit.length;
        run = at;
    }
    kx_buf_bytes(buf, text + run, length - run);
}

void kx_text_terminal(struct kx_buf *buf, const char *text, size_t length)
{
    put_harmless(buf, text, length, put_visible);
}

void kx_text_json_terminal(struct kx_buf *buf, const char *json, size_t length)
{
    put_harmless(buf, json, length, put_json_escape);
}

static bool is_json_plain(unsigned char byte)
{
    return is_printable(byte) && byte != '"' && byte != '\\' && byte != '<' && byte != '>' &&
           byte != '&';
}

static size_t skip_json_plain(const char *text, size_t at, size_t length)
{
    for (; length - at >= 8; at += 8) {
        uint64_t word = load8(text + at);
        uint64_t marks = mark_unprintable(word) | mark_json_special(word);
        if (marks != 0)
            return at + first_mark(marks);
    }
    while (at < length && is_json_plain((unsigned char)text[at]))
        at++;
    return at;
}

void kx_text_json(struct kx_buf *buf, const char *text, size_t length)
{
    size_t run = 0;
    size_t at = 0;
    while ((at = skip_json_plain(text, at, length)) < length) {
        unsigned char byte = (unsigned char)text[at];
        struct unit unit = {.length = 1, .valid = true, .point = byte};
        if (byte >= 0x80)
            unit = unit_at(text, at, length);
        if (byte >= 0x80 && unit.valid && unit.point != 0x2028 && unit.point != 0x2029) {
            at += unit.length;
            continue;
        }
        kx_buf_bytes(buf, text + run, at - run);
        if (byte == '"' || byte == '\\')
            kx_buf_bytes(buf, byte == '"' ? "\\\"" : "\\\\", 2);
        else if (unit.valid)
            put_escape(buf, 'u', unit.point, 4);
        else
            kx_buf_bytes(buf, REPLACEMENT, sizeof REPLACEMENT);
        at += unit.length;
        run = at;
    }
    kx_buf_bytes(buf, text + run, length - run);
}

/* A hexadecimal digit's value plus one; 0 is no digit. A table, because in an address digits and
 * letters change at random: six times faster than branches, which are guessed wrong half the time.
 */
static const uint8_t HEX[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* Above 15 when it is no digit. */
static unsigned hex_value(char digit)
{
    return HEX[(unsigned char)digit] - 1u;
}

bool kx_text_mac(const char *text, size_t length, uint64_t *ret_mac)
{
    enum { OCTETS = 6 };
    size_t stride = length == OCTETS * 2 ? 2 : 3;
    if (stride == 3) {
        if (length != OCTETS * 3 - 1 || (text[2] != ':' && text[2] != '-'))
            return false;
        for (size_t at = 5; at < length; at += 3)
            if (text[at] != text[2])
                return false;
    }
    uint64_t mac = 0;
    unsigned seen = 0;
    for (size_t i = 0; i < OCTETS; i++) {
        unsigned high = hex_value(text[i * stride]);
        unsigned low = hex_value(text[i * stride + 1]);
        seen |= high | low;
        mac = mac << 8 | (high << 4 | low);
    }
    if (seen > 15)
        return false;
    *ret_mac = mac;
    return true;
}

size_t kx_text_distance(const char *a, const char *b, size_t limit)
{
    size_t row[KX_TEXT_WORD_MAX + 1]; /* distances of a's first i bytes to b's first 0..n */
    size_t rows = strlen(a);
    size_t columns = strlen(b);
    size_t apart = rows > columns ? rows - columns : columns - rows;
    if (apart > limit || columns > KX_TEXT_WORD_MAX)
        return limit + 1;
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = row[0];
        size_t best = row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t distance = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < distance)
                distance = row[j] + 1;
            if (row[j - 1] + 1 < distance)
                distance = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = distance;
            if (distance < best)
                best = distance;
        }
        if (best > limit) /* it never falls again */
            return limit + 1;
    }
    return row[columns] <= limit ? row[columns] : limit + 1;
}
