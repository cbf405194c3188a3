"""Statements on ``audit_events``: pure builders, values only ever as bound parameters (BR-STORAGE-025)."""

import re
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Insert,
    Select,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, TEXT, insert

from datastorage.audit.event_json import event_json
from datastorage.audit.model import AuditFilter, PayloadMatch
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
    rows = ordered(_EVERYTHING, wanted).limit(limit).offset(offset)
    direction = "ASC" if wanted.ascending else "DESC"
    order: ColumnElement[Any] = literal_column(f"page.event_timestamp {direction}, page.event_id {direction}")
    return select(_PAGE_JSON).select_from(rows.subquery("page")).order_by(order)


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


def one(event_id: Any) -> Select[Any]:
    """Select one event as JSON; when its id exists on several dates the latest counts."""
    by_id = _EVERYTHING.where(audit_events.c.event_id == event_id)
    latest = by_id.order_by(audit_events.c.event_date.desc()).limit(1)
    return select(_PAGE_JSON).select_from(latest.subquery("page"))


def conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """Return the filter as conditions; time bounds also bound ``event_date``, which prunes partitions."""
    found = [audit_events.c[name] == value for name, value in wanted.equals.items()]
    if wanted.since is not None:
        found += [
            audit_events.c.event_timestamp >= wanted.since,
            audit_events.c.event_date >= wanted.since.date(),
        ]
    if wanted.until is not None:
        found += [
            audit_events.c.event_timestamp <= wanted.until,
            audit_events.c.event_date <= wanted.until.date(),
        ]
    found += [audit_events.c.event_data.contains(_jsonb(text)) for text in wanted.payload_contains]
    for match in wanted.payload_matches:
        found += _payload_equals(match)
    return found


def _after(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    if wanted.after is None:
        return []
    key = tuple_(audit_events.c.event_timestamp, audit_events.c.event_id)
    last = tuple_(
        bindparam(None, wanted.after.event_timestamp, audit_events.c.event_timestamp.type),
        bindparam(None, wanted.after.event_id, audit_events.c.event_id.type),
    )
    day = wanted.after.event_timestamp.date()
    # A row comparison does not prune partitions, a bound on the partition key does.
    if wanted.ascending:
        return [key > last, audit_events.c.event_date >= day]
    return [key < last, audit_events.c.event_date <= day]


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
