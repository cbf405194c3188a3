"""Which months should have a partition. Pure: no database, no clock.

Late events need the previous month even right after an installation, and earlier ones if
``limits.max_event_age`` reaches further back.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

_MONTHS_PER_YEAR = 12


@dataclass(frozen=True, order=True, slots=True)
class Month:
    """A calendar month in UTC; ``str`` gives ``YYYY_MM``, as in metrics and partition names."""

    year: int
    month: int

    @classmethod
    def of(cls, day: date) -> Self:
        """Return the month of a date, or of an aware instant seen from UTC."""
        if isinstance(day, datetime):
            day = day.astimezone(UTC)
        return cls(day.year, day.month)

    @property
    def first_day(self) -> date:
        """The first day, which is the lower bound of the partition."""
        return date(self.year, self.month, 1)

    def next(self) -> "Month":
        """Return the month after this one."""
        return self.moved(1)

    def previous(self) -> "Month":
        """Return the month before this one."""
        return self.moved(-1)

    def moved(self, months: int) -> "Month":
        """Return the month so many months later."""
        year, index = divmod(self.year * _MONTHS_PER_YEAR + self.month - 1 + months, _MONTHS_PER_YEAR)
        return Month(year, index + 1)

    def __str__(self) -> str:
        return f"{self.year:04}_{self.month:02}"


FIRST_MONTH = Month(2000, 1)
"""The database function refuses earlier months."""


@dataclass(frozen=True, slots=True)
class PartitionedTable:
    """A table with one partition per month, and how the month is read from a partition's name.

    ``default_partition`` takes the rows whose month has none, where such rows are not refused.
    """

    name: str
    month_suffix: re.Pattern[str]
    default_partition: str | None = None

    def month_of(self, partition: str) -> Month | None:
        """Return the month of a partition by its name, ``None`` for the name of anything else."""
        match = self.month_suffix.fullmatch(partition.removeprefix(self.name))
        if match is None or not partition.startswith(self.name):
            return None
        return Month(int(match["year"]), int(match["month"]))

    def has(self, partition: str) -> bool:
        """Tell by its name whether a table is a partition of this one."""
        return partition == self.default_partition or self.month_of(partition) is not None


AUDIT_EVENTS = PartitionedTable("audit_events", re.compile(r"_(?P<year>\d{4})_(?P<month>0[1-9]|1[0-2])"))
RESOURCE_ACTION_TRACES = PartitionedTable(
    "resource_action_traces",
    re.compile(r"_y(?P<year>\d{4})m(?P<month>0[1-9]|1[0-2])"),
    default_partition="resource_action_traces_default",
)

PARTITIONED_TABLES = (AUDIT_EVENTS, RESOURCE_ACTION_TRACES)
"""The tables that ``ensure_month_partition()`` knows."""


def months_needed(now: datetime, months_ahead: int, max_event_age: timedelta | None) -> list[Month]:
    """Return the months that must be ready at ``now``, oldest first.

    ``max_event_age`` is the age of the oldest event still accepted. Where any age is (``None``), nobody can
    say which months will be needed, and only the previous one is kept ready.
    """
    current = Month.of(now)
    oldest = current.previous()
    if max_event_age is not None:
        oldest = max(min(oldest, Month.of(now - max_event_age)), FIRST_MONTH)
    needed = [oldest]
    while needed[-1] < current.moved(months_ahead):
        needed.append(needed[-1].next())
    return needed


def months_covered_ahead(existing: Collection[Month], current: Month) -> int:
    """Count the months after ``current`` that exist, up to the first gap."""
    covered = 0
    while (current := current.next()) in existing:
        covered += 1
    return covered
