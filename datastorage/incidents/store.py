"""Incidents found in PostgreSQL: one public method is one transaction, its statements one snapshot."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Select

from datastorage.incidents import queries
from datastorage.incidents.model import ExportRequest, FoundRows, IncidentFilter, PageRequest, Position
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.database import Database
from datastorage.platform.db.local_settings import set_local

READ_TIMEOUT = timedelta(seconds=4)
"""For a list or one incident: known clients give up after five seconds and should see our answer."""
LEAST_TIMEOUT = timedelta(milliseconds=100)
EXPORT_TIMEOUT = timedelta(seconds=10)


class IncidentStore:
    """Finds incidents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_page(self, wanted: PageRequest) -> FoundRows:
        """Return one row more than ``limit`` if there are more, and the total if it is to be counted.

        Raises:
            DatabaseError: classified.
        """

        def work(connection: Connection) -> FoundRows:
            started = monotonic_seconds()
            if not wanted.offset:
                rows = _page(connection, wanted, wanted.after)
                return FoundRows(rows, _total(connection, wanted, len(rows), started))
            total = _count(connection, wanted.filter) if wanted.is_counted else None
            if total is not None and wanted.offset >= total:
                return FoundRows([], total)
            _leave_rest_of_time(connection, started)
            key = connection.execute(queries.key_of_row(wanted.filter, wanted.offset)).first()
            _leave_rest_of_time(connection, started)
            return FoundRows(_page(connection, wanted, Position(*key)) if key else [], total)

        custom_plan = wanted.filter.depends_on_value
        return self._database.read(work, timeout=READ_TIMEOUT, custom_plan=custom_plan)

    def find(self, incident_id: int) -> str | None:
        """Return one incident in full as JSON text.

        Raises:
            DatabaseError: classified.
        """

        def work(connection: Connection) -> str | None:
            found: str | None = connection.scalar(queries.one(incident_id))
            return found

        return self._database.read(work, timeout=READ_TIMEOUT)

    def read_export(self, wanted: ExportRequest, *, after: Position | None, limit: int) -> list[str]:
        """Return up to ``limit`` rows of an export behind a position.

        Raises:
            DatabaseError: classified.
        """
        statement = queries.page(wanted.filter, view=wanted.view, limit=limit, after=after)
        return self._database.read(
            lambda connection: _texts(connection, statement),
            timeout=EXPORT_TIMEOUT,
            custom_plan=wanted.filter.depends_on_value,
        )


def _page(connection: Connection, wanted: PageRequest, after: Position | None) -> list[str]:
    statement = queries.page(wanted.filter, view=wanted.view, limit=wanted.limit + 1, after=after)
    return _texts(connection, statement)


def _total(connection: Connection, wanted: PageRequest, rows: int, started: float) -> int | None:
    if not wanted.is_counted:
        return None
    if wanted.after is None and rows <= wanted.limit:
        return rows  # the page is the whole result
    _leave_rest_of_time(connection, started)
    return _count(connection, wanted.filter)


def _count(connection: Connection, wanted: IncidentFilter) -> int:
    return int(connection.execute(queries.count(wanted)).scalar_one())


def _texts(connection: Connection, statement: Select[Any]) -> list[str]:
    return list(connection.scalars(statement))


def _leave_rest_of_time(connection: Connection, started: float) -> None:
    """Limit the next statement to what those before did not use: all together keep the limit."""
    left = READ_TIMEOUT - timedelta(seconds=monotonic_seconds() - started)
    set_local(connection, statement_timeout=max(left, LEAST_TIMEOUT))
