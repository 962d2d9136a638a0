"""SQLSTATEs that a real server cannot be made to say, each with what becomes of the sink; and hosts
that take a connection and never answer."""

import pytest

from campaign import source
from harness import Sim, wait_for
from pgfake import FakePostgres
from pgline import count, launch, said
from postgres import database, postgres_server  # noqa: F401

RETRIED = ["08006", "40001", "53200", "53400", "57P03", "57P05", "58030", "XX000", "0A000"]
# Nothing of a batch was sent yet: 22 and 23 are nobody's records, so somebody has to look.
HELD = ["28000", "3F000", "42601", "42883", "22021", "23505"]


def start(started, tmp_path, conn):
    sim = started(Sim, "--devices", "20")
    sink = {"name": "pg", "type": "postgres", "conn": conn, "batch": {"interval": "50ms"}}
    exporter = launch(started, tmp_path, [source(sim.url)], [sink])
    exporter.streaming()
    return exporter


@pytest.mark.parametrize("state", RETRIED + HELD)
def test_a_state_and_its_outcome(started, tmp_path, state):
    fake = started(lambda _directory: FakePostgres(state))
    exporter = start(started, tmp_path, fake.conninfo())
    wait_for(lambda: said(exporter, rf"sink pg: .*{state}"), what="the state is said")
    if state in RETRIED:
        statements = len(fake.statements)
        wait_for(lambda: len(fake.statements) > statements + 1, 90, "more tries")
    assert bool(said(exporter, rf"sink pg: held, .*{state}")) == (state in HELD)
    totals = exporter.finish()["pg"]
    assert totals["delivered"] == totals["dead_lettered"] == 0
    assert "pw" not in exporter.stderr().replace("pwd", "")


@pytest.mark.parametrize("greeting, held", [("57P03", False), ("53300", False), ("28000", True)])
def test_turned_away(started, tmp_path, greeting, held):
    fake = started(lambda _directory: FakePostgres(greeting=greeting))
    exporter = start(started, tmp_path, fake.conninfo())
    wait_for(lambda: said(exporter, rf"sink pg: .*{greeting}"), what="the state is said")
    assert bool(said(exporter, rf"sink pg: held, .*{greeting}")) == held
    exporter.finish()


def test_a_host_that_never_answers(started, tmp_path, database):  # noqa: F811
    """The next one of the list is taken, though libpq itself would wait for the first for ever."""
    fake = started(lambda _directory: FakePostgres(mute=True))
    conn = (
        f"host=127.0.0.1,127.0.0.1 port={fake.port},{database.server.port}"
        f" dbname={database.name} user=postgres connect_timeout=1 sslmode=disable"
    )
    exporter = start(started, tmp_path, conn)
    wait_for(lambda: count(database) == 20, 60, "the devices")
    assert fake.connections >= 1
    exporter.finish()
