"""Group commit: requests that arrive while a commit is under way share the next one.

There is no timer and no thread of its own. A request that finds no write under way leads: it takes
everything that waits, writes it as one statement, and wakes the others with their outcomes. At low
load a group is one event and nothing is delayed; under load a commit costs the same for many.

Events share a group only with events that wait for the same things, so that one held up holds up few:
each month has a queue of its own, since its partition may be locked or missing; finding a parent reads
other months; an id chosen by the client may be in another transaction that is not finished yet; and large
events, of which one takes PostgreSQL as long as hundreds of others, go by themselves on another connection.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock
from typing import Final

from datastorage.audit.event import AuditEvent
from datastorage.audit.model import Written
from datastorage.errors import DatabaseError, RowRefused, Unavailable

Append = Callable[[Sequence[AuditEvent]], list[Written]]
QueueKey = tuple[int, int, bool, bool, bool]
"""What the events of one group have in common: year, month, and whether they have a parent, a client's id and
more than ``LARGE_BYTES``."""

LARGE_BYTES: Final = 64 * 1024
"""Of the texts of an event without a limit below it."""
MAX_GROUP_BYTES: Final = 1024 * 1024
"""A group waits for its largest neighbours: so many bytes take PostgreSQL some tens of milliseconds."""

_INTERRUPTED = Unavailable("the write was interrupted - please retry", reason="unknown")


class _Ticket:
    """One waiting request: woken with a result, or to lead the next group.

    Attributes:
        result: replaced by every write that ends in a known way. What ends a write otherwise reaches the
            leader's caller, and the others get this error instead of waiting for ever.
    """

    __slots__ = ("_asleep", "event", "leads", "result", "size_bytes")

    def __init__(self, event: AuditEvent) -> None:
        self.event = event
        self.size_bytes = _size_bytes(event)
        self.leads = False
        self.result: Written | DatabaseError = _INTERRUPTED
        # A lock that is held from the start: an Event is three objects, and wakes by way of two locks.
        self._asleep = Lock()
        self._asleep.acquire()

    def wait(self, seconds: float = -1) -> bool:
        """Return whether it was woken in time; once for each ``wake``."""
        return self._asleep.acquire(timeout=seconds)

    def wake(self) -> None:
        """End the wait, also one that has not begun."""
        self._asleep.release()


def _size_bytes(event: AuditEvent) -> int:
    """Return what the longest texts of an event take; the others are short beside them."""
    texts = (event.event_data, event.event_metadata or "", event.error_message or "")
    # Whether it is ASCII a text knows, and that tells its length in bytes.
    return sum(len(each) if each.isascii() else len(each.encode("utf-8")) for each in texts)


@dataclass(slots=True)
class _Queue:
    waiting: list[_Ticket] = field(default_factory=list)
    is_led: bool = False


class GroupWriter:
    """Writes single events in groups.

    Args:
        append: writes independent events in one transaction (``AuditStore.append``).
        max_rows: largest group; bounds what one failure can touch.
        max_bytes: largest group, in bytes of its events; bounds how long its statement takes. A larger event
            is a group of its own.
        max_wait_seconds: longest wait for the group of an event to start; the write's time comes on top.
    """

    def __init__(
        self,
        append: Append,
        *,
        max_rows: int = 256,
        max_bytes: int = MAX_GROUP_BYTES,
        max_wait_seconds: float,
    ) -> None:
        self._append = append
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._max_wait_seconds = max_wait_seconds
        self._lock = Lock()
        self._queues: dict[QueueKey, _Queue] = {}

    def write(self, event: AuditEvent) -> Written:
        """Store ``event`` and return what the database did with it, after the commit.

        Raises:
            DatabaseError: it is not stored.
        """
        day, ticket = event.event_date, _Ticket(event)
        is_large = ticket.size_bytes > LARGE_BYTES
        key = (day.year, day.month, event.parent_event_id is not None, event.has_client_id, is_large)
        with self._lock:
            queue = self._queues.setdefault(key, _Queue())
            queue.waiting.append(ticket)
            ticket.leads = not queue.is_led
            queue.is_led = True
        if not ticket.leads:
            self._wait(queue, ticket)
        if ticket.leads:
            self._lead(key, queue)
        if isinstance(ticket.result, Written):
            return ticket.result
        # A copy: several threads raise it, and each raise writes its own traceback into it.
        raise copy.copy(ticket.result) from ticket.result

    def _wait(self, queue: _Queue, ticket: _Ticket) -> None:
        if ticket.wait(self._max_wait_seconds):
            return
        with self._lock:
            gives_up = ticket in queue.waiting and not ticket.leads
            if gives_up:
                queue.waiting.remove(ticket)
        if gives_up:
            ticket.result = Unavailable("database unavailable - please retry", reason="timeout")
            return
        # Already part of a group: its outcome is certain only when that group is done.
        ticket.wait()

    def _lead(self, key: QueueKey, queue: _Queue) -> None:
        with self._lock:
            group = self._take(queue)
        try:
            self._write_group(group)
        finally:
            self._hand_over(key, queue)
            for ticket in group:
                ticket.wake()

    def _take(self, queue: _Queue) -> list[_Ticket]:
        """Remove the next group: one event at least, and no more of them than fit."""
        count, room = 0, self._max_bytes
        for ticket in queue.waiting[: self._max_rows]:
            room -= ticket.size_bytes
            if count and room < 0:
                break
            count += 1
        group, queue.waiting = queue.waiting[:count], queue.waiting[count:]
        return group

    def _write_group(self, group: list[_Ticket]) -> None:
        """Write the group at once; when one row is at fault, halve until it stands alone."""
        parts = [group]
        while parts:
            part = parts.pop()
            try:
                outcomes = self._append([ticket.event for ticket in part])
            except RowRefused as error:
                if len(part) == 1:
                    part[0].result = error
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
            except DatabaseError as error:
                # The database or the whole month is at fault: trying the rest would only take longer.
                for ticket in chain(part, *parts):
                    ticket.result = error
                return
            else:
                for ticket, outcome in zip(part, outcomes, strict=True):
                    ticket.result = outcome

    def _hand_over(self, key: QueueKey, queue: _Queue) -> None:
        """Let the longest-waiting request lead next; an empty queue is forgotten."""
        with self._lock:
            if queue.waiting:
                queue.waiting[0].leads = True
                queue.waiting[0].wake()
            else:
                del self._queues[key]
