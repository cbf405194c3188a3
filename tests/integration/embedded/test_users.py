"""Both servers start for root and for a normal user."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.launch import RunAs
from datastorage.embedded.postgres import EmbeddedPostgres, find_postgres_bin_dirs
from tests.support.users import UserPython, normal_user, open_directory

START_AND_STOP = """
import os, pathlib, sys
import psycopg, redis
from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.redis import EmbeddedRedis

folder = pathlib.Path(sys.argv[1])
with EmbeddedPostgres(folder / "postgres") as server, psycopg.connect(server.url("postgres")) as client:
    client.execute("SELECT 1")
with EmbeddedRedis(folder / "redis") as server, redis.Redis.from_url(server.url) as client:
    client.ping()
print(os.geteuid())
"""

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


class RunByNobody(EmbeddedPostgres):
    """As on a machine without user namespaces."""

    def _choose_user(self, _binary: Path) -> RunAs:
        return RunAs.NOBODY


@only_root
def test_root_may_keep_everything_below_a_private_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    with EmbeddedPostgres(tmp_path / "postgres") as server:
        owner = (server.data_dir / "cluster").stat().st_uid

    assert owner == 0
    assert tmp_path.stat().st_mode & 0o777 == 0o700


@only_root
def test_root_without_user_namespaces_runs_the_server_as_nobody(open_dir: Path) -> None:
    if not all(folder.stat().st_mode & 0o001 for folder in find_postgres_bin_dirs()[0].parents):
        pytest.skip("nobody cannot reach the PostgreSQL of this virtual environment")

    with RunByNobody(open_dir / "postgres") as server:
        server_user = Path(f"/proc/{server.pid}").stat().st_uid
        server.create_database("kept")

    assert server_user == pwd.getpwnam("nobody").pw_uid
    with EmbeddedPostgres(server.data_dir) as again:  # by user namespace: the files change hands
        psycopg.connect(again.url("kept")).close()


@only_root
def test_a_directory_that_nobody_cannot_enter_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    with pytest.raises(EmbeddedServerError, match=f"nobody, who cannot enter {tmp_path}"):
        RunByNobody(tmp_path / "postgres").start()


def test_a_normal_user_starts_both(open_dir: Path) -> None:
    user = normal_user()
    os.chown(open_dir, user.pw_uid, user.pw_gid)

    result = UserPython.find(user, open_dir).run(START_AND_STOP, open_dir)

    assert (result.returncode, result.stdout.strip()) == (0, str(user.pw_uid)), result.stderr


@pytest.fixture
def open_dir() -> Iterator[Path]:
    with open_directory() as folder:
        yield folder
