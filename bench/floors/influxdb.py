#!/usr/bin/python3
"""Lines a second into VictoriaMetrics and InfluxDB 1.x: the sink against one curl process that posts
the same batches, encoded before, over one connection; in turn (A B B A ...), each time into a fresh server.

    bench/floors/influxdb.py BUILD [runs [percent of the batches]]

BUILD is a release build with the target bench_influxdb. Prints what goes to bench/results/influxdb.txt.
"""

import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
os.environ.setdefault("KX_BUILD", sys.argv[1] if len(sys.argv) > 1 else "")

import influx  # noqa: E402

LINES = 5000
BATCHES = {"VictoriaMetrics": 40, "InfluxDB 1.x": 15}


def cpu_of(pid):
    """Seconds of CPU that a running process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def curl(directory, url, batches):
    """(seconds, CPU seconds) of one curl process; the files are in the page cache."""
    config = []
    for i in range(batches):
        config += [
            "next" if i else "",
            f'url = "{url}"',
            'request = "POST"',
            'header = "Expect:"',
            'header = "Content-Type: text/plain; charset=utf-8"',
            f'upload-file = "{directory / f"{i:04}"}"',
            'output = "/dev/null"',
            'write-out = "%{http_code} %{time_total} %{num_connects}\\n"',
            "silent",
        ]
    path = directory / "curl.conf"
    path.write_text("\n".join(config) + "\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    run = subprocess.run(["curl", "-q", "-K", path], capture_output=True, text=True, check=True)
    took = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [line.split() for line in run.stdout.splitlines()]
    assert len(words) == batches and {w[0] for w in words} == {"204"}, run.stdout[-500:]
    assert sum(int(w[2]) for w in words) <= 2, "kept alive (VictoriaMetrics closes one by its age)"
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, cpu


def ours(bench, url, api, batches):
    run = subprocess.run(
        [bench, "post", url, api, str(batches)], capture_output=True, text=True, check=True
    )
    lines, took, cpu = map(int, run.stdout.split())
    assert lines == batches * LINES
    return took / 1e9, cpu / 1e9


class Fresh:
    """A new server in a new directory, and what it used."""

    def __init__(self, kind):
        self.directory = tempfile.TemporaryDirectory(prefix="kx-bench-")
        home = pathlib.Path(self.directory.name)
        if kind == "VictoriaMetrics":
            self.server = influx.VictoriaMetrics(home)
            self.api, path = "v2", "/api/v2/write?bucket=kismet&precision=ns"
        else:
            self.server = influx.Influxd(home).create()
            self.api, path = "v1", "/write?db=kismet&precision=ns"
        self.url = self.server.url
        self.write_url = self.url + path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(seconds=60)
        self.directory.cleanup()


def measure(kind, bench, directory, runs):
    batches = BATCHES[kind] * (int(sys.argv[3]) if len(sys.argv) > 3 else 100) // 100
    rates = {"curl": [], "sink": []}
    cpus = {"curl": [], "sink": [], "server": []}
    for run in range(runs):
        for who in ("curl", "sink") if run % 2 == 0 else ("sink", "curl"):
            with Fresh(kind) as fresh:
                begun = cpu_of(fresh.server.pid)
                if who == "curl":
                    took, cpu = curl(directory, fresh.write_url, batches)
                else:
                    took, cpu = ours(bench, fresh.url, fresh.api, batches)
                cpus["server"].append(cpu_of(fresh.server.pid) - begun)
            rates[who].append(batches * LINES / took)
            cpus[who].append(cpu / (batches * LINES) * 1e9)
    ratios = [s / c for s, c in zip(rates["sink"], rates["curl"])]
    floor, sink = statistics.median(rates["curl"]), statistics.median(rates["sink"])
    print(f"{kind}: {batches} batches of {LINES} lines, {runs} runs of each, in turn")
    print(f"  curl  {floor:9,.0f} lines/s   " + " ".join(f"{r:,.0f}" for r in rates["curl"]))
    print(f"  sink  {sink:9,.0f} lines/s   " + " ".join(f"{r:,.0f}" for r in rates["sink"]))
    print(
        f"  sink / curl: {sink / floor:.2f} of the medians; pair by pair {min(ratios):.2f} to"
        f" {max(ratios):.2f}, median {statistics.median(ratios):.2f}"
    )
    print(
        f"  CPU a line: curl {statistics.median(cpus['curl']):.0f} ns, sink"
        f" {statistics.median(cpus['sink']):.0f} ns (encoding and sending)"
    )


def main():
    bench = pathlib.Path(sys.argv[1]).resolve() / "bench" / "micro" / "bench_influxdb"
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory(prefix="kx-bench-") as name:
        directory = pathlib.Path(name)
        subprocess.run([bench, "dump", directory, str(max(BATCHES.values()))], check=True)
        for kind in BATCHES:
            measure(kind, bench, directory, runs)


if __name__ == "__main__":
    main()
