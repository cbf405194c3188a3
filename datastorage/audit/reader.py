"""What a reader of audit events gets to see."""

from datetime import datetime
from typing import Final
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
from datastorage.platform.db.keyset import Position
from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.timing import timed_query
from datastorage.platform.web.pages import Pagination

OPERATION: Final = "audit_events"
"""Every read of events in the metrics of queries."""


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
        with timed_query(self._metrics, OPERATION):
            rows, total = self._store.find_page(
                wanted.filter, limit=wanted.limit + 1, offset=wanted.offset, counted=wanted.include_total
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
        with timed_query(self._metrics, OPERATION):
            text = self._store.find(event_id)
        if text is None:
            raise NotFound(f"no audit event has the id {event_id}", title="Resource Not Found")
        return StoredEvent(text)

    def export(self, wanted: ExportRequest) -> EventExport:
        """Start streaming events; the rows are read while they are sent.

        Raises:
            DatabaseError: classified, also while the lines are consumed.
        """
        with timed_query(self._metrics, OPERATION):
            end, chunks = self._store.stream(wanted.filter, limit=wanted.limit)
        next_cursor = cursor_of(end, ascending=wanted.filter.ascending) if end else None
        return EventExport(chunks, next_cursor)


class _Key(msgspec.Struct):
    event_timestamp: datetime
    event_id: UUID


_KEY = msgspec.json.Decoder(_Key)


def _next_cursor(wanted: AuditFilter, last: str) -> str:
    key = _KEY.decode(last)
    return cursor_of(Position(key.event_timestamp, key.event_id), ascending=wanted.ascending)
