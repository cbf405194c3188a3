"""What a client is told about an event that can never be stored as it is."""

import logging
from collections.abc import Sequence

from datastorage.audit.event import AuditEvent
from datastorage.audit.model import Written
from datastorage.errors import Conflict, Fault, InvalidInput, PartitionFailure, RowRefused

logger = logging.getLogger(__name__)

SINGLE, BATCH = "audit_events", "audit_events_batch"
"""The two ways to write, as the metrics call them."""

_UNKNOWN_PARENT = Fault("parent event does not exist", "parent_not_found")
_UNSTORABLE = Fault("the event has a value that cannot be stored", "database_constraint")


def require_written(event: AuditEvent, written: Written) -> None:
    """Refuse a single event that was not written.

    Raises:
        InvalidInput: its parent does not exist.
        Conflict: another event is stored under its id.
    """
    if written is Written.PARENT_MISSING:
        raise InvalidInput.of("audit_event", {"parent_event_id": _UNKNOWN_PARENT})
    if written is Written.CONFLICT:
        raise _conflict("audit_event", event)


def require_all_written(events: Sequence[AuditEvent], outcomes: Sequence[Written]) -> None:
    """Refuse a batch that was rolled back because of some of its events.

    Raises:
        InvalidInput: parents do not exist.
        Conflict: another event is stored, or comes earlier in the batch, under the id of one.
    """
    orphans = [index for index, outcome in enumerate(outcomes) if outcome is Written.PARENT_MISSING]
    if orphans:
        faults = {f"[{index}].parent_event_id": _UNKNOWN_PARENT for index in orphans}
        raise InvalidInput.of_items(BATCH, faults)
    if Written.CONFLICT in outcomes:
        raise _conflict(BATCH, events[outcomes.index(Written.CONFLICT)])


def _conflict(resource: str, event: AuditEvent) -> Conflict:
    detail = f"another event is stored under event_id {event.event_id}"
    return Conflict(detail, resource=resource, field="event_id", value=str(event.event_id))


def refused_row(refused: RowRefused, table: str) -> InvalidInput:
    """Return the error of a row that passed validation and is refused by PostgreSQL on every retry."""
    resource = "audit_event" if table == SINGLE else table
    if refused.reason == "foreign_key":
        return InvalidInput.of(resource, {"parent_event_id": _UNKNOWN_PARENT})
    log_refused(refused)
    return InvalidInput.of(resource, {"body": _UNSTORABLE})


def log_refused(refused: RowRefused) -> None:
    """Report a gap in our validation."""
    extra = {"sqlstate": refused.sqlstate, "constraint": refused.constraint}
    logger.error("PostgreSQL refused a validated event", extra=extra)


def month_at_fault(refused: RowRefused) -> PartitionFailure:
    """Return the error that blames the month for a duplicate key.

    The only unique key of the table never refuses a row, because of ``ON CONFLICT DO NOTHING``: the partition
    must have an index of its own.
    """
    return PartitionFailure(
        refused.detail,
        reason="partition_failed",
        sqlstate=refused.sqlstate,
        constraint=refused.constraint,
        server_message=refused.server_message,
    )
