"""Records that a database refuses: alone in it, all of them, with nowhere to keep them."""

import json
import re
import signal
import sqlite3
import stat
import subprocess

import kismet
from harness import CAPTURES, ROOT, Exporter, Sim, rows, wait_for
from ports import Port, total

TABLE = """
CREATE TABLE kismet_devices (
    mac_addr TEXT PRIMARY KEY, name TEXT, username TEXT, phy_type TEXT, manufacturer TEXT,
    first_seen BIGINT, last_seen BIGINT, channel TEXT, frequency BIGINT, total_packets BIGINT,
    tx_packets BIGINT, rx_packets BIGINT, data_size BIGINT, signal_dbm INTEGER, noise_dbm INTEGER,
    snr_db INTEGER, latitude DOUBLE PRECISION, longitude DOUBLE PRECISION,
    altitude DOUBLE PRECISION, last_updated TIMESTAMP,
    CONSTRAINT ward CHECK ({})
)"""


def make_table(db, check):
    with sqlite3.connect(db) as connection:
        connection.execute(TABLE.format(check))
    connection.close()


def execute(db, statement):
    with sqlite3.connect(db, timeout=30) as connection:
        connection.execute(statement)
    connection.close()


def configure(tmp_path, sim, db, more=""):
    path = tmp_path / "kismet-export.yaml"
    path.write_text(
        f"sensor: test\n"
        f"sources: [{{name: test, url: '{sim.url}', rate: 1s, events: none}}]\n"
        f"sinks:\n"
        f"  - type: sqlite\n    path: '{db}'\n"
        f"    batch: {{records: 1000, interval: 60s, bytes: 64MiB}}\n{more}"
    )
    return path


def letters(tmp_path, name="sqlite.dead-letter.ndjson"):
    path = tmp_path / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def macs(db):
    return {r["mac_addr"] for r in rows(db, "SELECT mac_addr FROM kismet_devices")}


def test_one_poisoned_record_among_a_thousand(started, tmp_path):
    sim = started(Sim, "--devices", "1000", "--change", "0")
    truth = {r["mac_addr"]: r for r in map(kismet.row, sim.truth().values())}
    poison = sorted(truth)[617]
    db = tmp_path / "kismet.db"
    make_table(db, f"mac_addr <> '{poison}'")
    exporter = started(Exporter, "--config", configure(tmp_path, sim, db), "--once")
    totals = exporter.finish(sig=None, status=69)["sqlite"]
    assert totals["received"] == 1000
    assert totals["delivered"] == 999 and totals["dead_lettered"] == 1 and totals["dropped"] == 0
    assert macs(db) == set(truth) - {poison}
    assert re.search("1 records refused for good, 1 of them kept as dead letters", exporter.stderr())

    (letter,) = letters(tmp_path)
    assert list(letter) == "when sink reason error kind source sequence record".split()
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", letter["when"])
    assert letter["sink"] == "sqlite" and letter["kind"] == "device" and letter["source"] == "test"
    assert letter["reason"] == "sqlite 275" and "CHECK constraint failed: ward" in letter["error"]
    want = truth[poison]
    assert {k: letter["record"][k] for k in want if k in letter["record"]} == {
        k: v for k, v in want.items() if k in letter["record"]
    }
    assert letter["record"]["mac_addr"] == poison and letter["record"]["last_seen"]
    mode = stat.S_IMODE((tmp_path / "sqlite.dead-letter.ndjson").stat().st_mode)
    assert mode == 0o600


def test_a_constraint_that_refuses_all_holds_and_is_named(started, tmp_path):
    sim = started(Sim, "--devices", "200", "--change", "0")
    poison = sorted(r["mac_addr"] for r in map(kismet.row, sim.truth().values()))[80]
    db = tmp_path / "kismet.db"
    make_table(db, f"mac_addr <> '{poison}'")
    refusal = "RAISE(ABORT, 'kismet_devices is closed: ask the warden')"
    execute(db, f"CREATE TRIGGER closed BEFORE INSERT ON kismet_devices BEGIN SELECT {refusal}; END")
    config = configure(tmp_path, sim, db)
    text = config.read_text().replace("interval: 60s", "interval: 2s")
    config.write_text(text + "stats: {listen: '127.0.0.1:0'}\n")
    exporter = started(Exporter, "--config", config)
    port = Port(exporter)
    wait_for(
        lambda: re.search(
            r"held.*: rejected_all: every record is refused: .*ask the warden", exporter.stderr()
        ),
        what="the sink is held, and says why",
    )
    assert not letters(tmp_path) and not macs(db)
    status, _, text = port.ask("/readyz")
    assert status == 503
    (reason,) = [r for r in json.loads(text)["reasons"] if r["kind"] == "sink"]
    assert reason["name"] == "sqlite" and "ask the warden" in json.dumps(reason)
    execute(db, "DROP TRIGGER closed")
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(macs(db)) == 199, what="everything that was kept")
    wait_for(lambda: letters(tmp_path), what="the bad one")
    wait_for(lambda: port.ask("/readyz")[0] == 200, what="ready again")
    assert total(port.metrics(), "records_dead_lettered_total", sink="sqlite") > 0
    totals = exporter.finish()["sqlite"]
    assert totals["dropped"] == 0 and totals["dead_lettered"] == len(letters(tmp_path))
    assert {letter["record"]["mac_addr"] for letter in letters(tmp_path)} == {poison}
    assert poison not in macs(db)


def test_nowhere_to_keep_them_stops_nothing(started, tmp_path):
    sim = started(Sim, "--devices", "300", "--change", "0")
    poison = sorted(r["mac_addr"] for r in map(kismet.row, sim.truth().values()))[7::100]
    db = tmp_path / "kismet.db"
    make_table(db, "mac_addr NOT IN ({})".format(", ".join(f"'{mac}'" for mac in poison)))
    wanted = tmp_path / "a file" / "letters"
    wanted.parent.write_text("in the way")
    more = f"    dead_letter: {{path: '{wanted}'}}\n"
    exporter = started(Exporter, "--config", configure(tmp_path, sim, db, more), "--once")
    totals = exporter.finish(sig=None, status=69)["sqlite"]
    assert totals["delivered"] == 297 and totals["dropped"] == 3 and totals["dead_lettered"] == 0
    assert exporter.stderr().count("refused records are dropped until this is mended") == 1
    assert f"{wanted}: Not a directory" in exporter.stderr()


def test_off(started, tmp_path):
    sim = started(Sim, "--devices", "100", "--change", "0")
    poison = sorted(r["mac_addr"] for r in map(kismet.row, sim.truth().values()))[50]
    db = tmp_path / "kismet.db"
    make_table(db, f"mac_addr <> '{poison}'")
    config = configure(tmp_path, sim, db, "    dead_letter: off\n")
    exporter = started(Exporter, "--config", config, "--once")
    totals = exporter.finish(sig=None, status=69)["sqlite"]
    assert totals["delivered"] == 99 and totals["dropped"] == 1 and totals["dead_lettered"] == 0
    assert not list(tmp_path.glob("*dead-letter*"))
    assert "until this is mended" not in exporter.stderr()


def test_what_strangers_named_is_json_and_harmless(started, tmp_path):
    """Every second hostile name is refused: each line is JSON, and nothing for a terminal."""
    sim = started(Sim, "--capture", CAPTURES / "hostile-names.itjson.zst", "--monitor", "repeat")
    expected = {r["mac_addr"]: r for r in map(kismet.row, sim.truth().values())}
    refused = sorted(expected)[::2]
    db = tmp_path / "kismet.db"
    make_table(db, "mac_addr NOT IN ({})".format(", ".join(f"'{mac}'" for mac in refused)))
    exporter = started(Exporter, "--config", configure(tmp_path, sim, db), "--once")
    totals = exporter.finish(sig=None, status=69)["sqlite"]
    assert totals["delivered"] == 75 and totals["dead_lettered"] == 75 and totals["dropped"] == 0
    found = {letter["record"]["mac_addr"]: letter["record"] for letter in letters(tmp_path)}
    assert sorted(found) == refused
    for mac, record in found.items():
        assert record["name"] == expected[mac]["name"]
    text = (tmp_path / "sqlite.dead-letter.ndjson").read_bytes().decode()
    assert len(text.splitlines()) == 75  # U+2028 and the like would make more
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069<>&]", text)


def test_feeding_back_as_the_document_says(started, tmp_path):
    document = (ROOT / "docs" / "dead-letters.md").read_text()
    code = re.search(r"<!-- feed -->\n```python\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)[1]
    (tmp_path / "feed.py").write_text(code)
    commands = re.search(r"```sh\n(mv .*?)^```$", document, re.DOTALL | re.MULTILINE)[1]
    looks = re.search(r"```sh\n(jq .*?)^```$", document, re.DOTALL | re.MULTILINE)[1].splitlines()
    db = tmp_path / "kismet.db"
    replay = ["replay", CAPTURES / "neighbourhood-fields.ndjson.zst", "--speed", "max"]
    replay += ["--export-type", "sqlite", "--sqlite-path", db, "--sensor", "test"]
    started(Exporter, *replay, name="first").finish(sig=None)
    known = [row["mac_addr"] for row in rows(db, "SELECT mac_addr FROM kismet_devices ORDER BY 1")]
    poison = known[5::60]
    before = rows(db, "SELECT * FROM kismet_events ORDER BY event_uid")
    marks = ", ".join(f"'{mac}'" for mac in poison)
    for table, what in (
        ("kismet_devices", f"mac_addr IN ({marks})"),
        ("kismet_events", "event_type = 'ALERT'"),
    ):
        execute(db, f"DELETE FROM {table}")
        execute(
            db,
            f"CREATE TRIGGER ward_{table} BEFORE INSERT ON {table} WHEN NEW.{what} "
            "BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        )
    totals = started(Exporter, *replay, name="second").finish(sig=None, status=69)["sqlite"]
    found = letters(tmp_path)
    alerts = sum(row["event_type"] == "ALERT" for row in before)
    assert alerts > 0 and totals["dropped"] == 0
    assert totals["dead_lettered"] == len(found) > alerts
    assert sum(letter["kind"] == "event" for letter in found) == alerts
    execute(db, "DROP TRIGGER ward_kismet_devices")
    execute(db, "DROP TRIGGER ward_kismet_events")

    def shell(command):
        return subprocess.run(
            command, shell=True, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    assert all(shell(line) for line in looks)
    with open(tmp_path / "sqlite.dead-letter.ndjson", "a") as file:
        file.write('{"when":"2026-11-')  # torn
    shell(commands)
    assert macs(db) == set(known)
    after = rows(db, "SELECT * FROM kismet_events ORDER BY event_uid")
    assert len(after) == len(before)
    for a, b in zip(before, after):
        assert json.loads(a.pop("event_data")) == json.loads(b.pop("event_data"))
        for row in (a, b):
            row.pop("id"), row.pop("created_at")
        assert a == b
