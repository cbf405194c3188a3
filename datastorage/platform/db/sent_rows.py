"""Many rows as one statement of constant text: they travel as one JSON text, which PostgreSQL unfolds.

A statement with a VALUES list has another text for every number of rows, which PostgreSQL would plan and
psycopg prepare each time anew. Arrays, one per column, cost us ten times as much per row to write, and
PostgreSQL about the same to read.
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
    """Return the parameters of ``sent_rows``: mappings or Structs; what a row does not have is NULL.

    Raises:
        UnicodeEncodeError: a text has half of a surrogate pair.
    """
    return {_PARAMETER: msgspec.json.encode(rows).decode("utf-8")}


def wire_type(stored: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type a value travels as: text for jsonb, inet and varchar, its own for the rest."""
    return TEXT() if isinstance(stored, JSONB | INET | String) else stored


def as_stored(sent: FromClause, target: Column[Any]) -> ColumnElement[Any]:
    """Return the column of ``sent`` that ``target`` takes, cast where text does not fit by itself."""
    value: ColumnElement[Any] = sent.c[target.name]
    return cast(value, target.type) if isinstance(target.type, JSONB | INET) else value
