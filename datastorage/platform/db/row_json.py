"""Rows as answers show them, written as JSON by PostgreSQL: Python never takes them apart.

The text is what ``platform.web.json`` would write: compact, times in UTC with six digits or none.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnCollection,
    ColumnElement,
    DateTime,
    Double,
    Numeric,
    case,
    cast,
    func,
    literal_column,
)
from sqlalchemy.dialects.postgresql import INET, JSONB, TEXT

from datastorage.platform.records import Member, Members, Shown, shown_members

_WHOLE_SECONDS = r'\"YYYY-MM-DD"T"HH24:MI:SS"Z"\"'
_MICROSECONDS = r'\"YYYY-MM-DD"T"HH24:MI:SS.US"Z"\"'


def row_json(members: Members, columns: ColumnCollection[Any, Any]) -> ColumnElement[str]:
    """Return the JSON text of the row in ``columns``; its first member must be one that is always shown.

    concat('{"event_id":', to_json(event_id), …, ',"actor_ip":' || to_json(host(actor_ip)), …, '}')
    """
    parts: list[ColumnElement[Any]] = []
    for member in shown_members(members):
        parts += _member_json(member, columns[member.name], "," if parts else "{")
    return func.concat(*parts, _constant("}"), type_=TEXT())


def _member_json(member: Member, column: ColumnElement[Any], before: str) -> Sequence[ColumnElement[Any]]:
    name, value = _constant(f'{before}"{member.wire}":'), _value_json(column)
    is_nullable = getattr(column, "nullable", True)
    if member.shown is Shown.WHEN_SET:
        # text || NULL is NULL, which concat leaves out.
        return [name.op("||")(value if is_nullable else func.nullif(value, _constant("{}")))]
    if is_nullable:
        value = func.coalesce(value, _constant('""' if member.shown is Shown.BLANK else "null"))
    return [name, value]


def _value_json(column: ColumnElement[Any]) -> ColumnElement[str]:
    if isinstance(column.type, JSONB):
        return cast(column, TEXT)
    if isinstance(column.type, DateTime):
        return _rfc3339(column)
    if isinstance(column.type, INET):
        return cast(func.to_json(func.host(column)), TEXT)
    # A number in JSON has no trailing zeros.
    plain = cast(column, Double) if isinstance(column.type, Numeric) else column
    return cast(func.to_json(plain), TEXT)


def _rfc3339(column: ColumnElement[Any]) -> ColumnElement[str]:
    in_utc = func.timezone(_constant("UTC"), column)
    is_whole = in_utc == func.date_trunc(_constant("second"), in_utc)
    whole, exact = _constant(_WHOLE_SECONDS), _constant(_MICROSECONDS)
    return func.to_char(in_utc, case((is_whole, whole), else_=exact), type_=TEXT())


def _constant(text: str) -> ColumnElement[str]:
    """Return ``text`` as a literal: PostgreSQL could not infer the type of a parameter here."""
    return literal_column(f"'{text}'", TEXT())
