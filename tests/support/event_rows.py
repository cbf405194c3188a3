"""Rows of ``audit_events`` and ``notification_audit`` as plain SQL would write them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

# A month that the migrations create, whatever the date of the test run.
A_JANUARY_NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)


def an_event_row(**columns: Any) -> dict[str, Any]:
    """Return a complete row; ``event_date`` follows ``event_timestamp`` unless given."""
    timestamp = columns.get("event_timestamp", A_JANUARY_NOON)
    return {
        "event_id": uuid4(),
        "event_timestamp": timestamp,
        "event_date": timestamp.astimezone(UTC).date(),
        "event_type": "gateway.signal.received",
        "event_category": "gateway",
        "event_action": "received",
        "event_outcome": "success",
        "actor_type": "service",
        "actor_id": "gateway-service",
        "resource_type": "Signal",
        "resource_id": "fp-1",
        "correlation_id": "rr-1",
        "event_data": {},
    } | columns


def a_notification_row(**columns: Any) -> dict[str, Any]:
    """Return a complete row with its own ``notification_id``."""
    return {
        "remediation_id": "rr-1",
        "notification_id": str(uuid4()),
        "recipient": "on-call",
        "channel": "email",
        "message_summary": "Heap limit raised",
        "status": "sent",
        "sent_at": A_JANUARY_NOON,
    } | columns
