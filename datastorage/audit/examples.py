"""What an audit event looks like when it is sent and when it is read, for the API document."""

from typing import Any

from datastorage.audit.event import MEMBERS
from datastorage.platform.db.row_json import shown_members
from datastorage.platform.records import Shown
from datastorage.platform.web.shapes import RowShape

EVENT_EXAMPLE: dict[str, Any] = {
    "version": "1.0",
    "event_type": "gateway.signal.received",
    "event_timestamp": "2026-01-14T09:12:45.120934+01:00",
    "event_category": "gateway",
    "event_action": "received",
    "event_outcome": "success",
    "correlation_id": "rr-2026-0114",
    "severity": "critical",
    "namespace": "payments",
    "event_data": {"alert_name": "EtcdHighCommitLatency", "is_duplicate": False},
}

_STORED = EVENT_EXAMPLE | {
    "event_id": "0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11",
    "event_timestamp": "2026-01-14T08:12:45.120934Z",
    "event_date": "2026-01-14",
    "resource_type": "gateway",
    "resource_id": "rr-2026-0114",
    "actor_id": "gateway-service",
    "actor_type": "service",
    "retention_days": 2555,
    "is_sensitive": False,
}

STORED = RowShape(
    "StoredEvent",
    "One event as reads return it.",
    MEMBERS,
    {
        each.wire: _STORED.get(each.wire, "" if each.shown is Shown.BLANK else None)
        for each in shown_members(MEMBERS)
        if each.shown is not Shown.WHEN_SET
    },
)
