"""The query parameters of listing and exporting incidents."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from datastorage.errors import Fault, InvalidInput
from datastorage.incidents import grammar
from datastorage.incidents.enumerations import EXECUTION_STATUSES, SEVERITIES
from datastorage.incidents.parameters import INVALID, Judged, Parameter, judge, raise_first, refuse_unknown
from datastorage.incidents.reading import cursor
from datastorage.incidents.reading.model import (
    Envelope,
    ExportRequest,
    IncidentFilter,
    PageRequest,
    Position,
    View,
)
from datastorage.platform.clock import Clock
from datastorage.platform.db.keyset import MAX_CURSOR_CHARACTERS, InvalidCursor
from datastorage.platform.web.fields import WITHOUT_NUL
from datastorage.platform.web.literals import shown, strict_integer
from datastorage.platform.web.sent import Sent

DEFAULT_PAGE_ROWS = 100
MAX_PAGE_ROWS = 1000
DEFAULT_EXPORT_ROWS = 100_000
MAX_EXPORT_ROWS = 1_000_000

COLUMN_OF = {
    "namespace": "namespace",
    "signal_name": "signal_name",
    "severity": "signal_severity",
    "cluster": "cluster_name",
    "environment": "environment",
    "action_type": "action_type",
    "status": "execution_status",
    "incident_type": "incident_type",
    "workflow_id": "workflow_id",
    "correlation_id": "correlation_id",
    "action_id": "action_id",
}
"""Parameters that are compared with one column."""

FILTERS = (*COLUMN_OF, "alert_name", "since", "until")
TEXTS = {
    "namespace": "Namespace of the resource.",
    "signal_name": "Name of the signal.",
    "alert_name": "Name of the alert, or of the signal where there is no alert.",
    "cluster": "Name of the cluster.",
    "environment": "Environment of the resource.",
    "action_type": "Type of the action.",
    "incident_type": "Type of the incident.",
    "workflow_id": "Workflow that acted.",
    "correlation_id": "Remediation that the action belongs to.",
    "action_id": "Producer's id of the action.",
}

FIELD_NAMES = frozenset(
    {*FILTERS, "limit", "offset", "cursor", "count", "view", "envelope", "max_rows", "id"}
)
"""Names that a metric may show."""

UNUSABLE_CURSOR = Fault("must be a next_cursor of this request with the same filters")
REVERSED = Fault("must not be later than until")


class ParameterReader(ABC):
    """Reads the parameters of one endpoint; with ``Prefer: handling=strict`` unknown names are refused.

    ``fields``, ``aliases`` and ``glossary`` are for the API document.
    """

    resource = "query parameters"
    encoding_slug = INVALID
    title: str | None = None
    aliases: Mapping[str, str] = {}

    def __init__(self, *declared: Parameter) -> None:
        self._declared = declared
        self.fields = {parameter.name: parameter for parameter in declared}
        self.glossary = {parameter.name: parameter.meaning for parameter in declared}

    def read(self, sent: Sent) -> Any:
        """Return what ``make`` makes of the values.

        Raises:
            InvalidInput: naming every bad parameter, with the slug of the first.
        """
        judged = judge(self._declared, sent.texts)
        self.compare(judged)
        if sent.prefers_strict:
            refuse_unknown(self._declared, judged)
        raise_first(self._declared, judged, title=self.title)
        return self.make(judged)

    def compare(self, judged: Judged) -> None:  # noqa: B027 - most have nothing to compare
        """Add the faults that show only when parameters are seen together."""

    @abstractmethod
    def make(self, judged: Judged) -> Any:
        """Return the request that the values describe."""


class _FilterReader(ParameterReader):
    """What listing and exporting have in common: filters, time bounds and a cursor."""

    def compare(self, judged: Judged) -> None:
        """Refuse a cursor of other filters, and bounds that are in the wrong order."""
        sent_cursor = judged.values.get("cursor")
        if sent_cursor is not None:
            try:
                judged.values["cursor"] = cursor.position_of(sent_cursor, _fingerprint(judged))
            except InvalidCursor:
                judged.refuse("cursor", UNUSABLE_CURSOR)
        since, until = judged.values.get("since"), judged.values.get("until")
        if since is not None and until is not None and since > until:
            judged.refuse("since", REVERSED)


def _fingerprint(judged: Judged) -> str:
    return cursor.fingerprint({name: judged.sent[name] for name in FILTERS if judged.sent.get(name)})


def _filter(judged: Judged) -> IncidentFilter:
    values = judged.values
    return IncidentFilter(
        equals={column: values[name] for name, column in COLUMN_OF.items() if values[name] is not None},
        alert_name=values["alert_name"],
        since=values["since"],
        until=values["until"],
        fingerprint=_fingerprint(judged),
    )


class IncidentQuery(_FilterReader):
    """The parameters of ``GET /api/v1/incidents``."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(
            _integer("limit", "Rows of the page.", 1, MAX_PAGE_ROWS, DEFAULT_PAGE_ROWS),
            _integer("offset", "Rows to skip; ignored with a cursor.", 0, grammar.INT64_MAX, 0),
            _CURSOR,
            *_filters(clock),
            _choice("count", "`none` leaves out the total.", ("exact", "none")),
            _choice("view", "How much of an incident is shown.", tuple(View)),
            _choice("envelope", "Under which name the rows are sent.", tuple(Envelope)),
        )

    def make(self, judged: Judged) -> PageRequest:
        """Return the page wanted; with a cursor nothing is skipped, and counted only on request."""
        values = judged.values
        after: Position | None = values["cursor"]
        return PageRequest(
            filter=_filter(judged),
            limit=values["limit"],
            offset=0 if after else values["offset"],
            after=after,
            is_counted=(values["count"] or ("none" if after else "exact")) == "exact",
            view=View(values["view"] or View.SUMMARY),
            envelope=Envelope(values["envelope"] or Envelope.BOTH),
        )


class IncidentExportQuery(_FilterReader):
    """The parameters of ``GET /api/v1/incidents/export``."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(
            _CURSOR,
            *_filters(clock),
            _choice("view", "How much of an incident is shown.", tuple(View)),
            _integer(
                "max_rows", "Rows to stream at most.", 1, MAX_EXPORT_ROWS, DEFAULT_EXPORT_ROWS, slug=INVALID
            ),
        )

    def make(self, judged: Judged) -> ExportRequest:
        """Return the stretch of the result to stream."""
        values = judged.values
        return ExportRequest(
            filter=_filter(judged),
            max_rows=values["max_rows"],
            after=values["cursor"],
            view=View(values["view"] or View.SUMMARY),
        )


class IncidentIdPath:
    """The id in the path of one incident."""

    resource = "incident"
    aliases: Mapping[str, str] = {}
    glossary: Mapping[str, str] = {"incident_id": "Id of the incident."}
    fields: Mapping[str, Parameter]

    def __init__(self) -> None:
        schema = {"type": "integer", "minimum": 1, "maximum": grammar.INT64_MAX}
        self.fields = {"incident_id": Parameter(name="incident_id", meaning="", schema=schema)}

    def read(self, variables: Mapping[str, str]) -> int:
        """Return the id.

        Raises:
            InvalidInput: it is no integer of 64 bits above zero.
        """
        text = variables["incident_id"]
        number = strict_integer(text)
        if number is None or not 0 < number <= grammar.INT64_MAX:
            fault = Fault(f"must be an integer from 1 to {grammar.INT64_MAX}")
            raise InvalidInput(f"id {fault}; received '{shown(text)}'", {"id": fault}, slug="invalid-id")
        return number


_CURSOR = Parameter(
    name="cursor",
    meaning="`next_cursor` of the page before.",
    schema={"type": "string", "maxLength": MAX_CURSOR_CHARACTERS, "pattern": WITHOUT_NUL},
    slug="invalid-cursor",
)


def _filters(clock: Clock) -> tuple[Parameter, ...]:
    severity = _choice("severity", "Severity of the signal.", SEVERITIES, slug="invalid-severity")
    status = _choice("status", "State of the action.", EXECUTION_STATUSES, slug="invalid-status")
    texts = (Parameter(name=name, meaning=meaning) for name, meaning in TEXTS.items())
    since, until = (
        Parameter(
            name=name,
            meaning=meaning,
            judge=grammar.instant(clock),
            schema={
                "type": "string",
                "anyOf": [{"format": "date-time"}, {"format": "date"}, {"pattern": grammar.AGO_PATTERN}],
                "examples": ["24h", "2026-11-20T10:15:00Z", "2026-11-20"],
            },
            slug="invalid-time-range",
        )
        for name, meaning in (("since", "Not older than this."), ("until", "Not newer than this."))
    )
    return severity, status, since, until, *texts


def _integer(  # noqa: PLR0913 - one declaration, and its parts have no other use
    name: str, meaning: str, minimum: int, maximum: int, default: int, *, slug: str | None = None
) -> Parameter:
    return Parameter(
        name=name,
        meaning=meaning,
        judge=grammar.integer_from(minimum, maximum),
        schema={"type": "integer", "minimum": minimum, "maximum": maximum, "default": default},
        slug=slug or f"invalid-{name}",
        default=default,
    )


def _choice(name: str, meaning: str, choices: tuple[str, ...], *, slug: str = INVALID) -> Parameter:
    return Parameter(
        name=name,
        meaning=meaning,
        judge=grammar.one_of(choices),
        schema={"type": "string", "enum": list(choices)},
        slug=slug,
    )
