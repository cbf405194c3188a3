"""The query parameters of listing and exporting incidents."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy import ColumnElement, and_, or_

from datastorage.errors import Fault, InvalidInput
from datastorage.incidents.enumerations import EXECUTION_STATUSES, SEVERITIES
from datastorage.incidents.parameters import INVALID, IncidentReader, choice, number
from datastorage.incidents.reading import cursor
from datastorage.incidents.reading.model import Envelope, ExportRequest, IncidentFilter, PageRequest, View
from datastorage.incidents.tables import resource_action_traces
from datastorage.incidents.trace import INT64_MAX
from datastorage.platform.clock import Clock
from datastorage.platform.db.conditions import AT_LEAST, AT_MOST, Operator
from datastorage.platform.db.keyset import MAX_CURSOR_CHARACTERS, InvalidCursor
from datastorage.platform.web.fields import WITHOUT_NUL
from datastorage.platform.web.grammar import Grammar, exact_time
from datastorage.platform.web.literals import shown, strict_integer
from datastorage.platform.web.parameters import Find, Parameter, Reading, equal_to

T = TypeVar("T")

DEFAULT_PAGE_ROWS = 100
MAX_PAGE_ROWS = 1000
DEFAULT_EXPORT_ROWS = 100_000
MAX_EXPORT_ROWS = 1_000_000

UNUSABLE_CURSOR = Fault("must be a next_cursor of this request with the same filters")
REVERSED = Fault("must not be later than until")

_c = resource_action_traces.c


def _is_alert(alert_name: ColumnElement[str], value: ColumnElement[str]) -> ColumnElement[bool]:
    """Compare the name of the alert, of a signal without an alert its own."""
    return or_(alert_name == value, and_(alert_name.is_(None), _c.signal_name == value))


IS_ALERT = Operator("is the alert", _is_alert)


def _filters(clock: Clock) -> tuple[Parameter, ...]:
    time = exact_time(clock)
    return (
        Parameter(
            "severity",
            "Severity of the signal.",
            choice(SEVERITIES),
            finds=equal_to(_c.signal_severity),
            slug="invalid-severity",
        ),
        Parameter(
            "status",
            "State of the action.",
            choice(EXECUTION_STATUSES),
            finds=equal_to(_c.execution_status),
            slug="invalid-status",
        ),
        Parameter(
            "since",
            "Not older than this.",
            time,
            finds=(Find(_c.action_timestamp, AT_LEAST),),
            slug="invalid-time-range",
        ),
        Parameter(
            "until",
            "Not newer than this.",
            time,
            finds=(Find(_c.action_timestamp, AT_MOST),),
            slug="invalid-time-range",
        ),
        Parameter("namespace", "Namespace of the resource.", finds=equal_to(_c.namespace)),
        Parameter("signal_name", "Name of the signal.", finds=equal_to(_c.signal_name)),
        Parameter(
            "alert_name",
            "Name of the alert, or of the signal where there is no alert.",
            finds=(Find(_c.alert_name, IS_ALERT),),
        ),
        Parameter("cluster", "Name of the cluster.", finds=equal_to(_c.cluster_name)),
        Parameter("environment", "Environment of the resource.", finds=equal_to(_c.environment)),
        Parameter("action_type", "Type of the action.", finds=equal_to(_c.action_type)),
        Parameter("incident_type", "Type of the incident.", finds=equal_to(_c.incident_type)),
        Parameter("workflow_id", "Workflow that acted.", finds=equal_to(_c.workflow_id)),
        Parameter(
            "correlation_id", "Remediation that the action belongs to.", finds=equal_to(_c.correlation_id)
        ),
        Parameter("action_id", "Producer's id of the action.", finds=equal_to(_c.action_id)),
    )


_CURSOR = Parameter(
    "cursor",
    "`next_cursor` of the page before.",
    Grammar(str, {"type": "string", "maxLength": MAX_CURSOR_CHARACTERS, "pattern": WITHOUT_NUL}),
    slug="invalid-cursor",
)
_VIEW = Parameter(
    "view",
    "How much of an incident is shown.",
    choice(tuple(View)),
    default=View.SUMMARY.value,
    slug=INVALID,
)


class _FilterReader(IncidentReader[T]):
    """What listing and exporting have in common."""

    def __init__(self, *parameters: Parameter, make: Callable[[Reading], T]) -> None:
        super().__init__(*parameters, make=make, rules=(self._place, _compare_times))
        self._filters = [each.name for each in parameters if each.finds]

    def _place(self, reading: Reading) -> None:
        """Read the cursor, which goes on only where it was made: with the same filters."""
        sent = reading.values.get("cursor")
        if sent is not None:
            try:
                reading.values["cursor"] = cursor.position_of(sent, self.fingerprint(reading))
            except InvalidCursor:
                reading.refuse("cursor", UNUSABLE_CURSOR)

    def fingerprint(self, reading: Reading) -> str:
        """Return what tells the filters of a request from others."""
        return cursor.fingerprint({name: text for name in self._filters if (text := reading.text(name))})

    def filter_of(self, reading: Reading) -> IncidentFilter:
        """Return what to look for."""
        return IncidentFilter(reading.filter, self.fingerprint(reading))


def _compare_times(reading: Reading) -> None:
    since, until = reading.values.get("since"), reading.values.get("until")
    if since is not None and until is not None and since > until:
        reading.refuse("since", REVERSED)


class IncidentQuery(_FilterReader[PageRequest]):
    """The parameters of ``GET /api/v1/incidents``."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(
            Parameter(
                "limit",
                "Rows of the page.",
                number(1, MAX_PAGE_ROWS),
                default=DEFAULT_PAGE_ROWS,
                slug="invalid-limit",
            ),
            Parameter(
                "offset",
                "Rows to skip; ignored with a cursor.",
                number(0, INT64_MAX),
                default=0,
                slug="invalid-offset",
            ),
            _CURSOR,
            *_filters(clock),
            Parameter("count", "`none` leaves out the total.", choice(("exact", "none")), slug=INVALID),
            _VIEW,
            Parameter(
                "envelope",
                "Under which name the rows are sent.",
                choice(tuple(Envelope)),
                default=Envelope.BOTH.value,
                slug=INVALID,
            ),
            make=self._page,
        )

    def _page(self, reading: Reading) -> PageRequest:
        """Return the page wanted; with a cursor nothing is skipped, and counted only on request."""
        values = reading.values
        after = values["cursor"]
        return PageRequest(
            filter=self.filter_of(reading),
            limit=values["limit"],
            offset=0 if after else values["offset"],
            after=after,
            is_counted=(values["count"] or ("none" if after else "exact")) == "exact",
            view=View(values["view"]),
            envelope=Envelope(values["envelope"]),
        )


class IncidentExportQuery(_FilterReader[ExportRequest]):
    """The parameters of ``GET /api/v1/incidents/export``."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(
            _CURSOR,
            *_filters(clock),
            _VIEW,
            Parameter(
                "max_rows",
                "Rows to stream at most.",
                number(1, MAX_EXPORT_ROWS),
                default=DEFAULT_EXPORT_ROWS,
                slug=INVALID,
            ),
            make=self._stretch,
        )

    def _stretch(self, reading: Reading) -> ExportRequest:
        """Return the stretch of the result to stream."""
        values = reading.values
        return ExportRequest(
            filter=self.filter_of(reading),
            max_rows=values["max_rows"],
            after=values["cursor"],
            view=View(values["view"]),
        )


_ID = Parameter(
    "incident_id",
    "Id of the incident.",
    Grammar(strict_integer, {"type": "integer", "minimum": 1, "maximum": INT64_MAX}),
)


class IncidentIdPath:
    """The id in the path of one incident."""

    resource = "incident"
    aliases: Mapping[str, str] = {}
    glossary: Mapping[str, str] = {_ID.name: _ID.meaning}
    fields: Mapping[str, Parameter] = {_ID.name: _ID}

    def read(self, variables: Mapping[str, str]) -> int:
        """Return the id.

        Raises:
            InvalidInput: it is no integer of 64 bits above zero.
        """
        text = variables["incident_id"]
        found = strict_integer(text)
        if found is None or not 0 < found <= INT64_MAX:
            fault = Fault(f"must be an integer from 1 to {INT64_MAX}")
            raise InvalidInput(f"id {fault}; received '{shown(text)}'", {"id": fault}, slug="invalid-id")
        return found
