"""Statements of constant text, compiled once.

SQLAlchemy finds the text of a statement again by its structure, each time it is executed: for a statement
with many columns that costs more than everything else the service does for a row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Row
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.elements import ClauseElement

DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Rendered:
    """One statement; its values are bound parameters, by name, as the driver takes and returns them."""

    def __init__(self, statement: Executable) -> None:
        assert isinstance(statement, ClauseElement)  # noqa: S101 - every statement that has a text is
        self.text = str(statement.compile(dialect=DIALECT))

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """Execute it and return all rows."""
        return connection.exec_driver_sql(self.text, dict(parameters)).all()
