"""No server outlives the process that started it."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.redis import EmbeddedRedis
from tests.support.processes import descendants

START_BOTH = """
import json, pathlib, sys
from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.redis import EmbeddedRedis

folder = pathlib.Path(sys.argv[1])
postgres = EmbeddedPostgres(folder / "postgres").start()
redis = EmbeddedRedis(folder / "redis").start()
postgres.create_database("kept")
if sys.argv[2] == "frozen":
    postgres.freeze()
    redis.freeze()
print(json.dumps([postgres.pid, redis.pid]), flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child of its parent's death; pidfd is Linux too"
)


def test_servers_end_when_their_starter_is_killed(tmp_path: Path) -> None:
    with starter(tmp_path, "running") as (process, pids):
        servers = [os.pidfd_open(pid) for server in pids for pid in [server, *descendants(server)]]

        process.kill()

        assert all(ended(server) for server in servers)


def test_the_next_start_waits_for_servers_that_are_on_their_way_out(tmp_path: Path) -> None:
    with starter(tmp_path, "running") as (process, _):
        process.kill()
        process.wait()

        with EmbeddedPostgres(tmp_path / "postgres") as postgres, EmbeddedRedis(tmp_path / "redis"):
            psycopg.connect(postgres.url("kept")).close()


def test_the_next_start_ends_orphans_that_could_not_hear_the_signal(tmp_path: Path) -> None:
    with starter(tmp_path, "frozen") as (process, pids):
        orphans = [os.pidfd_open(pid) for pid in pids]
        process.kill()
        process.wait()

        with EmbeddedPostgres(tmp_path / "postgres") as postgres, EmbeddedRedis(tmp_path / "redis"):
            psycopg.connect(postgres.url("kept")).close()

        assert all(ended(orphan) for orphan in orphans)


@contextmanager
def starter(folder: Path, state: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    command = [sys.executable, "-c", START_BOTH, str(folder), state]
    with subprocess.Popen(  # noqa: S603 - our own Python
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def ended(process: int) -> bool:
    """Wait for a process given by pidfd; the descriptor is closed."""
    try:
        return bool(select.select([process], [], [], 20)[0])
    finally:
        os.close(process)
