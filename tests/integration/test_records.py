"""Every field of every device and event equals what an independent reader makes of the capture."""

import json
import signal

import pytest

import kismet
from harness import CAPTURES, Exporter, Sim, rows, wait_for

TOPICS = (
    "ALERT,MESSAGE,NEW_DEVICE,DOT11_ADVERTISED_SSID,DOT11_PROBED_SSID,GPS_LOCATION,BATTERY,"
    "STATISTICS,PACKETCHAIN_STATS"
)


def compare(expected, found):
    assert set(found) == set(expected)
    wrong = {
        (mac, column): (want[column], found[mac][column])
        for mac, want in expected.items()
        for column in want
        if found[mac][column] != want[column]
    }
    assert not wrong, f"{len(wrong)} values differ, e.g. {dict(list(wrong.items())[:5])}"


def devices(path):
    return {r["mac_addr"]: r for r in rows(path, "SELECT * FROM kismet_devices")}


LAST = {
    "key": "4202770D00000000_FFFFFFFFFFFF",
    "server_uuid": "U",
    "mac_addr": "FF:FF:FF:FF:FF:FE",
    "phy_type": "IEEE802.11",
    "last_seen": 1763000000,
}


@pytest.mark.tsan
@pytest.mark.parametrize("capture", ["neighbourhood-full", "neighbourhood-fields"])
def test_live_capture_equals_independent_reader(started, tmp_path, capture):
    path = CAPTURES / f"{capture}.ndjson.zst"
    frames = [f for _, s, f in kismet.capture(path) if s == "monitor"]
    expected = kismet.newest(frames)
    assert len(expected) == 340
    sim = started(Sim, "--capture", path, "--speed", "max")
    db = tmp_path / "kismet.db"
    exporter = started(
        Exporter,
        *("--kismet-host", sim.url, "--export-type", "sqlite", "--sqlite-path", db),
        *("--sensor", "test", "--events", TOPICS, "--batch-interval", "0.2"),
    )
    wait_for(sim.played, what="the capture is played")
    # One more frame behind the last: when it is there, so is everything before it.
    sim.command("raw monitor " + json.dumps(LAST))
    wait_for(lambda: LAST["mac_addr"] in devices(db), what="the last frame is in the database")
    totals = exporter.finish()["sqlite"]
    assert totals["dropped"] == 0
    assert totals["received"] > len(frames)
    found = devices(db)
    del found[LAST["mac_addr"]]
    compare(expected, found)
    assert {r["source"] for r in devices(db).values()} == {"test"}


def test_events_of_the_capture_arrive_once(started, tmp_path):
    path = CAPTURES / "neighbourhood-fields.ndjson.zst"
    plain = {"ALERT", "MESSAGE", "GPS_LOCATION"}  # these come whole, the others trimmed
    timed, least, most = kismet.events(path, set(TOPICS.split(",")))
    sim = started(Sim, "--capture", path, "--speed", "max", "--duplicate-events", "on")
    db = tmp_path / "kismet.db"
    exporter = started(
        Exporter,
        *("--kismet-host", sim.url, "--export-type", "sqlite", "--sqlite-path", db),
        *("--sensor", "test", "--events", TOPICS, "--batch-interval", "0.2"),
    )
    wait_for(sim.played, what="the capture is played")
    last = {"kismet.messagebus.message_string": "the last", "kismet.messagebus.message_time": 1}
    sim.command("event " + json.dumps({"MESSAGE": last}))
    query = "SELECT * FROM kismet_events"
    wait_for(
        lambda: any("the last" in e["event_data"] for e in rows(db, query)),
        what="the event behind the last is in the database",
    )
    exporter.finish()
    events = [e for e in rows(db, query) if "the last" not in e["event_data"]]
    assert len({e["event_uid"] for e in events}) == len(events)
    timeless = sum(e["event_type"] in kismet.TIMELESS for e in events)
    assert len(events) - timeless == len(timed)
    assert least <= timeless <= most
    found = {
        (e["event_type"], json.dumps(json.loads(e["event_data"]), sort_keys=True))
        for e in events
        if e["event_type"] in plain
    }
    assert found == {entry for entry in timed if entry[0] in plain}
    new = [e for e in events if e["event_type"] == "NEW_DEVICE"]
    assert len(new) == 34
    assert all(json.loads(e["event_data"])["mac_addr"] == e["device_mac"] for e in new)
    assert all(e["device_key"].startswith("4202770D") for e in new)


def test_hostile_names_arrive_repaired(started, tmp_path):
    path = CAPTURES / "hostile-names.itjson.zst"
    expected = {}
    import subprocess

    raw = subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout
    for line in raw.splitlines():
        want = kismet.row(json.loads(line.decode("utf-8", "replace")))
        expected[want["mac_addr"]] = want
    assert len(expected) == 150
    sim = started(Sim, "--capture", path, "--monitor", "repeat")
    db = tmp_path / "kismet.db"
    exporter = started(
        Exporter,
        *("--kismet-host", sim.url, "--export-type", "sqlite", "--sqlite-path", db),
        *("--sensor", "test", "--update-rate", "1", "--batch-interval", "0.2"),
    )
    wait_for(lambda: len(devices(db)) == 150, what="150 devices are in the database")
    exporter.finish()
    compare(expected, devices(db))
    repaired = [r["name"] for r in devices(db).values() if "\ufffd" in (r["name"] or "")]
    assert len(repaired) == 2


def test_once_takes_everything_by_rest(started, tmp_path):
    sim = started(Sim, "--devices", "500", "--change", "0")
    db = tmp_path / "kismet.db"
    exporter = started(
        Exporter,
        *("--kismet-host", sim.url, "--export-type", "sqlite", "--sqlite-path", db),
        *("--sensor", "test", "--once"),
    )
    totals = exporter.finish(sig=None)["sqlite"]
    assert totals["delivered"] == 500
    expected = {r["mac_addr"]: r for r in map(kismet.row, sim.truth().values())}
    compare(expected, devices(db))


def test_once_with_a_dead_source_exits_69(started, tmp_path):
    exporter = started(
        Exporter,
        *("--kismet-host", "http://127.0.0.1:1", "--export-type", "sqlite"),
        *("--sqlite-path", tmp_path / "kismet.db", "--once"),
    )
    exporter.finish(sig=None, status=69)
    assert "is Kismet running there" in exporter.stderr()


@pytest.mark.parametrize("capture", ["neighbourhood-full", "neighbourhood-fields"])
def test_replay_equals_independent_reader(started, tmp_path, capture):
    path = CAPTURES / f"{capture}.ndjson.zst"
    expected = kismet.newest(f for _, s, f in kismet.capture(path) if s == "monitor")
    db = tmp_path / "kismet.db"
    exporter = started(
        Exporter,
        *("replay", path, "--speed", "max", "--export-type", "sqlite", "--sqlite-path", db),
        *("--sensor", "test"),
    )
    totals = exporter.finish(sig=None)["sqlite"]
    assert totals["dropped"] == 0
    compare(expected, devices(db))


def console_of_everything(tmp_path):
    """A console that prints each record, also of devices in which nothing changed."""
    config = tmp_path / "everything.yaml"
    config.write_text("sinks:\n  - {type: console, delta: {mode: off}}\n")
    return config


def test_console_prints_the_scripts_lines(started, tmp_path):
    path = CAPTURES / "neighbourhood-fields.ndjson.zst"
    exporter = started(
        Exporter,
        *("replay", path, "--speed", "max", "--config", console_of_everything(tmp_path)),
        *("--sensor", "test"),
    )
    exporter.finish(sig=None)
    lines = exporter.stdout().splitlines()
    frames = [f for _, s, f in kismet.capture(path) if s == "monitor"]
    printed = [line for line in lines if line.startswith("[")]
    assert len(printed) == len(frames) == 8474
    first = kismet.row(frames[0])
    assert printed[0] == (
        f"[1] Device: {first['mac_addr']} ({first['name'] or 'Unknown'}) - PHY: "
        f"{first['phy_type']} - Signal: {first['signal_dbm']}dBm - Packets: "
        f"{first['total_packets']}"
    )
    assert "=== Kismet Export Statistics ===" in lines
    assert "Devices processed: 8,474" in lines


def test_console_prints_what_changed(started, tmp_path):
    """The monitor of this capture repeats idle devices; the console does not."""
    path = CAPTURES / "neighbourhood-fields.ndjson.zst"
    exporter = started(Exporter, "replay", path, "--speed", "max", "--export-type", "console")
    totals = exporter.finish(sig=None)["console"]
    told = {}
    changes = 0
    for frame in (kismet.row(f) for _, s, f in kismet.capture(path) if s == "monitor"):
        changes += told.get(frame["mac_addr"]) != frame
        told[frame["mac_addr"]] = frame
    printed = [line for line in exporter.stdout().splitlines() if line.startswith("[")]
    assert len(printed) == changes < 8474
    assert totals["unchanged"] == 8474 - changes


def test_console_json_is_one_object_a_line(started, tmp_path):
    path = CAPTURES / "neighbourhood-fields.ndjson.zst"
    exporter = started(
        Exporter,
        *("replay", path, "--speed", "max", "--config", console_of_everything(tmp_path)),
        *("--data-format", "json", "--sensor", "test"),
    )
    exporter.finish(sig=None)
    objects = [json.loads(line) for line in exporter.stdout().splitlines()]
    found = [o for o in objects if "event_type" not in o]
    frames = [kismet.row(f) for _, s, f in kismet.capture(path) if s == "monitor"]
    assert len(found) == len(frames)
    for want, got in zip(frames, found):
        for key, value in want.items():
            assert got[key] == value, (key, got)
    seed = (
        "timestamp mac_addr name username phy_type manufacturer first_seen last_seen channel "
        "frequency total_packets tx_packets rx_packets data_size signal_dbm noise_dbm snr_db "
        "latitude longitude altitude"
    ).split()
    assert list(found[0])[: len(seed)] == seed
    assert "=== Kismet Export Statistics ===" in exporter.stderr()


def test_a_closed_pipe_ends_the_program(started, tmp_path):
    """kismet-export | head -5"""
    import os
    import subprocess

    path = CAPTURES / "neighbourhood-fields.ndjson.zst"
    read, write = os.pipe()
    exporter = started(
        Exporter, "replay", path, "--speed", "max", "--sensor", "test", stdout=write
    )
    os.close(write)
    head = subprocess.run(["head", "-n", "5"], stdin=read, capture_output=True, check=True)
    os.close(read)
    assert len(head.stdout.splitlines()) == 5
    exporter.finish(sig=None, status=0)
    assert signal.SIGPIPE not in (exporter.process.returncode, -exporter.process.returncode)
