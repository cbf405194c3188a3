"""What can become of an audit event that is written, and what is asked and answered about those stored."""

from datetime import datetime
from enum import Enum, auto
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec

from datastorage.audit.event import MEMBERS
from datastorage.platform.db.conditions import Condition, need_values
from datastorage.platform.db.keyset import Position
from datastorage.platform.records import Shown, meanings_of, shown_members
from datastorage.platform.web.pages import Pagination
from datastorage.platform.web.shapes import RowShape, meaning

MEANINGS = meanings_of(MEMBERS)

EXAMPLE: dict[str, Any] = {
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
"""An event as a client sends it."""

_STORED_EXAMPLE = EXAMPLE | {
    "event_id": "0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11",
    "event_timestamp": "2026-01-14T08:12:45.120934Z",
    "event_date": "2026-01-14",
    "received_at": "2026-01-14T08:12:45.136201Z",
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
        each.wire: _STORED_EXAMPLE.get(each.wire, "" if each.shown is Shown.BLANK else None)
        for each in shown_members(MEMBERS)
        if each.shown is not Shown.WHEN_SET
    },
)


class Written(Enum):
    """What the database did with one event."""

    CREATED = auto()
    IDENTICAL = auto()
    """The same event was already there."""
    CONFLICT = auto()
    """Another event was already there under this id."""
    PARENT_MISSING = auto()
    ROLLED_BACK = auto()
    """Nothing was wrong with it, but with another event of its batch."""


EventId = Annotated[UUID, meaning(MEANINGS["event_id"])]
EventTimestamp = Annotated[datetime, meaning(MEANINGS["event_timestamp"])]
EventIds = Annotated[list[UUID], meaning("Identities in the order of the request.")]
Message = Annotated[str, meaning("The outcome in words.")]
QueuedStatus = Annotated[str, meaning("Always `accepted`: kept in the queue until it is stored.")]


class Recorded(msgspec.Struct, frozen=True):
    """A stored event's identity."""

    example: ClassVar[dict[str, Any]] = {
        "event_id": "0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11",
        "event_timestamp": "2026-01-14T08:12:45.120934Z",
        "message": "Audit event created successfully",
    }

    event_id: EventId
    event_timestamp: EventTimestamp
    message: Message = "Audit event created successfully"


class AlreadyRecorded(Recorded, frozen=True):
    """The identity of an event that had been stored before, identical."""

    message: Message = "Audit event already exists"


class BatchRecorded(msgspec.Struct, frozen=True, omit_defaults=True):
    """The identities of a stored batch, in request order."""

    example: ClassVar[dict[str, Any]] = {
        "event_ids": ["6b1e6f7a-2f5d-4a53-9a35-8a4a1c1f0d01", "0c9dd0c8-7f64-4c55-8a57-0f1a6f5d7702"],
        "message": "2 audit events created successfully",
    }

    event_ids: EventIds
    message: Message
    duplicates: Annotated[int, meaning("Events that had been stored before; left out when 0.")] = 0


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A queued event's identity: the one it will be stored under."""

    status: QueuedStatus = "accepted"
    message: Message = "audit event queued for async processing"
    event_id: EventId
    event_timestamp: EventTimestamp


class BatchParked(msgspec.Struct, frozen=True, kw_only=True):
    """The identities of a queued batch, in request order."""

    status: QueuedStatus = "accepted"
    message: Message
    count: Annotated[int, meaning("Number of events.")]
    event_ids: EventIds


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for: all conditions hold, in this order, behind the last row of the page before."""

    conditions: tuple[Condition, ...] = ()
    ascending: bool = False
    after: Position[UUID] | None = None

    @property
    def needs_values(self) -> bool:
        """Whether a condition has to be planned with its actual value, as those on ``event_data`` have."""
        return need_values(self.conditions)

    @property
    def is_by_correlation(self) -> bool:
        """Whether it looks up the events of one remediation, which are few."""
        return "correlation_id" in [each.key for each in self.conditions]

    @property
    def is_planned_alike(self) -> bool:
        """Whether one plan suits all values.

        There is one index for events in their order, and one for those of a correlation id. Of a type, say,
        there may be millions or none, and the best index depends on which.
        """
        if self.is_by_correlation:
            return not self.needs_values
        return {"event_timestamp", "event_date"}.issuperset([each.column.key for each in self.conditions])


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A filter and how much of its result to return."""

    filter: AuditFilter
    limit: int
    offset: int = 0
    include_total: bool = True


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A filter whose result is streamed, at most ``limit`` rows, and a last line if ``tells_end``."""

    filter: AuditFilter
    limit: int
    tells_end: bool = False


class EventPage(msgspec.Struct, frozen=True):
    """One page of events."""

    example: ClassVar[dict[str, Any]] = {
        "data": [dict(STORED.example)],
        "pagination": {"limit": 50, "offset": 0, "total": 1, "has_more": False, "next_cursor": None},
    }

    data: Annotated[list[msgspec.Raw], meaning("The events of this page.", of=STORED)]
    pagination: Annotated[Pagination, meaning("Where this page lies.")]
