"""Statements on ``audit_events``: pure builders, values only ever as bound parameters (BR-STORAGE-025)."""

from collections.abc import Collection
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import ge, le
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    case,
    func,
    literal_column,
    select,
    tuple_,
)

from datastorage.audit.model import AuditFilter, PageRequest
from datastorage.audit.tables import audit_events
from datastorage.audit.text import TEXT_OF_PAGE
from datastorage.platform.db.conditions import Shape, conditions_of, shape_of, values, where
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.rendered import Rendered
from datastorage.platform.db.stretches import UNITS, bounded

_KEY = (audit_events.c.event_id, audit_events.c.event_date)

_PAGE_TEXT = TEXT_OF_PAGE.label("text")
_EVERYTHING: Select[Any] = select(literal_column("*")).select_from(audit_events)

_SOMEWHERE = Position(datetime(2000, 1, 1, tzinfo=UTC), UUID(int=0))


def stored_ids(event_ids: Collection[UUID], first: date | None, last: date | None) -> Select[Any]:
    """Select those of ``event_ids`` under which an event is stored, of a date from ``first`` to ``last``.

    The dates are part of the text: PostgreSQL then plans for their months alone, and not for all.
    """
    event_id, day = _KEY
    bounds = [
        compare(day, bindparam(name, bound, day.type, literal_execute=True))
        for name, compare, bound in (("first", ge, first), ("last", le, last))
        if bound is not None
    ]
    ids = bindparam("event_ids", list(event_ids), ARRAY(event_id.type))
    return select(event_id).where(event_id == func.any(ids), *bounds)


PARENT_DATES = select(*_KEY).where(
    audit_events.c.event_id == func.any(bindparam("parent_ids", type_=ARRAY(audit_events.c.event_id.type)))
)


def page(wanted: AuditFilter, *, limit: int, offset: int = 0) -> Select[Any]:
    """Select one page of events as JSON, in the order of ``wanted``.

    SELECT concat(…) FROM (SELECT … ORDER BY … LIMIT … OFFSET …) AS page ORDER BY …

    The inner select comes first, so that rows which are only skipped or sorted are never written as JSON.
    """
    rows = (
        ordered(_EVERYTHING, wanted)
        .limit(bindparam("page_limit", limit, BigInteger))
        .offset(bindparam("page_offset", offset, BigInteger))
    )
    return select(_PAGE_TEXT).select_from(rows.subquery("page")).order_by(_page_order(wanted))


def first_page(wanted: AuditFilter, *, limit: int) -> Select[Any]:
    """Select the first page and, beside the last row of one that is full, how many events match in all.

    SELECT concat(…), CASE WHEN row_number() OVER (ORDER BY …) = limit THEN (SELECT count(*) …) END AS total
    FROM (SELECT … ORDER BY … LIMIT …) AS page ORDER BY …

    One statement is one snapshot. PostgreSQL counts when it gets to that row, so not for a short page.
    """
    order = _page_order(wanted)
    is_last = func.row_number().over(order_by=order) == bindparam("page_limit", limit, BigInteger)
    total = case((is_last, count(wanted).scalar_subquery())).label("total")
    return page(wanted, limit=limit).add_columns(total)


def _page_order(wanted: AuditFilter) -> ColumnElement[Any]:
    direction = "ASC" if wanted.ascending else "DESC"
    return literal_column(f"page.event_timestamp {direction}, page.event_id {direction}")


def rendered_page(wanted: PageRequest, units: int) -> tuple[Rendered, dict[str, Any]]:
    """Return the statement of a page that is not planned with its values, and those values.

    Such filters come very often and in few shapes, so the text of each shape is kept. Only a first page
    can include the total; ``units`` are those of ``stretches.Bound``.
    """
    found, after = wanted.filter, wanted.filter.after
    bound = values(found.conditions)
    if after is not None:
        bound |= _place(after)
    bound["page_limit"], bound["page_offset"], bound[UNITS] = wanted.limit, wanted.offset, units
    shape = shape_of(found.conditions), found.ascending, after is not None, wanted.include_total
    return _rendered(shape), bound


@lru_cache(maxsize=256)
def _rendered(shape: tuple[Shape, bool, bool, bool]) -> Rendered:
    conditions, ascending, is_behind, is_counted = shape
    after = _SOMEWHERE if is_behind else None
    wanted = AuditFilter(conditions=conditions_of(conditions), ascending=ascending, after=after)
    return Rendered(bounded(first_page(wanted, limit=0) if is_counted else page(wanted, limit=0)))


def keys(wanted: AuditFilter, *, limit: int) -> Select[Any]:
    """Select only the keys of the result, in its order."""
    key = select(audit_events.c.event_timestamp, audit_events.c.event_id, audit_events.c.event_date)
    return ordered(key, wanted).limit(limit)


def _of_keys(*, ascending: bool) -> Select[Any]:
    """Select the events with ``:event_ids`` as JSON, and their keys: an id may exist on several dates.

    SELECT page.event_id, page.event_date, concat(…) FROM (SELECT … WHERE event_id = ANY (…)
    AND event_date BETWEEN … AND …) AS page ORDER BY …
    """
    event_id, event_date = audit_events.c.event_id, audit_events.c.event_date
    rows = _EVERYTHING.where(
        event_id == func.any(bindparam("event_ids", type_=ARRAY(event_id.type))),
        # Prunes the other months.
        event_date.between(
            bindparam("first_date", type_=event_date.type), bindparam("last_date", type_=event_date.type)
        ),
    )
    columns = [literal_column(f"page.{each.name}", each.type) for each in (event_id, event_date)]
    order = _page_order(AuditFilter(ascending=ascending))
    return select(*columns, TEXT_OF_PAGE).select_from(rows.subquery("page")).order_by(order)


OF_KEYS = {ascending: Rendered(_of_keys(ascending=ascending)) for ascending in (False, True)}
"""Statement by whether the result is in ascending order."""


def ordered(statement: Select[Any], wanted: AuditFilter) -> Select[Any]:
    """Apply filter, cursor and order; the order is total, so pages never repeat a row."""
    sort_key = audit_events.c.event_timestamp, audit_events.c.event_id
    order = [each.asc() if wanted.ascending else each.desc() for each in sort_key]
    return statement.where(*where(wanted.conditions), *_after(wanted)).order_by(*order)


def count(wanted: AuditFilter) -> Select[Any]:
    """Count all matches of the filters, wherever the page lies."""
    return select(func.count()).select_from(audit_events).where(*where(wanted.conditions))


def _one() -> Select[Any]:
    """Select the event ``:event_id`` as JSON; when its id exists on several dates the latest counts."""
    event_id = audit_events.c.event_id
    by_id = _EVERYTHING.where(event_id == bindparam("event_id", type_=event_id.type))
    latest = by_id.order_by(audit_events.c.event_date.desc()).limit(literal_column("1"))
    return select(TEXT_OF_PAGE).select_from(latest.subquery("page"))


ONE = Rendered(_one())


def _place(after: Position[UUID]) -> dict[str, Any]:
    """Return the values that say where a page begins, under names that no parameter has."""
    return {"page_after": after.at, "page_after_id": after.id, "page_after_date": after.at.date()}


def _after(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    if wanted.after is None:
        return []
    columns, place = audit_events.c, _place(wanted.after)
    key = tuple_(columns.event_timestamp, columns.event_id)
    last = tuple_(
        bindparam("page_after", place["page_after"], columns.event_timestamp.type),
        bindparam("page_after_id", place["page_after_id"], columns.event_id.type),
    )
    day = bindparam("page_after_date", place["page_after_date"], columns.event_date.type)
    # A row comparison does not prune partitions, a bound on the partition key does.
    if wanted.ascending:
        return [key > last, columns.event_date >= day]
    return [key < last, columns.event_date <= day]
