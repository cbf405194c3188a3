"""What the arbiter counts: how workers end, and that the service does. No worker is there to see it."""

import logging
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from datastorage.platform.logs import line_writers
from datastorage.platform.metrics import Metrics
from datastorage.platform.server import metrics_files
from datastorage.platform.server.readiness import ShutdownFlag

logger = logging.getLogger(__name__)


class ArbiterMetrics:
    """The arbiter's own metrics. A whole ``Metrics`` would add gauges of a process that serves nothing."""

    worker_exits: Counter
    shutting_down: Gauge
    log_lines_dropped: Counter

    def __init__(self) -> None:
        registry = CollectorRegistry()
        Metrics.worker_exits.build(self, registry)
        Metrics.shutting_down.build(self, registry)
        Metrics.log_lines_dropped.build(self, registry)
        for writer in line_writers():
            writer.count_dropped = self._count_dropped

    def begin_shutdown(self) -> None:
        """Show that a graceful shutdown has begun."""
        try:
            self.shutting_down.set(1)
        except OSError as error:
            _warn(error)

    def _count_dropped(self, kind: str) -> None:
        # Not logged: that line could not be written either.
        with suppress(OSError):
            self.log_lines_dropped.labels(kind).inc()

    def watch(self, worker: Any) -> None:
        """Give ``worker``, which is about to be forked, a flag that it raises when it leaves by itself.

        gunicorn knows the status of a child but does not tell; a worker that was killed raises nothing.
        """
        worker.has_left = ShutdownFlag()

    def count(self, worker: Any) -> None:
        """Count the end of ``worker`` and forget its gauges; a full disk costs a number, not the service."""
        reason = "timeout" if worker.aborted else "exit" if worker.has_left() else "signal"
        try:
            self.worker_exits.labels(reason).inc()
            metrics_files.forget(worker.pid)
        except OSError as error:
            _warn(error)


def _warn(error: OSError) -> None:
    logger.warning("Metrics directory not writable", extra={"reason": error.strerror})
