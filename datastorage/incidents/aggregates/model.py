"""What is asked about many incidents at once, and what is found."""

from dataclasses import dataclass
from datetime import date, timedelta

import msgspec

from datastorage.incidents.aggregates.rates import Confidence, OutcomeCounts, confidence_of
from datastorage.platform.db.conditions import Condition, values


@dataclass(frozen=True, slots=True)
class LegacyRateRequest:
    """How often one workflow succeeded; in all time without a window."""

    workflow_id: str
    window: timedelta | None


@dataclass(frozen=True, slots=True)
class CountRequest:
    """Counts of all time, or of the window up to now."""

    window: timedelta | None


@dataclass(frozen=True, slots=True)
class TrendRequest:
    """Counts by day; ``is_filled`` includes the days without any."""

    period: str
    window: timedelta
    is_filled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRequest:
    """Which executions a success rate is about: conditions on its dimensions, and a stretch of time.

    ``time_range`` is the window as the client wrote it.
    """

    conditions: tuple[Condition, ...]
    time_range: str
    window: timedelta
    min_samples: int

    def dimension(self, name: str) -> str:
        """Return the value of a dimension, empty when it does not narrow the rate."""
        return str(values(self.conditions).get(name, ""))


@dataclass(frozen=True, slots=True)
class DayCount:
    """Incidents of one day in UTC."""

    day: date
    count: int


class LegacyRate(msgspec.Struct, frozen=True):
    """How often one workflow succeeded; `success_rate` is a fraction."""

    workflow_id: str
    total_count: int
    success_count: int
    failure_count: int
    success_rate: float


class NamespaceCount(msgspec.Struct, frozen=True):
    """Incidents of one namespace."""

    namespace: str
    count: int
    success_count: int
    failure_count: int
    success_rate: float


class NamespaceCounts(msgspec.Struct, frozen=True):
    """Incidents by namespace, most first."""

    aggregations: list[NamespaceCount]


class SeverityCount(msgspec.Struct, frozen=True):
    """Incidents of one severity."""

    severity: str
    count: int


class SeverityCounts(msgspec.Struct, frozen=True):
    """Incidents by severity, worst first."""

    aggregations: list[SeverityCount]


class DataPoint(msgspec.Struct, frozen=True):
    """Incidents of one day in UTC."""

    date: date
    count: int


class Trend(msgspec.Struct, frozen=True):
    """Incidents by day, oldest first."""

    period: str
    data_points: list[DataPoint]


class ExecutionMode(msgspec.Struct, frozen=True):
    """How the actions came about; an action may count twice."""

    catalog_selected: int
    chained: int
    manual_escalation: int

    @classmethod
    def of(cls, counts: OutcomeCounts) -> "ExecutionMode":
        """Take the counts of ``counts``."""
        return cls(counts.catalog_selected, counts.chained, counts.manual_escalation)


class WorkflowShare(msgspec.Struct, frozen=True):
    """What one version of a workflow contributes; `success_rate` is a fraction."""

    workflow_id: str
    workflow_version: str
    executions: int
    success_rate: float
    success_rate_percent: float


class IncidentTypeShare(msgspec.Struct, frozen=True):
    """What one type of incident contributes; `success_rate` is a fraction."""

    incident_type: str
    executions: int
    success_rate: float
    success_rate_percent: float


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """The members that every success rate has."""

    time_range: str
    total_executions: int
    successful_executions: int
    failed_executions: int
    success_rate: float
    confidence: Confidence
    min_samples_met: bool
    ai_execution_mode: ExecutionMode


class IncidentTypeRate(Rate, frozen=True, kw_only=True):
    """How often incidents of one type were remediated; `success_rate` is a percentage."""

    incident_type: str
    breakdown_by_workflow: list[WorkflowShare]


class WorkflowRate(Rate, frozen=True, kw_only=True):
    """How often one workflow succeeded; `success_rate` is a percentage."""

    workflow_id: str
    workflow_version: str
    breakdown_by_incident_type: list[IncidentTypeShare]


class Dimensions(msgspec.Struct, frozen=True):
    """What a rate is about; an absent dimension is empty."""

    incident_type: str
    workflow_id: str
    workflow_version: str
    action_type: str


class MultiDimensionalRate(Rate, frozen=True, kw_only=True):
    """How often actions succeeded that share every given dimension; `success_rate` is a percentage."""

    dimensions: Dimensions


def rate_members(wanted: RateRequest, counts: OutcomeCounts) -> dict[str, object]:
    """Return the members of ``Rate``."""
    return {
        "time_range": wanted.time_range,
        "total_executions": counts.total,
        "successful_executions": counts.succeeded,
        "failed_executions": counts.failed,
        "success_rate": counts.success_percent,
        "confidence": confidence_of(counts.total),
        "min_samples_met": counts.total >= wanted.min_samples,
        "ai_execution_mode": ExecutionMode.of(counts),
    }
