"""Updates of metrics that wait until an answer is ready, and are then written for many requests at a time.

The client takes a lock, asks for its process and writes into a file for every number. To keep a number costs
the thread that has it a tenth of that, and one write later covers all numbers of a series.
"""

from collections import defaultdict, deque
from threading import Lock
from typing import Final, Protocol

MOST_ANSWERED: Final = 16
"""Requests whose updates may wait: few, because a process that is killed loses them."""


class Metric(Protocol):
    """Takes many updates at once."""

    def add(self, values: list[float]) -> None:
        """Add ``values``, the earliest first."""


class DeferredUpdates:
    """Decides when the updates of requests are written.

    The last request to have its answer ready writes them for all, before it sends the answer: a client that
    is alone, or has every answer of a crowd, finds everything counted in the next scrape. In a crowd that
    never ends, every sixteenth request writes. While no request is under way nothing waits.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Metric, float]] = deque()
        self._turn = Lock()
        self._lock = Lock()
        self._unanswered = 0
        self._answered = 0
        # Counts in C: no lock for what is only looked at.
        self._in_flight: deque[None] = deque()

    @property
    def in_flight_count(self) -> int:
        """How many requests are being answered, those included whose answer is being sent."""
        return len(self._in_flight)

    def begin(self) -> None:
        """A request has begun."""
        self._in_flight.append(None)
        with self._lock:
            self._unanswered += 1

    def answered(self) -> None:
        """A request has its answer ready; once for each ``begin``."""
        with self._lock:
            self._unanswered -= 1
            self._answered += 1
            is_due = not self._unanswered or self._answered >= MOST_ANSWERED
            if is_due:
                self._answered = 0
        if is_due:
            self.write()

    def end(self) -> None:
        """The answer of a request is sent, or its client is gone; once for each ``begin``."""
        self._in_flight.pop()

    def defer(self, metric: Metric, value: float) -> bool:
        """Keep an update if a request is there to write it; else return ``False``."""
        if not self._unanswered:
            return False
        self._waiting.append((metric, value))
        return True

    def write(self) -> None:
        """Write what waits."""
        # The turn also keeps the values of a gauge in order.
        with self._turn:
            found: defaultdict[Metric, list[float]] = defaultdict(list)
            for _ in range(len(self._waiting)):
                metric, value = self._waiting.popleft()
                found[metric].append(value)
            for metric, values in found.items():
                metric.add(values)
