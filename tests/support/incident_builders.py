"""Incidents as requests and as rows: a test names only the fields it is about."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert

from datastorage.tables import action_histories, resource_action_traces, resource_references
from tests.support.builders import ABSENT, now, rfc3339, unique

INCIDENTS = "/api/v1/incidents"
BATCH = f"{INCIDENTS}/batch"
EXPORT = f"{INCIDENTS}/export"
AGGREGATE = f"{INCIDENTS}/aggregate"
SUCCESS_RATE = "/api/v1/success-rate"


def an_incident(**fields: Any) -> dict[str, Any]:
    """Return the smallest valid request with a fresh ``action_id``, with ``fields`` added or ``ABSENT``."""
    incident = {
        "action_id": unique("act"),
        "action_type": "restart_pod",
        "action_timestamp": rfc3339(now()),
        "signal_name": "HighMemoryUsage",
        "severity": "high",
        "model_used": "model-a",
        "model_confidence": 0.95,
        "resource_kind": "Deployment",
        "resource_name": "web",
        "namespace": "production",
    } | fields
    return {name: value for name, value in incident.items() if value is not ABSENT}


def a_trace_row(action_history_id: int, **columns: Any) -> dict[str, Any]:
    """Return a row of ``resource_action_traces`` as an older producer writes it: inherited columns only."""
    return {
        "action_history_id": action_history_id,
        "action_id": unique("act"),
        "action_timestamp": now(),
        "signal_name": "HighMemoryUsage",
        "signal_severity": "high",
        "model_used": "model-a",
        "model_confidence": 0.95,
        "action_type": "restart_pod",
    } | columns


def insert_resource(connection: Connection, **columns: Any) -> int:
    """Insert a resource and return its id."""
    row = {"resource_uid": str(uuid4()), "api_version": "v1", "kind": "Pod", "name": unique("pod")} | columns
    statement = insert(resource_references).returning(resource_references.c.id)
    return int(connection.execute(statement, row).scalar_one())


def insert_history(connection: Connection, **resource: Any) -> int:
    """Insert a resource with its action history and return the history's id."""
    row = {"resource_id": insert_resource(connection, **resource)}
    statement = insert(action_histories).returning(action_histories.c.id)
    return int(connection.execute(statement, row).scalar_one())


def insert_trace(connection: Connection, action_history_id: int, **columns: Any) -> Any:
    """Insert one trace and return the whole row."""
    statement = insert(resource_action_traces).returning(resource_action_traces)
    return connection.execute(statement, a_trace_row(action_history_id, **columns)).one()


def age(at: datetime) -> float:
    """Return the age of ``at`` in seconds."""
    return (now() - at).total_seconds()
