"""What the tests of the whole line into PostgreSQL share, and a PgBouncer."""

import json
import re
import shutil
import subprocess
import tempfile
import pathlib

import campaign
from harness import ROOT, SLOW, wait_for
from postgres import ENVIRONMENT, as_server, free_port

APPLICATION = "application_name = 'kismet-export'"


def sink(database, name="pg", user="postgres", **more):
    return {
        "name": name,
        "type": "postgres",
        "conn": database.conninfo(user),
        "batch": {"interval": "50ms"},
        **more,
    }


def launch(started, directory, sources, sinks, name="exporter", **top):
    exporter = campaign.launch(started, directory, sources, name, sinks=sinks, **top)
    return exporter


def devices(database, table="kismet_devices"):
    return {r["mac_addr"]: r for r in database.rows(f"SELECT * FROM {table}")}


def count(database, table="kismet_devices"):
    found = database.rows(f"SELECT count(*) AS n FROM {table}")
    return found[0]["n"] if found else 0


def differences(sim, database):
    return campaign.differences(sim, found=devices(database))


def settle(sim, database, seconds=60):
    """Nothing changes any more, and the database comes to be what the simulator knows."""
    sim.command("freeze")
    wait_for(
        lambda: not differences(sim, database), seconds, "the rows equal the truth", every=0.25
    )


def uids(database):
    found = [r["event_uid"] for r in database.rows("SELECT event_uid FROM kismet_events")]
    assert len(found) == len(set(found)), "an event twice"
    return set(found)


def witnessed(exporter):
    """The events that a console sink (format: json) of the same process had."""
    records = map(json.loads, exporter.stdout().splitlines())
    return {r["event_uid"] for r in records if "event_uid" in r}


WITNESS = {"type": "console", "format": "json", "name": "witness"}


def said(exporter, pattern):
    return re.search(pattern, exporter.stderr())


def write_result(name, what, **found):
    """What a campaign found, beside the commit that it ran on."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    log = {"what": what, "commit": commit, **found}
    (ROOT / "tests" / "results" / name).write_text(json.dumps(log, indent=1) + "\n")


class PgBouncer:
    """In transaction mode, before one server, with few sessions for many."""

    def __init__(self, server, pool_size=1):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="kx-bouncer-"))
        self.port = free_port()
        (self.directory / "users").write_text('"postgres" ""\n')
        (self.directory / "ini").write_text(
            f"[databases]\n* = host={server.directory} port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
            f"unix_socket_dir =\nauth_type = any\nauth_file = {self.directory}/users\n"
            f"pool_mode = transaction\ndefault_pool_size = {pool_size}\nmax_client_conn = 50\n"
            f"logfile = {self.directory}/log\n"
            # any means one user for all
            .replace("* = host", "* = user=postgres host")
        )
        if as_server():
            for path in (self.directory, *self.directory.iterdir()):
                shutil.chown(path, "postgres", "postgres")
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        self.process = subprocess.Popen(
            [program, "-q", str(self.directory / "ini")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd=self.directory,
            **as_server(),
        )
        wait_for(self.is_ready, what="PgBouncer takes connections")

    def is_ready(self):
        assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
        done = subprocess.run(
            ["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
            env=ENVIRONMENT,
            check=False,
        )
        return done.returncode == 0

    def conninfo(self, dbname):
        return f"host=127.0.0.1 port={self.port} dbname={dbname} user=postgres sslmode=disable"

    def kill(self):
        self.process.terminate()
        self.process.wait(30 * SLOW)
        shutil.rmtree(self.directory, ignore_errors=True)
