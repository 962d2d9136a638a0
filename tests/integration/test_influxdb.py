"""InfluxDB 1.6 and VictoriaMetrics themselves: what arrives is what the simulator knows."""

import collections
import json
import re
import signal
import time
import zlib

import pytest

import hostile
import kismet
from campaign import launch, source
from harness import Sim, wait_for
from influx import Influxd, VictoriaMetrics, ask
from rawkismet import RawKismet, device, mac_of

TAGS = ("mac_addr", "phy_type", "manufacturer")
INTEGERS = (
    "first_seen last_seen frequency total_packets tx_packets rx_packets data_size signal_dbm "
    "noise_dbm snr_db num_alerts"
).split()
FLOATS = ("latitude", "longitude", "altitude")
TEXTS = ("name", "username", "channel", "device_key", "server_uuid", "device_type", "crypt")


def sink(server, api="v1", **more):
    return {
        "type": "influxdb",
        "url": server.url,
        "api": api,
        "bucket": "kismet",
        "batch": {"interval": "50ms"},
        **more,
    }


def truth(sim):
    return {r["mac_addr"]: r for r in map(kismet.row, sim.truth().values())}


def newest(influxd):
    """mac -> the newest point's columns."""
    found = {}
    for row in influxd.rows('SELECT * FROM "device_metrics" GROUP BY "mac_addr"'):
        found[row["mac_addr"]] = row  # in the order of time
    return found


def differences(want, found, columns):
    wrong = {m: "missing" for m in want if m not in found}
    wrong.update({m: "too many" for m in found if m not in want})
    for mac in want.keys() & found.keys():
        for column in columns:
            if want[mac][column] != found[mac].get(column):
                wrong[mac, column] = (want[mac][column], found[mac].get(column))
    return wrong


@pytest.mark.tsan
def test_every_field_in_influxdb(started, tmp_path):
    sim = started(Sim, "--devices", "200", "--change", "30")
    influxd = started(Influxd).create()
    exporter = launch(started, tmp_path, [source(sim.url)], sinks=[sink(influxd)])
    exporter.streaming()
    wait_for(lambda: influxd.count("device_metrics", "last_seen") > 400, what="points")
    sim.command("freeze")
    want = truth(sim)
    columns = [*TAGS, *INTEGERS, *FLOATS, *TEXTS]
    wait_for(
        lambda: not differences(want, newest(influxd), columns), what="the truth", every=0.2
    )
    types = {r["fieldKey"]: r["fieldType"] for r in influxd.rows("SHOW FIELD KEYS")}
    assert {types[c] for c in INTEGERS} == {"integer"}
    assert {types[c] for c in FLOATS} == {"float"}
    assert types["mac_random"] == "boolean" and types["name"] == "string"
    keys = {r["tagKey"] for r in influxd.rows('SHOW TAG KEYS FROM "device_metrics"')}
    assert keys == {*TAGS, "source"}
    for row in newest(influxd).values():
        assert row["time"] == row["last_seen"] * 10**9 and row["source"] == "test"
    totals = exporter.finish()["influxdb"]
    assert totals["dropped"] == 0 and totals["delivered"] > 400


def test_victoria_metrics_by_v2(started, tmp_path):
    sim = started(Sim, "--devices", "50", "--change", "30")
    victoria = started(VictoriaMetrics)
    exporter = launch(
        started, tmp_path, [source(sim.url)], sinks=[sink(victoria, "v2", gzip="on")]
    )
    exporter.streaming()
    wait_for(lambda: len(victoria.export("device_metrics_last_seen")) == 50, what="devices")
    sim.command("freeze")
    want = {m: r["total_packets"] for m, r in truth(sim).items()}

    def found():
        return {
            labels["mac_addr"]: values[-1][1]
            for labels, values in victoria.export("device_metrics_total_packets")
        }

    wait_for(lambda: found() == want, what="the truth", every=0.3)
    exporter.finish()


# --- the manual's queries, verbatim ---

DEVICE_COUNT = """SELECT count(DISTINCT("mac_addr")) FROM "device_metrics" 
WHERE time >= now() - 1h GROUP BY time(5m)"""
SIGNAL = """SELECT mean("signal_dbm") FROM "device_metrics" 
WHERE time >= now() - 1h GROUP BY "phy_type", time(1m)"""
MANUFACTURERS = """SELECT count(DISTINCT("mac_addr")) FROM "device_metrics" 
WHERE time >= now() - 1h GROUP BY "manufacturer\""""


def test_the_manuals_queries(started, tmp_path):
    """Recomputed from the points themselves, which the truth was compared with above."""
    sim = started(Sim, "--devices", "80", "--change", "40")
    influxd = started(Influxd).create()
    exporter = launch(
        started, tmp_path, [source(sim.url)], sinks=[sink(influxd, mac_as="both")]
    )
    exporter.streaming()
    wait_for(lambda: influxd.count("device_metrics", "last_seen") > 200, what="points")
    sim.command("freeze")
    want = truth(sim)
    wait_for(
        lambda: not differences(want, newest(influxd), TAGS), what="the devices", every=0.2
    )
    exporter.finish()
    points = influxd.rows(
        'SELECT "signal_dbm", "mac_addr"::field AS "mac", "phy_type"::tag, "manufacturer"::tag '
        'FROM "device_metrics"'
    )
    assert {p["mac"] for p in points} == set(want)
    by_time, by_phy, by_manufacturer = (collections.defaultdict(list) for _ in range(3))
    for p in points:
        by_time[p["time"] // (300 * 10**9) * 300 * 10**9].append(p["mac"])
        if p["signal_dbm"] is not None:
            minute = p["time"] // (60 * 10**9) * 60 * 10**9
            by_phy[p["phy_type"] or "", minute].append(p["signal_dbm"])
        by_manufacturer[p["manufacturer"] or ""].append(p["mac"])
    found = {r["time"]: r["count"] for r in influxd.rows(DEVICE_COUNT) if r["count"]}
    assert found == {t: len(set(macs)) for t, macs in by_time.items()}
    found = {
        (r["phy_type"], r["time"]): r["mean"] for r in influxd.rows(SIGNAL) if r["mean"] is not None
    }
    assert found.keys() == by_phy.keys()
    for key, values in by_phy.items():
        assert found[key] == pytest.approx(sum(values) / len(values))
    found = {r["manufacturer"]: r["count"] for r in influxd.rows(MANUFACTURERS)}
    assert found == {m: len(set(macs)) for m, macs in by_manufacturer.items()}
    assert sum(found.values()) == len(want)


# --- points that must not be one ---


class Raw:
    """An exporter between a Kismet that says what it is told and one InfluxDB."""

    def __init__(self, started, tmp_path, influxd, **more):
        self.influxd = influxd
        self.kismet = started(lambda _directory: RawKismet())
        self.exporter = launch(
            started, tmp_path, [source(self.kismet.url)], sinks=[sink(influxd, **more)]
        )
        self.exporter.streaming()
        wait_for(self.kismet.ready, what="the subscriptions")

    def device(self, number, **more):
        self.kismet.text("monitor", device(number, **more))

    def event(self, topic, record):
        self.kismet.text("eventbus", json.dumps({topic: record}))

    def points(self, measurement="device_metrics"):
        return self.influxd.rows(f'SELECT * FROM "{measurement}"')


def alert(seconds, text):
    return {
        "kismet.alert.timestamp": seconds,
        "kismet.alert.header": "DEAUTHFLOOD",
        "kismet.alert.hash": zlib.crc32(text.encode()),
        "kismet.alert.severity": 10,
        "kismet.alert.text": text,
        "kismet.alert.transmitter_mac": mac_of(1),
    }


def test_five_events_of_one_second_are_five_points(started, tmp_path):
    line = Raw(started, tmp_path, started(Influxd).create())
    second = int(time.time()) - 5
    texts = [f'number {n}, "quoted", a\\b = {{}}' for n in range(5)]
    for text in texts:
        line.event("ALERT", alert(second, text))
    wait_for(lambda: len(line.points("kismet_events")) == 5, what="five points")
    found = line.points("kismet_events")
    assert {p["time"] // 10**9 for p in found} == {second}
    assert sorted(json.loads(p["event_data"])["kismet.alert.text"] for p in found) == texts
    for p in found:
        assert p["event_type"] == "ALERT" and p["source"] == "test"
        assert p["device_mac"] == mac_of(1) and len(p["event_uid"]) == 32
    totals = line.exporter.finish()["influxdb"]
    assert totals["delivered"] == 5


def test_without_the_mac_as_a_tag_no_device_covers_another(started, tmp_path):
    line = Raw(started, tmp_path, started(Influxd).create(), mac_as="field")
    second = int(time.time())
    for number in range(200):
        line.device(number, last_seen=second, first_seen=second)
    wait_for(lambda: len(line.points()) == 200, what="a point of each")
    assert {p["mac_addr"] for p in line.points()} == {mac_of(n) for n in range(200)}
    assert {p["time"] // 10**9 for p in line.points()} == {second}
    series = line.influxd.rows("SHOW SERIES")
    assert len(series) == 1
    line.exporter.finish()


def test_what_is_sent_again_is_the_same_point(started, tmp_path):
    """The second exporter tells everything anew."""
    influxd = started(Influxd).create()
    sim = started(Sim, "--devices", "40", "--change", "0", "--events-per-second", "20")
    sim.command("freeze")
    counts = []
    for name in ("first", "second"):
        exporter = launch(
            started, tmp_path, [source(sim.url)], name, sinks=[sink(influxd, mac_as="field")]
        )
        exporter.streaming()
        wait_for(lambda: influxd.count("device_metrics", "last_seen") >= 40, what="devices")
        totals = exporter.finish()["influxdb"]
        assert totals["delivered"] >= 40
        counts.append(
            (influxd.count("device_metrics", "last_seen"), influxd.count("kismet_events", "event_uid"))
        )
    assert counts[0] == counts[1] and counts[0][0] == 40


# --- what a server refuses ---


def test_one_bad_line_in_a_real_server(started, tmp_path):
    """`username` is an integer there: the one device that has a name by its user is refused."""
    influxd = started(Influxd).create()
    ask(influxd.url + "/write?db=kismet", b"device_metrics username=1i")
    line = Raw(started, tmp_path, influxd, batch={"interval": "500ms"})
    for number in range(200):
        line.device(number, **({"username": "anna"} if number == 77 else {}))
    wait_for(lambda: "refused for good" in line.exporter.stderr(), what="it is said")
    assert 'input field \\"username\\" on measurement' in line.exporter.stderr()
    wait_for(lambda: influxd.count("device_metrics", "last_seen") == 199, what="the others")
    totals = line.exporter.finish()["influxdb"]
    assert totals["delivered"] == 199
    assert totals["dropped"] + totals["dead_lettered"] == 1


def test_beyond_retention_in_a_real_server(started, tmp_path):
    influxd = started(Influxd).create(
        "CREATE RETENTION POLICY short ON kismet DURATION 1h REPLICATION 1"
    )
    line = Raw(started, tmp_path, influxd, bucket="kismet/short", batch={"interval": "500ms"})
    now = int(time.time())
    for number in range(100):
        old = number % 9 == 0
        line.device(number, last_seen=now - (90000 if old else 0), first_seen=now - 90001)
    text = 'SELECT * FROM kismet.short."device_metrics"'
    wait_for(lambda: len(influxd.rows(text)) == 88, what="the others")
    wait_for(lambda: "older than the bucket keeps" in line.exporter.stderr(), what="it is said")
    assert {p["mac_addr"] for p in influxd.rows(text)} == {
        mac_of(n) for n in range(100) if n % 9 != 0
    }
    totals = line.exporter.finish()["influxdb"]
    assert (totals["delivered"], totals["dropped"]) == (88, 12)


def test_integers_of_the_script_stay_integers(started, tmp_path):
    """A database that Python's client has filled: integers as 1i, places as floats."""
    influxd = started(Influxd).create()
    written = (
        b"device_metrics,mac_addr=AA:BB:CC:DD:EE:FF,manufacturer=Apple,phy_type=IEEE802.11 "
        b"altitude=10.5,data_size=1048576i,frequency=2437000i,latitude=40.7128,longitude=-74.006,"
        b"noise_dbm=-95i,rx_packets=450i,signal_dbm=-45i,snr_db=50i,total_packets=1250i,"
        b"tx_packets=800i 1737131445000000000\n"
        b'kismet_events,event_type=NEWDEVICE event_data="{}" 1737131445000000000'
    )
    assert ask(influxd.url + "/write?db=kismet", written)[0] == 204
    sim = started(Sim, "--devices", "30", "--events-per-second", "20")
    for compat in ("none", "script"):
        exporter = launch(
            started, tmp_path, [source(sim.url)], compat, sinks=[sink(influxd, compat=compat)]
        )
        exporter.streaming()
        wait_for(
            lambda: influxd.count("kismet_events", "event_data") > 10
            and influxd.count("device_metrics", "total_packets") > 30,
            what="points",
        )
        totals = exporter.finish()["influxdb"]
        assert totals["dropped"] == totals["dead_lettered"] == 0, exporter.stderr()


def test_v1_user_and_password(started, tmp_path):
    influxd = started(Influxd, auth=True)
    influxd.query("CREATE USER anna WITH PASSWORD 'right' WITH ALL PRIVILEGES")
    influxd.login = ("anna", "right")
    influxd.create()
    secret = tmp_path / "password"
    secret.write_text("wrong")
    secret.chmod(0o600)
    line = Raw(started, tmp_path, influxd, user="anna", password_file=str(secret))
    line.device(1)
    wait_for(lambda: "held" in line.exporter.stderr(), what="held")
    assert "answers 401" in line.exporter.stderr()
    secret.write_text("right")
    line.exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(line.points()) == 1, what="the device")
    line.exporter.finish()


def test_a_database_that_is_made_later(started, tmp_path):
    influxd = started(Influxd)
    line = Raw(started, tmp_path, influxd)
    line.device(1)
    wait_for(lambda: "held" in line.exporter.stderr(), what="held")
    assert 'database not found: \\"kismet\\""}; make the bucket' in line.exporter.stderr()
    influxd.create()
    line.exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(line.points()) == 1, what="the device")
    assert line.exporter.finish()["influxdb"]["delivered"] == 1


def test_a_body_larger_than_the_server_takes(started, tmp_path):
    influxd = started(Influxd, max_body=10000).create()
    line = Raw(started, tmp_path, influxd, batch={"interval": "1s"})
    for number in range(300):
        line.device(number)
    wait_for(lambda: len(line.points()) == 300, what="all of them")
    assert line.exporter.finish()["influxdb"]["delivered"] == 300


def test_the_hostile_names_read_back(started, tmp_path):
    """Through InfluxDB itself: one point of each, with the text it has."""
    influxd = started(Influxd).create()
    line = Raw(started, tmp_path, influxd)
    want = {}
    for mac, text, frame in hostile.devices():
        want[mac] = text
        line.kismet.text("monitor", frame)
    wait_for(lambda: len(line.points()) >= len(want), what="all of them")
    found = {p["mac_addr"]: p for p in line.points()}
    assert len(line.points()) == len(found) and found.keys() == want.keys()
    assert {r["name"] for r in influxd.rows("SHOW MEASUREMENTS")} == {"device_metrics"}
    for mac, text in want.items():
        expected = re.sub(r"[\x00-\x1f\x7f]", "_", text) if text is not None else None
        for field in ("username", "channel", "device_type", "crypt"):
            assert found[mac][field] == expected, (field, text)
        tag = expected.replace("\\", "_") if text is not None else None
        assert found[mac]["manufacturer"] == tag, text
    line.exporter.finish()
