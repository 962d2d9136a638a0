#!/usr/bin/python3
"""R6: the mqtt sink against paho alone, interleaved, median of 5, at a mosquitto on loopback.

Usage: bench/mqtt.py BUILD [MESSAGES]   (targets bench_mqtt, floor_mqtt); writes bench/results/mqtt.txt
"""

import os
import pathlib
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROUNDS = 5
PAYLOAD_BYTES = 600


def main():
    build = pathlib.Path(sys.argv[1])
    messages = sys.argv[2] if len(sys.argv) > 2 else "30000"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    config = tempfile.NamedTemporaryFile("w", suffix=".conf")
    config.write(f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nlog_type none\n")
    config.flush()
    broker = subprocess.Popen(["mosquitto", "-c", config.name])
    time.sleep(1)

    def rate(*arguments):
        run = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=600)
        return int(run.stdout)

    def floor(version, window):
        uri = f"tcp://127.0.0.1:{port}"
        return rate(build / "bench/floors/floor_mqtt", uri, version, window, messages, PAYLOAD_BYTES)

    def ours(protocol):
        url = f"mqtt://127.0.0.1:{port}"
        return rate(build / "bench/micro/bench_mqtt", url, protocol, messages)

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    lines = [
        f"R6, messages a second at QoS 1, mosquitto on loopback, {os.cpu_count()} CPUs, "
        f"{platform.machine()}, commit {commit}, load {os.getloadavg()[0]:.1f} at the start;",
        f"{messages} messages of {PAYLOAD_BYTES} B, median of {ROUNDS}, interleaved; floor: paho "
        "alone, its best window",
    ]
    try:
        for version, protocol, windows in ((5, "5", (8, 12, 16)), (4, "3.1.1", (16, 30, 50, 100))):
            best = max(windows, key=lambda w: statistics.median(floor(version, w) for _ in range(3)))
            pairs = [(floor(version, best), ours(protocol)) for _ in range(ROUNDS)]
            them, us = (statistics.median(side) for side in zip(*pairs))
            lines.append(
                f"MQTT {protocol}: floor {them} (window {best}), ours {us}: {us / them:.2f}   "
                f"each: {' '.join(f'{f}/{o}' for f, o in pairs)}"
            )
    finally:
        broker.terminate()
        broker.wait()
    text = "\n".join(lines) + "\n"
    print(text)
    (ROOT / "bench" / "results" / "mqtt.txt").write_text(text)


main()
