"""No secret of any kind is in any output: logs of every level and form, check, probe, the stats port.

Every far end refuses, and repeats what it was sent: an error text is where secrets get out.
"""

import base64
import json
import re
import socket
import threading
import urllib.parse

import pytest

from campaign import configure, source
from harness import ROOT, Exporter, Sim, wait_for
from httpstub import Answer, Stub
from ports import Port

KINDS = {
    # scope in the option tables: {option: canary}
    "SOURCE": {"api_key": "CanarySourceKey0123456789ABCDEF", "password": "Canary/Source:Pass word"},
    "INFLUXDB": {"token": "CanaryInfluxToken==0123456789", "password": "Canary&Influx%Pass"},
    "POSTGRES": {"conn": "CanaryPostgresConn", "password": "CanaryPostgresPassword"},
    "MQTT": {"password": "CanaryMqttPassword"},
    "WEBHOOK": {"secret": "CanaryWebhookSecret"},
}
# What is no option of its own: a header, a part of an address.
BESIDES = {"header": "CanaryHeaderValue", "query": "CanaryQueryValue", "path": "CanaryPathOfHook"}


class Echo:
    """A server of no protocol: it says again what it hears, and hangs up."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with s:
                s.settimeout(5)
                try:
                    s.sendall(s.recv(65536))
                except OSError:
                    pass

    def kill(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def repeating(request):
    words = {**request.headers, "target": request.target}
    return Answer(401, json.dumps({"message": " ".join(f"{k}={v}" for k, v in words.items())}))


def everything(started, tmp_path):
    """A configuration with each secret that there is."""
    stub = started(lambda _directory: Stub())
    stub.respond = repeating
    echo = started(lambda _directory: Echo())
    sim = started(Sim, "--devices", "20")  # takes whatever credential
    closed = started(Sim, "--devices", "3", "--api-key", "another", name="closed")
    k = KINDS
    sources = [
        source(sim.url, "open", api_key=k["SOURCE"]["api_key"]),
        source(closed.url, "closed", api_key=k["SOURCE"]["api_key"]),
        source(closed.url.replace("127.0.0.1", "localhost"), "login", user="somebody",
               password=k["SOURCE"]["password"]),
    ]
    conn = f"host=127.0.0.1 port={echo.port} dbname=k user=u"
    sinks = [
        {"name": "v2", "type": "influxdb", "url": stub.url, "org": "o", "bucket": "b",
         "token": k["INFLUXDB"]["token"]},
        {"name": "v1", "type": "influxdb", "api": "v1", "url": stub.url, "bucket": "b",
         "user": "somebody", "password": k["INFLUXDB"]["password"]},
        {"name": "conn", "type": "postgres", "conn": f"{conn} password={k['POSTGRES']['conn']}"},
        {"name": "pass", "type": "postgres", "conn": conn, "password": k["POSTGRES"]["password"]},
        {"name": "bus", "type": "mqtt", "url": f"mqtt://127.0.0.1:{echo.port}",
         "username": "somebody", "password": k["MQTT"]["password"]},
        {"name": "hook", "type": "webhook",
         "url": f"{stub.url}/{BESIDES['path']}?key={BESIDES['query']}",
         "secret": k["WEBHOOK"]["secret"], "headers": {"Authorization": BESIDES["header"]}},
    ]
    path = configure(tmp_path, sources, sinks=sinks)
    path.chmod(0o600)
    return path, stub


def forms():
    """Each canary as it may be written: plain, in URLs, in HTTP Basic."""
    for scope, options in {**KINDS, "": BESIDES}.items():
        for option, canary in options.items():
            name = f"{scope} {option}"
            yield name, canary
            yield name + ", in a URL", urllib.parse.quote(canary, safe="")
            yield name + ", in JSON", json.dumps(canary)[1:-1]
            yield name + ", Basic", base64.b64encode(f"somebody:{canary}".encode()).decode().rstrip("=")


def leaks(text):
    return [name for name, form in forms() if form in text]


def test_every_secret_of_the_tables_is_tried():
    row = re.compile(
        r'\.key = "(\w+)",(?:(?!\.key).)*?\.kind = KX_OPTION_SECRET,(?:(?!\.key).)*?'
        r"\.scope = KX_SCOPE_(\w+)", re.DOTALL
    )
    found = {}
    for path in (ROOT / "src" / "config").glob("table_*.c"):
        for option, scope in row.findall(path.read_text()):
            found.setdefault(scope, set()).add(option)
    assert found == {scope: set(options) for scope, options in KINDS.items()}


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("level", ["error", "warning", "info", "debug"])
def test_no_level_of_the_log_has_one(started, tmp_path, level, form):
    path, stub = everything(started, tmp_path)
    exporter = started(Exporter, "--config", path, "--log-level", level, "--log-format", form,
                       "--stats-listen", str(tmp_path / "stats"))

    # Everybody has tried and was refused.
    def refused():
        authorized = [r.headers.get("authorization", "") for r in stub.requests]
        return (
            any(KINDS["INFLUXDB"]["token"] in a for a in authorized)
            and any("Basic" in a for a in authorized)
            and any(a == BESIDES["header"] for a in authorized)
            and (level == "error" or all(f"sink {n}" in exporter.stderr() for n in ("conn", "pass", "bus")))
            and exporter.stderr().count("held, tried again") >= 3
        )

    wait_for(refused, 40, "each sink was refused")
    exporter.process.send_signal(1)
    wait_for(lambda: exporter.stderr().count("held, tried again") >= 3, what="a reload")
    exporter.stop()
    assert leaks(exporter.stderr() + exporter.stdout()) == []


def test_the_stats_port_has_none(started, tmp_path):
    path, _ = everything(started, tmp_path)
    exporter = started(Exporter, "--config", path, "--stats-listen", "127.0.0.1:0")
    port = Port(exporter)
    wait_for(lambda: sum(not s["well"] for s in port.status()["sinks"]) == 6, 40, "all refused")
    for where in ("/", "/metrics", "/healthz", "/readyz", "/status.json"):
        assert leaks(port.ask(where)[2]) == [], where
    exporter.stop()


@pytest.mark.parametrize("command", ["check", "probe"])
def test_the_commands_have_none(started, tmp_path, command):
    path, _ = everything(started, tmp_path)
    ran = started(Exporter, "--config", path, "--log-level", "debug", command, name=command)
    assert ran.wait(120) == (0 if command == "check" else 69)
    text = ran.stdout() + ran.stderr()
    assert all(name in text for name in ("v2", "v1", "conn", "pass", "bus", "hook", "closed"))
    assert leaks(text) == []


def test_a_broken_file_shows_none(started, tmp_path):
    """An error names the place, not the value: of a wrong key beside it, of a value of a wrong form."""
    path, _ = everything(started, tmp_path)
    whole = json.loads(path.read_text())
    for i, _sink in enumerate(whole["sinks"]):
        broken = json.loads(path.read_text())
        for option in ("token", "password", "secret", "conn"):
            if option in broken["sinks"][i]:
                broken["sinks"][i][option] += "\nsecond line"
        bad = tmp_path / "bad.yaml"
        bad.write_text(json.dumps(broken, indent=1))
        bad.chmod(0o600)
        ran = started(Exporter, "--config", bad, "check", name="bad")
        ran.wait()
        assert leaks(ran.stdout() + ran.stderr()) == []
