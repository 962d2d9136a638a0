/*
 * The floor of bench_json: simdjson alone, every field of a frame read in the document's order and
 * nothing done with it.
 */
#define SIMDJSON_EXCEPTIONS 0
#include <new>
#include <simdjson.h>
#include <utility>

namespace
{
namespace ondemand = simdjson::ondemand;

/* Enough of the value to keep the reading of it in the program. */
uint64_t read(ondemand::value value)
{
    switch (*value.raw_json_token().data()) {
    case '"': {
        std::string_view text;
        return value.get_string().get(text) ? 0 : text.size();
    }
    case '[': {
        uint64_t sum = 0;
        for (auto element : value.get_array()) {
            double number;
            if (!element.get_double().get(number))
                sum += number > 0;
        }
        return sum;
    }
    default: {
        int64_t integer;
        double number;
        if (!value.get_int64().get(integer))
            return static_cast<uint64_t>(integer);
        return value.get_double().get(number) ? 0 : number > 0;
    }
    }
}
} // namespace

extern "C" {
struct floor {
    ondemand::parser parser;
    uint64_t seen;
};

floor *floor_create(void);
size_t floor_visit(floor *self, const char *text, size_t length);

floor *floor_create(void)
{
    return new (std::nothrow) floor();
}

size_t floor_visit(floor *self, const char *text, size_t length)
{
    ondemand::document document;
    ondemand::object object;
    size_t fields = 0;
    if (self->parser.iterate(text, length, length + simdjson::SIMDJSON_PADDING).get(document) ||
        document.get_object().get(object))
        return 0;
    for (auto result : object) {
        ondemand::field field;
        if (std::move(result).get(field))
            return 0;
        self->seen += static_cast<unsigned char>(*field.key().raw()) + read(field.value());
        fields++;
    }
    return fields;
}
}
