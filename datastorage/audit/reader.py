"""Reads of ``audit_events``: pages, single events and exports.

Every method raises a classified ``DatabaseError``.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from datastorage.audit import queries
from datastorage.audit.cursor import cursor_of
from datastorage.audit.export import EventExport, ExportKeys, RowKey, position_of
from datastorage.audit.model import EventPage, ExportRequest, PageRequest
from datastorage.errors import NotFound
from datastorage.platform.db.database import Database
from datastorage.platform.db.stretches import Bound, Stretch, bounded, stretch_of
from datastorage.platform.exports import Exports, RunningExport
from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.timing import timed_query
from datastorage.platform.web.pages import Pagination

OPERATION: Final = "audit_events"
"""Every read of events in the metrics of queries."""
SHORT_PAGE_ROWS: Final = 200
"""A longer page shows a long list: its count, a statement of its own, may use parallel workers."""

Found = tuple[Stretch, int | None]
"""Events as JSON and, if they were counted, how many match: in one snapshot unless the page is cut."""


class AuditReader:
    """Finds audit events (BR-STORAGE-020, -024).

    Args:
        database: where they are.
        exports: how many may run, and for how long.
        metrics: counts and durations of reads.
        max_page_bytes: of the events of a page.

    Attributes:
        exports: how many of events may run, in whatever form.
    """

    def __init__(
        self, database: Database, exports: Exports, metrics: Metrics, *, max_page_bytes: int
    ) -> None:
        self._database = database
        self.exports = exports
        self._metrics = metrics
        self._max_page_bytes = max_page_bytes

    def find_page(self, wanted: PageRequest) -> EventPage:
        """Return one page and where it lies."""
        bound = Bound(wanted.limit, self._max_page_bytes)
        with timed_query(self._metrics, OPERATION):
            # One row more than asked for tells whether there are more, with or without count and cursor.
            found, total = self._find(replace(wanted, limit=wanted.limit + 1), bound)
        next_cursor = _cursor_behind(found.texts[-1], wanted) if found.has_more else None
        pagination = Pagination.of(
            found, limit=wanted.limit, offset=wanted.offset, total=total, next_cursor=next_cursor
        )
        return EventPage(list(map(_raw, found.texts)), pagination)

    def _find(self, wanted: PageRequest, bound: Bound) -> Found:
        is_short_first = not wanted.offset and wanted.filter.after is None and wanted.limit <= SHORT_PAGE_ROWS
        if wanted.filter.needs_values or (wanted.include_total and not is_short_first):
            return self._find_in_snapshot(wanted, bound)
        if wanted.filter.is_by_correlation and wanted.include_total:
            # Rarely more than a page, and the count costs even where it is never made: PostgreSQL prepares
            # to look into every partition twice.
            found, _ = self._find_at_once(replace(wanted, include_total=False), bound)
            if not found.has_more:
                return found, len(found.texts)
        return self._find_at_once(wanted, bound)

    def _find_at_once(self, wanted: PageRequest, bound: Bound) -> Found:
        statement, values = queries.rendered_page(wanted, bound.units)
        if wanted.filter.is_planned_alike:
            rows = self._database.query(statement, values)
        else:
            rows = self._database.read(lambda connection: statement.rows(connection, values))
        found = stretch_of([row[0] for row in rows], bound)
        if not wanted.include_total:
            return found, None
        if rows and rows[-1][1] is not None:
            return found, rows[-1][1]
        # Of a page that was cut PostgreSQL never got to the row beside which it counts.
        return found, self._count(wanted) if found.is_cut else len(found.texts)

    def _count(self, wanted: PageRequest) -> int:
        def work(connection: Connection) -> int:
            total: int = connection.execute(queries.count(wanted.filter)).scalar_one()
            return total

        return self._database.read(work, custom_plan=wanted.filter.needs_values)

    def _find_in_snapshot(self, wanted: PageRequest, bound: Bound) -> Found:
        def work(connection: Connection) -> Found:
            total = None
            if wanted.include_total:
                total = connection.execute(queries.count(wanted.filter)).scalar_one()
                if wanted.offset >= total:
                    return Stretch([]), total
            page = queries.page(wanted.filter, limit=wanted.limit, offset=wanted.offset)
            texts = connection.execute(bounded(page, bound.units)).scalars().all()
            return stretch_of(texts, bound), total

        return self._database.read(work, custom_plan=wanted.filter.needs_values)

    def find(self, event_id: UUID) -> msgspec.Raw:
        """Return one event as JSON.

        Raises:
            NotFound: no such event is stored.
        """
        with timed_query(self._metrics, OPERATION):
            rows = self._database.query(queries.ONE, {"event_id": event_id})
        if not rows:
            raise NotFound(f"no audit event has the id {event_id}", title="Resource Not Found")
        return _raw(rows[0][0])

    def export(self, wanted: ExportRequest) -> EventExport:
        """Start streaming events; a ``DatabaseError`` may also come while they are read.

        Raises:
            TooManyExports: as many run as may.
        """
        running = self.exports.begin()
        try:
            with timed_query(self._metrics, OPERATION):
                return self._begin(wanted, running)
        except BaseException:
            running.close()
            raise

    def _begin(self, wanted: ExportRequest, running: RunningExport) -> EventExport:
        ascending = wanted.filter.ascending
        statement = queries.keys(wanted.filter, limit=wanted.limit + 1)
        keys = self._database.read(
            lambda connection: ExportKeys(connection.execute(statement), wanted.limit),
            custom_plan=wanted.filter.needs_values,
        )
        return EventExport(
            keys,
            lambda page: self._find_rows_of(page, ascending=ascending),
            running,
            lambda position: cursor_of(position, ascending=ascending),
            tells_end=wanted.tells_end,
        )

    def _find_rows_of(self, keys: Sequence[RowKey], *, ascending: bool) -> list[str]:
        days = [day for _, day in keys]
        values = {
            "event_ids": [event_id for event_id, _ in keys],
            "first_date": min(days),
            "last_date": max(days),
        }
        rows = self._database.query(queries.OF_KEYS[ascending], values)
        wanted = set(keys)
        return [text for event_id, day, text in rows if (event_id, day) in wanted]


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode("utf-8"))


def _cursor_behind(last: str, wanted: PageRequest) -> str:
    return cursor_of(position_of(last), ascending=wanted.filter.ascending)
