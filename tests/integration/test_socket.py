"""The socket sink: the script's lines, readers that leave, stall and come back, TLS, UDP, probe."""

import csv
import json
import random
import shutil
import subprocess

import pytest

import hostile
from campaign import configure, launch, source
from harness import BUILD, CAPTURES, ROOT, Exporter, Sim, wait_for
from linestub import DatagramServer, LineServer
from rawkismet import RawKismet, frame
from test_probe import graded, one, probe
from test_tls import LOCAL, PAST, Authority, openssl

CAPTURE = CAPTURES / "neighbourhood-full.ndjson.zst"
TO_SERVER = ("--export-type", "socket", "--server-host", "localhost", "--server-port")
SEED = 20251128


def sink(port, **more):
    return {
        "type": "socket",
        "host": "127.0.0.1",
        "port": port,
        "batch": {"interval": "30ms"},
        "delta": {"mode": "off", "max_age": "any"},
        **more,
    }


def sequences(lines):
    return [json.loads(line)["sequence"] for line in lines]


# --- shapes ---


def replay(started, *arguments, name="exporter"):
    exporter = started(
        Exporter, "replay", CAPTURE, "--speed", "max", "--sensor", "test", *arguments, name=name
    )
    return exporter.finish(sig=None)


@pytest.mark.parametrize("form", ["json", "csv", "simple"])
def test_the_script_s_lines(started, form):
    reader = started(lambda _directory: LineServer())
    totals = replay(started, *TO_SERVER, reader.port, "--data-format", form)["socket"]
    assert totals["delivered"] > 500 and totals["dropped"] == 0
    wait_for(lambda: len(reader.lines) == totals["delivered"], what="every record a line")
    assert reader.parts == [b""] and reader.connections == 1
    devices = [x for x in reader.lines if not x.startswith(b"EVENT|")]
    events = [x for x in reader.lines if x.startswith(b"EVENT|")]
    assert all(json.loads(x[6:])["event_type"] for x in events)
    if form == "json":
        records = [json.loads(x) for x in devices]
        assert all(list(r) == ["type", "data", "sequence", "timestamp"] for r in records)
        assert {r["type"] for r in records} == {"device", "event"} and not events
        assert all(isinstance(r["timestamp"], float) for r in records)
        assert len({r["sequence"] for r in records}) == len(records)
    elif form == "csv":
        table = list(csv.reader(x.decode() for x in devices))
        assert events and all(len(r) == 6 and r[0] == "DEVICE" for r in table)
        assert {r[2] for r in table} >= {"IEEE802.11", "Bluetooth"}
    else:
        table = [x.decode().split("|") for x in devices]
        assert events and all(len(r) == 5 and r[0] == "DEVICE" for r in table)
        assert all(r[4].isdigit() and (not r[3] or int(r[3]) < 0) for r in table)


@pytest.mark.skipif(shutil.which("nc") is None, reason="no netcat (netcat-openbsd)")
def test_netcat_listens(started, tmp_path):
    """As somebody tries it: nc -lk PORT."""
    reader = LineServer()
    reader.stop()
    out = tmp_path / "nc.out"
    with open(out, "wb") as file:
        nc = subprocess.Popen(
            ["nc", "-lk", "127.0.0.1", str(reader.port)], stdin=subprocess.PIPE, stdout=file
        )
    try:
        totals = replay(started, *TO_SERVER, reader.port)["socket"]
        wait_for(
            lambda: out.read_bytes().count(b"\n") == totals["delivered"], what="netcat has it all"
        )
    finally:
        nc.kill()
        nc.wait()


def test_without_a_host_there_is_no_start(tmp_path):
    def ask(*arguments):
        done = subprocess.run(
            [str(BUILD / "kismet-export"), *map(str, arguments), "check"],
            capture_output=True, text=True, cwd=tmp_path,
        )
        return done.returncode, done.stderr

    status, text = ask("--export-type", "socket")
    assert status == 64 and "--server-host" in text
    config = tmp_path / "c.yaml"
    config.write_text("sinks:\n  - type: socket\n")
    status, text = ask("--config", config)
    assert status == 78 and "c.yaml:2" in text and "host" in text
    status, text = ask("--export-type", "socket", "--server-host", "a", "--data-format", "text")
    assert status == 64 and "json, csv, simple" in text
    status, text = ask("--export-type", "socket", "--server-host", "a:1")
    assert status == 64 and "port" in text


# --- hostile names ---


def shown(text):
    """base/text.h, kx_text_terminal, stated a second time."""
    out = []
    for c in text:
        point = ord(c)
        hidden = point in (0xAD, 0x61C, 0x180E, 0xFEFF) or any(
            first <= point <= last
            for first, last in (
                (0x80, 0x9F), (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F),
                (0xFFF9, 0xFFFB), (0xE0000, 0xE007F),
            )
        )
        if point < 0x20 or point == 0x7F:
            out.append(f"\\x{point:02X}")
        elif hidden:
            out.append(f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}")
        else:
            out.append(c)
    return "".join(out)


def read_json(line):
    data = json.loads(line)["data"]
    return data["mac_addr"], data["phy_type"]


def read_csv(line):
    (row,) = csv.reader([line.decode()])
    assert len(row) == 6
    return row[1], row[2] or None


def read_simple(line):
    row = line.decode().split("|")
    assert len(row) == 5
    return row[1], row[2] or None


def as_csv(text):
    if text is None:
        return None
    return ("'" if text[0] in "=+-@" else "") + shown(text)


def as_simple(text):
    return None if text is None else shown(text).replace("|", "\\x7C")


FORMATS = {
    "json": (read_json, lambda text: text),
    "csv": (read_csv, as_csv),
    "simple": (read_simple, as_simple),
}


def test_hostile_names_are_one_line_each(started, tmp_path):
    kismet = started(lambda _directory: RawKismet())
    readers = {form: started(lambda _directory: LineServer()) for form in FORMATS}
    exporter = launch(
        started,
        tmp_path,
        [source(kismet.url, events=["none"])],
        sinks=[sink(r.port, format=form, name=form) for form, r in readers.items()],
    )
    exporter.streaming()
    wait_for(kismet.ready, what="the subscriptions")
    wanted = {}
    plain = b'"phy_type": "IEEE802.11"'
    for mac, text, bytes_ in hostile.devices(fields=("name",)):
        name = hostile.NAMES[len(wanted)].literal
        assert plain in bytes_
        kismet.send("monitor", frame(bytes_.replace(plain, b'"phy_type": ' + name)))
        wanted[mac] = text
    for form, (read, transform) in FORMATS.items():
        lines = readers[form].lines
        wait_for(lambda: len(lines) >= len(wanted), what=f"{form}: every name")
        found = dict(map(read, lines))
        assert len(lines) == len(wanted), form
        for mac, text in wanted.items():
            assert found[mac] == transform(text), (form, mac, text)
    for totals in exporter.finish().values():
        assert totals["delivered"] == len(wanted)


# --- readers that leave ---


def disturb(started, tmp_path, times, leave):
    """A reader that leaves under load, again and again; (reader, exporter, totals)."""
    chance = random.Random(SEED)
    sim = started(Sim, "--devices", "300", "--change", "100", "--events-per-second", "100")
    reader = started(lambda _directory: LineServer())
    exporter = launch(
        started, tmp_path, [source(sim.url)], sinks=[sink(reader.port, delta={"mode": "off"})]
    )
    exporter.streaming()
    for i in range(times):
        before, lines = reader.connections, len(reader.lines)
        wait_for(lambda: len(reader.lines) > lines + chance.randrange(400), what="lines")
        if i % 5 == 4:
            reader.stop()
            leave(reader)
            reader.start()
        else:
            leave(reader)
        wait_for(lambda: reader.connections > before, 60, what=f"reader {i} is found again")
    sim.command("freeze")
    totals = exporter.finish()["socket"]
    wait_for(lambda: not reader.sockets, what="the last connection ends")
    assert reader.connections > times
    assert all(first.startswith(b'{"type":"') for first in reader.firsts), "whole lines only"
    return reader, exporter, totals


def check_graceful(started, tmp_path, times):
    """Who reads what was sent before he goes has everything, each line whole."""
    reader, _, totals = disturb(started, tmp_path, times, LineServer.hang_up)
    assert totals["dropped"] == 0 and totals["received"] == (
        totals["delivered"] + totals["coalesced"]
    )
    got = set(sequences(reader.lines))
    assert len(got) == totals["delivered"]
    assert set(reader.parts) == {b""} or all(not p.endswith(b"}") for p in reader.parts)
    return reader, totals


def check_killed(started, tmp_path, times):
    """Who is killed loses what the system had taken for him, nothing else: what was not taken comes
    again. The account is exact."""
    reader, _, totals = disturb(started, tmp_path, times, LineServer.cut)
    assert totals["dropped"] == 0
    got = set(sequences(reader.lines))
    lost = totals["delivered"] - len(got)
    assert lost >= 0
    return reader, totals, lost


def test_a_reader_that_closes_loses_nothing(started, tmp_path):
    check_graceful(started, tmp_path, 10)


def test_a_reader_that_is_killed(started, tmp_path):
    check_killed(started, tmp_path, 10)


@pytest.mark.slow
def test_readers_leave_fifty_times(started, tmp_path):
    results = []
    for name, check in (("closed", check_graceful), ("killed", check_killed)):
        directory = tmp_path / name
        directory.mkdir()

        def start(kind, *arguments, **options):
            return started(lambda _d, *a, **o: kind(directory, *a, **o), *arguments, **options)

        reader, totals, *lost = check(start, directory, 50)
        results.append(
            f"{name} 50 times: {reader.connections} connections, {totals['delivered']} records "
            f"sent, {len(reader.lines)} lines read, {lost[0] if lost else 0} taken by the system "
            "and never read"
        )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    (ROOT / "tests" / "results" / "socket-readers.txt").write_text(
        "\n".join([f"Readers that leave: seed {SEED}, commit {commit}.", *results]) + "\n"
    )


def test_a_dead_reader_delays_nobody(started, tmp_path):
    """Two TCP sinks, one reader of which stalls; and a port where nobody listens."""
    sim = started(Sim, "--devices", "200", "--change", "100")
    good, stalled = (started(lambda _directory: LineServer()) for _ in range(2))
    stalled.behaviour = "stall"
    nobody = LineServer()
    nobody.stop()
    sinks = [
        sink(good.port, name="good"),
        sink(stalled.port, name="stalled"),
        sink(nobody.port, name="nobody"),
    ]
    exporter = launch(started, tmp_path, [source(sim.url)], sinks=sinks)
    exporter.streaming()
    wait_for(lambda: len(good.lines) > 2000, 60, what="the good one has 2,000 lines")
    stderr = exporter.stderr()
    assert "does its reader listen there" in stderr
    sim.command("freeze")
    totals = exporter.finish()
    assert totals["good"]["dropped"] == 0 and totals["good"]["coalesced"] == 0
    assert totals["good"]["delivered"] == len(good.lines)
    assert totals["nobody"]["delivered"] == 0
    assert totals["nobody"]["received"] == totals["good"]["received"]


def test_a_stop_is_quick_although_the_reader_stalls(started, tmp_path):
    sim = started(Sim, "--devices", "2000", "--change", "100")
    stalled, witness = (started(lambda _directory: LineServer()) for _ in range(2))
    stalled.behaviour = "stall"
    exporter = launch(
        started,
        tmp_path,
        [source(sim.url)],
        sinks=[sink(stalled.port, name="stalled"), sink(witness.port, name="witness")],
    )
    exporter.streaming()
    # More than the buffers of two sockets hold.
    wait_for(lambda: len(witness.lines) > 12000, 60, what="12,000 lines elsewhere")
    totals = exporter.finish()  # within 15 s, and the account balances
    assert totals["stalled"]["dropped"] > 0 and totals["witness"]["dropped"] == 0


# --- UDP ---


def test_udp_counts_what_it_refuses(started, tmp_path):
    kismet = started(lambda _directory: RawKismet())
    reader = started(lambda _directory: DatagramServer())
    exporter = launch(
        started,
        tmp_path,
        [source(kismet.url, events=["ALERT"], extra_fields=[{"path": "x.y", "as": "big"}])],
        sinks=[sink(reader.port, protocol="udp", name="udp")],
    )
    exporter.streaming()
    wait_for(kismet.ready, what="the subscriptions")
    for number in range(20):
        more = {"extra_0": "x" * 900} if number % 2 else {}
        kismet.send("monitor", frame(hostile.device(number, hostile.of("n"), **more)))
    for number in range(60):  # more than a run that would hold a sink
        alert = {
            "kismet.alert.hash": number,
            "kismet.alert.timestamp": 1700000000 + number,
            "kismet.alert.header": "BIG",
            "kismet.alert.text": "x" * 1500,
        }
        kismet.text("eventbus", json.dumps({"ALERT": alert}))
    wait_for(lambda: len(reader.datagrams) >= 20, what="the devices")
    wait_for(lambda: exporter.running(), what="it runs")
    kismet.send("monitor", frame(hostile.device(99, hostile.of("last"))))
    wait_for(lambda: len(reader.datagrams) >= 21, what="what comes behind the refused ones")
    totals = exporter.finish()["udp"]
    assert totals["delivered"] == 21 and totals["dropped"] == 60, totals
    assert all(len(d) < 1400 and d.endswith(b"}\n") for d in reader.datagrams)
    records = [json.loads(d)["data"] for d in reader.datagrams]
    assert [r["extra"] for r in records if "extra" in r] == [None] * 11, "the others went without"


def test_udp_without_a_reader_and_by_name(started, tmp_path):
    sim = started(Sim, "--devices", "50", "--change", "100")
    reader = started(lambda _directory: DatagramServer())
    port = reader.port
    exporter = launch(
        started,
        tmp_path,
        [source(sim.url)],
        sinks=[sink(port, protocol="udp", host="localhost")],
    )
    exporter.streaming()
    wait_for(lambda: len(reader.datagrams) >= 100, what="datagrams")
    reader.kill()
    wait_for(lambda: "nobody listens there" in exporter.stderr(), what="the loss is noticed")
    exporter.finish()


# --- TLS ---


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    ours, theirs = Authority(directory, "ours"), Authority(directory, "theirs")
    openssl(
        directory,
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", "self.key", "-out", "self.pem", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", f"subjectAltName={LOCAL}"),
    )
    return {
        "ca": ours.file,
        "good": ours.issue("good", LOCAL),
        "wrong host": ours.issue("host", "DNS:kismet.example"),
        "expired": ours.issue("expired", LOCAL, PAST),
        "wrong CA": theirs.issue("foreign", LOCAL),
        "self-signed": (directory / "self.pem", directory / "self.key"),
        "client": ours.issue("client", "DNS:exporter"),
    }


def by_tls(reader, certificates, **more):
    tls = {"ca_file": str(certificates["ca"]), **more}
    return sink(reader.port, protocol="tls", tls=tls)


@pytest.mark.parametrize(
    "kind, reason",
    [
        ("wrong host", "no alternative certificate subject name matches target host name"),
        ("expired", "certificate has expired"),
        ("self-signed", "self-signed certificate"),
        ("wrong CA", "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_is_refused_with_its_reason(started, tmp_path, certificates, kind, reason):
    sim = started(Sim, "--devices", "20", "--change", "50")
    reader = started(lambda _directory: LineServer(tls=certificates[kind]))
    exporter = launch(started, tmp_path, [source(sim.url)], sinks=[by_tls(reader, certificates)])
    wait_for(lambda: reason in exporter.stderr(), what="the refusal is said")
    assert not reader.lines
    exporter.stop()


def test_a_good_certificate_and_a_reader_that_leaves(started, tmp_path, certificates):
    sim = started(Sim, "--devices", "300", "--change", "100", "--events-per-second", "50")
    reader = started(
        lambda _directory: LineServer(tls=certificates["good"], client_ca=certificates["ca"])
    )
    pair = certificates["client"]
    exporter = launch(
        started,
        tmp_path,
        [source(sim.url)],
        sinks=[by_tls(reader, certificates, cert_file=str(pair[0]), key_file=str(pair[1]))],
    )
    exporter.streaming()
    for i in range(3):
        before, lines = reader.connections, len(reader.lines)
        wait_for(lambda: len(reader.lines) > lines + 500, what="lines by TLS")
        if i < 2:
            reader.cut()
            wait_for(lambda: reader.connections > before, 60, what="the next connection")
    sim.command("freeze")
    totals = exporter.finish()["socket"]
    assert totals["dropped"] == 0 and len(set(sequences(reader.lines))) <= totals["delivered"]
    assert all(first.startswith(b'{"type":"') for first in reader.firsts)


def test_a_client_certificate_is_asked_for(started, tmp_path, certificates):
    sim = started(Sim, "--devices", "20", "--change", "50")
    reader = started(
        lambda _directory: LineServer(tls=certificates["good"], client_ca=certificates["ca"])
    )
    exporter = launch(started, tmp_path, [source(sim.url)], sinks=[by_tls(reader, certificates)])
    wait_for(
        lambda: "client certificate (tls.cert_file)" in exporter.stderr(), what="what is wrong"
    )
    wait_for(lambda: reader.refusals, what="the reader refused")
    assert not reader.lines
    exporter.stop()


def test_tls_to_a_reader_without(started, tmp_path, certificates):
    sim = started(Sim, "--devices", "20", "--change", "50")
    reader = started(lambda _directory: LineServer())
    exporter = launch(started, tmp_path, [source(sim.url)], sinks=[by_tls(reader, certificates)])
    wait_for(lambda: reader.connections, what="the connection")
    reader.cut()
    wait_for(lambda: "no TLS connection" in exporter.stderr(), 60, what="what is wrong is said")
    exporter.stop()


# --- probe ---


def test_probe(started, tmp_path, certificates):
    sim = started(Sim, "--devices", "20")
    reader = started(lambda _directory: LineServer())
    to_sim = ("--kismet-host", sim.url)
    _, lines = probe(tmp_path, *to_sim, *TO_SERVER, reader.port)
    assert not graded([x for x in lines if "sink" in x], "FAIL")
    assert any("takes a connection" in x for x in graded(lines, "ok"))
    assert not reader.lines, "a probe sends nothing"
    reader.stop()
    status, lines = probe(tmp_path, *to_sim, *TO_SERVER, reader.port)
    assert status == 69
    one(lines, "FAIL", "does its reader listen there")
    status, lines = probe(
        tmp_path, *to_sim, *TO_SERVER, reader.port, "--server-protocol", "udp"
    )
    assert any("UDP does not say" in x for x in graded(lines, "warn"))
    secure = started(lambda _directory: LineServer(tls=certificates["wrong CA"]))
    config = configure(tmp_path, [source(sim.url)], sinks=[by_tls(secure, certificates)])
    status, lines = probe(tmp_path, "--config", config)
    assert status == 69
    one(lines, "FAIL", "its certificate is not accepted", "tls.ca_file")
