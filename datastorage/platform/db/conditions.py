"""Filters as data: a tuple of conditions, from which statement, cache key and values are all made.

    wanted = (equals(events.c.correlation_id, "rr-1"), Condition("since", events.c.at, AT_LEAST, instant))

    select(events).where(*where(wanted))   # … correlation_id = :correlation_id AND at >= :since
    values(wanted)                         # {"correlation_id": "rr-1", "since": instant}
    shape_of(wanted)                       # the same for all filters whose statements have the same text

A statement whose text is kept is built from ``conditions_of(shape)`` and executed with ``values(wanted)``, so
that no second list of filters can miss one.
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
        compare: makes an expression of the column and the bound value.
        needs_value: whether the statement must be planned with the value; ``compare`` then gets the value
            instead of a name for it, and the text is not kept.
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
    """A comparison that has to hold; in a filter, equal keys have equal values."""

    key: str
    column: ColumnElement[Any]
    operator: Operator
    value: Any


def equals(column: ColumnElement[Any], value: Any) -> Condition:
    """Return the condition that a column of a table has this value."""
    return Condition(str(column.key), column, EQUALS, value)


def where(conditions: Iterable[Condition]) -> list[ColumnElement[bool]]:
    """Return the expressions that all have to be true; every value is a bound parameter."""
    return [
        operator.compare(column, value if operator.needs_value else bindparam(key, value, column.type))
        for key, column, operator, value in conditions
    ]


def values(conditions: Iterable[Condition]) -> dict[str, Any]:
    """Return the bound values by name, for a statement whose text was kept."""
    return {key: value for key, _, _, value in conditions}


def shape_of(conditions: Iterable[Condition]) -> Shape:
    """Return a hashable value that is equal where the text of the statement is."""
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
    """Tell whether the statement must be planned with the values."""
    return True in [condition.operator.needs_value for condition in conditions]


def jsonb(text: str) -> ColumnElement[Any]:
    """Return JSON text as a bound ``jsonb`` value."""
    return cast(bindparam(None, text, TEXT), JSONB)
