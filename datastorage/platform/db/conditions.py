"""Filters as data: a tuple of conditions, from which statement, cache key and values are made alike.

    wanted = (equals(events.c.correlation_id, "rr-1"), Condition("since", events.c.at, AT_LEAST, instant))

    select(events).where(*where(wanted))   # … correlation_id = :correlation_id AND at >= :since
    values(wanted)                         # {"correlation_id": "rr-1", "since": instant}
    shape_of(wanted)                       # what filters have in common whose statements have the same text

A statement whose text is kept is built from ``conditions_of(shape)`` and executed with ``values(wanted)``:
there is no second list of filters to forget one in.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, cast
from sqlalchemy.dialects.postgresql import JSONB, TEXT

Shape = tuple[tuple[str, ColumnElement[Any], "Operator"], ...]
"""Name, column and operator of each condition."""


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """How a column is compared.

    Attributes:
        name: for people.
        compare: makes the expression of the column and the bound value.
        needs_value: whether the statement has to be built and planned with the value itself; ``compare``
            then gets that instead of a name for it, and the text is never kept.
    """

    name: str
    compare: Callable[[ColumnElement[Any], Any], ColumnElement[bool]]
    needs_value: bool = False


EQUALS = Operator("=", lambda column, value: column == value)
AT_LEAST = Operator(">=", lambda column, value: column >= value)
AT_MOST = Operator("<=", lambda column, value: column <= value)
ABOVE = Operator(">", lambda column, value: column > value)
BELOW = Operator("<", lambda column, value: column < value)
CONTAINS = Operator("@>", lambda column, text: column.contains(jsonb(text)), needs_value=True)
"""The ``jsonb`` column contains the JSON text: PostgreSQL has to see the value to choose the GIN index."""


class Condition(NamedTuple):
    """One thing that has to hold.

    Attributes:
        key: name of the bound value; two conditions of a filter share it only if they share the value.
        column: what is compared.
        operator: how.
        value: with what; never ``None``.
    """

    key: str
    column: ColumnElement[Any]
    operator: Operator
    value: Any


def equals(column: ColumnElement[Any], value: Any) -> Condition:
    """Return the condition that ``column``, which is of a table, has this value."""
    return Condition(str(column.key), column, EQUALS, value)


def where(conditions: Iterable[Condition]) -> list[ColumnElement[bool]]:
    """Return the expressions that all have to be true, values only ever as bound parameters."""
    return [
        operator.compare(column, value if operator.needs_value else bindparam(key, value, column.type))
        for key, column, operator, value in conditions
    ]


def values(conditions: Iterable[Condition]) -> dict[str, Any]:
    """Return the bound values by name, for a statement whose text was kept."""
    return {key: value for key, _, _, value in conditions}


def shape_of(conditions: Iterable[Condition]) -> Shape:
    """Return what is hashable and equal where the text of the statement is."""
    return tuple([condition[:3] for condition in conditions])


def conditions_of(shape: Shape) -> tuple[Condition, ...]:
    """Return conditions of this shape, without values: enough for the text of a statement.

    Raises:
        ValueError: an operator needs the value.
    """
    if any(operator.needs_value for _, _, operator in shape):
        raise ValueError("a statement that is planned with its values has no text to keep")
    return tuple(Condition(*each, None) for each in shape)


def need_values(conditions: Iterable[Condition]) -> bool:
    """Tell whether the statement has to be built and planned with the values."""
    return any(condition.operator.needs_value for condition in conditions)


def jsonb(text: str) -> ColumnElement[Any]:
    """Return JSON text as a bound ``jsonb`` value."""
    return cast(bindparam(None, text, TEXT), JSONB)
