"""InfluxDB is stopped and killed again and again under load: the account is exact, and every point
that the exporter was given is there, once.

The witness is a second sink of the same process, a console that prints what it gets.
"""

import collections
import json
import os
import random
import subprocess
import threading
import time

import pytest

from campaign import launch, source
from harness import ROOT, Sim, wait_for
from influx import Influxd
from test_influxdb import INTEGERS, TAGS, differences, newest, truth

SEED = 20251128
LANES = 4
RESTARTS = int(os.environ.get("KX_RESTARTS", "200"))


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


class Lane:
    """A simulator, an exporter with a witness, and an InfluxDB that is ended again and again."""

    def __init__(self, started, tmp_path, name, seed):
        self.started, self.name, self.chance = started, name, random.Random(seed)
        self.sim = started(
            Sim,
            *("--devices", "300", "--change", "30", "--events-per-second", "20"),
            name=f"{name}-sim",
        )
        self.influxd = started(Influxd, name=f"{name}-influxd").create()
        sinks = [
            # Eight seconds of outage find room in the queue: little is coalesced.
            {
                "type": "influxdb",
                "url": self.influxd.url,
                "api": "v1",
                "bucket": "kismet",
                "batch": {"interval": "2s", "records": 50000, "bytes": "32MiB"},
            },
            {"type": "console", "format": "json"},
        ]
        self.exporter = launch(started, tmp_path, [source(self.sim.url)], name, sinks=sinks)
        self.restarts = self.kills = 0
        self.error = None

    def restart(self):
        influxd, chance = self.influxd, self.chance
        before = influxd.count("device_metrics", "last_seen")
        wait_for(
            lambda: influxd.count("device_metrics", "last_seen") > before,
            90,
            f"{self.name}: points come again",
            every=0.1,
        )
        # Where in a batch it ends: not a wait for anything.
        end = time.monotonic() + chance.random() * 1.5
        wait_for(lambda: time.monotonic() >= end, what="a moment")
        if chance.random() < 0.5:
            self.kills += 1
            influxd.kill()
        else:
            influxd.stop(seconds=60)
        self.influxd = self.started(Influxd, name=influxd.name, port=influxd.port)
        self.restarts += 1

    def run(self, restarts):
        try:
            self.exporter.streaming()
            for _ in range(restarts):
                self.restart()
        except BaseException as error:  # shown by the test's own thread
            self.error = error

    def figures(self):
        self.sim.command("freeze")
        want = truth(self.sim)
        columns = [*TAGS, *INTEGERS]
        wait_for(
            lambda: not differences(want, newest(self.influxd), columns),
            90,
            f"{self.name}: the truth",
            every=0.3,
        )
        account = self.exporter.finish()["influxdb"]
        devices, events = witnessed(self.exporter)
        found_devices, found_events = stored(self.influxd)
        missing = {key for key in devices if found_devices.get(key) != devices[key]}
        assert account["dropped"] == account["dead_lettered"] == 0
        assert len(missing) <= account["coalesced"], (len(missing), account)
        assert events == found_events
        assert set(found_devices) <= set(devices)
        return {
            "restarts": self.restarts,
            "kill -9": self.kills,
            "points": len(found_devices),
            "events": len(found_events),
            "points coalesced": len(missing),
            **account,
        }


def campaign(started, tmp_path, lanes, restarts):
    """The figures of all lanes, added up."""
    lanes = [Lane(started, tmp_path, f"lane{i}", SEED + i) for i in range(lanes)]
    threads = [threading.Thread(target=x.run, args=(restarts,), daemon=True) for x in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = collections.Counter()
    for lane in lanes:
        if lane.error is not None:
            raise lane.error
        total.update(lane.figures())
    return dict(total)


def test_restarts(started, tmp_path):
    figures = campaign(started, tmp_path, 1, 3)
    assert figures["points"] > 300 and figures["events"] > 50


@pytest.mark.slow
def test_hundreds_of_restarts(started, tmp_path):
    begun = time.monotonic()
    figures = campaign(started, tmp_path, LANES, RESTARTS // LANES)
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    words = ", ".join(f"{name} {value}" for name, value in figures.items())
    (ROOT / "tests" / "results" / "influxdb-restarts.txt").write_text(
        f"Restarts of InfluxDB 1.6 under load, four at once (each: 300 devices, 30 % change a second, 20"
        f" events a second), half of them kill -9: seed {SEED}, commit {commit}, "
        f"{time.monotonic() - begun:.0f} s.\n{words}\n"
        "Every event once; every device point that the second sink of the process was given, but "
        "for those coalesced.\n"
    )
