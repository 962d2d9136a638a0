"""Connections that end at an exact byte, or are refused, reset, silent or slow.

The proxy tells a source's connections apart (REST, monitor, eventbus), so that each of them is cut
after byte k on its own. Recovery has 35 s from the fault's end: the longest backoff, and a little.
"""

import os
import random
import threading

import pytest

from campaign import QUICK, Tail, count, counters, differences, launch, rss_kib, sanitized, source
from harness import ROOT, Sim, wait_for
from proxy import Proxy, cpu_shares

RECOVERY_S = 35
CPU_WHILE_DOWN = 0.05
LANES = 4  # exporters at once
LOST = "; next try in "
SEED = 20251122
DOWN, UP = "down", "up"

# Into heads (an upgrade's answer has 129 bytes), onto their ends, into frames and REST bodies.
CI_PLACES = (
    [("rest", DOWN, k) for k in (0, 1, 12, 100, 400, 1000, 2047, 5000)]
    + [("rest", UP, k) for k in (0, 1, 60, 150, 700)]
    + [("monitor", DOWN, k) for k in (0, 1, 64, 128, 129, 130, 131, 133, 700, 2047, 9000, 50000)]
    + [("monitor", UP, k) for k in (1, 150, 180)]
    + [("eventbus", DOWN, k) for k in (0, 1, 100, 128, 129, 130, 131, 140, 300, 2000)]
    + [("eventbus", UP, k) for k in (1, 200)]
)


def all_places():
    """Each k of 0..2,047 for each kind, as far as requests reach; 200 random ones further on."""
    places = [(kind, DOWN, k) for k in range(2048) for kind in ("rest", "monitor", "eventbus")]
    places += [(kind, UP, k) for k in range(1400) for kind in ("rest", "monitor", "eventbus")]
    chance = random.Random(SEED)
    places += [
        (chance.choice(("rest", "monitor")), DOWN, chance.randrange(2048, 120000))
        for _ in range(200)
    ]
    chance.shuffle(places)
    return places


class Lane:
    """A simulator, a proxy before it, and an exporter."""

    def __init__(self, started, directory, name, **more):
        self.sim = started(
            Sim,
            *("--devices", "300", "--change", "50", "--events-per-second", "50"),
            name=f"{name}-sim",
        )
        self.proxy = started(lambda _directory: Proxy(self.sim.port))
        # A small ring has been written once around before memory is looked at.
        self.exporter = launch(
            started, directory, [source(self.proxy.url, **more)], name, ring_bytes="1MiB"
        )
        self.tail = Tail(self.exporter)
        self.error = None

    def streams(self):
        """Whether the newest that it said of its state is that it streams."""
        assert self.exporter.running(), self.exporter.stderr()[-4000:]
        return self.tail.last(": streaming from ", ": polling from ") > self.tail.last(LOST)

    def cut(self, kind, direction, after):
        """Cuts, and waits until it streams again."""
        what = f"{self.exporter.name}: {kind} {direction} cut after byte {after}"
        cuts, losses = self.proxy.cuts, self.tail.count(LOST)
        self.proxy.cut(after, direction, only=kind)
        wait_for(lambda: self.proxy.cuts > cuts, RECOVERY_S, what)
        self.proxy.mend()
        wait_for(
            lambda: self.tail.count(LOST) > losses and self.streams(),
            RECOVERY_S,
            what + ", streams again",
        )

    def run(self, places, note=None):
        try:
            for i, place in enumerate(places):
                self.cut(*place)
                if note is not None:
                    note(i, self)
        except BaseException as error:  # shown by the test's own thread
            self.error = error

    def settle(self):
        self.sim.command("freeze")
        wait_for(
            lambda: not differences(self.sim, self.exporter.db),
            RECOVERY_S,
            f"{self.exporter.name}: the truth",
            every=0.25,
        )

    def finish(self):
        assert self.exporter.finish()["sqlite"]["dropped"] == 0
        return counters(self.exporter, "source test")


def in_parallel(lanes, places, note=None):
    threads = [
        threading.Thread(target=lane.run, args=(places[i :: len(lanes)], note), daemon=True)
        for i, lane in enumerate(lanes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lane in lanes:
        if lane.error is not None:
            raise lane.error


def test_cut_after_byte_k(started, tmp_path):
    lanes = [Lane(started, tmp_path, f"lane{i}", reconnect=QUICK) for i in range(LANES)]
    for lane in lanes:
        lane.exporter.streaming()
    in_parallel(lanes, CI_PLACES)
    cuts = 0
    for lane in lanes:
        lane.settle()
        cuts += lane.proxy.cuts
        assert lane.finish()["gaps_total"] > 0
    assert cuts >= len(CI_PLACES) >= 40


@pytest.mark.slow
def test_cut_after_each_byte(started, tmp_path):
    lanes = [Lane(started, tmp_path, f"lane{i}", reconnect=QUICK) for i in range(2 * LANES)]
    memory = {}

    def note(i, lane):
        if i == 300:
            memory[lane] = rss_kib(lane.exporter.pid)

    for lane in lanes:
        lane.exporter.streaming()
    places = all_places()
    in_parallel(lanes, places, note)
    lines = [f"Cuts after byte k: seed {SEED}, {len(places)} places, {len(lanes)} exporters at once."]
    for lane in lanes:
        lane.settle()
        now = rss_kib(lane.exporter.pid)
        found = lane.finish()
        lines.append(
            f"{lane.exporter.name}: {lane.proxy.cuts} cuts, {found['connects_total']} sessions, "
            f"{found['gaps_total']} gaps, RSS {memory[lane]} KiB after 300 of them, {now} at the end"
        )
        if not sanitized():  # SQLite's page cache fills with events: 8 MiB
            assert now - memory[lane] < 9 * 1024, "no leak"
    (ROOT / "tests" / "results" / "cuts.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_a_thousand_cuts_leak_nothing(started, tmp_path):
    """Without events, which fill SQLite's page cache: memory and descriptors stay."""
    lane = Lane(started, tmp_path, "leak", reconnect=QUICK, events=["none"])
    lane.exporter.streaming()
    chance = random.Random(SEED)
    used = []

    def note(i, lane):
        if i in (200, 1199):
            descriptors = len(os.listdir(f"/proc/{lane.exporter.pid}/fd"))
            used.append((rss_kib(lane.exporter.pid), descriptors))

    kinds = ("rest", "monitor", "eventbus")
    places = [(chance.choice(kinds), chance.choice((UP, DOWN)), i % 125) for i in range(1200)]
    in_parallel([lane], places, note)
    lane.settle()
    lane.finish()
    (memory, descriptors), (memory_end, descriptors_end) = used
    assert descriptors_end <= descriptors + 4, "some are open or not as it happens"
    if not sanitized():
        assert memory_end - memory < 512, used


FAULTS = ("refuse", "reset", "stall", "blackhole", "trickle")


def disturb(started, tmp_path, fault_s, **more):
    lanes = {fault: Lane(started, tmp_path, fault, **more) for fault in FAULTS}
    for lane in lanes.values():
        lane.exporter.streaming()
    for fault, lane in lanes.items():
        lane.proxy.set_mode(fault)
    shares = cpu_shares([lane.exporter.pid for lane in lanes.values()], fault_s)
    if not sanitized():
        assert max(shares) < CPU_WHILE_DOWN, dict(zip(lanes, shares))
    for lane in lanes.values():
        lane.proxy.mend()
        lane.sim.command("freeze")
    for lane in lanes.values():
        lane.settle()
        lane.finish()


def test_refused_reset_silent_slow(started, tmp_path):
    disturb(started, tmp_path, 5)


@pytest.mark.slow
def test_refused_reset_silent_slow_for_minutes(started, tmp_path):
    disturb(started, tmp_path, 150)


def test_a_slow_line_is_slow_and_nothing_else(started, tmp_path):
    lane = Lane(started, tmp_path, "delay")
    lane.proxy.delay_s = 0.15
    lane.exporter.streaming()
    wait_for(lambda: count(lane.exporter.db) == 300, what="devices over a slow line")
    lane.settle()
    found = lane.finish()
    assert "gaps_total" not in found and found.get("repaired_records_total", 0) == 0
