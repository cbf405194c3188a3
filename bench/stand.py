"""PostgreSQL, Redis and the service, all three our own: in a temporary folder, on free ports.

Nothing of the environment names a server here, so a bench can never fill somebody's database.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import ClauseElement

from bench.floor import FlaskProcess
from bench.load import Generator, Statement
from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.redis import EmbeddedRedis
from datastorage.embedded.stack import APP_ROLE, DATABASE, OWNER_ROLE, migrate
from datastorage.platform.db.rendered import DIALECT
from tests.support.service import ServiceProcess

POSTGRES_SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
"""What a small production server has; everything else, fsync too, is as ``make run`` sets it."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where everything is.

    Attributes:
        owner_url: how data are loaded.
        app_url: how the service and the baselines log in.
        service_url: the API.
        service_pid: the arbiter of the service.
        postgres: the server itself, for further databases.
        redis_url: the queue.
        stock: an empty Flask application under gunicorn's own threaded worker.
        ours: the same under the service's worker.
    """

    owner_url: str
    app_url: str
    service_url: str
    generator: Generator
    service_pid: int
    postgres: EmbeddedPostgres
    redis_url: str
    stock: FlaskProcess
    ours: FlaskProcess

    @property
    def postgres_pid(self) -> int:
        """The first process of PostgreSQL."""
        return self.postgres.pid


@contextmanager
def servers(directory: Path) -> Iterator[tuple[EmbeddedPostgres, EmbeddedRedis]]:
    """Start both servers, and migrate."""
    with (
        EmbeddedPostgres(directory / "postgres", settings=POSTGRES_SETTINGS) as postgres,
        EmbeddedRedis(directory / "redis") as redis,
    ):
        for role in (OWNER_ROLE, APP_ROLE):
            postgres.create_role(role, secrets.token_urlsafe(24))
        postgres.create_database(DATABASE, owner=OWNER_ROLE)
        migrate(postgres.url(DATABASE, OWNER_ROLE))
        yield postgres, redis


@contextmanager
def serving(directory: Path, postgres: EmbeddedPostgres, redis: EmbeddedRedis) -> Iterator[Stand]:
    """Start the service with default settings, empty applications beside it, and a load generator."""
    app_url = postgres.url(DATABASE, APP_ROLE)
    generator = Generator()
    try:
        with (
            ServiceProcess(directory / "service", app_url, redis.url) as service,
            FlaskProcess(directory / "stock", app_url, redis.url, is_stock=True) as stock,
            FlaskProcess(directory / "ours", app_url, redis.url, is_stock=False) as ours,
        ):
            yield Stand(
                owner_url=postgres.url(DATABASE, OWNER_ROLE),
                app_url=app_url,
                service_url=service.api.url,
                generator=generator,
                service_pid=service.pid,
                postgres=postgres,
                redis_url=redis.url,
                stock=stock,
                ours=ours,
            )
    finally:
        generator.close()


def settle(url: str) -> None:
    """Do now what the server would do in the middle of a measurement: vacuum, statistics, checkpoint."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (FREEZE, ANALYZE)")
        connection.execute("CHECKPOINT")


def statement(expression: ClauseElement) -> Statement:
    """Compile a Core expression to what psycopg is sent."""
    compiled = expression.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
    return Statement(str(compiled), dict(compiled.params))


def literal_sql(expression: ClauseElement) -> str:
    """Compile a Core expression with its values inside: COPY takes no parameters."""
    compiled = expression.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})
    return str(compiled).replace("%%", "%")
