"""probe of an influxdb sink: each thing that can be wrong is named, with what to do."""

import json
import pathlib

import pytest

from harness import Sim
from influx import CloudStub, Influxd, VictoriaMetrics, ask, free_port
from test_influxdb import sink
from test_probe import graded, probe


def about(started, tmp_path, sinks):
    """The lines about the sinks."""
    sim = started(Sim, "--devices", "60")
    path = tmp_path / "probe.yaml"
    config = {"sensor": "s", "sources": [{"url": sim.url, "rate": "1s"}], "sinks": sinks}
    path.write_text(json.dumps(config))
    status, lines = probe(tmp_path, "--config", path)
    found = [line for line in lines if line[4:].strip().startswith("sink ")]
    assert (status == 69) == bool(graded(found, "FAIL")), lines
    return found


def of(lines, name):
    return [line for line in lines if f"sink {name} " in line]


def only(lines, name, grade, *words):
    found = graded(of(lines, name), grade)
    assert len(found) == 1, "\n".join(lines)
    for word in words:
        assert word in found[0], found[0]


def token(tmp_path, text):
    path = pathlib.Path(tmp_path) / f"token-{len(text)}"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_a_real_v1(started, tmp_path):
    influxd = started(Influxd).create()
    lines = about(
        started,
        tmp_path,
        [
            sink(influxd, name="good"),
            sink(influxd, name="missing", bucket="nowhere"),
            sink(influxd, "v2", name="v2"),
        ],
    )
    assert len(graded(of(lines, "good"), "ok")) == 3, lines
    assert "no field there has another type" in "\n".join(of(lines, "good"))
    only(lines, "missing", "FAIL", 'database not found: \\"nowhere\\"', "make the bucket")
    only(lines, "v2", "FAIL", "404", "`api`")
    assert influxd.rows("SHOW MEASUREMENTS") == [], "nothing was written"


def test_types_of_fields(started, tmp_path):
    influxd = started(Influxd).create()
    ask(influxd.url + "/write?db=kismet", b'device_metrics latitude=1i,signal_dbm=1.5,name="x"')
    lines = about(
        started,
        tmp_path,
        [sink(influxd, name="all"), sink(influxd, name="some", fields=["name", "last_seen"])],
    )
    failures = graded(of(lines, "all"), "FAIL")
    assert len(failures) == 2
    assert "latitude is of type integer there, ours is float" in failures[0]
    assert "signal_dbm is of type float there, ours is integer" in failures[1]
    assert "`fields`" in failures[0]
    assert not graded(of(lines, "some"), "FAIL")


def test_credentials_of_v1(started, tmp_path):
    influxd = started(Influxd, auth=True)
    influxd.query("CREATE USER anna WITH PASSWORD 'right' WITH ALL PRIVILEGES")
    influxd.login = ("anna", "right")
    influxd.create("CREATE USER bob WITH PASSWORD 'bob'", "GRANT WRITE ON kismet TO bob")
    lines = about(
        started,
        tmp_path,
        [
            sink(influxd, name="right", user="anna", password_file=token(tmp_path, "right")),
            sink(influxd, name="wrong", user="anna", password_file=token(tmp_path, "wrong!")),
            sink(influxd, name="none"),
            sink(influxd, name="blind", user="bob", password_file=token(tmp_path, "bob")),
        ],
    )
    assert len(graded(of(lines, "right"), "ok")) == 3, lines
    only(lines, "wrong", "FAIL", "401", "password")
    only(lines, "none", "FAIL", "401")
    only(lines, "blind", "warn", "no right to read")


@pytest.mark.parametrize("api", ["v2", "v3"])
def test_tokens(started, tmp_path, api):
    stub = started(lambda _directory: CloudStub())
    lines = about(
        started,
        tmp_path,
        [
            sink(stub, api, name="right", token_file=token(tmp_path, stub.token)),
            sink(stub, api, name="wrong", token_file=token(tmp_path, "wrong")),
            sink(stub, api, name="nowhere", bucket="b", token_file=token(tmp_path, stub.token)),
        ],
    )
    assert len(graded(of(lines, "right"), "ok")) == 2, lines
    only(lines, "wrong", "FAIL", "401", "token_file")
    only(lines, "nowhere", "FAIL", "404", "bucket")
    text = "\n".join(lines)
    assert stub.token not in text and "the-token" not in text


def test_victoria_metrics_and_nobody(started, tmp_path):
    victoria = started(VictoriaMetrics)
    nobody = type("Nobody", (), {"url": f"http://127.0.0.1:{free_port()}"})
    lines = about(
        started, tmp_path, [sink(victoria, "v2", name="vm"), sink(nobody, "v2", name="nobody")]
    )
    assert len(graded(of(lines, "vm"), "ok")) == 2, lines
    only(lines, "nobody", "FAIL", "is it running there")
