"""Warnings that a client can cause: a few of each second, so that nobody can flood the log."""

import logging
from collections.abc import Mapping
from threading import Lock
from typing import Final

from datastorage.platform.clock import monotonic_seconds

LOGGED_PER_SECOND: Final = 10


class Rationed:
    """Logs the first warnings of each second; the next one says how many were left out.

    Args:
        logger: where they go.
        message: what all of them say.
    """

    def __init__(self, logger: logging.Logger, message: str) -> None:
        self._logger = logger
        self._message = message
        self._lock = Lock()
        self._second = 0
        self._logged = 0
        self._suppressed = 0

    def warn(self, fields: Mapping[str, object]) -> None:
        """Log one warning, or count it as left out."""
        second = int(monotonic_seconds())
        with self._lock:
            if second != self._second:
                self._second, self._logged = second, 0
            if self._logged >= LOGGED_PER_SECOND:
                self._suppressed += 1
                return
            self._logged += 1
            suppressed, self._suppressed = self._suppressed, 0
        extra = {**fields, "suppressed": suppressed} if suppressed else dict(fields)
        self._logger.warning(self._message, extra=extra)
