"""Group commit: requests that arrive while a commit is under way share the next one.

There is no timer and no thread of its own. The first request to find nobody writing leads: it takes
everything that waits, writes it as one statement, and wakes the others with their outcomes. At low
load a group is one event and nothing is delayed; under load a commit costs the same for many.

Events share a group only with events that wait for the same things, so that one held up holds up few:
a month whose partition is locked or missing is a queue of its own; finding a parent reads other months;
an id chosen by the client may be in another transaction that is not finished yet.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock
from typing import NamedTuple

from datastorage.audit.event import AuditEvent
from datastorage.audit.model import Written
from datastorage.errors import DatabaseError, RowRefused, Unavailable

Append = Callable[[Sequence[AuditEvent]], list[Written]]


class _QueueKey(NamedTuple):
    """What the events of one group have in common."""

    year: int
    month: int
    has_parent: bool
    has_client_id: bool


class _Ticket:
    """One waiting request: woken with an outcome, with an error, or to lead the next group."""

    __slots__ = ("_asleep", "error", "event", "leads", "outcome")

    def __init__(self, event: AuditEvent) -> None:
        self.event = event
        self.leads = False
        self.outcome: Written | None = None
        self.error: Exception | None = None
        # A lock that is held from the start: an Event is three objects, and wakes by way of two locks.
        self._asleep = Lock()
        self._asleep.acquire()

    def wait(self, seconds: float = -1) -> bool:
        """Return whether it was woken in time; once for each ``wake``."""
        return self._asleep.acquire(timeout=seconds)

    def wake(self) -> None:
        """End the wait, also one that has not begun."""
        self._asleep.release()


@dataclass(slots=True)
class _Queue:
    waiting: list[_Ticket] = field(default_factory=list)
    is_led: bool = False


class GroupWriter:
    """Writes single events in groups.

    Args:
        append: writes independent events in one transaction (``AuditStore.append``).
        max_rows: largest group; bounds statement size and what one failure can touch.
        max_wait_seconds: longest wait for one's group to start; its own time comes on top.
    """

    def __init__(self, append: Append, *, max_rows: int = 256, max_wait_seconds: float) -> None:
        self._append = append
        self._max_rows = max_rows
        self._max_wait_seconds = max_wait_seconds
        self._lock = Lock()
        self._queues: dict[_QueueKey, _Queue] = {}

    def write(self, event: AuditEvent) -> Written:
        """Store ``event`` and return what the database did with it, after the commit.

        Raises:
            DatabaseError: it is not stored.
        """
        key, ticket = _queue_key(event), _Ticket(event)
        with self._lock:
            queue = self._queues.setdefault(key, _Queue())
            queue.waiting.append(ticket)
            ticket.leads = not queue.is_led
            queue.is_led = True
        if not ticket.leads:
            self._wait(queue, ticket)
        if ticket.leads:
            self._lead(key, queue)
        if ticket.error is not None:
            # A copy: several threads raise it, and each raise writes its own traceback into it.
            raise copy.copy(ticket.error) from ticket.error
        assert ticket.outcome is not None
        return ticket.outcome

    def _wait(self, queue: _Queue, ticket: _Ticket) -> None:
        if ticket.wait(self._max_wait_seconds):
            return
        with self._lock:
            gives_up = ticket in queue.waiting and not ticket.leads
            if gives_up:
                queue.waiting.remove(ticket)
        if gives_up:
            ticket.error = Unavailable("database unavailable - please retry", reason="timeout")
            return
        # Already part of a group: its outcome is certain only when that group is done.
        ticket.wait()

    def _lead(self, key: _QueueKey, queue: _Queue) -> None:
        with self._lock:
            group, queue.waiting = queue.waiting[: self._max_rows], queue.waiting[self._max_rows :]
        try:
            self._write_group(group)
        finally:
            self._hand_over(key, queue)
            for ticket in group:
                if ticket.outcome is None and ticket.error is None:
                    # What ended the write reaches the leader's caller; the others must not wait for ever.
                    ticket.error = Unavailable("the write was interrupted - please retry", reason="unknown")
                ticket.wake()

    def _write_group(self, group: list[_Ticket]) -> None:
        """Write the group at once; when one row is at fault, halve until it stands alone."""
        parts = [group]
        while parts:
            part = parts.pop()
            try:
                outcomes = self._append([ticket.event for ticket in part])
            except RowRefused as error:
                if len(part) == 1:
                    part[0].error = error
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
            except DatabaseError as error:
                # The database or the whole month is at fault: trying the rest would only take longer.
                for ticket in chain(part, *parts):
                    ticket.error = error
                return
            else:
                for ticket, outcome in zip(part, outcomes, strict=True):
                    ticket.outcome = outcome

    def _hand_over(self, key: _QueueKey, queue: _Queue) -> None:
        """Let the longest-waiting request lead next; a queue nobody waits in is forgotten."""
        with self._lock:
            if queue.waiting:
                queue.waiting[0].leads = True
                queue.waiting[0].wake()
            else:
                del self._queues[key]


def _queue_key(event: AuditEvent) -> _QueueKey:
    day = event.event_date
    return _QueueKey(day.year, day.month, event.parent_event_id is not None, event.has_client_id)
