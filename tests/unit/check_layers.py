#!/usr/bin/env python3
"""Holds the #include lines of src/ to the arrows of the pipeline.

    base <- {stats, record <- config <- encode} <- ring <- ingest,   ring <- batch <- sinks

A folder includes what stands to its left, never what stands to its right; main.c and the commands
beside it (WIRING) know everybody, and nobody knows them. A sink knows of batch/ only what a sink
must: sink.h, and presence.h.

Usage: check_layers.py SRC_DIRECTORY
"""
import pathlib
import re
import sys

ALLOWED = {
    "base": set(),
    "config": {"record", "base"},
    "stats": {"base"},
    "record": {"base"},
    "encode": {"config", "record", "base"},
    "ring": {"record", "base"},
    "ingest": {"ring", "record", "config", "stats", "base"},
    "batch": {"ring", "encode", "record", "config", "stats", "base"},
    "sinks": {"encode", "record", "config", "stats", "base"},
}
ALLOWED_HEADERS = {"sinks": {"batch/sink.h", "batch/presence.h"}}
WIRING = {f"{name}.{kind}" for kind in "ch" for name in (
    "account", "display", "feed", "keyfile", "login", "probe", "reload", "schema", "terminal"
)} | {"main.c"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def check_file(name, text):
    """The faults of one file, named relative to src/, as "name:line: what" texts."""
    folder = name.split("/")[0] if "/" in name else None
    faults = []
    if folder is None:
        if name not in WIRING:
            faults.append(f"{name}:1: only the wiring stands outside of a folder; see WIRING")
        return faults
    if folder not in ALLOWED:
        return [f"{name}:1: {folder}/ is in no place of the pipeline; give it one in ALLOWED"]
    # Comments go, their line breaks stay: an include in a comment is none.
    text = COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), text)
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        header = found.group(1)
        if "/" not in header or ".." in header.split("/"):
            faults.append(f'{name}:{number}: include "{header}" by its path from src/')
            continue
        other = header.split("/")[0]
        if other != folder and other not in ALLOWED[folder] and header not in ALLOWED_HEADERS.get(
                folder, ()):
            faults.append(f'{name}:{number}: {folder}/ must not include "{header}"')
    return faults


def check_tree(source):
    files = sorted(path for path in source.rglob("*") if path.suffix in (".c", ".h", ".cpp", ".def"))
    if not files:
        return [f"{source}: no source files here"]
    return [fault
            for path in files
            for fault in check_file(path.relative_to(source).as_posix(), path.read_text())]


def check_self():
    """A check that cannot fail proves nothing: each rule sees one breach and one like it allowed."""
    cases = [
        ("base/buf.c", '#include "base/text.h"\n#include <stdio.h>', 0),
        ("base/buf.c", '#include "record/record.h"', 1),
        ("config/config.c", '#include "base/log.h"', 0),
        ("config/config.c", '#include "stats/board.h"', 1),
        ("config/check.c", '#include "record/record.h"', 0),
        ("encode/json.c", '#include "config/config.h"\n#include "record/record.h"', 0),
        ("encode/json.c", '#include "batch/sink.h"', 1),
        ("ring/ring.h", '#include "record/record.h"', 0),
        ("ring/ring.h", '#include "stats/counters.h"', 1),
        ("ingest/json.cpp", '#include "ring/ring.h"', 0),
        ("ingest/json.cpp", '  #  include "batch/sink.h"', 1),
        ("batch/worker.c", '#include "ring/ring.h"', 0),
        ("batch/worker.c", '#include "sinks/sinks.h"', 1),
        ("batch/deadletter.c", '#include "encode/json.h"', 0),
        ("sinks/mqtt.c", '#include "batch/sink.h"\n#include "base/probe.h"', 0),
        ("sinks/mqtt.c", '#include "probe.h"', 1),
        ("sinks/mqtt.c", '#include "batch/spool.h"\n#include "ring/ring.h"', 2),
        ("sinks/mqtt.c", '/* #include "ring/ring.h"\n#include "ring/ring.h" */', 0),
        ("sinks/mqtt.c", '#include "http.h"', 1),
        ("sinks/mqtt.c", '#include "sinks/../ring/ring.h"', 1),
        ("main.c", '#include "sinks/sinks.h"\n#include "ingest/loop.h"', 0),
        ("login.c", '#include "login.h"\n#include "ingest/ask.h"', 0),
        ("other.c", "", 1),
        ("new/file.c", "", 1),
    ]
    for name, text, faults in cases:
        found = check_file(name, text)
        if len(found) != faults:
            sys.exit(f"check_layers: its own check failed on {name}: {text!r}: {found}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    check_self()
    faults = check_tree(pathlib.Path(sys.argv[1]))
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
