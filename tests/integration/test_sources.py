"""Several sources in one process: whatever one of them does, the others lose no second.

And what happens to one source over a gap: what Kismet still knows is fetched, each thing once.
"""

import json
import pathlib
import subprocess
import threading
import time
from datetime import datetime

import pytest

from campaign import QUICK, count, counters, launch, source
from harness import SLOW, Sim, rows, wait_for
from proxy import Proxy, cpu_shares

HERE = pathlib.Path(__file__).parent
WATCHED_S = 12  # longer than libcurl waits for a connection, so that it gives the resolver up
PAUSE_S_MAX = 3  # devices are pushed each second; what would hang, hangs for ten
GOOD = ("v4", "v6")


@pytest.fixture(scope="module")
def resolver(tmp_path_factory):
    """The environment in which N.hangs.test takes N seconds to resolve."""
    library = tmp_path_factory.mktemp("resolver") / "slow_resolver.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "slow_resolver.c"], check=True
    )
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}


def newest(db, name):
    """When the newest device of a source was heard, in seconds."""
    found = rows(
        db, "SELECT max(last_updated) AS t FROM kismet_device_sources WHERE source = ?", name
    )
    if not found or found[0]["t"] is None:
        return None
    return datetime.fromisoformat(str(found[0]["t"])).timestamp()


class Watch:
    """Several sources, good and bad, that are watched while other tests run."""

    def __init__(self, directory, resolver):
        self.things = []
        self.directory = directory
        self.exporter, self.bad = several(self.start, directory, resolver)
        self.heard = {name: [] for name in GOOD}
        for name in GOOD:
            wait_for(lambda: newest(self.exporter.db, name), what=f"devices of {name}")
        self.begun = time.monotonic()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def start(self, kind, *arguments, **options):
        self.things.append(kind(self.directory, *arguments, **options))
        return self.things[-1]

    def run(self):
        while not self.over.wait(0.1) and time.monotonic() < self.begun + WATCHED_S:
            for name, times in self.heard.items():
                t = newest(self.exporter.db, name)
                if not times or times[-1] != t:
                    times.append(t)

    def kill(self):
        self.over.set()
        self.thread.join()
        for thing in reversed(self.things):
            thing.kill()


@pytest.fixture(scope="module", autouse=True)
def watch(tmp_path_factory, resolver):
    it = Watch(tmp_path_factory.mktemp("several"), resolver)
    yield it
    it.kill()


def several(started, directory, resolver):
    first = started(Sim, "--devices", "50", "--change", "100", name="first")
    second = started(lambda _directory: Proxy(first.port, "::1"))
    hole = started(lambda _directory: Proxy(first.port))
    hole.set_mode("blackhole")
    gone = started(Sim, "--devices", "1", name="gone")
    gone.kill()
    bad = {
        "dead": gone.url,
        "hole": hole.url,
        "nowhere": f"http://nowhere.invalid:{first.port}",
        "hangs": f"http://15.hangs.test:{first.port}",
    }
    sources = [source(url, name) for name, url in bad.items()]
    sources.append(source(f"http://localhost:{first.port}", "v4"))
    sources.append(source(second.url, "v6"))
    sources.append(source(f"http://2.hangs.test:{first.port}", "late"))
    return launch(started, directory, sources, env=resolver), bad


@pytest.mark.slow
def test_dead_sources_for_minutes_cost_nothing(started, tmp_path):
    """Ten dead ones beside a live one: no busy loop, no growth of the log beyond the backoff's."""
    sim = started(Sim, "--devices", "10", "--change", "10")
    gone = started(Sim, "--devices", "1", name="gone")
    gone.kill()
    sources = [source(f"http://127.0.0.1:{gone.port}/{i}", f"dead{i}") for i in range(10)]
    exporter = launch(started, tmp_path, [*sources, source(sim.url, "alive")])
    exporter.streaming()
    assert cpu_shares([exporter.pid], 120)[0] < 0.02
    assert exporter.stderr().count("next try in") < 10 * 30
    exporter.finish()


def alert(number, text):
    now = time.time()
    return json.dumps(
        {
            "ALERT": {
                "kismet.alert.header": "GAP",
                "kismet.alert.hash": number,
                "kismet.alert.timestamp": round(now, 6),
                "kismet.alert.device_key": "00_0",
                "kismet.alert.source_mac": "AA:BB:CC:DD:EE:FF",
                "kismet.alert.transmitter_mac": "00:00:00:00:00:00",
                "kismet.alert.text": text,
            }
        }
    )


@pytest.mark.parametrize("skew", [0, -7200])
def test_alerts_of_a_gap_arrive_once(started, tmp_path, skew):
    sim = started(
        Sim, *("--devices", "10", "--duplicate-events", "on", "--clock-skew", skew)
    )
    proxy = started(lambda _directory: Proxy(sim.port))
    exporter = launch(started, tmp_path, [source(proxy.url, reconnect=QUICK, events=["ALERT"])])
    exporter.streaming()
    seconds = sim.stats()["seconds"]
    wait_for(lambda: sim.stats()["seconds"] >= seconds + 2, what="a heartbeat: the skew is known")

    def found():
        return sorted(
            json.loads(r["event_data"])["kismet.alert.text"]
            for r in rows(exporter.db, "SELECT event_data FROM kismet_events")
        )

    def send(number, text):
        # The server's clock stamps its alerts.
        message = json.loads(alert(number, text))
        message["ALERT"]["kismet.alert.timestamp"] += skew
        sim.command("event " + json.dumps(message))

    send(1, "before")
    wait_for(lambda: found() == ["before"], what="the alert before the gap")
    proxy.set_mode("refuse")
    wait_for(lambda: "next try in" in exporter.stderr(), what="the gap begins")
    send(2, "in the gap")
    send(3, "in the gap too")
    proxy.mend()
    exporter.streaming(2)
    wait_for(lambda: len(found()) >= 3, what="the alerts of the gap")
    send(4, "after")
    wait_for(lambda: "after" in found(), what="the alert after the gap")
    assert found() == ["after", "before", "in the gap", "in the gap too"]
    exporter.finish()
    seen = counters(exporter, "source test")
    # "before" came twice and again by REST; the second "after" may not have been read any more.
    assert seen["gaps_total"] == 1 and seen["events_duplicate_total"] >= 2


def test_devices_of_a_gap_come_by_rest(started, tmp_path):
    """What changed while nobody listened, and a device that came, with a monitor that is silent."""
    sim = started(Sim, "--devices", "100", "--change", "0", "--monitor", "never")
    proxy = started(lambda _directory: Proxy(sim.port))
    exporter = launch(started, tmp_path, [source(proxy.url, reconnect=QUICK)])
    exporter.streaming()
    wait_for(lambda: count(exporter.db) == 100, what="devices")
    proxy.set_mode("reset")
    wait_for(lambda: "next try in" in exporter.stderr(), what="the gap begins")
    sim.command("add 20")
    sim.command("change 50")
    proxy.mend()
    wait_for(lambda: count(exporter.db) == 120, what="the devices of the gap")
    exporter.finish()


def test_a_source_that_flaps_is_not_hammered(started, tmp_path):
    """Kismet answers, its WebSockets do not: the backoff grows although REST works."""
    sim = started(Sim, "--devices", "5", "--handshake", "badaccept")
    exporter = launch(started, tmp_path, [source(sim.url)])
    # What the start costs, with a sanitizer above all, is another matter.
    wait_for(lambda: "next try in" in exporter.stderr(), what="the first failure")
    assert cpu_shares([exporter.pid], 2)[0] < 0.05 * SLOW
    assert exporter.stderr().count("next try in") < 12
    exporter.finish()


def test_one_bad_source_does_not_slow_another(watch):
    exporter, heard = watch.exporter, watch.heard
    wait_for(lambda: not watch.thread.is_alive(), WATCHED_S + 10, "the time to watch")
    for name, times in heard.items():
        # The first state's time is the server's second, not when we heard it.
        pauses = [b - a for a, b in zip(times[1:], times[2:])]
        assert len(pauses) >= WATCHED_S / 2 / SLOW
        assert max(pauses) < PAUSE_S_MAX * SLOW, (name, times)
    assert newest(exporter.db, "late"), "a name that resolves late is a source like others"
    log = exporter.stderr()
    assert "source dead: " in log and "is Kismet running there" in log
    assert "source nowhere: " in log and "check the host name" in log
    assert "source hangs: " in log
    for name in watch.bad:
        assert f"source {name}: streaming" not in log
    # The end does not wait for a resolver either.
    begun = time.monotonic()
    exporter.finish()
    assert time.monotonic() - begun < 10 * SLOW
    for name in GOOD:
        assert "gaps_total" not in counters(exporter, f"source {name}")
