"""What a worker tells about its connections: gauges, and those that it closed before a request was there."""

import logging
from collections.abc import Mapping
from typing import Final, NamedTuple

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.logs.sparing import SparingWarnings
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

SHOWN_EVERY_SECONDS: Final = 1.0
WARNED_ABOUT: Final = frozenset({"worker_limit", "address_limit", "slow_reader"})


class Levels(NamedTuple):
    """How much of everything there is in a worker now.

    Attributes:
        connections: open ones, by lane.
        waiting: requests without a thread, by class.
        body_bytes: of bodies that arrive or are worked on.
        slow_readers: clients that take their answers slowly.
    """

    connections: Mapping[str, int]
    waiting: Mapping[str, int]
    body_bytes: int
    slow_readers: int


class Reports:
    """Counts every closed connection, and warns about the first ones of each second.

    Args:
        metrics: absent when an application other than ours is served.
    """

    def __init__(self, metrics: Metrics | None) -> None:
        self._metrics = metrics
        self._warnings = SparingWarnings(logger)
        self._shown_at = 0.0

    @property
    def are_due(self) -> bool:
        """Whether the gauges have not been set for a second."""
        return self._metrics is not None and monotonic_seconds() >= self._shown_at + SHOWN_EVERY_SECONDS

    def show(self, levels: Levels) -> None:
        """Set the gauges."""
        if self._metrics is None:
            return
        self._shown_at = monotonic_seconds()
        for lane, number in levels.connections.items():
            self._metrics.connections_open.labels(lane).set(number)
        for request_class, number in levels.waiting.items():
            self._metrics.requests_waiting.labels(request_class).set(number)
        self._metrics.body_bytes_in_flight.set(levels.body_bytes)
        self._metrics.slow_readers.set(levels.slow_readers)

    def closed(self, reason: str, address: str) -> None:
        """Count a closed connection, and warn when it was one too many."""
        if self._metrics is not None:
            self._metrics.connections_closed.labels(reason).inc()
        if reason in WARNED_ABOUT:
            self._warnings.warn("Connection closed by limit", reason=reason, remote_addr=address)
