"""What happens in a fail-over: a standby that follows, is promoted, and a primary that takes no writes."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from datastorage.embedded.postgres import EmbeddedPostgres, find_postgres_bin_dirs
from tests.support.service import free_port
from tests.support.waiting import eventually


@contextmanager
def standby_of(primary: EmbeddedPostgres, directory: Path) -> Iterator[EmbeddedPostgres]:
    """Start a hot standby with streaming replication; every database and role of ``primary`` is in it."""
    directory.mkdir(mode=0o711)
    command = [
        str(find_postgres_bin_dirs()[0] / "pg_basebackup"),
        f"--dbname={primary.url('postgres')}",
        f"--pgdata={directory / 'cluster'}",
        "--write-recovery-conf",
        "--checkpoint=fast",
    ]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - PostgreSQL's own program
    standby = EmbeddedPostgres(directory, port=free_port())
    shutil.copy2(primary.password_file, standby.password_file)
    with standby:
        eventually(lambda: _is_followed(primary))
        yield standby


def _is_followed(primary: EmbeddedPostgres) -> bool:
    with psycopg.connect(primary.url("postgres")) as connection:
        found = connection.execute("SELECT FROM pg_stat_replication WHERE state = 'streaming'")
        return found.fetchone() is not None


def promote(standby: EmbeddedPostgres) -> None:
    """Make it a primary, and return when it is one."""
    with psycopg.connect(standby.url("postgres"), autocommit=True) as connection:
        assert connection.execute("SELECT pg_promote()").fetchone() == (True,)


def catch_up(standby: EmbeddedPostgres, primary: EmbeddedPostgres) -> None:
    """Return when the standby has replayed all that the primary has written."""
    with (
        psycopg.connect(primary.url("postgres"), autocommit=True) as written,
        psycopg.connect(standby.url("postgres"), autocommit=True) as replayed,
    ):
        position = written.execute("SELECT pg_current_wal_lsn()").fetchone()
        is_there = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        eventually(lambda: replayed.execute(is_there, position).fetchone() == (True,))


def set_read_only(server: EmbeddedPostgres, value: str) -> None:
    """Let every session refuse writes (``on``) or take them (``off``), those that are open included."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as superuser:
        superuser.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}".encode())
        superuser.execute("SELECT pg_reload_conf()")

    def is_applied() -> bool:
        with psycopg.connect(server.url("postgres")) as fresh:
            return fresh.execute("SHOW default_transaction_read_only").fetchone() == (value,)

    eventually(is_applied)
