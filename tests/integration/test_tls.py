"""https: what must be refused is refused with its reason, what is right works.

All certificates are made here, with the openssl command, for this run.
"""

import re
import subprocess

import pytest

from campaign import count, launch, source
from harness import Sim, wait_for


def openssl(directory, *arguments):
    done = subprocess.run(
        ["openssl", *map(str, arguments)], cwd=directory, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


class Authority:
    """A CA in a directory of its own."""

    def __init__(self, directory, name):
        self.directory = directory / name
        self.directory.mkdir()
        (self.directory / "index.txt").write_text("")
        (self.directory / "ca.cnf").write_text(
            "[ca]\ndefault_ca = it\n[it]\ndatabase = index.txt\nserial = serial\n"
            "new_certs_dir = .\ndefault_md = sha256\npolicy = any\ncopy_extensions = copy\n"
            "unique_subject = no\n[any]\ncommonName = supplied\n"
        )
        (self.directory / "serial").write_text("01\n")
        self.run(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        self.file = self.directory / "ca.pem"

    def run(self, *arguments):
        openssl(self.directory, *arguments)

    def issue(self, name, san, dates=("-days", "2")):
        """(certificate, key) files."""
        self.run(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName={san}"),
        )
        self.run(
            *("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem"),
            *("-keyfile", "ca.key", "-in", f"{name}.csr", "-out", f"{name}.pem", *dates),
        )
        return self.directory / f"{name}.pem", self.directory / f"{name}.key"


LOCAL = "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1"
PAST = ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z")


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
        "other ca": theirs.file,
        "good": ours.issue("good", LOCAL),
        "wrong host": ours.issue("host", "DNS:kismet.example"),
        "expired": ours.issue("expired", LOCAL, PAST),
        "wrong CA": theirs.issue("foreign", LOCAL),
        "self-signed": (directory / "self.pem", directory / "self.key"),
        "client": ours.issue("client", "DNS:exporter"),
    }


def serve(started, pair, *more):
    sim = started(
        Sim, "--devices", "20", "--change", "50", "--tls-cert", pair[0], "--tls-key", pair[1], *more
    )
    sim.https = f"https://127.0.0.1:{sim.port}"
    return sim


def refused(started, tmp_path, sim, tls, reason):
    exporter = launch(started, tmp_path, [source(sim.https, tls=tls)])
    wait_for(lambda: "next try in" in exporter.stderr(), what="the refusal is said")
    line = next(x for x in exporter.stderr().splitlines() if "next try in" in x)
    assert reason in line, line
    assert sim.stats()["rest"]["status"] == 0, "not one request was made"
    exporter.finish()


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
    sim = serve(started, certificates[kind])
    refused(started, tmp_path, sim, {"ca_file": str(certificates["ca"])}, reason)


def test_the_systems_authorities_do_not_know_ours(started, tmp_path, certificates):
    sim = serve(started, certificates["good"])
    refused(started, tmp_path, sim, {}, "set tls.ca_file")


def test_tls_1_1_is_refused(started, tmp_path, certificates, monkeypatch):
    """Although the system's OpenSSL is told to allow it, on both sides."""
    weak = tmp_path / "weak.cnf"
    weak.write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n"
        "[c]\nMinProtocol = TLSv1\nCipherString = DEFAULT@SECLEVEL=0\n"
    )
    monkeypatch.setenv("OPENSSL_CONF", str(weak))
    sim = serve(started, certificates["good"], "--tls-min", "1.0", "--tls-max", "1.1")
    spoken = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{sim.port}", "-tls1_1"],
        input="",
        capture_output=True,
        text=True,
    )
    assert re.search(r"Protocol *: TLSv1\.1\n", spoken.stdout), "the server does speak it"
    refused(started, tmp_path, sim, {"ca_file": str(certificates["ca"])}, "no TLS connection")


def test_http_where_https_is_spoken(started, tmp_path, certificates):
    plain = started(Sim, "--devices", "5")
    plain.https = f"https://127.0.0.1:{plain.port}"
    refused(started, tmp_path, plain, {}, "a Kismet without a proxy before it speaks http://")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_good_certificate_works(started, tmp_path, certificates, host):
    sim = serve(started, certificates["good"], "--tls-min", "1.2")
    url = f"https://{host}:{sim.port}"
    exporter = launch(
        started, tmp_path, [source(url, tls={"ca_file": str(certificates["ca"])})]
    )
    exporter.streaming()
    wait_for(lambda: count(exporter.db) == 20, what="devices by TLS")
    assert sim.stats()["connections"] == {"monitor": 1, "eventbus": 1}
    exporter.finish()


def test_a_client_certificate(started, tmp_path, certificates):
    sim = serve(started, certificates["good"], "--tls-ca", certificates["ca"])
    tls = {"ca_file": str(certificates["ca"])}
    without = launch(started, tmp_path, [source(sim.https, tls=tls)], "without")
    wait_for(lambda: "next try in" in without.stderr(), what="the refusal is said")
    # OpenSSL says "certificate required", unless the server's reset is quicker than its alert.
    assert "client certificate (tls.cert_file)" in without.stderr()
    without.finish()
    pair = {"cert_file": str(certificates["client"][0]), "key_file": str(certificates["client"][1])}
    exporter = launch(started, tmp_path, [source(sim.https, tls={**tls, **pair})])
    exporter.streaming()
    wait_for(lambda: count(exporter.db) == 20, what="devices with a client certificate")
    exporter.finish()


@pytest.mark.parametrize("kind", ["self-signed", "wrong host", "expired"])
def test_insecure_works_and_warns(started, tmp_path, certificates, kind):
    sim = serve(started, certificates[kind])
    exporter = launch(started, tmp_path, [source(sim.https, tls={"insecure": True})])
    exporter.streaming()
    wait_for(lambda: count(exporter.db) == 20, what="devices")
    warnings = [x for x in exporter.stderr().splitlines() if " warning " in x]
    assert any("insecure" in x for x in warnings), exporter.stderr()
    exporter.finish()


def test_a_missing_ca_file_says_which(started, tmp_path, certificates):
    sim = serve(started, certificates["good"])
    missing = tmp_path / "no-such-file.pem"
    exporter = launch(started, tmp_path, [source(sim.https, tls={"ca_file": str(missing)})])
    wait_for(lambda: "no-such-file.pem" in exporter.stderr(), what="the file is named")
    exporter.stop()
