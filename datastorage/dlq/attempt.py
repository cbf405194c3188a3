"""One attempt to write to the database: skipped while the circuit is open, measured otherwise."""

from collections.abc import Callable
from typing import TypeVar

from datastorage.dlq.breaker import CircuitBreaker
from datastorage.dlq.policy import is_infrastructure
from datastorage.errors import DatabaseError, Unavailable
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics

T = TypeVar("T")


class WriteAttempts:
    """Runs the writes that may fall back to the queue.

    Args:
        breaker: skips a database that is known not to answer.
        metrics: durations and outcomes by table.
    """

    def __init__(self, breaker: CircuitBreaker, metrics: Metrics) -> None:
        self._breaker = breaker
        self._metrics = metrics

    def run(self, table: str, write: Callable[[], T], *, is_replay: bool = False) -> T:
        """Return what ``write`` returns; a replay asks the database before, so no circuit stops it.

        Raises:
            DatabaseError: nothing is stored; ``circuit_open`` when it was not even tried.
        """
        if not is_replay and not self._breaker.lets_through():
            raise Unavailable("the circuit breaker is open", reason="circuit_open")
        started = monotonic_seconds()
        status = "failure"
        try:
            written = write()
            status = "success"
            self._breaker.succeeded()
        except DatabaseError as error:
            if is_infrastructure(error.reason):
                self._breaker.failed()
            else:
                self._breaker.succeeded()  # it answered, if only to refuse
            raise
        finally:
            self._metrics.write_duration_seconds.labels(table).observe(monotonic_seconds() - started)
            self._metrics.write.labels(table, status).inc()
        return written
