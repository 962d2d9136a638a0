"""What the tests of disturbed sources share: configurations, counters, comparing with the truth."""

import json
import pathlib
import re

import kismet
from harness import BUILD, Exporter, rows


def source(url, name="test", **more):
    return {"name": name, "url": url, "rate": "1s", **more}


QUICK = {"min": "100ms", "max": "200ms"}


def configure(directory, sources, name="exporter", sinks=None, **top):
    """Writes a configuration; JSON is YAML. The database is NAME.db beside it."""
    directory = pathlib.Path(directory)
    path = directory / f"{name}.yaml"
    if sinks is None:
        db = directory / f"{name}.db"
        sinks = [{"type": "sqlite", "path": str(db), "batch": {"interval": "30ms"}}]
    config = {"sensor": "sensor", "sources": sources, "sinks": sinks, **top}
    path.write_text(json.dumps(config, indent=1) + "\n")
    return path


def launch(started, directory, sources, name="exporter", env=None, sinks=None, **top):
    """A running exporter with its database at .db."""
    path = configure(directory, sources, name, sinks, **top)
    exporter = started(Exporter, "--config", path, name=name, env=env)
    exporter.db = pathlib.Path(directory) / f"{name}.db"
    return exporter


class Tail:
    """Counts words in a log that grows, reading each byte once."""

    def __init__(self, process):
        self.path = process.stderr_path
        self.offset = 0
        self.text = ""
        self.counts = {}

    def count(self, word):
        self.read()
        return self.counts.setdefault(word, self.text.count(word))

    def last(self, *words):
        """Where the last of these words stands; -1 = nowhere."""
        self.read()
        return max(self.text.rfind(word) for word in words)

    def read(self):
        with open(self.path, "rb") as f:
            f.seek(self.offset)
            data = f.read()
        end = data.rfind(b"\n") + 1
        new = data[:end].decode(errors="replace")
        self.offset += end
        self.text += new
        for word in self.counts:
            self.counts[word] += new.count(word)


def counters(exporter, component):
    """The counters that the exporter logs of a source ("source NAME") or of "main" at its end."""
    found = {}
    for line in exporter.stderr().splitlines():
        match = re.search(rf" {re.escape(component)}: ([a-z_]+_total(\{{\w+=\w+\}})? \d+.*)$", line)
        for part in match[1].split(", ") if match else []:
            name, _, value = part.rpartition(" ")
            found[name] = int(value)
    return found


def devices(db):
    return {r["mac_addr"]: r for r in rows(db, "SELECT * FROM kismet_devices")}


def count(db, table="kismet_devices"):
    found = rows(db, f"SELECT count(*) AS n FROM {table}")
    return found[0]["n"] if found else 0


def differences(sim, db=None, found=None):
    """Columns in which the database is not what the simulator knows; {} when all is equal. found:
    the rows by mac_addr, where they are in another database."""
    truth = {r["mac_addr"]: r for r in map(kismet.row, sim.truth().values())}
    if found is None:
        found = devices(db)
    wrong = {m: "missing" for m in truth if m not in found}
    wrong.update({m: "too many" for m in found if m not in truth})
    for mac, want in truth.items():
        for column, value in want.items():
            if mac in found and found[mac][column] != value:
                wrong[mac, column] = (value, found[mac][column])
    return wrong


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1])


def sanitized():
    """Whether the program under test carries a sanitizer: its memory says nothing then."""
    text = (BUILD / "kismet-export").read_bytes()
    return b"__asan_init" in text or b"__tsan_init" in text
