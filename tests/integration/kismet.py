"""An independent reader of captures: what a device or an event should look like in a table.

Written from the facts about Kismet's records with Python's json module; shares no code with the
program under test.
"""

import json
import subprocess

ALIASES = {
    "key": ["kismet.device.base.key"],
    "server_uuid": ["kismet.server.uuid"],
    "mac_addr": ["kismet.device.base.macaddr"],
    "name": ["kismet.device.base.name"],
    "common_name": ["kismet.device.base.commonname"],
    "username": ["kismet.device.base.username"],
    "phy_type": ["kismet.device.base.phyname"],
    "manufacturer": ["kismet.device.base.manuf"],
    "device_type": ["kismet.device.base.type"],
    "crypt": ["kismet.device.base.crypt"],
    "first_seen": ["kismet.device.base.first_time"],
    "last_seen": ["kismet.device.base.last_time"],
    "mod_time": ["kismet.device.base.mod_time"],
    "channel": ["kismet.device.base.channel"],
    "frequency": ["kismet.device.base.frequency"],
    "total_packets": ["kismet.device.base.packets.total"],
    "tx_packets": ["kismet.device.base.packets.tx_total"],
    "rx_packets": ["kismet.device.base.packets.rx_total"],
    "data_size": ["kismet.device.base.datasize"],
    "num_alerts": ["kismet.device.base.num_alerts"],
    "signal_dbm": ["kismet.device.base.signal", "kismet.common.signal.last_signal"],
    "noise_dbm": ["kismet.device.base.signal", "kismet.common.signal.last_noise"],
    "signal_type": ["kismet.device.base.signal", "kismet.common.signal.type"],
    "geopoint": [
        "kismet.device.base.location",
        "kismet.common.location.avg_loc",
        "kismet.common.location.geopoint",
    ],
    "altitude": [
        "kismet.device.base.location",
        "kismet.common.location.avg_loc",
        "kismet.common.location.alt",
    ],
    "fix": [
        "kismet.device.base.location",
        "kismet.common.location.avg_loc",
        "kismet.common.location.fix",
    ],
}


def capture(path):
    """(t, stream, frame) of each line; ill-formed bytes read as U+FFFD."""
    text = subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout
    for line in text.splitlines():
        entry = json.loads(line.decode("utf-8", "replace"))
        yield entry["t"], entry["s"], entry["d"]


def simplify(record):
    """A whole Kismet record under our aliases; one that has them already as it is."""
    if "key" in record:
        return record
    flat = {}
    for alias, path in ALIASES.items():
        value = record
        for step in path:
            value = value.get(step, 0) if isinstance(value, dict) else 0
        flat[alias] = value
    return flat


def text(value):
    return value if isinstance(value, str) and value != "" else None


def number(value):
    return value if isinstance(value, (int, float)) and value != 0 else None


def mac_bits(value):
    digits = (value or "").replace(":", "").replace("-", "")
    try:
        return int(digits, 16) if len(digits) == 12 else None
    except ValueError:
        return None


def row(record):
    """The columns of one device as kismet_devices should hold them, but for times of our own."""
    d = simplify(record)
    mac = text(d["mac_addr"])
    name = text(d["name"])
    common = text(d["common_name"])
    if name is None and common and mac_bits(common) != mac_bits(mac):
        name = common
    dbm = d.get("signal_type") in (None, 0, "dbm")
    signal = number(d["signal_dbm"]) if dbm else None
    noise = number(d["noise_dbm"]) if dbm else None
    point = d["geopoint"] if isinstance(d["geopoint"], list) else None
    if point == [0, 0]:
        point = None
    phy = text(d["phy_type"])
    random = None
    if phy and phy.startswith(("IEEE802.11", "Bluetooth", "BTLE")):
        random = mac_bits(mac) >> 41 & 1
    return {
        "mac_addr": mac,
        "name": name,
        "username": text(d["username"]),
        "phy_type": phy,
        "manufacturer": text(d["manufacturer"]),
        "first_seen": number(d["first_seen"]),
        "last_seen": number(d["last_seen"]),
        "channel": text(d["channel"]),
        "frequency": number(d["frequency"]),
        "total_packets": d["total_packets"],
        "tx_packets": d["tx_packets"],
        "rx_packets": d["rx_packets"],
        "data_size": d["data_size"],
        "signal_dbm": signal,
        "noise_dbm": noise,
        "snr_db": signal - noise if signal is not None and noise is not None else None,
        "latitude": point[1] if point else None,
        "longitude": point[0] if point else None,
        "altitude": d["altitude"] if d["fix"] == 3 else None,
        "server_uuid": text(d["server_uuid"]),
        "device_key": text(d["key"]),
        "device_type": text(d["device_type"]),
        "crypt": text(d["crypt"]),
        "num_alerts": d["num_alerts"],
        "mac_random": random,
    }


def newest(frames):
    """mac -> row, the newest frame of each device; first_seen the smallest."""
    devices = {}
    for frame in frames:
        new = row(frame)
        old = devices.get(new["mac_addr"])
        if old and old["first_seen"] and new["first_seen"]:
            new["first_seen"] = min(old["first_seen"], new["first_seen"])
        devices[new["mac_addr"]] = new
    return devices


def topic(message):
    """The topic of an eventbus message and its data."""
    keys = [k for k in message if k != "DOT11_NEW_SSID_BASEDEV"]
    name = keys[0]
    return name, message[name] if len(message) == 1 else message


# Topics whose records say nothing of when they were made: the same words in another second are
# another event, so their number depends on the pace at which a capture is played.
TIMELESS = {"BATTERY", "STATISTICS", "PACKETCHAIN_STATS"}


def events(path, topics):
    """What a capture holds of those topics: the distinct messages that carry a time, as (topic,
    data as text), and of those that carry none how many different and how many at all."""
    timed, timeless, count = set(), set(), 0
    for _, stream, message in capture(path):
        if stream != "eventbus" or topic(message)[0] not in topics:
            continue
        name, data = topic(message)
        entry = (name, json.dumps(data, sort_keys=True))
        if name in TIMELESS:
            timeless.add(entry)
            count += 1
        else:
            timed.add(entry)
    return timed, len(timeless), count
