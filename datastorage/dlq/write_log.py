"""The one log line of an audit write, written when its outcome is known."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from datastorage.errors import Conflict, InvalidInput
from datastorage.platform.clock import monotonic_seconds


@dataclass(slots=True)
class WriteLine:
    """What the line will say; ``queued_for`` is why the database did not take the write."""

    queued_for: str | None = None


@contextmanager
def logged(logger: logging.Logger, message: str, fields: Mapping[str, object]) -> Iterator[WriteLine]:
    """Log the write inside once: as an error only when nobody has it.

    A queued write is acknowledged and will be stored: a warning. A refusal is the client's affair.
    """
    line, started = WriteLine(), monotonic_seconds()
    level, outcome = logging.ERROR, "failure"
    try:
        yield line
        level, outcome = logging.INFO, "success"
        if line.queued_for is not None:
            level, outcome = logging.WARNING, "queued"
    except (InvalidInput, Conflict) as refusal:
        level, outcome = logging.INFO, refusal.slug
        raise
    finally:
        extra = {
            **fields,
            "outcome": outcome,
            "duration_ms": round((monotonic_seconds() - started) * 1000, 3),
        }
        if line.queued_for is not None:
            extra["db_reason"] = line.queued_for
        logger.log(level, message, extra=extra)
