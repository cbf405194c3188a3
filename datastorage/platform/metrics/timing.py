"""Measuring reads and writes where they are decided: duration and outcome, whatever ends them."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics.catalogue import Metrics


@contextmanager
def timed_query(metrics: Metrics, operation: str) -> Iterator[None]:
    """Observe one read in ``query_duration_seconds`` and ``query_total``."""
    with _timed(metrics.query_duration_seconds, metrics.query, operation):
        yield


@contextmanager
def timed_write(metrics: Metrics, table: str) -> Iterator[None]:
    """Observe one write in ``write_duration_seconds`` and ``write_total``."""
    with _timed(metrics.write_duration_seconds, metrics.write, table):
        yield


@contextmanager
def _timed(durations: Histogram, outcomes: Counter, label: str) -> Iterator[None]:
    started = monotonic_seconds()
    status = "failure"
    try:
        yield
        status = "success"
    finally:
        durations.labels(label).observe(monotonic_seconds() - started)
        outcomes.labels(label, status).inc()
