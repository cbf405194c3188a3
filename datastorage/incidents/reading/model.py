"""What is asked about incidents, and what is found."""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec

from datastorage.incidents.representations import LISTED, View
from datastorage.platform.db.conditions import Condition
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.stretches import Stretch
from datastorage.platform.web.pages import Pagination
from datastorage.platform.web.shapes import meaning

Rows = Annotated[list[msgspec.Raw] | None, meaning("The incidents of this page.", of=LISTED)]
"""Incidents under one of their two names."""


class Envelope(StrEnum):
    """Under which name the rows of a page are sent."""

    BOTH = "both"
    DATA = "data"
    INCIDENTS = "incidents"


UNORDERED = frozenset({"incident_type", "workflow_id", "environment", "alert_name"})
"""Columns whose indexes do not give the order of a page.

For a frequent value the time index is walked until the page is full; for a rare one that would be the whole
table. So the plan is made for the value.
"""


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """What to look for: all conditions hold.

    ``fingerprint`` tells the cursors of one filter from those of another.
    """

    conditions: tuple[Condition, ...] = ()
    fingerprint: str = ""

    @property
    def depends_on_value(self) -> bool:
        """Whether the best plan depends on how often a value occurs."""
        return any(each.column.key in UNORDERED for each in self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A filter and how much of its result to return."""

    filter: IncidentFilter
    limit: int
    offset: int = 0
    after: Position[int] | None = None
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
    after: Position[int] | None = None
    view: View = View.SUMMARY


@dataclass(frozen=True, slots=True)
class FoundPage:
    """Incidents as JSON text, newest first, and how many match if that was counted."""

    rows: Stretch
    total: int | None = None


class IncidentPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page of incidents; `data` and `incidents` are the same rows."""

    data: Rows = None
    incidents: Rows = None
    total: Annotated[int | None, meaning("All matches; `null` when they were not counted.")]
    pagination: Annotated[Pagination, meaning("Where this page lies.")]


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident in full, as JSON text."""

    text: str
