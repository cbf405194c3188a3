"""What a client is told about an event that can never be stored as it is."""

import logging

from datastorage.audit.event import AuditEvent
from datastorage.errors import Conflict, Fault, InvalidInput, PartitionFailure, RowRefused

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
    log_refused(refused)
    fault = Fault("the event has a value that cannot be stored", "database_constraint")
    return InvalidInput.of(resource, {"body": fault})


def log_refused(refused: RowRefused) -> None:
    """Say that validation let pass what PostgreSQL never will."""
    extra = {"sqlstate": refused.sqlstate, "constraint": refused.constraint}
    logger.error("PostgreSQL refused a validated event", extra=extra)


def month_at_fault(refused: RowRefused) -> PartitionFailure:
    """Return the error that blames the month for a duplicate key.

    Our only unique key never refuses a row, see ``queries.insert_sent_rows``: somebody gave the partition
    an index that the table does not have.
    """
    return PartitionFailure(
        refused.detail,
        reason="partition_failed",
        sqlstate=refused.sqlstate,
        constraint=refused.constraint,
        server_message=refused.server_message,
    )
