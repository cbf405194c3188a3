"""Statements that find incidents: pure builders, values only ever as bound parameters (BR-STORAGE-025).

What lists execute is a ``BoundStatement``: a text that is kept for all filters of one shape, since to build
forty labelled columns anew costs more than to send the statement, and the values of this filter.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)

from datastorage.incidents.reading.model import IncidentFilter
from datastorage.incidents.reading.projection import MEMBERS
from datastorage.incidents.representations import View
from datastorage.incidents.tables import resource_action_traces
from datastorage.platform.db.columns import TIMESTAMPTZ
from datastorage.platform.db.conditions import Shape, conditions_of, shape_of, values, where
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.rendered import Rendered
from datastorage.platform.db.stretches import UNITS, Bound, bounded

_c = resource_action_traces.c
_NEWEST_FIRST = (_c.action_timestamp.desc(), _c.id.desc())
_SOMEWHERE = Position(datetime(2000, 1, 1, tzinfo=UTC), 1)
_BY_ID = select(*MEMBERS[View.FULL]).where(_c.id == bindparam("incident_id", type_=BigInteger))
KEPT_TEXTS = 512

Build = Callable[..., Select[*tuple[Any, ...]]]
"""Makes a statement of a filter and options."""


class BoundStatement(NamedTuple):
    """A statement and its values."""

    statement: Rendered
    values: Mapping[str, Any]

    def rows(self, connection: Connection) -> Sequence[tuple[Any, ...]]:
        """Execute it and return all rows.

        Raises:
            psycopg.Error: it failed.
        """
        return self.statement.rows(connection, self.values)


def find_page(
    wanted: IncidentFilter, bound: Bound, *, view: View, after: Position[int] | None = None
) -> BoundStatement:
    """Return what finds a stretch of the result, as JSON texts, and one row more if there are more."""
    further = {"limit": bound.rows + 1, UNITS: bound.units, **_place(after)}
    return _bound(page, wanted, further, view=view, limit=0, after=_SOMEWHERE if after else None)


def find_key(wanted: IncidentFilter, number: int) -> BoundStatement:
    """Return what finds the sort key of one row of the result, counted from 1."""
    return _bound(key_of_row, wanted, {"offset": number - 1}, number=1)


def find_count(wanted: IncidentFilter) -> BoundStatement:
    """Return what counts all matches."""
    return _bound(count, wanted, {})


def _bound(
    build: Build, wanted: IncidentFilter, further: Mapping[str, Any], **options: Any
) -> BoundStatement:
    kept = _kept(build, shape_of(wanted.conditions), **options)
    return BoundStatement(kept, {**values(wanted.conditions), **further})


@lru_cache(KEPT_TEXTS)
def _kept(build: Build, shape: Shape, **options: Any) -> Rendered:
    return Rendered(build(IncidentFilter(conditions_of(shape)), **options))


def page(
    wanted: IncidentFilter, *, view: View, limit: int, units: int = 0, after: Position[int] | None = None
) -> Select[Any]:
    """Select a ``bounded`` stretch of the result; the order is total, so pages never repeat a row."""
    found = select(*MEMBERS[view]).where(*where(wanted.conditions), *_behind(after))
    rows = found.order_by(*_NEWEST_FIRST).limit(bindparam("limit", limit, BigInteger))
    return bounded(_as_json(rows), units)


def key_of_row(wanted: IncidentFilter, number: int) -> Select[datetime, int]:
    """Select the sort key of one row of the result, counted from 1.

    A page at an offset starts behind it: with OFFSET in ``page`` PostgreSQL would write the JSON of all
    rows that it skips, while their keys are in the index.
    """
    keys = select(_c.action_timestamp, _c.id).where(*where(wanted.conditions)).order_by(*_NEWEST_FIRST)
    return keys.limit(literal_column("1")).offset(bindparam("offset", number - 1, BigInteger))


def count(wanted: IncidentFilter) -> Select[Any]:
    """Count all matches of the filters, wherever the page lies."""
    return select(func.count()).select_from(resource_action_traces).where(*where(wanted.conditions))


def one() -> Select[Any]:
    """Select the incident ``:incident_id`` in full as a JSON text."""
    return _as_json(_BY_ID)


def one_of_month() -> Select[Any]:
    """Select it from the partition of ``:action_timestamp``."""
    return _as_json(_BY_ID.where(_c.action_timestamp == bindparam("action_timestamp", type_=TIMESTAMPTZ)))


def _as_json(found: Select[Any]) -> Select[Any]:
    """``SELECT row_to_json(incident)::text FROM (…) AS incident``; reading a subquery keeps its order."""
    incident = found.subquery("incident")
    return select(cast(func.row_to_json(incident.table_valued()), Text).label("text"))


ONE = Rendered(one())
ONE_OF_MONTH = Rendered(one_of_month())


def _behind(after: Position[int] | None) -> list[ColumnElement[bool]]:
    """Return the conditions of a page after the first; the comparison of rows alone prunes nothing."""
    if after is None:
        return []
    at = bindparam("after", after.at, _c.action_timestamp.type)
    last = tuple_(at, bindparam("after_id", after.id, _c.id.type))
    return [_c.action_timestamp <= at, tuple_(_c.action_timestamp, _c.id) < last]


def _place(after: Position[int] | None) -> dict[str, Any]:
    return {} if after is None else {"after": after.at, "after_id": after.id}
