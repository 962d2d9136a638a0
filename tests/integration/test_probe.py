"""probe: each thing that can be wrong is named, with what to do, and only failures cost the exit."""

import os
import pathlib
import re
import signal
import subprocess

import pytest

from harness import BUILD, CAPTURES, ROOT, SLOW, Exporter, Sim, rows, wait_for
from test_tls import LOCAL, Authority

KEY = "CANARY0123456789ABCDEF0123456789"
FAST = ("--update-rate", "1")


def probe(home, *arguments, env=None):
    """Exit status and lines of a probe."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KISMET_")}
    run = subprocess.run(
        [str(BUILD / "kismet-export"), "probe", *FAST, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60 * SLOW,
        cwd=home,
        env={**kept, **(env or {})},
    )
    assert KEY not in run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert all(re.match(r"(ok  |warn|FAIL) (source|sink) ", line) for line in lines), run.stdout
    assert (run.returncode == 69) == any(line.startswith("FAIL") for line in lines), run.stderr
    assert run.returncode in (0, 69), run.stderr
    return run.returncode, lines


def graded(lines, grade):
    return [line for line in lines if line.startswith(grade)]


def one(lines, grade, *words):
    """The only line of that grade; it has the words."""
    found = graded(lines, grade)
    assert len(found) == 1, "\n".join(lines)
    for word in words:
        assert word in found[0], found[0]


def test_all_is_well(started, tmp_path):
    sim = started(Sim, "--devices", "60", "--api-key", KEY)
    status, lines = probe(
        tmp_path,
        *("--kismet-host", f"http://localhost:{sim.port}", "--export-type", "console,sqlite"),
        env={"KISMET_API_KEY": KEY},
    )
    assert status == 0
    assert not graded(lines, "warn"), lines
    text = "\n".join(lines)
    for words in (
        "resolves: localhost is ",
        f"connects to {'127.0.0.1'} port {sim.port}",
        "its role is not the admin's",
        "route status: Kismet 2025.09.R1-sim",
        "Kismet's clock is 0.",
        "every field of ours is in the first 50",
        "route alerts",
        "route datasources: 2 running",
        "eventbus.ws opens and delivers",
        "monitor.ws opens and delivers",
        "sink console  nothing to test",
        "kismet.db is not there yet",
    ):
        assert words in text, text
    assert not (tmp_path / "kismet.db").exists()


def test_lines_of_the_document_are_real(started, tmp_path):
    """Each line of the example, as far as its first number, is one that the program prints."""
    sim = started(Sim, "--devices", "60", "--api-key", KEY, "--clock-skew", "-40")
    sim.command("datasource none")
    _, lines = probe(
        tmp_path,
        *("--kismet-host", f"http://localhost:{sim.port}", "--export-type", "console,sqlite"),
        env={"KISMET_API_KEY": KEY},
    )
    document = (ROOT / "docs" / "first-steps.md").read_text()
    shown = re.findall(r"^(ok  |warn|FAIL) (?:source|sink) \S+  (.*)$", document, re.MULTILINE)
    assert len(shown) == len(lines) == 13, lines
    for grade, text in shown:
        beginning = re.match(r"\D*", text)[0].replace("pi.local", "localhost")
        assert any(beginning in line and line.startswith(grade) for line in lines), text


def test_credentials(started, tmp_path):
    sim = started(Sim, "--devices", "1", "--user", "admin", "--password", "pass", "--api-key", KEY)
    at = ("--kismet-host", sim.url, "--mode", "poll")
    one(probe(tmp_path, *at)[1], "FAIL", "no credential is given", "kismet-export login")
    wrong = {"KISMET_API_KEY": "wrong"}
    one(probe(tmp_path, *at, env=wrong)[1], "FAIL", "refuses the API key", "kismet-export login")
    wrong = {"KISMET_USERNAME": "admin", "KISMET_PASSWORD": "wrong"}
    one(probe(tmp_path, *at, env=wrong)[1], "FAIL", "refuses the user and password")
    admin = {"KISMET_USERNAME": "admin", "KISMET_PASSWORD": "pass"}
    status, lines = probe(tmp_path, *at, env=admin)
    assert status == 0
    one(lines, "warn", "all that the admin may", "readonly")
    sim.command("admin unset")
    one(probe(tmp_path, *at, env=admin)[1], "FAIL", "no admin password yet", "web page")


def test_ways_that_lead_nowhere(started, tmp_path):
    sim = started(Sim, "--devices", "1", "--prefix", "/kismet")
    one(probe(tmp_path, "--kismet-host", sim.url)[1], "FAIL", "the path prefix")
    one(
        probe(tmp_path, "--kismet-host", f"https://127.0.0.1:{sim.port}")[1],
        *("FAIL", "no TLS connection", "http://"),
    )
    one(
        probe(tmp_path, "--kismet-host", "http://127.0.0.1:1")[1],
        *("FAIL", "does not connect", "is Kismet running there"),
    )
    one(
        probe(tmp_path, "--kismet-host", "http://no-such-host.invalid")[1],
        *("FAIL", "does not resolve", "check the host name"),
    )


def test_a_monitor_that_says_nothing_and_is_all_there_is(started, tmp_path):
    sim = started(Sim, "--devices", "5", "--monitor", "never")
    lines = probe(tmp_path, "--kismet-host", sim.url, "--mode", "monitor")[1]
    one(lines, "FAIL", "monitor.ws opens, but delivered no device within 3 s", "mode auto")


def test_faults_beside_each_other(started, tmp_path):
    """A silent monitor, no heartbeat, a radio that is down, a clock that is wrong."""
    sim = started(
        Sim,
        *("--devices", "5", "--timestamp", "stalled", "--datasource", "error"),
        *("--clock-skew", "-40", "--monitor", "never"),
    )
    status, lines = probe(tmp_path, "--kismet-host", sim.url)
    assert status == 69
    one(lines, "FAIL", "no TIMESTAMP came within 5 s", "proxy")
    warnings = "\n".join(graded(lines, "warn"))
    assert re.search(r"Kismet's clock is (39\.\d|40\.\d) s behind ours: set both clocks", warnings)
    assert "1 running, not running wlan0 (network interface is down)" in warnings
    assert "monitor.ws opens, but delivered no device within 3 s" in warnings
    assert "nothing to mend" in warnings


def test_a_kismet_that_knows_no_device(started, tmp_path):
    sim = started(Sim, "--devices", "0")
    status, lines = probe(tmp_path, "--kismet-host", sim.url)
    assert status == 0
    one(lines, "warn", "it knows no device", "datasources")
    assert "no device is known, so there is none to deliver" in "\n".join(lines)


def test_no_radio_at_all(started, tmp_path):
    sim = started(Sim, "--devices", "1", "--datasource", "none")
    lines = probe(tmp_path, "--kismet-host", sim.url, "--mode", "poll")[1]
    one(lines, "FAIL", "no datasource", "kismet -c INTERFACE")
    assert "monitor.ws is not used" in "\n".join(lines)


def test_websockets_that_are_refused(started, tmp_path):
    sim = started(Sim, "--devices", "1", "--handshake", "reject404")
    failures = graded(probe(tmp_path, "--kismet-host", sim.url)[1], "FAIL")
    assert len(failures) == 2
    # Both connect at once: either answer may come first.
    assert sum("eventbus.ws" in line for line in failures) == 1, failures
    assert sum("monitor.ws" in line for line in failures) == 1, failures


def test_rest_that_fails(started, tmp_path):
    sim = started(Sim, "--devices", "1", "--rest", "fail503")
    one(probe(tmp_path, "--kismet-host", sim.url)[1], "FAIL", "answers 503")


def test_a_field_that_is_not_there_is_named(started, tmp_path):
    """The capture was recorded without signal_type."""
    capture = CAPTURES / "neighbourhood-fields.ndjson.zst"
    sim = started(Sim, "--capture", capture, "--speed", "max", "--wait-for", "none")
    wait_for(sim.played, what="the capture is played")
    status, lines = probe(tmp_path, "--kismet-host", sim.url, "--mode", "poll")
    assert status == 0
    warnings = graded(lines, "warn")
    assert any(w.endswith("stay empty") and "50 devices: signal_type:" in w for w in warnings), lines


def test_a_view_that_is_not_there(started, tmp_path):
    sim = started(Sim, "--devices", "1")
    config = tmp_path / "config.yaml"
    config.write_text(f"sources:\n  - {{name: n, url: '{sim.url}', view: phy-Drums, mode: poll}}\n")
    one(probe(tmp_path, "--config", config)[1], "FAIL", "no view phy-Drums", "all_views.json")


def test_certificates(started, tmp_path):
    ours = Authority(tmp_path, "ours")
    config = tmp_path / "config.yaml"
    for name, days in (("long", "90"), ("short", "2")):
        certificate, key = ours.issue(name, LOCAL, ("-days", days))
        sim = started(
            *(Sim, "--devices", "1", "--tls-cert", certificate, "--tls-key", key), name=name
        )
        url = f"https://localhost:{sim.port}"
        config.write_text(
            "sources:\n"
            f"  - {{name: n, url: '{url}', mode: poll, tls: {{ca_file: {ours.file}}}}}\n"
        )
        status, lines = probe(tmp_path, "--config", config)
        assert status == 0
        said = [line for line in lines if "speaks TLS" in line]
        assert len(said) == 1 and "CN = ours" in said[0] or "CN=ours" in said[0], lines
        assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", said[0])
        assert said[0].startswith("ok" if name == "long" else "warn")
    config.write_text(f"sources:\n  - {{name: n, url: '{url}'}}\n")
    one(probe(tmp_path, "--config", config)[1], "FAIL", "certificate is not accepted", "ca_file")


def test_a_copied_server(started, tmp_path):
    """One server_uuid under two addresses: in the probe, and in the log of a run."""
    sims = [started(Sim, "--devices", "1", name=name) for name in ("north", "south")]
    config = tmp_path / "config.yaml"
    config.write_text(
        "sources:\n"
        + "".join(f"  - {{name: {s.name}, url: '{s.url}', rate: 1s, mode: poll}}\n" for s in sims)
    )
    status, lines = probe(tmp_path, "--config", config)
    assert status == 0
    one(lines, "warn", "source south", "same server_uuid", "as source north", "SD card")
    exporter = started(Exporter, "--config", config)
    exporter.streaming(0)
    wait_for(lambda: "the same server_uuid" in exporter.stderr(), what="the warning in the log")
    exporter.finish()
    assert exporter.stderr().count("the same server_uuid") == 1


def test_another_server_under_the_same_name(started, tmp_path):
    one_sim = started(Sim, "--devices", "1", name="before")
    exporter = started(Exporter, "--kismet-host", one_sim.url, *FAST)
    exporter.streaming()
    one_sim.kill()
    uuid = "AAAAAAAA-0000-0000-0000-00000000000B"
    started(Sim, "--devices", "1", "--uuid", uuid, name="after", port=one_sim.port)
    wait_for(lambda: "two servers under one name" in exporter.stderr(), what="the warning")
    assert uuid in exporter.stderr()
    exporter.finish()


def test_database_files(started, tmp_path):
    sim = started(Sim, "--devices", "20")
    sink = ("--export-type", "sqlite", "--sqlite-path")

    def about_sink(path):  # a source that fails at once
        lines = probe(tmp_path, "--kismet-host", "http://127.0.0.1:1", *sink, path)[1]
        return [line for line in lines if " sink " in line]

    one(about_sink(tmp_path / "nowhere" / "k.db"), "FAIL", "sink sqlite", "no directory")
    db = tmp_path / "kismet.db"
    run = started(Exporter, "--kismet-host", sim.url, *sink, db, "--once")
    assert run.finish(sig=None)["sqlite"]["dropped"] == 0
    before = rows(db, "SELECT * FROM kismet_devices")
    assert len(before) == 20
    lines = about_sink(db)
    assert len(graded(lines, "ok")) == len(lines)
    text = "\n".join(lines)
    for words in ("opens, and can be written", "tables are ours, version", "it is sound"):
        assert words in text, text
    assert rows(db, "SELECT * FROM kismet_devices") == before

    bytes_of_it = bytearray(db.read_bytes())
    bytes_of_it[2 * 4096 : 6 * 4096] = b"\xff" * 4096 * 4  # pages of tables and indexes
    db.write_bytes(bytes_of_it)
    one(about_sink(db), "FAIL", "damaged", "recover")
    db.write_text("this is no database, but a text that is long enough to look at\n" * 20)
    one(about_sink(db), "FAIL", "no SQLite database", "moves it aside")


def test_lines_come_as_soon_as_known_and_ctrl_c_works_at_once(started, tmp_path):
    sim = started(Sim, "--devices", "5", "--monitor", "never")
    running = started(Exporter, "probe", "--kismet-host", sim.url, "--update-rate", "5")
    wait_for(lambda: "eventbus.ws opens and delivers" in running.stdout(), what="the first lines")
    assert running.running() and "monitor.ws" not in running.stdout()
    assert running.stop(signal.SIGINT, seconds=2) == -signal.SIGINT

    sim.command("rest hang")
    running = started(Exporter, "probe", "--kismet-host", sim.url, name="hanging")
    connected = f" 0100007F:{sim.port:04X} 01 "  # to its port, established
    wait_for(
        lambda: connected in pathlib.Path(f"/proc/{running.pid}/net/tcp").read_text(),
        what="it waits for an answer",
    )
    assert running.stop(signal.SIGINT, seconds=2) == -signal.SIGINT
