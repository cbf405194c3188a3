"""The query parameters of counts and success rates."""

from dataclasses import replace
from datetime import timedelta

from datastorage.errors import Fault
from datastorage.incidents.aggregates.model import (
    CountRequest,
    LegacyRateRequest,
    RateRequest,
    TrendRequest,
)
from datastorage.incidents.parameters import INVALID, IncidentReader, choice
from datastorage.incidents.tables import resource_action_traces
from datastorage.incidents.trace import INT64_MAX
from datastorage.platform.web.grammar import WINDOW, integer, worded
from datastorage.platform.web.parameters import Parameter, Reading, equal_to

REQUIRED = Fault("is required", "required")
NO_DIMENSION = Fault(
    "is missing: at least one dimension filter is required (incident_type, workflow_id or action_type)",
    "required",
)
VERSION_ALONE = Fault("requires workflow_id")

DIMENSIONS = ("incident_type", "workflow_id", "action_type")
PERIODS = {"7d": timedelta(days=7), "30d": timedelta(days=30), "90d": timedelta(days=90)}
DEFAULT_PERIOD = "7d"
DEFAULT_TIME_RANGE = "7d"
DEFAULT_MIN_SAMPLES = 5

_c = resource_action_traces.c

_TIME_RANGE = Parameter(
    "time_range",
    "Only incidents of this last stretch of time, such as `24h` or `7d`; all time when left out.",
    WINDOW,
    slug=INVALID,
)
_RATE_TIME_RANGE = Parameter(
    "time_range",
    "Only executions of this last stretch of time, such as `24h` or `7d`.",
    WINDOW._replace(schema={**WINDOW.schema, "default": DEFAULT_TIME_RANGE}),
    default=PERIODS[DEFAULT_TIME_RANGE],
)
_MIN_SAMPLES = Parameter(
    "min_samples",
    "Executions that `min_samples_met` asks for.",
    worded(integer(1, INT64_MAX), f"must be a positive integer up to {INT64_MAX}"),
    default=DEFAULT_MIN_SAMPLES,
)
_INCIDENT_TYPE = Parameter("incident_type", "Type of the incidents.", finds=equal_to(_c.incident_type))
_WORKFLOW_ID = Parameter("workflow_id", "Workflow that was executed.", finds=equal_to(_c.workflow_id))
_WORKFLOW_VERSION = Parameter(
    "workflow_version",
    "One version of it; all of them when left out.",
    finds=equal_to(_c.workflow_version),
)
_ACTION_TYPE = Parameter("action_type", "Type of the actions.", finds=equal_to(_c.action_type))


class LegacyRateQuery(IncidentReader[LegacyRateRequest]):
    """The parameters of ``GET /api/v1/incidents/aggregate/success-rate``."""

    def __init__(self) -> None:
        super().__init__(
            replace(_WORKFLOW_ID, finds=(), missing=REQUIRED, missing_slug="missing-parameter"),
            _TIME_RANGE,
            make=lambda reading: LegacyRateRequest(
                reading.values["workflow_id"], reading.values["time_range"]
            ),
        )


class CountQuery(IncidentReader[CountRequest]):
    """The parameters of ``GET /api/v1/incidents/aggregate/by-namespace`` and ``by-severity``."""

    def __init__(self) -> None:
        super().__init__(_TIME_RANGE, make=lambda reading: CountRequest(reading.values["time_range"]))


class TrendQuery(IncidentReader[TrendRequest]):
    """The parameters of ``GET /api/v1/incidents/aggregate/trend``."""

    def __init__(self) -> None:
        super().__init__(
            Parameter(
                "period",
                "How far to look back.",
                choice(tuple(PERIODS)),
                default=DEFAULT_PERIOD,
                slug=INVALID,
            ),
            Parameter(
                "fill", "`zero` includes the days without incidents.", choice(("none", "zero")), slug=INVALID
            ),
            make=_trend,
        )


def _trend(reading: Reading) -> TrendRequest:
    period = reading.values["period"]
    return TrendRequest(period, PERIODS[period], reading.values["fill"] == "zero")


def _rate(reading: Reading) -> RateRequest:
    return RateRequest(
        conditions=reading.filter,
        time_range=reading.text("time_range") or DEFAULT_TIME_RANGE,
        window=reading.values["time_range"],
        min_samples=reading.values["min_samples"],
    )


class IncidentTypeRateQuery(IncidentReader[RateRequest]):
    """The parameters of ``GET /api/v1/success-rate/incident-type``."""

    def __init__(self) -> None:
        required = replace(_INCIDENT_TYPE, missing=REQUIRED)
        super().__init__(required, _RATE_TIME_RANGE, _MIN_SAMPLES, make=_rate)


class WorkflowRateQuery(IncidentReader[RateRequest]):
    """The parameters of ``GET /api/v1/success-rate/workflow``."""

    def __init__(self) -> None:
        required = replace(_WORKFLOW_ID, missing=REQUIRED)
        super().__init__(required, _RATE_TIME_RANGE, _MIN_SAMPLES, _WORKFLOW_VERSION, make=_rate)


class MultiDimensionalRateQuery(IncidentReader[RateRequest]):
    """The parameters of ``GET /api/v1/success-rate/multi-dimensional``."""

    title = "Invalid Query Parameter"

    def __init__(self) -> None:
        super().__init__(
            _INCIDENT_TYPE,
            _WORKFLOW_ID,
            _ACTION_TYPE,
            _RATE_TIME_RANGE,
            _MIN_SAMPLES,
            _WORKFLOW_VERSION,
            make=_rate,
            rules=(_compare_dimensions,),
        )


def _compare_dimensions(reading: Reading) -> None:
    """Refuse a request about everything, and a version of no workflow."""
    if not any(reading.text(name) for name in DIMENSIONS):
        for name in DIMENSIONS:
            reading.refuse(name, NO_DIMENSION)
    elif reading.text("workflow_version") and not reading.text("workflow_id"):
        reading.refuse("workflow_version", VERSION_ALONE)
