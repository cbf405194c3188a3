"""Measuring reads and writes where they are decided: duration and outcome."""

from types import TracebackType
from typing import Self

from prometheus_client import Counter, Histogram

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics.catalogue import Metrics


class Timed:
    """Measures the work inside ``with``; afterwards it has ``status`` and ``duration_seconds``.

    Args:
        durations: gets the seconds.
        outcomes: counts ``success`` or ``failure``.
        label: of both.
        refusals: errors that answer the client and are no failure; such work is not measured.
    """

    status = "failure"
    duration_seconds = 0.0

    def __init__(
        self,
        durations: Histogram,
        outcomes: Counter,
        label: str,
        refusals: tuple[type[BaseException], ...] = (),
    ) -> None:
        self._durations = durations
        self._outcomes = outcomes
        self._label = label
        self._refusals = refusals

    @property
    def duration_ms(self) -> float:
        """Milliseconds, as the log gives them."""
        return round(self.duration_seconds * 1000, 3)

    def __enter__(self) -> Self:
        self._started_seconds = monotonic_seconds()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.duration_seconds = monotonic_seconds() - self._started_seconds
        if isinstance(error, self._refusals):
            self.status = "refused"
            return
        if error is None:
            self.status = "success"
        self._durations.labels(self._label).observe(self.duration_seconds)
        self._outcomes.labels(self._label, self.status).inc()


def timed_query(metrics: Metrics, operation: str) -> Timed:
    """Return a measurement of one read for ``query_duration_seconds`` and ``query_total``."""
    return Timed(metrics.query_duration_seconds, metrics.query, operation)


def timed_write(metrics: Metrics, table: str, *, refusals: tuple[type[BaseException], ...] = ()) -> Timed:
    """Return a measurement of one write for ``write_duration_seconds`` and ``write_total``."""
    return Timed(metrics.write_duration_seconds, metrics.write, table, refusals)
