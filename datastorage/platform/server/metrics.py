"""Metrics of the arbiter, and the mapped files in which all processes share theirs."""

import logging
import os
import tempfile
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from datastorage.platform.logs import line_writers
from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.files import DIRECTORY_VARIABLE, UNSHARED, fold
from datastorage.settings import environment

logger = logging.getLogger(__name__)


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
        self._ended: set[int] = set()

    def begin_shutdown(self) -> None:
        """Show that a graceful shutdown has begun."""
        self.shutting_down.set(1)

    def _count_dropped(self, kind: str) -> None:
        self.log_lines_dropped.labels(kind).inc()

    def count_exit(self, worker: Any) -> None:
        """Count the end of ``worker``, whose files are folded into one per kind."""
        reason = "timeout" if worker.aborted else "exit" if worker.has_left() else "signal"
        self.worker_exits.labels(reason).inc()
        UNSHARED.report()
        self._ended.add(worker.pid)

    def fold_ended(self, running: Container[int]) -> None:
        """Fold the files of workers that are gone, again and again: not while a worker reads all of them.

        Args:
            running: process ids of workers, one of which may be that of a worker that is gone.
        """
        for pid in tuple(self._ended):
            try:
                is_settled = pid in running or fold(_directory(), pid)
            except FileNotFoundError:  # the directory is gone, and the files with it
                is_settled = True
            except OSError as error:
                _warn(error)
                is_settled = True
            if is_settled:
                self._ended.remove(pid)


def _directory() -> Path:
    return Path(environment()[DIRECTORY_VARIABLE])


def _empty_directory() -> None:
    # Counters start at zero with the arbiter, not with the volume.
    for pattern in ("*.db", "*.new"):
        for path in _directory().glob(pattern):
            path.unlink(missing_ok=True)


def require_directory() -> None:
    """Make the directory again when it is gone; use one of this process when it is not writable.

    Without any, numbers stay in the memory of this process: nothing depends on them.
    """
    try:
        _directory().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=_directory()):
            pass
    except OSError as error:
        _warn(error)
        with suppress(OSError):
            own = tempfile.mkdtemp(prefix="metrics-")
            os.environ[DIRECTORY_VARIABLE] = own  # noqa: TID251 - the client library reads it for every file


def _warn(error: OSError) -> None:
    logger.warning("Metrics directory not writable", extra={"reason": error.strerror})
