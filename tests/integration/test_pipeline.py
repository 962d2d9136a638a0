"""The line from a Kismet to a table, as people start, disturb and stop it."""

import json
import signal
import time

import pytest

import kismet
from harness import CAPTURES, Exporter, Sim, rows, wait_for


def flags(sim, db, *more):
    return (
        *("--kismet-host", sim.url, "--export-type", "sqlite", "--sqlite-path", db),
        *("--sensor", "test", "--update-rate", "1", "--batch-interval", "0.2", *more),
    )


def count(db, table="kismet_devices"):
    found = rows(db, f"SELECT count(*) AS n FROM {table}")
    return found[0]["n"] if found else 0


@pytest.mark.tsan
def test_synthetic_devices_equal_the_truth_after_a_freeze(started, tmp_path):
    sim = started(Sim, "--devices", "300", "--change", "50", "--events-per-second", "5")
    db = tmp_path / "kismet.db"
    exporter = started(Exporter, *flags(sim, db))
    exporter.streaming()
    wait_for(lambda: count(db) == 300, what="300 devices")
    wait_for(lambda: count(db, "kismet_events") >= 5, what="five events")
    sim.command("freeze")

    def equal():
        truth = {r["mac_addr"]: r for r in map(kismet.row, sim.truth().values())}
        found = {r["mac_addr"]: r for r in rows(db, "SELECT * FROM kismet_devices")}
        return len(found) == 300 and all(
            found[m][c] == v for m, want in truth.items() for c, v in want.items()
        )

    wait_for(equal, what="the database equals the simulator's truth")
    assert exporter.finish()["sqlite"]["dropped"] == 0


@pytest.mark.tsan
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_delivers_what_was_taken_in(started, tmp_path, sig):
    sim = started(Sim, "--devices", "1000", "--change", "100")
    db = tmp_path / "kismet.db"
    config = tmp_path / "kismet-export.yaml"
    # A batch that would not be due for minutes: only the stop can deliver it. The console reads
    # the same ring: what it has printed was taken in.
    config.write_text(
        f"sources: [{{name: test, url: '{sim.url}', rate: 1s}}]\n"
        "sinks:\n"
        f"  - type: sqlite\n    path: '{db}'\n"
        "    batch: {interval: 300s, records: 100000, bytes: 64MiB}\n"
        "  - {type: console}\n"
    )
    exporter = started(Exporter, "--config", config)
    wait_for(lambda: exporter.stdout().count("Device: ") >= 1000, what="every device")
    assert count(db) == 0
    begun = time.monotonic()
    totals = exporter.finish(sig)["sqlite"]
    assert time.monotonic() - begun < 10
    assert totals["delivered"] > 0 and totals["dropped"] == 0
    assert count(db) == 1000
    assert "=== Kismet Export Statistics ===" in exporter.stdout() + exporter.stderr()


@pytest.mark.tsan
def test_reconnects_after_a_restart_of_kismet(started, tmp_path):
    sim = started(Sim, "--devices", "50")
    db = tmp_path / "kismet.db"
    exporter = started(Exporter, *flags(sim, db))
    exporter.streaming()
    sim.kill()
    wait_for(lambda: "next try in" in exporter.stderr(), what="the loss is noticed")
    again = started(Sim, "--devices", "70", name="sim2", port=sim.port)
    exporter.streaming(2)
    wait_for(lambda: count(db) == 70, what="devices of the second life")
    assert again.running()
    exporter.finish()


def test_starts_before_kismet_and_waits_for_it(started, tmp_path):
    sim = started(Sim, "--devices", "10")
    port = sim.port
    sim.kill()
    db = tmp_path / "kismet.db"
    exporter = started(Exporter, *flags(sim, db))
    wait_for(lambda: "next try in" in exporter.stderr(), what="the first failure")
    started(Sim, "--devices", "10", name="sim2", port=port)
    exporter.streaming()
    wait_for(lambda: count(db) == 10, what="devices")
    exporter.finish()


@pytest.mark.parametrize("close", ["close", "reset"])
def test_abrupt_ends_of_connections(started, tmp_path, close):
    sim = started(Sim, "--devices", "50", "--change", "100")
    db = tmp_path / "kismet.db"
    exporter = started(Exporter, *flags(sim, db))
    for i in range(1, 4):
        exporter.streaming(i)
        sim.command(close)
    exporter.streaming(4)
    exporter.finish()


def test_api_key_is_sent_as_a_cookie_and_never_logged(started, tmp_path):
    key = "0123456789ABCDEF0123456789ABCDEF"
    sim = started(Sim, "--devices", "5", "--api-key", key)
    secret = tmp_path / "key"
    secret.write_text(key + "\n")
    secret.chmod(0o600)
    db = tmp_path / "kismet.db"
    exporter = started(
        Exporter, *flags(sim, db), "--kismet-api-key-file", secret, "--log-level", "debug"
    )
    exporter.streaming()
    wait_for(lambda: count(db) == 5, what="devices")
    exporter.finish()
    assert key not in exporter.stderr() + exporter.stdout()


def test_a_wrong_key_says_what_to_do(started, tmp_path):
    sim = started(Sim, "--devices", "5", "--api-key", "right")
    exporter = started(
        Exporter, *flags(sim, tmp_path / "kismet.db"), env={"KISMET_API_KEY": "wrong"}
    )
    wait_for(lambda: "refuses the credential" in exporter.stderr(), what="the refusal is said")
    assert "next try in 60.0 s" in exporter.stderr()
    exporter.finish()


def test_basic_only_with_user_and_password(started, tmp_path):
    sim = started(Sim, "--devices", "5", "--user", "admin", "--password", "secret pass")
    db = tmp_path / "kismet.db"
    exporter = started(
        Exporter,
        *flags(sim, db),
        env={"KISMET_USERNAME": "admin", "KISMET_PASSWORD": "secret pass"},
    )
    exporter.streaming()
    wait_for(lambda: count(db) == 5, what="devices")
    exporter.finish()


def test_a_prefix_of_a_proxy_belongs_to_the_url(started, tmp_path):
    sim = started(Sim, "--devices", "5", "--prefix", "/kismet")
    db = tmp_path / "kismet.db"
    wrong = started(Exporter, *flags(sim, tmp_path / "wrong.db"), name="wrong")
    wait_for(lambda: "path prefix" in wrong.stderr(), what="the missing prefix is said")
    wrong.finish()
    sim.url += "/kismet"
    exporter = started(Exporter, *flags(sim, db))
    exporter.streaming()
    wait_for(lambda: count(db) == 5, what="devices")
    exporter.finish()


BAD_FRAMES = [
    "",
    "   ",
    "{",
    '{"key":',
    '{"key": "x"',
    "[]",
    "[1,2,3]",
    "null",
    '"text"',
    "17",
    "{}",
    '{"mac_addr": "AA:BB:CC:DD:EE:FF"}',
    '{"key": 5, "mac_addr": "AA:BB:CC:DD:EE:FF"}',
    '{"key": "\\x"}',
    "not json at all",
    '{"key":"' + "a" * 100000 + '"}',
    "[" * 5000 + "]" * 5000,
    '{"key":' * 2000 + "1" + "}" * 2000,
    '{"key": "K1", "mac_addr": "AA:BB:CC:DD:EE:FF"} garbage',
    '{"key": "\\ud800", "mac_addr": []}',
]


@pytest.mark.tsan
def test_bad_frames_cost_themselves_only(started, tmp_path):
    sim = started(Sim, "--devices", "20", "--change", "100")
    db = tmp_path / "kismet.db"
    exporter = started(Exporter, *flags(sim, db))
    exporter.streaming()
    for stream in ("monitor", "eventbus"):
        for frame in BAD_FRAMES:
            sim.command(f"raw {stream} {frame}")
    good = {
        "key": "4202770D00000000_010000FE0002",
        "server_uuid": "U",
        "mac_addr": "02:00:FE:00:00:01",
        "name": "after the bad ones",
        "phy_type": "IEEE802.11",
        "last_seen": 1763000000,
        "total_packets": 1,
    }
    sim.command("raw monitor " + json.dumps(good))
    wait_for(
        lambda: rows(db, "SELECT 1 FROM kismet_devices WHERE name = 'after the bad ones'"),
        what="a good frame after the bad ones",
    )
    assert "next try in" not in exporter.stderr()
    exporter.finish()


def test_config_errors_exit_78_with_file_and_line(started, tmp_path):
    config = tmp_path / "bad.yaml"
    config.write_text("sensor: s\nsources:\n  - url: http://localhost:2501\n    rte: 5\n")
    exporter = started(Exporter, "--config", config)
    assert exporter.wait() == 78
    assert f"{config}:4:" in exporter.stderr()
    assert "rate" in exporter.stderr()


def test_a_secret_on_the_command_line_warns(started, tmp_path):
    sim = started(Sim, "--devices", "1", "--api-key", "S3CRET")
    exporter = started(Exporter, *flags(sim, tmp_path / "k.db"), "--kismet-api-key", "S3CRET")
    exporter.streaming()
    assert "--kismet-api-key" in exporter.stderr()
    assert "S3CRET" not in exporter.stderr()
    exporter.finish()


def test_two_sources_into_one_file(started, tmp_path):
    one = started(Sim, "--devices", "30", "--seed", "1", name="one")
    two = started(
        Sim, "--devices", "30", "--seed", "1", "--uuid", "AAAAAAAA-0000-0000-0000-00000000000B",
        name="two",
    )
    db = tmp_path / "kismet.db"
    config = tmp_path / "two.yaml"
    config.write_text(
        "sensor: test\n"
        "sources:\n"
        f"  - {{name: north, url: '{one.url}', rate: 1s}}\n"
        f"  - {{name: south, url: '{two.url}', rate: 1s}}\n"
        f"sinks:\n  - {{type: sqlite, path: '{db}', batch: {{interval: 200ms}}}}\n"
        f"  - {{type: console}}\n"
    )
    exporter = started(Exporter, "--config", config)
    exporter.streaming(2)
    wait_for(lambda: count(db, "kismet_device_sources") == 60, what="both sensors' rows")
    assert count(db) == 30
    assert {r["source"] for r in rows(db, "SELECT source FROM kismet_device_sources")} == {
        "north",
        "south",
    }
    wait_for(lambda: count(db, "kismet_sources") == 2, what="kismet_sources")
    totals = exporter.finish()
    assert set(totals) == {"sqlite", "console"}
