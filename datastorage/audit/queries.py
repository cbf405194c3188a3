"""Statements on ``audit_events``: pure builders, values only ever as bound parameters (BR-STORAGE-025)."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Insert,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TEXT, insert

from datastorage.audit.event import MEMBERS
from datastorage.audit.model import AuditFilter, PageRequest
from datastorage.audit.tables import audit_events
from datastorage.platform.db.conditions import Shape, conditions_of, shape_of, values, where
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.rendered import DIALECT, Rendered
from datastorage.platform.db.row_json import row_json
from datastorage.platform.db.sent_rows import as_stored, sent_rows

_KEY = (audit_events.c.event_id, audit_events.c.event_date)
_SENT = sent_rows(audit_events.columns)

# Rendered once: it has fifty parts, and SQLAlchemy would look at each for every request.
_PAGE_JSON: ColumnElement[str] = literal_column(
    str(row_json(MEMBERS, audit_events.alias("page").c).compile(dialect=DIALECT)), TEXT()
)
_EVERYTHING: Select[Any] = select(literal_column("*")).select_from(audit_events)

_SOMEWHERE = Position(datetime(2000, 1, 1, tzinfo=UTC), UUID(int=0))


def _insert_sent_rows() -> Insert:
    """Insert all sent rows, skip those whose id is already stored on that date, return the new ids.

    INSERT INTO audit_events (…) SELECT … FROM json_to_recordset(…) AS sent
    ON CONFLICT (event_id, event_date) DO NOTHING RETURNING event_id, event_date

    Every column is written, so the table's defaults never decide anything.
    """
    columns = audit_events.columns
    rows = select(*(as_stored(_SENT, each) for each in columns))
    statement = insert(audit_events).from_select(columns.keys(), rows)
    return statement.on_conflict_do_nothing(index_elements=_KEY).returning(*_KEY)


def _identical_rows() -> Select[Any]:
    """Return the ids of sent rows that are stored with equal content; jsonb compares as a JSON value.

    The parent's date is ours, not the client's, and may have been unknown when the row was stored.
    """
    same_key = and_(*(each == _SENT.c[each.name] for each in _KEY))
    same_content = [
        each.is_not_distinct_from(as_stored(_SENT, each))
        for each in audit_events.columns
        if each.name not in {"event_id", "event_date", "parent_event_date"}
    ]
    ids = select(_SENT.c.event_id, _SENT.c.event_date)
    return ids.join_from(_SENT, audit_events, same_key).where(*same_content)


INSERT_SENT_ROWS = Rendered(_insert_sent_rows())
IDENTICAL_ROWS = Rendered(_identical_rows())

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
    return select(_PAGE_JSON).select_from(rows.subquery("page")).order_by(_page_order(wanted))


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


def rendered_page(wanted: PageRequest) -> tuple[Rendered, dict[str, Any]]:
    """Return the statement of a page that is not planned with its values, and those values.

    Such filters come very often and in few shapes, so the text of each shape is kept. Only a first page
    can include the total.
    """
    found, after = wanted.filter, wanted.filter.after
    bound = values(found.conditions)
    if after is not None:
        bound |= _place(after)
    bound["page_limit"], bound["page_offset"] = wanted.limit, wanted.offset
    shape = shape_of(found.conditions), found.ascending, after is not None, wanted.include_total
    return _rendered(shape), bound


@lru_cache(maxsize=256)
def _rendered(shape: tuple[Shape, bool, bool, bool]) -> Rendered:
    conditions, ascending, is_behind, is_counted = shape
    after = _SOMEWHERE if is_behind else None
    wanted = AuditFilter(conditions=conditions_of(conditions), ascending=ascending, after=after)
    return Rendered(first_page(wanted, limit=0) if is_counted else page(wanted, limit=0))


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
    return select(*columns, _PAGE_JSON).select_from(rows.subquery("page")).order_by(order)


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
    return select(_PAGE_JSON).select_from(latest.subquery("page"))


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
    date = bindparam("page_after_date", place["page_after_date"], columns.event_date.type)
    # A row comparison does not prune partitions, a bound on the partition key does.
    if wanted.ascending:
        return [key > last, columns.event_date >= date]
    return [key < last, columns.event_date <= date]
