"""What waits for its leaf in the ledger, read together with the digest of the text that the leaf fixes.

Whatever stores an event puts a row here in the same statement, and a statement of the ledger is put here by
the transaction of the thing that it states. The ledger takes the rows away when they have their leaves.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Delete, Select, and_, bindparam, case, delete, func, literal, select
from sqlalchemy.dialects.postgresql import TEXT

from datastorage.audit.event import MEMBERS
from datastorage.audit.tables import audit_events, audit_unsealed
from datastorage.platform.db.row_json import row_json


def waiting(limit: int, skipped: Collection[int] = ()) -> Select[Any]:
    """Select the oldest rows that wait, without those of ``skipped`` ids.

    ``digest`` is NULL where no event is found, and for statements, whose text is at hand.

    SELECT due.*, …, CASE WHEN page.event_id IS NOT NULL THEN sha256(convert_to(concat(…), 'UTF8')) END
    FROM (SELECT … FROM audit_unsealed WHERE id <> ALL (…) ORDER BY id LIMIT …) AS due
    LEFT JOIN audit_events AS page USING (event_id, event_date) ORDER BY due.id
    """
    ids = audit_unsealed.c.id
    is_due = ids != func.all(bindparam("skipped", list(skipped), ARRAY(BigInteger())))
    due = select(audit_unsealed).where(is_due).order_by(ids).limit(limit).subquery("due")
    events = audit_events.alias("page")
    digest = func.sha256(func.convert_to(row_json(MEMBERS, events.c), literal("UTF8", TEXT())))
    same = and_(events.c.event_id == due.c.event_id, events.c.event_date == due.c.event_date)
    return (
        select(due, events.c.correlation_id, case((events.c.event_id.is_not(None), digest)).label("digest"))
        .outerjoin_from(due, events, same)
        .order_by(due.c.id)
    )


def taken(ids: Collection[int]) -> Delete:
    """Delete the rows that have their leaves now."""
    return delete(audit_unsealed).where(
        audit_unsealed.c.id == func.any(bindparam("taken", list(ids), ARRAY(BigInteger())))
    )
