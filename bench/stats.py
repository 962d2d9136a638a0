#!/usr/bin/python3
"""What scraping costs: wrk against /metrics for a while, and the exporter's work with and without.

    KX_BUILD=$PWD/build bench/stats.py [SECONDS] > bench/results/stats.txt
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "integration"))
from campaign import launch, source  # noqa: E402
from harness import Sim, wait_for  # noqa: E402
from ports import Port, account, total  # noqa: E402

DEVICES = 5000


def run(seconds, scraped):
    """Delivered a second, processor seconds, the stats thread's, p99 of freshness, wrk's words."""
    started = []
    with tempfile.TemporaryDirectory() as folder:

        def start(kind, *arguments, **options):
            started.append(kind(folder, *arguments, **options))
            return started[-1]

        try:
            sim = start(Sim, "--devices", str(DEVICES), "--change", "100")
            sinks = [{"name": "db", "type": "sqlite", "path": f"{folder}/x.db"}]
            stats = {"listen": "127.0.0.1:0"}
            exporter = launch(start, folder, [source(sim.url)], sinks=sinks, stats=stats)
            port = Port(exporter)
            exporter.streaming()
            wait_for(lambda: account(port.metrics(), "db")["delivered"] >= DEVICES, what="warm")
            before, began = port.metrics(), time.monotonic()
            words = ""
            if scraped:
                command = ["wrk", "-t1", "-c4", f"-d{seconds}", f"{port.words}metrics"]
                words = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            else:
                time.sleep(seconds)
            after, took = port.metrics(), time.monotonic() - began

            def grew(name, **labels):
                return total(after, name, **labels) - total(before, name, **labels)

            delivered = grew("records_delivered_total") / took
            dropped = grew("records_dropped_total") + grew("ring_refused_total")
            cpu = sum(grew("thread_cpu_seconds_total", thread=t) for t in ("ingest", "w:db", "s:db"))
            own = grew("thread_cpu_seconds_total", thread="stats")
            (sink,) = port.status()["sinks"]
            return delivered, dropped, cpu, own, sink["freshness_s"]["p99"], words
        finally:
            for process in reversed(started):
                process.kill()


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{DEVICES} devices that all change each second, SQLite, {seconds} s each; commit {commit}")
    for scraped in (False, True):
        delivered, dropped, cpu, own, fresh, words = run(seconds, scraped)
        print(
            f"{'wrk with 4 connections' if scraped else 'nobody asks':24} delivered {delivered:7.0f}/s, "
            f"dropped {dropped:.0f}, CPU of ingest, worker and sender {cpu:5.2f} s, "
            f"of stats {own:5.2f} s, freshness p99 {fresh:.2f} s"
        )
        if scraped:
            rate = re.search(r"Requests/sec:\s+(\S+)", words)[1]
            latency = re.search(r"Latency\s+(\S+)", words)[1]
            failed = re.search(r"Non-2xx.*|Socket errors.*", words)
            print(f"  {rate} scrapes/s, {latency} each; {failed[0] if failed else 'no errors'}")


if __name__ == "__main__":
    main()
