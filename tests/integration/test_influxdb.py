"""InfluxDB 1.6 and VictoriaMetrics themselves: what arrives is what the simulator knows."""

import collections

import pytest

import kismet
from campaign import launch, source
from harness import Sim, wait_for
from influx import Influxd, VictoriaMetrics

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
