"""What is decided about a write: whether it stands, waits in the queue, or is refused.

A write is acknowledged only when it is committed (201) or safe in the dead-letter queue (202). When
neither is possible it is refused with 503, so that the client, who still holds the event, sends it
again (BR-AUDIT-001, DD-009).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import lru_cache, partial
from typing import Any

from datastorage.audit.event import AuditEvent
from datastorage.audit.model import (
    AlreadyRecorded,
    BatchParked,
    BatchRecorded,
    Parked,
    Recorded,
    Written,
)
from datastorage.audit.parents import ParentPending, Parents, orphans, without_pending
from datastorage.audit.queueing import from_payload, to_payload
from datastorage.audit.refusals import (
    BATCH,
    SINGLE,
    UNKNOWN_PARENT,
    conflict,
    log_refused,
    month_at_fault,
    refused_row,
)
from datastorage.audit.store import AuditStore
from datastorage.audit.writer import GroupWriter
from datastorage.dlq.attempt import WriteAttempts
from datastorage.dlq.entry import EntryType
from datastorage.dlq.payload import InvalidPayload
from datastorage.dlq.policy import is_infrastructure
from datastorage.dlq.replay import Replayed
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.write_log import LoggedWrite
from datastorage.errors import DatabaseError, InvalidInput, QueueUnusable, RowRefused
from datastorage.partitions.plan import Month
from datastorage.platform.clock import Clock
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

PARTITION_REASONS = frozenset({"partition_missing", "partition_failed", "storage_error", "lock_timeout"})


class AuditService:
    """Records audit events (BR-STORAGE-001, -002, -007, -012, -017, -018).

    Args:
        store: the table.
        writer: group commit for single events.
        queue: where a write goes that the database could not take.
        parents: finds out about parents that are not stored.
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
        parents: Parents,
        attempts: WriteAttempts,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._store = store
        self._writer = writer
        self._queue = queue
        self._parents = parents
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
        with self._accounted([event]) as line:
            try:
                [written] = self._write(SINGLE, [event], lambda: [self._writer.write(event)])
            except DatabaseError as fault:
                self._enqueue([event], fault, line)
                return Parked(event_id=event.event_id, event_timestamp=event.event_timestamp)
            if written is Written.PARENT_MISSING:
                raise InvalidInput.of("audit_event", {"parent_event_id": UNKNOWN_PARENT})
            if written is Written.CONFLICT:
                raise conflict("audit_event", event)
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
        with self._accounted(events) as line:
            try:
                outcomes = self._write(BATCH, events, lambda: self._store.append_all(events))
            except DatabaseError as fault:
                return self._park_batch(events, fault, line)
            lost = [index for index, outcome in enumerate(outcomes) if outcome is Written.PARENT_MISSING]
            if lost:
                faults = {f"[{index}].parent_event_id": UNKNOWN_PARENT for index in lost}
                raise InvalidInput.of_items(BATCH, faults)
            if Written.CONFLICT in outcomes:
                raise conflict(BATCH, events[outcomes.index(Written.CONFLICT)])
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
            written = self._write_again(event)
        except InvalidPayload:
            return Replayed.INVALID
        except RowRefused as refused:
            log_refused(refused)
            return Replayed.INVALID
        except ParentPending:
            return Replayed.PARENT_PENDING
        if written is Written.CONFLICT:
            return Replayed.CONFLICT
        if written is Written.IDENTICAL:
            return Replayed.DUPLICATE
        self._show_written(_partition(event.event_date), self._clock())
        return Replayed.STORED

    def _write_again(self, event: AuditEvent) -> Written:
        """Write one acknowledged event; when nobody knows its parent, keep the event and what it said."""
        written = Written.PARENT_MISSING
        try:
            [written] = self._write(SINGLE, [event], lambda: self._store.append([event]), is_replay=True)
        except RowRefused as refused:
            if refused.reason != "foreign_key":
                raise
            # The parent was there when it was looked up, and deleted before its child was inserted.
        if written is Written.PARENT_MISSING:
            append_orphan = partial(self._store.append_orphan, event)
            [written] = self._attempt(SINGLE, [event], append_orphan, is_replay=True)
        return written

    @contextmanager
    def _accounted(self, events: Sequence[AuditEvent]) -> Iterator[LoggedWrite]:
        """Log the write once, and count the events that nobody takes."""
        with LoggedWrite(logger, "Audit write finished", _fields(events)) as line:
            try:
                yield line
            except QueueUnusable:
                self._count(events, "failure")
                raise

    def _write(
        self,
        table: str,
        events: Sequence[AuditEvent],
        append: Callable[[], list[Written]],
        *,
        is_replay: bool = False,
    ) -> list[Written]:
        """Write, and find out about missing parents whether they wait in the queue.

        Raises:
            ParentPending: every missing parent does.
            DatabaseError: the database cannot take it now, or cannot know about a parent.
            InvalidInput: it never will; ``RowRefused`` when replayed.
            QueueUnusable: nobody can know whether a parent is queued.
        """
        outcomes = self._attempt(table, events, append, is_replay=is_replay)
        if Written.PARENT_MISSING not in outcomes:
            return outcomes
        missing = orphans(events, outcomes)
        queued = self._parents.queued(missing, events)
        if not missing <= queued:
            # The retry loop may have stored a parent and dropped its id since the database was asked:
            # whoever is in neither place now was never acknowledged.
            outcomes = self._attempt(table, events, append, is_replay=is_replay)
            missing = orphans(events, outcomes)
        if missing and missing <= queued:
            raise ParentPending("parent is queued", reason="parent_pending")
        if missing:
            self._parents.require_all_months(events)
        return without_pending(events, outcomes, queued)

    def _attempt(
        self,
        table: str,
        events: Sequence[AuditEvent],
        append: Callable[[], list[Written]],
        *,
        is_replay: bool = False,
    ) -> list[Written]:
        """Run a write, and turn a refused row into the client's fault.

        Raises:
            DatabaseError: the database cannot take it now.
            InvalidInput: it never will; ``RowRefused`` when replayed.
        """
        try:
            return self._attempts.run(table, append, is_replay=is_replay)
        except RowRefused as refused:
            if refused.reason == "unique":
                fault = month_at_fault(refused)
                self._count_partition_failure(events, fault)
                raise fault from refused
            if is_replay:
                raise
            raise refused_row(refused, table) from refused
        except DatabaseError as error:
            self._count_partition_failure(events, error)
            raise

    def _park_batch(self, events: list[AuditEvent], fault: DatabaseError, line: LoggedWrite) -> BatchParked:
        """Queue the whole batch; what is wrong with one month must not make the others wait."""
        if not is_infrastructure(fault.reason):
            fault = DatabaseError(fault.detail, reason="batch_rollback")
        self._enqueue(events, fault, line)
        return BatchParked(
            message=f"{len(events)} audit events queued for async processing",
            count=len(events),
            event_ids=[event.event_id for event in events],
        )

    def _enqueue(self, events: Sequence[AuditEvent], fault: DatabaseError, line: LoggedWrite) -> None:
        line.queued_for = fault.reason
        self._queue.park(EntryType.AUDIT_EVENT, [to_payload(event) for event in events], fault)
        self._count(events, "dlq_fallback")

    def _count(self, events: Sequence[AuditEvent], status: str) -> None:
        categories = [event.event_category for event in events]
        for category in set(categories):
            self._metrics.audit_traces.labels(category, status).inc(categories.count(category))

    def _count_stored(self, events: Sequence[AuditEvent], created: Sequence[AuditEvent]) -> None:
        now = self._clock()
        self._count(events, "success")
        for event in created:
            lag_seconds = max((now - event.event_timestamp).total_seconds(), 0.0)
            self._metrics.audit_lag_seconds.labels(event.event_category).observe(lag_seconds)
        for partition in {_partition(event.event_date) for event in events}:
            self._show_written(partition, now)

    def _show_written(self, partition: str, now: datetime) -> None:
        self._metrics.partition_last_write_timestamp.labels(partition).set(now.timestamp())
        self._metrics.partition_status.labels(partition, "unavailable").set(0)

    def _count_partition_failure(self, events: Sequence[AuditEvent], fault: DatabaseError) -> None:
        partitions = {_partition(event.event_date) for event in events}
        # Which month of several failed is not in PostgreSQL's diagnostics; replay finds out one by one.
        if fault.reason in PARTITION_REASONS and len(partitions) == 1:
            partition = partitions.pop()
            self._metrics.partition_write_failures.labels(partition).inc(len(events))
            self._metrics.partition_status.labels(partition, "unavailable").set(1)


def _fields(events: Sequence[AuditEvent]) -> dict[str, object]:
    first = events[0]
    return {
        "event_id": str(first.event_id),
        "event_type": first.event_type,
        "event_category": first.event_category,
        "correlation_id": first.correlation_id,
        "count": len(events),
    }


@lru_cache(maxsize=1024)
def _partition(day: date) -> str:
    """Return what metrics call the month of ``day``."""
    return str(Month.of(day))
