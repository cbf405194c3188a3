"""The query parameters of audit reads: names, aliases, the time grammar, payload filters, cursors."""

import re
from typing import Any, ClassVar
from uuid import UUID

import marshmallow
import msgspec
from marshmallow import missing, post_load, pre_load

from datastorage.audit.cursor import position_of
from datastorage.audit.glossary import GLOSSARY, PARAMETERS
from datastorage.audit.model import AuditFilter, ExportRequest, PageRequest, PayloadMatch
from datastorage.audit.schemas import OUTCOMES
from datastorage.audit.time_grammar import Time
from datastorage.errors import Fault
from datastorage.platform.clock import Clock
from datastorage.platform.db.keyset import InvalidCursor
from datastorage.platform.web import fields, json
from datastorage.platform.web.contract import Contract
from datastorage.platform.web.literals import strict_integer

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
    "actor_type", "actor_id", "resource_type", "resource_id", "namespace", "cluster_name", "parent_event_id",
    "trace_id",
)  # fmt: skip

_MATCHES = {name: f"Keeps the events whose `{name}` is exactly this." for name in EQUALITY_PARAMETERS}

_SEGMENT = r"[A-Za-z0-9_-]{1,64}"
_PATH = re.compile(rf"{_SEGMENT}(\.{_SEGMENT}){{0,7}}", re.ASCII)


class Number(fields.Judged):
    """An integer in the text of a parameter; unlike other parameters an empty one is a fault."""

    refuses_empty = True

    def __init__(self, *, minimum: int, maximum: int, default: int) -> None:
        super().__init__()
        self.minimum, self.maximum, self.default = minimum, maximum, default

    def deserialize(self, value: Any, *_context: Any, **_partial: Any) -> int:
        """Return the number, or the default when the parameter was not sent."""
        if value is missing:
            return self.default
        number = strict_integer(value)
        if number is None:
            raise fields.refuse("must be an integer")
        if number < self.minimum:
            raise fields.refuse(f"must be at least {self.minimum}")
        if number > self.maximum:
            raise fields.refuse(f"must be at most {self.maximum}")
        return number

    def openapi(self) -> dict[str, Any]:
        """The range and the default."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum, "default": self.default}


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

    def __init__(self, *, pattern: str = fields.WITHOUT_NUL) -> None:
        super().__init__()
        self.pattern = pattern

    def judge(self, value: str) -> str:
        """Accept any text."""
        return value

    def openapi(self) -> dict[str, Any]:
        """Text."""
        return {"type": "string", "pattern": self.pattern}


class Word(fields.Choice):
    """One of a closed list; blanks are a fault here, only the empty text means "no filter"."""

    def judge(self, value: Any) -> str:
        """Refuse what is not in the list."""
        if value not in self.choices:
            raise self.not_in_list(value)
        return str(value)


class Id(fields.Uuid):
    """A UUID; unlike in a body blanks are a fault, and the nil UUID is an id that nothing has."""

    def judge(self, value: Any) -> UUID:
        """Refuse other spellings than the canonical one."""
        if value.isspace():
            raise fields.refuse("must be a valid UUID")
        return super().judge(value) or UUID(int=0)

    def openapi(self) -> dict[str, Any]:
        """The format ``uuid``."""
        return {"type": "string", "format": "uuid"}


class ObjectText(Exact):
    """The text of a JSON object, rewritten as event payloads are when they are stored.

    Both sides of a comparison then have their numbers in the same precision, and none that jsonb
    cannot hold.
    """

    media_type = "application/json"
    example: ClassVar[dict[str, str]] = {"alert_name": "EtcdHighCommitLatency"}

    def openapi(self) -> dict[str, Any]:
        """The object itself."""
        return fields.JSON_OBJECT

    def judge(self, value: str) -> str:
        """Refuse other JSON, what is no JSON, and NUL anywhere."""
        try:
            found = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError) as error:
            raise fields.refuse("must be a JSON object") from error
        if not isinstance(found, dict) or json.contains_nul(found):
            raise fields.refuse("must be a JSON object")
        return json.encode(found).decode("utf-8")


class AuditQuerySchema(Contract):
    """The parameters of ``GET /api/v1/audit/events``."""

    resource = "query parameters"
    aliases = ALIASES
    glossary = GLOSSARY | _MATCHES | PARAMETERS

    correlation_id = Exact()
    event_type = Exact()
    event_category = Exact()
    event_outcome = Word(OUTCOMES, maximum=20)
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
    parent_event_id = Id()
    trace_id = Exact()
    order = Word(("desc", "asc"), maximum=4)
    include_total = Flag()
    cursor = Exact()
    event_data_contains = ObjectText()
    detail_key = Exact(pattern="^[A-Za-z0-9_]*$")
    detail_value = Exact()
    format = Word(("json", "ndjson"), maximum=6)
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
        faults |= _pair_faults(data.get("detail_key"), data.get("detail_value"))
        single = (data.get("event_data_contains"), data.get("detail_key"))
        used = len(data["payload"]) + sum(value is not None for value in single)
        if used > MAX_PAYLOAD_FILTERS:
            faults["event_data"] = Fault(
                f"at most {MAX_PAYLOAD_FILTERS} payload filters are allowed (got {used})"
            )
        if faults:
            raise marshmallow.ValidationError({name: [fault] for name, fault in faults.items()})

    @marshmallow.validates_schema(skip_on_field_errors=False)
    def judge_cursor(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a cursor that is not ours or was made for the other order."""
        if data["cursor"] is not None and "order" in data:
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
