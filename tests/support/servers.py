"""Real servers for the tests: named by the environment, in containers, or embedded."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import URL, NullPool, create_engine, make_url, text

from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.redis import EmbeddedRedis
from datastorage.embedded.stack import APP_ROLE, OWNER_ROLE, migrate
from datastorage.settings import environment

POSTGRES_IMAGE = "postgres:18-alpine"
REDIS_IMAGE = "valkey/valkey:8-alpine"
ROLE_PASSWORD = "only-for-tests"


@dataclass(frozen=True)
class Servers:
    """Where the servers are: a superuser's URL of PostgreSQL, and the URL of Redis."""

    postgres_url: str
    redis_url: str


@contextmanager
def running_servers(directory: Path) -> Iterator[Servers]:
    """Yield servers from the first source there is; stop what was started."""
    environ = environment()
    with ExitStack() as stack:
        postgres_url = environ.get("DATASTORAGE_TEST_DATABASE_URL")
        redis_url = environ.get("DATASTORAGE_TEST_REDIS_URL")
        use_containers = _container_engine_answers()
        if postgres_url is None and use_containers:
            postgres_url = stack.enter_context(_postgres_container())
        if redis_url is None and use_containers:
            redis_url = stack.enter_context(_redis_container())
        if postgres_url is None:
            postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
            postgres_url = postgres.url("postgres")
        if redis_url is None:
            redis_url = stack.enter_context(EmbeddedRedis(directory / "redis")).url
        yield Servers(postgres_url, redis_url)


def _container_engine_answers() -> bool:
    """Connect to the engine's socket; the client library would leave its own open when nobody answers."""
    host = urlsplit(environment().get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    family, address = (
        (socket.AF_UNIX, host.path) if host.scheme == "unix" else (socket.AF_INET, (host.hostname, host.port))
    )
    with socket.socket(family) as probe:
        probe.settimeout(2)
        return probe.connect_ex(address) == 0


@contextmanager
def _postgres_container() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(POSTGRES_IMAGE, driver=None) as container:
        yield container.get_connection_url()


@contextmanager
def _redis_container() -> Iterator[str]:
    from testcontainers.community.redis import RedisContainer

    with RedisContainer(REDIS_IMAGE) as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"


@dataclass(frozen=True)
class TestDatabase:
    """One freshly migrated database: as its owner, and as the application."""

    __test__ = False

    owner_url: URL
    app_url: URL


@contextmanager
def migrated_database(postgres_url: str) -> Iterator[TestDatabase]:
    """Create a database with both roles, migrate it, drop it afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    superuser = make_url(postgres_url).set(drivername="postgresql+psycopg")
    engine = create_engine(superuser, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for role in (OWNER_ROLE, APP_ROLE):
            exists = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
            verb = "ALTER" if exists else "CREATE"
            connection.execute(text(f"{verb} ROLE {role} LOGIN PASSWORD '{ROLE_PASSWORD}'"))
        connection.execute(text(f'CREATE DATABASE "{name}" OWNER {OWNER_ROLE}'))
    owner = superuser.set(database=name, username=OWNER_ROLE, password=ROLE_PASSWORD)
    migrate(owner.render_as_string(hide_password=False))
    try:
        yield TestDatabase(owner, owner.set(username=APP_ROLE))
    finally:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        engine.dispose()
