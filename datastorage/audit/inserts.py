"""The statements that store events: whatever stores one, and from wherever it comes, uses these."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    ClauseElement,
    Column,
    ColumnElement,
    FromClause,
    Insert,
    Select,
    and_,
    exists,
    not_,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert

from datastorage.audit.tables import audit_event_ids, audit_events, audit_unsealed
from datastorage.platform.db.rendered import Rendered
from datastorage.platform.db.sent_rows import as_stored, sent_rows

_KEY = (audit_events.c.event_id, audit_events.c.event_date)
_ID = (audit_event_ids.c.event_id, audit_event_ids.c.event_date)
# Not stored: whether the id came from outside, as the member of ``AuditEvent`` of this name says.
_SENT = sent_rows([*audit_events.columns, Column("has_client_id", Boolean())])


@dataclass(frozen=True, slots=True)
class Inserts:
    """The statements that store events; whatever stores one uses them.

    Attributes:
        rows: stores rows whose ids the service chose.
        rows_and_ids: takes ids from outside too. Costs more by 2 us a row, and 30 us for a single one: for
            rows of which some bring their ids.
    """

    rows: Rendered
    rows_and_ids: Rendered


@cache
def inserts(*, feed_ledger: bool) -> Inserts:
    """Return the statements that store events, and with each its row for the ledger, if there is one."""
    finished = _insert_and_wait if feed_ledger else _insert
    return Inserts(Rendered(finished(_SENT)), Rendered(_insert_and_take_ids(finished)))


def _insert_and_wait(rows: FromClause, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Insert rows as below, and put each new one where events wait for their leaves.

    WITH new AS (INSERT INTO audit_events …),
         due AS (INSERT INTO audit_unsealed (event_id, event_date) SELECT event_id, event_date FROM new)
    SELECT event_id, event_date FROM new
    """
    new = _insert(rows, *conditions).cte("new")
    key = [new.c[each.name] for each in _KEY]
    due = insert(audit_unsealed).from_select([each.name for each in _KEY], select(*key)).cte("due")
    return select(*key).add_cte(due)


def _insert(rows: FromClause, *conditions: ColumnElement[bool]) -> Insert:
    """Insert rows, skip those whose id is already stored on that date, return the new ids.

    INSERT INTO audit_events (…) SELECT … FROM json_to_recordset(…) AS sent
    ON CONFLICT (event_id, event_date) DO NOTHING RETURNING event_id, event_date

    Every column is written, so the table's defaults never decide anything.
    """
    columns = audit_events.columns
    stored = select(*(as_stored(rows, each) for each in columns)).where(*conditions)
    statement = insert(audit_events).from_select(columns.keys(), stored)
    return statement.on_conflict_do_nothing(index_elements=_KEY).returning(*_KEY)


def _insert_and_take_ids(finished: Callable[..., ClauseElement]) -> ClauseElement:
    """Take the ids that came from outside, and insert the events whose ids are new.

    WITH sent AS (SELECT … FROM json_to_recordset(…)),
         taken AS (INSERT INTO audit_event_ids SELECT event_id, event_date FROM sent WHERE has_client_id
                   ON CONFLICT DO NOTHING RETURNING event_id, event_date)
    INSERT … SELECT … FROM sent
    WHERE has_client_id IS NOT true OR (event_id, event_date) IN (SELECT … FROM taken) …

    Another transaction with the same id waits for this one.
    """
    sent = select(*_SENT.columns).cte("sent")
    key = sent.c.event_id, sent.c.event_date
    ids = insert(audit_event_ids).from_select(_ID, select(*key).where(sent.c.has_client_id))
    taken = ids.on_conflict_do_nothing().returning(*_ID).cte("taken")
    is_ours = sent.c.has_client_id.is_not(true())
    return finished(sent, or_(is_ours, tuple_(*key).in_(select(*taken.columns))))


def _identical_rows() -> Select[Any]:
    """Return the ids of sent rows that are stored with equal content; jsonb compares as a JSON value.

    The parent's date is ours, not the client's, and may have been unknown when the row was stored. The time
    of receipt is that of the first request.
    """
    same_key = and_(*(each == _SENT.c[each.name] for each in _KEY))
    same_content = [
        each.is_not_distinct_from(as_stored(_SENT, each))
        for each in audit_events.columns
        if each.name not in {"event_id", "event_date", "parent_event_date", "received_at"}
    ]
    ids = select(_SENT.c.event_id, _SENT.c.event_date)
    return ids.join_from(_SENT, audit_events, same_key).where(*same_content)


def _unseen_rows() -> Select[Any]:
    """Return the ids of sent rows that are known under the same date, where no such event can be seen."""
    is_known = and_(*(each == _SENT.c[each.name] for each in _ID))
    is_seen = exists().where(*(each == _SENT.c[each.name] for each in _KEY))
    return select(*_ID).join_from(_SENT, audit_event_ids, is_known).where(not_(is_seen))


IDENTICAL_ROWS = Rendered(_identical_rows())
UNSEEN_ROWS = Rendered(_unseen_rows())
