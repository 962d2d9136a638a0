"""A real broker, and clients that watch it: mosquitto and paho of the distribution."""

import json
import pathlib
import signal
import socket
import threading
import time

import paho.mqtt.client as paho

from harness import Process, wait_for

BROKER = "/usr/sbin/mosquitto"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """mosquitto on a port of its own; `lines` are its configuration's beyond the listener."""

    def __init__(self, directory, *lines, name="broker", tls=(), anonymous=True):
        self.directory = pathlib.Path(directory)
        self.name = name
        self.port = free_port()
        self.config = self.directory / f"{name}.conf"
        self.starts = 0
        self.process = None
        self.write(*lines, tls=tls, anonymous=anonymous)
        self.start()

    def write(self, *lines, tls=(), anonymous=True):
        self.config.write_text(
            "\n".join(
                [
                    "user root",
                    f"listener {self.port} 127.0.0.1",
                    *tls,
                    f"allow_anonymous {'true' if anonymous else 'false'}",
                    "log_type all",
                    *lines,
                    "",
                ]
            )
        )

    def start(self):
        self.starts += 1
        self.process = Process(
            [BROKER, "-c", self.config], self.directory, f"{self.name}-{self.starts}"
        )
        wait_for(self.listens, what=f"{self.name} listens", every=0.01)

    def listens(self):
        assert self.process.running(), self.process.stderr()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, sig=signal.SIGTERM):
        if self.process.running():
            self.process.process.send_signal(sig)
            self.process.wait()

    def restart(self, sig=signal.SIGTERM, down_s=0):
        """down_s: that long nobody listens there."""
        self.stop(sig)
        time.sleep(down_s)
        self.start()

    def log(self):
        return self.process.stderr()

    def kill(self):
        self.process.kill()


class Watcher:
    """A subscriber that keeps its session and remembers each message: (topic, payload, retain)."""

    def __init__(self, port, topic="#", client_id="watcher", qos=1, clean=False, version=4, user=None,
                 on_message=None):
        self.messages = []
        self.lock = threading.Lock()
        self.subscribed = threading.Event()
        self.note = on_message
        options = {} if version == 5 else {"clean_session": clean}
        self.client = paho.Client(
            client_id, protocol=paho.MQTTv5 if version == 5 else paho.MQTTv311, **options
        )
        if user:
            self.client.username_pw_set(*user)
        self.client.reconnect_delay_set(min_delay=1, max_delay=1)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, qos)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self.take
        self.client.connect("127.0.0.1", port, 60)
        self.client.loop_start()
        assert self.subscribed.wait(20), "subscribed"

    def take(self, _client, _context, message):
        with self.lock:
            self.messages.append(message)
        if self.note:
            self.note(message)

    def all(self, topic=""):
        """Payloads, in their order, of the topics that begin so."""
        with self.lock:
            return [m for m in self.messages if m.topic.startswith(topic)]

    def texts(self, topic):
        return [m.payload.decode() for m in self.all(topic)]

    def devices(self, prefix="kismet"):
        """The newest message of each device, by MAC."""
        found = {}
        for m in self.all(f"{prefix}/devices/"):
            device = json.loads(m.payload)
            found[device["mac_addr"]] = device
        return found

    def kill(self):
        self.client.disconnect()
        self.client.loop_stop()


class Witness(Watcher):
    """A subscriber for a broker that is killed: it reads what the broker wrote to the last byte.

    paho hangs up when it cannot acknowledge, with messages unread in its socket; a broker that was
    killed before it saved them has them no more, although it confirmed them to their sender.
    """

    def __init__(self, port, topic, on_message, client_id="witness"):
        self.messages = []
        self.lock = threading.Lock()
        self.note = on_message
        self.address = ("127.0.0.1", port)
        self.hello = self.packet(0x10, b"\0\4MQTT\4\0\0\0" + self.text(client_id))
        self.subscribe = self.packet(0x82, b"\0\1" + self.text(topic) + b"\1")
        self.subscribed = threading.Event()
        self.stop = threading.Event()
        self.socket = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.subscribed.wait(20), "subscribed"

    @staticmethod
    def text(string):
        return len(string).to_bytes(2, "big") + string.encode()

    @staticmethod
    def packet(kind, body):
        assert len(body) < 128
        return bytes((kind, len(body))) + body

    def run(self):
        while not self.stop.wait(0.02):
            try:
                with socket.create_connection(self.address) as self.socket:
                    self.send(self.hello + self.subscribe)
                    self.read(self.socket.makefile("rb"))
            except OSError:
                pass

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # what the broker wrote before it went is there all the same

    def read(self, stream):
        while kind := stream.read(1):
            length = shift = 0
            while (byte := stream.read(1)[0]) > 127:
                length |= (byte & 127) << shift
                shift += 7
            length |= byte << shift
            body = stream.read(length)
            if len(body) < length:
                return
            self.packet_came(kind[0], body)

    def packet_came(self, kind, body):
        if kind >> 4 == 9:
            self.subscribed.set()
        if kind >> 4 != 3:
            return
        end = 2 + int.from_bytes(body[:2], "big")
        message = paho.MQTTMessage(topic=body[2:end])
        message.payload = body[end + 2 if kind & 6 else end :]
        self.take(None, None, message)
        if kind & 6:
            self.send(b"\x40\2" + body[end : end + 2])

    def kill(self):
        self.stop.set()
        if self.socket:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join()


def retained(port, topic="#", seconds=0.5, user=None):
    """What a newcomer gets at once: {topic: payload}."""
    found = {}
    newest = time.monotonic()

    def note(message):
        nonlocal newest
        newest = time.monotonic()
        if message.retain:
            found[message.topic] = message.payload.decode()

    watcher = Watcher(port, topic, client_id=f"newcomer-{time.monotonic_ns()}", clean=True,
                      user=user, on_message=note)
    wait_for(lambda: time.monotonic() - newest > seconds, what="the retained ones", every=0.05)
    watcher.kill()
    return found


def sink(broker, **more):
    return {
        "type": "mqtt",
        "url": f"mqtt://127.0.0.1:{broker.port}",
        "batch": {"interval": "30ms"},
        **more,
    }
