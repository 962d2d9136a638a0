/*
 * A simplified device record into struct kx_json_device. Private to json.cpp.
 */
#ifndef KX_INGEST_JSON_DEVICE_HPP
#define KX_INGEST_JSON_DEVICE_HPP

#include "ingest/json_extra.hpp"
#include <array>
#include <cstddef>
#include <ctime>

namespace
{
enum Slot : unsigned {
#define KX_FIELD(alias, path) SLOT_##alias,
#include "ingest/fields.def"
    SLOTS
};
static_assert(SLOTS <= 32, "a bit of DeviceReader::seen each");

/* Where the value of a field goes. */
enum class Kind : uint8_t { text, integer, number, point };
struct Target {
    Kind kind;
    kx_json_field bit; /* not of a text */
    size_t offset;     /* in struct kx_json_device */
};

constexpr Target text_at(size_t offset)
{
    return {Kind::text, kx_json_field(), offset};
}

constexpr Target integer_at(kx_json_field bit, size_t offset)
{
    return {Kind::integer, bit, offset};
}

constexpr Target target_of(Slot slot)
{
    using D = Device;
    switch (slot) {
    case SLOT_key:
        return text_at(offsetof(D, key));
    case SLOT_server_uuid:
        return text_at(offsetof(D, server_uuid));
    case SLOT_mac_addr:
        return text_at(offsetof(D, mac_addr));
    case SLOT_name:
        return text_at(offsetof(D, name));
    case SLOT_common_name:
        return text_at(offsetof(D, common_name));
    case SLOT_username:
        return text_at(offsetof(D, username));
    case SLOT_phy_type:
        return text_at(offsetof(D, phy_type));
    case SLOT_manufacturer:
        return text_at(offsetof(D, manufacturer));
    case SLOT_device_type:
        return text_at(offsetof(D, device_type));
    case SLOT_crypt:
        return text_at(offsetof(D, crypt));
    case SLOT_first_seen:
        return integer_at(KX_J_FIRST_SEEN, offsetof(D, first_seen));
    case SLOT_last_seen:
        return integer_at(KX_J_LAST_SEEN, offsetof(D, last_seen));
    case SLOT_mod_time:
        return integer_at(KX_J_MOD_TIME, offsetof(D, mod_time));
    case SLOT_channel:
        return text_at(offsetof(D, channel));
    case SLOT_frequency:
        return integer_at(KX_J_FREQUENCY, offsetof(D, frequency));
    case SLOT_total_packets:
        return integer_at(KX_J_TOTAL_PACKETS, offsetof(D, total_packets));
    case SLOT_tx_packets:
        return integer_at(KX_J_TX_PACKETS, offsetof(D, tx_packets));
    case SLOT_rx_packets:
        return integer_at(KX_J_RX_PACKETS, offsetof(D, rx_packets));
    case SLOT_data_size:
        return integer_at(KX_J_DATA_SIZE, offsetof(D, data_size));
    case SLOT_num_alerts:
        return integer_at(KX_J_NUM_ALERTS, offsetof(D, num_alerts));
    case SLOT_signal_dbm:
        return integer_at(KX_J_SIGNAL, offsetof(D, signal_dbm));
    case SLOT_noise_dbm:
        return integer_at(KX_J_NOISE, offsetof(D, noise_dbm));
    case SLOT_signal_type:
        return text_at(offsetof(D, signal_type));
    case SLOT_geopoint:
        return {Kind::point, KX_J_GEOPOINT, 0};
    case SLOT_altitude:
        return {Kind::number, KX_J_ALTITUDE, offsetof(D, altitude)};
    case SLOT_fix:
        return integer_at(KX_J_FIX, offsetof(D, fix));
    case SLOTS:
        break;
    }
    return text_at(0);
}

/* A key as two words, so that comparing costs two loads and no call. The closing quote belongs to
 * it: it ends the key. */
struct SlotKey {
    uint64_t words[2];
    uint64_t masks[2]; /* 1 bits where the key has bytes */
};

constexpr uint64_t byte_in_word(unsigned char byte, size_t place)
{
    const size_t shift = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? place : 7 - place;
    return static_cast<uint64_t>(byte) << (8 * shift);
}

constexpr SlotKey slot_key(string_view key)
{
    SlotKey made = {};
    for (size_t i = 0; i < key.size(); i++) {
        made.words[i / 8] |= byte_in_word(static_cast<unsigned char>(key[i]), i % 8);
        made.masks[i / 8] |= byte_in_word(0xFF, i % 8);
    }
    return made;
}

constexpr SlotKey slot_keys[] = {
#define KX_FIELD(alias, path) slot_key(#alias "\""),
#include "ingest/fields.def"
};

constexpr std::array<Target, SLOTS> make_targets()
{
    std::array<Target, SLOTS> made = {};
    for (unsigned slot = 0; slot < SLOTS; slot++)
        made[slot] = target_of(static_cast<Slot>(slot));
    return made;
}

constexpr std::array<Target, SLOTS> targets = make_targets();

/* The first slot of that key from `from` to before `end`, or end. 16 bytes of key are read: it lies
 * in a message, and there is padding behind. */
KX_HOT unsigned find_slot(const char *key, unsigned from, unsigned end)
{
    uint64_t words[2];
    memcpy(words, key, sizeof words);
    while (from < end && (((words[0] ^ slot_keys[from].words[0]) & slot_keys[from].masks[0]) |
                          ((words[1] ^ slot_keys[from].words[1]) & slot_keys[from].masks[1])) != 0)
        from++;
    return from;
}

/* A key that is not among those still to come: one that came too late, or none of ours (SLOTS). */
KX_COLD unsigned find_behind(State &state, const char *key, unsigned expected)
{
    const unsigned slot = find_slot(key, 0, expected);
    if (slot == expected)
        return SLOTS;
    state.notes.reordered = true;
    return slot;
}

KX_HOT error_code read_field(State &state,
                             ondemand::value value,
                             const Target &target,
                             Device &device)
{
    char *const member = reinterpret_cast<char *>(&device) + target.offset;
    error_code error = SUCCESS;
    if (target.kind == Kind::text) {
        error = read_text(state, value, *reinterpret_cast<kx_json_text *>(member));
        return error == simdjson::INCORRECT_TYPE ? absent(state, value.raw_json_token()) : error;
    }
    if (target.kind == Kind::integer) {
        error = read_integer(value, *reinterpret_cast<int64_t *>(member));
    } else if (target.kind == Kind::number) {
        error = read_double(value, *reinterpret_cast<double *>(member));
    } else {
        double pair[2] = {0, 0};
        error = read_pair(value, pair);
        device.longitude = pair[0];
        device.latitude = pair[1];
    }
    if (error)
        return no_number(state, error, value.raw_json_token());
    device.has |= 1u << target.bit;
    return SUCCESS;
}

/* One walk over the fields. They come in the order in which we asked for them, so the next key is
 * looked for from behind the last one on; of equal keys the first counts. */
error_code read_fields(State &state, ondemand::object &object, Device &device)
{
    unsigned expected = 0;
    uint32_t seen = 0; /* bit (1 << slot) */
    for (auto result : object) {
        ondemand::field field;
        if (const error_code error = std::move(result).get(field))
            return error;
        const char *key = field.key().raw();
        unsigned slot = find_slot(key, expected, SLOTS);
        if (slot < SLOTS)
            expected = slot + 1;
        else if ((slot = find_behind(state, key, expected)) == SLOTS) {
            if (const error_code error = read_extra(state, key, field.value()))
                return error;
            continue;
        }
        if ((seen >> slot & 1) != 0)
            continue;
        seen |= 1u << slot;
        if (const error_code error = read_field(state, field.value(), targets[slot], device))
            return error;
    }
    return SUCCESS;
}

/* `scripts/bench compare A --slow` builds a parser that loses this much with each device, to prove
 * that it would see it. Nobody else defines it. */
#ifdef KX_BENCH_SLOW_NS
inline void lose_time()
{
    timespec begun, now;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begun.tv_sec) * 1000000000 + now.tv_nsec - begun.tv_nsec <
           KX_BENCH_SLOW_NS);
}
#else
inline void lose_time()
{
}
#endif

kx_json_result read_device(State &state, const char *document, size_t length, Device &device)
{
    lose_time();
    ondemand::object object;
    const kx_json_result opened = open_object(state, document, length, object);
    if (opened != KX_JSON_OK)
        return opened;
    state.extra.begin();
    error_code error = read_fields(state, object, device);
    if (!error)
        error = at_end(state);
    device.extra = end_extra(state);
    if (error)
        return result_of(error);
    return device.key.length > 0 && device.mac_addr.length > 0 ? KX_JSON_OK : KX_JSON_NO_KEY;
}
} // namespace

#endif
