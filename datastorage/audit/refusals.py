"""What a client is told about an event that can never be stored as it is."""

import logging

from datastorage.audit.model import AuditEvent
from datastorage.errors import Conflict, Fault, InvalidInput, RowRefused

logger = logging.getLogger(__name__)

SINGLE, BATCH = "audit_events", "audit_events_batch"
"""The two ways to write, as metrics and problems call them."""

UNKNOWN_PARENT = Fault("parent event does not exist", "parent_not_found")


def conflict(resource: str, event: AuditEvent) -> Conflict:
    """Return the error of an event whose id is another event's."""
    detail = f"another event is stored under event_id {event.event_id}"
    return Conflict(detail, resource=resource, field="event_id", value=str(event.event_id))


def refused_row(refused: RowRefused, table: str) -> InvalidInput:
    """Return the error of what validation let pass and PostgreSQL never will.

    It would fail on every retry, so the client must know.
    """
    resource = "audit_event" if table == SINGLE else table
    if refused.reason == "foreign_key":
        return InvalidInput.of(resource, {"parent_event_id": UNKNOWN_PARENT})
    logger.error("PostgreSQL refused a validated event", extra={"sqlstate": refused.sqlstate})
    fault = Fault("the event has a value that cannot be stored", "database_constraint")
    return InvalidInput.of(resource, {"body": fault})
