"""A real PostgreSQL for the tests: started as another user than root, in a directory of its own.

`Postgres` is one server with a Unix socket and a free TCP port, that tests may stop, kill and start
again. The fixture `postgres_server` is shared by all tests of a worker; `database` is a fresh, empty
database in it. A test that breaks its server starts one for itself: `own_server`.

    from postgres import database, own_server, postgres_server  # noqa: F401
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from harness import SLOW, wait_for

# The tests' times and languages must not depend on where they run.
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if not k.startswith("PG")},
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}


def binaries():
    """The directory of initdb and postgres, of the newest version here; None when there is none."""
    named = os.environ.get("KX_PG_BIN")
    if named:
        return pathlib.Path(named)
    found = [p.parent for p in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found.sort(key=lambda p: float(p.parent.name))
    if found:
        return found[-1]
    there = shutil.which("initdb")
    return pathlib.Path(there).resolve().parent if there else None


def need_server():
    """The directory of the server's programs; fails on CI and skips loudly elsewhere without it."""
    there = binaries()
    if there is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no PostgreSQL: run scripts/setup")
    return there


def as_server():
    """How subprocess starts a program that refuses to run as root."""
    return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    """One server. settings are lines of postgresql.conf: {"timezone": "UTC"}."""

    def __init__(self, settings=None, initdb=(), auth="trust"):
        self.bin = need_server()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="kx-pg-"))
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.process = None
        self.port = free_port()
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", auth, "-N", "-E", "UTF8",
                 "--locale=C.UTF-8", *initdb)
        self.configure(
            {
                "listen_addresses": "127.0.0.1",
                "port": self.port,
                "unix_socket_directories": self.directory,
                "fsync": "off",
                "max_connections": 100,
                "timezone": "UTC",
                "log_timezone": "UTC",
                "log_min_messages": "warning",
                **(settings or {}),
            }
        )
        self.start()

    def run(self, program, *arguments):
        done = subprocess.run(
            [str(self.bin / program), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120 * SLOW,
            env=ENVIRONMENT,
            cwd=self.directory,
            **as_server(),
        )
        assert done.returncode == 0, f"{program}: {done.stderr}{done.stdout}"
        return done.stdout

    def configure(self, settings):
        """Appends settings; a reload or a new start makes them count."""
        with open(self.data / "postgresql.conf", "a") as f:
            f.writelines(f"{key} = '{value}'\n" for key, value in settings.items())

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                cwd=self.directory,
                **as_server(),
            )
        wait_for(self.is_ready, seconds=60, what="PostgreSQL takes connections")

    def is_ready(self):
        assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()[-2000:]}"
        done = subprocess.run(
            [str(self.bin / "pg_isready"), "-q", "-h", str(self.directory), "-p", str(self.port)],
            env=ENVIRONMENT,
            check=False,
        )
        return done.returncode == 0

    def stop(self, how="fast"):
        """smart, fast, immediate as pg_ctl names them."""
        if self.process is None or self.process.poll() is not None:
            return
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self.process.send_signal(signals[how])
        self.process.wait(60 * SLOW)

    def restart(self, how="fast"):
        self.stop(how)
        self.start()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def close(self):
        self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def conninfo(self, dbname="postgres", user="postgres", tcp=False, **more):
        """A libpq connection string; by the Unix socket, or by TCP."""
        host = "127.0.0.1" if tcp else self.directory
        words = {"host": host, "port": self.port, "dbname": dbname, "user": user, **more}
        return " ".join(f"{key}={value}" for key, value in words.items())

    def psql(self, sql, dbname="postgres", user="postgres", check=True, file=None, **variables):
        """What psql prints of one text, or of a file: rows by line, columns by tabs."""
        done = subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1",
             *(word for k, v in variables.items() for word in ("-v", f"{k}={v}")),
             *(["-f", str(file)] if file else ["-f", "-"]), self.conninfo(dbname, user)],
            input=None if file else sql,
            capture_output=True,
            text=True,
            timeout=120 * SLOW,
            env=ENVIRONMENT,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{done.stderr}\n{sql or file}"
            return done.stdout.rstrip("\n")
        return done

    def rows(self, query, dbname="postgres", user="postgres"):
        """Dictionaries, by way of JSON; [] while a table is not there yet."""
        done = self.psql(f"SELECT coalesce(json_agg(r), '[]') FROM ({query}) r", dbname, user,
                         check=False)
        if done.returncode != 0 and re.search(r'relation ".*" does not exist', done.stderr):
            return []
        assert done.returncode == 0, f"{done.stderr}\n{query}"
        return json.loads(done.stdout)


class Database:
    """One database of a server."""

    def __init__(self, server, name):
        self.server = server
        self.name = name

    def conninfo(self, user="postgres", **more):
        return self.server.conninfo(self.name, user, **more)

    def psql(self, sql, user="postgres", **more):
        return self.server.psql(sql, self.name, user, **more)

    def rows(self, query, user="postgres"):
        return self.server.rows(query, self.name, user)


@pytest.fixture(scope="session")
def postgres_server():
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def database(postgres_server):
    """A fresh, empty database; its roles are the server's, so a test names its own."""
    name = f"kx_{os.urandom(6).hex()}"
    postgres_server.psql(f"CREATE DATABASE {name}")
    yield Database(postgres_server, name)
    postgres_server.psql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def own_server():
    """Starts servers for one test: own_server(settings={...})."""
    servers = []

    def start(**options):
        servers.append(Postgres(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
