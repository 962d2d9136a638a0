"""kismet-sim is what the other tests believe; this proves that it behaves as a real Kismet does.

The WebSocket client here is a bare one, because a proper library hides fragments, refuses
ill-formed UTF-8 and answers for itself.
"""

import base64
import http.client
import json
import os
import select
import socket
import struct
import subprocess
import time

import pytest

from harness import CAPTURES, SLOW, Sim, wait_for

KEY = ["kismet.device.base.key", "key"]
TOTAL = ["kismet.device.base.packets.total", "total"]
SIGNAL = "kismet.device.base.signal/kismet.common.signal.last_signal"
ALL = "/devices/last-time/0/devices"


class WebSocket:
    def __init__(self, sim, path, cookie=None):
        self.socket = socket.create_connection(("127.0.0.1", sim.port), timeout=10 * SLOW)
        extra = f"Cookie: {cookie}\r\n" if cookie else ""
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Sec-WebSocket-Version: 13\r\n{extra}\r\n".encode()
        )
        self.buffer = b""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(1)
        self.status = int(head.split()[1])
        self.opcodes = []

    def read(self, size):
        while len(self.buffer) < size:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.buffer += more
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def send(self, message, opcode=1):
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        size = bytes([0x80 | len(data)])
        if len(data) >= 126:
            size = b"\xfe" + struct.pack(">H", len(data))
        self.socket.sendall(bytes([0x80 | opcode]) + size + b"\0\0\0\0" + data)

    def frame(self):
        """(fin, opcode, payload) of the next frame."""
        head = self.read(2)
        size = head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(self.read(2 if size == 126 else 8), "big")
        self.opcodes.append(head[0] & 0x0F)
        return head[0] >> 7, head[0] & 0x0F, self.read(size)

    def fragments(self):
        """The fragments of the next text message."""
        parts = []
        while True:
            fin, opcode, data = self.frame()
            if opcode >= 8:
                continue
            assert opcode == (0 if parts else 1)
            parts.append(data)
            if fin:
                return parts

    def message(self):
        return b"".join(self.fragments())

    def messages(self, count):
        return [json.loads(self.message().decode("utf-8", "replace")) for _ in range(count)]

    def silent(self, seconds):
        """True when nothing but pings comes for that long."""
        deadline = time.monotonic() + seconds
        while True:
            left = max(0, deadline - time.monotonic())
            if not self.buffer and not select.select([self.socket], [], [], left)[0]:
                return True
            if self.frame()[1] < 8:
                return False

    def ends(self):
        """Reads to the end of the connection; what ended it."""
        try:
            while self.frame():
                pass
        except ConnectionResetError:
            return "reset"
        except EOFError:
            return "close frame" if 8 in self.opcodes else "abrupt"


def monitor(sim, fields=None, path="/devices/monitor.ws", **more):
    ws = WebSocket(sim, path)
    assert ws.status == 101
    request = {"monitor": "*", "request": 1, "rate": 1, "format": "json", **more}
    if fields:
        request["fields"] = fields
    ws.send(request)
    return ws


def eventbus(sim, *subscriptions):
    ws = WebSocket(sim, "/eventbus/events.ws")
    assert ws.status == 101
    for topic, *fields in subscriptions:
        ws.send({"SUBSCRIBE": topic, **({"fields": fields} if fields else {})})
    return ws


def rest(sim, path, body=None, **headers):
    """(status, body) of a GET, or of a POST when there is a body."""
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10 * SLOW)
    data = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
    connection.request("GET" if data is None else "POST", path, data, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def lines(sim, path, body):
    status, answer = rest(sim, path, body)
    assert status == 200, answer
    return [json.loads(line) for line in answer.decode("utf-8", "replace").splitlines()]


def unpacked(name):
    return subprocess.run(
        ["zstd", "-dcq", str(CAPTURES / name)], capture_output=True, check=True
    ).stdout


def test_only_real_routes_exist(started):
    sim = started(Sim, "--devices", "10", "--prefix", "/kismet")
    for path in (
        f"{ALL}.itjson",
        f"{ALL}.json",
        f"{ALL}.ekjson",
        "/devices/views/phy-Bluetooth/last-time/-60/devices.json",
        "/system/timestamp.json",
        "/system/status.json",
        "/alerts/last-time/0.0/alerts.json",
        "/alerts/wrapped/last-time/0.0/alerts.json",
        "/messagebus/last-time/0/messages.json",
        "/devices/views/all_views.json",
        "/phy/all_phys.json",
        "/datasource/all_sources.json",
        "/session/check_session",
    ):
        status, body = rest(sim, f"/kismet{path}")
        assert status == 200, path
        if path.endswith(".json"):
            json.loads(body)
    for path in (
        "/",
        "/system/timestamp",
        "/devices/monitor.ws",
        "/devices/views/nosuch/last-time/0/devices.json",
        "/auth/apikey/generate.cmd",
    ):
        assert rest(sim, f"/kismet{path}")[0] == 404, path
    assert rest(sim, "/system/status.json")[0] == 404
    for path, status in (
        ("/kismet/devices/monitor.ws", 101),
        ("/kismet/devices/views/phy-IEEE802.11/monitor.ws", 101),
        ("/kismet/eventbus/events.ws", 101),
        ("/kismet/devices/monitor", 404),
        ("/kismet/eventbus/events", 404),
        ("/kismet/devices/views/nosuch/monitor.ws", 404),
        ("/devices/monitor.ws", 404),
    ):
        assert WebSocket(sim, path).status == status, path


def test_credentials_are_read_in_kismets_order(started):
    sim = started(Sim, "--devices", "1", "--api-key", "KEY", "--user", "admin", "--password", "pw")
    path = "/session/check_session"
    basic = {"Authorization": "Basic " + base64.b64encode(b"admin:pw").decode()}
    assert rest(sim, path)[0] == 401
    assert rest(sim, path, Cookie="a=b; KISMET=KEY")[0] == 200
    assert rest(sim, path, Cookie="KISMET=other")[0] == 401
    assert rest(sim, path, **basic)[0] == 200
    assert rest(sim, path, Cookie="a=b", **basic)[0] == 401  # any cookie: nothing else is read
    assert rest(sim, f"{path}?KISMET=KEY")[0] == 200
    assert rest(sim, f"{path}?user=admin&password=pw")[0] == 200
    assert rest(sim, path, Authorization="Bearer KEY")[0] == 401
    assert WebSocket(sim, "/devices/monitor.ws").status == 401
    assert WebSocket(sim, "/devices/monitor.ws", cookie="KISMET=KEY").status == 101

    generate, wish = "/auth/apikey/generate.cmd", {"name": "x", "role": "readonly", "duration": 0}
    assert rest(sim, generate, wish, Cookie="KISMET=KEY")[0] == 401  # readonly is not enough
    status, token = rest(sim, generate, wish, **basic)
    assert status == 200
    assert rest(sim, path, Cookie=f"KISMET={token.decode()}")[0] == 200
    assert rest(sim, generate, wish, **basic)[0] == 500  # a name is taken only once


def test_fields_come_as_asked_and_missing_ones_are_0(started):
    sim = started(Sim, "--devices", "4", "--change", "0")
    truth = sim.truth()
    where = ["kismet.device.base.location", "where"]
    fields = [SIGNAL, ["kismet.no.such/path", "none"], KEY, where]
    status, body = rest(sim, f"{ALL}.itjson", {"fields": fields})
    assert status == 200
    found = body.splitlines()
    assert len(found) == 4
    for line in found:
        device = json.loads(line)
        assert list(device) == ["kismet.common.signal.last_signal", "none", "key", "where"]
        whole = truth[device["key"]]
        signal = whole["kismet.device.base.signal"]["kismet.common.signal.last_signal"]
        assert device["kismet.common.signal.last_signal"] == signal
        assert device["none"] == 0
        assert device["where"] == whole.get("kismet.device.base.location", 0)
    assert any(d.get("kismet.device.base.location", 0) == 0 for d in truth.values())

    ws = monitor(sim, fields)
    assert sorted(ws.message() for _ in range(4)) == sorted(found)  # the same bytes as by REST


def test_rest_filters_and_formats(started):
    sim = started(Sim, "--devices", "20", "--change", "0", "--packet-clock", "-1000")
    now = int(time.time())
    ask = {"fields": [KEY]}
    assert len(lines(sim, f"{ALL}.itjson", ask)) == 20
    assert len(lines(sim, f"/devices/last-time/{now - 1100}/devices.itjson", ask)) == 20
    assert lines(sim, f"/devices/last-time/{now - 900}/devices.itjson", ask) == []
    assert len(lines(sim, "/devices/last-time/-1100/devices.itjson", ask)) == 20
    assert lines(sim, "/devices/last-time/-900/devices.itjson", ask) == []
    bluetooth = lines(sim, "/devices/views/phy-Bluetooth/last-time/0/devices.itjson", ask)
    assert len(bluetooth) == 4
    assert len(json.loads(rest(sim, f"{ALL}.json", ask)[1])) == 20
    elastic = json.loads(rest(sim, f"{ALL}.ekjson")[1].splitlines()[0])
    assert "kismet_common_signal_type" in elastic["kismet_device_base_signal"]
    named = {"fields": [KEY], "regex": [["kismet.device.base.name", "^device-1[0-9]?$"]]}
    assert len(lines(sim, f"{ALL}.itjson", named)) == 9  # 1 and 10..19 but the unnamed 12 and 17
    assert rest(sim, f"{ALL}.itjson", "{")[0] == 400


def test_long_messages_come_in_fragments_of_4096(started):
    sim = started(Sim, "--devices", "2", "--change", "0", "--full")
    truth = sim.truth()
    one, other = monitor(sim), monitor(sim)  # both are sent the same frame
    for ws in (one, other):
        for _ in range(2):
            parts = ws.fragments()
            assert len(parts) > 2
            assert {len(p) for p in parts[:-1]} == {4096} and len(parts[-1]) <= 4096
            record = json.loads(b"".join(parts))
            assert record == truth[record["kismet.device.base.key"]]


def test_monitor_modes(started):
    modes = ("changed", "repeat", "once", "never")
    sims = {
        m: started(Sim, "--devices", "3", "--change", "0", "--monitor", m, name=m) for m in modes
    }
    ws = {m: monitor(sim, [KEY, TOTAL]) for m, sim in sims.items()}
    for mode in ("changed", "repeat", "once"):  # the first tick: all
        assert len({d["key"] for d in ws[mode].messages(3)}) == 3
    for sim in sims.values():
        sim.command("change 1")
    assert len(ws["changed"].messages(1)) == 1
    assert len({d["key"] for d in ws["repeat"].messages(3)}) == 3
    assert ws["once"].silent(0.3)
    assert ws["never"].silent(0.1)
    assert [sims[m].stats()["pushed"] for m in ("changed", "once", "never")] == [4, 3, 0]
    sims["never"].command("monitor changed")  # what was held back comes now
    assert len({d["key"] for d in ws["never"].messages(3)}) == 3


def test_requests_are_replaced_and_cancelled(started):
    sim = started(Sim, "--devices", "6", "--monitor", "repeat", "--change", "0")
    mac = next(iter(sim.truth().values()))["kismet.device.base.macaddr"]
    ws = monitor(sim, [KEY])
    fields = [["kismet.device.base.macaddr", "m"]]
    ws.send({"monitor": mac, "request": 1, "rate": 1, "fields": fields})
    assert ws.messages(1) == [{"m": mac}]
    ws.send(b'{"monitor": ')  # only logged
    ws.send({"monitor": "*", "request": 2})  # no rate: only logged
    ws.send({"cancel": 1})
    wait_for(lambda: sim.stats()["clients"][0]["requests"] == 0, what="no request is left")
    assert "bad request" in sim.stderr()
    ws.send(b"binary", opcode=2)
    assert ws.ends() == "abrupt"


def test_eventbus(started):
    sim = started(Sim, "--devices", "3")
    ws = eventbus(
        sim, ["TIMESTAMP"], ["NEW_DEVICE", ["kismet.device.base.macaddr", "mac"], "x/y"]
    )
    stamp = ws.messages(1)[0]["TIMESTAMP"]
    assert abs(stamp["kismet.system.timestamp.sec"] - time.time()) < 10
    ws.send({"UNSUBSCRIBE": "TIMESTAMP"})
    wait_for(lambda: sim.stats()["clients"][0]["requests"] == 1, what="the topic is gone")
    sim.command("duplicate-events on")
    sim.command("add 1")
    heard = []
    while len(heard) < 2:  # a heartbeat may have been on its way
        heard += [m for m in ws.messages(1) if "NEW_DEVICE" in m]
    mac = list(sim.truth().values())[-1]["kismet.device.base.macaddr"]
    assert heard == [{"NEW_DEVICE": {"mac": mac, "y": 0}}] * 2


def test_eventbus_faults_and_two_keys(started):
    sim = started(Sim, "--devices", "1", "--eventbus", "ignore", "--clock-skew", "5000")
    deaf = eventbus(sim, ["TIMESTAMP"])
    wait_for(lambda: sim.stats()["seconds"] >= 2, what="a heartbeat that nobody heard")
    assert deaf.silent(0.05)
    sim.command("eventbus ok")
    ws = eventbus(sim, ["DOT11_PROBED_SSID"], ["TIMESTAMP"])
    clock = json.loads(rest(sim, "/system/timestamp.json")[1])
    assert clock["kismet.system.timestamp.sec"] > time.time() + 4000
    sim.command("timestamp stalled")
    two = '{"DOT11_NEW_SSID_BASEDEV": {"a": 1},"DOT11_PROBED_SSID": {"b": 2}}'
    sim.command(f"event {two}")
    while ws.message() != two.encode():
        pass
    due = sim.stats()["seconds"] + 1
    wait_for(lambda: sim.stats()["seconds"] >= due, what="a heartbeat that was not sent")
    assert ws.silent(0.05)


def test_alerts_by_rest(started):
    sim = started(Sim, "--devices", "1", "--alert-backlog", "2")
    for second in (10, 20, 30):
        sim.command(f'event {{"ALERT": {{"kismet.alert.timestamp": {second}.5}}}}')
    times = lambda alerts: [a["kismet.alert.timestamp"] for a in alerts]
    assert times(json.loads(rest(sim, "/alerts/last-time/0/alerts.json")[1])) == [20.5, 30.5]
    assert times(json.loads(rest(sim, "/alerts/last-time/20.5/alerts.json")[1])) == [30.5]
    wrapped = json.loads(rest(sim, "/alerts/wrapped/last-time/20.5/alerts.json")[1])
    assert times(wrapped["kismet.alert.list"]) == [30.5]


def test_a_capture_arrives_whole_and_byte_for_byte(started):
    name = "neighbourhood-full.ndjson.zst"
    sim = started(Sim, "--capture", CAPTURES / name, "--speed", "max")
    assert sim.stats()["capture"]["played"] == 0  # it waits for listeners
    recorded = [line for line in unpacked(name).splitlines() if b'"s":"monitor"' in line]
    ws = monitor(sim)
    listener = eventbus(sim, ["ALERT"])
    for line in recorded:
        assert line.endswith(b',"d":' + ws.message() + b"}")
    wait_for(sim.played, what="the capture is over")
    assert sim.stats()["devices"] == 340
    assert "ALERT" in listener.messages(1)[0]


def test_a_capture_with_aliases_answers_other_aliases(started):
    name = "neighbourhood-fields.ndjson.zst"
    sim = started(Sim, "--capture", CAPTURES / name, "--speed", "max", "--wait-for", "monitor")
    recorded = [json.loads(l)["d"] for l in unpacked(name).splitlines() if b'"s":"monitor"' in l]
    ws = monitor(sim, [["kismet.device.base.key", "id"], [SIGNAL, "signal_dbm"], ["no/such", "n"]])
    expected = [{"id": d["key"], "signal_dbm": d["signal_dbm"], "n": 0} for d in recorded]
    assert ws.messages(len(recorded)) == expected


def test_ill_formed_names_pass_byte_for_byte(started):
    name = "hostile-names.itjson.zst"
    recorded = started(Sim, "--capture", CAPTURES / name)
    assert rest(recorded, f"{ALL}.itjson")[1] == unpacked(name)

    made = started(Sim, "--devices", "30", "--change", "0", "--ill-formed", name="made")
    ws = monitor(made, [["kismet.device.base.name", "name"]])
    names = [ws.message() for _ in range(30)]
    assert b'{"name": "bad-\xc0\x80-3"}' in names
    assert b'{"name": "bad-\xf5\x80\x80\x80-13"}' in names


def test_connections_end_without_a_close_frame(started):
    sim = started(Sim, "--devices", "1")
    ws = monitor(sim)
    sim.command("close monitor")
    assert ws.ends() == "abrupt"
    ws = monitor(sim)
    sim.command("reset")
    assert ws.ends() == "reset"
    assert sim.command("clients") == "0 0"


@pytest.mark.parametrize("status", [401, 404, 503])
def test_refused_handshakes_and_answers(started, status):
    faults = ("--handshake", f"reject{status}", "--rest", f"fail{status}")
    sim = started(Sim, "--devices", "1", *faults)
    assert WebSocket(sim, "/devices/monitor.ws").status == status
    assert rest(sim, "/system/timestamp.json")[0] == status


def test_bad_answers(started):
    sim = started(Sim, "--devices", "50", "--handshake", "stall", "--rest", "half")
    with pytest.raises(http.client.IncompleteRead):
        rest(sim, f"{ALL}.json")
    sim.command("rest hang")
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=0.3)
    connection.request("GET", "/system/status.json")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    stalled = socket.create_connection(("127.0.0.1", sim.port), timeout=0.3)
    stalled.sendall(
        b"GET /devices/monitor.ws HTTP/1.1\r\nHost: s\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with pytest.raises(TimeoutError):
        stalled.recv(1)


def test_the_queue_of_a_client_that_does_not_read_grows(started):
    sim = started(Sim, "--devices", "4000", "--monitor", "repeat", "--full")
    ws = monitor(sim)
    ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    queued = lambda: sim.stats()["clients"][0]["queued_bytes"]
    wait_for(lambda: queued() > 1 << 20, what="a megabyte is queued")


def test_due_times_pings_and_the_end(started):
    sim = started(Sim, "--devices", "2", "--change", "0", "--due", "--ping", "1")
    ws = monitor(sim, [["kismet.sim.due_ns", "due"], KEY])
    for device in ws.messages(2):
        assert abs(int(device["due"]) / 1e9 - time.time()) < 10
    while 9 not in ws.opcodes:
        ws.frame()
    assert sim.stop() == 0
    assert not sim.control_path.exists()
