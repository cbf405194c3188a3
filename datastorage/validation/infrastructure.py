"""Checks 6 and 7: what tests need, and a queue that keeps what it is given."""

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datastorage.validation.check import Broken, Doubtful
from datastorage.validation.subject import TEST_SERVER, Subject

START_REDIS = (
    "start one: docker run -d -p 6379:6379 valkey/valkey:8-alpine valkey-server --appendonly yes "
    "--maxmemory-policy noeviction, or datastorage dev, which brings its own; correct redis.addr"
)
_WANTED = {"maxmemory-policy": "noeviction", "appendonly": "yes"}


def servers_for_tests(subject: Subject, _seconds: float) -> str:
    """Create and drop a scratch database where tests would, and ask Redis how it keeps its data."""
    redis_fact, scratch = _redis(subject), _scratch_database(subject)
    _require_durability(subject)
    return f"{redis_fact}; {scratch}"


def _redis(subject: Subject) -> str:
    import redis

    from datastorage.wiring.queue import redis_client

    settings = subject.settings.redis
    with redis_client(settings) as client:
        try:
            client.ping()
        except (redis.RedisError, OSError) as error:
            raise Broken(f"Redis at {settings.addr} does not answer: {error}", START_REDIS) from error
        try:
            found = client.config_get(*_WANTED)
        except redis.RedisError:
            return f"Redis at {settings.addr} answers, its settings may not be read"
    wrong = [f"{name} is {found[name]}" for name, wanted in _WANTED.items() if found[name] != wanted]
    if wrong:
        commands = "; ".join(f"redis-cli CONFIG SET {name} {wanted}" for name, wanted in _WANTED.items())
        raise Broken(f"Redis at {settings.addr} may lose the queue: {', '.join(wrong)}", commands)
    return f"Redis at {settings.addr} answers, noeviction, append-only file on"


def _require_durability(subject: Subject) -> None:
    """Warn of a queue that may lose what it has acknowledged; with ``true`` the service would not start."""
    from datastorage.dlq.durability import persistence_of
    from datastorage.wiring.queue import redis_client

    settings = subject.settings.redis
    with redis_client(settings) as client:
        found = persistence_of(client)
    if not found.is_durable(settings.dlq_require_aof):
        judge = Broken if settings.dlq_require_aof == "true" else Doubtful
        fact = f"the queue is not durable: appendfsync is {found.appendfsync}"
        confirming = "confirms" if found.can_confirm else "cannot confirm"
        raise judge(
            f"{fact}, Redis at {settings.addr} {confirming} with WAITAOF, "
            f"redis.dlq_require_aof is {settings.dlq_require_aof}",
            "redis-cli CONFIG SET appendfsync always, or Redis 7.2 or later with redis.dlq_require_aof: auto",
        )


def _scratch_database(subject: Subject) -> str:
    url = subject.variables.get(TEST_SERVER)
    if url:
        return _create_and_drop(url, f"the server of {TEST_SERVER}")
    try:
        with _embedded_server() as own:
            return _create_and_drop(own, "an embedded server")
    except ImportError as error:
        if not subject.is_checkout:
            return "no scratch database tried, there are no tests in an installed package"
        repair = f"make test installs an embedded server; or name one with {TEST_SERVER}"
        raise Broken(f"no server for a scratch database: {error}", repair) from error


@contextmanager
def _embedded_server() -> Iterator[str]:
    from datastorage.embedded.postgres import EmbeddedPostgres, find_postgres_bin_dirs

    if not find_postgres_bin_dirs():
        raise ImportError("neither the extra embedded nor PostgreSQL's own programs are installed")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # root runs the server as nobody, who has to get in
        with EmbeddedPostgres(Path(folder) / "postgres") as server:
            yield server.url("postgres")


def _create_and_drop(url: str, where: str) -> str:
    import psycopg
    from psycopg import sql

    name = sql.Identifier(f"datastorage_validate_{secrets.token_hex(4)}")
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
            connection.execute(sql.SQL("DROP DATABASE {}").format(name))
    except psycopg.Error as error:
        cause = str(error).partition("\n")[0]
        raise Broken(
            f"no scratch database on {where}: {cause}", "its role needs LOGIN and CREATEDB"
        ) from error
    return f"a scratch database was created and dropped on {where}"


def container_tool(_subject: Subject, seconds: float) -> str:
    """Ask podman, or docker, which version its engine has."""
    answers = [
        f"{name}: {_engine(path, seconds)}" for name in ("podman", "docker") if (path := shutil.which(name))
    ]
    answered = [answer for answer in answers if not answer.endswith(_SILENT)]
    if answered:
        return f"container tool answers, {answered[0]}"
    fact = (
        f"no container engine answers ({', '.join(answers)})"
        if answers
        else "neither podman nor docker is installed"
    )
    raise Broken(
        fact, "install the package podman (Fedora, RHEL, Debian), or docker.io (Debian) and start its service"
    )


_SILENT = "no answer"


def _engine(path: str, seconds: float) -> str:
    command = [path, "version", "--format", "{{.Server.Version}}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds / 2)  # noqa: S603 - found in PATH
    except (OSError, subprocess.SubprocessError):
        return _SILENT
    return result.stdout.strip() or _SILENT
