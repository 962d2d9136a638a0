"""The webhook sink: bodies, signatures, keys, each status with its outcome, TLS, probe."""

import hashlib
import hmac
import json
import subprocess
import time

import pytest

import hostile
from campaign import configure, launch, source
from harness import BUILD, CAPTURES, Exporter, Sim, wait_for
from httpstub import Answer, Stub
from linestub import LineServer
from rawkismet import RawKismet, frame
from test_probe import graded, one, probe
from test_socket import certificates, sequences  # noqa: F401 (a fixture)
from test_socket import sink as socket_sink

CAPTURE = CAPTURES / "neighbourhood-full.ndjson.zst"
SECRET = "webhook-CANARY-secret"


def sink(url, **more):
    return {
        "type": "webhook",
        "url": url + "/hook/path-CANARY?token=query-CANARY",
        "batch": {"interval": "50ms"},
        "delta": {"mode": "off", "max_age": "any"},
        **more,
    }


def verified(request, secret=SECRET):
    """As docs/webhook.md tells a receiver to do it."""
    stamp = request.headers["x-timestamp"]
    wanted = hmac.new(secret.encode(), stamp.encode() + b"." + request.wire, hashlib.sha256)
    given = request.headers["x-signature-256"]
    fresh = abs(time.time() - int(stamp)) < 300
    return fresh and hmac.compare_digest("sha256=" + wanted.hexdigest(), given)


def records(request):
    if request.headers["content-type"] == "application/x-ndjson":
        assert request.body.endswith(b"\n")
        return [json.loads(line) for line in request.body.splitlines()]
    return json.loads(request.body)


def taken(stub):
    """The records of all requests that were answered with 2xx."""
    return [
        r for q in list(stub.requests) if q.answer and 200 <= q.answer.status < 300
        for r in records(q)
    ]


def ids(found):
    return [r["id"] for r in found]


@pytest.mark.parametrize("form", ["array", "ndjson"])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_record_signed_and_once(started, tmp_path, form, zipped):
    stub = started(lambda _directory: Stub())
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    config = configure(
        tmp_path,
        [source("http://unused.invalid")],
        sinks=[
            sink(
                stub.url, format=form, gzip=zipped, secret_file=str(secret),
                headers={"X-Foo": "bar", "Authorization": "Bearer ${KX_TOKEN}"},
            )
        ],
    )
    exporter = started(
        Exporter, "--config", config, "replay", CAPTURE, "--speed", "max",
        env={"KX_TOKEN": "token-CANARY"},
    )
    totals = exporter.finish(sig=None)["webhook"]
    assert totals["delivered"] > 500 and totals["dropped"] == 0
    found = taken(stub)
    assert len(found) == totals["delivered"] == len(set(ids(found)))
    assert all(list(r) == ["v", "id", "type", "data"] and r["v"] == 1 for r in found)
    assert {r["type"] for r in found} == {"device", "event"}
    assert len({r["id"].split("-")[0] for r in found}) == 1, "one run, one name"
    assert stub.connections == 1
    for request in stub.requests:
        assert request.method == "POST" and verified(request)
        assert request.target == "/hook/path-CANARY?token=query-CANARY"
        assert request.headers["x-foo"] == "bar"
        assert request.headers["authorization"] == "Bearer token-CANARY"
        assert ("content-encoding" in request.headers) == zipped
        assert zipped == (request.wire[:2] == b"\x1f\x8b")
        wanted = "application/json" if form == "array" else "application/x-ndjson"
        assert request.headers["content-type"] == wanted
    keys = [q.headers["idempotency-key"] for q in stub.requests]
    assert len(set(keys)) == len(keys)
    assert "CANARY" not in exporter.stderr()


def test_hostile_names_come_back(started, tmp_path):
    kismet = started(lambda _directory: RawKismet())
    stubs = {form: started(lambda _directory: Stub()) for form in ("array", "ndjson")}
    exporter = launch(
        started,
        tmp_path,
        [source(kismet.url, events=["none"])],
        sinks=[sink(stub.url, format=form, name=form) for form, stub in stubs.items()],
    )
    exporter.streaming()
    wait_for(kismet.ready, what="the subscriptions")
    wanted = {}
    for mac, text, bytes_ in hostile.devices():
        kismet.send("monitor", frame(bytes_))
        wanted[mac] = text
    for form, stub in stubs.items():
        wait_for(lambda: len(taken(stub)) >= len(wanted), what=f"{form}: every name")
        found = [r["data"] for r in taken(stub)]
        assert len(found) == len(wanted)
        for data in found:
            text = wanted[data["mac_addr"]]
            for field in ("username", "manufacturer", "channel", "crypt"):
                assert data[field] == text, (form, field, text)
        # A careless page cannot be scripted by it, a careless terminal not be steered.
        for request in stub.requests:
            assert not set(request.body) & (set(b"<>&\x7f") | set(range(0x20)) - {0x0A})
    for totals in exporter.finish().values():
        assert totals["delivered"] == len(wanted)


# --- every status ---

RETRIED = (408, 409, 425, 429, 500, 502, 503, 504, 599)
HELD = (301, 302, 401, 402, 403, 404, 405, 407, 410, 415)
REFUSED = (400, 422)


def feed(started, tmp_path, stub, **more):
    """A Kismet that sends when it is told, and an exporter with one webhook."""
    kismet = started(lambda _directory: RawKismet())
    exporter = launch(
        started, tmp_path, [source(kismet.url, events=["none"])], sinks=[sink(stub.url, **more)]
    )
    exporter.streaming()
    wait_for(kismet.ready, what="the subscriptions")
    return kismet, exporter


def send(kismet, *numbers):
    kismet.send("monitor", b"".join(frame(hostile.device(n, hostile.of("x"))) for n in numbers))


def test_statuses_that_are_tried_again(started, tmp_path):
    """The same records, the same key, until it is taken; Retry-After is obeyed."""
    stub = started(lambda _directory: Stub())
    kismet, exporter = feed(started, tmp_path, stub, secret=SECRET)
    for status in RETRIED:
        before = len(stub.requests)
        stub.script(Answer(status, retry_after="1" if status in (429, 503) else None))
        send(kismet, status)
        wait_for(lambda: len(stub.requests) == before + 2, 60, what=f"{status}: the second try")
        first, second = stub.requests[before:]
        assert first.answer.status == status
        key = "idempotency-key"
        assert first.headers[key] == second.headers[key] and first.body == second.body
        assert verified(first) and verified(second)
    totals = exporter.finish()["webhook"]
    assert totals["delivered"] == len(RETRIED) == len(taken(stub))


@pytest.mark.parametrize("status", HELD)
def test_statuses_that_want_an_operator(started, tmp_path, status):
    """Held, and not lost: SIGHUP tries again."""
    stub = started(lambda _directory: Stub())
    stub.script(Answer(status, "because of path-CANARY", {"Location": "http://127.0.0.1:1/"}))
    kismet, exporter = feed(
        started, tmp_path, stub, headers={"Authorization": "Bearer path-CANARY"}
    )
    send(kismet, 1)
    wait_for(lambda: f"answers {status}" in exporter.stderr(), what="the hold is said")
    assert len(stub.requests) == 1
    assert "CANARY" not in exporter.stderr()
    exporter.process.send_signal(1)
    wait_for(lambda: len(stub.requests) == 2, what="the next try")
    assert len({q.headers["idempotency-key"] for q in stub.requests}) == 1
    totals = exporter.finish()["webhook"]
    assert totals["delivered"] == 1


@pytest.mark.parametrize("status", REFUSED)
def test_one_bad_record_is_isolated(started, tmp_path, status):
    stub = started(lambda _directory: Stub())
    bad = hostile.mac_of(13)
    stub.respond = lambda q: Answer(status, "no") if bad.encode() in q.body else None
    kismet, exporter = feed(started, tmp_path, stub, batch={"interval": "2s", "records": 40})
    send(kismet, *range(40))
    wait_for(lambda: len(taken(stub)) == 39, 60, what="the neighbours")
    totals = exporter.finish()["webhook"]
    assert totals["delivered"] == 39
    assert totals["dropped"] + totals["dead_lettered"] == 1
    assert bad not in {r["data"]["mac_addr"] for r in taken(stub)}
    keys = [q.headers["idempotency-key"] for q in stub.requests]
    assert len(set(keys)) == len(keys), "each part has its own key"


def test_413_halves_and_is_remembered(started, tmp_path):
    stub = started(lambda _directory: Stub())
    limit = 20000
    stub.respond = lambda q: Answer(413) if len(q.wire) > limit else None
    kismet, exporter = feed(started, tmp_path, stub, batch={"interval": "1s", "records": 200})
    send(kismet, *range(200))
    wait_for(lambda: len(taken(stub)) == 200, 60, what="all in parts")
    refused = sum(q.answer.status == 413 for q in stub.requests)
    send(kismet, *range(200, 400))
    wait_for(lambda: len(taken(stub)) == 400, 60, what="all in parts")
    assert sum(q.answer.status == 413 for q in stub.requests) <= refused + 2, "it is remembered"
    totals = exporter.finish()["webhook"]
    assert totals["delivered"] == 400 and len(set(ids(taken(stub)))) == 400


def test_an_answer_that_is_lost_is_a_repetition(started, tmp_path):
    """The receiver took it and died before he said so: same key, same body."""
    stub = started(lambda _directory: Stub())
    stub.script(
        Answer(raw=b"", close=True),
        Answer(raw=b"HTTP/1.1 2", close=True),
        Answer(raw=b"nonsense\r\n\r\n", close=True),
    )
    kismet, exporter = feed(started, tmp_path, stub)
    send(kismet, 1)
    wait_for(lambda: len(stub.requests) >= 4, 60, what="four tries")
    assert len({(q.headers["idempotency-key"], q.body) for q in stub.requests}) == 1
    assert exporter.finish()["webhook"]["delivered"] == 1


def test_receivers_that_die_under_load(started, tmp_path):
    """Down, hanging and back, again and again: every record is there, repetitions are told."""
    sim = started(Sim, "--devices", "200", "--change", "100", "--events-per-second", "50")
    stub = started(lambda _directory: Stub())
    exporter = launch(started, tmp_path, [source(sim.url)], sinks=[sink(stub.url)])
    exporter.streaming()
    requests = []
    for i in range(8):
        count = len(stub.requests)
        wait_for(lambda: len(stub.requests) > count + 3, 60, what="requests")
        port = stub.port
        stub.kill()
        requests += stub.requests
        stub = started(lambda _directory: Stub(port=port))
    wait_for(lambda: len(stub.requests) > 3, 60, what="requests")
    sim.command("freeze")
    totals = exporter.finish()["webhook"]
    requests += stub.requests
    assert totals["dropped"] == 0
    by_key = {}
    for request in requests:
        by_key.setdefault(request.headers["idempotency-key"], set()).add(request.body)
    assert all(len(bodies) == 1 for bodies in by_key.values()), "one key, one body"
    unique = {r["id"] for bodies in by_key.values() for b in bodies for r in json.loads(b)}
    assert len(unique) == totals["delivered"]


# --- several at once ---


def test_two_webhooks_and_two_sockets_one_of_each_dead(started, tmp_path):
    sim = started(Sim, "--devices", "200", "--change", "100")
    hook = started(lambda _directory: Stub())
    hanging = started(lambda _directory: Stub())
    hanging.default = Answer(hang=True)
    reader, stalled = (started(lambda _directory: LineServer()) for _ in range(2))
    stalled.behaviour = "stall"
    sinks = [
        sink(hook.url, name="hook"),
        sink(hanging.url, name="hanging"),
        socket_sink(reader.port, name="reader"),
        socket_sink(stalled.port, name="stalled"),
    ]
    exporter = launch(started, tmp_path, [source(sim.url)], sinks=sinks)
    exporter.streaming()
    wait_for(lambda: len(reader.lines) > 3000, 60, what="lines")
    wait_for(lambda: len(taken(hook)) > 3000, 60, what="records by the webhook")
    assert hanging.requests and stalled.connections
    sim.command("freeze")
    totals = exporter.finish()
    for name in ("hook", "reader"):
        assert totals[name]["dropped"] == 0 and totals[name]["coalesced"] == 0, totals
        assert totals[name]["delivered"] == totals[name]["received"]
    assert len(taken(hook)) == totals["hook"]["delivered"]
    assert len(reader.lines) == totals["reader"]["delivered"] == len(set(sequences(reader.lines)))
    assert totals["hanging"]["delivered"] == 0
    assert totals["hanging"]["dropped"] > 0


# --- https ---


@pytest.mark.parametrize(
    "kind, reason",
    [
        ("wrong host", "no alternative certificate subject name matches target host name"),
        ("expired", "certificate has expired"),
        ("self-signed", "self-signed certificate"),
        ("wrong CA", "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_is_refused(started, tmp_path, certificates, kind, reason):  # noqa: F811
    stub = started(lambda _directory: Stub(tls=certificates[kind]))
    tls = {"ca_file": str(certificates["ca"])}
    kismet, exporter = feed(started, tmp_path, stub, tls=tls)
    send(kismet, 1)
    wait_for(lambda: reason in exporter.stderr(), what="the refusal is said")
    assert not stub.requests
    exporter.stop()


def test_a_good_certificate(started, tmp_path, certificates):  # noqa: F811
    stub = started(
        lambda _directory: Stub(tls=certificates["good"], client_ca=certificates["ca"])
    )
    pair = certificates["client"]
    tls = {"ca_file": str(certificates["ca"]), "cert_file": str(pair[0]), "key_file": str(pair[1])}
    kismet, exporter = feed(started, tmp_path, stub, tls=tls)
    send(kismet, 1, 2)
    wait_for(lambda: len(taken(stub)) == 2, what="two records by https")
    assert exporter.finish()["webhook"]["delivered"] == 2


# --- configuration, probe ---


def check(tmp_path, *arguments, env=None):
    import os

    done = subprocess.run(
        [str(BUILD / "kismet-export"), *map(str, arguments), "check"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **(env or {})},
    )
    return done.returncode, done.stdout + done.stderr


def test_what_a_configuration_must_not_say(tmp_path):
    status, text = check(tmp_path, "--export-type", "webhook")
    assert status == 64 and "--webhook-url" in text
    for bad in ("ftp://a/", "http://u:p-CANARY@a/", "http://a/x#y", "http://a/ x", "http:///x"):
        status, text = check(tmp_path, "--export-type", "webhook", "--webhook-url", bad)
        assert status == 64 and "CANARY" not in text, text
    file = tmp_path / "c.yaml"
    for headers, word in (
        ({"X-Signature-256": "x"}, "makes itself"),
        ({"X Foo": "x"}, "no header"),
        ({"X-Foo": "${KX_BREAK}"}, "control byte"),
        ({"X-Foo": ""}, ""),
    ):
        file.write_text(json.dumps({"sinks": [sink("http://a", headers=headers)]}))
        status, text = check(tmp_path, "--config", file, env={"KX_BREAK": "a\r\nX-Evil: 1"})
        assert status == 78 and word in text and "X-Evil" not in text, text
    file.write_text(json.dumps({"sinks": [sink("http://a.example", headers={"X-A": "CANARY"})]}))
    status, text = check(tmp_path, "--config", file)
    assert status == 0 and "CANARY" not in text and "travel unencrypted" in text, text


def test_probe(started, tmp_path, certificates):  # noqa: F811
    sim = started(Sim, "--devices", "20")
    stub = started(lambda _directory: Stub(tls=certificates["good"]))
    tls = {"ca_file": str(certificates["ca"])}

    def ask(**more):
        config = configure(tmp_path, [source(sim.url)], sinks=[sink(stub.url, tls=tls, **more)])
        status, lines = probe(tmp_path, "--config", config)
        lines = [x for x in lines if "sink webhook" in x]
        assert "CANARY" not in "\n".join(lines)
        return status, lines

    status, lines = ask(secret=SECRET)
    assert status == 0 and stub.requests[-1].method == "OPTIONS"
    assert any("only they can tell" in x for x in graded(lines, "ok"))
    status, lines = ask(secret=SECRET, probe="empty")
    assert status == 0 and stub.requests[-1].body == b"[]" and verified(stub.requests[-1])
    assert any("takes a request without records" in x for x in graded(lines, "ok"))
    stub.script(Answer(401))
    status, lines = ask(probe="empty")
    assert status == 69
    one(lines, "FAIL", "401", "secret_file")
    stub.script(Answer(403))
    status, lines = ask(secret=SECRET)
    assert status == 0 and any("probe: empty" in x for x in graded(lines, "warn"))
    stub.kill()
    status, lines = ask(secret=SECRET)
    assert status == 69
    one(lines, "FAIL", "127.0.0.1")
