"""A delivery record, before and after it is stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One normalised delivery record, ready to be stored."""

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


@dataclass(frozen=True, slots=True)
class NotificationRecorded:
    """The record as it was committed."""

    members: dict[str, Any]


class NotificationParked(msgspec.Struct, frozen=True):
    """The record is safe in the dead-letter queue."""

    status: str = "accepted"
    message: str = "audit record queued for processing"
