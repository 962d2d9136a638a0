"""docs/troubleshooting.md and docs/several-sensors.md: the messages are ours, the files are valid."""

import json
import re

import pytest

from campaign import configure, source
from harness import ROOT, Exporter, Sim, wait_for
from httpstub import Answer, Stub
from test_docs import ask, blocks

pytestmark = pytest.mark.release

TROUBLE = ROOT / "docs" / "troubleshooting.md"
SENSORS = ROOT / "docs" / "several-sensors.md"
SEED_BLOCKS = ("Connection refused", "Authentication errors", "Database connection errors",
               "High memory usage")


def quoted():
    """The messages of the tables that begin "| the message |"."""
    found = []
    for table in re.findall(r"^\| the message \|.*?\n\n", TROUBLE.read_text(), re.M | re.S):
        found += re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    return found


def our_texts():
    """Every string of the source, with literals that stand behind one another put together."""
    texts = []
    for path in (ROOT / "src").glob("**/*.c"):
        texts.append(re.sub(r'"\s*(?:PRI\w+\s*)?\n?\s*"', "", path.read_text()))
    return "\n".join(texts)


def test_the_scripts_four_blocks_are_there():
    text = TROUBLE.read_text()
    assert all(f"\n## {heading}\n" in text for heading in SEED_BLOCKS)
    assert len(quoted()) >= 15


# Said by a library, and made to be said below; or with a value in the middle.
FROM_RUNS = {"Could not resolve host", "leads to no schema: set"}


@pytest.mark.parametrize("message", quoted())
def test_a_message_is_ours(message):
    assert message in our_texts() or message in FROM_RUNS, message


SOURCE_TROUBLE = {
    "refused": ("is Kismet running there, and is the port right?",),
    "name": ("Could not resolve host",),
    "credential": ("it refuses the credential, or its role",),
    "other": ("it is no Kismet of 2021 or later, or the path prefix of a proxy is missing in the url",),
    "tls": ("a Kismet without a proxy before it speaks http://",),
}


@pytest.mark.parametrize("case", SOURCE_TROUBLE)
def test_a_source_says_so(started, tmp_path, case):
    url = "http://127.0.0.1:1"
    if case == "name":
        url = "http://no-such-host.invalid"
    elif case in ("credential", "tls"):
        sim = started(Sim, "--devices", "3", "--api-key", "a-key")
        url = sim.url.replace("http:", "https:") if case == "tls" else sim.url
    elif case == "other":
        stub = started(lambda _directory: Stub())
        stub.default = Answer(404, "no such page")
        url = stub.url
    exporter = started(Exporter, "--config", configure(tmp_path, [source(url)]),
                       "--stats-listen", "off")
    for message in SOURCE_TROUBLE[case]:
        assert message in quoted()
        wait_for(lambda: message in exporter.stderr(), 40, message)


def test_sinks_say_so(started, tmp_path):
    sim = started(Sim, "--devices", "30")
    stub = started(lambda _directory: Stub())
    stub.default = Answer(401, json.dumps({"message": "unauthorized access"}))
    (tmp_path / "conn").write_text("host=127.0.0.1 port=1 dbname=kismet user=kismet")
    (tmp_path / "conn").chmod(0o600)
    sinks = [
        {"type": "influxdb", "url": stub.url, "token": "x", "org": "home", "bucket": "kismet"},
        {"type": "postgres", "conn_file": str(tmp_path / "conn")},
    ]
    path = configure(tmp_path, [source(sim.url)], sinks=sinks)
    exporter = started(Exporter, "--config", path, "--stats-listen", "off")
    for message in ("held, tried again each minute and on SIGHUP", "it refuses the token (token_file)",
                    "cannot deliver, trying again"):
        assert message in quoted()
        wait_for(lambda: message in exporter.stderr(), 40, message)
    wait_for(lambda: "Connection refused" in exporter.stderr(), 40, "the server's words")


def test_a_directory_that_is_missing(started, tmp_path):
    sinks = [{"type": "sqlite", "path": str(tmp_path / "none" / "kismet.db")}]
    path = configure(tmp_path, [source("http://127.0.0.1:1")], sinks=sinks)
    exporter = started(Exporter, "--config", path, "--stats-listen", "off")
    assert exporter.wait() == 78
    assert "no directory" in quoted() and "no directory" in exporter.stderr()


@pytest.mark.parametrize("example", blocks(SENSORS, "yaml"))
def test_examples_of_several_sensors_are_valid(tmp_path, example):
    """Each file as it stands; what /etc has is in a directory of the test."""
    for name in set(re.findall(r"/etc/kismet-export/(\S+)", example)):
        (tmp_path / name).write_text("0123456789ABCDEF0123456789ABCDEF\n")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "config.yaml"
    path.write_text(example.replace("/etc/kismet-export/", f"{tmp_path}/"))
    status, _, err = ask("--config", path, "check")
    assert status == 0, err
    warnings = [line for line in err.splitlines() if "travels unencrypted" not in line]
    assert warnings == []


def test_cloned_cards_are_told_as_the_document_says():
    (said,) = blocks(SENSORS, "text")
    for message in said.splitlines():
        assert message in our_texts(), message
