"""Hours in minutes: 2,000 devices x 1/s into three sinks, one of which is restarted every minute.
Whether memory grows, descriptors leak, and the account balances."""

import os
import pathlib
import sys
import time

from kxbench.lab import ROOT, Lab, cpu_s, memory_kib, versions
from kxbench.report import BUSY
from kxbench.targets import Three

DEVICES = 2000
SAMPLE_S = 5
RESTART_S = 60


def slope(samples):
    """KiB an hour, by least squares, of the second half: the first fills tables and caches."""
    late = samples[len(samples) // 2 :]
    n = len(late)
    if n < 3:
        return 0.0
    mean_t, mean_v = (sum(s[i] for s in late) / n for i in (0, 1))
    below = sum((s[0] - mean_t) ** 2 for s in late)
    return sum((s[0] - mean_t) * (s[1] - mean_v) for s in late) / below * 3600


def restart_one(three, number):
    """One sink's server, in turn; says which."""
    if number % 3 == 0:
        three.postgres.restart("immediate" if number % 2 else "fast")
        return "postgres"
    if number % 3 == 1:
        three.broker.restart()
        return "mqtt"
    from influx import Influxd

    lab = three.lab
    old = three.influx
    old.stop(seconds=60)
    lab.started.remove(old)
    three.influx = lab.own(Influxd(old.directory, port=old.port))
    return "influxdb"


def run(given):
    from harness import Sim

    minutes = float(given.operands[0]) if given.operands else 30
    about = {**versions(), "load": os.getloadavg()[0]}
    out = pathlib.Path(given.out or ROOT / "bench" / "results" / "soak.txt")
    lines = [
        f"command   scripts/bench soak {minutes:g}",
        f"commit    {about['commit']}",
        f"machine   {about['machine']}, {about['system']}",
        f"load      {about['load']:.1f} before" + (" BUSY: others used it" if about["load"] > BUSY else ""),
        f"scene     {DEVICES} devices, all change each second, 1 event/s, into PostgreSQL, InfluxDB and MQTT;"
        f" one of their servers is restarted every {RESTART_S} s",
        "", "   s  resident KiB  fds  CPU s  restarted",
    ]
    from kxbench.targets import Chain

    with Lab(given.build) as lab:
        three = Three(lab, {})
        sim = lab.start(Sim, "--devices", str(DEVICES), "--change", "100", "--events-per-second", "1")
        chain = Chain(lab, sim.url, three.sinks(), mode="auto")
        begun = time.monotonic()
        samples, descriptors, restarts = [], [], 0
        while (now := time.monotonic() - begun) < minutes * 60:
            restarted = ""
            # The last half minute is quiet, so that the end is an end and not a restart.
            if now >= (restarts + 1) * RESTART_S and now < minutes * 60 - 30:
                restarted = restart_one(three, restarts)
                restarts += 1
            assert chain.exporter.running(), chain.exporter.stderr()[-2000:]
            resident, _ = memory_kib(chain.pid)
            fds = len(os.listdir(f"/proc/{chain.pid}/fd"))
            samples.append((now, resident))
            descriptors.append(fds)
            lines.append(f"{now:4.0f}  {resident:12}  {fds:3}  {cpu_s(chain.pid):5.1f}  {restarted}")
            lab.sleep(f"soak of {minutes:g} minutes, {now:.0f} s gone, {resident} KiB, {fds} descriptors", SAMPLE_S)
        used, took = cpu_s(chain.pid), time.monotonic() - begun
        totals = chain.finish()  # asserts that every account balances
    half = descriptors[len(descriptors) // 2 :]
    lines += [
        "",
        f"ran {took:.0f} s with {restarts} restarts; CPU {used / took * 100:.2f} % of a core",
        f"resident {samples[0][1]} KiB at first, {samples[-1][1]} at last, at most {max(s[1] for s in samples)};"
        f" slope of the second half {slope(samples):+.0f} KiB an hour",
        f"descriptors in the second half: {min(half)} to {max(half)}",
        *(f"{sink}: " + " ".join(f"{k} {v}" for k, v in t.items()) for sink, t in totals.items()),
        "every account balances",
    ]
    lost = sum(t["dropped"] + t["dead_lettered"] for t in totals.values())
    lines.append("nothing was dropped" if lost == 0 else f"{lost} records were dropped or dead-lettered")
    text = "\n".join(lines)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text + "\n")
    print("\n".join(lines[-12:]))
    print(f"written: {out}", file=sys.stderr)
    return 0
