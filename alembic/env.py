"""Runs the migrations: all of them in one transaction, one runner at a time.

The database is the one of the service's configuration (``CONFIG_PATH`` or the environment), unless
the caller hands over a connection as ``config.attributes["connection"]``.
"""

import sys
from logging.config import fileConfig
from typing import Any

import sqlalchemy as sa
from alembic import context
from sqlalchemy import Connection

from datastorage.partitions.plan import PARTITIONED_TABLES
from datastorage.settings import Settings, SettingsError, environment
from datastorage.tables import metadata

# Long enough for another runner to finish; after that the job fails and is started again.
RUNNER_WAIT = "2min"
# A migration waiting for a lock makes every write behind it wait, and an audit write gives up after two
# seconds. A migration that needs longer, or must not run in a transaction, says so itself.
LOCK_TIMEOUT = "1500ms"
STATEMENT_TIMEOUT = "5min"


def main() -> None:
    connection = context.config.attributes.get("connection")
    if context.is_offline_mode():
        # Any parameter style but the driver's own: that one would print every % twice.
        _configure(dialect_name="postgresql", dialect_opts={"paramstyle": "named"}, literal_binds=True)
        _migrate()
    elif connection is not None:
        _migrate_on(connection)
    else:
        _configure_logging()
        with _engine().connect() as own_connection:
            _migrate_on(own_connection)


def _configure(**options: object) -> None:
    context.configure(
        target_metadata=metadata,
        include_object=_is_declared,
        compare_server_default=True,
        **options,
    )


def _is_declared(item: Any, name: str | None, kind: str, _reflected: object, _other: object) -> bool:
    """Leave out partitions and PostgreSQL's references to them: no metadata knows what maintenance makes."""
    if kind == "foreign_key_constraint":
        name = item.elements[0].target_fullname.split(".")[-2]
    return not any(table.has(name or "") for table in PARTITIONED_TABLES)


def _migrate() -> None:
    with context.begin_transaction():
        # A transaction lock also works through a pooling proxy, and nobody has to give it back.
        context.execute(f"SET LOCAL lock_timeout = '{RUNNER_WAIT}'")
        context.execute("SELECT pg_advisory_xact_lock(hashtextextended('datastorage.migrations', 0))")
        context.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        context.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
        context.run_migrations()


def _configure_logging() -> None:
    if context.config.config_file_name is not None:
        fileConfig(context.config.config_file_name, disable_existing_loggers=False)


def _engine() -> sa.Engine:
    try:
        settings = Settings.load_database(None, environment())
    except SettingsError as error:
        sys.exit(f"error: {error}")  # alembic's own way to fail wraps the text and writes it twice
    return sa.create_engine(
        settings.url,
        poolclass=sa.pool.NullPool,
        connect_args={"application_name": "datastorage/alembic"},
    )


def _migrate_on(connection: Connection) -> None:
    _configure(connection=connection)
    _migrate()


main()
