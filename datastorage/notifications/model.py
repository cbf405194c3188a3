"""A delivery record, before and after it is stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec
from sqlalchemy import BigInteger, Integer, String, Text, func

from datastorage.notifications.fields import EscalationLevel, Keyword, RequiredText, SentAt
from datastorage.platform.db.columns import TIMESTAMPTZ
from datastorage.platform.records import Member, Normaliser, Shown, members_of
from datastorage.platform.web import fields
from datastorage.platform.web.shapes import meaning

CHANNELS = ("email", "slack", "pagerduty", "sms", "webhook")
STATUSES = ("sent", "failed", "acknowledged", "escalated", "pending")
MAX_ESCALATION_LEVEL = 100


def _required(meaning: str) -> Member:
    return Member(meaning, String(255), RequiredText(maximum=255))


def _at(meaning: str) -> Member:
    return Member(meaning, TIMESTAMPTZ, is_set_by_database=True, server_default=func.now())


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One normalised delivery record; the order of its members is that of answers and of reported faults."""

    id: Annotated[int | None, Member("Number of the record.", BigInteger(), is_set_by_database=True)] = None
    remediation_id: Annotated[str, _required("The remediation that the notification is about.")]
    notification_id: Annotated[str, _required("Identity of the delivery; taken once and for all.")]
    recipient: Annotated[str, _required("Who was notified.")]
    channel: Annotated[
        str, Member("How; in any letter case, kept in lower case.", String(50), Keyword(CHANNELS))
    ]
    message_summary: Annotated[str, Member("What it said, in short.", Text(), RequiredText(maximum=65536))]
    status: Annotated[
        str,
        Member("What became of it; in any letter case, kept in lower case.", String(50), Keyword(STATUSES)),
    ]
    sent_at: Annotated[
        datetime,
        Member(
            "When it was sent: RFC 3339 with a zone, at most five minutes ahead of the server's clock.",
            TIMESTAMPTZ,
            SentAt(required=True),
        ),
    ]
    delivery_status: Annotated[
        str | None,
        Member(
            "What the channel answered; left out of answers when empty.",
            Text(),
            fields.Text(maximum=65536),
            shown=Shown.WHEN_SET,
        ),
    ] = None
    error_message: Annotated[
        str | None,
        Member(
            "What went wrong; left out of answers when empty.",
            Text(),
            fields.Text(maximum=65536),
            shown=Shown.WHEN_SET,
        ),
    ] = None
    escalation_level: Annotated[
        int,
        Member(
            "How often it was escalated; 0 when absent.",
            Integer(),
            EscalationLevel(minimum=0, maximum=MAX_ESCALATION_LEVEL),
            default=0,
            server_default="0",
        ),
    ]
    created_at: Annotated[datetime | None, _at("When the record was committed.")] = None
    updated_at: Annotated[datetime | None, _at("The same: records never change.")] = None


MEMBERS = members_of(Notification)

normalised = Normaliser(Notification)
"""Makes a record of what a client sent or the queue kept."""


@dataclass(frozen=True, slots=True)
class NotificationRecorded:
    """The record as it was committed, in JSON."""

    text: str


class NotificationParked(msgspec.Struct, frozen=True):
    """The record waits in the queue."""

    status: Annotated[str, meaning("Always `accepted`: kept in the queue until it is stored.")] = "accepted"
    message: Annotated[str, meaning("The outcome in words.")] = "audit record queued for processing"
