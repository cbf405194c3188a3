"""What is decided about a write: whether it stands, waits in the queue, or is refused.

A write is acknowledged only when it is committed (201) or safe in the dead-letter queue (202). When
neither is possible it is refused with 503, so that the client, who still holds the event, sends it
again (BR-AUDIT-001, DD-009).
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from datastorage.audit.model import (
    AlreadyRecorded,
    AuditEvent,
    BatchParked,
    BatchRecorded,
    Parked,
    Recorded,
    Written,
)
from datastorage.audit.queueing import InvalidPayload, from_payload, to_payload
from datastorage.audit.store import AuditStore
from datastorage.audit.writer import GroupWriter
from datastorage.dlq.attempt import WriteAttempts
from datastorage.dlq.entry import EntryType
from datastorage.dlq.policy import is_infrastructure
from datastorage.dlq.replay import Replayed
from datastorage.dlq.service import DeadLetterQueue
from datastorage.errors import Conflict, DatabaseError, Fault, InvalidInput, QueueUnusable, RowRefused
from datastorage.partitions.plan import Month
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

T = TypeVar("T")

UNKNOWN_PARENT = Fault("parent event does not exist", "parent_not_found")
PARTITION_REASONS = frozenset({"partition_missing", "partition_failed", "storage_error", "lock_timeout"})

SINGLE, BATCH = "audit_events", "audit_events_batch"


class AuditService:
    """Records audit events (BR-STORAGE-001, -002, -007, -012, -017, -018).

    Args:
        store: the table.
        writer: group commit for single events.
        queue: where a write goes that the database could not take.
        attempts: tries the database.
        metrics: counts and lag of writes.
        clock: the server's now, for the lag.
    """

    def __init__(  # noqa: PLR0913 - the one place where a write is decided
        self,
        *,
        store: AuditStore,
        writer: GroupWriter,
        queue: DeadLetterQueue,
        attempts: WriteAttempts,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._store = store
        self._writer = writer
        self._queue = queue
        self._attempts = attempts
        self._metrics = metrics
        self._clock = clock

    def record(self, event: AuditEvent) -> Recorded | AlreadyRecorded | Parked:
        """Commit one event, or queue it.

        Raises:
            InvalidInput: its parent does not exist, or PostgreSQL refuses a value for good.
            Conflict: another event is stored under its id.
            QueueUnusable: it is neither stored nor queued; the client keeps it and retries.
        """
        try:
            written = self._attempt(SINGLE, [event], lambda: self._writer.write(event))
        except DatabaseError as fault:
            return self._park(event, fault)
        if written is Written.PARENT_MISSING:
            if self._await_parents([event]):
                return self._park(event, DatabaseError("parent is queued", reason="parent_pending"))
            raise InvalidInput.of("audit_event", {"parent_event_id": UNKNOWN_PARENT})
        if written is Written.CONFLICT:
            raise _conflict("audit_event", event)
        if written is Written.IDENTICAL:
            self._count_stored([event], [])
            return AlreadyRecorded(event.event_id, event.event_timestamp)
        self._count_stored([event], [event])
        return Recorded(event.event_id, event.event_timestamp)

    def record_batch(self, events: list[AuditEvent]) -> BatchRecorded | BatchParked:
        """Commit all events, or queue all of them.

        Raises:
            InvalidInput: a parent does not exist, or PostgreSQL refuses a value for good.
            Conflict: another event is stored, or comes earlier in the batch, under the id of one.
            QueueUnusable: nothing is stored or queued; the client keeps the batch and retries.
        """
        try:
            outcomes = self._attempt(BATCH, events, lambda: self._store.append_all(events))
        except DatabaseError as fault:
            return self._park_batch(events, fault)
        orphans = [index for index, outcome in enumerate(outcomes) if outcome is Written.PARENT_MISSING]
        if orphans:
            if self._await_parents([events[index] for index in orphans]):
                return self._park_batch(events, DatabaseError("parent is queued", reason="parent_pending"))
            faults = {f"[{index}].parent_event_id": UNKNOWN_PARENT for index in orphans}
            raise InvalidInput.of_items(BATCH, faults)
        if Written.CONFLICT in outcomes:
            raise _conflict(BATCH, events[outcomes.index(Written.CONFLICT)])
        created = [e for e, outcome in zip(events, outcomes, strict=True) if outcome is Written.CREATED]
        self._count_stored(events, created)
        message = f"{len(events)} audit events created successfully"
        return BatchRecorded([event.event_id for event in events], message, len(events) - len(created))

    def replay(self, payload: dict[str, Any]) -> Replayed:
        """Write a queued event through the ordinary path, without judging its age again.

        Raises:
            DatabaseError: it is not stored.
            QueueUnusable: nobody can know whether its parent is still queued.
        """
        try:
            event = from_payload(payload)
        except InvalidPayload:
            return Replayed.INVALID
        try:
            [written] = self._attempt(SINGLE, [event], lambda: self._store.append([event]), is_replay=True)
            if written is Written.PARENT_MISSING:
                if self._await_parents([event]):
                    return Replayed.PARENT_PENDING
                # Acknowledged with a parent that nobody knows: keep the event, and what it said.
                [written] = self._attempt(
                    SINGLE, [event], lambda: self._store.append_orphan(event), is_replay=True
                )
        except InvalidInput:
            return Replayed.INVALID
        if written is Written.CONFLICT:
            return Replayed.CONFLICT
        if written is Written.IDENTICAL:
            return Replayed.DUPLICATE
        self._show_month(event)
        return Replayed.STORED

    def _attempt(
        self, table: str, events: Sequence[AuditEvent], write: Callable[[], T], *, is_replay: bool = False
    ) -> T:
        """Run a write, log it once, and turn a refused row into the client's fault.

        Raises:
            DatabaseError: the database cannot take it now.
            InvalidInput: it never will.
        """
        started = monotonic_seconds()
        outcome = "failure"
        try:
            written = self._attempts.run(table, write, is_replay=is_replay)
            outcome = "success"
        except RowRefused as refused:
            outcome = refused.reason
            raise _refused(refused, table) from refused
        except DatabaseError as error:
            outcome = error.reason
            self._count_partition_failure(events, error)
            raise
        finally:
            _log(events, monotonic_seconds() - started, outcome)
        return written

    def _park(self, event: AuditEvent, fault: DatabaseError) -> Parked:
        self._enqueue([event], fault)
        return Parked(event_id=event.event_id, event_timestamp=event.event_timestamp)

    def _park_batch(self, events: list[AuditEvent], fault: DatabaseError) -> BatchParked:
        """Queue the whole batch; what is wrong with one month must not make the others wait."""
        if not is_infrastructure(fault.reason):
            fault = DatabaseError(fault.detail, reason="batch_rollback")
        self._enqueue(events, fault)
        return BatchParked(
            message=f"{len(events)} audit events queued for async processing",
            count=len(events),
            event_ids=[event.event_id for event in events],
        )

    def _enqueue(self, events: Sequence[AuditEvent], fault: DatabaseError) -> None:
        status = "dlq_fallback"
        try:
            self._queue.park(EntryType.AUDIT_EVENT, [to_payload(event) for event in events], fault)
        except QueueUnusable:
            status = "failure"
            raise
        finally:
            for event in events:
                self._metrics.audit_traces.labels(event.event_category, status).inc()

    def _await_parents(self, events: Sequence[AuditEvent]) -> bool:
        """Tell whether the missing parent of every event waits in the queue: it was acknowledged earlier."""
        return all(self._queue.are_queued([str(event.parent_event_id) for event in events]))

    def _count_stored(self, events: Sequence[AuditEvent], created: Sequence[AuditEvent]) -> None:
        now = self._clock()
        for event in events:
            self._metrics.audit_traces.labels(event.event_category, "success").inc()
        for event in created:
            lag = max(now - event.event_timestamp, timedelta(0))
            self._metrics.audit_lag_seconds.labels(event.event_category).observe(lag.total_seconds())
        for event in {Month.of(event.event_date): event for event in events}.values():
            self._show_month(event)

    def _show_month(self, event: AuditEvent) -> None:
        partition = str(Month.of(event.event_date))
        self._metrics.partition_last_write_timestamp.labels(partition).set(self._clock().timestamp())
        self._metrics.partition_status.labels(partition, "unavailable").set(0)

    def _count_partition_failure(self, events: Sequence[AuditEvent], fault: DatabaseError) -> None:
        months = {Month.of(event.event_date) for event in events}
        # Which month of several failed is not in PostgreSQL's diagnostics; replay finds out one by one.
        if fault.reason in PARTITION_REASONS and len(months) == 1:
            partition = str(months.pop())
            self._metrics.partition_write_failures.labels(partition).inc(len(events))
            self._metrics.partition_status.labels(partition, "unavailable").set(1)


def _conflict(resource: str, event: AuditEvent) -> Conflict:
    detail = f"another event is stored under event_id {event.event_id}"
    return Conflict(detail, resource=resource, field="event_id", value=str(event.event_id))


def _refused(refused: RowRefused, table: str) -> InvalidInput:
    """PostgreSQL refuses what validation let pass: it would fail on every retry, so the client must know."""
    resource = "audit_event" if table == SINGLE else table
    if refused.reason == "foreign_key":
        return InvalidInput.of(resource, {"parent_event_id": UNKNOWN_PARENT})
    logger.error("PostgreSQL refused a validated event", extra={"sqlstate": refused.sqlstate})
    fault = Fault("the event has a value that cannot be stored", "database_constraint")
    return InvalidInput.of(resource, {"body": fault})


def _log(events: Sequence[AuditEvent], duration_seconds: float, outcome: str) -> None:
    first = events[0]
    logger.log(
        logging.INFO if outcome == "success" else logging.ERROR,
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
