"""Bad frames of 20 kinds among good ones: each good one arrives, the connection lives.

A raw server sends them: a library would refuse to. Good ones are paced by what has arrived, because
a live source is never waited for: a full ring would cost records by design.
"""

import random

import pytest

from campaign import count, counters, launch, source
from harness import rows, wait_for
from rawkismet import BINARY, CONTINUATION, PING, PONG, TEXT, RawKismet, device, frame

SEED = 20251122
CHUNK = 500
MAC = "AA:BB:CC:DD:EE:FF"


def cut_short(chance, number):
    text = device(number).encode()
    return frame(text[: chance.randrange(1, len(text))])


def flipped(chance, number):
    """One byte of a message's first quotation mark or bracket is another one."""
    text = bytearray(device(number).encode())
    places = [i for i, byte in enumerate(text) if byte in b'{}:"']
    text[chance.choice(places)] = chance.choice(b"x\x00\x1f@")
    return frame(bytes(text))


def noise(chance, _):
    return frame(chance.randbytes(chance.randrange(1, 300)))


def in_fragments(payload, size):
    cuts = [payload[i : i + size] for i in range(0, len(payload), size)] or [b""]
    out = frame(cuts[0], TEXT, fin=len(cuts) == 1)
    for i, cut in enumerate(cuts[1:], 2):
        out += frame(cut, CONTINUATION, fin=i == len(cuts))
    return out


# Numbers of bad ones are above every good one's: none may ever become a row with a good one's MAC.
KINDS = {
    "empty": lambda c, n: frame(""),
    "blanks": lambda c, n: frame(" \t\r\n" * c.randrange(1, 50)),
    "cut short": cut_short,
    "a byte changed": flipped,
    "noise": noise,
    "ill-formed UTF-8 outside of texts": lambda c, n: frame(b"\xc0\x80" + device(n).encode()),
    "array": lambda c, n: frame("[" + device(n) + "]"),
    "number": lambda c, n: frame(str(c.random())),
    "text": lambda c, n: frame('"' + "x" * c.randrange(0, 500) + '"'),
    "null": lambda c, n: frame("null"),
    "no key": lambda c, n: frame('{"mac_addr": "%s"}' % MAC),
    "key of the wrong type": lambda c, n: frame('{"key": [%d], "mac_addr": "%s"}' % (n, MAC)),
    "key without a name": lambda c, n: frame('{"key": "", "mac_addr": "%s"}' % MAC),
    "deep": lambda c, n: frame('{"key":' + "[" * 5000 + "]" * 5000 + "}"),
    "bad escape": lambda c, n: frame('{"key": "\\x%d"}' % n),
    "binary": lambda c, n: frame(device(n), BINARY),
    "empty fragments": lambda c, n: in_fragments(b" " * 20, 1),
    "JSON of something else": lambda c, n: frame('{"a": {"key": "%d"}}' % n),
    "ping and pong": lambda c, n: frame(c.randbytes(125), PING) + frame(c.randbytes(7), PONG),
    "control bytes": lambda c, n: frame(bytes(range(32)) * 4),
}


def campaign(started, tmp_path, pairs):
    raw = started(lambda _directory: RawKismet())
    exporter = launch(started, tmp_path, [source(raw.url)])
    exporter.streaming()
    wait_for(raw.ready, what="the subscriptions")
    chance = random.Random(SEED)
    kinds = list(KINDS.values())
    assert len(kinds) == 20
    good = 0
    while good < pairs:
        stream, out = [], []
        for _ in range(CHUNK):
            good += 1
            text = device(good, packets=good % 1000 + 1).encode()
            # Good ones come whole, in fragments, and with something between their fragments.
            message = frame(text) if good % 3 else in_fragments(text, 100)
            if good % 9 == 0:
                message = (
                    frame(text[:90], TEXT, fin=False)
                    + frame(b"between", PING)
                    + frame(text[90:], CONTINUATION)
                )
            out.append(message)
            out.append(kinds[good % 20](chance, 0x800000 + good))
        stream = b"".join(out)
        raw.send("monitor", stream)
        raw.send("eventbus", b"".join(k(chance, 0x800000 + good) for k in kinds))
        wait_for(
            lambda: count(exporter.db) >= good * 99 // 100,
            60,
            f"{good} good ones",
            every=0.005,
        )
    query = (
        "SELECT count(*) AS n, sum(total_packets) AS packets FROM kismet_devices"
        " WHERE mac_addr < '02:00:00:80'"
    )
    packets = sum(number % 1000 + 1 for number in range(1, pairs + 1))
    wait_for(
        lambda: rows(exporter.db, query) == [{"n": pairs, "packets": packets}],
        what=f"each of {pairs} good ones",
    )
    assert raw.connections == {"monitor": 1, "eventbus": 1}
    assert "next try in" not in exporter.stderr()
    assert exporter.finish()["sqlite"]["dropped"] == 0
    found = counters(exporter, "source test")
    bad = sum(v for k, v in found.items() if k.startswith("parse_errors_total"))
    assert bad > pairs * 0.85, found  # a changed byte may leave JSON that is good enough
    assert found["parse_errors_total{reason=binary}"] >= pairs // 20


def test_bad_frames_among_good_ones(started, tmp_path):
    campaign(started, tmp_path, 2000)


@pytest.mark.slow
def test_a_hundred_thousand_bad_frames(started, tmp_path):
    campaign(started, tmp_path, 100000)
