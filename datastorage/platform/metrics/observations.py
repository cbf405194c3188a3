"""Observations of requests under way, on their way into the metrics."""

from collections import defaultdict, deque
from collections.abc import Callable
from threading import Lock
from typing import Protocol


class Metric(Protocol):
    """Takes many observations at once."""

    def add(self, values: list[float]) -> None:
        """Add ``values``, the earliest first."""


def _nobody() -> bool:
    return False


class Observations:
    """Keeps observations as long as somebody will come to write them.

    The client takes a lock, asks for its process and writes into a file for every number. What is kept here
    costs the one who observes it a tenth, and less later, together with others of its kind.
    """

    def __init__(self) -> None:
        self._is_somebody_coming: Callable[[], bool] = _nobody
        self._waiting: deque[tuple[Metric, float]] = deque()
        self._turn = Lock()

    def keep_while(self, is_somebody_coming: Callable[[], bool]) -> None:
        """Keep observations while somebody will soon call ``write``; until this is said nothing is kept."""
        self._is_somebody_coming = is_somebody_coming

    def keep(self, metric: Metric, value: float) -> bool:
        """Take over an observation, or return that it is to be written at once."""
        kept = self._is_somebody_coming()
        if kept:
            self._waiting.append((metric, value))
        return kept

    def write(self) -> None:
        """Write what is kept."""
        # The turn also keeps the values of a gauge in order.
        with self._turn:
            found: defaultdict[Metric, list[float]] = defaultdict(list)
            for _ in range(len(self._waiting)):
                metric, value = self._waiting.popleft()
                found[metric].append(value)
            for metric, values in found.items():
                metric.add(values)
