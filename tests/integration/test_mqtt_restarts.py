"""Broker restarts under load: what was confirmed was received, what was not is sent again.

A subscriber keeps its session over them. Every event has an identity, so each that the exporter
counts as delivered is looked for at the subscriber; of the devices the newest state must be the
simulator's.

A PUBACK is the broker's promise, which mosquitto, killed, does not keep by itself: it sends the
PUBACK before it saves what a subscriber is to get. But it writes to the subscriber before it sends
the PUBACK, as far as it has that many out (max_inflight_messages 0: no limit), so a subscriber that
reads to the last byte has all that was confirmed. In MQTT 5 that limit is the exporter's as well.
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
from mosquitto import Broker, Witness, sink
from ports import Port
from test_mqtt import same

SEED = 20261128
RECOVERY_S = 40
# A minute of what the simulator says: a broker that comes back within that costs no event.
ROOM = {"interval": "30ms", "records": 5000, "bytes": "16MiB"}


class Line:
    """A simulator, a broker that keeps its sessions, a subscriber, an exporter."""

    def __init__(self, started, tmp_path, protocol, batch=ROOM, rate=40):
        self.sim = started(
            Sim, "--devices", "60", "--change", "30", "--events-per-second", str(rate), name="sim"
        )
        self.broker = started(
            Broker,
            "persistence true",
            f"persistence_location {tmp_path}/",
            "autosave_interval 1",
            "autosave_on_changes true",
            "max_queued_messages 0",
            "max_inflight_messages 0",
        )
        self.uids = {}  # how often each came
        self.watcher = started(
            lambda _: Witness(self.broker.port, "kismet/#", on_message=self.note)
        )
        self.exporter = launch(
            started,
            tmp_path,
            [source(self.sim.url, reconnect=QUICK)],
            sinks=[sink(self.broker, protocol=protocol, batch=batch)],
            stats={"listen": "127.0.0.1:0"},
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
        """At some moment of its work, often within a batch; then it works again. Batches end now and
        then, or else the exporter would come back later each time."""
        sig = chance.choice((signal.SIGTERM, signal.SIGKILL))
        self.killed += sig == signal.SIGKILL
        size = len(self.uids) + chance.randrange(1, 60)
        wait_for(lambda: len(self.uids) >= size, RECOVERY_S, "more events", every=0.003)
        # Back at once, five times a minute, it would be taken for one that has two of us.
        self.broker.restart(sig, chance.uniform(0.4, 0.8))
        size = len(self.uids)
        wait_for(lambda: len(self.uids) > size, RECOVERY_S, "an event after a restart")
        assert self.exporter.running(), self.exporter.stderr()[-3000:]

    def finish(self):
        self.sim.command("freeze")
        wait_for(lambda: same(self.sim, self.watcher), RECOVERY_S, "the newest states", every=0.2)
        totals = self.exporter.finish()["mqtt"]
        assert totals["dead_lettered"] == 0, totals
        events = counters(self.exporter, "source test")["source_records_total{kind=event}"]
        wait_for(self.watcher_is_idle, what="what is on its way comes")
        assert len(self.uids) + totals["dropped"] == events, totals
        return totals, events


def run(started, tmp_path, protocol, times, seed=SEED):
    chance = random.Random(seed)
    line = Line(started, tmp_path, protocol)
    begun = time.monotonic()
    for _ in range(times):
        line.restart(chance)
    totals, events = line.finish()
    assert totals["dropped"] == 0, totals
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


def test_an_outage_beyond_the_queue_is_counted(started, tmp_path):
    """The newest state of each device stays; of the events exactly those counted are missing."""
    line = Line(started, tmp_path, "5", batch={"interval": "30ms", "records": 100}, rate=400)
    port = Port(line.exporter)
    line.broker.stop()

    def count():
        return sum(
            value
            for (name, labels), value in port.metrics().items()
            if name == "kismet_export_records_dropped_total" and ("sink", "mqtt") in labels
        )

    wait_for(lambda: count() > 100, RECOVERY_S, "events are dropped", every=0.2)
    line.broker.start()
    size = len(line.uids)
    wait_for(lambda: len(line.uids) > size, RECOVERY_S, "an event after the outage")
    totals, _ = line.finish()
    assert totals["dropped"] > 100


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_hundreds_of_restarts(started, tmp_path, protocol, part):
    """KX_RESTARTS of them (250) in each version, in two parts that may run side by side; each adds
    a line to tests/results/mqtt-restarts.txt."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    times = int(os.environ.get("KX_RESTARTS", "250")) // 2
    line = run(started, tmp_path, protocol, times, SEED + part)
    with open(ROOT / "tests" / "results" / "mqtt-restarts.txt", "a") as log:
        log.write(f"seed {SEED + part}, commit {commit}, {line}\n")
