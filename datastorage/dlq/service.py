"""Parking records in the queue, and telling operators long before it is full (BR-AUDIT-001, DD-009)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import redis
from redis import exceptions as redis_errors

from datastorage.dlq import policy
from datastorage.dlq.durability import Durability, NotDurable
from datastorage.dlq.entry import Entry, EntryType, Stream
from datastorage.dlq.keys import KEYS
from datastorage.dlq.stream import QueueFull, RedisQueue
from datastorage.errors import DatabaseError, QueueUnusable
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.logs import request_context
from datastorage.platform.metrics import Metrics
from datastorage.settings import RedisSettings, Settings

logger = logging.getLogger(__name__)

BOTH_UNAVAILABLE: Final = "database and DLQ both unavailable - please retry"
QUEUE_FULL: Final = "database unavailable and DLQ full - please retry"

# The most specific class first: several of these are subclasses of ConnectionError or ResponseError.
_FAILURES: Final = (
    (redis_errors.AuthenticationError, "auth"),
    (redis_errors.NoPermissionError, "auth"),
    (redis_errors.BusyLoadingError, "loading"),
    (redis_errors.ReadOnlyError, "readonly"),
    (redis_errors.OutOfMemoryError, "oom"),
    (redis_errors.TimeoutError, "timeout"),
    (TimeoutError, "timeout"),
    (redis_errors.ConnectionError, "redis_unavailable"),
    (OSError, "redis_unavailable"),
    (NotDurable, "not_durable"),
)


@dataclass(frozen=True, slots=True)
class Band:
    """One line of the capacity table: from ``ratio`` on, this is said and these gauges are 1."""

    ratio: float
    level: int
    text: str
    gauges: tuple[str, ...]


BANDS: Final = (
    Band(0.95, logging.ERROR, "DLQ OVERFLOW IMMINENT", ("dlq_overflow_imminent", "dlq_near_full")),
    Band(0.90, logging.ERROR, "DLQ CRITICAL capacity", ("dlq_near_full", "dlq_critical")),
    Band(0.80, logging.INFO, "DLQ near capacity", ("dlq_warning",)),
)
GAUGES: Final = ("dlq_warning", "dlq_critical", "dlq_near_full", "dlq_overflow_imminent")


def band_of(ratio: float) -> Band | None:
    """Return the first band that ``ratio`` reaches."""
    return next((band for band in BANDS if ratio >= band.ratio), None)


class DeadLetterQueue:
    """Where a write goes that PostgreSQL could not take.

    Args:
        queue: the atomic steps in Redis.
        durability: whether an entry has to be confirmed.
        settings: bounds, and how long to wait for Redis.
        metrics: counts, durations, levels.
        clock: the server's now.
    """

    def __init__(
        self,
        queue: RedisQueue,
        durability: Durability,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._durability = durability
        self._settings: RedisSettings = settings.redis
        self._audit = settings.audit
        self._metrics = metrics
        self._clock = clock
        self._warned: set[Stream] = set()
        for stream in Stream:
            metrics.dlq_max_len.labels(stream).set(settings.redis.dlq_max_len)

    def park(self, entry_type: EntryType, payloads: Sequence[dict[str, Any]], fault: DatabaseError) -> None:
        """Queue all records or none.

        Raises:
            QueueUnusable: nothing is acknowledged; the client has to send again.
        """
        stream = entry_type.stream
        messages = [self._entry(entry_type, payload, fault) for payload in payloads]
        started = monotonic_seconds()
        try:
            depth = self._enqueue(stream, messages)
        except (QueueFull, NotDurable, redis.RedisError, OSError, _TooLarge) as error:
            raise self._refused(stream, error, fault, payloads) from error
        finally:
            duration_seconds = monotonic_seconds() - started
            self._metrics.dlq_enqueue_duration_seconds.labels(stream).observe(duration_seconds)
        self._metrics.dlq_enqueue.labels(stream, entry_type).inc(len(messages))
        band = self._show(stream, depth)
        if band is not None:
            self._warned.add(stream)
            self._warn(stream, depth, band)

    def are_queued(self, event_ids: Sequence[str]) -> list[bool]:
        """Tell which events wait in the queue.

        Raises:
            QueueUnusable: Redis does not answer, so nobody can know.
        """
        try:
            return self._queue.is_queued(event_ids)
        except (redis.RedisError, OSError) as error:
            raise QueueUnusable(BOTH_UNAVAILABLE) from error

    def _entry(
        self, entry_type: EntryType, payload: dict[str, Any], fault: DatabaseError
    ) -> tuple[bytes, str]:
        now = self._clock()
        entry = Entry(
            type=entry_type,
            payload=payload,
            timestamp=now,
            first_enqueued_at=now,
            last_error=policy.error_text(fault.reason, fault.sqlstate, fault.server_message),
            reason=fault.reason,
            request_id=request_context.get().request_id or "",
        )
        return entry.encode(), entry.record_id if entry_type is EntryType.AUDIT_EVENT else ""

    def _enqueue(self, stream: Stream, messages: Sequence[tuple[bytes, str]]) -> int:
        if any(len(message) > self._settings.dlq_max_entry_bytes for message, _ in messages):
            raise _TooLarge
        budget = self._audit.dlq_timeout if len(messages) == 1 else self._audit.dlq_batch_timeout
        return self._durability.confirm(partial(self._queue.enqueue, stream, messages), budget)

    def _refused(
        self, stream: Stream, error: Exception, fault: DatabaseError, payloads: Sequence[dict[str, Any]]
    ) -> QueueUnusable:
        reason = failure_reason(error)
        self._metrics.dlq_enqueue_failures.labels(stream, reason).inc(len(payloads))
        if isinstance(error, QueueFull):
            logger.error("DLQ FULL - audit write refused", extra=self._fields(stream, error.depth))
        extra = {**_names(stream, payloads[0]), "count": len(payloads)}
        extra |= {"db_reason": fault.reason, "dlq_reason": reason}
        logger.error("DLQ fallback also failed - data loss risk", extra=extra)
        return QueueUnusable(QUEUE_FULL if reason == "full" else BOTH_UNAVAILABLE)

    def show_depth(self, stream: Stream, depth: int) -> None:
        """Set the gauges that follow from the depth of one stream, and say when a warning is over.

        For the periodic refresh, which one process does for all of them.
        """
        if self._show(stream, depth) is not None:
            self._warned.add(stream)
        elif stream in self._warned:
            self._warned.discard(stream)
            logger.info("DLQ capacity back to normal", extra=self._fields(stream, depth))

    def _show(self, stream: Stream, depth: int) -> Band | None:
        ratio = depth / self._settings.dlq_max_len
        self._metrics.dlq_depth.labels(stream).set(depth)
        self._metrics.dlq_depth_ratio.labels(stream).set(ratio)
        self._metrics.dlq_capacity_ratio.labels(stream).set(ratio)
        band = band_of(ratio)
        for gauge in GAUGES:
            getattr(self._metrics, gauge).labels(stream).set(1 if band and gauge in band.gauges else 0)
        return band

    def _warn(self, stream: Stream, depth: int, band: Band) -> None:
        fields = self._fields(stream, depth)
        percent = f"{fields['ratio'] * 100:.1f}".removesuffix(".0")
        summary = f"{band.text}: {depth}/{fields['max']} ({percent}%)"
        logger.log(band.level, band.text, extra={**fields, "summary": summary})

    def _fields(self, stream: Stream, depth: int) -> dict[str, Any]:
        maximum = self._settings.dlq_max_len
        return {"depth": depth, "max": maximum, "ratio": depth / maximum, "stream": KEYS[stream].stream}


def _names(stream: Stream, payload: dict[str, Any]) -> dict[str, Any]:
    if stream is Stream.EVENTS:
        return {
            "event_type": payload.get("event_type"),
            "correlation_id": payload.get("correlation_id"),
        }
    return {
        "notification_id": payload.get("notification_id"),
        "correlation_id": payload.get("remediation_id"),
    }


class _TooLarge(Exception):
    """One entry is larger than ``redis.dlq_max_entry_bytes``."""


def failure_reason(error: Exception) -> str:
    """Return the metric label for what Redis, or a limit of ours, said."""
    if isinstance(error, QueueFull):
        return "full"
    if isinstance(error, _TooLarge):
        return "too_large"
    for cls, reason in _FAILURES:
        if isinstance(error, cls):
            return reason
    return "other"
