/* Synthetic devices: records shaped like Kismet's, deterministic by seed, rendered by hand because
 * one is printed for every change.
 *
 * The sequence number of a device decides what it is, so that a test can name one: see kind_of().
 */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kind {
    const char *phy;
    const char *phy_hash; /* first half of the device key */
    const char *type;
    const char *crypt;
    const char *manuf;
};

static const struct kind kinds[] = {
    {"IEEE802.11", "4202770D00000000", "Wi-Fi AP", "WPA2 WPA2-PSK AES-CCMP",
     "Raspberry Pi Trading"},
    {"IEEE802.11", "4202770D00000000", "Wi-Fi Client", "", "Apple"},
    {"IEEE802.11", "4202770D00000000", "Wi-Fi Device", "Open", "Unknown"},
    {"Bluetooth", "B603E01100000000", "BTLE", "", "Unknown"},
    {"RTL433", "6AD2D8F100000000", "Thermometer", "", "Acurite"},
};

static const uint32_t oui[] = {0xB827EB, 0xDCA632, 0x3C5AB4, 0xF4F5D8, 0x001529, 0x7A11C0};

static const char *const sources[SYNTH_SOURCES] = {"5FE308BD-0000-0000-0000-00C0FFEE0001",
                                                   "5FE308BD-0000-0000-0000-00C0FFEE0002"};

const char *synth_source_uuid(size_t index)
{
    return sources[index % SYNTH_SOURCES];
}

/* splitmix64 */
uint64_t scene_random(struct scene *s)
{
    uint64_t z = s->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Of ten devices three are access points, three clients, one unassociated, two Bluetooth, one
 * RTL433. */
static const struct kind *kind_of(uint64_t id)
{
    static const uint8_t by_ten[10] = {0, 1, 3, 0, 1, 2, 0, 1, 3, 4};
    return &kinds[by_ten[id % 10]];
}

void mac_print(uint64_t mac, char ret_text[18])
{
    snprintf(ret_text, 18, "%02X:%02X:%02X:%02X:%02X:%02X", (unsigned)(mac >> 40 & 0xff),
             (unsigned)(mac >> 32 & 0xff), (unsigned)(mac >> 24 & 0xff),
             (unsigned)(mac >> 16 & 0xff), (unsigned)(mac >> 8 & 0xff), (unsigned)(mac & 0xff));
}

static void add_rrd(struct text *t, const char *name)
{
    text_addf(t, "\"%s\": {\"kismet.common.rrd.last_time\": 1795373789,", name);
    text_adds(t,
              "\"kismet.common.rrd.serial_time\": 1795373789,\"kismet.common.rrd.last_value\": 0,");
    static const struct {
        const char *name;
        int length;
    } vectors[] = {{"minute_vec", 60}, {"hour_vec", 60}, {"day_vec", 24}};
    for (size_t i = 0; i < 3; i++) {
        text_addf(t, "\"kismet.common.rrd.%s\": [0", vectors[i].name);
        for (int n = 1; n < vectors[i].length; n++)
            text_adds(t, n % 7 ? ",0" : ",0.033333");
        text_adds(t, "],");
    }
    text_adds(t, "\"kismet.common.rrd.blank_val\": 0},");
}

/* What every whole record carries besides and nobody asks for; made once. */
static const char *filler(struct scene *s)
{
    if (s->filler)
        return s->filler;
    struct text t = {0};
    static const char *const names[] = {
        "kismet.device.base.tx_packets.rrd", "kismet.device.base.packets.rrd",
        "kismet.device.base.rx_packets.rrd", "kismet.device.base.datasize.rrd"};
    for (size_t round = 0; t.length < 12400; round++) {
        if (round < 4)
            add_rrd(&t, names[round]);
        else
            text_addf(
                &t,
                "\"dot11.device.filler_%zu\": {\"dot11.advertisedssid.ssid\": \"a \\\"quoted\\\" "
                "name\",\"dot11.advertisedssid.crypt_bitfield\": 274945016842,"
                "\"dot11.advertisedssid.rates\": [1,2,5.5,11,6,9,12,18,24,36,48,54]},",
                round);
    }
    text_c(&t);
    return s->filler = t.at;
}

static void add_name(const struct scene *s, const struct device *d, const char *mac, struct text *t)
{
    static const char *const bytes[2] = {"\xC0\x80", "\xF5\x80\x80\x80"};
    uint64_t id = d->synth.id;
    struct text name = {0};
    if (s->options.ill_formed && id % 10 == 3)
        text_addf(&name, "bad-%s-%llu", bytes[id / 10 % 2], (unsigned long long)id);
    else if (id % 5 != 2)
        text_addf(&name, "device-%llu", (unsigned long long)id);
    text_adds(t, "\"kismet.device.base.name\": \"");
    text_addspan(t, text_span(&name));
    text_adds(t, "\",\"kismet.device.base.commonname\": \"");
    if (name.length)
        text_addspan(t, text_span(&name));
    else
        text_adds(t, mac);
    text_adds(t, "\",");
    text_free(&name);
    if (id % 17 == 4)
        text_addf(t, "\"kismet.device.base.username\": \"owner %llu\",", (unsigned long long)id);
}

static void add_member(struct text *t, const char *name, int64_t value)
{
    text_add(t, "\"", 1);
    text_adds(t, name);
    text_add(t, "\": ", 3);
    text_addi(t, value);
    text_add(t, ",", 1);
}

static void add_counters(const struct device *d, struct text *t)
{
    const struct synth *y = &d->synth;
    add_member(t, "kismet.device.base.first_time", y->first_time);
    add_member(t, "kismet.device.base.last_time", d->last_time);
    add_member(t, "kismet.device.base.mod_time", y->mod_time);
    add_member(t, "kismet.device.base.packets.total", (int64_t)y->packets);
    add_member(t, "kismet.device.base.packets.rx_total", (int64_t)(y->packets - y->tx_packets));
    add_member(t, "kismet.device.base.packets.tx_total", (int64_t)y->tx_packets);
    add_member(t, "kismet.device.base.packets.llc", (int64_t)y->tx_packets);
    text_adds(
        t, "\"kismet.device.base.packets.error\": 0,\"kismet.device.base.packets.data\": 0,"
           "\"kismet.device.base.packets.crypt\": 0,\"kismet.device.base.packets.filtered\": 0,");
    add_member(t, "kismet.device.base.datasize", (int64_t)y->datasize);
}

/* Three of four devices know where they are; of those every fourth only in two dimensions. */
static void add_location(const struct device *d, struct text *t)
{
    uint64_t id = d->synth.id;
    if (id % 4 == 3)
        return;
    int fix = id % 16 == 1 ? 2 : 3;
    text_adds(t, "\"kismet.device.base.location\": {\"kismet.common.location.loc_fix\": ");
    text_addi(t, fix);
    text_adds(t,
              ",\"kismet.common.location.avg_loc\": {\"kismet.common.location.geopoint\": [-74.0");
    text_addu(t, 10000 + id % 90000);
    text_adds(t, ", 40.7");
    text_addu(t, 10000 + id * 7 % 90000);
    text_adds(t, "],");
    if (fix == 3)
        text_adds(t, "\"kismet.common.location.alt\": 10.500000,");
    text_adds(t, "\"kismet.common.location.fix\": ");
    text_addi(t, fix);
    text_adds(t, ",\"kismet.common.location.time_sec\": ");
    text_addi(t, d->synth.first_time);
    text_adds(t, ",\"kismet.common.location.time_usec\": 549568}},");
}

static void add_signal(const struct device *d, struct text *t)
{
    uint64_t id = d->synth.id;
    bool none = id % 11 == 5;
    const char *type = none ? "none" : id % 13 == 7 ? "rssi" : "dbm";
    int64_t signal = none ? 0 : d->synth.signal;
    text_adds(t, "\"kismet.device.base.signal\": {\"kismet.common.signal.type\": \"");
    text_adds(t, type);
    text_adds(t, "\",");
    add_member(t, "kismet.common.signal.last_signal", signal);
    add_member(t, "kismet.common.signal.last_noise", none || id % 3 == 0 ? 0 : -95);
    add_member(t, "kismet.common.signal.min_signal", signal);
    add_member(t, "kismet.common.signal.max_signal", signal);
    text_adds(t, "\"kismet.common.signal.maxseenrate\": 0},");
}

static void render(struct scene *s, struct device *d)
{
    const struct kind *kind = kind_of(d->synth.id);
    struct text *t = &d->record;
    char mac[18];
    mac_print(d->mac, mac);
    t->length = 0;
    text_adds(t, "{\"kismet.device.base.key\": \"");
    text_adds(t, d->key);
    text_adds(t, "\",\"kismet.device.base.macaddr\": \"");
    text_adds(t, mac);
    text_adds(t, "\",\"kismet.device.base.related_devices\": {},");
    add_name(s, d, mac, t);
    text_adds(t, "\"kismet.server.uuid\": \"");
    text_adds(t, s->options.uuid);
    text_adds(t, "\",\"kismet.device.base.basic_type_set\": 1,\"kismet.device.base.crypt\": \"");
    text_adds(t, kind->crypt);
    text_adds(t, "\",\"kismet.device.base.basic_crypt_set\": 2,");
    add_counters(d, t);
    text_adds(t, "\"kismet.device.base.channel\": \"");
    if (d->synth.channel)
        text_addu(t, d->synth.channel);
    else
        text_adds(t, "FHSS");
    text_adds(t, "\",");
    add_member(t, "kismet.device.base.frequency", d->synth.frequency_khz);
    add_location(d, t);
    add_member(t, "kismet.device.base.num_alerts", d->synth.id % 29 == 0);
    text_adds(t, "\"kismet.device.base.seenby\": [{\"kismet.common.seenby.uuid\": \"");
    text_adds(t, synth_source_uuid(d->synth.id));
    text_adds(t, "\"}],\"kismet.device.base.phyname\": \"");
    text_adds(t, kind->phy);
    text_adds(t, "\",\"kismet.device.base.manuf\": \"");
    text_adds(t, kind->manuf);
    text_adds(t, "\",");
    if (s->options.full)
        text_adds(t, filler(s));
    add_signal(d, t);
    text_adds(t, "\"kismet.device.base.type\": \"");
    text_adds(t, kind->type);
    text_adds(t, "\"}");
}

static void tune(struct scene *s, struct device *d)
{
    static const uint8_t channels[] = {1, 6, 11, 36, 149};
    const struct kind *kind = kind_of(d->synth.id);
    if (strcmp(kind->phy, "IEEE802.11") != 0) {
        d->synth.channel = 0;
        d->synth.frequency_khz = strcmp(kind->phy, "RTL433") == 0 ? 433920 : 2400000;
        return;
    }
    unsigned channel = channels[scene_random(s) % sizeof(channels)];
    d->synth.channel = channel;
    d->synth.frequency_khz = channel < 15 ? 2407000 + channel * 5000 : 5000000 + channel * 5000;
}

void synth_add(struct scene *s, size_t count, int64_t packet_time, int64_t server_time)
{
    size_t before = s->count;
    for (size_t n = 0; n < count; n++) {
        uint64_t id = before + n;
        uint64_t mac = (uint64_t)oui[scene_random(s) % 6] << 24 | (id & 0xffffff);
        const struct kind *kind = kind_of(id);
        uint64_t reversed = 0;
        for (int i = 0; i < 6; i++)
            reversed = reversed << 8 | (mac >> (8 * i) & 0xff);
        char key[SCENE_KEY_MAX];
        snprintf(key, sizeof(key), "%s_%012llX", kind->phy_hash, (unsigned long long)reversed);
        struct device *d = scene_add(s, key);
        d->synthetic = true;
        d->mac = mac;
        d->phy = scene_phy(s, (struct span){kind->phy, strlen(kind->phy)});
        d->access_point = strcmp(kind->type, "Wi-Fi AP") == 0;
        d->synth =
            (struct synth){.id = id, .first_time = packet_time, .signal = -40 - (int)(id % 50)};
        tune(s, d);
        synth_change(s, s->count - 1, packet_time, server_time);
    }
}

void synth_change(struct scene *s, size_t index, int64_t packet_time, int64_t server_time)
{
    struct device *d = &s->device[index];
    uint64_t random = scene_random(s);
    uint64_t heard = 1 + random % 5;
    d->synth.packets += heard;
    d->synth.tx_packets += 1 + random / 8 % heard;
    d->synth.datasize += random / 64 % 1500;
    d->synth.signal = -35 - (int)(random / 1024 % 60);
    if (random % 64 == 0)
        tune(s, d);
    d->last_time = packet_time;
    d->synth.mod_time = server_time;
    d->version = ++s->changes;
    render(s, d);
}
