"""Warnings about what clients can cause as often as they like."""

import logging
from threading import Lock
from typing import Final

from datastorage.platform.clock import monotonic_seconds

LOGGED_PER_SECOND: Final = 10


class SparingWarnings:
    """Writes the first warnings of each second; the next one says in ``suppressed`` how many were left out.

    Args:
        logger: where they go.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = Lock()
        self._second = 0
        self._logged = 0
        self._suppressed = 0

    def warn(self, message: str, **fields: object) -> None:
        """Write ``message`` with ``fields``, or leave it out."""
        second = int(monotonic_seconds())
        with self._lock:
            if second != self._second:
                self._second, self._logged = second, 0
            if self._logged >= LOGGED_PER_SECOND:
                self._suppressed += 1
                return
            self._logged += 1
            suppressed, self._suppressed = self._suppressed, 0
        self._logger.warning(message, extra={**fields, "suppressed": suppressed})
