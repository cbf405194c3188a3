"""Counts connections that were closed before a request arrived, and logs some of them."""

import logging
from collections.abc import Mapping
from typing import Final

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

LOGGED_PER_SECOND: Final = 10
SHOWN_EVERY_SECONDS: Final = 1.0


class Closings:
    """Counts every one, and logs the first ones of each second.

    Args:
        metrics: absent when an application other than ours is served.
    """

    def __init__(self, metrics: Metrics | None) -> None:
        self._metrics = metrics
        self._shown_at = 0.0
        self._second = 0
        self._logged = 0
        self._suppressed = 0

    def show(self, connections: Mapping[str, int], body_bytes: int) -> None:
        """Set the gauges of open connections, by lane, and arriving bytes, about once a second."""
        now = monotonic_seconds()
        if self._metrics is not None and now >= self._shown_at + SHOWN_EVERY_SECONDS:
            self._shown_at = now
            for lane, number in connections.items():
                self._metrics.connections_open.labels(lane).set(number)
            self._metrics.body_bytes_in_flight.set(body_bytes)

    def refuse(self) -> None:
        """Count a request without room for its body."""
        if self._metrics is not None:
            self._metrics.overload_refusals.labels("body_budget").inc()

    def count(self, reason: str, address: str) -> None:
        """Count a closed connection, and log a warning when a limit closed it."""
        if self._metrics is not None:
            self._metrics.connections_closed.labels(reason).inc()
        if not reason.endswith("_limit"):
            return
        second = int(monotonic_seconds())
        if second != self._second:
            self._second, self._logged = second, 0
        if self._logged >= LOGGED_PER_SECOND:
            self._suppressed += 1
            return
        extra = {"reason": reason, "remote_addr": address, "suppressed": self._suppressed}
        logger.warning("Connection closed by limit", extra=extra)
        self._logged, self._suppressed = self._logged + 1, 0
