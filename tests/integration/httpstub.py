"""A scripted HTTP server: it answers as it is told and remembers what came.

    stub = Stub()                          # or Stub(tls=(certificate, key))
    stub.script(Answer(503, retry_after="1"), Answer(400, b"no"))   # then stub.default again
    stub.respond = lambda request: ...     # an Answer by request; None = script and default

One thread a connection, HTTP/1.1 with keep-alive. `requests` holds whole requests in the order in
which they ended, bodies decompressed; `connections` counts.
"""

import gzip
import socket
import ssl
import threading
import urllib.parse
import warnings

REASONS = {100: "Continue", 200: "OK", 204: "No Content", 400: "Bad Request", 503: "Unavailable"}


class Answer:
    """hang: nothing is answered until the stub is killed. close: the connection ends behind the
    answer. raw: these bytes instead of an answer. early: before the body was read. drip: the
    seconds between two bytes of the body."""

    def __init__(
        self, status=204, body=b"", headers=(), retry_after=None,
        hang=False, close=False, raw=None, early=False, drip=None,
    ):
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = dict(headers)
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)
        self.hang, self.close, self.raw, self.early, self.drip = hang, close, raw, early, drip

    def head(self):
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.status != 204:
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Request:
    def __init__(self, connection, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.connection = connection
        self.method, self.target, _ = first.split(" ", 2)
        self.path, _, query = self.target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.wire = b""  # the body as it came
        self.body = b""
        self.answer = None

    def take(self, body):
        self.wire = body
        zipped = self.headers.get("content-encoding") == "gzip"
        self.body = gzip.decompress(body) if zipped else body


class Stub:
    def __init__(self, tls=None, client_ca=None, tls_max=None, port=0, address="127.0.0.1"):
        self.default = Answer(204)
        self.respond = None
        self.scripted = []
        self.requests = []
        self.connections = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.sockets = set()
        self.context = None
        if tls is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if tls_max is not None:
                self.context.set_ciphers("DEFAULT@SECLEVEL=0")
                with warnings.catch_warnings():  # old versions are what the test is about
                    warnings.simplefilter("ignore")
                    self.context.minimum_version = ssl.TLSVersion.TLSv1
                    self.context.maximum_version = tls_max
            self.context.load_cert_chain(*map(str, tls))
            if client_ca is not None:
                self.context.load_verify_locations(str(client_ca))
                self.context.verify_mode = ssl.CERT_REQUIRED
        self.listener = socket.create_server((address, port), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def script(self, *answers):
        with self.lock:
            self.scripted += answers

    def kill(self):
        self.ended.set()
        for s in (self.listener, *self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def accept(self):
        while not self.ended.is_set():
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            if self.context is not None:
                s = self.context.wrap_socket(s, server_side=True)
            with self.lock:
                self.connections += 1
                number = self.connections
                self.sockets.add(s)
            stream = s.makefile("rb")
            while self.one(s, stream, number):
                pass
        except (OSError, ValueError):
            pass
        finally:
            self.sockets.discard(s)
            s.close()

    def choose(self, request):
        with self.lock:
            answer = self.respond(request) if self.respond is not None else None
            if answer is None and self.scripted:
                answer = self.scripted.pop(0)
            return answer if answer is not None else self.default

    def one(self, s, stream, number):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline(65536)
            if not line:
                return False
            head += line
        request = Request(number, head[:-4])
        length = int(request.headers.get("content-length", 0))
        early = self.scripted and self.scripted[0].early
        if not early:
            body = stream.read(length)
            if len(body) < length:
                return False
            request.take(body)
        answer = request.answer = self.choose(request)
        with self.lock:
            self.requests.append(request)
        if answer.hang:
            self.ended.wait()
            return False
        if answer.raw is not None:
            s.sendall(answer.raw)
            return not answer.close
        s.sendall(answer.head())
        if answer.drip is not None:
            for i in range(len(answer.body)):
                s.sendall(answer.body[i : i + 1])
                if self.ended.wait(answer.drip):
                    return False
        elif answer.status != 204:
            s.sendall(answer.body)
        if early:
            stream.read(length)
        return not answer.close
