"""scripts/demo, as a stranger runs it."""

import os
import pathlib
import subprocess

import pytest

import kismet
from harness import BUILD, CAPTURES, ROOT, rows

TOPICS = set(
    "ALERT MESSAGE NEW_DEVICE DOT11_ADVERTISED_SSID DOT11_PROBED_SSID GPS_LOCATION BATTERY "
    "STATISTICS PACKETCHAIN_STATS".split()
)


@pytest.mark.skipif(BUILD != ROOT / "build", reason="the demo is the release build's")
def test_demo_ends_with_340_devices_and_the_captures_events(tmp_path):
    db = tmp_path / "demo.db"
    demo = subprocess.run(
        [ROOT / "scripts" / "demo", db],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
        env={k: v for k, v in os.environ.items() if not k.startswith("KISMET_")},
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    path = CAPTURES / "neighbourhood-full.ndjson.zst"
    frames = [f for _, s, f in kismet.capture(path) if s == "monitor"]
    timed, least, most = kismet.events(path, TOPICS)
    expected = kismet.newest(frames)
    found = {r["mac_addr"]: r for r in rows(db, "SELECT * FROM kismet_devices")}
    assert set(found) == set(expected) and len(found) == 340
    for mac, want in expected.items():
        assert {c: found[mac][c] for c in want} == want
    events = rows(db, "SELECT event_type FROM kismet_events")
    timeless = sum(e["event_type"] in kismet.TIMELESS for e in events)
    assert len(events) - timeless == len(timed)
    assert least <= timeless <= most
    assert f"{len(found)} devices and {len(events)} events" in demo.stdout
    # Progress came while it ran, and the table of the strongest at the end.
    assert demo.stdout.count(" events in ") >= 4
    strongest = max(r["signal_dbm"] for r in found.values() if r["signal_dbm"] is not None)
    assert f" {strongest} " in demo.stdout
    assert not pathlib.Path(ROOT / "build-demo.log").exists()
