"""Kismet's monitor sends all devices, or some, or none: the database must not show which.

A healthy monitor runs beside the blind ones, so that the minute is used twice; the long form, six
pairs of rate and change for ten minutes, is a campaign: its log is tests/results/healthy-monitor.txt.
"""

import subprocess
import time

import pytest

from campaign import QUICK, counters, count, differences, launch, source
from harness import ROOT, Sim, wait_for

HEALTHY_S = 30
CAMPAIGN_S = 600
CAMPAIGN = [(rate, change) for rate in (1, 5) for change in (2, 10, 50)]
FOUND_OUT = "monitor.ws does not deliver what changed"


class Pair:
    """A simulator with 1,000 devices, and an exporter that reads it."""

    def __init__(self, directory, name, change, rate=1, monitor="changed", seed=1, **more):
        self.processes = []
        self.label = name
        self.sim = self.start(
            Sim,
            directory,
            *("--devices", "1000", "--change", change, "--monitor", monitor, "--seed", seed),
            name=f"{name}-sim",
        )
        self.exporter = launch(
            lambda kind, *a, **k: self.start(kind, directory, *a, **k),
            directory,
            [source(self.sim.url, rate=f"{rate}s", **more)],
            name,
        )

    def start(self, kind, *arguments, **options):
        process = kind(*[str(a) for a in arguments], **options)
        self.processes.append(process)
        return process

    def kill(self):
        for process in reversed(self.processes):
            process.kill()

    def settle(self, seconds=10):
        """Ten seconds without change are what the promise allows."""
        self.sim.command("freeze")
        wait_for(
            lambda: not differences(self.sim, self.exporter.db),
            seconds,
            f"{self.label}: the database equals the simulator's truth",
            every=0.25,
        )

    def finish(self):
        totals = self.exporter.finish()["sqlite"]
        assert totals["dropped"] == 0
        return counters(self.exporter, "source test")

    def assert_trusted(self):
        log = self.exporter.stderr()
        assert FOUND_OUT not in log, log
        found = self.finish()
        assert found.get("repaired_records_total", 0) == 0, found
        assert found["frames_total{kind=monitor}"] > 0
        assert found["frames_total{kind=rest}"] > 0
        return found


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """Run from the first test of this file on; the last one looks at them. The second is asked by
    REST oftener than its monitor may send: there REST is ahead at nearly every pass."""
    directory = tmp_path_factory.mktemp("healthy")
    running = [
        Pair(directory, "healthy", change=10),
        Pair(directory, "late", change=10, rate=3, reconcile="2s"),
    ]
    running[0].begun = time.monotonic()
    yield running
    for pair in running:
        pair.kill()


@pytest.fixture
def pairs(tmp_path):
    made = []

    def pair(*arguments, **options):
        made.append(Pair(tmp_path, *arguments, **options))
        return made[-1]

    yield pair
    for each in made:
        each.kill()


@pytest.mark.parametrize("monitor", ["never", "once", "repeat"])
def test_every_device_is_right_whatever_the_monitor_does(healthy, pairs, monitor):
    pair = pairs(monitor, change=10, monitor=monitor)
    exporter = pair.exporter
    wait_for(lambda: count(exporter.db) == 1000, what="1,000 devices")
    blind = monitor != "repeat"
    if blind:
        wait_for(lambda: FOUND_OUT in exporter.stderr(), what="the blind monitor is found out")
    else:
        wait_for(lambda: pair.sim.stats()["changes"] > 500, what="some changes")
    pair.settle()
    assert exporter.stderr().count(FOUND_OUT) == (1 if blind else 0)
    found = pair.finish()
    if blind:
        assert found["repaired_records_total"] > 0
    else:
        assert found.get("repaired_records_total", 0) == 0
    assert found["connects_total"] == 1, "polling goes on in the same session"


def test_a_blind_monitor_is_not_trusted_after_a_reconnect(pairs):
    """What was found out is not forgotten: the data stays complete, and it is said once."""
    pair = pairs("reconnect", change=10, monitor="never")
    exporter = pair.exporter
    wait_for(lambda: FOUND_OUT in exporter.stderr(), what="the blind monitor is found out")
    pair.sim.command("close")
    wait_for(lambda: ": polling from " in exporter.stderr(), what="polling after the reconnect")
    assert pair.sim.stats()["connections"]["monitor"] == 0
    pair.settle()
    assert exporter.stderr().count(FOUND_OUT) == 1
    pair.finish()


def test_a_healthy_monitor_stays_trusted(healthy):
    left = healthy[0].begun + HEALTHY_S - time.monotonic()
    deadline = time.monotonic() + max(left, 0)
    wait_for(lambda: time.monotonic() >= deadline, HEALTHY_S + 5, "30 s of a healthy monitor", 0.2)
    for pair in healthy:
        pair.settle()
        pair.assert_trusted()


@pytest.mark.slow
def test_a_healthy_monitor_stays_trusted_for_ten_minutes(pairs):
    commit = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    running = []
    for seed, (rate, change) in enumerate(CAMPAIGN, 1):
        running.append(pairs(f"rate{rate}-change{change}", change, rate, seed=seed))
    begun = time.monotonic()
    wait_for(
        lambda: time.monotonic() - begun >= CAMPAIGN_S
        or any(FOUND_OUT in p.exporter.stderr() for p in running),
        CAMPAIGN_S + 30,
        "ten minutes",
        every=1,
    )
    lasted = time.monotonic() - begun
    lines = [
        "A healthy monitor must never be called blind: 1,000 devices, mode auto.",
        f"commit {commit}, six pairs at once, {lasted:.0f} s, "
        f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}",
        "",
    ]
    for seed, (pair, (rate, change)) in enumerate(zip(running, CAMPAIGN), 1):
        changes = pair.sim.stats()["changes"]
        pair.settle(15)
        found = pair.assert_trusted()
        lines.append(
            f"rate {rate} s, {change:2d} % a second, seed {seed}: {changes} changes, "
            f"{found['frames_total{kind=monitor}']} monitor frames, "
            f"{found['frames_total{kind=rest}']} REST lines, "
            f"{found.get('rest_records_total', 0)} of them first, repaired 0, streaming throughout"
        )
    (ROOT / "tests" / "results" / "healthy-monitor.txt").write_text("\n".join(lines) + "\n")


def test_a_poll_that_only_fails_is_no_polling(started, tmp_path):
    """Heartbeats come, but REST, all that a polling source has, does not answer any more."""
    sim = started(Sim, "--devices", "10", "--monitor", "never")
    exporter = launch(started, tmp_path, [source(sim.url, mode="poll", reconnect=QUICK)])
    wait_for(lambda: ": polling from " in exporter.stderr(), what="the source polls")
    sim.command("rest fail503")
    wait_for(lambda: "next try in" in exporter.stderr(), 30, "the session is given up")
    sim.command("rest ok")
    wait_for(lambda: exporter.stderr().count(": polling from ") >= 2, what="it polls again")
    exporter.finish()
