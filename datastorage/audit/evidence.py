"""Events as evidence: their texts, and the digests of them as PostgreSQL computes them.

One expression writes the text, for reads as for digests, so a digest is that of the bytes that a client gets.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    cast,
    exists,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import BIT, TEXT

from datastorage.audit.event import MEMBERS
from datastorage.audit.tables import audit_events, audit_unsealed
from datastorage.audit.text import PAGE, TEXT_OF_PAGE
from datastorage.platform.db.conditions import Condition, where
from datastorage.platform.db.row_json import row_json

_EVENTS = audit_events.alias(PAGE)


def digest_of(columns: Any) -> ColumnElement[bytes]:
    """Return the SHA-256 of the text of an event."""
    return func.sha256(func.convert_to(row_json(MEMBERS, columns), literal("UTF8", TEXT())))


def tag_of(columns: Any) -> ColumnElement[int]:
    """Return the correlation tag of an event as leaves have it: eight bytes as a signed number."""
    hashed = func.sha256(func.convert_to(columns.correlation_id, literal("UTF8", TEXT())))
    first = func.encode(func.substr(hashed, 1, 8), literal("hex", TEXT()))
    # PostgreSQL reads bits from hexadecimal digits behind an x.
    return cast(cast(literal("x", TEXT()).concat(first), BIT(64)), BigInteger())


def of_days(first: date, end: date) -> Subquery:
    """Select keys, tags and digests of the events of the days from ``first`` to the one before ``end``."""
    events = _EVENTS.c
    days = (events.event_date >= first, events.event_date < end)
    tag, digest = tag_of(events).label("correlation_tag"), digest_of(events).label("digest")
    return select(events.event_id, events.event_date, tag, digest).where(*days).subquery("events")


def keys_of_days(first: date, end: date) -> Select[Any]:
    """Select the keys of the events of the days from ``first`` to the one before ``end``."""
    events = _EVENTS.c
    days = (events.event_date >= first, events.event_date < end)
    return select(events.event_id, events.event_date).where(*days)


def page_of_days(first: date, end: date, after: tuple[UUID, date], limit: int) -> Select[Any]:
    """Select keys and tags of the events of some days behind a key, in the order of the primary key."""
    key = (_EVENTS.c.event_id, _EVENTS.c.event_date)
    page = keys_of_days(first, end).add_columns(tag_of(_EVENTS.c).label("correlation_tag"))
    return page.where(tuple_(*key) > after).order_by(*key).limit(limit)


def waiting_keys() -> Select[Any]:
    """Select the keys of the events that wait for their leaves."""
    due = audit_unsealed.c
    return select(due.event_id, due.event_date).where(due.event_date.is_not(None))


def waits_as(event: Any) -> ColumnElement[bool]:
    """Return whether the event of a row waits for its leaf."""
    due = audit_unsealed.c
    return exists().where(due.event_id == event.event_id, due.event_date == event.event_date)


def texts_of(event_id: UUID) -> Select[Any]:
    """Select the texts of the events with an id, the newest first: of old data there may be several."""
    texts = select(TEXT_OF_PAGE.label("text")).select_from(_EVENTS)
    return texts.where(_EVENTS.c.event_id == event_id).order_by(_EVENTS.c.event_date.desc())


def texts_of_keys(keys: Sequence[tuple[UUID, date]], conditions: Iterable[Condition] = ()) -> Select[Any]:
    """Select keys and texts of the events with these keys that meet all conditions, in the order of keys.

    SELECT text, event_id, event_date FROM (SELECT … WHERE event_id = ANY (…) AND event_date BETWEEN …)
    AS page ORDER BY array_position(…, event_id)
    """
    event_id, event_date = audit_events.c.event_id, audit_events.c.event_date
    days = [day for _, day in keys]
    ids = literal([each for each, _ in keys], ARRAY(event_id.type))
    found = (
        select(audit_events)
        # The dates prune the other months.
        .where(event_id == func.any(ids), event_date.between(min(days), max(days)), *where(conditions))
        .subquery(PAGE)
    )
    rows = select(TEXT_OF_PAGE.label("text"), found.c.event_id, found.c.event_date)
    return rows.order_by(func.array_position(ids, found.c.event_id))


def stored_of_keys(keys: Sequence[tuple[UUID, date]]) -> Select[Any]:
    """Select those of some keys under which an event is stored; of a repeated id maybe other dates too."""
    event_id, event_date = audit_events.c.event_id, audit_events.c.event_date
    days = [day for _, day in keys]
    ids = literal([each for each, _ in keys], ARRAY(event_id.type))
    return select(event_id, event_date).where(
        event_id == func.any(ids), event_date.between(min(days), max(days))
    )


def digests_of_correlation(correlation_id: str) -> Select[Any]:
    """Select the keys, times and digests of all events of a correlation id."""
    return _digests().where(_EVENTS.c.correlation_id == correlation_id)


def digests_of_keys(keys: Collection[tuple[UUID, date]]) -> Select[Any]:
    """Select the same of events by their keys."""
    ids, dates = _EVENTS.c.event_id, _EVENTS.c.event_date
    sent = (
        func.unnest(
            literal([each for each, _ in keys], ARRAY(ids.type)),
            literal([day for _, day in keys], ARRAY(dates.type)),
        )
        .table_valued("event_id", "event_date", name="sent")
        .render_derived()
    )
    return _digests().join(sent, (sent.c.event_id == ids) & (sent.c.event_date == dates))


def _digests() -> Select[Any]:
    events = _EVENTS.c
    return select(
        events.event_id,
        events.event_date,
        events.event_timestamp,
        events.correlation_id,
        digest_of(events).label("digest"),
    )


def one_waits(event_ids: Sequence[UUID]) -> Select[bool]:
    """Select whether one of several events waits for its leaf."""
    due = audit_unsealed.c.event_id
    return select(exists().where(due == func.any(literal(list(event_ids), ARRAY(due.type)))))


def waits(event_id: UUID) -> Select[bool]:
    """Select whether an event or a statement waits for its leaf."""
    return select(exists().where(audit_unsealed.c.event_id == event_id))


def some_wait(correlation_id: str) -> Select[bool]:
    """Select whether an event of a correlation id waits for its leaf."""
    due, events = audit_unsealed.c, _EVENTS.c
    same = (due.event_id == events.event_id) & (due.event_date == events.event_date)
    return select(exists().where(same, events.correlation_id == correlation_id))
