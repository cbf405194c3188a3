"""Delivery records on their way into the dead-letter queue and back."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import msgspec

from datastorage.notifications.model import Notification


class InvalidPayload(ValueError):
    """The payload is no record that could ever be stored."""


class _Payload(msgspec.Struct, kw_only=True):
    """The members of a queued record; what this service did not write itself is judged here."""

    remediation_id: str
    notification_id: str
    recipient: str
    channel: str
    message_summary: str
    status: str
    sent_at: datetime
    delivery_status: str | None = None
    error_message: str | None = None
    escalation_level: int = 0


def to_payload(notification: Notification) -> dict[str, Any]:
    """Return every column value of the row; absent ones are left out."""
    values = {field.name: getattr(notification, field.name) for field in fields(notification)}
    return {name: value for name, value in values.items() if value is not None}


def from_payload(payload: dict[str, Any]) -> Notification:
    """Return the record as it was acknowledged.

    Raises:
        InvalidPayload: a member is missing or has a type that no column takes.
    """
    try:
        found = msgspec.convert(payload, _Payload)
    except msgspec.ValidationError as error:
        raise InvalidPayload(str(error)) from error
    members = {name: getattr(found, name) for name in found.__struct_fields__}
    sent_at = found.sent_at if found.sent_at.tzinfo else found.sent_at.replace(tzinfo=UTC)
    return Notification(**members | {"sent_at": sent_at.astimezone(UTC)})
