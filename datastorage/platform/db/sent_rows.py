"""Many rows as one statement of constant text: each column travels as an array and is unnested.

A statement with a VALUES list has another text for every number of rows, which PostgreSQL would plan and
psycopg prepare each time anew.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, FromClause, String, bindparam, cast, column, func
from sqlalchemy.dialects.postgresql import INET, JSONB, TEXT
from sqlalchemy.types import TypeEngine


def sent_rows(columns: Iterable[Column[Any]], name: str = "sent") -> FromClause:
    """``unnest(:sent_a, :sent_b, …) AS sent(a, b, …)``, with columns named like ``columns``."""
    types = {each.name: wire_type(each.type) for each in columns}
    arrays = [bindparam(f"{name}_{each}", type_=ARRAY(kind)) for each, kind in types.items()]
    named = [column(each, kind) for each, kind in types.items()]
    return func.unnest(*arrays).table_valued(*named, name=name).render_derived()


def as_parameters(arrays: Mapping[str, list[Any]], name: str = "sent") -> dict[str, list[Any]]:
    """Return the parameters of ``sent_rows`` from one list per column.

    They are not named like the columns: in an UPDATE those names are SQLAlchemy's own.
    """
    return {f"{name}_{each}": values for each, values in arrays.items()}


def wire_type(stored: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type a value travels as: text for jsonb, inet and varchar, its own for the rest."""
    return TEXT() if isinstance(stored, JSONB | INET | String) else stored


def as_stored(sent: FromClause, target: Column[Any]) -> ColumnElement[Any]:
    """Return the column of ``sent`` that ``target`` takes, cast where text does not fit by itself."""
    value: ColumnElement[Any] = sent.c[target.name]
    return cast(value, target.type) if isinstance(target.type, JSONB | INET) else value
