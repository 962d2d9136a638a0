"""A server that speaks just enough of PostgreSQL's protocol 3 to say what a real one cannot be made
to say: it greets, and answers every statement with one SQLSTATE; or it never greets at all.

Source of the format: PostgreSQL's manual, Frontend/Backend Protocol.
"""

import socket
import struct
import threading

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
PID = 4242


def message(kind, body=b""):
    return kind + struct.pack(">I", len(body) + 4) + body


def text(value):
    return value.encode() + b"\0"


def error(state, words="scripted", severity="ERROR"):
    fields = [(b"S", severity), (b"V", severity), (b"C", state), (b"M", words)]
    return message(b"E", b"".join(k + text(v) for k, v in fields) + b"\0")


def one_value(value):
    column = text("v") + struct.pack(">IHIHIH", 0, 0, 23, 4, 0xFFFFFFFF, 0)
    data = value.encode()
    return (
        message(b"T", struct.pack(">H", 1) + column)
        + message(b"D", struct.pack(">HI", 1, len(data)) + data)
        + message(b"C", text("SELECT 1"))
    )


READY = message(b"Z", b"I")


class FakePostgres:
    """state: of every statement; greeting: the SQLSTATE with which it turns clients away; mute:
    accepts and says nothing."""

    def __init__(self, state=None, greeting=None, mute=False):
        self.state, self.greeting, self.mute = state, greeting, mute
        self.connections = 0
        self.statements = []
        self.open = True
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def conninfo(self, **more):
        words = {"host": "127.0.0.1", "port": self.port, "dbname": "kismet", "user": "kx",
                 "password": "pw", "sslmode": "prefer", **more}  # fmt: skip
        return " ".join(f"{k}={v}" for k, v in words.items())

    def kill(self):
        self.open = False
        self.listener.close()
        for s in self.sockets:
            s.close()

    def accept(self):
        while self.open:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.sockets.append(s)
            if not self.mute:
                threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def read(self, s, count):
        data = b""
        while len(data) < count:
            more = s.recv(count - len(data))
            if not more:
                raise OSError("the client left")
            data += more
        return data

    def greet(self, s):
        while True:
            length, code = struct.unpack(">II", self.read(s, 8))
            self.read(s, length - 8)
            if code in (SSL_REQUEST, GSS_REQUEST):
                s.sendall(b"N")
            elif code == CANCEL_REQUEST:
                raise OSError("nobody cancels")
            else:
                break
        if self.greeting:
            s.sendall(error(self.greeting, severity="FATAL"))
            raise OSError("turned away")
        parameters = {"server_version": "15.0", "server_encoding": "UTF8", "client_encoding": "UTF8",
                      "standard_conforming_strings": "on", "integer_datetimes": "on"}  # fmt: skip
        s.sendall(
            message(b"R", struct.pack(">I", 0))
            + b"".join(message(b"S", text(k) + text(v)) for k, v in parameters.items())
            + message(b"K", struct.pack(">II", PID, 1))
            + READY
        )

    def serve(self, s):
        try:
            self.greet(s)
            while True:
                kind, length = struct.unpack(">cI", self.read(s, 5))
                body = self.read(s, length - 4)
                if kind == b"X":
                    return
                if kind == b"Q":
                    statement = body.rstrip(b"\0").decode()
                    self.statements.append(statement)
                    if "pg_backend_pid" in statement:
                        s.sendall(one_value(str(PID)) + READY)
                    else:
                        s.sendall(error(self.state) + READY)
                elif kind == b"S":
                    self.statements.append("extended")
                    s.sendall(error(self.state) + READY)
        except OSError:
            pass
        finally:
            s.close()
