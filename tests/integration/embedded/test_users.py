"""Both servers start for root and for a normal user."""

import contextlib
import os
import pwd
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import datastorage
from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.launch import RunAs
from datastorage.embedded.postgres import EmbeddedPostgres, find_postgres_bin_dirs

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

    with EmbeddedPostgres(open_dir / "postgres", run_as=RunAs.NOBODY) as server:
        server_user = Path(f"/proc/{server.pid}").stat().st_uid
        server.create_database("kept")

    assert server_user == pwd.getpwnam("nobody").pw_uid
    with EmbeddedPostgres(server.data_dir) as again:  # by user namespace: the files change hands
        psycopg.connect(again.url("kept")).close()


@only_root
def test_a_directory_that_nobody_cannot_enter_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    binaries = Path("/usr/bin")

    with pytest.raises(EmbeddedServerError, match=f"nobody, who cannot enter {tmp_path}"):
        EmbeddedPostgres(tmp_path / "postgres", bin_dir=binaries, run_as=RunAs.NOBODY).start()


def test_a_normal_user_starts_both(open_dir: Path) -> None:
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    os.chown(open_dir, user.pw_uid, user.pw_gid)

    result = run_python_as(user, START_AND_STOP, open_dir)

    assert (result.returncode, result.stdout.strip()) == (0, str(user.pw_uid)), result.stderr


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """Give a directory that every user can reach; those of pytest are private."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def run_python_as(user: pwd.struct_passwd, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``script`` with this Python, or with a copy of it when it lies below a home closed to ``user``."""
    for python in (Path(sys.executable), copy_of_python(folder / "python")):
        with contextlib.suppress(PermissionError):
            if run(user, python, "import datastorage, psycopg, redis", folder).returncode == 0:
                return run(user, python, script, folder)
    pytest.skip(f"{user.pw_name} cannot reach the installed packages")


def copy_of_python(target: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(sys.base_prefix, "lib")
    unneeded = shutil.ignore_patterns("test", "site-packages", "config-*", "__pycache__")
    shutil.copytree(library / version, target / "lib" / version, ignore=unneeded)
    for shared in library.glob("libpython*.so*"):
        shutil.copy2(shared, target / "lib")
    (target / "bin").mkdir()
    return Path(shutil.copy2(Path(sys.executable).resolve(), target / "bin" / version))


def run(user: pwd.struct_passwd, python: Path, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    packages = [str(Path(datastorage.__file__).parents[1]), *site.getsitepackages()]
    is_root = os.geteuid() == 0
    return subprocess.run(  # noqa: S603 - our own Python
        [python, "-W", "error", "-c", script, folder],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={
            "PYTHONPATH": os.pathsep.join(packages),
            "LD_LIBRARY_PATH": str(python.parents[1] / "lib"),
            "PATH": os.defpath,
        },
        timeout=120,
        user=user.pw_uid if is_root else None,
        group=user.pw_gid if is_root else None,
        extra_groups=[] if is_root else None,
    )
