"""What an InfluxDB answers, and what becomes of the records: a scripted server, the real program."""

import json
import re
import signal
import socket
import time

import pytest

import hostile
import httpstub
from campaign import launch, source
from harness import Process, Sim, wait_for
from httpstub import Answer, Stub
from influx import CloudStub, free_port, parse, points
from rawkismet import RawKismet, device, mac_of
from test_influxdb import sink


class Line:
    """A Kismet that says what it is told, an InfluxDB stub, and the exporter between."""

    def __init__(self, started, tmp_path, stub, raw=None, env=None, **more):
        self.raw = raw or started(lambda _directory: RawKismet())
        self.stub = started(lambda _directory: stub)
        self.exporter = launch(
            started,
            tmp_path,
            [source(self.raw.url)],
            sinks=[sink(stub, **{"api": "v2", "org": "home", **more})],
            env=env,
        )
        self.exporter.streaming()
        wait_for(self.raw.ready, what="the subscriptions")

    def told(self, number, **more):
        try:
            self.raw.text("monitor", device(number, **more))
        except OSError:  # the exporter has just taken up the stream anew
            return False
        return True

    def say(self, *numbers, **more):
        for number in numbers:
            wait_for(lambda n=number: self.told(n, **more), what="a connection to say it on")

    def arrived(self):
        return {point.tags["mac_addr"] for point in points(self.stub)}

    def has(self, *numbers):
        wait_for(
            lambda: self.arrived() >= {mac_of(n) for n in numbers}, what=f"devices {numbers}"
        )

    def finish(self, **wanted):
        totals = self.exporter.finish()["influxdb"]
        for term, value in wanted.items():
            assert totals[term] == value, totals
        return totals


def statuses(stub):
    return [request.answer.status for request in stub.requests]


def test_a_request(started, tmp_path):
    line = Line(started, tmp_path, Stub(), bucket="a b&c", org="größe", token="t-0123")
    line.say(1, 2)
    line.has(1, 2)
    line.say(3)
    line.has(3)
    assert line.stub.connections == 1, "kept alive"
    for request in line.stub.requests:
        assert request.method == "POST" and request.path == "/api/v2/write"
        assert request.query == {"bucket": "a b&c", "org": "größe", "precision": "ns"}
        assert request.headers["authorization"] == "Token t-0123"
        assert request.headers["content-type"] == "text/plain; charset=utf-8"
        assert request.headers["user-agent"].startswith("kismet-export/")
        assert "expect" not in request.headers and "cookie" not in request.headers
        assert "content-encoding" not in request.headers, "this host: not compressed"
    line.finish(delivered=3)


@pytest.mark.parametrize(
    "api, path, query, scheme",
    [
        ("v1", "/write", {"db": "kismet", "rp": "short", "precision": "u"}, "Token"),
        ("v3", "/api/v3/write_lp", {"db": "kismet/short", "precision": "microsecond"}, "Bearer"),
    ],
)
def test_other_interfaces(started, tmp_path, api, path, query, scheme):
    line = Line(
        started, tmp_path, Stub(), api=api, bucket="kismet/short", precision="us", token="t-0123"
    )
    line.say(1)
    line.has(1)
    request = line.stub.requests[0]
    assert (request.path, request.query) == (path, query)
    assert request.headers["authorization"] == f"{scheme} t-0123"
    assert 10**15 < parse(request.body)[0].time < 10**16
    line.finish(delivered=1)


def test_gzip(started, tmp_path):
    line = Line(started, tmp_path, Stub(), gzip="on")
    line.say(*range(100))
    line.has(*range(100))
    for request in line.stub.requests:
        assert request.headers["content-encoding"] == "gzip"
        if len(request.body) > 2000:
            assert len(request.wire) < len(request.body) / 3
    line.finish(delivered=100)


# status -> what is said, and what becomes of the record
SENT, REJECTED, HELD, AGAIN = "delivering", "refused for good", "held", "cannot deliver"
TABLE = [
    (204, SENT),
    (200, HELD),
    (202, HELD),
    (301, HELD),
    (302, HELD),
    (307, HELD),
    (308, HELD),
    (400, REJECTED),
    (401, HELD),
    (402, HELD),
    (403, HELD),
    (404, HELD),
    (405, HELD),
    (407, HELD),
    (408, AGAIN),
    (409, AGAIN),
    (410, HELD),
    (411, HELD),
    (413, REJECTED),  # one record alone
    (415, HELD),
    (418, AGAIN),
    (422, REJECTED),
    (425, AGAIN),
    (429, AGAIN),
    (500, AGAIN),
    (501, AGAIN),
    (502, AGAIN),
    (503, AGAIN),
    (504, AGAIN),
    (507, AGAIN),
    (520, AGAIN),
]


def test_each_status(started, tmp_path):
    """A sink for each status, which it gets once: the words for it, and what became of the device."""
    asked = set()

    def respond(request):
        status = int(request.query["bucket"])
        if status in asked or mac_of(1).encode() not in request.body:
            return None
        asked.add(status)
        return Answer(status, f"because of {status}")

    stub = started(lambda _directory: Stub())
    stub.respond = respond
    raw = started(lambda _directory: RawKismet())
    sinks = [sink(stub, "v2", bucket=str(status), name=f"s{status}") for status, _ in TABLE]
    exporter = launch(started, tmp_path, [source(raw.url)], sinks=sinks)
    exporter.streaming()
    wait_for(raw.ready, what="the subscriptions")
    raw.text("monitor", device(1))
    wait_for(lambda: asked == {status for status, _ in TABLE}, what="each status once")
    raw.text("monitor", device(2))  # a sink that takes it refused the first one for itself

    def said(status, word):
        return re.search(f" sink s{status}: .*{word}.*", exporter.stderr())

    for status, word in TABLE:
        line = wait_for(lambda: said(status, word), what=f"{status}: {word}")[0]
        assert word == SENT or f"answers {status}: because of {status}" in line, line
    exporter.process.send_signal(signal.SIGHUP)  # what waits is tried now

    def arrived(status):
        sent = [r for r in stub.requests if r.query["bucket"] == str(status)]
        return {p.tags["mac_addr"] for r in sent if r.answer.status == 204 for p in parse(r.body)}

    for status, word in TABLE:
        want = {mac_of(2)} if word == REJECTED else {mac_of(1), mac_of(2)}
        wait_for(lambda: arrived(status) == want, what=f"{status}: the devices")
    totals = exporter.finish()
    for status, word in TABLE:
        t = totals[f"s{status}"]
        assert t["dropped"] + t["dead_lettered"] == (word == REJECTED), (status, t)


def test_retry_after_is_obeyed(started, tmp_path):
    line = Line(started, tmp_path, Stub())
    line.stub.script(Answer(429, retry_after=2), Answer(503, retry_after=2))
    begun = time.monotonic()
    line.say(1)
    line.has(1)
    assert time.monotonic() - begun >= 4
    assert statuses(line.stub) == [429, 503, 204]
    assert len({request.body for request in line.stub.requests}) == 1, "the same points"
    line.finish(delivered=1)


def test_a_bad_line_alone_is_lost(started, tmp_path):
    """v2 refuses the whole request for one line."""

    def respond(request):
        bad = [p for p in parse(request.body) if p.fields.get("name") == "bad"]
        return Answer(400, '{"code":"invalid","message":"bad line"}') if bad else None

    stub = Stub()
    stub.respond = respond
    line = Line(started, tmp_path, stub, batch={"interval": "500ms"})
    for number in range(300):
        line.say(number, **({"name": "bad"} if number in (17, 18, 250) else {}))
    line.has(*(n for n in range(300) if n not in (17, 18, 250)))
    wait_for(lambda: "refused for good" in line.exporter.stderr(), what="it is said")
    assert "answers 400" in line.exporter.stderr() and "bad line" in line.exporter.stderr()
    totals = line.finish(delivered=297)
    assert totals["dropped"] + totals["dead_lettered"] == 3


def test_a_server_that_refuses_everything_loses_nothing(started, tmp_path):
    """A field of another type: rejected_all, held, and delivered when it is mended."""
    stub = Stub()
    stub.default = Answer(422, "field type conflict")
    line = Line(started, tmp_path, stub, batch={"interval": "500ms"})
    line.say(*range(100))
    wait_for(lambda: "rejected_all" in line.exporter.stderr(), what="held")
    stub.default = Answer(204)
    line.exporter.process.send_signal(signal.SIGHUP)
    line.has(*range(100))
    line.finish(delivered=100)


def test_413_halves_and_remembers(started, tmp_path):
    largest = 20000

    def respond(request):
        return Answer(413, "too large") if len(request.wire) > largest else None

    stub = Stub()
    stub.respond = respond
    line = Line(started, tmp_path, stub, batch={"interval": "1s"})
    line.say(*range(500))
    line.has(*range(500))
    refused = statuses(stub).count(413)
    assert refused > 0
    line.say(*range(1000, 1500))
    line.has(*range(1000, 1500))
    assert statuses(stub).count(413) <= refused + 1, "the limit is remembered"
    line.finish(delivered=1000)


def test_413_while_the_body_is_written(started, tmp_path):
    """nginx answers with the head, before it has read the body, and closes."""
    stub = Stub()
    line = Line(started, tmp_path, stub, batch={"interval": "1s"})
    stub.script(Answer(413, "too large", early=True, close=True))
    line.say(*range(800))
    line.has(*range(800))
    assert 413 in statuses(stub)
    line.finish(delivered=800)


def test_points_beyond_retention(started, tmp_path):
    """The server keeps the others; those dropped are the oldest."""

    def respond(request):
        old = [p for p in parse(request.body) if p.fields["total_packets"] == 666]
        if not old:
            return None
        return Answer(
            422,
            '{"code":"unprocessable entity","message":"failure writing points to database: '
            f'partial write: points beyond retention policy dropped={len(old)}"}}',
        )

    stub = Stub()
    stub.respond = respond
    line = Line(started, tmp_path, stub, batch={"interval": "500ms"})
    now = int(time.time())
    for number in range(100):
        if number % 10 == 3:
            line.say(number, packets=666, last_seen=now - 100000 - number)
        else:
            line.say(number)
    wait_for(lambda: "older than the bucket keeps" in line.exporter.stderr(), what="it is said")
    line.say(500)
    line.has(500)
    assert "refused for good" not in line.exporter.stderr()
    assert statuses(stub).count(422) == 1, "not taken apart"
    line.finish(delivered=91, dropped=10)


# --- secrets ---


@pytest.mark.parametrize("api", ["v2", "v3"])
def test_a_new_token_is_read_when_the_old_is_refused(started, tmp_path, api):
    secret = tmp_path / "token"
    secret.write_text("an-old-token\n")
    secret.chmod(0o600)
    line = Line(started, tmp_path, CloudStub(), api=api, token_file=str(secret))
    line.say(1)
    wait_for(lambda: "held" in line.exporter.stderr(), what="held")
    assert "401" in line.exporter.stderr() and "token_file" in line.exporter.stderr()
    secret.write_text(CloudStub.token + "\n")
    line.exporter.process.send_signal(signal.SIGHUP)
    line.has(1)
    line.finish(delivered=1)


def test_the_scripts_flags_and_the_environment(started, tmp_path):
    from harness import Exporter

    stub = started(lambda _directory: CloudStub())
    sim = started(Sim, "--devices", "5")
    token = tmp_path / "token"
    token.write_text(CloudStub.token)
    token.chmod(0o600)
    flags = (
        *("--influx-url", stub.url, "--influx-token", CloudStub.token),
        *("--influx-org", "home", "--influx-bucket", "kismet"),
    )
    variables = {"INFLUX_URL": stub.url, "INFLUX_TOKEN_FILE": str(token), "INFLUX_ORG": "home"}
    common = ("--kismet-host", sim.url, "--export-type", "influxdb", "--once")
    for name, arguments, env in (
        ("flags", flags, {}),
        ("environment", (), {**variables, "INFLUX_BUCKET": "kismet"}),
    ):
        before = len(points(stub))
        exporter = started(Exporter, *common, *arguments, name=name, env=env)
        assert exporter.wait() == 0, exporter.stderr()
        assert len(points(stub)) == before + 5
        assert CloudStub.token not in exporter.stderr()


def test_the_token_is_nowhere(started, tmp_path):
    """A server repeats it in its answer; the log does not."""
    stub = Stub()
    stub.default = Answer(401, "unknown token canary-0123456789")
    line = Line(started, tmp_path, stub, token="canary-0123456789")
    line.say(1)
    wait_for(lambda: "held" in line.exporter.stderr(), what="held")
    assert "unknown token ***" in line.exporter.stderr()
    line.exporter.stop()
    assert "canary" not in line.exporter.stderr()


# --- connections ---


def test_a_redirect_takes_nothing_along(started, tmp_path):
    other = started(lambda _directory: Stub())
    stub = Stub()
    stub.default = Answer(307, headers={"Location": other.url + "/api/v2/write"})
    line = Line(started, tmp_path, stub, token="t-0123")
    line.say(1)
    wait_for(lambda: "redirects are not followed" in line.exporter.stderr(), what="held")
    assert other.connections == 0
    line.exporter.stop()


def test_answers_without_end_and_in_any_form(started, tmp_path):
    """A body of megabytes, a head of rubbish, an answer cut short: nothing is lost or delayed."""
    line = Line(started, tmp_path, Stub())
    line.stub.script(
        Answer(500, b"x" * (8 << 20)),
        Answer(raw=b"hello\r\n\r\n", close=True),
        Answer(raw=b"HTTP/1.1 204 No Con", close=True),
        Answer(raw=b"", close=True),
        Answer(raw=b"HTTP/1.1 500 x\r\nContent-Length: 100\r\n\r\nshort", close=True),
        Answer(500, "\x1b[2J\u202e evil \x00"),
    )
    for number in range(6):
        asked = len(line.stub.requests)
        line.say(number)
        wait_for(lambda: len(line.stub.requests) > asked, what="a request")
        line.exporter.process.send_signal(signal.SIGHUP)
        line.has(number)
    assert "\x1b" not in line.exporter.stderr() and "\u202e" not in line.exporter.stderr()
    line.finish(delivered=6)


@pytest.mark.parametrize("where", ["answer", "body", "handshake"])
def test_a_stop_does_not_wait_for_a_server_that_hangs(started, tmp_path, where):
    if where == "handshake":  # accepts, and says nothing
        listener = socket.create_server(("127.0.0.1", 0))
        stub = Stub()
        stub.url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    else:
        stub = Stub()
        stub.default = Answer(hang=True) if where == "answer" else Answer(500, "x" * 99, drip=3)
    line = Line(started, tmp_path, stub)
    line.say(1)
    if where != "handshake":
        wait_for(lambda: stub.requests, what="a request")
    begun = time.monotonic()
    totals = line.finish(delivered=0)
    assert totals["dropped"] == 1
    assert time.monotonic() - begun < 12, "6 s to flush, and a little"


def test_a_server_that_is_not_there_yet(started, tmp_path):
    port = free_port()
    stub = Stub()
    stub.url = f"http://127.0.0.1:{port}"
    line = Line(started, tmp_path, stub)
    line.say(1, 2)
    wait_for(lambda: "cannot deliver" in line.exporter.stderr(), what="it is said")
    late = started(lambda _directory: Stub(port=port))
    line.stub = late
    line.has(1, 2)
    line.finish(delivered=2)


# --- names ---


def transformed(text):
    return re.sub(r"[\x00-\x1f\x7f]", "_", text)


def test_the_hostile_names(started, tmp_path):
    """As a tag and as fields: exactly one point out for each device in, with the text it has."""
    line = Line(started, tmp_path, Stub())
    want = {}
    for mac, text, frame in hostile.devices():
        want[mac] = text
        line.raw.text("monitor", frame)
    wait_for(lambda: line.arrived() >= set(want), what="all of them")
    found = points(line.stub)
    assert len(found) == len(want) == len({p.tags["mac_addr"] for p in found})
    for point in found:
        assert point.measurement == "device_metrics"
        assert set(point.tags) <= {"mac_addr", "manufacturer", "phy_type", "source"}
        text = want[point.tags["mac_addr"]]
        for field in ("username", "channel", "device_type", "crypt"):
            expected = transformed(text) if text is not None else None
            assert point.fields.get(field) == expected, (field, text)
        tag = transformed(text).replace("\\", "_") if text is not None else None
        assert point.tags.get("manufacturer") == tag
    line.finish(delivered=len(want))


# --- only what changed ---


def test_only_changed_fields(started, tmp_path):
    line = Line(started, tmp_path, Stub(), delta={"mode": "fields"})
    now = int(time.time())
    line.say(1, packets=1, last_seen=now, first_seen=now)
    line.has(1)
    line.say(1, packets=2, last_seen=now + 1, first_seen=now)
    wait_for(lambda: len(points(line.stub)) == 2, what="a second point")
    first, second = points(line.stub)
    assert "name" in first.fields and first.tags == second.tags
    assert second.fields == {"last_seen": now + 1, "total_packets": 2}
    line.finish(delivered=2)
