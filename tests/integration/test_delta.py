"""Only what changed is written, and every record that is not is counted for its reason."""

import time

import pytest

from campaign import configure, count, launch, source
from harness import Exporter, rows, wait_for
from rawkismet import RawKismet, device, frame, mac_of

DEVICES = 1000
ROUNDS = 50


START = int(time.time())


def send(raw, numbers, packets):
    """One tick of the monitor: nothing about a device moves but its packets."""
    still = {"first_seen": START - 60, "last_seen": START, "mod_time": START}
    frames = (frame(device(n, packets=packets(n), **still)) for n in numbers)
    raw.send("monitor", b"".join(frames))




def run(started, tmp_path, changed):
    """ROUNDS times all devices, of which `changed` of each hundred counted packets since."""
    raw = started(lambda _directory: RawKismet())
    exporter = launch(started, tmp_path, [source(raw.url, mode="monitor")])
    exporter.streaming()
    wait_for(raw.ready, what="the subscriptions")
    numbers = range(1, DEVICES + 1)
    for round_ in range(ROUNDS):
        send(raw, numbers, lambda n: 100 + (round_ if n % 100 < changed else 0))
        # A device more in each round, so that the round is known to be through.
        mark = DEVICES + 1 + round_
        send(raw, [mark], lambda n: 1)
        query = "SELECT mac_addr FROM kismet_devices WHERE mac_addr = ?"
        wait_for(lambda: rows(exporter.db, query, mac_of(mark)), 30, f"round {round_}", every=0.005)
    totals = exporter.finish()["sqlite"]
    assert count(exporter.db) == DEVICES + ROUNDS
    assert totals["received"] == ROUNDS * DEVICES + ROUNDS
    return {**totals, "delivered": totals["delivered"] - ROUNDS}


def test_unchanged_devices_are_not_written(started, tmp_path):
    totals = run(started, tmp_path, 0)
    assert totals["delivered"] == DEVICES
    assert totals["unchanged"] == (ROUNDS - 1) * DEVICES


def test_a_tenth_that_changed_is_a_tenth_that_is_written(started, tmp_path):
    totals = run(started, tmp_path, 10)
    assert totals["delivered"] == DEVICES + (ROUNDS - 1) * DEVICES // 10
    assert totals["unchanged"] == (ROUNDS - 1) * DEVICES * 9 // 10


def test_filters_and_intervals_of_two_sinks(started, tmp_path):
    """Each sink has its own rules, and its own account."""
    raw = started(lambda _directory: RawKismet())
    sinks = [
        {"name": "few", "type": "sqlite", "path": str(tmp_path / "few.db"),
         "filter": {"macs_allow": [mac_of(7)]}},
        {"name": "rest", "type": "sqlite", "path": str(tmp_path / "rest.db"),
         "filter": {"macs_deny": [mac_of(7)]}},
        {"name": "slow", "type": "sqlite", "path": str(tmp_path / "slow.db"),
         "batch": {"interval": "100ms"}, "delta": {"min_interval": "1h"}},
    ]  # fmt: skip
    exporter = launch(started, tmp_path, [source(raw.url, mode="monitor")], sinks=sinks)
    exporter.streaming()
    wait_for(raw.ready, what="the subscriptions")
    for packets in range(1, 11):
        send(raw, range(1, 11), lambda n: packets)
    query = "SELECT total_packets AS p FROM kismet_devices WHERE mac_addr = ?"
    few, slow = tmp_path / "few.db", tmp_path / "slow.db"
    wait_for(lambda: rows(few, query, mac_of(7)) == [{"p": 10}], what="the device that may pass")
    wait_for(lambda: count(slow) == 10, what="each device once")
    assert rows(slow, query, mac_of(7)) == [{"p": 1}]  # an hour has not passed
    totals = exporter.finish()
    assert totals["few"]["filtered"] == 90
    assert totals["rest"]["filtered"] == 10
    assert count(tmp_path / "rest.db") == 9
    assert totals["slow"]["coalesced"] == 80  # replaced while they were parked
    assert totals["slow"]["delivered"] == 20
    assert rows(slow, query, mac_of(7)) == [{"p": 10}]  # the newest, when the program ended


@pytest.mark.parametrize(
    "sink, words",
    [
        ({"delta": {"ignore": ["last_sen"]}}, ["ignore", "last_sen", "did you mean 'last_seen'"]),
        ({"delta": {"deadband": {"name": 3}}}, ["deadband", "name is no number", "ignore"]),
        ({"delta": {"deadband": {"signal_db": 3}}}, ["did you mean 'signal_dbm'"]),
        ({"delta": {"deadband": {"signal_dbm": 0}}}, ["a number above 0"]),
        ({"delta": {"max_rate": "100/h"}}, ["max_rate", "100/s"]),
        ({"filter": {"name": "^(abc"}}, ["name", "at character 6", "parenthes"]),
        ({"filter": {"geofence": {"lat": 1, "lon": 2}}}, ["half a circle"]),
        ({"filter": {"geofence": {"lat": 1, "lon": 2, "radius_m": 5, "lat_min": 3}}},
         ["a circle and a box at once"]),
        ({"filter": {"geofence": {"lat_min": 3, "lat_max": 2, "lon_min": 1, "lon_max": 2}}},
         ["swap them"]),
        ({"filter": {"macs_allow": ["AA:BB"]}}, ["macs_allow", "no MAC address"]),
        ({"filter": {"min_severity": "hi"}}, ["min_severity", "critical"]),
        ({"filter": {"nam": "x"}}, ["unknown key 'nam'", "did you mean 'name'"]),
    ],
)  # fmt: skip
def test_what_is_refused(started, tmp_path, sink, words):
    path = configure(tmp_path, [source("http://localhost:1")], sinks=[{"type": "console", **sink}])
    exporter = started(Exporter, "check", "--config", path)
    assert exporter.wait() == 78
    said = exporter.stderr() + exporter.stdout()
    lines = path.read_text().splitlines()
    number = int(said.split(f"{path.name}:")[1].split(":")[0])
    assert 1 <= number <= len(lines)
    for word in words:
        assert word in said, said


def test_a_silence_is_warned_of(started, tmp_path):
    sinks = [{"type": "console", "delta": {"ignore": ["last_seen"]}}]
    path = configure(tmp_path, [source("http://localhost:1")], sinks=sinks)
    exporter = started(Exporter, "check", "--config", path)
    assert exporter.wait() == 0
    assert "there is no heartbeat" in exporter.stdout() + exporter.stderr()
    sinks[0]["delta"]["heartbeat"] = "5m"
    path = configure(tmp_path, [source("http://localhost:1")], name="beats", sinks=sinks)
    exporter = started(Exporter, "check", "--config", path, name="beats")
    assert exporter.wait() == 0
    assert "there is no heartbeat" not in exporter.stdout() + exporter.stderr()
