"""The connection to PostgreSQL ends in the midst of a transaction, or when COMMIT is on its way and
nobody knows what became of it; and the session is ended by pg_terminate_backend while it works.

Afterwards every row is the truth, every event is there once, history has no row twice, and the
account is exact. The witness of events is a console sink of the same process.
"""

import collections
import random
import re
import time

import pytest

from campaign import source
from harness import Sim, wait_for
from pgcut import BEGIN, CLOSED, COMMIT, INSERT, PLACES, RESET, UNANSWERED, CutProxy
from pgline import APPLICATION, WITNESS, count, launch, settle, sink, uids, witnessed, write_result
from ports import Port, total
from postgres import Database, own_server  # noqa: F401

SEED = 20251129
ENDED = "terminating connection due to administrator command"

# Waits in the server until our session is at work on such a statement, ends it there, and waits for
# its end: what it was at work on, or nothing when that did not come.
TERMINATE = """
CREATE FUNCTION terminate(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := clock_timestamp() + interval '20 seconds';
    session record;
BEGIN
    WHILE clock_timestamp() < until LOOP
        PERFORM pg_stat_clear_snapshot();
        SELECT pid, query INTO session FROM pg_stat_activity
            WHERE {application} AND state = 'active' AND query ~ what;
        IF FOUND AND pg_terminate_backend(session.pid, 20000) THEN
            RETURN left(session.query, 40);
        END IF;
    END LOOP;
    RETURN NULL;
END $$
"""
MOMENTS = {BEGIN: "^BEGIN.*COPY", INSERT: "EXECUTE kismet_export_devices", COMMIT: "^COMMIT"}


def places(chance, number):
    """Each place as often, anywhere in its message. COMMIT arrives in part, or whole before the end
    of the connection, or it is done and nobody tells us, in turn."""
    for i in range(number):
        place = PLACES[i % len(PLACES)]
        how = chance.choice((CLOSED, RESET))
        share = chance.random()
        if place == COMMIT:
            turn = i // len(PLACES) % 3
            share, how = ((share, how), (1, how), (1, UNANSWERED))[turn]
        yield place, share, how


class Campaign:
    def __init__(self, started, tmp_path, own_server, devices):  # noqa: F811
        # A COMMIT takes long enough to be met.
        settings = {"fsync": "on", "commit_delay": "20000", "commit_siblings": "0"}  # fmt: skip
        self.server = own_server(settings=settings)
        self.database = Database(self.server, "postgres")
        self.database.psql(TERMINATE.format(application=APPLICATION))
        self.proxy = started(lambda _directory: CutProxy(self.server.port))
        self.sim = started(
            Sim, "--devices", str(devices), "--change", "40", "--events-per-second", "20"
        )
        # One batch in the making is as large as an outage is long: nothing is dropped.
        batch = {"interval": "50ms", "records": 50000, "bytes": "32MiB"}
        to = sink(self.database, batch=batch, history={"min_interval": "1s"}, per_source="on")
        to["conn"] = self.proxy.conninfo("postgres")
        self.exporter = launch(started, tmp_path, [source(self.sim.url)], [to, WITNESS],
                               stats={"listen": "127.0.0.1:0"})  # fmt: skip
        self.port = Port(self.exporter)
        self.exporter.streaming()
        wait_for(lambda: count(self.database) == devices, what="the devices")

    def goes_on(self, sessions):
        """In a session after so many."""
        wait_for(lambda: self.proxy.sessions > sessions, 60, "another session")
        commits = self.proxy.commits
        wait_for(lambda: self.proxy.commits > commits, 60, "a batch is committed and known to be")

    def cut(self, place, share, how):
        cuts, sessions = len(self.proxy.cuts), self.proxy.sessions
        self.proxy.arm(place, share, how)
        wait_for(lambda: len(self.proxy.cuts) > cuts, 60, f"{place} {how}")
        self.goes_on(sessions)

    def terminate(self, place):
        sessions = self.proxy.sessions
        wait_for(
            lambda: self.database.psql(f"SELECT terminate('{MOMENTS[place]}')"), 60, place
        )
        self.goes_on(sessions)

    def ended_at(self):
        """What the server itself says of each session that it ended: the statement, none when it
        had no work."""
        found = collections.Counter()
        for rest in self.server.log.read_text().split(f"FATAL:  {ENDED}\n")[1:]:
            statement = re.match(r"\S+ \S+ \S+ \[\d+\] STATEMENT:  (.*)", rest)
            words = statement[1] if statement else "no statement"
            place = next((p for p, w in MOMENTS.items() if re.search(w, words)), words[:40])
            found[place] += 1
        return found

    def check_history(self):
        """No row twice, and none nearer to the one before than min_interval."""
        near = self.database.rows(
            "SELECT * FROM (SELECT source, mac_addr, time, time - lag(time) OVER (PARTITION BY"
            " source, mac_addr ORDER BY time) AS since FROM kismet_device_history) h"
            " WHERE since < interval '1 second'"
        )
        assert near == []
        return count(self.database, "kismet_device_history")

    def finish(self):
        settle(self.sim, self.database, 120)
        metrics = self.port.metrics()
        totals = self.exporter.finish()["pg"]
        assert totals["dropped"] == totals["dead_lettered"] == 0
        found = uids(self.database)
        assert found == witnessed(self.exporter)
        return {"totals": totals, "events, each once": len(found),
                "rows of history, none twice": self.check_history(),
                **{name: total(metrics, f"{name}_total", sink="pg")
                   for name in ("events_known", "delivery_retries")}}  # fmt: skip


def run(started, tmp_path, own_server, devices, cuts, kills):  # noqa: F811
    chance = random.Random(SEED)
    campaign = Campaign(started, tmp_path, own_server, devices)
    steps = [("cut", *place) for place in places(chance, cuts)]
    steps += [("terminate", list(MOMENTS)[i % len(MOMENTS)]) for i in range(kills)]
    chance.shuffle(steps)
    for step, *arguments in steps:
        getattr(campaign, step)(*arguments)
    found = campaign.finish()
    made = campaign.proxy.cuts
    assert len(made) == cuts and {place for place, _, _ in made} == set(PLACES)
    # Batches that were committed without our knowledge came again, and their events were there.
    assert found["events_known"] > 0
    assert found["delivery_retries"] >= cuts + kills
    at = campaign.ended_at()
    assert sum(at.values()) == kills
    return {"cuts": collections.Counter(f"{place}, {how}" for place, how, _ in made),
            "bytes of the transaction that arrived": [byte for _, _, byte in made],
            "ended by pg_terminate_backend at": at, **found}  # fmt: skip


@pytest.mark.release
def test_cuts_within_a_transaction(started, tmp_path, own_server):  # noqa: F811
    run(started, tmp_path, own_server, 200, 18, 6)


@pytest.mark.slow
def test_two_hundred_cuts_and_forty_ended_sessions(started, tmp_path, own_server):  # noqa: F811
    start = time.time()
    found = run(started, tmp_path, own_server, 1000, 200, 40)
    write_result(
        "postgres-cuts.txt",
        "1,000 devices; the connection cut 200 times within a transaction, and the session ended 40"
        " times (pg_terminate_backend) while it worked",
        seed=SEED,
        seconds=round(time.time() - start),
        **{"rows that differ from the truth": 0, **found},
    )
