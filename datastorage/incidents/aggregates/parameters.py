"""The query parameters of counts and success rates."""

from dataclasses import replace
from datetime import timedelta

from datastorage.errors import Fault
from datastorage.incidents import grammar
from datastorage.incidents.aggregates.model import (
    LegacyRateRequest,
    NamespacesRequest,
    RateRequest,
    SeveritiesRequest,
    TrendRequest,
)
from datastorage.incidents.parameters import Judged, Parameter
from datastorage.incidents.reading.parameters import ParameterReader

REQUIRED = Fault("is required", "required")
NO_DIMENSION = Fault(
    "is missing: at least one dimension filter is required (incident_type, workflow_id or action_type)",
    "required",
)
VERSION_ALONE = Fault("requires workflow_id")

FIELD_NAMES = frozenset({"time_range", "min_samples", "period", "fill"})
"""Names that a metric may show, beside those of filters."""

UP_TO_3650 = "([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|36[0-4][0-9]|3650)"
UP_TO_87600 = "([1-9][0-9]{0,3}|[1-7][0-9]{4}|8[0-6][0-9]{3}|87[0-5][0-9]{2}|87600)"
"""As a pattern of the API document, which cannot say it in numbers; the grammar decides."""

PERIODS = {"7d": timedelta(days=7), "30d": timedelta(days=30), "90d": timedelta(days=90)}
DEFAULT_PERIOD = "7d"
DEFAULT_TIME_RANGE = "7d"
DEFAULT_MIN_SAMPLES = 5
RATE_FAULT = "validation-error"

_TIME_RANGE = Parameter(
    name="time_range",
    meaning="Only incidents of this last stretch of time, such as `24h` or `7d`; all time when left out.",
    judge=grammar.window,
    schema={"type": "string", "pattern": f"^0*({UP_TO_87600}h|{UP_TO_3650}d)$"},
)
_RATE_TIME_RANGE = replace(
    _TIME_RANGE,
    meaning="Only executions of this last stretch of time, such as `24h` or `7d`.",
    schema=_TIME_RANGE.openapi() | {"default": DEFAULT_TIME_RANGE},
    slug=RATE_FAULT,
    default=grammar.window(DEFAULT_TIME_RANGE),
)
_MIN_SAMPLES = Parameter(
    name="min_samples",
    meaning="Executions that `min_samples_met` asks for.",
    judge=grammar.positive_integer,
    schema={"type": "integer", "minimum": 1, "maximum": grammar.INT64_MAX, "default": DEFAULT_MIN_SAMPLES},
    slug=RATE_FAULT,
    default=DEFAULT_MIN_SAMPLES,
)


def _dimension(name: str, meaning: str, *, missing: Fault | None = None) -> Parameter:
    return Parameter(name=name, meaning=meaning, slug=RATE_FAULT, missing=missing)


_INCIDENT_TYPE = _dimension("incident_type", "Type of the incidents.")
_WORKFLOW_ID = _dimension("workflow_id", "Workflow that was executed.")
_WORKFLOW_VERSION = _dimension("workflow_version", "One version of it; all of them when left out.")
_ACTION_TYPE = _dimension("action_type", "Type of the actions.")


class LegacyRateQuery(ParameterReader):
    """The parameters of ``GET /api/v1/incidents/aggregate/success-rate``."""

    def __init__(self) -> None:
        super().__init__(
            replace(_WORKFLOW_ID, missing=REQUIRED, missing_slug="missing-parameter"), _TIME_RANGE
        )

    def make(self, judged: Judged) -> LegacyRateRequest:
        """Return which workflow it is about, and since when."""
        return LegacyRateRequest(judged.values["workflow_id"], judged.values["time_range"])


class NamespacesQuery(ParameterReader):
    """The parameters of ``GET /api/v1/incidents/aggregate/by-namespace``."""

    def __init__(self) -> None:
        super().__init__(_TIME_RANGE)

    def make(self, judged: Judged) -> NamespacesRequest:
        """Return since when to count."""
        return NamespacesRequest(judged.values["time_range"])


class SeveritiesQuery(ParameterReader):
    """The parameters of ``GET /api/v1/incidents/aggregate/by-severity``."""

    def __init__(self) -> None:
        super().__init__(_TIME_RANGE)

    def make(self, judged: Judged) -> SeveritiesRequest:
        """Return since when to count."""
        return SeveritiesRequest(judged.values["time_range"])


class TrendQuery(ParameterReader):
    """The parameters of ``GET /api/v1/incidents/aggregate/trend``."""

    def __init__(self) -> None:
        super().__init__(
            Parameter(
                name="period",
                meaning="How far to look back.",
                judge=grammar.one_of(tuple(PERIODS)),
                schema={"type": "string", "enum": list(PERIODS), "default": DEFAULT_PERIOD},
                default=DEFAULT_PERIOD,
            ),
            Parameter(
                name="fill",
                meaning="`zero` includes the days without incidents.",
                judge=grammar.one_of(("none", "zero")),
                schema={"type": "string", "enum": ["none", "zero"]},
            ),
        )

    def make(self, judged: Judged) -> TrendRequest:
        """Return how far to look back, and whether to fill the gaps."""
        period = judged.values["period"]
        return TrendRequest(period, PERIODS[period], judged.values["fill"] == "zero")


class _RateQuery(ParameterReader):
    """What the success rates have in common."""

    def make(self, judged: Judged) -> RateRequest:
        """Return which executions the rate is about."""
        values = judged.values
        return RateRequest(
            incident_type=values.get("incident_type"),
            workflow_id=values.get("workflow_id"),
            workflow_version=values.get("workflow_version"),
            action_type=values.get("action_type"),
            time_range=judged.sent.get("time_range") or DEFAULT_TIME_RANGE,
            window=values["time_range"],
            min_samples=values["min_samples"],
        )


class IncidentTypeRateQuery(_RateQuery):
    """The parameters of ``GET /api/v1/success-rate/incident-type``."""

    def __init__(self) -> None:
        super().__init__(replace(_INCIDENT_TYPE, missing=REQUIRED), _RATE_TIME_RANGE, _MIN_SAMPLES)


class WorkflowRateQuery(_RateQuery):
    """The parameters of ``GET /api/v1/success-rate/workflow``."""

    def __init__(self) -> None:
        required = replace(_WORKFLOW_ID, missing=REQUIRED)
        super().__init__(required, _RATE_TIME_RANGE, _MIN_SAMPLES, _WORKFLOW_VERSION)


class MultiDimensionalRateQuery(_RateQuery):
    """The parameters of ``GET /api/v1/success-rate/multi-dimensional``."""

    title = "Invalid Query Parameter"

    def __init__(self) -> None:
        super().__init__(
            _INCIDENT_TYPE, _WORKFLOW_ID, _ACTION_TYPE, _RATE_TIME_RANGE, _MIN_SAMPLES, _WORKFLOW_VERSION
        )

    def compare(self, judged: Judged) -> None:
        """Refuse a request about everything, and a version of no workflow."""
        sent = judged.sent
        if not (sent.get("incident_type") or sent.get("workflow_id") or sent.get("action_type")):
            for name in ("incident_type", "workflow_id", "action_type"):
                judged.refuse(name, NO_DIMENSION)
        elif sent.get("workflow_version") and not sent.get("workflow_id"):
            judged.refuse("workflow_version", VERSION_ALONE)
