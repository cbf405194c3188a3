"""Requests with sensible defaults: a test names only the fields it is about."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from datastorage.audit.event import AuditEvent

EVENTS = "/api/v1/audit/events"
BATCH = "/api/v1/audit/events/batch"
OLDER_NAME = "/api/v1/audit"
NOTIFICATIONS = "/api/v1/audit/notifications"

MAXIMUM_CHARACTERS = {
    "version": 20,
    "event_type": 100,
    "event_action": 50,
    "correlation_id": 255,
    "actor_type": 50,
    "actor_id": 255,
    "resource_type": 100,
    "resource_id": 255,
    "namespace": 253,
    "cluster_name": 255,
    "severity": 20,
    "resource_name": 255,
    "trace_id": 255,
    "span_id": 255,
    "error_code": 50,
    "error_message": 65536,
}
"""Longest text that each member of an event may have."""

HIDDEN_CHARACTERS = ("\x1b", "\t", "\x7f", "\x85", "\u202e", "\u2066", "\u200f", "\u200d", "\ufeff")
"""One of each kind that no identifier may have."""

FREE_TEXT = "two\r\nlines\t\x1b[2J \u202eabc\u202c \N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL} \u06a9\u200c\u0647"
"""A text with characters that only free text may have: in the last words they belong there."""

ABSENT = object()
"""Pass it for a field that the request shall not have."""


def rfc3339(at: datetime) -> str:
    """Return ``at`` as a client in UTC would write it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def now(**offset: float) -> datetime:
    """Return the current instant, moved by ``timedelta`` keywords."""
    return datetime.now(UTC) + timedelta(**offset)


def unique(prefix: str = "rr") -> str:
    """Return an id no other test uses."""
    return f"{prefix}-{secrets.token_hex(8)}"


def widest(characters: int) -> str:
    """Return the text of so many characters that takes most room: four bytes each, not to be compressed."""
    return "".join(chr(0x10000 + secrets.randbelow(0x100000)) for _ in range(characters))


def an_event(**fields: Any) -> dict[str, Any]:
    """Return the smallest valid event, with ``fields`` added, replaced or (``ABSENT``) removed."""
    event = {
        "version": "1.0",
        "event_type": "gateway.signal.received",
        "event_timestamp": rfc3339(now()),
        "event_category": "gateway",
        "event_action": "received",
        "event_outcome": "success",
        "correlation_id": unique(),
        "event_data": {"alert_name": "EtcdHighCommitLatency"},
    } | fields
    return {name: value for name, value in event.items() if value is not ABSENT}


def a_notification(**fields: Any) -> dict[str, Any]:
    """Return a valid notification with a fresh id, changed like ``an_event``."""
    notification = {
        "remediation_id": "rr-2026-0114",
        "notification_id": unique("ntf"),
        "recipient": "svc-checkout-oncall",
        "channel": "pagerduty",
        "message_summary": "Heap limit raised for checkout-api",
        "status": "sent",
        "sent_at": "2026-01-14T08:31:02Z",
        "delivery_status": "202 Accepted",
    } | fields
    return {name: value for name, value in notification.items() if value is not ABSENT}


def an_audit_event(**fields: Any) -> AuditEvent:
    """Return an event as it is after validation; ``event_date`` follows ``event_timestamp``."""
    at = fields.get("event_timestamp", datetime(2026, 1, 14, 12, tzinfo=UTC))
    normalised = {
        "event_id": uuid4(),
        "event_version": "1.0",
        "event_timestamp": at,
        "event_date": at.date(),
        "received_at": at,
        "event_type": "gateway.signal.received",
        "event_category": "gateway",
        "event_action": "received",
        "event_outcome": "success",
        "actor_type": "service",
        "actor_id": "gateway-service",
        "resource_type": "gateway",
        "resource_id": "rr-1",
        "correlation_id": "rr-1",
        "event_data": "{}",
        "severity": "info",
        "retention_days": 2555,
        "is_sensitive": False,
    } | fields
    return AuditEvent(**normalised)
