"""How workers end, counted by the arbiter, the only process that is there to see it."""

import logging
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from datastorage.platform.metrics import Metrics
from datastorage.platform.server import metrics_files
from datastorage.platform.server.readiness import ShutdownFlag

logger = logging.getLogger(__name__)


class WorkerExits:
    """The arbiter's one metric. A whole ``Metrics`` would add gauges of a process that serves nothing."""

    worker_exits: Counter

    def __init__(self) -> None:
        Metrics.worker_exits.build(self, CollectorRegistry())

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
            logger.warning("Metrics directory not writable", extra={"reason": error.strerror})
