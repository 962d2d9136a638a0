"""SIGHUP: what changes under way, what is refused, what is named as needing a restart."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from campaign import QUICK, configure, count, counters, launch, source
from harness import BUILD, ROOT, Sim, rows, wait_for

IGNORED = ["last_seen", "total_packets", "tx_packets", "rx_packets", "data_size"]
BAD_FILES = [
    "log: {level: loud}\n",
    "sinks:\n  - {type: sqlite, filter: {name: '['}}\n",
    "sources: x\n",
    "sensor: [\n",
    "sinks:\n  - {type: sqlite, delta: {deadband: {name: 3}}}\n",
]


def db_sink(tmp_path, **more):
    return {"name": "db", "type": "sqlite", "path": str(tmp_path / "exporter.db"), **more}


class Running:
    """An exporter whose configuration is written anew."""

    def __init__(self, started, tmp_path, sources, sinks, **top):
        self.directory = tmp_path
        self.exporter = launch(started, tmp_path, sources, sinks=sinks, **top)
        self.reloads = 0
        self.refused = 0

    def hangup(self):
        self.exporter.process.send_signal(signal.SIGHUP)

    def reload(self, sources, sinks, **top):
        configure(self.directory, sources, sinks=sinks, **top)
        self.hangup()
        self.reloads += 1
        wait_for(
            lambda: self.exporter.stderr().count("config: reloaded from") >= self.reloads,
            what="the reload",
        )

    def refuse(self, text):
        (self.directory / "exporter.yaml").write_text(text)
        self.hangup()
        self.refused += 1
        wait_for(
            lambda: self.exporter.stderr().count("config: not reloaded") >= self.refused,
            what="the refusal",
        )

    def says(self, words):
        wait_for(lambda: words in self.exporter.stderr(), what=words)


@pytest.mark.tsan
def test_settings_change_under_way(started, tmp_path):
    sim = started(Sim, "--devices", "200", "--change", "50")
    sources = [source(sim.url)]
    quiet = {"interval": "100ms"}
    # A filter that nothing passes, and a batch that would not be due for an hour.
    first = db_sink(tmp_path, filter={"min_signal_dbm": 0}, batch={"interval": "1h"})
    witness = {"type": "console"}  # when it prints, the other sink has had the records too
    run = Running(started, tmp_path, sources, [first, witness])
    run.exporter.streaming()
    wait_for(lambda: run.exporter.stdout().count("Device: ") > 100, what="devices")
    assert count(run.exporter.db) == 0
    # The filter goes, the interval becomes short, the log talks.
    fields = ["signal_dbm", "last_seen"]
    run.reload(
        sources, [db_sink(tmp_path, batch=quiet, fields=fields), witness], log={"level": "debug"}
    )
    run.says("sink db: opened anew")
    wait_for(lambda: count(run.exporter.db) == 200, what="200 devices")
    run.says(" debug sink db: batch ")
    found = rows(run.exporter.db, "SELECT * FROM kismet_devices")
    assert all(r["manufacturer"] is None and r["total_packets"] is None for r in found)
    assert any(r["signal_dbm"] is not None for r in found)
    # And the columns come back.
    run.reload(sources, [db_sink(tmp_path, batch=quiet), witness])
    wait_for(
        lambda: rows(
            run.exporter.db, "SELECT 1 FROM kismet_devices WHERE total_packets IS NOT NULL"
        ),
        what="columns that were left out",
    )
    totals = run.exporter.finish()["db"]
    assert totals["filtered"] > 0 and totals["delivered"] >= 200 and totals["dropped"] == 0
    assert counters(run.exporter, "main")["config_reloads_total{result=ok}"] == 2


@pytest.mark.tsan
def test_a_bad_file_changes_nothing(started, tmp_path):
    sim = started(Sim, "--devices", "50", "--change", "50")
    sources = [source(sim.url)]
    run = Running(started, tmp_path, sources, [db_sink(tmp_path, batch={"interval": "100ms"})])
    run.exporter.streaming()
    wait_for(lambda: count(run.exporter.db) == 50, what="50 devices")
    good = (tmp_path / "exporter.yaml").read_text()
    for text, words in [
        ("log:\n  level: loud\n", "exporter.yaml:2: level: 'loud' is none of"),
        (
            "sinks:\n  - type: sqlite\n    fields: [signl]\n",
            "exporter.yaml:3: fields: 'signl' is no field of a device",
        ),
        ("sinks:\n  - type: sqlite\n    filter:\n      name: '['\n", "exporter.yaml:4: name"),
        ("sensor: [\n", "exporter.yaml:"),
    ]:
        run.refuse(text)
        assert words in run.exporter.stderr(), run.exporter.stderr()
    os.remove(tmp_path / "exporter.yaml")
    run.hangup()
    wait_for(lambda: run.exporter.stderr().count("not reloaded") == 5, what="a missing file")
    before = rows(run.exporter.db, "SELECT sum(total_packets) AS n FROM kismet_devices")
    wait_for(
        lambda: rows(run.exporter.db, "SELECT sum(total_packets) AS n FROM kismet_devices")
        != before,
        what="the old configuration goes on",
    )
    (tmp_path / "exporter.yaml").write_text(good)
    run.hangup()
    run.says("config: reloaded from")
    assert run.exporter.finish()["db"]["dropped"] == 0
    assert counters(run.exporter, "main")["config_reloads_total{result=failed}"] == 5


def test_what_needs_a_restart_is_named(started, tmp_path):
    sim = started(Sim, "--devices", "20")
    other = {"name": "out", "type": "console"}
    run = Running(
        started,
        tmp_path,
        [source(sim.url), source("http://127.0.0.1:1", "gone", reconnect=QUICK)],
        [db_sink(tmp_path), other],
    )
    run.exporter.streaming()
    moved = {**db_sink(tmp_path), "path": str(tmp_path / "other.db")}
    run.reload(
        [source("http://127.0.0.1:2", "test"), source(sim.url, "new")],
        [moved, {"name": "more", "type": "console"}],
        ring_bytes="32MiB",
    )
    for words in [
        "config: ring_bytes has changed: it holds after a restart",
        "config: source test: url has changed: it holds after a restart",
        "config: source gone is no longer in",
        "config: source new (line ",
        "config: sink db: path has changed: it holds after a restart",
        "config: sink out is no longer in",
        "config: sink more (line ",
    ]:
        assert words in run.exporter.stderr(), words
    run.exporter.finish()
    assert not (tmp_path / "other.db").exists()


@pytest.mark.tsan
def test_secrets_are_read_again(started, tmp_path):
    sim = started(Sim, "--devices", "20", "--api-key", "right")
    key = tmp_path / "key"
    key.write_text("wrong\n")
    key.chmod(0o600)
    sources = [source(sim.url, api_key_file=str(key), reconnect=QUICK)]
    sinks = [db_sink(tmp_path, batch={"interval": "100ms"})]
    run = Running(started, tmp_path, sources, sinks)
    run.says("401")
    # The wait after a refusal is a minute; a reload with the right key does not wait for it.
    run.reload([source(sim.url, api_key="right", reconnect=QUICK)], sinks)
    run.exporter.streaming()
    wait_for(lambda: count(run.exporter.db) == 20, what="20 devices")
    run.exporter.finish()


def test_a_held_sink_is_tried_at_once(started, tmp_path):
    sim = started(Sim, "--devices", "20", "--change", "20")
    folder = tmp_path / "folder"
    folder.mkdir()
    sinks = [{"name": "db", "type": "sqlite", "path": str(folder / "a.db")}]
    run = Running(started, tmp_path, [source(sim.url)], sinks)
    run.exporter.streaming()
    wait_for(lambda: count(folder / "a.db") == 20, what="20 devices")
    # The directory goes away: no retry within the minute of a hold finds it back.
    folder.rename(tmp_path / "away")
    run.says("sink db: held")
    (tmp_path / "away").rename(folder)
    run.reload([source(sim.url)], sinks)
    run.says("sink db: delivering again")
    assert run.exporter.finish()["db"]["dropped"] == 0


def test_extra_fields(started, tmp_path):
    sim = started(Sim, "--devices", "20", "--change", "100")
    extra = [
        {"path": "kismet.device.base.frequency", "as": "khz", "type": "integer"},
        {"path": "kismet.device.base.phyname", "as": "phy"},
        {"path": "kismet.device.base.macaddr", "as": "odd", "type": "number"},
        {"path": "kismet.no.such.field", "as": "none"},
    ]
    sinks = [db_sink(tmp_path, batch={"interval": "100ms"})]
    exporter = launch(started, tmp_path, [source(sim.url, extra_fields=extra)], sinks=sinks)
    exporter.streaming()
    wait_for(lambda: count(exporter.db) == 20, what="20 devices")
    wait_for(lambda: sim.stats()["changes"] > 40, what="changes by the monitor")
    exporter.finish()
    for row in rows(exporter.db, "SELECT * FROM kismet_devices"):
        assert json.loads(row["extra"]) == {"khz": row["frequency"] or 0, "phy": row["phy_type"]}
        assert (row["khz"], row["phy"]) == (row["frequency"] or 0, row["phy_type"])
        assert (row["odd"], row["none"]) == (None, None)
    assert counters(exporter, "source test")["repairs_total{reason=wrong_type}"] >= 20


def sinks_of(tmp_path, turn):
    """Other filters, deltas, fields, formats and batches each time."""
    batch = {"interval": f"{50 + turn % 7 * 20}ms", "records": 50 + turn % 5 * 100}
    db = db_sink(tmp_path, batch=batch)
    phase = turn // 20 % 3  # longer: with other rules the table begins anew
    if turn % 3 == 1 and phase != 1:
        db["fields"] = ["signal_dbm", "last_seen", "total_packets", "first_seen"]
    if turn % 4 == 1:
        deny = ["00:00:00:00:00:00/00:00:00:00:00:0F"]
        db["filter"] = {"min_signal_dbm": -70, "macs_deny": deny}
    if phase == 1:
        db["delta"] = {
            **{"min_interval": "3s", "heartbeat": "5s"},
            **{"deadband": {"signal_dbm": 3}, "ignore": IGNORED},
        }
    elif phase == 2:
        db["delta"] = {"mode": "off"}
    out = {"name": "out", "type": "console", "format": "json" if turn % 2 else "text"}
    if turn % 3 == 2:
        out["fields"] = ["name", "signal_dbm"]
    return [db, out]


def check_lines(lines):
    """Every line of the console is a whole one, also of a sink that was opened anew."""
    for line in lines:
        if line.startswith("{"):
            json.loads(line)
        else:
            assert re.match(r"\[\d+\] Device: .*dBm - Packets: |Event: \{.*\}$", line), line


def reload_under_load(started, tmp_path, reloads, seed):
    """Reloads, every other one of a bad file, while devices change; the account after it."""
    sim = started(
        *(Sim, "--devices", "500", "--change", "100", "--shape", "smooth"),
        *("--events-per-second", "10", "--seed", seed),
    )
    sources = [source(sim.url)]
    run = Running(started, tmp_path, sources, sinks_of(tmp_path, 0))
    run.exporter.streaming()
    for turn in range(1, reloads + 1):
        changes = sim.stats()["changes"]
        wait_for(lambda: sim.stats()["changes"] >= changes + 25, what="changes", every=0.002)
        if (turn + seed) % 2:
            run.refuse(BAD_FILES[turn % len(BAD_FILES)])
        else:
            level = "debug" if run.reloads % 4 == 0 else "info"
            run.reload(sources, sinks_of(tmp_path, run.reloads + 1), log={"level": level})
    changes = sim.stats()["changes"]
    totals = run.exporter.finish()
    done = counters(run.exporter, "main")
    assert done["config_reloads_total{result=ok}"] == run.reloads
    assert done["config_reloads_total{result=failed}"] == run.refused
    assert run.reloads + run.refused == reloads
    assert totals["out"]["received"] > reloads
    assert totals["db"]["filtered"] > 0, totals
    assert "ThreadSanitizer" not in run.exporter.stderr()
    for sink in totals.values():
        assert sink["dropped"] == 0 and sink["dead_lettered"] == 0, totals
    lines = run.exporter.stdout().splitlines()
    lines = [line for line in lines if line.startswith(("{", "[", "Event: "))]
    assert len(lines) == totals["out"]["delivered"]
    check_lines(lines)
    return changes, run, totals


@pytest.mark.tsan
def test_reloads_under_load(started, tmp_path):
    reload_under_load(started, tmp_path, 30, 1)


@pytest.mark.slow
def test_a_thousand_reloads(started, tmp_path):
    seed = int(os.environ.get("KX_SEED", "7"))
    begun = time.monotonic()
    changes, run, totals = reload_under_load(started, tmp_path, 1000, seed)
    seconds = time.monotonic() - begun
    assert totals["db"]["coalesced"] > 0, totals
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    tsan = b"__tsan_init" in (BUILD / "kismet-export").read_bytes()
    how = ", under ThreadSanitizer" if tsan else ""
    name = "reloads-tsan.txt" if tsan else "reloads.txt"
    (ROOT / "tests" / "results" / name).write_text(
        f"1,000 reloads under load, every other one of a bad file{how}:\n"
        f"seed {seed}, commit {commit.strip() or 'unknown'}, {seconds:.0f} s; "
        f"{run.reloads} taken, {run.refused} refused; {changes} changes at the simulator\n"
        + "".join(f"{sink}: {terms}\n" for sink, terms in totals.items())
        + "no report, nothing dropped, each account exact, each line of the console whole\n"
    )
