"""``POST /api/v1/audit/events``."""

import re

from sqlalchemy import Connection, select

from datastorage.tables import audit_events
from tests.support.builders import EVENTS, an_event
from tests.support.http import Api


def test_event_is_stored_with_every_default(api: Api, owner: Connection) -> None:
    event = an_event()

    answer = api.post(EVENTS, event)

    assert answer.status == 201
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["message"] == "Audit event created successfully"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.json["event_id"])
    row = owner.execute(
        select(audit_events).where(audit_events.c.correlation_id == event["correlation_id"])
    ).one()
    assert (row.actor_type, row.actor_id) == ("service", "gateway-service")
    assert (row.resource_type, row.resource_id) == ("gateway", event["correlation_id"])
    assert (row.severity, row.retention_days, row.is_sensitive) == ("info", 2555, False)
