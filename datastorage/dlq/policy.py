"""What is done about a failure: pure decisions from (reason, attempt, time).

The reasons are those of ``datastorage.platform.db.faults`` and a few of our own. A fault of the
infrastructure says nothing about the record: it waits until the database answers and loses no
attempt, however long that takes. A fault of the record is counted and retried with backoff.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from datastorage.dlq.entry import MAX_ERROR_CHARACTERS, Entry

TIMEOUT: Final = "timeout"
"""The statement took too long: the database, or this one record."""

INFRASTRUCTURE_REASONS: Final = frozenset(
    {
        "db_unreachable",
        "db_overloaded",
        "pool_timeout",
        TIMEOUT,
        "disk_full",
        "read_only",
        "misconfigured",
        "schema_mismatch",
        "batch_rollback",
        "circuit_open",
    }
)

FIXED_TEXTS: Final = {
    "db_unreachable": "database connection failed",
    "pool_timeout": "no database connection in time",
    "circuit_open": "database skipped while the circuit breaker is open",
    "batch_rollback": "rolled back with its batch",
    "parent_pending": "parent event is still queued",
}
DEFAULT_TEXT: Final = "database write failed"

_GIVES_AWAY_SECRETS: Final = (
    "password", "passwd", "secret", "token", "postgres://", "postgresql://", "redis://", "host=", "user=",
)  # fmt: skip


def is_infrastructure(reason: str) -> bool:
    """Tell whether ``reason`` is about the database as a whole and not about one record."""
    return reason in INFRASTRUCTURE_REASONS


def backoff(retry_count: int, waits: Sequence[timedelta]) -> timedelta:
    """Return the wait after failure number ``retry_count``; beyond the list the last one counts."""
    return waits[min(max(retry_count, 0), len(waits) - 1)]


def is_due(entry: Entry, waits: Sequence[timedelta], now: datetime) -> bool:
    """Tell whether ``entry`` may be tried: always after an infrastructure failure, else after its backoff.

    The clock is not asked about an infrastructure failure: that of the pod which queued the entry may
    be ahead of ours.
    """
    return is_infrastructure(entry.reason) or due_at(entry, waits) <= now


def due_at(entry: Entry, waits: Sequence[timedelta]) -> datetime:
    """Return when the backoff of ``entry`` is over."""
    try:
        return entry.timestamp + backoff(entry.retry_count, waits)
    except OverflowError:
        return entry.timestamp


def may_wait_for_parent(entry: Entry, waits: Sequence[timedelta], now: datetime) -> bool:
    """Tell whether a parent that is still queued may keep ``entry`` waiting without costing an attempt.

    The parent itself is given up after all its backoffs, so a younger child must not be given up
    before. An older one counts its attempts: two events may name each other as parent.
    """
    return now - entry.first_enqueued_at < sum(waits, timedelta())


def is_exhausted(entry: Entry, max_retries: int) -> bool:
    """Tell whether one more failure is the last one ``entry`` may have."""
    return entry.retry_count + 1 >= max_retries


def error_text(reason: str, sqlstate: str | None = None, server_message: str | None = None) -> str:
    """Return what is kept of a failure beside the record: no row values, no addresses, no secrets."""
    if sqlstate is None or server_message is None:
        return FIXED_TEXTS.get(reason, DEFAULT_TEXT)
    text = f"{sqlstate}: {server_message}"
    lowered = text.lower()
    if any(word in lowered for word in _GIVES_AWAY_SECRETS):
        return DEFAULT_TEXT
    return text if len(text) <= MAX_ERROR_CHARACTERS else text[:MAX_ERROR_CHARACTERS] + "..."
