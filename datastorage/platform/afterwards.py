"""What requests leave to be done once their answer is ready: for many of them at a time, and soon.

To count and to log a single event is little work, and took a quarter of its time: every thread comes to it
cold, after others have run, takes the lock of each metric, and gives the interpreter away to write its lines.
"""

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Final

MOST_LEFT: Final = 16
"""Requests whose chores may wait: few, because a process that is killed takes them along."""


class Afterwards:
    """Decides when the chores of requests are done.

    The last request to have its answer ready does them for all, before it sends it: who has asked alone, or
    has every answer of a crowd, finds everything counted and logged. In a crowd that never ends, every
    sixteenth does them. ``catch_up`` is for a loop: after a request may come one that lasts.

    Args:
        chores: each does what waits of its kind; may be called by any thread at any time.
        show_in_flight: told by ``catch_up`` how many requests are under way.
    """

    def __init__(self, *chores: Callable[[], None], show_in_flight: Callable[[int], None]) -> None:
        self._chores = chores
        self._show_in_flight = show_in_flight
        self._lock = Lock()
        self._unanswered = 0
        self._left = 0
        # Counts in C: no lock for what is only looked at.
        self._in_flight: deque[None] = deque()

    def is_busy(self) -> bool:
        """Whether a request is on its way to an answer: somebody will come to do the chores."""
        return self._unanswered > 0

    def begin(self) -> None:
        """A request has begun."""
        self._in_flight.append(None)
        with self._lock:
            self._unanswered += 1

    def answered(self) -> None:
        """A request has its answer ready; once for each ``begin``."""
        with self._lock:
            self._unanswered -= 1
            self._left += 1
            is_due = not self._unanswered or self._left >= MOST_LEFT
            if is_due:
                self._left = 0
        if is_due:
            self._do_chores()

    def end(self) -> None:
        """The answer of a request is sent, or its client is gone; once for each ``begin``."""
        self._in_flight.pop()

    def catch_up(self) -> None:
        """Do all chores now."""
        self._show_in_flight(len(self._in_flight))
        self._do_chores()

    def _do_chores(self) -> None:
        for chore in self._chores:
            chore()
