"""What PostgreSQL says when it does not take a batch, provoked for real, and what becomes of it: tried
again, held until somebody mends it, or one record put aside. Nothing is lost in any."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from campaign import source
from harness import SLOW, Sim, wait_for
from pgline import APPLICATION, count, devices, launch, said, settle, sink
from ports import Port, total
from postgres import ENVIRONMENT, Database, database, own_server, postgres_server  # noqa: F401

DEVICES = 60


@pytest.fixture
def sim(started):
    return started(Sim, "--devices", str(DEVICES), "--change", "30")


class Session:
    """A psql that stays."""

    def __init__(self, server, dbname, user="postgres"):
        self.process = subprocess.Popen(
            ["psql", "-X", "-q", "-A", "-t", server.conninfo(dbname, user)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
        )

    def send(self, sql):
        self.process.stdin.write(sql + "\n")
        self.process.stdin.flush()

    def run(self, sql):
        """Waits until it is done; what it printed."""
        self.send(sql + "\n\\echo done")
        lines = []
        for line in self.process.stdout:
            if line == "done\n":
                break
            lines.append(line)
        return "".join(lines)

    def close(self):
        self.process.stdin.close()
        self.process.wait(30 * SLOW)
        self.process.stdout.close()


@pytest.fixture
def sessions():
    opened = []

    def start(*arguments):
        opened.append(Session(*arguments))
        return opened[-1]

    yield start
    for session in opened:
        session.close()


def line(started, tmp_path, sim, at, **more):
    exporter = launch(started, tmp_path, [source(sim.url)], [sink(at, **more)])
    exporter.streaming()
    return exporter


def goes_on(at, what="rows change"):
    query = "SELECT coalesce(sum(total_packets), 0) AS n FROM kismet_devices"
    before = at.rows(query)
    wait_for(lambda: at.rows(query) != before, 60, what, every=0.1)


def waits(exporter, state):
    wait_for(lambda: said(exporter, rf"sink pg: .*{state}"), 60, f"{state} is said")


def good(exporter, sim, at):
    settle(sim, at)
    totals = exporter.finish()["pg"]
    assert totals["dropped"] == totals["dead_lettered"] == 0


# --- tried again ---


def test_a_lock_that_is_held(started, tmp_path, sim, database, sessions):  # noqa: F811
    exporter = line(started, tmp_path, sim, database)
    goes_on(database)
    other = sessions(database.server, database.name)
    other.run("BEGIN; LOCK TABLE kismet_devices IN ACCESS EXCLUSIVE MODE;")
    waits(exporter, "55P03")
    other.run("COMMIT;")
    good(exporter, sim, database)


def test_a_deadlock(started, tmp_path, sim, own_server, sessions):  # noqa: F811
    """A writer in the reverse order, with more patience than the exporter."""
    at = Database(own_server(settings={"deadlock_timeout": "2s"}), "postgres")
    exporter = line(started, tmp_path, sim, at)
    wait_for(lambda: count(at) == DEVICES, what="the devices")
    macs = sorted(devices(at))
    touch = "UPDATE kismet_devices SET mac_addr = mac_addr WHERE mac_addr = '{}';"
    other = sessions(at.server, at.name)
    watcher = sessions(at.server, at.name)
    for _ in range(10):
        other.run("SET deadlock_timeout = '60s'; BEGIN; " + touch.format(macs[-1]))
        sim.command("change 100")
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted;"
        wait_for(lambda: watcher.run(waiting).strip() != "0", 60, "the exporter waits", every=0.01)
        other.run(touch.format(macs[0]) + " COMMIT;")
        if said(exporter, "40P01"):
            break
    waits(exporter, "40P01")
    goes_on(at)
    good(exporter, sim, at)


def test_too_many_connections(started, tmp_path, sim, own_server, sessions):  # noqa: F811
    server = own_server(settings={"max_connections": "6", "superuser_reserved_connections": "3"})
    server.psql("CREATE ROLE kx LOGIN; GRANT ALL ON SCHEMA public TO kx")
    at = Database(server, "postgres")
    holders = [sessions(server, "postgres", "kx") for _ in range(3)]
    for holder in holders:
        holder.run("SELECT 1;")
    exporter = line(started, tmp_path, sim, at, user="kx")
    waits(exporter, "53300")
    holders[0].send("\\q")
    wait_for(lambda: count(at) == DEVICES, 90, "the devices", every=0.1)
    good(exporter, sim, at)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk(started, tmp_path, sim, own_server):  # noqa: F811
    server = own_server()
    small = server.directory / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs", small], check=True)
    try:
        space = small / "space"
        space.mkdir()
        subprocess.run(["chown", "postgres:postgres", space], check=True)
        server.psql(f"CREATE TABLESPACE small LOCATION '{space}'")
        server.psql("CREATE DATABASE small TABLESPACE small")
        at = Database(server, "small")
        exporter = line(started, tmp_path, sim, at)
        wait_for(lambda: count(at) == DEVICES, what="the devices")
        filler = small / "filler"
        fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(fd, b"\0" * 4096) > 0:
                pass
        except OSError:
            os.close(fd)
        sim.command("change 100")
        waits(exporter, "53100")
        filler.unlink()
        goes_on(at)
        good(exporter, sim, at)
        server.psql("DROP DATABASE small WITH (FORCE)")
        server.psql("DROP TABLESPACE small")
    finally:
        server.stop("immediate")
        subprocess.run(["umount", "-l", small], check=True)


def test_a_standby(started, tmp_path, sim, own_server):  # noqa: F811
    """Alone it is read-only: tried again, and taken once it is promoted. Among several hosts the one
    that takes writes is found, whatever their order."""
    primary = own_server(settings={"wal_level": "replica", "max_wal_senders": "4"})
    (primary.data / "pg_hba.conf").open("a").write("local replication all trust\n")
    primary.reload()
    standby = own_server()
    standby.stop("immediate")
    data = standby.directory / "replica"
    primary.run("pg_basebackup", "-h", primary.directory, "-p", primary.port, "-U", "postgres",
                "-D", data, "-R", "-c", "fast")  # fmt: skip
    with open(data / "postgresql.conf", "a") as f:
        f.write(f"port = {standby.port}\nunix_socket_directories = '{standby.directory}'\n")
    standby.data = data
    standby.start()
    both = sink(Database(primary, "postgres"), name="both")
    both["conn"] = (
        f"host={standby.directory},{primary.directory} port={standby.port},{primary.port}"
        " dbname=postgres user=postgres"
    )
    at = Database(standby, "postgres")
    exporter = launch(started, tmp_path, [source(sim.url)], [both, sink(at)])
    exporter.streaming()
    wait_for(lambda: count(Database(primary, "postgres")) == DEVICES, 60, "the primary has them")
    waits(exporter, "25006")
    standby.psql("SELECT pg_promote()")
    primary.stop("fast")  # and now the other one is the only one
    goes_on(at, "the promoted one takes rows")
    settle(sim, at)
    totals = exporter.finish()
    assert all(t["dropped"] == 0 for t in totals.values())


@pytest.mark.release
def test_a_server_that_hangs(started, tmp_path, sim, own_server):  # noqa: F811
    """It is stopped where it stands: the call ends with its deadline, and so does the program."""
    at = Database(own_server(), "postgres")
    exporter = line(started, tmp_path, sim, at)
    wait_for(lambda: count(at) == DEVICES, what="the devices")
    found = at.psql(f"SELECT pid FROM pg_stat_activity WHERE {APPLICATION}").split()
    pids = [int(found[0]), at.server.process.pid]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        sim.command("change 100")
        waits(exporter, "did not answer in time")
        status = exporter.stop(signal.SIGTERM, 15)
        assert status == 0
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


# --- held for somebody ---


def held_until(exporter, state, at, mend):
    waits(exporter, f"held, .*{state}")
    mend()
    exporter.process.send_signal(signal.SIGHUP)
    goes_on(at)


def test_a_right_that_is_taken_away(started, tmp_path, sim, own_server):  # noqa: F811
    server = own_server()
    at = Database(server, "postgres")
    server.psql("CREATE ROLE kx LOGIN; GRANT ALL ON SCHEMA public TO kx")
    exporter = line(started, tmp_path, sim, at, user="kx")
    goes_on(at)
    at.psql("ALTER TABLE kismet_devices OWNER TO postgres; REVOKE ALL ON kismet_devices FROM kx")
    waits(exporter, "held, .*")
    assert said(exporter, "42501|permission|GRANT")
    held_until(
        exporter,
        "",
        at,
        lambda: at.psql("GRANT SELECT, INSERT, UPDATE ON kismet_devices TO kx"),
    )
    good(exporter, sim, at)


def test_a_column_of_another_type(started, tmp_path, sim, database):  # noqa: F811
    exporter = line(started, tmp_path, sim, database)
    goes_on(database)
    # Nothing of a row is lost: a device that changes no more would not be told again.
    database.psql(
        "ALTER TABLE kismet_devices ALTER COLUMN frequency TYPE jsonb USING to_jsonb(frequency)"
    )
    held_until(
        exporter,
        "frequency",
        database,
        lambda: database.psql(
            "ALTER TABLE kismet_devices ALTER COLUMN frequency TYPE bigint"
            " USING (frequency #>> '{}')::bigint"
        ),
    )
    good(exporter, sim, database)


def test_a_wrong_password(started, tmp_path, sim, own_server):  # noqa: F811
    """Held, and when the file has the right one it is read: no restart."""
    server = own_server()
    at = Database(server, "postgres")
    server.psql("CREATE ROLE kx LOGIN PASSWORD 'right-one'; GRANT ALL ON SCHEMA public TO kx")
    rules = (server.data / "pg_hba.conf").read_text()
    (server.data / "pg_hba.conf").write_text("local all kx scram-sha-256\n" + rules)
    server.reload()
    password = tmp_path / "password"
    password.write_text("wrong-one\n")
    password.chmod(0o600)
    exporter = line(started, tmp_path, sim, at, user="kx", password_file=str(password))
    waits(exporter, "held, .*28P01")
    assert "wrong-one" not in exporter.stderr()
    password.write_text("right-one\n")
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: count(at) == DEVICES, 60, "the devices")
    good(exporter, sim, at)
    assert "right-one" not in exporter.stderr()


@pytest.mark.parametrize(
    "dbname, create, state",
    [
        ("not_there", None, "3D000.*createdb"),
        ("latin", "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0", "LATIN1.*UTF8"),
        ("ascii", "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0", "UTF8"),
    ],
)
def test_a_database_that_will_not_do(
    started, tmp_path, sim, postgres_server, dbname, create, state  # noqa: F811
):
    if create:
        postgres_server.psql(f"CREATE DATABASE {dbname} {create}")
    exporter = launch(
        started, tmp_path, [source(sim.url)], [sink(Database(postgres_server, dbname))]
    )
    waits(exporter, f"held, .*{state}")
    totals = exporter.finish()["pg"]
    assert totals["delivered"] == 0


# --- refused ---


def letters(exporter):
    found = list(exporter.directory.rglob("pg.dead-letter.ndjson"))
    return [json.loads(line) for path in found for line in path.read_text().splitlines()]


def test_one_poisoned_row_in_a_thousand(started, tmp_path, database):  # noqa: F811
    sim = started(Sim, "--devices", "1000", "--change", "0")
    exporter = launch(started, tmp_path, [source(started(Sim, "--devices", "1", name="one").url)],
                      [sink(database)], "maker")  # fmt: skip
    wait_for(lambda: count(database) == 1, what="the tables")
    exporter.finish()
    poison = sorted(d["kismet.device.base.macaddr"] for d in sim.truth().values())[617]
    database.psql(f"ALTER TABLE kismet_devices ADD CONSTRAINT ward CHECK (mac_addr <> '{poison}')")
    batch = {"records": 1000, "interval": "60s", "bytes": "64MiB"}
    exporter = launch(started, tmp_path, [source(sim.url, events="none")],
                      [sink(database, batch=batch)])  # fmt: skip
    wait_for(lambda: count(database) >= 999, 60, "the others", every=0.1)
    totals = exporter.finish()["pg"]
    assert totals["delivered"] >= 999 and totals["dropped"] == 0
    assert poison not in devices(database)
    # Told again by a later sweep, it is refused again; nobody else is.
    found = [json.dumps(letter) for letter in letters(exporter)]
    assert len(found) == totals["dead_lettered"] >= 1
    assert all(poison in text and "23514" in text and "ward" in text for text in found)


def test_everything_is_refused(started, tmp_path, sim, database):  # noqa: F811
    """A constraint that somebody added holds the sink, by its name, and costs no record."""
    exporter = line(started, tmp_path, sim, database)
    wait_for(lambda: count(database) == DEVICES, what="the devices")
    database.psql(
        "ALTER TABLE kismet_devices ADD CONSTRAINT nobody CHECK (last_seen IS NULL) NOT VALID"
    )
    held_until(
        exporter,
        "rejected_all.*nobody",
        database,
        lambda: database.psql("ALTER TABLE kismet_devices DROP CONSTRAINT nobody"),
    )
    good(exporter, sim, database)
    assert letters(exporter) == []


def triggered(at, body):
    """A trigger of somebody else's on kismet_devices."""
    at.psql(
        f"CREATE FUNCTION triggered() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}"
        " RETURN NEW; END $$;"
        " CREATE TRIGGER triggered BEFORE INSERT ON kismet_devices FOR EACH ROW"
        " EXECUTE FUNCTION triggered()"
    )


def make_tables(started, tmp_path, at):
    sim = started(Sim, "--devices", "1", "--seed", "99", name="first")
    exporter = launch(started, tmp_path, [source(sim.url)], [sink(at)], "maker")
    wait_for(lambda: count(at) == 1, what="the tables")
    exporter.finish()
    sim.kill()


def test_a_state_that_nobody_knows(started, tmp_path, database):  # noqa: F811
    """A batch is tried five times, then it is the records': the one is found and put aside."""
    make_tables(started, tmp_path, database)
    sim = started(Sim, "--devices", "4", "--change", "0")
    macs = sorted(d["kismet.device.base.macaddr"] for d in sim.truth().values())
    poison = macs.pop(2)
    database.psql("CREATE SEQUENCE tries")  # what a transaction drew of it stays drawn
    triggered(database, f"IF NEW.mac_addr = '{poison}' THEN PERFORM nextval('tries');"
                        " RAISE 'no such luck' USING ERRCODE = 'KX001'; END IF;")  # fmt: skip
    exporter = launch(started, tmp_path, [source(sim.url, events="none")], [sink(database)],
                      stats={"listen": "127.0.0.1:0"})  # fmt: skip
    port = Port(exporter)
    wait_for(lambda: letters(exporter), 120, "the record is put aside", every=0.1)

    def tries_by_rejection():
        drawn = int(database.psql("SELECT last_value FROM tries"))
        return drawn / total(port.metrics(), "delivery_rejections_total", sink="pg")

    wait_for(lambda: tries_by_rejection() == 5, 60, "five tries for each rejection", every=0.1)
    wait_for(lambda: set(macs) <= devices(database).keys(), what="the others")
    totals = exporter.finish()["pg"]
    assert totals["dropped"] == 0 and totals["dead_lettered"] >= 1
    assert poison not in devices(database)
    assert all("KX001" in json.dumps(x) and poison in json.dumps(x) for x in letters(exporter))


def test_no_value_of_a_row_is_told(started, tmp_path, database):  # noqa: F811
    """What the server says of a refused row names the row's values: neither log nor stats port nor
    a dead letter's text repeats them."""
    make_tables(started, tmp_path, database)
    sim = started(Sim, "--devices", "20", "--change", "0")
    sim.command("freeze")
    seconds = int(time.time())
    macs = {f"02:CA:7A:27:00:{i:02X}": f"CANARY-NET-{i}" for i in range(4)}
    for mac, name in macs.items():
        record = {
            "kismet.device.base.key": "4202770D00000000_" + mac.replace(":", ""),
            "kismet.device.base.macaddr": mac,
            "kismet.device.base.commonname": name,
            "kismet.device.base.phyname": "IEEE802.11",
            "kismet.device.base.first_time": seconds,
            "kismet.device.base.last_time": seconds,
            "kismet.device.base.mod_time": seconds,
        }
        sim.command("put " + json.dumps(record))
    by_check, by_key, by_cast, by_range = macs
    database.psql(f"ALTER TABLE kismet_devices ADD CHECK (mac_addr <> '{by_check}')")
    database.psql("CREATE UNIQUE INDEX one_name ON kismet_devices (coalesce(substring(name from"
                  " 'CANARY-NET-1'), mac_addr));"
                  " INSERT INTO kismet_devices (mac_addr, name) VALUES ('x', 'CANARY-NET-1')")  # fmt: skip
    triggered(database, f"IF NEW.mac_addr = '{by_cast}' THEN PERFORM NEW.name::integer; END IF;"
                        f" IF NEW.mac_addr = '{by_range}' THEN PERFORM"
                        " (regexp_replace(NEW.name, '.*-', '') || '0000002747')::integer; END IF;")  # fmt: skip
    exporter = launch(started, tmp_path, [source(sim.url, events="none")],
                      [sink(database, batch={"records": 1000, "interval": "1s"})],
                      stats={"listen": "127.0.0.1:0"})  # fmt: skip
    port = Port(exporter)
    wait_for(lambda: len(letters(exporter)) >= 4, 60, "all four are put aside", every=0.1)
    told = [port.ask(path)[2] for path in ("/readyz", "/status.json", "/metrics", "/")]
    exporter.finish()
    found = letters(exporter)
    for letter in found:
        letter.pop("record")
    states = {s for s in ("23514", "23505", "22P02", "22003") if s in json.dumps(found)}
    assert states == {"23514", "23505", "22P02", "22003"}
    for text in (exporter.stderr(), json.dumps(found), *map(str, told)):
        assert "CANARY" not in text and "0000002747" not in text
        assert "02:CA:7A:27" not in text.upper()
