"""Databases with the roles of a deployment: ``datastorage`` owns the schema, ``datastorage_app`` uses it."""

import subprocess
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, make_url
from sqlalchemy.exc import DBAPIError

import datastorage
from datastorage.embedded.postgres import find_postgres_bin_dirs
from datastorage.embedded.stack import APP_ROLE, OWNER_ROLE
from tests.support.servers import ROLE_PASSWORD

PSQL = find_postgres_bin_dirs()[0] / "psql"
ALEMBIC_INI = Path(datastorage.__file__).parents[1] / "alembic.ini"


@dataclass(frozen=True)
class RoleUrls:
    """One database, seen by the owner of the schema, by the service and by the superuser."""

    owner: URL
    app: URL
    superuser: URL


@contextmanager
def fresh_database(postgres_url: str) -> Iterator[RoleUrls]:
    """Create an empty database owned by ``datastorage`` and drop it in the end."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as superuser:
        _create_roles(superuser)
        create = sql.SQL("CREATE DATABASE {} OWNER {}")
        superuser.execute(create.format(sql.Identifier(name), sql.Identifier(OWNER_ROLE)))
        try:
            base = make_url(postgres_url).set(drivername="postgresql+psycopg", database=name)
            yield RoleUrls(
                owner=base.set(username=OWNER_ROLE, password=ROLE_PASSWORD),
                app=base.set(username=APP_ROLE, password=ROLE_PASSWORD),
                superuser=base,
            )
        finally:
            superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _create_roles(superuser: psycopg.Connection) -> None:
    for role in (OWNER_ROLE, APP_ROLE):
        if superuser.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            superuser.execute(create.format(sql.Identifier(role), sql.Literal(ROLE_PASSWORD)))


@contextmanager
def engine_for(url: URL) -> Iterator[Engine]:
    """Open an engine without a pool: nothing stays connected when the test ends."""
    engine = create_engine(url, poolclass=NullPool)
    yield engine
    engine.dispose()


def upgrade(url: URL, revision: str = "head") -> None:
    """Migrate up to ``revision`` as the role of ``url``."""
    with engine_for(url) as engine, engine.connect() as connection:
        command.upgrade(_config(connection), revision)


def downgrade(url: URL, revision: str = "base", *, lose_data: bool = False) -> None:
    """Migrate down to ``revision`` as the role of ``url``."""
    with engine_for(url) as engine, engine.connect() as connection:
        config = _config(connection)
        config.cmd_opts = Namespace(x=["lose-data=yes"] if lose_data else None)
        command.downgrade(config, revision)


def check(url: URL) -> None:
    """Fail when the tables differ from the metadata, like ``alembic check``."""
    with engine_for(url) as engine, engine.connect() as connection:
        command.check(_config(connection))


def upgrade_sql(steps: str = "head") -> str:
    """Return what ``alembic upgrade STEPS --sql`` prints."""
    output = StringIO()
    command.upgrade(Config(str(ALEMBIC_INI), output_buffer=output), steps, sql=True)
    return output.getvalue()


def run_script(url: URL, script: str) -> None:
    """Run SQL statement by statement, as an operator does with ``psql``."""
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [str(PSQL), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", plain],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def downgrade_sql(steps: str, *x_arguments: str) -> str:
    """Return what ``alembic downgrade FROM:TO --sql`` prints."""
    output = StringIO()
    config = Config(str(ALEMBIC_INI), output_buffer=output, cmd_opts=Namespace(x=list(x_arguments)))
    command.downgrade(config, steps, sql=True)
    return output.getvalue()


def _config(connection: Connection) -> Config:
    config = Config(str(ALEMBIC_INI))
    config.attributes["connection"] = connection
    return config


@contextmanager
def refused(connection: Connection, *sqlstates: str) -> Iterator[pytest.ExceptionInfo[DBAPIError]]:
    """Expect one of ``sqlstates`` and keep the transaction of ``connection`` usable."""
    with pytest.raises(DBAPIError) as caught, connection.begin_nested():
        yield caught
    assert isinstance(caught.value.orig, psycopg.Error)
    assert caught.value.orig.sqlstate in sqlstates
