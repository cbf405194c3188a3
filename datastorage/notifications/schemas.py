"""From the bytes of a request to a ``Notification``, and what the answer looks like."""

from typing import Any

from marshmallow import post_load

from datastorage.notifications.fields import SentAt
from datastorage.notifications.model import MEMBERS, Notification, normalised
from datastorage.platform.clock import Clock
from datastorage.platform.records import judges_of, meanings_of
from datastorage.platform.web.accept import QuickContract
from datastorage.platform.web.fields import field_of
from datastorage.platform.web.shapes import RowShape

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


class NotificationSchema(QuickContract):
    """One delivery record as a client sends it; ``id``, ``created_at`` and ``updated_at`` are ignored."""

    resource = "notification_audit"
    glossary = meanings_of(MEMBERS)
    example = EXAMPLE

    class Meta(QuickContract.Meta):
        """The members of a record that a client may send."""

        include = judges_of(MEMBERS)

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        field_of(self, "sent_at", SentAt).clock = clock

    @post_load
    def make_notification(self, data: dict[str, Any], **_: Any) -> Notification:
        """Apply the default level."""
        return normalised(data)


RECORDED = RowShape(
    "NotificationRecorded",
    "The record as it was committed.",
    MEMBERS,
    EXAMPLE
    | {
        "id": 48213,
        "channel": "pagerduty",
        "escalation_level": 0,
        "created_at": "2026-01-14T08:31:02.448120Z",
        "updated_at": "2026-01-14T08:31:02.448120Z",
    },
)
