"""The query parameters of listing and exporting incidents."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, and_, or_

from datastorage.errors import Fault, InvalidInput
from datastorage.incidents.enumerations import EXECUTION_STATUSES, SEVERITIES
from datastorage.incidents.parameters import INVALID, IncidentReader, choice, number
from datastorage.incidents.reading import cursor
from datastorage.incidents.reading.model import Envelope, ExportRequest, IncidentFilter, PageRequest
from datastorage.incidents.representations import View
from datastorage.incidents.tables import resource_action_traces
from datastorage.incidents.trace import INT64_MAX, MEMBERS
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

MEANINGS = {each.name: each.meaning for each in MEMBERS}


def _is_alert(alert_name: ColumnElement[str], value: ColumnElement[str]) -> ColumnElement[bool]:
    """Compare the name of the alert, of a signal without an alert its own."""
    return or_(alert_name == value, and_(alert_name.is_(None), _c.signal_name == value))


IS_ALERT = Operator("is the alert", _is_alert)


def _filters(clock: Clock) -> tuple[Parameter, ...]:
    time = exact_time(clock)
    return (
        _listed("severity", SEVERITIES, _c.signal_severity),
        _listed("status", EXECUTION_STATUSES, _c.execution_status),
        _bound("since", "Not older than this.", time, AT_LEAST),
        _bound("until", "Not newer than this.", time, AT_MOST),
        _text("namespace", _c.namespace),
        _text("signal_name", _c.signal_name),
        Parameter(
            "alert_name",
            "Name of the alert, or of the signal where there is no alert.",
            finds=(Find(_c.alert_name, IS_ALERT),),
        ),
        _text("cluster", _c.cluster_name),
        _text("environment", _c.environment),
        _text("action_type", _c.action_type),
        _text("incident_type", _c.incident_type),
        _text("workflow_id", _c.workflow_id),
        _text("correlation_id", _c.correlation_id),
        _text("action_id", _c.action_id),
    )


def _listed(name: str, choices: Sequence[str], column: Column[Any]) -> Parameter:
    meaning = MEANINGS[column.name]
    return Parameter(name, meaning, choice(choices), finds=equal_to(column), slug=f"invalid-{name}")


def _text(name: str, column: Column[Any]) -> Parameter:
    return Parameter(name, MEANINGS[column.name], finds=equal_to(column))


def _bound(name: str, meaning: str, time: Grammar, operator: Operator) -> Parameter:
    finds = (Find(_c.action_timestamp, operator),)
    return Parameter(name, meaning, time, finds=finds, slug="invalid-time-range")


def _number(name: str, meaning: str, grammar: Grammar, default: int) -> Parameter:
    return Parameter(name, meaning, grammar, default=default, slug=f"invalid-{name}")


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
            _number("limit", "Rows of the page.", number(1, MAX_PAGE_ROWS), DEFAULT_PAGE_ROWS),
            _number("offset", "Rows to skip; ignored with a cursor.", number(0, INT64_MAX), 0),
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
    field_names = frozenset({"id"})

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
