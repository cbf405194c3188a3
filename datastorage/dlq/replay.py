"""One queued record on its way back to the database: what came of it, and what Redis is told."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from enum import Enum, auto
from typing import Any, Final

import msgspec

from datastorage.dlq import policy
from datastorage.dlq.entry import Entry, EntryType, Stream, Unreadable, decode
from datastorage.dlq.stream import Delivery, RedisQueue
from datastorage.errors import DatabaseError
from datastorage.platform.clock import Clock
from datastorage.platform.metrics import Metrics
from datastorage.settings import RedisSettings

logger = logging.getLogger(__name__)


class Replayed(Enum):
    """What became of a payload that was written again."""

    STORED = auto()
    DUPLICATE = auto()
    """The same record was already there: the first attempt had succeeded after all."""
    CONFLICT = auto()
    """Another record is stored under the same id."""
    INVALID = auto()
    """It can never be stored."""
    PARENT_PENDING = auto()
    """Its parent is still queued."""


Replay = Callable[[dict[str, Any]], Replayed]
"""Writes one payload through the ordinary path; raises ``DatabaseError`` when the database cannot."""


class Step(Enum):
    """What the loop does after one entry."""

    NEXT = auto()
    PAUSE = auto()
    """The database as a whole is at fault: keep the entry, ask again later."""
    FAILED = auto()
    """The entry failed; it is parked, or in a drain left where it is."""


class Replayer:
    """Processes one delivery at a time.

    Args:
        queue: the atomic steps in Redis.
        replays: how each type of record is written again; handed in, this feature knows none of them.
        settings: retries and backoff.
        metrics: results and ages.
        clock: the server's now.
    """

    def __init__(
        self,
        queue: RedisQueue,
        replays: Mapping[EntryType, Replay],
        settings: RedisSettings,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._replays = replays
        self._settings = settings
        self._metrics = metrics
        self._clock = clock

    def process(self, delivery: Delivery, *, ignore_backoff: bool = False) -> Step:
        """Write the record again if it is due, and move or remove its entry accordingly.

        With ``ignore_backoff`` (a drain) every entry is tried and a failed one stays where it is.

        Raises:
            redis.RedisError: the entry stays pending and is delivered again.
        """
        try:
            entry = decode(delivery.message)
        except Unreadable as error:
            self._metrics.dlq_validation_failures.labels(delivery.stream, "unparseable").inc()
            logger.error("DLQ entry cannot be read", extra={"message_id": delivery.id, "cause": str(error)})  # noqa: TRY400 - the trace says nothing more
            return self.bury(delivery, None, "unparseable")
        if not ignore_backoff:
            due_at = policy.due_at(entry, self._settings.dlq_backoff)
            if due_at > self._clock():
                self._queue.park(delivery, delivery.message or b"", due_at)
                return Step.NEXT
        return self._replay(delivery, entry, is_draining=ignore_backoff)

    def _replay(self, delivery: Delivery, entry: Entry, *, is_draining: bool) -> Step:
        try:
            replayed = self._replays[entry.type](entry.payload)
        except DatabaseError as fault:
            if policy.is_infrastructure(fault.reason):
                self._metrics.dlq_retry.labels(delivery.stream, "infrastructure").inc()
                return Step.PAUSE
            text = policy.error_text(fault.reason, fault.sqlstate, fault.server_message)
            return self._failed(delivery, entry, fault.reason, text, is_draining=is_draining)
        match replayed:
            case Replayed.STORED | Replayed.DUPLICATE:
                return self._finished(delivery, entry, replayed)
            case Replayed.PARENT_PENDING:
                text = policy.error_text("parent_pending")
                return self._failed(delivery, entry, "parent_pending", text, is_draining=is_draining)
            case Replayed.CONFLICT:
                return self.bury(delivery, entry, "conflict")
            case Replayed.INVALID:
                self._metrics.dlq_validation_failures.labels(delivery.stream, "invalid").inc()
                return self.bury(delivery, entry, "invalid")

    def _finished(self, delivery: Delivery, entry: Entry, replayed: Replayed) -> Step:
        self._queue.finish(delivery, entry.record_id if delivery.stream is Stream.EVENTS else "")
        result = "success" if replayed is Replayed.STORED else "duplicate"
        age_seconds = max((self._clock() - entry.first_enqueued_at).total_seconds(), 0.0)
        self._metrics.dlq_retry.labels(delivery.stream, result).inc()
        self._metrics.dlq_recovery_age_seconds.labels(delivery.stream).observe(age_seconds)
        extra = {**_fields(delivery, entry), "result": result, "age_seconds": round(age_seconds, 3)}
        logger.info("DLQ message processed successfully", extra=extra)
        return Step.NEXT

    def _failed(self, delivery: Delivery, entry: Entry, reason: str, text: str, *, is_draining: bool) -> Step:
        if is_draining:
            return Step.FAILED
        now = self._clock()
        failed = entry.failed(reason=reason, error=text, now=now)
        self._metrics.dlq_retry.labels(delivery.stream, "entry_failure").inc()
        extra = {
            **_fields(delivery, failed),
            "event_type": entry.payload.get("event_type"),
            "reason": reason,
            "payload_size": len(delivery.message or b""),
        }
        logger.error("DLQ retry failed", extra=extra)
        if policy.is_exhausted(entry, self._settings.dlq_max_retries):
            return self.bury(delivery, failed, "max_retries")
        self._queue.park(delivery, failed.encode(), policy.due_at(failed, self._settings.dlq_backoff))
        return Step.FAILED

    def bury(self, delivery: Delivery, entry: Entry | None, reason: str) -> Step:
        """Move an entry to the dead letters; when they are full it stays parked with the last backoff."""
        fields: dict[str, str | bytes] = {
            "original_id": delivery.id,
            "moved_at": self._clock().astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "final_retry_count": str(entry.retry_count if entry else 0),
            "reason": reason,
        }
        if entry is None:
            fields["raw"] = msgspec.json.encode({_text(k): _text(v) for k, v in delivery.fields.items()})
        else:
            fields["message"] = entry.encode()
        record_id = entry.record_id if entry and delivery.stream is Stream.EVENTS else ""
        extra = {**_fields(delivery, entry), "reason": reason}
        if self._queue.bury(delivery, fields, record_id):
            self._metrics.dead_letter.labels(delivery.stream, reason).inc()
            self._metrics.dlq_retry.labels(delivery.stream, "dead_letter").inc()
            logger.error("Message moved to dead letter", extra=extra)
            return Step.NEXT
        self._metrics.dead_letter_blocked.labels(delivery.stream).inc()
        logger.error("Failed to move to dead letter", extra=extra)
        self._keep_parked(delivery, entry)
        return Step.FAILED

    def _keep_parked(self, delivery: Delivery, entry: Entry | None) -> None:
        longest: timedelta = self._settings.dlq_backoff[-1]
        # One failure short of the last, so that the next attempt ends at the dead letters again.
        message = (
            replace(entry, retry_count=max(entry.retry_count - 1, 0)).encode()
            if entry
            else delivery.message or b""
        )
        self._queue.park(delivery, message, self._clock() + longest)


AUDIT_TYPE: Final = {Stream.EVENTS: "events", Stream.NOTIFICATIONS: "notifications"}


def _fields(delivery: Delivery, entry: Entry | None) -> dict[str, Any]:
    return {
        "message_id": delivery.id,
        "audit_type": AUDIT_TYPE[delivery.stream],
        "retry_count": entry.retry_count if entry else 0,
        "correlation_id": entry.correlation_id if entry else "",
    }


def _text(value: bytes) -> str:
    return value.decode("utf-8", errors="backslashreplace")
