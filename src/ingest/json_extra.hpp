/*
 * The fields that a source's configuration asked for beside ours, into one object. Private to
 * json.cpp.
 *
 * Their keys are "extra_0" and on, by their place in the configuration; they come behind ours and
 * are rare, so nothing here is inlined.
 */
#ifndef KX_INGEST_JSON_EXTRA_HPP
#define KX_INGEST_JSON_EXTRA_HPP

#include "ingest/json_values.hpp"

namespace
{
static_assert(KX_EXTRA_FIELDS_MAX <= 32, "a bit of Extra::seen each");

/* The field of that key, or null. */
const kx_extra_field *expected_field(State &state, const char *key)
{
    static constexpr string_view prefix = "extra_";
    if (!state.expected || strncmp(key, prefix.data(), prefix.size()) != 0)
        return nullptr;
    const char *digits = key + prefix.size();
    size_t index = 0;
    size_t count = 0;
    for (; count < 2 && digits[count] >= '0' && digits[count] <= '9'; count++)
        index = index * 10 + static_cast<size_t>(digits[count] - '0');
    if (count == 0 || digits[count] != '"' || index >= state.expected->count ||
        (state.extra.seen >> index & 1) != 0)
        return nullptr;
    state.extra.seen |= 1u << index;
    return &state.expected->items[index];
}

/* A bool, or 0 or 1. */
error_code read_bool(ondemand::value value, bool &ret_bool)
{
    if (!value.get_bool().get(ret_bool))
        return SUCCESS;
    int64_t number = 0;
    if (const error_code error = read_integer(value, number))
        return error;
    if (number != 0 && number != 1)
        return simdjson::INCORRECT_TYPE;
    ret_bool = number == 1;
    return SUCCESS;
}

/* Appends the value, if it is of the type. */
error_code write_extra(State &state, kx_extra_type type, ondemand::value value)
{
    kx_buf *out = &state.extra.buf;
    kx_json_text text = {};
    int64_t integer = 0;
    double number = 0;
    bool boolean = false;
    error_code error = SUCCESS;
    switch (type) {
    case KX_EXTRA_TEXT:
        error = read_text(state, value, text);
        if (error)
            return error;
        kx_buf_byte(out, '"');
        kx_text_json(out, text.data, text.length);
        kx_buf_byte(out, '"');
        return SUCCESS;
    case KX_EXTRA_INTEGER:
        error = read_integer(value, integer);
        if (!error)
            kx_buf_i64(out, integer);
        return error;
    case KX_EXTRA_NUMBER:
        error = read_double(value, number);
        if (!error)
            kx_buf_f64(out, number);
        return error;
    case KX_EXTRA_BOOL:
        error = read_bool(value, boolean);
        if (!error)
            kx_buf_text(out, boolean ? "true" : "false");
        return error;
    }
    return SUCCESS;
}

/* A key that is none of ours, and its value. Only a fault of structure is an error. */
KX_COLD error_code read_extra(State &state, const char *key, ondemand::value value)
{
    const kx_extra_field *field = expected_field(state, key);
    if (!field)
        return SUCCESS;
    kx_buf *out = &state.extra.buf;
    const size_t start = out->length;
    kx_buf_text(out, start == 0 ? "{\"" : ",\"");
    kx_buf_text(out, field->as); /* it was checked: nothing to escape */
    kx_buf_text(out, "\":");
    const error_code error = write_extra(state, field->type, value);
    if (!error)
        return SUCCESS;
    kx_buf_truncate(out, start);
    return no_number(state, error, value.raw_json_token());
}

/* The object; empty when there is nothing in it. */
kx_json_text end_extra(State &state)
{
    kx_buf *out = &state.extra.buf;
    if (out->length == 0)
        return {};
    kx_buf_byte(out, '}');
    if (!out->failed)
        return {out->data, out->length};
    state.notes.range++;
    return {};
}
} // namespace

#endif
