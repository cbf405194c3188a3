"""One queued record: the JSON object in field ``message`` of a stream entry.

What is decoded again is what was encoded: integers of any size, and fractions digit by digit, because
a replayed record is compared with the one that may already be stored.
"""

import binascii
from base64 import b64decode
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

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

    @property
    def acknowledged(self) -> dict[str, Any]:
        """The payload, with the time of its 202 where an older release did not queue that with the record."""
        return {"received_at": self.first_enqueued_at} | self.payload

    def failed(self, *, reason: str, error: str, now: datetime) -> "Entry":
        """Return the entry after one more failure of its own."""
        return replace(self, retry_count=self.retry_count + 1, reason=reason, last_error=error, timestamp=now)

    def postponed(self, *, reason: str, error: str, now: datetime) -> "Entry":
        """Return the entry after an attempt that is not held against it."""
        return replace(self, reason=reason, last_error=error, timestamp=now)

    def encode(self) -> bytes:
        """Return the compact JSON of the field ``message``."""
        return _encoder.encode(
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
    """What ``message`` may hold: unknown members are ignored, all but the first three may be missing."""

    type: str
    payload: dict[str, Any]
    timestamp: datetime
    retry_count: int | None = None
    last_error: str | None = None
    first_enqueued_at: datetime | None = None
    reason: str | None = None
    request_id: str | None = None


_encoder: Final = msgspec.json.Encoder(decimal_format="number")
_decoder: Final = msgspec.json.Decoder(_Message, float_hook=Decimal)
_object_decoder: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


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
    except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    if entry_type is EntryType.AUDIT_EVENT:
        _read_foreign_objects(found.payload)
    timestamp = _aware(found.timestamp)
    return Entry(
        type=entry_type,
        payload=found.payload,
        timestamp=timestamp,
        first_enqueued_at=_aware(found.first_enqueued_at) if found.first_enqueued_at else timestamp,
        retry_count=found.retry_count or 0,
        last_error=found.last_error or "",
        reason=found.reason or "unknown",
        request_id=found.request_id or "",
    )


def _read_foreign_objects(payload: dict[str, Any]) -> None:
    """Put objects where another implementation queued them as base64 text.

    Text that is none stays as it is: whoever writes the payload judges it, and until then it is kept.
    """
    for name in ("event_data", "event_metadata"):
        value = payload.get(name)
        if isinstance(value, str) and value:
            payload[name] = _object_in(value)
    if not payload.get("event_data"):
        payload["event_data"] = {}
    if payload.get("event_metadata") in (None, ""):  # an empty object is one that a client sent
        payload.pop("event_metadata", None)


def _object_in(text: str) -> Any:
    try:
        return _object_decoder.decode(b64decode(text, validate=True))
    except (binascii.Error, msgspec.DecodeError, ValueError, ArithmeticError, RecursionError):
        return text


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
