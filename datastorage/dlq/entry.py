"""One queued record: the JSON object in field ``message`` of a stream entry."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

MAX_ERROR_CHARACTERS = 256


class Stream(StrEnum):
    """The two logical queues; the value is the metric label."""

    EVENTS = "events"
    NOTIFICATIONS = "notifications"


class EntryType(StrEnum):
    """What the payload is."""

    AUDIT_EVENT = "audit_event"
    NOTIFICATION_AUDIT = "notification_audit"

    @property
    def stream(self) -> Stream:
        """The queue for this type."""
        return Stream.EVENTS if self is EntryType.AUDIT_EVENT else Stream.NOTIFICATIONS


class Unreadable(ValueError):
    """The stream entry holds no record that this code understands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record and the history of its attempts.

    ``payload`` is the complete record under the API's names. Backoff counts from ``timestamp``, age
    from ``first_enqueued_at``, which no retry changes.
    """

    type: EntryType
    payload: dict[str, Any]
    timestamp: datetime
    first_enqueued_at: datetime
    retry_count: int = 0
    last_error: str = ""
    reason: str = "unknown"
    request_id: str = ""

    @property
    def record_id(self) -> str:
        """The record's own id: ``event_id`` or ``notification_id``."""
        name = "event_id" if self.type is EntryType.AUDIT_EVENT else "notification_id"
        return str(self.payload.get(name, ""))

    @property
    def correlation_id(self) -> str:
        """What links the record to a remediation."""
        name = "correlation_id" if self.type is EntryType.AUDIT_EVENT else "remediation_id"
        return str(self.payload.get(name, ""))

    def failed(self, *, reason: str, error: str, now: datetime) -> "Entry":
        """Return the entry after one more failure of its own."""
        return replace(self, retry_count=self.retry_count + 1, reason=reason, last_error=error, timestamp=now)

    def encode(self) -> bytes:
        """Return the compact JSON of the field ``message``."""
        return msgspec.json.encode(
            {
                "type": self.type.value,
                "payload": self.payload,
                "timestamp": self.timestamp,
                "retry_count": self.retry_count,
                "last_error": self.last_error,
                "first_enqueued_at": self.first_enqueued_at,
                "reason": self.reason,
                "request_id": self.request_id,
            }
        )


class _Message(msgspec.Struct):
    """What ``message`` may hold: unknown members are ignored, the last three may be missing."""

    type: str
    payload: dict[str, Any]
    timestamp: datetime
    retry_count: int = 0
    last_error: str = ""
    first_enqueued_at: datetime | None = None
    reason: str = "unknown"
    request_id: str = ""


_decoder = msgspec.json.Decoder(_Message)


def decode(message: bytes | None) -> Entry:
    """Return the entry in ``message``.

    Raises:
        Unreadable: no message, no JSON, a missing member, or an unknown type.
    """
    if message is None:
        raise Unreadable("no field named message")
    try:
        found = _decoder.decode(message)
        entry_type = EntryType(found.type)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    timestamp = _aware(found.timestamp)
    return Entry(
        type=entry_type,
        payload=found.payload,
        timestamp=timestamp,
        first_enqueued_at=_aware(found.first_enqueued_at) if found.first_enqueued_at else timestamp,
        retry_count=found.retry_count,
        last_error=found.last_error,
        reason=found.reason,
        request_id=found.request_id,
    )


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
