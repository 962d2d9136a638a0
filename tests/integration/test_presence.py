"""Presence: home, not_home, unknown; by when a device was heard, over restarts of everybody."""

import json
import signal
import threading
import time

import pytest

from campaign import QUICK, launch, source
from harness import Exporter, Sim, wait_for
from mosquitto import Broker, Watcher, retained, sink

AWAY_S = 4
TOPIC = "kismet/presence/"


class Phone:
    """A device of the simulator that is heard each half second while it is near."""

    def __init__(self, sim):
        self.sim = sim
        self.record = next(iter(sim.truth().values()))
        self.mac = self.record["kismet.device.base.macaddr"]
        self.topic = TOPIC + self.mac.replace(":", "_")
        self.near = threading.Event()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.wait(0.5):
            if self.near.is_set():
                self.heard()

    def heard(self):
        now = int(time.time())
        self.record["kismet.device.base.last_time"] = now
        self.record["kismet.device.base.mod_time"] = now
        self.record["kismet.device.base.packets.total"] += 1
        try:
            self.sim.command("put " + json.dumps(self.record))
        except OSError:
            pass  # the simulator is being restarted

    def kill(self):
        self.stop.set()
        self.thread.join()


def export(started, tmp_path, url, broker, macs, name="exporter", discovery=False, **more):
    presence = {"macs": macs, "away_after": f"{AWAY_S}s", "discovery": discovery}
    return launch(
        started,
        tmp_path,
        [source(url, reconnect=QUICK)],
        name,
        sinks=[sink(broker, presence=presence, **more)],
    )


@pytest.fixture
def scene(started, tmp_path):
    sim = started(Sim, "--devices", "4", "--change", "0")
    broker = started(
        Broker,
        "persistence true",
        f"persistence_location {tmp_path}/",
        "autosave_interval 1",
        "autosave_on_changes true",
    )
    watcher = started(lambda _: Watcher(broker.port, f"{TOPIC}#"))
    phone = started(lambda _: Phone(sim))
    return sim, broker, watcher, phone


def states(watcher, phone):
    """What changed: repeated words are one."""
    words = watcher.texts(phone.topic)
    return [w for i, w in enumerate(words) if i == 0 or words[i - 1] != w]


@pytest.mark.release
def test_a_phone_that_leaves_becomes_not_home_once(started, tmp_path, scene):
    """On a monitor that sends every device again and again, with a filter that hides the phone, and
    a delta that would hide that it is still heard."""
    sim, broker, watcher, phone = scene
    sim.command("monitor repeat")
    phone.near.set()
    exporter = export(
        started,
        tmp_path,
        sim.url,
        broker,
        [phone.mac.lower(), "02:00:00:00:00:01"],
        filter={"macs_deny": [phone.mac]},
        delta={"min_interval": "1h"},
    )
    wait_for(lambda: states(watcher, phone) == ["home"], what="it is home")
    begun = time.monotonic()
    wait_for(lambda: time.monotonic() - begun > 2 * AWAY_S, what="it stays", every=0.2)
    assert watcher.texts(phone.topic) == ["home"], "said once, and still"
    phone.near.clear()
    wait_for(lambda: states(watcher, phone) == ["home", "not_home"], AWAY_S + 2, "it has left")
    begun = time.monotonic()
    wait_for(lambda: time.monotonic() - begun > 2 * AWAY_S, what="it stays away", every=0.2)
    assert watcher.texts(phone.topic) == ["home", "not_home"], "once"
    phone.near.set()
    wait_for(lambda: states(watcher, phone)[-1] == "home", what="it is back")
    assert watcher.texts(TOPIC + "02_00_00_00_00_01") == ["not_home"], "never heard"
    exporter.finish()
    kept = retained(broker.port, f"{TOPIC}#")
    assert kept[phone.topic] == "home"
    assert not [m for m in watcher.all(TOPIC) if m.payload not in (b"home", b"not_home")]


def test_away_over_restarts_of_exporter_and_broker(started, tmp_path, scene):
    sim, broker, watcher, phone = scene
    phone.near.set()
    exporter = export(started, tmp_path, sim.url, broker, [phone.mac])
    wait_for(lambda: states(watcher, phone) == ["home"], what="it is home")
    phone.near.clear()
    wait_for(lambda: states(watcher, phone) == ["home", "not_home"], what="it has left")
    exporter.finish()
    exporter = export(started, tmp_path, sim.url, broker, [phone.mac], name="second")
    exporter.streaming()
    broker.restart()
    wait_for(lambda: "delivering again" in exporter.stderr(), 40, "it goes on")
    broker.restart(signal.SIGKILL)
    assert retained(broker.port, phone.topic) == {phone.topic: "not_home"}
    begun = time.monotonic()
    wait_for(lambda: time.monotonic() - begun > 2 * AWAY_S, what="time passes", every=0.2)
    assert states(watcher, phone) == ["home", "not_home"]
    exporter.kill()
    phone.near.set()
    exporter = export(started, tmp_path, sim.url, broker, [phone.mac], name="third")
    wait_for(lambda: states(watcher, phone)[-1] == "home", what="it is back")
    assert states(watcher, phone) == ["home", "not_home", "home"]
    exporter.finish()


def test_a_dead_kismet_makes_it_unknown(started, tmp_path, scene):
    sim, broker, watcher, phone = scene
    phone.near.set()
    exporter = export(started, tmp_path, sim.url, broker, [phone.mac])
    wait_for(lambda: states(watcher, phone) == ["home"], what="it is home")
    sim.process.kill()
    sim.process.wait()
    wait_for(lambda: states(watcher, phone) == ["home", "unknown"], 30, "nobody knows")
    again = started(Sim, "--devices", "4", "--change", "0", name="again", port=sim.port)
    phone.sim = again
    wait_for(lambda: states(watcher, phone)[-1] == "home", 60, "it is heard again")
    assert states(watcher, phone) == ["home", "unknown", "home"]
    exporter.finish()


@pytest.mark.release
def test_a_radio_that_failed_makes_it_unknown(started, tmp_path, scene):
    """Kismet lives, its radios do not: the commonest failure in the field."""
    sim, broker, watcher, phone = scene
    phone.near.set()
    exporter = export(started, tmp_path, sim.url, broker, [phone.mac])
    wait_for(lambda: states(watcher, phone) == ["home"], what="it is home")
    sim.command("datasource none")
    phone.near.clear()
    wait_for(lambda: states(watcher, phone)[-1] == "unknown", 90, "nobody knows")
    exporter.finish()


def test_home_assistant_is_told(started, tmp_path, scene):
    sim, broker, watcher, phone = scene
    configs = started(
        lambda _: Watcher(broker.port, "homeassistant/device_tracker/#", client_id="assistant")
    )
    phone.near.set()
    exporter = export(started, tmp_path, sim.url, broker, [phone.mac], discovery=True)
    wait_for(lambda: configs.all("homeassistant/"), what="the announcement")
    message = configs.all("homeassistant/")[0]
    config = json.loads(message.payload)
    mac = phone.mac.replace(":", "_")
    assert message.topic == f"homeassistant/device_tracker/kismet_sensor_{mac}/config"
    assert config == {
        "name": phone.mac,
        "unique_id": f"kismet_sensor_{mac}",
        "state_topic": phone.topic,
        "payload_home": "home",
        "payload_not_home": "not_home",
        "payload_reset": "unknown",
        "source_type": "router",
        "availability_topic": "kismet/status/sensor",
        "payload_available": "online",
        "payload_not_available": "offline",
    }
    assert retained(broker.port, message.topic) == {message.topic: message.payload.decode()}
    assert retained(broker.port, config["availability_topic"]) == {
        "kismet/status/sensor": "online"
    }
    configs.client.publish("homeassistant/status", "offline", 1)
    configs.client.publish("homeassistant/status", "online", 1)
    wait_for(lambda: len(configs.all("homeassistant/")) == 2, what="it is told again")
    exporter.finish()
