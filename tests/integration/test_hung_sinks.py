"""A stop while every sink hangs in a library or in the kernel, where nothing can reach it."""

import pathlib
import signal
import subprocess
import time

import kismet
import pytest
from harness import SLOW, TERMS, Exporter, Sim, rows, wait_for
from test_dead_letters import make_table

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """The environment in which a sync of a file below dead-disk/ never ends."""
    library = tmp_path_factory.mktemp("disk") / "hanging_disk.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "hanging_disk.c"], check=True
    )
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}


@pytest.fixture
def dead(tmp_path):
    directory = tmp_path / "dead-disk"
    directory.mkdir()
    return directory


def stop(exporter, sig=signal.SIGTERM):
    """Ends it; within 10 s, or what a slower machine makes of them."""
    begun = time.monotonic()
    status = exporter.stop(sig, seconds=30)
    assert time.monotonic() - begun < 10 * SLOW
    assert status == 0, exporter.stderr()
    totals = exporter.totals()
    for sink, t in totals.items():
        assert t["received"] == sum(t[term] for term in TERMS[1:]), f"{sink}: {t}"
    return totals


def test_every_sink_hangs(started, tmp_path, dead, disk):
    sim = started(Sim, "--devices", "100", "--change", "100")
    config = tmp_path / "kismet-export.yaml"
    sinks = "".join(
        f"  - {{name: {name}, type: sqlite, path: '{dead / name}.db', "
        "batch: {interval: 100ms}}\n"
        for name in ("bad-1", "bad-2", "bad-3")
    )
    config.write_text(
        f"sources: [{{name: test, url: '{sim.url}', rate: 1s}}]\nsinks:\n{sinks}"
        "  - {type: console}\n"  # a witness: what it has printed was taken in
    )
    exporter = started(Exporter, "--config", config, env=disk)
    wait_for(lambda: exporter.stdout().count("Device: ") >= 100, what="every device")
    wait_for(
        lambda: all((dead / f"bad-{i}.db").exists() for i in (1, 2, 3)),
        what="each sink is in its call",
    )
    totals = stop(exporter)
    assert totals.pop("console")["pending"] == 0 and len(totals) == 3
    for t in totals.values():
        assert t["delivered"] == 0 and t["pending"] > 0
    assert "left behind: sink bad-" in exporter.stderr()
    assert "=== Kismet Export Statistics ===" in exporter.stdout()


def test_one_sink_hangs_and_the_others_deliver(started, tmp_path, dead, disk):
    sim = started(Sim, "--devices", "100", "--change", "0")
    config = tmp_path / "kismet-export.yaml"
    config.write_text(
        f"sources: [{{name: test, url: '{sim.url}', rate: 1s}}]\nsinks:\n"
        f"  - {{name: bad, type: sqlite, path: '{dead}/bad.db'}}\n"
        f"  - {{name: good, type: sqlite, path: '{tmp_path}/good.db'}}\n"
    )
    exporter = started(Exporter, "--config", config, env=disk)
    exporter.streaming()
    count = "SELECT count(*) AS n FROM kismet_devices"
    wait_for(
        lambda: (rows(tmp_path / "good.db", count) or [{"n": 0}])[0]["n"] == 100,
        what="every device is where nothing hangs",
    )
    totals = stop(exporter)
    assert totals["good"]["pending"] == 0 and totals["good"]["dropped"] == 0
    assert totals["bad"]["pending"] > 0
    assert "left behind: sink bad: thread s:bad" in exporter.stderr()


def test_the_disk_of_the_dead_letters_hangs(started, tmp_path, dead, disk):
    """It costs its sink only, and the stop leaves it behind with what it holds."""
    sim = started(Sim, "--devices", "100", "--change", "0")
    poison = sorted(r["mac_addr"] for r in map(kismet.row, sim.truth().values()))[50]
    make_table(tmp_path / "bad.db", f"mac_addr <> '{poison}'")
    config = tmp_path / "kismet-export.yaml"
    letters = dead / "letters.ndjson"
    config.write_text(
        f"sources: [{{name: test, url: '{sim.url}', rate: 1s}}]\nsinks:\n"
        f"  - {{name: bad, type: sqlite, path: '{tmp_path}/bad.db', "
        f"dead_letter: {{path: '{letters}'}}}}\n"
        f"  - {{name: good, type: sqlite, path: '{tmp_path}/good.db'}}\n"
    )
    exporter = started(Exporter, "--config", config, env=disk)
    wait_for(letters.exists, what="the letter is being written")
    count = "SELECT count(*) AS n FROM kismet_devices"
    wait_for(
        lambda: (rows(tmp_path / "good.db", count) or [{"n": 0}])[0]["n"] == 100,
        what="every device is where nothing hangs",
    )
    totals = stop(exporter)
    assert totals["good"]["pending"] == 0 and totals["good"]["dropped"] == 0
    assert totals["bad"]["pending"] > 0 and totals["bad"]["delivered"] >= 99
    assert totals["bad"]["dead_lettered"] == 0
