"""From Kismet into PostgreSQL: the rows are what the simulator knows, every event is there once, and
the times mean what the manual's queries want them to mean."""

import json
import time

import pytest

import hostile
from campaign import source
from harness import Sim, wait_for
from pgline import (
    WITNESS,
    PgBouncer,
    count,
    devices,
    launch,
    said,
    settle,
    sink,
    uids,
    witnessed,
    write_result,
)
from postgres import Database, database, own_server, postgres_server  # noqa: F401
from rawkismet import RawKismet, mac_of


@pytest.mark.tsan
def test_the_rows_are_the_truth(started, tmp_path, database):  # noqa: F811
    sim = started(Sim, "--devices", "300", "--change", "40", "--events-per-second", "20")
    sinks = [sink(database, history={"min_interval": "1s"}, per_source="on"), WITNESS]
    exporter = launch(started, tmp_path, [source(sim.url)], sinks)
    exporter.streaming()
    wait_for(lambda: len(uids(database)) > 40, what="events")
    settle(sim, database)
    sources = database.rows("SELECT * FROM kismet_sources")
    assert [(r["source"], r["state"]) for r in sources] == [("test", "streaming")]
    totals = exporter.finish()["pg"]
    assert totals["dropped"] == totals["dead_lettered"] == 0
    assert uids(database) == witnessed(exporter)
    rows = devices(database)
    assert rows.keys() == devices(database, "kismet_device_sources").keys()
    for mac, row in devices(database, "kismet_device_sources").items():
        assert row["total_packets"] == rows[mac]["total_packets"]
    assert count(database, "kismet_device_history") >= 300
    newest = database.rows(
        "SELECT mac_addr, extract(epoch FROM max(time))::bigint AS s FROM kismet_device_history"
        " GROUP BY mac_addr"
    )
    assert all(r["s"] <= rows[r["mac_addr"]]["last_seen"] for r in newest)


def test_behind_a_pooler(started, tmp_path, database, postgres_server):  # noqa: F811
    """PgBouncer in transaction mode, one session for two exporters with two sources each."""
    sims = [
        started(Sim, "--devices", "100", "--change", "40", "--events-per-second", "10",
                "--seed", str(seed), "--uuid", f"00000000-0000-0000-0000-00000000000{seed}",
                name=f"sim{seed}")
        for seed in (1, 2)
    ]  # fmt: skip
    bouncer = started(lambda _directory: PgBouncer(postgres_server))
    conn = bouncer.conninfo(database.name)
    exporters = [
        launch(
            started,
            tmp_path,
            [source(sim.url, f"s{k}{i}") for i, sim in enumerate(sims)],
            [{**sink(database), "conn": conn}],
            f"exporter{k}",
        )
        for k in (1, 2)
    ]
    for exporter in exporters:
        exporter.streaming(2)
    wait_for(lambda: len(uids(database)) > 40, what="events")
    for sim in sims:
        sim.command("freeze")
    macs = {d["kismet.device.base.macaddr"] for sim in sims for d in sim.truth().values()}
    wait_for(lambda: devices(database).keys() == macs, what="all devices", every=0.2)
    by_source = len(sims) * len(exporters) * 100
    wait_for(
        lambda: count(database, "kismet_device_sources") == by_source, what="each source's rows"
    )
    for exporter in exporters:
        totals = exporter.finish()["pg"]
        assert totals["dropped"] == totals["dead_lettered"] == 0
        assert not said(exporter, r"prepared statement|does not exist")


# --- what the times mean ---

# The manual's query, verbatim.
RECENT = """SELECT mac_addr, name, phy_type, signal_dbm 
FROM kismet_devices 
WHERE last_updated > NOW() - INTERVAL '5 minutes'"""
ZONES = ("UTC", "Asia/Kolkata", "America/New_York")


def put(sim, number, age_s):
    """A device that was last heard so long ago. Returns its MAC."""
    mac = mac_of(0x100 + number)
    now = int(time.time())
    record = {
        "kismet.device.base.key": "4202770D00000000_" + mac.replace(":", ""),
        "kismet.device.base.macaddr": mac,
        "kismet.device.base.phyname": "IEEE802.11",
        "kismet.device.base.first_time": now - age_s - 60,
        "kismet.device.base.last_time": now - age_s,
        "kismet.device.base.mod_time": now,
        "kismet.device.base.packets.total": 1 + number,
    }
    sim.command("put " + json.dumps(record))
    return mac


@pytest.mark.release
def test_devices_seen_in_the_last_five_minutes(started, tmp_path, own_server):  # noqa: F811
    """Exactly those that were heard: at first, after a restart of the exporter, with a monitor that
    repeats everything, and after an outage; on servers of three time zones."""
    servers = [own_server(settings={"timezone": zone}) for zone in ZONES]
    databases = [Database(server, "postgres") for server in servers]
    sim = started(Sim, "--devices", "30", "--change", "0")
    sim.command("freeze")
    present = {r for r in (d["kismet.device.base.macaddr"] for d in sim.truth().values())}
    present |= {put(sim, n, 10) for n in range(5)}
    gone = {put(sim, n, 1000) for n in range(5, 10)}
    sinks = [sink(d, name=f"pg{i}") for i, d in enumerate(databases)]

    def expect(what):
        everybody = present | gone
        for each in databases:
            wait_for(lambda: devices(each).keys() == everybody, 60, f"{what}: all are there",
                     every=0.2)  # fmt: skip
            found = {r["mac_addr"] for r in each.rows(RECENT)}
            assert found == present, f"{what}: {found ^ present}"

    exporter = launch(started, tmp_path, [source(sim.url)], sinks)
    expect("at first")
    exporter.finish()
    exporter = launch(started, tmp_path, [source(sim.url)], sinks, "again")
    exporter.streaming()
    expect("after a restart of the exporter")
    sim.command("monitor repeat")
    pushes = int(sim.command("pushes"))
    wait_for(lambda: int(sim.command("pushes")) > pushes + 200, what="repeated frames")
    expect("with a monitor that repeats")
    for server in servers:
        server.stop("fast")
    gone |= {put(sim, n, 400) for n in range(10, 15)}
    present |= {put(sim, n, 0) for n in range(15, 20)}
    wait_for(lambda: said(exporter, "retrying|tried again|cannot|refused|failed"), what="an outage")
    for server in servers:
        server.start()
    expect("after an outage")
    totals = exporter.finish()
    assert all(t["dropped"] == 0 for t in totals.values())


def test_a_kismet_restart_makes_no_device_new(started, tmp_path, database):  # noqa: F811
    sim = started(Sim, "--devices", "50", "--change", "50")
    exporter = launch(started, tmp_path, [source(sim.url, reconnect={"min": "100ms", "max": "1s"})],
                      [sink(database)])  # fmt: skip
    wait_for(lambda: count(database) == 50, what="the devices")
    query = "SELECT mac_addr, first_seen, created_at FROM kismet_devices"
    before = {r["mac_addr"]: r for r in database.rows(query)}
    sim.kill()
    wait_for(lambda: int(time.time()) > max(r["first_seen"] for r in before.values()) + 1,
             what="another second")  # fmt: skip
    again = started(Sim, "--devices", "50", "--change", "50", name="again", port=sim.port)
    exporter.streaming(2)
    again.command("freeze")
    packets = {d["kismet.device.base.macaddr"]: d["kismet.device.base.packets.total"]
               for d in again.truth().values()}  # fmt: skip
    wait_for(
        lambda: {m: r["total_packets"] for m, r in devices(database).items()} == packets,
        what="the new life's counters",
        every=0.2,
    )
    assert {r["mac_addr"]: r for r in database.rows(query)} == before
    exporter.finish()


# --- several writers ---


def overlapping(started, tmp_path, database, server, sources, exporters, devices_each):  # noqa: F811
    sims = [
        started(Sim, "--devices", str(devices_each), "--change", "30",
                "--uuid", f"00000000-0000-0000-0000-{i:012d}", name=f"sim{i}")
        for i in range(sources)
    ]  # fmt: skip
    each = sources // exporters
    running = [
        launch(
            started,
            tmp_path,
            [source(sims[i].url, f"source{i}") for i in range(k * each, (k + 1) * each)],
            [sink(database)],
            f"exporter{k}",
        )
        for k in range(exporters)
    ]
    for exporter in running:
        exporter.streaming(each)
    wait_for(
        lambda: count(database, "kismet_device_sources") == sources * devices_each,
        120,
        "every source's devices",
        every=0.5,
    )
    for sim in sims:
        sim.command("freeze")
    truths = {}
    for i, sim in enumerate(sims):
        for d in sim.truth().values():
            truths[f"source{i}", d["kismet.device.base.macaddr"]] = d

    def is_true():
        rows = database.rows("SELECT source, mac_addr, total_packets, last_seen FROM"
                             " kismet_device_sources")  # fmt: skip
        found = {(r["source"], r["mac_addr"]): r["total_packets"] for r in rows}
        return found == {k: d["kismet.device.base.packets.total"] for k, d in truths.items()}

    wait_for(is_true, 120, "each sensor's rows", every=0.5)
    newest = {}
    for (_, mac), d in truths.items():
        newest[mac] = max(newest.get(mac, 0), d["kismet.device.base.last_time"])
    rows = devices(database)
    assert {m: r["last_seen"] for m, r in rows.items()} == newest
    for mac, row in rows.items():  # a whole state of one sensor's, not a mixture
        d = truths[row["source"], mac]
        assert row["total_packets"] == d["kismet.device.base.packets.total"]
    ended = [exporter.finish()["pg"] for exporter in running]
    assert all(totals["dropped"] == totals["dead_lettered"] == 0 for totals in ended)
    assert "deadlock detected" not in server.log.read_text()
    return {"rows of kismet_devices": len(rows), "rows of kismet_device_sources": len(truths),
            "totals": ended}  # fmt: skip


def test_sources_that_overlap(started, tmp_path, database, postgres_server):  # noqa: F811
    overlapping(started, tmp_path, database, postgres_server, 6, 3, 40)


@pytest.mark.slow
def test_thirty_sources_that_overlap(started, tmp_path, database, postgres_server):  # noqa: F811
    start = time.time()
    found = overlapping(started, tmp_path, database, postgres_server, 30, 3, 100)
    write_result(
        "postgres-overlap.txt",
        "30 sources with 100 devices each, the same ones, into one database from 3 exporters",
        seconds=round(time.time() - start),
        deadlocks=0,
        **found,
    )


# --- hostile names ---


def test_hostile_names(started, tmp_path, database):  # noqa: F811
    raw = started(lambda _directory: RawKismet())
    exporter = launch(started, tmp_path, [source(raw.url)], [sink(database)])
    wait_for(raw.ready, what="the streams")
    want = {}
    for mac, text, frame in hostile.devices():
        raw.text("monitor", frame)
        want[mac] = text
    wait_for(lambda: count(database) == len(want), what="every device")
    # In hexadecimal: psql does not print every character.
    rows = database.rows("SELECT mac_addr, encode(convert_to(name, 'UTF8'), 'hex') AS name"
                         " FROM kismet_devices")  # fmt: skip
    found = {r["mac_addr"]: r["name"] and bytes.fromhex(r["name"]).decode() for r in rows}
    assert found == want
    assert exporter.finish()["pg"]["dead_lettered"] == 0
