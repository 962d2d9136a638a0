"""Kismet's routes as the exporter needs them, for frames that no library would send.

A WebSocket library refuses ill-formed UTF-8, reserved bits and endless fragments; this one writes
what it is given. One thread a connection, HTTP/1.1 with keep-alive, no masking, no checks.
"""

import base64
import hashlib
import json
import socket
import struct
import threading
import time

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
UUID = "AAAAAAAA-BBBB-CCCC-DDDD-000000000001"


def frame(payload, opcode=TEXT, fin=True):
    """One unmasked frame."""
    payload = payload.encode() if isinstance(payload, str) else payload
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        head += bytes([len(payload)])
    elif len(payload) < 65536:
        head += b"\x7e" + struct.pack(">H", len(payload))
    else:
        head += b"\x7f" + struct.pack(">Q", len(payload))
    return head + payload


def mac_of(number):
    return ":".join(f"{b:02X}" for b in (0x02_00_00_00_00_00 | number).to_bytes(6, "big"))


def device(number, packets=1, **more):
    """A good device message; number makes its MAC and key."""
    mac = mac_of(number)
    now = int(time.time())
    return json.dumps(
        {
            "key": "4202770D00000000_" + mac.replace(":", ""),
            "server_uuid": UUID,
            "mac_addr": mac,
            "name": f"device {number}",
            "phy_type": "IEEE802.11",
            "first_seen": now - 60,
            "last_seen": now,
            "mod_time": now,
            "total_packets": packets,
            **more,
        },
        ensure_ascii=False,
    )


class RawKismet:
    def __init__(self, heartbeat=True):
        self.answers = {}  # path -> list of whole HTTP answers, the last one again and again
        self.requests = []  # (path, head) as they came
        self.devices = []  # lines of devices.itjson
        self.heartbeat = heartbeat
        self.sockets = {"monitor": None, "eventbus": None}
        self.connections = {"monitor": 0, "eventbus": 0}
        self.ended = {"monitor": 0, "eventbus": 0}
        self.subscribed = {"monitor": 0, "eventbus": 0}
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.open = True
        threading.Thread(target=self.accept, daemon=True).start()
        threading.Thread(target=self.beat, daemon=True).start()

    def kill(self):
        self.open = False
        self.listener.close()
        for s in self.sockets.values():
            if s is not None:
                s.close()

    # --- sending ---

    def send(self, stream, data):
        """Bytes as they are, to the newest connection of that stream."""
        with self.lock:
            s = self.sockets[stream]
        s.sendall(data)

    def text(self, stream, payload):
        self.send(stream, frame(payload))

    def drop(self, stream):
        with self.lock:
            s, self.sockets[stream] = self.sockets[stream], None
        s.shutdown(socket.SHUT_RDWR)

    def ready(self):
        return self.subscribed["monitor"] > 0 and self.subscribed["eventbus"] > 0

    # --- serving ---

    def accept(self):
        while self.open:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def beat(self):
        while self.open:
            time.sleep(1)
            now = time.time()
            message = {
                "TIMESTAMP": {
                    "kismet.system.timestamp.sec": int(now),
                    "kismet.system.timestamp.usec": int(now % 1 * 1e6),
                }
            }
            if self.heartbeat and self.subscribed["eventbus"] > 0:
                try:
                    self.text("eventbus", json.dumps(message))
                except (OSError, AttributeError):
                    pass

    def serve(self, s):
        rest = b""
        try:
            while True:
                while b"\r\n\r\n" not in rest:
                    data = s.recv(65536)
                    if not data:
                        return
                    rest += data
                head, rest = rest.split(b"\r\n\r\n", 1)
                lines = head.decode("latin-1").split("\r\n")
                fields = {k.lower(): v.strip() for k, v in (x.split(":", 1) for x in lines[1:])}
                path = lines[0].split(" ")[1]
                self.requests.append((path, head.decode("latin-1")))
                if "upgrade" in fields and path not in self.answers:
                    self.websocket(s, path, fields)
                    return
                length = int(fields.get("content-length", 0))
                while len(rest) < length:
                    rest += s.recv(65536)
                rest = rest[length:]
                s.sendall(self.answer(path))
        except OSError:
            pass
        finally:
            s.close()

    def answer(self, path):
        prepared = self.answers.get(path)
        if prepared:
            return prepared.pop(0) if len(prepared) > 1 else prepared[0]
        now = time.time()
        clock = {
            "kismet.system.timestamp.sec": int(now),
            "kismet.system.timestamp.usec": int(now % 1 * 1e6),
        }
        if path == "/system/timestamp.json":
            return http(json.dumps(clock))
        if path == "/system/status.json":
            status = {
                **clock,
                "kismet.system.server_uuid": UUID,
                "kismet.system.version": "raw",
                "kismet.system.devices.count": len(self.devices),
            }
            return http(json.dumps(status))
        if path.endswith("/devices.itjson"):
            return http("".join(line + "\n" for line in self.devices))
        return http("[]")

    def websocket(self, s, path, fields):
        stream = "monitor" if "monitor" in path else "eventbus"
        magic = fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(magic.encode()).digest()).decode()
        s.sendall(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        with self.lock:
            self.sockets[stream] = s
            self.connections[stream] += 1
        while s.recv(65536):  # subscriptions and pings; nobody answers
            self.subscribed[stream] += 1
        self.ended[stream] += 1


def http(body, status="200 OK", *headers):
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
