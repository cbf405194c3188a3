"""The only source of now."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""A function that returns the current instant, aware and in UTC. Tests pass their own."""


def utc_now() -> datetime:
    """Return the server's current instant in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - this module is the one place that may ask


def monotonic_seconds() -> float:
    """Return seconds on a clock that never jumps, for durations and deadlines."""
    return time.monotonic()


def epoch_milliseconds() -> int:
    """Return the milliseconds since 1970 of the server's clock."""
    return time.time_ns() // 1_000_000
