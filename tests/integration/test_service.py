"""What a service manager and somebody at a terminal see of a run."""

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

from campaign import configure, source
from frozen import Frozen
from harness import BUILD, ROOT, Exporter, Sim, wait_for
from httpstub import Answer, Stub
from ports import Port

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


class Manager:
    """The receiving end of NOTIFY_SOCKET."""

    def __init__(self, directory):
        self.path = directory / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self.messages = []

    def heard(self):
        while True:
            try:
                self.messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.messages

    def has(self, text):
        return any(text in message for message in self.heard())


def test_ready_status_watchdog_reload_and_stop(started, tmp_path):
    sim = started(Sim, "--devices", "20")
    manager = Manager(tmp_path)
    config = tmp_path / "k.yaml"
    config.write_text(
        f"sources: [{{name: attic, url: '{sim.url}', rate: 1s}}]\n"
        f"sinks: [{{type: sqlite, path: '{tmp_path}/kismet.db'}}]\n"
    )
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "500000"}
    exporter = started(Exporter, "--config", config, env=environment)
    wait_for(lambda: manager.has("READY=1"), what="ready")
    wait_for(
        lambda: manager.has("STATUS=1 of 1 sources heard, 1 of 1 sinks ok"), what="a status"
    )
    fed = manager.messages.count("WATCHDOG=1")
    wait_for(lambda: manager.heard().count("WATCHDOG=1") >= fed + 4, what="the watchdog is fed")
    sim.kill()
    wait_for(lambda: manager.has("0 of 1 sources heard"), what="the loss in the status")
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: manager.heard().count("READY=1") == 2, what="ready again after the reload")
    assert any(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", m) for m in manager.messages)
    assert exporter.stop() == 0
    assert manager.heard().count("STOPPING=1") == 1
    assert manager.messages.index("STOPPING=1") > manager.messages.index("READY=1")


@pytest.mark.parametrize("thread", ["w:sqlite", "s:sqlite", "ingest", "stats"])
def test_a_frozen_thread_starves_the_watchdog(started, tmp_path, thread):
    sim = started(Sim, "--devices", "20")
    manager = Manager(tmp_path)
    exporter = started(
        Exporter,
        *("--kismet-host", sim.url, "--export-type", "sqlite", "--update-rate", "1"),
        *("--sqlite-path", tmp_path / "kismet.db", "--stats-listen", "127.0.0.1:0"),
        env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "500000"},
    )
    port = Port(exporter)
    exporter.streaming()
    wait_for(lambda: manager.has("WATCHDOG=1"), what="the watchdog is fed")
    with Frozen(exporter.pid, thread):
        wait_for(
            lambda: f"thread {thread} does not move" in exporter.stderr(), 60, "the log names it"
        )
        assert "the watchdog is not fed" in exporter.stderr()
        if thread != "stats":  # which cannot answer then
            status, _, text = wait_for(
                lambda: (lambda a: a if a[0] == 503 else None)(port.ask("/healthz")),
                what="/healthz says the same",
            )
            assert [late["thread"] for late in json.loads(text)["late"]] == [thread]
        fed = manager.heard().count("WATCHDOG=1")
        deadline = time.monotonic() + 4 * 0.5  # four meals
        wait_for(lambda: time.monotonic() > deadline, what="four meals' time")
        assert manager.heard().count("WATCHDOG=1") == fed
    wait_for(lambda: manager.heard().count("WATCHDOG=1") > fed, what="it is fed again")
    assert "every thread moves again" in exporter.stderr()
    exporter.finish()


def test_ready_is_said_before_kismet_is_there(started, tmp_path):
    manager = Manager(tmp_path)
    started(
        Exporter,
        *("--kismet-host", "127.0.0.1:1", "--export-type", "sqlite"),
        *("--sqlite-path", tmp_path / "kismet.db"),
        env={"NOTIFY_SOCKET": str(manager.path)},
    )
    wait_for(lambda: manager.has("READY=1"), what="ready without a Kismet")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_hardened(unit):
    """At most 1.5 of 10; the tool counts in tenths."""
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", unit],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"},
    )
    assert result.returncode == 0, result.stdout[-400:] + result.stderr


class Terminal:
    """A program on a terminal of its own; keeps what it wrote there."""

    def __init__(self, arguments, directory, width=80):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        self.output = b""
        self.process = subprocess.Popen(
            [str(a) for a in arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=slave,
            cwd=directory,
        )
        os.close(slave)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                return
            if not data:
                return
            self.output += data

    def text(self):
        return self.output.decode(errors="replace").replace("\r\n", "\n")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(10)
        os.close(self.master)


@pytest.fixture
def terminal(tmp_path):
    programs = []

    def start(*arguments, **options):
        programs.append(Terminal([BUILD / "kismet-export", *arguments], tmp_path, **options))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()


def sqlite(sim, directory):
    return (
        *("--kismet-host", sim.url, "--update-rate", "1", "--sensor", "attic"),
        *("--export-type", "sqlite", "--sqlite-path", directory / "kismet.db"),
    )


def test_a_terminal_shows_progress_instead_of_the_log(started, terminal, tmp_path):
    sim = started(Sim, "--devices", "30", "--change", "100")
    shown = terminal(*sqlite(sim, tmp_path), width=72)
    moving = re.compile(r"^sqlite +[1-9]\d* sent +[1-9]\d*\.\d/s +\d\.\d s behind +ok$", re.M)
    wait_for(lambda: moving.search(shown.text()), what="a line of the sink with a rate")
    assert "sources              1 streaming" in shown.text()
    assert "streaming from" not in shown.text()  # the log line of elsewhere
    assert "\x1b[2A\x1b[J" in shown.text()  # drawn again in its place
    # A warning goes above the panel, and the panel comes back below it.
    sim.kill()
    warning = re.compile(r"warning source attic: .*\n(\r?\x1b\[2A\x1b\[J)?sources +1 backing_off")
    wait_for(lambda: warning.search(shown.text()), what="the loss above the panel")
    assert all(len(line) < 72 for line in re.split(r"[\n\r]|\x1b\[\w+", shown.text()) if "sent" in line)
    shown.process.send_signal(signal.SIGINT)
    assert shown.process.wait(30) == 0
    wait_for(lambda: "sink sqlite: received" in shown.text(), what="the account at the end")


@pytest.mark.parametrize("flag", [("--no-progress",), ("--log-level", "info")])
def test_whoever_wants_the_log_gets_it(started, terminal, tmp_path, flag):
    sim = started(Sim, "--devices", "3")
    shown = terminal(*sqlite(sim, tmp_path), *flag)
    wait_for(lambda: "streaming from" in shown.text(), what="the log")
    assert "\x1b[" not in shown.text()


def test_a_file_gets_the_log(started, tmp_path):
    sim = started(Sim, "--devices", "3")
    exporter = started(Exporter, *sqlite(sim, tmp_path))
    exporter.streaming()
    assert "\x1b[" not in exporter.stderr()


RFC3339 = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


@pytest.mark.parametrize("form", ["text", "json"])
def test_debug_shows_states_batches_and_retries_with_times(started, tmp_path, form):
    """Each change of a state, of a source that is lost and a sink that is refused, and each try."""
    sim = started(Sim, "--devices", "30", "--change", "100")
    stub = started(lambda _directory: Stub())
    stub.script(Answer(503, "busy"), Answer(401, "who are you"))
    sinks = [{"name": "lake", "type": "influxdb", "url": stub.url, "token": "x", "org": "o", "bucket": "b"}]
    exporter = started(
        Exporter,
        *("--config", configure(tmp_path, [source(sim.url, "attic")], sinks=sinks)),
        *("--log-level", "debug", "--log-format", form, "--stats-listen", "off"),
    )

    def lines(level, component):
        found = []
        for line in exporter.stderr().splitlines():
            if form == "json":
                said = json.loads(line)
                parts = said["time"], said["level"], said["component"], said["message"]
            else:
                parts = re.match(r"(\S+) (\w+) (.*?): (.*)$", line).groups()
            assert re.match(RFC3339, parts[0]), line
            if parts[1:3] == (level, component):
                found.append(parts[3])
        return found

    def said(component, pattern):
        return any(re.search(pattern, line) for line in lines("debug", component))

    wait_for(lambda: said("source attic", r"^state streaming, after \d+\.\d{3} s of connecting$"), what="streaming")
    retried = r"^batch \d+: \d+ records to be tried again in \d+\.\d ms, 0 delivered, .* next try in \d+\.\d s: .*503"
    wait_for(lambda: said("sink lake", retried), what="a retry with its times")
    wait_for(lambda: said("sink lake", r"^state retrying, after \d+\.\d{3} s of starting$"), what="retrying")
    wait_for(lambda: said("sink lake", r"^batch \d+: \d+ records held in .*401"), 40, "a hold")
    wait_for(lambda: said("sink lake", r"^state held, after \d+\.\d{3} s of retrying$"), what="held")
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: said("sink lake", r"^state ok, after .* of held$"), what="ok")
    wait_for(lambda: said("sink lake", r"^batch \d+: \d+ records sent in \d+\.\d ms, \d+ delivered"), what="a batch")
    sim.kill()
    wait_for(lambda: said("source attic", r"^state backing_off, after .* of streaming$"), what="lost")
    assert exporter.stop() == 0
