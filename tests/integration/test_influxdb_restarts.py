"""InfluxDB is stopped and killed again and again under load: the account is exact, and every point
that the exporter was given is there, once.

The witness is a second sink of the same process, a console that prints what it gets.
"""

import json
import random
import subprocess
import time

import pytest

import kismet
from campaign import launch, source
from harness import ROOT, Sim, wait_for
from influx import Influxd
from test_influxdb import INTEGERS, TAGS, differences, newest, truth

SEED = 20251128


def witnessed(exporter):
    """(device points, event points) that the console saw: (mac, last_seen) -> the last total_packets,
    and the uids."""
    devices, events = {}, set()
    for line in exporter.stdout().splitlines():
        record = json.loads(line)
        if "event_uid" in record:
            events.add(record["event_uid"])
        else:
            devices[record["mac_addr"], record["last_seen"]] = record["total_packets"]
    return devices, events


def stored(influxd):
    devices, events = {}, set()
    text = 'SELECT "total_packets", "last_seen", "mac_addr" FROM "device_metrics"'
    for row in influxd.rows(text):
        assert row["time"] == row["last_seen"] * 10**9
        devices[row["mac_addr"], row["last_seen"]] = row["total_packets"]
    for row in influxd.rows('SELECT "event_uid" FROM "kismet_events"'):
        assert row["event_uid"] not in events, "twice"
        events.add(row["event_uid"])
    return devices, events


def campaign(started, tmp_path, restarts):
    chance = random.Random(SEED)
    sim = started(Sim, "--devices", "300", "--change", "30", "--events-per-second", "20")
    influxd = started(Influxd).create()
    sinks = [
        # Eight seconds of outage find room in the queue: nothing is coalesced.
        {
            "type": "influxdb",
            "url": influxd.url,
            "api": "v1",
            "bucket": "kismet",
            "batch": {"interval": "2s", "records": 50000, "bytes": "32MiB"},
        },
        {"type": "console", "format": "json"},
    ]
    exporter = launch(started, tmp_path, [source(sim.url)], sinks=sinks)
    exporter.streaming()
    kills = 0
    for _ in range(restarts):
        before = influxd.count("device_metrics", "last_seen")
        wait_for(
            lambda: influxd.count("device_metrics", "last_seen") > before,
            60,
            "points come again",
            every=0.05,
        )
        time_into_batch = chance.random() * 1.5  # where in a batch it ends, not a wait for anything
        end = time.monotonic() + time_into_batch
        wait_for(lambda: time.monotonic() >= end, what="a moment")
        if chance.random() < 0.5:
            kills += 1
            influxd.kill()
        else:
            influxd.stop(seconds=60)
        influxd = started(Influxd, port=influxd.port)
    sim.command("freeze")
    want = truth(sim)
    columns = [*TAGS, *INTEGERS]
    wait_for(
        lambda: not differences(want, newest(influxd), columns), 60, "the truth", every=0.3
    )
    totals = exporter.finish()
    account = totals["influxdb"]
    devices, events = witnessed(exporter)
    found_devices, found_events = stored(influxd)
    missing = {key for key in devices if found_devices.get(key) != devices[key]}
    assert account["dropped"] == account["dead_lettered"] == 0
    assert len(missing) <= account["coalesced"], (len(missing), account)
    assert events == found_events
    assert set(found_devices) <= set(devices)
    return {
        "restarts": restarts,
        "kill -9": kills,
        "points": len(found_devices),
        "events": len(found_events),
        "missing": len(missing),
        **account,
    }


def test_restarts(started, tmp_path):
    figures = campaign(started, tmp_path, 3)
    assert figures["points"] > 300 and figures["events"] > 50


@pytest.mark.slow
def test_two_hundred_restarts(started, tmp_path):
    begun = time.monotonic()
    figures = campaign(started, tmp_path, 200)
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    words = ", ".join(f"{name} {value}" for name, value in figures.items())
    (ROOT / "tests" / "results" / "influxdb-restarts.txt").write_text(
        f"Restarts of InfluxDB 1.6 under load (300 devices, 30 % change a second, 20 events a second),"
        f" half of them kill -9: seed {SEED}, commit {commit}, "
        f"{time.monotonic() - begun:.0f} s.\n{words}\n"
        "Every event once; every device point that the second sink of the process was given, but "
        "for those coalesced.\n"
    )
