"""What an audit event is, and what can become of one that is written."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

import msgspec

DEFAULT_RETENTION_DAYS: Final = 2555
"""Seven years."""


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False, omit_defaults=True):
    """One normalised event: every default applied, identity fixed, ready to be stored as it is.

    ``event_data`` and ``event_metadata`` are compact JSON text. ``has_client_id`` tells whether the
    id came with the request, which makes the write idempotent. ``parent_date_hint`` only narrows the
    look-up of the parent. A frozen dataclass would take five times as long to make.
    """

    event_id: UUID
    event_version: str
    event_timestamp: datetime
    event_date: date
    event_type: str
    event_category: str
    event_action: str
    event_outcome: str
    actor_type: str
    actor_id: str
    resource_type: str
    resource_id: str
    correlation_id: str
    event_data: str
    severity: str
    retention_days: int
    is_sensitive: bool
    actor_ip: str | None = None
    resource_name: str | None = None
    parent_event_id: UUID | None = None
    trace_id: str | None = None
    span_id: str | None = None
    namespace: str | None = None
    cluster_name: str | None = None
    event_metadata: str | None = None
    duration_ms: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    parent_date_hint: date | None = None
    has_client_id: bool = False


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


class Recorded(msgspec.Struct, frozen=True):
    """The event is committed."""

    event_id: UUID
    event_timestamp: datetime
    message: str = "Audit event created successfully"


class AlreadyRecorded(msgspec.Struct, frozen=True):
    """The identical event had been committed before."""

    event_id: UUID
    event_timestamp: datetime
    message: str = "Audit event already exists"


class BatchRecorded(msgspec.Struct, frozen=True, omit_defaults=True):
    """Every event of the batch is committed; ``duplicates`` of them had been before."""

    event_ids: list[UUID]
    message: str
    duplicates: int = 0


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """The event is safe in the dead-letter queue and will be stored under this id."""

    status: str = "accepted"
    message: str = "audit event queued for async processing"
    event_id: UUID
    event_timestamp: datetime


class BatchParked(msgspec.Struct, frozen=True, kw_only=True):
    """Every event of the batch is safe in the dead-letter queue."""

    status: str = "accepted"
    message: str
    count: int
    event_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class PayloadMatch:
    """Text equality of one member of ``event_data``, addressed by path."""

    path: tuple[str, ...]
    value: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the last row's sort key."""

    event_timestamp: datetime
    event_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What to look for. ``equals`` maps column to value; the rest bounds, contains and orders."""

    equals: dict[str, Any] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    payload_matches: tuple[PayloadMatch, ...] = ()
    payload_contains: tuple[str, ...] = ()
    ascending: bool = False
    after: Position | None = None

    @property
    def looks_into_payload(self) -> bool:
        """Whether a condition on ``event_data`` has to be planned with its actual value."""
        return bool(self.payload_matches or self.payload_contains)

    @property
    def is_by_correlation(self) -> bool:
        """Whether it is a look-up of the events of one remediation, which are few."""
        return "correlation_id" in self.equals

    @property
    def is_planned_alike(self) -> bool:
        """Whether one plan suits all values.

        Events in their order, or those of one correlation id: there is one index for either. Of a type,
        say, there may be millions or none, and then another index is the right one.
        """
        return not self.looks_into_payload and (self.is_by_correlation or not self.equals)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A filter and how much of its result to return."""

    filter: AuditFilter
    limit: int
    offset: int = 0
    include_total: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """A filter whose result is streamed, at most ``limit`` rows."""

    filter: AuditFilter
    limit: int


class Pagination(msgspec.Struct, frozen=True):
    """Where the page lies in the result; ``total`` is absent when it was not asked for."""

    limit: int
    offset: int
    total: int | None
    has_more: bool
    next_cursor: str | None


class EventPage(msgspec.Struct, frozen=True):
    """One page of events as JSON, newest first unless asked otherwise."""

    data: list[msgspec.Raw]
    pagination: Pagination


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as reads return it, in JSON."""

    text: str


@dataclass(slots=True)
class EventExport:
    """Events read while they are sent; ``next_cursor`` is set when rows remain.

    ``chunks`` are some hundred events in JSON each, and a generator, to those who close it.
    """

    chunks: Any
    next_cursor: str | None
