"""The stats port: what it says is true, whoever asks and however, and nobody else notices."""

import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

from campaign import configure, count, launch, source
from frozen import Frozen
from harness import ROOT, SLOW, TERMS, Exporter, Sim, wait_for
from ports import Port, account, imbalance, parse, total

BATCH = 50
PATHS = ("/metrics", "/healthz", "/readyz", "/status.json", "/")
SECRET = "Canary0123456789Canary0123456789"


def two_sinks(tmp_path):
    small = {"records": BATCH, "interval": "50ms"}
    return [
        {"name": "db", "type": "sqlite", "path": str(tmp_path / "exporter.db"), "batch": small},
        {"name": "lines", "type": "console", "batch": small},
    ]


def start(started, tmp_path, *flags, sim=None, sinks=None, stats=None, **options):
    sim = sim or started(Sim, "--devices", "300", "--change", "50")
    stats = {"listen": "127.0.0.1:0", **(stats or {})}
    exporter = launch(
        started,
        tmp_path,
        [source(sim.url, **options)],
        sinks=sinks or two_sinks(tmp_path),
        stats=stats,
    )
    return sim, exporter


# --- what it says ---


@pytest.mark.tsan
def test_the_account_balances_at_every_scrape(started, tmp_path):
    sim = started(Sim, "--devices", "2000", "--change", "100", "--shape", "smooth")
    _, exporter = start(started, tmp_path, sim=sim)
    port = Port(exporter)
    exporter.streaming()
    # A hundred scrapes that each saw something happen since the one before.
    last, scrapes, exact = -1, 0, 0
    deadline = time.monotonic() + 60 * SLOW
    while scrapes < 100:
        assert time.monotonic() < deadline, f"{scrapes} scrapes under load"
        metrics = port.metrics()
        terms = {sink: account(metrics, sink) for sink in ("db", "lines")}
        received = sum(t["received"] for t in terms.values())
        if received == last:
            continue
        last = received
        scrapes += 1
        for sink, t in terms.items():
            # The record that the worker moves, and the batches that worker and sender hand over.
            assert abs(imbalance(t)) <= 2 * BATCH + 1, (sink, t)
            exact += imbalance(t) == 0
    assert exact > 0
    sim.kill()

    def at_rest():
        metrics = port.metrics()
        return metrics if total(metrics, "records_pending") == 0 else None

    metrics = wait_for(at_rest, what="everything delivered")
    terms = {sink: account(metrics, sink) for sink in ("db", "lines")}
    assert all(imbalance(t) == 0 for t in terms.values()), terms
    assert all(t["delivered"] > 0 for t in terms.values()), terms
    for sink, t in terms.items():
        # Each record that was confirmed is in the histograms, and none but those.
        assert total(metrics, "freshness_seconds_count", sink=sink) == t["delivered"]
        assert total(metrics, "batch_records_sum", sink=sink) == t["delivered"]
        assert total(metrics, "batch_records_count", sink=sink) == total(
            metrics, "batches_delivered_total", sink=sink
        )
        assert total(metrics, "delivery_latency_seconds_count", sink=sink) > 0
    # What the port said last is what the log says in the end.
    assert exporter.finish() == terms


def test_promtool_has_nothing_to_say(started, tmp_path):
    if shutil.which("promtool") is None:
        pytest.skip("no promtool: install prometheus")
    _, exporter = start(started, tmp_path)
    port = Port(exporter)
    exporter.streaming()
    wait_for(lambda: total(port.metrics(), "records_delivered_total") > 0, what="deliveries")
    _, headers, text = port.ask("/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    run = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    _, headers, text = port.ask("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("\n# EOF\n")
    exporter.finish()


def test_metrics_are_those_of_the_document(started, tmp_path):
    _, exporter = start(started, tmp_path)
    port = Port(exporter)
    exporter.streaming()
    wait_for(lambda: port.status()["sources"][0]["kismet_memory_bytes"], what="Kismet's health")
    wait_for(lambda: port.status()["sources"][0]["clock_skew_s"] is not None, what="a heartbeat")
    wait_for(lambda: total(port.metrics(), "records_delivered_total") > 0, what="deliveries")
    _, _, text = port.ask("/metrics")
    served = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    labels = {}
    for name, of in parse(text):
        family = name if name in served else re.sub(r"_(bucket|sum|count)$", "", name)
        labels.setdefault(family, set()).update(key for key, _ in of if key != "le")
    document = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", document, re.MULTILINE)
    documented = {name: (kind, set(re.findall(r"\w+", words))) for name, kind, words in rows}
    assert documented == {name: (kind, labels[name]) for name, kind in served.items()}
    members = set(re.findall(r"^\| `([a-z_.0-9\[\]]+)` \| [^|]*\|$", document, re.MULTILINE))
    assert members == set(paths(port.status()))
    exporter.finish()


def paths(value, name=""):
    """"sinks[].latency_s.p50" of each member that holds no other."""
    if isinstance(value, dict) and name not in ("sinks[].dropped_by_reason",):
        return {p for k, v in value.items() for p in paths(v, f"{name}.{k}" if name else k)}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {p for v in value for p in paths(v, name + "[]")}
    return {name}


def test_nobody_reads_macs_names_or_secrets(started, tmp_path):
    (tmp_path / "key").write_text(SECRET + "\n")
    (tmp_path / "key").chmod(0o600)
    sim = started(Sim, "--devices", "200", "--change", "50", "--events-per-second", "20",
                  "--api-key", SECRET)
    _, exporter = start(started, tmp_path, sim=sim, api_key_file=str(tmp_path / "key"))
    port = Port(exporter)
    exporter.streaming()
    wait_for(lambda: port.status()["sources"][0]["events"] > 20, what="events")
    truth = sim.truth().values()
    macs = {d["kismet.device.base.macaddr"] for d in truth}
    names = {d.get("kismet.device.base.name") or d["kismet.device.base.commonname"] for d in truth}
    names = {n for n in names if len(n) > 4}
    assert len(macs) == 200 and len(names) > 20
    sim.command("rest fail401")

    def everything():
        return "".join(str(port.ask(path)) for path in PATHS)

    texts = everything()
    wait_for(lambda: port.status()["sources"][0]["state"] == "auth_failed", what="a refusal")
    texts += everything()
    exporter.finish()
    assert "auth_failed" in texts
    for canary in {*macs, *names, SECRET}:
        assert canary.lower() not in texts.lower(), canary


def test_ready_is_who_is_well(started, tmp_path):
    sim, exporter = start(started, tmp_path)
    port = Port(exporter)
    wait_for(lambda: port.ask("/readyz")[0] == 200, what="ready")
    sim.kill()
    status, headers, text = wait_for(
        lambda: (lambda a: a if a[0] == 503 else None)(port.ask("/readyz")), what="not ready"
    )
    answer = json.loads(text)
    assert answer["ready"] is False
    (reason,) = answer["reasons"]
    assert (reason["kind"], reason["name"]) == ("source", "test")
    assert reason["state"] in ("backing_off", "connecting")
    # Alive it is all the same.
    assert port.ask("/healthz")[0] == 200
    metrics = port.metrics()
    assert total(metrics, "gaps_total", source="test") == 1
    exporter.finish()


# --- health ---

@pytest.mark.parametrize("thread", ["w:db", "s:lines", "ingest"])
def test_a_frozen_thread_is_named(started, tmp_path, thread):
    _, exporter = start(started, tmp_path)
    port = Port(exporter)
    exporter.streaming()
    assert json.loads(port.ask("/healthz")[2]) == {"late": [], "healthy": True}
    with Frozen(exporter.pid, thread):

        def late():
            status, _, text = port.ask("/healthz")
            return json.loads(text) if status == 503 else None

        answer = wait_for(late, 20, f"{thread} late")
        assert [t["thread"] for t in answer["late"]] == [thread]
        assert total(port.metrics(), "thread_late_seconds", thread=thread) > 0
        assert port.status()["healthy"] is False
    wait_for(lambda: port.ask("/healthz")[0] == 200, what="it moves again")
    exporter.finish()


# --- strangers ---


def pairs(port, count):
    """Connections that say nothing."""
    made = []
    for _ in range(count):
        s = socket.socket()
        s.settimeout(20 * SLOW)
        try:
            s.connect((port.host, port.port))
            made.append(s)
        except OSError:
            s.close()
    return made


def ends(connection):
    """Reads to the end of what comes; whether the end came."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def delivered(port):
    status, _, text = port.ask_patiently("/metrics")
    return total(parse(text), "records_delivered_total", sink="db")


@pytest.mark.tsan
@pytest.mark.release
def test_strangers_hold_up_nobody(started, tmp_path):
    _, exporter = start(started, tmp_path)
    port = Port(exporter)
    exporter.streaming()
    wait_for(lambda: delivered(port) > 0, what="deliveries")

    # Slow loris: a byte now and then, for longer than the deadline.
    slow = pairs(port, 8)
    for s in slow:
        s.sendall(b"GET /metrics HTTP/1.1\r\nX")
    time_out = time.monotonic() + 30 * SLOW
    open_ones = list(slow)
    while open_ones:
        assert time.monotonic() < time_out, "slow clients are let go"
        for s in list(open_ones):
            s.setblocking(False)
            try:
                s.send(b"-")
                if s.recv(1000) == b"":
                    open_ones.remove(s)
            except BlockingIOError:
                pass
            except OSError:
                open_ones.remove(s)
        time.sleep(0.05)
    [s.close() for s in slow]
    before = delivered(port)

    # A thousand connections; and headers of 100 KB; and what is no request.
    crowd = pairs(port, 1000)
    [s.close() for s in crowd]
    requests = [
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 100000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 100000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"PUT /status.json HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"DELETE / HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\n\r\n",
        b"GET ../../etc/passwd HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        bytes(range(256)) * 100,
        b"\r\n\r\n",
    ]
    for request in requests:
        wait_for(lambda: port.ask_patiently("/healthz")[0] == 200, what="room")
        with socket.create_connection((port.host, port.port), timeout=20 * SLOW) as s:
            got = b""
            try:
                s.sendall(request)
                while part := s.recv(65536):
                    got += part
            except ConnectionError:
                pass
        assert b" 200 " not in got[:20], (request[:40], got[:200])
        assert b" 101 " not in got[:20], got[:200]
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        try:
            status, headers, _ = port.ask("/metrics", method)
        except (OSError, Exception):
            continue  # libwebsockets does not know the method
        assert status == 405 and headers["allow"] == "GET, HEAD", (method, status)

    # The records went on, and the port is as it was.
    wait_for(lambda: delivered(port) > before, what="deliveries meanwhile and after")
    metrics = parse(port.ask_patiently("/metrics")[2])
    assert total(metrics, "stats_connections_closed_total", reason="deadline") >= 8
    assert total(metrics, "stats_connections_closed_total", reason="too_many") > 0
    totals = exporter.finish()
    assert totals["db"]["dropped"] == 0 and totals["lines"]["dropped"] == 0


def test_no_more_than_eight_at_a_time(started, tmp_path):
    _, exporter = start(started, tmp_path)
    port = Port(exporter)
    held = pairs(port, 12)

    def closed():
        count = 0
        for s in held:
            s.setblocking(False)
            try:
                count += s.recv(10) == b""
            except BlockingIOError:
                pass
            except OSError:
                count += 1
        return count

    wait_for(lambda: closed() >= 4, what="four turned away")
    [s.close() for s in held]
    metrics = parse(port.ask_patiently("/metrics")[2])
    assert total(metrics, "stats_connections_closed_total", reason="too_many") >= 4
    with open(f"/proc/{exporter.pid}/status") as f:
        assert "Threads" in f.read()
    exporter.finish()


def test_answers_carry_their_rules(started, tmp_path):
    _, exporter = start(started, tmp_path)
    port = Port(exporter)
    for path in PATHS:
        status, headers, text = port.ask(path)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert not any(name.startswith("access-control") for name in headers)
        status_of_head, headers_of_head, nothing = port.ask(path, "HEAD")
        assert (status_of_head, nothing) == (status, "")
        assert headers_of_head["content-type"] == headers["content-type"]
    assert port.ask("/metrics/")[0] == 404
    assert port.ask("/etc/passwd")[0] == 404
    exporter.finish()


# --- where, and to whom ---


def test_a_token(started, tmp_path):
    (tmp_path / "token").write_text(SECRET + "\n")
    (tmp_path / "token").chmod(0o600)
    stats = {"token_file": str(tmp_path / "token")}
    _, exporter = start(started, tmp_path, stats=stats)
    port = Port(exporter)
    for path in ("/metrics", "/readyz", "/status.json", "/nothing"):
        for wrong in ({}, *({"Authorization": a} for a in (
            SECRET, f"Bearer {SECRET}x", f"Bearer {SECRET[:-1]}", "Bearer ", f"Basic {SECRET}",
            f"Bearer {SECRET.lower()}"))):
            status, headers, text = port.ask(path, headers=wrong)
            assert status == 401 and headers["www-authenticate"] == "Bearer", (path, wrong)
            assert SECRET not in text
    assert port.ask("/metrics", headers={"Authorization": f"Bearer {SECRET}"})[0] == 200
    assert port.ask("/metrics", headers={"Authorization": f"bearer {SECRET}"})[0] == 200
    assert port.ask("/healthz")[0] == 200 and port.ask("/")[0] == 200
    exporter.finish()
    assert SECRET not in exporter.stderr()


def test_a_unix_socket(started, tmp_path):
    path = tmp_path / "stats.sock"
    _, exporter = start(started, tmp_path, stats={"listen": str(path)})
    port = Port(exporter)
    assert port.words == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o660
    assert port.ask("/healthz")[0] == 200
    exporter.finish()
    assert not path.exists()


def test_tls(started, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=stats",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=tmp_path, check=True, capture_output=True,
    )
    files = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    _, exporter = start(started, tmp_path, stats=files)
    port = Port(exporter, cafile=str(tmp_path / "cert.pem"))
    assert port.words.startswith("https://")
    assert total(port.metrics(), "stats_requests_total", result="ok") >= 0
    # Who speaks plainly, or not at all, is let go.
    plain = pairs(port, 2)
    plain[0].sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert all(ends(s) for s in plain)
    exporter.finish()
    (tmp_path / "key.pem").write_text("no key\n")
    path = configure(tmp_path, [source("http://127.0.0.1:1")], "bad", stats={
        "listen": "127.0.0.1:0", **files})
    bad = started(Exporter, "--config", path, name="bad")
    assert bad.wait() == 78
    assert "cannot use the certificate" in bad.stderr()


def taken_port():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    return s


def test_an_asked_for_port_that_is_taken(started, tmp_path):
    with taken_port() as s:
        place = f"127.0.0.1:{s.getsockname()[1]}"
        exporter = started(Exporter, "--stats-listen", place)
        assert exporter.wait() == 78
    text = exporter.stderr()
    assert f"stats.listen {place}" in text and "Address already in use" in text
    assert "--stats-listen" in text


def test_two_instances_side_by_side(started, tmp_path):
    sim = started(Sim, "--devices", "50", "--change", "50")
    # Whoever has the default port, we or somebody else on this machine: it is taken.
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", 2502))
            s.listen()
        except OSError:
            pass
        first = launch(started, tmp_path, [source(sim.url)], "first")
        second = launch(started, tmp_path, [source(sim.url)], "second")
        for exporter in (first, second):
            exporter.streaming()
            assert "127.0.0.1:2502: cannot listen there" in exporter.stderr()
            assert "--stats-listen 127.0.0.1:2503" in exporter.stderr()
        for exporter in (first, second):
            wait_for(lambda: count(exporter.db) == 50, what="50 devices")
            assert exporter.finish()["sqlite"]["delivered"] >= 50


@pytest.mark.parametrize("place", ["example.net:80", "127.0.0.1", "2502"])
def test_no_place_at_all(started, tmp_path, place):
    exporter = started(Exporter, "--stats-listen", place)
    assert exporter.wait() == 78
    assert "is no place to listen" in exporter.stderr()


def test_off(started, tmp_path):
    _, exporter = start(started, tmp_path, stats={"listen": "off"})
    exporter.streaming()
    assert " stats: " not in exporter.stderr()
    exporter.finish()
