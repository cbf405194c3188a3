"""One graceful shutdown: how long each step may take, what it says in the log, how it ends (DD-007).

The arbiter drives it (``arbiter``); nothing here knows gunicorn.
"""

import logging
import math
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.server.shared import SharedFlag
from datastorage.settings import Settings

logger = logging.getLogger(__name__)

QUICK_SECONDS: Final = 2
"""How long workers have after SIGQUIT, before SIGKILL."""
QUICK_DRAIN_SECONDS: Final = 1.0
WATCHDOG_SECONDS: Final = 1.0
"""How long after the total budget the watchdog ends the process."""


class Shutdown:
    """The steps of the time line.

    Args:
        flag: read by readiness in every worker.
        settings: the group ``server``, and the time for the queue.
        clock: seconds that never jump.
    """

    def __init__(
        self, flag: SharedFlag, settings: Settings, *, clock: Callable[[], float] = monotonic_seconds
    ) -> None:
        self.settings = settings
        self.reasons: list[str] = []
        """Steps that failed."""
        self.is_running = False
        self.is_quick = False
        self._flag = flag
        self._clock = clock
        self._received_at: float | None = None
        self._first_signal = ""

    @property
    def is_requested(self) -> bool:
        """Whether a signal has come, even if it was not handled yet."""
        return self._received_at is not None

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the first signal."""
        began = self._received_at
        return 0.0 if began is None else round(self._clock() - began, 3)

    @property
    def _seconds_left(self) -> float:
        return self.settings.server.shutdown_total_budget.total_seconds() - self.elapsed_seconds

    @property
    def seconds_to_watchdog(self) -> float:
        """Seconds until the process has to be gone."""
        return max(0.001, self._seconds_left + WATCHDOG_SECONDS)

    def request(self, signal_name: str) -> None:
        """Raise the flag and remember the time; called inside a signal handler, so nothing is logged."""
        if self._received_at is None:
            self._received_at = self._clock()
            self._first_signal = signal_name
        self._flag.set()

    def begin(self, signal_name: str) -> None:
        """Step 1: readiness answers 503; the time line starts when the signal came, not now."""
        self.request(signal_name)
        self.is_running = True
        self._stamp_lines()
        server = self.settings.server
        logger.info("Shutdown signal received", extra={"signal": self._first_signal})
        logger.info(
            "Initiating Kubernetes-aware graceful shutdown (DD-007)",
            extra={
                "propagation_delay": server.endpoint_propagation_delay.total_seconds(),
                "drain_timeout": server.shutdown_timeout.total_seconds(),
                "dlq_drain_timeout": self.settings.redis.dlq_drain_timeout.total_seconds(),
                "total_budget": server.shutdown_total_budget.total_seconds(),
            },
        )
        logger.info(
            "Shutdown flag set - readiness probe now returns 503",
            extra={"effect": "kubernetes_will_remove_from_endpoints"},
        )

    def _stamp_lines(self) -> None:
        """Give every line that this process logs from now on the id of the shutdown and its time."""
        shutdown_id = str(uuid.uuid4())

        def stamp(record: logging.LogRecord) -> bool:
            record.shutdown_id = shutdown_id
            record.elapsed_seconds = self.elapsed_seconds
            return True

        for handler in logging.getLogger().handlers:
            handler.addFilter(stamp)

    def begin_wait(self) -> float:
        """Step 2: return how many seconds are left of the wait for endpoints to be removed."""
        delay = self.settings.server.endpoint_propagation_delay.total_seconds()
        logger.info(
            "Waiting for Kubernetes endpoint removal propagation",
            extra={"delay": delay, "reason": "ensure_no_new_traffic"},
        )
        return max(0.0, delay - self.elapsed_seconds)

    def begin_drain(self, in_flight: int) -> int:
        """Step 3: return how many seconds requests in flight have to finish."""
        seconds = QUICK_SECONDS if self.is_quick else self._drain_seconds()
        logger.info(
            "Draining in-flight HTTP connections", extra={"max_wait": seconds, "in_flight": in_flight}
        )
        return seconds

    def _drain_seconds(self) -> int:
        # gunicorn counts whole seconds; the budget wins when the two delays together exceed it.
        timeout = self.settings.server.shutdown_timeout.total_seconds()
        return max(1, min(math.ceil(timeout), math.floor(self._seconds_left)))

    def end_drain(self, drained_requests: int, duration_seconds: float) -> None:
        """End step 3: every worker has left by itself."""
        extra = {"drained_requests": drained_requests, "duration": round(duration_seconds, 3)}
        logger.info("HTTP connections drained successfully", extra=extra)

    def cut_drain(self, killed_workers: int, in_flight: int) -> None:
        """End step 3: workers have to be killed."""
        self.reasons.append("http_drain_timeout")
        extra = {"killed_workers": killed_workers, "in_flight": in_flight}
        logger.error("HTTP drain timed out", extra=extra)

    def queue_drain_seconds(self) -> float:
        """Step 4: return how long the queue may be drained; what is left stays safely in Redis."""
        if self.is_quick:
            return QUICK_DRAIN_SECONDS
        return max(0.0, min(self.settings.redis.dlq_drain_timeout.total_seconds(), self._seconds_left))

    def end(self) -> int:
        """Step 5: log how it went and return the exit code."""
        if self.reasons:
            logger.error("Graceful shutdown failed", extra={"reasons": self.reasons})
            return 1
        extra = {"shutdown_duration_seconds": self.elapsed_seconds}
        logger.info("Graceful shutdown complete - all resources closed", extra=extra)
        logger.info("Server shutdown complete")
        return 0

    def give_up(self) -> None:
        """Log that the watchdog ends the process; called inside a signal handler, where logging may fail."""
        self.reasons.append("watchdog")
        with suppress(Exception):
            self.end()
