"""PostgreSQL is restarted, and its session killed, again and again under load: every row is the
truth, every event is there once, and the account is exact.

The witness of events is a second sink of the same process, a console that prints what it gets.
"""

import os
import random
import signal
import time

import pytest

from campaign import source
from harness import Sim, wait_for
from pgline import (
    APPLICATION,
    WITNESS,
    count,
    launch,
    settle,
    sink,
    uids,
    witnessed,
    write_result,
)
from postgres import Database, own_server  # noqa: F401

SEED = 20251128


def session(server):
    """(pid, what it does) of the exporter's session; None while there is none."""
    done = server.psql(
        f"SELECT pid, state, left(query, 12) FROM pg_stat_activity WHERE {APPLICATION}", check=False
    )
    line = done.stdout.strip().splitlines() if done.returncode == 0 else []
    return line[0].split("\t") if line else None


class Campaign:
    def __init__(self, started, tmp_path, own_server, devices):  # noqa: F811
        self.chance = random.Random(SEED)
        # fsync as users have it: a killed server recovers from what it wrote.
        self.server = own_server(settings={"fsync": "on", "checkpoint_timeout": "30s"})
        self.database = Database(self.server, "postgres")
        self.sim = started(
            Sim, "--devices", str(devices), "--change", "40", "--events-per-second", "20"
        )
        # One batch in the making is as large as an outage is long: nothing is dropped.
        batch = {"interval": "100ms", "records": 50000, "bytes": "32MiB"}
        self.exporter = launch(
            started, tmp_path, [source(self.sim.url)], [sink(self.database, batch=batch), WITNESS]
        )
        self.exporter.streaming()
        wait_for(lambda: count(self.database) == devices, what="the devices")
        self.where = {}

    def version(self):
        done = self.server.psql("SELECT sum(xmin::text::bigint) FROM kismet_devices", check=False)
        return done.stdout if done.returncode == 0 else None

    def goes_on(self):
        before = self.version()
        wait_for(lambda: self.version() not in (None, before), 90, "rows change again", every=0.1)

    def moment(self):
        end = time.monotonic() + self.chance.random() * 0.3  # where in a batch, not a wait
        wait_for(lambda: time.monotonic() >= end, what="a moment", every=0.001)

    def restart(self, how):
        self.moment()
        self.server.restart(how)
        self.goes_on()

    def kill_session(self):
        """Half of the sessions are told to end, half are killed, which costs all others theirs."""
        found = wait_for(lambda: session(self.server), 90, "a session", every=0.05)
        self.moment()
        hard = self.chance.random() < 0.5
        found = session(self.server) or found
        self.where[found[2]] = self.where.get(found[2], 0) + 1
        if hard:
            try:
                os.kill(int(found[0]), signal.SIGKILL)
            except ProcessLookupError:
                pass
        else:
            self.server.psql(f"SELECT pg_terminate_backend({found[0]})", check=False)
        self.goes_on()

    def finish(self):
        settle(self.sim, self.database, 120)
        totals = self.exporter.finish()["pg"]
        assert totals["dropped"] == totals["dead_lettered"] == 0
        found = uids(self.database)
        assert found == witnessed(self.exporter)
        return totals, len(found)


def run(started, tmp_path, own_server, devices, fast, immediate, kills):  # noqa: F811
    campaign = Campaign(started, tmp_path, own_server, devices)
    steps = [("fast",)] * fast + [("immediate",)] * immediate + [("kill",)] * kills
    campaign.chance.shuffle(steps)
    for (step,) in steps:
        if step == "kill":
            campaign.kill_session()
        else:
            campaign.restart(step)
    return campaign, campaign.finish()


@pytest.mark.release
def test_a_server_that_comes_and_goes(started, tmp_path, own_server):  # noqa: F811
    run(started, tmp_path, own_server, 200, 2, 2, 6)


@pytest.mark.slow
def test_forty_restarts_and_forty_killed_sessions(started, tmp_path, own_server):  # noqa: F811
    start = time.time()
    campaign, (totals, events) = run(started, tmp_path, own_server, 1000, 20, 20, 40)
    write_result(
        "postgres-restarts.txt",
        "1,000 devices; the server restarted 20 times fast, 20 times immediate, and the session"
        " killed 40 times (pg_terminate_backend or SIGKILL) at random moments",
        **{
            "seed": SEED,
            "seconds": round(time.time() - start),
            "totals": totals,
            "events, each once": events,
            "last statement of the killed sessions, most of them idle": campaign.where,
            "rows that differ from the truth": 0,
        },
    )
