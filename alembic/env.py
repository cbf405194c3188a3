"""Runs the migrations: in one transaction unless one of them has to leave it, one runner at a time.

The database is the one of the service's configuration (``CONFIG_PATH`` or the environment), unless
the caller hands over a connection as ``config.attributes["connection"]``.
"""

import logging
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from logging.config import fileConfig
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.runtime.migration import RevisionStep
from psycopg.errors import RaiseException
from sqlalchemy import Connection, Engine

from datastorage.errors import DatabaseUnsuitable
from datastorage.partitions.plan import PARTITIONED_TABLES
from datastorage.platform.db.engine import connected
from datastorage.platform.db.rendered import driver_of
from datastorage.platform.db.session import prepare_session
from datastorage.platform.db.transactions import milliseconds
from datastorage.settings import (
    Settings,
    SettingsError,
    environment,
    forget_libpq_variables,
    ignored_variables,
)
from datastorage.tables import metadata

logger = logging.getLogger("alembic.env")

# Long enough for another runner to finish, unless it fills a column of many rows; after that the job fails
# and is started again.
RUNNER_WAIT = "2min"
# A migration waiting for a lock makes every write behind it wait, and an audit write gives up after two
# seconds. A migration that needs longer, or must not run in a transaction, says so itself.
LOCK_TIMEOUT = "1500ms"
STATEMENT_TIMEOUT = timedelta(minutes=5)
LEDGER_PARTITION = re.compile(r"ledger_entries_\d+")

# A transaction lock also works through a pooling proxy, and nobody has to give it back.
ALONE = (
    f"SET LOCAL lock_timeout = '{RUNNER_WAIT}'",
    "SELECT pg_advisory_xact_lock(hashtextextended('datastorage.migrations', 0))",
)
LIMITS = (
    f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'",
    f"SET LOCAL statement_timeout = {milliseconds(STATEMENT_TIMEOUT)}",
)

# Looks before it locks: a downgrade that has to be refused must not hold up a single write. An empty table is
# locked and looked at again, so that no row arrives between the check and the drop.
REFUSE_LOSS = """
DO $$
DECLARE
    candidate regclass;
    has_rows boolean;
    lost text[] := '{{}}';
BEGIN
    FOR candidate IN SELECT to_regclass(name) FROM unnest(ARRAY[{tables}]) AS name
    LOOP
        CONTINUE WHEN candidate IS NULL;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', candidate) INTO has_rows;
        IF NOT has_rows THEN
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', candidate);
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', candidate) INTO has_rows;
        END IF;
        IF has_rows THEN
            lost := lost || candidate::text;
        END IF;
    END LOOP;
    IF lost <> '{{}}' THEN
        RAISE 'downgrade to {target} would lose rows of %; pass -x lose-data=yes',
            array_to_string(lost, ', ');
    END IF;
END
$$
"""


def main() -> None:
    connection = context.config.attributes.get("connection")
    if context.is_offline_mode():
        # Any parameter style but the driver's own: that one would print every % twice.
        _configure(dialect_name="postgresql", dialect_opts={"paramstyle": "named"}, literal_binds=True)
        _migrate((*ALONE, *LIMITS))
    elif connection is not None:
        prepare_session(driver_of(connection), STATEMENT_TIMEOUT)
        _migrate_on(connection)
    else:
        _configure_logging()
        _migrate_on_own_connection()


def _configure(**options: object) -> None:
    options |= {
        "target_metadata": metadata,
        "include_object": _is_declared,
        "compare_server_default": True,
    }
    context.configure(**options)
    plan = context.get_context().opts["fn"]
    context.configure(fn=lambda heads, migrations: _refusing_loss(plan(heads, migrations)), **options)


def _is_declared(item: Any, name: str | None, kind: str, _reflected: object, _other: object) -> bool:
    """Leave out partitions and PostgreSQL's references to them: no metadata knows what maintenance makes."""
    if kind == "foreign_key_constraint":
        name = item.elements[0].target_fullname.split(".")[-2]
    name = name or ""
    return not LEDGER_PARTITION.fullmatch(name) and not any(table.has(name) for table in PARTITIONED_TABLES)


def _refusing_loss(planned: Iterable[Any]) -> list[Any]:
    """Return the steps, unless they go down and would drop rows: then end, before the first of them."""
    steps = list(planned)
    undone = [step.revision for step in steps if isinstance(step, RevisionStep) and step.is_downgrade]
    lost = dict.fromkeys(table for revision in undone for table in revision.module.loses)
    tables = ", ".join(f"'{table}'" for table in lost)
    if tables and context.get_x_argument(as_dictionary=True).get("lose-data") != "yes":
        try:
            context.execute(REFUSE_LOSS.format(tables=tables, target=undone[-1].down_revision or "base"))
        except sa.exc.DBAPIError as error:
            if isinstance(error.orig, RaiseException):
                sys.exit(error.orig.diag.message_primary)
            raise
    return steps


def _migrate(limits: Sequence[str]) -> None:
    """Run the migrations; one that leaves the transaction begins the next with ``limits`` again."""
    context.config.attributes["limits"] = limits
    with context.begin_transaction():
        for statement in limits:
            context.execute(statement)
        context.run_migrations()


def _configure_logging() -> None:
    if context.config.config_file_name is not None:
        fileConfig(context.config.config_file_name, disable_existing_loggers=False)


def _migrate_on_own_connection() -> None:
    try:
        settings = Settings.load_database(None, environment())
        for name in ignored_variables(environment()):
            logger.warning("Unknown environment variable ignored: %s", name)
        forget_libpq_variables()
        with connected(settings, "datastorage/alembic") as connection:
            _migrate_on(connection.execution_options(isolation_level="READ COMMITTED"))
    except SettingsError as error:
        sys.exit(f"error: {error}")  # alembic's own way to fail wraps the text and writes it twice
    except DatabaseUnsuitable as error:
        sys.exit(f"error: {error.cause}")


def _migrate_on(connection: Connection) -> None:
    _configure(connection=connection)
    with _only_runner(connection.engine):
        _migrate(LIMITS)


@contextmanager
def _only_runner(engine: Engine) -> Iterator[None]:
    """Keep other runners waiting, from a connection of its own: a migration may have several transactions."""
    with engine.connect() as opened:
        connection = opened.execution_options(isolation_level="READ COMMITTED")
        with connection.begin():
            for statement in ("SET LOCAL idle_in_transaction_session_timeout = 0", *ALONE):
                connection.exec_driver_sql(statement)
            yield


main()
