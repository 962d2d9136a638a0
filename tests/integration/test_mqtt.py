"""The mqtt sink at a real mosquitto: what arrives, under which topic, with which guarantees."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse

import pytest

import hostile
import kismet
from campaign import QUICK, configure, launch, source
from harness import BUILD, ROOT, Exporter, Process, Sim, wait_for
from mosquitto import Broker, Watcher, retained, sink
from rawkismet import RawKismet
from rawkismet import device as raw_device
from test_tls import certificates  # noqa: F401, a fixture

SEED_KEYS = (
    "timestamp mac_addr name username phy_type manufacturer first_seen last_seen channel frequency "
    "total_packets tx_packets rx_packets data_size signal_dbm noise_dbm snr_db latitude longitude "
    "altitude"
).split()
OUR_KEYS = (
    "source server_uuid device_key device_type crypt num_alerts mac_random extra"
).split()


def export(started, tmp_path, sim, broker, name="exporter", env=None, top=None, **more):
    return launch(
        started,
        tmp_path,
        [source(sim.url, reconnect=QUICK)],
        name,
        sinks=[sink(broker, **more)],
        env=env,
        **(top or {}),
    )


def truth(sim):
    """MAC -> the columns that the independent reader makes of what the simulator knows."""
    return {row["mac_addr"]: row for row in map(kismet.row, sim.truth().values())}


def same(sim, watcher):
    found = watcher.devices()
    wanted = truth(sim)
    if set(found) != set(wanted):
        return False
    return all(
        found[mac][key] == row[key] for mac, row in wanted.items() for key in row if key in found[mac]
    )


def settle(sim, watcher):
    sim.command("freeze")
    wait_for(lambda: same(sim, watcher), 30, "the truth at the subscriber", every=0.2)


@pytest.mark.parametrize("protocol, qos", [("5", 1), ("5", 2), ("5", 0), ("3.1.1", 1), ("3.1.1", 2)])
def test_devices_events_and_status_arrive(started, tmp_path, protocol, qos):
    sim = started(Sim, "--devices", "120", "--change", "50", "--events-per-second", "10")
    broker = started(Broker)
    watcher = started(lambda _: Watcher(broker.port))
    exporter = export(started, tmp_path, sim, broker, protocol=protocol, qos=qos)
    wait_for(lambda: watcher.all("kismet/events"), what="events")
    settle(sim, watcher)
    assert watcher.texts("kismet/status/") == ["online"]
    assert retained(broker.port) == {"kismet/status/sensor": "online"}
    totals = exporter.finish()["mqtt"]
    assert totals["dropped"] == totals["dead_lettered"] == 0
    wait_for(
        lambda: len(watcher.all("kismet/devices/")) + len(watcher.all("kismet/events"))
        == totals["delivered"],
        what="each delivered record is a message, once",
    )
    assert watcher.texts("kismet/status/") == ["online", "offline"]
    assert retained(broker.port) == {"kismet/status/sensor": "offline"}
    for message in watcher.all("kismet/devices/"):
        device = json.loads(message.payload)
        assert list(device) == SEED_KEYS + OUR_KEYS
        assert message.topic == "kismet/devices/" + device["mac_addr"].replace(":", "_")
        assert not message.retain and message.qos == min(qos, 1)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", device["timestamp"])
    uids = [json.loads(m.payload)["event_uid"] for m in watcher.all("kismet/events")]
    assert len(uids) == len(set(uids)) > 0
    version = "p5" if protocol == "5" else "p2"
    assert re.search(rf"as kismet-export-sensor-[0-9a-f]{{12}} \({version}, c1, k30\)", broker.log())


def test_the_script_flags_and_environment(started, tmp_path):
    sim = started(Sim, "--devices", "5", "--change", "100")
    secret = tmp_path / "password"
    secret.write_text("geheim\n")
    secret.chmod(0o600)
    passwords = tmp_path / "passwords"
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(passwords), "tester", "geheim"], check=True
    )
    broker = started(Broker, f"password_file {passwords}", anonymous=False)
    watcher = started(lambda _: Watcher(broker.port, user=("tester", "geheim")))
    flags = ("--kismet-host", "127.0.0.1", "--kismet-port", sim.port, "--export-type", "mqtt")
    exporter = started(
        Exporter,
        *flags,
        *("--mqtt-host", "127.0.0.1", "--mqtt-port", broker.port, "--mqtt-topic-prefix", "a/b"),
        *("--mqtt-username", "tester", "--mqtt-password", "geheim", "--update-rate", "1"),
        *("--sensor", "s"),
        env={"KISMET_API_KEY": "x"},
    )
    wait_for(lambda: len(watcher.devices("a/b")) == 5, what="devices by flags")
    exporter.finish()
    assert "geheim" not in exporter.stderr()
    exporter = started(
        Exporter,
        *("--kismet-host", sim.url, "--update-rate", "1", "--sensor", "t"),
        name="env",
        env={
            "KISMET_API_KEY": "x",
            "EXPORT_TYPE": "mqtt",
            "MQTT_HOST": f"mqtt://127.0.0.1:{broker.port}",
            "MQTT_TOPIC_PREFIX": "c",
            "MQTT_USERNAME": "tester",
            "MQTT_PASSWORD_FILE": str(secret),
        },
    )
    wait_for(lambda: len(watcher.devices("c")) == 5, what="devices by the environment")
    exporter.finish()


def test_the_seeds_subscriber_runs_unchanged(started, tmp_path):
    """The manual's program, word for word but for the broker's address, with the library's 1.6."""
    sim = started(Sim, "--devices", "60", "--change", "50", "--events-per-second", "5")
    broker = started(Broker)
    code = (ROOT / "tests" / "integration" / "seed_subscriber.py").read_text()
    code = code.replace('"mqtt-broker", 1883', f'"127.0.0.1", {broker.port}')
    assert str(broker.port) in code
    script = tmp_path / "subscriber.py"
    script.write_text(code)
    process = Process([sys.executable, "-u", script], tmp_path, "reader")
    try:
        wait_for(lambda: "SUBSCRIBE" in broker.log(), what="it has subscribed")
        exporter = export(started, tmp_path, sim, broker)
        line = re.compile(r"^Device update: [0-9A-F:]{17} - (-?\d+|None)dBm$", re.MULTILINE)
        wait_for(lambda: len(line.findall(process.stdout())) > 300, what="lines of the reader")
        exporter.finish()
        assert process.running() and process.stderr() == "", process.stderr()
        others = [x for x in process.stdout().splitlines() if not line.match(x)]
        assert others == []
    finally:
        process.kill()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_last_will_says_offline(started, tmp_path, protocol):
    sim = started(Sim, "--devices", "5", "--change", "100")
    broker = started(Broker)
    watcher = started(lambda _: Watcher(broker.port))
    exporter = export(started, tmp_path, sim, broker, protocol=protocol)
    wait_for(lambda: watcher.devices(), what="devices")
    exporter.kill()
    wait_for(
        lambda: watcher.texts("kismet/status/") == ["online", "offline"], what="the broker says it"
    )
    assert retained(broker.port) == {"kismet/status/sensor": "offline"}
    exporter = export(started, tmp_path, sim, broker, "again", protocol=protocol)
    wait_for(
        lambda: watcher.texts("kismet/status/") == ["online", "offline", "online"], what="it is back"
    )
    exporter.finish()


def test_topics_by_a_template(started, tmp_path):
    sim = started(Sim, "--devices", "20", "--change", "100")
    broker = started(Broker)
    watcher = started(lambda _: Watcher(broker.port))
    exporter = export(
        started,
        tmp_path,
        sim,
        broker,
        topic="{prefix}/of/{sensor}/{source}/{phy}/{mac}/state",
        prefix="häuser/1",
        mac_case="lower",
        top={"sensor": "küche #1"},
    )
    wait_for(lambda: len(watcher.all("häuser/1/of/")) >= 20, what="devices")
    exporter.finish()
    for message in watcher.all("häuser/1/of/"):
        device = json.loads(message.payload)
        mac = device["mac_addr"]
        assert mac == mac.lower()
        assert message.topic == (
            f"häuser/1/of/k%C3%BCche%20%231/test/{device['phy_type']}/{mac.replace(':', '_')}/state"
        )
    assert watcher.texts("häuser/1/status/") == ["online", "offline"]


def test_only_what_changed(started, tmp_path):
    sim = started(Sim, "--devices", "30", "--change", "50")
    broker = started(Broker)
    watcher = started(lambda _: Watcher(broker.port))
    exporter = export(started, tmp_path, sim, broker, payload="delta")
    wait_for(lambda: len(watcher.all("kismet/devices/")) > 200, what="deltas")
    sim.command("freeze")
    merged = {}

    def merge():
        merged.clear()
        for message in watcher.all("kismet/devices/"):
            part = json.loads(message.payload)
            assert {"timestamp", "mac_addr"} <= set(part)
            merged.setdefault(part["mac_addr"], {}).update(part)
        wanted = truth(sim)
        return set(merged) == set(wanted) and all(
            merged[mac][key] == row[key] for mac, row in wanted.items() for key in row
            if key in merged[mac]
        )

    wait_for(merge, 30, "the parts make the whole", every=0.2)
    exporter.finish()
    sizes = [len(json.loads(m.payload)) for m in watcher.all("kismet/devices/")]
    assert min(sizes[30:]) < 10 < max(sizes) == len(SEED_KEYS + OUR_KEYS)


def test_batches_of_devices(started, tmp_path):
    sim = started(Sim, "--devices", "100", "--change", "50", "--events-per-second", "5")
    broker = started(Broker)
    watcher = started(lambda _: Watcher(broker.port))
    exporter = export(
        started, tmp_path, sim, broker, payload="batch", batch={"records": 40, "interval": "200ms"}
    )
    wait_for(lambda: watcher.all("kismet/events"), what="events")
    wait_for(lambda: len(watcher.all("kismet/batch")) > 10, what="batches")
    totals = exporter.finish()["mqtt"]
    lists = [json.loads(m.payload) for m in watcher.all("kismet/batch")]
    events = watcher.all("kismet/events")
    assert all(isinstance(x, list) and 1 <= len(x) <= 40 for x in lists)
    assert max(map(len, lists)) > 5
    assert sum(map(len, lists)) + len(events) == totals["delivered"]
    assert all(list(device) == SEED_KEYS + OUR_KEYS for x in lists for device in x)
    assert not watcher.all("kismet/devices/"), "lists never go where devices are"


def test_retained_devices_and_properties_of_mqtt_5(started, tmp_path):
    sim = started(Sim, "--devices", "10", "--change", "100", "--events-per-second", "5")
    broker = started(Broker)
    watcher = started(lambda _: Watcher(broker.port, version=5))
    exporter = export(started, tmp_path, sim, broker, retain=True, expiry="1h")
    wait_for(lambda: len(watcher.all("kismet/events")) > 3, what="events")
    wait_for(lambda: len(watcher.devices()) == 10, what="devices")
    exporter.finish()
    for message in watcher.all("kismet/events"):
        uid = json.loads(message.payload)["event_uid"]
        assert message.properties.UserProperty == [("event_uid", uid)]
        assert 3590 <= message.properties.MessageExpiryInterval <= 3600
        assert not message.retain
    kept = retained(broker.port, "kismet/devices/#")
    assert len(kept) == 10


# --- brokers that refuse ---


def test_a_wrong_password_is_held_and_the_right_one_is_taken(started, tmp_path):
    sim = started(Sim, "--devices", "5", "--change", "100")
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "tester", "right"], check=True)
    broker = started(Broker, f"password_file {passwords}", anonymous=False)
    watcher = started(lambda _: Watcher(broker.port, user=("tester", "right")))
    secret = tmp_path / "secret"
    secret.write_text("wrong")
    secret.chmod(0o600)
    exporter = export(
        started, tmp_path, sim, broker, username="tester", password_file=str(secret)
    )
    wait_for(lambda: "held" in exporter.stderr(), what="the hold")
    line = next(x for x in exporter.stderr().splitlines() if "held" in x)
    assert "not authorized" in line and "password_file" in line, line
    secret.write_text("right")
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(watcher.devices()) == 5, 30, "devices with the right password")
    assert exporter.finish()["mqtt"]["dropped"] == 0


ACL = "user tester\ntopic write kismet/status/#\ntopic read #\n"


def broker_with_acl(started, tmp_path, acl):
    rights = tmp_path / "acl"
    rights.write_text(acl + "user watcher\ntopic readwrite #\n")
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "tester", "x"], check=True)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "watcher", "x"], check=True)
    broker = started(
        Broker, f"password_file {passwords}", f"acl_file {rights}", anonymous=False
    )
    return broker, rights


def test_an_acl_is_seen_in_mqtt_5(started, tmp_path):
    sim = started(Sim, "--devices", "5", "--change", "100")
    broker, rights = broker_with_acl(started, tmp_path, ACL)
    watcher = started(lambda _: Watcher(broker.port, user=("watcher", "x")))
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    login = {"username": "tester", "password_file": str(secret)}
    exporter = export(started, tmp_path, sim, broker, protocol="5", **login)
    wait_for(lambda: "held" in exporter.stderr(), what="the hold")
    line = next(x for x in exporter.stderr().splitlines() if "held" in x)
    assert "not authorized" in line and "ACL" in line, line
    assert not watcher.devices()
    rights.write_text(rights.read_text().replace("write kismet/status/#", "write kismet/#"))
    broker.process.process.send_signal(signal.SIGHUP)
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(watcher.devices()) == 5, 30, "devices once the ACL lets them")
    assert exporter.finish()["mqtt"]["dropped"] == 0


@pytest.mark.parametrize("rights, warned", [("write kismet/devices/#", True), ("write #", False)])
def test_an_acl_in_mqtt_311_is_guessed_by_the_echo(started, tmp_path, rights, warned):
    sim = started(Sim, "--devices", "5", "--change", "100")
    broker, _ = broker_with_acl(started, tmp_path, f"user tester\ntopic read #\ntopic {rights}\n")
    watcher = started(lambda _: Watcher(broker.port, user=("watcher", "x")))
    exporter = export(
        started, tmp_path, sim, broker, protocol="3.1.1", username="tester", password="x"
    )
    wait_for(lambda: len(watcher.devices()) == 5, 30, "devices")
    broker.restart()
    wait_for(lambda: "delivering again" in exporter.stderr(), 40, "it goes on")
    exporter.finish()
    assert exporter.stderr().count("did not send our own message") == (1 if warned else 0)


def test_two_clients_with_one_id(started, tmp_path):
    sim = started(Sim, "--devices", "20", "--change", "100")
    broker = started(Broker)
    one = export(started, tmp_path, sim, broker, "one", client_id="twin")
    wait_for(lambda: "delivering" in one.stderr(), what="the first one delivers")
    two = export(started, tmp_path, sim, broker, "two", client_id="twin")
    wait_for(
        lambda: "give each its own client_id (ours is twin)" in one.stderr() + two.stderr(),
        40,
        "the diagnosis",
    )
    broker_log = broker.log()
    assert broker_log.count("New client connected") < 20, "no storm"
    one.finish()
    two.finish()


# --- messages that are too large ---


def test_a_message_above_the_brokers_limit_is_a_dead_letter(started, tmp_path):
    sim = started(Sim, "--devices", "10", "--change", "100", "--events-per-second", "5")
    broker = started(Broker, "max_packet_size 840")
    watcher = started(lambda _: Watcher(broker.port))
    exporter = export(started, tmp_path, sim, broker, protocol="5")
    wait_for(lambda: len(watcher.all("kismet/devices/")) > 50, what="devices go on")
    totals = exporter.finish()["mqtt"]
    assert totals["dead_lettered"] + totals["dropped"] > 0
    assert "packet too large" in exporter.stderr()
    assert not [m for m in watcher.all("kismet/events") if len(m.payload) > 840]


class Raw:
    """An exporter between a Kismet that says what it is told and one broker."""

    def __init__(self, started, tmp_path, broker, **more):
        self.kismet = started(lambda _: RawKismet())
        self.watcher = started(lambda _: Watcher(broker.port))
        self.exporter = launch(
            started, tmp_path, [source(self.kismet.url)], sinks=[sink(broker, **more)]
        )
        self.exporter.streaming()
        wait_for(self.kismet.ready, what="the subscriptions")

    def device(self, number, **more):
        self.kismet.text("monitor", raw_device(number, **more))

    def event(self, text):
        self.kismet.text(
            "eventbus",
            json.dumps(
                {
                    "ALERT": {
                        "kismet.alert.timestamp": 1700000000.5 + len(text),
                        "kismet.alert.header": "DEAUTHFLOOD",
                        "kismet.alert.hash": len(text),
                        "kismet.alert.severity": 10,
                        "kismet.alert.text": text,
                    }
                }
            ),
        )


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_one_message_that_is_too_large_costs_itself(started, tmp_path, protocol):
    """5 knows the limit beforehand; in 3.1.1 the broker hangs up on it, twice."""
    broker = started(Broker, "max_packet_size 6000")
    line = Raw(started, tmp_path, broker, protocol=protocol)
    for i in range(5):
        line.device(i)
    wait_for(lambda: len(line.watcher.devices()) == 5, what="small ones")
    line.event("x" * 9000)
    for i in range(5, 10):
        line.device(i)
    line.event("small")
    wait_for(lambda: len(line.watcher.devices()) == 10, 40, "its neighbours")
    wait_for(lambda: line.watcher.all("kismet/events"), 40, "the next event")
    totals = line.exporter.finish()["mqtt"]
    assert totals["dead_lettered"] + totals["dropped"] == 1 and totals["delivered"] == 11
    assert "packet too large" in line.exporter.stderr()
    assert "x" * 9000 not in "".join(line.watcher.texts("kismet/events"))


def test_the_hostile_names_read_back(started, tmp_path):
    """One message of each, under its MAC, with the text it has."""
    broker = started(Broker)
    line = Raw(started, tmp_path, broker)
    want = {}
    for mac, text, frame in hostile.devices():
        want[mac] = text
        line.kismet.text("monitor", frame)
    wait_for(lambda: len(line.watcher.devices()) == len(want), what="all of them")
    assert line.exporter.finish()["mqtt"]["delivered"] == len(want)
    assert len(line.watcher.all("kismet/devices/")) == len(want)
    for message in line.watcher.all("kismet/devices/"):
        assert re.fullmatch(r"kismet/devices/([0-9A-F]{2}_){5}[0-9A-F]{2}", message.topic)
        device = json.loads(message.payload)
        for field in hostile.TEXT_FIELDS:
            assert device[field] == want[device["mac_addr"]], field


def test_the_hostile_names_in_topics(started, tmp_path):
    """Each is one level of the strict alphabet, or too long for a topic and refused by itself."""
    broker = started(Broker)
    line = Raw(
        started,
        tmp_path,
        broker,
        topic="{prefix}/by/{phy}/{mac}",
        batch={"records": 1000, "interval": "1s"},
    )
    want = {}
    for number, name in enumerate(hostile.NAMES):
        frame = hostile.device(number, name, ())
        assert b'"phy_type": "IEEE802.11"' in frame
        mac = hostile.mac_of(number)
        level = urllib.parse.quote(name.text or "unknown", safe="").replace("~", "%7E")
        topic = f"kismet/by/{level}/{mac.replace(':', '_')}"
        want[mac] = topic if len(topic) <= 256 else None
        line.kismet.text(
            "monitor", frame.replace(b'"IEEE802.11"', name.literal)
        )
    refused = sum(topic is None for topic in want.values())
    assert refused >= 10
    wait_for(
        lambda: len(line.watcher.all("kismet/by/")) == len(want) - refused, what="all that can"
    )
    totals = line.exporter.finish()["mqtt"]
    assert totals["delivered"] == len(want) - refused
    assert totals["dropped"] + totals["dead_lettered"] == refused
    for message in line.watcher.all("kismet/by/"):
        assert message.topic == want[json.loads(message.payload)["mac_addr"]]


# --- brokers of other kinds ---


class OldBroker:
    """Knows 3.1.1 only; says so with a code, or hangs up."""

    def __init__(self, port, answer):
        self.broker_port = port
        self.answer = answer
        self.levels = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        head = connection.recv(4096)
        if not head:
            return connection.close()
        level = head[head.index(b"MQTT") + 4]
        self.levels.append(level)
        if level == 5:
            if self.answer:
                connection.sendall(self.answer)
            return connection.close()
        with socket.create_connection(("127.0.0.1", self.broker_port)) as broker:
            broker.sendall(head)
            back = threading.Thread(target=self.pump, args=(broker, connection), daemon=True)
            back.start()
            self.pump(connection, broker)

    @staticmethod
    def pump(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def kill(self):
        self.listener.close()


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b""])
def test_a_broker_without_mqtt_5(started, tmp_path, answer):
    sim = started(Sim, "--devices", "10", "--change", "100")
    broker = started(Broker)
    old = started(lambda _: OldBroker(broker.port, answer))
    watcher = started(lambda _: Watcher(broker.port))
    exporter = export(started, tmp_path, sim, old)
    wait_for(lambda: len(watcher.devices()) == 10, 40, "devices by 3.1.1")
    assert 5 in old.levels and old.levels[-1] == 4
    assert exporter.finish()["mqtt"]["dropped"] == 0


def test_mqtt_5_and_nothing_else(started, tmp_path):
    sim = started(Sim, "--devices", "10", "--change", "100")
    broker = started(Broker)
    old = started(lambda _: OldBroker(broker.port, b"\x20\x02\x00\x01"))
    exporter = export(started, tmp_path, sim, old, protocol="5")
    wait_for(lambda: "set protocol: 3.1.1" in exporter.stderr(), what="the remedy")
    assert set(old.levels) == {5}
    exporter.stop()


def test_a_broker_that_hangs_holds_up_no_end(started, tmp_path):
    sim = started(Sim, "--devices", "50", "--change", "100", "--events-per-second", "20")
    broker = started(Broker)
    exporter = export(started, tmp_path, sim, broker)
    wait_for(lambda: "delivering" in exporter.stderr(), what="it delivers")
    broker.process.process.send_signal(signal.SIGSTOP)
    size = sim.stats()["events"]
    wait_for(lambda: sim.stats()["events"] > size + 20, what="events that nobody takes")
    assert exporter.stop(seconds=12) in (0, 69)
    broker.process.process.send_signal(signal.SIGCONT)
    totals = exporter.totals()["mqtt"]
    rest = sum(value for term, value in totals.items() if term != "received")
    assert totals["received"] == rest and totals["pending"] == 0 and totals["dropped"] > 0


# --- TLS ---


def tls_broker(started, pair, *lines):
    return started(Broker, tls=(f"certfile {pair[0]}", f"keyfile {pair[1]}", *lines))


def over_tls(started, tmp_path, sim, broker, tls, host="127.0.0.1", **more):
    return export(
        started, tmp_path, sim, broker, url=f"mqtts://{host}:{broker.port}", tls=tls, **more
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tls_with_a_good_certificate(started, tmp_path, certificates, host):
    sim = started(Sim, "--devices", "10", "--change", "100")
    broker = tls_broker(
        started,
        certificates["good"],
        f"cafile {certificates['ca']}",
        "require_certificate true",
        "tls_version tlsv1.2",
    )
    cert, key = map(str, certificates["client"])
    tls = {"ca_file": str(certificates["ca"]), "cert_file": cert, "key_file": key}
    exporter = over_tls(started, tmp_path, sim, broker, tls, host)
    wait_for(lambda: "delivering" in exporter.stderr(), what="it delivers over TLS")
    wait_for(lambda: broker.log().count("Received PUBLISH") >= 11, what="messages over TLS")
    totals = exporter.finish()["mqtt"]
    assert totals["dropped"] == 0 and totals["delivered"] >= 10


@pytest.mark.parametrize(
    "kind, reason",
    [
        ("wrong host", "its certificate is not for 127.0.0.1"),
        ("expired", "certificate verify failed"),
        ("self-signed", "certificate verify failed"),
        ("wrong CA", "certificate verify failed"),
    ],
)
def test_tls_with_a_bad_certificate(started, tmp_path, certificates, kind, reason):
    sim = started(Sim, "--devices", "10", "--change", "100")
    broker = tls_broker(started, certificates[kind])
    exporter = over_tls(started, tmp_path, sim, broker, {"ca_file": str(certificates["ca"])})
    wait_for(lambda: "cannot deliver" in exporter.stderr(), 40, "the refusal")
    line = next(x for x in exporter.stderr().splitlines() if "cannot deliver" in x)
    assert reason in line, line
    exporter.stop()
    assert "CONNECT" not in broker.log(), "not one word was said"


def test_tls_without_the_client_certificate(started, tmp_path, certificates):
    sim = started(Sim, "--devices", "10", "--change", "100")
    broker = tls_broker(
        started, certificates["good"], f"cafile {certificates['ca']}", "require_certificate true"
    )
    exporter = over_tls(started, tmp_path, sim, broker, {"ca_file": str(certificates["ca"])})
    wait_for(lambda: "cannot deliver" in exporter.stderr(), 40, "the refusal")
    exporter.stop()


def test_tls_insecure_works_and_warns(started, tmp_path, certificates):
    sim = started(Sim, "--devices", "10", "--change", "100")
    broker = tls_broker(started, certificates["self-signed"])
    exporter = over_tls(started, tmp_path, sim, broker, {"insecure": True})
    wait_for(lambda: "delivering" in exporter.stderr(), what="it delivers")
    assert "tls is insecure" in exporter.stderr()
    exporter.finish()


# --- probe ---


def probe(tmp_path, sim, broker, **more):
    path = configure(tmp_path, [source(sim.url)], "probe", [sink(broker, **more)])
    run = subprocess.run(
        [str(BUILD / "kismet-export"), "probe", "--config", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return run.returncode, [x for x in run.stdout.splitlines() if " sink mqtt" in x]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_probe(started, tmp_path, protocol):
    sim = started(Sim, "--devices", "5")
    rights = f"user tester\ntopic readwrite kismet/#\nuser mute\ntopic write x/#\ntopic read #\n"
    (tmp_path / "acl").write_text(rights)
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "tester", "x"], check=True)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "mute", "x"], check=True)
    broker = started(
        Broker, f"password_file {passwords}", f"acl_file {tmp_path}/acl", anonymous=False
    )
    status, lines = probe(tmp_path, sim, broker, username="tester", password="x", protocol=protocol)
    text = "\n".join(lines)
    assert status == 0 and "FAIL" not in text and "warn" not in text, text
    assert "can be reached" in text and f"MQTT {protocol} as tester" in text
    assert "kismet/status/sensor/probe came back" in text
    assert retained(broker.port, "#", user=("tester", "x")) == {}, "nothing is left behind"
    status, lines = probe(tmp_path, sim, broker, username="tester", password="y", protocol=protocol)
    assert status == 69 and "check username and password_file" in lines[-1], lines
    status, lines = probe(tmp_path, sim, broker, username="mute", password="x", protocol=protocol)
    if protocol == "5":
        assert status == 69 and "ACL" in lines[-1] and "FAIL" in lines[-1], lines
    else:
        assert "did not come back" in lines[-1] and "warn" in lines[-1], lines
    broker.stop()
    status, lines = probe(tmp_path, sim, broker)
    assert status == 69 and "Connection refused" in lines[-1], lines
    status, lines = probe(tmp_path, sim, broker, url="mqtt://no-such-host.invalid")
    assert status == 69 and "cannot find the host" in lines[-1], lines
