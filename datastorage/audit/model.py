"""What can become of an audit event that is written, and what is asked and answered about those stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

import msgspec

from datastorage.platform.db.conditions import Condition, need_values
from datastorage.platform.db.keyset import Position


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


_SORT_KEY = frozenset({"event_timestamp", "event_date"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
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
        """Whether it is a look-up of the events of one remediation, which are few."""
        return any(each.key == "correlation_id" for each in self.conditions)

    @property
    def is_planned_alike(self) -> bool:
        """Whether one plan suits all values.

        Events in their order, or those of one correlation id: there is one index for either. Of a type,
        say, there may be millions or none, and then another index is the right one.
        """
        if self.is_by_correlation:
            return not self.needs_values
        return all(each.column.key in _SORT_KEY for each in self.conditions)


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
