"""Metrics of the arbiter, and the mapped files in which all processes share theirs."""

import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, multiprocess

from datastorage.platform.logs import line_writers
from datastorage.platform.metrics import Metrics
from datastorage.settings import environment

logger = logging.getLogger(__name__)

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class ArbiterMetrics:
    """What only the arbiter can count. A whole ``Metrics`` has gauges of processes that serve."""

    worker_exits: Counter
    shutting_down: Gauge
    log_lines_dropped: Counter

    def __init__(self) -> None:
        _empty_directory()
        registry = CollectorRegistry()
        for row in (Metrics.worker_exits, Metrics.shutting_down, Metrics.log_lines_dropped):
            row.build(self, registry)
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

    def count_exit(self, worker: Any) -> None:
        """Count the end of ``worker`` and forget its gauges; a full disk costs a number, not the service."""
        reason = "timeout" if worker.aborted else "exit" if worker.has_left() else "signal"
        try:
            self.worker_exits.labels(reason).inc()
            multiprocess.mark_process_dead(worker.pid, str(_directory()))
        except OSError as error:
            _warn(error)


def _directory() -> Path:
    return Path(environment()[DIRECTORY_VARIABLE])


def _empty_directory() -> None:
    # Counters start at zero with the arbiter, not with the volume.
    for path in _directory().glob("*.db"):
        path.unlink(missing_ok=True)


def require_directory() -> None:
    """Make the directory again when it is gone; use one of this process when it is not writable.

    A worker that cannot write its files does not start, and gunicorn would then stop the whole service, for
    numbers that nothing depends on.

    Raises:
        OSError: nothing can be written anywhere.
    """
    try:
        _directory().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=_directory()):
            pass
    except OSError as error:
        _warn(error)
        own = tempfile.mkdtemp(prefix="metrics-")
        os.environ[DIRECTORY_VARIABLE] = own  # noqa: TID251 - the client library reads it for every file


def _warn(error: OSError) -> None:
    logger.warning("Metrics directory not writable", extra={"reason": error.strerror})
