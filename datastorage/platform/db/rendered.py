"""Statements of constant text, compiled once and executed by the driver itself.

At each execution SQLAlchemy looks up the text by the structure of the statement, and examines the columns of
the result: for a single row that costs more than all else that the service does with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import psycopg
from sqlalchemy import ClauseElement, Connection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

DIALECT = PGDialect_psycopg()
IS_WATCHED = "datastorage_is_watched"
"""Execution option of an engine that a tracer listens to."""


class Rendered:
    """One statement, with values as named parameters in the types of the driver."""

    def __init__(self, statement: ClauseElement) -> None:
        self.text = str(statement.compile(dialect=DIALECT))

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Execute it and return all rows.

        Raises:
            psycopg.Error: it failed; SQLAlchemy's error if the engine is watched.
        """
        if connection.get_execution_options().get(IS_WATCHED):
            watched = connection.exec_driver_sql(self.text, dict(parameters))
            return [tuple(row) for row in watched]
        return driver_of(connection).execute(self.text, parameters).fetchall()


def driver_of(connection: Connection) -> psycopg.Connection[Any]:
    """Return psycopg's connection below SQLAlchemy's."""
    return cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)
