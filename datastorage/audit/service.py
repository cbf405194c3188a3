"""What is decided about a write: whether it stands, waits in the queue, or is refused.

A write is acknowledged only when it is committed (201) or safe in the dead-letter queue (202). When
neither is possible it is refused with 503, so that the client, who still holds the event, sends it
again (BR-AUDIT-001, DD-009).
"""

import logging
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, Final

from datastorage.audit import refusals
from datastorage.audit.event import AuditEvent, from_payload, to_payload
from datastorage.audit.model import (
    AlreadyRecorded,
    BatchParked,
    BatchRecorded,
    Parked,
    Recorded,
    Written,
)
from datastorage.audit.parents import ParentPending, Parents
from datastorage.audit.refusals import BATCH, SINGLE
from datastorage.audit.store import AuditStore
from datastorage.audit.writer import GroupWriter
from datastorage.dlq.attempt import WriteAttempts
from datastorage.dlq.entry import EntryType
from datastorage.dlq.payload import InvalidPayload
from datastorage.dlq.policy import is_infrastructure
from datastorage.dlq.replay import Replayed
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.write import Kind, StoreOrQueue
from datastorage.errors import DatabaseError, RowRefused
from datastorage.partitions.plan import Month
from datastorage.platform.clock import Clock
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

_LOGGED = ("event_id", "event_type", "event_category", "correlation_id")

KIND: Final[Kind[AuditEvent]] = Kind(
    entry_type=EntryType.AUDIT_EVENT,
    payload=to_payload,
    service=attrgetter("event_category"),
    happened_at=attrgetter("event_timestamp"),
    message="Audit write finished",
    log_fields=lambda events: (
        {name: str(getattr(events[0], name)) for name in _LOGGED} | {"count": len(events)}
    ),
)

PARTITION_REASONS = frozenset({"partition_missing", "partition_failed", "storage_error", "lock_timeout"})

_REPLAYED = {
    Written.CREATED: Replayed.STORED,
    Written.IDENTICAL: Replayed.DUPLICATE,
    Written.CONFLICT: Replayed.CONFLICT,
}


class AuditService:
    """Records audit events (BR-STORAGE-001, -002, -007, -012, -017, -018).

    Both ways to write raise ``InvalidInput`` when a parent does not exist or PostgreSQL refuses a value for
    good, ``Conflict`` when another event has the id of one, and ``QueueUnusable`` when nothing is stored or
    queued: the client keeps the events and sends them again.
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
        self._parents = parents
        self._attempts = attempts
        self._metrics = metrics
        self._clock = clock
        self._writes = StoreOrQueue(KIND, queue, metrics, clock, logger)

    def record(self, event: AuditEvent) -> Recorded | AlreadyRecorded | Parked:
        """Commit one event, or queue it."""
        return self._writes.write(
            [event],
            lambda: self._store_one(event),
            lambda: Parked(event_id=event.event_id, event_timestamp=event.event_timestamp),
        )

    def _store_one(self, event: AuditEvent) -> Recorded | AlreadyRecorded | Parked:
        append = partial(self._attempt, SINGLE, [event], lambda: [self._writer.write(event)])
        outcomes = self._parents.write([event], append)
        refusals.require_written(SINGLE, [event], outcomes)
        is_new = Written.CREATED in outcomes
        self._count_stored([event], [event] if is_new else [])
        answer = Recorded if is_new else AlreadyRecorded
        return answer(event.event_id, event.event_timestamp)

    def record_batch(self, events: list[AuditEvent]) -> BatchRecorded | BatchParked:
        """Commit all events, or queue all of them."""
        return self._writes.write(
            events,
            lambda: self._store_batch(events),
            lambda: BatchParked(
                message=f"{len(events)} audit events queued for async processing",
                count=len(events),
                event_ids=[event.event_id for event in events],
            ),
        )

    def _store_batch(self, events: list[AuditEvent]) -> BatchRecorded | BatchParked:
        append = partial(self._attempt, BATCH, events, lambda: self._store.append_all(events))
        try:
            outcomes = self._parents.write(events, append)
        except DatabaseError as fault:
            if is_infrastructure(fault.reason):
                raise
            # What is wrong with one month must not make the others wait.
            raise DatabaseError(fault.detail, reason="batch_rollback") from fault
        refusals.require_written(BATCH, events, outcomes)
        created = [e for e, outcome in zip(events, outcomes, strict=True) if outcome is Written.CREATED]
        self._count_stored(events, created)
        message = f"{len(events)} audit events created successfully"
        return BatchRecorded([event.event_id for event in events], message, len(events) - len(created))

    def replay(self, payload: dict[str, Any]) -> Replayed:
        """Write a queued event through the ordinary path, without judging its age again.

        Raises:
            DatabaseError: it is not stored.
            QueueUnusable: it is unknown whether its parent is still queued.
        """
        try:
            event = from_payload(payload)
            replayed = _REPLAYED[self._write_again(event)]
        except InvalidPayload:
            return Replayed.INVALID
        except RowRefused as refused:
            refusals.log_refused(refused)
            return Replayed.INVALID
        except ParentPending:
            return Replayed.PARENT_PENDING
        if replayed is Replayed.STORED:
            self._show_written([event])
        return replayed

    def _write_again(self, event: AuditEvent) -> Written:
        """Write an acknowledged event; when its parent exists nowhere, keep the event and the id it named."""
        attempt = partial(self._attempt, SINGLE, [event], is_replay=True)
        written = Written.PARENT_MISSING
        try:
            [written] = self._parents.write([event], lambda: attempt(lambda: self._store.append([event])))
        except RowRefused as refused:
            if refused.reason != "foreign_key":
                raise
            # The parent was there when it was looked up, and deleted before its child was inserted.
        if written is Written.PARENT_MISSING:
            [written] = attempt(lambda: self._store.append_orphan(event))
        return written

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
                fault = refusals.month_at_fault(refused)
                self._count_partition_failure(events, fault)
                raise fault from refused
            if is_replay:
                raise
            raise refusals.refused_row(refused, table) from refused
        except DatabaseError as error:
            self._count_partition_failure(events, error)
            raise

    def _count_stored(self, events: Sequence[AuditEvent], created: Sequence[AuditEvent]) -> None:
        self._writes.count_stored(events, created)
        self._show_written(events)

    def _show_written(self, events: Sequence[AuditEvent]) -> None:
        now_seconds = self._clock().timestamp()
        for partition in _partitions(events):
            self._metrics.partition_last_write_timestamp.labels(partition).set(now_seconds)
            self._metrics.partition_status.labels(partition, "unavailable").set(0)

    def _count_partition_failure(self, events: Sequence[AuditEvent], fault: DatabaseError) -> None:
        partitions = _partitions(events)
        # Which month of several failed is not in PostgreSQL's diagnostics; replay finds out one by one.
        if fault.reason in PARTITION_REASONS and len(partitions) == 1:
            partition = partitions.pop()
            self._metrics.partition_write_failures.labels(partition).inc(len(events))
            self._metrics.partition_status.labels(partition, "unavailable").set(1)


def _partitions(events: Sequence[AuditEvent]) -> set[str]:
    return {_partition(event.event_date) for event in events}


@lru_cache(maxsize=1024)
def _partition(day: date) -> str:
    """Return the month of ``day`` as the metrics name it."""
    return str(Month.of(day))
