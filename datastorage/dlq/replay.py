"""One queued record on its way back to the database: what came of it, and what Redis is told."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from enum import Enum, auto
from typing import Any, Final

import msgspec

from datastorage.dlq import policy
from datastorage.dlq.entry import Entry, EntryType, Stream, Unreadable, decode
from datastorage.dlq.keys import Delivery
from datastorage.dlq.stream import DeadLettersFull, RedisQueue
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


@dataclass(frozen=True, slots=True)
class Destination:
    """The database, as far as this feature needs it.

    Attributes:
        replays: how each type of record is written again.
        answers: pings the database, on a connection of its own within two seconds.
    """

    replays: Mapping[EntryType, Replay]
    answers: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Failure:
    """The write failed, for ``reason``; ``text`` is what is kept of it."""

    reason: str
    text: str
    is_infrastructure: bool = False


class Step(Enum):
    """Where an entry is after it was processed."""

    STORED = auto()
    """In the database, and nowhere in Redis."""
    MOVED = auto()
    """Parked, or among the dead letters, or somebody else was faster."""
    LEFT = auto()
    """Where it was: it failed, and this was only one more chance for it."""
    PAUSE = auto()
    """Where it was: the database as a whole is at fault. Ask again later."""


class Replayer:
    """Processes one delivery at a time.

    Args:
        queue: the atomic steps in Redis.
        destination: where records go; handed in, this feature knows none of their types.
        settings: retries and backoff.
        metrics: results and ages.
        clock: the server's now.
    """

    def __init__(
        self,
        queue: RedisQueue,
        destination: Destination,
        settings: RedisSettings,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._destination = destination
        self._settings = settings
        self._metrics = metrics
        self._clock = clock

    def process(self, delivery: Delivery) -> Step:
        """Write the record again if it is due, and move or remove its entry accordingly.

        Raises:
            redis.RedisError: the entry stays pending and is delivered again.
        """
        try:
            entry = decode(delivery.message)
        except Unreadable as error:
            return self._bury_unreadable(delivery, error)
        waits = self._settings.dlq_backoff
        if not policy.is_due(entry, waits, self._clock()):
            self._queue.park(delivery, delivery.message or b"", policy.due_at(entry, waits))
            return Step.MOVED
        return self._settle(delivery, entry, self._attempt(delivery, entry))

    def _settle(self, delivery: Delivery, entry: Entry, outcome: Replayed | _Failure) -> Step:
        match outcome:
            case _Failure():
                return self._failed(delivery, entry, outcome)
            case Replayed.STORED | Replayed.DUPLICATE:
                return self._finished(delivery, entry, outcome)
            case Replayed.PARENT_PENDING:
                return self._wait_for_parent(delivery, entry)
            case Replayed.CONFLICT:
                return self._bury(delivery, entry, "conflict")
            case Replayed.INVALID:
                self._metrics.dlq_validation_failures.labels(delivery.stream, "invalid").inc()
                return self._bury(delivery, entry, "invalid")

    def drain(self, delivery: Delivery) -> Step:
        """Write the record again whatever its backoff; what is not stored stays where it is.

        Raises:
            redis.RedisError: the entry stays pending.
        """
        try:
            entry = decode(delivery.message)
        except Unreadable:
            return Step.LEFT
        outcome = self._attempt(delivery, entry)
        if isinstance(outcome, _Failure):
            return Step.PAUSE if outcome.is_infrastructure else Step.LEFT
        if outcome in {Replayed.STORED, Replayed.DUPLICATE}:
            return self._finished(delivery, entry, outcome)
        return Step.LEFT

    def _attempt(self, delivery: Delivery, entry: Entry) -> Replayed | _Failure:
        replay = self._destination.replays[entry.type]
        try:
            return replay(entry.acknowledged)
        except DatabaseError as fault:
            is_infrastructure = self._is_infrastructure(fault.reason)
            if is_infrastructure:
                self._metrics.dlq_retry.labels(delivery.stream, "infrastructure").inc()
            text = policy.error_text(fault.reason, fault.sqlstate, fault.server_message)
            return _Failure(fault.reason, text, is_infrastructure)
        except Exception:
            # Whatever it is, it happens with this record, and must not keep the others waiting for ever.
            logger.exception("DLQ replay raised", extra=_fields(delivery, entry))
            return _Failure("unknown", policy.DEFAULT_TEXT)

    def _is_infrastructure(self, reason: str) -> bool:
        """Tell whether to wait for the database; one record may need too long for one that is well."""
        if reason == policy.TIMEOUT and self.database_answers():
            return False
        return policy.is_infrastructure(reason)

    def database_answers(self) -> bool:
        """Ping the database."""
        return self._destination.answers()

    def _finished(self, delivery: Delivery, entry: Entry, replayed: Replayed) -> Step:
        self._queue.finish(delivery, _event_id(entry))
        result = "success" if replayed is Replayed.STORED else "duplicate"
        age_seconds = max((self._clock() - entry.first_enqueued_at).total_seconds(), 0.0)
        self._metrics.dlq_retry.labels(delivery.stream, result).inc()
        self._metrics.dlq_recovery_age_seconds.labels(delivery.stream).observe(age_seconds)
        extra = {**_fields(delivery, entry), "result": result, "age_seconds": round(age_seconds, 3)}
        logger.info("DLQ message processed successfully", extra=extra)
        return Step.STORED

    def _failed(self, delivery: Delivery, entry: Entry, failure: _Failure) -> Step:
        if failure.is_infrastructure:
            return Step.PAUSE
        failed = entry.failed(reason=failure.reason, error=failure.text, now=self._clock())
        self._metrics.dlq_retry.labels(delivery.stream, "entry_failure").inc()
        extra = {
            **_fields(delivery, failed),
            "event_type": entry.payload.get("event_type"),
            "reason": failure.reason,
            "payload_size": len(delivery.message or b""),
        }
        logger.error("DLQ retry failed", extra=extra)
        if policy.is_exhausted(entry, self._settings.dlq_max_retries):
            return self._bury(delivery, failed, "max_retries")
        self._park(delivery, failed)
        return Step.MOVED

    def _wait_for_parent(self, delivery: Delivery, entry: Entry) -> Step:
        text = policy.error_text("parent_pending")
        now = self._clock()
        if not policy.may_wait_for_parent(entry, self._settings.dlq_backoff, now):
            return self._failed(delivery, entry, _Failure("parent_pending", text))
        self._park(delivery, entry.postponed(reason="parent_pending", error=text, now=now))
        logger.info("DLQ message waits for its parent event", extra=_fields(delivery, entry))
        return Step.MOVED

    def _park(self, delivery: Delivery, entry: Entry) -> None:
        self._queue.park(delivery, entry.encode(), policy.due_at(entry, self._settings.dlq_backoff))

    def bury_poison(self, deliveries: Sequence[Delivery]) -> None:
        """Move those entries to the dead letters on which too many consumers died.

        Raises:
            redis.RedisError: all stay pending.
        """
        for delivery in filter(self._is_poison, deliveries):
            try:
                self._bury(delivery, decode(delivery.message), "max_deliveries")
            except Unreadable as error:
                self._bury_unreadable(delivery, error)

    def without_poison(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return the entries on which not too many consumers died."""
        return [delivery for delivery in deliveries if not self._is_poison(delivery)]

    def _is_poison(self, delivery: Delivery) -> bool:
        return delivery.earlier_deliveries > self._settings.dlq_max_deliveries

    def _bury_unreadable(self, delivery: Delivery, error: Unreadable) -> Step:
        self._metrics.dlq_validation_failures.labels(delivery.stream, "unparseable").inc()
        logger.error("DLQ entry cannot be read", extra={**_fields(delivery, None), "cause": str(error)})
        return self._bury(delivery, None, "unparseable")

    def _bury(self, delivery: Delivery, entry: Entry | None, reason: str) -> Step:
        """Move an entry to the dead letters; when they are full it stays parked with the last backoff."""
        fields: dict[str, str | bytes] = {
            "original_id": delivery.id,
            "moved_at": self._clock().astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "final_retry_count": str(entry.retry_count if entry else 0),
            "reason": reason,
        }
        if entry is None:
            fields["raw"] = _raw(delivery)
        else:
            fields["message"] = entry.encode()
        extra = {**_fields(delivery, entry), "reason": reason}
        try:
            if not self._queue.bury(delivery, fields, _event_id(entry)):
                return Step.MOVED  # by another pod, which has said so
        except DeadLettersFull:
            self._metrics.dead_letter_blocked.labels(delivery.stream).inc()
            logger.error("Failed to move to dead letter", extra=extra)
            self._keep_parked(delivery, entry, reason)
            return Step.MOVED
        self._metrics.dead_letter.labels(delivery.stream, reason).inc()
        self._metrics.dlq_retry.labels(delivery.stream, "dead_letter").inc()
        logger.error("Message moved to dead letter", extra=extra)
        return Step.MOVED

    def _keep_parked(self, delivery: Delivery, entry: Entry | None, reason: str) -> None:
        longest: timedelta = self._settings.dlq_backoff[-1]
        message = delivery.message or _raw(delivery)
        if entry is not None and reason == "max_retries":
            # One failure short of the last, so that the next attempt ends here again.
            message = replace(entry, retry_count=entry.retry_count - 1).encode()
        self._queue.park(delivery, message, self._clock() + longest)


AUDIT_TYPE: Final = {Stream.EVENTS: "events", Stream.NOTIFICATIONS: "notifications"}


def _event_id(entry: Entry | None) -> str:
    return entry.record_id if entry and entry.type is EntryType.AUDIT_EVENT else ""


def _raw(delivery: Delivery) -> bytes:
    return msgspec.json.encode({_text(name): _text(value) for name, value in delivery.fields.items()})


def _text(value: bytes) -> str:
    return value.decode("utf-8", errors="backslashreplace")


def _fields(delivery: Delivery, entry: Entry | None) -> dict[str, Any]:
    return {
        "message_id": delivery.id,
        "audit_type": AUDIT_TYPE[delivery.stream],
        "retry_count": entry.retry_count if entry else 0,
        "correlation_id": entry.correlation_id if entry else "",
    }
