"""Incidents counted: by workflow, namespace, severity and day."""

from datastorage.incidents.aggregates.model import (
    CountRequest,
    LegacyRate,
    LegacyRateRequest,
    NamespaceCounts,
    SeverityCounts,
    Trend,
    TrendRequest,
)
from datastorage.incidents.aggregates.parameters import (
    CountQuery,
    LegacyRateQuery,
    TrendQuery,
)
from datastorage.incidents.aggregates.service import AggregateService
from datastorage.incidents.blueprints import INCIDENTS, READ_PROBLEMS
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation

SUCCESSOR = {"Link": '</api/v1/success-rate/workflow>; rel="successor-version"'}


def _successor(_rate: LegacyRate) -> dict[str, str]:
    return SUCCESSOR


@INCIDENTS.get("/aggregate/success-rate")
@operation(
    Permission.READ,
    query=LegacyRateQuery,
    answers=(
        Answer(
            LegacyRate,
            200,
            LegacyRate,
            "The outcomes of the workflow.",
            headers=_successor,
            announces=("Link",),
        ),
    ),
    problems=(*READ_PROBLEMS, "missing-parameter"),
)
def get_success_rate(wanted: LegacyRateRequest) -> LegacyRate:
    """Tell how often one workflow succeeded, as a fraction."""
    return current(AggregateService).rate_of_workflow_in_all_time(wanted)


@INCIDENTS.get("/aggregate/by-namespace")
@operation(
    Permission.READ,
    query=CountQuery,
    answers=(Answer(NamespaceCounts, 200, NamespaceCounts, "The counts, most first."),),
    problems=READ_PROBLEMS,
)
def count_by_namespace(wanted: CountRequest) -> NamespaceCounts:
    """Count incidents by namespace."""
    return current(AggregateService).count_by_namespace(wanted)


@INCIDENTS.get("/aggregate/by-severity")
@operation(
    Permission.READ,
    query=CountQuery,
    answers=(Answer(SeverityCounts, 200, SeverityCounts, "The counts, worst first."),),
    problems=READ_PROBLEMS,
)
def count_by_severity(wanted: CountRequest) -> SeverityCounts:
    """Count incidents by severity."""
    return current(AggregateService).count_by_severity(wanted)


@INCIDENTS.get("/aggregate/trend")
@operation(
    Permission.READ,
    query=TrendQuery,
    answers=(Answer(Trend, 200, Trend, "The counts, oldest day first."),),
    problems=READ_PROBLEMS,
)
def get_trend(wanted: TrendRequest) -> Trend:
    """Count incidents by day."""
    return current(AggregateService).trend(wanted)
