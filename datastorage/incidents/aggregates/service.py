"""What is made of counts: rates, breakdowns, and their worth (BR-STORAGE-030..034, -031-01..-05)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from datastorage.incidents.aggregates.model import (
    CountRequest,
    DataPoint,
    DayCount,
    Dimensions,
    IncidentTypeRate,
    IncidentTypeShare,
    LegacyRate,
    LegacyRateRequest,
    MultiDimensionalRate,
    NamespaceCount,
    NamespaceCounts,
    RateRequest,
    SeverityCount,
    SeverityCounts,
    Trend,
    TrendRequest,
    WorkflowRate,
    WorkflowShare,
    rate_members,
)
from datastorage.incidents.aggregates.rates import OutcomeCounts
from datastorage.incidents.aggregates.store import AggregateStore, Key
from datastorage.incidents.enumerations import SEVERITIES
from datastorage.platform.clock import Clock
from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.timing import timed_query

OPERATION = "aggregate"


class AggregateService:
    """Answers how many and how well. Every method raises a classified ``DatabaseError`` when it cannot.

    Args:
        store: counts.
        metrics: counts and durations of reads.
        clock: the now that a trend ends at.
    """

    def __init__(self, store: AggregateStore, metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock

    def rate_of_workflow_in_all_time(self, wanted: LegacyRateRequest) -> LegacyRate:
        """Return how often a workflow succeeded, as a fraction."""
        with timed_query(self._metrics, OPERATION):
            counts = self._store.count_workflow(wanted)
        return LegacyRate(
            wanted.workflow_id, counts.total, counts.succeeded, counts.failed, counts.success_fraction
        )

    def count_by_namespace(self, wanted: CountRequest) -> NamespaceCounts:
        """Return the incidents of each namespace, most first."""
        with timed_query(self._metrics, OPERATION):
            found = self._store.count_by_namespace(wanted.window)
        return NamespaceCounts(
            [
                NamespaceCount(
                    namespace, counts.total, counts.succeeded, counts.failed, counts.success_fraction
                )
                for namespace, counts in found
            ]
        )

    def count_by_severity(self, wanted: CountRequest) -> SeverityCounts:
        """Return the incidents of each severity that occurs, worst first."""
        with timed_query(self._metrics, OPERATION):
            counts = self._store.count_by_severity(wanted.window)
        return SeverityCounts(
            [SeverityCount(severity, counts[severity]) for severity in SEVERITIES if severity in counts]
        )

    def trend(self, wanted: TrendRequest) -> Trend:
        """Return the incidents of each day, oldest first."""
        now = self._clock()
        since = now - wanted.window
        with timed_query(self._metrics, OPERATION):
            counts = self._store.count_by_day(since)
        if wanted.is_filled:
            counts = fill_days(counts, since, now)
        return Trend(wanted.period, [DataPoint(each.day, each.count) for each in counts])

    def rate_of_incident_type(self, wanted: RateRequest) -> IncidentTypeRate:
        """Return how often incidents of one type were remediated, and by which workflows."""
        with timed_query(self._metrics, OPERATION):
            groups = self._store.count_by_workflow(wanted)
        shares = [
            WorkflowShare(str(key[0]), str(key[1]), *_share(counts)) for key, counts in largest_first(groups)
        ]
        members: dict[str, Any] = rate_members(wanted, OutcomeCounts.sum_of(groups.values()))
        return IncidentTypeRate(
            incident_type=wanted.dimension("incident_type"), breakdown_by_workflow=shares, **members
        )

    def rate_of_workflow(self, wanted: RateRequest) -> WorkflowRate:
        """Return how often a workflow succeeded, and at which types of incidents."""
        with timed_query(self._metrics, OPERATION):
            groups = self._store.count_by_incident_type(wanted)
        shares = [IncidentTypeShare(str(key[0]), *_share(counts)) for key, counts in largest_first(groups)]
        members: dict[str, Any] = rate_members(wanted, OutcomeCounts.sum_of(groups.values()))
        return WorkflowRate(
            workflow_id=wanted.dimension("workflow_id"),
            workflow_version=wanted.dimension("workflow_version"),
            breakdown_by_incident_type=shares,
            **members,
        )

    def rate_by_dimensions(self, wanted: RateRequest) -> MultiDimensionalRate:
        """Return how often actions succeeded that share every given dimension."""
        with timed_query(self._metrics, OPERATION):
            counts = self._store.count(wanted)
        dimensions = Dimensions(
            wanted.dimension("incident_type"),
            wanted.dimension("workflow_id"),
            wanted.dimension("workflow_version"),
            wanted.dimension("action_type"),
        )
        members: dict[str, Any] = rate_members(wanted, counts)
        return MultiDimensionalRate(dimensions=dimensions, **members)


def largest_first(groups: Mapping[Key, OutcomeCounts]) -> list[tuple[Key, OutcomeCounts]]:
    """Sort groups by size, equal ones by key; a group without a key is in the totals only."""
    named = [(key, counts) for key, counts in groups.items() if key[0]]
    return sorted(named, key=lambda group: (-group[1].total, group[0]))


def _share(counts: OutcomeCounts) -> tuple[int, float, float]:
    return counts.total, counts.success_fraction, counts.success_percent


def fill_days(counts: list[DayCount], since: datetime, now: datetime) -> list[DayCount]:
    """Add the days without incidents, from that of ``since`` to that of ``now``."""
    found = {each.day: each.count for each in counts}
    days = (now.date() - since.date()).days
    window = {since.date() + timedelta(days=number) for number in range(days + 1)}
    # Clocks differ: an incident may be dated tomorrow, a few minutes from now.
    return [DayCount(day, found.get(day, 0)) for day in sorted(window | found.keys())]
