"""The query parameters of audit reads: names, aliases, the time grammar, payload filters, cursors."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow
import msgspec
from marshmallow import missing, post_load, pre_load

from datastorage.audit.cursor import position_of
from datastorage.audit.model import AuditFilter, ExportRequest, PageRequest, PayloadMatch
from datastorage.audit.schemas import OUTCOMES
from datastorage.errors import Fault
from datastorage.platform.clock import Clock
from datastorage.platform.db.keyset import InvalidCursor
from datastorage.platform.web import fields
from datastorage.platform.web.contract import Contract

MAX_OFFSET = 2**63 - 1
MAX_PAGE_ROWS = 1000
DEFAULT_PAGE_ROWS = 50
MAX_EXPORT_ROWS = 100_000
DEFAULT_EXPORT_ROWS = 10_000
MAX_PAYLOAD_FILTERS = 5
PAYLOAD_PREFIX = "event_data."

ALIASES = {
    "service": "event_category",
    "outcome": "event_outcome",
    "start_time": "since",
    "end_time": "until",
}
EQUALITY_PARAMETERS = (
    "correlation_id", "event_type", "event_category", "event_outcome", "severity", "event_action",
    "actor_type",
    "actor_id", "resource_type", "resource_id", "namespace", "cluster_name", "parent_event_id", "trace_id",
)  # fmt: skip

_SEGMENT = r"[A-Za-z0-9_-]{1,64}"
_PATH = re.compile(rf"{_SEGMENT}(\.{_SEGMENT}){{0,7}}", re.ASCII)
_RELATIVE = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|ms|d|h|m|s))+", re.ASCII)
_RELATIVE_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|d|h|m|s)", re.ASCII)
_UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_BLANK_OFFSET = re.compile(r"(T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?) (\d{2}:\d{2})", re.ASCII)
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", re.ASCII)


class Number(fields.Judged):
    """An integer in the text of a parameter; unlike other parameters an empty one is a fault."""

    def __init__(self, *, minimum: int, maximum: int, default: int) -> None:
        super().__init__()
        self.minimum, self.maximum, self.default = minimum, maximum, default

    def deserialize(self, value: Any, *_context: Any, **_partial: Any) -> int:
        """Return the number, or the default when the parameter was not sent."""
        if value is missing:
            return self.default
        if not re.fullmatch(r"[+-]?\d+", value, re.ASCII):
            raise fields.refuse("must be an integer")
        # Digits beyond any limit are out of range whatever they say; int() need not read megabytes.
        number = int(value) if len(value) <= len(str(MAX_OFFSET)) + 1 else self._far_out(value)
        if number < self.minimum:
            raise fields.refuse(f"must be at least {self.minimum}")
        if number > self.maximum:
            raise fields.refuse(f"must be at most {self.maximum}")
        return number

    def _far_out(self, value: str) -> int:
        digits = value.lstrip("+-0")
        if len(digits) <= len(str(MAX_OFFSET)):
            return int(value[0] + digits) if value[0] == "-" and digits else int(digits or 0)
        return self.minimum - 1 if value[0] == "-" else self.maximum + 1

    def openapi(self) -> dict[str, Any]:
        """The range and the default."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum, "default": self.default}


class Time(fields.Judged):
    """An absolute time, or a duration before now; an unescaped plus sign arrives as a blank."""

    clock: Clock

    def judge(self, value: str) -> datetime:
        """Refuse what the grammar does not have."""
        at = parse_time(value, self.clock)
        if at is None:
            message = f"invalid time format: {value} (expected 24h, 7d or an RFC 3339 timestamp)"
            raise fields.refuse(message)
        return at

    def openapi(self) -> dict[str, Any]:
        """Text: the grammar is wider than one format."""
        return {"type": "string", "examples": ["24h", "2026-01-14T08:00:00Z", "2026-01-14"]}


class Flag(fields.Judged):
    """``true`` or ``false`` in the text of a parameter."""

    def judge(self, value: str) -> bool:
        """Refuse other words."""
        if value not in {"true", "false"}:
            raise fields.refuse("must be a boolean")
        return value == "true"

    def openapi(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


class Exact(fields.Judged):
    """Text compared as it is; only the empty text means "no filter", and the request line bounds it."""

    def judge(self, value: str) -> str:
        """Accept any text."""
        return value

    def openapi(self) -> dict[str, Any]:
        """Text."""
        return {"type": "string"}


class AuditQuerySchema(Contract):
    """The parameters of ``GET /api/v1/audit/events``."""

    resource = "query parameters"

    correlation_id = Exact()
    event_type = Exact()
    event_category = Exact()
    event_outcome = fields.Choice(OUTCOMES, maximum=20)
    severity = Exact()
    since = Time()
    until = Time()
    limit = Number(minimum=1, maximum=MAX_PAGE_ROWS, default=DEFAULT_PAGE_ROWS)
    offset = Number(minimum=0, maximum=MAX_OFFSET, default=0)
    event_action = Exact()
    actor_type = Exact()
    actor_id = Exact()
    resource_type = Exact()
    resource_id = Exact()
    namespace = Exact()
    cluster_name = Exact()
    parent_event_id = fields.Uuid()
    trace_id = Exact()
    order = fields.Choice(("desc", "asc"), maximum=4)
    include_total = Flag()
    cursor = Exact()
    event_data_contains = Exact()
    detail_key = Exact()
    detail_value = Exact()
    format = fields.Choice(("json", "ndjson"), maximum=6)
    payload = marshmallow.fields.Raw(load_default=dict, metadata={"internal": True})

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        for name in ("since", "until"):
            time = self.fields[name]
            assert isinstance(time, Time)  # noqa: S101 - tells mypy what is declared above
            time.clock = clock

    @pre_load
    def gather(self, data: dict[str, str], **_: Any) -> dict[str, Any]:
        """Resolve aliases, drop empty parameters, put the dotted ones under ``payload``."""
        kept = {name: value for name, value in data.items() if value or name in {"limit", "offset"}}
        for alias, canonical in ALIASES.items():
            if alias in kept:
                kept.setdefault(canonical, kept[alias])
        known: dict[str, Any] = {name: value for name, value in kept.items() if name in self.fields}
        known["payload"] = {name: value for name, value in kept.items() if name.startswith(PAYLOAD_PREFIX)}
        return known

    @marshmallow.validates_schema(skip_on_field_errors=False)
    def judge_payload_filters(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse malformed paths and objects, lone halves of a pair, and too many of them."""
        faults = {
            name: Fault("must be event_data. and 1 to 8 segments of [A-Za-z0-9_-]{1,64} joined by dots")
            for name in data["payload"]
            if not _PATH.fullmatch(name.removeprefix(PAYLOAD_PREFIX))
        }
        contains = data.get("event_data_contains")
        if contains is not None and not _is_json_object(contains):
            faults["event_data_contains"] = Fault("must be a JSON object")
        faults |= _pair_faults(data.get("detail_key"), data.get("detail_value"))
        used = len(data["payload"]) + (contains is not None) + (data.get("detail_key") is not None)
        if used > MAX_PAYLOAD_FILTERS:
            faults["event_data"] = Fault(
                f"at most {MAX_PAYLOAD_FILTERS} payload filters are allowed (got {used})"
            )
        if faults:
            raise marshmallow.ValidationError({name: [fault] for name, fault in faults.items()})

    @marshmallow.validates_schema
    def judge_cursor(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a cursor that is not ours or was made for the other order."""
        if data["cursor"] is not None:
            try:
                position_of(data["cursor"], ascending=data["order"] == "asc")
            except InvalidCursor as error:
                raise marshmallow.ValidationError(
                    Fault("must be a cursor returned by this query in the same order"), field_name="cursor"
                ) from error

    @post_load
    def make_request(self, data: dict[str, Any], **_: Any) -> PageRequest | ExportRequest:
        """Return the page wanted; with a cursor the offset does not count."""
        wanted = _filter_of(data)
        offset = 0 if wanted.after else data["offset"]
        include_total = data["include_total"] is not False
        return PageRequest(filter=wanted, limit=data["limit"], offset=offset, include_total=include_total)


class AuditExportSchema(AuditQuerySchema):
    """The same parameters when the answer is a stream of lines."""

    limit = Number(minimum=1, maximum=MAX_EXPORT_ROWS, default=DEFAULT_EXPORT_ROWS)

    @marshmallow.validates_schema(skip_on_field_errors=False, pass_original=True)
    def refuse_offset(self, _data: dict[str, Any], original: dict[str, Any], **_: Any) -> None:
        """An export goes on by cursor; skipping rows would read them all."""
        if "offset" in original:
            raise marshmallow.ValidationError(
                Fault("cannot be combined with an export; use cursor"), field_name="offset"
            )

    @post_load
    def make_request(self, data: dict[str, Any], **_: Any) -> ExportRequest:
        """Return the stretch of the result to stream."""
        return ExportRequest(filter=_filter_of(data), limit=data["limit"])


def _filter_of(data: dict[str, Any]) -> AuditFilter:
    ascending = data["order"] == "asc"
    matches = [
        PayloadMatch(tuple(name.removeprefix(PAYLOAD_PREFIX).split(".")), value)
        for name, value in data["payload"].items()
    ]
    if data["detail_key"] is not None:
        matches.append(PayloadMatch((data["detail_key"],), data["detail_value"]))
    return AuditFilter(
        equals={name: data[name] for name in EQUALITY_PARAMETERS if data[name] is not None},
        since=data["since"],
        until=data["until"],
        payload_matches=tuple(matches),
        payload_contains=(data["event_data_contains"],) if data["event_data_contains"] else (),
        ascending=ascending,
        after=position_of(data["cursor"], ascending=ascending) if data["cursor"] else None,
    )


def _is_json_object(text: str) -> bool:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return isinstance(value, dict) and not fields.contains_nul(value)


def _pair_faults(key: str | None, value: str | None) -> dict[str, Fault]:
    if key is None and value is None:
        return {}
    if key is None:
        return {"detail_value": Fault("must come together with detail_key")}
    if value is None:
        return {"detail_key": Fault("must come together with detail_value")}
    if not re.fullmatch(r"\w+", key, re.ASCII):
        return {"detail_key": Fault("must consist of letters, digits and underscores")}
    return {}


def parse_time(text: str, clock: Clock) -> datetime | None:
    """Return the UTC instant of an absolute or relative time, or ``None`` when it is neither."""
    if _RELATIVE.fullmatch(text):
        return _before_now(text, clock)
    if _LOCAL.fullmatch(text):
        return fields.parse_instant(f"{text}Z")
    day = fields.parse_date(text)
    if day is not None:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return fields.parse_instant(_BLANK_OFFSET.sub(r"\1+\2", text))


def _before_now(text: str, clock: Clock) -> datetime | None:
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _RELATIVE_PART.findall(text))
    try:
        return clock() - timedelta(seconds=seconds)
    except OverflowError:
        return None
