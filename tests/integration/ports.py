"""The stats port as its clients see it: answers, metrics by name, the account of a sink."""

import http.client
import json
import re
import socket
import ssl

from harness import SLOW, TERMS, wait_for

SERVING = re.compile(r" stats: serving at (\S+)")
LINE = re.compile(r"([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30 * SLOW)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30 * SLOW)
        self.sock.connect(self.path)


class Port:
    """Where an exporter says that it serves."""

    def __init__(self, exporter, cafile=None):
        found = wait_for(
            lambda: SERVING.search(exporter.stderr()) or not exporter.running(),
            what="the stats port",
        )
        assert exporter.running(), exporter.stderr()
        self.words = found[1]
        self.cafile = cafile
        place = re.match(r"(https?)://(.*):(\d+)/$", self.words)
        if place:
            self.host, self.port = place[2], int(place[3])

    def connection(self):
        if self.words.startswith("unix:"):
            return UnixConnection(self.words[len("unix:") :])
        if self.words.startswith("https:"):
            context = ssl.create_default_context(cafile=self.cafile)
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=30 * SLOW, context=context
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=30 * SLOW)

    def ask(self, path, method="GET", headers=None):
        """Status, headers, text."""
        connection = self.connection()
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def ask_patiently(self, path):
        """As ask, while others may hold all the connections there are."""

        def answer():
            try:
                return self.ask(path)
            except (OSError, http.client.HTTPException):
                return None

        return wait_for(answer, what=f"an answer of {path}")

    def status(self):
        status, _, text = self.ask("/status.json")
        assert status == 200
        return json.loads(text)

    def metrics(self):
        status, _, text = self.ask("/metrics")
        assert status == 200
        return parse(text)


def parse(text):
    """{(name, frozenset of labels): value}"""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = LINE.match(line)
        assert match, line
        labels = frozenset(LABEL.findall(match[2] or ""))
        assert (match[1], labels) not in found, line
        found[match[1], labels] = float(match[3])
    return found


def total(metrics, name, **labels):
    """The sum of all series of a name that have these labels; the prefix is left out."""
    wanted = set(labels.items())
    values = [
        value
        for (metric, of), value in metrics.items()
        if metric == "kismet_export_" + name and wanted <= of
    ]
    assert values, (name, labels)
    return sum(values)


def account(metrics, sink):
    """The conservation terms of a sink."""
    names = {t: f"records_{t}_total" for t in TERMS} | {"pending": "records_pending"}
    return {term: int(total(metrics, name, sink=sink)) for term, name in names.items()}


def imbalance(terms):
    return terms["received"] - sum(terms[t] for t in TERMS[1:])
