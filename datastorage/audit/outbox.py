"""What waits for its leaf in the ledger, read together with the digest of the text that the leaf fixes.

Whatever stores an event puts a row here in the same statement, and a statement of the ledger is put here by
the transaction of the thing that it states. The ledger takes the rows away when they have their leaves.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Delete,
    Insert,
    Select,
    SelectBase,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.sql.dml import ReturningInsert

from datastorage.audit.evidence import digest_of
from datastorage.audit.tables import audit_events, audit_unsealed


def waiting(limit: int, skipped: Collection[int] = ()) -> Select[Any]:
    """Select the oldest rows that wait, without those of ``skipped`` ids.

    ``digest`` is NULL where no event is found, and for statements, whose text is at hand.

    SELECT due.*, correlation_id, received_at,
           CASE WHEN page.event_id IS NOT NULL THEN sha256(convert_to(concat(…), 'UTF8')) END
    FROM (SELECT … FROM audit_unsealed WHERE id <> ALL (…) ORDER BY id LIMIT …) AS due
    LEFT JOIN audit_events AS page USING (event_id, event_date) ORDER BY due.id
    """
    ids = audit_unsealed.c.id
    is_due = ids != func.all(bindparam("skipped", list(skipped), ARRAY(BigInteger())))
    due = select(audit_unsealed).where(is_due).order_by(ids).limit(limit).subquery("due")
    events = audit_events.alias("page")
    same = and_(events.c.event_id == due.c.event_id, events.c.event_date == due.c.event_date)
    return (
        select(
            due,
            events.c.correlation_id,
            events.c.received_at,
            case((events.c.event_id.is_not(None), digest_of(events.c))).label("digest"),
        )
        .outerjoin_from(due, events, same)
        .order_by(due.c.id)
    )


def levels(most: int) -> Select[Any]:
    """Select how many rows wait, counted up to ``most``, the id of the first, and the age of its event."""
    due, events = audit_unsealed.c, audit_events.c
    counted = select(due.id).limit(most).subquery("counted")
    first = select(due.id).order_by(due.id).limit(1).scalar_subquery()
    seconds = func.extract("epoch", func.clock_timestamp() - events.received_at)
    same = and_(events.event_id == due.event_id, events.event_date == due.event_date)
    age = select(seconds).join_from(audit_unsealed, audit_events, same).order_by(due.id).limit(1)
    return select(func.count(), first, age.scalar_subquery()).select_from(counted)


def last() -> Select[Any]:
    """Select the id of the newest row that waits, NULL without any."""
    return select(func.max(audit_unsealed.c.id))


def waiting_statements() -> Select[Any]:
    """Select the statements that wait, the oldest first."""
    statement = audit_unsealed.c.statement
    return select(statement).where(statement.is_not(None)).order_by(audit_unsealed.c.id)


def put_events(keys: SelectBase) -> ReturningInsert[Any]:
    """Insert the events of ``keys``, which selects ids and dates; return the keys."""
    key = (audit_unsealed.c.event_id, audit_unsealed.c.event_date)
    return insert(audit_unsealed).from_select([each.name for each in key], keys).returning(*key)


def put(statement_id: UUID, statement: str) -> Insert:
    """Insert a statement."""
    return insert(audit_unsealed).values(event_id=statement_id, statement=statement)


def taken(ids: Collection[int]) -> Delete:
    """Delete the rows that have their leaves now."""
    return delete(audit_unsealed).where(
        audit_unsealed.c.id == func.any(bindparam("taken", list(ids), ARRAY(BigInteger())))
    )
