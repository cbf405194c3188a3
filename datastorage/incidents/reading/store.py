"""Incidents found in PostgreSQL: one public method is one transaction, its statements one snapshot."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from datastorage.incidents.reading import queries
from datastorage.incidents.reading.model import (
    ExportRequest,
    FoundPage,
    IncidentFilter,
    PageRequest,
)
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.database import Database
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.stretches import Bound, Stretch, stretch_of
from datastorage.platform.db.transactions import limit_next_statement

READ_TIMEOUT = timedelta(seconds=4)
"""For a list or one incident: known clients give up after five seconds and should see our answer."""
LEAST_TIMEOUT = timedelta(milliseconds=100)
NEGLIGIBLE_TIME = timedelta(milliseconds=100)
"""Not worth the round trip that takes it off the limit of the next statement."""
EXPORT_TIMEOUT = timedelta(seconds=10)


class IncidentStore:
    """Finds incidents.

    Args:
        database: where they are.
        max_page_bytes: of the incidents of a page, or of a part of an export.
    """

    def __init__(self, database: Database, *, max_page_bytes: int) -> None:
        self._database = database
        self._max_page_bytes = max_page_bytes

    def find_pages(self, wanted: Sequence[PageRequest], waited_seconds: float = 0) -> list[FoundPage]:
        """Return pages of one filter from one snapshot.

        Args:
            wanted: one or more requests with the same filter.
            waited_seconds: how much of their time limit is over.

        Raises:
            DatabaseError: classified.
        """
        timeout = max(READ_TIMEOUT - timedelta(seconds=waited_seconds), LEAST_TIMEOUT)
        filter_of_all = wanted[0].filter

        def work(connection: Connection) -> list[FoundPage]:
            snapshot = _Snapshot(connection, filter_of_all, timeout, self._max_page_bytes)
            return [snapshot.page(each) for each in wanted]

        # Parallel workers shorten a single count by a third, and make many at once slower than none would.
        return self._database.read(
            work,
            timeout=timeout,
            custom_plan=filter_of_all.depends_on_value,
            parallel_workers=0 if wanted[0].is_counted else None,
        )

    def find(self, incident_id: int) -> str | None:
        """Return one incident in full as JSON text.

        Raises:
            DatabaseError: classified.
        """

        def work(connection: Connection) -> str | None:
            rows = queries.ONE.rows(connection, {"incident_id": incident_id})
            return rows[0][0] if rows else None

        return self._database.read(work, timeout=READ_TIMEOUT)

    def read_export(self, wanted: ExportRequest, *, after: Position[int] | None, limit: int) -> Stretch:
        """Return up to ``limit`` rows of an export behind a position.

        Raises:
            DatabaseError: classified.
        """
        bound = Bound(limit, self._max_page_bytes)
        statement = queries.find_page(wanted.filter, bound, view=wanted.view, after=after)
        return self._database.read(
            lambda connection: stretch_of([row[0] for row in statement.rows(connection)], bound),
            timeout=EXPORT_TIMEOUT,
            custom_plan=wanted.filter.depends_on_value,
        )


class _Snapshot:
    """Pages of one filter in one transaction: counts at most once, and all statements keep one time limit."""

    def __init__(
        self, connection: Connection, wanted: IncidentFilter, timeout: timedelta, max_page_bytes: int
    ) -> None:
        self._connection = connection
        self._max_page_bytes = max_page_bytes
        self._filter = wanted
        self._timeout = timeout
        self._started = monotonic_seconds()
        self._counted: int | None = None

    def page(self, wanted: PageRequest) -> FoundPage:
        """Return one page, and the total if it is to be counted."""
        if not wanted.offset:
            rows = self._rows(wanted, wanted.after)
            return FoundPage(rows, self._total_beside(wanted, rows))
        total = self._total() if wanted.is_counted else None
        if total is not None and wanted.offset >= total:
            return FoundPage(Stretch([]), total)
        self._leave_rest_of_time()
        keys = queries.find_key(self._filter, wanted.offset).rows(self._connection)
        return FoundPage(self._rows(wanted, Position(*keys[0])) if keys else Stretch([]), total)

    def _rows(self, wanted: PageRequest, after: Position[int] | None) -> Stretch:
        self._leave_rest_of_time()
        bound = Bound(wanted.limit, self._max_page_bytes)
        statement = queries.find_page(self._filter, bound, view=wanted.view, after=after)
        return stretch_of([row[0] for row in statement.rows(self._connection)], bound)

    def _total_beside(self, wanted: PageRequest, rows: Stretch) -> int | None:
        if not wanted.is_counted:
            return None
        if wanted.after is None and not rows.has_more:
            return len(rows.texts)  # the page is the whole result
        return self._total()

    def _total(self) -> int:
        if self._counted is None:
            self._leave_rest_of_time()
            self._counted = int(queries.find_count(self._filter).rows(self._connection)[0][0])
        return self._counted

    def _leave_rest_of_time(self) -> None:
        """Limit the next statement to what those before did not use."""
        used = timedelta(seconds=monotonic_seconds() - self._started)
        if used > NEGLIGIBLE_TIME:
            limit_next_statement(self._connection, max(self._timeout - used, LEAST_TIMEOUT))
