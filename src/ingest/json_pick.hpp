/*
 * A few values out of an object's first level, by name. Private to json.cpp.
 */
#ifndef KX_INGEST_JSON_PICK_HPP
#define KX_INGEST_JSON_PICK_HPP

#include "ingest/json_values.hpp"

namespace
{
/* A text, a number, or neither: then the pick stays empty. */
error_code read_pick(State &state, ondemand::value &value, Pick &pick)
{
    error_code error = read_text(state, value, pick.text);
    if (error != simdjson::INCORRECT_TYPE)
        return error;
    error = read_double(value, pick.number);
    pick.has_number = error == SUCCESS;
    return error == simdjson::INCORRECT_TYPE || error == simdjson::NUMBER_OUT_OF_RANGE ? SUCCESS
                                                                                       : error;
}

kx_json_result
read_picks(State &state, const char *document, size_t length, Pick *picks, size_t count)
{
    ondemand::object object;
    const kx_json_result opened = open_object(state, document, length, object);
    if (opened != KX_JSON_OK)
        return opened;
    Fields fields(object);
    for (; fields.more; fields.next()) {
        for (size_t i = 0; i < count; i++) {
            const size_t key_length = strlen(picks[i].key);
            if (strncmp(fields.key, picks[i].key, key_length) != 0 || fields.key[key_length] != '"')
                continue;
            if (const error_code error = read_pick(state, fields.value, picks[i]))
                return result_of(error);
            break;
        }
    }
    return result_of(fields.error ? fields.error : at_end(state));
}
} // namespace

#endif
