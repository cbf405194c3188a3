"""What is asked about incidents, and what is found."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec


class View(StrEnum):
    """How much of an incident is shown."""

    SUMMARY = "summary"
    FULL = "full"


class Envelope(StrEnum):
    """Under which name the rows of a page are sent."""

    BOTH = "both"
    DATA = "data"
    INCIDENTS = "incidents"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """What to look for; everything given has to hold.

    ``equals`` maps columns to values. ``alert_name`` also finds signals that have no alert of their own.
    ``fingerprint`` tells the cursors of one filter from those of another.
    """

    equals: Mapping[str, str] = field(default_factory=dict)
    alert_name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    fingerprint: str = ""

    @property
    def depends_on_value(self) -> bool:
        """Whether the best plan depends on how often a value occurs.

        The indexes of these columns do not give the order of a page. For a frequent value the time index
        is walked until the page is full, for a rare one that would be the whole table.
        """
        columns = {"incident_type", "workflow_id", "environment"}
        return self.alert_name is not None or bool(columns & self.equals.keys())

    @property
    def key(self) -> Hashable:
        """What filters that select the same rows have in common."""
        return frozenset(self.equals.items()), self.alert_name, self.since, self.until


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the sort key of its last row."""

    action_timestamp: datetime
    incident_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A filter and how much of its result to return."""

    filter: IncidentFilter
    limit: int
    offset: int = 0
    after: Position | None = None
    is_counted: bool = True
    view: View = View.SUMMARY
    envelope: Envelope = Envelope.BOTH

    @property
    def place(self) -> Hashable:
        """What requests have in common that want the same stretch of a filter's result."""
        return self.limit, self.offset, self.after, self.view


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """A filter whose result is streamed, at most ``max_rows`` of it."""

    filter: IncidentFilter
    max_rows: int
    after: Position | None = None
    view: View = View.SUMMARY


@dataclass(frozen=True, slots=True)
class FoundRows:
    """Incidents as JSON text, newest first, and how many match if that was counted."""

    rows: list[str]
    total: int | None = None


class Pagination(msgspec.Struct, frozen=True):
    """Where the page lies in the result; ``total`` is ``None`` when it was not counted."""

    limit: int
    offset: int
    total: int | None
    has_more: bool
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """One page of incidents: ``rows`` is a JSON array, and how the client wants it named."""

    rows: bytes
    envelope: Envelope
    pagination: Pagination
    count: int


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident in full, as JSON text."""

    text: str
