/*
 * A simplified device record into struct kx_json_device. Private to json.cpp.
 */
#ifndef KX_INGEST_JSON_DEVICE_HPP
#define KX_INGEST_JSON_DEVICE_HPP

#include "ingest/json_values.hpp"

namespace
{
enum Slot : unsigned {
#define KX_FIELD(alias, path) SLOT_##alias,
#include "ingest/fields.def"
    SLOTS
};

/* With the closing quote, so that one comparison also ends the key. */
constexpr string_view slot_keys[] = {
#define KX_FIELD(alias, path) #alias "\"",
#include "ingest/fields.def"
};

struct DeviceReader {
    State &state;
    Fields fields;
    kx_json_device &device;
    error_code error = SUCCESS;
    uint32_t seen = 0; /* bit (1 << slot): the first of equal keys counts */
    static_assert(SLOTS <= 32, "seen");

    error_code read()
    {
        in_order(std::make_index_sequence<SLOTS>());
        while (!error && fields.more)
            by_name();
        return error ? error : fields.error;
    }

    /* The keys as we asked for them; an absent one costs a comparison. Ends at the first key that
     * is not ours or out of place. */
    template <size_t... slots> void in_order(std::index_sequence<slots...>)
    {
        (void)(step<slots>() && ...);
    }

    template <size_t slot> bool step()
    {
        constexpr string_view key = slot_keys[slot];
        if (memcmp(fields.key, key.data(), key.size()) == 0)
            accept(static_cast<Slot>(slot));
        return error == SUCCESS;
    }

    void by_name()
    {
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            if (memcmp(fields.key, slot_keys[slot].data(), slot_keys[slot].size()) != 0)
                continue;
            if ((seen >> slot & 1) != 0)
                break;
            state.notes->reordered = true;
            accept(static_cast<Slot>(slot));
            return;
        }
        fields.next();
    }

    void accept(Slot slot)
    {
        seen |= 1u << slot;
        error = take(slot);
        if (!error)
            fields.next();
    }

    error_code take(Slot slot)
    {
        switch (slot) {
        case SLOT_key:
            return text(device.key);
        case SLOT_server_uuid:
            return text(device.server_uuid);
        case SLOT_mac_addr:
            return text(device.mac_addr);
        case SLOT_name:
            return text(device.name);
        case SLOT_common_name:
            return text(device.common_name);
        case SLOT_username:
            return text(device.username);
        case SLOT_phy_type:
            return text(device.phy_type);
        case SLOT_manufacturer:
            return text(device.manufacturer);
        case SLOT_device_type:
            return text(device.device_type);
        case SLOT_crypt:
            return text(device.crypt);
        case SLOT_first_seen:
            return integer(KX_J_FIRST_SEEN, device.first_seen);
        case SLOT_last_seen:
            return integer(KX_J_LAST_SEEN, device.last_seen);
        case SLOT_mod_time:
            return integer(KX_J_MOD_TIME, device.mod_time);
        case SLOT_channel:
            return text(device.channel);
        case SLOT_frequency:
            return integer(KX_J_FREQUENCY, device.frequency);
        case SLOT_total_packets:
            return integer(KX_J_TOTAL_PACKETS, device.total_packets);
        case SLOT_tx_packets:
            return integer(KX_J_TX_PACKETS, device.tx_packets);
        case SLOT_rx_packets:
            return integer(KX_J_RX_PACKETS, device.rx_packets);
        case SLOT_data_size:
            return integer(KX_J_DATA_SIZE, device.data_size);
        case SLOT_num_alerts:
            return integer(KX_J_NUM_ALERTS, device.num_alerts);
        case SLOT_signal_dbm:
            return integer(KX_J_SIGNAL, device.signal_dbm);
        case SLOT_noise_dbm:
            return integer(KX_J_NOISE, device.noise_dbm);
        case SLOT_signal_type:
            return text(device.signal_type);
        case SLOT_geopoint:
            return point();
        case SLOT_altitude:
            return altitude();
        case SLOT_fix:
            return integer(KX_J_FIX, device.fix);
        case SLOTS:
            break;
        }
        return simdjson::UNEXPECTED_ERROR;
    }

    /* Only a fault of structure ends the reading; a value that is none of ours is absent. */
    error_code settle(kx_json_field field, error_code result)
    {
        if (!result)
            device.has |= 1u << field;
        else if (result == simdjson::NUMBER_OUT_OF_RANGE)
            state.notes->range++;
        else if (result == simdjson::INCORRECT_TYPE)
            return absent(state, fields.value);
        else
            return result;
        return SUCCESS;
    }

    __attribute__((noinline)) error_code text(kx_json_text &member)
    {
        const error_code result = read_text(state, fields.value, member);
        return result == simdjson::INCORRECT_TYPE ? absent(state, fields.value) : result;
    }

    __attribute__((noinline)) error_code integer(kx_json_field field, int64_t &member)
    {
        return settle(field, read_integer(fields.value, member));
    }

    error_code altitude()
    {
        return settle(KX_J_ALTITUDE, read_double(fields.value, device.altitude));
    }

    error_code point()
    {
        double pair[2] = {0, 0};
        const error_code result = settle(KX_J_GEOPOINT, read_pair(fields.value, pair));
        device.longitude = pair[0];
        device.latitude = pair[1];
        return result;
    }
};

kx_json_result
read_device(State &state, const char *document, size_t length, kx_json_device &device)
{
    ondemand::object object;
    const kx_json_result opened = open_object(state, document, length, object);
    if (opened != KX_JSON_OK)
        return opened;
    error_code error = DeviceReader{state, Fields(object), device}.read();
    if (!error)
        error = at_end(state);
    if (error)
        return result_of(error);
    return device.key.length > 0 && device.mac_addr.length > 0 ? KX_JSON_OK : KX_JSON_NO_KEY;
}
} // namespace

#endif
