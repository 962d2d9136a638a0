"""The servers that speak line protocol, and an independent reader of it.

InfluxDB 1.6 and VictoriaMetrics are Debian's packages, each on a free port in a directory of its
own. Cloud interfaces (v2's and v3's own authentication and errors) are a stub over httpstub.
"""

import json
import re
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request

import httpstub
from harness import Process, wait_for

SEVERAL = {"delta": {"mode": "off"}}


def need(program):
    if shutil.which(program) is None:
        import pytest  # bench/floors has no use for it

        pytest.skip(f"{program} is not installed (scripts/setup)")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(url, body=None, headers=(), method=None):
    """(status, text)."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


INFLUXD = """
reporting-enabled = false
bind-address = "127.0.0.1:0"
[meta]
  dir = "{directory}/meta"
[data]
  dir = "{directory}/data"
  wal-dir = "{directory}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = {auth}
  log-enabled = false
  max-body-size = {max_body}
  https-enabled = {https}
  https-certificate = "{certificate}"
  https-private-key = "{key}"
[subscriber]
  enabled = false
[continuous_queries]
  enabled = false
"""


class Influxd(Process):
    """InfluxDB 1.x with one database, kismet."""

    def __init__(self, directory, name="influxd", port=0, auth=False, max_body=25000000, tls=None):
        need("influxd")
        self.port = port or free_port()
        self.home = directory / name
        self.home.mkdir(exist_ok=True)
        config = self.home / "influxdb.conf"
        certificate, key = tls or ("", "")
        config.write_text(
            INFLUXD.format(
                directory=self.home, port=self.port, auth=str(auth).lower(), max_body=max_body,
                https=str(tls is not None).lower(), certificate=certificate, key=key,
            )
        )
        super().__init__(["influxd", "-config", config], directory, name)
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self.login = None
        if tls is None:
            wait_for(self.answers, what="influxd answers", seconds=60)

    def answers(self):
        assert self.running(), self.stderr()[-2000:]
        try:
            return ask(self.url + "/ping")[0] == 204
        except OSError:
            return False

    def query(self, text, db="kismet", epoch="ns"):
        """The series of a query's first statement."""
        login = {} if self.login is None else {"u": self.login[0], "p": self.login[1]}
        body = urllib.parse.urlencode({"q": text, "db": db, "epoch": epoch}).encode()
        status, answer = ask(f"{self.url}/query?{urllib.parse.urlencode(login)}", body)
        assert status == 200, answer
        result = json.loads(answer)["results"][0]
        assert "error" not in result, result
        return result.get("series", [])

    def create(self, *more):
        for text in ("CREATE DATABASE kismet", *more):
            self.query(text)
        return self

    def rows(self, text):
        """Dictionaries, tags among them."""
        return [
            {**series.get("tags", {}), **dict(zip(series["columns"], values))}
            for series in self.query(text)
            for values in series["values"]
        ]

    def count(self, measurement, field):
        found = self.query(f'SELECT count("{field}") FROM "{measurement}"')
        return found[0]["values"][0][1] if found else 0


class VictoriaMetrics(Process):
    def __init__(self, directory, name="victoria", port=0):
        need("victoria-metrics")
        self.port = port or free_port()
        super().__init__(
            [
                "victoria-metrics",
                f"-storageDataPath={directory / name}",
                f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=100y",
            ],
            directory,
            name,
        )
        self.url = f"http://127.0.0.1:{self.port}"
        wait_for(self.answers, what="victoria-metrics answers", seconds=60)

    def answers(self):
        assert self.running(), self.stderr()[-2000:]
        try:
            return ask(self.url + "/health")[0] == 200
        except OSError:
            return False

    def export(self, match):
        """[(labels, [(ms, value)])], all that was written until now."""
        ask(self.url + "/internal/force_flush")
        query = urllib.parse.urlencode({"match[]": match, "start": "1970-01-02T00:00:00Z"})
        status, text = ask(f"{self.url}/api/v1/export?{query}")
        assert status == 200, text
        series = [json.loads(line) for line in text.splitlines()]
        return [(s["metric"], list(zip(s["timestamps"], s["values"]))) for s in series]


# --- an independent reader of line protocol, as InfluxDB documents it ---


class Point:
    def __init__(self, measurement, tags, fields, time):
        self.measurement, self.tags, self.fields, self.time = measurement, tags, fields, time
        self.key = (measurement, tuple(sorted(tags.items())), time)


def split(text, stops):
    """Up to the first of `stops` that no backslash precedes: (unescaped, rest with the stop)."""
    out = []
    i = 0
    while i < len(text) and text[i] not in stops:
        if text[i] == "\\" and i + 1 < len(text) and text[i + 1] in ",= ":
            i += 1
        out.append(text[i])
        i += 1
    return "".join(out), text[i:]


def value_of(text):
    """(value, rest)."""
    if text[0] == '"':
        out = []
        i = 1
        while text[i] != '"':
            if text[i] == "\\" and text[i + 1] in '"\\':
                i += 1
            out.append(text[i])
            i += 1
        return "".join(out), text[i + 1 :]
    word = re.match(r"[^, ]+", text)[0]
    rest = text[len(word) :]
    if word in ("t", "true", "f", "false"):
        return word[0] == "t", rest
    if word.endswith("i"):
        return int(word[:-1]), rest
    value = float(word)
    assert value == value and abs(value) != float("inf"), word
    return value, rest


def parse_line(line):
    assert not re.search(r"[\x00-\x1f\x7f]", line), line
    measurement, rest = split(line, ", ")
    tags, fields = {}, {}
    while rest[0] == ",":
        key, rest = split(rest[1:], "=")
        value, rest = split(rest[1:], ", =")
        assert value != "" and rest[0] != "=", line
        assert key not in tags, line
        tags[key] = value
    while rest[0] == " " if not fields else rest[0] == ",":
        key, rest = split(rest[1:], "=")
        assert key not in fields, line
        fields[key], rest = value_of(rest[1:])
    assert fields and re.fullmatch(r" -?[0-9]+", rest), line
    return Point(measurement, tags, fields, int(rest))


def parse(body):
    """The points of a request's body. Lines end in \\n and nothing else: no str.splitlines."""
    text = body.decode()
    assert text.endswith("\n")
    return [parse_line(line) for line in text[:-1].split("\n")]


def points(stub):
    """Of every request that a stub confirmed."""
    return [
        point
        for request in list(stub.requests)
        if request.answer.status == 204
        for point in parse(request.body)
    ]


# --- v2 and v3 as they answer for themselves ---


class CloudStub(httpstub.Stub):
    """The write interfaces of InfluxDB 2 and 3: token, org, bucket, and the errors in their words."""

    token = "the-token"

    def __init__(self, **more):
        super().__init__(**more)
        self.buckets = {"kismet"}
        self.respond = self.check

    def check(self, request):
        v3 = request.path == "/api/v3/write_lp"
        if request.path == "/api/v2/buckets":
            name = request.query.get("name")
            found = [{"name": name}] if name in self.buckets else []
            return httpstub.Answer(200, json.dumps({"buckets": found}))
        if request.path == "/ping":
            return httpstub.Answer(204, headers={"X-Influxdb-Version": "2.7"})
        if request.path not in ("/api/v2/write", "/api/v3/write_lp"):
            return httpstub.Answer(404, '{"code":"not found","message":"path not found"}')
        scheme = "Bearer" if v3 else "Token"
        if request.headers.get("authorization") != f"{scheme} {self.token}":
            return httpstub.Answer(401, '{"code":"unauthorized","message":"unauthorized access"}')
        name = request.query.get("db" if v3 else "bucket")
        if name not in self.buckets:
            message = f'bucket \\"{name}\\" not found'
            return httpstub.Answer(404, f'{{"code":"not found","message":"{message}"}}')
        return None
