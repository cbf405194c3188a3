"""Many rows in one statement of constant text: they are sent as one JSON text, which PostgreSQL unfolds.

The text of a VALUES list depends on the number of rows, and each would have to be planned and prepared.
Arrays, one per column, take ten times as long per row to write, and about the same to read.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import JSON, Column, ColumnElement, FromClause, String, bindparam, cast, column, func
from sqlalchemy.dialects.postgresql import INET, JSONB, TEXT
from sqlalchemy.types import TypeEngine

_PARAMETER = "sent_rows"


def sent_rows(columns: Iterable[Column[Any]]) -> FromClause:
    """``json_to_recordset(:sent_rows) AS sent(a …, b …)``, with columns named like ``columns``."""
    named = [column(each.name, wire_type(each.type)) for each in columns]
    rows = cast(bindparam(_PARAMETER, type_=TEXT()), JSON())
    return func.json_to_recordset(rows).table_valued(*named, name="sent").render_derived(with_types=True)


def as_parameters(rows: Sequence[Any]) -> dict[str, str]:
    """Return the parameters of ``sent_rows`` for mappings or Structs; what a row lacks is NULL.

    Raises:
        UnicodeEncodeError: a text has half of a surrogate pair.
    """
    return {_PARAMETER: msgspec.json.encode(rows).decode("utf-8")}


def wire_type(stored: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type in which a value is sent: text for jsonb, inet and varchar, its own for the rest."""
    return TEXT() if isinstance(stored, JSONB | INET | String) else stored


def as_stored(sent: FromClause, target: Column[Any]) -> ColumnElement[Any]:
    """Return the column of ``sent`` for ``target``, cast where PostgreSQL would not accept text."""
    value: ColumnElement[Any] = sent.c[target.name]
    return cast(value, target.type) if isinstance(target.type, JSONB | INET) else value
