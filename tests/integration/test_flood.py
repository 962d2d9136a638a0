"""A flood of MACs that are seen once: memory stays, evictions are counted, who stays is right."""

import pytest

from campaign import count, counters, launch, rss_kib, sanitized, source
from harness import ROOT, rows, wait_for
from rawkismet import RawKismet, device, frame, mac_of

STEADY = 100  # devices that are heard all the time
CHUNK = 2000
GROWTH_KIB_MAX = 512


def flood(started, tmp_path, macs, max_devices, warm_macs):
    raw = started(lambda _directory: RawKismet())
    # Warm is when the registry, a small ring and SQLite's page cache (8 MiB) have been filled once.
    exporter = launch(
        started, tmp_path, [source(raw.url)], max_devices=max_devices, ring_bytes="1MiB"
    )
    exporter.streaming()
    wait_for(raw.ready, what="the subscriptions")
    steady = range(0x800001, 0x800001 + STEADY)
    warm = None
    for start in range(1, macs + 1, CHUNK):
        chunk = [frame(device(n)) for n in range(start, start + CHUNK)]
        chunk += [frame(device(n, packets=start)) for n in steady]
        raw.send("monitor", b"".join(chunk))
        # A live source is never waited for: what outruns the sinks would be dropped by design.
        query = "SELECT total_packets AS p FROM kismet_devices WHERE mac_addr = ?"
        wait_for(
            lambda: rows(exporter.db, query, mac_of(steady[-1])) == [{"p": start}],
            60,
            f"{start + CHUNK - 1} MACs",
            every=0.002,
        )
        if warm is None and start > warm_macs:
            warm = rss_kib(exporter.pid)
    wait_for(lambda: count(exporter.db) == macs + STEADY, 60, "a row for each MAC")
    peak = rss_kib(exporter.pid)
    if not sanitized():
        assert peak - warm < GROWTH_KIB_MAX, (warm, peak)
    found = rows(
        exporter.db,
        "SELECT count(*) AS n FROM kismet_devices WHERE mac_addr >= ? AND total_packets = ?",
        mac_of(steady[0]),
        start,
    )
    assert found == [{"n": STEADY}]
    assert exporter.finish()["sqlite"]["dropped"] == 0
    evicted = counters(exporter, "main")["devices_evicted_total"]
    # A steady device may be pushed out once, before it has its second chance.
    assert macs + STEADY - max_devices <= evicted <= macs + 2 * STEADY - max_devices
    return warm, peak, evicted


def test_a_flood_of_macs(started, tmp_path):
    flood(started, tmp_path, 60000, 5000, 45000)


@pytest.mark.slow
def test_a_million_macs(started, tmp_path):
    warm, peak, evicted = flood(started, tmp_path, 1000000, 50000, 200000)
    (ROOT / "tests" / "results" / "flood.txt").write_text(
        "1,000,000 distinct MACs with max_devices 50,000 and 100 that stay:\n"
        f"RSS {warm} KiB after 200,000 MACs, {peak} KiB at the end; {evicted} evictions; "
        "each of the 100 right, each MAC a row\n"
    )
