"""Parents that were not found: unknown, still in the queue, or in a month that cannot be asked."""

from collections.abc import Collection, Sequence
from typing import Protocol
from uuid import UUID

from datastorage.audit.event import AuditEvent
from datastorage.audit.model import Written
from datastorage.dlq.service import DeadLetterQueue
from datastorage.errors import DatabaseError, PartitionFailure
from datastorage.partitions.plan import AUDIT_EVENTS, Month


class ParentPending(DatabaseError):
    """The parent was acknowledged and waits in the queue: so must its child."""


class Months(Protocol):
    """Knows which months nobody can read at the moment."""

    def detached_months(self, table: str) -> Collection[Month]:
        """Return the months whose partition exists and is not attached."""


class Parents:
    """Finds out about parents that the database did not find.

    Args:
        queue: where a parent may still wait.
        months: where a parent may be out of sight.
    """

    def __init__(self, queue: DeadLetterQueue, months: Months) -> None:
        self._queue = queue
        self._months = months

    def queued(self, wanted: set[UUID], events: Sequence[AuditEvent]) -> set[UUID]:
        """Return those of ``wanted`` that wait in the queue: they were acknowledged earlier.

        Not those of ``events`` themselves: an event that names itself would wait for ever.

        Raises:
            QueueUnusable: nobody can know.
        """
        ids = list(wanted - {event.event_id for event in events})
        are_queued = self._queue.are_queued([str(event_id) for event_id in ids])
        return {event_id for event_id, is_queued in zip(ids, are_queued, strict=True) if is_queued}

    def require_all_months(self, events: Sequence[AuditEvent]) -> None:
        """Make sure that a parent of ``events`` would have been found: none is later than its child.

        Raises:
            PartitionFailure: a month is detached in which it may be.
            DatabaseError: nobody can know.
        """
        latest = max(Month.of(event.event_date) for event in events)
        if any(month <= latest for month in self._months.detached_months(AUDIT_EVENTS.name)):
            raise PartitionFailure("a month is detached", reason="partition_missing")


def orphans(events: Sequence[AuditEvent], outcomes: Sequence[Written]) -> set[UUID]:
    """Return the parents that were not found."""
    return {
        event.parent_event_id
        for event, outcome in zip(events, outcomes, strict=True)
        if outcome is Written.PARENT_MISSING and event.parent_event_id is not None
    }


def without_pending(
    events: Sequence[AuditEvent], outcomes: Sequence[Written], queued: set[UUID]
) -> list[Written]:
    """Hold only unknown parents against a batch that is refused, not those that are queued."""
    return [
        Written.ROLLED_BACK
        if outcome is Written.PARENT_MISSING and event.parent_event_id in queued
        else outcome
        for event, outcome in zip(events, outcomes, strict=True)
    ]
