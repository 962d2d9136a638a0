#!/usr/bin/env python3
"""Prints the digests of test_text.c: what Python makes of the texts that the test goes through.

The reference is Python's own decoder (errors="replace"); what the terminal and JSON filters do to
a character is stated here a second time, character by character.
"""
import hashlib
import itertools

EDGES = bytes.fromhex("00 41 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")


def short_texts():
    """All of up to 2 bytes, and of 3 and 4 all of those that matter, at every offset to 8."""
    parts = [b""]
    parts += (bytes(p) for n in (1, 2) for p in itertools.product(range(256), repeat=n))
    parts += (bytes(p) for n in (3, 4) for p in itertools.product(EDGES, repeat=n))
    for i, part in enumerate(parts):
        yield b"a" * (i % 9) + part + b"z" * (i % 10)


def code_points():
    for point in range(0x110000):
        yield chr(point).encode("utf-8", "surrogatepass")


def repair(text):
    return text.decode("utf-8", "replace").encode()


def valid(text):
    try:
        text.decode("utf-8")
        return b"%d" % len(text)
    except UnicodeDecodeError as error:
        return b"%d" % error.start


HIDDEN = {0xAD, 0x61C, 0x180E, 0xFEFF}
for first, last in ((0x80, 0x9F), (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F),
                    (0xFFF9, 0xFFFB), (0xE0000, 0xE007F)):
    HIDDEN.update(range(first, last + 1))
TERMINAL = {point: "\\x%02X" % point for point in [*range(0x20), 0x7F]}
TERMINAL.update({p: "\\u%04X" % p if p < 0x10000 else "\\U%08X" % p for p in HIDDEN})
JSON = {p: "\\u%04X" % p for p in [*range(0x20), 0x7F, 0x2028, 0x2029, *map(ord, "<>&")]}
JSON.update({ord('"'): '\\"', ord("\\"): "\\\\"})


def terminal(text):
    return text.decode("utf-8", "replace").translate(TERMINAL).encode()


def json(text):
    return text.decode("utf-8", "replace").translate(JSON).encode()


for texts in (short_texts, code_points):
    for function in (valid, repair, terminal, json):
        digest = hashlib.sha256()
        for text in texts():
            digest.update(function(text) + b"\n")
        print(texts.__name__, function.__name__, digest.hexdigest())
