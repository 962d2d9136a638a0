"""R1 to R11, each with its floor in the same run: floor, ours, floor, ours, ..."""

import os
import re
import time

from kxbench.lab import CAPTURE, Blaster, Chain, cpu_s, last_json, median, memory_kib, tree_cpu_s
from kxbench.result import Result

BATCH = 1000  # records, the default of postgres and sqlite


class Size:
    """How much of everything: `quick` fits in three minutes."""

    def __init__(self, full):
        self.full = full
        self.runs = 5 if full else 3
        self.ingest_frames = 500_000 if full else 200_000
        self.postgres_rounds = 8 if full else 4
        self.intake_frames = 2_000_000 if full else 600_000
        self.influx_runs = 5 if full else 2
        self.influx_batches = (20, 8) if full else (16, 5)
        self.mqtt_messages = 30_000 if full else 10_000
        self.sqlite_rounds = 10 if full else 4
        self.latency_s = 20 if full else 8
        self.cpu_s = 60 if full else 10


# --- R1 ---


def r1(lab, size):
    lab.progress.line("R1: socket to ring, against simdjson alone")
    found = last_json(
        lab.run("R1", "bench_ingest", CAPTURE, 2 * size.runs - 1, size.ingest_frames)
    )
    assert found["received"] == found["in_ring"] + found["ring_refused"], found

    def rates(way, clock):
        return [1e9 / ns for ns in found[way][clock]]

    words = f"{found['frame_bytes']:.0f} B frames, simdjson's kernel {found['kernel']}"
    socket = median([raw + floor for raw, floor in zip(found["raw"]["cpu_ns"], found["floor"]["cpu_ns"])])
    ours_ns = median(found["ours"]["cpu_ns"])
    cpu = Result(
        "R1", "frames/s socket to ring, CPU of the ingest thread", "frames/s",
        rates("ours", "cpu_ns"), rates("floor", "cpu_ns"), "simdjson alone, in memory, its thread's CPU",
        notes=[
            words + "; CPU of the thread, since with two cores the sender and the kernel take part"
            " of the wall time",
            f"socket + deframer alone {median(found['raw']['cpu_ns']):.0f} ns; that and simdjson together"
            f" {socket:.0f} ns, {socket / ours_ns:.2f} of ours",
        ],
        more={"bench_ingest": found},
    )
    wall = Result(
        "R1", "the same, wall time", "frames/s", rates("ours", "wall_ns"), rates("floor", "wall_ns"),
        "the same, wall time", judged=False,
    )
    return [cpu, wall]


# --- R2, R3, R4 ---

WAY = re.compile(r"batch\s+\d+\s+(floor|sink|by row)\s+median\s+(\d+) rows/s\s+CPU a row: client\s+"
                 r"([\d.]+) us, server\s+([\d.]+) us.*a batch: p50 ([\d.]+) p99 ([\d.]+) ms")


def bench_postgres(lab, server, rounds):
    """{way: (rows/s, client us, server us, p50 ms, p99 ms)}; in a database of its own: its clock begins
    anew each time, and the sink does not take what is older than what is there."""
    server.psql("DROP DATABASE IF EXISTS bench")
    server.psql("CREATE DATABASE bench")
    text = lab.run("rows into PostgreSQL", "bench_postgres", server.conninfo("bench"), BATCH, rounds, 1)
    return {m[1]: tuple(map(float, m.groups()[1:])) for m in map(WAY.match, text.splitlines()) if m}


def start_postgres(lab):
    from postgres import Postgres

    lab.progress.line("starting PostgreSQL")
    settings = {"fsync": "on", "autovacuum": "off", "max_wal_size": "4GB"}
    server = lab.own(Postgres(settings=settings))
    server.psql("CREATE DATABASE chain")
    return server


def postgres_sink(server, **more):
    return {"name": "postgres", "type": "postgres", "conn": server.conninfo("chain"), **more}


class Intake:
    """The whole exporter between a blaster and PostgreSQL; all is in the tables already."""

    devices = 10_000

    def __init__(self, lab, server):
        self.lab = lab
        self.server = server
        self.blaster = Blaster(lab, self.devices)
        sink = postgres_sink(server, batch={"interval": "100ms"})
        self.chain = Chain(lab, self.blaster.url, [sink])
        self.blaster.ready()
        self.sent = 0
        self.send(self.devices, 100)

    def send(self, frames, change):
        """Seconds until every frame is accounted for, and CPU seconds of exporter and server."""
        before = cpu_s(self.chain.pid), tree_cpu_s(self.server.process.pid)
        begun = time.monotonic()
        self.blaster.command(f"send {frames} {change}")
        self.sent += frames
        self.lab.wait("PostgreSQL takes it all", lambda: self.chain.settled(self.sent), every=0.02)
        took = time.monotonic() - begun
        return took, cpu_s(self.chain.pid) - before[0], tree_cpu_s(self.server.process.pid) - before[1]

    def finish(self):
        totals = self.chain.finish()["postgres"]
        self.lab.end(self.blaster)
        return totals


def r234(lab, size, shared):
    server = start_postgres(lab)
    shared["postgres"] = server
    intake = Intake(lab, server)
    rows = {"floor": [], "sink": [], "by row": []}
    taken, all_changed, cpu = [], [], []
    for run in range(size.runs):
        lab.progress.line(f"R2, R3, R4: PostgreSQL, run {run + 1} of {size.runs}")
        for way, figures in bench_postgres(lab, server, size.postgres_rounds).items():
            rows[way].append(figures)
        took, ours, theirs = intake.send(size.intake_frames, 10)
        taken.append(size.intake_frames / took)
        cpu.append((ours / size.intake_frames * 1e6, theirs / size.intake_frames * 1e6))
        before = intake.chain.accounts()["postgres"]
        frames = size.intake_frames // 10
        took, _, _ = intake.send(frames, 100)
        delivered = intake.chain.accounts()["postgres"]["delivered"] - before["delivered"]
        all_changed.append(delivered / took)
    totals = intake.finish()
    floors = [f[0] for f in rows["floor"]]
    sink = [f[0] for f in rows["sink"]]
    by_row = [f[0] for f in rows["by row"]]
    shared["request_p99_s"] = median([f[4] for f in rows["floor"]]) / 1e3
    shared["ceiling"] = median(all_changed)

    def cpu_words(way):
        return (f"CPU a row: client {median([f[1] for f in rows[way]]):.2f} us,"
                f" server {median([f[2] for f in rows[way]]):.2f} us")

    names = ("rows_s", "client_us", "server_us", "batch_p50_ms", "batch_p99_ms")
    more = {way: [dict(zip(names, f)) for f in figures] for way, figures in rows.items()}
    lost = totals["dropped"]
    words = " ".join(f"{k} {v}" for k, v in totals.items())
    r4 = Result(
        "R4", "updates/s taken in, a tenth changed, PostgreSQL", "updates/s", taken, floors, "R2's floor",
        notes=[f"until the last is settled; {words}",
               f"CPU an update: exporter {median([c[0] for c in cpu]):.2f} us, server"
               f" {median([c[1] for c in cpu]):.2f} us"],
        more={"account": totals}, void=f"{lost} records were dropped" if lost else "",
    )
    return [
        Result("R2", "rows/s into PostgreSQL, all changed", "rows/s", sink, floors,
               f"COPY + INSERT ON CONFLICT, batches of {BATCH}, same rows",
               notes=["sink: " + cpu_words("sink"), "floor: " + cpu_words("floor")], more=more),
        Result("R3", "the same", "rows/s", sink, by_row, "row by row, prepared"),
        r4,
        Result("R4", "rows/s written by the whole exporter, all changed", "rows/s", all_changed, floors,
               "R2's floor", judged=False, notes=["the ceiling that R9's half load is half of"]),
    ]


# --- R5 ---


def r5(lab, size):
    import influxdb as floor

    results = []
    lab.run("batches of lines as files", "bench_influxdb", "dump", folder := lab.folder(),
            max(size.influx_batches))
    for kind, batches in zip(("VictoriaMetrics", "InfluxDB 1.x"), size.influx_batches):
        rates = {"curl": [], "sink": []}
        cpus = {"curl": [], "sink": [], "server": []}
        lines = batches * floor.LINES
        for run in range(size.influx_runs):
            lab.progress.line(f"R5: {kind}, run {run + 1} of {size.influx_runs}")
            for who in ("curl", "sink") if run % 2 == 0 else ("sink", "curl"):
                with floor.Fresh(kind) as fresh:
                    begun = floor.cpu_of(fresh.server.pid)
                    if who == "curl":
                        took, cpu = floor.curl(folder, fresh.write_url, batches)
                    else:
                        took, cpu = floor.ours(
                            lab.program("bench_influxdb"), fresh.url, fresh.api, batches)
                    cpus["server"].append((floor.cpu_of(fresh.server.pid) - begun) / lines * 1e6)
                rates[who].append(lines / took)
                cpus[who].append(cpu / lines * 1e6)
        words = ", ".join(f"{who} {median(cpus[who]):.2f} us" for who in cpus)
        results.append(
            Result("R5", f"lines/s into {kind}", "lines/s", rates["sink"], rates["curl"],
                   "one curl, batches encoded before, kept alive",
                   notes=[f"CPU a line: {words} (the sink's with encoding)"], more={"cpu_us": cpus}))
    return results


# --- R6 ---

QUIET = "log_type none"  # the tests' broker tells all, at a price


def payload_bytes(lab, broker):
    """Of the sink's messages, as a subscriber gets them."""
    from mosquitto import Watcher

    watcher = Watcher(broker.port, "floor/#", clean=True)
    lab.run("R6", "bench_mqtt", f"mqtt://127.0.0.1:{broker.port}", "3.1.1", 300)
    lab.wait("the messages come", lambda: len(watcher.all()) >= 300)
    sizes = [len(m.payload) for m in watcher.all("floor/devices/")]
    watcher.kill()
    return round(sum(sizes) / len(sizes))


def r6(lab, size):
    from mosquitto import Broker

    results = []
    broker = lab.start(Broker, QUIET)
    length = payload_bytes(lab, broker)
    url = f"127.0.0.1:{broker.port}"

    def floor(protocol, window, messages):
        version = "5" if protocol == "5" else "4"
        return float(lab.run("R6: paho alone", "floor_mqtt", f"tcp://{url}", version, window, messages,
                             length))

    # MQTT 5: mosquitto announces 20 at once; 3.1.1 knows no such limit.
    for protocol, windows in (("3.1.1", (100, 400, 1000, 4000)), ("5", (10, 16, 20))):
        messages = size.mqtt_messages if protocol == "3.1.1" else size.mqtt_messages // 2
        lab.progress.line(f"R6: MQTT {protocol}, which window suits paho best")
        best = max(windows, key=lambda w: floor(protocol, w, messages // 4))
        floors, ours, server = [], [], []
        for run in range(size.runs):
            lab.progress.line(f"R6: MQTT {protocol}, run {run + 1} of {size.runs}")
            floors.append(floor(protocol, best, messages))
            before = cpu_s(broker.process.pid)
            ours.append(float(lab.run("R6: the sink", "bench_mqtt", f"mqtt://{url}", protocol, messages)))
            server.append((cpu_s(broker.process.pid) - before) / messages * 1e6)
        results.append(
            Result("R6", f"messages/s, QoS 1, MQTT {protocol}", "msg/s", ours, floors,
                   f"paho alone, {length} B, window {best} (best of {windows})",
                   notes=[f"CPU a message: server {median(server):.1f} us"]))
    lab.end(broker)
    return results


# --- R7, R8 ---


def r7(lab, size):
    lab.progress.line("R7: SQLite")
    text = lab.run("R7: SQLite", "bench_sqlite", lab.folder(), size.sqlite_rounds)
    found = re.findall(r"^bare (\d+)\s+sink (\d+) ", text, re.M)
    return [
        Result("R7", "records/s into SQLite", "records/s", [float(s) for _, s in found],
               [float(b) for b, _ in found], f"bare prepared upserts, transactions of {BATCH}")
    ]


def r8(_lab, _size):
    return [Result("R8", "spool MB/s, fdatasync each second", "MB/s", floor_is="zstd -1 -T1",
                   missing="there is no spool")]


# --- R9 ---


def paced(lab, config_sinks, rate, seconds, shape="smooth"):
    """What bench_latency says of its sinks, and what the blaster says of itself."""
    from campaign import configure

    blaster = Blaster(lab, 10_000, due=True)
    folder = lab.folder()
    extra = [{"path": "kismet.sim.due_ns", "as": "due_ns", "type": "integer"}]
    source = {"name": "bench", "url": blaster.url, "rate": "1s", "mode": "monitor", "extra_fields": extra}
    config = configure(folder, [source], sinks=config_sinks, stats={"listen": "off"})
    frames = int(rate * seconds)
    text = {}

    import threading

    def measure():
        try:
            text["out"] = lab.run("R9", "bench_latency", config, 3600)
        except BaseException as error:  # told in the main thread
            text["error"] = error

    watcher = threading.Thread(target=measure)
    watcher.start()
    pid = None
    try:
        blaster.ready()
        pid = child_called("bench_latency")
        blaster.begin(f"pace {rate} {frames} 100 {shape}")
        lab.sleep(f"R9: {rate:.0f}/s, {shape}", seconds)
        sent, took_ns, late, late_max_ns = blaster.answer()
    finally:
        pid = pid or child_called("bench_latency")
        if pid:
            lab.sleep("R9: the last batch", 1.5)
            os.kill(pid, 15)
        watcher.join()
        lab.end(blaster)
    if "error" in text:
        raise text["error"]
    made = {"offered": rate, "sent": sent, "seconds": took_ns / 1e9, "late": late,
            "late_max_ms": late_max_ns / 1e6, "shape": shape}
    return last_json(text["out"]), made


def child_called(name):
    """A child process of ours by its program's name, shortened as the kernel does."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as f:
                head, _, rest = f.read().rpartition(")")
        except OSError:
            continue
        if head.partition("(")[2] == name[:15] and int(rest.split()[1]) == os.getpid():
            return int(entry)
    return None


def latency_words(made, sink):
    quantiles = sink["latency_s"]
    words = " ".join(f"{q} {quantiles[q] * 1e3:.1f}" for q in ("p50", "p90", "p99", "p999", "max"))
    return (f"{made['shape']}, {made['sent'] / made['seconds']:.0f} of {made['offered']:.0f}/s sent,"
            f" ms: {words}; late frames {made['late']}, {made['late_max_ms']:.1f} ms at most;"
            f" {sink['account']}")


def late_words(made):
    if made["late"] > made["sent"] / 1000:
        return f"the generator was late by over 1 ms for {made['late']} of {made['sent']} frames"
    return ""


def r9(lab, size, shared):
    server = shared.get("postgres") or start_postgres(lab)
    if "request_p99_s" not in shared:
        shared["request_p99_s"] = bench_postgres(lab, server, 2)["floor"][4] / 1e3
    half = shared.get("ceiling", 40_000) / 2
    limit = 1.0 + shared["request_p99_s"]
    results = []
    for shape in ("smooth", "burst") if size.full else ("smooth",):
        lab.progress.line(f"R9: due to confirmed at half load, {shape}")
        server.psql("DROP DATABASE chain WITH (FORCE)")
        server.psql("CREATE DATABASE chain")
        found, made = paced(lab, [postgres_sink(server)], half, size.latency_s, shape)
        (sink,) = found["sinks"]
        results.append(
            Result("R9", f"p99 due to confirmed, half load, {shape}, PostgreSQL", "s",
                   [sink["latency_s"]["p99"]], [limit],
                   f"batch interval 1 s + p99 of a bare request {shared['request_p99_s'] * 1e3:.1f} ms",
                   notes=[latency_words(made, sink)], more={"sinks": found, "generator": made},
                   void=late_words(made) or ("" if sink["balances"] else "the account does not balance")))
    return results


# --- three sinks at once: latency of each, R10, R11 ---


class Three:
    """PostgreSQL, InfluxDB and MQTT, and a place for each run's data."""

    def __init__(self, lab, shared):
        from influx import Influxd
        from mosquitto import Broker

        self.lab = lab
        self.postgres = shared.get("postgres") or start_postgres(lab)
        lab.progress.line("starting InfluxDB and mosquitto")
        self.influx = lab.start(Influxd)
        self.influx.create()
        self.broker = lab.start(Broker, QUIET)
        shared["postgres"] = self.postgres

    def sinks(self):
        self.postgres.psql("DROP DATABASE IF EXISTS chain WITH (FORCE)")
        self.postgres.psql("CREATE DATABASE chain")
        return [
            postgres_sink(self.postgres),
            {"name": "influxdb", "type": "influxdb", "url": self.influx.url, "api": "v1",
             "bucket": "kismet"},
            {"name": "mqtt", "type": "mqtt", "url": f"mqtt://127.0.0.1:{self.broker.port}"},
        ]

    def server_cpu_s(self):
        return (tree_cpu_s(self.postgres.process.pid), cpu_s(self.influx.pid),
                cpu_s(self.broker.process.pid))


def latency_of_each(lab, size, three):
    lab.progress.line("due to confirmed of each sink, 1,000/s")
    db = lab.folder() / "latency.db"
    sinks = [*three.sinks(), {"name": "sqlite", "type": "sqlite", "path": str(db)}]
    found, made = paced(lab, sinks, 1000, size.latency_s)
    results = []
    for sink in found["sinks"]:
        results.append(
            Result("R9", f"p99 due to confirmed, 1,000/s, {sink['sink']}", "s",
                   [sink["latency_s"]["p99"]], [sink["interval_s"] + sink["deliver_s"]["p99"]],
                   "its batch interval + p99 of its own requests", judged=False,
                   notes=[latency_words(made, sink)], more={"sink": sink, "generator": made},
                   void=late_words(made) or ("" if sink["balances"] else "the account does not balance")))
    return results


def r10(lab, size, three):
    from harness import Sim

    results = []
    for change in (100, 10):
        lab.progress.line(f"R10: CPU of 1,000 devices x 1/s into three sinks, {change} % change")
        sim = lab.start(Sim, "--devices", "1000", "--change", str(change))
        chain = Chain(lab, sim.url, three.sinks(), mode="auto")
        lab.wait("every device came", lambda: chain.settled(0) or all(
            a["received"] >= 1000 for a in chain.accounts().values()))
        lab.sleep("R10: settling", 3)
        before, servers, begun = cpu_s(chain.pid), three.server_cpu_s(), time.monotonic()
        got = chain.accounts()["postgres"]["received"]
        lab.sleep("R10", size.cpu_s if change == 100 else size.cpu_s / 2)
        took = time.monotonic() - begun
        percent = (cpu_s(chain.pid) - before) / took * 100
        rate = (chain.accounts()["postgres"]["received"] - got) / took
        theirs = [(b - a) / took * 100 for a, b in zip(servers, three.server_cpu_s())]
        resident, most = memory_kib(chain.pid)
        totals = chain.finish()
        lab.end(sim)
        lost = sum(t["dropped"] for t in totals.values())
        results.append(
            Result("R10", f"CPU, 1,000 devices x 1/s, {change} % change, three sinks", "% of a core",
                   [percent], judged=change == 100,
                   notes=[f"{rate:.0f} records/s for {took:.0f} s; servers: PostgreSQL {theirs[0]:.1f} %,"
                          f" InfluxDB {theirs[1]:.1f} %, mosquitto {theirs[2]:.1f} %; resident"
                          f" {resident / 1024:.1f} MiB, at most {most / 1024:.1f}"],
                   more={"accounts": totals, "resident_kib": resident, "most_kib": most},
                   void=f"{lost} records were dropped" if lost else ""))
    return results


def r11(lab, size, three):
    from harness import Sim

    results = []
    for id_, devices in (("R11a", 10_000), ("R11b", 100_000)):
        lab.progress.line(f"R11: memory with {devices} devices, three sinks")
        sim = lab.start(Sim, "--devices", str(devices), "--change", "1")
        chain = Chain(lab, sim.url, three.sinks(), mode="auto")
        lab.wait(f"{devices} devices in every sink", lambda: all(
            a["received"] >= devices and a["pending"] < 2000 for a in chain.accounts().values()), seconds=300)
        lab.sleep("R11: going on", 20 if size.full else 3)
        resident, most = memory_kib(chain.pid)
        totals = chain.finish()
        lab.end(sim)
        results.append(
            Result(id_, f"resident memory with {devices:,} devices, three sinks", "MiB", [most / 1024],
                   notes=[f"the most it ever was; {resident / 1024:.1f} MiB afterwards; dropped "
                          f"{sum(t['dropped'] for t in totals.values())}"], more={"accounts": totals}))
    return results
