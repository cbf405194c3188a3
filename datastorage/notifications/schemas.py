"""From the bytes of a request to a ``Notification``, and what the answer looks like."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

import marshmallow
from marshmallow import ValidationError, post_load

from datastorage.errors import Fault
from datastorage.notifications.model import Notification
from datastorage.notifications.tables import CHANNELS, STATUSES
from datastorage.platform.clock import Clock
from datastorage.platform.web import fields
from datastorage.platform.web.contract import Contract

MAX_AHEAD = timedelta(minutes=5)
MAX_ESCALATION_LEVEL = 100
IS_REQUIRED = Fault("is required", "required")
IS_BLANK = Fault("is required", "whitespace_only")


GLOSSARY = {
    "id": "Number of the record.",
    "remediation_id": "The remediation that the notification is about.",
    "notification_id": "Identity of the delivery; taken once and for all.",
    "recipient": "Who was notified.",
    "channel": "How; in any letter case, kept in lower case.",
    "message_summary": "What it said, in short.",
    "status": "What became of it; in any letter case, kept in lower case.",
    "sent_at": "When it was sent: RFC 3339 with a zone, at most five minutes ahead of the server's clock.",
    "delivery_status": "What the channel answered; left out of answers when empty.",
    "error_message": "What went wrong; left out of answers when empty.",
    "escalation_level": "How often it was escalated; 0 when absent.",
    "created_at": "When the record was committed.",
    "updated_at": "The same: records never change.",
}
EXAMPLE: dict[str, Any] = {
    "remediation_id": "rr-2026-0114",
    "notification_id": "ntf-90311",
    "recipient": "svc-checkout-oncall",
    "channel": "PagerDuty",
    "message_summary": "Heap limit raised for checkout-api",
    "status": "sent",
    "sent_at": "2026-01-14T08:31:02Z",
    "delivery_status": "202 Accepted",
}


class RequiredText(fields.Text):
    """Required text in the sentences of this endpoint."""

    def __init__(self, *, maximum: int) -> None:
        super().__init__(maximum=maximum, required=True)

    def deserialize(self, value: Any, *context: Any, **partial: Any) -> Any:
        """Refuse what is absent or blank as "required"."""
        if value is marshmallow.missing or value is None or value == "":
            raise ValidationError(IS_REQUIRED)
        if isinstance(value, str) and value.isspace():
            raise ValidationError(IS_BLANK)
        return super().deserialize(value, *context, **partial)


class Keyword(RequiredText):
    """One of a closed list in any letter case, kept in lower case; length is judged before the list."""

    def __init__(self, choices: tuple[str, ...]) -> None:
        super().__init__(maximum=50)
        self.choices = choices

    def judge(self, value: Any) -> str | None:
        """Refuse what is not in the list."""
        text = super().judge(value)
        if text is None or text.lower() not in self.choices:
            raise fields.refuse(f"must be one of: {', '.join(self.choices)} (got '{text}')")
        return text.lower()

    def openapi(self) -> dict[str, Any]:
        """The list in any letter case."""
        insensitive = "|".join("".join(f"[{c.upper()}{c}]" for c in choice) for choice in self.choices)
        return {"type": "string", "pattern": f"^({insensitive})$"}


class SentAt(fields.Instant):
    """When it was sent: any age, at most five minutes ahead; the year 1 is an older client's "unset"."""

    clock: Clock

    def deserialize(self, value: Any, *context: Any, **partial: Any) -> Any:
        """Refuse what is absent as "required"."""
        if value is marshmallow.missing or value is None:
            raise ValidationError(IS_REQUIRED)
        return super().deserialize(value, *context, **partial)

    def judge(self, value: Any) -> datetime:
        """Refuse the unset time and the future."""
        at = super().judge(value)
        if at.year == 1:
            raise ValidationError(IS_REQUIRED)
        if at > self.clock() + MAX_AHEAD:
            raise fields.refuse("cannot be in the future", "timestamp_future")
        return at


class EscalationLevel(fields.Integer):
    """0 to 100, in the sentences of this endpoint."""

    def judge(self, value: Any) -> int | None:
        """Refuse a negative level in its own words."""
        if isinstance(value, int | float) and value < 0:
            raise fields.refuse("must be non-negative")
        return super().judge(value)


class NotificationSchema(Contract):
    """One delivery record as a client sends it; ``id``, ``created_at`` and ``updated_at`` are ignored."""

    resource = "notification_audit"
    glossary = GLOSSARY
    example = EXAMPLE

    remediation_id = RequiredText(maximum=255)
    notification_id = RequiredText(maximum=255)
    recipient = RequiredText(maximum=255)
    channel = Keyword(CHANNELS)
    message_summary = RequiredText(maximum=65536)
    status = Keyword(STATUSES)
    sent_at = SentAt(required=True)
    delivery_status = fields.Text(maximum=65536)
    error_message = fields.Text(maximum=65536)
    escalation_level = EscalationLevel(minimum=0, maximum=MAX_ESCALATION_LEVEL)

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        sent_at = self.fields["sent_at"]
        assert isinstance(sent_at, SentAt)  # noqa: S101 - tells mypy what is declared above
        sent_at.clock = clock

    @post_load
    def make_notification(self, data: dict[str, Any], **_: Any) -> Notification:
        """Apply the default level."""
        return Notification(escalation_level=data.pop("escalation_level") or 0, **data)


class NotificationParkedSchema(marshmallow.Schema):
    """The record waits in the queue."""

    glossary: ClassVar[dict[str, str]] = {
        "status": "Always `accepted`: kept in the queue until it is stored.",
        "message": "The outcome in words.",
    }

    status = marshmallow.fields.String(required=True)
    message = marshmallow.fields.String(required=True)


class NotificationRecordedSchema(marshmallow.Schema):
    """The record as it was committed."""

    glossary = GLOSSARY
    example: ClassVar[dict[str, Any]] = EXAMPLE | {
        "id": 48213,
        "channel": "pagerduty",
        "escalation_level": 0,
        "created_at": "2026-01-14T08:31:02.448120Z",
        "updated_at": "2026-01-14T08:31:02.448120Z",
    }

    id = marshmallow.fields.Integer(required=True)
    remediation_id = marshmallow.fields.String(required=True)
    notification_id = marshmallow.fields.String(required=True)
    recipient = marshmallow.fields.String(required=True)
    channel = marshmallow.fields.String(required=True)
    message_summary = marshmallow.fields.String(required=True)
    status = marshmallow.fields.String(required=True)
    sent_at = marshmallow.fields.DateTime(required=True)
    delivery_status = marshmallow.fields.String()
    error_message = marshmallow.fields.String()
    escalation_level = marshmallow.fields.Integer(required=True)
    created_at = marshmallow.fields.DateTime(required=True)
    updated_at = marshmallow.fields.DateTime(required=True)
