"""Circuit breaker for audit writes: while the database is black-holed, go straight to the queue.

Every attempt against a database that swallows packets costs a connect timeout. After ten
infrastructure failures in a row the attempts stop, except one probe a second, so that latency stays
flat and recovery is noticed within a second of traffic.
"""

from collections.abc import Callable
from threading import Lock

from prometheus_client import Gauge

from datastorage.platform.clock import monotonic_seconds

FAILURES_TO_OPEN = 10
PROBE_INTERVAL_SECONDS = 1.0

CLOSED, OPEN, PROBING = 0, 1, 2


class CircuitBreaker:
    """Counts infrastructure failures of one process.

    Args:
        gauge: shows 0 closed, 1 open, 2 probing.
        clock: seconds that never jump.
    """

    def __init__(self, gauge: Gauge, *, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._gauge = gauge
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._probed_at = 0.0

    def lets_through(self) -> bool:
        """Tell whether this write may try the database; while open that is one write a second."""
        # Read without the lock: a write more or less at the moment of opening does no harm.
        if self._failures < FAILURES_TO_OPEN:
            return True
        with self._lock:
            if self._failures < FAILURES_TO_OPEN:
                return True  # closed while we waited for the lock
            now = self._clock()
            if now - self._probed_at < PROBE_INTERVAL_SECONDS:
                return False
            self._probed_at = now
            self._gauge.set(PROBING)
            return True

    def failed(self) -> None:
        """Count one infrastructure failure."""
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES_TO_OPEN:
                if self._failures == FAILURES_TO_OPEN:
                    self._probed_at = self._clock()
                self._gauge.set(OPEN)

    def succeeded(self) -> None:
        """Close: the database answered, to a write, a health check or the retry loop."""
        if self._failures == 0:
            return
        with self._lock:
            self._failures = 0
            self._gauge.set(CLOSED)
