"""Parents that were not found: unknown, still in the queue, or in a month that cannot be read."""

from collections.abc import Callable, Collection, Sequence
from uuid import UUID

from datastorage.audit.event import AuditEvent
from datastorage.audit.model import Written
from datastorage.dlq.service import DeadLetterQueue
from datastorage.errors import DatabaseError, PartitionFailure
from datastorage.partitions.plan import AUDIT_EVENTS, Month


class ParentPending(DatabaseError):
    """The parent was acknowledged and waits in the queue: so must its child."""


class Parents:
    """Decides what becomes of events whose parent the database did not find.

    Args:
        queue: where a parent may still wait.
        detached_months: of a table; a parent in one of them is out of sight.
    """

    def __init__(self, queue: DeadLetterQueue, detached_months: Callable[[str], Collection[Month]]) -> None:
        self._queue = queue
        self._detached_months = detached_months

    def write(self, events: Sequence[AuditEvent], append: Callable[[], list[Written]]) -> list[Written]:
        """Return the outcomes of ``append``; a parent that is reported as missing exists nowhere.

        Raises:
            ParentPending: every missing parent waits in the queue.
            DatabaseError: what ``append`` raises, or a missing parent may be in a month that is detached.
            QueueUnusable: it is unknown whether a parent is queued.
        """
        outcomes = append()
        if Written.PARENT_MISSING not in outcomes:
            return outcomes
        missing = _missing_parents(events, outcomes)
        queued = self._queued(missing, events)
        if not missing <= queued:
            # The retry loop may have stored a parent, and dropped its id from the queue, after the database
            # was asked. A parent that is in neither place now was never acknowledged.
            outcomes = append()
            missing = _missing_parents(events, outcomes)
        if missing:
            if missing <= queued:
                raise ParentPending("parent is queued", reason="parent_pending")
            self._require_all_months(events)
        # A batch is refused for its unknown parents only: the client can do nothing about those in the queue.
        pending = missing & queued
        return [
            Written.ROLLED_BACK if event.parent_event_id in pending else outcome
            for event, outcome in zip(events, outcomes, strict=True)
        ]

    def _queued(self, wanted: set[UUID], events: Sequence[AuditEvent]) -> set[UUID]:
        """Return those of ``wanted`` that wait in the queue.

        The ids of ``events`` themselves are not looked up: an event that names itself would wait for ever.
        """
        ids = list(wanted - {event.event_id for event in events})
        are_queued = self._queue.are_queued([str(event_id) for event_id in ids])
        return {event_id for event_id, is_queued in zip(ids, are_queued, strict=True) if is_queued}

    def _require_all_months(self, events: Sequence[AuditEvent]) -> None:
        """Make sure that a parent of ``events`` would have been found: none is later than its child."""
        latest = max(Month.of(event.event_date) for event in events)
        if any(month <= latest for month in self._detached_months(AUDIT_EVENTS.name)):
            raise PartitionFailure("a month is detached", reason="partition_missing")


def own_ancestors(events: Sequence[AuditEvent]) -> list[int]:
    """Return the indexes of events whose line of parents, all in the same batch, leads back to them."""
    parents = {event.event_id: event.parent_event_id for event in events if event.parent_event_id is not None}
    in_cycles: set[UUID] = set()
    visited: set[UUID] = set()
    for first in parents:
        line: dict[UUID, None] = {}
        current: UUID | None = first
        while current in parents and current not in visited:
            visited.add(current)
            line[current] = None
            current = parents[current]
        if current in line:
            ancestors = list(line)
            in_cycles.update(ancestors[ancestors.index(current) :])
    if not in_cycles:
        return []
    return [index for index, event in enumerate(events) if event.event_id in in_cycles]


def _missing_parents(events: Sequence[AuditEvent], outcomes: Sequence[Written]) -> set[UUID]:
    return {
        event.parent_event_id
        for event, outcome in zip(events, outcomes, strict=True)
        if outcome is Written.PARENT_MISSING and event.parent_event_id is not None
    }
