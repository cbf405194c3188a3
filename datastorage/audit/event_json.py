"""An event as reads show it, written by PostgreSQL: no row is turned into objects and back on the way.

Fixed members in a fixed order, then those that are only there when they are set. The text is the one
that ``platform.web.json`` would write: compact, times in UTC with six digits or none.
"""

from typing import Any

from sqlalchemy import ColumnCollection, ColumnElement, case, cast, func, literal_column
from sqlalchemy.dialects.postgresql import TEXT

Columns = ColumnCollection[Any, Any]

_RENAMED = {"version": "event_version"}
_MEMBERS = (
    "event_id", "event_timestamp", "event_date", "event_type", "version", "event_category", "event_action",
    "event_outcome", "correlation_id", "parent_event_id", "parent_event_date", "resource_type", "resource_id",
    "namespace", "cluster_name", "severity", "duration_ms", "error_code", "error_message", "actor_id",
    "actor_type", "retention_days", "is_sensitive", "event_data",
)  # fmt: skip
_BLANK_WHEN_ABSENT = frozenset({"namespace", "cluster_name", "severity", "error_code", "error_message"})
_WHOLE_SECONDS = r'\"YYYY-MM-DD"T"HH24:MI:SS"Z"\"'
_MICROSECONDS = r'\"YYYY-MM-DD"T"HH24:MI:SS.US"Z"\"'
_ONLY_WHEN_SET = ("actor_ip", "resource_name", "trace_id", "span_id", "event_metadata")


def event_json(columns: Columns) -> ColumnElement[str]:
    """Return the JSON text of the event in ``columns``, those of ``audit_events``.

    concat('{"event_id":', to_json(event_id), …, ',"actor_ip":' || to_json(host(actor_ip)), …, '}')
    """
    parts: list[ColumnElement[Any]] = []
    for name in _MEMBERS:
        parts += [_constant(f'{"," if parts else "{"}"{name}":'), _value(columns, name)]
    # Nothing with NULL is NULL, and concat leaves NULL out.
    parts += [_constant(f',"{name}":').op("||")(_json(columns, name)) for name in _ONLY_WHEN_SET]
    return func.concat(*parts, _constant("}"), type_=TEXT())


def _value(columns: Columns, name: str) -> ColumnElement[Any]:
    column = columns[_RENAMED.get(name, name)]
    if not column.nullable:
        return _json(columns, column.name)
    absent = _constant('""' if name in _BLANK_WHEN_ABSENT else "null")
    return func.coalesce(_json(columns, column.name), absent)


def _json(columns: Columns, name: str) -> ColumnElement[str]:
    column = columns[name]
    if name in {"event_data", "event_metadata"}:
        return cast(column, TEXT)
    if name == "event_timestamp":
        return _rfc3339(column)
    return cast(func.to_json(func.host(column) if name == "actor_ip" else column), TEXT)


def _rfc3339(column: ColumnElement[Any]) -> ColumnElement[str]:
    in_utc = func.timezone(_constant("UTC"), column)
    is_whole = in_utc == func.date_trunc(_constant("second"), in_utc)
    whole, exact = _constant(_WHOLE_SECONDS), _constant(_MICROSECONDS)
    return func.to_char(in_utc, case((is_whole, whole), else_=exact), type_=TEXT())


def _constant(text: str) -> ColumnElement[str]:
    """Return ``text`` as part of the statement: of a parameter PostgreSQL could not tell the type."""
    return literal_column(f"'{text}'", TEXT())
