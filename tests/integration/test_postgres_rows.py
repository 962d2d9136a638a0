"""The PostgreSQL sink's rows on a real server, by the C program of that name: with a session of its
own, and as behind a pooler."""

import os
import subprocess

import pytest

from harness import BUILD, SLOW
from postgres import database, postgres_server  # noqa: F401


@pytest.mark.parametrize("pooled", [False, True], ids=["session", "pooled"])
def test_rows(database, pooled):  # noqa: F811
    done = subprocess.run(
        [BUILD / "kx-postgres-rows"],
        env={
            **os.environ,
            "KX_TEST_POSTGRES": database.conninfo(),
            **({"KX_TEST_POOLED": "1"} if pooled else {}),
        },
        capture_output=True,
        text=True,
        timeout=120 * SLOW,
    )
    assert done.returncode == 0, done.stdout + done.stderr
