"""Statements on ``audit_events``: pure builders, values only ever as bound parameters (BR-STORAGE-025)."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Insert,
    Select,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, TEXT, insert

from datastorage.audit.event_json import event_json
from datastorage.audit.model import AuditFilter, PayloadMatch, Position
from datastorage.audit.tables import audit_events
from datastorage.platform.db.rendered import DIALECT, Rendered
from datastorage.platform.db.sent_rows import as_stored, sent_rows

WRITTEN_COLUMNS = tuple(c.name for c in audit_events.columns)
"""Every column is written by the service, so the table's defaults never decide anything."""

_COMPARED_COLUMNS = tuple(
    name for name in WRITTEN_COLUMNS if name not in {"event_id", "event_date", "parent_event_date"}
)

# Rendered once: it has fifty parts, and SQLAlchemy would look at each for every request.
_PAGE_JSON: ColumnElement[str] = literal_column(
    str(event_json(audit_events.alias("page").c).compile(dialect=DIALECT)), TEXT()
)
_EVERYTHING: Select[Any] = select(literal_column("*")).select_from(audit_events)

_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_MAX_NUMBER_CHARACTERS = 100
_JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)


def insert_sent_rows() -> Insert:
    """Insert all sent rows, skip those whose id is already stored on that date, return the new ids.

    INSERT INTO audit_events (…) SELECT … FROM json_to_recordset(…) AS sent
    ON CONFLICT (event_id, event_date) DO NOTHING RETURNING event_id, event_date
    """
    sent = sent_rows(audit_events.columns)
    return (
        insert(audit_events)
        .from_select(
            list(WRITTEN_COLUMNS),
            select(*(as_stored(sent, audit_events.c[name]) for name in WRITTEN_COLUMNS)),
        )
        .on_conflict_do_nothing(index_elements=[audit_events.c.event_id, audit_events.c.event_date])
        .returning(audit_events.c.event_id, audit_events.c.event_date)
    )


def identical_rows() -> Select[Any]:
    """Return the ids of sent rows that are stored with equal content; jsonb compares as a JSON value.

    The parent's date is ours, not the client's, and may have been unknown when the row was stored.
    """
    sent = sent_rows(audit_events.columns)
    same_key = and_(
        audit_events.c.event_id == sent.c.event_id, audit_events.c.event_date == sent.c.event_date
    )
    same_content = [
        audit_events.c[name].is_not_distinct_from(as_stored(sent, audit_events.c[name]))
        for name in _COMPARED_COLUMNS
    ]
    return (
        select(sent.c.event_id, sent.c.event_date)
        .join_from(sent, audit_events, same_key)
        .where(*same_content)
    )


INSERT_SENT_ROWS = Rendered(insert_sent_rows())
IDENTICAL_ROWS = Rendered(identical_rows())

PARENT_DATES = select(audit_events.c.event_id, audit_events.c.event_date).where(
    audit_events.c.event_id == func.any(bindparam("parent_ids", type_=ARRAY(audit_events.c.event_id.type)))
)


def page(wanted: AuditFilter, *, limit: int, offset: int = 0) -> Select[Any]:
    """Select one page of events as JSON, in the order of ``wanted``.

    SELECT concat(…) FROM (SELECT … ORDER BY … LIMIT … OFFSET …) AS page ORDER BY …

    The inner select comes first, so that rows which are only skipped or sorted are never written as JSON.
    """
    rows = (
        ordered(_EVERYTHING, wanted)
        .limit(bindparam("limit", limit, BigInteger))
        .offset(bindparam("offset", offset, BigInteger))
    )
    return select(_PAGE_JSON).select_from(rows.subquery("page")).order_by(_page_order(wanted))


def first_page(wanted: AuditFilter, *, limit: int) -> Select[Any]:
    """Select the first page and, beside the last row of one that is full, how many events match in all.

    SELECT concat(…), CASE WHEN row_number() OVER (ORDER BY …) = limit THEN (SELECT count(*) …) END AS total
    FROM (SELECT … ORDER BY … LIMIT …) AS page ORDER BY …

    One statement is one snapshot. PostgreSQL counts when it gets to that row, so not for a short page.
    """
    order = _page_order(wanted)
    is_last = func.row_number().over(order_by=order) == bindparam("limit", limit, BigInteger)
    total = case((is_last, count(wanted).scalar_subquery())).label("total")
    return page(wanted, limit=limit).add_columns(total)


def _page_order(wanted: AuditFilter) -> ColumnElement[Any]:
    direction = "ASC" if wanted.ascending else "DESC"
    return literal_column(f"page.event_timestamp {direction}, page.event_id {direction}")


def rendered_page(
    wanted: AuditFilter, *, limit: int, offset: int, counted: bool
) -> tuple[Rendered, dict[str, Any]]:
    """Return the statement of a page that does not look into payloads, and its values.

    Such filters come very often and in few shapes, so the text of each shape is kept. Only a first page
    can be ``counted``.
    """
    assert not wanted.looks_into_payload  # noqa: S101 - those conditions have no names
    bounds = (wanted.since is not None, wanted.until is not None, wanted.after is not None)
    statement = _rendered_page(tuple(wanted.equals), bounds, wanted.ascending, counted)
    return statement, _values(wanted) | {"limit": limit, "offset": offset}


@lru_cache(maxsize=256)
def _rendered_page(
    equals: tuple[str, ...],
    bounds: tuple[bool, bool, bool],
    ascending: bool,  # noqa: FBT001 - part of a key
    counted: bool,  # noqa: FBT001
) -> Rendered:
    has_since, has_until, has_after = bounds
    wanted = AuditFilter(
        equals=dict.fromkeys(equals),
        since=_SOME_TIME if has_since else None,
        until=_SOME_TIME if has_until else None,
        after=Position(_SOME_TIME, UUID(int=0)) if has_after else None,
        ascending=ascending,
    )
    return Rendered(first_page(wanted, limit=0) if counted else page(wanted, limit=0))


def keys(wanted: AuditFilter, *, limit: int, offset: int) -> Select[Any]:
    """Select only the sort keys of a stretch of the result, in its order."""
    sort_key = select(audit_events.c.event_timestamp, audit_events.c.event_id)
    return ordered(sort_key, wanted).limit(limit).offset(offset)


def ordered(statement: Select[Any], wanted: AuditFilter) -> Select[Any]:
    """Apply filter, cursor and order; the order is total, so pages never repeat a row."""
    timestamp, event_id = audit_events.c.event_timestamp, audit_events.c.event_id
    newest_first = (timestamp.desc(), event_id.desc())
    order = (timestamp.asc(), event_id.asc()) if wanted.ascending else newest_first
    return statement.where(*conditions(wanted), *_after(wanted)).order_by(*order)


def count(wanted: AuditFilter) -> Select[Any]:
    """Count all matches of the filters, wherever the page lies."""
    return select(func.count()).select_from(audit_events).where(*conditions(wanted))


def one() -> Select[Any]:
    """Select the event ``:event_id`` as JSON; when its id exists on several dates the latest counts."""
    by_id = _EVERYTHING.where(audit_events.c.event_id == bindparam("event_id", type_=Uuid()))
    latest = by_id.order_by(audit_events.c.event_date.desc()).limit(literal_column("1"))
    return select(_PAGE_JSON).select_from(latest.subquery("page"))


ONE = Rendered(one())


def conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """Return the filter as conditions; time bounds also bound ``event_date``, which prunes partitions."""
    columns, values = audit_events.c, _values(wanted)

    def bound(name: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return bindparam(name, values[name], column.type)

    found = [columns[name] == bound(name, columns[name]) for name in wanted.equals]
    if wanted.since is not None:
        found += [
            columns.event_timestamp >= bound("since", columns.event_timestamp),
            columns.event_date >= bound("since_date", columns.event_date),
        ]
    if wanted.until is not None:
        found += [
            columns.event_timestamp <= bound("until", columns.event_timestamp),
            columns.event_date <= bound("until_date", columns.event_date),
        ]
    found += [audit_events.c.event_data.contains(_jsonb(text)) for text in wanted.payload_contains]
    for match in wanted.payload_matches:
        found += _payload_equals(match)
    return found


def _values(wanted: AuditFilter) -> dict[str, Any]:
    """Return the values of all conditions that have names: one for each column and for each bound."""
    values = dict(wanted.equals)
    if wanted.since is not None:
        values |= {"since": wanted.since, "since_date": wanted.since.date()}
    if wanted.until is not None:
        values |= {"until": wanted.until, "until_date": wanted.until.date()}
    if wanted.after is not None:
        last = wanted.after.event_timestamp
        values |= {"after": last, "after_id": wanted.after.event_id, "after_date": last.date()}
    return values


def _after(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    if wanted.after is None:
        return []
    columns, values = audit_events.c, _values(wanted)
    key = tuple_(columns.event_timestamp, columns.event_id)
    last = tuple_(
        bindparam("after", values["after"], columns.event_timestamp.type),
        bindparam("after_id", values["after_id"], columns.event_id.type),
    )
    date = bindparam("after_date", values["after_date"], columns.event_date.type)
    # A row comparison does not prune partitions, a bound on the partition key does.
    if wanted.ascending:
        return [key > last, columns.event_date >= date]
    return [key < last, columns.event_date <= date]


def _payload_equals(match: PayloadMatch) -> list[ColumnElement[bool]]:
    """``#>>`` decides; containment in front of it lets the GIN index find the candidates.

    (event_data @> {path: "value"} OR event_data @> {path: value}) AND event_data #>> path = value
    """
    path = bindparam(None, list(match.path), ARRAY(TEXT))
    at_path = audit_events.c.event_data.op("#>>", return_type=TEXT())(path)
    is_scalar = func.jsonb_typeof(audit_events.c.event_data.op("#>", return_type=JSONB())(path)).not_in(
        ["object", "array"]
    )
    exact = [at_path == match.value, is_scalar]
    if any(segment.isdigit() for segment in match.path):
        return exact  # containment cannot address an array by position
    candidates = [_nested(match.path, match.value)]
    if is_json_scalar(match.value):
        candidates.append(_nested(match.path, msgspec.Raw(match.value.encode("ascii"))))
    return [or_(*(audit_events.c.event_data.contains(_jsonb(text)) for text in candidates)), *exact]


def _nested(path: tuple[str, ...], leaf: object) -> str:
    """Return the JSON text of ``{path[0]: {path[1]: … leaf}}``."""
    value: object = leaf
    for segment in reversed(path):
        value = {segment: value}
    return msgspec.json.encode(value).decode("utf-8")


def _jsonb(text: str) -> ColumnElement[Any]:
    return cast(bindparam(None, text, TEXT), JSONB)


def is_json_scalar(text: str) -> bool:
    """Tell whether ``text`` is the JSON of a finite number of sane length, a boolean or ``null``.

    Exponents of more than three digits are not sane: jsonb cannot hold ``1e-20000``.
    """
    if text in {"true", "false", "null"}:
        return True
    if len(text) > _MAX_NUMBER_CHARACTERS or not _JSON_NUMBER.fullmatch(text):
        return False
    return abs(float(text)) != float("inf")
