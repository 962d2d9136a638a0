/*
 * One message in simdjson's hands: opening and repairing it, walking an object's fields, reading
 * values. Private to json.cpp.
 *
 * Rules of On-Demand that shape the code: a value is read once and in the document's order; after
 * the first fault of structure the document is done with; a read of the wrong type leaves the value
 * where it is, and the next step over it skips it.
 */
#ifndef KX_INGEST_JSON_VALUES_HPP
#define KX_INGEST_JSON_VALUES_HPP

extern "C" {
#include "base/buf.h"
#include "base/text.h"
}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* C's functions may be named like its structs */
#include "ingest/json.h"
#pragma GCC diagnostic pop
extern "C" {
#include "config/extra.h"
#include "ingest/json_text.h"
}
#define SIMDJSON_EXCEPTIONS 0
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <simdjson.h>
#include <string_view>
#include <utility>

namespace
{
namespace ondemand = simdjson::ondemand;
using simdjson::error_code;
using simdjson::SUCCESS;
using std::string_view;

/* C++ knows the structs by these names, since functions of C hide theirs. */
using Device = struct kx_json_device;
using Event = struct kx_json_event;
using Pick = struct kx_json_pick;

static_assert(KX_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "json.h promises enough");

constexpr size_t CAPACITY_MIN = 64 << 10; /* bytes of a document without an allocation */
constexpr size_t CAPACITY_KEPT = 1 << 20; /* a parser grown beyond gives its memory back */

/* Bytes that live until the next message. */
class Scratch
{
  public:
    Scratch() = default;
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
    ~Scratch()
    {
        free(bytes);
    }
    /* At least size bytes with undefined content, or null. */
    char *reserve(size_t size)
    {
        if (size > capacity || (capacity > CAPACITY_KEPT && size <= CAPACITY_KEPT)) {
            free(bytes);
            bytes = static_cast<char *>(malloc(size));
            capacity = bytes ? size : 0;
        }
        return bytes;
    }

  private:
    char *bytes = nullptr;
    size_t capacity = 0;
};

/* The object that is made of the fields beside ours. */
class Extra
{
  public:
    kx_buf buf;
    uint32_t seen; /* bit (1 << index) */

    Extra()
    {
        kx_buf_init(&buf, BYTES_MAX);
    }
    Extra(const Extra &) = delete;
    Extra &operator=(const Extra &) = delete;
    ~Extra()
    {
        kx_buf_fini(&buf);
    }
    void begin()
    {
        if (buf.capacity > CAPACITY_KEPT)
            kx_buf_fini(&buf);
        kx_buf_clear(&buf);
        seen = 0;
    }

  private:
    static constexpr size_t BYTES_MAX = 64 << 20; /* above what a message can hold */
};

/* What one message is read with. */
struct State {
    ondemand::parser parser;
    ondemand::document document;
    Scratch repaired;   /* the message without its ill-formed UTF-8 */
    Scratch mended;     /* texts that simdjson refuses */
    size_t mended_used; /* bytes; 0 = mended is not reserved yet */
    size_t length;      /* of the message: no text can be longer, nor all of them together */
    kx_json_notes notes;
    char number[24];                 /* an alert's hash, handed out as a text */
    const kx_extra_fields *expected; /* null = none */
    Extra extra;
};

kx_json_result result_of(error_code error)
{
    switch (error) {
    case simdjson::SUCCESS:
        return KX_JSON_OK;
    case simdjson::EMPTY:
        return KX_JSON_EMPTY;
    case simdjson::DEPTH_ERROR:
        return KX_JSON_DEPTH;
    case simdjson::MEMALLOC:
    case simdjson::CAPACITY:
        return KX_JSON_NOMEM;
    default:
        return KX_JSON_SYNTAX;
    }
}

/* --- the document --- */

/* Room in the parser for a document of that length: powers of two, so that growing ends soon. */
error_code make_room(State &state, size_t length)
{
    const size_t capacity = state.parser.capacity();
    const bool shrink = capacity > CAPACITY_KEPT && length <= CAPACITY_KEPT;
    if (length <= capacity && !shrink)
        return SUCCESS;
    size_t wanted = CAPACITY_MIN;
    while (wanted < length)
        wanted *= 2;
    /* simdjson 3.0 does not look whether it got its text buffer; ask for as much before it does. */
    void *probe = malloc(2 * wanted);
    if (!probe)
        return simdjson::MEMALLOC;
    free(probe);
    return state.parser.allocate(wanted);
}

error_code iterate(State &state, const char *text, size_t length)
{
    if (const error_code error = make_room(state, length))
        return error;
    state.length = length;
    state.mended_used = 0;
    return state.parser.iterate(text, length, length + KX_JSON_PADDING).get(state.document);
}

/* The message with each ill-formed part replaced, parsed again. */
error_code iterate_repaired(State &state, const char *text, size_t length)
{
    char *copy = state.repaired.reserve(3 * length + KX_JSON_PADDING);
    if (!copy)
        return simdjson::MEMALLOC;
    size_t repairs = 0;
    const size_t repaired = kx_text_utf8_repair(text, length, copy, &repairs);
    memset(copy + repaired, 0, KX_JSON_PADDING);
    state.notes.utf8 += static_cast<uint32_t>(repairs);
    return iterate(state, copy, repaired);
}

/* What a message is that does not begin with a brace; only its first byte is looked at. */
kx_json_result not_an_object(const char *text, size_t length)
{
    const size_t start = string_view(text, length).find_first_not_of(" \t\r\n");
    const char first = start < length ? text[start] : '\0';
    return first != '\0' && strchr("[\"-0123456789tfn", first) ? KX_JSON_NOT_OBJECT
                                                               : KX_JSON_SYNTAX;
}

kx_json_result
open_object(State &state, const char *text, size_t length, ondemand::object &ret_object)
{
    if (length == 0)
        return KX_JSON_EMPTY;
    error_code error = iterate(state, text, length);
    if (error == simdjson::UTF8_ERROR)
        error = iterate_repaired(state, text, length);
    if (error)
        return result_of(error);
    error = state.document.get_object().get(ret_object);
    if (error == simdjson::INCORRECT_TYPE)
        return not_an_object(text, length);
    return result_of(error);
}

/* Whether the object that was walked to its end is the whole message. */
error_code at_end(State &state)
{
    return state.document.current_location().error() == simdjson::OUT_OF_BOUNDS
               ? SUCCESS
               : simdjson::TRAILING_CONTENT;
}

/* One pass over the fields of an object. A false `more` is the end or, when error is set, a fault
 * of structure. */
class Fields
{
  public:
    const char *key; /* raw, behind its opening quote; 32 bytes may be read */
    ondemand::value value;
    bool more;
    error_code error;

    explicit Fields(ondemand::object &object) : at(object.begin()), end(object.end())
    {
        load();
    }
    void next()
    {
        ++at;
        load();
    }

  private:
    simdjson::simdjson_result<ondemand::object_iterator> at, end;

    void load()
    {
        static constexpr char none[32] = {}; /* equals no key */
        ondemand::field field;
        key = none;
        error = SUCCESS;
        more = at != end;
        if (!more)
            return;
        error = (*at).get(field);
        more = error == SUCCESS;
        if (!more)
            return;
        key = field.key().raw();
        value = field.value();
    }
};

/* --- values ---
 * What is common is inlined where it is used; what is rare stands in functions of its own, which
 * take the value by value: its address never leaves the loop that walks the fields, so it lives in
 * registers there. */

#define KX_HOT [[gnu::always_inline]] inline
#define KX_COLD [[gnu::noinline]]

string_view trimmed(string_view token)
{
    while (!token.empty() && strchr(" \t\r\n", token.back()))
        token.remove_suffix(1);
    return token;
}

/* A scalar's own characters; a container's bracket. Also after the value was read. */
string_view token_of(ondemand::value value)
{
    return trimmed(value.raw_json_token());
}

/* A value of another type than its field has: absent. Kismet's 0 for what it does not have and
 * null are not worth a note. */
KX_COLD error_code absent(State &state, string_view token)
{
    token = trimmed(token);
    const char first = token.empty() ? '\0' : token.front();
    if (token == "0" || token == "null")
        return SUCCESS;
    if (first != '{' && first != '[' && first != '"' && token != "true" && token != "false" &&
        !kx_json_number_valid(token.data(), token.size()))
        return simdjson::TAPE_ERROR;
    state.notes.wrong_type++;
    return SUCCESS;
}

/* Decodes what stands between the quotes to bytes of our own. */
KX_COLD error_code mend_text(State &state, string_view raw, kx_json_text &ret_text)
{
    char *mended = state.mended.reserve(state.length);
    if (!mended)
        return simdjson::MEMALLOC;
    mended += state.mended_used;
    size_t length;
    if (!kx_json_unescape(raw.data(), raw.size(), mended, &length, &state.notes))
        return simdjson::STRING_ERROR;
    state.mended_used += length;
    ret_text = {mended, length};
    return SUCCESS;
}

/* A text that simdjson refused, or one with escapes: it may hold a NUL. */
KX_COLD error_code check_text(State &state,
                              string_view token,
                              error_code error,
                              kx_json_text &ret_text)
{
    if (!error && !memchr(ret_text.data, 0, ret_text.length))
        return SUCCESS;
    if (error && error != simdjson::STRING_ERROR)
        return error;
    token = trimmed(token);
    return mend_text(state, token.substr(1, token.size() - 2), ret_text);
}

/* INCORRECT_TYPE is the caller's matter. */
KX_HOT error_code read_text(State &state, ondemand::value value, kx_json_text &ret_text)
{
    string_view text;
    const error_code error = value.get_string().get(text);
    if (error == simdjson::INCORRECT_TYPE)
        return error;
    /* Member by member: a struct made here and copied there waits for its own stores. */
    ret_text.data = text.data();
    ret_text.length = text.size();
    /* Without escapes a text is as long as its token without the quotes. */
    const string_view token = value.raw_json_token();
    if (error || text.size() + 2 != token.size())
        return check_text(state, token, error, ret_text);
    return SUCCESS;
}

/* INCORRECT_TYPE: no number. NUMBER_OUT_OF_RANGE: no double holds it. */
KX_COLD error_code no_double(string_view token)
{
    token = trimmed(token);
    return kx_json_number_valid(token.data(), token.size()) ? simdjson::NUMBER_OUT_OF_RANGE
                                                            : simdjson::INCORRECT_TYPE;
}

KX_HOT error_code read_double(ondemand::value value, double &ret_double)
{
    double number;
    if (value.get_double().get(number) || !std::isfinite(number))
        return no_double(value.raw_json_token());
    ret_double = number;
    return SUCCESS;
}

/* INCORRECT_TYPE: no whole number. NUMBER_OUT_OF_RANGE: no int64, or a whole number in a double's
 * notation beyond 2^53, where doubles no longer tell neighbours apart. */
KX_COLD error_code read_whole_double(ondemand::value value, int64_t &ret_integer)
{
    constexpr double exact_max = 9007199254740992.0;
    double number = 0;
    if (const error_code error = read_double(value, number))
        return error;
    if (number != std::trunc(number))
        return simdjson::INCORRECT_TYPE;
    if (std::fabs(number) > exact_max)
        return simdjson::NUMBER_OUT_OF_RANGE;
    ret_integer = static_cast<int64_t>(number);
    return SUCCESS;
}

KX_HOT error_code read_integer(ondemand::value value, int64_t &ret_integer)
{
    int64_t integer;
    if (value.get_int64().get(integer))
        return read_whole_double(value, ret_integer);
    ret_integer = integer;
    return SUCCESS;
}

/* A value that could not be read: only a fault of structure ends the reading. */
KX_COLD error_code no_number(State &state, error_code error, string_view token)
{
    if (error == simdjson::INCORRECT_TYPE)
        return absent(state, token);
    if (error != simdjson::NUMBER_OUT_OF_RANGE)
        return error;
    state.notes.range++;
    return SUCCESS;
}

/* An array of exactly two numbers. INCORRECT_TYPE, NUMBER_OUT_OF_RANGE as of a double. */
KX_HOT error_code read_pair(ondemand::value value, double (&ret_pair)[2])
{
    ondemand::array array;
    double pair[2];
    size_t count = 0;
    if (const error_code error = value.get_array().get(array))
        return error;
    for (auto element : array) {
        ondemand::value number;
        if (const error_code error = element.get(number))
            return error;
        if (count == 2)
            return simdjson::INCORRECT_TYPE;
        if (const error_code error = read_double(number, pair[count]))
            return error;
        count++;
    }
    if (count != 2)
        return simdjson::INCORRECT_TYPE;
    ret_pair[0] = pair[0];
    ret_pair[1] = pair[1];
    return SUCCESS;
}
} // namespace

#endif
