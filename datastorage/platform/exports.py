"""Exports: a few of each kind at once in a process, each for a bounded time.

An export holds a thread while its client reads. It holds neither a transaction nor a connection meanwhile:
vacuum would have to keep every row that was deleted since.
"""

import logging
from datetime import timedelta
from errno import EPIPE
from threading import Lock

from datastorage.errors import Overloaded
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)


class TooManyExports(Overloaded):
    """As many exports run in this process as may; one that ends makes room."""

    slug = "too-many-exports"
    retry_after_seconds = 5

    def __init__(self, detail: str) -> None:
        super().__init__(detail, reason="exports")


class ExportCut(BrokenPipeError):
    """An export is broken off, and its connection with it: the client misses the end and knows."""

    def __init__(self) -> None:
        super().__init__(EPIPE, "the export took too long")


class Exports:
    """The exports of one kind.

    Args:
        kind: what metrics and the log call it.
        maximum: how many may run at once.
        longest: how long one may take.
        metrics: show how many run.
    """

    def __init__(self, kind: str, *, maximum: int, longest: timedelta, metrics: Metrics) -> None:
        self.kind = kind
        self._maximum = maximum
        self._longest = longest
        self._active = metrics.exports_active.labels(kind)
        self._lock = Lock()
        self._running = 0

    def begin(self) -> "RunningExport":
        """Return an export, to be closed when it is over.

        Raises:
            TooManyExports: as many run as may.
        """
        with self._lock:
            if self._running >= self._maximum:
                raise TooManyExports(f"{self._maximum} exports are running already - please retry")
            self._change(+1)
        return RunningExport(self, self._longest)

    def end(self) -> None:
        """Make room for another export."""
        with self._lock:
            self._change(-1)

    def _change(self, number: int) -> None:
        self._running += number
        self._active.set(self._running)


class RunningExport:
    """One export, from its first query to its last byte."""

    def __init__(self, exports: Exports, longest: timedelta) -> None:
        self._exports = exports
        self._ends_at = monotonic_seconds() + longest.total_seconds()
        self._is_closed = False

    @property
    def is_overdue(self) -> bool:
        """Whether it has taken as long as it may."""
        return monotonic_seconds() >= self._ends_at

    def cut_if_overdue(self) -> None:
        """Break off a stream that has no last line to tell that it is not whole.

        Raises:
            ExportCut: it has taken as long as it may.
        """
        if self.is_overdue:
            logger.warning("Export cut at its longest duration", extra={"kind": self._exports.kind})
            raise ExportCut

    def close(self) -> None:
        """Make room for another export; safe to call again."""
        if not self._is_closed:
            self._is_closed = True
            self._exports.end()
