"""https to an InfluxDB: ten kinds of wrong certificates and servers are refused with their reason,
and not one record is sent; what is right works."""

import socket
import ssl
import subprocess
import threading

import pytest

from campaign import launch, source
from harness import wait_for
from httpstub import Stub
from influx import Influxd, ask, points
from rawkismet import RawKismet, device
from test_influxdb import sink
from test_tls import LOCAL, PAST, Authority, openssl

FUTURE = ("-startdate", "20900101000000Z", "-enddate", "20910101000000Z")


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
        "wrong host": ours.issue("host", "DNS:influx.example"),
        "wrong address": ours.issue("address", "DNS:localhost,IP:127.0.0.2"),
        "wildcard": ours.issue("wildcard", "DNS:*.0.0.1,DNS:*"),
        "expired": ours.issue("expired", LOCAL, PAST),
        "not yet valid": ours.issue("future", LOCAL, FUTURE),
        "wrong CA": theirs.issue("foreign", LOCAL),
        "self-signed": (directory / "self.pem", directory / "self.key"),
        "client": ours.issue("client", "DNS:exporter"),
        "foreign client": theirs.issue("intruder", "DNS:exporter"),
    }


def run(started, tmp_path, stub, tls, name="exporter"):
    raw = started(lambda _directory: RawKismet())
    exporter = launch(
        started,
        tmp_path,
        [source(raw.url)],
        name,
        sinks=[sink(stub, "v2", org="o", token="canary-token", tls=tls)],
    )
    exporter.streaming()
    wait_for(raw.ready, what="the subscriptions")
    raw.text("monitor", device(1))
    return exporter


def refused(exporter, stub, reason):
    wait_for(lambda: "sink influxdb: " in exporter.stderr(), what="the refusal is said")
    line = next(x for x in exporter.stderr().splitlines() if "sink influxdb: " in x)
    assert reason in line, line
    assert stub.requests == [], "not one request was made"
    exporter.stop()
    assert "canary" not in exporter.stderr()
    return line


@pytest.mark.parametrize(
    "kind, reason",
    [
        ("wrong host", "no alternative certificate subject name matches target host name"),
        ("wrong address", "no alternative certificate subject name matches target host name"),
        ("wildcard", "no alternative certificate subject name matches target host name"),
        ("expired", "certificate has expired"),
        ("not yet valid", "certificate is not yet valid"),
        ("self-signed", "self-signed certificate"),
        ("wrong CA", "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_is_refused_with_its_reason(started, tmp_path, certificates, kind, reason):
    stub = started(lambda _directory: Stub(tls=certificates[kind]))
    exporter = run(started, tmp_path, stub, {"ca_file": str(certificates["ca"])})
    line = refused(exporter, stub, reason)
    assert "held" in line and "tls.ca_file" in line


def test_the_systems_authorities_do_not_know_ours(started, tmp_path, certificates):
    stub = started(lambda _directory: Stub(tls=certificates["good"]))
    refused(run(started, tmp_path, stub, {}), stub, "set tls.ca_file")


class Nobody:
    """Accepts, says something that is no TLS, and closes."""

    requests = []

    def __init__(self, words):
        self.words = words
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with s:
                s.sendall(self.words)

    def kill(self):
        self.listener.close()


def test_http_where_https_is_spoken(started, tmp_path):
    stub = started(lambda _directory: Nobody(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    refused(run(started, tmp_path, stub, {}), stub, "does it speak https there?")


def test_tls_1_1_is_refused(started, tmp_path, certificates, monkeypatch):
    """Although the system's OpenSSL is told to allow it."""
    weak = tmp_path / "weak.cnf"
    weak.write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n"
        "[c]\nMinProtocol = TLSv1\nCipherString = DEFAULT@SECLEVEL=0\n"
    )
    monkeypatch.setenv("OPENSSL_CONF", str(weak))
    stub = started(
        lambda _directory: Stub(tls=certificates["good"], tls_max=ssl.TLSVersion.TLSv1_1)
    )
    spoken = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{stub.port}", "-tls1_1"],
        input="",
        capture_output=True,
        text=True,
    )
    assert "Protocol  : TLSv1.1" in spoken.stdout, "the server does speak it"
    exporter = run(started, tmp_path, stub, {"ca_file": str(certificates["ca"])})
    refused(exporter, stub, "no TLS connection")


def test_a_server_that_ends_the_handshake(started, tmp_path):
    stub = started(lambda _directory: Nobody(b""))
    refused(run(started, tmp_path, stub, {}), stub, "cannot deliver")


@pytest.mark.parametrize("kind", [None, "foreign client"])
def test_a_server_that_wants_another_client_certificate(started, tmp_path, certificates, kind):
    stub = started(
        lambda _directory: Stub(tls=certificates["good"], client_ca=certificates["ca"])
    )
    tls = {"ca_file": str(certificates["ca"])}
    if kind is not None:
        tls["cert_file"], tls["key_file"] = map(str, certificates[kind])
    refused(run(started, tmp_path, stub, tls), stub, "cannot deliver")


def test_a_client_certificate(started, tmp_path, certificates):
    stub = started(
        lambda _directory: Stub(tls=certificates["good"], client_ca=certificates["ca"])
    )
    pair = {"cert_file": str(certificates["client"][0]), "key_file": str(certificates["client"][1])}
    exporter = run(started, tmp_path, stub, {"ca_file": str(certificates["ca"]), **pair})
    wait_for(lambda: points(stub), what="a point with a client certificate")
    exporter.finish()


def test_a_good_certificate_of_a_real_server(started, tmp_path, certificates):
    influxd = started(Influxd, tls=certificates["good"])
    context = ssl.create_default_context(cafile=str(certificates["ca"]))

    def asked(path, body=None):
        import urllib.error
        import urllib.request

        try:
            with urllib.request.urlopen(influxd.url + path, data=body, context=context) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return None

    wait_for(lambda: asked("/ping") is not None, what="influxd answers", seconds=60)
    asked("/query?q=CREATE%20DATABASE%20kismet", b"")
    raw = started(lambda _directory: RawKismet())
    sinks = [sink(influxd, tls={"ca_file": str(certificates["ca"])})]
    exporter = launch(started, tmp_path, [source(raw.url)], sinks=sinks)
    exporter.streaming()
    wait_for(raw.ready, what="the subscriptions")
    raw.text("monitor", device(1))
    query = "/query?db=kismet&q=SELECT%20count(last_seen)%20FROM%20device_metrics"
    wait_for(lambda: '"values"' in asked(query), what="a point by TLS")
    assert exporter.finish()["influxdb"]["delivered"] == 1


@pytest.mark.parametrize("kind", ["self-signed", "wrong host", "expired"])
def test_insecure_works_and_warns(started, tmp_path, certificates, kind):
    stub = started(lambda _directory: Stub(tls=certificates[kind]))
    exporter = run(started, tmp_path, stub, {"insecure": True})
    wait_for(lambda: points(stub), what="a point")
    assert "sink influxdb: tls is insecure" in exporter.stderr()
    exporter.finish()


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_a_missing_file_says_which(started, tmp_path, certificates, key):
    stub = started(lambda _directory: Stub(tls=certificates["good"]))
    missing = str(tmp_path / "no-such-file.pem")
    tls = {"ca_file": str(certificates["ca"]), key: missing}
    if key == "cert_file":
        tls["key_file"] = missing
    exporter = run(started, tmp_path, stub, tls)
    refused(exporter, stub, "no-such-file.pem")
