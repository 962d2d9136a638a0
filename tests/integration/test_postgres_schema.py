"""The tables in PostgreSQL: made, adopted, completed, and left alone, on a real server."""

import os
import re
import subprocess

import pytest

from harness import BUILD, SLOW, wait_for
from postgres import ENVIRONMENT, database, postgres_server  # noqa: F401

# What the Python script creates, from its manual.
SCRIPT = """CREATE TABLE kismet_devices (
    mac_addr TEXT PRIMARY KEY,
    name TEXT,
    username TEXT,
    phy_type TEXT,
    manufacturer TEXT,
    first_seen BIGINT,
    last_seen BIGINT,
    channel TEXT,
    frequency BIGINT,
    total_packets BIGINT,
    tx_packets BIGINT,
    rx_packets BIGINT,
    data_size BIGINT,
    signal_dbm INTEGER,
    noise_dbm INTEGER,
    snr_db INTEGER,
    latitude DOUBLE PRECISION,
    longitude DOUBLE PRECISION,
    altitude DOUBLE PRECISION,
    last_updated TIMESTAMP DEFAULT NOW()
);"""
# As a compose file's init script makes it: serial, naive times, no uid.
COMPOSE_EVENTS = """CREATE TABLE kismet_events (
    id SERIAL PRIMARY KEY,
    event_type VARCHAR(50) NOT NULL,
    event_time TIMESTAMP NOT NULL,
    device_key TEXT,
    event_data JSONB,
    created_at TIMESTAMP DEFAULT NOW()
);"""
SCRIPT_ROW = (
    "INSERT INTO kismet_devices (mac_addr, name, last_updated)"
    " VALUES ('AA:BB:CC:00:00:01', 'old', '2025-01-01 00:00:00');"
)
TABLES = {
    "kismet_devices",
    "kismet_device_sources",
    "kismet_device_history",
    "kismet_events",
    "kismet_sources",
    "kismet_export_meta",
}
VIEWS = {"kismet_alerts", "new_devices", "recent_devices", "device_stats"}
ADDED = {
    "source", "server_uuid", "device_key", "device_type", "crypt", "num_alerts", "mac_random",
    "extra", "created_at", "updated_at",
}  # fmt: skip


class Answer:
    """What kx-postgres-tables said: outcome, its text, and the tables' columns with their types."""

    def __init__(self, run):
        self.output = run.stdout
        assert run.returncode in (0, 1), run.stderr
        first, *rest = run.stdout.splitlines() or [""]
        self.outcome, _, self.text = first.partition(" ")
        self.tables = {}
        for line in rest:
            match = re.match(r'("(?:[^"]|"")*"\.)(\w+) key=(\d) hypertable=(\d) extras=(\w+)(.*)', line)
            if match is None:
                continue
            columns = dict(re.findall(r"(\w+):([A-Z ]+?)(?= \w+:|$)", match[6]))
            self.tables[match[2]] = {
                "prefix": match[1],
                "key": match[3] == "1",
                "hypertable": match[4] == "1",
                "extras": int(match[5], 16),
                "columns": columns,
            }

    def columns(self, table="kismet_devices"):
        return self.tables[table]["columns"]


def start(conninfo, *words):
    return subprocess.Popen(
        [str(BUILD / "kx-postgres-tables"), conninfo, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("PG")},
    )


def run(conninfo, *words):
    process = start(conninfo, *words)
    process.stdout_text, process.stderr_text = process.communicate(timeout=120 * SLOW)
    return subprocess.CompletedProcess(
        process.args, process.returncode, process.stdout_text, process.stderr_text
    )


def apply(conninfo, *words):
    return Answer(run(conninfo, *words))


def applied(database, *words, user="postgres"):
    """An apply that must succeed."""
    answer = apply(database.conninfo(user), *words)
    assert answer.outcome == "sent", answer.output
    return answer


def held(database, *words, user="postgres"):
    answer = apply(database.conninfo(user), *words)
    assert answer.outcome == "hold", answer.output
    return answer.text


def shape(database):
    """Everything of our tables that a change could touch."""
    return database.psql(
        """SELECT table_name, column_name, data_type, is_nullable, column_default
           FROM information_schema.columns WHERE table_schema NOT LIKE 'pg%'
           AND table_schema <> 'information_schema' ORDER BY 1, 2;
           SELECT indexdef FROM pg_indexes WHERE schemaname NOT LIKE 'pg%' ORDER BY 1;
           SELECT relname, relkind, reloptions, relowner FROM pg_class
           WHERE relnamespace::regnamespace::text NOT LIKE 'pg%'
           AND relnamespace::regnamespace::text <> 'information_schema' ORDER BY 1"""
    )


def relations(database, kind, schema="public"):
    return set(
        database.psql(
            f"SELECT relname FROM pg_class WHERE relkind = '{kind}'"
            f" AND relnamespace = '{schema}'::regnamespace"
        ).split()
    )


@pytest.fixture
def role(postgres_server):
    """Makes roles that are gone after the test: role("writer") is a name of its own."""
    made = []

    def make(prefix, *statements):
        name = f"{prefix}_{os.urandom(4).hex()}"
        postgres_server.psql(f"CREATE ROLE {name} LOGIN")
        made.append(name)
        return name

    yield make
    for name in made:
        for base in postgres_server.psql(
            "SELECT datname FROM pg_database WHERE datallowconn AND datname <> 'template1'"
        ).split():
            postgres_server.psql(f"DROP OWNED BY {name}", base)
        postgres_server.psql(f"DROP ROLE {name}")


# --- an empty database ---


def test_an_empty_database_gets_everything(database):
    answer = applied(database)
    assert answer.text == ""
    assert relations(database, "r") == TABLES
    assert relations(database, "v") == VIEWS
    assert set(answer.tables) == TABLES
    assert all(table["prefix"] == '"public".' for table in answer.tables.values())
    assert all(table["key"] for table in answer.tables.values())
    assert answer.columns()["last_updated"] == "TIMESTAMP"
    assert answer.columns()["updated_at"] == "TIMESTAMPTZ"
    assert answer.columns("kismet_events")["event_data"] == "JSONB"
    version = database.rows("SELECT * FROM kismet_export_meta")
    assert [row["schema_version"] for row in version] == [1]
    assert version[0]["applied_by"].startswith("kismet-export ")
    database.psql(
        "INSERT INTO kismet_devices (mac_addr, phy_type, last_updated, created_at) VALUES"
        " ('new', 'x', now(), now()), ('old', 'x', now() - interval '2 days', now() - interval"
        " '2 days'); INSERT INTO kismet_events (event_type, event_data) VALUES ('ALERT',"
        """ '{"kismet.alert.header": "H", "kismet.alert.severity": 15}'), ('MESSAGE', '{}')"""
    )
    assert [r["mac_addr"] for r in database.rows("SELECT * FROM recent_devices")] == ["new"]
    assert [r["mac_addr"] for r in database.rows("SELECT * FROM new_devices")] == ["new"]
    stats = database.rows("SELECT device_count, recent_count FROM device_stats")
    assert stats == [{"device_count": 2, "recent_count": 1}]
    alerts = database.rows("SELECT header, severity FROM kismet_alerts")
    assert alerts == [{"header": "H", "severity": 15}]
    # Updates stay on their page: room for them, and no index on what changes.
    options = database.psql("SELECT reloptions FROM pg_class WHERE relname = 'kismet_devices'")
    assert 50 <= int(re.search(r"fillfactor=(\d+)", options)[1]) <= 70
    indexes = database.psql("SELECT indexdef FROM pg_indexes WHERE tablename = 'kismet_devices'")
    assert indexes.count("CREATE") == 1 and "(mac_addr)" in indexes
    history = database.psql(
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'kismet_device_history'"
    )
    assert "brin (\"time\")" in history
    assert "UNIQUE INDEX" in history and "(source, mac_addr, \"time\")" in history


def test_a_second_start_changes_nothing_and_locks_nothing(database):
    applied(database)
    before = shape(database)
    blocker = subprocess.Popen(
        ["psql", "-X", "-q", database.conninfo()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        # Nothing that asked for a lock on the table, or wanted to write, would come through.
        blocker.stdin.write(
            "BEGIN; SELECT pg_advisory_xact_lock(118100652287348);"
            " LOCK TABLE kismet_devices, kismet_events IN ACCESS SHARE MODE; SELECT 'locked';\n"
        )
        blocker.stdin.flush()
        while "locked" not in blocker.stdout.readline():
            pass
        answer = applied(database)
    finally:
        blocker.kill()
        blocker.communicate()
    assert answer.text == ""
    assert shape(database) == before
    assert len(database.rows("SELECT * FROM kismet_export_meta")) == 1


def test_twenty_at_once_on_an_empty_database(database):
    """All have found it empty, and wait for one another, before the first makes anything."""
    lock = "pg_advisory_lock(118100652287348)"
    holder = subprocess.Popen(
        ["psql", "-X", "-q", "-A", "-t", database.conninfo()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    holder.stdin.write(f"SELECT 'held' FROM {lock};\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "held\n"
    processes = [start(database.conninfo()) for _ in range(20)]
    waiting = (
        "SELECT count(*) AS n FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted"
    )
    wait_for(lambda: database.rows(waiting) == [{"n": 20}], 30, "twenty wait", every=0.1)
    holder.communicate(timeout=60 * SLOW)
    outputs = [process.communicate(timeout=240 * SLOW)[0] for process in processes]
    assert [output.split()[0] for output in outputs] == ["sent"] * 20, outputs
    assert relations(database, "r") == TABLES
    assert len(database.rows("SELECT * FROM kismet_export_meta")) == 1


def test_one_that_fails_leaves_nothing_behind(database):
    """All or nothing: an event table with equal uids cannot get its unique index."""
    database.psql(
        "CREATE TABLE kismet_events (event_uid TEXT, event_data JSONB);"
        "INSERT INTO kismet_events VALUES ('a'), ('a')"
    )
    before = shape(database)
    answer = apply(database.conninfo())
    assert answer.outcome != "sent"
    assert "kismet_events_uid" in answer.text, answer.text
    assert shape(database) == before


# --- adoption ---


def test_the_scripts_table_is_adopted(database):
    database.psql(SCRIPT + SCRIPT_ROW)
    before = {
        row["column_name"]: row
        for row in database.rows(
            "SELECT column_name, data_type, is_nullable, column_default, ordinal_position"
            " FROM information_schema.columns WHERE table_name = 'kismet_devices'"
        )
    }
    answer = applied(database)
    assert answer.text == ""
    after = {
        row["column_name"]: row
        for row in database.rows(
            "SELECT column_name, data_type, is_nullable, column_default, ordinal_position"
            " FROM information_schema.columns WHERE table_name = 'kismet_devices'"
        )
    }
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == ADDED
    assert all(after[name]["is_nullable"] == "YES" for name in ADDED)
    row = database.rows("SELECT * FROM kismet_devices")[0]
    assert row["name"] == "old" and row["last_updated"] == "2025-01-01T00:00:00"
    assert row["created_at"] is None, "an adopted row is not a new device"
    assert database.rows("SELECT * FROM new_devices") == []
    assert not database.psql("SELECT reloptions FROM pg_class WHERE relname = 'kismet_devices'")


def test_the_compose_files_events_are_adopted(database):
    database.psql(
        SCRIPT + COMPOSE_EVENTS + "INSERT INTO kismet_events (event_type, event_time, event_data)"
        " VALUES ('ALERT', '2025-01-01', '{\"kismet.alert.header\": \"DEAUTHFLOOD\","
        " \"kismet.alert.severity\": \"odd\"}');"
    )
    answer = applied(database)
    assert answer.text == ""
    columns = answer.columns("kismet_events")
    assert columns["event_time"] == "TIMESTAMP" and columns["created_at"] == "TIMESTAMP"
    assert answer.tables["kismet_events"]["key"]
    alert = database.rows("SELECT * FROM kismet_alerts")[0]
    assert alert["header"] == "DEAUTHFLOOD" and alert["severity"] is None
    database.psql("INSERT INTO kismet_events (event_uid) VALUES ('x')", check=False)
    assert "NOT NULL" not in answer.text


def test_what_is_there_under_a_views_name_stays(database):
    database.psql(
        "CREATE TABLE device_stats (mine INTEGER); INSERT INTO device_stats VALUES (7);"
        "CREATE VIEW recent_devices AS SELECT 8 AS mine"
    )
    applied(database)
    assert database.rows("SELECT * FROM device_stats") == [{"mine": 7}]
    assert database.rows("SELECT * FROM recent_devices") == [{"mine": 8}]
    assert {"kismet_alerts", "new_devices"} <= relations(database, "v")


def test_a_view_that_would_break_is_not_made(database):
    database.psql("CREATE TABLE kismet_events (event_time TIMESTAMP, event_data TEXT)")
    answer = applied(database)
    assert answer.columns("kismet_events")["event_data"] == "TEXT"
    assert "kismet_alerts" not in relations(database, "v")
    assert "recent_devices" in relations(database, "v")


def test_the_table_is_found_behind_the_first_schema(database):
    database.psql(SCRIPT + "CREATE SCHEMA mine; ALTER DATABASE "
                  f"{database.name} SET search_path = mine, public")
    answer = applied(database)
    assert answer.tables["kismet_devices"]["prefix"] == '"public".'
    assert relations(database, "r", "mine") == set()


def test_another_schema_is_made_and_used(database):
    answer = applied(database, 'schema=it\'s "one"')
    assert answer.tables["kismet_devices"]["prefix"] == '"it\'s ""one""".'
    assert relations(database, "r") == set()
    database.psql('SELECT * FROM "it\'s ""one""".kismet_alerts')


# --- drift ---


@pytest.mark.parametrize(
    "found, column, ours",
    [
        ("text", "signal_dbm", "INTEGER"),
        ("integer", "total_packets", "BIGINT"),
        ("numeric(10,6)", "latitude", "DOUBLE PRECISION"),
        ("real", "latitude", "DOUBLE PRECISION"),
        ("bigint", "last_updated", "TIMESTAMP"),
        ("timestamp(0) without time zone", "last_updated", "TIMESTAMP"),
        ("character(17)", "name", "TEXT"),
    ],
)  # fmt: skip
def test_a_strange_type_holds_and_nothing_is_touched(database, found, column, ours):
    database.psql(SCRIPT + f"ALTER TABLE kismet_devices DROP COLUMN {column},"
                  f" ADD COLUMN {column} {found}")
    before = shape(database)
    text = held(database)
    assert f"kismet_devices.{column} is {found} where {ours} is needed" in text
    remedy = re.search(r"ALTER TABLE .*", text)[0]
    assert shape(database) == before
    if column != "last_updated" or found != "bigint":  # has no cast
        database.psql(remedy)
        assert column in applied(database).columns()


def test_a_strange_column_that_is_not_written_harms_nobody(database):
    database.psql(SCRIPT + "ALTER TABLE kismet_devices ALTER COLUMN signal_dbm TYPE text")
    answer = applied(database, "without=signal_dbm")
    assert "signal_dbm" not in answer.columns()


@pytest.mark.parametrize(
    "found, column",
    [("varchar(200)", "name"), ("numeric", "total_packets"), ("bigint", "signal_dbm"),
     ("timestamptz", "last_updated")],
)  # fmt: skip
def test_types_that_hold_every_value_are_taken(database, found, column):
    database.psql(SCRIPT + f"ALTER TABLE kismet_devices DROP COLUMN {column},"
                  f" ADD COLUMN {column} {found}")
    assert column in applied(database).columns()


@pytest.mark.parametrize(
    "break_it",
    [
        "ALTER TABLE kismet_devices DROP CONSTRAINT kismet_devices_pkey",
        # Neither a part of a key, nor one of more, nor one that can wait is one.
        "ALTER TABLE kismet_devices DROP CONSTRAINT kismet_devices_pkey;"
        "CREATE UNIQUE INDEX ON kismet_devices (mac_addr) WHERE name IS NULL",
        "ALTER TABLE kismet_devices DROP CONSTRAINT kismet_devices_pkey;"
        "CREATE UNIQUE INDEX ON kismet_devices (mac_addr, name)",
        "ALTER TABLE kismet_devices DROP CONSTRAINT kismet_devices_pkey,"
        " ADD UNIQUE (mac_addr) DEFERRABLE",
        "ALTER TABLE kismet_devices DROP CONSTRAINT kismet_devices_pkey;"
        "CREATE UNIQUE INDEX ON kismet_devices (lower(mac_addr))",
    ],
)
def test_a_missing_key_holds_with_what_mends_it(database, break_it):
    database.psql(SCRIPT + break_it)
    before = shape(database)
    text = held(database)
    assert "no primary key or unique index on (mac_addr)" in text
    assert shape(database) == before
    database.psql(re.search(r"ALTER TABLE .*", text)[0])
    applied(database)


def test_a_unique_index_is_a_key(database):
    database.psql(
        SCRIPT + "ALTER TABLE kismet_devices DROP CONSTRAINT kismet_devices_pkey;"
        "CREATE UNIQUE INDEX mine ON kismet_devices (mac_addr) INCLUDE (name)"
    )
    assert applied(database).tables["kismet_devices"]["key"]


def test_a_column_of_somebody_elses_that_wants_a_value_holds(database):
    database.psql(SCRIPT + 'ALTER TABLE kismet_devices ADD COLUMN "My site" TEXT NOT NULL')
    text = held(database)
    assert "My site is NOT NULL" in text
    database.psql(re.search(r"ALTER TABLE .*", text)[0])
    applied(database)


def test_a_column_of_somebody_elses_with_a_default_is_left_alone(database):
    database.psql(
        SCRIPT + "ALTER TABLE kismet_devices ADD COLUMN site TEXT NOT NULL DEFAULT 'here',"
        " ADD COLUMN number SERIAL, ADD COLUMN twice BIGINT NOT NULL GENERATED ALWAYS AS"
        " (frequency * 2) STORED"
    )
    applied(database)


def test_a_not_null_of_ours_is_told(database):
    database.psql(SCRIPT + "ALTER TABLE kismet_devices ALTER COLUMN name SET NOT NULL")
    assert "kismet_devices.name is NOT NULL" in applied(database).text


def test_a_view_of_the_tables_name_holds(database):
    database.psql("CREATE VIEW kismet_devices AS SELECT 'x'::text AS mac_addr")
    assert "is no table" in held(database)


def test_a_newer_versions_tables_are_written_unless_it_says_no(database):
    applied(database)
    database.psql("INSERT INTO kismet_export_meta VALUES (7, NOW(), 'the future', 1)")
    assert applied(database).text == ""
    assert applied(database, "migrate=check").text == ""
    database.psql("UPDATE kismet_export_meta SET min_writer = 5 WHERE schema_version = 7")
    assert "newer version's (7)" in held(database)


# --- roles that may not ---


def test_a_role_that_may_not_alter_writes_what_exists(database, role):
    writer = role("writer")
    database.psql(SCRIPT + COMPOSE_EVENTS + f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {writer}")
    before = shape(database)
    answer = applied(database, user=writer)
    assert shape(database) == before
    assert not ADDED & set(answer.columns())
    assert "mac_addr" in answer.columns() and "last_updated" in answer.columns()
    assert not answer.tables["kismet_events"]["key"]
    assert "kismet_devices lacks 10 columns" in answer.text
    assert "kismet-export schema" in answer.text
    assert "more: run kismet-export probe" in answer.text


def test_a_role_that_may_not_create_holds_with_the_grant(database, role):
    writer = role("writer")
    text = held(database, user=writer)
    assert "there is no table" in text and "the role may not make it" in text
    database.psql(re.search(r"GRANT CREATE ON SCHEMA \S+ TO [^,]*", text)[0])
    applied(database, user=writer)
    assert relations(database, "r") == TABLES


def test_a_role_that_may_not_use_the_schema_holds(database, role):
    writer = role("writer")
    database.psql("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    assert "search_path" in held(database, user=writer)
    assert "GRANT USAGE ON SCHEMA" in held(database, "schema=public", user=writer)


# --- migrate ---


def test_check_makes_nothing_and_asks_for_the_version(database):
    text = held(database, "migrate=check")
    assert "says no version" in text and "kismet-export schema" in text
    assert relations(database, "r") == set()
    applied(database)
    assert applied(database, "migrate=check").text == ""


def test_check_writes_the_common_columns_of_an_older_version(database):
    applied(database)
    database.psql("UPDATE kismet_export_meta SET schema_version = 0")
    database.psql("ALTER TABLE kismet_devices DROP COLUMN crypt")
    before = shape(database)
    # Version 0 is none: only a number counts. (-1 would be older still.)
    assert "says no version" in held(database, "migrate=check")
    database.psql("UPDATE kismet_export_meta SET schema_version = 1")
    answer = applied(database, "migrate=check")
    assert "lacks 1 column, which is not written: crypt" in answer.text
    assert "crypt" not in answer.columns()
    assert shape(database) == before


def test_off_asks_nothing_and_says_nothing(database):
    database.psql(SCRIPT + COMPOSE_EVENTS)
    before = shape(database)
    answer = applied(database, "migrate=off")
    assert answer.text == ""
    assert shape(database) == before
    database.psql("DROP TABLE kismet_events")
    assert "there is no table" in held(database, "migrate=off")


def test_tables_that_are_needed_are_demanded(database):
    database.psql(SCRIPT + COMPOSE_EVENTS)
    applied(database, "migrate=off")
    assert "kismet_device_sources" in held(database, "migrate=off", "per_source")
    assert "kismet_device_history" in held(database, "migrate=off", "history")


# --- extra columns, indexes, TimescaleDB ---


def test_extra_columns(database):
    database.psql(SCRIPT)
    answer = applied(database, "extra=order:BIGINT", "extra=ssid:TEXT")
    assert answer.tables["kismet_devices"]["extras"] == 3
    assert answer.tables["kismet_device_sources"]["extras"] == 3
    assert applied(database, "extra=ssid:TEXT").tables["kismet_devices"]["extras"] == 1
    assert "ssid is text where extra_fields says BIGINT" in held(database, "extra=ssid:BIGINT")


def test_indexes_are_built_beside_readers_and_writers(database):
    applied(database)
    database.psql("INSERT INTO kismet_devices (mac_addr) SELECT generate_series(1, 100)::text")
    applied(database, "index=last_seen", "index=phy_type")
    defined = database.psql("SELECT indexdef FROM pg_indexes WHERE tablename = 'kismet_devices'")
    assert "kismet_devices_last_seen" in defined and "kismet_devices_phy_type" in defined
    # What an interruption left behind is built anew.
    database.psql(
        "SET allow_system_table_mods = on; UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'kismet_devices_last_seen'::regclass"
    )
    applied(database, "index=last_seen")
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'kismet_devices_last_seen'::regclass"
    assert database.psql(valid) == "t"


def test_an_index_that_cannot_be_built_costs_nothing_but_itself(database):
    applied(database)
    database.psql("CREATE TABLE kismet_devices_last_seen (x INTEGER)")
    assert applied(database, "index=last_seen", "index=phy_type").outcome == "sent"
    assert "kismet_devices_phy_type" in relations(database, "i")


TIMESCALE = """
SET allow_system_table_mods = on;
CREATE SCHEMA ts;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
    VALUES (99999, 'timescaledb', 10, 'ts'::regnamespace, false, 'fake');
CREATE SCHEMA timescaledb_information;
CREATE TABLE timescaledb_information.hypertables
    (hypertable_schema NAME, hypertable_name NAME, width INTERVAL);
CREATE FUNCTION ts.create_hypertable(relation REGCLASS, time_column_name NAME,
    chunk_time_interval ANYELEMENT, if_not_exists BOOLEAN) RETURNS VOID LANGUAGE sql AS $$
    INSERT INTO timescaledb_information.hypertables
        SELECT relnamespace::regnamespace::text, relname, chunk_time_interval::text::interval
        FROM pg_class WHERE oid = relation AND time_column_name = 'time' $$;
"""


def test_history_is_a_hypertable_where_timescale_is(database):
    """Not the real extension, which Debian does not have: its names, called as it documents them."""
    database.psql(TIMESCALE)
    answer = applied(database, "history")
    assert answer.tables["kismet_device_history"]["hypertable"]
    assert database.rows("SELECT * FROM timescaledb_information.hypertables") == [
        {
            "hypertable_schema": "public",
            "hypertable_name": "kismet_device_history",
            "width": "1 day",
        }
    ]
    assert "kismet_device_history_time" not in relations(database, "i")


def test_a_history_that_is_there_is_not_converted(database):
    applied(database)
    database.psql(TIMESCALE)
    assert not applied(database, "history").tables["kismet_device_history"]["hypertable"]


# --- what `schema` prints ---


def test_what_is_printed_makes_what_apply_makes(database, postgres_server):
    applied(database)
    other = f"{database.name}_b"
    postgres_server.psql(f"CREATE DATABASE {other}")
    try:
        script = run(postgres_server.conninfo(other), "print").stdout
        assert script.startswith("BEGIN")
        postgres_server.psql(script, other)
        assert run(postgres_server.conninfo(other), "print").stdout == ""
        dump = [
            subprocess.run(
                ["pg_dump", "-s", "-d", postgres_server.conninfo(name)],
                capture_output=True, text=True, check=True,
            ).stdout
            for name in (database.name, other)
        ]  # fmt: skip
        assert re.sub(r"\\(un)?restrict .*", "", dump[0]) == re.sub(
            r"\\(un)?restrict .*", "", dump[1]
        )
    finally:
        postgres_server.psql(f"DROP DATABASE {other} WITH (FORCE)")


def test_what_is_printed_for_a_role_without_rights_is_for_the_owner(database, role):
    writer = role("writer")
    database.psql(SCRIPT + f"GRANT SELECT, INSERT, UPDATE ON kismet_devices TO {writer}")
    script = run(database.conninfo(writer), "print", "index=last_seen").stdout
    database.psql(script)
    assert ADDED <= {
        row["column_name"]
        for row in database.rows(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'kismet_devices'"
        )
    }
    assert "kismet_devices_last_seen" in relations(database, "i")


# --- retention ---


def expired(answer):
    return [int(n) for n in re.findall(r"^expired (\d+)$", answer.output, re.MULTILINE)]


def fill(database):
    database.psql(
        """INSERT INTO kismet_devices (mac_addr, last_updated)
               SELECT 'old' || i, now() - interval '3 hours' FROM generate_series(1, 4100) i;
           INSERT INTO kismet_devices (mac_addr, last_updated)
               VALUES ('new', now() - interval '1 hour'), ('unknown', NULL);
           INSERT INTO kismet_device_sources (source, mac_addr, last_updated)
               VALUES ('a', 'old', now() - interval '3 hours'), ('a', 'new', now());
           INSERT INTO kismet_events (event_uid, event_time)
               VALUES ('old', now() - interval '3 hours'), ('new', now());
           INSERT INTO kismet_device_history (source, mac_addr, time)
               SELECT 'a', 'old', now() - i * interval '1 minute' - interval '3 hours'
               FROM generate_series(1, 10) i;
           INSERT INTO kismet_device_history (source, mac_addr, time) VALUES ('a', 'new', now())"""
    )


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_what_is_too_old_is_deleted_a_few_rows_at_a_time(database, zone):
    database.psql(f"ALTER DATABASE {database.name} SET timezone = '{zone}'")
    applied(database)
    fill(database)
    assert expired(applied(database)) == [], "off by default"
    answer = applied(database, "devices=7200", "past=7200", "events=7200")
    assert expired(answer) == [2000, 2000, 100, 1, 10, 1, 0][: len(expired(answer))]
    assert sum(expired(answer)) == 4100 + 1 + 10 + 1
    assert {r["mac_addr"] for r in database.rows("SELECT mac_addr FROM kismet_devices")} == {
        "new",
        "unknown",
    }
    for table in ("kismet_device_sources", "kismet_device_history", "kismet_events"):
        assert len(database.rows(f"SELECT * FROM {table}")) == 1, table


def test_a_row_that_somebody_holds_is_left_for_the_next_time(database):
    applied(database)
    fill(database)
    holder = subprocess.Popen(
        ["psql", "-X", "-q", database.conninfo()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        holder.stdin.write(
            "BEGIN; UPDATE kismet_devices SET name = 'held' WHERE mac_addr = 'old7';"
            " SELECT 'locked';\n"
        )
        holder.stdin.flush()
        while "locked" not in holder.stdout.readline():
            pass
        assert sum(expired(applied(database, "devices=7200"))) == 4100
    finally:
        holder.kill()
        holder.communicate()
    assert "old7" in database.psql("SELECT mac_addr FROM kismet_devices")


def test_a_role_that_may_not_delete_is_told_and_nothing_else_happens(database, role):
    writer = role("writer")
    applied(database)
    fill(database)
    database.psql(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {writer}")
    answer = applied(database, "devices=7200", user=writer)
    assert "may not delete from kismet_devices" in answer.text
    assert sum(expired(answer)) == 0


def test_a_hypertable_drops_chunks(database):
    database.psql(
        TIMESCALE + """CREATE TABLE ts.dropped (relation REGCLASS, older_than TIMESTAMPTZ);
        CREATE FUNCTION ts.drop_chunks(relation REGCLASS, older_than TIMESTAMPTZ)
            RETURNS SETOF TEXT LANGUAGE sql AS $$
            INSERT INTO ts.dropped VALUES (relation, older_than);
            SELECT unnest(ARRAY['chunk_1', 'chunk_2']) $$;"""
    )
    answer = applied(database, "history", "past=7200")
    assert sum(expired(answer)) == 2
    row = database.rows("SELECT relation, now() - older_than BETWEEN interval '2 hours' AND"
                        " interval '3 hours' AS right FROM ts.dropped")
    assert row == [{"relation": "kismet_device_history", "right": True}]
