"""PostgreSQL by the real program: roles, the commands `schema` and `probe`, many at once."""

import os
import re
import subprocess

import pytest

from campaign import configure, source
from harness import BUILD, CAPTURES, ROOT, SLOW, Exporter, Sim, wait_for
from postgres import Database, database, postgres_server  # noqa: F401
from test_docs import blocks
from test_postgres_schema import COMPOSE_EVENTS, SCRIPT, TABLES, relations, role  # noqa: F401

ROLES = ROOT / "deploy" / "sql" / "roles.sql"
DEVICES = 40


@pytest.fixture
def sim(started):
    return started(Sim, "--devices", DEVICES, "--rate", "50")


def sink(database, user="postgres", **more):
    conn = {"conn": database.conninfo(user)}
    return {"name": "db", "type": "postgres", "batch": {"interval": "100ms"}, **conn, **more}


def ask(directory, *arguments):
    return subprocess.run(
        [str(BUILD / "kismet-export"), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60 * SLOW,
        cwd=directory,
        env={k: v for k, v in os.environ.items() if not k.startswith(("KISMET_", "PG", "POSTGRES"))},
    )


def private(path):
    path.chmod(0o600)
    return path


def count(database, table="kismet_devices"):
    found = database.rows(f"SELECT count(*) AS n FROM {table}")
    return found[0]["n"] if found else 0


def schema_script(directory, sim, database, **more):
    config = private(configure(directory, [source(sim.url)], "owner", [sink(database, **more)]))
    done = ask(directory, "schema", "--sink", "db", "-c", config)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- roles ---


@pytest.fixture
def roles(postgres_server, role):
    """Names for the writer and the reader, which roles.sql finds as roles that are there."""
    return {"writer": role("writer"), "reader": role("reader")}


@pytest.mark.parametrize("adopted", [False, True])
def test_the_writer_writes_with_check_and_can_do_nothing_else(
    started, tmp_path, sim, database, roles, adopted
):
    if adopted:
        database.psql(SCRIPT + COMPOSE_EVENTS)
    database.psql(schema_script(tmp_path, sim, database))
    assert relations(database, "r") == TABLES
    for _ in range(2):  # it may be run again
        database.psql("", file=ROLES, **roles)
    config = private(
        configure(
            tmp_path,
            [source(sim.url)],
            sinks=[sink(database, roles["writer"], migrate="check", per_source="on",
                  history={"retention": "forever"})],
        )
    )
    exporter = started(Exporter, "--config", config)
    wait_for(lambda: count(database) == DEVICES, what="the devices are there")
    wait_for(lambda: count(database, "kismet_device_sources") == DEVICES, what="by source")
    wait_for(lambda: count(database, "kismet_device_history") > 0, what="history")
    wait_for(lambda: count(database, "kismet_sources") == 1, what="the source")
    database.psql("SELECT 1")
    totals = exporter.finish()["db"]
    assert totals["delivered"] >= DEVICES and totals["dropped"] == 0, totals
    assert "warning sink db" not in exporter.stderr(), exporter.stderr()
    # The reader reads, and neither may do more.
    for view in ("kismet_devices", "kismet_events", "recent_devices", "kismet_alerts"):
        database.psql(f"SELECT * FROM {view}", roles["reader"])
    for user, sql in [
        (roles["reader"], "INSERT INTO kismet_devices (mac_addr) VALUES ('x')"),
        (roles["writer"], "DELETE FROM kismet_devices"),
        (roles["writer"], "TRUNCATE kismet_events"),
        (roles["writer"], "ALTER TABLE kismet_devices ADD COLUMN mine TEXT"),
        (roles["writer"], "INSERT INTO kismet_export_meta VALUES (99)"),
        (roles["writer"], "CREATE TABLE public.mine (x INTEGER)"),
    ]:
        done = database.psql(sql, user, check=False)
        refused = "permission denied" in done.stderr or "must be owner" in done.stderr
        assert done.returncode != 0 and refused, (user, sql, done.stderr)


def test_the_writer_may_delete_when_that_is_asked_for(started, tmp_path, sim, database, roles):
    database.psql(schema_script(tmp_path, sim, database))
    database.psql("INSERT INTO kismet_devices (mac_addr, last_updated)"
                  " SELECT 'old' || i, '2020-01-01' FROM generate_series(1, 4100) i")
    database.psql("", file=ROLES, retention="on", **roles)
    writer = sink(database, roles["writer"], migrate="check", retention={"devices": "30d"})
    config = private(configure(tmp_path, [source(sim.url)], sinks=[writer]))
    exporter = started(Exporter, "--config", config)
    wait_for(lambda: count(database) == DEVICES, seconds=40, what="the old ones are gone")
    exporter.finish()


def test_without_the_right_to_delete_it_is_told_and_goes_on(
    started, tmp_path, sim, database, roles
):
    database.psql(schema_script(tmp_path, sim, database))
    database.psql("", file=ROLES, **roles)
    writer = sink(database, roles["writer"], migrate="check", retention={"devices": "30d"})
    config = private(configure(tmp_path, [source(sim.url)], sinks=[writer]))
    exporter = started(Exporter, "--config", config)
    wait_for(lambda: count(database) == DEVICES, what="the devices are there")
    exporter.finish()
    assert exporter.stderr().count("may not delete from kismet_devices") == 1


# --- schema ---


def test_schema_prints_what_is_wanted_now_and_nothing_twice(tmp_path, sim, database):
    first = schema_script(tmp_path, sim, database)
    assert "CREATE TABLE" in first
    assert relations(database, "r") == set(), "it only prints"
    database.psql(first)
    second = schema_script(tmp_path, sim, database)
    assert "-- nothing: the tables are whole" in second and "CREATE" not in second
    third = schema_script(tmp_path, sim, database, indexes=["phy_type"])
    assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS kismet_devices_phy_type" in third


def test_schema_without_a_database_prints_everything_and_says_so(tmp_path):
    conn = f"host={tmp_path} dbname=none"
    done = ask(tmp_path, "schema", "--export-type", "postgres", "--postgres-conn", conn)
    assert done.returncode == 0
    assert all(f"CREATE TABLE IF NOT EXISTS \"public\".{name} " in done.stdout for name in TABLES)
    assert "this is the SQL of a new database" in done.stderr


@pytest.mark.parametrize(
    "sinks, arguments, words",
    [
        ([{"type": "console"}], [], "there is no postgres sink"),
        ([{"name": "lake", "type": "sqlite", "path": "x.db"}], ["--sink", "lake"], "no postgres"),
        ([{"name": "a", "type": "postgres"}], ["--sink", "b"], "there is no sink b"),
        (
            [{"name": "a", "type": "postgres"}, {"name": "b", "type": "postgres"}],
            [],
            "write --sink NAME",
        ),
    ],
)
def test_schema_of_what_sink(tmp_path, sinks, arguments, words):
    config = configure(tmp_path, [source("http://127.0.0.1:1")], sinks=sinks)
    done = ask(tmp_path, "schema", "-c", config, *arguments)
    assert done.returncode == 64 and words in done.stderr, done.stderr
    assert done.stdout == ""


# --- probe ---


def probed(directory, sim, database, user="postgres", **more):
    config = private(configure(directory, [source(sim.url)], "probe", [sink(database, user, **more)]))
    done = ask(directory, "probe", "-c", config)
    return [line for line in done.stdout.splitlines() if " sink db " in line]


def lines_of(lines, grade):
    return "\n".join(line for line in lines if line.startswith(grade))


def test_probe_of_an_empty_and_of_a_whole_database(tmp_path, sim, database):
    lines = probed(tmp_path, sim, database)
    assert not lines_of(lines, "FAIL") and not lines_of(lines, "warn"), lines
    assert "the first start adds what is missing" in lines_of(lines, "ok")
    assert relations(database, "r") == set(), "it only looks"
    database.psql(schema_script(tmp_path, sim, database))
    lines = probed(tmp_path, sim, database)
    assert not lines_of(lines, "FAIL") and not lines_of(lines, "warn"), lines
    text = lines_of(lines, "ok")
    for words in ("not encrypted", "as role postgres", "encoding UTF8", "time zone UTC",
                  "may read and write", "tables are whole", "version 1"):
        assert words in text, (words, text)


def test_probe_names_each_right_with_its_grant(tmp_path, sim, database, role):
    writer = role("writer")
    database.psql(schema_script(tmp_path, sim, database))
    database.psql(f"REVOKE TEMP ON DATABASE {database.name} FROM PUBLIC")
    for _ in range(12):
        failures = lines_of(probed(tmp_path, sim, database, writer), "FAIL")
        grants = re.findall(r"GRANT [A-Z, ]+ ON .* TO \"\w+\"", failures)
        if not grants:
            break
        database.psql(";".join(grants))
    assert not failures
    rights = database.psql(
        f"SELECT has_table_privilege('{writer}', 'kismet_devices', 'SELECT, INSERT, UPDATE'),"
        f" has_table_privilege('{writer}', 'kismet_devices', 'DELETE'),"
        f" has_database_privilege('{writer}', current_database(), 'TEMP')"
    )
    assert rights == "t\tf\tt"


def test_probe_names_drift_with_what_mends_it(tmp_path, sim, database):
    database.psql(
        SCRIPT + "ALTER TABLE kismet_devices DROP CONSTRAINT kismet_devices_pkey,"
        " ALTER COLUMN signal_dbm TYPE text, ALTER COLUMN frequency TYPE integer"
    )
    failures = lines_of(probed(tmp_path, sim, database), "FAIL")
    remedies = re.findall(r"ALTER TABLE .*", failures)
    assert len(remedies) == 3, failures
    database.psql(";".join(remedies))
    assert not lines_of(probed(tmp_path, sim, database), "FAIL")


def test_probe_of_servers_that_cannot_be_used(tmp_path, sim, database, postgres_server):
    nowhere = {"name": "db", "type": "postgres", "conn": f"host={tmp_path}"}
    config = private(configure(tmp_path, [source(sim.url)], "nowhere", [nowhere]))
    done = ask(tmp_path, "probe", "-c", config)
    assert done.returncode == 69 and "is the server running" in done.stdout.lower(), done.stdout
    database.psql(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    assert "takes no writes" in lines_of(probed(tmp_path, sim, database), "FAIL")
    latin = f"{database.name}_latin"
    postgres_server.psql(
        f"CREATE DATABASE {latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    )
    try:
        conn = {"conn": postgres_server.conninfo(latin)}
        config = private(
            configure(tmp_path, [source(sim.url)], "latin",
                      [{"name": "db", "type": "postgres", **conn}])
        )  # fmt: skip
        done = ask(tmp_path, "probe", "-c", config)
        assert "FAIL sink db" in done.stdout and "UTF8" in done.stdout, done.stdout
    finally:
        postgres_server.psql(f"DROP DATABASE {latin} WITH (FORCE)")


# --- the running program ---


def test_twenty_exporters_on_an_empty_database(started, tmp_path, sim, database):
    """Each makes what is not there; none fails, none waits for an operator."""
    exporters = []
    for i in range(20):
        config = private(
            configure(tmp_path, [source(sim.url, f"s{i}", rate="5s")], f"e{i}", [sink(database)])
        )
        exporters.append(started(Exporter, "--once", "--config", config, name=f"e{i}"))
    for exporter in exporters:
        exporter.finish(sig=None)
        assert " error " not in exporter.stderr(), exporter.stderr()
    assert count(database) == DEVICES
    assert count(database, "kismet_export_meta") == 1


def test_a_table_that_is_dropped_under_way_is_made_again(started, tmp_path, sim, database):
    config = private(configure(tmp_path, [source(sim.url)], sinks=[sink(database)]))
    exporter = started(Exporter, "--config", config)
    wait_for(lambda: count(database) == DEVICES, what="the devices are there")
    database.psql("DROP TABLE kismet_devices CASCADE")
    wait_for(lambda: count(database) > 0, seconds=60, what="the table is there again")
    exporter.finish()


def test_a_role_that_may_not_alter_is_told_once_and_writes_what_exists(
    started, tmp_path, sim, database, role
):
    writer = role("writer")
    database.psql(
        SCRIPT + COMPOSE_EVENTS + f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public"
        f" TO {writer}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {writer}"
    )
    config = private(configure(tmp_path, [source(sim.url)], sinks=[sink(database, writer)]))
    exporter = started(Exporter, "--config", config)
    wait_for(lambda: count(database) == DEVICES, what="the devices are there")
    exporter.finish()
    assert exporter.stderr().count("kismet_devices lacks 10 columns") == 1, exporter.stderr()
    names = database.rows("SELECT name FROM kismet_devices WHERE last_updated IS NOT NULL")
    assert len(names) == DEVICES


def test_drift_holds_and_goes_on_once_mended(started, tmp_path, sim, database):
    database.psql(SCRIPT + "ALTER TABLE kismet_devices ALTER COLUMN signal_dbm TYPE text")
    config = private(configure(tmp_path, [source(sim.url)], sinks=[sink(database)]))
    exporter = started(Exporter, "--config", config)
    wait_for(lambda: "signal_dbm is text where INTEGER is needed" in exporter.stderr(),
             what="the drift is told")  # fmt: skip
    assert count(database) == 0
    database.psql(re.search(r"ALTER TABLE .*::INTEGER", exporter.stderr())[0])
    exporter.process.send_signal(1)  # SIGHUP: try the held sink now
    wait_for(lambda: count(database) == DEVICES, what="the devices are there")
    exporter.finish()


# --- the document ---


def queries():
    for block in blocks(ROOT / "docs" / "postgres.md", "pgsql"):
        for query in block.split(";\n"):
            if query.strip():
                yield pytest.param(query, id=re.sub(r"\W+", "-", query)[:40].strip("-"))


@pytest.fixture(scope="module")
def filled(postgres_server, tmp_path_factory):
    """A database into which a recorded capture was replayed."""
    name = f"kx_docs_{os.urandom(4).hex()}"
    postgres_server.psql(f"CREATE DATABASE {name}")
    done = ask(
        tmp_path_factory.mktemp("docs"),
        *("replay", CAPTURES / "neighbourhood-fields.ndjson.zst", "--speed", "max"),
        *("--time", "now", "--export-type", "postgres", "--history"),
        *("--postgres-conn", postgres_server.conninfo(name)),
    )
    assert done.returncode == 0, done.stderr
    yield Database(postgres_server, name)
    postgres_server.psql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("query", queries())
def test_queries_of_the_document_run(filled, query):
    filled.psql(query)


def test_the_views_show_what_is_there(filled):
    assert count(filled) > 0
    assert count(filled, "new_devices") == count(filled)
    assert filled.rows("SELECT sum(device_count) AS n FROM device_stats")[0]["n"] == count(filled)
    alerts = filled.rows("SELECT * FROM kismet_alerts")
    events = filled.rows("SELECT * FROM kismet_events WHERE event_type = 'ALERT'")
    assert len(alerts) == len(events)
    assert all(alert["header"] and alert["severity"] is not None for alert in alerts)


def test_the_document_names_every_key_and_table():
    text = (ROOT / "docs" / "postgres.md").read_text()
    for name in {*TABLES, "recent_devices", "new_devices", "kismet_alerts", "device_stats"}:
        assert f"`{name}`" in text, name
