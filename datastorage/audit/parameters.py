"""The query parameters of audit reads."""

from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from datastorage.audit.cursor import position_of
from datastorage.audit.event import MEMBERS
from datastorage.audit.model import AuditFilter, ExportRequest, PageRequest
from datastorage.audit.payload_filters import read_payload_filters
from datastorage.audit.tables import audit_events
from datastorage.errors import Fault
from datastorage.platform.clock import Clock
from datastorage.platform.db.conditions import AT_LEAST, AT_MOST, CONTAINS, Operator
from datastorage.platform.db.keyset import InvalidCursor
from datastorage.platform.records import in_order
from datastorage.platform.web.grammar import ANY_TEXT, FLAG, any_text, integer, object_text, one_of, time
from datastorage.platform.web.lines import NDJSON
from datastorage.platform.web.parameters import Find, Parameter, ParameterReader, Reading, equal_to
from datastorage.platform.web.sent import Sent

_OLDER_NAMES = {
    "event_category": ("service",),
    "event_outcome": ("outcome",),
    "cluster_name": ("cluster_id",),
}
_FIRST = ("correlation_id", "event_type", "event_category", "event_outcome", "severity")
_FURTHER = (
    "event_action", "actor_type", "actor_id", "resource_type", "resource_id", "namespace", "cluster_name",
    "parent_event_id", "trace_id",
)  # fmt: skip
"""Filters by equality, in the order in which faults are reported: before the times, and behind the page."""


def parameters(clock: Clock, limit: Parameter) -> tuple[Parameter, ...]:
    """Return the parameters of a page or an export, in the order in which their faults are reported."""
    filters = in_order((each for each in MEMBERS if each.filters is not None), (*_FIRST, *_FURTHER))
    found = [
        Parameter(
            each.wire,
            f"Keeps the events whose `{each.wire}` is exactly this.",
            each.filters or ANY_TEXT,
            finds=equal_to(audit_events.c[each.name]),
            aliases=_OLDER_NAMES.get(each.wire, ()),
        )
        for each in filters
    ]
    since = _bound(clock, "since", SINCE, AT_LEAST, "start_time")
    until = _bound(clock, "until", "Not after this time; notation of `since`.", AT_MOST, "end_time")
    received = tuple(
        Parameter(name, meaning, time(clock), finds=(Find(audit_events.c.received_at, operator),))
        for name, meaning, operator in RECEIVED
    )
    return (*found[: len(_FIRST)], since, until, limit, OFFSET, *found[len(_FIRST) :], *received, *REST)


def _bound(clock: Clock, name: str, meaning: str, operator: Operator, alias: str) -> Parameter:
    """Bound the date too: it prunes partitions."""
    columns = audit_events.c
    date = Find(columns.event_date, operator, key=f"{name}_date", of=datetime.date)
    finds = (Find(columns.event_timestamp, operator), date)
    return Parameter(name, meaning, time(clock), finds=finds, aliases=(alias,))


SINCE = (
    "Not before this time: RFC 3339, a date (00:00 UTC), or a duration before now such as `24h` or "
    "`1h30m`, with the units d, h, m, s, ms, us, ns."
)
RECEIVED = (
    ("received_since", "Accepted by the service not before this time; notation of `since`.", AT_LEAST),
    ("received_until", "Accepted by the service not after this time; notation of `since`.", AT_MOST),
)
PAGE_LIMIT = Parameter(
    "limit",
    "Rows of a page; an export may ask for up to 100000 and gives 10000 unless told.",
    integer(1, 1000),
    default=50,
    empty_is_absent=False,
)
EXPORT_LIMIT = replace(PAGE_LIMIT, grammar=integer(1, 100_000), default=10_000)
OFFSET = Parameter(
    "offset",
    "Rows to skip; refused in an export and ignored with `cursor`.",
    integer(0, 2**63 - 1),
    default=0,
    empty_is_absent=False,
)

REST = (
    Parameter(
        "order", "Newest first (`desc`, unless told otherwise) or oldest first.", one_of(("desc", "asc"))
    ),
    Parameter(
        "include_total",
        "`false` skips the count, which is the slow part of a page; `total` is then `null`.",
        FLAG,
    ),
    Parameter(
        "cursor",
        "`next_cursor` of the page before, from the same query in the same order. Pages read this way "
        "never repeat a row and are as fast deep in the result as at its start.",
    ),
    Parameter(
        "event_data_contains",
        "A JSON object that `event_data` has to contain, like PostgreSQL's `@>`.",
        object_text({"alert_name": "EtcdHighCommitLatency"}),
        finds=(Find(audit_events.c.event_data, CONTAINS),),
    ),
    Parameter(
        "detail_key",
        "Name of a top-level member of `event_data`; needs `detail_value`.",
        any_text("^[A-Za-z0-9_]*$"),
    ),
    Parameter("detail_value", "Text that this member has to equal."),
    Parameter(
        "format",
        "`ndjson` streams one event per line instead of a page, like `Accept: application/x-ndjson`.",
        one_of(("json", "ndjson")),
    ),
    Parameter(
        "end",
        '`true` adds a last line to an export, `{"_end":{"rows":10000,"complete":false,'
        '"next_cursor":"…","reason":"max_rows"}}`, which tells whether it is complete; after a fault the '
        "line is `_error`. Without such a line it was cut off. A page does not look at it.",
        FLAG,
    ),
)


class AuditSearch(ParameterReader[PageRequest | ExportRequest]):
    """Reads a page, or an export where ``format`` or the ``Accept`` header asks for lines."""

    def __init__(self, clock: Clock) -> None:
        rules = (read_payload_filters, _read_cursor)
        super().__init__(*parameters(clock, PAGE_LIMIT), make=_page, rules=rules)
        self._export = ParameterReader(
            *parameters(clock, EXPORT_LIMIT), make=_export, rules=(*rules, _refuse_offset)
        )

    def read(self, sent: Sent) -> PageRequest | ExportRequest:
        """Return what is wanted.

        Raises:
            InvalidInput: naming every bad parameter.
        """
        return self._export.read(sent) if asks_for_lines(sent) else super().read(sent)


def asks_for_lines(sent: Sent) -> bool:
    """Tell whether an export is wanted instead of a page; the gates ask the same."""
    return (sent.texts.get("format") or _preferred_format(sent.accept)) == "ndjson"


@lru_cache(maxsize=128)
def _preferred_format(accept: str) -> str:
    accepted = parse_accept_header(accept, MIMEAccept).best_match(["application/json", NDJSON])
    return "ndjson" if accepted == NDJSON else "json"


def _read_cursor(reading: Reading) -> None:
    """Refuse a cursor that is not ours or was made for the other order."""
    cursor = reading.values.get("cursor")
    if cursor is not None and "order" in reading.values:
        try:
            reading.values["cursor"] = position_of(cursor, ascending=reading.values["order"] == "asc")
        except InvalidCursor:
            reading.refuse("cursor", Fault("must be a cursor returned by this query in the same order"))


def _refuse_offset(reading: Reading) -> None:
    """An export goes on by cursor; skipping rows would read them all."""
    if "offset" in reading.sent.texts:
        reading.refuse("offset", Fault("cannot be combined with an export; use cursor"))


def _page(reading: Reading) -> PageRequest:
    """Return the page wanted; with a cursor the offset does not count."""
    wanted, values = _filter(reading), reading.values
    offset = 0 if wanted.after else values["offset"]
    counted = values["include_total"] is not False
    return PageRequest(filter=wanted, limit=values["limit"], offset=offset, include_total=counted)


def _export(reading: Reading) -> ExportRequest:
    values = reading.values
    return ExportRequest(filter=_filter(reading), limit=values["limit"], tells_end=values["end"] is True)


def _filter(reading: Reading) -> AuditFilter:
    values = reading.values
    return AuditFilter(conditions=reading.filter, ascending=values["order"] == "asc", after=values["cursor"])
