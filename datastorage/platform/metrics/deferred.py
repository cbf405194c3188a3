"""Updates of metrics that are kept while requests run, and written for many requests at a time.

For every update the client takes a lock, compares process ids and writes into a mapped file. Appending to a
queue costs a tenth of that, and a later write covers all updates of a series at once. See decision 0019.
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

    When no other request is being answered, the last one to finish writes all updates before it sends its
    answer: a client that has its answer finds it in the next scrape. Under constant load every sixteenth
    request writes. While no request runs, nothing is deferred.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Metric, float]] = deque()
        self._write_lock = Lock()
        self._count_lock = Lock()
        self._unanswered = 0
        self._answered = 0
        # A deque counts in C without a lock; this number is only shown.
        self._in_flight: deque[None] = deque()

    @property
    def in_flight_count(self) -> int:
        """Requests being answered, including those whose answer is being sent."""
        return len(self._in_flight)

    def begin(self) -> None:
        """Note that a request has begun."""
        self._in_flight.append(None)
        with self._count_lock:
            self._unanswered += 1

    def answered(self) -> None:
        """Note that a request has its answer ready; once for each ``begin``."""
        with self._count_lock:
            self._unanswered -= 1
            self._answered += 1
            is_due = not self._unanswered or self._answered >= MOST_ANSWERED
            if is_due:
                self._answered = 0
        if is_due:
            self.write()

    def end(self) -> None:
        """Note that an answer is sent, or its client gone; once for each ``begin``."""
        self._in_flight.pop()

    def defer(self, metric: Metric, value: float) -> bool:
        """Keep an update if a running request will write it; else return ``False``."""
        if not self._unanswered:
            return False
        self._waiting.append((metric, value))
        return True

    def write(self) -> None:
        """Write all kept updates; one thread at a time, which also keeps the values of a gauge in order."""
        with self._write_lock:
            found: defaultdict[Metric, list[float]] = defaultdict(list)
            for _ in range(len(self._waiting)):
                metric, value = self._waiting.popleft()
                found[metric].append(value)
            for metric, values in found.items():
                metric.add(values)
