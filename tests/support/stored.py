"""What the tables hold after a request, read as the schema owner."""

from typing import Any

from sqlalchemy import Connection, Row, func, select

from datastorage.tables import audit_events, notification_audit


def stored_event(owner: Connection, correlation_id: str) -> Row[Any]:
    """Return the only event of a correlation id."""
    return owner.execute(select(audit_events).where(audit_events.c.correlation_id == correlation_id)).one()


def count_events(owner: Connection, correlation_id: str) -> int:
    """Count the events of a correlation id."""
    of_id = audit_events.c.correlation_id == correlation_id
    return owner.execute(select(func.count()).select_from(audit_events).where(of_id)).scalar_one()


def count_notifications(owner: Connection, notification_id: str) -> int:
    """Count the records of a notification, 0 or 1 unless its uniqueness is broken."""
    of_id = notification_audit.c.notification_id == notification_id
    return owner.execute(select(func.count()).select_from(notification_audit).where(of_id)).scalar_one()
