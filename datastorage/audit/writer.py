"""Group commit: requests that arrive while a commit is under way share the next one.

There is no timer and no thread of its own. The first request to find nobody writing leads: it takes
everything that waits, writes it as one statement, and wakes the others with their outcomes. At low
load a group is one event and nothing is delayed; under load a commit costs the same for many.

Events of one month form their own queue: a month whose partition is locked or missing holds up only
itself. Events with a parent queue apart too, since finding the parent reads other months.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock

from datastorage.audit.model import AuditEvent, Written
from datastorage.errors import DatabaseError, RowRefused, Unavailable

Append = Callable[[Sequence[AuditEvent]], list[Written]]
QueueKey = tuple[int, int, bool]


@dataclass(slots=True)
class _Ticket:
    """One waiting request: woken with an outcome, with an error, or to lead the next group."""

    event: AuditEvent
    woken: Event = field(default_factory=Event)
    outcome: Written | None = None
    error: Exception | None = None


@dataclass(slots=True)
class _Queue:
    waiting: list[_Ticket] = field(default_factory=list)
    is_led: bool = False


class GroupWriter:
    """Writes single events in groups.

    Args:
        append: writes independent events in one transaction (``AuditStore.append``).
        max_rows: largest group; bounds statement size and what one failure can touch.
        max_wait_seconds: longest wait for one's group to start.
    """

    def __init__(self, append: Append, *, max_rows: int = 256, max_wait_seconds: float) -> None:
        self._append = append
        self._max_rows = max_rows
        self._max_wait_seconds = max_wait_seconds
        self._lock = Lock()
        self._queues: dict[QueueKey, _Queue] = {}

    def write(self, event: AuditEvent) -> Written:
        """Store ``event`` and return what the database did with it, after the commit.

        Raises:
            DatabaseError: it is not stored.
        """
        key = (event.event_date.year, event.event_date.month, event.parent_event_id is not None)
        ticket = _Ticket(event)
        with self._lock:
            queue = self._queues.setdefault(key, _Queue())
            queue.waiting.append(ticket)
            leads = not queue.is_led
            queue.is_led = True
        if not leads:
            self._wait(queue, ticket)
            leads = ticket.outcome is None and ticket.error is None
        if leads:
            self._lead(key, queue)
        if ticket.error is not None:
            # A copy: several threads raise it, and each raise writes its own traceback into it.
            raise copy.copy(ticket.error) from ticket.error
        assert ticket.outcome is not None  # noqa: S101 - whoever is woken without an error has an outcome
        return ticket.outcome

    def _wait(self, queue: _Queue, ticket: _Ticket) -> None:
        if ticket.woken.wait(self._max_wait_seconds):
            return
        with self._lock:
            still_waiting = ticket in queue.waiting and not ticket.woken.is_set()
            if still_waiting:
                queue.waiting.remove(ticket)
        if still_waiting:
            ticket.error = Unavailable("database unavailable - please retry", reason="timeout")
            return
        # Already part of a group: its outcome is certain only when that group is done.
        ticket.woken.wait()

    def _lead(self, key: QueueKey, queue: _Queue) -> None:
        with self._lock:
            group, queue.waiting = queue.waiting[: self._max_rows], queue.waiting[self._max_rows :]
        try:
            self._write_group(group)
        finally:
            self._hand_over(key, queue)
            for ticket in group:
                ticket.woken.set()

    def _hand_over(self, key: QueueKey, queue: _Queue) -> None:
        """Let the longest-waiting request lead next; a queue nobody waits in is forgotten."""
        with self._lock:
            if queue.waiting:
                queue.waiting[0].woken.set()
            else:
                queue.is_led = False
                del self._queues[key]

    def _write_group(self, group: list[_Ticket]) -> None:
        try:
            outcomes = self._append([ticket.event for ticket in group])
        except RowRefused as error:
            self._isolate(group, error)
        except DatabaseError as error:
            # The database or the whole month is at fault: trying one by one would only take longer.
            for ticket in group:
                ticket.error = error
        except BaseException:
            for ticket in group:
                ticket.error = Unavailable("the write was interrupted - please retry", reason="unknown")
            raise
        else:
            for ticket, outcome in zip(group, outcomes, strict=True):
                ticket.outcome = outcome

    def _isolate(self, group: list[_Ticket], error: RowRefused) -> None:
        """One row is at fault: halve the group until it stands alone, so its neighbours are stored."""
        if len(group) == 1:
            group[0].error = error
            return
        middle = len(group) // 2
        self._write_group(group[:middle])
        self._write_group(group[middle:])
