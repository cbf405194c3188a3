"""What a client is told about an event that can never be stored as it is."""

import logging
from collections.abc import Sequence

from datastorage.audit.event import AuditEvent
from datastorage.audit.model import Written
from datastorage.errors import Conflict, Fault, InvalidInput, PartitionFailure, RowRefused

logger = logging.getLogger(__name__)

SINGLE, BATCH = "audit_events", "audit_events_batch"
"""The two ways to write, as the metrics call them."""

_RESOURCES = {SINGLE: "audit_event", BATCH: "audit_events_batch"}
_UNKNOWN_PARENT = Fault("parent event does not exist", "parent_not_found")
_UNSTORABLE = Fault("the event has a value that cannot be stored", "database_constraint")


def require_written(table: str, events: Sequence[AuditEvent], outcomes: Sequence[Written]) -> None:
    """Refuse a write of which some events could not be stored.

    Raises:
        InvalidInput: parents do not exist.
        Conflict: another event is stored, or comes earlier in the batch, under the id of one.
    """
    orphans = [index for index, outcome in enumerate(outcomes) if outcome is Written.PARENT_MISSING]
    if orphans and table == BATCH:
        faults = {f"[{index}].parent_event_id": _UNKNOWN_PARENT for index in orphans}
        raise InvalidInput.of_items(_RESOURCES[table], faults)
    if orphans:
        raise InvalidInput.of(_RESOURCES[table], {"parent_event_id": _UNKNOWN_PARENT})
    if Written.CONFLICT in outcomes:
        event_id = str(events[outcomes.index(Written.CONFLICT)].event_id)
        detail = f"another event is stored under event_id {event_id}"
        raise Conflict(detail, resource=_RESOURCES[table], field="event_id", value=event_id)


def refused_row(refused: RowRefused, table: str) -> InvalidInput:
    """Return the error of a row that passed validation and is refused by PostgreSQL on every retry."""
    if refused.reason == "foreign_key":
        return InvalidInput.of(_RESOURCES[table], {"parent_event_id": _UNKNOWN_PARENT})
    log_refused(refused)
    return InvalidInput.of(_RESOURCES[table], {"body": _UNSTORABLE})


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
