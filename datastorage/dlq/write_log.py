"""The one log line of an audit write, written when its outcome is known."""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from datastorage.errors import Conflict, InvalidInput
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.logs import log_lean


class LoggedWrite:
    """Logs the write inside once: as an error only when nobody has it.

    A queued write is acknowledged and will be stored: a warning. A refusal is the client's affair.

    Args:
        logger: where.
        message: what every line of this kind says.
        fields: which write it is.
    """

    def __init__(self, logger: logging.Logger, message: str, fields: Mapping[str, object]) -> None:
        self.queued_for: str | None = None
        """Why the database did not take the write."""
        self._logger = logger
        self._message = message
        self._fields = fields
        self._started_seconds = 0.0

    def __enter__(self) -> Self:
        self._started_seconds = monotonic_seconds()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        level, outcome = self._judge(error)
        duration_ms = round((monotonic_seconds() - self._started_seconds) * 1000, 3)
        fields: dict[str, object] = {**self._fields, "outcome": outcome, "duration_ms": duration_ms}
        if self.queued_for is not None:
            fields["db_reason"] = self.queued_for
        log_lean(self._logger, level, self._message, fields)

    def _judge(self, error: BaseException | None) -> tuple[int, str]:
        if isinstance(error, InvalidInput | Conflict):
            return logging.INFO, error.slug
        if error is not None:
            return logging.ERROR, "failure"
        return (logging.INFO, "success") if self.queued_for is None else (logging.WARNING, "queued")
