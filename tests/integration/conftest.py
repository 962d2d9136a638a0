import pathlib

import pytest

import harness


def pytest_sessionstart(session):
    for program in ("kismet-export", "kismet-sim"):
        if not (harness.BUILD / program).exists():
            pytest.exit(f"{harness.BUILD / program} is not built; run scripts/test", returncode=2)


@pytest.fixture
def started(tmp_path):
    """Makes processes that are ended after the test, whatever happened."""
    processes = []

    def start(kind, *arguments, **options):
        process = kind(tmp_path, *arguments, **options)
        processes.append(process)
        return process

    yield start
    for process in reversed(processes):
        process.kill()
