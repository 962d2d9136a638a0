"""Broker restarts under load: what was confirmed was received, what was not is sent again.

A subscriber keeps its session over them. Every event has an identity, so each that the exporter
counts as delivered is looked for at the subscriber; of the devices the newest state must be the
simulator's.

A PUBACK is the broker's promise: mosquitto sends it before it saves what a subscriber is to get. So
it saves after each change here, and where the exporter's window is larger than a subscriber's (in
3.1.1) it writes to the subscriber at once, whatever is out (max_inflight_messages 0).
"""

import json
import os
import random
import signal
import subprocess
import time

import pytest

from campaign import QUICK, Tail, counters, launch, source
from harness import ROOT, Sim, wait_for
from mosquitto import Broker, Watcher, sink
from test_mqtt import same

SEED = 20261128
RECOVERY_S = 40


class Line:
    """A simulator, a broker that keeps its sessions, a subscriber, an exporter."""

    def __init__(self, started, tmp_path, protocol, *lines):
        self.sim = started(
            Sim, "--devices", "60", "--change", "30", "--events-per-second", "40", name="sim"
        )
        self.broker = started(
            Broker,
            "persistence true",
            f"persistence_location {tmp_path}/",
            "autosave_interval 1",
            "autosave_on_changes true",
            "max_queued_messages 0",
            *lines,
        )
        self.uids = {}  # how often each came
        self.watcher = started(
            lambda _: Watcher(self.broker.port, "kismet/#", on_message=self.note)
        )
        self.exporter = launch(
            started,
            tmp_path,
            [source(self.sim.url, reconnect=QUICK)],
            sinks=[sink(self.broker, protocol=protocol)],
        )
        self.tail = Tail(self.exporter)
        self.killed = 0
        self.seen = (0, 0)
        wait_for(lambda: self.uids, what="events")

    def note(self, message):
        if message.topic == "kismet/events":
            uid = json.loads(message.payload)["event_uid"]
            self.uids[uid] = self.uids.get(uid, 0) + 1

    def watcher_is_idle(self):
        """Nothing new for half a second."""
        now = time.monotonic()
        size = sum(self.uids.values())
        if size != self.seen[0]:
            self.seen = (size, now)
        return now - self.seen[1] > 0.5

    def restart(self, chance):
        """At some moment of its work; then it works again."""
        sig = chance.choice((signal.SIGTERM, signal.SIGKILL))
        self.killed += sig == signal.SIGKILL
        size = len(self.uids) + chance.randrange(1, 12)
        wait_for(lambda: len(self.uids) >= size, RECOVERY_S, "more events", every=0.003)
        self.broker.restart(sig)
        size = len(self.uids)
        wait_for(lambda: len(self.uids) > size, RECOVERY_S, "an event after a restart")
        assert self.exporter.running(), self.exporter.stderr()[-3000:]

    def finish(self):
        self.sim.command("freeze")
        wait_for(lambda: same(self.sim, self.watcher), RECOVERY_S, "the newest states", every=0.2)
        totals = self.exporter.finish()["mqtt"]
        assert totals["dropped"] == totals["dead_lettered"] == 0, totals
        events = counters(self.exporter, "source test")["source_records_total{kind=event}"]
        wait_for(self.watcher_is_idle, what="what is on its way comes")
        assert len(self.uids) == events, self.broker.log()[-2000:]
        return totals, events


def run(started, tmp_path, protocol, times):
    chance = random.Random(SEED)
    lines = ("max_inflight_messages 0",) if protocol == "3.1.1" else ()
    line = Line(started, tmp_path, protocol, *lines)
    begun = time.monotonic()
    for _ in range(times):
        line.restart(chance)
    totals, events = line.finish()
    again = sum(line.uids.values()) - len(line.uids)
    return (
        f"MQTT {protocol}: {times} restarts ({line.killed} by SIGKILL) in "
        f"{time.monotonic() - begun:.0f} s: {totals['received']} records, {totals['delivered']} "
        f"delivered, {totals['coalesced']} coalesced, {totals['unchanged']} unchanged; all of "
        f"{events} events at a subscriber that kept its session, {again} of them a second time"
    )


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_restarts(started, tmp_path, protocol):
    run(started, tmp_path, protocol, 6)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_hundreds_of_restarts(started, tmp_path, protocol):
    """KX_RESTARTS of them (250) in each version; its log is tests/results/mqtt-restarts-VERSION.txt."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    line = run(started, tmp_path, protocol, int(os.environ.get("KX_RESTARTS", "250")))
    (ROOT / "tests" / "results" / f"mqtt-restarts-{protocol}.txt").write_text(
        f"Broker restarts under load: seed {SEED}, commit {commit}.\n{line}\n"
    )
