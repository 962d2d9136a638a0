"""What is recorded while exporting is what came, and a replay of it makes the same rows."""

import base64
import datetime
import json
import os
import signal
import socket
import subprocess
import urllib.request
from decimal import Decimal

import pytest

import kismet
from harness import CAPTURES, Exporter, Sim, rows, wait_for

OWN_TIMES = ("created_at", "id")


def lines(path):
    """The capture's lines as far as they are whole; a file cut off is read as far as it goes."""
    found = subprocess.run(["zstd", "-dcq", str(path)], capture_output=True)
    whole, _, _ = found.stdout.rpartition(b"\n")
    return whole.split(b"\n") if whole else []


def entries(path):
    """(stream, frame as bytes, line as an object or None) of each line."""
    for line in lines(path):
        if b'"x":"' in line[:120]:
            entry = json.loads(line)
            yield entry["s"], bytes.fromhex(entry["x"]), entry
            continue
        head, _, frame = line.partition(b',"d":')
        stream = json.loads(head + b"}")["s"]
        yield stream, frame[:-1], json.loads(head + b"}")


def frames(path, stream):
    return [frame for s, frame, _ in entries(path) if s == stream]


def raw(sim, stream, frame):
    """A frame of any bytes but line ends, to every client of the simulator."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(sim.control_path))
        s.sendall(b"raw " + stream.encode() + b" " + frame + b"\n")
        assert s.makefile("rb").readline().startswith(b"ok")


def flags(sim, db, *more):
    return (
        *("--kismet-host", sim.url, "--export-type", "sqlite", "--sqlite-path", db),
        *("--sensor", "test", "--update-rate", "1", "--batch-interval", "0.2", *more),
    )


def replay(started, capture, db, *more, name="replay"):
    exporter = started(
        Exporter,
        *("replay", capture, "--speed", "max", "--export-type", "sqlite", "--sqlite-path", db),
        *("--sensor", "another", *more),
        name=name,
    )
    assert exporter.finish(sig=None)["sqlite"]["dropped"] == 0
    return exporter


def table(db, name, key):
    return {
        tuple(row[k] for k in key): {c: v for c, v in row.items() if c not in OWN_TIMES}
        for row in rows(db, f"SELECT * FROM {name}")
    }


def seconds(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def micros(text):
    since = datetime.datetime.fromisoformat(text) - datetime.datetime(1970, 1, 1)
    return since // datetime.timedelta(microseconds=1)


def equal_tables(first, second, name="kismet_devices", key=("mac_addr",)):
    """But for when a device was heard, where two records say the same of it but for the newer
    estimate of the server's clock: whether the second one is written is a matter of the batches."""
    a, b = table(first, name, key), table(second, name, key)
    assert a and set(a) == set(b)
    for row in a:
        for column, value in a[row].items():
            if column in ("last_updated", "updated_at"):
                assert abs(seconds(value) - seconds(b[row][column])) < 0.02, (a[row], b[row])
            else:
                assert value == b[row][column], (column, a[row], b[row])
    return b


def count(db, name="kismet_devices"):
    found = rows(db, f"SELECT count(*) AS n FROM {name}")
    return found[0]["n"] if found else 0


@pytest.mark.tsan
def test_a_replay_makes_the_rows_of_the_recording(started, tmp_path):
    """Also times: what a row says of when it was heard is the recorded time, to the microsecond."""
    sim = started(Sim, "--devices", "200", "--change", "100", "--events-per-second", "20")
    live, capture = tmp_path / "live.db", tmp_path / "capture.zst"
    exporter = started(Exporter, *flags(sim, live, "--capture", capture))
    exporter.streaming()
    wait_for(lambda: sim.stats()["changes"] > 300, what="changes")
    wait_for(lambda: count(live, "kismet_events") > 20, what="events")
    sim.command("close")  # a gap: what was watched before it is not watched now
    exporter.streaming(2)
    before = sim.stats()["changes"]
    wait_for(lambda: sim.stats()["changes"] > before + 700, what="changes after the gap")
    exporter.finish()
    again = tmp_path / "again.db"
    replay(started, capture, again)
    equal_tables(live, again, "kismet_events", ("event_uid",))
    equal_tables(live, again)
    # A device that was watched was heard when its frame came: epoch_start + t.
    epoch = json.loads(lines(capture)[0], parse_float=Decimal)["d"]["epoch_start"]
    recorded = {
        (json.loads(frame)["mac_addr"], int((epoch + Decimal(str(line["t"]))) * 10**6))
        for stream, frame, line in entries(capture) if stream in ("monitor", "rest")
    }
    heard = {
        (row["mac_addr"], micros(row["last_updated"])) for row in rows(
            again, "SELECT mac_addr, last_updated FROM kismet_devices")
    }
    assert len(heard & recorded) > 100
    # By our own clock the same rows are heard now.
    later = tmp_path / "now.db"
    replay(started, capture, later, "--time", "now", name="now")
    assert count(later) == 200
    header = json.loads(lines(capture)[0])
    assert header["t"] == 0 and header["s"] == "header"
    assert header["d"]["source"] == "test" and header["d"]["version"] == 1
    assert header["d"]["fields"][0] == ["kismet.device.base.key", "key"]


HOSTILE = [
    b"",
    b" ",
    b"{",
    b"[1,2,3]",
    b"17",
    b'"text"',
    b"not json at all",
    b'{"key":"K"} garbage',
    b'{"key":"\xc0\x80","mac_addr":"02:00:00:00:00:01"}',
    b'{"key":"4202770D00000000_010000FE0002","mac_addr":"02:00:FE:00:00:01","name":"\xf5\x80\x80\x80"}',
    b"\xff\xfe\x01",
    b'{"a":"\r"}',
    b"{" * 3000,
    b'{"key":"' + b"a" * 100000 + b'"}',
]


@pytest.mark.tsan
def test_every_frame_is_recorded_byte_for_byte(started, tmp_path):
    sim = started(Sim, "--devices", "20", "--change", "0", "--ill-formed")
    live, capture = tmp_path / "live.db", tmp_path / "capture.zst"
    exporter = started(Exporter, *flags(sim, live, "--capture", capture))
    exporter.streaming()
    for stream in ("monitor", "eventbus"):
        for frame in HOSTILE:
            raw(sim, stream, frame)
    raw(sim, "monitor", b'{"key":"LAST_1","mac_addr":"02:00:FE:00:00:02","name":"last"}')
    wait_for(
        lambda: rows(live, "SELECT 1 FROM kismet_devices WHERE name = 'last'"), what="the last one"
    )
    wait_for(lambda: len(frames(capture, "monitor")) > 20 + len(HOSTILE), what="the first push")
    totals = exporter.finish()["sqlite"]
    for stream in ("monitor", "eventbus"):
        found = frames(capture, stream)
        for frame in HOSTILE:
            assert frame in found, (stream, frame[:60])
    # The simulator stands still: REST and the monitor give the same bytes now as then.
    fields = json.loads(lines(capture)[0])["d"]["fields"]
    request = urllib.request.Request(
        f"{sim.url}/devices/last-time/0/devices.itjson",
        data=json.dumps({"fields": fields}).encode(),
        headers={"Content-Type": "application/json"},
    )
    truth = set(urllib.request.urlopen(request, timeout=10).read().splitlines())
    assert len(truth) == 20
    assert truth == set(frames(capture, "rest"))
    monitor = set(frames(capture, "monitor")) - set(HOSTILE)
    assert truth == {frame for frame in monitor if b"LAST_1" not in frame}
    # And a replay reads all of it: what was bad once is bad again, what was mended is mended.
    again = tmp_path / "again.db"
    replayed = replay(started, capture, again)
    assert replayed.totals()["sqlite"]["received"] == totals["received"]
    assert len(equal_tables(live, again)) == 23


def test_a_killed_recording_is_readable(started, tmp_path):
    sim = started(Sim, "--devices", "100", "--change", "50")
    live, capture = tmp_path / "live.db", tmp_path / "capture.zst"
    exporter = started(Exporter, *flags(sim, live, "--capture", capture))
    exporter.streaming()
    wait_for(lambda: len(frames(capture, "monitor")) > 150, what="frames on the disk")
    exporter.process.send_signal(signal.SIGKILL)
    exporter.wait()
    recorded = len(frames(capture, "monitor")) + len(frames(capture, "rest"))
    again = tmp_path / "again.db"
    replayed = replay(started, capture, again)
    assert "cut off while it was recorded" in replayed.stderr()
    assert count(again) == 100
    assert 100 < replayed.totals()["sqlite"]["received"] <= recorded
    # A new run keeps what was there.
    exporter = started(Exporter, *flags(sim, live, "--capture", capture), name="second")
    exporter.streaming()
    exporter.finish()
    assert len(frames(f"{capture}.1", "monitor")) + len(frames(f"{capture}.1", "rest")) == recorded


def test_files_turn_over_and_are_replayed_together(started, tmp_path):
    live, capture = tmp_path / "live.db", tmp_path / "capture.zst"
    sim = started(Sim, "--devices", "100", "--change", "20")
    config = tmp_path / "turn.yaml"
    config.write_text(
        f"sources:\n  - {{name: test, url: '{sim.url}', rate: 1s}}\n"
        f"sinks:\n  - {{type: sqlite, path: '{live}', batch: {{interval: 200ms}}}}\n"
        f"capture: {{path: '{capture}', bytes: 1MiB, files: 3}}\n"
    )
    exporter = started(Exporter, "--config", config)
    exporter.streaming()
    wait_for(lambda: count(live) == 100, what="devices")

    def turned():
        noise = base64.b64encode(os.urandom(150000))
        raw(sim, "eventbus", b'{"NOISE":"' + noise + b'"}')
        return (tmp_path / "capture.zst.2").exists()

    wait_for(turned, what="a second turn")
    exporter.finish()
    parts = [tmp_path / f"capture.zst{suffix}" for suffix in (".2", ".1", "")]
    assert not (tmp_path / "capture.zst.3").exists()
    for part in parts:
        assert json.loads(lines(part)[0])["s"] == "header"
        json.loads(lines(part)[-1])
    assert 1 << 20 <= parts[0].stat().st_size < 2 << 20
    whole = tmp_path / "whole.zst"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    again = tmp_path / "again.db"
    replay(started, whole, again)
    assert len(equal_tables(live, again)) == 100


def test_two_sources_in_one_file(started, tmp_path):
    one = started(Sim, "--devices", "30", "--change", "0", name="one")
    two = started(
        Sim, "--devices", "40", "--seed", "2", "--change", "0", "--events-per-second", "5",
        "--uuid", "AAAAAAAA-0000-0000-0000-00000000000B", name="two",
    )
    live, capture, again = (tmp_path / name for name in ("live.db", "capture.zst", "again.db"))
    sink = "sinks: [{{type: sqlite, path: '{}', per_source: on, batch: {{interval: 200ms}}}}]\n"
    config = tmp_path / "two.yaml"
    config.write_text(
        "sources:\n"
        f"  - {{name: 'north \"1\"', url: '{one.url}', rate: 1s}}\n"
        f"  - {{name: south, url: '{two.url}', rate: 1s}}\n"
        f"capture: {{path: '{capture}'}}\n" + sink.format(live)
    )
    exporter = started(Exporter, "--config", config)
    exporter.streaming(2)
    wait_for(lambda: count(live, "kismet_device_sources") == 70, what="both sources' rows")
    wait_for(lambda: count(live, "kismet_events") > 5, what="events")
    exporter.finish()
    assert json.loads(lines(capture)[0])["d"]["sources"] == ['north "1"', "south"]
    config.write_text(sink.format(again))
    replayed = started(
        Exporter, "--config", config, "replay", capture, "--speed", "max", name="replay"
    )
    replayed.finish(sig=None)
    found = equal_tables(live, again, "kismet_device_sources", ("source", "mac_addr"))
    assert {source for source, _ in found} == {'north "1"', "south"}
    equal_tables(live, again, "kismet_events", ("event_uid",))


def test_a_capture_without_a_header_runs_on_kismets_clock(started, tmp_path):
    path = CAPTURES / "neighbourhood-fields.ndjson.zst"
    clocks, newest = [], 0
    for t, stream, frame in kismet.capture(path):
        if stream == "monitor":
            newest = max(newest, frame["mod_time"])
        elif "TIMESTAMP" in frame:
            stamp = frame["TIMESTAMP"]
            clock = stamp["kismet.system.timestamp.sec"] + stamp["kismet.system.timestamp.usec"] / 1e6
            clocks.append((t, clock))
    ends = clocks[-1][1] + 5
    db = tmp_path / "recorded.db"
    replay(started, path, db)
    times = [r["t"] for r in rows(db, "SELECT unixepoch(last_updated) AS t FROM kismet_devices")]
    assert len(times) == 340 and max(times) <= ends
    assert max(times) >= newest - 30


def test_a_capture_that_cannot_be_written_ends_the_start(started, tmp_path):
    exporter = started(Exporter, "--capture", tmp_path / "missing" / "capture.zst")
    assert exporter.wait() == 78
    assert "cannot capture to" in exporter.stderr()


def test_a_capture_is_a_regular_file(started, tmp_path):
    exporter = started(Exporter, "--capture", "/dev/full")
    assert exporter.wait() == 78
    assert "no regular file" in exporter.stderr()


def one_source(tmp_path, sim, db, keys):
    config = tmp_path / "one.yaml"
    config.write_text(
        f"sources:\n  - {{name: test, url: '{sim.url}', rate: 1s, {keys}}}\n"
        f"sinks:\n  - {{type: sqlite, path: '{db}', batch: {{interval: 200ms}}}}\n"
    )
    return config


def devices_of(sim):
    return {row["mac_addr"]: row for row in map(kismet.row, sim.truth().values())}


@pytest.mark.parametrize("many", [False, True])
def test_macs_of_a_source(started, tmp_path, many):
    """A request of the monitor for each mask while they are few; REST and events are filtered here."""
    sim = started(Sim, "--devices", "200", "--change", "20", "--events-per-second", "20")
    devices = sorted(devices_of(sim))
    oui = devices[0][:8]
    wanted = {mac for mac in devices if mac.startswith(oui)} | {devices[-1]}
    assert 2 < len(wanted) < 150
    masks = [f"{oui}:00:00:00/FF:FF:FF:00:00:00", devices[-1].lower()]
    masks += [f"FE:FE:FE:00:00:{i:02X}" for i in range(20 if many else 0)]
    db, capture = tmp_path / "kismet.db", tmp_path / "capture.zst"
    config = one_source(tmp_path, sim, db, f"macs: {json.dumps(masks)}")
    exporter = started(Exporter, "--config", config, "--capture", capture)
    exporter.streaming()
    wait_for(lambda: count(db) == len(wanted), what="the wanted devices")
    wait_for(lambda: count(db, "kismet_events") > 3, what="events of the wanted devices")
    monitor = [c for c in sim.stats()["clients"] if c["kind"] == "monitor"]
    assert [c["requests"] for c in monitor] == [1 if many else 2]
    exporter.finish()
    assert set(table(db, "kismet_devices", ("mac_addr",))) == {(mac,) for mac in wanted}
    events = rows(db, "SELECT device_mac FROM kismet_events WHERE device_mac IS NOT NULL")
    assert events and {e["device_mac"] for e in events} <= wanted
    # Of the monitor's frames Kismet has left out the others itself.
    pushed = {json.loads(frame.decode("utf-8", "replace"))["mac_addr"]
              for frame in frames(capture, "monitor")}
    assert pushed and (many or pushed <= wanted)


def test_regex_of_a_source(started, tmp_path):
    sim = started(Sim, "--devices", "100", "--change", "10")
    wanted = {mac for mac, row in devices_of(sim).items() if row["manufacturer"] == "Apple"
              or row["name"] == "device-7"}
    assert 1 < len(wanted) < 80
    db = tmp_path / "kismet.db"
    regex = '["kismet.device.base.manuf=^Apple$", "kismet.device.base.name=^device-7$"]'
    config = one_source(tmp_path, sim, db, f"regex: {regex}")
    check = started(Exporter, "--config", config, "check", name="check")
    assert check.wait() == 0
    assert "mode poll" in check.stdout() and "2 regex" in check.stdout()
    exporter = started(Exporter, "--config", config)
    wait_for(lambda: count(db) == len(wanted), what="the wanted devices")
    exporter.finish()
    assert set(table(db, "kismet_devices", ("mac_addr",))) == {(mac,) for mac in wanted}
    assert not [c for c in sim.stats()["clients"] if c["kind"] == "monitor"]
    config.write_text(config.read_text().replace("rate: 1s", "rate: 1s, mode: monitor"))
    refused = started(Exporter, "--config", config, name="refused")
    assert refused.wait() == 78
    assert "regex works by REST only" in refused.stderr()


def test_view_of_a_source(started, tmp_path):
    sim = started(Sim, "--devices", "100", "--change", "10")
    wanted = {mac for mac, row in devices_of(sim).items() if row["phy_type"] == "Bluetooth"}
    assert 1 < len(wanted) < 99
    db, capture = tmp_path / "kismet.db", tmp_path / "capture.zst"
    config = one_source(tmp_path, sim, db, "view: phy-Bluetooth, events: [ALERT]")
    exporter = started(Exporter, "--config", config, "--capture", capture)
    exporter.streaming()
    wait_for(lambda: frames(capture, "monitor"), what="frames of the monitor")
    wait_for(lambda: count(db) == len(wanted), what="the wanted devices")
    exporter.finish()
    assert set(table(db, "kismet_devices", ("mac_addr",))) == {(mac,) for mac in wanted}
    for stream in ("monitor", "rest"):
        found = {json.loads(frame)["mac_addr"] for frame in frames(capture, stream)}
        assert found and found <= wanted
