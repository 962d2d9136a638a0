"""What every measurement needs: programs, servers, processor time, progress, and an end to it all.

`Lab` owns a temporary directory and everything that was started in it; leaving its `with` ends all,
also after Ctrl-C.
"""

import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CAPTURE = ROOT / "tests" / "captures" / "neighbourhood-fields.ndjson.zst"
TICKS = os.sysconf("SC_CLK_TCK")

def use(build):
    """To be called once, before anything of tests/integration is imported."""
    os.environ["KX_BUILD"] = str(build)
    for place in (ROOT / "tests" / "integration", ROOT / "bench" / "floors"):
        sys.path.insert(0, str(place))


def median(values):
    return statistics.median(values)


def stat_fields(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_s(pid):
    """Processor seconds of a process, its threads, and its ended children."""
    fields = stat_fields(pid)
    return sum(map(int, fields[11:15])) / TICKS


def tree_cpu_s(pid):
    """The same of a process and its children: PostgreSQL has one for each session."""
    total = cpu_s(pid)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = stat_fields(entry)
                total += cpu_s(entry) if int(fields[1]) == pid else 0
            except (OSError, IndexError):
                pass
    return total


def memory_kib(pid):
    """(resident now, the most it ever was)"""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"{name}:\s+(\d+)", text)[1]) for name in ("VmRSS", "VmHWM"))


class Progress:
    """Says on standard error what goes on; a terminal gets one line that moves."""

    def __init__(self):
        self.begun = time.monotonic()
        self.moving = sys.stderr.isatty()
        self.said = 0.0

    def line(self, text):
        clear = "\r\033[K" if self.moving else ""
        print(f"{clear}[{time.monotonic() - self.begun:4.0f} s] {text}", file=sys.stderr, flush=True)
        self.said = time.monotonic()

    def tick(self, text):
        if time.monotonic() - self.said < (1 if self.moving else 10):
            return
        if self.moving:
            words = f"\r\033[K[{time.monotonic() - self.begun:4.0f} s]   ... {text}"
            print(words, end="", file=sys.stderr, flush=True)
            self.said = time.monotonic()
        else:
            self.line(f"  ... {text}")


class Lab:
    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.progress = Progress()
        self.started = []
        self.numbers = 0

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="kx-bench-", ignore_cleanup_errors=True)
        self.directory = pathlib.Path(self.temporary.name)
        os.chmod(self.directory, 0o755)

        def end(_number, _frame):
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)  # a shell may have had it ignored
        return self

    def __exit__(self, *_):
        for number in (signal.SIGINT, signal.SIGTERM):  # the end is not to be ended
            signal.signal(number, signal.SIG_IGN)
        while self.started:
            self.end(self.started[-1])
        self.temporary.cleanup()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def folder(self):
        self.numbers += 1
        path = self.directory / f"{self.numbers:03}"
        path.mkdir()
        return path

    def start(self, kind, *arguments, **options):
        self.started.append(kind(self.folder(), *arguments, **options))
        return self.started[-1]

    def own(self, server):
        """A server that makes its own directory."""
        self.started.append(server)
        return server

    def end(self, server):
        self.started.remove(server)
        (getattr(server, "close", None) or server.kill)()

    def program(self, name):
        for place in (self.build, self.build / "bench" / "micro", self.build / "bench" / "floors"):
            if (place / name).exists():
                return place / name
        sys.exit(f"kismet-bench: {self.build} has no {name}: build it, or use scripts/bench")

    def run(self, what, name, *arguments, ok=(0,)):
        """Standard output of one of our programs; says that it waits."""
        command = [str(self.program(name)), *map(str, arguments)]
        folder = self.folder()
        with open(folder / "out", "w+") as out, open(folder / "err", "w+") as err:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder
            )
            try:
                while True:
                    try:
                        process.wait(1)
                        break
                    except subprocess.TimeoutExpired:
                        self.progress.tick(what)
            except BaseException:
                process.kill()
                process.wait()
                raise
        text = (folder / "out").read_text()
        if process.returncode not in ok:
            words = (folder / "err").read_text()[-1500:]
            raise RuntimeError(f"{name}: exit {process.returncode}: {text[-500:]}{words}")
        return text

    def wait(self, what, condition, seconds=120, every=0.05):
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {seconds} s: {what}")
            self.progress.tick(what)
            time.sleep(every)

    def sleep(self, what, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.progress.tick(f"{what}, {left:.0f} s to go" if seconds > 10 else what)
            time.sleep(min(1, left))


class Blaster:
    """kx-blast: frames at full speed, or each when it is due."""

    def __init__(self, lab, devices, due=False):
        self.lab = lab
        self.folder = lab.folder()
        command = [str(lab.program("kx-blast")), str(devices), *(["due"] if due else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.port = int(self.process.stdout.readline().rpartition(":")[2])
        self.url = f"http://127.0.0.1:{self.port}"
        lab.own(self)

    @property
    def pid(self):
        return self.process.pid

    def begin(self, command):
        self.process.stdin.write(command + "\n")

    def answer(self):
        line = self.process.stdout.readline()
        assert line.startswith("ok"), line
        return [int(word) for word in line.split()[1:]]

    def command(self, command):
        self.begin(command)
        return self.answer()

    def ready(self):
        self.lab.wait("the exporter subscribes", lambda: self.command("ready")[0] == 1)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Chain:
    """An exporter with its sinks, between a source and servers that others started."""

    def __init__(self, lab, url, sinks, mode="monitor", **source):
        from campaign import launch
        from ports import Port

        self.lab = lab
        self.sinks = [s["name"] for s in sinks]
        folder = lab.folder()

        def start(kind, *arguments, **options):
            return lab.own(kind(folder, *arguments, **options))

        sources = [{"name": "bench", "url": url, "rate": "1s", "mode": mode, **source}]
        stats = {"listen": "127.0.0.1:0"}
        self.exporter = launch(start, folder, sources, sinks=sinks, stats=stats)
        self.pid = self.exporter.pid
        self.port = Port(self.exporter)
        self.exporter.streaming()

    def accounts(self):
        from ports import account

        metrics = self.port.metrics()
        return {sink: account(metrics, sink) for sink in self.sinks}

    def settled(self, received):
        """Whether every sink was offered so many records and has none left."""
        assert self.exporter.running(), self.exporter.stderr()[-2000:]
        accounts = self.accounts().values()
        return all(a["received"] >= received and a["pending"] == 0 for a in accounts)

    def finish(self):
        """The exact account of each sink; it must balance."""
        totals = self.exporter.finish()
        self.lab.started.remove(self.exporter)
        return totals


def versions():
    """What was measured with, and on what."""

    def say(*command):
        try:
            run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        except OSError:
            return "not installed"
        return (run.stdout or run.stderr).strip().splitlines()[0] if run.stdout or run.stderr else ""

    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    release = pathlib.Path("/etc/os-release").read_text()
    packages = (
        "postgresql influxdb victoria-metrics mosquitto libcurl4 libsimdjson14 libpq5"
        " libpaho-mqtt1.3 libsqlite3-0 gcc"
    ).split()
    shown = say("git", "describe", "--always", "--dirty")
    found = {}
    for package in packages:
        words = say("dpkg-query", "-W", "-f=${Version}", package)
        if words and "no packages" not in words:
            found[package] = words
    return {
        "commit": shown,
        "machine": f"{os.cpu_count()} x {cpu[1] if cpu else os.uname().machine}",
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "system": re.search(r'PRETTY_NAME="(.*)"', release)[1] + ", Linux " + os.uname().release,
        "packages": found,
    }


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])
