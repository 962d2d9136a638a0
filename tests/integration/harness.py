"""What the integration tests share: starting the programs, waiting, and reading what came out.

Nothing here sleeps for a fixed time: wait_for polls a condition until a deadline.
"""

import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("KX_BUILD", ROOT / "build-dev"))
CAPTURES = ROOT / "tests" / "captures"
SLOW = float(os.environ.get("KX_DEADLINE_FACTOR", "1"))  # sanitizers take longer


def wait_for(condition, seconds=20, what="condition", every=0.02):
    """Polls until condition() is true and returns its value; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * SLOW:.0f} s: {what}")
        time.sleep(every)


class Process:
    """A started program; its output goes to files, so that no pipe can fill."""

    def __init__(self, arguments, directory, name, env=None, stdout=None):
        self.name = name
        self.directory = pathlib.Path(directory)
        self.stderr_path = self.directory / f"{name}.stderr"
        self.stdout_path = self.directory / f"{name}.stdout"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KISMET_")}
        environment["STATE_DIRECTORY"] = str(self.directory)  # no test writes into a home
        environment.update(env or {})
        with open(self.stderr_path, "wb") as err, open(self.stdout_path, "wb") as out:
            self.process = subprocess.Popen(
                [str(a) for a in arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout if stdout is not None else out,
                stderr=err,
                env=environment,
                cwd=self.directory,
            )

    @property
    def pid(self):
        return self.process.pid

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def stdout(self):
        return self.stdout_path.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def wait(self, seconds=30):
        try:
            return self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs:\n{self.stderr()[-4000:]}") from None

    def stop(self, sig=signal.SIGTERM, seconds=15):
        """Asks it to end and returns its exit status."""
        if self.running():
            self.process.send_signal(sig)
        return self.wait(seconds)

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()


class Sim(Process):
    """kismet-sim, steered over its control socket."""

    def __init__(self, directory, *arguments, name="sim", port=0):
        self.control_path = pathlib.Path(directory) / f"{name}.sock"
        super().__init__(
            [BUILD / "kismet-sim", "--port", port, "--control", self.control_path, *arguments],
            directory,
            name,
        )
        line = wait_for(
            lambda: re.search(r"listening on (\S+):(\d+)\n", self.stdout())
            or (not self.running() and self.fail()),
            what="the simulator listens",
        )
        self.port = int(line[2])
        self.url = f"http://127.0.0.1:{self.port}"

    def fail(self):
        raise AssertionError(f"{self.name} ended at once:\n{self.stderr()}")

    def command(self, text):
        """One control command; the words of its answer after `ok`."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30 * SLOW)
            s.connect(str(self.control_path))
            s.sendall(text.encode() + b"\n")
            answer = s.makefile("rb").readline().decode(errors="replace").strip()
        word, _, rest = answer.partition(" ")
        assert word == "ok", f"{text}: {answer}"
        return rest

    def stats(self):
        return json.loads(self.command("stats"))

    def played(self):
        return self.command("done?") == "yes"

    def truth(self):
        """Every device's full record, by its Kismet key."""
        path = self.directory / f"{self.name}.truth"
        self.command(f"truth {path}")
        devices = {}
        for line in path.read_bytes().splitlines():
            record = json.loads(line.decode("utf-8", "replace"))
            devices[record.get("kismet.device.base.key") or record["key"]] = record
        return devices


TOTALS = re.compile(
    r"sink (\S+): received (\d+) = filtered (\d+) \+ unchanged (\d+) \+ coalesced (\d+) "
    r"\+ delivered (\d+) \+ pending (\d+) \+ dropped (\d+) \+ dead_lettered (\d+)"
)
TERMS = ("received filtered unchanged coalesced delivered pending dropped dead_lettered").split()


class Exporter(Process):
    """kismet-export."""

    def __init__(self, directory, *arguments, name="exporter", env=None, stdout=None):
        super().__init__(
            [BUILD / "kismet-export", *arguments], directory, name, env=env, stdout=stdout
        )

    def streaming(self, count=1):
        wait_for(
            lambda: self.stderr().count(": streaming from ") >= count or not self.running(),
            what=f"{self.name} streams",
        )
        assert self.running(), self.stderr()

    def totals(self):
        """The conservation terms of each sink as the last log lines of the run say them."""
        sinks = {}
        for match in TOTALS.finditer(self.stderr()):
            sinks[match[1]] = dict(zip(TERMS, map(int, match.groups()[1:])))
        return sinks

    def finish(self, sig=signal.SIGTERM, status=0):
        """Stops it, checks the exit status and that every sink's equation balances exactly."""
        ended = self.stop(sig) if sig else self.wait()
        assert ended == status, f"exit {ended}:\n{self.stderr()[-4000:]}"
        check_conservation(self)
        return self.totals()


def check_conservation(exporter):
    totals = exporter.totals()
    assert totals, f"no totals:\n{exporter.stderr()[-4000:]}"
    for sink, t in totals.items():
        rest = sum(t[term] for term in TERMS[1:])
        assert t["received"] == rest, f"{sink}: {t}"
        assert t["pending"] == 0, f"{sink}: {t}"


def rows(path, query, *values):
    """What a reader of the database sees, as dictionaries."""
    if not pathlib.Path(path).exists():
        return []
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as db:
        db.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in db.execute(query, values)]
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
