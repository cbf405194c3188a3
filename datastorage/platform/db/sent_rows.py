"""Many rows as one statement of constant text: each column travels as an array and is unnested.

A statement with a VALUES list has another text for every number of rows, which PostgreSQL would plan and
psycopg prepare each time anew.

Each array is written as one text here: the driver looks at every element by itself, twice, which for a
batch costs more than everything else the service does.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import psycopg
from sqlalchemy import ARRAY, Column, ColumnElement, FromClause, String, bindparam, cast, column, func
from sqlalchemy.dialects.postgresql import INET, JSONB, TEXT
from sqlalchemy.types import TypeEngine


def sent_rows(columns: Iterable[Column[Any]], name: str = "sent") -> FromClause:
    """``unnest(:sent_a, :sent_b, …) AS sent(a, b, …)``, with columns named like ``columns``."""
    types = {each.name: wire_type(each.type) for each in columns}
    arrays = [cast(bindparam(f"{name}_{each}", type_=TEXT()), ARRAY(kind)) for each, kind in types.items()]
    named = [column(each, kind) for each, kind in types.items()]
    return func.unnest(*arrays).table_valued(*named, name=name).render_derived()


def as_parameters(arrays: Mapping[str, list[Any]], name: str = "sent") -> dict[str, str]:
    """Return the parameters of ``sent_rows`` from one list per column.

    They are not named like the columns: in an UPDATE those names are SQLAlchemy's own.
    """
    return {f"{name}_{each}": array_text(values) for each, values in arrays.items()}


def array_text(values: Sequence[Any]) -> str:
    """Return the text that PostgreSQL reads as an array of ``values``, which are all of one type.

    U+0000 parts the elements while they are quoted together: no text in PostgreSQL has one.

    Raises:
        psycopg.DataError: a text has U+0000, as the driver would.
    """
    if None in values:
        elements = [array_text([value])[1:-1] if value is not None else "NULL" for value in values]
        return f"{{{','.join(elements)}}}"
    if not values:
        return "{}"
    if not isinstance(values[0], str):
        return f"{{{','.join(map(_UNQUOTED.get(type(values[0]), str), values))}}}"
    joined = "\0".join(values)
    if joined.count("\0") != len(values) - 1:
        raise psycopg.DataError("PostgreSQL text cannot contain NUL (0x00) bytes")
    escaped = joined.replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return f'{{"{escaped}"}}'


_UNQUOTED = {uuid.UUID: attrgetter("hex")}
"""What is shorter, or quicker, than ``str`` of a value."""


def wire_type(stored: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type a value travels as: text for jsonb, inet and varchar, its own for the rest."""
    return TEXT() if isinstance(stored, JSONB | INET | String) else stored


def as_stored(sent: FromClause, target: Column[Any]) -> ColumnElement[Any]:
    """Return the column of ``sent`` that ``target`` takes, cast where text does not fit by itself."""
    value: ColumnElement[Any] = sent.c[target.name]
    return cast(value, target.type) if isinstance(target.type, JSONB | INET) else value
