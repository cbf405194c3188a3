"""A delivery record, before and after it is stored, and on its way through the dead-letter queue."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from sqlalchemy import BigInteger, Integer, String, Text, func

from datastorage.dlq.payload import Payload
from datastorage.notifications.fields import EscalationLevel, Keyword, RequiredText, SentAt
from datastorage.platform.db.columns import TIMESTAMPTZ
from datastorage.platform.records import Member, Normaliser, Shown, members_of
from datastorage.platform.web import fields
from datastorage.platform.web.characters import FREE_TEXT
from datastorage.platform.web.shapes import meaning

CHANNELS = ("email", "slack", "pagerduty", "sms", "webhook")
STATUSES = ("sent", "failed", "acknowledged", "escalated", "pending")
MAX_TEXT = 65536


def _name(meaning: str) -> Member:
    return Member(meaning, String(255), RequiredText(maximum=255))


def _keyword(what: str, choices: tuple[str, ...]) -> Member:
    return Member(f"{what}; in any letter case, kept in lower case.", String(50), Keyword(choices))


def _report(what: str) -> Member:
    judge = fields.Text(maximum=MAX_TEXT, characters=FREE_TEXT)
    return Member(f"{what}; left out of answers when empty.", Text(), judge, shown=Shown.WHEN_SET)


def _written_at(meaning: str) -> Member:
    return Member(meaning, TIMESTAMPTZ, is_set_by_database=True, server_default=func.now())


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One normalised delivery record; the order of its members is that of answers and of reported faults."""

    id: Annotated[int | None, Member("Number of the record.", BigInteger(), is_set_by_database=True)] = None
    remediation_id: Annotated[str, _name("The remediation that the notification is about.")]
    notification_id: Annotated[str, _name("Identity of the delivery; taken once and for all.")]
    recipient: Annotated[str, _name("Who was notified.")]
    channel: Annotated[str, _keyword("How", CHANNELS)]
    message_summary: Annotated[
        str,
        Member("What it said, in short.", Text(), RequiredText(maximum=MAX_TEXT, characters=FREE_TEXT)),
    ]
    status: Annotated[str, _keyword("What became of it", STATUSES)]
    sent_at: Annotated[
        datetime,
        Member(
            "When it was sent: RFC 3339 with a zone, at most five minutes ahead of the server's clock.",
            TIMESTAMPTZ,
            SentAt(required=True),
        ),
    ]
    delivery_status: Annotated[str | None, _report("What the channel answered")] = None
    error_message: Annotated[str | None, _report("What went wrong")] = None
    escalation_level: Annotated[
        int,
        Member(
            "How often it was escalated; 0 when absent.",
            Integer(),
            EscalationLevel(minimum=0, maximum=100),
            default=0,
            server_default="0",
        ),
    ]
    created_at: Annotated[datetime | None, _written_at("When the record was committed.")] = None
    updated_at: Annotated[datetime | None, _written_at("The same: records never change.")] = None


MEMBERS = members_of(Notification)

normalised = Normaliser(Notification)
"""Makes a record of what a client sent or the queue kept."""

_PAYLOAD: Final = Payload(Notification)

to_payload = _PAYLOAD.encode
"""Returns what the dead-letter queue keeps of a record."""


def from_payload(payload: dict[str, Any]) -> Notification:
    """Return the record as it was acknowledged.

    Raises:
        InvalidPayload: a member is missing or has a type that no column takes.
    """
    return normalised(_PAYLOAD.decode(payload))


@dataclass(frozen=True, slots=True)
class NotificationRecorded:
    """The record as it was committed."""

    row: msgspec.Raw


class NotificationParked(msgspec.Struct, frozen=True):
    """The record waits in the queue."""

    status: Annotated[str, meaning("Always `accepted`: kept in the queue until it is stored.")] = "accepted"
    message: Annotated[str, meaning("The outcome in words.")] = "audit record queued for processing"
