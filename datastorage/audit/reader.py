"""What a reader of audit events gets to see."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from datastorage.audit.cursor import cursor_of
from datastorage.audit.model import (
    AuditFilter,
    EventExport,
    EventPage,
    ExportRequest,
    PageRequest,
    StoredEvent,
)
from datastorage.audit.store import AuditStore
from datastorage.errors import NotFound
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.keyset import Position
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.pages import Pagination

T = TypeVar("T")


class AuditReader:
    """Finds audit events (BR-STORAGE-020, -024).

    Args:
        store: the table.
        metrics: counts and durations of queries.
    """

    def __init__(self, store: AuditStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def find_page(self, wanted: PageRequest) -> EventPage:
        """Return one page and where it lies.

        Raises:
            DatabaseError: classified; 503, 504 or 409 to the client.
        """
        # One row more than asked for tells whether there are more, with or without count and cursor.
        rows, total = self._timed_query(
            lambda: self._store.find_page(
                wanted.filter, limit=wanted.limit + 1, offset=wanted.offset, counted=wanted.include_total
            )
        )
        data, has_more = rows[: wanted.limit], len(rows) > wanted.limit
        next_cursor = _next_cursor(wanted.filter, data[-1]) if has_more else None
        pagination = Pagination(wanted.limit, wanted.offset, total, has_more, next_cursor)
        return EventPage([msgspec.Raw(text.encode("utf-8")) for text in data], pagination)

    def find(self, event_id: UUID) -> StoredEvent:
        """Return one event.

        Raises:
            NotFound: no such event is stored.
            DatabaseError: classified.
        """
        text = self._timed_query(lambda: self._store.find(event_id))
        if text is None:
            raise NotFound(f"no audit event has the id {event_id}", title="Resource Not Found")
        return StoredEvent(text)

    def export(self, wanted: ExportRequest) -> EventExport:
        """Start streaming events; the rows are read while they are sent.

        Raises:
            DatabaseError: classified, also while the lines are consumed.
        """
        end, chunks = self._timed_query(lambda: self._store.stream(wanted.filter, limit=wanted.limit))
        next_cursor = cursor_of(end, ascending=wanted.filter.ascending) if end else None
        return EventExport(chunks, next_cursor)

    def _timed_query(self, query: Callable[[], T]) -> T:
        started = monotonic_seconds()
        status = "failure"
        try:
            answer = query()
            status = "success"
            return answer
        finally:
            self._metrics.query_duration_seconds.labels("audit_events").observe(monotonic_seconds() - started)
            self._metrics.query.labels("audit_events", status).inc()


class _Key(msgspec.Struct):
    event_timestamp: datetime
    event_id: UUID


_KEY = msgspec.json.Decoder(_Key)


def _next_cursor(wanted: AuditFilter, last: str) -> str:
    key = _KEY.decode(last)
    return cursor_of(Position(key.event_timestamp, key.event_id), ascending=wanted.ascending)
