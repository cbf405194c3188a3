"""What is decided about audit events: whether a write stands, and what a reader gets to see.

A write is acknowledged only after its commit. What PostgreSQL cannot take now is refused with 503,
so that the client, who still holds the event, sends it again.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from datastorage.audit.cursor import cursor_of
from datastorage.audit.model import (
    AlreadyRecorded,
    AuditEvent,
    AuditFilter,
    BatchRecorded,
    EventExport,
    EventPage,
    ExportRequest,
    PageRequest,
    Pagination,
    Position,
    Recorded,
    StoredEvent,
    Written,
)
from datastorage.audit.store import AuditStore
from datastorage.audit.writer import GroupWriter
from datastorage.errors import Conflict, DatabaseError, Fault, InvalidInput, NotFound, RowRefused, Unavailable
from datastorage.partitions.plan import Month
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

T = TypeVar("T")

WRITE_RETRY_AFTER_SECONDS = 5
UNKNOWN_PARENT = Fault("parent event does not exist", "parent_not_found")
PARTITION_REASONS = frozenset({"partition_missing", "partition_failed", "storage_error", "lock_timeout"})


class AuditService:
    """Records and finds audit events (BR-STORAGE-001, -002, -007, -012, -020).

    Args:
        store: the table.
        writer: group commit for single events.
        metrics: counts, durations and lag of writes and queries.
        clock: the server's now, for the lag.
    """

    def __init__(self, store: AuditStore, writer: GroupWriter, metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._writer = writer
        self._metrics = metrics
        self._clock = clock

    def record(self, event: AuditEvent) -> Recorded | AlreadyRecorded:
        """Commit one event.

        Raises:
            InvalidInput: its parent does not exist, or PostgreSQL refuses a value for good.
            Conflict: another event is stored under its id.
            Unavailable: it is not stored; the client keeps it and retries.
        """
        written = self._attempt("audit_events", [event], lambda: self._writer.write(event))
        if written is Written.PARENT_MISSING:
            raise InvalidInput.of("audit_event", {"parent_event_id": UNKNOWN_PARENT})
        if written is Written.CONFLICT:
            raise _conflict("audit_event", event)
        self._count_stored([event])
        if written is Written.IDENTICAL:
            return AlreadyRecorded(event.event_id, event.event_timestamp)
        return Recorded(event.event_id, event.event_timestamp)

    def record_batch(self, events: list[AuditEvent]) -> BatchRecorded:
        """Commit all events or none.

        Raises:
            InvalidInput: a parent does not exist, or PostgreSQL refuses a value for good.
            Conflict: another event is stored, or comes earlier in the batch, under the id of one.
            Unavailable: nothing is stored; the client keeps the batch and retries.
        """
        outcomes = self._attempt("audit_events_batch", events, lambda: self._store.append_all(events))
        orphans = [index for index, outcome in enumerate(outcomes) if outcome is Written.PARENT_MISSING]
        if orphans:
            faults = {f"[{index}].parent_event_id": UNKNOWN_PARENT for index in orphans}
            raise InvalidInput.of_items("audit_events_batch", faults)
        if Written.CONFLICT in outcomes:
            raise _conflict("audit_events_batch", events[outcomes.index(Written.CONFLICT)])
        self._count_stored(events)
        ids = [event.event_id for event in events]
        duplicates = outcomes.count(Written.IDENTICAL)
        return BatchRecorded(ids, f"{len(events)} audit events created successfully", duplicates)

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
        return EventPage(data, pagination)

    def find(self, event_id: UUID) -> StoredEvent:
        """Return one event.

        Raises:
            NotFound: no such event is stored.
            DatabaseError: classified.
        """
        members = self._timed_query(lambda: self._store.find(event_id))
        if members is None:
            raise NotFound(f"no audit event has the id {event_id}", title="Resource Not Found")
        return StoredEvent(members)

    def export(self, wanted: ExportRequest) -> EventExport:
        """Start streaming events; the rows are read while they are sent.

        Raises:
            DatabaseError: classified, also while the lines are consumed.
        """
        end, rows = self._timed_query(lambda: self._store.stream(wanted.filter, limit=wanted.limit))
        next_cursor = cursor_of(end, ascending=wanted.filter.ascending) if end else None
        return EventExport(rows, next_cursor)

    def _attempt(self, table: str, events: Sequence[AuditEvent], write: Callable[[], T]) -> T:
        """Run a write, measure it, log it once, and say what a fault means for the client."""
        started = monotonic_seconds()
        outcome = "failure"
        try:
            written = write()
            outcome = "success"
        except RowRefused as refused:
            outcome = refused.reason
            self._count_failed(events, refused)
            raise _refused(refused, table) from refused
        except DatabaseError as error:
            outcome = error.reason
            self._count_failed(events, error)
            raise Unavailable(
                "database unavailable - please retry",
                reason=error.reason,
                sqlstate=error.sqlstate,
                retry_after_seconds=WRITE_RETRY_AFTER_SECONDS,
            ) from error
        finally:
            self._observe(table, events, monotonic_seconds() - started, outcome)
        return written

    def _observe(
        self, table: str, events: Sequence[AuditEvent], duration_seconds: float, outcome: str
    ) -> None:
        status = "success" if outcome == "success" else "failure"
        self._metrics.write_duration_seconds.labels(table).observe(duration_seconds)
        self._metrics.write.labels(table, status).inc()
        first = events[0]
        logger.log(
            logging.INFO if status == "success" else logging.ERROR,
            "Audit write finished",
            extra={
                "event_id": str(first.event_id),
                "event_type": first.event_type,
                "event_category": first.event_category,
                "correlation_id": first.correlation_id,
                "count": len(events),
                "duration_ms": round(duration_seconds * 1000, 3),
                "outcome": outcome,
            },
        )

    def _count_stored(self, events: Sequence[AuditEvent]) -> None:
        now = self._clock()
        for event in events:
            lag = max(now - event.event_timestamp, timedelta(0))
            self._metrics.audit_traces.labels(event.event_category, "success").inc()
            self._metrics.audit_lag_seconds.labels(event.event_category).observe(lag.total_seconds())
        for month in {Month.of(event.event_date) for event in events}:
            self._metrics.partition_last_write_timestamp.labels(str(month)).set(now.timestamp())
            self._metrics.partition_status.labels(str(month), "unavailable").set(0)

    def _count_failed(self, events: Sequence[AuditEvent], fault: DatabaseError) -> None:
        for event in events:
            self._metrics.audit_traces.labels(event.event_category, "failure").inc()
        months = {Month.of(event.event_date) for event in events}
        # Which month of several failed is not in PostgreSQL's diagnostics; only a single one is certain.
        if fault.reason in PARTITION_REASONS and len(months) == 1:
            partition = str(months.pop())
            self._metrics.partition_write_failures.labels(partition).inc(len(events))
            self._metrics.partition_status.labels(partition, "unavailable").set(1)

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


def _next_cursor(wanted: AuditFilter, last: dict[str, Any]) -> str:
    return cursor_of(Position(last["event_timestamp"], last["event_id"]), ascending=wanted.ascending)


def _conflict(resource: str, event: AuditEvent) -> Conflict:
    detail = f"another event is stored under event_id {event.event_id}"
    return Conflict(detail, resource=resource, field="event_id", value=str(event.event_id))


def _refused(refused: RowRefused, table: str) -> InvalidInput:
    """PostgreSQL refuses what validation let pass: it would fail on every retry, so the client must know."""
    resource = "audit_event" if table == "audit_events" else table
    if refused.reason == "foreign_key":
        return InvalidInput.of(resource, {"parent_event_id": UNKNOWN_PARENT})
    logger.error("PostgreSQL refused a validated event", extra={"sqlstate": refused.sqlstate})
    fault = Fault("the event has a value that cannot be stored", "database_constraint")
    return InvalidInput.of(resource, {"body": fault})
