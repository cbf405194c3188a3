"""Incidents counted: by workflow, namespace, severity and day."""

from datastorage.incidents.aggregates.model import (
    LegacyRate,
    LegacyRateRequest,
    NamespaceCounts,
    NamespacesRequest,
    SeveritiesRequest,
    SeverityCounts,
    Trend,
    TrendRequest,
)
from datastorage.incidents.aggregates.parameters import (
    LegacyRateQuery,
    NamespacesQuery,
    SeveritiesQuery,
    TrendQuery,
)
from datastorage.incidents.aggregates.service import AggregateService
from datastorage.incidents.answers import (
    LegacyRateSchema,
    NamespaceCountsSchema,
    SeverityCountsSchema,
    TrendSchema,
)
from datastorage.incidents.blueprints import INCIDENTS, READ_PROBLEMS
from datastorage.platform.web.contract import Answer, accepts_query, returns
from datastorage.platform.web.current import current

SUCCESSOR = {"Link": '</api/v1/success-rate/workflow>; rel="successor-version"'}


def _successor(_rate: LegacyRate) -> dict[str, str]:
    return SUCCESSOR


@INCIDENTS.get("/aggregate/success-rate")
@returns(
    Answer(
        LegacyRate,
        200,
        LegacyRateSchema,
        "The outcomes of the workflow.",
        headers=_successor,
        announces=("Link",),
    ),
    problems=(*READ_PROBLEMS, "missing-parameter"),
)
@accepts_query(LegacyRateQuery)
def get_success_rate(wanted: LegacyRateRequest) -> LegacyRate:
    """Tell how often one workflow succeeded, as a fraction."""
    return current(AggregateService).rate_of_workflow_in_all_time(wanted)


@INCIDENTS.get("/aggregate/by-namespace")
@returns(
    Answer(NamespaceCounts, 200, NamespaceCountsSchema, "The counts, most first."), problems=READ_PROBLEMS
)
@accepts_query(NamespacesQuery)
def count_by_namespace(wanted: NamespacesRequest) -> NamespaceCounts:
    """Count incidents by namespace."""
    return current(AggregateService).count_by_namespace(wanted)


@INCIDENTS.get("/aggregate/by-severity")
@returns(
    Answer(SeverityCounts, 200, SeverityCountsSchema, "The counts, worst first."), problems=READ_PROBLEMS
)
@accepts_query(SeveritiesQuery)
def count_by_severity(wanted: SeveritiesRequest) -> SeverityCounts:
    """Count incidents by severity."""
    return current(AggregateService).count_by_severity(wanted)


@INCIDENTS.get("/aggregate/trend")
@returns(Answer(Trend, 200, TrendSchema, "The counts, oldest day first."), problems=READ_PROBLEMS)
@accepts_query(TrendQuery)
def get_trend(wanted: TrendRequest) -> Trend:
    """Count incidents by day."""
    return current(AggregateService).trend(wanted)
